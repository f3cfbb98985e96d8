/* Where things stand. */
#include "tui/layout.h"

#include <stddef.h>

enum { LOWER_PANE_MIN = 8, LOWER_PANE_SHARE = 4 /* a quarter of the column */ };

static enum layout_kind kind_of(int lines, int columns)
{
	static const struct {
		int lines, columns;
	} least[] = {
		[LAYOUT_NOW] = {3, 20},
		[LAYOUT_PANE] = {10, 40},
		[LAYOUT_SCREEN] = {24, 80},
		[LAYOUT_COLUMNS] = {30, 120},
	};
	int kind = LAYOUT_COLUMNS;

	while (kind > LAYOUT_LINE && (lines < least[kind].lines || columns < least[kind].columns))
		kind--;
	return (enum layout_kind)kind;
}

static struct rect take_lines(int *y, int height, int width)
{
	struct rect r = {*y, 0, height, width};

	*y += height;
	return r;
}

/* The first of the column takes what the others leave. */
static void divide(struct layout *l, int n)
{
	const struct rect body = l->panes[0];
	const int left = (body.width - 1) / 2, x = left + 1, width = body.width - x;
	int end = body.y + body.height, low = body.height / LOWER_PANE_SHARE;

	low = low < LOWER_PANE_MIN ? LOWER_PANE_MIN : low;
	if (n > body.height / (low + 1))
		n = body.height / (low + 1);
	l->panes[0].width = left;
	l->rules[0] = (struct rect){body.y, left, body.height, 1};
	for (int i = n; i > 0; i--) {
		int height = i == 1 ? end - body.y : low;

		l->panes[i] = (struct rect){end - height, x, height, width};
		end -= height;
		if (i > 1)
			l->rules[i] = (struct rect){--end, x, 1, width};
	}
	l->n_panes = 1 + n;
}

struct layout layout_of(int lines, int columns, int n_beside)
{
	struct layout l = {.kind = kind_of(lines, columns)};
	const int has_frame = l.kind >= LAYOUT_PANE;
	int y = 0;

	if (l.kind == LAYOUT_LINE) {
		l.message = (struct rect){0, 0, 1, columns};
		return l;
	}
	l.tabs = take_lines(&y, has_frame, columns);
	l.panes[0] = take_lines(&y, lines - 2 - 2 * has_frame, columns);
	l.now = take_lines(&y, 1, columns);
	l.message = take_lines(&y, 1, columns);
	l.hints = take_lines(&y, has_frame, columns);
	l.n_panes = 1;
	if (l.kind == LAYOUT_COLUMNS && n_beside > 0)
		divide(&l, n_beside < LAYOUT_PANES_MAX ? n_beside : LAYOUT_PANES_MAX - 1);
	return l;
}
