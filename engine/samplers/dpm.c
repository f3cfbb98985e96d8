/* Lu et al. 2022, "DPM-Solver", over t = -log sigma, in slopes:
 *
 *	k-dpm-fast	steps of the third order, of equal length in t, and what is left of
 *			the estimates in lower ones (section 3.4)
 *	k-dpm-adaptive	third order against second, the length by their distance
 *			(appendix C, DPM-Solver-23)
 *
 * Formulas as in crowsonkb/k-diffusion, k_diffusion/sampling.py; tolerances as in
 * stable-audio-tools.  Both end at the lowest sigma of the grid. */
#include "engine/samplers/dpm.h"

#include <math.h>
#include <string.h>

#include "library/base/arena.h"

enum { TICKS = 100 };
#define RELATIVE   0.01
#define ABSOLUTE   0.01
#define FIRST_SIZE 0.05
#define ACCEPTED   0.81 /* the least growth of a step that counts */
#define CLOSE      1e-5 /* of the end */

/* A row of a step from t over h: asked at t + at h, leaves x at t + to h. */
static void row(struct sampler_step *s, double t, double h, double at, double to)
{
	*s = (struct sampler_step){.time = exp(-t - at * h),
		.alpha = 1,
		.sigma = exp(-t - at * h),
		.x = 1,
		.next_alpha = 1,
		.next_sigma = exp(-t - to * h)};
}

/* x = base - sigma' expm1(to h) slope - more (slope - first slope), which was `back` rows
 * earlier. */
static void weigh(struct sampler_step *s, double to_h, double more, int back)
{
	s->d[0] = -more;
	s->d[back] += more - s->next_sigma * expm1(to_h);
}

/* Rows of a step of that order; of the second, the middle is at r. */
static void solve(struct sampler_step *s, double t, double h, int order, double r)
{
	if (order == 1) {
		row(s, t, h, 0, 1);
		weigh(s, h, 0, 0);
		return;
	}
	row(s, t, h, 0, r);
	weigh(s, r * h, 0, 0);
	s->is_inner = true;
	if (order == 2) {
		row(s + 1, t, h, r, 1);
		weigh(s + 1, h, s[1].next_sigma / (2 * r) * expm1(h), 1);
		return;
	}
	const double r2 = 2. / 3;
	row(s + 1, t, h, r, r2);
	weigh(s + 1, r2 * h, s[1].next_sigma * (r2 / r) * (expm1(r2 * h) / (r2 * h) - 1), 1);
	s[1].is_inner = true;
	row(s + 2, t, h, r2, 1);
	weigh(s + 2, h, s[2].next_sigma / r2 * (expm1(h) / h - 1), 2);
}

static void fill_fast(struct sampler_plan *p, int n, double begin, double end)
{
	const int most = n / 3 + 1;
	const double h = (end - begin) / most;

	p->n_steps = most;
	p->n = p->n_ticks = n;
	for (int i = 0, at = 0; i < most; i++) {
		/* what is left, but never 0 for the last */
		const int left = n - at, order = left == 3 && i == most - 2 ? 2
						 : left < 3                 ? left
									    : 3;
		solve(p->steps + at, begin + i * h, h, order, order == 2 ? 0.5 : 1. / 3);
		for (int k = 0; k < order; k++)
			p->steps[at + k].number = i + 1;
		at += order;
	}
}

void dpm_plan(const char *name, int n_estimates, struct sampler_sigmas sigmas, struct arena *a,
	struct sampler_plan *ret)
{
	const bool is_fast = !strcmp(name, DPM_FAST);

	*ret = (struct sampler_plan){.start = sigmas.max,
		.end = sigmas.min,
		.has_slopes = true,
		.is_adaptive = !is_fast,
		.n_ticks = TICKS};
	ret->steps = ARENA_ARRAY(a, struct sampler_step, (size_t)n_estimates);
	if (is_fast)
		fill_fast(ret, n_estimates, -log(sigmas.max), -log(sigmas.min));
	else
		row(ret->steps, -log(sigmas.max), 0, 0, 0);
}

/* ---- adaptive ----------------------------------------------------------- */

struct sampler_adaptive sampler_adaptive_begin(const struct sampler_plan *plan)
{
	const double begin = -log(plan->steps[0].sigma);

	return (struct sampler_adaptive){.begin = begin,
		.now = begin,
		.end = -log(plan->end),
		.size = FIRST_SIZE,
		.number = 1};
}

bool sampler_adaptive_is_over(const struct sampler_adaptive *a)
{
	return a->now >= a->end - CLOSE;
}

static double step_size(const struct sampler_adaptive *a)
{
	return a->end - a->now < a->size ? a->end - a->now : a->size;
}

void sampler_adaptive_try(const struct sampler_adaptive *a, struct sampler_trial *ret)
{
	struct sampler_step second[2];

	solve(second, a->now, step_size(a), 2, 1. / 3);
	memcpy(ret->low, second[1].d, sizeof(ret->low));
	solve(ret->rows, a->now, step_size(a), 3, 1. / 3);
	for (int i = 0; i < 3; i++)
		ret->rows[i].number = a->number;
}

double sampler_adaptive_error(const float *x, const float *low, const float *before, int64_t n)
{
	double sum = 0;

	for (int64_t i = 0; i < n; i++) {
		const double size = fmax(fabs((double)low[i]), fabs((double)before[i]));
		const double apart =
			((double)low[i] - (double)x[i]) / fmax(ABSOLUTE, RELATIVE * size);
		sum += apart * apart;
	}
	return sqrt(sum / (double)n);
}

bool sampler_adaptive_judge(struct sampler_adaptive *a, double error)
{
	const double growth = 1 + atan(cbrt(1 / (error + 1e-8)) - 1), size = step_size(a);

	a->size *= growth;
	if (growth < ACCEPTED)
		return false;
	a->now += size;
	a->number++;
	return true;
}
