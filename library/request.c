/* What a take was asked for. */
#include "library/request.h"

#include <math.h>

#include "library/base/arena.h"
#include "library/base/err.h"
#include "library/base/jsonw.h"
#include "library/base/str.h"
#include "library/db.h"
#include "library/queue.h"
#include "library/recipe.h"
#include "library/takes.h"

static int from_recipe(const struct take *t, struct arena *a, struct job_new *ret, struct err *e)
{
	struct str options = {0};
	char seconds[32];
	struct recipe r;
	int rc = recipe_parse(t->recipe, a, &r, e);

	if (!rc)
		rc = recipe_options(&r, &options, e);
	if (!rc && !isnan(t->score)) { /* no part of how it was made, but asked for */
		options.s[--options.n] = 0;
		jsonw_bool(&options, "rank", true);
		jsonw_end(&options);
	}
	if (rc) {
		str_done(&options);
		return err_wrap(e, rc, "take %lld", (long long)t->id);
	}
	ret->options = arena_strdup(a, str_get(&options));
	ret->model = t->model;
	ret->seconds = arena_strdup(a, format_f64(r.seconds > 0 ? r.seconds : t->seconds, seconds));
	str_done(&options);
	return 0;
}

static int has_job(struct db *db, int64_t id, bool *ret, struct err *e)
{
	struct query q = db_query(db, "SELECT 1 FROM jobs WHERE id = ?1", "i", id);

	*ret = query_next(&q);
	return query_done(&q, e);
}

int request_of_take(
	struct db *db, int64_t take, struct arena *a, struct job_new *ret, struct err *e)
{
	struct take t;
	struct job j;
	bool is_there = false;
	int rc = takes_get(db, take, a, &t, e);

	if (!rc)
		rc = has_job(db, t.job, &is_there, e);
	if (!rc && is_there)
		rc = jobs_get(db, t.job, a, &j, e);
	if (rc)
		return rc;
	*ret = (struct job_new){.prompt = t.prompt,
		.negative = t.negative,
		.parent_prompt = t.prompt_id,
		.seed = t.seed};
	if (!is_there)
		return from_recipe(&t, a, ret, e);
	ret->model = j.model;
	ret->seconds = j.seconds;
	ret->options = j.options;
	return 0;
}
