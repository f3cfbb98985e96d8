/* A device for the tests of the emulator alone, without a table of ops. */
#ifndef WOODSHED_TESTS_EMULATION_DEVICE_CUH
#define WOODSHED_TESTS_EMULATION_DEVICE_CUH

#include <stdio.h>
#include <stdlib.h>

#include "gpu/cuda/kernel.cuh"

extern struct gpu g;

/* Ends the process where the device does not do as it should. */
static inline void device_ok(cudaError_t error, const char *what)
{
	if (error == cudaSuccess)
		return;
	fprintf(stderr, "%s: %s\n", what, cudaGetErrorString(error));
	_Exit(1);
}

static inline void *device_alloc(size_t bytes)
{
	void *p = NULL;

	if (!cuda_of(&g)->stream)
		device_ok(cudaStreamCreateWithFlags(&cuda_of(&g)->stream, cudaStreamNonBlocking),
			"stream");
	device_ok(cudaMalloc(&p, bytes), "memory");
	return p;
}

static inline void device_wait(void)
{
	device_ok(cudaStreamSynchronize(cuda_of(&g)->stream), "wait");
}

#endif
