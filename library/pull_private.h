/* pull_private.h: what the halves of a pull share.  pull.c has the folder, the list
 * and the order; pull_file.c one file, over as many requests as that takes. */
#ifndef WOODSHED_LIBRARY_PULL_PRIVATE_H
#define WOODSHED_LIBRARY_PULL_PRIVATE_H

#include "library/http.h"
#include "library/pull.h"
#include "library/repo_files.h"

struct pull {
	const struct pull_request *q;
	struct arena *a;
	struct http *http;
	const char *staging; /* LIBRARY/models/.NAME.part */
	const char *final;   /* LIBRARY/models/NAME */
	int lock;            /* of the file .lock; -1 */
	struct repo_files files;
	bool is_stale; /* the server's files are no longer those of its list */

	/* What is told on the way. */
	const char *file; /* NULL: none yet */
	uint64_t have;    /* bytes here, hashed */
	uint64_t fetched;
	bool is_checking;
	double rate, metered; /* clock_now() of the last measure */
	uint64_t unmetered;   /* bytes since */
};

/* Of one file, or of the list. */
struct pull_tries {
	unsigned n; /* that brought nothing */
};

/* "x.safetensors.0123456789abcdef.part", in p->staging */
const char *pull_part_path(const struct pull *p, const struct repo_file *f);
const char *pull_path(const struct pull *p, const struct repo_file *f);

/* Everything of F that is not here yet; done when it has its name and its hash was
 * right.  With p->is_stale, a new list may help. */
int pull_file(struct pull *p, const struct repo_file *f, struct err *e);

/* BYTES came over the line; 0 says that time passes. */
void pull_meter(struct pull *p, size_t bytes);
void pull_report(const struct pull *p);
void pull_note(const struct pull *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool pull_is_stopped(struct pull *p);

/* Whether an answer that is no success may be another one later. */
bool pull_may_pass(const struct http_reply *r);
/* Waits before the next try: 0, *e cleared.  When they are used up: its code, with
 * what *e holds, or else the answer, as the reason. */
int pull_again(struct pull *p, struct pull_tries *t, const struct http_reply *r, struct err *e);
/* What an answer that will stay means, and what to do.  WHAT: a file, or NULL. */
int pull_refuse(const struct pull *p, const struct http_reply *r, const char *what, struct err *e);

#endif
