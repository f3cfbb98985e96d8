/* The checked ops: one wrapper per op of gpu.h.
 *
 * A wrapper states its operands, checks shapes, dtypes and layouts, counts
 * the dispatch and calls the device's table.  The first failure is recorded
 * with the op, all operands and their shapes, and stops everything after it:
 *
 *	linear: y 'h' [2, 48], x 'x' [2, 64], w 'qkv' [144, 48]: inner sizes differ */
#include "gpu/ops.h"

#include <math.h>
#include <stdio.h>

struct operand {
	const char *role;
	const struct gpu_tensor *t;
	bool optional;
};

enum { MAX_OPERANDS = 8 };

struct call {
	struct gpu *g;
	const char *op;
	bool is_ready; /* the device has the op, and no error is pending */
	struct operand operands[MAX_OPERANDS];
};

/* Operands by their names. */
#define IN(t)  ((struct operand){#t, t, false})
#define OPT(t) ((struct operand){#t, t, true})

/* Starts a wrapper: returns unless the device has the op, all operands are there and no
 * error is pending. */
#define CALL(g, name, entry, ...)                                                                  \
	struct call call = {g, name, is_ready(g, name, (g)->ops->entry != NULL), {__VA_ARGS__}};   \
	if (!has_operands(&call))                                                                  \
	return

/* In a wrapper: fails with `why`, and returns, unless ok. */
#define NEED(ok, why)                                                                              \
	do {                                                                                       \
		if (!(ok)) {                                                                       \
			fail(&call, why);                                                          \
			return;                                                                    \
		}                                                                                  \
	} while (0)

static void fail(const struct call *c, const char *why)
{
	char list[768], text[GPU_SHAPE_TEXT];
	size_t n = 0;

	list[0] = '\0';
	for (int i = 0; i < MAX_OPERANDS && c->operands[i].role && n < sizeof(list); i++) {
		const struct gpu_tensor *t = c->operands[i].t;
		if (!t)
			continue;
		n += (size_t)snprintf(list + n, sizeof(list) - n, "%s%s '%.60s' %s", n ? ", " : "",
			c->operands[i].role, t->name, gpu_shape_text(t->ne, t->n_dims, text));
	}
	gpu_fail(c->g, ERR_BUG, "%s: %s: %s", c->op, list, why);
}

static bool is_ready(struct gpu *g, const char *op, bool has_entry)
{
	if (gpu_failed(g))
		return false;
	if (!has_entry)
		gpu_fail(
			g, ERR_UNSUPPORTED, "%s: the %s device has no such op", op, g->ops->device);
	return has_entry;
}

/* All there, none the empty tensor of an earlier failure. */
static bool has_operands(const struct call *c)
{
	if (!c->is_ready)
		return false;
	for (int i = 0; i < MAX_OPERANDS && c->operands[i].role; i++) {
		const struct operand *o = &c->operands[i];
		if (!o->t && o->optional)
			continue;
		if (!o->t)
			gpu_fail(c->g, ERR_BUG, "%s: %s is missing", c->op, o->role);
		else if (!o->t->data)
			fail(c, "an operand is empty");
		if (gpu_failed(c->g))
			return false;
	}
	return true;
}

/* ---- what shapes may be ------------------------------------------------- */

/* Row-major and contiguous. */
static bool is_plain(const struct gpu_tensor *t, enum gpu_dtype dtype)
{
	return t->layout == GPU_ROWS && t->dtype == dtype && gpu_is_contiguous(t);
}

static bool is_f32(const struct gpu_tensor *t, int rank)
{
	return is_plain(t, GPU_F32) && t->n_dims == rank;
}

static bool is_vector(const struct gpu_tensor *t, int64_t n)
{
	return !t || (is_f32(t, 1) && t->ne[0] == n);
}

/* Row-major; contiguous, or a view of a rank-3 tensor along time. */
static bool is_timed(const struct gpu_tensor *t)
{
	return t->layout == GPU_ROWS &&
	       (gpu_is_contiguous(t) || (t->n_dims == 3 && t->nb[2] == 1 &&
						(t->nb[1] == t->ne[2] || t->ne[1] == 1)));
}

static bool is_timed_f32(const struct gpu_tensor *t)
{
	return is_timed(t) && t->dtype == GPU_F32;
}

static bool is_matrix(const struct gpu_tensor *t)
{
	return t->layout == GPU_MATRIX;
}

