/* woodshed worker: takes jobs from the queue until there are none, or for ever.
 *
 *	claim	the next job, with those of its batch that can share its passes
 *	prepare	model, disk room and the audio to continue are looked at: a job
 *		fails in its first second or not at all
 *	load	the model, unless it is the one in memory
 *	render	every 50 ms it looks whether a job is to stop, four times a second
 *		it tells how far it is
 *	finish	the file gets its name, then the take its row
 *
 * A library that is moved or removed meanwhile ends the worker once the batch is done.
 * What dies here is found by the next worker (library/queue.c).  A device that is lost
 * ends the worker, for only a new process gets it back; its jobs get one more attempt, each
 * alone, so that one that loses the device each time fails and the others do not.  The codes of a
 * render are kept in LIBRARY/work until its take is there, so that a decode that
 * fails (no room for the file, say) is all that a retry does again. */
#include "engine/cli/verbs.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/cli/job_options.h"
#include "engine/cli/kept.h"
#include "engine/cli/output.h"
#include "engine/cli/parameters.h"
#include "engine/cli/print.h"
#include "engine/cli/session.h"
#include "engine/cli/stop.h"
#include "gpu/gpu.h"
#include "library/audio.h"
#include "library/base/arena.h"
#include "library/base/clock.h"
#include "library/base/err.h"
#include "library/base/jsonw.h"
#include "library/base/str.h"
#include "library/db.h"
#include "library/globals.h"
#include "library/loudness.h"
#include "library/paths.h"
#include "library/queue.h"
#include "library/recipe.h"
#include "library/takes.h"

enum {
	IDLE_MS = 100, /* between two looks at an empty queue */
	RECOVER_S = 2, /* between two looks for dead workers */
	DEFAULT_UNLOAD_S = 300,
};

static const double LOOK_S = 0.05, TELL_S = 0.25;

struct worker_options {
	bool stay, json;
	uint64_t unload_s;
};

static const struct option_spec worker_specs[] = {
	{"stay", 0, OPTION_FLAG, NULL, "waits for more when the queue is empty",
		offsetof(struct worker_options, stay), 0, 0},
	{"unload-after", 0, OPTION_WHOLE, "S",
		"seconds without work after which the model is freed (default 300)",
		offsetof(struct worker_options, unload_s), 0, 1e9},
	{"json", 0, OPTION_FLAG, NULL, "what becomes of each job, one JSON object a line",
		offsetof(struct worker_options, json), 0, 0},
	{0},
};

/* One job of the batch at work. */
struct output {
	const struct job *job;
	const char *path, *file; /* absolute, and relative to the library */
	const char *kept;        /* its codes; NULL until its recipe is known */
	struct audio_writer *writer;
	struct loudness_meter *meter;
	double score; /* NAN: none */
	bool ended;   /* its row has been moved on; nothing more is done for it */
};

struct work {
	struct worker_options own;
	const struct globals *globals;
	const struct environment *env;
	struct db *db;
	struct worker *worker;
	const char *library;
	struct session s;
	bool is_loaded;
	double load_s; /* of the model in s, until it has been accounted for */

	struct arena arena; /* of the batch */
	struct output *outputs;
	size_t n;
	size_t max_batch;
	int64_t version; /* of the database when there was nothing to do */
	bool is_idle;    /* there is nothing to do as long as that has not changed */
	double looked, told, idle_since, recovered;
	int lost; /* an error that ends the worker */
};

/* ---- moving jobs on ----------------------------------------------------- */

static void tell(struct work *w, const struct output *o)
{
	struct str line = {0};
	struct err e = {0};
	struct job j;

	if (w->globals->quiet && !w->own.json)
		return;
	if (jobs_get(w->db, o->job->id, &w->arena, &j, &e))
		return;
	if (w->own.json) {
		job_json(&j, &line);
	} else {
		str_printf(&line, "job %lld %s", (long long)j.id, j.state);
		if (j.take)
			str_printf(&line, ": take %lld, %s", (long long)j.take, o->path);
		if (j.error)
			str_printf(&line, ": %s", j.error);
	}
	str_sanitize(line.s);
	print_line(line.s);
	str_done(&line);
}

/* A job that went to another worker is no concern of ours; any other failure to
 * write to the queue ends the worker. */
static void ended(struct work *w, struct output *o, int rc, const struct err *e)
{
	audio_writer_close(o->writer);
	loudness_meter_close(o->meter);
	o->writer = NULL;
	o->meter = NULL;
	o->ended = true;
	if (rc && rc != ERR_CANCELLED) {
		print_error(e->text);
		w->lost = rc;
	} else if (!rc) {
		tell(w, o);
	}
}

