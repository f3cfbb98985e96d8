/* The checked ops, one wrapper each (gpu/check.h): products of matrices, and what is made
 * of them. */
#include "gpu/check.h"

static int64_t ceil_div(int64_t a, int64_t b)
{
	return (a + b - 1) / b;
}

/* ---- products ----------------------------------------------------------- */

/* Why rows cannot be put there, or NULL. */
static const char *put_fault(const struct gpu_tensor *t, int64_t first, int64_t n)
{
	const bool is_packed = t->layout == GPU_MATRIX;

	if (!is_packed && (t->layout != GPU_ROWS || !gpu_is_contiguous(t) ||
				  (t->dtype != GPU_F32 && t->dtype != GPU_BF16)))
		return "not a matrix, nor contiguous f32 or bf16";
	if (first < 0 || n < 0 || first > t->ne[0] || n > t->ne[0] - first)
		return "no such rows";
	if (is_packed &&
		(first % GPU_ROW_GROUP != 0 || (n % GPU_ROW_GROUP != 0 && first + n != t->ne[0])))
		return "rows of a matrix come in groups of 32";
	return NULL;
}

void gpu_put_rows(struct gpu *g, struct gpu_tensor *t, int64_t first, int64_t n, const float *src)
{
	CALL(g, "put_rows", put_rows, IN(t));
	const char *fault = put_fault(t, first, n);
	NEED(!fault, fault);
	if (n)
		g->ops->put_rows(g, t, first, n, src);
}

bool gpu_converts_rows(const struct gpu *g)
{
	return g->ops->put_rows_from != NULL;
}

static void put_rows_from(struct gpu *g, struct gpu_tensor *t, int64_t first, int64_t n,
	const struct gpu_source *source, int *ret, struct err *e)
{
	CALL(g, "put_rows_from", put_rows_from, IN(t));
	const char *fault = put_fault(t, first, n);
	NEED(!fault, fault);
	if (n)
		*ret = g->ops->put_rows_from(g, t, first, n, source, e);
}

int gpu_put_rows_from(struct gpu *g, struct gpu_tensor *t, int64_t first, int64_t n,
	const struct gpu_source *source, struct err *e)
{
	int rc = 0;

	put_rows_from(g, t, first, n, source, &rc, e);
	return rc;
}

enum gpu_dtype gpu_input_dtype(const struct gpu *g, const struct gpu_tensor *w)
{
	return g->ops->input_dtype && gpu_is_matrix(w) ? g->ops->input_dtype(g, w) : GPU_F32;
}

static void linear(struct gpu *g, const char *op, struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct gpu_tensor *w, const struct gpu_tensor *bias, int beta)
{
	CALL(g, op, linear, IN(y), IN(x), IN(w), OPT(bias));
	NEED(gpu_is_plain(y, GPU_F32) &&
			(gpu_is_plain(x, GPU_F32) || gpu_is_plain(x, gpu_input_dtype(g, w))),
		"x and y must be contiguous f32");
	NEED(gpu_is_matrix(w), "w must be a packed matrix");
	const int last = x->n_dims - 1;
	NEED(x->ne[last] == w->ne[1], "inner sizes differ");
	NEED(y->n_dims == x->n_dims && gpu_is_same_extents(y, x, 0, last) &&
			y->ne[last] == w->ne[0],
		"y has another shape than x w^T");
	NEED(gpu_is_vector(bias, w->ne[0]), "bias must be f32, one per output");
	NEED(y->data != x->data, "y may not be x");
	g->dispatches++;
	if (gpu_count(y))
		g->ops->linear(g, y, x, w, bias, beta);
}

void gpu_linear(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct gpu_tensor *w, const struct gpu_tensor *bias)
{
	linear(g, "linear", y, x, w, bias, 0);
}

void gpu_linear_add(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct gpu_tensor *w, const struct gpu_tensor *bias)
{
	linear(g, "linear_add", y, x, w, bias, 1);
}

