/* thread.h: threads that no signal goes to: those are the main thread's, which waits for
 * them. */
#ifndef WOODSHED_TUI_THREAD_H
#define WOODSHED_TUI_THREAD_H

#include <pthread.h>

/* pthread_create() of one with every signal blocked: 0, or a value of errno. */
int thread_start(pthread_t *ret, void *(*run)(void *ud), void *ud);

#endif
