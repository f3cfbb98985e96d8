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

#endif
