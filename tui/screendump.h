/* screendump.h: the screen as a text, for tests and for whoever reports a fault. */
#ifndef WOODSHED_TUI_SCREENDUMP_H
#define WOODSHED_TUI_SCREENDUMP_H

struct err;
struct str;

/* Adds what the screen holds: a line each, without blanks at the end that look like
 * nothing; with_colors: SGR sequences where colours or attributes change, and SGR 0 at
 * the end of a line that has any.  Lines drawn by curses are box-drawing characters. */
void screendump(struct str *out, int with_colors);

/* The same into a file, whole or not at all. */
int screendump_write(const char *path, struct err *e);

#endif
