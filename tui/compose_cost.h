/* compose_cost.h: what queueing will cost, in words, before it is queued. */
#ifndef WOODSHED_TUI_COMPOSE_COST_H
#define WOODSHED_TUI_COMPOSE_COST_H

#include <stdbool.h>
#include <stdint.h>

#include "library/forecast.h"
#include "tui/compose.h"

struct compose_cost {
	struct compose_count n;
	const char *model;
	struct forecast take; /* of one; bytes 0: not known */
	struct forecast_ahead ahead;
	bool is_paused;      /* the queue */
	bool is_repeat;      /* it was queued just so, seed and all */
	uint64_t bytes_free; /* on the disk; UINT64_MAX: not known */
};

/* "F5 queues 4 takes, 9.0 s each to render, 6 MB, starts in ~1 min (3 jobs ahead)"; what
 * is not known is said to be so.  True when the disk has no room for it, or less than
 * COMPOSE_COST_LEFT after it, which is then said first.
 * In brief it fits the 78 cells of a line, and leaves out what the rest of the screen or
 * the queue says. */
bool compose_cost_tell(const struct compose_cost *c, bool is_brief, struct str *out);

enum { COMPOSE_COST_LEFT_MB = 1000 };

#endif
