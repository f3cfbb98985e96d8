/* The library's folder, names of takes, models. */
#include "library/paths.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "library/base/arena.h"
#include "library/base/err.h"
#include "library/base/str.h"
#include "tests/unit/scratch.h"

static struct arena arena;

static int reset(void **state)
{
	arena_done(&arena);
	return scratch_close(state);
}

static int mode_of(const char *path)
{
	struct stat st;

	return stat(path, &st) ? -1 : (int)(st.st_mode & 07777);
}

static void expect_library(const struct paths_env *env, const char *want)
{
	struct err e = {0};
	const char *path;

	if (paths_library(env, &arena, &path, &e))
		fail_msg("%s", e.text);
	assert_string_equal(path, want);
	assert_int_equal(mode_of(path), 0700);
}

static void the_first_that_is_set_wins(void **state)
{
	struct paths_env env = {
		.option = arena_strdup(&arena, scratch_path(state, "a")),
		.woodshed_library = arena_strdup(&arena, scratch_path(state, "b/c")),
		.xdg_data_home = arena_strdup(&arena, scratch_path(state, "d")),
		.home = arena_strdup(&arena, scratch_path(state, "e")),
	};
	struct err e = {0};
	const char *path;

	expect_library(&env, env.option);
	expect_library(&env, env.option); /* once more, now that it is there */
	assert_int_equal(scratch_count(*state), 1);
	env.option = "";
	expect_library(&env, env.woodshed_library);
	env.woodshed_library = NULL;
	expect_library(&env, scratch_path(state, "d/woodshed"));
	env.xdg_data_home = "relative";
	expect_library(&env, scratch_path(state, "e/.local/share/woodshed"));
	assert_int_equal(mode_of(scratch_path(state, "e/.local")), 0700);
	env.home = "";
	assert_int_equal(paths_library(&env, &arena, &path, &e), ERR_ARG);
	assert_error(e, ERR_ARG, "set HOME, or give --library DIR");
	assert_null(path);
}

static void a_folder_that_is_there_keeps_its_mode(void **state)
{
	struct paths_env env = {.option = scratch_path(state, "a/")};
	const char *path;

	assert_int_equal(mkdir(env.option, 0), 0);
	assert_int_equal(chmod(env.option, 0750), 0);
	assert_int_equal(paths_library(&env, &arena, &path, NULL), 0);
	assert_int_equal(mode_of(path), 0750);
}

static void expect_no_library(const char *option, int code, const char *part)
{
	struct paths_env env = {.option = option};
	struct err e = {0};
	const char *path;

	assert_int_equal(paths_library(&env, &arena, &path, &e), code);
	assert_error(e, code, part);
}

static void folders_that_cannot_be_made_are_refused(void **state)
{
	char name[6000] = "";

	scratch_write(scratch_path(state, "file"), "x", 1);
	expect_no_library(scratch_path(state, "file"), ERR_IO, "is no folder");
	expect_no_library(scratch_path(state, "file/a"), ERR_IO, "Not a directory");
	expect_no_library("/proc/nothing/here", ERR_IO, "choose another with --library");
	memset(name, 'x', sizeof name - 1);
	expect_no_library(name, ERR_ARG, "too long");
}

/* The reason is mkdir's, not that of a later look.  Root may write anywhere,
 * so root becomes nobody for this. */
static void a_folder_of_others_is_named(void **state)
{
	bool root = !geteuid();

	assert_int_equal(chmod(*state, 0555), 0);
	if (root)
		assert_int_equal(seteuid(65534), 0);
	expect_no_library(scratch_path(state, "a/b"), ERR_IO, "Permission denied");
	if (root)
		assert_int_equal(seteuid(0), 0);
	chmod(*state, 0755);
}

static void takes_have_fresh_names(void **state)
{
	const char *library = scratch_path(state, "lib");
	const char *first = NULL;

	for (int i = 0; i < 50; i++) {
		struct err e = {0};
		const char *path;
		if (paths_new_take(library, 1795494148999, &arena, &path, &e))
			fail_msg("%s", e.text);
		assert_true(has_prefix(path, library));
		assert_true(has_prefix(path + strlen(library), "/takes/2026/11/20261124-042228-"));
		assert_true(has_suffix(path, ".wav"));
		assert_int_not_equal(access(path, F_OK), 0);
		scratch_write(path, "x", 1);
		first = first ? first : path;
	}
	assert_int_equal(scratch_count(scratch_path(state, "lib/takes/2026/11")), 50);
	assert_int_equal(mode_of(scratch_path(state, "lib/takes/2026/11")), 0700);
}

static void a_senseless_time_is_refused(void **state)
{
	struct err e = {0};
	const char *path;

	assert_int_equal(paths_new_take(*state, INT64_MAX, &arena, &path, &e), ERR_ARG);
	assert_error(e, ERR_ARG, "set the computer's date");
	assert_int_equal(paths_new_take(*state, -1, &arena, &path, NULL), ERR_ARG);
	assert_int_equal(scratch_count(*state), 0);
}

