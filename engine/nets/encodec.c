/* EnCodec (Défossez et al. 2022, "High Fidelity Neural Audio Compression"),
 * the form that MusicGen uses: facebook/encodec_32khz, weights CC-BY-NC 4.0.
 *
 * Decoder, with the sizes of the 32 kHz model, ratios 8, 5, 4, 4:
 *
 *	codes     sum of 4 codebook rows      [T, 128]
 *	conv 7    128 -> 1024
 *	lstm      2 layers, 1024, plus its input
 *	for each ratio r:
 *	  ELU, transposed conv 2r stride r    halves the width    1024 .. 64
 *	  residual  x + conv 1(ELU(conv 3(ELU(x))))
 *	ELU, conv 7  64 -> 1                  [T * 640, 1]
 *
 * The encoder is the same list upside down with strided convolutions.
 * Layers are numbered as in the checkpoint, where an ELU counts as one.
 *
 * Padding is what makes streaming delicate.  A convolution of span k (its
 * dilation included) and stride s pads k - s in all: half of it (the larger
 * half) in front, or all of it when causal; behind, the last stride is filled
 * up, too.  Reflection mirrors the first inputs in front and the last behind;
 * an input shorter than the padding is first continued with zeros.  A
 * transposed convolution pads nothing; its output is trimmed instead. */
#include "engine/nets/encodec.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/nets/conv_stream.h"
#include "engine/weights/bind.h"
#include "engine/weights/config.h"
#include "library/base/arena.h"

/* Floats of activation that a layer makes at a time: they should stay in a
 * processor's second-level cache on their way to the next layer.  On a GPU all of
 * what comes at once, but no more than this. */
enum { PIECE = 1 << 17, MOST_PIECE = 1 << 22 };

/* The input of a convolution as it arrives: the padded input so far, of which
 * the end is kept. */
struct window {
	int64_t span, stride, left, right; /* right without what fills the last stride */
	enum codec_pad pad;
	bool elu, started; /* started: the padding in front is made */
	int64_t n_in, n_out;
	int64_t n_tail;
	struct gpu_tensor *tail; /* [B, capacity, C] */
};

/* What the next n_out outputs see: x from `first` on. */
struct seen {
	struct gpu_tensor *x;
	int64_t first, n_out;
};

/* Pieces of one length after another are a step that repeats: on a GPU a frame is a launch.
 * So what the layers read and write stays where it is. */
struct recurrent {
	struct gpu_lstm layer[CODEC_MAX_LSTM];
	struct gpu_tensor *frames[CODEC_MAX_LSTM + 1]; /* [B, piece, C]: in, out of each layer */
	struct gpu_arena *state;                       /* which holds them */
	struct gpu_step *step;                         /* of n_time frames; owned */
	int64_t n_time;
};

struct stage {
	const struct codec_layer *layer;
	int64_t piece; /* frames taken at a time */
	struct window window;
	struct recurrent lstm;
};

struct codec_stream {
	struct conv_stream chain;
	const struct codec *codec;
	int64_t batch;
	struct stage stage[CODEC_MAX_LAYERS];
};

/* ---- configuration and weights ------------------------------------------ */

static enum codec_pad pad_mode(struct config *config)
{
	const char *mode = config_str(config, "audio_encoder.pad_mode", "reflect");

	if (!strcmp(mode, "constant"))
		return CODEC_PAD_ZERO;
	if (!strcmp(mode, "replicate"))
		return CODEC_PAD_REPLICATE;
	config_require(config, !strcmp(mode, "reflect"),
		"audio_encoder.pad_mode '%s' is not supported (reflect, constant, replicate)",
		mode);
	return CODEC_PAD_REFLECT;
}

static struct codec_layer *add_layer(
	struct codec_chain *ch, enum codec_kind kind, bool elu, int64_t c_in, int64_t c_out)
{
	struct codec_layer *l = &ch->layer[ch->n_layers];
	const struct codec_layer *before = ch->n_layers ? l - 1 : NULL;

	*l = (struct codec_layer){.kind = kind, .elu = elu, .c_in = c_in, .c_out = c_out};
	l->module = (before ? before->module + 1 : 0) + elu;
	ch->n_layers++;
	return l;
}

static void add_conv(struct codec_chain *ch, bool elu, int64_t c_in, int64_t c_out, int64_t kernel,
	int64_t stride)
{
	struct codec_layer *l = add_layer(ch, CODEC_CONV, elu, c_in, c_out);

	l->conv = (struct gpu_conv){.kernel = kernel, .stride = stride, .dilation = 1};
}

