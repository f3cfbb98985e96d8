/* bf16 of the toolkit, as far as kernels use it: conversions to nearest even. */
#ifndef WOODSHED_EMULATED_CUDA_BF16_H
#define WOODSHED_EMULATED_CUDA_BF16_H

#ifdef __cplusplus
#include <stdint.h>

#include "tests/emulation/cuda_runtime.h"

struct __nv_bfloat16 {
	uint16_t emulated_bits;
};
struct __nv_bfloat162 {
	__nv_bfloat16 x, y;
} __attribute__((aligned(4)));
typedef __nv_bfloat16 nv_bfloat16;
typedef __nv_bfloat162 nv_bfloat162;

static inline float __bfloat162float(__nv_bfloat16 h)
{
	const uint32_t u = (uint32_t)h.emulated_bits << 16;
	float f;

	__builtin_memcpy(&f, &u, 4);
	return f;
}

static inline __nv_bfloat16 __float2bfloat16_rn(float f)
{
	uint32_t u;

	__builtin_memcpy(&u, &f, 4);
	if ((u & 0x7fffffff) > 0x7f800000)
		return __nv_bfloat16{0x7fff};
	return __nv_bfloat16{(uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16)};
}

static inline __nv_bfloat16 __float2bfloat16(float f)
{
	return __float2bfloat16_rn(f);
}

static inline __nv_bfloat162 __floats2bfloat162_rn(float x, float y)
{
	return __nv_bfloat162{__float2bfloat16_rn(x), __float2bfloat16_rn(y)};
}

static inline __nv_bfloat162 __float22bfloat162_rn(float2 f)
{
	return __floats2bfloat162_rn(f.x, f.y);
}

static inline float2 __bfloat1622float2(__nv_bfloat162 h)
{
	return float2{__bfloat162float(h.x), __bfloat162float(h.y)};
}

static inline float __low2float(__nv_bfloat162 h)
{
	return __bfloat162float(h.x);
}

static inline float __high2float(__nv_bfloat162 h)
{
	return __bfloat162float(h.y);
}

static inline uint16_t __bfloat16_as_ushort(__nv_bfloat16 h)
{
	return h.emulated_bits;
}

static inline __nv_bfloat16 __ushort_as_bfloat16(uint16_t bits)
{
	return __nv_bfloat16{bits};
}

#endif
#endif
