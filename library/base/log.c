/* Log: a line is formatted on the stack and written by one write(2), so that
 * lines of several threads do not mix. */
#include "library/base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "library/base/clock.h"
#include "library/base/str.h"

static const char *const level_names[] = {
	[LOG_ERROR] = "error",
	[LOG_WARN] = "warning",
	[LOG_INFO] = "info",
	[LOG_DEBUG] = "debug",
};

/* A pipe or a full disk may take a part only; the rest follows.  A log that
 * cannot be written is not worth stopping for. */
static void write_all(int fd, const char *s, size_t n)
{
	while (n) {
		ssize_t k = write(fd, s, n);
		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return;
		s += k;
		n -= (size_t)k;
	}
}

void log_line(const struct log *log, enum log_level level, const char *fmt, ...)
{
	char line[2048];
	char when[32];
	int saved = errno;
	size_t n;
	va_list ap;

	if (!log || log->fd < 0 || level > log->level)
		return;
	snprintf(line, sizeof line - 1, "%s %s %s: ", clock_iso(clock_unix_ms(), when),
		level_names[level], log->component ? log->component : "woodshed");
	n = strlen(line);
	va_start(ap, fmt);
	vsnprintf(line + n, sizeof line - 1 - n, fmt, ap);
	va_end(ap);
	str_sanitize(line);
	n = strlen(line);
	line[n] = '\n';
	write_all(log->fd, line, n + 1);
	errno = saved;
}
