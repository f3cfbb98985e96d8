/* pty.h: a program on a terminal of its own, which nobody sees. */
#ifndef WOODSHED_TESTS_TUI_PTY_H
#define WOODSHED_TESTS_TUI_PTY_H

#include <sys/types.h>

/* Starts it; *ret_fd is the terminal's other side, nonblocking.  -1: it could not be. */
pid_t pty_start(int columns, int rows, char *const argv[], int *ret_fd);
void pty_resize(int fd, int columns, int rows);
/* Takes what was sent there, for at most `ms`; 0: it is gone. */
int pty_drain(int fd, int ms);
/* The end of what pty_drain() took last: what a program said that gave up. */
const char *pty_last(void);

#endif
