/* Text to the terminal's clipboard. */
#include "tui/clipboard.h"

#include <stdint.h>
#include <string.h>

#include "library/base/err.h"
#include "library/base/str.h"

static void base64(const char *s, size_t n, struct str *out)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < n; i += 3) {
		uint32_t bits = 0;

		for (size_t k = 0; k < 3; k++)
			bits = bits << 8 | (i + k < n ? (uint8_t)s[i + k] : 0u);
		for (size_t k = 0; k < 4; k++)
			str_add_char(out, i + k > n ? '=' : digits[bits >> (18 - 6 * k) & 63]);
	}
}

int clipboard_sequence(const char *text, bool in_tmux, struct str *out, struct err *e)
{
	const size_t n = strlen(text);

	if (n > CLIPBOARD_BYTES_MAX)
		return err_set(e, ERR_ARG,
			"%zu bytes are too many for a terminal's clipboard; copy fewer at once", n);
	str_add(out, "\033]52;c;");
	base64(text, n, out);
	str_add(out, "\a");
	if (!in_tmux)
		return 0;
	str_add(out, "\033Ptmux;\033\033]52;c;");
	base64(text, n, out);
	str_add(out, "\a\033\\");
	return 0;
}
