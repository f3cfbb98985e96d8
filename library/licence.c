/* Licences of the models that people are likely to have. */
#include "library/licence.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "library/base/arena.h"
#include "library/catalogue.h"

/* Finetunes and copies mostly keep the name of what they were made of; the longest
 * known name that is a part of it tells whose licence goes on. */
static const struct known_model *origin(const char *model)
{
	const struct known_model *best = NULL;

	for (const struct known_model *k = catalogue; k->name; k++)
		if (strcasestr(model, k->name) && (!best || strlen(k->name) > strlen(best->name)))
			best = k;
	return best;
}

bool licence_of(const char *model, struct arena *a, struct licence *ret)
{
	static const struct {
		const char *part, *as;
	} families[] = {{"musicgen", "musicgen-small"}, {"audioldm2", "audioldm2-music"}};
	const struct known_model *k = model ? origin(model) : NULL;
	const char *name = k ? k->name : NULL;

	for (size_t i = 0; model && !k && i < sizeof(families) / sizeof(*families); i++)
		if (strcasestr(model, families[i].part)) {
			k = catalogue_by_name(families[i].as);
			name = families[i].part;
		}
	if (k)
		*ret = (struct licence){k->licence,
			arena_printf(a, "%s (weights of %s, %s)", k->licence, name, k->page),
			k->commercial == COMMERCIAL_NO};
	else if (model && !strcmp(model, "starter"))
		*ret = (struct licence){"MIT", "MIT (weights of woodshed's starter model)", false};
	else
		return false;
	return true;
}
