/* Samplers over sigma, with the names of stable-audio-tools: alpha is 1 and the model's
 * estimate d gives the slope (x - d) / sigma.
 *
 *	k-heun, k-dpm-2		Karras et al. 2022, algorithms 1 and (midpoint) 3
 *	k-euler			the same, first order
 *	dpmpp-2m, dpmpp-2m-sde	Lu et al. 2022, "DPM-Solver++", algorithm 2 and
 *				section 3.3; midpoint, eta 1
 *	dpmpp-3m-sde		the third order of the same
 *	k-dpmpp-2s-ancestral	algorithm 1, with ancestral noise
 *	k-lms			Adams and Bashforth's, fourth order, over uneven steps
 *	k-dpm-fast, k-dpm-adaptive	dpm.c
 *	v-ddim, v-ddim-cfgpp	angle.c
 *
 * Formulas as in crowsonkb/k-diffusion, k_diffusion/sampling.py.  With
 * h = log(sigma / sigma'), sigma'/sigma is exp(-h). */
#include <math.h>
#include <string.h>

#include "engine/samplers/angle.h"
#include "engine/samplers/dpm.h"
#include "engine/samplers/sampler.h"
#include "library/base/arena.h"
#include "library/base/err.h"
#include "library/base/str.h"

/* The grid, and where on it we are. */
struct grid {
	const double *sigma; /* [n + 1], the last 0 */
	int i;
};

static double sigma_at(const struct grid *g, int ahead)
{
	return g->sigma[g->i + ahead];
}

/* Of the step `back` steps ago. */
static double step_size(const struct grid *g, int back)
{
	return log(sigma_at(g, -back) / sigma_at(g, 1 - back));
}

/* Each adds one or two rows for the step from sigma_at(g, 0) to sigma_at(g, 1). */
typedef int step_fn(const struct grid *g, struct sampler_step *s);

static int euler(const struct grid *g, struct sampler_step *s)
{
	s->x = sigma_at(g, 1) / sigma_at(g, 0);
	s->d[0] = 1 - s->x;
	return 1;
}

static int heun(const struct grid *g, struct sampler_step *s)
{
	const double from = sigma_at(g, 0), to = sigma_at(g, 1), dt = to - from;

	euler(g, s);
	if (to == 0)
		return 1;
	s[0].is_inner = true;
	s[1].sigma = to;
	s[1].x = to / from;
	s[1].d[0] = -dt / (2 * to);
	s[1].d[1] = dt / 2 * ((1 - to / from) / to - 1 / from);
	return 2;
}

static int dpm_2(const struct grid *g, struct sampler_step *s)
{
	const double from = sigma_at(g, 0), to = sigma_at(g, 1), dt = to - from;

	if (to == 0)
		return euler(g, s);
	const double middle = sqrt(from * to);
	s[0].is_inner = true;
	s[0].x = middle / from;
	s[0].d[0] = 1 - middle / from;
	s[1].sigma = middle;
	s[1].x = to / from;
	s[1].d[0] = -dt / middle;
	s[1].d[1] = dt / middle * (1 - middle / from);
	return 2;
}

static int dpmpp_2m(const struct grid *g, struct sampler_step *s)
{
	const double to = sigma_at(g, 1);

	euler(g, s);
	if (to == 0 || !g->i)
		return 1;
	const double more = step_size(g, 0) / (2 * step_size(g, 1));
	s->d[1] = -s->d[0] * more;
	s->d[0] *= 1 + more;
	return 1;
}

/* First order with noise: all of what sigma loses is drawn anew. */
static void sde(const struct grid *g, struct sampler_step *s)
{
	const double r = sigma_at(g, 1) / sigma_at(g, 0);

	s->x = r * r;
	s->d[0] = 1 - r * r;
	s->z = sigma_at(g, 1) * sqrt(1 - r * r);
}

static int dpmpp_2m_sde(const struct grid *g, struct sampler_step *s)
{
	sde(g, s);
	if (sigma_at(g, 1) == 0 || !g->i)
		return 1;
	const double more = s->d[0] / 2 * (step_size(g, 0) / step_size(g, 1));
	s->d[0] += more;
	s->d[1] = -more;
	return 1;
}

static int dpmpp_3m_sde(const struct grid *g, struct sampler_step *s)
{
	sde(g, s);
	if (sigma_at(g, 1) == 0 || !g->i)
		return 1;
	const double h = step_size(g, 0), r0 = step_size(g, 1) / h;
	const double phi2 = expm1(-2 * h) / (2 * h) + 1, phi3 = phi2 / (2 * h) - 0.5;
	if (g->i == 1) {
		s->d[0] += phi2 / r0;
		s->d[1] -= phi2 / r0;
		return 1;
	}
	/* a = (d - d1) / r0, b = (d1 - d2) / r1; first = a + (a - b) r0 / (r0 + r1),
	 * second = (a - b) / (r0 + r1); x += phi2 first - phi3 second */
	const double r1 = step_size(g, 2) / h;
	const double slope = (phi2 * r0 - phi3) / (r0 + r1); /* of a - b */
	const double a = (phi2 + slope) / r0, b = -slope / r1;
	s->d[0] += a;
	s->d[1] = b - a;
	s->d[2] = -b;
	return 1;
}

static int dpmpp_2s_ancestral(const struct grid *g, struct sampler_step *s)
{
	const double from = sigma_at(g, 0), to = sigma_at(g, 1);

	if (to == 0)
		return euler(g, s);
	const double up = to * sqrt(1 - to * to / (from * from)), down = to * to / from;
	const double middle = sqrt(from * down);
	s[0].is_inner = true;
	s[0].x = middle / from;
	s[0].d[0] = 1 - middle / from;
	s[1].sigma = middle;
	s[1].x = down / from;
	s[1].d[0] = 1 - down / from;
	s[1].z = up;
	return 2;
}

