/* progress.h: how far a render is, on a terminal or as JSON lines. */
#ifndef WOODSHED_ENGINE_CLI_PROGRESS_H
#define WOODSHED_ENGINE_CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/engine.h"

struct str;

enum progress_kind {
	PROGRESS_NONE,
	PROGRESS_LINE,  /* a bar on stderr, drawn over itself, at most 10 times a second */
	PROGRESS_PLAIN, /* a line on stderr when a stage begins */
	PROGRESS_JSON,  /* objects on stdout, at most 4 a second and the last of a stage */
};

enum { PROGRESS_STAGES = ENGINE_STAGE_DECODE + 1 };

struct progress {
	enum progress_kind kind;
	bool color, utf8;
	/* Takes before those of this batch, of it, and in all; 0: it is the only one. */
	uint64_t n_before, n_batch, n_takes;
	/* private */
	struct {
		bool begun, told_last;
		double began;         /* clock_now() */
		uint64_t done0;       /* when it began */
		uint64_t done, total; /* over all batches */
		double per_take;      /* of total, as the first batch has it; 0: not known yet */
	} stage[PROGRESS_STAGES];
	enum engine_stage current;
	double shown; /* clock_now() of the last line */
};

/* Zero-initialised, with its public fields set, it is ready. */
void progress_update(struct progress *p, enum engine_stage stage, uint64_t done, uint64_t total);
/* Takes the line off the terminal (it comes back with the next update). */
void progress_clear(struct progress *p);

/* What a line says. */
struct progress_view {
	const char *stage;
	uint64_t done, total; /* total 0: unknown */
	double per_s;         /* steps a second; 0: not shown */
	double left_s;        /* NAN: unknown */
};
/* At most `width` columns, without controls but colour. */
void progress_format(
	struct str *out, const struct progress_view *v, int width, bool color, bool utf8);

#endif
