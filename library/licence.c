/* Licences of the models that people are likely to have. */
#include "library/licence.h"

#include <stddef.h>
#include <string.h>

static const struct {
	const char *part; /* of the name */
	struct licence licence;
} known[] = {
	{"musicgen", {"CC BY-NC 4.0 (weights of MusicGen, Meta)", true}},
	{"audioldm2", {"CC BY-NC-SA 4.0 (weights of AudioLDM 2)", true}},
};

const struct licence *licence_of(const char *model)
{
	for (size_t i = 0; model && i < sizeof known / sizeof *known; i++)
		if (strcasestr(model, known[i].part))
			return &known[i].licence;
	return NULL;
}
