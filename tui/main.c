/* woodshed: the program that users call.
 *
 * It carries no engine: a verb that needs one becomes woodshed-engine, which
 * lies beside this program and gets the same words. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "library/base/err.h"
#include "library/base/str.h"
#include "library/globals.h"
#include "tui/verbs.h"
#include "tui/workstation.h"

enum where {
	HERE,
	ENGINE,
};

static const struct verb {
	const char *name;
	enum where where;
	const char *help;
	int (*run)(struct globals *g, const struct environment *env, int argc, char **argv);
	const char *engine_option; /* with which a verb is the engine's after all; or NULL */
} verbs[] = {
	{"render", ENGINE, "render PROMPT       make music from a text", NULL, NULL},
	{"queue", ENGINE, "queue PROMPT        add work to the queue", NULL, NULL},
	{"worker", ENGINE, "worker              do the work in the queue", NULL, NULL},
	{"jobs", HERE, "jobs                list the queue", verb_jobs, NULL},
	{"cancel", HERE, "cancel JOB...       stop work, or take it out of the queue", verb_cancel,
		NULL},
	{"retry", HERE, "retry JOB...        queue again what failed", verb_retry, NULL},
	{"takes", HERE, "takes [FILTER]...   list what was made", verb_takes, NULL},
	{"denoise", ENGINE, "denoise IN OUT      take noise out of an audio file", NULL, NULL},
	{"play", HERE, "play FILE|TAKE...   play, one after another", verb_play, NULL},
	{"export", HERE, "export FILE... DIR  write takes for others: format, loudness, name",
		verb_export, NULL},
	{"spectrogram", HERE, "spectrogram FILE    draw the frequencies of a take over time",
		verb_spectrogram, NULL},
	{"models", HERE, "models              list installed models", verb_models, NULL},
	{"pull", HERE, "pull MODEL          fetch a model from Hugging Face", verb_pull, NULL},
	{"unload", HERE, "unload              workers free the model they hold", verb_unload, NULL},
	{"recipe", HERE, "recipe FILE         print how a file was made, or --verify it",
		verb_recipe, "--verify"},
	{"remote", HERE, "remote COMMAND...   run a command of the workstation that is open",
		verb_remote, NULL},
	{"backup", HERE, "backup FILE         copy the library's database", verb_backup, NULL},
	{"doctor", ENGINE, "doctor              report devices, memory, audio, library and models",
		NULL, NULL},
};

enum { N_VERBS = sizeof(verbs) / sizeof(*verbs) };

static struct environment read_environment(void)
{
	struct environment env = {
		.paths = {.woodshed_library = getenv("WOODSHED_LIBRARY"),
			.xdg_data_home = getenv("XDG_DATA_HOME"),
			.home = getenv("HOME")},
		.no_color = getenv("NO_COLOR"),
		.term = getenv("TERM"),
		.program = globals_program(),
		.xdg_cache_home = getenv("XDG_CACHE_HOME"),
		.xdg_config_home = getenv("XDG_CONFIG_HOME"),
		.xdg_state_home = getenv("XDG_STATE_HOME"),
		.xdg_runtime_dir = getenv("XDG_RUNTIME_DIR"),
		.shell = getenv("SHELL"),
		.xdg_music_dir = getenv("XDG_MUSIC_DIR"),
		.hf_home = getenv("HF_HOME"),
		.hf_endpoint = getenv("HF_ENDPOINT"),
		.hf_token = getenv("HF_TOKEN"),
		.colorterm = getenv("COLORTERM"),
		.terminfo_dirs = getenv("TERMINFO_DIRS"),
		.tmux = getenv("TMUX"),
		.editor = getenv("VISUAL"),
		.ssh_connection = getenv("SSH_CONNECTION"),
	};
	static const char *const locales[] = {"LC_ALL", "LC_CTYPE", "LANG"};

	if (!env.editor || !*env.editor)
		env.editor = getenv("EDITOR");
	/* The first that is set and not empty, as the C library has it. */
	for (size_t i = 0; i < 3 && !(env.locale && *env.locale); i++)
		env.locale = getenv(locales[i]);
	return env;
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
	const char *folder = globals_program();
	struct str path = {0};
	struct err e = {0};

	if (!folder) {
		complain("cannot tell where this program is; mount /proc, or call woodshed-engine");
		return 1;
	}
	str_printf(&path, "%s/woodshed-engine", folder);
	argv[0] = path.s;
	execv(path.s, argv);
	err_errno(&e, errno, "cannot start '%s', which belongs beside woodshed", path.s);
	complain(e.text);
	str_done(&path);
	return 1;
}

/* What stands in for the workstation where there is no terminal: a take of the
 * default model, in the library.  argv: options before a verb. */
static int demonstrate(int argc, char **argv)
{
	char verb[] = "render", option[] = "--seconds", seconds[] = "10",
	     prompt[] = "slow lofi hip hop, electric piano, 74 bpm";
	char *more[] = {verb, option, seconds, prompt};
	enum { N_MORE = sizeof(more) / sizeof(*more) };
	char **words = calloc((size_t)argc + N_MORE + 1, sizeof(*words));
	int status;

	if (!words)
		return 1;
	memcpy(words, argv, (size_t)argc * sizeof(*words));
	memcpy(words + argc, more, sizeof(more));
	status = run_engine(words);
	free(words);
	return status;
}

static int open_or_demonstrate(const struct globals *g, int argc, char **argv)
{
	const struct environment env = read_environment();

	if (isatty(STDIN_FILENO) && isatty(STDOUT_FILENO))
		return workstation_run(g, &env);
	return demonstrate(argc, argv);
}

/* Whether `word` is among the options: before a "--". */
static bool has_option(int argc, char **argv, const char *word)
{
	for (int i = 0; i < argc && strcmp(argv[i], "--"); i++)
		if (!strcmp(argv[i], word))
			return true;
	return false;
}

/* words: argv of main, kept as it was for the engine. */
static int run_verb(struct globals *g, char **words, int argc, char **argv)
{
	const struct environment env = read_environment();
	const struct verb *v = NULL;

	for (size_t i = 0; i < N_VERBS && !v; i++)
		if (!strcmp(verbs[i].name, argv[0]))
			v = &verbs[i];
	if (!v)
		return fail_unknown(argv[0]);
	if (v->where == ENGINE ||
		(v->engine_option && has_option(argc - 1, argv + 1, v->engine_option)))
		return run_engine(words);
	return v->run(g, &env, argc - 1, argv + 1);
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
		status = g.help ? print_help() : open_or_demonstrate(&g, argc, argv);
	} else {
		status = run_verb(&g, argv, o.argc, o.argv);
	}
	free(copy);
	return status;
}
