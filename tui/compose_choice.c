/* Choosing a model on Compose: the list of those there are. */
#include <string.h>

#include "library/base/arena.h"
#include "library/base/err.h"
#include "tui/paint.h"
#include "tui/terminal.h"
#include "tui/text.h"
#include "tui/view_compose.h"
#include "tui/ws.h"

enum { NAME = 24, SIZE = 8, COLUMN = 15 }; /* columns */

enum { CTRL_L = 12 };

/* ---- drawing ------------------------------------------------------------ */

static const char *installed_sign(void)
{
	return paint_is_utf8() ? "\u2713" : "*";
}

/* Whether it is installed; columns from the right, those that matter least first to go. */
static void draw_model_row(const struct compose_model *m, int y, int width, enum theme_role role)
{
	struct str text = {0};
	int x = 1 + NAME;
	char size[16];

	paint(y, 0, width, role, "");
	paint(y, 1, 1, role, m->is_installed ? installed_sign() : "");
	paint(y, 3, x - 3 < width - 4 ? x - 3 : width - 4, role, m->name);
	if (width < x + 2 * COLUMN)
		return;
	paint_right(y, x, SIZE, role, format_bytes(m->bytes, size));
	x += SIZE + 2;
	compose_model_rate(m, &text);
	paint(y, x, COLUMN, role, str_get(&text));
	x += COLUMN + 1;
	str_clear(&text);
	compose_model_length(m, &text);
	paint(y, x, COLUMN - 1, role, str_get(&text));
	x += COLUMN;
	paint(y, x, width - x - 1, role, m->licence ? m->licence : "");
	str_done(&text);
}

/* What there is to know of the one under the cursor. */
static void draw_model_facts(const struct compose_model *m, int y, int height, int width)
{
	struct arena a = {0};
	const char *hurdle = compose_model_hurdle(m, &a);
	struct str line = {0};

	if (hurdle)
		str_printf(&line, "%s; %s%s%s", hurdle, m->licence ? m->licence : "",
			m->licence && m->selling ? ", " : "", m->selling ? m->selling : "");
	else
		compose_model_describe(m, &line);
	paint_lines(y, 1, height, width - 2, ROLE_DIM, str_get(&line));
	str_done(&line);
	arena_done(&a);
}

void compose_choice_draw(struct compose_view *v, int height, int width)
{
	const int facts = height > 5 ? 3 : 0, rows = height - 1 - facts;
	struct str title = {0};

	str_printf(&title, " Models (%s installed): Enter takes one, Esc leaves it as it was",
		installed_sign());
	list_set_count(&v->choice, (int64_t)v->models.n);
	list_resize(&v->choice, rows);
	paint(0, 0, width, ROLE_TITLE, str_get(&title));
	str_done(&title);
	for (int i = 0; i < rows; i++) {
		int64_t row = list_at(&v->choice, i);

		paint(1 + i, 0, width, ROLE_TEXT, "");
		if (row >= 0)
			draw_model_row(&v->models.list[row], 1 + i, width,
				row == v->choice.cursor            ? ROLE_ROW_SELECTED
				: v->models.list[row].is_installed ? ROLE_TEXT
								   : ROLE_DIM);
	}
	v->cursor_y = 1 + (int)(v->choice.cursor - v->choice.top);
	v->cursor_x = 0;
	for (int i = 1; i < facts; i++)
		paint(height - i, 0, width, ROLE_TEXT, "");
	if (!facts || !v->models.n)
		return;
	paint_rule(height - facts, width);
	draw_model_facts(&v->models.list[v->choice.cursor], height - facts + 1, facts - 1, width);
}

/* ---- keys and clicks ---------------------------------------------------- */

static void choose(struct ws *ws, int64_t row)
{
	struct compose_view *v = ws->compose;
	const struct compose_model *m =
		row >= 0 && row < (int64_t)v->models.n ? &v->models.list[row] : NULL;
	struct arena a = {0};

	if (!m)
		return;
	if (compose_model_hurdle(m, &a))
		ws_complain(ws, "%s", compose_model_hurdle(m, &a));
	compose_set_model(&v->c, m->name);
	view_compose_changed(ws);
	arena_done(&a);
}

static int64_t row_of_model(const struct compose_view *v)
{
	for (size_t i = 0; i < v->models.n; i++)
		if (v->c.model && !strcmp(v->models.list[i].name, v->c.model))
			return (int64_t)i;
	return -1;
}

void compose_choice_open(struct ws *ws)
{
	struct compose_view *v = ws->compose;
	struct err e = {0};

	if (compose_models_read(&v->models, ws, &e)) {
		ws_fail(ws, &e);
		return;
	}
	v->is_choosing = true;
	list_set_count(&v->choice, (int64_t)v->models.n);
	list_go(&v->choice, row_of_model(v) < 0 ? 0 : row_of_model(v));
	ws->dirty |= DIRTY_BODY | DIRTY_FOOT;
}

bool compose_choice_leave(struct ws *ws)
{
	struct compose_view *v = ws->compose;
	const bool is_open = ws->screen == SCREEN_COMPOSE && v->is_choosing;

	if (is_open)
		v->is_choosing = false;
	return is_open;
}

bool compose_choice_key(struct ws *ws, uint32_t key)
{
	struct compose_view *v = ws->compose;

	if (key == KEYS_DOWN || key == 'j')
		list_move(&v->choice, 1);
	else if (key == KEYS_UP || key == 'k')
		list_move(&v->choice, -1);
	else if (key == KEYS_PGDN || key == KEYS_PGUP)
		list_page(&v->choice, key == KEYS_PGDN ? 1 : -1);
	else if (key == KEYS_HOME || key == KEYS_END)
		list_go(&v->choice, key == KEYS_HOME ? 0 : -1);
	else if (key == '\r' || key == 27 || key == 'q')
		v->is_choosing = false;
	else
		return key != KEYS_F1 && key != CTRL_L; /* nothing is done with what is behind it */
	if (key == '\r')
		choose(ws, v->choice.cursor);
	ws->dirty |= DIRTY_BODY | DIRTY_FOOT;
	return true;
}

void compose_choice_turn(struct ws *ws, int by)
{
	struct compose_view *v = ws->compose;
	const int64_t n = (int64_t)v->models.n, from = row_of_model(v);

	for (int64_t i = 1; i <= n; i++) {
		int64_t row = ((from < 0 ? 0 : from) + by * i % n + n) % n;

		if (v->models.list[row].is_installed) {
			choose(ws, row);
			return;
		}
	}
	compose_choice_open(ws);
}

void compose_choice_press(struct ws *ws, const struct mouse *m)
{
	struct compose_view *v = ws->compose;
	const int64_t row = list_at(&v->choice, m->y - 1);

	if (row < 0)
		return;
	list_go(&v->choice, row);
	if (m->is_double)
		ws_key(ws, '\r');
}
