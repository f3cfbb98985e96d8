/* The queue: what is at work, what waits, what has ended. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "library/base/clock.h"
#include "tui/paint.h"
#include "tui/text.h"
#include "tui/ws.h"

enum { DETAIL_LINES = 4, DETAIL_FROM = 12, SILENT_S = 10 };

const struct job *view_queue_selected(const struct ws *ws)
{
	const struct queue_view *v = &ws->queue;

	return v->list.cursor < (int64_t)v->n ? &v->jobs[v->list.cursor] : NULL;
}

static int load(struct ws *ws, int height, struct err *e)
{
	return queue_load(ws, e);
}

/* ---- words -------------------------------------------------------------- */

/* "0:04", "1:02:03", "?" */
static const char *duration(double s, char out[16])
{
	const unsigned n = isnan(s) ? 0 : s < 359999 ? (unsigned)ceil(s) : 359999;

	if (isnan(s))
		snprintf(out, 16, "?");
	else if (n >= 3600)
		snprintf(out, 16, "%u:%02u:%02u", n / 3600, n / 60 % 60, n % 60);
	else
		snprintf(out, 16, "%u:%02u", n / 60, n % 60);
	return out;
}

static const char *state_of(const struct job *j)
{
	return j->held                       ? "held"
	       : j->stopping                 ? "stopping"
	       : !strcmp(j->state, "queued") ? "waiting"
					     : j->state;
}

/* Seconds since a worker was heard of that has something to do. */
static double silence_s(const struct queue_view *v)
{
	int64_t last = 0;

	if (!v->n_at_work)
		return 0;
	for (size_t i = 0; i < v->n_workers; i++)
		if (v->workers[i].heartbeat > last)
			last = v->workers[i].heartbeat;
	return (double)(clock_unix_ms() - last) / 1e3;
}

static void worker_words(const struct ws *ws, struct str *out)
{
	const struct queue_view *v = &ws->queue;
	const struct worker_row *w = v->n_workers ? &v->workers[0] : NULL;
	char size[16];

	if (w && w->model && *w->model)
		str_printf(out, "%s %s %s", w->device ? w->device : "", w->model,
			w->bytes ? format_bytes(w->bytes, size) : "");
	if (w && !isnan(v->load))
		str_printf(out, " %.0f %% CPU", 100 * v->load);
	if (v->n_alive > 1)
		str_printf(out, "  %lld workers", (long long)v->n_alive);
	str_add(out, out->n ? "  " : "");
	if (ws->is_paused)
		str_add(out, v->n_at_work ? "[paused after this]" : "[paused]");
	else if (v->n_at_work && silence_s(v) > SILENT_S)
		str_printf(out, "[no sign of life for %.0f s]", silence_s(v));
	else if (v->n_at_work)
		str_add(out, "[at work]");
	else if (ws->n_waiting)
		str_add(out, "[starting]");
	else
		str_add(out, v->n_alive ? "[idle]" : "[nothing to do]");
}

/* ---- rows --------------------------------------------------------------- */

struct columns {
	int prompt, model, progress, left; /* where they begin; model, progress 0: not there */
};

static struct columns columns_of(int width)
{
	struct columns c = {.left = width >= 50 ? width - 8 : width};

	c.progress = width >= 60 ? c.left - 18 : 0;
	c.model = width >= 76 ? c.progress - 13 : 0;
	c.prompt = (c.model ? c.model : c.progress ? c.progress : c.left) - 1;
	return c;
}

/* Rendering has a bar; what is before and after it, which is short, its name and share. */
static void draw_stage(const struct job *j, int y, int x, enum theme_role role)
{
	char text[32];

	snprintf(text, sizeof(text), "%.12s", j->stage ? j->stage : "begun");
	if (j->total && j->done < j->total)
		snprintf(text, sizeof(text), "%.12s %d%%", j->stage ? j->stage : "begun",
			(int)(100 * j->done / j->total));
	paint(y, x, 17, role, text);
}

static void draw_bar(const struct job *j, int y, int x, enum theme_role role)
{
	double share = j->total ? (double)j->done / (double)j->total : 0;
	char percent[8];

	paint_bar(y, x, 12, share);
	snprintf(percent, sizeof(percent), "%3d%%", (int)(100 * share));
	paint(y, x + 12, 5, role, percent);
}