static void fail_job(struct work *w, struct output *o, const char *why)
{
	struct err e = {0};

	ended(w, o, jobs_failed(w->worker, o->job->id, why, clock_unix_ms(), &e), &e);
}

static void stop_job(struct work *w, struct output *o)
{
	struct err e = {0};

	if (o->kept)
		unlink(o->kept);
	ended(w, o, jobs_stopped(w->worker, o->job->id, clock_unix_ms(), &e), &e);
}

static void release_job(struct work *w, struct output *o)
{
	struct err e = {0};

	ended(w, o, jobs_release(w->worker, o->job->id, &e), &e);
}

/* The device was lost under it, perhaps not by its fault: it gets another attempt. */
static void lose_job(struct work *w, struct output *o, const char *why)
{
	struct err e = {0};

	if (o->job->attempts < JOB_ATTEMPTS)
		ended(w, o, jobs_again(w->worker, o->job->id, &e), &e);
	else
		fail_job(w, o, arena_printf(&w->arena, "in both attempts: %s", why));
}

static size_t n_left(const struct work *w)
{
	size_t n = 0;

	for (size_t i = 0; i < w->n; i++)
		n += !w->outputs[i].ended;
	return n;
}

/* ---- while it works ----------------------------------------------------- */

/* Jobs that somebody cancelled leave the batch; the others go on. */
static void look(struct work *w)
{
	int64_t ids[JOB_BATCH_MAX];
	struct err e = {0};
	size_t n;

	if (jobs_stopping(w->worker, ids, JOB_BATCH_MAX, &n, &e))
		return; /* told when something is written */
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < w->n; k++)
			if (w->outputs[k].job->id == ids[i] && !w->outputs[k].ended)
				stop_job(w, &w->outputs[k]);
}

/* In one change for the whole batch: each is synced. */
static void tell_progress(struct work *w, enum engine_stage stage, uint64_t done, uint64_t total)
{
	const bool whole = !db_begin(w->db, NULL);

	for (size_t i = 0; i < w->n; i++) {
		struct output *o = &w->outputs[i];
		struct err e = {0};
		int rc = 0;

		if (!o->ended)
			rc = jobs_progress(w->worker, o->job->id, engine_stage_name(stage), done,
				total, clock_unix_ms(), &e);
		if (rc)
			ended(w, o, rc, &e);
	}
	if (whole)
		db_commit(w->db, NULL); /* told again in a moment */
}

static int on_progress(void *ud, enum engine_stage stage, uint64_t done, uint64_t total)
{
	struct work *w = ud;
	const double now = clock_now();

	if (now - w->looked >= LOOK_S) {
		w->looked = now;
		look(w);
	}
	if (now - w->told >= TELL_S || done == total) {
		w->told = now;
		tell_progress(w, stage, done, total);
	}
	return stop_asked() || !n_left(w) || w->lost;
}

/* The jobs of a batch share their texts: one line, under the first's number. */
static void on_warning(void *ud, const char *text)
{
	struct work *w = ud;
	struct str line = {0};

	str_printf(&line, "job %lld: %s", (long long)w->outputs[0].job->id, text);
	session_warn(&w->s, line.s);
	str_done(&line);
}

/* ---- codes that are kept ------------------------------------------------ */

static int on_latents(void *ud, int take, const struct engine_latents *l, struct err *e)
{
	struct work *w = ud;

	if (!w->outputs[take].ended)
		kept_write(w->outputs[take].kept, l);
	return 0;
}

/* Of all jobs of the batch, or NULL. */
static const struct engine_latents *find_kept(struct work *w)
{
	struct engine_latents *all = ARENA_ARRAY(&w->arena, struct engine_latents, w->n);

	for (size_t i = 0; i < w->n; i++)
		if (!w->outputs[i].kept || !kept_read(w->outputs[i].kept, &w->arena, &all[i]))
			return NULL;
	return all;
}

/* ---- before ------------------------------------------------------------- */

static int name_files(struct work *w, struct err *e)
{
	const size_t root = strlen(w->library) + 1;
	const char *folder = arena_printf(&w->arena, "%s/work", w->library);
	int rc = 0;

	if (mkdir(folder, 0700) && errno != EEXIST)
		return err_errno(e, errno, "cannot make the folder '%s'", folder);
	for (size_t i = 0; i < w->n && !rc; i++) {
		struct output *o = &w->outputs[i];

		rc = paths_new_take(w->library, clock_unix_ms(), &w->arena, &o->path, e);
		if (!rc)
			o->file = o->path + root;
	}
	return rc;
}

