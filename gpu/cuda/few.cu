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

/* Of an output: its scale (int8), its bias, and what it is added to. */
struct few_after {
	float scale, bias, y;
};

template <typename T>
static __device__ __forceinline__ void load_after(
	struct few_after *a, const struct cuda_few &f, int64_t o, int m)
{
	a->scale = sizeof(T) == 1 ? f.scale[o] : 1;
	a->bias = f.bias ? f.bias[o] : 0;
	a->y = f.add ? f.y[m * f.ldy + o] : 0;
}

template <typename T>
static __device__ __forceinline__ void finish(
	const struct cuda_few &f, int64_t o, int m, float s, const struct few_after &a)
{
	if (sizeof(T) == 1)
		s = __fmul_rn(s, a.scale);
	if (f.bias)
		s = __fadd_rn(s, a.bias);
	if (f.has_act)
		s = f.act == GPU_UNARY_GELU ? apply<GPU_UNARY_GELU>(s) : apply<GPU_UNARY_RELU>(s);
	f.y[m * f.ldy + o] = f.add ? __fadd_rn(s, a.y) : s;
}

/* ---- tensor cores ------------------------------------------------------- */

enum {
	TILE_WARPS = 16,
	TILE_THREADS = TILE_WARPS * WARP,
	TILE_OUTS = 16,
	LOAD = 16,                 /* bytes of a lane from each of its two rows of w, */
	CHUNK = 64,                /* of four lanes, which share a row, */
	STEP = CHUNK * TILE_WARPS, /* of a block: from one load of a warp to its next */
	DEPTH = 4,                 /* steps that are under way, */
	SLOT = 2 * TILE_THREADS,   /* loads of one */
	N_PARTS = 3,               /* bf16 numbers of an f32 */
	ROW_WARPS = 2,             /* that take the moments of a row of x */
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

/* Where a lane fetches from next: two rows of w, 8 apart, of a tile. */
struct few_source {
	const char *at; /* the lane's first bytes of the first of them */
	int left;       /* rows from the first on */
	int byte, slot; /* from the beginning of a row; of the ring: what is used, then fetched */
};

/* Whether a row has something for a warp that loads from there on. */
static __device__ __forceinline__ bool has_chunk(int byte, int end)
{
	return (byte & ~(CHUNK - 1)) < end;
}

/* One step, into a lane's own 16 bytes of shared memory for each row.  end: bytes of a row;
 * after it come rows of the block's next tile, `step` rows on. */
static __device__ __forceinline__ void fetch(
	uint4 *ring, struct few_source *s, int first, int end, int step, const void *anywhere)
{
#pragma unroll
	for (int i = 0; i < 2 && has_chunk(s->byte, end); i++) {
		const bool is_there = s->byte < end && s->left > i * 8;
		copy_async_16(ring + s->slot + i * TILE_THREADS,
			is_there ? s->at + s->byte + i * 8 * (int64_t)end : anywhere, is_there);
	}
	copy_async_commit();
	s->slot = s->slot == (DEPTH - 1) * SLOT ? 0 : s->slot + SLOT;
	s->byte += STEP;
	if (s->byte - first < end) /* for the whole block alike */
		return;
	s->byte = first;
	s->at += (int64_t)step * end;
	s->left -= step;
}

/* Eight of x, of which n are there, in fours where they are aligned; zeros for the others. */
template <bool ALIGNED>
static __device__ __forceinline__ void load_some(float (&v)[8], const float *x, int n)
{
#pragma unroll
	for (int i = 0; i < 8; i += ALIGNED ? 4 : 1) {
		if (!ALIGNED) {
			v[i] = i < n ? x[i] : 0;
			continue;
		}
		float4 four = make_float4(0, 0, 0, 0);
		if (i < n)
			four = *reinterpret_cast<const float4 *>(x + i);
		v[i] = four.x;
		v[i + 1] = four.y;
		v[i + 2] = four.z;
		v[i + 3] = four.w;
	}
}

/* Eight of a row of x from k on, after its norm, whose sums over the row are at `sums`. */
template <bool NORM>
static __device__ __forceinline__ void load_x(
	float (&v)[8], const struct cuda_few &f, int row, int k, bool is_aligned, const float *sums)
{
	const int left = (int)f.k - k;

	if (NORM || is_aligned)
		load_some<true>(v, f.x + row * f.ldx + k, left);
	else
		load_some<false>(v, f.x + row * f.ldx + k, left);
	if (!NORM)
		return;
	const float *of = sums + row * ROW_WARPS;
	float mean = 0, scale = 0, w[8], b[8];
#pragma unroll
	for (int i = 0; i < ROW_WARPS; i++) {
		mean += of[i];
		scale += of[TILE_WARPS + i];
	}
	mean /= (float)f.k;
	scale = 1 / sqrtf(scale / (float)f.k + f.eps);
	load_some<true>(w, f.norm_w + k, left);
#pragma unroll
	for (int i = 0; i < 8; i++)
		v[i] = (v[i] - mean) * scale;
	load_some<true>(b, f.norm_b + k, left);
#pragma unroll
	for (int i = 0; i < 8; i++)
		v[i] = fmaf(v[i], w[i], b[i]);
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

/* Sums over each row of x, [ROW_WARPS] a row, then of squares about its mean, [TILE_WARPS]
 * behind them. */
static __device__ __forceinline__ void sum_rows(const struct cuda_few &f, int warp, float *sums)
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
			sums[pass * TILE_WARPS + warp] = sum;
		__syncthreads();
		if (pass == 0) {
#pragma unroll
			for (int i = 0; i < ROW_WARPS; i++)
				mean += sums[row * ROW_WARPS + i];
			mean /= (float)f.k;
		}
	}
}

