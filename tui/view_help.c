/* The keys and commands of the screen from which help was asked. */
#include "tui/paint.h"
#include "tui/ws.h"

static struct list *list_of(struct ws *ws)
{
	return &ws->help.list;
}

static void draw_row(const struct help_line *line, int y, int width, enum theme_role role)
{
	paint(y, 0, width, role, "");
	paint(y, 1, 16, role, line->keys);
	paint(y, 18, 18, role, line->command);
	paint(y, 37, width - 38, role, line->text);
}

static void draw(struct ws *ws, int height, int width)
{
	struct help_view *v = &ws->help;
	const struct help_line *lines;
	struct arena a = {0};
	size_t n = commands_help(v->of, &a, &lines);

	list_set_count(&v->list, (int64_t)n);
	list_resize(&v->list, height - 1);
	paint(0, 0, width, ROLE_TITLE, " Keys and commands");
	for (int i = 0; i + 1 < height; i++) {
		int64_t row = list_at(&v->list, i);

		if (row < 0)
			paint(1 + i, 0, width, ROLE_TEXT, "");
		else
			draw_row(&lines[row], 1 + i, width,
				row == v->list.cursor ? ROLE_ROW_SELECTED : ROLE_TEXT);
	}
	arena_done(&a);
}

const struct view view_help = {.name = "help",
	.tab = "? Keys",
	.hints = "q back",
	.draw = draw,
	.list = list_of,
	.heads = 1};
