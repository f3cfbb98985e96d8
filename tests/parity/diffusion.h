/* What parity tests of the engines share that make a take of noise, step by step: what is
 * seen of a render, and what must hold of each of them. */
#ifndef WOODSHED_TESTS_PARITY_DIFFUSION_H
#define WOODSHED_TESTS_PARITY_DIFFUSION_H

#include <jansson.h>
#include <stdbool.h>

#include "engine/engine.h"
#include "gpu/gpu.h"
#include "tests/parity/values.h"

struct err;

enum { SEEN_TAPS = 16, SEEN_NAME = 32 };

/* What a render showed on its way. */
struct seen {
	const json_t *run;
	struct {
		char name[SEEN_NAME]; /* as the reference calls it */
		struct values v;
	} taps[SEEN_TAPS];
	int n_taps;
	struct values audio;
	struct engine_latents kept;          /* owned */
	int n_previews, n_steps, n_decoding; /* the last two: times it was told */
	int cancel_at;                       /* steps after which to cancel; 0: never */
	int cancel_decoding;                 /* the same of what decoding tells */
};

/* One way to render: an engine, a run of EXPECTED, what it asks for, and the tap, whose ud
 * is the struct seen. */
struct render {
	const char *folder; /* of the engine */
	struct engine *en;
	const json_t *run;
	struct engine_request request;
	gpu_tap_fn *tap;
};

int seen_render(struct seen *s, const struct render *r, struct err *e);
/* The values of a tap; empty when it was not seen. */
struct values seen_tap(const struct seen *s, const char *name);
/* Takes v over. */
void seen_add(struct seen *s, const char *name, struct values v);
void seen_done(struct seen *s);

/* Samples, as the reference has them: channel by channel. */
struct values seen_samples(const struct seen *s, const struct render *r);

/* What close_to() allows for samples of this noise would show that the guidance is off by a
 * fiftieth of a percent. */
bool check_fault(struct render r, struct values samples, double noise);
/* What was kept of a render gives the same samples; damaged, it is refused. */
bool check_kept(struct render r);
/* Noise of the generator: a batch gives what its takes give alone, on any number of
 * threads; another seed gives something else. */
bool check_seeds(struct render r);
/* Previews change nothing: at each second step, but after the last. */
bool check_previews(struct render r);
/* A cancelled render ends within a step. */
bool check_cancel(struct render r);
/* Decoding tells at `least` places or more how far it is, and goes no further than to the next
 * when it is cancelled at one; some of them are tried. */
bool check_cancel_decoding(struct render r, int least);

#endif
