/* Stable Audio's diffusion transformer (Evans et al. 2024, "Stable Audio Open"), as
 * diffusers' StableAudioDiTModel and stable-audio-tools run it; for
 * stable-audio-open-1.0: 24 layers of width 1536, 24 heads of 64, 1024 frames of 64.
 *
 *	c     = W silu(W text)                            [S, 768]; no biases
 *	token = W silu(W global) + (W silu(W f + b) + b)  [1, D]; f = cos, sin of 2 pi t w
 *	x     = proj_in(x + pre(x))                       [T, D]
 *	x     = token, x                                  [1 + T, D]
 *	each layer:  x += out(attention(rope(qkv(norm(x)))))
 *	             x += out(attention(q(norm(x)), kv(c)))
 *	             x += W (value * silu(gate)) + b;  value, gate = W norm(x) + b
 *	v     = y + post(y), y = proj_out(x) without its first row
 *
 * Traps.  Heads of the attention to the text share keys and values in pairs, those of
 * self-attention do not.  Half of a head's channels turn, in halves (i with i + 16),
 * and the token in front has position 0.  Rows of padded tokens are zeros but take
 * part in the softmax.  A condition of zeros has values of zeros: attention to it
 * adds nothing, whatever the weights.  Layer norm's beta is stored, though it was
 * never trained.  Time is f32: in bf16 half of 100 steps would have a neighbour's.
 * Weights are the Stability AI Community License's. */
#include "engine/nets/sa_dit.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/weights/bind.h"
#include "engine/weights/config.h"
#include "library/base/arena.h"

#define EPS          1e-5f
#define QK_EPS       1e-6f
#define ROPE_BASE    10000.0
#define FF_MULTIPLE  4
#define LEAST_ROTARY 32 /* of stable-audio-tools */

/* ---- configuration and weights ------------------------------------------ */

static void configure_tools(struct sa_dit_config *cfg, struct config *c, int64_t hop)
{
#define DIT "model.diffusion.config."
	const char *type = config_str(c, "model.diffusion.type", "dit");
	const int64_t samples = config_int(c, "sample_size", CONFIG_REQUIRED, 1, INT32_MAX);

	config_require(c, !strcmp(type, "dit"), "diffusion of type '%s' is not supported", type);
	type = config_str(c, DIT "transformer_type", "continuous_transformer");
	config_require(c, !strcmp(type, "continuous_transformer"),
		"transformer_type '%s' is not supported", type);
	config_require(c,
		!strcmp(config_str(c, DIT "global_cond_type", "prepend"), "prepend") &&
			!strcmp(config_str(c, DIT "timestep_cond_type", "global"), "global") &&
			config_int(c, DIT "patch_size", 1, 1, 1024) == 1 &&
			!config_int(c, DIT "prepend_cond_dim", 0, 0, 65536) &&
			!config_int(c, DIT "input_concat_dim", 0, 0, 65536),
		"a transformer that is conditioned in another way is not supported");
	cfg->window = samples / hop;
	cfg->channels = config_int(c, DIT "io_channels", 64, 1, 4096);
	cfg->width = config_int(c, DIT "embed_dim", CONFIG_REQUIRED, 1, 16384);
	cfg->n_layers = config_int(c, DIT "depth", CONFIG_REQUIRED, 1, 1024);
	cfg->n_heads = config_int(c, DIT "num_heads", CONFIG_REQUIRED, 1, 1024);
	cfg->text_in = config_int(c, DIT "cond_token_dim", CONFIG_REQUIRED, 1, 16384);
	cfg->global_in = config_int(c, DIT "global_cond_dim", CONFIG_REQUIRED, 1, 65536);
	cfg->text = config_bool(c, DIT "project_cond_tokens", true) ? cfg->width : cfg->text_in;
	cfg->n_time = 256;
	const char *norm = config_str(c, DIT "attn_kwargs.qk_norm", "none");
	cfg->qk_norm = !strcmp(norm, "ln");
	config_require(c, cfg->qk_norm || !strcmp(norm, "none"),
		"attn_kwargs.qk_norm '%s' is not supported (ln)", norm);
	config_require(c, cfg->width % cfg->n_heads == 0, "%lld heads do not divide the width %lld",
		(long long)cfg->n_heads, (long long)cfg->width);
	cfg->head_dim = cfg->width / cfg->n_heads;
	cfg->n_kv_heads = cfg->head_dim ? cfg->text / cfg->head_dim : 0;
	cfg->rotary = cfg->head_dim / 2 > LEAST_ROTARY ? cfg->head_dim / 2 : LEAST_ROTARY;
#undef DIT
}

