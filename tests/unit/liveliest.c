/* Where the most goes on. */
#include "library/liveliest.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "library/base/err.h"
#include "library/base/arena.h"
#include "tests/unit/scratch.h"

enum { RATE = 16000, SECONDS = 40 };

/* A soft tone. */
static float *make(int channels)
{
	float *x = xcalloc((size_t)SECONDS * RATE * (size_t)channels, sizeof(*x));

	for (size_t i = 0; i < (size_t)SECONDS * RATE; i++)
		for (int c = 0; c < channels; c++)
			x[i * (size_t)channels + (size_t)c] =
				0.05f * (float)sin(2 * M_PI * 440 * (double)i / RATE);
	return x;
}

/* As many seconds as the window, so that only one window holds all of them. */
static void the_loudest_window_wins(void **state)
{
	float *x = make(2);
	struct err e = {0};
	double at;

	for (size_t i = (size_t)20 * RATE * 2; i < (size_t)30 * RATE * 2; i++)
		x[i] *= 8;
	assert_int_equal(liveliest(x, (size_t)SECONDS * RATE, 2, RATE, 10, &at, &e), 0);
	/* the first step of the tone rises, so half a second earlier is no worse */
	assert_true(at >= 19.5 && at <= 20.5);
	free(x);
}

/* The same power, as a tone and as one that changes its pitch four times a second. */
static void what_changes_is_livelier_than_what_does_not(void **state)
{
	float *x = make(1);
	struct err e = {0};
	double at, phase = 0;

	for (size_t i = (size_t)8 * RATE; i < (size_t)18 * RATE; i++) {
		phase += 2 * M_PI * (i / (RATE / 4) % 2 ? 440 : 1500) / RATE;
		x[i] = 0.05f * (float)sin(phase);
	}
	assert_int_equal(liveliest(x, (size_t)SECONDS * RATE, 1, RATE, 10, &at, &e), 0);
	assert_true(at >= 7 && at <= 9);
	free(x);
}

static void short_ones_begin_at_the_beginning(void **state)
{
	float *x = make(1);
	struct err e = {0};
	double at = 1;

	assert_int_equal(liveliest(x, (size_t)10 * RATE, 1, RATE, 10, &at, &e), 0);
	assert_true(at == 0);
	assert_int_equal(liveliest(x, 0, 1, RATE, 10, &at, &e), 0);
	assert_true(at == 0);
	for (size_t i = 0; i < (size_t)SECONDS * RATE; i++)
		x[i] = 0; /* silence is the same everywhere */
	assert_int_equal(liveliest(x, (size_t)SECONDS * RATE, 1, RATE, 10, &at, &e), 0);
	assert_true(at == 0);
	free(x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_loudest_window_wins),
		cmocka_unit_test(what_changes_is_livelier_than_what_does_not),
		cmocka_unit_test(short_ones_begin_at_the_beginning),
	};
	return RUN_TAP(tests);
}
