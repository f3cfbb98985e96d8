/* MusicGen: text (and audio to continue) to music.
 *
 *	text       prompt -> tokens -> T5 -> what the decoder attends to
 *	prompt     audio to continue -> EnCodec -> codes that are given
 *	loop       window by window, column by column: decoder, guidance, sample
 *	decode     codes -> EnCodec -> samples, in chunks
 *
 * The delay pattern.  A frame has K codes, and codebook k of a channel is
 * generated k columns late: row k of column j holds frame j - 1 - delay(k),
 * the start token where there is no such frame.  T frames take T + C columns,
 * C the codebooks of a channel, the first all start tokens; the last column
 * is never fed.  (transformers leaves the delay out below 3 frames; audiocraft
 * and this program do not.)
 *
 * Windows.  The model knows 30 s.  A longer take is made in windows that
 * begin 18 s after each other: each is given the codes of the 12 s that it
 * shares with the one before, begins at position 0 again, and adds the rest.
 * What is carried is codes, and all codes are decoded in one go, so there is
 * no join in the sound.
 *
 * Guidance runs two rows per take, with and without text, in one pass.  An
 * empty prompt is the null condition: one row, no guidance. */
#include "engine/musicgen.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/weights/bind.h"
#include "library/base/err.h"

enum {
	DEFAULT_TOP_K = 250,
	PREFILL_COLUMNS = 64, /* known columns fed at a time */
	STEPS_AHEAD = 16,     /* how many steps the device may be told of before it is asked */
	DECODE_FRAMES = 64,   /* over all takes, at a time */
};

struct render {
	struct musicgen *m;
	struct gpu *g;
	const struct engine_request *r;
	const struct engine_watch *watch;
	const struct engine_sink *sink;
	struct err *e;
	struct gpu_arena *arena, *step; /* of the render, of a step */
	int64_t n_takes, n_rows;        /* rows: twice the takes with guidance */
	struct gpu_sampling sampling;
	uint64_t *seeds;            /* [n_takes]; owned */
	struct lm_run *run;         /* owned */
	int32_t *codes;             /* [take][codebook][frame]; owned */
	int64_t n_known;            /* frames that all takes have */
	int32_t *ids;               /* of the columns being fed; owned */
	uint64_t done, total;       /* columns */
	struct gpu_tensor *latents; /* of the audio to continue */
	int64_t n_latents;          /* frames so far */
	float *audio, *chunk;       /* as decoded, and interleaved; owned */
	int64_t audio_size;         /* floats in either */
	int rc;                     /* of a callback */
};

/* One window of a take. */
struct window {
	int64_t offset;  /* its first frame in the take */
	int64_t n_given; /* frames that are known */
	int64_t n_frames;
};

/* ---- the request -------------------------------------------------------- */

static int check_request(
	const struct engine_info *info, const struct engine_request *r, struct err *e)
{
	const int64_t longest = 24 * 3600 * (int64_t)info->rate / info->frame_samples + 1;

	if (r->n_frames < 1 || r->n_frames > longest)
		return err_set(e, ERR_ARG, "a take of %lld frames is not possible",
			(long long)r->n_frames);
	if (!r->greedy && !(r->temperature >= 0 && r->temperature <= 1e6f))
		return err_set(e, ERR_ARG, "a temperature of %g is not possible", r->temperature);
	int rc = pipeline_check_request(r, e);
	if (rc || !r->continued.samples)
		return rc;
	const int64_t given = (r->continued.frames + info->frame_samples - 1) / info->frame_samples;
	if (given >= r->n_frames)
		return err_set(e, ERR_ARG,
			"the audio to continue takes %lld of %lld frames; ask for a longer take",
			(long long)given, (long long)r->n_frames);
	return pipeline_check_audio(info, &r->continued, "continue", e);
}

