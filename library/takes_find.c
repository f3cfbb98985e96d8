/* Lists of all takes by number, for screens that are quick whatever they hold. */
#include <stdlib.h>
#include <string.h>

#include "library/base/arena.h"
#include "library/base/vec.h"
#include "library/db.h"
#include "library/filter.h"
#include "library/takes.h"

/* ---- prompts ------------------------------------------------------------ */

struct pair {
	int64_t id, prompt;
};

static int by_id(const void *a, const void *b)
{
	const struct pair *x = a, *y = b;

	return (x->id > y->id) - (x->id < y->id);
}

static void add_pair(struct takes_prompts *p, struct pair pair)
{
	if (p->n == p->cap) {
		p->cap = p->cap ? 2 * p->cap : 1024;
		p->ids = xrealloc(p->ids, p->cap, sizeof(*p->ids));
		p->prompts = xrealloc(p->prompts, p->cap, sizeof(*p->prompts));
	}
	p->ids[p->n] = pair.id;
	p->prompts[p->n++] = pair.prompt;
}

/* How many takes there are; SQLite counts by its smallest index, whichever is named. */
#define COUNT "SELECT count(*) FROM takes"

/* An index has both, a fifth of the pages that the takes fill. */
static int read_all(struct db *db, struct takes_prompts *p, struct err *e)
{
	struct {
		struct pair *at;
		size_t n, cap;
	} pairs = {0};
	struct query q = db_query(db, "SELECT id, prompt FROM takes INDEXED BY takes_prompt", "");
	bool is_sorted = true;
	int rc;

	while (query_next(&q)) {
		struct pair *last = pairs.n ? &pairs.at[pairs.n - 1] : NULL;
		const struct pair next = {query_int(&q, 0), query_int(&q, 1)};

		is_sorted &= !last || last->id < next.id;
		*VEC_PUSH(&pairs) = next;
	}
	rc = query_done(&q, e);
	if (!rc && !is_sorted)
		qsort(pairs.at, pairs.n, sizeof(*pairs.at), by_id);
	p->n = 0;
	for (size_t i = 0; i < pairs.n && !rc; i++)
		add_pair(p, pairs.at[i]);
	VEC_DONE(&pairs);
	return rc;
}

int takes_prompts_update(struct db *db, struct takes_prompts *p, struct err *e)
{
	const int64_t last = p->n ? p->ids[p->n - 1] : 0;
	int64_t n = 0;
	struct query q;
	int rc = 0;

	if (p->n) {
		q = db_query(
			db, "SELECT id, prompt FROM takes WHERE id > ?1 ORDER BY id", "i", last);
		while (query_next(&q))
			add_pair(p, (struct pair){query_int(&q, 0), query_int(&q, 1)});
		rc = query_done(&q, e);
	}
	if (!rc)
		rc = query_number(db_query(db, COUNT, ""), &n, e);
	return rc || (size_t)n == p->n ? rc : read_all(db, p, e);
}

void takes_prompts_done(struct takes_prompts *p)
{
	free(p->ids);
	free(p->prompts);
	*p = (struct takes_prompts){0};
}

/* ---- lists -------------------------------------------------------------- */

