/* Samplers as tables: against scalar runs of the reference programs, and by what any
 * sampler must do to a model that is always right. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/samplers/sampler.h"
#include "library/base/arena.h"
#include "library/base/err.h"

static const struct sampler_sigmas sigmas = {.min = 0.3, .max = 500, .rho = 1};

static const char *const by_sigma[] = {"dpmpp-2m-sde", "dpmpp-3m-sde", "dpmpp-2m", "k-heun",
	"k-dpm-2", "k-dpmpp-2s-ancestral", "k-euler", "k-lms", "k-dpm-fast", "v-ddim",
	"v-ddim-cfgpp", NULL};
static const char *const by_flow[] = {"euler", "dpmpp", "pingpong", "rk4", NULL};

/* ---- scalar runs -------------------------------------------------------- */

/* v = slope * c_in x + 0.1 t, in the v objective of Stable Audio. */
static double estimate(double x, double sigma, double slope)
{
	const double variance = sigma * sigma + 1, t = 2 / M_PI * atan(sigma);
	const double v = slope * x / sqrt(variance) + (slope > 0 ? 0.1 * t : 0);

	return x / variance - sigma / sqrt(variance) * v;
}

/* The values that diffusers' CosineDPMSolverMultistepScheduler and k-diffusion's
 * sample_dpmpp_3m_sde give to the same scalar, run in double precision. */
static void compare_run(
	const char *name, double x, double slope, const double *z, const double *expected, int n)
{
	struct arena a = {0};
	struct sampler_plan plan;
	double d[SAMPLER_ESTIMATES] = {0};

	assert_int_equal(sampler_sigma_plan(name, n, sigmas, &a, &plan, NULL), 0);
	assert_int_equal(plan.n, n);
	for (int i = 0; i < n; i++) {
		const struct sampler_step *s = &plan.steps[i];

		memmove(d + 1, d, sizeof(d) - sizeof(*d));
		d[0] = estimate(x, s->sigma, slope);
		x *= s->x;
		for (int k = 0; k < SAMPLER_ESTIMATES; k++)
			x += s->d[k] * d[k];
		x += s->z * z[i];
		/* The expected values have ten digits. */
		assert_true(fabs(x - expected[i]) <= 6e-10 * fabs(expected[i]) + 1e-12);
	}
	arena_done(&a);
}

static void test_reference_runs(void **state)
{
	const double z[] = {1, -1, 0.5, -0.25, 0};

	compare_run("dpmpp-2m-sde", sqrt(500.0 * 500 + 1), 0.25, (double[]){1, -1, 0.5, 0},
		(double[]){45.23286867, -3.557664742, 0.1321097861, 0.1067798574}, 4);
	compare_run("dpmpp-2m-sde", sqrt(500.0 * 500 + 1), 0, (double[]){1, -1, 0.5, 0},
		(double[]){45.58025173, -3.182814993, -0.233126536, -0.213877556}, 4);
	compare_run("dpmpp-3m-sde", 500, 0.25, z,
		(double[]){89.19797059, -10.2880653, 1.272651604, -0.137228498, -0.1217870351}, 5);
}

/* ---- k-diffusion's runs -------------------------------------------------- */

enum { WIDTH = 3 };

/* Three numbers, and what was seen in them. */
struct run {
	double x[WIDTH], base[WIDTH], d[SAMPLER_ESTIMATES][WIDTH];
};

/* base and what was seen last, weighed. */
static double sum_of(const struct run *r, int i, double x, const double *d, int n)
{
	double sum = x * r->base[i];

	for (int k = 0; k < n; k++)
		sum += d[k] * r->d[k][i];
	return sum;
}

static void run_row(struct run *r, const struct sampler_step *s)
{
	memmove(r->d[1], r->d[0], sizeof(r->d) - sizeof(*r->d));
	for (int i = 0; i < WIDTH; i++) {
		r->d[0][i] = (r->x[i] - estimate(r->x[i], s->sigma, 0.25)) / s->sigma;
		r->x[i] = sum_of(r, i, s->x, s->d, SAMPLER_ESTIMATES);
	}
	if (!s->is_inner)
		memcpy(r->base, r->x, sizeof(r->base));
}