void gpu_linear_grouped(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct gpu_tensor *w, const struct gpu_tensor *bias)
{
	CALL(g, "linear_grouped", linear_grouped, IN(y), IN(x), IN(w), OPT(bias));
	NEED(gpu_is_plain(y, GPU_F32) && gpu_is_plain(x, GPU_F32),
		"x and y must be contiguous f32");
	NEED(gpu_is_matrix(w) && (w->dtype == GPU_F32 || w->dtype == GPU_BF16),
		"w must be a packed matrix of f32 or bf16");
	const int last = x->n_dims - 1;
	NEED(w->ne[1] > 0 && x->ne[last] > 0 && x->ne[last] % w->ne[1] == 0,
		"the inputs of a group do not divide the columns of x");
	NEED(w->ne[0] % (x->ne[last] / w->ne[1] * GPU_ROW_GROUP) == 0,
		"outputs of a group come in multiples of 32");
	NEED(y->n_dims == x->n_dims && gpu_is_same_extents(y, x, 0, last) &&
			y->ne[last] == w->ne[0],
		"y has another shape than the outputs");
	NEED(gpu_is_vector(bias, w->ne[0]), "bias must be f32, one per output");
	NEED(y->data != x->data, "y may not be x");
	g->dispatches++;
	if (gpu_count(y))
		g->ops->linear_grouped(g, y, x, w, bias);
}

/* Both convolutions: rank, batch, layout. */
static const char *conv_fault(const struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct gpu_tensor *w, struct gpu_conv conv)
{
	if (!gpu_is_timed_f32(x) || !gpu_is_timed_f32(y))
		return "x and y must be f32, contiguous or views along time";
	if ((x->n_dims != 2 && x->n_dims != 3) || y->n_dims != x->n_dims)
		return "x and y must both be [T, C] or [B, T, C]";
	if (x->n_dims == 3 && x->ne[0] != y->ne[0])
		return "batches differ";
	if (!gpu_is_matrix(w))
		return "w must be a packed matrix";
	if (conv.kernel < 1 || conv.stride < 0 || conv.dilation < 0)
		return "no such kernel, stride or dilation";
	if (y->data == x->data)
		return "y may not be x";
	return NULL;
}

void gpu_conv1d(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct gpu_tensor *w, const struct gpu_tensor *bias, struct gpu_conv conv)
{
	CALL(g, "conv1d", conv1d, IN(y), IN(x), IN(w), OPT(bias));
	const char *fault = conv_fault(y, x, w, conv);
	NEED(!fault, fault);
	const int rank = x->n_dims;
	const int64_t n_time = x->ne[rank - 2], n_in = x->ne[rank - 1];
	conv.stride = conv.stride ? conv.stride : 1;
	conv.dilation = conv.dilation ? conv.dilation : 1;
	NEED(n_in > 0 && w->ne[1] % n_in == 0 && w->ne[1] / n_in == conv.kernel,
		"w must have kernel * channels columns");
	NEED(y->ne[rank - 1] == w->ne[0], "y has another number of channels than w");
	NEED(gpu_is_vector(bias, w->ne[0]), "bias must be f32, one per output");
	NEED(n_time > 0 && conv.kernel - 1 <= (n_time - 1) / conv.dilation,
		"x is shorter than the kernel");
	NEED(y->ne[rank - 2] == (n_time - 1 - (conv.kernel - 1) * conv.dilation) / conv.stride + 1,
		"y has another number of frames than x gives");
	g->dispatches++;
	g->ops->conv1d(g, y, x, w, bias, conv);
}

void gpu_conv_transpose1d(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct gpu_tensor *w, const struct gpu_tensor *bias, struct gpu_conv conv)
{
	CALL(g, "conv_transpose1d", conv_transpose1d, IN(y), IN(x), IN(w), OPT(bias));
	const char *fault = conv_fault(y, x, w, conv);
	NEED(!fault, fault);
	const int rank = x->n_dims;
	const int64_t n_time = x->ne[rank - 2], n_in = x->ne[rank - 1], n_out = y->ne[rank - 1];
	conv.stride = conv.stride ? conv.stride : 1;
	NEED(conv.dilation <= 1, "dilation is not supported");
	NEED(n_in > 0 && w->ne[1] % n_in == 0 &&
			w->ne[1] / n_in == ceil_div(conv.kernel, conv.stride),
		"w must have ceil(kernel / stride) * channels columns");
	NEED(n_out > 0 && w->ne[0] % n_out == 0 && w->ne[0] / n_out == conv.stride,
		"w must have stride * channels of y rows");
	NEED(gpu_is_vector(bias, n_out), "bias must be f32, one per channel of y");
	const int64_t n_seen = w->ne[1] / n_in;
	NEED(n_time >= n_seen, "x is shorter than the kernel");
	NEED(y->ne[rank - 2] % conv.stride == 0 &&
			y->ne[rank - 2] / conv.stride == n_time - n_seen + 1,
		"y has another number of frames than x gives");
	g->dispatches++;
	g->ops->conv_transpose1d(g, y, x, w, bias, conv);
}

