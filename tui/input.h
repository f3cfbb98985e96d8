/* input.h: the line that is typed at the foot: a command, a filter, an answer.
 * Private to the workstation. */
#ifndef WOODSHED_TUI_INPUT_H
#define WOODSHED_TUI_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "library/base/str.h"
#include "tui/complete.h"
#include "tui/history.h"
#include "tui/line_edit.h"

struct ws;

/* What else there is to a line than its text. */
struct input {
	struct history history; /* of the `:` line */
	struct str draft;       /* what was typed before one looked into it */
	struct words words;     /* that Tab offers; none before it */
	size_t word;            /* the one that stands in the line */
	size_t word_from;       /* bytes before it */
	struct str question, command;
	struct str opened,
		emptied; /* as ws_input_words() has them; opened empty: it was not that */
};

/* What stands before the text; NULL: nobody types. */
const char *input_mark(const struct ws *ws);
const char *input_hints(const struct ws *ws);
/* Paints the text from column x of line 0, so that the cursor is seen. */
void input_show(struct ws *ws, int x, int width);
/* Its column, of the last input_show(). */
int input_cursor(const struct ws *ws);

void input_key(struct ws *ws, uint32_t key);
/* Takes it as if by Enter, or leaves all as it was. */
void input_end(struct ws *ws, bool accept);

void input_close(struct ws *ws);

#endif
