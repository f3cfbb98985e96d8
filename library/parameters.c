/* What each engine can be told. */
#include "library/parameters.h"

#include <string.h>

#include "library/base/arena.h"
#include "library/base/err.h"
#include "library/base/vec.h"
#include "library/db.h"

static const char VERSION[] = "parameters-version"; /* a setting */

static const char *const kinds[] = {"whole", "number", "flag", "choice", "text", "file", "prompt"};

enum { N_KINDS = sizeof(kinds) / sizeof(*kinds) };

const char *parameter_kind_name(enum parameter_kind k)
{
	return kinds[k];
}

int parameters_are_current(struct db *db, const char *version, bool *ret, struct err *e)
{
	struct arena a = {0};
	const char *written;
	int rc = db_setting(db, VERSION, &a, &written, e);

	*ret = !rc && written && !strcmp(written, version);
	arena_done(&a);
	return rc;
}

/* ---- writing ------------------------------------------------------------ */

static int write_one(
	struct db *db, const char *engine, size_t place, const struct parameter *p, struct err *e)
{
	return db_run(db, e,
		"INSERT INTO parameters(engine, place, name, label, unit, kind, low, high,"
		" otherwise, choices, help)"
		" VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
		"tittttddttt", engine, (int64_t)place, p->name, p->label, p->unit, kinds[p->kind],
		p->low, p->high, p->otherwise, p->choices, p->help);
}

static int write_engine(struct db *db, const struct engine_parameters *en, struct err *e)
{
	int rc = db_run(db, e, "INSERT INTO engines(name, is_endless) VALUES (?1, ?2)", "ti",
		en->engine, (int64_t)en->is_endless);

	for (size_t i = 0; i < en->n && !rc; i++)
		rc = write_one(db, en->engine, i, &en->list[i], e);
	return rc;
}

int parameters_write(struct db *db, const char *version, const struct engine_parameters *engines,
	size_t n, struct err *e)
{
	int rc = db_begin(db, e);

	if (rc)
		return rc;
	rc = db_run(db, e, "DELETE FROM parameters", "");
	if (!rc)
		rc = db_run(db, e, "DELETE FROM engines", "");
	for (size_t i = 0; i < n && !rc; i++)
		rc = write_engine(db, &engines[i], e);
	if (!rc)
		rc = db_set_setting(db, VERSION, version, e);
	return db_end(db, rc, e);
}

/* ---- reading ------------------------------------------------------------ */

/* A kind of a later version is shown as text. */
static enum parameter_kind kind_of(const char *name)
{
	for (int i = 0; i < N_KINDS; i++)
		if (!strcmp(kinds[i], name))
			return (enum parameter_kind)i;
	return PARAMETER_TEXT;
}

struct rows {
	struct parameter *at;
	size_t n, cap;
};

static int read_rows(
	struct db *db, const char *engine, struct arena *a, struct rows *out, struct err *e)
{
	struct query q = db_query(db,
		"SELECT name, label, unit, kind, low, high, otherwise, choices, help"
		" FROM parameters WHERE engine = ?1 ORDER BY place",
		"t", engine);

	while (query_next(&q))
		*VEC_PUSH(out) = (struct parameter){
			.name = query_dup(&q, 0, a),
			.label = query_dup(&q, 1, a),
			.unit = query_dup(&q, 2, a),
			.kind = kind_of(query_text(&q, 3)),
			.low = query_num(&q, 4),
			.high = query_num(&q, 5),
			.otherwise = query_dup(&q, 6, a),
			.choices = query_dup(&q, 7, a),
			.help = query_dup(&q, 8, a),
		};
	return query_done(&q, e);
}

int parameters_engines(struct db *db, struct arena *a, const struct engine_parameters **ret,
	size_t *ret_n, struct err *e)
{
	struct {
		struct engine_parameters *at;
		size_t n, cap;
	} engines = {0};
	struct engine_parameters *list;
	struct query q = db_query(db, "SELECT name, is_endless FROM engines ORDER BY name", "");
	int rc;

	while (query_next(&q))
		*VEC_PUSH(&engines) = (struct engine_parameters){.engine = query_dup(&q, 0, a),
			.is_known = true,
			.is_endless = query_int(&q, 1) != 0};
	rc = query_done(&q, e);
	list = ARENA_ARRAY(a, struct engine_parameters, engines.n);
	if (engines.n)
		memcpy(list, engines.at, engines.n * sizeof(*list));
	*ret = list;
	*ret_n = rc ? 0 : engines.n;
	VEC_DONE(&engines);
	return rc;
}

int parameters_read(struct db *db, const char *engine, struct arena *a,
	struct engine_parameters *ret, struct err *e)
{
	struct rows rows = {0};
	struct parameter *list;
	struct query q =
		db_query(db, "SELECT is_endless FROM engines WHERE name = ?1", "t", engine);
	int rc;

	*ret = (struct engine_parameters){.engine = arena_strdup(a, engine), .is_endless = true};
	if (query_next(&q)) {
		ret->is_known = true;
		ret->is_endless = query_int(&q, 0) != 0;
	}
	rc = query_done(&q, e);
	if (!rc)
		rc = read_rows(db, engine, a, &rows, e);
	list = ARENA_ARRAY(a, struct parameter, rows.n);
	if (rows.n)
		memcpy(list, rows.at, rows.n * sizeof(*list));
	ret->list = list;
	ret->n = rc ? 0 : rows.n;
	VEC_DONE(&rows);
	return rc;
}