static void configure_diffusers(struct sa_dit_config *cfg, struct config *c)
{
	/* a float in the published file */
	cfg->window = (int64_t)config_num(c, "sample_size", 1024, 1, 1 << 20);
	cfg->channels = config_int(c, "in_channels", 64, 1, 4096);
	cfg->n_layers = config_int(c, "num_layers", 24, 1, 1024);
	cfg->n_heads = config_int(c, "num_attention_heads", 24, 1, 1024);
	cfg->head_dim = config_int(c, "attention_head_dim", 64, 1, 1024);
	cfg->width = cfg->n_heads * cfg->head_dim;
	cfg->n_kv_heads = config_int(c, "num_key_value_attention_heads", 12, 1, 1024);
	cfg->text_in = config_int(c, "cross_attention_input_dim", 768, 1, 16384);
	cfg->text = config_int(c, "cross_attention_dim", 768, 1, 16384);
	cfg->global_in = config_int(c, "global_states_input_dim", 1536, 1, 65536);
	cfg->n_time = config_int(c, "time_proj_dim", 256, 2, 65536);
	cfg->rotary = cfg->head_dim / 2;
	const int64_t out = config_int(c, "out_channels", 64, 1, 4096);
	config_require(c, out == cfg->channels, "out_channels %lld differ from in_channels %lld",
		(long long)out, (long long)cfg->channels);
}

void sa_dit_configure(struct sa_dit *d, struct config *c, enum sa_dit_names names, int64_t hop)
{
	struct sa_dit_config *cfg = &d->cfg;

	*d = (struct sa_dit){.names = names};
	if (names == SA_DIT_TOOLS)
		configure_tools(cfg, c, hop);
	else
		configure_diffusers(cfg, c);
	config_require(c, cfg->window > 0, "the model's window has no frame");
	config_require(
		c, cfg->width <= 16384, "a width of %lld is too large", (long long)cfg->width);
	config_require(c, cfg->rotary % 2 == 0 && cfg->rotary <= cfg->head_dim,
		"heads of %lld cannot turn %lld channels", (long long)cfg->head_dim,
		(long long)cfg->rotary);
	config_require(
		c, cfg->n_time % 2 == 0, "time_proj_dim %lld is odd", (long long)cfg->n_time);
	config_require(c, cfg->n_kv_heads > 0 && cfg->n_heads % cfg->n_kv_heads == 0,
		"%lld heads cannot share %lld of keys and values", (long long)cfg->n_heads,
		(long long)cfg->n_kv_heads);
}

/* diffusers' name, then stable-audio-tools'. */
#define D "transformer/"
#define T "model.model."
#define L D "transformer_blocks.%d."
#define M T "transformer.layers.%d."

static void bind_qk_norm(
	struct bind *b, struct gpu_tensor **dst, int layer, const char *name, int64_t head_dim)
{
	bind_rows(b, &dst[0], GPU_F32, SHAPE(head_dim), M "%s.weight", layer, name);
	bind_rows(b, &dst[1], GPU_F32, SHAPE(head_dim), M "%s.bias", layer, name);
}

