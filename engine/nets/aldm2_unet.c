/* The UNet of AudioLDM 2 (Liu et al. 2023, "AudioLDM 2: Learning Holistic Audio
 * Generation with Self-supervised Pretraining"), as huggingface/diffusers runs it;
 * weights CC-BY-NC-SA 4.0.  With the sizes of the base and music models, for 10.24 s:
 *
 *	conv 3x3                8 -> 128       [256, 16]; time x frequency
 *	down, of 2 resnets each 128, 256, 384, 640; all but the last halve the image
 *	middle                  resnet, stacks, resnet
 *	up, of 3 resnets each   640, 384, 256, 128; each takes a skip of the way down
 *	group norm, silu, conv 3x3             -> 8
 *
 * Below the top, three stacks of transformer blocks follow every resnet, one after
 * the other: the first looks at itself twice, the second at the 8 vectors of GPT-2,
 * the third at the states of T5.  The rule is the list in cross_attention_dim: null
 * is itself, an entry at place 0 or 1 is the first context, one behind it the second.
 *
 *	block   x += attention(norm(x));  x += attention(norm(x), context)
 *	        x += ff_out(a * gelu(g)),  a | g = ff_in(norm(x))
 *
 * Traps: attention_head_dim is the number of heads; eps is 1e-5 in resnets and 1e-6 in
 * front of a stack; an image of odd height is cut when it is enlarged again.
 *
 * Keys and values of the contexts do not change from step to step and are kept. */
#include "engine/nets/aldm2_unet.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/weights/bind.h"
#include "engine/weights/config.h"
#include "library/base/arena.h"
#include "library/base/err.h"

#define STACK_EPS 1e-6f
#define BLOCK_EPS 1e-5f

/* ---- configuration ------------------------------------------------------ */

/* Options of the class that this model never uses. */
static void refuse(struct config *c)
{
	static const char *const absent[] = {"class_embed_type", "num_class_embeds",
		"time_cond_proj_dim", "time_embedding_act_fn", "timestep_post_act",
		"num_attention_heads", "time_embedding_dim"};
	static const char *const off[] = {
		"only_cross_attention", "use_linear_projection", "upcast_attention"};
	static const char *const fixed[][2] = {{"act_fn", "silu"},
		{"resnet_time_scale_shift", "default"}, {"time_embedding_type", "positional"},
		{"mid_block_type", "UNetMidBlock2DCrossAttn"}};

	for (size_t i = 0; i < sizeof(absent) / sizeof(*absent); i++)
		config_require(c, !config_has(c, absent[i]), "%s is not supported", absent[i]);
	for (size_t i = 0; i < sizeof(off) / sizeof(*off); i++)
		config_require(c, !config_bool(c, off[i], false), "%s is not supported", off[i]);
	for (size_t i = 0; i < sizeof(fixed) / sizeof(*fixed); i++) {
		const char *value = config_str(c, fixed[i][0], fixed[i][1]);
		config_require(c, !strcmp(value, fixed[i][1]),
			"%s '%s' is not supported, only %s is", fixed[i][0], value, fixed[i][1]);
	}
	config_require(c,
		config_int(c, "conv_in_kernel", 3, 1, 99) == 3 &&
			config_int(c, "conv_out_kernel", 3, 1, 99) == 3 &&
			config_int(c, "downsample_padding", 1, 0, 99) == 1 &&
			config_num(c, "mid_block_scale_factor", 1, 0, 99) == 1,
		"kernels other than 3, a padding or a scale other than 1 are not supported");
}

static void configure_kinds(struct unet_config *cfg, struct config *c, const char *key,
	const char *plain, const char *crossed, bool *ret)
{
	char path[64];

	config_require(c, config_length(c, key) == cfg->n_levels,
		"%s must have as many entries as block_out_channels", key);
	for (int64_t i = 0; i < cfg->n_levels; i++) {
		snprintf(path, sizeof(path), "%s.%d", key, (int)i);
		const char *type = config_str(c, path, plain);
		ret[i] = !strcmp(type, crossed);
		config_require(c, ret[i] || !strcmp(type, plain),
			"%s '%s' is not supported, only %s and %s are", key, type, plain, crossed);
	}
}

