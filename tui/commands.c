/* From keys and words to actions: finds them in the tables of commands_*.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "library/base/clock.h"
#include "library/base/options.h"
#include "tui/ws.h"

static const struct command_table *const tables[] = {&commands_general, &commands_library,
	&commands_marks, &commands_export, &commands_lineage, &commands_regenerate,
	&commands_compose, &commands_sound, &commands_listen, &commands_denoise, &commands_compare,
	&commands_triage, &commands_race, &commands_jobs, &commands_setup, &commands_system};

enum { EDITING_MAX = 32 }; /* rows of a view's `editing` */
enum { ESCAPE = 27 };

enum { N_TABLES = sizeof(tables) / sizeof(*tables) };

/* Table after table. */
const struct command *commands_at(size_t i)
{
	for (size_t t = 0; t < N_TABLES; i -= tables[t++]->n_commands)
		if (i < tables[t]->n_commands)
			return &tables[t]->commands[i];
	return NULL;
}

const struct binding *commands_binding_at(size_t i)
{
	for (size_t t = 0; t < N_TABLES; i -= tables[t++]->n_bindings)
		if (i < tables[t]->n_bindings)
			return &tables[t]->bindings[i];
	return NULL;
}

/* ---- commands by name --------------------------------------------------- */

const struct command *commands_find(const char *name, size_t n)
{
	const struct command *c;

	for (size_t i = 0; (c = commands_at(i)); i++)
		if (strlen(c->name) == n && !memcmp(c->name, name, n))
			return c;
	return NULL;
}

/* What was meant, if a slip or two made it `name`; else NULL. */
static const char *nearest(const char *name)
{
	enum { SLIPS = 2 };
	const char *best = NULL;
	size_t least = SLIPS + 1;
	const struct command *c;

	for (size_t i = 0; (c = commands_at(i)); i++) {
		const size_t d = edit_distance(name, c->name);

		if (d < least && d < strlen(name)) {
			least = d;
			best = c->name;
		}
	}
	return best;
}

static void complain_unknown(struct ws *ws, const char *text, size_t n)
{
	char name[64] = "";
	const char *meant;

	memcpy(name, text, n < sizeof(name) ? n : sizeof(name) - 1);
	meant = nearest(name);
	if (meant)
		ws_complain(ws, "there is no command '%.40s'; did you mean '%s'? ? lists all", name,
			meant);
	else
		ws_complain(ws, "there is no command '%.40s'; ? lists them", name);
}

void commands_run(struct ws *ws, const char *text)
{
	const char *args;
	const struct command *c;
	size_t n;

	text += strspn(text, " ");
	n = *text == '!' ? 1 : strcspn(text, " "); /* !ls needs no blank */
	if (!n)
		return;
	c = commands_find(text, n);
	args = text + n + strspn(text + n, " ");
	ws_settle(ws);
	if (c && !(c->needs_args && !*args))
		c->run(ws, args);
	else if (c)
		ws_complain(ws, "%s wants %s: %s", c->name, c->args, c->help);
	else
		complain_unknown(ws, text, n);
}

bool commands_number(struct ws *ws, const char *text, int64_t low, int64_t high, int64_t *ret)
{
	if (parse_i64(text, ret) && *ret >= low && *ret <= high)
		return true;
	ws_complain(ws, "'%.40s' is no whole number from %lld to %lld", text, (long long)low,
		(long long)high);
	return false;
}

/* ---- keys --------------------------------------------------------------- */

static bool holds_on(const struct binding *b, enum ws_screen screen)
{
	return b->on & (ON_ANY | 1u << screen);
}

/* The i-th of the user's keys, the newest first, and then of those that woodshed
 * comes with; *ret_own tells which.  NULL behind the last. */
static const struct binding *binding_at(const struct ws *ws, size_t i, bool *ret_own)
{
	const struct keymap *m = &ws->keymap;

	*ret_own = i < m->n;
	return *ret_own ? &m->at[m->n - 1 - i] : commands_binding_at(i - m->n);
}

/* Whether it holds on a screen and does something there: what the user mapped or
 * unmapped hides what was there before. */
static bool is_live(
	const struct ws *ws, enum ws_screen screen, const struct binding *b, bool is_own)
{
	if (!b->command || !holds_on(b, screen))
		return false;
	return is_own || !keymap_has(&ws->keymap, b->keys, 1u << screen | ON_ANY);
}

