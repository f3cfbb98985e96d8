/* What a chord that was begun may go on with. */
#include "tui/paint.h"
#include "tui/text.h"
#include "tui/ws.h"

/* Its lines, as many as there is room for, below a title; their number, 0: it is not
 * shown. */
static int lines_of(const struct ws *ws, struct arena *a, const struct help_line **ret)
{
	const int room = ws->frame.layout.now.y - 2;
	int n;

	if (!ws->has_menu || ws->frame.layout.kind < LAYOUT_PANE)
		return 0;
	n = (int)commands_goes_on(ws, a, ret);
	return n < room ? n : room;
}

bool menu_press(struct ws *ws, int y)
{
	const struct help_line *lines;
	struct arena a = {0};
	const int n = lines_of(ws, &a, &lines), at = y - (ws->frame.layout.now.y - n);
	struct chord c;
	const bool goes_on = at >= 0 && at < n && !chord_parse(lines[at].keys, &c, NULL);

	for (int i = 0; goes_on && i < c.n; i++)
		ws_key(ws, c.keys[i]);
	if (!goes_on)
		commands_leave_chord(ws);
	arena_done(&a);
	return goes_on;
}

void menu_draw(struct ws *ws)
{
	const struct layout *l = &ws->frame.layout;
	const struct help_line *lines;
	struct arena a = {0};
	int height = lines_of(ws, &a, &lines) + 1;
	struct str typed = {0};

	if (height < 2) {
		arena_done(&a);
		return;
	}
	paint_in(&(struct rect){l->now.y - height, 0, height, l->now.width});
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
