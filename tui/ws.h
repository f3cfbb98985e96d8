/* ws.h: the workstation's state, and what its parts call of one another.
 * Private to the workstation; one thread.
 *
 *	workstation.c	opens, waits, ends
 *	frame.c		draws: tabs, panes, lines at the foot
 *	input.c		the line that is typed; mouse.c: clicks
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
#include "tui/frame.h"
#include "tui/input.h"
#include "tui/keymap.h"
#include "tui/keys.h"
#include "tui/line_edit.h"
#include "tui/list.h"
#include "tui/settings.h"
#include "tui/sound.h"
#include "tui/theme.h"
#include "tui/view.h"
#include "tui/view_compare.h"
#include "tui/view_library.h"
#include "tui/view_listen.h"
#include "tui/view_queue.h"
#include "tui/view_race.h"
#include "tui/view_triage.h"
#include "tui/wave.h"
#include "tui/worker_process.h"

struct background;
struct colors;
struct control;
struct compose_view;
struct db;
struct environment;
struct listen;
struct globals;
struct mouse;

enum ws_screen {
	SCREEN_LIBRARY,
	SCREEN_TRASH,
	SCREEN_COMPOSE,
	SCREEN_QUEUE,
	SCREEN_LISTEN,
	SCREEN_COMPARE,
	SCREEN_TRIAGE,
	SCREEN_RACE,
	SCREEN_LOG,
	SCREEN_LINEAGE,
	SCREEN_SETUP,
	SCREEN_HELP,
	N_SCREENS
};

/* What is to be drawn again. */
enum {
	DIRTY_TABS = 1,
	DIRTY_BODY = 2,
	DIRTY_FOOT = 4,  /* message or line, hints */
	DIRTY_NOW = 8,   /* what is played */
	DIRTY_MOVE = 16, /* what moves in the body while something is played */
	DIRTY_ALL = 15,
};

enum { WS_DEPTH_MAX = 8 };

/* A line that is typed at the foot of the screen. */
enum input_kind { INPUT_NONE, INPUT_COMMAND, INPUT_FILTER, INPUT_ASK };

/* Prompts that came from one another. */
struct lineage_view {
	struct list list;
	int64_t prompt;
	struct arena arena;
	struct lineage_row *rows;
	size_t n;
	bool is_stale, is_new; /* new: the cursor goes to the prompt */
};

struct help_view {
	struct list list;
	struct line_edit filter;
	enum ws_screen of, base; /* the screen it was asked for on; ws.base then */
};

struct ws {
	const struct globals *globals;
	const struct environment *env;
	const char *library, *model; /* folder; the default model's name, NULL: none */
	struct db *db;               /* for what is shown; who writes gives it to the writer */
	struct arena arena;
	struct background *reader, *writer, *chores, *looks; /* lists; changes; exports; waves */
	bool is_writer_late;                                 /* ws_settle() waited for it in vain */
	bool has_read_ahead;
	struct exports {
		size_t n, n_done, n_failed; /* takes of the exports that are not all done */
		size_t n_denoised;
		uint64_t bytes;
		bool no_commercial;
		size_t n_short;          /* of files that end early */
		uint64_t clipped;        /* samples that were too loud for the format */
		char why[256];           /* the first failed; else how early the first ends */
		unsigned n_ways, n_kept; /* ways to be kept as settings; the last that was */
	} exports;

	enum ws_screen screen; /* that keys go to */
	enum ws_screen base;   /* at the left, where there are two columns; else as `screen` */
	bool one_column;       /* wanted even where there is room for two */
	struct frame frame;
	unsigned dirty;
	bool has_ended;
	bool has_tidied; /* takes_tidy() was asked for */
	bool has_lost;   /* the library was moved or removed: no child may make another */
	size_t n_found;  /* takes, by their files, because library.db was missing */
	struct str message;
	bool is_error;        /* the message */
	bool is_refusal;      /* it says why a key did nothing */
	double said_at;       /* clock_now() */
	struct keymap keymap; /* the user's own */
	struct chord typed;   /* of a chord that is not complete */
	double typed_at;      /* clock_now() of its last key */
	bool has_menu;        /* of how it may go on */
	enum input_kind input;
	struct line_edit line;
	struct input typing;
	int typing_x;                  /* of its cursor */
	struct library_view *filtered; /* whose filter is typed, whatever is shown meanwhile */
	struct str before;             /* the filter before it was edited */
	struct {
		double at; /* clock_now() */
		int y, x;
	} click; /* the last */
	struct {
		int part; /* enum frame_part; FRAME_NOTHING: nothing follows the mouse */
		int pane; /* of the frame */
	} grip;           /* where its button was pressed, and is held */

