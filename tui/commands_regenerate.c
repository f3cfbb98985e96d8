/* Takes once more: as they were asked for (request.h), or nearly so. */
#include "library/queue.h"
#include "library/request.h"
#include "tui/queueing.h"
#include "tui/view_compose.h"
#include "tui/ws.h"

enum { TAKES_MAX = 1000 };

static const char no_take[] = "there is no take here; i composes a prompt";

/* The marked takes, or that under the cursor: of a prompt the one that is shown, since who
 * asks for one more does not ask for as many as there are. */
static size_t sources(struct ws *ws, struct arena *a, const int64_t **ret)
{
	const size_t n = ws_targets(ws, a, ret, no_take);
	int64_t *shown;

	if (n < 2 || !library_has_keys(ws) || library_shown(ws)->marks.n)
		return n;
	shown = ARENA_NEW(a, int64_t);
	*shown = ws_target(ws, no_take);
	*ret = shown;
	return 1;
}

/* Each of the takes n times with new seeds; n 0: once with its own. */
static void regenerate(struct ws *ws, int64_t n)
{
	struct queueing *q = queueing_new();

	q->n_takes = sources(ws, &q->arena, &q->takes);
	q->each = n;
	if (q->n_takes && q->n_takes <= TAKES_MAX) {
		queueing_begin(ws, q);
		return;
	}
	if (q->n_takes)
		ws_complain(ws, "at most %d takes are made again at once", TAKES_MAX);
	queueing_free(q);
}

static void do_again(struct ws *ws, const char *args)
{
	regenerate(ws, 1);
}

/* A row that is no take is a job that failed. */
static void do_same(struct ws *ws, const char *args)
{
	const struct library_view *v = library_now(ws);
	const struct library_row *row = v ? library_row_at(v, v->list.cursor) : NULL;

	if (!v)
		return;
	if (ws->screen == SCREEN_LIBRARY && row && row->job.id && !ws->takes.marks.n)
		commands_run(ws, "retry");
	else
		regenerate(ws, 0);
}

static void do_more(struct ws *ws, const char *args)
{
	int64_t n;

	if (commands_number(ws, args, 1, COMPOSE_TAKES_MAX, &n))
		regenerate(ws, n);
}

/* The take's prompt and all its settings, in Compose. */
static void compose_from(struct ws *ws, bool has_seed, const char *changed)
{
	struct compose_view *v = ws->compose;
	const int64_t take = ws_target(ws, no_take);
	struct arena a = {0};
	struct job_new j;
	struct err e = {0};

	if (take && request_of_take(ws->db, take, &a, &j, &e)) {
		ws_fail(ws, &e);
	} else if (take) {
		compose_history_put_aside(&v->history, &v->c);
		if (view_compose_use(ws, j.model, &e))
			ws_fail(ws, &e);
		compose_take(&v->c, &j, has_seed, changed);
		v->field = FIELD_PROMPT;
		view_compose_changed(ws);
		ws_show(ws, SCREEN_COMPOSE);
	}
	arena_done(&a);
}

static void do_edit(struct ws *ws, const char *args)
{
	compose_from(ws, true, "edited");
}

static void do_from(struct ws *ws, const char *args)
{
	compose_from(ws, false, "made from it");
}

static void do_queue(struct ws *ws, const char *args)
{
	struct queueing *q;
	struct job_new *job;

	if (!ws->model) {
		ws_complain(ws, "no model is chosen; 2 and Enter on Model lists them");
		return;
	}
	q = queueing_new();
	job = ARENA_NEW(&q->arena, struct job_new);
	*job = (struct job_new){.prompt = arena_strdup(&q->arena, args),
		.model = ws->model,
		.seed = compose_seed_by_chance()};
	q->jobs = job;
	q->n = 1;
	queueing_begin(ws, q);
}

static const struct command commands[] = {
	{"again", "", "the take with a new seed and all its settings", do_again, false},
	{"same", "", "the very same take once more, as when its file is gone", do_same, false},
	{"more", "N", "N more like it, with new seeds", do_more, true},
	{"edit", "", "the take's prompt and settings in Compose, its seed kept", do_edit, false},
	{"from", "", "its prompt and settings in Compose, the seed by chance", do_from, false},
	{"queue", "PROMPT", "queue a prompt with the default model", do_queue, true},
};

static const struct binding bindings[] = {
	{1 << SCREEN_LIBRARY | 1 << SCREEN_LISTEN, "r", "again"},
	{1 << SCREEN_LIBRARY | 1 << SCREEN_LISTEN, "R", "same"},
	{1 << SCREEN_LIBRARY | 1 << SCREEN_LISTEN, "e", "edit"},
	{1 << SCREEN_LIBRARY | 1 << SCREEN_LISTEN, "o", "from"},
};

const struct command_table commands_regenerate = COMMAND_TABLE(commands, bindings);
