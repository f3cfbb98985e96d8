/* Text in cells.  Everything here goes through next_piece(), which alone decides
 * what a character is, how wide it is, and what of it is sent. */
#include "tui/text.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <wchar.h>

#include <curses.h>

#include "library/base/str.h"

enum {
	MARKS_MAX = 4,                   /* what a cell of ncurses holds beside the base */
	PIECE_MAX = 4 * (MARKS_MAX + 2), /* a flag has two bases */
};

/* A character as it is shown. */
struct piece {
	char s[PIECE_MAX];
	size_t n, cells;         /* both 0: nothing to show */
	bool is_blank, is_break; /* where lines may, or must, end */
};

static size_t width_of(uint32_t cp)
{
	int w = wcwidth((wchar_t)cp);

	return w > 0 ? (size_t)w : 0;
}

/* Embeddings, overrides and isolates: they make text read as what it is not.
 * And two that are the ends of lines. */
static bool is_override(uint32_t cp)
{
	return (cp >= 0x2028 && cp <= 0x202e) || (cp >= 0x2066 && cp <= 0x2069);
}

/* Shows nothing by itself, and makes terminals disagree about what it joins. */
static bool is_invisible(uint32_t cp)
{
	return cp == 0xad || cp == 0x34f || cp == 0x61c || (cp >= 0x180b && cp <= 0x180f) ||
	       (cp >= 0x200b && cp <= 0x200f) || (cp >= 0x2060 && cp <= 0x2064) ||
	       (cp >= 0x206a && cp <= 0x206f) || (cp >= 0xfe00 && cp <= 0xfe0f) || cp == 0xfeff ||
	       (cp >= 0xfff9 && cp <= 0xfffb) ||
	       (cp >= 0x1f3fb && cp <= 0x1f3ff) || /* skin colours */
	       (cp >= 0xe0000 && cp <= 0xe0fff);
}

/* Two of these are a flag. */
static bool is_flag_letter(uint32_t cp)
{
	return cp >= 0x1f1e6 && cp <= 0x1f1ff;
}

static bool is_mark(uint32_t cp)
{
	return cp >= 0x300 && !is_override(cp) && !is_invisible(cp) && wcwidth((wchar_t)cp) == 0;
}

static bool is_shown(uint32_t cp)
{
	return !is_override(cp) && wcwidth((wchar_t)cp) > 0;
}

/* Length of the code point at s, which may not be one: then false. */
static bool decode(const char *s, uint32_t *ret_cp, size_t *ret_len)
{
	size_t n = strnlen(s, 4);

	*ret_cp = 0;
	*ret_len = n ? utf8_decode(s, n, ret_cp) : 0;
	return n && !(*ret_len == 1 && *ret_cp == 0xfffd);
}

static void add(struct piece *p, uint32_t cp)
{
	p->n += utf8_encode(cp, p->s + p->n);
	p->cells += width_of(cp);
}

static void escape(struct piece *p, bool is_text, unsigned char byte, uint32_t cp)
{
	int n;

	if (!is_text)
		n = snprintf(p->s, sizeof p->s, "\\x%02x", byte);
	else if (cp < 0x20 || cp == 0x7f)
		n = snprintf(p->s, sizeof p->s, "^%c", (int)(cp ^ 0x40));
	else
		n = snprintf(p->s, sizeof p->s, "\\u{%x}", (unsigned)cp);
	p->n = p->cells = (size_t)n;
}

/* What stands for the signs of our own texts where the locale does not have them; NULL:
 * it is none. */
static const char *stand_in(uint32_t cp)
{
	static const struct {
		uint32_t cp;
		const char *ascii;
	} signs[] = {{0xb1, "+-"}, {0xb7, "-"}, {0xd7, "x"}, {0x2013, "-"}, {0x2016, "="},
		{0x2026, "~"}, {0x25b6, ">"}};

	for (size_t i = 0; i < sizeof(signs) / sizeof(*signs); i++)
		if (signs[i].cp == cp)
			return signs[i].ascii;
	return NULL;
}