void gpu_lstm(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct gpu_lstm *lstm)
{
	CALL(g, "lstm", lstm, IN(y), IN(x), {"w_ih", lstm->w_ih, false},
		{"w_hh", lstm->w_hh, false}, {"bias", lstm->bias, false}, {"h", lstm->h, false},
		{"c", lstm->c, false});
	NEED(gpu_is_timed_f32(x) && gpu_is_timed_f32(y) && x->n_dims == 3 && y->n_dims == 3,
		"x and y must be f32 [B, T, C], contiguous or views along time");
	const int64_t n_batch = x->ne[0], n_in = x->ne[2], n_out = y->ne[2];
	NEED(y->ne[0] == n_batch && y->ne[1] == x->ne[1], "x and y differ in batch or time");
	NEED(gpu_is_matrix(lstm->w_ih) && gpu_is_matrix(lstm->w_hh),
		"weights must be packed matrices");
	NEED(lstm->w_ih->ne[0] == 4 * n_out && lstm->w_ih->ne[1] == n_in, "w_ih must be [4D, I]");
	NEED(lstm->w_hh->ne[0] == 4 * n_out && lstm->w_hh->ne[1] == n_out, "w_hh must be [4D, D]");
	NEED(gpu_is_vector(lstm->bias, 4 * n_out), "bias must be f32 [4D]");
	const struct gpu_tensor *h = lstm->h, *c = lstm->c;
	NEED(gpu_is_f32(h, 2) && h->ne[0] == n_batch && h->ne[1] == n_out, "h must be f32 [B, D]");
	NEED(gpu_is_f32(c, 2) && c->ne[0] == n_batch && c->ne[1] == n_out, "c must be f32 [B, D]");
	g->dispatches++;
	if (n_batch && x->ne[1])
		g->ops->lstm(g, y, x, lstm);
}

void gpu_gru(
	struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x, const struct gpu_gru *gru)
{
	CALL(g, "gru", gru, IN(y), IN(x), {"w_ih", gru->w_ih, false}, {"w_hh", gru->w_hh, false},
		{"b_ih", gru->b_ih, false}, {"b_hh", gru->b_hh, false}, {"h", gru->h, false});
	NEED(gpu_is_timed_f32(x) && gpu_is_timed_f32(y) && x->n_dims == 3 && y->n_dims == 3,
		"x and y must be f32 [B, T, C], contiguous or views along time");
	const int64_t n_batch = x->ne[0], n_in = x->ne[2], n_out = y->ne[2];
	NEED(y->ne[0] == n_batch && y->ne[1] == x->ne[1], "x and y differ in batch or time");
	NEED(gpu_is_matrix(gru->w_ih) && gpu_is_matrix(gru->w_hh),
		"weights must be packed matrices");
	NEED(gru->w_ih->ne[0] == 3 * n_out && gru->w_ih->ne[1] == n_in, "w_ih must be [3D, I]");
	NEED(gru->w_hh->ne[0] == 3 * n_out && gru->w_hh->ne[1] == n_out, "w_hh must be [3D, D]");
	NEED(gpu_is_vector(gru->b_ih, 3 * n_out) && gpu_is_vector(gru->b_hh, 3 * n_out),
		"biases must be f32 [3D]");
	const struct gpu_tensor *h = gru->h;
	NEED(gpu_is_f32(h, 2) && h->ne[0] == n_batch && h->ne[1] == n_out, "h must be f32 [B, D]");
	g->dispatches++;
	if (n_batch && x->ne[1])
		g->ops->gru(g, y, x, gru);
}

/* ---- images ------------------------------------------------------------- */

/* Whether `out` places come of `in`. */
static bool is_conv_size(int64_t out, int64_t in, struct gpu_conv2d conv)
{
	if (conv.up)
		return out == 2 * in || out == 2 * in - 1;
	return in + 2 * conv.pad >= conv.kernel &&
	       out == (in + 2 * conv.pad - conv.kernel) / conv.stride + 1;
}

