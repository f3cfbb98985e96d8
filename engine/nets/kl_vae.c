/* AutoencoderKL's decoder (Rombach et al. 2022, "High-Resolution Image Synthesis with
 * Latent Diffusion Models"), as huggingface/diffusers runs it; with the sizes of
 * AudioLDM 2, where the image is a log-mel spectrogram of time x 64:
 *
 *	z / scaling_factor             [H, 16, 8]
 *	1x1 (post_quant_conv), conv 3x3     8 -> 512
 *	resnet, attention (one head), resnet
 *	3 levels of 3 resnets          512, 256, 128; all but the last enlarge 2 x
 *	group norm, silu, conv 3x3     [4H, 64, 1]
 *
 * Every group norm has eps 1e-6. */
#include "engine/nets/kl_vae.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "engine/weights/bind.h"
#include "engine/weights/config.h"

#define EPS 1e-6f

/* ---- configuration and weights ------------------------------------------ */

static void check_kinds(struct config *c, int64_t n_levels)
{
	const char *act = config_str(c, "act_fn", "silu");
	char path[64];

	config_require(c, !strcmp(act, "silu"), "act_fn '%s' is not supported, only silu is", act);
	config_require(c, config_bool(c, "mid_block_add_attention", true),
		"mid_block_add_attention false is not supported");
	config_require(c, !config_has(c, "latents_mean"), "latents_mean is not supported");
	config_require(c, config_length(c, "up_block_types") == n_levels,
		"up_block_types must have as many entries as block_out_channels");
	for (int64_t i = 0; i < n_levels; i++) {
		snprintf(path, sizeof(path), "up_block_types.%d", (int)i);
		const char *type = config_str(c, path, "UpDecoderBlock2D");
		config_require(c, !strcmp(type, "UpDecoderBlock2D"),
			"up_block_types '%s' is not supported, only UpDecoderBlock2D is", type);
	}
}

void kl_vae_configure(struct kl_vae *v, struct config *c)
{
	memset(v, 0, sizeof(*v));
	v->n_channels = config_int(c, "out_channels", 3, 1, 64);
	v->n_latents = config_int(c, "latent_channels", 4, 1, 1024);
	v->n_groups = config_int(c, "norm_num_groups", 32, 1, 1024);
	v->n_resnets = config_int(c, "layers_per_block", 1, 1, KL_VAE_MAX_RESNETS - 1) + 1;
	v->scaling_factor = config_num(c, "scaling_factor", 0.18215, 1e-6, 1e6);
	v->n_levels =
		config_ints(c, "block_out_channels", true, v->widths, KL_VAE_MAX_LEVELS, 1, 16384);
	config_require(c, v->n_levels > 0, "block_out_channels is empty");
	v->scale = (int64_t)1 << (v->n_levels ? v->n_levels - 1 : 0);
	for (int64_t i = 0; i < v->n_levels; i++)
		config_require(c, v->widths[i] % v->n_groups == 0,
			"norm_num_groups %lld does not divide block_out_channels",
			(long long)v->n_groups);
	check_kinds(c, v->n_levels);
	config_require(c, config_bool(c, "use_post_quant_conv", true),
		"use_post_quant_conv false is not supported");
}

static struct resnet2d resnet(const struct kl_vae *v, int64_t n_in, int64_t n_out)
{
	return (struct resnet2d){.n_in = n_in, .n_out = n_out, .n_groups = v->n_groups, .eps = EPS};
}

