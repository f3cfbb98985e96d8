/* Oobleck (Evans et al. 2024, "Stable Audio Open"), as diffusers' AutoencoderOobleck
 * and stable-audio-tools run it; for stable-audio-open-1.0, in samples' direction:
 *
 *	decoder	conv 7 64 -> 2048; five times: snake, transposed conv of twice the
 *		stride (8, 8, 4, 4, 2; 1024, 512, 256, 128, 128 channels), residual
 *		units with dilation 1, 3, 9; snake, conv 7 -> 2, no bias
 *	encoder	conv 7 2 -> 128; five times: residual units 1, 3, 9, snake, conv of
 *		twice the stride (2, 4, 4, 8, 8); snake, conv 3 -> mean and scale of 64
 *
 *	residual unit	x + conv 1(snake(conv 7, dilated(snake(x))))
 *	snake		x + sin(e^alpha x)^2 / (e^beta + 1e-9), per channel
 *
 * Weights are the Stability AI Community License's.  All convolutions pad with zeros
 * and are weight-normed, transposed ones by input channel.  Nothing bounds the
 * output: it may exceed 1.
 *
 * 1024 latents, 47.55 s, are 5.2 TFLOP.  Of bytes a residual unit on a GPU moves some 20 times
 * its input of f32, which is 1.07 GB at the samples and 2 GB over all levels: 0.17 TB of three
 * units each.  So bytes count there: 40 ms at 4.2 TB/s.  128 latents go by at a time then (2^25
 * elements at the samples, gpu_piece()), with 1.43 GB of activations alive at most, in eight
 * pushes of some 375 launches and 6.3 ms each.  On an H200 decoding takes 56 ms, kernels 42 of
 * them; pieces that fit a processor's caches were 110 000 launches and 0.95 s. */
#include "engine/nets/oobleck.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/nets/conv_stream.h"
#include "engine/weights/bind.h"
#include "engine/weights/config.h"
#include "library/base/arena.h"

enum {
	/* Floats that a layer is fed at once: they stay in a processor's cache. */
	PIECE = 1 << 18,
	ROOM = 1 << 16, /* bytes between tensors, generously */
	KERNEL = 7,
	LATENT_KERNEL = 3,
	N_RESIDUAL = 3,
};
static const int64_t dilations[N_RESIDUAL] = {1, 3, 9};

struct stage {
	const struct oobleck_layer *layer;
	int64_t span, stride;    /* of the windows over its input */
	int64_t piece;           /* frames that it takes at once */
	struct gpu_tensor *tail; /* inputs that later outputs need, padding among them */
	int64_t n_tail;
	bool has_output;
};

struct oobleck_stream {
	struct conv_stream chain;
	struct stage stage[OOBLECK_MAX_LAYERS];
};

/* ---- configuration ------------------------------------------------------ */

static void configure_tools(struct oobleck_config *cfg, struct config *c)
{
#define AE "model.pretransform.config."
	int64_t multiples[OOBLECK_MAX_RATIOS], ratios[OOBLECK_MAX_RATIOS];

	cfg->rate = config_int(c, "sample_rate", CONFIG_REQUIRED, 1, 1 << 20);
	cfg->audio_channels = config_int(c, AE "decoder.config.out_channels", 2, 1, 16);
	cfg->latent_channels = config_int(c, AE "decoder.config.latent_dim", 64, 1, 4096);
	cfg->encoder_width = config_int(c, AE "encoder.config.channels", 128, 1, 4096);
	cfg->decoder_width = config_int(c, AE "decoder.config.channels", 128, 1, 4096);
	cfg->encoder_out = config_int(c, AE "encoder.config.latent_dim", 128, 2, 8192);
	cfg->n_ratios = config_ints(
		c, AE "decoder.config.strides", true, cfg->ratios, OOBLECK_MAX_RATIOS, 1, 64);
	const int n = config_ints(
		c, AE "decoder.config.c_mults", true, cfg->multiples, OOBLECK_MAX_RATIOS, 1, 64);
	config_require(c, n == cfg->n_ratios, "the autoencoder has %d c_mults for %lld strides", n,
		(long long)cfg->n_ratios);
	config_require(c,
		config_ints(c, AE "encoder.config.strides", true, ratios, OOBLECK_MAX_RATIOS, 1,
			64) == n &&
			config_ints(c, AE "encoder.config.c_mults", true, multiples,
				OOBLECK_MAX_RATIOS, 1, 64) == n &&
			!memcmp(ratios, cfg->ratios, (size_t)n * sizeof(*ratios)) &&
			!memcmp(multiples, cfg->multiples, (size_t)n * sizeof(*ratios)),
		"encoder and decoder have other strides or widths");
	config_require(c,
		config_bool(c, AE "decoder.config.use_snake", false) &&
			config_bool(c, AE "encoder.config.use_snake", false) &&
			!config_bool(c, AE "decoder.config.final_tanh", true),
		"only an autoencoder with use_snake and without final_tanh is supported");
	config_require(c, config_num(c, "model.pretransform.scale", 1, 0, 1e6) == 1,
		"pretransform.scale other than 1 is not supported");
#undef AE
}

