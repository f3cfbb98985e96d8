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

struct err;
struct list;
struct ws;

struct view {
	const char *name;  /* what `screen NAME` takes */
	const char *tab;   /* as the first line names it, its key first */
	const char *hints; /* "Enter open  / filter ...": its likeliest keys */

	/* Reads from the database what is stale of it and fits.  NULL: it reads nothing. */
	int (*load)(struct ws *ws, int height, struct err *e);
	/* Paints every cell of that rectangle, by paint.h, from line 0, column 0. */
	void (*draw)(struct ws *ws, int height, int width);
	/* What the cursor moves in. */
	struct list *(*list)(struct ws *ws);
	int heads; /* lines above the list's first row */
};

struct command {
	const char *name, *args; /* args: what it takes, for the help; "" none */
	const char *help;
	void (*run)(struct ws *ws, const char *args);
	bool needs_args;
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

extern const struct command_table commands_general, commands_takes, commands_sound, commands_jobs;

#endif
