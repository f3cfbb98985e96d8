/* complete.h: words that a line may go on with. */
#ifndef WOODSHED_TUI_COMPLETE_H
#define WOODSHED_TUI_COMPLETE_H

#include <stddef.h>

#include "library/base/arena.h"

struct words {
	const char *prefix; /* of the word that is typed; others are left out */
	struct arena a;
	const char **at;
	size_t n, cap;
};

/* Copied, when it begins with the prefix and is not there yet. */
void words_add(struct words *w, const char *word);
/* In the order of their bytes. */
void words_sort(struct words *w);
void words_done(struct words *w);

#endif
