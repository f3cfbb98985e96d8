/* Stable Audio Open: text to 44.1 kHz stereo.
 *
 *	text       prompt and negative prompt -> tokens -> T5
 *	condition  with the two numbers -> keys and values for every layer
 *	start      noise, or audio to begin with -> autoencoder -> latents, and noise
 *	loop       steps of the sampler: transformer with and without text, guidance
 *	decode     latents -> autoencoder -> samples, as many as were asked for
 *
 * A model knows one window; a shorter take is its beginning, and the numbers tell
 * the model where it ends.  Takes are made one after the other: a step keeps the
 * processor busy with one.
 *
 * Two layouts: the folders of diffusers, and the single file of stable-audio-tools,
 * which lacks the text encoder.  Objectives: v, where x at noise sigma is seen as
 * c_in x at time atan(sigma), and rectified flow.  Length is in samples (frame_samples
 * is 1). */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/diffusion.h"
#include "engine/nets/oobleck.h"
#include "engine/nets/sa_conditioner.h"
#include "engine/nets/sa_dit.h"
#include "engine/nets/t5.h"
#include "engine/pipeline.h"
#include "engine/text/unigram.h"
#include "engine/weights/bind.h"
#include "engine/weights/ckpt.h"
#include "engine/weights/config.h"
#include "library/base/arena.h"
#include "library/base/err.h"

enum {
	MAX_TAKES = 1024,
	MAX_STEPS = 10000,
	DECODE_FRAMES = 64,
	ENCODE_SAMPLES = 1 << 16,
	FADE_SAMPLES = 2048, /* between what was made anew and what stays */
};
/* AUTO: a model whose weights take no more than this in f32 is run in f32. */
#define SMALL_MODEL_BYTES (256u << 20)
/* Smaller tables are converted faster than a cache is worth. */
#define CACHE_LEAST_BYTES (128u << 20)
/* AUTO: what a render needs besides weights. */
#define RENDER_BYTES     (300u << 20)
#define DEFAULT_STRENGTH 0.5f

/* How the checkpoint is laid out and what the model was trained to tell. */
enum layout { DIFFUSERS, TOOLS };
enum objective { OBJECTIVE_V, OBJECTIVE_FLOW };

struct stable_audio {
	struct arena host;
	struct ckpt *ckpt;     /* owned */
	struct unigram *words; /* owned */
	struct gpu_arena *weights, *encoder_weights;
	struct t5 t5;
	struct sa_conditioner conditioner;
	struct sa_dit dit;
	struct oobleck vae;
	enum layout layout;
	enum objective objective;
	struct sampler_sigmas sigmas;
	double sigma_data, start; /* V; start: of the noise at sigmas.max; 0: sigmas.max */
	enum engine_precision precision;
	int n_threads;
	bool has_encoder; /* its weights are loaded */
};

struct render {
	struct stable_audio *m;
	const struct engine_info *info;
	struct gpu *g;
	const struct engine_request *r;
	const struct engine_watch *watch;
	const struct engine_sink *sink;
	struct err *e;
	struct arena host;
	struct gpu_arena *arena, *step; /* of the render, of a step */
	float guidance;                 /* 0: none */
	struct sampler_plan plan;
	struct sa_dit_condition *with, *without; /* text; without: NULL without guidance */
	struct gpu_tensor *init;                 /* latents to begin with; or NULL */
	struct gpu_tensor *latents;              /* [window, channels] */
	struct diffusion loop;
	int take;
	/* Of the decoder: where its samples go. */
	int (*to)(struct render *rd, float *samples, int64_t n);
	int64_t n_decoded; /* samples so far */
	float *chunk;      /* owned */
	int64_t chunk_size;
	float *whole; /* of a preview, or what the encoder is given; owned */
	int rc;       /* of a callback */
};

/* ---- opening ------------------------------------------------------------ */

/* Of the transformer, which sees a thousand rows at a time. */
static enum gpu_dtype matrix_dtype(enum engine_precision p)
{
	return p == ENGINE_F32 ? GPU_F32 : p == ENGINE_INT8 ? GPU_I8 : GPU_TILES;
}

/* Of the autoencoder, which is small. */
static enum gpu_dtype sound_dtype(enum engine_precision p)
{
	return p == ENGINE_BF16 ? GPU_TILES : GPU_F32;
}

static const char *precision_name(enum engine_precision p)
{
	return p == ENGINE_F32 ? "f32" : p == ENGINE_INT8 ? "int8" : "bf16";
}

/* The scheduler of diffusers' folder. */
static void read_scheduler(struct stable_audio *m, struct config *c)
{
	const char *schedule = config_str(c, "sigma_schedule", "exponential");
	const char *prediction = config_str(c, "prediction_type", "v_prediction");

	m->objective = OBJECTIVE_V;
	m->sigmas.min = config_num(c, "sigma_min", 0.3, 1e-6, 1e6);
	m->sigmas.max = config_num(c, "sigma_max", 500, 1e-6, 1e6);
	m->sigmas.rho = 1;
	m->sigma_data = config_num(c, "sigma_data", 1, 1e-6, 1e6);
	m->start = sqrt(m->sigmas.max * m->sigmas.max + 1);
	config_require(c, !strcmp(schedule, "exponential"),
		"sigma_schedule '%s' is not supported (exponential)", schedule);
	config_require(c, !strcmp(prediction, "v_prediction"),
		"prediction_type '%s' is not supported (v_prediction)", prediction);
	config_require(c, config_int(c, "solver_order", 2, 1, 3) == 2,
		"a solver_order other than 2 is not supported");
	config_require(c, !strcmp(config_str(c, "solver_type", "midpoint"), "midpoint"),
		"a solver_type other than midpoint is not supported");
	config_require(c, !strcmp(config_str(c, "final_sigmas_type", "zero"), "zero"),
		"final_sigmas_type other than zero is not supported");
}

