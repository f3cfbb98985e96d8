/* verbs.h: what woodshed-engine does.  Each verb gets the words after its
 * name and returns the exit status: 0, 1 (failed) or 2 (wrong arguments). */
#ifndef WOODSHED_ENGINE_CLI_VERBS_H
#define WOODSHED_ENGINE_CLI_VERBS_H

struct environment;
struct globals;

/* globals: as found before the verb; may be changed by those after it. */
int verb_render(struct globals *g, const struct environment *env, int argc, char **argv);
int verb_queue(struct globals *g, const struct environment *env, int argc, char **argv);
int verb_worker(struct globals *g, const struct environment *env, int argc, char **argv);
int verb_recipe(struct globals *g, const struct environment *env, int argc, char **argv);
int verb_denoise(struct globals *g, const struct environment *env, int argc, char **argv);
int verb_doctor(struct globals *g, const struct environment *env, int argc, char **argv);

#endif
