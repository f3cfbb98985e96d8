/* The queue: jobs, as people add and change them; what workers do with them is in
 * queue_workers.c.
 *
 *	              jobs_add               jobs_claim            jobs_start
 *	(nothing) ──────────────► QUEUED ──────────────► CLAIMED ──────────────► RENDERING
 *	                         ▲  ▲  │  ▲                │ │ │                   │ │ │
 *	              jobs_retry │  │  │  └─ jobs_release ─┘ │ │                   │ │ │
 *	                         │  │  │      recover (1st)  │ │                   │ │ │
 *	                         │  └──┼─────────────────────┼─┼── recover (1st) ──┘ │ │
 *	                         │     │ jobs_cancel         │ │                     │ │
 *	                CANCELLED◄─────┴──── jobs_stopped ───┘ │  jobs_stopped ──────┘ │
 *	                   FAILED◄────────── jobs_failed, recover (2nd) ───────────────┤
 *	                     DONE◄────────── jobs_done, recover (its file is there) ───┘
 *
 * What holds at every commit:
 *
 *  1. A job has one state.  CLAIMED and RENDERING have a worker, the others have
 *     none; DONE, FAILED and CANCELLED have `ended` (CHECKs of the table).
 *  2. A claim is one BEGIN IMMEDIATE: two workers cannot see the same job QUEUED.
 *  3. Out of CLAIMED and RENDERING a job is moved by its worker alone, or by
 *     workers_recover() once that worker is dead.  Every statement of a worker
 *     says `AND worker = ?`; when it changes no row, the worker has lost the job
 *     and must drop it.
 *  4. A worker is dead when its lock can be taken.  The kernel frees it however
 *     the process ends.  Clocks, process numbers and time-outs decide nothing; a
 *     heartbeat is for people to look at.
 *  5. The name of the take's file is written (jobs_start) before the file is.  The
 *     file appears under that name complete and synced, and only then does
 *     jobs_done() make its row and end the job, in one commit.  So a dead
 *     worker's job is done exactly if its file is there: recover() makes the row
 *     from the file, and nothing is rendered twice.  Names are never reused.
 *  6. `take` is set exactly when the job is DONE (until that take is purged).
 *  7. `attempts` counts claims and is taken back by jobs_release, not by jobs_again
 *     (which a worker that lost its device goes by, along the edges of recover (1st)).
 *     After JOB_ATTEMPTS of them a dead worker's job FAILED: what kills every worker
 *     does not kill for ever.
 *  8. `stopping` is a wish.  Who sets it leaves the state alone.
 *  9. place orders jobs of one priority; `passed` bounds how often a later one may
 *     go first because its model is loaded.
 * 10. What users change can be taken back (undo.h).  That moves a job between QUEUED and
 *     CANCELLED or FAILED alone, or takes `stopping` back, and only where the job is as
 *     the change left it: what a worker has claimed stays the worker's. */
#include "library/queue.h"

#include <stdio.h>
#include <string.h>

#include "library/base/arena.h"
#include "library/base/clock.h"
#include "library/base/err.h"
#include "library/base/jsonw.h"
#include "library/base/str.h"
#include "library/base/vec.h"
#include "library/db.h"
#include "library/takes.h"
#include "library/undo.h"

enum { JOBS_MAX = 100000 };

/* ---- reading ------------------------------------------------------------ */

#define COLUMNS                                                                                    \
	"j.id, j.batch, j.prompt, j.state, p.text, p.negative, j.model, j.seed, j.seconds,"        \
	" j.options, j.priority, j.held, j.stopping, j.attempts, j.stage, j.done, j.total,"        \
	" j.file, j.error, j.take, j.created, j.started, j.ended,"                                 \
	" (SELECT min(id) FROM jobs WHERE batch = j.batch),"                                       \
	" (SELECT max(id) FROM jobs WHERE batch = j.batch)"
#define FROM " FROM jobs j JOIN prompts p ON p.id = j.prompt"

