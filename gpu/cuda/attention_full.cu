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
 * 3.35 TB/s, less as far as qkv is still in L2: 5.9 us on an H200.
 *
 * attend_tiles: a block of four warps has 64 queries of a head, a warp 16 of them with
 * their part of q and of y in registers.  Per 64 keys, which come by asynchronous copies
 * into shared memory:
 *	s = q k^T by mma.sync m16n8k16, bf16 to f32;  c = scale log2(e) > 0,
 *	m' = max(m, max s),  p = 2^(c s - c m'),  l = l 2^(c m - c m') + sum p,
 *	o = o 2^(c m - c m') + bf16(p) v by mma.sync, and in the end y = o / l.
 * Heads of up to 80 have room for two stages (32 where a multiprocessor has 100 KB): keys and
 * values of the next 64 come while these are used, a barrier each; of a last tile of up to 16
 * keys no more are computed.  Wider ones get keys while values are used and values while keys
 * are.  Blocks of heads up to 64 have three warps where that leaves less to the multiprocessor
 * that has most: of 1025 queries and 24 heads 4 x 48 queries of 528 blocks on 132, not 4 x 64 of
 * 408.  A query's bits are the same in all.
 *
 * attend_filled: the same, keys and values from a cache (attention.cu) of GPU_TILES, which
 * heads of q may share, q rounded on its way from memory; what a tile has beyond the keys
 * and channels that are there is filled with zeros.  One launch, 4 n_q n_keys heads D FLOPs:
 * Stable Audio (1025 queries, 130 keys, 24 heads of 64) 0.8 GFLOP, 12 MB of q and y: 14.5 us
 * on an H200.  As 408 blocks of which 3 fit a multiprocessor, two waves with three whole tiles,
 * it took 20.4 us.
 *
 * Rows in shared memory are D + 8 elements apart, so that ldmatrix has no bank conflicts.
 * 4 T^2 heads D FLOPs: Stable Audio 6.5 GFLOP a layer, 13 us at 500 TFLOP/s (about what
 * mma.sync reaches of an H100's 989); exponentials take as long: 16 a clock and
 * multiprocessor.  On an H200 33.9 us, 191 TFLOP/s; one stage and 408 blocks took 38.4 us.
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
	WARPS = 4, /* or 3, of heads up to FEW_WIDTH wide */
	FEW_WIDTH = 64,
	WARP_QUERIES = 16,
	FEW_KEYS = 16, /* of a tile that has no more */
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
	*reinterpret_cast<uint4 *>(a.rounded + to) = make_uint4(f32_to_bf16_pair(u.x, u.y),
		f32_to_bf16_pair(u.z, u.w), f32_to_bf16_pair(v.x, v.y), f32_to_bf16_pair(v.z, v.w));
}

#if defined(WOODSHED_EMULATED) || __CUDA_ARCH__ >= 800

/* Heads up to this wide have two stages: where a multiprocessor has room for as many blocks as its
 * registers take, and a block may have as much. */
#if defined(__CUDA_ARCH__) &&                                                                      \
	(__CUDA_ARCH__ >= 1200 || (__CUDA_ARCH__ > 800 && __CUDA_ARCH__ < 900))
enum { STAGED_WIDTH = 32 }; /* 100 KB */
#else
enum { STAGED_WIDTH = 80 };
#endif

template <int D> struct flash_tile {
	static const int PER_ROW = D / 8, LD = PER_ROW + 1; /* 16-byte words */
	/* pairs of tiles, of keys and of values, in shared memory */
	static const int STAGES = D <= STAGED_WIDTH ? 2 : 1;
	uint4 at[TILE][LD];
};

/* 64 rows on their way to shared memory, of which `left` are there; zeros for the others.
 * WHOLE: all are there, one after another. */
template <int D, int N_WARPS, bool WHOLE>
static __device__ __forceinline__ void fetch(
	struct flash_tile<D> *tile, const uint16_t *rows, const struct flash_keys *keys, int left)
{
	constexpr unsigned per_row = flash_tile<D>::PER_ROW, all = TILE * per_row,
			   threads = N_WARPS * WARP;

#pragma unroll
	for (unsigned i = 0; i < (all + threads - 1) / threads; i++) {
		const unsigned at = threadIdx.x + i * threads, row = at / per_row,
			       word = at % per_row;
		if (all % threads != 0 && at >= all)
			break;
		const bool is_there = WHOLE || ((int)row < left && word < keys->words);
		const unsigned from = WHOLE ? at * 8 : row * keys->ld + word * 8;
		copy_async_16(&tile->at[row][word], rows + (is_there ? from : 0), is_there);
	}
}

/* s = q k^T, 16 queries, KEYS keys: s[i] has keys 8i .. 8i + 7 */
template <int D, int KEYS>
static __device__ __forceinline__ void flash_scores(
	float (*s)[4], const unsigned (*q)[4], const struct flash_tile<D> *k, unsigned lane)
{
	/* Lanes 0-7: keys 0-7 of 16, channels 0-7 of 16; 8-15: channels 8-15; then keys 8-15. */
	const unsigned row = lane / 16 * 8 + lane % 8, word = lane / 8 % 2;

#pragma unroll
	for (int i = 0; i < KEYS / 8; i++)
		s[i][0] = s[i][1] = s[i][2] = s[i][3] = 0;
#pragma unroll
	for (int d = 0; d < D / 16; d++)
#pragma unroll
		for (int i = 0; i < KEYS / 16; i++) {
			unsigned b[4];
			ldmatrix_x4(b, &k->at[i * 16 + row][d * 2 + word]);
			mma_bf16_16x8x16(s[2 * i], q[d], b);
			mma_bf16_16x8x16(s[2 * i + 1], q[d], b + 2);
		}
}

/* o += bf16(p) v: o[i] has channels 8i .. 8i + 7 */
template <int D, int KEYS>
static __device__ __forceinline__ void flash_values(
	float (*o)[4], const float (*p)[4], const struct flash_tile<D> *v, unsigned lane)
{
	/* Lanes 0-7: keys 0-7 of 16, channels 0-7 of 16; 8-15: keys 8-15; then channels 8-15. */
	const unsigned row = lane % 16, word = lane / 16;

#pragma unroll
	for (int k = 0; k < KEYS / 16; k++) {
		const float *even = p[2 * k], *odd = p[2 * k + 1];
		const unsigned a[4] = {f32_to_bf16_pair(even[0], even[1]),
			f32_to_bf16_pair(even[2], even[3]), f32_to_bf16_pair(odd[0], odd[1]),
			f32_to_bf16_pair(odd[2], odd[3])};
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
template <int D, int KEYS>
static __device__ __forceinline__ void flash_softmax(
	float (*s)[4], float (*o)[4], float *m, float *l, float scale, int left)
{
	if (left < KEYS)
#pragma unroll
		for (int i = 0; i < KEYS / 8; i++)
#pragma unroll
			for (int j = 0; j < 4; j++)
				s[i][j] = i * 8 + j % 2 < left ? s[i][j] : -INFINITY;
#pragma unroll
	for (int r = 0; r < 2; r++) {
		float top = m[r];
#pragma unroll
		for (int i = 0; i < KEYS / 8; i++)
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
		for (int i = 0; i < KEYS / 8; i++)
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
	*reinterpret_cast<unsigned *>(to) = f32_to_bf16_pair(v.x, v.y);
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

/* One tile of keys, of which `left` are there. */
template <int D, int KEYS>
static __device__ __forceinline__ void flash_step(const unsigned (*q)[4],
	const struct flash_tile<D> *k, const struct flash_tile<D> *v, float scale, float (*o)[4],
	float *m, float *l, int left)
{
	const unsigned lane = threadIdx.x % WARP;
	float s[KEYS / 8][4];

	flash_scores<D, KEYS>(s, q, k, lane);
	flash_softmax<D, KEYS>(s, o, m, l, scale, left - (int)(lane % 4 * 2));
	flash_values<D, KEYS>(o, s, v, lane);
}

/* The first of two loads of tiles that flash_attend() goes on with: with two stages keys and
 * values, else keys. */
template <int D, int N_WARPS, bool WHOLE>
static __device__ __forceinline__ void flash_begin(
	const struct flash_keys *keys, struct flash_tile<D> *tiles)
{
	fetch<D, N_WARPS, WHOLE>(tiles, keys->k, keys, keys->n);
	if (flash_tile<D>::STAGES == 2)
		fetch<D, N_WARPS, WHOLE>(tiles + 1, keys->v, keys, keys->n);
	copy_async_commit();
}

/* Of the block's queries, after flash_begin(): q as mma takes it.  tiles: keys, values, and with
 * two stages those of the next, which come while these are used. */
template <int D, int N_WARPS, bool WHOLE>
static __device__ __forceinline__ void flash_attend(const struct flash_keys *keys,
	const unsigned (*q)[4], struct flash_tile<D> *tiles, float scale, float (*o)[4], float *l)
{
	const uint16_t *k = keys->k, *v = keys->v;
	float m[2] = {-INFINITY, -INFINITY};
	int stage = 0;

	for (int left = keys->n; left > 0; left -= TILE) {
		struct flash_tile<D> *const k_tile = tiles + stage, *const v_tile = k_tile + 1;
		copy_async_wait<0>();
		__syncthreads(); /* they are there, those before used */
		k += TILE * keys->ld;
		if (flash_tile<D>::STAGES == 2) {
			v += TILE * keys->ld;
			stage = 2 - stage;
			if (left > TILE) {
				fetch<D, N_WARPS, WHOLE>(tiles + stage, k, keys, left - TILE);
				fetch<D, N_WARPS, WHOLE>(tiles + stage + 1, v, keys, left - TILE);
				copy_async_commit();
			}
			if (left > FEW_KEYS)
				flash_step<D, TILE>(q, k_tile, v_tile, scale, o, m, l, left);
			else
				flash_step<D, FEW_KEYS>(q, k_tile, v_tile, scale, o, m, l, left);
		} else {
			const unsigned lane = threadIdx.x % WARP;
			float s[TILE / 8][4];
			fetch<D, N_WARPS, WHOLE>(v_tile, v, keys, left);
			copy_async_commit();
			flash_scores<D, TILE>(s, q, k_tile, lane);
			copy_async_wait<0>();
			__syncthreads(); /* values are there, the keys used */
			v += TILE * keys->ld;
			if (left > TILE)
				fetch<D, N_WARPS, WHOLE>(k_tile, k, keys, left - TILE);
			copy_async_commit();
			flash_softmax<D, TILE>(s, o, m, l, scale, left - (int)(lane % 4 * 2));
			flash_values<D, TILE>(o, s, v_tile, lane);
		}
	}
}

/* The thread's first query and channel. */
template <int N_WARPS> static __device__ __forceinline__ int flash_query(unsigned tile)
{
	return (int)((tile * N_WARPS + threadIdx.x / WARP) * WARP_QUERIES + threadIdx.x % WARP / 4);
}

static __device__ __forceinline__ int flash_channel(void)
{
	return (int)(threadIdx.x % 4 * 2);
}

template <int D, int N_WARPS>
static __device__ __forceinline__ void flash_block(
	const struct flash *a, struct flash_tile<D> *tiles)
{
	const unsigned tile = blockIdx.x % a->q_tiles, item = blockIdx.x / a->q_tiles,
		       head = item % a->n_heads, sequence = item / a->n_heads;
	const int query = flash_query<N_WARPS>(tile), channel = flash_channel();
	const int64_t part = (int64_t)a->n_sequences * a->n_heads * a->n_padded * D;
	const uint16_t *const rows = a->rounded + (int64_t)item * a->n_padded * D;
	const struct flash_keys keys = {rows + part, rows + 2 * part, D, D / 8, a->n};
	/* The last block's queries may go on beyond what is filled up. */
	const int at_row[2] = {min(query, a->n_padded - 1) * D + channel,
		min(query + 8, a->n_padded - 1) * D + channel};
	unsigned q[D / 16][4];
	float o[D / 8][4] = {}, l[2] = {};

	flash_begin<D, N_WARPS, true>(&keys, tiles);
#pragma unroll
	for (int i = 0; i < D / 16; i++)
#pragma unroll
		for (int j = 0; j < 4; j++)
			q[i][j] = *reinterpret_cast<const unsigned *>(
				rows + at_row[j % 2] + i * 16 + j / 2 * 8);
	flash_attend<D, N_WARPS, true>(&keys, q, tiles, a->scale, o, l);
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
		return f32_to_bf16_pair(v.x, v.y);
	}
	return f32_to_bf16_pair(left > 0 ? x[0] : 0, left > 1 ? x[1] : 0);
}

template <int D, int N_WARPS>
static __device__ __forceinline__ void filled_block(
	const struct filled *a, struct flash_tile<D> *tiles)
{
	const unsigned tile = blockIdx.x % a->q_tiles, item = blockIdx.x / a->q_tiles,
		       head = item % a->n_heads, row = item / a->n_heads;
	const int query = flash_query<N_WARPS>(tile), channel = flash_channel();
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

	flash_begin<D, N_WARPS, false>(&keys, tiles);
#pragma unroll
	for (int i = 0; i < D / 16; i++)
#pragma unroll
		for (int j = 0; j < 4; j++) {
			const int r = j % 2 * 8, c = i * 16 + j / 2 * 8;
			const int left = query + r < out.n ? a->dim - channel - c : 0;
			q[i][j] = load_pair(x + r * ld + c, left, a->pairs_aligned);
		}
	flash_attend<D, N_WARPS, false>(&keys, q, tiles, a->scale, o, l);
	if (a->is_bf16)
		flash_write<D>((uint16_t *)a->y + at, &out, o, l);
	else
		flash_write<D>((float *)a->y + at, &out, o, l);
}

#endif

/* Blocks that a multiprocessor has room for, at least; small: of three warps. */
template <int D, int N_WARPS> struct flash_blocks {
	static const bool IS_SMALL = N_WARPS < WARPS;
	static const bool IS_WIDE = D > FEW_WIDTH;
	static const int TILES = IS_WIDE ? 2 : IS_SMALL ? 4 : FLASH_BLOCKS;
	static const int FILLED = IS_WIDE ? 2 : IS_SMALL ? FILLED_SMALL_BLOCKS : FILLED_BLOCKS;
};

/* a.scale: scale log2(e) */
template <int D, int N_WARPS>
static __global__ void __launch_bounds__(N_WARPS *WARP, flash_blocks<D, N_WARPS>::TILES)
	attend_tiles(const struct flash a)
{
#if defined(WOODSHED_EMULATED) || __CUDA_ARCH__ >= 800
	SHARED(struct flash_tile<D>, tiles, [2 * flash_tile<D>::STAGES]);

	flash_block<D, N_WARPS>(&a, tiles);
#endif
}

/* a.scale: scale log2(e) */
template <int D, int N_WARPS>
static __global__ void __launch_bounds__(N_WARPS *WARP, flash_blocks<D, N_WARPS>::FILLED)
	attend_filled(const struct filled a)
{
#if defined(WOODSHED_EMULATED) || __CUDA_ARCH__ >= 800
	SHARED(struct flash_tile<D>, tiles, [2 * flash_tile<D>::STAGES]);

	filled_block<D, N_WARPS>(&a, tiles);
#endif
}

/* Warps of a block, for `items` heads of n queries each: those that leave the fewest to the
 * multiprocessor that has most.  Wide heads have no kernel of three. */
static unsigned flash_warps(const struct gpu *g, int64_t n, int64_t items, int width)
{
	const int64_t n_multiprocessors = cuda_of(g)->n_multiprocessors;
	int64_t best = INT64_MAX;
	unsigned warps = WARPS;

	for (unsigned w = WARPS; w >= (width <= FEW_WIDTH ? 3 : WARPS); w--) {
		const int64_t blocks = items * blocks_for(n, w * WARP_QUERIES),
			      most = blocks_for(blocks, n_multiprocessors) * w;
		if (most < best) {
			best = most;
			warps = w;
		}
	}
	return warps;
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

static void run_flash(struct gpu *g, struct flash *a)
{
	const int64_t items = (int64_t)a->n_sequences * a->n_heads;
	const unsigned warps = flash_warps(g, a->n, items, a->width);

	a->q_tiles = blocks_for(a->n, warps * WARP_QUERIES);
	const unsigned n = (unsigned)items * a->q_tiles;

	LAUNCH(g, round_heads, blocks_for(a->n_words, ROUND_THREADS), ROUND_THREADS, 0, *a);
#define RUN(D)                                                                                     \
	do {                                                                                       \
		if (warps == 3)                                                                    \
			LAUNCH(g, (attend_tiles < D, D <= FEW_WIDTH ? 3 : WARPS >), n, 3 * WARP,   \
				0, *a);                                                            \
		else                                                                               \
			LAUNCH(g, (attend_tiles<D, WARPS>), n, WARPS *WARP, 0, *a);                \
	} while (0)
	FOR_WIDTH(a->width, RUN);
#undef RUN
}

void cuda_attention_tiles(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *qkv,
	int64_t n_heads, float scale)
{
	const int64_t n = qkv->ne[qkv->n_dims - 2], dim = y->ne[y->n_dims - 1] / n_heads,
		      n_sequences = sequences_of(qkv);

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
	const int64_t n_padded = (n + TILE - 1) / TILE * TILE,
		      elements = 3 * n_sequences * n_heads * n_padded * width;
	struct flash a = {.qkv = (const float *)qkv->data,
		.rounded = (uint16_t *)cuda_scratch(g, 0, (size_t)elements * sizeof(uint16_t)),
		.y = y->data,
		.n_words = (unsigned)(elements / 8),
		.n_sequences = (unsigned)n_sequences,
		.n_heads = (unsigned)n_heads,
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
	const int64_t items = kv->n_rows * n_heads;
	const unsigned warps = flash_warps(g, per_row, items, flash_width(dim));
	const struct filled a = {.q = (const float *)q->data,
		.y = y->data,
		.k = (const uint16_t *)kv->k->data,
		.v = (const uint16_t *)kv->v->data,
		.lens = (const int32_t *)kv->lens->data,
		.per_row = (unsigned)per_row,
		.n_heads = (unsigned)n_heads,
		.n_kv_heads = (unsigned)kv->n_heads,
		.group = (unsigned)(n_heads / kv->n_heads),
		.q_tiles = blocks_for(per_row, warps * WARP_QUERIES),
		.width = (unsigned)kv_width(dim),
		.dim = (int)dim,
		.max_len = (int)kv->max_len,
		.scale = scale * LOG2_E,
		.pairs_aligned = ((uintptr_t)q->data | (uintptr_t)y->data) % 8 == 0 && dim % 2 == 0,
		.is_bf16 = y->dtype == GPU_BF16};
	const unsigned n = (unsigned)items * a.q_tiles;

#define RUN(D)                                                                                     \
	do {                                                                                       \
		if (warps == 3)                                                                    \
			LAUNCH(g, (attend_filled < D, D <= FEW_WIDTH ? 3 : WARPS >), n, 3 * WARP,  \
				0, a);                                                             \
		else                                                                               \
			LAUNCH(g, (attend_filled<D, WARPS>), n, WARPS *WARP, 0, a);                \
	} while (0)
	FOR_WIDTH(flash_width(dim), RUN);
#undef RUN
}
