/* The database: opening what is there, refusing what is not ours. */
#include "tests/unit/scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sqlite3.h>

#include "library/base/arena.h"
#include "library/base/err.h"
#include "library/db.h"
#include "library/schema.h"
#include "library/takes.h"
#include "library/undo.h"

/* The linker puts this in the place of the program's fcntl() (meson.build), not of
 * SQLite's: a file system without locks, as some mounted from a network are. */
static bool has_no_locks;
int __real_fcntl64(int fd, int command, ...);
int __wrap_fcntl64(int fd, int command, ...);

int __wrap_fcntl64(int fd, int command, ...)
{
	va_list ap;
	void *value;

	va_start(ap, command);
	value = va_arg(ap, void *);
	va_end(ap);
	if (has_no_locks && command == F_SETLK) {
		errno = ENOLCK;
		return -1;
	}
	return __real_fcntl64(fd, command, value);
}

/* The same of what gives a file its name: FAT has no links, others not the flag; or another
 * program takes the name first. */
static bool has_no_links, has_no_flag, is_taken;
int __real_linkat(int dir, const char *from, int to_dir, const char *to, int flags);
int __wrap_linkat(int dir, const char *from, int to_dir, const char *to, int flags);
int __real_renameat2(int dir, const char *from, int to_dir, const char *to, unsigned flags);
int __wrap_renameat2(int dir, const char *from, int to_dir, const char *to, unsigned flags);

int __wrap_linkat(int dir, const char *from, int to_dir, const char *to, int flags)
{
	errno = EPERM;
	return has_no_links ? -1 : __real_linkat(dir, from, to_dir, to, flags);
}

int __wrap_renameat2(int dir, const char *from, int to_dir, const char *to, unsigned flags)
{
	if (is_taken)
		scratch_write(to, "theirs", 6);
	errno = EINVAL;
	return has_no_flag ? -1 : __real_renameat2(dir, from, to_dir, to, flags);
}

static int64_t count(struct db *db, const char *sql)
{
	struct query q = db_prepare(db, sql);
	int64_t n = query_next(&q) ? query_int(&q, 0) : -1;

	assert_int_equal(query_done(&q, NULL), 0);
	return n;
}

