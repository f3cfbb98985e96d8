/* Jobs on their way into the queue. */
#include "tui/queueing.h"

#include <stdlib.h>
#include <string.h>

#include "library/base/clock.h"
#include "library/queue.h"
#include "library/request.h"
#include "tui/view_compose.h"
#include "tui/ws.h"

struct queueing *queueing_new(void)
{
	return xcalloc(1, sizeof(struct queueing));
}

void queueing_free(struct queueing *q)
{
	arena_done(&q->arena);
	free(q);
}

/* What the takes were asked for is in the library or in their files. */
static int find(struct db *db, struct queueing *q, struct err *e)
{
	const size_t each = q->each ? (size_t)q->each : 1;
	struct job_new *jobs = ARENA_ARRAY(&q->arena, struct job_new, q->n_takes * each + 1);

	for (size_t i = 0; i < q->n_takes; i++) {
		const uint64_t seed = compose_seed_by_chance();
		struct job_new job;
		int rc = request_of_take(db, q->takes[i], &q->arena, &job, e);

		if (rc)
			return rc;
		for (size_t k = 0; k < each; k++) {
			if (q->each)
				job.seed = seed + k;
			jobs[q->n++] = job;
		}
	}
	q->jobs = jobs;
	return 0;
}

static int run(struct db *db, struct task *t, struct err *e)
{
	struct queueing *q = (struct queueing *)t;
	int rc = q->takes ? find(db, q, e) : 0;

	q->ids = ARENA_ARRAY(&q->arena, int64_t, q->n + 1);
	return rc ? rc : jobs_add(db, q->jobs, q->n, clock_unix_ms(), q->ids, e);
}

/* Digits are typed into the form of Compose, so there Esc goes before. */
static void tell(struct ws *ws, const struct queueing *q)
{
	const char *first = ws->screen == SCREEN_COMPOSE ? "Esc, then " : "";

	if (q->n == 1)
		ws_say(ws, "queued as job %lld \u00b7 %s3 shows it", (long long)q->ids[0], first);
	else
		ws_say(ws, "queued %zu takes as jobs %lld to %lld \u00b7 %s3 shows them", q->n,
			(long long)q->ids[0], (long long)q->ids[q->n - 1], first);
}

static void end(struct ws *ws, struct task *t, int rc, struct err *e)
{
	struct queueing *q = (struct queueing *)t;

	if (rc)
		ws_fail(ws, e);
	else
		tell(ws, q);
	if (q->end)
		q->end(ws, q, rc);
	ws_changed(ws);
	queueing_free(q);
}

void queueing_begin(struct ws *ws, struct queueing *q)
{
	q->task.run = run;
	q->task.end = end;
	ws_say(ws, "queueing \u2026");
	background_do(ws->writer, &q->task);
}
