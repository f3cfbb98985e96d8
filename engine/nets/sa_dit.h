/* The diffusion transformer of Stable Audio: noisy latents, a time and what the text
 * says in, a velocity out.
 *
 * Use: sa_dit_configure(), config_check(), sa_dit_bind(), bind_load(); then for each
 * prompt sa_dit_condition(), and sa_dit_forward() any number of times. */
#ifndef WOODSHED_ENGINE_NETS_SA_DIT_H
#define WOODSHED_ENGINE_NETS_SA_DIT_H

#include "gpu/gpu.h"

struct arena;
struct bind;
struct config;

/* How the checkpoint names things: diffusers' folder transformer/, or the single file
 * of stable-audio-tools. */
enum sa_dit_names { SA_DIT_DIFFUSERS, SA_DIT_TOOLS };

struct sa_dit_config {
	int64_t window;                   /* latent frames it knows */
	int64_t channels;                 /* of a latent frame */
	int64_t width, n_layers, n_heads; /* width: n_heads * head_dim */
	int64_t head_dim, rotary;         /* channels of a head that turn */
	int64_t n_kv_heads;               /* of the attention to the text */
	int64_t text_in, text;            /* width of its rows, before and after projection */
	int64_t global_in;                /* width of the global condition */
	int64_t n_time;                   /* features of the time: cosines and sines */
	bool qk_norm;                     /* layer norm of each head's queries and keys */
};

struct sa_dit_layer {
	struct gpu_tensor *norm1, *beta1; /* [width] */
	struct gpu_tensor *qkv, *out;     /* [3 * width, width], [width, width] */
	struct gpu_tensor *norm2, *beta2;
	struct gpu_tensor *q2, *kv2, *out2; /* [width, width], [2 * kv width, text], .. */
	struct gpu_tensor *norm3, *beta3;
	struct gpu_tensor *ff_in, *b_in;   /* [2 * 4 width, width]: value, then gate */
	struct gpu_tensor *ff_out, *b_out; /* [width, 4 width] */
	/* qk_norm: [head_dim], weight and bias */
	struct gpu_tensor *q_norm[2], *k_norm[2], *q2_norm[2], *k2_norm[2];
};

struct sa_dit {
	struct sa_dit_config cfg;
	enum sa_dit_names names;
	struct gpu_tensor *time_freq; /* n_time / 2 frequencies */
	struct gpu_tensor *time_in, *time_b_in, *time_out, *time_b_out;
	struct gpu_tensor *global_in, *global_out;
	struct gpu_tensor *text_in, *text_out;
	struct gpu_tensor *pre, *post; /* [channels, channels] */
	struct gpu_tensor *proj_in, *proj_out;
	struct sa_dit_layer *layers; /* in the arena given to bind */
};

/* Reads transformer/config.json, or a model_config.json (whose window is in frames of
 * `hop` samples); errors show up in config_check(). */
void sa_dit_configure(struct sa_dit *d, struct config *c, enum sa_dit_names names, int64_t hop);
/* dtype: of the matrices in the layers; the others, which are small, are f32. */
void sa_dit_bind(struct sa_dit *d, struct bind *b, struct arena *a, enum gpu_dtype dtype);

/* What does not change from step to step: keys and values of the text in every layer,
 * the global condition projected, rotary positions. */
struct sa_dit_condition {
	struct gpu_kv **text;      /* [n_layers]; NULL: rows of zeros, which add nothing */
	struct gpu_tensor *global; /* [1, width] */
	struct gpu_tensor *rotary; /* [1 + frames, rotary] */
};

/* text [S, text_in], or NULL for the condition that is all zeros; global [1, global_in];
 * n: latent frames.  All of it in arena a. */
struct sa_dit_condition *sa_dit_condition(const struct sa_dit *d, struct gpu *g,
	struct gpu_arena *a, struct gpu_arena *step, struct arena *host,
	const struct gpu_tensor *text, const struct gpu_tensor *global, int64_t n);

/* What the network is told of time t (0 .. 1): [1, n_time], in arena a. */
struct gpu_tensor *sa_dit_time(
	const struct sa_dit *d, struct gpu *g, struct gpu_arena *a, double t);
/* v [n, channels] = the velocity in x [n, channels] at the time of sa_dit_time();
 * temporaries go to `step`, which is released. */
void sa_dit_forward(const struct sa_dit *d, struct gpu *g, struct gpu_arena *step,
	struct gpu_tensor *v, const struct gpu_tensor *x, const struct gpu_tensor *time,
	const struct sa_dit_condition *c);

#endif