	bool is_pasting;    /* what comes was not typed */
	bool has_pasted_cr; /* the last of it was a carriage return */
	double pasted;      /* clock_now() of the last of it */
	struct str paste;

	struct library_view takes, trash;
	struct takes_prompts prompts; /* the reader's, while it runs */
	struct queue_view queue;
	struct log_view log;
	enum ws_screen log_of, log_base; /* the screen it was asked for on; `base` then */
	struct lineage_view lineage;
	struct waves waves;
	struct help_view help;
	struct list setup;            /* of settings */
	struct compose_view *compose; /* owned */

	struct settings settings;
	const char *config; /* woodshedrc, which need not be there; NULL: nowhere */
	int depth;          /* of files that source files, of keys that type keys */
	struct theme_dirs theme_dirs;
	struct theme theme;
	bool is_theme_broken;  /* the one that is set: it is the default instead */
	struct colors *colors; /* NULL before the terminal is open */

	struct control *control; /* NULL: another workstation has it */
	struct listening listening;
	struct comparing comparing;
	struct triage triage;
	struct race race;

	int wake_fd; /* eventfd: a thread of these or of some view has done something */
	struct listen *listen;
	struct sound sound;
	struct str title, tail; /* of the take that is played; tail: sound_take_tail() */
	int percent;            /* volume */

	int log_fd; /* what libraries say, those for sound most of all; -1: nowhere */
	struct worker_process worker;
	int64_t n_waiting; /* jobs_waiting() */
	bool is_paused;    /* the queue */
	bool is_stale;     /* these two */
	int64_t version;   /* db_version() when it was looked at last */
	double look_until; /* clock_now(): somebody writes, which shows within that time */
	double employ_at;  /* before that nobody looks for somebody to do the work */
	bool is_searching; /* the writer does */
	bool has_died;     /* a worker of ours, and no other was started since */
};

/* ---- workstation.c ------------------------------------------------------ */

extern const struct view *const views[N_SCREENS];

