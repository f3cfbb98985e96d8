/* Attention over whole sequences: qkv [B, T, 3H], columns q, k, v, heads contiguous; and of
 * many queries to a filled cache on tensor cores.
 *
 * attend_whole: f32, tiles of attention.cuh; attention_full, attention_windows (many short
 * sequences), and attention_tiles where tensor cores have no bf16 or heads are wider than
 * 128 channels: there q, k, v and the weights e^(s - m) are rounded to bf16 first.
 * 4 T^2 H FLOPs on the FMA units, for heads of more than 128 channels 2 T^2 H (1 + n)
 * with n = ceil(d / 128); T5, 512 tokens, 12 heads of 64: 0.8 GFLOP, 25 us at half of
 * 67 TFLOP/s.
 *
 * attention_tiles on tensor cores, two kernels:
 *
 * round_heads: qkv to bf16, to nearest even, as [q, k, v][B][head][T'][D] with T' = T rounded
 * up to 64, D = d rounded up to a width of attend_tiles, filled up with zeros.  Moves
 * 12 T H + 6 T' heads D bytes: Stable Audio (T = 1025, 24 heads of 64) 29 MB, 9 us at
 * 3.35 TB/s, less as far as qkv is still in L2.
 *
 * attend_tiles: a block of four warps has 64 queries of a head, a warp 16 of them with
 * their part of q and of y in registers.  Per 64 keys, which come by asynchronous copies
 * into shared memory, keys while values are used and values while keys are:
 *	s = q k^T by mma.sync m16n8k16, bf16 to f32;  c = scale log2(e) > 0,
 *	m' = max(m, max s),  p = 2^(c s - c m'),  l = l 2^(c m - c m') + sum p,
 *	o = o 2^(c m - c m') + bf16(p) v by mma.sync, and in the end y = o / l.
 *
 * attend_filled: the same, keys and values from a cache (attention.cu) of GPU_TILES, which
 * heads of q may share, q rounded on its way from memory; what a tile has beyond the keys
 * and channels that are there is filled with zeros.  One launch, 4 n_q n_keys heads D FLOPs:
 * Stable Audio (1025 queries, 130 keys, 24 heads of 64) 0.8 GFLOP, 12 MB of q and y: bound
 * by a launch of 408 blocks on 132 multiprocessors, some 5 us.
 *
 * Rows in shared memory are D + 8 elements apart, so that ldmatrix has no bank conflicts.
 * 4 T^2 heads D FLOPs: Stable Audio 6.5 GFLOP a layer, 13 us at 500 TFLOP/s (about what
 * mma.sync reaches of an H100's 989); exponentials take as long: 16 a clock and
 * multiprocessor.
 *
 * Error of y against exact arithmetic on the rounded q, k, v, where W = sum_k p |v| / l:
 * bf16(p) is off by 2^-9 p, hence y by 2^-9 W; scores are f32 sums of exact products,
 * e^x good to 2 ulp, so that the rest is that of f32.  The CPU rounds p / l instead of p:
 * the two differ by 2^-8 W at most.  With D > d or T' > T no bit changes. */
#include "gpu/cuda/attention.cuh"

/* ---- f32 ---------------------------------------------------------------- */

struct whole {
	const float *qkv; /* [n_sequences][n][3][n_heads][dim] */
	float *y;
	const float *bias, *mask; /* of a head, of a sequence; NULL or as attention.cuh has it */
	int64_t bias_head, bias_row, mask_sequence;
	unsigned n_heads, n_masks, q_tiles, chunks;
	int n, dim;
	float scale;
	bool is_aligned;
};

