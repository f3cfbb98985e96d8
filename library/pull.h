/* pull.h: a model from Hugging Face into the library.
 *
 *	LIBRARY/models/.NAME.part/	while it is being pulled; kept when that ends
 *					early, so that the next pull goes on there
 *		.lock			held by the one who pulls
 *		FILE			complete, and its hash was right
 *		FILE.HASH.part		in the making; HASH: the first 16 digits
 *	LIBRARY/models/NAME/		all of it, by one rename
 *
 * The list of files, with size and hash of each, comes first; every byte is
 * checked against it, also what an earlier pull left.  A line that fails is tried
 * again from where it was cut.  A server that sends other bytes than its list
 * promises is tried once more from the start, then named.  Nothing a server says
 * becomes a path: repo_files.h. */
#ifndef WOODSHED_LIBRARY_PULL_H
#define WOODSHED_LIBRARY_PULL_H

#include <stdbool.h>
#include <stdint.h>

struct arena;
struct err;

struct pull_state {
	const char *file;     /* the one it is at */
	uint64_t done, total; /* bytes of all files */
	double rate;          /* bytes a second over the last seconds; 0: not known yet */
	double eta_s;         /* until all is here; NAN: not known yet */
	bool is_checking;     /* hashes what an earlier pull left */
};

struct pull_request {
	const char *library;    /* an existing folder */
	const char *name;       /* repo_model_name() of */
	const char *repo;       /* OWNER/NAME */
	const char *page;       /* where its licence is read, and accepted if it is gated */
	bool is_gated;          /* known to be, whatever the server says */
	const char *endpoint;   /* is_endpoint() is true of it */
	const char *token;      /* NULL: none */
	const char *token_file; /* where a token would be looked for: for messages; NULL */

	unsigned tries;     /* in a row without a new byte, 1.. */
	double wait_s;      /* before the second of them; doubles up to a minute */
	unsigned timeout_s; /* of silence; the line then counts as cut */

	/* All may be NULL.  stop is asked at least once a second: true ends the pull
	 * with ERR_CANCELLED. */
	void (*progress)(void *ud, const struct pull_state *s);
	void (*note)(void *ud, const char *text); /* something went wrong, and it goes on */
	bool (*stop)(void *ud);
	void *ud;
};

struct pull_result {
	const char *dir;
	uint64_t bytes;   /* of all files */
	uint64_t fetched; /* of these, over the line, repeated ones counted */
};

/* ERR_BUSY when somebody else pulls the same model, or when another model has its
 * name.  One that is there already is left as it is, and is the result. */
int pull_model(
	const struct pull_request *q, struct arena *a, struct pull_result *ret, struct err *e);

/* The token to show to the server: GIVEN unless NULL or empty, else what the file
 * holds (NULL: none); *ret is NULL when there is neither.  ERR_FORMAT when it is
 * no token. */
int pull_token(
	const char *given, const char *file, struct arena *a, const char **ret, struct err *e);

#endif
