/* Clicks, and the wheel. */
#include "library/base/clock.h"
#include "tui/listen.h"
#include "tui/terminal.h"
#include "tui/ws.h"

enum { WHEEL_ROWS = 3, WHEEL_PERCENT = 5, WHEEL_SECONDS = 1 };

static const double DOUBLE_S = 0.4;

static bool is_wheel(const struct mouse *m)
{
	return m->what == MOUSE_WHEEL_UP || m->what == MOUSE_WHEEL_DOWN;
}

/* Twice on the same cell, soon. */
static bool is_double(struct ws *ws, const struct mouse *m)
{
	double now = clock_now();
	bool is = ws->click.y == m->y && ws->click.x == m->x && now < ws->click.at + DOUBLE_S;

	ws->click.at = is ? 0 : now;
	ws->click.y = m->y;
	ws->click.x = m->x;
	return is;
}

static void run_number(struct ws *ws, const char *command, int by)
{
	struct str text = {0};

	str_printf(&text, "%s %d", command, by);
	commands_run(ws, str_get(&text));
	str_done(&text);
}

/* Of the pane under it, whatever has the focus. */
static void turn_wheel(struct ws *ws, const struct mouse *m, const struct frame_hit *hit)
{
	int by = m->what == MOUSE_WHEEL_UP ? -1 : 1;

	if (hit->part == FRAME_VOLUME) {
		run_number(ws, "volume", -by * WHEEL_PERCENT);
	} else if (hit->part == FRAME_BAR) {
		run_number(ws, "seek", by * WHEEL_SECONDS);
	} else if (hit->part == FRAME_PANE) {
		list_move(views[hit->screen]->list(ws), by * WHEEL_ROWS);
		ws_moved(ws);
	}
}

static void press_keys(struct ws *ws, const char *keys)
{
	struct chord c;

	if (chord_parse(keys, &c, NULL))
		return;
	ws->typed.n = 0;
	for (int i = 0; i < c.n; i++)
		ws_key(ws, c.keys[i]);
}

static void press_pane(struct ws *ws, const struct mouse *m, const struct frame_hit *hit)
{
	bool again = is_double(ws, m);

	ws->screen = (enum ws_screen)hit->screen;
	ws->dirty = DIRTY_ALL;
	if (hit->row < 0)
		return;
	list_go(views[hit->screen]->list(ws), hit->row);
	ws_moved(ws);
	if (again)
		press_keys(ws, "<Enter>");
}

static void seek_to(struct ws *ws, double share)
{
	struct listen_view v;

	listen_read(ws->listen, &v);
	listen_seek(ws->listen, share * v.length_s - v.position_s);
	ws->dirty |= DIRTY_NOW;
}

/* The pane's own view first. */
static bool is_taken(struct ws *ws, const struct mouse *m, const struct frame_hit *hit)
{
	const struct frame *f = &ws->frame;
	struct mouse in = *m;

	if (hit->part != FRAME_PANE || !views[hit->screen]->mouse)
		return false;
	for (int i = 0; i < f->layout.n_panes; i++)
		if (f->shown[i] == hit->screen) {
			in.y += f->top[i] - f->layout.panes[i].y;
			in.x -= f->layout.panes[i].x;
		}
	return views[hit->screen]->mouse(ws, &in);
}

void mouse_do(struct ws *ws, const struct mouse *m)
{
	struct frame_hit hit = frame_at(ws, m->y, m->x);

	if (ws->input && hit.part != FRAME_HINT) {
		return; /* first the line */
	} else if (is_taken(ws, m, &hit)) {
		return;
	} else if (is_wheel(m)) {
		turn_wheel(ws, m, &hit);
	} else if (hit.part == FRAME_TAB) {
		ws_show(ws, (enum ws_screen)hit.screen);
	} else if (hit.part == FRAME_PANE) {
		press_pane(ws, m, &hit);
	} else if (hit.part == FRAME_BAR) {
		seek_to(ws, hit.share);
	} else if (hit.part == FRAME_HINT) {
		press_keys(ws, hit.keys);
	}
}
