/* Sets of numbers against a table of bits. */
#include <string.h>

#include "library/base/splitmix.h"
#include "tests/unit/scratch.h"
#include "tui/ids.h"

enum { RANGE = 64 };

static void check(const struct ids *s, const bool *has)
{
	size_t n = 0;

	for (int i = 0; i < RANGE; i++) {
		assert_int_equal(ids_has(s, i - RANGE / 2), has[i]);
		n += has[i];
	}
	assert_int_equal(s->n, n);
	for (size_t i = 1; i < s->n; i++)
		assert_true(s->at[i - 1] < s->at[i]);
}

/* Some numbers, some of them twice, in any order. */
static size_t draw(uint64_t *state, int64_t out[RANGE], bool in[RANGE])
{
	const size_t n = splitmix64(*state += SPLITMIX_STEP) % RANGE;

	memset(in, 0, RANGE * sizeof(*in));
	for (size_t i = 0; i < n; i++) {
		const uint64_t at = splitmix64(*state += SPLITMIX_STEP) % RANGE;

		out[i] = (int64_t)at - RANGE / 2;
		in[at] = true;
	}
	return n;
}

static void any_order(void **state)
{
	uint64_t seed = 1;
	struct ids s = {0};
	bool has[RANGE] = {0}, in[RANGE];
	int64_t some[RANGE];

	check(&s, has);
	for (int round = 0; round < 3000; round++) {
		const size_t n = draw(&seed, some, in);
		const int how = (int)(splitmix64(seed += SPLITMIX_STEP) % 3);

		if (how == 0)
			ids_add(&s, some, n);
		else if (how == 1)
			ids_remove(&s, some, n);
		else
			ids_toggle(&s, some, n);
		for (int i = 0; i < RANGE; i++)
			if (in[i])
				has[i] = how == 0 || (how == 2 && !has[i]);
		check(&s, has);
	}
	ids_clear(&s);
	memset(has, 0, sizeof(has));
	check(&s, has);
	ids_done(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(any_order)};

	return RUN_TAP(tests);
}
