/* What is done with takes and prompts. */
#include <stdio.h>
#include <string.h>

#include "library/base/clock.h"
#include "library/db.h"
#include "library/filters.h"
#include "tui/ws.h"

static void do_filter(struct ws *ws, const char *args)
{
	ws_show(ws, SCREEN_LIBRARY);
	if (*args) {
		line_edit_set(&ws->takes.filter, args);
		list_go(&ws->takes.list, 0);
		ws_moved(ws);
		return;
	}
	str_clear(&ws->before);
	str_add(&ws->before, str_get(&ws->takes.filter.text));
	ws_input(ws, INPUT_FILTER, str_get(&ws->takes.filter.text));
}

static void do_save_filter(struct ws *ws, const char *args)
{
	struct err e = {0};

	if (filters_save(ws->db, args, str_get(&ws->takes.filter.text), clock_unix_ms(), &e))
		ws_fail(ws, &e);
	else
		ws_say(ws, "saved; F and %s brings it back", args);
}

static void do_forget_filter(struct ws *ws, const char *args)
{
	struct err e = {0};

	if (filters_remove(ws->db, args, &e))
		ws_fail(ws, &e);
	else
		ws_say(ws, "forgotten");
}

/* Without a name: which there are, and a line to name one. */
static void do_saved_filter(struct ws *ws, const char *args)
{
	struct arena a = {0};
	struct saved_filter *list;
	struct str names = {0};
	const char *text = NULL;
	struct err e = {0};
	size_t n = 0;

	if (*args ? filters_get(ws->db, args, &a, &text, &e)
		  : filters_list(ws->db, &a, &list, &n, &e)) {
		ws_fail(ws, &e);
	} else if (text) {
		do_filter(ws, text);
	} else if (!n) {
		ws_say(ws, "no filter is saved; :save-filter NAME keeps the one that is set");
	} else {
		for (size_t i = 0; i < n; i++)
			str_printf(&names, " %s", list[i].name);
		ws_input(ws, INPUT_COMMAND, "saved-filter ");
		ws_say(ws, "saved:%s", str_get(&names));
	}
	str_done(&names);
	arena_done(&a);
}

static void do_sort(struct ws *ws, const char *args)
{
	static const char *const names[] = {"newest", "oldest", "rating", "length", "loudest"};
	int n = sizeof(names) / sizeof(*names), to = -1;

	for (int i = 0; i < n; i++)
		if (!strcmp(args, names[i]))
			to = i;
	if (to < 0 && *args) {
		ws_complain(ws, "lists are sorted by newest, oldest, rating, length or loudest");
		return;
	}
	ws->takes.order = (enum takes_order)(to < 0 ? ((int)ws->takes.order + 1) % n : to);
	list_go(&ws->takes.list, 0);
	ws_say(ws, "sorted by %s", names[ws->takes.order]);
	ws_moved(ws);
}

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

static void edit_take(struct ws *ws, const char *field, const char *value, const char *label)
{
	const struct take *t = view_library_selected(ws);
	struct err e = {0};

	if (!t || ws->screen != SCREEN_LIBRARY)
		return;
	if (takes_edit(ws->db, &t->id, 1, field, value, label, clock_unix_ms(), &e)) {
		ws_fail(ws, &e);
		return;
	}
	ws_say(ws, "%s · u takes it back", label);
	ws_changed(ws);
}

static void do_favourite(struct ws *ws, const char *args)
{
	const struct take *t = view_library_selected(ws);

	if (t)
		edit_take(ws, "favourite", t->favourite ? "0" : "1",
			t->favourite ? "no favourite any more" : "favourite");
}

static void do_rate(struct ws *ws, const char *args)
{
	int64_t stars;
	char label[32];

	if (!commands_number(ws, args, 0, 5, &stars))
		return;
	snprintf(label, sizeof(label), "rated %d", (int)stars);
	edit_take(ws, "rating", args, label);
}

static void do_trash(struct ws *ws, const char *args)
{
	char now[32];

	snprintf(now, sizeof(now), "%lld", (long long)clock_unix_ms());
	edit_take(ws, "trashed", now, "moved 1 take to the trash");
}

static void do_tag(struct ws *ws, const char *args)
{
	if (*args)
		edit_take(ws, "tag", args, "tagged");
	else
		ws_input(ws, INPUT_COMMAND, "tag ");
}

static const struct command commands[] = {
	{"filter", "[FILTER]", "narrow the list while you type", do_filter, false},
	{"saved-filter", "[NAME]", "a filter that was saved", do_saved_filter, false},
	{"save-filter", "NAME", "save the filter that is set", do_save_filter, true},
	{"forget-filter", "NAME", "forget a filter that was saved", do_forget_filter, true},
	{"sort", "[ORDER]", "newest, oldest, rating, length, loudest; the next one", do_sort,
		false},
	{"new", "[TEXT]", "type a prompt and queue it", do_new, false},
	{"edit", "", "a new prompt from this take's", do_edit, false},
	{"queue", "PROMPT", "queue a prompt with the default model", do_queue, false},
	{"again", "", "queue this take's prompt with a new seed", do_again, false},
	{"favourite", "", "favourite, or not any more", do_favourite, false},
	{"rate", "0-5", "rate the take", do_rate, true},
	{"tag", "WORD", "tag the take", do_tag, false},
	{"trash", "", "move the take to the trash", do_trash, false},
};

static const struct binding bindings[] = {
	{1 << SCREEN_LIBRARY, "/", "filter"},
	{1 << SCREEN_LIBRARY, "F", "saved-filter"},
	{1 << SCREEN_LIBRARY, "S", "sort"},
	{ON_ANY, "i", "new"},
	{1 << SCREEN_LIBRARY, "e", "edit"},
	{1 << SCREEN_LIBRARY, "r", "again"},
	{1 << SCREEN_LIBRARY, "f", "favourite"},
	{1 << SCREEN_LIBRARY, "t", "tag"},
	{1 << SCREEN_LIBRARY, "D", "trash"},
	{1 << SCREEN_LIBRARY, "<Del>", "trash"},
};

const struct command_table commands_takes = COMMAND_TABLE(commands, bindings);
