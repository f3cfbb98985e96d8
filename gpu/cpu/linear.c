/* Products: packed matrices, gpu_linear, and the convolutions, which are the
 * same product on overlapping rows.
 *
 * With time outermost, the inputs of one output frame of a convolution lie
 * side by side, so "row t of im2col" is just x + t * stride * Cin, with
 * kernel * Cin columns: no copy.  A transposed convolution whose output is
 * [T * stride, Cout] is a product with stride * Cout outputs over
 * ceil(kernel / stride) input frames.  Only dilation needs gathering.
 *
 * Work is cut into (row chunk, panels) tasks whose bounds depend on shapes
 * alone, and no task shares a sum with another. */
#include "gpu/cpu/cpu.h"
#include "gpu/cpu/tile_kernels.h"

#include <stdlib.h>
#include <string.h>

enum {
	DOT_OUT = 4,     /* f32 matrices with at most so many outputs are kept as plain rows */
	DOT_ALIGN = 16,  /* whose length is padded to this */
	ROW_CHUNK = 96,  /* rows of one task: x of a chunk stays in the L2 cache */
	ROW_BLOCK = 1024 /* rows gathered or quantised at a time */
};
#define BLOCK_BYTES (24 << 10) /* of a panel that many rows go over */
#define TASK_BYTES  (48 << 10) /* of weights, least per task */
#define INLINE_BYTES                                                                               \
	(96 << 10) /* weights times rows below which threads cost more than they give */

const struct cpu_kernels *cpu_kernels_for(int isa)
{
#if defined(__x86_64__)
	static const struct cpu_kernels *const all[] = {&cpu_kernels_generic, &cpu_kernels_avx2,
		&cpu_kernels_avx512, &cpu_kernels_vnni, &cpu_kernels_vnni};
	return all[isa];
#else
	return &cpu_kernels_generic;
#endif
}

static bool is_dot(enum gpu_dtype dtype, int64_t n_out)
{
	return dtype == GPU_F32 && n_out <= DOT_OUT;
}

static int64_t panel_bytes(enum gpu_dtype dtype, int64_t n_in)
{
	switch (dtype) {
	case GPU_F32:
		return n_in * PANEL * 4;
	case GPU_BF16:
		return n_in * PANEL * 2;
	default:
		return ceil_div(n_in, 4) * 4 * PANEL;
	}
}

size_t cpu_matrix_bytes(
	enum gpu_dtype dtype, int64_t n_out, int64_t n_in, size_t *ret_scale, size_t *ret_sums)
{
	int64_t n_panels = ceil_div(n_out, PANEL);
	*ret_scale = *ret_sums = 0;
	if (cpu_is_tiled(dtype))
		return cpu_tile_matrix_bytes(dtype, n_out, n_in);
	if (dtype == GPU_WINOGRAD)
		return cpu_winograd_bytes(n_out, n_in);
	if (dtype == GPU_I8)
		*ret_scale = *ret_sums = (size_t)n_panels * PANEL * 4;
	if (is_dot(dtype, n_out))
		return (size_t)(n_out * ceil_div(n_in, DOT_ALIGN) * DOT_ALIGN * 4);
	return (size_t)(n_panels * panel_bytes(dtype, n_in));
}

static void put_panels(const struct cpu_kernels *k, struct gpu_tensor *t, int64_t first, int64_t n,
	const float *src)
{
	const int64_t n_in = t->ne[1], bytes = panel_bytes(t->dtype, n_in);
	for (int64_t r = 0; r < n; r += PANEL) {
		int64_t p = (first + r) / PANEL;
		int rows = (int)(n - r < PANEL ? n - r : PANEL);
		char *panel = (char *)t->data + p * bytes;
		if (t->dtype == GPU_F32)
			k->pack_f32((float *)(void *)panel, src + r * n_in, n_in, rows);
		else if (t->dtype == GPU_BF16)
			k->pack_bf16((uint16_t *)(void *)panel, src + r * n_in, n_in, rows);
		else
			k->pack_i8((int8_t *)panel, t->scale + p * PANEL, t->sums + p * PANEL,
				src + r * n_in, n_in, rows);
	}
}

static void put_plain(struct gpu_tensor *t, int64_t first, int64_t n, const float *src)
{
	int64_t width = 1;
	for (int i = 1; i < t->n_dims; i++)
		width *= t->ne[i];
	if (t->dtype == GPU_F32) {
		memcpy((float *)t->data + first * width, src, (size_t)(n * width) * sizeof(float));
		return;
	}
	uint16_t *dst = (uint16_t *)t->data + first * width;
	for (int64_t i = 0; i < n * width; i++)
		dst[i] = cpu_bf16(src[i]);
}

