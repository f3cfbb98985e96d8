/* The tables of commands and keys: no name twice, no key twice on a screen, and every
 * key calls a command that there is. */
#include <stdio.h>
#include <string.h>

#include "library/base/arena.h"
#include "tests/unit/scratch.h"
#include "tui/view_compose.h"
#include "tui/ws.h"

static void no_name_twice(void **state)
{
	const struct command *c, *other;

	for (size_t i = 0; (c = commands_at(i)); i++)
		for (size_t k = 0; k < i && (other = commands_at(k)); k++)
			if (!strcmp(c->name, other->name))
				fail_msg("there are two commands '%s'", c->name);
}

static void keys_call_commands(void **state)
{
	const struct binding *b;
	struct chord chord;

	for (size_t i = 0; (b = commands_binding_at(i)); i++) {
		if (chord_parse(b->keys, &chord, NULL))
			fail_msg("'%s' is no key", b->keys);
		if (!commands_find(b->command, strcspn(b->command, " ")))
			fail_msg("%s calls '%s', which is not there", b->keys, b->command);
	}
}

/* A screen's own key may stand before one of all screens; otherwise it has one meaning. */
static void no_key_twice(void **state)
{
	const struct binding *b, *other;

	for (size_t i = 0; (b = commands_binding_at(i)); i++)
		for (size_t k = 0; k < i && (other = commands_binding_at(k)); k++)
			if (b->on & other->on && !strcmp(b->keys, other->keys))
				fail_msg("%s calls '%s' and '%s'", b->keys, other->command,
					b->command);
}

/* How often these lines have a key as one of the screen's own. */
static int count(const struct help_line *lines, size_t n, const char *key)
{
	const size_t length = strlen(key);
	int found = 0;

	for (size_t i = 0; i < n; i++)
		for (const char *k = lines[i].keys; !lines[i].on && *k; k += strspn(k, " ")) {
			found += strcspn(k, " ") == length && !memcmp(k, key, length);
			k += strcspn(k, " ");
		}
	return found;
}

static bool tells(const struct ws *ws, enum ws_screen screen, const char *key)
{
	const struct help_line *lines;
	struct arena a = {0};
	const size_t n = commands_help(ws, screen, &a, &lines);
	const bool is_told = count(lines, n, key);

	arena_done(&a);
	return is_told;
}

static void no_key_is_told_twice(const struct ws *ws, enum ws_screen screen)
{
	const struct help_line *lines;
	const struct binding *b;
	struct arena a = {0};
	const size_t n = commands_help(ws, screen, &a, &lines);

	for (size_t i = 0; (b = commands_binding_at(i)); i++)
		if (count(lines, n, b->keys) > 1)
			fail_msg("%s: %s stands there twice", views[screen]->name, b->keys);
	arena_done(&a);
}

static void help_tells_what_acts(void **state)
{
	static struct compose_view compose;
	static struct ws ws = {.compose = &compose};

	for (int on = 0; on < N_SCREENS; on++)
		no_key_is_told_twice(&ws, (enum ws_screen)on);
	assert_true(tells(&ws, SCREEN_LIBRARY, "zz"));
	assert_false(tells(&ws, SCREEN_TRIAGE, "zz")); /* z is complete there */
	assert_true(tells(&ws, SCREEN_COMPOSE, "<F5>"));
	assert_true(tells(&ws, SCREEN_COMPOSE, "^W"));
	assert_false(tells(&ws, SCREEN_COMPOSE, "u")); /* they are typed */
	assert_false(tells(&ws, SCREEN_COMPOSE, "gt"));
	assert_false(tells(&ws, SCREEN_COMPOSE, "<Space>"));
	compose.is_resting = true;
	assert_true(tells(&ws, SCREEN_COMPOSE, "u"));
	assert_true(tells(&ws, SCREEN_COMPOSE, "gt"));
	assert_false(tells(&ws, SCREEN_COMPOSE, "^W"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_name_twice),
		cmocka_unit_test(keys_call_commands),
		cmocka_unit_test(no_key_twice),
		cmocka_unit_test(help_tells_what_acts),
	};

	return RUN_TAP(tests);
}
