/* What a take was asked for. */
#include "library/request.h"

#include <math.h>
#include <string.h>

#include "library/base/arena.h"
#include "library/base/err.h"
#include "library/base/jsonw.h"
#include "library/base/str.h"
#include "library/db.h"
#include "library/queue.h"
#include "library/recipe.h"
#include "library/takes.h"

/* What the queue would hold, had it made the take.  Where it ran is left out: it may
 * run elsewhere. */
static void write_options(const struct recipe *r, struct str *out)
{
	jsonw_begin(out);
	if (!isnan(r->guidance))
		jsonw_num(out, "cfg", r->guidance);
	if (r->steps)
		jsonw_u64(out, "steps", r->steps);
	if (r->sampler)
		jsonw_text(out, "sampler", r->sampler);
	if (r->greedy)
		jsonw_bool(out, "greedy", true);
	jsonw_num(out, "temperature", r->temperature);
	jsonw_u64(out, "top_k", r->top_k);
	jsonw_num(out, "top_p", r->top_p);
	if (r->precision)
		jsonw_text(out, "precision", r->precision);
	jsonw_end(out);
}

/* The shortest decimal that reads back as v. */
static const char *decimal(double v, struct arena *a)
{
	const char *text;
	double back;
	int digits = 6;

	do {
		text = arena_printf(a, "%.*g", digits, v);
	} while (digits++ < 17 && !(parse_f64(text, &back) && back == v));
	return text;
}

static int from_recipe(const struct take *t, struct arena *a, struct job_new *ret, struct err *e)
{
	struct str options = {0};
	struct recipe r;
	int rc = recipe_parse(t->recipe, a, &r, e);

	if (rc)
		return err_wrap(e, rc, "the recipe of take %lld", (long long)t->id);
	if (r.continued)
		return err_set(e, ERR_UNSUPPORTED,
			"take %lld continues '%.80s', and where that lies is not known; name it "
			"with woodshed queue --recipe ... --continue",
			(long long)t->id, r.continued);
	write_options(&r, &options);
	ret->options = arena_strdup(a, str_get(&options));
	ret->model = t->model;
	ret->seconds = decimal(r.seconds > 0 ? r.seconds : t->seconds, a);
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
