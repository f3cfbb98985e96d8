/* Products of bf16 by bf16: packing, tasks, convolutions.
 *
 * x is rounded to bf16 once, into rows that are padded to whole blocks of k, 16 of
 * them in a group whose tiles lie one behind the other.  A convolution over channels
 * that are a multiple of a block needs no such rows: its frames are rounded where
 * they are, and row t of tap i is just frame t + i * dilation.
 *
 * A task is a chunk of rows, which stay in the second-level cache, and all panels, or
 * some of them where rows are few.  Each panel passes by the rows of a chunk while the
 * next one is brought from memory.  How tasks are cut changes no sum. */
#include "gpu/cpu/cpu.h"
#include "gpu/cpu/image_kernels.h"
#include "gpu/cpu/tile_work.h"
#include "gpu/cpu/vec_kernels.h"
#include "library/base/arena.h"

#include <stdatomic.h>
#include <stdlib.h>

enum {
	LEAST_CHUNK = 128,        /* rows of a task, .. */
	CHUNK = 512,              /* .. at most, .. */
	CHUNK_VALUES = 400 << 10, /* .. and their values: what the second-level cache holds */
	FEW_ROWS = 256,           /* of which too few go by a panel that comes from memory */
	TASKS = 2,                /* for each thread, at least, if there are several */
	AHEAD_BYTES = 512 << 10,  /* weights of fewer bytes are in the cache anyway */
	SLICE_BYTES = 256 << 10,  /* of a panel that rows pass by at a time, about */
	CONVERT = 16 << 10,       /* values rounded by one task */
	NORMED = 4 << 10,         /* values normed at a time, in the first-level cache */
	NARROW = 5                /* images that lose one row in so many to borders */
};

static int64_t clamp(int64_t x, int64_t least, int64_t most)
{
	return x < least ? least : x > most ? most : x;
}

/* ---- matrices ----------------------------------------------------------- */

size_t cpu_tile_matrix_bytes(enum gpu_dtype dtype, int64_t n_out, int64_t n_in)
{
	return (size_t)(ceil_div(n_out, PANEL) * cpu_tile_parts(dtype) * tile_panel(n_in)) *
	       sizeof(uint16_t);
}

/* n <= 32 values of output `o` of a panel: a block, whose parts follow each other. */
static void put_block(const struct tile_kernels *tiles, int parts, uint16_t *block, int64_t o,
	const float *x, int64_t n)
{
	uint16_t line[3][TILE_K];
	float values[TILE_K] = {0};

	memcpy(values, x, (size_t)n * sizeof(*x));
	tile_put(tiles, parts, line[0], TILE_K, values, TILE_K);
	for (int p = 0; p < parts; p++, block += 2 * TILE_ELEMENTS)
		for (int i = 0; i < TILE_K; i += 2)
			memcpy(block + tile_place(o, i), line[p] + i, 2 * sizeof(*block));
}

void cpu_tile_put_rows(const struct tile_kernels *tiles, struct gpu_tensor *t, int64_t first,
	int64_t n, const float *src)
{
	const int64_t n_in = t->ne[1];
	const int parts = cpu_tile_parts(t->dtype);

	for (int64_t r = 0; r < ceil_div(n, PANEL) * PANEL; r++) {
		uint16_t *panel =
			(uint16_t *)t->data + (first + r) / PANEL * parts * tile_panel(n_in);
		for (int64_t k = 0; k < n_in; k += TILE_K) {
			const int64_t left = n_in - k, valid = left < TILE_K ? left : TILE_K;
			put_block(tiles, parts, panel + k / TILE_K * parts * 2 * TILE_ELEMENTS,
				(first + r) % PANEL, r < n ? src + r * n_in + k : src,
				r < n ? valid : 0);
		}
	}
}

/* ---- activations -------------------------------------------------------- */

/* Rows of x as tiles take them. */
struct rounded {
	const struct cpu *cpu;
	const struct tile_product *p;
	uint16_t *dst;
	int64_t blocks; /* of k in a row */
	int64_t plane;  /* frames of a block of channels, where x is rounded by frames */
};

