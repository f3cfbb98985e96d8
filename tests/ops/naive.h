/* References: every op of gpu.h as plain loops in double precision, from f32
 * inputs, with the greatest error that f32 arithmetic may make.
 *
 * U is the unit roundoff of f32.  A sum of n products computed in f32, in any
 * order, fused or not, differs from the exact one by at most
 *	(n + 1) U sum |a_i b_i|		(first order)
 * and the other bounds follow from it by the rules of error propagation.
 * MARGIN covers what first order leaves out. */
#ifndef WOODSHED_TESTS_OPS_NAIVE_H
#define WOODSHED_TESTS_OPS_NAIVE_H

#include "tests/ops/support.h"

#define U      0x1p-24
#define MARGIN 1.01

/* y = x w^T + bias (+ y0).  dtype: of w.  GPU_I8: x is rounded to 16 bits, in steps of
 * max|x| / 32767.  With that and GPU_BF16 tensor cores of a GPU have up to eight rows of x as two
 * bf16 numbers each, the rounded rest second, which is within 2^-17 of an x. */
struct want naive_linear(const float *x, const float *w, const float *bias, const float *y0,
	int64_t n_rows, int64_t n_out, int64_t n_in, enum gpu_dtype dtype);

/* [B, T, Cin] -> [B, To, Cout]; w [Cout, kernel, Cin].  i8 as above, the maximum
 * taken over the inputs of one output. */
struct want naive_conv1d(const float *x, const float *w, const float *bias, int64_t n_batch,
	int64_t n_time, int64_t n_in, int64_t n_out, struct gpu_conv conv, bool i8);

/* [B, T, Cin] -> [B, (T-m+1)*stride, Cout]; w [Cin, Cout, kernel] as in PyTorch. */
struct want naive_conv_transpose1d(const float *x, const float *w, const float *bias,
	int64_t n_batch, int64_t n_time, int64_t n_in, int64_t n_out, struct gpu_conv conv);

/* [B, T, I] -> [B, T, D]; h and c [B, D] in and out, with their errors. */
struct want naive_lstm(const float *x, const float *w_ih, const float *w_hh, const float *bias,
	struct want h, struct want c, int64_t n_batch, int64_t n_time, int64_t n_in, int64_t n_out);

/* [B, T, I] -> [B, T, D]; h [B, D] in and out, with its errors. */
struct want naive_gru(const float *x, const float *w_ih, const float *w_hh, const float *b_ih,
	const float *b_hh, struct want h, int64_t n_batch, int64_t n_time, int64_t n_in,
	int64_t n_out);

/* One query [d] against n keys and values, `stride` apart; bias [n] or NULL. */
void naive_attend(struct want y, const float *q, const float *k, const float *v, int64_t stride,
	const float *bias, int64_t n, int64_t d, double scale);

struct want naive_norm(const float *x, const float *w, const float *b, double eps, bool rms,
	int64_t n_rows, int64_t n);

struct want naive_unary(const float *x, enum gpu_unary op, int64_t n);

/* gpu_sample() for one row: how far u lies outside the part of the cumulative sum
 * that draws `id`, as a share of the total: 0 inside, INFINITY where top-k or top-p
 * leave the id out.  kept (may be NULL): which entries can be drawn. */
double naive_sample(const float *logits, int64_t n, const struct gpu_sampling *s, double u,
	int32_t id, bool *kept);

#endif
