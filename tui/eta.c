/* When jobs will be done. */
#include "tui/eta.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const double EARLY_S = 0.5; /* no rate from less */

static const struct eta_watch *find(const struct eta *e, int64_t job)
{
	for (int i = 0; i < ETA_MAX; i++)
		if (e->at[i].job == job)
			return &e->at[i];
	return NULL;
}

/* Its place, else that of the one nobody has told of for longest. */
static struct eta_watch *place(struct eta *e, int64_t job)
{
	struct eta_watch *oldest = &e->at[0];

	for (int i = 0; i < ETA_MAX; i++) {
		if (e->at[i].job == job)
			return &e->at[i];
		if (e->at[i].seen < oldest->seen)
			oldest = &e->at[i];
	}
	return oldest;
}

void eta_see(
	struct eta *e, int64_t job, const char *stage, uint64_t done, uint64_t total, double now)
{
	struct eta_watch *w = place(e, job);

	if (w->job == job && !strcmp(w->stage, stage) && done >= w->done && total == w->total) {
		if (done > w->done)
			w->seen = now;
		w->done = done;
		return;
	}
	*w = (struct eta_watch){
		.job = job, .began = now, .seen = now, .done0 = done, .done = done, .total = total};
	snprintf(w->stage, sizeof(w->stage), "%s", stage);
}

static double rate_of(const struct eta_watch *w)
{
	const double elapsed = w->seen - w->began;

	return elapsed < EARLY_S || w->done <= w->done0 ? 0
							: (double)(w->done - w->done0) / elapsed;
}

double eta_rate(const struct eta *e, int64_t job)
{
	const struct eta_watch *w = find(e, job);

	return w ? rate_of(w) : 0;
}

double eta_left(const struct eta *e, int64_t job, double elapsed_s, double load_s, double wall_s,
	double now)
{
	const struct eta_watch *w = find(e, job);
	const double rate = w ? rate_of(w) : 0, usual = wall_s - elapsed_s;
	double left, beyond;

	if (w && !strcmp(w->stage, "load"))
		left = fmax(load_s - elapsed_s, 0) + wall_s;
	else if (!w || !rate || !w->total)
		left = w && !strcmp(w->stage, "decode") ? fmin(usual, wall_s / 4) : usual;
	else {
		left = (double)(w->total - w->done) / rate - (now - w->seen);
		beyond = wall_s - (double)w->total / rate;
		if (!strcmp(w->stage, "render") && beyond > 0)
			left = fmax(left, 0) + fmin(beyond, wall_s / 2);
	}
	return isnan(left) ? left : fmax(left, 0);
}
