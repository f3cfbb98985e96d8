/* HiFi-GAN's generator (Kong et al. 2020, "HiFi-GAN: Generative Adversarial Networks
 * for Efficient and High Fidelity Speech Synthesis"), as SpeechT5HifiGan of
 * huggingface/transformers runs it; with the sizes of AudioLDM 2:
 *
 *	conv 7         64 -> 1024              [T, 1024]
 *	for each rate u of 5, 4, 2, 2, 2:
 *	  leaky relu, transposed conv (kernels 16, 16, 8, 4, 4)    halves the width
 *	  x = mean of three residual blocks of x, with kernels 3, 7, 11
 *	    for each dilation d of 1, 3, 5:  x += conv(lrelu(conv_d(lrelu(x))))
 *	leaky relu (0.01 here, 0.1 elsewhere), conv 7, tanh    [160 T + 32, 1]
 *
 * A kernel of 16 with stride 5 gives 5 T + 1 frames, which is where the 32
 * samples are from. */
#include "engine/nets/hifigan.h"

#include <stdio.h>
#include <string.h>

#include "engine/weights/bind.h"
#include "engine/weights/config.h"

#define LAST_SLOPE 0.01f
enum { ENDS_KERNEL = 7 };

/* ---- configuration and weights ------------------------------------------ */

static void configure_ups(struct hifigan *v, struct config *c)
{
	int64_t rates[HIFIGAN_MAX_UPS] = {4, 4, 4, 4}, kernels[HIFIGAN_MAX_UPS] = {8, 8, 8, 8};
	int n_kernels = 4;

	v->n_ups = 4;
	if (config_has(c, "upsample_rates"))
		v->n_ups = config_ints(c, "upsample_rates", true, rates, HIFIGAN_MAX_UPS, 1, 64);
	if (config_has(c, "upsample_kernel_sizes"))
		n_kernels = config_ints(
			c, "upsample_kernel_sizes", true, kernels, HIFIGAN_MAX_UPS, 1, 256);
	config_require(c, v->n_ups > 0 && n_kernels == v->n_ups,
		"upsample_kernel_sizes must have as many entries as upsample_rates");
	v->hop = 1;
	for (int i = 0; i < v->n_ups; i++) {
		v->ups[i] = (struct hifigan_up){
			.rate = rates[i], .kernel = kernels[i], .width = v->width >> (i + 1)};
		v->hop *= rates[i];
		config_require(c, kernels[i] >= rates[i],
			"upsample_kernel_sizes: a kernel is shorter than its rate");
		config_require(c, v->ups[i].width >= 1,
			"upsample_initial_channel %lld is too small", (long long)v->width);
	}
	config_require(c, v->hop <= 1 << 16, "upsample_rates are too large");
}

static void configure_blocks(struct hifigan *v, struct config *c)
{
	static const int64_t kernels[] = {3, 7, 11}, dilations[] = {1, 3, 5};
	char path[64];

	v->n_kernels = 3;
	v->n_dilations = 3;
	memcpy(v->kernels, kernels, sizeof(kernels));
	for (int i = 0; i < 3; i++)
		memcpy(v->dilations[i], dilations, sizeof(dilations));
	if (config_has(c, "resblock_kernel_sizes"))
		v->n_kernels = config_ints(
			c, "resblock_kernel_sizes", true, v->kernels, HIFIGAN_MAX_KERNELS, 1, 63);
	config_require(c, v->n_kernels > 0, "resblock_kernel_sizes is empty");
	if (config_has(c, "resblock_dilation_sizes")) {
		config_require(c, config_length(c, "resblock_dilation_sizes") == v->n_kernels,
			"resblock_dilation_sizes must have as many entries as "
			"resblock_kernel_sizes");
		for (int i = 0; i < v->n_kernels; i++) {
			snprintf(path, sizeof(path), "resblock_dilation_sizes.%d", i);
			const int n = config_ints(
				c, path, true, v->dilations[i], HIFIGAN_MAX_DILATIONS, 1, 256);
			config_require(c, n > 0 && (!i || n == v->n_dilations),
				"resblock_dilation_sizes: lists of different lengths are not "
				"supported");
			v->n_dilations = n;
		}
	}
	for (int i = 0; i < v->n_kernels; i++)
		config_require(
			c, v->kernels[i] % 2 == 1, "resblock_kernel_sizes: kernels must be odd");
}

void hifigan_configure(struct hifigan *v, struct config *c)
{
	memset(v, 0, sizeof(*v));
	const char *type = config_str(c, "model_type", "hifigan");
	config_require(c, !strcmp(type, "hifigan"),
		"model_type '%s' is not supported, only hifigan is", type);
	v->n_mels = config_int(c, "model_in_dim", 80, 1, 4096);
	v->rate = config_int(c, "sampling_rate", 16000, 1, 768000);
	v->width = config_int(c, "upsample_initial_channel", 512, 1, 65536);
	v->slope = (float)config_num(c, "leaky_relu_slope", 0.1, 0, 1);
	config_require(c, !config_bool(c, "normalize_before", true),
		"normalize_before true is not supported");
	configure_ups(v, c);
	configure_blocks(v, c);
}

