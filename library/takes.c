/* Prompts and takes: rows in and out. */
#include "library/takes.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "library/base/arena.h"
#include "library/base/clock.h"
#include "library/base/err.h"
#include "library/base/jsonw.h"
#include "library/base/str.h"
#include "library/base/vec.h"
#include "library/db.h"
#include "library/filter.h"

/* Seeds have 64 bits, SQLite's integers a sign. */
static int64_t signed_of(uint64_t u)
{
	int64_t s;

	memcpy(&s, &u, sizeof(s));
	return s;
}

/* ---- prompts ------------------------------------------------------------ */

int prompts_add(struct db *db, const char *text, const char *negative, int64_t parent,
	const char *changed, int64_t now_ms, int64_t *ret_id, struct err *e)
{
	struct query q = db_query(db,
		"SELECT id FROM prompts WHERE text = ?1 AND negative IS ?2"
		" AND (coalesce(parent, 0) = ?3 OR id = ?3) ORDER BY id = ?3 DESC, id DESC LIMIT 1",
		"tti", text, negative, parent);
	int rc;

	*ret_id = query_next(&q) ? query_int(&q, 0) : 0;
	rc = query_done(&q, e);
	if (rc || *ret_id)
		return rc;
	q = db_query(db,
		"INSERT INTO prompts(text, negative, parent, changed, created)"
		" VALUES (?1, ?2, nullif(?3, 0), ?4, ?5)",
		"ttiti", text, negative, parent, changed ? changed : "", now_ms);
	while (query_next(&q))
		;
	rc = query_done(&q, e);
	if (!rc)
		*ret_id = db_last_id(db);
	return rc;
}

/* ---- rows --------------------------------------------------------------- */

static int model_row(struct db *db, const char *name, const char *hash, int64_t *ret, struct err *e)
{
	int rc = db_run(db, e, "INSERT OR IGNORE INTO models(name, hash) VALUES (?1, ?2)", "tt",
		name, hash ? hash : "");

	if (rc)
		return rc;
	return query_number(db_query(db, "SELECT id FROM models WHERE name = ?1 AND hash = ?2",
				    "tt", name, hash ? hash : ""),
		ret, e);
}

static int add_row(struct db *db, const struct take *t, struct err *e)
{
	struct query q;
	int64_t model;
	int rc = model_row(db, t->model, t->model_hash, &model, e);

	if (rc)
		return rc;
	q = db_query(db,
		"INSERT INTO takes(prompt, model, seed, frames, rate, channels, guidance, lufs, "
		"peak,"
		" score, created, job, parent)"
		" VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, nullif(?12, 0), "
		"nullif(?13, 0))",
		"iiiiiiddddiii", t->prompt_id, model, signed_of(t->seed), t->frames,
		(int64_t)t->rate, (int64_t)t->channels, t->guidance, t->lufs, t->peak, t->score,
		t->created, t->job, t->parent);
	while (query_next(&q))
		;
	return query_done(&q, e);
}

int takes_add(struct db *db, const struct take *t, int64_t *ret_id, struct err *e)
{
	int rc = query_number(
		db_query(db, "SELECT take FROM files WHERE name = ?1", "t", t->file), ret_id, e);

	if (rc || *ret_id)
		return rc;
	rc = add_row(db, t, e);
	if (rc)
		return rc;
	*ret_id = db_last_id(db);
	return db_run(db, e, "INSERT INTO files(take, name, recipe) VALUES (?1, ?2, ?3)", "itt",
		*ret_id, t->file, t->recipe ? t->recipe : "{}");
}

#define COLUMNS                                                                                    \
	"t.id, t.prompt, t.job, t.parent, p.text, p.negative, m.name, m.hash, t.seed,"             \
	" t.frames, t.rate, t.channels, t.guidance, f.name, f.recipe, t.lufs, t.peak, t.score,"    \
	" t.rating, t.favourite, t.missing, t.verdict, f.note, t.trashed, t.created,"              \
	" t.heard, coalesce((SELECT group_concat(tag, ' ') FROM tags WHERE take = t.id), '')"
#define JOINS                                                                                      \
	" JOIN prompts p ON p.id = t.prompt JOIN models m ON m.id = t.model"                       \
	" JOIN files f ON f.take = t.id"

