/* The checked ops (gpu/check.h) that are several others at once.  A table that has no way of
 * its own runs those. */
#include "gpu/check.h"

void gpu_norm_linear(struct gpu *g, struct gpu_arena *a, struct gpu_tensor *y,
	const struct gpu_tensor *x, const struct gpu_norm *norm, const struct gpu_tensor *w,
	const struct gpu_tensor *bias)
{
	CALL(g, "norm_linear", linear, IN(y), IN(x), {"norm", norm->w, false},
		{"norm", norm->b, false}, IN(w), OPT(bias));
	NEED(gpu_is_f32(y, 2) && gpu_is_f32(x, 2), "x and y must be contiguous f32 of rank 2");
	const int64_t n = x->ne[1];
	NEED(n > 0 && gpu_is_vector(norm->w, n) && gpu_is_vector(norm->b, n),
		"the norm must be f32, one per column");
	NEED(gpu_is_matrix(w) && w->ne[1] == n, "w must be a packed matrix of the columns of x");
	NEED(y->ne[0] == x->ne[0] && y->ne[1] == w->ne[0], "y has another shape than x w^T");
	NEED(gpu_is_vector(bias, w->ne[0]), "bias must be f32, one per output");
	NEED(y->data != x->data, "y may not be x");
	if (!gpu_count(y))
		return;
	struct gpu_mark mark = gpu_arena_mark(a);
	struct gpu_tensor *normed = gpu_new(g, a, GPU_F32, "normed", SHAPE(x->ne[0], n));
	const bool is_fused = !gpu_failed(g) && g->ops->norm_linear &&
			      g->ops->norm_linear(g, y, x, norm, w, bias, normed);
	if (is_fused) {
		g->dispatches++;
	} else {
		gpu_layer_norm(g, normed, x, norm->w, norm->b, norm->eps);
		gpu_linear(g, y, normed, w, bias);
	}
	gpu_arena_release(a, mark);
}

void gpu_norm_conv2d(struct gpu *g, struct gpu_arena *a, struct gpu_tensor *y,
	const struct gpu_tensor *x, const struct gpu_group_norm *norm, const struct gpu_tensor *w,
	const struct gpu_tensor *bias, struct gpu_conv2d conv)
{
	CALL(g, "norm_conv2d", conv2d, IN(y), IN(x), {"norm", norm->w, false},
		{"norm", norm->b, false}, IN(w), OPT(bias));
	conv.stride = conv.stride ? conv.stride : 1;
	const char *fault = op_conv2d_fault(y, x, w, bias, conv);
	fault = fault ? fault : op_group_norm_fault(x, x, norm);
	NEED(!fault, fault);
	if (!gpu_count(y))
		return;
	if (g->ops->norm_conv2d && g->ops->norm_conv2d(g, y, x, norm, w, bias, conv)) {
		g->dispatches++;
		return;
	}
	struct gpu_mark mark = gpu_arena_mark(a);
	struct gpu_tensor *normed =
		gpu_new(g, a, GPU_F32, "normed", SHAPE(x->ne[0], x->ne[1], x->ne[2], x->ne[3]));
	gpu_group_norm(g, normed, x, norm);
	gpu_conv2d(g, y, normed, w, bias, conv);
	gpu_arena_release(a, mark);
}

void gpu_embed_at(struct gpu *g, struct gpu_arena *a, struct gpu_tensor *y,
	const struct gpu_tensor *table, const struct gpu_tensor *ids,
	const struct gpu_tensor *positions, const struct gpu_tensor *at)
{
	CALL(g, "embed_at", embed_sum, IN(y), IN(table), IN(ids), IN(positions), IN(at));
	const char *fault = op_embed_fault(y, table, ids);
	NEED(!fault, fault);
	NEED(gpu_is_f32(positions, 2) && positions->ne[0] > 0 && positions->ne[1] == y->ne[1],
		"positions must be contiguous f32 of the columns of y");
	NEED(gpu_is_plain(at, GPU_I32) && gpu_count(at) == 1, "at must be [1]");
	if (!gpu_count(y))
		return;
	if (g->ops->embed_at) {
		g->dispatches++;
		g->ops->embed_at(g, y, table, ids, positions, at);
		return;
	}
	struct gpu_mark mark = gpu_arena_mark(a);
	struct gpu_tensor *one = gpu_new(g, a, GPU_F32, "position", SHAPE(1, y->ne[1]));
	gpu_embed_sum(g, one, positions, gpu_reshape(g, a, at, SHAPE(1, 1)));
	gpu_embed_sum(g, y, table, ids);
	gpu_add(g, y, y, one);
	gpu_arena_release(a, mark);
}

static void activate(struct gpu *g, struct gpu_tensor *y, struct gpu_tensor *x,
	const struct gpu_feed_forward *ff)
{
	if (!ff->is_gated)
		(ff->act == GPU_UNARY_RELU ? gpu_relu : gpu_gelu)(g, y, x);
	else if (ff->act == GPU_UNARY_SILU)
		gpu_gated_silu(g, y, x);
	else
		(ff->act == GPU_UNARY_GELU ? gpu_gated_gelu : gpu_gated_gelu_tanh)(g, y, x);
}

