/* Attention over caches of keys and values.
 *
 * Keys and values are [row][head][max_len][width], f32 or bf16, width the channels of a
 * head rounded up to 8 with zeros, so that a position is whole 16-byte words and the
 * positions of a head are one stretch of memory.  How many are filled is on the device,
 * kv->lens: grids cover max_len, and blocks beyond the filled part return at once, so that
 * a recorded step is right at any position.
 *
 * attend_split: one query of one head against 128 positions (a split), scores and sums in
 * f32; with APPEND it stores the new key and value, too: only the block that attends to
 * the new position touches it.  Moves 2 * positions * width elements, once; all loads of
 * a thread, 16 of 16 bytes, are on their way before the first is used, so that a block has
 * 32 KB in flight.  MusicGen Large, bf16, 2 rows at position 1500: 24.6 MB a layer, 7.3 us
 * at 3.35 TB/s.  They do not even wait for the kernel before, where the cache is settled (on an
 * H200 2 us less for each of 96 attentions of a step at the first positions, before 4.2 and 3.9);
 * a step at 1491 takes 5.8 us a layer more than one at 10.
 *
 * join_splits: y = sum_s e^(m_s - m) o_s / sum_s e^(m_s - m) l_s in ascending order of the
 * splits that have positions, whatever the grid, so that max_len and replaying change no
 * bit; then sets the new length.  Moves splits * (width + 2) * 4 bytes a head.
 *
 * attend_cached: many queries, tiles of attention.cuh: 4 n_q n_keys width FLOPs a head
 * on the FMA units.  Stable Audio in f32, 1025 rows, 24 heads of 64, 130 keys: 0.82 GFLOP,
 * 25 us at half of 67 TFLOP/s.  Caches of GPU_TILES (bf16, too) that are only read take
 * tensor cores (attend_filled, attention_full.cu), or here q and the weights rounded.
 *
 * append: rows of keys and values into a cache, 16-byte stores.
 *
 * A row has the bits that it has alone, as long as it attends in the same way: causal,
 * one position at a time (attend_split) or several (attend_cached); cross, up to
 * FEW queries a sequence (attend_split) or more. */
#include "gpu/cuda/attention.cuh"

enum {
	SPLIT = 128,
	SPLIT_WARPS = 4,
	SPLIT_THREADS = SPLIT_WARPS * WARP,
	WARP_KEYS = SPLIT / SPLIT_WARPS,
	BATCH = 8, /* keys of a lane whose loads are on their way together */
	FEW = 16,  /* queries of a sequence that attend_split takes */
	APPEND_THREADS = 256,
	JOIN_THREADS = 64,
};

void cuda_kv_size(const struct gpu_kv *kv, int64_t *ret_k, int64_t *ret_v)
{
	*ret_k = kv->n_rows * kv->n_heads * kv->max_len * kv_width(kv->head_dim);
	*ret_v = *ret_k;
}

/* 16 bytes of a cache. */
template <typename E> struct words {
	static const int N = 16 / sizeof(E);
};

static __device__ __forceinline__ void unpack(float *out, const uint4 *u, const float *)
{
	out[0] = __uint_as_float(u->x);
	out[1] = __uint_as_float(u->y);
	out[2] = __uint_as_float(u->z);
	out[3] = __uint_as_float(u->w);
}

static __device__ __forceinline__ void unpack(float *out, const uint4 *u, const uint16_t *)
{
	const unsigned x[4] = {u->x, u->y, u->z, u->w};

#pragma unroll
	for (int i = 0; i < 4; i++) {
		out[2 * i] = __uint_as_float(x[i] << 16);
		out[2 * i + 1] = __uint_as_float(x[i] & 0xffff0000u);
	}
}

static __device__ __forceinline__ uint4 pack(const float *x, const float *)
{
	return make_uint4(__float_as_uint(x[0]), __float_as_uint(x[1]), __float_as_uint(x[2]),
		__float_as_uint(x[3]));
}

