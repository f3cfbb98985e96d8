/* woodshed-engine denoise as a child. */
#include "tui/denoise_process.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "library/base/err.h"
#include "tui/child.h"

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

static int start(const struct denoise_process *d, const char *in, struct err *e)
{
	const char *argv[11] = {"woodshed-engine"}; /* all of them, and NULL */
	char amount[32];
	size_t n = 1;
	pid_t pid;
	int rc;

	snprintf(amount, sizeof amount, "%.17g", d->mix);
	if (d->quiet)
		argv[n++] = "--quiet";
	argv[n++] = "denoise";
	argv[n++] = "--method";
	argv[n++] = d->method;
	argv[n++] = "--mix";
	argv[n++] = amount;
	argv[n++] = "--";
	argv[n++] = in;
	argv[n] = path;
	rc = child_start_engine(
		&(struct child_desc){.program = d->program, .argv = argv, .in = CHILD_NULL}, &pid,
		e);
	if (!rc)
		child = pid;
	return rc;
}

int denoise_process_run(const struct denoise_process *d, const char *in, const char *out_dir,
	const char **ret_path, struct err *e)
{
	int status, rc = create(out_dir, e);

	if (!rc)
		rc = start(d, in, e);
	if (!rc) {
		status = child_wait(child);
		child = 0;
		if (!child_succeeded(status))
			rc = err_set(e, ERR_CANCELLED, "'%s' was not denoised", in);
	}
	if (rc)
		denoise_process_remove();
	else
		*ret_path = path;
	return rc;
}