/* The integral, over the step, of the polynomial that is 1 at sigma `back` steps ago and 0
 * at the other `order` - 1; Gauss with two points is exact up to the third degree. */
static double lms_weight(const struct grid *g, int order, int back)
{
	const double middle = (sigma_at(g, 0) + sigma_at(g, 1)) / 2,
		     half = (sigma_at(g, 1) - sigma_at(g, 0)) / 2;
	double sum = 0;

	for (int side = -1; side <= 1; side += 2) {
		const double at = middle + side * half / sqrt(3);
		double product = 1;
		for (int k = 0; k < order; k++)
			if (k != back)
				product *= (at - sigma_at(g, -k)) /
					   (sigma_at(g, -back) - sigma_at(g, -k));
		sum += product;
	}
	return sum * half;
}

static int lms(const struct grid *g, struct sampler_step *s)
{
	const int order = g->i < SAMPLER_ESTIMATES ? g->i + 1 : SAMPLER_ESTIMATES;

	s->x = 1;
	for (int k = 0; k < order; k++)
		s->d[k] = lms_weight(g, order, k);
	return 1;
}

/* Without a step of its own: in dpm.c and angle.c. */
static const struct sampler {
	const char *name;
	step_fn *step;
} samplers[] = {
	{"dpmpp-2m-sde", dpmpp_2m_sde},
	{"dpmpp-3m-sde", dpmpp_3m_sde},
	{"dpmpp-2m", dpmpp_2m},
	{"k-heun", heun},
	{"k-dpm-2", dpm_2},
	{"k-dpmpp-2s-ancestral", dpmpp_2s_ancestral},
	{"k-lms", lms},
	{"k-euler", euler},
	{DPM_FAST, NULL},
	{DPM_ADAPTIVE, NULL},
	{ANGLE_DDIM, NULL},
	{ANGLE_DDIM_CFGPP, NULL},
};
enum { N_SAMPLERS = sizeof(samplers) / sizeof(*samplers) };

const char *sampler_sigma_name(size_t i)
{
	return i < N_SAMPLERS ? samplers[i].name : NULL;
}

static int find(const char *name, const struct sampler **ret, struct err *e)
{
	struct str names = {0};

	for (int i = 0; i < N_SAMPLERS; i++) {
		*ret = &samplers[i];
		if (!strcmp(name, samplers[i].name))
			return 0;
	}
	for (int i = 0; i < N_SAMPLERS; i++)
		str_printf(&names, "%s%s", i ? ", " : "", samplers[i].name);
	err_set(e, ERR_ARG, "the model has no sampler '%.40s'; choose one of these: %s", name,
		str_get(&names));
	str_done(&names);
	return ERR_ARG;
}

static double *make_grid(struct sampler_sigmas s, int n, struct arena *a)
{
	double *sigma = ARENA_ARRAY(a, double, (size_t)n + 1);

	for (int i = 0; i < n; i++) {
		const double ramp = pow(1 - (double)i / (n - 1), s.rho);
		sigma[i] = exp(ramp * (log(s.max) - log(s.min)) + log(s.min));
	}
	return sigma;
}

bool sampler_ends_at_min(const char *name)
{
	return !strcmp(name, DPM_FAST) || !strcmp(name, DPM_ADAPTIVE);
}

bool sampler_is_angular(const char *name)
{
	return !strcmp(name, ANGLE_DDIM) || !strcmp(name, ANGLE_DDIM_CFGPP);
}

static void fill(struct sampler_plan *p, step_fn *step, struct grid *g)
{
	for (; g->i < p->n_steps; g->i++) {
		struct sampler_step *s = &p->steps[p->n];
		s->sigma = sigma_at(g, 0);
		const int rows = step(g, s);
		for (int i = 0; i < rows; i++) {
			s[i].time = s[i].sigma;
			s[i].alpha = s[i].next_alpha = 1;
			s[i].number = g->i + 1;
		}
		for (int i = 0; i + 1 < rows; i++)
			s[i].next_sigma = s[i + 1].sigma;
		s[rows - 1].next_sigma = sigma_at(g, 1);
		p->n += rows;
	}
	p->n_ticks = p->n;
}

int sampler_sigma_plan(const char *name, int n_steps, struct sampler_sigmas sigmas, struct arena *a,
	struct sampler_plan *ret, struct err *e)
{
	const struct sampler *sampler;
	int rc = find(name, &sampler, e);

	if (rc)
		return rc;
	if (n_steps < 2)
		return err_set(e, ERR_ARG, "the sampler %s takes at least 2 steps", name);
	if (sampler_is_angular(name) && sigmas.max > 0) {
		angle_plan(name, n_steps, sigmas.max, a, ret);
		return 0;
	}
	if (!(sigmas.min > 0 && sigmas.max > sigmas.min))
		return err_set(
			e, ERR_ARG, "sigma cannot fall from %g to %g", sigmas.max, sigmas.min);
	if (!sampler->step) {
		dpm_plan(name, n_steps, sigmas, a, ret);
		return 0;
	}
	struct grid g = {.sigma = make_grid(sigmas, n_steps, a)};
	*ret = (struct sampler_plan){
		.n_steps = n_steps, .start = g.sigma[0], .has_slopes = sampler->step == lms};
	ret->steps = ARENA_ARRAY(a, struct sampler_step, (size_t)n_steps * 2);
	fill(ret, sampler->step, &g);
	return 0;
}
