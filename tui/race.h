/* race.h: what the models of a race are told of the settings that somebody made for one
 * of them, and what they are not.  No screen here: view_race.c. */
#ifndef WOODSHED_TUI_RACE_H
#define WOODSHED_TUI_RACE_H

#include <stdbool.h>
#include <stddef.h>

struct arena;
struct engine_parameters;
struct str;

/* Of `options` (a job's, JSON), made for the engine `from`, what `to` has as well: a
 * parameter of the same name and kind.  Texts and files mean something to their own
 * engine only; what is so by itself (parameter.otherwise), or no parameter, is no
 * setting.  JSON in the arena. */
const char *race_options(const char *options, const struct engine_parameters *from,
	const struct engine_parameters *to, struct arena *a);

/* What a lane was told. */
struct race_told {
	const char *options;  /* JSON */
	const char *negative; /* NULL: none */
};
/* "cfg 5  steps 20": what at least one lane was told; of several values the first. */
void race_settings(const struct race_told *lanes, size_t n, struct str *out);
/* "steps, negative": what others were told and lane i was not; "": nothing. */
void race_lacks(const struct race_told *lanes, size_t n, size_t i, struct str *out);

#endif