/* Tokens that the pipeline gives the text encoder: the tokenizer's limit. */
static int read_limit(const char *dir, int64_t *ret, struct err *e)
{
	struct config *c;
	int rc = pipeline_config(dir, "tokenizer/tokenizer_config.json", NULL, &c, e);

	if (rc)
		return rc;
	*ret = (int64_t)config_num(c, "model_max_length", 512, 2, 4096);
	rc = config_check(c, e);
	config_close(c);
	return rc;
}

/* One part's description, read by `which`. */
static int configure_part(
	struct stable_audio *m, const char *dir, const char *path, const char *class, struct err *e)
{
	struct config *c;
	int64_t n_tokens = 0;
	int rc = pipeline_config(dir, path, class, &c, e);

	if (!rc && !strncmp(path, "projection", 10))
		rc = read_limit(dir, &n_tokens, e);
	if (rc) {
		config_close(c);
		return rc;
	}
	switch (*path) {
	case 's':
		read_scheduler(m, c);
		break;
	case 't':
		if (path[1] == 'r')
			sa_dit_configure(&m->dit, c, SA_DIT_DIFFUSERS, 1);
		else
			t5_configure(&m->t5, c, "");
		break;
	case 'v':
		oobleck_configure(&m->vae, c, OOBLECK_DIFFUSERS);
		break;
	default:
		sa_conditioner_configure(&m->conditioner, c, SA_CONDITIONER_DIFFUSERS, n_tokens);
	}
	rc = config_check(c, e);
	config_close(c);
	return rc;
}

static int configure_diffusers(struct stable_audio *m, const char *dir, struct err *e)
{
	static const char *const parts[][2] = {
		{"scheduler/scheduler_config.json", "CosineDPMSolverMultistepScheduler"},
		{"text_encoder/config.json", NULL},
		{"projection_model/config.json", "StableAudioProjectionModel"},
		{"transformer/config.json", "StableAudioDiTModel"},
		{"vae/config.json", "AutoencoderOobleck"},
	};
	int rc = 0;

	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts) && !rc; i++)
		rc = configure_part(m, dir, parts[i][0], parts[i][1], e);
	return rc;
}

/* model_config.json, and the text encoder that was put beside it. */
static int configure_tools(struct stable_audio *m, const char *dir, struct config *c, struct err *e)
{
	const char *objective = config_str(c, "model.diffusion.diffusion_objective", "v");

	oobleck_configure(&m->vae, c, OOBLECK_TOOLS);
	sa_dit_configure(&m->dit, c, SA_DIT_TOOLS, m->vae.cfg.hop > 0 ? m->vae.cfg.hop : 1);
	sa_conditioner_configure(&m->conditioner, c, SA_CONDITIONER_TOOLS, 0);
	m->objective = strcmp(objective, "v") ? OBJECTIVE_FLOW : OBJECTIVE_V;
	config_require(c,
		!strcmp(objective, "v") || !strcmp(objective, "rf_denoiser") ||
			!strcmp(objective, "rectified_flow"),
		"diffusion_objective '%s' is not supported (v, rectified_flow, rf_denoiser)",
		objective);
	m->sigmas = (struct sampler_sigmas){.min = 0.3, .max = 500, .rho = 1};
	m->sigma_data = 1;
	int rc = config_check(c, e);
	return rc ? rc : configure_part(m, dir, "text_encoder/config.json", NULL, e);
}

/* Parts that must agree. */
static int check_parts(const struct stable_audio *m, struct err *e)
{
	const struct sa_conditioner *c = &m->conditioner;
	const struct sa_dit_config *d = &m->dit.cfg;
	const int n = c->has[SA_START] + c->has[SA_END];

	if (c->text_width != m->t5.cfg.width || c->width != d->text_in ||
		c->width * n != d->global_in || d->channels != m->vae.cfg.latent_channels ||
		d->channels * 2 != m->vae.cfg.encoder_out)
		return err_set(e, ERR_FORMAT,
			"the parts of the model do not fit together (text %lld and %lld, "
			"condition %lld and %lld, global %lld and %lld, latents %lld, %lld and "
			"%lld): download it again",
			(long long)m->t5.cfg.width, (long long)c->text_width, (long long)c->width,
			(long long)d->text_in, (long long)(c->width * n), (long long)d->global_in,
			(long long)d->channels, (long long)m->vae.cfg.latent_channels,
			(long long)m->vae.cfg.encoder_out / 2);
	if (oobleck_samples(&m->vae, d->window) < 1)
		return err_set(e, ERR_FORMAT, "the model's window holds no sample");
	return 0;
}

