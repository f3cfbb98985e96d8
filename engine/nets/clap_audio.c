/* HTSAT (Chen et al. 2022, "HTS-AT: A Hierarchical Token-Semantic Audio Transformer"), a
 * Swin transformer over a folded spectrum, as CLAP in huggingface/transformers runs it; with
 * the sizes of AudioLDM 2:
 *
 *	batch norm over 64 bands; 1001 frames stretched to 1024 (bicubic), cut into 4
 *	  pieces of 256 and laid above each other        [256, 256]
 *	conv 4x4 / 4, norm                                [64 x 64, 128]
 *	4 stages of 2, 2, 12, 2 blocks; between them 2 x 2 tokens become one, twice as wide
 *	  x += out(attention in windows of 8 x 8(norm(x)));  x += ff(norm(x))
 *	norm, mean over the 8 x 8 tokens, projection      [512]
 *
 * Every other block shifts its windows by half a window; tokens that the shift brings
 * together from opposite borders do not see each other (-100).  A grid of one window has
 * no shift. */
#include "engine/nets/clap_audio.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/nets/clap_text.h"
#include "engine/weights/bind.h"
#include "engine/weights/config.h"
#include "library/base/arena.h"
#include "library/base/err.h"

#define NORM_EPS 1e-5f /* of the norms that no option sets */
#define APART    -100.0f

/* ---- configuration and weights ------------------------------------------ */

static void refuse(struct config *c)
{
	const char *act = config_str(c, "audio_config.hidden_act", "gelu");

	config_require(
		c, !strcmp(act, "gelu"), "audio_config.hidden_act '%s' is not supported", act);
	config_require(c, !config_bool(c, "audio_config.enable_fusion", false),
		"audio_config.enable_fusion is not supported");
	config_require(c,
		config_bool(c, "audio_config.enable_patch_layer_norm", true) &&
			config_bool(c, "audio_config.qkv_bias", true),
		"audio_config without enable_patch_layer_norm or qkv_bias is not supported");
	config_require(c, config_int(c, "audio_config.patch_embed_input_channels", 1, 1, 64) == 1,
		"audio_config.patch_embed_input_channels must be 1");
}

static void configure_stages(struct clap_audio *t, struct config *c)
{
	int64_t depths[CLAP_AUDIO_MAX_STAGES] = {2, 2, 6, 2},
		heads[CLAP_AUDIO_MAX_STAGES] = {4, 8, 16, 32};
	int n_heads = 4;

	t->n_stages = 4;
	if (config_has(c, "audio_config.depths"))
		t->n_stages = config_ints(
			c, "audio_config.depths", true, depths, CLAP_AUDIO_MAX_STAGES, 1, 256);
	if (config_has(c, "audio_config.num_attention_heads"))
		n_heads = config_ints(c, "audio_config.num_attention_heads", true, heads,
			CLAP_AUDIO_MAX_STAGES, 1, 1024);
	config_require(c, t->n_stages > 0 && n_heads == t->n_stages,
		"audio_config.num_attention_heads must have as many entries as depths");
	for (int64_t i = 0; i < t->n_stages; i++) {
		struct clap_audio_stage *s = &t->stages[i];
		*s = (struct clap_audio_stage){.side = t->size / t->patch >> i,
			.width = t->width << i,
			.n_heads = heads[i],
			.n_blocks = depths[i]};
		config_require(c, s->n_heads > 0 && s->width % s->n_heads == 0,
			"audio_config.num_attention_heads does not divide the width");
		config_require(c,
			s->side >= t->window && s->side % t->window == 0 &&
				(i == t->n_stages - 1 || s->side % 2 == 0),
			"audio_config: windows do not divide the grid");
	}
}

void clap_audio_configure(struct clap_audio *t, struct config *c)
{
	memset(t, 0, sizeof(*t));
	refuse(c);
	t->projection = config_int(c, "projection_dim", 512, 1, 4096);
	t->n_mels = config_int(c, "audio_config.num_mel_bins", 64, 1, 1024);
	t->size = config_int(c, "audio_config.spec_size", 256, 1, 4096);
	t->patch = config_int(c, "audio_config.patch_size", 4, 1, 64);
	t->width = config_int(c, "audio_config.patch_embeds_hidden_size", 96, 1, 4096);
	t->window = config_int(c, "audio_config.window_size", 8, 1, 64);
	t->ff_ratio = config_int(c, "audio_config.mlp_ratio", 4, 1, 16);
	t->eps = (float)config_num(c, "audio_config.layer_norm_eps", 1e-5, 0, 1);
	int64_t strides[2] = {4, 4};
	if (config_has(c, "audio_config.patch_stride"))
		config_ints(c, "audio_config.patch_stride", true, strides, 2, 1, 64);
	config_require(c, strides[0] == t->patch && strides[1] == t->patch,
		"audio_config.patch_stride must be patch_size");
	config_require(c, t->size % t->n_mels == 0 && t->size % t->patch == 0,
		"audio_config.spec_size is no multiple of num_mel_bins and patch_size");
	configure_stages(t, c);
}

