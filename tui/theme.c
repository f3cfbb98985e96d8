/* Themes: the two that are compiled in, and the reader of theme files.
 *
 * A file is hostile: what it holds is looked at byte for byte before any of it
 * is quoted, and every size has a limit. */
#include "tui/theme.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "library/base/arena.h"
#include "library/base/err.h"
#include "library/base/str.h"

#define DEFAULT                                                                                    \
	{                                                                                          \
		.kind = THEME_DEFAULT                                                              \
	}
#define ANSI(n)                                                                                    \
	{                                                                                          \
		.kind = THEME_16, .index = (n)                                                     \
	}

enum {
	BLACK,
	RED,
	GREEN,
	YELLOW,
	BLUE,
	MAGENTA,
	CYAN,
	WHITE,
	BRIGHT_BLACK,
};

static const char suffix[] = ".theme";
static const char *const color_names[16] = {"black", "red", "green", "yellow", "blue", "magenta",
	"cyan", "white", "bright-black", "bright-red", "bright-green", "bright-yellow",
	"bright-blue", "bright-magenta", "bright-cyan", "bright-white"};
static const char *const attribute_names[] = {"bold", "dim", "underline", "reverse"};
static const char *const gradient_names[THEME_N_GRADIENTS] = {[GRADIENT_METER] = "meter"};

#define NAME(constant, name) name,
static const char *const role_names[THEME_N_ROLES] = {THEME_ROLES(NAME)};
static const char *const map_names[THEME_N_MAPS] = {THEME_MAPS(NAME)};
#undef NAME

/* No blue as text and no bright colours but grey: both are hard to read on one
 * half of all terminals. */
static const struct theme default_theme = {
	.name = "default",
	.roles =
		{
			[ROLE_TEXT] = {.fg = DEFAULT, .bg = DEFAULT},
			[ROLE_DIM] = {.fg = ANSI(BRIGHT_BLACK)},
			[ROLE_TITLE] = {.fg = DEFAULT, .attributes = THEME_BOLD},
			[ROLE_TAB] = {.fg = DEFAULT},
			[ROLE_TAB_ACTIVE] = {.fg = DEFAULT,
				.attributes = THEME_BOLD | THEME_REVERSE},
			[ROLE_ROW_SELECTED] = {.fg = DEFAULT, .attributes = THEME_REVERSE},
			[ROLE_ROW_SELECTED_UNFOCUSED] = {.fg = DEFAULT,
				.attributes = THEME_UNDERLINE},
			[ROLE_ROW_PLAYING] = {.fg = ANSI(GREEN), .attributes = THEME_BOLD},
			[ROLE_ROW_MARKED] = {.fg = ANSI(YELLOW), .attributes = THEME_BOLD},
			[ROLE_ROW_FAILED] = {.fg = ANSI(RED)},
			[ROLE_BORDER] = {.fg = ANSI(BRIGHT_BLACK)},
			[ROLE_BORDER_FOCUSED] = {.fg = ANSI(CYAN)},
			[ROLE_HINT_KEY] = {.fg = ANSI(CYAN), .attributes = THEME_BOLD},
			[ROLE_HINT_TEXT] = {.fg = DEFAULT},
			[ROLE_PROGRESS] = {.fg = ANSI(GREEN)},
			[ROLE_PROGRESS_REST] = {.fg = ANSI(BRIGHT_BLACK)},
			[ROLE_LOOP] = {.fg = ANSI(YELLOW)},
			[ROLE_PLAYHEAD] = {.fg = DEFAULT, .attributes = THEME_REVERSE},
			[ROLE_MESSAGE] = {.fg = DEFAULT},
			[ROLE_ERROR] = {.fg = ANSI(RED), .attributes = THEME_BOLD},
			[ROLE_PROMPT] = {.fg = ANSI(CYAN)},
			[ROLE_MATCH] = {.fg = ANSI(BLACK), .bg = ANSI(YELLOW)},
		},
	.spectrogram = MAP_INFERNO,
	.gradients = {[GRADIENT_METER] = {.n = 3, .at = {ANSI(GREEN), ANSI(YELLOW), ANSI(RED)}}},
};

#define PLAIN(a)                                                                                   \
	{                                                                                          \
		.fg = DEFAULT, .bg = DEFAULT, .attributes = (a)                                    \
	}

/* Marks that mean the same in all roles: reverse is where the keys go, bold what
 * matters, underline what belongs to it, dim what may be overlooked. */