/* Room for the files of the whole batch, and for the database to go on. */
static int check_room(struct work *w, struct err *e)
{
	const struct engine_info *info = w->s.info;
	const uint64_t bytes = (uint64_t)(w->s.n_frames * info->frame_samples) *
			       (uint64_t)info->channels * sizeof(float);

	return output_check(w->globals, w->env, w->outputs[0].path, w->n * bytes + (8u << 20), e);
}

static int open_take(struct work *w, struct output *o, struct err *e)
{
	const struct engine_info *info = w->s.info;
	struct str json = {0}, comment = {0};
	struct recipe recipe;
	int rc;

	session_recipe(&w->s, o->job->seed, &recipe);
	recipe_json(&recipe, &json);
	recipe_comment(&recipe, &comment);
	o->kept = kept_path(w->library, o->job->id, str_get(&json), &w->arena);
	rc = audio_writer_open(
		&(struct audio_writer_desc){
			.path = o->path,
			.channels = info->channels,
			.rate_hz = info->rate,
			.recipe = str_get(&json),
			.comment = str_get(&comment),
			.is_private = true,
			.keep_existing = true,
		},
		&o->writer, e);
	str_done(&json);
	str_done(&comment);
	if (!rc)
		rc = loudness_meter_open(info->channels, info->rate, &o->meter, e);
	return rc;
}

/* What is in memory. */
static void tell_model(struct work *w)
{
	const char *device = w->s.info->device;
	uint64_t bytes = 0;
	struct rusage usage;

	if (strcmp(device, "cpu")) /* there is the model */
		bytes = gpu_bytes_peak(engine_gpu(w->s.engine));
	else if (!getrusage(RUSAGE_SELF, &usage))
		bytes = (uint64_t)usage.ru_maxrss * 1024;
	worker_tell(w->worker, w->s.model.name, device, bytes, clock_unix_ms(), NULL);
}

/* The model of this batch in memory, its options in w->s. */
static int load(struct work *w, struct err *e)
{
	struct session fresh = {.globals = w->globals, .env = w->env};
	const double began = clock_now();
	bool kept = false;
	int rc = job_options_read(w->outputs[0].job, &fresh.arena, &fresh.o, e);

	fresh.watch = (struct engine_watch){.progress = on_progress, .warn = on_warning, .ud = w};
	if (!rc)
		rc = session_choose(&fresh, e);
	if (!rc)
		rc = session_peek_continued(&fresh, e);
	if (!rc && w->is_loaded)
		kept = session_take_engine(&fresh, &w->s);
	session_done(&w->s);
	w->s = fresh;
	w->is_loaded = false;
	if (!rc)
		rc = session_open(&w->s, e);
	w->is_loaded = w->s.engine != NULL;
	if (!kept && w->is_loaded) {
		w->load_s = clock_now() - began;
		tell_model(w);
	}
	return rc;
}

/* ---- after -------------------------------------------------------------- */

static int on_audio(void *ud, int take, const struct engine_audio *chunk, struct err *e)
{
	struct work *w = ud;
	struct output *o = &w->outputs[take];
	struct err why = {0};
	int rc;

	if (o->ended)
		return 0;
	rc = audio_writer_add(o->writer, chunk->samples, (size_t)chunk->frames, &why);
	if (!rc)
		rc = loudness_meter_add(o->meter, chunk->samples, (size_t)chunk->frames, &why);
	if (rc) /* the others of the batch may still come to a good end */
		fail_job(w, o, why.text);
	return n_left(w) ? 0 : err_set(e, rc ? rc : ERR_CANCELLED, "no job of the batch is left");
}

static int on_score(void *ud, int take, double score, struct err *e)
{
	((struct work *)ud)->outputs[take].score = score;
	return 0;
}

static int add_take(struct work *w, struct output *o, struct err *e)
{
	struct take t;
	int64_t id;

	session_take(&w->s, o->job->seed, o->file, o->meter, &w->arena, &t);
	t.prompt_id = o->job->prompt_id;
	t.job = o->job->id;
	t.score = o->score;
	return jobs_done(w->worker, o->job->id, &t, t.created, &id, e);
}

static void finish(struct work *w, struct output *o)
{
	struct err e = {0};
	int rc = audio_writer_commit(o->writer, &e);

	if (rc) {
		fail_job(w, o, e.text);
		return;
	}
	rc = add_take(w, o, &e);
	if (!rc)
		unlink(o->kept);
	ended(w, o, rc, &e);
}

/* ---- a batch ------------------------------------------------------------ */

