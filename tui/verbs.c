/* The verbs that need nothing but the library: models, recipe; what verbs share. */
#include "tui/verbs.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "library/base/arena.h"
#include "library/base/clock.h"
#include "library/base/err.h"
#include "library/base/jsonw.h"
#include "library/base/str.h"
#include "library/catalogue.h"
#include "library/db.h"
#include "library/globals.h"
#include "library/licence.h"
#include "library/models.h"
#include "library/recipe.h"
#include "library/repair.h"
#include "library/takes.h"

void complain(const char *text)
{
	struct str line = {0};

	str_printf(&line, "woodshed: %s", text);
	str_sanitize(line.s);
	fprintf(stderr, "%s\n", line.s);
	str_done(&line);
}

int finish_output(void)
{
	struct err e = {0};

	/* A reader that went away had enough. */
	if (!fflush(stdout) || errno == EPIPE)
		return 0;
	err_errno(&e, errno, "cannot write to standard output");
	complain(e.text);
	return 1;
}

int verb_fail(int rc, const struct err *e)
{
	complain(e->text);
	return rc == ERR_ARG ? 2 : 1;
}

int verb_begin(struct options *o, struct globals *g, const char *usage, struct err *e)
{
	struct str out = {0};
	int rc = options_parse(o, e);

	if (rc || !(g->help || g->version))
		return rc;
	if (g->help) {
		str_add(&out, usage);
		for (size_t i = 0; i < 2; i++)
			if (o->group[i].specs)
				options_help(o->group[i].specs, &out);
	} else {
		str_printf(&out, "woodshed %s\n", woodshed_version);
	}
	fputs(out.s, stdout);
	str_done(&out);
	return 1;
}

volatile sig_atomic_t verb_stop_signal;

static void on_signal(int number)
{
	verb_stop_signal = number;
}

void verb_catch_signals(void)
{
	const struct sigaction stop = {.sa_handler = on_signal};
	struct sigaction old;

	sigaction(SIGINT, &stop, NULL);
	sigaction(SIGTERM, &stop, NULL);
	/* An ignored one is nohup's, and means it. */
	if (!sigaction(SIGHUP, NULL, &old) && old.sa_handler != SIG_IGN)
		sigaction(SIGHUP, &stop, NULL);
}

int verb_open_library(const struct globals *g, const char *library, struct db **ret, struct err *e)
{
	struct str text = {0};
	size_t n;
	int rc = library_open(library, clock_unix_ms(), ret, &n, e);

	if (!rc && n && !g->quiet) {
		str_add(&text, "warning: ");
		library_tell_found(n, &text);
		complain(text.s);
		str_done(&text);
	}
	return rc;
}

int verb_find_take(
	struct verb_takes *t, const char *word, struct arena *a, const char **ret, struct err *e)
{
	struct take take;
	int64_t id;
	int rc = 0;

	*ret = word;
	if (!parse_i64(word, &id) || id <= 0 || !access(word, F_OK))
		return access(word, R_OK) ? err_errno(e, errno,
						    "cannot read '%s' (give takes by their "
						    "numbers, or audio files)",
						    word)
					  : 0;
	if (!t->db) {
		const char *library;

		rc = globals_library(t->globals, t->env, a, &library, e);
		if (!rc)
			rc = verb_open_library(t->globals, library, &t->db, e);
	}
	if (!rc)
		rc = takes_get(t->db, id, a, &take, e);
	if (!rc)
		*ret = arena_printf(a, "%s/%s", db_library(t->db), take.file);
	return rc;
}

void verb_takes_done(struct verb_takes *t)
{
	db_close(t->db);
	t->db = NULL;
}

/* ---- models ------------------------------------------------------------- */

struct models_options {
	bool json, drop_cache;
	const char *pick;
};

static const struct option_spec models_specs[] = {
	{"json", 0, OPTION_FLAG, NULL, "one JSON object a line",
		offsetof(struct models_options, json), 0, 0},
	{"default", 0, OPTION_TEXT, "NAME", "makes NAME the model that renders when none is named",
		offsetof(struct models_options, pick), 0, 0},
	{"drop-cache", 0, OPTION_FLAG, NULL,
		"removes the converted weights; they are made again when needed",
		offsetof(struct models_options, drop_cache), 0, 0},
	{0},
};

