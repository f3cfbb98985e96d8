/* The keys that a user mapped. */
#include "tui/keymap.h"

#include <string.h>

#include "library/base/str.h"
#include "library/base/vec.h"
#include "tui/keys.h"

/* One way to write a chord, so that texts can be compared. */
static const char *normal(struct arena *a, const struct chord *c)
{
	struct str text = {0};
	const char *kept;

	chord_format(c, &text);
	kept = arena_strdup(a, str_get(&text));
	str_done(&text);
	return kept;
}

int keymap_set(struct keymap *m, unsigned on, const char *keys, const char *command, struct err *e)
{
	struct chord c;
	struct binding b = {.on = on};
	size_t n = 0;
	int rc = chord_parse(keys, &c, e);

	if (rc)
		return rc;
	b.keys = normal(&m->a, &c);
	b.command = command ? arena_strdup(&m->a, command) : NULL;
	for (size_t i = 0; i < m->n; i++)
		if (m->at[i].on != on || strcmp(m->at[i].keys, b.keys))
			m->at[n++] = m->at[i];
	m->n = n;
	*VEC_PUSH(m) = b;
	return 0;
}

bool keymap_has(const struct keymap *m, const char *keys, unsigned on)
{
	struct chord want, have;

	if (!m->n || chord_parse(keys, &want, NULL))
		return false;
	for (size_t i = 0; i < m->n; i++)
		if (m->at[i].on & on && !chord_parse(m->at[i].keys, &have, NULL) &&
			chord_equal(&want, &have))
			return true;
	return false;
}

void keymap_close(struct keymap *m)
{
	VEC_DONE(m);
	arena_done(&m->a);
	*m = (struct keymap){0};
}
