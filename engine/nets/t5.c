/* T5 encoder (Raffel et al. 2020, "Exploring the Limits of Transfer Learning
 * with a Unified Text-to-Text Transformer"), as huggingface/transformers runs
 * it; t5-base: 12 layers of width 768, 12 heads of 64, feed-forward 3072.
 *
 *	x = embed[id]                          [T, D]; not scaled, no positions
 *	each layer:  x += o(attention(qkv(rms(x))))
 *	             x += wo(act(wi(rms(x))))    v1.1: wo(wi_1(..) gelu(wi_0(..)))
 *	rms(x)
 *
 * Nothing has a bias vector, scores are not divided by sqrt(head_dim), and
 * heads * head_dim need not be D.  Each head adds a bias to the score of a
 * query and a key that depends on their distance alone; its table is stored
 * in layer 0 and serves all layers.  T5 overflows in f16: keep it in f32 or
 * bf16. */
#include "engine/nets/t5.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/weights/bind.h"
#include "engine/weights/config.h"
#include "library/base/arena.h"
#include "library/base/err.h"

/* ---- configuration and weights ------------------------------------------ */

static const char *at(char out[128], const char *path, const char *key)
{
	snprintf(out, 128, "%s%s%s", path, *path ? "." : "", key);
	return out;
}

void t5_configure(struct t5 *t, struct config *c, const char *path)
{
	struct t5_config *cfg = &t->cfg;
	char p[128];

	memset(t, 0, sizeof(*t));
	cfg->vocab = config_int(c, at(p, path, "vocab_size"), 32128, 1, 1 << 22);
	cfg->width = config_int(c, at(p, path, "d_model"), 512, 1, 65536);
	cfg->n_layers = config_int(c, at(p, path, "num_layers"), 6, 1, 1024);
	cfg->n_heads = config_int(c, at(p, path, "num_heads"), 8, 1, 4096);
	cfg->head_dim = config_int(c, at(p, path, "d_kv"), 64, 1, 4096);
	cfg->ff = config_int(c, at(p, path, "d_ff"), 2048, 1, 1 << 20);
	cfg->n_buckets =
		config_int(c, at(p, path, "relative_attention_num_buckets"), 32, 4, 1 << 16);
	cfg->max_distance =
		config_int(c, at(p, path, "relative_attention_max_distance"), 128, 2, 1 << 24);
	cfg->eps = (float)config_num(c, at(p, path, "layer_norm_epsilon"), 1e-6, 0, 1);

	const char *type = config_str(c, at(p, path, "model_type"), "t5");
	config_require(c, !strcmp(type, "t5"), "%smodel_type '%s' is not supported, only t5 is",
		at(p, path, ""), type);
	const char *act = config_str(c, at(p, path, "feed_forward_proj"), "relu");
	cfg->act = !strcmp(act, "gelu")         ? T5_GELU
		   : !strcmp(act, "gated-gelu") ? T5_GATED_GELU
						: T5_RELU;
	config_require(c, cfg->act != T5_RELU || !strcmp(act, "relu"),
		"%sfeed_forward_proj '%s' is not supported (relu, gelu, gated-gelu)",
		at(p, path, ""), act);
	config_require(c, cfg->max_distance > cfg->n_buckets / 4,
		"%srelative_attention_max_distance %lld is too small for %lld buckets",
		at(p, path, ""), (long long)cfg->max_distance, (long long)cfg->n_buckets);
}

void t5_bind(
	struct t5 *t, struct bind *b, struct arena *a, enum gpu_dtype dtype, const char *prefix)
{
	const struct t5_config *cfg = &t->cfg;
	const int64_t d = cfg->width, inner = cfg->n_heads * cfg->head_dim;
	char block[128];

	/* One matrix under two names; files hold either, or both. */
	bind_rows(b, &t->embed, dtype, SHAPE(cfg->vocab, d),
		"%sshared.weight|%sencoder.embed_tokens.weight", prefix, prefix);
	snprintf(block, sizeof(block), "%sshared.weight", prefix);
	bind_ignore(b, block);
	snprintf(block, sizeof(block), "%sencoder.embed_tokens.weight", prefix);
	bind_ignore(b, block);

	t->layers = ARENA_ARRAY(a, struct t5_layer, (size_t)cfg->n_layers);
	for (int i = 0; i < cfg->n_layers; i++) {
		struct t5_layer *l = &t->layers[i];
		snprintf(block, sizeof(block), "%sencoder.block.%d.layer", prefix, i);
		bind_rows(b, &l->norm_attn, GPU_F32, SHAPE(d), "%s.0.layer_norm.weight", block);
		bind_matrix(b, &l->qkv, dtype, 3 * inner, d, "%s.0.SelfAttention.{q,k,v}.weight",
			block);
		bind_matrix(b, &l->o, dtype, d, inner, "%s.0.SelfAttention.o.weight", block);
		bind_rows(b, &l->norm_ff, GPU_F32, SHAPE(d), "%s.1.layer_norm.weight", block);
		if (cfg->act == T5_GATED_GELU)
			bind_matrix(b, &l->wi, dtype, 2 * cfg->ff, d,
				"%s.1.DenseReluDense.wi_{1,0}.weight", block);
		else
			bind_matrix(b, &l->wi, dtype, cfg->ff, d, "%s.1.DenseReluDense.wi.weight",
				block);
		bind_matrix(b, &l->wo, dtype, d, cfg->ff, "%s.1.DenseReluDense.wo.weight", block);
	}
	bind_rows(b, &t->relative_bias, GPU_F32, SHAPE(cfg->n_buckets, cfg->n_heads),
		"%sencoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight", prefix);
	bind_rows(b, &t->norm, GPU_F32, SHAPE(d), "%sencoder.final_layer_norm.weight", prefix);
}

