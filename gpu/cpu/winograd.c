/* 3 x 3 convolutions of images with stride 1 as Winograd's F(2 x 2, 3 x 3), in products of three
 * bf16 parts each (Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2016,
 * section 4.1):
 *
 *	y = A^T [ sum over channels of (G g G^T) . (B^T d B) ] A
 *
 * A tile is 2 x 2 places of y and sees the 4 x 4 of x, d, around it, its patch.  The 16 values that
 * become of a patch are rows of 16 products with matrices that the weights g came to when they
 * were put (in double).  So nine products of a place become four.
 *
 * A task is a chunk of tiles and panels of outputs.  Row by row of patches it multiplies by four
 * products, keeps the sums of all panels, and adds what they come to (`unpatch`) to y.  With many
 * tiles a thread makes the patches of its chunk itself, a row at a time, as that fits its
 * second-level cache; with few all threads make them all first.  How that is cut changes no sum.
 *
 * Sums have the error of a split product's, in terms of the values and the weights of patches,
 * which is some twice that of the nine products. */
#include "gpu/cpu/cpu.h"
#include "gpu/cpu/image_kernels.h"
#include "gpu/cpu/tile_work.h"

#include <stdatomic.h>

enum {
	PRODUCTS = 16,
	PATCH = 4, /* places of a patch in a line */
	PARTS = 3,
	CHUNK_VALUES =
		32 << 10, /* of one product, of a task: what the second-level cache has room for */
	MOST_TILES = 512, /* of a task */
	TASKS = 2,        /* for each thread, where all share the patches */
	AHEAD_BYTES = 512 << 10, /* weights of fewer bytes are in the cache anyway */
	SUMS = TILE_STEP * PANEL,
	APART = 17 * TILE_K, /* products begin in other lines of the caches */
};

/* ---- weights ------------------------------------------------------------ */

/* Elements of the matrix of one product. */
static int64_t matrix_size(int64_t n_out, int64_t channels)
{
	return n_out / PANEL * PARTS * tile_panel(channels);
}

size_t cpu_winograd_bytes(int64_t n_out, int64_t n_in)
{
	return (size_t)(PRODUCTS * matrix_size(n_out, n_in / 9)) * sizeof(uint16_t);
}

/* Row i of G g, where g are three values `apart` from each other. */
static double of_taps(const double *g, int64_t apart, int i)
{
	const double outer = g[0] + g[2 * apart];

	return i == 0   ? g[0]
	       : i == 1 ? (outer + g[apart]) / 2
	       : i == 2 ? (outer - g[apart]) / 2
			: g[2 * apart];
}

/* The 16 values of the taps of one output and one channel; taps are `apart` floats apart. */
static void transform_taps(float u[PRODUCTS], const float *taps, int64_t apart)
{
	double g[9], rows[PATCH][3];

	for (int i = 0; i < 9; i++)
		g[i] = taps[i * apart];
	for (int i = 0; i < PATCH; i++)
		for (int j = 0; j < 3; j++)
			rows[i][j] = of_taps(g + j, 3, i);
	for (int i = 0; i < PRODUCTS; i++)
		u[i] = (float)of_taps(rows[i / PATCH], 1, i % PATCH);
}

/* A block of 32 channels of output o of a panel, of all products; src: its taps' rows. */
static void put_taps(const struct tile_kernels *tiles, uint16_t *block, int64_t product, int64_t o,
	const float *src, int64_t channels)
{
	float values[PRODUCTS][TILE_K];
	uint16_t line[PARTS][TILE_K];

	for (int c = 0; c < TILE_K; c++) {
		float u[PRODUCTS];
		transform_taps(u, src + c, channels);
		for (int i = 0; i < PRODUCTS; i++)
			values[i][c] = u[i];
	}
	for (int i = 0; i < PRODUCTS; i++) {
		uint16_t *to = block + i * product;
		tiles->split(line[0], TILE_K, values[i], TILE_K);
		for (int p = 0; p < PARTS; p++, to += 2 * TILE_ELEMENTS)
			for (int c = 0; c < TILE_K; c++)
				to[tile_place(o, c)] = line[p][c % 2 * TILE_K / 2 + c / 2];
	}
}

void cpu_winograd_put_rows(const struct tile_kernels *tiles, struct gpu_tensor *t, int64_t first,
	int64_t n, const float *src)
{
	const int64_t channels = t->ne[1] / 9, product = matrix_size(t->ne[0], channels);

	for (int64_t r = 0; r < n; r++) {
		uint16_t *panel =
			(uint16_t *)t->data + (first + r) / PANEL * PARTS * tile_panel(channels);
		for (int64_t c = 0; c < channels; c += TILE_K)
			put_taps(tiles, panel + c / TILE_K * PARTS * 2 * TILE_ELEMENTS, product,
				(first + r) % PANEL, src + r * t->ne[1] + c, channels);
	}
}

