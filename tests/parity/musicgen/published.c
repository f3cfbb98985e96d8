/* The values that transformers publishes for the released checkpoints
 * (tests/models/musicgen/test_modeling_musicgen.py, commit 5528617a): first or
 * last samples and logits of short greedy runs.
 *
 * The folder that WOODSHED_MODELS names holds musicgen-small and musicgen-stereo-small in Hugging
 * Face layout; what is not there is skipped.  Tolerances are transformers' own, rtol = atol = 1e-4,
 * 2e-4 where it continues audio; its printed values have four decimals. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/engine.h"
#include "engine/nets/encodec.h"
#include "engine/nets/musicgen_lm.h"
#include "engine/nets/t5.h"
#include "engine/text/unigram.h"
#include "engine/weights/bind.h"
#include "engine/weights/ckpt.h"
#include "engine/weights/config.h"
#include "library/base/arena.h"
#include "library/base/err.h"
#include "tests/parity/tap.h"

enum { SLICE = 16, RATE = 32000 };

static const char *models;

struct slice {
	int n;
	float v[SLICE];
};

struct heard {
	float *v; /* interleaved; owned */
	size_t n;
	int channels;
	float logits[SLICE]; /* the first of the first step */
	bool has_logits;
};

static void *need(void *p)
{
	if (!p)
		abort();
	return p;
}

static const char *folder(const char *name)
{
	static char path[4096];

	snprintf(path, sizeof(path), "%s/%s", models ? models : "", name);
	return path;
}

static bool is_there(const char *name)
{
	return models && !access(folder(name), F_OK);
}

static bool near_to(const char *what, const float *got, const struct slice *want, double tolerance)
{
	bool ok = true;

	for (int i = 0; i < want->n; i++) {
		const double d = fabs((double)got[i] - (double)want->v[i]);
		if (d <= tolerance + tolerance * fabs((double)want->v[i]))
			continue;
		tap_remark("%s %d is %.6f, not %.4f", what, i, (double)got[i], (double)want->v[i]);
		ok = false;
	}
	return ok;
}

/* ---- through the engine ------------------------------------------------- */

static void on_tap(void *ud, struct gpu *g, const char *name, const struct gpu_tensor *t)
{
	struct heard *h = ud;

	if (h->has_logits || strcmp(name, "lm.logits"))
		return;
	float *all = need(malloc((size_t)(t->ne[0] * t->ne[1]) * sizeof(*all)));
	gpu_read(g, t, all, (size_t)(t->ne[0] * t->ne[1]) * sizeof(*all));
	memcpy(h->logits, all, sizeof(h->logits));
	h->has_logits = true;
	free(all);
}

static int on_audio(void *ud, int take, const struct engine_audio *chunk, struct err *e)
{
	struct heard *h = ud;
	const size_t n = (size_t)(chunk->frames * chunk->channels);

	h->channels = chunk->channels;
	h->v = need(realloc(h->v, (h->n + n) * sizeof(*h->v)));
	memcpy(h->v + h->n, chunk->samples, n * sizeof(*h->v));
	h->n += n;
	return 0;
}

/* The first of transformers' two "bip" clips, padded in front to a second: a
 * tone of 440 Hz in the second half of every quarter of a second. */
static float *bip(int channels)
{
	float *x = need(calloc((size_t)(RATE * channels), sizeof(*x)));

	for (int i = 0; i < RATE / 2; i++)
		if (i % (RATE / 4) >= RATE / 8)
			for (int c = 0; c < channels; c++)
				x[(RATE / 2 + i) * channels + c] =
					(float)cos(2 * M_PI * 440 * i / RATE);
	return x;
}

struct run {
	const char *name, *model, *prompt;
	float guidance;
	int64_t n_frames;
	bool continues;
	double tolerance;
	bool from_end;
	struct slice logits, samples[2]; /* n 0: not told */
};

static bool render(const struct run *r, struct engine *en, struct heard *h)
{
	const int channels = engine_info(en)->channels;
	const struct engine_sink sink = {.audio = on_audio, .ud = h};
	float *clip = bip(channels);
	struct err e = {0};
	struct engine_request request = {.prompt = r->prompt,
		.n_takes = 1,
		.n_frames = r->n_frames,
		.guidance = r->guidance,
		.greedy = true};

	if (r->continues)
		request.continued = (struct engine_audio){clip, RATE, channels, RATE};
	gpu_set_tap(engine_gpu(en), on_tap, h);
	const int rc = engine_render(en, &request, NULL, &sink, &e);
	if (rc)
		tap_remark("%s", e.text);
	free(clip);
	return !rc;
}

