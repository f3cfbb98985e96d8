/* takes.h: prompts and takes, and what a user does to them.
 *
 * A take's row exists only when its file does, under its final name: the file is
 * written and synced first.  Nothing here deletes a file but takes_purge().
 * Strings of results are in the caller's arena.  What a user changes goes
 * through takes_edit(), which remembers how to take it back. */
#ifndef WOODSHED_LIBRARY_TAKES_H
#define WOODSHED_LIBRARY_TAKES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct db;
struct err;
struct str;

struct take {
	int64_t id;
	int64_t prompt_id, job, parent; /* 0: none */
	const char *prompt;
	const char *negative; /* NULL: none */
	const char *model, *model_hash;
	uint64_t seed;
	int64_t frames;
	int rate, channels;
	double seconds;
	double guidance;          /* NaN: not told */
	const char *file;         /* relative to the library */
	const char *recipe;       /* JSON */
	double lufs, peak, score; /* NaN: not measured */
	int rating;               /* 0: none, 1 to 5 */
	bool favourite, missing, heard;
	const char *verdict; /* "", "kept", "rejected" */
	const char *note;
	const char *tags; /* separated by blanks */
	int64_t trashed;  /* ms since 1970; 0: not in the trash */
	int64_t created;
};

/* ---- prompts ------------------------------------------------------------ */

/* The row of this text and negative text (NULL: none) and parent (0: none),
 * made when there is none; a parent that says the very same is it.  changed: what makes it differ
 * from its parent. */
int prompts_add(struct db *db, const char *text, const char *negative, int64_t parent,
	const char *changed, int64_t now_ms, int64_t *ret_id, struct err *e);

/* Whether a take of it that is not in the trash is a favourite; whether nobody has heard
 * one. */
int prompts_signs(struct db *db, int64_t id, bool *ret_favourite, bool *ret_unheard, struct err *e);

/* ---- takes -------------------------------------------------------------- */

/* Adds a row; prompt_id, model, seed, frames, rate, channels, file, created are
 * needed, NULL strings are empty.  Where there is a row of that file, as when a
 * sweep came first, *ret_id is its. */
int takes_add(struct db *db, const struct take *t, int64_t *ret_id, struct err *e);

/* ERR_ARG when there is no such take. */
int takes_get(struct db *db, int64_t id, struct arena *a, struct take *ret, struct err *e);

enum takes_order {
	TAKES_NEWEST,
	TAKES_OLDEST,
	TAKES_RATING,
	TAKES_LENGTH,
	TAKES_LOUDEST,
	TAKES_SCORE,
};

struct takes_query {
	const char *filter; /* filter.h; NULL: all that is not in the trash */
	enum takes_order order;
	bool reversed; /* the other way round */
	int64_t limit; /* 0: no limit */
	int64_t offset;
	int64_t now_ms;
};

/* ERR_ARG for a wrong filter. */
int takes_list(struct db *db, const struct takes_query *q, struct arena *a, struct take **ret,
	size_t *ret_n, struct err *e);
int takes_count(struct db *db, const struct takes_query *q, int64_t *ret, struct err *e);

/* Their ids alone, to be freed by VEC_DONE(), whatever comes. */
struct takes_ids {
	int64_t *at;
	size_t n, cap;
};
int takes_ids(struct db *db, const struct takes_query *q, struct takes_ids *ret, struct err *e);
/* All of them in that order, those in the trash as well. */
int takes_in_order(
	struct db *db, enum takes_order order, bool reversed, struct takes_ids *ret, struct err *e);

enum { TAKES_SETS_KEPT = 32 }; /* 13 kB each of 100 000 takes */

/* What one term of a filter is true of. */
struct takes_set {
	char *key;      /* owned, as the next; NULL: none is kept */
	uint64_t *bits; /* of each take by its place among all, the lowest bit first */
	uint64_t asked; /* the higher, the later */
};

/* The prompt of every take, those in the trash as well, by their numbers.  Neither ever
 * becomes another one, so it is read once and kept; so are the sets of the terms of filters
 * until somebody writes.  Zero-initialised is empty. */
