/* verbs.h: the verbs that need nothing but the library.  Each gets the words
 * after its name and returns the exit status. */
#ifndef WOODSHED_TUI_VERBS_H
#define WOODSHED_TUI_VERBS_H

#include <signal.h>

struct arena;
struct db;
struct environment;
struct err;
struct globals;
struct options;

int verb_models(struct globals *g, const struct environment *env, int argc, char **argv);
int verb_recipe(struct globals *g, const struct environment *env, int argc, char **argv);
int verb_export(struct globals *g, const struct environment *env, int argc, char **argv);
int verb_play(struct globals *g, const struct environment *env, int argc, char **argv);
int verb_spectrogram(struct globals *g, const struct environment *env, int argc, char **argv);
int verb_pull(struct globals *g, const struct environment *env, int argc, char **argv);
int verb_takes(struct globals *g, const struct environment *env, int argc, char **argv);
int verb_jobs(struct globals *g, const struct environment *env, int argc, char **argv);
int verb_cancel(struct globals *g, const struct environment *env, int argc, char **argv);
int verb_retry(struct globals *g, const struct environment *env, int argc, char **argv);
int verb_backup(struct globals *g, const struct environment *env, int argc, char **argv);
int verb_remote(struct globals *g, const struct environment *env, int argc, char **argv);
int verb_unload(struct globals *g, const struct environment *env, int argc, char **argv);

/* Parses a verb's words and answers --help (usage, then the options) and
 * --version: 0 to go on, 1 when that was all, negative on failure. */
int verb_begin(struct options *o, struct globals *g, const char *usage, struct err *e);

/* Complains of what failed with rc; the exit status. */
int verb_fail(int rc, const struct err *e);

/* Takes that words on the command line name. */
struct verb_takes {
	const struct globals *globals;
	const struct environment *env;
	struct db *db; /* NULL until a take is named by its number */
};

/* The file that a word means: the number of a take, unless there is a file of that
 * name; it can be read.  *ret is the word, or in the arena. */
int verb_find_take(
	struct verb_takes *t, const char *word, struct arena *a, const char **ret, struct err *e);
void verb_takes_done(struct verb_takes *t);

/* From now on Ctrl-C, SIGTERM and SIGHUP (unless nohup ignores it) only set what
 * verb_stop_signal is, 0 before: for verbs that end in good order, with 128 + it. */
void verb_catch_signals(void);
extern volatile sig_atomic_t verb_stop_signal;

/* "woodshed: text" on stderr, without controls. */
void complain(const char *text);
/* library_open() for a verb: warns of takes that were found by their files. */
int verb_open_library(const struct globals *g, const char *library, struct db **ret, struct err *e);
/* Flushes stdout; 1, with a complaint, when not all could be written. */
int finish_output(void);

#endif
