/* diffusion.h: the loop that the diffusion engines share: it runs a sampler's table
 * (engine/samplers/sampler.h) over latents, with noise from the generator or from a
 * file.
 *
 * Noise is Philox by (seed, step): the draw of a step depends on its number alone.
 * Latents have time outermost and channels innermost; what comes from files has
 * channels outermost. */
#ifndef WOODSHED_ENGINE_DIFFUSION_H
#define WOODSHED_ENGINE_DIFFUSION_H

#include "engine/pipeline.h"
#include "engine/samplers/sampler.h"
#include "gpu/gpu.h"

struct diffusion {
	struct gpu *g;
	struct gpu_arena *step; /* temporaries; released after each row */
	const struct sampler_plan *plan;
	/* estimate = the clean latents that the model sees in x, which is at `at`; both in
	 * x's shape. */
	void (*denoise)(void *ud, struct gpu_tensor *estimate, const struct gpu_tensor *x,
		const struct sampler_step *at);
	void *ud;
	/* What denoise() leaves beside, in x's shape; NULL where the plan does not take it: the
	 * slope (x - estimate) / sigma, which a model of rectified flow has at sigma 0, too (others
	 * leave it to the loop), and the estimate without guidance. */
	struct gpu_tensor *slope, *unguided;
	uint64_t seed;
	const struct engine_noise *noise; /* or NULL */

	const struct gpu_tensor *init; /* clean latents to begin with, in x's shape; or NULL */
	/* Of these, `n_kept` ranges of time stay as they are. */
	struct {
		int64_t first, n;
	} kept[2];
	int n_kept;

	const struct engine_watch *watch;
	uint64_t done, total; /* ticks of the plan before this run, and of all runs; advanced */
	/* NULL, or told every preview_every steps. */
	int (*preview)(void *ud, int step, const struct gpu_tensor *estimate);
	int preview_every;
	struct err *e;
};

/* x [time, .., channels] = the latents at the end.  ERR_CANCELLED within one step;
 * ERR_FORMAT naming the step when they are no numbers. */
int diffusion_run(struct diffusion *d, struct gpu_tensor *x);

/* x to the sink as the latents of a take; a sink that wants none: nothing. */
int diffusion_keep_latents(struct gpu *g, const struct gpu_tensor *x,
	const struct engine_sink *sink, int take, struct err *e);
/* x from the latents of a render that got no further; they come from a file: ERR_FORMAT
 * where they are of another size, or no numbers. */
int diffusion_put_latents(
	struct gpu *g, struct gpu_tensor *x, const struct engine_latents *l, struct err *e);

/* Noise that a file gave fits latents of n values and this many steps: 0, or ERR_ARG. */
int diffusion_check_noise(const struct engine_noise *noise, int64_t n,
	const struct sampler_plan *plan, struct err *e);

/* [time, .., channels] from [channels, time, ..], on the host. */
void channels_last(float *dst, const float *src, int64_t n_channels, int64_t n_rest);

#endif
