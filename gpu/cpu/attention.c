/* Attention over a cache of keys and values.
 *
 * Per sequence and head the keys are a packed matrix [max_len, d] and the
 * values the packed matrix [d, max_len] (kernels.h: panels of 32 outputs), so
 * scores = q K^T and y = p V are the product kernels again, and appending one
 * position touches one lane of each key line and one line of each value panel:
 *	keys	[ceil(max_len / 32)][d][32]
 *	values	[ceil(d / 32)][max_len][32]
 * Queries are taken a few rows at a time, which then share the reading of the
 * cache.  A task is one sequence and head. */
#include "gpu/cpu/cpu.h"

#include <math.h>

enum { SPAN = 64 /* queries of a task, where a cache has more */ };

static int64_t round_up(int64_t n, int64_t to)
{
	return (n + to - 1) / to * to;
}

static size_t dtype_size(enum gpu_dtype dtype)
{
	return dtype == GPU_BF16 ? 2 : 4;
}

void cpu_kv_size(const struct gpu_kv *kv, int64_t *ret_k, int64_t *ret_v)
{
	const int64_t heads = kv->n_rows * kv->n_heads;
	if (kv->dtype == GPU_SPLIT) {
		cpu_split_kv_size(kv, ret_k, ret_v);
		return;
	}
	*ret_k = heads * round_up(kv->max_len, PANEL) * kv->head_dim;
	*ret_v = heads * kv->max_len * round_up(kv->head_dim, PANEL);
}

/* One head of one sequence. */
struct cache {
	enum gpu_dtype dtype;
	char *k, *v;
	int64_t dim, max_len;
};

static struct cache cache_of(const struct gpu_kv *kv, int64_t row, int64_t head)
{
	const int64_t i = row * kv->n_heads + head;
	const size_t size = dtype_size(kv->dtype);
	return (struct cache){.dtype = kv->dtype,
		.k = (char *)kv->k->data +
		     (size_t)(i * round_up(kv->max_len, PANEL) * kv->head_dim) * size,
		.v = (char *)kv->v->data +
		     (size_t)(i * kv->max_len * round_up(kv->head_dim, PANEL)) * size,
		.dim = kv->head_dim,
		.max_len = kv->max_len};
}

/* Output o of a line, in the order of the dtype (kernels.h). */
static void put(const struct cache *c, char *base, int64_t line, int64_t o, float value)
{
	if (c->dtype == GPU_F32)
		((float *)(void *)base)[line * PANEL + o] = value;
	else
		((uint16_t *)(void *)base)[line * PANEL + o % (PANEL / 2) * 2 + o / (PANEL / 2)] =
			cpu_bf16(value);
}

static void clear_lines(const struct cache *c, char *base, int64_t line, int64_t n)
{
	const size_t bytes = PANEL * dtype_size(c->dtype);
	memset(base + (size_t)line * bytes, 0, (size_t)n * bytes);
}

/* What products read beyond the last key and the last channel is zero: it counts for nothing,
 * but what memory held before may be subnormal, a hundred times as slow. */
static void append(const struct cache *c, int64_t pos, const float *k, const float *v)
{
	if (pos % PANEL == 0)
		clear_lines(c, c->k, pos / PANEL * c->dim, c->dim);
	if (c->dim % PANEL)
		clear_lines(c, c->v, c->dim / PANEL * c->max_len + pos, 1);
	for (int64_t i = 0; i < c->dim; i++) {
		put(c, c->k, pos / PANEL * c->dim + i, pos % PANEL, k[i]);
		put(c, c->v, i / PANEL * c->max_len + pos, i % PANEL, v[i]);
	}
}

struct queries {
	const struct cpu_kernels *kernels;
	const float *q;
	ptrdiff_t ldq;
	float *y;
	ptrdiff_t ldy;
	int64_t n;     /* queries */
	int64_t len;   /* keys that query 0 sees */
	int64_t grows; /* how many more each next one sees: 1 when causal, else 0 */
	float scale;
	const float *bias; /* of query 0 and key 0; the next query's is one to the left */
	float *scores;     /* [max_rows][lds] */
	int64_t lds;       /* multiple of PANEL, at least the longest len */
};

