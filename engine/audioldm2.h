/* What the files of the AudioLDM 2 engine share.  Private to engine/. */
#ifndef WOODSHED_ENGINE_AUDIOLDM2_H
#define WOODSHED_ENGINE_AUDIOLDM2_H

#include "engine/clap_features.h"
#include "engine/engine.h"
#include "engine/nets/aldm2_projection.h"
#include "engine/nets/aldm2_unet.h"
#include "engine/nets/clap_audio.h"
#include "engine/nets/clap_text.h"
#include "engine/nets/gpt2.h"
#include "engine/nets/hifigan.h"
#include "engine/nets/kl_vae.h"
#include "engine/nets/t5.h"
#include "engine/samplers/sampler.h"
#include "library/base/arena.h"

struct bpe;
struct ckpt;
struct unigram;

/* From texts to what the UNet looks at. */
struct aldm2_text {
	struct bpe *clap_words;   /* owned */
	struct unigram *t5_words; /* owned */
	int64_t clap_max, t5_max; /* tokens */
	struct clap_text clap;
	struct t5 t5;
	struct aldm2_projection projection;
	struct gpt2 gpt2;
};

/* Opens the tokenizers and reads their limits, and the configurations of the networks. */
int aldm2_text_open(struct aldm2_text *t, const char *dir, struct err *e);
void aldm2_text_done(struct aldm2_text *t);
/* language_prefix: of GPT-2's tensors, which differs between files. */
void aldm2_text_bind(struct aldm2_text *t, struct bind *b, struct arena *a, enum gpu_dtype dtype,
	const char *language_prefix);
/* 0, or ERR_FORMAT where the parts do not fit together, and the UNet. */
int aldm2_text_check(const struct aldm2_text *t, const struct aldm2_unet *u, struct err *e);

/* A text, encoded: context 0 is what GPT-2 says, 1 what T5 says. */
struct aldm2_prompt {
	struct gpu_tensor *contexts[UNET_CONTEXTS];
	struct gpu_tensor *clap; /* [1, projection] */
	int64_t n_tokens;        /* of T5 */
};
/* n_padded: the length that T5's tokens have in the reference, to which they are cut: that of
 * the other prompt, 0: their own.  Tensors are in arena a. */
int aldm2_text_encode(const struct aldm2_text *t, struct gpu *g, struct gpu_arena *a,
	struct gpu_arena *step, const char *prompt, int64_t n_padded,
	const struct engine_watch *watch, struct aldm2_prompt *ret, struct err *e);

/* How well a take fits a text, to CLAP. */
struct aldm2_rank {
	struct clap_features features;
	struct clap_audio tower;
	struct gpu_arena *weights; /* owned; NULL: not read yet */
	struct arena host;
};

/* Reads all of it, unless it was read before: nothing needs it but ranking. */
int aldm2_rank_load(struct aldm2_rank *r, struct gpu *g, const char *dir, struct ckpt *ckpt,
	enum gpu_dtype dtype, int n_threads, const struct engine_watch *watch, struct err *e);
void aldm2_rank_done(struct aldm2_rank *r);
/* The cosine of the angle between the text's vector (aldm2_prompt.clap) and that of n samples:
 * 1 fits best, -1 worst. */
int aldm2_rank_score(const struct aldm2_rank *r, struct gpu *g, struct gpu_arena *step,
	const struct gpu_tensor *text, const float *samples, int64_t n, int64_t rate, double *ret,
	struct err *e);

#endif
