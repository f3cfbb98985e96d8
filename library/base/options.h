/* Command lines: options from a table.
 *
 * --name VALUE, --name=VALUE, -n VALUE, -nVALUE; arguments may stand between
 * options; "--" ends the options.  A value is whatever follows, dashes or not.
 * Given twice, the last one counts.  Errors are ERR_ARG, one sentence; an
 * unknown option comes with the nearest known one. */
#ifndef WOODSHED_BASE_OPTIONS_H
#define WOODSHED_BASE_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct str;

enum option_kind {
	OPTION_FLAG,   /* bool */
	OPTION_TEXT,   /* const char *, borrowed from argv */
	OPTION_CHOICE, /* const char *, one of the words in value: "a|b|c" */
	OPTION_WHOLE,  /* uint64_t, lo..hi (hi 0: UINT64_MAX) */
	OPTION_NUMBER, /* double, lo..hi */
};

struct option_spec {
	const char *name; /* without dashes; NULL ends a table */
	char letter;      /* short form, or 0 */
	enum option_kind kind;
	const char *value; /* word for the help; the choices */
	const char *help;
	size_t offset; /* of the field in the values struct */
	double lo, hi;
};

struct option_group {
	const struct option_spec *specs; /* at most 64; NULL: none */
	void *values;                    /* filled; the caller sets defaults before */
	uint64_t given;                  /* out: bit i when specs[i] was given */
};

struct options {
	struct option_group group[2];
	/* What an argument that begins with a dash would be, for the error that tells to write
	 * "--" before it: "a word to leave out".  NULL: nothing. */
	const char *dashed;
	bool stop_at_argument; /* end at the first argument, as before a verb */
	int argc;              /* in: what to parse; out: the arguments (or, with */
	char **argv;           /* stop_at_argument, the rest), moved to the front */
};

int options_parse(struct options *o, struct err *e);
bool options_given(const struct option_group *g, const char *name);
/* One line (or more, wrapped) per option, for --help. */
void options_help(const struct option_spec *specs, struct str *out);

/* Single-byte insertions, deletions, replacements and swaps of neighbours
 * between two words of at most 63 bytes; longer ones are far from all. */
size_t edit_distance(const char *a, const char *b);

#endif
