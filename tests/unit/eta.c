/* When jobs will be done. */
#include <math.h>

#include "tests/unit/scratch.h"
#include "tui/eta.h"

static void near(double got, double want)
{
	assert_true(fabs(got - want) < 1e-9);
}

/* 100 steps, ten a second. */
static void measured(void **state)
{
	struct eta e = {0};

	assert_true(isnan(eta_left(&e, 1, 0, NAN, NAN, 0)));
	eta_see(&e, 1, "render", 0, 100, 10);
	near(eta_rate(&e, 1), 0);
	eta_see(&e, 1, "render", 10, 100, 11);
	near(eta_rate(&e, 1), 10);
	near(eta_left(&e, 1, 1, NAN, NAN, 11), 9);
	/* Nothing was heard since: the time goes on all the same. */
	near(eta_left(&e, 1, 1, NAN, NAN, 13), 7);
	near(eta_left(&e, 1, 1, NAN, NAN, 99), 0);
	/* A stage more, usually two seconds long. */
	near(eta_left(&e, 1, 1, NAN, 12, 11), 11);
	/* What is usual is of a slower time: at most half of it is something else. */
	near(eta_left(&e, 1, 1, NAN, 100, 11), 9 + 50);
	near(eta_left(&e, 1, 1, NAN, 5, 11), 9);
	eta_see(&e, 1, "decode", 0, 4, 20);
	near(eta_rate(&e, 1), 0);
	near(eta_left(&e, 1, 10, NAN, 12, 20), 2);
	eta_see(&e, 1, "decode", 2, 4, 21);
	near(eta_left(&e, 1, 11, NAN, 12, 21), 1);
}

static void usual(void **state)
{
	struct eta e = {0};

	eta_see(&e, 1, "load", 0, 0, 10);
	near(eta_left(&e, 1, 2, 5, 20, 12), 3 + 20);
	near(eta_left(&e, 1, 9, 5, 20, 19), 20);
	near(eta_left(&e, 2, 5, NAN, 20, 0), 15);
	near(eta_left(&e, 2, 25, NAN, 20, 0), 0);
}

/* A job that begins anew, and more jobs than are watched. */
static void others(void **state)
{
	struct eta e = {0};

	eta_see(&e, 1, "render", 50, 100, 10);
	eta_see(&e, 1, "render", 60, 100, 11);
	eta_see(&e, 1, "render", 3, 100, 12);
	near(eta_rate(&e, 1), 0);
	for (int i = 2; i < 2 + ETA_MAX; i++)
		eta_see(&e, i, "render", 0, 10, 20 + i);
	eta_see(&e, 1 + ETA_MAX, "render", 5, 10, 50);
	assert_true(eta_rate(&e, 1 + ETA_MAX) > 0);
	near(eta_rate(&e, 1), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(measured), cmocka_unit_test(usual), cmocka_unit_test(others)};

	return RUN_TAP(tests);
}
