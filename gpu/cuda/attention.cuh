/* attention.cuh: attention in f32 without tensor cores, one block's part of it, for the
 * kernels of attention.cu and attention_full.cu.
 *
 * A block of 128 threads takes 64 queries of one head and goes through the keys that
 * they see, 64 at a time:
 *	s[q,k] = scale sum_i q[q,i] k[k,i] + bias[q,k] + mask[q,k]
 *	m' = max(m, max_k s),  p = exp(s - m'),  l = l exp(m - m') + sum_k p,
 *	o = o exp(m - m') + p v,  and in the end y = o / l.
 * Both products are one: acc[8 x 4 a thread] += a[k][64]^T b[k][64] over 32 of k that lie
 * in shared memory; first k counts channels, then keys.  Sums are f32, one chain of fused
 * multiply-adds over channels in ascending order, then over keys.  No score leaves the
 * block.  A block writes up to 128 channels of y; wider heads take several blocks, each
 * of which computes the scores anew.
 *
 * 32 KB of shared memory, without bank conflicts; per thread and k three 16-byte loads
 * from it for 32 FMAs, which is half of what its ports could take.
 * A block moves (n_q + n_k n_q / 64) rows of q and 2 n_k of keys and values, from L2. */
#ifndef WOODSHED_GPU_CUDA_ATTENTION_CUH
#define WOODSHED_GPU_CUDA_ATTENTION_CUH

#include "gpu/cuda/kernel.cuh"

enum {
	TILE = 64, /* queries and keys of a block */
	STEP = 32, /* of the summed index, in shared memory at a time */
	TILE_THREADS = 128,
	TILE_FLOATS = STEP * TILE,
	ROWS = 8, /* queries of a thread, and .. */
	COLS = 4, /* .. keys, or channels of one tile */
	LANES = TILE / COLS,
	MAX_WIDE = 2, /* tiles of channels that a block writes */
};

/* Blocks whose registers fit a multiprocessor without spilling. */
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 1200
enum { TILE_BLOCKS = 2, FLASH_BLOCKS = 3, FILLED_BLOCKS = 2, FILLED_SMALL_BLOCKS = 2 };
#elif defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 1000
enum { TILE_BLOCKS = 2, FLASH_BLOCKS = 3, FILLED_BLOCKS = 2, FILLED_SMALL_BLOCKS = 4 };
#else
enum { TILE_BLOCKS = 3, FLASH_BLOCKS = 4, FILLED_BLOCKS = 3, FILLED_SMALL_BLOCKS = 4 };
#endif

/* A tile is [k][TILE].  Groups of four columns change places with k / 4: then storing
 * four neighbours of k (transposing) and reading four columns of one k are both free of
 * bank conflicts. */
static __device__ __forceinline__ unsigned tile_at(unsigned k, unsigned column)
{
	return k * TILE + (column / 4 ^ (k / 4 & 7)) * 4 + column % 4;
}

/* Channels that a position of a cache has room for. */
static __host__ __device__ __forceinline__ int64_t kv_width(int64_t dim)
{
	return (dim + 7) / 8 * 8;
}

static __device__ __forceinline__ float round_bf16(float x)
{
	return bf16_to_f32(f32_to_bf16(x));
}

/* p[0..3], of which n are there; the rest is zero. */
static __device__ __forceinline__ float4 load4(const float *p, int n, bool is_aligned)
{
	float4 v = make_float4(0, 0, 0, 0);

	if (n >= 4 && is_aligned)
		return *reinterpret_cast<const float4 *>(p);
	if (n > 0)
		v.x = p[0];
	if (n > 1)
		v.y = p[1];
	if (n > 2)
		v.z = p[2];
	if (n > 3)
		v.w = p[3];
	return v;
}

/* bf16 comes from caches alone, whose rows are whole groups. */
static __device__ __forceinline__ float4 load4(const uint16_t *p, int n, bool is_aligned)
{
	if (n <= 0)
		return make_float4(0, 0, 0, 0);
	const uint2 u = *reinterpret_cast<const uint2 *>(p);
	return make_float4(__uint_as_float(u.x << 16), __uint_as_float(u.x & 0xffff0000u),
		__uint_as_float(u.y << 16), __uint_as_float(u.y & 0xffff0000u));
}

/* A matrix in global memory as tiles take it: zero beyond its rows and columns. */
template <typename E> struct tile_source {
	const E *at;
	int64_t ld;
	int rows, columns;
	bool is_aligned; /* float4 at every fourth column */
};

template <bool ROUND, typename E>
static __device__ __forceinline__ float4 source4(
	const struct tile_source<E> *x, int row, int column)
{
	if (row >= x->rows)
		return make_float4(0, 0, 0, 0);
	float4 v = load4(x->at + row * x->ld + column, x->columns - column, x->is_aligned);
	if (ROUND)
		v = make_float4(round_bf16(v.x), round_bf16(v.y), round_bf16(v.z), round_bf16(v.w));
	return v;
}

