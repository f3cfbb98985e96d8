/* The models there are to choose from. */
#include <string.h>

#include "library/base/err.h"
#include "library/base/vec.h"
#include "library/catalogue.h"
#include "library/globals.h"
#include "library/licence.h"
#include "library/models.h"
#include "library/parameters.h"
#include "tui/view_compose.h"
#include "tui/ws.h"

struct entries {
	struct compose_model *at;
	size_t n, cap;
};

static const char *const selling[] = {[COMMERCIAL_NO] = "no commercial use",
	[COMMERCIAL_LIMITED] = "commercial use under conditions",
	[COMMERCIAL_YES] = "commercial use allowed"};

static void add(struct entries *out, const char *name, const char *engine,
	const struct known_model *k, struct arena *a)
{
	struct compose_model m = {.name = name, .engine = engine};
	struct licence licence;

	if (k) {
		m.licence = k->licence;
		m.selling = selling[k->commercial];
		m.rate_hz = k->rate_hz;
		m.channels = k->channels;
		m.longest_s = k->longest_s;
		m.bytes = k->about_bytes;
	} else if (licence_of(name, a, &licence)) { /* by its name, as of a copy */
		m.licence = licence.text;
		m.selling = licence.no_commercial ? selling[COMMERCIAL_NO] : NULL;
	}
	*VEC_PUSH(out) = m;
}

static void add_installed(struct entries *out, const struct model *m, struct arena *a)
{
	struct compose_model *added;

	add(out, m->name, m->engine, m->known, a);
	added = &out->at[out->n - 1];
	added->is_installed = true;
	added->bytes = m->bytes;
	if (m->rate_hz)
		added->rate_hz = m->rate_hz;
	if (m->channels)
		added->channels = m->channels;
	if (m->longest_s > 0)
		added->longest_s = m->longest_s;
}

static bool is_there(const struct entries *all, const char *name)
{
	for (size_t i = 0; i < all->n; i++)
		if (!strcmp(all->at[i].name, name))
			return true;
	return false;
}

/* What the engines say of it. */
static void ask_engines(struct compose_model *m, const struct engine_parameters *engines, size_t n)
{
	for (size_t i = 0; m->engine && i < n; i++)
		if (!strcmp(engines[i].engine, m->engine)) {
			m->is_rendered = true;
			m->is_endless = engines[i].is_endless;
		}
	if (m->is_endless)
		m->longest_s = 0;
	m->is_refused = n && !m->is_rendered;
}

int compose_models_read(struct compose_models *m, struct ws *ws, struct err *e)
{
	struct arena a = {0};
	struct models models;
	struct entries all = {0};
	const struct engine_parameters *engines;
	size_t n_engines;
	int rc = globals_models(ws->globals, ws->env, &a, &models, e);

	if (!rc)
		rc = parameters_engines(ws->db, &a, &engines, &n_engines, e);
	if (rc) {
		arena_done(&a);
		return rc;
	}
	for (size_t i = 0; i < models.n; i++)
		add_installed(&all, &models.list[i], &a);
	for (const struct known_model *k = catalogue; k->name; k++)
		if (!is_there(&all, k->name))
			add(&all, k->name, k->engine, k, &a);
	for (size_t i = 0; i < all.n; i++)
		ask_engines(&all.at[i], engines, n_engines);
	compose_models_done(m);
	m->arena = a;
	m->n = all.n;
	m->list = ARENA_ARRAY(&m->arena, struct compose_model, all.n);
	if (all.n)
		memcpy(m->list, all.at, all.n * sizeof(*m->list));
	VEC_DONE(&all);
	return 0;
}

void compose_models_done(struct compose_models *m)
{
	arena_done(&m->arena);
	*m = (struct compose_models){0};
}

const struct compose_model *compose_models_find(const struct compose_models *m, const char *name)
{
	for (size_t i = 0; name && i < m->n; i++)
		if (!strcmp(m->list[i].name, name))
			return &m->list[i];
	return NULL;
}

void compose_model_rate(const struct compose_model *m, struct str *out)
{
	if (m->rate_hz)
		str_printf(out, "%.4g kHz%s", m->rate_hz / 1e3,
			m->channels == 2   ? " stereo"
			: m->channels == 1 ? " mono"
					   : "");
}

void compose_model_length(const struct compose_model *m, struct str *out)
{
	if (m->is_endless)
		str_add(out, "any length");
	else if (m->longest_s > 0)
		str_printf(out, "up to %.4g s", m->longest_s);
}

static void add_part(struct str *out, const char *part)
{
	if (part && *part)
		str_printf(out, "%s%s", out->n ? ", " : "", part);
}

void compose_model_describe(const struct compose_model *m, struct str *out)
{
	struct str part = {0};

	compose_model_rate(m, &part);
	add_part(out, str_get(&part));
	str_clear(&part);
	compose_model_length(m, &part);
	add_part(out, str_get(&part));
	str_clear(&part); /* "MIT (weights of ...)": what it is of stands before it */
	if (m->licence)
		str_add_n(&part, m->licence, strcspn(m->licence, "("));
	while (part.n && part.s[part.n - 1] == ' ')
		part.s[--part.n] = 0;
	add_part(out, str_get(&part));
	add_part(out, m->selling);
	str_done(&part);
}

const char *compose_model_hurdle(const struct compose_model *m, struct arena *a)
{
	if (!m->is_installed)
		return arena_printf(
			a, "%s is not installed; 'woodshed pull %s' fetches it", m->name, m->name);
	if (!m->engine)
		return arena_printf(a,
			"'%s' holds no model that woodshed knows; Enter on Model lists others",
			m->name);
	return m->is_refused ? arena_printf(a,
				       "this version does not render %s models; Enter on Model "
				       "lists others",
				       m->engine)
			     : NULL;
}