template <int WIDE, bool ROUND>
static __global__ void __launch_bounds__(TILE_THREADS, WIDE == 1 ? TILE_BLOCKS : 2)
	attend_whole(const struct whole a)
{
	SHARED(float4, shared, [TILE_FLOATS]);
	const unsigned chunk = blockIdx.x % a.chunks, tile = blockIdx.x / a.chunks % a.q_tiles,
		       item = blockIdx.x / a.chunks / a.q_tiles, head = item % a.n_heads,
		       sequence = item / a.n_heads;
	const int64_t width = (int64_t)a.n_heads * a.dim;
	const float *q = a.qkv + (int64_t)sequence * a.n * 3 * width + (int64_t)head * a.dim;
	const struct tile_attention<float> t = {
		.q = {q, 3 * width, a.n, a.dim, a.is_aligned},
		.k = {q + width, 3 * width, a.n, a.dim, a.is_aligned},
		.v = {q + 2 * width, 3 * width, a.n, a.dim, a.is_aligned},
		.y = a.y + (int64_t)sequence * a.n * width + (int64_t)head * a.dim, .y_row = width,
		.scale = a.scale, .dim = a.dim, .seen = a.n, .grows = 0,
		.bias = a.bias ? a.bias + head * a.bias_head : NULL,
		.mask = a.mask ? a.mask + sequence % a.n_masks * a.mask_sequence : NULL,
		.bias_row = a.bias_row, .first = (int)tile * TILE,
		.column = (int)chunk * WIDE * TILE,
	};

	attend_tile<WIDE, ROUND>(&t, reinterpret_cast<float *>(shared));
}

/* n_sequences of n positions */
static struct whole whole_of(
	struct gpu_tensor *y, const struct gpu_tensor *qkv, int64_t n, int64_t n_heads, float scale)
{
	const int64_t width = y->ne[y->n_dims - 1], dim = width / n_heads;

	return (struct whole){.qkv = (const float *)qkv->data,
		.y = (float *)y->data,
		.n_heads = (unsigned)n_heads,
		.n_masks = 1,
		.q_tiles = blocks_for(n, TILE),
		.chunks = tile_chunks(dim),
		.n = (int)n,
		.dim = (int)dim,
		.scale = scale,
		.is_aligned = (uintptr_t)qkv->data % 16 == 0 && dim % 4 == 0};
}

/* B */
static int64_t sequences_of(const struct gpu_tensor *qkv)
{
	return qkv->n_dims == 3 ? qkv->ne[0] : 1;
}

template <bool ROUND>
static void run_whole(struct gpu *g, const struct whole *a, int64_t n_sequences)
{
	const unsigned n = (unsigned)n_sequences * a->n_heads * a->q_tiles * a->chunks;

	if (tiles_wide(a->dim) > 1)
		LAUNCH(g, (attend_whole<2, ROUND>), n, TILE_THREADS, 0, *a);
	else
		LAUNCH(g, (attend_whole<1, ROUND>), n, TILE_THREADS, 0, *a);
}

void cuda_attention_full(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *qkv,
	const struct gpu_tensor *bias, int64_t n_heads, float scale)
{
	const int64_t n = qkv->ne[qkv->n_dims - 2];
	struct whole a = whole_of(y, qkv, n, n_heads, scale);

	if (bias) { /* column k - q + n - 1 */
		a.bias = (const float *)bias->data + n - 1;
		a.bias_head = 2 * n - 1;
		a.bias_row = -1;
	}
	run_whole<false>(g, &a, sequences_of(qkv));
}

void cuda_attention_windows(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *qkv,
	const struct gpu_tensor *bias, const struct gpu_tensor *mask, float scale)
{
	const int64_t n = qkv->ne[1];
	struct whole a = whole_of(y, qkv, n, bias->ne[0], scale);

	a.bias = (const float *)bias->data;
	a.bias_head = n * n;
	a.bias_row = n;
	if (mask) {
		a.mask = (const float *)mask->data;
		a.mask_sequence = n * n;
		a.n_masks = (unsigned)mask->ne[0];
	}
	run_whole<false>(g, &a, qkv->ne[0]);
}

/* ---- tensor cores ------------------------------------------------------- */

enum {
	WARPS = 4,
	WARP_QUERIES = 16,
	MMA_THREADS = WARPS * WARP,
	ROUND_THREADS = 256,
	MAX_DIM = 128,
};
#define LOG2_E 1.44269504f

