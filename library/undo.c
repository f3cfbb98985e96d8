/* What users do, and how it is taken back.
 *
 * Each change of one field of one thing is a row of `undo`: the field, what was
 * there, what is there now.  Rows of one action are applied together, backwards
 * to undo and forwards to redo.  A row whose field has been changed since, by a
 * worker that began the job, say, is too late and is left out.  A new action
 * forgets those that were undone; only the last KEPT are kept. */
#include "library/undo.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "library/base/arena.h"
#include "library/base/err.h"
#include "library/base/str.h"
#include "library/base/vec.h"
#include "library/db.h"
#include "library/takes.h"

enum { KEPT = 1000, TEXT_MAX = 65536, TAG_MAX = 100 };

/* ---- fields ------------------------------------------------------------- */

/* The statements are literals: no name of a field is ever pasted into SQL.  In all of
 * them ?1 is what it is a field of; where it is changed ?2 is what it becomes and ?3
 * what it was, and no row changes where it is another by now. */
static const struct field {
	const char *name, *get, *set;
	const char *drop; /* where it becomes NULL; NULL: `set` does */
	const char *late; /* tried where that came too late; NULL: nothing is */
} fields[] = {
	{.name = "favourite",
		.get = "SELECT favourite FROM takes WHERE id = ?1",
		.set = "UPDATE takes SET favourite = CAST(?2 AS INTEGER) WHERE id = ?1"
		       " AND favourite = CAST(?3 AS INTEGER)"},
	{.name = "rating",
		.get = "SELECT rating FROM takes WHERE id = ?1",
		.set = "UPDATE takes SET rating = CAST(?2 AS INTEGER) WHERE id = ?1"
		       " AND rating = CAST(?3 AS INTEGER)"},
	{.name = "verdict",
		.get = "SELECT verdict FROM takes WHERE id = ?1",
		.set = "UPDATE takes SET verdict = ?2 WHERE id = ?1 AND verdict = ?3"},
	{.name = "note",
		.get = "SELECT note FROM files WHERE take = ?1",
		.set = "UPDATE files SET note = ?2 WHERE take = ?1 AND note = ?3"},
	{.name = "trashed",
		.get = "SELECT trashed FROM takes WHERE id = ?1",
		.set = "UPDATE takes SET trashed = CAST(?2 AS INTEGER) WHERE id = ?1"
		       " AND trashed IS CAST(?3 AS INTEGER)"},
	/* What it is and was is a tag, or NULL for none. */
	{.name = "tag",
		.set = "INSERT OR IGNORE INTO tags(take, tag) SELECT ?1, ?2 WHERE ?3 IS NULL",
		.drop = "DELETE FROM tags WHERE take = ?1 AND tag = ?3 AND ?2 IS NULL"},

	{.name = "held",
		.get = "SELECT held FROM jobs WHERE id = ?1",
		.set = "UPDATE jobs SET held = CAST(?2 AS INTEGER) WHERE id = ?1"
		       " AND held = CAST(?3 AS INTEGER) AND state = 'queued'"},
	{.name = "priority",
		.get = "SELECT priority FROM jobs WHERE id = ?1",
		.set = "UPDATE jobs SET priority = CAST(?2 AS INTEGER) WHERE id = ?1"
		       " AND priority = CAST(?3 AS INTEGER) AND state = 'queued'"},
	{.name = "place",
		.get = "SELECT place FROM jobs WHERE id = ?1",
		.set = "UPDATE jobs SET place = CAST(?2 AS INTEGER) WHERE id = ?1"
		       " AND place = CAST(?3 AS INTEGER)"},
	{.name = "state",
		.get = "SELECT " JOB_STATE " FROM jobs WHERE id = ?1",
		.set = "UPDATE jobs SET state = ?2 ->> 'state', ended = ?2 ->> 'ended',"
		       " held = ?2 ->> 'held', place = ?2 ->> 'place', error = ?2 ->> 'error',"
		       " attempts = ?2 ->> 'attempts', started = ?2 ->> 'started',"
		       " stage = ?2 ->> 'stage', done = ?2 ->> 'done', total = ?2 ->> 'total',"
		       " file = ?2 ->> 'file', passed = ?2 ->> 'passed',"
		       " stopping = ?2 ->> 'stopping'"
		       " WHERE id = ?1 AND state = ?3 ->> 'state'"},
	/* It was added: "queued" or "held"; NULL: it was not. */
	{.name = "added",
		.set = "UPDATE jobs SET state = 'queued', ended = NULL, held = ?2 = 'held'"
		       " WHERE id = ?1 AND state = 'cancelled' AND ?3 IS NULL",
		.drop = "UPDATE jobs SET state = 'cancelled', ended = unixepoch() * 1000, held = 0"
			" WHERE id = ?1 AND state = 'queued' AND ?2 IS NULL AND ?3 IS NOT NULL"},
	/* Its worker may have heard of it by now: the job is queued anew, or cancelled then. */
	{.name = "stopping",
		.get = "SELECT stopping FROM jobs WHERE id = ?1",
		.set = "UPDATE jobs SET stopping = CAST(?2 AS INTEGER) WHERE id = ?1"
		       " AND stopping = CAST(?3 AS INTEGER) AND state IN ('claimed', 'rendering')",
		.late = "UPDATE jobs SET state = iif(?2 = '0', 'queued', 'cancelled'),"
			" ended = iif(?2 = '0', NULL, unixepoch() * 1000), started = NULL,"
			" error = NULL, attempts = 0, stopping = 0, stage = NULL, done = 0,"
			" total = 0, file = NULL, passed = 0 WHERE id = ?1 AND ?3 IS NOT NULL"
			" AND state = iif(?2 = '0', 'cancelled', 'queued')"},

	{.name = "setting",
		.get = "SELECT value FROM settings WHERE name = ?1",
		.set = "INSERT OR REPLACE INTO settings(name, value) SELECT ?1, ?2"
		       " WHERE (SELECT value FROM settings WHERE name = ?1) IS ?3",
		.drop = "DELETE FROM settings WHERE name = ?1 AND value = ?3 AND ?2 IS NULL"},
	{.name = "filter",
		.get = "SELECT text FROM filters WHERE name = ?1",
		.set = "INSERT OR REPLACE INTO filters(name, text) SELECT ?1, ?2"
		       " WHERE (SELECT text FROM filters WHERE name = ?1) IS ?3",
		.drop = "DELETE FROM filters WHERE name = ?1 AND text = ?3 AND ?2 IS NULL"},
};

