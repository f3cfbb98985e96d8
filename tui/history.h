/* history.h: lines that were typed, the oldest first, and the file that keeps them. */
#ifndef WOODSHED_TUI_HISTORY_H
#define WOODSHED_TUI_HISTORY_H

#include <stddef.h>

enum { HISTORY_MAX = 500 };

struct history {
	const char *path; /* borrowed; NULL: nothing is kept */
	char **at;        /* owned */
	size_t n, cap;
	size_t place; /* while one looks through it; n: below the newest */
};

/* Reads the newest of the file; what cannot be read is not there. */
void history_open(struct history *h, const char *path);
/* Adds a line, unless it is the one before; to the file at once.  History that
 * cannot be written is history of this time only. */
void history_add(struct history *h, const char *line);
/* The line before or after the one looked at last that begins with `prefix`; NULL:
 * there is none further. */
const char *history_step(struct history *h, int by, const char *prefix);
void history_close(struct history *h);

#endif
