/* Text in cells: widths, cutting, escapes, wrapping, columns, and what curses
 * makes of it. */
#include "tui/text.h"

#include <curses.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include "library/base/splitmix.h"
#include "library/base/str.h"
#include "tests/unit/scratch.h"

static const char *const samples[] = {
	"",
	"plain",
	"two words and more of them",
	"日本語の歌 テスト",
	"a日b本c",
	"e\u0301te\u0301 cafe\u0301",                            /* é as e and a mark */
	"Z\u0351\u0301\u0302\u0303\u0304\u0305\u0306\u0307algo", /* more marks than a cell holds */
	"\u0301\u0302 begins with marks",
	"👨\u200d👩\u200d👧 family", /* joined by ZWJ */
	"❤\ufe0f heart",          /* with the selector for pictures */
	"👍🏽 thumb",
	"🇩🇪🇫🇷 flags",
	"שלום עולם", /* right to left */
	"\u202egnp.exe\u202c \u2066x\u2069",
	"a\tb\nc\rd",
	"\x1b[31mred\x1b[0m \x07 \x7f",
	"C1: \xc2\x9b 31m",
	"bad \xff\xc3 \xe2\x82 \xed\xa0\x80 \xf4\x90\x80\x80",
	"unassigned \u0378 \U000e1000 \U0010ffff",
	"한국어 \u1112\u1161\u11ab", /* the last in three parts of one character */
	"ก็ไม่",
};
enum { N_SAMPLES = sizeof samples / sizeof *samples };

/* Cells by libc, and that nothing of it may hurt a terminal. */
static size_t libc_cells(const char *s)
{
	size_t cells = 0, n = strlen(s), len;

	for (size_t i = 0; i < n; i += len) {
		uint32_t cp;
		int w;
		len = utf8_decode(s + i, n - i, &cp);
		w = wcwidth((wchar_t)cp);
		assert_true(len > 1 || cp != 0xfffd);
		assert_true(cp >= 0x20 && cp != 0x7f && (cp < 0x80 || cp >= 0xa0));
		assert_false(cp >= 0x2028 && cp <= 0x202e);
		assert_false(cp >= 0x2066 && cp <= 0x2069);
		assert_false(cp >= 0x200b && cp <= 0x200f);
		assert_true(w >= 0);
		cells += (size_t)w;
	}
	return cells;
}

static void shows(const char *s, const char *want, size_t cells)
{
	struct str out = {0};

	text_show(&out, s);
	assert_string_equal(str_get(&out), want);
	assert_int_equal(text_cells(s), cells);
	assert_int_equal(libc_cells(want), cells);
	str_done(&out);
}

static void fits(const char *s, size_t cells, const char *want)
{
	struct str out = {0};
	size_t used;

	str_add(&out, ">");
	used = text_fit(&out, s, cells);
	assert_string_equal(str_get(&out) + 1, want);
	assert_int_equal(used, libc_cells(want));
	str_done(&out);
}

static void wraps(const char *s, size_t cells, const char *want)
{
	struct str out = {0};
	size_t n = text_wrap(&out, s, cells), lines = cells > 0;

	assert_string_equal(str_get(&out), want);
	for (const char *p = want; *p; p++)
		lines += *p == '\n';
	assert_int_equal(n, lines);
	str_done(&out);
}

static void what_is_shown(void **state)
{
	shows("", "", 0);
	shows("plain", "plain", 5);
	shows("日本", "日本", 4);
	shows("e\u0301", "e\u0301", 1);
	shows("\u1112\u1161\u11ab", "\u1112\u1161\u11ab", 2);
	shows("👨\u200d👩", "👨👩", 4);
	shows("❤\ufe0f", "❤", 1);
	shows("👍🏽", "👍", 2);
	shows("\u200b\ufeff\u00ad", "", 0);
	shows("x\u0301\u0302\u0303\u0304\u0305y", "x\u0301\u0302\u0303\u0304y", 2);
	shows("x\u200d\u0301", "x\u0301", 1);
	shows("\u0301x", "\u25cc\u0301x", 2);
	shows("שלום", "שלום", 4);
}

