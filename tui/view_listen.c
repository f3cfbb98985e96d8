/* Listening: the picture of the take that is played, or else of the one under the
 * library's cursor. */
#include "tui/view_listen.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "library/base/clock.h"
#include "library/globals.h"
#include "library/loudness.h"
#include "tui/listen.h"
#include "tui/paint.h"
#include "tui/picture.h"
#include "tui/picture_pane.h"
#include "tui/terminal.h"
#include "tui/ws.h"

enum {
	STATE_FROM = 30,  /* not whether it is denoised in a narrower pane */
	WORDS_FROM = 60,  /* nor how the picture is drawn */
	METERS_FROM = 14, /* no meters in a body lower than that */
	REMOTE_FPS = 8,
	LOCAL_FPS = 20,
	PAINTED_BYTES = 20,  /* of a cell, when all of them are painted */
	REMOTE_BYTES = 4000, /* a second, for pages that are turned while something is played */
	LOCAL_BYTES = 30000,
	LEVELS = 16, /* cells of a level and a peak */
};

static const double METER_DB = 60; /* what a bar spans */
static const double CALM_DB = -30; /* up to there its colour is the quiet one */

static const char *const scale_names[] = {"log", "mel", "linear"};

void listening_open(struct listening *l)
{
	l->fft = 2048;
	l->low_db = -90;
	l->drawn = -1;
}

void listening_close(struct listening *l)
{
	picture_close(l->picture);
	str_done(&l->path);
	str_done(&l->title);
	str_done(&l->tail);
}

/* ---- what is shown ------------------------------------------------------ */

double listening_length(const struct ws *ws)
{
	double length = 0;

	if (ws->listening.picture) {
		length = picture_look(ws->listening.picture)->length_s;
		picture_leave(ws->listening.picture);
	}
	return length;
}

double listening_position(const struct ws *ws)
{
	struct listen_view v;

	listen_read(ws->listen, &v);
	return v.take == ws->listening.take && !v.is_loading ? v.position_s : 0;
}

static struct interval shown(const struct ws *ws)
{
	const struct interval s = ws->listening.span;

	return s.end > s.begin ? s : (struct interval){0, listening_length(ws)};
}

static void ask(struct ws *ws, struct interval span)
{
	struct listening *l = &ws->listening;
	const struct picture_desc d = {.path = l->take ? str_get(&l->path) : NULL,
		.scale = l->scale,
		.fft = l->fft,
		.span = span};

	if (l->picture)
		picture_ask(l->picture, &d);
}

void listening_ask(struct ws *ws)
{
	ws->listening.coming = (struct interval){0};
	ask(ws, ws->listening.span);
	ws->dirty |= DIRTY_BODY;
}

static int64_t wanted_take(const struct ws *ws)
{
	const struct take *t = view_library_selected(ws);
	struct listen_view v;

	listen_read(ws->listen, &v);
	if (comparing_hidden(ws, v.take))
		return 0;
	return v.take ? v.take : t ? t->id : 0;
}

static void take_merit(struct listening *l, const struct take *t)
{
	snprintf(l->merit, sizeof(l->merit), "%s%.0d", t->favourite ? "*" : "",
		t->rating >= 1 && t->rating <= 5 ? t->rating : 0);
	l->is_stale = false;
}

static int change_take(struct ws *ws, int64_t id, struct err *e)
{
	struct listening *l = &ws->listening;
	struct arena a = {0};
	struct take t;
	int rc = id ? takes_get(ws->db, id, &a, &t, e) : 0;

	str_clear(&l->path);
	str_clear(&l->title);
	str_clear(&l->tail);
	l->take = rc ? 0 : id;
	l->merit[0] = 0;
	l->span = (struct interval){0};
	l->held[0] = l->held[1] = 0;
	if (l->take) {
		str_printf(&l->path, "%s/%s", ws->library, t.file);
		str_add(&l->title, t.prompt);
		sound_take_tail(ws, &t, &l->tail);
		take_merit(l, &t);
	}
	listening_ask(ws);
	arena_done(&a);
	return rc;
}

/* Somebody may have rated it. */
static int refresh(struct ws *ws, struct err *e)
{
	struct listening *l = &ws->listening;
	struct arena a = {0};
	struct take t;
	int rc = l->take && l->is_stale ? takes_get(ws->db, l->take, &a, &t, e) : 0;

	if (l->take && l->is_stale && !rc)
		take_merit(l, &t);
	arena_done(&a);
	return rc;
}

static int load(struct ws *ws, int height, struct err *e)
{
	struct listening *l = &ws->listening;
	int64_t id = wanted_take(ws);
	int rc = 0;

	if (!l->picture) {
		struct arena a = {0};

		rc = picture_open(arena_printf(&a, "%s/cache/pictures", ws->library), ws->wake_fd,
			&l->picture, e);
		arena_done(&a);
	}
	return rc ? rc : id == l->take ? refresh(ws, e) : change_take(ws, id, e);
}

