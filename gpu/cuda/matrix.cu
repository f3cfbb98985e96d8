/* Packed matrices, and the products with them.
 *
 * Layout.  Plain rows [n_out, n_in], each filled up with zeros to 16 bytes (matrix.h), so
 * that cuBLAS takes them as they are and 16-byte loads need no tail.  int8: q = round(w /
 * scale), scale[o] = max|row o| / 127; tiles are plain bf16.  put.cu fills them.
 *
 * Up to 8 rows of x (steps of a language model): few_rows, bound by reading the weights.
 *	y[m,o] = sum_k x[m,k] w[o,k] (* scale[o]) + bias[o] (+ y[m,o])
 * with the norm of x before and a function behind it where an op has them (fused.cu).
 * x stays f32, sums are f32 (stream.cuh: their order, and why a row of x has the same bits
 * alone and among others).  A block of 256 threads computes 4 rows of w: at K = 2048 each
 * thread reads two fours of each.  Bytes moved: w once, everything else is in caches.
 * Expected, not measured, at 3.35 TB/s (H100):
 *	[2048, 2048] bf16 8.4 MB: 2.5 us; [8192, 2048] and [2048, 8192] 34 MB: 10 us; int8 half
 * N = 2048 has 512 blocks, 4 or (above 2 rows) 2 resident on each of 132 multiprocessors,
 * with 64 or 32 KB of weights on their way; the ramp of a launch, about 1 us, is what keeps
 * the small ones from that roof.  At the roof a multiprocessor gets 14.5 bytes of weights a
 * clock: for R rows of x in bf16, 7.3 R of its 128 f32 operations and 7.3 R bytes of x of
 * the 128 that the L1 cache gives.  int8 doubles both and converts: 8 rows are bound by that,
 * at about 0.6 of the roof of an H100 (a 24 GB card reads 3 bytes a clock and does not
 * notice).  x of [8, 8192] is 256 KB, more than an L1 cache has: it comes from the L2 cache
 * as fast as the weights from memory, about 0.8 of the roof.
 *
 * More rows, and tiles: cuBLAS, 2 M N K operations, before it a pass that puts the bias into
 * y (8 M N bytes more).  bf16: x is rounded to bf16 into scratch, sums f32; [2050, 1536] x
 * [6144, 1536]: 39 GFLOP, 50 us at 790 TFLOP/s, and 30 us for a bias.  int8: the steps as bf16
 * (exact) in scratch, scaled afterwards.  f32: f32, without TF32.  Before compute capability
 * 8.0 there is no bf16 product: w becomes f32 in scratch, x stays f32.  The bits of a row
 * depend on the number of rows, by which cuBLAS chooses what it does.
 *
 * cuBLAS refuses rows of x that overlap (ld < k), which convolutions have.  With
 * p = ceil(k / ldx), the rows 0, p, 2p, ... do not overlap, nor do 1, p + 1, ...: p products
 * as one batch, and one for the M mod p rows that remain.  No FLOPs are wasted; each batch
 * reads x again, from the L2 cache: x goes by in pieces that stay there, with y. */
#include "gpu/cuda/matrix.h"
#include "gpu/cuda/stream.cuh"
#include "gpu/cuda/unary.cuh"

enum {
	THREADS = 256,
	COLUMNS = 256,
	LINE = 8,               /* rows a block of the plain kernels goes over, a warp each */
	PIECE = 4 << 20,        /* elements of x that go by at a time, where rows overlap, */
	PIECE_PLAIN = 64 << 20, /* or do not: then it is a bound for scratch alone */
	SLAB = 16 << 20,        /* elements of w converted at a time */
	NORM_ROWS = 4,          /* of x that few_rows takes the norm of, */
	NORM_BYTES = 40 << 10,  /* in that much shared memory at most */
};

static int64_t round_up(int64_t n, int64_t to)
{
	return (n + to - 1) / to * to;
}

/* ---- layout ------------------------------------------------------------- */