static __device__ __forceinline__ unsigned pack2(float even, float odd)
{
	return f32_to_bf16(even) | (unsigned)f32_to_bf16(odd) << 16;
}

static __device__ __forceinline__ uint4 pack(const float *x, const uint16_t *)
{
	return make_uint4(
		pack2(x[0], x[1]), pack2(x[2], x[3]), pack2(x[4], x[5]), pack2(x[6], x[7]));
}

/* x[0..N-1], of which n are there; the rest is zero. */
template <int N>
static __device__ __forceinline__ void load_some(float *out, const float *x, int n, bool is_aligned)
{
#pragma unroll
	for (int i = 0; i < N; i += 4) {
		const float4 v = load4(x + i, n - i, is_aligned);
		out[i] = v.x;
		out[i + 1] = v.y;
		out[i + 2] = v.z;
		out[i + 3] = v.w;
	}
}

template <typename E>
static __device__ __forceinline__ uint4 load_packed(const float *x, int n, bool is_aligned)
{
	float v[words<E>::N];

	load_some<words<E>::N>(v, x, n, is_aligned);
	return pack(v, (const E *)NULL);
}

/* ---- appending ---------------------------------------------------------- */

/* Positions lens[row] + t (is_fill: t, and sets lens) of rows first_row .. of the cache,
 * from the rows x + (row * n_time + t) * ldx: keys, then values. */
struct append {
	const float *x;
	int64_t ldx;
	void *k, *v;
	int32_t *lens;
	int64_t first_row, n_heads, dim, max_len, n_time, n_words;
	bool is_fill, is_aligned;
};

template <typename E>
static __global__ void __launch_bounds__(APPEND_THREADS) append(const struct append a)
{
	const int64_t width = kv_width(a.dim), per_head = width / words<E>::N;
	const int64_t i = blockIdx.x * (int64_t)APPEND_THREADS + threadIdx.x;

	if (i == 0 && a.is_fill)
		a.lens[a.first_row] = (int32_t)a.n_time;
	if (i >= a.n_words)
		return;
	const int64_t at = i % per_head * words<E>::N, head = i / per_head % a.n_heads,
		      from = i / per_head / a.n_heads, row = a.first_row + from / a.n_time;
	const int64_t position = from % a.n_time + (a.is_fill ? 0 : a.lens[row]);
	const int64_t to = ((row * a.n_heads + head) * a.max_len + position) * width + at;
	const float *source = a.x + from * a.ldx + head * a.dim + at;
	*reinterpret_cast<uint4 *>((E *)a.k + to) =
		load_packed<E>(source, (int)(a.dim - at), a.is_aligned);
	*reinterpret_cast<uint4 *>((E *)a.v + to) =
		load_packed<E>(source + a.n_heads * a.dim, (int)(a.dim - at), a.is_aligned);
}

/* n_time rows of x for each of n_rows sequences from first_row on; keys begin at column
 * `keys`, values behind them. */
static void run_append(struct gpu *g, const struct gpu_kv *kv, int64_t first_row, int64_t n_rows,
	int64_t n_time, const float *x, int64_t ldx, int64_t keys)
{
	const struct append a = {.x = x + keys,
		.ldx = ldx,
		.k = kv->k->data,
		.v = kv->v->data,
		.lens = (int32_t *)kv->lens->data,
		.first_row = first_row,
		.n_heads = kv->n_heads,
		.dim = kv->head_dim,
		.max_len = kv->max_len,
		.n_time = n_time,
		.n_words = n_rows * n_time * kv->n_heads * kv_width(kv->head_dim) /
			   (kv->dtype == GPU_F32 ? 4 : 8),
		.is_fill = keys == 0,
		.is_aligned = (uintptr_t)x % 16 == 0 && kv->head_dim % 4 == 0};
	const unsigned n = blocks_for(a.n_words, APPEND_THREADS);

	if (kv->dtype == GPU_F32)
		LAUNCH(g, (append<float>), n, APPEND_THREADS, 0, a);
	else
		LAUNCH(g, (append<uint16_t>), n, APPEND_THREADS, 0, a);
}

