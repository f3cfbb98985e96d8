/* How far a render is, on a terminal or as JSON lines. */
#include "engine/cli/progress.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "engine/cli/print.h"
#include "engine/cli/stop.h"
#include "library/base/clock.h"
#include "library/base/jsonw.h"
#include "library/base/str.h"

enum { BAR_MAX = 40, BAR_MIN = 5 };

static const double LINE_S = 0.1, JSON_S = 0.25;

static int terminal_width(void)
{
	struct winsize ws;

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &ws) || !ws.ws_col)
		return 80;
	return ws.ws_col;
}

static void add_time(struct str *out, double s)
{
	long t = lround(fmin(s, 359999));

	if (t >= 3600)
		str_printf(out, "%ld:%02ld:%02ld left", t / 3600, t / 60 % 60, t % 60);
	else
		str_printf(out, "%ld:%02ld left", t / 60, t % 60);
}

static void add_bar(struct str *out, int width, double share, bool color, bool utf8)
{
	int full = (int)(share * width + 0.5);

	if (color)
		str_add(out, "\033[36m");
	for (int i = 0; i < width; i++) {
		if (i == full && color)
			str_add(out, "\033[2m");
		str_add(out, utf8 ? (i < full || color ? "━" : "─") : (i < full ? "#" : "."));
	}
	if (color)
		str_add(out, "\033[0m");
}

void progress_format(
	struct str *out, const struct progress_view *v, int width, bool color, bool utf8)
{
	double share = v->total ? fmin(1, (double)v->done / (double)v->total) : 0;
	struct str tail = {0};
	int room;

	if (v->total)
		str_printf(&tail, " %3d %%", (int)(share * 100));
	if (v->per_s > 0)
		str_printf(&tail, "  %.1f steps/s", v->per_s);
	if (!isnan(v->left_s)) {
		str_add(&tail, "  ");
		add_time(&tail, v->left_s);
	}
	room = width - (int)strlen(v->stage) - 1 - (int)tail.n;
	if (room < 0) { /* what fits of the words */
		str_printf(out, "%.*s", width, v->stage);
		if ((int)strlen(v->stage) < width)
			str_printf(out, "%.*s", width - (int)strlen(v->stage), str_get(&tail));
	} else {
		str_printf(out, "%s ", v->stage);
		if (v->total && room >= BAR_MIN)
			add_bar(out, room < BAR_MAX ? room : BAR_MAX, share, color, utf8);
		str_add(out, str_get(&tail));
	}
	str_done(&tail);
}

/* Steps a second since the stage began, 0 when it is too early to say. */
static double speed(const struct progress *p, enum engine_stage s, double now)
{
	double elapsed = now - p->stage[s].began;

	if (elapsed < 0.05 || p->stage[s].done <= p->stage[s].done0)
		return 0;
	return (double)(p->stage[s].done - p->stage[s].done0) / elapsed;
}

static double left(const struct progress *p, enum engine_stage s, double per_s)
{
	if (!p->stage[s].total || per_s <= 0)
		return NAN;
	return (double)(p->stage[s].total - p->stage[s].done) / per_s;
}

static void show_line(struct progress *p, enum engine_stage s, double now)
{
	double per_s = speed(p, s, now);
	struct str line = {0};

	str_add(&line, "\r");
	progress_format(&line,
		&(struct progress_view){
			.stage = engine_stage_name(s),
			.done = p->stage[s].done,
			.total = p->stage[s].total,
			.per_s = s == ENGINE_STAGE_RENDER ? per_s : 0,
			.left_s = left(p, s, per_s),
		},
		terminal_width() - 1, p->color, p->utf8);
	str_add(&line, "\033[K");
	stop_lock();
	print_stderr(line.s, line.n);
	stop_line_shown(true);
	stop_unlock();
	str_done(&line);
}

static void show_plain(enum engine_stage s, uint64_t total)
{
	struct str line = {0};

	str_add(&line, engine_stage_name(s));
	if (s == ENGINE_STAGE_RENDER && total)
		str_printf(&line, ", %llu steps", (unsigned long long)total);
	str_add_char(&line, '\n');
	stop_lock();
	print_stderr(line.s, line.n);
	stop_unlock();
	str_done(&line);
}

static void show_json(struct progress *p, enum engine_stage s, double now)
{
	struct str line = {0};

	jsonw_begin(&line);
	jsonw_text(&line, "type", "progress");
	jsonw_text(&line, "stage", engine_stage_name(s));
	jsonw_u64(&line, "done", p->stage[s].done);
	jsonw_u64(&line, "total", p->stage[s].total);
	jsonw_num(&line, "eta_s", left(p, s, speed(p, s, now)));
	jsonw_end(&line);
	print_line(str_get(&line));
	str_done(&line);
}

static void show(struct progress *p, enum engine_stage s, double now)
{
	p->shown = now;
	p->stage[s].told_last = p->stage[s].done == p->stage[s].total;
	if (p->kind == PROGRESS_LINE)
		show_line(p, s, now);
	else if (p->kind == PROGRESS_JSON)
		show_json(p, s, now);
}

/* All takes count as those of the first batch, so that the total stays: steps may be of one
 * take or of all of a batch, and the last batch may have fewer. */
static void count_takes(const struct progress *p, double per_take, uint64_t *done, uint64_t *total)
{
	const double share = *total ? (double)*done / (double)*total : 0;

	*done = (uint64_t)llround(((double)p->n_before + share * (double)p->n_batch) * per_take);
	*total = (uint64_t)llround((double)p->n_takes * per_take);
}

void progress_update(struct progress *p, enum engine_stage s, uint64_t done, uint64_t total)
{
	double now = clock_now();
	bool first = !p->stage[s].begun;

	if (p->kind == PROGRESS_NONE || (unsigned)s >= PROGRESS_STAGES)
		return;
	if (s != ENGINE_STAGE_LOAD && p->n_takes > p->n_batch) {
		if (!(p->stage[s].per_take > 0))
			p->stage[s].per_take = (double)total / (double)p->n_batch;
		count_takes(p, p->stage[s].per_take, &done, &total);
	}
	p->stage[s].done = total && done > total ? total : done;
	p->stage[s].total = total;
	if (first) {
		p->stage[s].begun = true;
		p->stage[s].began = now;
		p->stage[s].done0 = p->stage[s].done;
		if (p->kind == PROGRESS_PLAIN)
			show_plain(s, total);
	}
	p->current = s;
	if (first || (done >= total && total && !p->stage[s].told_last) ||
		now - p->shown >= (p->kind == PROGRESS_JSON ? JSON_S : LINE_S))
		show(p, s, now);
}

void progress_clear(struct progress *p)
{
	if (p->kind != PROGRESS_LINE)
		return;
	stop_lock();
	print_stderr("\r\033[K", 4);
	stop_line_shown(false);
	stop_unlock();
}
