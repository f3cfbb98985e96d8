/* Products of up to 8 rows of x (steps of a language model), bound by reading the weights.
 *	y[m,o] = act(sum_k norm(x)[m,k] w[o,k] (* scale[o]) + bias[o]) (+ y[m,o])
 * A row of x has the same bits alone and among others.
 *
 * few_tiles, bf16 and int8 from compute capability 8.0 on: tensor cores, mma of 16 rows of w
 * and 8 of x, 16 k deep, bf16 with f32 sums.  x stays exact: three bf16 numbers have the 24
 * bits of an f32, so a product is three.  Which k is which within an mma is free, as long as
 * w and x agree: a lane takes 16 bytes of w, neighbours in k, and the same k of its row of x.
 * A block of 16 warps has 16 rows of w at a time, each warp a share of k; there are as many
 * blocks as multiprocessors.  Weights come through a ring in shared memory, 64 KB a block,
 * where each lane reads what it fetched itself: those of the next rows are under way while
 * these are multiplied, and the first do not wait for the kernel before this one
 * (LAUNCH_EARLY).  A block takes the norm of x, and makes the three numbers of it, once.
 * Bytes moved: w once; x comes from caches.  1 KB of weights is 6 mma of a warp (12 in int8),
 * so that 8 rows cost what one costs.  Expected at 4.2 TB/s (H200): [2048, 2048] in bf16 8.4
 * MB, 2 us and about 2 us for the first and the last byte; [8192, 2048] and [2048, 8192] 34
 * MB, 8 + 2 us; int8 half of the first part.
 * Sums: of a warp as mma adds, in ascending order of k, the first of the three numbers by
 * itself; then the warps in ascending order.
 *
 * few_rows, f32, older devices, and matrices of which outputs see different columns of x: FMA
 * units (stream.cuh: their order).  A block of 256 threads computes 4 rows of w. */
#include "gpu/cuda/few.h"
#include "gpu/cuda/stream.cuh"
#include "gpu/cuda/unary.cuh"

/* ---- what becomes of a sum ---------------------------------------------- */

static __device__ __forceinline__ void finish(const struct cuda_few &f, int64_t o, int m, float s)
{
	float *y = f.y + m * f.ldy + o;

	if (f.scale)
		s = __fmul_rn(s, f.scale[o]);
	if (f.bias)
		s = __fadd_rn(s, f.bias[o]);
	if (f.has_act)
		s = f.act == GPU_UNARY_GELU ? apply<GPU_UNARY_GELU>(s) : apply<GPU_UNARY_RELU>(s);
	*y = f.add ? __fadd_rn(s, *y) : s;
}

/* ---- tensor cores ------------------------------------------------------- */

enum {
	TILE_WARPS = 16,
	TILE_THREADS = TILE_WARPS * WARP,
	TILE_OUTS = 16,
	TILE_SUMS = TILE_OUTS * CUDA_FEW_ROWS,
	DEPTH = 4,  /* loads of a lane from each of its two rows of w that are under way */
	LOAD = 16,  /* bytes of one, */
	CHUNK = 64, /* of four lanes, which share a row, */
	APART = CHUNK * TILE_WARPS, /* from one of a warp to its next */
	GROUP = APART * DEPTH,
	RING = DEPTH * 2 * TILE_THREADS, /* loads of a block */
	N_PARTS = 3,                     /* bf16 numbers of an f32 */
	ROW_WARPS = 2,                   /* that take the moments of a row of x */
};

/* Parts of x, in the order of k, two a word. */
struct few_parts {
	unsigned at[N_PARTS][4];
};

#if defined(WOODSHED_EMULATED) || __CUDA_ARCH__ >= 800

/* The upper half of each word is a bf16 number. */
static __device__ __forceinline__ unsigned upper_halves(float even, float odd)
{
	return __float_as_uint(even) >> 16 | (__float_as_uint(odd) & 0xffff0000u);
}

static __device__ __forceinline__ float truncated(float x)
{
	return __uint_as_float(__float_as_uint(x) & 0xffff0000u);
}