/* ---- patches ------------------------------------------------------------ */

struct winograd {
	const struct cpu *cpu;
	const struct gpu_tensor *x;
	struct gpu_tensor *y;
	const struct gpu_tensor *w, *bias;
	const struct cpu_affine *norm; /* of x, or NULL: as it is */
	bool up;
	int64_t height, width, c, n; /* of y; channels of x and y */
	int64_t down, across;        /* tiles of an image */
	int64_t tiles;               /* of all images */
	int64_t blocks, panels;
	struct tile_cut cut; /* of tiles; one group: a task has its own patches */
	bool asks;           /* for the panel behind */
	int64_t product;     /* elements of the patches of one */
	/* Of each thread, patches of all where they are shared */
	uint16_t *patches; /* [4 products, or 16][16 tiles][block][part][tile][32] */
	float *sums;       /* [panel][step][4][tile][32] */
	float *lines;      /* [line][places][c]: what the tiles see, with borders */
	int64_t own_patches, own_sums, own_lines;
	_Atomic int64_t next[2];
};

static int64_t places(const struct winograd *o)
{
	return 2 * o->across + 2;
}

/* Lines that n tiles see, at most: two for each line of tiles and two for each image. */
static int64_t lines_seen(const struct winograd *o, int64_t n)
{
	return 2 * (ceil_div(n, o->across) + 1) + 2 * (ceil_div(n, o->across * o->down) + 1);
}

/* The first of the four that the line of tiles `row` sees, counted over all images; lines are
 * those that tiles from the line `first` on see. */
static int64_t line_of(const struct winograd *o, int64_t first, int64_t row)
{
	return 2 * (row - first) + 2 * (row / o->down - first / o->down);
}

/* Line i of an image, which may lie outside, with zeros around it. */
static void fill_line(const struct winograd *o, float *line, int64_t image, int64_t i)
{
	const int64_t c = o->c, behind = places(o) - 1 - o->width;

	if (i < 0 || i >= o->height) {
		memset(line, 0, (size_t)(places(o) * c) * sizeof(*line));
		return;
	}
	const float *x = (const float *)o->x->data +
			 (image * o->x->ne[1] + (o->up ? i / 2 : i)) * o->x->ne[2] * c;
	memset(line, 0, (size_t)c * sizeof(*line));
	line += c;
	if (o->norm) {
		const float *scale = o->norm->scale + image * 2 * c;
		o->norm->kernels->affine(line, x, scale, scale + c, o->width, c, o->norm->silu);
	} else if (o->up) {
		for (int64_t j = 0; j < o->width; j++)
			memcpy(line + j * c, x + j / 2 * c, (size_t)c * sizeof(*line));
	} else {
		memcpy(line, x, (size_t)(o->width * c) * sizeof(*line));
	}
	memset(line + o->width * c, 0, (size_t)(behind * c) * sizeof(*line));
}

/* What tiles first .. end - 1 see. */
static void fill_lines(const struct winograd *o, float *lines, int64_t first, int64_t end)
{
	const int64_t row0 = first / o->across, size = places(o) * o->c;
	int64_t there = 0;

	for (int64_t row = row0; row * o->across < end; row++)
		for (const int64_t at = line_of(o, row0, row); there < at + PATCH; there++)
			fill_line(o, lines + there * size, row / o->down,
				2 * (row % o->down) - 1 + there - at);
}

/* Zeros behind the last tile. */
static void clear_tiles(const struct winograd *o, uint16_t *dst, int64_t n)
{
	const int64_t each = o->blocks * PARTS, group = each * TILE_ELEMENTS;

	dst += n / TILE_ROWS * group + n % TILE_ROWS * TILE_K;
	for (int64_t i = 0; i < PATCH * each; i++)
		memset(dst + i / each * o->product + i % each * TILE_ELEMENTS, 0,
			TILE_K * sizeof(*dst));
}