static struct bind *bind_all(struct engine *en, enum engine_precision p, bool with_encoder)
{
	struct stable_audio *m = en->model;
	struct bind *b = bind_new(m->ckpt, en->gpu, m->weights, m->n_threads);

	t5_bind(&m->t5, b, &m->host, p == ENGINE_F32 ? GPU_F32 : GPU_BF16, "text_encoder/");
	sa_conditioner_bind(&m->conditioner, b);
	sa_dit_bind(&m->dit, b, &m->host, matrix_dtype(p));
	oobleck_bind_decoder(&m->vae, b, sound_dtype(p));
	if (with_encoder)
		oobleck_bind_encoder(&m->vae, b, sound_dtype(p));
	/* A whole T5 may stand in for its encoder. */
	bind_ignore(b, "text_encoder/decoder.*");
	bind_ignore(b, "text_encoder/lm_head.*");
	return b;
}

static uint64_t weight_bytes(struct engine *en, enum engine_precision p)
{
	struct bind *b = bind_all(en, p, false);
	uint64_t n = bind_bytes(b);

	bind_free(b);
	return n;
}

static enum engine_precision choose_precision(struct engine *en)
{
	const uint64_t available = mem_available();

	if (weight_bytes(en, ENGINE_F32) <= SMALL_MODEL_BYTES)
		return ENGINE_F32;
	if (!available || weight_bytes(en, ENGINE_BF16) + RENDER_BYTES <= available)
		return ENGINE_BF16;
	return ENGINE_INT8;
}

static int load_progress(void *ud, uint64_t done, uint64_t total)
{
	return watch_progress(ud, ENGINE_STAGE_LOAD, done, total, NULL);
}

/* All complaints first, those about the encoder too, then the reading. */
static int load(
	struct engine *en, const char *cache, const struct engine_watch *watch, struct err *e)
{
	struct stable_audio *m = en->model;
	char unused[512];
	struct bind *b = bind_all(en, m->precision, true);
	int rc = bind_check(b, unused, sizeof(unused), e);

	bind_free(b);
	if (rc)
		return rc;
	if (*unused)
		watch_warn(watch, "%s", unused);
	b = bind_all(en, m->precision, false);
	if (cache && m->precision != ENGINE_F32 && bind_bytes(b) >= CACHE_LEAST_BYTES)
		bind_use_cache(b, arena_printf(&m->host, "%s-%s.weights", cache,
					  precision_name(m->precision)));
	rc = bind_load(b, load_progress, (void *)(uintptr_t)watch, e);
	bind_free(b);
	if (rc)
		return rc;
	oobleck_prepare(en->gpu, &m->vae.decoder);
	return gpu_sync(en->gpu, e);
}

static void fill_info(struct engine *en)
{
	const struct stable_audio *m = en->model;
	struct engine_info *info = &en->info;
	const bool distilled = m->objective == OBJECTIVE_FLOW;

	info->precision = precision_name(m->precision);
	info->rate = (int)m->vae.cfg.rate;
	info->channels = (int)m->vae.cfg.audio_channels;
	info->frame_samples = 1;
	info->longest_frames = oobleck_samples(&m->vae, m->dit.cfg.window);
	info->default_frames = info->longest_frames;
	info->default_guidance = distilled ? 1 : 7;
	info->default_steps = distilled ? 8 : 100;
	info->default_sampler = distilled                ? "pingpong"
				: m->layout == DIFFUSERS ? "dpmpp-2m-sde"
							 : "dpmpp-3m-sde";
}

static int open_model(struct engine *en, const struct engine_source *src, enum layout layout,
	const struct engine_options *options, const struct engine_watch *watch, struct err *e)
{
	struct stable_audio *m = xcalloc(1, sizeof(*m));
	int rc;

	en->model = m;
	m->ckpt = src->ckpt;
	m->layout = layout;
	m->n_threads = options->n_threads;
	m->weights = gpu_arena_new(en->gpu, "weights");
	rc = layout == TOOLS ? configure_tools(m, src->dir, src->config, e)
			     : configure_diffusers(m, src->dir, e);
	if (!rc)
		rc = check_parts(m, e);
	if (!rc)
		rc = unigram_open(arena_printf(&m->host, "%s/tokenizer", src->dir), &m->words, e);
	if (!rc) {
		m->precision = options->precision == ENGINE_AUTO ? choose_precision(en)
								 : options->precision;
		fill_info(en);
		rc = load(en, options->cache, watch, e);
	}
	config_close(src->config);
	return rc;
}

static int open_diffusers(struct engine *en, const struct engine_source *src,
	const struct engine_options *options, const struct engine_watch *watch, struct err *e)
{
	return open_model(en, src, DIFFUSERS, options, watch, e);
}

static int open_tools(struct engine *en, const struct engine_source *src,
	const struct engine_options *options, const struct engine_watch *watch, struct err *e)
{
	return open_model(en, src, TOOLS, options, watch, e);
}

static void stable_audio_close(struct engine *en)
{
	struct stable_audio *m = en->model;

	if (!m)
		return;
	gpu_arena_free(m->weights);
	gpu_arena_free(m->encoder_weights);
	unigram_close(m->words);
	ckpt_close(m->ckpt);
	arena_done(&m->host);
	free(m);
}

/* ---- the request -------------------------------------------------------- */