static void assert_near(const struct run *r, const double expected[WIDTH], double tolerance)
{
	for (int i = 0; i < WIDTH; i++)
		assert_true(fabs(r->x[i] - expected[i]) <= tolerance * (fabs(expected[i]) + 1));
}

static struct run begin(const struct sampler_plan *plan)
{
	struct run r = {.x = {plan->start, -plan->start / 2, plan->start / 50}};

	memcpy(r.base, r.x, sizeof(r.base));
	return r;
}

/* The expected values, printed by samplers_runs.py, have ten digits. */
static void compare_steps(const char *name, int n, const double (*expected)[WIDTH], int n_expected)
{
	struct arena a = {0};
	struct sampler_plan plan;
	int step = 0;

	assert_int_equal(sampler_sigma_plan(name, n, sigmas, &a, &plan, NULL), 0);
	assert_true(plan.has_slopes);
	assert_int_equal(plan.n, n);
	assert_int_equal(plan.n_steps, n_expected);
	struct run r = begin(&plan);
	for (int64_t i = 0; i < plan.n; i++) {
		run_row(&r, &plan.steps[i]);
		if (!plan.steps[i].is_inner)
			assert_near(&r, expected[step++], 1e-9);
	}
	assert_int_equal(step, n_expected);
	arena_done(&a);
}

static void test_slopes(void **state)
{
	compare_steps("k-lms", 6,
		(const double[][WIDTH]){
			{113.1276812, -56.6796737, 2.186875999},
			{25.39437997, -12.83851592, 0.4155546555},
			{5.526563511, -2.907059933, 0.01659619451},
			{1.145143009, -0.7040682436, -0.06300834286},
			{0.4803919542, -0.3463014785, -0.05971442184},
			{0.4255987389, -0.3106246857, -0.05540056519},
		},
		6);
	compare_steps("k-dpm-fast", 6,
		(const double[][WIDTH]){
			{41.86571184, -21.06858248, 0.7486395515},
			{3.44214931, -1.84445473, -0.01176532929},
			{0.2431297149, -0.2420403052, -0.07384803157},
		},
		3);
	compare_steps("k-dpm-fast", 7,
		(const double[][WIDTH]){
			{41.86571184, -21.06858248, 0.7486395515},
			{3.378083086, -1.820203796, -0.0181310101},
			{0.237250135, -0.2398147128, -0.07443223221},
		},
		3);
	compare_steps("k-dpm-fast", 8,
		(const double[][WIDTH]){
			{41.86571184, -21.06858248, 0.7486395515},
			{3.378083086, -1.820203796, -0.0181310101},
			{1.353947846, -0.7320228794, -0.008886361112},
		},
		3);
}

/* What sampler_adaptive_error() has in floats: the sizes of the steps are cube roots of what
 * their rounding would drown here. */
static double error_of(const double *x, const double *low, const double *before)
{
	double sum = 0;

	for (int i = 0; i < WIDTH; i++) {
		const double off =
			(low[i] - x[i]) / fmax(0.01, 0.01 * fmax(fabs(low[i]), fabs(before[i])));
		sum += off * off;
	}
	return sqrt(sum / WIDTH);
}

static void try_step(struct run *r, const struct sampler_adaptive *a, double low[WIDTH])
{
	struct sampler_trial t;

	sampler_adaptive_try(a, &t);
	for (int i = 0; i < 3; i++) {
		t.rows[i].is_inner = true;
		run_row(r, &t.rows[i]);
		for (int k = 0; k < WIDTH && i == 1; k++)
			low[k] = sum_of(r, k, 1, t.low, 2);
	}
}