/* The rows of a group of 16 behind n of them. */
static void clear_rows(uint16_t *dst, int64_t n_tiles, int64_t n)
{
	for (int64_t i = 0; i < n_tiles && n < TILE_ROWS; i++)
		memset(dst + i * TILE_ELEMENTS + n * TILE_K, 0,
			(size_t)((TILE_ROWS - n) * TILE_K) * sizeof(*dst));
}

void cpu_tile_pack_norm(const struct cpu *cpu, int parts, uint16_t *dst,
	const struct gpu_norm *norm, const float *x, int64_t n, int64_t c)
{
	float line[TILE_NORM_MOST];

	for (int64_t r = 0; r < n; r++) {
		cpu->vec->norm(line, x + r * c, norm->w->data, norm->b->data, norm->eps, c);
		cpu->tiles->place(dst + r * TILE_K, parts * TILE_ELEMENTS, TILE_ELEMENTS, parts,
			line, 1, c, 1);
	}
	clear_rows(dst, c / TILE_K * parts, n);
}

/* A row of a group, from x. */
static void pack_row(const struct rounded *o, uint16_t *dst, const float *x)
{
	const struct tile_product *p = o->p;
	float line[TILE_K];

	for (int64_t b = 0; b < o->blocks; b++, dst += p->parts * TILE_ELEMENTS) {
		const int64_t left = p->k - b * TILE_K;
		if (p->dilation == 1 && left >= TILE_K) {
			tile_put(o->cpu->tiles, p->parts, dst, TILE_ELEMENTS, x + b * TILE_K,
				TILE_K);
			continue;
		}
		for (int64_t i = 0; i < TILE_K; i++) {
			const int64_t k = b * TILE_K + i, tap = k / p->channels;
			line[i] =
				i < left ? x[tap * p->dilation * p->channels + k % p->channels] : 0;
		}
		tile_put(o->cpu->tiles, p->parts, dst, TILE_ELEMENTS, line, TILE_K);
	}
}

/* Rows row0 .. row0 + 15 of a batch: [block][part][row][32] */
static void pack_group(const struct rounded *o, uint16_t *dst, int64_t batch, int64_t row0)
{
	const struct tile_product *p = o->p;
	const float *x = p->x + batch * p->x_batch + row0 * p->ldx;
	const int64_t block = p->parts * TILE_ELEMENTS, left = p->rows - row0;
	const int64_t n = left < 0 ? 0 : left < TILE_ROWS ? left : TILE_ROWS;

	if (p->norm) {
		cpu_tile_pack_norm(o->cpu, p->parts, dst, p->norm, x, n, p->k);
		return;
	}
	if (p->ldx == p->k && p->k % TILE_K == 0)
		o->cpu->tiles->place(dst, block, TILE_ELEMENTS, p->parts, x, n, p->k, 1);
	else
		for (int64_t r = 0; r < n; r++)
			pack_row(o, dst + r * TILE_K, x + r * p->ldx);
	clear_rows(dst, o->blocks * p->parts, n);
}

static void pack_task(void *ud, size_t task)
{
	const struct rounded *o = ud;
	const int64_t per_batch = ceil_div(o->p->rows, TILE_STEP) * 2;

	pack_group(o, o->dst + (int64_t)task * o->blocks * o->p->parts * TILE_ELEMENTS,
		(int64_t)task / per_batch, (int64_t)task % per_batch * TILE_ROWS);
}

/* n frames whose blocks of channels are `plane` frames apart and their parts, too; NULL:
 * zeros. */
static void place(const struct tile_kernels *tiles, int parts, uint16_t *dst, int64_t plane,
	const float *x, int64_t n, int64_t channels, float slope)
{
	const int64_t part = plane * TILE_K, block = parts * part;

	if (n > 0 && x)
		tiles->place(dst, block, part, parts, x, n, channels, slope);
	for (int64_t i = 0; i < channels / TILE_K * parts && n > 0 && !x; i++)
		memset(dst + i * part, 0, (size_t)(n * TILE_K) * sizeof(*dst));
}

