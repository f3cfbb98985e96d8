/* The verbs on what the library holds: takes, jobs, cancel, retry, backup,
 * unload. */
#include "tui/verbs.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "library/base/arena.h"
#include "library/base/clock.h"
#include "library/base/err.h"
#include "library/base/options.h"
#include "library/base/str.h"
#include "library/base/vec.h"
#include "library/db.h"
#include "library/globals.h"
#include "library/queue.h"
#include "library/takes.h"

struct call {
	struct arena a;
	struct db *db; /* NULL until it is needed */
	struct options o;
	struct err e;
};

/* Parses the words and opens the library: 0 to go on, 1 when that was all. */
static int call_begin(
	struct call *c, struct globals *g, const struct environment *env, const char *usage)
{
	const char *library;
	int rc = verb_begin(&c->o, g, usage, &c->e);

	if (rc)
		return rc;
	rc = globals_library(g, env, &c->a, &library, &c->e);
	return rc ? rc : verb_open_library(g, library, &c->db, &c->e);
}

static int call_end(struct call *c, int rc)
{
	int status = rc < 0 ? verb_fail(rc, &c->e) : finish_output();

	db_close(c->db);
	arena_done(&c->a);
	return status;
}

static int read_id(const char *word, const char *what, int64_t *ret, struct err *e)
{
	return parse_i64(word, ret) && *ret > 0
		       ? 0
		       : err_set(e, ERR_ARG,
				 "'%.80s' is no number of a %s; woodshed %ss lists them", word,
				 what, what);
}

static void print_text(struct str *line)
{
	if (line->s)
		str_sanitize(line->s);
	puts(str_get(line));
	str_clear(line);
}

/* ---- takes -------------------------------------------------------------- */

struct takes_options {
	bool json;
	uint64_t limit;
	const char *order;
};

static const struct option_spec takes_specs[] = {
	{"json", 0, OPTION_FLAG, NULL, "one JSON object a line",
		offsetof(struct takes_options, json), 0, 0},
	{"order", 0, OPTION_CHOICE, "newest|oldest|rating|length|loudest|score",
		"which come first (default newest)", offsetof(struct takes_options, order), 0, 0},
	{"limit", 0, OPTION_WHOLE, "N", "at most so many; 0 is all (default)",
		offsetof(struct takes_options, limit), 0, 1e15},
	{0},
};

static enum takes_order takes_order(const char *name)
{
	static const char *const names[] = {
		"newest", "oldest", "rating", "length", "loudest", "score"};

	for (size_t i = 0; name && i < sizeof(names) / sizeof(*names); i++)
		if (!strcmp(name, names[i]))
			return (enum takes_order)i;
	return TAKES_NEWEST;
}

static void take_text(const struct take *t, struct str *out)
{
	char when[32];

	str_printf(out, "%6lld  %.10s  %7.2f s  %c%c %-16.16s  %s%s%s", (long long)t->id,
		clock_iso(t->created, when), t->seconds, t->favourite ? '*' : ' ',
		t->rating ? '0' + t->rating : ' ', t->model, t->missing ? "(missing) " : "",
		t->trashed ? "(trash) " : "", t->prompt);
}

int verb_takes(struct globals *g, const struct environment *env, int argc, char **argv)
{
	struct takes_options own = {0};
	struct call c = {.o = {.group = {{.specs = takes_specs, .values = &own},
				       {.specs = globals_options, .values = g}},
				 .dashed = "a word to leave out",
				 .argc = argc,
				 .argv = argv}};
	struct str filter = {0}, line = {0};
	struct take *takes = NULL;
	size_t n = 0;
	int rc = call_begin(&c, g, env,
		"usage: woodshed takes [OPTION]... [FILTER]...\n\n"
		"Lists takes. A filter: words of the prompt, \"words together\", #tag, fav,\n"
		"model:NAME, seed:N, dur>30, rating>=3, created:today, trash, missing; behind --\n"
		"also -without.\n\n");

	if (rc)
		return call_end(&c, rc);
	for (int i = 0; i < c.o.argc; i++)
		str_printf(&filter, "%s%s", i ? " " : "", c.o.argv[i]);
	takes_look(c.db, NULL); /* what cannot be written is listed as it was seen last */
	rc = takes_list(c.db,
		&(struct takes_query){.filter = str_get(&filter),
			.order = takes_order(own.order),
			.limit = (int64_t)own.limit,
			.now_ms = clock_unix_ms()},
		&c.a, &takes, &n, &c.e);
	for (size_t i = 0; i < n && !rc; i++) {
		if (own.json)
			take_json(&takes[i], db_library(c.db), &line);
		else
			take_text(&takes[i], &line);
		print_text(&line);
	}
	str_done(&filter);
	str_done(&line);
	return call_end(&c, rc);
}

