/* text_edit.h: a text of several lines while it is typed, or one line of it: with
 * undo, and wrapped to the cells it is shown in. */
#ifndef WOODSHED_TUI_TEXT_EDIT_H
#define WOODSHED_TUI_TEXT_EDIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tui/line_edit.h"

struct arena;

enum { TEXT_EDIT_UNDO_MAX = 200 };

struct text_edit {
	struct line_edit line;
	struct {
		struct text_state {
			char *text;
			size_t at;
		} * at; /* oldest first */
		size_t n, cap;
	} before, after; /* what undo, and what redo brings back; owned */
	bool is_typing;  /* the next character belongs to the step of the last one */
};

/* As if it had always been so: there is nothing to undo.  Cursor at its end. */
void text_edit_reset(struct text_edit *t, const char *text);
/* A change like others. */
void text_edit_set(struct text_edit *t, const char *text);
const char *text_edit_get(const struct text_edit *t);

/* line_edit_key(), and Enter puts a line break in where there are lines.  What is
 * typed up to a blank is one step of undo.  False when nothing changed. */
bool text_edit_key(struct text_edit *t, uint32_t key);
/* At the cursor, as one step; line breaks are blanks where there are no lines.
 * False when not all of it had room. */
bool text_edit_paste(struct text_edit *t, const char *text, size_t n);
/* Instead of the bytes from `from` to the cursor. */
void text_edit_replace(struct text_edit *t, size_t from, const char *text);
/* False when there is nothing to undo, or to do again. */
bool text_edit_undo(struct text_edit *t);
bool text_edit_redo(struct text_edit *t);
void text_edit_done(struct text_edit *t);

/* The bytes of a line on the screen, without the line break. */
struct text_line {
	size_t from, to;
};

/* The text wrapped to lines of `cells` cells, at blanks, and in the middle of words
 * that are longer; a blank that does not fit hangs over the end.  At least one line.
 * In the arena. */
size_t text_edit_wrap(
	const struct text_edit *t, size_t cells, struct arena *a, struct text_line **ret);
/* The line of the cursor, and the cells before it there. */
size_t text_edit_cursor(
	const struct text_edit *t, const struct text_line *lines, size_t n, size_t *ret_cells);
/* To the line above (-1) or below (1), as near to the same cell as may be; false at
 * the first or last line. */
bool text_edit_vertical(struct text_edit *t, size_t cells, int by);
/* To the character at a cell of a line, or the last before it. */
void text_edit_point(struct text_edit *t, size_t cells, size_t line, size_t column);

#endif