/* Frames first .. end - 1 of those that rows see, into planes that begin with `origin`. */
static void place_frames(const struct tile_kernels *tiles, const struct tile_product *p,
	uint16_t *dst, int64_t plane, int64_t origin, int64_t first, int64_t end)
{
	const int64_t c = p->channels, begin = clamp(p->pad, first, end),
		      behind = clamp(p->pad + p->frames, begin, end);

	dst -= origin * TILE_K;
	place(tiles, p->parts, dst + first * TILE_K, plane, NULL, begin - first, c, 1);
	place(tiles, p->parts, dst + begin * TILE_K, plane, p->x + (begin - p->pad) * c,
		behind - begin, c, p->slope);
	place(tiles, p->parts, dst + behind * TILE_K, plane, NULL, end - behind, c, 1);
}

static void frames_task(void *ud, size_t task)
{
	const struct rounded *o = ud;
	const int64_t each = ceil_div(CONVERT, o->p->channels), first = (int64_t)task * each,
		      end = first + each;

	place_frames(
		o->cpu->tiles, o->p, o->dst, o->plane, 0, first, end < o->plane ? end : o->plane);
}

/* ---- the product -------------------------------------------------------- */

struct run {
	const struct tile_product *p;
	const struct cpu *cpu;
	const struct rounded *rounded; /* each task rounds its own rows; or NULL .. */
	uint16_t *x;                   /* .. and they are here; else a chunk of each thread */
	int64_t x_batch, a_row, a_group, a_part;
	int64_t *offset, *w_offset; /* [n_blocks] */
	int64_t blocks, chunk, chunks, groups;
	bool by_frames;
	int64_t plane;  /* frames of a block of channels, then */
	int64_t slice;  /* blocks of k that rows pass by at a time, of a panel .. */
	bool by_slices; /* .. or of all panels, whose sums are kept meanwhile */
	float *sums;    /* [threads][own_sums], then */
	int64_t own_sums;
	bool asks;            /* for the next slice */
	int64_t own;          /* elements of a thread's chunk */
	_Atomic int64_t next; /* task */
};

/* Where row r of a batch's y is; a row that y lacks: where the next is, or nowhere. */
static int64_t row_of(const struct tile_product *p, int64_t r)
{
	if (p->column) {
		const int64_t column = r / p->column;
		return (column / p->keep * p->height + r % p->column) * p->keep + column % p->keep;
	}
	const int64_t column = p->line ? r % p->line : 0;

	return p->line ? r / p->line * p->keep + (column < p->keep ? column : p->keep) : r;
}

static void bias_of(const struct tile_product *p, int64_t panel, float bias[PANEL])
{
	const int64_t out0 = panel * PANEL;

	memset(bias, 0, PANEL * sizeof(*bias));
	for (int64_t i = 0; i < PANEL && out0 + i < p->n && p->bias; i++)
		bias[i] = p->bias[(out0 + i) % p->bias_n];
}

/* y = sum + bias (+ y) of one panel, for rows row0 .. row0 + rows - 1 of a batch's y */
static void finish(const struct run *o, const float *sum, const float *bias, float *y,
	int64_t panel, int64_t row0, int64_t rows)
{
	const struct tile_product *p = o->p;
	const int64_t out0 = panel * PANEL, left = p->n - out0, end = row0 + rows;
	const int64_t n = left < PANEL ? left : PANEL;

	if (p->column) {
		const int64_t kept = p->height - row0 % p->column;
		o->cpu->tiles->finish(y + row_of(p, row0) * p->ldy + out0, p->ldy * p->keep, sum,
			bias, clamp(kept, 0, rows), n, p->add);
		return;
	}
	for (int64_t r = row0, each; r < end; r += each, sum += each * PANEL) {
		const int64_t column = p->line ? r % p->line : 0;
		const int64_t in_line = p->line ? p->line - column : rows,
			      kept = p->line ? p->keep - column : rows;
		each = end - r < in_line ? end - r : in_line;
		if (kept > 0)
			o->cpu->tiles->finish(y + row_of(p, r) * p->ldy + out0, p->ldy, sum, bias,
				each < kept ? each : kept, n, p->add);
	}
}

