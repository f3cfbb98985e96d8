/* stream.cuh: the products of a few rows, bound by reading the weights: for OUTS rows of
 * weights and ROWS of x, a block computes all OUTS * ROWS sums of products at once.
 *
 * Thread i of a block takes the fours i, i + threads, ... of k, so that both the weights (16,
 * 8 or 4 bytes a load and lane) and x (16 bytes, from the L1 cache) are read side by side;
 * larger loads of weights would tear x apart, which bounds 8 rows.  A four of x serves OUTS
 * rows of weights, a four of weights ROWS of x, both in registers.  Several fours are
 * unrolled, so that 64 bytes of weights a thread are on their way.
 *
 * Sums of a thread are fused multiply-adds in ascending order of k; then lanes are summed as
 * a tree (distances 16, 8, 4, 2, 1) and warps in ascending order.  All of that depends on K
 * alone: a row of x gives the same bits whatever rows come with it. */
#ifndef WOODSHED_GPU_CUDA_STREAM_CUH
#define WOODSHED_GPU_CUDA_STREAM_CUH

#include "gpu/cuda/norm.cuh"

enum {
	STREAM_ROWS = 8, /* of x, at most */
	STREAM_THREADS = NORM_THREADS,
	STREAM_WARPS = STREAM_THREADS / WARP,
	STREAM_OUTS = 4, /* rows of weights that share x in registers, at most */
	STREAM_SUMS = STREAM_OUTS * STREAM_ROWS,
/* Fours of bf16 or bytes that 8 rows unroll: on 10.0 ptxas has no room for a second. */
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ == 1000
	STREAM_EIGHT_FOURS = 1,
#else
	STREAM_EIGHT_FOURS = 2,
#endif
};

/* Four weights.  They are read once: they do not push x out of the L1 cache. */
static __device__ __forceinline__ void stream_weights(const float *p, float (&w)[4])
{
#if defined(__CUDA_ARCH__)
	asm("ld.global.nc.L1::no_allocate.v4.f32 {%0, %1, %2, %3}, [%4];"
		: "=f"(w[0]), "=f"(w[1]), "=f"(w[2]), "=f"(w[3])
		: "l"(p));
#else
	const float4 v = *reinterpret_cast<const float4 *>(p);

	w[0] = v.x;
	w[1] = v.y;
	w[2] = v.z;
	w[3] = v.w;
#endif
}

static __device__ __forceinline__ void stream_weights(const uint16_t *p, float (&w)[4])
{
	unsigned low, high;

#if defined(__CUDA_ARCH__)
	asm("ld.global.nc.L1::no_allocate.v2.u32 {%0, %1}, [%2];" : "=r"(low), "=r"(high) : "l"(p));
#else
	const uint2 v = *reinterpret_cast<const uint2 *>(p);

	low = v.x;
	high = v.y;
#endif
	w[0] = __uint_as_float(low << 16);
	w[1] = __uint_as_float(low & 0xffff0000u);
	w[2] = __uint_as_float(high << 16);
	w[3] = __uint_as_float(high & 0xffff0000u);
}

static __device__ __forceinline__ void stream_weights(const int8_t *p, float (&w)[4])
{
	unsigned v;

#if defined(__CUDA_ARCH__)
	asm("ld.global.nc.L1::no_allocate.u32 %0, [%1];" : "=r"(v) : "l"(p));
#else
	v = *reinterpret_cast<const unsigned *>(p);
#endif
#pragma unroll
	for (int j = 0; j < 4; j++)
		w[j] = (float)(int8_t)(v >> 8 * j & 0xff);
}

/* sum[o*ROWS + m] = this thread's part of w[o] . x row m; rows of x from n_rows on repeat
 * the last. */
template <typename T, int ROWS, int OUTS, bool ALIGNED, int N>
static __device__ __forceinline__ void stream_part(float (&sum)[N], const T *const (&w)[OUTS],
	const float *x, int64_t ldx, int n_rows, int64_t k)
{
	const int64_t step = (int64_t)blockDim.x * 4;

#pragma unroll
	for (int i = 0; i < N; i++)
		sum[i] = 0;
#pragma unroll(ROWS == STREAM_ROWS && sizeof(T) < 4 ? STREAM_EIGHT_FOURS : 4 / sizeof(T))
	for (int64_t at = (int64_t)threadIdx.x * 4; at < k; at += step) {
		float v[OUTS][4];
#pragma unroll
		for (int o = 0; o < OUTS; o++)
			stream_weights(w[o] + at, v[o]);
#pragma unroll
		for (int m = 0; m < ROWS; m++) {
			const int row = m < n_rows ? m : n_rows - 1;
			float f[4];
			norm_four(f, x + row * ldx + at, 0, k - at, ALIGNED);
#pragma unroll
			for (int o = 0; o < OUTS; o++)
#pragma unroll
				for (int j = 0; j < 4; j++)
					sum[o * ROWS + m] = fmaf(v[o][j], f[j], sum[o * ROWS + m]);
		}
	}
}

/* Sums over lanes of N values at once, N a power of two up to 32: each exchange halves what a
 * lane still has to sum.  Value i goes to part[i].  The tree of each is that of warp_sum(). */
template <int N> static __device__ __forceinline__ void stream_lanes(float (&v)[N], float *part)
{
	const int lane = (int)(threadIdx.x % WARP);
	int n = N;

#pragma unroll
	for (int d = WARP / 2; d > 0; d /= 2) {
		if (n == 1) {
			v[0] += __shfl_xor_sync(ALL_LANES, v[0], d);
			continue;
		}
		n /= 2;
		const bool upper = lane & d;
#pragma unroll
		for (int i = 0; i < N / 2; i++) {
			if (i >= n)
				break;
			const float kept = upper ? v[i + n] : v[i];
			const float sent = upper ? v[i] : v[i + n];
			v[i] = kept + __shfl_xor_sync(ALL_LANES, sent, d);
		}
	}
	if (lane % (WARP / N) == 0)
		part[lane / (WARP / N)] = v[0];
}

/* Value i over all warps of the block. */
static __device__ __forceinline__ float stream_total(const float *parts, int n, int i)
{
	float s = parts[i];

	for (int warp = 1; warp < (int)(blockDim.x / WARP); warp++)
		s += parts[warp * n + i];
	return s;
}

/* Threads of a block for K weights a row: as many as a norm of the row takes. */
static inline unsigned stream_threads(int64_t k)
{
	return norm_threads(k);
}

/* Whether rows of x, ldx apart, may be read four floats at a time. */
static inline bool stream_is_aligned(const float *x, int64_t ldx, int64_t k)
{
	return k % 4 == 0 && ldx % 4 == 0 && (uintptr_t)x % 16 == 0;
}

#endif
