/* Attention in products of bf16 by bf16 (gpu_attention_tiles), and in those of three bf16 each
 * (gpu_attention_full, where there are tile units).
 *
 * First all heads' keys and values are packed, row by row as they lie, then a task is some queries
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

struct attention {
	const struct cpu *cpu;
	const float *qkv;
	float *y;
	int64_t n, heads, dim; /* positions, heads, channels of a head */
	int64_t keys;          /* n padded to whole panels */
	int parts;             /* 1, or 3 */
	int64_t step;          /* KEYS, or KEYS_SPLIT */
	float scale;
	uint16_t *k, *v;        /* of all heads, as matrices [keys, dim], [dim, keys] */
	int64_t k_head, v_head; /* elements of one */
	char *scratch;          /* of the threads */
	int64_t *offset;        /* [blocks of a row of tiles] */
	_Atomic int64_t next, next_pack;
};

/* One thread's. */
struct work {
	uint16_t *p;   /* QUERIES rows of `step` keys: [16 rows][block][part][row][32] */
	float *scores; /* [QUERIES][step] */
	float *values; /* [QUERIES][dim in whole blocks]: their weighted sum */
	uint16_t *q;   /* QUERIES rows of `dim`, as p */
};

static int64_t ceil_div(int64_t a, int64_t b)
{
	return (a + b - 1) / b;
}

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

/* Queries, keys or values, of which `which` is 0, 1 or 2, from position `first` on. */
static struct tile_head head_of(const struct attention *a, int which, int64_t head, int64_t first)
{
	const int64_t left = a->n - first, width = a->heads * a->dim;

	return (struct tile_head){.x = a->qkv + (3 * first + which) * width + head * a->dim,
		.ldx = 3 * width,
		.n = left < PACK ? left : PACK,
		.dim = a->dim,
		.ahead = which == 0 ? 3 * width * QUERIES : a->dim,
		.parts = a->parts};
}

/* Keys and values of positions first .. first + PACK - 1, whose rows hold all heads. */
static void pack(const struct attention *a, int64_t first)
{
	for (int64_t i = 0; i < a->heads; i++) {
		const struct tile_head k = head_of(a, 1, i, first), v = head_of(a, 2, i, first);
		a->cpu->tiles->pack_keys(
			a->k + i * a->k_head + first / PANEL * a->parts * tile_panel(a->dim), &k);
		a->cpu->tiles->pack_values(a->v + i * a->v_head + a->parts * tile_panel(first),
			a->parts * tile_panel(a->keys), &v);
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
		.offset = a->offset,
		.n_blocks = tile_blocks(k)};
}

static void score(const struct attention *a, const struct work *h, const struct rows *rows,
	const struct keys *keys)
{
	const int64_t there = a->n - keys->first;
	struct tile_gemm gemm = product_of(a, h->q, a->dim);

	gemm.w =
		a->k + rows->head * a->k_head + keys->first / PANEL * a->parts * tile_panel(a->dim);
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
		gemm.w = a->v + rows->head * a->v_head + p * a->parts * tile_panel(a->keys) +
			 a->parts * tile_panel(keys->first);
		gemm.sum = h->values + p * PANEL;
		gemm.out = asks ? result(a, rows) + p * PANEL : NULL;
		a->cpu->tiles->gemm(&gemm);
	}
}

/* QUERIES from first on, or what is left. */
static void attend(const struct attention *a, const struct work *h, int64_t head, int64_t first)
{
	const struct tile_head q = head_of(a, 0, head, first);
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
	const struct work h = work_of(a, thread);
	const int64_t per_head = ceil_div(a->n, SPAN * QUERIES);
	int64_t task;

	while ((task = atomic_fetch_add(&a->next_pack, 1)) < a->keys / PACK)
		pack(a, task * PACK);
	pool_barrier(a->cpu->pool);
	a->cpu->tiles->begin();
	while ((task = atomic_fetch_add(&a->next, 1)) < a->heads * per_head) {
		const int64_t first = task % per_head * SPAN * QUERIES,
			      end = first + SPAN * QUERIES;
		for (int64_t q = first; q < end && q < a->n; q += QUERIES)
			attend(a, &h, task / per_head, q);
	}
	a->cpu->tiles->end();
}

static void run(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *qkv, int64_t n_heads,
	float scale, int parts)
{
	struct attention a = {.cpu = g->device,
		.qkv = qkv->data,
		.y = y->data,
		.n = qkv->ne[0],
		.heads = n_heads,
		.dim = y->ne[1] / n_heads,
		.keys = ceil_div(qkv->ne[0], PANEL) * PANEL,
		.parts = parts,
		.step = parts == 1 ? KEYS : KEYS_SPLIT,
		.scale = scale};
	const int64_t most = tile_blocks(a.dim > a.keys ? a.dim : a.keys);
	const size_t offsets = aligned(most, sizeof(*a.offset));

	a.k_head = parts * a.keys / PANEL * tile_panel(a.dim);
	a.v_head = parts * ceil_div(a.dim, PANEL) * tile_panel(a.keys);
	const size_t packed = (size_t)(n_heads * (a.k_head + a.v_head)) * sizeof(*a.k);
	char *scratch = cpu_scratch(
		g, offsets + packed + (size_t)pool_threads(a.cpu->pool) * places_of(&a).end);
	if (!scratch)
		return;
	a.offset = (int64_t *)(void *)scratch;
	a.k = (uint16_t *)(void *)(scratch + offsets);
	a.v = a.k + n_heads * a.k_head;
	a.scratch = scratch + offsets + packed;
	for (int64_t b = 0; b < most; b++)
		a.offset[b] = b * parts * TILE_ELEMENTS;
	pool_team(a.cpu->pool, attention_thread, &a);
}

void cpu_attention_tiles(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *qkv,
	int64_t n_heads, float scale)
{
	for (int64_t i = 0; i < cpu_sequences(y); i++) {
		struct gpu_tensor to = cpu_sequence(y, i);
		const struct gpu_tensor from = cpu_sequence(qkv, i);
		run(g, &to, &from, n_heads, scale, 1);
	}
}

void cpu_attention_split(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *qkv,
	int64_t n_heads, float scale)
{
	run(g, y, qkv, n_heads, scale, 3);
}