/* Where a step of rows begins in x. */
static int64_t place_of(const struct run *o, int64_t row)
{
	const struct tile_product *p = o->p;

	if (!p->column)
		return row / TILE_ROWS * o->a_group;
	const int64_t column = row / p->column, in_image = column % p->keep;

	return column / p->keep * o->x_batch + (row % p->column * p->line + in_image) * TILE_K;
}

/* What multiply_chunk() is at: a slice of a panel. */
struct slice {
	int64_t panel, block, n_blocks;
};

static int64_t blocks_at(const struct run *o, int64_t block)
{
	return o->blocks - block < o->slice ? o->blocks - block : o->slice;
}

/* The one behind it, and behind the last the first: the next slice of its panel, or, where
 * slices go by all panels, that of the next panel. */
static struct slice next_slice(const struct run *o, struct slice s, int64_t first, int64_t end)
{
	const bool panel_is_done = o->by_slices || s.block + s.n_blocks == o->blocks;
	const bool turns = panel_is_done && s.panel + 1 == end;

	if (!o->by_slices || turns)
		s.block = s.block + s.n_blocks == o->blocks ? 0 : s.block + s.n_blocks;
	if (panel_is_done)
		s.panel = turns ? first : s.panel + 1;
	s.n_blocks = blocks_at(o, s.block);
	return s;
}

/* All rows of a chunk pass by a slice, whose values are at x, while the next is brought. */
static void multiply_slice(const struct run *o, const uint16_t *x, float *y, float *sum,
	struct slice at, struct slice next, int64_t row0, int64_t rows)
{
	const struct tile_product *p = o->p;
	const int64_t panel = p->parts * tile_panel(p->k), n_steps = ceil_div(rows, TILE_STEP);
	const int64_t lines = p->parts * 2 * TILE_ELEMENTS * 2 / 64;
	const bool is_last = at.block + at.n_blocks == o->blocks;
	const uint16_t *w = p->w->data;
	const char *ahead = (const char *)(w + next.panel * panel) +
			    (o->by_frames ? 0 : next.block * lines * 64);
	float bias[PANEL];
	struct tile_gemm a = {.a_row = o->a_row,
		.a_group = o->a_group,
		.a_part = p->parts > 1 ? o->a_part : 0,
		.offset = o->offset + at.block,
		.n_blocks = at.n_blocks,
		.w = w + at.panel * panel,
		.w_offset = o->w_offset + at.block,
		.sum_row = PANEL,
		.resume = at.block > 0,
		.out_row = p->ldy * (p->column ? p->keep : 1)};

	if (o->asks) {
		a.ahead_lines = (int)ceil_div(lines, n_steps);
		a.ahead_blocks = at.n_blocks < next.n_blocks ? at.n_blocks : next.n_blocks;
		a.ahead_offset = o->by_frames ? o->w_offset + next.block : NULL;
	}
	bias_of(p, at.panel, bias);
	for (int64_t s = 0; s < n_steps; s++) {
		const int64_t r = s * TILE_STEP, left = rows - r,
			      n = left < TILE_STEP ? left : TILE_STEP;
		a.a = x + place_of(o, row0 + r) - place_of(o, row0);
		a.sum = sum + (o->slice < o->blocks ? r * PANEL : 0);
		a.ahead = ahead + s * a.ahead_lines * 64 * (o->by_frames ? 1 : at.n_blocks);
		a.out = y + (s + 1 < n_steps ? row_of(p, row0 + r + TILE_STEP) * p->ldy +
						       at.panel * PANEL
					     : row_of(p, row0) * p->ldy + (at.panel + 1) * PANEL);
		a.out = is_last ? a.out : NULL;
		o->cpu->tiles->gemm(&a);
		if (is_last)
			finish(o, a.sum, bias, y, at.panel, row0 + r, n);
	}
}

