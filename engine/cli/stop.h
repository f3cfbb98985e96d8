/* stop.h: Ctrl-C, SIGTERM and SIGHUP end the program at once.
 *
 * A thread of its own waits for them, so it does not matter what the others
 * do: an op of a second, a load, a write to a slow disk.  It removes the
 * files in the making, clears the progress line, says "woodshed: cancelled"
 * and exits with 128 + the signal. */
#ifndef WOODSHED_ENGINE_CLI_STOP_H
#define WOODSHED_ENGINE_CLI_STOP_H

#include <stdbool.h>

struct err;

/* First thing in main, before any thread is made.  Also makes a closed pipe
 * and the file size limit plain write errors. */
void stop_block(void);
/* on_stop runs in the thread before it exits: takes no locks, allocates
 * nothing. */
int stop_watch(void (*on_stop)(void), struct err *e);
/* For a program that can end in good order: the first signal only sets what
 * stop_asked() tells, the next one ends it as above. */
int stop_gently(void (*on_stop)(void), struct err *e);
bool stop_asked(void);
/* The work is done and told: what comes later is too late to stop it. */
void stop_finish(void);

/* Held around what must not be mixed with the last words: output to the
 * terminal.  Never held for longer than a write; a stop waits for it for a
 * tenth of a second at most. */
void stop_lock(void);
void stop_unlock(void);
/* Whether a progress line stands on the terminal; with the lock held. */
void stop_line_shown(bool shown);

#endif
