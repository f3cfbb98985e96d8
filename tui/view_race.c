/* The race sheet: a lane for each model. */
#include "tui/view_race.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "library/base/err.h"
#include "library/loudness.h"
#include "tui/listen.h"
#include "tui/paint.h"
#include "tui/race.h"
#include "tui/ws.h"

enum { HEADS = 2, LANES_MAX = 26, MODEL_WIDTH = 28 };

void race_close(struct race *r)
{
	arena_done(&r->page);
	*r = (struct race){0};
}

void race_show(struct ws *ws, int64_t batch)
{
	race_close(&ws->race);
	ws->race.batch = batch;
	ws->race.is_stale = true;
	ws_show(ws, SCREEN_RACE);
}

/* ---- lanes -------------------------------------------------------------- */

static void match(struct race *r)
{
	double lufs[LANES_MAX], peak[LANES_MAX], gain[LANES_MAX];

	for (size_t i = 0; i < r->n; i++) {
		lufs[i] = r->lanes[i].take.id ? r->lanes[i].take.lufs : NAN;
		peak[i] = r->lanes[i].take.id ? r->lanes[i].take.peak : NAN;
	}
	loudness_match(lufs, peak, r->n, gain);
	for (size_t i = 0; i < r->n; i++)
		r->lanes[i].cut = 1 - gain[i];
}

static void read_settings(struct race *r)
{
	struct race_told *told = ARENA_ARRAY(&r->page, struct race_told, r->n + 1);
	struct str text = {0};

	for (size_t i = 0; i < r->n; i++)
		told[i] = (struct race_told){r->lanes[i].job.options, r->lanes[i].job.negative};
	race_settings(told, r->n, &text);
	r->settings = arena_strdup(&r->page, str_get(&text));
	for (size_t i = 0; i < r->n; i++) {
		str_clear(&text);
		race_lacks(told, r->n, i, &text);
		r->lanes[i].lacks = arena_strdup(&r->page, str_get(&text));
	}
	str_done(&text);
}

static int read_lanes(struct ws *ws, struct race *r, struct err *e)
{
	struct job *jobs = NULL;
	size_t n = 0;
	int rc = jobs_list_batch(ws->db, r->batch, LANES_MAX, &r->page, &jobs, &n, e);

	r->lanes = ARENA_ARRAY(&r->page, struct racer, n + 1);
	for (size_t i = 0; i < n && !rc; i++) {
		r->lanes[i].job = jobs[i];
		if (jobs[i].take &&
			takes_get(ws->db, jobs[i].take, &r->page, &r->lanes[i].take, NULL))
			r->lanes[i].take.id = 0;
		r->n++;
	}
	read_settings(r);
	return rc;
}

static int load(struct ws *ws, int height, struct err *e)
{
	struct race *r = &ws->race;
	int rc = 0;

	if (r->is_stale) {
		arena_done(&r->page);
		r->page = (struct arena){0};
		r->n = 0;
		if (!r->batch)
			rc = jobs_last_race(ws->db, &r->batch, e);
		if (!rc && r->batch)
			rc = read_lanes(ws, r, e);
		r->is_stale = rc != 0;
		match(r);
	}
	list_set_count(&r->list, (int64_t)r->n);
	list_resize(&r->list, height > HEADS ? height - HEADS : 0);
	return rc;
}

void race_play(struct ws *ws, int64_t i)
{
	struct race *r = &ws->race;
	struct arena a = {0};
	struct err e = {0};
	struct listen_view v;
	double begin_s = 0;

	listen_read(ws->listen, &v);
	if (i < 0 || i >= (int64_t)r->n) {
		ws_say(ws, "there is no such lane");
		return;
	}
	list_go(&r->list, i);
	ws->dirty |= DIRTY_BODY;
	if (!r->lanes[i].take.id) {
		ws_say(ws, "%s has not made it: %s", r->lanes[i].job.model, r->lanes[i].job.state);
		return;
	}
	for (size_t k = 0; k < r->n; k++)
		if (v.is_playing && !v.is_loading && r->lanes[k].take.id == v.take)
			begin_s = v.position_s;
	if (listen_play(ws->listen,
		    &(struct listen_source){.take = r->lanes[i].take.id,
			    .path = arena_printf(&a, "%s/%s", ws->library, r->lanes[i].take.file),
			    .cut = r->lanes[i].cut,
			    .begin_s = begin_s},
		    &e))
		ws_fail(ws, &e);
	sound_follow(ws);
	ws->dirty |= DIRTY_NOW;
	arena_done(&a);
}

