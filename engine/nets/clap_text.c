/* CLAP's text branch (Wu et al. 2023, "Large-scale Contrastive Language-Audio
 * Pretraining"), which is RoBERTa's encoder with a projection, as
 * huggingface/transformers runs it; 12 layers of width 768, 12 heads, ff 3072.
 *
 *	x = norm(word + position + type)       positions count from pad + 1 = 2
 *	each layer:  x = norm(x + out(attention(qkv(x))))
 *	             x = norm(x + ff_out(gelu(ff_in(x))))
 *	v = tanh(pool(x[0]));  v = project2(relu(project1(v)));  v / |v|
 *
 * Padding would be masked and take no position, so there is none here. */
#include "engine/nets/clap_text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/weights/bind.h"
#include "engine/weights/config.h"
#include "library/base/arena.h"
#include "library/base/err.h"

/* ---- configuration and weights ------------------------------------------ */

static void require_str(struct config *c, const char *path, const char *only)
{
	const char *s = config_str(c, path, only);

	config_require(c, !strcmp(s, only), "%s '%s' is not supported, only %s is", path, s, only);
}

void clap_text_configure(struct clap_text *t, struct config *c)
{
	memset(t, 0, sizeof(*t));
	require_str(c, "model_type", "clap");
	require_str(c, "projection_hidden_act", "relu");
	require_str(c, "text_config.hidden_act", "gelu");
	require_str(c, "text_config.position_embedding_type", "absolute");
	t->projection = config_int(c, "projection_dim", 512, 1, 65536);
	t->vocab = config_int(c, "text_config.vocab_size", 50265, 1, 1 << 22);
	t->width = config_int(c, "text_config.hidden_size", 768, 1, 65536);
	t->n_layers = config_int(c, "text_config.num_hidden_layers", 12, 1, 1024);
	t->n_heads = config_int(c, "text_config.num_attention_heads", 12, 1, 4096);
	t->ff = config_int(c, "text_config.intermediate_size", 3072, 1, 1 << 20);
	t->max_positions = config_int(c, "text_config.max_position_embeddings", 514, 4, 1 << 20);
	t->pad = (int32_t)config_int(c, "text_config.pad_token_id", 1, 0, 1 << 20);
	t->eps = (float)config_num(c, "text_config.layer_norm_eps", 1e-12, 0, 1);
	config_require(c, t->width % t->n_heads == 0,
		"text_config.num_attention_heads %lld does not divide hidden_size %lld",
		(long long)t->n_heads, (long long)t->width);
	config_require(c, t->pad + 3 < t->max_positions,
		"text_config.pad_token_id %d leaves no positions", (int)t->pad);
}

#define BIND_NORM(b, w, bias, width, ...)                                                          \
	do {                                                                                       \
		bind_rows(b, w, GPU_F32, SHAPE(width), __VA_ARGS__, "weight");                     \
		bind_rows(b, bias, GPU_F32, SHAPE(width), __VA_ARGS__, "bias");                    \
	} while (0)

static void bind_layer(struct clap_text_layer *l, const struct clap_text *t, struct bind *b,
	enum gpu_dtype dtype, const char *at)
{
	const int64_t w = t->width;

	bind_matrix(b, &l->qkv, dtype, 3 * w, w, "%s.attention.self.{query,key,value}.weight", at);
	bind_rows(b, &l->qkv_b, GPU_F32, SHAPE(3 * w), "%s.attention.self.{query,key,value}.bias",
		at);
	bind_matrix(b, &l->out, dtype, w, w, "%s.attention.output.dense.weight", at);
	bind_rows(b, &l->out_b, GPU_F32, SHAPE(w), "%s.attention.output.dense.bias", at);
	BIND_NORM(b, &l->norm_attn_w, &l->norm_attn_b, w, "%s.attention.output.LayerNorm.%s", at);
	bind_matrix(b, &l->ff_in, dtype, t->ff, w, "%s.intermediate.dense.weight", at);
	bind_rows(b, &l->ff_in_b, GPU_F32, SHAPE(t->ff), "%s.intermediate.dense.bias", at);
	bind_matrix(b, &l->ff_out, dtype, w, t->ff, "%s.output.dense.weight", at);
	bind_rows(b, &l->ff_out_b, GPU_F32, SHAPE(w), "%s.output.dense.bias", at);
	BIND_NORM(b, &l->norm_ff_w, &l->norm_ff_b, w, "%s.output.LayerNorm.%s", at);
}

void clap_text_bind(struct clap_text *t, struct bind *b, struct arena *a, enum gpu_dtype dtype,
	const char *prefix)
{
	const int64_t w = t->width;
	char at[128];

	snprintf(at, sizeof(at), "%stext_model.embeddings", prefix);
	bind_rows(b, &t->words, dtype, SHAPE(t->vocab, w), "%s.word_embeddings.weight", at);
	bind_rows(b, &t->positions, dtype, SHAPE(t->max_positions, w),
		"%s.position_embeddings.weight", at);
	bind_rows(b, &t->type, GPU_F32, SHAPE(1, w), "%s.token_type_embeddings.weight", at);
	BIND_NORM(b, &t->norm_w, &t->norm_b, w, "%s.LayerNorm.%s", at);
	t->layers = ARENA_ARRAY(a, struct clap_text_layer, (size_t)t->n_layers);
	for (int i = 0; i < t->n_layers; i++) {
		snprintf(at, sizeof(at), "%stext_model.encoder.layer.%d", prefix, i);
		bind_layer(&t->layers[i], t, b, dtype, at);
	}
	bind_matrix(b, &t->pool, dtype, w, w, "%stext_model.pooler.dense.weight", prefix);
	bind_rows(b, &t->pool_b, GPU_F32, SHAPE(w), "%stext_model.pooler.dense.bias", prefix);
	for (int i = 0; i < 2; i++) {
		bind_matrix(b, &t->project[i], dtype, t->projection, i ? t->projection : w,
			"%stext_projection.linear%d.weight", prefix, i + 1);
		bind_rows(b, &t->project_b[i], GPU_F32, SHAPE(t->projection),
			"%stext_projection.linear%d.bias", prefix, i + 1);
	}
	snprintf(at, sizeof(at), "%stext_model.embeddings.*_ids", prefix);
	bind_ignore(b, at);
	snprintf(at, sizeof(at), "%slogit_scale_*", prefix);
	bind_ignore(b, at);
}