static void attend_rows(const struct cache *c, const struct queries *s, int64_t first, int rows)
{
	gemm_fn *product = c->dtype == GPU_F32 ? s->kernels->f32[rows] : s->kernels->bf16[rows];
	const size_t line = PANEL * dtype_size(c->dtype);
	const int64_t len = s->len + (first + rows - 1) * s->grows;

	struct gemm scores = {
		.x = s->q + first * s->ldq, .ldx = s->ldq, .k = c->dim, .ldy = s->lds};
	for (int64_t p = 0; p * PANEL < len; p++) {
		scores.w = c->k + (size_t)(p * c->dim) * line;
		scores.y = s->scores + p * PANEL;
		product(&scores);
	}
	for (int r = 0; r < rows; r++)
		s->kernels->softmax(s->scores + r * s->lds, s->len + (first + r) * s->grows,
			round_up(len, PANEL), s->scale, s->bias ? s->bias - (first + r) : NULL);

	float part[MAX_ROWS * PANEL];
	struct gemm values = {.x = s->scores, .ldx = s->lds, .k = len, .y = part, .ldy = PANEL};
	for (int64_t p = 0; p * PANEL < c->dim; p++) {
		const int64_t left = c->dim - p * PANEL, width = left < PANEL ? left : PANEL;
		values.w = c->v + (size_t)(p * c->max_len) * line;
		product(&values);
		for (int r = 0; r < rows; r++)
			memcpy(s->y + (first + r) * s->ldy + p * PANEL, part + r * PANEL,
				(size_t)width * sizeof(float));
	}
}

/* The queries from the first on that come in whole blocks and all see the same; returns how
 * many those are. */
static int64_t attend_many(const struct cache *c, const struct queries *s)
{
	const struct attend_kernels *many = s->kernels->many;
	int64_t first = 0;
	if (c->dtype != GPU_F32 || s->grows || s->bias)
		return 0;
	for (; first + many->queries <= s->n; first += many->queries)
		many->attend(&(struct attend){.k = (const float *)(const void *)c->k,
			.v = (const float *)(const void *)c->v,
			.dim = c->dim,
			.max_len = c->max_len,
			.len = s->len,
			.q = s->q + first * s->ldq,
			.ldq = s->ldq,
			.y = s->y + first * s->ldy,
			.ldy = s->ldy,
			.scale = s->scale,
			.scratch = s->scores});
	return first;
}

static void attend(const struct cache *c, const struct queries *s)
{
	const int step = c->dtype == GPU_F32 ? s->kernels->max_rows : s->kernels->max_rows_bf16;
	for (int64_t first = attend_many(c, s); first < s->n; first += step)
		attend_rows(c, s, first, (int)(s->n - first < step ? s->n - first : step));
}

/* ---- ops ---------------------------------------------------------------- */

struct work {
	const struct cpu *cpu;
	struct gpu_kv *kv;
	const float *x; /* qkv, q, or kv_x */
	float *y;
	int64_t n_heads, dim, n_time, per_row;
	int64_t group; /* heads of q that share one of the cache */
	float scale;
	const float *bias;
	char *scratch;
	size_t task_bytes;
};

static void run(const struct work *w, int64_t n_tasks, int64_t bytes, void (*fn)(void *, size_t))
{
	if (n_tasks == 1 || bytes < 64 << 10)
		for (int64_t i = 0; i < n_tasks; i++)
			fn((void *)(uintptr_t)w, (size_t)i);
	else
		pool_run(w->cpu->pool, (size_t)n_tasks, fn, (void *)(uintptr_t)w);
}

/* Scores of one task's rows, for `len` keys; the scratch of struct attend for many. */
static size_t score_bytes(int64_t n_queries, int64_t len, int64_t dim)
{
	const int64_t rows = n_queries < MAX_ROWS ? n_queries : MAX_ROWS,
		      few = rows * round_up(len, PANEL),
		      many = MAX_QUERIES * (dim + round_up(len, MAX_KEYS));
	return (size_t)(n_queries < MAX_ROWS || few > many ? few : many) * sizeof(float);
}

