/* Files of one line. */
#include "library/base/line.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "library/base/arena.h"
#include "library/base/err.h"

int line_read(const char *path, struct arena *a, const char **ret)
{
	char line[NAME_MAX + 2];
	ssize_t n;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), why;

	*ret = NULL;
	if (fd < 0)
		return errno;
	n = read(fd, line, sizeof(line) - 1);
	why = n < 0 ? errno : 0;
	close(fd);
	if (why)
		return why;
	line[n] = 0;
	line[strcspn(line, "\n")] = 0;
	*ret = arena_strdup(a, line);
	return 0;
}

int write_synced(int fd, const void *data, size_t n)
{
	const char *p = data;

	while (n) {
		ssize_t some = write(fd, p, n);

		if (some < 0 && errno != EINTR)
			return errno;
		if (some > 0) {
			p += some;
			n -= (size_t)some;
		}
	}
	return fsync(fd) ? errno : 0;
}

int file_write(const char *path, const void *data, size_t n, struct err *e)
{
	struct arena a = {0};
	char *fresh = arena_printf(&a, "%s.XXXXXX", path);
	int fd = mkostemp(fresh, O_CLOEXEC), why = fd < 0 ? errno : 0;

	if (!why)
		why = write_synced(fd, data, n);
	if (fd >= 0 && close(fd) && !why)
		why = errno;
	if (!why && rename(fresh, path))
		why = errno;
	if (why && fd >= 0)
		unlink(fresh);
	arena_done(&a);
	return why ? err_errno(e, why, "cannot write '%s'", path) : 0;
}

int line_write(const char *path, const char *text, struct err *e)
{
	struct arena a = {0};
	const char *line = arena_printf(&a, "%s\n", text);
	int rc = file_write(path, line, strlen(line), e);

	arena_done(&a);
	return rc;
}
