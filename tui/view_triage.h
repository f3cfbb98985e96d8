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

/* What was judged of a take, and what that changed. */
struct triage_deed {
	enum triage_verdict verdict;
	bool is_written;     /* the rest is known */
	int64_t action, job; /* of the undo log, or queued; 0: none */
	bool has_heard;      /* nobody had heard it before */
};

struct triage {
	int64_t *takes;            /* owned */
	struct triage_deed *deeds; /* of each; owned */
	size_t n, at;
	bool is_finding;
	size_t judged[TRIAGE_VERDICTS]; /* how many are */

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
/* The take was judged so. */
void triage_judge(struct ws *ws, enum triage_verdict verdict);
/* That of a take, NULL: it is not among them; that of the take that was judged last, *ret,
 * NULL: none was. */
struct triage_deed *triage_deed(struct ws *ws, int64_t take);
const struct triage_deed *triage_last(const struct ws *ws, int64_t *ret);
/* The verdict was taken back: the take has its turn again. */
void triage_reopen(struct ws *ws, int64_t take);

#endif
