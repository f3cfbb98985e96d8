/* licence.h: what the makers of a model allow with what it makes. */
#ifndef WOODSHED_LIBRARY_LICENCE_H
#define WOODSHED_LIBRARY_LICENCE_H

#include <stdbool.h>

struct licence {
	const char *text; /* of the weights: "CC BY-NC 4.0 (Meta)" */
	bool no_commercial;
};

/* By the name of a released model ("musicgen-small", "facebook_musicgen-small");
 * NULL: we do not know.  A model that somebody has renamed is not recognised. */
const struct licence *licence_of(const char *model);

#endif
