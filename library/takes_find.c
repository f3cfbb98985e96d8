/* Lists of all takes by number, for screens that are quick whatever they hold. */
#include <stdlib.h>
#include <string.h>

#include "library/base/arena.h"
#include "library/base/str.h"
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

static void forget_set(struct takes_set *s)
{
	free(s->key);
	free(s->bits);
	*s = (struct takes_set){0};
}

static void forget_sets(struct takes_prompts *p)
{
	for (int i = 0; i < TAKES_SETS_KEPT; i++)
		forget_set(&p->sets[i]);
}

/* The version is read before what is kept under it. */
static int check_sets(struct db *db, struct takes_prompts *p, struct err *e)
{
	const int64_t changes = db_changes_ever(db);
	int64_t version = 0;
	int rc = db_version(db, &version, e);

	if (rc || version != p->version || changes != p->changes)
		forget_sets(p);
	p->version = version;
	p->changes = changes;
	return rc;
}

int takes_prompts_update(struct db *db, struct takes_prompts *p, struct err *e)
{
	const size_t before = p->n;
	int64_t n = 0;
	struct query q;
	int rc = check_sets(db, p, e);

	if (!rc && p->n) {
		q = db_query(db, "SELECT id, prompt FROM takes WHERE id > ?1 ORDER BY id", "i",
			p->ids[p->n - 1]);
		while (query_next(&q))
			add_pair(p, (struct pair){query_int(&q, 0), query_int(&q, 1)});
		rc = query_done(&q, e);
	}
	if (!rc)
		rc = query_number(db_query(db, COUNT, ""), &n, e);
	if (!rc && (size_t)n != p->n)
		rc = read_all(db, p, e);
	else if (p->n == before)
		return rc;
	forget_sets(p); /* their places are others */
	return rc;
}

void takes_prompts_done(struct takes_prompts *p)
{
	forget_sets(p);
	free(p->ids);
	free(p->prompts);
	*p = (struct takes_prompts){0};
}

/* ---- lists -------------------------------------------------------------- */

/* Its place in `all`, or -1.  Only takes that are gone make a place smaller than the
 * distance from the first number, and none more than all of them do. */
static int64_t place_of(const struct takes_prompts *all, int64_t id)
{
	size_t low, high;
	uint64_t far, gone;

	if (!all->n || id < all->ids[0] || id > all->ids[all->n - 1])
		return -1;
	far = (uint64_t)id - (uint64_t)all->ids[0];
	gone = (uint64_t)all->ids[all->n - 1] - (uint64_t)all->ids[0] - (all->n - 1);
	low = far > gone ? (size_t)(far - gone) : 0;
	high = far < all->n ? (size_t)far : all->n - 1;
	while (low < high) {
		const size_t middle = low + (high - low) / 2;

		if (all->ids[middle] < id)
			low = middle + 1;
		else
			high = middle;
	}
	return all->ids[low] == id ? (int64_t)low : -1;
}

bool takes_prompts_have(const struct takes_prompts *p, int64_t take)
{
	return place_of(p, take) >= 0;
}

enum { BITS = 64 };

static size_t words_for(size_t n)
{
	return n / BITS + 1;
}

static bool has(const uint64_t *bits, size_t place)
{
	return bits[place / BITS] >> place % BITS & 1;
}

/* One that came this moment has no place; the list is asked for again. */
static int find_set(struct db *db, const struct filter *f, const struct filter_set *set,
	const struct takes_prompts *all, uint64_t *bits, struct err *e)
{
	struct query q = db_prepare(db, set->sql.s);

	filter_bind(f, &q);
	while (query_next(&q)) {
		const int64_t place = place_of(all, query_int(&q, 0));

		if (place >= 0)
			bits[place / BITS] |= (uint64_t)1 << place % BITS;
	}
	return query_done(&q, e);
}

/* That of this key, or the one to be kept in place of what was asked for longest ago. */
static struct takes_set *kept_set(struct takes_prompts *all, const char *key)
{
	struct takes_set *oldest = &all->sets[0];

	for (int i = 0; i < TAKES_SETS_KEPT; i++) {
		struct takes_set *s = &all->sets[i];

		if (s->key && !strcmp(s->key, key))
			return s;
		if (s->asked < oldest->asked)
			oldest = s;
	}
	forget_set(oldest);
	return oldest;
}

static int get_set(struct db *db, const struct filter *f, const struct filter_set *set,
	struct takes_prompts *all, const uint64_t **ret, struct err *e)
{
	struct takes_set *kept = kept_set(all, set->key.s);
	int rc;