/* The numbers of eights of all rows of x, [n_eights][row]. */
template <bool NORM>
static __device__ __forceinline__ void keep_x(struct few_parts *kept, const struct cuda_few &f,
	int first, int n_eights, bool is_aligned, const float *sums)
{
#pragma unroll 1 /* registers */
	for (int i = (int)threadIdx.x; i < n_eights * f.rows; i += TILE_THREADS) {
		float v[8];
		load_x<NORM>(v, f, i % f.rows, first + i / f.rows * 8, is_aligned, sums);
		split(&kept[i], v);
	}
	__syncthreads();
}

/* What the norm needs, from memory to the L2 cache: nobody writes it. */
static __device__ __forceinline__ void prefetch_norm(const struct cuda_few &f)
{
#if !defined(WOODSHED_EMULATED)
	for (int64_t k = (int64_t)threadIdx.x * 32; k < f.k; k += TILE_THREADS * 32) {
		asm volatile("prefetch.global.L2 [%0];" ::"l"(f.norm_w + k));
		asm volatile("prefetch.global.L2 [%0];" ::"l"(f.norm_b + k));
	}
#endif
}

#endif

/* slab: bytes of a row of w for which x is in shared memory at a time, whole steps. */
template <typename T, bool NORM>
static __global__ void __launch_bounds__(TILE_THREADS, 2)
	few_tiles(const struct cuda_few f, int slab, bool is_aligned)
{
#if defined(WOODSHED_EMULATED) || __CUDA_ARCH__ >= 800
	const int SIZE = (int)sizeof(T), EIGHT = 8 * SIZE, HALVES = LOAD / EIGHT;
	SHARED(float, row_sums, [2 * TILE_WARPS]);
	DYNAMIC_SHARED(uint4, ring); /* [DEPTH][2][TILE_THREADS] */
	/* [2][TILE_WARPS][TILE_OUTS][rows] */
	float *const sums_of = (float *)(ring + DEPTH * SLOT);
	const int n_sums = TILE_OUTS * f.rows, n = (int)f.n, end = (int)f.ldw * SIZE;
	struct few_parts *const kept = (struct few_parts *)(sums_of + 2 * TILE_WARPS * n_sums);
	const int warp = (int)threadIdx.x / WARP, row = (int)threadIdx.x % WARP / 4,
		  column = (int)threadIdx.x % 4;
	/* The output that the thread finishes. */
	const int out = (int)threadIdx.x / f.rows;
	const int first = warp * CHUNK + column * LOAD, step = (int)gridDim.x * TILE_OUTS;
	int tile = (int)blockIdx.x * TILE_OUTS;
	struct few_source from = {
		(const char *)f.w + (int64_t)(tile + row) * end, n - tile - row, first, 0};
	struct few_after after = {};
	bool odd = false;
	int kept_at = 0;

	let_next_start();
#pragma unroll
	for (int i = 0; i < DEPTH; i++)
		fetch(ring + threadIdx.x, &from, first, end, step, f.w);
	if (NORM)
		prefetch_norm(f);
	after_previous();
	if (NORM)
		sum_rows(f, warp, row_sums);
	for (; tile < n; tile += step) {
		const bool finishes = out < TILE_OUTS && tile + out < n;
		float sums[2][4] = {};

		for (int at = 0; at < end; at += STEP) {
			if (at == 0 ? tile < step || slab < end : at - kept_at == slab) {
				kept_at = at;
				if (at || tile >= step)
					__syncthreads(); /* what was kept has been used */
				keep_x<NORM>(kept, f, at / SIZE,
					((end - at < slab ? end - at : slab) + EIGHT - 1) / EIGHT,
					is_aligned, row_sums);
			}
			if (at == 0 && finishes)
				load_after<T>(
					&after, f, tile + out, (int)threadIdx.x - out * f.rows);
			const int byte = at + first;
			copy_async_wait<DEPTH - 1>();
#pragma unroll
			for (int half = 0; half < HALVES && has_chunk(byte, end); half++) {
				const uint4 rows[2] = {ring[from.slot + (int)threadIdx.x],
					ring[from.slot + TILE_THREADS + (int)threadIdx.x]};
				struct few_parts x = {};
				if (row < f.rows && byte + half * EIGHT < end)
					x = kept[((byte - kept_at) / EIGHT + half) * f.rows + row];
				multiply<T>(sums, rows, half, x);
			}
			fetch(ring + threadIdx.x, &from, first, end, step, f.w);
		}
		/* Two sets of sums: with the barrier of the next tile these have been used. */
		float *const all = sums_of + odd * TILE_WARPS * n_sums;
		float *const mine = all + warp * n_sums;
#pragma unroll
		for (int i = 0; i < 4; i++)
			if (column * 2 + i % 2 < f.rows)
				mine[(row + i / 2 * 8) * f.rows + column * 2 + i % 2] =
					sums[1][i] + sums[0][i];
		__syncthreads();
		if (finishes) {
			float s = 0;
#pragma unroll
			for (int i = 0; i < TILE_WARPS; i++)
				s += all[i * n_sums + (int)threadIdx.x];
			finish<T>(f, tile + out, (int)threadIdx.x - out * f.rows, s, after);
		}
		odd = !odd;
	}
#endif
}