/* A number for all levels, or a list of one for each. */
static void configure_heads(struct unet_config *cfg, struct config *c)
{
	const char *key = "attention_head_dim"; /* which is their number */
	const int64_t all = config_length(c, key) < 0 ? config_int(c, key, 8, 1, 4096) : 0;

	for (int64_t i = 0; i < cfg->n_levels; i++)
		cfg->heads[i] = all;
	if (!all)
		config_require(c,
			config_ints(c, key, true, cfg->heads, UNET_MAX_LEVELS, 1, 4096) ==
				cfg->n_levels,
			"%s must have as many entries as block_out_channels", key);
	for (int64_t i = 0; i < cfg->n_levels && cfg->heads[i]; i++)
		config_require(c, cfg->widths[i] % cfg->heads[i] == 0,
			"%s %lld does not divide %lld channels", key, (long long)cfg->heads[i],
			(long long)cfg->widths[i]);
}

/* cross_attention_dim: a number, a number per level, or a list per level. */
static void configure_slots(struct unet_config *cfg, struct config *c)
{
	const char *key = "cross_attention_dim";
	const bool listed = config_length(c, key) >= 0;
	char level[64], path[80];

	config_require(c, !listed || config_length(c, key) == cfg->n_levels,
		"%s must have as many entries as block_out_channels", key);
	for (int64_t i = 0; i < cfg->n_levels; i++) {
		snprintf(level, sizeof(level), listed ? "%s.%d" : "%s", key, (int)i);
		const int n = config_length(c, level);
		config_require(c, n <= UNET_MAX_SLOTS && n != 0,
			"%s: lists of 1 to %d entries are possible", key, UNET_MAX_SLOTS);
		cfg->n_slots[i] = n < 1 ? 1 : n > UNET_MAX_SLOTS ? UNET_MAX_SLOTS : n;
		for (int j = 0; j < cfg->n_slots[i]; j++) {
			snprintf(path, sizeof(path), n < 0 ? "%s" : "%s.%d", level, j);
			cfg->slots[i][j] = (struct unet_slot){
				.width = config_int(c, path, n < 0 && !listed ? 1280 : 0, 0, 65536),
				.context = j > 1};
		}
	}
}

void aldm2_unet_configure(struct aldm2_unet *u, struct config *c)
{
	struct unet_config *cfg = &u->cfg;

	memset(u, 0, sizeof(*u));
	refuse(c);
	cfg->n_in = config_int(c, "in_channels", 4, 1, 4096);
	cfg->n_out = config_int(c, "out_channels", 4, 1, 4096);
	cfg->sample_size = config_int(c, "sample_size", CONFIG_REQUIRED, 1, 1 << 20);
	cfg->n_resnets = config_int(c, "layers_per_block", 2, 1, 64);
	cfg->n_blocks = config_int(c, "transformer_layers_per_block", 1, 1, 64);
	cfg->n_groups = config_int(c, "norm_num_groups", 32, 1, 1024);
	cfg->eps = (float)config_num(c, "norm_eps", 1e-5, 0, 1);
	cfg->freq_shift = (float)config_num(c, "freq_shift", 0, 0, 1);
	cfg->cos_first = config_bool(c, "flip_sin_to_cos", true);
	cfg->n_levels =
		config_ints(c, "block_out_channels", true, cfg->widths, UNET_MAX_LEVELS, 2, 16384);
	config_require(c, cfg->n_levels > 0, "block_out_channels is empty");
	for (int64_t i = 0; i < cfg->n_levels; i++)
		config_require(c, cfg->widths[i] % cfg->n_groups == 0 && cfg->widths[0] % 2 == 0,
			"norm_num_groups %lld does not divide block_out_channels",
			(long long)cfg->n_groups);
	configure_kinds(cfg, c, "down_block_types", "DownBlock2D", "CrossAttnDownBlock2D",
		cfg->attends_down);
	configure_kinds(
		cfg, c, "up_block_types", "UpBlock2D", "CrossAttnUpBlock2D", cfg->attends_up);
	configure_heads(cfg, c);
	configure_slots(cfg, c);
}

