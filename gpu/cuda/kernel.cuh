/* kernel.cuh: launching kernels, shared memory, and what many kernels need.  For .cu
 * files, which include nothing else of the toolkit.
 *
 * LAUNCH(g, kernel, grid, block, shared, args...)
 *	runs kernel<<<grid, block, shared>>>(args...) on the device's stream; what goes
 *	wrong is told by gpu_fail() with the kernel's name.  A kernel that is a template
 *	is named in parentheses: LAUNCH(g, (fill<float>), ...).  grid.x reaches 2^31 - 1,
 *	grid.y and grid.z 65 535.
 * LAUNCH_EARLY(...)
 *	the same, but blocks may begin before the kernel before it has ended, as soon as all of
 *	that one's blocks called let_next_start() or ended.  The kernel calls after_previous()
 *	before it touches what others write; until then it may read weights alone.  A block
 *	that touches nothing else need not, but one of each launch does, so that whoever waits
 *	for that waits for what was before, too.
 * SHARED(type, name, [n]...)
 *	an array in shared memory: SHARED(float, tile, [32][33]);
 * DYNAMIC_SHARED(type, name)
 *	type *name: the bytes of the launch.
 * UNROLL(n)
 *	before a loop: so many turns at once. */
#ifndef WOODSHED_GPU_CUDA_KERNEL_CUH
#define WOODSHED_GPU_CUDA_KERNEL_CUH

#include "gpu/cuda/cuda.h"

#include <cuda_bf16.h>
#include <math.h>

#if defined(WOODSHED_EMULATED)
#define UNROLL(n)
#include "tests/emulation/kernel.cuh"
#else
#define UNROLL_TEXT(text) _Pragma(#text)
#define UNROLL(n)         UNROLL_TEXT(unroll n)
#define NAME_OF(...)      #__VA_ARGS__
#define LAUNCH(g, kernel, grid, block, shared, ...)                                                \
	(kernel<<<(grid), (block), (shared), cuda_of(g)->stream>>>(__VA_ARGS__),                   \
		cuda_of(g)->launches++, (void)cuda_ok(g, cudaPeekAtLastError(), NAME_OF(kernel)))
#define LAUNCH_EARLY(g, kernel, grid, block, shared, ...)                                          \
	launch_early((g), NAME_OF(kernel), kernel, (grid), (block), (shared), __VA_ARGS__)
#define SHARED(type, name, extents) __shared__ type name extents
#define DYNAMIC_SHARED(type, name)                                                                 \
	extern __shared__ __align__(16) unsigned char woodshed_dynamic_shared[];                   \
	type *name = reinterpret_cast<type *>(woodshed_dynamic_shared)
#endif

#if !defined(WOODSHED_EMULATED)
static __device__ __forceinline__ void after_previous(void)
{
#if __CUDA_ARCH__ >= 900
	asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}
static __device__ __forceinline__ void let_next_start(void)
{
#if __CUDA_ARCH__ >= 900
	asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

template <class... P, class... A>
static inline void launch_early(struct gpu *g, const char *name, void (*kernel)(P...), dim3 grid,
	dim3 block, size_t shared, A &&...args)
{
	cudaLaunchAttribute early = {};
	cudaLaunchConfig_t config = {};

	early.id = cudaLaunchAttributeProgrammaticStreamSerialization;
	early.val.programmaticStreamSerializationAllowed = 1;
	config.gridDim = grid;
	config.blockDim = block;
	config.dynamicSmemBytes = shared;
	config.stream = cuda_of(g)->stream;
	config.attrs = &early;
	config.numAttrs = cuda_of(g)->can_start_early;
	cuda_ok(g, cudaLaunchKernelEx(&config, kernel, P(args)...), name);
}
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

/* The sum of x over the block, in all its threads (whole warps), in a fixed order.  shared:
 * [warps]; free for reuse after the next barrier. */
static __device__ __forceinline__ float block_sum(float x, float *shared)
{
	const int warp = threadIdx.x / WARP, n_warps = blockDim.x / WARP;
	float sum = 0;

	x = warp_sum(x);
	if (threadIdx.x % WARP == 0)
		shared[warp] = x;
	__syncthreads();
	for (int w = 0; w < n_warps; w++)
		sum += shared[w];
	return sum;
}

/* x scale + bias, rounded twice, so that it has the same bits in every kernel: nvcc may make
 * one of a product and a sum, where it sees fit. */
static __device__ __forceinline__ float scaled(float x, float scale, float bias)
{
	return __fadd_rn(__fmul_rn(x, scale), bias);
}

/* 2^x to 2 ulp, 0 below 2^-126 */
static __device__ __forceinline__ float exp2_fast(float x)
{
#if defined(WOODSHED_EMULATED)
	return exp2f(x);
#else
	float y;
	asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
	return y;
#endif
}

/* Counts a block that comes to where n meet: how many came before; 0 again after the last.  What
 * a block wrote before the barrier before this, the threads of one that finds it here see after
 * the barrier after it. */
static __device__ __forceinline__ unsigned arrive(unsigned *count, unsigned n)
{
#if defined(WOODSHED_EMULATED)
	return atomicInc(count, n - 1);
#else
	unsigned before;
	asm volatile("atom.acq_rel.gpu.global.inc.u32 %0, [%1], %2;"
		     : "=r"(before)
		     : "l"(count), "r"(n - 1)
		     : "memory");
	return before;
#endif
}

/* Tells what is wrong at the next gpu_sync(). */
static __device__ __forceinline__ void tell_fault(
	unsigned long long *status, enum cuda_fault fault, int at)
{
	atomicMin(status, (unsigned long long)(unsigned)at << 8 | (unsigned)fault);
}

static __device__ __forceinline__ float bf16_to_f32(uint16_t bits)
{
	return __uint_as_float((unsigned)bits << 16);
}

/* To nearest even; NaN stays NaN. */
static __device__ __forceinline__ uint16_t f32_to_bf16(float f)
{
#if __CUDA_ARCH__ >= 800
	return __bfloat16_as_ushort(__float2bfloat16_rn(f));
#else
	const unsigned u = __float_as_uint(f);

	if ((u & 0x7fffffff) > 0x7f800000)
		return (uint16_t)(u >> 16 | 0x40);
	return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
#endif
}

/* Two of them, the first where it lies first in memory. */
static __device__ __forceinline__ unsigned f32_to_bf16_pair(float first, float second)
{
#if __CUDA_ARCH__ >= 800
	unsigned pair;
	asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(second), "f"(first));
	return pair;
#else
	return (unsigned)f32_to_bf16(second) << 16 | f32_to_bf16(first);
#endif
}

