/* Gated feed-forward layers over matrices of tiles, rows by rows: what is between the two
 * products is in the caches and never written as f32.
 *
 * A hidden value is the product of a panel of `in` and of the panel of its gate, so 32 rows
 * of 32 hidden values are finished, gated and packed as a block of k of `out` at once.  With
 * many rows a task is a chunk of them: it packs their norm, then a slice of hidden values
 * and their products with `out`, whose sums are kept, in turn.  With few rows all threads
 * share them, so that weights are read once: first hidden values, then outputs are cut.
 *
 * Sums are those of gpu_layer_norm(), gpu_linear(), gpu_gated_..() and gpu_linear_add(), to
 * the bit, however tasks are cut. */
#include "gpu/cpu/cpu.h"
#include "gpu/cpu/tile_work.h"
#include "gpu/cpu/vec_kernels.h"

#include <stdatomic.h>
#include <string.h>

enum {
	CHUNK_VALUES = 576 << 10, /* packed, of a task: what the second-level cache has room for */
	SLICE = 16,               /* blocks of hidden values, at most */
	TASKS = 4,                /* for each thread, where all share the rows */
	AHEAD_BYTES = 512 << 10,  /* weights of fewer bytes are in the cache anyway */
	GATE_VALUES = TILE_STEP * PANEL
};

struct feed {
	const struct cpu *cpu;
	const struct gpu_feed_forward *ff;
	float *x;
	int64_t rows, c, blocks, hidden_blocks; /* blocks of c, and of hidden values */
	int parts;
	int64_t block, w_block; /* elements of a block of 16 rows, of a panel */
	struct tile_cut cut;    /* of rows; one group: each task has its own */
	int64_t slice;          /* blocks of hidden values that are there at a time */
	bool asks;              /* for the panel behind */
	/* Of each thread, or of all where they share rows; sums of each anyway */
	uint16_t *a, *h; /* [16 rows][block][part][row][32] */
	int64_t own_a, own_h;
	float *sums; /* [panel][row][32] */
	int64_t own_sums;
	_Atomic int64_t next[3];
};

/* Rows row0 .. row0 + 15, normed. */
static void pack_group(const struct feed *o, uint16_t *dst, int64_t row0)
{
	const int64_t left = o->rows - row0;

	cpu_tile_pack_norm(o->cpu, o->parts, dst, &o->ff->norm, o->x + row0 * o->c,
		left < 0 ? 0 : least(left, TILE_ROWS), o->c);
}

/* Panel p of a matrix, from a block of k on. */
static const uint16_t *panel_at(
	const struct feed *o, const struct gpu_tensor *w, int64_t p, int64_t block)
{
	return (const uint16_t *)w->data + (p * tile_blocks(w->ne[1]) + block) * o->w_block;
}

static struct tile_gemm product_of(const struct feed *o, int64_t n_blocks, int64_t group)
{
	return (struct tile_gemm){.a_row = TILE_K,
		.a_group = group * o->block,
		.a_part = o->parts > 1 ? TILE_ELEMENTS : 0,
		.n_blocks = n_blocks,
		.sum_row = PANEL};
}

/* While steps of rows pass by a panel, `blocks` of the next are brought. */
static void ask_for(const struct feed *o, struct tile_gemm *gemm, int64_t blocks, int64_t steps)
{
	const int64_t lines = o->w_block * (int64_t)sizeof(uint16_t) / 64;

	if (!o->asks)
		return;
	gemm->ahead_lines = (int)ceil_div(lines, steps);
	gemm->ahead_blocks = least(blocks, gemm->n_blocks);
}

/* Rows of a chunk, packed at a, by panel p and by that of its gate, gated and packed as block
 * `at` of rows of `group` blocks at h. */
static void hidden_panel(const struct feed *o, const uint16_t *a, uint16_t *h, int64_t p,
	int64_t at, int64_t group, int64_t rows)
{
	const struct gpu_feed_forward *ff = o->ff;
	const struct tile_kernels *tiles = o->cpu->tiles;
	const int64_t steps = ceil_div(rows, TILE_STEP), next = (p + 1) % o->hidden_blocks;
	float sum[2][GATE_VALUES] __attribute__((aligned(64))), bias[2][PANEL];
	struct tile_gemm gemm = product_of(o, o->blocks, o->blocks);

	ask_for(o, &gemm, o->blocks, steps);
	for (int i = 0; i < 2; i++)
		tile_bias(ff->in_bias, p + i * o->hidden_blocks, bias[i]);
	for (int64_t s = 0; s < steps; s++) {
		gemm.a = a + s * 2 * gemm.a_group;
		for (int i = 0; i < 2; i++) {
			const int64_t gate = i * o->hidden_blocks;
			gemm.w = panel_at(o, ff->in, gate + p, 0);
			gemm.ahead = (const char *)panel_at(o, ff->in, gate + next, 0) +
				     s * gemm.ahead_lines * 64 * o->blocks;
			gemm.sum = sum[i];
			tiles->gemm(&gemm);
			tiles->finish(sum[i], PANEL, sum[i], bias[i], TILE_STEP, PANEL, 0);
		}
		o->cpu->vec->gated[ff->act](sum[0], sum[0], sum[1], GATE_VALUES);
		for (int i = 0; i < 2; i++)
			tiles->place(h + ((2 * s + i) * group + at) * o->block, o->block,
				TILE_ELEMENTS, o->parts, sum[0] + i * TILE_ROWS * PANEL, TILE_ROWS,
				PANEL, 1);
	}
}

