/* matrix.h: products of packed matrices, for whatever is made of them.  Private to
 * gpu/cuda; the code is in matrix.cu, where the layout of a matrix is. */
#ifndef WOODSHED_GPU_CUDA_MATRIX_H
#define WOODSHED_GPU_CUDA_MATRIX_H

#include "gpu/cuda/cuda.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Elements from one row of a packed matrix to the next: all rows start at 16 bytes, and
 * what fills them up is zero. */
static inline int64_t cuda_matrix_ld(enum gpu_dtype dtype, int64_t n_in)
{
	const int64_t to = dtype == GPU_F32 ? 4 : dtype == GPU_I8 ? 16 : 8;

	return (n_in + to - 1) / to * to;
}

/* What cuBLAS multiplies w in: BF16 (then x is rounded to it) or F32.  exact: F32. */
enum gpu_dtype cuda_product_dtype(const struct gpu *g, const struct gpu_tensor *w, bool exact);

/* Rows first..first+n-1 of w in that dtype, cuda_matrix_ld(w) elements apart: w itself, or
 * converted in scratch i.  int8: the steps, without their scale (exact in bf16, too).
 * NULL after gpu_fail(). */
const void *cuda_weights(struct gpu *g, const struct gpu_tensor *w, int64_t first, int64_t n,
	enum gpu_dtype dtype, int i);

/* y[b,m,o] = sum_{i,j} x[b,m,i,j] w[o, i*K/taps + j] + bias[o % bias_n] (+ y[b,m,o]),
 * where x[b,m,i,j] lies at x + b*x_batch + m*ldx + i*tap + j, so that rows may overlap: a
 * convolution is such a product.  Any number of rows, any dtype of w.  Takes scratch 0
 * where w is converted, 1 for int8 with add or a bias that repeats, 2 for x in bf16. */
struct cuda_rows {
	const struct gpu_tensor *w; /* [N, K] */
	const float *bias;          /* or NULL */
	int64_t bias_n;
	int64_t batches, rows; /* of x and y */
	const void *x;         /* f32; is_bf16: bf16, for what is multiplied in bf16 */
	bool is_bf16;
	int64_t x_batch, ldx;
	int64_t taps, tap; /* 0 means 1 */
	float *y;
	int64_t y_batch, ldy;
	/* Output o sees columns o / (N / groups) * K onwards of its row of x.  0 means 1;
	 * else neither batches nor taps nor int8. */
	int64_t groups;
	bool add;
	bool exact; /* x is not rounded, whatever w is */
	bool alone; /* int8: without the scales */
};
void cuda_rows_product(struct gpu *g, const struct cuda_rows *r);

/* gpu_linear() with what may be done on the way.  Any number of rows. */
struct cuda_linear {
	struct gpu_tensor *y;
	const struct gpu_tensor *x, *w, *bias; /* bias: or NULL */
	bool add;
	const struct gpu_norm *norm; /* of x first, or NULL; where cuda_can_norm() */
	bool has_act;                /* act(..), GELU or RELU; where cuda_is_few() */
	enum gpu_unary act;
	bool is_alone; /* int8: without the scales; not where cuda_is_few() */
};
void cuda_linear_with(struct gpu *g, const struct cuda_linear *l); /* x: f32, or bf16 as above */
/* Whether few.cu computes it, and whether that takes the norm of x on its way. */
bool cuda_is_few(const struct gpu_tensor *x, const struct gpu_tensor *w);
bool cuda_can_norm(const struct gpu *g, const struct gpu_tensor *x, const struct gpu_tensor *w);

/* y[b,m,o] = bias[o % bias_n] (+ y[b,m,o] with add), for o < n. */
void cuda_bias(struct gpu *g, float *y, int64_t batches, int64_t y_batch, int64_t rows, int64_t ldy,
	int64_t n, const float *bias, int64_t bias_n, bool add);

#ifdef __cplusplus
}
#endif
#endif