static bool check(const struct run *r, const struct heard *h)
{
	const size_t frames = h->n / (size_t)h->channels;
	bool ok = frames == (size_t)r->n_frames * 640;

	if (r->logits.n)
		ok &= near_to("logit", h->logits, &r->logits, r->tolerance);
	for (int c = 0; c < h->channels; c++) {
		const struct slice *want = &r->samples[c];
		float got[SLICE];
		for (int i = 0; i < want->n; i++) {
			const size_t at = r->from_end ? frames - (size_t)(want->n - i) : (size_t)i;
			got[i] = h->v[at * (size_t)h->channels + (size_t)c];
		}
		ok &= near_to(c ? "right" : "left", got, want, r->tolerance);
	}
	return ok;
}

static void run_one(const struct run *r)
{
	const struct engine_options options = {.device = tap_device(), .precision = ENGINE_F32};
	struct engine *en = NULL;
	struct heard h = {0};
	struct err e = {0};
	bool ok = false;

	if (!is_there(r->model)) {
		tap_skip(r->name, "%s is not in the folder that WOODSHED_MODELS names", r->model);
		return;
	}
	if (engine_open(folder(r->model), &options, NULL, &en, &e))
		tap_remark("%s", e.text);
	else
		ok = render(r, en, &h) && check(r, &h);
	tap_ok(ok, "%s", r->name);
	engine_close(en);
	free(h.v);
}

static const struct run runs[] = {
	{"logits_text_prompt", "musicgen-small", "80s music", 1, 7, false, 1e-4, false,
		.logits = {16, {-0.9708f, -3.0149f, -4.6415f, -1.4754f, -0.2786f, -2.3523f,
				       -2.6049f, -6.7467f, -1.0206f, -3.2984f, -3.3968f, -1.5108f,
				       -1.5786f, -3.1493f, -1.1503f, -0.0545f}}},
	{"generate_text_prompt_greedy", "musicgen-small", "80s music", 1, 7, false, 1e-4, false,
		.samples = {{10, {-1.1998e-04f, -2.2302e-04f, 4.6296e-04f, 1.0524e-03f, 2.4827e-04f,
					 -4.0288e-05f, -1.2468e-04f, 4.9846e-05f, 7.1485e-04f,
					 4.4197e-04f}}}},
	{"generate_text_prompt_greedy_with_classifier_free_guidance", "musicgen-small", "80s music",
		3, 7, false, 1e-4, false,
		.samples = {{16, {0.0283f, 0.0246f, 0.0650f, 0.0640f, 0.0599f, 0.0711f, 0.0420f,
					 0.0112f, 0.0511f, 0.0746f, 0.1363f, 0.1213f, 0.0185f,
					 -0.0578f, -0.0908f, 0.0443f}}}},
	{"generate_text_audio_prompt", "musicgen-small", "80s music", 1, 57, true, 2e-4, true,
		.samples = {{16, {-0.0036f, -0.0130f, -0.0261f, -0.0384f, -0.0557f, -0.0718f,
					 -0.0680f, -0.0632f, -0.0529f, -0.0403f, -0.0289f, -0.0198f,
					 -0.0136f, -0.0101f, -0.0095f, -0.0040f}}}},
	{"stereo generate_unconditional_greedy", "musicgen-stereo-small", "", 1, 9, false, 1e-4,
		false,
		.samples = {{16, {0.0017f, 0.0004f, 0.0004f, 0.0005f, 0.0002f, 0.0002f, -0.0002f,
					 -0.0013f, -0.0010f, -0.0015f, -0.0018f, -0.0032f, -0.0060f,
					 -0.0082f, -0.0096f, -0.0099f}},
			{16, {0.0038f, 0.0028f, 0.0031f, 0.0032f, 0.0031f, 0.0032f, 0.0030f,
				     0.0019f, 0.0021f, 0.0015f, 0.0009f, -0.0008f, -0.0040f,
				     -0.0067f, -0.0087f, -0.0096f}}}},
	{"stereo generate_text_audio_prompt", "musicgen-stereo-small", "80s music", 3, 59, true,
		2e-4, true,
		.samples = {{16, {0.2535f, 0.2008f, 0.1471f, 0.0896f, 0.0306f, -0.0200f, -0.0501f,
					 -0.0728f, -0.0832f, -0.0856f, -0.0867f, -0.0884f, -0.0864f,
					 -0.0866f, -0.0744f, -0.0430f}},
			{16, {0.1695f, 0.1213f, 0.0732f, 0.0239f, -0.0264f, -0.0705f, -0.0935f,
				     -0.1103f, -0.1163f, -0.1139f, -0.1104f, -0.1082f, -0.1027f,
				     -0.1004f, -0.0900f, -0.0614f}}}},
};