struct binding {
	struct bind *b;
	enum gpu_dtype dtype;
};

static void bind_norm(const struct binding *w, struct gpu_tensor **weight, struct gpu_tensor **bias,
	int64_t width, const char *at, const char *name)
{
	bind_rows(w->b, weight, GPU_F32, SHAPE(width), "%s%s.weight", at, name);
	bind_rows(w->b, bias, GPU_F32, SHAPE(width), "%s%s.bias", at, name);
}

static void bind_linear(const struct binding *w, struct gpu_tensor **weight,
	struct gpu_tensor **bias, int64_t n_out, int64_t n_in, const char *at, const char *name)
{
	bind_matrix(w->b, weight, w->dtype, n_out, n_in, "%s%s.weight", at, name);
	bind_rows(w->b, bias, GPU_F32, SHAPE(n_out), "%s%s.bias", at, name);
}

static void bind_block(const struct binding *w, const struct clap_audio *t,
	const struct clap_audio_stage *s, struct clap_audio_block *l, const char *at)
{
	const int64_t d = s->width, n_offsets = 2 * t->window - 1;

	bind_norm(w, &l->norm1_w, &l->norm1_b, d, at, "layernorm_before");
	bind_linear(w, &l->qkv, &l->qkv_b, 3 * d, d, at, "attention.self.{query,key,value}");
	bind_rows(w->b, &l->table, GPU_F32, SHAPE(n_offsets * n_offsets, s->n_heads),
		"%sattention.self.relative_position_bias_table", at);
	bind_linear(w, &l->out, &l->out_b, d, d, at, "attention.output.dense");
	bind_norm(w, &l->norm2_w, &l->norm2_b, d, at, "layernorm_after");
	bind_linear(w, &l->ff_in, &l->ff_in_b, t->ff_ratio * d, d, at, "intermediate.dense");
	bind_linear(w, &l->ff_out, &l->ff_out_b, d, t->ff_ratio * d, at, "output.dense");
}

static void bind_stages(
	const struct binding *w, struct clap_audio *t, struct arena *a, const char *root)
{
	char at[192];

	for (int i = 0; i < t->n_stages; i++) {
		struct clap_audio_stage *s = &t->stages[i];
		s->blocks = ARENA_ARRAY(a, struct clap_audio_block, (size_t)s->n_blocks);
		for (int j = 0; j < s->n_blocks; j++) {
			snprintf(at, sizeof(at), "%slayers.%d.blocks.%d.", root, i, j);
			bind_block(w, t, s, &s->blocks[j], at);
		}
		if (i == t->n_stages - 1)
			continue;
		snprintf(at, sizeof(at), "%slayers.%d.downsample.", root, i);
		bind_norm(w, &s->merge_norm_w, &s->merge_norm_b, 4 * s->width, at, "norm");
		bind_matrix(w->b, &s->merge, w->dtype, 2 * s->width, 4 * s->width,
			"%sreduction.weight", at);
	}
}

void clap_audio_bind(struct clap_audio *t, struct bind *b, struct arena *a, enum gpu_dtype dtype,
	const char *prefix)
{
	const struct bind_conv conv = {
		.n_out = t->width, .n_in = 1, .kernel = t->patch, .square = true};
	const struct binding w = {b, dtype};
	const int64_t last = t->stages[t->n_stages - 1].width;
	char root[128];

	snprintf(root, sizeof(root), "%saudio_model.audio_encoder.", prefix);
	bind_norm(&w, &t->bn_w, &t->bn_b, t->n_mels, root, "batch_norm");
	bind_rows(b, &t->bn_mean, GPU_F32, SHAPE(t->n_mels), "%sbatch_norm.running_mean", root);
	bind_rows(b, &t->bn_var, GPU_F32, SHAPE(t->n_mels), "%sbatch_norm.running_var", root);
	bind_conv(b, &t->patch_w, &t->patch_b, GPU_F32, conv, "%spatch_embed.proj", root);
	bind_norm(&w, &t->patch_norm_w, &t->patch_norm_b, t->width, root, "patch_embed.norm");
	bind_stages(&w, t, a, root);
	bind_norm(&w, &t->norm_w, &t->norm_b, last, root, "norm");
	for (int i = 0; i < 2; i++) {
		bind_matrix(b, &t->project[i], dtype, t->projection, i ? t->projection : last,
			"%saudio_projection.linear%d.weight", prefix, i + 1);
		bind_rows(b, &t->project_b[i], GPU_F32, SHAPE(t->projection),
			"%saudio_projection.linear%d.bias", prefix, i + 1);
	}
}

