/* Noise, guidance, and sampling of one id per row, without asking the host.
 *
 * A row of logits is a block's, which with guidance first makes it of two.  Weights exp((logit -
 * greatest) / temperature) are taken to integers (a share of 2^62 that leaves room for the sum of a
 * row), so that their sums are exact and do not depend on the order: thresholds of top-k and top-p
 * and the inverse of the cumulative sum are then what gpu.h says, in every run.  Thresholds are
 * found byte by byte of a key that orders floats, as in gpu/cpu/sample.c.  Rows have 2048 entries:
 * all is latency: 12 us on an H200, 29 while counts of top-k had 64 bits (atomics in shared memory
 * have 32), then 32 with 256 threads a row. */
#include "gpu/cuda/kernel.cuh"
#include "gpu/philox.h"

enum {
	THREADS = 256,
	SAMPLE_THREADS = 512, /* of a row */
	BYTES = 256,          /* values of one */
};

typedef unsigned long long u64;

/* ---- noise -------------------------------------------------------------- */

/* The same counters and formula as gpu/cpu/diffusion.c, four draws a thread. */
static __global__ void normal(float *y, int64_t n, uint64_t seed, uint32_t stream)
{
	const int64_t block = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;

	if (block * 4 >= n)
		return;
	const struct philox counter = {{(uint32_t)block, (uint32_t)(block >> 32), stream, 1}};
	const struct philox bits = philox(counter, (uint32_t)seed, (uint32_t)(seed >> 32));
	float z[4];
	for (int i = 0; i < 4; i += 2) {
		const double radius = sqrt(-2 * log((bits.x[i] + 1.0) * 0x1p-32));
		const double angle = bits.x[i + 1] * (2 * M_PI * 0x1p-32);
		z[i] = (float)(radius * cos(angle));
		z[i + 1] = (float)(radius * sin(angle));
	}
	for (int i = 0; i < 4 && block * 4 + i < n; i++)
		y[block * 4 + i] = z[i];
}

void cuda_normal(struct gpu *g, struct gpu_tensor *y, uint64_t seed, uint32_t stream)
{
	const int64_t n = gpu_count(y);

	LAUNCH(g, normal, blocks_for(n, 4 * THREADS), THREADS, 0, (float *)y->data, n, seed,
		stream);
}

/* ---- guidance ----------------------------------------------------------- */

static __device__ __forceinline__ float guided_logit(float text, float null, float guidance)
{
	return __fadd_rn(null, __fmul_rn(text - null, guidance));
}

/* y = null + (text - null) * guidance: 12 bytes an element */
static __global__ void guide(float *y, const float *logits, int64_t n, float guidance)
{
	const int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;

	if (i < n)
		y[i] = guided_logit(logits[i], logits[n + i], guidance);
}

void cuda_guidance(
	struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *logits, float guidance)
{
	const int64_t n = gpu_count(y);

	LAUNCH(g, guide, blocks_for(n, THREADS), THREADS, 0, (float *)y->data,
		(const float *)logits->data, n, guidance);
}

/* ---- sampling ----------------------------------------------------------- */

enum { MAX_SEEDS = 128 }; /* of one launch */

struct sampling {
	int32_t *ids;
	const float *logits, *null; /* null: without text, or NULL where nothing is guided */
	u64 *weights;               /* [rows, n] */
	float *guided;              /* [rows, n] */
	int64_t n, n_streams, first_row;
	uint64_t seed[MAX_SEEDS];
	uint64_t offset;
	const int32_t *at; /* or NULL */
	unsigned long long *status;
	float guidance, temperature, top_p;
	int top_k;
	int shift; /* a weight of 1 is 2^shift */
	bool greedy;
};

/* What the threads of a block share. */
struct shared {
	u64 *sums; /* [BYTES] */
	u64 *pick; /* [2] */
};

/* Unsigned integers in the order of floats; -0 equals 0. */
static __device__ __forceinline__ unsigned key_of(float f)
{
	const unsigned u = __float_as_uint(f + 0.0f);

	return u & 0x80000000 ? ~u : u | 0x80000000;
}

