/* File names from patterns: fields, bounds, and texts that want to harm. */
#include "library/names.h"

#include <stdio.h>
#include <string.h>

#include "library/base/err.h"
#include "library/base/str.h"
#include "tests/unit/scratch.h"

static const struct names_fields fields = {
	.prompt = "slow lofi hip hop, electric piano, 74 bpm, rain",
	.model = "musicgen-small",
	.seed = "42",
	.take = "7",
	.date = "2026-11-24",
};

static void make(const char *pattern, const struct names_fields *f, char out[NAMES_SIZE])
{
	struct err e = {0};

	if (names_make(pattern, f, ".wav", out, &e))
		fail_msg("%s: %s", pattern, e.text);
}

static void patterns_are_filled(void **state)
{
	static const char *const cases[][2] = {
		{NAMES_DEFAULT, "slow lofi hip hop, electric piano, 74 bp musicgen-small 42 7.wav"},
		{"{prompt:4}", "slow.wav"},
		{"{prompt:255}", "slow lofi hip hop, electric piano, 74 bpm, rain.wav"},
		{"{date} {seed:6}-{take:3}", "2026-11-24 000042-007.wav"},
		{"{seed:1}", "42.wav"},
		{"plain", "plain.wav"},
		{"{{{model}}}", "{musicgen-small}.wav"},
		{"", "untitled.wav"},
	};
	char name[NAMES_SIZE];

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		make(cases[i][0], &fields, name);
		assert_string_equal(name, cases[i][1]);
	}
	make("{prompt} {model} {seed} {take}", &(struct names_fields){.take = "kick"}, name);
	assert_string_equal(name, "kick.wav");
}

static void bad_patterns_are_told(void **state)
{
	static char long_pattern[1002];
	const char *const cases[][2] = {
		{"{promt}", "holds {promt}, which is none of {prompt}, {model}"},
		{"{}", "holds {}"},
		{"{prompt", "'{' without its '}'"},
		{"{", "'{' without its '}'"},
		{"{prompt{seed}}", "'{' without its '}'"},
		{"a}b", "'}' without its '{'"},
		{"{prompt:}", "a number from 1 to 255"},
		{"{prompt:0}", "a number from 1 to 255"},
		{"{prompt:256}", "a number from 1 to 255"},
		{"{prompt:-1}", "a number from 1 to 255"},
		{"{prompt:4:4}", "a number from 1 to 255"},
		{"{prompt:99999999999999999999}", "a number from 1 to 255"},
		{"{prompt:4 }", "a number from 1 to 255"},
		{"a/b", "a folder"},
		{"../x", "a folder"},
		{"\xff", "no UTF-8"},
		{long_pattern, "at most 1000 bytes"},
	};

	memset(long_pattern, 'x', sizeof long_pattern - 1);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct err e = {0};

		assert_int_equal(names_check(cases[i][0], &e), ERR_ARG);
		assert_error(e, ERR_ARG, cases[i][1]);
		assert_int_equal(names_check(cases[i][0], NULL), ERR_ARG);
	}
	assert_int_equal(names_check(NAMES_DEFAULT, NULL), 0);
}

/* Each is a prompt, and what becomes of it. */
static void hostile_texts_become_names(void **state)
{
	static const char *const cases[][2] = {
		{"a/b\\c:d*e?f\"g<h>i|j", "a_b_c_d_e_f_g_h_i_j.wav"},
		{"../../etc/passwd", "_.._etc_passwd.wav"},
		{"..", "untitled.wav"},
		{"...", "untitled.wav"},
		{" . . ", "untitled.wav"},
		{".hidden", "hidden.wav"},
		{"  two  \t\n blanks  ", "two blanks.wav"},
		{"end. ", "end.wav"},
		{"a\x01\x1b[31m\x7f", "a__[31m_.wav"},
		{"\xc2\x85\xc2\x9b", "_.wav"},
		{"a\xff\xfe", "a__.wav"},
		{"\xed\xa0\x80", "___.wav"},
		{"gnp\xe2\x80\xaewav.exe", "gnp_wav.exe.wav"},
		{"a\xe3\x80\x80\xc2\xa0\x62", "a b.wav"},
		{"con", "_con.wav"},
		{"NUL.tar", "_NUL.tar.wav"},
		{"Aux  ", "_Aux.wav"},
		{"com1", "_com1.wav"},
		{"LPT9.x", "_LPT9.x.wav"},
		{"LPT\xc2\xb2", "_LPT\xc2\xb2.wav"},
		{"com10", "com10.wav"},
		{"com", "com.wav"},
		{"CON .x", "_CON .x.wav"},
		{"console", "console.wav"},
		{"conin$", "_conin$.wav"},
		{"\xe6\x97\xa5\xe6\x9c\xac \xf0\x9f\x8e\xb5",
			"\xe6\x97\xa5\xe6\x9c\xac \xf0\x9f\x8e\xb5.wav"},
		{"{seed}", "{seed}.wav"},
		{"%s%n", "%s%n.wav"},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char name[NAMES_SIZE];

		make("{prompt}", &(struct names_fields){.prompt = cases[i][0]}, name);
		assert_string_equal(name, cases[i][1]);
	}
}

