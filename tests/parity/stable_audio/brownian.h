/* The noise of diffusers' CosineDPMSolverMultistepScheduler on a CUDA device: increments of
 * torchsde's Brownian motion (BrownianInterval, halfway_tree, tol 1e-6, pool_size 24), whose
 * nodes draw from torch's generator of that device.  brownian.py prints the same. */
#ifndef WOODSHED_TESTS_PARITY_STABLE_AUDIO_BROWNIAN_H
#define WOODSHED_TESTS_PARITY_STABLE_AUDIO_BROWNIAN_H

#include <stdint.h>

/* torch.randn(n, generator=seed)[i] on a device that has a thread for each element. */
double cuda_normal(uint32_t seed, uint32_t i);

/* Between `low` and `high` times: the draw of element i for the step from sigma to next. */
struct brownian {
	uint32_t entropy;
	float low, high;
};
/* ret[n]: elements first, first + 1, ... */
void brownian_step(
	const struct brownian *b, float sigma, float next, uint32_t first, uint32_t n, float *ret);

#endif