/* Shared memory of a block that keeps x for `slab` bytes of w. */
static size_t tiles_shared(const struct cuda_few *f, int64_t slab)
{
	const size_t eight = 8 * gpu_dtype_size(f->dtype),
		     sums = sizeof(float) * 2 * TILE_WARPS * TILE_OUTS;

	return DEPTH * SLOT * sizeof(uint4) + (size_t)f->rows * sums +
	       ((size_t)slab + eight - 1) / eight * (size_t)f->rows * sizeof(struct few_parts);
}

/* As much of a row of w as there is room for x of, in whole steps. */
static int64_t slab_of(const struct gpu *g, const struct cuda_few *f)
{
	/* What the kernel has besides, and the system takes. */
	const size_t room = cuda_of(g)->block_shared - sizeof(float) * 2 * TILE_WARPS - (1 << 10);
	int64_t slab = (f->ldw * (int64_t)gpu_dtype_size(f->dtype) + STEP - 1) / STEP * STEP;

	while (slab > STEP && tiles_shared(f, slab) > room)
		slab = (slab / 2 + STEP - 1) / STEP * STEP;
	return tiles_shared(f, slab) <= room ? slab : 0;
}

template <typename T, bool NORM>
static void launch_tiles(struct gpu *g, const struct cuda_few *f, int64_t slab)
{
	const unsigned tiles = blocks_for(f->n, TILE_OUTS), most = cuda_of(g)->n_multiprocessors;
	const size_t shared = tiles_shared(f, slab);

	if (cuda_ok(g,
		    cudaFuncSetAttribute(few_tiles<T, NORM>,
			    cudaFuncAttributeMaxDynamicSharedMemorySize, (int)shared),
		    "few_tiles"))
		LAUNCH_EARLY(g, (few_tiles<T, NORM>), tiles < most ? tiles : most, TILE_THREADS,
			shared, *f, (int)slab, stream_is_aligned(f->x, f->ldx, f->k));
}

template <typename T>
static void launch_tiles_of(struct gpu *g, const struct cuda_few *f, int64_t slab)
{
	if (f->norm_w)
		launch_tiles<T, true>(g, f, slab);
	else
		launch_tiles<T, false>(g, f, slab);
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
	for (int i = (int)threadIdx.x; i < N; i += (int)blockDim.x) {
		const int64_t o = first + i / ROWS;
		struct few_after after = {};
		if (o >= f.n || i % ROWS >= f.rows)
			continue;
		load_after<T>(&after, f, o, i % ROWS);
		finish<T>(f, o, i % ROWS, stream_total(parts, N, i), after);
	}
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

/* What of x is in shared memory at a time, where tensor cores multiply; else 0. */
static int64_t tiles_slab(const struct gpu *g, const struct cuda_few *f)
{
	const bool can = cuda_of(g)->arch >= 80 && f->dtype != GPU_F32 && f->group == f->n &&
			 f->ldw < INT32_MAX / 4 && f->n < INT32_MAX / 2;

	return can ? slab_of(g, f) : 0;
}

bool cuda_few_can_norm(const struct gpu *g, const struct cuda_few *f)
{
	return tiles_slab(g, f) && stream_is_aligned(f->x, f->ldx, f->k);
}

void cuda_few_rows(struct gpu *g, const struct cuda_few *f)
{
	const int64_t slab = tiles_slab(g, f);

	if (slab && f->dtype == GPU_I8)
		launch_tiles_of<int8_t>(g, f, slab);
	else if (slab)
		launch_tiles_of<uint16_t>(g, f, slab);
	else if (f->dtype == GPU_F32)
		launch_few_of<float>(g, f);
	else if (f->dtype == GPU_I8)
		launch_few_of<int8_t>(g, f);
	else
		launch_few_of<uint16_t>(g, f);
}
