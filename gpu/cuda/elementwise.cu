/* Elementwise ops, copies and rotary positions.
 *
 * All are bound by memory: every operand is read once and the result written once,
 * 4 bytes an element each (12 for add and combine of two terms), at 3.3 TB/s on an
 * H100.  A tensor, or a view of one along time, is rows of contiguous elements: one row
 * where all operands are contiguous, else one per index of dimension 0.  A thread does
 * four neighbours at once where addresses and sizes allow it (V = 4), else one; the
 * arithmetic of an element is the same either way. */
#include "gpu/cuda/unary.cuh"

enum { THREADS = 256 };

/* ---- shapes ------------------------------------------------------------- */

struct operand {
	float *at;
	int64_t row; /* elements between rows */
};

struct rows {
	int64_t n_rows, n_cols;
};

static struct rows rows_of(const struct gpu_tensor *t, bool contiguous)
{
	const int64_t n = gpu_count(t);
	struct rows rows = {1, n};

	if (!contiguous) {
		rows.n_rows = t->ne[0];
		rows.n_cols = n / t->ne[0];
	}
	return rows;
}

static struct operand operand_of(const struct gpu_tensor *t)
{
	struct operand o = {(float *)t->data, t->nb[0]};
	return o;
}

/* Four elements at once: rows begin on 16 bytes. */
static bool is_wide(struct rows rows, const struct operand *o, int n)
{
	bool wide = rows.n_cols % 4 == 0;

	for (int i = 0; i < n; i++)
		wide = wide && (uintptr_t)o[i].at % 16 == 0 &&
		       (rows.n_rows == 1 || o[i].row % 4 == 0);
	return wide;
}

/* The element (or first of four) of this thread: its row and column; false beyond. */
template <int V>
static __device__ __forceinline__ bool place(struct rows rows, int64_t *row, int64_t *col)
{
	const int64_t i = ((int64_t)blockIdx.x * blockDim.x + threadIdx.x) * V;
	const int64_t n = rows.n_rows * rows.n_cols;

	if (i >= n)
		return false;
	*row = rows.n_rows == 1  ? 0
	       : n <= UINT32_MAX ? (uint32_t)i / (uint32_t)rows.n_cols /* that of 64 bits is slow */
				 : i / rows.n_cols;
	*col = i - *row * rows.n_cols;
	return true;
}

template <int V> struct lanes {
	float x[V];
};

template <int V>
static __device__ __forceinline__ struct lanes<V> load(struct operand o, int64_t row, int64_t col) {
	const float *p = o.at + row * o.row + col;
	struct lanes<V> v;

	if (V == 4) {
		const float4 f = *(const float4 *)p;
		v.x[0] = f.x, v.x[V - 3] = f.y, v.x[V - 2] = f.z, v.x[V - 1] = f.w;
	} else {
		v.x[0] = *p;
	}
	return v;
}

template <int V>
static __device__ __forceinline__ void store(
	struct operand o, int64_t row, int64_t col, struct lanes<V> v)
{
	float *p = o.at + row * o.row + col;

	if (V == 4)
		*(float4 *)p = make_float4(v.x[0], v.x[V - 3], v.x[V - 2], v.x[V - 1]);
	else
		*p = v.x[0];
}

/* Runs kernel<4, ..> or kernel<1, ..>. */
#define LAUNCH_ROWS(g, rows, operands, n_operands, KERNEL, ...)                                    \
	do {                                                                                       \
		const int64_t all_ = (rows).n_rows * (rows).n_cols;                                \
		if (is_wide(rows, operands, n_operands))                                           \
			LAUNCH(g, (KERNEL(4)), blocks_for(all_, 4 * THREADS), THREADS, 0, rows,    \
				__VA_ARGS__);                                                      \
		else                                                                               \
			LAUNCH(g, (KERNEL(1)), blocks_for(all_, THREADS), THREADS, 0, rows,        \
				__VA_ARGS__);                                                      \
	} while (0)

/* ---- functions ---------------------------------------------------------- */

template <int V, enum gpu_unary OP>
static __global__ void unary(struct rows rows, struct operand y, struct operand x)
{
	int64_t row, col;

	if (!place<V>(rows, &row, &col))
		return;
	struct lanes<V> v = load<V>(x, row, col);
	for (int i = 0; i < V; i++)
		v.x[i] = apply<OP>(v.x[i]);
	store<V>(y, row, col, v);
}