static int check_init(const struct render *rd)
{
	const struct engine_audio *a = &rd->r->init;

	if (!a->samples)
		return 0;
	if (a->rate != rd->info->rate || a->channels != rd->info->channels || a->frames < 1)
		return err_set(rd->e, ERR_ARG,
			"the audio to begin with has %d channels at %d Hz; the model takes %d at "
			"%d",
			a->channels, a->rate, rd->info->channels, rd->info->rate);
	for (int64_t i = 0; i < a->frames * a->channels; i++)
		if (!isfinite(a->samples[i]))
			return err_set(rd->e, ERR_FORMAT,
				"the audio to begin with holds a sample that is not a number");
	return 0;
}

static int check_request(const struct render *rd)
{
	const struct engine_request *r = rd->r;

	if (r->n_frames < 1 || r->n_frames > rd->info->longest_frames)
		return err_set(rd->e, ERR_ARG,
			"a take of %lld samples is not possible; the model makes up to %lld",
			(long long)r->n_frames, (long long)rd->info->longest_frames);
	if (r->n_takes < 1 || r->n_takes > MAX_TAKES)
		return err_set(rd->e, ERR_ARG, "%d takes at once are not possible; 1 to %d are",
			r->n_takes, MAX_TAKES);
	if (r->steps < 0 || r->steps > MAX_STEPS)
		return err_set(rd->e, ERR_ARG, "%d steps are not possible; 1 to %d are", r->steps,
			MAX_STEPS);
	if (isinf(r->guidance))
		return err_set(rd->e, ERR_ARG, "guidance must be a finite number");
	if (!(r->strength >= 0 && r->strength <= 1))
		return err_set(
			rd->e, ERR_ARG, "a strength of %g is not between 0 and 1", r->strength);
	if (r->redo_to > r->redo_from && !r->init.samples)
		return err_set(rd->e, ERR_ARG, "there is no audio of which to redo a part");
	if (r->noise && r->n_takes > 1)
		return err_set(
			rd->e, ERR_ARG, "noise from a file makes one take, not %d", r->n_takes);
	return check_init(rd);
}

static bool is_redo(const struct engine_request *r)
{
	return r->redo_to > r->redo_from;
}

/* The sampler's table.  Audio to begin with, unless parts of it are to stay, gets the
 * noise of `strength`: of the grid's range in log sigma, or of the flow. */
static int make_plan(struct render *rd)
{
	const struct stable_audio *m = rd->m;
	const struct engine_request *r = rd->r;
	const int steps = r->steps ? r->steps : rd->info->default_steps;
	const char *name = r->sampler ? r->sampler : rd->info->default_sampler;
	const bool partly = r->init.samples && !is_redo(r);
	const double strength = r->strength > 0 ? r->strength : DEFAULT_STRENGTH;
	struct sampler_sigmas s = m->sigmas;
	int rc;

	if (m->objective == OBJECTIVE_FLOW)
		return sampler_flow_plan(
			name, steps, partly ? strength : 1, &rd->host, &rd->plan, rd->e);
	s.min = r->sigma_min > 0 ? r->sigma_min : s.min;
	s.max = r->sigma_max > 0 ? r->sigma_max : s.max;
	if (partly)
		s.max = exp(log(s.min) + strength * (log(s.max) - log(s.min)));
	rc = sampler_sigma_plan(name, steps, s, &rd->host, &rd->plan, rd->e);
	if (!rc && m->layout == DIFFUSERS && !partly)
		rd->plan.start = sqrt(s.max * s.max + 1);
	return rc;
}

static int prepare(struct render *rd)
{
	const struct sa_dit_config *d = &rd->m->dit.cfg;
	const float guidance =
		isnan(rd->r->guidance) ? rd->info->default_guidance : rd->r->guidance;
	int rc = make_plan(rd);

	if (!rc)
		rc = diffusion_check_noise(rd->r->noise, d->window * d->channels, &rd->plan, rd->e);
	if (rc)
		return rc;
	rd->guidance = guidance > 1 ? guidance : 0;
	rd->arena = gpu_arena_new(rd->g, "render");
	rd->step = gpu_arena_new(rd->g, "step");
	rd->latents = gpu_new(rd->g, rd->arena, GPU_F32, "latents", SHAPE(d->window, d->channels));
	return 0;
}

/* The first error of the device, with what was going on. */
static int checked(struct render *rd, const char *what)
{
	int rc = gpu_sync(rd->g, rd->e);

	return rc ? err_wrap(rd->e, rc, "%s", what) : 0;
}

/* ---- text --------------------------------------------------------------- */

/* Token ids, at most the model's, the end token last. */
static int tokenize(struct render *rd, const char *text, int32_t **ret, size_t *ret_n)
{
	const size_t most = (size_t)rd->m->conditioner.n_tokens;
	int rc = unigram_encode(rd->m->words, text, strlen(text), ret, ret_n, rd->e);

	if (rc)
		return rc;
	if (*ret_n > most) {
		watch_warn(rd->watch, "the %s is too long: its last %zu of %zu tokens were cut off",
			text == rd->r->prompt ? "prompt" : "negative prompt", *ret_n - most,
			*ret_n - 1);
		(*ret)[most - 1] = (*ret)[*ret_n - 1];
		*ret_n = most;
	}
	for (size_t i = 0; i < *ret_n; i++)
		if ((*ret)[i] < 0 || (*ret)[i] >= rd->m->t5.cfg.vocab)
			return err_set(rd->e, ERR_FORMAT,
				"the tokenizer gives token %d, but the text encoder knows %lld: "
				"the files of the model do not belong together",
				(int)(*ret)[i], (long long)rd->m->t5.cfg.vocab);
	return 0;
}

