/* queue.h: work to do, who does it, and what became of it.
 *
 * A job makes one take.  Any number of programs add, move and cancel jobs; any
 * number of workers take them; no job is done twice and none is lost, whatever
 * dies when.  The states and why that holds: queue.c. */
#ifndef WOODSHED_LIBRARY_QUEUE_H
#define WOODSHED_LIBRARY_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct db;
struct err;
struct numbers;
struct str;
struct take;

enum { JOB_ATTEMPTS = 2, JOB_BATCH_MAX = 8, JOB_PASSED_MAX = 8 };

struct job {
	int64_t id, batch, prompt_id;
	int64_t batch_at, batch_n; /* which of its batch, from 1; of how many */
	const char *state;
	const char *prompt, *negative; /* negative NULL: none */
	const char *model;
	uint64_t seed;
	const char *seconds; /* as typed; "": the model's default */
	const char *options; /* JSON of all else that render takes */
	int64_t priority;
	bool held, stopping;
	int attempts;
	const char *stage; /* NULL before it began */
	uint64_t done, total;
	const char
		*file; /* relative to the library; the take will have this name.  NULL: not yet */
	const char *error;               /* NULL: none */
	int64_t take;                    /* 0: none */
	int64_t created, started, ended; /* ms since 1970; 0: not yet */
};

/* ---- adding and changing ------------------------------------------------ */

struct job_new {
	const char *prompt, *negative;
	int64_t parent_prompt; /* 0: none */
	const char *changed;
	const char *model;
	uint64_t seed;
	const char *seconds;
	const char *options; /* NULL: "{}" */
	int64_t priority;
	bool held; /* from the first moment: no worker can come between */
};

/* Adds n jobs as one batch, all or none, at the end of the queue.  ret_ids: n of
 * them, or NULL. */
int jobs_add(struct db *db, const struct job_new *jobs, size_t n, int64_t now_ms, int64_t *ret_ids,
	struct err *e);

/* ERR_ARG when there is no such job. */
int jobs_get(struct db *db, int64_t id, struct arena *a, struct job *ret, struct err *e);
bool job_is_at_work(const struct job *j); /* a worker has it */

/* In the order in which they will be done, then those at work, then the others,
 * newest last.  state NULL: all. */
int jobs_list(struct db *db, const char *state, struct arena *a, struct job **ret, size_t *ret_n,
	struct err *e);

/* What a screen of jobs shows: those at work, those that wait, in their order; then
 * those that ended after since_ms, newest first; at most `max` of each kind. */
int jobs_list_recent(struct db *db, int64_t since_ms, size_t max, struct arena *a, struct job **ret,
	size_t *ret_n, struct err *e);
/* Of these, those that failed, newest first. */
int jobs_list_failed(struct db *db, int64_t since_ms, size_t max, struct arena *a, struct job **ret,
	size_t *ret_n, struct err *e);
/* Those of a batch, at most `max`, in the order in which they were added. */
int jobs_list_batch(struct db *db, int64_t batch, size_t max, struct arena *a, struct job **ret,
	size_t *ret_n, struct err *e);
/* The newest batch that is one prompt for several models, of those that are recent; 0:
 * none. */
int jobs_last_race(struct db *db, int64_t *ret_batch, struct err *e);
/* Another number whenever jobs_list_failed() may give others. */
int jobs_failed_stamp(struct db *db, uint64_t *ret, struct err *e);

/* Jobs that ended before this are not to be shown any more; 0: all are. */
int queue_hide_ended(struct db *db, int64_t before_ms, struct err *e);
int queue_hidden(struct db *db, int64_t *ret, struct err *e);

/* How many a worker would take, or has: not those on hold. */
int jobs_waiting(struct db *db, int64_t *ret, struct err *e);

/* A queued job is cancelled at once; one at work when its worker hears of it,
 * within a step.  *ret_at_work tells which.  A job that has ended is an error. */
int jobs_cancel(struct db *db, int64_t id, int64_t now_ms, bool *ret_at_work, struct err *e);

/* Failed and cancelled jobs are queued again, at the end. */
int jobs_retry(struct db *db, int64_t id, struct err *e);

/* Cancels all that have not ended, or queues all again that failed.  Their numbers are
 * added to *ret, to be freed by VEC_DONE(). */
