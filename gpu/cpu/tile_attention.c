/* Attention in products of bf16 by bf16 (gpu_attention_tiles), and in those of three bf16 each
 * (gpu_attention_full, where there are tile units).
 *
 * First all heads' queries, keys and values are packed, row by row as they lie, then a task is some
 * queries of a head, QUERIES at a time, and KEYS at a time their scores, exp and rounding, or
 * splitting, in one pass, and the product with the values: all of it in the first-level cache.  It
 * is divided by the sum of the row at last.
 *
 * exp is that of the difference to a row's greatest score so far, of a while ago: floats have room
 * for powers of two up to GROWTH, and only what would be above makes the row's sums shrink. */
#include "gpu/cpu/cpu.h"
#include "gpu/cpu/tile_kernels.h"
#include "gpu/cpu/vec_kernels.h"

#include <math.h>
#include <stdatomic.h>

enum {
	QUERIES = TILE_STEP, /* whose scores stay in the second-level cache */
	KEYS = 128,          /* whose scores are in the first-level cache */
	GROWTH = 32,  /* of a score, as a power of two, above what is taken for the greatest */
	PACK = PANEL, /* positions packed by one task */
	SPAN = 4      /* times QUERIES: a task */
};

struct attention {
	const struct cpu *cpu;
	const float *qkv;
	float *y;
	int64_t n, heads, dim; /* positions, heads, channels of a head */
	int64_t keys;          /* n padded to whole panels */
	int parts;             /* 1, or 3 */
	float scale;
	uint16_t *k, *v;        /* of all heads, as matrices [keys, dim], [dim, keys] */
	int64_t k_head, v_head; /* elements of one */
	char *scratch;          /* of the threads */
	int64_t *offset;        /* [blocks of a row of tiles] */
	_Atomic int64_t next, next_pack;
};

/* One thread's. */
struct work {
	uint16_t *p;   /* QUERIES rows of KEYS: [16 rows][block][part][row][32] */
	float *scores; /* [QUERIES][KEYS] */
	float *values; /* [QUERIES][dim in whole blocks]: their weighted sum */
	uint16_t *q;   /* QUERIES rows: [16 rows][block][part][row][32] */
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

