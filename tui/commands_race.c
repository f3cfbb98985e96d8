/* A race: every installed model makes one prompt. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "library/base/clock.h"
#include "library/base/vec.h"
#include "library/request.h"
#include "tui/view_compose.h"
#include "tui/view_race.h"
#include "tui/ws.h"

/* As long as nobody says how long. */
static const double LENGTH_S = 10;

static bool can_make(const struct compose_model *m)
{
	return m->is_installed && m->is_rendered;
}

/* As long as it was, but no longer than the model with the shortest breath can. */
static double common_length(const struct compose_models *all, double wanted_s)
{
	for (size_t i = 0; i < all->n; i++)
		if (can_make(&all->list[i]) && all->list[i].longest_s > 0)
			wanted_s = fmin(wanted_s, all->list[i].longest_s);
	return wanted_s;
}

static int queue(struct ws *ws, const struct compose_models *all, const struct job_new *like,
	int64_t *ret_batch, size_t *ret_n, struct err *e)
{
	struct {
		struct job_new *at;
		size_t n, cap;
	} jobs = {0};
	struct arena a = {0};
	struct job first;
	int64_t *ids;
	int rc = 0;

	for (size_t i = 0; i < all->n; i++) {
		if (!can_make(&all->list[i]))
			continue;
		*VEC_PUSH(&jobs) = *like;
		jobs.at[jobs.n - 1].model = all->list[i].name;
	}
	ids = ARENA_ARRAY(&a, int64_t, jobs.n + 1);
	if (jobs.n < 2)
		rc = err_set(e, ERR_ARG,
			"a race needs two models, and %zu is installed; 2 and Enter on Model "
			"lists more",
			jobs.n);
	if (!rc)
		rc = jobs_add(ws->db, jobs.at, jobs.n, clock_unix_ms(), ids, e);
	if (!rc)
		rc = jobs_get(ws->db, ids[0], &a, &first, e);
	if (!rc)
		*ret_batch = first.batch;
	*ret_n = jobs.n;
	VEC_DONE(&jobs);
	arena_done(&a);
	return rc;
}

/* The prompt that is typed, or that of the take under the cursor, with its seed and length;
 * other settings belong to one engine and are left to each. */
static void do_race(struct ws *ws, const char *args)
{
	const struct take *t = view_library_selected(ws);
	struct compose_models all = {0};
	struct job_new like = {.prompt = args, .seed = compose_seed_by_chance()};
	struct arena a = {0};
	struct err e = {0};
	double wanted_s = LENGTH_S;
	int64_t batch = 0;
	size_t n = 0;
	int rc;

	if (!*args && !t) {
		ws_say(ws, "there is no prompt here; :race PROMPT names one");
		return;
	}
	if (!*args) {
		like.prompt = t->prompt;
		like.negative = t->negative;
		like.parent_prompt = t->prompt_id;
		like.seed = t->seed;
		wanted_s = t->seconds;
	}
	rc = compose_models_read(&all, ws, &e);
	like.seconds = arena_printf(&a, "%.4g", common_length(&all, wanted_s));
	if (!rc)
		rc = queue(ws, &all, &like, &batch, &n, &e);
	if (rc) {
		ws_fail(ws, &e);
	} else {
		ws_changed(ws);
		race_show(ws, batch);
		ws_say(ws, "%zu models make %s s of it; each plays by its letter once it is done",
			n, like.seconds);
	}
	compose_models_done(&all);
	arena_done(&a);
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
	{"race", "[PROMPT]", "every installed model makes it: same length, same seed", do_race,
		false},
	{"lane", "[A-Z]", "play a take of the race, as loud as the others", do_lane, false},
};

static const struct binding bindings[] = {
	{1 << SCREEN_LIBRARY, "X", "race"},
	{ON_ANY, "gr", "screen race"},
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
