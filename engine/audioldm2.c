/* AudioLDM 2: text to sound at 16 kHz.
 *
 *	text       prompt and negative prompt -> CLAP, T5, GPT-2 -> two contexts each
 *	start      noise, [time, frequency, channel]
 *	loop       steps of the sampler: the UNet, with the negative prompt in the other
 *	           row of its batch, and guidance
 *	decode     latents -> VAE -> log-mel spectrogram -> HiFi-GAN -> samples
 *
 * A latent is 4 frames of the spectrogram of 10 ms each; the latents are as many as the
 * samples need, and the end that is left over is cut.  Without guidance the UNet
 * runs one row.  No negative prompt is the empty one.  Takes are made one after the
 * other.  Length is in samples (frame_samples is 1). */
#include "engine/audioldm2.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/diffusion.h"
#include "engine/pipeline.h"
#include "engine/weights/bind.h"
#include "engine/weights/ckpt.h"
#include "engine/weights/config.h"
#include "library/base/err.h"
#include "library/base/str.h"

enum {
	DEFAULT_STEPS = 200,
	CHUNK = 1 << 16, /* samples handed out at a time */
};
#define DEFAULT_GUIDANCE 3.5f
/* What a render needs besides weights: measured in bf16 on a processor, the whole window. */
#define RENDER_BYTES (350u << 20)
/* What the UNet was trained to tell of x = alpha * clean + sigma * noise. */
enum prediction { PREDICTS_NOISE, PREDICTS_CLEAN, PREDICTS_V };

struct audioldm2 {
	struct arena host;
	const char *dir;
	struct ckpt *ckpt; /* owned */
	struct gpu_arena *weights;
	struct aldm2_text text;
	struct aldm2_unet unet;
	struct kl_vae vae;
	struct hifigan vocoder;
	struct aldm2_rank rank;
	struct sampler_schedule schedule;
	enum prediction prediction;
	const char *sampler; /* the file's */
	enum engine_precision precision;
	int n_threads;
};

struct render {
	struct audioldm2 *m;
	struct gpu *g;
	const struct engine_request *r;
	const struct engine_watch *watch;
	const struct engine_sink *sink;
	struct err *e;
	struct arena host;
	struct gpu_arena *arena, *step;
	float guidance; /* 0: none */
	struct sampler_plan plan;
	struct aldm2_prompt prompt, negative;
	struct unet_run *run;  /* owned */
	int64_t height, width; /* of the latents */
	struct gpu_tensor *x;  /* [height, width, channels] */
	struct diffusion loop;
	struct gpu_step *repeated; /* owned: the prediction in a fixed place */
	int take;
	float *samples; /* [of the vocoder]; owned */
};

/* ---- opening ------------------------------------------------------------ */

static enum sampler_spacing spacing(struct config *c, const char *otherwise)
{
	const char *s = config_str(c, "timestep_spacing", otherwise);

	if (!strcmp(s, "linspace"))
		return SAMPLER_LINSPACE;
	if (!strcmp(s, "trailing"))
		return SAMPLER_TRAILING;
	config_require(c, !strcmp(s, "leading"),
		"timestep_spacing '%s' is not supported (leading, linspace, trailing)", s);
	return SAMPLER_LEADING;
}

static enum prediction prediction(struct config *c)
{
	const char *s = config_str(c, "prediction_type", "epsilon");

	if (!strcmp(s, "sample"))
		return PREDICTS_CLEAN;
	if (!strcmp(s, "v_prediction"))
		return PREDICTS_V;
	config_require(c, !strcmp(s, "epsilon"),
		"prediction_type '%s' is not supported (epsilon, sample, v_prediction)", s);
	return PREDICTS_NOISE;
}

/* Keys that are not there have the values of the class; another sampler takes from the
 * file what it says and has its own of what it does not. */