/* Padded tokens are masked in T5 and zeros behind it, so they need not be computed. */
static int encode_text(struct render *rd, const char *text, struct gpu_tensor **ret)
{
	int32_t *tokens = NULL;
	size_t n = 0;
	int rc = tokenize(rd, text, &tokens, &n);

	if (!rc)
		rc = watch_progress(rd->watch, ENGINE_STAGE_TEXT, 0, n, rd->e);
	if (!rc) {
		*ret = t5_encode(&rd->m->t5, rd->g, rd->arena, rd->step, tokens, (int64_t)n);
		rc = checked(rd, "text encoder");
	}
	free(tokens);
	return rc ? rc : watch_progress(rd->watch, ENGINE_STAGE_TEXT, n, n, rd->e);
}

/* ---- condition ---------------------------------------------------------- */

static struct sa_dit_condition *condition(struct render *rd, const struct gpu_tensor *text,
	struct gpu_tensor *const numbers[SA_NUMBERS])
{
	const struct sa_conditioner *c = &rd->m->conditioner;
	struct gpu_mark mark = gpu_arena_mark(rd->step);
	const struct gpu_tensor *rows = NULL;

	if (text) {
		rows = sa_conditioner_rows(c, rd->g, rd->step, rd->step, text, numbers);
		gpu_tap(rd->g, rows, "condition");
	}
	struct gpu_tensor *global = sa_conditioner_global(c, rd->g, rd->step, numbers);
	struct sa_dit_condition *made = sa_dit_condition(&rd->m->dit, rd->g, rd->arena, rd->step,
		&rd->host, rows, global, rd->m->dit.cfg.window);
	gpu_arena_release(rd->step, mark);
	return made;
}

/* What the model is told of the take's length.  A whole window is all of its frames,
 * though odd ratios lose samples of it. */
static double length_s(const struct render *rd)
{
	const int64_t n = rd->r->n_frames;
	const bool whole = n == rd->info->longest_frames;

	return (double)(whole ? rd->m->dit.cfg.window * rd->m->vae.cfg.hop : n) / rd->info->rate;
}

/* Without a negative prompt, the other branch sees zeros: no text and no numbers but
 * the global ones. */
static int make_conditions(struct render *rd)
{
	const struct sa_conditioner *c = &rd->m->conditioner;
	const double seconds[SA_NUMBERS] = {0, length_s(rd)};
	struct gpu_tensor *numbers[SA_NUMBERS] = {NULL};
	struct gpu_tensor *text, *negative = NULL;
	int rc = encode_text(rd, rd->r->prompt, &text);

	if (!rc && rd->guidance > 0 && rd->r->negative)
		rc = encode_text(rd, rd->r->negative, &negative);
	if (rc)
		return rc;
	for (int i = 0; i < SA_NUMBERS; i++)
		if (c->has[i])
			numbers[i] =
				sa_conditioner_number(c, rd->g, rd->arena, rd->step, i, seconds[i]);
	rd->with = condition(rd, text, numbers);
	if (rd->guidance > 0)
		rd->without = condition(rd, negative, numbers);
	return checked(rd, "conditions");
}

/* ---- audio to begin with ------------------------------------------------ */

static int load_encoder(struct render *rd)
{
	struct stable_audio *m = rd->m;

	if (m->has_encoder)
		return 0;
	if (!m->encoder_weights)
		m->encoder_weights = gpu_arena_new(rd->g, "encoder weights");
	struct bind *b = bind_new(m->ckpt, rd->g, m->encoder_weights, m->n_threads);
	oobleck_bind_encoder(&m->vae, b, sound_dtype(m->precision));
	int rc = bind_load(b, load_progress, (void *)(uintptr_t)rd->watch, rd->e);
	bind_free(b);
	if (rc)
		return rc;
	oobleck_prepare(rd->g, &m->vae.encoder);
	m->has_encoder = true;
	return 0;
}

/* The means of the posterior, the first half of the channels. */
static void take_latents(void *ud, struct gpu *g, const struct gpu_tensor *y)
{
	struct render *rd = ud;
	const int64_t n = y->ne[0], c = rd->m->dit.cfg.channels, window = rd->m->dit.cfg.window;
	float *rows = rd->whole + rd->n_decoded * c;

	if (rd->rc || gpu_failed(g))
		return;
	float *both = xcalloc((size_t)(n * y->ne[1]), sizeof(*both));
	gpu_read(g, y, both, (size_t)(n * y->ne[1]) * sizeof(*both));
	for (int64_t t = 0; t < n && rd->n_decoded < window; t++, rd->n_decoded++, rows += c)
		memcpy(rows, both + t * y->ne[1], (size_t)c * sizeof(*rows));
	free(both);
}