/* The user's keys come first, then a screen's own, then those of all.  A chord of
 * the user's is complete though others begin with it, a screen's own though those of all
 * do. */
static const struct binding *match(const struct ws *ws, const struct chord *typed, bool *ret_begins)
{
	const struct binding *found = NULL, *b;
	bool is_own, found_own = false, begins_here = false, begins_any = false;

	for (size_t i = 0; (b = binding_at(ws, i, &is_own)); i++) {
		struct chord c;

		if (!is_live(ws, ws->screen, b, is_own) || chord_parse(b->keys, &c, NULL))
			continue;
		*(b->on & ON_ANY ? &begins_any : &begins_here) |= chord_begins(typed, &c);
		if (!chord_equal(typed, &c) || (found && !(found->on & ON_ANY)) ||
			(found_own && !is_own))
			continue;
		if (!found || !(b->on & ON_ANY)) {
			found = b;
			found_own = is_own;
		}
	}
	*ret_begins = !found_own && (begins_here || (begins_any && (!found || found->on & ON_ANY)));
	return found;
}

void commands_leave_chord(struct ws *ws)
{
	ws->typed.n = 0;
	ws->dirty |= ws->has_menu ? DIRTY_ALL : DIRTY_FOOT;
	ws->takes.is_stale |= ws->has_menu;
	ws->has_menu = false;
}

/* Silence would look like something that was not seen. */
static void tell_unbound(struct ws *ws, const struct chord *typed)
{
	struct str keys = {0};

	chord_format(typed, &keys);
	ws_refuse(ws, "%s does nothing here; ? lists the keys", str_get(&keys));
	str_done(&keys);
}

void commands_key(struct ws *ws, uint32_t key)
{
	const struct binding *b;
	struct chord typed;
	bool begins;

	ws->typed.keys[ws->typed.n++] = key;
	ws->typed_at = clock_now();
	b = match(ws, &ws->typed, &begins);
	if (begins && ws->typed.n < CHORD_MAX) {
		ws->dirty |= ws->has_menu ? DIRTY_ALL : DIRTY_FOOT;
		return;
	}
	typed = ws->typed;
	commands_leave_chord(ws);
	if (b)
		commands_run(ws, b->command);
	else if (key != ESCAPE || typed.n == 1) /* which leaves what was begun */
		tell_unbound(ws, &typed);
}

/* ---- help --------------------------------------------------------------- */

static bool is_typed(const struct ws *ws, enum ws_screen screen, const char *keys)
{
	const struct view *v = views[screen];
	struct chord c;

	return v->is_typed && !chord_parse(keys, &c, NULL) && v->is_typed(ws, c.keys[0]);
}

/* Whether it does something there, as match() finds it: not where its first key is text,
 * nor behind a chord that goes before it and is complete with the same keys or fewer. */
static bool acts(const struct ws *ws, enum ws_screen screen, const struct binding *b, bool is_own)
{
	const struct binding *other;
	bool other_own;

	if (!is_live(ws, screen, b, is_own) || is_typed(ws, screen, b->keys))
		return false;
	for (size_t i = 0; !is_own && (other = binding_at(ws, i, &other_own)); i++) {
		const bool goes_before = other_own || (b->on & ON_ANY && !(other->on & ON_ANY));

		if (goes_before && has_prefix(b->keys, other->keys) &&
			is_live(ws, screen, other, other_own))
			return false;
	}
	return true;
}

static const struct command *command_of(const struct binding *b)
{
	return commands_find(b->command, strcspn(b->command, " "));
}

static const char *help_of(const struct binding *b)
{
	const struct command *c = command_of(b);

	return c ? c->help : "";
}

/* The keys that call the very same as `b` does; NULL when an earlier key does. */
static const char *all_keys(
	const struct ws *ws, const struct binding *b, enum ws_screen screen, struct arena *a)
{
	struct str keys = {0};
	const struct binding *other;
	bool is_first = true, is_own;

	for (size_t i = 0; (other = binding_at(ws, i, &is_own)); i++) {
		if (!other->command || strcmp(other->command, b->command) ||
			!acts(ws, screen, other, is_own))
			continue;
		if (!keys.n && other != b)
			is_first = false;
		str_printf(&keys, "%s%s", keys.n ? " " : "", other->keys);
	}
	const char *text = is_first ? arena_strdup(a, str_get(&keys)) : NULL;
	str_done(&keys);
	return text;
}

