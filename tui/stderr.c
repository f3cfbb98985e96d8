/* File descriptor 2, lent. */
#include "tui/stderr.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

int stderr_divert(int fd)
{
	int to = fd < 0 ? open("/dev/null", O_WRONLY | O_CLOEXEC) : fd;
	int saved = to < 0 ? -1 : fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);

	fflush(stderr);
	if (saved >= 0)
		dup2(to, STDERR_FILENO);
	if (to >= 0 && fd < 0)
		close(to);
	return saved;
}

void stderr_return(int *saved)
{
	if (*saved < 0)
		return;
	fflush(stderr);
	dup2(*saved, STDERR_FILENO);
	close(*saved);
	*saved = -1;
}
