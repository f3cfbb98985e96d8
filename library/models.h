/* models.h: which models are installed, told from their descriptions alone.
 *
 * A model is a folder in its Hugging Face layout.  Nothing here reads weights
 * or promises that they are sound: that is the engine's to find out. */
#ifndef WOODSHED_LIBRARY_MODELS_H
#define WOODSHED_LIBRARY_MODELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct err;

/* Strings are in the caller's arena. */
struct model {
	const char *name; /* last part of the folder's path */
	const char *dir;
	const char *engine; /* "musicgen", "stable-audio", "audioldm2"; NULL: none we know */
	uint64_t bytes;     /* of all files */
	int rate_hz;        /* 0: not told */
	int channels;       /* 0: not told */
};

/* An unreadable or senseless description leaves engine NULL. */
void model_describe(const char *dir, struct arena *a, struct model *ret);
/* All folders in LIBRARY/models, by name; none when there is no such folder. */
int models_list(
	const char *library, struct arena *a, struct model **ret, size_t *ret_n, struct err *e);

/* Bytes of the converted weights in LIBRARY/cache, which every render of a large
 * model leaves there for the next; with `drop` they are removed. */
int models_cache(const char *library, bool drop, uint64_t *ret_bytes, struct err *e);

#endif