void oobleck_configure(struct oobleck *o, struct config *c, enum oobleck_names names)
{
	struct oobleck_config *cfg = &o->cfg;

	*o = (struct oobleck){.names = names};
	if (names == OOBLECK_TOOLS) {
		configure_tools(cfg, c);
	} else {
		cfg->rate = config_int(c, "sampling_rate", 44100, 1, 1 << 20);
		cfg->audio_channels = config_int(c, "audio_channels", 2, 1, 16);
		cfg->latent_channels = config_int(c, "decoder_input_channels", 64, 1, 4096);
		cfg->encoder_width = config_int(c, "encoder_hidden_size", 128, 2, 4096);
		cfg->decoder_width = config_int(c, "decoder_channels", 128, 1, 4096);
		cfg->encoder_out = cfg->encoder_width;
		cfg->n_ratios = config_ints(
			c, "downsampling_ratios", true, cfg->ratios, OOBLECK_MAX_RATIOS, 1, 64);
		const int n = config_ints(
			c, "channel_multiples", true, cfg->multiples, OOBLECK_MAX_RATIOS, 1, 64);
		config_require(c, n == cfg->n_ratios,
			"there are %d channel_multiples for %lld downsampling_ratios", n,
			(long long)cfg->n_ratios);
	}
	config_require(c, cfg->n_ratios > 0, "the autoencoder has no ratios");
	cfg->hop = 1;
	for (int64_t i = 0; i < cfg->n_ratios && cfg->hop < 1 << 24; i++)
		cfg->hop *= cfg->ratios[i];
	config_require(
		c, cfg->hop < 1 << 20, "a frame of %lld samples is too long", (long long)cfg->hop);
}

int64_t oobleck_samples(const struct oobleck *o, int64_t n)
{
	for (int64_t i = o->cfg.n_ratios - 1; i >= 0; i--)
		n = n * o->cfg.ratios[i] - o->cfg.ratios[i] % 2;
	return n;
}

int64_t oobleck_frames(const struct oobleck *o, int64_t n)
{
	for (int64_t i = 0; i < o->cfg.n_ratios; i++)
		n = (n + o->cfg.ratios[i] % 2) / o->cfg.ratios[i];
	return n;
}

/* ---- weights ------------------------------------------------------------ */

/* What a half is bound with. */
struct binding {
	struct oobleck *o;
	struct bind *b;
	enum gpu_dtype dtype;
	struct oobleck_chain *chain;
	const char *half; /* "decoder" or "encoder" */
};

static void bind_snake(
	struct binding *k, struct oobleck_snake *s, int64_t channels, const char *name)
{
	const bool tools = k->o->names == OOBLECK_TOOLS;
	const struct gpu_shape shape = tools ? SHAPE(channels) : SHAPE(1, channels, 1);

	bind_rows(k->b, &s->alpha, GPU_F32, shape, "%s.alpha", name);
	bind_rows(k->b, &s->inv_beta, GPU_F32, shape, "%s.beta", name);
}

