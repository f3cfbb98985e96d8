/* CUDA C++ for the host's compiler: what kernel.cuh and .cu files need of the language,
 * of threads, warps and atomics, and of arithmetic.  Included by kernel.cuh alone.
 *
 * A kernel is an ordinary function that a fibre calls once for each thread.  threadIdx
 * and its kin are calls to the emulator, so is everything in which threads meet.  The
 * files are compiled with -fsanitize=thread, whose calls at each access access.cpp
 * answers; nothing here may touch the emulator's own memory. */
#ifndef WOODSHED_EMULATED_KERNEL_CUH
#define WOODSHED_EMULATED_KERNEL_CUH

#include <math.h>
#include <stdint.h>
#include <string.h>
#include <tuple>
#include <type_traits>
#include <utility>

#include "tests/emulation/cuda_runtime.h"

#define __global__
#define __device__
#define __host__
#define __constant__
#define __grid_constant__
#define __launch_bounds__(...)
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__    __attribute__((noinline))
#define __align__(n)    __attribute__((aligned(n)))

/* ---- launches ----------------------------------------------------------- */

struct emulation_kernel {
	const char *name;
	const void *function;
	void (*call)(void *args); /* one thread */
	dim3 grid, block;
	size_t shared; /* bytes asked for */
	size_t args_bytes;
	bool is_early; /* may begin before the kernel before it has ended */
};

extern "C" {
/* Queues the kernel; the arguments are copied. */
cudaError_t emulation_launch(
	cudaStream_t stream, const struct emulation_kernel *kernel, const void *args);

/* The block's array of that key, the address of something that each SHARED has once. */
void *emulation_shared(const void *key, const char *name, size_t bytes, size_t align);
void *emulation_dynamic_shared(size_t align);
}

/* What a launch keeps: the function and its arguments, converted. */
template <class... P> struct emulation_call {
	static_assert((std::is_trivially_copyable_v<P> && ...), "arguments are copied as bytes");
	static_assert((!std::is_reference_v<P> && ...), "arguments are values");
	static_assert((sizeof(P) + ... + 0) <= 4096, "arguments have at most 4096 bytes");

	void (*kernel)(P...);
	std::tuple<P...> args;

	static void call(void *self)
	{
		emulation_call *c = static_cast<emulation_call *>(self);
		std::apply(c->kernel, c->args);
	}
};

template <class... P, class... A>
static inline cudaError_t emulation_launch_args(bool is_early, cudaStream_t stream,
	const char *name, void (*kernel)(P...), dim3 grid, dim3 block, size_t shared, A &&...args)
{
	const emulation_call<P...> c = {kernel, std::tuple<P...>(std::forward<A>(args)...)};
	const struct emulation_kernel k = {name, reinterpret_cast<const void *>(kernel),
		emulation_call<P...>::call, grid, block, shared, sizeof(c), is_early};

	return emulation_launch(stream, &k, &c);
}

#define NAME_OF(...) #__VA_ARGS__
#define LAUNCH_AS(is_early, g, kernel, grid, block, shared, ...)                                   \
	(emulation_launch_args((is_early), cuda_of(g)->stream, NAME_OF(kernel), kernel, (grid),    \
		 (block), (shared), __VA_ARGS__),                                                  \
		cuda_of(g)->launches += !(is_early),                                               \
		(void)cuda_ok(g, cudaPeekAtLastError(), NAME_OF(kernel)))
#define LAUNCH(...)       LAUNCH_AS(false, __VA_ARGS__)
#define LAUNCH_EARLY(...) LAUNCH_AS(true, __VA_ARGS__)

