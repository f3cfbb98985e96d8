/* view_queue.h: the jobs that matter now, who does them, and when they will be done. */
#ifndef WOODSHED_TUI_VIEW_QUEUE_H
#define WOODSHED_TUI_VIEW_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "library/base/arena.h"
#include "library/queue.h"
#include "tui/eta.h"
#include "tui/list.h"

struct ws;

struct queue_view {
	struct list list;
	struct arena page;
	struct job *jobs; /* at work, waiting, then the newest that have ended */
	double *left_s;   /* of each, until it is done; NaN: not known */
	size_t n, n_at_work, n_waiting;
	double behind_s;   /* of those that wait and are not in `jobs` */
	double all_left_s; /* until the queue is empty; NaN: not known */

	struct worker_row *workers;
	size_t n_workers;
	int64_t n_alive;
	double load;     /* of the first worker: processors it keeps busy; NaN: not known */
	double ticks_at; /* clock_now() when its time was read, and that time */
	int64_t ticks, ticks_pid;

	struct eta eta;
	bool is_stale;
};

void queue_view_done(struct queue_view *v);
/* Whether jobs are at work, so that what is told of them changes by itself. */
bool queue_view_moves(const struct ws *ws);

/* A job's facts and the worker's log. */
struct log_view {
	struct list list;
	int64_t job;
	struct arena arena;
	const char **lines;
	size_t n;
	int width; /* they are broken for; 0: not read yet */
};

#endif