/* Of a folder that does not tell its repository by its name; NULL: not known. */
static const char *model_licence(const struct model *m, struct arena *a)
{
	struct licence licence;

	if (m->known)
		return m->known->licence;
	return !m->repo && licence_of(m->name, a, &licence) ? licence.name : NULL;
}

/* What it makes in one go; 0: not told. */
static double model_longest(const struct model *m)
{
	return m->window_s > 0 || !m->known ? m->window_s : m->known->longest_s;
}

static void model_json(const struct model *m, bool is_default, struct arena *a, struct str *out)
{
	const double longest_s = model_longest(m);

	jsonw_begin(out);
	jsonw_text(out, "name", m->name);
	jsonw_text(out, "engine", m->engine);
	jsonw_u64(out, "bytes", m->bytes);
	if (m->rate_hz)
		jsonw_u64(out, "rate", (uint64_t)m->rate_hz);
	if (m->channels)
		jsonw_u64(out, "channels", (uint64_t)m->channels);
	jsonw_text(out, "dir", m->dir);
	jsonw_bool(out, "default", is_default);
	jsonw_bool(out, "installed", m->dir != NULL);
	jsonw_text(out, "repo", m->repo);
	jsonw_text(out, "licence", model_licence(m, a));
	jsonw_text(out, "commercial", m->known ? commercial_name(m->known->commercial) : NULL);
	jsonw_num(out, "longest_s", longest_s > 0 ? longest_s : NAN);
	jsonw_end(out);
}

static void add_sound(const struct model *m, struct str *out)
{
	if (m->rate_hz)
		str_printf(out, "  %d Hz %s", m->rate_hz,
			m->channels == 1   ? "mono"
			: m->channels == 2 ? "stereo"
					   : "multichannel");
	if (m->rate_hz && model_longest(m) > 0)
		str_printf(out, ", %.4g s", model_longest(m));
}

static void model_text(const struct model *m, bool is_default, struct arena *a, struct str *out)
{
	const char *licence = model_licence(m, a);
	char size[16];

	str_printf(out, "%-24s %-14s %9s", m->name, m->engine ? m->engine : "unknown",
		format_bytes(m->bytes, size));
	add_sound(m, out);
	if (m->engine)
		str_printf(out, "  %s", licence ? licence : "licence not known");
	if (!m->dir && m->known->gated)
		str_add(out, ", gated");
	if (m->is_shared)
		str_add(out, "  (in the cache of Hugging Face)");
	if (is_default)
		str_add(out, "  (default)");
	str_sanitize(out->s);
}

static int show_cache(const char *library, bool drop, struct err *e)
{
	uint64_t bytes;
	char size[16];
	int rc = models_cache(library, drop, &bytes, e);

	if (!rc && drop)
		printf("%s removed\n", format_bytes(bytes, size));
	else if (!rc && bytes)
		printf("converted weights: %s (models --drop-cache removes them)\n",
			format_bytes(bytes, size));
	return rc;
}

static void show_model(const struct model *m, bool is_default, bool json)
{
	struct arena a = {0};
	struct str line = {0};

	(json ? model_json : model_text)(m, is_default, &a, &line);
	puts(line.s);
	str_done(&line);
	arena_done(&a);
}

/* What could be pulled. */
static void show_known(const struct models *m, bool json)
{
	bool is_first = true;

	for (const struct known_model *k = catalogue; k->name; k++) {
		const struct model one = {
			.name = k->name,
			.engine = k->engine,
			.bytes = k->about_bytes,
			.rate_hz = k->rate_hz,
			.channels = k->channels,
			.repo = k->repo,
			.known = k,
		};

		if (models_has(m, k))
			continue;
		if (is_first && !json)
			printf("%snot installed (woodshed pull NAME):\n", m->n ? "\n" : "");
		is_first = false;
		show_model(&one, false, json);
	}
}