void cuda_kv_fill(struct gpu *g, struct gpu_kv *kv, int64_t row, const struct gpu_tensor *kv_x)
{
	run_append(g, kv, row, 1, kv_x->ne[0], (const float *)kv_x->data, kv_x->ne[1], 0);
}

/* ---- one query at a time ------------------------------------------------ */

/* Query r, head h: q + r * ldq + h * dim. */
struct split {
	const float *q;
	int64_t ldq;
	float *y; /* [n_queries][n_heads * dim] */
	void *k, *v;
	int32_t *lens;
	/* 32 bits: they are divided by */
	unsigned n_queries, per_row, n_heads, n_kv_heads, group, n_splits;
	int dim, max_len;
	float scale;
	bool is_aligned; /* q at every fourth column */
	bool is_settled; /* lens and the caches are not what kernels may still be writing */
	/* of each query and head: how many keys it sees, and of each split maximum, sum of
	 * weights, and weighted sum of values, `width` apart; n_keys NULL: one split,
	 * straight to y */
	int *n_keys;
	float *tops, *sums, *parts;
};

/* What a lane has of its keys: groups of KEY_LANES lanes have one at a time, each lane
 * its words<E>::N channels.  top is that of the warp. */
template <typename E> struct lane_sums {
	float top, sum, o[words<E>::N];
};

/* Key i of the batch is there when i * GROUPS < left. */
template <typename E, int KEY_LANES>
static __device__ __forceinline__ void attend_batch(struct lane_sums<E> *l, const float *q,
	const uint4 *keys, const uint4 *values, int left, float scale)
{
	const int N = words<E>::N, GROUPS = WARP / KEY_LANES;
	const float before = l->top;
	float s[BATCH], x[N];

#pragma unroll
	for (int i = 0; i < BATCH; i++) {
		s[i] = 0;
		unpack(x, &keys[i], (const E *)NULL);
#pragma unroll
		for (int j = 0; j < N; j++)
			s[i] = fmaf(q[j], x[j], s[i]);
#pragma unroll
		for (int other = KEY_LANES / 2; other > 0; other /= 2)
			s[i] += __shfl_xor_sync(ALL_LANES, s[i], other);
		s[i] = i * GROUPS < left ? s[i] * scale : -INFINITY;
		l->top = fmaxf(l->top, s[i]);
	}
	l->top = warp_max(l->top);
	const float from = l->top == -INFINITY ? 0 : l->top, fade = expf(before - from);
	l->sum *= fade;
#pragma unroll
	for (int j = 0; j < N; j++)
		l->o[j] *= fade;
#pragma unroll
	for (int i = 0; i < BATCH; i++) {
		const float p = expf(s[i] - from);
		unpack(x, &values[i], (const E *)NULL);
		l->sum += p;
#pragma unroll
		for (int j = 0; j < N; j++)
			l->o[j] = fmaf(p, x[j], l->o[j]);
	}
}

