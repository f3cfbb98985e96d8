/* The library's database: opening, migrations, queries. */
#include "library/db.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <sqlite3.h>

#include "library/base/arena.h"
#include "library/base/clock.h"
#include "library/base/err.h"
#include "library/base/rename.h"
#include "library/base/str.h"
#include "library/base/vec.h"
#include "library/schema.h"

enum {
	BUSY_MS = 30000,
	KEPT_MAX = 96,               /* statements; more are prepared each time */
	APPLICATION_ID = 0x77736864, /* "wshd" */
};

struct kept {
	const char *sql; /* its address is the key */
	sqlite3_stmt *s;
	bool used;
};

struct db {
	sqlite3 *sql;
	char *library, *path; /* owned */
	int patience_ms;
	struct kept kept[KEPT_MAX];
	size_t n_kept;
};

/* ---- errors ------------------------------------------------------------- */

static int fail(const struct db *db, int rc, struct err *e)
{
	switch (rc & 0xff) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE:
		return 0;
	case SQLITE_NOMEM:
		return err_set(e, ERR_NOMEM, "too little memory for the library '%s'", db->path);
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return err_set(e, ERR_BUSY,
			"another program has been writing to '%s' for %g s; try again", db->path,
			db->patience_ms / 1e3);
	case SQLITE_INTERRUPT:
		return err_set(
			e, ERR_CANCELLED, "what the library was asked is not wanted any more");
	case SQLITE_FULL:
		return err_set(e, ERR_IO, "no room left for '%s'; free some space and try again",
			db->path);
	case SQLITE_READONLY:
	case SQLITE_PERM:
	case SQLITE_AUTH:
		return err_set(e, ERR_IO,
			"'%s' cannot be written; check its permissions and its folder's, or choose "
			"another library with --library",
			db->path);
	case SQLITE_CANTOPEN:
		return err_set(e, ERR_IO,
			"'%s' cannot be opened; check its permissions and its folder's, or choose "
			"another library with --library",
			db->path);
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return err_set(e, ERR_FORMAT,
			"'%s' is damaged; move it away and run woodshed doctor --repair, which "
			"makes a new one from the takes, or put a backup in its place",
			db->path);
	case SQLITE_IOERR:
		return err_errno(e,
			sqlite3_system_errno(db->sql) ? sqlite3_system_errno(db->sql) : EIO,
			"cannot use '%s'", db->path);
	default:
		return err_set(e, ERR_BUG, "the library's database refused: %s (%d)",
			db->sql ? sqlite3_errmsg(db->sql) : sqlite3_errstr(rc), rc);
	}
}

/* ---- queries ------------------------------------------------------------ */

static struct query prepared(struct db *db, const char *sql)
{
	struct query q = {.db = db};
	struct kept *k;

	for (size_t i = 0; i < db->n_kept; i++)
		if (db->kept[i].sql == sql && !db->kept[i].used) {
			db->kept[i].used = true;
			return (struct query){.db = db, .s = db->kept[i].s, .kept = true};
		}
	q.rc = sqlite3_prepare_v3(db->sql, sql, -1, SQLITE_PREPARE_PERSISTENT, &q.s, NULL);
	if (q.rc || db->n_kept == KEPT_MAX)
		return q;
	k = &db->kept[db->n_kept++];
	*k = (struct kept){.sql = sql, .s = q.s, .used = true};
	q.kept = true;
	return q;
}

void query_bind_int(struct query *q, int at, int64_t v)
{
	if (!q->rc)
		q->rc = sqlite3_bind_int64(q->s, at, v);
}

void query_bind_num(struct query *q, int at, double v)
{
	if (!q->rc)
		q->rc = isnan(v) ? sqlite3_bind_null(q->s, at) : sqlite3_bind_double(q->s, at, v);
}

void query_bind_text(struct query *q, int at, const char *s)
{
	if (!q->rc)
		q->rc = sqlite3_bind_text(q->s, at, s, -1, SQLITE_TRANSIENT); /* NULL: NULL */
}

