/* config.json: every getter, every way to be wrong, the first failure kept. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/weights/config.h"
#include "library/base/err.h"
#include "library/base/str.h"
#include "tests/unit/scratch.h"

static struct config *open_text(void **state, const char *text)
{
	const char *path = scratch_path(state, "config.json");
	struct config *c;
	struct err e = {0};

	scratch_write(path, text, strlen(text));
	if (config_open(path, &c, &e))
		fail_msg("%s", e.text);
	return c;
}

static void values(void **state)
{
	struct config *c = open_text(state,
		"{\"a\":{\"b\":{\"n\":7,\"x\":1.5,\"s\":\"text\",\"t\":true,\"f\":false,"
		"\"l\":[8,5,4,4],\"z\":null,\"e\":[]}},\"big\":9223372036854775807}");
	int64_t list[4];

	assert_int_equal(config_int(c, "a.b.n", CONFIG_REQUIRED, 1, 7), 7);
	assert_int_equal(config_int(c, "a.b.none", 3, 1, 7), 3);
	assert_int_equal(config_int(c, "a.b.z", 3, 1, 7), 3);
	assert_int_equal(config_int(c, "a.n.b", 3, 1, 7), 3);
	assert_int_equal(config_int(c, "a.b.n.deeper", 3, 1, 7), 3);
	assert_true(config_int(c, "big", CONFIG_REQUIRED, 0, INT64_MAX) == INT64_MAX);
	assert_true(config_num(c, "a.b.x", NAN, 0, 2) == 1.5);
	assert_true(config_num(c, "a.b.n", NAN, 0, 9) == 7);
	assert_true(config_num(c, "a.b.none", 0.25, 0, 2) == 0.25);
	assert_string_equal(config_str(c, "a.b.s", NULL), "text");
	assert_string_equal(config_str(c, "a.b.none", "else"), "else");
	assert_true(config_bool(c, "a.b.t", false));
	assert_false(config_bool(c, "a.b.f", true));
	assert_true(config_bool(c, "a.b.none", true));
	assert_int_equal(config_ints(c, "a.b.l", true, list, 4, 1, 8), 4);
	assert_int_equal(list[0], 8);
	assert_int_equal(list[3], 4);
	assert_int_equal(config_ints(c, "a.b.none", false, list, 4, 1, 8), 0);
	assert_int_equal(config_ints(c, "a.b.e", true, list, 4, 1, 8), 0);
	assert_true(config_has(c, "a.b.n"));
	assert_false(config_has(c, "a.b.z"));
	assert_false(config_has(c, "a.b.none"));
	config_require(c, true, "never said");
	assert_int_equal(config_check(c, NULL), 0);
	config_close(c);
}

/* Python's int(1e30), and what looks like it. */
static void large_integers(void **state)
{
	struct config *c = open_text(state,
		"{\"n\":1000000000000000019884624838656,\"m\":-1000000000000000019884624838656,"
		"\"l\":[7,100000000000000000000],\"x\":0.12345678901234567890123,"
		"\"y\":1e00000000000000000000002,\"z\":1e-00000000000000000000002,\"s\":"
		"\"\\\"1000000000000000000000\","
		"\"k\":7}");

	assert_true(fabs(config_num(c, "n", NAN, 0, 1e31) / 1e30 - 1) < 1e-15);
	assert_true(fabs(config_num(c, "m", NAN, -1e31, 0) / -1e30 - 1) < 1e-15);
	assert_true(config_num(c, "l.1", NAN, 0, 1e31) == 1e20);
	assert_true(fabs(config_num(c, "x", NAN, 0, 1) - 0.12345678901234567890123) < 1e-16);
	assert_true(config_num(c, "y", NAN, 0, 1e31) == 100);
	assert_true(config_num(c, "z", NAN, 0, 1e31) == 0.01);
	assert_string_equal(config_str(c, "s", NULL), "\"1000000000000000000000");
	assert_int_equal(config_int(c, "k", CONFIG_REQUIRED, 1, 7), 7);
	assert_int_equal(config_check(c, NULL), 0);
	config_int(c, "n", CONFIG_REQUIRED, 0, INT64_MAX);
	assert_int_equal(config_check(c, NULL), ERR_FORMAT);
	config_close(c);
}

static void ask_int(struct config *c)
{
	assert_int_equal(config_int(c, "v", CONFIG_REQUIRED, 1, 9), 1);
}

static void ask_int_else(struct config *c)
{
	assert_int_equal(config_int(c, "v", 5, 1, 9), 5);
}

static void ask_num(struct config *c)
{
	assert_true(config_num(c, "v", NAN, 0.5, 9) == 0.5);
}

static void ask_str(struct config *c)
{
	assert_string_equal(config_str(c, "v", NULL), "");
}

static void ask_bool(struct config *c)
{
	assert_true(config_bool(c, "v", true));
}

static void ask_ints(struct config *c)
{
	int64_t list[2] = {5, 6};

	assert_int_equal(config_ints(c, "v", true, list, 2, 1, 9), 0);
	assert_true(list[0] == 5 && list[1] == 6);
}

