/* Products of up to 8 rows of x (steps of a language model), bound by reading the weights.
 *	y[m,o] = act(sum_k norm(x)[m,k] w[o,k] (* scale[o]) + bias[o]) (+ y[m,o])
 * A row of x has the same bits alone and among others; the norm has those of norm.cu.
 *
 * few_tiles, bf16 and int8 from compute capability 8.0 on: tensor cores, mma of 16 rows of w
 * and 8 of x, 16 k deep, bf16 with f32 sums.  x stays exact: three bf16 numbers have the 24
 * bits of an f32, so a product is three.  Which k is which within an mma is free, as long as
 * w and x agree: a lane takes 16 bytes of w, neighbours in k, and the same k of its row of x.
 * A block of 16 warps has 16 rows of w at a time, each warp a share of k; there are two blocks
 * a multiprocessor where its memory holds two.  Weights come through a ring in shared memory,
 * 64 KB a block, where each lane reads what it fetched itself: those of the next rows are
 * under way while these are multiplied, and the first do not wait for the kernel before this
 * one (LAUNCH_EARLY).  The three numbers of x, and its norm before, are made once a block.
 * Bytes moved: w once; x comes from caches.  1 KB of weights is 6 mma of a warp (12 in int8),
 * so that 8 rows cost little more than one.
 * Measured (H200, 4.2 TB/s, MusicGen large in bf16, by the distances of kernels' ends): [2048,
 * 8192] 33.5 MB 11.8 us; [2048, 2048] 8.4 MB 4.7 us; with the norm and one block a
 * multiprocessor, which read x three times, [6144, 2048] 17 us, [8192, 2048] 19.5 us.  Two
 * blocks took 12 % off a step.  Expected of what is here now, beyond that: 2 us less for each
 * norm.
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
	MAX_TEAMS = NORM_WARPS * CUDA_FEW_ROWS, /* warps of norm.cuh, of all rows */
	N_AHEAD = 2, /* fours of the norm's weights that a lane has early */
};

/* Whether there is something to do before the kernel before this one has ended. */
#if defined(WOODSHED_EMULATED) || __CUDA_ARCH__ >= 900
#define STARTS_EARLY true
#else
#define STARTS_EARLY false
#endif

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

