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
	size_t at; /* bytes before the cursor */
};

void line_edit_set(struct line_edit *l, const char *text); /* cursor at its end */
/* Control characters are left out; false when the line is full. */
bool line_edit_insert(struct line_edit *l, uint32_t code_point);

enum line_edit_action {
	LINE_LEFT,
	LINE_RIGHT,
	LINE_START,
	LINE_END,
	LINE_BACKSPACE,
	LINE_DELETE,
	LINE_DELETE_WORD,  /* back to the blank before the word, as ^W */
	LINE_DELETE_START, /* all before the cursor, as ^U */
	LINE_DELETE_END,   /* all behind it, as ^K */
};
/* False when nothing changed. */
bool line_edit_do(struct line_edit *l, enum line_edit_action action);
void line_edit_done(struct line_edit *l);

#endif