int64_t clap_audio_frames(const struct clap_audio *t)
{
	return t->size * (t->size / t->n_mels);
}

/* ---- the image ---------------------------------------------------------- */

/* Keys' cubic with a = -0.75 at distance x. */
static double cubic(double x)
{
	const double a = -0.75;

	x = fabs(x);
	if (x <= 1)
		return ((a + 2) * x - (a + 3)) * x * x + 1;
	return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
}

/* Band m at frame i of n_out, stretched from n_in so that the ends stay. */
static float stretched(
	const float *x, int64_t n_in, int64_t n_out, int64_t n_mels, int64_t i, int64_t m)
{
	const double at = n_out > 1 ? (double)(i * (n_in - 1)) / (double)(n_out - 1) : 0;
	const int64_t base = (int64_t)floor(at);
	double sum = 0;

	for (int64_t k = base - 1; k <= base + 2; k++) {
		const int64_t from = k < 0 ? 0 : k >= n_in ? n_in - 1 : k;
		sum += x[from * n_mels + m] * cubic(at - (double)k);
	}
	return (float)sum;
}

/* Batch norm, in place. */
static void normalise(const struct clap_audio *t, struct gpu *g, float *x, int64_t n_frames)
{
	const int64_t n = t->n_mels;
	const size_t bytes = (size_t)n * sizeof(float);
	float *p = xcalloc((size_t)(4 * n), sizeof(*p));

	gpu_read(g, t->bn_w, p, bytes);
	gpu_read(g, t->bn_b, p + n, bytes);
	gpu_read(g, t->bn_mean, p + 2 * n, bytes);
	gpu_read(g, t->bn_var, p + 3 * n, bytes);
	for (int64_t i = 0; i < n_frames * n; i++) {
		const int64_t m = i % n;
		x[i] = (x[i] - p[2 * n + m]) / sqrtf(p[3 * n + m] + NORM_EPS) * p[m] + p[n + m];
	}
	free(p);
}

/* [1, size, size, 1]: pieces of `size` frames above each other, bands going down. */
static struct gpu_tensor *fold(const struct clap_audio *t, struct gpu *g, struct gpu_arena *a,
	const float *features, int64_t n_frames)
{
	const int64_t frames = clap_audio_frames(t), n = t->n_mels;
	struct gpu_tensor *image =
		gpu_new(g, a, GPU_F32, "spectrum", SHAPE(1, t->size, t->size, 1));
	float *x = xcalloc((size_t)(n_frames * n), sizeof(*x));
	float *y = xcalloc((size_t)(frames * n), sizeof(*y));

	memcpy(x, features, (size_t)(n_frames * n) * sizeof(*x));
	normalise(t, g, x, n_frames);
	for (int64_t i = 0; i < frames; i++)
		for (int64_t m = 0; m < n; m++)
			y[(i / t->size * n + m) * t->size + i % t->size] =
				n_frames == frames ? x[i * n + m]
						   : stretched(x, n_frames, frames, n, i, m);
	gpu_write(g, image, y, (size_t)(frames * n) * sizeof(*y));
	free(x);
	free(y);
	return image;
}

/* ---- windows ------------------------------------------------------------ */

struct grid {
	int64_t side, window, shift;
};

/* The token at place i of the windows, which lie one after the other. */
static int32_t token_at(const struct grid *o, int64_t i)
{
	const int64_t area = o->window * o->window, across = o->side / o->window;
	const int64_t w = i / area, at = i % area;
	const int64_t row = (w / across * o->window + at / o->window + o->shift) % o->side;
	const int64_t col = (w % across * o->window + at % o->window + o->shift) % o->side;

	return (int32_t)(row * o->side + col);
}

/* From tokens to places of windows, or back. */
static struct gpu_tensor *places(
	const struct grid *o, struct gpu *g, struct gpu_arena *a, bool back)
{
	const int64_t n = o->side * o->side;
	struct gpu_tensor *t = gpu_new(g, a, GPU_I32, "places", SHAPE(n, 1));
	int32_t *ids = xcalloc((size_t)n, sizeof(*ids));

	for (int64_t i = 0; i < n; i++)
		if (back)
			ids[token_at(o, i)] = (int32_t)i;
		else
			ids[i] = token_at(o, i);
	gpu_write(g, t, ids, (size_t)n * sizeof(*ids));
	free(ids);
	return t;
}

