/* Norms.
 *
 * layer, rms   two passes (mean, then squares about it), sums in f32 as norm.cuh has them.
 *              Rows of up to 4096 elements that lie at 16 bytes stay in registers: up to
 *              1024 a warp a row and no barrier, longer ones 4 warps.  Others: a block a
 *              row, which is read three times, from the first-level cache after the first.
 *              4 bytes an element in, 4 or 2 out.  On an H200
 *              the version for all rows took 7.7 us for 1025 x 1536 (Stable Audio, 9.4 MB,
 *              mostly in L2) and 4 to 5 us for the rows of AudioLDM 2; now 3.9 and 1.9 to 2.3.
 * head norm    a warp a head; 8 bytes an element. */
#include "gpu/cuda/norm.cuh"

enum {
	THREADS = 256,
	HELD_THREADS = 128, /* of norm_held */
	HELD_MAX = 4096,    /* elements of a row in it */
	HELD_MANY = 512,    /* rows from which several share a block */
};

/* ---- layer and rms ------------------------------------------------------ */

struct norm {
	void *y;                /* f32 or bf16 */
	const float *x, *w, *b; /* b: or NULL */
	int64_t n_rows, k;
	float eps;
	bool rms;
};

static __device__ __forceinline__ float normed(const struct norm &o, float x, float w, float b)
{
	return o.b ? fmaf(x, w, b) : x * w;
}

/* Rows of any length, at any address: a block a row, which is read three times. */
template <typename TO> static __global__ void norm(struct norm o)
{
	SHARED(float, sums, [2 * NORM_WARPS]);
	const float *x = o.x + (int64_t)blockIdx.x * o.k;
	TO *y = (TO *)o.y + (int64_t)blockIdx.x * o.k;
	float mean, scale;

	norm_moments(&mean, &scale, x, o.k, o.eps, o.rms, sums);
	/* y may be x: all of the row was read before the last barrier in there. */
	for (int64_t i = threadIdx.x; i < o.k; i += blockDim.x) {
		const float v = (x[i] - mean) * scale;
		store(&y[i], normed(o, v, o.w[i], o.b ? o.b[i] : 0));
	}
}

/* The sum over a row, of which WARPS warps play PLAYS times as many, as block_sum() has it. */
template <int WARPS, int PLAYS>
static __device__ __forceinline__ float held_sum(float (&x)[PLAYS], float *shared)
{
	float sum = 0;

#pragma unroll
	for (int p = 0; p < PLAYS; p++)
		x[p] = warp_sum(x[p]);
	if (WARPS == 1) {
#pragma unroll
		for (int p = 0; p < PLAYS; p++)
			sum += x[p];
		return sum;
	}
	if (threadIdx.x % WARP == 0)
#pragma unroll
		for (int p = 0; p < PLAYS; p++)
			shared[p * WARPS + threadIdx.x / WARP] = x[p];
	__syncthreads();
#pragma unroll
	for (int w = 0; w < PLAYS * WARPS; w++)
		sum += shared[w];
	return sum;
}

/* Rows that registers hold: each thread of WARPS warps plays PLAYS threads of norm_threads(k),
 * which have up to FOURS fours each; four i * WARPS * 32 + t of the row is i of thread t.  Weights
 * come while x does; shifts, too, where registers are left.  WARPS = 1: a warp a row, several rows
 * a block, no barrier. */
