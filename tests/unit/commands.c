/* The tables of commands and keys: no name twice, no key twice on a screen, and every
 * key calls a command that there is. */
#include <stdio.h>
#include <string.h>

#include "tests/unit/scratch.h"
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_name_twice),
		cmocka_unit_test(keys_call_commands),
		cmocka_unit_test(no_key_twice),
	};

	return RUN_TAP(tests);
}
