/* output.h: the files that a render writes, and what they say of themselves. */
#ifndef WOODSHED_ENGINE_CLI_OUTPUT_H
#define WOODSHED_ENGINE_CLI_OUTPUT_H

#include <stddef.h>
#include <stdint.h>

#include "library/audio.h"

struct arena;
struct err;
struct engine_info;
struct render_options;
struct str;

/* FILE.wav, or FILE-3.wav for the third (i = 2) of several. */
const char *output_name(const char *file, uint64_t i, uint64_t count, struct arena *a);

/* Whether `path` can be written and its disk has room for n_bytes, told
 * before any work is done. */
int output_check(const char *path, uint64_t n_bytes, struct err *e);

enum audio_format output_format(const char *name);
uint64_t output_sample_bytes(enum audio_format f);

/* What a take was made from.  Nothing in it depends on when or how fast it
 * was made, so that the same request gives the same file. */
struct recipe {
	const struct render_options *options;
	const struct engine_info *info;
	const char *model; /* name */
	uint64_t seed;
	int64_t n_frames;              /* codec frames */
	double guidance;               /* what is really used */
	const struct audio *continued; /* samples NULL: none */
};
void recipe_json(const struct recipe *r, struct str *out);
/* One line for players that show a comment; at most AUDIO_COMMENT_MAX bytes. */
void recipe_comment(const struct recipe *r, struct str *out);

#endif
