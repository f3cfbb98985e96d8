/* Log: one line per event, by component and level, to a file or stderr.
 *
 * Library code logs at debug only; programs decide what is shown.  A struct
 * log is safe to use from several threads (one write(2) per line). */
#ifndef WOODSHED_BASE_LOG_H
#define WOODSHED_BASE_LOG_H

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

struct log {
	int fd;               /* where lines go; -1: nowhere.  Borrowed. */
	enum log_level level; /* lines above it are dropped */
	const char *component;
};

void log_line(const struct log *log, enum log_level level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif
