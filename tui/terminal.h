/* terminal.h: the terminal: taken over, and given back as it was, whatever ends
 * the program.
 *
 * One at a time.  While it is open, what libraries print on stderr goes to a log
 * and not between the cells of the screen. */
#ifndef WOODSHED_TUI_TERMINAL_H
#define WOODSHED_TUI_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct colors_env;
struct err;

struct terminal_desc {
	const struct colors_env *env;
	int log_fd;           /* where stderr goes meanwhile; -1: nowhere */
	void (*on_end)(void); /* before a signal ends the program, in its handler; or NULL */
};

/* ERR_UNSUPPORTED, with the remedy, when stdin or stdout is no terminal or TERM is
 * unknown (colors_newterm()). */
int terminal_open(const struct terminal_desc *d, struct err *e);
/* The terminal cannot place its cursor: nothing that is drawn is seen, no key comes, and
 * stdin gives lines. */
bool terminal_is_blind(void);
void terminal_close(void); /* nothing is open: nothing is done */

/* As it was before, stderr too, for another program that runs in the foreground meanwhile;
 * until terminal_resume(), which draws the screen again.  Between the two Ctrl-C is that
 * program's, and Ctrl-Z stops both. */
void terminal_lend(void);
void terminal_resume(void);
/* ^Z: stops this program until the shell lets it go on; the terminal is the shell's
 * meanwhile. */
void terminal_suspend(void);

/* Takes it once more, whatever others did to it while this process was stopped. */
void terminal_retake(void);

/* Whether clicks, drags and the wheel come as TERMINAL_MOUSE, or are the terminal's own. */
void terminal_use_mouse(bool wanted);
/* All cells are of the screen's background, to be painted again. */
void terminal_wipe(void);

/* The next key that was typed, as keys.h names them, or one of these; never waits. */
enum {
	TERMINAL_NONE = 0x1ffff0, /* nothing is left */
	TERMINAL_INTERRUPT,       /* ^C */
	TERMINAL_SUSPEND,         /* ^Z */
	TERMINAL_RESIZED,
	TERMINAL_MOUSE, /* terminal_mouse() tells */
	TERMINAL_GONE,  /* nobody is there any more: end */
	TERMINAL_PASTE, /* what follows was pasted, not typed, up to ... */
	TERMINAL_PASTE_END,
};
uint32_t terminal_key(void);

/* Sends a control sequence that changes nothing on the screen; false: the terminal is
 * one that would show it. */
bool terminal_send(const char *bytes, size_t n);

struct mouse {
	int x, y; /* cells */
	/* MOUSE_DRAG: it has moved while its button is held. */
	enum { MOUSE_PRESS, MOUSE_DRAG, MOUSE_RELEASE, MOUSE_WHEEL_UP, MOUSE_WHEEL_DOWN } what;
	bool is_double; /* pressed twice on one cell, soon; by mouse_do() */
};
/* After TERMINAL_MOUSE, until false: several may have come at once. */
bool terminal_mouse(struct mouse *ret);

#endif
