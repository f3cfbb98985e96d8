/* What a user does to takes, and how it is taken back.
 *
 * Each change of one field of one take is a row of `undo`: the field, what was
 * there, what is there now.  Rows of one action are applied together, backwards
 * to undo and forwards to redo.  A new action forgets those that were undone;
 * only the last KEPT are kept. */
#include "library/takes.h"

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

enum { KEPT = 1000, TEXT_MAX = 65536, TAG_MAX = 100 };

/* ---- fields ------------------------------------------------------------- */

/* A tag is a field whose old and new values are a tag, or NULL for none. */
static bool is_tag(const char *field)
{
	return !strcmp(field, "tag");
}

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

	if (is_tag(field) || !strcmp(field, "untag"))
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

/* The statements are literals: no name of a field is ever pasted into SQL. */
static const struct field {
	const char *name, *get, *set;
} fields[] = {
	{"favourite", "SELECT favourite FROM takes WHERE id = ?1",
		"UPDATE takes SET favourite = CAST(?2 AS INTEGER) WHERE id = ?1"},
	{"rating", "SELECT rating FROM takes WHERE id = ?1",
		"UPDATE takes SET rating = CAST(?2 AS INTEGER) WHERE id = ?1"},
	{"verdict", "SELECT verdict FROM takes WHERE id = ?1",
		"UPDATE takes SET verdict = ?2 WHERE id = ?1"},
	{"note", "SELECT note FROM files WHERE take = ?1",
		"UPDATE files SET note = ?2 WHERE take = ?1"},
	{"trashed", "SELECT trashed FROM takes WHERE id = ?1",
		"UPDATE takes SET trashed = CAST(?2 AS INTEGER) WHERE id = ?1"},
};

static const struct field *find_field(const char *name)
{
	for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++)
		if (!strcmp(fields[i].name, name))
			return &fields[i];
	return NULL;
}

/* Makes `from` into `to`, whichever direction that is. */
static int apply(struct db *db, int64_t take, const char *field, const char *from, const char *to,
	struct err *e)
{
	const struct field *f = find_field(field);

	if (f)
		return db_run(db, e, f->set, "it", take, to);
	if (!is_tag(field))
		return err_set(e, ERR_FORMAT, "the undo log is damaged: no field '%.40s'", field);
	if (to)
		return db_run(db, e, "INSERT OR IGNORE INTO tags(take, tag) VALUES (?1, ?2)", "it",
			take, to);
	return db_run(db, e, "DELETE FROM tags WHERE take = ?1 AND tag = ?2", "it", take, from);
}

static int read_old(struct db *db, int64_t take, const char *field, const char *value,
	struct arena *a, const char **ret, struct err *e)
{
	const struct field *f = find_field(field);
	struct query q = f ? db_query(db, f->get, "i", take)
			   : db_query(db,
				     "SELECT (SELECT tag FROM tags WHERE take = ?1 AND tag = ?2)"
				     " FROM takes WHERE id = ?1",
				     "it", take, value);
	bool found = query_next(&q);
	int rc;

	*ret = found ? query_dup(&q, 0, a) : NULL;
	rc = query_done(&q, e);
	if (!rc && !found)
		rc = err_set(e, ERR_ARG, "there is no take %lld; woodshed takes lists them",
			(long long)take);
	return rc;
}

/* ---- doing -------------------------------------------------------------- */