static const struct field *find_field(const char *name)
{
	for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++)
		if (!strcmp(fields[i].name, name))
			return &fields[i];
	return NULL;
}

static int run(struct db *db, const char *sql, const struct subject *s, const char *from,
	const char *to, struct err *e)
{
	if (s->name)
		return db_run(db, e, sql, "ttt", s->name, to, from);
	return db_run(db, e, sql, "itt", s->take ? s->take : s->job, to, from);
}

/* Makes `from` into `to`, whichever direction that is; *ret_done: it was not too late. */
static int apply(struct db *db, const struct subject *s, const char *field, const char *from,
	const char *to, bool *ret_done, struct err *e)
{
	const struct field *f = find_field(field);
	int rc;

	*ret_done = false;
	if (!f)
		return err_set(e, ERR_FORMAT, "the undo log is damaged: no field '%.40s'", field);
	rc = run(db, !to && f->drop ? f->drop : f->set, s, from, to, e);
	if (!rc && !db_changes(db) && f->late)
		rc = run(db, f->late, s, from, to, e);
	*ret_done = !rc && db_changes(db) > 0;
	return rc;
}

/* Of a tag: whether the take has this one. */
static int read_old(struct db *db, const struct subject *s, const char *field, const char *tag,
	struct arena *a, const char **ret, struct err *e)
{
	const struct field *f = find_field(field);
	struct query q =
		!f->get   ? db_query(db,
				    "SELECT (SELECT tag FROM tags WHERE take = ?1 AND tag = ?2)"
				      " FROM takes WHERE id = ?1",
				    "it", s->take, tag)
		: s->name ? db_query(db, f->get, "t", s->name)
			  : db_query(db, f->get, "i", s->take ? s->take : s->job);
	bool found = query_next(&q);
	int rc;

