/* The screen as a whole. */
#include "tui/frame.h"

#include <curses.h>
#include <stdio.h>
#include <string.h>

#include "library/globals.h"
#include "tui/listen.h"
#include "tui/paint.h"
#include "tui/text.h"
#include "tui/ws.h"

/* What stands beside a screen where there are two columns, from the top. */
static const enum ws_screen beside[] = {SCREEN_LISTEN, SCREEN_QUEUE};

enum { N_BESIDE = sizeof(beside) / sizeof(*beside), TITLE_WIDTH = 32, BAR_MIN = 8, NOW_MS = 125 };

/* The line of what is played: its title has so many cells at least, and from so many on
 * says which take it is; below NARROW for the rest, words are short. */
enum { TITLE_MIN = 14, TAIL_FROM = 24, NARROW = 40 };

int frame_panes(const struct ws *ws, int shown[LAYOUT_PANES_MAX])
{
	int n = 0;

	shown[n++] = (int)ws->base;
	for (int i = 0; i < N_BESIDE && views[ws->base]->has_column; i++)
		shown[n++] = (int)beside[i];
	return n;
}

static void lay_out(struct ws *ws)
{
	struct frame *f = &ws->frame;
	int shown[LAYOUT_PANES_MAX] = {0};
	const struct layout *l = &f->layout;

	f->layout = layout_of(LINES, COLS, ws->one_column ? 0 : frame_panes(ws, shown) - 1);
	if (l->n_panes < 2)
		shown[0] = (int)ws->screen;
	for (int i = 0; i < l->n_panes; i++) {
		int heads = views[shown[i]]->heads;

		f->shown[i] = shown[i];
		/* Rows before titles. */
		f->top[i] = l->kind < LAYOUT_PANE && l->panes[i].height < heads + 2 ? heads : 0;
	}
}

/* ---- tabs --------------------------------------------------------------- */

static bool has_tab(int screen)
{
	return *views[screen]->tab;
}

static int tabs_width(bool is_short, enum ws_screen active)
{
	int width = 0;

	for (int i = 0; i < N_SCREENS; i++)
		if (has_tab(i))
			width += is_short && i != (int)active ? 2
							      : (int)text_cells(views[i]->tab) + 2;
	return width;
}

/* Where they do not fit, all but one show their key alone. */
static void draw_tabs(struct ws *ws, int height, int width)
{
	const bool is_short = tabs_width(false, ws->screen) > width;
	char waiting[32] = "";
	int x = 0;

	paint(0, 0, width, ROLE_TAB, "");
	for (int i = 0; i < N_SCREENS; i++) {
		enum theme_role role = i == (int)ws->screen ? ROLE_TAB_ACTIVE : ROLE_TAB;
		int n = is_short && i != (int)ws->screen ? 2 : (int)text_cells(views[i]->tab) + 2;

		if (!has_tab(i))
			continue;
		paint(0, x, n, role, "");
		if (n == 2)
			paint(0, x + 1, 1, role, (char[2]){views[i]->tab[0]});
		else
			paint(0, x + 1, n - 1, role, views[i]->tab);
		ws->frame.tabs[i] = (struct span){x, x + n};
		x += n;
	}
	if (ws->n_waiting)
		snprintf(waiting, sizeof(waiting), "%lld job%s ", (long long)ws->n_waiting,
			ws->n_waiting == 1 ? "" : "s");
	if (x + (int)strlen(waiting) < width)
		paint_right(0, x, width - x, ROLE_TAB, waiting);
}

/* ---- the lines at the foot ---------------------------------------------- */

/* A message that is longer than a line goes on where hints stand.  Its first part, or
 * the rest; false: there is no rest. */
static bool part_of_message(const struct ws *ws, int width, bool rest, struct str *out)
{
	const bool has_hints = ws->frame.layout.hints.height > 0;
	const char *s = str_get(&ws->message);
	struct str lines = {0};
	size_t n;

	if (input_mark(ws) || !has_hints || (int)text_cells(s) <= width) {
		str_add(out, rest ? "" : s);
		return !rest;
	}
	text_wrap(&lines, s, (size_t)width);
	n = strcspn(str_get(&lines), "\n");
	if (!rest)
		str_add_n(out, lines.s, n);
	for (size_t i = n + 1; rest && i < lines.n; i++)
		str_add_char(out, lines.s[i] == '\n' ? ' ' : lines.s[i]);
	str_done(&lines);
	return true;
}

static void draw_message(struct ws *ws, int height, int width)
{
	const char *mark = input_mark(ws);

	if (!mark) {
		struct str text = {0};

		part_of_message(ws, width, false, &text);
		paint(0, 0, width, ws->is_error ? ROLE_ERROR : ROLE_MESSAGE, str_get(&text));
		str_done(&text);
		return;
	}
	int n = (int)text_cells(mark);

	paint(0, 0, n, ROLE_PROMPT, mark);
	input_show(ws, n, width - n);
}