struct flash {
	const float *qkv;
	uint16_t *rounded;                  /* [3][n_sequences][n_heads][n_padded][width] */
	void *y;                            /* f32, or bf16 */
	unsigned n_words, n_sequences;      /* 16-byte words of rounded */
	unsigned n_heads, q_tiles, per_row; /* per_row: words of a head's row */
	int n, n_padded, dim, width;
	float scale;
	bool is_aligned, pairs_aligned; /* of qkv: float4; of y: two channels */
	bool is_bf16;                   /* y */
};

/* Queries of sequences, and their caches. */
struct filled {
	const float *q;
	void *y;               /* f32, or bf16 */
	const uint16_t *k, *v; /* [row][n_kv_heads][max_len][width] */
	const int32_t *lens;
	unsigned per_row, n_heads, n_kv_heads, group, q_tiles, width;
	int dim, max_len;
	float scale;
	bool pairs_aligned; /* of q and y: two channels */
	bool is_bf16;       /* y */
};

/* Keys and values of a head: n rows, ld elements apart, `words` times 16 bytes of each. */
struct flash_keys {
	const uint16_t *k, *v;
	unsigned ld, words;
	int n;
};

/* A head's part of y, and where the thread begins in it. */
struct flash_out {
	int64_t ld;
	int n, dim, query, channel;
	bool pairs_aligned;
};

/* A thread has 8 channels; neighbours have neighbouring channels of qkv. */
static __global__ void __launch_bounds__(ROUND_THREADS) round_heads(const struct flash a)
{
	const unsigned i = blockIdx.x * ROUND_THREADS + threadIdx.x;

	if (i >= a.n_words)
		return;
	const unsigned word = i % a.per_row, columns = 3 * a.n_heads, rest = i / a.per_row;
	const unsigned part_head = rest % columns, row = rest / columns; /* of n_padded each */
	const unsigned sequence = row / a.n_padded, t = row % a.n_padded;
	const int left = t < (unsigned)a.n ? a.dim - (int)word * 8 : 0;
	const float *x =
		a.qkv + (((int64_t)sequence * a.n + t) * columns + part_head) * a.dim + word * 8;
	const float4 u = load4(x, left, a.is_aligned), v = load4(x + 4, left - 4, a.is_aligned);
	const unsigned part = part_head / a.n_heads, head = part_head % a.n_heads;
	const int64_t item = ((int64_t)part * a.n_sequences + sequence) * a.n_heads + head;
	const int64_t to = (item * a.n_padded + t) * a.width + word * 8;
	*reinterpret_cast<uint4 *>(a.rounded + to) = make_uint4(
		bf16_pair(u.x, u.y), bf16_pair(u.z, u.w), bf16_pair(v.x, v.y), bf16_pair(v.z, v.w));
}

#if defined(WOODSHED_EMULATED) || __CUDA_ARCH__ >= 800

template <int D> struct flash_tile {
	static const int PER_ROW = D / 8, LD = PER_ROW + 1; /* 16-byte words */
	uint4 at[TILE][LD];
};

/* 64 rows on their way to shared memory, of which `left` are there; zeros for the others.
 * WHOLE: all are there, one after another. */
template <int D, bool WHOLE>
static __device__ __forceinline__ void fetch(
	struct flash_tile<D> *tile, const uint16_t *rows, const struct flash_keys *keys, int left)
{
	const int per_row = flash_tile<D>::PER_ROW;

#pragma unroll
	for (unsigned i = 0; i < TILE * per_row / MMA_THREADS; i++) {
		const unsigned at = threadIdx.x + i * MMA_THREADS, row = at / per_row,
			       word = at % per_row;
		const bool is_there = WHOLE || ((int)row < left && word < keys->words);
		const unsigned from = WHOLE ? at * 8 : row * keys->ld + word * 8;
		copy_async_16(&tile->at[row][word], rows + (is_there ? from : 0), is_there);
	}
	copy_async_commit();
}

