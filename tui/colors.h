/* colors.h: a theme on a terminal, by ncurses.
 *
 *	SCREEN *screen;
 *	colors_newterm(&env, stdout, stdin, &screen, &e);
 *	struct colors *c = colors_open(&env, &theme);
 *	colors_fill(c, stdscr, ROLE_TEXT);
 *	colors_set(c, stdscr, ROLE_TITLE);
 *
 * What a terminal can do is asked of terminfo.  True colour is in few entries
 * there, so where COLORTERM promises it we bring entries of our own.  The user's
 * palette is never changed.  Only the thread that owns ncurses may call what
 * takes a struct colors. */
#ifndef WOODSHED_TUI_COLORS_H
#define WOODSHED_TUI_COLORS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <curses.h>

#include "tui/theme.h"

struct err;

enum colors_level {
	COLORS_MONO, /* attributes only: theme_mono(), whatever the theme */
	COLORS_8,
	COLORS_16,
	COLORS_256,
	COLORS_RGB,
};

/* What main() knows; NULL: not set. */
struct colors_env {
	const char *term;          /* TERM */
	const char *colorterm;     /* COLORTERM */
	const char *terminfo_dirs; /* TERMINFO_DIRS */
	const char *tmux;          /* TMUX */
	const char *entries; /* our folder of terminfo: paths_shared(program, "themes/terminfo") */
	bool is_mono;        /* globals_has_color() said no: NO_COLOR, --color=never */
};

/* What terminfo says of a terminal. */
struct colors_terminal {
	int n_colors; /* as COLORS; 0: none */
	bool is_rgb;  /* colour numbers are 0xrrggbb, but for the first n_indexed */
	int n_indexed;
};

/* The entry of terminfo to use: one of ours when COLORTERM is truecolor or 24bit,
 * colours are wanted and we have one for terminals of that kind; else TERM.  A TERM
 * of screen is believed inside tmux only: screen itself hands on the COLORTERM of
 * the terminal around it without having the colours. */
const char *colors_term(const struct colors_env *env);

/* The level that terminal and wishes allow. */
enum colors_level colors_level(const struct colors_env *env, const struct colors_terminal *t);

/* The number that ncurses has for a colour at this level, -1 for the terminal's
 * own.  A colour the terminal lacks becomes the nearest: #rrggbb by its index of
 * 256, where that is given.  Bright colours of 8 stay 8..15: see colors_style(). */
int colors_number(enum colors_level level, const struct colors_terminal *t, struct theme_color c);

/* A role, or a pair of colours, as a terminal shows it. */
struct colors_style {
	int fg, bg;          /* as colors_number(); below 8 where there are only 8 */
	unsigned attributes; /* of enum theme_attribute */
};

/* Roles of *t, at this level.  With 8 or 16 colours, text and ground that became
 * one colour are set apart, and a ground that became that of `text` is marked by
 * the attributes of the default theme.  At COLORS_MONO give it theme_mono(). */
struct colors_style colors_style(enum colors_level level, const struct colors_terminal *terminal,
	const struct theme *t, enum theme_role r);

/* The colour of a gradient at a place, 0 (its first stop) to 1 (its last).  Where the
 * terminal has all colours it goes evenly, in sRGB, from stop to stop; else, or between
 * stops that are no #rrggbb, it is the nearer stop. */
struct theme_color colors_gradient(
	enum colors_level level, const struct theme_gradient *g, double at);

/* newterm() with the entry of colors_term(), or TERM's own where ours does not
 * load; puts our folder into the TERMINFO_DIRS of this process.  *ret is
 * delscreen()'s.  ERR_UNSUPPORTED: nobody knows TERM. */
int colors_newterm(const struct colors_env *env, FILE *out, FILE *in, SCREEN **ret, struct err *e);

/* After colors_newterm(): starts colours on the current screen.  The theme is
 * copied.  Never NULL. */
struct colors *colors_open(const struct colors_env *env, const struct theme *t);
void colors_close(struct colors *c);

enum colors_level colors_level_of(const struct colors *c);

/* Another theme from now on.  At the next refresh what is on the screen has its
 * colours; attributes change where it is painted again. */
void colors_theme(struct colors *c, const struct theme *t);

/* What is written to the window next is of this role. */
void colors_set(struct colors *c, WINDOW *w, enum theme_role r);
/* The same of a gradient's colour, on the ground of ROLE_TEXT; without colours, of
 * ROLE_PROGRESS. */
void colors_set_gradient(struct colors *c, WINDOW *w, enum theme_gradient_id g, double at);
/* The window's background: what is erased from now on, so werase() comes next. */
void colors_fill(struct colors *c, WINDOW *w, enum theme_role r);

/* The ncurses pair of two colours, for cells of pictures (setcchar); 0 at
 * COLORS_MONO.  Up to 16384 are kept, less where the terminal has less: when all
 * are in use the one made longest ago goes to the new colours, so ask each time a
 * cell is painted and keep no pair.  Nobody else may make pairs. */
short colors_cell(struct colors *c, struct theme_color fg, struct theme_color bg);

/* theme_color of 0xrrggbb. */
struct theme_color colors_rgb(uint32_t rgb);

#endif
