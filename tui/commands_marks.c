/* Marks, and what is done to takes: to those that are marked, else to the one under
 * the cursor. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "library/base/clock.h"
#include "library/db.h"
#include "tui/background.h"
#include "tui/listen.h"
#include "tui/ws.h"

/* ---- marks -------------------------------------------------------------- */

static void do_mark(struct ws *ws, const char *args)
{
	struct library_view *v = library_now(ws);
	const int64_t *ids;
	size_t n;

	if (!v)
		return;
	if (v->anchor) {
		library_end_range(v);
	} else {
		n = tree_takes(&v->tree, v->list.cursor, &ids);
		if (library_is_marked(v, v->list.cursor))
			ids_remove(&v->marks, ids, n);
		else
			ids_add(&v->marks, ids, n);
		list_move(&v->list, 1);
	}
	ws_moved(ws);
}

static void do_range(struct ws *ws, const char *args)
{
	struct library_view *v = library_now(ws);

	if (!v)
		return;
	if (v->anchor)
		library_end_range(v);
	else if (v->list.n)
		v->anchor = v->list.cursor + 1;
	ws_moved(ws);
}

static void do_extend(struct ws *ws, const char *args)
{
	struct library_view *v;
	int64_t by;

	if (!commands_number(ws, args, -1000000000, 1000000000, &by))
		return;
	v = library_now(ws);
	if (!v)
		return;
	if (!v->anchor && v->list.n)
		v->anchor = v->list.cursor + 1;
	list_move(&v->list, by);
	ws_moved(ws);
}

static void do_invert(struct ws *ws, const char *args)
{
	struct library_view *v = library_now(ws);

	if (!v)
		return;
	library_end_range(v);
	ids_toggle(&v->marks, v->tree.ids, v->tree.n_ids);
	ws_moved(ws);
}

static void do_unmark(struct ws *ws, const char *args)
{
	library_unmark(library_shown(ws));
	ws_moved(ws);
}

/* ---- what is done to them ----------------------------------------------- */

/* "1 take", "12 takes" */
static const char *takes(size_t n, char out[32])
{
	snprintf(out, 32, "%zu take%s", n, n == 1 ? "" : "s");
	return out;
}

static bool is_on_job(struct ws *ws)
{
	const struct library_view *v = library_shown(ws);
	const struct library_row *row = library_row_at(v, v->list.cursor);

	return library_has_keys(ws) && row && row->job.id;
}

static const char *no_take(struct ws *ws)
{
	return is_on_job(ws) ? "a job that failed has no take; R queues it again, C on the queue "
			       "hides it"
			     : "there is no take here";
}

/* The label: how many they are between the texts. */
static void edit(
	struct ws *ws, const char *field, const char *value, const char *before, const char *after)
{
	struct arena a = {0};
	const int64_t *ids;
	const size_t n = ws_targets(ws, &a, &ids, no_take(ws));
	char count[32];

	if (n)
		ws_edit(ws, ids, n, field, value,
			arena_printf(&a, "%s%s%s", before, takes(n, count), after));
	arena_done(&a);
}

/* Not any more where all of them are. */
static void do_favourite(struct ws *ws, const char *args)
{
	struct arena a = {0};
	const int64_t *ids;
	const size_t n = ws_targets(ws, &a, &ids, no_take(ws));
	struct err e = {0};
	bool are = false;

	if (n && takes_are_favourites(ws->db, ids, n, &are, &e))
		ws_fail(ws, &e);
	else if (n && are)
		edit(ws, "favourite", "0", "no favourite any more: ", "");
	else if (n)
		edit(ws, "favourite", "1", "favourite: ", "");
	arena_done(&a);
}

static void do_rate(struct ws *ws, const char *args)
{
	int64_t stars;
	char label[32];

	if (!commands_number(ws, args, 0, 5, &stars))
		return;
	snprintf(label, sizeof(label), " rated %d", (int)stars);
	edit(ws, "rating", args, "", label);
}

static void do_tag(struct ws *ws, const char *args)
{
	if (*args)
		edit(ws, "tag", args + (*args == '#'), "tagged ", "");
	else
		ws_input_words(ws, "tag", "", NULL);
}

static void do_untag(struct ws *ws, const char *args)
{
	if (*args)
		edit(ws, "untag", args + (*args == '#'), "untagged ", "");
	else
		ws_input_words(ws, "untag", "", NULL);
}

/* Without a text: the one there is, to be changed. */
static void do_note(struct ws *ws, const char *args)
{
	struct arena a = {0};
	struct err e = {0};
	struct take t;
	int64_t take;

	if (*args) {
		if (strcmp(args, "-"))
			edit(ws, "note", args, "note on ", "");
		else
			edit(ws, "note", "", "no note any more: ", "");
		return;
	}
	take = ws_target(ws, no_take(ws));
	if (take && takes_get(ws->db, take, &a, &t, &e))
		ws_fail(ws, &e);
	else if (take)
		ws_input_words(ws, "note", t.note, *t.note ? "note -" : NULL);
	arena_done(&a);
}

/* ---- the trash ---------------------------------------------------------- */

/* What is listened to, unless it is hidden, makes way for what is next to it: nothing would be
 * after. */
static void do_trash(struct ws *ws, const char *args)
{
	struct listen_view v;
	int64_t instead = 0;
	char now[32];

	listen_read(ws->listen, &v);
	const bool is_shown = ws->screen == SCREEN_LISTEN && ws->listening.take;
	const bool is_heard = is_shown && v.take == ws->listening.take;
	if (is_heard && !library_read(ws, &ws->takes))
		return;
	if (is_heard)
		instead = sound_instead(ws);
	snprintf(now, sizeof(now), "%lld", (long long)clock_unix_ms());
	edit(ws, "trashed", now, "moved ", " to the trash");
	if (is_heard)
		sound_replace(ws, instead);
	if (is_shown && !instead)
		ws_show(ws, SCREEN_LIBRARY); /* it is all that Listen has to show */
}