static void add_up(struct codec_chain *ch, int64_t c_in, int64_t c_out, int64_t ratio)
{
	struct codec_layer *l = add_layer(ch, CODEC_UP, true, c_in, c_out);

	l->conv = (struct gpu_conv){.kernel = 2 * ratio, .stride = ratio, .dilation = 1};
}

static void add_residuals(struct codec_chain *ch, const struct codec_config *cfg, int64_t width)
{
	int64_t dilation = 1;

	for (int64_t i = 0; i < cfg->n_residual; i++, dilation *= cfg->dilation_growth) {
		struct codec_layer *l = add_layer(ch, CODEC_RESIDUAL, false, width, width);
		l->conv = (struct gpu_conv){
			.kernel = cfg->residual_kernel, .stride = 1, .dilation = dilation};
		l->c_mid = width / cfg->compress;
	}
}

static void decoder_layers(struct codec_chain *ch, const struct codec_config *cfg)
{
	int64_t width = cfg->filters << cfg->n_ratios;

	add_conv(ch, false, cfg->hidden, width, cfg->kernel, 1);
	add_layer(ch, CODEC_LSTM, false, width, width);
	for (int64_t i = 0; i < cfg->n_ratios; i++, width /= 2) {
		add_up(ch, width, width / 2, cfg->ratios[i]);
		add_residuals(ch, cfg, width / 2);
	}
	add_conv(ch, true, width, 1, cfg->last_kernel, 1);
}

static void encoder_layers(struct codec_chain *ch, const struct codec_config *cfg)
{
	int64_t width = cfg->filters;

	add_conv(ch, false, 1, width, cfg->kernel, 1);
	for (int64_t i = cfg->n_ratios - 1; i >= 0; i--, width *= 2) {
		add_residuals(ch, cfg, width);
		add_conv(ch, true, width, 2 * width, 2 * cfg->ratios[i], cfg->ratios[i]);
	}
	add_layer(ch, CODEC_LSTM, false, width, width);
	add_conv(ch, true, width, cfg->hidden, cfg->last_kernel, 1);
}

static int64_t codec_int(struct config *config, const char *key, int64_t otherwise, int64_t hi)
{
	char path[64];

	snprintf(path, sizeof(path), "audio_encoder.%s", key);
	return config_int(config, path, otherwise, 1, hi);
}

static void codec_ratios(struct codec_config *cfg, struct config *config)
{
	static const int64_t otherwise[] = {8, 5, 4, 2}; /* EncodecConfig's own */

	if (config_has(config, "audio_encoder.upsampling_ratios")) {
		cfg->n_ratios = config_ints(config, "audio_encoder.upsampling_ratios", true,
			cfg->ratios, CODEC_MAX_RATIOS, 1, 64);
	} else {
		cfg->n_ratios = sizeof(otherwise) / sizeof(*otherwise);
		memcpy(cfg->ratios, otherwise, sizeof(otherwise));
	}
	cfg->hop = 1;
	for (int64_t i = 0; i < cfg->n_ratios; i++)
		cfg->hop *= cfg->ratios[i];
	config_require(config, cfg->n_ratios > 0, "audio_encoder.upsampling_ratios is empty");
	config_require(config, cfg->hop <= cfg->rate,
		"audio_encoder.upsampling_ratios: a frame would last more than a second");
	config_require(config, (cfg->filters << cfg->n_ratios) <= 65536,
		"audio_encoder.num_filters %lld is too large for %lld ratios",
		(long long)cfg->filters, (long long)cfg->n_ratios);
}

/* What transformers would run and this file does not. */
static void codec_refuse(struct config *config)
{
	const char *type = config_str(config, "audio_encoder.model_type", "encodec");
	const char *norm = config_str(config, "audio_encoder.norm_type", "weight_norm");

	config_require(config, !strcmp(type, "encodec"),
		"audio_encoder.model_type '%s' is not supported, only encodec is", type);
	config_require(config, !strcmp(norm, "weight_norm"),
		"audio_encoder.norm_type '%s' is not supported, only weight_norm is", norm);
	config_require(config, codec_int(config, "audio_channels", 1, 64) == 1,
		"audio_encoder.audio_channels: a codec of more than one channel is not supported");
	config_require(config, !config_bool(config, "audio_encoder.normalize", false),
		"audio_encoder.normalize is not supported");
	config_require(config, !config_has(config, "audio_encoder.chunk_length_s"),
		"audio_encoder.chunk_length_s is not supported");
}