static void read_scheduler(struct audioldm2 *m, struct config *c)
{
	const char *class = config_str(c, "_class_name", NULL);
	const char *betas = config_str(c, "beta_schedule", "linear");
	const bool is_ddim = !strcmp(class, "DDIMScheduler");
	struct sampler_schedule *s = &m->schedule;

	config_require(c, is_ddim || !strcmp(class, "DPMSolverMultistepScheduler"),
		"a scheduler of class '%.60s' is not supported (DDIMScheduler, "
		"DPMSolverMultistepScheduler)",
		class);
	m->sampler = is_ddim ? "ddim" : "dpmpp-2m";
	m->prediction = prediction(c);
	*s = (struct sampler_schedule){
		.n = config_int(c, "num_train_timesteps", 1000, 1, 100000),
		.beta_start = config_num(c, "beta_start", 0.0001, 1e-9, 0.5),
		.beta_end = config_num(c, "beta_end", 0.02, 1e-9, 0.5),
		.is_scaled = !strcmp(betas, "scaled_linear"),
		.last_is_clean = config_bool(c, "set_alpha_to_one", true),
		.offset = config_int(c, "steps_offset", 0, 0, 1000),
		.spacing = spacing(c, "leading"),
		.spacing_others = spacing(c, "linspace"),
	};
	config_require(c, s->is_scaled || !strcmp(betas, "linear"),
		"beta_schedule '%s' is not supported (linear, scaled_linear)", betas);
	config_require(c, !config_bool(c, "clip_sample", is_ddim), "clip_sample is not supported");
	config_require(c, !config_bool(c, "thresholding", false), "thresholding is not supported");
	config_require(c, !config_bool(c, "rescale_betas_zero_snr", false),
		"rescale_betas_zero_snr is not supported");
	config_require(c, !config_has(c, "trained_betas"), "trained_betas are not supported");
}

static int configure_part(
	struct audioldm2 *m, const char *dir, const char *path, const char *class, struct err *e)
{
	struct config *c;
	int rc = pipeline_config(dir, path, class, &c, e);

	if (rc)
		return rc;
	if (has_prefix(path, "unet"))
		aldm2_unet_configure(&m->unet, c);
	else if (has_prefix(path, "vae"))
		kl_vae_configure(&m->vae, c);
	else if (has_prefix(path, "vocoder"))
		hifigan_configure(&m->vocoder, c);
	else
		read_scheduler(m, c);
	rc = config_check(c, e);
	config_close(c);
	return rc ? err_wrap(e, rc, "'%s/%s'", dir, path) : 0;
}

/* Parts that must agree. */
static int check_parts(const struct audioldm2 *m, struct err *e)
{
	const struct kl_vae *v = &m->vae;
	const struct unet_config *u = &m->unet.cfg;

	if (u->n_in != u->n_out || u->n_in != v->n_latents || v->n_channels != 1 ||
		m->vocoder.n_mels % v->scale)
		return err_set(e, ERR_FORMAT,
			"the parts of the model do not fit together (UNet %lld and %lld, VAE %lld "
			"and %lld, vocoder %lld): download it again",
			(long long)u->n_in, (long long)u->n_out, (long long)v->n_latents,
			(long long)v->n_channels, (long long)m->vocoder.n_mels);
	return aldm2_text_check(&m->text, &m->unet, e);
}

static int configure_parts(struct audioldm2 *m, const char *dir, struct err *e)
{
	static const char *const parts[][2] = {
		{"scheduler/scheduler_config.json", NULL},
		{"unet/config.json", "AudioLDM2UNet2DConditionModel"},
		{"vae/config.json", "AutoencoderKL"},
		{"vocoder/config.json", NULL},
	};
	int rc = 0;

	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts) && !rc; i++)
		rc = configure_part(m, dir, parts[i][0], parts[i][1], e);
	return rc;
}

static int configure(struct audioldm2 *m, const char *dir, struct err *e)
{
	int rc = aldm2_text_open(&m->text, dir, e);

	if (!rc)
		rc = configure_parts(m, dir, e);
	return rc ? rc : check_parts(m, e);
}

static enum gpu_dtype text_dtype(enum engine_precision p)
{
	return p == ENGINE_F32 ? GPU_F32 : GPU_BF16;
}