static void bind_one(struct hifigan_conv *l, struct bind *b, enum gpu_dtype dtype, int64_t n_out,
	int64_t n_in, const char *name)
{
	const struct bind_conv conv = {.n_out = n_out, .n_in = n_in, .kernel = l->kernel};

	bind_conv(b, &l->w, &l->b, dtype, conv, "%s", name);
}

static void bind_blocks(
	struct hifigan *v, struct bind *b, enum gpu_dtype dtype, int up, const char *prefix)
{
	struct hifigan_up *u = &v->ups[up];
	char at[128];

	for (int k = 0; k < v->n_kernels; k++)
		for (int d = 0; d < v->n_dilations; d++) {
			const int block = up * v->n_kernels + k;
			u->first[k][d] = (struct hifigan_conv){
				.kernel = v->kernels[k], .dilation = v->dilations[k][d]};
			u->second[k][d] =
				(struct hifigan_conv){.kernel = v->kernels[k], .dilation = 1};
			snprintf(at, sizeof(at), "%sresblocks.%d.convs1.%d", prefix, block, d);
			bind_one(&u->first[k][d], b, dtype, u->width, u->width, at);
			snprintf(at, sizeof(at), "%sresblocks.%d.convs2.%d", prefix, block, d);
			bind_one(&u->second[k][d], b, dtype, u->width, u->width, at);
		}
}

void hifigan_bind(struct hifigan *v, struct bind *b, enum gpu_dtype dtype, const char *prefix)
{
	int64_t width = v->width;
	char at[128];

	v->pre = v->post = (struct hifigan_conv){.kernel = ENDS_KERNEL, .dilation = 1};
	snprintf(at, sizeof(at), "%sconv_pre", prefix);
	bind_one(&v->pre, b, dtype, width, v->n_mels, at);
	for (int i = 0; i < v->n_ups; i++) {
		struct hifigan_up *u = &v->ups[i];
		const struct bind_conv conv = {.n_out = u->width,
			.n_in = width,
			.kernel = u->kernel,
			.stride = u->rate,
			.transposed = true};
		bind_conv(b, &u->w, &u->b, dtype, conv, "%supsampler.%d", prefix, i);
		bind_blocks(v, b, dtype, i, prefix);
		width = u->width;
	}
	snprintf(at, sizeof(at), "%sconv_post", prefix);
	bind_one(&v->post, b, GPU_F32, 1, width, at);
	snprintf(at, sizeof(at), "%smean", prefix); /* of normalize_before */
	bind_ignore(b, at);
	snprintf(at, sizeof(at), "%sscale", prefix);
	bind_ignore(b, at);
}

/* ---- forward ------------------------------------------------------------ */

static int64_t up_length(const struct hifigan_up *u, int64_t n)
{
	return (n - 1) * u->rate - (u->kernel - u->rate) / 2 * 2 + u->kernel;
}

int64_t hifigan_samples(const struct hifigan *v, int64_t n_frames)
{
	for (int i = 0; i < v->n_ups; i++)
		n_frames = up_length(&v->ups[i], n_frames);
	return n_frames;
}

/* The room of a render, of which each level takes views: the frames that come in and the mean of
 * the blocks; the raised rate; the padded frames, then the sums of a block; what is between its
 * convolutions.  Levels are of one size, about, and memory that is there already costs nothing. */
struct room {
	struct gpu *g;
	struct gpu_arena *a;
	struct gpu_tensor *at[4]; /* flat */
};
enum { FRAMES, RAISED, SUMS, BETWEEN };

static struct gpu_tensor *take(const struct room *o, int i, int64_t n, int64_t width)
{
	return gpu_reshape(
		o->g, o->a, gpu_view(o->g, o->a, o->at[i], 0, 0, n * width), SHAPE(n, width));
}

/* x behind a leaky relu, with `pad` frames of zeros on both sides. */
static struct gpu_tensor *padded(
	const struct room *o, const struct gpu_tensor *x, float slope, int64_t pad)
{
	const int64_t n = x->ne[0];
	struct gpu_tensor *y = take(o, SUMS, n + 2 * pad, x->ne[1]);

	if (pad) {
		gpu_fill(o->g, gpu_view(o->g, o->a, y, 0, 0, pad), 0);
		gpu_fill(o->g, gpu_view(o->g, o->a, y, 0, pad + n, pad), 0);
	}
	gpu_leaky_relu(o->g, gpu_view(o->g, o->a, y, 0, pad, n), x, slope);
	return y;
}

/* y = conv(lrelu(x)), or y += that. */
static void convolve(const struct hifigan_conv *l, struct gpu *g, struct gpu_arena *step,
	struct gpu_tensor *y, const struct gpu_tensor *x, float slope, bool add)
{
	gpu_leaky_conv1d(g, step, y, x,
		&(struct gpu_leaky_conv){.w = l->w,
			.bias = l->b,
			.kernel = l->kernel,
			.dilation = l->dilation,
			.slope = slope,
			.add = add});
}