/* What there is to say of a job that has ended, where others have their progress. */
static void draw_end(const struct job *j, int from, int y, int width, enum theme_role role)
{
	if (!strcmp(j->state, "failed"))
		paint(y, from, width - from - 1, role == ROLE_ROW_SELECTED ? role : ROLE_ERROR,
			j->error ? j->error : "R queues it again");
	else if (!strcmp(j->state, "done"))
		paint(y, from, width - from - 1, role, j->take ? "Enter plays it" : "purged");
	else
		paint(y, from, width - from - 1, role, "R queues it again");
}

/* The prompt, and which take of how many it makes; returns the cells it took. */
static int draw_prompt(const struct job *j, int y, int width, enum theme_role role)
{
	char tail[48] = "";
	int cells, room;

	if (j->batch_n > 1)
		snprintf(tail, sizeof(tail), "  %lld/%lld", (long long)j->batch_at,
			(long long)j->batch_n);
	room = width - (int)strlen(tail);
	cells = (int)text_cells(j->prompt);
	cells = cells < room ? cells : room;
	paint(y, 17, cells, role, j->prompt);
	paint(y, 17 + cells, (int)strlen(tail), role, tail);
	return cells + (int)strlen(tail);
}

static void draw_row(const struct queue_view *v, int64_t row, int y, int width)
{
	const struct job *j = &v->jobs[row];
	const struct columns c = columns_of(width);
	const enum theme_role role = row == v->list.cursor         ? ROLE_ROW_SELECTED
				     : !strcmp(j->state, "failed") ? ROLE_ROW_FAILED
				     : j->ended                    ? ROLE_DIM
								   : ROLE_TEXT;
	char text[32];
	int n;

	paint(y, 0, width, role, "");
	snprintf(text, sizeof(text), "%5lld", (long long)j->id);
	paint(y, 1, 5, role, text);
	paint(y, 7, 9, role, state_of(j));
	n = draw_prompt(j, y, c.prompt - 17, role);
	if (j->ended) {
		draw_end(j, width >= 76 && strcmp(j->state, "failed") ? c.model : 17 + n + 2, y,
			width, role);
		return;
	}
	if (c.model)
		paint(y, c.model, 12, role, j->model);
	if (c.progress && job_is_at_work(j) && j->total && j->stage && !strcmp(j->stage, "render"))
		draw_bar(j, y, c.progress, role);
	else if (c.progress && job_is_at_work(j))
		draw_stage(j, y, c.progress, role);
	else if (c.progress)
		paint(y, c.progress, 17, role, "\u00b7");
	if (c.left < width && !j->held)
		paint_right(y, c.left, 7, role, duration(v->left_s[row], text));
}

/* ---- the job under the cursor ------------------------------------------- */

static void say_progress(const struct queue_view *v, const struct job *j, struct str *out)
{
	const bool is_load = j->stage && !strcmp(j->stage, "load"); /* counted in bytes */
	const double rate = is_load ? 0 : eta_rate(&v->eta, j->id);
	char text[16], whole[16];

	str_printf(out, "%s", j->stage ? j->stage : "begun");
	if (j->total && is_load)
		str_printf(out, " %s of %s", format_bytes(j->done, text),
			format_bytes(j->total, whole));
	else if (j->total)
		str_printf(out, " %llu of %llu", (unsigned long long)j->done,
			(unsigned long long)j->total);
	if (rate > 0)
		str_printf(out, ", %.3g a second", rate);
	str_printf(out, "  begun %s ago",
		duration((double)(clock_unix_ms() - j->started) / 1e3, text));
	if (j->attempts > 1)
		str_printf(out, "  attempt %d", j->attempts);
}

static void say_state(const struct ws *ws, const struct job *j, double left_s, struct str *out)
{
	char text[16];

	if (job_is_at_work(j))
		say_progress(&ws->queue, j, out);
	else if (!strcmp(j->state, "failed"))
		str_add(out, "R queues it again  Enter shows the log");
	else if (j->held)
		str_add(out, "held: not begun until H releases it");
	else if (j->ended)
		str_printf(out, "%s after %s", j->state,
			duration(j->started ? (double)(j->ended - j->started) / 1e3 : 0, text));
	else if (isnan(left_s))
		str_printf(out, "when it is done is not known: %s has not rendered here yet",
			j->model);
	else
		str_printf(out, "done in about %s", duration(left_s, text));
	if (j->priority)
		str_printf(out, "  priority %lld", (long long)j->priority);
}

