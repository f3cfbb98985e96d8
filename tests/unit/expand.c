/* Wildcards and sweeps. */
#include "tests/unit/scratch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "library/base/arena.h"
#include "library/base/err.h"
#include "library/base/str.h"
#include "library/expand.h"

/* All expansions, with '/' between them. */
static const char *all(const char *text)
{
	static char out[1024];
	struct arena a = {0};
	const char **list;
	struct err e = {0};
	size_t n;

	if (expand_all(text, &a, &list, &n, &e))
		fail_msg("%s: %s", text, e.text);
	out[0] = 0;
	for (size_t i = 0; i < n; i++)
		snprintf(out + strlen(out), sizeof(out) - strlen(out), "%s%s", i ? "/" : "",
			list[i]);
	arena_done(&a);
	return out;
}

static void expansions(void **state)
{
	assert_string_equal(all("slow piano"), "slow piano");
	assert_string_equal(all(""), "");
	assert_string_equal(all("two  blanks"), "two  blanks"); /* nothing to expand: as typed */
	assert_string_equal(all("{piano|guitar|pad}"), "piano/guitar/pad");
	assert_string_equal(all("a {b|c} d {e|f}"), "a b d e/a b d f/a c d e/a c d f");
	assert_string_equal(all("a {b|{c|d} e|} f"), "a b f/a c e f/a d e f/a f");
	assert_string_equal(all("{very |}slow"), "very slow/slow");
	assert_string_equal(all("{x} {y}"), "x y");
	assert_string_equal(all("{}z"), "z");
	assert_string_equal(all("\\{a\\|b\\} \\\\ {c|\\}}"), "{a|b} \\ c/{a|b} \\ }");
	assert_string_equal(all("a|b"), "a|b");
	assert_string_equal(all("end\\"), "end\\");
}

static void escaped(void **state)
{
	static const char *const texts[] = {"slow", "a {b|c} \\ d", "\\{", "}{|", ""};

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		struct str out = {0};

		expand_escape(texts[i], &out);
		assert_string_equal(all(str_get(&out)), texts[i]);
		str_done(&out);
	}
}

static void wrong(const char *text, const char *words)
{
	struct arena a = {0};
	const char **list;
	struct err e = {0};
	size_t n;

	assert_int_equal(expand_all(text, &a, &list, &n, &e), ERR_ARG);
	assert_error(e, ERR_ARG, words);
	arena_done(&a);
}

static void wrong_braces(void **state)
{
	char many[256] = "";

	wrong("a {b|c", "without its '}'");
	wrong("a b} c", "without its '{'");
	wrong("{{a|b}", "without its '}'");
	for (int i = 0; i < 20; i++)
		strcat(many, "{a|b}");
	wrong(many, "more than 10000 prompts");
	many[0] = 0;
	for (int i = 0; i < 20; i++)
		strcat(many, "{");
	wrong(many, "nested");
}

static void counts_do_not_overflow(void **state)
{
	char text[2000] = "";
	struct err e = {0};
	uint64_t n;

	for (int i = 0; i < 200; i++)
		strcat(text, "{a|b|c|}");
	assert_int_equal(expand_count(text, &n, &e), 0);
	assert_true(n >= 1000000000);
}

static void picks(void **state)
{
	struct arena a = {0};
	struct err e = {0};
	int seen[3] = {0};

	for (uint64_t seed = 0; seed < 300; seed++) {
		const char *one, *again;

		assert_int_equal(expand_pick("{a|b|c}", seed, &a, &one, &e), 0);
		assert_int_equal(expand_pick("{a|b|c}", seed, &a, &again, &e), 0);
		assert_string_equal(one, again);
		seen[one[0] - 'a']++;
	}
	for (int i = 0; i < 3; i++)
		assert_in_range(seen[i], 70, 130); /* 100, four deviations of 8 */
	arena_done(&a);
}

static void numbers(void **state)
{
	static const struct {
		const char *text;
		size_t n;
		double first, last;
	} good[] = {{"3", 1, 3, 3}, {"1,2.5,4", 3, 1, 4}, {"1..10", 10, 1, 10},
		{"0..1:0.1", 11, 0, 1}, {"2..6:0.5,9", 10, 2, 9}, {"-2..2", 5, -2, 2}};
	static const char *const bad[] = {"", "x", "1..", "..3", "3..1", "1..2:0", "1..2:-1",
		"1,,2", "1..100000", "1..1e300", "nan"};
	struct arena a = {0};
	double *v;
	size_t n;

	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		struct err e = {0};

		assert_int_equal(expand_numbers(good[i].text, &a, &v, &n, &e), 0);
		assert_int_equal(n, good[i].n);
		assert_true(v[0] == good[i].first);
		assert_true(v[n - 1] == good[i].last);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct err e = {0};

		assert_int_equal(expand_numbers(bad[i], &a, &v, &n, &e), ERR_ARG);
	}
	arena_done(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(expansions),
		cmocka_unit_test(escaped),
		cmocka_unit_test(wrong_braces),
		cmocka_unit_test(counts_do_not_overflow),
		cmocka_unit_test(picks),
		cmocka_unit_test(numbers),
	};
	return RUN_TAP(tests);
}
