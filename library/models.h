/* models.h: which models there are, told from their descriptions alone, and
 * which of them is meant when nobody names one.
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
struct known_model;

/* Strings are in the caller's arena. */
struct model {
	const char *name; /* last part of the folder's path */
	const char *dir;
	const char *engine; /* "musicgen", "stable-audio", "audioldm2"; NULL: none we know */
	uint64_t bytes;     /* of all files */
	int rate_hz;        /* 0: not told */
	int channels;       /* 0: not told */
	double longest_s;   /* of a take; 0: any, or not told */
	double window_s;    /* made in one go; 0: not told */
	const char *repo;   /* on Hugging Face: OWNER/NAME; NULL: not told */
	const struct known_model *known; /* the catalogue's, of that repo; NULL: none */
	bool is_shared;                  /* lies in the cache of Hugging Face */
};

/* An unreadable or senseless description leaves engine NULL.  A folder that does
 * not say which repo it is of is taken for the known model of its name, if that
 * has the same engine. */
void model_describe(const char *dir, struct arena *a, struct model *ret);

/* Keeps in the folder which repository it is of. */
int model_set_repo(const char *dir, const char *repo, struct err *e);

struct models {
	struct model *list; /* by name */
	size_t n;
	const char *picked;         /* what models_pick() keeps; NULL: nothing */
	const struct model *chosen; /* the default: what was picked, else `own`, else the only
				       one; NULL: none of these, or it is gone */
};

/* All folders in LIBRARY/models, and `own`, the model that comes with woodshed
 * (NULL: none), unless one there has its name.  A library without that folder
 * has no others, and nor has NULL. */
int models_list(
	const char *library, const char *own, struct arena *a, struct models *ret, struct err *e);

/* The same, and what other programs left in HUB, the folder hub/ of Hugging
 * Face's cache (NULL: none): the models of known engines whose files are all
 * there, of the revision that `main` was.  One is called repo_model_name(), or
 * OWNER--NAME where two have the same; a model above with that name stands before
 * it.  A cache that cannot be read holds none. */
int models_list_shared(const char *library, const char *own, const char *hub, struct arena *a,
	struct models *ret, struct err *e);

/* NULL when there is none of that name. */
const struct model *models_find(const struct models *m, const char *name);

/* Whether one of them is the catalogue's `known`. */
bool models_has(const struct models *m, const struct known_model *known);

/* Makes NAME the library's default, until the next call; NULL: none is picked.
 * The caller has seen that there is such a model. */
int models_pick(const char *library, const char *name, struct err *e);

/* Bytes of the converted weights in LIBRARY/cache, which every render of a large
 * model leaves there for the next; with `drop` they are removed. */
int models_cache(const char *library, bool drop, uint64_t *ret_bytes, struct err *e);

#endif
