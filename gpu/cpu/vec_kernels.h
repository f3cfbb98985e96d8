/* The inner loops of norms, elementwise ops, lookups and sampling, once per
 * instruction set.
 *
 * No multiply-add is fused here, and sums run in 32 interleaved lanes that are
 * folded in a fixed order: an element's result depends neither on its place
 * in the row nor on the instruction set. */
#ifndef WOODSHED_GPU_CPU_VEC_KERNELS_H
#define WOODSHED_GPU_CPU_VEC_KERNELS_H

#include <stdint.h>

#include "gpu/ops.h"

/* 2^(c s[i] - most), c = scale / log 2, not below 2^-100, of n scores a row, a multiple of 32, to
 * rows of tiles.  Of 32, i and i + 16 are neighbours: 0, 16, 1, 17, .. */
struct exp_rows {
	const float *s;
	int64_t lds, n;
	float scale;
	const float *most;                /* of the rows */
	float (*sum)[32];                 /* [i % 32] of a row += each */
	float limit;                      /* of what is added to one of these */
	uint16_t *p;                      /* [16 rows][32 scores][part][row][32] */
	int64_t p_group, p_block, p_part; /* elements from 16 rows to the next, and so on */
};

struct vec_kernels {
	/* By enum gpu_unary; y may be x. */
	void (*unary[GPU_N_UNARY])(float *y, const float *x, int64_t n);
	void (*add)(float *y, const float *a, const float *b, int64_t n); /* y may be a or b */
	/* y = a f(b); f is SILU, GELU or GELU_TANH */
	void (*gated[GPU_N_UNARY])(float *y, const float *a, const float *b, int64_t n);
	/* y = x + sin(alpha x)^2 * inv_beta; y may be x */
	void (*snake)(
		float *y, const float *x, const float *alpha, const float *inv_beta, int64_t n);
	/* a, b = a cos - b sin, b cos + a sin */
	void (*rotate)(float *a, float *b, const float *cos, const float *sin, int64_t n);
	void (*add_bf16)(float *y, const uint16_t *b, int64_t n); /* y += b */
	void (*guidance)(float *y, const float *text, const float *null, float scale, int64_t n);
	/* x or, below 0, slope x; y may be x */
	void (*leaky_relu)(float *y, const float *x, float slope, int64_t n);
	/* One row.  b NULL: root mean square, else mean and variance. */
	void (*norm)(
		float *y, const float *x, const float *w, const float *b, float eps, int64_t n);
	float (*dot)(const float *a, const float *b, int64_t n);
	/* Index of the first of n_entries rows e of `book` with the least
	 * |x|^2 - 2 x.e + |e|^2; squares[i] is |e_i|^2. */
	int32_t (*nearest)(const float *x, const float *book, const float *squares,
		int64_t n_entries, int64_t n);
	/* The greatest of n values; NaN when one is NaN or +inf. */
	float (*max)(const float *x, int64_t n);
	/* y = exp((x - shift) / scale) */
	void (*exp)(float *y, const float *x, float shift, float scale, int64_t n);
	/* The greatest of the `width` values, a multiple of 32, of each of n_rows rows; NaN is
	 * passed by. */
	void (*row_max)(float *top, const float *s, int64_t stride, int64_t n_rows, int64_t width);
	/* Rows first .. end - 1, up to one where the limit is passed, whose sum is as it was; what
	 * is returned is that one, or end.  In bf16, to nearest but for an error of 2^-13.7, */
	int64_t (*exp_bf16)(const struct exp_rows *e, int64_t first, int64_t end);
	/* or with one below 2^-22.6 in three parts: the upper 8 bits of the value, of the rest of
	 * it, and of the rest of that, which is all. */
	int64_t (*exp_split)(const struct exp_rows *e, int64_t first, int64_t end);
	/* y[r][0..n) = x[r] / the sum of sum[r], `rows` times */
	void (*divide)(float *y, int64_t ldy, const float *x, int64_t ldx, float (*sum)[32],
		int64_t rows, int64_t n);
};

extern const struct vec_kernels vec_kernels_generic, vec_kernels_avx2, vec_kernels_avx512,
	vec_kernels_amx;

#endif
