/* session.h: a model that is open for what one command line asks for: what
 * `render` and `recipe --verify` share.
 *
 *	choose	which folder is meant; its description is read
 *	open	the engine loads it; lengths and the audio to continue are checked
 *	render	takes, to whoever receives their samples
 *
 * One at a time; nothing here writes a file. */
#ifndef WOODSHED_ENGINE_CLI_SESSION_H
#define WOODSHED_ENGINE_CLI_SESSION_H

#include <stdint.h>

#include "engine/cli/progress.h"
#include "engine/cli/render_options.h"
#include "engine/engine.h"
#include "library/audio.h"
#include "library/base/arena.h"
#include "library/base/str.h"
#include "library/models.h"

struct db;
struct environment;
struct globals;
struct loudness_meter;
struct recipe;
struct take;

enum { SESSION_SECONDS_MAX = 24 * 3600 };

struct session {
	struct render_options o;
	const struct globals *globals; /* borrowed */
	const struct environment *env; /* borrowed */
	struct arena arena;
	struct model model;
	struct audio continued;
	char continued_sha256[65]; /* of its samples */
	struct audio init;         /* to begin with */
	char init_sha256[65];
	struct engine_noise noise; /* owned; empty: the generator */
	char noise_sha256[65];
	bool is_folder; /* the model was named by its folder */
	struct engine *engine;
	struct engine_watch watch; /* progress: instead of the line on the terminal; NULL: that */
	const struct engine_latents *latents; /* of the next render, to be decoded again; or NULL */
	const struct engine_info *info;       /* NULL until it is open */
	int64_t n_frames;                     /* of a take, in codec frames */
	uint64_t n_at_once;                   /* takes of the batch that is made; 0: one */
	struct progress progress;
	struct str warnings; /* of the load, one a line, until it has succeeded */
};

/* What stderr or, with --json, stdout gets to see of the progress. */
void session_progress(struct session *s);

/* Finds the model of o.model, or the default.  ERR_ARG when an option was given
 * that its engine does not have; what a recipe brings of such is dropped from o. */
int session_choose(struct session *s, struct err *e);

enum engine_precision session_precision(const struct session *s);

/* Seconds that were asked for; 0: the model's own length. */
double session_seconds(const struct session *s);

/* Refuses a length that session_open() would refuse, from the model's descriptions alone. */
int session_check_length(const struct session *s, struct err *e);

/* Reads the audio to continue as far as the model's description tells how;
 * session_open() does the rest. */
int session_peek_continued(struct session *s, struct err *e);

/* Loads the model, unless it came from another session; the rest of what was
 * asked for is checked against it. */
int session_open(struct session *s, struct err *e);

/* A warning of an engine, ud a session.  Those of a load wait until it has succeeded:
 * beside its error they would only hide it. */
void session_warn(void *ud, const char *text);

/* Moves the open model of `from` to `to`, which has chosen its own, if it is the
 * same in the same arithmetic on the same device. */
bool session_take_engine(struct session *to, struct session *from);

/* Is the open model the one with these hashes?  NULL: not told, so it may be. */
bool session_is_model(const struct session *s, const char *model_hash, const char *weights_sha256);

/* n_takes with seeds seed, seed + 1, ...: engine_render(). */
int session_render(struct session *s, int n_takes, uint64_t seed, const struct engine_sink *sink,
	struct err *e);

/* What the take of that seed is made from.  Borrows from the session. */
void session_recipe(const struct session *s, uint64_t seed, struct recipe *ret);

/* The take's row in the library, but for its prompt and job.  meter: was given all
 * of its samples; NULL: loudness unknown.  Strings live in the arena. */
void session_take(const struct session *s, uint64_t seed, const char *file,
	struct loudness_meter *meter, struct arena *a, struct take *ret);

/* For forecasts: n_takes took so long in one batch, behind a load of *load_s, which is then
 * accounted for.  What cannot be written is warned of. */
void session_measured(
	const struct session *s, struct db *db, uint64_t n_takes, double *load_s, double wall_s);

void session_done(struct session *s);

#endif