static int begin(struct work *w, struct err *e)
{
	int rc = name_files(w, e);

	if (!rc)
		rc = load(w, e);
	if (!rc)
		rc = check_room(w, e);
	w->s.n_at_once = n_left(w);
	for (size_t i = 0; i < w->n && !rc; i++)
		if (!w->outputs[i].ended)
			rc = open_take(w, &w->outputs[i], e);
	for (size_t i = 0; i < w->n && !rc; i++) {
		struct output *o = &w->outputs[i];
		struct err why = {0};
		int lost = 0;

		if (!o->ended)
			lost = jobs_start(w->worker, o->job->id, o->file, clock_unix_ms(), &why);
		if (lost)
			ended(w, o, lost, &why);
	}
	return rc;
}

static int render(struct work *w, struct err *e)
{
	const struct engine_sink sink = {.audio = on_audio,
		.latents = on_latents,
		.score = w->s.o.rank ? on_score : NULL,
		.ud = w};
	int rc;

	w->s.latents = find_kept(w);
	rc = session_render(&w->s, (int)w->n, w->outputs[0].job->seed, &sink, e);
	if (rc == ERR_FORMAT && w->s.latents && n_left(w) == w->n) {
		/* Kept codes that are not what they should be are worth nothing. */
		err_clear(e);
		w->s.latents = NULL;
		rc = session_render(&w->s, (int)w->n, w->outputs[0].job->seed, &sink, e);
	}
	w->s.latents = NULL;
	return rc;
}

/* What is left of a batch that did not come to its end. */
static void give_up(struct work *w, int rc, const struct err *e)
{
	if (rc == ERR_GPU_LOST)
		look(w); /* what somebody cancelled is not tried again */
	for (size_t i = 0; i < w->n; i++) {
		if (w->outputs[i].ended)
			continue;
		/* Not its fault: we stop, or cannot write to the queue.  Fewer at once may do. */
		if (stop_asked() || w->lost || (rc == ERR_NOMEM && w->n > 1))
			release_job(w, &w->outputs[i]);
		else if (rc == ERR_GPU_LOST)
			lose_job(w, &w->outputs[i], e->text);
		else
			fail_job(w, &w->outputs[i], e->text);
	}
	if (rc == ERR_NOMEM && w->n > 1)
		w->max_batch = w->n / 2;
	if (rc == ERR_GPU_LOST) { /* nothing this process tries on that device can work again */
		print_error(e->text);
		w->lost = rc;
	}
}

static void run_batch(struct work *w, const struct job *jobs, size_t n)
{
	struct err e = {0};
	double began;
	size_t n_done;
	int rc;

	w->n = n;
	w->outputs = ARENA_ARRAY(&w->arena, struct output, n);
	for (size_t i = 0; i < n; i++) {
		w->outputs[i].job = &jobs[i];
		w->outputs[i].score = NAN;
	}
	rc = begin(w, &e);
	began = clock_now();
	if (!rc && n_left(w))
		rc = render(w, &e);
	if (rc)
		give_up(w, rc, &e);
	n_done = n_left(w);
	for (size_t i = 0; i < n; i++)
		if (!w->outputs[i].ended)
			finish(w, &w->outputs[i]);
	if (w->is_loaded) {
		session_measured(&w->s, w->db, rc ? 0 : n_done, &w->load_s, clock_now() - began);
		tell_model(w);
	}
	w->n = 0;
	w->idle_since = clock_now();
}

/* ---- the loop ----------------------------------------------------------- */

static void unload(struct work *w)
{
	if (!w->is_loaded)
		return;
	session_done(&w->s);
	w->s = (struct session){0};
	w->is_loaded = false;
	worker_tell(w->worker, NULL, NULL, 0, clock_unix_ms(), NULL);
}

static int idle(struct work *w, struct err *e)
{
	bool asked = false;
	int rc = worker_wants_unload(w->worker, &asked, e);

	if (asked || clock_now() - w->idle_since >= (double)w->own.unload_s)
		unload(w);
	poll(NULL, 0, IDLE_MS); /* a signal ends it, too */
	return rc;
}

static int recover(struct work *w, struct err *e)
{
	size_t n;
	int rc;

	if (w->recovered > 0 && clock_now() - w->recovered < RECOVER_S)
		return 0;
	w->recovered = clock_now();
	rc = workers_recover(w->db, clock_unix_ms(), &n, e);
	if (n) /* what we write ourselves does not change the version */
		w->is_idle = false;
	return rc;
}