static void what_is_escaped(void **state)
{
	shows("\x1b[31m", "^[[31m", 6);
	shows("\t\n\x01\x7f", "^I^J^A^?", 8);
	shows("\xc2\x9b", "\\u{9b}", 6);
	shows("\xff", "\\xff", 4);
	shows("\xc3", "\\xc3", 4);
	shows("\xc3(", "\\xc3(", 5);
	shows("\xe2\x82", "\\xe2\\x82", 8);
	shows("\xc0\xaf", "\\xc0\\xaf", 8); /* overlong */
	shows("\u202e", "\\u{202e}", 8);
	shows("\u2067", "\\u{2067}", 8);
	shows("\u2028", "\\u{2028}", 8);
	shows("\u0378", "\\u{378}", 7); /* unassigned */
	shows("\ufffd", "\ufffd", 1);   /* one that was there */
	shows("\x1b\u0301", "^[\u25cc\u0301", 3);
}

static void cutting(void **state)
{
	fits("plain", 0, "");
	fits("plain", 1, "…");
	fits("plain", 4, "pla…");
	fits("plain", 5, "plain");
	fits("plain", 99, "plain");
	fits("日本語", 6, "日本語");
	fits("日本語", 5, "日本…");
	fits("日本語", 4, "日…");
	fits("日本語", 2, "…");
	fits("ae\u0301e\u0301", 2, "a…");
	fits("ae\u0301e\u0301", 3, "ae\u0301e\u0301");
	fits("🇩🇪🇫🇷", 3, "🇩🇪…");
	fits("🇩🇪🇫🇷", 2, "…");
	fits("a\x1b]", 3, "a…"); /* no half of an escape */
	fits("a\x1b]", 4, "a^[]");
	fits("a\xff", 4, "a…");
}

/* Where a character may begin: not at marks, nor in the middle of a flag. */
static bool is_start(uint32_t cp)
{
	return wcwidth((wchar_t)cp) > 0;
}

/* Fits of all widths are a beginning of the text and an ellipsis, or all of it,
 * never wider than they may be, and lack nothing that had room. */
static void check_fits(const char *s)
{
	struct str shown = {0}, again = {0}, out = {0};
	size_t cells = text_cells(s);

	text_show(&shown, s);
	assert_int_equal(libc_cells(str_get(&shown)), cells);
	text_show(&again, str_get(&shown));
	assert_string_equal(str_get(&shown), str_get(&again));
	for (size_t w = 0; w <= cells + 2; w++) {
		size_t used, n;
		str_clear(&out);
		used = text_fit(&out, s, w);
		assert_int_equal(libc_cells(str_get(&out)), used);
		assert_true(used <= w);
		if (w >= cells) {
			assert_string_equal(str_get(&out), str_get(&shown));
			continue;
		}
		if (!w)
			continue;
		assert_true(has_suffix(out.s, "…"));
		n = out.n - strlen("…");
		assert_memory_equal(out.s, str_get(&shown), n);
		if (shown.s[n]) {
			uint32_t cp;
			utf8_decode(shown.s + n, shown.n - n, &cp);
			assert_true(is_start(cp));
		}
		str_clear(&out);
		text_pad(&out, s, w, TEXT_CENTRE);
		assert_int_equal(libc_cells(str_get(&out)), w);
	}
	str_done(&shown);
	str_done(&again);
	str_done(&out);
}

static void remove_blanks(char *s)
{
	char *to = s;

	for (; *s; s++)
		if (*s != ' ' && *s != '\n')
			*to++ = *s;
	*to = '\0';
}

/* The text without blanks, as it is shown. */
static char *without_blanks(const char *s)
{
	struct str out = {0};

	str_add(&out, "");
	while (*s) {
		size_t n = strcspn(s, "\t\r\n");
		char *part = strndup(s, n);
		text_show(&out, part);
		free(part);
		s += n + (s[n] != '\0');
	}
	remove_blanks(out.s);
	return out.s;
}

/* Lines of all widths are narrow enough and, where no character is wider than
 * they are (the longest escape has 10 cells), hold the whole text but blanks. */
static void check_wraps(const char *s)
{
	size_t cells = text_cells(s);
	char *all = without_blanks(s);

	for (size_t w = 1; w <= cells + 2; w++) {
		struct str out = {0};
		size_t n = text_wrap(&out, s, w), lines = 0;
		char *text = strdup(str_get(&out)), *line = out.s, *end;
		remove_blanks(text);
		if (w >= 10)
			assert_string_equal(text, all);
		free(text);
		for (; line; line = end, lines++) {
			end = strchr(line, '\n');
			if (end)
				*end++ = '\0';
			assert_true(libc_cells(line) <= w);
		}
		assert_int_equal(n, lines ? lines : 1);
		str_done(&out);
	}
	free(all);
}

