/* forecast.h: how long a render will take and how large its files will be, from
 * what earlier ones took on this machine. */
#ifndef WOODSHED_LIBRARY_FORECAST_H
#define WOODSHED_LIBRARY_FORECAST_H

#include <stddef.h>
#include <stdint.h>

struct db;
struct err;

/* One render: `takes` of `seconds` each in one batch. */
struct measure {
	const char *model, *device, *precision;
	double seconds;
	int64_t steps; /* of a diffusion engine; 0: not told */
	int64_t takes;
	double load_s; /* 0: the model was loaded */
	double wall_s; /* without the load */
	uint64_t bytes;
};

int forecast_measured(struct db *db, const struct measure *m, int64_t now_ms, struct err *e);

struct forecast {
	double seconds; /* of a take; 0: not known */
	double load_s;  /* once, if the model is not loaded; NaN: not known yet */
	double wall_s;  /* for each take; NaN: not known yet */
	uint64_t bytes; /* for each take; 0: not known yet */
	int64_t n_seen; /* renders it is drawn from */
};

/* The last renders of that model on that device (NULL: on the one it was last rendered on),
 * most alike in length first; seconds 0: as long as the last one.  A model never rendered gives NaN
 * and 0, not an error.
 */
int forecast_take(struct db *db, const char *model, const char *device, double seconds,
	struct forecast *ret, struct err *e);

/* What is before a job that is queued now; loads not counted. */
struct forecast_ahead {
	int64_t jobs;  /* that wait or are at work; not those on hold */
	double wall_s; /* what is left of them; NaN: some model never rendered */
};

int forecast_ahead(struct db *db, struct forecast_ahead *ret, struct err *e);
/* What waits behind the first n jobs that wait. */
int forecast_behind(struct db *db, size_t n, struct forecast_ahead *ret, struct err *e);

#endif
