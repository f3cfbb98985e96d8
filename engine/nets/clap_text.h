/* CLAP's text branch: token ids in, one unit vector out.
 *
 * Use: clap_text_configure(), config_check(), clap_text_bind(), bind_load(),
 * then clap_text_encode() any number of times. */
#ifndef WOODSHED_ENGINE_NETS_CLAP_TEXT_H
#define WOODSHED_ENGINE_NETS_CLAP_TEXT_H

#include "gpu/gpu.h"

struct arena;
struct bind;
struct config;

struct clap_text_layer {
	struct gpu_tensor *qkv, *qkv_b;                             /* [3W, W], [3W] */
	struct gpu_tensor *out, *out_b, *norm_attn_w, *norm_attn_b; /* [W, W], [W] */
	struct gpu_tensor *ff_in, *ff_in_b;                         /* [ff, W], [ff] */
	struct gpu_tensor *ff_out, *ff_out_b, *norm_ff_w, *norm_ff_b;
};

struct clap_text {
	int64_t vocab, width, n_layers, n_heads, ff, max_positions, projection;
	int32_t pad;
	float eps;
	struct gpu_tensor *words, *positions, *type, *norm_w, *norm_b;
	struct clap_text_layer *layers; /* in the arena given to clap_text_bind() */
	struct gpu_tensor *pool, *pool_b, *project[2], *project_b[2];
};

/* Reads a ClapConfig of its own. */
void clap_text_configure(struct clap_text *t, struct config *c);
/* dtype: of the matrices and the embeddings.  prefix: "text_encoder/". */
void clap_text_bind(struct clap_text *t, struct bind *b, struct arena *a, enum gpu_dtype dtype,
	const char *prefix);
/* Longest text that has positions, in tokens. */
int64_t clap_text_max(const struct clap_text *t);
/* ids[0..n), <s> and </s> among them, no padding, n <= clap_text_max() ->
 * [1, projection] of length 1, in a. */
struct gpu_tensor *clap_text_encode(const struct clap_text *t, struct gpu *g, struct gpu_arena *a,
	struct gpu_arena *step, const int32_t *ids, int64_t n);

/* y = x / |x| for a vector, as CLAP compares them. */
void clap_normalise(struct gpu *g, struct gpu_tensor *x);

#endif
