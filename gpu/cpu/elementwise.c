/* Elementwise ops, copies and lookups.
 *
 * A tensor, or a view of one along time, is rows of contiguous elements: one
 * row where all operands are contiguous, else one per index of dimension 0. */
#include "gpu/cpu/cpu.h"
#include "gpu/cpu/vec_kernels.h"

struct rows {
	int64_t n_rows, n_cols;
};

static struct rows rows_of(const struct gpu_tensor *t, bool contiguous)
{
	int64_t n = gpu_count(t);

	if (contiguous)
		return (struct rows){1, n};
	return (struct rows){t->ne[0], n / t->ne[0]};
}

/* y = f(x), or a + b: what a task needs. */
struct map {
	const struct vec_kernels *vec;
	enum gpu_unary op;
	float *y;
	const float *a, *b;
	int64_t y_row, a_row, b_row; /* strides */
	int64_t b_rows;              /* before they repeat */
	float value;
};

static void unary_task(void *ud, const struct cpu_tile *t)
{
	const struct map *m = ud;

	for (int64_t r = t->row; r < t->row + t->n_rows; r++)
		m->vec->unary[m->op](
			m->y + r * m->y_row + t->col, m->a + r * m->a_row + t->col, t->n_cols);
}

void cpu_unary(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x, enum gpu_unary op)
{
	struct rows rows = rows_of(y, gpu_is_contiguous(y) && gpu_is_contiguous(x));
	struct map m = {
		.vec = cpu_of(g)->vec,
		.op = op,
		.y = y->data,
		.a = x->data,
		.y_row = y->nb[0],
		.a_row = x->nb[0],
	};

	cpu_tiles(g, rows.n_rows, rows.n_cols, unary_task, &m);
}

static void leaky_relu_task(void *ud, const struct cpu_tile *t)
{
	const struct map *m = ud;

	for (int64_t r = t->row; r < t->row + t->n_rows; r++)
		m->vec->leaky_relu(m->y + r * m->y_row + t->col, m->a + r * m->a_row + t->col,
			m->value, t->n_cols);
}

void cpu_leaky_relu(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x, float slope)
{
	struct rows rows = rows_of(y, gpu_is_contiguous(y) && gpu_is_contiguous(x));
	struct map m = {
		.vec = cpu_of(g)->vec,
		.y = y->data,
		.a = x->data,
		.y_row = y->nb[0],
		.a_row = x->nb[0],
		.value = slope,
	};

	cpu_tiles(g, rows.n_rows, rows.n_cols, leaky_relu_task, &m);
}

static void add_task(void *ud, const struct cpu_tile *t)
{
	const struct map *m = ud;

	for (int64_t r = t->row; r < t->row + t->n_rows; r++)
		m->vec->add(m->y + r * m->y_row + t->col, m->a + r * m->a_row + t->col,
			m->b + r % m->b_rows * m->b_row + t->col, t->n_cols);
}

void cpu_add(
	struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *a, const struct gpu_tensor *b)
{
	bool contiguous = gpu_is_contiguous(y) && gpu_is_contiguous(a) && gpu_is_contiguous(b);
	struct rows rows = rows_of(y, contiguous && a->ne[0] == b->ne[0]);
	struct map m = {
		.vec = cpu_of(g)->vec,
		.y = y->data,
		.a = a->data,
		.b = b->data,
		.y_row = y->nb[0],
		.a_row = a->nb[0],
		.b_row = b->nb[0],
		.b_rows = b->ne[0],
	};

	cpu_tiles(g, rows.n_rows, rows.n_cols, add_task, &m);
}

static void fill_task(void *ud, const struct cpu_tile *t)
{
	const struct map *m = ud;

	for (int64_t r = t->row; r < t->row + t->n_rows; r++)
		for (int64_t i = t->col; i < t->col + t->n_cols; i++)
			m->y[r * m->y_row + i] = m->value;
}

void cpu_fill(struct gpu *g, struct gpu_tensor *y, float value)
{
	struct rows rows = rows_of(y, gpu_is_contiguous(y));
	struct map m = {.y = y->data, .y_row = y->nb[0], .value = value};

	cpu_tiles(g, rows.n_rows, rows.n_cols, fill_task, &m);
}

/* ---- copies ------------------------------------------------------------- */

/* In bytes; of dimension 0 of rank-3 tensors, `frames` rows follow each other. */
struct copy {
	char *dst;
	const char *src;
	int64_t dst_row, src_row;
	int64_t frames; /* 0: no flip */
	int64_t frame;
};

static void copy_task(void *ud, const struct cpu_tile *t)
{
	const struct copy *c = ud;

	for (int64_t r = t->row; r < t->row + t->n_rows; r++)
		memmove(c->dst + r * c->dst_row + t->col, c->src + r * c->src_row + t->col,
			(size_t)t->n_cols);
}

static void flip_task(void *ud, const struct cpu_tile *t)
{
	const struct copy *c = ud;

	for (int64_t r = t->row; r < t->row + t->n_rows; r++) {
		int64_t batch = r / c->frames, frame = r % c->frames;
		memcpy(c->dst + batch * c->dst_row + frame * c->frame,
			c->src + batch * c->src_row + (c->frames - 1 - frame) * c->frame,
			(size_t)c->frame);
	}
}

