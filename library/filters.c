/* Filters that were given a name. */
#include "library/filters.h"

#include <stdio.h>
#include <string.h>

#include "library/base/arena.h"
#include "library/base/err.h"
#include "library/base/str.h"
#include "library/base/vec.h"
#include "library/db.h"
#include "library/filter.h"
#include "library/undo.h"

static int check_name(const char *name, struct err *e)
{
	size_t n = strlen(name);

	if (!n || n > FILTERS_NAME_MAX || !is_utf8(name, n) || strchr(name, ' '))
		return err_set(e, ERR_ARG,
			"'%.80s' is no name for a filter; take one word of at most %d bytes", name,
			FILTERS_NAME_MAX);
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)name[i] < ' ' || name[i] == 127)
			return err_set(e, ERR_ARG, "the name of a filter has no controls in it");
	return 0;
}

static int unknown(const char *name, struct err *e)
{
	return err_set(e, ERR_ARG, "no filter '%.80s' is saved", name);
}

/* text NULL: it is forgotten */
static int keep(struct db *db, const char *name, const char *text, struct err *e)
{
	char label[FILTERS_NAME_MAX + 32];

	snprintf(label, sizeof(label), "%s the filter %s", text ? "saved" : "forgot", name);
	return undo_edit_alone(db, label, (struct subject){.name = name}, "filter", text, e);
}

int filters_save(struct db *db, const char *name, const char *text, int64_t now_ms, struct err *e)
{
	struct filter f = {0};
	int rc = check_name(name, e);

	if (!rc)
		rc = filter_parse(text, now_ms, &f, e);
	if (rc)
		return rc;
	filter_done(&f);
	return keep(db, name, text, e);
}

int filters_get(struct db *db, const char *name, struct arena *a, const char **ret, struct err *e)
{
	struct query q = db_query(db, "SELECT text FROM filters WHERE name = ?1", "t", name);
	int rc;

	*ret = query_next(&q) ? query_dup(&q, 0, a) : NULL;
	rc = query_done(&q, e);
	return rc || *ret ? rc : unknown(name, e);
}

int filters_remove(struct db *db, const char *name, struct err *e)
{
	struct arena a = {0};
	const char *text;
	int rc = filters_get(db, name, &a, &text, e);

	arena_done(&a);
	return rc ? rc : keep(db, name, NULL, e);
}

int filters_list(
	struct db *db, struct arena *a, struct saved_filter **ret, size_t *ret_n, struct err *e)
{
	struct query q = db_query(db, "SELECT name, text FROM filters ORDER BY name", "");
	struct {
		struct saved_filter *at;
		size_t n, cap;
	} all = {0};
	int rc;

	while (query_next(&q))
		*VEC_PUSH(&all) = (struct saved_filter){query_dup(&q, 0, a), query_dup(&q, 1, a)};
	rc = query_done(&q, e);
	*ret_n = rc ? 0 : all.n;
	*ret = ARENA_ARRAY(a, struct saved_filter, *ret_n + 1);
	if (*ret_n)
		memcpy(*ret, all.at, *ret_n * sizeof(**ret));
	VEC_DONE(&all);
	return rc;
}