/* Adds up the groups of a warp, then the warps in ascending order. */
template <typename E, int KEY_LANES>
static __device__ __forceinline__ void finish_split(
	const struct split *a, struct lane_sums<E> *l, unsigned item, unsigned split, int n)
{
	const int N = words<E>::N, width = (int)kv_width(a->dim);
	SHARED(float, tops, [SPLIT_WARPS]);
	SHARED(float, sums, [SPLIT_WARPS]);
	SHARED(float, parts, [SPLIT_WARPS][KEY_LANES * words<E>::N]);
	const unsigned warp = threadIdx.x / WARP, lane = threadIdx.x % WARP;
	float fade[SPLIT_WARPS], sum = 0;

#pragma unroll
	for (int other = KEY_LANES; other < WARP; other *= 2) {
		l->sum += __shfl_xor_sync(ALL_LANES, l->sum, other);
#pragma unroll
		for (int j = 0; j < N; j++)
			l->o[j] += __shfl_xor_sync(ALL_LANES, l->o[j], other);
	}
	if (lane == 0) {
		tops[warp] = l->top;
		sums[warp] = l->sum;
	}
	if (lane < KEY_LANES)
#pragma unroll
		for (int j = 0; j < N; j++)
			parts[warp][lane * N + j] = l->o[j];
	__syncthreads();
	float top = tops[0]; /* the first warp has a key */
#pragma unroll
	for (int w = 1; w < SPLIT_WARPS; w++)
		top = fmaxf(top, tops[w]);
#pragma unroll
	for (int w = 0; w < SPLIT_WARPS; w++) {
		fade[w] = expf(tops[w] - top);
		sum = fmaf(fade[w], sums[w], sum);
	}
	const int64_t to = (int64_t)item * a->n_splits + split;
	for (int i = threadIdx.x; i < a->dim; i += SPLIT_THREADS) {
		float part = 0;
#pragma unroll
		for (int w = 0; w < SPLIT_WARPS; w++)
			part = fmaf(fade[w], parts[w][i], part);
		if (a->n_keys)
			a->parts[to * width + i] = part;
		else
			a->y[(int64_t)item * a->dim + i] = part / sum;
	}
	if (a->n_keys && threadIdx.x == 0) {
		a->tops[to] = top;
		a->sums[to] = sum;
		if (split == 0)
			a->n_keys[item] = n;
	}
}

/* A lane's keys, GROUPS apart from k on, and their values; zeros from n on. */
template <typename E, int KEY_LANES>
static __device__ __forceinline__ void load_batch(
	uint4 (&keys)[BATCH], uint4 (&values)[BATCH], const E *k, const E *v, int64_t width, int n)
{
	const int GROUPS = WARP / KEY_LANES;

#pragma unroll
	for (int i = 0; i < BATCH; i++) {
		const int64_t at = i * GROUPS * width;
		keys[i] = values[i] = make_uint4(0, 0, 0, 0);
		if (i * GROUPS < n) {
			keys[i] = *reinterpret_cast<const uint4 *>(k + at);
			values[i] = *reinterpret_cast<const uint4 *>(v + at);
		}
	}
}

template <typename E, int KEY_LANES, bool APPEND>
static __global__ void __launch_bounds__(SPLIT_THREADS, 4) attend_split(const struct split a)
{
	const int N = words<E>::N, GROUPS = WARP / KEY_LANES;
	/* Items of a split are neighbours: blocks with keys come first, on all multiprocessors. */
	const unsigned items = a.n_queries * a.n_heads, split = blockIdx.x / items,
		       item = blockIdx.x % items, head = item % a.n_heads, query = item / a.n_heads,
		       row = query / a.per_row;
	const int at = (int)(threadIdx.x % KEY_LANES) * N, here = a.dim - at;
	const int64_t width = kv_width(a.dim);
	const float *x = a.q + query * a.ldq + (int64_t)head * a.dim + at;
	const int first = (int)split * SPLIT + (int)(threadIdx.x / WARP) * WARP_KEYS +
			  (int)(threadIdx.x % WARP) / KEY_LANES;
	const int64_t base =
		((int64_t)row * a.n_kv_heads + head / a.group) * a.max_len * width + at;
	E *const k = (E *)a.k + base, *const v = (E *)a.v + base;
	uint4 keys[BATCH], values[BATCH], new_key, new_value;
	struct lane_sums<E> l = {
		- INFINITY, 0,
		{
		}
	};
	float q[N];

	let_next_start();
	if (!a.is_settled)
		after_previous();
	const int len = a.lens[row], n = len + APPEND, n_here = here > 0 ? len : 0;
	/* Most blocks of a step that is recorded: they leave at once what others can use. */
	if (split > 0 && (int)split * SPLIT >= n)
		return;
	load_batch<E, KEY_LANES>(
		keys, values, k + first * width, v + first * width, width, n_here - first);
	if (a.is_settled)
		after_previous();
	load_some<N>(q, x, here, a.is_aligned);
	if (APPEND) {
		new_key = load_packed<E>(x + a.ldq / 3, here, a.is_aligned);
		new_value = load_packed<E>(x + a.ldq / 3 * 2, here, a.is_aligned);
	}
	if (n == 0)
		return;
#pragma unroll 1
	for (int batch = first;;) {
#pragma unroll
		for (int i = 0; APPEND && i < BATCH; i++)
			if (batch + i * GROUPS == len) {
				keys[i] = new_key;
				values[i] = new_value;
			}
		attend_batch<E, KEY_LANES>(&l, q, keys, values, n - batch, a.scale);
		batch += BATCH * GROUPS;
		if (batch >= first + WARP_KEYS)
			break;
		load_batch<E, KEY_LANES>(
			keys, values, k + batch * width, v + batch * width, width, n_here - batch);
	}
	if (APPEND && len >= first && len < first + WARP_KEYS && (len - first) % GROUPS == 0 &&
		at < width) {
		*reinterpret_cast<uint4 *>(k + len * width) = new_key;
		*reinterpret_cast<uint4 *>(v + len * width) = new_value;
	}
	finish_split<E, KEY_LANES>(&a, &l, item, split, n);
}