void cpu_put_rows(struct gpu *g, struct gpu_tensor *t, int64_t first, int64_t n, const float *src)
{
	const struct cpu *c = g->device;
	if (t->layout == GPU_ROWS) {
		put_plain(t, first, n, src);
	} else if (cpu_is_tiled(t->dtype)) {
		cpu_tile_put_rows(c->tiles, t, first, n, src);
	} else if (t->dtype == GPU_WINOGRAD) {
		cpu_winograd_put_rows(c->tiles, t, first, n, src);
	} else if (is_dot(t->dtype, t->ne[0])) {
		const int64_t k = t->ne[1], padded = ceil_div(k, DOT_ALIGN) * DOT_ALIGN;
		for (int64_t r = 0; r < n; r++) {
			float *row = (float *)t->data + (first + r) * padded;
			memcpy(row, src + r * k, (size_t)k * sizeof(float));
			memset(row + k, 0, (size_t)(padded - k) * sizeof(float));
		}
	} else {
		put_panels(c->kernels, t, first, n, src);
	}
}

/* ---- the product -------------------------------------------------------- */

/* y[b][m][0..n) = x[b][m] w^T + bias, for m < rows: everything but the shapes
 * of gpu.h.  Rows of x may overlap. */
struct product {
	const struct cpu *cpu;
	const struct gpu_tensor *w;
	int64_t n, k;          /* of w */
	int64_t group;         /* outputs that see the same k columns of x; 0: all */
	int64_t batches, rows; /* of x and y */
	const float *x;
	int64_t x_batch, ldx;
	float *y;
	int64_t y_batch, ldy;
	const float *bias; /* [bias_n], repeated over the n outputs; or NULL */
	int64_t bias_n;
	int add;
	const struct gpu_norm *norm; /* of rows of x, tiles alone; or NULL */
	/* int8: the rows, quantised */
	const int16_t *q;
	const uint8_t *high, *low;
	const float *q_scale;
	int64_t k4;
	/* tasks */
	int64_t chunks, groups, group_panels;
};

/* What one panel adds to rows row0..row0+n_rows-1 of a batch. */
struct panel {
	const struct product *p;
	const char *w;
	int64_t out0, valid; /* its outputs, of which the last panel lacks some */
	const float *x;      /* of row0 */
	float *y;
	int64_t row0, n_rows;
	const float *bias; /* [PANEL], or NULL */
};

static void add_part(const struct panel *q, const float *part, int64_t row, int64_t rows)
{
	const struct product *p = q->p;

	for (int64_t r = 0; r < rows; r++) {
		float *dst = q->y + (row + r) * p->ldy;
		for (int64_t o = 0; o < q->valid; o++)
			dst[o] = part[r * PANEL + o] + (p->add ? dst[o] : 0);
	}
}

static void panel_i8(const struct panel *q)
{
	const struct product *p = q->p;
	const struct cpu_kernels *k = p->cpu->kernels;
	const bool whole = q->valid == PANEL;
	float part[MAX_ROWS * PANEL];

	for (int64_t r = 0; r < q->n_rows; r += k->max_rows_i8) {
		const int64_t left = q->n_rows - r, row = q->row0 + r;
		const int rows = (int)(left < k->max_rows_i8 ? left : k->max_rows_i8);
		struct gemm_i8 a = {.q = p->q + row * p->k4,
			.high = p->high + row * p->k4,
			.low = p->low + row * p->k4,
			.x_scale = p->q_scale + row,
			.k4 = p->k4,
			.w = (const int8_t *)q->w,
			.w_scale = p->w->scale + q->out0,
			.w_sums = p->w->sums + q->out0,
			.y = whole ? q->y + r * p->ldy : part,
			.ldy = whole ? p->ldy : PANEL,
			.bias = q->bias,
			.add = whole && p->add};
		k->i8(&a, rows);
		if (!whole)
			add_part(q, part, r, rows);
	}
}

/* Many rows go over a panel in blocks of it that stay in the first-level cache,
 * with the sums so far beside it. */
