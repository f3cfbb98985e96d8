/* unary.cuh: the functions of one number, for whatever applies them. */
#ifndef WOODSHED_GPU_CUDA_UNARY_CUH
#define WOODSHED_GPU_CUDA_UNARY_CUH

#include "gpu/cuda/kernel.cuh"

/* erfc does not cancel where erf(x) is near -1. */
static __device__ __forceinline__ float gelu(float x)
{
	return 0.5f * x * erfcf(-0.70710678118654752f * x);
}

static __device__ __forceinline__ float gelu_tanh(float x)
{
	return 0.5f * x * (1 + tanhf(0.79788456080286536f * (x + 0.044715f * x * x * x)));
}

template <enum gpu_unary OP> static __device__ __forceinline__ float apply(float x)
{
	switch (OP) {
	case GPU_UNARY_RELU:
		return x > 0 ? x : x < 0 ? 0 : x; /* NaN stays */
	case GPU_UNARY_GELU:
		return gelu(x);
	case GPU_UNARY_ELU:
		return x > 0 ? x : expm1f(x);
	case GPU_UNARY_SIGMOID:
		return 1 / (1 + expf(-x));
	case GPU_UNARY_TANH:
		return tanhf(x);
	case GPU_UNARY_SILU:
		return x / (1 + expf(-x));
	default:
		return gelu_tanh(x);
	}
}

/* For what is rounded to bf16, 2^-9 of it: good to 2^-18, and to 2^-20 where |x| < 8, in a
 * third of the instructions, without the exact division and erfc().  GELU: erfc to 1.2e-7 of
 * itself as a polynomial of 1 / (1 + z / 2) in an exponent, z = |x| / sqrt(2) (Numerical
 * Recipes, 6.2, erfcc()); here in powers of 2. */
template <enum gpu_unary OP> static __device__ __forceinline__ float apply_near(float x)
{
	if (OP == GPU_UNARY_SILU)
		return __fdividef(x, 1 + exp2_fast(-1.44269504f * x));
	if (OP != GPU_UNARY_GELU)
		return apply<OP>(x);
	const float t = __fdividef(1, fmaf(0.35355339f, fabsf(x), 1));
	float p = 0.24651730f;
	p = fmaf(p, t, -1.1861149f);
	p = fmaf(p, t, 2.1474745f);
	p = fmaf(p, t, -1.6377531f);
	p = fmaf(p, t, 0.40232158f);
	p = fmaf(p, t, -0.26875686f);
	p = fmaf(p, t, 0.13963006f);
	p = fmaf(p, t, 0.53970062f);
	p = fmaf(p, t, 1.4427292f);
	p = fmaf(p, t, -1.8257482f);
	const float e = t * exp2_fast(fmaf(-0.72134752f * x, x, p));
	return 0.5f * x * (x < 0 ? e : 2 - e);
}

#endif
