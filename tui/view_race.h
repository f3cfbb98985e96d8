/* view_race.h: one prompt, made by several models with the same length and seed, side
 * by side.  Private to the workstation. */
#ifndef WOODSHED_TUI_VIEW_RACE_H
#define WOODSHED_TUI_VIEW_RACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "library/base/arena.h"
#include "library/queue.h"
#include "library/takes.h"
#include "tui/list.h"

struct ws;

/* A lane: what is to be made, or was. */
struct racer {
	struct job job;
	struct take take;  /* .id 0: not made yet, or gone */
	double cut;        /* to be as loud as the others */
	const char *lacks; /* what others were told, and it was not; "": nothing */
};

struct race {
	int64_t batch; /* of its jobs; 0: the newest that is a race */
	struct list list;
	struct arena page; /* of what follows */
	struct racer *lanes;
	size_t n;
	const char *settings; /* "cfg 5  steps 20" */
	bool is_stale;
};

void race_close(struct race *r);
/* Shows another one. */
void race_show(struct ws *ws, int64_t batch);
/* Plays the i-th, where the one before it was. */
void race_play(struct ws *ws, int64_t i);

#endif