static struct bind *bind_all(struct engine *en, enum engine_precision p, bool with_encoder)
{
	struct audioldm2 *m = en->model;
	struct bind *b = bind_new(m->ckpt, en->gpu, m->weights, m->n_threads);
	/* A step sees thousands of rows, a text some ten. */
	const enum gpu_dtype many = p == ENGINE_F32 ? GPU_SPLIT : GPU_TILES;
	const bool is_plain = ckpt_find(m->ckpt, "language_model/wpe.weight");

	aldm2_text_bind(&m->text, b, &m->host, text_dtype(p),
		is_plain ? "language_model/" : "language_model/transformer.");
	aldm2_unet_bind(&m->unet, b, &m->host, many, "unet/");
	kl_vae_bind(&m->vae, b, many, "vae/");
	/* Where samples are made weights stay whole. */
	hifigan_bind(&m->vocoder, b, GPU_SPLIT, "vocoder/");
	bind_ignore(b, "text_encoder/audio_*");
	bind_ignore(b, "language_model/lm_head.*");
	return b;
}

static int load(
	struct engine *en, const char *cache, const struct engine_watch *watch, struct err *e)
{
	struct audioldm2 *m = en->model;
	struct bind *b = bind_all(en, m->precision, false);
	int rc = pipeline_check_weights(b, watch, e);

	if (!rc)
		rc = pipeline_load_weights(b, cache, m->precision, &m->host, watch, e);
	bind_free(b);
	return rc;
}

static void fill_info(const struct audioldm2 *m, struct engine_info *info)
{
	info->precision = engine_precision_name(m->precision);
	info->rate = (int)m->vocoder.rate;
	info->channels = 1;
	info->frame_samples = 1;
	info->longest_frames = m->unet.cfg.sample_size * m->vae.scale * m->vocoder.hop;
	info->default_frames = info->longest_frames;
	info->default_guidance = DEFAULT_GUIDANCE;
	info->default_steps = DEFAULT_STEPS;
	info->default_sampler = m->sampler;
}

static int audioldm2_describe(
	const char *dir, struct config *config, struct engine_info *info, struct err *e)
{
	struct audioldm2 m = {0};
	int rc = configure_parts(&m, dir, e);

	if (!rc)
		fill_info(&m, info);
	arena_done(&m.host);
	return rc;
}

/* What is known before weights are read. */
static int model_prepare(struct engine *en, const struct engine_source *src, struct err *e)
{
	struct audioldm2 *m = xcalloc(1, sizeof(*m));

	en->model = m;
	m->ckpt = src->ckpt;
	m->dir = arena_strdup(&m->host, src->dir);
	m->weights = gpu_arena_new(en->gpu, "weights");
	return configure(m, src->dir, e);
}

/* There is no int8 of it. */
static int audioldm2_needs(
	struct engine *en, const struct engine_source *src, struct engine_needs *ret, struct err *e)
{
	int rc = model_prepare(en, src, e);

	if (!rc)
		pipeline_needs(en, bind_all, ENGINE_BF16, RENDER_BYTES, ret);
	config_close(src->config);
	return rc;
}

static int audioldm2_open(struct engine *en, const struct engine_source *src,
	const struct engine_options *options, const struct engine_watch *watch, struct err *e)
{
	struct engine_needs needs = {.automatic = options->precision};
	int rc = model_prepare(en, src, e);
	struct audioldm2 *m = en->model;

	m->n_threads = options->n_threads;
	if (!rc && options->precision == ENGINE_INT8)
		rc = err_set(e, ERR_UNSUPPORTED,
			"AudioLDM 2 runs in f32 and bf16, not in int8: use --precision bf16");
	if (rc)
		goto out;
	if (options->precision == ENGINE_AUTO)
		pipeline_needs(en, bind_all, ENGINE_BF16, RENDER_BYTES, &needs);
	m->precision = needs.automatic;
	fill_info(m, &en->info);
	rc = load(en, options->cache, watch, e);
out:
	config_close(src->config);
	return rc;
}

static void audioldm2_close(struct engine *en)
{
	struct audioldm2 *m = en->model;

	if (!m)
		return;
	gpu_arena_free(m->weights);
	aldm2_text_done(&m->text);
	aldm2_rank_done(&m->rank);
	ckpt_close(m->ckpt);
	arena_done(&m->host);
	free(m);
}