static void causal_task(void *ud, size_t task)
{
	const struct work *w = ud;
	const int64_t row = (int64_t)task / w->n_heads, head = (int64_t)task % w->n_heads,
		      width = w->n_heads * w->dim, len = w->kv->len[row];
	const struct cache c = cache_of(w->kv, row, head);
	const float *qkv = w->x + row * w->n_time * 3 * width + head * w->dim;
	for (int64_t t = 0; t < w->n_time; t++)
		append(&c, len + t, qkv + t * 3 * width + width, qkv + t * 3 * width + 2 * width);
	attend(&c, &(struct queries){.kernels = w->cpu->kernels,
			   .q = qkv,
			   .ldq = 3 * width,
			   .y = w->y + row * w->n_time * width + head * w->dim,
			   .ldy = width,
			   .n = w->n_time,
			   .len = len + 1,
			   .grows = 1,
			   .scale = w->scale,
			   .scores = (float *)(void *)(w->scratch + task * w->task_bytes),
			   .lds = round_up(len + w->n_time, PANEL)});
}

static int64_t longest(const struct gpu_kv *kv)
{
	int64_t len = 0;
	for (int64_t r = 0; r < kv->n_rows; r++)
		len = kv->len[r] > len ? kv->len[r] : len;
	return len;
}

void cpu_attention_causal(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *qkv,
	struct gpu_kv *kv, int64_t n_time, float scale)
{
	const int64_t n_tasks = kv->n_rows * kv->n_heads, len = longest(kv) + n_time;
	struct work w = {.cpu = g->device,
		.kv = kv,
		.x = qkv->data,
		.y = y->data,
		.n_heads = kv->n_heads,
		.dim = kv->head_dim,
		.n_time = n_time,
		.scale = scale,
		.task_bytes = score_bytes(n_time, len, kv->head_dim)};
	w.scratch = cpu_scratch(g, (size_t)n_tasks * w.task_bytes);
	if (!w.scratch)
		return;
	run(&w, n_tasks, n_tasks * len * n_time * kv->head_dim * 4, causal_task);
}

void cpu_kv_fill(struct gpu *g, struct gpu_kv *kv, int64_t row, const struct gpu_tensor *kv_x)
{
	const int64_t width = kv->n_heads * kv->head_dim;
	const float *x = kv_x->data;
	if (kv->dtype == GPU_SPLIT) {
		cpu_split_kv_fill(g, kv, row, kv_x);
		return;
	}
	for (int64_t head = 0; head < kv->n_heads; head++) {
		const struct cache c = cache_of(kv, row, head);
		for (int64_t t = 0; t < kv_x->ne[0]; t++) {
			const float *k = x + t * 2 * width + head * kv->head_dim;
			append(&c, t, k, k + width);
		}
	}
}

/* Queries first .. first + n - 1 of a sequence, one head. */
static void cross_head(
	const struct work *w, int64_t row, int64_t head, int64_t first, int64_t n, void *scratch)
{
	const int64_t width = w->n_heads * w->dim,
		      at = (row * w->per_row + first) * width + head * w->dim;
	const struct cache c = cache_of(w->kv, row, head / w->group);
	attend(&c, &(struct queries){.kernels = w->cpu->kernels,
			   .q = w->x + at,
			   .ldq = width,
			   .y = w->y + at,
			   .ldy = width,
			   .n = n,
			   .len = w->kv->len[row],
			   .scale = w->scale,
			   .scores = scratch,
			   .lds = round_up(w->kv->len[row], PANEL)});
}

static void cross_task(void *ud, size_t task)
{
	const struct work *w = ud;
	cross_head(w, (int64_t)task / w->n_heads, (int64_t)task % w->n_heads, 0, w->per_row,
		w->scratch + task * w->task_bytes);
}

/* SPAN queries, all heads: whole rows of q and y, one behind the other. */
static void span_task(void *ud, size_t task)
{
	const struct work *w = ud;
	const int64_t spans = (w->per_row + SPAN - 1) / SPAN, row = (int64_t)task / spans,
		      first = (int64_t)task % spans * SPAN, left = w->per_row - first;
	for (int64_t head = 0; head < w->n_heads; head++)
		cross_head(w, row, head, first, left < SPAN ? left : SPAN,
			w->scratch + task * w->task_bytes);
}

