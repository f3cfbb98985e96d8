/* A race: every installed model makes one prompt. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "library/queue.h"
#include "tui/queueing.h"
#include "tui/race.h"
#include "tui/view_compose.h"
#include "tui/view_race.h"
#include "tui/ws.h"

/* As long as nobody says how long. */
static const double LENGTH_S = 10;

static bool can_make(const struct compose_model *m)
{
	return m->is_installed && m->is_rendered;
}

/* As long as it was, but no longer than the model with the shortest breath can, in whole
 * milliseconds; *ret_limit is that one, or NULL. */
static double common_length(
	const struct compose_models *all, double wanted_s, const struct compose_model **ret_limit)
{
	*ret_limit = NULL;
	for (size_t i = 0; i < all->n; i++) {
		const struct compose_model *m = &all->list[i];

		if (!can_make(m) || !(m->longest_s > 0) || m->longest_s >= wanted_s)
			continue;
		wanted_s = fmax(floor(m->longest_s * 1e3) / 1e3, 1e-3);
		*ret_limit = m;
	}
	return wanted_s;
}

/* What is raced: a job, and the engine that its options are of. */
struct entry {
	struct job_new like;
	const char *model; /* NULL: no options are known */
	double wanted_s;
};

static int engine_of(struct ws *ws, const struct compose_models *all, const char *model,
	struct arena *a, struct engine_parameters *ret, struct err *e)
{
	const struct compose_model *m = model ? compose_models_find(all, model) : NULL;

	*ret = (struct engine_parameters){.engine = ""};
	return m && m->engine ? parameters_read(ws->db, m->engine, a, ret, e) : 0;
}

static bool has_negative(const struct engine_parameters *p)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->list[i].kind == PARAMETER_PROMPT)
			return true;
	return false;
}

/* One for each model that can make it, with what its engine takes of the settings. */
static int make_jobs(struct ws *ws, const struct compose_models *all, const struct entry *n,
	struct arena *a, struct job_new *jobs, size_t *ret_n, struct err *e)
{
	struct engine_parameters from, to;
	int rc = engine_of(ws, all, n->model, a, &from, e);

	for (size_t i = 0; i < all->n && !rc; i++) {
		struct job_new *j = &jobs[*ret_n];

		if (!can_make(&all->list[i]))
			continue;
		rc = engine_of(ws, all, all->list[i].name, a, &to, e);
		*j = n->like;
		j->model = arena_strdup(a, all->list[i].name);
		j->options = race_options(n->like.options, &from, &to, a);
		if (!has_negative(&to))
			j->negative = NULL;
		++*ret_n;
	}
	return rc;
}

/* "; mono takes no steps". */
static void tell_lacks(const struct job_new *jobs, size_t n, struct arena *a, struct str *out)
{
	struct race_told *told = ARENA_ARRAY(a, struct race_told, n);
	struct str lacks = {0};

	for (size_t i = 0; i < n; i++)
		told[i] = (struct race_told){jobs[i].options, jobs[i].negative};
	for (size_t i = 0; i < n; i++) {
		str_clear(&lacks);
		race_lacks(told, n, i, &lacks);
		if (lacks.n)
			str_printf(out, "; %s takes no %s", jobs[i].model, str_get(&lacks));
	}
	str_done(&lacks);
}

/* Says what was queued, and shows it. */
static void end_queue(struct ws *ws, const struct queueing *q, int rc)
{
	struct arena a = {0};
	struct str lacks = {0};
	struct err e = {0};
	struct job first;

	if (!rc)
		rc = jobs_get(ws->db, q->ids[0], &a, &first, &e);
	if (!rc) {
		tell_lacks(q->jobs, q->n, &a, &lacks);
		ws_say(ws, "%zu models make %s s of it%s%s", q->n, q->jobs[0].seconds, q->note,
			lacks.n ? str_get(&lacks) : "; each plays by its letter once it is done");
		race_show(ws, first.batch);
	} else if (e.code) {
		ws_fail(ws, &e);
	}
	str_done(&lacks);
	arena_done(&a);
}

/* Takes q, which holds what the entry points to, if it can be. */
static int queue(struct ws *ws, const struct compose_models *all, const struct entry *entry,
	struct queueing *q, struct err *e)
{
	struct job_new *jobs = ARENA_ARRAY(&q->arena, struct job_new, all->n + 1);
	int rc = make_jobs(ws, all, entry, &q->arena, jobs, &q->n, e);

	if (!rc && q->n < 2)
		rc = err_set(e, ERR_ARG,
			"a race needs two models, and %zu is installed; 2 and Enter on Model "
			"lists more",
			q->n);
	if (rc)
		return rc;
	q->jobs = jobs;
	q->end = end_queue;
	queueing_begin(ws, q);
	return 0;
}

