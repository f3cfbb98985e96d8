/* output.h: the files that a render writes. */
#ifndef WOODSHED_ENGINE_CLI_OUTPUT_H
#define WOODSHED_ENGINE_CLI_OUTPUT_H

#include <stddef.h>
#include <stdint.h>

#include "library/audio.h"

struct arena;
struct environment;
struct err;
struct globals;

/* FILE.wav, or FILE-3.wav for the third (i = 2) of several. */
const char *output_name(const char *file, uint64_t i, uint64_t count, struct arena *a);

/* Whether `path` can be written, is no take of the library, and its disk has room for
 * n_bytes, told before any work is done. */
int output_check(const struct globals *g, const struct environment *env, const char *path,
	uint64_t n_bytes, struct err *e);

enum audio_format output_format(const char *name);
uint64_t output_sample_bytes(enum audio_format f);

/* Warns, when there are any, of n samples of `path` that were beyond what --format holds. */
void output_warn_clipped(const char *path, uint64_t n);

#endif
