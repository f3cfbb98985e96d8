/* eta.h: when jobs will be done, from how they go on and from what earlier ones took.
 * Pure: times are the caller's. */
#ifndef WOODSHED_TUI_ETA_H
#define WOODSHED_TUI_ETA_H

#include <stdint.h>

enum { ETA_MAX = 16 }; /* jobs at work that are watched; others have no rate */

struct eta_watch {
	int64_t job;
	char stage[16];
	double began, seen; /* seconds: when this stage was seen first, and its progress last */
	uint64_t done0, done, total;
};

/* Zero-initialised knows nothing. */
struct eta {
	struct eta_watch at[ETA_MAX];
};

/* How far a job is now; to be told whenever it is read. */
void eta_see(
	struct eta *e, int64_t job, const char *stage, uint64_t done, uint64_t total, double now);

/* Steps a second of the stage it is in; 0: too early to say. */
double eta_rate(const struct eta *e, int64_t job);

/* What is left of a job at work.  elapsed_s: since it was taken; load_s, wall_s: what
 * loading its model and its whole batch usually take, NaN: not known.  NaN: not known.
 *
 * While it renders, the steps that are left at the rate that was seen, and what the
 * usual time holds beyond the rendering; before, the usual time. */
double eta_left(const struct eta *e, int64_t job, double elapsed_s, double load_s, double wall_s,
	double now);

#endif
