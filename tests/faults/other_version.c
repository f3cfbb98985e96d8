/* A woodshed-cuda.so of another version than the program. */
#include "gpu/ops.h"

__attribute__((visibility("default"))) extern const struct gpu_module gpu_cuda_module;
const struct gpu_module gpu_cuda_module = {
	.version = GPU_MODULE_VERSION + 1,
	.ops_size = sizeof(struct gpu_ops),
};
