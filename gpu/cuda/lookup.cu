#include "gpu/cuda/kernel.cuh"