static void samples_in_every_width(void **state)
{
	for (size_t i = 0; i < N_SAMPLES; i++) {
		check_fits(samples[i]);
		check_wraps(samples[i]);
	}
}

static void random_bytes_in_every_width(void **state)
{
	uint64_t n_drawn = 0;

	for (int round = 0; round < 2000; round++) {
		char s[48];
		size_t n = splitmix64(++n_drawn * SPLITMIX_STEP) % sizeof s;
		s[n] = '\0';
		for (size_t i = 0; i < n;) {
			uint64_t r = splitmix64(++n_drawn * SPLITMIX_STEP);
			const char *from = samples[r % N_SAMPLES];
			if (r >> 32 & 1 && *from)
				s[i++] = from[(r >> 40) % strlen(from)];
			else
				s[i++] = (char)(1 + (r >> 40) % 255);
		}
		check_fits(s);
		check_wraps(s);
	}
}

static void every_code_point(void **state)
{
	for (uint32_t cp = 1; cp <= 0x10ffff; cp++) {
		char s[8] = {'a'};
		struct str out = {0};
		if (cp >= 0xd800 && cp < 0xe000)
			continue;
		s[1 + utf8_encode(cp, s + 1)] = '\0';
		text_show(&out, s);
		assert_int_equal(libc_cells(out.s), text_cells(s));
		str_done(&out);
	}
}

static void padding(void **state)
{
	static const struct {
		const char *s;
		size_t cells;
		enum text_align align;
		const char *want;
	} cases[] = {
		{"ab", 5, TEXT_LEFT, "ab   "},
		{"ab", 5, TEXT_RIGHT, "   ab"},
		{"ab", 5, TEXT_CENTRE, " ab  "},
		{"日本", 5, TEXT_RIGHT, " 日本"},
		{"日本", 3, TEXT_RIGHT, "日…"},
		{"日本語", 4, TEXT_LEFT, "日… "},
		{"", 2, TEXT_CENTRE, "  "},
		{"ab", 0, TEXT_LEFT, ""},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct str out = {0};
		text_pad(&out, cases[i].s, cases[i].cells, cases[i].align);
		assert_string_equal(str_get(&out), cases[i].want);
		str_done(&out);
	}
}

static void wrapping(void **state)
{
	wraps("", 5, "");
	wraps("rainy lofi hip hop", 10, "rainy lofi\nhip hop");
	wraps("rainy lofi hip hop", 9, "rainy\nlofi hip\nhop");
	wraps("rainy  lofi", 20, "rainy  lofi");
	wraps("rainy  lofi", 6, "rainy\nlofi");
	wraps("a\n\nb", 5, "a\n\nb");
	wraps("a\r\nb\tc", 5, "a\nb c");
	wraps("  in", 5, "  in");
	wraps("abcdefgh ij", 3, "abc\ndef\ngh\nij");
	wraps("x abcdefgh", 3, "x\nabc\ndef\ngh");
	wraps("日本語", 3, "日\n本\n語");
	wraps("日本語", 1, "…\n…\n…");
	wraps("a\x1b[0m", 3, "a^[\n[0m");
	wraps("a\xff", 3, "a\n…");
	wraps("abc ", 3, "abc");
	wraps("ab", 0, "");
}

static void expect_columns(
	size_t total, size_t gap, const size_t *want, struct text_column *c, size_t n)
{
	size_t used = text_columns(c, n, total, gap), sum = 0, shown = 0;

	for (size_t i = 0; i < n; i++) {
		if (want)
			assert_int_equal(c[i].cells, want[i]);
		sum += c[i].cells;
		shown += c[i].cells > 0;
	}
	assert_int_equal(used, shown ? sum + gap * (shown - 1) : 0);
	assert_true(used <= total);
	if (c[0].cells > c[0].min)
		assert_int_equal(used, total);
}