/* n_blocks of hidden values from `first` on, packed at h, by panel p of `out`; `sums` go on from
 * slice to slice, and the last adds them to x. */
static void out_panel(const struct feed *o, const uint16_t *h, int64_t group, float *sums,
	int64_t p, int64_t first, int64_t n_blocks, int64_t row0, int64_t rows)
{
	const struct tile_kernels *tiles = o->cpu->tiles;
	const int64_t steps = ceil_div(rows, TILE_STEP), panels = o->c / PANEL;
	const bool is_last = first + n_blocks == o->hidden_blocks;
	float *y = o->x + row0 * o->c + p * PANEL, bias[PANEL];
	struct tile_gemm gemm = product_of(o, n_blocks, group);

	gemm.w = panel_at(o, o->ff->out, p, first);
	gemm.resume = first > 0;
	gemm.out_row = o->c;
	if (p + 1 < panels)
		ask_for(o, &gemm, n_blocks, steps);
	tile_bias(o->ff->out_bias, p, bias);
	for (int64_t s = 0; s < steps; s++, y += TILE_STEP * o->c) {
		const int64_t n = least(rows - s * TILE_STEP, TILE_STEP);
		gemm.a = h + s * 2 * gemm.a_group;
		gemm.ahead = (const char *)panel_at(o, o->ff->out, p + 1, first) +
			     s * gemm.ahead_lines * 64 * n_blocks;
		gemm.sum = sums + s * GATE_VALUES;
		gemm.out = is_last && n == TILE_STEP ? y : NULL;
		tiles->gemm(&gemm);
		if (is_last)
			tiles->finish(y, o->c, gemm.sum, bias, n, PANEL, 1);
	}
}

/* The products of all slices with panels p .. end - 1. */
static void out_slice(const struct feed *o, const uint16_t *h, int64_t group, float *sums,
	int64_t p, int64_t end, int64_t first, int64_t n_blocks, int64_t row0, int64_t rows)
{
	const int64_t each = ceil_div(rows, TILE_STEP) * GATE_VALUES;

	for (; p < end; p++, sums += each)
		out_panel(o, h, group, sums, p, first, n_blocks, row0, rows);
}

static int64_t row_at(const struct feed *o, int64_t chunk)
{
	return tile_row_at(o->rows, chunk, o->cut.chunks);
}

static int64_t rows_of(const struct feed *o, int64_t chunk)
{
	return row_at(o, chunk + 1) - row_at(o, chunk);
}

/* All of a chunk of rows. */
static void chunk_task(const struct feed *o, int64_t chunk, int thread)
{
	const int64_t row0 = row_at(o, chunk), rows = rows_of(o, chunk);
	uint16_t *a = o->a + thread * o->own_a, *h = o->h + thread * o->own_h;
	float *sums = o->sums + thread * o->own_sums;

	for (int64_t r = 0; r < ceil_div(rows, TILE_STEP) * TILE_STEP; r += TILE_ROWS)
		pack_group(o, a + r / TILE_ROWS * o->blocks * o->block, row0 + r);
	for (int64_t first = 0; first < o->hidden_blocks; first += o->slice) {
		const int64_t n = least(o->hidden_blocks - first, o->slice);
		for (int64_t i = 0; i < n; i++)
			hidden_panel(o, a, h, first + i, i, o->slice, rows);
		out_slice(o, h, o->slice, sums, 0, o->c / PANEL, first, n, row0, rows);
	}
}

/* Task i of `chunks` times groups of n panels: which of them. */
struct share {
	int64_t chunk, first, end;
};

static struct share share_of(const struct feed *o, int64_t task, int64_t n)
{
	const int64_t group = task / o->cut.chunks;

	return (struct share){
		task % o->cut.chunks, n * group / o->cut.groups, n * (group + 1) / o->cut.groups};
}

static void hidden_task(const struct feed *o, int64_t task)
{
	const struct share s = share_of(o, task, o->hidden_blocks);
	const int64_t groups = row_at(o, s.chunk) / TILE_ROWS;

	for (int64_t p = s.first; p < s.end; p++)
		hidden_panel(o, o->a + groups * o->blocks * o->block,
			o->h + groups * o->hidden_blocks * o->block, p, p, o->hidden_blocks,
			rows_of(o, s.chunk));
}

