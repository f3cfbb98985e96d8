/* Samplers over a training schedule: the steps that diffusers takes, its levels of noise,
 * and what any sampler must do to a model that is always right. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "engine/samplers/sampler.h"
#include "library/base/arena.h"
#include "library/base/err.h"

/* AudioLDM 2's. */
static const struct sampler_schedule music = {
	.n = 1000, .beta_start = 0.0015, .beta_end = 0.0195, .is_scaled = true, .offset = 1};

static struct sampler_plan plan_of(
	const char *name, int n, const struct sampler_schedule *s, struct arena *a)
{
	struct sampler_plan plan = {0};
	struct err e = {0};

	if (sampler_schedule_plan(name, n, s, a, &plan, &e))
		fail_msg("%s", e.text);
	assert_int_equal(plan.n, n);
	return plan;
}

static void assert_times(const struct sampler_plan *p, const int64_t *t, int64_t n)
{
	for (int64_t i = 0; i < n; i++)
		assert_int_equal(p->steps[i].time, t[i]);
}

static void test_times(void **state)
{
	struct sampler_schedule s = music;
	struct arena a = {0};
	struct sampler_plan p = plan_of("ddim", 200, &s, &a);

	assert_times(&p, (int64_t[]){996, 991, 986}, 3);
	assert_int_equal(p.steps[199].time, 1);
	p = plan_of("ddim", 3, &s, &a);
	assert_times(&p, (int64_t[]){667, 334, 1}, 3);
	p = plan_of("ddim", 1, &s, &a);
	assert_times(&p, (int64_t[]){1}, 1);
	p = plan_of("dpmpp-2m", 20, &s, &a);
	assert_times(&p, (int64_t[]){941, 894}, 2);
	assert_int_equal(p.steps[19].time, 48);
	s.spacing_others = SAMPLER_LINSPACE;
	p = plan_of("dpmpp-2m", 20, &s, &a);
	assert_times(&p, (int64_t[]){999, 949}, 2);
	assert_int_equal(p.steps[19].time, 50);
	s.spacing = SAMPLER_TRAILING;
	p = plan_of("ddim", 4, &s, &a);
	assert_times(&p, (int64_t[]){999, 749, 499, 249}, 4);
	s.spacing = SAMPLER_LINSPACE;
	p = plan_of("ddim", 4, &s, &a);
	assert_times(&p, (int64_t[]){999, 666, 333, 0}, 4);
	arena_done(&a);
}

static void test_levels(void **state)
{
	static const struct {
		int64_t t;
		double alpha_squared;
	} known[] = {{996, .000150951}, {496, .118643708}, {11, .981634842}, {6, .989383382},
		{1, .996994427}};
	struct arena a = {0};
	const struct sampler_plan p = plan_of("ddim", 200, &music, &a);

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		const struct sampler_step *s = &p.steps[(996 - known[i].t) / 5];
		assert_int_equal(s->time, known[i].t);
		assert_true(fabs(s->alpha * s->alpha - known[i].alpha_squared) < 6e-10);
		assert_true(fabs(s->alpha * s->alpha + s->sigma * s->sigma - 1) < 1e-12);
	}
	/* the last step ends with what training's step 0 leaves */
	assert_true(fabs(pow(p.steps[199].next_alpha, 2) - .9985) < 1e-12);
	arena_done(&a);
}

/* x = alpha clean + sigma noise at every level, if the estimate is the clean value. */
static void test_right_model(void **state)
{
	static const char *const names[] = {"ddim", "dpmpp-2m"};
	static const int steps[] = {1, 2, 7, 40};
	const double clean = 0.7, noise = -1.3;
	struct arena a = {0};

	for (int k = 0; k < 8; k++) {
		const struct sampler_plan p = plan_of(names[k % 2], steps[k / 2], &music, &a);
		double x = p.steps[0].alpha * clean + p.steps[0].sigma * noise;
		for (int64_t i = 0; i < p.n; i++) {
			const struct sampler_step *s = &p.steps[i];
			x = s->x * x + (s->d[0] + s->d[1]) * clean;
			assert_true(fabs(x - s->next_alpha * clean - s->next_sigma * noise) < 1e-9);
			assert_true(s->z == 0 && s->number == i + 1);
		}
		if (k % 2)
			assert_true(fabs(x - clean) < 1e-9);
	}
	arena_done(&a);
}

static void refused_of(const struct sampler_schedule *s, const char *name, int n, const char *says)
{
	struct sampler_plan plan;
	struct arena a = {0};
	struct err e = {0};

	assert_int_equal(sampler_schedule_plan(name, n, s, &a, &plan, &e), ERR_ARG);
	if (!strstr(e.text, says))
		fail_msg("'%s' does not say '%s'", e.text, says);
	arena_done(&a);
}

static void refused(const char *name, int n, const char *says)
{
	refused_of(&music, name, n, says);
}

static void test_refused(void **state)
{
	struct sampler_schedule linspace = music;

	linspace.spacing_others = SAMPLER_LINSPACE;
	refused("k-heun", 20, "ddim, dpmpp-2m");
	refused("ddim", 0, "not possible");
	refused("ddim", 1001, "not possible");
	refused("ddim", 1000, "too many");     /* step 1000 of 0 .. 999 */
	refused("dpmpp-2m", 1000, "too many"); /* all of them step 1 */
	refused_of(&linspace, "dpmpp-2m", 1000, "too many");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_times),
		cmocka_unit_test(test_levels),
		cmocka_unit_test(test_right_model),
		cmocka_unit_test(test_refused),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