/* ---- jobs --------------------------------------------------------------- */

struct jobs_options {
	bool json, pause, resume;
	const char *state;
	uint64_t release; /* a job's number; 0: none */
};

static const struct option_spec jobs_specs[] = {
	{"json", 0, OPTION_FLAG, NULL, "one JSON object a line",
		offsetof(struct jobs_options, json), 0, 0},
	{"state", 0, OPTION_CHOICE, "queued|claimed|rendering|done|failed|cancelled", "only these",
		offsetof(struct jobs_options, state), 0, 0},
	{"pause", 0, OPTION_FLAG, NULL, "nothing is begun until --resume",
		offsetof(struct jobs_options, pause), 0, 0},
	{"resume", 0, OPTION_FLAG, NULL, "the queue goes on", offsetof(struct jobs_options, resume),
		0, 0},
	{"release", 0, OPTION_WHOLE, "JOB", "a job queued with --hold waits no longer",
		offsetof(struct jobs_options, release), 1, 1e15},
	{0},
};

static void job_text(const struct job *j, struct str *out)
{
	str_printf(out, "%6lld  %-9s ", (long long)j->id, j->held ? "held" : j->state);
	if (j->stage && j->total && !j->ended)
		str_printf(out, "%-6s %3d %%  ", j->stage, (int)(100 * j->done / j->total));
	str_printf(out, "%-16.16s %s", j->model, j->prompt);
	if (j->error)
		str_printf(out, " (%s)", j->error);
}

static int set_pause(struct call *c, const struct jobs_options *own)
{
	if (own->pause && own->resume)
		return err_set(&c->e, ERR_ARG, "--pause and --resume are opposites; give one");
	return queue_pause(c->db, own->pause, &c->e);
}

static int show_jobs(struct call *c, const struct jobs_options *own, bool quiet)
{
	struct str line = {0};
	struct job *jobs;
	bool paused;
	size_t n;
	int rc = jobs_list(c->db, own->state, &c->a, &jobs, &n, &c->e);

	for (size_t i = 0; i < n && !rc; i++) {
		if (own->json)
			job_json(&jobs[i], &line);
		else
			job_text(&jobs[i], &line);
		print_text(&line);
	}
	str_done(&line);
	if (!rc)
		rc = queue_is_paused(c->db, &paused, &c->e);
	if (!rc && paused && !own->json && !quiet)
		complain("the queue is paused; woodshed jobs --resume lets it go on");
	return rc;
}

int verb_jobs(struct globals *g, const struct environment *env, int argc, char **argv)
{
	struct jobs_options own = {0};
	struct call c = {.o = {.group = {{.specs = jobs_specs, .values = &own},
				       {.specs = globals_options, .values = g}},
				 .argc = argc,
				 .argv = argv}};
	size_t n;
	int rc = call_begin(&c, g, env,
		"usage: woodshed jobs [OPTION]...\n\n"
		"Lists the queue: what is at work, what waits, what has ended.\n\n");

	if (rc)
		return call_end(&c, rc);
	if (c.o.argc)
		rc = err_set(&c.e, ERR_ARG, "jobs takes no argument, but got '%.80s'", c.o.argv[0]);
	if (!rc)
		rc = workers_recover(c.db, clock_unix_ms(), &n, &c.e);
	if (!rc && own.release)
		rc = jobs_hold(c.db, (int64_t)own.release, false, &c.e);
	else if (!rc)
		rc = own.pause || own.resume ? set_pause(&c, &own) : show_jobs(&c, &own, g->quiet);
	return call_end(&c, rc);
}

/* ---- cancel, retry ------------------------------------------------------ */

struct change_options {
	bool all, json;
};

static const struct option_spec cancel_specs[] = {
	{"all", 0, OPTION_FLAG, NULL, "every job that has not ended",
		offsetof(struct change_options, all), 0, 0},
	{"json", 0, OPTION_FLAG, NULL, "the changed jobs, one JSON object a line",
		offsetof(struct change_options, json), 0, 0},
	{0},
};

static const struct option_spec retry_specs[] = {
	{"all", 0, OPTION_FLAG, NULL, "every job that failed", offsetof(struct change_options, all),
		0, 0},
	{"json", 0, OPTION_FLAG, NULL, "the changed jobs, one JSON object a line",
		offsetof(struct change_options, json), 0, 0},
	{0},
};

