/* What the screens are drawn with. */
#include "tui/paint.h"

#include <curses.h>
#include <math.h>

#include "library/base/str.h"
#include "tui/colors.h"
#include "tui/text.h"

static struct colors *the;
static struct rect in;

void paint_with(struct colors *c)
{
	the = c;
}

void paint_in(const struct rect *r)
{
	in = *r;
}

/* What of `width` cells lies within; less than 1: nothing. */
static int clip(int y, int x, int width)
{
	if (y < 0 || y >= in.height || x < 0)
		return 0;
	return width < in.width - x ? width : in.width - x;
}

void paint(int y, int x, int width, enum theme_role role, const char *text)
{
	width = clip(y, x, width);
	if (width < 1)
		return;
	colors_set(the, stdscr, role);
	text_put(stdscr, in.y + y, in.x + x, (size_t)width, text);
}

void paint_right(int y, int x, int width, enum theme_role role, const char *text)
{
	struct str padded = {0};

	if (width < 1)
		return;
	text_pad(&padded, text, (size_t)width, TEXT_RIGHT);
	paint(y, x, width, role, str_get(&padded));
	str_done(&padded);
}

void paint_rule(int y, int width)
{
	width = clip(y, 0, width);
	if (width < 1)
		return;
	colors_set(the, stdscr, ROLE_BORDER);
	mvhline(in.y + y, in.x, ACS_HLINE, width);
}

void paint_bar(int y, int x, int width, double share)
{
	int done;

	width = clip(y, x, width);
	done = (int)lround(share * width);
	done = done < 0 ? 0 : done > width ? width : done;
	colors_set(the, stdscr, ROLE_PROGRESS);
	for (int i = 0; i < width; i++) {
		if (i == done)
			colors_set(the, stdscr, ROLE_PROGRESS_REST);
		mvaddch(in.y + y, in.x + x + i, i < done ? ACS_CKBOARD : ACS_HLINE);
	}
}