size_t cuda_matrix_bytes(
	enum gpu_dtype dtype, int64_t n_out, int64_t n_in, size_t *ret_scale, size_t *ret_sums)
{
	*ret_scale = dtype == GPU_I8 ? (size_t)n_out * sizeof(float) : 0;
	*ret_sums = 0;
	return (size_t)(n_out * cuda_matrix_ld(dtype, n_in)) * gpu_dtype_size(dtype);
}

/* ---- up to 8 rows ------------------------------------------------------- */

struct few {
	const void *w;
	int64_t ldw, n, k;
	const float *scale, *bias; /* or NULL */
	const float *x;
	int64_t ldx;
	float *y;
	int64_t ldy;
	int64_t group;                /* outputs that see the same k columns of x */
	const float *norm_w, *norm_b; /* of the norm of x, or NULL */
	float eps;
	int rows;
	bool add, has_act;
	enum gpu_unary act;
};

/* The norm of x, in shared memory: each block computes it anew. */
template <int ROWS> static __device__ __forceinline__ void norm_few(const struct few &f, float *to)
{
	SHARED(float, sums, [2 * ROWS * NORM_WARPS]);
	float mean[ROWS], scale[ROWS];

	norm_moments<ROWS>(mean, scale, f.x, f.ldx, f.rows, f.k, f.eps, false, sums);
	for (int64_t i = threadIdx.x; i < f.k; i += blockDim.x)
#pragma unroll
		for (int m = 0; m < ROWS; m++)
			if (m < f.rows)
				to[m * f.k + i] = fmaf((f.x[m * f.ldx + i] - mean[m]) * scale[m],
					f.norm_w[i], f.norm_b[i]);
	__syncthreads();
}

template <typename T, int ROWS, bool ALIGNED, bool NORM>
static __global__ void __launch_bounds__(STREAM_THREADS, ROWS > 2 ? 2 : 4) few_rows(struct few f)
{
	constexpr int OUTS = STREAM_OUTS, N = OUTS * ROWS;
	SHARED(float, parts, [STREAM_WARPS * STREAM_SUMS]);
	const int64_t first = (int64_t)blockIdx.x * OUTS;
	const float *x = f.x + first / f.group * f.k;
	int64_t ldx = f.ldx;
	const T *w[OUTS];
	float sum[N];

	if (NORM) {
		DYNAMIC_SHARED(float, normed);
		norm_few<ROWS>(f, normed);
		x = normed;
		ldx = f.k;
	}
#pragma unroll
	for (int o = 0; o < OUTS; o++)
		w[o] = (const T *)f.w + (first + o < f.n ? first + o : f.n - 1) * f.ldw;
	stream_part<T, ROWS, OUTS, ALIGNED>(sum, w, x, ldx, f.rows, f.k);
	stream_lanes(sum, parts + threadIdx.x / WARP * N);
	__syncthreads();
	for (int i = (int)threadIdx.x; i < N; i += (int)blockDim.x) {
		const int64_t o = first + i / ROWS;
		const int m = i % ROWS;
		if (o >= f.n || m >= f.rows)
			continue;
		float *y = f.y + m * f.ldy + o, s = stream_total(parts, N, i);
		if (f.scale)
			s = __fmul_rn(s, f.scale[o]);
		if (f.bias)
			s = __fadd_rn(s, f.bias[o]);
		if (f.has_act)
			s = f.act == GPU_UNARY_GELU ? apply<GPU_UNARY_GELU>(s)
						    : apply<GPU_UNARY_RELU>(s);
		*y = f.add ? __fadd_rn(s, *y) : s;
	}
}

template <typename T, int ROWS> static void launch_few(struct gpu *g, const struct few *f)
{
	const unsigned blocks = blocks_for(f->n, STREAM_OUTS), threads = stream_threads(f->k);

	if (ROWS <= NORM_ROWS && f->norm_w)
		LAUNCH(g, (few_rows < T, ROWS <= NORM_ROWS ? ROWS : 1, true, true >), blocks,
			threads, (size_t)(f->rows * f->k) * sizeof(float), *f);
	else if (stream_is_aligned(f->x, f->ldx, f->k))
		LAUNCH(g, (few_rows<T, ROWS, true, false>), blocks, threads, 0, *f);
	else
		LAUNCH(g, (few_rows<T, ROWS, false, false>), blocks, threads, 0, *f);
}

