/* control.h: the socket on which a running workstation takes commands, and its other
 * side.
 *
 * One line a connection, `COMMAND ARGUMENTS`, at most CONTROL_LINE_MAX bytes of UTF-8
 * without controls; the answer is one line, `0 MESSAGE` or `1 ERROR`.  The socket is
 * the user's alone (0600), and one workstation of a library has it: whoever holds the
 * lock beside it; others wait for it.  What a dead one left is replaced. */
#ifndef WOODSHED_TUI_CONTROL_H
#define WOODSHED_TUI_CONTROL_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>

struct arena;
struct err;
struct str;

enum { CONTROL_LINE_MAX = 4096, CONTROL_CLIENTS_MAX = 4, CONTROL_FDS = 1 + CONTROL_CLIENTS_MAX };

/* $XDG_RUNTIME_DIR/woodshed/ID, ID from the library's real path, or LIBRARY/control
 * where there is no such folder. */
const char *control_path(const char *runtime_dir, const char *library, struct arena *a);

struct control;

/* Makes folder and socket, or waits for it while another workstation has it.  ERR_IO. */
int control_open(const char *path, struct control **ret, struct err *e);
void control_close(struct control *c); /* NULL-safe; its socket is gone */

/* Whether another workstation has the socket; NULL-safe. */
bool control_waits(const struct control *c);
/* Tries to get what is waited for: 1 when it is this one's now, else 0; never waits.
 * The first of control_fds() has something to read when it is worth trying, which may
 * be a moment before the lock is free.  After ERR_IO nothing is waited for. */
int control_take_over(struct control *c, struct err *e);

/* What to poll for: CONTROL_FDS of them, -1 where there is none; NULL-safe. */
void control_fds(const struct control *c, struct pollfd fds[CONTROL_FDS]);

/* Runs a command; true when it went well; *answer: what it said. */
typedef bool control_run(void *ud, const char *line, struct str *answer);
/* Goes on after poll(): takes clients, reads, runs, answers.  Never waits. */
void control_work(
	struct control *c, const struct pollfd fds[CONTROL_FDS], control_run *run, void *ud);

/* The other side: sends a line, waits for the answer.  ERR_IO when nobody is there;
 * *ret_ok: the first character of the answer, *answer the rest. */
int control_send(
	const char *path, const char *line, bool *ret_ok, struct str *answer, struct err *e);

#endif