/* ---- without the delay -------------------------------------------------- */

/* Two of the published runs feed columns that the engine never would: codes
 * side by side, without a start column or without a delay. */
struct parts {
	struct arena host;
	struct config *config;
	struct ckpt *ckpt;
	struct unigram *words;
	struct gpu *g;
	struct gpu_arena *a, *step;
	struct t5 t5;
	struct lm lm;
	struct codec codec;
	struct gpu_tensor *latents; /* of an encoded clip; or samples of a decoded one */
	int64_t n_latents;
};

static int open_parts(struct parts *p, const char *dir, struct err *e)
{
	char path[4200];
	int rc;

	snprintf(path, sizeof(path), "%s/config.json", dir);
	rc = config_open(path, &p->config, e);
	if (rc)
		return rc;
	t5_configure(&p->t5, p->config, "text_encoder");
	lm_configure(&p->lm, p->config, p->t5.cfg.width);
	codec_configure(&p->codec, p->config, p->lm.cfg.n_codebooks / p->lm.cfg.channels);
	rc = config_check(p->config, e);
	if (!rc)
		rc = ckpt_open(dir, &p->ckpt, e);
	if (!rc)
		rc = unigram_open(dir, &p->words, e);
	if (!rc)
		rc = gpu_open(tap_device(), 0, &p->g, e);
	if (rc)
		return rc;
	p->a = gpu_arena_new(p->g, "all");
	p->step = gpu_arena_new(p->g, "step");
	struct bind *b = bind_new(p->ckpt, p->g, p->a, 0);
	t5_bind(&p->t5, b, &p->host, GPU_F32, "text_encoder.");
	lm_bind(&p->lm, b, &p->host, GPU_F32, GPU_F32);
	codec_bind_decoder(&p->codec, b);
	codec_bind_encoder(&p->codec, b);
	rc = bind_load(b, NULL, NULL, e);
	bind_free(b);
	return rc;
}

static void close_parts(struct parts *p)
{
	gpu_close(p->g);
	unigram_close(p->words);
	ckpt_close(p->ckpt);
	config_close(p->config);
	arena_done(&p->host);
}

static void keep(void *ud, struct gpu *g, const struct gpu_tensor *y)
{
	struct parts *p = ud;

	gpu_copy(g, gpu_view(g, p->step, p->latents, 1, p->n_latents, y->ne[1]), y);
	p->n_latents += y->ne[1];
}

/* x [1, n, width] through half of the codec, in one go. */
static struct gpu_tensor *through(struct parts *p, const struct codec_chain *chain,
	struct gpu_tensor *x, int64_t n, int64_t w)
{
	p->latents = gpu_new(p->g, p->a, GPU_F32, "out", SHAPE(1, n, w));
	p->n_latents = 0;
	struct codec_stream *s =
		codec_stream_new(&p->codec, chain, p->g, p->a, p->step, 1, keep, p);
	codec_push(s, x);
	codec_flush(s);
	codec_stream_free(s);
	return p->latents;
}

