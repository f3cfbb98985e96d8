/* The checked ops, one wrapper each (gpu/check.h); products: gpu/ops_products.c. */
#include "gpu/check.h"

#include <math.h>

/* f32, or what the device's products round to. */
static bool is_output(const struct gpu *g, const struct gpu_tensor *y, int rank)
{
	return gpu_is_f32(y, rank) ||
	       (g->ops->input_dtype && gpu_is_plain(y, GPU_BF16) && y->n_dims == rank);
}

static bool is_kv(const struct gpu_kv *kv)
{
	return kv->k && kv->v && kv->k->data && kv->v->data;
}

/* ---- attention ---------------------------------------------------------- */

void gpu_attention_causal(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *qkv,
	struct gpu_kv *kv, float scale)
{
	CALL(g, "attention_causal", attention_causal, IN(y), IN(qkv));
	NEED(is_kv(kv), "the cache is empty");
	NEED(kv->dtype == GPU_F32 || kv->dtype == GPU_BF16,
		"the cache is for gpu_attention_cross() alone");
	const int64_t width = kv->n_heads * kv->head_dim;
	NEED(gpu_is_f32(y, 2) && gpu_is_f32(qkv, 2), "y and qkv must be contiguous f32 of rank 2");
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
	gpu_kv_grow(g, kv, n_time);
}

void gpu_kv_fill(struct gpu *g, struct gpu_kv *kv, int64_t row, const struct gpu_tensor *kv_x)
{
	CALL(g, "kv_fill", kv_fill, IN(kv_x));
	NEED(is_kv(kv), "the cache is empty");
	NEED(row >= 0 && row < kv->n_rows, "the cache has no such sequence");
	NEED(gpu_is_f32(kv_x, 2) && kv_x->ne[1] == 2 * kv->n_heads * kv->head_dim,
		"kv_x must be contiguous f32 [S, 2H]");
	NEED(kv_x->ne[0] >= 1 && kv_x->ne[0] <= kv->max_len, "the cache is too short");
	NEED(!g->step, "a cache may not be filled in a step");
	g->dispatches++;
	g->ops->kv_fill(g, kv, row, kv_x);
	kv->len[row] = kv_x->ne[0];
}