template <enum gpu_unary OP>
static void launch_unary(struct gpu *g, struct rows rows, const struct operand *o)
{
#define UNARY(v) unary<v, OP>
	LAUNCH_ROWS(g, rows, o, 2, UNARY, o[0], o[1]);
#undef UNARY
}

void cuda_unary(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x, enum gpu_unary op)
{
	const struct rows rows = rows_of(y, gpu_is_contiguous(y) && gpu_is_contiguous(x));
	const struct operand o[2] = {operand_of(y), operand_of(x)};

	switch (op) {
	case GPU_UNARY_RELU:
		launch_unary<GPU_UNARY_RELU>(g, rows, o);
		break;
	case GPU_UNARY_GELU:
		launch_unary<GPU_UNARY_GELU>(g, rows, o);
		break;
	case GPU_UNARY_ELU:
		launch_unary<GPU_UNARY_ELU>(g, rows, o);
		break;
	case GPU_UNARY_SIGMOID:
		launch_unary<GPU_UNARY_SIGMOID>(g, rows, o);
		break;
	case GPU_UNARY_TANH:
		launch_unary<GPU_UNARY_TANH>(g, rows, o);
		break;
	case GPU_UNARY_SILU:
		launch_unary<GPU_UNARY_SILU>(g, rows, o);
		break;
	case GPU_UNARY_GELU_TANH:
		launch_unary<GPU_UNARY_GELU_TANH>(g, rows, o);
		break;
	case GPU_N_UNARY:
		break;
	}
}

template <int V>
static __global__ void leaky_relu(struct rows rows, struct operand y, struct operand x, float slope)
{
	int64_t row, col;

	if (!place<V>(rows, &row, &col))
		return;
	struct lanes<V> v = load<V>(x, row, col);
	for (int i = 0; i < V; i++)
		v.x[i] = v.x[i] < 0 ? v.x[i] * slope : v.x[i];
	store<V>(y, row, col, v);
}

void cuda_leaky_relu(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x, float slope)
{
	const struct rows rows = rows_of(y, gpu_is_contiguous(y) && gpu_is_contiguous(x));
	const struct operand o[2] = {operand_of(y), operand_of(x)};

#define LEAKY(v) leaky_relu<v>
	LAUNCH_ROWS(g, rows, o, 2, LEAKY, o[0], o[1], slope);
#undef LEAKY
}

template <int V>
static __global__ void add(
	struct rows rows, struct operand y, struct operand a, struct operand b, int64_t b_rows)
{
	int64_t row, col;

	if (!place<V>(rows, &row, &col))
		return;
	struct lanes<V> v = load<V>(a, row, col);
	const struct lanes<V> w = load<V>(b, row % b_rows, col);
	for (int i = 0; i < V; i++)
		v.x[i] += w.x[i];
	store<V>(y, row, col, v);
}

void cuda_add(
	struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *a, const struct gpu_tensor *b)
{
	const bool contiguous =
		gpu_is_contiguous(y) && gpu_is_contiguous(a) && gpu_is_contiguous(b);
	const struct rows rows = rows_of(y, contiguous && a->ne[0] == b->ne[0]);
	const struct operand o[3] = {operand_of(y), operand_of(a), operand_of(b)};

#define ADD(v) add<v>
	LAUNCH_ROWS(g, rows, o, 3, ADD, o[0], o[1], o[2], b->ne[0]);
#undef ADD
}

template <int V> static __global__ void fill(struct rows rows, struct operand y, float value)
{
	int64_t row, col;
	struct lanes<V> v;

	if (!place<V>(rows, &row, &col))
		return;
	for (int i = 0; i < V; i++)
		v.x[i] = value;
	store<V>(y, row, col, v);
}

void cuda_fill(struct gpu *g, struct gpu_tensor *y, float value)
{
	const struct rows rows = rows_of(y, gpu_is_contiguous(y));
	const struct operand o = operand_of(y);

#define FILL(v) fill<v>
	LAUNCH_ROWS(g, rows, &o, 1, FILL, o, value);
#undef FILL
}

/* ---- sums of several ---------------------------------------------------- */

