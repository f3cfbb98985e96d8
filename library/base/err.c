/* Errors: formatting into the fixed buffer, and the table of names. */
#include "library/base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "library/base/str.h"

enum { ERR_TEXT = sizeof((struct err *)0)->text };

static const char *const names[] = {
	[-ERR_OK] = "no error",
	[-ERR_NOMEM] = "no memory",
	[-ERR_IO] = "input or output",
	[-ERR_FORMAT] = "bad format",
	[-ERR_BUSY] = "busy",
	[-ERR_CANCELLED] = "cancelled",
	[-ERR_UNSUPPORTED] = "not supported",
	[-ERR_GPU] = "device operation",
	[-ERR_GPU_LOST] = "device lost",
	[-ERR_BUG] = "internal error",
	[-ERR_ARG] = "bad argument",
};

const char *err_name(int code)
{
	if (code > 0 || code < -(int)(sizeof names / sizeof *names) + 1)
		return "unknown error";
	return names[-code];
}

/* Replaces what text holds after `at`; too much is cut. */
static void put(char text[ERR_TEXT], size_t at, const char *fmt, va_list ap)
{
	vsnprintf(text + at, ERR_TEXT - at, fmt, ap);
	str_sanitize(text + at);
}

int err_set(struct err *e, int code, const char *fmt, ...)
{
	va_list ap;

	if (!e || e->code)
		return code;
	e->code = code;
	va_start(ap, fmt);
	put(e->text, 0, fmt, ap);
	va_end(ap);
	return code;
}

int err_wrap(struct err *e, int code, const char *fmt, ...)
{
	char old[ERR_TEXT];
	size_t n, room;
	va_list ap;

	if (!e)
		return code;
	memcpy(old, e->text, sizeof old);
	va_start(ap, fmt);
	put(e->text, 0, fmt, ap);
	va_end(ap);
	if (!e->code)
		return e->code = code;
	n = strlen(e->text);
	room = ERR_TEXT - n;
	if (room > 2) {
		memcpy(e->text + n, ": ", 2);
		memcpy(e->text + n + 2, old, room - 2);
		e->text[ERR_TEXT - 1] = '\0';
		str_sanitize(e->text + n);
	}
	return e->code;
}

int err_errno(struct err *e, int errno_value, const char *fmt, ...)
{
	int code = errno_value == ENOMEM ? ERR_NOMEM : ERR_IO;
	char context[ERR_TEXT];
	char reason[128];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(context, sizeof context, fmt, ap);
	va_end(ap);
	return err_set(e, code, "%s: %s", context, strerror_r(errno_value, reason, sizeof reason));
}

void err_clear(struct err *e)
{
	if (e)
		*e = (struct err){0};
}
