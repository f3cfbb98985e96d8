/* What is done on the Compare screen. */
#include <stdio.h>
#include <string.h>

#include "tui/view_compare.h"
#include "tui/ws.h"

/* Of a single take: all of its prompt's. */
static size_t companions(struct ws *ws, const int64_t **ret)
{
	const struct tree *t = &ws->takes.tree;
	const int64_t row = ws->takes.list.cursor, prompt = tree_parent(t, row);

	return prompt < 0 ? 0 : tree_takes(t, prompt, ret);
}

static const char mark_several[] =
	"mark two to four takes with m, or go to a prompt that has several";

static void compare(struct ws *ws, const int64_t *takes, size_t n)
{
	struct err e = {0};

	if (n < 2) {
		ws_say(ws, "%s", mark_several);
	} else if (comparing_begin(ws, takes, n, &e)) {
		ws_fail(ws, &e);
	} else {
		ws_show(ws, SCREEN_COMPARE);
		if (n > MIXER_SLOTS)
			ws_say(ws, "the first %d of %zu; marks choose others", MIXER_SLOTS, n);
	}
}

static void do_compare(struct ws *ws, const char *args)
{
	struct arena a = {0};
	const int64_t *takes;
	const size_t n = ws_targets(ws, &a, &takes, mark_several);

	if (n == 1 && ws->screen == SCREEN_LIBRARY) {
		const size_t n_all = companions(ws, &takes);

		compare(ws, takes, n_all);
	} else if (n) {
		compare(ws, takes, n);
	}
	arena_done(&a);
}

/* A number of places on, or a letter. */
static void do_swap(struct ws *ws, const char *args)
{
	const struct comparing *c = &ws->comparing;
	const int n = c->n;
	const int from = c->has_wish ? c->wish : c->heard;
	int64_t by = 1;

	if (!n)
		ws_refuse(ws, "nothing is compared; mark takes in the library, then C");
	else if (*args >= 'A' && *args < 'A' + n && !args[1])
		comparing_switch(ws, *args - 'A');
	else if (*args >= 'A' && *args < 'A' + MIXER_SLOTS && !args[1])
		ws_say(ws, "there is no %c; these are A to %c", *args, 'A' + n - 1);
	else if (!*args || commands_number(ws, args, 1 - n, n - 1, &by))
		comparing_switch(ws, (int)((from + by + n) % n));
}

static void do_blind(struct ws *ws, const char *args)
{
	if (ws->comparing.n < 2) {
		ws_refuse(ws, "nothing is compared; mark takes in the library, then C");
		return;
	}
	comparing_hide(ws, !ws->comparing.is_blind);
	ws_say(ws, ws->comparing.is_blind ? "which is which is hidden; Enter chooses what you hear"
					  : "which is which is shown again, nothing was chosen");
}

static void do_choose(struct ws *ws, const char *args)
{
	struct comparing *c = &ws->comparing;
	char label[64];

	if (!c->n) {
		ws_refuse(ws, "nothing is compared; mark takes in the library, then C");
		return;
	}
	snprintf(label, sizeof(label), "chose %c: kept%s", 'A' + c->heard,
		c->is_blind ? ", chosen blind" : "");
	ws_edit(ws, &c->at[c->heard].take, 1, "verdict", "kept", label);
	if (c->is_blind)
		comparing_hide(ws, false);
}

static const struct command commands[] = {
	{"compare", "", "compare the marked takes, or the prompt's, equally loud", do_compare,
		false},
	{"swap", "[N|A-D]", "hear the next one at the same position, or that one", do_swap, false},
	{"blind", "", "hide which is which, shuffled, or show it", do_blind, false},
	{"choose", "", "keep the take that is heard, and show which it is", do_choose, false},
};

static const struct binding bindings[] = {
	{ON_ANY, "5", "screen compare"},
	{1 << SCREEN_LIBRARY, "C", "compare"},
	{1 << SCREEN_RACE, "a", "compare"},
	{1 << SCREEN_COMPARE, "a", "swap"},
	{1 << SCREEN_COMPARE, "j", "swap 1"},
	{1 << SCREEN_COMPARE, "k", "swap -1"},
	{1 << SCREEN_COMPARE, "<Down>", "swap 1"},
	{1 << SCREEN_COMPARE, "<Up>", "swap -1"},
	{1 << SCREEN_COMPARE, "A", "swap A"},
	{1 << SCREEN_COMPARE, "B", "swap B"},
	{1 << SCREEN_COMPARE, "C", "swap C"},
	{1 << SCREEN_COMPARE, "D", "swap D"},
	{1 << SCREEN_COMPARE, "b", "blind"},
	{1 << SCREEN_COMPARE, "<Enter>", "choose"},
	{1 << SCREEN_COMPARE, "h", "seek -1"},
	{1 << SCREEN_COMPARE, "l", "seek 1"},
	{1 << SCREEN_COMPARE, "<Left>", "seek -1"},
	{1 << SCREEN_COMPARE, "<Right>", "seek 1"},
	{1 << SCREEN_COMPARE, "0", "seek-to 0"},
	{1 << SCREEN_COMPARE, "$", "seek-to end"},
	{1 << SCREEN_COMPARE, "r", "again"},
	{1 << SCREEN_COMPARE, "<Del>", "trash"},
};

const struct command_table commands_compare = COMMAND_TABLE(commands, bindings);