int query_values(const struct query *q)
{
	return sqlite3_bind_parameter_count(q->s);
}

static void bind_all(struct query *q, const char *types, va_list ap)
{
	for (int i = 1; *types; types++, i++)
		switch (*types) {
		case 'i':
			query_bind_int(q, i, va_arg(ap, int64_t));
			break;
		case 'd':
			query_bind_num(q, i, va_arg(ap, double));
			break;
		case 't':
			query_bind_text(q, i, va_arg(ap, const char *));
			break;
		default:
			query_bind_text(q, i, NULL);
		}
}

struct query db_query(struct db *db, const char *sql, const char *types, ...)
{
	struct query q = prepared(db, sql);
	va_list ap;

	va_start(ap, types);
	bind_all(&q, types, ap);
	va_end(ap);
	return q;
}

struct query db_prepare(struct db *db, const char *sql)
{
	struct query q = {.db = db};

	q.rc = sqlite3_prepare_v2(db->sql, sql, -1, &q.s, NULL);
	return q;
}

bool query_next(struct query *q)
{
	if (q->rc && q->rc != SQLITE_ROW)
		return false;
	q->rc = sqlite3_step(q->s);
	return q->rc == SQLITE_ROW;
}

int64_t query_int(const struct query *q, int column)
{
	return sqlite3_column_int64(q->s, column);
}

double query_num(const struct query *q, int column)
{
	return query_is_null(q, column) ? (double)NAN : sqlite3_column_double(q->s, column);
}

const char *query_text(const struct query *q, int column)
{
	return (const char *)sqlite3_column_text(q->s, column);
}

const char *query_dup(const struct query *q, int column, struct arena *a)
{
	const char *s = query_text(q, column);

	return s ? arena_strdup(a, s) : NULL;
}

bool query_is_null(const struct query *q, int column)
{
	return sqlite3_column_type(q->s, column) == SQLITE_NULL;
}

int query_done(struct query *q, struct err *e)
{
	int rc = fail(q->db, q->rc, e);

	if (q->kept) {
		sqlite3_reset(q->s);
		sqlite3_clear_bindings(q->s);
		for (size_t i = 0; i < q->db->n_kept; i++)
			if (q->db->kept[i].s == q->s)
				q->db->kept[i].used = false;
	} else {
		sqlite3_finalize(q->s);
	}
	q->s = NULL;
	return rc;
}

int query_number(struct query q, int64_t *ret, struct err *e)
{
	*ret = query_next(&q) ? query_int(&q, 0) : 0;
	return query_done(&q, e);
}

int query_numbers(struct query q, struct numbers *ret, struct err *e)
{
	while (query_next(&q))
		*VEC_PUSH(ret) = query_int(&q, 0);
	return query_done(&q, e);
}

int db_run(struct db *db, struct err *e, const char *sql, const char *types, ...)
{
	struct query q = prepared(db, sql);
	va_list ap;

	va_start(ap, types);
	bind_all(&q, types, ap);
	va_end(ap);
	while (query_next(&q))
		;
	return query_done(&q, e);
}

int64_t db_last_id(const struct db *db)
{
	return sqlite3_last_insert_rowid(db->sql);
}

int64_t db_changes(const struct db *db)
{
	return sqlite3_changes64(db->sql);
}

int64_t db_changes_ever(const struct db *db)
{
	return sqlite3_total_changes64(db->sql);
}

void db_patience(struct db *db, int ms)
{
	db->patience_ms = ms;
	sqlite3_busy_timeout(db->sql, ms);
}

void db_cache(struct db *db, int kb)
{
	char sql[64];

	snprintf(sql, sizeof(sql), "PRAGMA cache_size = %d", -kb);
	sqlite3_exec(db->sql, sql, NULL, NULL, NULL);
}