static const struct theme mono_theme = {
	.name = "mono",
	.roles =
		{
			[ROLE_TEXT] = PLAIN(0),
			[ROLE_DIM] = PLAIN(THEME_DIM),
			[ROLE_TITLE] = PLAIN(THEME_BOLD),
			[ROLE_TAB] = PLAIN(0),
			[ROLE_TAB_ACTIVE] = PLAIN(THEME_BOLD | THEME_REVERSE),
			[ROLE_ROW_SELECTED] = PLAIN(THEME_REVERSE),
			[ROLE_ROW_SELECTED_UNFOCUSED] = PLAIN(THEME_UNDERLINE),
			[ROLE_ROW_PLAYING] = PLAIN(THEME_BOLD),
			[ROLE_ROW_MARKED] = PLAIN(THEME_BOLD | THEME_UNDERLINE),
			[ROLE_ROW_FAILED] = PLAIN(THEME_DIM | THEME_UNDERLINE),
			[ROLE_BORDER] = PLAIN(THEME_DIM),
			[ROLE_BORDER_FOCUSED] = PLAIN(THEME_BOLD),
			[ROLE_HINT_KEY] = PLAIN(THEME_BOLD),
			[ROLE_HINT_TEXT] = PLAIN(0),
			[ROLE_PROGRESS] = PLAIN(THEME_BOLD),
			[ROLE_PROGRESS_REST] = PLAIN(THEME_DIM),
			[ROLE_LOOP] = PLAIN(THEME_UNDERLINE),
			[ROLE_PLAYHEAD] = PLAIN(THEME_REVERSE),
			[ROLE_MESSAGE] = PLAIN(0),
			[ROLE_ERROR] = PLAIN(THEME_BOLD | THEME_REVERSE),
			[ROLE_PROMPT] = PLAIN(THEME_BOLD),
			[ROLE_MATCH] = PLAIN(THEME_UNDERLINE),
		},
	.spectrogram = MAP_INFERNO,
	.gradients = {[GRADIENT_METER] = {.n = 1, .at = {DEFAULT}}},
};

const struct theme *theme_default(void)
{
	return &default_theme;
}

const struct theme *theme_mono(void)
{
	return &mono_theme;
}

const char *theme_role_name(enum theme_role r)
{
	return role_names[r];
}

const char *theme_map_name(enum theme_map m)
{
	return map_names[m];
}

/* ---- reading ---- */

static const char expect_color[] = "#rrggbb, #rrggbb@N, N from 0 to 255, a name such as yellow or "
				   "bright-red, or -1";

enum { FIELD_NAME, FIELD_VARIANT, FIELD_SPECTROGRAM, N_FIELDS };
static const char *const field_names[N_FIELDS] = {"name", "variant", "spectrogram"};

struct parser {
	const char *file;
	unsigned line;
	const char *key; /* of this line, or NULL */
	struct theme *theme;
	struct err *e;
	bool in_section;
	unsigned seen[N_FIELDS + THEME_N_ROLES + THEME_N_GRADIENTS]; /* lines */
};

static int bad(struct parser *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* "FILE, line N: KEY: ...". */
static int bad(struct parser *p, const char *fmt, ...)
{
	char why[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof why, fmt, ap);
	va_end(ap);
	return err_set(p->e, ERR_FORMAT, "%s, line %u: %s%s%s", p->file, p->line,
		p->key ? p->key : "", p->key ? ": " : "", why);
}

/* The place of a word in a list, or -1. */
static int find(const char *const *list, size_t n, const char *word)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(list[i], word))
			return (int)i;
	return -1;
}

/* One of a list, in words: "a, b or c". */
static const char *one_of(struct str *out, const char *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		str_printf(out, "%s%s", !i ? "" : i + 1 == n ? " or " : ", ", list[i]);
	return str_get(out);
}

/* The next word of a line, which it cuts off; NULL at the end. */
static char *next_word(char **rest)
{
	char *word = *rest + strspn(*rest, " \t");
	size_t n = strcspn(word, " \t");

	*rest = word + n + (word[n] != '\0');
	word[n] = '\0';
	return n ? word : NULL;
}

static bool parse_index(const char *s, uint8_t *ret)
{
	uint64_t v;

	if (!parse_u64(s, &v) || v > 255 || strlen(s) > 3)
		return false;
	*ret = (uint8_t)v;
	return true;
}

static bool parse_rgb(const char *s, struct theme_color *ret)
{
	char digits[7] = {0};

	if (strlen(s) < 6 || (s[6] && s[6] != '@'))
		return false;
	memcpy(digits, s, 6);
	if (strspn(digits, "0123456789abcdefABCDEF") != 6)
		return false;
	*ret = (struct theme_color){
		.kind = THEME_RGB, .rgb = (uint32_t)strtoul(digits, NULL, 16), .has_index = s[6]};
	return !s[6] || parse_index(s + 7, &ret->index);
}

static bool parse_color(const char *word, struct theme_color *ret)
{
	int name = find(color_names, 16, word);

	*ret = (struct theme_color){.kind = THEME_16, .index = (uint8_t)name};
	if (name >= 0)
		return true;
	if (!strcmp(word, "-1")) {
		*ret = (struct theme_color){.kind = THEME_DEFAULT};
		return true;
	}
	if (*word == '#')
		return parse_rgb(word + 1, ret);
	if (!parse_index(word, &ret->index))
		return false;
	ret->kind = ret->index < 16 ? THEME_16 : THEME_256;
	return true;
}

/* The colour that must come next. */
static int need_color(struct parser *p, char **rest, struct theme_color *ret)
{
	const char *word = next_word(rest);

	if (!word)
		return bad(p, "a colour is missing; expected %s", expect_color);
	if (!parse_color(word, ret))
		return bad(p, "'%s' is no colour; expected %s", word, expect_color);
	return 0;
}

static int parse_style(struct parser *p, char *rest, struct theme_style *ret)
{
	struct theme_style s = {0};
	char *word;
	int rc = need_color(p, &rest, &s.fg);

	if (rc)
		return rc;
	word = next_word(&rest);
	if (word && !strcmp(word, "on")) {
		rc = need_color(p, &rest, &s.bg);
		if (rc)
			return rc;
		word = next_word(&rest);
	}
	for (; word; word = next_word(&rest)) {
		int a = find(attribute_names, 4, word);
		if (a < 0)
			return bad(p,
				"'%s' is not understood; expected 'fg [on bg] [bold] [dim] "
				"[underline] [reverse]'",
				word);
		s.attributes |= 1u << a;
	}
	*ret = s;
	return 0;
}

static int parse_gradient(struct parser *p, char *rest, struct theme_gradient *ret)
{
	struct theme_gradient g = {0};

	do {
		int rc;
		if (g.n == THEME_STOPS_MAX)
			return bad(p, "too many colours; expected 1 to %d", THEME_STOPS_MAX);
		rc = need_color(p, &rest, &g.at[g.n++]);
		if (rc)
			return rc;
	} while (rest[strspn(rest, " \t")]);
	*ret = g;
	return 0;
}

static int parse_name(struct parser *p, const char *value)
{
	size_t n = strlen(value);

	if (!n || n > THEME_NAME_MAX)
		return bad(p, "a name of %zu characters; expected 1 to %d", n, THEME_NAME_MAX);
	if (strchr(value, '\t'))
		return bad(p, "a tab in the name; expected blanks");
	memcpy(p->theme->name, value, n + 1);
	return 0;
}

/* A field that is one of a list. */
static int parse_choice(
	struct parser *p, const char *value, const char *const *list, size_t n, unsigned *ret)
{
	int i = find(list, n, value), rc = 0;
	struct str words = {0};

	if (i < 0)
		rc = bad(p, "'%s' is not known; expected %s", value, one_of(&words, list, n));
	else
		*ret = (unsigned)i;
	str_done(&words);
	return rc;
}

static int parse_field(struct parser *p, int field, char *value)
{
	static const char *const variants[] = {"dark", "light"};
	unsigned choice = 0;
	int rc;

	if (field == FIELD_NAME)
		return parse_name(p, value);
	if (field == FIELD_VARIANT) {
		rc = parse_choice(p, value, variants, 2, &choice);
		p->theme->is_light = choice;
		return rc;
	}
	rc = parse_choice(p, value, map_names, THEME_N_MAPS, &choice);
	p->theme->spectrogram = (enum theme_map)choice;
	return rc;
}

