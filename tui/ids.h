/* ids.h: sets of numbers, such as the takes that are marked: ordered, in memory. */
#ifndef WOODSHED_TUI_IDS_H
#define WOODSHED_TUI_IDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zero-initialised is empty. */
struct ids {
	int64_t *at; /* ascending, each once; owned */
	size_t n, cap;
};

bool ids_has(const struct ids *s, int64_t id);
void ids_add(struct ids *s, const int64_t *ids, size_t n); /* in any order, those it has as well */
void ids_remove(struct ids *s, const int64_t *ids, size_t n);
/* Those of `ids` that it has go, the others come. */
void ids_toggle(struct ids *s, const int64_t *ids, size_t n);
void ids_clear(struct ids *s);
void ids_done(struct ids *s);

#endif
