/* A line while it is typed. */
#include <locale.h>
#include <string.h>

#include "library/base/splitmix.h"
#include "tests/unit/scratch.h"
#include "tui/line_edit.h"

static void type(struct line_edit *l, const char *text)
{
	for (size_t n = strlen(text), i = 0; i < n;) {
		uint32_t cp;

		i += utf8_decode(text + i, n - i, &cp);
		assert_true(line_edit_insert(l, cp));
	}
}

static void expect(const struct line_edit *l, const char *before, const char *after)
{
	assert_int_equal(l->at, strlen(before));
	assert_int_equal(l->text.n, strlen(before) + strlen(after));
	assert_memory_equal(str_get(&l->text), before, strlen(before));
	assert_string_equal(str_get(&l->text) + l->at, after);
}

static void typing(void **state)
{
	struct line_edit l = {0};

	type(&l, "slow pino");
	line_edit_do(&l, LINE_LEFT);
	line_edit_do(&l, LINE_LEFT);
	type(&l, "a");
	expect(&l, "slow pia", "no");
	line_edit_do(&l, LINE_START);
	assert_false(line_edit_do(&l, LINE_LEFT));
	assert_false(line_edit_do(&l, LINE_BACKSPACE));
	line_edit_do(&l, LINE_DELETE);
	expect(&l, "", "low piano");
	line_edit_do(&l, LINE_END);
	line_edit_do(&l, LINE_DELETE_WORD);
	expect(&l, "low ", "");
	line_edit_do(&l, LINE_DELETE_WORD);
	expect(&l, "", "");
	assert_false(line_edit_do(&l, LINE_DELETE_WORD));
	type(&l, "a b");
	line_edit_do(&l, LINE_LEFT);
	line_edit_do(&l, LINE_DELETE_END);
	expect(&l, "a ", "");
	type(&l, "c");
	line_edit_do(&l, LINE_LEFT);
	line_edit_do(&l, LINE_DELETE_START);
	expect(&l, "", "c");
	line_edit_done(&l);
}

/* A mark goes with what it stands on. */
static void marks(void **state)
{
	struct line_edit l = {0};

	type(&l, "e\xcc\x81x\xe6\x97\xa5"); /* e and an acute accent, x, a wide character */
	line_edit_do(&l, LINE_LEFT);
	expect(&l, "e\xcc\x81x", "\xe6\x97\xa5");
	line_edit_do(&l, LINE_LEFT);
	line_edit_do(&l, LINE_LEFT);
	expect(&l, "", "e\xcc\x81x\xe6\x97\xa5");
	line_edit_do(&l, LINE_DELETE);
	expect(&l, "", "x\xe6\x97\xa5");
	line_edit_do(&l, LINE_END);
	line_edit_do(&l, LINE_BACKSPACE);
	expect(&l, "x", "");
	line_edit_done(&l);
}

static void what_is_no_text(void **state)
{
	struct line_edit l = {0};

	assert_false(line_edit_insert(&l, 27));
	assert_false(line_edit_insert(&l, 0x9b));
	assert_false(line_edit_insert(&l, 127));
	line_edit_set(&l, "a\033[2Jb\xff\n");
	expect(&l, "a[2Jb\xef\xbf\xbd", "");
	line_edit_set(&l, "");
	for (int i = 0; i < LINE_EDIT_BYTES_MAX; i++)
		assert_true(line_edit_insert(&l, 'x'));
	assert_false(line_edit_insert(&l, 'x'));
	assert_int_equal(l.text.n, LINE_EDIT_BYTES_MAX);
	line_edit_done(&l);
}

static void anything_goes(void **state)
{
	static const uint32_t points[] = {'a', ' ', 0xe9, 0x301, 0x65e5, 0x1f3b9, 0x200d, 0xfe0f};
	struct line_edit l = {0};
	uint64_t draw = 0;

	for (int i = 0; i < 50000; i++) {
		const uint64_t r = splitmix64(draw += SPLITMIX_STEP);

		if (r % 3)
			line_edit_insert(&l, points[(r >> 8) % 8]);
		else
			line_edit_do(&l, (enum line_edit_action)((r >> 8) % 9));
		assert_true(l.at <= l.text.n);
		assert_true(is_utf8(str_get(&l.text), l.at) &&
			    is_utf8(str_get(&l.text) + l.at, l.text.n - l.at));
	}
	line_edit_done(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(typing),
		cmocka_unit_test(marks),
		cmocka_unit_test(what_is_no_text),
		cmocka_unit_test(anything_goes),
	};

	setlocale(LC_ALL, "C.UTF-8");
	return RUN_TAP(tests);
}
