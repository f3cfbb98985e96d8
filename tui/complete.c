/* Words that a line may go on with. */
#include "tui/complete.h"

#include <stdlib.h>
#include <string.h>

#include "library/base/str.h"
#include "library/base/vec.h"

void words_add(struct words *w, const char *word)
{
	if (!has_prefix(word, w->prefix))
		return;
	for (size_t i = 0; i < w->n; i++)
		if (!strcmp(w->at[i], word))
			return;
	*VEC_PUSH(w) = arena_strdup(&w->a, word);
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

void words_sort(struct words *w)
{
	if (w->n)
		qsort(w->at, w->n, sizeof(*w->at), compare);
}

void words_done(struct words *w)
{
	VEC_DONE(w);
	arena_done(&w->a);
}
