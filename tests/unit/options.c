/* The command-line parser, and the JSON writer beside it. */
#include "tests/unit/scratch.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include <jansson.h>

#include "library/base/err.h"
#include "library/base/jsonw.h"
#include "library/base/options.h"
#include "library/base/str.h"

struct values {
	bool flag;
	const char *text, *choice;
	uint64_t whole, any;
	double number;
};

static const struct option_spec specs[] = {
	{"flag", 'f', OPTION_FLAG, NULL, "a flag", offsetof(struct values, flag), 0, 0},
	{"text", 't', OPTION_TEXT, "TEXT", "a text", offsetof(struct values, text), 0, 0},
	{"choice", 0, OPTION_CHOICE, "one|two|three", "a choice", offsetof(struct values, choice),
		0, 0},
	{"whole", 'w', OPTION_WHOLE, "N", "a number", offsetof(struct values, whole), 1, 10},
	{"any", 0, OPTION_WHOLE, "N", "any number", offsetof(struct values, any), 0, 0},
	{"number", 0, OPTION_NUMBER, "X", "a real number", offsetof(struct values, number), -1,
		2.5},
	{0},
};

struct outer {
	bool loud;
};

static const struct option_spec outer_specs[] = {
	{"loud", 0, OPTION_FLAG, NULL, "of the other group", offsetof(struct outer, loud), 0, 0},
	{0},
};

enum { WORDS_MAX = 8 };

static struct values v;
static struct outer outer;
static struct options o;
static struct err e;
static char *argv[WORDS_MAX + 1];

/* Splits at blanks, and parses; what is left is in o. */
static int parse(char *line, bool stop)
{
	int n = 0;

	v = (struct values){0};
	outer = (struct outer){0};
	e = (struct err){0};
	for (char *w = strtok(line, " "); w && n < WORDS_MAX; w = strtok(NULL, " "))
		argv[n++] = w;
	argv[n] = NULL;
	o = (struct options){
		.group = {{.specs = specs, .values = &v}, {.specs = outer_specs, .values = &outer}},
		.stop_at_argument = stop,
		.argc = n,
		.argv = argv,
	};
	return options_parse(&o, &e);
}

#define PARSE(line) parse((char[]){line}, false)

static void all_spellings(void **state)
{
	assert_int_equal(PARSE("-f --text a --choice=two -w 3 --any=18446744073709551615"), 0);
	assert_true(v.flag);
	assert_string_equal(v.text, "a");
	assert_string_equal(v.choice, "two");
	assert_int_equal(v.whole, 3);
	assert_true(v.any == UINT64_MAX);
	assert_int_equal(o.argc, 0);
	assert_int_equal(PARSE("-w10 --number -0.5 --loud"), 0);
	assert_int_equal(v.whole, 10);
	assert_true(v.number == -0.5);
	assert_true(outer.loud);
}

static void the_last_one_counts(void **state)
{
	assert_int_equal(PARSE("--whole 1 --whole 2"), 0);
	assert_int_equal(v.whole, 2);
}

static void a_value_is_what_follows(void **state)
{
	assert_int_equal(PARSE("--text --flag -t -- x"), 0);
	assert_string_equal(v.text, "--");
	assert_false(v.flag);
	assert_string_equal(o.argv[0], "x");
	assert_int_equal(PARSE("--text="), 0);
	assert_string_equal(v.text, "");
	assert_int_equal(PARSE("--text=a=b"), 0);
	assert_string_equal(v.text, "a=b");
}

static void arguments_keep_their_order(void **state)
{
	assert_int_equal(PARSE("one -f two - -- -w --"), 0);
	assert_int_equal(o.argc, 5);
	for (int i = 0; i < 5; i++)
		assert_string_equal(
			o.argv[i], ((const char *[]){"one", "two", "-", "-w", "--"})[i]);
	assert_true(v.flag);
	assert_int_equal(v.whole, 0);
}

static void stops_before_a_verb(void **state)
{
	assert_int_equal(parse((char[]){"--loud verb --loud -f x"}, true), 0);
	assert_int_equal(o.argc, 4);
	assert_string_equal(o.argv[0], "verb");
	assert_string_equal(o.argv[1], "--loud");
	assert_false(v.flag);
}

static void tells_what_was_given(void **state)
{
	assert_int_equal(PARSE("--any 0 --loud"), 0);
	assert_true(options_given(&o.group[0], "any"));
	assert_false(options_given(&o.group[0], "whole"));
	assert_false(options_given(&o.group[0], "loud"));
	assert_true(options_given(&o.group[1], "loud"));
}

