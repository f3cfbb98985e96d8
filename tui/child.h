/* child.h: other programs, started with nothing of ours but what they are given. */
#ifndef WOODSHED_TUI_CHILD_H
#define WOODSHED_TUI_CHILD_H

#include <stdbool.h>
#include <sys/types.h>

struct err;

enum { CHILD_NULL = -1 }; /* for a descriptor: /dev/null */

struct child_desc {
	const char *program;     /* a path; without a slash: looked for in PATH */
	const char *const *argv; /* its words, argv[0] first, NULL last */
	int in, out, err;        /* its descriptors 0 to 2; 0: ours; borrowed */
	/* For one that works behind the screen: Ctrl-C and a closed window are not meant
	 * for it. */
	bool has_own_group;
	/* For one that the terminal is lent to: no signal is ignored that we ignore. */
	bool has_default_signals;
};

/* Starts it, with our environment and no signal blocked: 0, or a value of errno, also
 * when the program does not exist.  child_wait() or waitpid() must follow. */
int child_start(const struct child_desc *d, pid_t *ret_pid);

/* child_start() of the program that belongs beside woodshed; the error names it. */
int child_start_engine(const struct child_desc *d, pid_t *ret_pid, struct err *e);

/* Waits until it ends: its status, as waitpid() gives it. */
int child_wait(pid_t pid);

/* Whether it came to its end with exit status 0. */
bool child_succeeded(int status);

#endif