static int prepare(struct render *rd, const struct engine_info *info)
{
	const struct engine_request *r = rd->r;
	const struct lm_config *lm = &rd->m->lm.cfg;
	float guidance = isnan(r->guidance) ? info->default_guidance : r->guidance;
	int rc;

	rd->n_takes = r->n_takes;
	if (guidance <= 1 || !*r->prompt)
		guidance = 0;
	rd->n_rows = guidance > 0 ? 2 * rd->n_takes : rd->n_takes;
	rd->seeds = xcalloc((size_t)rd->n_takes, sizeof(*rd->seeds));
	for (int64_t i = 0; i < rd->n_takes; i++)
		rd->seeds[i] = r->seed + (uint64_t)i;
	rd->sampling = (struct gpu_sampling){.greedy = r->greedy,
		.temperature = r->temperature > 0 ? r->temperature : 1.0f,
		.top_k = r->top_k < 0 ? DEFAULT_TOP_K : r->top_k,
		.top_p = r->top_p,
		.seed = rd->seeds,
		.n_streams = lm->n_codebooks,
		.guidance = guidance};
	rd->arena = gpu_arena_new(rd->g, "render");
	rd->step = gpu_arena_new(rd->g, "step");
	rc = mem_try_alloc((void **)&rd->codes, (size_t)(rd->n_takes * lm->n_codebooks),
		(size_t)r->n_frames * sizeof(*rd->codes), "the codes of all takes", rd->e);
	if (rc)
		return rc;
	return mem_try_alloc((void **)&rd->ids, (size_t)(rd->n_rows * lm->n_codebooks),
		PREFILL_COLUMNS * sizeof(*rd->ids), "the columns of all takes", rd->e);
}

static int32_t *code_at(const struct render *rd, int64_t take, int64_t codebook, int64_t frame)
{
	const int64_t row = take * rd->m->lm.cfg.n_codebooks + codebook;

	return &rd->codes[row * rd->r->n_frames + frame];
}

/* The first error of the device, with what was going on. */
static int checked(struct render *rd, const char *what)
{
	int rc = gpu_sync(rd->g, rd->e);

	return rc ? err_wrap(rd->e, rc, "%s", what) : 0;
}

/* ---- text --------------------------------------------------------------- */

static int encode_text(struct render *rd, struct gpu_tensor **ret)
{
	int32_t *tokens = NULL;
	size_t n = 0;
	int rc;

	*ret = NULL;
	if (!*rd->r->prompt)
		return watch_progress(rd->watch, ENGINE_STAGE_TEXT, 0, 0, rd->e);
	rc = pipeline_tokens(rd->m->words, rd->r->prompt, "prompt", MUSICGEN_TOKENS_MAX,
		rd->m->t5.cfg.vocab, rd->watch, &tokens, &n, rd->e);
	if (!rc)
		rc = watch_progress(rd->watch, ENGINE_STAGE_TEXT, 0, n, rd->e);
	if (!rc) {
		*ret = t5_encode(&rd->m->t5, rd->g, rd->arena, rd->step, tokens, (int64_t)n);
		rc = checked(rd, "text encoder");
	}
	if (!rc)
		rc = watch_progress(rd->watch, ENGINE_STAGE_TEXT, n, n, rd->e);
	free(tokens);
	return rc;
}

/* ---- audio to continue -------------------------------------------------- */

static int load_encoder(struct render *rd)
{
	struct musicgen *m = rd->m;

	if (m->has_encoder)
		return 0;
	gpu_arena_free(m->encoder_weights);
	m->encoder_weights = gpu_arena_new(rd->g, "encoder weights");
	struct bind *b = bind_new(m->ckpt, rd->g, m->encoder_weights, m->n_threads);
	codec_bind_encoder(&m->codec, b);
	int rc = pipeline_load_weights(b, NULL, m->precision, &m->host, rd->watch, rd->e);
	bind_free(b);
	m->has_encoder = !rc;
	return rc;
}

static void take_latents(void *ud, struct gpu *g, const struct gpu_tensor *y)
{
	struct render *rd = ud;
	struct gpu_tensor *to = gpu_view(g, rd->step, rd->latents, 1, rd->n_latents, y->ne[1]);

	gpu_copy(g, to, y);
	rd->n_latents += y->ne[1];
}

/* Pushes the audio a second at a time, each channel a row. */
static int push_audio(struct render *rd, struct codec_stream *s, float *samples)
{
	const struct engine_audio *a = &rd->r->continued;
	const int64_t channels = a->channels, second = rd->m->codec.cfg.rate;
	int rc = 0;

	for (int64_t at = 0; at < a->frames && !rc; at += second) {
		const int64_t n = a->frames - at < second ? a->frames - at : second;
		struct gpu_mark mark = gpu_arena_mark(rd->step);
		struct gpu_tensor *x =
			gpu_new(rd->g, rd->step, GPU_F32, "audio", SHAPE(channels, n, 1));
		for (int64_t c = 0; c < channels; c++)
			for (int64_t i = 0; i < n; i++)
				samples[c * n + i] = a->samples[(at + i) * channels + c];
		gpu_write(rd->g, x, samples, (size_t)(channels * n) * sizeof(*samples));
		codec_push(s, x);
		gpu_arena_release(rd->step, mark);
		rc = checked(rd, "encoder");
		if (!rc)
			rc = watch_progress(rd->watch, ENGINE_STAGE_RENDER, 0, 0, rd->e);
	}
	if (rc)
		return rc;
	codec_flush(s);
	return checked(rd, "encoder");
}