struct terms {
	struct operand x[GPU_MAX_TERMS];
	float weight[GPU_MAX_TERMS];
	int n;
};

/* Rounded after each product and each sum, as on the processor. */
template <int V> static __global__ void combine(struct rows rows, struct operand y, struct terms t)
{
	int64_t row, col;
	struct lanes<V> sum = {
	};

	if (!place<V>(rows, &row, &col))
		return;
	for (int k = 0; k < t.n; k++) {
		const struct lanes<V> v = load<V>(t.x[k], row, col);
		for (int i = 0; i < V; i++) {
			const float part = __fmul_rn(v.x[i], t.weight[k]);
			sum.x[i] = k ? __fadd_rn(sum.x[i], part) : part;
		}
	}
	store<V>(y, row, col, sum);
}

void cuda_combine(struct gpu *g, struct gpu_tensor *y, const struct gpu_term *terms, int n_terms)
{
	const struct rows rows = {1, gpu_count(y)};
	struct operand o[1 + GPU_MAX_TERMS];
	struct terms t = {};

	o[0] = operand_of(y);
	t.n = n_terms;
	for (int k = 0; k < n_terms; k++) {
		o[1 + k] = t.x[k] = operand_of(terms[k].x);
		t.weight[k] = terms[k].weight;
	}
#define COMBINE(v) combine<v>
	LAUNCH_ROWS(g, rows, o, 1 + n_terms, COMBINE, o[0], t);
#undef COMBINE
}

/* ---- gates and snake ---------------------------------------------------- */

/* y [T, F], x [T, 2F] */
template <int V, enum gpu_unary OP>
static __global__ void gated(struct rows rows, struct operand y, struct operand x)
{
	int64_t row, col;

	if (!place<V>(rows, &row, &col))
		return;
	struct lanes<V> v = load<V>(x, row, col);
	const struct lanes<V> gate = load<V>(x, row, rows.n_cols + col);
	for (int i = 0; i < V; i++)
		v.x[i] *= apply<OP>(gate.x[i]);
	store<V>(y, row, col, v);
}

template <enum gpu_unary OP>
static void launch_gated(struct gpu *g, struct rows rows, const struct operand *o)
{
#define GATED(v) gated<v, OP>
	LAUNCH_ROWS(g, rows, o, 2, GATED, o[0], o[1]);
#undef GATED
}

void cuda_gated(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x, enum gpu_unary act)
{
	const struct rows rows = {y->ne[0], y->ne[1]};
	const struct operand o[2] = {operand_of(y), operand_of(x)};

	if (act == GPU_UNARY_SILU)
		launch_gated<GPU_UNARY_SILU>(g, rows, o);
	else if (act == GPU_UNARY_GELU)
		launch_gated<GPU_UNARY_GELU>(g, rows, o);
	else
		launch_gated<GPU_UNARY_GELU_TANH>(g, rows, o);
}

/* sin(x)^2: reduced to |r| <= pi / 2 in three parts, good to |x| = 8192, then the Taylor
 * polynomial of sin to r^13; the error is below 2e-7 (as gpu/cpu/vmath.h).  sinf() would
 * keep room on the stack for arguments that do not come. */
static __device__ __forceinline__ float sin2(float x)
{
	const float k = rintf(x * 0.31830988618379067f);
	float r = fmaf(k, -3.140625f, x);
	r = fmaf(k, -9.67502593994140625e-4f, r);
	r = fmaf(k, -1.509957990978376432e-7f, r);
	const float s = r * r;
	float p = fmaf(s, 1.6059043836821613e-10f, -2.5052108385441720e-8f);
	p = fmaf(p, s, 2.7557319223985893e-6f);
	p = fmaf(p, s, -1.9841269841269841e-4f);
	p = fmaf(p, s, 8.3333333333333333e-3f);
	p = fmaf(p, s, -1.6666666666666667e-1f);
	p = fmaf(p * s, r, r);
	return p * p;
}

/* y = x + sin(alpha x)^2 * inv_beta, a channel a column */
template <int V>
static __global__ void snake(struct rows rows, struct operand y, struct operand x,
	struct operand alpha, struct operand inv_beta)
{
	int64_t row, col;

