/* few.h: products of packed matrices with up to 8 rows of x, bound by reading the weights.
 * Private to gpu/cuda; how is said in few.cu. */
#ifndef WOODSHED_GPU_CUDA_FEW_H
#define WOODSHED_GPU_CUDA_FEW_H

#include "gpu/cuda/cuda.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { CUDA_FEW_ROWS = 8 };

/* y[m,o] = act(sum_k norm(x)[m,k] w[o,k] (* scale[o]) + bias[o]) (+ y[m,o]) */
struct cuda_few {
	enum gpu_dtype dtype; /* of w: F32, BF16, I8 */
	const void *w;        /* rows ldw apart (cuda_matrix_ld) */
	int64_t ldw, n, k;
	const float *scale, *bias; /* or NULL */
	const float *x;
	int64_t ldx;
	float *y;
	int64_t ldy;
	int64_t group;                /* outputs that see the same k columns of x; n: all */
	const float *norm_w, *norm_b; /* of the norm of x, or NULL; where cuda_few_can_norm() */
	float eps;
	int rows; /* 1 to CUDA_FEW_ROWS */
	bool add, has_act;
	enum gpu_unary act; /* GELU or RELU */
};
void cuda_few_rows(struct gpu *g, const struct cuda_few *f);
bool cuda_few_can_norm(const struct gpu *g, const struct cuda_few *f);

#ifdef __cplusplus
}
#endif
#endif
