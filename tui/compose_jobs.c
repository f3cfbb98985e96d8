/* From what is composed to jobs. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "library/base/err.h"
#include "library/base/str.h"
#include "library/base/vec.h"
#include "library/expand.h"
#include "library/queue.h"
#include "tui/compose.h"

enum { SECONDS_MAX = 24 * 3600 };

/* ---- checks ------------------------------------------------------------- */

static bool is_digits(const char *s, size_t n)
{
	return n && strspn(s, "0123456789") >= n;
}

/* 0: it is none. */
static double length_of(const char *text, const char *colon)
{
	const char *rest = colon ? colon + 1 : text;
	double minutes = 0, seconds;

	if (strspn(rest, "0123456789.") != strlen(rest) || !parse_f64(rest, &seconds))
		return 0;
	if (colon && (!is_digits(text, (size_t)(colon - text)) ||
			     !is_digits(rest, strcspn(rest, ".")) || seconds >= 60))
		return 0;
	if (colon)
		minutes = strtod(text, NULL);
	return 60 * minutes + seconds;
}

/* Decimal text stays decimal text: the engine counts frames on it exactly. */
int compose_seconds(const char *text, struct arena *a, const char **ret, struct err *e)
{
	const char *colon = strchr(text, ':');
	const double seconds = *text ? length_of(text, colon) : 0;

	*ret = "";
	if (!*text)
		return 0;
	if (!(seconds > 0 && seconds <= SECONDS_MAX))
		return err_set(e, ERR_ARG,
			"'%.30s' is no length; write seconds or minutes: 47, 1.5, 1:30 (24 h at "
			"most)",
			text);
	*ret = colon ? arena_printf(a, "%llu%s", (unsigned long long)seconds,
			       colon + 1 + strcspn(colon + 1, "."))
		     : arena_strdup(a, text);
	return 0;
}

static int check_seconds(const struct compose *c, struct err *e)
{
	struct arena a = {0};
	const char *text;
	int rc = compose_seconds(text_edit_get(&c->seconds), &a, &text, e);

	if (!rc && c->longest_s > 0 && strtod(text, NULL) > c->longest_s)
		rc = err_set(e, ERR_ARG, "%s makes at most %.4g s in one take; shorten the length",
			c->model ? c->model : "the model", c->longest_s);
	arena_done(&a);
	return rc;
}

static int takes_of(const struct compose *c, uint64_t *ret, struct err *e)
{
	const char *text = text_edit_get(&c->takes);

	*ret = 1;
	if (!*text || (parse_u64(text, ret) && *ret >= 1 && *ret <= COMPOSE_TAKES_MAX))
		return 0;
	return err_set(
		e, ERR_ARG, "'%.40s' is no number of takes from 1 to %d", text, COMPOSE_TAKES_MAX);
}

static int seed_of(const struct compose *c, uint64_t otherwise, uint64_t *ret, struct err *e)
{
	const char *text = text_edit_get(&c->seed);

	*ret = otherwise;
	if (!*text || (parse_u64(text, ret) && *ret <= UINT64_MAX - COMPOSE_TAKES_MAX))
		return 0;
	return err_set(e, ERR_ARG,
		"'%.40s' is no seed; write a whole number, or nothing for one by chance", text);
}

/* Line breaks are blanks to an engine, and none stand at the ends. */
static const char *one_line(const char *text, struct arena *a)
{
	char *s = arena_strdup(a, text + strspn(text, " \n")), *end = s + strlen(s);

	while (end > s && strchr(" \n", end[-1]))
		*--end = 0;
	for (char *at = s; *at; at++)
		if (*at == '\n')
			*at = ' ';
	return s;
}

static int check_prompt(const struct compose *c, struct err *e)
{
	const char *text = text_edit_get(&c->prompt);
	uint64_t n;

	if (!text[strspn(text, " \n")])
		return err_set(e, ERR_ARG, "the prompt is empty; describe what you want to hear");
	return expand_count(text, &n, e);
}

/* The numbers that are typed for one; none: its own is left to the engine. */
static int numbers(const struct parameter *p, const char *text, struct arena *a, double **ret,
	size_t *ret_n, struct err *e)
{
	int rc = expand_numbers(text, a, ret, ret_n, e);

	if (rc)
		return err_wrap(e, rc, "%s", p->label);
	for (size_t i = 0; i < *ret_n; i++)
		if (!((*ret)[i] >= p->low && (*ret)[i] <= p->high) ||
			(p->kind == PARAMETER_WHOLE && (*ret)[i] != floor((*ret)[i])))
			return err_set(e, ERR_ARG, "%s takes %s from %.10g to %.10g, not %.10g",
				p->label, p->kind == PARAMETER_WHOLE ? "whole numbers" : "numbers",
				p->low, p->high, (*ret)[i]);
	return 0;
}

