/* A text of several lines while it is typed. */
#include "tui/text_edit.h"

#include <stdlib.h>
#include <string.h>

#include "library/base/arena.h"
#include "library/base/vec.h"
#include "tui/keys.h"
#include "tui/text.h"

/* ---- undo --------------------------------------------------------------- */

static void forget(struct text_state *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(s[i].text);
}

static struct text_state state(const struct text_edit *t)
{
	return (struct text_state){xstrdup(str_get(&t->line.text)), t->line.at};
}

/* The text was `s` until now; what was undone cannot be done again. */
static void remember(struct text_edit *t, struct text_state s)
{
	if (t->before.n == TEXT_EDIT_UNDO_MAX) {
		forget(t->before.at, 1);
		memmove(t->before.at, t->before.at + 1, --t->before.n * sizeof(*t->before.at));
	}
	*VEC_PUSH(&t->before) = s;
	forget(t->after.at, t->after.n);
	t->after.n = 0;
}

static void restore(struct text_edit *t, struct text_state *s)
{
	line_edit_set(&t->line, s->text);
	t->line.at = s->at < t->line.text.n ? s->at : t->line.text.n;
	forget(s, 1);
	t->is_typing = false;
}

bool text_edit_undo(struct text_edit *t)
{
	if (!t->before.n)
		return false;
	*VEC_PUSH(&t->after) = state(t);
	restore(t, &t->before.at[--t->before.n]);
	return true;
}

bool text_edit_redo(struct text_edit *t)
{
	if (!t->after.n)
		return false;
	*VEC_PUSH(&t->before) = state(t);
	restore(t, &t->after.at[--t->after.n]);
	return true;
}

/* ---- changes ------------------------------------------------------------ */

void text_edit_reset(struct text_edit *t, const char *text)
{
	forget(t->before.at, t->before.n);
	forget(t->after.at, t->after.n);
	t->before.n = t->after.n = 0;
	t->is_typing = false;
	line_edit_set(&t->line, text);
}

void text_edit_set(struct text_edit *t, const char *text)
{
	remember(t, state(t));
	t->is_typing = false;
	line_edit_set(&t->line, text);
}

const char *text_edit_get(const struct text_edit *t)
{
	return str_get(&t->line.text);
}

bool text_edit_key(struct text_edit *t, uint32_t key)
{
	const bool is_character = key >= ' ' && key < KEY_NAMED;
	struct text_state before = state(t);
	const size_t n = t->line.text.n;
	bool changed;

	changed = line_edit_key(&t->line, key == '\r' && t->line.has_lines ? '\n' : key);
	if (t->line.text.n == n || (is_character && t->is_typing))
		forget(&before, 1);
	else
		remember(t, before);
	t->is_typing = is_character && key != ' ' && changed;
	return changed;
}

bool text_edit_paste(struct text_edit *t, const char *text, size_t n)
{
	bool fits = true;

	remember(t, state(t));
	t->is_typing = false;
	for (size_t i = 0, k; i < n && fits; i += k) {
		uint32_t cp;

		k = utf8_decode(text + i, n - i, &cp);
		if (cp == '\r' || cp == '\t' || (cp == '\n' && !t->line.has_lines))
			cp = cp == '\r' && t->line.has_lines ? '\n' : ' ';
		if (cp >= ' ' || cp == '\n')
			fits = (cp >= 0x7f && cp < 0xa0) || line_edit_insert(&t->line, cp);
	}
	return fits;
}

void text_edit_replace(struct text_edit *t, size_t from, const char *text)
{
	remember(t, state(t));
	t->is_typing = false;
	while (t->line.at > from && line_edit_do(&t->line, LINE_BACKSPACE))
		;
	for (size_t i = 0, n = strlen(text), k; i < n; i += k) {
		uint32_t cp;

		k = utf8_decode(text + i, n - i, &cp);
		line_edit_insert(&t->line, cp);
	}
}

void text_edit_done(struct text_edit *t)
{
	forget(t->before.at, t->before.n);
	forget(t->after.at, t->after.n);
	VEC_DONE(&t->before);
	VEC_DONE(&t->after);
	line_edit_done(&t->line);
}

/* ---- lines of the screen ------------------------------------------------ */

static size_t cells_of(const struct text_edit *t, size_t from, size_t to)
{
	const char first = text_edit_get(t)[from];
	struct str part = {0};
	size_t n;

	if (to - from == 1 && first >= ' ' && first <= '~')
		return 1; /* nearly all of any text */
	str_add_n(&part, text_edit_get(t) + from, to - from);
	n = text_cells(str_get(&part));
	str_done(&part);
	return n;
}

struct lines {
	struct text_line *at;
	size_t n, cap;
};

size_t text_edit_wrap(
	const struct text_edit *t, size_t cells, struct arena *a, struct text_line **ret)
{
	const char *s = text_edit_get(t);
	struct lines lines = {0};
	size_t from = 0, used = 0, broken = 0, used_since = 0; /* where it may be broken */
	size_t n;

	for (size_t at = 0, end; at < t->line.text.n; at = end) {
		size_t width;

		end = line_edit_next(&t->line, at);
		if (s[at] == '\n') {
			*VEC_PUSH(&lines) = (struct text_line){from, at};
			from = broken = end;
			used = used_since = 0;
			continue;
		}
		width = cells_of(t, at, end);
		if (s[at] != ' ' && used + width > cells && used) {
			size_t to = broken > from ? broken : at;

			*VEC_PUSH(&lines) = (struct text_line){from, to};
			used = broken > from ? used_since : 0;
			from = broken = to;
			used_since = used;
		}
		used += width;
		used_since += width;
		if (s[at] == ' ') {
			broken = end;
			used_since = 0;
		}
	}
	*VEC_PUSH(&lines) = (struct text_line){from, t->line.text.n};
	*ret = ARENA_ARRAY(a, struct text_line, lines.n);
	memcpy(*ret, lines.at, lines.n * sizeof(**ret));
	n = lines.n;
	VEC_DONE(&lines);
	return n;
}

size_t text_edit_cursor(
	const struct text_edit *t, const struct text_line *lines, size_t n, size_t *ret_cells)
{
	size_t i = n - 1;

	while (i && lines[i].from > t->line.at)
		i--;
	*ret_cells = cells_of(t, lines[i].from, t->line.at);
	return i;
}

static void go_to(struct text_edit *t, const struct text_line *l, size_t column)
{
	const bool is_wrapped = l->to < t->line.text.n && text_edit_get(t)[l->to] != '\n';
	size_t at = l->from, next;

	while (at < l->to && cells_of(t, l->from, next = line_edit_next(&t->line, at)) <= column) {
		if (is_wrapped && next >= l->to)
			break; /* that is the next line's start */
		at = next;
	}
	t->line.at = at;
	t->is_typing = false;
}

bool text_edit_vertical(struct text_edit *t, size_t cells, int by)
{
	struct arena a = {0};
	struct text_line *lines;
	size_t n = text_edit_wrap(t, cells, &a, &lines), column,
	       i = text_edit_cursor(t, lines, n, &column);
	const bool moves = by < 0 ? i > 0 : i + 1 < n;

	if (moves)
		go_to(t, &lines[by < 0 ? i - 1 : i + 1], column);
	arena_done(&a);
	return moves;
}

void text_edit_point(struct text_edit *t, size_t cells, size_t line, size_t column)
{
	struct arena a = {0};
	struct text_line *lines;
	const size_t n = text_edit_wrap(t, cells, &a, &lines);

	go_to(t, &lines[line < n ? line : n - 1], column);
	arena_done(&a);
}
