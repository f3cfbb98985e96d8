/* What the screens are drawn with. */
#include "tui/paint.h"

#include <curses.h>
#include <math.h>

#include "library/base/str.h"
#include "tui/colors.h"
#include "tui/text.h"

static struct colors *the;

void paint_with(struct colors *c)
{
	the = c;
}

void paint(int y, int x, int width, enum theme_role role, const char *text)
{
	if (width < 1)
		return;
	colors_set(the, stdscr, role);
	text_put(stdscr, y, x, (size_t)width, text);
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
	colors_set(the, stdscr, ROLE_BORDER);
	mvhline(y, 0, ACS_HLINE, width);
}

void paint_bar(int y, int x, int width, double share)
{
	int done = (int)lround(share * width);

	done = done < 0 ? 0 : done > width ? width : done;
	colors_set(the, stdscr, ROLE_PROGRESS);
	for (int i = 0; i < width; i++) {
		if (i == done)
			colors_set(the, stdscr, ROLE_PROGRESS_REST);
		mvaddch(y, x + i, i < done ? ACS_CKBOARD : ACS_HLINE);
	}
}