	o.scores = aligned(QUERIES * KEYS * a->parts, sizeof(uint16_t));
	o.values = o.scores + aligned(QUERIES * KEYS, sizeof(float));
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

static struct tile_gemm product_of(const struct attention *a, const uint16_t *rows, int64_t k)
{
	return (struct tile_gemm){.a = rows,
		.a_row = TILE_K,
		.a_group = tile_blocks(k) * a->parts * TILE_ELEMENTS,
		.a_part = a->parts > 1 ? TILE_ELEMENTS : 0,
		.offset = a->offset,
		.n_blocks = tile_blocks(k)};
}

/* Of n keys from first on, whole panels. */
static void score(const struct attention *a, const struct work *h, const uint16_t *k, int64_t first,
	int64_t n)
{
	const int64_t there = a->n - first;
	struct tile_gemm gemm = product_of(a, h->q, a->dim);

	gemm.sum_row = KEYS;
	gemm.w = k + first / PANEL * a->parts * tile_panel(a->dim);
	gemm.sum = h->scores;
	for (int64_t p = 0; p < n; p += PANEL, gemm.sum += PANEL) {
		a->cpu->tiles->gemm(&gemm);
		gemm.w += a->parts * tile_panel(a->dim);
	}
	for (int64_t r = 0; r < QUERIES && there < n; r++)
		for (int64_t i = there; i < n; i++)
			h->scores[r * KEYS + i] = -INFINITY;
}

static float total(float sum[PANEL])
{
	for (int64_t n = PANEL / 2; n; n /= 2)
		for (int64_t i = 0; i < n; i++)
			sum[i] += sum[i + n];
	return sum[0];
}

/* What a row has so far: powers of two are those of the difference to `most`, and sum[i % 32]
 * is that of every 32nd of them. */
struct rows {
	float most[QUERIES], sum[QUERIES][PANEL];
};

/* Makes a row's sums those of another `most`. */
static void shrink(
	const struct attention *a, const struct work *h, struct rows *rows, int64_t r, float most)
{
	const float factor = exp2f(rows->most[r] - most);
	float *values = h->values + r * padded(a->dim);

	for (int64_t i = 0; i < padded(a->dim); i++)
		values[i] *= factor;
	for (int64_t i = 0; i < PANEL; i++)
		rows->sum[r][i] *= factor;
	rows->most[r] = most;
}

/* What the scores of n more keys are taken from. */
static void grow(const struct attention *a, const struct work *h, struct rows *rows, int64_t n,
	bool is_first)
{
	float most[QUERIES];

	a->cpu->vec->row_max(most, h->scores, KEYS, QUERIES, n);
	for (int64_t r = 0; r < QUERIES; r++) {
		const float top = most[r] * (a->scale * (float)M_LOG2E);
		if (is_first)
			rows->most[r] = top;
		else if (top > rows->most[r] + GROWTH)
			shrink(a, h, rows, r, top);
	}
}

/* Scores of n keys to probabilities, but for the factor 1 / sum. */
static void weigh_by_exp(
	const struct attention *a, const struct work *h, struct rows *rows, int64_t n)
{
	const int64_t stride = a->parts * TILE_ELEMENTS, group = tile_blocks(n) * stride;
	const struct vec_kernels *vec = a->cpu->vec;

	for (int64_t r = 0; r < QUERIES; r++) {
		uint16_t *p = h->p + r / TILE_ROWS * group + r % TILE_ROWS * TILE_K;
		const float *s = h->scores + r * KEYS;
		if (a->parts == 1)
			vec->exp_bf16(p, stride, s, n, rows->most[r], a->scale, rows->sum[r]);
		else
			vec->exp_split(p, stride, TILE_ELEMENTS, s, n, rows->most[r], a->scale,
				rows->sum[r]);
	}
}

/* Adds the values of n keys from first on, by their probabilities. */
static void weigh(const struct attention *a, const struct work *h, const uint16_t *v, int64_t first,
	int64_t n)
{
	struct tile_gemm gemm = product_of(a, h->p, n);

	gemm.sum_row = padded(a->dim);
	gemm.resume = first > 0;
	for (int64_t p = 0; p * PANEL < a->dim; p++) {
		gemm.w = v + p * a->parts * tile_panel(a->keys) + a->parts * tile_panel(first);
		gemm.sum = h->values + p * PANEL;
		a->cpu->tiles->gemm(&gemm);
	}
}

/* Queries first .. first + QUERIES - 1 of a head, of which there are n. */
static void attend(const struct attention *a, const struct work *h, int64_t head, int64_t first)
{
	const int64_t width = a->heads * a->dim, left = a->n - first;
	const int64_t n = left < QUERIES ? left : QUERIES;
	const struct tile_head q = head_of(a, 0, head, first);
	struct rows rows = {0};

	a->cpu->tiles->pack_queries(h->q, &q);
	for (int64_t k = 0; k < a->keys; k += KEYS) {
		const int64_t keys = a->keys - k < KEYS ? a->keys - k : KEYS;
		score(a, h, a->k + head * a->k_head, k, keys);
		grow(a, h, &rows, keys, k == 0);
		weigh_by_exp(a, h, &rows, keys);
		weigh(a, h, a->v + head * a->v_head, k, keys);
	}
	for (int64_t r = 0; r < n; r++) {
		float *y = a->y + (first + r) * width + head * a->dim;
		const float *values = h->values + r * padded(a->dim);
		const float inverse = 1 / total(rows.sum[r]);
		for (int64_t i = 0; i < a->dim; i++)
			y[i] = values[i] * inverse;
	}
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