/* The audio, then silence up to the window's end, a piece at a time. */
static int push_audio(struct render *rd, struct oobleck_stream *s)
{
	const struct engine_audio *a = &rd->r->init;
	const int64_t total = rd->m->dit.cfg.window * rd->m->vae.cfg.hop;
	int rc = 0;

	for (int64_t at = 0, n; at < total && !rc; at += n) {
		n = total - at < ENCODE_SAMPLES ? total - at : ENCODE_SAMPLES;
		struct gpu_mark mark = gpu_arena_mark(rd->step);
		struct gpu_tensor *x =
			gpu_zeros(rd->g, rd->step, GPU_F32, "audio", SHAPE(n, a->channels));
		const int64_t there = a->frames - at < n ? a->frames - at : n;
		if (there > 0)
			gpu_write(rd->g, gpu_view(rd->g, rd->step, x, 0, 0, there),
				a->samples + at * a->channels,
				(size_t)(there * a->channels) * sizeof(float));
		oobleck_push(s, x);
		gpu_arena_release(rd->step, mark);
		rc = checked(rd, "encoder");
		if (!rc)
			rc = watch_progress(rd->watch, ENGINE_STAGE_TEXT, (uint64_t)(at + n),
				(uint64_t)total, rd->e);
	}
	if (!rc) {
		oobleck_flush(s);
		rc = checked(rd, "encoder");
	}
	return rc;
}

static int encode_init(struct render *rd)
{
	const struct sa_dit_config *d = &rd->m->dit.cfg;
	int rc = rd->r->init.samples ? load_encoder(rd) : 0;

	if (rc || !rd->r->init.samples)
		return rc;
	rc = mem_try_alloc((void **)&rd->whole, (size_t)(d->window * d->channels), sizeof(float),
		"the latents of the audio", rd->e);
	if (rc)
		return rc;
	struct gpu_arena *state = gpu_arena_new(rd->g, "encoder");
	struct oobleck_stream *s =
		oobleck_stream_new(&rd->m->vae.encoder, rd->g, state, rd->step, take_latents, rd);
	rd->n_decoded = 0;
	rc = push_audio(rd, s);
	oobleck_stream_free(s);
	gpu_arena_free(state);
	rd->init = gpu_zeros(rd->g, rd->arena, GPU_F32, "init", SHAPE(d->window, d->channels));
	gpu_write(rd->g, rd->init, rd->whole, (size_t)(d->window * d->channels) * sizeof(float));
	gpu_tap(rd->g, rd->init, "init");
	free(rd->whole);
	rd->whole = NULL;
	return rc ? rc : checked(rd, "encoder");
}

/* ---- loop --------------------------------------------------------------- */

/* v with guidance */
static void velocity(struct render *rd, struct gpu_tensor *v, const struct gpu_tensor *x, double t)
{
	const int64_t n = x->ne[0], c = x->ne[1];
	struct gpu *g = rd->g;

	if (!rd->without) {
		sa_dit_forward(&rd->m->dit, g, rd->step, v, x, t, rd->with);
		return;
	}
	struct gpu_tensor *both = gpu_new(g, rd->step, GPU_F32, "velocities", SHAPE(2 * n, c));
	sa_dit_forward(
		&rd->m->dit, g, rd->step, gpu_view(g, rd->step, both, 0, 0, n), x, t, rd->with);
	sa_dit_forward(
		&rd->m->dit, g, rd->step, gpu_view(g, rd->step, both, 0, n, n), x, t, rd->without);
	gpu_guidance(g, v, both, rd->guidance);
}

static void denoise(void *ud, struct gpu_tensor *estimate, const struct gpu_tensor *x,
	const struct sampler_step *at)
{
	struct render *rd = ud;
	const double sigma = at->sigma, data = rd->m->sigma_data;
	const struct gpu_shape shape = SHAPE(x->ne[0], x->ne[1]);
	struct gpu_tensor *v = gpu_new(rd->g, rd->step, GPU_F32, "velocity", shape);

	if (rd->m->objective == OBJECTIVE_FLOW) {
		velocity(rd, v, x, at->time);
		gpu_combine(rd->g, estimate, (struct gpu_term[]){{x, 1}, {v, -(float)at->time}}, 2);
		return;
	}
	const double variance = sigma * sigma + data * data;
	struct gpu_tensor *in = gpu_new(rd->g, rd->step, GPU_F32, "scaled latents", shape);
	gpu_combine(rd->g, in, (struct gpu_term[]){{x, (float)(1 / sqrt(variance))}}, 1);
	velocity(rd, v, in, atan(sigma) / M_PI * 2);
	gpu_combine(rd->g, estimate,
		(struct gpu_term[]){{x, (float)(data * data / variance)},
			{v, (float)(-sigma * data / sqrt(variance))}},
		2);
}

/* The frames outside of what is made anew. */
static void set_kept(struct render *rd)
{
	const double per_s = (double)rd->info->rate / (double)rd->m->vae.cfg.hop;
	const int64_t window = rd->m->dit.cfg.window;
	int64_t first = (int64_t)floor(rd->r->redo_from * per_s),
		end = (int64_t)ceil(rd->r->redo_to * per_s);

	if (!is_redo(rd->r))
		return;
	first = first < window ? first : window;
	end = end < window ? end : window;
	rd->loop.n_kept = 2;
	rd->loop.kept[0].n = first;
	rd->loop.kept[1].first = end;
	rd->loop.kept[1].n = window - end;
}

