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

struct triage {
	int64_t *takes; /* owned */
	size_t n, at;
	bool is_finding;
	size_t n_kept, n_dropped, n_again;

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

#endif