/* Row i of the patches of tiles first .. end - 1, which is whole steps: four products. */
static void make_row(const struct winograd *o, uint16_t *dst, const float *lines, int i,
	int64_t first, int64_t end)
{
	static const int takes[PATCH][2] = {{0, 2}, {1, 2}, {2, 1}, {1, 3}};
	const int64_t size = places(o) * o->c, there = least(end, o->tiles);
	const int64_t row0 = first / o->across, group = o->blocks * PARTS * TILE_ELEMENTS;

	for (int64_t t = first, row_end; t < there; t = row_end) {
		const int64_t row = t / o->across;
		const float *line = lines + line_of(o, row0, row) * size;
		row_end = least((row + 1) * o->across, there);
		for (; t < row_end; t++) {
			const int64_t at = t - first, place = 2 * (t - row * o->across) * o->c;
			o->cpu->tiles->patch(dst + at / TILE_ROWS * group + at % TILE_ROWS * TILE_K,
				o->product, line + takes[i][0] * size + place,
				line + takes[i][1] * size + place, i == 1, o->c);
		}
	}
	for (int64_t t = there; t < end; t++)
		clear_tiles(o, dst, t - first);
}

/* ---- products ----------------------------------------------------------- */

/* Row i of the patches' products, of steps of tiles from `tile` on and panels first .. end - 1.
 * While steps go by a panel the next is brought, and first the places of y, four for a tile, which
 * lie in one piece where a step has whole lines of an even number of places. */
static void multiply_row(const struct winograd *o, const uint16_t *patches, float *sums, int i,
	int64_t tile, int64_t first, int64_t end, int64_t steps)
{
	const int64_t matrix = matrix_size(o->n, o->c), panel = PARTS * tile_panel(o->c);
	const int64_t lines = PARTS * 2 * TILE_ELEMENTS * 2 / 64;
	struct tile_gemm a = {.a_row = TILE_K,
		.a_group = o->blocks * PARTS * TILE_ELEMENTS,
		.a_part = TILE_ELEMENTS,
		.n_blocks = o->blocks,
		.sum_row = PANEL,
		.out_row = o->n};
	const float *y = o->y->data;

	if (o->asks) {
		a.ahead_lines = (int)ceil_div(lines, steps);
		a.ahead_blocks = o->blocks;
	}
	for (int j = 0; j < PATCH; j++)
		for (int64_t p = first; p < end; p++) {
			const int product = PATCH * i + j;
			const int64_t next =
				p + 1 < end ? product * matrix + (p + 1) * panel
					    : (product + 1) % PRODUCTS * matrix + first * panel;
			a.w = (const uint16_t *)o->w->data + product * matrix + p * panel;
			for (int64_t s = 0; s < steps; s++) {
				const int64_t place = 4 * (tile + s * TILE_STEP) + j * TILE_STEP;
				a.a = patches + j * o->product + s * 2 * a.a_group;
				a.out = i ? NULL : y + place * o->n + p * PANEL;
				a.sum = sums + (((p - first) * steps + s) * PATCH + j) * SUMS;
				a.ahead = (const char *)((const uint16_t *)o->w->data + next) +
					  s * a.ahead_lines * 64 * o->blocks;
				o->cpu->tiles->gemm(&a);
			}
		}
}

/* What n tiles side by side from `tile` on, of one line, add to 32 outputs of y. */
static void add_tiles(const struct winograd *o, const float *sum, int i, int64_t panel,
	const float *bias, int64_t tile, int64_t n)
{
	const int64_t row = tile / o->across, image = row / o->down, line = o->width * o->n;
	const int64_t at = 2 * (row % o->down), place = 2 * (tile % o->across);
	float *above = (float *)o->y->data + (image * o->height + at) * line + place * o->n +
		       panel * PANEL;
	float *below = at + 1 < o->height ? above + line : NULL;

	o->cpu->tiles->unpatch(above, below, o->n, sum, bias, i, least(2 * n, o->width - place));
}

/* The sums of row i, of a panel, of tiles first .. end - 1. */
static void add_panel(const struct winograd *o, const float *sums, int i, int64_t panel,
	int64_t first, int64_t end)
{
	float bias[PANEL];

	tile_bias(o->bias, panel, bias);
	for (int64_t t = first, n; t < end; t += n) {
		const int64_t step = (t - first) / TILE_STEP, in_step = (t - first) % TILE_STEP;
		n = least(least(TILE_STEP - in_step, o->across - t % o->across), end - t);
		add_tiles(o, sums + step * PATCH * SUMS + in_step * PANEL, i, panel, bias, t, n);
	}
}