/* ---- forward ------------------------------------------------------------ */

static void activate(
	struct gpu *g, enum t5_act act, struct gpu_tensor *y, const struct gpu_tensor *x)
{
	if (act == T5_GATED_GELU)
		gpu_gated_gelu_tanh(g, y, x);
	else if (act == T5_GELU)
		gpu_gelu(g, y, x);
	else
		gpu_relu(g, y, x);
}

static struct gpu_tensor *position_bias(
	const struct t5 *t, struct gpu *g, struct gpu_arena *a, int64_t n);

struct gpu_tensor *t5_encode(const struct t5 *t, struct gpu *g, struct gpu_arena *a,
	struct gpu_arena *step, const int32_t *ids, int64_t n)
{
	const struct t5_config *cfg = &t->cfg;
	const int64_t d = cfg->width, inner = cfg->n_heads * cfg->head_dim;
	struct gpu_tensor *out = gpu_new(g, a, GPU_F32, "text", SHAPE(n, d));
	struct gpu_mark mark = gpu_arena_mark(step);
	struct gpu_tensor *tokens = gpu_new(g, step, GPU_I32, "tokens", SHAPE(n, 1));
	struct gpu_tensor *x = gpu_new(g, step, GPU_F32, "x", SHAPE(n, d));
	struct gpu_tensor *h = gpu_new(g, step, GPU_F32, "h", SHAPE(n, d));
	struct gpu_tensor *qkv = gpu_new(g, step, GPU_F32, "qkv", SHAPE(n, 3 * inner));
	struct gpu_tensor *heads = gpu_new(g, step, GPU_F32, "heads", SHAPE(n, inner));
	struct gpu_tensor *ff = gpu_new(g, step, GPU_F32, "ff", SHAPE(n, cfg->ff));
	struct gpu_tensor *wide = cfg->act != T5_GATED_GELU ? ff
							    : gpu_new(g, step, GPU_F32, "gated ff",
								      SHAPE(n, 2 * cfg->ff));
	struct gpu_tensor *bias = position_bias(t, g, step, n);

	gpu_write(g, tokens, ids, (size_t)n * sizeof(*ids));
	gpu_embed_sum(g, x, t->embed, tokens);
	for (int64_t i = 0; i < cfg->n_layers; i++) {
		const struct t5_layer *l = &t->layers[i];
		gpu_rms_norm(g, h, x, l->norm_attn, cfg->eps);
		gpu_linear(g, qkv, h, l->qkv, NULL);
		gpu_attention_full(g, heads, qkv, bias, cfg->n_heads, 1.0f);
		gpu_linear_add(g, x, heads, l->o, NULL);
		gpu_rms_norm(g, h, x, l->norm_ff, cfg->eps);
		gpu_linear(g, wide, h, l->wi, NULL);
		activate(g, cfg->act, ff, wide);
		gpu_linear_add(g, x, ff, l->wo, NULL);
		gpu_tap(g, x, "t5.block%d", (int)i);
	}
	gpu_rms_norm(g, out, x, t->norm, cfg->eps);
	gpu_arena_release(step, mark);
	gpu_tap(g, out, "t5.out");
	return out;
}

/* Buckets for the distance key - query: half of them for keys behind the
 * query; of each half, half hold one distance each, the rest grow with the
 * logarithm up to max_distance. */
static int64_t bucket(const struct t5_config *cfg, int64_t distance)
{
	const int64_t half = cfg->n_buckets / 2, exact = half / 2;
	const int64_t base = distance > 0 ? half : 0, far = distance > 0 ? distance : -distance;
	const float scale = (float)log((double)cfg->max_distance / (double)exact);

	if (far < exact)
		return base + far;
	int64_t grown =
		exact + (int64_t)(logf((float)far / (float)exact) / scale * (float)(half - exact));
	return base + (grown < half ? grown : half - 1);
}

/* [n_heads, 2n - 1]: column key - query + n - 1 */
static struct gpu_tensor *position_bias(
	const struct t5 *t, struct gpu *g, struct gpu_arena *a, int64_t n)
{
	const struct t5_config *cfg = &t->cfg;
	const int64_t heads = cfg->n_heads, columns = 2 * n - 1;
	struct gpu_tensor *bias = gpu_new(g, a, GPU_F32, "position bias", SHAPE(heads, columns));
	const size_t table_bytes = (size_t)(cfg->n_buckets * heads) * sizeof(float);
	const size_t bias_bytes = (size_t)(heads * columns) * sizeof(float);
	float *table = malloc(table_bytes), *values = malloc(bias_bytes);

	if (table && values) {
		gpu_read(g, t->relative_bias, table, table_bytes);
		for (int64_t c = 0; c < columns; c++) {
			const float *row = table + bucket(cfg, c - (n - 1)) * heads;
			for (int64_t h = 0; h < heads; h++)
				values[h * columns + c] = row[h];
		}
		gpu_write(g, bias, values, bias_bytes);
	} else {
		gpu_fail(g, ERR_NOMEM, "no memory for the position bias of %lld tokens",
			(long long)n);
	}
	free(table);
	free(values);
	return bias;
}
