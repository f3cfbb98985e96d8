/* Comparing: Listen split, A above B, with one clock. */
#include "tui/view_compare.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "library/base/arena.h"
#include "library/base/err.h"
#include "library/globals.h"
#include "library/loudness.h"
#include "tui/listen.h"
#include "tui/picture.h"
#include "tui/picture_pane.h"
#include "tui/terminal.h"
#include "tui/text.h"
#include "tui/view_compose.h"
#include "tui/ws.h"

enum {
	REMOTE_FPS = 8,
	LOCAL_FPS = 20,
	PICTURE_FROM = 2, /* lines that a picture needs */
};

static void forget(struct comparing *c)
{
	for (int i = 0; i < c->n; i++) {
		picture_close(c->at[i].picture);
		str_done(&c->at[i].title);
	}
	*c = (struct comparing){0};
}

void comparing_close(struct comparing *c)
{
	forget(c);
}

/* ---- what is compared --------------------------------------------------- */

static int add(struct ws *ws, int64_t id, double *peak, struct err *e)
{
	struct comparing *c = &ws->comparing;
	struct compared *one = &c->at[c->n];
	struct arena a = {0};
	int64_t number = 0;
	struct take t;
	int rc = takes_get(ws->db, id, &a, &t, e);

	if (!rc)
		rc = takes_number(ws->db, id, &number, e);
	if (!rc && strlen(t.file) >= sizeof(one->path))
		rc = err_set(e, ERR_UNSUPPORTED, "the name of '%.80s' is too long", t.file);
	if (!rc) {
		*one = (struct compared){.take = id,
			.seed = t.seed,
			.slot = c->n,
			.seconds = t.seconds,
			.lufs = t.lufs};
		*peak = t.peak;
		snprintf(one->path, sizeof(one->path), "%s", t.file);
		str_printf(&one->title, "%s  %s  take %lld", t.prompt, t.model, (long long)number);
		c->n++;
	}
	arena_done(&a);
	return rc;
}

static void match(struct comparing *c, const double *peak)
{
	double lufs[MIXER_SLOTS], gain[MIXER_SLOTS];

	for (int i = 0; i < c->n; i++)
		lufs[i] = c->at[i].lufs;
	loudness_match(lufs, peak, (size_t)c->n, gain);
	for (int i = 0; i < c->n; i++)
		c->at[i].cut = 1 - gain[i];
}

static int play(struct ws *ws, double begin_s, struct err *e)
{
	struct comparing *c = &ws->comparing;
	struct listen_source s[MIXER_SLOTS];
	struct arena a = {0};
	int rc;

	for (int i = 0; i < c->n; i++)
		s[i] = (struct listen_source){.take = c->at[i].take,
			.path = arena_printf(&a, "%s/%s", ws->library, c->at[i].path),
			.cut = c->at[i].cut,
			.begin_s = begin_s};
	rc = listen_together(ws->listen, s, c->n, e);
	arena_done(&a);
	return rc;
}

int comparing_begin(struct ws *ws, const int64_t *takes, size_t n, struct err *e)
{
	struct comparing *c = &ws->comparing;
	double peak[MIXER_SLOTS] = {0}, begin_s = 0;
	struct listen_view v;
	int rc = 0;

	forget(c);
	listen_read(ws->listen, &v);
	for (size_t i = 0; i < n && i < MIXER_SLOTS && !rc; i++) {
		rc = add(ws, takes[i], &peak[i], e);
		if (takes[i] == v.take && !v.is_loading)
			begin_s = v.position_s;
	}
	match(c, peak);
	list_set_count(&c->list, c->n);
	list_resize(&c->list, c->n);
	if (!rc)
		rc = play(ws, begin_s, e);
	if (rc)
		forget(c);
	sound_follow(ws);
	ws->dirty = DIRTY_ALL;
	return rc;
}

/* Whether it is this clock that moves: something else may have been played meanwhile. */
static bool is_played(const struct ws *ws, const struct listen_view *v)
{
	const struct comparing *c = &ws->comparing;

	for (int i = 0; i < c->n; i++)
		if (c->at[i].take == v->take)
			return v->n_together == c->n;
	return false;
}

