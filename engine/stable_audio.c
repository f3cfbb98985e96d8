/* Stable Audio Open, opening a model; engine/stable_audio_render.c says what is done
 * with it.
 *
 * Two layouts: the folders of diffusers, and the single file of stable-audio-tools,
 * which lacks the text encoder. */
#include "engine/stable_audio.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/text/unigram.h"
#include "engine/weights/bind.h"
#include "engine/weights/ckpt.h"
#include "engine/weights/config.h"
#include "library/base/err.h"
#include "library/base/str.h"

/* AUTO: what a render needs besides weights. */
#define RENDER_BYTES (300u << 20)
enum { TRAINED_TOKENS = 128, MOST_TOKENS = 4096 };

/* ---- opening ------------------------------------------------------------ */

/* Of the transformer, which sees a thousand rows at a time. */
static enum gpu_dtype matrix_dtype(enum engine_precision p)
{
	return p == ENGINE_F32 ? GPU_SPLIT : p == ENGINE_INT8 ? GPU_I8 : GPU_TILES;
}

enum gpu_dtype stable_audio_sound_dtype(enum engine_precision p)
{
	return p == ENGINE_BF16 ? GPU_TILES : GPU_SPLIT;
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

/* Tokens that the pipeline gives the text encoder: the tokenizer's limit.  Where it has lost
 * that (int(1e30) says so), those with which all of these models were trained: the rows behind
 * a short text count, so their number cannot be left open. */
static int read_limit(const char *dir, int64_t *ret, struct err *e)
{
	struct config *c;
	int rc = pipeline_config(dir, "tokenizer/tokenizer_config.json", NULL, &c, e);

	if (rc)
		return rc;
	const double limit = config_num(c, "model_max_length", TRAINED_TOKENS, 2, 1e31);
	*ret = limit <= MOST_TOKENS ? (int64_t)limit : TRAINED_TOKENS;
	rc = config_check(c, e);
	config_close(c);
	return rc;
}

/* One part's description. */
static int configure_part(
	struct stable_audio *m, const char *dir, const char *path, const char *class, struct err *e)
{
	struct config *c;
	int64_t n_tokens = 0;
	int rc = pipeline_config(dir, path, class, &c, e);

	if (!rc && has_prefix(path, "projection"))
		rc = read_limit(dir, &n_tokens, e);
	if (rc) {
		config_close(c);
		return rc;
	}
	if (has_prefix(path, "scheduler"))
		read_scheduler(m, c);
	else if (has_prefix(path, "text_encoder"))
		t5_configure(&m->t5, c, "");
	else if (has_prefix(path, "transformer"))
		sa_dit_configure(&m->dit, c, SA_DIT_DIFFUSERS, 1);
	else if (has_prefix(path, "vae"))
		oobleck_configure(&m->vae, c, OOBLECK_DIFFUSERS);
	else
		sa_conditioner_configure(&m->conditioner, c, SA_CONDITIONER_DIFFUSERS, n_tokens);
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
	oobleck_bind_decoder(&m->vae, b, stable_audio_sound_dtype(p));
	if (with_encoder)
		oobleck_bind_encoder(&m->vae, b, stable_audio_sound_dtype(p));
	/* A whole T5 may stand in for its encoder. */
	bind_ignore(b, "text_encoder/decoder.*");
	bind_ignore(b, "text_encoder/lm_head.*");
	return b;
}

static int load(
	struct engine *en, const char *cache, const struct engine_watch *watch, struct err *e)
{
	struct stable_audio *m = en->model;
	int rc = pipeline_load(en, bind_all, cache, m->precision, &m->host, watch, e);

	if (rc)
		return rc;
	oobleck_prepare(en->gpu, &m->vae.decoder);
	return gpu_sync(en->gpu, e);
}

static void fill_info(const struct stable_audio *m, struct engine_info *info)
{
	const bool distilled = m->objective == OBJECTIVE_FLOW;

	info->precision = engine_precision_name(m->precision);
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

static int configure(struct stable_audio *m, const char *dir, struct config *c, struct err *e)
{
	int rc =
		m->layout == TOOLS ? configure_tools(m, dir, c, e) : configure_diffusers(m, dir, e);

	return rc ? rc : check_parts(m, e);
}

static int describe(const char *dir, enum layout layout, struct config *config,
	struct engine_info *info, struct err *e)
{
	struct stable_audio m = {.layout = layout};
	int rc = configure(&m, dir, config, e);

	if (!rc)
		fill_info(&m, info);
	arena_done(&m.host);
	return rc;
}

/* What is known before weights are read. */
static int model_prepare(
	struct engine *en, const struct engine_source *src, enum layout layout, struct err *e)
{
	struct stable_audio *m = xcalloc(1, sizeof(*m));

	en->model = m;
	m->ckpt = src->ckpt;
	m->layout = layout;
	m->weights = gpu_arena_new(en->gpu, "weights");
	return configure(m, src->dir, src->config, e);
}

static int model_needs(struct engine *en, const struct engine_source *src, enum layout layout,
	struct engine_needs *ret, struct err *e)
{
	int rc = model_prepare(en, src, layout, e);

	if (!rc)
		pipeline_needs(en, bind_all, ENGINE_INT8, RENDER_BYTES, ret);
	config_close(src->config);
	return rc;
}

static int open_model(struct engine *en, const struct engine_source *src, enum layout layout,
	const struct engine_options *options, const struct engine_watch *watch, struct err *e)
{
	struct engine_needs needs = {.automatic = options->precision};
	int rc = model_prepare(en, src, layout, e);
	struct stable_audio *m = en->model;

	m->n_threads = options->n_threads;
	if (!rc)
		rc = unigram_open(arena_printf(&m->host, "%s/tokenizer", src->dir), &m->words, e);
	if (!rc) {
		if (options->precision == ENGINE_AUTO)
			pipeline_needs(en, bind_all, ENGINE_INT8, RENDER_BYTES, &needs);
		m->precision = needs.automatic;
		fill_info(m, &en->info);
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

static int needs_diffusers(
	struct engine *en, const struct engine_source *src, struct engine_needs *ret, struct err *e)
{
	return model_needs(en, src, DIFFUSERS, ret, e);
}

static int needs_tools(
	struct engine *en, const struct engine_source *src, struct engine_needs *ret, struct err *e)
{
	return model_needs(en, src, TOOLS, ret, e);
}

static int describe_diffusers(
	const char *dir, struct config *config, struct engine_info *info, struct err *e)
{
	return describe(dir, DIFFUSERS, config, info, e);
}

static int describe_tools(
	const char *dir, struct config *config, struct engine_info *info, struct err *e)
{
	return describe(dir, TOOLS, config, info, e);
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

const struct engine_ops stable_audio_ops = {
	.name = "stable-audio",
	.pipeline = "StableAudioPipeline",
	.parts = (const char *const[]){"text_encoder", "projection_model", "transformer", "vae",
		NULL},
	.configs = (const char *const[]){"model_index.json", "scheduler/scheduler_config.json",
		"text_encoder/config.json", "projection_model/config.json",
		"transformer/config.json", "vae/config.json", NULL},
	.samplers = {sampler_sigma_name, sampler_flow_name},
	.open = open_diffusers,
	.describe = describe_diffusers,
	.needs = needs_diffusers,
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
	.samplers = {sampler_sigma_name, sampler_flow_name},
	.open = open_tools,
	.describe = describe_tools,
	.needs = needs_tools,
	.render = stable_audio_render,
	.close = stable_audio_close,
};