template <typename TO, int WARPS, int PLAYS, int FOURS>
static __global__ void __launch_bounds__(HELD_THREADS, WARPS > 1 && FOURS <= 2 ? 8 : 3)
	norm_held(struct norm o)
{
	constexpr int N = PLAYS * FOURS, STEP = WARPS * WARP * 4;
	SHARED(float, sums, [2 * PLAYS * WARPS]);
	const unsigned team = threadIdx.x / (WARPS * WARP), teams = blockDim.x / (WARPS * WARP);
	const int64_t row = (int64_t)blockIdx.x * teams + team;
	const int first = (int)(threadIdx.x % (WARPS * WARP)) * 4, k = (int)o.k;
	float x[N][4], w[N][4], b[N][4], part[PLAYS], mean = 0;

	if (row >= o.n_rows) /* a whole warp */
		return;
	const float *const from = o.x + row * k;
	TO *const y = (TO *)o.y + row * k;
#pragma unroll
	for (int i = 0; i < N; i++) {
		const int at = first + i * STEP;
		if (at >= k)
			continue;
		norm_four(x[i], from, at, k, true);
		norm_four(w[i], o.w, at, k, true);
		if (o.b && WARPS == 1)
			norm_four(b[i], o.b, at, k, true);
	}
	if (!o.rms) {
#pragma unroll
		for (int p = 0; p < PLAYS; p++) {
			part[p] = 0;
#pragma unroll
			for (int i = p; i < N; i += PLAYS)
				if (first + i * STEP < k)
					part[p] = norm_sum(part[p], x[i]);
		}
		mean = held_sum<WARPS, PLAYS>(part, sums) / (float)k;
	}
#pragma unroll
	for (int p = 0; p < PLAYS; p++) {
		part[p] = 0;
#pragma unroll
		for (int i = p; i < N; i += PLAYS)
			part[p] = norm_squares(part[p], x[i], mean, k - first - i * STEP);
	}
	const float scale =
		norm_scale(held_sum<WARPS, PLAYS>(part, sums + PLAYS * WARPS), k, o.eps);
#pragma unroll
	for (int i = 0; i < N; i++)
		if (o.b && WARPS > 1 && first + i * STEP < k)
			norm_four(b[i], o.b, first + i * STEP, k, true);
#pragma unroll
	for (int i = 0; i < N; i++) {
		if (first + i * STEP >= k)
			continue;
#pragma unroll
		for (int j = 0; j < 4; j++)
			x[i][j] = normed(o, (x[i][j] - mean) * scale, w[i][j], b[i][j]);
		store_four(y + first + i * STEP, x[i]);
	}
}

/* Whether norm_held takes them. */
static bool can_hold(const struct norm *o, size_t size)
{
	const uintptr_t bits = (uintptr_t)o->x | (uintptr_t)o->w | (uintptr_t)o->b;

	return o->k % 4 == 0 && o->k <= HELD_MAX && bits % 16 == 0 &&
	       (uintptr_t)o->y % (4 * size) == 0;
}

template <typename TO> static void launch_held(struct gpu *g, const struct norm *o)
{
	const unsigned rows = o->n_rows >= HELD_MANY ? HELD_THREADS / WARP : 1;
	const unsigned blocks = blocks_for(o->n_rows, rows);

	if (o->k > 2048)
		LAUNCH(g, (norm_held<TO, 4, 2, 4>), (unsigned)o->n_rows, HELD_THREADS, 0, *o);
	else if (o->k > 1024)
		LAUNCH(g, (norm_held<TO, 4, 2, 2>), (unsigned)o->n_rows, HELD_THREADS, 0, *o);
	else if (o->k > 640)
		LAUNCH(g, (norm_held<TO, 1, 8, 1>), blocks, rows * WARP, 0, *o);
	else if (o->k > 384)
		LAUNCH(g, (norm_held<TO, 1, 5, 1>), blocks, rows * WARP, 0, *o);
	else if (o->k > 256)
		LAUNCH(g, (norm_held<TO, 1, 3, 1>), blocks, rows * WARP, 0, *o);
	else if (o->k > 128)
		LAUNCH(g, (norm_held<TO, 1, 2, 1>), blocks, rows * WARP, 0, *o);
	else
		LAUNCH(g, (norm_held<TO, 1, 1, 1>), blocks, rows * WARP, 0, *o);
}

template <typename TO> static void launch_norm_to(struct gpu *g, const struct norm *o)
{
	if (can_hold(o, sizeof(TO)))
		launch_held<TO>(g, o);
	else
		LAUNCH(g, (norm<TO>), (unsigned)o->n_rows, norm_threads(o->k), 0, *o);
}

static void launch_norm(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct gpu_norm *how, bool rms)
{
	const int64_t k = x->ne[x->n_dims - 1];
	struct norm o = {};

	o.y = y->data;
	o.x = (const float *)x->data;
	o.w = (const float *)how->w->data;
	o.b = rms ? NULL : (const float *)how->b->data;
	o.n_rows = gpu_count(x) / k;
	o.k = k;
	o.eps = how->eps;
	o.rms = rms;
	if (y->dtype == GPU_BF16)
		launch_norm_to<uint16_t>(g, &o);
	else
		launch_norm_to<float>(g, &o);
}

void cuda_norm(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct gpu_tensor *w, const struct gpu_tensor *b, float eps, bool rms)
{
	const struct gpu_norm how = {w, b, eps};

	launch_norm(g, y, x, &how, rms);
}

void cuda_norm_rows(
	struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x, const struct gpu_norm *how)
{
	launch_norm(g, y, x, how, false);
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
