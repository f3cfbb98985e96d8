/* The CPU table: what its files share.  Private to gpu/cpu and tests/ops.
 *
 * cpu.c	opens, allocates, holds the table and the tiling of work
 * linear.c, lstm.c, gru.c, attention.c, windows.c, conv2d.c	products; inner loops in
 *	kernels.c, those of attention.c for many queries in attend_kernels.c
 * tiles.c, tile_attention.c, tile_feed_forward.c, winograd.c	products of bf16 by bf16; inner
 *	loops in tile_kernels.c
 * group_norm.c	inner loops in image_kernels.c
 * norm.c, elementwise.c, diffusion.c, sample.c	the rest; inner loops in vec_kernels.c
 *
 * The files of inner loops are compiled once per instruction set and
 * reached through structs of function pointers that are chosen at open. */
#ifndef WOODSHED_GPU_CPU_H
#define WOODSHED_GPU_CPU_H

#include "gpu/ops.h"
#include "gpu/cpu/kernels.h"
#include "library/base/pool.h"

#include <string.h>

/* Instruction sets, each including those before it. */
enum cpu_isa {
	CPU_GENERIC,
	CPU_AVX2,        /* AVX2, FMA, F16C */
	CPU_AVX512,      /* AVX-512 F, BW, DQ, VL */
	CPU_AVX512_VNNI, /* and VNNI */
	CPU_AMX,         /* and AVX-512 BF16 and AMX for bf16 */
};

struct tile_kernels; /* tile_kernels.h: products of bf16 tiles */
struct vec_kernels;  /* vec_kernels.h: elementwise, norms, reductions */

struct cpu {
	struct gpu_ops ops; /* the table, with what this processor has */
	struct pool *pool;
	int isa; /* enum cpu_isa */
	const struct cpu_kernels
		*kernels; /* cpu_kernels_for(isa): set at open and by cpu_limit_isa */
	const struct vec_kernels *vec;
	const struct tile_kernels *tiles;
	struct cpu_scratch {
		void *at; /* owned */
		size_t bytes;
	} scratch, outer; /* see cpu_scratch() */
};

/* The best kernels up to `isa` that this build has (linear.c). */
const struct cpu_kernels *cpu_kernels_for(int isa);