static int on_estimate(void *ud, int step, const struct gpu_tensor *estimate);

static int run_loop(struct render *rd)
{
	rd->loop.seed = rd->r->seed + (uint64_t)rd->take;
	return diffusion_run(&rd->loop, rd->latents);
}

static void prepare_loop(struct render *rd)
{
	rd->loop = (struct diffusion){.g = rd->g,
		.step = rd->step,
		.plan = &rd->plan,
		.denoise = denoise,
		.ud = rd,
		.noise = rd->r->noise,
		.init = rd->init,
		.watch = rd->watch,
		.total = (uint64_t)(rd->plan.n * rd->r->n_takes),
		.preview = rd->r->preview > 0 && rd->sink->preview ? on_estimate : NULL,
		.preview_every = rd->r->preview,
		.e = rd->e};
	set_kept(rd);
}

/* ---- latents in and out ------------------------------------------------- */

static size_t latent_bytes(const struct render *rd)
{
	const struct sa_dit_config *d = &rd->m->dit.cfg;

	return (size_t)(d->window * d->channels) * sizeof(float);
}

static int keep_latents(struct render *rd)
{
	float *host;
	int rc;

	if (!rd->sink->latents)
		return 0;
	rc = mem_try_alloc((void **)&host, latent_bytes(rd), 1, "the latents", rd->e);
	if (rc)
		return rc;
	gpu_read(rd->g, rd->latents, host, latent_bytes(rd));
	rc = rd->sink->latents(
		rd->sink->ud, rd->take, &(struct engine_latents){host, latent_bytes(rd)}, rd->e);
	free(host);
	return rc;
}

/* Those of a render that got no further; they come from a file. */
static int put_latents(struct render *rd)
{
	const struct engine_latents *l = &rd->r->latents[rd->take];
	const float *v = l->data;

	if (l->bytes != latent_bytes(rd))
		return err_set(rd->e, ERR_FORMAT,
			"the kept latents are of another take: %zu bytes instead of %zu", l->bytes,
			latent_bytes(rd));
	for (size_t i = 0; i < l->bytes / sizeof(*v); i++)
		if (!isfinite(v[i]))
			return err_set(rd->e, ERR_FORMAT, "the kept latents are damaged");
	gpu_write(rd->g, rd->latents, v, l->bytes);
	return 0;
}

/* ---- decode ------------------------------------------------------------- */

/* Outside of what is made anew the audio itself takes the decoder's place, with a fade
 * on the inner side. */
static void splice(const struct render *rd, float *samples, int64_t at, int64_t n)
{
	const struct engine_audio *a = &rd->r->init;
	const double from = rd->r->redo_from * rd->info->rate, to = rd->r->redo_to * rd->info->rate;

	for (int64_t i = 0; i < n; i++) {
		const double into = (double)(at + i) - from, left = to - (double)(at + i);
		const double inside = into < left ? into : left;
		const float share = inside <= 0              ? 0
				    : inside >= FADE_SAMPLES ? 1
							     : (float)(inside / FADE_SAMPLES);
		for (int c = 0; c < a->channels && share < 1; c++) {
			const float old =
				at + i < a->frames ? a->samples[(at + i) * a->channels + c] : 0;
			float *s = &samples[i * a->channels + c];
			*s = share == 0 ? old : old + (*s - old) * share;
		}
	}
}

static int to_sink(struct render *rd, float *samples, int64_t n)
{
	return rd->sink->audio(rd->sink->ud, rd->take,
		&(struct engine_audio){.samples = samples,
			.frames = n,
			.channels = rd->info->channels,
			.rate = rd->info->rate},
		rd->e);
}

static int to_preview(struct render *rd, float *samples, int64_t n)
{
	const int64_t channels = rd->info->channels;

	memcpy(rd->whole + rd->n_decoded * channels, samples,
		(size_t)(n * channels) * sizeof(*samples));
	return 0;
}

static int grow_chunk(struct render *rd, int64_t size)
{
	if (size <= rd->chunk_size)
		return 0;
	free(rd->chunk);
	rd->chunk = NULL;
	rd->chunk_size = 0;
	int rc = mem_try_alloc(
		(void **)&rd->chunk, (size_t)size, sizeof(float), "decoded audio", rd->e);
	if (!rc)
		rd->chunk_size = size;
	return rc;
}

static void take_samples(void *ud, struct gpu *g, const struct gpu_tensor *y)
{
	struct render *rd = ud;
	const int64_t left = rd->r->n_frames - rd->n_decoded, channels = y->ne[1];
	const int64_t n = y->ne[0] < left ? y->ne[0] : left;

	if (rd->rc || gpu_failed(g) || n < 1)
		return;
	rd->rc = grow_chunk(rd, y->ne[0] * channels);
	if (rd->rc)
		return;
	gpu_read(g, y, rd->chunk, (size_t)(y->ne[0] * channels) * sizeof(float));
	for (int64_t i = 0; i < n * channels; i++)
		if (!isfinite(rd->chunk[i])) {
			rd->rc = err_set(rd->e, ERR_FORMAT,
				"decode: a sample is not a number; the model is damaged");
			return;
		}
	if (is_redo(rd->r))
		splice(rd, rd->chunk, rd->n_decoded, n);
	rd->rc = rd->to(rd, rd->chunk, n);
	rd->n_decoded += n;
}

