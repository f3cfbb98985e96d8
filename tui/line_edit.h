/* line_edit.h: a line of text while it is typed: the filter, the `:` line, a
 * prompt.  UTF-8; the cursor stands before a code point, and steps over what
 * combines with the one before as over one. */
#ifndef WOODSHED_TUI_LINE_EDIT_H
#define WOODSHED_TUI_LINE_EDIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "library/base/str.h"

enum { LINE_EDIT_BYTES_MAX = 4096 };

struct line_edit {
	struct str text;
	size_t at;      /* bytes before the cursor */
	size_t max;     /* bytes it may have; 0: LINE_EDIT_BYTES_MAX */
	bool has_lines; /* '\n' is a character like others; START and END are the line's */
};

void line_edit_set(struct line_edit *l, const char *text); /* cursor at its end */
/* Control characters are left out; false when the line is full. */
bool line_edit_insert(struct line_edit *l, uint32_t code_point);

enum line_edit_action {
	LINE_LEFT,
	LINE_RIGHT,
	LINE_START,
	LINE_END,
	LINE_WORD_LEFT, /* to where a word begins */
	LINE_WORD_RIGHT,
	LINE_BACKSPACE,
	LINE_DELETE,
	LINE_DELETE_WORD,  /* back to the blank before the word, as ^W */
	LINE_DELETE_START, /* all of the line before the cursor, as ^U */
	LINE_DELETE_END,   /* all of it behind the cursor, as ^K */
};
/* False when nothing changed. */
bool line_edit_do(struct line_edit *l, enum line_edit_action action);
/* The key that was typed: characters are put in, and arrows, Home, End, Backspace,
 * Del, ^A ^E ^D ^W ^U ^K do what they do in shells.  False when nothing changed. */
bool line_edit_key(struct line_edit *l, uint32_t key);
/* Where the character at byte `at` ends, with all that combines with it. */
size_t line_edit_next(const struct line_edit *l, size_t at);
void line_edit_done(struct line_edit *l);

#endif
