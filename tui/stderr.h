/* stderr.h: file descriptor 2, lent to libraries that print there. */
#ifndef WOODSHED_TUI_STDERR_H
#define WOODSHED_TUI_STDERR_H

/* What goes to stderr goes to fd from now on; fd < 0: nowhere.  Returns what
 * stderr_return() needs, -1 when nothing was changed.  Pairs may nest. */
int stderr_divert(int fd);
/* Makes it what it was, and *saved -1; nothing when that is -1 already. */
void stderr_return(int *saved);

#endif