static void read_job(const struct query *q, struct arena *a, struct job *j)
{
	int64_t seed = query_int(q, 7);

	*j = (struct job){
		.id = query_int(q, 0),
		.batch = query_int(q, 1),
		.prompt_id = query_int(q, 2),
		.state = query_dup(q, 3, a),
		.prompt = query_dup(q, 4, a),
		.negative = query_dup(q, 5, a),
		.model = query_dup(q, 6, a),
		.seconds = query_dup(q, 8, a),
		.options = query_dup(q, 9, a),
		.priority = query_int(q, 10),
		.held = query_int(q, 11) != 0,
		.stopping = query_int(q, 12) != 0,
		.attempts = (int)query_int(q, 13),
		.stage = query_dup(q, 14, a),
		.done = (uint64_t)query_int(q, 15),
		.total = (uint64_t)query_int(q, 16),
		.file = query_dup(q, 17, a),
		.error = query_dup(q, 18, a),
		.take = query_int(q, 19),
		.created = query_int(q, 20),
		.started = query_int(q, 21),
		.ended = query_int(q, 22),
	};
	memcpy(&j->seed, &seed, sizeof(seed));
	/* added by one change, so their numbers follow one another */
	j->batch_at = j->id - query_int(q, 23) + 1;
	j->batch_n = query_int(q, 24) - query_int(q, 23) + 1;
}

static int fail_no_job(int64_t id, struct err *e)
{
	return err_set(e, ERR_ARG, "there is no job %lld; woodshed jobs lists them", (long long)id);
}

int jobs_get(struct db *db, int64_t id, struct arena *a, struct job *ret, struct err *e)
{
	struct query q = db_query(db, "SELECT " COLUMNS FROM " WHERE j.id = ?1", "i", id);
	bool found = query_next(&q);
	int rc;

	if (found)
		read_job(&q, a, ret);
	rc = query_done(&q, e);
	return rc || found ? rc : fail_no_job(id, e);
}

bool job_is_at_work(const struct job *j)
{
	return !strcmp(j->state, "rendering") || !strcmp(j->state, "claimed");
}

int jobs_list(struct db *db, const char *state, struct arena *a, struct job **ret, size_t *ret_n,
	struct err *e)
{
	struct {
		struct job *at;
		size_t n, cap;
	} jobs = {0};
	struct query q = db_query(db,
		"SELECT " COLUMNS FROM " WHERE ?1 IS NULL OR j.state = ?1"
		" ORDER BY CASE j.state WHEN 'queued' THEN 1 WHEN 'claimed' THEN 0 WHEN 'rendering'"
		" THEN 0 ELSE 2 END, CASE WHEN j.ended IS NULL THEN -j.priority END,"
		" CASE WHEN j.ended IS NULL THEN j.place END, j.id",
		"t", state);
	int rc;

	*ret = NULL;
	*ret_n = 0;
	while (query_next(&q))
		read_job(&q, a, VEC_PUSH(&jobs));
	rc = query_done(&q, e);
	if (!rc && jobs.n) {
		*ret = ARENA_ARRAY(a, struct job, jobs.n);
		memcpy(*ret, jobs.at, jobs.n * sizeof(**ret));
		*ret_n = jobs.n;
	}
	VEC_DONE(&jobs);
	return rc;
}

/* ---- adding ------------------------------------------------------------- */

static int number(struct db *db, const char *sql, int64_t *ret, struct err *e)
{
	return query_number(db_query(db, sql, ""), ret, e);
}

static int add_one(struct db *db, const struct job_new *j, int64_t batch, int64_t place,
	int64_t now_ms, struct err *e)
{
	int64_t prompt, seed;
	int rc = prompts_add(
		db, j->prompt, j->negative, j->parent_prompt, j->changed, now_ms, &prompt, e);

	memcpy(&seed, &j->seed, sizeof(seed));
	if (rc)
		return rc;
	return db_run(db, e,
		"INSERT INTO jobs(batch, prompt, model, seed, seconds, options, priority, place,"
		" created, held) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
		"iitittiiii", batch, prompt, j->model, seed, j->seconds ? j->seconds : "",
		j->options ? j->options : "{}", j->priority, place, now_ms, (int64_t)j->held);
}

int jobs_add(struct db *db, const struct job_new *jobs, size_t n, int64_t now_ms, int64_t *ret_ids,
	struct err *e)
{
	int64_t batch = 0, place = 0, waiting = 0, id = 0;
	char label[64];
	struct action act = {.db = db, .label = label};
	int rc = db_begin(db, e);

