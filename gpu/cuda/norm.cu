/* Norms.  Statistics are taken in two passes (mean, then squares about it); a row or
 * piece lies in the first-level cache after the first.
 *
 * layer, rms   a block a row; sums in f32, a warp tree, then the warps in order.
 *              Read once from memory and written once: 8 bytes an element.
 * head norm    a warp a head; 8 bytes an element.
 * group norm   sums in f64: partial sums over pieces of PIECE rows, a thread a channel;
 *              then a block a group folds them in a fixed order into scale and shift of
 *              its channels; then y = x * scale + shift (and silu).  x is read twice,
 *              y written once: 12 bytes an element.  An H100 does 67 TFLOP/s in f64, a
 *              consumer card 1/64 of its f32: two additions an element are still free. */
#include "gpu/cuda/norm.cuh"

enum { THREADS = 256, PIECE = 64 };

/* ---- layer and rms ------------------------------------------------------ */

struct norm {
	void *y; /* f32 or bf16 */
	float *x;
	const float *w, *b, *more; /* b, more: or NULL */
	int64_t k;
	float eps;
	bool rms;
};

template <typename TO> static __global__ void norm(struct norm o)
{
	SHARED(float, sums, [2 * NORM_WARPS]);
	float *x = o.x + (int64_t)blockIdx.x * o.k;
	TO *y = (TO *)o.y + (int64_t)blockIdx.x * o.k;
	float mean[1], scale[1];

	norm_moments<1>(mean, scale, x, o.k, 1, o.k, o.eps, o.rms, sums);
	/* y may be x: what is written here is read by this thread alone from now on. */
	for (int64_t i = threadIdx.x; i < o.k; i += blockDim.x) {
		const float f = x[i], v = (f - mean[0]) * scale[0];
		store(&y[i], o.b ? fmaf(v, o.w[i], o.b[i]) : v * o.w[i]);
		if (o.more)
			x[i] = f + o.more[i];
	}
}

static void launch_norm(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct gpu_norm *how, const struct gpu_tensor *more, bool rms)
{
	const int64_t k = x->ne[x->n_dims - 1], n_rows = gpu_count(x) / k;
	struct norm o = {};

	o.y = y->data;
	o.x = (float *)x->data;
	o.w = (const float *)how->w->data;
	o.b = rms ? NULL : (const float *)how->b->data;
	o.more = more ? (const float *)more->data : NULL;
	o.k = k;
	o.eps = how->eps;
	o.rms = rms;
	if (y->dtype == GPU_BF16)
		LAUNCH(g, (norm<uint16_t>), (unsigned)n_rows, norm_threads(k), 0, o);
	else
		LAUNCH(g, (norm<float>), (unsigned)n_rows, norm_threads(k), 0, o);
}

void cuda_norm(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct gpu_tensor *w, const struct gpu_tensor *b, float eps, bool rms)
{
	const struct gpu_norm how = {w, b, eps};

	launch_norm(g, y, x, &how, NULL, rms);
}

void cuda_norm_rows(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct gpu_norm *how, const struct gpu_tensor *more)
{
	launch_norm(g, y, x, how, more, false);
}

/* ---- heads -------------------------------------------------------------- */

static __global__ void head_norm(float *x, const float *w, const float *b, int64_t n_rows,
	int64_t width, int64_t first, int64_t n_heads, int64_t dim, float eps)
{
	const int64_t i = (int64_t)blockIdx.x * (THREADS / WARP) + threadIdx.x / WARP;
	const int lane = threadIdx.x % WARP;

	if (i >= n_rows * n_heads) /* a whole warp */
		return;
	float *p = x + i / n_heads * width + (first + i % n_heads) * dim;
	float sum = 0;
	for (int64_t c = lane; c < dim; c += WARP)
		sum += p[c];
	const float mean = warp_sum(sum) / (float)dim;
	sum = 0;
	for (int64_t c = lane; c < dim; c += WARP)
		sum = fmaf(p[c] - mean, p[c] - mean, sum);
	const float scale = 1 / sqrtf(warp_sum(sum) / (float)dim + eps);
	for (int64_t c = lane; c < dim; c += WARP)
		p[c] = fmaf((p[c] - mean) * scale, w[c], b[c]);
}

void cuda_head_norm(struct gpu *g, struct gpu_tensor *x, const struct gpu_tensor *w,
	const struct gpu_tensor *b, int64_t first, int64_t n_heads, float eps)
{
	LAUNCH(g, head_norm, blocks_for(x->ne[0] * n_heads, THREADS / WARP), THREADS, 0,
		(float *)x->data, (const float *)w->data, (const float *)b->data, x->ne[0],
		x->ne[1], first, n_heads, w->ne[0], eps);
}

/* ---- groups ------------------------------------------------------------- */

struct group_norm {
	float *y;
	const float *x, *w, *b;
	int64_t n_batch, n_rows, width, n_pieces, n_groups;
	double *partial; /* [B, pieces, sums and squares, width] */
	float *affine;   /* [B, scale and shift, width] */
	float eps;
	bool silu;
};

