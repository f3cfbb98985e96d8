/* From keys and words to actions: finds them in the tables of commands_*.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tui/ws.h"

static const struct command_table *const tables[] = {
	&commands_general, &commands_takes, &commands_sound, &commands_jobs};

enum { N_TABLES = sizeof(tables) / sizeof(*tables) };

/* The i-th of all, table after table; NULL behind the last. */
static const struct command *command_at(size_t i)
{
	for (size_t t = 0; t < N_TABLES; i -= tables[t++]->n_commands)
		if (i < tables[t]->n_commands)
			return &tables[t]->commands[i];
	return NULL;
}

static const struct binding *binding_at(size_t i)
{
	for (size_t t = 0; t < N_TABLES; i -= tables[t++]->n_bindings)
		if (i < tables[t]->n_bindings)
			return &tables[t]->bindings[i];
	return NULL;
}

/* ---- commands by name --------------------------------------------------- */

static const struct command *find(const char *name, size_t n)
{
	const struct command *c;

	for (size_t i = 0; (c = command_at(i)); i++)
		if (strlen(c->name) == n && !memcmp(c->name, name, n))
			return c;
	return NULL;
}

void commands_run(struct ws *ws, const char *text)
{
	const char *args;
	const struct command *c;
	size_t n;

	text += strspn(text, " ");
	n = strcspn(text, " ");
	if (!n)
		return;
	c = find(text, n);
	args = text + n + strspn(text + n, " ");
	if (c && !(c->needs_args && !*args))
		c->run(ws, args);
	else if (c)
		ws_complain(ws, "%s wants %s: %s", c->name, c->args, c->help);
	else
		ws_complain(ws, "there is no command '%.*s'; ? lists them", (int)(n < 40 ? n : 40),
			text);
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

/* A screen's own keys come before those of all. */
static const struct binding *match(
	enum ws_screen screen, const struct chord *typed, bool *ret_begins)
{
	const struct binding *found = NULL, *b;

	*ret_begins = false;
	for (size_t i = 0; (b = binding_at(i)); i++) {
		struct chord c;

		if (!holds_on(b, screen) || chord_parse(b->keys, &c, NULL))
			continue;
		*ret_begins |= chord_begins(typed, &c);
		if (chord_equal(typed, &c) && (!found || found->on & ON_ANY))
			found = b;
	}
	return found;
}

void commands_key(struct ws *ws, uint32_t key)
{
	const struct binding *b;
	bool begins;

	ws->typed.keys[ws->typed.n++] = key;
	b = match(ws->screen, &ws->typed, &begins);
	if (begins && ws->typed.n < CHORD_MAX) {
		ws->dirty |= DIRTY_FOOT;
		return;
	}
	ws->typed.n = 0;
	ws->dirty |= DIRTY_FOOT;
	if (b)
		commands_run(ws, b->command);
}

/* ---- help --------------------------------------------------------------- */

static const struct command *command_of(const struct binding *b)
{
	return find(b->command, strcspn(b->command, " "));
}

/* The keys that call the very same as `b` does; NULL when an earlier key does. */
static const char *all_keys(const struct binding *b, enum ws_screen screen, struct arena *a)
{
	struct str keys = {0};
	const struct binding *other;
	bool is_first = true;

	for (size_t i = 0; (other = binding_at(i)); i++) {
		if (!holds_on(other, screen) || strcmp(other->command, b->command))
			continue;
		if (!keys.n && other != b)
			is_first = false;
		str_printf(&keys, "%s%s", keys.n ? " " : "", other->keys);
	}
	const char *text = is_first ? arena_strdup(a, str_get(&keys)) : NULL;
	str_done(&keys);
	return text;
}

static bool has_key(const struct command *c)
{
	const struct binding *b;

	for (size_t i = 0; (b = binding_at(i)); i++)
		if (command_of(b) == c)
			return true;
	return false;
}

/* The keys of one screen, or those of all. */
static void add_keys(
	struct arena *a, enum ws_screen screen, bool any, struct help_line *lines, size_t *n)
{
	const struct binding *b;

	for (size_t i = 0; (b = binding_at(i)); i++) {
		const char *keys;

		if (!(b->on & ON_ANY) == any || !holds_on(b, screen))
			continue;
		keys = all_keys(b, screen, a);
		if (keys)
			lines[(*n)++] = (struct help_line){keys, b->command, command_of(b)->help};
	}
}

size_t commands_help(enum ws_screen screen, struct arena *a, const struct help_line **ret)
{
	const struct command *c;
	struct help_line *lines;
	size_t n = 0, max = 0;

	for (size_t t = 0; t < N_TABLES; t++)
		max += tables[t]->n_commands + tables[t]->n_bindings;
	lines = ARENA_ARRAY(a, struct help_line, max);
	add_keys(a, screen, false, lines, &n);
	add_keys(a, screen, true, lines, &n);
	for (size_t i = 0; (c = command_at(i)); i++)
		if (!has_key(c))
			lines[n++] = (struct help_line){
				"", arena_printf(a, "%s %s", c->name, c->args), c->help};
	*ret = lines;
	return n;
}