/* A block has a query and a head.  Nothing here reads lens. */
template <bool APPEND>
static __global__ void __launch_bounds__(JOIN_THREADS) join_splits(const struct split a)
{
	const int64_t item = blockIdx.x, at = item * a.n_splits;
	let_next_start();
	after_previous();
	const int n = a.n_keys[item], n_splits = (n + SPLIT - 1) / SPLIT,
		  width = (int)kv_width(a.dim);
	float top = a.tops[at], sum = 0;

	for (int s = 1; s < n_splits; s++)
		top = fmaxf(top, a.tops[at + s]);
	for (int s = 0; s < n_splits; s++)
		sum = fmaf(expf(a.tops[at + s] - top), a.sums[at + s], sum);
	for (int i = threadIdx.x; i < a.dim; i += JOIN_THREADS) {
		float y = 0;
#pragma unroll 4
		for (int s = 0; s < n_splits; s++)
			y = fmaf(expf(a.tops[at + s] - top), a.parts[(at + s) * width + i], y);
		a.y[item * a.dim + i] = y / sum;
	}
	if (APPEND && blockIdx.x % a.n_heads == 0 && threadIdx.x == 0)
		a.lens[blockIdx.x / a.n_heads] = n;
}

template <typename E, bool APPEND> static void launch_split(struct gpu *g, const struct split *a)
{
	const unsigned n = a->n_queries * a->n_heads * a->n_splits;
	const int64_t lanes = kv_width(a->dim) / words<E>::N;

	if (lanes <= 8)
		LAUNCH_EARLY(g, (attend_split<E, 8, APPEND>), n, SPLIT_THREADS, 0, *a);
	else if (lanes <= 16)
		LAUNCH_EARLY(g, (attend_split<E, 16, APPEND>), n, SPLIT_THREADS, 0, *a);
	else
		LAUNCH_EARLY(g, (attend_split<E, 32, APPEND>), n, SPLIT_THREADS, 0, *a);
}

/* Whether what was appended to the cache of these lengths is there when an early kernel begins:
 * a kernel that is not early has come since. */
static bool is_settled(struct cuda *c, const int32_t *lens)
{
	if (c->settled != c->launches)
		c->n_unsettled = 0;
	c->settled = c->launches;
	for (unsigned i = 0; i < c->n_unsettled && i < CUDA_N_UNSETTLED; i++)
		if (c->unsettled[i] == lens)
			return false;
	return c->n_unsettled <= CUDA_N_UNSETTLED;
}

static void unsettle(struct cuda *c, const int32_t *lens)
{
	if (c->n_unsettled < CUDA_N_UNSETTLED)
		c->unsettled[c->n_unsettled] = lens;
	c->n_unsettled++;
}

/* A warp has a whole position. */
static bool can_split(const struct gpu_kv *kv)
{
	return kv_width(kv->head_dim) <= WARP * (kv->dtype == GPU_F32 ? 4 : 8);
}

