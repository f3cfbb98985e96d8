/* globals.h: what stands before any verb, the same for both programs. */
#ifndef WOODSHED_LIBRARY_GLOBALS_H
#define WOODSHED_LIBRARY_GLOBALS_H

#include <stdbool.h>

#include "library/base/options.h"
#include "library/paths.h"

extern const char woodshed_version[]; /* "0.1.0" */

/* main() fills it; nothing else reads the environment.  NULL: not set. */
struct environment {
	struct paths_env paths;      /* option: NULL */
	const char *no_color;        /* NO_COLOR */
	const char *term;            /* TERM */
	const char *colorterm;       /* COLORTERM; only woodshed draws, so it alone reads these */
	const char *terminfo_dirs;   /* TERMINFO_DIRS */
	const char *tmux;            /* TMUX */
	const char *ssh_connection;  /* SSH_CONNECTION: every byte travels */
	const char *xdg_config_home; /* XDG_CONFIG_HOME; so do these */
	const char *xdg_state_home;  /* XDG_STATE_HOME */
	const char *xdg_runtime_dir; /* XDG_RUNTIME_DIR */
	const char *xdg_music_dir;   /* XDG_MUSIC_DIR; where the workstation exports to */
	const char *shell;           /* SHELL */
	const char *locale;          /* LC_ALL, LC_CTYPE or LANG, the first that is set */
	const char *program;         /* folder of the running program, globals_program() */
	const char *xdg_cache_home;  /* XDG_CACHE_HOME */
	const char *hf_home;         /* HF_HOME */
	const char *editor;          /* VISUAL, or EDITOR; only the workstation edits */
	const char *hf_endpoint;     /* HF_ENDPOINT; only woodshed pulls */
	const char *hf_token;        /* HF_TOKEN */
};

struct models;

struct globals {
	const char *library; /* NULL: from the environment */
	const char *color;   /* "auto", "always", "never" */
	bool plain, quiet, help, version;
};

extern const struct option_spec globals_options[];

/* paths_library() for --library and the environment. */
int globals_library(const struct globals *g, const struct environment *env, struct arena *a,
	const char **ret, struct err *e);

/* paths_library_name() for the same. */
int globals_library_name(const struct globals *g, const struct environment *env, struct arena *a,
	const char **ret, struct err *e);

/* paths_check_output() for the same. */
int globals_check_output(
	const struct globals *g, const struct environment *env, const char *path, struct err *e);

/* The folder of the running program, or NULL where /proc is not mounted. */
const char *globals_program(void);

/* The folder of Hugging Face's cache and token, where its own programs look for
 * it: HF_HOME, else huggingface in XDG_CACHE_HOME or ~/.cache; NULL: nowhere. */
const char *globals_hf_home(const struct environment *env, struct arena *a);

/* models_list_shared() of the library that globals_library_name() tells, with the
 * model that comes with woodshed and those in Hugging Face's cache.  They are
 * there without a library, too. */
int globals_models(const struct globals *g, const struct environment *env, struct arena *a,
	struct models *ret, struct err *e);

/* Whether to colour what goes to a terminal (or not: is_terminal false). */
bool globals_has_color(const struct globals *g, const struct environment *env, bool is_terminal);
/* Whether lines may be drawn over: not with --plain or on a dumb terminal. */
bool globals_has_cursor(const struct globals *g, const struct environment *env);
bool environment_is_utf8(const struct environment *env);

/* Opens /dev/null where stdin, stdout or stderr is closed, so that no file of
 * ours gets their number. */
void globals_guard_stdio(void);

#endif
