/* woodshedrc. */
#include "tui/config.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "library/base/line.h"
#include "library/globals.h"
#include "tui/ws.h"

enum { FILE_BYTES_MAX = 1 << 18 };

const char *config_path(const struct environment *env, struct arena *a)
{
	if (env->xdg_config_home && env->xdg_config_home[0] == '/')
		return arena_printf(a, "%s/woodshed/woodshedrc", env->xdg_config_home);
	if (env->paths.home && env->paths.home[0] == '/')
		return arena_printf(a, "%s/.config/woodshed/woodshedrc", env->paths.home);
	return NULL;
}

/* ---- reading ------------------------------------------------------------ */

/* The whole file, in the arena. */
static int read_file(const char *path, struct arena *a, char **ret, size_t *ret_n, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), rc = 0;
	struct stat st;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st))
		rc = err_errno(e, errno, "cannot read '%.200s'", path);
	else if (!S_ISREG(st.st_mode) || st.st_size > FILE_BYTES_MAX)
		rc = err_set(e, ERR_FORMAT, "'%.200s' is no file of at most 256 KB", path);
	if (!rc) {
		*ret = arena_alloc(a, (size_t)st.st_size + 1);
		n = pread(fd, *ret, (size_t)st.st_size, 0);
		*ret_n = n > 0 ? (size_t)n : 0;
		if (n < 0)
			rc = err_errno(e, errno, "cannot read '%.200s'", path);
	}
	if (fd >= 0)
		close(fd);
	return rc;
}

static bool is_allowed(const char *line)
{
	static const char *const names[] = {"map", "unmap", "set", "theme", "source"};
	size_t n = strcspn(line, " ");

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (strlen(names[i]) == n && !memcmp(names[i], line, n))
			return true;
	return false;
}

/* The line without comment and without blanks around it. */
static char *trim(char *line)
{
	char *end;

	for (char *at = line; *at; at++)
		*at = *at == '\t' || *at == '\r' ? ' ' : *at;
	line += strspn(line, " ");
	if (*line == '#')
		*line = 0;
	end = has_prefix(line, "map ") || has_prefix(line, "unmap ") ? NULL : strstr(line, " #");
	end = end ? end : line + strlen(line);
	while (end > line && end[-1] == ' ')
		end--;
	*end = 0;
	return line;
}

/* Runs one line; false when it is wrong, and ws->message says why. */
static bool run_line(struct ws *ws, char *line, size_t n)
{
	ws_say(ws, "%s", "");
	if (memchr(line, 0, n) || !is_utf8(line, n)) {
		ws_complain(ws, "the line is no text in UTF-8");
		return false;
	}
	line = trim(line);
	if (!*line)
		return true;
	if (is_allowed(line))
		commands_run(ws, line);
	else
		ws_complain(ws, "a line begins with map, unmap, set, theme or source, not '%.40s'",
			line);
	return !ws->is_error;
}

int config_source(struct ws *ws, const char *path, struct err *e)
{
	struct arena a = {0};
	const char *wrong = NULL;
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	size_t n = 0, n_wrong = 0, number = 0, first = 0;
	char *text;
	int rc;

	if (ws->depth >= WS_DEPTH_MAX)
		return err_set(e, ERR_ARG, "'%.200s' sources itself, or too deep", path);
	rc = read_file(path, &a, &text, &n, e);
	ws->depth++;
	for (size_t at = 0; !rc && at < n; at++) {
		char *line = text + at, *end = memchr(line, '\n', n - at);
		size_t length = end ? (size_t)(end - line) : n - at;

		number++;
		line[length] = 0;
		if (!run_line(ws, line, length) && !n_wrong++) {
			wrong = arena_strdup(&a, str_get(&ws->message));
			first = number;
		}
		at += length;
	}
	ws->depth--;
	if (!rc)
		ws_say(ws, "%s", "");
	if (!rc && n_wrong == 1)
		rc = err_set(e, ERR_FORMAT, "%s:%zu: %s", name, first, wrong);
	else if (!rc && n_wrong)
		rc = err_set(e, ERR_FORMAT, "%s:%zu (the first of %zu wrong lines): %s", name,
			first, n_wrong, wrong);
	arena_done(&a);
	return rc;
}

/* ---- writing ------------------------------------------------------------ */

/* Whether the line sets what the table has; `theme NAME` is `set theme NAME`. */
static bool is_setting(const char *line, size_t n, struct arena *a)
{
	char *text = trim(arena_strndup(a, line, n));

	if (has_prefix(text, "theme "))
		return true;
	if (!has_prefix(text, "set "))
		return false;
	text += 4 + strspn(text + 4, " ");
	text[strcspn(text, " ")] = 0;
	return settings_find(text) != NULL;
}

static void keep_other_lines(const char *text, size_t n, struct arena *a, struct str *out)
{
	for (size_t at = 0; at < n;) {
		const char *end = memchr(text + at, '\n', n - at);
		size_t length = end ? (size_t)(end - text) - at : n - at;

		if (!is_setting(text + at, length, a)) {
			str_add_n(out, text + at, length);
			str_add_char(out, '\n');
		}
		at += length + 1;
	}
}

static void add_settings(const struct settings *s, struct str *out)
{
	const struct setting *which;

	for (size_t i = 0; (which = settings_at(i)); i++) {
		struct str value = {0};

		settings_get(s, which, &value);
		if (strcmp(str_get(&value), which->initial))
			str_printf(out, "set %s %s\n", which->name, str_get(&value));
		str_done(&value);
	}
}

static void make_folder(const char *path, struct arena *a)
{
	char *folder = dirname(arena_strdup(a, path)), *above = dirname(arena_strdup(a, folder));

	mkdir(above, 0700);
	mkdir(folder, 0700);
}

int config_save(struct ws *ws, const char *path, struct err *e)
{
	struct arena a = {0};
	struct str out = {0};
	char real[PATH_MAX], *text = NULL;
	size_t n = 0;
	int rc = 0;

	if (access(path, F_OK))
		make_folder(path, &a);
	else
		rc = read_file(path, &a, &text, &n, e);
	if (!rc) {
		keep_other_lines(text, n, &a, &out);
		add_settings(&ws->settings, &out);
		if (out.n)
			out.s[--out.n] = 0; /* line_write() ends the last line */
		/* A link, as many keep such files, stays one. */
		rc = line_write(realpath(path, real) ? real : path, str_get(&out), e);
	}
	str_done(&out);
	arena_done(&a);
	return rc;
}