int64_t aldm2_unet_context_width(const struct aldm2_unet *u, int i)
{
	for (int64_t l = 0; l < u->cfg.n_levels; l++)
		for (int64_t s = 0; s < u->cfg.n_slots[l]; s++)
			if (u->cfg.slots[l][s].width && u->cfg.slots[l][s].context == i)
				return u->cfg.slots[l][s].width;
	return 0;
}

/* ---- weights ------------------------------------------------------------ */

struct binding {
	struct aldm2_unet *u;
	struct bind *b;
	struct arena *a;
	enum gpu_dtype dtype;
	const char *prefix;
};

static void bind_block(
	const struct binding *w, struct unet_block *t, const struct unet_stack *s, const char *at)
{
	const int64_t c = s->width;
	struct bind *b = w->b;

	for (int i = 0; i < 3; i++) {
		bind_rows(b, &t->norm_w[i], GPU_F32, SHAPE(c), "%s.norm%d.weight", at, i + 1);
		bind_rows(b, &t->norm_b[i], GPU_F32, SHAPE(c), "%s.norm%d.bias", at, i + 1);
	}
	bind_matrix(b, &t->qkv, w->dtype, 3 * c, c, "%s.attn1.to_{q,k,v}.weight", at);
	bind_matrix(b, &t->out, w->dtype, c, c, "%s.attn1.to_out.0.weight", at);
	bind_rows(b, &t->out_b, GPU_F32, SHAPE(c), "%s.attn1.to_out.0.bias", at);
	if (s->slot.width) {
		bind_matrix(b, &t->q, w->dtype, c, c, "%s.attn2.to_q.weight", at);
		bind_matrix(
			b, &t->kv, w->dtype, 2 * c, s->slot.width, "%s.attn2.to_{k,v}.weight", at);
		t->cache = w->u->n_caches++;
	} else {
		bind_matrix(b, &t->qkv2, w->dtype, 3 * c, c, "%s.attn2.to_{q,k,v}.weight", at);
	}
	bind_matrix(b, &t->out2, w->dtype, c, c, "%s.attn2.to_out.0.weight", at);
	bind_rows(b, &t->out2_b, GPU_F32, SHAPE(c), "%s.attn2.to_out.0.bias", at);
	bind_matrix(b, &t->ff_in, w->dtype, 8 * c, c, "%s.ff.net.0.proj.weight", at);
	bind_rows(b, &t->ff_in_b, GPU_F32, SHAPE(8 * c), "%s.ff.net.0.proj.bias", at);
	bind_matrix(b, &t->ff_out, w->dtype, c, 4 * c, "%s.ff.net.2.weight", at);
	bind_rows(b, &t->ff_out_b, GPU_F32, SHAPE(c), "%s.ff.net.2.bias", at);
}

static void bind_stack(const struct binding *w, struct unet_stack *s, const char *at)
{
	const struct bind_conv conv = {
		.n_out = s->width, .n_in = s->width, .kernel = 1, .square = true};
	char name[192];

	s->n_groups = w->u->cfg.n_groups;
	s->n_blocks = w->u->cfg.n_blocks;
	s->blocks = ARENA_ARRAY(w->a, struct unet_block, (size_t)s->n_blocks);
	bind_rows(w->b, &s->norm_w, GPU_F32, SHAPE(s->width), "%s.norm.weight", at);
	bind_rows(w->b, &s->norm_b, GPU_F32, SHAPE(s->width), "%s.norm.bias", at);
	bind_conv(w->b, &s->in_w, &s->in_b, w->dtype, conv, "%s.proj_in", at);
	for (int64_t i = 0; i < s->n_blocks; i++) {
		snprintf(name, sizeof(name), "%s.transformer_blocks.%d", at, (int)i);
		bind_block(w, &s->blocks[i], s, name);
	}
	bind_conv(w->b, &s->out_w, &s->out_b, w->dtype, conv, "%s.proj_out", at);
}