/* A codec may have more entries than the decoder has embeddings. */
static void give_code(struct render *rd, int64_t codebook, int64_t frame, int32_t code)
{
	if (code >= rd->m->lm.cfg.vocab) {
		gpu_fail(rd->g, ERR_UNSUPPORTED,
			"the audio to continue holds a sound (code %d) that the decoder, which "
			"knows %lld, cannot continue",
			(int)code, (long long)rd->m->lm.cfg.vocab);
		return;
	}
	for (int64_t take = 0; take < rd->n_takes; take++)
		*code_at(rd, take, codebook, frame) = code;
}

/* Latents of all channels to the codes that every take begins with. */
static void give_codes(struct render *rd, int32_t *host)
{
	const struct codec_config *cfg = &rd->m->codec.cfg;
	const int64_t n = rd->n_latents, channels = rd->m->lm.cfg.channels, k = cfg->n_codebooks;

	gpu_tap(rd->g, rd->latents, "encodec.encoded");
	for (int64_t c = 0; c < channels; c++) {
		struct gpu_mark mark = gpu_arena_mark(rd->step);
		struct gpu_tensor *z = gpu_reshape(rd->g, rd->step,
			gpu_view(rd->g, rd->step, rd->latents, 0, c, 1), SHAPE(n, cfg->hidden));
		struct gpu_tensor *codes = codec_quantize(&rd->m->codec, rd->g, rd->step, z);
		gpu_read(rd->g, codes, host, (size_t)(n * k) * sizeof(*host));
		for (int64_t q = 0; q < k; q++)
			for (int64_t t = 0; t < n; t++)
				give_code(rd, q * channels + c, t, host[t * k + q]);
		gpu_arena_release(rd->step, mark);
	}
	rd->n_known = n;
}

static int encode_audio(struct render *rd)
{
	const struct engine_audio *a = &rd->r->continued;
	const struct codec *codec = &rd->m->codec;
	const int64_t channels = rd->m->lm.cfg.channels;
	struct codec_stream *s = NULL;
	float *samples = NULL;
	int32_t *codes = NULL;

	if (!a->samples)
		return 0;
	const int64_t n = (a->frames + codec->cfg.hop - 1) / codec->cfg.hop;
	int rc = load_encoder(rd);
	if (!rc)
		rc = mem_try_alloc((void **)&samples, (size_t)(channels * codec->cfg.rate),
			sizeof(*samples), "a second of audio", rd->e);
	if (!rc)
		rc = mem_try_alloc((void **)&codes, (size_t)(n * codec->cfg.n_codebooks),
			sizeof(*codes), "the codes of the audio to continue", rd->e);
	if (rc)
		goto out;
	struct gpu_arena *state = gpu_arena_new(rd->g, "encoder");
	rd->latents =
		gpu_new(rd->g, state, GPU_F32, "latents", SHAPE(channels, n, codec->cfg.hidden));
	s = codec_stream_new(
		codec, &codec->encoder, rd->g, state, rd->step, channels, take_latents, rd);
	rc = push_audio(rd, s, samples);
	if (!rc) {
		give_codes(rd, codes);
		rc = checked(rd, "quantiser");
	}
	codec_stream_free(s);
	gpu_arena_free(state);
out:
	free(samples);
	free(codes);
	return rc;
}

/* ---- loop --------------------------------------------------------------- */

static int64_t codebooks_per_channel(const struct render *rd)
{
	return rd->m->lm.cfg.n_codebooks / rd->m->lm.cfg.channels;
}

/* Frame of the window in row `codebook` of a column; outside 0..n_frames-1
 * there is the start token. */
static int64_t frame_at(const struct render *rd, int64_t column, int64_t codebook)
{
	return column - 1 - codebook / rd->m->lm.cfg.channels;
}