/* A key that nothing is called; it is the caller's, and printable. */
static int unknown_key(struct parser *p, const char *key)
{
	struct str words = {0};
	int rc;

	for (size_t i = 0; i < N_FIELDS; i++)
		str_printf(&words, "%s, ", field_names[i]);
	for (size_t i = 0; i < THEME_N_GRADIENTS; i++)
		str_printf(&words, "%s, ", gradient_names[i]);
	rc = bad(p, "no role '%s'; expected %s", key, one_of(&words, role_names, THEME_N_ROLES));
	str_done(&words);
	return rc;
}

static int parse_setting(struct parser *p, const char *key, char *value)
{
	int field = find(field_names, N_FIELDS, key), role = find(role_names, THEME_N_ROLES, key);
	int gradient = find(gradient_names, THEME_N_GRADIENTS, key);
	unsigned *seen = field >= 0  ? &p->seen[field]
			 : role >= 0 ? &p->seen[N_FIELDS + role]
				     : &p->seen[N_FIELDS + THEME_N_ROLES + gradient];

	if (field < 0 && role < 0 && gradient < 0)
		return unknown_key(p, key);
	p->key = key;
	if (*seen)
		return bad(p, "said already in line %u; expected it once", *seen);
	*seen = p->line;
	if (field >= 0)
		return parse_field(p, field, value);
	if (role >= 0)
		return parse_style(p, value, &p->theme->roles[role]);
	return parse_gradient(p, value, &p->theme->gradients[gradient]);
}

static void trim_end(char *s)
{
	size_t n = strlen(s);

	while (n && (s[n - 1] == ' ' || s[n - 1] == '\t'))
		s[--n] = '\0';
}

/* One line without its end, printable ASCII and tabs. */
static int parse_line(struct parser *p, char *line)
{
	char *key = line + strspn(line, " \t"), *value = strchr(key, '=');

	trim_end(key);
	if (*key == '[') {
		if (strcmp(key, "[theme]"))
			return bad(p, "section '%s'; expected [theme]", key);
		p->in_section = true;
		return 0;
	}
	if (!p->in_section)
		return bad(p, "'%s' comes before any section; expected [theme]", key);
	if (!value)
		return bad(p, "'%s' has no '='; expected ROLE = COLOUR", key);
	*value++ = '\0';
	trim_end(key);
	return parse_setting(p, key, value + strspn(value, " \t"));
}

/* Copies a line and checks its bytes; comments and blank lines become "". */
static int take_line(struct parser *p, const char *s, size_t n, char line[THEME_LINE_MAX + 1])
{
	size_t blanks = 0;

	*line = '\0';
	if (n && s[n - 1] == '\r')
		n--;
	if (n > THEME_LINE_MAX)
		return bad(p, "a line of %zu bytes; expected at most %d", n, THEME_LINE_MAX);
	while (blanks < n && (s[blanks] == ' ' || s[blanks] == '\t'))
		blanks++;
	if (blanks == n || s[blanks] == '#' || s[blanks] == ';')
		return 0;
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i];
		if ((c < ' ' && c != '\t') || c > '~')
			return bad(p, "byte 0x%02x; expected printable ASCII outside comments", c);
	}
	memcpy(line, s, n);
	line[n] = '\0';
	return 0;
}

static int parse_lines(struct parser *p, const char *text, size_t n)
{
	if (n > THEME_FILE_MAX)
		return err_set(p->e, ERR_FORMAT, "%s: more than %d bytes; expected a theme of less",
			p->file, THEME_FILE_MAX);
	for (size_t at = 0; at < n;) {
		const char *end = memchr(text + at, '\n', n - at);
		size_t len = end ? (size_t)(end - text) - at : n - at;
		char line[THEME_LINE_MAX + 1];
		int rc;

		p->line++;
		p->key = NULL;
		rc = take_line(p, text + at, len, line);
		if (!rc && *line)
			rc = parse_line(p, line);
		if (rc)
			return rc;
		at += len + 1;
	}
	if (!p->in_section)
		return err_set(
			p->e, ERR_FORMAT, "%s: no theme; expected a section [theme]", p->file);
	return 0;
}

int theme_parse(const char *text, size_t n, const char *file, struct theme *ret, struct err *e)
{
	struct theme t = default_theme;
	struct parser p = {.file = file, .theme = &t, .e = e};
	int rc;

	t.name[0] = '\0';
	rc = parse_lines(&p, text, n);
	*ret = rc ? default_theme : t;
	return rc;
}

