/* What diffusion models need besides products: activations, rotary positions, noise,
 * and the linear combinations of which samplers are made. */
#include "gpu/cpu/cpu.h"
#include "gpu/philox.h"
#include "gpu/cpu/vec_kernels.h"

#include <math.h>

/* ---- gates -------------------------------------------------------------- */

struct gate {
	void (*f)(float *y, const float *a, const float *b, int64_t n);
	float *y;
	const float *x;
	int64_t n;
};

static void gate_task(void *ud, const struct cpu_tile *t)
{
	const struct gate *o = ud;

	for (int64_t r = t->row; r < t->row + t->n_rows; r++) {
		const float *x = o->x + r * 2 * o->n;
		o->f(o->y + r * o->n, x, x + o->n, o->n);
	}
}

void cpu_gated(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x, enum gpu_unary act)
{
	struct gate o = {
		.f = cpu_of(g)->vec->gated[act], .y = y->data, .x = x->data, .n = y->ne[1]};

	cpu_rows(g, y->ne[0], o.n, gate_task, &o);
}

/* ---- snake -------------------------------------------------------------- */

struct snake {
	const struct vec_kernels *vec;
	float *y;
	const float *x, *alpha, *inv_beta;
	int64_t n;
};

static void snake_task(void *ud, const struct cpu_tile *t)
{
	const struct snake *o = ud;

	for (int64_t r = t->row; r < t->row + t->n_rows; r++)
		o->vec->snake(o->y + r * o->n, o->x + r * o->n, o->alpha, o->inv_beta, o->n);
}

void cpu_snake(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct gpu_tensor *alpha, const struct gpu_tensor *inv_beta)
{
	struct snake o = {.vec = cpu_of(g)->vec,
		.y = y->data,
		.x = x->data,
		.alpha = alpha->data,
		.inv_beta = inv_beta->data,
		.n = alpha->ne[0]};

	cpu_rows(g, gpu_count(x) / o.n, o.n, snake_task, &o);
}

/* ---- heads -------------------------------------------------------------- */

struct heads {
	const struct vec_kernels *vec;
	float *x;
	int64_t width; /* of a row of x */
	const float *table, *w, *b;
	int64_t first, n_heads, dim, rotary;
	float eps;
};

static void rope_task(void *ud, const struct cpu_tile *t)
{
	const struct heads *o = ud;
	const int64_t half = o->rotary / 2;

	for (int64_t r = t->row; r < t->row + t->n_rows; r++)
		for (int64_t h = 0; h < o->n_heads; h++) {
			float *x = o->x + r * o->width + h * o->dim;
			const float *table = o->table + r * o->rotary;
			o->vec->rotate(x, x + half, table, table + half, half);
		}
}

void cpu_rope(struct gpu *g, struct gpu_tensor *x, const struct gpu_tensor *table, int64_t n_heads,
	int64_t head_dim)
{
	struct heads o = {.vec = cpu_of(g)->vec,
		.x = x->data,
		.width = x->ne[1],
		.table = table->data,
		.n_heads = n_heads,
		.dim = head_dim,
		.rotary = table->ne[1]};

	cpu_rows(g, x->ne[0], n_heads * o.rotary, rope_task, &o);
}

static void head_norm_task(void *ud, const struct cpu_tile *t)
{
	const struct heads *o = ud;

	for (int64_t r = t->row; r < t->row + t->n_rows; r++)
		for (int64_t h = o->first; h < o->first + o->n_heads; h++) {
			float *x = o->x + r * o->width + h * o->dim;
			o->vec->norm(x, x, o->w, o->b, o->eps, o->dim);
		}
}

void cpu_head_norm(struct gpu *g, struct gpu_tensor *x, const struct gpu_tensor *w,
	const struct gpu_tensor *b, int64_t first, int64_t n_heads, float eps)
{
	struct heads o = {.vec = cpu_of(g)->vec,
		.x = x->data,
		.width = x->ne[1],
		.w = w->data,
		.b = b->data,
		.first = first,
		.n_heads = n_heads,
		.dim = w->ne[0],
		.eps = eps};

	cpu_rows(g, x->ne[0], n_heads * o.dim, head_norm_task, &o);
}

/* ---- noise -------------------------------------------------------------- */

struct noise {
	float *y;
	uint64_t seed;
	uint32_t stream;
	int64_t n;
};

/* Four words make two pairs: radius from the first, which is never 0, angle from the
 * second. */
static void draw(const struct noise *o, uint64_t block, float out[4])
{
	/* 1: what sampling of tokens (philox_uniform) never has here */
	const struct philox counter = {{(uint32_t)block, (uint32_t)(block >> 32), o->stream, 1}};
	const struct philox bits = philox(counter, (uint32_t)o->seed, (uint32_t)(o->seed >> 32));

	for (int i = 0; i < 4; i += 2) {
		const double radius = sqrt(-2 * log((bits.x[i] + 1.0) * 0x1p-32));
		const double angle = bits.x[i + 1] * (2 * M_PI * 0x1p-32);
		out[i] = (float)(radius * cos(angle));
		out[i + 1] = (float)(radius * sin(angle));
	}
}

static void noise_task(void *ud, const struct cpu_tile *t)
{
	const struct noise *o = ud;

	for (int64_t r = t->row; r < t->row + t->n_rows; r++) {
		const int64_t left = o->n - r * 4;
		float z[4];
		draw(o, (uint64_t)r, z);
		memcpy(o->y + r * 4, z, (size_t)(left < 4 ? left : 4) * sizeof(float));
	}
}

void cpu_normal(struct gpu *g, struct gpu_tensor *y, uint64_t seed, uint32_t stream)
{
	struct noise o = {.y = y->data, .seed = seed, .stream = stream, .n = gpu_count(y)};

	cpu_rows(g, (o.n + 3) / 4, 64, noise_task, &o);
}

/* ---- combinations ------------------------------------------------------- */

struct combine {
	float *y;
	const float *x[GPU_MAX_TERMS];
	float weight[GPU_MAX_TERMS];
	int n_terms;
};

static void combine_task(void *ud, const struct cpu_tile *t)
{
	const struct combine *o = ud;

	for (int64_t i = t->col; i < t->col + t->n_cols; i++) {
		float sum = o->x[0][i] * o->weight[0];
		for (int k = 1; k < o->n_terms; k++)
			sum += o->x[k][i] * o->weight[k];
		o->y[i] = sum;
	}
}

void cpu_combine(struct gpu *g, struct gpu_tensor *y, const struct gpu_term *terms, int n_terms)
{
	struct combine o = {.y = y->data, .n_terms = n_terms};

	for (int k = 0; k < n_terms; k++) {
		o.x[k] = terms[k].x->data;
		o.weight[k] = terms[k].weight;
	}
	cpu_tiles(g, 1, gpu_count(y), combine_task, &o);
}
