/* The queue: what is at work, what waits, what has ended. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tui/paint.h"
#include "tui/ws.h"

const struct job *view_queue_selected(const struct ws *ws)
{
	const struct queue_view *v = &ws->queue;

	return v->list.cursor < (int64_t)v->n ? &v->jobs[v->list.cursor] : NULL;
}

static int load(struct ws *ws, int height, struct err *e)
{
	struct queue_view *v = &ws->queue;
	int rc;

	if (!v->is_stale)
		return 0;
	arena_done(&v->page);
	v->page = (struct arena){0};
	v->n = 0;
	rc = jobs_list(ws->db, NULL, &v->page, &v->jobs, &v->n, e);
	v->is_stale = rc != 0;
	list_set_count(&v->list, (int64_t)v->n);
	return rc;
}

static void draw_bar(const struct job *j, int y, int x, int width)
{
	double share = j->total ? (double)j->done / (double)j->total : 0;
	char percent[8];

	paint_bar(y, x, width - 5, share);
	snprintf(percent, sizeof(percent), "%3d %%", (int)(100 * share));
	paint(y, x + width - 5, 5, ROLE_TEXT, percent);
}

static void draw_row(const struct job *j, int y, int width, enum theme_role role)
{
	const char *state = j->held ? "held" : j->stopping ? "stopping" : j->state;
	int right = width >= 60 ? width - 22 : width;
	char id[16];

	paint(y, 0, width, role, "");
	snprintf(id, sizeof(id), "%5lld", (long long)j->id);
	paint(y, 1, 5, role, id);
	paint(y, 7, 9, role, state);
	paint(y, 17, right - 18, role, j->prompt);
	if (right == width)
		return;
	if (!strcmp(j->state, "rendering") || !strcmp(j->state, "claimed")) {
		paint(y, right, 7, role, j->stage ? j->stage : "");
		draw_bar(j, y, right + 7, 14);
	} else if (j->error) {
		paint(y, right, 21, ROLE_ERROR, j->error);
	} else {
		paint(y, right, 21, role, j->model);
	}
}

static void draw(struct ws *ws, int height, int width)
{
	struct queue_view *v = &ws->queue;
	const struct job *j = view_queue_selected(ws);

	list_resize(&v->list, height - 2);
	paint(0, 0, width, ROLE_TITLE, ws->is_paused ? " Queue (paused)" : " Queue");
	for (int i = 0; i + 1 < height; i++) {
		int64_t row = list_at(&v->list, i);

		paint(1 + i, 0, width, ROLE_TEXT, "");
		if (row >= 0)
			draw_row(&v->jobs[row], 1 + i, width,
				row == v->list.cursor                   ? ROLE_ROW_SELECTED
				: !strcmp(v->jobs[row].state, "failed") ? ROLE_ROW_FAILED
									: ROLE_TEXT);
	}
	if (!v->n && height > 2)
		paint(2, 2, width - 2, ROLE_DIM, "Nothing is queued. i begins a prompt.");
	if (height > 2 && j && j->error)
		paint(height - 1, 1, width - 2, ROLE_ERROR, j->error);
}

static struct list *list_of(struct ws *ws)
{
	return &ws->queue.list;
}

const struct view view_queue = {.name = "queue",
	.tab = "3 Queue",
	.hints = "x cancel  R retry  J K reorder  p pause  i new  1 library  ? keys",
	.load = load,
	.draw = draw,
	.list = list_of,
	.heads = 1};