void ws_say(struct ws *ws, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The same, of a key that did nothing: it goes with the next one, which may do what it says. */
void ws_refuse(struct ws *ws, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The same, as something that went wrong. */
void ws_complain(struct ws *ws, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Shows the error, and clears it. */
void ws_fail(struct ws *ws, struct err *e);
void ws_show(struct ws *ws, enum ws_screen screen);
void ws_input(struct ws *ws, enum input_kind kind, const char *text);
/* The `:` line for a command's words.  Where Enter finds none, `emptied` is run instead of
 * the command, which would ask for them again; NULL: nothing is. */
void ws_input_words(struct ws *ws, const char *command, const char *words, const char *emptied);
/* Asks; `command` is run when the answer is yes. */
void ws_ask(struct ws *ws, const char *command, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Keys go to another of the panes: the next by 1, the one before by -1. */
void ws_focus(struct ws *ws, int by);
/* A key, as if it was typed. */
void ws_key(struct ws *ws, uint32_t key);
/* Leaves what is half done: a line, a chord. */
void ws_interrupt(struct ws *ws);
/* The database holds something else: what is shown is read anew. */
void ws_changed(struct ws *ws);
/* The cursor, or what the library's list is of, changed. */
void ws_moved(struct ws *ws);

/* The takes that an action is for, as the screen has it (struct view.targets): on the
 * library those that are marked, else those under the cursor.  Their number, *ret in
 * the arena.  0: none, which is said, by the text `none` or as what keeps them from being
 * known. */
size_t ws_targets(struct ws *ws, struct arena *a, const int64_t **ret, const char *none);
/* The one that stands for them: of a prompt that is not marked the one that is shown, else
 * the first; 0: none, which is said. */
int64_t ws_target(struct ws *ws, const char *none);

/* ---- changes.c ---------------------------------------------------------- */

void changes_open(struct ws *ws);
void changes_close(struct ws *ws); /* waits for what is being written */
void changes_work(struct ws *ws);  /* goes on with what a thread has done */

/* Once, when somebody is about to filter: what the keys will ask for is read from the disk. */
void ws_read_ahead(struct ws *ws);

/* Once, when the list is there: what killed renders have left is removed. */
void ws_tidy(struct ws *ws);

/* Waits, a moment at most, until lists and changes that were asked for are there: what
 * a key does is done to what its user sees. */
void ws_settle(struct ws *ws);

/* takes_edit() on the writer; `label`, and how to take it back, is said when it is
 * done. */
void ws_edit(struct ws *ws, const int64_t *ids, size_t n, const char *field, const char *value,
	const char *label);
/* What is said then; action: as takes_edit() gives it. */
void ws_tell_edit(struct ws *ws, const char *label, int64_t action);
/* db_set_setting() on the writer. */
void ws_set(struct ws *ws, const char *name, const char *value);

/* ---- commands.c --------------------------------------------------------- */

void commands_key(struct ws *ws, uint32_t key);
/* The chord that is typed is left. */
void commands_leave_chord(struct ws *ws);
/* A command and its words, as on the `:` line. */
void commands_run(struct ws *ws, const char *text);
/* One line for each key and command of a screen, in the arena; behind them those keys
 * that others have. */
struct help_line {
	const char *keys, *command, *text;
	const struct view *on; /* NULL: it is of the screen that was asked for */
};
size_t commands_help(
	const struct ws *ws, enum ws_screen screen, struct arena *a, const struct help_line **ret);
/* How the chord that is typed may go on: `keys` is its rest. */
size_t commands_goes_on(const struct ws *ws, struct arena *a, const struct help_line **ret);
/* The i-th of all commands, NULL behind the last; one by its name, or NULL. */
const struct command *commands_at(size_t i);
const struct command *commands_find(const char *name, size_t n);
/* The i-th of the keys that woodshed comes with. */
const struct binding *commands_binding_at(size_t i);

/* For commands: a whole number within bounds; false, with a message, for anything
 * else. */
bool commands_number(struct ws *ws, const char *text, int64_t low, int64_t high, int64_t *ret);

/* ---- commands_general.c ------------------------------------------------- */

struct undone;
/* What came of taking something back. */
void ws_tell_undone(struct ws *ws, const struct undone *d, bool again);

/* ---- commands_setup.c --------------------------------------------------- */

/* What follows from a setting that was set; NULL: from all of them. */
void settings_apply(struct ws *ws, const char *name);
/* Keys and settings are as they were initially, and then as woodshedrc says. */
void settings_reload(struct ws *ws);

/* ---- paste.c ------------------------------------------------------------ */

/* A key that is part of what is pasted; false: it was typed. */
bool paste_key(struct ws *ws, uint32_t key);

/* ---- mouse.c, menu.c ---------------------------------------------------- */

void mouse_do(struct ws *ws, const struct mouse *m);
/* The panel of commands_goes_on(), over the panes. */
void menu_draw(struct ws *ws);
/* A press on a line of the screen while a chord is typed: one of the panel's goes on with
 * it, any other leaves it; false: that was not all. */
bool menu_press(struct ws *ws, int y);

/* ---- views -------------------------------------------------------------- */

extern const struct view view_library, view_trash, view_compose, view_queue, view_listen,
	view_compare, view_triage, view_race, view_log, view_lineage, view_setup, view_help;

/* The take under the cursor of the list that is shown, of a prompt the first; or NULL. */
const struct take *view_library_selected(const struct ws *ws);
/* The take `by` places after (before) another in the library's list; 0: none. */
int64_t view_library_neighbour(const struct ws *ws, int64_t take, int by);
const struct job *view_queue_selected(const struct ws *ws); /* or NULL */
int queue_load(struct ws *ws, struct err *e);

#endif