/* tile[k][r] = x[row + r][column + k], k < STEP */
template <bool ROUND, typename E>
static __device__ __forceinline__ void load_transposed(
	float *tile, const struct tile_source<E> *x, int row, int column)
{
#pragma unroll
	for (int i = 0; i < TILE_FLOATS / 4 / TILE_THREADS; i++) {
		const unsigned r = threadIdx.x / (STEP / 4) + i * (TILE_THREADS / (STEP / 4)),
			       k = threadIdx.x % (STEP / 4) * 4;
		const float4 v = source4<ROUND>(x, row + r, column + k);
		tile[tile_at(k, r)] = v.x;
		tile[tile_at(k + 1, r)] = v.y;
		tile[tile_at(k + 2, r)] = v.z;
		tile[tile_at(k + 3, r)] = v.w;
	}
}

/* tile[k][c] = x[row + k][column + c], k < STEP */
template <bool ROUND, typename E>
static __device__ __forceinline__ void load_rows(
	float *tile, const struct tile_source<E> *x, int row, int column)
{
#pragma unroll
	for (int i = 0; i < TILE_FLOATS / 4 / TILE_THREADS; i++) {
		const unsigned k = threadIdx.x / (TILE / 4) + i * (TILE_THREADS / (TILE / 4)),
			       c = threadIdx.x % (TILE / 4) * 4;
		*reinterpret_cast<float4 *>(tile + tile_at(k, c)) =
			source4<ROUND>(x, row + k, column + c);
	}
}

/* acc[r][c] += sum over STEP of k of a[k][row + r] b[k][column + c] */
static __device__ __forceinline__ void tile_multiply(
	float (*acc)[COLS], const float *a, const float *b, unsigned row, unsigned column)
{
#pragma unroll 4
	for (unsigned k = 0; k < STEP; k++) {
		const float4 u = *reinterpret_cast<const float4 *>(a + tile_at(k, row));
		const float4 v = *reinterpret_cast<const float4 *>(a + tile_at(k, row + 4));
		const float4 w = *reinterpret_cast<const float4 *>(b + tile_at(k, column));
		const float x[ROWS] = {u.x, u.y, u.z, u.w, v.x, v.y, v.z, v.w};
#pragma unroll
		for (int r = 0; r < ROWS; r++) {
			acc[r][0] = fmaf(x[r], w.x, acc[r][0]);
			acc[r][1] = fmaf(x[r], w.y, acc[r][1]);
			acc[r][2] = fmaf(x[r], w.z, acc[r][2]);
			acc[r][3] = fmaf(x[r], w.w, acc[r][3]);
		}
	}
}

/* One head of one sequence, and a block's part of it. */
template <typename E> struct tile_attention {
	struct tile_source<float> q;
	struct tile_source<E> k, v;
	float *y; /* of query 0, rows y_row apart */
	int64_t y_row;
	float scale;
	int dim;
	int seen, grows; /* query i sees seen + i grows keys, k.rows at most */
	/* NULL or added to the score of query i and key j: at [i * bias_row + j] */
	const float *bias, *mask;
	int64_t bias_row;
	int first, column; /* query and channel that the block begins with */
};

template <typename E>
static __device__ __forceinline__ int keys_seen(const struct tile_attention<E> *t, int query)
{
	return min(t->k.rows, t->seen + query * t->grows);
}

template <typename E>
static __device__ __forceinline__ void tile_bias(
	const struct tile_attention<E> *t, float (*s)[COLS], const float *bias, int query, int key)
{
	if (!bias)
		return;
#pragma unroll
	for (int r = 0; r < ROWS; r++)
#pragma unroll
		for (int c = 0; c < COLS; c++)
			if (query + r < t->q.rows && key + c < t->k.rows)
				s[r][c] += bias[(query + r) * t->bias_row + key + c];
}

/* Scores become weights; o, m and l of the thread's queries follow.  key: its first. */
template <int WIDE, bool ROUND, typename E>
static __device__ __forceinline__ void tile_softmax(const struct tile_attention<E> *t,
	float (*s)[COLS], float (*o)[ROWS][COLS], float *m, float *l, int query, int key)
{
#pragma unroll
	for (int r = 0; r < ROWS; r++) {
		const int seen = keys_seen(t, query + r) - key;
		float top = m[r];
#pragma unroll
		for (int c = 0; c < COLS; c++) {
			if (c >= seen)
				s[r][c] = -INFINITY;
			top = fmaxf(top, s[r][c]);
		}
#pragma unroll
		for (int lane = LANES / 2; lane > 0; lane /= 2)
			top = fmaxf(top, __shfl_xor_sync(ALL_LANES, top, lane));
		const float base = top == -INFINITY ? 0 : top;
		const float fade = expf(m[r] - base);
		m[r] = top;
		l[r] *= fade;
#pragma unroll
		for (int c = 0; c < COLS; c++) {
			s[r][c] = expf(s[r][c] - base);
			l[r] += s[r][c];
			if (ROUND)
				s[r][c] = round_bf16(s[r][c]);
#pragma unroll
			for (int w = 0; w < WIDE; w++)
				o[w][r][c] *= fade;
		}
	}
}