static void panel_float(const struct panel *q)
{
	const struct product *p = q->p;
	const struct cpu_kernels *k = p->cpu->kernels;
	const bool f32 = p->w->dtype == GPU_F32;
	const int step = f32 ? k->max_rows : k->max_rows_bf16;
	const int64_t line = PANEL * (f32 ? 4 : 2);
	const int64_t block =
		q->n_rows > step && p->k > BLOCK_BYTES / line * 3 / 2 ? BLOCK_BYTES / line : p->k;
	const bool direct = q->valid == PANEL && block == p->k;
	float part[ROW_CHUNK * PANEL];

	for (int64_t k0 = 0; k0 < p->k; k0 += block) {
		const bool last = k0 + block >= p->k;
		for (int64_t r = 0; r < q->n_rows; r += step) {
			const int64_t left = q->n_rows - r;
			const int rows = (int)(left < step ? left : step);
			struct gemm a = {.x = q->x + r * p->ldx + k0,
				.ldx = p->ldx,
				.w = q->w + k0 * line,
				.k = last ? p->k - k0 : block,
				.y = direct ? q->y + r * p->ldy : part + r * PANEL,
				.ldy = direct ? p->ldy : PANEL,
				.bias = last ? q->bias : NULL,
				.add = direct && p->add,
				.resume = k0 > 0};
			(f32 ? k->f32 : k->bf16)[rows](&a);
			if (last && !direct)
				add_part(q, a.y, r, rows);
		}
	}
}

static void panel_rows(
	const struct product *p, int64_t panel, int64_t batch, int64_t row0, int64_t n_rows)
{
	const int64_t out0 = panel * PANEL, left = p->n - out0;
	float bias[PANEL] = {0};
	struct panel q = {.p = p,
		.w = (const char *)p->w->data + panel * panel_bytes(p->w->dtype, p->k),
		.out0 = out0,
		.valid = left < PANEL ? left : PANEL,
		.x = p->x + batch * p->x_batch + row0 * p->ldx +
		     (p->group ? out0 / p->group * p->k : 0),
		.y = p->y + batch * p->y_batch + row0 * p->ldy + out0,
		.row0 = row0,
		.n_rows = n_rows,
		.bias = p->bias ? bias : NULL};

	if (p->bias)
		for (int64_t o = 0; o < q.valid; o++)
			bias[o] = p->bias[(out0 + o) % p->bias_n];
	if (p->w->dtype == GPU_I8)
		panel_i8(&q);
	else
		panel_float(&q);
}

static void panel_task(void *ud, size_t task)
{
	const struct product *p = ud;
	const int64_t group = (int64_t)task % p->groups,
		      chunk = (int64_t)task / p->groups % p->chunks,
		      batch = (int64_t)task / p->groups / p->chunks;
	const int64_t row0 = chunk * ROW_CHUNK,
		      n_rows = p->rows - row0 < ROW_CHUNK ? p->rows - row0 : ROW_CHUNK;
	const int64_t last = ceil_div(p->n, PANEL), end = (group + 1) * p->group_panels;
	for (int64_t panel = group * p->group_panels; panel < (end < last ? end : last); panel++)
		panel_rows(p, panel, batch, row0, n_rows);
}

static void dot_task(void *ud, size_t task)
{
	const struct product *p = ud;
	const int64_t chunk = (int64_t)task % p->chunks, batch = (int64_t)task / p->chunks;
	const int64_t padded = ceil_div(p->k, DOT_ALIGN) * DOT_ALIGN;
	const int64_t end = (chunk + 1) * ROW_CHUNK;
	for (int64_t m = chunk * ROW_CHUNK; m < (end < p->rows ? end : p->rows); m++)
		for (int64_t o = 0; o < p->n; o++) {
			const float *w = (const float *)p->w->data + o * padded;
			float *y = p->y + batch * p->y_batch + m * p->ldy + o;
			float s = p->cpu->kernels->dot(
				p->x + batch * p->x_batch + m * p->ldx, w, p->k);
			if (p->bias)
				s = s + p->bias[o % p->bias_n];
			*y = p->add ? s + *y : s;
		}
}

static void run_tasks(const struct product *p, int64_t n_tasks, void (*fn)(void *, size_t))
{
	const int64_t bytes = panel_bytes(p->w->dtype, p->k) * ceil_div(p->n, PANEL);
	if (n_tasks == 1 || bytes * p->rows * p->batches < INLINE_BYTES)
		for (int64_t i = 0; i < n_tasks; i++)
			fn((void *)(uintptr_t)p, (size_t)i);
	else
		pool_run(p->cpu->pool, (size_t)n_tasks, fn, (void *)(uintptr_t)p);
}

