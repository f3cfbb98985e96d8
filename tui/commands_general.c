/* What holds on every screen: moving, screens, the `:` line, undo. */
#include <stdio.h>
#include <string.h>

#include "library/base/clock.h"
#include "library/db.h"
#include "tui/ws.h"

static void do_move(struct ws *ws, const char *args)
{
	int64_t by;

	if (!commands_number(ws, args, -1000000000, 1000000000, &by))
		return;
	list_move(views[ws->screen]->list(ws), by);
	ws_moved(ws);
}

static void do_page(struct ws *ws, const char *args)
{
	double pages;

	if (!parse_f64(args, &pages) || !(pages >= -1000 && pages <= 1000)) {
		ws_complain(ws, "'%.40s' is no number of pages, such as 1 or -0.5", args);
		return;
	}
	list_page(views[ws->screen]->list(ws), pages);
	ws_moved(ws);
}

static void do_first(struct ws *ws, const char *args)
{
	list_go(views[ws->screen]->list(ws), 0);
	ws_moved(ws);
}

static void do_last(struct ws *ws, const char *args)
{
	list_go(views[ws->screen]->list(ws), -1);
	ws_moved(ws);
}

static void do_centre(struct ws *ws, const char *args)
{
	list_centre(views[ws->screen]->list(ws));
	ws_moved(ws);
}

static void do_screen(struct ws *ws, const char *args)
{
	struct str names = {0};

	for (int i = 0; i < N_SCREENS; i++)
		if (!strcmp(args, views[i]->name)) {
			ws_show(ws, (enum ws_screen)i);
			return;
		}
	for (int i = 0; i < N_SCREENS; i++)
		str_printf(&names, "%s%s", i ? ", " : "", views[i]->name);
	ws_complain(ws, "there is no screen '%.40s'; there are %s", args, str_get(&names));
	str_done(&names);
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

static void do_clear(struct ws *ws, const char *args)
{
	ws_say(ws, "%s", "");
	if (ws->screen != SCREEN_LIBRARY || !ws->takes.filter.text.n)
		return;
	line_edit_set(&ws->takes.filter, "");
	ws_moved(ws);
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
	{"screen", "NAME", "show library, queue or help", do_screen, true},
	{"close", "", "leave this screen; on the library, leave woodshed", do_close, false},
	{"quit", "", "leave woodshed; jobs go on", do_quit, false},
	{"command", "[TEXT]", "type a command", do_command, false},
	{"clear", "", "clear message and filter", do_clear, false},
	{"undo", "", "take the last change back", do_undo, false},
	{"redo", "", "do it again", do_redo, false},
	{"redraw", "", "draw the screen anew", do_redraw, false},
};

static const struct binding bindings[] = {
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