static void models_are_found_by_plain_names_only(void **state)
{
	static const char *const bad[] = {
		"", ".", "..", ".hidden", "a/b", "../x", "/etc", "small/"};
	struct err e = {0};
	const char *path;

	mkdir(scratch_path(state, "models"), 0700);
	mkdir(scratch_path(state, "models/small"), 0700);
	mkdir(scratch_path(state, "x"), 0700);
	scratch_write(scratch_path(state, "models/file"), "x", 1);
	assert_int_equal(paths_model(*state, "small", &arena, &path, &e), 0);
	assert_string_equal(path, scratch_path(state, "models/small"));
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		err_clear(&e);
		assert_int_equal(paths_model(*state, bad[i], &arena, &path, &e), ERR_ARG);
		assert_error(e, ERR_ARG, "is no name of a model");
		assert_null(path);
	}
	err_clear(&e);
	assert_int_equal(paths_model(*state, "large", &arena, &path, &e), ERR_IO);
	assert_error(e, ERR_IO, "no model 'large' in");
	err_clear(&e);
	assert_int_equal(paths_model(*state, "file", &arena, &path, &e), ERR_FORMAT);
	assert_error(e, ERR_FORMAT, "a model is a folder");
}

/* What comes with woodshed: installed, else where it was built. */
static void data_is_found_from_the_program(void **state)
{
	static const char *const folders[] = {"bin", "bin/engine", "bin/engine/denoise",
		"bin/engine/denoise/weights", "share", "share/woodshed", "share/woodshed/weights"};
	const char *bin = arena_strdup(&arena, scratch_path(state, "bin"));
	char real[PATH_MAX];

	for (size_t i = 0; i < sizeof(folders) / sizeof(*folders); i++) {
		assert_int_equal(mkdir(scratch_path(state, folders[i]), 0700), 0);
		const char *found = paths_shared(bin, "weights", &arena);
		if (i < 3)
			assert_null(found);
		else
			assert_string_equal(
				found, realpath(scratch_path(state, folders[i < 6 ? 3 : 6]), real));
	}
}

static void refused(const char *library, const char *path)
{
	struct err e = {0};

	assert_int_equal(paths_check_output(library, path, &e), ERR_ARG);
	assert_error(e, ERR_ARG, "give another name");
}

static void allowed(const char *library, const char *path)
{
	assert_int_equal(paths_check_output(library, path, NULL), 0);
}

static void takes_are_no_place_for_anything_else(void **state)
{
	static const char *const folders[] = {
		"lib", "lib/takes", "lib/takes/2026", "lib/takesx", "disk", "disk/11"};
	const char *library = scratch_path(state, "lib");

	allowed(library, scratch_path(state, "lib/takes/2026/a.wav")); /* no library yet */
	for (size_t i = 0; i < sizeof(folders) / sizeof(*folders); i++)
		assert_int_equal(mkdir(scratch_path(state, folders[i]), 0700), 0);
	library = arena_strdup(&arena, scratch_path(state, "lib"));
	assert_int_equal(symlink(scratch_path(state, "lib"), scratch_path(state, "other")), 0);
	assert_int_equal(
		symlink(scratch_path(state, "disk/11"), scratch_path(state, "lib/takes/2026/11")),
		0);
	scratch_write(scratch_path(state, "lib/takes/2026/a.wav"), "x", 1);
	scratch_write(scratch_path(state, "lib/takes/2026/.a.tmp"), "x", 1);
	scratch_write(scratch_path(state, "lib/takesx/a.wav"), "x", 1);
	scratch_write(scratch_path(state, "lib/a.wav"), "x", 1);
	scratch_write(scratch_path(state, "disk/11/b.wav"), "x", 1);
	assert_int_equal(symlink("lib/takes/2026/a.wav", scratch_path(state, "link.wav")), 0);

	refused(library, scratch_path(state, "lib/takes/2026/a.wav"));
	refused(library, scratch_path(state, "lib//takes/../takes/./2026/a.wav"));
	refused(library, scratch_path(state, "other/takes/2026/a.wav"));
	refused(library, scratch_path(state, "link.wav"));
	refused(library, scratch_path(state, "lib/takes/2026/11/b.wav"));
	refused(scratch_path(state, "other"), scratch_path(state, "lib/takes/2026/a.wav"));
	allowed(library, scratch_path(state, "lib/takes/2026/b.wav"));
	allowed(library, scratch_path(state, "lib/takes/2026/.a.tmp"));
	allowed(library, scratch_path(state, "lib/takes/2026"));
	allowed(library, scratch_path(state, "lib/takesx/a.wav"));
	allowed(library, scratch_path(state, "lib/a.wav"));
	allowed(library, "/dev/null");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, scratch_open, reset)
	const struct CMUnitTest tests[] = {
		TEST(the_first_that_is_set_wins),
		TEST(a_folder_that_is_there_keeps_its_mode),
		TEST(folders_that_cannot_be_made_are_refused),
		TEST(a_folder_of_others_is_named),
		TEST(takes_have_fresh_names),
		TEST(a_senseless_time_is_refused),
		TEST(models_are_found_by_plain_names_only),
		TEST(data_is_found_from_the_program),
		TEST(takes_are_no_place_for_anything_else),
	};
	return RUN_TAP(tests);
}