void codec_configure(struct codec *c, struct config *config, int64_t n_codebooks)
{
	struct codec_config *cfg = &c->cfg;
	int64_t growth = 1;

	memset(c, 0, sizeof(*c));
	codec_refuse(config);
	cfg->rate = codec_int(config, "sampling_rate", 24000, 768000);
	cfg->hidden = codec_int(config, "hidden_size", 128, 16384);
	cfg->filters = codec_int(config, "num_filters", 32, 4096);
	codec_ratios(cfg, config);
	cfg->n_residual =
		config_int(config, "audio_encoder.num_residual_layers", 1, 0, CODEC_MAX_RESIDUAL);
	cfg->residual_kernel = codec_int(config, "residual_kernel_size", 3, 64);
	cfg->dilation_growth = codec_int(config, "dilation_growth_rate", 2, 16);
	cfg->compress = codec_int(config, "compress", 2, 4096);
	cfg->kernel = codec_int(config, "kernel_size", 7, 256);
	cfg->last_kernel = codec_int(config, "last_kernel_size", 7, 256);
	cfg->n_lstm = codec_int(config, "num_lstm_layers", 2, CODEC_MAX_LSTM);
	cfg->codebook_size = codec_int(config, "codebook_size", 1024, 1 << 20);
	cfg->n_codebooks = n_codebooks;
	cfg->causal = config_bool(config, "audio_encoder.use_causal_conv", true);
	cfg->shortcut = config_bool(config, "audio_encoder.use_conv_shortcut", true);
	cfg->pad = pad_mode(config);
	cfg->trim_right_ratio = config_num(config, "audio_encoder.trim_right_ratio", 1.0, 0, 1);
	config_require(config, cfg->causal || cfg->trim_right_ratio == 1.0,
		"audio_encoder.trim_right_ratio goes with use_causal_conv only");
	config_require(config, cfg->compress <= cfg->filters,
		"audio_encoder.compress %lld is larger than num_filters %lld",
		(long long)cfg->compress, (long long)cfg->filters);
	config_require(config, codec_int(config, "codebook_dim", cfg->hidden, 16384) == cfg->hidden,
		"audio_encoder.codebook_dim differs from hidden_size %lld", (long long)cfg->hidden);
	for (int64_t i = 1; i < cfg->n_residual; i++)
		growth *= cfg->dilation_growth;
	config_require(config, growth * cfg->residual_kernel <= 4096,
		"audio_encoder: residual layers %lld samples wide are not supported",
		(long long)(growth * cfg->residual_kernel));
	decoder_layers(&c->decoder, cfg);
	encoder_layers(&c->encoder, cfg);
}

static void bind_layer(
	struct codec_layer *l, const struct codec_config *cfg, struct bind *b, const char *half)
{
	struct bind_conv conv = {.n_out = l->c_out,
		.n_in = l->c_in,
		.kernel = l->conv.kernel,
		.stride = l->conv.stride,
		.transposed = l->kind == CODEC_UP};
	struct bind_conv first = {.n_out = l->c_mid, .n_in = l->c_in, .kernel = l->conv.kernel};
	struct bind_conv second = {.n_out = l->c_out, .n_in = l->c_mid, .kernel = 1};
	struct bind_conv skip = {.n_out = l->c_out, .n_in = l->c_in, .kernel = 1};
	char at[64];

	snprintf(at, sizeof(at), "audio_encoder.%s.layers.%d", half, l->module);
	switch (l->kind) {
	case CODEC_CONV:
	case CODEC_UP:
		bind_conv(b, &l->w, &l->bias, GPU_F32, conv, "%s.conv", at);
		break;
	case CODEC_RESIDUAL:
		bind_conv(b, &l->w, &l->bias, GPU_F32, first, "%s.block.1.conv", at);
		bind_conv(b, &l->w_out, &l->b_out, GPU_F32, second, "%s.block.3.conv", at);
		if (cfg->shortcut)
			bind_conv(b, &l->w_skip, &l->b_skip, GPU_F32, skip, "%s.shortcut.conv", at);
		break;
	case CODEC_LSTM:
		for (int i = 0; i < cfg->n_lstm; i++) {
			int64_t d = l->c_out;
			bind_matrix(
				b, &l->w_ih[i], GPU_F32, 4 * d, d, "%s.lstm.weight_ih_l%d", at, i);
			bind_matrix(
				b, &l->w_hh[i], GPU_F32, 4 * d, d, "%s.lstm.weight_hh_l%d", at, i);
			bind_sum(b, &l->b_ih[i], SHAPE(4 * d), "%s.lstm.bias_{ih,hh}_l%d", at, i);
		}
		break;
	}
}