/* ---- painting ----------------------------------------------------------- */

static void draw_title(const struct ws *ws, int width)
{
	const struct listening *l = &ws->listening;
	struct str right = {0};
	char denoised[32];
	int n, merit = (int)strlen(l->merit);

	if (width >= WORDS_FROM)
		str_printf(&right, "  %s  %s  %d  %.0f..0 dB", colormap_name(l->map),
			scale_names[l->scale], l->fft, l->low_db);
	str_printf(&right, "  dn %s ", sound_denoise_text(ws, denoised));
	n = width >= STATE_FROM ? (int)right.n : 0;
	merit = merit ? merit + 1 : 0;
	paint(0, 0, 1, ROLE_TITLE, "");
	paint_tailed(
		0, 1, width - n - merit - 1, ROLE_TITLE, str_get(&l->title), str_get(&l->tail));
	paint_right(0, width - n - merit, merit, ROLE_ROW_MARKED, l->merit);
	paint(0, width - n, n, ROLE_DIM, str_get(&right));
	str_done(&right);
}

static struct picture_pane pane_of(const struct ws *ws, double playhead)
{
	const struct listening *l = &ws->listening;

	return (struct picture_pane){.picture = l->picture,
		.span = shown(ws),
		.map = l->map,
		.glyphs = l->glyphs,
		.low_db = l->low_db,
		.playhead = playhead,
		.loop = ws->sound.take == l->take ? ws->sound.loop : (struct interval){0},
		.is_looping = ws->sound.is_looping};
}

/* ---- meters ------------------------------------------------------------- */

/* A level of -60 to 0 dB as a share of the bar. */
static double share_of(float level)
{
	return fmax(0, fmin(1 + loudness_db((double)level) / METER_DB, 1));
}

/* "-9.1", or a dash for silence. */
static const char *db_text(double db, char out[16])
{
	if (db > -100)
		snprintf(out, 16, "%5.1f", db);
	else
		snprintf(out, 16, "%5s", "-");
	return out;
}

/* A side: bar of its level, level, greatest peak; beside them what there is to know
 * of loudness and device. */
static void draw_meter(const struct ws *ws, int side, int y, int width)
{
	const struct listening *l = &ws->listening;
	char levels[48], rest[96], a[16], b[16];
	int bar = width / 2 - 4, x = bar + 2;
	struct listen_view v;

	listen_read(ws->listen, &v);
	snprintf(levels, sizeof(levels), " %s  pk %s",
		db_text(loudness_db((double)l->meters.rms[side]), a),
		db_text(loudness_db((double)l->held[side]), b));
	if (side == 0)
		snprintf(rest, sizeof(rest), "  %s LUFS", db_text(l->meters.lufs, a));
	else
		snprintf(rest, sizeof(rest), "  underruns %llu%s%.24s",
			(unsigned long long)v.n_underruns, *v.device ? "  out: " : "", v.device);
	paint(y, 0, 2, ROLE_DIM, side ? "R" : "L");
	paint_meter(y, 2, bar, share_of(l->meters.rms[side]), 1 + CALM_DB / METER_DB);
	paint(y, x, LEVELS, l->held[side] > 1 ? ROLE_ERROR : ROLE_TEXT, levels);
	paint(y, x + LEVELS, width - x - LEVELS, ROLE_DIM, rest);
}

static void draw_meters(const struct ws *ws, int height, int width)
{
	for (int side = 0; side < 2 && height >= METERS_FROM; side++)
		draw_meter(ws, side, height - 2 + side, width);
}

static void measure(struct ws *ws)
{
	struct listening *l = &ws->listening;

	listen_meters(ws->listen, &l->meters);
	for (int c = 0; c < 2; c++)
		l->held[c] = fmaxf(l->held[c], l->meters.peak[c]);
}

static void draw_nothing(struct ws *ws, int height, int width)
{
	struct listen_view v;

	listen_read(ws->listen, &v);
	for (int y = 0; y < height; y++)
		paint(y, 0, width, ROLE_TEXT, "");
	paint(height > 2 ? 2 : 0, 2, width - 2, ROLE_DIM,
		comparing_hidden(ws, v.take) ? "Hidden until Enter chooses one in Compare."
					     : "No take to listen to. i begins one.");
}

static void draw(struct ws *ws, int height, int width)
{
	struct listening *l = &ws->listening;
	struct picture_pane p;

	l->pane = (struct rect){1, 0, height - 1 - (height >= METERS_FROM ? 2 : 0), width};
	if (!l->take || !l->picture) {
		draw_nothing(ws, height, width);
		return;
	}
	draw_title(ws, width);
	measure(ws);
	draw_meters(ws, height, width);
	l->drawn = listening_position(ws);
	p = pane_of(ws, l->drawn);
	if (l->pane.height > 0)
		picture_pane_draw(&p, &l->pane);
}

