/* What holds on every screen: moving, screens, the `:` line, undo. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "library/base/clock.h"
#include "library/db.h"
#include "library/undo.h"
#include "tui/background.h"
#include "tui/view_compose.h"
#include "tui/ws.h"

/* What the cursor moves in; NULL, with a message: it is still being read. */
static struct list *list_now(struct ws *ws)
{
	if (library_has_keys(ws) && !library_now(ws))
		return NULL;
	return views[ws->screen]->list(ws);
}

static void do_move(struct ws *ws, const char *args)
{
	struct list *l;
	int64_t by;

	if (!commands_number(ws, args, -1000000000, 1000000000, &by))
		return;
	l = list_now(ws);
	if (l)
		list_move(l, by);
	ws_moved(ws);
}

static void do_page(struct ws *ws, const char *args)
{
	struct list *l;
	double pages;

	if (!parse_f64(args, &pages) || !(pages >= -1000 && pages <= 1000)) {
		ws_complain(ws, "'%.40s' is no number of pages, such as 1 or -0.5", args);
		return;
	}
	l = list_now(ws);
	if (l)
		list_page(l, pages);
	ws_moved(ws);
}

static void do_first(struct ws *ws, const char *args)
{
	struct list *l = list_now(ws);

	if (l)
		list_go(l, 0);
	ws_moved(ws);
}

static void do_last(struct ws *ws, const char *args)
{
	struct list *l = list_now(ws);

	if (l)
		list_go(l, -1);
	ws_moved(ws);
}

static void do_centre(struct ws *ws, const char *args)
{
	struct list *l = list_now(ws);

	if (l)
		list_centre(l);
	ws_moved(ws);
}

static void do_screen(struct ws *ws, const char *args)
{
	struct str names = {0};

	for (int i = 0; i < N_SCREENS; i++)
		if (!strcmp(args, views[i]->name)) {
			ws_say(ws, "%s", ""); /* it was about the screen before */
			ws_show(ws, (enum ws_screen)i);
			return;
		}
	for (int i = 0; i < N_SCREENS; i++)
		str_printf(&names, "%s%s", i ? ", " : "", views[i]->name);
	ws_complain(ws, "there is no screen '%.40s'; there are %s", args, str_get(&names));
	str_done(&names);
}

/* With a text: what of it fits. */
static void do_help(struct ws *ws, const char *args)
{
	ws_show(ws, SCREEN_HELP);
	line_edit_set(&ws->help.filter, args);
}

static void do_close(struct ws *ws, const char *args)
{
	ws_say(ws, "%s", "");
	if (ws->screen == SCREEN_HELP) {
		const bool is_resting = ws->compose->is_resting;

		ws_show(ws, ws->help.base);
		ws->screen = ws->help.of;
		ws->compose->is_resting = is_resting;
	} else if (ws->screen == SCREEN_LOG) {
		ws_show(ws, ws->log_base);
		ws->screen = ws->log_of;
	} else if (ws->screen != SCREEN_LIBRARY) {
		ws_show(ws, SCREEN_LIBRARY);
	} else if (ws->settings.confirm_quit && ws->n_waiting && !ws->is_paused) {
		ws_ask(ws, "quit", "%lld job%s in the background; leave?", (long long)ws->n_waiting,
			ws->n_waiting == 1 ? " goes on" : "s go on");
	} else {
		ws->has_ended = true;
	}
}

static void do_tab(struct ws *ws, const char *args)
{
	int64_t by;
	int to = (int)ws->base;

	if (!commands_number(ws, args, -1, 1, &by) || !by)
		return;
	do
		to = (to + (int)by + N_SCREENS) % N_SCREENS;
	while (!*views[to]->tab || to == SCREEN_HELP);
	ws_show(ws, (enum ws_screen)to);
	if (to == SCREEN_COMPOSE)
		ws->compose->is_resting = true; /* the next gt goes on, and is not typed */
}

static void do_pane(struct ws *ws, const char *args)
{
	int64_t by;

	if (commands_number(ws, args, -1, 1, &by))
		ws_focus(ws, (int)by);
}

static void complete_screen(struct ws *ws, const char *args, struct words *out)
{
	for (int i = 0; i < N_SCREENS; i++)
		words_add(out, views[i]->name);
}

static void do_quit(struct ws *ws, const char *args)
{
	ws->has_ended = true;
}

static void do_command(struct ws *ws, const char *args)
{
	ws_input(ws, INPUT_COMMAND, args);
}

