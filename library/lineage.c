/* What came from what. */
#include "library/lineage.h"

#include <string.h>

#include "library/base/arena.h"
#include "library/base/vec.h"
#include "library/db.h"

struct rows {
	struct lineage_row *at;
	size_t n, cap;
};

static int add_row(
	struct db *db, int64_t prompt, int depth, struct arena *a, struct rows *rows, struct err *e)
{
	struct query q = db_query(db,
		"SELECT text, changed,"
		" (SELECT count(*) FROM takes WHERE prompt = ?1 AND trashed IS NULL),"
		" (SELECT max(id) FROM takes WHERE prompt = ?1 AND trashed IS NULL)"
		" FROM prompts WHERE id = ?1",
		"i", prompt);

	if (query_next(&q))
		*VEC_PUSH(rows) = (struct lineage_row){
			.prompt = prompt,
			.text = query_dup(&q, 0, a),
			.changed = query_dup(&q, 1, a),
			.depth = depth,
			.n_takes = query_int(&q, 2),
			.take = query_int(&q, 3),
		};
	return query_done(&q, e);
}

/* Those above, from the first on. */
static int find_above(struct db *db, int64_t prompt, struct numbers *ret, struct err *e)
{
	return query_numbers(db_query(db,
				     "WITH RECURSIVE up(id, depth) AS ("
				     " SELECT parent, 1 FROM prompts WHERE id = ?1"
				     " UNION ALL SELECT p.parent, depth + 1 FROM prompts p JOIN up"
				     "  ON p.id = up.id WHERE depth < ?2)"
				     " SELECT id FROM up WHERE id IS NOT NULL ORDER BY depth DESC",
				     "ii", prompt, (int64_t)LINEAGE_DEPTH_MAX),
		ret, e);
}

static int add_below(struct db *db, int64_t prompt, int depth, int depth_max, struct arena *a,
	struct rows *rows, struct err *e)
{
	struct numbers below = {
		0}; /* collected: no statement is open while its rows are walked into */
	int rc = query_numbers(
		db_query(db, "SELECT id FROM prompts WHERE parent = ?1 ORDER BY id", "i", prompt),
		&below, e);

	for (size_t i = 0; i < below.n && !rc && rows->n < LINEAGE_ROWS_MAX; i++) {
		rc = add_row(db, below.at[i], depth, a, rows, e);
		if (!rc && depth < depth_max)
			rc = add_below(db, below.at[i], depth + 1, depth_max, a, rows, e);
	}
	VEC_DONE(&below);
	return rc;
}

int lineage_of(struct db *db, int64_t prompt, struct arena *a, struct lineage_row **ret,
	size_t *ret_n, struct err *e)
{
	struct numbers above = {0};
	struct rows rows = {0};
	int depth, rc = find_above(db, prompt, &above, e);

	for (size_t i = 0; i < above.n && !rc; i++)
		rc = add_row(db, above.at[i], (int)i, a, &rows, e);
	depth = (int)above.n;
	if (!rc)
		rc = add_row(db, prompt, depth, a, &rows, e);
	if (!rc && rows.n)
		rows.at[rows.n - 1].is_self = true;
	if (!rc)
		rc = add_below(db, prompt, depth + 1, depth + LINEAGE_DEPTH_MAX, a, &rows, e);
	*ret = ARENA_ARRAY(a, struct lineage_row, rows.n + 1);
	if (rows.n)
		memcpy(*ret, rows.at, rows.n * sizeof(**ret));
	*ret_n = rc ? 0 : rows.n;
	VEC_DONE(&rows);
	VEC_DONE(&above);
	return rc;
}