/* Panels first .. end - 1 of rows row0 .. row0 + rows - 1, whose values are at x. */
static void multiply_chunk(const struct run *o, const uint16_t *x, float *y, int thread,
	int64_t first, int64_t end, int64_t row0, int64_t rows)
{
	float one_panel[CHUNK * PANEL] __attribute__((aligned(64)));
	float *sums = o->by_slices ? o->sums + thread * o->own_sums : one_panel;
	struct slice at = {.panel = first, .n_blocks = o->slice};

	for (int64_t left = (end - first) * ceil_div(o->blocks, o->slice); left > 0; left--) {
		const struct slice next = next_slice(o, at, first, end);
		multiply_slice(o, x, y,
			sums + (o->by_slices ? (at.panel - first) * o->chunk * PANEL : 0), at, next,
			row0, rows);
		at = next;
	}
}

/* The frames that so many rows see, those behind the last of a step among them. */
static int64_t frames_of_rows(const struct tile_product *p, int64_t rows)
{
	const int64_t last = ceil_div(rows, TILE_STEP) * TILE_STEP - 1, taps = p->k / p->channels;

	return last * p->ldx / p->channels + (taps - 1) * p->dilation + 1;
}

static void product_task(const struct run *o, int64_t task, int thread)
{
	const struct tile_product *p = o->p;
	const int64_t chunk = task % o->chunks, batch = task / o->chunks % p->batches,
		      group = task / o->chunks / p->batches;
	const int64_t row0 = tile_row_at(p->rows, chunk, o->chunks),
		      rows = tile_row_at(p->rows, chunk + 1, o->chunks) - row0;
	const int64_t panels = ceil_div(p->n, PANEL);
	const uint16_t *x = o->x + batch * o->x_batch + place_of(o, row0);

	if (o->rounded) {
		uint16_t *mine = o->x + thread * o->own;
		if (o->by_frames) {
			const int64_t origin = row0 * p->ldx / p->channels;
			place_frames(o->cpu->tiles, p, mine, o->plane, origin, origin,
				origin + frames_of_rows(p, rows));
		} else
			for (int64_t r = 0; r < ceil_div(rows, TILE_STEP) * TILE_STEP;
				r += TILE_ROWS)
				pack_group(o->rounded, mine + r / TILE_ROWS * o->a_group, batch,
					row0 + r);
		x = mine;
	}
	multiply_chunk(o, x, p->y + batch * p->y_batch, thread, panels * group / o->groups,
		panels * (group + 1) / o->groups, row0, rows);
}

static void product_thread(void *ud, int thread, int n_threads)
{
	struct run *o = ud;
	const int64_t n = o->p->batches * o->chunks * o->groups;
	int64_t task;

	o->cpu->tiles->begin();
	while ((task = atomic_fetch_add(&o->next, 1)) < n)
		product_task(o, task, thread);
	o->cpu->tiles->end();
}

/* Blocks of equal slices, of which each has at most `most`. */
static int64_t slice_of(const struct run *o, int64_t most)
{
	return ceil_div(o->blocks, ceil_div(o->blocks, most > 0 ? most : 1));
}

/* `values` of x in a row of a chunk.  Where few of the rows that a panel should go by fill the
 * second-level cache, it takes slices of many. */
static void cut(struct run *o, int64_t values)
{
	const int threads = pool_threads(o->cpu->pool), parts = o->p->parts;
	const int64_t tasks = threads > 1 ? TASKS * threads : 1;
	const int64_t panels = ceil_div(o->p->n, PANEL), rows = o->p->rows * o->p->batches;
	const int64_t whole = CHUNK_VALUES / (values * parts),
		      block = parts * 2 * TILE_ELEMENTS * 2;
	const int64_t steps = ceil_div(o->p->rows, TILE_STEP);
	int64_t each = ceil_div(rows, tasks);

	each = clamp(each, LEAST_CHUNK, CHUNK);
	o->by_slices = !o->by_frames && whole < each && whole < FEW_ROWS;
	o->chunk = ceil_div(whole < each && !o->by_slices ? whole : each, TILE_STEP);
	o->chunks = ceil_div(steps, o->chunk);
	const int64_t even = ceil_div(o->chunks, threads) * threads;
	if (o->p->batches % threads && even * (LEAST_CHUNK / TILE_STEP) <= steps)
		o->chunks = even;
	o->chunk = ceil_div(steps, o->chunks) * TILE_STEP;
	o->groups = ceil_div(tasks, o->chunks * o->p->batches);
	if (o->groups > panels)
		o->groups = panels;
	o->slice = slice_of(
		o, o->by_slices ? CHUNK_VALUES / (parts * TILE_K * o->chunk) : SLICE_BYTES / block);
	o->own_sums = o->by_slices ? o->chunk * PANEL * ceil_div(panels, o->groups) : 0;
	o->asks = ceil_div(panels, o->groups) * o->blocks * block > AHEAD_BYTES;
}

