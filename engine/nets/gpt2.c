/* GPT-2 (Radford et al. 2019, "Language Models are Unsupervised Multitask
 * Learners") as huggingface/transformers runs it; 12 layers of width 768.
 *
 *	h = x + positions[p]
 *	each layer:  h += out(causal attention(qkv(norm1(h))))
 *	             h += ff_out(gelu(ff_in(norm2(h))))         gelu in the form with tanh
 *	norm(h)
 *
 * The loop of AudioLDM 2: the vector after the last position, behind the last
 * norm, becomes the next input.  Its padding counts as positions but is masked
 * everywhere, so positions may have gaps here and padding is never fed. */
#include "engine/nets/gpt2.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/weights/bind.h"
#include "engine/weights/config.h"
#include "library/base/arena.h"

enum { MAX_NEW = 256 };

/* ---- configuration and weights ------------------------------------------ */

void gpt2_configure(struct gpt2 *t, struct config *c)
{
	memset(t, 0, sizeof(*t));
	const char *type = config_str(c, "model_type", "gpt2");
	const char *act = config_str(c, "activation_function", "gelu_new");
	config_require(
		c, !strcmp(type, "gpt2"), "model_type '%s' is not supported, only gpt2 is", type);
	config_require(c, !strcmp(act, "gelu_new"),
		"activation_function '%s' is not supported, only gelu_new is", act);
	config_require(c, config_bool(c, "scale_attn_weights", true),
		"scale_attn_weights false is not supported");
	config_require(c, !config_bool(c, "scale_attn_by_inverse_layer_idx", false),
		"scale_attn_by_inverse_layer_idx is not supported");
	t->width = config_int(c, "n_embd", 768, 1, 65536);
	t->n_layers = config_int(c, "n_layer", 12, 1, 1024);
	t->n_heads = config_int(c, "n_head", 12, 1, 4096);
	t->ff = config_int(c, "n_inner", 4 * t->width, 1, 1 << 20);
	t->max_positions = config_int(c, "n_positions", 1024, 1, 1 << 20);
	t->n_new = config_int(c, "max_new_tokens", CONFIG_REQUIRED, 1, MAX_NEW);
	t->eps = (float)config_num(c, "layer_norm_epsilon", 1e-5, 0, 1);
	config_require(c, t->width % t->n_heads == 0, "n_head %lld does not divide n_embd %lld",
		(long long)t->n_heads, (long long)t->width);
}

#define BIND_NORM(b, w, bias, width, ...)                                                          \
	do {                                                                                       \
		bind_rows(b, w, GPU_F32, SHAPE(width), __VA_ARGS__, "weight");                     \
		bind_rows(b, bias, GPU_F32, SHAPE(width), __VA_ARGS__, "bias");                    \
	} while (0)

void gpt2_bind(
	struct gpt2 *t, struct bind *b, struct arena *a, enum gpu_dtype dtype, const char *prefix)
{
	const int64_t w = t->width;
	char at[128];

	bind_rows(b, &t->positions, GPU_F32, SHAPE(t->max_positions, w), "%swpe.weight", prefix);
	t->layers = ARENA_ARRAY(a, struct gpt2_layer, (size_t)t->n_layers);
	for (int i = 0; i < t->n_layers; i++) {
		struct gpt2_layer *l = &t->layers[i];
		snprintf(at, sizeof(at), "%sh.%d", prefix, i);
		BIND_NORM(b, &l->norm1_w, &l->norm1_b, w, "%s.ln_1.%s", at);
		bind_transposed(b, &l->qkv, &l->qkv_b, dtype, 3 * w, w, "%s.attn.c_attn", at);
		bind_transposed(b, &l->out, &l->out_b, dtype, w, w, "%s.attn.c_proj", at);
		BIND_NORM(b, &l->norm2_w, &l->norm2_b, w, "%s.ln_2.%s", at);
		bind_transposed(b, &l->ff_in, &l->ff_in_b, dtype, t->ff, w, "%s.mlp.c_fc", at);
		bind_transposed(b, &l->ff_out, &l->ff_out_b, dtype, w, t->ff, "%s.mlp.c_proj", at);
	}
	BIND_NORM(b, &t->norm_w, &t->norm_b, w, "%sln_f.%s", prefix);
	snprintf(at, sizeof(at), "%swte.weight", prefix); /* there are no tokens */
	bind_ignore(b, at);
	snprintf(at, sizeof(at), "%sh.*.attn.*bias", prefix); /* masks of old files */
	bind_ignore(b, at);
}