/* By SQLite's own file: to open and close another one would drop its locks. */
void db_read_ahead(struct db *db, int64_t most)
{
	enum { PIECE = 256 << 10 };
	char *piece = xcalloc(PIECE, 1);
	sqlite3_file *file = NULL;
	sqlite3_int64 size = 0;

	if (sqlite3_file_control(db->sql, "main", SQLITE_FCNTL_FILE_POINTER, &file) || !file ||
		!file->pMethods || file->pMethods->xFileSize(file, &size))
		size = 0;
	for (sqlite3_int64 at = 0; at < size && at < most; at += PIECE)
		if (file->pMethods->xRead(file, piece, PIECE, at))
			break; /* the end, where it is no whole piece */
	free(piece);
}

void db_interrupt(struct db *db)
{
	sqlite3_interrupt(db->sql);
}

/* ---- transactions ------------------------------------------------------- */

int db_begin(struct db *db, struct err *e)
{
	return db_run(db, e, "BEGIN IMMEDIATE", "");
}

int db_commit(struct db *db, struct err *e)
{
	int rc = db_run(db, e, "COMMIT", "");

	if (rc)
		db_rollback(db);
	return rc;
}

void db_rollback(struct db *db)
{
	if (!sqlite3_get_autocommit(db->sql))
		db_run(db, NULL, "ROLLBACK", "");
}

int db_end(struct db *db, int rc, struct err *e)
{
	if (!rc)
		return db_commit(db, e);
	db_rollback(db);
	return rc;
}

/* ---- opening ------------------------------------------------------------ */

static int pragma(struct db *db, const char *sql, int64_t *ret, struct err *e)
{
	struct query q = db_prepare(db, sql);

	if (query_next(&q))
		*ret = query_int(&q, 0);
	return query_done(&q, e);
}

/* Before anything is changed, be it only the journal. */
static int check_ours(struct db *db, int64_t *ret_version, struct err *e)
{
	int64_t id = 0, tables = 0;
	int rc = pragma(db, "PRAGMA user_version", ret_version, e);

	/* The tables first: another program may make them, and the id with them, in between. */
	if (!rc)
		rc = pragma(db, "SELECT count(*) FROM sqlite_schema", &tables, e);
	if (!rc)
		rc = pragma(db, "PRAGMA application_id", &id, e);
	if (rc)
		return rc;
	if (tables && id != APPLICATION_ID)
		return err_set(e, ERR_UNSUPPORTED, /* not damaged: repair leaves it alone */
			"'%s' is another program's database; choose another library with --library",
			db->path);
	if (*ret_version < 0 || *ret_version > DB_SCHEMA)
		return err_set(e, ERR_UNSUPPORTED,
			"this library was written by a newer woodshed (its schema is %d, this one "
			"knows %d); install that version",
			(int)*ret_version, DB_SCHEMA);
	return 0;
}

static int run_steps(struct db *db, int64_t from, struct err *e)
{
	int rc = 0;

	for (int64_t v = from; v < DB_SCHEMA && !rc; v++) {
		struct str sql = {0};
		int why;

		str_printf(&sql, "%s PRAGMA user_version = %d; PRAGMA application_id = %d;",
			schema_steps[v], (int)v + 1, APPLICATION_ID);
		why = sqlite3_exec(db->sql, sql.s, NULL, NULL, NULL);
		str_done(&sql);
		rc = fail(db, why, e);
	}
	return rc;
}

/* Under the lock of a writer: of two programs that start together, one finds
 * that the other has done it. */
static int migrate(struct db *db, struct err *e)
{
	int64_t version = 0;
	int rc = db_begin(db, e);

	if (!rc)
		rc = check_ours(db, &version, e);
	if (!rc && version < DB_SCHEMA)
		rc = run_steps(db, version, e);
	if (!rc)
		return db_commit(db, e);
	db_rollback(db);
	return rc;
}

/* A migration that goes wrong in a way nobody thought of must not be the end of
 * a library. */