/* Ten digits, and each step begins where the one before has brought it: 1e-8. */
static void test_adaptive(void **state)
{
	static const double expected[][WIDTH] = {
		{475.5977492, -237.8061805, 9.507181781},
		{418.23389, -209.1414223, 8.348685973},
		{300.6283268, -150.3738221, 5.97358951},
		{128.8825772, -64.55212209, 2.505240329},
		{14.84161778, -7.561839824, 0.2046921456},
		{1.152805596, -0.6675437936, -0.03648933851},
		{1.145537806, -0.6636787022, -0.03648364621},
	};
	struct arena arena = {0};
	struct sampler_plan plan;
	double low[WIDTH], before[WIDTH];
	int n_trials = 0, step = 0;

	assert_int_equal(sampler_sigma_plan("k-dpm-adaptive", 2, sigmas, &arena, &plan, NULL), 0);
	assert_true(plan.is_adaptive && plan.n == 0 && plan.n_ticks > 0);
	struct run r = begin(&plan);
	struct sampler_adaptive a = sampler_adaptive_begin(&plan);
	memcpy(before, r.x, sizeof(before));
	for (; !sampler_adaptive_is_over(&a); n_trials++) {
		try_step(&r, &a, low);
		if (!sampler_adaptive_judge(&a, error_of(r.x, low, before))) {
			memcpy(r.x, r.base, sizeof(r.x));
			continue;
		}
		memcpy(r.base, r.x, sizeof(r.base));
		memcpy(before, low, sizeof(before));
		assert_true(step < 7);
		assert_near(&r, expected[step++], 1e-8);
	}
	assert_int_equal(step, 7);
	assert_int_equal(n_trials, 8); /* one of which did not count */
	arena_done(&arena);
}

static void test_adaptive_error(void **state)
{
	/* off by 0.03 where 0.02 is tolerated, by nothing, by 0.03 where 0.01 is */
	const float x[] = {2.03f, -1, 0.03f}, low[] = {2, -1, 0}, before[] = {1, -3, 0};

	assert_true(fabs(sampler_adaptive_error(x, low, before, 3) -
			    sqrt((1.5 * 1.5 + 3 * 3) / 3)) < 1e-5);
}

static void test_grids(void **state)
{
	static const double sigma[] = {500, 219.273834, 18.4942714, 0.68407615, 0.3};
	static const int at[] = {0, 1, 4, 8, 9};
	static const double t[] = {
		1, 0.99330715, 0.98201379, 0.95257413, 0.88079708, 0.73105858, 0.5, 0.26894142};
	struct arena a = {0};
	struct sampler_plan plan;

	assert_int_equal(sampler_sigma_plan("k-euler", 10, sigmas, &a, &plan, NULL), 0);
	for (int i = 0; i < 5; i++)
		assert_true(fabs(plan.steps[at[i]].sigma / sigma[i] - 1) < 1e-8);
	assert_true(fabs(plan.steps[0].next_sigma - 219.273834) < 1e-6);
	assert_int_equal(sampler_flow_plan("euler", 8, 1, &a, &plan, NULL), 0);
	for (int i = 0; i < 8; i++)
		assert_true(fabs(plan.steps[i].time - t[i]) < 1e-8);
	assert_true(plan.steps[7].next_sigma == 0);
	arena_done(&a);
}

/* However little noise it begins with. */
static void test_flow_falls(void **state)
{
	static const double starts[] = {1, 0.5, 0.12, 0.119, 0.1, 0.001};
	struct arena a = {0};
	struct sampler_plan plan;

	for (size_t k = 0; k < 6 * 3; k++) {
		const double start = starts[k / 3];
		assert_int_equal(sampler_flow_plan(by_flow[k % 3], 8, start, &a, &plan, NULL), 0);
		assert_true(plan.steps[0].sigma == start);
		for (int i = 0; i < 8; i++)
			assert_true(plan.steps[i].next_sigma < plan.steps[i].sigma);
	}
	arena_done(&a);
}

/* ---- what holds for each ------------------------------------------------ */

/* A model that is always right sees c in x = alpha c + sigma n.  Then every row must
 * leave alpha' c + sigma' n', with n' of the same variance as n.  Estimates weigh
 * equally here, for all are c; slopes are all n, those of a flow n - c. */
