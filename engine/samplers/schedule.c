/* Samplers over a training schedule: alpha^2 is the product of 1 - beta up to a step,
 * sigma^2 the rest.
 *
 *	ddim		Song et al. 2020, "Denoising Diffusion Implicit Models", eta 0:
 *			x' = alpha' d + sigma' (x - alpha d) / sigma
 *	dpmpp-2m	Lu et al. 2022, "DPM-Solver++", multistep, order 2, midpoint
 *
 * Which steps of the training are taken, and where the last one ends, is that of
 * diffusers' DDIMScheduler and DPMSolverMultistepScheduler. */
#include <math.h>
#include <string.h>

#include "engine/samplers/sampler.h"
#include "library/base/arena.h"
#include "library/base/err.h"

struct levels {
	const struct sampler_schedule *schedule;
	double *alpha_squared; /* [n] */
	struct arena *a;
};

static double alpha_at(const struct levels *l, int64_t t)
{
	return sqrt(l->alpha_squared[t]);
}

static double sigma_at(const struct levels *l, int64_t t)
{
	return sqrt(1 - l->alpha_squared[t]);
}

static struct levels make_levels(const struct sampler_schedule *s, struct arena *a)
{
	struct levels l = {.schedule = s, .a = a};
	const double first = s->is_scaled ? sqrt(s->beta_start) : s->beta_start;
	const double last = s->is_scaled ? sqrt(s->beta_end) : s->beta_end;
	double product = 1;

	l.alpha_squared = ARENA_ARRAY(a, double, (size_t)s->n);
	for (int64_t i = 0; i < s->n; i++) {
		const double even =
			first + (last - first) * (s->n > 1 ? (double)i / (double)(s->n - 1) : 0);
		product *= 1 - (s->is_scaled ? even * even : even);
		l.alpha_squared[i] = product;
	}
	return l;
}

/* Rounds half to even, as numpy does. */
static int64_t nearest(double x)
{
	return (int64_t)rint(x);
}

/* The training steps of n sampling steps, the noisiest first. */
static int64_t *ddim_times(const struct levels *l, int n)
{
	const int64_t all = l->schedule->n;
	int64_t *t = ARENA_ARRAY(l->a, int64_t, (size_t)n);

	for (int i = 0; i < n; i++)
		switch (l->schedule->spacing) {
		case SAMPLER_LEADING:
			t[i] = (n - 1 - i) * (all / n) + l->schedule->offset;
			break;
		case SAMPLER_LINSPACE:
			t[i] = nearest((double)(all - 1) * (n - 1 - i) / (n > 1 ? n - 1 : 1));
			break;
		case SAMPLER_TRAILING:
			t[i] = nearest((double)all - i * ((double)all / n)) - 1;
			break;
		}
	return t;
}

static int64_t *solver_times(const struct levels *l, int n)
{
	const int64_t all = l->schedule->n;
	int64_t *t = ARENA_ARRAY(l->a, int64_t, (size_t)n);

	for (int i = 0; i < n; i++)
		switch (l->schedule->spacing_others) {
		case SAMPLER_LEADING:
			t[i] = (n - i) * (all / (n + 1)) + l->schedule->offset;
			break;
		case SAMPLER_LINSPACE:
			t[i] = nearest((double)(all - 1) * (n - i) / n);
			break;
		case SAMPLER_TRAILING:
			t[i] = nearest((double)all - i * ((double)all / n)) - 1;
			break;
		}
	return t;
}

/* Within the training, and each before the last: equal ones are no step. */
static int check_times(const struct levels *l, const int64_t *t, int n, struct err *e)
{
	for (int i = 0; i < n; i++)
		if (t[i] < 0 || t[i] >= l->schedule->n || (i && t[i] >= t[i - 1]))
			return err_set(e, ERR_ARG,
				"%d steps are too many for a model that was trained with %lld: "
				"take fewer",
				n, (long long)l->schedule->n);
	return 0;
}

/* From step t of the training to the one that is n_skipped earlier. */
static void ddim_step(const struct levels *l, struct sampler_step *s, int64_t t, int64_t n_skipped)
{
	const int64_t to = t - n_skipped;
	const bool is_clean = to < 0 && l->schedule->last_is_clean;

	s->next_alpha = is_clean ? 1 : alpha_at(l, to < 0 ? 0 : to);
	s->next_sigma = is_clean ? 0 : sigma_at(l, to < 0 ? 0 : to);
	s->x = s->next_sigma / s->sigma;
	s->d[0] = s->next_alpha - s->alpha * s->x;
}

static double half_log_snr(const struct sampler_step *s)
{
	return log(s->alpha / s->sigma);
}

/* s[0], whose next_* are known; s[-1] if there is one and the order is 2. */
static void solver_step(struct sampler_step *s, bool second)
{
	s->x = s->next_sigma / s->sigma;
	if (s->next_sigma == 0) {
		s->d[0] = s->next_alpha;
		return;
	}
	const double h = log(s->next_alpha / s->next_sigma) - half_log_snr(s);
	s->d[0] = -s->next_alpha * expm1(-h);
	if (!second)
		return;
	const double more = s->d[0] / 2 * h / (half_log_snr(s) - half_log_snr(s - 1));
	s->d[0] += more;
	s->d[1] = -more;
}

static void ddim(const struct levels *l, struct sampler_plan *p)
{
	for (int64_t i = 0; i < p->n; i++)
		ddim_step(l, &p->steps[i], (int64_t)p->steps[i].time, l->schedule->n / p->n);
}

static void dpmpp_2m(const struct levels *l, struct sampler_plan *p)
{
	for (int64_t i = 0; i < p->n; i++) {
		struct sampler_step *s = &p->steps[i];
		const bool is_last = i == p->n - 1;
		s->next_alpha = is_last ? 1 : s[1].alpha;
		s->next_sigma = is_last ? 0 : s[1].sigma;
		solver_step(s, i > 0);
	}
}

const char *sampler_schedule_name(size_t i)
{
	static const char *const names[] = {"ddim", "dpmpp-2m", NULL};

	return names[i];
}

int sampler_schedule_plan(const char *name, int n_steps, const struct sampler_schedule *schedule,
	struct arena *a, struct sampler_plan *ret, struct err *e)
{
	const bool is_ddim = !strcmp(name, "ddim");

	if (!is_ddim && strcmp(name, "dpmpp-2m"))
		return err_set(e, ERR_ARG,
			"the model has no sampler '%.40s'; choose one of these: ddim, dpmpp-2m",
			name);
	if (n_steps < 1 || n_steps > schedule->n)
		return err_set(e, ERR_ARG, "%d steps are not possible; 1 to %lld are", n_steps,
			(long long)schedule->n);
	const struct levels l = make_levels(schedule, a);
	const int64_t *t = is_ddim ? ddim_times(&l, n_steps) : solver_times(&l, n_steps);
	int rc = check_times(&l, t, n_steps, e);
	if (rc)
		return rc;
	*ret = (struct sampler_plan){
		.n = n_steps, .n_ticks = n_steps, .n_steps = n_steps, .start = 1};
	ret->steps = ARENA_ARRAY(a, struct sampler_step, (size_t)n_steps);
	for (int i = 0; i < n_steps; i++)
		ret->steps[i] = (struct sampler_step){.time = (double)t[i],
			.alpha = alpha_at(&l, t[i]),
			.sigma = sigma_at(&l, t[i]),
			.number = i + 1};
	(is_ddim ? ddim : dpmpp_2m)(&l, ret);
	return 0;
}