/* ---- the request -------------------------------------------------------- */

static int check_request(
	const struct engine_info *info, const struct engine_request *r, struct err *e)
{
	if (r->n_frames < 1 || r->n_frames > info->longest_frames)
		return err_set(e, ERR_ARG,
			"a take of %lld samples is not possible; this model makes up to %lld at "
			"once",
			(long long)r->n_frames, (long long)info->longest_frames);
	if (r->continued.samples)
		return err_set(e, ERR_ARG, "an AudioLDM 2 model cannot continue audio");
	if (r->init.samples)
		return err_set(e, ERR_ARG, "an AudioLDM 2 model cannot begin with audio");
	if (r->sigma_min > 0 || r->sigma_max > 0)
		return err_set(e, ERR_ARG,
			"an AudioLDM 2 model has the noise that it was trained with, no range of "
			"sigma");
	return pipeline_check_request(r, e);
}

/* Latents whose samples are at least as many as asked for. */
static int64_t latent_height(const struct audioldm2 *m, int64_t n_samples)
{
	int64_t height = n_samples / (m->vocoder.hop * m->vae.scale);

	while (height > 1 && hifigan_samples(&m->vocoder, (height - 1) * m->vae.scale) >= n_samples)
		height--;
	if (height < 1)
		height = 1;
	while (hifigan_samples(&m->vocoder, height * m->vae.scale) < n_samples)
		height++;
	return height;
}

static int prepare(struct render *rd, const struct engine_info *info)
{
	const struct engine_request *r = rd->r;
	const struct audioldm2 *m = rd->m;

	rd->guidance = pipeline_guidance(r, info, rd->watch);
	rd->height = latent_height(m, r->n_frames);
	rd->width = m->vocoder.n_mels / m->vae.scale;
	const int64_t n = rd->height * rd->width * m->unet.cfg.n_in;
	int rc = sampler_schedule_plan(r->sampler ? r->sampler : m->sampler,
		r->steps ? r->steps : info->default_steps, &m->schedule, &rd->host, &rd->plan,
		rd->e);
	if (!rc)
		rc = diffusion_check_noise(r->noise, n, &rd->plan, rd->e);
	if (!rc)
		rc = mem_try_alloc((void **)&rd->samples,
			(size_t)hifigan_samples(&m->vocoder, rd->height * m->vae.scale),
			sizeof(*rd->samples), "the samples", rd->e);
	rd->arena = gpu_arena_new(rd->g, "render");
	rd->step = gpu_arena_new(rd->g, "step");
	rd->x = gpu_new(rd->g, rd->arena, GPU_F32, "latents",
		SHAPE(rd->height, rd->width, m->unet.cfg.n_in));
	return rc ? rc : gpu_sync(rd->g, rd->e);
}

/* ---- text --------------------------------------------------------------- */

static int encode_texts(struct render *rd)
{
	const struct aldm2_text *t = &rd->m->text;
	const uint64_t total = rd->guidance > 0 ? 2 : 1;
	int rc = watch_progress(rd->watch, ENGINE_STAGE_TEXT, 0, total, rd->e);

	if (!rc)
		rc = aldm2_text_encode(t, rd->g, rd->arena, rd->step, rd->r->prompt, 0, rd->watch,
			&rd->prompt, rd->e);
	if (!rc)
		rc = watch_progress(rd->watch, ENGINE_STAGE_TEXT, 1, total, rd->e);
	if (rc || total == 1)
		return rc;
	rc = aldm2_text_encode(t, rd->g, rd->arena, rd->step,
		rd->r->negative ? rd->r->negative : "", rd->prompt.n_tokens, rd->watch,
		&rd->negative, rd->e);
	return rc ? rc : watch_progress(rd->watch, ENGINE_STAGE_TEXT, total, total, rd->e);
}