/* Any bytes give a name that has none of what is refused. */
static void any_bytes_are_safe(void **state)
{
	unsigned seed = 1;

	for (int round = 0; round < 20000; round++) {
		char prompt[400], name[NAMES_SIZE];
		size_t n;

		for (size_t i = 0; i < sizeof prompt - 1; i++)
			prompt[i] = (char)((seed = seed * 1664525 + 1013904223) >> 24);
		prompt[round % (int)sizeof prompt] = '\0';
		prompt[sizeof prompt - 1] = '\0';
		make("{prompt} {seed}", &(struct names_fields){.prompt = prompt}, name);
		n = strlen(name);
		assert_true(n > 4 && n + strlen(" (9999)") < NAMES_SIZE && is_utf8(name, n));
		assert_null(strpbrk(name, "<>:\"/\\|?*"));
		assert_true(name[0] != '.' && name[0] != ' ' && name[n - 5] != '.' &&
			    name[n - 5] != ' ');
		for (size_t i = 0; i < n; i++)
			assert_true((unsigned char)name[i] >= 0x20 && name[i] != 0x7f);
	}
}

static void characters_are_never_cut(void **state)
{
	static char prompt[1000];
	char name[NAMES_SIZE];

	for (size_t i = 0; i + 4 < sizeof prompt; i += 3)
		memcpy(prompt + i, "\xe6\x97\xa5", 3);
	for (int n = 1; n <= 100; n++) {
		char pattern[32];
		size_t want = 3 * (size_t)n + 4;

		snprintf(pattern, sizeof pattern, "{prompt:%d}", n);
		make(pattern, &(struct names_fields){.prompt = prompt}, name);
		assert_true(is_utf8(name, strlen(name)));
		assert_true(strlen(name) == want || (strlen(name) < want && strlen(name) > 235));
	}
}

static void numbers_stand_before_the_suffix(void **state)
{
	char name[NAMES_SIZE], out[NAMES_SIZE];

	names_numbered("a.wav", 1, out);
	assert_string_equal(out, "a.wav");
	names_numbered("a.wav", 2, out);
	assert_string_equal(out, "a (2).wav");
	names_numbered("v1.2.flac", 9999, out);
	assert_string_equal(out, "v1.2 (9999).flac");
	names_numbered("plain", 3, out);
	assert_string_equal(out, "plain (3)");
	names_numbered(".wav", 3, out);
	assert_string_equal(out, ".wav (3)");
	for (size_t n = 240; n < NAMES_SIZE; n++) {
		memset(name, 'a', n);
		memcpy(name + n - 7, "\xe6\x97\xa5.wav", 8);
		names_numbered(name, 123, out);
		assert_true(strlen(out) < NAMES_SIZE && is_utf8(out, strlen(out)));
		assert_true(has_suffix(out, " (123).wav"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(patterns_are_filled),
		cmocka_unit_test(bad_patterns_are_told),
		cmocka_unit_test(hostile_texts_become_names),
		cmocka_unit_test(any_bytes_are_safe),
		cmocka_unit_test(characters_are_never_cut),
		cmocka_unit_test(numbers_stand_before_the_suffix),
	};
	return RUN_TAP(tests);
}
