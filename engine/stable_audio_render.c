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
 * Objectives: v, where x at noise sigma is seen as c_in x at time atan(sigma), and
 * rectified flow.  Length is in samples (frame_samples is 1). */
#include "engine/stable_audio.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/diffusion.h"
#include "engine/weights/bind.h"
#include "library/base/err.h"

enum {
	MAX_STEPS = 10000,
	/* Taken by the autoencoder at a time, on a processor; what the caller waits for when it
	 * cancels. */
	DECODE_FRAMES = 64,
	ENCODE_SAMPLES = 1 << 16,
	FADE_SAMPLES = 2048, /* between what was made anew and what stays */
};
#define DEFAULT_STRENGTH 0.5f
/* Where a sampler ends that leaves the last noise in: stable-audio-tools' own default. */
#define CLEAN_SIGMA 0.01

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
	struct gpu_step *repeated; /* owned: the velocity in a fixed place */
	int take;
	/* Of the decoder: where its samples go. */
	int (*to)(struct render *rd, float *samples, int64_t n);
	int64_t n_decoded; /* samples so far */
	float *chunk;      /* owned */
	int64_t chunk_size;
	float *whole; /* of a preview, or what the encoder is given; owned */
	int rc;       /* of a callback */
};

/* ---- the request -------------------------------------------------------- */

static int check_request(const struct render *rd)
{
	const struct engine_request *r = rd->r;

	if (r->n_frames < 1 || r->n_frames > rd->info->longest_frames)
		return err_set(rd->e, ERR_ARG,
			"a take of %lld samples is not possible; the model makes up to %lld",
			(long long)r->n_frames, (long long)rd->info->longest_frames);
	if (r->steps < 0 || r->steps > MAX_STEPS)
		return err_set(rd->e, ERR_ARG, "%d steps are not possible; 1 to %d are", r->steps,
			MAX_STEPS);
	if (!(r->strength >= 0 && r->strength <= 1))
		return err_set(
			rd->e, ERR_ARG, "a strength of %g is not between 0 and 1", r->strength);
	if (rd->m->objective == OBJECTIVE_FLOW && (r->sigma_min > 0 || r->sigma_max > 0))
		return err_set(rd->e, ERR_ARG,
			"this model goes from noise to sound in a straight line, it has no range "
			"of sigma: leave out --sigma-min and --sigma-max");
	if (r->redo_to > r->redo_from && !r->init.samples)
		return err_set(rd->e, ERR_ARG, "there is no audio of which to redo a part");
	const int rc = pipeline_check_request(r, rd->e);
	if (rc || !r->init.samples)
		return rc;
	return pipeline_check_audio(rd->info, &r->init, "begin with", rd->e);
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
	if (sampler_is_angular(name) && r->sigma_min > 0)
		return err_set(rd->e, ERR_ARG,
			"the sampler %s goes down to no noise: leave out --sigma-min", name);
	if (sampler_is_angular(name) && !(r->sigma_max > 0))
		s.max = INFINITY;
	if (partly)
		s.max = sampler_is_angular(name)
				? tan(strength * atan(s.max))
				: exp(log(s.min) + strength * (log(s.max) - log(s.min)));
	if (sampler_ends_at_min(name) && !(r->sigma_min > 0))
		s.min = fmin(s.min, CLEAN_SIGMA);
	rc = sampler_sigma_plan(name, steps, s, &rd->host, &rd->plan, rd->e);
	if (!rc && m->layout == DIFFUSERS && !partly && !sampler_is_angular(name))
		rd->plan.start = sqrt(s.max * s.max + 1);
	return rc;
}

static int prepare(struct render *rd)
{
	const struct sa_dit_config *d = &rd->m->dit.cfg;
	int rc = make_plan(rd);

	if (!rc)
		rc = diffusion_check_noise(rd->r->noise, d->window * d->channels, &rd->plan, rd->e);
	if (rc)
		return rc;
	rd->guidance = pipeline_guidance(rd->r, rd->info, rd->watch);
	rd->arena = gpu_arena_new(rd->g, "render");
	rd->step = gpu_arena_new(rd->g, "step");
	rd->latents = gpu_new(rd->g, rd->arena, GPU_F32, "latents", SHAPE(d->window, d->channels));
	return gpu_sync(rd->g, rd->e);
}