/* The stacks of a level: of slots at `from` in the configuration. */
static void bind_stacks(
	const struct binding *w, struct unet_level *l, int64_t from, int64_t n, const char *at)
{
	const struct unet_config *cfg = &w->u->cfg;
	char name[160];

	l->n_slots = cfg->n_slots[from];
	l->stacks = ARENA_ARRAY(w->a, struct unet_stack, (size_t)(n * l->n_slots));
	for (int64_t i = 0; i < n * l->n_slots; i++) {
		l->stacks[i] = (struct unet_stack){.slot = cfg->slots[from][i % l->n_slots],
			.width = l->width,
			.n_heads = cfg->heads[from]};
		snprintf(name, sizeof(name), "%s.attentions.%d", at, (int)i);
		bind_stack(w, &l->stacks[i], name);
	}
}

static void bind_resnet(
	const struct binding *w, struct unet_level *l, int64_t i, int64_t n_in, const char *at)
{
	const struct unet_config *cfg = &w->u->cfg;
	char name[160];

	l->resnets[i] = (struct resnet2d){
		.n_in = n_in, .n_out = l->width, .n_groups = cfg->n_groups, .eps = cfg->eps};
	snprintf(name, sizeof(name), "%s.resnets.%d", at, (int)i);
	resnet2d_bind(&l->resnets[i], w->b, w->dtype,
		l->is_innermost ? w->dtype : conv3x3_dtype(w->dtype), 4 * cfg->widths[0], name);
}

static void start_level(const struct binding *w, struct unet_level *l, int64_t level, int64_t n)
{
	const struct unet_config *cfg = &w->u->cfg;

	*l = (struct unet_level){.width = cfg->widths[level],
		.n_resnets = n,
		.is_innermost = level == cfg->n_levels - 1};
	l->resnets = ARENA_ARRAY(w->a, struct resnet2d, (size_t)n);
}

static void bind_down(const struct binding *w, int64_t i)
{
	const struct unet_config *cfg = &w->u->cfg;
	struct unet_level *l = &w->u->down[i];
	char at[96], name[160];

	start_level(w, l, i, cfg->n_resnets);
	snprintf(at, sizeof(at), "%sdown_blocks.%d", w->prefix, (int)i);
	for (int64_t j = 0; j < l->n_resnets; j++)
		bind_resnet(w, l, j, j ? l->width : cfg->widths[i ? i - 1 : 0], at);
	if (cfg->attends_down[i])
		bind_stacks(w, l, i, l->n_resnets, at);
	if (i == cfg->n_levels - 1)
		return;
	snprintf(name, sizeof(name), "%s.downsamplers.0.conv", at);
	conv3x3_bind(&l->resize, w->b, w->dtype, l->width, l->width, name);
}

static void bind_middle(const struct binding *w)
{
	const struct unet_config *cfg = &w->u->cfg;
	struct unet_level *l = &w->u->mid;
	char at[96];

	start_level(w, l, cfg->n_levels - 1, 2);
	snprintf(at, sizeof(at), "%smid_block", w->prefix);
	for (int64_t j = 0; j < 2; j++)
		bind_resnet(w, l, j, l->width, at);
	bind_stacks(w, l, cfg->n_levels - 1, 1, at);
}

/* Level i from the bottom.  Its resnets take the skips of the level of the same width on
 * the way down, last first, and the last of them that of the one above. */
