/* What is done with jobs: on the writer's thread, all of it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "library/base/clock.h"
#include "library/db.h"
#include "tui/background.h"
#include "tui/ws.h"

struct job_change {
	struct task task;
	enum { CANCEL, RETRY, HOLD, PRIORITY, MOVE, PAUSE, HIDE } what;
	int64_t id, value;
	bool at_work;
	const char *said; /* when it is done */
};

static int change(struct db *db, struct task *t, struct err *e)
{
	struct job_change *c = (struct job_change *)t;

	switch (c->what) {
	case CANCEL:
		return jobs_cancel(db, c->id, clock_unix_ms(), &c->at_work, e);
	case RETRY:
		return jobs_retry(db, c->id, e);
	case HOLD:
		return jobs_hold(db, c->id, c->value != 0, e);
	case PRIORITY:
		return jobs_set_priority(db, c->id, c->value, e);
	case MOVE:
		return jobs_move(db, c->id, (enum job_move)c->value, e);
	case PAUSE:
		return queue_pause(db, c->value != 0, e);
	default:
		return queue_hide_ended(db, c->value, e);
	}
}

static void end_change(struct ws *ws, struct task *t, int rc, struct err *e)
{
	struct job_change *c = (struct job_change *)t;

	if (rc)
		ws_fail(ws, e);
	else
		ws_say(ws, "%s", c->at_work ? "stopping" : c->said);
	free(c);
	ws_changed(ws);
}

static void begin(struct ws *ws, struct job_change wanted)
{
	struct job_change *c = xcalloc(1, sizeof(*c));

	*c = wanted;
	c->task.run = change;
	c->task.end = end_change;
	background_do(ws->writer, &c->task);
}

/* The job under the cursor, of the library's list one that failed; NULL: none, which is
 * said. */
static const struct job *selected(struct ws *ws)
{
	const bool is_list = ws->screen == SCREEN_LIBRARY;
	const struct library_view *v = is_list ? library_now(ws) : NULL;
	const struct library_row *r = v ? library_row_at(v, v->list.cursor) : NULL;
	const struct job *j = ws->screen == SCREEN_QUEUE ? view_queue_selected(ws)
			      : r && r->job.id           ? &r->job
							 : NULL;

	if (!j && !(is_list && !v))
		ws_say(ws, "there is no job here; 3 shows the queue");
	return j;
}

static void cancel(struct ws *ws, int64_t id)
{
	begin(ws, (struct job_change){
			  .what = CANCEL, .id = id, .said = "cancelled \u00b7 u takes it back"});
}

/* What a worker has done of a job would be lost. */
static void ask_to_stop(struct ws *ws, const struct job *j)
{
	char command[40], done[24] = "";

	snprintf(command, sizeof(command), "cancel %lld", (long long)j->id);
	if (j->total && j->stage && strcmp(j->stage, "load"))
		snprintf(done, sizeof(done), ", %d%% done", (int)(100 * j->done / j->total));
	ws_ask(ws, command, "job %lld is at work%s; stop it?", (long long)j->id, done);
}

static void do_cancel(struct ws *ws, const char *args)
{
	const struct job *j;
	int64_t id;

	if (*args) {
		if (commands_number(ws, args, 1, INT64_MAX, &id))
			cancel(ws, id);
		return;
	}
	j = selected(ws);
	if (j && !j->stopping && job_is_at_work(j))
		ask_to_stop(ws, j);
	else if (j)
		cancel(ws, j->id);
}

static void do_retry(struct ws *ws, const char *args)
{
	const struct job *j = selected(ws);

	if (j)
		begin(ws, (struct job_change){.what = RETRY, .id = j->id, .said = "queued again"});
}

static void do_hold(struct ws *ws, const char *args)
{
	const struct job *j = selected(ws);

	if (j)
		begin(ws, (struct job_change){.what = HOLD,
				  .id = j->id,
				  .value = !j->held,
				  .said = j->held ? "released" : "held: not begun until H"});
}

