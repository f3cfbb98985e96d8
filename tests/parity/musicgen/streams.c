/* EnCodec's streams: however the input is cut, alone or in a batch, the output
 * is the same (bit for bit, but on CUDA), and memory does not grow with length.
 *
 *	streams FOLDER */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/nets/encodec.h"
#include "engine/nets/musicgen_lm.h"
#include "engine/weights/bind.h"
#include "engine/weights/ckpt.h"
#include "engine/weights/config.h"
#include "library/base/arena.h"
#include "library/base/err.h"
#include "tests/parity/tap.h"
#include "tests/parity/values.h"

enum { BATCH = 3 };

struct streams {
	struct config *config;
	struct ckpt *ckpt;
	struct gpu *g;
	struct gpu_arena *weights;
	struct codec codec;
};

struct output {
	float *v; /* [BATCH][n][width]; owned */
	int64_t batch, n, width, capacity;
};

static uint32_t next_random(void)
{
	static uint64_t s = 1;

	s = s * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(s >> 33);
}

static int open_all(struct streams *s, const char *dir, struct err *e)
{
	char path[4096];
	struct lm lm = {0};
	int rc;

	snprintf(path, sizeof(path), "%s/config.json", dir);
	rc = config_open(path, &s->config, e);
	if (rc)
		return rc;
	lm_configure(&lm, s->config, 16);
	codec_configure(&s->codec, s->config, lm.cfg.n_codebooks / lm.cfg.channels);
	rc = config_check(s->config, e);
	if (!rc)
		rc = ckpt_open(dir, &s->ckpt, e);
	if (!rc)
		rc = gpu_open(tap_device(), 2, &s->g, e);
	if (rc)
		return rc;
	s->weights = gpu_arena_new(s->g, "weights");
	struct bind *b = bind_new(s->ckpt, s->g, s->weights, 2);
	codec_bind_decoder(&s->codec, b);
	codec_bind_encoder(&s->codec, b);
	rc = bind_load(b, NULL, NULL, e);
	bind_free(b);
	return rc;
}

static void on_output(void *ud, struct gpu *g, const struct gpu_tensor *y)
{
	struct output *o = ud;
	const int64_t n = y->ne[1], row = o->capacity * o->width;
	float *part = need(malloc((size_t)(y->ne[0] * n * o->width + 1) * sizeof(float)));

	struct gpu_arena *a = gpu_arena_new(g, "contiguous");
	struct gpu_tensor *whole = gpu_new(g, a, GPU_F32, "y", SHAPE(y->ne[0], n, o->width));
	gpu_copy(g, whole, y);
	gpu_read(g, whole, part, (size_t)(y->ne[0] * n * o->width) * sizeof(float));
	gpu_arena_free(a);
	if (o->n + n > o->capacity)
		abort();
	for (int64_t b = 0; b < y->ne[0]; b++)
		memcpy(o->v + b * row + o->n * o->width, part + b * n * o->width,
			(size_t)(n * o->width) * sizeof(float));
	o->n += n;
	free(part);
}

/* How much of the input comes with a push: at 0 all of it. */
static int64_t cut(int how, int64_t left)
{
	const int64_t n = how == 0 ? left : how == 1 ? 1 : how == 2 ? 7 : 1 + next_random() % 23;

	return n < left ? n : left;
}

/* x [batch][n][width] through a chain; what is made, and the peak of memory. */
static struct output run(struct streams *s, const struct codec_chain *chain, const float *x,
	int64_t batch, int64_t n, int64_t width, int how, uint64_t *ret_step)
{
	struct gpu_arena *state = gpu_arena_new(s->g, "state"), *step = gpu_arena_new(s->g, "step");
	const bool decodes = chain == &s->codec.decoder;
	struct output o = {.batch = batch,
		.width = decodes ? 1 : s->codec.cfg.hidden,
		.capacity = decodes ? n * s->codec.cfg.hop : n / s->codec.cfg.hop + 1};
	o.v = need(calloc((size_t)(batch * o.capacity * o.width), sizeof(float)));
	struct codec_stream *st =
		codec_stream_new(&s->codec, chain, s->g, state, step, batch, on_output, &o);
	const uint64_t before = gpu_bytes_live(s->g);

	for (int64_t at = 0, m; at < n; at += m) {
		m = cut(how, n - at);
		struct gpu_mark mark = gpu_arena_mark(step);
		struct gpu_tensor *t = gpu_new(s->g, step, GPU_F32, "x", SHAPE(batch, m, width));
		float *part = need(malloc((size_t)(batch * m * width) * sizeof(float)));
		for (int64_t b = 0; b < batch; b++)
			memcpy(part + b * m * width, x + (b * n + at) * width,
				(size_t)(m * width) * sizeof(float));
		gpu_write(s->g, t, part, (size_t)(batch * m * width) * sizeof(float));
		free(part);
		codec_push(st, t);
		gpu_arena_release(step, mark);
	}
	codec_flush(st);
	*ret_step = gpu_bytes_live(s->g) - before;
	codec_stream_free(st);
	gpu_arena_free(state);
	gpu_arena_free(step);
	return o;
}