static void bind_layer(const struct sa_dit_config *cfg, struct sa_dit_layer *l, struct bind *b,
	int i, enum gpu_dtype w)
{
	const int64_t n = cfg->width, ff = FF_MULTIPLE * n, kv = cfg->n_kv_heads * cfg->head_dim;

	bind_rows(b, &l->norm1, GPU_F32, SHAPE(n), L "norm1.weight|" M "pre_norm.gamma", i, i);
	bind_rows(b, &l->beta1, GPU_F32, SHAPE(n), L "norm1.bias|" M "pre_norm.beta", i, i);
	bind_matrix(b, &l->qkv, w, 3 * n, n,
		L "attn1.to_{q,k,v}.weight|" M "self_attn.to_qkv.weight", i, i);
	bind_matrix(
		b, &l->out, w, n, n, L "attn1.to_out.0.weight|" M "self_attn.to_out.weight", i, i);
	bind_rows(b, &l->norm2, GPU_F32, SHAPE(n), L "norm2.weight|" M "cross_attend_norm.gamma", i,
		i);
	bind_rows(
		b, &l->beta2, GPU_F32, SHAPE(n), L "norm2.bias|" M "cross_attend_norm.beta", i, i);
	bind_matrix(b, &l->q2, w, n, n, L "attn2.to_q.weight|" M "cross_attn.to_q.weight", i, i);
	bind_matrix(b, &l->kv2, w, 2 * kv, cfg->text,
		L "attn2.to_{k,v}.weight|" M "cross_attn.to_kv.weight", i, i);
	bind_matrix(b, &l->out2, w, n, n, L "attn2.to_out.0.weight|" M "cross_attn.to_out.weight",
		i, i);
	bind_rows(b, &l->norm3, GPU_F32, SHAPE(n), L "norm3.weight|" M "ff_norm.gamma", i, i);
	bind_rows(b, &l->beta3, GPU_F32, SHAPE(n), L "norm3.bias|" M "ff_norm.beta", i, i);
	bind_matrix(b, &l->ff_in, w, 2 * ff, n, L "ff.net.0.proj.weight|" M "ff.ff.0.proj.weight",
		i, i);
	bind_rows(b, &l->b_in, GPU_F32, SHAPE(2 * ff),
		L "ff.net.0.proj.bias|" M "ff.ff.0.proj.bias", i, i);
	bind_matrix(b, &l->ff_out, w, n, ff, L "ff.net.2.weight|" M "ff.ff.2.weight", i, i);
	bind_rows(b, &l->b_out, GPU_F32, SHAPE(n), L "ff.net.2.bias|" M "ff.ff.2.bias", i, i);
	if (!cfg->qk_norm)
		return;
	bind_qk_norm(b, l->q_norm, i, "self_attn.q_norm", cfg->head_dim);
	bind_qk_norm(b, l->k_norm, i, "self_attn.k_norm", cfg->head_dim);
	bind_qk_norm(b, l->q2_norm, i, "cross_attn.q_norm", cfg->head_dim);
	bind_qk_norm(b, l->k2_norm, i, "cross_attn.k_norm", cfg->head_dim);
}

