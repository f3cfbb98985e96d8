/* The recipe in a WAV or FLAC file: round trips, and files that lie about it. */
#include "library/audio.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "library/base/err.h"
#include "library/base/str.h"
#include "tests/unit/scratch.h"

static void write_as(const char *path, enum audio_format format, const char *recipe)
{
	const struct audio_writer_desc d = {.path = path,
		.channels = 1,
		.rate_hz = 32000,
		.format = format,
		.recipe = recipe,
		.comment = "x",
		.copyright = "y"};
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
	for (enum audio_format format = AUDIO_FLOAT; format <= AUDIO_FLAC16; format++) {
		for (size_t i = 0; i < sizeof recipes / sizeof *recipes; i++) {
			char *back;
			write_as(path, format, recipes[i]);
			assert_int_equal(audio_read_recipe(path, &back, NULL), 0);
			assert_string_equal(back, recipes[i]);
			free(back);
		}
		write_as(path, format, NULL);
		expect_failure(
			path, ERR_FORMAT, "holds no recipe; give a file that woodshed wrote");
	}
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

/* A block of FLAC metadata: `type` with 0x80 when it is the last. */
static void add_block(struct str *b, int type, size_t size, const char *data, size_t n)
{
	str_add_char(b, (char)type);
	for (int i = 2; i >= 0; i--)
		str_add_char(b, (char)(size >> 8 * i));
	str_add_n(b, data, n);
}

static void expect_comments(void **state, const char *data, size_t n, const char *part)
{
	const char *path = scratch_path(state, "a.flac");
	struct str b = {0};

	str_add(&b, "fLaC");
	add_block(&b, 0, 34, "0123456789012345678901234567890123", 34);
	add_block(&b, 0x84, n, data, n);
	str_add(&b, "and more than that behind it");
	scratch_write(path, b.s, b.n);
	str_done(&b);
	expect_failure(path, ERR_FORMAT, part);
}

static void lying_comments_are_refused(void **state)
{
#define COMMENTS(text, part) expect_comments(state, text, sizeof(text) - 1, part)
	COMMENTS("", "damaged");
	COMMENTS("\0\0\0", "damaged");
	COMMENTS("\0\0\0\0", "damaged");
	COMMENTS("\0\0\0\0\0\0\0\0", "holds no recipe");
	COMMENTS("\xff\xff\xff\xff\0\0\0\0", "damaged");
	COMMENTS("\4\0\0\0name\1\0\0\0", "damaged");
	COMMENTS("\0\0\0\0\1\0\0\0\5\0\0\0A=bc", "damaged");
	COMMENTS("\0\0\0\0\1\0\0\0\4\0\0\0A=bc", "holds no recipe");
	COMMENTS("\0\0\0\0\xff\xff\xff\xff\4\0\0\0A=bc", "damaged");
	COMMENTS("\0\0\0\0\1\0\0\0\x12\0\0\0WOODSHED_RECIPE={", "damaged");
	COMMENTS("\0\0\0\0\1\0\0\0\x10\0\0\0WOODSHED_RECIPE=", "damaged");
	COMMENTS("\0\0\0\0\1\0\0\0\x11\0\0\0WOODSHED_RECIPE=\xff", "damaged");
	COMMENTS("\0\0\0\0\1\0\0\0\x11\0\0\0WOODSHED_RECIPE=\0", "damaged");
#undef COMMENTS
}

static void comments_have_any_case_and_company(void **state)
{
	static const char data[] = "\4\0\0\0name\3\0\0\0\0\0\0\0\x12\0\0\0woodshed_Recipe={}"
				   "\4\0\0\0A=bc";
	const char *path = scratch_path(state, "a.flac");
	struct str b = {0};
	char *recipe;

	str_add(&b, "fLaC");
	add_block(&b, 1, 3, "pad", 3);
	add_block(&b, 4, sizeof data - 1, data, sizeof data - 1);
	scratch_write(path, b.s, b.n);
	str_done(&b);
	assert_int_equal(audio_read_recipe(path, &recipe, NULL), 0);
	assert_string_equal(recipe, "{}");
	free(recipe);
}

static void endless_blocks_end(void **state)
{
	const char *path = scratch_path(state, "a.flac");
	struct str b = {0};

	str_add(&b, "fLaC");
	for (int i = 0; i < 5000; i++)
		add_block(&b, 1, 0, "", 0);
	scratch_write(path, b.s, b.n);
	expect_failure(path, ERR_FORMAT, "holds no recipe");
	str_clear(&b);
	str_add(&b, "fLaC");
	add_block(&b, 1, 0xffffff, "12345678", 8);
	scratch_write(path, b.s, b.n);
	expect_failure(path, ERR_FORMAT, "damaged");
	str_done(&b);
}

/* Cut anywhere, the recipe comes out whole or not at all. */
static void expect_all_or_nothing(void **state, enum audio_format format)
{
	const char *path = scratch_path(state, "a.wav");
	const char *cut_path = scratch_path(state, "b.wav");
	unsigned char *file;
	size_t n, first = 0;

	write_as(path, format, "{\"seed\": 1}");
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
	assert_in_range(first, 50, n - (format == AUDIO_FLOAT ? 40 : 10));
	free(file);
}

static void cut_files_give_all_or_nothing(void **state)
{
	expect_all_or_nothing(state, AUDIO_FLOAT);
	expect_all_or_nothing(state, AUDIO_FLAC24);
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
		TEST(lying_comments_are_refused),
		TEST(comments_have_any_case_and_company),
		TEST(endless_blocks_end),
		TEST(cut_files_give_all_or_nothing),
	};
	return RUN_TAP(tests);
}
