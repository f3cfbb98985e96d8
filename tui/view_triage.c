/* Triage: the liveliest ten seconds of each take that nobody has heard. */
#include "tui/view_triage.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "library/audio.h"
#include "library/base/arena.h"
#include "library/base/clock.h"
#include "library/base/err.h"
#include "library/base/vec.h"
#include "library/liveliest.h"
#include "library/takes.h"
#include "tui/background.h"
#include "tui/listen.h"
#include "tui/picture.h"
#include "tui/picture_pane.h"
#include "tui/terminal.h"
#include "tui/ws.h"

enum { TAKES_MAX = 10000, READ_HZ = 22050 };

static const double WINDOW_S = 10;

static void play(struct ws *ws, double begin_s);

void triage_close(struct triage *t)
{
	free(t->takes);
	VEC_DONE(&t->deeds);
	str_done(&t->prompt);
	str_done(&t->facts);
	str_done(&t->path);
	*t = (struct triage){0};
}

int64_t triage_take(const struct ws *ws)
{
	const struct triage *t = &ws->triage;

	return t->at < t->n ? t->takes[t->at] : 0;
}

/* ---- where it is liveliest ---------------------------------------------- */

struct looking {
	struct task task;
	int64_t take;
	char *path;
	double begin_s;
};

static int look(struct db *db, struct task *task, struct err *e)
{
	struct looking *l = (struct looking *)task;
	const struct audio_read_desc d = {
		.path = l->path, .rate_hz = READ_HZ, .channels = 1, .max_s = 3600};
	struct audio audio;
	int rc = audio_read(&d, &audio, e);

	if (rc)
		return rc;
	rc = liveliest(audio.samples, audio.n_frames, 1, READ_HZ, WINDOW_S, &l->begin_s, e);
	audio_done(&audio);
	return rc;
}

/* One that cannot be read is played from its beginning, which then says why. */
static void end_look(struct ws *ws, struct task *task, int rc, struct err *e)
{
	struct looking *l = (struct looking *)task;
	struct triage *t = &ws->triage;

	if (rc != ERR_CANCELLED) {
		t->found[t->n_found % 2].take = l->take;
		t->found[t->n_found++ % 2].begin_s = l->begin_s;
		if (l->take == triage_take(ws) && !t->is_begun)
			play(ws, l->begin_s);
	}
	free(l->path);
	free(l);
}

/* False: it has to be looked for. */
static bool is_found(const struct triage *t, int64_t take, double *ret_s)
{
	for (int i = 0; i < 2; i++)
		if (t->found[i].take == take) {
			*ret_s = t->found[i].begin_s;
			return true;
		}
	return false;
}

static void ask(struct ws *ws, int64_t take)
{
	struct looking *l;
	struct arena a = {0};
	double begin_s;
	struct take t;

	if (is_found(&ws->triage, take, &begin_s) || takes_get(ws->db, take, &a, &t, NULL)) {
		arena_done(&a);
		return;
	}
	l = xcalloc(1, sizeof(*l));
	l->task.run = look;
	l->task.end = end_look;
	l->take = take;
	l->path = xstrdup(arena_printf(&a, "%s/%s", ws->library, t.file));
	background_do(ws->looks, &l->task);
	arena_done(&a);
}

/* ---- one after the other ------------------------------------------------ */

static void play(struct ws *ws, double begin_s)
{
	struct triage *t = &ws->triage;
	const double end_s = fmin(begin_s + WINDOW_S, t->seconds);
	struct err e = {0};

	t->is_begun = true;
	t->begin_s = begin_s;
	if (listen_play(ws->listen,
		    &(struct listen_source){.take = triage_take(ws),
			    .path = str_get(&t->path),
			    .begin_s = begin_s,
			    .end_s = end_s},
		    &e))
		ws_fail(ws, &e);
	sound_follow(ws);
	ws->sound.loop = (struct interval){begin_s, end_s};
	ws->sound.is_looping = true;
	if (t->at + 1 < t->n)
		ask(ws, t->takes[t->at + 1]);
	ws->dirty |= DIRTY_BODY | DIRTY_NOW;
}

/* Its turn; false: it is gone. */
static bool begin(struct ws *ws)
{
	struct triage *t = &ws->triage;
	struct arena a = {0};
	struct err e = {0};
	struct take take;
	double begin_s;
	int rc = takes_get(ws->db, triage_take(ws), &a, &take, &e);

	str_clear(&t->prompt);
	str_clear(&t->facts);
	str_clear(&t->path);
	t->is_begun = false;
	if (!rc) {
		str_add(&t->prompt, take.prompt);
		str_printf(&t->facts, "%s  seed %llu  %.1f s", take.model,
			(unsigned long long)take.seed, take.seconds);
		str_printf(&t->path, "%s/%s", ws->library, take.file);
		t->seconds = take.seconds;
	}
	arena_done(&a);
	err_clear(&e);
	if (rc)
		return false;
	if (is_found(t, triage_take(ws), &begin_s))
		play(ws, begin_s);
	else
		ask(ws, triage_take(ws));
	ws->dirty |= DIRTY_BODY;
	return true;
}

