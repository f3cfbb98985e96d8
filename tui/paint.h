/* paint.h: what the screens are drawn with: texts and bars in a rectangle of
 * the one screen, in the roles of a theme. */
#ifndef WOODSHED_TUI_PAINT_H
#define WOODSHED_TUI_PAINT_H

#include <stdbool.h>
#include <stdint.h>

#include "library/colormap.h"
#include "tui/layout.h"
#include "tui/theme.h"

struct colors;

/* c: for the calls below, until the next; NULL: none.  is_plain: neither rules nor
 * bars, which are noise to those who read by ear. */
void paint_with(struct colors *c, bool is_plain);
/* Below, lines and columns count from the corner of this rectangle, and nothing is
 * painted outside it; until the next call. */
void paint_in(const struct rect *r);
/* The lines above that one are not seen: it stands at the rectangle's top. */
void paint_from(int line);
/* Whether keys go to what is painted: without, ROLE_ROW_SELECTED becomes
 * ROLE_ROW_SELECTED_UNFOCUSED.  paint_in() says yes. */
void paint_focused(bool is_focused);

/* Exactly `width` cells at line y, column x; nothing when width < 1. */
void paint(int y, int x, int width, enum theme_role role, const char *text);
void paint_right(int y, int x, int width, enum theme_role role, const char *text);
/* The text and behind it the tail, of which the text alone is cut. */
void paint_tailed(
	int y, int x, int width, enum theme_role role, const char *text, const char *tail);
/* The text in as many of `height` lines as it needs, broken at blanks; the last is cut where
 * it does not fit.  Lines it does not need stay as they are. */
void paint_lines(int y, int x, int height, int width, enum theme_role role, const char *text);
/* A rule; an upright one, from line 0 down. */
void paint_rule(int y, int width);
void paint_upright(int x, int height);
/* A bar of `width` cells, `share` (0 to 1) of it done. */
void paint_bar(int y, int x, int width, double share);
/* The same of a level, in the theme's colours for meters: the quiet one up to `calm` of
 * the width, then evenly to the loud one. */
void paint_meter(int y, int x, int width, double share, double calm);

/* Whether signs may be more than ASCII: the locale has them, and nobody hears the screen. */
bool paint_is_utf8(void);
/* A cell of a picture, two levels above each other: a half block in the colours of
 * a map, or, with fewer than 256 colours, the character for the greater one. */
void paint_levels(int y, int x, enum colormap map, uint8_t upper, uint8_t lower);
/* The same of two by two levels (the upper ones first, the left ones first) in the two
 * colours that are nearest to all four. */
void paint_quadrants(int y, int x, enum colormap map, const uint8_t levels[4]);
/* The character for a level, whatever the terminal can do. */
void paint_shade(int y, int x, uint8_t level);

#endif
