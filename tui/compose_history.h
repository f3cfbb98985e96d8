/* compose_history.h: what was composed before: drafts that were put aside, then the
 * library's prompts, the newest first; and the file that keeps the drafts.
 *
 * Nothing that was typed is lost: a draft that makes room for another, or for one of
 * the past that is edited, is put aside unless it was queued or holds no prompt. */
#ifndef WOODSHED_TUI_COMPOSE_HISTORY_H
#define WOODSHED_TUI_COMPOSE_HISTORY_H

#include <stddef.h>
#include <stdint.h>

#include "library/base/str.h"
#include "tui/compose.h"

struct db;
struct draft_file;
struct err;

enum { COMPOSE_ASIDE_MAX = 20 };

struct compose_history {
	struct draft_file *file; /* owned; NULL: nothing is kept */
	int lock_fd;             /* says that the file is ours; 0 or less: nothing does */
	size_t n_found;          /* drafts that others left, when it was opened */
	struct {
		char **at; /* JSON of compose_write(), oldest first; owned */
		size_t n, cap;
	} aside;
	size_t steps;       /* back from the present: first through `aside` */
	int64_t prompt;     /* of the library, that is shown; 0: none */
	struct str present; /* while steps > 0 */
};

/* Reads what LIBRARY/drafts/compose keeps into *c; without such a file nothing
 * changes.  One that cannot be read is an error once, and put aside under another
 * name.  While another workstation has that file, this one keeps drafts of its own beside
 * it, and begins with the other's settings; who is alone later finds them put aside. */
int compose_history_open(
	struct compose_history *h, const char *library, struct compose *c, struct err *e);
void compose_history_close(struct compose_history *h);

/* What is typed changed: it is the present now, and kept. */
void compose_history_typed(struct compose_history *h, const struct compose *c);
/* Before another takes the place of *c. */
void compose_history_put_aside(struct compose_history *h, const struct compose *c);
/* One step back (1) or forth (-1) into *c; *ret: false at either end. */
int compose_history_step(struct compose_history *h, struct db *db, int by, struct compose *c,
	bool *ret, struct err *e);

#endif
