/* parameters.h: what each engine can be told, for whoever draws a form of it. */
#ifndef WOODSHED_ENGINE_CLI_PARAMETERS_H
#define WOODSHED_ENGINE_CLI_PARAMETERS_H

#include <stddef.h>

#include "library/parameters.h"

struct arena;
struct db;
struct err;

/* Of each engine of this program, from the options of render; names are those of a
 * job's options (job_options.h). */
size_t parameters_list(struct arena *a, struct engine_parameters **ret);

/* Writes them into the library, unless it holds the very same. */
int parameters_publish(struct db *db, struct err *e);

#endif
