/* Keys as users write them. */
#include <string.h>

#include "library/base/err.h"
#include "library/base/str.h"
#include "tests/unit/scratch.h"
#include "tui/keys.h"

static void expect(const char *text, int n, uint32_t first)
{
	struct str back = {0};
	struct chord c;
	struct err e = {0};

	if (chord_parse(text, &c, &e))
		fail_msg("%s", e.text);
	assert_int_equal(c.n, n);
	assert_int_equal(c.keys[0], first);
	chord_format(&c, &back);
	assert_string_equal(str_get(&back), text);
	str_done(&back);
}

static void written_and_read(void **state)
{
	expect("j", 1, 'j');
	expect("G", 1, 'G');
	expect("gg", 2, 'g');
	expect("zs", 2, 'z');
	expect("^D", 1, 4);
	expect("^X^E", 2, 24);
	expect("^^", 1, '^');
	expect("<Space>", 1, ' ');
	expect("<lt>", 1, '<');
	expect(">", 1, '>');
	expect("<F5>", 1, KEYS_F1 + 4);
	expect("<F12>", 1, KEYS_F12);
	expect("<A-Enter>", 1, '\r' | KEYS_ALT);
	expect("<A-x>", 1, 'x' | KEYS_ALT);
	expect("<S-Tab>", 1, KEYS_S_TAB);
	expect("\xc3\xa9", 1, 0xe9);
}

static void refused(const char *text)
{
	struct chord c;
	struct err e = {0};

	assert_int_equal(chord_parse(text, &c, &e), ERR_ARG);
	assert_true(strlen(e.text) > 10);
}

static void what_is_no_key(void **state)
{
	refused("");
	refused(" ");
	refused("<");
	refused("<Foo>");
	refused("<F13>");
	refused("<>");
	refused("<A->");
	refused("^");
	refused("^d");
	refused("abcd");
	refused("\033");
	refused("\xff");
	refused("a b");
}

static void chords(void **state)
{
	struct chord g, gg, gx;

	chord_parse("g", &g, NULL);
	chord_parse("gg", &gg, NULL);
	chord_parse("gx", &gx, NULL);
	assert_true(chord_begins(&g, &gg));
	assert_false(chord_begins(&gg, &gg));
	assert_false(chord_begins(&gg, &g));
	assert_false(chord_begins(&gx, &gg));
	assert_true(chord_equal(&gg, &gg));
	assert_false(chord_equal(&gg, &gx));
	assert_false(chord_equal(&g, &gg));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(written_and_read),
		cmocka_unit_test(what_is_no_key),
		cmocka_unit_test(chords),
	};

	return RUN_TAP(tests);
}
