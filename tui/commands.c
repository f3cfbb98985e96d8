/* Every action of the workstation, once: its name, what it takes, its help, and
 * the keys that call it.  Keys, the `:` line and the help screen read this. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "library/base/clock.h"
#include "library/db.h"
#include "library/filters.h"
#include "tui/listen.h"
#include "tui/ws.h"

/* ---- what they do ------------------------------------------------------- */

static struct list *current_list(struct ws *ws)
{
	switch (ws->screen) {
	case SCREEN_LIBRARY:
		return &ws->takes.list;
	case SCREEN_QUEUE:
		return &ws->queue.list;
	default:
		return &ws->help.list;
	}
}

static void moved(struct ws *ws)
{
	ws->takes.is_stale = true;
	ws->dirty |= DIRTY_BODY;
}

/* A number within reason; false, with a message, for anything else. */
static bool number(struct ws *ws, const char *text, int64_t low, int64_t high, int64_t *ret)
{
	if (parse_i64(text, ret) && *ret >= low && *ret <= high)
		return true;
	ws_say(ws, "'%.40s' is no whole number from %lld to %lld", text, (long long)low,
		(long long)high);
	ws->is_error = true;
	return false;
}

static void do_move(struct ws *ws, const char *args)
{
	int64_t by;

	if (!number(ws, args, -1000000000, 1000000000, &by))
		return;
	list_move(current_list(ws), by);
	moved(ws);
}

static void do_page(struct ws *ws, const char *args)
{
	double pages;

	if (!parse_f64(args, &pages) || !(pages >= -1000 && pages <= 1000)) {
		ws_say(ws, "'%.40s' is no number of pages, such as 1 or -0.5", args);
		ws->is_error = true;
		return;
	}
	list_page(current_list(ws), pages);
	moved(ws);
}

static void do_first(struct ws *ws, const char *args)
{
	list_go(current_list(ws), 0);
	moved(ws);
}

static void do_last(struct ws *ws, const char *args)
{
	list_go(current_list(ws), -1);
	moved(ws);
}

static void do_centre(struct ws *ws, const char *args)
{
	list_centre(current_list(ws));
	moved(ws);
}

static void do_screen(struct ws *ws, const char *args)
{
	static const char *const names[] = {"library", "queue", "help"};

	for (int i = 0; i < N_SCREENS; i++)
		if (!strcmp(args, names[i])) {
			ws_show(ws, (enum ws_screen)i);
			return;
		}
	ws_say(ws, "there is no screen '%.40s'; there are library, queue and help", args);
	ws->is_error = true;
}

static void do_close(struct ws *ws, const char *args)
{
	if (ws->screen == SCREEN_HELP)
		ws_show(ws, ws->help.of);
	else if (ws->screen != SCREEN_LIBRARY)
		ws_show(ws, SCREEN_LIBRARY);
	else
		ws->has_ended = true;
}

static void do_quit(struct ws *ws, const char *args)
{
	ws->has_ended = true;
}

static void do_command(struct ws *ws, const char *args)
{
	ws_input(ws, INPUT_COMMAND, args);
}

