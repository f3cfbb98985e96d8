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
	"k-dpm-2", "k-dpmpp-2s-ancestral", "k-euler", NULL};
static const char *const by_flow[] = {"euler", "dpmpp", "pingpong", NULL};

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

/* ---- what holds for each ------------------------------------------------ */

/* A model that is always right sees c in x = alpha c + sigma n.  Then every row must
 * leave alpha' c + sigma' n', with n' of the same variance as n.  Estimates weigh
 * equally here, for all are c. */
static void check_rows(const struct sampler_plan *plan)
{
	double alpha = plan->steps[0].alpha, sigma = plan->steps[0].sigma;

	for (int64_t i = 0; i < plan->n; i++) {
		const struct sampler_step *s = &plan->steps[i];
		double clean = s->x * alpha;

		for (int k = 0; k < SAMPLER_ESTIMATES; k++)
			clean += s->d[k];
		assert_true(fabs(clean - s->next_alpha) < 1e-9);
		assert_true(fabs(hypot(s->x * sigma, s->z) - s->next_sigma) < 1e-9 * sigma);
		assert_true(isfinite(s->x) && isfinite(s->d[1]) && isfinite(s->d[2]));
		if (s->is_inner) {
			assert_true(s->z == 0);
			continue;
		}
		alpha = s->next_alpha;
		sigma = s->next_sigma;
	}
	assert_true(sigma == 0 && alpha == 1);
	assert_int_equal(plan->steps[plan->n - 1].number, plan->n_steps);
}

static void test_right_model(void **state)
{
	struct arena a = {0};
	struct sampler_plan plan;

	for (int n = 2; n < 12; n++) {
		for (const char *const *name = by_sigma; *name; name++) {
			assert_int_equal(sampler_sigma_plan(*name, n, sigmas, &a, &plan, NULL), 0);
			check_rows(&plan);
		}
		for (const char *const *name = by_flow; *name; name++) {
			assert_int_equal(sampler_flow_plan(*name, n, 1, &a, &plan, NULL), 0);
			check_rows(&plan);
			assert_int_equal(sampler_flow_plan(*name, n, 0.6, &a, &plan, NULL), 0);
			check_rows(&plan);
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
		cmocka_unit_test(test_grids),
		cmocka_unit_test(test_right_model),
		cmocka_unit_test(test_orders),
		cmocka_unit_test(test_wrong),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
