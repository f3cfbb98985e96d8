/* sampler.h: samplers of diffusion models, as tables.
 *
 * All that a sampler does to the latents x is linear: x becomes a sum of itself,
 * of the clean latents that the model saw in it (its estimate d, this one and
 * earlier ones) and of fresh noise z.  So a sampler is a table of coefficients
 * that depends on the schedule alone: one row for each time the model is asked.
 * One that chooses its steps by their error makes its rows as it goes.
 * engine/diffusion.c runs any of them.
 *
 * Latents between noise and sound are alpha * clean + sigma * noise.  Samplers
 * over sigma (Karras et al. 2022, "Elucidating the Design Space of
 * Diffusion-Based Generative Models") have alpha = 1, those of rectified flow
 * sigma = t and alpha = 1 - t. */
#ifndef WOODSHED_ENGINE_SAMPLER_H
#define WOODSHED_ENGINE_SAMPLER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct err;

enum { SAMPLER_ESTIMATES = 4 };

struct sampler_step {
	/* Where the model is asked; time is the engine's measure of it: sigma, t, or
	 * the number of a training step. */
	double time, alpha, sigma;
	/* Then x = x * x + d[0] * estimate + d[1] * the one before it + ... + z * noise. */
	double x, d[SAMPLER_ESTIMATES], z;
	double unguided;               /* and that of this row's estimate without guidance */
	double next_alpha, next_sigma; /* of that */
	/* The step asks the model again: x of the next row is what x of this row is. */
	bool is_inner;
	int number; /* of the step, from 1; its noise is the draw of that number */
};

struct sampler_plan {
	struct sampler_step *steps; /* n, in the caller's arena */
	int64_t n;
	int n_steps;  /* as a user counts them: without those that are inner */
	double start; /* x begins as start * noise (+ alpha * audio to begin with) */
	/* d weighs slopes (x - estimate) / sigma, this one and earlier ones, in place of
	 * the estimates. */
	bool has_slopes;
	bool has_unguided; /* some rows weigh the estimate without guidance */
	/* The steps are made as it goes (sampler_adaptive); n and n_steps are 0, steps[0]
	 * tells where it begins. */
	bool is_adaptive;
	double end;      /* sigma at the end */
	int64_t n_ticks; /* of progress: n; of an adaptive one as many as tell it well */
};

/* A grid that falls from sigma_max to sigma_min, evenly in log sigma to the power of
 * 1 / rho (1: exponential), then 0. */
struct sampler_sigmas {
	double min, max, rho;
};

/* Sampler `name` with n_steps steps on the grid (k-dpm-fast: so many estimates;
 * k-dpm-adaptive: as many as it takes); time is sigma / alpha.  v-ddim and v-ddim-cfgpp have
 * a grid of their own, from max, which may be INFINITY, to 0.  ERR_ARG, with the names there are,
 * for one that is not known, and for less than 2 steps. */
int sampler_sigma_plan(const char *name, int n_steps, struct sampler_sigmas sigmas, struct arena *a,
	struct sampler_plan *ret, struct err *e);

/* The samplers of each kind by name; NULL behind the last. */
const char *sampler_sigma_name(size_t i);
const char *sampler_flow_name(size_t i);
const char *sampler_schedule_name(size_t i);

/* k-diffusion leaves the noise of the grid's end in what this sampler makes: the end should
 * be lower than that of the others. */
bool sampler_ends_at_min(const char *name);

/* This one has alpha^2 + sigma^2 = 1 and begins with pure noise, unless it is told otherwise. */
bool sampler_is_angular(const char *name);

/* The steps of an adaptive plan: a trial is three rows and an estimate of lower order, and
 * how far the two are apart decides whether it counts and how long the next one is. */
struct sampler_adaptive {
	double begin, now, end; /* -log sigma */
	double size;
	int number; /* of the step, from 1 */
};
struct sampler_trial {
	/* The x that the last row leaves is the step's, once it is accepted. */
	struct sampler_step rows[3];
	/* After rows[1], of lower order: base + low[0] * slope + low[1] * the one before. */
	double low[2];
};
struct sampler_adaptive sampler_adaptive_begin(const struct sampler_plan *plan);
bool sampler_adaptive_is_over(const struct sampler_adaptive *a);
void sampler_adaptive_try(const struct sampler_adaptive *a, struct sampler_trial *ret);
/* How far a trial is off, in what is tolerated; n values each: what it gave, the lower order's,
 * and what that was of the step before (at first: x). */
double sampler_adaptive_error(const float *x, const float *low, const float *before, int64_t n);
/* Whether it counts; then the next trial goes on from its end. */
bool sampler_adaptive_judge(struct sampler_adaptive *a, double error);

/* Rectified flow from t = start (1: pure noise) to 0, evenly in the logarithm of the
 * signal-to-noise ratio (below 0.119: in t; rk4: always, with four estimates a step, of which
 * the last is at 0); time is t. */
int sampler_flow_plan(const char *name, int n_steps, double start, struct arena *a,
	struct sampler_plan *ret, struct err *e);

/* What a model was trained with: how much noise each of its steps has (DDPM). */
enum sampler_spacing { SAMPLER_LEADING, SAMPLER_LINSPACE, SAMPLER_TRAILING };
struct sampler_schedule {
	int64_t n; /* steps of training */
	double beta_start, beta_end;
	bool is_scaled;                      /* betas even in their roots; else in themselves */
	bool last_is_clean;                  /* DDIM ends without noise; else with that of step 0 */
	int64_t offset;                      /* of the steps, LEADING only */
	enum sampler_spacing spacing;        /* of DDIM */
	enum sampler_spacing spacing_others; /* of the others: what the file says, else LINSPACE */
};
/* Samplers over the training's schedule, as diffusers has them: "ddim" and "dpmpp-2m"
 * (DPM-Solver++ multistep).  time is the number of the training step. */
int sampler_schedule_plan(const char *name, int n_steps, const struct sampler_schedule *schedule,
	struct arena *a, struct sampler_plan *ret, struct err *e);

#endif
