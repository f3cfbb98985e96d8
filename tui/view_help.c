/* The keys and commands of the screen from which help was asked. */
#include "tui/paint.h"
#include "tui/ws.h"

void view_help_draw(struct ws *ws, int y, int height, int width)
{
	struct help_view *v = &ws->help;
	const struct help_line *lines;
	struct arena a = {0};
	size_t n = commands_help(v->of, &a, &lines);

	list_set_count(&v->list, (int64_t)n);
	list_resize(&v->list, height - 1);
	paint(y, 0, width, ROLE_TITLE, " Keys and commands");
	for (int i = 0; i + 1 < height; i++) {
		int64_t row = list_at(&v->list, i);
		enum theme_role role = row == v->list.cursor ? ROLE_ROW_SELECTED : ROLE_TEXT;

		paint(y + 1 + i, 0, width, row < 0 ? ROLE_TEXT : role, "");
		if (row < 0)
			continue;
		paint(y + 1 + i, 1, 16, role, lines[row].keys);
		paint(y + 1 + i, 18, 18, role, lines[row].command);
		paint(y + 1 + i, 37, width - 38, role, lines[row].text);
	}
	arena_done(&a);
}