static void bind_chain(struct codec *c, struct codec_chain *ch, struct bind *b, const char *half)
{
	for (int i = 0; i < ch->n_layers; i++)
		bind_layer(&ch->layer[i], &c->cfg, b, half);
}

void codec_bind_decoder(struct codec *c, struct bind *b)
{
	bind_chain(c, &c->decoder, b, "decoder");
	bind_rows(b, &c->codebooks, GPU_F32,
		SHAPE(c->cfg.n_codebooks * c->cfg.codebook_size, c->cfg.hidden),
		"audio_encoder.quantizer.layers.{0..%d}.codebook.embed",
		(int)c->cfg.n_codebooks - 1);
	bind_ignore(b, "audio_encoder.quantizer.layers.*"); /* training's, and codebooks beyond */
	bind_ignore(b, "audio_encoder.encoder.*");
}

void codec_bind_encoder(struct codec *c, struct bind *b)
{
	bind_chain(c, &c->encoder, b, "encoder");
}

/* ---- codes and latents -------------------------------------------------- */

struct gpu_tensor *codec_latents(const struct codec *c, struct gpu *g, struct gpu_arena *a,
	const struct gpu_tensor *codes, int64_t batch)
{
	struct gpu_tensor *z = gpu_new(
		g, a, GPU_F32, "latents", SHAPE(batch, codes->ne[0] / batch, c->cfg.hidden));

	gpu_embed_sum(
		g, gpu_reshape(g, a, z, SHAPE(codes->ne[0], c->cfg.hidden)), c->codebooks, codes);
	gpu_tap(g, z, "encodec.latent");
	return z;
}

struct gpu_tensor *codec_quantize(
	const struct codec *c, struct gpu *g, struct gpu_arena *a, const struct gpu_tensor *latents)
{
	const struct codec_config *cfg = &c->cfg;
	struct gpu_tensor *codes =
		gpu_new(g, a, GPU_I32, "codes", SHAPE(latents->ne[0], cfg->n_codebooks));
	struct gpu_tensor *books = gpu_reshape(
		g, a, c->codebooks, SHAPE(cfg->n_codebooks, cfg->codebook_size, cfg->hidden));

	gpu_rvq_encode(g, codes, latents, books);
	return codes;
}

/* ---- a convolution's view of a stream ----------------------------------- */

static struct gpu_tensor *part(
	struct codec_stream *s, const struct gpu_tensor *x, int64_t first, int64_t n)
{
	return gpu_view(s->chain.g, s->chain.step, x, 1, first, n);
}

/* t[to ..] = x, through the ELU in front of the layer */
static void put(struct codec_stream *s, const struct window *w, struct gpu_tensor *t, int64_t to,
	const struct gpu_tensor *x)
{
	struct gpu_tensor *dst = part(s, t, to, x->ne[1]);

	if (w->elu)
		gpu_elu(s->chain.g, dst, x);
	else
		gpu_copy(s->chain.g, dst, x);
}

static void put_zeros(struct codec_stream *s, struct gpu_tensor *t, int64_t to, int64_t n)
{
	if (n)
		gpu_fill(s->chain.g, part(s, t, to, n), 0);
}

/* t[to .. to + n) = t[from .. from + n) read backwards */
static void put_mirrored(
	struct codec_stream *s, struct gpu_tensor *t, int64_t to, int64_t from, int64_t n)
{
	if (n)
		gpu_flip(s->chain.g, part(s, t, to, n), part(s, t, from, n));
}

static void put_repeated(
	struct codec_stream *s, struct gpu_tensor *t, int64_t to, int64_t from, int64_t n)
{
	for (int64_t i = 0; i < n; i++)
		gpu_copy(s->chain.g, part(s, t, to + i, 1), part(s, t, from, 1));
}