template <typename T> static void launch_few_of(struct gpu *g, const struct few *f)
{
	if (f->rows == 1)
		launch_few<T, 1>(g, f);
	else if (f->rows == 2)
		launch_few<T, 2>(g, f);
	else if (f->rows <= 4)
		launch_few<T, 4>(g, f);
	else
		launch_few<T, 8>(g, f);
}

/* ---- weights as cuBLAS takes them --------------------------------------- */

enum gpu_dtype cuda_product_dtype(const struct gpu *g, const struct gpu_tensor *w, bool exact)
{
	return w->dtype == GPU_F32 || exact || cuda_of(g)->arch < 80 ? GPU_F32 : GPU_BF16;
}

static __device__ __forceinline__ float as_f32(uint16_t bits)
{
	return bf16_to_f32(bits);
}

static __device__ __forceinline__ float as_f32(int8_t step)
{
	return step;
}

template <typename T> struct alignas(sizeof(T) == 1 ? 8 : 16) eight {
	T at[8];
};

/* Eight elements a thread, in whole loads and stores. */
template <typename TO, typename FROM>
static __global__ void unpack(struct eight<TO> *y, const struct eight<FROM> *x, int64_t n)
{
	const int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x;

	if (i >= n)
		return;
	const struct eight<FROM> in = x[i];
	struct eight<TO> out;
#pragma unroll
	for (int j = 0; j < 8; j++)
		store(&out.at[j], as_f32(in.at[j]));
	y[i] = out;
}

template <typename TO, typename FROM>
static void launch_unpack(struct gpu *g, void *y, const void *x, int64_t n)
{
	LAUNCH(g, (unpack<TO, FROM>), blocks_for(n / 8, THREADS), THREADS, 0, (struct eight<TO> *)y,
		(const struct eight<FROM> *)x, n / 8);
}

enum gpu_dtype cuda_input_dtype(const struct gpu *g, const struct gpu_tensor *w)
{
	return w->dtype == GPU_TILES ? cuda_product_dtype(g, w, false) : GPU_F32;
}

/* Whether w is multiplied as it is. */
static bool is_ready(const struct gpu_tensor *w, enum gpu_dtype dtype)
{
	return dtype == GPU_F32 ? w->dtype == GPU_F32 : w->dtype != GPU_I8;
}

const void *cuda_weights(struct gpu *g, const struct gpu_tensor *w, int64_t first, int64_t n,
	enum gpu_dtype dtype, int i)
{
	const int64_t ld = cuda_matrix_ld(w->dtype, w->ne[1]);
	const char *at = (const char *)w->data + (size_t)(first * ld) * gpu_dtype_size(w->dtype);

	if (is_ready(w, dtype))
		return at;
	void *y = cuda_scratch(g, i, (size_t)(n * ld) * gpu_dtype_size(dtype));
	if (!y)
		return NULL;
	if (dtype == GPU_F32 && w->dtype == GPU_I8)
		launch_unpack<float, int8_t>(g, y, at, n * ld);
	else if (dtype == GPU_F32)
		launch_unpack<float, uint16_t>(g, y, at, n * ld);
	else
		launch_unpack<uint16_t, int8_t>(g, y, at, n * ld);
	return y;
}

/* ---- before and after products ------------------------------------------ */

struct around {
	float *y;
	int64_t batches, y_batch, rows, ldy, n;
	const float *bias; /* [bias_n], or NULL */
	int64_t bias_n, bias_first;
	const float *scale; /* of product: y = product * scale + bias */
	const float *product;
	int64_t product_batch, ldp;
	bool add;
};

/* y = (y) + (product * scale) + bias: a warp for each row and COLUMNS of it. */
static __global__ void around_product(struct around a)
{
	const int64_t i = (int64_t)blockIdx.x * LINE + threadIdx.y;
	const int64_t first = (int64_t)blockIdx.y * COLUMNS + threadIdx.x;

	if (i >= a.batches * a.rows)
		return;
	const int64_t batch = i / a.rows, row = i % a.rows;
	float *y = a.y + batch * a.y_batch + row * a.ldy;
	const float *p = a.product + batch * a.product_batch + row * a.ldp;
	int64_t b = a.bias ? (a.bias_first + first) % a.bias_n : 0;
	for (int64_t o = first; o < a.n && o < first + COLUMNS; o += WARP) {
		float s = a.bias ? a.bias[b] : 0;
		if (a.scale)
			s = scaled(p[o], a.scale[o], s);
		y[o] = a.add ? s + y[o] : s;
		for (b += WARP; a.bias && b >= a.bias_n;)
			b -= a.bias_n;
	}
}