/* s = q k^T, 16 queries, 64 keys: s[i] has keys 8i .. 8i + 7 */
template <int D>
static __device__ __forceinline__ void flash_scores(
	float (*s)[4], const unsigned (*q)[4], const struct flash_tile<D> *k, unsigned lane)
{
	/* Lanes 0-7: keys 0-7 of 16, channels 0-7 of 16; 8-15: channels 8-15; then keys 8-15. */
	const unsigned row = lane / 16 * 8 + lane % 8, word = lane / 8 % 2;

#pragma unroll
	for (int i = 0; i < TILE / 8; i++)
		s[i][0] = s[i][1] = s[i][2] = s[i][3] = 0;
#pragma unroll
	for (int d = 0; d < D / 16; d++)
#pragma unroll
		for (int i = 0; i < TILE / 16; i++) {
			unsigned b[4];
			ldmatrix_x4(b, &k->at[i * 16 + row][d * 2 + word]);
			mma_bf16_16x8x16(s[2 * i], q[d], b);
			mma_bf16_16x8x16(s[2 * i + 1], q[d], b + 2);
		}
}

/* o += bf16(p) v: o[i] has channels 8i .. 8i + 7 */
template <int D>
static __device__ __forceinline__ void flash_values(
	float (*o)[4], const float (*p)[4], const struct flash_tile<D> *v, unsigned lane)
{
	/* Lanes 0-7: keys 0-7 of 16, channels 0-7 of 16; 8-15: keys 8-15; then channels 8-15. */
	const unsigned row = lane % 16, word = lane / 16;

#pragma unroll
	for (int k = 0; k < TILE / 16; k++) {
		const float *even = p[2 * k], *odd = p[2 * k + 1];
		const unsigned a[4] = {bf16_pair(even[0], even[1]), bf16_pair(even[2], even[3]),
			bf16_pair(odd[0], odd[1]), bf16_pair(odd[2], odd[3])};
#pragma unroll
		for (int d = 0; d < D / 16; d++) {
			unsigned b[4];
			ldmatrix_x4_trans(b, &v->at[k * 16 + row][d * 2 + word]);
			mma_bf16_16x8x16(o[2 * d], a, b);
			mma_bf16_16x8x16(o[2 * d + 1], a, b + 2);
		}
	}
}

/* Scores become weights; o and l fade.  A thread has columns of two queries, which four
 * lanes share: elements 0, 1 of the first, 2, 3 of the second.  left: keys from the
 * thread's first on. */
template <int D>
static __device__ __forceinline__ void flash_softmax(
	float (*s)[4], float (*o)[4], float *m, float *l, float scale, int left)
{
	if (left < TILE)
#pragma unroll
		for (int i = 0; i < TILE / 8; i++)
#pragma unroll
			for (int j = 0; j < 4; j++)
				s[i][j] = i * 8 + j % 2 < left ? s[i][j] : -INFINITY;
#pragma unroll
	for (int r = 0; r < 2; r++) {
		float top = m[r];
#pragma unroll
		for (int i = 0; i < TILE / 8; i++)
			top = fmaxf(top, fmaxf(s[i][2 * r], s[i][2 * r + 1]));
		top = fmaxf(top, __shfl_xor_sync(ALL_LANES, top, 1));
		top = fmaxf(top, __shfl_xor_sync(ALL_LANES, top, 2));
		const float fade = exp2_fast((m[r] - top) * scale), base = top * scale;
		m[r] = top;
		l[r] *= fade;
#pragma unroll
		for (int i = 0; i < D / 8; i++) {
			o[i][2 * r] *= fade;
			o[i][2 * r + 1] *= fade;
		}
#pragma unroll
		for (int i = 0; i < TILE / 8; i++)
#pragma unroll
			for (int j = 2 * r; j < 2 * r + 2; j++) {
				s[i][j] = exp2_fast(fmaf(s[i][j], scale, -base));
				l[r] += s[i][j];
			}
	}
}

static __device__ __forceinline__ void store_pair(float *to, float2 v)
{
	*reinterpret_cast<float2 *>(to) = v;
}

static __device__ __forceinline__ void store_pair(uint16_t *to, float2 v)
{
	*reinterpret_cast<unsigned *>(to) = bf16_pair(v.x, v.y);
}

