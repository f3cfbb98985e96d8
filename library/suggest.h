/* suggest.h: what a prompt may go on with: the words and phrases of the newest
 * prompts, and tags, the most frequent first.
 *
 * A phrase is what stands between commas and the like.  Case does not matter in
 * ASCII. */
#ifndef WOODSHED_LIBRARY_SUGGEST_H
#define WOODSHED_LIBRARY_SUGGEST_H

#include <stddef.h>
#include <stdint.h>

struct db;
struct err;
struct suggest;

enum { SUGGEST_PROMPTS = 2000, SUGGEST_MAX = 8 };

/* A table of its own: later prompts are not in it. */
int suggest_open(struct db *db, struct suggest **ret, struct err *e);
void suggest_close(struct suggest *s); /* NULL-safe */
/* Number of the newest prompt: another one, and a table is old. */
int suggest_version(struct db *db, int64_t *ret, struct err *e);

/* A way to go on at byte `at` of a prompt. */
struct suggestion {
	size_t from;      /* the bytes from here to `at` are replaced ... */
	const char *text; /* ... by this; the table's */
};

/* Phrases that begin as the one at `at` does, then words that begin as the word there
 * does; none for fewer than two letters, nor what is there already. */
size_t suggest_find(
	const struct suggest *s, const char *prompt, size_t at, struct suggestion ret[SUGGEST_MAX]);

#endif