void triage_leave(struct ws *ws)
{
	const struct sound *s = &ws->sound;

	if (s->take && s->take == triage_take(ws) && s->is_looping &&
		s->loop.begin == ws->triage.begin_s)
		sound_loop(ws, (struct interval){0}, false);
}

static void finish(struct ws *ws)
{
	struct triage *t = &ws->triage;
	const struct triage_deed *last;
	bool is_undone_by_u;

	listen_stop(ws->listen);
	ws_settle(ws); /* what was done last has its say first */
	last = triage_last(ws);
	is_undone_by_u = last && last->take == t->takes[t->n - 1] && (last->action || last->job);
	ws_show(ws, SCREEN_LIBRARY);
	ws_say(ws, "that was the last one: %zu kept, %zu dropped, %zu made again%s",
		t->judged[TRIAGE_KEPT], t->judged[TRIAGE_DROPPED], t->judged[TRIAGE_AGAIN],
		is_undone_by_u ? "; u takes back" : "");
	triage_close(t);
}

void triage_go(struct ws *ws, int by)
{
	struct triage *t = &ws->triage;
	const size_t from = t->at;

	do
		t->at += (size_t)(ptrdiff_t)by;
	while (t->at < t->n && !begin(ws));
	if (t->at < t->n)
		return;
	if (by > 0) {
		finish(ws);
		return;
	}
	t->at = from;
	if (from) /* others were tried, which are gone */
		begin(ws);
	ws_refuse(ws, "this is the first one");
}

/* ---- verdicts ----------------------------------------------------------- */

static enum triage_verdict verdict_of(const struct triage *t, int64_t take)
{
	for (size_t i = t->deeds.n; i-- > 0;)
		if (t->deeds.at[i].take == take)
			return t->deeds.at[i].verdict;
	return TRIAGE_OPEN;
}

void triage_judge(struct ws *ws, enum triage_verdict verdict)
{
	struct triage *t = &ws->triage;
	const int64_t take = triage_take(ws);

	t->judged[verdict_of(t, take)]--;
	t->judged[verdict]++;
	*VEC_PUSH(&t->deeds) = (struct triage_deed){.take = take, .verdict = verdict};
}

struct triage_deed *triage_unwritten(struct ws *ws, int64_t take)
{
	struct triage *t = &ws->triage;

	for (size_t i = 0; i < t->deeds.n; i++)
		if (t->deeds.at[i].take == take && !t->deeds.at[i].is_written)
			return &t->deeds.at[i];
	return NULL;
}

struct triage_deed *triage_last(struct ws *ws)
{
	struct triage *t = &ws->triage;

	for (size_t i = t->deeds.n; i-- > 0;)
		if (!t->deeds.at[i].is_leaving)
			return &t->deeds.at[i];
	return NULL;
}

bool triage_is_leaving(const struct ws *ws)
{
	const struct triage *t = &ws->triage;

	for (size_t i = 0; i < t->deeds.n; i++)
		if (t->deeds.at[i].is_leaving)
			return true;
	return false;
}

static void give_turn(struct ws *ws, int64_t take)
{
	struct triage *t = &ws->triage;

	for (size_t i = 0; i < t->n; i++)
		if (t->takes[i] == take) {
			t->at = i;
			begin(ws);
			return;
		}
}

void triage_left(struct ws *ws, int64_t take, bool stays)
{
	struct triage *t = &ws->triage;
	struct triage_deed *d = t->deeds.at;
	size_t i = t->deeds.n;

	while (i && !(d[i - 1].take == take && d[i - 1].is_leaving))
		i--;
	if (!i)
		return; /* another triage has begun */
	if (stays) {
		d[i - 1].is_leaving = false;
		return;
	}
	t->judged[verdict_of(t, take)]--;
	memmove(d + i - 1, d + i, (t->deeds.n-- - i) * sizeof(*d));
	t->judged[verdict_of(t, take)]++;
	give_turn(ws, take);
}

/* ---- which there are ---------------------------------------------------- */

struct finding {
	struct task task;
	struct takes_ids ids;
};

static int find(struct db *db, struct task *task, struct err *e)
{
	const struct takes_query q = {.filter = "-heard -missing",
		.order = TAKES_OLDEST,
		.limit = TAKES_MAX,
		.now_ms = clock_unix_ms()};

	return takes_ids(db, &q, &((struct finding *)task)->ids, e);
}

static void end_find(struct ws *ws, struct task *task, int rc, struct err *e)
{
	struct finding *f = (struct finding *)task;
	struct triage *t = &ws->triage;

	if (rc && rc != ERR_CANCELLED)
		ws_fail(ws, e);
	triage_close(t);
	if (!rc && f->ids.n) {
		t->takes = xcalloc(f->ids.n, sizeof(*t->takes));
		memcpy(t->takes, f->ids.at, f->ids.n * sizeof(*t->takes));
		t->n = t->judged[TRIAGE_OPEN] = f->ids.n;
		if (!begin(ws))
			triage_go(ws, 1);
	}
	ws->dirty |= DIRTY_BODY;
	VEC_DONE(&f->ids);
	free(f);
}