struct takes_prompts {
	int64_t *ids, *prompts; /* ids ascending; owned */
	size_t n, cap;
	struct takes_set sets[TAKES_SETS_KEPT];
	uint64_t n_asked;
	int64_t version, changes; /* of the database, when the sets were found or later */
};
/* Adds those that are new; reads all where some are gone.  Of one connection, and not in a
 * transaction: what was found of changes that are rolled back would be kept. */
int takes_prompts_update(struct db *db, struct takes_prompts *p, struct err *e);
void takes_prompts_done(struct takes_prompts *p);
bool takes_prompts_have(const struct takes_prompts *p, int64_t take);

/* All that is wanted, by number: in the order of *q, from its offset on up to its
 * limit; `all` is up to date.  Quick enough for 100 000 takes while one types. */
struct takes_found {
	int64_t *ids, *prompts; /* owned */
	size_t n;
};
int takes_find(struct db *db, const struct takes_query *q, struct takes_prompts *all,
	struct takes_found *ret, struct err *e);
void takes_found_done(struct takes_found *f);

/* Another number whenever lists of takes may have changed: a take is new or gone, or
 * a user, or takes_sweep(), changed one. */
int takes_stamp(struct db *db, uint64_t *ret, struct err *e);

/* Which take of its prompt it is, from 1; those in the trash count: it stays the same
 * until one is purged. */
int takes_number(struct db *db, int64_t id, int64_t *ret, struct err *e);
/* Of how many, counted as there. */
int prompts_count(struct db *db, int64_t prompt, int64_t *ret, struct err *e);

/* The last take that was made by then; 0: none. */
int takes_last_before(struct db *db, int64_t unix_ms, int64_t *ret, struct err *e);

/* Takes that are not in the trash, and those that are. */
int takes_totals(struct db *db, int64_t *ret_kept, int64_t *ret_trashed, struct err *e);

/* Whether all of them are; a take that is gone is passed over. */
int takes_are_favourites(struct db *db, const int64_t *ids, size_t n, bool *ret, struct err *e);

/* ---- changes ------------------------------------------------------------ */

/* Fields: "favourite" ("0", "1"), "rating" ("0" to "5"), "verdict" ("", "kept",
 * "rejected"), "note", "trashed" (ms, or NULL to restore), "tag" (adds one),
 * "untag".  label: what undo (undo.h) shows, such as "trash 3 takes".  ret_action (or
 * NULL): the number of the action; 0: none was made, it was so already.  ERR_ARG for
 * another field or value; all takes are changed or none. */
int takes_edit(struct db *db, const int64_t *ids, size_t n, const char *field, const char *value,
	const char *label, int64_t *ret_action, struct err *e);

/* Somebody has heard it, or nobody has; not an action to be taken back.  A take that is
 * gone is none.  *ret_is_new (or NULL): it was not so before. */
int takes_hear(struct db *db, int64_t id, bool heard, bool *ret_is_new, struct err *e);

/* What was deleted for good, and became free. */
struct purged {
	size_t n;
	uint64_t bytes;
};
/* Deletes those of the takes that are in the trash, files first; any others are left. */
int takes_purge(struct db *db, const int64_t *ids, size_t n, struct purged *ret, struct err *e);

/* ---- files -------------------------------------------------------------- */

struct sweep {
	size_t adopted, missing, found_again, removed, unreadable;
};

/* Rows without a file are marked missing and those whose file is back are not, so that
 * what is listed next is true. */
int takes_look(struct db *db, struct err *e);

/* Pairs files and rows: files in takes/ without a row are adopted from their
 * recipes, rows without a file are marked missing and those whose file is back
 * are not, temporary files that nobody is writing any more are removed. */
int takes_sweep(struct db *db, int64_t now_ms, struct sweep *ret, struct err *e);
/* Removes what renders that were killed have left in the folder of takes, and asks no
 * database: beside others that render, too. */
int takes_tidy(const char *library, size_t *ret_removed, struct err *e);

/* One JSON object, as in `takes --json`. */
void take_json(const struct take *t, const char *library, struct str *out);

#endif
