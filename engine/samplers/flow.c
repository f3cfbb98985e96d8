/* Samplers of rectified flow, as stable-audio-tools has them (inference/sampling.py):
 * latents are (1 - t) clean + t noise.
 *
 *	euler		Liu et al. 2022, "Flow Straight and Fast"
 *	dpmpp		the same in the logarithm of (1 - t) / t, second order
 *	pingpong	all noise is drawn anew in each step; for models that were trained
 *			to get there in eight */
#include <math.h>
#include <string.h>

#include "engine/samplers/sampler.h"
#include "library/base/arena.h"
#include "library/base/err.h"

/* The range of log((1 - t) / t). */
#define LOG_SNR_FIRST -6.0
#define LOG_SNR_LAST  2.0

static double log_snr(double t)
{
	return log((1 - t) / t);
}

static double *make_grid(int n, double start, struct arena *a)
{
	double *t = ARENA_ARRAY(a, double, (size_t)n + 1);
	const double first = start < 1 ? log((1 - start) / start + 1e-6) : LOG_SNR_FIRST;

	for (int i = 0; i <= n; i++)
		t[i] = 1 / (1 + exp(first + (LOG_SNR_LAST - first) * i / n));
	t[0] = start;
	t[n] = 0;
	return t;
}

/* From t[i] to t[i + 1]. */
static void step(char kind, const double *t, int i, struct sampler_step *s)
{
	const double from = t[i], to = t[i + 1];

	if (kind == 'p') {
		s->d[0] = 1 - to;
		s->z = to;
		return;
	}
	s->x = to / from;
	s->d[0] = 1 - to / from;
	/* (1 - t') (1 - exp(-h)) is 1 - t'/t: first order is Euler's step.  The first
	 * step comes from an infinite distance, the last goes to one. */
	if (kind != 'd' || to == 0 || i == 0 || t[i - 1] >= 1)
		return;
	const double h = log_snr(to) - log_snr(from), before = log_snr(from) - log_snr(t[i - 1]);
	s->d[1] = -s->d[0] * h / (2 * before);
	s->d[0] -= s->d[1];
}

const char *sampler_flow_name(size_t i)
{
	static const char *const names[] = {"pingpong", "euler", "dpmpp", NULL};

	return names[i];
}

int sampler_flow_plan(const char *name, int n_steps, double start, struct arena *a,
	struct sampler_plan *ret, struct err *e)
{
	if (strcmp(name, "euler") && strcmp(name, "dpmpp") && strcmp(name, "pingpong"))
		return err_set(e, ERR_ARG,
			"the model has no sampler '%.40s'; choose one of these: pingpong, euler, "
			"dpmpp",
			name);
	if (n_steps < 1)
		return err_set(e, ERR_ARG, "the sampler %s takes at least 1 step", name);
	const double *t = make_grid(n_steps, start, a);
	*ret = (struct sampler_plan){
		.n = n_steps, .n_ticks = n_steps, .n_steps = n_steps, .start = start};
	ret->steps = ARENA_ARRAY(a, struct sampler_step, (size_t)n_steps);
	for (int i = 0; i < n_steps; i++) {
		struct sampler_step *s = &ret->steps[i];
		step(*name, t, i, s);
		s->time = s->sigma = t[i];
		s->alpha = 1 - t[i];
		s->next_sigma = t[i + 1];
		s->next_alpha = 1 - t[i + 1];
		s->number = i + 1;
	}
	return 0;
}