void triage_begin(struct ws *ws)
{
	struct finding *f = xcalloc(1, sizeof(*f));

	triage_close(&ws->triage);
	ws->triage.is_finding = true;
	f->task.run = find;
	f->task.end = end_find;
	background_do(ws->writer, &f->task); /* behind what was heard a moment ago */
}

/* ---- the screen --------------------------------------------------------- */

static struct picture_pane pane_of(const struct ws *ws, double head)
{
	const struct triage *t = &ws->triage;

	return (struct picture_pane){.picture = ws->listening.picture,
		.span = {0, t->seconds},
		.map = ws->listening.map,
		.glyphs = ws->listening.glyphs,
		.low_db = ws->listening.low_db,
		.playhead = head,
		.loop = ws->sound.loop,
		.is_looping = ws->sound.is_looping};
}

/* The picture is Listen's, of what is played. */
static int load(struct ws *ws, int height, struct err *e)
{
	return triage_take(ws) ? view_listen.load(ws, height, e) : 0;
}

static bool has_picture(const struct ws *ws)
{
	return ws->listening.picture && ws->triage.is_begun &&
	       ws->listening.take == triage_take(ws) && ws->triage.pane.height > 0;
}

static void draw_nothing(const struct ws *ws, int height, int width)
{
	for (int y = 0; y < height; y++)
		paint(y, 0, width, ROLE_TEXT, "");
	paint(height > 2 ? 2 : 0, 2, width - 2, ROLE_DIM,
		ws->triage.is_finding ? ""
		: !ws->takes.total
			? "Nothing to hear yet. i makes the first take."
			: "Every take has been heard. 1 is the library, i makes new ones.");
}

static void draw(struct ws *ws, int height, int width)
{
	struct triage *t = &ws->triage;
	struct picture_pane p;
	char place[48];

	t->pane = (struct rect){3, 0, height - 3, width};
	if (!triage_take(ws)) {
		draw_nothing(ws, height, width);
		return;
	}
	snprintf(place, sizeof(place), "%zu of %zu ", t->at + 1, t->n);
	paint(0, 0, width, ROLE_TITLE, " Triage");
	paint_right(0, width / 2, width - width / 2, ROLE_DIM, place);
	paint(1, 0, 1, ROLE_TEXT, "");
	paint(1, 1, width - 1, ROLE_TEXT, str_get(&t->prompt));
	paint(2, 0, 1, ROLE_DIM, "");
	paint(2, 1, width - 1, ROLE_DIM, str_get(&t->facts));
	t->drawn = listening_position(ws);
	p = pane_of(ws, t->drawn);
	if (has_picture(ws)) {
		picture_pane_draw(&p, &t->pane);
		return;
	}
	for (int y = 3; y < height; y++)
		paint(y, 0, width, ROLE_TEXT, "");
}

static void move_playhead(struct ws *ws, int height, int width)
{
	struct triage *t = &ws->triage;
	const double was = t->drawn;
	struct picture_pane p;

	if (!has_picture(ws))
		return;
	t->drawn = listening_position(ws);
	p = pane_of(ws, t->drawn);
	picture_pane_move(&p, was, &t->pane);
}

static void tick(struct ws *ws, bool is_awake)
{
	ws->dirty |= is_awake ? DIRTY_BODY : DIRTY_MOVE;
}

static bool on_mouse(struct ws *ws, const struct mouse *m)
{
	const struct rect *r = &ws->triage.pane;
	const struct picture_pane p = pane_of(ws, -1);
	double at;

	if (!has_picture(ws))
		return false;
	if (m->what == MOUSE_RELEASE)
		return true;
	if (m->what == MOUSE_DRAG)
		at = picture_pane_nearest(&p, r, m->x - r->x);
	else if (m->what != MOUSE_PRESS || !picture_pane_time(&p, r, m->y - r->y, m->x - r->x, &at))
		return false;
	listen_scrub(ws->listen, at);
	ws->dirty |= DIRTY_NOW | DIRTY_MOVE;
	return true;
}

static struct list *list_of(struct ws *ws)
{
	return &ws->triage.no_rows;
}

static size_t targets(struct ws *ws, struct arena *a, const int64_t **ret)
{
	int64_t *id = ARENA_ARRAY(a, int64_t, 1);

	*id = triage_take(ws);
	*ret = id;
	return *id != 0;
}

static const char *hints_now(const struct ws *ws)
{
	return triage_take(ws)      ? view_triage.hints
	       : ws->triage.deeds.n ? "z undo  i new  q back  ? keys"
				    : "i new  q back  ? keys";
}

const struct view view_triage = {.name = "triage",
	.tab = "",
	.hints = "f keep  d drop  r again  s skip  b back  z undo  x all  Space pause  ? keys",
	.hints_now = hints_now,
	.load = load,
	.draw = draw,
	.move = move_playhead,
	.tick = tick,
	.mouse = on_mouse,
	.list = list_of,
	.targets = targets};
