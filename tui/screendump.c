/* The screen as a text. */
#include "tui/screendump.h"

#include <curses.h>
#include <stdbool.h>
#include <string.h>
#include <wchar.h>

#include "library/base/err.h"
#include "library/base/line.h"
#include "library/base/str.h"

/* How a cell looks; colours are numbers of curses, -1: the terminal's own. */
struct look {
	int fg, bg;
	attr_t attributes;
};

static const attr_t SHOWN = A_BOLD | A_DIM | A_UNDERLINE | A_REVERSE;

static bool is_same(const struct look *a, const struct look *b)
{
	return a->fg == b->fg && a->bg == b->bg && a->attributes == b->attributes;
}

static void add_color(struct str *out, int layer, int color)
{
	if (color < 0)
		return;
	if (COLORS > 256 && color > 255)
		str_printf(
			out, ";%d;2;%d;%d;%d", layer, color >> 16, color >> 8 & 255, color & 255);
	else
		str_printf(out, ";%d;5;%d", layer, color);
}

static void add_look(struct str *out, const struct look *l)
{
	str_printf(out, "\033[0%s%s%s%s", l->attributes & A_BOLD ? ";1" : "",
		l->attributes & A_DIM ? ";2" : "", l->attributes & A_UNDERLINE ? ";4" : "",
		l->attributes & A_REVERSE ? ";7" : "");
	add_color(out, 38, l->fg);
	add_color(out, 48, l->bg);
	str_add(out, "m");
}

/* A character of VT100's line drawing, as ncurses keeps those. */
static wchar_t drawn(wchar_t c)
{
	static const struct {
		char vt100;
		wchar_t unicode;
	} lines[] = {{'q', 0x2500}, {'x', 0x2502}, {'a', 0x2592}, {'n', 0x253c}, {'t', 0x251c},
		{'u', 0x2524}, {'v', 0x2534}, {'w', 0x252c}, {'l', 0x250c}, {'k', 0x2510},
		{'m', 0x2514}, {'j', 0x2518}};

	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++)
		if (lines[i].vt100 == c)
			return lines[i].unicode;
	return c;
}

static void add_text(struct str *out, const wchar_t *text, bool is_drawn)
{
	char bytes[4];

	for (; *text; text++) {
		wchar_t c = is_drawn ? drawn(*text) : *text;

		str_add_n(out, bytes, utf8_encode((uint32_t)c, bytes));
	}
}

static struct look look_of(const cchar_t *cell, wchar_t *text, bool *ret_drawn)
{
	struct look l = {-1, -1, 0};
	attr_t attributes = 0;
	short narrow;
	int pair = 0;

	text[0] = 0;
	getcchar(cell, text, &attributes, &narrow, &pair);
	if (has_colors())
		extended_pair_content(pair, &l.fg, &l.bg);
	if (!pair)
		l.fg = l.bg = -1;
	l.attributes = attributes & SHOWN;
	*ret_drawn = attributes & A_ALTCHARSET;
	return l;
}

static void add_line(struct str *out, int y, bool with_colors)
{
	static const struct look plain = {-1, -1, 0};
	struct look now = plain, last = plain;
	size_t end = out->n; /* behind the last that is seen */

	for (int x = 0, width; x < COLS; x += width) {
		wchar_t text[CCHARW_MAX + 1];
		bool is_drawn;
		cchar_t cell;
		struct look l;

		mvin_wch(y, x, &cell);
		l = look_of(&cell, text, &is_drawn);
		if (with_colors && !is_same(&l, &now))
			add_look(out, &l);
		now = l;
		add_text(out, *text ? text : L" ", is_drawn);
		if ((*text && wcscmp(text, L" ")) || (with_colors && !is_same(&l, &plain))) {
			end = out->n;
			last = l;
		}
		width = wcwidth(*text) > 1 ? 2 : 1;
	}
	out->n = end;
	if (out->s)
		out->s[end] = 0;
	if (with_colors && !is_same(&last, &plain))
		str_add(out, "\033[0m");
	str_add_char(out, '\n');
}

void screendump(struct str *out, int with_colors)
{
	int y, x;

	getyx(stdscr, y, x);
	for (int line = 0; line < LINES; line++)
		add_line(out, line, with_colors);
	move(y, x);
}

int screendump_write(const char *path, struct err *e)
{
	struct str out = {0};
	int rc;

	screendump(&out, true);
	if (out.n)
		out.s[--out.n] = 0;
	rc = line_write(path, str_get(&out), e);
	str_done(&out);
	return rc;
}