static void product_tasks(struct product *p)
{
	p->chunks = ceil_div(p->rows, ROW_CHUNK);
	if (is_dot(p->w->dtype, p->w->ne[0])) {
		run_tasks(p, p->chunks * p->batches, dot_task);
		return;
	}
	p->group_panels =
		ceil_div(TASK_BYTES, panel_bytes(p->w->dtype, p->k) * (p->rows > 8 ? 8 : 1));
	p->groups = ceil_div(ceil_div(p->n, PANEL), p->group_panels);
	run_tasks(p, p->groups * p->chunks * p->batches, panel_task);
}

struct quantise {
	const struct product *p;
	int16_t *q;
	uint8_t *high, *low;
	float *scale;
};

static void quantise_task(void *ud, size_t task)
{
	const struct quantise *z = ud;
	const struct product *p = z->p;
	const int64_t end = ((int64_t)task + 1) * 8;
	for (int64_t r = (int64_t)task * 8; r < (end < p->rows ? end : p->rows); r++)
		z->scale[r] = p->cpu->kernels->quantise(p->x + r * p->ldx, p->k, p->k4,
			z->q + r * p->k4, z->high + r * p->k4, z->low + r * p->k4);
}

/* p->rows rows at p->x into scratch. */
static void quantise_rows(struct product *p, char *scratch)
{
	struct quantise z = {.p = p};
	z.q = (int16_t *)(void *)scratch;
	z.high = (uint8_t *)(z.q + p->rows * p->k4);
	z.low = z.high + p->rows * p->k4;
	z.scale = (float *)(void *)(z.low + p->rows * p->k4);
	const int64_t n_tasks = ceil_div(p->rows, 8);
	if (n_tasks == 1)
		quantise_task(&z, 0);
	else
		pool_run(p->cpu->pool, (size_t)n_tasks, quantise_task, &z);
	p->q = z.q;
	p->high = z.high;
	p->low = z.low;
	p->q_scale = z.scale;
}

/* Dilation: row m of dst holds the `kernel` frames from x + m * ldx, `dilation` apart. */
static void gather_rows(const struct product *p, float *dst, int64_t channels, int64_t dilation)
{
	for (int64_t m = 0; m < p->rows; m++)
		for (int64_t c = 0; c < p->k; c += channels, dst += channels)
			memcpy(dst, p->x + m * p->ldx + c * dilation,
				(size_t)channels * sizeof(float));
}

static void tile_product(struct gpu *g, const struct product *p, int64_t channels, int64_t dilation)
{
	const struct tile_product t = {.w = p->w,
		.n = p->n,
		.k = p->k,
		.batches = p->batches,
		.rows = p->rows,
		.channels = channels,
		.dilation = dilation,
		.across = 1,
		.frames = (p->rows - 1) * p->ldx / channels + (p->k / channels - 1) * dilation + 1,
		.slope = 1,
		.x = p->x,
		.x_batch = p->x_batch,
		.ldx = p->ldx,
		.norm = p->norm,
		.y = p->y,
		.y_batch = p->y_batch,
		.ldy = p->ldy,
		.bias = p->bias,
		.bias_n = p->bias_n,
		.add = p->add,
		.parts = cpu_tile_parts(p->w->dtype)};

	cpu_tile_product(g, &t);
}

/* dilation 1: rows are contiguous; else they are gathered, `channels` at a time. */
static void run_product(struct gpu *g, struct product *p, int64_t channels, int64_t dilation)
{
	const bool i8 = p->w->dtype == GPU_I8, gather = dilation > 1;
	if (cpu_is_tiled(p->w->dtype)) {
		tile_product(g, p, channels ? channels : p->k, dilation);
		return;
	}
	if (!i8 && !gather) {
		product_tasks(p);
		return;
	}
	p->k4 = ceil_div(p->k, 4) * 4;
	const int64_t most = p->rows < ROW_BLOCK ? p->rows : ROW_BLOCK;
	const size_t gathered = gather ? (size_t)(most * p->k) * sizeof(float) : 0;
	char *scratch = cpu_scratch(g, gathered + (i8 ? (size_t)(most * (p->k4 * 4 + 4)) : 0));
	if (!scratch)
		return;
	for (int64_t b = 0; b < p->batches; b++)
		for (int64_t m = 0; m < p->rows; m += ROW_BLOCK) {
			struct product part = *p;
			part.batches = 1;
			part.rows = p->rows - m < ROW_BLOCK ? p->rows - m : ROW_BLOCK;
			part.x += b * p->x_batch + m * p->ldx;
			part.y += b * p->y_batch + m * p->ldy;
			if (gather) {
				gather_rows(&part, (float *)(void *)scratch, channels, dilation);
				part.x = (const float *)(const void *)scratch;
				part.ldx = p->k;
			}
			if (i8)
				quantise_rows(&part, scratch + gathered);
			product_tasks(&part);
		}
}