static void bind_mid(struct kl_vae *v, struct bind *b, enum gpu_dtype dtype, const char *prefix)
{
	const int64_t width = v->widths[v->n_levels - 1];
	char at[128];

	for (int i = 0; i < 2; i++) {
		v->mid[i] = resnet(v, width, width);
		snprintf(at, sizeof(at), "%sdecoder.mid_block.resnets.%d", prefix, i);
		resnet2d_bind(&v->mid[i], b, dtype, conv3x3_dtype(dtype), 0, at);
	}
	snprintf(at, sizeof(at), "%sdecoder.mid_block.attentions.0", prefix);
	bind_rows(b, &v->attn_norm_w, GPU_F32, SHAPE(width), "%s.group_norm.weight", at);
	bind_rows(b, &v->attn_norm_b, GPU_F32, SHAPE(width), "%s.group_norm.bias", at);
	/* query, key, value, proj_attn: before diffusers 0.15 */
	bind_matrix(b, &v->qkv, dtype, 3 * width, width,
		"%s.to_{q,k,v}.weight|%s.{query,key,value}.weight", at, at);
	bind_rows(b, &v->qkv_b, GPU_F32, SHAPE(3 * width),
		"%s.to_{q,k,v}.bias|%s.{query,key,value}.bias", at, at);
	bind_matrix(b, &v->attn_out, dtype, width, width, "%s.to_out.0.weight|%s.proj_attn.weight",
		at, at);
	bind_rows(b, &v->attn_out_b, GPU_F32, SHAPE(width), "%s.to_out.0.bias|%s.proj_attn.bias",
		at, at);
}

static void bind_levels(struct kl_vae *v, struct bind *b, enum gpu_dtype dtype, const char *prefix)
{
	int64_t n_in = v->widths[v->n_levels - 1];
	char at[128];

	for (int64_t i = 0; i < v->n_levels; i++) {
		const int64_t width = v->widths[v->n_levels - 1 - i];
		struct kl_vae_level *l = &v->levels[i];
		for (int64_t j = 0; j < v->n_resnets; j++, n_in = width) {
			l->resnets[j] = resnet(v, n_in, width);
			snprintf(at, sizeof(at), "%sdecoder.up_blocks.%d.resnets.%d", prefix,
				(int)i, (int)j);
			resnet2d_bind(&l->resnets[j], b, dtype, conv3x3_dtype(dtype), 0, at);
		}
		if (i == v->n_levels - 1)
			continue;
		snprintf(
			at, sizeof(at), "%sdecoder.up_blocks.%d.upsamplers.0.conv", prefix, (int)i);
		conv3x3_bind(&l->up, b, conv3x3_dtype(dtype), width, width, at);
	}
}

void kl_vae_bind(struct kl_vae *v, struct bind *b, enum gpu_dtype dtype, const char *prefix)
{
	const struct bind_conv post = {
		.n_out = v->n_latents, .n_in = v->n_latents, .kernel = 1, .square = true};
	char at[128];

	bind_conv(b, &v->post_w, &v->post_b, dtype, post, "%spost_quant_conv", prefix);
	snprintf(at, sizeof(at), "%sdecoder.conv_in", prefix);
	conv3x3_bind(&v->conv_in, b, dtype, v->widths[v->n_levels - 1], v->n_latents, at);
	bind_mid(v, b, dtype, prefix);
	bind_levels(v, b, dtype, prefix);
	bind_rows(b, &v->norm_w, GPU_F32, SHAPE(v->widths[0]), "%sdecoder.conv_norm_out.weight",
		prefix);
	bind_rows(b, &v->norm_b, GPU_F32, SHAPE(v->widths[0]), "%sdecoder.conv_norm_out.bias",
		prefix);
	snprintf(at, sizeof(at), "%sdecoder.conv_out", prefix);
	conv3x3_bind(&v->conv_out, b, dtype, v->n_channels, v->widths[0], at);
	snprintf(at, sizeof(at), "%sencoder.*", prefix);
	bind_ignore(b, at);
	snprintf(at, sizeof(at), "%squant_conv.*", prefix);
	bind_ignore(b, at);
}

/* ---- forward ------------------------------------------------------------ */