/* The first bytes of a file, one more than a theme may have; -1 and errno. */
static ssize_t read_start(const char *path, char text[THEME_FILE_MAX + 1])
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), why;
	size_t n = 0;
	ssize_t some = 1;

	if (fd < 0)
		return -1;
	while (some > 0 && n <= THEME_FILE_MAX) {
		some = read(fd, text + n, THEME_FILE_MAX + 1 - n);
		if (some > 0)
			n += (size_t)some;
	}
	why = errno;
	close(fd);
	errno = why;
	return some < 0 ? -1 : (ssize_t)n;
}

int theme_read(const char *path, struct theme *ret, struct err *e)
{
	char *text = xcalloc(THEME_FILE_MAX + 1, 1);
	ssize_t n = read_start(path, text);
	int rc;

	*ret = default_theme;
	if (n < 0)
		rc = err_errno(e, errno, "cannot read the theme '%s'", path);
	else
		rc = theme_parse(text, (size_t)n,
			strrchr(path, '/') ? strrchr(path, '/') + 1 : path, ret,
			e); /* what is wrong stands in a line, where there is no room for folders */
	free(text);
	return rc;
}

/* ---- writing ---- */

static void write_color(const struct theme_color *c, struct str *out)
{
	if (c->kind == THEME_DEFAULT || c->kind == THEME_NONE)
		str_add(out, "-1");
	else if (c->kind == THEME_16)
		str_add(out, color_names[c->index & 15]);
	else if (c->kind == THEME_256)
		str_printf(out, "%u", c->index);
	else
		str_printf(out, "#%06x", (unsigned)c->rgb);
	if (c->kind == THEME_RGB && c->has_index)
		str_printf(out, "@%u", c->index);
}

static void write_style(const struct theme_style *s, struct str *out)
{
	write_color(&s->fg, out);
	if (s->bg.kind != THEME_NONE) {
		str_add(out, " on ");
		write_color(&s->bg, out);
	}
	for (unsigned i = 0; i < 4; i++)
		if (s->attributes & 1u << i)
			str_printf(out, " %s", attribute_names[i]);
	str_add_char(out, '\n');
}

void theme_write(const struct theme *t, struct str *out)
{
	str_add(out, "[theme]\n");
	if (*t->name)
		str_printf(out, "name = %s\n", t->name);
	str_printf(out, "variant = %s\n", t->is_light ? "light" : "dark");
	for (size_t i = 0; i < THEME_N_ROLES; i++) {
		str_printf(out, "%s = ", role_names[i]);
		write_style(&t->roles[i], out);
	}
	str_printf(out, "spectrogram = %s\n", map_names[t->spectrogram]);
	for (size_t i = 0; i < THEME_N_GRADIENTS; i++) {
		str_printf(out, "%s =", gradient_names[i]);
		for (size_t k = 0; k < t->gradients[i].n; k++) {
			str_add_char(out, ' ');
			write_color(&t->gradients[i].at[k], out);
		}
		str_add_char(out, '\n');
	}
}

/* ---- folders ---- */

const char *theme_own_dir(const char *xdg_config_home, const char *home, struct arena *a)
{
	if (xdg_config_home && *xdg_config_home == '/')
		return arena_printf(a, "%s/woodshed/themes", xdg_config_home);
	if (home && *home == '/')
		return arena_printf(a, "%s/.config/woodshed/themes", home);
	return NULL;
}

/* Names are words: they come from files and command lines, and become paths. */
static bool is_name(const char *s, size_t n)
{
	if (!n || n > THEME_NAME_MAX || *s == '-')
		return false;
	for (size_t i = 0; i < n; i++)
		if (!isascii((unsigned char)s[i]) ||
			(!isalnum((unsigned char)s[i]) && s[i] != '-' && s[i] != '_'))
			return false;
	return true;
}

static const struct theme *compiled_in(const char *name)
{
	return !strcmp(name, default_theme.name) ? &default_theme
	       : !strcmp(name, mono_theme.name)  ? &mono_theme
						 : NULL;
}

/* Length of the theme's name in that of its file, 0 for other files. */
static size_t name_length(const char *file)
{
	size_t n = strlen(file), k = sizeof suffix - 1;

	return has_suffix(file, suffix) && is_name(file, n - k) ? n - k : 0;
}

static int is_theme(const struct dirent *entry)
{
	return name_length(entry->d_name) > 0;
}

struct entries {
	struct theme_entry *at; /* in the arena, by name */
	size_t n, cap;
};

