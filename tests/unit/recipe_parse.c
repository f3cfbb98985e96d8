/* Recipes as text: what is written is read back, what is damaged is refused
 * with the name of the field. */
#include "library/recipe.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "library/audio.h"
#include "library/base/arena.h"
#include "library/base/err.h"
#include "library/base/str.h"
#include "tests/unit/scratch.h"

#define HASH "c5f05a155ec92ba8dfab42b9e028cb6c76f4800a44353505ca3a17cb849c0ad9"

/* As version 0.1.0 writes them. */
static const char SAMPLED[] =
	"{\"program\": \"woodshed\", \"version\": \"0.1.0\", \"engine\": \"musicgen\", "
	"\"model\": \"mono\", \"model_hash\": \"" HASH "\", \"prompt\": \"a \\\"b\\\"\", "
	"\"seed\": 18446744073709551615, \"seconds\": 1.1, \"frames\": 55, \"rate\": 32000, "
	"\"channels\": 1, \"cfg\": 3, \"greedy\": false, \"temperature\": 1, \"top_k\": 250, "
	"\"top_p\": 0, \"continue\": \"in.wav\", \"continue_sha256\": \"" HASH "\", "
	"\"precision\": \"f32\", \"device\": \"cpu\"}";
static const char GREEDY[] =
	"{\"program\": \"woodshed\", \"version\": \"0.1.0\", \"engine\": \"musicgen\", "
	"\"model\": \"mono\", \"model_hash\": \"" HASH "\", \"prompt\": \"\", \"seed\": 0, "
	"\"seconds\": 0.02, \"frames\": 1, \"rate\": 32000, \"channels\": 2, \"cfg\": 1.5, "
	"\"greedy\": true, \"precision\": \"int8\", \"device\": \"cpu\"}";

static struct arena arena;

static int teardown(void **state)
{
	arena_done(&arena);
	return scratch_close(state);
}

static struct recipe parse(const char *text)
{
	struct recipe r;
	struct err e = {0};

	if (recipe_parse(text, &arena, &r, &e))
		fail_msg("%s", e.text);
	return r;
}

static void expect_text(const struct recipe *r, const char *want)
{
	struct str json = {0};

	recipe_json(r, &json);
	assert_string_equal(str_get(&json), want);
	str_done(&json);
}

static void todays_recipes_are_read(void **state)
{
	struct recipe r = parse(SAMPLED);

	assert_string_equal(r.prompt, "a \"b\"");
	assert_string_equal(r.model, "mono");
	assert_string_equal(r.model_hash, HASH);
	assert_string_equal(r.continued, "in.wav");
	assert_true(r.seed == UINT64_MAX && r.frames == 55 && r.seconds == 1.1);
	assert_true(r.guidance == 3 && !r.greedy && r.top_k == 250 && r.temperature == 1);
	assert_true(r.rate_hz == 32000 && r.channels == 1);
	assert_null(r.negative);
	assert_null(r.exported);
	r = parse(GREEDY);
	assert_true(r.greedy && r.seed == 0 && r.guidance == 1.5);
}

static void they_are_written_as_they_were(void **state)
{
	struct recipe sampled = parse(SAMPLED), greedy = parse(GREEDY);

	expect_text(&sampled, SAMPLED);
	expect_text(&greedy, GREEDY);
}

static void all_fields_survive(void **state)
{
	struct recipe r = parse(SAMPLED), back;
	struct str one = {0}, two = {0};

	r.negative = "drums\n\t\x7f";
	r.steps = 100;
	r.sampler = "dpm";
	r.exported = "gain -3.00 dB";
	r.temperature = 0.1 + 0.2;
	recipe_json(&r, &one);
	back = parse(one.s);
	recipe_json(&back, &two);
	assert_string_equal(one.s, two.s);
	assert_string_equal(back.negative, "drums\n\t\x7f");
	assert_true(back.steps == 100);
	assert_null(strstr(one.s, "temperature")); /* steps have no tokens to draw */
	str_clear(&one);
	r.steps = 0;
	recipe_json(&r, &one);
	back = parse(one.s);
	assert_true(back.temperature == 0.1 + 0.2);
	str_done(&one);
	str_done(&two);
}

static void what_is_not_told_has_a_default(void **state)
{
	struct recipe r = parse("{\"model\": \"m\", \"prompt\": \"p\", \"seed\": 1, \"frames\": 5, "
				"\"top_k\": null, \"of a later version\": 99999999999999999999}");

	assert_true(isnan(r.guidance) && r.temperature == 1 && r.top_k == 250 && r.top_p == 0);
	assert_null(r.precision);
	assert_true(r.seconds == 0 && r.frames == 5);
}

/* A recipe with one field more or other than a good one. */
static char *with(const char *field, const char *value)
{
	static char text[2000];
	static const char *const good[][2] = {
		{"model", "\"m\""}, {"prompt", "\"p\""}, {"seed", "1"}, {"seconds", "1"}};
	int n = snprintf(text, sizeof text, "{");

	for (size_t i = 0; i < 4; i++)
		if (strcmp(good[i][0], field))
			n += snprintf(text + n, sizeof text - (size_t)n, "\"%s\": %s, ", good[i][0],
				good[i][1]);
	snprintf(text + n, sizeof text - (size_t)n, "\"%s\": %s}", field, value);
	return text;
}

