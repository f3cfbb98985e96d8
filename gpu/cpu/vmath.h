/* Vector math for the files that are compiled once per instruction set:
 * VW lanes of f32, and the functions of them that the ops need.  Each lane
 * goes through the same operations, so a value's result does not depend on
 * its place.  Include from kernels*.c only.
 *
 * vexp: Cody-Waite reduction and the polynomial of Cephes' expf, error below
 * 2 ulp; 0 below -87.3 (results that would be subnormal), +inf above 88.7.
 * vexpm1: the same reduction, for x <= 0, error below 2 ulp.
 * vgelu: own minimax fit of log2 Phi(-x) for 0 <= x <= 6, weighted for an error below
 * 1.4 * 2^-24 |x|; below -6 it is -5.9e-9.
 * vtanh: Cephes' tanhf; vsigmoid and vsilu, x sigmoid(x), from vexp.
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
/* Before loops over arrays that are meant to be registers. */
#if defined(__clang__)
#define UNROLL _Pragma("unroll 16")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif
#define VF(x) ((vf){0} + (x))

typedef double vd __attribute__((vector_size(VW * 8)));
typedef int64_t vl __attribute__((vector_size(VW * 8)));
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
#elif defined(__FP_FAST_FMAF)
	for (int i = 0; i < VW; i++)
		a[i] = __builtin_fmaf(a[i], b[i], c[i]);
	return a;
#else
	/* The product is exact in f64; the sum is, but for an error that is known (Knuth's
	 * TwoSum).  Where there is one the last bit is made odd (Boldo and Melquiond, 2008), so
	 * that rounding to f32 sees it. */
	const vd p = __builtin_convertvector(a, vd) * __builtin_convertvector(b, vd),
		 z = __builtin_convertvector(c, vd), s = p + z, t = s - p,
		 e = (p - (s - t)) + (z - t);
	const vl even = ((vl)s & 1) - 1, away = ~((e > 0) ^ (s > 0));

	return __builtin_convertvector(
		(vd)((vl)s + (((e > 0) | (e < 0)) & even & ((away & 2) - 1))), vf);
#endif
}

/* a b + c, rounded once where the instruction set can, whatever a compiler makes of a b + c. */
INLINE vf vmadd(vf a, vf b, vf c)
{
#if defined(__FMA__) || defined(__FP_FAST_FMAF)
	return vfma(a, b, c);
#else
	return a * b + c;
#endif
}

/* x = n log 2 + r with |r| <= log(2) / 2; returns e^r - 1. */
INLINE vf vexp_reduce(vf x, vi *ret_n)
{
	const vf magic = VF(12582912.0f); /* 1.5 * 2^23: adding it rounds to an integer */
	vf z = vfma(x, VF(1.44269504088896341f), magic);
	vf k = z - magic;
	vf r = vfma(k, VF(2.12194440e-4f), vfma(k, VF(-0.693359375f), x));
	vf p = vfma(r, VF(1.9875691500e-4f), VF(1.3981999507e-3f));
	p = vfma(p, r, VF(8.3334519073e-3f));
	p = vfma(p, r, VF(4.1665795894e-2f));
	p = vfma(p, r, VF(1.6666665459e-1f));
	p = vfma(p, r, VF(5.0000001201e-1f));
	*ret_n = (vi)z - (vi)magic;
	return vfma(p, r * r, r);
}

INLINE vf vexp(vf x)
{
	vi n;
	vf p = vexp_reduce(x, &n) + 1.0f;
	/* 2^n in two factors, as n may be 128 */
	vi half = n >> 1;
	p = p * (vf)((vu)(half + 127) << 23) * (vf)((vu)(n - half + 127) << 23);
	p = vselect(x < -87.33654f, (vf){0}, p);
	return vselect(x > 88.72283f, VF(INFINITY), p);
}

/* e^x - 1 for x <= 0. */
INLINE vf vexpm1(vf x)
{
	vi n;
	vf q = vexp_reduce(vselect(x < -30.0f, VF(-30.0f), x), &n);
	vf two_n = (vf)((vu)(n + 127) << 23);
	return vfma(two_n, q, two_n - 1.0f);
}

/* 2^x for x > -126: x = n + r with |r| <= 1/2, and 2^r as a minimax polynomial, error below
 * 1.4 * 2^-24. */
INLINE vf vexp2(vf x)
{
	static const float c[] = {1.5353362e-4f, 1.3398875e-3f, 9.6184370e-3f, 5.5503324e-2f,
		2.4022648e-1f, 6.9314718e-1f, 1};
	const vf magic = VF(12582912.0f); /* as in vexp_reduce */
	const vf z = x + magic, r = x - (z - magic);
	vf p = VF(c[0]);

	for (int i = 1; i < (int)(sizeof(c) / sizeof(*c)); i++)
		p = vfma(p, r, VF(c[i]));
	/* n is in the low bits of z. */
	return (vf)((vu)p + ((vu)z << 23));
}