/* The range, else the marks, else the filter. */
static void do_clear(struct ws *ws, const char *args)
{
	struct library_view *v = library_shown(ws);

	ws_say(ws, "%s", "");
	if (!library_has_keys(ws))
		return;
	if (v->anchor)
		v->anchor = 0;
	else if (v->marks.n)
		library_unmark(v);
	else
		line_edit_set(&v->filter, "");
	ws_moved(ws);
}

struct undoing {
	struct task task;
	bool again;
	struct arena arena;
	struct undone done; /* in the arena */
};

static int undo(struct db *db, struct task *t, struct err *e)
{
	struct undoing *u = (struct undoing *)t;

	return (u->again ? undo_again : undo_back)(db, &u->arena, &u->done, e);
}

void ws_tell_undone(struct ws *ws, const struct undone *d, bool again)
{
	const char *what = again ? "do again" : "take back",
		   *done = again ? "done again" : "taken back";

	if (!d->label)
		ws_say(ws, "there is nothing to %s", what);
	else if (d->n_late && d->n_late == d->n)
		ws_complain(ws, "too late to %s: %s", what, d->label);
	else if (d->n_late)
		ws_say(ws, "%s: %s; for %lld of %lld it was too late", done, d->label,
			(long long)d->n_late, (long long)d->n);
	else
		ws_say(ws, "%s: %s", done, d->label);
}

static void end_undo(struct ws *ws, struct task *t, int rc, struct err *e)
{
	struct undoing *u = (struct undoing *)t;

	if (rc)
		ws_fail(ws, e);
	else
		ws_tell_undone(ws, &u->done, u->again);
	arena_done(&u->arena);
	free(u);
	ws_changed(ws);
}

static void begin_undo(struct ws *ws, bool again)
{
	struct undoing *u = xcalloc(1, sizeof(*u));

	u->task.run = undo;
	u->task.end = end_undo;
	u->again = again;
	background_do(ws->writer, &u->task);
}

static void do_undo(struct ws *ws, const char *args)
{
	begin_undo(ws, false);
}

static void do_redo(struct ws *ws, const char *args)
{
	begin_undo(ws, true);
}

static void do_redraw(struct ws *ws, const char *args)
{
	ws->dirty = DIRTY_ALL;
	ws_changed(ws);
}

static const struct command commands[] = {
	{"move", "ROWS", "move the cursor down, or up by a negative number", do_move, true},
	{"page", "PAGES", "move by pages: 1, -1, 0.5", do_page, true},
	{"first", "", "go to the first row", do_first, false},
	{"last", "", "go to the last row", do_last, false},
	{"centre", "", "put the cursor's row in the middle", do_centre, false},
	{"screen", "NAME", "show a screen", do_screen, true, complete_screen},
	{"help", "[TEXT]", "keys and commands, of those that hold a text", do_help, false},
	{"tab", "1|-1", "the next screen, or the one before", do_tab, true},
	{"pane", "1|-1", "keys go to the next pane, or the one before", do_pane, true},
	{"close", "", "leave this screen; on the library, leave woodshed", do_close, false},
	{"quit", "", "leave woodshed; jobs go on", do_quit, false},
	{"q", "", "leave woodshed; jobs go on", do_quit, false},
	{"command", "[TEXT]", "type a command", do_command, false},
	{"clear", "", "drop the range, else the marks, else the filter", do_clear, false},
	{"undo", "", "take back what was done last", do_undo, false},
	{"redo", "", "do it again", do_redo, false},
	{"redraw", "", "draw the screen anew", do_redraw, false},
};

static const struct binding bindings[] = {
	{ON_ANY, "1", "screen library"},
	{ON_ANY, "3", "screen queue"},
	{ON_ANY, "4", "screen listen"},
	{ON_ANY, "gt", "tab 1"},
	{ON_ANY, "gT", "tab -1"},
	{ON_ANY, "<Tab>", "pane 1"},
	{ON_ANY, "<S-Tab>", "pane -1"},
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
	{ON_ANY, "<Esc>", "clear"},
	{ON_ANY, "u", "undo"},
	{ON_ANY, "^R", "redo"},
	{ON_ANY, ":", "command"},
	{ON_ANY, "?", "screen help"},
	{ON_ANY, "<F1>", "screen help"},
	{ON_ANY, "^L", "redraw"},
	{ON_ANY, "q", "close"},
	{ON_ANY, "Q", "quit"},
};

const struct command_table commands_general = COMMAND_TABLE(commands, bindings);
