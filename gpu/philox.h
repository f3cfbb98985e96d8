/* Philox 4x32-10: a counter-based generator (Salmon, Moraes, Dror, Shaw,
 * "Parallel random numbers: as easy as 1, 2, 3", SC 2011).  A draw is a
 * function of key and counter alone, so it does not matter where or in which
 * order draws are made. */
#ifndef WOODSHED_GPU_PHILOX_H
#define WOODSHED_GPU_PHILOX_H

#include <stdint.h>

#if defined(__CUDACC__)
#define PHILOX_FN static __host__ __device__ inline
#else
#define PHILOX_FN static inline
#endif

struct philox {
	uint32_t x[4];
};

PHILOX_FN struct philox philox(struct philox counter, uint32_t key0, uint32_t key1)
{
	uint32_t *x = counter.x;
	for (int round = 0; round < 10; round++) {
		uint64_t a = (uint64_t)0xd2511f53 * x[0], b = (uint64_t)0xcd9e8d57 * x[2];
		x[0] = (uint32_t)(b >> 32) ^ x[1] ^ key0;
		x[1] = (uint32_t)b;
		x[2] = (uint32_t)(a >> 32) ^ x[3] ^ key1;
		x[3] = (uint32_t)a;
		key0 += 0x9e3779b9;
		key1 += 0xbb67ae85;
	}
	return counter;
}

/* Uniform in [0, 1), a multiple of 2^-24. */
PHILOX_FN double philox_uniform(uint64_t seed, uint32_t stream, uint64_t offset)
{
	struct philox counter = {{(uint32_t)offset, (uint32_t)(offset >> 32), stream, 0}};
	struct philox out = philox(counter, (uint32_t)seed, (uint32_t)(seed >> 32));
	return (out.x[0] >> 8) * 0x1p-24;
}

#endif
