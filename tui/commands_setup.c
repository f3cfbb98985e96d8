/* Keys, settings and themes: what users make their own. */
#include <string.h>
#include <unistd.h>

#include "library/globals.h"
#include "tui/colors.h"
#include "tui/config.h"
#include "tui/listen.h"
#include "tui/terminal.h"
#include "tui/ws.h"

/* ---- words -------------------------------------------------------------- */

/* The first word, in the arena; *args moves behind it. */
static const char *next_word(const char **args, struct arena *a)
{
	size_t n = strcspn(*args, " ");
	const char *word = arena_strndup(a, *args, n);

	*args += n + strspn(*args + n, " ");
	return word;
}

/* ---- keys --------------------------------------------------------------- */

static bool context_of(struct ws *ws, const char *name, unsigned *ret)
{
	struct str names = {0};

	*ret = ON_ANY;
	if (!strcmp(name, "any"))
		return true;
	for (int i = 0; i < N_SCREENS; i++) {
		*ret = 1u << i;
		if (!strcmp(name, views[i]->name))
			return true;
		str_printf(&names, ", %s", views[i]->name);
	}
	ws_complain(ws, "keys are mapped on any%s, not on '%.40s'", str_get(&names), name);
	str_done(&names);
	return false;
}

static void map(struct ws *ws, const char *args, bool is_map)
{
	struct arena a = {0};
	const char *context = next_word(&args, &a), *keys = next_word(&args, &a);
	const char *command = is_map ? args : NULL;
	struct err e = {0};
	unsigned on;

	if (!*keys || (is_map && !*args) || (!is_map && *args))
		ws_complain(
			ws, is_map ? "map wants CONTEXT KEY COMMAND, such as map library x trash"
				   : "unmap wants CONTEXT KEY, such as unmap any Q");
	else if (is_map && !commands_find(command, strcspn(command, " ")))
		ws_complain(ws, "there is no command '%.40s'; ? lists them", command);
	else if (context_of(ws, context, &on) && keymap_set(&ws->keymap, on, keys, command, &e))
		ws_fail(ws, &e);
	ws->dirty |= DIRTY_BODY;
	arena_done(&a);
}

static void do_map(struct ws *ws, const char *args)
{
	map(ws, args, true);
}

static void do_unmap(struct ws *ws, const char *args)
{
	map(ws, args, false);
}

static void complete_map(struct ws *ws, const char *args, struct words *out)
{
	size_t first = strcspn(args, " "), second;
	const struct command *c;

	args += first + strspn(args + first, " ");
	second = strcspn(args, " ");
	if (!first)
		words_add(out, "any");
	for (int i = 0; i < N_SCREENS && !first; i++)
		words_add(out, views[i]->name);
	for (size_t i = 0; first && second && (c = commands_at(i)); i++)
		words_add(out, c->name);
}

/* ---- settings ----------------------------------------------------------- */

/* Loads it; one that is broken leaves the default theme and a message. */
static void apply_theme(struct ws *ws)
{
	struct err e = {0};

	ws->is_theme_broken = theme_load(&ws->theme_dirs, ws->settings.theme, &ws->theme, &e) != 0;
	if (ws->is_theme_broken)
		ws_fail(ws, &e);
	if (ws->colors) {
		colors_theme(ws->colors, &ws->theme);
		colors_fill(ws->colors, stdscr, ROLE_TEXT);
		terminal_wipe();
	}
}

void settings_apply(struct ws *ws, const char *name)
{
	if (!name || !strcmp(name, "theme"))
		apply_theme(ws);
	if (!name || !strcmp(name, "volume")) {
		ws->percent = (int)ws->settings.volume;
		if (ws->listen)
			listen_volume(ws->listen, ws->percent);
	}
	ws->one_column = ws->globals->plain || !ws->settings.columns;
	terminal_use_mouse(ws->settings.mouse);
	ws->takes.is_stale = true;
	ws->dirty = DIRTY_ALL;
}

static void set_one(struct ws *ws, const struct setting *which, const char *value)
{
	struct err e = {0};
	int rc = settings_set(&ws->settings, which, value, &e);

	if (rc)
		ws_fail(ws, &e);
	else
		settings_apply(ws, which->name);
}

static void show_one(struct ws *ws, const struct setting *which)
{
	struct str value = {0}, bounds = {0};

	settings_get(&ws->settings, which, &value);
	settings_bounds(which, &bounds);
	ws_say(ws, "%s is %s (%s; initially %s)", which->name, str_get(&value), str_get(&bounds),
		which->initial);
	str_done(&value);
	str_done(&bounds);
}

static void do_set(struct ws *ws, const char *args)
{
	struct arena a = {0};
	const char *name = next_word(&args, &a);
	const struct setting *which = settings_find(name);

	if (!*name)
		ws_show(ws, SCREEN_SETUP);
	else if (!which)
		ws_complain(ws, "there is no setting '%.40s'; the screen Setup lists them", name);
	else if (*args)
		set_one(ws, which, args);
	else
		show_one(ws, which);
	arena_done(&a);
}

static void complete_theme(struct ws *ws, const char *args, struct words *out)
{
	const struct theme_entry *list;
	struct arena a = {0};
	size_t n = 0;

	theme_list(&ws->theme_dirs, &a, &list, &n, NULL);
	for (size_t i = 0; i < n; i++)
		words_add(out, list[i].name);
	arena_done(&a);
}

