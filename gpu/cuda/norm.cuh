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

static __device__ __forceinline__ void store_four(float *y, const float (&v)[4])
{
	*reinterpret_cast<float4 *>(y) = make_float4(v[0], v[1], v[2], v[3]);
}

static __device__ __forceinline__ void store_four(uint16_t *y, const float (&v)[4])
{
	*reinterpret_cast<uint2 *>(y) =
		make_uint2(f32_to_bf16_pair(v[0], v[1]), f32_to_bf16_pair(v[2], v[3]));
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

/* Mean (rms: 0) and 1 / sqrt(variance + eps) of N rows; those from n_rows on repeat the last.
 * The block has norm_threads(k) threads.  shared: [2 * N * NORM_WARPS] */
template <int N>
static __device__ __forceinline__ void norm_moments(float (&mean)[N], float (&scale)[N],
	const float *x, int64_t ldx, int n_rows, int64_t k, float eps, bool rms, float *shared)
{
	const int64_t first = (int64_t)threadIdx.x * 4, step = (int64_t)blockDim.x * 4;
	const bool is_aligned = ((k | ldx) & 3) == 0 && (reinterpret_cast<uintptr_t>(x) & 15) == 0;
	const float *row[N];
	float v[4];

#pragma unroll
	for (int m = 0; m < N; m++) {
		row[m] = x + (m < n_rows ? m : n_rows - 1) * ldx;
		mean[m] = scale[m] = 0;
	}
	if (!rms) {
		for (int64_t i = first; i < k; i += step)
#pragma unroll
			for (int m = 0; m < N; m++) {
				norm_four(v, row[m], i, k, is_aligned);
				mean[m] = norm_sum(mean[m], v);
			}
		block_sums<N>(mean, shared);
#pragma unroll
		for (int m = 0; m < N; m++)
			mean[m] /= (float)k;
	}
	for (int64_t i = first; i < k; i += step)
#pragma unroll
		for (int m = 0; m < N; m++) {
			norm_four(v, row[m], i, k, is_aligned);
			scale[m] = norm_squares(scale[m], v, mean[m], k - i);
		}
	block_sums<N>(scale, shared + N * NORM_WARPS);
#pragma unroll
	for (int m = 0; m < N; m++)
		scale[m] = norm_scale(scale[m], k, eps);
}

#endif
