/* What the EXPECTED.json of a parity test says. */
#ifndef WOODSHED_TESTS_PARITY_MANIFEST_H
#define WOODSHED_TESTS_PARITY_MANIFEST_H

#include <jansson.h>

struct ckpt;
struct err;

/* Opens BASE.json and BASE.safetensors, the tensors that belong to it; both are the caller's. */
int manifest_open(const char *base, json_t **ret, struct ckpt **ret_tensors, struct err *e);
const json_t *manifest_run(const json_t *manifest, const char *name); /* NULL: none */
double number(const json_t *o, const char *key, double otherwise);
const char *text(const json_t *o, const char *key); /* NULL: none, or no text */

#endif
