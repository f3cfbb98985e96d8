/* parameters.h: what each engine can be told, as woodshed-engine writes it into
 * the library and whoever draws a form reads it.
 *
 * A parameter is a field of a job's options (queue.h) by its name; one of the kind
 * PARAMETER_PROMPT is the job's negative prompt.  The rows are those of one version
 * of the program: another version writes them anew. */
#ifndef WOODSHED_LIBRARY_PARAMETERS_H
#define WOODSHED_LIBRARY_PARAMETERS_H

#include <stdbool.h>
#include <stddef.h>

struct arena;
struct db;
struct err;

enum parameter_kind {
	PARAMETER_WHOLE,  /* low to high */
	PARAMETER_NUMBER, /* low to high */
	PARAMETER_FLAG,
	PARAMETER_CHOICE, /* one of choices, "a|b|c" */
	PARAMETER_TEXT,
	PARAMETER_FILE,   /* an absolute path */
	PARAMETER_PROMPT, /* a second prompt: the negative one */
};

/* Strings are in the arena, or the caller's. */
struct parameter {
	const char *name;  /* of the option, such as "top_k" */
	const char *label; /* for people */
	const char *unit;  /* "": none */
	enum parameter_kind kind;
	double low, high;
	/* What holds when nobody tells: a value, and perhaps what it means, "0 (off)"; a few
	 * words where no value says it; "": the model's own. */
	const char *otherwise;
	const char *choices; /* "" unless it is a choice */
	const char *help;    /* one line */
};

struct engine_parameters {
	const char *engine;
	bool is_known;   /* this program renders it; false, too, before any engine has told */
	bool is_endless; /* a take may be longer than what the model makes in one go */
	const struct parameter *list;
	size_t n;
};

/* Whether the library holds what this version of the program wrote. */
int parameters_are_current(struct db *db, const char *version, bool *ret, struct err *e);

/* Replaces what is there by these, in one. */
int parameters_write(struct db *db, const char *version, const struct engine_parameters *engines,
	size_t n, struct err *e);

/* Which engines have told, by name, without their parameters; all that one parameters_write()
 * wrote, or none.  The list is the arena's. */
int parameters_engines(struct db *db, struct arena *a, const struct engine_parameters **ret,
	size_t *ret_n, struct err *e);

/* In the order in which they were written.  An engine that is not there has none,
 * and is endless as far as anybody knows. */
int parameters_read(struct db *db, const char *engine, struct arena *a,
	struct engine_parameters *ret, struct err *e);

/* "whole", "number", "flag", "choice", "text", "file", "prompt" */
const char *parameter_kind_name(enum parameter_kind k);

#endif
