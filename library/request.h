/* request.h: what a take was asked for, so that it can be asked for again. */
#ifndef WOODSHED_LIBRARY_REQUEST_H
#define WOODSHED_LIBRARY_REQUEST_H

#include <stdint.h>

struct arena;
struct db;
struct err;
struct job_new;

/* The job that makes this take once more: as its own job had it, all options
 * included; where that is gone, as the recipe in its file has it.  The prompt is the
 * take's own, not a child of it (prompts_add()).  Strings are in the arena.
 * As recipe_options() has it, that is not always possible. */
int request_of_take(
	struct db *db, int64_t take, struct arena *a, struct job_new *ret, struct err *e);

#endif
