/* Vector math for the files that are compiled once per instruction set:
 * VW lanes of f32, and the functions of them that the ops need.  Each lane
 * goes through the same operations, so a value's result does not depend on
 * its place.  Include from kernels*.c only.
 *
 * vexp: Cody-Waite reduction and the polynomial of Cephes' expf, error below
 * 2 ulp; 0 below -87.3 (results that would be subnormal), +inf above 88.7.
 * vexpm1: the same reduction, for x <= 0, error below 2 ulp.
 * verf: own minimax fits, of erf(x)/x below 1 and of log(1 - erf(x)) above,
 * error below 2 ulp.
 * vtanh: Cephes' tanhf; vsigmoid from vexp.
 * vsin2: sin(x)^2 by reduction to |r| <= pi / 2 in three parts, good to |x| = 8192, and
 * the Taylor polynomial of sin to r^13; error below 2e-7. */
#ifndef WOODSHED_GPU_CPU_VMATH_H
#define WOODSHED_GPU_CPU_VMATH_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined(__FMA__)
#include <immintrin.h>
#endif

#if defined(__AVX512F__)
enum { VW = 16 };
#elif defined(__AVX2__)
enum { VW = 8 };
#else
enum { VW = 4 };
#endif

typedef float vf __attribute__((vector_size(VW * 4), aligned(4), may_alias));
typedef int32_t vi __attribute__((vector_size(VW * 4), aligned(4), may_alias));
typedef uint32_t vu __attribute__((vector_size(VW * 4), aligned(4), may_alias));

#define INLINE static inline __attribute__((always_inline))

typedef uint16_t vh __attribute__((vector_size(VW * 2), aligned(2), may_alias));

/* To bf16, nearest even; NaN stays NaN, what is below the normal range is zero. */
INLINE vh vround_bf16(vf x)
{
	const vu u = (vu)x, rounded = (u + 0x7fffu + (u >> 16 & 1u)) >> 16;
	const vi is_nan = (vi)((u & 0x7fffffffu) > 0x7f800000u);
	const vi is_zero = (vi)((u & 0x7f800000u) == 0);
	const vi other = ((vi)rounded & ~is_zero) | ((vi)(u >> 16 & 0x8000u) & is_zero);

	return __builtin_convertvector(
		(vu)(((vi)(u >> 16 | 0x40u) & is_nan) | (other & ~is_nan)), vh);
}

/* mask is all ones or zero per lane, as comparisons give. */
INLINE vf vselect(vi mask, vf yes, vf no)
{
	return (vf)(((vi)yes & mask) | ((vi)no & ~mask));
}

INLINE vf vabs(vf x)
{
	return (vf)((vu)x & 0x7fffffffu);
}

/* a b + c, rounded once on every instruction set. */
INLINE vf vfma(vf a, vf b, vf c)
{
#if defined(__AVX512F__)
	return (vf)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(__FMA__)
	return (vf)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#else
	for (int i = 0; i < VW; i++)
		a[i] = __builtin_fmaf(a[i], b[i], c[i]);
	return a;
#endif
}

/* x = n log 2 + r with |r| <= log(2) / 2; returns e^r - 1. */
INLINE vf vexp_reduce(vf x, vi *ret_n)
{
	const vf magic = (vf){0} + 12582912.0f; /* 1.5 * 2^23: adding it rounds to an integer */
	vf z = x * 1.44269504088896341f + magic;
	vf k = z - magic;
	vf r = x - k * 0.693359375f + k * 2.12194440e-4f;
	vf p = r * 1.9875691500e-4f + 1.3981999507e-3f;
	p = p * r + 8.3334519073e-3f;
	p = p * r + 4.1665795894e-2f;
	p = p * r + 1.6666665459e-1f;
	p = p * r + 5.0000001201e-1f;
	*ret_n = (vi)z - (vi)magic;
	return p * (r * r) + r;
}

INLINE vf vexp(vf x)
{
	vi n;
	vf p = vexp_reduce(x, &n) + 1.0f;
	/* 2^n in two factors, as n may be 128 */
	vi half = n >> 1;
	p = p * (vf)((vu)(half + 127) << 23) * (vf)((vu)(n - half + 127) << 23);
	p = vselect(x < -87.33654f, (vf){0}, p);
	return vselect(x > 88.72283f, (vf){0} + INFINITY, p);
}

/* e^x - 1 for x <= 0. */
INLINE vf vexpm1(vf x)
{
	vi n;
	vf q = vexp_reduce(vselect(x < -30.0f, (vf){0} - 30.0f, x), &n);
	vf two_n = (vf)((vu)(n + 127) << 23);
	return two_n * q + (two_n - 1.0f);
}

INLINE vf verf(vf x)
{
	vf a = vabs(x), s = x * x;
	vf p = s * 7.853908e-05f - 8.010209e-04f;
	p = p * s + 5.1883296e-03f;
	p = p * s - 2.6853813e-02f;
	p = p * s + 1.12835854e-01f;
	p = p * s - 3.7612626e-01f;
	p = (p * s + 1.1283791f) * x;
	vf t = vselect(a < 4.0f, a, (vf){0} + 4.0f); /* erf(4) rounds to 1 */
	vf q = t * 1.8637926e-04f - 2.947659e-03f;
	q = q * t + 2.1838067e-02f;
	q = q * t - 1.0310676e-01f;
	q = q * t - 6.3814485e-01f;
	q = q * t - 1.1270891f;
	q = q * t - 3.415223e-04f;
	vf big = 1.0f - vexp(q);
	big = (vf)((vu)big | ((vu)x & 0x80000000u));
	return vselect(a < 1.0f, p, big);
}

INLINE vf vsigmoid(vf x)
{
	return 1.0f / (1.0f + vexp(-x));
}

INLINE vf vtanh(vf x)
{
	vf a = vabs(x), s = x * x;
	vf p = s * -5.70498872745e-3f + 2.06390887954e-2f;
	p = p * s - 5.37397155531e-2f;
	p = p * s + 1.33314422036e-1f;
	p = p * s - 3.33332819422e-1f;
	p = p * s * x + x;
	vf big = 1.0f - 2.0f / (vexp(a + a) + 1.0f);
	big = (vf)((vu)big | ((vu)x & 0x80000000u));
	return vselect(a < 0.625f, p, big);
}

INLINE vf vsin2(vf x)
{
	const vf magic = (vf){0} + 12582912.0f; /* as in vexp_reduce */
	vf k = (x * 0.31830988618379067f + magic) - magic;
	vf r = ((x - k * 3.140625f) - k * 9.67502593994140625e-4f) - k * 1.509957990978376432e-7f;
	vf s = r * r;
	vf p = s * 1.6059043836821613e-10f - 2.5052108385441720e-8f;
	p = p * s + 2.7557319223985893e-6f;
	p = p * s - 1.9841269841269841e-4f;
	p = p * s + 8.3333333333333333e-3f;
	p = p * s - 1.6666666666666667e-1f;
	p = p * s * r + r;
	return p * p;
}

#endif