/* a & b | c, in one instruction even where b and c are constants */
static __device__ __forceinline__ unsigned and_or(unsigned a, unsigned b, unsigned c)
{
#if defined(WOODSHED_EMULATED)
	return (a & b) | c;
#else
	unsigned d;
	asm("lop3.b32 %0, %1, %2, %3, 0xea;" : "=r"(d) : "r"(a), "r"(b), "r"(c));
	return d;
#endif
}

/* a - b of each of two bf16 numbers, to nearest even; compute capability 8.0 or newer. */
static __device__ __forceinline__ unsigned subtract_bf16_pairs(unsigned a, unsigned b)
{
#if defined(WOODSHED_EMULATED)
	return f32_to_bf16_pair(__uint_as_float(a << 16) - __uint_as_float(b << 16),
		__uint_as_float(a & 0xffff0000u) - __uint_as_float(b & 0xffff0000u));
#else
	unsigned d = 0;
#if __CUDA_ARCH__ >= 800
	asm("fma.rn.bf16x2 %0, %1, %2, %3;" : "=r"(d) : "r"(b), "r"(0xbf80bf80u), "r"(a));
#endif
	return d;
#endif
}

/* *y = f, rounded to what y is. */
static __device__ __forceinline__ void store(float *y, float f)
{
	*y = f;
}

static __device__ __forceinline__ void store(uint16_t *y, float f)
{
	*y = f32_to_bf16(f);
}

/* Four of them at once, where y lies at four of its elements. */
static __device__ __forceinline__ void store_four(float *y, const float (&v)[4])
{
	*reinterpret_cast<float4 *>(y) = make_float4(v[0], v[1], v[2], v[3]);
}

static __device__ __forceinline__ void store_four(uint16_t *y, const float (&v)[4])
{
	*reinterpret_cast<uint2 *>(y) =
		make_uint2(f32_to_bf16_pair(v[0], v[1]), f32_to_bf16_pair(v[2], v[3]));
}

/* ---- tensor cores, compute capability 8.0 or newer ---------------------- */

/* mma_bf16_16x8x16	d[16,8] += a[16,16] b[16,8] of a warp, fragments as PTX has them
 * ldmatrix_x4		four 8 x 8 tiles of 16 bits; lane 8i + r names row r of tile i in
 *			shared memory, 16-byte aligned; trans: transposed
 * copy_async_16	16 bytes to shared memory, zeros unless is_there; they are there after
 *			commit, wait<groups that may be under way>, and a barrier */
#if !defined(WOODSHED_EMULATED)
static __device__ __forceinline__ void mma_bf16_16x8x16(
	float d[4], const unsigned a[4], const unsigned b[2])
{
#if __CUDA_ARCH__ >= 800
	asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, "
		     "{%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
		     : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
		     : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#endif
}
static __device__ __forceinline__ void ldmatrix_x4(unsigned r[4], const void *row)
{
	const unsigned at = (unsigned)__cvta_generic_to_shared(row);
	asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
		     : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
		     : "r"(at)
		     : "memory");
}
static __device__ __forceinline__ void ldmatrix_x4_trans(unsigned r[4], const void *row)
{
	const unsigned at = (unsigned)__cvta_generic_to_shared(row);
	asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
		     : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
		     : "r"(at)
		     : "memory");
}
static __device__ __forceinline__ void copy_async_16(
	void *shared, const void *global, bool is_there)
{
#if __CUDA_ARCH__ >= 800
	const unsigned at = (unsigned)__cvta_generic_to_shared(shared);
	asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(at), "l"(global),
		     "r"(is_there ? 16 : 0)
		     : "memory");
#endif
}
static __device__ __forceinline__ void copy_async_commit(void)
{
#if __CUDA_ARCH__ >= 800
	asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}
template <int N> static __device__ __forceinline__ void copy_async_wait(void)
{
#if __CUDA_ARCH__ >= 800
	asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory");
#endif
}
#endif

#endif