static bool is_number(const struct parameter *p)
{
	return p->kind == PARAMETER_WHOLE || p->kind == PARAMETER_NUMBER;
}

static int check_parameter(const struct compose *c, const struct parameter *p, struct err *e)
{
	const char *text = compose_value(c, p->name);
	struct arena a = {0};
	double *list;
	size_t n;
	int rc = 0;

	if (is_number(p) && *text)
		rc = numbers(p, text, &a, &list, &n, e);
	else if (p->kind == PARAMETER_FILE && *text && *text != '/')
		rc = err_set(e, ERR_ARG, "%s: write the whole path, from / on", p->label);
	arena_done(&a);
	return rc;
}

int compose_check(const struct compose *c, size_t field, struct err *e)
{
	const struct parameter *p = compose_parameter(c, field);
	uint64_t n;

	if (p)
		return check_parameter(c, p, e);
	switch (field) {
	case FIELD_PROMPT:
		return check_prompt(c, e);
	case FIELD_MODEL:
		return c->model ? 0
				: err_set(e, ERR_ARG,
					  "no model is chosen; Enter on Model lists them");
	case FIELD_SECONDS:
		return check_seconds(c, e);
	case FIELD_TAKES:
		return takes_of(c, &n, e);
	default:
		return seed_of(c, 0, &n, e);
	}
}

/* ---- how many ----------------------------------------------------------- */

/* a * b, and more than there may be when it is more than that. */
static uint64_t times(uint64_t a, uint64_t b)
{
	return b && a > COMPOSE_JOBS_MAX / b ? COMPOSE_JOBS_MAX + 1 : a * b;
}

int compose_count(const struct compose *c, struct compose_count *ret, struct err *e)
{
	struct arena a = {0};
	int rc = 0;

	*ret = (struct compose_count){.settings = 1};
	for (size_t i = 0; i < compose_fields(c) && !rc; i++)
		rc = compose_check(c, i, e);
	if (!rc)
		rc = expand_count(text_edit_get(&c->prompt), &ret->prompts, e);
	if (!rc)
		rc = takes_of(c, &ret->takes, e);
	for (size_t i = 0; i < c->n_parameters && !rc; i++) {
		const char *text = compose_value(c, c->parameters[i].name);
		double *list;
		size_t n;

		if (!is_number(&c->parameters[i]) || !*text)
			continue;
		rc = numbers(&c->parameters[i], text, &a, &list, &n, e);
		ret->settings = times(ret->settings, rc ? 1 : n);
	}
	arena_done(&a);
	if (!rc && times(times(ret->prompts, ret->settings), ret->takes) > COMPOSE_JOBS_MAX)
		rc = err_set(e, ERR_ARG, "that would be more than %d jobs; queue them in parts",
			COMPOSE_JOBS_MAX);
	return rc;
}

/* ---- options ------------------------------------------------------------ */

struct making {
	const struct compose *c;
	struct arena *a;
	struct job_new *jobs;
	size_t n;
	const char **prompts;
	size_t n_prompts;
	uint64_t takes, seed;
	const char *seconds, *negative, *model, *changed;
};

static void set_option(json_t *o, const struct parameter *p, const char *text, double number)
{
	json_t *v = p->kind == PARAMETER_WHOLE    ? json_integer((json_int_t)number)
		    : p->kind == PARAMETER_NUMBER ? json_real(number)
		    : p->kind == PARAMETER_FLAG   ? json_boolean(!strcmp(text, "yes"))
						  : json_string(text);

	json_object_set_new(o, p->name, v);
}

static void add_jobs(struct making *m, const json_t *o)
{
	const struct compose *c = m->c;
	char *text = json_dumps(o, JSON_COMPACT | JSON_SORT_KEYS);
	const char *options = arena_strdup(m->a, text ? text : "{}");

	free(text);
	for (size_t i = 0; i < m->n_prompts; i++)
		for (uint64_t k = 0; k < m->takes; k++)
			m->jobs[m->n++] = (struct job_new){
				.prompt = m->prompts[i],
				.negative = m->negative,
				.parent_prompt = c->parent,
				.changed = m->changed,
				.model = m->model,
				.seed = m->seed + k,
				.seconds = m->seconds,
				.options = options,
			};
}

/* Sets the parameters from the i-th on in every combination. */
static int add_settings(struct making *m, size_t i, json_t *o, struct err *e)
{
	const struct parameter *p = i < m->c->n_parameters ? &m->c->parameters[i] : NULL;
	const char *text = p ? compose_value(m->c, p->name) : "";
	double one = 0, *list = &one;
	size_t n = 1;
	int rc = 0;

	if (!p) {
		add_jobs(m, o);
		return 0;
	}
	if (!*text || p->kind == PARAMETER_PROMPT) {
		json_object_del(o, p->name); /* the engine's own, whatever a take had */
		return add_settings(m, i + 1, o, e);
	}
	if (is_number(p))
		rc = numbers(p, text, m->a, &list, &n, e);
	for (size_t k = 0; k < n && !rc; k++) {
		set_option(o, p, text, list[k]);
		rc = add_settings(m, i + 1, o, e);
	}
	return rc;
}