/* t starts with room for the padding; the inputs so far follow it. */
static void pad_left(struct codec_stream *s, const struct window *w, struct gpu_tensor *t)
{
	const int64_t n = w->left;
	const int64_t mirrored = w->n_in - 1 < n ? w->n_in - 1 : n;

	if (w->pad == CODEC_PAD_ZERO) {
		put_zeros(s, t, 0, n);
	} else if (w->pad == CODEC_PAD_REPLICATE) {
		put_repeated(s, t, 0, n, n);
	} else {
		put_zeros(s, t, 0, n - mirrored);
		put_mirrored(s, t, n - mirrored, n + 1, mirrored);
	}
}

/* t ends with room for n frames of padding; the last inputs are before it. */
static void pad_right(
	struct codec_stream *s, const struct window *w, struct gpu_tensor *t, int64_t n)
{
	const int64_t end = t->ne[1] - n;
	const int64_t most = n > w->left ? n : w->left;
	/* An input not longer than the padding is continued with `lacking`
	 * zeros, then mirrored (the zeros, too), then cut by as many. */
	const int64_t lacking = w->n_in <= most ? most - w->n_in + 1 : 0;
	int64_t zeros = lacking ? 2 * lacking - 1 : 0;

	if (zeros > n)
		zeros = n;
	if (w->pad == CODEC_PAD_ZERO) {
		put_zeros(s, t, end, n);
	} else if (w->pad == CODEC_PAD_REPLICATE) {
		put_repeated(s, t, end, end - 1, n);
	} else {
		const int64_t mirrored = n - zeros, last = lacking ? end : end - 1;
		put_zeros(s, t, end, zeros);
		put_mirrored(s, t, end + zeros, last - mirrored, mirrored);
	}
}

/* Frames behind the end that the last outputs need. */
static int64_t padding_behind(const struct window *w)
{
	const int64_t odd = w->n_in % w->stride;

	return w->right + (odd ? w->stride - odd : 0);
}

/* Keeps what later outputs, and the padding behind the end, can need. */
static void window_keep(
	struct codec_stream *s, struct window *w, const struct gpu_tensor *t, int64_t padded)
{
	const int64_t base = padded - t->ne[1], mirrored = padded - (w->right + w->stride);
	int64_t from = w->n_out * w->stride;

	if (from > mirrored)
		from = mirrored;
	if (from < base)
		from = base;
	w->n_tail = padded - from;
	gpu_copy(s->chain.g, part(s, w->tail, 0, w->n_tail), part(s, t, from - base, w->n_tail));
}

/* Takes x, or the end of the stream (NULL); false when no output is ready. */
static bool window_push(
	struct codec_stream *s, struct window *w, const struct gpu_tensor *x, struct seen *ret)
{
	const int64_t n = x ? x->ne[1] : 0;

	w->n_in += n;
	if (x && !w->started && w->pad == CODEC_PAD_REFLECT && w->n_in <= w->left) {
		put(s, w, w->tail, w->n_tail, x); /* too few to mirror yet */
		w->n_tail += n;
		return false;
	}
	const int64_t left = w->started ? 0 : w->left, right = x ? 0 : padding_behind(w);
	const int64_t length = left + w->n_tail + n + right, padded = w->left + w->n_in + right;
	const int64_t next = w->n_out * w->stride;
	if (!w->n_in || (!x && padded - next < w->span))
		return false;
	struct gpu_tensor *t = gpu_new(s->chain.g, s->chain.step, GPU_F32, "window",
		SHAPE(s->batch, length, w->tail->ne[2]));
	if (w->n_tail)
		gpu_copy(s->chain.g, part(s, t, left, w->n_tail), part(s, w->tail, 0, w->n_tail));
	if (x)
		put(s, w, t, left + w->n_tail, x);
	if (left)
		pad_left(s, w, t);
	if (right)
		pad_right(s, w, t, right);
	if (gpu_failed(s->chain.g))
		return false;
	w->started = true;
	ret->x = t;
	ret->first = next - (padded - length);
	ret->n_out = padded - next < w->span ? 0 : (padded - next - w->span) / w->stride + 1;
	w->n_out += ret->n_out;
	if (x)
		window_keep(s, w, t, padded);
	return ret->n_out > 0;
}

