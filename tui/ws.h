/* ws.h: the workstation's state, and what its parts call of one another.
 * Private to the workstation; one thread.
 *
 *	workstation.c	opens, waits, draws, ends
 *	commands.c	from keys and words to actions; help
 *	commands_*.c	the actions, with their names, keys and help
 *	view_*.c	the screens
 */
#ifndef WOODSHED_TUI_WS_H
#define WOODSHED_TUI_WS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "library/base/arena.h"
#include "library/base/err.h"
#include "library/base/str.h"
#include "library/queue.h"
#include "library/takes.h"
#include "tui/keys.h"
#include "tui/line_edit.h"
#include "tui/list.h"
#include "tui/view.h"
#include "tui/worker_process.h"

struct db;
struct environment;
struct listen;
struct globals;

enum ws_screen { SCREEN_LIBRARY, SCREEN_QUEUE, SCREEN_HELP, N_SCREENS };

/* What is to be drawn again. */
enum {
	DIRTY_TABS = 1,
	DIRTY_BODY = 2,
	DIRTY_FOOT = 4, /* message or line, hints */
	DIRTY_NOW = 8,  /* what is played */
	DIRTY_ALL = 15,
};

/* A line that is typed at the foot of the screen. */
enum input_kind { INPUT_NONE, INPUT_COMMAND, INPUT_FILTER, INPUT_PROMPT };

struct library_view {
	struct list list;
	struct line_edit filter;
	enum takes_order order;
	struct arena page; /* of takes */
	struct take *takes;
	size_t n;
	int64_t first; /* the list's row that takes[0] is */
	bool is_stale; /* the page does not show what the database holds */
};

struct queue_view {
	struct list list;
	struct arena page;
	struct job *jobs; /* those that have not ended, then the newest that have */
	size_t n;
	bool is_stale;
};

struct help_view {
	struct list list;
	enum ws_screen of; /* the screen it was asked for on */
};

struct ws {
	const struct globals *globals;
	const struct environment *env;
	const char *library, *model; /* folder; the default model's name, NULL: none */
	struct db *db;
	struct arena arena;

	enum ws_screen screen;
	unsigned dirty;
	bool has_ended;
	struct str message;
	bool is_error;      /* the message */
	struct chord typed; /* of a chord that is not complete */
	enum input_kind input;
	struct line_edit line;
	struct str before; /* the filter before it was edited */

	struct library_view takes;
	struct queue_view queue;
	struct help_view help;

	struct listen *listen;
	struct str title; /* of the take that is played */
	int percent;      /* volume */

	struct worker_process worker;
	int64_t n_waiting; /* jobs_waiting() */
	bool is_paused;    /* the queue */
	bool is_stale;     /* these two */
	int64_t version;   /* db_version() when it was looked at last */
	double look_until; /* clock_now(): somebody writes, which shows within that time */
	double employ_at;  /* before that nobody looks for somebody to do the work */
};

/* ---- workstation.c ------------------------------------------------------ */

extern const struct view *const views[N_SCREENS];

void ws_say(struct ws *ws, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The same, as something that went wrong. */
void ws_complain(struct ws *ws, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Shows the error, and clears it. */
void ws_fail(struct ws *ws, struct err *e);
void ws_show(struct ws *ws, enum ws_screen screen);
void ws_input(struct ws *ws, enum input_kind kind, const char *text);
/* The database holds something else: what is shown is read anew. */
void ws_changed(struct ws *ws);
/* The cursor, or what the library's list is of, changed. */
void ws_moved(struct ws *ws);

/* ---- commands.c --------------------------------------------------------- */

void commands_key(struct ws *ws, uint32_t key);
/* A command and its words, as on the `:` line. */
void commands_run(struct ws *ws, const char *text);
/* One line for each key and command of a screen, in the arena. */
struct help_line {
	const char *keys, *command, *text;
};
size_t commands_help(enum ws_screen screen, struct arena *a, const struct help_line **ret);

/* For commands: a whole number within bounds; false, with a message, for anything
 * else. */
bool commands_number(struct ws *ws, const char *text, int64_t low, int64_t high, int64_t *ret);

/* Queues a prompt with that model and a seed by chance. */
void commands_queue_prompt(struct ws *ws, const char *prompt, const char *model);

/* ---- views -------------------------------------------------------------- */

extern const struct view view_library, view_queue, view_help;

const struct take *view_library_selected(const struct ws *ws); /* or NULL */
const struct job *view_queue_selected(const struct ws *ws);    /* or NULL */

#endif
