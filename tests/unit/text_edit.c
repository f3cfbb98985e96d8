/* Text while it is typed: undo, lines, wrapping. */
#include "tests/unit/scratch.h"

#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "library/base/arena.h"
#include "tui/keys.h"
#include "tui/text_edit.h"

static void type(struct text_edit *t, const char *s)
{
	for (; *s; s++)
		text_edit_key(t, *s == '\n' ? '\r' : (uint32_t)(unsigned char)*s);
}

static void undo_by_words(void **state)
{
	struct text_edit t = {.line = {.has_lines = true}};

	type(&t, "slow piano");
	assert_true(text_edit_undo(&t));
	assert_string_equal(text_edit_get(&t), "slow ");
	assert_true(text_edit_redo(&t));
	assert_string_equal(text_edit_get(&t), "slow piano");
	assert_false(text_edit_redo(&t));
	text_edit_undo(&t);
	text_edit_key(&t, KEYS_LEFT); /* to move is no change */
	assert_true(text_edit_redo(&t));
	text_edit_undo(&t);
	type(&t, "x"); /* a change is: nothing to do again */
	assert_false(text_edit_redo(&t));
	while (text_edit_undo(&t))
		;
	assert_string_equal(text_edit_get(&t), "");
	text_edit_done(&t);
}

static void undo_has_an_end(void **state)
{
	struct text_edit t = {0};

	for (int i = 0; i < 3 * TEXT_EDIT_UNDO_MAX; i++)
		type(&t, "a ");
	assert_int_equal(t.before.n, TEXT_EDIT_UNDO_MAX);
	text_edit_done(&t);
}

static void keys(void **state)
{
	struct text_edit t = {.line = {.has_lines = true}};

	type(&t, "one two\nthree four");
	text_edit_key(&t, 1); /* ^A: of this line */
	assert_int_equal(t.line.at, 8);
	text_edit_key(&t, 5);
	text_edit_key(&t, 23); /* ^W */
	assert_string_equal(text_edit_get(&t), "one two\nthree ");
	text_edit_key(&t, 21); /* ^U: not beyond the line */
	assert_string_equal(text_edit_get(&t), "one two\n");
	text_edit_key(&t, KEYS_C_LEFT);
	assert_int_equal(t.line.at, 4);
	text_edit_key(&t, KEYS_C_RIGHT);
	assert_int_equal(t.line.at, 7);
	assert_false(text_edit_key(&t, KEYS_F1));
	text_edit_done(&t);
}

static void pasted(void **state)
{
	static const char text[] = "a\tb\r\033[31mc\nd\x80";
	struct text_edit lines = {.line = {.has_lines = true}}, one = {0},
			 small = {.line = {.max = 3}};

	assert_true(text_edit_paste(&lines, text, strlen(text)));
	assert_string_equal(text_edit_get(&lines), "a b\n[31mc\nd\ufffd");
	assert_true(text_edit_undo(&lines)); /* all of it at once */
	assert_string_equal(text_edit_get(&lines), "");
	assert_true(text_edit_paste(&one, text, strlen(text)));
	assert_string_equal(text_edit_get(&one), "a b [31mc d\ufffd");
	assert_false(text_edit_paste(&small, "abcdef", 6));
	assert_string_equal(text_edit_get(&small), "abc");
	text_edit_done(&lines);
	text_edit_done(&one);
	text_edit_done(&small);
}

/* The lines of a text in so many cells, with a bar between them. */
static const char *wrapped(const char *text, size_t cells, struct arena *a)
{
	struct text_edit t = {.line = {.has_lines = true}};
	struct text_line *lines;
	struct str out = {0};
	const char *ret;
	size_t n;

	text_edit_reset(&t, text);
	n = text_edit_wrap(&t, cells, a, &lines);
	for (size_t i = 0; i < n; i++) {
		str_add(&out, i ? "|" : "");
		str_add_n(&out, text_edit_get(&t) + lines[i].from, lines[i].to - lines[i].from);
	}
	ret = arena_strdup(a, str_get(&out));
	str_done(&out);
	text_edit_done(&t);
	return ret;
}