void sa_dit_bind(struct sa_dit *d, struct bind *b, struct arena *a, enum gpu_dtype dtype)
{
	const struct sa_dit_config *cfg = &d->cfg;
	const bool tools = d->names == SA_DIT_TOOLS;
	const int64_t n = cfg->width, c = cfg->channels, half = cfg->n_time / 2;
	const struct bind_conv point = {.n_out = c, .n_in = c, .kernel = 1};
	const enum gpu_dtype f32 = GPU_F32;

	bind_rows(b, &d->time_freq, f32, tools ? SHAPE(half, 1) : SHAPE(half),
		D "time_proj.weight|" T "timestep_features.weight%s", "");
	bind_matrix(b, &d->time_in, f32, n, cfg->n_time,
		D "timestep_proj.0.weight|" T "to_timestep_embed.0.weight%s", "");
	bind_rows(b, &d->time_b_in, f32, SHAPE(n),
		D "timestep_proj.0.bias|" T "to_timestep_embed.0.bias%s", "");
	bind_matrix(b, &d->time_out, f32, n, n,
		D "timestep_proj.2.weight|" T "to_timestep_embed.2.weight%s", "");
	bind_rows(b, &d->time_b_out, f32, SHAPE(n),
		D "timestep_proj.2.bias|" T "to_timestep_embed.2.bias%s", "");
	bind_matrix(b, &d->global_in, f32, n, cfg->global_in,
		D "global_proj.0.weight|" T "to_global_embed.0.weight%s", "");
	bind_matrix(b, &d->global_out, f32, n, n,
		D "global_proj.2.weight|" T "to_global_embed.2.weight%s", "");
	bind_matrix(b, &d->text_in, f32, cfg->text, cfg->text_in,
		D "cross_attention_proj.0.weight|" T "to_cond_embed.0.weight%s", "");
	bind_matrix(b, &d->text_out, f32, cfg->text, cfg->text,
		D "cross_attention_proj.2.weight|" T "to_cond_embed.2.weight%s", "");
	bind_conv(b, &d->pre, NULL, f32, point, "%spreprocess_conv", tools ? T : D);
	bind_conv(b, &d->post, NULL, f32, point, "%spostprocess_conv", tools ? T : D);
	bind_matrix(b, &d->proj_in, f32, n, c,
		D "proj_in.weight|" T "transformer.project_in.weight%s", "");
	bind_matrix(b, &d->proj_out, f32, c, n,
		D "proj_out.weight|" T "transformer.project_out.weight%s", "");
	bind_ignore(b, T "transformer.rotary_pos_emb.inv_freq"); /* computed */

	d->layers = ARENA_ARRAY(a, struct sa_dit_layer, (size_t)cfg->n_layers);
	for (int i = 0; i < cfg->n_layers; i++)
		bind_layer(cfg, &d->layers[i], b, i, dtype);
}

/* ---- conditions --------------------------------------------------------- */

/* out silu(in x), with or without biases */
static struct gpu_tensor *project(struct gpu *g, struct gpu_arena *a, struct gpu_arena *step,
	const struct gpu_tensor *x, const struct gpu_tensor *in, const struct gpu_tensor *b_in,
	const struct gpu_tensor *out, const struct gpu_tensor *b_out)
{
	struct gpu_tensor *h = gpu_new(g, step, GPU_F32, "hidden", SHAPE(x->ne[0], in->ne[0]));
	struct gpu_tensor *y = gpu_new(g, a, GPU_F32, "projected", SHAPE(x->ne[0], out->ne[0]));

	gpu_linear(g, h, x, in, b_in);
	gpu_silu(g, h, h);
	gpu_linear(g, y, h, out, b_out);
	return y;
}

static struct gpu_kv *layer_kv(const struct sa_dit *d, struct gpu *g, struct gpu_arena *a,
	struct gpu_arena *step, const struct sa_dit_layer *l, const struct gpu_tensor *text)
{
	const struct sa_dit_config *cfg = &d->cfg;
	const int64_t n = text->ne[0];
	struct gpu_kv *kv =
		gpu_kv_new(g, a, gpu_kv_dtype(l->kv2), 1, cfg->n_kv_heads, cfg->head_dim, n);
	struct gpu_mark mark = gpu_arena_mark(step);
	struct gpu_tensor *x = gpu_new(g, step, GPU_F32, "text keys and values",
		SHAPE(n, 2 * cfg->n_kv_heads * cfg->head_dim));

	gpu_linear(g, x, text, l->kv2, NULL);
	if (cfg->qk_norm)
		gpu_head_norm(g, x, l->k2_norm[0], l->k2_norm[1], 0, cfg->n_kv_heads, QK_EPS);
	gpu_kv_fill(g, kv, 0, x);
	gpu_arena_release(step, mark);
	return kv;
}

