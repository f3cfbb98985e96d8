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
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/cli/output.h"
#include "engine/cli/print.h"
#include "engine/cli/progress.h"
#include "engine/cli/render_options.h"
#include "engine/cli/stop.h"
#include "engine/engine.h"
#include "library/audio.h"
#include "library/base/arena.h"
#include "library/base/clock.h"
#include "library/base/err.h"
#include "library/base/jsonw.h"
#include "library/base/str.h"
#include "library/globals.h"
#include "library/models.h"
#include "library/paths.h"

/* Takes of one batch share every pass over the weights; beyond this there is
 * little left to share, and their memory grows. */
enum { BATCH_MAX = 8 };

static const double DAY_S = 24 * 3600;

struct take {
	const char *path;
	uint64_t seed;
	struct audio_writer *writer; /* NULL before and after its batch */
};

struct render {
	struct render_options o;
	const struct globals *globals;
	const struct environment *env;
	double began;
	struct arena arena;
	const char *library; /* NULL until needed */
	struct model model;
	struct take *takes; /* o.count */
	struct audio continued;
	struct engine *engine;
	const struct engine_info *info;
	int64_t n_frames; /* of a take, in codec frames */
	struct progress progress;
	struct str warnings; /* of the load, one a line, until it has succeeded */
	struct take *batch;  /* first of the batch in progress */
	bool delivered;      /* the batch has given samples */
};

/* ---- prepare ------------------------------------------------------------ */

static int find_library(struct render *r, struct err *e)
{
	if (r->library)
		return 0;
	return globals_library(r->globals, r->env, &r->arena, &r->library, e);
}

static const char *join_names(struct arena *a, const struct models *m)
{
	struct str names = {0};
	const char *joined;

	for (size_t i = 0; i < m->n && names.n < 400; i++)
		str_printf(&names, "%s%s", i ? ", " : "", m->list[i].name);
	joined = arena_strdup(a, str_get(&names));
	str_done(&names);
	return joined;
}

static bool is_folder(const char *path)
{
	struct stat st;

	return !stat(path, &st) && S_ISDIR(st.st_mode);
}

static const struct model *find_model(const struct models *m, const char *name)
{
	for (size_t i = 0; i < m->n; i++)
		if (!strcmp(m->list[i].name, name))
			return &m->list[i];
	return NULL;
}

static int fail_no_model(struct arena *a, const struct models *m, const char *name, struct err *e)
{
	if (!m->n)
		return err_set(e, ERR_IO,
			"no model is installed, not even the one that comes with woodshed: "
			"install woodshed anew, or name a model's folder with --model DIR");
	if (name)
		return err_set(e, ERR_IO, "no model '%.200s' is installed; choose one of these: %s",
			name, join_names(a, m));
	if (m->picked)
		return err_set(e, ERR_IO,
			"the default model '%.200s' is not installed any more; choose another: "
			"woodshed models --default NAME, of these: %s",
			m->picked, join_names(a, m));
	return err_set(e, ERR_ARG, "several models are installed; choose one with --model: %s",
		join_names(a, m));
}

/* A word with a slash is a folder; any other is looked up in the library first,
 * which is neither made nor needed when it is a folder here. */
static int choose_model(struct render *r, struct err *e)
{
	const char *name = r->o.model;
	const struct model *found = NULL;
	struct models models = {0};
	int rc = 0;

	if (!name || !strchr(name, '/')) {
		rc = globals_models(r->globals, r->env, &r->arena, &models, e);
		found = name ? find_model(&models, name) : models.chosen;
	}
	if (name && !found && (strchr(name, '/') || is_folder(name))) {
		err_clear(e);
		model_describe(name, &r->arena, &r->model);
		return 0;
	}
	if (rc)
		return rc;
	if (!found)
		return fail_no_model(&r->arena, &models, name, e);
	r->model = *found;
	return 0;
}

static int check_foreign(const struct render *r, struct err *e)
{
	if (!r->o.foreign || !r->model.engine || strcmp(r->model.engine, "musicgen"))
		return 0;
	return err_set(e, ERR_ARG,
		"--%s belongs to the diffusion engines; leave it out to render with the MusicGen "
		"model "
		"'%s'",
		r->o.foreign, r->model.name);
}