static void read_take(const struct query *q, struct arena *a, struct take *t)
{
	int64_t seed = query_int(q, 8);

	*t = (struct take){
		.id = query_int(q, 0),
		.prompt_id = query_int(q, 1),
		.job = query_int(q, 2),
		.parent = query_int(q, 3),
		.prompt = query_dup(q, 4, a),
		.negative = query_dup(q, 5, a),
		.model = query_dup(q, 6, a),
		.model_hash = query_dup(q, 7, a),
		.frames = query_int(q, 9),
		.rate = (int)query_int(q, 10),
		.channels = (int)query_int(q, 11),
		.guidance = query_num(q, 12),
		.file = query_dup(q, 13, a),
		.recipe = query_dup(q, 14, a),
		.lufs = query_num(q, 15),
		.peak = query_num(q, 16),
		.score = query_num(q, 17),
		.rating = (int)query_int(q, 18),
		.favourite = query_int(q, 19) != 0,
		.missing = query_int(q, 20) != 0,
		.verdict = query_dup(q, 21, a),
		.note = query_dup(q, 22, a),
		.trashed = query_int(q, 23),
		.created = query_int(q, 24),
		.heard = query_int(q, 25) != 0,
		.tags = query_dup(q, 26, a),
	};
	memcpy(&t->seed, &seed, sizeof(seed));
	t->seconds = (double)t->frames / t->rate;
}

int takes_get(struct db *db, int64_t id, struct arena *a, struct take *ret, struct err *e)
{
	struct query q =
		db_query(db, "SELECT " COLUMNS " FROM takes t" JOINS " WHERE t.id = ?1", "i", id);
	bool found = query_next(&q);
	int rc;

	if (found)
		read_take(&q, a, ret);
	rc = query_done(&q, e);
	if (!rc && !found)
		rc = err_set(e, ERR_ARG, "there is no take %lld; woodshed takes lists them",
			(long long)id);
	return rc;
}

int takes_are_favourites(struct db *db, const int64_t *ids, size_t n, bool *ret, struct err *e)
{
	struct str list = {0};
	struct query q;
	int rc;

	/* As JSON, so that no list is ever pasted into SQL. */
	for (size_t i = 0; i < n; i++)
		str_printf(&list, "%c%lld", i ? ',' : '[', (long long)ids[i]);
	str_add(&list, n ? "]" : "[]");
	q = db_query(db,
		"SELECT 1 FROM json_each(?1) l JOIN takes t ON t.id = l.value"
		" WHERE NOT t.favourite LIMIT 1",
		"t", list.s);
	*ret = !query_next(&q);
	rc = query_done(&q, e);
	str_done(&list);
	return rc;
}

/* ---- lists -------------------------------------------------------------- */

/* The ids of what is wanted, and nothing else: a page of them is looked up
 * afterwards.  Where words are the only condition, the takes need not be touched
 * at all; otherwise CROSS JOIN keeps the words first, whose rows come in the order
 * of ids, so that a page of the newest needs no sort. */
static void select_ids(const struct filter *f, const char *what, bool needs_takes, struct str *sql)
{
	const bool joined = needs_takes || f->needs_takes;

	str_printf(sql, "SELECT %s FROM %s%s WHERE %s%s", what, f->match.n ? "words" : "takes t",
		f->match.n && joined ? " CROSS JOIN takes t ON t.id = words.rowid" : "",
		f->match.n ? "words MATCH ?1" : "1", str_get(&f->where));
}

static void order_by(const struct takes_query *q, const char *id, struct str *sql)
{
	/* Those without a measure are last either way. */
	static const char *const keys[] = {[TAKES_RATING] = "t.rating",
		[TAKES_LENGTH] = "t.frames * 1.0 / t.rate",
		[TAKES_LOUDEST] = "t.lufs",
		[TAKES_SCORE] = "t.score"};
	const char *down = q->reversed ? "" : " DESC";

	if (q->order == TAKES_OLDEST)
		down = q->reversed ? " DESC" : "";
	str_add(sql, " ORDER BY ");
	if (q->order > TAKES_OLDEST)
		str_printf(sql, "%s%s%s, ", keys[q->order], down,
			q->order >= TAKES_LOUDEST && q->reversed ? " NULLS LAST" : "");
	str_printf(sql, "%s%s", id, down);
}