static void check_rows(const struct sampler_plan *plan, bool is_flow)
{
	double alpha = plan->steps[0].alpha, sigma = plan->steps[0].sigma;

	for (int64_t i = 0; i < plan->n; i++) {
		const struct sampler_step *s = &plan->steps[i];
		double clean = s->x * alpha + s->unguided, noise = s->x * sigma;

		for (int k = 0; k < SAMPLER_ESTIMATES; k++)
			if (plan->has_slopes) {
				noise += s->d[k];
				clean -= is_flow ? s->d[k] : 0;
			} else {
				clean += s->d[k];
			}
		assert_true(fabs(clean - s->next_alpha) < 1e-9);
		assert_true(fabs(hypot(noise, s->z) - s->next_sigma) < 1e-9 * sigma);
		assert_true(isfinite(s->x) && isfinite(s->d[1]) && isfinite(s->d[2]));
		if (s->is_inner) {
			assert_true(s->z == 0);
			continue;
		}
		alpha = s->next_alpha;
		sigma = s->next_sigma;
	}
	assert_true(alpha == 1 && fabs(sigma - plan->end) < 1e-9);
	assert_int_equal(plan->steps[plan->n - 1].number, plan->n_steps);
}

static void test_right_model(void **state)
{
	struct arena a = {0};
	struct sampler_plan plan;

	for (int n = 2; n < 12; n++) {
		for (const char *const *name = by_sigma; *name; name++) {
			assert_int_equal(sampler_sigma_plan(*name, n, sigmas, &a, &plan, NULL), 0);
			check_rows(&plan, false);
		}
		for (const char *const *name = by_flow; *name; name++) {
			assert_int_equal(sampler_flow_plan(*name, n, 1, &a, &plan, NULL), 0);
			check_rows(&plan, true);
			assert_int_equal(sampler_flow_plan(*name, n, 0.6, &a, &plan, NULL), 0);
			check_rows(&plan, true);
			assert_int_equal(sampler_flow_plan(*name, n, 0.05, &a, &plan, NULL), 0);
			check_rows(&plan, true);
		}
	}
	arena_done(&a);
}

/* dx/dsigma = (x - d) / sigma with d = x / (1 + sigma^2) ends, from sigma = 10 and
 * x = sqrt(101), at x = 1; the error of a method of order p falls as n^-p.  Ratios of
 * errors at 40 and 80 steps, of the grid down to 0.001, where the last step is exact
 * to 1e-6. */
static double end_of(const char *name, int n)
{
	struct arena a = {0};
	struct sampler_plan plan;
	double x = sqrt(101), base = x, d[SAMPLER_ESTIMATES] = {0};

	assert_int_equal(
		sampler_sigma_plan(name, n, (struct sampler_sigmas){0.001, 10, 1}, &a, &plan, NULL),
		0);
	for (int64_t i = 0; i < plan.n; i++) {
		const struct sampler_step *s = &plan.steps[i];

		memmove(d + 1, d, sizeof(d) - sizeof(*d));
		d[0] = x / (1 + s->sigma * s->sigma);
		x = s->x * base + s->d[0] * d[0] + s->d[1] * d[1] + s->d[2] * d[2];
		base = s->is_inner ? base : x;
	}
	arena_done(&a);
	return fabs(x - 1);
}

static void test_orders(void **state)
{
	const double first = end_of("k-euler", 40) / end_of("k-euler", 80);

	assert_true(first > 1.8 && first < 2.2);
	for (int i = 2; i < 5; i++) {
		const double second = end_of(by_sigma[i], 40) / end_of(by_sigma[i], 80);

		assert_true(second > 3.4 && second < 4.6);
	}
}

/* The same latents of deviation 1 in a flow: dx/dt = x (2t - 1) / ((1 - t)^2 + t^2), so x keeps its
 * quotient by the root of that denominator, which is 1 at t = 0.  (From t = 1 errors cancel, as the
 * way is its own mirror.) */
