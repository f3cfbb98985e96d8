/* Jobs and workers as a screen shows them: those that matter now, however many there
 * have been. */
#include <string.h>

#include "library/base/arena.h"
#include "library/base/err.h"
#include "library/base/str.h"
#include "library/base/vec.h"
#include "library/db.h"
#include "library/queue.h"
#include "library/undo.h"

/* Numbers rise with time, so batches that were added lately are among the last. */
#define LAST "id > (SELECT coalesce(max(id), 0) FROM jobs) - 2000"

/* The jobs of these numbers, which are freed; rc: of finding them. */
static int read_jobs(struct db *db, int rc, struct numbers *ids, struct arena *a, struct job **ret,
	size_t *ret_n, struct err *e)
{
	*ret = ARENA_ARRAY(a, struct job, ids->n + 1);
	*ret_n = 0;
	for (size_t i = 0; i < ids->n && !rc; i++) {
		rc = jobs_get(db, ids->at[i], a, &(*ret)[i], e);
		*ret_n += !rc;
	}
	VEC_DONE(ids);
	return rc;
}

int jobs_list_recent(struct db *db, int64_t since_ms, size_t max, struct arena *a, struct job **ret,
	size_t *ret_n, struct err *e)
{
	struct numbers ids = {0};
	int rc = query_numbers(db_query(db,
				       "SELECT id FROM jobs WHERE state IN ('claimed', 'rendering')"
				       " ORDER BY id LIMIT ?1",
				       "i", (int64_t)max),
		&ids, e);

	if (!rc)
		rc = query_numbers(db_query(db,
					   "SELECT id FROM jobs WHERE state = 'queued'"
					   " ORDER BY priority DESC, place, id LIMIT ?1",
					   "i", (int64_t)max),
			&ids, e);
	if (!rc)
		rc = query_numbers(db_query(db,
					   "SELECT id FROM jobs WHERE ended > ?1"
					   " ORDER BY ended DESC, id DESC LIMIT ?2",
					   "ii", since_ms, (int64_t)max),
			&ids, e);
	return read_jobs(db, rc, &ids, a, ret, ret_n, e);
}

int jobs_list_failed(struct db *db, int64_t since_ms, size_t max, struct arena *a, struct job **ret,
	size_t *ret_n, struct err *e)
{
	struct numbers ids = {0};
	int rc = query_numbers(db_query(db,
				       "SELECT id FROM jobs WHERE state = 'failed'"
				       " AND ended > ?1 ORDER BY ended DESC, id DESC LIMIT ?2",
				       "ii", since_ms, (int64_t)max),
		&ids, e);

	return read_jobs(db, rc, &ids, a, ret, ret_n, e);
}

int jobs_list_batch(struct db *db, int64_t batch, size_t max, struct arena *a, struct job **ret,
	size_t *ret_n, struct err *e)
{
	struct numbers ids = {0};
	int rc = query_numbers(
		db_query(db, "SELECT id FROM jobs WHERE batch = ?1 ORDER BY id LIMIT ?2", "ii",
			batch, (int64_t)max),
		&ids, e);

	return read_jobs(db, rc, &ids, a, ret, ret_n, e);
}

int jobs_last_race(struct db *db, int64_t *ret_batch, struct err *e)
{
	return query_number(db_query(db,
				    "SELECT batch FROM jobs WHERE " LAST " GROUP BY batch"
				    " HAVING count(DISTINCT model) > 1"
				    " AND count(DISTINCT prompt) = 1"
				    " ORDER BY batch DESC LIMIT 1",
				    ""),
		ret_batch, e);
}

int jobs_failed_stamp(struct db *db, uint64_t *ret, struct err *e)
{
	struct query q = db_query(db,
		"SELECT count(*), max(ended), (SELECT value FROM settings WHERE name = ?1)"
		" FROM jobs WHERE state = 'failed'",
		"t", "queue.hidden");

	*ret = 0;
	if (query_next(&q))
		*ret = (uint64_t)query_int(&q, 0) * 0x9e3779b97f4a7c15u +
		       (uint64_t)query_int(&q, 1) * 31 + (uint64_t)query_int(&q, 2);
	return query_done(&q, e);
}

int queue_hide_ended(struct db *db, int64_t before_ms, struct err *e)
{
	struct str text = {0};
	int rc;

	str_printf(&text, "%lld", (long long)before_ms);
	rc = undo_edit_alone(db,
		before_ms ? "hid jobs that have ended" : "showed jobs that have ended",
		(struct subject){.name = "queue.hidden"}, "setting", before_ms ? text.s : NULL, e);
	str_done(&text);
	return rc;
}

int queue_hidden(struct db *db, int64_t *ret, struct err *e)
{
	struct arena a = {0};
	const char *value;
	int rc = db_setting(db, "queue.hidden", &a, &value, e);

	*ret = 0;
	if (!rc && value && !parse_i64(value, ret))
		*ret = 0;
	arena_done(&a);
	return rc;
}

int workers_list(
	struct db *db, struct arena *a, struct worker_row **ret, size_t *ret_n, struct err *e)
{
	struct {
		struct worker_row *at;
		size_t n, cap;
	} rows = {0};
	struct query q = db_query(db,
		"SELECT id, pid, model, device, bytes,"
		" max(heartbeat, coalesce((SELECT max(heartbeat) FROM jobs WHERE worker = "
		"workers.id AND state IN ('claimed', 'rendering')), 0)), started"
		" FROM workers ORDER BY id",
		"");
	int rc;

	while (query_next(&q))
		*VEC_PUSH(&rows) = (struct worker_row){
			.id = query_int(&q, 0),
			.pid = query_int(&q, 1),
			.model = query_dup(&q, 2, a),
			.device = query_dup(&q, 3, a),
			.bytes = (uint64_t)query_int(&q, 4),
			.heartbeat = query_int(&q, 5),
			.started = query_int(&q, 6),
		};
	rc = query_done(&q, e);
	*ret = ARENA_ARRAY(a, struct worker_row, rows.n + 1);
	if (rows.n)
		memcpy(*ret, rows.at, rows.n * sizeof(**ret));
	*ret_n = rc ? 0 : rows.n;
	VEC_DONE(&rows);
	return rc;
}