/* A thread a channel of a piece; neighbours read neighbours. */
static __global__ void moments(struct group_norm o, int64_t column_blocks)
{
	const int64_t piece = blockIdx.x / column_blocks; /* of all batch rows */
	const int64_t c = blockIdx.x % column_blocks * blockDim.x + threadIdx.x;

	if (c >= o.width)
		return;
	const int64_t batch = piece / o.n_pieces, first = piece % o.n_pieces * PIECE;
	const int64_t end = first + PIECE < o.n_rows ? first + PIECE : o.n_rows;
	const float *x = o.x + batch * o.n_rows * o.width + c;
	double sum = 0, squares = 0;
	UNROLL(8)
	for (int64_t r = first; r < end; r++) {
		const double v = x[r * o.width];
		sum += v;
		squares = fma(v, v, squares);
	}
	o.partial[piece * 2 * o.width + c] = sum;
	o.partial[piece * 2 * o.width + o.width + c] = squares;
}

static __device__ double block_sum_f64(double x, double *shared)
{
	for (int step = blockDim.x / 2; step > 0; step /= 2) {
		shared[threadIdx.x] = x;
		__syncthreads();
		if ((int)threadIdx.x < step)
			x += shared[threadIdx.x + step];
		__syncthreads();
	}
	if (threadIdx.x == 0)
		shared[0] = x;
	__syncthreads();
	x = shared[0];
	__syncthreads();
	return x;
}

/* A block a group of a batch row. */
static __global__ void fold(struct group_norm o)
{
	SHARED(double, shared, [THREADS]);
	const int64_t batch = blockIdx.x / o.n_groups, group = blockIdx.x % o.n_groups;
	const int64_t n = o.width / o.n_groups, first = group * n;
	const double *p = o.partial + batch * o.n_pieces * 2 * o.width + first;
	double sum = 0, squares = 0;

	for (int64_t i = threadIdx.x; i < o.n_pieces * n; i += THREADS) {
		const int64_t at = i / n * 2 * o.width + i % n;
		sum += p[at];
		squares += p[at + o.width];
	}
	const double count = (double)(n * o.n_rows);
	const double mean = block_sum_f64(sum, shared) / count;
	const double variance = block_sum_f64(squares, shared) / count - mean * mean;
	const double inverse = 1 / sqrt((variance > 0 ? variance : 0) + (double)o.eps);
	float *scale = o.affine + batch * 2 * o.width, *shift = scale + o.width;
	for (int64_t c = first + threadIdx.x; c < first + n; c += THREADS) {
		scale[c] = (float)(inverse * (double)o.w[c]);
		shift[c] = (float)((double)o.b[c] - mean * inverse * (double)o.w[c]);
	}
}

template <typename V>
static __device__ __forceinline__ V affine_of(V x, V scale, V shift, bool silu);

template <> __device__ __forceinline__ float affine_of(float x, float scale, float shift, bool silu)
{
	const float v = fmaf(x, scale, shift);

	return silu ? v / (1 + expf(-v)) : v;
}

template <>
__device__ __forceinline__ float4 affine_of(float4 x, float4 scale, float4 shift, bool silu)
{
	return make_float4(affine_of(x.x, scale.x, shift.x, silu),
		affine_of(x.y, scale.y, shift.y, silu), affine_of(x.z, scale.z, shift.z, silu),
		affine_of(x.w, scale.w, shift.w, silu));
}

/* V: float, or float4 where the width is a multiple of 4. */
template <typename V> static __global__ void affine(struct group_norm o)
{
	const int64_t width = o.width * (int64_t)sizeof(float) / (int64_t)sizeof(V);
	const int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;

	if (i >= o.n_batch * o.n_rows * width)
		return;
	const V *scale = (const V *)o.affine + i / (o.n_rows * width) * 2 * width + i % width;
	((V *)o.y)[i] = affine_of(((const V *)o.x)[i], scale[0], scale[width], o.silu);
}

void cuda_group_norm(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct gpu_group_norm *how)
{
	struct group_norm o = {};

	o.y = (float *)y->data;
	o.x = (const float *)x->data;
	o.w = (const float *)how->w->data;
	o.b = (const float *)how->b->data;
	o.n_batch = x->ne[0];
	o.width = x->ne[x->n_dims - 1];
	o.n_rows = gpu_count(x) / o.n_batch / o.width;
	o.n_pieces = (o.n_rows + PIECE - 1) / PIECE;
	o.n_groups = how->n_groups;
	o.eps = how->eps;
	o.silu = how->silu;
	const int64_t n_partial = o.n_batch * o.n_pieces * 2 * o.width;
	o.partial = (double *)cuda_scratch(g, 0,
		(size_t)n_partial * sizeof(double) +
			(size_t)(o.n_batch * 2 * o.width) * sizeof(float));
	if (!o.partial)
		return;
	o.affine = (float *)(o.partial + n_partial);
	const unsigned threads = o.width >= 128 ? 128 : 32;
	const int64_t column_blocks = (o.width + threads - 1) / threads;
	const int64_t n = gpu_count(x);
	LAUNCH(g, moments, (unsigned)(o.n_batch * o.n_pieces * column_blocks), threads, 0, o,
		column_blocks);
	LAUNCH(g, fold, (unsigned)(o.n_batch * o.n_groups), THREADS, 0, o);
	if (o.width % 4 == 0 && ((uintptr_t)o.x | (uintptr_t)o.y) % 16 == 0)
		LAUNCH(g, affine<float4>, blocks_for(n / 4, THREADS), THREADS, 0, o);
	else
		LAUNCH(g, affine<float>, blocks_for(n, THREADS), THREADS, 0, o);
}