	if (!place<V>(rows, &row, &col))
		return;
	struct lanes<V> v = load<V>(x, row, col);
	const struct lanes<V> a = load<V>(alpha, 0, col), b = load<V>(inv_beta, 0, col);
	for (int i = 0; i < V; i++)
		v.x[i] = v.x[i] + sin2(a.x[i] * v.x[i]) * b.x[i];
	store<V>(y, row, col, v);
}

void cuda_snake(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct gpu_tensor *alpha, const struct gpu_tensor *inv_beta)
{
	const int64_t n = alpha->ne[0];
	const struct rows rows = {gpu_count(x) / n, n};
	struct operand o[4] = {
		operand_of(y), operand_of(x), operand_of(alpha), operand_of(inv_beta)};

	o[0].row = o[1].row = n;
	o[2].row = o[3].row = 0;
#define SNAKE(v) snake<v>
	LAUNCH_ROWS(g, rows, o, 4, SNAKE, o[0], o[1], o[2], o[3]);
#undef SNAKE
}

/* ---- copies ------------------------------------------------------------- */

/* In elements of 2 or 4 bytes, V of them a thread: y[row, col] = x[from, col]. */
struct copy {
	char *y;
	const char *x;
	int64_t y_row, x_row; /* bytes between indices of dimension 0 */
	int64_t n_rows, n_cols;
	int64_t frames; /* rows of dimension 0's index that are turned round; 0: none */
	int64_t frame;  /* bytes of one */
};

/* A word of the copy a thread; rows and frames are whole words. */
template <typename WORD> static __global__ void copy_words(struct copy c)
{
	const int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
	const int64_t per_row = c.n_cols / (int64_t)sizeof(WORD);

	if (i >= c.n_rows * per_row)
		return;
	const int64_t row = c.n_rows == 1 ? 0 : i / per_row;
	const int64_t col = (i - row * per_row) * (int64_t)sizeof(WORD);
	int64_t from = col;
	if (c.frames) {
		const int64_t t = col / c.frame;
		from = (c.frames - 1 - t) * c.frame + (col - t * c.frame);
	}
	*(WORD *)(c.y + row * c.y_row + col) = *(const WORD *)(c.x + row * c.x_row + from);
}

static void launch_copy(struct gpu *g, struct copy c)
{
	const uintptr_t bits = (uintptr_t)c.y | (uintptr_t)c.x | (uintptr_t)c.n_cols |
			       (c.n_rows > 1 ? (uintptr_t)(c.y_row | c.x_row) : 0) |
			       (c.frames ? (uintptr_t)c.frame : 0);
	const int64_t n = c.n_rows * c.n_cols;

	if (bits % 16 == 0)
		LAUNCH(g, copy_words<uint4>, blocks_for(n / 16, THREADS), THREADS, 0, c);
	else if (bits % 4 == 0)
		LAUNCH(g, copy_words<uint32_t>, blocks_for(n / 4, THREADS), THREADS, 0, c);
	else
		LAUNCH(g, copy_words<uint16_t>, blocks_for(n / 2, THREADS), THREADS, 0, c);
}

/* Views of one tensor may overlap: then by way of scratch. */
void cuda_copy(struct gpu *g, struct gpu_tensor *dst, const struct gpu_tensor *src, bool flip)
{
	const int64_t size = (int64_t)gpu_dtype_size(dst->dtype);
	const bool whole = gpu_is_contiguous(dst) && gpu_is_contiguous(src);
	const struct rows rows = rows_of(dst, whole && (!flip || dst->n_dims == 2));
	const int64_t n = rows.n_cols * size;
	struct copy c = {};

	c.y = (char *)dst->data;
	c.x = (const char *)src->data;
	c.y_row = dst->nb[0] * size;
	c.x_row = src->nb[0] * size;
	c.n_rows = rows.n_rows;
	c.n_cols = n;
	if (flip) {
		c.frames = dst->ne[dst->n_dims - 2];
		c.frame = dst->ne[dst->n_dims - 1] * size;
	}
	const char *y_end = c.y + (rows.n_rows - 1) * c.y_row + n;
	const char *x_end = c.x + (rows.n_rows - 1) * c.x_row + n;
	if (c.y < x_end && c.x < y_end && c.y != c.x) {
		struct copy out = c, in = c;
		in.y = (char *)cuda_scratch(g, 0, (size_t)(rows.n_rows * n));
		if (!in.y)
			return;
		in.y_row = out.x_row = n;
		in.frames = 0;
		out.x = in.y;
		launch_copy(g, in);
		launch_copy(g, out);
	} else if (c.y != c.x) {
		launch_copy(g, c);
	}
}

