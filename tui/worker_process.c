/* The worker that the workstation starts. */
#include "tui/worker_process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "library/base/err.h"

extern char **environ;

enum { DELAY_MAX_S = 60 };

int worker_process_start(struct worker_process *w, double now, struct err *e)
{
	char program[] = "woodshed-engine", verb[] = "worker", option[] = "--library",
	     quiet[] = "--quiet";
	char *argv[] = {program, quiet, option, (char *)w->library, verb, NULL};
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attributes;
	sigset_t none;
	int why;

	if (w->pid || now < w->not_until)
		return 0;
	posix_spawn_file_actions_init(&files);
	posix_spawnattr_init(&attributes);
	sigemptyset(&none);
	posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
	if (w->log_fd >= 0)
		posix_spawn_file_actions_adddup2(&files, w->log_fd, STDERR_FILENO);
	else
		posix_spawn_file_actions_addopen(&files, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
	/* A group of its own: Ctrl-C and a closed window are not meant for it. */
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK);
	why = posix_spawn(&w->pid, w->program, &files, &attributes, argv, environ);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&files);
	if (!why)
		return 0;
	w->pid = 0;
	w->not_until = now + DELAY_MAX_S;
	return err_errno(e, why, "cannot start '%s', which belongs beside woodshed", w->program);
}

bool worker_process_reap(struct worker_process *w, double now, bool *ret_died)
{
	int status;

	*ret_died = false;
	if (!w->pid || waitpid(w->pid, &status, WNOHANG) != w->pid)
		return false;
	w->pid = 0;
	*ret_died = !WIFEXITED(status) || WEXITSTATUS(status);
	w->n_deaths = *ret_died ? w->n_deaths + 1 : 0;
	if (*ret_died) {
		int delay = w->n_deaths > 5 ? DELAY_MAX_S : 1 << w->n_deaths;

		w->not_until = now + (delay < DELAY_MAX_S ? delay : DELAY_MAX_S);
	}
	return true;
}