	if (rc)
		return rc;
	rc = number(db, "SELECT count(*) FROM jobs WHERE state = 'queued'", &waiting, e);
	if (!rc && (n > JOBS_MAX || waiting > (int64_t)(JOBS_MAX - n)))
		rc = err_set(e, ERR_ARG, "a queue holds at most %d jobs; queue fewer", JOBS_MAX);
	if (!rc)
		rc = number(db, "SELECT coalesce(max(batch), 0) + 1 FROM jobs", &batch, e);
	if (!rc)
		rc = number(db, "SELECT coalesce(max(place), 0) + 1 FROM jobs", &place, e);
	for (size_t i = 0; i < n && !rc; i++) {
		rc = add_one(db, &jobs[i], batch, place + (int64_t)i, now_ms, e);
		id = db_last_id(db);
		if (!rc && ret_ids)
			ret_ids[i] = id;
	}
	if (n > 1)
		snprintf(label, sizeof(label), "queued jobs %lld to %lld",
			(long long)(id - (int64_t)n + 1), (long long)id);
	else
		snprintf(label, sizeof(label), "queued job %lld", (long long)id);
	if (!rc && n)
		rc = undo_added(&act, batch, e);
	return db_end(db, rc, e);
}

/* ---- changing ----------------------------------------------------------- */

static int fail_state(struct db *db, int64_t id, const char *wanted, struct err *e)
{
	struct arena a = {0};
	struct job j;
	int rc = jobs_get(db, id, &a, &j, e);

	if (!rc)
		rc = err_set(e, ERR_ARG, "job %lld is %s, not %s", (long long)id, j.state, wanted);
	arena_done(&a);
	return rc;
}

int jobs_waiting(struct db *db, int64_t *ret, struct err *e)
{
	/* Two counts, so that each has its index. */
	return query_number(
		db_query(db,
			"SELECT (SELECT count(*) FROM jobs WHERE state = 'queued' AND NOT held)"
			" + (SELECT count(*) FROM jobs WHERE state IN ('claimed', 'rendering'))",
			""),
		ret, e);
}

/* Is it in that state?  `sql` is asked for its first column. */
static int ask(struct db *db, const char *sql, int64_t id, bool *ret, struct err *e)
{
	int64_t is = 0;
	int rc = query_number(db_query(db, sql, "i", id), &is, e);

	*ret = is != 0;
	return rc;
}

static int need_queued(struct db *db, int64_t id, struct err *e)
{
	bool is;
	int rc = ask(db, "SELECT state = 'queued' FROM jobs WHERE id = ?1", id, &is, e);

	return rc || is ? rc : fail_state(db, id, "queued", e);
}

/* An action on one job: its label is "cancelled job 4". */
struct job_action {
	struct action act;
	char label[64];
};

static int begin(struct db *db, struct job_action *a, const char *done, int64_t id, struct err *e)
{
	snprintf(a->label, sizeof(a->label), "%s job %lld", done, (long long)id);
	a->act = (struct action){.db = db, .label = a->label};
	return db_begin(db, e);
}

static int edit(struct job_action *a, int64_t id, const char *field, int64_t value, struct err *e)
{
	char text[24];

	snprintf(text, sizeof(text), "%lld", (long long)value);
	return undo_edit(&a->act, (struct subject){.job = id}, field, text, e);
}

/* Makes what a field "state" (undo.c) is into what `sql` makes of it: its ?1 is that, ?2
 * a time or a place. */
static int edit_state(
	struct job_action *a, int64_t id, const char *sql, int64_t number, struct err *e)
{
	struct query q = db_query(a->act.db, sql, "ii", id, number);
	struct arena text = {0};
	const char *to = query_next(&q) ? query_dup(&q, 0, &text) : NULL;
	int rc = query_done(&q, e);

	if (!rc)
		rc = undo_edit(&a->act, (struct subject){.job = id}, "state", to, e);
	arena_done(&text);
	return rc;
}

static int cancel(
	struct job_action *a, int64_t id, int64_t now_ms, bool *ret_at_work, struct err *e)
{
	struct db *db = a->act.db;
	bool waits = false;
	int rc;

