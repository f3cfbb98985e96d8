/* woodshed-engine denoise as a child. */
#include "tui/denoise_process.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "library/base/err.h"

extern char **environ;

/* What a signal handler may touch. */
static char path[PATH_MAX];
static volatile sig_atomic_t is_there; /* the file of that name */
static volatile pid_t child;           /* 0: none */

void denoise_process_remove(void)
{
	if (is_there)
		unlink(path);
	is_there = 0;
}

void denoise_process_abandon(void)
{
	if (child)
		kill(child, SIGTERM);
	denoise_process_remove();
}

static int create(const char *dir, struct err *e)
{
	int fd, n = snprintf(path, sizeof path, "%s/.woodshed.XXXXXX.tmp", dir);

	if (n < 0 || (size_t)n >= sizeof path)
		return err_errno(e, ENAMETOOLONG, "cannot write to '%.200s'", dir);
	fd = mkstemps(path, 4);
	if (fd < 0)
		return err_errno(e, errno, "cannot write to '%s'", dir);
	close(fd);
	is_there = 1;
	return 0;
}

static int spawn(const struct denoise_process *d, const char *in, struct err *e)
{
	char program[] = "woodshed-engine", verb[] = "denoise", method[] = "--method",
	     mix[] = "--mix", quiet[] = "--quiet", end[] = "--", amount[32];
	char *argv[11] = {program}; /* all of them, and NULL */
	posix_spawn_file_actions_t files;
	size_t n = 1;
	pid_t pid;
	int why;

	snprintf(amount, sizeof amount, "%.17g", d->mix);
	if (d->quiet)
		argv[n++] = quiet;
	argv[n++] = verb;
	argv[n++] = method;
	argv[n++] = (char *)d->method;
	argv[n++] = mix;
	argv[n++] = amount;
	argv[n++] = end;
	argv[n++] = (char *)in;
	argv[n] = path;
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	why = posix_spawn(&pid, d->program, &files, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&files);
	if (why)
		return err_errno(
			e, why, "cannot start '%s', which belongs beside woodshed", d->program);
	child = pid;
	return 0;
}

int denoise_process_run(const struct denoise_process *d, const char *in, const char *out_dir,
	const char **ret_path, struct err *e)
{
	int status = 0, rc = create(out_dir, e);

	if (!rc)
		rc = spawn(d, in, e);
	if (!rc) {
		while (waitpid(child, &status, 0) < 0 && errno == EINTR)
			;
		child = 0;
		if (!WIFEXITED(status) || WEXITSTATUS(status))
			rc = err_set(e, ERR_CANCELLED, "'%s' was not denoised", in);
	}
	if (rc)
		denoise_process_remove();
	else
		*ret_path = path;
	return rc;
}
