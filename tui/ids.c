/* Sets of numbers. */
#include "tui/ids.h"

#include <stdlib.h>
#include <string.h>

#include "library/base/arena.h"
#include "library/base/vec.h"

static int ascending(const void *a, const void *b)
{
	const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

bool ids_has(const struct ids *s, int64_t id)
{
	return s->n && bsearch(&id, s->at, s->n, sizeof(id), ascending);
}

/* Merges both: what is in one of them, or in `s` only (add: whether `other` counts),
 * or, to toggle, in exactly one. */
enum merge { MERGE_ADD, MERGE_REMOVE, MERGE_TOGGLE };

static void merge(struct ids *s, const int64_t *ids, size_t n, enum merge how)
{
	struct ids result = {0};
	int64_t *other = xcalloc(n ? n : 1, sizeof(*other));
	size_t i = 0, k = 0;

	if (n)
		memcpy(other, ids, n * sizeof(*other));
	qsort(other, n, sizeof(*other), ascending);
	while (i < s->n || k < n) {
		const bool mine = i < s->n && (k == n || s->at[i] <= other[k]);
		const bool theirs = k < n && (i == s->n || other[k] <= s->at[i]);
		const int64_t id = mine ? s->at[i] : other[k];

		if (mine && theirs ? how == MERGE_ADD : mine || how != MERGE_REMOVE)
			*VEC_PUSH(&result) = id;
		i += mine;
		while (theirs && k < n && other[k] == id)
			k++;
	}
	free(other);
	VEC_DONE(s);
	*s = result;
}

void ids_add(struct ids *s, const int64_t *ids, size_t n)
{
	merge(s, ids, n, MERGE_ADD);
}

void ids_remove(struct ids *s, const int64_t *ids, size_t n)
{
	merge(s, ids, n, MERGE_REMOVE);
}

void ids_toggle(struct ids *s, const int64_t *ids, size_t n)
{
	merge(s, ids, n, MERGE_TOGGLE);
}

void ids_clear(struct ids *s)
{
	s->n = 0;
}

void ids_done(struct ids *s)
{
	VEC_DONE(s);
}