static __device__ __forceinline__ void split(struct few_parts *p, const float (&x)[8])
{
	float rest[8];

#pragma unroll
	for (int i = 0; i < 8; i++)
		rest[i] = x[i];
#pragma unroll
	for (int part = 0; part < N_PARTS; part++)
#pragma unroll
		for (int i = 0; i < 8; i += 2) {
			p->at[part][i / 2] = upper_halves(rest[i], rest[i + 1]);
			rest[i] -= truncated(rest[i]);
			rest[i + 1] -= truncated(rest[i + 1]);
		}
}

/* Eight weights of the 16 bytes of a lane, as words of two. */
static __device__ __forceinline__ void eight_weights(
	unsigned (&to)[4], const uint4 &from, int half, const uint16_t *)
{
	to[0] = from.x;
	to[1] = from.y;
	to[2] = from.z;
	to[3] = from.w;
}

/* Steps of int8 have at most 8 bits: bf16 numbers. */
static __device__ __forceinline__ void eight_weights(
	unsigned (&to)[4], const uint4 &from, int half, const int8_t *)
{
	const unsigned words[2] = {half ? from.z : from.x, half ? from.w : from.y};

#pragma unroll
	for (int i = 0; i < 4; i++) {
		const unsigned w = words[i / 2] >> i % 2 * 16;
		to[i] = upper_halves((float)(int8_t)(w & 0xff), (float)(int8_t)(w >> 8 & 0xff));
	}
}

/* Loads of a lane from rows of w, 8 apart, of one tile: what lies in them from `at` on, in
 * bytes, whose end is at `end`. */
struct few_source {
	const char *at;
	int64_t eight; /* bytes */
	int left, end; /* rows from the lane's first on, bytes of a row */
};

/* Whether the row has something for a warp that loads from there on. */
static __device__ __forceinline__ bool has_chunk(int byte, int end)
{
	return (byte & ~(CHUNK - 1)) < end;
}

/* Into a lane's own 16 bytes of shared memory for each. */
static __device__ __forceinline__ void fetch(
	uint4 *to, const struct few_source &s, int byte, const void *anywhere)
{
#pragma unroll
	for (int i = 0; i < 2 && has_chunk(byte, s.end); i++) {
		const bool is_there = byte < s.end && s.left > i * 8;
		copy_async_16(to + i * TILE_THREADS,
			is_there ? s.at + byte + i * s.eight : anywhere, is_there);
	}
	copy_async_commit();
}

/* Eight of a row of x from k on, after its norm; zeros where there are none. */
template <bool NORM>
static __device__ __forceinline__ void load_x(float (&v)[8], const struct cuda_few &f, int row,
	int64_t k, bool is_aligned, const float *moments)
{
	const float *x = f.x + row * f.ldx + k;

#pragma unroll
	for (int i = 0; i < 8; i++)
		v[i] = 0;
	if (k >= f.k)
		return;
	if (!is_aligned || k + 8 > f.k) {
#pragma unroll
		for (int i = 0; i < 8; i++)
			v[i] = k + i < f.k ? x[i] : 0;
	} else {
#pragma unroll
		for (int i = 0; i < 8; i += 4) {
			const float4 four = *reinterpret_cast<const float4 *>(x + i);
			v[i] = four.x;
			v[i + 1] = four.y;
			v[i + 2] = four.z;
			v[i + 3] = four.w;
		}
	}
	if (!NORM)
		return;
	const float mean = moments[2 * row], scale = moments[2 * row + 1];
#pragma unroll
	for (int i = 0; i < 8; i++)
		if (k + i < f.k)
			v[i] = fmaf((v[i] - mean) * scale, f.norm_w[k + i], f.norm_b[k + i]);
}

