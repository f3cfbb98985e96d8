/* MusicGen (Copet et al. 2023, "Simple and Controllable Music Generation"), as
 * huggingface/transformers runs it; weights CC-BY-NC 4.0.  small, medium and
 * large: 24, 48, 48 layers of width H = 1024, 1536, 2048, heads of 64.
 *
 *	x = sum over k of embed[k][id[k]] + position[p]        not scaled
 *	each layer:  x += out(causal attention(qkv(norm(x))))
 *	             x += out(attention of q(norm(x)) to the text's keys, values)
 *	             x += fc2(gelu(fc1(norm(x))))
 *	logits[k] = heads[k](norm(x))                          k = 0..K-1
 *
 * Layer norms have weight and bias and eps 1e-5; matrices have no bias, but
 * for the projection of the text to H (absent when the text has that width).
 * The first column has position 0.  embed has one row more than there are
 * codes, for the start token; heads have not.  Positions are cosines first,
 * then sines, with frequencies 10000^(-j / (H/2 - 1)), computed in f32 and
 * never read: a file in f16 holds a rounded table. */
#include "engine/nets/musicgen_lm.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/weights/bind.h"
#include "engine/weights/config.h"
#include "library/base/arena.h"
#include "library/base/err.h"

#define EPS 1e-5f

/* ---- configuration and weights ------------------------------------------ */

void lm_configure(struct lm *lm, struct config *c, int64_t text_width)
{
	struct lm_config *cfg = &lm->cfg;

	memset(lm, 0, sizeof(*lm));
	cfg->hidden = config_int(c, "decoder.hidden_size", 1024, 4, 65536);
	cfg->n_layers = config_int(c, "decoder.num_hidden_layers", 24, 1, 1024);
	cfg->n_heads = config_int(c, "decoder.num_attention_heads", 16, 1, 4096);
	cfg->ff = config_int(c, "decoder.ffn_dim", 4096, 1, 1 << 20);
	cfg->vocab = config_int(c, "decoder.vocab_size", 2048, 1, 1 << 20);
	cfg->n_codebooks = config_int(c, "decoder.num_codebooks", 4, 1, 128);
	cfg->channels = config_int(c, "decoder.audio_channels", 1, 1, 2);
	cfg->max_positions = config_int(c, "decoder.max_position_embeddings", 2048, 1, 1 << 20);
	cfg->text_width = text_width;

	const char *act = config_str(c, "decoder.activation_function", "gelu");
	cfg->relu = !strcmp(act, "relu");
	config_require(c, cfg->relu || !strcmp(act, "gelu"),
		"decoder.activation_function '%s' is not supported (gelu, relu)", act);
	config_require(c, cfg->hidden % cfg->n_heads == 0,
		"decoder.num_attention_heads %lld does not divide hidden_size %lld",
		(long long)cfg->n_heads, (long long)cfg->hidden);
	config_require(c, cfg->n_codebooks % cfg->channels == 0,
		"decoder.num_codebooks %lld is odd, but there are two channels",
		(long long)cfg->n_codebooks);
	config_require(c, cfg->max_positions >= cfg->n_codebooks / cfg->channels,
		"decoder.max_position_embeddings %lld is too small for a single frame",
		(long long)cfg->max_positions);
}

void lm_bind(
	struct lm *lm, struct bind *b, struct arena *a, enum gpu_dtype dtype, enum gpu_dtype small)
{
	const struct lm_config *cfg = &lm->cfg;
	const int64_t h = cfg->hidden, k = cfg->n_codebooks;
	const int last = (int)k - 1;

