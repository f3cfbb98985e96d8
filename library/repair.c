/* A library set right after whatever happened to it. */
#include "library/repair.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "library/base/arena.h"
#include "library/base/err.h"
#include "library/base/str.h"
#include "library/db.h"
#include "library/queue.h"

enum { TRIES = 1000 };

/* The database, its WAL and its index belong together. */
static int move_aside(const char *library, struct arena *a, const char **ret, struct err *e)
{
	static const char *const parts[] = {"", "-wal", "-shm"};
	struct stat st;
	int i = 1;

	while (i < TRIES && !lstat(arena_printf(a, "%s/library.db.damaged-%d", library, i), &st))
		i++;
	*ret = arena_printf(a, "%s/library.db.damaged-%d", library, i);
	for (size_t k = 0; k < sizeof(parts) / sizeof(*parts); k++) {
		const char *from = arena_printf(a, "%s/library.db%s", library, parts[k]);

		if (rename(from, arena_printf(a, "%s%s", *ret, parts[k])) && errno != ENOENT)
			return err_errno(e, errno, "cannot move '%s' aside", from);
	}
	return 0;
}

static bool has_folder(const char *library)
{
	struct str path = {0};
	struct stat st;
	bool has;

	str_printf(&path, "%s/takes", library);
	has = !stat(path.s, &st) && S_ISDIR(st.st_mode);
	str_done(&path);
	return has;
}

/* SQLite keeps the highest number that a take ever had. */
#define HAD_TAKES "SELECT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'takes')"

int library_open(
	const char *library, int64_t now_ms, struct db **ret, size_t *ret_found, struct err *e)
{
	struct sweep swept = {0};
	int64_t had_takes = 1;
	int rc = db_open(library, ret, e);

	if (!rc && has_folder(library))
		rc = query_number(db_query(*ret, HAD_TAKES, ""), &had_takes, e);
	if (!rc && !had_takes)
		rc = takes_sweep(*ret, now_ms, &swept, e);
	*ret_found = rc ? 0 : swept.adopted;
	return rc;
}

void library_tell_found(size_t n, struct str *out)
{
	str_printf(out,
		"library.db was missing: it was made anew from %zu file%s, without ratings, tags "
		"and queue",
		n, n == 1 ? "" : "s");
}

/* *ret is NULL when it is damaged. */
static int open_sound(const char *library, struct db **ret, struct err *e)
{
	struct err why = {0};
	int rc = db_open(library, ret, &why);

	if (!rc)
		rc = db_verify(*ret, &why);
	if (!rc)
		return 0;
	db_close(*ret);
	*ret = NULL;
	return rc == ERR_FORMAT ? 0 : err_set(e, rc, "%s", why.text);
}

int library_repair(
	const char *library, int64_t now_ms, struct arena *a, struct repair *ret, struct err *e)
{
	struct db *db;
	int rc = open_sound(library, &db, e);

	*ret = (struct repair){0};
	if (!rc && !db)
		rc = move_aside(library, a, &ret->moved, e);
	if (!rc && !db)
		rc = db_open(library, &db, e);
	if (!rc)
		rc = workers_recover(db, now_ms, &ret->dead_workers, e);
	if (!rc)
		rc = takes_sweep(db, now_ms, &ret->swept, e);
	db_close(db);
	return rc;
}