const char *op_conv2d_fault(const struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct gpu_tensor *w, const struct gpu_tensor *bias, struct gpu_conv2d conv)
{
	const int64_t n_taps = conv.kernel * conv.kernel;

	if (!gpu_is_f32(y, 4) || !gpu_is_f32(x, 4))
		return "x and y must be contiguous f32 [B, H, W, C]";
	if (w->layout != GPU_MATRIX || w->dtype == GPU_I8)
		return "w must be a packed matrix of f32 or bf16";
	if (w->dtype == GPU_WINOGRAD && (conv.kernel != 3 || conv.stride != 1 || conv.pad != 1))
		return "w is for 3 x 3 places with stride 1 and padding 1";
	if (conv.kernel < 1 || conv.stride < 1 || conv.pad < 0 || conv.pad >= conv.kernel)
		return "no such kernel, stride or padding";
	if (conv.up && (conv.stride != 1 || 2 * conv.pad != conv.kernel - 1))
		return "an enlarged image needs stride 1 and a padding that keeps its size";
	if (x->ne[3] <= 0 || w->ne[1] % n_taps || w->ne[1] / n_taps != x->ne[3])
		return "w must have kernel * kernel * channels columns";
	if (y->ne[3] != w->ne[0])
		return "y has another number of channels than w";
	if (!gpu_is_vector(bias, w->ne[0]))
		return "bias must be f32, one per output";
	if (y->ne[0] != x->ne[0])
		return "batches differ";
	if (!is_conv_size(y->ne[1], x->ne[1], conv) || !is_conv_size(y->ne[2], x->ne[2], conv))
		return "y has another size than x gives";
	return y->data == x->data ? "y may not be x" : NULL;
}

void gpu_conv2d(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct gpu_tensor *w, const struct gpu_tensor *bias, struct gpu_conv2d conv)
{
	CALL(g, "conv2d", conv2d, IN(y), IN(x), IN(w), OPT(bias));
	conv.stride = conv.stride ? conv.stride : 1;
	const char *fault = op_conv2d_fault(y, x, w, bias, conv);
	NEED(!fault, fault);
	g->dispatches++;
	if (gpu_count(y))
		g->ops->conv2d(g, y, x, w, bias, conv);
}

const char *op_group_norm_fault(
	const struct gpu_tensor *y, const struct gpu_tensor *x, const struct gpu_group_norm *how)
{
	if (!gpu_is_plain(y, GPU_F32) || !gpu_is_plain(x, GPU_F32) || !gpu_is_same_shape(x, y) ||
		x->n_dims < 2)
		return "x and y must be contiguous f32 of one shape [B, .., C]";
	const int64_t n = x->ne[x->n_dims - 1];
	if (how->n_groups < 1 || n <= 0 || n % how->n_groups)
		return "the groups do not divide the channels";
	if (!gpu_is_vector(how->w, n) || !gpu_is_vector(how->b, n))
		return "w and b must be f32, one per channel";
	return NULL;
}

void gpu_group_norm(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct gpu_group_norm *how)
{
	CALL(g, "group_norm", group_norm, IN(y), IN(x), {"w", how->w, false}, {"b", how->b, false});
	const char *fault = op_group_norm_fault(y, x, how);
	NEED(!fault, fault);
	g->dispatches++;
	if (gpu_count(y))
		g->ops->group_norm(g, y, x, how);
}

void gpu_concat(
	struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *a, const struct gpu_tensor *b)
{
	CALL(g, "concat", concat, IN(y), IN(a), IN(b));
	NEED(gpu_is_plain(y, GPU_F32) && gpu_is_plain(a, GPU_F32) && gpu_is_plain(b, GPU_F32),
		"operands must be contiguous f32");
	const int last = y->n_dims - 1;
	NEED(a->n_dims == y->n_dims && b->n_dims == y->n_dims &&
			gpu_is_same_extents(y, a, 0, last) && gpu_is_same_extents(y, b, 0, last) &&
			y->ne[last] == a->ne[last] + b->ne[last],
		"y is not a and b side by side");
	NEED(y->data != a->data && y->data != b->data, "y may not be a nor b");
	g->dispatches++;
	if (gpu_count(y))
		g->ops->concat(g, y, a, b);
}
