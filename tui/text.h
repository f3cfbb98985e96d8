/* text.h: text in the cells of a terminal.
 *
 * Texts are UTF-8 of any origin and end in NUL; what comes out is safe to send
 * and as wide as it says.  A character is a code point with the marks on it, or a
 * flag; one rule decides about each code point, by libc's wcwidth() in the current locale:
 *
 *	wcwidth > 0	shown
 *	wcwidth 0	a mark on the character before, up to 4 of them; one that
 *			has none before it stands on a dotted circle
 *	invisible	left out: joiners, variation selectors, colours of skin, marks
 *			of direction.  Terminals differ in how wide they draw with them.
 *	anything else	escaped, as one character: ^[ for controls, \xff for bytes
 *			that are no UTF-8, \u{202e} for what is unassigned, changes
 *			the direction of text, or does not exist in the locale; but for
			signs of our own texts, which have another there: - for a dot
 *
 * Locales other than C.UTF-8 and the like show more of it escaped. */
#ifndef WOODSHED_TUI_TEXT_H
#define WOODSHED_TUI_TEXT_H

#include <stddef.h>

struct str;
struct _win_st; /* WINDOW of curses.h, which only text_put() needs */

enum text_align { TEXT_LEFT, TEXT_RIGHT, TEXT_CENTRE };

/* Cells of the text as it is shown. */
size_t text_cells(const char *s);

/* Adds the text as it is shown, all of it.  Shown once more it stays the same. */
void text_show(struct str *out, const char *s);

/* Adds the text when it has at most `cells` cells, else as many characters as fit
 * before an ellipsis ('~' where the locale has none).  Returns the cells added. */
size_t text_fit(struct str *out, const char *s, size_t cells);

/* text_fit() with blanks around it: exactly `cells` cells. */
void text_pad(struct str *out, const char *s, size_t cells, enum text_align align);

/* Adds the text in lines of at most `cells` cells, with '\n' between them, and
 * returns how many: broken at blanks, which are not kept there, in the middle of
 * words that are longer, and at every newline.  A character wider than a line
 * becomes an ellipsis.  No lines in 0 cells. */
size_t text_wrap(struct str *out, const char *s, size_t cells);

/* A column of a table: at least `min` cells, and a share of what is left. */
struct text_column {
	size_t min;      /* > 0 */
	unsigned weight; /* its share; 0: a fixed column */
	unsigned rank;   /* where it gets tight, the highest is hidden first; 0: never */
	size_t cells;    /* the result; 0: hidden */
};

/* Widths for a line of `total` cells with `gap` cells between columns.  Columns of
 * one rank go from the right.  When those of rank 0 do not fit either they shrink,
 * from the right, to nothing.  Returns the cells used with gaps, at most `total`;
 * all of them when a flexible column is shown. */
size_t text_columns(struct text_column *columns, size_t n, size_t total, size_t gap);

/* Draws the text at row y, column x of a window over exactly `cells` cells, in the
 * window's current attributes; what lies outside of the window is cut off.  Texts
 * need not be prepared. */
void text_put(struct _win_st *w, int y, int x, size_t cells, const char *s);

#endif
