/* Where things are: the library's folder, takes, models.
 *
 * Results are strings in the caller's arena.  The environment is the
 * program's to read (only main looks at it), so it comes in a struct. */
#ifndef WOODSHED_LIBRARY_PATHS_H
#define WOODSHED_LIBRARY_PATHS_H

#include <stdint.h>

struct arena;
struct err;

struct paths_env {
	const char *option;           /* --library; these may all be NULL or "" */
	const char *woodshed_library; /* $WOODSHED_LIBRARY */
	const char *xdg_data_home;    /* $XDG_DATA_HOME; ignored unless absolute */
	const char *home;             /* $HOME */
};

/* The library's folder: the option, then $WOODSHED_LIBRARY, then
 * $XDG_DATA_HOME/woodshed, then $HOME/.local/share/woodshed.  It and the
 * folders above it are made, for the user alone (0700), where they are missing. */
int paths_library(const struct paths_env *env, struct arena *a, const char **ret, struct err *e);

/* The same path without making anything. */
int paths_library_name(
	const struct paths_env *env, struct arena *a, const char **ret, struct err *e);

/* The folder of the model that comes with woodshed: starter where meson installs
 * data (WOODSHED_DATA, ../share/woodshed unless it was told otherwise), seen from
 * `program_dir`, the folder of the running program, or, where it was built and not
 * installed, engine/starter there.  NULL when it is in neither. */
const char *paths_starter(const char *program_dir, struct arena *a);

/* A folder of data that comes with woodshed: NAME in the same place or, where it was
 * built and not installed, NAME or engine/denoise/NAME in `program_dir`.  NULL when it
 * is nowhere. */
const char *paths_shared(const char *program_dir, const char *name, struct arena *a);

/* LIBRARY/cache/ID, ID from the real path of the model's folder: what the names
 * of its converted weights begin with.  NULL when there is no such folder. */
const char *paths_model_cache(const char *library, const char *dir, struct arena *a);

/* LIBRARY/takes/YYYY/MM/ID.wav of a new take, its folders made; ID is the UTC
 * time and a random part.  No file has that name; write it with keep_existing
 * all the same. */
int paths_new_take(
	const char *library, int64_t unix_ms, struct arena *a, const char **ret, struct err *e);

/* Refuses, as the place for something else, a take's file in LIBRARY/takes, by whatever
 * spelling or link.  What is not there yet is nobody's. */
int paths_check_output(const char *library, const char *path, struct err *e);

/* LIBRARY/models/NAME, an existing folder.  A name with '/' or one that
 * begins with '.' is refused. */
int paths_model(
	const char *library, const char *name, struct arena *a, const char **ret, struct err *e);

#endif
