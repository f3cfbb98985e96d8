/* Attention inside windows of a few tokens each (Swin): a task is a window and a
 * head, whose keys and values are packed as in attention.c and kept beside the
 * scores on the stack of a task's scratch. */
#include "gpu/cpu/cpu.h"

struct windows {
	const struct cpu_kernels *kernels;
	const float *qkv, *bias, *mask;
	float *y;
	int64_t len, n_heads, dim, n_masks;
	float scale;
	char *scratch;
	size_t task_floats;
};

static int64_t round_up(int64_t n)
{
	return (n + PANEL - 1) / PANEL * PANEL;
}

/* keys [ceil(len / 32)][dim][32], values [ceil(dim / 32)][len][32] */
static void pack(const struct windows *o, const float *qkv, float *keys, float *values)
{
	const int64_t width = o->n_heads * o->dim;

	memset(keys, 0, (size_t)(round_up(o->len) * o->dim) * sizeof(*keys));
	memset(values, 0, (size_t)(round_up(o->dim) * o->len) * sizeof(*values));
	for (int64_t t = 0; t < o->len; t++) {
		const float *k = qkv + t * 3 * width + width, *v = k + width;
		for (int64_t i = 0; i < o->dim; i++) {
			keys[(t / PANEL * o->dim + i) * PANEL + t % PANEL] = k[i];
			values[(i / PANEL * o->len + t) * PANEL + i % PANEL] = v[i];
		}
	}
}

struct head {
	const float *q, *keys, *values, *bias, *mask;
	float *scores, *y;
};

/* Queries first .. first + rows - 1 of one window and head. */
static void attend(const struct windows *o, const struct head *h, int64_t first, int rows)
{
	const int64_t width = o->n_heads * o->dim, lds = round_up(o->len);
	struct gemm product = {
		.x = h->q + first * 3 * width, .ldx = 3 * width, .k = o->dim, .ldy = lds};
	float added[MAX_ROWS * PANEL];

	for (int64_t p = 0; p * PANEL < o->len; p++) {
		product.w = h->keys + p * o->dim * PANEL;
		product.y = h->scores + p * PANEL;
		o->kernels->f32[rows](&product);
	}
	for (int r = 0; r < rows; r++) {
		float *s = h->scores + r * lds;
		const float *bias = h->bias + (first + r) * o->len;
		for (int64_t i = 0; i < o->len; i++) {
			s[i] = s[i] * o->scale + bias[i];
			if (h->mask)
				s[i] += h->mask[(first + r) * o->len + i];
		}
		o->kernels->softmax(s, o->len, lds, 1, NULL);
	}
	product = (struct gemm){.x = h->scores, .ldx = lds, .k = o->len, .y = added, .ldy = PANEL};
	for (int64_t p = 0; p * PANEL < o->dim; p++) {
		const int64_t left = o->dim - p * PANEL, n = left < PANEL ? left : PANEL;
		product.w = h->values + p * o->len * PANEL;
		o->kernels->f32[rows](&product);
		for (int r = 0; r < rows; r++)
			memcpy(h->y + (first + r) * width + p * PANEL, added + r * PANEL,
				(size_t)n * sizeof(float));
	}
}

static void window_task(void *ud, size_t task)
{
	const struct windows *o = ud;
	const int64_t window = (int64_t)task / o->n_heads, head = (int64_t)task % o->n_heads,
		      width = o->n_heads * o->dim, step = o->kernels->max_rows;
	float *keys = (float *)(void *)o->scratch + task * o->task_floats;
	float *values = keys + round_up(o->len) * o->dim;
	const float *qkv = o->qkv + window * o->len * 3 * width + head * o->dim;
	const struct head h = {
		.q = qkv,
		.keys = keys,
		.values = values,
		.scores = values + round_up(o->dim) * o->len,
		.bias = o->bias + head * o->len * o->len,
		.mask = o->mask ? o->mask + window % o->n_masks * o->len * o->len : NULL,
		.y = o->y + window * o->len * width + head * o->dim,
	};

	pack(o, qkv, keys, values);
	for (int64_t first = 0; first < o->len; first += step)
		attend(o, &h, first, (int)(o->len - first < step ? o->len - first : step));
}

void cpu_attention_windows(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *qkv,
	const struct gpu_tensor *bias, const struct gpu_tensor *mask, float scale)
{
	const int64_t len = qkv->ne[1], n_heads = bias->ne[0], dim = y->ne[2] / n_heads;
	struct windows o = {
		.kernels = cpu_of(g)->kernels,
		.qkv = qkv->data,
		.bias = bias->data,
		.mask = mask ? mask->data : NULL,
		.y = y->data,
		.len = len,
		.n_heads = n_heads,
		.dim = dim,
		.n_masks = mask ? mask->ne[0] : 1,
		.scale = scale,
		.task_floats = (size_t)(round_up(len) * dim + round_up(dim) * len +
					MAX_ROWS * round_up(len)),
	};
	const size_t n_tasks = (size_t)(qkv->ne[0] * n_heads);

	o.scratch = cpu_scratch(g, n_tasks * o.task_floats * sizeof(float));
	if (o.scratch)
		pool_run(cpu_of(g)->pool, n_tasks, window_task, &o);
}