	*ret = found ? query_dup(&q, 0, a) : NULL;
	rc = query_done(&q, e);
	if (rc || found || s->name)
		return rc;
	return s->take ? err_set(e, ERR_ARG, "there is no take %lld; woodshed takes lists them",
				 (long long)s->take)
		       : err_set(e, ERR_ARG, "there is no job %lld; woodshed jobs lists them",
				 (long long)s->job);
}

/* ---- doing -------------------------------------------------------------- */

static bool same(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

/* Gives the action its number, at its first change. */
static int begin(struct action *act, struct err *e)
{
	int rc = act->id ? 0 : db_run(act->db, e, "DELETE FROM undo WHERE undone", "");

	if (rc || act->id)
		return rc;
	rc = query_number(db_query(act->db, "SELECT coalesce(max(action), 0) + 1 FROM undo", ""),
		&act->id, e);
	if (rc)
		return rc;
	return db_run(act->db, e, "DELETE FROM undo WHERE action <= ?1", "i", act->id - KEPT);
}

/* Changes what is not `to` yet. */
static int change(struct action *act, const struct subject *s, const char *field, const char *from,
	const char *to, struct err *e)
{
	bool is_done;
	int rc;

	if (same(from, to))
		return 0;
	rc = begin(act, e);
	if (!rc)
		rc = apply(act->db, s, field, from, to, &is_done, e);
	if (rc || !is_done) /* a tag in other letters, which is there */
		return rc;
	return db_run(act->db, e,
		"INSERT INTO undo(action, label, take, job, name, field, old, new)"
		" VALUES (?1, ?2, nullif(?3, 0), nullif(?4, 0), ?5, ?6, ?7, ?8)",
		"itiitttt", act->id, act->label, s->take, s->job, s->name, field, from, to);
}

/* Makes a field `to`; tag: which one, of that field. */
static int edit(struct action *act, const struct subject *s, const char *field, const char *tag,
	const char *to, struct err *e)
{
	struct arena a = {0};
	const char *from;
	int rc = read_old(act->db, s, field, tag, &a, &from, e);

	if (!rc)
		rc = change(act, s, field, from, to, e);
	arena_done(&a);
	return rc;
}

int undo_edit(
	struct action *act, struct subject s, const char *field, const char *to, struct err *e)
{
	return edit(act, &s, field, to, to, e);
}

int undo_edit_alone(struct db *db, const char *label, struct subject s, const char *field,
	const char *to, struct err *e)
{
	struct action act = {.db = db, .label = label};
	int rc = db_begin(db, e);

	return rc ? rc : db_end(db, undo_edit(&act, s, field, to, e), e);
}

int undo_added(struct action *act, int64_t batch, struct err *e)
{
	int rc = begin(act, e);

	if (rc)
		return rc;
	return db_run(act->db, e,
		"INSERT INTO undo(action, label, job, field, new) SELECT ?1, ?2, id, 'added',"
		" iif(held, 'held', 'queued') FROM jobs WHERE batch = ?3",
		"iti", act->id, act->label, batch);
}

/* ---- takes -------------------------------------------------------------- */

static int check_tag(const char *value, struct err *e)
{
	if (value && *value && strlen(value) <= TAG_MAX && is_utf8(value, strlen(value)) &&
		!strpbrk(value, " \t\n\"#,"))
		return 0;
	return err_set(e, ERR_ARG,
		"a tag is one word of at most %d bytes, without '#', '\"' and ','", TAG_MAX);
}

static int check_value(const char *field, const char *value, struct err *e)
{
	uint64_t n;

	if (!strcmp(field, "tag") || !strcmp(field, "untag"))
		return check_tag(value, e);
	if (!strcmp(field, "trashed"))
		return !value || parse_u64(value, &n) ? 0
						      : err_set(e, ERR_BUG, "trashed takes a time");
	if (!value)
		return err_set(e, ERR_BUG, "%s takes a value", field);
	if (!strcmp(field, "favourite"))
		return !strcmp(value, "0") || !strcmp(value, "1")
			       ? 0
			       : err_set(e, ERR_ARG, "favourite is 0 or 1, not '%.40s'", value);
	if (!strcmp(field, "rating"))
		return parse_u64(value, &n) && n <= 5
			       ? 0
			       : err_set(e, ERR_ARG, "a rating is 0 to 5, not '%.40s'", value);
	if (!strcmp(field, "verdict"))
		return !*value || !strcmp(value, "kept") || !strcmp(value, "rejected")
			       ? 0
			       : err_set(e, ERR_ARG, "a verdict is kept or rejected, not '%.40s'",
					 value);
	if (!strcmp(field, "note"))
		return strlen(value) <= TEXT_MAX && is_utf8(value, strlen(value))
			       ? 0
			       : err_set(e, ERR_ARG, "a note is at most %d bytes of UTF-8",
					 TEXT_MAX);
	return err_set(e, ERR_BUG, "takes have no field '%.40s'", field);
}

int takes_edit(struct db *db, const int64_t *ids, size_t n, const char *field, const char *value,
	const char *label, int64_t *ret_action, struct err *e)
{
	const bool is_untag = !strcmp(field, "untag");
	struct action act = {.db = db, .label = label};
	int rc = check_value(field, value, e);

	if (!rc)
		rc = db_begin(db, e);
	if (rc)
		return rc;
	for (size_t i = 0; i < n && !rc; i++)
		rc = edit(&act, &(struct subject){.take = ids[i]}, is_untag ? "tag" : field, value,
			is_untag ? NULL : value, e);
	rc = db_end(db, rc, e);
	if (!rc && ret_action)
		*ret_action = act.id;
	return rc;
}

int takes_hear(struct db *db, int64_t id, bool heard, bool *ret_is_new, struct err *e)
{
	int rc = db_run(db, e, "UPDATE takes SET heard = ?2 WHERE id = ?1 AND heard <> ?2", "ii",
		id, (int64_t)heard);

	if (!rc && ret_is_new)
		*ret_is_new = db_changes(db) > 0;
	return rc;
}

/* ---- taking back -------------------------------------------------------- */

struct change {
	struct subject of;
	const char *field, *from, *to;
};

static int apply_action(struct db *db, int64_t action, bool undo, struct arena *a,
	struct undone *ret, struct err *e)
{
	struct {
		struct change *at;
		size_t n, cap;
	} changes = {0};
	/* Collected first: what they change is what a row of them may depend on. */
	struct query q = undo ? db_query(db,
					"SELECT take, job, name, field, new, old FROM undo"
					" WHERE action = ?1 ORDER BY id DESC",
					"i", action)
			      : db_query(db,
					"SELECT take, job, name, field, old, new FROM undo"
					" WHERE action = ?1 ORDER BY id",
					"i", action);
	int rc;

	while (query_next(&q))
		*VEC_PUSH(&changes) =
			(struct change){{query_int(&q, 0), query_int(&q, 1), query_dup(&q, 2, a)},
				query_dup(&q, 3, a), query_dup(&q, 4, a), query_dup(&q, 5, a)};
	rc = query_done(&q, e);
	for (size_t i = 0; i < changes.n && !rc; i++) {
		const struct change *c = &changes.at[i];
		bool is_done;

		rc = apply(db, &c->of, c->field, c->from, c->to, &is_done, e);
		ret->n++;
		ret->n_late += !is_done;
	}
	VEC_DONE(&changes);
	if (rc)
		return rc;
	return db_run(db, e, "UPDATE undo SET undone = ?2 WHERE action = ?1", "ii", action,
		(int64_t)undo);
}

/* Gives its rows numbers as if it had been the last, by which others know that something
 * is another (takes_stamp()). */
static int renumber(struct db *db, int64_t action, struct err *e)
{
	return db_run(db, e,
		"UPDATE undo SET id = id + (SELECT max(id) FROM undo) + 1"
		" - (SELECT min(id) FROM undo WHERE action = ?1) WHERE action = ?1",
		"i", action);
}

/* Undoes the action that the query finds, or does it again; the columns: it and its label. */
static int step(struct db *db, struct query q, bool undo, bool is_alone, struct arena *a,
	struct undone *ret, struct err *e)
{
	int64_t action = 0;
	int rc = db_begin(db, e);

	*ret = (struct undone){0};
	if (rc) {
		query_done(&q, NULL);
		return rc;
	}
	if (query_next(&q)) {
		action = query_int(&q, 0);
		ret->label = query_dup(&q, 1, a);
	}
	rc = query_done(&q, e);
	if (!rc && action)
		rc = apply_action(db, action, undo, a, ret, e);
	if (!rc && action && is_alone)
		rc = renumber(db, action, e);
	rc = db_end(db, rc, e);
	if (rc)
		*ret = (struct undone){0};
	return rc;
}

int undo_back(struct db *db, struct arena *a, struct undone *ret, struct err *e)
{
	return step(db,
		db_query(db,
			"SELECT action, label FROM undo WHERE NOT undone ORDER BY action DESC "
			"LIMIT 1",
			""),
		true, false, a, ret, e);
}

int undo_again(struct db *db, struct arena *a, struct undone *ret, struct err *e)
{
	return step(db,
		db_query(db, "SELECT action, label FROM undo WHERE undone ORDER BY action LIMIT 1",
			""),
		false, false, a, ret, e);
}

int undo_back_one(struct db *db, int64_t action, struct subject of, struct arena *a,
	struct undone *ret, struct err *e)
{
	return step(db,
		db_query(db,
			"SELECT action, label FROM undo WHERE action = ?1 AND NOT undone"
			" AND (take = ?2 OR job = ?3) LIMIT 1",
			"iii", action, of.take, of.job),
		true, true, a, ret, e);
}

int undo_adding(struct db *db, int64_t job, int64_t *ret_action, struct err *e)
{
	return query_number(
		db_query(
			db, "SELECT action FROM undo WHERE job = ?1 AND field = 'added'", "i", job),
		ret_action, e);
}

/* ---- for good ----------------------------------------------------------- */

/* A file without a row would be adopted again; a row without a file is only missing,
 * should the power go between the two. */
static int delete_take(struct db *db, const struct take *t, uint64_t *bytes, struct err *e)
{
	struct arena a = {0};
	struct stat st;
	const char *path = arena_printf(&a, "%s/%s", db_library(db), t->file);
	/* A database may come from anywhere: nothing outside is ever deleted. */
	const bool is_inside = has_prefix(t->file, "takes/") && !strstr(t->file, "/../");
	int rc = 0;

	if (is_inside && !lstat(path, &st))
		*bytes += (uint64_t)st.st_size;
	if (is_inside && unlink(path) && errno != ENOENT)
		rc = err_errno(e, errno, "cannot delete '%s'", path);
	arena_done(&a);
	return rc ? rc : db_run(db, e, "DELETE FROM takes WHERE id = ?1", "i", t->id);
}

/* Nobody restores it between the look and the deletion. */
static int purge_one(struct db *db, int64_t id, struct purged *ret, struct err *e)
{
	struct arena a = {0};
	struct err gone = {0};
	struct take t;
	bool is_there;
	int rc = db_begin(db, e);

	if (rc)
		return rc;
	rc = takes_get(db, id, &a, &t, &gone);
	is_there = !rc && t.trashed;
	if (rc && rc != ERR_ARG)
		rc = err_set(e, rc, "%s", gone.text);
	else
		rc = is_there ? delete_take(db, &t, &ret->bytes, e) : 0;
	rc = db_end(db, rc, e);
	ret->n += is_there && !rc;
	arena_done(&a);
	return rc;
}

int takes_purge(struct db *db, const int64_t *ids, size_t n, struct purged *ret, struct err *e)
{
	int rc = 0;

	*ret = (struct purged){0};
	for (size_t i = 0; i < n && !rc; i++)
		rc = purge_one(db, ids[i], ret, e);
	return rc;
}