/* The character at s, not at its end; returns where the next one is. */
static const char *next_piece(const char *s, struct piece *p)
{
	uint32_t cp;
	size_t len, marks = 0;
	bool is_text = decode(s, &cp, &len);

	*p = (struct piece){.is_blank = cp == ' ' || cp == '\t' || cp == '\r' || cp == '\n',
		.is_break = cp == '\n'};
	if (is_text && is_mark(cp)) {
		/* left for the loop below, on a circle where there is one */
		add(p, is_shown(0x25cc) ? 0x25cc : ' ');
		len = 0;
	} else if (is_text && is_invisible(cp)) {
		return s + len;
	} else if (is_text && is_shown(cp)) {
		add(p, cp);
	} else if (is_text && stand_in(cp)) {
		p->n = p->cells = (size_t)snprintf(p->s, sizeof p->s, "%s", stand_in(cp));
		return s + len;
	} else {
		escape(p, is_text, (unsigned char)*s, cp);
		return s + len;
	}
	s += len;
	if (is_flag_letter(cp) && decode(s, &cp, &len) && is_flag_letter(cp)) {
		add(p, cp);
		s += len;
	}
	for (; decode(s, &cp, &len) && (is_mark(cp) || is_invisible(cp)); s += len)
		if (is_mark(cp) && marks++ < MARKS_MAX)
			add(p, cp);
	p->is_blank = p->is_blank && !marks;
	return s;
}

static void add_piece(struct str *out, const struct piece *p)
{
	str_add_n(out, p->s, p->n);
}

static void add_blanks(struct str *out, size_t n)
{
	while (n--)
		str_add_char(out, ' ');
}

static size_t add_ellipsis(struct str *out)
{
	str_add(out, width_of(0x2026) == 1 ? "\u2026" : "~");
	return 1;
}

size_t text_cells(const char *s)
{
	struct piece p;
	size_t cells = 0;

	while (*s) {
		s = next_piece(s, &p);
		cells += p.cells;
	}
	return cells;
}

void text_show(struct str *out, const char *s)
{
	struct piece p;

	while (*s) {
		s = next_piece(s, &p);
		add_piece(out, &p);
	}
}

size_t text_fit(struct str *out, const char *s, size_t cells)
{
	size_t used = 0, kept = 0, n = out->n, n_kept = out->n;
	struct piece p;

	if (!cells)
		return 0;
	while (*s) {
		s = next_piece(s, &p);
		if (used + p.cells > cells) {
			/* back to where the ellipsis still fits */
			if (out->s)
				out->s[out->n = n_kept] = '\0';
			return kept + add_ellipsis(out);
		}
		add_piece(out, &p);
		n += p.n;
		used += p.cells;
		if (used < cells) {
			kept = used;
			n_kept = n;
		}
	}
	return used;
}

void text_pad(struct str *out, const char *s, size_t cells, enum text_align align)
{
	struct str text = {0};
	size_t blanks = cells - text_fit(&text, s, cells);
	size_t before = align == TEXT_LEFT ? 0 : align == TEXT_RIGHT ? blanks : blanks / 2;

	add_blanks(out, before);
	str_add_n(out, str_get(&text), text.n);
	add_blanks(out, blanks - before);
	str_done(&text);
}

/* The end of the word at s, and its width.  Blanks are no part of it. */
static const char *skip_word(const char *s, size_t *ret_cells)
{
	struct piece p;

	*ret_cells = 0;
	while (*s) {
		const char *next = next_piece(s, &p);
		if (p.is_blank)
			break;
		*ret_cells += p.cells;
		s = next;
	}
	return s;
}

struct wrapper {
	struct str *out;
	size_t cells;   /* of a line */
	size_t used;    /* of this line */
	size_t blanks;  /* seen behind it, and only sent before a word */
	size_t n_lines; /* with this one */
};

static void break_line(struct wrapper *w)
{
	str_add_char(w->out, '\n');
	w->used = w->blanks = 0;
	w->n_lines++;
}

/* A word that fits into what is left, or the next line, or has to be cut. */
static void wrap_word(struct wrapper *w, const char *s, const char *end, size_t cells)
{
	bool is_first = !w->used;

	if (cells > w->cells - w->used || w->blanks > w->cells - w->used - cells) {
		if (!is_first)
			break_line(w);
		w->blanks = 0;
	}
	add_blanks(w->out, w->blanks);
	w->used += w->blanks;
	w->blanks = 0;
	while (s < end) {
		struct piece p;
		s = next_piece(s, &p);
		if (w->used + (p.cells < w->cells ? p.cells : w->cells) > w->cells)
			break_line(w);
		if (p.cells > w->cells) {
			w->used += add_ellipsis(w->out);
			continue;
		}
		add_piece(w->out, &p);
		w->used += p.cells;
	}
}

