/* What is composed: fields, and drafts of them. */
#include "tui/compose.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "library/base/err.h"
#include "library/base/str.h"
#include "library/base/vec.h"

enum { LINE_BYTES_MAX = 400 };

static const struct {
	const char *label, *otherwise, *help;
} own[FIELD_PARAMETERS] = {
	[FIELD_PROMPT] = {"Prompt", "",
		"what you want to hear; {slow|fast} stands for each in turn"},
	[FIELD_MODEL] = {"Model", "", "Enter lists the models, Left and Right change it"},
	[FIELD_SECONDS] = {"Length", "", "seconds or minutes: 47, 1.5, 1:30"},
	[FIELD_TAKES] = {"Takes", "1", "takes of each prompt, with one seed after the other"},
	[FIELD_SEED] = {"Seed", "random", "of the first take; the same seed makes the same music"},
};

void compose_init(struct compose *c)
{
	*c = (struct compose){0};
	c->prompt.line.has_lines = true;
	c->prompt.line.max = COMPOSE_PROMPT_BYTES_MAX;
	c->seconds.line.max = c->takes.line.max = c->seed.line.max = LINE_BYTES_MAX;
}

void compose_done(struct compose *c)
{
	text_edit_done(&c->prompt);
	text_edit_done(&c->seconds);
	text_edit_done(&c->takes);
	text_edit_done(&c->seed);
	for (size_t i = 0; i < c->values.n; i++) {
		text_edit_done(&c->values.at[i]->edit);
		free(c->values.at[i]->name);
		free(c->values.at[i]);
	}
	VEC_DONE(&c->values);
	free(c->model);
	str_done(&c->extra);
	str_done(&c->changed);
	str_done(&c->own);
}

static struct compose_value *value(struct compose *c, const char *name)
{
	struct compose_value *v;

	for (size_t i = 0; i < c->values.n; i++)
		if (!strcmp(c->values.at[i]->name, name))
			return c->values.at[i];
	v = xcalloc(1, sizeof(*v));
	v->name = xstrdup(name);
	v->edit.line.max = LINE_BYTES_MAX;
	*VEC_PUSH(&c->values) = v;
	return v;
}

static bool is_long(const struct parameter *p)
{
	return p->kind == PARAMETER_PROMPT || p->kind == PARAMETER_TEXT ||
	       p->kind == PARAMETER_FILE;
}

void compose_set_parameters(
	struct compose *c, const struct parameter *list, size_t n, double longest_s)
{
	c->parameters = list;
	c->n_parameters = n;
	c->longest_s = longest_s;
	for (size_t i = 0; i < n; i++)
		value(c, list[i].name)->edit.line.max =
			is_long(&list[i]) ? COMPOSE_PROMPT_BYTES_MAX : LINE_BYTES_MAX;
}

static void forget_origin(struct compose *c)
{
	str_clear(&c->extra);
	str_clear(&c->changed);
	c->parent = 0;
	c->is_queued = false;
}

void compose_clear(struct compose *c)
{
	text_edit_reset(&c->prompt, "");
	text_edit_reset(&c->seed, "");
	for (size_t i = 0; i < c->n_parameters; i++)
		if (c->parameters[i].kind == PARAMETER_PROMPT)
			compose_set_value(c, c->parameters[i].name, "");
	forget_origin(c);
}

void compose_set_model(struct compose *c, const char *model)
{
	char *copy = model ? xstrdup(model) : NULL;

	if (c->model && model && strcmp(c->model, model)) {
		str_clear(&c->extra);
		str_clear(&c->own);
	}
	free(c->model);
	c->model = copy;
	c->is_queued = false;
}

/* ---- fields ------------------------------------------------------------- */

size_t compose_fields(const struct compose *c)
{
	return FIELD_PARAMETERS + c->n_parameters;
}

const struct parameter *compose_parameter(const struct compose *c, size_t field)
{
	return field >= FIELD_PARAMETERS && field < compose_fields(c)
		       ? &c->parameters[field - FIELD_PARAMETERS]
		       : NULL;
}

struct text_edit *compose_edit(struct compose *c, size_t field)
{
	const struct parameter *p = compose_parameter(c, field);

	return p                        ? &value(c, p->name)->edit
	       : field == FIELD_PROMPT  ? &c->prompt
	       : field == FIELD_SECONDS ? &c->seconds
	       : field == FIELD_TAKES   ? &c->takes
	       : field == FIELD_SEED    ? &c->seed
					: NULL;
}

const char *compose_label(const struct compose *c, size_t field)
{
	const struct parameter *p = compose_parameter(c, field);

	return p ? p->label : own[field].label;
}

const char *compose_help(const struct compose *c, size_t field)
{
	const struct parameter *p = compose_parameter(c, field);

	return p ? p->help : own[field].help;
}

/* The value at a name in `own`; its bytes, 0: it is not known. */
static size_t find_own(const struct compose *c, const char *name, const char **ret)
{
	const size_t n = strlen(name);
	const char *at = str_get(&c->own);

	for (; *at; at += strspn(at, " ")) {
		if (!strncmp(at, name, n) && at[n] == '=') {
			*ret = at + n + 1;
			return strcspn(*ret, " ");
		}
		at += strcspn(at, " ");
	}
	return 0;
}