/* Keys and values for all steps: the prompt's row first. */
static int condition(struct render *rd)
{
	struct gpu_tensor *const contexts[2][UNET_CONTEXTS] = {
		{rd->prompt.contexts[0], rd->prompt.contexts[1]},
		{rd->negative.contexts[0], rd->negative.contexts[1]},
	};

	rd->run = aldm2_unet_condition(
		&rd->m->unet, rd->g, rd->arena, rd->step, contexts, rd->guidance > 0 ? 2 : 1);
	return gpu_sync(rd->g, rd->e);
}

/* ---- loop --------------------------------------------------------------- */

/* y = what the UNet says of x, guided; both [height, width, channels] */
static void predict(struct render *rd, struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct gpu_tensor *time)
{
	const int64_t rows = rd->guidance > 0 ? 2 : 1, n = rd->height * rd->width * x->ne[2];
	struct gpu *g = rd->g;
	struct gpu_tensor *both =
		gpu_new(g, rd->step, GPU_F32, "x", SHAPE(rows, rd->height, rd->width, x->ne[2]));
	struct gpu_tensor *flat = gpu_reshape(g, rd->step, both, SHAPE(rows, n));
	const struct gpu_tensor *line = gpu_reshape(g, rd->step, x, SHAPE(1, n));
	struct gpu_tensor *out = gpu_reshape(g, rd->step, y, SHAPE(1, n));

	for (int64_t r = 0; r < rows; r++)
		gpu_copy(g, gpu_view(g, rd->step, flat, 0, r, 1), line);
	const struct gpu_tensor *said = gpu_reshape(
		g, rd->step, aldm2_unet_forward(rd->run, rd->step, both, time), SHAPE(rows, n));
	if (rows == 1)
		gpu_copy(g, out, said);
	else
		gpu_guidance(g, out, said, rd->guidance);
}

static void denoise(void *ud, struct gpu_tensor *estimate, const struct gpu_tensor *x,
	const struct sampler_step *at)
{
	struct render *rd = ud;
	struct gpu_tensor *y = gpu_new(
		rd->g, rd->step, GPU_F32, "prediction", SHAPE(x->ne[0], x->ne[1], x->ne[2]));
	const struct gpu_tensor *time = aldm2_unet_time(&rd->m->unet, rd->g, rd->step, at->time);
	const float alpha = (float)at->alpha, sigma = (float)at->sigma;

	/* All that a step allocates lies where it lay the last time. */
	if (gpu_step_begin(rd->g, rd->repeated, rd->step)) {
		predict(rd, y, x, time);
		gpu_step_end(rd->g, rd->repeated);
	}
	gpu_tap(rd->g, y, "prediction%d", at->number);
	switch (rd->m->prediction) {
	case PREDICTS_NOISE:
		gpu_combine(rd->g, estimate,
			(struct gpu_term[]){{x, 1 / alpha}, {y, -sigma / alpha}}, 2);
		break;
	case PREDICTS_V:
		gpu_combine(rd->g, estimate, (struct gpu_term[]){{x, alpha}, {y, -sigma}}, 2);
		break;
	case PREDICTS_CLEAN:
		gpu_copy(rd->g, estimate, y);
		break;
	}
}

/* ---- decode ------------------------------------------------------------- */

enum { VAE_TICKS = AUDIOLDM2_VAE_TICKS, TICKS = AUDIOLDM2_DECODE_TICKS };

static int tell_decoding(struct render *rd, uint64_t done)
{
	return watch_progress(rd->watch, ENGINE_STAGE_DECODE, (uint64_t)rd->take * TICKS + done,
		(uint64_t)rd->r->n_takes * TICKS, rd->e);
}

/* Tells of the ticks between those of two stages, or stops the pass. */
static void tell_layer(struct render *rd, int64_t first, int64_t end, int64_t done, int64_t total)
{
	const int64_t tick = first + 1 + (end - first - 2) * done / total;

	if (!gpu_failed(rd->g) && tell_decoding(rd, (uint64_t)tick))
		gpu_fail(rd->g, ERR_CANCELLED, "cancelled");
}

static void vae_layer(void *ud, int64_t done, int64_t total)
{
	tell_layer(ud, 0, VAE_TICKS, done, total);
}

