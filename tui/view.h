/* view.h: what a screen is made of, and the actions that a part of the workstation
 * brings along.  Private to the workstation.
 *
 * Every screen is one struct view in the table `views` (workstation.c); every action
 * one struct command and every key one struct binding, in the tables of the file
 * that does it, which commands.c lists.  Keys, the `:` line, help and manual read
 * these tables and nothing else. */
#ifndef WOODSHED_TUI_VIEW_H
#define WOODSHED_TUI_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct err;
struct list;
struct mouse;
struct words;
struct ws;

/* Keys that are no commands, a blank between them. */
struct edit_key {
	const char *keys, *help;
};

struct view {
	const char *name;  /* what `screen NAME` takes */
	const char *tab;   /* as the first line names it, its key first; "": not there */
	const char *hints; /* "Enter open  / filter  ...": its likeliest keys */
	/* The same where they are not always those: one of its literals.  May be missing. */
	const char *(*hints_now)(const struct ws *ws);

	/* Reads from the database what is stale of it and fits.  NULL: it reads nothing. */
	int (*load)(struct ws *ws, int height, struct err *e);
	/* Paints every cell of that rectangle, by paint.h, from line 0, column 0. */
	void (*draw)(struct ws *ws, int height, int width);
	/* Paints only what moves while something is played, for DIRTY_MOVE.  NULL: nothing
	 * does. */
	void (*move)(struct ws *ws, int height, int width);
	/* To set what is dirty: a moment of playing has gone by, or (is_awake) somebody wrote
	 * to wake_fd.  NULL: neither matters. */
	void (*tick)(struct ws *ws, bool is_awake);
	/* How often it wants that while something is played.  NULL: as often as the line of
	 * what is played needs it. */
	int (*frame_ms)(const struct ws *ws);
	/* What the cursor moves in. */
	struct list *(*list)(struct ws *ws);
	int heads; /* lines above the list's first row */

	/* All of these may be missing. */
	bool has_column; /* others stand beside it where there is room */
	/* A key, before any binding; true: taken. */
	bool (*key)(struct ws *ws, uint32_t key);
	/* Whether `key` would take it now, so that help tells of no binding that begins with
	 * it; and what such keys do.  For those that are typed to find help there is none. */
	bool (*is_typed)(const struct ws *ws, uint32_t key);
	const struct edit_key *editing; /* ends with {0} */
	/* What was pasted, which is never a key.  NULL: nothing is typed there. */
	void (*paste)(struct ws *ws, const char *text, size_t n);
	/* A click, its cell counted as draw() does; true: taken.  What follows of a press that
	 * was taken, MOUSE_DRAG and MOUSE_RELEASE, comes wherever it is on the screen. */
	bool (*mouse)(struct ws *ws, const struct mouse *m);
	/* Where one types in it; false: nowhere. */
	bool (*cursor)(struct ws *ws, int *ret_y, int *ret_x);
	/* ws_targets() while this screen is shown.  NULL: no takes. */
	size_t (*targets)(struct ws *ws, struct arena *a, const int64_t **ret);
};

struct command {
	const char *name, *args; /* args: what it takes, for the help; "" none */
	const char *help;
	void (*run)(struct ws *ws, const char *args);
	bool needs_args;
	/* What its last word may be, by words_add(); args: those before it.  May be missing. */
	void (*complete)(struct ws *ws, const char *args, struct words *out);
};

/* Where a key holds: bits 1 << enum ws_screen, or everywhere. */
enum { ON_ANY = 1 << 16 };

struct binding {
	unsigned on;
	const char *keys, *command; /* chord_parse(); a command and its words */
};

/* What one file brings along. */
struct command_table {
	const struct command *commands;
	size_t n_commands;
	const struct binding *bindings;
	size_t n_bindings;
};

#define COMMAND_TABLE(commands, bindings)                                                          \
	{                                                                                          \
		commands, sizeof(commands) / sizeof(*(commands)), bindings,                        \
			sizeof(bindings) / sizeof(*(bindings))                                     \
	}

extern const struct command_table commands_general, commands_library, commands_marks,
	commands_export, commands_lineage, commands_regenerate, commands_compose, commands_sound,
	commands_listen, commands_denoise, commands_compare, commands_triage, commands_race,
	commands_jobs, commands_setup, commands_system;

#endif
