/* The table of ops that a device supplies.  Private to gpu/.
 *
 * Every entry has been checked by gpu/ops.c: shapes agree, dtypes are among
 * those gpu.h allows, and no error is pending.  An entry reports failure by
 * gpu_fail().  A NULL entry is an op that the device lacks. */
#ifndef WOODSHED_GPU_OPS_H
#define WOODSHED_GPU_OPS_H

#include <pthread.h>

#include "gpu/gpu.h"
#include "library/base/err.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Positions of attention from which on tile units take its products as GPU_SPLIT: for fewer that
 * is little gain, or a loss. */
enum { GPU_SPLIT_FROM = 48 };

struct gpu_ops {
	const char *device;
	/* Names how it packs matrices; changes when that does. */
	const char *layout;
	bool keeps_lens; /* a cache's lengths are on the device, too */
	bool splits;     /* has matrices of GPU_SPLIT */
	bool tiles_kv;   /* has caches of GPU_TILES */

	void (*close)(struct gpu *g);
	int (*sync)(struct gpu *g, struct err *e);
	/* Device memory, 64-byte aligned (huge pages where they help), or NULL.
	 * bytes_free: what could be allocated now, 0 if unknown. */
	void *(*alloc)(struct gpu *g, size_t bytes);
	void (*release)(struct gpu *g, void *p, size_t bytes);
	uint64_t (*bytes_free)(struct gpu *g);
	int64_t (*piece)(struct gpu *g); /* gpu_piece(); NULL: what is in caches */
	void (*write)(struct gpu *g, void *dst, const void *src, size_t bytes);
	void (*read)(struct gpu *g, void *dst, const void *src, size_t bytes);
	/* gpu_reading; all NULL where ops are over when they return.  new: NULL after gpu_fail().
	 * end: false after it. */
	void *(*reading_new)(struct gpu *g, size_t bytes, void **ret_host);
	void (*reading_free)(struct gpu *g, void *reading);
	void (*reading_begin)(struct gpu *g, void *reading, const void *src, size_t bytes);
	bool (*reading_end)(struct gpu *g, void *reading);
	void (*zero)(struct gpu *g, void *dst, size_t bytes);
	/* Opens or closes memory to whoever checks accesses; NULL where nobody does. */
	void (*guard)(struct gpu *g, void *p, size_t bytes, bool open);

	/* Steps that repeat; all NULL where each op is run anew.  record: what follows is
	 * kept instead of run.  record_end: what was kept, run once; NULL after gpu_fail().
	 * replay: false when it cannot be run any more (scratch has moved). */
	void (*record)(struct gpu *g);
	void *(*record_end)(struct gpu *g);
	bool (*replay)(struct gpu *g, void *recording);
	void (*forget)(struct gpu *g, void *recording);

	/* Packed matrices: bytes of data, scale and sums of one [n_out, n_in]. */
	size_t (*matrix_bytes)(enum gpu_dtype dtype, int64_t n_out, int64_t n_in, size_t *ret_scale,
		size_t *ret_sums);
	void (*put_rows)(
		struct gpu *g, struct gpu_tensor *t, int64_t first, int64_t n, const float *src);
	/* NULL where rows are converted by the processor. */
	int (*put_rows_from)(struct gpu *g, struct gpu_tensor *t, int64_t first, int64_t n,
		const struct gpu_source *source, struct err *e);

	/* gpu_input_dtype(); NULL: F32. */
	enum gpu_dtype (*input_dtype)(const struct gpu *g, const struct gpu_tensor *w);
	/* beta 0: y = ..., 1: y += ...; x may be of input_dtype() */
	void (*linear)(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
		const struct gpu_tensor *w, const struct gpu_tensor *bias, int beta);
	/* NULL, or false, before anything is done, where the parts run one by one.  normed [T, C],
	 * wide [T, outputs of in] and gated [T, F] (wide where nothing is gated) are scratch. */
	bool (*norm_linear)(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
		const struct gpu_norm *norm, const struct gpu_tensor *w,
		const struct gpu_tensor *bias, struct gpu_tensor *normed);
	bool (*feed_forward)(struct gpu *g, struct gpu_tensor *x, const struct gpu_feed_forward *ff,
		struct gpu_tensor *normed, struct gpu_tensor *wide, struct gpu_tensor *gated);
	void (*embed_at)(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *table,
		const struct gpu_tensor *ids, const struct gpu_tensor *positions,
		const struct gpu_tensor *at);
	/* NULL, or false, where the parts run one by one. */
	bool (*leaky_conv1d)(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
		const struct gpu_leaky_conv *conv);
	void (*linear_grouped)(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
		const struct gpu_tensor *w, const struct gpu_tensor *bias);
	void (*conv1d)(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
		const struct gpu_tensor *w, const struct gpu_tensor *bias, struct gpu_conv conv);
	void (*conv_transpose1d)(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
		const struct gpu_tensor *w, const struct gpu_tensor *bias, struct gpu_conv conv);
	void (*lstm)(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
		const struct gpu_lstm *lstm);
	void (*gru)(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
		const struct gpu_gru *gru);

	/* Elements of k and of v in one cache. */
	void (*kv_size)(const struct gpu_kv *kv, int64_t *ret_k, int64_t *ret_v);
	void (*attention_causal)(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *qkv,
		struct gpu_kv *kv, int64_t n_time, float scale);
	/* gpu/ops.c counts the new positions in kv->len, a table with keeps_lens in kv->lens. */
	void (*kv_fill)(
		struct gpu *g, struct gpu_kv *kv, int64_t row, const struct gpu_tensor *kv_x);
	/* y may be bf16 where there is input_dtype(): here with kv of GPU_TILES. */
	void (*attention_cross)(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *q,
		const struct gpu_kv *kv, float scale);
	void (*attention_full)(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *qkv,
		const struct gpu_tensor *bias, int64_t n_heads, float scale);