static void bind_layer_conv(struct binding *k, struct gpu_tensor **w, struct gpu_tensor **bias,
	const struct oobleck_layer *l, int64_t kernel, const char *name)
{
	const struct bind_conv conv = {.n_out = l->c_out,
		.n_in = l->c_in,
		.kernel = kernel,
		.stride = l->conv.stride,
		.transposed = l->kind == OOBLECK_UP};

	bind_conv(k->b, w, bias, k->dtype, conv, "%s", name);
}

/* A name in the half: of the first two arguments, diffusers' or stable-audio-tools'. */
#define NAME(k, out, diffusers, tools, ...)                                                        \
	snprintf(out, sizeof(out),                                                                 \
		(k)->o->names == OOBLECK_TOOLS ? "pretransform.model.%s." tools                    \
					       : "vae/%s." diffusers,                              \
		(k)->half, __VA_ARGS__)

static struct oobleck_layer *add_layer(
	struct binding *k, enum oobleck_kind kind, int64_t c_in, int64_t c_out)
{
	struct oobleck_layer *l = &k->chain->layer[k->chain->n_layers++];

	*l = (struct oobleck_layer){.kind = kind,
		.c_in = c_in,
		.c_out = c_out,
		.conv = {.kernel = KERNEL, .stride = 1, .dilation = 1}};
	return l;
}

/* first_module: number of the block's first unit in its stable-audio-tools list. */
static void add_residuals(struct binding *k, int block, int first_module, int64_t channels)
{
	static const char *const parts[2][4] = {{"snake1", "conv1", "snake2", "conv2"},
		{"layers.0", "layers.1", "layers.2", "layers.3"}};
	const char *const *part = parts[k->o->names == OOBLECK_TOOLS];
	char unit[128], name[160];

	for (int i = 0; i < N_RESIDUAL; i++) {
		struct oobleck_layer *l = add_layer(k, OOBLECK_RESIDUAL, channels, channels);
		NAME(k, unit, "block.%d.res_unit%d", "layers.%d.layers.%d",
			k->o->names == OOBLECK_TOOLS ? block + 1 : block,
			k->o->names == OOBLECK_TOOLS ? first_module + i : i + 1);
		l->conv.dilation = dilations[i];
		l->pad = (KERNEL - 1) / 2 * dilations[i];
		snprintf(name, sizeof(name), "%s.%s", unit, part[0]);
		bind_snake(k, &l->snake, channels, name);
		snprintf(name, sizeof(name), "%s.%s", unit, part[1]);
		bind_layer_conv(k, &l->w, &l->bias, l, KERNEL, name);
		snprintf(name, sizeof(name), "%s.%s", unit, part[2]);
		bind_snake(k, &l->snake_out, channels, name);
		snprintf(name, sizeof(name), "%s.%s", unit, part[3]);
		bind_layer_conv(k, &l->w_out, &l->b_out, l, 1, name);
	}
}

/* The convolution that changes the rate, and its snake. */
static void add_resampler(struct binding *k, int block, enum oobleck_kind kind, int64_t c_in,
	int64_t c_out, int64_t ratio)
{
	const bool tools = k->o->names == OOBLECK_TOOLS;
	const int module = kind == OOBLECK_UP ? 0 : N_RESIDUAL;
	struct oobleck_layer *l = add_layer(k, kind, c_in, c_out);
	char name[160];

	l->conv = (struct gpu_conv){.kernel = 2 * ratio, .stride = ratio, .dilation = 1};
	l->pad = (ratio + 1) / 2;
	if (tools)
		snprintf(name, sizeof(name), "pretransform.model.%s.layers.%d.layers.%d", k->half,
			block + 1, module);
	else
		snprintf(name, sizeof(name), "vae/%s.block.%d.snake1", k->half, block);
	bind_snake(k, &l->snake, c_in, name);
	if (tools)
		snprintf(name, sizeof(name), "pretransform.model.%s.layers.%d.layers.%d", k->half,
			block + 1, module + 1);
	else
		snprintf(name, sizeof(name), "vae/%s.block.%d.%s", k->half, block,
			kind == OOBLECK_UP ? "conv_t1" : "conv1");
	bind_layer_conv(k, &l->w, &l->bias, l, 2 * ratio, name);
}

