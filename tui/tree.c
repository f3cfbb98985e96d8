/* The rows of a list of takes. */
#include "tui/tree.h"

#include <stdlib.h>
#include <string.h>

#include "library/base/arena.h"

/* ---- groups ------------------------------------------------------------- */

/* Groups by their prompt, in open addressing: the number of each and one more. */
struct places {
	uint32_t *at;
	size_t mask;
};

static struct places places_for(size_t n)
{
	size_t size = 16;

	while (size < 2 * n)
		size *= 2;
	return (struct places){xcalloc(size, sizeof(uint32_t)), size - 1};
}

static uint32_t add_group(struct tree *t, int64_t prompt)
{
	t->groups[t->n_groups] = (struct tree_group){.prompt = prompt};
	return (uint32_t)t->n_groups++;
}

static uint32_t group_for(struct tree *t, struct places *p, int64_t prompt)
{
	size_t i = (size_t)(((uint64_t)prompt * 0x9e3779b97f4a7c15u) >> 32) & p->mask;

	while (p->at[i] && t->groups[p->at[i] - 1].prompt != prompt)
		i = (i + 1) & p->mask;
	if (!p->at[i])
		p->at[i] = add_group(t, prompt) + 1;
	return p->at[i] - 1;
}

static int ascending(const void *a, const void *b)
{
	const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

/* Which group each take is of; counts them. */
static uint32_t *group_takes(struct tree *t, const int64_t *prompts, bool is_flat)
{
	uint32_t *group_of = xcalloc(t->n_ids ? t->n_ids : 1, sizeof(*group_of));
	struct places places = places_for(is_flat ? 0 : t->n_ids);
	uint32_t g = 0;

	for (size_t i = 0; i < t->n_ids; i++) {
		if (is_flat)
			g = add_group(t, prompts[i]);
		else if (!i || prompts[i] != prompts[i - 1]) /* mostly they follow each other */
			g = group_for(t, &places, prompts[i]);
		t->groups[g].n++;
		group_of[i] = g;
	}
	free(places.at);
	return group_of;
}

static bool is_ascending(const int64_t *ids, size_t n)
{
	for (size_t i = 1; i < n; i++)
		if (ids[i - 1] > ids[i])
			return false;
	return true;
}

/* Takes next to those of their group; they come in the order of time or against it, or,
 * where the list is in another one, they are sorted. */
static void sort_takes(struct tree *t, const uint32_t *group_of)
{
	int64_t *sorted = xcalloc(t->n_ids ? t->n_ids : 1, sizeof(*sorted));
	uint32_t first = 0;

	for (size_t i = 0; i < t->n_groups; i++) {
		struct tree_group *g = &t->groups[i];

		g->first = first;
		first += g->n;
		g->lead = t->newest_first ? first : g->first; /* where the next one goes */
	}
	for (size_t i = 0; i < t->n_ids; i++) {
		struct tree_group *g = &t->groups[group_of[i]];

		sorted[t->newest_first ? --g->lead : g->lead++] = t->ids[i];
	}
	for (size_t i = 0; i < t->n_groups; i++) {
		struct tree_group *g = &t->groups[i];
		int64_t *mine = sorted + g->first;
		const int64_t *lead = &mine[t->newest_first ? g->n - 1 : 0];
		const int64_t lead_id = *lead;

		if (!is_ascending(mine, g->n)) {
			qsort(mine, g->n, sizeof(*mine), ascending);
			lead = bsearch(&lead_id, mine, g->n, sizeof(lead_id), ascending);
		}
		g->lead = (uint32_t)(lead - sorted);
	}
	free(t->ids);
	t->ids = sorted;
}

void tree_build(struct tree *t, struct takes_found *found, bool is_flat,
	const struct tree_job *jobs, size_t n_jobs, bool newest_first)
{
	uint32_t *group_of;

	tree_done(t);
	t->ids = found->ids;
	t->n_ids = found->n;
	t->groups = xcalloc(found->n ? found->n : 1, sizeof(*t->groups));
	t->jobs = xcalloc(n_jobs ? n_jobs : 1, sizeof(*t->jobs));
	if (n_jobs)
		memcpy(t->jobs, jobs, n_jobs * sizeof(*jobs));
	t->n_jobs = n_jobs;
	t->newest_first = newest_first;
	group_of = group_takes(t, found->prompts, is_flat);
	sort_takes(t, group_of);
	free(group_of);
	free(found->prompts);
	*found = (struct takes_found){0};
}

/* ---- rows --------------------------------------------------------------- */

static void add_row(struct tree *t, enum tree_kind kind, size_t group, size_t take)
{
	t->rows[t->n_rows++] = (struct tree_row){kind, (uint32_t)group, (uint32_t)take};
}

/* Whether a job stands before a group: what it follows in the order of time. */
static bool comes_before(const struct tree *t, const struct tree_job *j, const struct tree_group *g)
{
	const int64_t newest = t->ids[g->first + g->n - 1], oldest = t->ids[g->first];

	return t->newest_first ? newest <= j->after : oldest > j->after;
}

void tree_unfold(struct tree *t, const struct ids *open)
{
	size_t job = 0;

	free(t->rows);
	t->rows = xcalloc(t->n_ids + t->n_groups + t->n_jobs + 1, sizeof(*t->rows));
	t->n_rows = 0;
	for (size_t i = 0; i < t->n_groups; i++) {
		struct tree_group *g = &t->groups[i];

		while (job < t->n_jobs && comes_before(t, &t->jobs[job], g))
			add_row(t, TREE_JOB, job++, 0);
		g->is_open = g->n > 1 && ids_has(open, g->prompt);
		add_row(t, g->n > 1 ? TREE_PROMPT : TREE_ALONE, i, g->lead);
		for (uint32_t k = 0; g->is_open && k < g->n; k++)
			add_row(t, TREE_TAKE, i, g->first + k);
	}
	while (job < t->n_jobs)
		add_row(t, TREE_JOB, job++, 0);
}

/* ---- looking ------------------------------------------------------------ */

static const struct tree_row *row_at(const struct tree *t, int64_t row)
{
	return row >= 0 && row < (int64_t)t->n_rows ? &t->rows[row] : NULL;
}

size_t tree_takes(const struct tree *t, int64_t row, const int64_t **ret)
{
	const struct tree_row *r = row_at(t, row);

	*ret = NULL;
	if (!r || r->kind == TREE_JOB)
		return 0;
	*ret = &t->ids[r->kind == TREE_PROMPT ? t->groups[r->group].first : r->take];
	return r->kind == TREE_PROMPT ? t->groups[r->group].n : 1;
}

int64_t tree_prompt(const struct tree *t, int64_t row)
{
	const struct tree_row *r = row_at(t, row);

	return r && r->kind != TREE_JOB ? t->groups[r->group].prompt : 0;
}

int64_t tree_find(const struct tree *t, int64_t take)
{
	for (size_t i = 0; i < t->n_rows; i++) {
		const struct tree_row *r = &t->rows[i];
		const struct tree_group *g = &t->groups[r->group];

		if (r->kind == TREE_JOB)
			continue;
		if (r->kind != TREE_PROMPT && t->ids[r->take] == take)
			return (int64_t)i;
		if (r->kind == TREE_PROMPT && !g->is_open &&
			bsearch(&take, t->ids + g->first, g->n, sizeof(take), ascending))
			return (int64_t)i;
	}
	return -1;
}

int64_t tree_find_job(const struct tree *t, int64_t job)
{
	for (size_t i = 0; i < t->n_rows; i++)
		if (t->rows[i].kind == TREE_JOB && t->jobs[t->rows[i].group].id == job)
			return (int64_t)i;
	return -1;
}

int64_t tree_parent(const struct tree *t, int64_t row)
{
	const struct tree_row *r = row_at(t, row);

	if (!r || r->kind != TREE_TAKE)
		return -1;
	return row - 1 - (r->take - t->groups[r->group].first);
}

int64_t tree_neighbour(const struct tree *t, int64_t take, int by)
{
	for (size_t i = 0; i < t->n_ids; i++)
		if (t->ids[i] == take) {
			const int64_t to = (int64_t)i + by;

			return to >= 0 && to < (int64_t)t->n_ids ? t->ids[to] : 0;
		}
	return 0;
}

void tree_done(struct tree *t)
{
	free(t->ids);
	free(t->groups);
	free(t->rows);
	free(t->jobs);
	*t = (struct tree){0};
}
