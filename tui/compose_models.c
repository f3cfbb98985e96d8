/* The models there are to choose from. */
#include <string.h>

#include "library/base/err.h"
#include "library/base/vec.h"
#include "library/catalogue.h"
#include "library/globals.h"
#include "library/models.h"
#include "tui/view_compose.h"
#include "tui/ws.h"

struct entries {
	struct compose_model *at;
	size_t n, cap;
};

static void add_installed(struct entries *out, const struct model *m)
{
	const struct known_model *k = m->known;

	*VEC_PUSH(out) = (struct compose_model){.name = m->name,
		.engine = m->engine,
		.licence = k ? k->licence : NULL,
		.rate_hz = m->rate_hz ? m->rate_hz
			   : k        ? k->rate_hz
				      : 0,
		.channels = m->channels ? m->channels
			    : k         ? k->channels
					: 0,
		.longest_s = k ? k->longest_s : 0,
		.bytes = m->bytes,
		.is_installed = true};
}

static void add_known(struct entries *out, const struct known_model *k)
{
	for (size_t i = 0; i < out->n; i++)
		if (!strcmp(out->at[i].name, k->name))
			return;
	*VEC_PUSH(out) = (struct compose_model){.name = k->name,
		.engine = k->engine,
		.licence = k->licence,
		.rate_hz = k->rate_hz,
		.channels = k->channels,
		.longest_s = k->longest_s,
		.bytes = k->about_bytes};
}

int compose_models_read(struct compose_models *m, struct ws *ws, struct err *e)
{
	struct arena a = {0};
	struct models models;
	struct entries all = {0};
	int rc = globals_models(ws->globals, ws->env, &a, &models, e);

	if (rc) {
		arena_done(&a);
		return rc;
	}
	for (size_t i = 0; i < models.n; i++)
		add_installed(&all, &models.list[i]);
	for (const struct known_model *k = catalogue; k->name; k++)
		add_known(&all, k);
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

void compose_model_describe(const struct compose_model *m, bool is_endless, struct str *out)
{
	const char *comma = "";

	if (m->rate_hz) {
		str_printf(out, "%.4g kHz%s", m->rate_hz / 1e3,
			m->channels == 2   ? " stereo"
			: m->channels == 1 ? " mono"
					   : "");
		comma = ", ";
	}
	if (is_endless)
		str_printf(out, "%sany length", comma);
	else if (m->longest_s > 0)
		str_printf(out, "%sup to %.4g s", comma, m->longest_s);
	if (is_endless || m->longest_s > 0)
		comma = ", ";
	if (m->licence)
		str_printf(out, "%s%s", comma, m->licence);
}