/* Frame t of the window, which is known or the start token. */
static int32_t id_at(
	const struct render *rd, const struct window *w, int64_t take, int64_t codebook, int64_t t)
{
	if (t < 0 || t >= w->n_frames)
		return (int32_t)rd->m->lm.cfg.vocab;
	return *code_at(rd, take, codebook, w->offset + t);
}

/* rd->ids = columns column .. column + n - 1 of the window, [row][column][codebook] */
static void fill_columns(struct render *rd, const struct window *w, int64_t column, int64_t n)
{
	const int64_t k = rd->m->lm.cfg.n_codebooks;
	int32_t *id = rd->ids;

	for (int64_t row = 0; row < rd->n_rows; row++)
		for (int64_t j = column; j < column + n; j++)
			for (int64_t q = 0; q < k; q++)
				*id++ = id_at(rd, w, row % rd->n_takes, q, frame_at(rd, j, q));
}

/* What stays on the device while a window is rendered. */
struct columns {
	struct gpu_tensor *held;  /* I32 [columns, takes * K]: given, drawn, or -1 */
	struct gpu_tensor *next;  /* I32 [rows / takes, takes * K]: the column to be fed */
	struct gpu_tensor *drawn; /* I32 [takes * K] */
	struct gpu_tensor *at;    /* I32 [1, 1]: the column to be drawn */
};

/* Frame t of the window in row `codebook`: is it drawn? */
static bool is_free(const struct window *w, int64_t t)
{
	return t >= w->n_given && t < w->n_frames;
}

/* The window's columns, free places -1; the first to be drawn is the one behind those
 * that are known. */
static int put_columns(
	struct render *rd, const struct window *w, int64_t n_columns, struct columns *ret)
{
	const int64_t k = rd->m->lm.cfg.n_codebooks, n = rd->n_takes * k;
	const int32_t first = (int32_t)w->n_given + 1;
	struct gpu *g = rd->g;
	int32_t *host;
	int rc = mem_try_alloc((void **)&host, (size_t)(n_columns * n), sizeof(*host),
		"the columns of a window", rd->e);

	if (rc)
		return rc;
	for (int64_t i = 0; i < n_columns * n; i++) {
		const int64_t q = i % k, t = frame_at(rd, i / n, q);
		host[i] = is_free(w, t) ? -1 : id_at(rd, w, i % n / k, q, t);
	}
	ret->held = gpu_new(g, rd->step, GPU_I32, "columns", SHAPE(n_columns, n));
	ret->next =
		gpu_new(g, rd->step, GPU_I32, "next column", SHAPE(rd->n_rows / rd->n_takes, n));
	ret->drawn = gpu_new(g, rd->step, GPU_I32, "drawn", SHAPE(n));
	ret->at = gpu_new(g, rd->step, GPU_I32, "column", SHAPE(1, 1));
	gpu_write(g, ret->held, host, (size_t)(n_columns * n) * sizeof(*host));
	gpu_write(g, ret->at, &first, sizeof(first));
	free(host);
	return 0;
}

/* The codes that were drawn. */
static int keep_columns(
	struct render *rd, const struct window *w, int64_t n_columns, const struct columns *c)
{
	const int64_t k = rd->m->lm.cfg.n_codebooks, n = rd->n_takes * k;
	int32_t *host;
	int rc = mem_try_alloc((void **)&host, (size_t)(n_columns * n), sizeof(*host),
		"the columns of a window", rd->e);

	if (rc)
		return rc;
	gpu_read(rd->g, c->held, host, (size_t)(n_columns * n) * sizeof(*host));
	for (int64_t i = 0; i < n_columns * n; i++) {
		const int64_t q = i % k, t = frame_at(rd, i / n, q);
		if (is_free(w, t))
			*code_at(rd, i % n / k, q, w->offset + t) = host[i];
	}
	free(host);
	return checked(rd, "codes");
}

/* Draws the next column, and makes it the one to be fed. */
static void sample(struct render *rd, struct columns *c, const struct gpu_tensor *logits)
{
	gpu_sample(rd->g, c->drawn, logits, &rd->sampling);
	gpu_next_column(rd->g, c->next, c->held, c->drawn, c->at);
}

