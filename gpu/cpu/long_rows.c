/* Products of many long rows, as those of a transformer are.
 *
 * Few whole rows of them fill the second-level cache, and all panels would come from memory for
 * each few.  So a task, which is a chunk of rows and some panels, takes k in pieces: of each it
 * rounds or splits its rows, lets the panels pass by them while the next one is brought, and keeps
 * the sums so far.  Blocks of k are added in the same order as everywhere (tile_kernels.h). */
#include "gpu/cpu/cpu.h"
#include "gpu/cpu/tile_kernels.h"

#include <stdatomic.h>

enum {
	PIECE = 48, /* tiles of a row in a piece, of all parts */
	ROWS = 384, /* most of a chunk: with a piece, what the second-level cache holds */
	TASKS = 3,  /* for each thread, if there are several */
	FEW = 512   /* rows */
};

struct run {
	const struct tile_product *p;
	const struct cpu *cpu;
	int64_t blocks, panels, chunk, chunks, groups;
	int64_t piece, block;  /* blocks of k in a piece; elements of one in a panel */
	int64_t offset[PIECE]; /* of a block in 16 rows */
	uint16_t *x;           /* of each thread: [16 rows][block][part][row][32] */
	float *sums;           /* of each thread: [panel][row][PANEL] */
	int64_t own_x, own_sums;
	_Atomic int64_t next;
};

/* `rows` rows, and panels first .. end - 1. */
struct task {
	int64_t first, end, rows, steps;
	const float *x; /* of the first row */
	float *y;
	uint16_t *rounded;
	float *sums;
};

static int64_t ceil_div(int64_t a, int64_t b)
{
	return (a + b - 1) / b;
}

/* Blocks k0 .. k0 + n - 1 of a task's rows, with zeros where rows or k end. */
static void round_piece(const struct run *o, const struct task *t, int64_t k0, int64_t n)
{
	const struct tile_product *p = o->p;

	for (int64_t r = 0; r < t->steps * TILE_STEP; r++)
		for (int64_t b = 0; b < n; b++) {
			const int64_t k = (k0 + b) * TILE_K, left = p->k - k;
			const float *x = t->x + r * p->ldx + k;
			uint16_t *to = t->rounded +
				       (r / TILE_ROWS * o->piece + b) * p->parts * TILE_ELEMENTS +
				       r % TILE_ROWS * TILE_K;
			float line[TILE_K] = {0};
			if (r >= t->rows || left < TILE_K) {
				if (r < t->rows)
					memcpy(line, x, (size_t)left * sizeof(*x));
				x = line;
			}
			if (p->parts == 1)
				o->cpu->tiles->round(to, x, TILE_K);
			else
				o->cpu->tiles->split(to, TILE_ELEMENTS, x, TILE_K);
		}
}

/* y = sum + bias (+ y) of a step */
static void finish(
	const struct run *o, const struct task *t, int64_t panel, int64_t row, const float *sum)
{
	const struct tile_product *p = o->p;
	const int64_t out0 = panel * PANEL, left = p->n - out0, n = left < PANEL ? left : PANEL;
	float bias[PANEL] = {0};

	for (int64_t i = 0; i < n && p->bias; i++)
		bias[i] = p->bias[(out0 + i) % p->bias_n];
	for (int64_t r = row; r < row + TILE_STEP && r < t->rows; r++, sum += PANEL)
		o->cpu->tiles->finish(t->y + r * p->ldy + out0, sum, bias, n, p->add);
}

/* What step s of a panel will be followed by: sums, which lie behind each other, or y. */
static void ask_ahead(const struct run *o, const struct task *t, struct tile_gemm *a, int64_t panel,
	int64_t s, bool is_last)
{
	const bool more = s + 1 < t->steps;

	a->out = is_last ? t->y + (more ? (s + 1) * TILE_STEP * o->p->ldy + panel * PANEL
					: (panel + 1) * PANEL)
			 : a->sum + TILE_STEP * PANEL;
	a->out_row = is_last ? o->p->ldy : PANEL;
}