int64_t clap_text_max(const struct clap_text *t)
{
	return t->max_positions - t->pad - 1;
}

/* ---- forward ------------------------------------------------------------ */

/* x = norm(word + position + type) */
static void embed(const struct clap_text *t, struct gpu *g, struct gpu_arena *step,
	struct gpu_tensor *x, const int32_t *ids, int64_t n)
{
	struct gpu_tensor *tokens = gpu_new(g, step, GPU_I32, "tokens", SHAPE(n, 1));
	struct gpu_tensor *places = gpu_new(g, step, GPU_I32, "positions", SHAPE(n, 1));
	struct gpu_tensor *h = gpu_new(g, step, GPU_F32, "positions", SHAPE(n, t->width));
	int32_t *host = malloc((size_t)n * sizeof(*host));

	if (!host) {
		gpu_fail(g, ERR_NOMEM, "no memory for %lld tokens", (long long)n);
		return;
	}
	for (int64_t i = 0; i < n; i++)
		host[i] = t->pad + 1 + (int32_t)i;
	gpu_write(g, tokens, ids, (size_t)n * sizeof(*ids));
	gpu_write(g, places, host, (size_t)n * sizeof(*host));
	free(host);
	gpu_embed_sum(g, x, t->words, tokens);
	gpu_add(g, x, x, t->type);
	gpu_embed_sum(g, h, t->positions, places);
	gpu_add(g, x, x, h);
	gpu_layer_norm(g, x, x, t->norm_w, t->norm_b, t->eps);
}

void clap_normalise(struct gpu *g, struct gpu_tensor *x)
{
	float v[4096];
	const int64_t n = x->ne[x->n_dims - 1];
	double squares = 0;

	if (n > (int64_t)(sizeof(v) / sizeof(*v))) {
		gpu_fail(g, ERR_UNSUPPORTED, "a projection of %lld values", (long long)n);
		return;
	}
	gpu_read(g, x, v, (size_t)n * sizeof(*v));
	for (int64_t i = 0; i < n; i++)
		squares += (double)v[i] * v[i];
	const double scale = 1 / fmax(sqrt(squares), 1e-12);
	gpu_combine(g, x, &(struct gpu_term){x, (float)scale}, 1);
}

/* [1, width] -> [1, projection] */
static struct gpu_tensor *project(const struct clap_text *t, struct gpu *g, struct gpu_arena *a,
	struct gpu_arena *step, const struct gpu_tensor *first)
{
	struct gpu_tensor *pooled = gpu_new(g, step, GPU_F32, "pooled", SHAPE(1, t->width));
	struct gpu_tensor *h = gpu_new(g, step, GPU_F32, "projected", SHAPE(1, t->projection));
	struct gpu_tensor *out = gpu_new(g, a, GPU_F32, "clap", SHAPE(1, t->projection));

	gpu_linear(g, pooled, first, t->pool, t->pool_b);
	gpu_tanh(g, pooled, pooled);
	gpu_linear(g, h, pooled, t->project[0], t->project_b[0]);
	gpu_relu(g, h, h);
	gpu_linear(g, out, h, t->project[1], t->project_b[1]);
	clap_normalise(g, out);
	return out;
}

struct gpu_tensor *clap_text_encode(const struct clap_text *t, struct gpu *g, struct gpu_arena *a,
	struct gpu_arena *step, const int32_t *ids, int64_t n)
{
	const int64_t w = t->width;
	const float scale = 1 / sqrtf((float)(w / t->n_heads));
	struct gpu_mark mark = gpu_arena_mark(step);
	struct gpu_tensor *x = gpu_new(g, step, GPU_F32, "x", SHAPE(n, w));
	struct gpu_tensor *qkv = gpu_new(g, step, GPU_F32, "qkv", SHAPE(n, 3 * w));
	struct gpu_tensor *heads = gpu_new(g, step, GPU_F32, "heads", SHAPE(n, w));
	struct gpu_tensor *ff = gpu_new(g, step, GPU_F32, "ff", SHAPE(n, t->ff));

	embed(t, g, step, x, ids, n);
	for (int64_t i = 0; i < t->n_layers; i++) {
		const struct clap_text_layer *l = &t->layers[i];
		gpu_linear(g, qkv, x, l->qkv, l->qkv_b);
		gpu_attention_full(g, heads, qkv, NULL, t->n_heads, scale);
		gpu_linear_add(g, x, heads, l->out, l->out_b);
		gpu_layer_norm(g, x, x, l->norm_attn_w, l->norm_attn_b, t->eps);
		gpu_linear(g, ff, x, l->ff_in, l->ff_in_b);
		gpu_gelu(g, ff, ff);
		gpu_linear_add(g, x, ff, l->ff_out, l->ff_out_b);
		gpu_layer_norm(g, x, x, l->norm_ff_w, l->norm_ff_b, t->eps);
		gpu_tap(g, x, "clap.layer%d", (int)i);
	}
	struct gpu_tensor *out = project(t, g, a, step, gpu_view(g, step, x, 0, 0, 1));
	gpu_arena_release(step, mark);
	gpu_tap(g, out, "clap.text");
	return out;
}
