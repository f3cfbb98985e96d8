/* Attention over whole sequences: qkv [T, 3H], columns q, k, v, heads contiguous.
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
 * round_heads: qkv to bf16, to nearest even, as [q, k, v][head][T'][D] with T' = T rounded
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
static __global__ void __launch_bounds__(TILE_THREADS, WIDE == 1 ? 3 : 2)
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
	const int64_t n = qkv->ne[0];
	struct whole a = whole_of(y, qkv, n, n_heads, scale);

	if (bias) { /* column k - q + n - 1 */
		a.bias = (const float *)bias->data + n - 1;
		a.bias_head = 2 * n - 1;
		a.bias_row = -1;
	}
	run_whole<false>(g, &a, 1);
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

struct flash {
	const float *qkv;
	uint16_t *rounded; /* [3][n_heads][n_padded][width] */
	float *y;
	int64_t n_words;                    /* 16-byte words of rounded */
	unsigned n_heads, q_tiles, per_row; /* per_row: words of a head's row */
	int n, n_padded, dim, width;
	float scale;
	bool is_aligned, pairs_aligned; /* of qkv: float4; of y: float2 */
};

static __device__ __forceinline__ unsigned bf16_pair(float low, float high)
{
	const __nv_bfloat162 h = __floats2bfloat162_rn(low, high);
	unsigned u;

	memcpy(&u, &h, sizeof(u));
	return u;
}

/* A thread has 8 channels; neighbours have neighbouring channels of qkv. */
static __global__ void __launch_bounds__(ROUND_THREADS) round_heads(const struct flash a)
{
	const int64_t i = blockIdx.x * (int64_t)ROUND_THREADS + threadIdx.x;

	if (i >= a.n_words)
		return;
	const unsigned word = (unsigned)(i % a.per_row), columns = 3 * a.n_heads;
	const int64_t rest = i / a.per_row;
	const unsigned part_head = (unsigned)(rest % columns); /* part * n_heads + head */
	const int64_t t = rest / columns;
	const int left = t < a.n ? a.dim - (int)word * 8 : 0;
	const float *x = a.qkv + (t * columns + part_head) * a.dim + word * 8;
	const float4 u = load4(x, left, a.is_aligned), v = load4(x + 4, left - 4, a.is_aligned);
	const int64_t to = ((int64_t)part_head * a.n_padded + t) * a.width + word * 8;
	*reinterpret_cast<uint4 *>(a.rounded + to) = make_uint4(
		bf16_pair(u.x, u.y), bf16_pair(u.z, u.w), bf16_pair(v.x, v.y), bf16_pair(v.z, v.w));
}

#if defined(WOODSHED_EMULATED) || __CUDA_ARCH__ >= 800

/* 2^x to 2 ulp, 0 below 2^-126 */
static __device__ __forceinline__ float exp2_fast(float x)
{
#if defined(WOODSHED_EMULATED)
	return exp2f(x);
#else
	float y;
	asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
	return y;
#endif
}

template <int D> struct flash_tile {
	static const int PER_ROW = D / 8, LD = PER_ROW + 1; /* 16-byte words */
	uint4 at[TILE][LD];
};