/* sums += w x of eight k of a lane: sums[0] of the first number of x, [1] of the others. */
template <typename T>
static __device__ __forceinline__ void multiply(
	float (&sums)[2][4], const uint4 (&w)[2], int half, const struct few_parts &x)
{
	unsigned low[4], high[4];

	eight_weights(low, w[0], half, (const T *)NULL);
	eight_weights(high, w[1], half, (const T *)NULL);
#pragma unroll
	for (int i = 0; i < 4; i += 2) {
		const unsigned a[4] = {low[i], high[i], low[i + 1], high[i + 1]};
#pragma unroll
		for (int part = N_PARTS - 1; part >= 0; part--)
			mma_bf16_16x8x16(sums[part > 0], a, &x.at[part][i]);
	}
}

/* Mean and 1 / sqrt(variance + eps) of each row to moments[2 * row]: ROW_WARPS warps a row,
 * in two passes (mean, then squares about it). */
static __device__ __forceinline__ void take_moments(
	const struct cuda_few &f, int warp, float *moments, float *halves)
{
	const int row = warp / ROW_WARPS, part = warp % ROW_WARPS, lane = (int)threadIdx.x % WARP;
	const float *x = f.x + (row < f.rows ? row : 0) * f.ldx;
	const int64_t step = ROW_WARPS * WARP * 4, first = (part * WARP + lane) * 4;
	float mean = 0;

#pragma unroll
	for (int pass = 0; pass < 2; pass++) {
		float sum = 0;
#pragma unroll 4
		for (int64_t k = first; k < f.k; k += step) {
			const float4 v = *reinterpret_cast<const float4 *>(x + k);
			if (pass == 0) {
				sum += (v.x + v.y) + (v.z + v.w);
				continue;
			}
			const float a = v.x - mean, b = v.y - mean, c = v.z - mean, d = v.w - mean;
			sum += fmaf(a, a, b * b) + fmaf(c, c, d * d);
		}
		sum = warp_sum(sum);
		if (lane == 0)
			halves[pass * TILE_WARPS + warp] = sum;
		__syncthreads();
		sum = 0;
#pragma unroll
		for (int i = 0; i < ROW_WARPS; i++)
			sum += halves[pass * TILE_WARPS + row * ROW_WARPS + i];
		if (pass == 0)
			mean = sum / (float)f.k;
		else if (part == 0 && lane == 0) {
			moments[2 * row] = mean;
			moments[2 * row + 1] = 1 / sqrtf(sum / (float)f.k + f.eps);
		}
	}
	__syncthreads();
}

/* The numbers of eight k of a row of x. */
template <bool NORM>
static __device__ __forceinline__ struct few_parts parts_of(
	const struct cuda_few &f, int row, int64_t k, bool is_aligned, const float *moments)
{
	struct few_parts p;
	float v[8];

	load_x<NORM>(v, f, row, k, is_aligned, moments);
	split(&p, v);
	return p;
}

/* Those of all of x, [eights][row]. */
template <bool NORM>
static __device__ __forceinline__ void keep_x(struct few_parts *kept, const struct cuda_few &f,
	int n_eights, bool is_aligned, const float *moments)
{
	for (int i = (int)threadIdx.x; i < n_eights * f.rows; i += TILE_THREADS)
		kept[i] = parts_of<NORM>(
			f, i % f.rows, (int64_t)(i / f.rows) * 8, is_aligned, moments);
	__syncthreads();
}

#endif

