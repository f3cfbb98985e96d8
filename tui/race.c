/* What the models of a race are told. */
#include "tui/race.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "library/base/arena.h"
#include "library/base/str.h"
#include "library/parameters.h"
#include "tui/compose.h"

/* Always an object. */
static json_t *read(const char *options)
{
	json_t *o = json_loads(options ? options : "{}", 0, NULL);

	if (json_is_object(o))
		return o;
	json_decref(o);
	return json_object();
}

static const struct parameter *find(const struct engine_parameters *e, const char *name)
{
	for (size_t i = 0; i < e->n; i++)
		if (!strcmp(e->list[i].name, name))
			return &e->list[i];
	return NULL;
}

/* What holds otherwise may have its meaning behind it: "0 (off)". */
static bool is_set(const struct parameter *p, const json_t *value)
{
	struct str text = {0};
	const char *rest;
	bool is;

	compose_value_text(value, &text);
	rest = p->otherwise + (has_prefix(p->otherwise, str_get(&text)) ? text.n : 0);
	is = !(text.n && has_prefix(rest, " (")) && strcmp(str_get(&text), p->otherwise) != 0;
	str_done(&text);
	return is;
}

static bool goes_over(const struct parameter *p, const struct engine_parameters *from,
	const struct engine_parameters *to)
{
	const struct parameter *same = find(to, p->name);

	if (!same || same->kind != p->kind)
		return false;
	return !strcmp(from->engine, to->engine) ||
	       (p->kind != PARAMETER_TEXT && p->kind != PARAMETER_FILE);
}

const char *race_options(const char *options, const struct engine_parameters *from,
	const struct engine_parameters *to, struct arena *a)
{
	json_t *o = read(options), *taken = json_object(), *value;
	const char *ret = "{}", *name;
	char *text;

	json_object_foreach(o, name, value)
	{
		const struct parameter *p = find(from, name);

		if (p && is_set(p, value) && goes_over(p, from, to))
			json_object_set(taken, name, value);
	}
	text = json_dumps(taken, JSON_COMPACT | JSON_SORT_KEYS);
	if (text)
		ret = arena_strdup(a, text);
	free(text);
	json_decref(taken);
	json_decref(o);
	return ret;
}

/* All that lanes were told, each by the first that was; the negative prompt as true. */
static json_t *told(const struct race_told *lanes, size_t n)
{
	json_t *all = json_object();

	for (size_t i = n; i-- > 0;) {
		json_t *o = read(lanes[i].options);

		json_object_update(all, o);
		json_decref(o);
	}
	for (size_t i = 0; i < n; i++)
		if (lanes[i].negative)
			json_object_set_new(all, "negative", json_true());
	return all;
}

static void add_name(const char *name, struct str *out)
{
	const size_t at = out->n;

	str_add(out, name);
	for (size_t i = at; i < out->n; i++)
		if (out->s[i] == '_')
			out->s[i] = ' ';
}

void race_settings(const struct race_told *lanes, size_t n, struct str *out)
{
	json_t *all = told(lanes, n), *value;
	const char *name;

	json_object_del(all, "negative");
	json_object_foreach(all, name, value)
	{
		str_add(out, out->n ? "  " : "");
		add_name(name, out);
		str_add(out, " ");
		compose_value_text(value, out);
	}
	json_decref(all);
}

void race_lacks(const struct race_told *lanes, size_t n, size_t i, struct str *out)
{
	json_t *all = told(lanes, n), *own = told(lanes + i, 1), *value;
	const char *name;

	json_object_foreach(all, name, value)
	{
		if (json_object_get(own, name))
			continue;
		str_add(out, out->n ? ", " : "");
		add_name(name, out);
	}
	json_decref(own);
	json_decref(all);
}