static void bind_up(const struct binding *w, int64_t i)
{
	const struct unet_config *cfg = &w->u->cfg;
	const int64_t level = cfg->n_levels - 1 - i;
	const int64_t above = cfg->widths[level ? level - 1 : 0];
	const int64_t below = cfg->widths[level < cfg->n_levels - 1 ? level + 1 : level];
	struct unet_level *l = &w->u->up[i];
	char at[96], name[160];

	start_level(w, l, level, cfg->n_resnets + 1);
	snprintf(at, sizeof(at), "%sup_blocks.%d", w->prefix, (int)i);
	for (int64_t j = 0; j < l->n_resnets; j++)
		bind_resnet(w, l, j,
			(j ? l->width : below) + (j == l->n_resnets - 1 ? above : l->width), at);
	if (cfg->attends_up[i])
		bind_stacks(w, l, level, l->n_resnets, at);
	if (i == cfg->n_levels - 1)
		return;
	snprintf(name, sizeof(name), "%s.upsamplers.0.conv", at);
	conv3x3_bind(&l->resize, w->b, conv3x3_dtype(w->dtype), l->width, l->width, name);
}

void aldm2_unet_bind(struct aldm2_unet *u, struct bind *b, struct arena *a, enum gpu_dtype dtype,
	const char *prefix)
{
	const struct binding w = {.u = u, .b = b, .a = a, .dtype = dtype, .prefix = prefix};
	const int64_t base = u->cfg.widths[0], wide = 4 * base;
	char name[128];

	u->n_caches = 0;
	snprintf(name, sizeof(name), "%sconv_in", prefix);
	conv3x3_bind(&u->conv_in, b, dtype, base, u->cfg.n_in, name);
	for (int i = 0; i < 2; i++) {
		bind_matrix(b, &u->time_w[i], dtype, wide, i ? wide : base,
			"%stime_embedding.linear_%d.weight", prefix, i + 1);
		bind_rows(b, &u->time_b[i], GPU_F32, SHAPE(wide), "%stime_embedding.linear_%d.bias",
			prefix, i + 1);
	}
	for (int64_t i = 0; i < u->cfg.n_levels; i++)
		bind_down(&w, i);
	bind_middle(&w);
	for (int64_t i = 0; i < u->cfg.n_levels; i++)
		bind_up(&w, i);
	bind_rows(b, &u->norm_w, GPU_F32, SHAPE(base), "%sconv_norm_out.weight", prefix);
	bind_rows(b, &u->norm_b, GPU_F32, SHAPE(base), "%sconv_norm_out.bias", prefix);
	snprintf(name, sizeof(name), "%sconv_out", prefix);
	conv3x3_bind(&u->conv_out, b, dtype, u->cfg.n_out, base, name);
}

/* ---- condition ---------------------------------------------------------- */

/* Keys and values of the contexts for the blocks of one stack. */
static void fill_caches(struct unet_run *run, struct gpu_arena *a, struct gpu_arena *step,
	const struct unet_stack *s, struct gpu_tensor *const (*contexts)[UNET_CONTEXTS])
{
	const int which = s->slot.context;
	struct gpu *g = run->g;
	int64_t longest = 0;

	for (int64_t r = 0; r < run->n_rows; r++)
		if (contexts[r][which]->ne[0] > longest)
			longest = contexts[r][which]->ne[0];
	for (int64_t i = 0; i < s->n_blocks; i++) {
		struct gpu_kv *kv = gpu_kv_new(g, a, gpu_kv_dtype(s->blocks[i].kv), run->n_rows,
			s->n_heads, s->width / s->n_heads, longest);
		run->caches[s->blocks[i].cache] = kv;
		for (int64_t r = 0; r < run->n_rows; r++) {
			struct gpu_mark mark = gpu_arena_mark(step);
			const struct gpu_tensor *x = contexts[r][which];
			struct gpu_tensor *y =
				gpu_new(g, step, GPU_F32, "context", SHAPE(x->ne[0], 2 * s->width));
			gpu_linear(g, y, x, s->blocks[i].kv, NULL);
			gpu_kv_fill(g, kv, r, y);
			gpu_arena_release(step, mark);
		}
	}
}