/* Extents of dimensions first..end-1. */
static bool is_same_extents(
	const struct gpu_tensor *a, const struct gpu_tensor *b, int first, int end)
{
	for (int i = first; i < end; i++)
		if (a->ne[i] != b->ne[i])
			return false;
	return true;
}

static bool is_same_shape(const struct gpu_tensor *a, const struct gpu_tensor *b)
{
	return a->n_dims == b->n_dims && is_same_extents(a, b, 0, a->n_dims);
}

static bool is_kv(const struct gpu_kv *kv)
{
	return kv->k && kv->v && kv->k->data && kv->v->data;
}

static int64_t ceil_div(int64_t a, int64_t b)
{
	return (a + b - 1) / b;
}

/* ---- products ----------------------------------------------------------- */

void gpu_put_rows(struct gpu *g, struct gpu_tensor *t, int64_t first, int64_t n, const float *src)
{
	CALL(g, "put_rows", put_rows, IN(t));
	NEED(is_matrix(t) || (t->layout == GPU_ROWS && gpu_is_contiguous(t) &&
				     (t->dtype == GPU_F32 || t->dtype == GPU_BF16)),
		"not a matrix, nor contiguous f32 or bf16");
	NEED(first >= 0 && n >= 0 && first <= t->ne[0] && n <= t->ne[0] - first, "no such rows");
	NEED(!is_matrix(t) || (first % GPU_ROW_GROUP == 0 &&
				      (n % GPU_ROW_GROUP == 0 || first + n == t->ne[0])),
		"rows of a matrix come in groups of 32");
	if (n)
		g->ops->put_rows(g, t, first, n, src);
}

static void linear(struct gpu *g, const char *op, struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct gpu_tensor *w, const struct gpu_tensor *bias, int beta)
{
	CALL(g, op, linear, IN(y), IN(x), IN(w), OPT(bias));
	NEED(is_plain(y, GPU_F32) && is_plain(x, GPU_F32), "x and y must be contiguous f32");
	NEED(is_matrix(w), "w must be a packed matrix");
	const int last = x->n_dims - 1;
	NEED(x->ne[last] == w->ne[1], "inner sizes differ");
	NEED(y->n_dims == x->n_dims && is_same_extents(y, x, 0, last) && y->ne[last] == w->ne[0],
		"y has another shape than x w^T");
	NEED(is_vector(bias, w->ne[0]), "bias must be f32, one per output");
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
	NEED(is_plain(y, GPU_F32) && is_plain(x, GPU_F32), "x and y must be contiguous f32");
	NEED(is_matrix(w) && w->dtype != GPU_I8, "w must be a packed matrix of f32 or bf16");
	const int last = x->n_dims - 1;
	NEED(w->ne[1] > 0 && x->ne[last] > 0 && x->ne[last] % w->ne[1] == 0,
		"the inputs of a group do not divide the columns of x");
	NEED(w->ne[0] % (x->ne[last] / w->ne[1] * GPU_ROW_GROUP) == 0,
		"outputs of a group come in multiples of 32");
	NEED(y->n_dims == x->n_dims && is_same_extents(y, x, 0, last) && y->ne[last] == w->ne[0],
		"y has another shape than the outputs");
	NEED(is_vector(bias, w->ne[0]), "bias must be f32, one per output");
	NEED(y->data != x->data, "y may not be x");
	g->dispatches++;
	if (gpu_count(y))
		g->ops->linear_grouped(g, y, x, w, bias);
}