static void do_restore(struct ws *ws, const char *args)
{
	edit(ws, "trashed", NULL, "restored ", " to the library");
}

struct purge {
	struct task task;
	int64_t *ids;
	size_t n;
	struct purged done;
};

static int purge(struct db *db, struct task *t, struct err *e)
{
	struct purge *p = (struct purge *)t;

	return takes_purge(db, p->ids, p->n, &p->done, e);
}

static void tell_purged(struct ws *ws, size_t n_asked, const struct purged *done)
{
	const size_t n_left = n_asked - done->n;
	char count[32], left[32], size[16];

	if (!done->n)
		ws_complain(ws, "nothing is deleted: %s left the trash meanwhile",
			n_left == 1 ? "the take" : "the takes");
	else if (n_left)
		ws_complain(ws, "deleted %s for good; %s are free again; %s left the trash before",
			takes(done->n, count), format_bytes(done->bytes, size),
			takes(n_left, left));
	else
		ws_say(ws, "deleted %s for good; %s are free again", takes(done->n, count),
			format_bytes(done->bytes, size));
}

static void end_purge(struct ws *ws, struct task *t, int rc, struct err *e)
{
	struct purge *p = (struct purge *)t;

	if (rc)
		ws_fail(ws, e);
	else
		tell_purged(ws, p->n, &p->done);
	ids_remove(&ws->trash.marks, p->ids, p->n);
	free(p->ids);
	free(p);
	ws_changed(ws);
}

/* ids: numbers with blanks between. */
static void begin_purge(struct ws *ws, const char *ids)
{
	struct purge *p = xcalloc(1, sizeof(*p));
	char *end;

	p->task.run = purge;
	p->task.end = end_purge;
	p->ids = xcalloc(strlen(ids) / 2 + 1, sizeof(*p->ids));
	for (; *ids; ids = end) {
		p->ids[p->n] = strtoll(ids, &end, 10);
		if (end == ids)
			break;
		p->n++;
	}
	background_do(ws->writer, &p->task);
}

/* The answer is for these takes: what others do meanwhile may put other ones under the
 * cursor. */
static void ask_to_purge(struct ws *ws, const int64_t *ids, size_t n)
{
	struct str answer = {0};
	char count[32];

	str_add(&answer, "purge now");
	for (size_t i = 0; i < n; i++)
		str_printf(&answer, " %lld", (long long)ids[i]);
	ws_ask(ws, str_get(&answer), "delete %s and the files for good?", takes(n, count));
	str_done(&answer);
}

/* Asks first; "purge now" and their numbers is the answer. */
static void do_purge(struct ws *ws, const char *args)
{
	static const char *const none = "only what is in the trash is deleted for good; T shows it";
	struct arena a = {0};
	const int64_t *ids;
	size_t n;

	if (has_prefix(args, "now ")) {
		begin_purge(ws, args + 4);
	} else if (ws->screen != SCREEN_TRASH) {
		ws_say(ws, "%s", none);
	} else {
		n = ws_targets(ws, &a, &ids, none);
		if (n)
			ask_to_purge(ws, ids, n);
	}
	arena_done(&a);
}

static const struct command commands[] = {
	{"mark", "", "mark the take, or not any more; the range becomes marks", do_mark, false},
	{"mark-range", "", "mark from here to where the cursor goes", do_range, false},
	{"extend", "ROWS", "move, and mark from here to there", do_extend, true},
	{"invert", "", "mark what is not marked, and the other way round", do_invert, false},
	{"unmark", "", "drop all marks", do_unmark, false},
	{"favourite", "", "keep it as a favourite, or not any more", do_favourite, false},
	{"rate", "0-5", "rate the take", do_rate, true},
	{"tag", "WORD", "tag the take", do_tag, false},
	{"untag", "WORD", "take a tag away", do_untag, false},
	{"note", "[TEXT]", "write a note on the take; - removes it", do_note, false},
	{"trash", "", "move the take to the trash", do_trash, false},
	{"restore", "", "bring the take back from the trash", do_restore, false},
	{"purge", "", "delete the take from the trash, for good", do_purge, false},
};

enum {
	LISTS = 1 << SCREEN_LIBRARY | 1 << SCREEN_TRASH,
	TAKES = 1 << SCREEN_LIBRARY | 1 << SCREEN_LISTEN,
};

static const struct binding bindings[] = {
	{LISTS, "m", "mark"},
	{LISTS, "v", "mark-range"},
	{LISTS, "<S-Down>", "extend 1"},
	{LISTS, "<S-Up>", "extend -1"},
	{LISTS, "*", "invert"},
	{TAKES, "f", "favourite"},
	{TAKES, "<A-0>", "rate 0"},
	{TAKES, "<A-1>", "rate 1"},
	{TAKES, "<A-2>", "rate 2"},
	{TAKES, "<A-3>", "rate 3"},
	{TAKES, "<A-4>", "rate 4"},
	{TAKES, "<A-5>", "rate 5"},
	{TAKES, "t", "tag"},
	{1 << SCREEN_LIBRARY, "n", "note"},
	{TAKES, "D", "trash"},
	{TAKES, "<Del>", "trash"},
	{ON_ANY, "T", "screen trash"},
	{1 << SCREEN_TRASH, "<Enter>", "restore"},
	{1 << SCREEN_TRASH, "!", "purge"},
};

const struct command_table commands_marks = COMMAND_TABLE(commands, bindings);
