/* Other programs. */
#include "tui/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "library/base/err.h"

extern char **environ;

static int put(posix_spawn_file_actions_t *files, int fd, int target)
{
	if (fd == CHILD_NULL)
		return posix_spawn_file_actions_addopen(files, target, "/dev/null", O_RDWR, 0);
	return fd ? posix_spawn_file_actions_adddup2(files, fd, target) : 0;
}

int child_start(const struct child_desc *d, pid_t *ret_pid)
{
	short flags = POSIX_SPAWN_SETSIGMASK;
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attributes;
	sigset_t none, all;
	int why;

	sigemptyset(&none);
	sigfillset(&all);
	posix_spawn_file_actions_init(&files);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setsigdefault(&attributes, &all);
	if (d->has_own_group)
		flags |= POSIX_SPAWN_SETPGROUP;
	if (d->has_default_signals)
		flags |= POSIX_SPAWN_SETSIGDEF;
	posix_spawnattr_setflags(&attributes, flags);
	why = put(&files, d->in, STDIN_FILENO);
	if (!why)
		why = put(&files, d->out, STDOUT_FILENO);
	if (!why)
		why = put(&files, d->err, STDERR_FILENO);
	if (!why)
		why = posix_spawnp(
			ret_pid, d->program, &files, &attributes, (char **)d->argv, environ);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&files);
	return why;
}

int child_start_engine(const struct child_desc *d, pid_t *ret_pid, struct err *e)
{
	int why = child_start(d, ret_pid);

	if (!why)
		return 0;
	return err_errno(e, why, "cannot start '%s', which belongs beside woodshed", d->program);
}

int child_wait(pid_t pid)
{
	int status = 0;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return status;
}

bool child_succeeded(int status)
{
	return WIFEXITED(status) && !WEXITSTATUS(status);
}