static int keep_old(struct db *db, int64_t version, struct err *e)
{
	struct stat st;
	struct str path = {0};
	int rc = 0;

	str_printf(&path, "%s.v%d", db->path, (int)version);
	if (version > 0 && version < DB_SCHEMA && stat(path.s, &st))
		rc = db_backup(db, path.s, e);
	if (rc && !stat(path.s, &st)) { /* by another program that starts now */
		err_clear(e);
		rc = 0;
	}
	str_done(&path);
	return rc;
}

/* SQLite relies on POSIX locks; where they do nothing, two programs destroy the
 * database. */
static int check_locks(const struct db *db, struct err *e)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};
	char *path = xcalloc(strlen(db->library) + 16, 1);
	int fd, why = 0;

	memcpy(path, db->library, strlen(db->library));
	memcpy(path + strlen(db->library), "/.lock.XXXXXX", 14);
	fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0) {
		why = errno;
		free(path);
		return err_errno(e, why,
			"cannot write to the library '%s' (choose another with --library)",
			db->library);
	}
	if (fcntl(fd, F_SETLK, &lock))
		why = errno;
	close(fd);
	unlink(path);
	free(path);
	if (!why)
		return 0;
	return err_errno(e, why,
		"the file system of '%s' has no locks, which the library needs; choose a folder "
		"on a local disk with --library",
		db->library);
}

static bool has_wal(const struct db *db)
{
	struct str wal = {0};
	struct stat st;
	bool has;

	str_printf(&wal, "%s-wal", db->path);
	has = !stat(wal.s, &st) && st.st_size;
	str_done(&wal);
	return has;
}

/* Where a WAL is alone, SQLite removes it for a new database's sake, and with it what was
 * committed last.  The WAL is looked for first, as it is made after its database. */
static int check_wal(const struct db *db, struct err *e)
{
	struct stat st;
	const bool is_alone = has_wal(db) && stat(db->path, &st) && errno == ENOENT;

	return is_alone ? err_set(e, ERR_IO,
				  "'%s' was moved or removed without its '-wal', which has what "
				  "was written last; put it back, or end every woodshed and move "
				  "the '-wal' away, too: a new one is then made from the takes",
				  db->path)
			: 0;
}

/* Byte 18 of a backup says that it has no WAL: the one that lies there is of the database
 * before it, and SQLite would mix the two.  Read through SQLite, whose locks a descriptor
 * of ours would drop. */
static int check_pair(const struct db *db, struct err *e)
{
	sqlite3_file *file = NULL;
	unsigned char format = 0;

	if (!has_wal(db) ||
		sqlite3_file_control(db->sql, "main", SQLITE_FCNTL_FILE_POINTER, &file) ||
		!file->pMethods || file->pMethods->xRead(file, &format, 1, 18) || format != 1)
		return 0;
	return err_set(e, ERR_IO,
		"'%s' was put beside the '-wal' of another; end every woodshed and move the '-wal' "
		"and the '-shm' away",
		db->path);
}

static int ask_for_wal(struct db *db, bool *ret_wal, struct err *e)
{
	struct query q = db_prepare(db, "PRAGMA journal_mode = WAL");

	*ret_wal = query_next(&q) && query_text(&q, 0) && !strcmp(query_text(&q, 0), "wal");
	return query_done(&q, e);
}

/* The switch holds the lock of a reader and wants that of a writer: SQLite asks no busy handler
 * there, as two that did would wait for each other. */
static int switch_to_wal(struct db *db, bool *ret_wal, struct err *e)
{
	const struct timespec nap = {.tv_nsec = 5000000};
	const double end = clock_now() + BUSY_MS / 1e3;
	int rc;

	while ((rc = ask_for_wal(db, ret_wal, e)) == ERR_BUSY && clock_now() < end) {
		err_clear(e);
		nanosleep(&nap, NULL);
	}
	return rc;
}

