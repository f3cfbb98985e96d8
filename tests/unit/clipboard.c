/* What is sent for a terminal's clipboard. */
#include <stdlib.h>
#include <string.h>

#include "library/base/arena.h"
#include "library/base/err.h"
#include "library/base/str.h"
#include "tests/unit/scratch.h"
#include "tui/clipboard.h"

static void is_sent(const char *text, bool in_tmux, const char *want)
{
	struct str out = {0};

	assert_int_equal(clipboard_sequence(text, in_tmux, &out, NULL), 0);
	assert_string_equal(str_get(&out), want);
	str_done(&out);
}

/* RFC 4648, section 10. */
static void base64(void **state)
{
	is_sent("", false, "\033]52;c;\a");
	is_sent("f", false, "\033]52;c;Zg==\a");
	is_sent("fo", false, "\033]52;c;Zm8=\a");
	is_sent("foo", false, "\033]52;c;Zm9v\a");
	is_sent("foob", false, "\033]52;c;Zm9vYg==\a");
	is_sent("\033\a\xff", false, "\033]52;c;Gwf/\a");
}

static void through_tmux(void **state)
{
	is_sent("foo", true, "\033]52;c;Zm9v\a\033Ptmux;\033\033]52;c;Zm9v\a\033\\");
}

static void too_long(void **state)
{
	char *text = xcalloc(CLIPBOARD_BYTES_MAX + 2, 1);
	struct str out = {0};
	struct err e = {0};

	memset(text, 'x', CLIPBOARD_BYTES_MAX);
	assert_int_equal(clipboard_sequence(text, false, &out, &e), 0);
	text[CLIPBOARD_BYTES_MAX] = 'x';
	assert_int_equal(clipboard_sequence(text, false, &out, &e), ERR_ARG);
	assert_error(e, ERR_ARG, "copy fewer");
	str_done(&out);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(base64), cmocka_unit_test(through_tmux),
		cmocka_unit_test(too_long)};

	return RUN_TAP(tests);
}
