/* A model that is open for what one command line asks for. */
#include "engine/cli/session.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/cli/noise_file.h"
#include "engine/cli/print.h"
#include "library/base/clock.h"
#include "library/base/err.h"
#include "library/base/sha256.h"
#include "library/forecast.h"
#include "library/globals.h"
#include "library/loudness.h"
#include "library/paths.h"
#include "library/recipe.h"
#include "library/takes.h"

/* ---- choose ------------------------------------------------------------- */

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

static int fail_no_model(struct arena *a, const struct models *m, const char *name, struct err *e)
{
	if (!m->n)
		return err_set(e, ERR_IO,
			"no model is installed; woodshed pull musicgen-small fetches one, or name "
			"a model's folder with --model DIR");
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
static int choose(struct session *s, struct err *e)
{
	const char *name = s->o.model;
	const struct model *found = NULL;
	struct models models = {0};
	int rc = 0;

	if (!name || !strchr(name, '/')) {
		rc = globals_models(s->globals, s->env, &s->arena, &models, e);
		found = name ? models_find(&models, name) : models.chosen;
	}
	if (name && !found && (strchr(name, '/') || is_folder(name))) {
		err_clear(e);
		model_describe(name, &s->arena, &s->model);
		s->is_folder = true;
		return 0;
	}
	if (rc)
		return rc;
	if (!found)
		return fail_no_model(&s->arena, &models, name, e);
	s->model = *found;
	return 0;
}

/* No option was given that the engine does not have. */
static int check_given(const struct session *s, struct err *e)
{
	const bool diffusion = strcmp(s->model.engine, "musicgen") != 0;
	if (!diffusion && s->o.diffusion_only)
		return err_set(e, ERR_ARG,
			"--%s belongs to the diffusion engines; leave it out to render with the "
			"MusicGen model '%s'",
			s->o.diffusion_only, s->model.name);
	if (s->o.stable_audio_only && !strcmp(s->model.engine, "audioldm2"))
		return err_set(e, ERR_ARG,
			"--%s belongs to Stable Audio; leave it out to render with '%s', an "
			"AudioLDM 2 model",
			s->o.stable_audio_only, s->model.name);
	if (s->o.rank && strcmp(s->model.engine, "audioldm2") != 0)
		return err_set(e, ERR_ARG,
			"--rank belongs to AudioLDM 2, whose CLAP compares; leave it out to render "
			"with '%s'",
			s->model.name);
	if (diffusion && s->o.tokens_only)
		return err_set(e, ERR_ARG,
			"--%s belongs to MusicGen; leave it out to render with '%s', which is a "
			"diffusion model",
			s->o.tokens_only, s->model.name);
	return 0;
}

int session_choose(struct session *s, struct err *e)
{
	int rc = choose(s, e);

	if (rc || !s->model.engine)
		return rc;
	rc = check_given(s, e);
	if (!rc)
		rc = render_options_fit(&s->o, s->model.engine, e);
	if (!rc && s->o.sampler)
		rc = engine_check_sampler(s->model.engine, s->o.sampler, e);
	return rc;
}

enum engine_precision session_precision(const struct session *s)
{
	for (enum engine_precision p = ENGINE_F32; p <= ENGINE_INT8; p++)
		if (!strcmp(s->o.precision, engine_precision_name(p)))
			return p;
	return ENGINE_AUTO;
}

double session_seconds(const struct session *s)
{
	double seconds = s->o.length_s;

	if (s->o.seconds)
		parse_f64(s->o.seconds, &seconds);
	return seconds;
}

static void hash_audio(const struct audio *audio, char ret[65])
{
	struct sha256 hash;

	sha256_init(&hash);
	sha256_add(&hash, audio->samples,
		audio->n_frames * (size_t)audio->channels * sizeof(*audio->samples));
	sha256_hex(&hash, ret);
}

static double continued_s(const struct session *s)
{
	return (double)s->continued.n_frames / s->continued.rate_hz;
}

static int fail_continued(const struct session *s, struct err *e)
{
	return err_set(e, ERR_ARG,
		"the audio to continue is %.2f s long, which leaves nothing to make; ask for more "
		"with --seconds",
		continued_s(s));
}

void session_warn(void *ud, const char *text)
{
	struct session *s = ud;

	if (s->globals->quiet)
		return;
	if (s->engine) {
		progress_clear(&s->progress);
		print_warning(text);
	} else {
		str_add(&s->warnings, text);
		str_add_char(&s->warnings, '\n');
	}
}

/* What there is of a file is taken. */
static void warn_of_shortfall(struct session *s, const char *path, const struct audio *a)
{
	char why[AUDIO_SHORTFALL_MAX];
	struct str text = {0};

	if (!*audio_shortfall(a, why))
		return;
	str_printf(&text, "'%s' is damaged: %s", path, why);
	session_warn(s, text.s);
	str_done(&text);
}

static int read_continued(struct session *s, int rate_hz, int channels, struct err *e)
{
	const double seconds = session_seconds(s);
	const struct audio_read_desc d = {.path = s->o.continued,
		.rate_hz = rate_hz,
		.channels = channels,
		.max_s = SESSION_SECONDS_MAX};
	int rc;

	if (!s->o.continued ||
		(s->continued.rate_hz == rate_hz && s->continued.channels == channels))
		return 0;
	audio_done(&s->continued);
	rc = audio_read(&d, &s->continued, e);
	if (rc)
		return err_wrap(e, rc, "--continue");
	warn_of_shortfall(s, s->o.continued, &s->continued);
	hash_audio(&s->continued, s->continued_sha256);
	if (seconds > 0 && continued_s(s) >= seconds)
		return fail_continued(s, e);
	return 0;
}

int session_peek_continued(struct session *s, struct err *e)
{
	return s->model.rate_hz ? read_continued(s, s->model.rate_hz, s->model.channels, e) : 0;
}

/* ---- open --------------------------------------------------------------- */

static int on_progress(void *ud, enum engine_stage stage, uint64_t done, uint64_t total)
{
	struct session *s = ud;

	progress_update(&s->progress, stage, done, total);
	return 0;
}

static void flush_warnings(struct session *s)
{
	char *next = s->warnings.s, *line;

	if (next && *next)
		progress_clear(&s->progress);
	while (next && (line = strsep(&next, "\n")) && *line)
		print_warning(line);
	str_clear(&s->warnings);
}

static struct engine_watch watch_of(struct session *s)
{
	if (s->watch.progress)
		return s->watch;
	return (struct engine_watch){.progress = on_progress, .warn = session_warn, .ud = s};
}

/* In the library, where there is one: with --out it need not be. */
static const char *cache_prefix(struct session *s)
{
	const char *library = NULL;

	if (globals_library_name(s->globals, s->env, &s->arena, &library, NULL))
		return NULL;
	return paths_model_cache(library, s->model.dir, &s->arena);
}

/* The length that a recipe tells: its codec frames, where this model has the
 * same, else its seconds. */
static int recipe_frames(struct session *s, struct err *e)
{
	double seconds = (double)s->o.frames * (double)s->info->frame_samples / s->info->rate;
	char text[32];

	if (s->o.frames && (seconds == s->o.length_s ||
				   (!(s->o.length_s > 0) && seconds <= SESSION_SECONDS_MAX))) {
		s->n_frames = (int64_t)s->o.frames;
		return 0;
	}
	snprintf(text, sizeof(text), "%.15g", s->o.length_s);
	return engine_frames(s->info, text, &s->n_frames, e);
}

static int choose_length(struct session *s, struct err *e)
{
	int rc = 0;

	s->n_frames = s->info->default_frames;
	if (s->init.samples && (int64_t)s->init.n_frames < s->n_frames)
		s->n_frames = (int64_t)s->init.n_frames;
	if (s->o.seconds)
		rc = engine_frames(s->info, s->o.seconds, &s->n_frames, e);
	else if (s->o.length_s > 0 || s->o.frames)
		rc = recipe_frames(s, e);
	return rc ? err_wrap(e, rc, "--seconds") : 0;
}

int session_check_length(const struct session *s, struct err *e)
{
	struct session unopened = {.o = s->o};
	struct engine_info info;
	int rc = engine_describe(s->model.dir, &info, e);

	unopened.info = &info;
	return rc ? rc : choose_length(&unopened, e);
}

/* As much of it as the model has room for. */
static int read_init(struct session *s, struct err *e)
{
	const struct engine_info *info = s->info;
	const size_t window = (size_t)(info->longest_frames * info->frame_samples); /* 0: any */
	const struct audio_read_desc d = {.path = s->o.init,
		.rate_hz = info->rate,
		.channels = info->channels,
		.max_s = SESSION_SECONDS_MAX};
	int rc;

	if (!s->o.init || s->init.samples)
		return 0;
	rc = audio_read(&d, &s->init, e);
	if (rc)
		return err_wrap(e, rc, "--init");
	warn_of_shortfall(s, s->o.init, &s->init);
	if (window && s->init.n_frames > window)
		s->init.n_frames = window;
	hash_audio(&s->init, s->init_sha256);
	if (s->o.init_sha256 && strcmp(s->o.init_sha256, s->init_sha256))
		return err_set(e, ERR_FORMAT,
			"'%s' does not hold the samples that the recipe's take began with; name "
			"the right file with --init",
			s->o.init);
	if (s->o.redo && s->o.redo_from >= (double)s->init.n_frames / info->rate)
		return err_set(e, ERR_ARG, "--redo %s begins behind the end of '%s', at %.2f s",
			s->o.redo, s->o.init, (double)s->init.n_frames / info->rate);
	return 0;
}

static int read_noise(struct session *s, struct err *e)
{
	struct sha256 hash;
	int rc;

	if (!s->o.noise || s->noise.latents)
		return 0;
	rc = noise_file_read(s->o.noise, &s->noise, e);
	if (rc)
		return rc;
	sha256_init(&hash);
	sha256_add(&hash, s->noise.latents, (size_t)s->noise.n * sizeof(float));
	if (s->noise.steps)
		sha256_add(&hash, s->noise.steps,
			(size_t)(s->noise.n * s->noise.n_steps) * sizeof(float));
	sha256_hex(&hash, s->noise_sha256);
	if (s->o.noise_sha256 && strcmp(s->o.noise_sha256, s->noise_sha256))
		return err_set(e, ERR_FORMAT,
			"'%s' does not hold the draws of the recipe's take; name the right file "
			"with --noise",
			s->o.noise);
	return 0;
}

static int check_continued(const struct session *s, struct err *e)
{
	int64_t n = ((int64_t)s->continued.n_frames + s->info->frame_samples - 1) /
		    s->info->frame_samples;

	if (s->continued.samples && n >= s->n_frames)
		return fail_continued(s, e);
	if (s->continued.samples && s->o.continued_sha256 &&
		strcmp(s->o.continued_sha256, s->continued_sha256))
		return err_set(e, ERR_FORMAT,
			"'%s' does not hold the samples that the recipe's take continues; name "
			"the right file with --continue",
			s->o.continued);
	return 0;
}

bool session_take_engine(struct session *to, struct session *from)
{
	if (!from->engine || strcmp(to->model.dir, from->model.dir) ||
		strcmp(to->o.precision, from->o.precision) ||
		strcmp(to->o.device, from->o.device) || to->o.threads != from->o.threads)
		return false;
	to->engine = from->engine;
	from->engine = NULL;
	from->info = NULL;
	return true;
}

static int load(struct session *s, struct err *e)
{
	const struct engine_options options = {
		.device = s->o.device,
		.precision = session_precision(s),
		.n_threads = (int)s->o.threads,
		.no_replay = s->o.no_graphs,
		.cache = cache_prefix(s),
	};
	const struct engine_watch watch = watch_of(s);

	return engine_open(s->model.dir, &options, &watch, &s->engine, e);
}

int session_open(struct session *s, struct err *e)
{
	int rc = s->engine ? 0 : load(s, e);

	if (rc)
		return rc;
	flush_warnings(s);
	s->info = engine_info(s->engine);
	rc = read_init(s, e);
	if (!rc)
		rc = choose_length(s, e);
	if (!rc)
		rc = read_continued(s, s->info->rate, s->info->channels, e);
	if (!rc)
		rc = read_noise(s, e);
	return rc ? rc : check_continued(s, e);
}

bool session_is_model(const struct session *s, const char *model_hash, const char *weights_sha256)
{
	return (!model_hash || !strcmp(model_hash, s->info->model_hash)) &&
	       (!weights_sha256 || !strcmp(weights_sha256, s->info->weights_sha256));
}

/* ---- render ------------------------------------------------------------- */

int session_render(struct session *s, int n_takes, uint64_t seed, const struct engine_sink *sink,
	struct err *e)
{
	const struct engine_request request = {
		.prompt = s->o.prompt,
		.n_frames = s->n_frames,
		.n_takes = n_takes,
		.seed = seed,
		.guidance = (float)s->o.cfg,
		.greedy = s->o.greedy,
		.temperature = (float)s->o.temperature,
		.top_k = (int)s->o.top_k,
		.top_p = (float)s->o.top_p,
		.continued = {.samples = s->continued.samples,
			.frames = (int64_t)s->continued.n_frames,
			.channels = s->continued.channels,
			.rate = s->continued.rate_hz},
		.latents = s->latents,
		.negative = s->o.negative,
		.steps = (int)s->o.steps,
		.sampler = s->o.sampler,
		.noise = s->noise.latents ? &s->noise : NULL,
		.sigma_min = (float)s->o.sigma_min,
		.sigma_max = (float)s->o.sigma_max,
		.init = {.samples = s->init.samples,
			.frames = (int64_t)s->init.n_frames,
			.channels = s->init.channels,
			.rate = s->init.rate_hz},
		.strength = (float)s->o.strength,
		.redo_from = s->o.redo_from,
		.redo_to = s->o.redo_to,
		.preview = sink->preview ? (int)s->o.preview : 0,
	};
	const struct engine_watch watch = watch_of(s);

	return engine_render(s->engine, &request, &watch, sink, e);
}

static const char *name_of(const char *path)
{
	const char *slash = path ? strrchr(path, '/') : NULL;

	return slash ? slash + 1 : path;
}

void session_recipe(const struct session *s, uint64_t seed, struct recipe *ret)
{
	const struct engine_info *info = s->info;

	*ret = (struct recipe){
		.program = "woodshed",
		.version = woodshed_version,
		.engine = info->engine,
		.model = s->model.name,
		.model_hash = info->model_hash,
		.weights_sha256 = info->weights_sha256,
		.prompt = s->o.prompt,
		.seed = seed,
		.seconds = (double)(s->n_frames * info->frame_samples) / info->rate,
		.frames = (uint64_t)s->n_frames,
		.rate_hz = (uint64_t)info->rate,
		.channels = (uint64_t)info->channels,
		.guidance = isnan(s->o.cfg) ? info->default_guidance : s->o.cfg,
		.negative = s->o.negative,
		.steps = s->o.steps ? s->o.steps : (uint64_t)info->default_steps,
		.sampler = s->o.sampler ? s->o.sampler : info->default_sampler,
		.sigma_min = s->o.sigma_min > 0 ? s->o.sigma_min : (double)NAN,
		.sigma_max = s->o.sigma_max > 0 ? s->o.sigma_max : (double)NAN,
		.strength = s->o.strength > 0 ? s->o.strength : (double)NAN,
		.redo = s->o.redo,
		.greedy = s->o.greedy,
		.temperature = s->o.temperature,
		.top_k = s->o.top_k,
		.top_p = s->o.top_p,
		.precision = info->precision,
		.device = info->device,
		.gpu = info->gpu,
		.batch = info->gpu && s->n_at_once > 1 ? s->n_at_once : 0,
	};
	if (s->continued.samples) {
		ret->continued = name_of(s->o.continued);
		ret->continued_sha256 = s->continued_sha256;
	}
	if (s->init.samples) {
		ret->init = name_of(s->o.init);
		ret->init_sha256 = s->init_sha256;
	}
	if (s->noise.latents) {
		ret->noise = name_of(s->o.noise);
		ret->noise_sha256 = s->noise_sha256;
	}
}

void session_take(const struct session *s, uint64_t seed, const char *file,
	struct loudness_meter *meter, struct arena *a, struct take *ret)
{
	struct loudness loudness = {.lufs = NAN};
	struct str json = {0};
	struct recipe recipe;

	if (meter)
		loudness_meter_read(meter, &loudness, NULL);
	session_recipe(s, seed, &recipe);
	recipe_json(&recipe, &json);
	*ret = (struct take){
		.prompt = s->o.prompt,
		.negative = s->o.negative,
		.model = recipe.model,
		.model_hash = recipe.model_hash,
		.seed = seed,
		.frames = s->n_frames * s->info->frame_samples,
		.rate = s->info->rate,
		.channels = s->info->channels,
		.guidance = recipe.guidance,
		.file = file,
		.recipe = arena_strdup(a, str_get(&json)),
		.lufs = isfinite(loudness.lufs) ? loudness.lufs : (double)NAN,
		.peak = loudness.peak > 0 ? loudness_db(loudness.peak) : (double)NAN,
		.score = NAN,
		.created = clock_unix_ms(),
	};
	str_done(&json);
}

void session_measured(
	const struct session *s, struct db *db, uint64_t n_takes, double *load_s, double wall_s)
{
	const struct engine_info *info = s->info;
	const uint64_t n_samples = (uint64_t)(s->n_frames * info->frame_samples);
	const struct measure m = {
		.model = s->model.name,
		.device = info->device,
		.precision = info->precision,
		.seconds = (double)n_samples / info->rate,
		.takes = (int64_t)n_takes,
		.load_s = *load_s,
		.wall_s = wall_s,
		.bytes = n_samples * (uint64_t)info->channels * sizeof(float) * n_takes,
	};
	struct err e = {0};

	*load_s = 0;
	if (n_takes && forecast_measured(db, &m, clock_unix_ms(), &e))
		print_warning(e.text);
}

void session_progress(struct session *s)
{
	bool terminal = isatty(STDERR_FILENO);

	s->progress.color = globals_has_color(s->globals, s->env, terminal);
	s->progress.utf8 = environment_is_utf8(s->env);
	if (s->o.json)
		s->progress.kind = PROGRESS_JSON;
	else if (s->globals->quiet || !terminal)
		s->progress.kind = PROGRESS_NONE;
	else if (globals_has_cursor(s->globals, s->env))
		s->progress.kind = PROGRESS_LINE;
	else
		s->progress.kind = PROGRESS_PLAIN;
}

void session_done(struct session *s)
{
	engine_close(s->engine);
	audio_done(&s->continued);
	audio_done(&s->init);
	noise_file_done(&s->noise);
	str_done(&s->warnings);
	arena_done(&s->arena);
}