/* Where the blocks of k are: 32 channels at a time, of which all taps see nearly the same
 * frames, so that those stay in the first-level cache. */
static void place_blocks(struct run *o)
{
	const struct tile_product *p = o->p;
	const int64_t taps = p->channels % TILE_K ? 1 : p->k / p->channels, each = o->blocks / taps;

	for (int64_t b = 0; b < o->blocks; b++) {
		const int64_t tap = b % taps, block = b / taps, at = tap * each + block;
		const int64_t frame = tap / p->across * p->dilation + tap % p->across;
		o->w_offset[b] = at * p->parts * 2 * TILE_ELEMENTS;
		o->offset[b] = o->by_frames ? (block * p->parts * o->plane + frame) * TILE_K
					    : at * p->parts * TILE_ELEMENTS;
	}
}

/* Where rows and their parts will be.  Returns the elements of all. */
static int64_t lay_out(struct run *o)
{
	const struct tile_product *p = o->p;
	const int64_t rows = ceil_div(p->rows, TILE_STEP) * TILE_STEP;

	if (o->by_frames) {
		o->plane = frames_of_rows(p, o->rounded ? o->chunk : p->rows);
		o->a_row = p->ldx / p->channels * TILE_K;
		o->a_group = TILE_ROWS * o->a_row;
		o->a_part = o->plane * TILE_K;
		o->own = p->channels * p->parts * o->plane;
		return (o->rounded ? pool_threads(o->cpu->pool) : 1) * o->own;
	}
	o->a_row = TILE_K;
	o->a_group = o->blocks * p->parts * TILE_ELEMENTS;
	o->a_part = TILE_ELEMENTS;
	o->x_batch = rows / TILE_ROWS * o->a_group;
	o->own = o->chunk / TILE_ROWS * o->a_group;
	return o->rounded ? pool_threads(o->cpu->pool) * o->own : p->batches * o->x_batch;
}

/* Offsets, sums and x, for which there is room; offsets are set.  NULL after gpu_fail(). */
static uint16_t *take_scratch(struct gpu *g, struct run *o, int64_t elements)
{
	const size_t offsets = (size_t)ceil_div(o->blocks, 8) * 64;
	const size_t sums = (size_t)(pool_threads(o->cpu->pool) * o->own_sums) * sizeof(*o->sums);
	char *scratch = cpu_scratch(g, 2 * offsets + sums + (size_t)elements * sizeof(uint16_t));

	if (!scratch)
		return NULL;
	o->sums = (float *)(void *)(scratch + 2 * offsets);
	o->offset = (int64_t *)(void *)scratch;
	o->w_offset = (int64_t *)(void *)(scratch + offsets);
	place_blocks(o);
	return o->x = (uint16_t *)(void *)(scratch + 2 * offsets + sums);
}

/* Rounds all rows, unless each task rounds its own. */
static void round_rows(const struct run *o, struct rounded *r)
{
	const struct tile_product *p = o->p;
	const int64_t groups = ceil_div(p->rows, TILE_STEP) * 2;

	if (o->rounded)
		return;
	if (o->by_frames)
		pool_run(o->cpu->pool, (size_t)ceil_div(o->plane, ceil_div(CONVERT, p->channels)),
			frames_task, r);
	else
		pool_run(o->cpu->pool, (size_t)(groups * p->batches), pack_task, r);
}

