/* woodshed render: prompt in, WAV files out.
 *
 *	prepare	model, files, disk room and the audio to continue are looked at
 *		before anything slow is done
 *	open	the engine loads the model
 *	render	in batches of takes; each take goes to a temporary file as it is
 *		decoded and gets its name when it is complete */
#include "engine/cli/verbs.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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
#include "library/recipe.h"
#include "library/repair.h"
#include "library/takes.h"

/* Takes of one batch share every pass over the weights; beyond this there is
 * little left to share, and their memory grows. */
enum { BATCH_MAX = 8 };

struct file {
	const char *path;
	uint64_t seed;
	struct audio_writer *writer; /* NULL before and after its batch */
	struct loudness_meter *meter;
	double score;     /* NAN: none */
	uint64_t clipped; /* samples */
	int64_t id;       /* of its row in the library; 0: it has none */
};

struct render {
	struct session s;
	double began;
	double load_s;       /* of the model, until it has been accounted for */
	const char *library; /* NULL until needed */
	struct db *db;       /* NULL until there is a take to enter, and with --out */
	struct file *takes;  /* o.count */
	struct file *batch;  /* first of the batch in progress */
	bool delivered;      /* the batch has given samples */
};

/* ---- prepare ------------------------------------------------------------ */

static int find_library(struct render *r, struct err *e)
{
	if (r->library)
		return 0;
	return globals_library(r->s.globals, r->s.env, &r->s.arena, &r->library, e);
}

/* The bytes of one take as far as they can be told before the model is
 * loaded; its default length is not. */
static uint64_t estimate_bytes(const struct render *r)
{
	double seconds = session_seconds(&r->s);

	if (!r->s.model.rate_hz || !(seconds > 0 && seconds <= SESSION_SECONDS_MAX))
		return 0;
	return (uint64_t)(seconds * r->s.model.rate_hz) * (uint64_t)r->s.model.channels *
	       output_sample_bytes(output_format(r->s.o.format));
}

/* OUT.wav's is OUT-preview.wav. */
static const char *preview_name(struct render *r, const char *path)
{
	const char *dot = strrchr(path, '.');
	const int n = dot && !strchr(dot, '/') ? (int)(dot - path) : (int)strlen(path);

	return arena_printf(&r->s.arena, "%.*s-preview.wav", n, path);
}

static int check_paths(struct render *r, const char *path, struct err *e)
{
	const uint64_t n_bytes = estimate_bytes(r) * r->s.o.count;
	int rc = output_check(r->s.globals, r->s.env, path, n_bytes, e);

	if (!rc && r->s.o.preview)
		rc = output_check(r->s.globals, r->s.env, preview_name(r, path), n_bytes, e);
	return rc;
}

static int choose_paths(struct render *r, struct err *e)
{
	int rc = r->s.o.out ? 0 : find_library(r, e);

	r->takes = ARENA_ARRAY(&r->s.arena, struct file, r->s.o.count);
	for (uint64_t i = 0; i < r->s.o.count && !rc; i++) {
		struct file *t = &r->takes[i];

		t->seed = r->s.o.seed + i;
		t->score = NAN;
		if (r->s.o.out)
			t->path = output_name(r->s.o.out, i, r->s.o.count, &r->s.arena);
		else
			rc = paths_new_take(r->library, clock_unix_ms(), &r->s.arena, &t->path, e);
		if (!rc)
			rc = check_paths(r, t->path, e);
	}
	return rc;
}

static int prepare(struct render *r, struct err *e)
{
	int rc = session_choose(&r->s, e);

	if (!rc)
		rc = render_options_draw_seed(&r->s.o, e);
	if (!rc)
		rc = choose_paths(r, e);
	return rc ? rc : session_peek_continued(&r->s, e);
}

/* ---- open --------------------------------------------------------------- */

/* A recipe names its model; another one of that name makes other samples. */
static void compare_model(struct render *r)
{
	if (session_is_model(&r->s, r->s.o.model_hash, r->s.o.weights_sha256) ||
		r->s.globals->quiet)
		return;
	progress_clear(&r->s.progress);
	print_warning("the model is not the one of the recipe, though it has its name: the samples "
		      "will not be the same");
}

/* ---- render ------------------------------------------------------------- */

static int open_take(struct render *r, struct file *t, struct err *e)
{
	struct str json = {0}, comment = {0};
	struct recipe recipe;
	int rc;

	session_recipe(&r->s, t->seed, &recipe);
	recipe_json(&recipe, &json);
	recipe_comment(&recipe, &comment);
	rc = audio_writer_open(
		&(struct audio_writer_desc){
			.path = t->path,
			.channels = r->s.info->channels,
			.rate_hz = r->s.info->rate,
			.format = output_format(r->s.o.format),
			.recipe = str_get(&json),
			.comment = str_get(&comment),
			.is_private = !r->s.o.out,
			.keep_existing = !r->s.o.out,
		},
		&t->writer, e);
	str_done(&json);
	str_done(&comment);
	if (!rc && !r->s.o.out)
		rc = loudness_meter_open(r->s.info->channels, r->s.info->rate, &t->meter, e);
	return rc;
}

