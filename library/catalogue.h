/* catalogue.h: the models that woodshed knows by name, with their licences, and
 * how models on Hugging Face are named.
 *
 * Only what does not change is written down here.  Files, exact sizes and
 * checksums are the server's to tell when a model is pulled. */
#ifndef WOODSHED_LIBRARY_CATALOGUE_H
#define WOODSHED_LIBRARY_CATALOGUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct err;

/* What the licence says about selling what the model makes. */
enum commercial {
	COMMERCIAL_NO,
	COMMERCIAL_LIMITED, /* under conditions that the licence page tells */
	COMMERCIAL_YES,
};

struct known_model {
	const char *name;    /* in the library: models/NAME */
	const char *repo;    /* OWNER/NAME on Hugging Face */
	const char *engine;  /* as in struct model */
	const char *licence; /* SPDX identifier, or the licence's own name */
	enum commercial commercial;
	const char *page;     /* where the licence is read and, if gated, accepted */
	uint64_t about_bytes; /* of the download, to three digits */
	int rate_hz;
	int channels;
	double longest_s; /* longest take that the model makes in one go */
	bool gated;       /* needs a token of somebody who accepted the licence */
};

/* Ends with an entry whose name is NULL. */
extern const struct known_model catalogue[];

/* NULL when there is none. */
const struct known_model *catalogue_by_name(const char *name);
const struct known_model *catalogue_by_repo(const char *repo);

/* "no", "limited", "yes": as JSON has it. */
const char *commercial_name(enum commercial c);

/* Whether S has the form OWNER/NAME that Hugging Face gives out; such a name is
 * also harmless in a path and in a URL. */
bool is_repo(const char *s);

/* What a model of the repository is called here: its last part; OWNER--NAME where
 * the catalogue calls another repository's model that. */
const char *repo_model_name(const char *repo, struct arena *a);

/* A model as a user names it, by the catalogue's name or as OWNER/NAME.  *ret_known
 * is NULL for a repository that the catalogue lacks.  ERR_ARG, with the nearest
 * name, when it is neither. */
int catalogue_resolve(const char *word, const struct known_model **ret_known, const char **ret_repo,
	struct err *e);

#endif
