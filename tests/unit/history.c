/* Lines that were typed, and the file that keeps them. */
#include "tests/unit/scratch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tui/history.h"

static void steps(void **state)
{
	struct history h;

	history_open(&h, NULL);
	history_add(&h, "sort rating");
	history_add(&h, "theme nord");
	history_add(&h, "theme nord"); /* once is enough */
	history_add(&h, "sort newest");
	history_add(&h, "");
	assert_int_equal(h.n, 3);
	assert_string_equal(history_step(&h, -1, ""), "sort newest");
	assert_string_equal(history_step(&h, -1, ""), "theme nord");
	assert_string_equal(history_step(&h, 1, ""), "sort newest");
	assert_null(history_step(&h, 1, ""));
	assert_string_equal(history_step(&h, -1, "th"), "theme nord");
	assert_null(history_step(&h, -1, "th"));
	assert_string_equal(history_step(&h, -1, "sort"), "sort rating");
	history_close(&h);
}

static void is_kept(void **state)
{
	const char *path = scratch_path(state, "history");
	struct history h;

	history_open(&h, path);
	history_add(&h, "one");
	history_add(&h, "two");
	history_close(&h);
	history_open(&h, path);
	assert_int_equal(h.n, 2);
	assert_string_equal(history_step(&h, -1, ""), "two");
	history_close(&h);
}

/* A file that has grown is cut when it is opened, and the newest stay. */
static void is_cut(void **state)
{
	const char *path = scratch_path(state, "history");
	struct history h;
	size_t n;
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	for (int i = 0; i < 5 * HISTORY_MAX; i++)
		fprintf(f, "line %d\n", i);
	fclose(f);
	history_open(&h, path);
	assert_int_equal(h.n, HISTORY_MAX);
	history_close(&h);
	unsigned char *text = scratch_read(path, &n);
	assert_int_equal(memcmp(text, "line 2000\n", 10), 0);
	free(text);
	history_open(&h, path);
	assert_int_equal(h.n, HISTORY_MAX);
	assert_string_equal(h.at[HISTORY_MAX - 1], "line 2499");
	history_close(&h);
}

/* What is no text is not sent to a terminal later. */
static void hostile(void **state)
{
	const char *path = scratch_path(state, "history");
	struct history h;

	scratch_write(path, "a\033[31m\nb\0c\n\377\n", 14);
	history_open(&h, path);
	for (size_t i = 0; i < h.n; i++)
		assert_null(strpbrk(h.at[i], "\033\377"));
	history_close(&h);
	history_open(&h, "/nowhere/history");
	history_add(&h, "kept for now");
	assert_int_equal(h.n, 1);
	history_close(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(steps),
		cmocka_unit_test_setup_teardown(is_kept, scratch_open, scratch_close),
		cmocka_unit_test_setup_teardown(is_cut, scratch_open, scratch_close),
		cmocka_unit_test_setup_teardown(hostile, scratch_open, scratch_close),
	};

	return RUN_TAP(tests);
}
