/* What the files of the AudioLDM 2 engine share.  Private to engine/. */
#ifndef WOODSHED_ENGINE_AUDIOLDM2_H
#define WOODSHED_ENGINE_AUDIOLDM2_H

#include "engine/engine.h"
#include "engine/nets/aldm2_projection.h"
#include "engine/nets/aldm2_unet.h"
#include "engine/nets/clap_text.h"
#include "engine/nets/gpt2.h"
#include "engine/nets/hifigan.h"
#include "engine/nets/kl_vae.h"
#include "engine/nets/t5.h"
#include "engine/samplers/sampler.h"
#include "library/base/arena.h"

struct bpe;
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

#endif