/* Both convolutions: rank, batch, layout. */
static const char *conv_fault(const struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct gpu_tensor *w, struct gpu_conv conv)
{
	if (!is_timed_f32(x) || !is_timed_f32(y))
		return "x and y must be f32, contiguous or views along time";
	if ((x->n_dims != 2 && x->n_dims != 3) || y->n_dims != x->n_dims)
		return "x and y must both be [T, C] or [B, T, C]";
	if (x->n_dims == 3 && x->ne[0] != y->ne[0])
		return "batches differ";
	if (!is_matrix(w))
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
	NEED(is_vector(bias, w->ne[0]), "bias must be f32, one per output");
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
	NEED(is_vector(bias, n_out), "bias must be f32, one per channel of y");
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
	NEED(is_timed_f32(x) && is_timed_f32(y) && x->n_dims == 3 && y->n_dims == 3,
		"x and y must be f32 [B, T, C], contiguous or views along time");
	const int64_t n_batch = x->ne[0], n_in = x->ne[2], n_out = y->ne[2];
	NEED(y->ne[0] == n_batch && y->ne[1] == x->ne[1], "x and y differ in batch or time");
	NEED(is_matrix(lstm->w_ih) && is_matrix(lstm->w_hh), "weights must be packed matrices");
	NEED(lstm->w_ih->ne[0] == 4 * n_out && lstm->w_ih->ne[1] == n_in, "w_ih must be [4D, I]");
	NEED(lstm->w_hh->ne[0] == 4 * n_out && lstm->w_hh->ne[1] == n_out, "w_hh must be [4D, D]");
	NEED(is_vector(lstm->bias, 4 * n_out), "bias must be f32 [4D]");
	const struct gpu_tensor *h = lstm->h, *c = lstm->c;
	NEED(is_f32(h, 2) && h->ne[0] == n_batch && h->ne[1] == n_out, "h must be f32 [B, D]");
	NEED(is_f32(c, 2) && c->ne[0] == n_batch && c->ne[1] == n_out, "c must be f32 [B, D]");
	g->dispatches++;
	if (n_batch && x->ne[1])
		g->ops->lstm(g, y, x, lstm);
}

void gpu_gru(
	struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x, const struct gpu_gru *gru)
{
	CALL(g, "gru", gru, IN(y), IN(x), {"w_ih", gru->w_ih, false}, {"w_hh", gru->w_hh, false},
		{"b_ih", gru->b_ih, false}, {"b_hh", gru->b_hh, false}, {"h", gru->h, false});
	NEED(is_timed_f32(x) && is_timed_f32(y) && x->n_dims == 3 && y->n_dims == 3,
		"x and y must be f32 [B, T, C], contiguous or views along time");
	const int64_t n_batch = x->ne[0], n_in = x->ne[2], n_out = y->ne[2];
	NEED(y->ne[0] == n_batch && y->ne[1] == x->ne[1], "x and y differ in batch or time");
	NEED(is_matrix(gru->w_ih) && is_matrix(gru->w_hh), "weights must be packed matrices");
	NEED(gru->w_ih->ne[0] == 3 * n_out && gru->w_ih->ne[1] == n_in, "w_ih must be [3D, I]");
	NEED(gru->w_hh->ne[0] == 3 * n_out && gru->w_hh->ne[1] == n_out, "w_hh must be [3D, D]");
	NEED(is_vector(gru->b_ih, 3 * n_out) && is_vector(gru->b_hh, 3 * n_out),
		"biases must be f32 [3D]");
	const struct gpu_tensor *h = gru->h;
	NEED(is_f32(h, 2) && h->ne[0] == n_batch && h->ne[1] == n_out, "h must be f32 [B, D]");
	g->dispatches++;
	if (n_batch && x->ne[1])
		g->ops->gru(g, y, x, gru);
}

/* ---- attention ---------------------------------------------------------- */

void gpu_attention_causal(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *qkv,
	struct gpu_kv *kv, float scale)
{
	CALL(g, "attention_causal", attention_causal, IN(y), IN(qkv));
	NEED(is_kv(kv), "the cache is empty");
	const int64_t width = kv->n_heads * kv->head_dim;
	NEED(is_f32(y, 2) && is_f32(qkv, 2), "y and qkv must be contiguous f32 of rank 2");
	NEED(y->ne[1] == width && qkv->ne[1] == 3 * width, "widths differ from the cache's heads");
	NEED(y->ne[0] == qkv->ne[0] && y->ne[0] % kv->n_rows == 0,
		"rows must be a multiple of the cache's sequences");
	NEED(y->data != qkv->data, "y may not be qkv");
	const int64_t n_time = y->ne[0] / kv->n_rows;
	for (int64_t r = 0; r < kv->n_rows; r++)
		NEED(n_time <= kv->max_len - kv->len[r], "the cache is full");
	g->dispatches++;
	if (n_time)
		g->ops->attention_causal(g, y, qkv, kv, n_time, scale);
}