static void do_filter(struct ws *ws, const char *args)
{
	ws_show(ws, SCREEN_LIBRARY);
	if (*args) {
		line_edit_set(&ws->takes.filter, args);
		list_go(&ws->takes.list, 0);
		moved(ws);
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

static void do_clear(struct ws *ws, const char *args)
{
	ws_say(ws, "%s", "");
	if (ws->screen != SCREEN_LIBRARY || !ws->takes.filter.text.n)
		return;
	line_edit_set(&ws->takes.filter, "");
	moved(ws);
}

static void do_sort(struct ws *ws, const char *args)
{
	static const char *const names[] = {"newest", "oldest", "rating", "length", "loudest"};
	int n = sizeof(names) / sizeof(*names), to = -1;

	for (int i = 0; i < n; i++)
		if (!strcmp(args, names[i]))
			to = i;
	if (to < 0 && *args) {
		ws_say(ws, "lists are sorted by newest, oldest, rating, length or loudest");
		ws->is_error = true;
		return;
	}
	ws->takes.order = (enum takes_order)(to < 0 ? ((int)ws->takes.order + 1) % n : to);
	list_go(&ws->takes.list, 0);
	ws_say(ws, "sorted by %s", names[ws->takes.order]);
	moved(ws);
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
static void queue_prompt(struct ws *ws, const char *prompt, const char *model)
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
		ws_say(ws, "no model is installed; woodshed pull musicgen-small fetches one");
		ws->is_error = true;
	} else {
		queue_prompt(ws, args, ws->model);
	}
}

static void do_again(struct ws *ws, const char *args)
{
	const struct take *t = view_library_selected(ws);

	if (t)
		queue_prompt(ws, t->prompt, t->model);
}

/* ---- takes */

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

	if (!number(ws, args, 0, 5, &stars))
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

static void undo(struct ws *ws,
	int (*change)(struct db *, struct arena *, const char **, struct err *), const char *what,
	const char *none)
{
	struct arena a = {0};
	struct err e = {0};
	const char *label;

	if (change(ws->db, &a, &label, &e))
		ws_fail(ws, &e);
	else if (label)
		ws_say(ws, "%s: %s", what, label);
	else
		ws_say(ws, "%s", none);
	arena_done(&a);
	ws_changed(ws);
}

static void do_undo(struct ws *ws, const char *args)
{
	undo(ws, takes_undo, "taken back", "there is nothing to take back");
}

static void do_redo(struct ws *ws, const char *args)
{
	undo(ws, takes_redo, "done again", "there is nothing to do again");
}

/* ---- listening */

static void play_selected(struct ws *ws)
{
	const struct take *t = view_library_selected(ws);
	struct str path = {0};
	struct err e = {0};

	if (!t)
		return;
	str_printf(&path, "%s/%s", ws->library, t->file);
	str_clear(&ws->title);
	str_add(&ws->title, t->prompt);
	if (listen_play(ws->listen, str_get(&path), t->id, &e))
		ws_fail(ws, &e);
	ws->dirty |= DIRTY_NOW;
	str_done(&path);
}

/* Another take under the cursor is played; the same one is paused, or goes on. */
static void do_play(struct ws *ws, const char *args)
{
	const struct take *t = view_library_selected(ws);
	struct listen_view v;

	listen_read(ws->listen, &v);
	if (ws->screen == SCREEN_LIBRARY && t && t->id != v.take)
		play_selected(ws);
	else
		listen_pause(ws->listen);
	ws->dirty |= DIRTY_NOW;
}

static void do_play_take(struct ws *ws, const char *args)
{
	play_selected(ws);
}

static void do_stop(struct ws *ws, const char *args)
{
	listen_stop(ws->listen);
	ws->dirty |= DIRTY_NOW;
}

static void do_seek(struct ws *ws, const char *args)
{
	double by;

	if (!parse_f64(args, &by) || fabs(by) > 1e6) {
		ws_say(ws, "'%.40s' is no number of seconds, such as 5 or -5", args);
		ws->is_error = true;
		return;
	}
	listen_seek(ws->listen, by);
	ws->dirty |= DIRTY_NOW;
}

static void do_volume(struct ws *ws, const char *args)
{
	int64_t by;

	if (!number(ws, args, -100, 100, &by))
		return;
	ws->percent += (int)by;
	ws->percent = ws->percent < 0 ? 0 : ws->percent > 100 ? 100 : ws->percent;
	listen_volume(ws->listen, ws->percent);
	ws->dirty |= DIRTY_NOW;
}

/* ---- jobs */

static void job_ended(struct ws *ws, int rc, struct err *e, const char *text)
{
	if (rc)
		ws_fail(ws, e);
	else
		ws_say(ws, "%s", text);
	ws_changed(ws);
}

static void do_cancel(struct ws *ws, const char *args)
{
	const struct job *j = view_queue_selected(ws);
	struct err e = {0};
	bool at_work = false;
	int rc;

	if (!j)
		return;
	rc = jobs_cancel(ws->db, j->id, clock_unix_ms(), &at_work, &e);
	job_ended(ws, rc, &e, at_work ? "stopping" : "cancelled · R queues it again");
}

static void do_retry(struct ws *ws, const char *args)
{
	const struct job *j = view_queue_selected(ws);
	struct err e = {0};

	if (j)
		job_ended(ws, jobs_retry(ws->db, j->id, &e), &e, "queued again");
}

static void do_raise(struct ws *ws, const char *args)
{
	const struct job *j = view_queue_selected(ws);
	struct err e = {0};

	if (j)
		job_ended(ws, jobs_move(ws->db, j->id, JOB_UP, &e), &e, "");
	list_move(&ws->queue.list, -1);
}

static void do_lower(struct ws *ws, const char *args)
{
	const struct job *j = view_queue_selected(ws);
	struct err e = {0};

	if (j)
		job_ended(ws, jobs_move(ws->db, j->id, JOB_DOWN, &e), &e, "");
	list_move(&ws->queue.list, 1);
}

static void do_pause(struct ws *ws, const char *args)
{
	struct err e = {0};
	bool to = !ws->is_paused;

	job_ended(ws, queue_pause(ws->db, to, &e), &e,
		to ? "paused: nothing is begun until p" : "the queue goes on");
}

static void do_redraw(struct ws *ws, const char *args);

/* ---- the table ---------------------------------------------------------- */

enum { ON_ANY = 1 << N_SCREENS, ON_LIBRARY = 1 << SCREEN_LIBRARY, ON_QUEUE = 1 << SCREEN_QUEUE };

static const struct command {
	const char *name, *args; /* args: what it takes, for the help; "" none */
	const char *help;
	void (*run)(struct ws *ws, const char *args);
	bool needs_args;
} table[] = {
	{"move", "ROWS", "move the cursor down, or up by a negative number", do_move, true},
	{"page", "PAGES", "move by pages: 1, -1, 0.5", do_page, true},
	{"first", "", "go to the first row", do_first, false},
	{"last", "", "go to the last row", do_last, false},
	{"centre", "", "put the cursor's row in the middle", do_centre, false},
	{"screen", "NAME", "show library, queue or help", do_screen, true},
	{"close", "", "leave this screen; on the library, leave woodshed", do_close, false},
	{"quit", "", "leave woodshed; jobs go on", do_quit, false},
	{"command", "[TEXT]", "type a command", do_command, false},
	{"filter", "[FILTER]", "narrow the list while you type", do_filter, false},
	{"saved-filter", "[NAME]", "a filter that was saved", do_saved_filter, false},
	{"save-filter", "NAME", "save the filter that is set", do_save_filter, true},
	{"forget-filter", "NAME", "forget a filter that was saved", do_forget_filter, true},
	{"clear", "", "clear message and filter", do_clear, false},
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
	{"undo", "", "take the last change back", do_undo, false},
	{"redo", "", "do it again", do_redo, false},
	{"play", "", "play this take; the one that is played: pause, go on", do_play, false},
	{"play-take", "", "play this take from its beginning", do_play_take, false},
	{"stop", "", "stop", do_stop, false},
	{"seek", "SECONDS", "go forward, or back by a negative number", do_seek, true},
	{"volume", "PERCENT", "louder, or softer by a negative number", do_volume, true},
	{"cancel", "", "cancel the job", do_cancel, false},
	{"retry", "", "queue the job again", do_retry, false},
	{"raise", "", "the job goes before the one above", do_raise, false},
	{"lower", "", "the job goes after the one below", do_lower, false},
	{"pause", "", "pause the queue, or let it go on", do_pause, false},
	{"redraw", "", "draw the screen anew", do_redraw, false},
};

enum { N_COMMANDS = sizeof(table) / sizeof(*table) };

static const struct binding {
	unsigned on;
	const char *keys, *command;
} bindings[] = {
	{ON_ANY, "1", "screen library"},
	{ON_ANY, "3", "screen queue"},
	{ON_ANY, "j", "move 1"},
	{ON_ANY, "<Down>", "move 1"},
	{ON_ANY, "k", "move -1"},
	{ON_ANY, "<Up>", "move -1"},
	{ON_ANY, "^D", "page 0.5"},
	{ON_ANY, "^U", "page -0.5"},
	{ON_ANY, "<PgDn>", "page 1"},
	{ON_ANY, "^F", "page 1"},
	{ON_ANY, "<PgUp>", "page -1"},
	{ON_ANY, "^B", "page -1"},
	{ON_ANY, "gg", "first"},
	{ON_ANY, "<Home>", "first"},
	{ON_ANY, "G", "last"},
	{ON_ANY, "<End>", "last"},
	{ON_ANY, "zz", "centre"},
	{ON_LIBRARY, "/", "filter"},
	{ON_LIBRARY, "F", "saved-filter"},
	{ON_ANY, "<Esc>", "clear"},
	{ON_LIBRARY, "S", "sort"},
	{ON_ANY, "i", "new"},
	{ON_LIBRARY, "e", "edit"},
	{ON_LIBRARY, "r", "again"},
	{ON_LIBRARY, "f", "favourite"},
	{ON_LIBRARY, "t", "tag"},
	{ON_LIBRARY, "D", "trash"},
	{ON_LIBRARY, "<Del>", "trash"},
	{ON_ANY, "<Space>", "play"},
	{ON_LIBRARY, "<Enter>", "play-take"},
	{ON_ANY, "s", "stop"},
	{ON_ANY, ",", "seek -5"},
	{ON_ANY, ".", "seek 5"},
	{ON_ANY, "<lt>", "seek -30"},
	{ON_ANY, ">", "seek 30"},
	{ON_ANY, "+", "volume 5"},
	{ON_ANY, "=", "volume 5"},
	{ON_ANY, "-", "volume -5"},
	{ON_ANY, "u", "undo"},
	{ON_ANY, "^R", "redo"},
	{ON_QUEUE, "x", "cancel"},
	{ON_QUEUE, "R", "retry"},
	{ON_QUEUE, "K", "raise"},
	{ON_QUEUE, "J", "lower"},
	{ON_QUEUE, "p", "pause"},
	{ON_ANY, ":", "command"},
	{ON_ANY, "?", "screen help"},
	{ON_ANY, "<F1>", "screen help"},
	{ON_ANY, "^L", "redraw"},
	{ON_ANY, "q", "close"},
	{ON_ANY, "Q", "quit"},
};

enum { N_BINDINGS = sizeof(bindings) / sizeof(*bindings) };

static void do_redraw(struct ws *ws, const char *args)
{
	ws->dirty = DIRTY_ALL;
	ws_changed(ws);
}

/* ---- commands by name --------------------------------------------------- */

static const struct command *find(const char *name, size_t n)
{
	for (size_t i = 0; i < N_COMMANDS; i++)
		if (strlen(table[i].name) == n && !memcmp(table[i].name, name, n))
			return &table[i];
	return NULL;
}

void commands_run(struct ws *ws, const char *text)
{
	const char *args;
	const struct command *c;
	size_t n;

	text += strspn(text, " ");
	n = strcspn(text, " ");
	if (!n)
		return;
	c = find(text, n);
	args = text + n + strspn(text + n, " ");
	if (c && !(c->needs_args && !*args)) {
		c->run(ws, args);
		return;
	}
	if (c)
		ws_say(ws, "%s wants %s: %s", c->name, c->args, c->help);
	else
		ws_say(ws, "there is no command '%.*s'; ? lists them", (int)(n < 40 ? n : 40),
			text);
	ws->is_error = true;
}

/* ---- keys --------------------------------------------------------------- */

static bool holds_on(const struct binding *b, enum ws_screen screen)
{
	return b->on & (ON_ANY | 1u << screen);
}

/* A screen's own keys come before those of all. */
static const struct binding *match(
	enum ws_screen screen, const struct chord *typed, bool *ret_begins)
{
	const struct binding *found = NULL;

	*ret_begins = false;
	for (size_t i = 0; i < N_BINDINGS; i++) {
		const struct binding *b = &bindings[i];
		struct chord c;

		if (!holds_on(b, screen) || chord_parse(b->keys, &c, NULL))
			continue;
		*ret_begins |= chord_begins(typed, &c);
		if (chord_equal(typed, &c) && (!found || found->on & ON_ANY))
			found = b;
	}
	return found;
}

void commands_key(struct ws *ws, uint32_t key)
{
	const struct binding *b;
	bool begins;

	ws->typed.keys[ws->typed.n++] = key;
	b = match(ws->screen, &ws->typed, &begins);
	if (begins && ws->typed.n < CHORD_MAX) {
		ws->dirty |= DIRTY_FOOT;
		return;
	}
	ws->typed.n = 0;
	ws->dirty |= DIRTY_FOOT;
	if (b)
		commands_run(ws, b->command);
}

/* ---- help --------------------------------------------------------------- */

static const struct command *command_of(const struct binding *b)
{
	return find(b->command, strcspn(b->command, " "));
}

/* The keys that call the very same as `b` does. */
static const char *all_keys(const struct binding *b, enum ws_screen screen, struct arena *a)
{
	struct str keys = {0};
	const char *text;

	for (size_t i = 0; i < N_BINDINGS; i++)
		if (holds_on(&bindings[i], screen) && !strcmp(bindings[i].command, b->command))
			str_printf(&keys, "%s%s", keys.n ? " " : "", bindings[i].keys);
	text = arena_strdup(a, str_get(&keys));
	str_done(&keys);
	return text;
}

static bool is_first(const struct binding *b, enum ws_screen screen)
{
	for (const struct binding *before = bindings; before < b; before++)
		if (holds_on(before, screen) && !strcmp(before->command, b->command))
			return false;
	return true;
}

size_t commands_help(enum ws_screen screen, struct arena *a, const struct help_line **ret)
{
	struct help_line *lines = ARENA_ARRAY(a, struct help_line, N_BINDINGS + N_COMMANDS);
	size_t n = 0;

	/* The screen's own keys first. */
	for (size_t i = 0; i < 2 * N_BINDINGS; i++) {
		const struct binding *b = &bindings[i % N_BINDINGS];

		if (!(b->on & ON_ANY) == (i < N_BINDINGS) && holds_on(b, screen) &&
			is_first(b, screen))
			lines[n++] = (struct help_line){
				all_keys(b, screen, a), b->command, command_of(b)->help};
	}
	for (size_t i = 0; i < N_COMMANDS; i++) {
		bool has_key = false;

		for (size_t j = 0; j < N_BINDINGS; j++)
			has_key |= command_of(&bindings[j]) == &table[i];
		if (!has_key)
			lines[n++] = (struct help_line){"",
				arena_printf(a, "%s %s", table[i].name, table[i].args),
				table[i].help};
	}
	*ret = lines;
	return n;
}

const char *commands_hints(enum ws_screen screen)
{
	switch (screen) {
	case SCREEN_LIBRARY:
		return "i new  Space play  / filter  r again  f favourite  D trash  u undo  ? keys";
	case SCREEN_QUEUE:
		return "x cancel  R retry  J K reorder  p pause  i new  1 library  ? keys";
	default:
		return "q back";
	}
}