static void close_takes(struct file *takes, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++) {
		audio_writer_close(takes[i].writer);
		loudness_meter_close(takes[i].meter);
		takes[i].writer = NULL;
		takes[i].meter = NULL;
	}
}

static int on_audio(void *ud, int take, const struct engine_audio *chunk, struct err *e)
{
	struct render *r = ud;

	int rc = audio_writer_add(r->batch[take].writer, chunk->samples, (size_t)chunk->frames, e);

	r->delivered = true;
	if (!rc && r->batch[take].meter)
		rc = loudness_meter_add(
			r->batch[take].meter, chunk->samples, (size_t)chunk->frames, e);
	return rc;
}

static int on_score(void *ud, int take, double score, struct err *e)
{
	((struct render *)ud)->batch[take].score = score;
	return 0;
}

/* Each replaces the one before. */
static int on_preview(void *ud, int take, int step, const struct engine_audio *whole, struct err *e)
{
	struct render *r = ud;
	struct audio_writer *w;
	int rc = audio_writer_open(
		&(struct audio_writer_desc){
			.path = preview_name(r, r->batch[take].path),
			.channels = whole->channels,
			.rate_hz = whole->rate,
			.format = output_format(r->s.o.format),
		},
		&w, e);

	if (rc)
		return rc;
	rc = audio_writer_add(w, whole->samples, (size_t)whole->frames, e);
	if (!rc)
		rc = audio_writer_commit(w, e);
	audio_writer_close(w);
	return rc;
}

/* The process's largest memory so far, 0 if unknown. */
static uint64_t peak_bytes(void)
{
	FILE *f = fopen("/proc/self/status", "re");
	unsigned long long kb = 0;
	char line[256];

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "VmHWM: %llu kB", &kb) == 1)
			break;
	if (f)
		fclose(f);
	return kb * 1024;
}

static double seconds_of(const struct render *r)
{
	return (double)(r->s.n_frames * r->s.info->frame_samples) / r->s.info->rate;
}

static void show_json(const struct render *r, const struct file *t, struct str *out)
{
	jsonw_begin(out);
	jsonw_text(out, "type", "result");
	jsonw_text(out, "file", t->path);
	jsonw_num(out, "seconds", seconds_of(r));
	jsonw_u64(out, "frames", (uint64_t)r->s.n_frames);
	jsonw_u64(out, "rate", (uint64_t)r->s.info->rate);
	jsonw_u64(out, "channels", (uint64_t)r->s.info->channels);
	jsonw_u64(out, "seed", t->seed);
	if (t->id)
		jsonw_u64(out, "take", (uint64_t)t->id);
	if (!isnan(t->score))
		jsonw_num(out, "score", t->score);
	jsonw_u64(out, "clipped", t->clipped);
	jsonw_text(out, "model", r->s.model.name);
	jsonw_text(out, "precision", r->s.info->precision);
	jsonw_text(out, "device", r->s.info->device);
	jsonw_num(out, "wall_s", round((clock_now() - r->began) * 1e3) / 1e3);
	jsonw_u64(out, "peak_bytes", peak_bytes());
	if (strcmp(r->s.info->device, "cpu"))
		jsonw_u64(out, "gpu_peak_bytes", gpu_bytes_peak(engine_gpu(r->s.engine)));
	jsonw_end(out);
}

static void show_take(const struct render *r, const struct file *t)
{
	struct str line = {0};

	if (r->s.o.json) {
		show_json(r, t, &line);
	} else {
		str_printf(&line, "%s  %.2f s  seed %" PRIu64, t->path, seconds_of(r), t->seed);
		if (!isnan(t->score))
			str_printf(&line, "  score %.3f", t->score);
		if (isatty(STDOUT_FILENO))
			str_sanitize(line.s);
	}
	print_line(str_get(&line));
	str_done(&line);
	if (!r->s.globals->quiet)
		output_warn_clipped(t->path, t->clipped);
}

static void tell_found(size_t n)
{
	struct str text = {0};

	library_tell_found(n, &text);
	print_warning(text.s);
	str_done(&text);
}

/* Once, before the first take has its file: those of a lost library are found, and this one
 * is none of them. */
static int open_db(struct render *r, struct err *e)
{
	size_t n_found;
	int rc;

	if (r->db)
		return 0;
	rc = library_open(r->library, clock_unix_ms(), &r->db, &n_found, e);
	if (!rc && n_found)
		tell_found(n_found);
	if (!rc)
		rc = parameters_publish(r->db, e);
	if (rc) {
		db_close(r->db);
		r->db = NULL;
	}
	return rc;
}

