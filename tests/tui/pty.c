/* A program on a terminal of its own. */
#include "tests/tui/pty.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

static void become(const char *name, int columns, int rows, char *const argv[])
{
	int fd;

	setsid();
	fd = open(name, O_RDWR);
	ioctl(fd, TIOCSCTTY, 0);
	pty_resize(fd, columns, rows);
	for (int i = 0; i < 3; i++)
		dup2(fd, i);
	if (fd > 2)
		close(fd);
	execvp(argv[0], argv);
	_exit(127);
}

pid_t pty_start(int columns, int rows, char *const argv[], int *ret_fd)
{
	int fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	const char *name;
	pid_t pid;

	if (fd < 0 || grantpt(fd) || unlockpt(fd) || !(name = ptsname(fd)))
		return -1;
	pid = fork();
	if (!pid)
		become(name, columns, rows, argv);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	*ret_fd = fd;
	return pid;
}

void pty_resize(int fd, int columns, int rows)
{
	const struct winsize size = {
		.ws_row = (unsigned short)rows, .ws_col = (unsigned short)columns};

	ioctl(fd, TIOCSWINSZ, &size);
}

static char last[512];

static void keep_last(const char *bytes, size_t n)
{
	const size_t room = sizeof(last) - 1, from = n > room ? n - room : 0;
	size_t had = strlen(last), keep = had + n - from > room ? room - (n - from) : had;

	memmove(last, last + had - keep, keep);
	memcpy(last + keep, bytes + from, n - from);
	last[keep + n - from] = 0;
	for (char *c = last; *c; c++)
		if (*c < ' ' || *c == 127)
			*c = '.';
}

const char *pty_last(void)
{
	return last;
}

int pty_drain(int fd, int ms)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	char bytes[65536];

	while (poll(&p, 1, ms) > 0) {
		ssize_t n = read(fd, bytes, sizeof(bytes));

		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
			return 0;
		if (n > 0)
			keep_last(bytes, (size_t)n);
		ms = 0;
	}
	return 1;
}