static void do_priority(struct ws *ws, const char *args)
{
	const struct job *j = selected(ws);
	int64_t priority;

	if (j && commands_number(ws, args, -1000, 1000, &priority))
		begin(ws, (struct job_change){.what = PRIORITY,
				  .id = j->id,
				  .value = priority,
				  .said = "higher ones are done first"});
}

static void move_job(struct ws *ws, enum job_move move)
{
	const struct job *j = selected(ws);

	if (j)
		begin(ws,
			(struct job_change){.what = MOVE, .id = j->id, .value = move, .said = ""});
}

static void do_raise(struct ws *ws, const char *args)
{
	move_job(ws, JOB_UP);
}

static void do_lower(struct ws *ws, const char *args)
{
	move_job(ws, JOB_DOWN);
}

static void do_job_first(struct ws *ws, const char *args)
{
	move_job(ws, JOB_FIRST);
}

static void do_job_last(struct ws *ws, const char *args)
{
	move_job(ws, JOB_LAST);
}

static void do_pause(struct ws *ws, const char *args)
{
	begin(ws, (struct job_change){.what = PAUSE,
			  .value = !ws->is_paused,
			  .said = ws->is_paused ? "the queue goes on"
						: "paused: nothing is begun until p"});
}

static void do_hide_ended(struct ws *ws, const char *args)
{
	begin(ws, (struct job_change){.what = HIDE,
			  .value = clock_unix_ms(),
			  .said = "those that have ended are hidden; :show-ended shows them"});
}

static void do_show_ended(struct ws *ws, const char *args)
{
	begin(ws, (struct job_change){.what = HIDE, .said = "all that have ended are shown"});
}

static void do_log(struct ws *ws, const char *args)
{
	const struct job *j = selected(ws);

	if (!j)
		return;
	ws->log = (struct log_view){.job = j->id, .arena = ws->log.arena};
	ws->log_of = ws->screen;
	ws->log_base = ws->base;
	ws_show(ws, SCREEN_LOG);
}

/* The take of a job that is done, in the library, and heard; of others the log. */
static void do_open_job(struct ws *ws, const char *args)
{
	const struct job *j = selected(ws);

	if (j && !j->take)
		do_log(ws, "");
	else if (j && library_show_take(ws, j->take))
		commands_run(ws, "play-take");
}

static const struct command commands[] = {
	{"cancel", "[JOB]", "cancel the job", do_cancel, false},
	{"retry", "", "queue the job again", do_retry, false},
	{"hold", "", "the job waits until it is released, or is", do_hold, false},
	{"priority", "NUMBER", "jobs of a higher one are done first; 0 is usual", do_priority,
		true},
	{"raise", "", "the job goes before the one above", do_raise, false},
	{"lower", "", "the job goes after the one below", do_lower, false},
	{"job-first", "", "the job goes before all others", do_job_first, false},
	{"job-last", "", "the job goes behind all others", do_job_last, false},
	{"pause", "", "pause the queue, or let it go on", do_pause, false},
	{"hide-ended", "", "hide jobs that have ended", do_hide_ended, false},
	{"show-ended", "", "show them again", do_show_ended, false},
	{"log", "", "what is known of the job, and the worker's log", do_log, false},
	{"open-job", "", "play the take that it made; else its log", do_open_job, false},
};

enum { JOBS = 1 << SCREEN_QUEUE };

static const struct binding bindings[] = {
	{JOBS, "<Enter>", "open-job"},
	{JOBS, "x", "cancel"},
	{JOBS, "R", "retry"},
	{JOBS, "K", "raise"},
	{JOBS, "J", "lower"},
	{JOBS, "gK", "job-first"},
	{JOBS, "gJ", "job-last"},
	{JOBS, "H", "hold"},
	{JOBS, "p", "pause"},
	{JOBS, "C", "hide-ended"},
	{JOBS, "L", "log"},
};

const struct command_table commands_jobs = COMMAND_TABLE(commands, bindings);