static bool same(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

struct action {
	int64_t id;
	const char *label, *field, *value;
	int64_t now_ms;
};

static int edit_one(struct db *db, const struct action *act, int64_t take, struct err *e)
{
	const bool untag = !strcmp(act->field, "untag");
	const char *field = untag ? "tag" : act->field, *to = untag ? NULL : act->value, *from;
	struct arena a = {0};
	int rc = read_old(db, take, field, act->value, &a, &from, e);

	if (!rc && !same(from, to)) {
		rc = apply(db, take, field, from, to, e);
		if (!rc)
			rc = db_run(db, e,
				"INSERT INTO undo(action, label, take, field, old, new, created)"
				" VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
				"itittti", act->id, act->label, take, field, from, to, act->now_ms);
	}
	arena_done(&a);
	return rc;
}

static int next_action(struct db *db, int64_t *ret, struct err *e)
{
	struct query q;
	int rc = db_run(db, e, "DELETE FROM undo WHERE undone", "");

	if (rc)
		return rc;
	q = db_query(db, "SELECT coalesce(max(action), 0) + 1 FROM undo", "");
	*ret = query_next(&q) ? query_int(&q, 0) : 1;
	rc = query_done(&q, e);
	if (rc)
		return rc;
	return db_run(db, e, "DELETE FROM undo WHERE action <= ?1", "i", *ret - KEPT);
}

int takes_edit(struct db *db, const int64_t *ids, size_t n, const char *field, const char *value,
	const char *label, int64_t now_ms, struct err *e)
{
	struct action act = {.label = label, .field = field, .value = value, .now_ms = now_ms};
	int rc = check_value(field, value, e);

	if (!rc)
		rc = db_begin(db, e);
	if (rc)
		return rc;
	rc = next_action(db, &act.id, e);
	for (size_t i = 0; i < n && !rc; i++)
		rc = edit_one(db, &act, ids[i], e);
	return db_end(db, rc, e);
}

int takes_hear(struct db *db, int64_t id, struct err *e)
{
	return db_run(db, e, "UPDATE takes SET heard = 1 WHERE id = ?1 AND NOT heard", "i", id);
}

/* ---- taking back -------------------------------------------------------- */

struct change {
	int64_t take;
	const char *field, *from, *to;
};

static int apply_action(struct db *db, int64_t action, bool undo, struct arena *a, struct err *e)
{
	struct {
		struct change *at;
		size_t n, cap;
	} changes = {0};
	/* Collected first: what they change is what a row of them may depend on. */
	struct query q = undo ? db_query(db,
					"SELECT take, field, new, old FROM undo WHERE action = ?1"
					" ORDER BY id DESC",
					"i", action)
			      : db_query(db,
					"SELECT take, field, old, new FROM undo WHERE action = ?1"
					" ORDER BY id",
					"i", action);
	int rc;

	while (query_next(&q))
		*VEC_PUSH(&changes) = (struct change){query_int(&q, 0), query_dup(&q, 1, a),
			query_dup(&q, 2, a), query_dup(&q, 3, a)};
	rc = query_done(&q, e);
	for (size_t i = 0; i < changes.n && !rc; i++)
		rc = apply(db, changes.at[i].take, changes.at[i].field, changes.at[i].from,
			changes.at[i].to, e);
	VEC_DONE(&changes);
	if (rc)
		return rc;
	return db_run(db, e, "UPDATE undo SET undone = ?2 WHERE action = ?1", "ii", action,
		(int64_t)undo);
}

static int step(struct db *db, bool undo, struct arena *a, const char **ret_label, struct err *e)
{
	struct query q;
	int64_t action = 0;
	int rc = db_begin(db, e);

	*ret_label = NULL;
	if (rc)
		return rc;
	q = undo ? db_query(db,
			   "SELECT action, label FROM undo WHERE NOT undone ORDER BY action DESC "
			   "LIMIT 1",
			   "")
		 : db_query(db,
			   "SELECT action, label FROM undo WHERE undone ORDER BY action LIMIT 1",
			   "");
	if (query_next(&q)) {
		action = query_int(&q, 0);
		*ret_label = query_dup(&q, 1, a);
	}
	rc = query_done(&q, e);
	if (!rc && action)
		rc = apply_action(db, action, undo, a, e);
	if (!rc)
		return db_commit(db, e);
	db_rollback(db);
	*ret_label = NULL;
	return rc;
}

int takes_undo(struct db *db, struct arena *a, const char **ret_label, struct err *e)
{
	return step(db, true, a, ret_label, e);
}

int takes_redo(struct db *db, struct arena *a, const char **ret_label, struct err *e)
{
	return step(db, false, a, ret_label, e);
}

/* ---- for good ----------------------------------------------------------- */

static int purge_one(struct db *db, int64_t id, uint64_t *bytes, struct err *e)
{
	struct arena a = {0};
	struct take t;
	struct stat st;
	const char *path;
	int rc = takes_get(db, id, &a, &t, e);

	if (!rc && !t.trashed)
		rc = err_set(e, ERR_ARG, "take %lld is not in the trash; put it there first",
			(long long)id);
	if (rc)
		goto out;
	path = arena_printf(&a, "%s/%s", db_library(db), t.file);
	if (!lstat(path, &st))
		*bytes += (uint64_t)st.st_size;
	/* A file without a row would be adopted again; a row without a file is only
	 * missing, should the power go between the two. */
	if (unlink(path) && errno != ENOENT)
		rc = err_errno(e, errno, "cannot delete '%s'", path);
	if (!rc)
		rc = db_run(db, e, "DELETE FROM takes WHERE id = ?1", "i", id);
out:
	arena_done(&a);
	return rc;
}

int takes_purge(struct db *db, const int64_t *ids, size_t n, uint64_t *ret_bytes, struct err *e)
{
	int rc = 0;

	*ret_bytes = 0;
	for (size_t i = 0; i < n && !rc; i++)
		rc = purge_one(db, ids[i], ret_bytes, e);
	return rc;
}