/* ---- forward ------------------------------------------------------------ */

/* Feeds n vectors at `positions`; what is said after the last goes to y [1, width]. */
static void feed(const struct gpt2 *t, struct gpu *g, struct gpu_arena *step, struct gpu_kv **kv,
	struct gpu_tensor *y, const struct gpu_tensor *x, const int32_t *positions)
{
	const int64_t n = x->ne[0], w = t->width;
	const float scale = 1 / sqrtf((float)(w / t->n_heads));
	struct gpu_mark mark = gpu_arena_mark(step);
	struct gpu_tensor *places = gpu_new(g, step, GPU_I32, "positions", SHAPE(n, 1));
	struct gpu_tensor *h = gpu_new(g, step, GPU_F32, "h", SHAPE(n, w));
	struct gpu_tensor *normed = gpu_new(g, step, GPU_F32, "normed", SHAPE(n, w));
	struct gpu_tensor *qkv = gpu_new(g, step, GPU_F32, "qkv", SHAPE(n, 3 * w));
	struct gpu_tensor *ff = gpu_new(g, step, GPU_F32, "ff", SHAPE(n, t->ff));

	gpu_write(g, places, positions, (size_t)n * sizeof(*positions));
	gpu_embed_sum(g, h, t->positions, places);
	gpu_add(g, h, h, x);
	for (int64_t i = 0; i < t->n_layers; i++) {
		const struct gpt2_layer *l = &t->layers[i];
		gpu_layer_norm(g, normed, h, l->norm1_w, l->norm1_b, t->eps);
		gpu_linear(g, qkv, normed, l->qkv, l->qkv_b);
		gpu_attention_causal(g, normed, qkv, kv[i], scale);
		gpu_linear_add(g, h, normed, l->out, l->out_b);
		gpu_layer_norm(g, normed, h, l->norm2_w, l->norm2_b, t->eps);
		gpu_linear(g, ff, normed, l->ff_in, l->ff_in_b);
		gpu_gelu_tanh(g, ff, ff);
		gpu_linear_add(g, h, ff, l->ff_out, l->ff_out_b);
	}
	gpu_layer_norm(g, y, gpu_view(g, step, h, 0, n - 1, 1), t->norm_w, t->norm_b, t->eps);
	gpu_arena_release(step, mark);
}

struct gpu_tensor *gpt2_generate(const struct gpt2 *t, struct gpu *g, struct gpu_arena *a,
	struct gpu_arena *step, const struct gpu_tensor *x, const int32_t *positions)
{
	const int64_t n = x->ne[0];
	struct gpu_tensor *out = gpu_new(g, a, GPU_F32, "generated", SHAPE(t->n_new, t->width));
	struct gpu_mark mark = gpu_arena_mark(step);
	struct gpu_kv **kv = xcalloc((size_t)t->n_layers, sizeof(struct gpu_kv *));
	int32_t at = positions[n - 1];

	for (int64_t i = 0; i < t->n_layers; i++)
		kv[i] = gpu_kv_new(
			g, step, GPU_F32, 1, t->n_heads, t->width / t->n_heads, n + t->n_new);
	for (int64_t i = 0; i < t->n_new; i++) {
		struct gpu_tensor *y = gpu_view(g, step, out, 0, i, 1);
		feed(t, g, step, kv, y, x, positions);
		at++;
		x = y;
		positions = &at;
	}
	free(kv);
	gpu_arena_release(step, mark);
	gpu_tap(g, out, "gpt2.generated");
	return out;
}