/* What is known of a step that is done; the device is asked now and then. */
static int after_step(struct render *rd, int64_t n)
{
	char what[64];
	int rc = 0;

	rd->done += (uint64_t)n;
	snprintf(what, sizeof(what), "step %llu of %llu", (unsigned long long)rd->done,
		(unsigned long long)rd->total);
	if (gpu_failed(rd->g) || rd->done % STEPS_AHEAD == 0)
		rc = checked(rd, what);
	return rc ? rc : watch_progress(rd->watch, ENGINE_STAGE_RENDER, rd->done, rd->total, rd->e);
}

/* Feeds the columns that are known, and draws the one behind them. */
static int feed_known(struct render *rd, const struct window *w, struct columns *c)
{
	const int64_t n_known = w->n_given + 1, k = rd->m->lm.cfg.n_codebooks;
	int rc = 0;

	for (int64_t column = 0, n; column < n_known && !rc; column += n) {
		n = n_known - column < PREFILL_COLUMNS ? n_known - column : PREFILL_COLUMNS;
		const bool is_last = column + n == n_known;
		struct gpu_mark mark = gpu_arena_mark(rd->step);
		struct gpu_tensor *ids = gpu_new(
			rd->g, rd->step, GPU_I32, "known columns", SHAPE(rd->n_rows * n, k));
		fill_columns(rd, w, column, n);
		gpu_write(rd->g, ids, rd->ids, (size_t)(rd->n_rows * n * k) * sizeof(*rd->ids));
		const struct gpu_tensor *logits = lm_forward(rd->run, rd->step, ids, n, is_last);
		if (is_last)
			sample(rd, c, logits);
		gpu_arena_release(rd->step, mark);
		rc = after_step(rd, n);
	}
	return rc;
}

/* Column by column: each is fed and gives the next, without the host. */
static int feed_drawn(struct render *rd, int64_t n, struct columns *c)
{
	const int64_t k = rd->m->lm.cfg.n_codebooks;
	struct gpu_step *step = gpu_step_new();
	int rc = 0;

	for (int64_t i = 0; i < n && !rc; i++) {
		struct gpu_mark mark = gpu_arena_mark(rd->step);
		if (gpu_step_begin(rd->g, step, rd->step)) {
			const struct gpu_tensor *ids =
				gpu_reshape(rd->g, rd->step, c->next, SHAPE(rd->n_rows, k));
			sample(rd, c, lm_step(rd->run, rd->step, ids, c->at));
			gpu_step_end(rd->g, step);
		}
		gpu_arena_release(rd->step, mark);
		rc = after_step(rd, 1);
	}
	gpu_step_free(rd->g, step);
	return rc;
}

static int render_window(struct render *rd, const struct window *w)
{
	const int64_t n_columns = w->n_frames + codebooks_per_channel(rd);
	struct gpu_mark mark = gpu_arena_mark(rd->step);
	struct columns c;
	int rc = put_columns(rd, w, n_columns, &c);

	if (rc)
		return rc;
	lm_restart(rd->run);
	rd->sampling.offset = (uint64_t)w->offset;
	rd->sampling.at = c.at;
	rc = feed_known(rd, w, &c);
	/* The last column is never fed. */
	if (!rc)
		rc = feed_drawn(rd, n_columns - 1 - (w->n_given + 1), &c);
	if (!rc)
		rc = keep_columns(rd, w, n_columns, &c);
	gpu_arena_release(rd->step, mark);
	rd->n_known = w->offset + w->n_frames;
	return rc;
}

/* The window after `known` frames, of which the last are its prompt; false
 * when the take is complete.  before: the window before, or NULL. */
static bool next_window(
	const struct render *rd, const struct window *before, int64_t known, struct window *ret)
{
	const int64_t window = rd->m->window, stride = rd->m->stride;
	const int64_t left = rd->r->n_frames - known;

	if (left <= 0)
		return false;
	if (before)
		ret->offset = before->offset + stride;
	else /* a prompt as long as a window gives its end alone */
		ret->offset = known < window ? 0 : known - (window - stride);
	ret->n_given = known - ret->offset;
	ret->n_frames = ret->n_given + left < window ? ret->n_given + left : window;
	return true;
}

static uint64_t count_columns(const struct render *rd, int64_t known)
{
	struct window w, before;
	uint64_t n = 0;

	for (bool more = next_window(rd, NULL, known, &w); more;) {
		n += (uint64_t)(w.n_frames + codebooks_per_channel(rd) - 1);
		before = w;
		more = next_window(rd, &before, w.offset + w.n_frames, &w);
	}
	return n;
}