#define SHARED(type, name, extents)                                                                \
	static const char emulation_key_##name = 0;                                                \
	type(&name) extents = *reinterpret_cast<type(*) extents>(emulation_shared(                 \
		&emulation_key_##name, #name, sizeof(type extents), alignof(type)))
#define DYNAMIC_SHARED(type, name)                                                                 \
	type *name = static_cast<type *>(emulation_dynamic_shared(alignof(type)))

/* ---- threads ------------------------------------------------------------ */

/* Constant as far as one thread can see. */
extern "C" {
uint3 emulation_thread_index(void) __attribute__((const));
uint3 emulation_block_index(void) __attribute__((const));
uint3 emulation_block_extent(void) __attribute__((const));
uint3 emulation_grid_extent(void) __attribute__((const));
}
#define threadIdx emulation_thread_index()
#define blockIdx  emulation_block_index()
#define blockDim  emulation_block_extent()
#define gridDim   emulation_grid_extent()
static constexpr int warpSize = 32;

enum emulation_vote {
	EMULATION_NONE,
	EMULATION_COUNT,
	EMULATION_AND,
	EMULATION_OR,
};

/* As in kernel.cuh: what an early kernel reads before after_previous() must not be of early
 * kernels before it, and it writes nothing. */
extern "C" void emulation_after_previous(void);
static inline void after_previous(void)
{
	emulation_after_previous();
}
static inline void let_next_start(void)
{
}

extern "C" int emulation_barrier(enum emulation_vote vote, int predicate, int line);
#define __syncthreads()        ((void)emulation_barrier(EMULATION_NONE, 0, __LINE__))
#define __syncthreads_count(p) emulation_barrier(EMULATION_COUNT, p, __LINE__)
#define __syncthreads_and(p)   emulation_barrier(EMULATION_AND, p, __LINE__)
#define __syncthreads_or(p)    emulation_barrier(EMULATION_OR, p, __LINE__)

/* ---- warps -------------------------------------------------------------- */

enum emulation_warp_op {
	EMULATION_SYNC,
	EMULATION_SHUFFLE,
	EMULATION_SHUFFLE_UP,
	EMULATION_SHUFFLE_DOWN,
	EMULATION_SHUFFLE_XOR,
	EMULATION_BALLOT, /* and what follows from it */
	EMULATION_MATCH_ANY,
	EMULATION_REDUCE_ADD,
	EMULATION_REDUCE_MIN,
	EMULATION_REDUCE_MAX,
	EMULATION_REDUCE_AND,
	EMULATION_REDUCE_OR,
	EMULATION_REDUCE_XOR,
	EMULATION_REDUCE_MIN_SIGNED,
	EMULATION_REDUCE_MAX_SIGNED,
	EMULATION_MMA,
	EMULATION_LDMATRIX,
};
extern "C" {
/* The lanes of mask bring a value each and leave with the result of the op. */
uint64_t emulation_warp(
	enum emulation_warp_op op, unsigned mask, uint64_t value, unsigned lane, int width);
unsigned emulation_active_mask(void);
void emulation_mma_bf16(float d[4], const unsigned a[4], const unsigned b[2]);
void emulation_ldmatrix(unsigned *r, int n, bool transposed, const void *row);
void emulation_copy_async(void *shared, const void *global, size_t bytes, size_t bytes_read);
void emulation_copy_async_commit(void);
void emulation_copy_async_wait(unsigned n);
}

template <class T>
static inline T emulation_shuffle(
	enum emulation_warp_op op, unsigned mask, T value, unsigned lane, int width)
{
	static_assert(sizeof(T) == 4 || sizeof(T) == 8, "a shuffle moves 4 or 8 bytes");
	uint64_t bits = 0;

	__builtin_memcpy(&bits, &value, sizeof(T));
	bits = emulation_warp(op, mask, bits, lane, width);
	__builtin_memcpy(&value, &bits, sizeof(T));
	return value;
}

template <class T> static inline T __shfl_sync(unsigned mask, T v, int lane, int width = 32)
{
	return emulation_shuffle(EMULATION_SHUFFLE, mask, v, (unsigned)lane, width);
}
template <class T> static inline T __shfl_up_sync(unsigned mask, T v, unsigned n, int width = 32)
{
	return emulation_shuffle(EMULATION_SHUFFLE_UP, mask, v, n, width);
}
template <class T> static inline T __shfl_down_sync(unsigned mask, T v, unsigned n, int width = 32)
{
	return emulation_shuffle(EMULATION_SHUFFLE_DOWN, mask, v, n, width);
}
template <class T> static inline T __shfl_xor_sync(unsigned mask, T v, int lanes, int width = 32)
{
	return emulation_shuffle(EMULATION_SHUFFLE_XOR, mask, v, (unsigned)lanes, width);
}

static inline void __syncwarp(unsigned mask = 0xffffffffu)
{
	emulation_warp(EMULATION_SYNC, mask, 0, 0, 32);
}
static inline unsigned __ballot_sync(unsigned mask, int predicate)
{
	return (unsigned)emulation_warp(EMULATION_BALLOT, mask, predicate != 0, 0, 32);
}
static inline int __any_sync(unsigned mask, int predicate)
{
	return __ballot_sync(mask, predicate) != 0;
}
static inline int __all_sync(unsigned mask, int predicate)
{
	return __ballot_sync(mask, predicate) == mask;
}
static inline unsigned __activemask(void)
{
	return emulation_active_mask();
}
template <class T> static inline unsigned __match_any_sync(unsigned mask, T value)
{
	return (unsigned)emulation_shuffle<uint64_t>(
		EMULATION_MATCH_ANY, mask, (uint64_t)value, 0, 32);
}

#define EMULATION_REDUCE(name, type, op)                                                           \
	static inline type name(unsigned mask, type value)                                         \
	{                                                                                          \
		return (type)emulation_warp(op, mask, (uint64_t)value, 0, 32);                     \
	}
EMULATION_REDUCE(__reduce_add_sync, unsigned, EMULATION_REDUCE_ADD)
EMULATION_REDUCE(__reduce_add_sync, int, EMULATION_REDUCE_ADD)
EMULATION_REDUCE(__reduce_min_sync, unsigned, EMULATION_REDUCE_MIN)
EMULATION_REDUCE(__reduce_max_sync, unsigned, EMULATION_REDUCE_MAX)
EMULATION_REDUCE(__reduce_min_sync, int, EMULATION_REDUCE_MIN_SIGNED)
EMULATION_REDUCE(__reduce_max_sync, int, EMULATION_REDUCE_MAX_SIGNED)
EMULATION_REDUCE(__reduce_and_sync, unsigned, EMULATION_REDUCE_AND)
EMULATION_REDUCE(__reduce_or_sync, unsigned, EMULATION_REDUCE_OR)
EMULATION_REDUCE(__reduce_xor_sync, unsigned, EMULATION_REDUCE_XOR)
#undef EMULATION_REDUCE

/* As in kernel.cuh. */
static inline void mma_bf16_16x8x16(float d[4], const unsigned a[4], const unsigned b[2])
{
	emulation_mma_bf16(d, a, b);
}
static inline void ldmatrix_x4(unsigned r[4], const void *row)
{
	emulation_ldmatrix(r, 4, false, row);
}
static inline void ldmatrix_x2(unsigned r[2], const void *row)
{
	emulation_ldmatrix(r, 2, false, row);
}
static inline void ldmatrix_x4_trans(unsigned r[4], const void *row)
{
	emulation_ldmatrix(r, 4, true, row);
}
static inline void ldmatrix_x2_trans(unsigned r[2], const void *row)
{
	emulation_ldmatrix(r, 2, true, row);
}
static inline void copy_async_16(void *shared, const void *global, bool is_there)
{
	emulation_copy_async(shared, global, 16, is_there ? 16 : 0);
}
static inline void copy_async_commit(void)
{
	emulation_copy_async_commit();
}
template <int N> static inline void copy_async_wait(void)
{
	emulation_copy_async_wait(N);
}

/* ---- memory ------------------------------------------------------------- */

extern "C" {
void emulation_check_atomic(const void *p, size_t bytes);
void emulation_check_read(const void *p, size_t bytes);
void emulation_check_write(const void *p, size_t bytes);
uint64_t emulation_load(const void *p, size_t bytes);
void emulation_store(void *p, uint64_t bits, size_t bytes);
void *emulation_memcpy(void *dst, const void *src, size_t bytes);
void *emulation_memset(void *dst, int value, size_t bytes);
}
/* The compiler expands these without telling of the accesses. */
#define memcpy emulation_memcpy
#define memset emulation_memset

/* Threads are fibres of one thread, so plain accesses are atomic. */
template <class T, class F> static inline T emulation_atomic(T *p, F change)
{
	static_assert(sizeof(T) == 4 || sizeof(T) == 8, "atomics have 4 or 8 bytes");
	T old, next;

	emulation_check_atomic(p, sizeof(T));
	uint64_t bits = emulation_load(p, sizeof(T));
	__builtin_memcpy(&old, &bits, sizeof(T));
	next = change(old);
	__builtin_memcpy(&bits, &next, sizeof(T));
	emulation_store(p, bits, sizeof(T));
	return old;
}
#define EMULATION_ATOMIC(name, result)                                                             \
	template <class T> static inline T name(T *p, std::common_type_t<T> v)                     \
	{                                                                                          \
		return emulation_atomic(p, [=](T old) { return (T)(result); });                    \
	}
EMULATION_ATOMIC(atomicAdd, old + v)
EMULATION_ATOMIC(atomicSub, old - v)
EMULATION_ATOMIC(atomicExch, ((void)old, v))
EMULATION_ATOMIC(atomicMin, v < old ? v : old)
EMULATION_ATOMIC(atomicMax, v > old ? v : old)
EMULATION_ATOMIC(atomicAnd, old &v)
EMULATION_ATOMIC(atomicOr, old | v)
EMULATION_ATOMIC(atomicXor, old ^ v)
EMULATION_ATOMIC(atomicInc, old >= v ? 0 : old + 1)
EMULATION_ATOMIC(atomicDec, old == 0 || old > v ? v : old - 1)
#undef EMULATION_ATOMIC
template <class T>
static inline T atomicCAS(T *p, std::common_type_t<T> is, std::common_type_t<T> next)
{
	return emulation_atomic(p, [=](T old) { return old == is ? next : old; });
}

static inline void __threadfence(void)
{
}
static inline void __threadfence_block(void)
{
}

#define EMULATION_LOAD(name)                                                                       \
	template <class T> static inline T name(const T *p)                                        \
	{                                                                                          \
		return *p;                                                                         \
	}
EMULATION_LOAD(__ldg)
EMULATION_LOAD(__ldca)
EMULATION_LOAD(__ldcg)
EMULATION_LOAD(__ldcs)
EMULATION_LOAD(__ldlu)
EMULATION_LOAD(__ldcv)
#undef EMULATION_LOAD
#define EMULATION_STORE(name)                                                                      \
	template <class T> static inline void name(T *p, std::common_type_t<T> v)                  \
	{                                                                                          \
		*p = v;                                                                            \
	}
EMULATION_STORE(__stwb)
EMULATION_STORE(__stcg)
EMULATION_STORE(__stcs)
EMULATION_STORE(__stwt)
#undef EMULATION_STORE

#include "tests/emulation/arithmetic.cuh"

#endif
