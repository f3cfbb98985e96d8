/* Threads that no signal goes to. */
#include "tui/thread.h"

#include <signal.h>

int thread_start(pthread_t *ret, void *(*run)(void *ud), void *ud)
{
	sigset_t all, before;
	int why;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	why = pthread_create(ret, NULL, run, ud);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return why;
}
