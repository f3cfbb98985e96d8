/* on-pty COLUMNSxROWS COMMAND...: runs it on a terminal of that size that nobody
 * sees; the exit status is its, 128 and the signal's number when one ended it. */
#include <stdio.h>
#include <sys/wait.h>

#include "tests/tui/pty.h"

int main(int argc, char **argv)
{
	int columns, rows, fd, status;
	pid_t pid;

	if (argc < 3 || sscanf(argv[1], "%dx%d", &columns, &rows) != 2)
		return 2;
	pid = pty_start(columns, rows, argv + 2, &fd);
	if (pid < 0)
		return 99;
	while (pty_drain(fd, 1000))
		;
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