/* "<Enter>" for a hint's first word "Enter", "<A-Enter>" for "Alt-Enter"; what is none stays
 * as it is.  "A-H" are eight keys, none of which is meant. */
static void hint_keys(const char *word, size_t n, char out[16])
{
	const bool is_alt = n > 4 && !memcmp(word, "Alt-", 4), is_range = n == 3 && word[1] == '-';
	const size_t from = is_alt ? 4 : 0;
	struct chord c;

	snprintf(out, 16, "<%s%.*s>", is_alt ? "A-" : "", (int)(n - from > 11 ? 11 : n - from),
		word + from);
	if (is_range)
		out[0] = 0;
	else if (chord_parse(out, &c, NULL))
		snprintf(out, 16, "%.*s", (int)(n > 15 ? 15 : n), word);
}

static size_t hint_length(const char *s)
{
	const char *end = strstr(s, "  ");

	return end ? (size_t)(end - s) : strlen(s);
}

static int draw_hint(struct ws *ws, int x, const char *s, size_t n)
{
	struct frame *f = &ws->frame;
	size_t key = strcspn(s, " ");
	struct str text = {0};
	int cells;

	key = key < n ? key : n;
	str_add_n(&text, s, key);
	cells = (int)text_cells(str_get(&text));
	paint(0, x, cells, ROLE_HINT_KEY, str_get(&text));
	str_clear(&text);
	str_add_n(&text, s + key, n - key);
	paint(0, x + cells, (int)text_cells(str_get(&text)), ROLE_HINT_TEXT, str_get(&text));
	cells += (int)text_cells(str_get(&text));
	str_done(&text);
	if (f->n_hints < FRAME_HINTS_MAX) {
		f->hints[f->n_hints].at = (struct span){x, x + cells};
		hint_keys(s, key, f->hints[f->n_hints++].keys);
	}
	return x + cells;
}

static int hint_cells(const char *s, size_t n)
{
	struct str text = {0};
	int cells;

	str_add_n(&text, s, n);
	cells = (int)text_cells(str_get(&text));
	str_done(&text);
	return cells;
}

static const char *hints_now(const struct ws *ws)
{
	const struct view *v = views[ws->screen];

	return input_mark(ws) ? input_hints(ws) : v->hints_now ? v->hints_now(ws) : v->hints;
}

/* Whole ones, as many as fit; that for the help stands at the right. */
static void draw_hints(struct ws *ws, int height, int width)
{
	const char *s = hints_now(ws);
	const char *help;
	int x = 1, end = width - 1;

	struct str rest = {0};
	const bool has_rest = part_of_message(ws, width, true, &rest);

	paint(0, 0, width, ROLE_HINT_TEXT, "");
	ws->frame.n_hints = 0;
	if (has_rest)
		paint(0, 0, width, ws->is_error ? ROLE_ERROR : ROLE_MESSAGE, str_get(&rest));
	str_done(&rest);
	if (has_rest)
		return;
	if (input_mark(ws) && ws->message.n) { /* what the line is about, or wrong with it */
		paint(0, 0, width, ws->is_error ? ROLE_ERROR : ROLE_MESSAGE, str_get(&ws->message));
		return;
	}
	help = strstr(s, "  ? ");
	help = help ? help + 2 : s + strlen(s);
	if (*help && hint_cells(help, strlen(help)) < width) {
		end -= hint_cells(help, strlen(help));
		draw_hint(ws, end, help, strlen(help));
		end -= 2;
	}
	for (size_t n; s < help; s += n + strspn(s + n, " ")) {
		n = hint_length(s);
		if (x + hint_cells(s, n) > end)
			break;
		x = draw_hint(ws, x, s, n) + 2;
	}
}

/* ---- what is played ----------------------------------------------------- */

static void now_text(
	struct ws *ws, const struct listen_view *v, struct str *left, struct str *right)
{
	char position[16], length[16];
	const char *state = v->is_playing ? "\u25b6" : v->is_loading ? "\u2026" : "\u2016";

	if (ws->globals->plain)
		state = v->is_playing ? "playing:" : v->is_loading ? "reading:" : "paused:";
	str_printf(left, " %s %s", state, str_get(&ws->title));
	str_printf(right, " %s / %s ", format_duration(v->position_s, position),
		format_duration(comparing_length(ws, v), length));
}

