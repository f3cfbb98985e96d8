/* GPT-2's trunk, as AudioLDM 2 uses it: vectors in, more vectors out.  There
 * are no tokens: what it says after the last position is fed back as it is.
 *
 * Use: gpt2_configure(), config_check(), gpt2_bind(), bind_load(), then
 * gpt2_generate() any number of times. */
#ifndef WOODSHED_ENGINE_NETS_GPT2_H
#define WOODSHED_ENGINE_NETS_GPT2_H

#include "gpu/gpu.h"

struct arena;
struct bind;
struct config;

struct gpt2_layer {
	struct gpu_tensor *norm1_w, *norm1_b; /* [W] */
	struct gpu_tensor *qkv, *qkv_b;       /* [3W, W], [3W] */
	struct gpu_tensor *out, *out_b;       /* [W, W], [W] */
	struct gpu_tensor *norm2_w, *norm2_b; /* [W] */
	struct gpu_tensor *ff_in, *ff_in_b;   /* [ff, W], [ff] */
	struct gpu_tensor *ff_out, *ff_out_b; /* [W, ff], [W] */
};

struct gpt2 {
	int64_t width, n_layers, n_heads, ff, max_positions;
	int64_t n_new; /* vectors to generate */
	float eps;
	struct gpu_tensor *positions, *norm_w, *norm_b;
	struct gpt2_layer *layers; /* in the arena given to gpt2_bind() */
};

/* Reads a config.json of its own. */
void gpt2_configure(struct gpt2 *t, struct config *c);
/* prefix: of the tensor names, "language_model/". */
void gpt2_bind(
	struct gpt2 *t, struct bind *b, struct arena *a, enum gpu_dtype dtype, const char *prefix);
/* x [S, width] at positions[0..S), which ascend and may leave gaps -> the n_new vectors
 * that follow, [n_new, width] in a.  The last position + n_new must be below max_positions. */
struct gpu_tensor *gpt2_generate(const struct gpt2 *t, struct gpu *g, struct gpu_arena *a,
	struct gpu_arena *step, const struct gpu_tensor *x, const int32_t *positions);

#endif