static void move_playhead(struct ws *ws, int height, int width)
{
	struct listening *l = &ws->listening;
	double was = l->drawn;
	struct picture_pane p;

	if (!l->take || !l->picture || l->pane.height < 1)
		return;
	l->drawn = listening_position(ws);
	p = pane_of(ws, l->drawn);
	picture_pane_move(&p, was, &l->pane);
	measure(ws);
	draw_meters(ws, height, width);
}

/* Whether enough time has gone by for all of the picture to be sent again. */
static bool may_turn(const struct ws *ws)
{
	const struct listening *l = &ws->listening;
	double bytes = (double)l->pane.height * l->pane.width * PAINTED_BYTES;

	return clock_now() >
	       l->turned + bytes / (ws->env->ssh_connection ? REMOTE_BYTES : LOCAL_BYTES);
}

/* Turns the page that has been made. */
static void turn(struct ws *ws)
{
	struct listening *l = &ws->listening;

	if (!(l->coming.end > l->coming.begin) || !picture_covers(l->picture, &l->coming))
		return;
	l->span = l->coming;
	l->coming = (struct interval){0};
	l->turned = clock_now();
	ws->dirty |= DIRTY_BODY;
}

void listening_follow(struct ws *ws, bool at_once)
{
	struct listening *l = &ws->listening;
	double at = listening_position(ws);
	struct interval next;

	if (!l->picture || !(l->span.end > l->span.begin))
		return;
	next = interval_follow(l->span, at, listening_length(ws));
	if (next.begin != l->span.begin && !(at >= l->coming.begin && at < l->coming.end) &&
		(at_once || may_turn(ws))) {
		l->coming = next;
		ask(ws, next);
	}
	turn(ws);
}

static void tick(struct ws *ws, bool is_awake)
{
	ws->dirty |= DIRTY_MOVE;
	if (is_awake || wanted_take(ws) != ws->listening.take)
		ws->dirty |= DIRTY_BODY;
	listening_follow(ws, false);
}

static int frame_ms(const struct ws *ws)
{
	const struct listening *l = &ws->listening;
	struct picture_layout at = picture_pane_layout(l->pane.height, l->pane.width);

	return interval_frame_ms(shown(ws), at.columns, at.n_picture + at.n_wave,
		ws->env->ssh_connection ? REMOTE_FPS : LOCAL_FPS);
}

/* Where the mouse is; a take that is not played yet is played from there. */
static void scrub(struct ws *ws, double at)
{
	struct listen_view v;

	listen_read(ws->listen, &v);
	if (v.take)
		listen_scrub(ws->listen, at);
	else
		sound_play(ws, ws->listening.take, at);
	listening_follow(ws, true);
	ws->dirty |= DIRTY_NOW | DIRTY_MOVE;
}

/* A press seeks, what is dragged is heard, the wheel zooms. */
static bool on_mouse(struct ws *ws, const struct mouse *m)
{
	struct listening *l = &ws->listening;
	struct picture_pane p = pane_of(ws, -1);
	double at;

	if (!l->take || !l->picture)
		return false;
	if (m->what == MOUSE_DRAG)
		scrub(ws, picture_pane_nearest(&p, &l->pane, m->x - l->pane.x));
	if (m->what == MOUSE_DRAG || m->what == MOUSE_RELEASE)
		return true;
	if (!picture_pane_time(&p, &l->pane, m->y - l->pane.y, m->x - l->pane.x, &at))
		return false;
	if (m->what == MOUSE_PRESS)
		scrub(ws, at);
	else
		commands_run(ws, m->what == MOUSE_WHEEL_UP ? "zoom 2" : "zoom 0.5");
	return true;
}

static struct list *list_of(struct ws *ws)
{
	return &ws->listening.no_rows;
}

static size_t targets(struct ws *ws, struct arena *a, const int64_t **ret)
{
	int64_t *id = ARENA_ARRAY(a, int64_t, 1);

	*ret = id;
	*id = ws->listening.take;
	return *id != 0;
}

static const char *hints_now(const struct ws *ws)
{
	struct listen_view v;

	if (ws->listening.take)
		return view_listen.hints;
	listen_read(ws->listen, &v);
	return comparing_hidden(ws, v.take) ? "5 compare  q back  ? keys" : "i new  q back  ? keys";
}

const struct view view_listen = {.name = "listen",
	.tab = "4 Listen",
	.hints = "Space play  d denoise  f keep  w export  { } L loop  ( ) takes  h l \302\2611 s  "
		 "z view  ? keys",
	.hints_now = hints_now,
	.load = load,
	.draw = draw,
	.move = move_playhead,
	.tick = tick,
	.frame_ms = frame_ms,
	.mouse = on_mouse,
	.list = list_of,
	.targets = targets};