/* ---- the screen --------------------------------------------------------- */

static void state_text(const struct racer *lane, struct str *out)
{
	const struct take *t = &lane->take;
	const struct job *j = &lane->job;
	char length[16];

	if (t->id) {
		str_printf(out, "%s", format_duration(t->seconds + 0.5, length));
		if (isfinite(t->lufs))
			str_printf(
				out, "  %.1f LUFS, %+.1f dB", t->lufs, loudness_db(1 - lane->cut));
		str_printf(out, "%s%s%s", *t->verdict ? "  " : "", t->verdict,
			t->favourite ? "  *" : "");
	} else if (j->error) {
		str_printf(out, "failed: %s", j->error);
	} else if (j->total) {
		str_printf(out, "%s  %.0f%%", j->stage ? j->stage : j->state,
			100.0 * (double)j->done / (double)j->total);
	} else {
		str_add(out, j->take ? "gone" : j->state);
	}
	if (*lane->lacks)
		str_printf(out, "  takes no %s", lane->lacks);
}

static void draw_lane(struct ws *ws, size_t i, int y, int width)
{
	const struct race *r = &ws->race;
	const struct racer *lane = &r->lanes[i];
	struct str text = {0};
	struct listen_view v;
	char name[48];
	int n = width < 2 * MODEL_WIDTH ? width / 2 : MODEL_WIDTH;

	listen_read(ws->listen, &v);
	const bool is_played =
		lane->take.id && lane->take.id == v.take && !comparing_hidden(ws, lane->take.id);
	const enum theme_role role = (int64_t)i == r->list.cursor ? ROLE_ROW_SELECTED
				     : is_played                  ? ROLE_ROW_PLAYING
				     : lane->job.error            ? ROLE_ROW_FAILED
								  : ROLE_TEXT;

	snprintf(name, sizeof(name), "%s %c  %.40s",
		!is_played        ? " "
		: paint_is_utf8() ? "\u25b6"
				  : ">",
		'A' + (int)i, lane->job.model);
	state_text(lane, &text);
	paint(y, 0, n, role, name);
	paint(y, n, width - n, role, str_get(&text));
	str_done(&text);
}

static void draw(struct ws *ws, int height, int width)
{
	struct race *r = &ws->race;
	struct str facts = {0};

	for (int y = 0; y < height; y++)
		paint(y, 0, width, ROLE_TEXT, "");
	paint(0, 0, width, ROLE_TITLE, " Race");
	if (!r->n) {
		paint(height > 2 ? 2 : 0, 2, width - 2, ROLE_DIM,
			ws->takes.total ? "No race yet. In the library, X has every installed "
					  "model make the prompt."
					: "No race yet. :race PROMPT has every installed model "
					  "make it.");
		return;
	}
	str_printf(&facts, "  %s%sseed %llu  %s s ", r->settings, *r->settings ? "  " : "",
		(unsigned long long)r->lanes[0].job.seed, r->lanes[0].job.seconds);
	if (width >= 50)
		paint_right(0, 6, width - 6, ROLE_DIM, str_get(&facts));
	paint(1, 1, width - 1, ROLE_TEXT, r->lanes[0].job.prompt);
	for (int k = 0; k < (int)r->list.height; k++) {
		const int64_t row = list_at(&r->list, k);

		if (row >= 0)
			draw_lane(ws, (size_t)row, HEADS + k, width);
	}
	str_done(&facts);
}

static struct list *list_of(struct ws *ws)
{
	return &ws->race.list;
}

/* All that were made: what a compares. */
static size_t targets(struct ws *ws, struct arena *a, const int64_t **ret)
{
	const struct race *r = &ws->race;
	int64_t *ids = ARENA_ARRAY(a, int64_t, r->n + 1);
	size_t n = 0;

	for (size_t i = 0; i < r->n; i++)
		if (r->lanes[i].take.id)
			ids[n++] = r->lanes[i].take.id;
	*ret = ids;
	return n;
}

static const char *hints_now(const struct ws *ws)
{
	return ws->race.n        ? view_race.hints
	       : ws->takes.total ? "1 library  q back  ? keys"
				 : ": command  q back  ? keys";
}

const struct view view_race = {.name = "race",
	.tab = "",
	.hints = "A-H play, equally loud  a compare  Enter play  Space pause  ? keys",
	.hints_now = hints_now,
	.load = load,
	.draw = draw,
	.list = list_of,
	.heads = HEADS,
	.targets = targets};