static void fill_level(struct unet_run *run, struct gpu_arena *a, struct gpu_arena *step,
	const struct unet_level *l, int64_t n_stacks,
	struct gpu_tensor *const (*contexts)[UNET_CONTEXTS])
{
	for (int64_t i = 0; i < n_stacks; i++)
		if (l->stacks[i].slot.width)
			fill_caches(run, a, step, &l->stacks[i], contexts);
}

struct unet_run *aldm2_unet_condition(const struct aldm2_unet *u, struct gpu *g,
	struct gpu_arena *a, struct gpu_arena *step,
	struct gpu_tensor *const (*contexts)[UNET_CONTEXTS], int64_t n_rows)
{
	struct unet_run *run = xcalloc(1, sizeof(*run));

	*run = (struct unet_run){.unet = u, .g = g, .n_rows = n_rows};
	run->caches = xcalloc((size_t)u->n_caches + 1, sizeof(struct gpu_kv *));
	for (int64_t i = 0; i < u->cfg.n_levels; i++) {
		const struct unet_level *down = &u->down[i], *up = &u->up[i];
		fill_level(run, a, step, down, down->n_resnets * down->n_slots, contexts);
		fill_level(run, a, step, up, up->n_resnets * up->n_slots, contexts);
	}
	fill_level(run, a, step, &u->mid, u->mid.n_slots, contexts);
	return run;
}

void unet_run_free(struct unet_run *run)
{
	if (run)
		free(run->caches);
	free(run);
}

/* ---- forward ------------------------------------------------------------ */

/* What goes from layer to layer. */
struct pass {
	struct unet_run *run;
	struct gpu *g;
	struct gpu_arena *a;
	const struct gpu_tensor *time; /* [1, 4 * widths[0]], behind a silu */
	struct gpu_tensor **skips;     /* the last is taken first */
	int64_t n_skips;
};

static void push(struct pass *p, struct gpu_tensor *x)
{
	p->skips[p->n_skips++] = x;
}

/* cos | sin of t * frequency, in f32 as in the reference */
struct gpu_tensor *aldm2_unet_time(
	const struct aldm2_unet *u, struct gpu *g, struct gpu_arena *a, double t)
{
	const int64_t base = u->cfg.widths[0], half = base / 2;
	struct gpu_tensor *angles = gpu_new(g, a, GPU_F32, "time", SHAPE(1, base));
	float *host = xcalloc((size_t)base, sizeof(*host));

	for (int64_t i = 0; i < half; i++) {
		const float step =
			-9.210340371976184f * (float)i / ((float)half - u->cfg.freq_shift);
		const float angle = (float)t * expf(step);
		host[u->cfg.cos_first ? i : half + i] = cosf(angle);
		host[u->cfg.cos_first ? half + i : i] = sinf(angle);
	}
	gpu_write(g, angles, host, (size_t)base * sizeof(*host));
	free(host);
	return angles;
}

/* silu(linear(silu(linear(angles)))) */
static const struct gpu_tensor *embed_time(struct pass *p, const struct gpu_tensor *angles)
{
	const struct aldm2_unet *u = p->run->unet;
	const int64_t wide = 4 * u->cfg.widths[0];
	struct gpu_tensor *h = gpu_new(p->g, p->a, GPU_F32, "time", SHAPE(1, wide));
	struct gpu_tensor *out = gpu_new(p->g, p->a, GPU_F32, "time", SHAPE(1, wide));

	gpu_linear(p->g, h, angles, u->time_w[0], u->time_b[0]);
	gpu_silu(p->g, h, h);
	gpu_linear(p->g, out, h, u->time_w[1], u->time_b[1]);
	gpu_silu(p->g, out, out);
	return out;
}