/* A thread has channels of two queries, which four lanes share. */
template <int D, typename T>
static __device__ __forceinline__ void flash_write(
	T *y, const struct flash_out *out, const float (*o)[4], const float *l)
{
	const int query = out->query, channel = out->channel;

#pragma unroll
	for (int r = 0; r < 2; r++) {
		float sum = l[r];
		sum += __shfl_xor_sync(ALL_LANES, sum, 1);
		sum += __shfl_xor_sync(ALL_LANES, sum, 2);
		T *to = y + (query + r * 8) * out->ld + channel;
#pragma unroll
		for (int i = 0; i < D / 8; i++) {
			const float2 v = make_float2(o[i][2 * r] / sum, o[i][2 * r + 1] / sum);
			const int left = query + r * 8 < out->n ? out->dim - channel - i * 8 : 0;
			if (out->pairs_aligned && left > 1) {
				store_pair(to + i * 8, v);
				continue;
			}
			if (left > 0)
				store(to + i * 8, v.x);
			if (left > 1)
				store(to + i * 8 + 1, v.y);
		}
	}
}

/* Of the block's 64 queries, whose first keys are on their way: q as mma takes it. */
template <int D, bool WHOLE>
static __device__ __forceinline__ void flash_attend(const struct flash_keys *keys,
	const unsigned (*q)[4], struct flash_tile<D> *k_tile, struct flash_tile<D> *v_tile,
	float scale, float (*o)[4], float *l)
{
	const unsigned lane = threadIdx.x % WARP, pair = lane % 4 * 2;
	const uint16_t *k = keys->k, *v = keys->v;
	float s[TILE / 8][4], m[2] = {-INFINITY, -INFINITY};

	for (int key = 0; key < keys->n; key += TILE) {
		const int left = keys->n - key;
		copy_async_wait<0>();
		__syncthreads(); /* keys are there, the last values used */
		fetch<D, WHOLE>(v_tile, v, keys, left);
		flash_scores<D>(s, q, k_tile, lane);
		copy_async_wait<0>();
		__syncthreads(); /* values are there, the keys used */
		k += TILE * keys->ld;
		v += TILE * keys->ld;
		if (left > TILE)
			fetch<D, WHOLE>(k_tile, k, keys, left - TILE);
		flash_softmax<D>(s, o, m, l, scale, left - (int)pair);
		flash_values<D>(o, s, v_tile, lane);
	}
}

/* The thread's first query and channel. */
static __device__ __forceinline__ int flash_query(unsigned tile)
{
	return (int)(tile * TILE + threadIdx.x / WARP * WARP_QUERIES + threadIdx.x % WARP / 4);
}

static __device__ __forceinline__ int flash_channel(void)
{
	return (int)(threadIdx.x % 4 * 2);
}

template <int D>
static __device__ __forceinline__ void flash_block(
	const struct flash *a, struct flash_tile<D> *k_tile, struct flash_tile<D> *v_tile)
{
	const unsigned tile = blockIdx.x % a->q_tiles, item = blockIdx.x / a->q_tiles,
		       head = item % a->n_heads, sequence = item / a->n_heads;
	const int query = flash_query(tile), channel = flash_channel();
	const int64_t part = (int64_t)a->n_sequences * a->n_heads * a->n_padded * D;
	const uint16_t *const rows = a->rounded + (int64_t)item * a->n_padded * D;
	const uint16_t *const q_rows = rows + (int64_t)query * D + channel;
	const struct flash_keys keys = {rows + part, rows + 2 * part, D, D / 8, a->n};
	unsigned q[D / 16][4];
	float o[D / 8][4] = {}, l[2] = {};

	fetch<D, true>(k_tile, keys.k, &keys, keys.n);
#pragma unroll
	for (int i = 0; i < D / 16; i++)
#pragma unroll
		for (int j = 0; j < 4; j++)
			q[i][j] = *reinterpret_cast<const unsigned *>(
				q_rows + j % 2 * 8 * D + i * 16 + j / 2 * 8);
	flash_attend<D, true>(&keys, q, k_tile, v_tile, a->scale, o, l);
	const struct flash_out out = {
		(int64_t)a->n_heads * a->dim, a->n, a->dim, query, channel, a->pairs_aligned};
	const int64_t at = (int64_t)sequence * a->n * out.ld + (int64_t)head * a->dim;
	if (a->is_bf16)
		flash_write<D>((uint16_t *)a->y + at, &out, o, l);
	else
		flash_write<D>((float *)a->y + at, &out, o, l);
}

