/* view_triage.h: going through the takes that nobody has heard, one key each.
 * Private to the workstation. */
#ifndef WOODSHED_TUI_VIEW_TRIAGE_H
#define WOODSHED_TUI_VIEW_TRIAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "library/base/str.h"
#include "tui/list.h"
#include "tui/paint.h"

struct ws;

enum triage_verdict { TRIAGE_OPEN, TRIAGE_KEPT, TRIAGE_DROPPED, TRIAGE_AGAIN, TRIAGE_VERDICTS };

/* What was judged of a take, and what that changed.  One may be judged again. */
struct triage_deed {
	int64_t take;
	enum triage_verdict verdict;
	bool is_written;     /* the rest is known */
	int64_t action, job; /* of the undo log, or queued; 0: none */
	bool has_heard;      /* nobody had heard it before */
	bool is_leaving;     /* it is being taken back */
};

struct triage {
	int64_t *takes; /* owned */
	size_t n, at;
	struct {
		struct triage_deed *at; /* the last one last; owned */
		size_t n, cap;
	} deeds;
	bool is_finding;
	size_t judged[TRIAGE_VERDICTS]; /* how many are, by the last deed of each */

	/* The one that has its turn. */
	struct str prompt, facts, path;
	double seconds, begin_s;
	bool is_begun; /* its liveliest part was found, and is played */
	struct {       /* where the liveliest parts are: of this one, of the next */
		int64_t take;
		double begin_s;
	} found[2];
	int n_found; /* counts on */

	struct rect pane; /* where the picture was painted */
	double drawn;
	struct list no_rows;
};

void triage_close(struct triage *t);
/* Looks for what nobody has heard, and begins with it. */
void triage_begin(struct ws *ws);
/* The next one has its turn, or the one before; after the last it ends. */
void triage_go(struct ws *ws, int by);
int64_t triage_take(const struct ws *ws); /* 0: none */
/* The screen is left for another one: what goes round for it is played on. */
void triage_leave(struct ws *ws);
/* The take that has its turn was judged so. */
void triage_judge(struct ws *ws, enum triage_verdict verdict);
/* The first of a take that is not written; the last of all that is not leaving.  NULL: none. */
struct triage_deed *triage_unwritten(struct ws *ws, int64_t take);
struct triage_deed *triage_last(struct ws *ws);
bool triage_is_leaving(const struct ws *ws); /* one of them */
/* The last of that take that was leaving did, and the take has its turn again; or it stays. */
void triage_left(struct ws *ws, int64_t take, bool stays);

#endif