static int cancel_one(struct call *c, int64_t id)
{
	bool at_work;

	return jobs_cancel(c->db, id, clock_unix_ms(), &at_work, &c->e);
}

static int retry_one(struct call *c, int64_t id)
{
	return jobs_retry(c->db, id, &c->e);
}

static int tell_job(struct call *c, int64_t id, bool json)
{
	struct str line = {0};
	struct job j;
	int rc = jobs_get(c->db, id, &c->a, &j, &c->e);

	if (!rc && json)
		job_json(&j, &line);
	else if (!rc)
		str_printf(&line, "%lld %s", (long long)id, j.stopping ? "stopping" : j.state);
	if (!rc)
		print_text(&line);
	str_done(&line);
	return rc;
}

static int change_jobs(struct call *c, const struct change_options *own, bool retry)
{
	int (*const change)(struct call *, int64_t) = retry ? retry_one : cancel_one;
	struct numbers all = {0};
	int rc = 0;

	if (own->all == (c->o.argc > 0))
		return err_set(&c->e, ERR_ARG, "name jobs, or give --all: woodshed %s 3 4",
			retry ? "retry" : "cancel");
	if (own->all)
		rc = jobs_change_all(c->db, retry, clock_unix_ms(), &all, &c->e);
	for (size_t i = 0; i < all.n && !rc; i++)
		rc = tell_job(c, all.at[i], own->json);
	VEC_DONE(&all);
	for (int i = 0; i < c->o.argc && !rc; i++) {
		int64_t id;

		rc = read_id(c->o.argv[i], "job", &id, &c->e);
		if (!rc)
			rc = change(c, id);
		if (!rc)
			rc = tell_job(c, id, own->json);
	}
	return rc;
}

static int verb_change(
	struct globals *g, const struct environment *env, int argc, char **argv, bool retry)
{
	struct change_options own = {0};
	struct call c = {
		.o = {.group = {{.specs = retry ? retry_specs : cancel_specs, .values = &own},
			      {.specs = globals_options, .values = g}},
			.argc = argc,
			.argv = argv}};
	size_t n;
	int rc = call_begin(&c, g, env,
		retry ? "usage: woodshed retry [OPTION]... JOB...\n\n"
			"Queues jobs again that failed or were cancelled.\n\n"
		      : "usage: woodshed cancel [OPTION]... JOB...\n\n"
			"Cancels jobs; one at work stops within a step.\n\n");

	if (!rc)
		rc = workers_recover(c.db, clock_unix_ms(), &n, &c.e);
	if (!rc)
		rc = change_jobs(&c, &own, retry);
	return call_end(&c, rc);
}

int verb_cancel(struct globals *g, const struct environment *env, int argc, char **argv)
{
	return verb_change(g, env, argc, argv, false);
}

int verb_retry(struct globals *g, const struct environment *env, int argc, char **argv)
{
	return verb_change(g, env, argc, argv, true);
}

/* ---- backup, unload ----------------------------------------------------- */

int verb_backup(struct globals *g, const struct environment *env, int argc, char **argv)
{
	struct call c = {.o = {.group = {{.specs = globals_options, .values = g}},
				 .argc = argc,
				 .argv = argv}};
	int rc = call_begin(&c, g, env,
		"usage: woodshed backup FILE\n\n"
		"Writes a copy of the library's database, which may be in use. Takes are files of\n"
		"their own: copy LIBRARY/takes as well.\n\n");

	if (!rc && c.o.argc != 1)
		rc = err_set(&c.e, ERR_ARG, "backup takes one file: woodshed backup FILE");
	if (!rc)
		rc = db_backup(c.db, c.o.argv[0], &c.e);
	return call_end(&c, rc);
}

int verb_unload(struct globals *g, const struct environment *env, int argc, char **argv)
{
	struct call c = {.o = {.group = {{.specs = globals_options, .values = g}},
				 .argc = argc,
				 .argv = argv}};
	int64_t n = 0;
	int rc = call_begin(&c, g, env,
		"usage: woodshed unload\n\n"
		"Workers free the model they hold once they have nothing to do.\n\n");

	if (!rc && c.o.argc)
		rc = err_set(
			&c.e, ERR_ARG, "unload takes no argument, but got '%.80s'", c.o.argv[0]);
	if (!rc)
		rc = workers_ask_unload(c.db, &n, &c.e);
	if (!rc && !g->quiet)
		printf("%lld asked\n", (long long)n);
	return call_end(&c, rc);
}