template <bool APPEND> static void run_split(struct gpu *g, struct split *a, enum gpu_dtype dtype)
{
	const size_t items = (size_t)a->n_queries * a->n_heads, n = items * a->n_splits;

	a->is_settled = is_settled(cuda_of(g), a->lens);
	if (APPEND)
		unsettle(cuda_of(g), a->lens);
	if (APPEND || a->n_splits > 1) {
		a->n_keys = (int *)cuda_scratch(
			g, 0, (items + n * (size_t)(2 + kv_width(a->dim))) * sizeof(float));
		if (!a->n_keys)
			return;
		a->tops = (float *)a->n_keys + items;
		a->sums = a->tops + n;
		a->parts = a->sums + n;
	}
	if (dtype == GPU_F32)
		launch_split<float, APPEND>(g, a);
	else
		launch_split<uint16_t, APPEND>(g, a);
	if (a->n_keys)
		LAUNCH_EARLY(g, (join_splits<APPEND>), (unsigned)items, JOIN_THREADS, 0, *a);
}

/* ---- many queries ------------------------------------------------------- */

struct cached {
	const float *q;
	int64_t ldq;
	float *y;
	const void *k, *v;
	const int32_t *lens;
	unsigned per_row, n_heads, n_kv_heads, group, q_tiles, chunks;
	int dim, max_len;
	float scale;
	bool is_causal;
	bool is_aligned;
};

template <typename E, int WIDE, bool ROUND>
static __global__ void __launch_bounds__(TILE_THREADS, WIDE == 1 ? TILE_BLOCKS : 2)
	attend_cached(const struct cached a)
{
	SHARED(float4, shared, [TILE_FLOATS]);
	const unsigned chunk = blockIdx.x % a.chunks, tile = blockIdx.x / a.chunks % a.q_tiles,
		       item = blockIdx.x / a.chunks / a.q_tiles, head = item % a.n_heads;
	const int64_t row = item / a.n_heads, width = kv_width(a.dim);
	const int64_t base = (row * a.n_kv_heads + head / a.group) * a.max_len * width;
	const int len = a.lens[row], n_time = (int)a.per_row;
	const int n_keys = a.is_causal ? len + n_time : len;
	const struct tile_attention<E> t = {
		.q = {a.q + row * n_time * a.ldq + (int64_t)head * a.dim, a.ldq, n_time, a.dim,
			a.is_aligned},
		.k = {(const E *)a.k + base, width, n_keys, (int)width, true},
		.v = {(const E *)a.v + base, width, n_keys, (int)width, true},
		.y = a.y + (row * n_time * a.n_heads + head) * a.dim,
		.y_row = (int64_t)a.n_heads * a.dim, .scale = a.scale, .dim = a.dim,
		.seen = a.is_causal ? len + 1 : len, .grows = a.is_causal, .bias = NULL,
		.mask = NULL, .bias_row = 0, .first = (int)tile * TILE,
		.column = (int)chunk * WIDE * TILE,
	};

	attend_tile<WIDE, ROUND>(&t, reinterpret_cast<float *>(shared));
}

static __global__ void advance(int32_t *lens, int n_rows, int n_time)
{
	const int i = (int)(blockIdx.x * blockDim.x + threadIdx.x);

	if (i < n_rows)
		lens[i] += n_time;
}

template <typename E, bool ROUND>
static void launch_cached(struct gpu *g, const struct gpu_kv *kv, const struct cached *a)
{
	const unsigned n = (unsigned)kv->n_rows * a->n_heads * a->q_tiles * a->chunks;

	if (tiles_wide(a->dim) > 1)
		LAUNCH(g, (attend_cached<E, 2, ROUND>), n, TILE_THREADS, 0, *a);
	else
		LAUNCH(g, (attend_cached<E, 1, ROUND>), n, TILE_THREADS, 0, *a);
}

static void run_cached(struct gpu *g, const struct gpu_kv *kv, const struct cached *a)
{
	if (kv->dtype == GPU_F32)
		launch_cached<float, false>(g, kv, a);
	else if (kv->dtype == GPU_TILES)
		launch_cached<uint16_t, true>(g, kv, a);
	else
		launch_cached<uint16_t, false>(g, kv, a);
}