/* Which part of the grid a row or column behind the shift is of. */
static int part_of(const struct grid *o, int64_t x)
{
	const int64_t before = (x - o->shift + o->side) % o->side;

	return before < o->side - o->window ? 0 : before < o->side - o->shift ? 1 : 2;
}

/* [windows, area, area]: APART where two tokens are of different parts. */
static struct gpu_tensor *make_mask(const struct grid *o, struct gpu *g, struct gpu_arena *a)
{
	const int64_t area = o->window * o->window, n = o->side * o->side;
	struct gpu_tensor *t = gpu_new(g, a, GPU_F32, "mask", SHAPE(n / area, area, area));
	float *mask = xcalloc((size_t)(n * area), sizeof(*mask));

	for (int64_t i = 0; i < n * area; i++) {
		const int64_t w = i / area / area * area;
		const int32_t q = token_at(o, w + i / area % area), k = token_at(o, w + i % area);
		const bool same = part_of(o, q / o->side) == part_of(o, k / o->side) &&
				  part_of(o, q % o->side) == part_of(o, k % o->side);
		mask[i] = same ? 0 : APART;
	}
	gpu_write(g, t, mask, (size_t)(n * area) * sizeof(*mask));
	free(mask);
	return t;
}

/* table [(2w-1)^2, heads] -> [heads, area, area], by query minus key */
static struct gpu_tensor *make_bias(
	const struct grid *o, struct gpu *g, struct gpu_arena *a, const struct gpu_tensor *table)
{
	const int64_t w = o->window, area = w * w, heads = table->ne[1], n = table->ne[0] * heads;
	struct gpu_tensor *t = gpu_new(g, a, GPU_F32, "bias", SHAPE(heads, area, area));
	float *from = xcalloc((size_t)n, sizeof(*from));
	float *to = xcalloc((size_t)(heads * area * area), sizeof(*to));

	gpu_read(g, table, from, (size_t)n * sizeof(*from));
	for (int64_t i = 0; i < heads * area * area; i++) {
		const int64_t q = i / area % area, k = i % area;
		const int64_t row = q / w - k / w + w - 1, col = q % w - k % w + w - 1;
		to[i] = from[(row * (2 * w - 1) + col) * heads + i / area / area];
	}
	gpu_write(g, t, to, (size_t)(heads * area * area) * sizeof(*to));
	free(from);
	free(to);
	return t;
}

/* ---- forward ------------------------------------------------------------ */

static struct gpu_tensor *rows(struct gpu *g, struct gpu_arena *a, int64_t n, int64_t width)
{
	return gpu_new(g, a, GPU_F32, "h", SHAPE(n, width));
}

/* x [tokens, width], in place */
static void block_forward(const struct clap_audio *t, const struct clap_audio_stage *s,
	const struct clap_audio_block *l, struct gpu *g, struct gpu_arena *step,
	struct gpu_tensor *x, bool is_shifted)
{
	const int64_t d = s->width, n = x->ne[0];
	struct grid o = {.side = s->side, .window = t->window};
	o.shift = is_shifted && s->side > t->window ? t->window / 2 : 0;
	const int64_t area = o.window * o.window;
	struct gpu_mark mark = gpu_arena_mark(step);
	struct gpu_tensor *h = rows(g, step, n, d), *w = rows(g, step, n, d);
	struct gpu_tensor *qkv = rows(g, step, n, 3 * d), *ff = rows(g, step, n, t->ff_ratio * d);

	gpu_layer_norm(g, h, x, l->norm1_w, l->norm1_b, t->eps);
	gpu_embed_sum(g, w, h, places(&o, g, step, false));
	gpu_linear(g, qkv, w, l->qkv, l->qkv_b);
	gpu_attention_windows(g, gpu_reshape(g, step, h, SHAPE(n / area, area, d)),
		gpu_reshape(g, step, qkv, SHAPE(n / area, area, 3 * d)),
		make_bias(&o, g, step, l->table), o.shift ? make_mask(&o, g, step) : NULL,
		1 / sqrtf((float)(d / s->n_heads)));
	gpu_linear(g, w, h, l->out, l->out_b);
	gpu_embed_sum(g, h, w, places(&o, g, step, true));
	gpu_add(g, x, x, h);
	gpu_layer_norm(g, h, x, l->norm2_w, l->norm2_b, t->eps);
	gpu_linear(g, ff, h, l->ff_in, l->ff_in_b);
	gpu_gelu(g, ff, ff);
	gpu_linear_add(g, x, ff, l->ff_out, l->ff_out_b);
	gpu_arena_release(step, mark);
}

