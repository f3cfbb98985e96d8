/* Triage: what becomes of a take; its keys lie under the left hand. */
#include <stdio.h>
#include <stdlib.h>

#include "library/base/clock.h"
#include "library/takes.h"
#include "library/undo.h"
#include "tui/background.h"
#include "tui/listen.h"
#include "tui/queueing.h"
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
	if (triage_is_leaving(ws)) { /* which changes whose turn it is */
		ws_complain(ws, "a verdict is still being taken back; try again");
		return false;
	}
	if (triage_take(ws))
		return true;
	ws_refuse(ws, "no take is waiting for a verdict; gn goes through what nobody has heard");
	return false;
}

/* ---- verdicts ----------------------------------------------------------- */

struct judging {
	struct task task;
	int64_t take, action;
	const char *field; /* NULL: it is heard, and nothing else */
	char value[32], label[96];
	bool has_heard;
};

static int write_verdict(struct db *db, struct task *t, struct err *e)
{
	struct judging *j = (struct judging *)t;
	int rc = 0;

	if (j->field)
		rc = takes_edit(db, &j->take, 1, j->field, j->value, j->label, &j->action, e);
	return rc ? rc : takes_hear(db, j->take, true, &j->has_heard, e);
}

static void end_judging(struct ws *ws, struct task *t, int rc, struct err *e)
{
	struct judging *j = (struct judging *)t;
	struct triage_deed *deed = triage_unwritten(ws, j->take);

	if (rc)
		ws_fail(ws, e);
	else if (j->field)
		ws_tell_edit(ws, j->label, j->action);
	if (deed) {
		deed->action = j->action;
		deed->has_heard = j->has_heard;
		deed->is_written = true;
	}
	ws_changed(ws);
	free(j);
}

/* Goes on when it is judged; value: of the field. */
static void judge(struct ws *ws, enum triage_verdict verdict, const char *field, const char *value,
	const char *what)
{
	struct judging *j = xcalloc(1, sizeof(*j));

	j->task.run = write_verdict;
	j->task.end = end_judging;
	j->take = triage_take(ws);
	j->field = field;
	snprintf(j->value, sizeof(j->value), "%s", value);
	snprintf(j->label, sizeof(j->label), "%s %.60s", what, str_get(&ws->triage.prompt));
	triage_judge(ws, verdict);
	background_do(ws->writer, &j->task);
	triage_go(ws, 1);
}

static void do_keep(struct ws *ws, const char *args)
{
	if (has_turn(ws))
		judge(ws, TRIAGE_KEPT, "verdict", "kept", "kept");
}

static void do_drop(struct ws *ws, const char *args)
{
	char now[32];

	snprintf(now, sizeof(now), "%lld", (long long)clock_unix_ms());
	if (has_turn(ws))
		judge(ws, TRIAGE_DROPPED, "trashed", now, "dropped");
}

static void end_again(struct ws *ws, const struct queueing *q, int rc)
{
	struct triage_deed *deed = triage_unwritten(ws, q->takes[0]);

	if (!rc && deed)
		deed->job = q->ids[0];
}

static void do_redo(struct ws *ws, const char *args)
{
	struct queueing *q;
	int64_t *take;

	if (!has_turn(ws))
		return;
	q = queueing_new();
	take = ARENA_NEW(&q->arena, int64_t);
	*take = triage_take(ws);
	q->takes = take;
	q->n_takes = 1;
	q->each = 1;
	q->end = end_again;
	queueing_begin(ws, q);
	judge(ws, TRIAGE_AGAIN, NULL, "", "");
}

/* ---- taken back --------------------------------------------------------- */

struct taking_back {
	struct task task;
	struct triage_deed deed;
	struct arena arena;
	struct undone done; /* in the arena */
};

/* That verdict alone, whatever was done since, here or elsewhere. */
static int take_back(struct db *db, struct task *t, struct err *e)
{
	struct taking_back *b = (struct taking_back *)t;
	const struct subject of = {.take = b->deed.job ? 0 : b->deed.take, .job = b->deed.job};
	int64_t action = b->deed.action;
	int rc = of.job ? undo_adding(db, of.job, &action, e) : 0;

	if (!rc && action)
		rc = undo_back_one(db, action, of, &b->arena, &b->done, e);
	if (!rc && b->deed.has_heard)
		rc = takes_hear(db, b->deed.take, false, NULL, e);
	return rc;
}

/* Back to it when it is written, so that it counts as heard once it was listened to. */
static void end_taking_back(struct ws *ws, struct task *t, int rc, struct err *e)
{
	struct taking_back *b = (struct taking_back *)t;

	triage_left(ws, b->deed.take, rc != 0);
	if (rc) {
		ws_fail(ws, e);
	} else {
		if (b->done.label)
			ws_tell_undone(ws, &b->done, false);
		else
			ws_say(ws, "back to it; its verdict had changed nothing");
	}
	ws_changed(ws);
	arena_done(&b->arena);
	free(b);
}

static void do_take_back(struct ws *ws, const char *args)
{
	struct triage_deed *deed = triage_last(ws);
	struct taking_back *b;

	if (!deed) {
		ws_refuse(ws, "no verdict was given yet that could be taken back");
		return;
	}
	if (!deed->is_written) {
		ws_complain(ws, "the verdict is still being written; try again");
		return;
	}
	b = xcalloc(1, sizeof(*b));
	b->task.run = take_back;
	b->task.end = end_taking_back;
	b->deed = *deed;
	deed->is_leaving = true;
	background_do(ws->writer, &b->task);
}

/* ---- going on ----------------------------------------------------------- */

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