/* ---- ops ---------------------------------------------------------------- */

static bool is_aligned(const struct gpu_kv *kv, const struct gpu_tensor *q)
{
	return (uintptr_t)q->data % 16 == 0 && kv->head_dim % 4 == 0;
}

static struct split split_of(const struct gpu_kv *kv, struct gpu_tensor *y,
	const struct gpu_tensor *q, int64_t n_heads, float scale)
{
	return (struct split){.q = (const float *)q->data,
		.ldq = q->ne[1],
		.y = (float *)y->data,
		.k = kv->k->data,
		.v = kv->v->data,
		.lens = (int32_t *)kv->lens->data,
		.n_queries = (unsigned)q->ne[0],
		.per_row = (unsigned)(q->ne[0] / kv->n_rows),
		.n_heads = (unsigned)n_heads,
		.n_kv_heads = (unsigned)kv->n_heads,
		.group = (unsigned)(n_heads / kv->n_heads),
		.n_splits = blocks_for(kv->max_len, SPLIT),
		.dim = (int)kv->head_dim,
		.max_len = (int)kv->max_len,
		.scale = scale,
		.is_aligned = is_aligned(kv, q)};
}

static struct cached cached_of(const struct gpu_kv *kv, struct gpu_tensor *y,
	const struct gpu_tensor *q, int64_t n_heads, float scale)
{
	const int64_t per_row = q->ne[0] / kv->n_rows;

	return (struct cached){.q = (const float *)q->data,
		.ldq = q->ne[1],
		.y = (float *)y->data,
		.k = kv->k->data,
		.v = kv->v->data,
		.lens = (const int32_t *)kv->lens->data,
		.per_row = (unsigned)per_row,
		.n_heads = (unsigned)n_heads,
		.n_kv_heads = (unsigned)kv->n_heads,
		.group = (unsigned)(n_heads / kv->n_heads),
		.q_tiles = blocks_for(per_row, TILE),
		.chunks = tile_chunks(kv->head_dim),
		.dim = (int)kv->head_dim,
		.max_len = (int)kv->max_len,
		.scale = scale,
		.is_aligned =
			(uintptr_t)q->data % 16 == 0 && q->ne[1] % 4 == 0 && kv->head_dim % 4 == 0};
}

void cuda_attention_causal(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *qkv,
	struct gpu_kv *kv, int64_t n_time, float scale)
{
	const int64_t width = kv->n_heads * kv->head_dim;
	struct split one = split_of(kv, y, qkv, kv->n_heads, scale);
	struct cached many = cached_of(kv, y, qkv, kv->n_heads, scale);

	if (n_time == 1 && can_split(kv)) {
		run_split<true>(g, &one, kv->dtype);
		return;
	}
	many.is_causal = true;
	run_append(g, kv, 0, kv->n_rows, n_time, (const float *)qkv->data, 3 * width, width);
	run_cached(g, kv, &many);
	LAUNCH(g, advance, blocks_for(kv->n_rows, WARP), WARP, 0, (int32_t *)kv->lens->data,
		(int)kv->n_rows, (int)n_time);
}

void cuda_attention_cross(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *q,
	const struct gpu_kv *kv, float scale)
{
	const int64_t n_heads = q->ne[1] / kv->head_dim;
	struct split one = split_of(kv, y, q, n_heads, scale);
	struct cached many = cached_of(kv, y, q, n_heads, scale);

	if (kv->dtype == GPU_TILES && cuda_attends_filled(g, kv, scale)) {
		cuda_attention_filled(g, y, q, kv, scale);
		return;
	}
	if (kv->dtype != GPU_TILES && one.per_row <= FEW && can_split(kv)) {
		run_split<false>(g, &one, kv->dtype);
		return;
	}
	many.y = attention_f32(g, y);
	if (!many.y)
		return;
	run_cached(g, kv, &many);
	attention_narrow(g, y, many.y);
}