/* 2 x 2 tokens side by side, down each column first; norm, half of the width. */
static struct gpu_tensor *merge(const struct clap_audio_stage *s, struct gpu *g,
	struct gpu_arena *a, const struct gpu_tensor *x)
{
	const int64_t n = x->ne[0], half = s->side / 2;
	struct gpu_tensor *out = rows(g, a, n / 4, 2 * s->width);
	struct gpu_mark mark = gpu_arena_mark(a);
	struct gpu_tensor *order = gpu_new(g, a, GPU_I32, "order", SHAPE(n, 1));
	struct gpu_tensor *sorted = rows(g, a, n, s->width);
	int32_t *ids = xcalloc((size_t)n, sizeof(*ids));

	for (int64_t i = 0; i < n; i++) {
		const int64_t row = i / 4 / half * 2 + i % 2, col = i / 4 % half * 2 + i % 4 / 2;
		ids[i] = (int32_t)(row * s->side + col);
	}
	gpu_write(g, order, ids, (size_t)n * sizeof(*ids));
	free(ids);
	gpu_embed_sum(g, sorted, x, order);
	struct gpu_tensor *four = gpu_reshape(g, a, sorted, SHAPE(n / 4, 4 * s->width));
	gpu_layer_norm(g, four, four, s->merge_norm_w, s->merge_norm_b, NORM_EPS);
	gpu_linear(g, out, four, s->merge, NULL);
	gpu_arena_release(a, mark);
	return out;
}

/* norm, mean over the tokens, projection */
static struct gpu_tensor *pool(const struct clap_audio *t, struct gpu *g, struct gpu_arena *a,
	struct gpu_arena *step, struct gpu_tensor *x)
{
	const int64_t n = x->ne[0], d = x->ne[1];
	struct gpu_tensor *mean = rows(g, step, 1, d), *h = rows(g, step, 1, t->projection);
	struct gpu_tensor *out = gpu_new(g, a, GPU_F32, "clap audio", SHAPE(1, t->projection));
	float *host = xcalloc((size_t)(n * d), sizeof(*host));

	gpu_layer_norm(g, x, x, t->norm_w, t->norm_b, NORM_EPS);
	gpu_read(g, x, host, (size_t)(n * d) * sizeof(*host));
	for (int64_t c = 0; c < d; c++) {
		double sum = 0;
		for (int64_t i = 0; i < n; i++)
			sum += host[i * d + c];
		host[c] = (float)(sum / (double)n);
	}
	gpu_write(g, mean, host, (size_t)d * sizeof(*host));
	free(host);
	gpu_linear(g, h, mean, t->project[0], t->project_b[0]);
	gpu_relu(g, h, h);
	gpu_linear(g, out, h, t->project[1], t->project_b[1]);
	clap_normalise(g, out);
	return out;
}

struct gpu_tensor *clap_audio_encode(const struct clap_audio *t, struct gpu *g, struct gpu_arena *a,
	struct gpu_arena *step, const float *features, int64_t n_frames)
{
	const int64_t side = t->size / t->patch;
	struct gpu_mark mark = gpu_arena_mark(step);
	struct gpu_tensor *patches =
		gpu_new(g, step, GPU_F32, "patches", SHAPE(1, side, side, t->width));

	gpu_conv2d(g, patches, fold(t, g, step, features, n_frames), t->patch_w, t->patch_b,
		(struct gpu_conv2d){.kernel = t->patch, .stride = t->patch});
	struct gpu_tensor *x = gpu_reshape(g, step, patches, SHAPE(side * side, t->width));
	gpu_layer_norm(g, x, x, t->patch_norm_w, t->patch_norm_b, NORM_EPS);
	for (int64_t i = 0; i < t->n_stages; i++) {
		const struct clap_audio_stage *s = &t->stages[i];
		for (int64_t j = 0; j < s->n_blocks; j++)
			block_forward(t, s, &s->blocks[j], g, step, x, j % 2 == 1);
		if (s->merge)
			x = merge(s, g, step, x);
	}
	struct gpu_tensor *out = pool(t, g, a, step, x);
	gpu_arena_release(step, mark);
	gpu_tap(g, out, "clap.audio");
	return out;
}