/* The sum of x over the threads before this one; *total over all. */
static __device__ u64 sum_before(u64 x, u64 *sums, u64 *total)
{
	const int lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
	u64 to = x;

	for (int step = 1; step < WARP; step *= 2) {
		const u64 left = __shfl_up_sync(ALL_LANES, to, step);
		to += lane >= step ? left : 0;
	}
	if (lane == WARP - 1)
		sums[warp] = to;
	__syncthreads();
	u64 before = 0, all = 0;
	for (int w = 0; w < SAMPLE_THREADS / WARP; w++) {
		before += w < warp ? sums[w] : 0;
		all += sums[w];
	}
	__syncthreads();
	*total = all;
	return before + to - x;
}

/* What the entries of a byte weigh, or, of 32 bits, how many there are: most logits share their
 * first byte, and these the hardware adds up at once. */
static __device__ __forceinline__ u64 change_of(const u64 *weights, int64_t i, const u64 *)
{
	return weights[i];
}

static __device__ __forceinline__ unsigned change_of(
	const u64 *weights, int64_t i, const unsigned *)
{
	return 1;
}

/* The least key such that the weights (counts: 1 each) of all entries with this key or above
 * reach `goal`; *ret_left is what of the goal those above it leave.  goal is at least 1 and at
 * most the sum of all.  N: u64, or unsigned for counts. */
template <typename N>
static __device__ unsigned threshold(const struct shared *s, const float *logits,
	const u64 *weights, int64_t n, u64 goal, u64 *ret_left)
{
	N *const sums = reinterpret_cast<N *>(s->sums);
	unsigned key = 0;

	for (int shift = 24; shift >= 0; shift -= 8) {
		const unsigned known = shift == 24 ? 0 : 0xffffffffu << (shift + 8);
		const bool has_byte = threadIdx.x < BYTES;
		if (has_byte)
			sums[threadIdx.x] = 0;
		__syncthreads();
		for (int64_t i = threadIdx.x; i < n; i += SAMPLE_THREADS) {
			const unsigned k = key_of(logits[i]);
			const N w = change_of(weights, i, (const N *)NULL);
			if ((k & known) == key && w)
				atomicAdd(&sums[k >> shift & 255], w);
		}
		__syncthreads();
		/* Thread t has byte 255 - t: those before it are the greater ones. */
		const int byte = BYTES - 1 - (int)threadIdx.x;
		const u64 mine = has_byte ? sums[byte] : 0;
		u64 total;
		__syncthreads();
		const u64 above = sum_before(mine, s->sums, &total);
		if (has_byte && above < goal && goal <= above + mine) {
			s->pick[0] = (u64)byte;
			s->pick[1] = goal - above;
		}
		__syncthreads();
		key |= (unsigned)s->pick[0] << shift;
		goal = s->pick[1];
		__syncthreads();
	}
	*ret_left = goal;
	return key;
}

/* Entries of this thread: a run, so that threads in order are entries in order. */
struct run {
	int64_t first, end;
};

static __device__ __forceinline__ struct run run_of(int64_t n)
{
	const int64_t each = (n + SAMPLE_THREADS - 1) / SAMPLE_THREADS;
	struct run r = {each * threadIdx.x, each * threadIdx.x + each};

	r.first = r.first < n ? r.first : n;
	r.end = r.end < n ? r.end : n;
	return r;
}

static __device__ u64 run_sum(const u64 *weights, struct run r)
{
	u64 sum = 0;

	for (int64_t i = r.first; i < r.end; i++)
		sum += weights[i];
	return sum;
}

/* The sum of all weights. */
static __device__ u64 all_of(const struct shared *s, const u64 *weights, int64_t n)
{
	u64 total;

	sum_before(run_sum(weights, run_of(n)), s->sums, &total);
	return total;
}

static __device__ void keep_top_k(
	const struct shared *s, const struct sampling *o, const float *logits, u64 *weights)
{
	u64 left;
	const unsigned key = threshold<unsigned>(s, logits, weights, o->n, (u64)o->top_k, &left);
	const struct run r = run_of(o->n);

	for (int64_t i = r.first; i < r.end; i++)
		weights[i] = key_of(logits[i]) < key ? 0 : weights[i];
	__syncthreads();
}