static int enter(struct render *r, struct file *t, struct err *e)
{
	struct take row;
	int rc = open_db(r, e);

	if (rc)
		return rc;
	session_take(&r->s, t->seed, t->path + strlen(r->library) + 1, t->meter, &r->s.arena, &row);
	row.score = t->score;
	rc = db_begin(r->db, e);
	if (rc)
		return rc;
	rc = prompts_add(r->db, row.prompt, row.negative, 0, NULL, row.created, &row.prompt_id, e);
	if (!rc)
		rc = takes_add(r->db, &row, &t->id, e);
	if (!rc)
		return db_commit(r->db, e);
	db_rollback(r->db);
	return rc;
}

/* The file is what must not be lost, and it is there; a row that could not be
 * written is made from it by the next worker. */
static void enter_or_warn(struct render *r, struct file *t)
{
	struct err e = {0};

	if (!r->s.o.out && enter(r, t, &e))
		print_warning(e.text);
}

/* Takes first .. first + n - 1 as one batch. */
static int render_batch(struct render *r, uint64_t first, uint64_t n, struct err *e)
{
	const struct engine_sink sink = {.audio = on_audio,
		.score = r->s.o.rank ? on_score : NULL,
		.preview = r->s.o.preview ? on_preview : NULL,
		.ud = r};
	double began, wall_s;
	int rc = 0;

	r->batch = &r->takes[first];
	r->delivered = false;
	r->s.n_at_once = n;
	for (uint64_t i = 0; i < n && !rc; i++)
		rc = open_take(r, &r->batch[i], e);
	began = clock_now();
	if (!rc)
		rc = session_render(&r->s, (int)n, r->batch->seed, &sink, e);
	wall_s = clock_now() - began; /* library_open() may find many takes */
	if (!rc)
		progress_clear(&r->s.progress);
	if (!rc && !r->s.o.out)
		open_db(r, NULL); /* what is wrong is told when a take is entered */
	for (uint64_t i = 0; i < n && !rc; i++) {
		rc = audio_writer_commit(r->batch[i].writer, e);
		if (rc)
			break;
		r->batch[i].clipped = audio_writer_clipped(r->batch[i].writer);
		enter_or_warn(r, &r->batch[i]);
		if (!r->s.o.rank)
			show_take(r, &r->batch[i]);
	}
	close_takes(r->batch, n);
	if (!rc && r->db && !r->s.o.no_graphs) /* forecasts are of workers, which have graphs */
		session_measured(&r->s, r->db, n, &r->load_s, wall_s);
	return rc;
}

static int by_score(const void *a, const void *b)
{
	const struct file *x = a, *y = b;

	return (x->score < y->score) - (x->score > y->score);
}

static void show_ranked(struct render *r, uint64_t n)
{
	if (!r->s.o.rank || !n)
		return;
	qsort(r->takes, n, sizeof(*r->takes), by_score);
	for (uint64_t i = 0; i < n; i++)
		show_take(r, &r->takes[i]);
}

/* A take gives the same samples in any batch, so what does not fit into
 * memory together is made in smaller ones. */
static int render_all(struct render *r, struct err *e)
{
	uint64_t size = r->s.o.count < BATCH_MAX ? r->s.o.count : BATCH_MAX, first = 0;

	while (first < r->s.o.count) {
		uint64_t n = r->s.o.count - first < size ? r->s.o.count - first : size;
		int rc;

		r->s.progress.n_before = first;
		r->s.progress.n_batch = n;
		r->s.progress.n_takes = r->s.o.count;
		rc = render_batch(r, first, n, e);
		if (rc == ERR_NOMEM && n > 1 && !r->delivered) {
			err_clear(e);
			size = n / 2;
			continue;
		}
		if (rc)
			return rc;
		first += n;
	}
	show_ranked(r, first);
	return 0;
}

/* ---- the verb ----------------------------------------------------------- */

static int run(struct render *r, struct err *e)
{
	int rc = prepare(r, e);
	const double began = clock_now();

	if (!rc)
		rc = session_open(&r->s, e);
	if (!rc) {
		r->load_s = clock_now() - began;
		compare_model(r);
		rc = render_all(r, e);
	}
	progress_clear(&r->s.progress);
	if (!rc) {
		stop_finish();
		rc = print_check(e);
	}
	return rc;
}

int verb_render(struct globals *g, const struct environment *env, int argc, char **argv)
{
	struct render r = {.s = {.globals = g, .env = env}, .began = clock_now()};
	struct err e = {0};
	int rc = render_options_parse(&r.s.o, g, argc, argv, &r.s.arena, &e);

	if (!rc && (g->help || g->version)) {
		if (g->help)
			print_help("usage: woodshed render [OPTION]... [--] PROMPT\n"
				   "       woodshed render --recipe FILE [OPTION]... [PROMPT]\n\n"
				   "Makes music from a text, with the samples that the model "
				   "gives.\n\n",
				render_option_specs);
		else
			print_version();
		session_done(&r.s);
		return 0;
	}
	if (!rc)
		rc = stop_watch(audio_writer_unlink_all, &e);
	if (!rc) {
		session_progress(&r.s);
		rc = run(&r, &e);
	}
	if (rc)
		print_error(e.text);
	db_close(r.db);
	session_done(&r.s);
	return !rc ? 0 : rc == ERR_ARG ? 2 : 1;
}
