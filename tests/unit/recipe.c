/* The recipe in a WAV file: round trips, and files that lie about it. */
#include "library/audio.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "library/base/err.h"
#include "library/base/str.h"
#include "tests/unit/scratch.h"

static void write_with(const char *path, const char *recipe)
{
	const struct audio_writer_desc d = {
		.path = path, .channels = 1, .rate_hz = 32000, .recipe = recipe, .comment = "x"};
	const float x[10] = {0};
	struct audio_writer *w;

	assert_int_equal(audio_writer_open(&d, &w, NULL), 0);
	assert_int_equal(audio_writer_add(w, x, 10, NULL), 0);
	assert_int_equal(audio_writer_commit(w, NULL), 0);
	audio_writer_close(w);
}

static void expect_failure(const char *path, int code, const char *part)
{
	struct err e = {0};
	char *recipe;

	assert_int_equal(audio_read_recipe(path, &recipe, &e), code);
	assert_error(e, code, part);
	assert_null(recipe);
	assert_int_equal(audio_read_recipe(path, &recipe, NULL), code);
}

static void recipes_round_trip(void **state)
{
	static char big[AUDIO_RECIPE_MAX + 1];
	const char *const recipes[] = {"{}", "{\"prompt\": \"\xe6\x97\xa5\"}", "odd", big};
	const char *path = scratch_path(state, "a.wav");

	memset(big, 'x', AUDIO_RECIPE_MAX);
	for (size_t i = 0; i < sizeof recipes / sizeof *recipes; i++) {
		char *back;
		write_with(path, recipes[i]);
		assert_int_equal(audio_read_recipe(path, &back, NULL), 0);
		assert_string_equal(back, recipes[i]);
		free(back);
	}
	write_with(path, NULL);
	expect_failure(path, ERR_FORMAT, "holds no recipe; give a file that woodshed wrote");
}

static void other_files_are_refused(void **state)
{
	const char *path = scratch_path(state, "a.wav");

	expect_failure(path, ERR_IO, "No such file");
	scratch_write(path, "", 0);
	expect_failure(path, ERR_FORMAT, "is no WAV file");
	scratch_write(path, "RIFF\0\0\0\0AVI LIST", 16);
	expect_failure(path, ERR_FORMAT, "is no WAV file");
	expect_failure(*state, ERR_IO, "no regular file");
	assert_int_equal(mkfifo(scratch_path(state, "fifo"), 0600), 0);
	expect_failure(scratch_path(state, "fifo"), ERR_IO, "no regular file");
}

static void add_chunk(struct str *b, const char *id, uint32_t size, const char *data, size_t n)
{
	str_add_n(b, id, 4);
	for (int i = 0; i < 4; i++)
		str_add_char(b, (char)(size >> 8 * i));
	str_add_n(b, data, n);
}

static void expect_chunk(
	void **state, const char *id, uint32_t size, const char *data, size_t n, const char *part)
{
	const char *path = scratch_path(state, "a.wav");
	struct str b = {0};

	add_chunk(&b, "RIFF", 100, "WAVE", 4);
	add_chunk(&b, id, size, data, n);
	scratch_write(path, b.s, b.n);
	str_done(&b);
	expect_failure(path, ERR_FORMAT, part);
}

static void lying_chunks_are_refused(void **state)
{
	expect_chunk(state, "wshd", 0, "", 0, "damaged");
	expect_chunk(state, "wshd", 3, "{}", 2, "damaged");
	expect_chunk(state, "wshd", UINT32_MAX, "{}", 2, "damaged");
	expect_chunk(state, "wshd", AUDIO_RECIPE_MAX + 1, "{}", 2, "damaged");
	expect_chunk(state, "wshd", 4, "{\0\0}", 4, "damaged");
	expect_chunk(state, "wshd", 2, "\xff}", 2, "damaged");
	expect_chunk(state, "fmt ", UINT32_MAX, "", 0, "damaged");
	expect_chunk(state, "data", UINT32_MAX, "", 0, "damaged");
	expect_chunk(state, "ds64", 28, "1234", 4, "damaged");
	expect_chunk(state, "ds64", 4, "1234", 4, "damaged");
	expect_chunk(state, "data", 1, "x", 1, "holds no recipe");
	expect_chunk(state, "data", 2, "xxwsh", 5, "holds no recipe");
}

/* A 64-bit size that would wrap the position around. */
static void a_wrapping_size_is_refused(void **state)
{
	static const char ds64[28] =
		"\xff\xff\xff\xff\xff\xff\xff\xff\xf0\xff\xff\xff\xff\xff\xff\xff";
	const char *path = scratch_path(state, "a.wav");
	struct str b = {0};

	add_chunk(&b, "RF64", UINT32_MAX, "WAVE", 4);
	add_chunk(&b, "ds64", 28, ds64, 28);
	add_chunk(&b, "data", UINT32_MAX, "xxxx", 4);
	scratch_write(path, b.s, b.n);
	str_done(&b);
	expect_failure(path, ERR_FORMAT, "damaged");
}

static void endless_chunks_end(void **state)
{
	const char *path = scratch_path(state, "a.wav");
	struct str b = {0};

	add_chunk(&b, "RIFF", 100, "WAVE", 4);
	for (int i = 0; i < 5000; i++)
		add_chunk(&b, "junk", 0, "", 0);
	add_chunk(&b, "wshd", 2, "{}", 2);
	scratch_write(path, b.s, b.n);
	str_done(&b);
	expect_failure(path, ERR_FORMAT, "holds no recipe");
}

/* Cut anywhere, the recipe comes out whole or not at all. */
static void cut_files_give_all_or_nothing(void **state)
{
	const char *path = scratch_path(state, "a.wav");
	const char *cut_path = scratch_path(state, "b.wav");
	unsigned char *file;
	size_t n, first = 0;

	write_with(path, "{\"seed\": 1}");
	file = scratch_read(path, &n);
	for (size_t cut = 0; cut <= n; cut++) {
		char *recipe;
		scratch_write(cut_path, file, cut);
		if (audio_read_recipe(cut_path, &recipe, NULL)) {
			assert_int_equal(first, 0); /* once it is there, it stays there */
			continue;
		}
		first = first ? first : cut;
		assert_string_equal(recipe, "{\"seed\": 1}");
		free(recipe);
	}
	assert_in_range(first, 50, n - 40);
	free(file);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, scratch_open, scratch_close)
	const struct CMUnitTest tests[] = {
		TEST(recipes_round_trip),
		TEST(other_files_are_refused),
		TEST(lying_chunks_are_refused),
		TEST(a_wrapping_size_is_refused),
		TEST(endless_chunks_end),
		TEST(cut_files_give_all_or_nothing),
	};
	return RUN_TAP(tests);
}
