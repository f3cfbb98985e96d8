/* Triage: what becomes of a take; its keys lie under the left hand. */
#include <stdio.h>

#include "library/base/clock.h"
#include "tui/listen.h"
#include "tui/view_triage.h"
#include "tui/ws.h"

static void do_triage(struct ws *ws, const char *args)
{
	triage_begin(ws);
	ws_show(ws, SCREEN_TRIAGE);
}

/* False, with a message: no take has its turn. */
static bool has_turn(struct ws *ws)
{
	if (triage_take(ws))
		return true;
	ws_say(ws, "no take is waiting for a verdict; gn goes through what nobody has heard");
	return false;
}

static void judge(struct ws *ws, const char *field, const char *value, const char *what)
{
	const int64_t take = triage_take(ws);
	char label[96];

	snprintf(label, sizeof(label), "%s %.60s", what, str_get(&ws->triage.prompt));
	ws_edit(ws, &take, 1, field, value, label);
	sound_heard(ws, take);
	triage_go(ws, 1);
}

static void do_keep(struct ws *ws, const char *args)
{
	if (!has_turn(ws))
		return;
	triage_judge(ws, TRIAGE_KEPT);
	judge(ws, "verdict", "kept", "kept");
}

static void do_drop(struct ws *ws, const char *args)
{
	char now[32];

	if (!has_turn(ws))
		return;
	triage_judge(ws, TRIAGE_DROPPED);
	snprintf(now, sizeof(now), "%lld", (long long)clock_unix_ms());
	judge(ws, "trashed", now, "dropped");
}

static void do_redo(struct ws *ws, const char *args)
{
	if (!has_turn(ws))
		return;
	triage_judge(ws, TRIAGE_AGAIN);
	commands_run(ws, "again");
	sound_heard(ws, triage_take(ws));
	triage_go(ws, 1);
}

static void do_skip(struct ws *ws, const char *args)
{
	if (has_turn(ws))
		triage_go(ws, 1);
}

static void do_back(struct ws *ws, const char *args)
{
	if (has_turn(ws))
		triage_go(ws, -1);
}

/* A verdict is one action of the undo log, a job that waits for `again` included. */
static void do_take_back(struct ws *ws, const char *args)
{
	if (triage_take_back(ws))
		commands_run(ws, "undo");
	else
		ws_say(ws, "no verdict was given yet that could be taken back");
}

static void do_whole(struct ws *ws, const char *args)
{
	if (!has_turn(ws))
		return;
	commands_run(ws, "loop-clear");
	commands_run(ws, "seek-to 0");
}

static const struct command commands[] = {
	{"triage", "", "hear the liveliest 10 s of each take that nobody has heard", do_triage,
		false},
	{"keep", "", "keep this one, and go on (triage)", do_keep, false},
	{"drop", "", "to the trash with it, and go on (triage)", do_drop, false},
	{"once-more", "", "make it again with a new seed, and go on (triage)", do_redo, false},
	{"skip", "", "go on, and leave it as it is (triage)", do_skip, false},
	{"back", "", "go back to the one before (triage)", do_back, false},
	{"take-back", "", "take the last verdict back, and go back to it (triage)", do_take_back,
		false},
	{"whole", "", "all of the take, from its beginning (triage)", do_whole, false},
};

static const struct binding bindings[] = {
	{ON_ANY, "gn", "triage"},
	{1 << SCREEN_TRIAGE, "f", "keep"},
	{1 << SCREEN_TRIAGE, "d", "drop"},
	{1 << SCREEN_TRIAGE, "r", "once-more"},
	{1 << SCREEN_TRIAGE, "s", "skip"},
	{1 << SCREEN_TRIAGE, "b", "back"},
	{1 << SCREEN_TRIAGE, "x", "whole"},
	{1 << SCREEN_TRIAGE, "z", "take-back"},
	{1 << SCREEN_TRIAGE, "u", "take-back"},
};

const struct command_table commands_triage = COMMAND_TABLE(commands, bindings);
