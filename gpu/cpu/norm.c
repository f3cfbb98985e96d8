/* Layer norm and root mean square norm, row by row.  The mean and the variance
 * are taken in two passes over a row that the first brought into the cache. */
#include "gpu/cpu/cpu.h"
#include "gpu/cpu/vec_kernels.h"

struct norm {
	const struct vec_kernels *vec;
	float *y;
	const float *x, *w, *b;
	float eps;
	int64_t n;
};

static void norm_task(void *ud, const struct cpu_tile *t)
{
	const struct norm *o = ud;

	for (int64_t r = t->row; r < t->row + t->n_rows; r++)
		o->vec->norm(o->y + r * o->n, o->x + r * o->n, o->w, o->b, o->eps, o->n);
}

void cpu_norm(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct gpu_tensor *w, const struct gpu_tensor *b, float eps, bool rms)
{
	struct norm o = {
		.vec = cpu_of(g)->vec,
		.y = y->data,
		.x = x->data,
		.w = w->data,
		.b = rms ? NULL : b->data,
		.eps = eps,
		.n = x->ne[x->n_dims - 1],
	};

	cpu_rows(g, gpu_count(x) / o.n, o.n, norm_task, &o);
}