/* The convolutions at either end; module: its number in stable-audio-tools. */
static void add_end(
	struct binding *k, int64_t c_in, int64_t c_out, int64_t kernel, int module, bool has_bias)
{
	const bool is_last = module > 0;
	struct oobleck_layer *l = add_layer(k, OOBLECK_CONV, c_in, c_out);
	char name[160];

	l->conv.kernel = kernel;
	l->pad = (kernel - 1) / 2;
	if (is_last) {
		NAME(k, name, "snake%d", "layers.%d",
			k->o->names == OOBLECK_TOOLS ? module - 1 : 1);
		bind_snake(k, &l->snake, c_in, name);
	}
	NAME(k, name, "conv%d", "layers.%d", k->o->names == OOBLECK_TOOLS ? module : 1 + is_last);
	bind_layer_conv(k, &l->w, has_bias ? &l->bias : NULL, l, kernel, name);
}

void oobleck_bind_decoder(struct oobleck *o, struct bind *b, enum gpu_dtype dtype)
{
	const struct oobleck_config *cfg = &o->cfg;
	struct binding k = {o, b, dtype, &o->decoder, "decoder"};
	const int n = (int)cfg->n_ratios;

	o->decoder.n_layers = 0;
	add_end(&k, cfg->latent_channels, cfg->decoder_width * cfg->multiples[n - 1], KERNEL, 0,
		true);
	for (int i = 0; i < n; i++) {
		const int64_t outer = n - i > 1 ? cfg->multiples[n - i - 2] : 1;
		const int64_t c_in = cfg->decoder_width * cfg->multiples[n - i - 1],
			      c_out = cfg->decoder_width * outer;
		add_resampler(&k, i, OOBLECK_UP, c_in, c_out, cfg->ratios[n - i - 1]);
		add_residuals(&k, i, 2, c_out);
	}
	add_end(&k, cfg->decoder_width, cfg->audio_channels, KERNEL, n + 2, false);
}

void oobleck_bind_encoder(struct oobleck *o, struct bind *b, enum gpu_dtype dtype)
{
	const struct oobleck_config *cfg = &o->cfg;
	struct binding k = {o, b, dtype, &o->encoder, "encoder"};
	const int n = (int)cfg->n_ratios;
	int64_t width = cfg->encoder_width;

	o->encoder.n_layers = 0;
	add_end(&k, cfg->audio_channels, width, KERNEL, 0, true);
	for (int i = 0; i < n; i++) {
		const int64_t c_out = cfg->encoder_width * cfg->multiples[i];
		add_residuals(&k, i, 0, width);
		add_resampler(&k, i, OOBLECK_CONV, width, c_out, cfg->ratios[i]);
		width = c_out;
	}
	add_end(&k, width, cfg->encoder_out, LATENT_KERNEL, n + 2, true);
}

/* In place: e^alpha, and 1 / (e^beta + 1e-9). */
static void prepare_snake(struct gpu *g, struct oobleck_snake *s)
{
	struct gpu_tensor *both[2] = {s->alpha, s->inv_beta};

	for (int i = 0; i < 2 && s->alpha; i++) {
		struct gpu_tensor *t = both[i];
		const int64_t n = t->n_dims == 3 ? t->ne[1] : t->ne[0];
		float *v = xcalloc((size_t)n, sizeof(*v));
		gpu_read(g, t, v, (size_t)n * sizeof(*v));
		for (int64_t c = 0; c < n; c++)
			v[c] = i ? 1 / (expf(v[c]) + 1e-9f) : expf(v[c]);
		gpu_write(g, t, v, (size_t)n * sizeof(*v));
		free(v);
		t->n_dims = 1;
		t->ne[0] = n;
		t->nb[0] = 1;
	}
}

void oobleck_prepare(struct gpu *g, struct oobleck_chain *chain)
{
	for (int i = 0; i < chain->n_layers; i++) {
		prepare_snake(g, &chain->layer[i].snake);
		prepare_snake(g, &chain->layer[i].snake_out);
	}
}

/* ---- layers ------------------------------------------------------------- */

static struct gpu_tensor *new_frames(
	struct oobleck_stream *s, const char *name, int64_t n, int64_t c)
{
	return gpu_new(s->chain.g, s->chain.step, GPU_F32, name, SHAPE(n, c));
}

