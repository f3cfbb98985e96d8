#include "engine/nets/resnet2d.h"

#include <stdio.h>

#include "engine/weights/bind.h"

/* ---- weights ------------------------------------------------------------ */

void conv3x3_bind(struct conv3x3 *c, struct bind *b, enum gpu_dtype dtype, int64_t n_out,
	int64_t n_in, const char *prefix)
{
	const struct bind_conv conv = {.n_out = n_out, .n_in = n_in, .kernel = 3, .square = true};

	bind_conv(b, &c->w, &c->b, dtype, conv, "%s", prefix);
}

static void bind_norm(struct gpu_tensor **w, struct gpu_tensor **bias, struct bind *b,
	int64_t width, const char *prefix, const char *name)
{
	bind_rows(b, w, GPU_F32, SHAPE(width), "%s.%s.weight", prefix, name);
	bind_rows(b, bias, GPU_F32, SHAPE(width), "%s.%s.bias", prefix, name);
}

void resnet2d_bind(struct resnet2d *r, struct bind *b, enum gpu_dtype dtype, enum gpu_dtype convs,
	int64_t time_width, const char *prefix)
{
	const struct bind_conv first = {
		.n_out = r->n_out, .n_in = r->n_in, .kernel = 3, .square = true};
	const struct bind_conv second = {
		.n_out = r->n_out, .n_in = r->n_out, .kernel = 3, .square = true};
	const struct bind_conv skip = {
		.n_out = r->n_out, .n_in = r->n_in, .kernel = 1, .square = true};

	bind_norm(&r->norm1_w, &r->norm1_b, b, r->n_in, prefix, "norm1");
	bind_conv(b, &r->conv1_w, &r->conv1_b, convs, first, "%s.conv1", prefix);
	if (time_width) {
		bind_matrix(b, &r->time_w, dtype, r->n_out, time_width, "%s.time_emb_proj.weight",
			prefix);
		bind_rows(b, &r->time_b, GPU_F32, SHAPE(r->n_out), "%s.time_emb_proj.bias", prefix);
	}
	bind_norm(&r->norm2_w, &r->norm2_b, b, r->n_out, prefix, "norm2");
	bind_conv(b, &r->conv2_w, &r->conv2_b, convs, second, "%s.conv2", prefix);
	if (r->n_in != r->n_out)
		bind_conv(b, &r->skip_w, &r->skip_b, dtype, skip, "%s.conv_shortcut", prefix);
}

/* ---- forward ------------------------------------------------------------ */

struct gpu_tensor *image_rows(struct gpu *g, struct gpu_arena *a, const struct gpu_tensor *x)
{
	return gpu_reshape(g, a, x, SHAPE(x->ne[0] * x->ne[1] * x->ne[2], x->ne[3]));
}

static struct gpu_tensor *image_like(
	struct gpu *g, struct gpu_arena *a, const struct gpu_tensor *x, int64_t channels)
{
	return gpu_new(g, a, GPU_F32, "image", SHAPE(x->ne[0], x->ne[1], x->ne[2], channels));
}

/* The bias of the first convolution with what the time adds to it. */
static struct gpu_tensor *timed_bias(
	const struct resnet2d *r, struct gpu *g, struct gpu_arena *a, const struct gpu_tensor *time)
{
	struct gpu_tensor *row = gpu_new(g, a, GPU_F32, "time", SHAPE(1, r->n_out));
	struct gpu_tensor *bias = gpu_reshape(g, a, row, SHAPE(r->n_out));

	gpu_linear(g, row, time, r->time_w, r->time_b);
	gpu_add(g, bias, bias, r->conv1_b);
	return bias;
}

struct gpu_tensor *resnet2d_forward(const struct resnet2d *r, struct gpu *g, struct gpu_arena *a,
	const struct gpu_tensor *x, const struct gpu_tensor *time)
{
	const struct gpu_conv2d conv = {.kernel = 3, .pad = 1};
	const struct gpu_group_norm norm1 = {r->norm1_w, r->norm1_b, r->n_groups, r->eps, true};
	const struct gpu_group_norm norm2 = {r->norm2_w, r->norm2_b, r->n_groups, r->eps, true};
	struct gpu_tensor *y = image_like(g, a, x, r->n_out);
	struct gpu_mark mark = gpu_arena_mark(a);
	struct gpu_tensor *h = image_like(g, a, x, r->n_out);

	gpu_norm_conv2d(g, a, h, x, &norm1, r->conv1_w,
		r->time_w ? timed_bias(r, g, a, time) : r->conv1_b, conv);
	gpu_norm_conv2d(g, a, y, h, &norm2, r->conv2_w, r->conv2_b, conv);
	if (r->skip_w)
		gpu_linear_add(g, image_rows(g, a, y), image_rows(g, a, x), r->skip_w, r->skip_b);
	else
		gpu_add(g, y, y, x);
	gpu_arena_release(a, mark);
	return y;
}

struct gpu_tensor *conv3x3_forward(const struct conv3x3 *c, struct gpu *g, struct gpu_arena *a,
	const struct gpu_tensor *x, int64_t stride)
{
	struct gpu_tensor *y = gpu_new(g, a, GPU_F32, "image",
		SHAPE(x->ne[0], (x->ne[1] - 1) / stride + 1, (x->ne[2] - 1) / stride + 1,
			c->w->ne[0]));

	gpu_conv2d(
		g, y, x, c->w, c->b, (struct gpu_conv2d){.kernel = 3, .stride = stride, .pad = 1});
	return y;
}

struct gpu_tensor *conv3x3_up(const struct conv3x3 *c, struct gpu *g, struct gpu_arena *a,
	const struct gpu_tensor *x, int64_t height, int64_t width)
{
	struct gpu_tensor *y =
		gpu_new(g, a, GPU_F32, "image", SHAPE(x->ne[0], height, width, c->w->ne[0]));

	gpu_conv2d(g, y, x, c->w, c->b, (struct gpu_conv2d){.kernel = 3, .pad = 1, .up = true});
	return y;
}
