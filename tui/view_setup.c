/* Settings: what they are, and where woodshed keeps things. */
#include <stdio.h>
#include <string.h>

#include "tui/colors.h"
#include "tui/paint.h"
#include "tui/ws.h"

enum { NAME_WIDTH = 16, VALUE_WIDTH = 16, FACTS = 6 };

static struct list *list_of(struct ws *ws)
{
	return &ws->setup;
}

static void draw_row(
	const struct ws *ws, const struct setting *s, int y, int width, enum theme_role role)
{
	const bool is_broken = ws->is_theme_broken && !strcmp(s->name, "theme");
	struct str value = {0}, more = {0};
	int x = 2 + NAME_WIDTH + VALUE_WIDTH;

	settings_get(&ws->settings, s, &value);
	settings_bounds(s, &more);
	paint(y, 0, width, role, "");
	paint(y, 1, NAME_WIDTH, role, s->name);
	paint(y, 1 + NAME_WIDTH, VALUE_WIDTH, role, str_get(&value));
	if (width >= 110)
		paint(y, width - 25, 24, role, str_get(&more));
	paint(y, x, (width >= 110 ? width - 26 : width) - x - 1, is_broken ? ROLE_ERROR : role,
		is_broken ? "cannot be used, the default is; r says why" : s->help);
	str_done(&value);
	str_done(&more);
}

static void draw_fact(int y, int width, const char *name, const char *value)
{
	paint(y, 0, width, ROLE_TEXT, "");
	paint(y, 1, NAME_WIDTH, ROLE_DIM, name);
	paint(y, 1 + NAME_WIDTH, width - NAME_WIDTH - 2, ROLE_DIM, value);
}

static void draw_facts(const struct ws *ws, int y, int width)
{
	static const char *const levels[] = {"none", "8", "16", "256", "true colour"};

	paint_rule(y, width);
	draw_fact(y + 1, width, "library", ws->library);
	draw_fact(y + 2, width, "model", ws->model ? ws->model : "none is installed");
	draw_fact(y + 3, width, "settings", ws->config ? ws->config : "nowhere");
	draw_fact(y + 4, width, "themes", ws->theme_dirs.own ? ws->theme_dirs.own : "nowhere");
	draw_fact(y + 5, width, "colours", levels[colors_level_of(ws->colors)]);
}

static int count(void)
{
	int n = 0;

	while (settings_at((size_t)n))
		n++;
	return n;
}

static void draw(struct ws *ws, int height, int width)
{
	struct list *l = &ws->setup;
	const bool has_facts = height > count() + FACTS;

	list_set_count(l, count());
	list_resize(l, height - 1 - (has_facts ? FACTS : 0));
	paint(0, 0, width, ROLE_TITLE, " Setup");
	for (int i = 0; i < (int)l->height; i++) {
		int64_t row = list_at(l, i);

		paint(1 + i, 0, width, ROLE_TEXT, "");
		if (row >= 0)
			draw_row(ws, settings_at((size_t)row), 1 + i, width,
				row == l->cursor ? ROLE_ROW_SELECTED : ROLE_TEXT);
	}
	if (has_facts)
		draw_facts(ws, height - FACTS, width);
}

const struct view view_setup = {.name = "setup",
	.tab = "6 Setup",
	.hints = "Enter change  x default  w save  r reload  ^T next theme  q back  ? keys",
	.draw = draw,
	.list = list_of,
	.heads = 1};