static void launch_around(struct gpu *g, const struct around *a)
{
	const dim3 blocks(blocks_for(a->batches * a->rows, LINE), blocks_for(a->n, COLUMNS));

	LAUNCH(g, around_product, blocks, dim3(WARP, LINE), 0, *a);
}

void cuda_bias(struct gpu *g, float *y, int64_t batches, int64_t y_batch, int64_t rows, int64_t ldy,
	int64_t n, const float *bias, int64_t bias_n, bool add)
{
	struct around a = {};

	a.y = y;
	a.batches = batches;
	a.y_batch = y_batch;
	a.rows = rows;
	a.ldy = ldy;
	a.n = n;
	a.bias = bias;
	a.bias_n = bias_n;
	a.add = add;
	launch_around(g, &a);
}

/* ---- any number of rows ------------------------------------------------- */

/* p with rows of x that may overlap: as said at the top. */
static void product(struct gpu *g, const struct cuda_product *p)
{
	const int64_t apart = (p->k + p->ldx - 1) / p->ldx;
	const size_t size = gpu_dtype_size(p->dtype);
	struct cuda_product q = *p;

	if (apart == 1) {
		cuda_product(g, p);
		return;
	}
	q.ldx = apart * p->ldx;
	q.ldy = apart * p->ldy;
	if (p->batches >= apart) { /* batches of their own: one product for each of the p */
		for (int64_t i = 0; i < apart && i < p->m; i++) {
			q.m = (p->m - i + apart - 1) / apart;
			q.x = (const char *)p->x + (size_t)(i * p->ldx) * size;
			q.y = p->y + i * p->ldy;
			cuda_product(g, &q);
		}
		return;
	}
	q.x_batch = p->ldx;
	q.y_batch = p->ldy;
	for (int64_t b = 0; b < p->batches; b++) {
		const char *x = (const char *)p->x + (size_t)(b * p->x_batch) * size;
		float *y = p->y + b * p->y_batch;
		q.x = x;
		q.y = y;
		q.batches = apart;
		q.m = p->m / apart;
		if (q.m)
			cuda_product(g, &q);
		q.x = x + (size_t)(q.m * q.ldx) * size;
		q.y = y + q.m * q.ldy;
		q.batches = p->m - q.m * apart;
		q.m = 1;
		if (q.batches)
			cuda_product(g, &q);
	}
}

/* Some outputs of some rows. */
struct piece {
	const struct cuda_rows *r;
	enum gpu_dtype dtype; /* of the product */
	const void *w;
	int64_t first, n; /* outputs */
	int64_t batch, batches, row, rows;
};

/* What a row of x spans. */
static int64_t span(const struct cuda_rows *r)
{
	return r->groups > 1 ? r->groups * r->w->ne[1]
			     : (r->taps - 1) * r->tap + r->w->ne[1] / r->taps;
}

/* x of the piece as its product takes it. */
static const void *piece_x(struct gpu *g, const struct piece *p, int64_t *batch_stride)
{
	const struct cuda_rows *r = p->r;
	const int64_t at = p->batch * r->x_batch + p->row * r->ldx;
	const float *x = (const float *)r->x + at;
	const int64_t n = (p->rows - 1) * r->ldx + span(r), ld = round_up(n, 8);

	*batch_stride = r->x_batch;
	if (r->is_bf16)
		return (const uint16_t *)r->x + at;
	if (p->dtype == GPU_F32)
		return x;
	*batch_stride = ld;
	void *y = cuda_scratch(g, 2, (size_t)(p->batches * ld) * sizeof(uint16_t));
	if (y)
		cuda_bf16(g, y, ld, x, r->x_batch, p->batches, n);
	return y;
}