void cpu_linear(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct gpu_tensor *w, const struct gpu_tensor *bias, int beta)
{
	/* 16-bit by 8-bit sums must fit 32 bits: 255 * 127 * 65536 < 2^31. */
	if (w->dtype == GPU_I8 && w->ne[1] > 65536) {
		gpu_fail(g, ERR_UNSUPPORTED, "linear: '%s' has rows of more than 65536 in int8",
			w->name);
		return;
	}
	const int64_t rows = x->n_dims == 1 ? 1 : x->ne[0];
	struct product p = {.cpu = g->device,
		.w = w,
		.n = w->ne[0],
		.k = w->ne[1],
		.batches = 1,
		.rows = rows,
		.x = x->data,
		.ldx = w->ne[1],
		.y = y->data,
		.ldy = w->ne[0],
		.bias = bias ? bias->data : NULL,
		.bias_n = w->ne[0],
		.add = beta};
	for (int i = 1; i < x->n_dims - 1; i++)
		p.rows *= x->ne[i];
	run_product(g, &p, 0, 1);
}

bool cpu_norm_linear(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct gpu_norm *norm, const struct gpu_tensor *w, const struct gpu_tensor *bias,
	struct gpu_tensor *normed)
{
	const int64_t k = w->ne[1];
	struct product p = {.cpu = g->device,
		.w = w,
		.n = w->ne[0],
		.k = k,
		.batches = 1,
		.rows = x->ne[0],
		.x = x->data,
		.ldx = k,
		.norm = norm,
		.y = y->data,
		.ldy = w->ne[0],
		.bias = bias ? bias->data : NULL,
		.bias_n = w->ne[0]};

	if (!cpu_is_tiled(w->dtype) || k % TILE_K || k > TILE_NORM_MOST)
		return false;
	run_product(g, &p, 0, 1);
	return true;
}

void cpu_linear_grouped(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct gpu_tensor *w, const struct gpu_tensor *bias)
{
	const int64_t n_in = x->ne[x->n_dims - 1];
	struct product p = {.cpu = g->device,
		.w = w,
		.n = w->ne[0],
		.k = w->ne[1],
		.group = w->ne[0] / (n_in / w->ne[1]),
		.batches = 1,
		.rows = gpu_count(x) / n_in,
		.x = x->data,
		.ldx = n_in,
		.y = y->data,
		.ldy = w->ne[0],
		.bias = bias ? bias->data : NULL,
		.bias_n = w->ne[0]};
	run_product(g, &p, 0, 1);
}

/* Batch stride and frames of a [T, C] or [B, T, C] tensor. */
static int64_t batch_stride(const struct gpu_tensor *t)
{
	return t->n_dims == 3 ? t->nb[0] : 0;
}

void cpu_conv1d(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct gpu_tensor *w, const struct gpu_tensor *bias, struct gpu_conv conv)
{
	const int64_t channels = x->ne[x->n_dims - 1], stride = conv.stride ? conv.stride : 1;
	struct product p = {.cpu = g->device,
		.w = w,
		.n = w->ne[0],
		.k = w->ne[1],
		.batches = x->n_dims == 3 ? x->ne[0] : 1,
		.rows = y->ne[y->n_dims - 2],
		.x = x->data,
		.x_batch = batch_stride(x),
		.ldx = stride * channels,
		.y = y->data,
		.y_batch = batch_stride(y),
		.ldy = w->ne[0],
		.bias = bias ? bias->data : NULL,
		.bias_n = w->ne[0]};
	run_product(g, &p, channels, conv.dilation ? conv.dilation : 1);
}

void cpu_conv_transpose1d(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct gpu_tensor *w, const struct gpu_tensor *bias, struct gpu_conv conv)
{
	const int64_t channels = x->ne[x->n_dims - 1], stride = conv.stride ? conv.stride : 1;
	const int64_t taps = ceil_div(conv.kernel, stride);
	struct product p = {.cpu = g->device,
		.w = w,
		.n = w->ne[0],
		.k = w->ne[1],
		.batches = x->n_dims == 3 ? x->ne[0] : 1,
		.rows = x->ne[x->n_dims - 2] - taps + 1,
		.x = x->data,
		.x_batch = batch_stride(x),
		.ldx = channels,
		.y = y->data,
		.y_batch = batch_stride(y),
		.ldy = w->ne[0],
		.bias = bias ? bias->data : NULL,
		.bias_n = w->ne[0] / stride};
	run_product(g, &p, channels, 1);
}