static void vocoder_layer(void *ud, int64_t done, int64_t total)
{
	tell_layer(ud, VAE_TICKS, TICKS, done, total);
}

/* A preview counts for nothing, but may be cancelled. */
static void preview_layer(void *ud, int64_t done, int64_t total)
{
	const struct render *rd = ud;

	if (!gpu_failed(rd->g) &&
		watch_progress(rd->watch, ENGINE_STAGE_RENDER, rd->loop.done, rd->loop.total, NULL))
		gpu_fail(rd->g, ERR_CANCELLED, "cancelled");
}

/* Latents to rd->samples.  is_whole: tells how far it is. */
static int decode(struct render *rd, const struct gpu_tensor *z, bool is_whole)
{
	const struct audioldm2 *m = rd->m;
	const struct layer_watch vae = {is_whole ? vae_layer : preview_layer, rd},
				 vocoder = {is_whole ? vocoder_layer : preview_layer, rd};
	struct gpu_mark mark = gpu_arena_mark(rd->arena);
	const int64_t height = rd->height * m->vae.scale, width = m->vocoder.n_mels;
	int rc = is_whole ? tell_decoding(rd, 0) : 0;

	if (rc)
		return rc;
	struct gpu_tensor *mel = kl_vae_decode(&m->vae, rd->g, rd->arena, rd->step,
		gpu_reshape(rd->g, rd->arena, z, SHAPE(1, z->ne[0], z->ne[1], z->ne[2])), &vae);
	rc = gpu_sync(rd->g, rd->e);
	if (!rc && is_whole)
		rc = tell_decoding(rd, VAE_TICKS);
	if (!rc) {
		struct gpu_tensor *y = hifigan_render(&m->vocoder, rd->g, rd->arena, rd->step,
			gpu_reshape(rd->g, rd->arena, mel, SHAPE(height, width)), &vocoder);
		gpu_read(rd->g, y, rd->samples, (size_t)y->ne[0] * sizeof(*rd->samples));
		rc = gpu_sync(rd->g, rd->e);
	}
	gpu_arena_release(rd->arena, mark);
	for (int64_t i = 0; i < rd->r->n_frames && !rc; i++)
		if (!isfinite(rd->samples[i]))
			rc = err_set(rd->e, ERR_FORMAT,
				"decode: a sample is not a number; the model is damaged");
	return rc;
}

static struct engine_audio audio_at(const struct render *rd, int64_t first, int64_t n)
{
	return (struct engine_audio){.samples = rd->samples + first,
		.frames = n,
		.channels = 1,
		.rate = (int)rd->m->vocoder.rate};
}

static int sink_samples(struct render *rd)
{
	int rc = 0;

	for (int64_t at = 0; at < rd->r->n_frames && !rc; at += CHUNK) {
		const int64_t left = rd->r->n_frames - at;
		const struct engine_audio chunk = audio_at(rd, at, left < CHUNK ? left : CHUNK);
		rc = rd->sink->audio(rd->sink->ud, rd->take, &chunk, rd->e);
	}
	return rc ? rc : tell_decoding(rd, TICKS);
}

static int load_rank(
	struct audioldm2 *m, struct gpu *g, const struct engine_watch *watch, struct err *e)
{
	return aldm2_rank_load(
		&m->rank, g, m->dir, m->ckpt, text_dtype(m->precision), m->n_threads, watch, e);
}

static int rank(struct render *rd)
{
	const struct audioldm2 *m = rd->m;
	double score = 0;
	int rc = aldm2_rank_score(&m->rank, rd->g, rd->step, rd->prompt.clap, rd->samples,
		rd->r->n_frames, m->vocoder.rate, &score, rd->e);

	return rc ? rc : rd->sink->score(rd->sink->ud, rd->take, score, rd->e);
}

static int preview(void *ud, int step, const struct gpu_tensor *estimate)
{
	struct render *rd = ud;
	int rc = decode(rd, estimate, false);

	if (rc)
		return rc;
	const struct engine_audio whole = audio_at(rd, 0, rd->r->n_frames);
	return rd->sink->preview(rd->sink->ud, rd->take, step, &whole, rd->e);
}

