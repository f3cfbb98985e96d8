/* What is done with jobs. */
#include "library/base/clock.h"
#include "library/db.h"
#include "tui/ws.h"

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

static const struct command commands[] = {
	{"cancel", "", "cancel the job", do_cancel, false},
	{"retry", "", "queue the job again", do_retry, false},
	{"raise", "", "the job goes before the one above", do_raise, false},
	{"lower", "", "the job goes after the one below", do_lower, false},
	{"pause", "", "pause the queue, or let it go on", do_pause, false},
};

static const struct binding bindings[] = {
	{1 << SCREEN_QUEUE, "x", "cancel"},
	{1 << SCREEN_QUEUE, "R", "retry"},
	{1 << SCREEN_QUEUE, "K", "raise"},
	{1 << SCREEN_QUEUE, "J", "lower"},
	{1 << SCREEN_QUEUE, "p", "pause"},
};

const struct command_table commands_jobs = COMMAND_TABLE(commands, bindings);
