/* keymap.h: the keys that a user mapped, or unmapped. */
#ifndef WOODSHED_TUI_KEYMAP_H
#define WOODSHED_TUI_KEYMAP_H

#include <stdbool.h>
#include <stddef.h>

#include "library/base/arena.h"
#include "tui/view.h"

struct keymap {
	struct binding *at; /* the newest last; command NULL: nothing, whatever was there */
	size_t n, cap;
	struct arena a;
};

/* command NULL: the key does nothing there.  ERR_ARG when `keys` is no chord. */
int keymap_set(struct keymap *m, unsigned on, const char *keys, const char *command, struct err *e);
/* Whether there is an entry for that chord that holds on one of those bits. */
bool keymap_has(const struct keymap *m, const char *keys, unsigned on);
void keymap_close(struct keymap *m);

#endif