static void window_init(struct codec_stream *s, struct gpu_arena *state, struct window *w,
	const struct codec_layer *l)
{
	const struct codec_config *cfg = &s->codec->cfg;

	if (l->kind == CODEC_UP) { /* each output block sees two frames */
		w->span = 2;
		w->stride = w->left = w->right = 1;
		w->pad = CODEC_PAD_ZERO;
	} else {
		w->span = (l->conv.kernel - 1) * l->conv.dilation + 1;
		w->stride = l->conv.stride;
		w->right = cfg->causal ? 0 : (w->span - w->stride) / 2;
		w->left = w->span - w->stride - w->right;
		w->pad = cfg->pad;
	}
	/* The tail holds an incomplete span, what is mirrored behind the end,
	 * and before the start what will be mirrored in front: at most this. */
	const int64_t capacity = w->span + w->right + w->stride;
	w->elu = l->elu;
	w->tail = gpu_new(s->chain.g, state, GPU_F32, "tail", SHAPE(s->batch, capacity, l->c_in));
}

/* ---- layers ------------------------------------------------------------- */

static struct gpu_tensor *new_frames(struct codec_stream *s, const char *name, int64_t n, int64_t c)
{
	return gpu_new(s->chain.g, s->chain.step, GPU_F32, name, SHAPE(s->batch, n, c));
}

static struct gpu_tensor *run_conv(
	struct codec_stream *s, struct stage *st, const struct gpu_tensor *x)
{
	const struct codec_layer *l = st->layer;
	const struct window *w = &st->window;
	struct seen in;

	if (!window_push(s, &st->window, x, &in))
		return NULL;
	struct gpu_tensor *y = new_frames(s, "conv", in.n_out, l->c_out);
	x = part(s, in.x, in.first, (in.n_out - 1) * w->stride + w->span);
	gpu_conv1d(s->chain.g, y, x, l->w, l->bias, l->conv);
	return y;
}

static struct gpu_tensor *run_up(
	struct codec_stream *s, struct stage *st, const struct gpu_tensor *x)
{
	const struct codec_layer *l = st->layer;
	const struct codec_config *cfg = &s->codec->cfg;
	const int64_t ratio = l->conv.stride;
	const int64_t trim_right =
		cfg->causal ? (int64_t)ceil((double)ratio * cfg->trim_right_ratio) : ratio / 2;
	const int64_t trim_left = ratio - trim_right;
	struct seen in;

	if (!window_push(s, &st->window, x, &in))
		return NULL;
	struct gpu_tensor *y = new_frames(s, "up", in.n_out * ratio, l->c_out);
	gpu_conv_transpose1d(
		s->chain.g, y, part(s, in.x, in.first, in.n_out + 1), l->w, l->bias, l->conv);
	const int64_t first = st->window.n_out == in.n_out ? trim_left : 0;
	const int64_t n = in.n_out * ratio - first - (x ? 0 : trim_right);
	return n > 0 ? part(s, y, first, n) : NULL;
}

static struct gpu_tensor *run_residual(
	struct codec_stream *s, struct stage *st, const struct gpu_tensor *x)
{
	const struct codec_layer *l = st->layer;
	const struct window *w = &st->window;
	const struct gpu_conv point = {.kernel = 1};
	struct gpu *g = s->chain.g;
	struct seen in;

	if (!window_push(s, &st->window, x, &in))
		return NULL;
	const int64_t n = in.n_out, n_seen = n - 1 + w->span;
	struct gpu_tensor *active = new_frames(s, "residual in", n_seen, l->c_in);
	struct gpu_tensor *mid = new_frames(s, "residual mid", n, l->c_mid);
	struct gpu_tensor *y = new_frames(s, "residual", n, l->c_out);
	/* Output j stands over input j: skip what pads the front. */
	const struct gpu_tensor *skip = part(s, in.x, in.first + w->left, n);

	gpu_elu(g, active, part(s, in.x, in.first, n_seen));
	gpu_conv1d(g, mid, active, l->w, l->bias, l->conv);
	gpu_elu(g, mid, mid);
	gpu_conv1d(g, y, mid, l->w_out, l->b_out, point);
	if (l->w_skip) {
		struct gpu_tensor *shortcut = new_frames(s, "shortcut", n, l->c_out);
		gpu_conv1d(g, shortcut, skip, l->w_skip, l->b_skip, point);
		skip = shortcut;
	}
	gpu_add(g, y, y, skip);
	return y;
}

static struct gpu_tensor *run_lstm(
	struct codec_stream *s, struct stage *st, const struct gpu_tensor *x)
{
	struct recurrent *r = &st->lstm;
	const int64_t n_layers = s->codec->cfg.n_lstm;
	struct gpu_tensor *frames[CODEC_MAX_LSTM + 1];
	struct gpu *g = s->chain.g;