/* f32 to bf16, to nearest even; NaN stays NaN. */
static inline uint16_t cpu_bf16(float f)
{
	uint32_t u;
	memcpy(&u, &f, 4);
	if ((u & 0x7fffffff) > 0x7f800000)
		return (uint16_t)(u >> 16 | 0x40);
	return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

static inline float cpu_f32(uint16_t bf16)
{
	uint32_t u = (uint32_t)bf16 << 16;
	float f;
	memcpy(&f, &u, 4);
	return f;
}

static inline int64_t ceil_div(int64_t a, int64_t b)
{
	return (a + b - 1) / b;
}

static inline int64_t least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static inline struct cpu *cpu_of(const struct gpu *g)
{
	return g->device;
}

/* Makes an open device use at most `isa`: for tests and measurements. */
void cpu_limit_isa(struct gpu *g, enum cpu_isa isa);

/* At least `bytes`, 64-byte aligned, contents undefined, valid until the next
 * call; kept between ops so that none allocates in the steady state.  NULL
 * after gpu_fail(). */
void *cpu_scratch(struct gpu *g, size_t bytes);
/* The same beside it, for an op that calls others. */
void *cpu_outer_scratch(struct gpu *g, size_t bytes);

/* Cuts rows x cols elements into tasks of about 16K, whose bounds depend on
 * nothing but rows and cols, and runs fn on them: on this thread when there
 * is one task, else on the pool. */
struct cpu_tile {
	int64_t row, n_rows;
	int64_t col, n_cols;
};
void cpu_tiles(struct gpu *g, int64_t n_rows, int64_t n_cols,
	void (*fn)(void *ud, const struct cpu_tile *tile), void *ud);
/* The same with whole rows only, of `work` elements each. */
void cpu_rows(struct gpu *g, int64_t n_rows, int64_t work,
	void (*fn)(void *ud, const struct cpu_tile *tile), void *ud);

/* ---- entries of the table, as in gpu/ops.h ------------------------------- */

/* linear.c */
size_t cpu_matrix_bytes(
	enum gpu_dtype dtype, int64_t n_out, int64_t n_in, size_t *ret_scale, size_t *ret_sums);
void cpu_put_rows(struct gpu *g, struct gpu_tensor *t, int64_t first, int64_t n, const float *src);
void cpu_linear(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct gpu_tensor *w, const struct gpu_tensor *bias, int beta);
void cpu_linear_grouped(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct gpu_tensor *w, const struct gpu_tensor *bias);
void cpu_conv1d(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct gpu_tensor *w, const struct gpu_tensor *bias, struct gpu_conv conv);
void cpu_conv_transpose1d(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct gpu_tensor *w, const struct gpu_tensor *bias, struct gpu_conv conv);

/* lstm.c */
void cpu_lstm(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct gpu_lstm *lstm);

/* gru.c */
void cpu_gru(
	struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x, const struct gpu_gru *gru);

/* attention.c */
void cpu_kv_size(const struct gpu_kv *kv, int64_t *ret_k, int64_t *ret_v);
void cpu_attention_causal(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *qkv,
	struct gpu_kv *kv, int64_t n_time, float scale);
void cpu_kv_fill(struct gpu *g, struct gpu_kv *kv, int64_t row, const struct gpu_tensor *kv_x);
void cpu_attention_cross(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *q,
	const struct gpu_kv *kv, float scale);
void cpu_attention_full(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *qkv,
	const struct gpu_tensor *bias, int64_t n_heads, float scale);

/* Of [B, T, H], which are contiguous, sequence i; of [T, H] all. */
static inline struct gpu_tensor cpu_sequence(const struct gpu_tensor *t, int64_t i)
{
	struct gpu_tensor one = *t;

	if (t->n_dims == 3) {
		one.n_dims = 2;
		one.ne[0] = t->ne[1];
		one.ne[1] = t->ne[2];
		one.nb[0] = t->nb[1];
		one.nb[1] = t->nb[2];
		one.data = (float *)t->data + i * t->nb[0];
	}
	return one;
}

static inline int64_t cpu_sequences(const struct gpu_tensor *t)
{
	return t->n_dims == 3 ? t->ne[0] : 1;
}

/* tiles.c: the same for GPU_TILES and GPU_SPLIT; a product as linear.c has it */
struct tile_product {
	const struct gpu_tensor *w;
	int64_t n, k;          /* of w */
	int64_t batches, rows; /* of x and y */
	/* Rows hold k / channels taps of frames of `channels`: tap t is t / across * dilation +
	 * t % across frames behind the row's first.  ldx is a multiple of the channels. */
	int64_t channels, dilation, across;
	int64_t frames, pad; /* of x; of zeros that the first rows see before it */
	float slope;         /* x is seen behind a leaky relu; 1: as it is */
	const float *x;
	int64_t x_batch, ldx;
	const struct gpu_norm *norm; /* of rows of x, or NULL: as they are */
	float *y;
	int64_t y_batch, ldy;
	const float *bias; /* [bias_n], repeated over the n outputs; or NULL */
	int64_t bias_n;
	int add;
	int parts;          /* 3 for GPU_SPLIT, else 1 */
	int64_t line, keep; /* rows come in lines, of which y has the first `keep`; 0: all */
	/* Or they come in columns of so many rows, `keep` of them from each image, whose places are
	 * `line` frames apart in x and `keep` in y, which has the first `height`; 0: they do not.
	 */
	int64_t column, height;
};
size_t cpu_tile_matrix_bytes(enum gpu_dtype dtype, int64_t n_out, int64_t n_in);
/* The two dtypes of tiles.c. */
static inline bool cpu_is_tiled(enum gpu_dtype dtype)
{
	return dtype == GPU_TILES || dtype == GPU_SPLIT;
}
static inline int cpu_tile_parts(enum gpu_dtype dtype)
{
	return dtype == GPU_SPLIT ? 3 : 1;
}
void cpu_tile_put_rows(const struct tile_kernels *tiles, struct gpu_tensor *t, int64_t first,
	int64_t n, const float *src);
void cpu_tile_product(struct gpu *g, const struct tile_product *p);
/* n rows of c values, normed, as a group of 16 has them: [block][part][row][32]; the others are
 * zeros.  c is whole blocks. */
enum { TILE_NORM_MOST = 4096 }; /* of c */
void cpu_tile_pack_norm(const struct cpu *cpu, int parts, uint16_t *dst,
	const struct gpu_norm *norm, const float *x, int64_t n, int64_t c);
/* Matrices of tiles and rows that have room for a norm; else false. */
bool cpu_norm_linear(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct gpu_norm *norm, const struct gpu_tensor *w, const struct gpu_tensor *bias,
	struct gpu_tensor *normed);
/* Matrices of tiles, and channels that fill whole blocks of k; else false. */
bool cpu_leaky_conv1d(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct gpu_leaky_conv *conv);
/* Stride 1, and channels that fill whole blocks of k. */
bool cpu_can_tile_conv2d(
	const struct gpu_tensor *x, const struct gpu_tensor *w, struct gpu_conv2d conv);
void cpu_tile_conv2d(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct gpu_tensor *w, const struct gpu_tensor *bias, struct gpu_conv2d conv);
/* The same, of images that are not enlarged and whose pixels have room for a norm; else false. */
bool cpu_norm_conv2d(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct gpu_group_norm *norm, const struct gpu_tensor *w,
	const struct gpu_tensor *bias, struct gpu_conv2d conv);

/* group_norm.c */
/* What a group norm comes to, channel by channel of each batch row: x * scale + shift, and silu.
 * Valid until the next cpu_outer_scratch(); scale NULL after gpu_fail(). */
struct cpu_affine {
	const struct image_kernels *kernels;
	const float *scale; /* [B, scale and shift, C] */
	bool silu;
};
struct cpu_affine cpu_group_affine(
	struct gpu *g, const struct gpu_tensor *x, const struct gpu_group_norm *how);

/* winograd.c: the same for GPU_WINOGRAD, of any image; norm may be NULL */
size_t cpu_winograd_bytes(int64_t n_out, int64_t n_in);
void cpu_winograd_put_rows(const struct tile_kernels *tiles, struct gpu_tensor *t, int64_t first,
	int64_t n, const float *src);
void cpu_winograd(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct cpu_affine *norm, const struct gpu_tensor *w, const struct gpu_tensor *bias,
	bool up);

/* tile_attention.c */
void cpu_attention_tiles(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *qkv,
	int64_t n_heads, float scale);
/* The same in three parts, as GPU_SPLIT has them: the precision of f32. */
void cpu_attention_split(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *qkv,
	int64_t n_heads, float scale);
/* Caches of GPU_SPLIT. */
void cpu_split_kv_size(const struct gpu_kv *kv, int64_t *ret_k, int64_t *ret_v);
void cpu_split_kv_fill(
	struct gpu *g, struct gpu_kv *kv, int64_t row, const struct gpu_tensor *kv_x);
void cpu_attention_cross_split(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *q,
	const struct gpu_kv *kv, float scale);

/* tile_feed_forward.c: a gate, matrices of tiles and channels that are whole panels; else false */
bool cpu_feed_forward(struct gpu *g, struct gpu_tensor *x, const struct gpu_feed_forward *ff,
	struct gpu_tensor *normed, struct gpu_tensor *wide, struct gpu_tensor *gated);

/* windows.c */
void cpu_attention_windows(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *qkv,
	const struct gpu_tensor *bias, const struct gpu_tensor *mask, float scale);

/* conv2d.c, group_norm.c */
void cpu_conv2d(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct gpu_tensor *w, const struct gpu_tensor *bias, struct gpu_conv2d conv);
void cpu_concat(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *a,
	const struct gpu_tensor *b);
void cpu_group_norm(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct gpu_group_norm *how);

/* norm.c */
void cpu_norm(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct gpu_tensor *w, const struct gpu_tensor *b, float eps, bool rms);

/* elementwise.c */
void cpu_unary(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x, enum gpu_unary op);
void cpu_leaky_relu(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x, float slope);
void cpu_add(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *a,
	const struct gpu_tensor *b);
void cpu_copy(struct gpu *g, struct gpu_tensor *dst, const struct gpu_tensor *src, bool flip);
void cpu_fill(struct gpu *g, struct gpu_tensor *y, float value);
void cpu_embed_sum(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *table,
	const struct gpu_tensor *ids);
void cpu_rvq_encode(struct gpu *g, struct gpu_tensor *codes, const struct gpu_tensor *z,
	const struct gpu_tensor *codebooks);
void cpu_guidance(
	struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *logits, float guidance);

/* diffusion.c */
void cpu_rope(struct gpu *g, struct gpu_tensor *x, const struct gpu_tensor *table, int64_t n_heads,
	int64_t head_dim);
void cpu_head_norm(struct gpu *g, struct gpu_tensor *x, const struct gpu_tensor *w,
	const struct gpu_tensor *b, int64_t first, int64_t n_heads, float eps);
void cpu_snake(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct gpu_tensor *alpha, const struct gpu_tensor *inv_beta);
void cpu_gated(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x, enum gpu_unary act);
void cpu_normal(struct gpu *g, struct gpu_tensor *y, uint64_t seed, uint32_t stream);
void cpu_combine(struct gpu *g, struct gpu_tensor *y, const struct gpu_term *terms, int n_terms);

/* sample.c */
void cpu_sample(struct gpu *g, struct gpu_tensor *ids, const struct gpu_tensor *logits,
	const struct gpu_sampling *s);
void cpu_next_column(struct gpu *g, struct gpu_tensor *next, struct gpu_tensor *columns,
	const struct gpu_tensor *drawn, struct gpu_tensor *at);

#endif
