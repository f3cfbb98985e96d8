/* editor.h: a text in the user's own editor, which has the terminal meanwhile. */
#ifndef WOODSHED_TUI_EDITOR_H
#define WOODSHED_TUI_EDITOR_H

struct err;
struct str;

enum { EDITOR_BYTES_MAX = 1 << 20 };

/* command: $VISUAL or $EDITOR, a program and its options in words; NULL: vi.  No
 * shell reads it.  The text goes through a file in `folder`, for this user alone,
 * that is removed afterwards.  An editor that ends with an error, or cannot be
 * started, changes nothing: ERR_IO or ERR_CANCELLED. */
int editor_run(
	const char *command, const char *folder, const char *text, struct str *out, struct err *e);

#endif
