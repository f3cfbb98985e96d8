/* What stands before any verb, the same for both programs. */
#include "library/globals.h"

#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "library/base/arena.h"
#include "library/models.h"

#define FIELD(f) offsetof(struct globals, f)

const char woodshed_version[] = WOODSHED_VERSION;

const struct option_spec globals_options[] = {
	{"library", 0, OPTION_TEXT, "DIR",
		"where takes and models are (default: WOODSHED_LIBRARY, then "
		"$XDG_DATA_HOME/woodshed)",
		FIELD(library), 0, 0},
	{"color", 0, OPTION_CHOICE, "auto|always|never", "colours on a terminal (default auto)",
		FIELD(color), 0, 0},
	{"plain", 0, OPTION_FLAG, NULL, "no colours and nothing drawn over, for screen readers",
		FIELD(plain), 0, 0},
	{"quiet", 0, OPTION_FLAG, NULL, "no progress and no warnings", FIELD(quiet), 0, 0},
	{"help", 'h', OPTION_FLAG, NULL, "this text", FIELD(help), 0, 0},
	{"version", 0, OPTION_FLAG, NULL, "the version", FIELD(version), 0, 0},
	{0},
};

int globals_library(const struct globals *g, const struct environment *env, struct arena *a,
	const char **ret, struct err *e)
{
	struct paths_env paths = env->paths;

	paths.option = g->library;
	return paths_library(&paths, a, ret, e);
}

int globals_library_name(const struct globals *g, const struct environment *env, struct arena *a,
	const char **ret, struct err *e)
{
	struct paths_env paths = env->paths;

	paths.option = g->library;
	return paths_library_name(&paths, a, ret, e);
}

int globals_check_output(
	const struct globals *g, const struct environment *env, const char *path, struct err *e)
{
	struct arena a = {0};
	const char *library;
	int rc = 0;

	if (!globals_library_name(g, env, &a, &library, NULL)) /* else there are no takes */
		rc = paths_check_output(library, path, e);
	arena_done(&a);
	return rc;
}

const char *globals_program(void)
{
	static char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self));

	if (n <= 0 || n >= (ssize_t)sizeof(self))
		return NULL;
	self[n] = 0;
	*strrchr(self, '/') = 0;
	return self[0] ? self : "/";
}

static bool is_given(const char *s)
{
	return s && *s;
}

const char *globals_hf_home(const struct environment *env, struct arena *a)
{
	if (is_given(env->hf_home))
		return env->hf_home;
	if (is_given(env->xdg_cache_home))
		return arena_printf(a, "%s/huggingface", env->xdg_cache_home);
	if (is_given(env->paths.home))
		return arena_printf(a, "%s/.cache/huggingface", env->paths.home);
	return NULL;
}

int globals_models(const struct globals *g, const struct environment *env, struct arena *a,
	struct models *ret, struct err *e)
{
	const char *own = paths_starter(env->program, a), *hf = globals_hf_home(env, a);
	const char *hub = hf ? arena_printf(a, "%s/hub", hf) : NULL, *library = NULL;
	int rc = globals_library_name(g, env, a, &library, own ? NULL : e);

	return rc && !own ? rc : models_list_shared(library, own, hub, a, ret, e);
}

bool globals_has_color(const struct globals *g, const struct environment *env, bool is_terminal)
{
	if (g->plain || (g->color && !strcmp(g->color, "never")))
		return false;
	if (g->color && !strcmp(g->color, "always"))
		return true;
	return is_terminal && !(env->no_color && *env->no_color) && globals_has_cursor(g, env);
}

bool globals_has_cursor(const struct globals *g, const struct environment *env)
{
	return !g->plain && env->term && *env->term && strcmp(env->term, "dumb");
}

bool environment_is_utf8(const struct environment *env)
{
	return env->locale && (strcasestr(env->locale, "UTF-8") || strcasestr(env->locale, "UTF8"));
}

void globals_guard_stdio(void)
{
	int fd;

	/* open() takes the lowest free number, so three are enough. */
	while ((fd = open("/dev/null", O_RDWR)) >= 0 && fd <= STDERR_FILENO)
		;
	if (fd > STDERR_FILENO)
		close(fd);
}