/* NORM: only with KEPT, x in shared memory behind the ring. */
template <typename T, bool NORM, bool KEPT>
static __global__ void __launch_bounds__(TILE_THREADS, 2)
	few_tiles(const struct cuda_few f, bool is_aligned)
{
#if defined(WOODSHED_EMULATED) || __CUDA_ARCH__ >= 800
	const int SIZE = (int)sizeof(T), EIGHT = 8 * SIZE, HALVES = LOAD / EIGHT;
	SHARED(float, sums_of, [TILE_WARPS][TILE_SUMS]);
	SHARED(float, moments, [2 * CUDA_FEW_ROWS]);
	SHARED(float, halves, [2 * TILE_WARPS]);
	DYNAMIC_SHARED(uint4, ring); /* [DEPTH][2][TILE_THREADS] */
	struct few_parts *const kept = (struct few_parts *)(ring + RING);
	const int warp = (int)threadIdx.x / WARP, row = (int)threadIdx.x % WARP / 4;
	const int first = warp * CHUNK + (int)threadIdx.x % 4 * LOAD, end = (int)f.ldw * SIZE,
		  n_groups = (end + GROUP - 1) / GROUP;
	const int step = (int)gridDim.x * TILE_OUTS;
	int tile = (int)blockIdx.x * TILE_OUTS;
	uint4 *const w = ring + threadIdx.x;
	struct few_source from = {(const char *)f.w + (int64_t)(tile + row) * end, (int64_t)8 * end,
		(int)f.n - tile - row, end};

	let_next_start();
#pragma unroll
	for (int i = 0; i < DEPTH; i++)
		fetch(w + i * 2 * TILE_THREADS, from, first + i * APART, f.w);
	after_previous();
	if (NORM)
		take_moments(f, warp, moments, halves);
	if (KEPT)
		keep_x<NORM>(kept, f, (end + EIGHT - 1) / EIGHT, is_aligned, moments);
	for (; tile < f.n; tile += step) {
		float sums[2][4] = {};
		for (int group = 0; group < n_groups; group++) {
			const bool is_last = group + 1 == n_groups;
			const int at = group * GROUP + first;
			if (is_last) { /* the next rows are fetched */
				from.at += (int64_t)step * end;
				from.left -= step;
			}
#pragma unroll 2 /* registers */
			for (int i = 0; i < DEPTH; i++) {
				uint4 *const slot = w + i * 2 * TILE_THREADS;
				const int byte = at + i * APART;
				copy_async_wait<DEPTH - 1>();
#pragma unroll
				for (int half = 0; half < HALVES && has_chunk(byte, end); half++) {
					const uint4 rows[2] = {slot[0], slot[TILE_THREADS]};
					const int k = byte / SIZE + half * 8;
					struct few_parts x = {};
					if (row < f.rows && k < f.ldw)
						x = KEPT ? kept[k / 8 * f.rows + row]
							 : parts_of<false>(
								   f, row, k, is_aligned, moments);
					multiply<T>(sums, rows, half, x);
				}
				fetch(slot, from, (is_last ? first : at + GROUP) + i * APART, f.w);
			}
		}
		float *to = sums_of[warp] + row * CUDA_FEW_ROWS + (int)threadIdx.x % 4 * 2;
#pragma unroll
		for (int i = 0; i < 4; i++)
			to[i / 2 * 8 * CUDA_FEW_ROWS + i % 2] = sums[1][i] + sums[0][i];
		__syncthreads();
		const int o = tile + (int)threadIdx.x / CUDA_FEW_ROWS,
			  m = (int)threadIdx.x % CUDA_FEW_ROWS;
		if (threadIdx.x < TILE_SUMS && m < f.rows && o < f.n) {
			float s = 0;
#pragma unroll
			for (int i = 0; i < TILE_WARPS; i++)
				s += sums_of[i][threadIdx.x];
			finish(f, o, m, s);
		}
		__syncthreads();
	}
#endif
}

/* Of x in shared memory, behind the ring. */
static size_t kept_bytes(const struct cuda_few *f)
{
	return (size_t)((f->ldw + 7) / 8 * f->rows) * sizeof(struct few_parts);
}

static bool has_room(const struct gpu *g, const struct cuda_few *f)
{
	const size_t others =
		sizeof(float) * (TILE_WARPS * TILE_SUMS + 2 * CUDA_FEW_ROWS + 2 * TILE_WARPS) +
		(1 << 10); /* what the system takes */

	return RING * sizeof(uint4) + kept_bytes(f) + others <= cuda_of(g)->block_shared;
}

