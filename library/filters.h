/* filters.h: filters that were given a name. */
#ifndef WOODSHED_LIBRARY_FILTERS_H
#define WOODSHED_LIBRARY_FILTERS_H

#include <stddef.h>
#include <stdint.h>

struct arena;
struct db;
struct err;

enum { FILTERS_NAME_MAX = 64 }; /* bytes */

struct saved_filter {
	const char *name, *text;
};

/* Keeps a filter (filter.h), in place of another of that name.  ERR_ARG for what is
 * no filter, or no name: one word of UTF-8 without controls. */
int filters_save(struct db *db, const char *name, const char *text, int64_t now_ms, struct err *e);

/* *ret, in the arena, is its text.  ERR_ARG when there is none of that name. */
int filters_get(struct db *db, const char *name, struct arena *a, const char **ret, struct err *e);

/* ERR_ARG when there is none of that name. */
int filters_remove(struct db *db, const char *name, struct err *e);

/* All of them by name, in the arena. */
int filters_list(
	struct db *db, struct arena *a, struct saved_filter **ret, size_t *ret_n, struct err *e);

#endif
