/* tree.h: the rows of a list of takes: prompts, under each its takes, and jobs that
 * failed between them.  Pure: it knows numbers only. */
#ifndef WOODSHED_TUI_TREE_H
#define WOODSHED_TUI_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "library/takes.h"
#include "tui/ids.h"

struct tree_group {
	int64_t prompt;
	uint32_t first, n; /* of tree.ids */
	uint32_t lead;     /* of tree.ids: the one that was found first, where the group stands */
	bool is_open;
};

enum tree_kind {
	TREE_ALONE,  /* a take, the only one of its prompt */
	TREE_PROMPT, /* of several takes */
	TREE_TAKE,   /* one of them */
	TREE_JOB,
};

struct tree_row {
	enum tree_kind kind;
	uint32_t group; /* of a job: its place in tree.jobs */
	uint32_t take;  /* of tree.ids; of a prompt: its lead */
};

/* A job that failed: it stands before the takes made before it, those up to `after`. */
struct tree_job {
	int64_t id, after;
};

struct tree {
	int64_t *ids; /* takes by group, within one as they were made; owned, as are these */
	struct tree_group *groups;
	struct tree_row *rows;
	struct tree_job *jobs;
	size_t n_ids, n_groups, n_rows, n_jobs;
	bool newest_first;
};

/* Takes the arrays of *found over.  A group stands where the first of its takes is
 * found.  is_flat: every take is a group.  jobs: copied, in the order of the list;
 * newest_first tells which way that goes. */
void tree_build(struct tree *t, struct takes_found *found, bool is_flat,
	const struct tree_job *jobs, size_t n_jobs, bool newest_first);
/* The rows, with the groups of these prompts unfolded. */
void tree_unfold(struct tree *t, const struct ids *open);

/* The takes of a row, of a prompt all; 0: a job. */
size_t tree_takes(const struct tree *t, int64_t row, const int64_t **ret);
int64_t tree_prompt(const struct tree *t, int64_t row); /* 0: a job */
/* The row of a take, or of its prompt while that is folded; -1: none. */
int64_t tree_find(const struct tree *t, int64_t take);
int64_t tree_find_job(const struct tree *t, int64_t job);
/* Its prompt's row, if that is another; else -1. */
int64_t tree_parent(const struct tree *t, int64_t row);
/* The take `by` places after (before) this one in the list, folded or not; 0: none. */
int64_t tree_neighbour(const struct tree *t, int64_t take, int by);
void tree_done(struct tree *t);

#endif