template <typename T, bool NORM, bool KEPT>
static void launch_tiles(struct gpu *g, const struct cuda_few *f, unsigned blocks)
{
	const size_t shared = RING * sizeof(uint4) + (KEPT ? kept_bytes(f) : 0);

	if (cuda_ok(g,
		    cudaFuncSetAttribute(few_tiles<T, NORM, KEPT>,
			    cudaFuncAttributeMaxDynamicSharedMemorySize, (int)shared),
		    "few_tiles"))
		LAUNCH_EARLY(g, (few_tiles<T, NORM, KEPT>), blocks, TILE_THREADS, shared, *f,
			stream_is_aligned(f->x, f->ldx, 4));
}

template <typename T> static void launch_tiles_of(struct gpu *g, const struct cuda_few *f)
{
	const unsigned tiles = blocks_for(f->n, TILE_OUTS), most = cuda_of(g)->n_multiprocessors,
		       blocks = tiles < most ? tiles : most;

	if (f->norm_w)
		launch_tiles<T, true, true>(g, f, blocks);
	else if (tiles > blocks && has_room(g, f))
		launch_tiles<T, false, true>(g, f, blocks);
	else
		launch_tiles<T, false, false>(g, f, blocks);
}

/* ---- FMA units ---------------------------------------------------------- */

template <typename T, int ROWS, bool ALIGNED>
static __global__ void __launch_bounds__(STREAM_THREADS, ROWS > 2 ? 2 : 4)
	few_rows(struct cuda_few f)
{
	constexpr int OUTS = STREAM_OUTS, N = OUTS * ROWS;
	SHARED(float, parts, [STREAM_WARPS * STREAM_SUMS]);
	const int64_t first = (int64_t)blockIdx.x * OUTS;
	const T *w[OUTS];
	float sum[N];

#pragma unroll
	for (int o = 0; o < OUTS; o++)
		w[o] = (const T *)f.w + (first + o < f.n ? first + o : f.n - 1) * f.ldw;
	stream_part<T, ROWS, OUTS, ALIGNED>(
		sum, w, f.x + first / f.group * f.k, f.ldx, f.rows, f.k);
	stream_lanes(sum, parts + threadIdx.x / WARP * N);
	__syncthreads();
	for (int i = (int)threadIdx.x; i < N; i += (int)blockDim.x)
		if (first + i / ROWS < f.n && i % ROWS < f.rows)
			finish(f, first + i / ROWS, i % ROWS, stream_total(parts, N, i));
}

template <typename T, int ROWS> static void launch_few(struct gpu *g, const struct cuda_few *f)
{
	const unsigned blocks = blocks_for(f->n, STREAM_OUTS), threads = stream_threads(f->k);

	if (stream_is_aligned(f->x, f->ldx, f->k))
		LAUNCH(g, (few_rows<T, ROWS, true>), blocks, threads, 0, *f);
	else
		LAUNCH(g, (few_rows<T, ROWS, false>), blocks, threads, 0, *f);
}

template <typename T> static void launch_few_of(struct gpu *g, const struct cuda_few *f)
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

/* ---- which -------------------------------------------------------------- */

static bool takes_tiles(const struct gpu *g, const struct cuda_few *f)
{
	return cuda_of(g)->arch >= 80 && f->dtype != GPU_F32 && f->group == f->n &&
	       f->k < INT32_MAX && f->n < INT32_MAX;
}

bool cuda_few_can_norm(const struct gpu *g, const struct cuda_few *f)
{
	return takes_tiles(g, f) && has_room(g, f) && stream_is_aligned(f->x, f->ldx, f->k);
}

void cuda_few_rows(struct gpu *g, const struct cuda_few *f)
{
	if (takes_tiles(g, f) && f->dtype == GPU_I8)
		launch_tiles_of<int8_t>(g, f);
	else if (takes_tiles(g, f))
		launch_tiles_of<uint16_t>(g, f);
	else if (f->dtype == GPU_F32)
		launch_few_of<float>(g, f);
	else if (f->dtype == GPU_I8)
		launch_few_of<int8_t>(g, f);
	else
		launch_few_of<uint16_t>(g, f);
}