static double end_of_flow(int n)
{
	struct arena a = {0};
	struct sampler_plan plan;
	double x = hypot(0.4, 0.6), base = x, v[SAMPLER_ESTIMATES] = {0};

	assert_int_equal(sampler_flow_plan("rk4", n, 0.6, &a, &plan, NULL), 0);
	for (int64_t i = 0; i < plan.n; i++) {
		const struct sampler_step *s = &plan.steps[i];
		const double t = s->time;

		memmove(v + 1, v, sizeof(v) - sizeof(*v));
		v[0] = x * (2 * t - 1) / ((1 - t) * (1 - t) + t * t);
		x = s->x * base;
		for (int k = 0; k < SAMPLER_ESTIMATES; k++)
			x += s->d[k] * v[k];
		base = s->is_inner ? base : x;
	}
	arena_done(&a);
	return fabs(x - 1);
}

static void test_fourth_order(void **state)
{
	const double fourth = end_of_flow(20) / end_of_flow(40);

	assert_true(fourth > 15 && fourth < 17);
}

/* Of them v-ddim sees d = alpha x, and each step turns by the same angle: x shrinks by its cosine.
 * With a range of noise it begins there. */
static void test_angles(void **state)
{
	enum { STEPS = 7 };
	struct arena a = {0};
	struct sampler_plan plan;
	struct sampler_sigmas s = {.min = 0.3, .max = INFINITY, .rho = 1};
	double x = 1;

	assert_int_equal(sampler_sigma_plan("v-ddim", STEPS, s, &a, &plan, NULL), 0);
	assert_true(fabs(plan.start - 1) < 1e-15);
	for (int i = 0; i < STEPS; i++)
		x *= plan.steps[i].x + plan.steps[i].d[0] * plan.steps[i].alpha;
	assert_true(fabs(x - pow(cos(M_PI / 2 / STEPS), STEPS)) < 1e-12);
	s.max = 1;
	assert_int_equal(sampler_sigma_plan("v-ddim", STEPS, s, &a, &plan, NULL), 0);
	assert_true(fabs(plan.steps[0].sigma - sqrt(0.5)) < 1e-12);
	s.max = s.min / 100; /* the others' end is not theirs */
	assert_int_equal(sampler_sigma_plan("v-ddim-cfgpp", STEPS, s, &a, &plan, NULL), 0);
	assert_true(fabs(plan.steps[0].time - s.max) < 1e-12);
	arena_done(&a);
}

static void test_wrong(void **state)
{
	struct arena a = {0};
	struct sampler_plan plan;
	struct err e = {0};

	assert_int_equal(sampler_sigma_plan("ddim", 10, sigmas, &a, &plan, &e), ERR_ARG);
	assert_non_null(strstr(e.text, "dpmpp-3m-sde"));
	err_clear(&e);
	assert_int_equal(sampler_sigma_plan("k-heun", 1, sigmas, &a, &plan, &e), ERR_ARG);
	assert_non_null(strstr(e.text, "at least 2"));
	err_clear(&e);
	assert_int_equal(
		sampler_sigma_plan("k-heun", 4, (struct sampler_sigmas){2, 1, 1}, &a, &plan, &e),
		ERR_ARG);
	err_clear(&e);
	assert_int_equal(sampler_flow_plan("k-heun", 4, 1, &a, &plan, &e), ERR_ARG);
	assert_non_null(strstr(e.text, "pingpong"));
	arena_done(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reference_runs),
		cmocka_unit_test(test_slopes),
		cmocka_unit_test(test_adaptive),
		cmocka_unit_test(test_adaptive_error),
		cmocka_unit_test(test_grids),
		cmocka_unit_test(test_flow_falls),
		cmocka_unit_test(test_right_model),
		cmocka_unit_test(test_orders),
		cmocka_unit_test(test_fourth_order),
		cmocka_unit_test(test_angles),
		cmocka_unit_test(test_wrong),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