/* x[0] and x[1] in bf16, of which `left` are there */
static __device__ __forceinline__ unsigned load_pair(const float *x, int left, bool is_aligned)
{
	if (left > 1 && is_aligned) {
		const float2 v = *reinterpret_cast<const float2 *>(x);
		return bf16_pair(v.x, v.y);
	}
	return bf16_pair(left > 0 ? x[0] : 0, left > 1 ? x[1] : 0);
}

template <int D>
static __device__ __forceinline__ void filled_block(
	const struct filled *a, struct flash_tile<D> *k_tile, struct flash_tile<D> *v_tile)
{
	const unsigned tile = blockIdx.x % a->q_tiles, item = blockIdx.x / a->q_tiles,
		       head = item % a->n_heads, row = item / a->n_heads;
	const int query = flash_query(tile), channel = flash_channel();
	const int64_t ld = (int64_t)a->n_heads * a->dim,
		      at = (int64_t)row * a->per_row * ld + (int64_t)head * a->dim;
	const int64_t base =
		((int64_t)row * a->n_kv_heads + head / a->group) * a->max_len * a->width;
	const struct flash_keys keys = {
		a->k + base, a->v + base, a->width, a->width / 8, a->lens[row]};
	const struct flash_out out = {
		ld, (int)a->per_row, a->dim, query, channel, a->pairs_aligned};
	const float *const x = a->q + at + query * ld + channel;
	unsigned q[D / 16][4];
	float o[D / 8][4] = {}, l[2] = {};

	fetch<D, false>(k_tile, keys.k, &keys, keys.n);
#pragma unroll
	for (int i = 0; i < D / 16; i++)
#pragma unroll
		for (int j = 0; j < 4; j++) {
			const int r = j % 2 * 8, c = i * 16 + j / 2 * 8;
			const int left = query + r < out.n ? a->dim - channel - c : 0;
			q[i][j] = load_pair(x + r * ld + c, left, a->pairs_aligned);
		}
	flash_attend<D, false>(&keys, q, k_tile, v_tile, a->scale, o, l);
	if (a->is_bf16)
		flash_write<D>((uint16_t *)a->y + at, &out, o, l);
	else
		flash_write<D>((float *)a->y + at, &out, o, l);
}

#endif

/* a.scale: scale log2(e) */
template <int D>
static __global__ void __launch_bounds__(MMA_THREADS, D <= 64 ? FLASH_BLOCKS : 2)
	attend_tiles(const struct flash a)
{
#if defined(WOODSHED_EMULATED) || __CUDA_ARCH__ >= 800
	SHARED(struct flash_tile<D>, k_tile, [1]);
	SHARED(struct flash_tile<D>, v_tile, [1]);

	flash_block<D>(&a, k_tile, v_tile);
#endif
}

/* a.scale: scale log2(e) */
template <int D>
static __global__ void __launch_bounds__(MMA_THREADS, D <= 64 ? 3 : 2)
	attend_filled(const struct filled a)
{
#if defined(WOODSHED_EMULATED) || __CUDA_ARCH__ >= 800
	SHARED(struct flash_tile<D>, k_tile, [1]);
	SHARED(struct flash_tile<D>, v_tile, [1]);

	filled_block<D>(&a, k_tile, v_tile);
#endif
}

static int flash_width(int64_t dim)
{
	static const int widths[] = {16, 32, 48, 64, 80, 96, MAX_DIM};
	int i = 0;

	while (widths[i] < dim)
		i++;
	return widths[i];
}

/* RUN(width), one of flash_width() */
#define FOR_WIDTH(width, RUN)                                                                      \
	do {                                                                                       \
		switch (width) {                                                                   \
		case 16:                                                                           \
			RUN(16);                                                                   \
			break;                                                                     \
		case 32:                                                                           \
			RUN(32);                                                                   \
			break;                                                                     \
		case 48:                                                                           \
			RUN(48);                                                                   \
			break;                                                                     \
		case 64:                                                                           \
			RUN(64);                                                                   \
			break;                                                                     \
		case 80:                                                                           \
			RUN(80);                                                                   \
			break;                                                                     \
		case 96:                                                                           \
			RUN(96);                                                                   \
			break;                                                                     \
		default:                                                                           \
			RUN(MAX_DIM);                                                              \
		}                                                                                  \
	} while (0)