static bool is_heard(const struct ws *ws, const struct listen_view *v)
{
	const struct comparing *c = &ws->comparing;

	return is_played(ws, v) && v->take == c->at[c->heard].take;
}

static void tell_heard(struct comparing *c, int i)
{
	c->heard = i;
	list_go(&c->list, i);
}

/* false: it is not read yet. */
static bool go_to(struct ws *ws, int i)
{
	struct comparing *c = &ws->comparing;

	if (!listen_switch(ws->listen, c->at[i].slot))
		return false;
	tell_heard(c, i);
	sound_follow(ws);
	ws->dirty |= DIRTY_BODY | DIRTY_NOW;
	return true;
}

/* From the beginning: false, with a message, when that cannot be. */
static bool play_again(struct ws *ws)
{
	struct comparing *c = &ws->comparing;
	struct err e = {0};

	for (int i = 0; i < c->n; i++)
		c->at[i].slot = i;
	tell_heard(c, 0);
	if (!play(ws, 0, &e))
		return true;
	ws_fail(ws, &e);
	return false;
}

void comparing_switch(struct ws *ws, int i)
{
	struct comparing *c = &ws->comparing;
	struct listen_view v;

	if (i < 0 || i >= c->n)
		return;
	listen_read(ws->listen, &v);
	if (!is_played(ws, &v) && !play_again(ws))
		return;
	c->wish = i;
	c->has_wish = !go_to(ws, i);
	if (c->has_wish)
		ws_say(ws, "%c is being read, and then heard", 'A' + i);
}

void comparing_moved(struct ws *ws)
{
	struct comparing *c = &ws->comparing;
	const int to = (int)c->list.cursor;

	if (!c->n || to == c->heard)
		return;
	list_go(&c->list, c->heard);
	comparing_switch(ws, to);
}

void comparing_follow(struct ws *ws)
{
	struct comparing *c = &ws->comparing;
	struct listen_view v;

	if (!c->has_wish)
		return;
	listen_read(ws->listen, &v);
	if (!is_played(ws, &v)) {
		c->has_wish = v.is_loading; /* perhaps by play_again() */
	} else if (go_to(ws, c->wish)) {
		c->has_wish = false;
		ws_say(ws, "%s", "");
	}
}

/* Fisher and Yates. */
static void shuffle(struct comparing *c)
{
	uint64_t chance = compose_seed_by_chance();

	for (int i = c->n - 1; i > 0; i--) {
		const int k = (int)(chance % (uint64_t)(i + 1));
		const struct compared other = c->at[k];

		chance /= (uint64_t)(i + 1);
		c->at[k] = c->at[i];
		c->at[i] = other;
	}
}

void comparing_hide(struct ws *ws, bool hides)
{
	struct comparing *c = &ws->comparing;
	const int64_t heard = c->at[c->heard].take;

	c->is_blind = hides;
	if (hides) {
		shuffle(c);
		for (int i = 0; i < c->n; i++)
			if (c->at[i].take == heard)
				tell_heard(c, i);
		comparing_switch(ws, 0);
	}
	ws->sound.take = 0; /* it has another name now */
	sound_follow(ws);
	ws->dirty = DIRTY_ALL;
}

const char *comparing_hidden(const struct ws *ws, int64_t take)
{
	static const char *const names[MIXER_SLOTS] = {"A", "B", "C", "D"};
	const struct comparing *c = &ws->comparing;

	for (int i = 0; i < c->n && c->is_blind; i++)
		if (c->at[i].take == take)
			return names[i];
	return NULL;
}

static double longest(const struct comparing *c)
{
	double s = 0;

	for (int i = 0; i < c->n; i++)
		s = fmax(s, c->at[i].seconds);
	return s;
}

double comparing_length(const struct ws *ws, const struct listen_view *v)
{
	return comparing_hidden(ws, v->take) ? longest(&ws->comparing) : v->length_s;
}

