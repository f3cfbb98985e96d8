/* What the two files of the Stable Audio engine share: stable_audio.c opens a model,
 * stable_audio_render.c makes takes with it. */
#ifndef WOODSHED_ENGINE_STABLE_AUDIO_H
#define WOODSHED_ENGINE_STABLE_AUDIO_H

#include "engine/nets/oobleck.h"
#include "engine/nets/sa_conditioner.h"
#include "engine/nets/sa_dit.h"
#include "engine/nets/t5.h"
#include "engine/pipeline.h"
#include "engine/samplers/sampler.h"
#include "library/base/arena.h"

/* How the checkpoint is laid out and what the model was trained to tell. */
enum layout { DIFFUSERS, TOOLS };
enum objective { OBJECTIVE_V, OBJECTIVE_FLOW };

struct stable_audio {
	struct arena host;
	struct ckpt *ckpt;     /* owned */
	struct unigram *words; /* owned */
	struct gpu_arena *weights, *encoder_weights;
	struct t5 t5;
	struct sa_conditioner conditioner;
	struct sa_dit dit;
	struct oobleck vae;
	enum layout layout;
	enum objective objective;
	struct sampler_sigmas sigmas;
	double sigma_data, start; /* V; start: of the noise at sigmas.max; 0: sigmas.max */
	enum engine_precision precision;
	int n_threads;
	bool has_encoder; /* its weights are loaded */
};

/* Of the autoencoder's matrices. */
enum gpu_dtype stable_audio_sound_dtype(enum engine_precision p);
int stable_audio_render(struct engine *en, const struct engine_request *r,
	const struct engine_watch *watch, const struct engine_sink *sink, struct err *e);

#endif