/* [n, rotary]: cosines, then sines */
static struct gpu_tensor *rotary_table(
	const struct sa_dit *d, struct gpu *g, struct gpu_arena *a, int64_t n)
{
	const int64_t r = d->cfg.rotary, half = r / 2;
	struct gpu_tensor *t = gpu_new(g, a, GPU_F32, "rotary positions", SHAPE(n, r));
	float *v = xcalloc((size_t)(n * r), sizeof(*v));

	for (int64_t p = 0; p < n; p++)
		for (int64_t i = 0; i < half; i++) {
			const double angle = (double)p * pow(ROPE_BASE, -2 * (double)i / (double)r);
			v[p * r + i] = (float)cos(angle);
			v[p * r + half + i] = (float)sin(angle);
		}
	gpu_write(g, t, v, (size_t)(n * r) * sizeof(*v));
	free(v);
	return t;
}

struct sa_dit_condition *sa_dit_condition(const struct sa_dit *d, struct gpu *g,
	struct gpu_arena *a, struct gpu_arena *step, struct arena *host,
	const struct gpu_tensor *text, const struct gpu_tensor *global, int64_t n)
{
	struct sa_dit_condition *c = ARENA_NEW(host, struct sa_dit_condition);
	struct gpu_mark mark = gpu_arena_mark(step);

	c->global = project(g, a, step, global, d->global_in, NULL, d->global_out, NULL);
	c->rotary = rotary_table(d, g, a, 1 + n);
	if (text) {
		const struct gpu_tensor *ctx =
			project(g, step, step, text, d->text_in, NULL, d->text_out, NULL);
		gpu_tap(g, ctx, "dit.text");
		c->text = ARENA_ARRAY(host, struct gpu_kv *, (size_t)d->cfg.n_layers);
		for (int64_t i = 0; i < d->cfg.n_layers; i++)
			c->text[i] = layer_kv(d, g, a, step, &d->layers[i], ctx);
	}
	gpu_arena_release(step, mark);
	return c;
}

/* Cosines, then sines of 2 pi t w, in the order of f32 operations that the model was
 * trained with. */
struct gpu_tensor *sa_dit_time(const struct sa_dit *d, struct gpu *g, struct gpu_arena *a, double t)
{
	const int64_t n = d->cfg.n_time, half = n / 2;
	struct gpu_tensor *f = gpu_new(g, a, GPU_F32, "time", SHAPE(1, n));
	float *v = xcalloc((size_t)n, sizeof(*v));

	gpu_read(g, d->time_freq, v, (size_t)half * sizeof(*v));
	for (int64_t i = 0; i < half; i++) {
		const float angle = (float)(2 * M_PI) * (float)t * v[i];
		v[i] = cosf(angle);
		v[half + i] = sinf(angle);
	}
	gpu_write(g, f, v, (size_t)n * sizeof(*v));
	free(v);
	return f;
}

/* ---- forward ------------------------------------------------------------ */

static void run_layer(const struct sa_dit *d, struct gpu *g, struct gpu_arena *step,
	const struct sa_dit_layer *l, struct gpu_tensor *x, const struct gpu_kv *text,
	const struct gpu_tensor *rotary);

void sa_dit_forward(const struct sa_dit *d, struct gpu *g, struct gpu_arena *step,
	struct gpu_tensor *v, const struct gpu_tensor *x, const struct gpu_tensor *time,
	const struct sa_dit_condition *c)
{
	const struct sa_dit_config *cfg = &d->cfg;
	const int64_t n = x->ne[0];
	struct gpu_mark mark = gpu_arena_mark(step);
	struct gpu_tensor *in = gpu_new(g, step, GPU_F32, "in", SHAPE(n, cfg->channels));
	struct gpu_tensor *h = gpu_new(g, step, GPU_F32, "x", SHAPE(1 + n, cfg->width));
	struct gpu_tensor *out = gpu_new(g, step, GPU_F32, "out", SHAPE(n, cfg->channels));

	gpu_add(g, gpu_view(g, step, h, 0, 0, 1), c->global,
		project(g, step, step, time, d->time_in, d->time_b_in, d->time_out, d->time_b_out));
	gpu_copy(g, in, x);
	gpu_linear_add(g, in, x, d->pre, NULL);
	gpu_linear(g, gpu_view(g, step, h, 0, 1, n), in, d->proj_in, NULL);
	gpu_tap(g, h, "dit.in");
	for (int64_t i = 0; i < cfg->n_layers; i++) {
		run_layer(d, g, step, &d->layers[i], h, c->text ? c->text[i] : NULL, c->rotary);
		gpu_tap(g, h, "dit.layer%d", (int)i);
	}
	gpu_linear(g, out, gpu_view(g, step, h, 0, 1, n), d->proj_out, NULL);
	gpu_copy(g, v, out);
	gpu_linear_add(g, v, out, d->post, NULL);
	gpu_tap(g, v, "dit.out");
	gpu_arena_release(step, mark);
}

