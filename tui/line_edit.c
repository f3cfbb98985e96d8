/* A line of text while it is typed. */
#include "tui/line_edit.h"

#include <string.h>
#include <wchar.h>

/* ---- code points -------------------------------------------------------- */

static bool combines(uint32_t cp)
{
	return cp == 0x200d || (cp >= 0xfe00 && cp <= 0xfe0f) || wcwidth((wchar_t)cp) == 0;
}

static size_t next(const struct line_edit *l, size_t at)
{
	const char *s = str_get(&l->text);
	uint32_t cp;

	if (at >= l->text.n)
		return l->text.n;
	at += utf8_decode(s + at, l->text.n - at, &cp);
	while (at < l->text.n) {
		size_t n = utf8_decode(s + at, l->text.n - at, &cp);

		if (!combines(cp))
			break;
		at += n;
	}
	return at;
}

/* Found from the front: lines are short. */
static size_t previous(const struct line_edit *l, size_t at)
{
	size_t before = 0;

	for (size_t i = 0; i < at; i = next(l, i))
		before = i;
	return before;
}

/* ---- changes ------------------------------------------------------------ */

static bool cut(struct line_edit *l, size_t from, size_t to)
{
	if (from == to)
		return false;
	memmove(l->text.s + from, l->text.s + to, l->text.n - to + 1);
	l->text.n -= to - from;
	l->at = from;
	return true;
}

static bool go(struct line_edit *l, size_t to)
{
	bool moved = l->at != to;

	l->at = to;
	return moved;
}

void line_edit_set(struct line_edit *l, const char *text)
{
	size_t n = strlen(text);

	str_clear(&l->text);
	l->at = 0;
	for (size_t i = 0, k; i < n; i += k) {
		uint32_t cp;

		k = utf8_decode(text + i, n - i, &cp);
		line_edit_insert(l, cp);
	}
}

bool line_edit_insert(struct line_edit *l, uint32_t code_point)
{
	struct str rest = {0};
	char bytes[4];
	size_t n;

	if (code_point < 0x20 || (code_point >= 0x7f && code_point < 0xa0))
		return false;
	n = utf8_encode(code_point, bytes);
	if (l->text.n + n > LINE_EDIT_BYTES_MAX)
		return false;
	str_add(&rest, str_get(&l->text) + l->at);
	l->text.n = l->at;
	str_add_n(&l->text, bytes, n);
	str_add(&l->text, str_get(&rest));
	l->at += n;
	str_done(&rest);
	return true;
}

static size_t word_start(const struct line_edit *l)
{
	const char *s = str_get(&l->text);
	size_t at = l->at;

	while (at && s[at - 1] == ' ')
		at--;
	while (at && s[at - 1] != ' ')
		at--;
	return at;
}

bool line_edit_do(struct line_edit *l, enum line_edit_action action)
{
	switch (action) {
	case LINE_LEFT:
		return go(l, previous(l, l->at));
	case LINE_RIGHT:
		return go(l, next(l, l->at));
	case LINE_START:
		return go(l, 0);
	case LINE_END:
		return go(l, l->text.n);
	case LINE_BACKSPACE:
		return cut(l, previous(l, l->at), l->at);
	case LINE_DELETE:
		return cut(l, l->at, next(l, l->at));
	case LINE_DELETE_WORD:
		return cut(l, word_start(l), l->at);
	case LINE_DELETE_START:
		return cut(l, 0, l->at);
	case LINE_DELETE_END:
		return cut(l, l->at, l->text.n);
	}
	return false;
}

void line_edit_done(struct line_edit *l)
{
	str_done(&l->text);
	l->at = 0;
}