/* The decoder's caches for one window, and the text in it. */
static int start_decoder(struct render *rd, const struct gpu_tensor *text)
{
	const struct musicgen *m = rd->m;
	const int64_t longest = rd->r->n_frames < m->window ? rd->r->n_frames : m->window;

	rd->run = lm_run_new(&m->lm, rd->g, rd->arena, musicgen_small_dtype(m->precision),
		rd->n_rows, text ? rd->n_takes : 0, longest + codebooks_per_channel(rd) - 1);
	if (text)
		lm_condition(rd->run, rd->arena, rd->step, text);
	return checked(rd, "decoder");
}

static void tap_codes(struct render *rd)
{
	const int64_t k = rd->m->lm.cfg.n_codebooks, n = rd->r->n_frames;
	struct gpu_mark mark = gpu_arena_mark(rd->step);
	struct gpu_tensor *t = gpu_new(rd->g, rd->step, GPU_I32, "codes", SHAPE(rd->n_takes, k, n));

	gpu_write(rd->g, t, rd->codes, (size_t)(rd->n_takes * k * n) * sizeof(*rd->codes));
	gpu_tap(rd->g, t, "codes");
	gpu_arena_release(rd->step, mark);
}

static int generate(struct render *rd)
{
	struct window w, before;
	int rc;

	rd->total = count_columns(rd, rd->n_known);
	rc = watch_progress(rd->watch, ENGINE_STAGE_RENDER, 0, rd->total, rd->e);
	for (bool more = next_window(rd, NULL, rd->n_known, &w); more && !rc;) {
		rc = render_window(rd, &w);
		before = w;
		more = next_window(rd, &before, rd->n_known, &w);
	}
	lm_run_free(rd->run);
	rd->run = NULL;
	if (!rc)
		tap_codes(rd);
	return rc;
}

/* ---- codes in and out --------------------------------------------------- */

static size_t take_bytes(const struct render *rd)
{
	return (size_t)(rd->m->lm.cfg.n_codebooks * rd->r->n_frames) * sizeof(*rd->codes);
}

static int keep_codes(struct render *rd)
{
	int rc = 0;

	for (int64_t take = 0; take < rd->n_takes && !rc && rd->sink->latents; take++)
		rc = rd->sink->latents(rd->sink->ud, (int)take,
			&(struct engine_latents){code_at(rd, take, 0, 0), take_bytes(rd)}, rd->e);
	return rc;
}

/* The codes of a render that got no further; they come from a file. */
static int take_codes(struct render *rd)
{
	for (int64_t take = 0; take < rd->n_takes; take++) {
		const struct engine_latents *l = &rd->r->latents[take];

		if (l->bytes != take_bytes(rd))
			return err_set(rd->e, ERR_FORMAT,
				"the kept codes are of another take: %zu bytes instead of %zu",
				l->bytes, take_bytes(rd));
		memcpy(code_at(rd, take, 0, 0), l->data, l->bytes);
	}
	for (size_t i = 0; i < (size_t)rd->n_takes * take_bytes(rd) / sizeof(*rd->codes); i++)
		if (rd->codes[i] < 0 || rd->codes[i] >= rd->m->codec.cfg.codebook_size)
			return err_set(rd->e, ERR_FORMAT, "the kept codes are damaged");
	rd->n_known = rd->r->n_frames;
	return 0;
}

/* ---- decode ------------------------------------------------------------- */

/* One take of y [takes * channels, n, 1] to the sink. */
static int sink_take(struct render *rd, int take, int64_t n)
{
	const struct codec_config *cfg = &rd->m->codec.cfg;
	const int64_t channels = rd->m->lm.cfg.channels;
	const struct engine_audio chunk = {.samples = rd->chunk,
		.frames = n,
		.channels = (int)channels,
		.rate = (int)cfg->rate};

	for (int64_t c = 0; c < channels; c++) {
		const float *from = rd->audio + (take * channels + c) * n;
		for (int64_t i = 0; i < n; i++) {
			if (!isfinite(from[i]))
				return err_set(rd->e, ERR_FORMAT,
					"decode: a sample is not a number; the model is damaged");
			rd->chunk[i * channels + c] = from[i];
		}
	}
	return rd->sink->audio(rd->sink->ud, take, &chunk, rd->e);
}