/* ---- the screen --------------------------------------------------------- */

static double position(const struct ws *ws)
{
	struct listen_view v;

	listen_read(ws->listen, &v);
	return is_heard(ws, &v) && !v.is_loading ? v.position_s : 0;
}

static int load(struct ws *ws, int height, struct err *e)
{
	struct comparing *c = &ws->comparing;
	struct arena a = {0};
	int rc = 0;

	for (int i = 0; i < c->n && !rc && !c->at[i].picture; i++) {
		rc = picture_open(arena_printf(&a, "%s/cache/pictures", ws->library), ws->wake_fd,
			&c->at[i].picture, e);
		if (!rc)
			picture_ask(c->at[i].picture,
				&(struct picture_desc){.path = arena_printf(&a, "%s/%s",
							       ws->library, c->at[i].path),
					.scale = ws->listening.scale,
					.fft = ws->listening.fft});
	}
	arena_done(&a);
	return rc;
}

static struct picture_pane pane_of(const struct ws *ws, const struct compared *one, double head)
{
	return (struct picture_pane){.picture = one->picture,
		.span = {0, longest(&ws->comparing)},
		.map = ws->listening.map,
		.glyphs = ws->listening.glyphs,
		.low_db = ws->listening.low_db,
		.playhead = head,
		.loop = ws->sound.loop,
		.is_looping = ws->sound.is_looping};
}

static void draw_title(const struct ws *ws, int i, int y, int width)
{
	const struct comparing *c = &ws->comparing;
	const struct compared *one = &c->at[i];
	const bool is_now = i == c->heard;
	const enum theme_role role = is_now ? ROLE_ROW_SELECTED : ROLE_TITLE;
	struct str left = {0}, right = {0};
	char seed[32];
	int n;

	str_printf(&left, "%s %c  %s", is_now ? paint_is_utf8() ? "\u25b6" : ">" : " ", 'A' + i,
		c->is_blind ? "hidden until Enter chooses one" : str_get(&one->title));
	if (!c->is_blind && isfinite(one->lufs))
		str_printf(&right, "  %.1f LUFS, %+.1f dB ", one->lufs, loudness_db(1 - one->cut));
	else if (!c->is_blind)
		str_add(&right, "  loudness not known ");
	n = width >= 60 ? (int)right.n : 0;
	snprintf(seed, sizeof(seed), "  seed %llu", (unsigned long long)one->seed);
	if (!c->is_blind && text_cells(str_get(&left)) + strlen(seed) <= (size_t)(width - n))
		str_add(&left, seed);
	paint(y, 0, width - n, role, str_get(&left));
	paint(y, width - n, n, role == ROLE_TITLE ? ROLE_DIM : role, str_get(&right));
	str_done(&right);
	str_done(&left);
}

static void draw_one(struct ws *ws, int i, int y, int height, int width)
{
	struct comparing *c = &ws->comparing;
	struct compared *one = &c->at[i];
	const struct picture_pane p = pane_of(ws, one, c->drawn);

	draw_title(ws, i, y, width);
	one->pane = (struct rect){y + 1, 0, height - 1, width};
	if (one->pane.height >= PICTURE_FROM && one->picture && !c->is_blind) {
		picture_pane_draw(&p, &one->pane);
		return;
	}
	for (int k = 1; k < height; k++)
		paint(y + k, 0, width, ROLE_TEXT, "");
}

static void draw_nothing(const struct ws *ws, int height, int width)
{
	for (int y = 0; y < height; y++)
		paint(y, 0, width, ROLE_TEXT, "");
	paint(height > 2 ? 2 : 0, 2, width - 2, ROLE_DIM,
		ws->takes.total
			? "Nothing to compare. In the library, mark two to four takes with m, "
			  "then C."
			: "Nothing to compare yet. i makes takes.");
}

static void draw(struct ws *ws, int height, int width)
{
	struct comparing *c = &ws->comparing;
	int y = 0;

	if (!c->n) {
		draw_nothing(ws, height, width);
		return;
	}
	c->drawn = position(ws);
	for (int i = 0; i < c->n; i++) {
		const int end = height * (i + 1) / c->n;

		c->at[i].pane = (struct rect){0};
		if (end > y)
			draw_one(ws, i, y, end - y, width);
		y = end;
	}
}

