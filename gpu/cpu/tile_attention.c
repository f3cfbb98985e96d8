/* Attention in products of bf16 by bf16 (gpu_attention_tiles), and in those of three bf16 each
 * (gpu_attention_full, where there are tile units, and gpu_attention_cross to caches of GPU_SPLIT).
 *
 * First all heads' keys and values are packed, row by row as they lie, which a cache has done
 * when it was filled: per sequence and head, matrices [max_len, dim] and [dim, max_len] in panels
 * (tile_kernels.h), both to a whole number of PACK positions.  Then a task is some queries
 * of a head, QUERIES at a time, and KEYS at a time their scores, exp and rounding, or splitting, in
 * one pass, and the product with the values: all of it in the first-level cache.  It is divided by
 * the sum of the row at last.
 *
 * exp is that of the difference to the greatest of a row's first scores: floats have room for
 * powers of two up to LIMIT, and only what would be above makes the row's sums shrink. */
#include "gpu/cpu/cpu.h"
#include "gpu/cpu/tile_kernels.h"
#include "gpu/cpu/vec_kernels.h"

#include <math.h>
#include <stdatomic.h>

enum {
	QUERIES = TILE_STEP,
	KEYS = 128,      /* whose scores and probabilities are in the first-level cache; .. */
	KEYS_SPLIT = 64, /* .. in three parts */
	PACK = PANEL,    /* positions packed by one task */
	SPAN = 4         /* times QUERIES: a task */
};

/* Of a sum of powers of two, in a row of KEYS: beyond it the greatest score is looked up anew. */
static const float LIMIT = 0x1p32f;

/* Positions whose heads are side by side. */
struct positions {
	const float *x;
	int64_t n, ld; /* floats from one to the next */
};

/* All heads' keys and values, as matrices [keys, dim], [dim, keys]. */
struct packed {
	uint16_t *k, *v;
	int64_t k_head, v_head, v_panel; /* elements of a head, of a panel of 32 channels */
};

struct attention {
	const struct cpu *cpu;
	struct positions q, k, v; /* k and v of those to be packed; n of all */
	float *y;
	int64_t heads, dim; /* of q; channels of a head */
	int64_t group;      /* heads of q that share one of the keys */
	int64_t keys;       /* padded to whole panels */
	int parts;          /* 1, or 3 */
	int64_t step;       /* KEYS, or KEYS_SPLIT */
	float scale;
	struct packed packed;
	char *scratch; /* of the threads */
	_Atomic int64_t next, next_pack;
};

/* One thread's. */
struct work {
	uint16_t *p;   /* QUERIES rows of `step` keys: [16 rows][block][part][row][32] */
	float *scores; /* [QUERIES][step] */
	float *values; /* [QUERIES][dim in whole blocks]: their weighted sum */
	uint16_t *q;   /* QUERIES rows of `dim`, as p */
};

static size_t aligned(int64_t n, size_t size)
{
	return ((size_t)n * size + 63) / 64 * 64;
}

static int64_t padded(int64_t k)
{
	return tile_blocks(k) * TILE_K;
}

/* Places in a thread's scratch; the last is the end. */
struct places {
	size_t scores, values, q, end;
};

static struct places places_of(const struct attention *a)
{
	struct places o;

	o.scores = aligned(QUERIES * a->step * a->parts, sizeof(uint16_t));
	o.values = o.scores + aligned(QUERIES * a->step, sizeof(float));
	o.q = o.values + aligned(QUERIES * padded(a->dim), sizeof(float));
	o.end = o.q + aligned(a->parts * QUERIES * padded(a->dim), sizeof(uint16_t));
	return o;
}

static struct work work_of(const struct attention *a, int thread)
{
	const struct places o = places_of(a);
	char *at = a->scratch + (size_t)thread * o.end;

	return (struct work){.p = (uint16_t *)(void *)at,
		.scores = (float *)(void *)(at + o.scores),
		.values = (float *)(void *)(at + o.values),
		.q = (uint16_t *)(void *)(at + o.q)};
}

/* ---- packing ------------------------------------------------------------ */