/* shared: 4 * TILE_FLOATS floats, 16-byte aligned.  The block's threads come together. */
template <int WIDE, bool ROUND, typename E>
static __device__ __forceinline__ void attend_tile(const struct tile_attention<E> *t, float *shared)
{
	float *const a = shared, *const b = a + TILE_FLOATS, *const p = b + TILE_FLOATS;
	const unsigned row = threadIdx.x / LANES * ROWS, column = threadIdx.x % LANES * COLS;
	const int query = t->first + (int)row;
	const int one_sees = keys_seen(t, t->first + TILE - 1);
	float o[WIDE][ROWS][COLS] = {}, m[ROWS], l[ROWS] = {};

	for (int r = 0; r < ROWS; r++)
		m[r] = -INFINITY;
	for (int key0 = 0; key0 < one_sees; key0 += TILE) {
		float s[ROWS][COLS] = {};
		for (int i = 0; i < t->dim; i += STEP) {
			__syncthreads(); /* what was in a and b has been used */
			load_transposed<ROUND>(a, &t->q, t->first, i);
			load_transposed<ROUND>(b, &t->k, key0, i);
			__syncthreads();
			tile_multiply(s, a, b, row, column);
		}
#pragma unroll
		for (int r = 0; r < ROWS; r++)
#pragma unroll
			for (int c = 0; c < COLS; c++)
				s[r][c] *= t->scale;
		tile_bias(t, s, t->bias, query, key0 + (int)column);
		tile_bias(t, s, t->mask, query, key0 + (int)column);
		tile_softmax<WIDE, ROUND>(t, s, o, m, l, query, key0 + (int)column);
#pragma unroll
		for (int c = 0; c < COLS; c++)
#pragma unroll
			for (int r = 0; r < ROWS; r += 4)
				*reinterpret_cast<float4 *>(p + tile_at(column + c, row + r)) =
					make_float4(s[r][c], s[r + 1][c], s[r + 2][c], s[r + 3][c]);
		for (int half = 0; half < TILE && key0 + half < one_sees; half += STEP) {
			__syncthreads();
#pragma unroll
			for (int w = 0; w < WIDE; w++)
				load_rows<ROUND>(a + w * TILE_FLOATS, &t->v, key0 + half,
					t->column + w * TILE);
			__syncthreads();
#pragma unroll
			for (int w = 0; w < WIDE; w++)
				tile_multiply(
					o[w], p + half * TILE, a + w * TILE_FLOATS, row, column);
		}
	}
#pragma unroll
	for (int r = 0; r < ROWS; r++) {
#pragma unroll
		for (int lane = LANES / 2; lane > 0; lane /= 2)
			l[r] += __shfl_xor_sync(ALL_LANES, l[r], lane);
#pragma unroll
		for (int w = 0; w < WIDE; w++)
#pragma unroll
			for (int c = 0; c < COLS; c++) {
				const int to = t->column + w * TILE + (int)column + c;
				if (query + r < t->q.rows && to < t->dim)
					t->y[(query + r) * t->y_row + to] = o[w][r][c] / l[r];
			}
	}
}

/* Where kernels that write f32 put y, which may be bf16: y itself, or scratch 0, which
 * attention_narrow() then rounds.  NULL after gpu_fail(). */
static inline float *attention_f32(struct gpu *g, const struct gpu_tensor *y)
{
	if (y->dtype == GPU_F32)
		return (float *)y->data;
	return (float *)cuda_scratch(g, 0, (size_t)gpu_count(y) * sizeof(float));
}

static inline void attention_narrow(struct gpu *g, struct gpu_tensor *y, const float *from)
{
	const int64_t width = y->ne[y->n_dims - 1];

	if (y->dtype == GPU_BF16)
		cuda_bf16(g, y->data, width, from, width, gpu_count(y) / width, width);
}

/* How many tiles of channels a block writes, and how many blocks write a head's. */
static inline int tiles_wide(int64_t dim)
{
	return dim <= TILE ? 1 : MAX_WIDE;
}

static inline unsigned tile_chunks(int64_t dim)
{
	return blocks_for(dim, tiles_wide(dim) * TILE);
}

#endif