/* The take's prompt, seed and length, and what its job was told; without a job nobody
 * knows which of its settings were wanted and which are its model's own. */
static void enter_take(struct ws *ws, const struct take *t, struct arena *a, struct entry *ret)
{
	struct job j;

	ret->like = (struct job_new){.prompt = t->prompt,
		.negative = t->negative,
		.parent_prompt = t->prompt_id,
		.seed = t->seed};
	ret->wanted_s = t->seconds;
	if (t->job && !jobs_get(ws->db, t->job, a, &j, NULL)) {
		ret->like.options = j.options;
		ret->model = j.model;
	}
}

/* What is composed, the first of it where it stands for several takes. */
static int enter_composed(struct ws *ws, struct arena *a, struct entry *ret, struct err *e)
{
	struct job_new *jobs;
	size_t n;
	int rc = compose_jobs(&ws->compose->c, ret->like.seed, a, &jobs, &n, e);

	if (rc)
		return rc;
	ret->like = jobs[0];
	ret->model = jobs[0].model;
	if (!*jobs[0].seconds || !parse_f64(jobs[0].seconds, &ret->wanted_s))
		ret->wanted_s = LENGTH_S;
	return 0;
}

/* take: where nothing is typed or composed. */
static int enter(struct ws *ws, const char *args, int64_t take, struct arena *a, struct entry *ret,
	struct err *e)
{
	struct take t;
	int rc;

	*ret = (struct entry){
		.like = {.prompt = args, .seed = compose_seed_by_chance()}, .wanted_s = LENGTH_S};
	if (*args)
		return 0;
	if (ws->screen == SCREEN_COMPOSE)
		return enter_composed(ws, a, ret, e);
	rc = takes_get(ws->db, take, a, &t, e);
	if (!rc)
		enter_take(ws, &t, a, ret);
	return rc;
}

/* The prompt that is typed, or composed, or that of the take under the cursor, with its
 * seed, length and settings. */
static void do_race(struct ws *ws, const char *args)
{
	const bool is_of_take = !*args && ws->screen != SCREEN_COMPOSE;
	const int64_t take =
		is_of_take ? ws_target(ws, "there is no prompt here; :race PROMPT names one") : 0;
	struct queueing *q;
	struct compose_models all = {0};
	const struct compose_model *limit;
	struct entry entry;
	struct err e = {0};
	int rc;

	if (is_of_take && !take)
		return;
	q = queueing_new();
	rc = enter(ws, args, take, &q->arena, &entry, &e);
	if (!rc)
		rc = compose_models_read(&all, ws, &e);
	if (!rc) {
		/* What was typed may go before the jobs are written. */
		entry.like.prompt = arena_strdup(&q->arena, entry.like.prompt);
		if (entry.like.negative)
			entry.like.negative = arena_strdup(&q->arena, entry.like.negative);
		entry.like.seconds = arena_printf(
			&q->arena, "%.6g", common_length(&all, entry.wanted_s, &limit));
		q->note = limit ? arena_printf(&q->arena, ", not %.4g: %s makes no more",
					  entry.wanted_s, limit->name)
				: "";
		rc = queue(ws, &all, &entry, q, &e);
	}
	if (rc) {
		queueing_free(q);
		ws_fail(ws, &e);
	}
	compose_models_done(&all);
}

static void do_race_sheet(struct ws *ws, const char *args)
{
	ws_show(ws, SCREEN_RACE);
}

static void do_lane(struct ws *ws, const char *args)
{
	const struct race *r = &ws->race;

	if (!*args)
		race_play(ws, r->list.cursor);
	else if (*args >= 'A' && *args <= 'Z' && !args[1])
		race_play(ws, *args - 'A');
	else
		ws_complain(ws, "'%.40s' is no lane, such as A", args);
}

static const struct command commands[] = {
	{"race", "[PROMPT]", "every installed model makes it: same length, seed and settings",
		do_race, false},
	{"race-sheet", "", "the last race: a lane for each model", do_race_sheet, false},
	{"lane", "[A-Z]", "play a take of the race, as loud as the others", do_lane, false},
};

static const struct binding bindings[] = {
	{1 << SCREEN_LIBRARY, "X", "race"},
	{ON_ANY, "gr", "race-sheet"},
	{1 << SCREEN_RACE, "<Enter>", "lane"},
	{1 << SCREEN_RACE, "A", "lane A"},
	{1 << SCREEN_RACE, "B", "lane B"},
	{1 << SCREEN_RACE, "C", "lane C"},
	{1 << SCREEN_RACE, "D", "lane D"},
	{1 << SCREEN_RACE, "E", "lane E"},
	{1 << SCREEN_RACE, "F", "lane F"},
	{1 << SCREEN_RACE, "G", "lane G"},
	{1 << SCREEN_RACE, "H", "lane H"},
};

const struct command_table commands_race = COMMAND_TABLE(commands, bindings);