/* What fits of the rest, the most important first; `most` cells are for all of it. */
static void now_rest(struct ws *ws, const struct listen_view *v, int most, struct str *right)
{
	char volume[24];
	const char *const parts[] = {v->mode != MIXER_DRY ? " dn " : "",
		v->no_device ? (most < NARROW ? " no sound " : " (no sound device) ") : "", volume,
		v->n_underruns ? " underruns " : ""};

	snprintf(volume, sizeof(volume), " %s %d ", v->is_muted ? "mute" : "vol", ws->percent);
	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
		if ((int)(right->n + strlen(parts[i])) > most)
			continue;
		if (parts[i] == volume)
			ws->frame.volume =
				(struct span){(int)right->n, (int)(right->n + strlen(volume))};
		str_add(right, parts[i]);
	}
}

static void draw_now(struct ws *ws, int height, int width)
{
	struct str left = {0}, right = {0};
	struct frame *f = &ws->frame;
	struct listen_view v;
	double length;
	int bar;

	listen_read(ws->listen, &v);
	length = comparing_length(ws, &v);
	paint(0, 0, width, ROLE_TEXT, "");
	f->bar = f->volume = (struct span){0};
	if (!v.take)
		return;
	now_text(ws, &v, &left, &right);
	now_rest(ws, &v, width - TITLE_MIN, &right);
	bar = width - TITLE_WIDTH - (int)right.n - 1;
	if (bar > BAR_MIN && !ws->globals->plain) {
		paint_bar(0, TITLE_WIDTH + 1, bar, length > 0 ? v.position_s / length : 0);
		f->bar = (struct span){TITLE_WIDTH + 1, TITLE_WIDTH + 1 + bar};
		paint_tailed(
			0, 0, TITLE_WIDTH, ROLE_ROW_PLAYING, str_get(&left), str_get(&ws->tail));
	} else {
		const int room = width - (int)right.n;

		paint_tailed(0, 0, room, ROLE_ROW_PLAYING, str_get(&left),
			room < TAIL_FROM ? "" : str_get(&ws->tail));
	}
	paint_right(0, width - (int)right.n, (int)right.n, ROLE_TEXT, str_get(&right));
	if (f->volume.to) {
		f->volume.from += width - (int)right.n;
		f->volume.to += width - (int)right.n;
	}
	str_done(&left);
	str_done(&right);
}

/* ---- panes -------------------------------------------------------------- */

static void load(struct ws *ws)
{
	const struct frame *f = &ws->frame;
	struct err e = {0};
	int rc = 0;

	/* Every screen shows that there is work. */
	if (ws->is_stale) {
		rc = jobs_waiting(ws->db, &ws->n_waiting, &e);
		if (!rc)
			rc = queue_is_paused(ws->db, &ws->is_paused, &e);
		ws->is_stale = rc != 0;
	}
	for (int i = 0; i < f->layout.n_panes && !rc; i++) {
		const struct view *v = views[f->shown[i]];

		if (v->load)
			rc = v->load(ws, f->layout.panes[i].height + f->top[i], &e);
	}
	if (!f->layout.n_panes && views[ws->screen]->load)
		rc = views[ws->screen]->load(ws, views[ws->screen]->heads + 1, &e);
	if (rc)
		ws_fail(ws, &e);
}

static void draw_rules(struct ws *ws)
{
	const struct layout *l = &ws->frame.layout;

	for (int i = 0; i < l->n_panes; i++) {
		const struct rect *r = &l->rules[i];

		if (r->height < 1)
			continue;
		paint_in(r);
		if (i)
			paint_rule(0, r->width);
		else
			paint_upright(0, r->height);
	}
}

/* Paints all of the panes, or only what moves in them. */
static void draw_panes(struct ws *ws, bool all)
{
	const struct frame *f = &ws->frame;

	for (int i = 0; i < f->layout.n_panes; i++) {
		const struct rect *r = &f->layout.panes[i];
		const struct view *v = views[f->shown[i]];

		if (r->height < 1 || (!all && !v->move))
			continue;
		paint_in(r);
		paint_from(f->top[i]);
		paint_focused(f->shown[i] == (int)ws->screen);
		(all ? v->draw : v->move)(ws, r->height + f->top[i], r->width);
	}
	if (all)
		draw_rules(ws);
	menu_draw(ws);
}

/* Where one types; else on the selected row, for those who read the screen by ear. */
static void place_cursor(struct ws *ws)
{
	const struct frame *f = &ws->frame;
	const struct view *v = views[ws->screen];
	const struct list *list = v->list(ws);
	int y, x;

	curs_set(input_mark(ws) || ws->globals->plain ? 1 : 0);
	if (input_mark(ws)) {
		move(f->layout.message.y, input_cursor(ws));
		return;
	}
	for (int i = 0; i < f->layout.n_panes; i++) {
		const struct rect *r = &f->layout.panes[i];

		if (f->shown[i] != (int)ws->screen)
			continue;
		y = v->heads + (int)(list->cursor - list->top) - f->top[i];
		x = 0;
		if (v->cursor && v->cursor(ws, &y, &x))
			curs_set(1);
		y = y >= r->height ? r->height - 1 : y < 0 ? 0 : y;
		x = x >= r->width ? r->width - 1 : x;
		move(r->y + y, r->x + x);
	}
}

