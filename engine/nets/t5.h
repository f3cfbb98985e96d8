/* The T5 text encoder: token ids in, one vector per token out.
 *
 * Use: t5_configure(), config_check(), t5_bind(), bind_load(), then
 * t5_encode() any number of times. */
#ifndef WOODSHED_ENGINE_NETS_T5_H
#define WOODSHED_ENGINE_NETS_T5_H

#include "gpu/gpu.h"

struct arena;
struct bind;
struct config;

struct t5_config {
	int64_t vocab, width, n_layers, n_heads, head_dim, ff;
	int64_t n_buckets, max_distance;
	float eps;
	enum t5_act { T5_RELU, T5_GELU, T5_GATED_GELU } act; /* gated: tanh form, as in v1.1 */
};

struct t5_layer {
	struct gpu_tensor *norm_attn; /* [width] */
	struct gpu_tensor *qkv;       /* [3 * n_heads * head_dim, width] */
	struct gpu_tensor *o;         /* [width, n_heads * head_dim] */
	struct gpu_tensor *norm_ff;   /* [width] */
	struct gpu_tensor *wi;        /* [ff, width]; gated: [2 ff, width], the gate last */
	struct gpu_tensor *wo;        /* [width, ff] */
};

struct t5 {
	struct t5_config cfg;
	struct gpu_tensor *embed;         /* [vocab, width] */
	struct gpu_tensor *relative_bias; /* [n_buckets, n_heads] */
	struct gpu_tensor *norm;          /* [width] */
	struct t5_layer *layers;          /* in the arena given to t5_bind() */
};

/* Reads the object at `path` ("text_encoder"; "": all) of a config.json.  Errors
 * show up in config_check(). */
void t5_configure(struct t5 *t, struct config *c, const char *path);
/* prefix: of the tensor names, "text_encoder.".  dtype: of the matrices and
 * the embedding, F32 or BF16. */
void t5_bind(
	struct t5 *t, struct bind *b, struct arena *a, enum gpu_dtype dtype, const char *prefix);
/* ids[0..n), each below vocab, n > 0 -> [n, width] in arena a; temporaries
 * go to `step`, which is released. */
struct gpu_tensor *t5_encode(const struct t5 *t, struct gpu *g, struct gpu_arena *a,
	struct gpu_arena *step, const int32_t *ids, int64_t n);

#endif
