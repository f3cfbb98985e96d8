/* render_options.h: the command line of `render`. */
#ifndef WOODSHED_ENGINE_CLI_RENDER_OPTIONS_H
#define WOODSHED_ENGINE_CLI_RENDER_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "library/base/options.h"

struct arena;
struct err;
struct globals;

struct render_options {
	const char *prompt;
	const char *model;   /* name or folder; NULL: the default */
	const char *seconds; /* as typed; NULL: length_s, or the model's */
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
	double sigma_min, sigma_max; /* 0: the model's */
	const char *init;            /* file or NULL */
	double strength;             /* 0: the default */
	const char *redo;            /* "A-B", seconds of init; or NULL */
	double redo_from, redo_to;   /* the same */
	uint64_t preview;            /* steps; 0: none */

	bool rank; /* of AudioLDM 2 */

	const char *device, *precision;
	uint64_t threads; /* 0: all processors */
	bool no_graphs;
	const char *out; /* NULL: into the library */
	const char *format;
	bool json;

	/* first options given that only the diffusion engines, of these only Stable Audio, and
	 * only MusicGen have; or NULL */
	const char *diffusion_only, *stable_audio_only, *tokens_only;

	/* --recipe FILE, which gives whatever no option gives */
	const char *recipe;
	double length_s;                   /* 0: not told */
	uint64_t frames;                   /* the same in codec frames of the recipe's model */
	const char *recipe_engine;         /* NULL: not told */
	bool recipe_sampler, recipe_noise; /* no option gives them */
	bool continued_lost, init_lost, noise_lost; /* it names a file that is not found */
	/* what it means; NULL: any */
	const char *model_hash, *weights_sha256, *continued_sha256, *init_sha256, *noise_sha256;
};

extern const struct option_spec render_option_specs[];

/* argv without program and verb.  Everything that can be told from the words
 * (and from the recipe that they name) alone is checked, in one sentence;
 * ERR_ARG for the words.  Strings are borrowed from argv and the arena. */
int render_options_parse(struct render_options *r, struct globals *globals, int argc, char **argv,
	struct arena *a, struct err *e);

/* What is left of that once the options are parsed: r->prompt is set by the caller,
 * NULL to take the recipe's. */
int render_options_finish(
	struct render_options *r, const struct option_group *given, struct arena *a, struct err *e);
/* Valid UTF-8, and so short that a recipe holds both.  negative may be NULL.  ERR_ARG. */
int render_options_check_prompt(const char *prompt, const char *negative, struct err *e);

/* Draws the seed of the first take unless one was given: below 2^53, so that every
 * reader of JSON keeps it exactly. */
int render_options_draw_seed(struct render_options *r, struct err *e);

/* "A-B" of --redo into redo_from and redo_to; ERR_ARG in words. */
int render_options_parse_redo(struct render_options *r, struct err *e);

/* All defaults. */
void render_options_init(struct render_options *r);

/* Drops what the engine of that name has no use for, once no option given is such: a recipe
 * of another engine, or a job of one, brings it.  Of another's recipe the sampler and the
 * noise go, too.  ERR_IO when a file that the recipe names and that is needed is not found. */
int render_options_fit(struct render_options *r, const char *engine, struct err *e);

/* Reads the recipe in r->recipe into whatever was not given. */
int render_options_recipe(
	struct render_options *r, const struct option_group *given, struct arena *a, struct err *e);

#endif