void cpu_attention_cross(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *q,
	const struct gpu_kv *kv, float scale)
{
	if (kv->dtype == GPU_SPLIT) {
		cpu_attention_cross_split(g, y, q, kv, scale);
		return;
	}
	const int64_t n_heads = q->ne[1] / kv->head_dim, per_row = q->ne[0] / kv->n_rows,
		      len = longest(kv), spans = (per_row + SPAN - 1) / SPAN,
		      n_tasks = kv->n_rows * (spans > 1 ? spans : n_heads);
	struct work w = {.cpu = g->device,
		.kv = (struct gpu_kv *)(uintptr_t)kv,
		.x = q->data,
		.y = y->data,
		.n_heads = n_heads,
		.group = n_heads / kv->n_heads,
		.dim = kv->head_dim,
		.per_row = per_row,
		.scale = scale,
		.task_bytes = score_bytes(per_row, len, kv->head_dim)};
	w.scratch = cpu_scratch(g, (size_t)n_tasks * w.task_bytes);
	if (w.scratch)
		run(&w, n_tasks, kv->n_rows * n_heads * len * per_row * kv->head_dim * 4,
			spans > 1 ? span_task : cross_task);
}

/* One head: packs its keys and values, then asks for every query. */
static void full_task(void *ud, size_t task)
{
	const struct work *w = ud;
	const int64_t t = w->n_time, width = w->n_heads * w->dim;
	const float *qkv = w->x + (int64_t)task * w->dim;
	char *scratch = w->scratch + task * w->task_bytes;
	struct cache c = {.dtype = GPU_F32, .k = scratch, .dim = w->dim, .max_len = t};
	c.v = c.k + (size_t)(round_up(t, PANEL) * w->dim) * sizeof(float);
	for (int64_t i = 0; i < t; i++)
		append(&c, i, qkv + i * 3 * width + width, qkv + i * 3 * width + 2 * width);
	attend(&c, &(struct queries){.kernels = w->cpu->kernels,
			   .q = qkv,
			   .ldq = 3 * width,
			   .y = w->y + (int64_t)task * w->dim,
			   .ldy = width,
			   .n = t,
			   .len = t,
			   .scale = w->scale,
			   .bias = w->bias ? w->bias + (int64_t)task * (2 * t - 1) + t - 1 : NULL,
			   .scores = (float *)(void *)(c.v + (size_t)(t * round_up(w->dim, PANEL)) *
								     sizeof(float)),
			   .lds = round_up(t, PANEL)});
}

static void full(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *qkv,
	const struct gpu_tensor *bias, int64_t n_heads, float scale)
{
	if (!bias && qkv->ne[0] >= GPU_SPLIT_FROM && cpu_of(g)->isa >= CPU_AMX) {
		cpu_attention_split(g, y, qkv, n_heads, scale);
		return;
	}
	const int64_t t = qkv->ne[0], dim = qkv->ne[1] / 3 / n_heads;
	struct work w = {.cpu = g->device,
		.x = qkv->data,
		.y = y->data,
		.n_heads = n_heads,
		.dim = dim,
		.n_time = t,
		.scale = scale,
		.bias = bias ? bias->data : NULL,
		.task_bytes = score_bytes(t, t, dim) +
			      (size_t)(round_up(t, PANEL) * dim + t * round_up(dim, PANEL)) *
				      sizeof(float)};
	w.scratch = cpu_scratch(g, (size_t)n_heads * w.task_bytes);
	if (w.scratch)
		run(&w, n_heads, n_heads * t * t * dim * 4, full_task);
}

void cpu_attention_full(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *qkv,
	const struct gpu_tensor *bias, int64_t n_heads, float scale)
{
	for (int64_t i = 0; i < cpu_sequences(y); i++) {
		struct gpu_tensor to = cpu_sequence(y, i);
		const struct gpu_tensor from = cpu_sequence(qkv, i);
		full(g, &to, &from, bias, n_heads, scale);
	}
}