/* x += out(attention(qkv(group_norm(x)))), over all places */
static void attend(const struct kl_vae *v, struct gpu *g, struct gpu_arena *a, struct gpu_tensor *x)
{
	const int64_t n = x->ne[1] * x->ne[2], width = x->ne[3];
	const struct gpu_group_norm norm = {
		v->attn_norm_w, v->attn_norm_b, v->n_groups, EPS, false};
	struct gpu_mark mark = gpu_arena_mark(a);
	struct gpu_tensor *rows = image_rows(g, a, x);
	struct gpu_tensor *h = gpu_new(g, a, GPU_F32, "h", SHAPE(1, n, width));
	struct gpu_tensor *qkv = gpu_new(g, a, GPU_F32, "qkv", SHAPE(n, 3 * width));

	gpu_group_norm(g, h, gpu_reshape(g, a, x, SHAPE(1, n, width)), &norm);
	h = gpu_reshape(g, a, h, SHAPE(n, width));
	gpu_linear(g, qkv, h, v->qkv, v->qkv_b);
	if (v->qkv->dtype == GPU_TILES)
		gpu_attention_tiles(g, h, qkv, 1, 1 / sqrtf((float)width));
	else
		gpu_attention_full(g, h, qkv, NULL, 1, 1 / sqrtf((float)width));
	gpu_linear_add(g, rows, h, v->attn_out, v->attn_out_b);
	gpu_arena_release(a, mark);
}

/* z / scaling_factor, through post_quant_conv, into the first layer. */
static struct gpu_tensor *enter(
	const struct kl_vae *v, struct gpu *g, struct gpu_arena *a, const struct gpu_tensor *z)
{
	const struct gpu_shape shape = SHAPE(z->ne[0], z->ne[1], z->ne[2], z->ne[3]);
	struct gpu_tensor *scaled = gpu_new(g, a, GPU_F32, "z", shape),
			  *x = gpu_new(g, a, GPU_F32, "z", shape);

	gpu_combine(g, scaled, &(struct gpu_term){z, (float)(1 / v->scaling_factor)}, 1);
	gpu_linear(g, image_rows(g, a, x), image_rows(g, a, scaled), v->post_w, v->post_b);
	return conv3x3_forward(&v->conv_in, g, a, x, 1);
}

/* The stages hand over between two arenas, so that each frees the one before. */
struct gpu_tensor *kl_vae_decode(const struct kl_vae *v, struct gpu *g, struct gpu_arena *a,
	struct gpu_arena *step, const struct gpu_tensor *z, const struct layer_watch *watch)
{
	const int64_t n_layers = 2 + v->n_levels * (v->n_resnets + 1) - 1;
	struct gpu_tensor *out = gpu_new(g, a, GPU_F32, "spectrogram",
		SHAPE(1, z->ne[1] * v->scale, z->ne[2] * v->scale, v->n_channels));
	struct gpu_arena *both[2] = {step, gpu_arena_new(g, "vae")};
	struct gpu_mark marks[2] = {gpu_arena_mark(both[0]), gpu_arena_mark(both[1])};
	int64_t done = 0;
	int at = 0;
	struct gpu_tensor *x = enter(v, g, both[at], z);

#define NEXT(call)                                                                                 \
	do {                                                                                       \
		at = !at;                                                                          \
		gpu_arena_release(both[at], marks[at]);                                            \
		x = call;                                                                          \
		layer_done(watch, ++done, n_layers);                                               \
	} while (0)
	NEXT(resnet2d_forward(&v->mid[0], g, both[at], x, NULL));
	attend(v, g, both[at], x);
	NEXT(resnet2d_forward(&v->mid[1], g, both[at], x, NULL));
	gpu_tap(g, x, "vae.mid");
	for (int64_t i = 0; i < v->n_levels; i++) {
		const struct kl_vae_level *l = &v->levels[i];
		for (int64_t j = 0; j < v->n_resnets; j++)
			NEXT(resnet2d_forward(&l->resnets[j], g, both[at], x, NULL));
		if (l->up.w)
			NEXT(conv3x3_up(&l->up, g, both[at], x, 2 * x->ne[1], 2 * x->ne[2]));
		gpu_tap(g, x, "vae.up%d", (int)i);
	}
#undef NEXT
	const struct gpu_group_norm norm = {v->norm_w, v->norm_b, v->n_groups, EPS, true};
	gpu_norm_conv2d(g, both[at], out, x, &norm, v->conv_out.w, v->conv_out.b,
		(struct gpu_conv2d){.kernel = 3, .pad = 1});
	gpu_arena_release(both[0], marks[0]);
	gpu_arena_free(both[1]);
	gpu_tap(g, out, "vae.out");
	return out;
}