/* Nothing is claimed from a queue that nobody has touched since it was empty. */
static int is_unchanged(struct work *w, bool *ret, struct err *e)
{
	int64_t version = 0;
	int rc = db_version(w->db, &version, e);

	*ret = w->is_idle && version == w->version;
	w->version = version;
	return rc;
}

static int next_batch(struct work *w, size_t *ret_n, struct err *e)
{
	const char *loaded = w->is_loaded ? w->s.o.model : NULL;
	struct job *jobs;
	int rc = jobs_claim(
		w->worker, loaded, w->max_batch, clock_unix_ms(), &w->arena, &jobs, ret_n, e);

	if (!rc && *ret_n)
		run_batch(w, jobs, *ret_n);
	w->is_idle = !*ret_n;
	arena_done(&w->arena);
	w->arena = (struct arena){0};
	return rc;
}

/* A database that is gone can be written as before, and nobody will read it: what is
 * begun comes to its end, for its file is found again, and nothing more is. */
static int check_library(struct work *w, struct err *e)
{
	return db_is_lost(w->db)
		       ? err_set(e, ERR_IO,
				 "the library '%s' was moved or removed, so nothing more is "
				 "rendered; put it back: takes whose files are in its folder are "
				 "then found",
				 w->library)
		       : 0;
}

/* What is left there is not done, though the worker ends well. */
static void tell_paused(const struct work *w)
{
	bool paused = false;

	if (!w->globals->quiet && !queue_is_paused(w->db, &paused, NULL) && paused)
		print_warning("the queue is paused; woodshed jobs --resume lets it go on");
}

static int loop(struct work *w, struct err *e)
{
	int rc = 0;

	while (!rc && !w->lost && !stop_asked()) {
		bool unchanged = false;
		size_t n = 0;

		rc = check_library(w, e);
		if (!rc)
			rc = recover(w, e);
		if (!rc)
			rc = is_unchanged(w, &unchanged, e);
		if (!rc && !unchanged)
			rc = next_batch(w, &n, e);
		if (rc || n)
			continue;
		if (!w->own.stay) {
			tell_paused(w);
			break;
		}
		rc = idle(w, e);
	}
	return rc ? rc : w->lost;
}

static int start(struct work *w, struct err *e)
{
	struct sweep swept;
	int64_t alive = 0;
	int rc = globals_library(w->globals, w->env, &w->s.arena, &w->library, e);

	if (!rc)
		rc = db_open(w->library, &w->db, e);
	if (!rc)
		w->library = db_library(w->db);
	if (!rc)
		rc = parameters_publish(w->db, e);
	if (!rc)
		rc = workers_count(w->db, &alive, e);
	if (!rc)
		rc = worker_open(w->db, clock_unix_ms(), &w->worker, e);
	if (!rc)
		rc = recover(w, e);
	if (!rc && !alive)
		rc = takes_sweep(w->db, clock_unix_ms(), &swept, e);
	if (!rc && !alive)
		kept_sweep(w->db);
	return rc;
}

static int parse(struct work *w, struct globals *g, int argc, char **argv, struct err *e)
{
	struct options o = {
		.group = {{.specs = worker_specs, .values = &w->own},
			{.specs = globals_options, .values = g}},
		.argc = argc,
		.argv = argv,
	};
	int rc = options_parse(&o, e);

	if (!rc && o.argc)
		rc = err_set(e, ERR_ARG, "worker takes no argument, but got '%.80s'", o.argv[0]);
	return rc;
}

int verb_worker(struct globals *g, const struct environment *env, int argc, char **argv)
{
	struct work w = {.own = {.unload_s = DEFAULT_UNLOAD_S},
		.globals = g,
		.env = env,
		.max_batch = JOB_BATCH_MAX};
	struct err e = {0};
	int rc = parse(&w, g, argc, argv, &e);

	if (!rc && g->help) {
		print_help(
			"usage: woodshed worker [OPTION]...\n\n"
			"Takes jobs from the queue until it is empty. Several may run at once.\n\n",
			worker_specs);
		return 0;
	}
	if (!rc && g->version) {
		print_version();
		return 0;
	}
	if (!rc)
		rc = stop_gently(audio_writer_unlink_all, &e);
	if (!rc)
		rc = start(&w, &e);
	w.idle_since = clock_now();
	if (!rc)
		rc = loop(&w, &e);
	session_done(&w.s);
	worker_close(w.worker);
	db_close(w.db);
	arena_done(&w.arena);
	if (!rc)
		rc = print_check(&e);
	if (rc && e.code)
		print_error(e.text);
	return rc == ERR_ARG ? 2 : rc ? 1 : 0;
}
