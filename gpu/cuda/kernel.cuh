/* kernel.cuh: launching kernels, shared memory, and what many kernels need.  For .cu
 * files, which include nothing else of the toolkit.
 *
 * LAUNCH(g, kernel, grid, block, shared, args...)
 *	runs kernel<<<grid, block, shared>>>(args...) on the device's stream; what goes
 *	wrong is told by gpu_fail() with the kernel's name.  A kernel that is a template
 *	is named in parentheses: LAUNCH(g, (fill<float>), ...).  grid.x reaches 2^31 - 1,
 *	grid.y and grid.z 65 535.
 * SHARED(type, name, [n]...)
 *	an array in shared memory: SHARED(float, tile, [32][33]);
 * DYNAMIC_SHARED(type, name)
 *	type *name: the bytes of the launch. */
#ifndef WOODSHED_GPU_CUDA_KERNEL_CUH
#define WOODSHED_GPU_CUDA_KERNEL_CUH

#include "gpu/cuda/cuda.h"

#include <cuda_bf16.h>
#include <math.h>

#if defined(WOODSHED_EMULATED)
#include "tests/emulation/kernel.cuh"
#else
#define NAME_OF(...) #__VA_ARGS__
#define LAUNCH(g, kernel, grid, block, shared, ...)                                                \
	(kernel<<<(grid), (block), (shared), cuda_of(g)->stream>>>(__VA_ARGS__),                   \
		(void)cuda_ok(g, cudaPeekAtLastError(), NAME_OF(kernel)))
#define SHARED(type, name, extents) __shared__ type name extents
#define DYNAMIC_SHARED(type, name)                                                                 \
	extern __shared__ __align__(16) unsigned char woodshed_dynamic_shared[];                   \
	type *name = reinterpret_cast<type *>(woodshed_dynamic_shared)
#endif

enum { WARP = 32 };
#define ALL_LANES 0xffffffffu

/* Blocks that cover n. */
static inline unsigned blocks_for(int64_t n, int64_t per_block)
{
	return (unsigned)((n + per_block - 1) / per_block);
}

static __device__ __forceinline__ float warp_sum(float x)
{
	for (int lane = WARP / 2; lane > 0; lane /= 2)
		x += __shfl_xor_sync(ALL_LANES, x, lane);
	return x;
}

static __device__ __forceinline__ float warp_max(float x)
{
	for (int lane = WARP / 2; lane > 0; lane /= 2)
		x = fmaxf(x, __shfl_xor_sync(ALL_LANES, x, lane));
	return x;
}

/* The sum over the block, for all its threads (at most 1024, whole warps), in a fixed
 * order.  shared: [32]; free for reuse after the next barrier. */
static __device__ __forceinline__ float block_sum(float x, float *shared)
{
	const int warp = threadIdx.x / WARP, n_warps = blockDim.x / WARP;
	float sum = 0;

	x = warp_sum(x);
	if (threadIdx.x % WARP == 0)
		shared[warp] = x;
	__syncthreads();
	for (int i = 0; i < n_warps; i++)
		sum += shared[i];
	return sum;
}

/* Tells what is wrong at the next gpu_sync(); the first one wins. */
static __device__ __forceinline__ void tell_fault(struct cuda_status *status, int fault, int at)
{
	if (atomicCAS(&status->fault, CUDA_NO_FAULT, fault) == CUDA_NO_FAULT)
		status->at = at;
}

static __device__ __forceinline__ float bf16_to_f32(uint16_t bits)
{
	return __uint_as_float((unsigned)bits << 16);
}

/* To nearest even; NaN stays NaN. */
static __device__ __forceinline__ uint16_t f32_to_bf16(float f)
{
	const unsigned u = __float_as_uint(f);

	if ((u & 0x7fffffff) > 0x7f800000)
		return (uint16_t)(u >> 16 | 0x40);
	return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

#endif
