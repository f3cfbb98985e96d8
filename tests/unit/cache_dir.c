/* Folders of files that can be made again. */
#include "library/cache_dir.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "library/base/arena.h"
#include "library/base/err.h"
#include "tests/unit/scratch.h"

static void names_tell_what_it_was_made_from(void **state)
{
	struct arena a = {0};
	const char *path = scratch_path(state, "take.wav"), *first, *second;

	scratch_write(path, "abc", 3);
	first = cache_dir_name("/c", path, "picture 1", "picture", &a);
	assert_non_null(first);
	assert_int_equal(strlen(first), strlen("/c/") + 32 + strlen(".picture"));
	assert_string_equal(first, cache_dir_name("/c", path, "picture 1", "picture", &a));
	assert_string_not_equal(first, cache_dir_name("/c", path, "picture 2", "picture", &a));
	scratch_write(path, "abcd", 4); /* another file, in its place */
	second = cache_dir_name("/c", path, "picture 1", "picture", &a);
	assert_string_not_equal(first, second);
	assert_null(cache_dir_name("/c", scratch_path(state, "none"), "", "x", &a));
	assert_null(cache_dir_name("/c", *state, "", "x", &a)); /* a folder */
	arena_done(&a);
}

static void whole_or_absent(void **state)
{
	struct err e = {0};
	const char *folder = scratch_path(state, "a/b"), *name = scratch_path(state, "a/b/x");
	char back[4] = "";

	assert_int_equal(cache_dir_make(folder, &e), 0);
	assert_int_equal(cache_dir_make(folder, &e), 0);
	assert_int_equal(cache_dir_write(name, "abc", 3, &e), 0);
	assert_int_equal(cache_dir_read(name, back, 3, &e), 0);
	assert_string_equal(back, "abc");
	assert_int_equal(scratch_count(folder), 1);
	assert_int_equal(cache_dir_read(name, back, 2, NULL), ERR_IO);
	assert_int_equal(cache_dir_read(name, back, 4, NULL), ERR_IO);
	assert_int_equal(cache_dir_read(folder, back, 3, NULL), ERR_IO);
	assert_int_equal(symlink(name, scratch_path(state, "a/b/link")), 0);
	assert_int_equal(cache_dir_read(scratch_path(state, "a/b/link"), back, 3, NULL), ERR_IO);
	assert_int_equal(mkfifo(scratch_path(state, "a/b/pipe"), 0600), 0);
	assert_int_equal(cache_dir_read(scratch_path(state, "a/b/pipe"), back, 3, NULL), ERR_IO);
	assert_int_equal(cache_dir_write(scratch_path(state, "none/x"), "abc", 3, &e), ERR_IO);
}

static void the_oldest_goes_first(void **state)
{
	const struct timespec times[2] = {{1000, 0}, {1000, 0}}, later[2] = {{2000, 0}, {2000, 0}};
	const char *a = scratch_path(state, "a"), *b = scratch_path(state, "b"),
		   *c = scratch_path(state, "c");

	scratch_write(a, "0123456789", 10);
	scratch_write(b, "0123456789", 10);
	scratch_write(c, "0123456789", 10);
	utimensat(AT_FDCWD, a, times, 0);
	utimensat(AT_FDCWD, b, later, 0);
	cache_dir_trim(*state, 30, NULL);
	assert_int_equal(scratch_count(*state), 3);
	cache_dir_trim(*state, 29, a);
	assert_int_equal(access(a, F_OK), 0); /* older, but kept */
	assert_int_equal(access(b, F_OK), -1);
	cache_dir_touch(a);
	utimensat(AT_FDCWD, c, later, 0);
	cache_dir_trim(*state, 10, NULL);
	assert_int_equal(access(a, F_OK), 0);
	assert_int_equal(access(c, F_OK), -1);
	cache_dir_trim(*state, 0, NULL);
	assert_int_equal(scratch_count(*state), 0);
	cache_dir_trim("/no/such/folder", 0, NULL);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, scratch_open, scratch_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(names_tell_what_it_was_made_from),
		TEST(whole_or_absent),
		TEST(the_oldest_goes_first),
	};
	return RUN_TAP(tests);
}