static void draw_details(const struct ws *ws, int y, int width)
{
	const struct job *j = view_queue_selected(ws);
	struct str line = {0};

	paint_rule(y, width);
	for (int i = 1; i < DETAIL_LINES; i++)
		paint(y + i, 0, width, ROLE_TEXT, "");
	if (!j)
		return;
	paint(y + 1, 1, width - 2, ROLE_TEXT, j->prompt);
	str_printf(&line, "%s  seed %llu%s%s%s", j->model, (unsigned long long)j->seed,
		*j->seconds ? "  " : "", j->seconds, *j->seconds ? " s" : "");
	paint(y + 2, 1, width - 2, ROLE_DIM, str_get(&line));
	str_clear(&line);
	if (j->error) { /* a long one stands where the seed does */
		const int up = (int)text_cells(j->error) > width - 2;

		paint_lines(y + 3 - up, 1, 1 + up, width - 2, ROLE_ERROR, j->error);
	} else {
		say_state(ws, j, ws->queue.left_s[ws->queue.list.cursor], &line);
		paint(y + 3, 1, width - 2, ROLE_TEXT, str_get(&line));
	}
	str_done(&line);
}

/* ---- the screen --------------------------------------------------------- */

static void draw_title(const struct ws *ws, int width)
{
	const struct queue_view *v = &ws->queue;
	struct str left = {0}, right = {0};
	char text[16];
	int n;

	str_printf(&left, " Queue  %lld to do", (long long)ws->n_waiting);
	if (ws->n_waiting && !ws->is_paused && !isnan(v->all_left_s))
		str_printf(&left, ", %s", duration(v->all_left_s, text));
	worker_words(ws, &right);
	n = (int)right.n + 1;
	paint(0, 0, width, ROLE_TITLE, str_get(&left));
	if (n + (int)left.n + 2 < width)
		paint(0, width - n, n, ROLE_DIM, str_get(&right));
	str_done(&left);
	str_done(&right);
}

static void draw_heads(int width)
{
	const struct columns c = columns_of(width);

	paint(1, 0, width, ROLE_DIM, "     #");
	paint(1, 7, 9, ROLE_DIM, "State");
	paint(1, 17, c.prompt - 17, ROLE_DIM, "Prompt");
	if (c.model)
		paint(1, c.model, 12, ROLE_DIM, "Model");
	if (c.progress)
		paint(1, c.progress, 17, ROLE_DIM, "Progress");
	if (c.left < width)
		paint_right(1, c.left, 7, ROLE_DIM, "Left");
}

static void draw(struct ws *ws, int height, int width)
{
	struct queue_view *v = &ws->queue;
	const int details = height >= DETAIL_FROM ? DETAIL_LINES : 0;

	list_resize(&v->list, height - 2 - details);
	draw_title(ws, width);
	if (height > 1)
		draw_heads(width);
	for (int i = 0; i < height - 2 - details; i++) {
		const int64_t row = list_at(&v->list, i);

		paint(2 + i, 0, width, ROLE_TEXT, "");
		if (row >= 0)
			draw_row(v, row, 2 + i, width);
	}
	if (!v->n && height > 3)
		paint(3, 2, width - 2, ROLE_DIM, "Nothing is queued. i begins a prompt.");
	if (details)
		draw_details(ws, height - details, width);
}

static struct list *list_of(struct ws *ws)
{
	return &ws->queue.list;
}

static size_t targets(struct ws *ws, struct arena *a, const int64_t **ret)
{
	const struct job *j = view_queue_selected(ws);
	int64_t *ids = ARENA_ARRAY(a, int64_t, 1);

	*ret = ids;
	if (j)
		*ids = j->take;
	return j && j->take;
}

static const char *hints_now(const struct ws *ws)
{
	if (!ws->queue.list.n)
		return ws->is_paused ? "i new  p go on  q back  ? keys"
				     : "i new  p pause  q back  ? keys";
	return ws->is_paused
		       ? "x cancel  u undo  R retry  J K reorder  p go on  Enter log or play  "
			 "H hold  ? keys"
		       : view_queue.hints;
}

const struct view view_queue = {.name = "queue",
	.tab = "3 Queue",
	.hints = "x cancel  u undo  R retry  J K reorder  p pause  Enter log or play  H hold  "
		 "? keys",
	.hints_now = hints_now,
	.load = load,
	.draw = draw,
	.list = list_of,
	.targets = targets,
	.heads = 2};