/* A head of queries, keys or values from position `first` on. */
static struct tile_head head_of(
	const struct attention *a, const struct positions *x, int64_t head, int64_t first)
{
	const int64_t left = x->n - first;

	return (struct tile_head){.x = x->x + first * x->ld + head * a->dim,
		.ldx = x->ld,
		.n = left < PACK ? left : PACK,
		.dim = a->dim,
		.ahead = x == &a->q ? x->ld * QUERIES : a->dim,
		.parts = a->parts};
}

/* Of one head, from position `first` on, a multiple of PANEL. */
static uint16_t *keys_at(const struct attention *a, int64_t head, int64_t first)
{
	return a->packed.k + head * a->packed.k_head +
	       first / PANEL * a->parts * tile_panel(a->dim);
}

static uint16_t *values_at(const struct attention *a, int64_t head, int64_t first)
{
	return a->packed.v + head * a->packed.v_head + a->parts * tile_panel(first);
}

/* Keys and values of positions first .. first + PACK - 1, whose rows hold all heads. */
static void pack(const struct attention *a, int64_t first)
{
	for (int64_t i = 0; i < a->heads / a->group; i++) {
		const struct tile_head k = head_of(a, &a->k, i, first),
				       v = head_of(a, &a->v, i, first);
		a->cpu->tiles->pack_keys(keys_at(a, i, first), &k);
		a->cpu->tiles->pack_values(values_at(a, i, first), a->packed.v_panel, &v);
	}
}

/* ---- queries ------------------------------------------------------------ */

/* Queries first .. first + n - 1 of a head, n <= QUERIES, and what their rows have so far: powers
 * of two are those of the difference to `most`, and sum[i % 32] is that of every 32nd of them. */
struct rows {
	int64_t head, first, n;
	float most[QUERIES];
	_Alignas(64) float sum[QUERIES][PANEL];
};

/* Keys that come together, whole panels. */
struct keys {
	int64_t first, n;
};

static struct tile_gemm product_of(const struct attention *a, const uint16_t *rows, int64_t k)
{
	return (struct tile_gemm){.a = rows,
		.a_row = TILE_K,
		.a_group = tile_blocks(k) * a->parts * TILE_ELEMENTS,
		.a_part = a->parts > 1 ? TILE_ELEMENTS : 0,
		.n_blocks = tile_blocks(k)};
}

static void score(const struct attention *a, const struct work *h, const struct rows *rows,
	const struct keys *keys)
{
	const int64_t there = a->k.n - keys->first;
	struct tile_gemm gemm = product_of(a, h->q, a->dim);

	gemm.w = keys_at(a, rows->head / a->group, keys->first);
	gemm.sum = h->scores;
	gemm.sum_row = a->step;
	a->cpu->tiles->gemm_panels(&gemm, keys->n / PANEL);
	for (int64_t r = 0; r < QUERIES && there < keys->n; r++)
		for (int64_t i = there; i < keys->n; i++)
			h->scores[r * a->step + i] = -INFINITY;
}

/* The greatest score of each row in one panel of keys is enough to begin with. */
static void begin(const struct attention *a, const struct work *h, struct rows *rows)
{
	a->cpu->vec->row_max(rows->most, h->scores, a->step, rows->n, PANEL);
	for (int64_t r = 0; r < rows->n; r++)
		rows->most[r] *= a->scale * (float)M_LOG2E;
	memset(rows->sum, 0, (size_t)rows->n * sizeof(*rows->sum));
}

/* Makes a row's sums those of a `most` that is the greatest of its scores to these keys. */
static void shrink(const struct attention *a, const struct work *h, struct rows *rows,
	const struct keys *keys, int64_t r)
{
	float *values = h->values + r * padded(a->dim), most;

	a->cpu->vec->row_max(&most, h->scores + r * a->step, a->step, 1, keys->n);
	most *= a->scale * (float)M_LOG2E;
	const float factor = exp2f(rows->most[r] - most);
	for (int64_t i = 0; i < padded(a->dim) && keys->first > 0; i++)
		values[i] *= factor;
	for (int64_t i = 0; i < PANEL; i++)
		rows->sum[r][i] *= factor;
	rows->most[r] = most;
}