size_t text_wrap(struct str *out, const char *s, size_t cells)
{
	struct wrapper w = {.out = out, .cells = cells, .n_lines = 1};

	if (!cells)
		return 0;
	while (*s) {
		struct piece p;
		size_t word_cells;
		const char *end = skip_word(s, &word_cells);

		if (end > s) {
			wrap_word(&w, s, end, word_cells);
			s = end;
			continue;
		}
		s = next_piece(s, &p);
		if (p.is_break)
			break_line(&w);
		else
			w.blanks++;
	}
	return w.n_lines;
}

/* ---- columns ---- */

static size_t used_cells(const struct text_column *c, size_t n, size_t gap)
{
	size_t used = 0, shown = 0;

	for (size_t i = 0; i < n; i++) {
		used += c[i].cells;
		shown += c[i].cells > 0;
	}
	return shown ? used + gap * (shown - 1) : 0;
}

/* Hides the last column of the highest rank; false when only those remain that
 * are never hidden. */
static bool hide_column(struct text_column *c, size_t n)
{
	struct text_column *last = NULL;

	for (size_t i = 0; i < n; i++)
		if (c[i].cells && c[i].rank && (!last || c[i].rank >= last->rank))
			last = &c[i];
	if (last)
		last->cells = 0;
	return last != NULL;
}

/* Takes what is too much from the right; a column that vanishes gives its gap. */
static void shrink_columns(struct text_column *c, size_t n, size_t total, size_t gap)
{
	for (size_t i = n, used; i-- && (used = used_cells(c, n, gap)) > total;) {
		size_t over = used - total;
		c[i].cells = c[i].cells > over ? c[i].cells - over : 0;
	}
}

/* Shares what is left by weight, to the last cell. */
static void grow_columns(struct text_column *c, size_t n, size_t spare)
{
	size_t weights = 0;

	for (size_t i = 0; i < n; i++)
		weights += c[i].cells ? c[i].weight : 0;
	for (size_t i = 0; i < n && weights; i++) {
		size_t share = c[i].cells ? spare * c[i].weight / weights : 0;
		c[i].cells += share;
		spare -= share;
		weights -= c[i].cells ? c[i].weight : 0;
	}
}

size_t text_columns(struct text_column *columns, size_t n, size_t total, size_t gap)
{
	size_t used;

	for (size_t i = 0; i < n; i++)
		columns[i].cells = columns[i].min;
	while (used_cells(columns, n, gap) > total && hide_column(columns, n))
		;
	shrink_columns(columns, n, total, gap);
	used = used_cells(columns, n, gap);
	grow_columns(columns, n, total - used);
	return used_cells(columns, n, gap);
}

/* When column x begins with the right half of a wide character, puts a blank at
 * `blank`.  ncurses leaves halves alone whose other half is written over; it counts
 * them in the bits of a cell that hold no attribute. */
static void blank_half(WINDOW *w, int y, int x, int blank)
{
	wchar_t chars[CCHARW_MAX + 1];
	attr_t attributes;
	cchar_t cell;
	short unused;
	int pair;

	if (mvwin_wch(w, y, x, &cell) == ERR || (cell.attr & A_CHARTEXT) < 2 ||
		getcchar(&cell, chars, &attributes, &unused, &pair) == ERR)
		return;
	if (setcchar(&cell, L" ", attributes & ~A_CHARTEXT, unused, &pair) != ERR)
		(void)mvwadd_wch(w, y, blank, &cell);
}

void text_put(struct _win_st *w, int y, int x, size_t cells, const char *s)
{
	int rows = getmaxy(w), columns = getmaxx(w);
	struct str text = {0};

	if (y < 0 || y >= rows || x < 0 || x >= columns || !cells)
		return;
	if (cells > (size_t)(columns - x))
		cells = (size_t)(columns - x);
	text_pad(&text, s, cells, TEXT_LEFT);
	if ((size_t)(columns - x) > cells)
		blank_half(w, y, x + (int)cells, x + (int)cells);
	blank_half(w, y, x, x - 1);
	/* An error only says that the cursor cannot go past the last cell. */
	(void)mvwaddstr(w, y, x, str_get(&text));
	str_done(&text);
}