void cpu_tile_product(struct gpu *g, const struct tile_product *p)
{
	struct rounded r = {.cpu = cpu_of(g), .p = p, .blocks = tile_blocks(p->k)};
	struct run o = {.p = p,
		.cpu = g->device,
		.blocks = r.blocks,
		.by_frames = p->k > p->channels && p->batches == 1 && p->channels % TILE_K == 0};

	cut(&o, o.by_frames ? p->ldx : o.blocks * TILE_K);
	o.rounded = o.groups == 1 ? &r : NULL;
	r.dst = take_scratch(g, &o, lay_out(&o));
	r.plane = o.plane;
	if (!r.dst)
		return;
	round_rows(&o, &r);
	pool_team(o.cpu->pool, product_thread, &o);
}

bool cpu_leaky_conv1d(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct gpu_leaky_conv *conv)
{
	const struct gpu_tensor *w = conv->w;
	const int64_t channels = x->ne[1];
	const struct tile_product p = {.w = w,
		.n = w->ne[0],
		.k = w->ne[1],
		.batches = 1,
		.rows = y->ne[0],
		.channels = channels,
		.dilation = conv->dilation,
		.across = 1,
		.frames = x->ne[0],
		.pad = (conv->kernel - 1) * conv->dilation / 2,
		.slope = conv->slope,
		.x = x->data,
		.ldx = channels,
		.y = y->data,
		.ldy = w->ne[0],
		.bias = conv->bias ? conv->bias->data : NULL,
		.bias_n = w->ne[0],
		.add = conv->add,
		.parts = cpu_tile_parts(w->dtype)};

	if (!cpu_is_tiled(w->dtype) || channels % TILE_K || conv->kernel < 2)
		return false;
	cpu_tile_product(g, &p);
	return true;
}

/* ---- images ------------------------------------------------------------- */

/* A convolution over images: they are rounded once, each with a border of zeros, and row r of
 * tap (i, j) is the place r + i * line + j.  The right border of a line is the left one of
 * the next, so a line is the width and one border.  Rows go along the lines, and what is in borders
 * is computed and dropped; or, in narrow images, where that would be a fifth, down the columns of
 * all images in whole steps, and what is below an image is dropped. */
struct border {
	const struct tile_kernels *tiles;
	const struct gpu_tensor *x;
	uint16_t *dst;
	int64_t height, width, pad; /* without border; of the enlarged image */
	bool up;
	int parts;
	int64_t plane;                 /* places of all images and behind them */
	const struct cpu_affine *norm; /* of x, or NULL: as it is */
};

static void place_places(const struct border *o, uint16_t *dst, const float *x, int64_t n)
{
	place(o->tiles, o->parts, dst, o->plane, x, n, o->x->ne[3], 1);
}

/* n places of a batch row, normed on the way. */
static void place_normed(
	const struct border *o, uint16_t *dst, const float *x, int64_t n, int64_t batch)
{
	const int64_t c = o->x->ne[3], most = NORMED / c;
	const float *scale = o->norm->scale + batch * 2 * c;
	float line[NORMED];

	for (int64_t i = 0, each; i < n; i += each) {
		each = n - i < most ? n - i : most;
		o->norm->kernels->affine(line, x + i * c, scale, scale + c, each, c, o->norm->silu);
		place_places(o, dst + i * TILE_K, line, each);
	}
}

/* One line of one image. */
static void border_task(void *ud, size_t task)
{
	const struct border *o = ud;
	const int64_t c = o->x->ne[3], lines = o->height + 2 * o->pad, line = o->width + o->pad;
	const int64_t batch = (int64_t)task / lines, i = (int64_t)task % lines - o->pad;
	uint16_t *dst = o->dst + (int64_t)task * line * TILE_K;

	if (i < 0 || i >= o->height) {
		place_places(o, dst, NULL, line);
		return;
	}
	const float *x = (const float *)o->x->data +
			 (batch * o->x->ne[1] + (o->up ? i / 2 : i)) * o->x->ne[2] * c;
	place_places(o, dst, NULL, o->pad);
	dst += o->pad * TILE_K;
	if (o->norm)
		place_normed(o, dst, x, o->width, batch);
	else if (o->up)
		for (int64_t j = 0; j < o->width; j++)
			place_places(o, dst + j * TILE_K, x + j / 2 * c, 1);
	else
		place_places(o, dst, x, o->width);
}