/* The first error of the device, with what was going on. */
static int checked(struct render *rd, const char *what)
{
	int rc = gpu_sync(rd->g, rd->e);

	return rc ? err_wrap(rd->e, rc, "%s", what) : 0;
}

/* ---- text --------------------------------------------------------------- */

/* Padded tokens are masked in T5 and zeros behind it, so they need not be computed. */
static int encode_text(struct render *rd, const char *text, struct gpu_tensor **ret)
{
	int32_t *tokens = NULL;
	size_t n = 0;
	int rc = pipeline_tokens(rd->m->words, text,
		text == rd->r->prompt ? "prompt" : "negative prompt",
		(size_t)rd->m->conditioner.n_tokens, rd->m->t5.cfg.vocab, rd->watch, &tokens, &n,
		rd->e);

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
	oobleck_bind_encoder(&m->vae, b, stable_audio_sound_dtype(m->precision));
	int rc = pipeline_load_weights(b, NULL, rd->m->precision, &rd->m->host, rd->watch, rd->e);
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

/* Frames for the autoencoder to take at a time, each of which is `width` elements of its
 * widest layer. */
static int64_t at_once(const struct render *rd, int64_t frames, int64_t width)
{
	const int64_t n = gpu_piece(rd->g, frames * width) / width;

	return n > 1 ? n : 1;
}

/* The audio, then silence up to the window's end, a piece at a time. */
static int push_audio(struct render *rd, struct oobleck_stream *s)
{
	const struct engine_audio *a = &rd->r->init;
	const struct oobleck_config *cfg = &rd->m->vae.cfg;
	const int64_t total = rd->m->dit.cfg.window * cfg->hop;
	const int64_t most = at_once(rd, ENCODE_SAMPLES, cfg->encoder_width);
	int rc = 0;

	for (int64_t at = 0, n; at < total && !rc; at += n) {
		n = total - at < most ? total - at : most;
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
static void velocity(struct render *rd, struct gpu_tensor *v, const struct gpu_tensor *x,
	const struct gpu_tensor *time)
{
	const int64_t n = x->ne[0], c = x->ne[1];
	struct gpu *g = rd->g;

	if (!rd->without) {
		sa_dit_forward(&rd->m->dit, g, rd->step, v, x, time, rd->with);
		return;
	}
	struct gpu_tensor *both = gpu_new(g, rd->step, GPU_F32, "velocities", SHAPE(2 * n, c));
	sa_dit_forward(
		&rd->m->dit, g, rd->step, gpu_view(g, rd->step, both, 0, 0, n), x, time, rd->with);
	sa_dit_forward(&rd->m->dit, g, rd->step, gpu_view(g, rd->step, both, 0, n, n), x, time,
		rd->without);
	if (rd->loop.unguided)
		gpu_copy(g, rd->loop.unguided, gpu_view(g, rd->step, both, 0, n, n));
	gpu_guidance(g, v, both, rd->guidance);
}

/* The same at time t.  All that a step allocates lies where it lay the last time. */
static void velocity_at(
	struct render *rd, struct gpu_tensor *v, const struct gpu_tensor *x, double t)
{
	const struct gpu_tensor *time = sa_dit_time(&rd->m->dit, rd->g, rd->step, t);

	if (gpu_step_begin(rd->g, rd->repeated, rd->step)) {
		velocity(rd, v, x, time);
		gpu_step_end(rd->g, rd->repeated);
	}
}

static void denoise(void *ud, struct gpu_tensor *estimate, const struct gpu_tensor *x,
	const struct sampler_step *at)
{
	struct render *rd = ud;
	const double sigma = at->sigma, alpha = at->alpha, data = rd->m->sigma_data;
	const struct gpu_shape shape = SHAPE(x->ne[0], x->ne[1]);
	struct gpu_tensor *v = gpu_new(rd->g, rd->step, GPU_F32, "velocity", shape);

	if (rd->m->objective == OBJECTIVE_FLOW) {
		velocity_at(rd, v, x, at->time);
		gpu_combine(rd->g, estimate, (struct gpu_term[]){{x, 1}, {v, -(float)at->time}}, 2);
		if (rd->loop.slope)
			gpu_copy(rd->g, rd->loop.slope, v);
		return;
	}
	const double variance = sigma * sigma + alpha * alpha * data * data;
	const struct gpu_term kept = {x, (float)(alpha * data * data / variance)};
	const float weight = (float)(-sigma * data / sqrt(variance));
	struct gpu_tensor *in = gpu_new(rd->g, rd->step, GPU_F32, "scaled latents", shape);
	gpu_combine(rd->g, in, (struct gpu_term[]){{x, (float)(1 / sqrt(variance))}}, 1);
	velocity_at(rd, v, in, atan2(sigma, alpha) / M_PI * 2);
	gpu_combine(rd->g, estimate, (struct gpu_term[]){kept, {v, weight}}, 2);
	if (rd->loop.unguided)
		gpu_combine(rd->g, rd->loop.unguided,
			(struct gpu_term[]){kept, {rd->without ? rd->loop.unguided : v, weight}},
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

static struct gpu_tensor *like_latents(struct render *rd, const char *name)
{
	return gpu_new(
		rd->g, rd->arena, GPU_F32, name, SHAPE(rd->latents->ne[0], rd->latents->ne[1]));
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
		.total = (uint64_t)(rd->plan.n_ticks * rd->r->n_takes),
		.preview = rd->r->preview > 0 && rd->sink->preview ? on_estimate : NULL,
		.preview_every = rd->r->preview,
		.e = rd->e};
	if (rd->plan.has_slopes && rd->m->objective == OBJECTIVE_FLOW)
		rd->loop.slope = like_latents(rd, "slope");
	if (rd->plan.has_unguided)
		rd->loop.unguided = like_latents(rd, "estimate without guidance");
	set_kept(rd);
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

/* Frames to decode next, `most` at a time: as many as samples are left, for the decoder keeps
 * some back. */
static int64_t next_frames(const struct render *rd, int64_t at, int64_t most)
{
	const int64_t hop = rd->m->vae.cfg.hop, window = rd->m->dit.cfg.window;
	int64_t n = (rd->r->n_frames - rd->n_decoded + hop - 1) / hop;

	n = n < most ? n : most;
	return window - at < n ? window - at : n;
}

/* No more frames than the take's samples need. */
static int decode(struct render *rd, const struct gpu_tensor *latents, bool tell)
{
	const struct oobleck_config *cfg = &rd->m->vae.cfg;
	const int64_t window = latents->ne[0], wanted = rd->r->n_frames;
	const int64_t most = at_once(rd, DECODE_FRAMES, cfg->hop * cfg->decoder_width);
	struct gpu_arena *state = gpu_arena_new(rd->g, "decoder");
	struct oobleck_stream *s =
		oobleck_stream_new(&rd->m->vae.decoder, rd->g, state, rd->step, take_samples, rd);
	const uint64_t done = (uint64_t)(wanted * rd->take),
		       total = (uint64_t)(wanted * rd->r->n_takes);
	int rc = tell ? watch_progress(rd->watch, ENGINE_STAGE_DECODE, done, total, rd->e) : 0;

	rd->n_decoded = 0;
	rd->rc = 0;
	for (int64_t at = 0, n; at < window && rd->n_decoded < wanted && !rc; at += n) {
		n = next_frames(rd, at, most);
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
	const struct engine_latents *kept = rd->r->latents;
	int rc = kept ? diffusion_put_latents(rd->g, rd->latents, &kept[rd->take], rd->e)
		      : run_loop(rd);

	if (!rc && !kept)
		rc = diffusion_keep_latents(rd->g, rd->latents, rd->sink, rd->take, rd->e);
	rd->to = to_sink;
	return rc ? rc : decode(rd, rd->latents, true);
}

int stable_audio_render(struct engine *en, const struct engine_request *r,
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
	if (!rc)
		prepare_loop(&rd);
	rd.repeated = gpu_step_new();
	for (; rd.take < r->n_takes && !rc; rd.take++)
		rc = render_take(&rd);
	gpu_sync(rd.g, NULL); /* a cancelled render leaves no error behind */
	gpu_step_free(rd.g, rd.repeated);
	gpu_arena_free(rd.arena);
	gpu_arena_free(rd.step);
	arena_done(&rd.host);
	free(rd.chunk);
	free(rd.whole);
	return rc;
}
