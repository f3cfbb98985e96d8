/* adopt.h: a row for a take's file that has none, from the recipe in the file. */
#ifndef WOODSHED_LIBRARY_ADOPT_H
#define WOODSHED_LIBRARY_ADOPT_H

#include <stdint.h>

struct arena;
struct db;
struct err;
struct take;

/* What a take's row would hold, told by the file alone; file is relative to the
 * library.  A file without a recipe is a take of no prompt and an unknown model.
 * prompt and negative are set, prompt_id is not.  ERR_FORMAT when it is no
 * audio. */
int adopt_describe(struct db *db, const char *file, int64_t now_ms, struct arena *a,
	struct take *ret, struct err *e);

/* Adds the row, in the caller's transaction; there must be none. */
int adopt_file(struct db *db, const char *file, int64_t job, int64_t now_ms, int64_t *ret_take,
	struct err *e);

/* The same for a job whose worker died, if the file is there and is audio; *ret_take
 * is 0 when not.  A row that exists is that job's. */
int adopt_for_job(struct db *db, const char *file, int64_t job, int64_t now_ms, int64_t *ret_take,
	struct err *e);

#endif