static void piece_products(
	struct gpu *g, const struct piece *p, float *y, int64_t y_batch, int64_t ldy, bool add)
{
	const struct cuda_rows *r = p->r;
	const int64_t k = r->w->ne[1] / r->taps, ldw = cuda_matrix_ld(r->w->dtype, r->w->ne[1]);
	const size_t size = gpu_dtype_size(p->dtype);
	struct cuda_product q = {};
	const char *x = (const char *)piece_x(g, p, &q.x_batch);

	if (!x)
		return;
	q.dtype = p->dtype;
	q.y = y;
	q.m = p->rows;
	q.n = p->n / r->groups;
	q.k = k;
	q.ldx = r->ldx;
	q.ldw = ldw;
	q.ldy = ldy;
	q.batches = p->batches;
	q.y_batch = y_batch;
	if (r->groups > 1) {
		q.batches = r->groups;
		q.x_batch = k;
		q.w_batch = q.n * ldw;
		q.y_batch = q.n;
	}
	for (int64_t tap = 0; tap < r->taps && !gpu_failed(g); tap++) {
		q.x = x + (size_t)(tap * r->tap) * size;
		q.w = (const char *)p->w + (size_t)(tap * k) * size;
		q.beta = add || tap ? 1 : 0;
		product(g, &q);
	}
}

static void run_piece(struct gpu *g, const struct piece *p)
{
	const struct cuda_rows *r = p->r;
	const bool i8 = r->w->dtype == GPU_I8;
	struct around a = {};

	a.y = r->y + p->batch * r->y_batch + p->row * r->ldy + p->first;
	a.batches = p->batches;
	a.y_batch = r->y_batch;
	a.rows = p->rows;
	a.ldy = r->ldy;
	a.n = p->n;
	a.bias = r->bias;
	a.bias_n = r->bias_n;
	a.bias_first = p->first;
	a.add = r->add;
	if (!i8 || r->alone) {
		if (r->bias)
			launch_around(g, &a);
		piece_products(g, p, a.y, r->y_batch, r->ldy, r->bias || r->add);
		return;
	}
	float *product = a.y;
	a.product_batch = r->y_batch;
	a.ldp = r->ldy;
	if (r->add) {
		a.ldp = p->n;
		a.product_batch = p->rows * p->n;
		product = (float *)cuda_scratch(
			g, 1, (size_t)(p->batches * a.product_batch) * sizeof(float));
		if (!product)
			return;
	}
	piece_products(g, p, product, a.product_batch, a.ldp, false);
	a.product = product;
	a.scale = r->w->scale + p->first;
	launch_around(g, &a);
}

/* Batches and rows that go by at a time. */
static void cut(const struct cuda_rows *r, int64_t *batches, int64_t *rows)
{
	const int64_t k = r->w->ne[1] / r->taps;
	const int64_t limit = k > r->ldx || r->taps > 1 ? PIECE : PIECE_PLAIN;
	const int64_t all = (r->rows - 1) * r->ldx + span(r);

	*batches = r->batches;
	*rows = r->rows;
	if (all >= limit) {
		*batches = 1;
		*rows = round_up(limit / r->ldx + 1, (k + r->ldx - 1) / r->ldx);
	} else if (all * r->batches > limit) {
		*batches = limit / all;
	}
}

void cuda_rows_product(struct gpu *g, const struct cuda_rows *rows)
{
	struct cuda_rows r = *rows;
	struct piece p = {};
	int64_t n_batches, n_rows;

	r.taps = r.taps ? r.taps : 1;
	r.groups = r.groups ? r.groups : 1;
	p.r = &r;
	p.dtype = cuda_product_dtype(g, r.w, r.exact);
	cut(&r, &n_batches, &n_rows);
	const int64_t n_out = r.w->ne[0], ldw = cuda_matrix_ld(r.w->dtype, r.w->ne[1]);
	const bool is_whole = is_ready(r.w, p.dtype) || r.groups > 1 || ldw > SLAB;
	const int64_t slab = is_whole ? n_out : SLAB / ldw;
	for (p.first = 0; p.first < n_out; p.first += p.n) {
		p.n = n_out - p.first < slab ? n_out - p.first : slab;
		p.w = cuda_weights(g, r.w, p.first, p.n, p.dtype, 0);
		for (p.batch = 0; p.w && p.batch < r.batches; p.batch += p.batches) {
			p.batches =
				r.batches - p.batch < n_batches ? r.batches - p.batch : n_batches;
			for (p.row = 0; p.row < r.rows && !gpu_failed(g); p.row += p.rows) {
				p.rows = r.rows - p.row < n_rows ? r.rows - p.row : n_rows;
				run_piece(g, &p);
			}
		}
		if (gpu_failed(g))
			return;
	}
}