/* Chosen below 2^53, so that every reader of JSON keeps it exactly. */
static int choose_seed(struct render *r, struct err *e)
{
	if (r->o.has_seed)
		return 0;
	if (getrandom(&r->o.seed, sizeof(r->o.seed), 0) != sizeof(r->o.seed))
		return err_errno(e, errno, "cannot draw a random seed; give one with --seed");
	r->o.seed >>= 11;
	if (r->o.seed > r->o.count)
		r->o.seed -= r->o.count;
	return 0;
}

/* The bytes of one take as far as they can be told before the model is
 * loaded; its default length is not. */
static uint64_t estimate_bytes(const struct render *r)
{
	double seconds = 0;

	if (r->o.seconds)
		parse_f64(r->o.seconds, &seconds);
	if (!r->model.rate_hz || !(seconds > 0 && seconds <= DAY_S))
		return 0;
	return (uint64_t)(seconds * r->model.rate_hz) * (uint64_t)r->model.channels *
	       output_sample_bytes(output_format(r->o.format));
}

static int choose_paths(struct render *r, struct err *e)
{
	int rc = r->o.out ? 0 : find_library(r, e);

	r->takes = ARENA_ARRAY(&r->arena, struct take, r->o.count);
	for (uint64_t i = 0; i < r->o.count && !rc; i++) {
		struct take *t = &r->takes[i];

		t->seed = r->o.seed + i;
		if (r->o.out)
			t->path = output_name(r->o.out, i, r->o.count, &r->arena);
		else
			rc = paths_new_take(r->library, clock_unix_ms(), &r->arena, &t->path, e);
		if (!rc)
			rc = output_check(t->path, estimate_bytes(r) * r->o.count, e);
	}
	return rc;
}

static int read_continued(struct render *r, int rate_hz, int channels, struct err *e)
{
	struct audio_read_desc d = {
		.path = r->o.continued, .rate_hz = rate_hz, .channels = channels, .max_s = DAY_S};
	int rc;

	if (!r->o.continued ||
		(r->continued.rate_hz == rate_hz && r->continued.channels == channels))
		return 0;
	audio_done(&r->continued);
	r->continued = (struct audio){0};
	if (r->o.seconds)
		parse_f64(r->o.seconds, &d.max_s);
	rc = audio_read(&d, &r->continued, e);
	return rc ? err_wrap(e, rc, "--continue") : 0;
}

static int prepare(struct render *r, struct err *e)
{
	int rc = choose_model(r, e);

	if (!rc)
		rc = check_foreign(r, e);
	if (!rc)
		rc = choose_seed(r, e);
	if (!rc)
		rc = choose_paths(r, e);
	/* What the description does not tell is read when the engine knows. */
	if (!rc && r->model.rate_hz)
		rc = read_continued(r, r->model.rate_hz, r->model.channels, e);
	return rc;
}

/* ---- open --------------------------------------------------------------- */

static int on_progress(void *ud, enum engine_stage stage, uint64_t done, uint64_t total)
{
	struct render *r = ud;

	progress_update(&r->progress, stage, done, total);
	return 0;
}

/* Warnings of a load that fails would only hide its error. */
static void on_warning(void *ud, const char *text)
{
	struct render *r = ud;

	if (r->globals->quiet)
		return;
	if (r->engine) {
		progress_clear(&r->progress);
		print_warning(text);
	} else {
		str_add(&r->warnings, text);
		str_add_char(&r->warnings, '\n');
	}
}

static void flush_warnings(struct render *r)
{
	char *next = r->warnings.s, *line;

	if (next && *next)
		progress_clear(&r->progress);
	while (next && (line = strsep(&next, "\n")) && *line)
		print_warning(line);
	str_clear(&r->warnings);
}

static enum engine_precision precision(const char *name)
{
	if (!strcmp(name, "f32"))
		return ENGINE_F32;
	if (!strcmp(name, "bf16"))
		return ENGINE_BF16;
	return !strcmp(name, "int8") ? ENGINE_INT8 : ENGINE_AUTO;
}

/* In the library, where there is one: with --out it need not be. */
static const char *cache_prefix(struct render *r)
{
	const char *library = NULL;

	if (globals_library_name(r->globals, r->env, &r->arena, &library, NULL))
		return NULL;
	return paths_model_cache(library, r->model.dir, &r->arena);
}

