/* The queue: every arrow of the diagram in queue.c, and workers that die. */
#include "tests/unit/scratch.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "library/audio.h"
#include "library/base/arena.h"
#include "library/base/err.h"
#include "library/base/vec.h"
#include "library/db.h"
#include "library/queue.h"
#include "library/takes.h"
#include "library/undo.h"

static struct db *db;
static struct arena arena;
static int64_t now = 1795694400000;

static int open_library(void **state)
{
	struct err e = {0};

	if (scratch_open(state))
		return -1;
	mkdir(scratch_path(state, "takes"), 0700);
	return db_open(*state, &db, &e);
}

static int close_library(void **state)
{
	db_close(db);
	arena_done(&arena);
	return scratch_close(state);
}

#define OK(call)                                                                                   \
	do {                                                                                       \
		struct err e = {0};                                                                \
		if (call)                                                                          \
			fail_msg("%s: %s", #call, e.text);                                         \
	} while (0)
#define FAILS(call, want_code, words)                                                              \
	do {                                                                                       \
		struct err e = {0};                                                                \
		assert_int_equal(call, want_code);                                                 \
		assert_error(e, want_code, words);                                                 \
	} while (0)

static int64_t add(const char *prompt, const char *model, uint64_t seed)
{
	int64_t id;

	OK(jobs_add(db, &(struct job_new){.prompt = prompt, .model = model, .seed = seed}, 1, now,
		&id, &e));
	return id;
}

static struct job get(int64_t id)
{
	struct job j;

	OK(jobs_get(db, id, &arena, &j, &e));
	return j;
}

static void is(int64_t id, const char *state)
{
	assert_string_equal(get(id).state, state);
}

static struct worker *worker(void)
{
	struct worker *w;

	OK(worker_open(db, now, &w, &e));
	return w;
}

static int64_t claim(struct worker *w, const char *model)
{
	struct job *jobs;
	size_t n;

	OK(jobs_claim(w, model, 1, now, &arena, &jobs, &n, &e));
	assert_true(n <= 1);
	return n ? jobs[0].id : 0;
}

static void write_file(void **state, const char *name)
{
	const float samples[64] = {0.5f};
	struct audio_writer *w;

	OK(audio_writer_open(&(struct audio_writer_desc){.path = scratch_path(state, name),
				     .channels = 1,
				     .rate_hz = 32000,
				     .recipe = "{\"prompt\": \"from the file\", \"seed\": 3}"},
		&w, &e));
	OK(audio_writer_add(w, samples, 64, &e));
	OK(audio_writer_commit(w, &e));
	audio_writer_close(w);
}

static struct take take_of(int64_t job, const char *file)
{
	const struct job j = get(job);

	return (struct take){.prompt_id = j.prompt_id,
		.job = job,
		.model = j.model,
		.seed = j.seed,
		.frames = 64,
		.rate = 32000,
		.channels = 1,
		.guidance = NAN,
		.lufs = NAN,
		.peak = NAN,
		.score = NAN,
		.file = file,
		.created = now};
}

static void from_queued_to_done(void **state)
{
	struct worker *w = worker();
	int64_t id = add("p", "m", 18446744073709551615u), take;
	struct take t;

	is(id, "queued");
	assert_int_equal(claim(w, NULL), id);
	is(id, "claimed");
	assert_int_equal(get(id).attempts, 1);
	OK(jobs_start(w, id, "takes/1.wav", now, &e));
	is(id, "rendering");
	OK(jobs_progress(w, id, "render", 3, 10, now + 1, &e));
	assert_int_equal(get(id).done, 3);
	t = take_of(id, "takes/1.wav");
	OK(jobs_done(w, id, &t, now + 2, &take, &e));
	is(id, "done");
	assert_int_equal(get(id).take, take);
	assert_true(get(id).seed == 18446744073709551615u);
	assert_int_equal(get(id).ended, now + 2);
	assert_int_equal(claim(w, NULL), 0);
	/* What is done stays done. */
	FAILS(jobs_progress(w, id, "render", 4, 10, now, &e), ERR_CANCELLED, "another worker");
	FAILS(jobs_retry(db, id, &e), ERR_ARG, "is done, not failed or cancelled");
	bool at_work;
	FAILS(jobs_cancel(db, id, now, &at_work, &e), ERR_ARG, "is done");
	worker_close(w);
	is(id, "done");
}

static void cancelling(void **state)
{
	struct worker *w = worker();
	int64_t a = add("a", "m", 1), b = add("b", "m", 1), ids[4];
	bool at_work;
	size_t n;

	OK(jobs_cancel(db, b, now, &at_work, &e));
	assert_false(at_work);
	is(b, "cancelled");
	assert_int_equal(claim(w, NULL), a);
	OK(jobs_start(w, a, "takes/a.wav", now, &e));
	OK(jobs_stopping(w, ids, 4, &n, &e));
	assert_int_equal(n, 0);
	/* By another connection, as it will be. */
	struct db *other;
	OK(db_open(db_library(db), &other, &e));
	OK(jobs_cancel(other, a, now, &at_work, &e));
	assert_true(at_work);
	db_close(other);
	is(a, "rendering");
	for (int i = 0; i < 2; i++) { /* told until it is obeyed */
		OK(jobs_stopping(w, ids, 4, &n, &e));
		assert_int_equal(n, 1);
		assert_int_equal(ids[0], a);
	}
	OK(jobs_stopped(w, a, now, &e));
	is(a, "cancelled");
	OK(jobs_retry(db, a, &e));
	is(a, "queued");
	assert_int_equal(get(a).attempts, 0);
	assert_false(get(a).stopping);
	assert_null(get(a).file);
	assert_int_equal(claim(w, NULL), a);
	OK(jobs_failed(w, a, "no room", now, &e));
	is(a, "failed");
	assert_string_equal(get(a).error, "no room");
	OK(jobs_retry(db, a, &e));
	assert_null(get(a).error);
	worker_close(w);
}

static void the_order(void **state)
{
	struct worker *w = worker();
	int64_t a = add("a", "m", 1), b = add("b", "m", 1), c = add("c", "m", 1),
		d = add("d", "m", 1);

	OK(jobs_set_priority(db, d, 5, &e));
	OK(jobs_move(db, c, JOB_UP, &e));    /* a c b */
	OK(jobs_move(db, a, JOB_LAST, &e));  /* c b a */
	OK(jobs_move(db, a, JOB_UP, &e));    /* c a b */
	OK(jobs_move(db, b, JOB_FIRST, &e)); /* b c a */
	OK(jobs_move(db, b, JOB_DOWN, &e));  /* c b a */
	OK(jobs_move(db, d, JOB_DOWN, &e));  /* alone in its priority */
	OK(jobs_move(db, a, JOB_DOWN, &e));
	OK(jobs_hold(db, b, true, &e));
	OK(queue_pause(db, true, &e));
	assert_int_equal(claim(w, NULL), 0);
	OK(queue_pause(db, false, &e));
	assert_int_equal(claim(w, NULL), d);
	assert_int_equal(claim(w, NULL), c);
	assert_int_equal(claim(w, NULL), a);
	assert_int_equal(claim(w, NULL), 0);
	FAILS(jobs_move(db, a, JOB_UP, &e), ERR_ARG, "is claimed, not queued");
	FAILS(jobs_hold(db, 99, true, &e), ERR_ARG, "no job 99");
	OK(jobs_hold(db, b, false, &e));
	assert_int_equal(claim(w, NULL), b);
	worker_close(w);
	/* Given back, not lost, and not counted. */
	is(a, "queued");
	assert_int_equal(get(a).attempts, 0);
}

static int64_t waiting(void)
{
	int64_t n = -1;

	OK(jobs_waiting(db, &n, &e));
	return n;
}

static void what_waits_or_is_at_work(void **state)
{
	int64_t a = add("a", "m", 1), b = add("b", "n", 1);
	struct worker *w = worker();

	assert_int_equal(waiting(), 2);
	OK(jobs_hold(db, b, true, &e)); /* no worker would take it */
	assert_int_equal(waiting(), 1);
	assert_int_equal(claim(w, NULL), a);
	assert_int_equal(waiting(), 1);
	OK(jobs_failed(w, a, "why", 1, &e));
	assert_int_equal(waiting(), 0);
	OK(jobs_hold(db, b, false, &e));
	assert_int_equal(waiting(), 1);
	worker_close(w);
}

static void a_loaded_model_goes_first_but_not_for_ever(void **state)
{
	struct worker *w = worker();
	int64_t other = add("x", "other", 1), before = 0;

	for (int i = 0; i < 20; i++)
		add("y", "loaded", (uint64_t)i * 100);
	while (claim(w, "loaded") != other)
		before++;
	assert_int_equal(before, JOB_PASSED_MAX);
	/* A higher priority is not passed at all. */
	int64_t urgent = add("z", "other", 1);
	OK(jobs_set_priority(db, urgent, 1, &e));
	assert_int_equal(claim(w, "loaded"), urgent);
	worker_close(w);
}

static void one_batch_in_one_claim(void **state)
{
	struct job_new jobs[12];
	struct worker *w = worker();
	int64_t ids[12];
	struct job *claimed;
	size_t n;

	for (int i = 0; i < 12; i++)
		jobs[i] = (struct job_new){.prompt = i < 10 ? "p" : "q",
			.model = "m",
			.seed = 5 + (uint64_t)i,
			.seconds = "3"};
	OK(jobs_add(db, jobs, 12, now, ids, &e));
	bool at_work;
	OK(jobs_cancel(db, ids[3], now, &at_work, &e));
	OK(jobs_claim(w, NULL, 8, now, &arena, &claimed, &n, &e));
	assert_int_equal(n, 3);
	for (size_t i = 0; i < n; i++)
		assert_true(claimed[i].seed == 5 + i);
	OK(jobs_claim(w, NULL, 4, now, &arena, &claimed, &n, &e));
	assert_int_equal(n, 4);
	assert_true(claimed[0].seed == 9);
	OK(jobs_claim(w, NULL, 4, now, &arena, &claimed, &n, &e));
	assert_int_equal(n, 2); /* "q" is another prompt */
	OK(jobs_release(w, ids[4], &e));
	is(ids[4], "queued");
	worker_close(w);
}

/* A lost device: the attempt counts, and the next one is made without company. */
static void another_attempt(void **state)
{
	struct job_new jobs[3];
	struct worker *w = worker();
	int64_t ids[3];
	struct job *claimed;
	size_t n;

	for (int i = 0; i < 3; i++)
		jobs[i] = (struct job_new){.prompt = "lost", .model = "m", .seed = (uint64_t)i};
	OK(jobs_add(db, jobs, 3, now, ids, &e));
	OK(jobs_claim(w, NULL, 8, now, &arena, &claimed, &n, &e));
	assert_int_equal(n, 3);
	OK(jobs_start(w, ids[0], "takes/lost.wav", now, &e));
	for (int i = 0; i < 3; i++)
		OK(jobs_again(w, ids[i], &e));
	is(ids[0], "queued");
	OK(jobs_claim(w, NULL, 8, now, &arena, &claimed, &n, &e));
	assert_int_equal(n, 1);
	assert_true(claimed[0].id == ids[0]);
	assert_int_equal(claimed[0].attempts, JOB_ATTEMPTS);
	assert_null(claimed[0].file);
	OK(jobs_failed(w, ids[0], "why", now, &e));
	assert_int_equal(jobs_again(w, ids[0], NULL), ERR_CANCELLED);
	is(ids[0], "failed");
	worker_close(w);
}

/* A worker in a process of its own that claims one job, goes on to `how_far` and
 * then dies without a word. */
enum how_far { CLAIMED, STARTED, HALF_A_FILE, WHOLE_FILE };

static void killed_worker(void **state, enum how_far how_far, const char *file)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		struct err e = {0};
		struct db *own;
		struct worker *w;
		struct job *j;
		size_t n;

		if (db_open(*state, &own, &e) || worker_open(own, now, &w, &e) ||
			jobs_claim(w, NULL, 1, now, &arena, &j, &n, &e) || !n)
			_exit(1);
		if (how_far >= STARTED && jobs_start(w, j[0].id, file, now, &e))
			_exit(2);
		if (how_far == HALF_A_FILE)
			scratch_write(scratch_path(state, "takes/.half.wav.0000000000000007.tmp"),
				"half", 4);
		if (how_far == WHOLE_FILE)
			write_file(state, file);
		raise(SIGKILL);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static size_t recover(void)
{
	size_t n;

	OK(workers_recover(db, now, &n, &e));
	return n;
}

static void workers_that_die(void **state)
{
	int64_t id = add("p", "m", 3);
	struct take t;

	killed_worker(state, CLAIMED, NULL);
	is(id, "claimed");
	assert_int_equal(recover(), 1);
	is(id, "queued");
	assert_int_equal(get(id).attempts, 1);
	killed_worker(state, HALF_A_FILE, "takes/1.wav");
	is(id, "rendering");
	assert_int_equal(recover(), 1);
	is(id, "failed");
	assert_non_null(strstr(get(id).error, "twice"));
	OK(jobs_retry(db, id, &e));
	killed_worker(state, WHOLE_FILE, "takes/2.wav");
	is(id, "rendering");
	assert_int_equal(recover(), 1);
	is(id, "done");
	OK(takes_get(db, get(id).take, &arena, &t, &e));
	assert_string_equal(t.prompt, "from the file");
	assert_int_equal(t.job, id);
	assert_int_equal(recover(), 0);
	assert_int_equal(scratch_count(scratch_path(state, "workers")), 0);
	OK(db_verify(db, &e));
}

static void a_cancelled_job_of_a_dead_worker(void **state)
{
	int64_t id = add("p", "m", 3);
	bool at_work;

	killed_worker(state, STARTED, "takes/1.wav");
	OK(jobs_cancel(db, id, now, &at_work, &e));
	assert_true(at_work);
	recover();
	is(id, "cancelled");
}

static void a_living_worker_keeps_its_jobs(void **state)
{
	struct worker *w = worker();
	int64_t id = add("p", "m", 3), n;

	claim(w, NULL);
	now -= 1000000; /* the clock goes back: nobody minds */
	assert_int_equal(recover(), 0);
	now += 1000000000;
	assert_int_equal(recover(), 0);
	is(id, "claimed");
	OK(workers_count(db, &n, &e));
	assert_int_equal(n, 1);
	worker_close(w);
	OK(workers_count(db, &n, &e));
	assert_int_equal(n, 0);
}

/* A worker that was taken for dead (its lock file removed by hand, say) must
 * notice that its job has gone to another. */
static void a_lost_job(void **state)
{
	struct worker *w = worker(), *other = worker();
	int64_t id = add("p", "m", 3), take;
	struct take t;

	assert_int_equal(claim(w, NULL), id);
	OK(db_run(db, &e, "UPDATE jobs SET worker = ?1", "i", worker_id(other)));
	t = take_of(id, "takes/1.wav");
	FAILS(jobs_start(w, id, "takes/1.wav", now, &e), ERR_CANCELLED, "another worker");
	FAILS(jobs_done(w, id, &t, now, &take, &e), ERR_CANCELLED, "another worker");
	FAILS(jobs_failed(w, id, "x", now, &e), ERR_CANCELLED, "another worker");
	/* No row was left by the failed end. */
	OK(takes_count(db, &(struct takes_query){0}, &take, &e));
	assert_int_equal(take, 0);
	worker_close(w);
	is(id, "claimed");
	worker_close(other);
}

static void names_of_locks_stay_inside(void **state)
{
	scratch_write(scratch_path(state, "precious"), "x", 1);
	OK(db_run(db, &e,
		"INSERT INTO workers(lock, pid, host, heartbeat, started)"
		" VALUES ('../precious', 1, 'h', 0, 0)",
		""));
	recover();
	assert_int_equal(access(scratch_path(state, "precious"), F_OK), 0);
}

/* 4 workers, 500 jobs: each is done once. */
static void many_workers(void **state)
{
	enum { WORKERS = 4, JOBS = 500 };
	pid_t pids[WORKERS];

	for (uint64_t i = 0; i < JOBS; i++)
		add("p", i % 3 ? "m" : "n", i);
	for (int i = 0; i < WORKERS; i++) {
		pids[i] = fork();
		if (!pids[i]) {
			struct err e = {0};
			struct db *own;
			struct worker *w = NULL;
			struct job *j;
			size_t n = 0;
			int rc = db_open(*state, &own, &e);

			if (!rc)
				rc = worker_open(own, now, &w, &e);
			while (!rc && !(rc = jobs_claim(w, "m", 3, now, &arena, &j, &n, &e)) && n)
				for (size_t k = 0; k < n && !rc; k++) {
					char file[64];
					int64_t take;
					struct take t = {.prompt_id = j[k].prompt_id,
						.job = j[k].id,
						.model = "m",
						.seed = j[k].seed,
						.frames = 1,
						.rate = 1,
						.channels = 1,
						.file = file};

					snprintf(file, sizeof(file), "takes/%lld.wav",
						(long long)j[k].id);
					rc = jobs_start(w, j[k].id, file, now, &e);
					if (!rc)
						rc = jobs_done(w, j[k].id, &t, now, &take, &e);
				}
			if (rc)
				fprintf(stderr, "# %s\n", e.text);
			worker_close(w);
			_exit(rc != 0);
		}
	}
	for (int i = 0; i < WORKERS; i++) {
		int status;

		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
	struct job *jobs;
	size_t n;
	int64_t takes;
	OK(jobs_list(db, "done", &arena, &jobs, &n, &e));
	assert_int_equal(n, JOBS);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(jobs[i].attempts, 1);
	OK(takes_count(db, &(struct takes_query){0}, &takes, &e));
	assert_int_equal(takes, JOBS);
	OK(db_verify(db, &e));
}

/* ---- taking back --------------------------------------------------------- */

/* The action that is taken back, or done again; *late: its changes that came too late. */
static const char *undo(bool again, int64_t late)
{
	struct undone done;

	OK((again ? undo_again : undo_back)(db, &arena, &done, &e));
	assert_int_equal(done.n_late, late);
	return done.label;
}

/* ids of those that wait, in their order. */
static const char *waiting_ids(void)
{
	static char out[256];
	struct job *jobs;
	size_t n;

	OK(jobs_list(db, "queued", &arena, &jobs, &n, &e));
	out[0] = 0;
	for (size_t i = 0; i < n; i++)
		snprintf(out + strlen(out), sizeof(out) - strlen(out), "%s%lld", i ? " " : "",
			(long long)jobs[i].id);
	return out;
}

static void what_is_taken_back(void **state)
{
	struct job_new two[2] = {{.prompt = "p", .model = "m"},
		{.prompt = "p", .model = "m", .seed = 1, .held = true}};
	bool at_work, paused;
	int64_t hidden;

	add("a", "m", 1);
	OK(jobs_add(db, two, 2, now, NULL, &e));
	add("b", "m", 1);
	assert_string_equal(waiting_ids(), "1 2 3 4");

	/* In the order in which it was done, whatever it was. */
	OK(jobs_move(db, 4, JOB_FIRST, &e));
	OK(jobs_move(db, 1, JOB_DOWN, &e));
	assert_string_equal(waiting_ids(), "4 2 1 3");
	OK(jobs_cancel(db, 2, now, &at_work, &e));
	OK(queue_pause(db, true, &e));
	OK(jobs_set_priority(db, 3, 7, &e));
	OK(jobs_hold(db, 3, false, &e));
	OK(queue_hide_ended(db, now, &e));
	assert_string_equal(waiting_ids(), "3 4 1");
	assert_string_equal(undo(false, 0), "hid jobs that have ended");
	OK(queue_hidden(db, &hidden, &e));
	assert_int_equal(hidden, 0);
	assert_string_equal(undo(false, 0), "released job 3");
	assert_true(get(3).held);
	assert_string_equal(undo(false, 0), "set the priority of job 3");
	assert_string_equal(undo(false, 0), "paused the queue");
	OK(queue_is_paused(db, &paused, &e));
	assert_false(paused);
	assert_string_equal(undo(false, 0), "cancelled job 2");
	assert_string_equal(waiting_ids(), "4 2 1 3"); /* where it was */
	assert_int_equal(get(2).ended, 0);
	assert_string_equal(undo(false, 0), "moved job 1");
	assert_string_equal(undo(false, 0), "moved job 4");
	assert_string_equal(waiting_ids(), "1 2 3 4");
	assert_string_equal(undo(false, 0), "queued job 4");
	assert_string_equal(undo(false, 0), "queued jobs 2 to 3");
	assert_string_equal(waiting_ids(), "1");
	is(3, "cancelled");
	assert_string_equal(undo(true, 0), "queued jobs 2 to 3");
	assert_string_equal(waiting_ids(), "1 2 3");
	assert_true(get(3).held);
	assert_false(get(2).held);
	while (undo(true, 0))
		;
	assert_string_equal(waiting_ids(), "3 4 1");
	is(2, "cancelled");
	OK(queue_is_paused(db, &paused, &e));
	assert_true(paused);
	OK(db_verify(db, &e));
}

/* What a worker did since stays. */
static void what_is_too_late(void **state)
{
	struct job_new two[2] = {{.prompt = "p", .model = "m"}, {.prompt = "q", .model = "m"}};
	struct worker *w = worker();
	bool at_work;

	OK(jobs_add(db, two, 2, now, NULL, &e));
	assert_int_equal(claim(w, NULL), 1);
	assert_string_equal(undo(false, 1), "queued jobs 1 to 2");
	is(1, "claimed");
	is(2, "cancelled");
	assert_string_equal(undo(true, 1), "queued jobs 1 to 2");
	is(2, "queued");
	OK(jobs_hold(db, 2, true, &e));
	OK(jobs_hold(db, 2, false, &e));
	assert_int_equal(claim(w, NULL), 2);
	assert_string_equal(undo(false, 1), "released job 2");
	is(2, "claimed");

	/* A retry: what had gone wrong is known again. */
	OK(jobs_failed(w, 2, "no room", now, &e));
	OK(jobs_retry(db, 2, &e));
	assert_null(get(2).error);
	assert_string_equal(undo(false, 0), "retried job 2");
	is(2, "failed");
	assert_string_equal(get(2).error, "no room");
	assert_int_equal(get(2).ended, now);
	assert_int_equal(get(2).attempts, 1);
	assert_string_equal(undo(true, 0), "retried job 2");
	is(2, "queued");

	/* A job at work: before its worker has heard of it, and after. */
	OK(jobs_cancel(db, 1, now, &at_work, &e));
	assert_true(at_work && get(1).stopping);
	assert_string_equal(undo(false, 0), "cancelled job 1");
	is(1, "claimed");
	assert_false(get(1).stopping);
	assert_string_equal(undo(true, 0), "cancelled job 1");
	assert_true(get(1).stopping);
	OK(jobs_stopped(w, 1, now, &e));
	assert_string_equal(undo(false, 0), "cancelled job 1");
	is(1, "queued");
	assert_string_equal(waiting_ids(), "1 2");
	assert_string_equal(undo(true, 0), "cancelled job 1");
	is(1, "cancelled");
	worker_close(w);
	OK(db_verify(db, &e));
}

/* ids of what a screen shows, in its order. */
static const char *recent(int64_t since, size_t max)
{
	static char out[256];
	struct job *jobs;
	size_t n;

	OK(jobs_list_recent(db, since, max, &arena, &jobs, &n, &e));
	out[0] = 0;
	for (size_t i = 0; i < n; i++)
		snprintf(out + strlen(out), sizeof(out) - strlen(out), "%s%lld%c", i ? " " : "",
			(long long)jobs[i].id, *jobs[i].state);
	return out;
}

static void what_is_shown(void **state)
{
	struct worker_row *rows;
	int64_t before = now, since;
	uint64_t seen, stamp;
	struct worker *w;
	struct job *jobs;
	bool at_work;
	size_t n;

	assert_string_equal(recent(0, 9), "");
	for (int i = 0; i < 5; i++)
		add("p", "m", (uint64_t)i);
	OK(jobs_move(db, 5, JOB_FIRST, &e));
	OK(jobs_failed_stamp(db, &seen, &e));
	w = worker();
	OK(worker_tell(w, "m", "cpu", 7, now, &e));
	OK(workers_list(db, &arena, &rows, &n, &e));
	assert_int_equal(n, 1);
	assert_int_equal(rows[0].pid, getpid());
	assert_string_equal(rows[0].device, "cpu");
	assert_int_equal(rows[0].bytes, 7);
	assert_int_equal(claim(w, NULL), 5);
	assert_int_equal(claim(w, NULL), 1);
	OK(jobs_progress(w, 1, "render", 1, 2, now + 20000, &e));
	OK(workers_list(db, &arena, &rows, &n, &e));
	assert_int_equal(rows[0].heartbeat, now + 20000); /* who tells of its job lives */
	now += 1000;
	OK(jobs_failed(w, 5, "no", now, &e));
	now += 1000;
	OK(jobs_cancel(db, 3, now, &at_work, &e));
	assert_string_equal(recent(0, 9), "1c 2q 4q 3c 5f");
	assert_string_equal(recent(before + 1000, 9), "1c 2q 4q 3c");
	assert_string_equal(recent(0, 1), "1c 2q 3c");
	OK(jobs_list_failed(db, 0, 9, &arena, &jobs, &n, &e));
	assert_int_equal(n, 1);
	assert_string_equal(jobs[0].error, "no");
	OK(jobs_failed_stamp(db, &stamp, &e));
	assert_true(stamp != seen);
	OK(queue_hidden(db, &since, &e));
	assert_int_equal(since, 0);
	OK(queue_hide_ended(db, now, &e));
	OK(queue_hidden(db, &since, &e));
	assert_int_equal(since, now);
	OK(jobs_failed_stamp(db, &seen, &e));
	assert_true(stamp != seen);
	OK(queue_hide_ended(db, 0, &e));
	OK(queue_hidden(db, &since, &e));
	assert_int_equal(since, 0);
	worker_close(w);
	now = before;
}

/* However many were queued after them. */
static void what_has_ended_is_shown(void **state)
{
	enum { YOUNGER = 2500 };
	static struct job_new many[YOUNGER];
	struct worker *w = worker();
	struct job *jobs;
	uint64_t before, stamp;
	size_t n;

	OK(jobs_failed_stamp(db, &before, &e));
	for (int64_t id = 1; id <= 2; id++) {
		assert_int_equal(add("p", "m", 1), id);
		assert_int_equal(claim(w, NULL), id);
		OK(jobs_failed(w, id, "no", now + id, &e));
	}
	for (int i = 0; i < YOUNGER; i++)
		many[i] = (struct job_new){.prompt = "p", .model = "m"};
	OK(jobs_add(db, many, YOUNGER, now, NULL, &e));
	assert_string_equal(recent(0, 2), "3q 4q 2f 1f");
	assert_string_equal(recent(now + 1, 2), "3q 4q 2f");
	OK(jobs_list_failed(db, 0, 9, &arena, &jobs, &n, &e));
	assert_int_equal(n, 2);
	OK(jobs_failed_stamp(db, &stamp, &e));
	assert_true(stamp != before);
	worker_close(w);
}

static void all_at_once(void **state)
{
	struct worker *w = worker();
	const int64_t at_work = add("p", "m", 1), ended = add("p", "m", 2);
	struct numbers ids = {0};

	assert_int_equal(claim(w, NULL), at_work);
	add("p", "m", 3);
	OK(jobs_change_all(db, true, now, &ids, &e));
	assert_int_equal(ids.n, 0);
	OK(jobs_cancel(db, ended, now, &(bool){0}, &e));
	OK(jobs_change_all(db, false, now, &ids, &e));
	assert_int_equal(ids.n, 2);
	assert_int_equal(ids.at[1], 3);
	assert_true(get(at_work).stopping);
	is(3, "cancelled");
	assert_string_equal(undo(false, 0), "cancelled 2 jobs");
	assert_false(get(at_work).stopping);
	is(ended, "cancelled");
	is(3, "queued");
	OK(jobs_failed(w, at_work, "no", now, &e));
	ids.n = 0;
	OK(jobs_change_all(db, true, now, &ids, &e));
	assert_int_equal(ids.n, 1);
	is(at_work, "queued");
	is(ended, "cancelled");
	assert_string_equal(undo(false, 0), "retried 1 job");
	is(at_work, "failed");
	VEC_DONE(&ids);
	worker_close(w);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_library, close_library)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_shown),
		TEST(from_queued_to_done),
		TEST(cancelling),
		TEST(what_is_taken_back),
		TEST(what_is_too_late),
		TEST(what_has_ended_is_shown),
		TEST(all_at_once),
		TEST(the_order),
		TEST(what_waits_or_is_at_work),
		TEST(a_loaded_model_goes_first_but_not_for_ever),
		TEST(one_batch_in_one_claim),
		TEST(another_attempt),
		TEST(workers_that_die),
		TEST(a_cancelled_job_of_a_dead_worker),
		TEST(a_living_worker_keeps_its_jobs),
		TEST(a_lost_job),
		TEST(names_of_locks_stay_inside),
		TEST(many_workers),
	};
	return RUN_TAP(tests);
}
