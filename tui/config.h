/* config.h: woodshedrc, the file of what a user set and mapped.
 *
 *	# a comment
 *	map library x trash
 *	unmap any Q
 *	set columns off
 *	theme nord
 *	source more
 *
 * Each line is a command of these five, as the `:` line takes it; a # begins a
 * comment at the start of a line or behind a blank, but for the commands' own
 * texts in `map`.  Private to the workstation. */
#ifndef WOODSHED_TUI_CONFIG_H
#define WOODSHED_TUI_CONFIG_H

struct arena;
struct environment;
struct err;
struct ws;

/* $XDG_CONFIG_HOME/woodshed/woodshedrc, else $HOME/.config/woodshed/woodshedrc; NULL
 * when both are unset or relative. */
const char *config_path(const struct environment *env, struct arena *a);

/* Does what the lines say.  A wrong one is left out, the rest is done; the error is of
 * the first, "FILE:LINE: cause", and tells how many more there are.  ERR_IO when the
 * file cannot be read. */
int config_source(struct ws *ws, const char *path, struct err *e);

/* Writes the settings that differ from what they are initially into the file, in
 * place of its own lines `set`; all other lines stay.  The folder is made. */
int config_save(struct ws *ws, const char *path, struct err *e);

#endif