/* Each row of the batch looks at itself: y = attention(norm(x) qkv^T) */
static void self_attention(const struct pass *p, const struct unet_stack *s, struct gpu_tensor *y,
	const struct gpu_tensor *x, const struct gpu_norm *norm, const struct gpu_tensor *w)
{
	const int64_t b = p->run->n_rows, n = x->ne[0] / b, c = s->width;
	const float scale = 1 / sqrtf((float)(c / s->n_heads));
	struct gpu_tensor *qkv = gpu_new(p->g, p->a, GPU_F32, "qkv", SHAPE(x->ne[0], 3 * c));

	gpu_norm_linear(p->g, p->a, qkv, x, norm, w, NULL);
	struct gpu_tensor *to = gpu_reshape(p->g, p->a, y, SHAPE(b, n, c));
	const struct gpu_tensor *from = gpu_reshape(p->g, p->a, qkv, SHAPE(b, n, 3 * c));
	if (w->dtype == GPU_TILES)
		gpu_attention_tiles(p->g, to, from, s->n_heads, scale);
	else
		gpu_attention_full(p->g, to, from, NULL, s->n_heads, scale);
}

static void cross_attention(const struct pass *p, const struct unet_stack *s,
	const struct unet_block *t, struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct gpu_norm *norm)
{
	struct gpu_tensor *q = gpu_new(p->g, p->a, GPU_F32, "q", SHAPE(x->ne[0], s->width));

	gpu_norm_linear(p->g, p->a, q, x, norm, t->q, NULL);
	gpu_attention_cross(
		p->g, y, q, p->run->caches[t->cache], 1 / sqrtf((float)(s->width / s->n_heads)));
}

/* h [rows * tokens, width], in place */
static void block_forward(const struct pass *p, const struct unet_stack *s,
	const struct unet_block *t, struct gpu_tensor *h)
{
	const int64_t n = h->ne[0], c = s->width;
	struct gpu *g = p->g;
	struct gpu_mark mark = gpu_arena_mark(p->a);
	struct gpu_tensor *y = gpu_new(g, p->a, gpu_input_dtype(g, t->out), "heads", SHAPE(n, c));
	struct gpu_mark inner = gpu_arena_mark(p->a);
	const struct gpu_norm norm1 = {t->norm_w[0], t->norm_b[0], BLOCK_EPS};
	const struct gpu_norm norm2 = {t->norm_w[1], t->norm_b[1], BLOCK_EPS};
	const struct gpu_feed_forward ff = {
		.norm = {t->norm_w[2], t->norm_b[2], BLOCK_EPS},
		.in = t->ff_in,
		.in_bias = t->ff_in_b,
		.out = t->ff_out,
		.out_bias = t->ff_out_b,
		.act = GPU_UNARY_GELU,
		.is_gated = true,
	};

	self_attention(p, s, y, h, &norm1, t->qkv);
	gpu_linear_add(g, h, y, t->out, t->out_b);
	gpu_arena_release(p->a, inner);
	if (t->kv)
		cross_attention(p, s, t, y, h, &norm2);
	else
		self_attention(p, s, y, h, &norm2, t->qkv2);
	gpu_linear_add(g, h, y, t->out2, t->out2_b);
	gpu_arena_release(p->a, mark);
	gpu_feed_forward(g, p->a, h, &ff);
}

/* image += out(blocks(in(group_norm(image)))) */
static void stack_forward(
	const struct pass *p, const struct unet_stack *s, struct gpu_tensor *image)
{
	const int64_t n = image->ne[0] * image->ne[1] * image->ne[2], c = s->width;
	const struct gpu_group_norm norm = {s->norm_w, s->norm_b, s->n_groups, STACK_EPS, false};
	struct gpu_mark mark = gpu_arena_mark(p->a);
	struct gpu_tensor *x = gpu_new(
		p->g, p->a, GPU_F32, "normed", SHAPE(image->ne[0], image->ne[1], image->ne[2], c));
	struct gpu_tensor *h = gpu_new(p->g, p->a, GPU_F32, "h", SHAPE(n, c));

	gpu_group_norm(p->g, x, image, &norm);
	gpu_linear(p->g, h, image_rows(p->g, p->a, x), s->in_w, s->in_b);
	for (int64_t i = 0; i < s->n_blocks; i++)
		block_forward(p, s, &s->blocks[i], h);
	gpu_linear_add(p->g, image_rows(p->g, p->a, image), h, s->out_w, s->out_b);
	gpu_arena_release(p->a, mark);
}