	/* The same of y. */
	void (*attention_tiles)(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *qkv,
		int64_t n_heads, float scale);

	void (*attention_windows)(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *qkv,
		const struct gpu_tensor *bias, const struct gpu_tensor *mask, float scale);

	void (*conv2d)(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
		const struct gpu_tensor *w, const struct gpu_tensor *bias, struct gpu_conv2d conv);
	/* NULL, or false, before anything is done, where the parts run one by one. */
	bool (*norm_conv2d)(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
		const struct gpu_group_norm *norm, const struct gpu_tensor *w,
		const struct gpu_tensor *bias, struct gpu_conv2d conv);
	void (*group_norm)(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
		const struct gpu_group_norm *how);
	void (*concat)(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *a,
		const struct gpu_tensor *b);

	/* rms: b is NULL */
	void (*norm)(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
		const struct gpu_tensor *w, const struct gpu_tensor *b, float eps, bool rms);
	void (*unary)(
		struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x, enum gpu_unary op);
	void (*leaky_relu)(
		struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x, float slope);
	void (*add)(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *a,
		const struct gpu_tensor *b);
	void (*copy)(
		struct gpu *g, struct gpu_tensor *dst, const struct gpu_tensor *src, bool flip);
	void (*fill)(struct gpu *g, struct gpu_tensor *y, float value);
	void (*embed_sum)(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *table,
		const struct gpu_tensor *ids);
	void (*rvq_encode)(struct gpu *g, struct gpu_tensor *codes, const struct gpu_tensor *z,
		const struct gpu_tensor *codebooks);
	void (*rope)(struct gpu *g, struct gpu_tensor *x, const struct gpu_tensor *table,
		int64_t n_heads, int64_t head_dim);
	void (*head_norm)(struct gpu *g, struct gpu_tensor *x, const struct gpu_tensor *w,
		const struct gpu_tensor *b, int64_t first, int64_t n_heads, float eps);
	void (*snake)(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
		const struct gpu_tensor *alpha, const struct gpu_tensor *inv_beta);
	/* act: SILU, GELU or GELU_TANH */
	void (*gated)(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
		enum gpu_unary act);
	void (*normal)(struct gpu *g, struct gpu_tensor *y, uint64_t seed, uint32_t stream);
	void (*combine)(
		struct gpu *g, struct gpu_tensor *y, const struct gpu_term *terms, int n_terms);
	void (*guidance)(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *logits,
		float guidance);
	void (*sample)(struct gpu *g, struct gpu_tensor *ids, const struct gpu_tensor *logits,
		const struct gpu_sampling *s);
	void (*next_column)(struct gpu *g, struct gpu_tensor *next, struct gpu_tensor *columns,
		const struct gpu_tensor *drawn, struct gpu_tensor *at);
};

/* What happens when the ops between gpu_step_begin() and gpu_step_end() run (gpu/step.c). */
struct gpu_step {
	void *recording;    /* the device's; NULL until there is one */
	struct gpu_mark at; /* of the arena, when it began */
	bool was_run;       /* eagerly, so that the device has what it needs */
	bool is_recording;
	uint64_t dispatches; /* when it began; then: of the step */
	struct gpu_growth {
		struct gpu_kv *kv;
		int64_t n;
	} * grown; /* caches, and by how much; owned */
	size_t n_grown;
};

struct gpu {
	const struct gpu_ops *ops;
	void *device; /* what the table needs */
	char description[192];
	char name[81];    /* of the GPU; "": it is none */
	struct err error; /* sticky */
	pthread_mutex_t fail_lock;
	struct gpu_step *step; /* between its begin and end */
	bool no_replay;
	uint64_t bytes_live, bytes_peak, dispatches;
	struct gpu_arena *arenas; /* list */
	gpu_tap_fn *tap;
	void *tap_ud;
};

/* n more positions in every sequence of kv, which has room for them. */
void gpu_kv_grow(struct gpu *g, struct gpu_kv *kv, int64_t n);

/* What a module exports as gpu_cuda_module.  version: of all that program and module
 * share, the two structs above among it. */
enum { GPU_MODULE_VERSION = 1 };
struct gpu_module {
	int version;
	size_t ops_size;
	bool is_emulated;
	int (*open)(struct gpu *g, struct err *e); /* fills *g */
};

/* gpu/cpu: fills *g. */
int gpu_cpu_open(struct gpu *g, int n_threads, struct err *e);

/* "[2, 48]" */
enum { GPU_SHAPE_TEXT = 96 };
const char *gpu_shape_text(const int64_t *ne, int n_dims, char out[GPU_SHAPE_TEXT]);

/* Bytes of one element. */
static inline size_t gpu_dtype_size(enum gpu_dtype dtype)
{
	return dtype == GPU_I8 ? 1 : dtype == GPU_BF16 || dtype == GPU_TILES ? 2 : 4;
}

static inline int64_t gpu_count(const struct gpu_tensor *t)
{
	int64_t n = 1;
	for (int i = 0; i < t->n_dims; i++)
		n *= t->ne[i];
	return n;
}

static inline bool gpu_is_contiguous(const struct gpu_tensor *t)
{
	int64_t n = 1;
	for (int i = t->n_dims - 1; i >= 0; n *= t->ne[i--])
		if (t->nb[i] != n && t->ne[i] != 1)
			return false;
	return true;
}

#ifdef __cplusplus
}
#endif
#endif