/* 2^x for x >= -125, or infinity: x = n + r with 0 <= r <= 1, and 2^r as a minimax polynomial of
 * degree 5, error below 2^-22.6, or of degree 3, below 2^-13.7, and half a unit of a bf16, which
 * makes cutting it rounding. */
INLINE vf vexp2_floor(vf x, int degree)
{
	static const float c3[] = {7.8024523e-2f, 2.2606716e-1f, 6.9583354e-1f,
		9.9992522e-1f + 0x1p-8f},
			   c5[] = {1.8775767e-3f, 8.9893401e-3f, 5.5826318e-2f, 2.4015363e-1f,
				   6.9315307e-1f, 9.9999993e-1f};
	const float *c = degree == 3 ? c3 : c5;
	vf p = VF(c[0]);

#if defined(__AVX512DQ__)
	const vf r = (vf)_mm512_reduce_ps((__m512)x, _MM_FROUND_TO_NEG_INF);
#else
	const vf magic = VF(12582912.0f); /* as in vexp_reduce */
	x = vselect(x > 130.0f, VF(130.0f), x);
	vf k = (x + magic) - magic;
	k = vselect(k > x, k - 1.0f, k);
	/* Rounded down, as the instruction has it. */
	vf r = x - k;
	r = (vf)((vi)r + (r + k > x));
#endif
	for (int i = 1; i <= degree; i++)
		p = vfma(p, r, VF(c[i]));
#if defined(__AVX512DQ__)
	return (vf)_mm512_scalef_ps((__m512)p, (__m512)x);
#else
	const vu u = (vu)p + ((vu)(k + magic) << 23);
	return vselect((x > 0.0f) & (vi)(u >= 0x7f800000u), VF(INFINITY), (vf)u);
#endif
}

/* x Phi(x) = max(x, 0) - |x| Phi(-|x|) */
INLINE vf vgelu(vf x)
{
	static const float c[] = {-2.25604407e-8f, 7.05990694e-7f, -9.42682788e-6f, 6.81332067e-5f,
		-2.53495647e-4f, -4.87296904e-5f, 6.99947391e-3f, -5.24720789e-2f, -4.59212305e-1f,
		-1.15110497f, -1};
	const vf a = vabs(x), u = vselect(a < 6.0f, a, VF(6.0f));
	vf p = VF(c[0]);

	for (int i = 1; i < (int)(sizeof(c) / sizeof(*c)); i++)
		p = vfma(p, u, VF(c[i]));
	return vfma(-u, vexp2(p), vselect(x < 0.0f, (vf){0}, x));
}

INLINE vf vsigmoid(vf x)
{
	return 1.0f / (1.0f + vexp(-x));
}

INLINE vf vsilu(vf x)
{
	return x / (1.0f + vexp(-x));
}

INLINE vf vtanh(vf x)
{
	vf a = vabs(x), s = x * x;
	vf p = vfma(s, VF(-5.70498872745e-3f), VF(2.06390887954e-2f));
	p = vfma(p, s, VF(-5.37397155531e-2f));
	p = vfma(p, s, VF(1.33314422036e-1f));
	p = vfma(p, s, VF(-3.33332819422e-1f));
	p = vfma(p * s, x, x);
	vf big = 1.0f - 2.0f / (vexp(a + a) + 1.0f);
	big = (vf)((vu)big | ((vu)x & 0x80000000u));
	return vselect(a < 0.625f, p, big);
}

INLINE vf vsin2(vf x)
{
	const vf magic = VF(12582912.0f); /* as in vexp_reduce */
	vf k = vfma(x, VF(0.31830988618379067f), magic) - magic;
	vf r = vfma(k, VF(-9.67502593994140625e-4f), vfma(k, VF(-3.140625f), x));
	r = vfma(k, VF(-1.509957990978376432e-7f), r);
	vf s = r * r;
	vf p = vfma(s, VF(1.6059043836821613e-10f), VF(-2.5052108385441720e-8f));
	p = vfma(p, s, VF(2.7557319223985893e-6f));
	p = vfma(p, s, VF(-1.9841269841269841e-4f));
	p = vfma(p, s, VF(8.3333333333333333e-3f));
	p = vfma(p, s, VF(-1.6666666666666667e-1f));
	p = vfma(p * s, r, r);
	return p * p;
}

#endif