	if (!kept->key) {
		kept->bits = xcalloc(words_for(all->n), sizeof(*kept->bits));
		rc = find_set(db, f, set, all, kept->bits, e);
		if (rc) {
			forget_set(kept);
			return rc;
		}
		kept->key = xstrdup(set->key.s);
	}
	kept->asked = ++all->n_asked;
	*ret = kept->bits;
	return 0;
}

/* In one query SQLite would look each take of one set up in the others, which takes three times
 * as long and more where most takes are in them. */
static int find_bits(struct db *db, const struct filter *f, struct takes_prompts *all,
	uint64_t *bits, struct err *e)
{
	const size_t n = words_for(all->n);
	const uint64_t *set;
	int rc = 0;

	memset(bits, 0xff, n * sizeof(*bits));
	for (int i = 0; i < f->n_sets && !rc; i++) {
		rc = get_set(db, f, &f->sets[i], all, &set, e);
		for (size_t k = 0; k < n && !rc; k++)
			bits[k] &= f->sets[i].without ? ~set[k] : set[k];
	}
	return rc;
}

/* What is wanted of those that have a bit. */
struct picking {
	const struct takes_query *wanted;
	const struct takes_prompts *all;
	const uint64_t *bits;
	int64_t n_passed;
	struct takes_found *ret;
};

static void pick(struct picking *p, int64_t place)
{
	struct takes_found *f = p->ret;

	if (place < 0 || !has(p->bits, (size_t)place) || p->n_passed++ < p->wanted->offset)
		return;
	if (p->wanted->limit && (int64_t)f->n == p->wanted->limit)
		return;
	f->ids[f->n] = p->all->ids[place];
	f->prompts[f->n++] = p->all->prompts[place];
}

/* The order of time is that of the numbers. */
static void pick_by_time(struct picking *p)
{
	const bool oldest_first = (p->wanted->order == TAKES_OLDEST) != p->wanted->reversed;
	const int64_t n = (int64_t)p->all->n;

	for (int64_t i = 0; i < n; i++)
		pick(p, oldest_first ? i : n - 1 - i);
}

static int pick_by_index(struct db *db, struct picking *p, struct err *e)
{
	struct takes_ids ids = {0};
	int rc = takes_in_order(db, p->wanted->order, p->wanted->reversed, &ids, e);

	for (size_t i = 0; i < ids.n && !rc; i++)
		pick(p, place_of(p->all, ids.at[i]));
	VEC_DONE(&ids);
	return rc;
}

/* The score has no index: those that are wanted are sorted, and no others. */
static int find_sorted(struct db *db, const struct takes_query *wanted,
	const struct takes_prompts *all, struct takes_found *ret, struct err *e)
{
	struct takes_ids ids = {0};
	int rc = takes_ids(db, wanted, &ids, e);

	for (size_t i = 0; i < ids.n && !rc; i++) {
		const int64_t place = place_of(all, ids.at[i]);

		if (place < 0)
			continue;
		ret->ids[ret->n] = all->ids[place];
		ret->prompts[ret->n++] = all->prompts[place];
	}
	VEC_DONE(&ids);
	return rc;
}

static int find_by_sets(struct db *db, const struct takes_query *wanted, struct takes_prompts *all,
	struct takes_found *ret, struct err *e)
{
	uint64_t *bits = xcalloc(words_for(all->n), sizeof(*bits));
	struct picking p = {.wanted = wanted, .all = all, .bits = bits, .ret = ret};
	struct filter f = {0};
	int rc = filter_parse(wanted->filter ? wanted->filter : "", wanted->now_ms, &f, e);

	if (!rc)
		rc = find_bits(db, &f, all, bits, e);
	if (!rc && wanted->order <= TAKES_OLDEST)
		pick_by_time(&p);
	else if (!rc)
		rc = pick_by_index(db, &p, e);
	free(bits);
	filter_done(&f);
	return rc;
}

int takes_find(struct db *db, const struct takes_query *wanted, struct takes_prompts *all,
	struct takes_found *ret, struct err *e)
{
	const size_t n = all->n ? all->n : 1;
	int rc;

	*ret = (struct takes_found){0};
	ret->ids = xcalloc(n, sizeof(*ret->ids));
	ret->prompts = xcalloc(n, sizeof(*ret->prompts));
	rc = wanted->order == TAKES_SCORE ? find_sorted(db, wanted, all, ret, e)
					  : find_by_sets(db, wanted, all, ret, e);
	if (rc)
		takes_found_done(ret);
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