/* ---- render ------------------------------------------------------------- */

static int make_latents(struct render *rd)
{
	rd->loop.seed = rd->r->seed + (uint64_t)rd->take;
	int rc = diffusion_run(&rd->loop, rd->x);

	return rc ? rc : diffusion_keep_latents(rd->g, rd->x, rd->sink, rd->take, rd->e);
}

static int render_takes(struct render *rd)
{
	const struct engine_request *r = rd->r;
	int rc = 0;

	rd->loop = (struct diffusion){.g = rd->g,
		.step = rd->step,
		.plan = &rd->plan,
		.denoise = denoise,
		.ud = rd,
		.noise = r->noise,
		.watch = rd->watch,
		.total = (uint64_t)(r->n_takes * rd->plan.n_ticks),
		.preview = r->preview && rd->sink->preview ? preview : NULL,
		.preview_every = r->preview,
		.e = rd->e};
	for (rd->take = 0; rd->take < r->n_takes && !rc; rd->take++) {
		rc = r->latents ? diffusion_put_latents(rd->g, rd->x, &r->latents[rd->take], rd->e)
				: make_latents(rd);
		if (!rc)
			rc = decode(rd, rd->x, true);
		if (!rc && rd->sink->score)
			rc = rank(rd);
		if (!rc)
			rc = sink_samples(rd);
	}
	return rc;
}

static int audioldm2_render(struct engine *en, const struct engine_request *r,
	const struct engine_watch *watch, const struct engine_sink *sink, struct err *e)
{
	struct render rd = {
		.m = en->model, .g = en->gpu, .r = r, .watch = watch, .sink = sink, .e = e};
	int rc = check_request(&en->info, r, e);

	if (!rc)
		rc = prepare(&rd, &en->info);
	if (!rc && sink->score) /* what it lacks is told before anything is made */
		rc = load_rank(rd.m, rd.g, watch, e);
	if (!rc && (!r->latents || sink->score))
		rc = encode_texts(&rd);
	rd.repeated = gpu_step_new();
	if (!rc && !r->latents)
		rc = condition(&rd);
	if (!rc)
		rc = render_takes(&rd);
	gpu_sync(rd.g, NULL); /* a cancelled render leaves no error behind */
	gpu_step_free(rd.g, rd.repeated);
	unet_run_free(rd.run);
	gpu_arena_free(rd.arena);
	gpu_arena_free(rd.step);
	arena_done(&rd.host);
	free(rd.samples);
	return rc;
}

int audioldm2_score(struct engine *en, const char *prompt, const float *samples, int64_t n,
	double *ret, struct err *e)
{
	struct audioldm2 *m = en->model;
	struct gpu_arena *a = gpu_arena_new(en->gpu, "score"),
			 *step = gpu_arena_new(en->gpu, "step");
	struct aldm2_prompt text;
	int rc = aldm2_text_encode(&m->text, en->gpu, a, step, prompt, 0, NULL, &text, e);

	if (!rc)
		rc = load_rank(m, en->gpu, NULL, e);
	if (!rc)
		rc = aldm2_rank_score(
			&m->rank, en->gpu, step, text.clap, samples, n, m->vocoder.rate, ret, e);
	gpu_arena_free(a);
	gpu_arena_free(step);
	return rc;
}

const struct engine_ops audioldm2_ops = {
	.name = "audioldm2",
	.pipeline = "AudioLDM2Pipeline",
	.parts = (const char *const[]){"text_encoder", "text_encoder_2", "projection_model",
		"language_model", "unet", "vae", "vocoder", NULL},
	.configs = (const char *const[]){"model_index.json", "text_encoder/config.json",
		"text_encoder_2/config.json", "projection_model/config.json",
		"language_model/config.json", "unet/config.json", "vae/config.json",
		"vocoder/config.json", "scheduler/scheduler_config.json", NULL},
	.samplers = {sampler_schedule_name},
	.open = audioldm2_open,
	.describe = audioldm2_describe,
	.needs = audioldm2_needs,
	.render = audioldm2_render,
	.close = audioldm2_close,
};