static void run_flash(struct gpu *g, const struct flash *a)
{
	const unsigned n = a->n_sequences * a->n_heads * a->q_tiles;

	LAUNCH(g, round_heads, blocks_for(a->n_words, ROUND_THREADS), ROUND_THREADS, 0, *a);
#define RUN(D) LAUNCH(g, (attend_tiles<D>), n, MMA_THREADS, 0, *a)
	FOR_WIDTH(a->width, RUN);
#undef RUN
}

void cuda_attention_tiles(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *qkv,
	int64_t n_heads, float scale)
{
	const int64_t n = qkv->ne[qkv->n_dims - 2], dim = y->ne[y->n_dims - 1] / n_heads,
		      n_sequences = sequences_of(qkv);
	const unsigned q_tiles = blocks_for(n, TILE);

	if (dim > MAX_DIM || cuda_of(g)->arch < 80 || scale <= 0) {
		struct whole a = whole_of(y, qkv, n, n_heads, scale);
		a.y = attention_f32(g, y);
		if (!a.y)
			return;
		run_whole<true>(g, &a, n_sequences);
		attention_narrow(g, y, a.y);
		return;
	}
	const int width = flash_width(dim);
	const int64_t n_padded = (int64_t)q_tiles * TILE,
		      elements = 3 * n_sequences * n_heads * n_padded * width;
	const struct flash a = {.qkv = (const float *)qkv->data,
		.rounded = (uint16_t *)cuda_scratch(g, 0, (size_t)elements * sizeof(uint16_t)),
		.y = y->data,
		.n_words = (unsigned)(elements / 8),
		.n_sequences = (unsigned)n_sequences,
		.n_heads = (unsigned)n_heads,
		.q_tiles = q_tiles,
		.per_row = (unsigned)width / 8,
		.n = (int)n,
		.n_padded = (int)n_padded,
		.dim = (int)dim,
		.width = width,
		.scale = scale * LOG2_E,
		.is_aligned = (uintptr_t)qkv->data % 16 == 0 && dim % 4 == 0,
		.pairs_aligned = (uintptr_t)y->data % 8 == 0 && dim % 2 == 0,
		.is_bf16 = y->dtype == GPU_BF16};
	if (a.rounded)
		run_flash(g, &a);
}

bool cuda_attends_filled(const struct gpu *g, const struct gpu_kv *kv, float scale)
{
	return kv->head_dim <= MAX_DIM && cuda_of(g)->arch >= 80 && scale > 0;
}

void cuda_attention_filled(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *q,
	const struct gpu_kv *kv, float scale)
{
	const int64_t dim = kv->head_dim, n_heads = q->ne[1] / dim, per_row = q->ne[0] / kv->n_rows;
	const struct filled a = {.q = (const float *)q->data,
		.y = y->data,
		.k = (const uint16_t *)kv->k->data,
		.v = (const uint16_t *)kv->v->data,
		.lens = (const int32_t *)kv->lens->data,
		.per_row = (unsigned)per_row,
		.n_heads = (unsigned)n_heads,
		.n_kv_heads = (unsigned)kv->n_heads,
		.group = (unsigned)(n_heads / kv->n_heads),
		.q_tiles = blocks_for(per_row, TILE),
		.width = (unsigned)kv_width(dim),
		.dim = (int)dim,
		.max_len = (int)kv->max_len,
		.scale = scale * LOG2_E,
		.pairs_aligned = ((uintptr_t)q->data | (uintptr_t)y->data) % 8 == 0 && dim % 2 == 0,
		.is_bf16 = y->dtype == GPU_BF16};
	const unsigned n = (unsigned)(kv->n_rows * n_heads) * a.q_tiles;

#define RUN(D) LAUNCH(g, (attend_filled<D>), n, MMA_THREADS, 0, a)
	FOR_WIDTH(flash_width(dim), RUN);
#undef RUN
}
