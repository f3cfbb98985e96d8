/* What the list of takes is of, and how it is folded. */
#include <stdlib.h>
#include <string.h>

#include "library/base/arena.h"
#include "library/base/clock.h"
#include "library/db.h"
#include "library/filters.h"
#include "tui/background.h"
#include "tui/listen.h"
#include "tui/ws.h"

/* ---- filters ------------------------------------------------------------ */

static void do_filter(struct ws *ws, const char *args)
{
	struct library_view *v;

	if (ws->screen != SCREEN_TRASH)
		ws_show(ws, SCREEN_LIBRARY);
	v = library_shown(ws);
	if (*args) {
		line_edit_set(&v->filter, args);
		ws_moved(ws);
		return;
	}
	ws->filtered = v;
	str_clear(&ws->before);
	str_add(&ws->before, str_get(&v->filter.text));
	ws_input(ws, INPUT_FILTER, str_get(&v->filter.text));
	ws_read_ahead(ws);
}

/* Kept, or forgotten, by the writer. */
struct filter_change {
	struct task task;
	char *name, *text; /* text NULL: it is forgotten */
};

static int change_filter(struct db *db, struct task *t, struct err *e)
{
	const struct filter_change *c = (struct filter_change *)t;

	return c->text ? filters_save(db, c->name, c->text, clock_unix_ms(), e)
		       : filters_remove(db, c->name, e);
}

static void end_filter(struct ws *ws, struct task *t, int rc, struct err *e)
{
	struct filter_change *c = (struct filter_change *)t;

	if (rc)
		ws_fail(ws, e);
	else if (c->text)
		ws_say(ws, "saved; F and %s brings it back", c->name);
	else
		ws_say(ws, "forgotten");
	free(c->name);
	free(c->text);
	free(c);
}

static void begin_filter(struct ws *ws, const char *name, const char *text)
{
	struct filter_change *c = xcalloc(1, sizeof(*c));

	c->task.run = change_filter;
	c->task.end = end_filter;
	c->name = xstrdup(name);
	c->text = text ? xstrdup(text) : NULL;
	background_do(ws->writer, &c->task);
}

static void do_save_filter(struct ws *ws, const char *args)
{
	begin_filter(ws, args, str_get(&ws->takes.filter.text));
}

static void do_forget_filter(struct ws *ws, const char *args)
{
	begin_filter(ws, args, NULL);
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
		ws_say(ws, "%s", "");
		do_filter(ws, text);
	} else if (!n) {
		ws_say(ws, "no filter is saved; :save-filter NAME keeps the one that is set");
	} else {
		for (size_t i = 0; i < n; i++)
			str_printf(&names, " %s", list[i].name);
		ws_input_words(ws, "saved-filter", "", NULL);
		ws_say(ws, "saved:%s", str_get(&names));
	}
	str_done(&names);
	arena_done(&a);
}

/* ---- what the list is of ------------------------------------------------ */

static const char *const orders[] = {"newest", "oldest", "rating", "length", "loudest", "score"};

enum { N_ORDERS = sizeof(orders) / sizeof(*orders) };

static void complete_sort(struct ws *ws, const char *args, struct words *out)
{
	for (int i = 0; i < N_ORDERS; i++)
		words_add(out, orders[i]);
}

/* The same order again is the other way round; without a name, the next one. */
static void do_sort(struct ws *ws, const char *args)
{
	struct library_view *v = library_shown(ws);
	int to = -1;

	for (int i = 0; i < N_ORDERS; i++)
		if (!strcmp(args, orders[i]))
			to = i;
	if (to < 0 && *args) {
		ws_complain(
			ws, "lists are sorted by newest, oldest, rating, length, loudest or score");
		return;
	}
	if (to < 0)
		to = ((int)v->order + 1) % N_ORDERS;
	v->is_reversed = to == (int)v->order && !v->is_reversed;
	v->order = (enum takes_order)to;
	ws_say(ws, "%s first", library_order(v));
	ws_moved(ws);
}

static void do_flat(struct ws *ws, const char *args)
{
	struct library_view *v = library_shown(ws);

	v->is_flat = !v->is_flat;
	ws_say(ws, "%s", v->is_flat ? "takes, one by one" : "prompts and their takes");
	ws_moved(ws);
}

/* ---- folding ------------------------------------------------------------ */

