/* draft_file.h: a text that is kept while it is typed, in a file.
 *
 * A thread writes what was put last, a moment after, whole or not at all and synced
 * (line_write()); whoever types never waits for a disk.  Nothing runs while nothing
 * is put. */
#ifndef WOODSHED_TUI_DRAFT_FILE_H
#define WOODSHED_TUI_DRAFT_FILE_H

#include <stdbool.h>

struct draft_file;
struct err;

enum { DRAFT_FILE_DELAY_MS = 300 };

int draft_file_open(const char *path, struct draft_file **ret, struct err *e);
/* One line; copied. */
void draft_file_put(struct draft_file *f, const char *line);
/* Whether it could not be written since the last call, and why. */
bool draft_file_has_failed(struct draft_file *f, struct err *e);
/* Writes what was put.  NULL-safe. */
void draft_file_close(struct draft_file *f);

#endif