/* Among equals at the threshold, the first ones until the goal is reached. */
static __device__ void keep_top_p(
	const struct shared *s, const struct sampling *o, const float *logits, u64 *weights)
{
	const double goal = ceil((double)all_of(s, weights, o->n) * (double)o->top_p);
	const struct run r = run_of(o->n);
	u64 left, total, mine = 0;
	const unsigned key =
		threshold<u64>(s, logits, weights, o->n, goal < 1 ? 1 : (u64)goal, &left);

	for (int64_t i = r.first; i < r.end; i++)
		mine += key_of(logits[i]) == key ? weights[i] : 0;
	u64 before = sum_before(mine, s->sums, &total);
	for (int64_t i = r.first; i < r.end; i++) {
		const unsigned k = key_of(logits[i]);
		const u64 w = weights[i];
		if (k < key || (k == key && before >= left))
			weights[i] = 0;
		before += k == key ? w : 0;
	}
	__syncthreads();
}

/* The first entry at which the running sum passes u of the total. */
static __device__ void draw(
	const struct shared *s, const struct sampling *o, const u64 *weights, double u, int32_t *id)
{
	const struct run r = run_of(o->n);
	const u64 mine = run_sum(weights, r);
	u64 total;
	u64 sum = sum_before(mine, s->sums, &total);
	const double goal = u * (double)total;

	if ((double)sum > goal || (double)(sum + mine) <= goal)
		return; /* another thread has it */
	for (int64_t i = r.first; i < r.end; i++) {
		sum += weights[i];
		if ((double)sum > goal) {
			*id = (int32_t)i;
			return;
		}
	}
}

/* The greatest of the row; infinite or not a number where the row cannot be sampled. */
static __device__ float greatest(const struct shared *s, const float *logits, int64_t n)
{
	float top = -INFINITY;
	bool good = true;

	for (int64_t i = threadIdx.x; i < n; i += SAMPLE_THREADS) {
		good = good && !isnan(logits[i]);
		top = fmaxf(top, logits[i]);
	}
	top = warp_max(top);
	good = __all_sync(ALL_LANES, good);
	if (threadIdx.x % WARP == 0)
		s->sums[threadIdx.x / WARP] = good ? __float_as_uint(top) : 0x7fc00000;
	__syncthreads();
	top = -INFINITY;
	for (int w = 0; w < SAMPLE_THREADS / WARP; w++) {
		const float f = __uint_as_float((unsigned)s->sums[w]);
		top = isnan(f) || f > top ? f : top;
		if (isnan(f))
			break;
	}
	__syncthreads();
	return top;
}

/* The first of the entries that equal `value`. */
static __device__ void first_of(
	const struct shared *s, const float *logits, int64_t n, float value, int32_t *id)
{
	if (threadIdx.x == 0)
		s->pick[0] = (u64)n;
	__syncthreads();
	for (int64_t i = threadIdx.x; i < n; i += SAMPLE_THREADS)
		if (logits[i] == value) {
			atomicMin(&s->pick[0], (u64)i);
			break;
		}
	__syncthreads();
	if (threadIdx.x == 0)
		*id = (int32_t)s->pick[0];
}

/* The row as it is sampled: with guidance, computed by the block that needs it. */
static __device__ const float *row_logits(const struct sampling &o, int64_t row)
{
	const float *text = o.logits + row * o.n;

	if (!o.null)
		return text;
	const float *null = o.null + row * o.n;
	float *guided = o.guided + row * o.n;
	for (int64_t i = threadIdx.x; i < o.n; i += SAMPLE_THREADS)
		guided[i] = guided_logit(text[i], null[i], o.guidance);
	__syncthreads();
	return guided;
}

