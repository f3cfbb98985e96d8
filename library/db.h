/* db.h: the library's database, LIBRARY/library.db.
 *
 * SQLite in WAL mode, every commit synced.  What it holds is described beside
 * the tables, in schema.c; takes.h, queue.h and undo.h are what programs use.
 * A struct db belongs to one thread; any number of processes may have one open.
 *
 * Queries name their values by letters, one for each ?1, ?2, …:
 *
 *	i int64_t   d double (NaN: NULL)   t const char * (NULL: NULL)   n NULL
 *
 *	struct query q = db_query(db, "SELECT seed FROM takes WHERE prompt = ?1", "i", id);
 *	while (query_next(&q))
 *		use(query_int(&q, 0));
 *	return query_done(&q, e);
 *
 * The first thing that goes wrong ends the rows, and query_done() tells it.
 * SQL is always text of ours: what a user typed is bound, never pasted. */
#ifndef WOODSHED_LIBRARY_DB_H
#define WOODSHED_LIBRARY_DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct db;
struct err;
struct sqlite3_stmt;

enum { DB_SCHEMA = 5 }; /* the newest version, PRAGMA user_version */

/* Opens the database of an existing folder, makes it when it is missing, and
 * brings an older one up to date (a copy of it is kept beside it, as
 * library.db.vN).  One that is up to date is opened while another program writes.
 * Refused with a sentence and nothing changed: a newer one, one that is damaged, one that
 * is missing while its WAL is there, and a folder on a file system without locks. */
int db_open(const char *library, struct db **ret, struct err *e);
/* The same of one that another connection of this process has open: when it is missing,
 * it was moved or removed, and nothing is made in its place.  ERR_IO. */
int db_open_again(const char *library, struct db **ret, struct err *e);
void db_close(struct db *db);                /* NULL-safe; rolls back what is open */
const char *db_library(const struct db *db); /* the folder */

/* How long a writer waits for another one, before ERR_BUSY: half a minute unless it
 * is told here. */
void db_patience(struct db *db, int ms);
/* How much of the database it keeps in memory: 16 MB unless it is told here. */
void db_cache(struct db *db, int kb);
/* Reads the database's file from its beginning, at most so many bytes, and keeps nothing: the
 * system has it in memory then, and no query waits for a disk page by page. */
void db_read_ahead(struct db *db, int64_t most);
/* What is being asked, on another thread, fails with ERR_CANCELLED; the only call
 * that may come from there.  Nothing is being asked: does nothing. */
void db_interrupt(struct db *db);

/* Everything between is one change, or none.  begin waits for other writers
 * (db_patience()).  A commit that fails has rolled back. */
int db_begin(struct db *db, struct err *e);
int db_commit(struct db *db, struct err *e);
void db_rollback(struct db *db); /* nothing to do: does nothing */
/* db_commit() if rc is 0, else db_rollback(): rc, or why the commit failed. */
int db_end(struct db *db, int rc, struct err *e);

struct query {
	struct db *db;
	struct sqlite3_stmt *s; /* NULL after it could not be made */
	int rc;
	bool kept; /* returns to the cache */
};

/* `sql` is a literal: it is prepared once and kept by its address. */
struct query db_query(struct db *db, const char *sql, const char *types, ...);
/* For SQL that is composed: prepared anew; values are added by query_bind_*(). */
struct query db_prepare(struct db *db, const char *sql);
void query_bind_int(struct query *q, int at, int64_t v);
void query_bind_num(struct query *q, int at, double v);
void query_bind_text(struct query *q, int at, const char *s);
int query_values(const struct query *q); /* the number of its last ?N; 0: it has none */

bool query_next(struct query *q);
int64_t query_int(const struct query *q, int column);      /* NULL: 0 */
double query_num(const struct query *q, int column);       /* NULL: NaN */
const char *query_text(const struct query *q, int column); /* NULL: NULL; until the next row */
/* The same in an arena, or NULL. */
const char *query_dup(const struct query *q, int column, struct arena *a);
bool query_is_null(const struct query *q, int column);
int query_done(struct query *q, struct err *e);

/* Runs a query for its first column, and ends it.  Of its first row, 0 without one; of
 * all rows, appended, to be freed by VEC_DONE() whatever comes. */
struct numbers {
	int64_t *at;
	size_t n, cap;
};
int query_number(struct query q, int64_t *ret, struct err *e);
int query_numbers(struct query q, struct numbers *ret, struct err *e);

/* A statement without rows. */
int db_run(struct db *db, struct err *e, const char *sql, const char *types, ...);
int64_t db_last_id(const struct db *db);      /* of the last INSERT */
int64_t db_changes(const struct db *db);      /* rows of the last statement */
int64_t db_changes_ever(const struct db *db); /* by this connection */

/* Whether library.db was moved or removed since it was opened: what is written to it now
 * nobody will read. */
bool db_is_lost(struct db *db);

/* Changes whenever another connection commits (PRAGMA data_version). */
int db_version(struct db *db, int64_t *ret, struct err *e);

/* A copy of the whole database as of one moment, while others may write; an
 * existing file is refused, and a name is given to nothing incomplete. */
int db_backup(struct db *db, const char *path, struct err *e);

/* SQLite's integrity check and the foreign keys': 0, or ERR_FORMAT with the first
 * finding. */
int db_verify(struct db *db, struct err *e);

/* Settings: text by name.  *ret is NULL when there is none. */
int db_setting(struct db *db, const char *name, struct arena *a, const char **ret, struct err *e);
int db_set_setting(struct db *db, const char *name, const char *value, struct err *e);

#endif