static bool same_row(const struct output *a, int64_t row_a, const struct output *b, int64_t row_b)
{
	return a->n == b->n && a->width == b->width &&
	       same_rows(a->v + row_a * a->capacity * a->width,
		       b->v + row_b * b->capacity * b->width, (size_t)(a->n * a->width));
}

static bool is_fine(struct streams *s)
{
	struct err e = {0};

	if (gpu_sync(s->g, &e)) {
		tap_remark("%s", e.text);
		return false;
	}
	return true;
}

static bool check_cuts(struct streams *s, const struct codec_chain *chain, int64_t n, int64_t width)
{
	float *x = need(malloc((size_t)(BATCH * n * width) * sizeof(float)));
	uint64_t live;
	bool ok = true;

	for (int64_t i = 0; i < BATCH * n * width; i++)
		x[i] = (float)next_random() / 0x1p31f - 0.5f;
	struct output whole = run(s, chain, x, BATCH, n, width, 0, &live);
	ok &= whole.n == (chain == &s->codec.decoder
					 ? n * s->codec.cfg.hop
					 : (n + s->codec.cfg.hop - 1) / s->codec.cfg.hop);
	for (int how = 1; how < 4; how++) {
		struct output o = run(s, chain, x, BATCH, n, width, how, &live);
		for (int64_t b = 0; b < BATCH; b++)
			ok &= same_row(&o, b, &whole, b);
		free(o.v);
	}
	for (int64_t b = 0; b < BATCH; b++) {
		struct output o = run(s, chain, x + b * n * width, 1, n, width, 2, &live);
		ok &= same_row(&o, 0, &whole, b);
		free(o.v);
	}
	free(whole.v);
	free(x);
	return ok && is_fine(s);
}

/* Pushed in equal parts, ten times the length takes the same memory. */
static bool check_memory(struct streams *s)
{
	const int64_t width = s->codec.cfg.hidden;
	uint64_t peak[2];

	for (int i = 0; i < 2; i++) {
		const int64_t n = i ? 700 : 70;
		float *x = need(calloc((size_t)(n * width), sizeof(float)));
		uint64_t live;
		struct output o = run(s, &s->codec.decoder, x, 1, n, width, 2, &live);
		peak[i] = gpu_bytes_peak(s->g);
		free(o.v);
		free(x);
	}
	tap_remark("peaks %llu and %llu bytes", (unsigned long long)peak[0],
		(unsigned long long)peak[1]);
	return peak[0] == peak[1] && is_fine(s);
}

int main(int argc, char **argv)
{
	struct streams s = {0};
	struct err e = {0};

	if (argc != 2) {
		fprintf(stderr, "usage: streams FOLDER\n");
		return 2;
	}
	if (open_all(&s, argv[1], &e)) {
		fprintf(stderr, "%s\n", e.text);
		return 99;
	}
	const int64_t hop = s.codec.cfg.hop;
	tap_ok(check_memory(&s), "memory does not grow with length");
	for (int64_t n = 1; n < 60; n += n < 6 ? 1 : 17)
		tap_ok(check_cuts(&s, &s.codec.decoder, n, s.codec.cfg.hidden), "%lld frames",
			(long long)n);
	const int64_t samples[] = {1, 2, 5, hop - 1, hop, hop + 1, 9 * hop + 3};
	for (size_t i = 0; i < sizeof(samples) / sizeof(*samples); i++)
		tap_ok(check_cuts(&s, &s.codec.encoder, samples[i], 1), "%lld samples",
			(long long)samples[i]);
	gpu_close(s.g);
	ckpt_close(s.ckpt);
	config_close(s.config);
	return tap_done();
}
