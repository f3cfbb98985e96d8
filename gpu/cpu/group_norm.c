/* Group norm over [B, .., C]: a group is C / n_groups neighbouring channels at
 * all places of one batch row.
 *
 * Rows are added up in pieces of PIECE rows, channel by channel, in double
 * precision: a plane of 65 536 places has too many addends for f32, and the
 * sum of squares needs no second pass over memory.  The pieces depend on the
 * shape alone and are folded in their order. */
#include "gpu/cpu/cpu.h"
#include "gpu/cpu/image_kernels.h"

#include <math.h>

enum { PIECE = 256 };

const struct image_kernels *image_kernels_for(int isa)
{
#if defined(__x86_64__)
	if (isa >= CPU_AVX2)
		return isa == CPU_AMX      ? &image_kernels_amx
		       : isa >= CPU_AVX512 ? &image_kernels_avx512
					   : &image_kernels_avx2;
#endif
	return &image_kernels_generic;
}

struct group_norm {
	const struct image_kernels *kernels;
	const struct gpu_group_norm *how;
	float *y;
	const float *x;
	int64_t batch;
	int64_t n_rows, width, n_pieces; /* of one batch row */
	double *partial;                 /* [B, pieces, sums and squares, width] */
	float *affine;                   /* [B, scale and shift, width] */
};

static int64_t piece_rows(const struct group_norm *o, int64_t piece)
{
	const int64_t left = o->n_rows - piece * PIECE;

	return left < PIECE ? left : PIECE;
}

static void moments_task(void *ud, size_t task)
{
	const struct group_norm *o = ud;
	const int64_t batch = (int64_t)task / o->n_pieces, piece = (int64_t)task % o->n_pieces;
	double *sums = o->partial + (int64_t)task * 2 * o->width;

	memset(sums, 0, (size_t)(2 * o->width) * sizeof(*sums));
	o->kernels->moments(sums, sums + o->width,
		o->x + (batch * o->n_rows + piece * PIECE) * o->width, piece_rows(o, piece),
		o->width);
}

static void affine_task(void *ud, size_t task)
{
	const struct group_norm *o = ud;
	const int64_t batch = (int64_t)task / o->n_pieces, piece = (int64_t)task % o->n_pieces;
	const int64_t at = (batch * o->n_rows + piece * PIECE) * o->width;
	const float *scale = o->affine + batch * 2 * o->width;

	o->kernels->affine(o->y + at, o->x + at, scale, scale + o->width, piece_rows(o, piece),
		o->width, o->how->silu);
}

/* What becomes of the channels of one group of a batch row. */
static void fold_group(const struct group_norm *o, int64_t batch, int64_t group)
{
	const int64_t n = o->width / o->how->n_groups, first = group * n;
	const float *w = o->how->w->data, *b = o->how->b->data;
	float *scale = o->affine + batch * 2 * o->width, *shift = scale + o->width;
	double sum = 0, squares = 0;

	for (int64_t piece = 0; piece < o->n_pieces; piece++) {
		const double *p = o->partial + (batch * o->n_pieces + piece) * 2 * o->width;
		for (int64_t c = first; c < first + n; c++) {
			sum += p[c];
			squares += p[o->width + c];
		}
	}
	const double count = (double)(n * o->n_rows), mean = sum / count;
	const double variance = squares / count - mean * mean;
	const double inverse = 1 / sqrt((variance > 0 ? variance : 0) + (double)o->how->eps);
	for (int64_t c = first; c < first + n; c++) {
		scale[c] = (float)(inverse * (double)w[c]);
		shift[c] = (float)((double)b[c] - mean * inverse * (double)w[c]);
	}
}

static struct group_norm norm_of(
	const struct gpu *g, const struct gpu_tensor *x, const struct gpu_group_norm *how)
{
	struct group_norm o = {
		.kernels = image_kernels_for(cpu_of(g)->isa),
		.how = how,
		.x = x->data,
		.batch = x->ne[0],
		.width = x->ne[x->n_dims - 1],
	};

	o.n_rows = gpu_count(x) / o.batch / o.width;
	o.n_pieces = (o.n_rows + PIECE - 1) / PIECE;
	return o;
}

/* Sets o->affine; NULL after gpu_fail(). */
static void find_affine(struct gpu *g, struct group_norm *o)
{
	const int64_t n_partial = o->batch * o->n_pieces * 2 * o->width;

	o->partial = cpu_outer_scratch(
		g, (size_t)n_partial * sizeof(*o->partial) +
			   (size_t)(o->batch * 2 * o->width) * sizeof(*o->affine));
	if (!o->partial)
		return;
	o->affine = (float *)(void *)(o->partial + n_partial);
	pool_run(cpu_of(g)->pool, (size_t)(o->batch * o->n_pieces), moments_task, o);
	for (int64_t b = 0; b < o->batch; b++)
		for (int64_t group = 0; group < o->how->n_groups; group++)
			fold_group(o, b, group);
}

struct cpu_affine cpu_group_affine(
	struct gpu *g, const struct gpu_tensor *x, const struct gpu_group_norm *how)
{
	struct group_norm o = norm_of(g, x, how);

	find_affine(g, &o);
	return (struct cpu_affine){o.kernels, o.affine, how->silu};
}

void cpu_group_norm(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct gpu_group_norm *how)
{
	struct group_norm o = norm_of(g, x, how);

	o.y = y->data;
	find_affine(g, &o);
	if (o.affine)
		pool_run(cpu_of(g)->pool, (size_t)(o.batch * o.n_pieces), affine_task, &o);
}
