/* woodshed: the program that users call.
 *
 * It carries no engine: a verb that needs one becomes woodshed-engine, which
 * lies beside this program and gets the same words. */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "library/base/err.h"
#include "library/base/str.h"
#include "library/globals.h"
#include "tui/verbs.h"

enum where {
	HERE,
	ENGINE,
	LATER, /* has a name, but nobody has built it */
};

static const struct verb {
	const char *name;
	enum where where;
	const char *help;
	int (*run)(struct globals *g, const struct environment *env, int argc, char **argv);
} verbs[] = {
	{"render", ENGINE, "render PROMPT    make music from a text", NULL},
	{"models", HERE, "models           list installed models", verb_models},
	{"recipe", HERE, "recipe FILE.wav  print how a file was made", verb_recipe},
	{"doctor", ENGINE, "doctor           report devices, memory, library and models", NULL},
	{"queue", LATER, NULL, NULL},
	{"worker", LATER, NULL, NULL},
	{"jobs", LATER, NULL, NULL},
	{"takes", LATER, NULL, NULL},
	{"cancel", LATER, NULL, NULL},
	{"retry", LATER, NULL, NULL},
	{"denoise", LATER, NULL, NULL},
	{"export", LATER, NULL, NULL},
	{"play", LATER, NULL, NULL},
	{"spectrogram", LATER, NULL, NULL},
	{"pull", LATER, NULL, NULL},
};

enum { N_VERBS = sizeof(verbs) / sizeof(*verbs) };

static struct environment read_environment(void)
{
	return (struct environment){
		.paths = {.woodshed_library = getenv("WOODSHED_LIBRARY"),
			.xdg_data_home = getenv("XDG_DATA_HOME"),
			.home = getenv("HOME")},
		.no_color = getenv("NO_COLOR"),
		.term = getenv("TERM"),
	};
}

static int fail_args(const struct err *e)
{
	complain(e->text);
	return 2;
}

static int print_help(void)
{
	struct str out = {0};

	str_add(&out, "usage: woodshed [OPTION]... VERB ...\n\n");
	for (size_t i = 0; i < N_VERBS; i++)
		if (verbs[i].help)
			str_printf(&out, "  %s\n", verbs[i].help);
	str_add(&out, "\nwoodshed VERB --help tells more.  Before or after any verb:\n\n");
	options_help(globals_options, &out);
	fputs(str_get(&out), stdout);
	str_done(&out);
	return finish_output();
}

static int fail_no_verb(void)
{
	fputs("woodshed: the workstation is not part of this version; name a verb:\n"
	      "  woodshed render --model DIR --out FILE.wav \"slow piano\"\n"
	      "makes music from a text; woodshed --help lists the others\n",
		stderr);
	return 2;
}

static int fail_unknown(const char *word)
{
	const char *nearest = NULL;
	struct err e = {0};
	size_t best = 3; /* more than two slips apart is another word */

	for (size_t i = 0; i < N_VERBS; i++) {
		size_t d = edit_distance(word, verbs[i].name);

		if (d < best) {
			best = d;
			nearest = verbs[i].name;
		}
	}
	if (nearest)
		err_set(&e, ERR_ARG, "unknown verb '%.80s'; did you mean %s?", word, nearest);
	else
		err_set(&e, ERR_ARG,
			"unknown verb '%.80s'; see --help (a prompt goes with render: woodshed "
			"render "
			"PROMPT)",
			word);
	return fail_args(&e);
}

/* Becomes woodshed-engine; returns only when that is not there. */
static int run_engine(char **argv)
{
	char self[PATH_MAX];
	struct str path = {0};
	struct err e = {0};
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self));

	if (n <= 0 || n >= (ssize_t)sizeof(self)) {
		complain("cannot tell where this program is; mount /proc, or call woodshed-engine");
		return 1;
	}
	while (self[n - 1] != '/')
		n--;
	str_add_n(&path, self, (size_t)n);
	str_add(&path, "woodshed-engine");
	argv[0] = path.s;
	execv(path.s, argv);
	err_errno(&e, errno, "cannot start '%s', which belongs beside woodshed", path.s);
	complain(e.text);
	str_done(&path);
	return 1;
}

/* words: argv of main, kept as it was for the engine. */
static int run_verb(struct globals *g, char **words, int argc, char **argv)
{
	const struct environment env = read_environment();
	const struct verb *v = NULL;
	char text[128];

	for (size_t i = 0; i < N_VERBS && !v; i++)
		if (!strcmp(verbs[i].name, argv[0]))
			v = &verbs[i];
	if (!v)
		return fail_unknown(argv[0]);
	if (v->where == ENGINE)
		return run_engine(words);
	if (v->where == HERE)
		return v->run(g, &env, argc - 1, argv + 1);
	snprintf(text, sizeof(text),
		"%s is not part of this version; render, models, recipe and doctor are", v->name);
	complain(text);
	return 2;
}

int main(int argc, char **argv)
{
	struct globals g = {0};
	struct err e = {0};
	char **copy;
	struct options o = {
		.group = {{.specs = globals_options, .values = &g}}, .stop_at_argument = true};
	int status;

	globals_guard_stdio();
	signal(SIGPIPE, SIG_IGN);
	if (argc < 1)
		return 2;
	copy = calloc((size_t)argc + 1, sizeof(*copy)); /* parsing moves words */
	if (!copy)
		return 1;
	memcpy(copy, argv, (size_t)argc * sizeof(*copy));
	o.argc = argc - 1;
	o.argv = copy + 1;
	if (options_parse(&o, &e)) {
		status = fail_args(&e);
	} else if (g.version) {
		printf("woodshed %s\n", woodshed_version);
		status = finish_output();
	} else if (!o.argc) {
		status = g.help ? print_help() : fail_no_verb();
	} else {
		status = run_verb(&g, argv, o.argc, o.argv);
	}
	free(copy);
	return status;
}