static int set_up(struct db *db, struct err *e)
{
	bool wal;
	int rc = switch_to_wal(db, &wal, e);

	if (!rc && !wal)
		rc = err_set(e, ERR_UNSUPPORTED,
			"the file system of '%s' has no shared memory, which the library needs; "
			"choose a folder on a local disk with --library",
			db->library);
	if (!rc)
		rc = fail(db,
			sqlite3_exec(db->sql,
				"PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;"
				"PRAGMA cache_size = -16000; PRAGMA temp_store = MEMORY;",
				NULL, NULL, NULL),
			e);
	return rc;
}

static int open_file(struct db *db, int create, struct err *e)
{
	const int flags =
		SQLITE_OPEN_READWRITE | create | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW;
	int rc = fail(db, sqlite3_open_v2(db->path, &db->sql, flags, NULL), e);

	if (rc)
		return rc;
	db_patience(db, BUSY_MS); /* before journal_mode, which may have to wait */
	sqlite3_extended_result_codes(db->sql, 1);
	/* The schema stays trusted: our triggers write to an FTS5 table.  No function
	 * of ours, and none that reaches outside, is there for a hostile one to call. */
	sqlite3_db_config(db->sql, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	return 0;
}

/* Links on the way to the library are its owner's; SQLite follows none. */
static void name_file(struct db *db)
{
	char *real = realpath(db->library, NULL);
	const char *folder = real ? real : db->library;
	const size_t n = strlen(folder);

	db->path = xcalloc(n + 16, 1);
	memcpy(db->path, folder, n);
	memcpy(db->path + n, "/library.db", 12);
	free(real);
}

/* create: SQLITE_OPEN_CREATE or 0 */
static int open_library(const char *library, int create, struct db **ret, struct err *e)
{
	struct db *db = xcalloc(1, sizeof(*db));
	int64_t version = 0;
	mode_t mask;
	int rc;

	*ret = NULL;
	db->library = xstrdup(library);
	name_file(db);
	rc = create ? check_locks(db, e) : 0;
	if (!rc && create)
		rc = check_wal(db, e);
	mask = umask(077); /* 0600, its WAL, too */
	if (!rc)
		rc = open_file(db, create, e);
	if (!rc)
		rc = check_pair(db, e);
	if (!rc)
		rc = check_ours(db, &version, e);
	if (!rc)
		rc = set_up(db, e);
	umask(mask);
	if (!rc)
		rc = keep_old(db, version, e);
	if (!rc && version < DB_SCHEMA) /* else it waits for no writer */
		rc = migrate(db, e);
	if (rc) {
		db_close(db);
		return rc;
	}
	*ret = db;
	return 0;
}

int db_open(const char *library, struct db **ret, struct err *e)
{
	return open_library(library, SQLITE_OPEN_CREATE, ret, e);
}

int db_open_again(const char *library, struct db **ret, struct err *e)
{
	struct str path = {0};
	struct stat st;
	bool is_gone;

	str_printf(&path, "%s/library.db", library);
	is_gone = stat(path.s, &st) != 0;
	str_done(&path);
	*ret = NULL;
	return is_gone ? err_set(e, ERR_IO,
				 "the library '%s' was moved or removed; put it back and start "
				 "again",
				 library)
		       : open_library(library, 0, ret, e);
}

void db_close(struct db *db)
{
	if (!db)
		return;
	if (db->sql)
		db_rollback(db);
	for (size_t i = 0; i < db->n_kept; i++)
		sqlite3_finalize(db->kept[i].s);
	sqlite3_close_v2(db->sql);
	free(db->library);
	free(db->path);
	free(db);
}

const char *db_library(const struct db *db)
{
	return db->library;
}

bool db_is_lost(struct db *db)
{
	int has_moved = 0;

	return !sqlite3_file_control(db->sql, "main", SQLITE_FCNTL_HAS_MOVED, &has_moved) &&
	       has_moved;
}

int db_version(struct db *db, int64_t *ret, struct err *e)
{
	return pragma(db, "PRAGMA data_version", ret, e);
}

/* ---- backup and check --------------------------------------------------- */

static int copy_into(struct db *db, const char *path, struct err *e)
{
	sqlite3 *to = NULL;
	sqlite3_backup *b = NULL;
	int rc = sqlite3_open_v2(path, &to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL);

	if (!rc)
		b = sqlite3_backup_init(to, "main", db->sql, "main");
	if (!rc && !b)
		rc = sqlite3_errcode(to);
	if (b) {
		sqlite3_backup_step(b, -1);
		rc = sqlite3_backup_finish(b);
	}
	/* A copy is one file: no WAL that could be left behind. */
	if (!rc)
		rc = sqlite3_exec(to, "PRAGMA journal_mode = DELETE", NULL, NULL, NULL);
	sqlite3_close(to);
	if (!rc)
		return 0;
	if ((rc & 0xff) == SQLITE_FULL)
		return err_set(e, ERR_IO, "no room left for '%s'; free some space", path);
	return err_set(e, ERR_IO, "cannot write the backup '%s': %s", path, sqlite3_errstr(rc));
}

static int sync_file(const char *path, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), why = 0;

	if (fd < 0 || fsync(fd))
		why = errno;
	if (fd >= 0)
		close(fd);
	return why ? err_errno(e, why, "cannot write '%s'", path) : 0;
}