static void out_task(const struct feed *o, int64_t task, int thread)
{
	const struct share s = share_of(o, task, o->c / PANEL);
	const int64_t row0 = row_at(o, s.chunk);
	const uint16_t *h = o->h + row0 / TILE_ROWS * o->hidden_blocks * o->block;

	for (int64_t first = 0; first < o->hidden_blocks; first += o->slice)
		out_slice(o, h + first * o->block, o->hidden_blocks, o->sums + thread * o->own_sums,
			s.first, s.end, first, least(o->hidden_blocks - first, o->slice), row0,
			rows_of(o, s.chunk));
}

/* All threads share the rows: packing, hidden values, outputs. */
static void share_rows(struct feed *o, int thread)
{
	const int64_t groups = ceil_div(o->rows, TILE_STEP) * 2,
		      tasks = o->cut.chunks * o->cut.groups;
	int64_t task;

	while ((task = atomic_fetch_add(&o->next[0], 1)) < groups)
		pack_group(o, o->a + task * o->blocks * o->block, task * TILE_ROWS);
	pool_barrier(o->cpu->pool);
	while ((task = atomic_fetch_add(&o->next[1], 1)) < tasks)
		hidden_task(o, task);
	pool_barrier(o->cpu->pool);
	while ((task = atomic_fetch_add(&o->next[2], 1)) < tasks)
		out_task(o, task, thread);
}

static void feed_thread(void *ud, int thread, int n_threads)
{
	struct feed *o = ud;
	int64_t task;

	o->cpu->tiles->begin();
	if (o->cut.groups > 1)
		share_rows(o, thread);
	else
		while ((task = atomic_fetch_add(&o->next[0], 1)) < o->cut.chunks)
			chunk_task(o, task, thread);
	o->cpu->tiles->end();
}

/* Chunks, slices and groups; false where the packed values of few rows would fill the cache. */
static bool cut(struct feed *o)
{
	o->slice = least(SLICE, o->hidden_blocks);
	const int64_t most =
		CHUNK_VALUES / (o->parts * TILE_K * (o->blocks + o->slice)) / TILE_STEP;
	if (most < TILE_FEW_ROWS / TILE_STEP)
		return false;
	o->cut = tile_cut(pool_threads(o->cpu->pool), o->rows, most, o->c / PANEL, TASKS);
	return true;
}

/* Room for all of it, from scratch; false after gpu_fail(). */
static bool lay_out(struct gpu *g, struct feed *o)
{
	const int64_t threads = pool_threads(o->cpu->pool), panels = o->c / PANEL;
	const int64_t all = ceil_div(o->rows, TILE_STEP) * 2, each = o->cut.chunk / TILE_ROWS;
	const bool shared = o->cut.groups > 1;

	o->own_a = (shared ? all : each) * o->blocks * o->block;
	o->own_h = (shared ? all : each) * (shared ? o->hidden_blocks : o->slice) * o->block;
	o->own_sums = o->cut.chunk * PANEL * (shared ? ceil_div(panels, o->cut.groups) : panels);
	const size_t packed =
		(size_t)((o->own_a + o->own_h) * (shared ? 1 : threads)) * sizeof(*o->a);
	char *at = cpu_scratch(g, packed + (size_t)(o->own_sums * threads) * sizeof(*o->sums));
	if (!at)
		return false;
	o->a = (uint16_t *)(void *)at;
	o->h = o->a + o->own_a * (shared ? 1 : threads);
	o->sums = (float *)(void *)(at + packed);
	return true;
}

bool cpu_feed_forward(struct gpu *g, struct gpu_tensor *x, const struct gpu_feed_forward *ff,
	struct gpu_tensor *normed, struct gpu_tensor *wide, struct gpu_tensor *gated)
{
	const int64_t hidden = ff->out->ne[1];
	struct feed o = {.cpu = cpu_of(g),
		.ff = ff,
		.x = x->data,
		.rows = x->ne[0],
		.c = x->ne[1],
		.blocks = tile_blocks(x->ne[1]),
		.hidden_blocks = tile_blocks(hidden),
		.parts = cpu_tile_parts(ff->in->dtype)};

	o.block = o.parts * TILE_ELEMENTS;
	o.w_block = 2 * o.block;
	if (!ff->is_gated || !cpu_is_tiled(ff->in->dtype) || ff->out->dtype != ff->in->dtype ||
		o.c % PANEL || o.c > TILE_NORM_MOST || hidden % PANEL || !cut(&o))
		return false;
	o.asks = 3 * o.blocks * o.hidden_blocks * o.w_block * (int64_t)sizeof(uint16_t) >
		 AHEAD_BYTES;
	if (lay_out(g, &o))
		pool_team(o.cpu->pool, feed_thread, &o);
	return true;
}