static struct gpu_tensor *part(
	struct oobleck_stream *s, const struct gpu_tensor *t, int64_t first, int64_t n)
{
	return gpu_view(s->chain.g, s->chain.step, t, 0, first, n);
}

static const struct gpu_tensor *activate(
	struct oobleck_stream *s, const struct oobleck_snake *snake, const struct gpu_tensor *x)
{
	struct gpu_tensor *y;

	if (!snake->alpha)
		return x;
	y = new_frames(s, "snake", x->ne[0], x->ne[1]);
	gpu_snake(s->chain.g, y, x, snake->alpha, snake->inv_beta);
	return y;
}

static void run_conv(struct oobleck_stream *s, const struct oobleck_layer *l, struct gpu_tensor *y,
	const struct gpu_tensor *x)
{
	gpu_conv1d(s->chain.g, y, activate(s, &l->snake, x), l->w, l->bias, l->conv);
}

static void run_residual(struct oobleck_stream *s, const struct oobleck_layer *l,
	struct gpu_tensor *y, const struct gpu_tensor *x)
{
	struct gpu_tensor *mid = new_frames(s, "conv", y->ne[0], l->c_out);

	run_conv(s, l, mid, x);
	gpu_snake(s->chain.g, mid, mid, l->snake_out.alpha, l->snake_out.inv_beta);
	/* Output j stands over input j; the window begins with what pads it. */
	gpu_copy(s->chain.g, y, part(s, x, l->pad, y->ne[0]));
	gpu_linear_add(s->chain.g, y, mid, l->w_out, l->b_out);
}

static void run_up(struct oobleck_stream *s, const struct oobleck_layer *l, struct gpu_tensor *y,
	const struct gpu_tensor *x)
{
	gpu_conv_transpose1d(s->chain.g, y, activate(s, &l->snake, x), l->w, l->bias, l->conv);
}

/* Of the outputs, `pad` are dropped in front of the first and behind the last. */
static struct gpu_tensor *trim(
	struct oobleck_stream *s, struct stage *st, struct gpu_tensor *y, bool is_last)
{
	const int64_t pad = st->layer->pad, front = st->has_output ? 0 : pad;
	const int64_t left = y->ne[0] - front - (is_last ? pad : 0);

	st->has_output = true;
	return left > 0 ? part(s, y, front, left) : NULL;
}

/* What came before, x, and `padding` zeros; what later outputs need of it is kept. */
static struct gpu_tensor *next_window(struct oobleck_stream *s, struct stage *st,
	const struct gpu_tensor *x, int64_t padding, int64_t n_out)
{
	const int64_t n = x ? x->ne[0] : 0, length = st->n_tail + n + padding;
	struct gpu_tensor *window = new_frames(s, "window", length, st->layer->c_in);

	if (st->n_tail)
		gpu_copy(s->chain.g, part(s, window, 0, st->n_tail),
			part(s, st->tail, 0, st->n_tail));
	if (n)
		gpu_copy(s->chain.g, part(s, window, st->n_tail, n), x);
	if (padding)
		gpu_fill(s->chain.g, part(s, window, st->n_tail + n, padding), 0);
	st->n_tail = length - n_out * st->stride;
	if (st->n_tail)
		gpu_copy(s->chain.g, part(s, st->tail, 0, st->n_tail),
			part(s, window, n_out * st->stride, st->n_tail));
	return window;
}

/* x may be NULL; is_last: the stream ends behind it.  NULL when no output is ready. */
static struct gpu_tensor *take(
	struct oobleck_stream *s, int i, const struct gpu_tensor *x, bool is_last)
{
	struct stage *st = &s->stage[i];
	const struct oobleck_layer *l = st->layer;
	const int64_t padding = !is_last ? 0 : l->kind == OOBLECK_UP ? 1 : l->pad;
	const int64_t length = st->n_tail + (x ? x->ne[0] : 0) + padding;
	const int64_t n = length < st->span ? 0 : (length - st->span) / st->stride + 1;
	struct gpu_tensor *y =
		new_frames(s, "layer", n * (l->kind == OOBLECK_UP ? l->conv.stride : 1), l->c_out);
	struct gpu_mark mark = gpu_arena_mark(s->chain.step); /* y alone stays */
	struct gpu_tensor *window = next_window(s, st, x, padding, n);

