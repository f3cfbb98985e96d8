/* kept.h: what a render came to before it is decoded, in LIBRARY/work until its take is
 * there.  A convenience: where it is missing, or worth nothing, it is rendered again. */
#ifndef WOODSHED_ENGINE_CLI_KEPT_H
#define WOODSHED_ENGINE_CLI_KEPT_H

#include <stdbool.h>
#include <stdint.h>

struct arena;
struct db;
struct engine_latents;

/* The file's name holds all that makes the codes: numbers of jobs come again in a library
 * that is made anew or restored, and a model may be another by now. */
const char *kept_path(const char *library, int64_t job, const char *recipe, struct arena *a);
void kept_write(const char *path, const struct engine_latents *l);
bool kept_read(const char *path, struct arena *a, struct engine_latents *ret);

/* Removes those of jobs that nobody can go on with.  Only while no worker is at work. */
void kept_sweep(struct db *db);

#endif