/* On that screen, or on others alone. */
static bool has_key(const struct ws *ws, enum ws_screen screen, const struct command *c)
{
	const struct binding *b;
	bool is_own;

	for (size_t i = 0; (b = binding_at(ws, i, &is_own)); i++)
		if (b->command && command_of(b) == c &&
			(!holds_on(b, screen) || acts(ws, screen, b, is_own)))
			return true;
	return false;
}

/* The keys of one screen, or those of all. */
static void add_keys(const struct ws *ws, struct arena *a, enum ws_screen screen, bool any,
	struct help_line *lines, size_t *n)
{
	const struct binding *b;
	bool is_own;

	for (size_t i = 0; (b = binding_at(ws, i, &is_own)); i++) {
		const char *keys;

		if (!(b->on & ON_ANY) == any || !acts(ws, screen, b, is_own))
			continue;
		keys = all_keys(ws, b, screen, a);
		if (keys)
			lines[(*n)++] = (struct help_line){keys, b->command, help_of(b), NULL};
	}
}

/* Those of a screen that are no commands: what one types with. */
static void add_editing(
	const struct ws *ws, enum ws_screen screen, struct help_line *lines, size_t *n)
{
	const struct edit_key *k = views[screen]->editing;

	for (; k && k->keys; k++)
		if (is_typed(ws, screen, k->keys))
			lines[(*n)++] = (struct help_line){k->keys, "", k->help, NULL};
}

/* Keys that hold on other screens alone; of each the first of these. */
static void add_others(const struct ws *ws, struct arena *a, enum ws_screen screen,
	struct help_line *lines, size_t *n)
{
	const struct binding *b;
	bool is_own;

	for (size_t i = 0; (b = binding_at(ws, i, &is_own)); i++) {
		int on = 0;
		const char *keys;

		if (holds_on(b, screen))
			continue;
		while (on < N_SCREENS - 1 && !(b->on & 1u << on))
			on++;
		if (!acts(ws, (enum ws_screen)on, b, is_own))
			continue;
		keys = all_keys(ws, b, (enum ws_screen)on, a);
		if (keys)
			lines[(*n)++] = (struct help_line){keys, b->command, help_of(b), views[on]};
	}
}

static size_t lines_max(const struct ws *ws)
{
	size_t max = ws->keymap.n + EDITING_MAX;

	for (size_t t = 0; t < N_TABLES; t++)
		max += tables[t]->n_commands + tables[t]->n_bindings;
	return max;
}

size_t commands_help(
	const struct ws *ws, enum ws_screen screen, struct arena *a, const struct help_line **ret)
{
	struct help_line *lines = ARENA_ARRAY(a, struct help_line, lines_max(ws));
	const struct command *c;
	size_t n = 0;

	add_keys(ws, a, screen, false, lines, &n);
	add_editing(ws, screen, lines, &n);
	add_keys(ws, a, screen, true, lines, &n);
	for (size_t i = 0; (c = commands_at(i)); i++)
		if (!has_key(ws, screen, c))
			lines[n++] = (struct help_line){
				"", arena_printf(a, "%s %s", c->name, c->args), c->help, NULL};
	add_others(ws, a, screen, lines, &n);
	*ret = lines;
	return n;
}

size_t commands_goes_on(const struct ws *ws, struct arena *a, const struct help_line **ret)
{
	struct help_line *lines = ARENA_ARRAY(a, struct help_line, lines_max(ws));
	const struct binding *b;
	bool is_own;
	size_t n = 0;

	for (size_t i = 0; (b = binding_at(ws, i, &is_own)); i++) {
		struct chord c, rest = {0};
		struct str keys = {0};

		if (chord_parse(b->keys, &c, NULL) || !chord_begins(&ws->typed, &c) ||
			!acts(ws, ws->screen, b, is_own))
			continue;
		for (int k = ws->typed.n; k < c.n; k++)
			rest.keys[rest.n++] = c.keys[k];
		chord_format(&rest, &keys);
		lines[n++] = (struct help_line){
			arena_strdup(a, str_get(&keys)), b->command, help_of(b), NULL};
		str_done(&keys);
	}
	*ret = lines;
	return n;
}
