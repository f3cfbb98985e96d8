/* woodshed-engine: the verbs that need a model or a device.
 *
 * Users call it through woodshed, which hands over the same words. */
#include <stdlib.h>
#include <string.h>

#include "engine/cli/print.h"
#include "engine/cli/stop.h"
#include "engine/cli/verbs.h"
#include "library/base/err.h"
#include "library/globals.h"

static const struct verb {
	const char *name;
	int (*run)(struct globals *g, const struct environment *env, int argc, char **argv);
} verbs[] = {
	{"render", verb_render},
	{"queue", verb_queue},
	{"worker", verb_worker},
	{"recipe", verb_recipe},
	{"denoise", verb_denoise},
	{"doctor", verb_doctor},
	{"tokens", verb_tokens},
};

static struct environment read_environment(void)
{
	static const char *const locales[] = {"LC_ALL", "LC_CTYPE", "LANG"};
	struct environment env = {
		.paths = {.woodshed_library = getenv("WOODSHED_LIBRARY"),
			.xdg_data_home = getenv("XDG_DATA_HOME"),
			.home = getenv("HOME")},
		.no_color = getenv("NO_COLOR"),
		.term = getenv("TERM"),
		.program = globals_program(),
		.xdg_cache_home = getenv("XDG_CACHE_HOME"),
		.hf_home = getenv("HF_HOME"),
	};

	for (size_t i = 0; i < 3 && !(env.locale && *env.locale); i++)
		env.locale = getenv(locales[i]);
	return env;
}

static int run(int argc, char **argv, struct err *e)
{
	const struct environment env = read_environment();
	struct globals g = {0};
	struct options o = {
		.group = {{.specs = globals_options, .values = &g}},
		.stop_at_argument = true,
		.argc = argc - 1,
		.argv = argv + 1,
	};

	if (options_parse(&o, e))
		return 2;
	if (g.version) {
		print_version();
		return 0;
	}
	for (size_t i = 0; o.argc && i < sizeof(verbs) / sizeof(*verbs); i++)
		if (!strcmp(o.argv[0], verbs[i].name))
			return verbs[i].run(&g, &env, o.argc - 1, o.argv + 1);
	err_set(e, ERR_ARG,
		"woodshed-engine knows the verbs render, queue, worker, recipe, denoise, tokens "
		"and doctor; see woodshed --help");
	return 2;
}

int main(int argc, char **argv)
{
	struct err e = {0};
	int status;

	globals_guard_stdio();
	stop_block();
	status = argc > 0 ? run(argc, argv, &e) : 2;
	if (!status && print_check(&e)) /* help and version, too, may not arrive */
		status = 1;
	if (e.code)
		print_error(e.text);
	return status;
}
