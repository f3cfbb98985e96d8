/* Ctrl-C, SIGTERM and SIGHUP end the program at once. */
#include "engine/cli/stop.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "library/base/err.h"

enum { WAIT_MS = 100 };

/* Signals belong to the process, and so does this state. */
static sigset_t watched;
static void (*hook)(void);
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static atomic_bool line_shown, finished, gentle, asked;

void stop_block(void)
{
	struct sigaction old;

	sigemptyset(&watched);
	/* A shell without job control starts background commands with SIGINT
	 * ignored; one that is sent on purpose counts all the same.  An ignored
	 * SIGHUP is nohup's, and means it. */
	sigaddset(&watched, SIGINT);
	sigaddset(&watched, SIGTERM);
	if (!sigaction(SIGHUP, NULL, &old) && old.sa_handler != SIG_IGN)
		sigaddset(&watched, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &watched, NULL);
	/* Linux drops ignored signals only while they are not blocked, but POSIX
	 * leaves it open. */
	signal(SIGINT, SIG_DFL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
}

static void say(const char *text)
{
	struct pollfd fd = {.fd = STDERR_FILENO, .events = POLLOUT};

	/* A reader of stderr that has stopped must not stop us. */
	if (poll(&fd, 1, WAIT_MS) == 1 && write(STDERR_FILENO, text, strlen(text)) < 0)
		return;
}

static void *watch(void *ud)
{
	struct timespec until;
	int sig;

	while (sigwait(&watched, &sig) || atomic_load(&finished) ||
		(atomic_load(&gentle) && !atomic_exchange(&asked, true)))
		;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += WAIT_MS * 1000000L;
	until.tv_sec += until.tv_nsec / 1000000000L;
	until.tv_nsec %= 1000000000L;
	pthread_mutex_timedlock(&lock, &until); /* never released: the last words are ours */
	hook();
	say(atomic_load(&line_shown) ? "\r\033[Kwoodshed: cancelled\n" : "woodshed: cancelled\n");
	_exit(128 + sig);
}

int stop_watch(void (*on_stop)(void), struct err *e)
{
	pthread_t thread;
	int rc;

	hook = on_stop;
	rc = pthread_create(&thread, NULL, watch, NULL);
	if (rc)
		return err_errno(e, rc, "cannot start a thread");
	pthread_detach(thread);
	return 0;
}

int stop_gently(void (*on_stop)(void), struct err *e)
{
	atomic_store(&gentle, true);
	return stop_watch(on_stop, e);
}

bool stop_asked(void)
{
	return atomic_load(&asked);
}

void stop_finish(void)
{
	atomic_store(&finished, true);
}

void stop_lock(void)
{
	pthread_mutex_lock(&lock);
}

void stop_unlock(void)
{
	pthread_mutex_unlock(&lock);
}

void stop_line_shown(bool shown)
{
	atomic_store(&line_shown, shown);
}