/* Scores to probabilities, but for the factor 1 / sum. */
static void weigh_by_exp(
	const struct attention *a, const struct work *h, struct rows *rows, const struct keys *keys)
{
	const struct vec_kernels *vec = a->cpu->vec;
	const int64_t block = a->parts * TILE_ELEMENTS;
	const struct exp_rows e = {.s = h->scores,
		.lds = a->step,
		.n = keys->n,
		.scale = a->scale,
		.most = rows->most,
		.sum = rows->sum,
		.limit = LIMIT,
		.p = h->p,
		.p_group = tile_blocks(keys->n) * block,
		.p_block = block,
		.p_part = TILE_ELEMENTS};
	int64_t r = 0;

	while ((r = (a->parts == 1 ? vec->exp_bf16 : vec->exp_split)(&e, r, rows->n)) < rows->n)
		shrink(a, h, rows, keys, r);
}

static float *result(const struct attention *a, const struct rows *rows)
{
	return a->y + (rows->first * a->heads + rows->head) * a->dim;
}

/* Adds values by their probabilities; with the first of them the result is asked for. */
static void weigh(const struct attention *a, const struct work *h, const struct rows *rows,
	const struct keys *keys)
{
	const bool asks = keys->first == 0 && rows->n == QUERIES && a->dim % PANEL == 0;
	struct tile_gemm gemm = product_of(a, h->p, keys->n);

	gemm.sum_row = padded(a->dim);
	gemm.resume = keys->first > 0;
	gemm.out_row = a->heads * a->dim;
	for (int64_t p = 0; p * PANEL < a->dim; p++) {
		gemm.w = values_at(a, rows->head / a->group, keys->first) + p * a->packed.v_panel;
		gemm.sum = h->values + p * PANEL;
		gemm.out = asks ? result(a, rows) + p * PANEL : NULL;
		a->cpu->tiles->gemm(&gemm);
	}
}

/* QUERIES from first on, or what is left. */
static void attend(const struct attention *a, const struct work *h, int64_t head, int64_t first)
{
	const struct tile_head q = head_of(a, &a->q, head, first);
	struct rows rows;

	rows.head = head;
	rows.first = first;
	rows.n = q.n;
	a->cpu->tiles->pack_queries(h->q, &q);
	for (int64_t k = 0; k < a->keys; k += a->step) {
		const struct keys keys = {k, a->keys - k < a->step ? a->keys - k : a->step};
		score(a, h, &rows, &keys);
		if (k == 0)
			begin(a, h, &rows);
		weigh_by_exp(a, h, &rows, &keys);
		weigh(a, h, &rows, &keys);
	}
	a->cpu->vec->divide(result(a, &rows), a->heads * a->dim, h->values, padded(a->dim),
		rows.sum, rows.n, a->dim);
}

static void attention_thread(void *ud, int thread, int n_threads)
{
	struct attention *a = ud;
	const bool packs = a->k.x;
	const struct work h = work_of(a, thread);
	const int64_t per_head = ceil_div(a->q.n, SPAN * QUERIES);
	int64_t task;

	while (packs && (task = atomic_fetch_add(&a->next_pack, 1)) < a->keys / PACK)
		pack(a, task * PACK);
	if (packs)
		pool_barrier(a->cpu->pool);
	a->cpu->tiles->begin();
	while ((task = atomic_fetch_add(&a->next, 1)) < a->heads * per_head) {
		const int64_t first = task % per_head * SPAN * QUERIES,
			      end = first + SPAN * QUERIES;
		for (int64_t q = first; q < end && q < a->q.n; q += QUERIES)
			attend(a, &h, task / per_head, q);
	}
	a->cpu->tiles->end();
}

/* Of heads of so many keys, one behind the other. */
static struct packed packed_heads(int64_t keys, int64_t dim, int parts)
{
	return (struct packed){.k_head = parts * ceil_div(keys, PANEL) * tile_panel(dim),
		.v_head = parts * ceil_div(dim, PANEL) * tile_panel(keys),
		.v_panel = parts * tile_panel(keys)};
}