static void draw_part(struct ws *ws, unsigned part, const struct rect *r,
	void (*draw)(struct ws *ws, int height, int width))
{
	if (!(ws->dirty & part) || r->height < 1)
		return;
	paint_in(r);
	draw(ws, r->height, r->width);
}

/* One line is what is typed or said, else what is played, else the list's row. */
static void draw_line(struct ws *ws)
{
	const struct rect *r = &ws->frame.layout.message;
	const struct view *v = views[ws->screen];
	struct listen_view playing;

	listen_read(ws->listen, &playing);
	paint_in(r);
	if (input_mark(ws) || ws->message.n) {
		draw_message(ws, 1, r->width);
	} else if (playing.take) {
		draw_now(ws, 1, r->width);
	} else {
		paint_from(v->heads);
		v->draw(ws, v->heads + 1, r->width);
	}
}

void frame_load(struct ws *ws)
{
	lay_out(ws);
	if (ws->dirty & DIRTY_BODY)
		load(ws);
}

void frame_draw(struct ws *ws)
{
	const struct layout *l = &ws->frame.layout;
	const char *hints;

	lay_out(ws);
	if (ws->dirty & DIRTY_BODY || l->kind == LAYOUT_LINE)
		load(ws);
	if (ws->dirty & DIRTY_BODY)
		draw_panes(ws, true);
	else if (ws->dirty & DIRTY_MOVE)
		draw_panes(ws, false);
	hints = hints_now(ws);
	if (hints != ws->frame.hints_of) /* what there is came, or went, on its own */
		ws->dirty |= DIRTY_FOOT;
	ws->frame.hints_of = hints;
	draw_part(ws, DIRTY_TABS, &l->tabs, draw_tabs);
	if (l->kind == LAYOUT_LINE) {
		draw_line(ws);
	} else {
		draw_part(ws, DIRTY_NOW, &l->now, draw_now);
		draw_part(ws, DIRTY_FOOT, &l->message, draw_message);
	}
	draw_part(ws, DIRTY_FOOT, &l->hints, draw_hints);
	ws->dirty = 0;
	place_cursor(ws);
	refresh();
}

/* ---- what moves ---------------------------------------------------------- */

void frame_tick(struct ws *ws, bool is_awake)
{
	const struct frame *f = &ws->frame;

	for (int i = 0; i < f->layout.n_panes; i++)
		if (views[f->shown[i]]->tick)
			views[f->shown[i]]->tick(ws, is_awake);
}

int frame_wait_ms(const struct ws *ws)
{
	const struct frame *f = &ws->frame;
	int least = NOW_MS;

	for (int i = 0; i < f->layout.n_panes; i++) {
		const struct view *v = views[f->shown[i]];
		const int ms = v->frame_ms ? v->frame_ms(ws) : NOW_MS;

		least = ms < least ? ms : least;
	}
	return least;
}

/* ---- clicks ------------------------------------------------------------- */

static bool is_in(const struct rect *r, int y, int x)
{
	return y >= r->y && y < r->y + r->height && x >= r->x && x < r->x + r->width;
}

static bool is_within(struct span s, int x)
{
	return x >= s.from && x < s.to;
}

static struct frame_hit pane_at(struct ws *ws, int i, int y)
{
	const struct frame *f = &ws->frame;
	const struct view *v = views[f->shown[i]];
	int line = y - f->layout.panes[i].y + f->top[i] - v->heads;

	return (struct frame_hit){
		.part = FRAME_PANE, .screen = f->shown[i], .row = list_at(v->list(ws), line)};
}

struct frame_hit frame_at(struct ws *ws, int y, int x)
{
	const struct frame *f = &ws->frame;
	const struct layout *l = &f->layout;

	for (int i = 0; i < l->n_panes; i++)
		if (is_in(&l->panes[i], y, x))
			return pane_at(ws, i, y);
	for (int i = 0; i < N_SCREENS && is_in(&l->tabs, y, x); i++)
		if (is_within(f->tabs[i], x))
			return (struct frame_hit){.part = FRAME_TAB, .screen = i};
	for (int i = 0; i < f->n_hints && is_in(&l->hints, y, x); i++)
		if (is_within(f->hints[i].at, x))
			return (struct frame_hit){.part = FRAME_HINT, .keys = f->hints[i].keys};
	if (is_in(&l->now, y, x) && is_within(f->bar, x))
		return (struct frame_hit){.part = FRAME_BAR};
	if (is_in(&l->now, y, x) && is_within(f->volume, x))
		return (struct frame_hit){.part = FRAME_VOLUME};
	return (struct frame_hit){.part = FRAME_NOTHING};
}
