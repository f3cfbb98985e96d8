/* Samplers of rectified flow, as stable-audio-tools has them (inference/sampling.py):
 * latents are (1 - t) clean + t noise.
 *
 *	euler		Liu et al. 2022, "Flow Straight and Fast"
 *	dpmpp		the same in the logarithm of (1 - t) / t, second order
 *	rk4		Runge and Kutta's, fourth order, evenly in t
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
enum { RK4_ROWS = 4 };

static double log_snr(double t)
{
	return log((1 - t) / t);
}

/* rk4's is even in t.  So is that of little noise: below LOG_SNR_LAST the original's would
 * rise. */
static double *make_grid(int n, double start, bool is_even, struct arena *a)
{
	double *t = ARENA_ARRAY(a, double, (size_t)n + 1);
	const double first = start < 1 ? log((1 - start) / start + 1e-6) : LOG_SNR_FIRST;

	is_even |= first >= LOG_SNR_LAST;
	for (int i = 0; i <= n; i++)
		t[i] = is_even ? start * (n - i) / n
			       : 1 / (1 + exp(first + (LOG_SNR_LAST - first) * i / n));
	t[0] = start;
	t[n] = 0;
	return t;
}

/* A row that is asked at t and leaves x at `to`. */
static void row(struct sampler_step *s, double t, double to, int number)
{
	s->time = s->sigma = t;
	s->alpha = 1 - t;
	s->next_sigma = to;
	s->next_alpha = 1 - to;
	s->number = number;
}

/* From t[i] to t[i + 1]. */
static void step(char kind, const double *t, int i, struct sampler_step *s)
{
	const double from = t[i], to = t[i + 1];

	row(s, from, to, i + 1);
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

/* In slopes, which are there at t = 0, too. */
static void runge_kutta(const double *t, int i, struct sampler_step *s)
{
	const double from = t[i], to = t[i + 1], dt = to - from, middle = from + dt / 2;

	row(s, from, middle, i + 1);
	row(s + 1, middle, middle, i + 1);
	row(s + 2, middle, to, i + 1);
	row(s + 3, to, to, i + 1);
	for (int k = 0; k < RK4_ROWS; k++) {
		s[k].x = 1;
		s[k].is_inner = k < RK4_ROWS - 1;
		s[k].d[0] = k < 2 ? dt / 2 : k < RK4_ROWS - 1 ? dt : dt / 6;
	}
	s[RK4_ROWS - 1].d[1] = s[RK4_ROWS - 1].d[2] = dt / 3;
	s[RK4_ROWS - 1].d[3] = dt / 6;
}

static const char *const names[] = {"pingpong", "euler", "dpmpp", "rk4", NULL};

const char *sampler_flow_name(size_t i)
{
	return names[i];
}

static int find(const char *name, struct err *e)
{
	int i = 0;

	while (names[i] && strcmp(name, names[i]))
		i++;
	return names[i]
		       ? 0
		       : err_set(e, ERR_ARG,
				 "the model has no sampler '%.40s'; choose one of these: pingpong, "
				 "euler, dpmpp, rk4",
				 name);
}

int sampler_flow_plan(const char *name, int n_steps, double start, struct arena *a,
	struct sampler_plan *ret, struct err *e)
{
	const bool is_rk4 = !strcmp(name, "rk4");
	const int rows = is_rk4 ? RK4_ROWS : 1;
	int rc = find(name, e);

	if (rc)
		return rc;
	if (n_steps < 1)
		return err_set(e, ERR_ARG, "the sampler %s takes at least 1 step", name);
	const double *t = make_grid(n_steps, start, is_rk4, a);
	*ret = (struct sampler_plan){.n = n_steps * rows,
		.n_ticks = n_steps * rows,
		.n_steps = n_steps,
		.start = start,
		.has_slopes = is_rk4};
	ret->steps = ARENA_ARRAY(a, struct sampler_step, (size_t)ret->n);
	for (int i = 0; i < n_steps; i++)
		if (is_rk4)
			runge_kutta(t, i, &ret->steps[i * rows]);
		else
			step(*name, t, i, &ret->steps[i]);
	return 0;
}