bool cpu_can_tile_conv2d(
	const struct gpu_tensor *x, const struct gpu_tensor *w, struct gpu_conv2d conv)
{
	return cpu_is_tiled(w->dtype) && conv.stride == 1 && x->ne[3] % TILE_K == 0;
}

static void convolve(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct cpu_affine *norm, const struct gpu_tensor *w, const struct gpu_tensor *bias,
	struct gpu_conv2d conv)
{
	const int64_t c = x->ne[3], batches = y->ne[0];
	struct border image = {.tiles = cpu_of(g)->tiles,
		.x = x,
		.height = conv.up ? y->ne[1] : x->ne[1],
		.width = conv.up ? y->ne[2] : x->ne[2],
		.pad = conv.pad,
		.up = conv.up,
		.parts = cpu_tile_parts(w->dtype),
		.norm = norm};
	const int64_t line = image.width + conv.pad, lines = image.height + 2 * conv.pad;
	const int64_t height = y->ne[1], width = y->ne[2],
		      column = ceil_div(height, TILE_STEP) * TILE_STEP;
	const bool down = column * width * NARROW <= height * line * (NARROW - 1);
	const struct tile_product p = {.w = w,
		.n = w->ne[0],
		.k = w->ne[1],
		.batches = down ? 1 : batches,
		.rows = down ? batches * column * width : (height - 1) * line + width,
		.channels = c,
		.dilation = line,
		.across = conv.kernel,
		.y = y->data,
		.y_batch = height * width * w->ne[0],
		.ldy = w->ne[0],
		.bias = bias ? bias->data : NULL,
		.bias_n = w->ne[0],
		.parts = image.parts,
		.line = line,
		.keep = width,
		.column = down ? column : 0,
		.height = height};
	const int64_t places = batches * lines * line,
		      behind = (down ? (column - height) * line : TILE_STEP) + conv.pad;
	struct run o = {.p = &p,
		.cpu = g->device,
		.by_frames = true,
		.x_batch = lines * line * TILE_K,
		.a_row = (down ? line : 1) * TILE_K,
		.a_group = TILE_ROWS * (down ? line : 1) * TILE_K,
		.plane = places + behind,
		.blocks = tile_blocks(p.k)};

	image.plane = o.plane;
	o.a_part = o.plane * TILE_K;
	cut(&o, c);
	image.dst = take_scratch(g, &o, image.parts * o.plane * c);
	if (!image.dst)
		return;
	place_places(&image, image.dst + places * TILE_K, NULL, behind);
	pool_run(o.cpu->pool, (size_t)(batches * lines), border_task, &image);
	pool_team(o.cpu->pool, product_thread, &o);
}

void cpu_tile_conv2d(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct gpu_tensor *w, const struct gpu_tensor *bias, struct gpu_conv2d conv)
{
	convolve(g, y, x, NULL, w, bias, conv);
}

bool cpu_norm_conv2d(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct gpu_group_norm *norm, const struct gpu_tensor *w,
	const struct gpu_tensor *bias, struct gpu_conv2d conv)
{
	const bool is_winograd = w->dtype == GPU_WINOGRAD;

	if (conv.up || (!is_winograd && (!cpu_can_tile_conv2d(x, w, conv) || x->ne[3] > NORMED)))
		return false;
	const struct cpu_affine affine = cpu_group_affine(g, x, norm);
	if (affine.scale && is_winograd)
		cpu_winograd(g, y, x, &affine, w, bias, false);
	else if (affine.scale)
		convolve(g, y, x, &affine, w, bias, conv);
	return true;
}
