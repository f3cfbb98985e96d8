/* MusicGen, between the files of its engine.  Private to engine/musicgen*.c. */
#ifndef WOODSHED_ENGINE_MUSICGEN_H
#define WOODSHED_ENGINE_MUSICGEN_H

#include "engine/nets/encodec.h"
#include "engine/nets/musicgen_lm.h"
#include "engine/nets/t5.h"
#include "engine/pipeline.h"
#include "library/base/arena.h"

struct unigram;

enum { MUSICGEN_TOKENS_MAX = 2048 }; /* T5 has no limit, memory and patience have */

struct musicgen {
	struct arena host;
	struct ckpt *ckpt;     /* owned */
	struct unigram *words; /* owned */
	struct gpu_arena *weights, *encoder_weights;
	struct t5 t5;
	struct lm lm;
	struct codec codec;
	enum engine_precision precision;
	int n_threads;
	bool has_encoder;       /* its weights are loaded */
	int64_t window, stride; /* frames */
};

/* Of what is read rarely: embeddings, the text encoder, caches. */
enum gpu_dtype musicgen_small_dtype(enum engine_precision p);

/* The render of engine_ops. */
int musicgen_render(struct engine *en, const struct engine_request *r,
	const struct engine_watch *watch, const struct engine_sink *sink, struct err *e);

#endif