double compose_own_s(const struct compose *c)
{
	const char *value;

	return find_own(c, "length_s", &value) ? strtod(value, NULL) : 0;
}

void compose_otherwise(const struct compose *c, size_t field, struct str *out)
{
	const struct parameter *p = compose_parameter(c, field);
	const char *words = p ? p->otherwise : own[field].otherwise, *value = "";
	size_t n;

	if (!*words && p && p->kind == PARAMETER_PROMPT)
		words = "none";
	str_add(out, words);
	if (*words || field == FIELD_PROMPT)
		return;
	n = find_own(c, p ? p->name : "length_s", &value);
	str_add_n(out, value, n);
	str_add(out, n && !p ? " s" : "");
	str_add(out, n ? " (model's own)" : "model's own");
}

const char *compose_value(const struct compose *c, const char *name)
{
	for (size_t i = 0; i < c->values.n; i++)
		if (!strcmp(c->values.at[i]->name, name))
			return text_edit_get(&c->values.at[i]->edit);
	return "";
}

void compose_set_value(struct compose *c, const char *name, const char *text)
{
	struct text_edit *t = &value(c, name)->edit;

	if (strlen(text) > t->line.max)
		t->line.max = COMPOSE_PROMPT_BYTES_MAX; /* of an engine not seen yet */
	text_edit_reset(t, text);
}

/* The i-th of "a|b|c"; its bytes, 0: there is none. */
static size_t choice(const char *choices, int i, const char **ret)
{
	while (i-- > 0 && *choices) {
		choices += strcspn(choices, "|");
		choices += *choices == '|';
	}
	*ret = choices;
	return strcspn(choices, "|");
}

bool compose_is_turned(const struct compose *c, size_t field)
{
	const struct parameter *p = compose_parameter(c, field);

	return p && (p->kind == PARAMETER_FLAG || p->kind == PARAMETER_CHOICE);
}

bool compose_turn(struct compose *c, size_t field, int by)
{
	const struct parameter *p = compose_parameter(c, field);
	const char *choices, *word, *now;
	struct str next = {0};
	int n = 0, at = 0;
	size_t bytes;

	if (!compose_is_turned(c, field))
		return false;
	choices = p->kind == PARAMETER_FLAG ? "no|yes" : p->choices;
	now = compose_value(c, p->name);
	if (!*now)
		now = p->otherwise;
	for (; (bytes = choice(choices, n, &word)); n++)
		if (strlen(now) == bytes && !memcmp(now, word, bytes))
			at = n;
	if (n) {
		bytes = choice(choices, (at + by + n) % n, &word);
		str_add_n(&next, word, bytes);
		text_edit_set(&value(c, p->name)->edit, str_get(&next));
	}
	str_done(&next);
	return n > 0;
}

/* ---- drafts ------------------------------------------------------------- */

static json_t *values_json(const struct compose *c)
{
	json_t *o = json_object();

	for (size_t i = 0; i < c->values.n; i++) {
		const char *text = text_edit_get(&c->values.at[i]->edit);

		if (*text)
			json_object_set_new(o, c->values.at[i]->name, json_string(text));
	}
	return o;
}

void compose_write(const struct compose *c, struct str *out)
{
	json_t *o = json_pack("{s:s, s:s*, s:s, s:s, s:s, s:o, s:s, s:I, s:s, s:b}", "prompt",
		text_edit_get(&c->prompt), "model", c->model, "seconds", text_edit_get(&c->seconds),
		"takes", text_edit_get(&c->takes), "seed", text_edit_get(&c->seed), "values",
		values_json(c), "extra", str_get(&c->extra), "parent", (json_int_t)c->parent,
		"changed", str_get(&c->changed), "queued", c->is_queued);
	char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;

	str_add(out, text ? text : "{}");
	free(text);
	json_decref(o);
}

static const char *text_of(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

int compose_read(struct compose *c, const char *json, struct err *e)
{
	json_t *o = json_loads(json, JSON_REJECT_DUPLICATES, NULL), *v;
	const char *key;

	if (!json_is_object(o)) {
		json_decref(o);
		return err_set(e, ERR_FORMAT, "a draft is damaged and left out");
	}
	text_edit_reset(&c->prompt, text_of(o, "prompt"));
	text_edit_reset(&c->seconds, text_of(o, "seconds"));
	text_edit_reset(&c->takes, text_of(o, "takes"));
	text_edit_reset(&c->seed, text_of(o, "seed"));
	for (size_t i = 0; i < c->values.n; i++)
		text_edit_reset(&c->values.at[i]->edit, "");
	json_object_foreach(json_object_get(o, "values"), key, v) if (json_is_string(v))
		compose_set_value(c, key, json_string_value(v));
	forget_origin(c);
	if (*text_of(o, "model"))
		compose_set_model(c, text_of(o, "model"));
	str_add(&c->extra, text_of(o, "extra"));
	str_add(&c->changed, text_of(o, "changed"));
	c->parent = json_integer_value(json_object_get(o, "parent"));
	c->is_queued = json_is_true(json_object_get(o, "queued"));
	json_decref(o);
	return 0;
}