static void self_attention(const struct sa_dit *d, struct gpu *g, struct gpu_arena *step,
	const struct sa_dit_layer *l, struct gpu_tensor *x, const struct gpu_tensor *rotary)
{
	const struct sa_dit_config *cfg = &d->cfg;
	const int64_t n = x->ne[0], w = cfg->width, heads = cfg->n_heads;
	const struct gpu_norm norm = {l->norm1, l->beta1, EPS};
	struct gpu_tensor *h = gpu_new(g, step, gpu_input_dtype(g, l->out), "h", SHAPE(n, w));
	struct gpu_tensor *qkv = gpu_new(g, step, GPU_F32, "qkv", SHAPE(n, 3 * w));

	gpu_norm_linear(g, step, qkv, x, &norm, l->qkv, NULL);
	if (cfg->qk_norm) {
		gpu_head_norm(g, qkv, l->q_norm[0], l->q_norm[1], 0, heads, QK_EPS);
		gpu_head_norm(g, qkv, l->k_norm[0], l->k_norm[1], heads, heads, QK_EPS);
	}
	gpu_rope(g, qkv, rotary, 2 * heads, cfg->head_dim);
	if (l->qkv->dtype == GPU_TILES)
		gpu_attention_tiles(g, h, qkv, heads, 1 / sqrtf((float)cfg->head_dim));
	else
		gpu_attention_full(g, h, qkv, NULL, heads, 1 / sqrtf((float)cfg->head_dim));
	gpu_linear_add(g, x, h, l->out, NULL);
}

static void cross_attention(const struct sa_dit *d, struct gpu *g, struct gpu_arena *step,
	const struct sa_dit_layer *l, struct gpu_tensor *x, const struct gpu_kv *text)
{
	const struct sa_dit_config *cfg = &d->cfg;
	const int64_t n = x->ne[0], w = cfg->width;
	const struct gpu_norm norm = {l->norm2, l->beta2, EPS};
	struct gpu_tensor *h = gpu_new(g, step, gpu_input_dtype(g, l->out2), "h", SHAPE(n, w));
	struct gpu_tensor *q = gpu_new(g, step, GPU_F32, "q", SHAPE(n, w));

	gpu_norm_linear(g, step, q, x, &norm, l->q2, NULL);
	if (cfg->qk_norm)
		gpu_head_norm(g, q, l->q2_norm[0], l->q2_norm[1], 0, cfg->n_heads, QK_EPS);
	gpu_attention_cross(g, h, q, text, 1 / sqrtf((float)cfg->head_dim));
	gpu_linear_add(g, x, h, l->out2, NULL);
}

static void run_layer(const struct sa_dit *d, struct gpu *g, struct gpu_arena *step,
	const struct sa_dit_layer *l, struct gpu_tensor *x, const struct gpu_kv *text,
	const struct gpu_tensor *rotary)
{
	const struct gpu_feed_forward ff = {
		.norm = {l->norm3, l->beta3, EPS},
		.in = l->ff_in,
		.in_bias = l->b_in,
		.out = l->ff_out,
		.out_bias = l->b_out,
		.act = GPU_UNARY_SILU,
		.is_gated = true,
	};
	struct gpu_mark mark = gpu_arena_mark(step);

	self_attention(d, g, step, l, x, rotary);
	gpu_arena_release(step, mark);
	if (text)
		cross_attention(d, g, step, l, x, text);
	gpu_arena_release(step, mark);
	gpu_feed_forward(g, step, x, &ff);
}
