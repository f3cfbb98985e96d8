/* Paths of the library, and the folders they need. */
#include "library/paths.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "library/base/arena.h"
#include "library/base/err.h"
#include "library/base/sha256.h"
#include "library/base/str.h"

enum { TRIES = 100 };

static bool is_given(const char *s)
{
	return s && *s;
}

/* mkdir -p, for the user alone. */
static int make_folders(char *path, struct err *e)
{
	struct stat st;

	if (strlen(path) >= PATH_MAX)
		return err_set(e, ERR_ARG,
			"folder name '%.64s...' is too long; choose a shorter one", path);
	for (char *p = path + 1;; p++) {
		char c = *p;
		int why;
		if (c && c != '/')
			continue;
		*p = '\0';
		why = mkdir(path, 0700) ? errno : 0; /* before stat changes it */
		if (why && why != EEXIST && stat(path, &st))
			return err_errno(e, why,
				"cannot make the folder '%s' (choose another with "
				"--library)",
				path);
		*p = c;
		if (!c)
			break;
	}
	if (stat(path, &st))
		return err_errno(e, errno, "cannot use the folder '%s'", path);
	if (!S_ISDIR(st.st_mode))
		return err_set(e, ERR_IO,
			"'%s' is no folder; move it away or choose another with --library", path);
	return 0;
}

static int library_name(const struct paths_env *env, struct arena *a, char **ret, struct err *e)
{
	char *path;

	if (is_given(env->option))
		path = arena_strdup(a, env->option);
	else if (is_given(env->woodshed_library))
		path = arena_strdup(a, env->woodshed_library);
	else if (is_given(env->xdg_data_home) && env->xdg_data_home[0] == '/')
		path = arena_printf(a, "%s/woodshed", env->xdg_data_home);
	else if (is_given(env->home))
		path = arena_printf(a, "%s/.local/share/woodshed", env->home);
	else
		return err_set(e, ERR_ARG,
			"cannot tell where the library is: set HOME, or give --library DIR");
	*ret = path;
	return 0;
}

int paths_library(const struct paths_env *env, struct arena *a, const char **ret, struct err *e)
{
	char *path = NULL;
	int rc = library_name(env, a, &path, e);

	if (!rc)
		rc = make_folders(path, e);
	*ret = rc ? NULL : path;
	return rc;
}

int paths_library_name(
	const struct paths_env *env, struct arena *a, const char **ret, struct err *e)
{
	char *path = NULL;
	int rc = library_name(env, a, &path, e);

	*ret = path;
	return rc;
}

/* The real name of place/name, seen from program_dir unless it is absolute; NULL: there is none. */
static const char *find(
	const char *program_dir, const char *place, const char *name, struct arena *a)
{
	char real[PATH_MAX];

	return realpath(
		       arena_printf(a, "%s/%s/%s", place[0] == '/' ? "" : program_dir, place, name),
		       real)
		       ? arena_strdup(a, real)
		       : NULL;
}

const char *paths_starter(const char *program_dir, struct arena *a)
{
	static const char *const places[] = {WOODSHED_DATA, "engine"};

	for (size_t i = 0; is_given(program_dir) && i < 2; i++) {
		const char *dir = find(program_dir, places[i], "starter", a);

		if (dir && !access(arena_printf(a, "%s/config.json", dir), R_OK))
			return dir;
	}
	return NULL;
}

const char *paths_shared(const char *program_dir, const char *name, struct arena *a)
{
	static const char *const places[] = {WOODSHED_DATA, ".", "engine/denoise"};

	for (size_t i = 0; is_given(program_dir) && i < 3; i++) {
		const char *dir = find(program_dir, places[i], name, a);
		struct stat st;

		if (dir && !stat(dir, &st) && S_ISDIR(st.st_mode))
			return dir;
	}
	return NULL;
}

const char *paths_model_cache(const char *library, const char *dir, struct arena *a)
{
	char *real = realpath(dir, NULL), hex[65];
	struct sha256 s;

	if (!real)
		return NULL;
	sha256_init(&s);
	sha256_add(&s, real, strlen(real));
	sha256_hex(&s, hex);
	free(real);
	return arena_printf(a, "%s/cache/%.16s", library, hex);
}

int paths_new_take(
	const char *library, int64_t unix_ms, struct arena *a, const char **ret, struct err *e)
{
	time_t s = unix_ms / 1000;
	struct tm tm;
	struct stat st;
	char *dir;
	int rc;

	*ret = NULL;
	if (!gmtime_r(&s, &tm) || unix_ms < 0 || tm.tm_year > 9999 - 1900)
		return err_set(e, ERR_ARG, "the clock is wrong; set the computer's date");
	dir = arena_printf(a, "%s/takes/%04d/%02d", library, tm.tm_year + 1900, tm.tm_mon + 1);
	rc = make_folders(dir, e);
	if (rc)
		return rc;
	for (int i = 0; i < TRIES; i++) {
		uint32_t id;
		char *path;
		if (getrandom(&id, sizeof id, 0) != sizeof id)
			return err_errno(e, errno, "cannot get random numbers from the kernel");
		path = arena_printf(a, "%s/%04d%02d%02d-%02d%02d%02d-%08x.wav", dir,
			tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min,
			tm.tm_sec, id);
		if (lstat(path, &st)) {
			if (errno != ENOENT)
				return err_errno(e, errno, "cannot use '%s'", path);
			*ret = path;
			return 0;
		}
	}
	return err_set(e, ERR_BUG, "no free name for a take in '%s'", dir);
}

static bool lies_in(const char *path, const struct stat *folder)
{
	char *dir = xstrdup(path), *slash;
	bool found = false;
	struct stat st;

	while (!found && (slash = strrchr(dir, '/'))) {
		*slash = '\0';
		found = !stat(dir, &st) && st.st_dev == folder->st_dev &&
			st.st_ino == folder->st_ino;
	}
	free(dir);
	return found;
}

/* Folders are compared, not their names; a part of takes/ may be a link to another disk, so
 * the path as it was given counts, too.  Hidden files are somebody's temporary ones. */
int paths_check_output(const char *library, const char *path, struct err *e)
{
	char real[PATH_MAX];
	struct str takes = {0};
	struct stat folder, st;
	bool is_take;

	str_printf(&takes, "%s/takes", library);
	is_take = !stat(takes.s, &folder) && realpath(path, real) && !stat(real, &st) &&
		  S_ISREG(st.st_mode) && strrchr(real, '/')[1] != '.' &&
		  (lies_in(real, &folder) || lies_in(path, &folder));
	str_done(&takes);
	if (!is_take)
		return 0;
	return err_set(e, ERR_ARG,
		"'%s' is a take of the library, which would be lost; give another name", path);
}

int paths_model(
	const char *library, const char *name, struct arena *a, const char **ret, struct err *e)
{
	struct stat st;
	char *path;

	*ret = NULL;
	if (!*name || name[0] == '.' || strchr(name, '/') || strlen(name) > NAME_MAX)
		return err_set(e, ERR_ARG,
			"'%.64s' is no name of a model; names have no '/' and do not begin with "
			"'.'",
			name);
	path = arena_printf(a, "%s/models/%s", library, name);
	if (stat(path, &st))
		return err_set(e, ERR_IO,
			"no model '%s' in '%s/models'; install it there, or give its folder", name,
			library);
	if (!S_ISDIR(st.st_mode))
		return err_set(e, ERR_FORMAT, "model '%s' is a file; a model is a folder", path);
	*ret = path;
	return 0;
}
