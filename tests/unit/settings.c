/* Settings: every row of the table, and what is refused. */
#include "tests/unit/scratch.h"

#include <string.h>

#include "library/base/err.h"
#include "library/base/str.h"
#include "tui/settings.h"

static void assert_value(const struct settings *s, const char *name, const char *want)
{
	struct str value = {0};

	settings_get(s, settings_find(name), &value);
	assert_string_equal(str_get(&value), want);
	str_done(&value);
}

/* What a setting is initially is a value that it takes, and is given back as it was
 * typed: the Setup screen and woodshedrc rest on that. */
static void rows(void **state)
{
	struct settings s;
	const struct setting *which;

	settings_reset(&s);
	for (size_t i = 0; (which = settings_at(i)); i++) {
		struct err e = {0};

		assert_ptr_equal(settings_find(which->name), which);
		assert_value(&s, which->name, which->initial);
		assert_int_equal(settings_set(&s, which, which->initial, &e), 0);
		assert_int_equal(e.code, 0);
	}
	assert_null(settings_find("nothing"));
}

static void values(void **state)
{
	struct settings s;

	settings_reset(&s);
	assert_int_equal(settings_set(&s, settings_find("volume"), "40", NULL), 0);
	assert_int_equal(s.volume, 40);
	assert_int_equal(settings_set(&s, settings_find("mouse"), "off", NULL), 0);
	assert_false(s.mouse);
	assert_int_equal(settings_set(&s, settings_find("theme"), "nord", NULL), 0);
	assert_string_equal(s.theme, "nord");
}

static void refused(void **state)
{
	static const struct {
		const char *name, *value, *says;
	} cases[] = {
		{"volume", "101", "0 to 100"},
		{"volume", "-1", "0 to 100"},
		{"volume", "4x", "0 to 100"},
		{"volume", "", "0 to 100"},
		{"mouse", "yes", "on or off"},
		{"theme", "two words", "one word"},
		{"theme", "", "one word"},
		{"theme", "a#b", "one word"},
		{"theme",
			"a-name-that-has-far-more-characters-than-any-setting-of-woodshed-may-have",
			"one word"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const struct setting *which = settings_find(cases[i].name);
		struct settings s, before;
		struct err e = {0};

		memset(&s, 0, sizeof(s));
		settings_reset(&s);
		before = s;
		assert_int_equal(settings_set(&s, which, cases[i].value, &e), ERR_ARG);
		assert_error(e, ERR_ARG, cases[i].says);
		assert_memory_equal(&s, &before, sizeof(s));
	}
}

static void choices(void **state)
{
	static const struct setting one = {"one", SETTING_CHOICE, "b", "", 0, 0, 0, "a|b|long"};
	char field[SETTING_TEXT_MAX] = "a";
	struct str bounds = {0};

	settings_bounds(&one, &bounds);
	assert_string_equal(str_get(&bounds), "a, b or long");
	assert_int_equal(settings_set((struct settings *)(void *)field, &one, "long", NULL), 0);
	assert_string_equal(field, "long");
	assert_int_equal(settings_set((struct settings *)(void *)field, &one, "lo", NULL), ERR_ARG);
	assert_string_equal(field, "long");
	str_done(&bounds);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows),
		cmocka_unit_test(values),
		cmocka_unit_test(refused),
		cmocka_unit_test(choices),
	};

	return RUN_TAP(tests);
}
