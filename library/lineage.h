/* lineage.h: what came from what: prompts that were made of others, takes that go on
 * from others. */
#ifndef WOODSHED_LIBRARY_LINEAGE_H
#define WOODSHED_LIBRARY_LINEAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct db;
struct err;

enum { LINEAGE_DEPTH_MAX = 64, LINEAGE_ROWS_MAX = 1000 };

struct lineage_row {
	int64_t prompt;
	const char *text, *changed; /* changed: how it differs from the one it was made of */
	int depth;                  /* 0: where all begins */
	bool is_self;               /* the prompt that was asked for */
	int64_t n_takes;            /* those in the trash left out */
	int64_t take;               /* the newest of them; 0: none */
};

/* The prompts that this one was made of, from the first on; itself; those made of it,
 * each followed by its own.  What is deeper or more than the bounds is left out.
 * Strings in the arena. */
int lineage_of(struct db *db, int64_t prompt, struct arena *a, struct lineage_row **ret,
	size_t *ret_n, struct err *e);

#endif