/* Five tokens: too few for transformers to delay anything. */
static bool unconditional(struct parts *p)
{
	static const struct slice want = {16,
		{0.0056f, 0.0064f, 0.0063f, 0.0054f, 0.0042f, 0.0033f, 0.0024f, 0.0015f, 0.0015f,
			0.0010f, 0.0004f, -0.0012f, -0.0036f, -0.0055f, -0.0067f, -0.0071f}};
	enum { FRAMES = 5, BOOKS = 4 };
	const int32_t start = (int32_t)p->lm.cfg.vocab;
	int32_t column[BOOKS] = {start, start, start, start}, codes[FRAMES][BOOKS];
	struct lm_run *run = lm_run_new(&p->lm, p->g, p->a, GPU_F32, 1, 0, FRAMES);
	struct gpu_tensor *ids = gpu_new(p->g, p->a, GPU_I32, "ids", SHAPE(1, BOOKS)),
			  *next = gpu_new(p->g, p->a, GPU_I32, "next", SHAPE(BOOKS)),
			  *all = gpu_new(p->g, p->a, GPU_I32, "codes", SHAPE(FRAMES, BOOKS));
	const uint64_t seed = 0;
	const struct gpu_sampling greedy = {
		.greedy = true, .temperature = 1, .seed = &seed, .n_streams = BOOKS};
	float samples[FRAMES * 640];

	for (int t = 0; t < FRAMES; t++) {
		gpu_write(p->g, ids, column, sizeof(column));
		gpu_sample(p->g, next, lm_forward(run, p->step, ids, 1, true), &greedy);
		gpu_read(p->g, next, column, sizeof(column));
		memcpy(codes[t], column, sizeof(column));
	}
	lm_run_free(run);
	gpu_write(p->g, all, codes, sizeof(codes));
	struct gpu_tensor *z = codec_latents(&p->codec, p->g, p->a, all, 1);
	gpu_read(p->g, through(p, &p->codec.decoder, z, FRAMES * 640, 1), samples, sizeof(samples));
	return near_to("sample", samples, &want, 1e-4);
}

/* The codes of a second of audio as they are: logits behind the last frame. */
static bool logits_text_audio(struct parts *p)
{
	static const struct slice want = {
		16, {0.1841f, -2.9324f, -0.7898f, 0.1857f, 0.4971f, -2.8685f, -1.6525f, -1.6541f,
			    2.7757f, -2.5942f, -3.0959f, -1.0120f, -1.0147f, -0.4605f, -0.8885f,
			    0.6820f}};
	enum { FRAMES = 50 };
	float *clip = bip(1), *logits;
	struct gpu_tensor *x = gpu_new(p->g, p->a, GPU_F32, "clip", SHAPE(1, RATE, 1));
	struct err e = {0};
	int32_t *ids = NULL;
	size_t n = 0;

	gpu_write(p->g, x, clip, RATE * sizeof(*clip));
	free(clip);
	struct gpu_tensor *z = through(p, &p->codec.encoder, x, FRAMES, p->codec.cfg.hidden);
	struct gpu_tensor *codes = codec_quantize(&p->codec, p->g, p->a,
		gpu_reshape(p->g, p->a, z, SHAPE(FRAMES, p->codec.cfg.hidden)));
	if (unigram_encode(p->words, "80s music", strlen("80s music"), &ids, &n, &e))
		return false;
	struct gpu_tensor *text = t5_encode(&p->t5, p->g, p->a, p->step, ids, (int64_t)n);
	free(ids);
	struct lm_run *run = lm_run_new(&p->lm, p->g, p->a, GPU_F32, 1, 1, FRAMES);
	lm_condition(run, p->a, p->step, text);
	struct gpu_tensor *all = lm_forward(run, p->step, codes, FRAMES, true);
	const size_t bytes = (size_t)(p->lm.cfg.n_codebooks * p->lm.cfg.vocab) * sizeof(float);
	logits = need(malloc(bytes));
	gpu_read(p->g, all, logits, bytes);
	lm_run_free(run);
	bool ok = near_to("logit", logits, &want, 1e-4);
	free(logits);
	return ok;
}

static void run_parts(const char *name, bool (*check_parts)(struct parts *p))
{
	struct parts p = {0};
	struct err e = {0};
	bool ok = false;

	if (!is_there("musicgen-small")) {
		tap_skip(name, "musicgen-small is not in the folder that WOODSHED_MODELS names");
		return;
	}
	if (!open_parts(&p, folder("musicgen-small"), &e))
		ok = check_parts(&p) && !gpu_sync(p.g, &e);
	if (e.code)
		tap_remark("%s", e.text);
	tap_ok(ok, "%s", name);
	close_parts(&p);
}

int main(int argc, char **argv)
{
	models = getenv("WOODSHED_MODELS");
	if (!models || !*models) {
		tap_skip_all("WOODSHED_MODELS names no folder with musicgen-small and "
			     "musicgen-stereo-small");
		return 0;
	}
	for (size_t i = 0; i < sizeof(runs) / sizeof(*runs); i++)
		run_one(&runs[i]);
	run_parts("generate_unconditional_greedy", unconditional);
	run_parts("logits_text_audio_prompt", logits_text_audio);
	return tap_done();
}