int takes_ids(struct db *db, const struct takes_query *wanted, struct takes_ids *ret, struct err *e)
{
	struct str sql = {0};
	struct filter f;
	struct query q;
	const char *id;
	int rc = filter_parse(wanted->filter ? wanted->filter : "", wanted->now_ms, &f, e);

	if (rc)
		return rc;
	id = f.match.n ? "words.rowid" : "t.id";
	select_ids(&f, id, wanted->order > TAKES_OLDEST, &sql);
	order_by(wanted, id, &sql);
	str_printf(&sql, " LIMIT %lld OFFSET %lld", wanted->limit ? (long long)wanted->limit : -1,
		(long long)wanted->offset);
	q = db_prepare(db, sql.s);
	filter_bind(&f, &q);
	while (query_next(&q))
		*VEC_PUSH(ret) = query_int(&q, 0);
	str_done(&sql);
	filter_done(&f);
	return query_done(&q, e);
}

int takes_in_order(
	struct db *db, enum takes_order order, bool reversed, struct takes_ids *ret, struct err *e)
{
	const struct takes_query wanted = {.order = order, .reversed = reversed};
	struct str sql = {0};
	struct query q;

	str_add(&sql, "SELECT t.id FROM takes t");
	order_by(&wanted, "t.id", &sql);
	q = db_prepare(db, sql.s);
	while (query_next(&q))
		*VEC_PUSH(ret) = query_int(&q, 0);
	str_done(&sql);
	return query_done(&q, e);
}

int takes_list(struct db *db, const struct takes_query *wanted, struct arena *a, struct take **ret,
	size_t *ret_n, struct err *e)
{
	struct takes_ids ids = {0};
	int rc = takes_ids(db, wanted, &ids, e);

	*ret = ARENA_ARRAY(a, struct take, ids.n + 1);
	*ret_n = 0;
	for (size_t i = 0; i < ids.n && !rc; i++) {
		rc = takes_get(db, ids.at[i], a, &(*ret)[i], e);
		*ret_n += !rc;
	}
	VEC_DONE(&ids);
	return rc;
}

int takes_count(struct db *db, const struct takes_query *wanted, int64_t *ret, struct err *e)
{
	struct str sql = {0};
	struct filter f;
	struct query q;
	int rc = filter_parse(wanted->filter ? wanted->filter : "", wanted->now_ms, &f, e);

	*ret = 0;
	if (rc)
		return rc;
	select_ids(&f, "count(*)", false, &sql);
	q = db_prepare(db, sql.s);
	filter_bind(&f, &q);
	if (query_next(&q))
		*ret = query_int(&q, 0);
	rc = query_done(&q, e);
	str_done(&sql);
	filter_done(&f);
	return rc;
}

/* ---- JSON --------------------------------------------------------------- */

static void id_or_null(struct str *out, const char *key, int64_t id)
{
	if (id)
		jsonw_u64(out, key, (uint64_t)id);
	else
		jsonw_text(out, key, NULL);
}

void take_json(const struct take *t, const char *library, struct str *out)
{
	struct arena a = {0};
	char when[32];

	jsonw_begin(out);
	jsonw_u64(out, "id", (uint64_t)t->id);
	id_or_null(out, "job", t->job);
	jsonw_text(out, "prompt", t->prompt);
	jsonw_text(out, "negative", t->negative);
	jsonw_text(out, "model", t->model);
	jsonw_text(out, "model_hash", t->model_hash);
	jsonw_u64(out, "seed", t->seed);
	jsonw_num(out, "seconds", t->seconds);
	jsonw_u64(out, "frames", (uint64_t)t->frames);
	jsonw_u64(out, "rate", (uint64_t)t->rate);
	jsonw_u64(out, "channels", (uint64_t)t->channels);
	jsonw_num(out, "cfg", t->guidance);
	jsonw_text(out, "file", arena_printf(&a, "%s/%s", library, t->file));
	jsonw_bool(out, "favourite", t->favourite);
	jsonw_u64(out, "rating", (uint64_t)t->rating);
	jsonw_text(out, "verdict", t->verdict);
	jsonw_text(out, "tags", t->tags);
	jsonw_text(out, "note", t->note);
	jsonw_num(out, "lufs", t->lufs);
	jsonw_num(out, "peak", t->peak);
	jsonw_num(out, "score", t->score);
	id_or_null(out, "parent", t->parent);
	jsonw_text(out, "created", clock_iso(t->created, when));
	jsonw_bool(out, "missing", t->missing);
	jsonw_bool(out, "trashed", t->trashed != 0);
	jsonw_end(out);
	arena_done(&a);
}