static void sink_audio(void *ud, struct gpu *g, const struct gpu_tensor *y)
{
	struct render *rd = ud;
	const int64_t n = y->ne[1], size = y->ne[0] * n;

	if (rd->rc || gpu_failed(g))
		return;
	if (size > rd->audio_size) {
		free(rd->audio);
		free(rd->chunk);
		rd->audio = rd->chunk = NULL;
		rd->audio_size = size;
		rd->rc = mem_try_alloc(
			(void **)&rd->audio, (size_t)size, sizeof(float), "decoded audio", rd->e);
		if (!rd->rc)
			rd->rc = mem_try_alloc((void **)&rd->chunk, (size_t)size, sizeof(float),
				"decoded audio", rd->e);
	}
	if (rd->rc)
		return;
	gpu_read(g, y, rd->audio, (size_t)size * sizeof(float));
	for (int take = 0; take < rd->n_takes && !rd->rc && !gpu_failed(g); take++)
		rd->rc = sink_take(rd, take, n);
}

/* Frames at .. at + n - 1 of all takes, a row for each channel. */
static void push_codes(struct render *rd, struct codec_stream *s, int64_t at, int64_t n)
{
	const int64_t channels = rd->m->lm.cfg.channels, k = rd->m->codec.cfg.n_codebooks;
	const int64_t batch = rd->n_takes * channels;
	struct gpu_mark mark = gpu_arena_mark(rd->step);
	struct gpu_tensor *codes = gpu_new(rd->g, rd->step, GPU_I32, "codes", SHAPE(batch * n, k));
	int32_t *id = rd->ids;

	for (int64_t row = 0; row < batch; row++)
		for (int64_t t = at; t < at + n; t++)
			for (int64_t q = 0; q < k; q++)
				*id++ = *code_at(
					rd, row / channels, q * channels + row % channels, t);
	gpu_write(rd->g, codes, rd->ids, (size_t)(batch * n * k) * sizeof(*rd->ids));
	codec_push(s, codec_latents(&rd->m->codec, rd->g, rd->step, codes, batch));
	gpu_arena_release(rd->step, mark);
}

static int decode(struct render *rd)
{
	const struct codec *codec = &rd->m->codec;
	const int64_t batch = rd->n_takes * rd->m->lm.cfg.channels, total = rd->r->n_frames;
	const int64_t most = DECODE_FRAMES / batch > 1 ? DECODE_FRAMES / batch : 1;
	struct gpu_arena *state = gpu_arena_new(rd->g, "decoder");
	struct codec_stream *s = codec_stream_new(
		codec, &codec->decoder, rd->g, state, rd->step, batch, sink_audio, rd);
	int rc = watch_progress(rd->watch, ENGINE_STAGE_DECODE, 0, (uint64_t)total, rd->e);

	for (int64_t at = 0, n; at < total && !rc; at += n) {
		n = total - at < most ? total - at : most;
		push_codes(rd, s, at, n);
		if (at + n == total)
			codec_flush(s);
		rc = rd->rc ? rd->rc : checked(rd, "decode");
		if (!rc)
			rc = watch_progress(rd->watch, ENGINE_STAGE_DECODE, (uint64_t)(at + n),
				(uint64_t)total, rd->e);
	}
	codec_stream_free(s);
	gpu_arena_free(state);
	return rc;
}

/* ---- render ------------------------------------------------------------- */

static int render_codes(struct render *rd)
{
	struct gpu_tensor *text = NULL;
	int rc = encode_text(rd, &text);

	if (!rc)
		rc = start_decoder(rd, text);
	if (!rc)
		rc = encode_audio(rd);
	if (!rc)
		rc = generate(rd);
	return rc ? rc : keep_codes(rd);
}

int musicgen_render(struct engine *en, const struct engine_request *r,
	const struct engine_watch *watch, const struct engine_sink *sink, struct err *e)
{
	struct render rd = {
		.m = en->model, .g = en->gpu, .r = r, .watch = watch, .sink = sink, .e = e};
	int rc = check_request(&en->info, r, e);

	if (!rc)
		rc = prepare(&rd, &en->info);
	if (!rc)
		rc = r->latents ? take_codes(&rd) : render_codes(&rd);
	if (!rc)
		rc = decode(&rd);
	gpu_sync(rd.g, NULL); /* a cancelled render leaves no error behind */
	lm_run_free(rd.run);
	gpu_arena_free(rd.arena);
	gpu_arena_free(rd.step);
	free(rd.seeds);
	free(rd.codes);
	free(rd.ids);
	free(rd.audio);
	free(rd.chunk);
	return rc;
}