void gpu_kv_fill(struct gpu *g, struct gpu_kv *kv, int64_t row, const struct gpu_tensor *kv_x)
{
	CALL(g, "kv_fill", kv_fill, IN(kv_x));
	NEED(is_kv(kv), "the cache is empty");
	NEED(row >= 0 && row < kv->n_rows, "the cache has no such sequence");
	NEED(is_f32(kv_x, 2) && kv_x->ne[1] == 2 * kv->n_heads * kv->head_dim,
		"kv_x must be contiguous f32 [S, 2H]");
	NEED(kv_x->ne[0] >= 1 && kv_x->ne[0] <= kv->max_len, "the cache is too short");
	g->dispatches++;
	g->ops->kv_fill(g, kv, row, kv_x);
}

void gpu_attention_cross(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *q,
	const struct gpu_kv *kv, float scale)
{
	CALL(g, "attention_cross", attention_cross, IN(y), IN(q));
	NEED(is_kv(kv), "the cache is empty");
	NEED(is_f32(y, 2) && is_f32(q, 2) && is_same_shape(y, q),
		"y and q must be contiguous f32 of one shape [R, H]");
	NEED(q->ne[1] > 0 && q->ne[1] % (kv->n_heads * kv->head_dim) == 0,
		"widths differ from the cache's heads");
	NEED(q->ne[0] % kv->n_rows == 0, "rows must be a multiple of the cache's sequences");
	for (int64_t r = 0; r < kv->n_rows; r++)
		NEED(kv->len[r] > 0, "a sequence of the cache is not filled");
	g->dispatches++;
	if (q->ne[0])
		g->ops->attention_cross(g, y, q, kv, scale);
}

void gpu_attention_full(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *qkv,
	const struct gpu_tensor *bias, int64_t n_heads, float scale)
{
	CALL(g, "attention_full", attention_full, IN(y), IN(qkv), OPT(bias));
	NEED(is_f32(y, 2) && is_f32(qkv, 2), "y and qkv must be contiguous f32 of rank 2");
	NEED(n_heads > 0 && y->ne[1] % n_heads == 0 && y->ne[1] > 0,
		"heads do not divide the width");
	NEED(y->ne[0] == qkv->ne[0] && qkv->ne[1] % 3 == 0 && qkv->ne[1] / 3 == y->ne[1],
		"y must be [T, H] and qkv [T, 3H]");
	NEED(!bias || (is_f32(bias, 2) && bias->ne[0] == n_heads &&
			      bias->ne[1] == 2 * y->ne[0] - 1),
		"bias must be f32 [heads, 2T-1]");
	NEED(y->data != qkv->data, "y may not be qkv");
	g->dispatches++;
	if (y->ne[0])
		g->ops->attention_full(g, y, qkv, bias, n_heads, scale);
}

void gpu_attention_tiles(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *qkv,
	int64_t n_heads, float scale)
{
	CALL(g, "attention_tiles", attention_tiles, IN(y), IN(qkv));
	NEED(is_f32(y, 2) && is_f32(qkv, 2), "y and qkv must be contiguous f32 of rank 2");
	NEED(n_heads > 0 && y->ne[1] % n_heads == 0 && y->ne[1] > 0,
		"heads do not divide the width");
	NEED(y->ne[0] == qkv->ne[0] && qkv->ne[1] % 3 == 0 && qkv->ne[1] / 3 == y->ne[1],
		"y must be [T, H] and qkv [T, 3H]");
	NEED(y->data != qkv->data, "y may not be qkv");
	g->dispatches++;
	if (y->ne[0])
		g->ops->attention_tiles(g, y, qkv, n_heads, scale);
}

void gpu_rope(struct gpu *g, struct gpu_tensor *x, const struct gpu_tensor *table, int64_t n_heads,
	int64_t head_dim)
{
	CALL(g, "rope", rope, IN(x), IN(table));
	NEED(is_f32(x, 2) && is_f32(table, 2), "x and table must be contiguous f32 of rank 2");
	NEED(table->ne[0] == x->ne[0], "the table has another number of rows than x");
	NEED(table->ne[1] % 2 == 0 && table->ne[1] <= head_dim,
		"heads are narrower than the table");
	NEED(n_heads >= 0 && head_dim > 0 && n_heads <= x->ne[1] / head_dim, "x has fewer heads");
	g->dispatches++;
	if (x->ne[0] && n_heads)
		g->ops->rope(g, x, table, n_heads, head_dim);
}

