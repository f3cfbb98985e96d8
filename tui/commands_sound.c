/* Listening. */
#include <math.h>
#include <stdlib.h>

#include "tui/listen.h"
#include "tui/ws.h"

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
		ws_complain(ws, "'%.40s' is no number of seconds, such as 5 or -5", args);
		return;
	}
	listen_seek(ws->listen, by);
	ws->dirty |= DIRTY_NOW;
}

static void do_volume(struct ws *ws, const char *args)
{
	int64_t by;

	if (!commands_number(ws, args, -100, 100, &by))
		return;
	ws->percent += (int)by;
	ws->percent = ws->percent < 0 ? 0 : ws->percent > 100 ? 100 : ws->percent;
	listen_volume(ws->listen, ws->percent);
	ws->dirty |= DIRTY_NOW;
}

static const struct command commands[] = {
	{"play", "", "play this take; the one that is played: pause, go on", do_play, false},
	{"play-take", "", "play this take from its beginning", do_play_take, false},
	{"stop", "", "stop", do_stop, false},
	{"seek", "SECONDS", "go forward, or back by a negative number", do_seek, true},
	{"volume", "PERCENT", "louder, or softer by a negative number", do_volume, true},
};

static const struct binding bindings[] = {
	{ON_ANY, "<Space>", "play"},
	{1 << SCREEN_LIBRARY, "<Enter>", "play-take"},
	{ON_ANY, "s", "stop"},
	{ON_ANY, ",", "seek -5"},
	{ON_ANY, ".", "seek 5"},
	{ON_ANY, "<lt>", "seek -30"},
	{ON_ANY, ">", "seek 30"},
	{ON_ANY, "+", "volume 5"},
	{ON_ANY, "=", "volume 5"},
	{ON_ANY, "-", "volume -5"},
};

const struct command_table commands_sound = COMMAND_TABLE(commands, bindings);