	if (cfg->text_width != h) {
		bind_matrix(b, &lm->text_w, small, h, cfg->text_width, "enc_to_dec_proj.weight");
		bind_rows(b, &lm->text_b, GPU_F32, SHAPE(h), "enc_to_dec_proj.bias");
	}
#define AT "decoder.model.decoder."
	bind_rows(b, &lm->embed, small, SHAPE(k * (cfg->vocab + 1), h),
		AT "embed_tokens.{0..%d}.weight", last);
	bind_ignore(b, AT "embed_positions.weights");
	lm->layers = ARENA_ARRAY(a, struct lm_layer, (size_t)cfg->n_layers);
	for (int i = 0; i < cfg->n_layers; i++) {
		struct lm_layer *l = &lm->layers[i];
#define LAYER AT "layers.%d."
#define NORM(w, name)                                                                              \
	bind_rows(b, &l->w##_w, GPU_F32, SHAPE(h), LAYER name ".weight", i);                       \
	bind_rows(b, &l->w##_b, GPU_F32, SHAPE(h), LAYER name ".bias", i)
		NORM(norm_self, "self_attn_layer_norm");
		bind_matrix(b, &l->qkv, dtype, 3 * h, h, LAYER "self_attn.{q,k,v}_proj.weight", i);
		bind_matrix(b, &l->self_out, dtype, h, h, LAYER "self_attn.out_proj.weight", i);
		NORM(norm_cross, "encoder_attn_layer_norm");
		bind_matrix(b, &l->cross_q, dtype, h, h, LAYER "encoder_attn.q_proj.weight", i);
		bind_matrix(b, &l->cross_kv, dtype, 2 * h, h,
			LAYER "encoder_attn.{k,v}_proj.weight", i);
		bind_matrix(b, &l->cross_out, dtype, h, h, LAYER "encoder_attn.out_proj.weight", i);
		NORM(norm_ff, "final_layer_norm");
		bind_matrix(b, &l->fc1, dtype, cfg->ff, h, LAYER "fc1.weight", i);
		bind_matrix(b, &l->fc2, dtype, h, cfg->ff, LAYER "fc2.weight", i);
#undef NORM
#undef LAYER
	}
	bind_rows(b, &lm->norm_w, GPU_F32, SHAPE(h), AT "layer_norm.weight");
	bind_rows(b, &lm->norm_b, GPU_F32, SHAPE(h), AT "layer_norm.bias");
#undef AT
	bind_matrix(
		b, &lm->heads, dtype, k * cfg->vocab, h, "decoder.lm_heads.{0..%d}.weight", last);
}

/* ---- runs --------------------------------------------------------------- */

/* The table for positions -1..n-2 (the first is not used), every step of it in f32 as the
 * reference has it; a last odd column is zero. */
static struct gpu_tensor *position_table(struct gpu *g, struct gpu_arena *a, int64_t n, int64_t h)
{
	struct gpu_tensor *t = gpu_new(g, a, GPU_F32, "positions", SHAPE(n, h));
	const int64_t half = h / 2;
	const float step = (float)(log(10000.0) / (double)(half - 1));
	const size_t bytes = (size_t)(n * h) * sizeof(float);
	float *table = gpu_failed(g) ? NULL : calloc(1, bytes);

	if (!table) {
		gpu_fail(g, ERR_NOMEM, "no memory for a table of %lld positions", (long long)n);
		return t;
	}
	for (int64_t j = 0; j < half; j++) {
		const float w = expf((float)j * -step);
		for (int64_t p = 0; p < n; p++) {
			table[p * h + j] = cosf((float)(p - 1) * w);
			table[p * h + half + j] = sinf((float)(p - 1) * w);
		}
	}
	gpu_write(g, t, table, bytes);
	free(table);
	return t;
}

struct lm_run *lm_run_new(const struct lm *lm, struct gpu *g, struct gpu_arena *a,
	enum gpu_dtype dtype, int64_t n_rows, int64_t n_text_rows, int64_t max_columns)
{
	const struct lm_config *cfg = &lm->cfg;
	struct lm_run *run = xcalloc(1, sizeof(*run));

	run->lm = lm;
	run->g = g;
	run->dtype = dtype;
	run->n_rows = n_rows;
	run->n_text_rows = n_text_rows;
	run->positions = position_table(g, a, 1 + max_columns, cfg->hidden);
	run->self = xcalloc((size_t)cfg->n_layers, sizeof(*run->self));
	run->cross = xcalloc((size_t)cfg->n_layers, sizeof(*run->cross));
	for (int64_t i = 0; i < cfg->n_layers; i++)
		run->self[i] = gpu_kv_new(
			g, a, dtype, n_rows, cfg->n_heads, cfg->hidden / cfg->n_heads, max_columns);
	return run;
}

void lm_run_free(struct lm_run *run)
{
	if (!run)
		return;
	free(run->self);
	free(run->cross);
	free(run);
}

void lm_condition(struct lm_run *run, struct gpu_arena *a, struct gpu_arena *step,
	const struct gpu_tensor *text)
{
	const struct lm *lm = run->lm;
	const int64_t h = lm->cfg.hidden, heads = lm->cfg.n_heads, n = text->ne[0];
	struct gpu *g = run->g;
	struct gpu_mark mark = gpu_arena_mark(step);
	struct gpu_tensor *kv = gpu_new(g, step, GPU_F32, "text kv", SHAPE(n, 2 * h));

	if (lm->text_w) {
		struct gpu_tensor *c = gpu_new(g, step, GPU_F32, "condition", SHAPE(n, h));
		gpu_linear(g, c, text, lm->text_w, lm->text_b);
		text = c;
	}
	gpu_tap(g, text, "cond");
	for (int64_t i = 0; i < lm->cfg.n_layers; i++) {
		run->cross[i] = gpu_kv_new(g, a, run->dtype, 1, heads, h / heads, n);
		gpu_linear(g, kv, text, lm->layers[i].cross_kv, NULL);
		gpu_kv_fill(g, run->cross[i], 0, kv);
	}
	gpu_arena_release(step, mark);
}

void lm_restart(struct lm_run *run)
{
	for (int64_t i = 0; i < run->lm->cfg.n_layers; i++)
		gpu_kv_clear(run->g, run->self[i]);
}

/* ---- forward ------------------------------------------------------------ */

static struct gpu_tensor *logits(
	struct lm_run *run, struct gpu_arena *step, const struct gpu_tensor *x, int64_t n);

/* x of the n columns behind those fed. */
static void embed(struct lm_run *run, struct gpu_arena *step, struct gpu_tensor *x,
	const struct gpu_tensor *ids, int64_t n, const struct gpu_tensor *at)
{
	struct gpu *g = run->g;

	if (at) {
		gpu_embed_at(g, step, x, run->lm->embed, ids, run->positions, at);
		return;
	}
	gpu_embed_sum(g, x, run->lm->embed, ids);
	gpu_add(g, x, x, gpu_view(g, step, run->positions, 0, 1 + run->self[0]->len[0], n));
}

/* at NULL: the position is what the host knows. */
static struct gpu_tensor *forward(struct lm_run *run, struct gpu_arena *step,
	const struct gpu_tensor *ids, int64_t n, bool want_logits, const struct gpu_tensor *at)
{
	const struct lm *lm = run->lm;
	const struct lm_config *cfg = &lm->cfg;
	const int64_t h = cfg->hidden, rows = run->n_rows * n, text_rows = run->n_text_rows * n;
	const float scale = 1.0f / sqrtf((float)(h / cfg->n_heads));
	struct gpu *g = run->g;
	struct gpu_tensor *x = gpu_new(g, step, GPU_F32, "x", SHAPE(rows, h));
	struct gpu_tensor *heads = gpu_new(g, step, GPU_F32, "heads", SHAPE(rows, h));
	struct gpu_tensor *qkv = gpu_new(g, step, GPU_F32, "qkv", SHAPE(rows, 3 * h));
	/* Where the text reaches: the first rows of the same tensors. */
	struct gpu_tensor *text_x = gpu_view(g, step, x, 0, 0, text_rows);
	struct gpu_tensor *text_heads = gpu_view(g, step, heads, 0, 0, text_rows);
	struct gpu_tensor *text_q = gpu_new(g, step, GPU_F32, "q", SHAPE(text_rows, h));

	embed(run, step, x, ids, n, at);
	for (int64_t i = 0; i < cfg->n_layers; i++) {
		const struct lm_layer *l = &lm->layers[i];
		const struct gpu_norm norm_self = {l->norm_self_w, l->norm_self_b, EPS};
		const struct gpu_norm norm_cross = {l->norm_cross_w, l->norm_cross_b, EPS};
		const struct gpu_feed_forward ff = {
			.norm = {l->norm_ff_w, l->norm_ff_b, EPS},
			.in = l->fc1,
			.out = l->fc2,
			.act = cfg->relu ? GPU_UNARY_RELU : GPU_UNARY_GELU,
		};
		gpu_norm_linear(g, step, qkv, x, &norm_self, l->qkv, NULL);
		gpu_attention_causal(g, heads, qkv, run->self[i], scale);
		gpu_linear_add(g, x, heads, l->self_out, NULL);
		if (text_rows) {
			gpu_norm_linear(g, step, text_q, text_x, &norm_cross, l->cross_q, NULL);
			gpu_attention_cross(g, text_heads, text_q, run->cross[i], scale);
			gpu_linear_add(g, text_x, text_heads, l->cross_out, NULL);
		}
		gpu_feed_forward(g, step, x, &ff);
		gpu_tap(g, x, "lm.layer%d", (int)i);
	}
	return want_logits ? logits(run, step, x, n) : NULL;
}

struct gpu_tensor *lm_forward(struct lm_run *run, struct gpu_arena *step,
	const struct gpu_tensor *ids, int64_t n, bool want_logits)
{
	return forward(run, step, ids, n, want_logits, NULL);
}

struct gpu_tensor *lm_step(struct lm_run *run, struct gpu_arena *step, const struct gpu_tensor *ids,
	const struct gpu_tensor *at)
{
	return forward(run, step, ids, 1, true, at);
}

/* Of the last of n columns. */
static struct gpu_tensor *logits(
	struct lm_run *run, struct gpu_arena *step, const struct gpu_tensor *x, int64_t n)
{
	const struct lm *lm = run->lm;
	const struct lm_config *cfg = &lm->cfg;
	const int64_t h = cfg->hidden, rows = run->n_rows;
	struct gpu *g = run->g;
	struct gpu_tensor *last = gpu_new(g, step, GPU_F32, "last column", SHAPE(rows, 1, h));
	const struct gpu_norm norm = {lm->norm_w, lm->norm_b, EPS};
	struct gpu_tensor *all =
		gpu_new(g, step, GPU_F32, "logits", SHAPE(rows, cfg->n_codebooks * cfg->vocab));

	x = gpu_reshape(g, step, x, SHAPE(rows, n, h));
	gpu_copy(g, last, gpu_view(g, step, x, 1, n - 1, 1));
	last = gpu_reshape(g, step, last, SHAPE(rows, h));
	gpu_norm_linear(g, step, all, last, &norm, lm->heads, NULL);
	all = gpu_reshape(g, step, all, SHAPE(rows * cfg->n_codebooks, cfg->vocab));
	gpu_tap(g, all, "lm.logits");
	return all;
}
