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
#include "gpu/cpu/tile_kernels.h"
#include "gpu/cpu/vec_kernels.h"
#include "library/base/arena.h"

#include <stdatomic.h>
#include <stdlib.h>

enum {
	CHUNK = 512,              /* most rows of a task, .. */
	CHUNK_VALUES = 400 << 10, /* .. and their values: what the second-level cache holds */
	TASKS = 4,                /* for each thread, at least, if there are several */
	AHEAD_BYTES = 512 << 10,  /* weights of fewer bytes are in the cache anyway */
	CONVERT = 16 << 10        /* values rounded by one task */
};

static int64_t ceil_div(int64_t a, int64_t b)
{
	return (a + b - 1) / b;
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
	if (parts == 1)
		tiles->round(line[0], values, TILE_K);
	else
		tiles->split(line[0], TILE_K, values, TILE_K);
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
	const struct tile_kernels *tiles;
	const struct tile_product *p;
	uint16_t *dst;
	int64_t blocks; /* of k in a row */
	int64_t n;      /* values of x, when they stay where they are .. */
	int64_t plane;  /* .. and their parts are so many elements apart */
};

/* n values and, if there are three, their parts, `part` elements apart; NULL: zeros. */
static void put(const struct tile_kernels *tiles, int parts, uint16_t *dst, int64_t part,
	const float *x, int64_t n)
{
	for (int p = 0; p < parts && !x; p++)
		memset(dst + p * part, 0, (size_t)n * sizeof(*dst));
	if (x && parts == 1)
		tiles->round(dst, x, n);
	else if (x)
		tiles->split(dst, part, x, n);
}

/* Rows row0 .. row0 + 15 of a batch: [block][part][row][32] */
static void pack_group(const struct rounded *o, uint16_t *dst, int64_t batch, int64_t row0)
{
	const struct tile_product *p = o->p;
	float line[TILE_K];

	for (int64_t r = 0; r < TILE_ROWS; r++) {
		const float *x = p->x + batch * p->x_batch + (row0 + r) * p->ldx;
		for (int64_t b = 0; b < o->blocks; b++) {
			uint16_t *to = dst + b * p->parts * TILE_ELEMENTS + r * TILE_K;
			const int64_t left = p->k - b * TILE_K;
			if (row0 + r >= p->rows) {
				put(o->tiles, p->parts, to, TILE_ELEMENTS, NULL, TILE_K);
			} else if (p->dilation == 1 && left >= TILE_K) {
				put(o->tiles, p->parts, to, TILE_ELEMENTS, x + b * TILE_K, TILE_K);
			} else {
				for (int64_t i = 0; i < TILE_K; i++) {
					const int64_t k = b * TILE_K + i, tap = k / p->channels;
					line[i] = i < left ? x[tap * p->dilation * p->channels +
								     k % p->channels]
							   : 0;
				}
				put(o->tiles, p->parts, to, TILE_ELEMENTS, line, TILE_K);
			}
		}
	}
}

static void pack_task(void *ud, size_t task)
{
	const struct rounded *o = ud;
	const int64_t per_batch = ceil_div(o->p->rows, TILE_STEP) * 2;

	pack_group(o, o->dst + (int64_t)task * o->blocks * o->p->parts * TILE_ELEMENTS,
		(int64_t)task / per_batch, (int64_t)task % per_batch * TILE_ROWS);
}

static void convert_task(void *ud, size_t task)
{
	const struct rounded *o = ud;
	const int64_t at = (int64_t)task * CONVERT, left = o->n - at;

	put(o->tiles, o->p->parts, o->dst + at, o->plane, o->p->x + at,
		left < CONVERT ? left : CONVERT);
}

/* ---- the product -------------------------------------------------------- */

struct run {
	const struct tile_product *p;
	const struct cpu *cpu;
	const struct rounded *rounded; /* each task rounds its own rows; or NULL .. */
	uint16_t *x;                   /* .. and they are here; else a chunk of each thread */
	int64_t x_batch, a_row, a_group, a_part;
	int64_t *offset; /* [n_blocks] */
	int64_t blocks, chunk, chunks, groups;
	bool in_place;
	int64_t own;          /* elements of a thread's chunk */
	_Atomic int64_t next; /* task */
};

/* Where row r of a batch's y is; a row that y lacks: where the next is. */
static int64_t row_of(const struct tile_product *p, int64_t r)
{
	const int64_t column = p->line ? r % p->line : 0;

	return p->line ? r / p->line * p->keep + (column < p->keep ? column : p->keep) : r;
}