static void table_columns(void **state)
{
	/* title, model, length, created */
	struct text_column c[4] = {{.min = 10, .weight = 3}, {.min = 5, .weight = 1, .rank = 2},
		{.min = 4, .rank = 1}, {.min = 11, .rank = 3}};

	expect_columns(33, 1, (const size_t[]){10, 5, 4, 11}, c, 4);
	expect_columns(41, 1, (const size_t[]){16, 7, 4, 11}, c, 4);
	expect_columns(32, 1, (const size_t[]){18, 8, 4, 0}, c, 4);
	expect_columns(21, 1, (const size_t[]){10, 5, 4, 0}, c, 4);
	expect_columns(20, 1, (const size_t[]){15, 0, 4, 0}, c, 4);
	expect_columns(14, 1, (const size_t[]){14, 0, 0, 0}, c, 4);
	expect_columns(3, 1, (const size_t[]){3, 0, 0, 0}, c, 4);
	expect_columns(0, 1, (const size_t[]){0, 0, 0, 0}, c, 4);
	for (size_t total = 0; total < 200; total++)
		for (size_t gap = 0; gap < 4; gap++)
			expect_columns(total, gap, NULL, c, 4);
	c[1].rank = c[2].rank = c[3].rank = 0;
	expect_columns(20, 1, (const size_t[]){10, 5, 3, 0}, c, 4);
	expect_columns(7, 2, (const size_t[]){7, 0, 0, 0}, c, 4);
	assert_int_equal(text_columns(NULL, 0, 10, 1), 0);
}

/* A screen that goes to /dev/null: curses keeps the cells all the same. */
static int open_screen(void **state)
{
	FILE *null = fopen("/dev/null", "r+");
	SCREEN *screen;

	setenv("LINES", "4", 1);
	setenv("COLUMNS", "12", 1);
	screen = null ? newterm("vt100", null, null) : NULL;
	*state = screen;
	return screen ? 0 : 1;
}

static int close_screen(void **state)
{
	endwin();
	delscreen(*state);
	return 0;
}

static void expect_row(WINDOW *w, int y, const char *want)
{
	char have[128];
	wchar_t wide[64];

	memset(wide, 0, sizeof wide);
	assert_int_not_equal(mvwinnwstr(w, y, 0, wide, 60), ERR);
	assert_true(wcstombs(have, wide, sizeof have) < sizeof have);
	assert_string_equal(have, want);
}

static void in_a_window(void **state)
{
	WINDOW *w = newwin(3, 8, 0, 0);

	text_put(w, 0, 0, 8, "日本語の歌");
	expect_row(w, 0, "日本語… ");
	text_put(w, 0, 1, 2, "x"); /* over halves of two: both become blank */
	expect_row(w, 0, " x  語… ");
	text_put(w, 1, 2, 99, "e\u0301\x1b[0m and more");
	expect_row(w, 1, "  e\u0301^[[0…");
	text_put(w, 2, 0, 8, "12345678"); /* the last cell of the window */
	expect_row(w, 2, "12345678");
	text_put(w, 2, 7, 5, "日");
	expect_row(w, 2, "1234567…");
	text_put(w, 3, 0, 8, "below");
	text_put(w, -1, 0, 8, "above");
	text_put(w, 0, 8, 8, "beside");
	text_put(w, 0, -1, 8, "beside");
	text_put(w, 0, 0, 0, "nothing");
	expect_row(w, 0, " x  語… ");
	expect_row(w, 1, "  e\u0301^[[0…");
	expect_row(w, 2, "1234567…");
	delwin(w);
}

static void in_a_locale_without_utf8(void **state)
{
	assert_non_null(setlocale(LC_ALL, "C"));
	struct str out = {0};
	text_fit(&out, "caf\xc3\xa9", 99);
	assert_string_equal(out.s, "caf\\u{e9}");
	str_clear(&out);
	text_fit(&out, "plain", 3);
	assert_string_equal(out.s, "pl~");
	str_clear(&out);
	text_show(&out, "\u25b6 1\u20132 \u00b7 \u00b11 \u2016 \u2026");
	assert_string_equal(out.s, "> 1-2 - +-1 = ~");
	assert_int_equal(text_cells("\u00b11"), 3);
	str_done(&out);
	assert_non_null(setlocale(LC_ALL, "C.UTF-8"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_shown),
		cmocka_unit_test(what_is_escaped),
		cmocka_unit_test(cutting),
		cmocka_unit_test(samples_in_every_width),
		cmocka_unit_test(random_bytes_in_every_width),
		cmocka_unit_test(every_code_point),
		cmocka_unit_test(padding),
		cmocka_unit_test(wrapping),
		cmocka_unit_test(table_columns),
		cmocka_unit_test_setup_teardown(in_a_window, open_screen, close_screen),
		cmocka_unit_test(in_a_locale_without_utf8),
	};

	if (!setlocale(LC_ALL, "C.UTF-8"))
		return 1;
	return RUN_TAP(tests);
}
