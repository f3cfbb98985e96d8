/* What the queue's screen shows: jobs, who does them, when they will be done. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "library/base/clock.h"
#include "library/db.h"
#include "library/forecast.h"
#include "tui/ws.h"

enum { SHOWN_MAX = 500 }; /* jobs of a kind */

void queue_view_done(struct queue_view *v)
{
	arena_done(&v->page);
}

/* ---- when --------------------------------------------------------------- */

/* Forecasts of this page, one for each model and length. */
struct forecasts {
	struct {
		const char *model, *seconds;
		struct forecast f;
	} at[32];
	size_t n;
};

/* What a job of its own takes usually; NaN: not known. */
static struct forecast forecast_of(struct ws *ws, struct forecasts *all, const struct job *j)
{
	struct forecast f = {.load_s = NAN, .wall_s = NAN};
	double seconds = 0;

	for (size_t i = 0; i < all->n; i++)
		if (!strcmp(all->at[i].model, j->model) && !strcmp(all->at[i].seconds, j->seconds))
			return all->at[i].f;
	if (*j->seconds && !parse_f64(j->seconds, &seconds))
		seconds = 0;
	if (forecast_take(ws->db, j->model, NULL, seconds, &f, NULL))
		f = (struct forecast){.load_s = NAN, .wall_s = NAN};
	if (all->n < sizeof(all->at) / sizeof(*all->at)) {
		all->at[all->n].model = j->model;
		all->at[all->n].seconds = j->seconds;
		all->at[all->n++].f = f;
	}
	return f;
}

/* Takes of one batch are made together. */
static size_t batch_at_work(const struct queue_view *v, int64_t batch)
{
	size_t n = 0;

	for (size_t i = 0; i < v->n_at_work; i++)
		n += v->jobs[i].batch == batch;
	return n;
}

/* One after the other, as a single worker does them; what is not known makes all
 * after it unknown. */
static void tell_when(struct ws *ws, struct queue_view *v)
{
	const double now = clock_now();
	const int64_t now_ms = clock_unix_ms();
	const char *loaded = v->n_workers ? v->workers[0].model : NULL;
	struct forecasts all = {0};
	double at = 0;

	for (size_t i = 0; i < v->n_at_work; i++) {
		const struct job *j = &v->jobs[i];
		const struct forecast f = forecast_of(ws, &all, j);
		const double elapsed = (double)(now_ms - j->started) / 1e3;

		eta_see(&v->eta, j->id, j->stage ? j->stage : "", j->done, j->total, now);
		v->left_s[i] = eta_left(&v->eta, j->id, elapsed, f.load_s,
			f.wall_s * (double)batch_at_work(v, j->batch), now);
		at = isnan(v->left_s[i]) || isnan(at) ? NAN : fmax(at, v->left_s[i]);
		loaded = j->model;
	}
	for (size_t i = v->n_at_work; i < v->n; i++) {
		const struct job *j = &v->jobs[i];

		if (i < v->n_at_work + v->n_waiting && !j->held) {
			const struct forecast f = forecast_of(ws, &all, j);

			at += f.wall_s;
			if (!loaded || strcmp(loaded, j->model))
				at += isnan(f.load_s) ? 0 : f.load_s;
			loaded = j->model;
			v->left_s[i] = at;
		} else {
			v->left_s[i] = NAN;
		}
	}
	v->all_left_s = at + v->behind_s;
}

/* ---- who ---------------------------------------------------------------- */

/* Ticks that a process has been at work, of all its threads; -1: it is not here. */
static int64_t ticks_of(int64_t pid)
{
	char path[64], text[1024];
	long long user = 0, system = 0;
	const char *rest;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%lld/stat", (long long)pid);
	f = fopen(path, "re");
	if (!f)
		return -1;
	text[fread(text, 1, sizeof(text) - 1, f)] = 0;
	fclose(f);
	rest = strrchr(text, ')'); /* the name before it may hold anything */
	if (!rest || sscanf(rest, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lld %lld", &user,
			     &system) != 2)
		return -1;
	return user + system;
}

static void read_load(struct queue_view *v)
{
	const double now = clock_now();
	const int64_t pid = v->n_workers ? v->workers[0].pid : 0, ticks = pid ? ticks_of(pid) : -1;

	if (ticks < 0 || pid != v->ticks_pid) {
		v->load = NAN;
	} else {
		if (now - v->ticks_at < 0.4)
			return;
		v->load = (double)(ticks - v->ticks) / (double)sysconf(_SC_CLK_TCK) /
			  (now - v->ticks_at);
	}
	v->ticks = ticks;
	v->ticks_pid = pid;
	v->ticks_at = now;
}

/* ---- all of it ---------------------------------------------------------- */

static int read_jobs(struct ws *ws, struct queue_view *v, struct err *e)
{
	struct forecast_ahead behind = {0};
	int64_t since = 0;
	int rc = queue_hidden(ws->db, &since, e);

	v->n = v->n_at_work = v->n_waiting = 0;
	if (!rc)
		rc = jobs_list_recent(ws->db, since, SHOWN_MAX, &v->page, &v->jobs, &v->n, e);
	for (size_t i = 0; i < v->n; i++) {
		v->n_at_work += job_is_at_work(&v->jobs[i]);
		v->n_waiting += !strcmp(v->jobs[i].state, "queued");
	}
	v->left_s = ARENA_ARRAY(&v->page, double, v->n + 1);
	if (!rc)
		rc = forecast_behind(ws->db, v->n_waiting, &behind, e);
	v->behind_s = behind.wall_s;
	v->n_workers = 0;
	if (!rc)
		rc = workers_list(ws->db, &v->page, &v->workers, &v->n_workers, e);
	if (!rc)
		rc = workers_count(ws->db, &v->n_alive, e);
	return rc;
}

int queue_load(struct ws *ws, struct err *e)
{
	struct queue_view *v = &ws->queue;
	const struct job *selected = view_queue_selected(ws);
	const int64_t id = selected ? selected->id : 0;
	int rc;

	if (v->is_stale) {
		arena_done(&v->page);
		v->page = (struct arena){0};
		rc = read_jobs(ws, v, e);
		v->is_stale = rc != 0;
		list_set_count(&v->list, (int64_t)v->n);
		for (size_t i = 0; i < v->n; i++)
			if (v->jobs[i].id == id)
				list_go(&v->list, (int64_t)i);
		if (rc)
			return rc;
	}
	read_load(v);
	tell_when(ws, v);
	return 0;
}

bool queue_view_moves(const struct ws *ws)
{
	return ws->screen == SCREEN_QUEUE && ws->queue.n_at_work;
}