/* y = sum + bias (+ y) of one panel, for rows row0 .. row0 + rows - 1 of a batch's y */
static void finish(
	const struct run *o, const float *sum, float *y, int64_t panel, int64_t row0, int64_t rows)
{
	const struct tile_product *p = o->p;
	const int64_t out0 = panel * PANEL, left = p->n - out0;
	const int64_t n = left < PANEL ? left : PANEL;
	float bias[PANEL] = {0};

	for (int64_t i = 0; i < n && p->bias; i++)
		bias[i] = p->bias[(out0 + i) % p->bias_n];
	for (int64_t r = row0; r < row0 + rows; r++, sum += PANEL) {
		if (p->line && r % p->line >= p->keep)
			continue;
		o->cpu->tiles->finish(y + row_of(p, r) * p->ldy + out0, sum, bias, n, p->add);
	}
}

/* Panels first .. end - 1 of rows row0 .. row0 + rows - 1, whose values are at x. */
static void multiply_chunk(const struct run *o, const uint16_t *x, float *y, int64_t first,
	int64_t end, int64_t row0, int64_t rows)
{
	const struct tile_product *p = o->p;
	const int64_t panel = p->parts * tile_panel(p->k), n_steps = ceil_div(rows, TILE_STEP);
	const uint16_t *w = p->w->data;
	float sum[TILE_STEP * PANEL] __attribute__((aligned(64)));
	struct tile_gemm a = {.a_row = o->a_row,
		.a_group = o->a_group,
		.a_part = p->parts > 1 ? o->a_part : 0,
		.offset = o->offset,
		.n_blocks = o->blocks,
		.sum = sum,
		.sum_row = PANEL,
		.rows = TILE_STEP,
		.out_row = p->ldy};

	if ((end - first) * panel * 2 > AHEAD_BYTES)
		a.ahead_lines = (int)ceil_div(p->parts * 2 * TILE_ELEMENTS * 2 / 64, n_steps);
	for (int64_t i = first; i < end; i++) {
		const char *next = (const char *)(w + (i + 1 < end ? i + 1 : first) * panel);
		a.w = w + i * panel;
		for (int64_t s = 0; s < n_steps; s++) {
			const int64_t r = s * TILE_STEP, left = rows - r,
				      n = left < TILE_STEP ? left : TILE_STEP;
			a.a = x + r / TILE_ROWS * o->a_group;
			a.ahead = next + s * o->blocks * a.ahead_lines * 64;
			a.out = y + (s + 1 < n_steps ? row_of(p, row0 + r + TILE_STEP) * p->ldy +
							       i * PANEL
						     : row_of(p, row0) * p->ldy + (i + 1) * PANEL);
			o->cpu->tiles->gemm(&a);
			finish(o, sum, y, i, row0 + r, n);
		}
	}
}

/* The frames of a convolution that rows read, and zeros behind them. */
static int64_t values_of_rows(const struct tile_product *p, int64_t rows)
{
	return (rows - 1) * p->ldx + (p->k / p->channels - 1) * p->dilation * p->channels +
	       p->channels;
}

static void round_frames(const struct run *o, uint16_t *dst, int64_t row0, int64_t rows)
{
	const struct tile_product *p = o->p;
	const int64_t n = values_of_rows(p, rows);

	put(o->cpu->tiles, p->parts, dst, o->a_part, p->x + row0 * p->ldx, n);
	put(o->cpu->tiles, p->parts, dst + n, o->a_part, NULL, TILE_STEP * p->ldx);
}