int db_backup(struct db *db, const char *path, struct err *e)
{
	struct str fresh = {0};
	struct stat st;
	mode_t mask;
	int rc, fd;

	if (!lstat(path, &st))
		return err_set(e, ERR_ARG, "'%s' exists; name a new file for the backup", path);
	str_printf(&fresh, "%s.XXXXXX", path);
	fd = mkostemp(fresh.s, O_CLOEXEC);
	if (fd < 0) {
		rc = err_errno(
			e, errno, "cannot write the backup '%s' (choose another place)", path);
		str_done(&fresh);
		return rc;
	}
	close(fd);
	mask = umask(077);
	rc = copy_into(db, fresh.s, e);
	umask(mask);
	if (!rc)
		rc = sync_file(fresh.s, e);
	if (!rc && rename_new(AT_FDCWD, fresh.s, path))
		rc = err_errno(e, errno, "cannot write the backup '%s'", path);
	unlink(fresh.s);
	str_done(&fresh);
	return rc;
}

int db_verify(struct db *db, struct err *e)
{
	struct query q = db_prepare(db, "PRAGMA integrity_check(1)");
	int rc = 0;

	if (query_next(&q) && strcmp(query_text(&q, 0), "ok"))
		rc = err_set(e, ERR_FORMAT,
			"'%s' is damaged (%s); put a backup in its place, or move it away and run "
			"woodshed doctor --repair, which makes a new one from the takes",
			db->path, query_text(&q, 0));
	if (rc) {
		query_done(&q, NULL);
		return rc;
	}
	rc = query_done(&q, e);
	q = db_prepare(db, "PRAGMA foreign_key_check");
	if (!rc && query_next(&q))
		rc = err_set(e, ERR_FORMAT,
			"'%s' is damaged: a row of %s belongs to nothing; put a backup in its "
			"place",
			db->path, query_text(&q, 0));
	if (rc) {
		query_done(&q, NULL);
		return rc;
	}
	return query_done(&q, e);
}

/* ---- settings ----------------------------------------------------------- */

int db_setting(struct db *db, const char *name, struct arena *a, const char **ret, struct err *e)
{
	struct query q = db_query(db, "SELECT value FROM settings WHERE name = ?1", "t", name);

	*ret = query_next(&q) ? query_dup(&q, 0, a) : NULL;
	return query_done(&q, e);
}

int db_set_setting(struct db *db, const char *name, const char *value, struct err *e)
{
	if (!value)
		return db_run(db, e, "DELETE FROM settings WHERE name = ?1", "t", name);
	return db_run(db, e,
		"INSERT INTO settings(name, value) VALUES (?1, ?2)"
		" ON CONFLICT(name) DO UPDATE SET value = excluded.value",
		"tt", name, value);
}
