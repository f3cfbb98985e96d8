/* paint.h: what the screens are drawn with: texts and bars in a rectangle of
 * the one screen, in the roles of a theme. */
#ifndef WOODSHED_TUI_PAINT_H
#define WOODSHED_TUI_PAINT_H

#include "tui/theme.h"

struct colors;

/* Cells of the screen. */
struct rect {
	int y, x, height, width;
};

/* c: for the calls below, until the next; NULL: none. */
void paint_with(struct colors *c);
/* Below, lines and columns count from the corner of this rectangle, and nothing is
 * painted outside it; until the next call. */
void paint_in(const struct rect *r);

/* Exactly `width` cells at line y, column x; nothing when width < 1. */
void paint(int y, int x, int width, enum theme_role role, const char *text);
void paint_right(int y, int x, int width, enum theme_role role, const char *text);
/* A rule. */
void paint_rule(int y, int width);
/* A bar of `width` cells, `share` (0 to 1) of it done. */
void paint_bar(int y, int x, int width, double share);

#endif
