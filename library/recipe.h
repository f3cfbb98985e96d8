/* recipe.h: what a file was made from, and the one place that knows its fields.
 *
 * A recipe is one flat JSON object of at most AUDIO_RECIPE_MAX bytes, which
 * every rendered file carries (library/audio.h).  Nothing in it depends on when
 * or how fast the file was made, so that the same request gives the same file.
 * A reader ignores fields that it does not know; a field is never renamed. */
#ifndef WOODSHED_LIBRARY_RECIPE_H
#define WOODSHED_LIBRARY_RECIPE_H

#include <stdbool.h>
#include <stdint.h>

struct arena;
struct err;
struct str;

/* Strings are borrowed (from the arena, when parsed); NULL: not told. */
struct recipe {
	const char *program, *version; /* that made the file */
	const char *engine;
	const char *model;                       /* its name, never a path */
	const char *model_hash, *weights_sha256; /* as in engine_info */
	const char *prompt;                      /* never NULL when parsed */
	const char *negative;
	uint64_t seed;
	double seconds;             /* 0: not told, but then `frames` is */
	uint64_t frames;            /* codec frames; 0: not told */
	uint64_t rate_hz, channels; /* 0: not told */
	double guidance;            /* NAN: not told */
	uint64_t steps;             /* 0: not told, as by engines that take none */
	const char *sampler;
	double sigma_min, sigma_max; /* NAN: not told, the model's */
	const char *init;            /* name of the audio to begin with, never a path */
	const char *init_sha256;     /* of its samples, at the model's rate and channels */
	double strength;             /* of the noise on it; NAN: not told */
	const char *redo;            /* "A-B": the seconds of it that were made anew */
	const char *noise;           /* name of the file with the random draws, never a path */
	const char *noise_sha256;    /* of the draws */
	bool greedy;
	double temperature, top_p; /* of sampling: 1, 250 and 0 when not told */
	uint64_t top_k;
	const char *continued;        /* name of the audio that was continued, never a path */
	const char *continued_sha256; /* of its samples, at the model's rate and channels */
	const char *precision;        /* "f32", "bf16", "int8": what was really used */
	const char *device;           /* class of device: "cpu", "cuda" */
	const char *gpu;              /* its name: bits depend on it; NULL: not told, or none */
	uint64_t batch;               /* takes that it made at once; 0: not told, or one */
	const char *exported; /* what an export did to the samples; NULL: they are the model's */
};

/* Reads the text of a recipe, which may be hostile: every field that is there
 * has its type and lies within the bounds that render has, names hold no '/'.
 * ERR_FORMAT in one sentence that names the field. */
int recipe_parse(const char *text, struct arena *a, struct recipe *ret, struct err *e);

/* The recipe in a WAV or FLAC file, or in a file that holds nothing but the
 * JSON (what `woodshed recipe` prints).  *ret_text, unless that is NULL, gets
 * the text as it is stored. */
int recipe_read(const char *path, struct arena *a, struct recipe *ret, const char **ret_text,
	struct err *e);

/* The JSON, as recipe_parse() reads it.  What is not told is left out. */
void recipe_json(const struct recipe *r, struct str *out);

/* The options of a job that asks for the same once more (queue.h): all but where it
 * ran.  ERR_UNSUPPORTED for what was made of a file of which only the name is known. */
int recipe_options(const struct recipe *r, struct str *out, struct err *e);

/* One line for players that show a comment; at most AUDIO_COMMENT_MAX bytes. */
void recipe_comment(const struct recipe *r, struct str *out);

#endif