static bool has_entry(const struct entries *l, const char *name)
{
	for (size_t i = 0; i < l->n; i++)
		if (!strcmp(l->at[i].name, name))
			return true;
	return false;
}

static void add_entry(struct entries *l, struct theme_entry entry, struct arena *a)
{
	if (l->n == l->cap) {
		struct theme_entry *more;

		l->cap = l->cap ? 2 * l->cap : 16;
		more = ARENA_ARRAY(a, struct theme_entry, l->cap);
		if (l->n)
			memcpy(more, l->at, l->n * sizeof *more);
		l->at = more;
	}
	l->at[l->n++] = entry;
}

static void add_file(
	struct entries *l, const char *dir, const char *file, bool is_own, struct arena *a)
{
	struct theme_entry entry = {
		.name = arena_strndup(a, file, name_length(file)), .is_own = is_own};
	struct err *e;
	struct theme t;

	if (has_entry(l, entry.name))
		return;
	e = xcalloc(1, sizeof *e);
	if (theme_read(arena_printf(a, "%s/%s", dir, file), &t, e))
		entry.broken = arena_strdup(a, e->text);
	entry.title = !entry.broken && *t.name ? arena_strdup(a, t.name) : entry.name;
	entry.is_light = t.is_light;
	add_entry(l, entry, a);
	free(e);
}

static int add_folder(
	struct entries *l, const char *dir, bool is_own, struct arena *a, struct err *e)
{
	struct dirent **files;
	int n = dir ? scandir(dir, &files, is_theme, alphasort) : 0;

	if (n < 0)
		return errno == ENOENT || errno == ENOTDIR
			       ? 0
			       : err_errno(e, errno, "cannot read the folder '%s'", dir);
	for (int i = 0; i < n; i++) {
		add_file(l, dir, files[i]->d_name, is_own, a);
		free(files[i]);
	}
	if (dir)
		free(files);
	return 0;
}

static int by_name(const void *a, const void *b)
{
	const struct theme_entry *x = a, *y = b;

	return strcmp(x->name, y->name);
}

int theme_list(const struct theme_dirs *d, struct arena *a, const struct theme_entry **ret,
	size_t *ret_n, struct err *e)
{
	static const struct theme *const built[] = {&default_theme, &mono_theme};
	struct entries l = {0};
	int rc = add_folder(&l, d->own, true, a, e);

	*ret = NULL;
	*ret_n = 0;
	if (!rc)
		rc = add_folder(&l, d->shipped, false, a, e);
	if (rc)
		return rc;
	for (size_t i = 0; i < 2; i++)
		if (!has_entry(&l, built[i]->name))
			add_entry(&l,
				(struct theme_entry){
					.name = built[i]->name, .title = built[i]->name},
				a);
	qsort(l.at, l.n, sizeof *l.at, by_name);
	*ret = l.at;
	*ret_n = l.n;
	return 0;
}

static int no_theme(const struct theme_dirs *d, const char *name, struct arena *a, struct err *e)
{
	const struct theme_entry *list;
	struct str known = {0};
	size_t n;
	int rc = theme_list(d, a, &list, &n, e);

	for (size_t i = 0; !rc && i < n; i++)
		str_printf(&known, "%s%s", i ? ", " : "", list[i].name);
	if (!rc)
		rc = err_set(e, ERR_ARG, "no theme '%s'; there are %s, and what %s has", name,
			known.s, d->own ? d->own : "the folder of themes");
	str_done(&known);
	return rc;
}

int theme_load(const struct theme_dirs *d, const char *name, struct theme *ret, struct err *e)
{
	const char *const dirs[] = {d->own, d->shipped};
	struct arena a = {0};
	const struct theme *built = compiled_in(name);
	int rc = 0;

	*ret = default_theme;
	if (!is_name(name, strlen(name)))
		return err_set(e, ERR_ARG,
			"'%.64s' is no name of a theme; names are 1 to %d letters, digits, '-' and "
			"'_'",
			name, THEME_NAME_MAX);
	for (size_t i = 0; i < 2; i++) {
		const char *path =
			dirs[i] ? arena_printf(&a, "%s/%s%s", dirs[i], name, suffix) : NULL;

		if (path && !access(path, F_OK)) {
			rc = theme_read(path, ret, e);
			goto out;
		}
	}
	if (built)
		*ret = *built;
	else
		rc = no_theme(d, name, &a, e);
out:
	arena_done(&a);
	return rc;
}
