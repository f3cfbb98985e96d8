/* What engine_describe() says of a model, against what it is once it is open. */
#ifndef WOODSHED_TESTS_PARITY_DESCRIBED_H
#define WOODSHED_TESTS_PARITY_DESCRIBED_H

#include <stdbool.h>

struct engine_info;

bool is_described(const char *folder, const struct engine_info *info);

struct engine;

/* Whether engine_needs() tells what the engine, just opened, has taken. */
bool is_weighed(const char *folder, struct engine *en);

#endif