static __global__ void __launch_bounds__(SAMPLE_THREADS) sample(struct sampling o)
{
	SHARED(u64, sums, [BYTES]);
	SHARED(u64, pick, [2]);
	const struct shared s = {sums, pick};
	const int64_t row = o.first_row + blockIdx.x;
	const float *logits = row_logits(o, row);
	u64 *weights = o.weights + row * o.n;
	const float top = greatest(&s, logits, o.n);

	if (!isfinite(top)) {
		if (threadIdx.x == 0) {
			o.ids[row] = 0;
			tell_fault(o.status, CUDA_FAULT_LOGITS, (int)row);
		}
		return;
	}
	if (o.greedy) {
		first_of(&s, logits, o.n, top, &o.ids[row]);
		return;
	}
	const struct run r = run_of(o.n);
	for (int64_t i = r.first; i < r.end; i++)
		weights[i] = (u64)ldexp((double)expf((logits[i] - top) / o.temperature), o.shift);
	__syncthreads();
	if (o.top_k && o.top_k < o.n)
		keep_top_k(&s, &o, logits, weights);
	if (o.top_p > 0 && o.top_p < 1)
		keep_top_p(&s, &o, logits, weights);
	const uint64_t offset = o.offset + (o.at ? (uint64_t)*o.at : 0);
	draw(&s, &o, weights,
		philox_uniform(o.seed[blockIdx.x / o.n_streams],
			(uint32_t)(blockIdx.x % o.n_streams), offset),
		&o.ids[row]);
}

/* log2, rounded up. */
static int bits_of(int64_t n)
{
	int bits = 0;

	while (bits < 62 && ((int64_t)1 << bits) < n)
		bits++;
	return bits;
}

static bool take_scratch(
	struct gpu *g, struct sampling *o, int64_t n_rows, const struct gpu_sampling *s)
{
	const size_t n = (size_t)(n_rows * o->n);

	if (!s->greedy) {
		o->weights = (u64 *)cuda_scratch(g, 0, n * sizeof(u64));
		if (!o->weights)
			return false;
	}
	if (s->guidance != 0) {
		o->null = o->logits + n;
		o->guided = (float *)cuda_scratch(g, 1, n * sizeof(float));
		if (!o->guided)
			return false;
	}
	return true;
}

void cuda_sample(struct gpu *g, struct gpu_tensor *ids, const struct gpu_tensor *logits,
	const struct gpu_sampling *s)
{
	const int64_t n_rows = ids->ne[0], n_streams = s->greedy ? 1 : s->n_streams;
	struct sampling o = {};

	o.ids = (int32_t *)ids->data;
	o.logits = (const float *)logits->data;
	o.n = logits->ne[1];
	if (!take_scratch(g, &o, n_rows, s))
		return;
	o.guidance = s->guidance;
	o.n_streams = n_streams;
	o.offset = s->offset;
	o.at = s->at ? (const int32_t *)s->at->data : NULL;
	o.status = cuda_of(g)->status;
	o.temperature = s->temperature;
	o.top_p = s->top_p;
	o.top_k = s->top_k;
	o.shift = 62 - bits_of(o.n);
	o.greedy = s->greedy;
	const int64_t most = MAX_SEEDS * n_streams;
	for (o.first_row = 0; o.first_row < n_rows; o.first_row += most) {
		const int64_t left = n_rows - o.first_row, n = left < most ? left : most;
		for (int64_t i = 0; !s->greedy && i < n / n_streams; i++)
			o.seed[i] = s->seed[o.first_row / n_streams + i];
		LAUNCH(g, sample, (unsigned)n, SAMPLE_THREADS, 0, o);
	}
}

/* ---- the next column ---------------------------------------------------- */

/* One block: columns[p, j] = drawn[j] where negative; next[r, j] = columns[p, j]; p + 1. */
static __global__ void next_column(int32_t *next, int64_t n_rows, int32_t *columns,
	int64_t n_columns, const int32_t *drawn, int64_t n, int32_t *at)
{
	const int64_t p = *at;

	for (int64_t j = threadIdx.x; j < n && p >= 0 && p < n_columns; j += blockDim.x) {
		const int32_t given = columns[p * n + j], id = given < 0 ? drawn[j] : given;
		columns[p * n + j] = id;
		for (int64_t r = 0; r < n_rows; r++)
			next[r * n + j] = id;
	}
	__syncthreads();
	if (threadIdx.x == 0)
		*at = (int32_t)(p + 1);
}

void cuda_next_column(struct gpu *g, struct gpu_tensor *next, struct gpu_tensor *columns,
	const struct gpu_tensor *drawn, struct gpu_tensor *at)
{
	LAUNCH(g, next_column, 1, THREADS, 0, (int32_t *)next->data, next->ne[0],
		(int32_t *)columns->data, columns->ne[0], (const int32_t *)drawn->data,
		columns->ne[1], (int32_t *)at->data);
}
