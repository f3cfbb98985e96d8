/* norm.cuh: the norm of rows, the same bits wherever it is computed: they depend on the
 * length of a row alone. */
#ifndef WOODSHED_GPU_CUDA_NORM_CUH
#define WOODSHED_GPU_CUDA_NORM_CUH

#include "gpu/cuda/kernel.cuh"

enum { NORM_THREADS = 256, NORM_WARPS = NORM_THREADS / WARP };

/* Threads of a block for rows of k. */
static inline unsigned norm_threads(int64_t k)
{
	const int64_t n = (k + 4 * WARP - 1) / (4 * WARP) * WARP;

	return n < NORM_THREADS ? (unsigned)n : (unsigned)NORM_THREADS;
}

/* Mean (rms: 0) and 1 / sqrt(variance + eps) of N rows; those from n_rows on repeat the last.
 * The block has norm_threads(k) threads.  shared: [2 * N * NORM_WARPS] */
template <int N>
static __device__ __forceinline__ void norm_moments(float (&mean)[N], float (&scale)[N],
	const float *x, int64_t ldx, int n_rows, int64_t k, float eps, bool rms, float *shared)
{
	const float *row[N];

#pragma unroll
	for (int m = 0; m < N; m++) {
		row[m] = x + (m < n_rows ? m : n_rows - 1) * ldx;
		mean[m] = scale[m] = 0;
	}
	if (!rms) {
		for (int64_t i = threadIdx.x; i < k; i += blockDim.x)
#pragma unroll
			for (int m = 0; m < N; m++)
				mean[m] += row[m][i];
		block_sums<N>(mean, shared);
#pragma unroll
		for (int m = 0; m < N; m++)
			mean[m] /= (float)k;
	}
	for (int64_t i = threadIdx.x; i < k; i += blockDim.x)
#pragma unroll
		for (int m = 0; m < N; m++) {
			const float d = row[m][i] - mean[m];
			scale[m] = fmaf(d, d, scale[m]);
		}
	block_sums<N>(scale, shared + N * NORM_WARPS);
#pragma unroll
	for (int m = 0; m < N; m++)
		scale[m] = 1 / sqrtf(scale[m] / (float)k + eps);
}

#endif