static void wrong_words(void **state)
{
	static const struct {
		const char *line, *part;
	} cases[] = {
		{"--whole", "--whole needs a value: --whole N"},
		{"-w", "--whole needs a value"},
		{"--whole 0", "from 1 to 10, not '0'"},
		{"--whole 11", "from 1 to 10, not '11'"},
		{"--whole -1", "not '-1'"},
		{"--whole +1", "not '+1'"},
		{"--whole 1x", "not '1x'"},
		{"--whole=", "not ''"},
		{"--whole 0x1", "not '0x1'"},
		{"--any 18446744073709551616", "from 0 to 18446744073709551615"},
		{"--number 2.6", "from -1 to 2.5, not '2.6'"},
		{"--number nan", "not 'nan'"},
		{"--number inf", "not 'inf'"},
		{"--number 1,5", "not '1,5'"},
		{"--choice four", "takes one|two|three, not 'four'"},
		{"--choice on", "not 'on'"},
		{"--choice one|two", "not 'one|two'"},
		{"--choice=", "not ''"},
		{"--flag=yes", "--flag takes no value, but got 'yes'"},
		{"-fx", "--flag takes no value"},
		{"-x", "unknown option -x; see --help"},
		{"--=x", "unknown option --; see --help"},
		{"--hwole 1", "unknown option --hwole; did you mean --whole?"},
		{"--numbre=1", "did you mean --number?"},
		{"--cho one", "did you mean --choice?"},
		{"--lodu", "did you mean --loud?"},
		{"--something", "unknown option --something; see --help"},
		{"--\033[31m", "unknown option --?[31m; see --help"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char line[128];

		assert_true(strlen(cases[i].line) < sizeof(line));
		strcpy(line, cases[i].line);
		assert_int_equal(parse(line, false), ERR_ARG);
		assert_error(e, ERR_ARG, cases[i].part);
	}
}

static void a_long_unknown_option(void **state)
{
	char line[1000];

	memset(line, '-', sizeof(line));
	line[sizeof(line) - 1] = 0;
	assert_int_equal(parse(line, false), ERR_ARG);
	assert_error(e, ERR_ARG, "unknown option");
}

static void distances(void **state)
{
	char far[100];

	assert_int_equal(edit_distance("", ""), 0);
	assert_int_equal(edit_distance("", "abc"), 3);
	assert_int_equal(edit_distance("kitten", "sitting"), 3);
	assert_int_equal(edit_distance("seed", "sede"), 1);
	assert_int_equal(edit_distance("ca", "abc"), 3);
	memset(far, 'x', 99);
	far[99] = 0;
	assert_int_equal(edit_distance(far, "x"), 99);
}

static void help_fits_80_columns(void **state)
{
	static const struct option_spec wordy[] = {
		{"name", 'n', OPTION_TEXT, "VALUE",
			"a sentence that has more words than fit beside a name, so that it goes on "
			"below",
			0, 0, 0},
		{"an-option-with-a-long-name", 0, OPTION_CHOICE, "one|two", "help", 0, 0, 0},
		{0},
	};
	struct str out = {0};

	options_help(wordy, &out);
	assert_string_equal(str_get(&out),
		"  -n, --name VALUE            a sentence that has more words than fit beside a\n"
		"                              name, so that it goes on below\n"
		"      --an-option-with-a-long-name one|two\n"
		"                              help\n");
	str_done(&out);
}

/* What is written must be what another reader reads. */
static void json_round_trip(void **state)
{
	const char *text = "quote \" back \\ tab\t line\n bell\a del\177 c1\302\233 é 漢 🎵";
	struct str b = {0};
	json_t *json;

	jsonw_begin(&b);
	jsonw_text(&b, "text", text);
	jsonw_text(&b, "none", NULL);
	jsonw_u64(&b, "seed", UINT64_MAX);
	jsonw_num(&b, "tenth", 0.1);
	jsonw_num(&b, "third", 1.0 / 3);
	jsonw_num(&b, "nan", NAN);
	jsonw_bool(&b, "yes", true);
	jsonw_end(&b);
	for (const char *c = b.s; *c; c++)
		assert_true((unsigned char)*c >= 0x20 && *c != 0x7f);
	assert_null(strstr(b.s, "\302\233"));
	assert_non_null(strstr(b.s, "\"seed\": 18446744073709551615, \"tenth\": 0.1, "));
	json = json_loads(b.s, JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, NULL);
	assert_non_null(json);
	assert_string_equal(json_string_value(json_object_get(json, "text")), text);
	assert_true(json_is_null(json_object_get(json, "none")));
	assert_true(json_real_value(json_object_get(json, "third")) == 1.0 / 3);
	assert_true(json_is_null(json_object_get(json, "nan")));
	assert_true(json_is_true(json_object_get(json, "yes")));
	json_decref(json);
	str_done(&b);
}

static void json_of_bytes_that_are_no_text(void **state)
{
	struct str b = {0};

	jsonw_string(&b, "a\xff\xc3z\xed\xa0\x80");
	assert_true(is_utf8(b.s, b.n));
	assert_string_equal(
		b.s, "\"a\xef\xbf\xbd\xef\xbf\xbdz\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
	str_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_spellings),
		cmocka_unit_test(the_last_one_counts),
		cmocka_unit_test(a_value_is_what_follows),
		cmocka_unit_test(arguments_keep_their_order),
		cmocka_unit_test(stops_before_a_verb),
		cmocka_unit_test(tells_what_was_given),
		cmocka_unit_test(wrong_words),
		cmocka_unit_test(a_long_unknown_option),
		cmocka_unit_test(distances),
		cmocka_unit_test(help_fits_80_columns),
		cmocka_unit_test(json_round_trip),
		cmocka_unit_test(json_of_bytes_that_are_no_text),
	};
	return RUN_TAP(tests);
}