/* y [.., A + B]: a thread an element; which of the two it is taken from is the same for
 * most of a warp. */
template <int V>
static __global__ void concat(
	struct rows rows, struct operand y, struct operand a, struct operand b, int64_t width)
{
	int64_t row, col;

	if (!place<V>(rows, &row, &col))
		return;
	store<V>(y, row, col, col < width ? load<V>(a, row, col) : load<V>(b, row, col - width));
}

void cuda_concat(
	struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *a, const struct gpu_tensor *b)
{
	const int64_t n = y->ne[y->n_dims - 1];
	const struct rows rows = {gpu_count(y) / n, n};
	struct operand o[3] = {operand_of(y), operand_of(a), operand_of(b)};

	o[0].row = n;
	o[1].row = a->ne[a->n_dims - 1];
	o[2].row = b->ne[b->n_dims - 1];
	const bool wide = is_wide(rows, o, 3) && (o[1].row | o[2].row) % 4 == 0;
#define CONCAT(v) concat<v>
	if (wide)
		LAUNCH(g, (CONCAT(4)), blocks_for(rows.n_rows * n, 4 * THREADS), THREADS, 0, rows,
			o[0], o[1], o[2], o[1].row);
	else
		LAUNCH(g, (CONCAT(1)), blocks_for(rows.n_rows * n, THREADS), THREADS, 0, rows, o[0],
			o[1], o[2], o[1].row);
#undef CONCAT
}

/* ---- rotary positions --------------------------------------------------- */

/* A thread turns V neighbouring pairs: x[i], x[i + R/2] by the angle of (row, i).  A pair a thread
 * and 64-bit divisions took 5.2 us on an H200 for 1025 rows of 48 heads with 16 pairs (Stable
 * Audio, 12.6 MB, in L2), this 3.6. */
template <int V>
static __global__ void rope(struct operand x, struct operand table, unsigned blocks,
	unsigned per_row, unsigned head_dim, unsigned half)
{
	const unsigned i = blockIdx.x % blocks * blockDim.x + threadIdx.x, per_head = half / V;
	const int64_t row = blockIdx.x / blocks;

	if (i >= per_row)
		return;
	const unsigned pair = i % per_head * V, first = i / per_head * head_dim + pair;
	const struct lanes<V> c = load<V>(table, row, pair), s = load<V>(table, row, half + pair),
			      u = load<V>(x, row, first), v = load<V>(x, row, first + half);
	struct lanes<V> p, q;
	for (int k = 0; k < V; k++) {
		p.x[k] = u.x[k] * c.x[k] - v.x[k] * s.x[k];
		q.x[k] = v.x[k] * c.x[k] + u.x[k] * s.x[k];
	}
	store<V>(x, row, first, p);
	store<V>(x, row, first + half, q);
}

/* As few blocks a row as there may be, and they as small. */
template <int V>
static void launch_rope(struct gpu *g, const struct operand *o, int64_t n_rows, int64_t n_heads,
	int64_t head_dim, int64_t half)
{
	const int64_t per_row = half / V * n_heads;
	const unsigned blocks = blocks_for(per_row, THREADS),
		       threads = blocks_for(per_row, blocks * WARP) * WARP;

	LAUNCH(g, rope<V>, (unsigned)n_rows * blocks, threads, 0, o[0], o[1], blocks,
		(unsigned)per_row, (unsigned)head_dim, (unsigned)half);
}

void cuda_rope(struct gpu *g, struct gpu_tensor *x, const struct gpu_tensor *table, int64_t n_heads,
	int64_t head_dim)
{
	const struct operand o[2] = {operand_of(x), operand_of(table)};
	const int64_t half = table->ne[1] / 2, n = x->ne[0];

	if (!half)
		return;
	if (half % 4 == 0 && head_dim % 4 == 0 && is_wide({n, 4}, o, 2))
		launch_rope<4>(g, o, n, n_heads, head_dim, half);
	else
		launch_rope<1>(g, o, n, n_heads, head_dim, half);
}
