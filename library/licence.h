/* licence.h: what the makers of a model allow with what it makes. */
#ifndef WOODSHED_LIBRARY_LICENCE_H
#define WOODSHED_LIBRARY_LICENCE_H

#include <stdbool.h>

struct arena;

struct licence {
	const char *name; /* as in the catalogue: "CC-BY-NC-4.0" */
	const char *text; /* of the weights: "CC-BY-NC-4.0 (weights of ...)" */
	bool no_commercial;
};

/* By a name that holds the name of a released model ("facebook_musicgen-small"),
 * from the catalogue; false: we do not know.  What somebody has renamed is not
 * recognised. */
bool licence_of(const char *model, struct arena *a, struct licence *ret);

#endif
