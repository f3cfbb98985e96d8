/* terminal.h: the terminal: taken over, and given back as it was, whatever ends
 * the program.
 *
 * One at a time.  While it is open, what libraries print on stderr goes to a log
 * and not between the cells of the screen. */
#ifndef WOODSHED_TUI_TERMINAL_H
#define WOODSHED_TUI_TERMINAL_H

#include <stdbool.h>
#include <stdint.h>

struct colors_env;
struct err;

struct terminal_desc {
	const struct colors_env *env;
	int log_fd; /* where stderr goes meanwhile; -1: nowhere */
	bool mouse;
};

/* ERR_UNSUPPORTED, with the remedy, when stdin or stdout is no terminal or TERM is
 * unknown (colors_newterm()). */
int terminal_open(const struct terminal_desc *d, struct err *e);
void terminal_close(void); /* nothing is open: nothing is done */

/* As it was before, for another program that runs in the foreground meanwhile, and
 * taken over again.  Between the two Ctrl-C is that program's, and Ctrl-Z stops
 * both. */
void terminal_lend(void);
void terminal_take_back(void);

/* The next key that was typed, as keys.h names them, or one of these; never waits. */
enum {
	TERMINAL_NONE = 0x1ffff0, /* nothing is left */
	TERMINAL_RESIZED,
	TERMINAL_MOUSE, /* terminal_mouse() tells */
	TERMINAL_GONE,  /* nobody is there any more: end */
	TERMINAL_PASTE, /* what follows was pasted, not typed, up to ... */
	TERMINAL_PASTE_END,
};
uint32_t terminal_key(void);

struct mouse {
	int x, y; /* cells */
	enum { MOUSE_PRESS, MOUSE_DOUBLE, MOUSE_WHEEL_UP, MOUSE_WHEEL_DOWN } what;
};
bool terminal_mouse(struct mouse *ret);

#endif
