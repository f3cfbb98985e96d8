/* Keys that a user mapped, and words that a line may go on with. */
#include "tests/unit/scratch.h"

#include <stdlib.h>
#include <string.h>

#include "library/base/err.h"
#include "tui/complete.h"
#include "tui/keymap.h"

static void maps(void **state)
{
	struct keymap m = {0};
	struct err e = {0};

	assert_int_equal(keymap_set(&m, 1, "x", "trash", &e), 0);
	assert_int_equal(keymap_set(&m, 2, "x", "cancel", &e), 0);
	assert_int_equal(keymap_set(&m, 1, "<Space>", "play", &e), 0);
	assert_true(keymap_has(&m, "x", 1));
	assert_true(keymap_has(&m, "<Space>", 1 | ON_ANY));
	assert_false(keymap_has(&m, "x", 4));
	assert_false(keymap_has(&m, "xx", 1));
	/* The same key once more takes the place of the first. */
	assert_int_equal(keymap_set(&m, 1, "x", NULL, &e), 0);
	assert_int_equal(m.n, 3);
	assert_null(m.at[2].command);
	assert_int_equal(keymap_set(&m, 1, "<Nokey>", "trash", &e), ERR_ARG);
	assert_error(e, ERR_ARG, "<Nokey>");
	assert_int_equal(m.n, 3);
	keymap_close(&m);
	assert_int_equal(m.n, 0);
}

static void completes(void **state)
{
	struct words w = {.prefix = "so"};

	words_add(&w, "source");
	words_add(&w, "sort");
	words_add(&w, "sort");
	words_add(&w, "stop");
	words_sort(&w);
	assert_int_equal(w.n, 2);
	assert_string_equal(w.at[0], "sort");
	words_done(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(maps),
		cmocka_unit_test(completes),
	};

	return RUN_TAP(tests);
}