static void complete_set(struct ws *ws, const char *args, struct words *out)
{
	struct arena a = {0};
	const struct setting *which = settings_find(next_word(&args, &a));

	if (!which) {
		for (size_t i = 0; (which = settings_at(i)); i++)
			words_add(out, which->name);
	} else if (which->kind == SETTING_BOOL) {
		words_add(out, "on");
		words_add(out, "off");
	} else if (!strcmp(which->name, "theme")) {
		complete_theme(ws, args, out);
	}
	for (const char *at = which && which->choices ? which->choices : ""; *at;) {
		size_t n = strcspn(at, "|");

		words_add(out, arena_strndup(&a, at, n));
		at += n + (at[n] == '|');
	}
	arena_done(&a);
}

/* The i-th after the one that is set, that is not broken. */
static void next_theme(struct ws *ws)
{
	const struct theme_entry *list;
	struct arena a = {0};
	struct err e = {0};
	size_t n = 0, at = 0;

	if (theme_list(&ws->theme_dirs, &a, &list, &n, &e))
		ws_fail(ws, &e);
	while (at < n && strcmp(list[at].name, ws->settings.theme) <= 0)
		at++;
	for (size_t i = 0; i < n && list[at % n].broken; i++)
		at++;
	if (n) {
		set_one(ws, settings_find("theme"), list[at % n].name);
		ws_say(ws, "theme %s", list[at % n].title);
	}
	arena_done(&a);
}

static void do_theme(struct ws *ws, const char *args)
{
	struct theme ignored;
	struct err e = {0};

	if (!*args)
		next_theme(ws);
	else if (theme_load(&ws->theme_dirs, args, &ignored, &e) == ERR_ARG)
		ws_fail(ws, &e); /* no such name: what is set stays */
	else
		set_one(ws, settings_find("theme"), args);
	err_clear(&e);
}

static void do_source(struct ws *ws, const char *args)
{
	struct err e = {0};

	if (config_source(ws, args, &e))
		ws_fail(ws, &e);
}

static void do_reload(struct ws *ws, const char *args)
{
	settings_reload(ws);
	if (!ws->is_error)
		ws_say(ws, "%s", ws->config ? ws->config : "no file of settings");
}

void settings_reload(struct ws *ws)
{
	struct err e = {0};
	int rc = 0;

	keymap_close(&ws->keymap);
	settings_reset(&ws->settings);
	ws_say(ws, "%s", "");
	if (ws->config && !access(ws->config, F_OK))
		rc = config_source(ws, ws->config, &e);
	settings_apply(ws, NULL);
	if (rc) /* the first wrong line goes before what it leads to */
		ws_fail(ws, &e);
}

static void do_save(struct ws *ws, const char *args)
{
	struct err e = {0};

	if (!ws->config)
		ws_complain(ws, "there is no place for settings; set HOME or XDG_CONFIG_HOME");
	else if (config_save(ws, ws->config, &e))
		ws_fail(ws, &e);
	else
		ws_say(ws, "saved in %s", ws->config);
}

/* Yes and no take turns, so do choices; the rest is typed. */
static void do_change(struct ws *ws, const char *args)
{
	const struct setting *which = settings_at((size_t)ws->setup.cursor);
	struct str value = {0}, line = {0};

	if (!which)
		return;
	settings_get(&ws->settings, which, &value);
	if (which->kind == SETTING_BOOL) {
		set_one(ws, which, strcmp(str_get(&value), "on") ? "on" : "off");
	} else if (which->kind == SETTING_CHOICE) {
		const char *at = strstr(which->choices, str_get(&value));
		const char *next = at ? strchr(at, '|') : NULL;

		str_clear(&value);
		next = next ? next + 1 : which->choices;
		str_add_n(&value, next, strcspn(next, "|"));
		set_one(ws, which, str_get(&value));
	} else if (!strcmp(which->name, "theme")) {
		next_theme(ws);
	} else {
		str_printf(&line, "set %s %s", which->name, str_get(&value));
		ws_input(ws, INPUT_COMMAND, str_get(&line));
	}
	str_done(&value);
	str_done(&line);
}

static void do_initial(struct ws *ws, const char *args)
{
	const struct setting *which = settings_at((size_t)ws->setup.cursor);

	if (which)
		set_one(ws, which, which->initial);
}

static const struct command commands[] = {
	{"map", "CONTEXT KEY COMMAND", "a key runs a command, on a screen or on any", do_map, true,
		complete_map},
	{"unmap", "CONTEXT KEY", "the key does nothing there", do_unmap, true, complete_map},
	{"set", "[NAME [VALUE]]", "set something, show what it is, or show all", do_set, false,
		complete_set},
	{"theme", "[NAME]", "other colours; the next ones", do_theme, false, complete_theme},
	{"source", "FILE", "do what the lines of a file say", do_source, true},
	{"reload", "", "forget keys and settings, and read woodshedrc again", do_reload, false},
	{"save-settings", "", "write the settings to woodshedrc", do_save, false},
	{"change", "", "change the setting", do_change, false},
	{"initial", "", "the setting as it was initially", do_initial, false},
};

static const struct binding bindings[] = {
	{ON_ANY, "6", "screen setup"},
	{ON_ANY, "^T", "theme"},
	{1 << SCREEN_SETUP, "<Enter>", "change"},
	{1 << SCREEN_SETUP, "<Space>", "change"},
	{1 << SCREEN_SETUP, "x", "initial"},
	{1 << SCREEN_SETUP, "w", "save-settings"},
	{1 << SCREEN_SETUP, "r", "reload"},
};

const struct command_table commands_setup = COMMAND_TABLE(commands, bindings);
