/* render_options.h: the command line of `render`. */
#ifndef WOODSHED_ENGINE_CLI_RENDER_OPTIONS_H
#define WOODSHED_ENGINE_CLI_RENDER_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "library/base/options.h"

struct err;
struct globals;

struct render_options {
	const char *prompt;
	const char *model;   /* name or folder; NULL: the only one installed */
	const char *seconds; /* as typed; NULL: the model's */
	uint64_t count;
	uint64_t seed;
	bool has_seed;
	double cfg; /* NAN: the model's */
	bool greedy;
	double temperature;
	uint64_t top_k;        /* 0: off */
	double top_p;          /* 0 or 1: off */
	const char *continued; /* file or NULL */
	/* of the diffusion engines */
	const char *negative, *sampler, *noise;
	uint64_t steps;

	const char *device, *precision;
	uint64_t threads; /* 0: all processors */
	const char *out;  /* NULL: into the library */
	const char *format;
	bool json;

	const char *foreign; /* first option given that is not MusicGen's, or NULL */
};

extern const struct option_spec render_option_specs[];

/* argv without program and verb.  Everything that can be told from the words
 * alone is checked; ERR_ARG in one sentence. */
int render_options_parse(
	struct render_options *r, struct globals *globals, int argc, char **argv, struct err *e);

#endif
