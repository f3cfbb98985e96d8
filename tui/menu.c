/* What a chord that was begun may go on with. */
#include "tui/paint.h"
#include "tui/text.h"
#include "tui/ws.h"

void menu_draw(struct ws *ws)
{
	const struct layout *l = &ws->frame.layout;
	const struct help_line *lines;
	struct arena a = {0};
	int n, height, end = l->now.y;
	struct str typed = {0};

	if (!ws->has_menu || l->kind < LAYOUT_PANE)
		return;
	n = (int)commands_goes_on(ws, &a, &lines);
	height = n + 1 < end - 1 ? n + 1 : end - 1;
	paint_in(&(struct rect){end - height, 0, height, l->now.width});
	chord_format(&ws->typed, &typed);
	paint(0, 0, l->now.width, ROLE_TITLE, "");
	paint(0, 1, l->now.width - 1, ROLE_TITLE, str_get(&typed));
	for (int i = 0; i + 1 < height; i++) {
		paint(1 + i, 0, l->now.width, ROLE_TEXT, "");
		paint(1 + i, 1, 10, ROLE_HINT_KEY, lines[i].keys);
		paint(1 + i, 12, 20, ROLE_TEXT, lines[i].command);
		paint(1 + i, 33, l->now.width - 34, ROLE_DIM, lines[i].text);
	}
	str_done(&typed);
	arena_done(&a);
}
