/* layout.h: where on a terminal of some size things stand: a function of the size
 * and nothing else, which the tests walk from 1x1 to 250x80. */
#ifndef WOODSHED_TUI_LAYOUT_H
#define WOODSHED_TUI_LAYOUT_H

/* Cells of the screen. */
struct rect {
	int y, x, height, width;
};

/* What there is room for, from the least. */
enum layout_kind {
	LAYOUT_LINE,    /* one line: what is typed or said, else what is played */
	LAYOUT_NOW,     /* from 20x3: rows of the list, what is played, a line */
	LAYOUT_PANE,    /* from 40x10: tabs, one screen without details, hints */
	LAYOUT_SCREEN,  /* from 80x24: one screen whole */
	LAYOUT_COLUMNS, /* from 120x30: a screen at the left, others beside it */
};

enum { LAYOUT_PANES_MAX = 4 };

/* Parts that are not there have no height.  The parts that are there cover no cell
 * twice; from LAYOUT_NOW on they leave no cell out. */
struct layout {
	enum layout_kind kind;
	struct rect tabs, now, message, hints;
	struct rect panes[LAYOUT_PANES_MAX]; /* [0]: the screen; then from top to bottom */
	struct rect rules[LAYOUT_PANES_MAX]; /* [i]: the line above pane i; [0]: the upright one */
	int n_panes;                         /* 0 only in LAYOUT_LINE */
};

/* n_beside: panes that are wanted in the second column, at most
 * LAYOUT_PANES_MAX - 1; with none, or without room for two columns, there is one. */
struct layout layout_of(int lines, int columns, int n_beside);

#endif