/* 64 rows, contiguous in memory, on their way to shared memory */
template <int D>
static __device__ __forceinline__ void fetch(struct flash_tile<D> *tile, const uint16_t *rows)
{
	const int per_row = flash_tile<D>::PER_ROW;

#pragma unroll
	for (unsigned i = 0; i < TILE * per_row / MMA_THREADS; i++) {
		const unsigned at = threadIdx.x + i * MMA_THREADS;
		copy_async_16(&tile->at[at / per_row][at % per_row], rows + at * 8, true);
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

template <int D>
static __device__ __forceinline__ void flash_write(
	const struct flash *a, float *y, float (*o)[4], const float *l, int query, int channel)
{
#pragma unroll
	for (int r = 0; r < 2; r++) {
		float sum = l[r];
		sum += __shfl_xor_sync(ALL_LANES, sum, 1);
		sum += __shfl_xor_sync(ALL_LANES, sum, 2);
		float *to = y + (query + r * 8) * ((int64_t)a->n_heads * a->dim) + channel;
#pragma unroll
		for (int i = 0; i < D / 8; i++) {
			const float2 v = make_float2(o[i][2 * r] / sum, o[i][2 * r + 1] / sum);
			const int left = query + r * 8 < a->n ? a->dim - channel - i * 8 : 0;
			if (a->pairs_aligned && left > 1) {
				*reinterpret_cast<float2 *>(to + i * 8) = v;
				continue;
			}
			if (left > 0)
				to[i * 8] = v.x;
			if (left > 1)
				to[i * 8 + 1] = v.y;
		}
	}
}

template <int D>
static __device__ __forceinline__ void flash_block(
	const struct flash *a, struct flash_tile<D> *k_tile, struct flash_tile<D> *v_tile)
{
	const unsigned tile = blockIdx.x % a->q_tiles, head = blockIdx.x / a->q_tiles,
		       lane = threadIdx.x % WARP, pair = lane % 4 * 2;
	const int query = (int)(tile * TILE + threadIdx.x / WARP * WARP_QUERIES + lane / 4);
	const int64_t part = (int64_t)a->n_heads * a->n_padded * D;
	const uint16_t *const q_rows =
		a->rounded + ((int64_t)head * a->n_padded + query) * D + pair;
	const uint16_t *k = a->rounded + part + (int64_t)head * a->n_padded * D, *v = k + part;
	unsigned q[D / 16][4];
	float s[TILE / 8][4], o[D / 8][4] = {}, m[2] = {-INFINITY, -INFINITY}, l[2] = {};

	fetch(k_tile, k);
#pragma unroll
	for (int i = 0; i < D / 16; i++)
#pragma unroll
		for (int j = 0; j < 4; j++)
			q[i][j] = *reinterpret_cast<const unsigned *>(
				q_rows + j % 2 * 8 * D + i * 16 + j / 2 * 8);
	for (int key = 0; key < a->n; key += TILE) {
		copy_async_wait<0>();
		__syncthreads(); /* keys are there, the last values used */
		fetch(v_tile, v);
		flash_scores<D>(s, q, k_tile, lane);
		copy_async_wait<0>();
		__syncthreads(); /* values are there, the keys used */
		k += TILE * D;
		v += TILE * D;
		if (key + TILE < a->n)
			fetch(k_tile, k);
		flash_softmax<D>(s, o, m, l, a->scale, a->n - key - (int)pair);
		flash_values<D>(o, s, v_tile, lane);
	}
	flash_write<D>(a, a->y + (int64_t)head * a->dim, o, l, query, (int)pair);
}

#endif

/* a.scale: scale log2(e) */
template <int D>
static __global__ void __launch_bounds__(MMA_THREADS, D <= 64 ? 4 : 2)
	attend_tiles(const struct flash a)
{
#if defined(WOODSHED_EMULATED) || __CUDA_ARCH__ >= 800
	SHARED(struct flash_tile<D>, k_tile, [1]);
	SHARED(struct flash_tile<D>, v_tile, [1]);

	flash_block<D>(&a, k_tile, v_tile);
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

static void run_flash(struct gpu *g, const struct flash *a)
{
	const unsigned n = a->n_heads * a->q_tiles;

	LAUNCH(g, round_heads, blocks_for(a->n_words, ROUND_THREADS), ROUND_THREADS, 0, *a);
	switch (a->width) {
	case 16:
		LAUNCH(g, (attend_tiles<16>), n, MMA_THREADS, 0, *a);
		break;
	case 32:
		LAUNCH(g, (attend_tiles<32>), n, MMA_THREADS, 0, *a);
		break;
	case 48:
		LAUNCH(g, (attend_tiles<48>), n, MMA_THREADS, 0, *a);
		break;
	case 64:
		LAUNCH(g, (attend_tiles<64>), n, MMA_THREADS, 0, *a);
		break;
	case 80:
		LAUNCH(g, (attend_tiles<80>), n, MMA_THREADS, 0, *a);
		break;
	case 96:
		LAUNCH(g, (attend_tiles<96>), n, MMA_THREADS, 0, *a);
		break;
	default:
		LAUNCH(g, (attend_tiles<MAX_DIM>), n, MMA_THREADS, 0, *a);
	}
}

void cuda_attention_tiles(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *qkv,
	int64_t n_heads, float scale)
{
	const int64_t n = qkv->ne[0], dim = y->ne[1] / n_heads;
	const unsigned q_tiles = blocks_for(n, TILE);

	if (dim > MAX_DIM || cuda_of(g)->arch < 80 || scale <= 0) {
		const struct whole a = whole_of(y, qkv, n, n_heads, scale);
		run_whole<true>(g, &a, 1);
		return;
	}
	const int width = flash_width(dim);
	const int64_t n_padded = (int64_t)q_tiles * TILE, elements = 3 * n_heads * n_padded * width;
	const struct flash a = {.qkv = (const float *)qkv->data,
		.rounded = (uint16_t *)cuda_scratch(g, 0, (size_t)elements * sizeof(uint16_t)),
		.y = (float *)y->data,
		.n_words = elements / 8,
		.n_heads = (unsigned)n_heads,
		.q_tiles = q_tiles,
		.per_row = (unsigned)width / 8,
		.n = (int)n,
		.n_padded = (int)n_padded,
		.dim = (int)dim,
		.width = width,
		.scale = scale * 1.44269504f,
		.is_aligned = (uintptr_t)qkv->data % 16 == 0 && dim % 4 == 0,
		.pairs_aligned = (uintptr_t)y->data % 8 == 0 && dim % 2 == 0};
	if (a.rounded)
		run_flash(g, &a);
}