/* With k.x, packs keys and values first, behind what a run needs else. */
static void run(struct gpu *g, struct attention *a)
{
	const size_t threads = (size_t)pool_threads(a->cpu->pool) * places_of(a).end;
	const struct packed own = packed_heads(a->keys, a->dim, a->parts);
	const int64_t elements = a->k.x ? a->heads * (own.k_head + own.v_head) : 0;

	a->scratch = cpu_scratch(g, threads + (size_t)elements * sizeof(*own.k));
	if (!a->scratch)
		return;
	if (a->k.x) {
		a->packed = own;
		a->packed.k = (uint16_t *)(void *)(a->scratch + threads);
		a->packed.v = a->packed.k + a->heads * own.k_head;
	}
	pool_team(a->cpu->pool, attention_thread, a);
}

static void attend_to_itself(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *qkv,
	int64_t n_heads, float scale, int parts)
{
	const int64_t n = qkv->ne[0], width = y->ne[1];
	const float *x = qkv->data;
	struct attention a = {.cpu = g->device,
		.q = {x, n, 3 * width},
		.k = {x + width, n, 3 * width},
		.v = {x + 2 * width, n, 3 * width},
		.y = y->data,
		.heads = n_heads,
		.dim = width / n_heads,
		.group = 1,
		.keys = ceil_div(n, PANEL) * PANEL,
		.parts = parts,
		.step = parts == 1 ? KEYS : KEYS_SPLIT,
		.scale = scale};

	run(g, &a);
}

void cpu_attention_tiles(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *qkv,
	int64_t n_heads, float scale)
{
	for (int64_t i = 0; i < cpu_sequences(y); i++) {
		struct gpu_tensor to = cpu_sequence(y, i);
		const struct gpu_tensor from = cpu_sequence(qkv, i);
		attend_to_itself(g, &to, &from, n_heads, scale, 1);
	}
}

void cpu_attention_split(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *qkv,
	int64_t n_heads, float scale)
{
	attend_to_itself(g, y, qkv, n_heads, scale, 3);
}

/* ---- caches ------------------------------------------------------------- */

void cpu_split_kv_size(const struct gpu_kv *kv, int64_t *ret_k, int64_t *ret_v)
{
	const int64_t heads = kv->n_rows * kv->n_heads;
	const struct packed p = packed_heads(kv->max_len, kv->head_dim, 3);

	*ret_k = heads * p.k_head;
	*ret_v = heads * p.v_head;
}

/* Of sequence `row`, which has n positions, n_heads heads of queries. */
static struct attention cached(
	struct gpu *g, const struct gpu_kv *kv, int64_t row, int64_t n, int64_t n_heads)
{
	struct packed p = packed_heads(kv->max_len, kv->head_dim, 3);

	p.k = (uint16_t *)kv->k->data + row * kv->n_heads * p.k_head;
	p.v = (uint16_t *)kv->v->data + row * kv->n_heads * p.v_head;
	return (struct attention){.cpu = g->device,
		.k.n = n,
		.v.n = n,
		.heads = n_heads,
		.dim = kv->head_dim,
		.group = n_heads / kv->n_heads,
		.keys = ceil_div(n, PANEL) * PANEL,
		.parts = 3,
		.step = KEYS_SPLIT,
		.packed = p};
}

void cpu_split_kv_fill(struct gpu *g, struct gpu_kv *kv, int64_t row, const struct gpu_tensor *kv_x)
{
	const int64_t width = kv->n_heads * kv->head_dim;
	struct attention a = cached(g, kv, row, kv_x->ne[0], kv->n_heads);

	a.k.x = kv_x->data;
	a.v.x = a.k.x + width;
	a.k.ld = a.v.ld = 2 * width;
	for (int64_t i = 0; i < a.keys; i += PACK)
		pack(&a, i);
}

void cpu_attention_cross_split(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *q,
	const struct gpu_kv *kv, float scale)
{
	const int64_t width = q->ne[1], n = q->ne[0] / kv->n_rows;

	for (int64_t r = 0; r < kv->n_rows; r++) {
		struct attention a = cached(g, kv, r, kv->len[r], width / kv->head_dim);
		a.q = (struct positions){(const float *)q->data + r * n * width, n, width};
		a.y = (float *)y->data + r * n * width;
		a.scale = scale;
		run(g, &a);
	}
}