static void require_more(struct config *c)
{
	config_require(c, false, "hidden_size %d is not a multiple of %d heads", 7, 2);
}

static void failures(void **state)
{
	static const struct {
		const char *text;
		void (*ask)(struct config *c);
		const char *error;
	} cases[] = {
		{"{}", ask_int, "'config.json': v is missing, expected a whole number from 1 to 9"},
		{"{\"v\":null}", ask_int, "v is missing"},
		{"{\"v\":0}", ask_int, "v is 0, expected a whole number from 1 to 9"},
		{"{\"v\":10}", ask_int, "v is 10"},
		{"{\"v\":2.0}", ask_int, "v is 2.0"},
		{"{\"v\":\"3\"}", ask_int, "v is \"3\""},
		{"{\"v\":true}", ask_int, "v is true"},
		{"{\"v\":-9223372036854775808}", ask_int, "v is -9223372036854775808"},
		{"{\"v\":99}", ask_int_else, "v is 99"},
		{"{\"v\":[1]}", ask_int_else, "v is [1]"},
		{"{}", ask_num, "v is missing, expected a number from 0.5 to 9"},
		{"{\"v\":0.25}", ask_num, "v is 0.25"},
		{"{\"v\":1e300}", ask_num, "v is 1e300"},
		{"{\"v\":{}}", ask_num, "v is {}"},
		{"{}", ask_str, "v is missing, expected a text"},
		{"{\"v\":1}", ask_str, "v is 1, expected a text"},
		{"{\"v\":0}", ask_bool, "v is 0, expected true or false"},
		{"{}", ask_ints, "v is missing, expected a list of at most 2 whole numbers from 1"},
		{"{\"v\":[1,2,3]}", ask_ints, "v is [1,2,3]"},
		{"{\"v\":[1,0]}", ask_ints, "v is [1,0]"},
		{"{\"v\":[1,\"2\"]}", ask_ints, "v is [1,\"2\"]"},
		{"{\"v\":{\"a\":1}}", ask_ints, "v is {\"a\":1}"},
		{"{\"v\":\"0123456789012345678901234567890123456789012345678901234567890123456\"}",
			ask_int, "v is \"012345678901234567890123456789012345678..., expected"},
		{"{}", require_more, "hidden_size 7 is not a multiple of 2 heads"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct config *c = open_text(state, cases[i].text);
		struct err e = {0};
		cases[i].ask(c);
		assert_int_equal(config_check(c, &e), ERR_FORMAT);
		assert_error(e, ERR_FORMAT, cases[i].error);
		config_close(c);
	}
}

static void first_failure(void **state)
{
	struct config *c = open_text(state, "{\"a\":0,\"b\":0}");
	struct err e = {0};

	config_int(c, "b", 1, 1, 9);
	config_int(c, "a", 1, 1, 9);
	config_require(c, false, "later");
	assert_int_equal(config_check(c, &e), ERR_FORMAT);
	assert_error(e, ERR_FORMAT, ": b is 0");
	config_close(c);
}

static void assert_unreadable(const char *path, int code, const char *part)
{
	struct config *c = NULL;
	struct err e = {0};

	assert_int_equal(config_open(path, &c, &e), code);
	assert_null(c);
	assert_error(e, code, part);
}

static void unreadable(void **state)
{
	static const char *const texts[] = {"", "{", "[]", "1", "{\"a\":1,\"a\":2}", "{\"a\":1}x",
		"{\"a\":1e999}", "{\"a\":\"\xff\"}", "{\"a\":\"\\u0000\"}", "{'a':1}",
		"{\"a\":NaN}"};
	const char *path = scratch_path(state, "config.json");
	struct str text = {0};

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		scratch_write(path, texts[i], strlen(texts[i]));
		assert_unreadable(path, ERR_FORMAT, "download it again");
	}
	assert_unreadable(scratch_path(state, "none.json"), ERR_IO, "none.json': No such file");
	assert_unreadable(*state, ERR_FORMAT, "is not a file");
	for (int i = 0; i < 3000; i++)
		str_add(&text, "{\"a\":");
	scratch_write(path, text.s, text.n);
	assert_unreadable(path, ERR_FORMAT, "not valid JSON");
	while (text.n <= 16 << 20)
		str_add(&text, "                                                                ");
	scratch_write(path, text.s, text.n);
	assert_unreadable(path, ERR_FORMAT, "larger than the 16 MB");
	str_done(&text);
	config_close(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(large_integers, scratch_open, scratch_close),
		cmocka_unit_test_setup_teardown(values, scratch_open, scratch_close),
		cmocka_unit_test_setup_teardown(failures, scratch_open, scratch_close),
		cmocka_unit_test_setup_teardown(first_failure, scratch_open, scratch_close),
		cmocka_unit_test_setup_teardown(unreadable, scratch_open, scratch_close),
	};

	return RUN_TAP(tests);
}
