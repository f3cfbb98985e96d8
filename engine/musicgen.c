/* MusicGen, opening a model; engine/musicgen_render.c says what is done with it. */
#include "engine/musicgen.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/text/unigram.h"
#include "engine/weights/bind.h"
#include "engine/weights/ckpt.h"
#include "engine/weights/config.h"
#include "library/base/err.h"

enum {
	WINDOW_SECONDS = 30,
	STRIDE_SECONDS = 18,
};
#define DEFAULT_GUIDANCE 3.0
/* AUTO: what a render needs besides weights and caches, generously. */
#define RENDER_BYTES (256u << 20)

/* ---- opening ------------------------------------------------------------ */

static enum gpu_dtype matrix_dtype(enum engine_precision p)
{
	return p == ENGINE_F32 ? GPU_F32 : p == ENGINE_INT8 ? GPU_I8 : GPU_BF16;
}

enum gpu_dtype musicgen_small_dtype(enum engine_precision p)
{
	return p == ENGINE_F32 ? GPU_F32 : GPU_BF16;
}

static int configure(struct musicgen *m, struct config *c, struct err *e)
{
	const struct lm_config *lm = &m->lm.cfg;
	const struct codec_config *codec = &m->codec.cfg;

	t5_configure(&m->t5, c, "text_encoder");
	lm_configure(&m->lm, c, m->t5.cfg.width);
	codec_configure(&m->codec, c, lm->n_codebooks / lm->channels);
	config_require(c, codec->codebook_size >= lm->vocab,
		"decoder.vocab_size %lld is more than audio_encoder.codebook_size %lld",
		(long long)lm->vocab, (long long)codec->codebook_size);
	return config_check(c, e);
}

/* What generation_config.json says of guidance and of length; where there is none,
 * what audiocraft takes.  One that is silent of guidance means none, as to
 * transformers.  max_length counts columns, the start among them, as transformers does. */
static int read_defaults(
	const struct musicgen *m, const char *dir, struct engine_info *info, struct err *e)
{
	const int64_t delay = m->lm.cfg.n_codebooks / m->lm.cfg.channels;
	struct err missing = {0};
	struct config *c;
	char path[4096];
	int64_t frames = m->window;
	int rc;

	info->default_guidance = DEFAULT_GUIDANCE;
	rc = snprintf(path, sizeof(path), "%s/generation_config.json", dir) < (int)sizeof(path)
		     ? config_open(path, &c, &missing)
		     : ERR_IO;
	if (rc && rc != ERR_IO)
		return err_set(e, rc, "%s", missing.text);
	if (!rc) {
		info->default_guidance = (float)config_num(c, "guidance_scale", 1, 0, 1000);
		frames = config_int(c, "max_length", m->window + delay, 0, INT32_MAX) - delay;
		rc = config_check(c, e);
		config_close(c);
		if (rc)
			return rc;
	}
	if (frames < 1 || frames > m->window)
		frames = m->window;
	info->default_frames = frames;
	return 0;
}

static struct bind *bind_all(struct engine *en, enum engine_precision p, bool with_encoder)
{
	struct musicgen *m = en->model;
	struct bind *b = bind_new(m->ckpt, en->gpu, m->weights, m->n_threads);

	t5_bind(&m->t5, b, &m->host, musicgen_small_dtype(p), "text_encoder.");
	lm_bind(&m->lm, b, &m->host, matrix_dtype(p), musicgen_small_dtype(p));
	codec_bind_decoder(&m->codec, b);
	if (with_encoder)
		codec_bind_encoder(&m->codec, b);
	return b;
}

/* What a whole window with guidance needs on top of the weights. */
static uint64_t window_bytes(const struct musicgen *m)
{
	const struct lm_config *lm = &m->lm.cfg;
	const uint64_t values = 2 * 2 * (uint64_t)lm->n_layers * (uint64_t)lm->hidden;

	return RENDER_BYTES + values * 2 * (uint64_t)(m->window + lm->n_codebooks);
}

static void set_windows(struct musicgen *m, int64_t n_frames)
{
	m->window = n_frames < 2 ? 2 : n_frames;
	m->stride = m->window * STRIDE_SECONDS / WINDOW_SECONDS;
}

