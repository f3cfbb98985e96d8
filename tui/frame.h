/* frame.h: the screen as a whole: tabs, panes, what is played, the lines at the
 * foot; and what of it a click meets.  Private to the workstation. */
#ifndef WOODSHED_TUI_FRAME_H
#define WOODSHED_TUI_FRAME_H

#include <stdbool.h>
#include <stdint.h>

#include "tui/layout.h"

struct ws;

enum { FRAME_TABS_MAX = 16, FRAME_HINTS_MAX = 16 };

/* Cells of one line, `to` not among them. */
struct span {
	int from, to;
};

/* What was drawn where, for clicks. */
struct frame {
	struct layout layout;
	int shown[LAYOUT_PANES_MAX]; /* enum ws_screen of each pane */
	int top[LAYOUT_PANES_MAX];   /* its first line that is seen */
	struct span tabs[FRAME_TABS_MAX], bar, volume;
	struct {
		struct span at;
		char keys[16]; /* as chord_parse() reads them */
	} hints[FRAME_HINTS_MAX];
	int n_hints;
	const char *hints_of; /* the text that they were drawn from */
};

/* Draws what is dirty of the workstation. */
void frame_draw(struct ws *ws);
/* Reads what that would show, and no more: what a key does is done to that. */
void frame_load(struct ws *ws);
/* The screens (enum ws_screen) between which the focus moves, the one at the left first; how many.
 */
int frame_panes(const struct ws *ws, int shown[LAYOUT_PANES_MAX]);

enum frame_part {
	FRAME_NOTHING,
	FRAME_TAB,  /* screen */
	FRAME_PANE, /* screen; row */
	FRAME_BAR,
	FRAME_VOLUME, /* the wheel turns it */
	FRAME_HINT,   /* keys */
};
struct frame_hit {
	enum frame_part part;
	int screen;       /* enum ws_screen */
	int64_t row;      /* of its list; -1: none */
	const char *keys; /* until the next drawing */
};
struct frame_hit frame_at(struct ws *ws, int y, int x);

/* For panes in which something moves while sound is played: lets them tell what is
 * dirty (view.tick), and how often the most eager wants that, in milliseconds. */
void frame_tick(struct ws *ws, bool is_awake);
int frame_wait_ms(const struct ws *ws);

#endif