	*ret_at_work = false;
	rc = ask(db, "SELECT state = 'queued' FROM jobs WHERE id = ?1", id, &waits, e);
	if (!rc && !waits)
		rc = ask(db, "SELECT state IN ('claimed', 'rendering') FROM jobs WHERE id = ?1", id,
			ret_at_work, e);
	if (!rc && waits)
		rc = edit_state(a, id,
			"SELECT json_set(" JOB_STATE ", '$.state', 'cancelled', '$.ended', ?2,"
			" '$.held', 0) FROM jobs WHERE id = ?1",
			now_ms, e);
	else if (!rc && *ret_at_work)
		rc = edit(a, id, "stopping", 1, e);
	else if (!rc)
		rc = fail_state(db, id, "queued or at work", e);
	return rc;
}

int jobs_cancel(struct db *db, int64_t id, int64_t now_ms, bool *ret_at_work, struct err *e)
{
	struct job_action a;
	int rc = begin(db, &a, "cancelled", id, e);

	*ret_at_work = false;
	return rc ? rc : db_end(db, cancel(&a, id, now_ms, ret_at_work, e), e);
}

static int retry(struct job_action *a, int64_t id, struct err *e)
{
	struct db *db = a->act.db;
	int64_t place = 0;
	bool has_ended;
	int rc;

	rc = ask(db, "SELECT state IN ('failed', 'cancelled') FROM jobs WHERE id = ?1", id,
		&has_ended, e);
	if (!rc && !has_ended)
		rc = fail_state(db, id, "failed or cancelled", e);
	if (!rc)
		rc = number(db, "SELECT max(place) + 1 FROM jobs", &place, e);
	if (!rc)
		rc = edit_state(a, id,
			"SELECT json_set(" JOB_STATE ", '$.state', 'queued', '$.ended', NULL,"
			" '$.started', NULL, '$.error', NULL, '$.attempts', 0, '$.stopping', 0,"
			" '$.stage', NULL, '$.done', 0, '$.total', 0, '$.file', NULL,"
			" '$.passed', 0, '$.place', ?2) FROM jobs WHERE id = ?1",
			place, e);
	return rc;
}

int jobs_retry(struct db *db, int64_t id, struct err *e)
{
	struct job_action a;
	int rc = begin(db, &a, "retried", id, e);

	return rc ? rc : db_end(db, retry(&a, id, e), e);
}

/* In one commit, so that none ends in between, and one action, so that one undo takes all
 * of it back. */
int jobs_change_all(
	struct db *db, bool is_retry, int64_t now_ms, struct numbers *ret, struct err *e)
{
	struct job_action a;
	bool at_work;
	int rc = db_begin(db, e);

	if (rc)
		return rc;
	rc = query_numbers(
		is_retry
			? db_query(db, "SELECT id FROM jobs WHERE state = 'failed' ORDER BY id", "")
			: db_query(db,
				  "SELECT id FROM jobs WHERE state IN ('queued', 'claimed',"
				  " 'rendering') ORDER BY id",
				  ""),
		ret, e);
	snprintf(a.label, sizeof(a.label), "%s %zu job%s", is_retry ? "retried" : "cancelled",
		ret->n, ret->n == 1 ? "" : "s");
	a.act = (struct action){.db = db, .label = a.label};
	for (size_t i = 0; i < ret->n && !rc; i++)
		rc = is_retry ? retry(&a, ret->at[i], e)
			      : cancel(&a, ret->at[i], now_ms, &at_work, e);
	return db_end(db, rc, e);
}

static int change_queued(struct db *db, int64_t id, const char *done, const char *field,
	int64_t value, struct err *e)
{
	struct job_action a;
	int rc = begin(db, &a, done, id, e);

	if (rc)
		return rc;
	rc = need_queued(db, id, e);
	if (!rc)
		rc = edit(&a, id, field, value, e);
	return db_end(db, rc, e);
}

int jobs_hold(struct db *db, int64_t id, bool held, struct err *e)
{
	return change_queued(db, id, held ? "held" : "released", "held", held, e);
}

int jobs_set_priority(struct db *db, int64_t id, int64_t priority, struct err *e)
{
	return change_queued(db, id, "set the priority of", "priority", priority, e);
}

