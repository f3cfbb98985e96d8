/* A text in the user's own editor. */
#include "tui/editor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "library/base/arena.h"
#include "library/base/err.h"
#include "library/base/line.h"
#include "library/base/str.h"
#include "tui/child.h"
#include "tui/terminal.h"

enum { WORDS_MAX = 32 };

/* Words, the file last. */
static int words_of(const char *command, const char *file, struct arena *a,
	const char *argv[WORDS_MAX + 2], struct err *e)
{
	char *rest = arena_strdup(a, command && *command ? command : "vi"), *word;
	int n = 0;

	while ((word = strsep(&rest, " \t")))
		if (*word && n < WORDS_MAX)
			argv[n++] = word;
	if (!n)
		return err_set(e, ERR_ARG, "EDITOR names no program; set it to one, such as vi");
	argv[n++] = file;
	argv[n] = NULL;
	return 0;
}

static int run(const char *const *argv, struct err *e)
{
	const struct child_desc desc = {
		.program = argv[0], .argv = argv, .has_default_signals = true};
	pid_t pid;
	int why = child_start(&desc, &pid);

	if (why)
		return err_errno(e, why,
			"cannot start the editor '%.80s'; set EDITOR to one that is installed",
			argv[0]);
	if (child_succeeded(child_wait(pid)))
		return 0;
	return err_set(e, ERR_CANCELLED, "the editor ended with an error; the text is as it was");
}

static int read_back(const char *path, struct str *out, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char block[4096];
	ssize_t n = 0;

	if (fd < 0)
		return err_errno(e, errno, "cannot read what was edited");
	while (out->n <= EDITOR_BYTES_MAX && (n = read(fd, block, sizeof(block))) > 0)
		str_add_n(out, block, (size_t)n);
	close(fd);
	if (n < 0)
		return err_set(e, ERR_IO, "cannot read what was edited");
	if (out->n > EDITOR_BYTES_MAX)
		return err_set(
			e, ERR_FORMAT, "what was edited is longer than %d bytes", EDITOR_BYTES_MAX);
	if (out->n && out->s[out->n - 1] == '\n')
		out->s[--out->n] = 0;
	return 0;
}

int editor_run(
	const char *command, const char *folder, const char *text, struct str *out, struct err *e)
{
	struct arena a = {0};
	char *path = arena_printf(&a, "%s/prompt-XXXXXX.txt", folder);
	const char *argv[WORDS_MAX + 2];
	int fd = mkostemps(path, 4, O_CLOEXEC), rc = 0, why;

	if (fd < 0) {
		rc = err_errno(e, errno, "cannot write a file for the editor in '%s'", folder);
		arena_done(&a);
		return rc;
	}
	why = write_synced(fd, text, strlen(text));
	close(fd);
	if (why)
		rc = err_errno(e, why, "cannot write a file for the editor in '%s'", folder);
	if (!rc)
		rc = words_of(command, path, &a, argv, e);
	if (!rc) {
		terminal_lend();
		rc = run(argv, e);
		terminal_resume();
	}
	if (!rc)
		rc = read_back(path, out, e);
	unlink(path);
	arena_done(&a);
	return rc;
}