static int open_engine(struct render *r, const struct engine_watch *watch, struct err *e)
{
	const struct engine_options options = {
		.device = r->o.device,
		.precision = precision(r->o.precision),
		.n_threads = (int)r->o.threads,
		.cache = cache_prefix(r),
	};
	int64_t n_continued;
	int rc = engine_open(r->model.dir, &options, watch, &r->engine, e);

	if (rc)
		return rc;
	flush_warnings(r);
	r->info = engine_info(r->engine);
	r->n_frames = r->info->default_frames;
	if (r->o.seconds)
		rc = engine_frames(r->info, r->o.seconds, &r->n_frames, e);
	if (rc)
		return err_wrap(e, rc, "--seconds");
	rc = read_continued(r, r->info->rate, r->info->channels, e);
	if (rc || !r->continued.samples)
		return rc;
	n_continued = ((int64_t)r->continued.n_frames + r->info->frame_samples - 1) /
		      r->info->frame_samples;
	if (n_continued >= r->n_frames)
		return err_set(e, ERR_ARG,
			"the audio to continue is %.2f s long, which leaves nothing to make; ask "
			"for "
			"more with --seconds",
			(double)r->continued.n_frames / r->continued.rate_hz);
	return 0;
}

/* ---- render ------------------------------------------------------------- */

static struct recipe recipe_of(const struct render *r, const struct take *t)
{
	return (struct recipe){
		.options = &r->o,
		.info = r->info,
		.model = r->model.name,
		.seed = t->seed,
		.n_frames = r->n_frames,
		.guidance = isnan(r->o.cfg) ? r->info->default_guidance : r->o.cfg,
		.continued = &r->continued,
	};
}

static int open_take(struct render *r, struct take *t, struct err *e)
{
	const struct recipe recipe = recipe_of(r, t);
	struct str json = {0}, comment = {0};
	int rc;

	recipe_json(&recipe, &json);
	recipe_comment(&recipe, &comment);
	rc = audio_writer_open(
		&(struct audio_writer_desc){
			.path = t->path,
			.channels = r->info->channels,
			.rate_hz = r->info->rate,
			.format = output_format(r->o.format),
			.recipe = str_get(&json),
			.comment = str_get(&comment),
			.keep_existing = !r->o.out,
		},
		&t->writer, e);
	str_done(&json);
	str_done(&comment);
	return rc;
}

static void close_takes(struct take *takes, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++) {
		audio_writer_close(takes[i].writer);
		takes[i].writer = NULL;
	}
}

static int on_audio(void *ud, int take, const struct engine_audio *chunk, struct err *e)
{
	struct render *r = ud;

	r->delivered = true;
	return audio_writer_add(r->batch[take].writer, chunk->samples, (size_t)chunk->frames, e);
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
	return (double)(r->n_frames * r->info->frame_samples) / r->info->rate;
}

static void show_json(const struct render *r, const struct take *t, struct str *out)
{
	jsonw_begin(out);
	jsonw_text(out, "type", "result");
	jsonw_text(out, "file", t->path);
	jsonw_num(out, "seconds", seconds_of(r));
	jsonw_u64(out, "frames", (uint64_t)r->n_frames);
	jsonw_u64(out, "rate", (uint64_t)r->info->rate);
	jsonw_u64(out, "channels", (uint64_t)r->info->channels);
	jsonw_u64(out, "seed", t->seed);
	jsonw_text(out, "model", r->model.name);
	jsonw_text(out, "precision", r->info->precision);
	jsonw_text(out, "device", r->info->device);
	jsonw_num(out, "wall_s", round((clock_now() - r->began) * 1e3) / 1e3);
	jsonw_u64(out, "peak_bytes", peak_bytes());
	jsonw_end(out);
}

static void show_take(const struct render *r, const struct take *t)
{
	struct str line = {0};

	if (r->o.json) {
		show_json(r, t, &line);
	} else {
		str_printf(&line, "%s  %.2f s  seed %" PRIu64, t->path, seconds_of(r), t->seed);
		if (isatty(STDOUT_FILENO))
			str_sanitize(line.s);
	}
	print_line(str_get(&line));
	str_done(&line);
}