/* Adds blocks k0 .. k0 + n - 1; behind the last of k y is done. */
static void multiply_piece(const struct run *o, const struct task *t, int64_t k0, int64_t n)
{
	const int64_t panel = o->blocks * o->block;
	const uint16_t *w = (const uint16_t *)o->p->w->data + k0 * o->block;
	const bool is_last = k0 + n == o->blocks;
	struct tile_gemm a = {.a_row = TILE_K,
		.a_group = o->piece * o->p->parts * TILE_ELEMENTS,
		.a_part = o->p->parts > 1 ? TILE_ELEMENTS : 0,
		.offset = o->offset,
		.n_blocks = n,
		.sum_row = PANEL,
		.rows = TILE_STEP,
		.resume = k0 > 0,
		.ahead_lines = (int)ceil_div(o->block * (int64_t)sizeof(*w) / 64, t->steps)};

	for (int64_t i = t->first; i < t->end; i++) {
		/* the next panel, or the first one's next piece */
		const uint16_t *next =
			w + (i + 1 < t->end ? (i + 1) * panel
					    : t->first * panel + (is_last ? 0 : n * o->block));
		a.w = w + i * panel;
		for (int64_t s = 0; s < t->steps; s++) {
			a.a = t->rounded + s * TILE_STEP / TILE_ROWS * a.a_group;
			a.ahead = (const char *)next + s * n * a.ahead_lines * 64;
			a.sum = t->sums + ((i - t->first) * t->steps + s) * TILE_STEP * PANEL;
			ask_ahead(o, t, &a, i, s, is_last);
			o->cpu->tiles->gemm(&a);
			if (is_last)
				finish(o, t, i, s * TILE_STEP, a.sum);
		}
	}
}

static void run_task(const struct run *o, int64_t task, int thread)
{
	const struct tile_product *p = o->p;
	const int64_t batch = task / o->chunks % p->batches, group = task / o->chunks / p->batches,
		      row0 = task % o->chunks * o->chunk, left = p->rows - row0;
	struct task t = {.first = o->panels * group / o->groups,
		.end = o->panels * (group + 1) / o->groups,
		.rows = left < o->chunk ? left : o->chunk,
		.x = p->x + batch * p->x_batch + row0 * p->ldx,
		.y = p->y + batch * p->y_batch + row0 * p->ldy,
		.rounded = o->x + thread * o->own_x,
		.sums = o->sums + thread * o->own_sums};

	t.steps = ceil_div(t.rows, TILE_STEP);
	for (int64_t k0 = 0, n; k0 < o->blocks; k0 += n) {
		n = o->blocks - k0 < o->piece ? o->blocks - k0 : o->piece;
		round_piece(o, &t, k0, n);
		multiply_piece(o, &t, k0, n);
	}
}

static void run_thread(void *ud, int thread, int n_threads)
{
	struct run *o = ud;
	const int64_t n = o->p->batches * o->chunks * o->groups;
	int64_t task;

	o->cpu->tiles->begin();
	while ((task = atomic_fetch_add(&o->next, 1)) < n)
		run_task(o, task, thread);
	o->cpu->tiles->end();
}

/* Large chunks, and as many groups of panels as share evenly among the threads. */
static void cut(struct run *o, int threads)
{
	const int64_t batches = o->p->batches, tasks = threads > 1 ? TASKS * threads : 1;

	o->chunk = ceil_div(o->p->rows, ceil_div(o->p->rows, ROWS));
	o->chunk = ceil_div(o->chunk, TILE_STEP) * TILE_STEP;
	o->chunks = ceil_div(o->p->rows, o->chunk);
	o->groups = ceil_div(tasks, o->chunks * batches);
	while (o->groups * o->chunks * batches % threads)
		o->groups++;
	o->groups = o->groups < o->panels ? o->groups : o->panels;
}

bool cpu_are_long_rows(const struct tile_product *p)
{
	return p->k == p->channels && tile_blocks(p->k) > PIECE / p->parts && p->rows > FEW;
}

void cpu_long_rows(struct gpu *g, const struct tile_product *p)
{
	const int threads = pool_threads(cpu_of(g)->pool);
	struct run o = {.p = p,
		.cpu = g->device,
		.blocks = tile_blocks(p->k),
		.panels = ceil_div(p->n, PANEL),
		.piece = PIECE / p->parts,
		.block = p->parts * 2 * TILE_ELEMENTS};

	cut(&o, threads);
	for (int64_t b = 0; b < o.piece; b++)
		o.offset[b] = b * p->parts * TILE_ELEMENTS;
	o.own_x = o.chunk * o.piece * p->parts * TILE_K;
	o.own_sums = ceil_div(o.panels, o.groups) * o.chunk * PANEL;
	o.x = cpu_scratch(g, (size_t)threads * ((size_t)o.own_x * sizeof(*o.x) +
						       (size_t)o.own_sums * sizeof(*o.sums)));
	if (!o.x)
		return;
	o.sums = (float *)(void *)(o.x + threads * o.own_x);
	pool_team(o.cpu->pool, run_thread, &o);
}