static int ascending(const void *a, const void *b)
{
	const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

/* Where a take is, looked for near the one before: lists are mostly in their order. */
static const int64_t *place_of(const struct takes_prompts *all, int64_t id, const int64_t *near)
{
	const int64_t *end = all->ids + all->n;

	if (near && near + 1 < end && near[1] == id)
		return near + 1;
	if (near && near > all->ids && near[-1] == id)
		return near - 1;
	return all->n ? bsearch(&id, all->ids, all->n, sizeof(id), ascending) : NULL;
}

/* Those whose prompt is not known came this moment; the list is asked for again. */
static void add_prompts(
	const struct takes_prompts *all, const int64_t *ids, size_t n, struct takes_found *ret)
{
	const int64_t *at = NULL;

	ret->ids = xcalloc(n ? n : 1, sizeof(*ret->ids));
	ret->prompts = xcalloc(n ? n : 1, sizeof(*ret->prompts));
	for (size_t i = 0; i < n; i++) {
		const int64_t *found = place_of(all, ids[i], at);

		if (!found)
			continue;
		at = found;
		ret->ids[ret->n] = ids[i];
		ret->prompts[ret->n++] = all->prompts[found - all->ids];
	}
}

/* All but the trash, in the order of time: nothing else needs to be read.  The plus
 * keeps SQLite from going through all takes to have them in order. */
static int find_all(struct db *db, bool oldest_first, const struct takes_prompts *all,
	struct takes_ids *ret, struct err *e)
{
	struct numbers gone = {0};
	int rc = query_numbers(
		db_query(db, "SELECT id FROM takes WHERE trashed IS NOT NULL ORDER BY +id", ""),
		&gone, e);

	for (size_t i = 0; i < all->n && !rc; i++) {
		const int64_t id = all->ids[oldest_first ? i : all->n - 1 - i];

		if (!gone.n || !bsearch(&id, gone.at, gone.n, sizeof(id), ascending))
			*VEC_PUSH(ret) = id;
	}
	VEC_DONE(&gone);
	return rc;
}

int takes_find(struct db *db, const struct takes_query *wanted, const struct takes_prompts *all,
	struct takes_found *ret, struct err *e)
{
	struct takes_ids ids = {0};
	struct filter f;
	int rc = filter_parse(wanted->filter ? wanted->filter : "", wanted->now_ms, &f, e);

	*ret = (struct takes_found){0};
	if (rc)
		return rc;
	if (!f.match.n && !f.needs_takes && wanted->order <= TAKES_OLDEST && !wanted->limit &&
		!wanted->offset)
		rc = find_all(
			db, (wanted->order == TAKES_OLDEST) != wanted->reversed, all, &ids, e);
	else
		rc = takes_ids(db, wanted, &ids, e);
	filter_done(&f);
	if (!rc)
		add_prompts(all, ids.at, ids.n, ret);
	VEC_DONE(&ids);
	return rc;
}

void takes_found_done(struct takes_found *f)
{
	free(f->ids);
	free(f->prompts);
	*f = (struct takes_found){0};
}

/* ---- numbers ------------------------------------------------------------ */

int takes_stamp(struct db *db, uint64_t *ret, struct err *e)
{
	/* What users change goes through the log of changes; each of these is the end of
	 * an index, or a count of few. */
	struct query q = db_query(db,
		"SELECT (SELECT max(id) FROM takes), (SELECT max(id) FROM undo),"
		" (SELECT max(action) FROM undo WHERE NOT undone),"
		" (SELECT count(*) FROM takes WHERE trashed IS NOT NULL),"
		" (SELECT count(*) FROM takes WHERE missing),"
		" (SELECT count(*) FROM takes WHERE heard)",
		"");

	*ret = 14695981039346656037u; /* FNV-1a, a number at a time */
	if (query_next(&q))
		for (int i = 0; i < 6; i++)
			*ret = (*ret ^ (uint64_t)query_int(&q, i)) * 1099511628211u;
	return query_done(&q, e);
}

int takes_number(struct db *db, int64_t id, int64_t *ret, struct err *e)
{
	return query_number(
		db_query(db,
			"SELECT count(*) FROM takes t JOIN takes o ON o.prompt = t.prompt"
			" AND o.id <= t.id WHERE t.id = ?1",
			"i", id),
		ret, e);
}

int prompts_count(struct db *db, int64_t prompt, int64_t *ret, struct err *e)
{
	return query_number(
		db_query(db, "SELECT count(*) FROM takes WHERE prompt = ?1", "i", prompt), ret, e);
}

int takes_last_before(struct db *db, int64_t unix_ms, int64_t *ret, struct err *e)
{
	return query_number(db_query(db,
				    "SELECT id FROM takes WHERE created <= ?1"
				    " ORDER BY created DESC, id DESC LIMIT 1",
				    "i", unix_ms),
		ret, e);
}

int prompts_signs(struct db *db, int64_t id, bool *ret_favourite, bool *ret_unheard, struct err *e)
{
	struct query q = db_query(db,
		"SELECT EXISTS (SELECT 1 FROM takes WHERE prompt = ?1 AND favourite"
		"  AND trashed IS NULL),"
		" EXISTS (SELECT 1 FROM takes WHERE prompt = ?1 AND NOT heard"
		"  AND trashed IS NULL)",
		"i", id);
	const bool any = query_next(&q);

	*ret_favourite = any && query_int(&q, 0);
	*ret_unheard = any && query_int(&q, 1);
	return query_done(&q, e);
}

int takes_totals(struct db *db, int64_t *ret_kept, int64_t *ret_trashed, struct err *e)
{
	struct query q = db_query(db,
		"SELECT (" COUNT "),"
		" (SELECT count(*) FROM takes WHERE trashed IS NOT NULL)",
		"");

	*ret_kept = *ret_trashed = 0;
	if (query_next(&q)) {
		*ret_trashed = query_int(&q, 1);
		*ret_kept = query_int(&q, 0) - *ret_trashed;
	}
	return query_done(&q, e);
}