/* Takes first .. first + n - 1 as one batch. */
static int render_batch(struct render *r, uint64_t first, uint64_t n,
	const struct engine_watch *watch, struct err *e)
{
	const struct engine_request request = {
		.prompt = r->o.prompt,
		.n_frames = r->n_frames,
		.n_takes = (int)n,
		.seed = r->takes[first].seed,
		.guidance = (float)r->o.cfg,
		.greedy = r->o.greedy,
		.temperature = (float)r->o.temperature,
		.top_k = (int)r->o.top_k,
		.top_p = (float)r->o.top_p,
		.continued = {.samples = r->continued.samples,
			.frames = (int64_t)r->continued.n_frames,
			.channels = r->continued.channels,
			.rate = r->continued.rate_hz},
	};
	const struct engine_sink sink = {.audio = on_audio, .ud = r};
	int rc = 0;

	r->batch = &r->takes[first];
	r->delivered = false;
	for (uint64_t i = 0; i < n && !rc; i++)
		rc = open_take(r, &r->batch[i], e);
	if (!rc)
		rc = engine_render(r->engine, &request, watch, &sink, e);
	if (!rc)
		progress_clear(&r->progress);
	for (uint64_t i = 0; i < n && !rc; i++) {
		rc = audio_writer_commit(r->batch[i].writer, e);
		if (!rc)
			show_take(r, &r->batch[i]);
	}
	close_takes(r->batch, n);
	return rc;
}

/* A take gives the same samples in any batch, so what does not fit into
 * memory together is made in smaller ones. */
static int render_all(struct render *r, const struct engine_watch *watch, struct err *e)
{
	uint64_t size = r->o.count < BATCH_MAX ? r->o.count : BATCH_MAX, first = 0;

	while (first < r->o.count) {
		uint64_t n = r->o.count - first < size ? r->o.count - first : size;
		int rc;

		r->progress.n_batches = (r->o.count + size - 1) / size;
		r->progress.batch = first / size;
		rc = render_batch(r, first, n, watch, e);
		if (rc == ERR_NOMEM && n > 1 && !r->delivered) {
			err_clear(e);
			size = n / 2;
			continue;
		}
		if (rc)
			return rc;
		first += n;
	}
	return 0;
}

/* ---- the verb ----------------------------------------------------------- */

static void set_up_progress(struct render *r)
{
	bool terminal = isatty(STDERR_FILENO);

	r->progress.color = globals_has_color(r->globals, r->env, terminal);
	r->progress.utf8 = environment_is_utf8(r->env);
	if (r->o.json)
		r->progress.kind = PROGRESS_JSON;
	else if (r->globals->quiet || !terminal)
		r->progress.kind = PROGRESS_NONE;
	else if (globals_has_cursor(r->globals, r->env))
		r->progress.kind = PROGRESS_LINE;
	else
		r->progress.kind = PROGRESS_PLAIN;
}

static int run(struct render *r, struct err *e)
{
	const struct engine_watch watch = {.progress = on_progress, .warn = on_warning, .ud = r};
	int rc = prepare(r, e);

	if (!rc)
		rc = open_engine(r, &watch, e);
	if (!rc)
		rc = render_all(r, &watch, e);
	progress_clear(&r->progress);
	if (!rc) {
		stop_finish();
		rc = print_check(e);
	}
	return rc;
}

static void done(struct render *r)
{
	engine_close(r->engine);
	audio_done(&r->continued);
	str_done(&r->warnings);
	arena_done(&r->arena);
}

static void print_help(void)
{
	struct str out = {0};

	str_add(&out, "usage: woodshed render [OPTION]... [--] PROMPT\n\n"
		      "Makes music from a text, with the samples that the model gives.\n\n");
	options_help(render_option_specs, &out);
	str_add(&out, "\n");
	options_help(globals_options, &out);
	out.s[--out.n] = 0;
	print_line(out.s);
	str_done(&out);
}

int verb_render(struct globals *g, const struct environment *env, int argc, char **argv)
{
	struct render r = {.globals = g, .env = env, .began = clock_now()};
	struct err e = {0};
	int rc = render_options_parse(&r.o, g, argc, argv, &e);

	if (!rc && (g->help || g->version)) {
		if (g->help)
			print_help();
		else
			print_version();
		return 0;
	}
	if (!rc)
		rc = stop_watch(audio_writer_unlink_all, &e);
	if (!rc) {
		set_up_progress(&r);
		rc = run(&r, &e);
	}
	if (rc)
		print_error(e.text);
	done(&r);
	return !rc ? 0 : rc == ERR_ARG ? 2 : 1;
}
