/* Clicks, drags, and the wheel. */
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

/* The hints of a filter are its words. */
static void press_hint(struct ws *ws, const char *keys)
{
	const struct str *text = &ws->line.text;
	struct chord c;

	if (ws->input != INPUT_FILTER || (!chord_parse(keys, &c, NULL) && c.n == 1)) {
		press_keys(ws, keys);
		return;
	}
	input_key(ws, KEYS_END);
	if (text->n && text->s[text->n - 1] != ' ')
		input_key(ws, ' ');
	for (; *keys; keys++)
		input_key(ws, (unsigned char)*keys);
}

static void press_pane(struct ws *ws, const struct mouse *m, const struct frame_hit *hit)
{
	ws->screen = (enum ws_screen)hit->screen;
	ws->dirty = DIRTY_ALL;
	if (hit->row < 0)
		return;
	list_go(views[hit->screen]->list(ws), hit->row);
	ws_moved(ws);
	if (m->is_double)
		press_keys(ws, "<Enter>");
}

/* To the place of a column of the bar, also of one beside it. */
static void scrub_bar(struct ws *ws, int x)
{
	const struct span bar = ws->frame.bar;
	struct listen_view v;

	if (bar.to <= bar.from)
		return;
	x = x < bar.from ? bar.from : x > bar.to ? bar.to : x;
	listen_read(ws->listen, &v);
	listen_scrub(ws->listen, comparing_length(ws, &v) * (x - bar.from) / (bar.to - bar.from));
	ws->dirty |= DIRTY_NOW | DIRTY_MOVE;
}

static bool give_pane(struct ws *ws, const struct mouse *m, int pane)
{
	const struct frame *f = &ws->frame;
	const struct view *v = views[f->shown[pane]];
	const struct rect *r = &f->layout.panes[pane];
	struct mouse in = *m;

	in.y += f->top[pane] - r->y;
	in.x -= r->x;
	return v->mouse && v->mouse(ws, &in);
}

/* The pane's own view first. */
static bool is_taken(struct ws *ws, const struct mouse *m, const struct frame_hit *hit)
{
	const struct frame *f = &ws->frame;

	for (int i = 0; i < f->layout.n_panes && hit->part == FRAME_PANE; i++)
		if (f->shown[i] == hit->screen && give_pane(ws, m, i)) {
			if (m->what == MOUSE_PRESS) {
				ws->grip.part = FRAME_PANE;
				ws->grip.pane = i;
			}
			return true;
		}
	return false;
}

/* What the pressed button drags along. */
static void drag(struct ws *ws, const struct mouse *m)
{
	if (ws->grip.part == FRAME_BAR && m->what == MOUSE_DRAG)
		scrub_bar(ws, m->x);
	else if (ws->grip.part == FRAME_PANE && ws->grip.pane < ws->frame.layout.n_panes)
		give_pane(ws, m, ws->grip.pane);
	if (m->what == MOUSE_RELEASE)
		ws->grip.part = FRAME_NOTHING;
}

static void press_or_turn(struct ws *ws, const struct mouse *m)
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
		ws->grip.part = FRAME_BAR;
		scrub_bar(ws, m->x);
	} else if (hit.part == FRAME_HINT) {
		press_hint(ws, hit.keys);
	}
}

void mouse_do(struct ws *ws, const struct mouse *m)
{
	struct mouse told = *m;

	if (m->what == MOUSE_DRAG || m->what == MOUSE_RELEASE) {
		drag(ws, m);
		return;
	}
	if (m->what == MOUSE_PRESS) {
		ws->grip.part = FRAME_NOTHING;
		told.is_double = is_double(ws, m);
		if (ws->typed.n && menu_press(ws, m->y))
			return;
	}
	press_or_turn(ws, &told);
}