/* Taps of a transposed convolution that see a frame; frames that it makes of n. */
static int64_t taps_seen(const struct hifigan_up *u)
{
	return (u->kernel + u->rate - 1) / u->rate;
}

static int64_t raised_frames(const struct hifigan_up *u, int64_t n)
{
	return (n + taps_seen(u) - 1) * u->rate;
}

/* The transposed convolution without what its padding cuts off both ends. */
static struct gpu_tensor *raise_rate(const struct hifigan *v, const struct hifigan_up *u,
	const struct room *o, const struct gpu_tensor *x)
{
	const int64_t n = x->ne[0];
	struct gpu_tensor *full = take(o, RAISED, raised_frames(u, n), u->width);

	gpu_conv_transpose1d(o->g, full, padded(o, x, v->slope, taps_seen(u) - 1), u->w, u->b,
		(struct gpu_conv){.kernel = u->kernel, .stride = u->rate});
	return gpu_view(o->g, o->a, full, 0, (u->kernel - u->rate) / 2, up_length(u, n));
}

/* What a render goes through, and how far it is. */
struct passage {
	const struct hifigan *v;
	struct gpu *g;
	const struct layer_watch *watch;
	int64_t done;
};

static void pass(struct passage *p)
{
	layer_done(p->watch, ++p->done, p->v->n_ups * p->v->n_kernels * p->v->n_dilations);
}

/* y = the mean of the residual blocks of x. */
static void residual_blocks(struct passage *p, const struct hifigan_up *u, const struct room *o,
	struct gpu_tensor *y, const struct gpu_tensor *x)
{
	const struct hifigan *v = p->v;
	struct gpu *g = p->g;
	struct gpu_tensor *sum = take(o, SUMS, x->ne[0], x->ne[1]);
	struct gpu_tensor *h = take(o, BETWEEN, x->ne[0], x->ne[1]);

	for (int k = 0; k < v->n_kernels; k++) {
		gpu_copy(g, sum, x);
		for (int i = 0; i < v->n_dilations; i++) {
			convolve(&u->first[k][i], g, o->a, h, sum, v->slope, false);
			convolve(&u->second[k][i], g, o->a, sum, h, v->slope, true);
			pass(p);
		}
		if (k)
			gpu_add(g, y, y, sum);
		else
			gpu_copy(g, y, sum);
	}
	gpu_combine(g, y, &(struct gpu_term){y, 1.0f / (float)v->n_kernels}, 1);
}

static int64_t greater(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static void make_room(struct room *o, const struct hifigan *v, int64_t n)
{
	static const char *const names[] = {"frames", "raised", "sums", "between"};
	int64_t most[4] = {n * v->width}, width = v->width;

	for (int i = 0; i < v->n_ups; width = v->ups[i++].width) {
		const struct hifigan_up *u = &v->ups[i];
		const int64_t next = up_length(u, n) * u->width,
			      before = (n + 2 * (taps_seen(u) - 1)) * width;
		most[FRAMES] = greater(most[FRAMES], next);
		most[RAISED] = greater(most[RAISED], raised_frames(u, n) * u->width);
		most[SUMS] = greater(most[SUMS], greater(next, before));
		most[BETWEEN] = greater(most[BETWEEN], next);
		n = up_length(u, n);
	}
	for (int i = 0; i < 4; i++)
		o->at[i] = gpu_new(o->g, o->a, GPU_F32, names[i], SHAPE(most[i]));
}

struct gpu_tensor *hifigan_render(const struct hifigan *v, struct gpu *g, struct gpu_arena *a,
	struct gpu_arena *step, const struct gpu_tensor *mel, const struct layer_watch *watch)
{
	struct gpu_tensor *out =
		gpu_new(g, a, GPU_F32, "samples", SHAPE(hifigan_samples(v, mel->ne[0]), 1));
	struct gpu_mark mark = gpu_arena_mark(step);
	struct room o = {.g = g, .a = step};
	struct passage p = {.v = v, .g = g, .watch = watch};

	make_room(&o, v, mel->ne[0]);
	struct gpu_tensor *x = take(&o, FRAMES, mel->ne[0], v->width);
	convolve(&v->pre, g, step, x, mel, 1, false);
	for (int i = 0; i < v->n_ups && !gpu_failed(g); i++) {
		const struct hifigan_up *u = &v->ups[i];
		const struct gpu_tensor *raised = raise_rate(v, u, &o, x);
		x = take(&o, FRAMES, raised->ne[0], u->width);
		residual_blocks(&p, u, &o, x, raised);
		gpu_tap(g, x, "vocoder.up%d", i);
	}
	convolve(&v->post, g, step, out, x, LAST_SLOPE, false);
	gpu_tanh(g, out, out);
	gpu_arena_release(step, mark);
	gpu_tap(g, out, "vocoder.out");
	return out;
}
