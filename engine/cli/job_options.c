/* What a job is rendered with, as the queue keeps it. */
#include "engine/cli/job_options.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "engine/cli/render_options.h"
#include "library/base/arena.h"
#include "library/base/err.h"
#include "library/base/jsonw.h"
#include "library/base/str.h"
#include "library/queue.h"

static int add_file(
	struct str *out, const char *key, const char *path, struct arena *a, struct err *e)
{
	char *real = path ? realpath(path, NULL) : NULL;

	if (path && !real)
		return err_errno(
			e, errno, "cannot read '%s' (check the name and permissions)", path);
	if (real)
		jsonw_text(out, key, arena_strdup(a, real));
	free(real);
	return 0;
}

static void add_text(struct str *out, const char *key, const char *value)
{
	if (value)
		jsonw_text(out, key, value);
}

int job_options_json(
	const struct render_options *r, struct arena *a, struct str *out, struct err *e)
{
	int rc;

	jsonw_begin(out);
	if (!isnan(r->cfg))
		jsonw_num(out, "cfg", r->cfg);
	jsonw_bool(out, "greedy", r->greedy);
	jsonw_num(out, "temperature", r->temperature);
	jsonw_u64(out, "top_k", r->top_k);
	jsonw_num(out, "top_p", r->top_p);
	jsonw_text(out, "device", r->device);
	jsonw_text(out, "precision", r->precision);
	if (r->threads)
		jsonw_u64(out, "threads", r->threads);
	if (r->steps)
		jsonw_u64(out, "steps", r->steps);
	add_text(out, "sampler", r->sampler);
	if (r->sigma_min > 0)
		jsonw_num(out, "sigma_min", r->sigma_min);
	if (r->sigma_max > 0)
		jsonw_num(out, "sigma_max", r->sigma_max);
	if (r->strength > 0)
		jsonw_num(out, "strength", r->strength);
	add_text(out, "redo", r->redo);
	if (r->rank)
		jsonw_bool(out, "rank", true);
	if (r->length_s > 0)
		jsonw_num(out, "length_s", r->length_s);
	if (r->frames)
		jsonw_u64(out, "frames", r->frames);
	add_text(out, "model_hash", r->model_hash);
	add_text(out, "weights_sha256", r->weights_sha256);
	add_text(out, "continue_sha256", r->continued_sha256);
	add_text(out, "init_sha256", r->init_sha256);
	add_text(out, "noise_sha256", r->noise_sha256);
	rc = add_file(out, "continue", r->continued, a, e);
	if (!rc)
		rc = add_file(out, "init", r->init, a, e);
	if (!rc)
		rc = add_file(out, "noise", r->noise, a, e);
	jsonw_end(out);
	return rc;
}

/* ---- back --------------------------------------------------------------- */

struct reader {
	const json_t *o;
	struct arena *a;
	const char *wrong; /* the first field of another kind; NULL: none */
};

static const json_t *field(struct reader *r, const char *key, int type)
{
	const json_t *v = json_object_get(r->o, key);

	if (v && json_typeof(v) != (json_type)type && !(type == JSON_REAL && json_is_integer(v))) {
		r->wrong = r->wrong ? r->wrong : key;
		return NULL;
	}
	return v;
}

static const char *text(struct reader *r, const char *key, const char *otherwise)
{
	const json_t *v = field(r, key, JSON_STRING);

	return v ? arena_strdup(r->a, json_string_value(v)) : otherwise;
}

static double num(struct reader *r, const char *key, double lo, double hi, double otherwise)
{
	const json_t *v = field(r, key, JSON_REAL);
	const double n = v ? json_number_value(v) : otherwise;

	if (v && !(n >= lo && n <= hi))
		r->wrong = r->wrong ? r->wrong : key;
	return n;
}

static uint64_t whole(struct reader *r, const char *key, uint64_t hi, uint64_t otherwise)
{
	const json_t *v = field(r, key, JSON_INTEGER);
	const json_int_t n = json_integer_value(v);

	if (v && (n < 0 || (uint64_t)n > hi))
		r->wrong = r->wrong ? r->wrong : key;
	return v ? (uint64_t)n : otherwise;
}

static void read_all(struct reader *r, struct render_options *o)
{
	o->cfg = num(r, "cfg", 0, 1000, NAN);
	o->greedy = json_is_true(json_object_get(r->o, "greedy"));
	o->temperature = num(r, "temperature", 0.001, 1000, 1);
	o->top_k = whole(r, "top_k", 1000000, 250);
	o->top_p = num(r, "top_p", 0, 1, 0);
	o->device = text(r, "device", "auto");
	o->precision = text(r, "precision", "auto");
	o->threads = whole(r, "threads", 256, 0);
	o->steps = whole(r, "steps", 10000, 0);
	o->sampler = text(r, "sampler", NULL);
	o->sigma_min = num(r, "sigma_min", 0, 1e4, 0);
	o->sigma_max = num(r, "sigma_max", 0, 1e4, 0);
	o->init = text(r, "init", NULL);
	o->init_sha256 = text(r, "init_sha256", NULL);
	o->strength = num(r, "strength", 0, 1, 0);
	o->redo = text(r, "redo", NULL);
	o->rank = json_is_true(json_object_get(r->o, "rank"));
	o->noise_sha256 = text(r, "noise_sha256", NULL);
	if (render_options_parse_redo(o, NULL))
		r->wrong = r->wrong ? r->wrong : "redo";
	o->length_s = num(r, "length_s", 0, 24 * 3600, 0);
	o->frames = whole(r, "frames", 1u << 30, 0);
	o->model_hash = text(r, "model_hash", NULL);
	o->weights_sha256 = text(r, "weights_sha256", NULL);
	o->continued = text(r, "continue", NULL);
	o->continued_sha256 = text(r, "continue_sha256", NULL);
	o->noise = text(r, "noise", NULL);
}

int job_options_read(
	const struct job *j, struct arena *a, struct render_options *ret, struct err *e)
{
	json_error_t error;
	json_t *json = json_loads(j->options, JSON_REJECT_DUPLICATES, &error);
	struct reader r = {.o = json, .a = a};

	render_options_init(ret);
	if (json_is_object(json))
		read_all(&r, ret);
	else
		r.wrong = "all";
	json_decref(json);
	if (r.wrong)
		return err_set(e, ERR_FORMAT,
			"the options of job %lld are damaged (%s); cancel it and queue it anew",
			(long long)j->id, r.wrong);
	ret->prompt = arena_strdup(a, j->prompt);
	ret->negative = j->negative ? arena_strdup(a, j->negative) : NULL;
	ret->model = arena_strdup(a, j->model);
	ret->seconds = *j->seconds ? arena_strdup(a, j->seconds) : NULL;
	ret->seed = j->seed;
	ret->has_seed = true;
	return 0;
}
