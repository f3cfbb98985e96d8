/* A line of text while it is typed. */
#include "tui/line_edit.h"

#include <string.h>
#include <wchar.h>

#include "tui/keys.h"

/* ---- code points -------------------------------------------------------- */

static bool combines(uint32_t cp)
{
	return cp == 0x200d || (cp >= 0xfe00 && cp <= 0xfe0f) || wcwidth((wchar_t)cp) == 0;
}

size_t line_edit_next(const struct line_edit *l, size_t at)
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

	for (size_t i = 0; i < at; i = line_edit_next(l, i))
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

	if ((code_point < 0x20 && !(code_point == '\n' && l->has_lines)) ||
		(code_point >= 0x7f && code_point < 0xa0))
		return false;
	n = utf8_encode(code_point, bytes);
	if (l->text.n + n > (l->max ? l->max : LINE_EDIT_BYTES_MAX))
		return false;
	str_add(&rest, str_get(&l->text) + l->at);
	l->text.n = l->at;
	str_add_n(&l->text, bytes, n);
	str_add(&l->text, str_get(&rest));
	l->at += n;
	str_done(&rest);
	return true;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\n';
}

static size_t word_start(const struct line_edit *l)
{
	const char *s = str_get(&l->text);
	size_t at = l->at;

	while (at && is_blank(s[at - 1]))
		at--;
	while (at && !is_blank(s[at - 1]))
		at--;
	return at;
}

static size_t word_end(const struct line_edit *l)
{
	const char *s = str_get(&l->text);
	size_t at = l->at;

	while (at < l->text.n && is_blank(s[at]))
		at++;
	while (at < l->text.n && !is_blank(s[at]))
		at++;
	return at;
}

static size_t line_start(const struct line_edit *l)
{
	const char *s = str_get(&l->text);
	size_t at = l->at;

	while (at && s[at - 1] != '\n')
		at--;
	return at;
}

static size_t line_end(const struct line_edit *l)
{
	return l->at + strcspn(str_get(&l->text) + l->at, "\n");
}

bool line_edit_do(struct line_edit *l, enum line_edit_action action)
{
	switch (action) {
	case LINE_LEFT:
		return go(l, previous(l, l->at));
	case LINE_RIGHT:
		return go(l, line_edit_next(l, l->at));
	case LINE_START:
		return go(l, line_start(l));
	case LINE_END:
		return go(l, line_end(l));
	case LINE_WORD_LEFT:
		return go(l, word_start(l));
	case LINE_WORD_RIGHT:
		return go(l, word_end(l));
	case LINE_BACKSPACE:
		return cut(l, previous(l, l->at), l->at);
	case LINE_DELETE:
		return cut(l, l->at, line_edit_next(l, l->at));
	case LINE_DELETE_WORD:
		return cut(l, word_start(l), l->at);
	case LINE_DELETE_START:
		return cut(l, line_start(l), l->at);
	case LINE_DELETE_END:
		return cut(l, l->at, line_end(l));
	}
	return false;
}

bool line_edit_key(struct line_edit *l, uint32_t key)
{
	static const struct {
		uint32_t key;
		enum line_edit_action action;
	} actions[] = {
		{KEYS_LEFT, LINE_LEFT},
		{KEYS_RIGHT, LINE_RIGHT},
		{KEYS_C_LEFT, LINE_WORD_LEFT},
		{KEYS_C_RIGHT, LINE_WORD_RIGHT},
		{KEYS_HOME, LINE_START},
		{1, LINE_START},
		{KEYS_END, LINE_END},
		{5, LINE_END},
		{KEYS_BACKSPACE, LINE_BACKSPACE},
		{KEYS_DELETE, LINE_DELETE},
		{4, LINE_DELETE},
		{23, LINE_DELETE_WORD},
		{21, LINE_DELETE_START},
		{11, LINE_DELETE_END},
	};

	for (size_t i = 0; i < sizeof(actions) / sizeof(*actions); i++)
		if (actions[i].key == key)
			return line_edit_do(l, actions[i].action);
	return key < KEY_NAMED && line_edit_insert(l, key);
}

void line_edit_done(struct line_edit *l)
{
	str_done(&l->text);
	l->at = 0;
}
