/* Whole lines to stdout and stderr. */
#include "engine/cli/print.h"

#include <errno.h>
#include <unistd.h>

#include "engine/cli/stop.h"
#include "library/base/err.h"
#include "library/base/str.h"
#include "library/globals.h"

static int stdout_errno; /* of the first failure */

static int put(int fd, const char *text, size_t n)
{
	while (n) {
		ssize_t done = write(fd, text, n);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return errno;
		text += done;
		n -= (size_t)done;
	}
	return 0;
}

void print_line(const char *text)
{
	struct str line = {0};

	if (stdout_errno)
		return;
	str_add(&line, text);
	str_add_char(&line, '\n');
	stdout_errno = put(STDOUT_FILENO, line.s, line.n);
	str_done(&line);
}

void print_version(void)
{
	struct str line = {0};

	str_printf(&line, "woodshed %s", woodshed_version);
	print_line(line.s);
	str_done(&line);
}

int print_check(struct err *e)
{
	if (!stdout_errno || stdout_errno == EPIPE)
		return 0;
	return err_errno(e, stdout_errno, "cannot write to standard output");
}

void print_stderr(const char *text, size_t n)
{
	put(STDERR_FILENO, text, n);
}

static void say(const char *kind, const char *text)
{
	struct str line = {0};

	str_printf(&line, "woodshed: %s%s", kind, text);
	str_sanitize(line.s);
	str_add_char(&line, '\n');
	stop_lock();
	put(STDERR_FILENO, line.s, line.n);
	stop_unlock();
	str_done(&line);
}

void print_error(const char *text)
{
	say("", text);
}

void print_warning(const char *text)
{
	say("warning: ", text);
}

void print_help(const char *usage, const struct option_spec *own)
{
	struct str out = {0};

	str_add(&out, usage);
	options_help(own, &out);
	str_add(&out, "\n");
	options_help(globals_options, &out);
	out.s[--out.n] = 0; /* the line's own newline */
	print_line(out.s);
	str_done(&out);
}
