/* The inner loops of group norm, once per instruction set, by the rules of
 * vec_kernels.h. */
#ifndef WOODSHED_GPU_CPU_IMAGE_KERNELS_H
#define WOODSHED_GPU_CPU_IMAGE_KERNELS_H

#include <stdint.h>

struct image_kernels {
	/* sums[c] += x[r][c], squares[c] += x[r][c]^2 over n rows of width values. */
	void (*moments)(
		double *sums, double *squares, const float *x, int64_t n_rows, int64_t width);
	/* y[r][c] = x[r][c] * scale[c] + shift[c], then v * sigmoid(v) if silu; y may be x. */
	void (*affine)(float *y, const float *x, const float *scale, const float *shift,
		int64_t n_rows, int64_t width, int silu);
};

extern const struct image_kernels image_kernels_generic, image_kernels_avx2, image_kernels_avx512,
	image_kernels_amx;

/* For an instruction set (enum cpu_isa; group_norm.c). */
const struct image_kernels *image_kernels_for(int isa);

#endif