/* Frames to decode next: as many as samples are left, for the decoder keeps some back. */
static int64_t next_frames(const struct render *rd, int64_t at)
{
	const int64_t hop = rd->m->vae.cfg.hop, window = rd->m->dit.cfg.window;
	int64_t n = (rd->r->n_frames - rd->n_decoded + hop - 1) / hop;

	n = n < DECODE_FRAMES ? n : DECODE_FRAMES;
	return window - at < n ? window - at : n;
}

/* No more frames than the take's samples need. */
static int decode(struct render *rd, const struct gpu_tensor *latents, bool tell)
{
	const int64_t window = latents->ne[0], wanted = rd->r->n_frames;
	struct gpu_arena *state = gpu_arena_new(rd->g, "decoder");
	struct oobleck_stream *s =
		oobleck_stream_new(&rd->m->vae.decoder, rd->g, state, rd->step, take_samples, rd);
	const uint64_t done = (uint64_t)(wanted * rd->take),
		       total = (uint64_t)(wanted * rd->r->n_takes);
	int rc = tell ? watch_progress(rd->watch, ENGINE_STAGE_DECODE, done, total, rd->e) : 0;

	rd->n_decoded = 0;
	rd->rc = 0;
	for (int64_t at = 0, n; at < window && rd->n_decoded < wanted && !rc; at += n) {
		n = next_frames(rd, at);
		struct gpu_mark mark = gpu_arena_mark(rd->step);
		oobleck_push(s, gpu_view(rd->g, rd->step, latents, 0, at, n));
		gpu_arena_release(rd->step, mark);
		if (at + n == window)
			oobleck_flush(s);
		rc = rd->rc ? rd->rc : checked(rd, "decode");
		if (!rc && tell)
			rc = watch_progress(rd->watch, ENGINE_STAGE_DECODE,
				done + (uint64_t)rd->n_decoded, total, rd->e);
	}
	oobleck_stream_free(s);
	gpu_arena_free(state);
	return rc;
}

static int on_estimate(void *ud, int step, const struct gpu_tensor *estimate)
{
	struct render *rd = ud;
	int rc = mem_try_alloc((void **)&rd->whole,
		(size_t)rd->r->n_frames * (size_t)rd->info->channels, sizeof(float), "a preview",
		rd->e);

	if (rc)
		return rc;
	rd->to = to_preview;
	rc = decode(rd, estimate, false);
	if (!rc)
		rc = rd->sink->preview(rd->sink->ud, rd->take, step,
			&(struct engine_audio){.samples = rd->whole,
				.frames = rd->n_decoded,
				.channels = rd->info->channels,
				.rate = rd->info->rate},
			rd->e);
	free(rd->whole);
	rd->whole = NULL;
	return rc;
}

/* ---- render ------------------------------------------------------------- */

static int render_take(struct render *rd)
{
	int rc = rd->r->latents ? put_latents(rd) : run_loop(rd);

	if (!rc && !rd->r->latents)
		rc = keep_latents(rd);
	rd->to = to_sink;
	return rc ? rc : decode(rd, rd->latents, true);
}

static int stable_audio_render(struct engine *en, const struct engine_request *r,
	const struct engine_watch *watch, const struct engine_sink *sink, struct err *e)
{
	struct render rd = {.m = en->model,
		.info = &en->info,
		.g = en->gpu,
		.r = r,
		.watch = watch,
		.sink = sink,
		.e = e};
	int rc = check_request(&rd);

	if (!rc)
		rc = prepare(&rd);
	if (!rc && !r->latents)
		rc = make_conditions(&rd);
	if (!rc && !r->latents)
		rc = encode_init(&rd);
	prepare_loop(&rd);
	for (; rd.take < r->n_takes && !rc; rd.take++)
		rc = render_take(&rd);
	gpu_sync(rd.g, NULL); /* a cancelled render leaves no error behind */
	gpu_arena_free(rd.arena);
	gpu_arena_free(rd.step);
	arena_done(&rd.host);
	free(rd.chunk);
	free(rd.whole);
	return rc;
}

const struct engine_ops stable_audio_ops = {
	.name = "stable-audio",
	.pipeline = "StableAudioPipeline",
	.parts = (const char *const[]){"text_encoder", "projection_model", "transformer", "vae",
		NULL},
	.configs = (const char *const[]){"model_index.json", "scheduler/scheduler_config.json",
		"text_encoder/config.json", "projection_model/config.json",
		"transformer/config.json", "vae/config.json", NULL},
	.open = open_diffusers,
	.render = stable_audio_render,
	.close = stable_audio_close,
};

const struct engine_ops stable_audio_tools_ops = {
	.name = "stable-audio",
	.tools_type = "diffusion_cond",
	.parts = (const char *const[]){"", "text_encoder", NULL},
	.configs = (const char *const[]){"model_config.json", "text_encoder/config.json", NULL},
	.lacking = "its file holds no text encoder; put text_encoder and tokenizer of "
		   "stable-audio-open-1.0 into it, or t5-base under both names",
	.open = open_tools,
	.render = stable_audio_render,
	.close = stable_audio_close,
};
