/* New takes from prompts. */
#include <stdio.h>
#include <string.h>

#include "library/base/clock.h"
#include "library/db.h"
#include "tui/ws.h"

static void do_new(struct ws *ws, const char *args)
{
	ws_input(ws, INPUT_PROMPT, args);
}

static void do_edit(struct ws *ws, const char *args)
{
	const struct take *t = view_library_selected(ws);

	if (t)
		ws_input(ws, INPUT_PROMPT, t->prompt);
	else
		ws_say(ws, "there is no take here; i begins a new prompt");
}

/* One job more; the worker is started when the queue is looked at. */
void commands_queue_prompt(struct ws *ws, const char *prompt, const char *model)
{
	struct err e = {0};
	const struct job_new job = {.prompt = prompt,
		.model = model,
		.seed = (uint64_t)clock_unix_ms() & ((1ull << 53) - 1),
		.seconds = ""};
	int64_t id;

	if (jobs_add(ws->db, &job, 1, clock_unix_ms(), &id, &e)) {
		ws_fail(ws, &e);
		return;
	}
	ws_say(ws, "queued as job %lld with %s", (long long)id, model);
	ws_changed(ws);
}

static void do_queue(struct ws *ws, const char *args)
{
	if (!*args) {
		ws_input(ws, INPUT_PROMPT, "");
	} else if (!ws->model) {
		ws_complain(ws, "no model is installed; woodshed pull musicgen-small fetches one");
	} else {
		commands_queue_prompt(ws, args, ws->model);
	}
}

static void do_again(struct ws *ws, const char *args)
{
	const struct take *t = view_library_selected(ws);

	if (t)
		commands_queue_prompt(ws, t->prompt, t->model);
}

static const struct command commands[] = {
	{"new", "[TEXT]", "type a prompt and queue it", do_new, false},
	{"edit", "", "a new prompt from this take's", do_edit, false},
	{"queue", "PROMPT", "queue a prompt with the default model", do_queue, false},
	{"again", "", "queue this take's prompt with a new seed", do_again, false},
};

static const struct binding bindings[] = {
	{ON_ANY, "i", "new"},
	{1 << SCREEN_LIBRARY, "e", "edit"},
	{1 << SCREEN_LIBRARY, "r", "again"},
};

const struct command_table commands_takes = COMMAND_TABLE(commands, bindings);