void gpu_attention_cross(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *q,
	const struct gpu_kv *kv, float scale)
{
	CALL(g, "attention_cross", attention_cross, IN(y), IN(q));
	NEED(is_kv(kv), "the cache is empty");
	NEED((kv->dtype == GPU_TILES ? is_output(g, y, 2) : gpu_is_f32(y, 2)) && gpu_is_f32(q, 2) &&
			gpu_is_same_shape(y, q),
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

/* Both attentions over all of a sequence, or of several: rank, heads, widths. */
static const char *full_fault(
	const struct gpu_tensor *y, const struct gpu_tensor *qkv, int64_t n_heads, bool can_write)
{
	const int last = y->n_dims - 1;

	if (!can_write || !gpu_is_f32(qkv, y->n_dims) || last < 1 || last > 2)
		return "y and qkv must be contiguous f32, both of rank 2 or of rank 3";
	if (n_heads <= 0 || y->ne[last] % n_heads != 0 || y->ne[last] <= 0)
		return "heads do not divide the width";
	if (!gpu_is_same_extents(y, qkv, 0, last) || qkv->ne[last] % 3 != 0 ||
		qkv->ne[last] / 3 != y->ne[last])
		return "y must be [T, H] and qkv [T, 3H], or [B, T, H] and [B, T, 3H]";
	return NULL;
}

void gpu_attention_full(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *qkv,
	const struct gpu_tensor *bias, int64_t n_heads, float scale)
{
	CALL(g, "attention_full", attention_full, IN(y), IN(qkv), OPT(bias));
	const char *fault = full_fault(y, qkv, n_heads, gpu_is_f32(y, y->n_dims));
	NEED(!fault, fault);
	NEED(!bias || (gpu_is_f32(bias, 2) && bias->ne[0] == n_heads &&
			      bias->ne[1] == 2 * y->ne[y->n_dims - 2] - 1),
		"bias must be f32 [heads, 2T-1]");
	NEED(y->data != qkv->data, "y may not be qkv");
	g->dispatches++;
	if (gpu_count(y))
		g->ops->attention_full(g, y, qkv, bias, n_heads, scale);
}

void gpu_attention_tiles(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *qkv,
	int64_t n_heads, float scale)
{
	CALL(g, "attention_tiles", attention_tiles, IN(y), IN(qkv));
	const char *fault = full_fault(y, qkv, n_heads, is_output(g, y, y->n_dims));
	NEED(!fault, fault);
	NEED(y->data != qkv->data, "y may not be qkv");
	g->dispatches++;
	if (gpu_count(y))
		g->ops->attention_tiles(g, y, qkv, n_heads, scale);
}

void gpu_rope(struct gpu *g, struct gpu_tensor *x, const struct gpu_tensor *table, int64_t n_heads,
	int64_t head_dim)
{
	CALL(g, "rope", rope, IN(x), IN(table));
	NEED(gpu_is_f32(x, 2) && gpu_is_f32(table, 2),
		"x and table must be contiguous f32 of rank 2");
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
	NEED(gpu_is_f32(x, 2) && gpu_is_f32(w, 1) && gpu_is_vector(b, w->ne[0]),
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
	NEED(gpu_is_f32(y, 3) && gpu_is_f32(qkv, 3) && gpu_is_f32(bias, 3),
		"y, qkv and bias must be contiguous f32 of rank 3");
	NEED(gpu_is_same_extents(y, qkv, 0, 2) && qkv->ne[2] % 3 == 0 && qkv->ne[2] / 3 == y->ne[2],
		"y must be [W, L, H] and qkv [W, L, 3H]");
	const int64_t len = y->ne[1];
	NEED(bias->ne[1] == len && bias->ne[2] == len, "bias must be [heads, L, L]");
	NEED(bias->ne[0] > 0 && y->ne[2] > 0 && y->ne[2] % bias->ne[0] == 0,
		"heads do not divide the width");
	NEED(!mask || (gpu_is_f32(mask, 3) && mask->ne[0] > 0 && mask->ne[1] == len &&
			      mask->ne[2] == len),
		"mask must be f32 [M, L, L]");
	NEED(y->data != qkv->data, "y may not be qkv");
	g->dispatches++;
	if (gpu_count(y))
		g->ops->attention_windows(g, y, qkv, bias, mask, scale);
}

/* ---- norms, elementwise, lookups ---------------------------------------- */

static void norm(struct gpu *g, const char *op, struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct gpu_tensor *w, const struct gpu_tensor *b, float eps, bool rms)
{
	CALL(g, op, norm, IN(y), IN(x), IN(w), {"b", b, rms});
	NEED(gpu_is_plain(y, GPU_F32) && gpu_is_plain(x, GPU_F32) && gpu_is_same_shape(x, y),
		"x and y must be contiguous f32 of one shape");
	const int64_t n = x->ne[x->n_dims - 1];
	NEED(n > 0, "rows are empty");
	NEED(gpu_is_vector(w, n) && gpu_is_vector(b, n), "w and b must be f32, one per column");
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
	NEED(gpu_is_timed_f32(y) && gpu_is_timed_f32(x),
		"x and y must be f32, contiguous or views along time");
	NEED(gpu_is_same_shape(x, y), "shapes differ");
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
	NEED(gpu_is_plain(y, GPU_F32) && gpu_is_plain(x, GPU_F32) && gpu_is_same_shape(x, y),
		"x and y must be contiguous f32 of one shape");
	const int64_t n = x->ne[x->n_dims - 1];
	NEED(n > 0 && gpu_is_vector(alpha, n) && gpu_is_vector(inv_beta, n),
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
	NEED(gpu_is_timed_f32(y) && gpu_is_timed_f32(x),
		"x and y must be f32, contiguous or views along time");
	NEED(gpu_is_same_shape(x, y), "shapes differ");
	g->dispatches++;
	if (gpu_count(y))
		g->ops->leaky_relu(g, y, x, slope);
}

static void gated(struct gpu *g, const char *op, struct gpu_tensor *y, const struct gpu_tensor *x,
	enum gpu_unary act)
{
	CALL(g, op, gated, IN(y), IN(x));
	NEED(gpu_is_f32(y, 2) && gpu_is_f32(x, 2), "x and y must be contiguous f32 of rank 2");
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
	       gpu_is_same_extents(a, b, 1, a->n_dims);
}

void gpu_add(
	struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *a, const struct gpu_tensor *b)
{
	CALL(g, "add", add, IN(y), IN(a), IN(b));
	NEED(gpu_is_timed_f32(y) && gpu_is_timed_f32(a) && gpu_is_timed_f32(b),
		"operands must be f32, contiguous or views along time");
	NEED(gpu_is_same_shape(y, a), "y and a differ in shape");
	NEED(gpu_is_same_shape(a, b) || can_repeat(a, b), "the rows of b do not repeat in a");
	g->dispatches++;
	if (gpu_count(y))
		g->ops->add(g, y, a, b);
}

static void copy(struct gpu *g, const char *op, struct gpu_tensor *dst,
	const struct gpu_tensor *src, bool flip)
{
	CALL(g, op, copy, IN(dst), IN(src));
	NEED(gpu_is_timed(dst) && gpu_is_timed(src),
		"operands must be contiguous or views along time");
	NEED(dst->dtype == src->dtype, "dtypes differ");
	NEED(gpu_is_same_shape(dst, src), "shapes differ");
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
	NEED(gpu_is_timed_f32(y), "y must be f32, contiguous or a view along time");
	g->dispatches++;
	if (gpu_count(y))
		g->ops->fill(g, y, value);
}

const char *op_embed_fault(
	const struct gpu_tensor *y, const struct gpu_tensor *table, const struct gpu_tensor *ids)
{
	if (!gpu_is_plain(ids, GPU_I32) || ids->n_dims != 2)
		return "ids must be contiguous i32 [T, K]";
	if ((!gpu_is_plain(table, GPU_F32) && !gpu_is_plain(table, GPU_BF16)) || table->n_dims != 2)
		return "table must be contiguous f32 or bf16 of rank 2";
	if (!gpu_is_f32(y, 2) || y->ne[0] != ids->ne[0] || y->ne[1] != table->ne[1])
		return "y must be f32 [T, columns of table]";
	if (ids->ne[1] <= 0 || table->ne[0] <= 0 || table->ne[0] % ids->ne[1] != 0)
		return "the rows of table are not a multiple of the ids per row";
	return NULL;
}

void gpu_embed_sum(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *table,
	const struct gpu_tensor *ids)
{
	CALL(g, "embed_sum", embed_sum, IN(y), IN(table), IN(ids));
	const char *fault = op_embed_fault(y, table, ids);
	NEED(!fault, fault);
	g->dispatches++;
	if (gpu_count(y))
		g->ops->embed_sum(g, y, table, ids);
}

void gpu_rvq_encode(struct gpu *g, struct gpu_tensor *codes, const struct gpu_tensor *z,
	const struct gpu_tensor *codebooks)
{
	CALL(g, "rvq_encode", rvq_encode, IN(codes), IN(z), IN(codebooks));
	NEED(gpu_is_plain(codes, GPU_I32) && codes->n_dims == 2,
		"codes must be contiguous i32 [T, K]");
	NEED(gpu_is_f32(z, 2) && gpu_is_f32(codebooks, 3),
		"z must be f32 [T, D], codebooks [K, V, D]");
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
	NEED(gpu_is_plain(y, GPU_F32), "y must be contiguous f32");
	g->dispatches++;
	if (gpu_count(y))
		g->ops->normal(g, y, seed, stream);
}

void gpu_combine(struct gpu *g, struct gpu_tensor *y, const struct gpu_term *terms, int n_terms)
{
	struct call call = {g, "combine", op_is_ready(g, "combine", g->ops->combine), {IN(y)}};

	NEED(n_terms >= 1 && n_terms <= GPU_MAX_TERMS, "one to seven terms can be combined");
	for (int i = 0; i < n_terms; i++)
		call.operands[1 + i] = (struct operand){"term", terms[i].x, false};
	if (!op_has_operands(&call))
		return;
	NEED(gpu_is_plain(y, GPU_F32), "y must be contiguous f32");
	for (int i = 0; i < n_terms; i++)
		NEED(gpu_is_plain(terms[i].x, GPU_F32) && gpu_is_same_shape(terms[i].x, y),
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
	NEED(gpu_is_f32(y, 2) && gpu_is_f32(logits, 2),
		"y and logits must be contiguous f32 of rank 2");
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
	NEED(gpu_is_plain(ids, GPU_I32) && ids->n_dims == 1,
		"ids must be contiguous i32 of rank 1");
	NEED(isfinite(s->guidance), "guidance must be finite");
	NEED(gpu_is_f32(logits, 2) && logits->ne[0] == (s->guidance != 0 ? 2 : 1) * ids->ne[0],
		"logits must be contiguous f32, one row per id, with guidance two");
	NEED(logits->ne[1] >= 1 && logits->ne[1] <= INT32_MAX, "rows are empty or too long");
	NEED(s->greedy || (s->temperature > 0 && isfinite(s->temperature)),
		"the temperature must be above 0");
	NEED(s->greedy || (s->top_k >= 0 && s->top_p >= 0), "top-k and top-p may not be negative");
	NEED(s->greedy || (s->seed && s->n_streams >= 1 && s->n_streams <= INT32_MAX &&
				  ids->ne[0] % s->n_streams == 0),
		"the streams do not divide the rows, or there is no seed");
	NEED(!s->at || (gpu_is_plain(s->at, GPU_I32) && gpu_count(s->at) == 1), "at must be [1]");
	g->dispatches++;
	if (ids->ne[0])
		g->ops->sample(g, ids, logits, s);
}

void gpu_next_column(struct gpu *g, struct gpu_tensor *next, struct gpu_tensor *columns,
	const struct gpu_tensor *drawn, struct gpu_tensor *at)
{
	CALL(g, "next_column", next_column, IN(next), IN(columns), IN(drawn), IN(at));
	NEED(gpu_is_plain(next, GPU_I32) && gpu_is_plain(columns, GPU_I32) &&
			gpu_is_plain(drawn, GPU_I32) && gpu_is_plain(at, GPU_I32),
		"all must be contiguous i32");
	NEED(next->n_dims == 2 && columns->n_dims == 2 && drawn->n_dims == 1 &&
			next->ne[1] == columns->ne[1] && next->ne[1] == drawn->ne[0],
		"next must be [R, J], columns [P, J], drawn [J]");
	NEED(gpu_count(at) == 1, "at must be [1]");
	g->dispatches++;
	g->ops->next_column(g, next, columns, drawn, at);
}
