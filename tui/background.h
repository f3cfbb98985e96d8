/* background.h: a thread that does one thing after the other, so that the screen
 * waits for none of them: not for a database that another program is writing to, not
 * for a disk.
 *
 * A task is run on the thread, with a connection to the library of the thread's own,
 * and ended on the thread of the screen, in the order in which they were given. */
#ifndef WOODSHED_TUI_BACKGROUND_H
#define WOODSHED_TUI_BACKGROUND_H

#include <stdbool.h>

#include "library/base/err.h"

struct background;
struct db;
struct ws;

/* What is to be done: the first member of a struct that holds what it needs. */
struct task {
	int (*run)(struct db *db, struct task *t, struct err *e);
	/* What `run` gave; frees the task.  ERR_CANCELLED: it was not, or not wholly, done. */
	void (*end)(struct ws *ws, struct task *t, int rc, struct err *e);

	/* background.c's */
	struct task *next;
	int rc;
	struct err error;
};

/* wake_fd: an eventfd that counts what background_work() has to end; borrowed, as is
 * the library's folder (NULL: tasks get no database).  cache_kb: db_cache().  The thread is started
 * by the first task. */
struct background *background_open(const char *library, int cache_kb, int wake_fd);
/* Waits for what was given, and ends it with ws; NULL-safe. */
void background_close(struct background *b, struct ws *ws);

void background_do(struct background *b, struct task *t);
/* In place of all that was given and is not done: those are cancelled. */
void background_do_instead(struct background *b, struct task *t);

/* Ends what is done. */
void background_work(struct background *b, struct ws *ws);
/* The same, after waiting for all that was given, at most so long; false when that was
 * too short. */
bool background_settle(struct background *b, struct ws *ws, double seconds);
bool background_is_idle(struct background *b); /* nothing is left to run or to end */

#endif