/* Word i of each. */
static __device__ __forceinline__ void split(struct few_parts *p, int i, float even, float odd)
{
#pragma unroll
	for (int part = 0; part < N_PARTS; part++) {
		p->at[part][i] = upper_halves(even, odd);
		even -= truncated(even);
		odd -= truncated(odd);
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

/* sums += w x of a lane's fetched bytes of two rows of w, from `byte` of them on; x of it is
 * at_kept bytes of w into what is kept. */
template <typename T>
static __device__ __forceinline__ void multiply_step(float (&sums)[2][4], const uint4 *fetched,
	const struct few_parts *kept, const struct cuda_few &f, int byte, int at_kept)
{
	const int EIGHT = 8 * (int)sizeof(T), row = (int)threadIdx.x % WARP / 4,
		  end = (int)(f.ldw * (int)sizeof(T));

#pragma unroll 1 /* registers */
	for (int half = 0; half < LOAD / EIGHT && has_chunk(byte, end); half++) {
		const uint4 rows[2] = {fetched[0], fetched[TILE_THREADS]};
		struct few_parts x = {};
		if (row < f.rows && byte + half * EIGHT < end)
			x = kept[(at_kept / EIGHT + half) * f.rows + row];
		multiply<T>(sums, rows, half, x);
	}
}

/* Those of the warp: [TILE_OUTS][rows]. */
static __device__ __forceinline__ void put_sums(float *to, const float (&sums)[2][4], int rows)
{
	const int out = (int)threadIdx.x % WARP / 4, row = (int)threadIdx.x % 4 * 2;

#pragma unroll
	for (int i = 0; i < 4; i++)
		if (row + i % 2 < rows)
			to[(out + i / 2 * 8) * rows + row + i % 2] = sums[1][i] + sums[0][i];
}

/* The numbers of n_eights eights of all rows of x from column k on, [n_eights][row]. */
static __device__ __forceinline__ void keep_x(
	struct few_parts *kept, const struct cuda_few &f, int k, int n_eights, bool is_aligned)
{
#pragma unroll 1 /* registers */
	for (int i = (int)threadIdx.x; i < n_eights * f.rows; i += TILE_THREADS) {
		const int at = k + i / f.rows * 8;
		const float *x = f.x + i % f.rows * f.ldx + at;
		float v[8];
		if (is_aligned)
			load_some<true>(v, x, (int)f.k - at);
		else
			load_some<false>(v, x, (int)f.k - at);
#pragma unroll
		for (int j = 0; j < 4; j++)
			split(&kept[i], j, v[2 * j], v[2 * j + 1]);
	}
	__syncthreads();
}

/* Of the threads that norm.cuh has for each row, `threads`, a warp plays 32 at a time. */
struct few_team {
	int threads, warps; /* of a row */
	int n_columns;      /* with the zeros that fill them up */
};

/* A four of x, and where its numbers will be: half of an eight. */
struct few_four {
	struct few_parts *eight;
	int word; /* its first, of two */
};

static __device__ __forceinline__ struct few_four four_of(
	struct few_parts *kept, const struct cuda_few &f, int row, int column)
{
	return {&kept[column / 8 * f.rows + row], column / 4 % 2 * 2};
}

/* x itself, meanwhile, in words that no other four has. */
static __device__ __forceinline__ void put_raw(const struct few_four &to, const float (&v)[4])
{
#pragma unroll
	for (int j = 0; j < 4; j++)
		to.eight->at[j / 2][to.word + j % 2] = __float_as_uint(v[j]);
}

static __device__ __forceinline__ void get_raw(float (&v)[4], const struct few_four &from)
{
#pragma unroll
	for (int j = 0; j < 4; j++)
		v[j] = __uint_as_float(from.eight->at[j / 2][from.word + j % 2]);
}

static __device__ __forceinline__ float sum_of(const float *sums, int n)
{
	float s = 0;

	for (int i = 0; i < n; i++)
		s += sums[i];
	return s;
}

/* The first column of a lane, whose warp plays team warp i of all rows. */
static __device__ __forceinline__ int team_column(const struct few_team &t, int i)
{
	return (i % t.warps * WARP + (int)threadIdx.x % WARP) * 4;
}

/* The numbers of the norm of all of x, with the sums of norm.cuh.  A row is read once and waits
 * in the memory where its numbers come to be.  w, b: AHEAD, of the lane's first fours. */
template <bool AHEAD>
static __device__ __forceinline__ void keep_normed(struct few_parts *kept, const struct cuda_few &f,
	int warp, const struct few_team &team, const float (&w)[N_AHEAD][4],
	const float (&b)[N_AHEAD][4], float *sums)
{
	float *const squares = sums + MAX_TEAMS;
	const int n = team.warps * f.rows, step = team.threads * 4, k = (int)f.k;
	float v[4];

#pragma unroll 1 /* registers */
	for (int i = warp; i < n; i += TILE_WARPS) {
		const int row = i / team.warps;
		float sum = 0;
		for (int at = team_column(team, i); at < team.n_columns; at += step) {
			v[0] = v[1] = v[2] = v[3] = 0;
			if (at < k)
				norm_four(v, f.x + row * f.ldx, at, k, true);
			put_raw(four_of(kept, f, row, at), v);
			sum = norm_sum(sum, v);
		}
		sum = warp_sum(sum);
		if (threadIdx.x % WARP == 0)
			sums[i] = sum;
	}
	__syncthreads();
#pragma unroll 1
	for (int i = warp; i < n; i += TILE_WARPS) {
		const int row = i / team.warps;
		const float mean = sum_of(sums + row * team.warps, team.warps) / (float)k;
		float sum = 0;
		for (int at = team_column(team, i); at < k; at += step) {
			get_raw(v, four_of(kept, f, row, at));
			sum = norm_squares(sum, v, mean, k - at);
		}
		sum = warp_sum(sum);
		if (threadIdx.x % WARP == 0)
			squares[i] = sum;
	}
	__syncthreads();
#pragma unroll 1
	for (int i = warp; i < n; i += TILE_WARPS) {
		const int row = i / team.warps;
		const float mean = sum_of(sums + row * team.warps, team.warps) / (float)k,
			    scale = norm_scale(
				    sum_of(squares + row * team.warps, team.warps), k, f.eps);
		int turn = i == warp ? 0 : N_AHEAD;
		for (int at = team_column(team, i); at < team.n_columns; at += step, turn++) {
			const struct few_four to = four_of(kept, f, row, at);
			float more[4] = {}, add[4] = {};
			if (at < k && (!AHEAD || turn >= N_AHEAD)) {
				norm_four(more, f.norm_w, at, k, true);
				norm_four(add, f.norm_b, at, k, true);
			}
#pragma unroll
			for (int j = 0; j < N_AHEAD * 4; j++)
				if (AHEAD && turn == j / 4) {
					more[j % 4] = w[j / 4][j % 4];
					add[j % 4] = b[j / 4][j % 4];
				}
			get_raw(v, to);
#pragma unroll
			for (int j = 0; j < 4; j++) /* 0 after the last */
				v[j] = fmaf((v[j] - mean) * scale, more[j], add[j]);
			split(to.eight, to.word, v[0], v[1]);
			split(to.eight, to.word + 1, v[2], v[3]);
		}
	}
	__syncthreads();
}

#endif

/* slab: bytes of a row of w for which x is in shared memory at a time, whole steps; NORM: all. */
template <typename T, bool NORM>
static __global__ void __launch_bounds__(TILE_THREADS, 2)
	few_tiles(const struct cuda_few f, int slab, int norm_team, bool is_aligned)
{
#if defined(WOODSHED_EMULATED) || __CUDA_ARCH__ >= 800
	const int SIZE = (int)sizeof(T), EIGHT = 8 * SIZE;
	const bool AHEAD = STARTS_EARLY && SIZE == 2; /* int8 takes more registers */
	DYNAMIC_SHARED(uint4, ring);                  /* [DEPTH][2][TILE_THREADS] */
	/* [2][TILE_WARPS][TILE_OUTS][rows] */
	float *const sums_of = (float *)(ring + DEPTH * SLOT);
	const int n_sums = TILE_OUTS * f.rows, n = (int)f.n, end = (int)f.ldw * SIZE,
		  n_eights = (end + EIGHT - 1) / EIGHT;
	struct few_parts *const kept = (struct few_parts *)(sums_of + 2 * TILE_WARPS * n_sums);
	const int warp = (int)threadIdx.x / WARP, row = (int)threadIdx.x % WARP / 4;
	/* The output that the thread finishes. */
	const int out = (int)threadIdx.x / f.rows;
	const int first = warp * CHUNK + (int)threadIdx.x % 4 * LOAD,
		  step = (int)gridDim.x * TILE_OUTS;
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
	if (NORM) {
		SHARED(float, row_sums, [2 * MAX_TEAMS]);
		const struct few_team team = {norm_team, norm_team / WARP, n_eights * 8};
		float norm_w[N_AHEAD][4] = {}, norm_b[N_AHEAD][4] = {};
#pragma unroll
		for (int i = 0; i < (AHEAD ? N_AHEAD : 0); i++) {
			const int column = team_column(team, warp) + i * norm_team * 4;
			if (column >= f.k)
				continue;
			norm_four(norm_w[i], f.norm_w, column, f.k, true);
			norm_four(norm_b[i], f.norm_b, column, f.k, true);
		}
		after_previous();
		keep_normed<AHEAD>(kept, f, warp, team, norm_w, norm_b, row_sums);
	} else {
		after_previous();
	}
	for (; tile < n; tile += step) {
		const bool finishes = out < TILE_OUTS && tile + out < n;
		float sums[2][4] = {};

		for (int at = 0; at < end; at += STEP) {
			if (!NORM && (at == 0 ? tile < step || slab < end : at - kept_at == slab)) {
				kept_at = at;
				if (at || tile >= step)
					__syncthreads(); /* what was kept has been used */
				keep_x(kept, f, at / SIZE,
					end - at < slab ? n_eights - at / EIGHT : slab / EIGHT,
					is_aligned);
			}
			if (at == 0 && finishes)
				load_after<T>(
					&after, f, tile + out, (int)threadIdx.x - out * f.rows);
			copy_async_wait<DEPTH - 1>();
			multiply_step<T>(sums, ring + from.slot + threadIdx.x, kept, f, at + first,
				at + first - kept_at);
			fetch(ring + threadIdx.x, &from, first, end, step, f.w);
		}
		/* Two sets of sums: with the barrier of the next tile these have been used. */
		float *const all = sums_of + odd * TILE_WARPS * n_sums;
		put_sums(all + warp * n_sums, sums, f.rows);
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

/* Bytes that a block has besides, and the system takes. */
static const size_t OTHER_SHARED = sizeof(float) * 2 * MAX_TEAMS + (1 << 10);

/* Shared memory of a block that keeps x for `slab` bytes of w. */
static size_t tiles_shared(const struct cuda_few *f, int64_t slab)
{
	const size_t eight = 8 * gpu_dtype_size(f->dtype),
		     sums = sizeof(float) * 2 * TILE_WARPS * TILE_OUTS;

	return DEPTH * SLOT * sizeof(uint4) + (size_t)f->rows * sums +
	       ((size_t)slab + eight - 1) / eight * (size_t)f->rows * sizeof(struct few_parts);
}

static int64_t whole_slab(const struct cuda_few *f)
{
	return (f->ldw * (int64_t)gpu_dtype_size(f->dtype) + STEP - 1) / STEP * STEP;
}

/* As much of a row of w as there is room for x of, in whole steps. */
static int64_t slab_of(const struct gpu *g, const struct cuda_few *f)
{
	const size_t room = cuda_of(g)->block_shared - OTHER_SHARED;
	int64_t slab = whole_slab(f);

	while (slab > STEP && tiles_shared(f, slab) > room)
		slab = (slab / 2 + STEP - 1) / STEP * STEP;
	return tiles_shared(f, slab) <= room ? slab : 0;
}

template <typename T, bool NORM>
static void launch_tiles(struct gpu *g, const struct cuda_few *f, int64_t slab)
{
	const struct cuda *c = cuda_of(g);
	const size_t shared = tiles_shared(f, slab);
	const bool two = 2 * (shared + OTHER_SHARED) <= c->multiprocessor_shared;
	const unsigned tiles = blocks_for(f->n, TILE_OUTS), most = c->n_multiprocessors << two;

	if (cuda_ok(g,
		    cudaFuncSetAttribute(few_tiles<T, NORM>,
			    cudaFuncAttributeMaxDynamicSharedMemorySize, (int)shared),
		    "few_tiles"))
		LAUNCH_EARLY(g, (few_tiles<T, NORM>), tiles < most ? tiles : most, TILE_THREADS,
			shared, *f, (int)slab, (int)norm_threads(f->k),
			stream_is_aligned(f->x, f->ldx, f->k));
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

static bool can_tile(const struct gpu *g, const struct cuda_few *f)
{
	return cuda_of(g)->arch >= 80 && f->dtype != GPU_F32 && f->group == f->n &&
	       f->ldw < INT32_MAX / 4 && f->n < INT32_MAX / 2;
}

bool cuda_few_can_norm(const struct gpu *g, const struct cuda_few *f)
{
	const int64_t slab = can_tile(g, f) ? slab_of(g, f) : 0;

	return slab && slab == whole_slab(f) && stream_is_aligned(f->x, f->ldx, f->k);
}

/* Where a block's memory has no room for x of a step (99 KB, from 7 rows on in bf16, 5 in
 * int8): half of the rows at a time, so that a row has the bits that it has alone. */
static void tiles_of_some(struct gpu *g, const struct cuda_few *f)
{
	const int64_t slab = slab_of(g, f);
	struct cuda_few part = *f;

	if (!slab && f->rows > 1) {
		part.rows = f->rows / 2;
		tiles_of_some(g, &part);
		part.x += part.rows * f->ldx;
		part.y += part.rows * f->ldy;
		part.rows = f->rows - part.rows;
		tiles_of_some(g, &part);
	} else if (f->dtype == GPU_I8) {
		launch_tiles_of<int8_t>(g, f, slab);
	} else {
		launch_tiles_of<uint16_t>(g, f, slab);
	}
}

void cuda_few_rows(struct gpu *g, const struct cuda_few *f)
{
	if (can_tile(g, f))
		tiles_of_some(g, f);
	else if (f->dtype == GPU_F32)
		launch_few_of<float>(g, f);
	else if (f->dtype == GPU_I8)
		launch_few_of<int8_t>(g, f);
	else
		launch_few_of<uint16_t>(g, f);
}
