/* What the EXPECTED.json of a parity test says. */
#ifndef WOODSHED_TESTS_PARITY_MANIFEST_H
#define WOODSHED_TESTS_PARITY_MANIFEST_H

#include <jansson.h>

double number(const json_t *o, const char *key, double otherwise);
const char *text(const json_t *o, const char *key); /* NULL: none, or no text */

#endif