static void wraps(void **state)
{
	struct arena a = {0};

	assert_string_equal(wrapped("", 5, &a), "");
	assert_string_equal(wrapped("one two", 7, &a), "one two");
	assert_string_equal(wrapped("one two", 6, &a), "one |two");
	assert_string_equal(wrapped("one two three", 5, &a), "one |two |three");
	assert_string_equal(wrapped("abcdefgh", 3, &a), "abc|def|gh");
	assert_string_equal(wrapped("a\n\nb\n", 3, &a), "a||b|");
	assert_string_equal(wrapped("one    two", 4, &a), "one    |two");  /* blanks hang over */
	assert_string_equal(wrapped("日本語の歌", 5, &a), "日本|語の|歌"); /* never half of one */
	assert_string_equal(wrapped("日", 1, &a), "日");
	arena_done(&a);
}

static void up_and_down(void **state)
{
	struct text_edit t = {.line = {.has_lines = true}};
	struct text_line *lines;
	struct arena a = {0};
	size_t n, cells;

	text_edit_reset(&t, "one two three\nx\nlonger");
	assert_false(text_edit_vertical(&t, 8, 1)); /* the last line */
	assert_true(text_edit_vertical(&t, 8, -1));
	assert_int_equal(t.line.at, 15); /* the end of "x" */
	assert_true(text_edit_vertical(&t, 8, -1));
	assert_int_equal(t.line.at, 9); /* cell 1 of "three" */
	assert_true(text_edit_vertical(&t, 8, -1));
	assert_int_equal(t.line.at, 1);
	assert_false(text_edit_vertical(&t, 8, -1));
	t.line.at = 8; /* where a line is wrapped the cursor is on the next */
	n = text_edit_wrap(&t, 8, &a, &lines);
	assert_int_equal(text_edit_cursor(&t, lines, n, &cells), 1);
	assert_int_equal(cells, 0);
	arena_done(&a);
	text_edit_done(&t);
}

/* At the end of a full line the cursor stays in it, before its last character. */
static void to_the_end_of_full_lines(void **state)
{
	struct text_edit t = {.line = {.has_lines = true}};
	struct text_line *lines;
	struct arena a = {0};
	size_t n, cells;

	text_edit_reset(&t, "日日日本本本語語");
	assert_true(text_edit_vertical(&t, 6, -1));
	assert_int_equal(t.line.at, 5 * 3);
	n = text_edit_wrap(&t, 6, &a, &lines);
	assert_int_equal(text_edit_cursor(&t, lines, n, &cells), 1);
	assert_int_equal(cells, 4);
	assert_true(text_edit_vertical(&t, 6, -1));
	assert_int_equal(t.line.at, 2 * 3);
	text_edit_point(&t, 6, 1, 6); /* a click right of it */
	assert_int_equal(t.line.at, 5 * 3);
	text_edit_point(&t, 6, 2, 6); /* the text's end is no other line's start */
	assert_int_equal(t.line.at, 8 * 3);
	text_edit_reset(&t, "e\u0301e\u0301e\u0301");
	text_edit_point(&t, 2, 0, 2); /* nor between a letter and its accent */
	assert_int_equal(t.line.at, 3);
	arena_done(&a);
	text_edit_done(&t);
}

static void replaced(void **state)
{
	struct text_edit t = {0};

	text_edit_reset(&t, "slow pi");
	text_edit_replace(&t, 5, "piano");
	assert_string_equal(text_edit_get(&t), "slow piano");
	text_edit_undo(&t);
	assert_string_equal(text_edit_get(&t), "slow pi");
	text_edit_done(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(undo_by_words),
		cmocka_unit_test(undo_has_an_end),
		cmocka_unit_test(keys),
		cmocka_unit_test(pasted),
		cmocka_unit_test(wraps),
		cmocka_unit_test(up_and_down),
		cmocka_unit_test(to_the_end_of_full_lines),
		cmocka_unit_test(replaced),
	};

	setlocale(LC_ALL, "C.UTF-8");
	return RUN_TAP(tests);
}