static void raw(void **state, const char *sql)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(scratch_path(state, "library.db"), &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

static void a_new_one(void **state)
{
	struct db *db = scratch_library(state), *again = scratch_library(state);
	struct stat st;
	struct err e = {0};

	assert_int_equal(stat(scratch_path(state, "library.db"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(stat(scratch_path(state, "library.db-wal"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(count(db, "PRAGMA user_version"), DB_SCHEMA);
	assert_int_equal(count(db, "PRAGMA foreign_keys"), 1);
	assert_int_equal(count(db, "PRAGMA synchronous"), 2);
	assert_int_equal(db_verify(db, &e), 0);
	db_close(again);
	db_close(db);
}

static void refuses(void **state, int code, const char *words)
{
	struct err e = {0};
	struct db *db;
	size_t n, n_after;
	unsigned char *before = scratch_read(scratch_path(state, "library.db"), &n), *after;

	assert_int_equal(db_open(*state, &db, &e), code);
	assert_error(e, code, words);
	assert_null(db);
	after = scratch_read(scratch_path(state, "library.db"), &n_after);
	assert_int_equal(n, n_after);
	assert_memory_equal(before, after, n);
	free(before);
	free(after);
}

static void one_from_the_future(void **state)
{
	db_close(scratch_library(state));
	raw(state, "PRAGMA user_version = 99");
	refuses(state, ERR_UNSUPPORTED, "newer woodshed");
}

static void one_without_locks(void **state)
{
	struct err e = {0};
	struct db *db;

	has_no_locks = true;
	assert_int_equal(db_open(*state, &db, &e), ERR_IO);
	has_no_locks = false;
	assert_error(e, ERR_IO, "has no locks");
	assert_int_equal(scratch_count(*state), 0); /* nothing was made */
	db_close(scratch_library(state));
}

/* As the first version left it, with a prompt, a job and a take. */
static void make_first(void **state)
{
	raw(state, schema_steps[0]);
	raw(state, "PRAGMA user_version = 1; PRAGMA application_id = 0x77736864;"
		   "INSERT INTO prompts(id, text, created) VALUES (1, 'slow piano', 5);"
		   "INSERT INTO models(id, name, hash) VALUES (1, 'm', 'h');"
		   "INSERT INTO takes(id, prompt, model, created, seed, frames, rate, channels)"
		   " VALUES (7, 1, 1, 6, -3, 32000, 32000, 1);"
		   "INSERT INTO files(take, name, recipe) VALUES (7, 'takes/7.wav', '{}');"
		   "INSERT INTO tags(take, tag) VALUES (7, 'rain');"
		   "INSERT INTO jobs(batch, prompt, model, seed, place, created)"
		   " VALUES (1, 1, 'm', 9, 1, 5);"
		   "INSERT INTO settings(name, value) VALUES ('paused', '1')");
}

static void one_from_the_past(void **state)
{
	struct err e = {0};
	struct db *db;
	struct stat st;

	make_first(state);
	db = scratch_library(state);
	assert_int_equal(count(db, "PRAGMA user_version"), DB_SCHEMA);
	assert_int_equal(db_verify(db, &e), 0);
	assert_int_equal(count(db, "SELECT seed FROM takes WHERE id = 7"), -3);
	assert_int_equal(count(db, "SELECT rowid FROM words WHERE words MATCH 'rain'"), 7);
	assert_int_equal(count(db, "SELECT seed FROM jobs WHERE state = 'queued'"), 9);
	assert_int_equal(count(db, "SELECT count(*) FROM settings"), 1);
	assert_int_equal(count(db, "SELECT count(*) FROM parameters"), 0);
	db_close(db);
	/* what it was is kept */
	assert_int_equal(stat(scratch_path(state, "library.db.v1"), &st), 0);
	db_close(scratch_library(state));
}

/* Two programs start together: the other has kept the old one by the time this one would. */
static void one_that_another_keeps(void **state)
{
	struct db *db;

	make_first(state);
	is_taken = true;
	db = scratch_library(state);
	is_taken = false;
	assert_int_equal(count(db, "PRAGMA user_version"), DB_SCHEMA);
	db_close(db);
	assert_int_equal(scratch_count(*state), 2);
}

/* As the second left it: one take that was judged, one that nobody may have heard. */
static void one_of_the_second_version(void **state)
{
	struct err e = {0};
	struct db *db;
	struct stat st;

	make_first(state);
	raw(state, schema_steps[1]);
	raw(state, "PRAGMA user_version = 2;"
		   "INSERT INTO takes(id, prompt, model, created, seed, frames, rate, channels,"
		   " rating) VALUES (8, 1, 1, 7, 4, 32000, 32000, 1, 3);"
		   "INSERT INTO files(take, name, recipe) VALUES (8, 'takes/8.wav', '{}')");
	db = scratch_library(state);
	assert_int_equal(count(db, "PRAGMA user_version"), DB_SCHEMA);
	assert_int_equal(db_verify(db, &e), 0);
	assert_int_equal(count(db, "SELECT heard FROM takes WHERE id = 7"), 0);
	assert_int_equal(count(db, "SELECT heard FROM takes WHERE id = 8"), 1);
	assert_int_equal(takes_hear(db, 7, true, NULL, &e), 0);
	assert_int_equal(count(db, "SELECT count(*) FROM takes WHERE heard"), 2);
	db_close(db);
	assert_int_equal(stat(scratch_path(state, "library.db.v2"), &st), 0);
}

/* As the third left it, with a change of a take that can be taken back. */
static void one_of_the_third_version(void **state)
{
	struct undone done;
	struct arena a = {0};
	struct err e = {0};
	struct db *db;
	struct stat st;

	make_first(state);
	raw(state, schema_steps[1]);
	raw(state, schema_steps[2]);
	raw(state, "PRAGMA user_version = 3; UPDATE takes SET rating = 4 WHERE id = 7;"
		   "INSERT INTO undo(action, label, take, field, old, new, created)"
		   " VALUES (3, 'rated 4', 7, 'rating', '0', '4', 6)");
	db = scratch_library(state);
	assert_int_equal(count(db, "PRAGMA user_version"), DB_SCHEMA);
	assert_int_equal(db_verify(db, &e), 0);
	assert_int_equal(undo_back(db, &a, &done, &e), 0);
	assert_string_equal(done.label, "rated 4");
	assert_int_equal(count(db, "SELECT rating FROM takes WHERE id = 7"), 0);
	arena_done(&a);
	db_close(db);
	assert_int_equal(stat(scratch_path(state, "library.db.v3"), &st), 0);
}

/* As the fourth left it. */
static void one_of_the_fourth_version(void **state)
{
	struct err e = {0};
	struct db *db;
	struct stat st;

	make_first(state);
	for (int i = 1; i < 4; i++)
		raw(state, schema_steps[i]);
	raw(state, "PRAGMA user_version = 4");
	db = scratch_library(state);
	assert_int_equal(count(db, "PRAGMA user_version"), DB_SCHEMA);
	assert_int_equal(db_verify(db, &e), 0);
	assert_int_equal(count(db, "SELECT seed FROM jobs WHERE state = 'queued'"), 9);
	db_close(db);
	assert_int_equal(stat(scratch_path(state, "library.db.v4"), &st), 0);
}

/* Who only opens it does not wait for one that writes. */
static void one_that_is_being_written(void **state)
{
	struct db *writer = scratch_library(state), *db = NULL;
	struct err e = {0};

	assert_int_equal(db_begin(writer, &e), 0);
	assert_int_equal(db_open(*state, &db, &e), 0); /* ERR_BUSY after half a minute */
	db_close(db);
	db_rollback(writer);
	db_close(writer);
}

static void one_of_another_program(void **state)
{
	raw(state, "CREATE TABLE bookmarks(url)");
	refuses(state, ERR_UNSUPPORTED, "another program's database");
}

static void one_that_is_none(void **state)
{
	char text[4096];

	memset(text, 'x', sizeof(text));
	scratch_write(scratch_path(state, "library.db"), text, sizeof(text));
	refuses(state, ERR_FORMAT, "is damaged");
}

static void what_cannot_be_opened(void **state)
{
	struct err e = {0};
	struct db *db;

	assert_int_equal(db_open(scratch_path(state, "none"), &db, &e), ERR_IO);
	assert_error(e, ERR_IO, "--library");
	err_clear(&e);
	assert_int_equal(mkdir(scratch_path(state, "library.db"), 0700), 0);
	assert_int_equal(db_open(*state, &db, &e), ERR_IO);
	assert_error(e, ERR_IO, "cannot be opened");
}

/* What was committed last may be in the WAL alone. */
static void a_wal_waits_for_its_database(void **state)
{
	struct db *db = scratch_library(state), *other;
	struct err e = {0};

	assert_int_equal(db_set_setting(db, "a", "1", &e), 0);
	rename(scratch_path(state, "library.db"), scratch_path(state, "elsewhere"));
	db_close(db);
	assert_int_equal(db_open(*state, &other, &e), ERR_IO);
	assert_error(e, ERR_IO, "put it back");
	assert_null(other);
	rename(scratch_path(state, "elsewhere"), scratch_path(state, "library.db"));
	db = scratch_library(state);
	assert_int_equal(count(db, "SELECT value FROM settings"), 1);
	db_close(db);
}

/* Somebody writes and is killed: the WAL stays. */
static void killed_while_writing(void **state, const char *value)
{
	int status;
	const pid_t pid = fork();

	if (!pid) {
		struct err e = {0};
		struct db *db = scratch_library(state);

		_exit(db_set_setting(db, "a", value, &e) != 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void a_backup_beside_another_wal(void **state)
{
	struct db *db = scratch_library(state);
	struct err e = {0};

	assert_int_equal(db_set_setting(db, "a", "early", &e), 0);
	assert_int_equal(db_backup(db, scratch_path(state, "copy.db"), &e), 0);
	db_close(db);
	killed_while_writing(state, "late");
	db = scratch_library(state); /* its own WAL is no matter */
	assert_int_equal(count(db, "SELECT value = 'late' FROM settings"), 1);
	db_close(db);
	killed_while_writing(state, "latest");
	rename(scratch_path(state, "copy.db"), scratch_path(state, "library.db"));
	refuses(state, ERR_IO, "beside the '-wal' of another");
	assert_int_equal(unlink(scratch_path(state, "library.db-wal")), 0);
	assert_int_equal(unlink(scratch_path(state, "library.db-shm")), 0);
	db = scratch_library(state);
	assert_int_equal(count(db, "SELECT value = 'early' FROM settings"), 1);
	db_close(db);
}

static void a_library_behind_a_link(void **state)
{
	const char *link = scratch_path(state, "link");
	struct err e = {0};
	struct stat st;
	struct db *db;

	assert_int_equal(mkdir(scratch_path(state, "disk"), 0700), 0);
	assert_int_equal(symlink("disk", link), 0);
	assert_int_equal(db_open(link, &db, &e), 0);
	assert_string_equal(db_library(db), link);
	assert_int_equal(stat(scratch_path(state, "disk/library.db"), &st), 0);
	db_close(db);
	assert_int_equal(db_open_again(link, &db, &e), 0);
	db_close(db);
}

static void a_link_is_not_followed(void **state)
{
	struct err e = {0};
	struct db *db;

	assert_int_equal(symlink("/dev/null", scratch_path(state, "library.db")), 0);
	assert_int_not_equal(db_open(*state, &db, &e), 0);
}

static void changes_are_whole(void **state)
{
	struct db *db = scratch_library(state);
	struct err e = {0};

	assert_int_equal(db_begin(db, &e), 0);
	assert_int_equal(db_set_setting(db, "a", "1", &e), 0);
	db_rollback(db);
	assert_int_equal(count(db, "SELECT count(*) FROM settings"), 0);
	assert_int_equal(db_begin(db, &e), 0);
	assert_int_equal(db_set_setting(db, "a", "1", &e), 0);
	assert_int_equal(db_set_setting(db, "a", "2", &e), 0);
	assert_int_equal(db_commit(db, &e), 0);
	assert_int_equal(count(db, "SELECT value FROM settings"), 2);
	assert_int_equal(db_set_setting(db, "a", NULL, &e), 0);
	assert_int_equal(count(db, "SELECT count(*) FROM settings"), 0);
	db_close(db);
}

/* The same statement twice at once, as in a loop that calls itself. */
static void one_statement_used_twice(void **state)
{
	static const char sql[] = "WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n"
				  " WHERE i < 3) SELECT i FROM n";
	struct db *db = scratch_library(state);
	struct query a = db_query(db, sql, ""), b;
	int seen = 0;

	while (query_next(&a)) {
		b = db_query(db, sql, "");
		while (query_next(&b))
			seen++;
		assert_int_equal(query_done(&b, NULL), 0);
	}
	assert_int_equal(query_done(&a, NULL), 0);
	assert_int_equal(seen, 9);
	db_close(db);
}

static void wrong_sql_is_told_and_does_no_harm(void **state)
{
	struct db *db = scratch_library(state);
	struct err e = {0};
	struct query q = db_query(db, "SELECT one_thing, FROM nothing", "");

	assert_false(query_next(&q));
	assert_int_equal(query_done(&q, &e), ERR_BUG);
	assert_error(e, ERR_BUG, "refused");
	db_close(db);
}

static void backups(void **state)
{
	struct db *db = scratch_library(state);
	const char *path = scratch_path(state, "copy.db");
	struct err e = {0};
	sqlite3 *copy;

	assert_int_equal(db_set_setting(db, "a", "kept", &e), 0);
	assert_int_equal(db_backup(db, path, &e), 0);
	assert_int_equal(db_backup(db, path, &e), ERR_ARG);
	assert_error(e, ERR_ARG, "exists");
	err_clear(&e);
	assert_int_equal(db_backup(db, scratch_path(state, "none/copy.db"), &e), ERR_IO);
	db_close(db);
	assert_int_equal(sqlite3_open_v2(path, &copy, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_exec(copy, "SELECT value FROM settings WHERE value = 'kept'", NULL,
				 NULL, NULL),
		SQLITE_OK);
	sqlite3_close(copy);
	/* Nothing but the library, the copy, and what SQLite keeps. */
	assert_true(scratch_count(*state) <= 2);
}

static void backups_on_every_file_system(void **state)
{
	struct db *db = scratch_library(state);
	const char *path = scratch_path(state, "copy.db");
	struct err e = {0};

	has_no_flag = true;
	assert_int_equal(db_backup(db, path, &e), 0);
	has_no_flag = false;
	assert_int_equal(unlink(path), 0);
	has_no_links = true;
	assert_int_equal(db_backup(db, path, &e), 0);
	has_no_links = false;
	db_close(db);
	assert_int_equal(scratch_count(*state), 2);
}

static void damage_is_found(void **state)
{
	struct db *db = scratch_library(state);
	struct err e = {0};

	for (int i = 0; i < 500; i++) {
		char name[32];

		snprintf(name, sizeof(name), "setting %d", i);
		assert_int_equal(
			db_set_setting(db, name, "a value of some length to fill pages", &e), 0);
	}
	db_close(db);
	FILE *f = fopen(scratch_path(state, "library.db"), "r+b");
	fseek(f, -3000, SEEK_END);
	for (int i = 0; i < 600; i++)
		fputc(0x5a, f);
	fclose(f);
	if (db_open(*state, &db, &e)) {
		assert_error(e, ERR_FORMAT, "is damaged");
		return;
	}
	assert_int_equal(db_verify(db, &e), ERR_FORMAT);
	assert_error(e, ERR_FORMAT, "is damaged");
	db_close(db);
}

/* Somebody who has begun to write, before there is a WAL, is waited for. */
static void one_that_is_begun(void **state)
{
	int ready[2], status;
	char byte;

	assert_int_equal(pipe(ready), 0);
	const pid_t other = fork();
	if (!other) {
		sqlite3 *sql;
		int rc = sqlite3_open(scratch_path(state, "library.db"), &sql);
		if (!rc)
			rc = sqlite3_exec(sql, "BEGIN IMMEDIATE", NULL, NULL, NULL);
		if (write(ready[1], "x", 1) == 1)
			usleep(200000);
		sqlite3_exec(sql, "COMMIT", NULL, NULL, NULL);
		sqlite3_close(sql);
		_exit(rc != 0);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	struct db *db = scratch_library(state);
	db_close(db);
	assert_int_equal(waitpid(other, &status, 0), other);
	assert_int_equal(status, 0);
	close(ready[0]);
	close(ready[1]);
}

/* Many at once: one makes the tables, the others find them. */
static void first_start_of_many(void **state)
{
	pid_t pids[8];

	for (int i = 0; i < 8; i++) {
		pids[i] = fork();
		if (!pids[i]) {
			struct err e = {0};
			struct db *db;
			int rc = db_open(*state, &db, &e);

			for (int k = 0; k < 20 && !rc; k++) {
				rc = db_begin(db, &e);
				if (!rc)
					rc = db_run(db, &e,
						"INSERT INTO settings VALUES ('n', '1') ON "
						"CONFLICT DO UPDATE"
						" SET value = value + 1",
						"");
				if (!rc)
					rc = db_commit(db, &e);
			}
			if (rc)
				fprintf(stderr, "# %s\n", e.text);
			_exit(rc != 0);
		}
	}
	for (int i = 0; i < 8; i++) {
		int status;

		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
	struct db *db = scratch_library(state);
	assert_int_equal(count(db, "SELECT value FROM settings"), 160);
	db_close(db);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, scratch_open, scratch_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_new_one),
		TEST(one_without_locks),
		TEST(one_from_the_past),
		TEST(one_that_another_keeps),
		TEST(one_of_the_second_version),
		TEST(one_of_the_third_version),
		TEST(one_of_the_fourth_version),
		TEST(one_that_is_being_written),
		TEST(one_from_the_future),
		TEST(one_of_another_program),
		TEST(one_that_is_none),
		TEST(what_cannot_be_opened),
		TEST(a_wal_waits_for_its_database),
		TEST(a_backup_beside_another_wal),
		TEST(a_library_behind_a_link),
		TEST(a_link_is_not_followed),
		TEST(changes_are_whole),
		TEST(one_statement_used_twice),
		TEST(wrong_sql_is_told_and_does_no_harm),
		TEST(backups),
		TEST(backups_on_every_file_system),
		TEST(damage_is_found),
		TEST(one_that_is_begun),
		TEST(first_start_of_many),
	};
	return RUN_TAP(tests);
}