static struct gpu_tensor *resnet_forward(
	const struct pass *p, const struct unet_level *l, int64_t i, const struct gpu_tensor *x)
{
	return resnet2d_forward(&l->resnets[i], p->g, p->a, x, p->time);
}

static struct gpu_tensor *down_forward(
	struct pass *p, const struct unet_level *l, struct gpu_tensor *x)
{
	for (int64_t i = 0; i < l->n_resnets; i++) {
		x = resnet_forward(p, l, i, x);
		for (int64_t s = 0; s < l->n_slots; s++)
			stack_forward(p, &l->stacks[i * l->n_slots + s], x);
		push(p, x);
	}
	if (l->resize.w) {
		x = conv3x3_forward(&l->resize, p->g, p->a, x, 2);
		push(p, x);
	}
	return x;
}

static struct gpu_tensor *middle_forward(
	struct pass *p, const struct unet_level *l, struct gpu_tensor *x)
{
	x = resnet_forward(p, l, 0, x);
	for (int64_t s = 0; s < l->n_slots; s++)
		stack_forward(p, &l->stacks[s], x);
	return resnet_forward(p, l, 1, x);
}

/* x and the skip side by side. */
static struct gpu_tensor *join(struct pass *p, const struct gpu_tensor *x)
{
	const struct gpu_tensor *skip = p->skips[--p->n_skips];
	struct gpu_tensor *y = gpu_new(p->g, p->a, GPU_F32, "joined",
		SHAPE(x->ne[0], x->ne[1], x->ne[2], x->ne[3] + skip->ne[3]));

	gpu_concat(p->g, y, x, skip);
	return y;
}

static struct gpu_tensor *up_forward(
	struct pass *p, const struct unet_level *l, struct gpu_tensor *x)
{
	for (int64_t i = 0; i < l->n_resnets; i++) {
		x = resnet_forward(p, l, i, join(p, x));
		for (int64_t s = 0; s < l->n_slots; s++)
			stack_forward(p, &l->stacks[i * l->n_slots + s], x);
	}
	if (l->resize.w) {
		const struct gpu_tensor *next = p->skips[p->n_skips - 1];
		x = conv3x3_up(&l->resize, p->g, p->a, x, next->ne[1], next->ne[2]);
	}
	return x;
}

struct gpu_tensor *aldm2_unet_forward(struct unet_run *run, struct gpu_arena *step,
	const struct gpu_tensor *x, const struct gpu_tensor *time)
{
	const struct aldm2_unet *u = run->unet;
	struct gpu_tensor *skips[UNET_MAX_LEVELS * 65 + 1];
	struct pass p = {.run = run, .g = run->g, .a = step, .skips = skips};
	struct gpu_tensor *out = gpu_new(
		run->g, step, GPU_F32, "noise", SHAPE(x->ne[0], x->ne[1], x->ne[2], u->cfg.n_out));
	struct gpu_mark mark = gpu_arena_mark(step);
	const struct gpu_group_norm norm = {
		u->norm_w, u->norm_b, u->cfg.n_groups, u->cfg.eps, true};

	p.time = embed_time(&p, time);
	struct gpu_tensor *h = conv3x3_forward(&u->conv_in, run->g, step, x, 1);
	push(&p, h);
	for (int64_t i = 0; i < u->cfg.n_levels; i++)
		h = down_forward(&p, &u->down[i], h);
	gpu_tap(run->g, h, "unet.down");
	h = middle_forward(&p, &u->mid, h);
	gpu_tap(run->g, h, "unet.mid");
	for (int64_t i = 0; i < u->cfg.n_levels; i++)
		h = up_forward(&p, &u->up[i], h);
	gpu_norm_conv2d(run->g, step, out, h, &norm, u->conv_out.w, u->conv_out.b,
		(struct gpu_conv2d){.kernel = 3, .pad = 1});
	gpu_arena_release(step, mark);
	gpu_tap(run->g, out, "unet.out");
	return out;
}