/* Typed as "", it is the empty text, which is not the same as none. */
static const char *negative_of(const struct compose *c, struct arena *a)
{
	for (size_t i = 0; i < c->n_parameters; i++) {
		const char *text = compose_value(c, c->parameters[i].name);

		if (c->parameters[i].kind == PARAMETER_PROMPT && *text)
			return strcmp(text, "\"\"") ? one_line(text, a) : "";
	}
	return NULL;
}

int compose_jobs(const struct compose *c, uint64_t seed, struct arena *a, struct job_new **ret,
	size_t *ret_n, struct err *e)
{
	struct making m = {.c = c, .a = a, .negative = negative_of(c, a)};
	struct compose_count count;
	json_t *o;
	int rc = compose_count(c, &count, e);

	if (!rc)
		rc = seed_of(c, seed, &m.seed, e);
	if (!rc)
		rc = compose_seconds(text_edit_get(&c->seconds), a, &m.seconds, e);
	if (!rc)
		rc = expand_all(
			one_line(text_edit_get(&c->prompt), a), a, &m.prompts, &m.n_prompts, e);
	if (rc)
		return rc;
	m.takes = count.takes;
	m.model = arena_strdup(a, c->model);
	m.changed = c->parent ? arena_strdup(a, str_get(&c->changed)) : "";
	m.jobs = ARENA_ARRAY(a, struct job_new, m.n_prompts * count.settings * count.takes);
	o = json_loads(c->extra.n ? str_get(&c->extra) : "{}", 0, NULL);
	if (!json_is_object(o)) {
		json_decref(o);
		o = json_object();
	}
	rc = add_settings(&m, 0, o, e);
	json_decref(o);
	*ret = m.jobs;
	*ret_n = m.n;
	return rc;
}

/* ---- back --------------------------------------------------------------- */

void compose_value_text(const json_t *v, struct str *out)
{
	char number[32];

	if (json_is_string(v))
		str_add(out, json_string_value(v));
	else if (json_is_integer(v))
		str_printf(out, "%lld", (long long)json_integer_value(v));
	else if (json_is_real(v))
		str_add(out, format_f64(json_real_value(v), number));
	else
		str_add(out, json_is_true(v) ? "yes" : "no");
}

/* What the value means may stand behind it. */
static bool is_otherwise(const struct parameter *p, const char *text)
{
	const char *remark = strstr(p->otherwise, " (");
	const size_t n = remark ? (size_t)(remark - p->otherwise) : strlen(p->otherwise);

	return strlen(text) == n && !memcmp(text, p->otherwise, n);
}

/* What is so by itself is left empty: it would be so, too. */
static void take_parameter(struct compose *c, const struct parameter *p, const json_t *v)
{
	struct str text = {0};

	if (v)
		compose_value_text(v, &text);
	if (is_otherwise(p, str_get(&text)))
		str_clear(&text);
	compose_set_value(c, p->name, str_get(&text));
	str_done(&text);
}

void compose_take(struct compose *c, const struct job_new *j, bool has_seed, const char *changed)
{
	json_t *o = json_loads(j->options ? j->options : "{}", 0, NULL);
	const char *negative = j->negative && !*j->negative ? "\"\"" : j->negative;
	struct str text = {0};
	char *extra;

	compose_clear(c);
	expand_escape(j->prompt, &text);
	text_edit_reset(&c->prompt, str_get(&text));
	text_edit_reset(&c->seconds, j->seconds ? j->seconds : "");
	text_edit_reset(&c->takes, "");
	str_clear(&text);
	if (has_seed)
		str_printf(&text, "%llu", (unsigned long long)j->seed);
	text_edit_reset(&c->seed, str_get(&text));
	str_done(&text);
	for (size_t i = 0; i < c->n_parameters; i++) {
		const struct parameter *p = &c->parameters[i];

		if (p->kind == PARAMETER_PROMPT)
			compose_set_value(c, p->name, negative ? negative : "");
		else
			take_parameter(c, p, json_object_get(o, p->name));
	}
	/* Length, as it stands in its field, is not told twice. */
	if (j->seconds && *j->seconds) {
		json_object_del(o, "length_s");
		json_object_del(o, "frames");
	}
	extra = json_is_object(o) ? json_dumps(o, JSON_COMPACT) : NULL;
	str_add(&c->extra, extra ? extra : "");
	free(extra);
	json_decref(o);
	c->parent = j->parent_prompt;
	str_add(&c->changed, changed);
}
