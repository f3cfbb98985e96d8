/* filter.h: the language in which a list of takes is narrowed.
 *
 *	rain piano          takes whose prompt, tags or note have words that begin so
 *	"late night"        these words next to each other
 *	#keep  fav          with that tag; favourites
 *	model:starter seed:7 id:12 job:3
 *	dur>30 rating>=3 lufs<-14 score>0.2 cfg=3     (< <= = >= >)
 *	created:today created:2026-11 created>=2026-11-20
 *	missing trash kept rejected heard
 *	-word -#keep -fav   without it
 *
 * All must hold.  Takes in the trash are left out unless `trash` is said. */
#ifndef WOODSHED_LIBRARY_FILTER_H
#define WOODSHED_LIBRARY_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "library/base/str.h"

struct err;
struct query;

enum {
	FILTER_TERMS_MAX = 64,
	FILTER_BYTES_MAX = 4096,
	FILTER_SETS_MAX = FILTER_TERMS_MAX / 2 + 3, /* words to have, words not to, the trash */
};

struct filter_value {
	char *text; /* owned; NULL: it is a number */
	double number;
	int64_t whole;
	bool is_whole;
};

/* A query of the ids of some takes, in any order, some of them maybe twice. */
struct filter_set {
	struct str sql;
	struct str key; /* the same of the same set, whatever else is in the filter */
	bool without;   /* these are left out */
};

/* A filter in two forms of the same SQL, with values from ?1 on.  As one condition, over `takes
 * t`, or `words` where there is a match, or both.  As sets, each of them quick by an index of its
 * own: what is left is in all of them, but in none of those that are `without`. */
struct filter {
	bool needs_takes; /* `where` names t */
	struct str where; /* " AND ..." for each term but the words */
	struct str match; /* an FTS5 expression of the words to have, value ?1; empty: none */
	struct filter_set sets[FILTER_SETS_MAX];
	int n_sets;
	struct filter_value values[FILTER_TERMS_MAX + 3];
	int n_values;
};

/* ERR_ARG, one sentence, for what is no filter; nothing is kept of it then.
 * now_ms: today, in the local time zone. */
int filter_parse(const char *text, int64_t now_ms, struct filter *ret, struct err *e);
/* The values that the query has, of any SQL above. */
void filter_bind(const struct filter *f, struct query *q);
void filter_done(struct filter *f);

#endif