int jobs_change_all(
	struct db *db, bool is_retry, int64_t now_ms, struct numbers *ret, struct err *e);

/* A job that waits: not done until it is released. */
int jobs_hold(struct db *db, int64_t id, bool held, struct err *e);
int jobs_set_priority(struct db *db, int64_t id, int64_t priority, struct err *e);

enum job_move { JOB_UP, JOB_DOWN, JOB_FIRST, JOB_LAST };

/* Among queued jobs of its priority; at the end of them nothing happens. */
int jobs_move(struct db *db, int64_t id, enum job_move move, struct err *e);

/* The whole queue: nothing is begun while it is paused. */
int queue_pause(struct db *db, bool paused, struct err *e);
int queue_is_paused(struct db *db, bool *ret, struct err *e);

/* ---- workers ------------------------------------------------------------ */

struct worker;

/* Enters a worker, alive as long as this process lives and it is not closed. */
int worker_open(struct db *db, int64_t now_ms, struct worker **ret, struct err *e);
/* Its jobs go back to the queue; NULL-safe. */
void worker_close(struct worker *w);
int64_t worker_id(const struct worker *w);

/* What it holds in memory, shown to users. */
int worker_tell(struct worker *w, const char *model, const char *device, uint64_t bytes,
	int64_t now_ms, struct err *e);
/* Whether somebody asked to free the model; the wish is gone then. */
int worker_wants_unload(struct worker *w, bool *ret, struct err *e);
int workers_ask_unload(struct db *db, int64_t *ret_n, struct err *e);

/* Looks for workers that died.  Their jobs: done when the take is there, queued
 * after a first attempt, failed after the second.  *ret_n: how many there were. */
int workers_recover(struct db *db, int64_t now_ms, size_t *ret_n, struct err *e);
/* How many are alive. */
int workers_count(struct db *db, int64_t *ret, struct err *e);

struct worker_row {
	int64_t id, pid;
	const char *model, *device; /* NULL: not told yet */
	uint64_t bytes;
	int64_t heartbeat; /* ms since 1970: of what it told of itself or of its jobs, the last */
	int64_t started;   /* the same */
};

/* Those that are entered, dead ones with them until somebody recovers their jobs
 * (workers_count() tells how many live). */
int workers_list(
	struct db *db, struct arena *a, struct worker_row **ret, size_t *ret_n, struct err *e);

/* ---- a worker's own ----------------------------------------------------- */

/* Takes the next job, and up to max - 1 of its batch that differ in nothing but
 * consecutive seeds.  Jobs of `model` (NULL: none is loaded) go before others of
 * their priority, but not before one that was passed JOB_PASSED_MAX times.
 * *ret_n is 0 when there is nothing to do. */
int jobs_claim(struct worker *w, const char *model, size_t max, int64_t now_ms, struct arena *a,
	struct job **ret, size_t *ret_n, struct err *e);

/* All of these fail with ERR_CANCELLED, and change nothing, when the job is not
 * this worker's any more. */
int jobs_start(struct worker *w, int64_t id, const char *file, int64_t now_ms, struct err *e);
int jobs_progress(struct worker *w, int64_t id, const char *stage, uint64_t done, uint64_t total,
	int64_t now_ms, struct err *e);
/* The row of the take and the end of the job, in one. */
int jobs_done(struct worker *w, int64_t id, const struct take *t, int64_t now_ms, int64_t *ret_take,
	struct err *e);
int jobs_failed(struct worker *w, int64_t id, const char *error, int64_t now_ms, struct err *e);
int jobs_stopped(struct worker *w, int64_t id, int64_t now_ms, struct err *e);
/* Back to the queue, as if it had not been claimed. */
int jobs_release(struct worker *w, int64_t id, struct err *e);
/* Back to the queue with this attempt counted: its next one is JOB_ATTEMPTS at most, and it
 * shares no batch with others. */
int jobs_again(struct worker *w, int64_t id, struct err *e);

/* Which of its jobs are to stop; looks at the database only when it changed. */
int jobs_stopping(struct worker *w, int64_t *ids, size_t max, size_t *ret_n, struct err *e);

/* One JSON object, as in `jobs --json`. */
void job_json(const struct job *j, struct str *out);

#endif
