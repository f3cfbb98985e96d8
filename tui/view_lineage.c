/* What a prompt came from, and what came from it. */
#include <stdio.h>
#include <string.h>

#include "library/db.h"
#include "library/lineage.h"
#include "tui/paint.h"
#include "tui/text.h"
#include "tui/ws.h"

static int load(struct ws *ws, int height, struct err *e)
{
	struct lineage_view *v = &ws->lineage;
	int rc;

	if (!v->is_stale)
		return 0;
	arena_done(&v->arena);
	v->arena = (struct arena){0};
	rc = lineage_of(ws->db, v->prompt, &v->arena, &v->rows, &v->n, e);
	list_set_count(&v->list, (int64_t)v->n);
	for (size_t i = 0; i < v->n && v->is_new; i++)
		if (v->rows[i].is_self)
			list_go(&v->list, (int64_t)i);
	v->is_stale = v->is_new = false;
	return rc;
}

static void draw_row(const struct lineage_row *r, bool is_selected, int y, int width)
{
	const enum theme_role role = is_selected  ? ROLE_ROW_SELECTED
				     : r->is_self ? ROLE_ROW_PLAYING
						  : ROLE_TEXT;
	const int indent = r->depth < 16 ? 2 * r->depth : 32;
	char n[32];

	snprintf(n, sizeof(n), "%lld take%s ", (long long)r->n_takes, r->n_takes == 1 ? "" : "s");
	paint(y, 0, width, role, "");
	paint(y, 1, 1, role, r->is_self ? ">" : "");
	paint(y, 3 + indent, width - indent - 16, role, r->text);
	paint_right(y, width - 12, 12, role, n);
}

static void draw(struct ws *ws, int height, int width)
{
	struct lineage_view *v = &ws->lineage;
	const bool has_details = height >= 6;

	list_resize(&v->list, height - 1 - 2 * has_details);
	paint(0, 0, width, ROLE_TITLE, " What it came from, and what came from it");
	for (int i = 0; i < height - 1 - 2 * has_details; i++) {
		const int64_t row = list_at(&v->list, i);

		paint(1 + i, 0, width, ROLE_TEXT, "");
		if (row >= 0)
			draw_row(&v->rows[row], row == v->list.cursor, 1 + i, width);
	}
	if (!has_details)
		return;
	paint_rule(height - 2, width);
	paint(height - 1, 0, width, ROLE_TEXT, "");
	if (v->n > 1 && v->list.cursor < (int64_t)v->n && *v->rows[v->list.cursor].changed)
		paint(height - 1, 1, width - 2, ROLE_TEXT, v->rows[v->list.cursor].changed);
	else if (v->n == 1)
		paint(height - 1, 1, width - 2, ROLE_DIM,
			"It was typed as it is, and nothing has been made of it yet.");
}

static struct list *list_of(struct ws *ws)
{
	return &ws->lineage.list;
}

static size_t targets(struct ws *ws, struct arena *a, const int64_t **ret)
{
	const struct lineage_view *v = &ws->lineage;
	int64_t *id = ARENA_ARRAY(a, int64_t, 1);

	*ret = id;
	if (v->list.cursor < (int64_t)v->n)
		*id = v->rows[v->list.cursor].take;
	return *id != 0;
}

const struct view view_lineage = {.name = "lineage",
	.tab = "",
	.hints = "Enter its newest take  j k move  q back  ? keys",
	.load = load,
	.draw = draw,
	.list = list_of,
	.targets = targets,
	.heads = 1};

/* ---- commands ----------------------------------------------------------- */

static void do_lineage(struct ws *ws, const char *args)
{
	const struct take *t;

	if (!library_now(ws))
		return;
	t = view_library_selected(ws);
	if (!t) {
		ws_refuse(ws, "there is no take here");
		return;
	}
	ws->lineage.prompt = t->prompt_id;
	ws->lineage.is_stale = ws->lineage.is_new = true;
	ws_show(ws, SCREEN_LINEAGE);
}

/* The newest take of the prompt under the cursor, in the library. */
static void do_open_relative(struct ws *ws, const char *args)
{
	const struct lineage_view *v = &ws->lineage;

	if (v->list.cursor >= (int64_t)v->n)
		return;
	if (!v->rows[v->list.cursor].take)
		ws_say(ws, "this prompt has no take");
	else
		library_show_take(ws, v->rows[v->list.cursor].take);
}

static const struct command commands[] = {
	{"lineage", "", "what the take came from, and what came from it", do_lineage, false},
	{"open-relative", "", "go to the newest take of this prompt", do_open_relative, false},
};

static const struct binding bindings[] = {
	{1 << SCREEN_LIBRARY, "gl", "lineage"},
	{1 << SCREEN_LINEAGE, "<Enter>", "open-relative"},
};

const struct command_table commands_lineage = COMMAND_TABLE(commands, bindings);