static void product_task(const struct winograd *o, int64_t task, int thread)
{
	const int64_t chunk = task % o->cut.chunks, group = task / o->cut.chunks;
	const int64_t tile = tile_row_at(o->tiles, chunk, o->cut.chunks),
		      end = tile_row_at(o->tiles, chunk + 1, o->cut.chunks),
		      steps = ceil_div(end - tile, TILE_STEP);
	const int64_t first = o->panels * group / o->cut.groups,
		      behind = o->panels * (group + 1) / o->cut.groups;
	float *sums = o->sums + thread * o->own_sums, *lines = o->lines + thread * o->own_lines;
	uint16_t *patches = o->patches;

	if (o->cut.groups > 1) {
		patches += tile / TILE_ROWS * o->blocks * PARTS * TILE_ELEMENTS;
	} else {
		patches += thread * o->own_patches;
		fill_lines(o, lines, tile, end);
	}
	for (int i = 0; i < PATCH; i++) {
		if (o->cut.groups == 1)
			make_row(o, patches, lines, i, tile, tile + steps * TILE_STEP);
		multiply_row(o, patches, sums, i, tile, first, behind, steps);
		for (int64_t p = first; p < behind; p++)
			add_panel(o, sums + (p - first) * steps * PATCH * SUMS, i, p, tile, end);
		patches += o->cut.groups > 1 ? PATCH * o->product : 0;
	}
}

/* All rows of the patches of a step, for all threads. */
static void patch_task(const struct winograd *o, int64_t step, int thread)
{
	const int64_t first = step * TILE_STEP, end = first + TILE_STEP;
	float *lines = o->lines + thread * o->own_lines;
	uint16_t *dst = o->patches + step * 2 * o->blocks * PARTS * TILE_ELEMENTS;

	fill_lines(o, lines, first, least(end, o->tiles));
	for (int i = 0; i < PATCH; i++)
		make_row(o, dst + i * PATCH * o->product, lines, i, first, end);
}

static void winograd_thread(void *ud, int thread, int n_threads)
{
	struct winograd *o = ud;
	const int64_t steps = ceil_div(o->tiles, TILE_STEP);
	int64_t task;

	while (o->cut.groups > 1 && (task = atomic_fetch_add(&o->next[0], 1)) < steps)
		patch_task(o, task, thread);
	if (o->cut.groups > 1)
		pool_barrier(o->cpu->pool);
	o->cpu->tiles->begin();
	while ((task = atomic_fetch_add(&o->next[1], 1)) < o->cut.chunks * o->cut.groups)
		product_task(o, task, thread);
	o->cpu->tiles->end();
}

/* ---- the op ------------------------------------------------------------- */

static void cut(struct winograd *o)
{
	const int64_t few = TILE_FEW_ROWS / TILE_STEP,
		      most = least(MOST_TILES, CHUNK_VALUES / o->c) / TILE_STEP;

	o->cut = tile_cut(
		pool_threads(o->cpu->pool), o->tiles, most > few ? most : few, o->panels, TASKS);
	o->asks = PRODUCTS * matrix_size(o->n, o->c) * (int64_t)sizeof(uint16_t) > AHEAD_BYTES;
}

/* Room for all of it, from scratch; false after gpu_fail(). */
static bool lay_out(struct gpu *g, struct winograd *o)
{
	const int64_t threads = pool_threads(o->cpu->pool);
	const int64_t made =
		o->cut.groups > 1 ? ceil_div(o->tiles, TILE_STEP) * TILE_STEP : o->cut.chunk;

	o->product = made * o->blocks * PARTS * TILE_K + APART;
	o->own_patches = (o->cut.groups > 1 ? PRODUCTS : PATCH) * o->product;
	o->own_sums = ceil_div(o->panels, o->cut.groups) * o->cut.chunk * PATCH * PANEL;
	o->own_lines =
		lines_seen(o, o->cut.groups > 1 ? TILE_STEP : o->cut.chunk) * places(o) * o->c;
	const int64_t patches = o->own_patches * (o->cut.groups > 1 ? 1 : threads);
	o->patches = cpu_scratch(
		g, (size_t)patches * sizeof(*o->patches) +
			   (size_t)((o->own_sums + o->own_lines) * threads) * sizeof(*o->sums));
	if (!o->patches)
		return false;
	o->sums = (float *)(void *)(o->patches + patches);
	o->lines = o->sums + o->own_sums * threads;
	return true;
}

void cpu_winograd(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct cpu_affine *norm, const struct gpu_tensor *w, const struct gpu_tensor *bias,
	bool up)
{
	struct winograd o = {.cpu = cpu_of(g),
		.x = x,
		.y = y,
		.w = w,
		.bias = bias,
		.norm = norm,
		.up = up,
		.height = y->ne[1],
		.width = y->ne[2],
		.c = x->ne[3],
		.n = y->ne[3],
		.down = ceil_div(y->ne[1], 2),
		.across = ceil_div(y->ne[2], 2),
		.blocks = tile_blocks(x->ne[3]),
		.panels = y->ne[3] / PANEL};

	o.tiles = y->ne[0] * o.down * o.across;
	cut(&o);
	if (lay_out(g, &o))
		pool_team(o.cpu->pool, winograd_thread, &o);
}
