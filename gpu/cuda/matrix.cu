/* Packed matrices, and the products with them.
 *
 * Layout.  Plain rows [n_out, n_in], each filled up with zeros to 16 bytes (matrix.h), so
 * that cuBLAS takes them as they are and 16-byte loads need no tail.  int8: q = round(w /
 * scale), scale[o] = max|row o| / 127; tiles are plain bf16.  put.cu fills them.
 *
 * Up to 8 rows of x (steps of a language model): few.cu.
 *
 * More rows, and tiles: cuBLAS, 2 M N K operations, which adds the bias on its way (product.c).
 * bf16: x is rounded to bf16 into scratch, sums f32; [2050, 1536] x [6144, 1536]: 39 GFLOP,
 * 50 us at 790 TFLOP/s; as many of [1025, 1536] x [12288, 1536] take 57 us on an H200.  int8:
 * the steps as bf16 (exact) in scratch, scaled afterwards, then with the bias (8 M N bytes
 * more).  f32: f32, without TF32.  Before compute capability 8.0 there is no bf16 product: w
 * becomes f32 in scratch, x stays f32.  The bits of a row depend on the number of rows, by
 * which cuBLAS chooses what it does.
 *
 * cuBLAS refuses rows of x that overlap (ld < k), which convolutions have.  With
 * p = ceil(k / ldx), the rows 0, p, 2p, ... do not overlap, nor do 1, p + 1, ...: p products
 * as one batch, and one for the M mod p rows that remain.  No FLOPs are wasted; each batch
 * reads x again, from the L2 cache: x goes by in pieces that stay there, with y. */
#include "gpu/cuda/matrix.h"

#include "gpu/cuda/few.h"
#include "gpu/cuda/kernel.cuh"

enum {
	THREADS = 256,
	COLUMNS = 256,
	LINE = 8,               /* rows a block of the plain kernels goes over, a warp each */
	PIECE = 4 << 20,        /* elements of x that go by at a time, where rows overlap, */
	PIECE_PLAIN = 64 << 20, /* or do not: then it is a bound for scratch alone */
	SLAB = 16 << 20,        /* elements of w converted at a time */
};
constexpr int64_t MAX_GRID = 65535; /* of y and z */

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
	unsigned bias_n, bias_first;
	bool repeats;       /* the bias: set by launch_around() */
	const float *scale; /* of product: y = product * scale + bias */
	const float *product;
	int64_t product_batch, ldp;
	bool add;
};

/* Where biases repeat: which one column o has. */
static __device__ __forceinline__ unsigned bias_of(const struct around &a, unsigned o)
{
	return a.repeats ? (a.bias_first + o) % a.bias_n : a.bias_first + o;
}

static __device__ __forceinline__ void around_one(
	const struct around &a, float *y, const float *p, unsigned o)
{
	float s = a.bias ? a.bias[bias_of(a, o)] : 0;

	if (a.scale)
		s = scaled(p[o], a.scale[o], s);
	y[o] = a.add ? s + y[o] : s;
}

static __device__ __forceinline__ float4 four(const float *x)
{
	return *reinterpret_cast<const float4 *>(x);
}

static __device__ __forceinline__ void around_four(
	const struct around &a, float *y, const float *p, unsigned o)
{
	float4 s = a.bias ? four(a.bias + bias_of(a, o)) : make_float4(0, 0, 0, 0);

	if (a.scale) {
		const float4 v = four(p + o), by = four(a.scale + o);
		s = make_float4(scaled(v.x, by.x, s.x), scaled(v.y, by.y, s.y),
			scaled(v.z, by.z, s.z), scaled(v.w, by.w, s.w));
	}
	if (a.add) {
		const float4 v = four(y + o);
		s = make_float4(s.x + v.x, s.y + v.y, s.z + v.z, s.w + v.w);
	}
	*reinterpret_cast<float4 *>(y + o) = s;
}

/* y = (y) + (product * scale) + bias: a warp for each row and COLUMNS of it, blocks on z for
 * the batches.  FOURS: everything comes in fours, at 16 bytes. */
template <bool FOURS> static __global__ void around_product(struct around a)
{
	const int64_t row = (int64_t)blockIdx.x * LINE + threadIdx.y;
	const unsigned step = FOURS ? 4 : 1, first = blockIdx.y * COLUMNS;
	const unsigned n = (unsigned)a.n, end = first + COLUMNS < n ? first + COLUMNS : n;

	if (row >= a.rows)
		return;
	for (int64_t batch = blockIdx.z; batch < a.batches; batch += gridDim.z) {
		float *y = a.y + batch * a.y_batch + row * a.ldy;
		const float *p = a.product + batch * a.product_batch + row * a.ldp;
		for (unsigned o = first + threadIdx.x * step; o < end; o += WARP * step)
			if (FOURS)
				around_four(a, y, p, o);
			else
				around_one(a, y, p, o);
	}
}