void cpu_copy(struct gpu *g, struct gpu_tensor *dst, const struct gpu_tensor *src, bool flip)
{
	int64_t size = (int64_t)gpu_dtype_size(dst->dtype);
	struct rows rows = rows_of(dst, gpu_is_contiguous(dst) && gpu_is_contiguous(src));
	struct copy c = {
		.dst = dst->data,
		.src = src->data,
		.dst_row = dst->nb[0] * size,
		.src_row = src->nb[0] * size,
	};

	if (!flip) {
		int64_t n = rows.n_cols * size;
		if (c.dst < c.src + n && c.src < c.dst + n) /* a shift: one row after the other */
			copy_task(&c, &(struct cpu_tile){.n_rows = rows.n_rows, .n_cols = n});
		else
			cpu_tiles(g, rows.n_rows, n, copy_task, &c);
		return;
	}
	c.frames = dst->ne[dst->n_dims - 2];
	c.frame = dst->ne[dst->n_dims - 1] * size;
	cpu_rows(g, gpu_count(dst) * size / c.frame, c.frame, flip_task, &c);
}

/* ---- lookups ------------------------------------------------------------ */

struct embed {
	const struct vec_kernels *vec;
	float *y;
	const struct gpu_tensor *table;
	const int32_t *ids;
	int64_t n_ids, rows_per_table, n;
};

static void embed_task(void *ud, const struct cpu_tile *t)
{
	const struct embed *o = ud;

	for (int64_t r = t->row; r < t->row + t->n_rows; r++) {
		float *y = o->y + r * o->n;
		memset(y, 0, (size_t)o->n * sizeof(*y));
		for (int64_t k = 0; k < o->n_ids; k++) {
			int64_t at = (k * o->rows_per_table + o->ids[r * o->n_ids + k]) * o->n;
			if (o->table->dtype == GPU_BF16)
				o->vec->add_bf16(y, (const uint16_t *)o->table->data + at, o->n);
			else
				o->vec->add(y, y, (const float *)o->table->data + at, o->n);
		}
	}
}

void cpu_embed_sum(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *table,
	const struct gpu_tensor *ids)
{
	struct embed o = {
		.vec = cpu_of(g)->vec,
		.y = y->data,
		.table = table,
		.ids = ids->data,
		.n_ids = ids->ne[1],
		.rows_per_table = table->ne[0] / ids->ne[1],
		.n = table->ne[1],
	};

	for (int64_t i = 0; i < gpu_count(ids); i++) {
		if (o.ids[i] >= 0 && o.ids[i] < o.rows_per_table)
			continue;
		gpu_fail(g, ERR_BUG, "embed_sum: id %d of '%s' is not below the %lld rows of '%s'",
			(int)o.ids[i], ids->name, (long long)o.rows_per_table, table->name);
		return;
	}
	cpu_rows(g, y->ne[0], o.n * o.n_ids, embed_task, &o);
}

/* ---- residual vector quantiser ------------------------------------------ */

struct rvq {
	const struct vec_kernels *vec;
	int32_t *codes;
	const float *z, *books;
	float *squares; /* [n_books * n_entries] */
	float *left;    /* [n_rows, n]: what is left of z; one row per row */
	int64_t n_books, n_entries, n;
};

static void squares_task(void *ud, const struct cpu_tile *t)
{
	const struct rvq *o = ud;

	for (int64_t i = t->row; i < t->row + t->n_rows; i++)
		o->squares[i] = o->vec->dot(o->books + i * o->n, o->books + i * o->n, o->n);
}

static void rvq_task(void *ud, const struct cpu_tile *t)
{
	const struct rvq *o = ud;

	for (int64_t r = t->row; r < t->row + t->n_rows; r++) {
		float *left = o->left + r * o->n;
		memcpy(left, o->z + r * o->n, (size_t)o->n * sizeof(*left));
		for (int64_t k = 0; k < o->n_books; k++) {
			const float *book = o->books + k * o->n_entries * o->n;
			int32_t best = o->vec->nearest(
				left, book, o->squares + k * o->n_entries, o->n_entries, o->n);
			for (int64_t i = 0; i < o->n; i++)
				left[i] -= book[best * o->n + i];
			o->codes[r * o->n_books + k] = best;
		}
	}
}

void cpu_rvq_encode(struct gpu *g, struct gpu_tensor *codes, const struct gpu_tensor *z,
	const struct gpu_tensor *codebooks)
{
	struct rvq o = {
		.vec = cpu_of(g)->vec,
		.codes = codes->data,
		.z = z->data,
		.books = codebooks->data,
		.n_books = codebooks->ne[0],
		.n_entries = codebooks->ne[1],
		.n = z->ne[1],
	};
	int64_t n_squares = o.n_books * o.n_entries;

	o.squares = cpu_scratch(g, (size_t)(n_squares + gpu_count(z)) * sizeof(*o.squares));
	if (!o.squares)
		return;
	o.left = o.squares + n_squares;
	cpu_rows(g, n_squares, o.n, squares_task, &o);
	cpu_rows(g, z->ne[0], n_squares * o.n, rvq_task, &o);
}

/* ---- guidance ----------------------------------------------------------- */

static void guidance_task(void *ud, const struct cpu_tile *t)
{
	const struct map *m = ud;

	m->vec->guidance(m->y + t->col, m->a + t->col, m->b + t->col, m->value, t->n_cols);
}

void cpu_guidance(
	struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *logits, float guidance)
{
	struct map m = {
		.vec = cpu_of(g)->vec,
		.y = y->data,
		.a = logits->data,
		.b = (const float *)logits->data + gpu_count(y),
		.value = guidance,
	};

	cpu_tiles(g, 1, gpu_count(y), guidance_task, &m);
}
