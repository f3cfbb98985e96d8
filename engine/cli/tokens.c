/* woodshed-engine tokens: how long texts are to a model, line by line, for as long
 * as somebody asks: the workstation, while a prompt is typed.
 *
 *	MODEL<tab>TEXT		N MAX: tokens of the text, and how many the model reads
 *				- why: nobody knows
 *
 * and, behind another tab, what the model does while it is not told (parameters.h has
 * the names): "length_s=30 cfg=3".  A diffusion model says "steps=100 sampler=ddim", too.
 *
 * Before that it sees to it that the library holds this program's parameters
 * (parameters.h): whoever draws a form of them needs nothing else. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/cli/parameters.h"
#include "engine/cli/print.h"
#include "engine/cli/stop.h"
#include "engine/cli/verbs.h"
#include "engine/engine.h"
#include "library/audio.h"
#include "library/base/arena.h"
#include "library/base/err.h"
#include "library/base/str.h"
#include "library/db.h"
#include "library/globals.h"
#include "library/models.h"

struct counter {
	const struct globals *globals;
	const struct environment *env;
	char *model;               /* that was asked for last; owned; NULL: none */
	struct engine_text *texts; /* its; owned; NULL: it does not count */
	struct err error;          /* why */
	struct str own;            /* what it does while it is not told */
};

static int publish(struct counter *c, struct err *e)
{
	struct arena a = {0};
	const char *library;
	struct db *db = NULL;
	int rc = globals_library(c->globals, c->env, &a, &library, e);

	if (!rc)
		rc = db_open(library, &db, e);
	if (!rc)
		rc = parameters_publish(db, e);
	db_close(db);
	arena_done(&a);
	return rc;
}

static void close_model(struct counter *c)
{
	engine_text_close(c->texts);
	free(c->model);
	c->texts = NULL;
	c->model = NULL;
	err_clear(&c->error);
	str_clear(&c->own);
}

/* A model that is broken says so when it is rendered with. */
static void describe(struct counter *c, const char *dir)
{
	struct engine_info info;

	if (engine_describe(dir, &info, NULL))
		return;
	str_printf(&c->own, "\tlength_s=%.4g cfg=%.4g",
		(double)(info.default_frames * info.frame_samples) / info.rate,
		(double)info.default_guidance);
	if (info.default_steps)
		str_printf(
			&c->own, " steps=%d sampler=%s", info.default_steps, info.default_sampler);
}

/* By name, or a folder. */
static int open_model(struct counter *c, const char *name, struct err *e)
{
	struct arena a = {0};
	struct models models = {0};
	struct model folder;
	const struct model *m = NULL;
	int rc = globals_models(c->globals, c->env, &a, &models, e);

	if (!rc)
		m = models_find(&models, name);
	if (!rc && !m && strchr(name, '/')) {
		model_describe(name, &a, &folder);
		m = &folder;
	}
	if (!rc && (!m || !m->engine))
		rc = err_set(e, ERR_ARG, "there is no model '%.80s'", name);
	if (!rc)
		describe(c, m->dir);
	if (!rc)
		rc = engine_text_open(m->engine, m->dir, &c->texts, e);
	arena_done(&a);
	return rc;
}

static int count(struct counter *c, char *line, size_t *ret_n, size_t *ret_max, struct err *e)
{
	char *text = strchr(line, '\t');

	if (!text)
		return err_set(e, ERR_ARG, "a line is MODEL, a tab, and the text");
	*text++ = 0;
	if (!c->model || strcmp(c->model, line)) {
		close_model(c);
		c->model = xstrdup(line);
		open_model(c, line, &c->error);
	}
	if (!c->texts)
		return err_set(e, c->error.code, "%s", c->error.text);
	return engine_text_count(c->texts, text, ret_n, ret_max, e);
}

static void answer(struct counter *c)
{
	char *line = NULL;
	size_t cap = 0, n, max;
	ssize_t bytes;

	while ((bytes = getline(&line, &cap, stdin)) > 0) {
		char out[512];
		struct err e = {0};

		line[strcspn(line, "\n")] = 0;
		if (count(c, line, &n, &max, &e))
			snprintf(out, sizeof(out), "- %.300s%s", e.text, str_get(&c->own));
		else
			snprintf(out, sizeof(out), "%zu %zu%s", n, max, str_get(&c->own));
		print_line(out);
	}
	free(line);
}

int verb_tokens(struct globals *g, const struct environment *env, int argc, char **argv)
{
	static const struct option_spec none[] = {{0}};
	struct counter c = {.globals = g, .env = env};
	struct options o = {
		.group = {{.specs = none}, {.specs = globals_options, .values = g}},
		.argc = argc,
		.argv = argv,
	};
	struct err e = {0};
	int rc = options_parse(&o, &e);

	if (!rc && g->help) {
		print_help("usage: woodshed-engine tokens\n\n"
			   "Reads lines of MODEL, a tab and a text, and answers each with how many "
			   "tokens the\n"
			   "text has, how many the model reads, and what it does while it is not "
			   "told.\n\n",
			none);
		return 0;
	}
	if (!rc && o.argc)
		rc = err_set(&e, ERR_ARG, "tokens takes no argument, but got '%.80s'", o.argv[0]);
	if (!rc)
		rc = stop_watch(audio_writer_unlink_all, &e);
	if (!rc)
		rc = publish(&c, &e);
	if (!rc)
		answer(&c);
	close_model(&c);
	str_done(&c.own);
	if (!rc)
		rc = print_check(&e);
	if (rc)
		print_error(e.text);
	return rc == ERR_ARG ? 2 : rc ? 1 : 0;
}