static void fold(struct ws *ws, bool open)
{
	struct library_view *v = library_now(ws);
	const int64_t row = v ? v->list.cursor : 0;
	const int64_t parent = v ? tree_parent(&v->tree, row) : -1;
	const int64_t prompt = v ? tree_prompt(&v->tree, row) : 0;

	if (!prompt)
		return;
	if (!open && parent >= 0) { /* from a take to its prompt, then it folds */
		list_go(&v->list, parent);
	} else {
		if (open)
			ids_add(&v->open, &prompt, 1);
		else
			ids_remove(&v->open, &prompt, 1);
		library_unfold(v);
	}
	ws_moved(ws);
}

static void do_unfold(struct ws *ws, const char *args)
{
	fold(ws, true);
}

static void do_fold(struct ws *ws, const char *args)
{
	fold(ws, false);
}

static void fold_all(struct ws *ws, bool open)
{
	struct library_view *v = library_now(ws);
	int64_t *prompts;
	size_t n = 0;

	if (!v)
		return;
	prompts = xcalloc(v->tree.n_groups + 1, sizeof(*prompts));
	for (size_t i = 0; i < v->tree.n_groups; i++)
		if (v->tree.groups[i].n > 1)
			prompts[n++] = v->tree.groups[i].prompt;
	if (open)
		ids_add(&v->open, prompts, n);
	else
		ids_clear(&v->open);
	free(prompts);
	library_unfold(v);
	ws_moved(ws);
}

static void do_unfold_all(struct ws *ws, const char *args)
{
	fold_all(ws, true);
}

static void do_fold_all(struct ws *ws, const char *args)
{
	fold_all(ws, false);
}

/* A prompt unfolds or folds, a take is played. */
static void do_open(struct ws *ws, const char *args)
{
	struct library_view *v = library_now(ws);
	const int64_t row = v ? v->list.cursor : 0;

	if (!v || row >= (int64_t)v->tree.n_rows)
		return;
	switch (v->tree.rows[row].kind) {
	case TREE_PROMPT:
		fold(ws, !v->tree.groups[v->tree.rows[row].group].is_open);
		break;
	case TREE_JOB:
		commands_run(ws, "log");
		break;
	default:
		commands_run(ws, "play-take");
	}
}

static void do_go_playing(struct ws *ws, const char *args)
{
	struct listen_view playing;

	listen_read(ws->listen, &playing);
	if (!playing.take) {
		ws_refuse(ws, "nothing is played; Space plays the take under the cursor");
		return;
	}
	if (comparing_hidden(ws, playing.take)) {
		ws_say(ws, "which is which is hidden; Enter on Compare chooses what you hear");
		return;
	}
	library_show_take(ws, playing.take);
}

static const struct command commands[] = {
	{"filter", "[FILTER]", "narrow the list while you type", do_filter, false},
	{"saved-filter", "[NAME]", "a filter that was saved", do_saved_filter, false},
	{"save-filter", "NAME", "save the filter that is set", do_save_filter, true},
	{"forget-filter", "NAME", "forget a filter that was saved", do_forget_filter, true},
	{"sort", "[ORDER]", "what comes first; again: the other way", do_sort, false,
		complete_sort},
	{"flat", "", "takes one by one, or under their prompts", do_flat, false},
	{"open", "", "unfold or fold the prompt, play the take", do_open, false},
	{"unfold", "", "show the takes of the prompt", do_unfold, false},
	{"fold", "", "hide the takes of the prompt", do_fold, false},
	{"unfold-all", "", "show the takes of all prompts", do_unfold_all, false},
	{"fold-all", "", "hide the takes of all prompts", do_fold_all, false},
	{"go-playing", "", "go to what is played", do_go_playing, false},
};

enum { LISTS = 1 << SCREEN_LIBRARY | 1 << SCREEN_TRASH };

static const struct binding bindings[] = {
	{1 << SCREEN_LIBRARY, "<Enter>", "open"},
	{LISTS, "/", "filter"},
	{1 << SCREEN_LIBRARY, "F", "saved-filter"},
	{LISTS, "Sn", "sort newest"},
	{LISTS, "So", "sort oldest"},
	{LISTS, "Sr", "sort rating"},
	{LISTS, "Sl", "sort length"},
	{LISTS, "Su", "sort loudest"},
	{LISTS, "Sc", "sort score"},
	{LISTS, "SS", "sort"},
	{LISTS, "l", "unfold"},
	{LISTS, "<Right>", "unfold"},
	{LISTS, "h", "fold"},
	{LISTS, "<Left>", "fold"},
	{LISTS, "zR", "unfold-all"},
	{LISTS, "zM", "fold-all"},
	{LISTS, "zp", "flat"},
	{ON_ANY, "gp", "go-playing"},
};

const struct command_table commands_library = COMMAND_TABLE(commands, bindings);