static void show_models(const struct models *m, bool json)
{
	for (size_t i = 0; i < m->n; i++)
		show_model(&m->list[i], &m->list[i] == m->chosen, json);
}

static int pick_model(const char *library, const struct models *m, const char *name, struct err *e)
{
	if (!models_find(m, name))
		return err_set(e, ERR_IO,
			"no model '%.200s' is installed; woodshed models lists those that are",
			name);
	return models_pick(library, name, e);
}

int verb_models(struct globals *g, const struct environment *env, int argc, char **argv)
{
	struct models_options own = {0};
	struct options o = {
		.group = {{.specs = models_specs, .values = &own},
			{.specs = globals_options, .values = g}},
		.argc = argc,
		.argv = argv,
	};
	struct arena a = {0};
	struct err e = {0};
	const char *library = NULL;
	struct models models = {0};
	int rc = verb_begin(&o, g,
		"usage: woodshed models [--json] [--default NAME] [--drop-cache]\n\n"
		"Lists the installed models, what their converted weights take on disk, and the\n"
		"models that woodshed pull knows.\n\n",
		&e);

	if (rc > 0)
		return finish_output();
	if (!rc && o.argc)
		rc = err_set(&e, ERR_ARG, "models takes no argument, but got '%.80s'", o.argv[0]);
	if (!rc)
		rc = globals_library(g, env, &a, &library, &e);
	if (!rc && (own.pick || !own.drop_cache))
		rc = globals_models(g, env, &a, &models, &e);
	if (!rc && own.pick) {
		rc = pick_model(library, &models, own.pick, &e);
		goto out;
	}
	if (!rc && !own.drop_cache)
		show_models(&models, own.json);
	if (!rc && !own.drop_cache && !own.json && !models.n)
		complain("no model is installed; woodshed pull NAME fetches one of these");
	if (!rc && (own.drop_cache || !own.json))
		rc = show_cache(library, own.drop_cache, &e);
	if (!rc && !own.drop_cache)
		show_known(&models, own.json);
out:
	arena_done(&a);
	return rc ? verb_fail(rc, &e) : finish_output();
}

/* ---- recipe ------------------------------------------------------------- */

struct recipe_options {
	bool json, verify;
};

static const struct option_spec recipe_specs[] = {
	{"json", 0, OPTION_FLAG, NULL, "no change: a recipe is one JSON object",
		offsetof(struct recipe_options, json), 0, 0},
	{"verify", 0, OPTION_FLAG, NULL,
		"make the file again and compare bit for bit; recipe --verify --help tells more",
		offsetof(struct recipe_options, verify), 0, 0},
	{0},
};

/* Shown as it is stored, once it is known to be a recipe: it may hold fields of
 * other versions. */
static int show_recipe(const char *path, struct err *e)
{
	struct arena a = {0};
	struct recipe recipe;
	const char *stored;
	int rc = recipe_read(path, &a, &recipe, &stored, e);

	if (!rc) {
		char *text = arena_strdup(&a, stored);

		for (char *c = text; *c; c++)
			if (*c == '\n' || *c == '\r' || *c == '\t')
				*c = ' ';
		str_sanitize(text);
		puts(text);
	}
	arena_done(&a);
	return rc;
}

int verb_recipe(struct globals *g, const struct environment *env, int argc, char **argv)
{
	struct recipe_options own = {0};
	struct options o = {
		.group = {{.specs = recipe_specs, .values = &own},
			{.specs = globals_options, .values = g}},
		.argc = argc,
		.argv = argv,
	};
	struct err e = {0};
	int rc = verb_begin(&o, g,
		"usage: woodshed recipe [--verify] FILE\n\n"
		"Prints the recipe stored in a WAV or FLAC file.\n\n",
		&e);

	if (rc > 0)
		return finish_output();
	if (!rc && o.argc != 1)
		rc = err_set(&e, ERR_ARG, "recipe takes one file: woodshed recipe FILE.wav");
	if (!rc)
		rc = show_recipe(o.argv[0], &e);
	return rc ? verb_fail(rc, &e) : finish_output();
}
