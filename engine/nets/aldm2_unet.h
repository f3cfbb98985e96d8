/* AudioLDM 2's UNet: latents at a time step in, the noise in them out.
 *
 * Use: aldm2_unet_configure(), config_check(), aldm2_unet_bind(), bind_load();
 * then for each prompt aldm2_unet_condition() and for each step
 * aldm2_unet_forward(). */
#ifndef WOODSHED_ENGINE_NETS_ALDM2_UNET_H
#define WOODSHED_ENGINE_NETS_ALDM2_UNET_H

#include "engine/nets/resnet2d.h"
#include "gpu/gpu.h"

struct arena;
struct bind;
struct config;

enum { UNET_MAX_LEVELS = 8, UNET_MAX_SLOTS = 4, UNET_CONTEXTS = 2 };

/* What a stack of transformer blocks looks at in its second attention. */
struct unet_slot {
	int64_t width; /* of the context; 0: itself */
	int context;   /* 0 or 1 */
};

/* One transformer block. */
struct unet_block {
	struct gpu_tensor *norm_w[3], *norm_b[3];
	struct gpu_tensor *qkv, *out, *out_b; /* [3c, c], [c, c], [c] */
	struct gpu_tensor *q, *kv;            /* context: [c, c], [2c, width] */
	struct gpu_tensor *qkv2;              /* no context: [3c, c] */
	struct gpu_tensor *out2, *out2_b;     /* [c, c], [c] */
	struct gpu_tensor *ff_in, *ff_in_b;   /* [8c, c], [8c] */
	struct gpu_tensor *ff_out, *ff_out_b; /* [c, 4c], [c] */
	int cache;                            /* of its context, in a run */
};

struct unet_stack {
	struct unet_slot slot;
	int64_t width, n_heads, n_groups;
	struct gpu_tensor *norm_w, *norm_b, *in_w, *in_b, *out_w, *out_b;
	int64_t n_blocks;
	struct unet_block *blocks;
};

/* Resnets, each followed by n_slots stacks (0: none), then a change of size. */
struct unet_level {
	int64_t width, n_resnets, n_slots;
	bool is_innermost;
	struct resnet2d *resnets;
	struct unet_stack *stacks; /* [n_resnets, n_slots]; the middle: [n_slots] */
	struct conv3x3 resize;     /* w NULL: none */
};

struct unet_config {
	int64_t n_in, n_out, sample_size;
	int64_t n_levels, widths[UNET_MAX_LEVELS];
	int64_t n_resnets, n_blocks; /* of a level; transformer blocks of a stack */
	int64_t n_groups;
	int64_t heads[UNET_MAX_LEVELS];
	bool attends_down[UNET_MAX_LEVELS], attends_up[UNET_MAX_LEVELS]; /* in the file's order */
	int64_t n_slots[UNET_MAX_LEVELS];
	struct unet_slot slots[UNET_MAX_LEVELS][UNET_MAX_SLOTS];
	float eps, freq_shift;
	bool cos_first;
};

struct aldm2_unet {
	struct unet_config cfg;
	struct conv3x3 conv_in, conv_out;
	struct gpu_tensor *time_w[2], *time_b[2];
	struct unet_level down[UNET_MAX_LEVELS], mid, up[UNET_MAX_LEVELS];
	struct gpu_tensor *norm_w, *norm_b;
	int n_caches;
};

/* Reads a config.json of its own. */
void aldm2_unet_configure(struct aldm2_unet *u, struct config *c);
/* Width that context i (0 or 1) must have; 0 where no slot looks at it. */
int64_t aldm2_unet_context_width(const struct aldm2_unet *u, int i);
void aldm2_unet_bind(struct aldm2_unet *u, struct bind *b, struct arena *a, enum gpu_dtype dtype,
	const char *prefix);

/* The keys and values of one prompt: for each row of a batch the contexts that it
 * looks at. */
struct unet_run {
	const struct aldm2_unet *unet;
	struct gpu *g;
	int64_t n_rows;
	struct gpu_kv **caches; /* owned; what they hold is in the arena */
};
/* contexts[row][i] [S, width of context i], S > 0, masked tokens left out; memory comes from
 * arena a.  Freed by unet_run_free(). */
struct unet_run *aldm2_unet_condition(const struct aldm2_unet *u, struct gpu *g,
	struct gpu_arena *a, struct gpu_arena *step,
	struct gpu_tensor *const (*contexts)[UNET_CONTEXTS], int64_t n_rows);
void unet_run_free(struct unet_run *run); /* NULL-safe */

/* What the network is told of time step t: [1, widths[0]], in arena a. */
struct gpu_tensor *aldm2_unet_time(
	const struct aldm2_unet *u, struct gpu *g, struct gpu_arena *a, double t);
/* x [rows, H, W, n_in] at the time of aldm2_unet_time() -> [rows, H, W, n_out] in `step`. */
struct gpu_tensor *aldm2_unet_forward(struct unet_run *run, struct gpu_arena *step,
	const struct gpu_tensor *x, const struct gpu_tensor *time);

#endif
