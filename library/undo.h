/* undo.h: what users do to takes, jobs, the queue and saved filters, written down so that
 * it can be taken back, and done again.
 *
 * An action is what one command changed; it is taken back as a whole, the last first (or
 * one alone), whatever it was of and whichever program did it.  A new one forgets those that were
 * taken back.  takes_edit(), jobs_*(), queue_*() and filters_*() are its writers. */
#ifndef WOODSHED_LIBRARY_UNDO_H
#define WOODSHED_LIBRARY_UNDO_H

#include <stdint.h>

struct arena;
struct db;
struct err;

/* What came of taking back, or of doing again. */
struct undone {
	const char *label; /* of the action: "cancelled job 4"; NULL: there was none */
	/* Its changes, and how many of these came too late: the job has begun, say. */
	int64_t n, n_late;
};

/* Takes back the last action; does the last one again that was taken back.  *ret points
 * into the arena. */
int undo_back(struct db *db, struct arena *a, struct undone *ret, struct err *e);
int undo_again(struct db *db, struct arena *a, struct undone *ret, struct err *e);

/* What is changed: one of these, the others 0. */
struct subject {
	int64_t take, job;
	const char *name; /* of a setting, or of a filter */
};

/* Takes back this action alone, whatever was done since.  It is one of that take or job:
 * numbers of actions that were forgotten come again. */
int undo_back_one(struct db *db, int64_t action, struct subject of, struct arena *a,
	struct undone *ret, struct err *e);
/* The action that added a job; 0: it is forgotten. */
int undo_adding(struct db *db, int64_t job, int64_t *ret_action, struct err *e);

/* ---- for its writers ---------------------------------------------------- */

/* An action that is being done, within a transaction. */
struct action {
	struct db *db;
	const char *label;
	int64_t id; /* 0: nothing was changed yet; undo.c's */
};

/* The field "state" of a job: all that cancelling it while it waits changes of it, and
 * queueing it again. */
#define JOB_STATE                                                                                  \
	"json_object('state', state, 'ended', ended, 'held', held, 'place', place, 'error',"       \
	" error, 'attempts', attempts, 'started', started, 'stage', stage, 'done', done,"          \
	" 'total', total, 'file', file, 'passed', passed, 'stopping', stopping)"

/* Makes a field of it `to` (NULL: nothing), and notes what it was; the fields are in
 * undo.c.  ERR_ARG where there is no such take or job. */
int undo_edit(
	struct action *act, struct subject s, const char *field, const char *to, struct err *e);
/* The same as an action of its own, and a transaction. */
int undo_edit_alone(struct db *db, const char *label, struct subject s, const char *field,
	const char *to, struct err *e);
/* Notes that the jobs of a batch were added.  Taken back, those that wait are cancelled. */
int undo_added(struct action *act, int64_t batch, struct err *e);

#endif