	if (n) {
		window = part(s, window, 0, (n - 1) * st->stride + st->span);
		if (l->kind == OOBLECK_UP)
			run_up(s, l, y, window);
		else if (l->kind == OOBLECK_RESIDUAL)
			run_residual(s, l, y, window);
		else
			run_conv(s, l, y, window);
	}
	gpu_arena_release(s->chain.step, mark);
	if (!n)
		return NULL;
	return l->kind == OOBLECK_UP ? trim(s, st, y, is_last) : y;
}

static struct gpu_tensor *run(void *layers, int i, const struct gpu_tensor *x)
{
	return take(layers, i, x, !x);
}

static struct gpu_tensor *run_last(void *layers, int i, const struct gpu_tensor *x)
{
	return take(layers, i, x, true);
}

/* ---- streams ------------------------------------------------------------ */

/* What pads the front is in the tail from the start. */
static void stage_init(
	struct oobleck_stream *s, struct gpu_arena *state, struct stage *st, int64_t piece)
{
	const struct oobleck_layer *l = st->layer;
	const bool up = l->kind == OOBLECK_UP;

	st->span = up ? 2 : (l->conv.kernel - 1) * l->conv.dilation + 1;
	st->stride = up ? 1 : l->conv.stride;
	st->piece = piece / l->c_in > st->span ? piece / l->c_in : st->span;
	st->n_tail = up ? 1 : l->pad;
	st->tail = gpu_zeros(s->chain.g, state, GPU_F32, "tail",
		SHAPE(st->span + st->stride + st->n_tail, l->c_in));
}

static int64_t piece(const void *layers, int i)
{
	const struct oobleck_stream *s = layers;

	return s->stage[i].piece;
}

struct oobleck_stream *oobleck_stream_new(const struct oobleck_chain *chain, struct gpu *g,
	struct gpu_arena *state, struct gpu_arena *step, oobleck_emit_fn *emit, void *ud)
{
	struct oobleck_stream *s = xcalloc(1, sizeof(*s));
	const int64_t most = gpu_piece(g, PIECE);

	s->chain = (struct conv_stream){.g = g,
		.step = step,
		.time = 0,
		.n_layers = chain->n_layers,
		.piece = piece,
		.run = run,
		.run_last = run_last,
		.layers = s,
		.emit = emit,
		.ud = ud};
	for (int i = 0; i < s->chain.n_layers; i++) {
		s->stage[i].layer = &chain->layer[i];
		stage_init(s, state, &s->stage[i], most);
	}
	return s;
}

void oobleck_stream_free(struct oobleck_stream *s)
{
	free(s);
}

/* Bytes of `step` that a push of n frames takes: what each layer makes, and besides what the
 * widest needs in between. */
static uint64_t push_bytes(const struct oobleck_stream *s, int64_t n)
{
	int64_t made = 0, most = 0;

	for (int i = 0; i < s->chain.n_layers; i++) {
		const struct stage *st = &s->stage[i];
		const struct oobleck_layer *l = st->layer;
		n = n < st->piece ? n : st->piece;
		const int64_t window = (st->n_tail + n) * l->c_in;
		n = l->kind == OOBLECK_UP ? n * l->conv.stride : n / st->stride + 1;
		const int64_t mid = l->kind == OOBLECK_RESIDUAL ? n * l->c_out : 0;
		made += n * l->c_out;
		if (most < made + window * (l->snake.alpha ? 2 : 1) + mid)
			most = made + window * (l->snake.alpha ? 2 : 1) + mid;
	}
	return (uint64_t)most * sizeof(float) + ROOM;
}

void oobleck_push(struct oobleck_stream *s, const struct gpu_tensor *x)
{
	gpu_arena_reserve(s->chain.step, push_bytes(s, x->ne[0]));
	conv_stream_push(&s->chain, x);
}

void oobleck_flush(struct oobleck_stream *s)
{
	conv_stream_flush(&s->chain);
}
