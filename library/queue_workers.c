/* The queue: workers, how they claim jobs and end them, and what is done about dead
 * ones.  queue.c opens with the states of a job and what holds at every commit. */
#include "library/queue.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "library/adopt.h"
#include "library/base/arena.h"
#include "library/base/err.h"
#include "library/base/str.h"
#include "library/base/vec.h"
#include "library/db.h"
#include "library/takes.h"

/* ---- workers ------------------------------------------------------------ */

struct worker {
	struct db *db;
	int64_t id;
	int fd;       /* of its lock */
	char *path;   /* of its lock; owned */
	int64_t seen; /* data_version at the last look for jobs to stop */
	bool has_seen;
};

/* The lock first, then the row: a row always has somebody behind it. */
static int take_lock(struct worker *w, char name[17], struct err *e)
{
	struct str folder = {0};
	uint64_t id;
	int rc = 0;

	str_printf(&folder, "%s/workers", db_library(w->db));
	if (getrandom(&id, sizeof(id), 0) != sizeof(id)) {
		rc = err_errno(e, errno, "cannot get random numbers from the kernel");
		goto out;
	}
	snprintf(name, 17, "%016llx", (unsigned long long)id);
	w->path = xcalloc(folder.n + 20, 1);
	snprintf(w->path, folder.n + 20, "%s/%s", folder.s, name);
	if (mkdir(folder.s, 0700) && errno != EEXIST) {
		rc = err_errno(e, errno, "cannot make the folder '%s'", folder.s);
		goto out;
	}
	w->fd = open(w->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (w->fd < 0 || flock(w->fd, LOCK_EX | LOCK_NB))
		rc = err_errno(e, errno, "cannot lock '%s'", w->path);
out:
	str_done(&folder);
	return rc;
}

int worker_open(struct db *db, int64_t now_ms, struct worker **ret, struct err *e)
{
	struct worker *w = xcalloc(1, sizeof(*w));
	char name[17], host[256] = "";
	int rc;

	*ret = NULL;
	*w = (struct worker){.db = db, .fd = -1};
	rc = take_lock(w, name, e);
	gethostname(host, sizeof(host) - 1);
	if (!rc)
		rc = db_run(db, e,
			"INSERT INTO workers(lock, pid, host, heartbeat, started)"
			" VALUES (?1, ?2, ?3, ?4, ?4)",
			"titi", name, (int64_t)getpid(), host, now_ms);
	if (rc) {
		worker_close(w);
		return rc;
	}
	w->id = db_last_id(db);
	*ret = w;
	return 0;
}

int64_t worker_id(const struct worker *w)
{
	return w->id;
}

#define TO_QUEUE                                                                                   \
	"state = 'queued', worker = NULL, heartbeat = NULL, stage = NULL, done = 0, total = 0"

void worker_close(struct worker *w)
{
	if (!w)
		return;
	if (w->id && !db_begin(w->db, NULL)) {
		int rc = db_run(w->db, NULL,
			"UPDATE jobs SET " TO_QUEUE
			", attempts = max(attempts - 1, 0) WHERE worker = ?1",
			"i", w->id);

		if (!rc)
			rc = db_run(w->db, NULL, "DELETE FROM workers WHERE id = ?1", "i", w->id);
		db_end(w->db, rc, NULL);
	}
	if (w->fd >= 0) {
		unlink(w->path);
		close(w->fd);
	}
	free(w->path);
	free(w);
}

int worker_tell(struct worker *w, const char *model, const char *device, uint64_t bytes,
	int64_t now_ms, struct err *e)
{
	return db_run(w->db, e,
		"UPDATE workers SET model = ?2, device = ?3, bytes = ?4, heartbeat = ?5 WHERE id = "
		"?1",
		"ittii", w->id, model, device, (int64_t)bytes, now_ms);
}

int worker_wants_unload(struct worker *w, bool *ret, struct err *e)
{
	int rc = db_run(
		w->db, e, "UPDATE workers SET unload = 0 WHERE id = ?1 AND unload", "i", w->id);

	*ret = !rc && db_changes(w->db) > 0;
	return rc;
}

int workers_ask_unload(struct db *db, int64_t *ret_n, struct err *e)
{
	int rc = db_run(db, e, "UPDATE workers SET unload = 1 WHERE model IS NOT NULL", "");

	*ret_n = rc ? 0 : db_changes(db);
	return rc;
}

/* ---- recovery ----------------------------------------------------------- */

/* True when nobody holds the lock, which is then ours until *ret_fd is closed
 * (-1: there is no such file). */
static bool is_dead(const char *path, int *ret_fd)
{
	*ret_fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (*ret_fd < 0)
		return errno == ENOENT;
	if (!flock(*ret_fd, LOCK_EX | LOCK_NB))
		return true;
	close(*ret_fd);
	*ret_fd = -1;
	return false;
}

struct orphan {
	int64_t id;
	int attempts;
	bool stopping;
	const char *file;
};

static int recover_job(struct db *db, const struct orphan *o, int64_t now_ms, struct err *e)
{
	int64_t take = 0;
	int rc = 0;

	if (o->file)
		rc = adopt_for_job(db, o->file, o->id, now_ms, &take, e);
	if (rc)
		return rc;
	if (take)
		return db_run(db, e,
			"UPDATE jobs SET state = 'done', worker = NULL, take = ?2, ended = ?3, "
			"stopping = 0"
			" WHERE id = ?1",
			"iii", o->id, take, now_ms);
	if (o->stopping)
		return db_run(db, e,
			"UPDATE jobs SET state = 'cancelled', worker = NULL, ended = ?2 WHERE id = "
			"?1",
			"ii", o->id, now_ms);
	if (o->attempts < JOB_ATTEMPTS)
		return db_run(db, e, "UPDATE jobs SET " TO_QUEUE ", file = NULL WHERE id = ?1", "i",
			o->id);
	return db_run(db, e,
		"UPDATE jobs SET state = 'failed', worker = NULL, ended = ?2, error = ?3 WHERE id "
		"= ?1",
		"iit", o->id, now_ms,
		"the program that rendered it ended unexpectedly, twice; look for its cause (too "
		"little memory?) and retry");
}

static int recover_worker(struct db *db, int64_t worker, int64_t now_ms, struct err *e)
{
	struct {
		struct orphan *at;
		size_t n, cap;
	} orphans = {0};
	struct arena a = {0};
	struct query q = db_query(db,
		"SELECT id, attempts, stopping, file FROM jobs WHERE worker = ?1"
		" AND state IN ('claimed', 'rendering')",
		"i", worker);
	int rc;

	while (query_next(&q))
		*VEC_PUSH(&orphans) = (struct orphan){query_int(&q, 0), (int)query_int(&q, 1),
			query_int(&q, 2) != 0, query_dup(&q, 3, &a)};
	rc = query_done(&q, e);
	for (size_t i = 0; i < orphans.n && !rc; i++)
		rc = recover_job(db, &orphans.at[i], now_ms, e);
	if (!rc)
		rc = db_run(db, e, "DELETE FROM workers WHERE id = ?1", "i", worker);
	VEC_DONE(&orphans);
	arena_done(&a);
	return rc;
}

struct dead {
	int64_t id;
	char *path; /* in the arena */
	int fd;
};

struct deads {
	struct dead *at;
	size_t n, cap;
};

static int find_dead(
	struct db *db, int64_t *ret_alive, struct arena *a, struct deads *ret, struct err *e)
{
	struct query q = db_query(db, "SELECT id, lock FROM workers", "");

	while (query_next(&q)) {
		const char *name = query_text(&q, 1);
		char *path = arena_printf(a, "%s/workers/%s", db_library(db), name);
		/* A name with '/' is not one of ours: nothing outside is ever touched. */
		const bool foreign = strchr(name, '/') != NULL;
		int fd = -1;

		if (foreign || is_dead(path, &fd))
			*VEC_PUSH(ret) = (struct dead){query_int(&q, 0), path, fd};
		else
			++*ret_alive;
	}
	return query_done(&q, e);
}

int workers_recover(struct db *db, int64_t now_ms, size_t *ret_n, struct err *e)
{
	struct deads deads = {0};
	struct arena a = {0};
	int64_t alive = 0;
	int rc = db_begin(db, e);

	*ret_n = 0;
	if (rc)
		return rc;
	rc = find_dead(db, &alive, &a, &deads, e);
	for (size_t i = 0; i < deads.n && !rc; i++)
		rc = recover_worker(db, deads.at[i].id, now_ms, e);
	rc = db_end(db, rc, e);
	for (size_t i = 0; i < deads.n; i++) {
		if (deads.at[i].fd < 0)
			continue;
		if (!rc)
			unlink(deads.at[i].path);
		close(deads.at[i].fd);
	}
	*ret_n = rc ? 0 : deads.n;
	VEC_DONE(&deads);
	arena_done(&a);
	return rc;
}

int workers_count(struct db *db, int64_t *ret, struct err *e)
{
	struct deads deads = {0};
	struct arena a = {0};
	int rc;

	*ret = 0;
	rc = find_dead(db, ret, &a, &deads, e);
	for (size_t i = 0; i < deads.n; i++)
		if (deads.at[i].fd >= 0)
			close(deads.at[i].fd);
	VEC_DONE(&deads);
	arena_done(&a);
	return rc;
}

/* ---- claiming ----------------------------------------------------------- */

/* The job to do next: *ret 0 when there is none.  *ret_passed: the one before it
 * in the queue that its model lets wait, or 0. */
static int choose(
	struct db *db, const char *model, int64_t *ret, int64_t *ret_passed, struct err *e)
{
	struct query q = db_query(db,
		"SELECT id, model, priority, passed FROM jobs WHERE state = 'queued' AND NOT held"
		" ORDER BY priority DESC, place, id LIMIT 1",
		"");
	int64_t priority = 0;
	bool look = false;
	int rc;

	*ret = *ret_passed = 0;
	if (query_next(&q)) {
		*ret = query_int(&q, 0);
		priority = query_int(&q, 2);
		look = model && strcmp(query_text(&q, 1), model) &&
		       query_int(&q, 3) < JOB_PASSED_MAX;
	}
	rc = query_done(&q, e);
	if (rc || !look)
		return rc;
	q = db_query(db,
		"SELECT id FROM jobs WHERE state = 'queued' AND NOT held AND priority = ?1 AND "
		"model = ?2"
		" ORDER BY place, id LIMIT 1",
		"it", priority, model);
	if (query_next(&q)) {
		*ret_passed = *ret;
		*ret = query_int(&q, 0);
	}
	return query_done(&q, e);
}

static int claim_one(struct worker *w, int64_t id, int64_t now_ms, struct err *e)
{
	return db_run(w->db, e,
		"UPDATE jobs SET state = 'claimed', worker = ?2, heartbeat = ?3, started = ?3,"
		" attempts = attempts + 1, stage = NULL, done = 0, total = 0, stopping = 0"
		" WHERE id = ?1 AND state = 'queued'",
		"iii", id, w->id, now_ms);
}

/* The job that differs from `id` in nothing but that its seed is `by` higher. */
static int sibling(struct db *db, int64_t id, int64_t by, int64_t *ret, struct err *e)
{
	return query_number(
		db_query(db,
			"SELECT o.id FROM jobs j JOIN jobs o USING (batch, prompt, model, seconds, "
			"options,"
			" priority) WHERE j.id = ?1 AND o.state = 'queued' AND NOT o.held"
			" AND o.attempts = 0 AND j.attempts <= 1 AND o.seed = j.seed + ?2 LIMIT 1",
			"ii", id, by),
		ret, e);
}

static int claim_all(struct worker *w, const char *model, size_t max, int64_t now_ms,
	int64_t ids[JOB_BATCH_MAX], size_t *ret_n, struct err *e)
{
	int64_t passed, next;
	int rc = choose(w->db, model, &next, &passed, e);

	*ret_n = 0;
	if (!rc && passed)
		rc = db_run(
			w->db, e, "UPDATE jobs SET passed = passed + 1 WHERE id = ?1", "i", passed);
	while (!rc && next && *ret_n < max && *ret_n < JOB_BATCH_MAX) {
		rc = claim_one(w, next, now_ms, e);
		ids[(*ret_n)++] = next;
		if (!rc)
			rc = sibling(w->db, ids[0], (int64_t)*ret_n, &next, e);
	}
	return rc;
}

int jobs_claim(struct worker *w, const char *model, size_t max, int64_t now_ms, struct arena *a,
	struct job **ret, size_t *ret_n, struct err *e)
{
	int64_t ids[JOB_BATCH_MAX];
	bool paused = false;
	size_t n = 0;
	int rc = db_begin(w->db, e);

	*ret = NULL;
	*ret_n = 0;
	if (rc)
		return rc;
	rc = queue_is_paused(w->db, &paused, e);
	if (!rc && !paused)
		rc = claim_all(w, model, max, now_ms, ids, &n, e);
	*ret = ARENA_ARRAY(a, struct job, n + 1);
	for (size_t i = 0; i < n && !rc; i++)
		rc = jobs_get(w->db, ids[i], a, &(*ret)[i], e);
	rc = db_end(w->db, rc, e);
	*ret_n = rc ? 0 : n;
	return rc;
}

/* ---- a worker's own ----------------------------------------------------- */

static int mine(struct worker *w, int rc, struct err *e)
{
	if (rc || db_changes(w->db) == 1)
		return rc;
	return err_set(e, ERR_CANCELLED, "the job was given to another worker");
}

int jobs_start(struct worker *w, int64_t id, const char *file, int64_t now_ms, struct err *e)
{
	return mine(w,
		db_run(w->db, e,
			"UPDATE jobs SET state = 'rendering', file = ?3, heartbeat = ?4"
			" WHERE id = ?1 AND worker = ?2 AND state = 'claimed'",
			"iiti", id, w->id, file, now_ms),
		e);
}

int jobs_progress(struct worker *w, int64_t id, const char *stage, uint64_t done, uint64_t total,
	int64_t now_ms, struct err *e)
{
	return mine(w,
		db_run(w->db, e,
			"UPDATE jobs SET stage = ?3, done = ?4, total = ?5, heartbeat = ?6"
			" WHERE id = ?1 AND worker = ?2",
			"iitiii", id, w->id, stage, (int64_t)done, (int64_t)total, now_ms),
		e);
}

int jobs_done(struct worker *w, int64_t id, const struct take *t, int64_t now_ms, int64_t *ret_take,
	struct err *e)
{
	int rc = db_begin(w->db, e);

	if (rc)
		return rc;
	rc = takes_add(w->db, t, ret_take, e);
	if (!rc)
		rc = mine(w,
			db_run(w->db, e,
				"UPDATE jobs SET state = 'done', worker = NULL, take = ?3, ended = "
				"?4,"
				" stopping = 0, error = NULL WHERE id = ?1 AND worker = ?2",
				"iiii", id, w->id, *ret_take, now_ms),
			e);
	return db_end(w->db, rc, e);
}

int jobs_failed(struct worker *w, int64_t id, const char *error, int64_t now_ms, struct err *e)
{
	return mine(w,
		db_run(w->db, e,
			"UPDATE jobs SET state = 'failed', worker = NULL, error = ?3, ended = ?4"
			" WHERE id = ?1 AND worker = ?2",
			"iiti", id, w->id, error, now_ms),
		e);
}

int jobs_stopped(struct worker *w, int64_t id, int64_t now_ms, struct err *e)
{
	return mine(w,
		db_run(w->db, e,
			"UPDATE jobs SET state = 'cancelled', worker = NULL, ended = ?3, stopping "
			"= 0"
			" WHERE id = ?1 AND worker = ?2",
			"iii", id, w->id, now_ms),
		e);
}

int jobs_release(struct worker *w, int64_t id, struct err *e)
{
	return mine(w,
		db_run(w->db, e,
			"UPDATE jobs SET " TO_QUEUE ", file = NULL, attempts = max(attempts - 1, 0)"
			" WHERE id = ?1 AND worker = ?2",
			"ii", id, w->id),
		e);
}

int jobs_again(struct worker *w, int64_t id, struct err *e)
{
	return mine(w,
		db_run(w->db, e,
			"UPDATE jobs SET " TO_QUEUE ", file = NULL WHERE id = ?1 AND worker = ?2",
			"ii", id, w->id),
		e);
}

int jobs_stopping(struct worker *w, int64_t *ids, size_t max, size_t *ret_n, struct err *e)
{
	int64_t version = 0;
	struct query q;
	int rc = db_version(w->db, &version, e);

	*ret_n = 0;
	if (rc || (w->has_seen && version == w->seen))
		return rc;
	q = db_query(w->db, "SELECT id FROM jobs WHERE worker = ?1 AND stopping", "i", w->id);
	while (*ret_n < max && query_next(&q))
		ids[(*ret_n)++] = query_int(&q, 0);
	rc = query_done(&q, e);
	if (!rc && !*ret_n) { /* looked at again until it is obeyed */
		w->seen = version;
		w->has_seen = true;
	}
	return rc;
}