/* As long as what it was trained on, if it has places for that. */
static void set_own_windows(struct musicgen *m)
{
	const struct lm_config *lm = &m->lm.cfg;
	const int64_t trained = WINDOW_SECONDS * m->codec.cfg.rate / m->codec.cfg.hop;
	const int64_t most = lm->max_positions - lm->n_codebooks / lm->channels + 1;

	set_windows(m, trained < most ? trained : most);
}

static int fill_info(
	const struct musicgen *m, const char *dir, struct engine_info *info, struct err *e)
{
	const struct codec_config *codec = &m->codec.cfg;

	info->precision = engine_precision_name(m->precision);
	info->rate = (int)codec->rate;
	info->channels = (int)m->lm.cfg.channels;
	info->frame_samples = codec->hop;
	return read_defaults(m, dir, info, e);
}

static int musicgen_describe(
	const char *dir, struct config *config, struct engine_info *info, struct err *e)
{
	struct musicgen m = {0};
	int rc = configure(&m, config, e);

	if (!rc) {
		set_own_windows(&m);
		rc = fill_info(&m, dir, info, e);
	}
	arena_done(&m.host);
	return rc;
}

/* What is known before weights are read. */
static int model_prepare(struct engine *en, const struct engine_source *src, struct err *e)
{
	struct musicgen *m = xcalloc(1, sizeof(*m));
	int rc;

	en->model = m;
	m->ckpt = src->ckpt;
	m->weights = gpu_arena_new(en->gpu, "weights");
	rc = configure(m, src->config, e);
	if (!rc)
		set_own_windows(m);
	return rc;
}

static int musicgen_needs(
	struct engine *en, const struct engine_source *src, struct engine_needs *ret, struct err *e)
{
	int rc = model_prepare(en, src, e);

	if (!rc)
		pipeline_needs(en, bind_all, ENGINE_INT8, window_bytes(en->model), ret);
	config_close(src->config);
	return rc;
}

static int musicgen_open(struct engine *en, const struct engine_source *src,
	const struct engine_options *options, const struct engine_watch *watch, struct err *e)
{
	struct engine_needs needs = {.automatic = options->precision};
	int rc = model_prepare(en, src, e);
	struct musicgen *m = en->model;

	if (rc)
		goto out;
	m->n_threads = options->n_threads;
	rc = unigram_open(src->dir, &m->words, e);
	if (rc)
		goto out;
	if (options->precision == ENGINE_AUTO)
		pipeline_needs(en, bind_all, ENGINE_INT8, window_bytes(m), &needs);
	m->precision = needs.automatic;
	rc = fill_info(m, src->dir, &en->info, e);
	if (!rc)
		rc = pipeline_load(en, bind_all, options->cache, m->precision, &m->host, watch, e);
out:
	config_close(src->config);
	return rc;
}

static void musicgen_close(struct engine *en)
{
	struct musicgen *m = en->model;

	if (!m)
		return;
	gpu_arena_free(m->weights);
	gpu_arena_free(m->encoder_weights);
	unigram_close(m->words);
	ckpt_close(m->ckpt);
	arena_done(&m->host);
	free(m);
}

void musicgen_set_window(struct engine *en, int64_t n_frames)
{
	set_windows(en->model, n_frames);
}

/* ---- counting tokens ---------------------------------------------------- */

static int text_open(const char *dir, void **ret, struct err *e)
{
	struct unigram *words = NULL;
	int rc = unigram_open(dir, &words, e);

	*ret = words;
	return rc;
}

static int text_count(void *text, const char *s, size_t *ret_n, size_t *ret_max, struct err *e)
{
	int32_t *tokens = NULL;
	int rc = unigram_encode(text, s, strlen(s), &tokens, ret_n, e);

	*ret_max = MUSICGEN_TOKENS_MAX;
	free(tokens);
	return rc;
}

static void text_close(void *text)
{
	unigram_close(text);
}

const struct engine_ops musicgen_ops = {
	.name = "musicgen",
	.model_type = "musicgen",
	.parts = (const char *const[]){"", NULL},
	.configs = (const char *const[]){"config.json", NULL},
	.open = musicgen_open,
	.describe = musicgen_describe,
	.needs = musicgen_needs,
	.render = musicgen_render,
	.close = musicgen_close,
	.text_open = text_open,
	.text_count = text_count,
	.text_close = text_close,
};
