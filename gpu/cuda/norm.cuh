/* norm.cuh: the norm of rows, whose bits depend on the length of a row alone, in whichever
 * kernel of norm.cu.
 *
 * Thread i of norm_threads(k) sums the fours i, i + threads, ... of a row in ascending order,
 * then lanes are summed as a tree and warps in ascending order; first x, then the squares of
 * what differs from the mean.  Kernels that have other threads play these. */
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

/* Four of a row of k from `at` on; zeros beyond.  is_aligned: k is a multiple of 4, the row at
 * 16 bytes. */
static __device__ __forceinline__ void norm_four(
	float (&v)[4], const float *row, int64_t at, int64_t k, bool is_aligned)
{
	if (is_aligned) {
		const float4 f = *reinterpret_cast<const float4 *>(row + at);
		v[0] = f.x;
		v[1] = f.y;
		v[2] = f.z;
		v[3] = f.w;
	} else {
#pragma unroll
		for (int j = 0; j < 4; j++)
			v[j] = at + j < k ? row[at + j] : 0;
	}
}

static __device__ __forceinline__ float norm_sum(float sum, const float (&v)[4])
{
	return sum + v[0] + v[1] + v[2] + v[3];
}

/* left: elements of the row from v on */
static __device__ __forceinline__ float norm_squares(
	float sum, const float (&v)[4], float mean, int64_t left)
{
#pragma unroll
	for (int j = 0; j < 4; j++) {
		const float d = j < left ? v[j] - mean : 0;
		sum = fmaf(d, d, sum);
	}
	return sum;
}

static __device__ __forceinline__ float norm_scale(float squares, int64_t k, float eps)
{
	return 1 / sqrtf(squares / (float)k + eps);
}

/* Mean (rms: 0) and 1 / sqrt(variance + eps) of a row, whose block has norm_threads(k)
 * threads.  shared: [2 * NORM_WARPS] */
static __device__ __forceinline__ void norm_moments(
	float *mean, float *scale, const float *row, int64_t k, float eps, bool rms, float *shared)
{
	const int64_t first = (int64_t)threadIdx.x * 4, step = (int64_t)blockDim.x * 4;
	const bool is_aligned = k % 4 == 0 && reinterpret_cast<uintptr_t>(row) % 16 == 0;
	float v[4], sum = 0;

	*mean = 0;
	if (!rms) {
		for (int64_t i = first; i < k; i += step) {
			norm_four(v, row, i, k, is_aligned);
			sum = norm_sum(sum, v);
		}
		*mean = block_sum(sum, shared) / (float)k;
	}
	sum = 0;
	for (int64_t i = first; i < k; i += step) {
		norm_four(v, row, i, k, is_aligned);
		sum = norm_squares(sum, v, *mean, k - i);
	}
	*scale = norm_scale(block_sum(sum, shared + NORM_WARPS), k, eps);
}

#endif