/* ---- the ops ------------------------------------------------------------ */

static int64_t rows_of(const struct gpu_tensor *x)
{
	return gpu_count(x) / x->ne[x->n_dims - 1];
}

bool cuda_is_few(const struct gpu_tensor *x, const struct gpu_tensor *w)
{
	return rows_of(x) <= STREAM_ROWS && w->dtype != GPU_TILES;
}

bool cuda_can_norm(const struct gpu_tensor *x, const struct gpu_tensor *w)
{
	const int64_t k = w->ne[1], n = rows_of(x);

	return cuda_is_few(x, w) && n <= NORM_ROWS &&
	       n * k <= NORM_BYTES / (int64_t)sizeof(float) &&
	       stream_is_aligned((const float *)x->data, k, k);
}

static void linear_few(struct gpu *g, const struct cuda_linear *l)
{
	const struct gpu_tensor *w = l->w;
	const int64_t n = w->ne[0], n_in = l->x->ne[l->x->n_dims - 1];
	struct few f = {};

	f.w = w->data;
	f.ldw = cuda_matrix_ld(w->dtype, w->ne[1]);
	f.n = n;
	f.k = w->ne[1];
	f.scale = w->scale;
	f.bias = l->bias ? (const float *)l->bias->data : NULL;
	f.x = (const float *)l->x->data;
	f.ldx = n_in;
	f.y = (float *)l->y->data;
	f.ldy = n;
	f.group = n / (n_in / w->ne[1]);
	f.rows = (int)rows_of(l->x);
	f.add = l->add;
	f.has_act = l->has_act;
	f.act = l->act;
	if (l->norm) {
		f.norm_w = (const float *)l->norm->w->data;
		f.norm_b = (const float *)l->norm->b->data;
		f.eps = l->norm->eps;
	}
	if (w->dtype == GPU_F32)
		launch_few_of<float>(g, &f);
	else if (w->dtype == GPU_I8)
		launch_few_of<int8_t>(g, &f);
	else
		launch_few_of<uint16_t>(g, &f);
}

void cuda_linear_with(struct gpu *g, const struct cuda_linear *l)
{
	const int64_t n = l->w->ne[0], n_in = l->x->ne[l->x->n_dims - 1];
	struct cuda_rows r = {};

	if (cuda_is_few(l->x, l->w)) {
		linear_few(g, l);
		return;
	}
	r.w = l->w;
	r.bias = l->bias ? (const float *)l->bias->data : NULL;
	r.bias_n = n;
	r.batches = 1;
	r.rows = rows_of(l->x);
	r.x = l->x->data;
	r.is_bf16 = l->x->dtype == GPU_BF16;
	r.ldx = n_in;
	r.y = (float *)l->y->data;
	r.ldy = n;
	r.groups = n_in / l->w->ne[1];
	r.add = l->add;
	r.alone = l->is_alone;
	cuda_rows_product(g, &r);
}

static void linear(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct gpu_tensor *w, const struct gpu_tensor *bias, bool add)
{
	struct cuda_linear l = {};

	l.y = y;
	l.x = x;
	l.w = w;
	l.bias = bias;
	l.add = add;
	cuda_linear_with(g, &l);
}

void cuda_linear(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct gpu_tensor *w, const struct gpu_tensor *bias, int beta)
{
	linear(g, y, x, w, bias, beta != 0);
}

void cuda_linear_grouped(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct gpu_tensor *w, const struct gpu_tensor *bias)
{
	linear(g, y, x, w, bias, false);
}
