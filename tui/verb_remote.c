/* woodshed remote: a command for the workstation that runs. */
#include <stdio.h>
#include <string.h>

#include "library/base/arena.h"
#include "library/base/err.h"
#include "library/base/options.h"
#include "library/base/str.h"
#include "library/globals.h"
#include "tui/control.h"
#include "tui/verbs.h"

static int send_words(const struct globals *g, const struct environment *env, int argc, char **argv,
	bool *ret_ok, struct str *answer, struct err *e)
{
	struct arena a = {0};
	struct str line = {0};
	const char *library;
	int rc = globals_library_name(g, env, &a, &library, e);

	for (int i = 0; i < argc; i++)
		str_printf(&line, "%s%s", i ? " " : "", argv[i]);
	if (!rc && line.n >= CONTROL_LINE_MAX)
		rc = err_set(
			e, ERR_ARG, "the command is longer than %d bytes", CONTROL_LINE_MAX - 1);
	if (!rc && strchr(str_get(&line), '\n')) /* the rest of it would be lost */
		rc = err_set(e, ERR_ARG, "a command is one line");
	if (!rc)
		rc = control_send(control_path(env->xdg_runtime_dir, library, &a), str_get(&line),
			ret_ok, answer, e);
	str_done(&line);
	arena_done(&a);
	return rc;
}

int verb_remote(struct globals *g, const struct environment *env, int argc, char **argv)
{
	struct options o = {
		.group = {{.specs = globals_options, .values = g}},
		.stop_at_argument = true,
		.argc = argc,
		.argv = argv,
	};
	struct str answer = {0};
	struct err e = {0};
	bool ok = false;
	int rc = verb_begin(&o, g,
		"usage: woodshed remote COMMAND [ARGUMENT]...\n\n"
		"Runs a command of the workstation that has this library open, as its : line\n"
		"does, and prints what it says: remote play, remote filter /lofi, remote status.\n"
		"The status is 1 when the command failed or no workstation runs.\n\n",
		&e);

	if (rc > 0)
		return finish_output();
	if (!rc && !o.argc)
		rc = err_set(
			&e, ERR_ARG, "remote wants a command, such as: woodshed remote status");
	if (!rc)
		rc = send_words(g, env, o.argc, o.argv, &ok, &answer, &e);
	if (rc)
		return verb_fail(rc, &e);
	if (ok && answer.n)
		puts(str_get(&answer));
	else if (!ok)
		complain(str_get(&answer));
	str_done(&answer);
	return ok ? finish_output() : 1;
}
