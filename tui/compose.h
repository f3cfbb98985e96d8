/* compose.h: what is composed: a prompt, a model, and what its engine can be told,
 * as texts that are typed; and the jobs that makes.
 *
 * Fields are numbered: the prompt, the model, length, takes, seed, then one for
 * each parameter of the model's engine, as the library's catalogue has them
 * (parameters.h).  A value that was typed for one engine is still there after
 * another was tried.  No screen here: view_compose.c. */
#ifndef WOODSHED_TUI_COMPOSE_H
#define WOODSHED_TUI_COMPOSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "library/base/arena.h"
#include "library/parameters.h"
#include "tui/text_edit.h"

struct err;
struct job_new;
struct json_t;

enum {
	FIELD_PROMPT,
	FIELD_MODEL,
	FIELD_SECONDS,
	FIELD_TAKES,
	FIELD_SEED,
	FIELD_PARAMETERS, /* the first of them */
};

enum {
	COMPOSE_JOBS_MAX = 10000,
	COMPOSE_TAKES_MAX = 256,
	COMPOSE_PROMPT_BYTES_MAX = 20000,
};

struct compose_value {
	char *name; /* of the parameter; owned */
	struct text_edit edit;
};

struct compose {
	struct text_edit prompt, seconds, takes, seed;
	char *model; /* owned; NULL: none */
	struct {
		struct compose_value **at;
		size_t n, cap;
	} values; /* of all engines that were tried */
	/* Options that no field shows, as JSON: a take's that is made anew.  "": none. */
	struct str extra;
	int64_t parent; /* the prompt this one was made of; 0: none */
	struct str changed;
	bool is_queued; /* as it stands */

	/* What the model does while it is not told: "length_s=30 cfg=3".  "": not known. */
	struct str own;
	/* Of the model's engine; borrowed. */
	const struct parameter *parameters;
	size_t n_parameters;
	double longest_s; /* 0: any length */
};

void compose_init(struct compose *c);
void compose_done(struct compose *c);
/* Empties prompt and what belongs to it; model and parameters stay. */
void compose_clear(struct compose *c);
/* Another model forgets `extra` and `own`. */
void compose_set_model(struct compose *c, const char *model);
/* The parameters of the model's engine. */
void compose_set_parameters(
	struct compose *c, const struct parameter *list, size_t n, double longest_s);

/* ---- fields ------------------------------------------------------------- */

size_t compose_fields(const struct compose *c);
/* NULL for the model, which is chosen. */
struct text_edit *compose_edit(struct compose *c, size_t field);
/* NULL for the first five. */
const struct parameter *compose_parameter(const struct compose *c, size_t field);
const char *compose_label(const struct compose *c, size_t field);
const char *compose_help(const struct compose *c, size_t field);
/* Adds what holds while nothing is typed: "random", "1", "30 s (model's own)". */
void compose_otherwise(const struct compose *c, size_t field, struct str *out);
/* Seconds of a take while no length is typed; 0: not known. */
double compose_own_s(const struct compose *c);
/* Flags and choices. */
bool compose_is_turned(const struct compose *c, size_t field);
/* To the next (1) or the one before (-1); anything else: nothing. */
bool compose_turn(struct compose *c, size_t field, int by);
/* By a parameter's name, whether or not the engine has it. */
const char *compose_value(const struct compose *c, const char *name);
void compose_set_value(struct compose *c, const char *name, const char *text);

/* ---- what it makes ------------------------------------------------------ */

/* What is wrong with that field, in one sentence. */
int compose_check(const struct compose *c, size_t field, struct err *e);
/* Seconds of a length such as 47, 1.5 or 1:30; "" gives "".  In the arena. */
int compose_seconds(const char *text, struct arena *a, const char **ret, struct err *e);

struct compose_count {
	uint64_t prompts, settings, takes; /* wildcards; swept values; of each */
};
/* ERR_ARG when a field is wrong, or they are more than COMPOSE_JOBS_MAX. */
int compose_count(const struct compose *c, struct compose_count *ret, struct err *e);

/* One for each prompt that the wildcards stand for, each combination of swept
 * values and each take; the takes of one have the seeds from `seed` on, which holds
 * when none is typed.  In the arena, with all that they point to. */
int compose_jobs(const struct compose *c, uint64_t seed, struct arena *a, struct job_new **ret,
	size_t *ret_n, struct err *e);

/* What a take was asked for (request.h), as if it had been typed; what the engine's
 * parameters name, which are set before, and the rest as it is.  The seed is the
 * take's, or by chance. */
void compose_take(struct compose *c, const struct job_new *j, bool has_seed, const char *changed);

/* As it is typed: 5, 0.25, yes, a text.  v: a value of a job's options. */
void compose_value_text(const struct json_t *v, struct str *out);

/* ---- drafts ------------------------------------------------------------- */

/* One JSON object, and back; ERR_FORMAT changes nothing. */
void compose_write(const struct compose *c, struct str *out);
int compose_read(struct compose *c, const char *json, struct err *e);

#endif