static void product_task(const struct run *o, int64_t task, int thread)
{
	const struct tile_product *p = o->p;
	const int64_t chunk = task % o->chunks, batch = task / o->chunks % p->batches,
		      group = task / o->chunks / p->batches;
	const int64_t row0 = chunk * o->chunk, left = p->rows - row0,
		      rows = left < o->chunk ? left : o->chunk;
	const int64_t panels = ceil_div(p->n, PANEL);
	const uint16_t *x = o->x + batch * o->x_batch + row0 / TILE_ROWS * o->a_group;

	if (o->rounded) {
		uint16_t *mine = o->x + thread * o->own;
		if (o->in_place)
			round_frames(o, mine, row0, rows);
		else
			for (int64_t r = 0; r < ceil_div(rows, TILE_STEP) * TILE_STEP;
				r += TILE_ROWS)
				pack_group(o->rounded, mine + r / TILE_ROWS * o->a_group, batch,
					row0 + r);
		x = mine;
	}
	multiply_chunk(o, x, p->y + batch * p->y_batch, panels * group / o->groups,
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

/* `values` of x in a row of a chunk */
static void cut(struct run *o, int64_t values)
{
	const int threads = pool_threads(o->cpu->pool);
	const int64_t tasks = threads > 1 ? TASKS * threads : 1;
	const int64_t panels = ceil_div(o->p->n, PANEL), rows = o->p->rows * o->p->batches;
	int64_t most = CHUNK_VALUES / (values * o->p->parts), each = ceil_div(rows, tasks);

	most = most < CHUNK ? most : CHUNK;
	each = each > 128 ? each : 128;
	o->chunk = ceil_div(most < each ? most : each, TILE_STEP) * TILE_STEP;
	o->chunks = ceil_div(o->p->rows, o->chunk);
	o->groups = ceil_div(tasks, o->chunks * o->p->batches);
	if (o->groups > panels)
		o->groups = panels;
}

/* x where it is, rounded: frames of `channels`, and some behind the last that the last
 * group of rows may read. */
static void place_frames(struct run *o, struct rounded *r)
{
	const struct tile_product *p = o->p;

	for (int64_t b = 0; b < o->blocks; b++)
		o->offset[b] = b * TILE_K / p->channels * p->dilation * p->channels +
			       b * TILE_K % p->channels;
	if (o->rounded)
		return;
	r->n = values_of_rows(p, p->rows);
	r->plane = o->a_part;
	put(o->cpu->tiles, p->parts, r->dst + r->n, r->plane, NULL, TILE_STEP * p->ldx);
	pool_run(o->cpu->pool, (size_t)ceil_div(r->n, CONVERT), convert_task, r);
}

static void place_rows(struct run *o, struct rounded *r)
{
	const struct tile_product *p = o->p;
	const int64_t groups = ceil_div(p->rows, TILE_STEP) * 2;

	for (int64_t b = 0; b < o->blocks; b++)
		o->offset[b] = b * p->parts * TILE_ELEMENTS;
	if (!o->rounded)
		pool_run(o->cpu->pool, (size_t)(groups * p->batches), pack_task, r);
}

/* Where rows and their parts will be.  Returns the elements of all. */
static int64_t lay_out(struct run *o)
{
	const struct tile_product *p = o->p;
	const int64_t rows = ceil_div(p->rows, TILE_STEP) * TILE_STEP;

	o->a_row = o->in_place ? p->ldx : TILE_K;
	o->a_group = o->in_place ? TILE_ROWS * p->ldx : o->blocks * p->parts * TILE_ELEMENTS;
	o->x_batch = o->in_place ? 0 : rows / TILE_ROWS * o->a_group;
	o->a_part = TILE_ELEMENTS;
	if (o->in_place)
		o->a_part = values_of_rows(p, o->rounded ? o->chunk : p->rows) + TILE_STEP * p->ldx;
	o->own = o->in_place ? p->parts * o->a_part : o->chunk / TILE_ROWS * o->a_group;
	if (o->rounded)
		return pool_threads(o->cpu->pool) * o->own;
	return o->in_place ? p->parts * o->a_part : p->batches * o->x_batch;
}

void cpu_tile_product(struct gpu *g, const struct tile_product *p)
{
	if (cpu_are_long_rows(p)) {
		cpu_long_rows(g, p);
		return;
	}
	struct rounded r = {.tiles = cpu_of(g)->tiles, .p = p, .blocks = tile_blocks(p->k)};
	struct run o = {.p = p,
		.cpu = g->device,
		.blocks = r.blocks,
		.in_place = p->k > p->channels && p->batches == 1 && p->channels % TILE_K == 0 &&
			    p->ldx % p->channels == 0};

	cut(&o, o.in_place ? p->ldx : o.blocks * TILE_K);
	o.rounded = o.groups == 1 ? &r : NULL;
	const size_t elements = (size_t)lay_out(&o);
	const size_t offsets = (size_t)ceil_div(o.blocks, 8) * 64;
	char *scratch = cpu_scratch(g, offsets + elements * sizeof(uint16_t));

	if (!scratch)
		return;
	o.offset = (int64_t *)(void *)scratch;
	o.x = r.dst = (uint16_t *)(void *)(scratch + offsets);
	if (o.in_place)
		place_frames(&o, &r);
	else
		place_rows(&o, &r);
	pool_team(o.cpu->pool, product_thread, &o);
}

/* ---- images ------------------------------------------------------------- */

/* A convolution over images: they are rounded once, each with a border of zeros, and row r of
 * tap (i, j) is the place r + i * line + j.  The places at the right border are
 * computed and dropped. */
struct border {
	const struct tile_kernels *tiles;
	const struct gpu_tensor *x;
	uint16_t *dst;
	int64_t height, width, pad; /* without border; of the enlarged image */
	bool up;
	int parts;
	int64_t plane; /* elements from part to part */
};

/* One line of one image. */
static void border_task(void *ud, size_t task)
{
	const struct border *o = ud;
	const int64_t c = o->x->ne[3], lines = o->height + 2 * o->pad, line = o->width + 2 * o->pad;
	const int64_t batch = (int64_t)task / lines, i = (int64_t)task % lines - o->pad;
	uint16_t *dst = o->dst + (int64_t)task * line * c;

	if (i < 0 || i >= o->height) {
		put(o->tiles, o->parts, dst, o->plane, NULL, line * c);
		return;
	}
	const float *x = (const float *)o->x->data +
			 (batch * o->x->ne[1] + (o->up ? i / 2 : i)) * o->x->ne[2] * c;
	put(o->tiles, o->parts, dst, o->plane, NULL, o->pad * c);
	dst += o->pad * c;
	if (o->up)
		for (int64_t j = 0; j < o->width; j++)
			put(o->tiles, o->parts, dst + j * c, o->plane, x + j / 2 * c, c);
	else
		put(o->tiles, o->parts, dst, o->plane, x, o->width * c);
	put(o->tiles, o->parts, dst + o->width * c, o->plane, NULL, o->pad * c);
}

bool cpu_can_tile_conv2d(
	const struct gpu_tensor *x, const struct gpu_tensor *w, struct gpu_conv2d conv)
{
	return cpu_is_tiled(w->dtype) && conv.stride == 1 && x->ne[3] % TILE_K == 0;
}

void cpu_tile_conv2d(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct gpu_tensor *w, const struct gpu_tensor *bias, struct gpu_conv2d conv)
{
	const int64_t c = x->ne[3], batches = y->ne[0];
	struct border image = {.tiles = cpu_of(g)->tiles,
		.x = x,
		.height = conv.up ? y->ne[1] : x->ne[1],
		.width = conv.up ? y->ne[2] : x->ne[2],
		.pad = conv.pad,
		.up = conv.up,
		.parts = cpu_tile_parts(w->dtype)};
	const int64_t line = image.width + 2 * conv.pad, lines = image.height + 2 * conv.pad;
	const struct tile_product p = {.w = w,
		.n = w->ne[0],
		.k = w->ne[1],
		.batches = batches,
		.rows = (y->ne[1] - 1) * line + y->ne[2],
		.y = y->data,
		.y_batch = y->ne[1] * y->ne[2] * w->ne[0],
		.ldy = w->ne[0],
		.bias = bias ? bias->data : NULL,
		.bias_n = w->ne[0],
		.parts = image.parts,
		.line = line,
		.keep = y->ne[2]};
	struct run o = {.p = &p,
		.cpu = g->device,
		.x_batch = lines * line * c,
		.a_row = c,
		.a_group = TILE_ROWS * c,
		.blocks = tile_blocks(p.k)};
	const size_t offsets = (size_t)ceil_div(o.blocks, 8) * 64;
	const int64_t elements = batches * o.x_batch, behind = TILE_STEP * c;
	image.plane = o.a_part = elements + behind;
	char *scratch =
		cpu_scratch(g, offsets + (size_t)(image.parts * image.plane) * sizeof(uint16_t));

	if (!scratch)
		return;
	o.offset = (int64_t *)(void *)scratch;
	image.dst = (uint16_t *)(void *)(scratch + offsets);
	o.x = image.dst;
	for (int64_t b = 0; b < o.blocks; b++) {
		const int64_t tap = b * TILE_K / c;
		o.offset[b] = (tap / conv.kernel * line + tap % conv.kernel) * c + b * TILE_K % c;
	}
	put(image.tiles, image.parts, image.dst + elements, image.plane, NULL, behind);
	pool_run(o.cpu->pool, (size_t)(batches * lines), border_task, &image);
	cut(&o, c);
	pool_team(o.cpu->pool, product_thread, &o);
}