static bool has_act(const struct gpu_feed_forward *ff)
{
	return ff->act == GPU_UNARY_GELU ||
	       (ff->is_gated ? ff->act == GPU_UNARY_SILU || ff->act == GPU_UNARY_GELU_TANH
			     : ff->act == GPU_UNARY_RELU);
}

void gpu_feed_forward(
	struct gpu *g, struct gpu_arena *a, struct gpu_tensor *x, const struct gpu_feed_forward *ff)
{
	const struct gpu_tensor *in = ff->in, *out = ff->out;
	CALL(g, "feed_forward", linear, IN(x), {"norm", ff->norm.w, false},
		{"norm", ff->norm.b, false}, IN(in), OPT(ff->in_bias), IN(out), OPT(ff->out_bias));
	NEED(gpu_is_f32(x, 2), "x must be contiguous f32 of rank 2");
	const int64_t n = x->ne[1];
	NEED(n > 0 && gpu_is_vector(ff->norm.w, n) && gpu_is_vector(ff->norm.b, n),
		"the norm must be f32, one per column");
	NEED(gpu_is_matrix(in) && gpu_is_matrix(out), "in and out must be packed matrices");
	NEED(in->ne[1] == n && out->ne[0] == n && in->ne[0] == (1 + ff->is_gated) * out->ne[1],
		"in and out do not fit x and each other");
	NEED(gpu_is_vector(ff->in_bias, in->ne[0]) && gpu_is_vector(ff->out_bias, n),
		"biases must be f32, one per output");
	NEED(has_act(ff), "no such function");
	if (!gpu_count(x))
		return;
	struct gpu_mark mark = gpu_arena_mark(a);
	struct gpu_tensor *normed = gpu_new(g, a, GPU_F32, "normed", SHAPE(x->ne[0], n));
	struct gpu_tensor *wide = gpu_new(g, a, GPU_F32, "ff", SHAPE(x->ne[0], in->ne[0]));
	struct gpu_tensor *h =
		!ff->is_gated ? wide
			      : gpu_new(g, a, GPU_F32, "gated ff", SHAPE(x->ne[0], out->ne[1]));
	const bool is_fused = !gpu_failed(g) && g->ops->feed_forward &&
			      g->ops->feed_forward(g, x, ff, normed, wide, h);
	if (is_fused) {
		g->dispatches++;
	} else {
		gpu_layer_norm(g, normed, x, ff->norm.w, ff->norm.b, ff->norm.eps);
		gpu_linear(g, wide, normed, in, ff->in_bias);
		activate(g, h, wide, ff);
		gpu_linear_add(g, x, h, out, ff->out_bias);
	}
	gpu_arena_release(a, mark);
}

static void convolve_parts(struct gpu *g, struct gpu_arena *a, struct gpu_tensor *y,
	const struct gpu_tensor *x, const struct gpu_leaky_conv *c, int64_t pad)
{
	const int64_t n = x->ne[0];
	struct gpu_tensor *padded = gpu_new(g, a, GPU_F32, "padded", SHAPE(n + 2 * pad, x->ne[1]));
	struct gpu_tensor *out = c->add ? gpu_new(g, a, GPU_F32, "conv", SHAPE(n, y->ne[1])) : y;

	if (pad) {
		gpu_fill(g, gpu_view(g, a, padded, 0, 0, pad), 0);
		gpu_fill(g, gpu_view(g, a, padded, 0, pad + n, pad), 0);
	}
	gpu_leaky_relu(g, gpu_view(g, a, padded, 0, pad, n), x, c->slope);
	gpu_conv1d(g, out, padded, c->w, c->bias,
		(struct gpu_conv){.kernel = c->kernel, .dilation = c->dilation});
	if (c->add)
		gpu_add(g, y, y, out);
}

void gpu_leaky_conv1d(struct gpu *g, struct gpu_arena *a, struct gpu_tensor *y,
	const struct gpu_tensor *x, const struct gpu_leaky_conv *conv)
{
	struct gpu_leaky_conv c = *conv;
	const struct gpu_tensor *w = c.w;
	CALL(g, "leaky_conv1d", conv1d, IN(y), IN(x), IN(w), OPT(c.bias));
	NEED(gpu_is_f32(y, 2) && gpu_is_f32(x, 2), "x and y must be contiguous f32 of rank 2");
	NEED(c.kernel >= 1 && c.kernel % 2 == 1 && c.kernel < INT32_MAX && c.dilation >= 0 &&
			c.dilation < INT32_MAX,
		"no such kernel or dilation");
	NEED(gpu_is_matrix(w) && w->ne[1] == c.kernel * x->ne[1],
		"w must be a packed matrix of kernel * channels columns");
	NEED(y->ne[0] == x->ne[0] && y->ne[1] == w->ne[0], "y has another shape than x gives");
	NEED(gpu_is_vector(c.bias, w->ne[0]), "bias must be f32, one per output");
	NEED(y->data != x->data, "y may not be x");
	if (!gpu_count(y) || !x->ne[1])
		return;
	c.dilation = c.dilation ? c.dilation : 1;
	g->dispatches++;
	if (g->ops->leaky_conv1d && g->ops->leaky_conv1d(g, y, x, &c))
		return;
	g->dispatches--; /* its parts count */
	struct gpu_mark mark = gpu_arena_mark(a);
	convolve_parts(g, a, y, x, &c, (c.kernel - 1) * c.dilation / 2);
	gpu_arena_release(a, mark);
}
