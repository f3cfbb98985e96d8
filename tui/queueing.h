/* queueing.h: jobs on their way into the queue, by the writer's thread.  Private to the
 * workstation. */
#ifndef WOODSHED_TUI_QUEUEING_H
#define WOODSHED_TUI_QUEUEING_H

#include <stddef.h>
#include <stdint.h>

#include "library/base/arena.h"
#include "tui/background.h"

struct job_new;

struct queueing {
	struct task task;   /* queueing.c's */
	struct arena arena; /* holds all below and what that points to */
	const struct job_new *jobs;
	size_t n;
	/* In place of those: these takes as they were asked for, `each` times with new
	 * seeds; each 0: once with its own. */
	const int64_t *takes;
	size_t n_takes;
	int64_t each;
	const char *note; /* the owner's own, for `end` */
	int64_t *ids;     /* queueing.c's: the jobs that were added */
	/* When that is done, or rc says that it is not: nothing is queued then.  What came of
	 * it is said already.  NULL: nothing more is to be done. */
	void (*end)(struct ws *ws, const struct queueing *q, int rc);
};

/* Empty; queueing_begin() takes it over, or queueing_free() drops it. */
struct queueing *queueing_new(void);
void queueing_free(struct queueing *q);
void queueing_begin(struct ws *ws, struct queueing *q);

#endif