static void move_playheads(struct ws *ws, int height, int width)
{
	struct comparing *c = &ws->comparing;
	const double was = c->drawn;

	c->drawn = position(ws);
	for (int i = 0; i < c->n && !c->is_blind; i++) {
		const struct picture_pane p = pane_of(ws, &c->at[i], c->drawn);

		if (c->at[i].picture && c->at[i].pane.height >= PICTURE_FROM)
			picture_pane_move(&p, was, &c->at[i].pane);
	}
}

static void tick(struct ws *ws, bool is_awake)
{
	ws->dirty |= is_awake ? DIRTY_BODY : DIRTY_MOVE;
}

static int frame_ms(const struct ws *ws)
{
	const struct comparing *c = &ws->comparing;
	const struct rect *r = &c->at[0].pane;
	const struct picture_layout at = picture_pane_layout(r->height, r->width);

	return interval_frame_ms(pane_of(ws, &c->at[0], 0).span, at.columns,
		c->n * (at.n_picture + at.n_wave),
		ws->env->ssh_connection ? REMOTE_FPS : LOCAL_FPS);
}

/* In the one that is heard. */
static void drag(struct ws *ws, int x)
{
	const struct comparing *c = &ws->comparing;
	const struct compared *one = &c->at[c->heard];
	const struct picture_pane p = pane_of(ws, one, -1);

	if (!c->n || c->is_blind || one->pane.width < 1)
		return;
	listen_scrub(ws->listen, picture_pane_nearest(&p, &one->pane, x));
	ws->dirty |= DIRTY_NOW | DIRTY_MOVE;
}

/* A press is heard: that one, at that moment.  The wheel goes from one to another. */
static bool on_mouse(struct ws *ws, const struct mouse *m)
{
	struct comparing *c = &ws->comparing;
	double at;

	if (m->what == MOUSE_DRAG)
		drag(ws, m->x);
	if (m->what == MOUSE_WHEEL_UP || m->what == MOUSE_WHEEL_DOWN) {
		comparing_switch(ws, c->heard + (m->what == MOUSE_WHEEL_UP ? -1 : 1));
		return true;
	}
	for (int i = 0; i < c->n; i++) {
		const struct rect *r = &c->at[i].pane;
		const struct picture_pane p = pane_of(ws, &c->at[i], -1);

		if (m->what != MOUSE_PRESS || r->width < 1 || m->y < r->y - 1 ||
			m->y >= r->y + r->height)
			continue;
		comparing_switch(ws, i);
		if (!c->is_blind && picture_pane_time(&p, r, m->y - r->y, m->x, &at))
			listen_scrub(ws->listen, at);
		ws->dirty |= DIRTY_NOW | DIRTY_MOVE;
		return true;
	}
	return false;
}

static struct list *list_of(struct ws *ws)
{
	return &ws->comparing.list;
}

static size_t targets(struct ws *ws, struct arena *a, const int64_t **ret)
{
	const struct comparing *c = &ws->comparing;
	int64_t *id = ARENA_ARRAY(a, int64_t, 1);

	if (!c->n)
		return 0;
	*id = c->at[c->heard].take;
	*ret = id;
	return 1;
}

static const char *hints_now(const struct ws *ws)
{
	return ws->comparing.n   ? view_compare.hints
	       : ws->takes.total ? "1 library  q back  ? keys"
				 : "i new  q back  ? keys";
}

const struct view view_compare = {.name = "compare",
	.tab = "5 Compare",
	.hints = "a next, same position  b blind  Enter choose  Space play  { } L loop  ? keys",
	.hints_now = hints_now,
	.load = load,
	.draw = draw,
	.move = move_playheads,
	.tick = tick,
	.frame_ms = frame_ms,
	.mouse = on_mouse,
	.list = list_of,
	.targets = targets};