static void bounds_hold(void **state)
{
	static const struct {
		const char *field, *value;
		bool good;
	} cases[] = {
		{"seed", "0", true},
		{"seed", "9223372036854775807", true},
		{"seed", "9223372036854775808", true},
		{"seed", "18446744073709551615", true},
		{"seed", "18446744073709551616", false},
		{"seed", "-1", false},
		{"seed", "-9223372036854775808", false},
		{"seed", "1.0", false},
		{"seed", "1e3", false},
		{"seed", "\"x\"", false},
		{"seed", "true", false},
		{"seed", "[1]", false},
		{"seed", "null", false},
		{"seconds", "86400", true},
		{"seconds", "86400.1", false},
		{"seconds", "-1", false},
		{"seconds", "0", false},
		{"seconds", "1e999", false},
		{"frames", "0", false},
		{"frames", "4000000000000", false},
		{"rate", "999", false},
		{"rate", "768000", true},
		{"channels", "0", false},
		{"channels", "65", false},
		{"cfg", "-0.0", true},
		{"cfg", "1000.5", false},
		{"cfg", "\"3\"", false},
		{"temperature", "0", false},
		{"top_k", "1000001", false},
		{"top_p", "1.01", false},
		{"steps", "0", false},
		{"greedy", "1", false},
		{"model", "\"\"", false},
		{"model", "\"..\"", false},
		{"model", "\"../m\"", false},
		{"model", "\"/etc\"", false},
		{"model", "7", false},
		{"continue", "\"/etc/passwd\"", false},
		{"continue", "\"in.wav\"", true},
		{"model_hash", "\"" HASH "\"", true},
		{"model_hash", "\"abc\"", false},
		{"model_hash", "\"" HASH "0\"", false},
		{"weights_sha256", "\"" HASH "\"", true},
		{"gpu", "\"NVIDIA H200\"", true},
		{"batch", "4", true},
		{"batch", "0", false},
		{"weights_sha256", "\"" HASH "0\"", false},
		{"prompt", "\"\\u0000\"", false},
		{"prompt", "\"\\ud800\"", false},
		{"prompt", "\"\xff\"", false},
		{"prompt", "\"12345678901234567890\"", true},
		{"prompt", "\"\\\"12345678901234567890\\\\\"", true},
		{"prompt", "null", false},
		{"precision",
			"\"0123456789012345678901234567890123456789012345678901234567890123\"",
			false},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct recipe r;
		struct err e = {0};
		int rc = recipe_parse(with(cases[i].field, cases[i].value), &arena, &r, &e);

		if (!rc != cases[i].good)
			fail_msg("%s %s: %s", cases[i].field, cases[i].value, e.text);
		if (rc)
			assert_error(e, ERR_FORMAT, "the recipe is ");
	}
}

static void what_is_no_recipe_is_refused(void **state)
{
	static char long_text[AUDIO_RECIPE_MAX + 2];
	static const char *const texts[] = {"", "{", "[]", "1", "\"x\"", "{}", "{\"a\": }",
		"{\"seed\": 1, \"seed\": 2}", "\\", "\"", "\"\\", "99999999999999999999"};
	struct recipe r;

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		assert_int_equal(recipe_parse(texts[i], &arena, &r, NULL), ERR_FORMAT);
	memset(long_text, '[', AUDIO_RECIPE_MAX);
	assert_int_equal(recipe_parse(long_text, &arena, &r, NULL), ERR_FORMAT);
	long_text[AUDIO_RECIPE_MAX] = '[';
	assert_int_equal(recipe_parse(long_text, &arena, &r, NULL), ERR_FORMAT);
}

static void files_are_read(void **state)
{
	const char *path = scratch_path(state, "a.json");
	struct err e = {0};
	struct recipe r;
	const char *text;

	scratch_write(path, SAMPLED, sizeof SAMPLED - 1);
	assert_int_equal(recipe_read(path, &arena, &r, &text, &e), 0);
	assert_string_equal(text, SAMPLED);
	assert_true(r.seed == UINT64_MAX);
	scratch_write(path, "{\"seed\": 1}\n", 12);
	assert_int_equal(recipe_read(path, &arena, &r, NULL, &e), ERR_FORMAT);
	assert_error(e, ERR_FORMAT, "a.json': the recipe is incomplete: it lacks \"model\"");
	err_clear(&e);
	assert_int_equal(recipe_read(scratch_path(state, "none"), &arena, &r, NULL, &e), ERR_IO);
}

static void comments_are_short(void **state)
{
	static char prompt[3000];
	struct recipe r = parse(GREEDY);
	struct str comment = {0};

	memset(prompt, '\302', sizeof prompt);
	for (size_t i = 1; i < sizeof prompt; i += 2)
		prompt[i] = '\251';
	prompt[2998] = 0;
	r.prompt = prompt;
	recipe_comment(&r, &comment);
	assert_true(has_prefix(comment.s, "woodshed 0.1.0, mono, seed 0: \302\251"));
	assert_true(comment.n <= AUDIO_COMMENT_MAX && is_utf8(comment.s, comment.n));
	str_done(&comment);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, scratch_open, teardown)
	const struct CMUnitTest tests[] = {
		TEST(todays_recipes_are_read),
		TEST(they_are_written_as_they_were),
		TEST(all_fields_survive),
		TEST(what_is_not_told_has_a_default),
		TEST(bounds_hold),
		TEST(what_is_no_recipe_is_refused),
		TEST(files_are_read),
		TEST(comments_are_short),
	};
	return RUN_TAP(tests);
}