	if (!x)
		return NULL;
	for (int64_t i = 0; i <= n_layers; i++)
		frames[i] = part(s, r->frames[i], 0, x->ne[1]);
	if (x->ne[1] != r->n_time) {
		gpu_step_free(g, r->step);
		r->step = gpu_step_new();
		r->n_time = x->ne[1];
	}
	gpu_copy(g, frames[0], x);
	if (gpu_step_begin(g, r->step, r->state)) {
		for (int64_t i = 0; i < n_layers; i++)
			gpu_lstm(g, frames[i + 1], frames[i], &r->layer[i]);
		gpu_add(g, frames[n_layers], frames[n_layers], frames[0]);
		gpu_step_end(g, r->step);
	}
	return frames[n_layers];
}

static struct gpu_tensor *run(void *layers, int i, const struct gpu_tensor *x)
{
	struct codec_stream *s = layers;
	struct stage *st = &s->stage[i];

	switch (st->layer->kind) {
	case CODEC_CONV:
		return run_conv(s, st, x);
	case CODEC_UP:
		return run_up(s, st, x);
	case CODEC_RESIDUAL:
		return run_residual(s, st, x);
	case CODEC_LSTM:
		return run_lstm(s, st, x);
	}
	return NULL;
}

/* ---- streams ------------------------------------------------------------ */

static void stage_init(
	struct codec_stream *s, struct gpu_arena *state, struct stage *st, int64_t most)
{
	const struct codec_layer *l = st->layer;
	const int64_t made = l->kind == CODEC_UP ? l->c_out * l->conv.stride : l->c_out;

	if (l->kind == CODEC_LSTM)
		most = PIECE; /* frame by frame anyway */
	st->piece = most / (s->batch * (made > l->c_in ? made : l->c_in));
	if (st->piece < 1)
		st->piece = 1;
	if (l->kind != CODEC_LSTM) {
		window_init(s, state, &st->window, l);
		return;
	}
	st->lstm.state = state;
	for (int64_t i = 0; i <= s->codec->cfg.n_lstm; i++)
		st->lstm.frames[i] = gpu_new(s->chain.g, state, GPU_F32, "lstm frames",
			SHAPE(s->batch, st->piece, l->c_out));
	for (int64_t i = 0; i < s->codec->cfg.n_lstm; i++) {
		struct gpu_shape shape = SHAPE(s->batch, l->c_out);
		st->lstm.layer[i] = (struct gpu_lstm){.w_ih = l->w_ih[i],
			.w_hh = l->w_hh[i],
			.bias = l->b_ih[i],
			.h = gpu_zeros(s->chain.g, state, GPU_F32, "lstm h", shape),
			.c = gpu_zeros(s->chain.g, state, GPU_F32, "lstm c", shape)};
	}
}

static int64_t piece(const void *layers, int i)
{
	const struct codec_stream *s = layers;

	return s->stage[i].piece;
}

struct codec_stream *codec_stream_new(const struct codec *c, const struct codec_chain *chain,
	struct gpu *g, struct gpu_arena *state, struct gpu_arena *step, int64_t batch,
	codec_emit_fn *emit, void *ud)
{
	struct codec_stream *s = xcalloc(1, sizeof(*s));
	const int64_t piece_of_device = gpu_piece(g, PIECE);
	const int64_t most = piece_of_device < MOST_PIECE ? piece_of_device : MOST_PIECE;

	s->codec = c;
	s->chain = (struct conv_stream){.g = g,
		.step = step,
		.time = 1,
		.n_layers = chain->n_layers,
		.piece = piece,
		.run = run,
		.layers = s,
		.emit = emit,
		.ud = ud};
	s->batch = batch;
	for (int i = 0; i < s->chain.n_layers; i++) {
		s->stage[i].layer = &chain->layer[i];
		stage_init(s, state, &s->stage[i], most);
	}
	return s;
}

void codec_stream_free(struct codec_stream *s)
{
	if (!s)
		return;
	for (int i = 0; i < s->chain.n_layers; i++)
		gpu_step_free(s->chain.g, s->stage[i].lstm.step);
	free(s);
}

void codec_push(struct codec_stream *s, const struct gpu_tensor *x)
{
	conv_stream_push(&s->chain, x);
}

void codec_flush(struct codec_stream *s)
{
	conv_stream_flush(&s->chain);
}