/* The nearest queued job of the same priority before (or after) this one. */
static int neighbour(
	struct db *db, int64_t id, bool before, int64_t *ret_id, int64_t *ret_place, struct err *e)
{
	struct query q = before ? db_query(db,
					  "SELECT o.id, o.place FROM jobs j, jobs o WHERE j.id = ?1"
					  " AND o.state = 'queued' AND o.priority = j.priority"
					  " AND (o.place, o.id) < (j.place, j.id)"
					  " ORDER BY o.place DESC, o.id DESC LIMIT 1",
					  "i", id)
				: db_query(db,
					  "SELECT o.id, o.place FROM jobs j, jobs o WHERE j.id = ?1"
					  " AND o.state = 'queued' AND o.priority = j.priority"
					  " AND (o.place, o.id) > (j.place, j.id)"
					  " ORDER BY o.place, o.id LIMIT 1",
					  "i", id);

	*ret_id = 0;
	if (query_next(&q)) {
		*ret_id = query_int(&q, 0);
		*ret_place = query_int(&q, 1);
	}
	return query_done(&q, e);
}

static int swap(
	struct job_action *a, int64_t id, int64_t other, int64_t others_place, struct err *e)
{
	int64_t place = 0;
	int rc = query_number(
		db_query(a->act.db, "SELECT place FROM jobs WHERE id = ?1", "i", id), &place, e);

	if (!rc)
		rc = edit(a, other, "place", place, e);
	return rc ? rc : edit(a, id, "place", others_place, e);
}

int jobs_move(struct db *db, int64_t id, enum job_move move, struct err *e)
{
	int64_t other, place = 0;
	struct job_action a;
	int rc = begin(db, &a, "moved", id, e);

	if (rc)
		return rc;
	rc = need_queued(db, id, e);
	if (rc)
		return db_end(db, rc, e);
	switch (move) {
	case JOB_UP:
	case JOB_DOWN:
		rc = neighbour(db, id, move == JOB_UP, &other, &place, e);
		if (!rc && other)
			rc = swap(&a, id, other, place, e);
		break;
	case JOB_FIRST:
		rc = number(db, "SELECT min(place) - 1 FROM jobs", &place, e);
		if (!rc)
			rc = edit(&a, id, "place", place, e);
		break;
	case JOB_LAST:
		rc = number(db, "SELECT max(place) + 1 FROM jobs", &place, e);
		if (!rc)
			rc = edit(&a, id, "place", place, e);
		break;
	}
	return db_end(db, rc, e);
}

int queue_pause(struct db *db, bool paused, struct err *e)
{
	return undo_edit_alone(db, paused ? "paused the queue" : "let the queue go on",
		(struct subject){.name = "queue.paused"}, "setting", paused ? "1" : NULL, e);
}

int queue_is_paused(struct db *db, bool *ret, struct err *e)
{
	struct arena a = {0};
	const char *value;
	int rc = db_setting(db, "queue.paused", &a, &value, e);

	*ret = !rc && value;
	arena_done(&a);
	return rc;
}

/* ---- JSON --------------------------------------------------------------- */

static void time_or_null(struct str *out, const char *key, int64_t ms)
{
	char when[32];

	jsonw_text(out, key, ms ? clock_iso(ms, when) : NULL);
}

void job_json(const struct job *j, struct str *out)
{
	double seconds;

	jsonw_begin(out);
	jsonw_u64(out, "id", (uint64_t)j->id);
	jsonw_text(out, "state", j->state);
	jsonw_text(out, "prompt", j->prompt);
	jsonw_text(out, "negative", j->negative);
	jsonw_text(out, "model", j->model);
	jsonw_u64(out, "seed", j->seed);
	if (parse_f64(j->seconds, &seconds))
		jsonw_num(out, "seconds", seconds);
	else
		jsonw_text(out, "seconds", NULL);
	jsonw_text(out, "stage", j->stage);
	jsonw_u64(out, "done", j->done);
	jsonw_u64(out, "total", j->total);
	jsonw_u64(out, "attempts", (uint64_t)j->attempts);
	jsonw_text(out, "error", j->error);
	time_or_null(out, "created", j->created);
	if (j->take)
		jsonw_u64(out, "take", (uint64_t)j->take);
	else
		jsonw_text(out, "take", NULL);
	jsonw_u64(out, "batch", (uint64_t)j->batch);
	jsonw_num(out, "priority", (double)j->priority);
	jsonw_bool(out, "held", j->held);
	jsonw_bool(out, "stopping", j->stopping);
	time_or_null(out, "started", j->started);
	time_or_null(out, "ended", j->ended);
	jsonw_end(out);
}