static bool in_fours(const struct around *a)
{
	const int64_t sizes = a->n | a->ldy | a->y_batch | a->ldp | a->product_batch |
			      a->bias_first | (a->repeats ? a->bias_n : 0);
	const uintptr_t at =
		(uintptr_t)a->y | (uintptr_t)a->bias | (uintptr_t)a->scale | (uintptr_t)a->product;

	return sizes % 4 == 0 && at % sizeof(float4) == 0;
}

static void launch_around(struct gpu *g, struct around *a)
{
	const dim3 blocks(blocks_for(a->rows, LINE), blocks_for(a->n, COLUMNS),
		(unsigned)(a->batches < MAX_GRID ? a->batches : MAX_GRID));

	a->repeats = a->bias && a->bias_first + a->n > a->bias_n;
	if (in_fours(a))
		LAUNCH(g, (around_product<true>), blocks, dim3(WARP, LINE), 0, *a);
	else
		LAUNCH(g, (around_product<false>), blocks, dim3(WARP, LINE), 0, *a);
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
	a.bias_n = (unsigned)bias_n;
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

static void piece_products(struct gpu *g, const struct piece *p, float *y, int64_t y_batch,
	int64_t ldy, const float *bias, bool add)
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
		q.bias = tap ? NULL : bias;
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
	a.bias_n = (unsigned)r->bias_n;
	a.bias_first = (unsigned)p->first;
	a.add = r->add;
	if (!i8 || r->alone) {
		/* A product adds the same to all its batches, which groups are. */
		const bool before = r->bias && r->groups > 1;
		if (before)
			launch_around(g, &a);
		piece_products(g, p, a.y, r->y_batch, r->ldy,
			r->bias && !before ? r->bias + p->first : NULL, before || r->add);
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
	piece_products(g, p, product, a.product_batch, a.ldp, NULL, false);
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

/* A bias that repeats, as often as products need it. */
static bool repeat_bias(struct gpu *g, struct cuda_rows *r)
{
	const int64_t n = r->w->ne[0];
	float *all;

	if (!r->bias || r->bias_n >= n || (r->w->dtype == GPU_I8 && !r->alone))
		return true;
	all = (float *)cuda_scratch(g, 1, (size_t)n * sizeof(float));
	if (!all)
		return false;
	cuda_bias(g, all, 1, 0, 1, n, n, r->bias, r->bias_n, false);
	r->bias = all;
	r->bias_n = n;
	return true;
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
	if (!repeat_bias(g, &r))
		return;
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
	return rows_of(x) <= CUDA_FEW_ROWS && w->dtype != GPU_TILES;
}

static struct cuda_few few_of(const struct gpu_tensor *x, const struct gpu_tensor *w)
{
	const int64_t n_in = x->ne[x->n_dims - 1];
	struct cuda_few f = {};

	f.dtype = w->dtype;
	f.w = w->data;
	f.ldw = cuda_matrix_ld(w->dtype, w->ne[1]);
	f.n = w->ne[0];
	f.k = w->ne[1];
	f.scale = w->scale;
	f.x = (const float *)x->data;
	f.ldx = n_in;
	f.ldy = f.n;
	f.group = f.n / (n_in / f.k);
	f.rows = (int)rows_of(x);
	return f;
}

bool cuda_can_norm(const struct gpu *g, const struct gpu_tensor *x, const struct gpu_tensor *w)
{
	if (!cuda_is_few(x, w))
		return false;
	const struct cuda_few f = few_of(x, w);
	return cuda_few_can_norm(g, &f);
}

static void linear_few(struct gpu *g, const struct cuda_linear *l)
{
	struct cuda_few f = few_of(l->x, l->w);

	f.bias = l->bias ? (const float *)l->bias->data : NULL;
	f.y = (float *)l->y->data;
	f.add = l->add;
	f.has_act = l->has_act;
	f.act = l->act;
	if (l->norm) {
		f.norm_w = (const float *)l->norm->w->data;
		f.norm_b = (const float *)l->norm->b->data;
		f.eps = l->norm->eps;
	}
	cuda_few_rows(g, &f);
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