void gpu_head_norm(struct gpu *g, struct gpu_tensor *x, const struct gpu_tensor *w,
	const struct gpu_tensor *b, int64_t first, int64_t n_heads, float eps)
{
	CALL(g, "head_norm", head_norm, IN(x), IN(w), IN(b));
	NEED(is_f32(x, 2) && is_f32(w, 1) && is_vector(b, w->ne[0]),
		"x must be contiguous f32 of rank 2, w and b f32 of one length");
	NEED(w->ne[0] > 0 && first >= 0 && n_heads >= 0 && first <= x->ne[1] / w->ne[0] &&
			n_heads <= x->ne[1] / w->ne[0] - first,
		"x has fewer heads");
	g->dispatches++;
	if (x->ne[0] && n_heads)
		g->ops->head_norm(g, x, w, b, first, n_heads, eps);
}

void gpu_attention_windows(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *qkv,
	const struct gpu_tensor *bias, const struct gpu_tensor *mask, float scale)
{
	CALL(g, "attention_windows", attention_windows, IN(y), IN(qkv), IN(bias), OPT(mask));
	NEED(is_f32(y, 3) && is_f32(qkv, 3) && is_f32(bias, 3),
		"y, qkv and bias must be contiguous f32 of rank 3");
	NEED(is_same_extents(y, qkv, 0, 2) && qkv->ne[2] % 3 == 0 && qkv->ne[2] / 3 == y->ne[2],
		"y must be [W, L, H] and qkv [W, L, 3H]");
	const int64_t len = y->ne[1];
	NEED(bias->ne[1] == len && bias->ne[2] == len, "bias must be [heads, L, L]");
	NEED(bias->ne[0] > 0 && y->ne[2] > 0 && y->ne[2] % bias->ne[0] == 0,
		"heads do not divide the width");
	NEED(!mask || (is_f32(mask, 3) && mask->ne[0] > 0 && mask->ne[1] == len &&
			      mask->ne[2] == len),
		"mask must be f32 [M, L, L]");
	NEED(y->data != qkv->data, "y may not be qkv");
	g->dispatches++;
	if (gpu_count(y))
		g->ops->attention_windows(g, y, qkv, bias, mask, scale);
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

void gpu_conv2d(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct gpu_tensor *w, const struct gpu_tensor *bias, struct gpu_conv2d conv)
{
	CALL(g, "conv2d", conv2d, IN(y), IN(x), IN(w), OPT(bias));
	NEED(is_f32(y, 4) && is_f32(x, 4), "x and y must be contiguous f32 [B, H, W, C]");
	NEED(is_matrix(w) && w->dtype != GPU_I8, "w must be a packed matrix of f32 or bf16");
	conv.stride = conv.stride ? conv.stride : 1;
	NEED(conv.kernel >= 1 && conv.stride >= 1 && conv.pad >= 0 && conv.pad < conv.kernel,
		"no such kernel, stride or padding");
	NEED(!conv.up || (conv.stride == 1 && 2 * conv.pad == conv.kernel - 1),
		"an enlarged image needs stride 1 and a padding that keeps its size");
	const int64_t n_taps = conv.kernel * conv.kernel;
	NEED(x->ne[3] > 0 && w->ne[1] % n_taps == 0 && w->ne[1] / n_taps == x->ne[3],
		"w must have kernel * kernel * channels columns");
	NEED(y->ne[3] == w->ne[0], "y has another number of channels than w");
	NEED(is_vector(bias, w->ne[0]), "bias must be f32, one per output");
	NEED(y->ne[0] == x->ne[0], "batches differ");
	NEED(is_conv_size(y->ne[1], x->ne[1], conv) && is_conv_size(y->ne[2], x->ne[2], conv),
		"y has another size than x gives");
	NEED(y->data != x->data, "y may not be x");
	g->dispatches++;
	if (gpu_count(y))
		g->ops->conv2d(g, y, x, w, bias, conv);
}

void gpu_group_norm(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct gpu_group_norm *how)
{
	CALL(g, "group_norm", group_norm, IN(y), IN(x), {"w", how->w, false}, {"b", how->b, false});
	NEED(is_plain(y, GPU_F32) && is_plain(x, GPU_F32) && is_same_shape(x, y) && x->n_dims >= 2,
		"x and y must be contiguous f32 of one shape [B, .., C]");
	const int64_t n = x->ne[x->n_dims - 1];
	NEED(how->n_groups >= 1 && n > 0 && n % how->n_groups == 0,
		"the groups do not divide the channels");
	NEED(is_vector(how->w, n) && is_vector(how->b, n), "w and b must be f32, one per channel");
	g->dispatches++;
	if (gpu_count(y))
		g->ops->group_norm(g, y, x, how);
}

void gpu_concat(
	struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *a, const struct gpu_tensor *b)
{
	CALL(g, "concat", concat, IN(y), IN(a), IN(b));
	NEED(is_plain(y, GPU_F32) && is_plain(a, GPU_F32) && is_plain(b, GPU_F32),
		"operands must be contiguous f32");
	const int last = y->n_dims - 1;
	NEED(a->n_dims == y->n_dims && b->n_dims == y->n_dims && is_same_extents(y, a, 0, last) &&
			is_same_extents(y, b, 0, last) && y->ne[last] == a->ne[last] + b->ne[last],
		"y is not a and b side by side");
	NEED(y->data != a->data && y->data != b->data, "y may not be a nor b");
	g->dispatches++;
	if (gpu_count(y))
		g->ops->concat(g, y, a, b);
}

/* ---- norms, elementwise, lookups ---------------------------------------- */

static void norm(struct gpu *g, const char *op, struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct gpu_tensor *w, const struct gpu_tensor *b, float eps, bool rms)
{
	CALL(g, op, norm, IN(y), IN(x), IN(w), {"b", b, rms});
	NEED(is_plain(y, GPU_F32) && is_plain(x, GPU_F32) && is_same_shape(x, y),
		"x and y must be contiguous f32 of one shape");
	const int64_t n = x->ne[x->n_dims - 1];
	NEED(n > 0, "rows are empty");
	NEED(is_vector(w, n) && is_vector(b, n), "w and b must be f32, one per column");
	g->dispatches++;
	if (gpu_count(y))
		g->ops->norm(g, y, x, w, b, eps, rms);
}

void gpu_layer_norm(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct gpu_tensor *w, const struct gpu_tensor *b, float eps)
{
	norm(g, "layer_norm", y, x, w, b, eps, false);
}

void gpu_rms_norm(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct gpu_tensor *w, float eps)
{
	norm(g, "rms_norm", y, x, w, NULL, eps, true);
}

static void unary(struct gpu *g, const char *name, struct gpu_tensor *y, const struct gpu_tensor *x,
	enum gpu_unary op)
{
	CALL(g, name, unary, IN(y), IN(x));
	NEED(is_timed_f32(y) && is_timed_f32(x),
		"x and y must be f32, contiguous or views along time");
	NEED(is_same_shape(x, y), "shapes differ");
	g->dispatches++;
	if (gpu_count(y))
		g->ops->unary(g, y, x, op);
}

void gpu_relu(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x)
{
	unary(g, "relu", y, x, GPU_UNARY_RELU);
}

void gpu_gelu(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x)
{
	unary(g, "gelu", y, x, GPU_UNARY_GELU);
}

void gpu_elu(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x)
{
	unary(g, "elu", y, x, GPU_UNARY_ELU);
}

void gpu_sigmoid(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x)
{
	unary(g, "sigmoid", y, x, GPU_UNARY_SIGMOID);
}

void gpu_tanh(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x)
{
	unary(g, "tanh", y, x, GPU_UNARY_TANH);
}

void gpu_silu(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x)
{
	unary(g, "silu", y, x, GPU_UNARY_SILU);
}

void gpu_snake(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct gpu_tensor *alpha, const struct gpu_tensor *inv_beta)
{
	CALL(g, "snake", snake, IN(y), IN(x), IN(alpha), IN(inv_beta));
	NEED(is_plain(y, GPU_F32) && is_plain(x, GPU_F32) && is_same_shape(x, y),
		"x and y must be contiguous f32 of one shape");
	const int64_t n = x->ne[x->n_dims - 1];
	NEED(n > 0 && is_vector(alpha, n) && is_vector(inv_beta, n),
		"alpha and inv_beta must be f32, one per channel");
	g->dispatches++;
	if (gpu_count(y))
		g->ops->snake(g, y, x, alpha, inv_beta);
}

void gpu_gelu_tanh(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x)
{
	unary(g, "gelu_tanh", y, x, GPU_UNARY_GELU_TANH);
}

void gpu_leaky_relu(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x, float slope)
{
	CALL(g, "leaky_relu", leaky_relu, IN(y), IN(x));
	NEED(is_timed_f32(y) && is_timed_f32(x),
		"x and y must be f32, contiguous or views along time");
	NEED(is_same_shape(x, y), "shapes differ");
	g->dispatches++;
	if (gpu_count(y))
		g->ops->leaky_relu(g, y, x, slope);
}

static void gated(struct gpu *g, const char *op, struct gpu_tensor *y, const struct gpu_tensor *x,
	enum gpu_unary act)
{
	CALL(g, op, gated, IN(y), IN(x));
	NEED(is_f32(y, 2) && is_f32(x, 2), "x and y must be contiguous f32 of rank 2");
	NEED(x->ne[0] == y->ne[0] && x->ne[1] == 2 * y->ne[1], "x must be [T, 2F], y [T, F]");
	NEED(x->data != y->data, "y may not be x");
	g->dispatches++;
	if (gpu_count(y))
		g->ops->gated(g, y, x, act);
}

void gpu_gated_silu(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x)
{
	gated(g, "gated_silu", y, x, GPU_UNARY_SILU);
}

void gpu_gated_gelu_tanh(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x)
{
	gated(g, "gated_gelu_tanh", y, x, GPU_UNARY_GELU_TANH);
}

void gpu_gated_gelu(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x)
{
	gated(g, "gated_gelu", y, x, GPU_UNARY_GELU);
}

/* b's rows repeat in a's; everything but the first dimension agrees. */
static bool can_repeat(const struct gpu_tensor *a, const struct gpu_tensor *b)
{
	return a->n_dims == b->n_dims && b->ne[0] >= 1 && a->ne[0] % b->ne[0] == 0 &&
	       is_same_extents(a, b, 1, a->n_dims);
}

void gpu_add(
	struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *a, const struct gpu_tensor *b)
{
	CALL(g, "add", add, IN(y), IN(a), IN(b));
	NEED(is_timed_f32(y) && is_timed_f32(a) && is_timed_f32(b),
		"operands must be f32, contiguous or views along time");
	NEED(is_same_shape(y, a), "y and a differ in shape");
	NEED(is_same_shape(a, b) || can_repeat(a, b), "the rows of b do not repeat in a");
	g->dispatches++;
	if (gpu_count(y))
		g->ops->add(g, y, a, b);
}

static void copy(struct gpu *g, const char *op, struct gpu_tensor *dst,
	const struct gpu_tensor *src, bool flip)
{
	CALL(g, op, copy, IN(dst), IN(src));
	NEED(is_timed(dst) && is_timed(src), "operands must be contiguous or views along time");
	NEED(dst->dtype == src->dtype, "dtypes differ");
	NEED(is_same_shape(dst, src), "shapes differ");
	NEED(!flip || dst->n_dims == 2 || dst->n_dims == 3, "flip is for [T, C] and [B, T, C]");
	NEED(!flip || dst->data != src->data, "dst may not be src");
	g->dispatches++;
	if (gpu_count(dst))
		g->ops->copy(g, dst, src, flip);
}

void gpu_copy(struct gpu *g, struct gpu_tensor *dst, const struct gpu_tensor *src)
{
	copy(g, "copy", dst, src, false);
}

void gpu_flip(struct gpu *g, struct gpu_tensor *dst, const struct gpu_tensor *src)
{
	copy(g, "flip", dst, src, true);
}

void gpu_fill(struct gpu *g, struct gpu_tensor *y, float value)
{
	CALL(g, "fill", fill, IN(y));
	NEED(is_timed_f32(y), "y must be f32, contiguous or a view along time");
	g->dispatches++;
	if (gpu_count(y))
		g->ops->fill(g, y, value);
}

void gpu_embed_sum(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *table,
	const struct gpu_tensor *ids)
{
	CALL(g, "embed_sum", embed_sum, IN(y), IN(table), IN(ids));
	NEED(is_plain(ids, GPU_I32) && ids->n_dims == 2, "ids must be contiguous i32 [T, K]");
	NEED((is_plain(table, GPU_F32) || is_plain(table, GPU_BF16)) && table->n_dims == 2,
		"table must be contiguous f32 or bf16 of rank 2");
	NEED(is_f32(y, 2) && y->ne[0] == ids->ne[0] && y->ne[1] == table->ne[1],
		"y must be f32 [T, columns of table]");
	NEED(ids->ne[1] > 0 && table->ne[0] > 0 && table->ne[0] % ids->ne[1] == 0,
		"the rows of table are not a multiple of the ids per row");
	g->dispatches++;
	if (gpu_count(y))
		g->ops->embed_sum(g, y, table, ids);
}

void gpu_rvq_encode(struct gpu *g, struct gpu_tensor *codes, const struct gpu_tensor *z,
	const struct gpu_tensor *codebooks)
{
	CALL(g, "rvq_encode", rvq_encode, IN(codes), IN(z), IN(codebooks));
	NEED(is_plain(codes, GPU_I32) && codes->n_dims == 2, "codes must be contiguous i32 [T, K]");
	NEED(is_f32(z, 2) && is_f32(codebooks, 3), "z must be f32 [T, D], codebooks [K, V, D]");
	NEED(z->ne[0] == codes->ne[0] && codebooks->ne[0] == codes->ne[1] &&
			codebooks->ne[2] == z->ne[1],
		"sizes differ");
	NEED(codebooks->ne[1] >= 1 && codebooks->ne[1] <= INT32_MAX && z->ne[1] >= 1,
		"the codebooks are empty or too long");
	g->dispatches++;
	if (gpu_count(codes))
		g->ops->rvq_encode(g, codes, z, codebooks);
}

/* ---- diffusion ---------------------------------------------------------- */

void gpu_normal(struct gpu *g, struct gpu_tensor *y, uint64_t seed, uint32_t stream)
{
	CALL(g, "normal", normal, IN(y));
	NEED(is_plain(y, GPU_F32), "y must be contiguous f32");
	g->dispatches++;
	if (gpu_count(y))
		g->ops->normal(g, y, seed, stream);
}

void gpu_combine(struct gpu *g, struct gpu_tensor *y, const struct gpu_term *terms, int n_terms)
{
	struct call call = {g, "combine", is_ready(g, "combine", g->ops->combine), {IN(y)}};

	NEED(n_terms >= 1 && n_terms <= GPU_MAX_TERMS, "one to seven terms can be combined");
	for (int i = 0; i < n_terms; i++)
		call.operands[1 + i] = (struct operand){"term", terms[i].x, false};
	if (!has_operands(&call))
		return;
	NEED(is_plain(y, GPU_F32), "y must be contiguous f32");
	for (int i = 0; i < n_terms; i++)
		NEED(is_plain(terms[i].x, GPU_F32) && is_same_shape(terms[i].x, y),
			"terms must be contiguous f32 in the shape of y");
	g->dispatches++;
	if (gpu_count(y))
		g->ops->combine(g, y, terms, n_terms);
}

/* ---- sampling ----------------------------------------------------------- */

void gpu_guidance(
	struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *logits, float guidance)
{
	CALL(g, "guidance", guidance, IN(y), IN(logits));
	NEED(is_f32(y, 2) && is_f32(logits, 2), "y and logits must be contiguous f32 of rank 2");
	NEED(logits->ne[0] == 2 * y->ne[0] && logits->ne[1] == y->ne[1],
		"logits must be [2B, V], y [B, V]");
	g->dispatches++;
	if (gpu_count(y))
		g->ops->guidance(g, y, logits, guidance);
}

void gpu_sample(struct gpu *g, struct gpu_tensor *ids, const struct gpu_tensor *logits,
	const struct gpu_sampling *s)
{
	CALL(g, "sample", sample, IN(ids), IN(logits));
	NEED(is_plain(ids, GPU_I32) && ids->n_dims == 1, "ids must be contiguous i32 of rank 1");
	NEED(is_f32(logits, 2) && logits->ne[0] == ids->ne[0],
		"logits must be contiguous f32, one row per id");
	NEED(logits->ne[1] >= 1 && logits->ne[1] <= INT32_MAX, "rows are empty or too long");
	NEED(s->greedy || (s->temperature > 0 && isfinite(s->temperature)),
		"the temperature must be above 0");
	NEED(s->greedy || (s->top_k >= 0 && s->top_p >= 0), "top-k and top-p may not be negative");
	NEED(s->greedy || (s->seed && s->n_streams >= 1 && s->n_streams <= INT32_MAX &&
				  ids->ne[0] % s->n_streams == 0),
		"the streams do not divide the rows, or there is no seed");
	g->dispatches++;
	if (ids->ne[0])
		g->ops->sample(g, ids, logits, s);
}
