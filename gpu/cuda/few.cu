/* Products of up to 8 rows of x (steps of a language model), bound by reading the weights.
 *	y[m,o] = act(sum_k norm(x)[m,k] w[o,k] (* scale[o]) + bias[o]) (+ y[m,o])
 * A row of x has the same bits alone and among others; the norm has those of norm.cu.
 *
 * few_tiles, bf16 and int8 from compute capability 8.0 on: tensor cores, mma of 16 rows of w
 * and 8 columns of x, 16 k deep, bf16 with f32 sums.  x is the sum of two bf16 numbers, its parts,
 * the rounded rest second: within 2^-17 of x, twice the bits of a weight.  Both parts of one or
 * two rows are columns of one mma; of more rows each part has an mma of its own.  Which k is which
 * within an mma is free, as long as w and x agree: a lane takes 16 bytes of w, neighbours in k, and
 * the same k of its column of x.
 * A block of 16 warps has 16 rows of w at a time, each warp a share of k.  Weights come through
 * a ring in shared memory, 64 KB where no more is said, which each warp fills for itself with
 * whole lines of w: those of the next rows are under way while these are multiplied, and the
 * first do not wait for the kernel before this one (LAUNCH_EARLY).  The parts of x, and its norm
 * before, are made once a block: of a block's time they are as much as weights.
 * Long rows of x, more than two of them, are more than a block's part of w.  There blocks come in
 * groups of SHARES, each with a share of k of as many tiles, and the last of a group adds up.
 * Bytes moved: w once; x comes from caches, all of it to each block, or a share.
 *
 * Measured by hand on an H200, 132 multiprocessors (docs/PERF.md tells more):
 * Pieces of 64 bytes of 16 rows stream at 3.0 to 3.5 TB/s, however many are under way; lines of
 * 128 bytes at 4.5, as plain reading does.
 * Requests are answered in turn: what a block wants of x waits for all weights that it asked for
 * before, 64 KB for 2 us.  So all but one step of the ring come after x, unless they are all that
 * the block will want.
 * Of one or two rows of MusicGen large: x is there after 0.8 us, or 2 behind weights; its norm
 * takes 1 us; 64 KB that are there 0.7 us, 1.4 for each of two blocks beside each other.
 * Instructions: at 4.2 TB/s a multiprocessor gets 1 KB in 57 cycles, in which it issues 228; a warp
 * takes about 50 for it (counted by hand, nvdisasm).
 * Sums: of a warp as mma adds, in ascending order of k, of each part by itself, and the smallest
 * part first; then the warps of each share in ascending order, then the shares.
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
	LOAD = 16,                 /* bytes that a lane takes at once, */
	PIECES = 8,                /* of them, neighbours in a row of w, a warp at a time, */
	CHUNK = PIECES * LOAD,     /* in bytes: a line */
	STEP = CHUNK * TILE_WARPS, /* of a block: from one load of a warp to its next */
	AT_ONCE = WARP / PIECES,   /* rows that the lanes of a warp fetch at once */
	SLOT = PIECES * TILE_OUTS * TILE_WARPS, /* loads of one */
	/* Steps of a ring. */
	SINGLE = 1, /* where no more fit beside x, which is better than reading w twice */
	SHALLOW = 2,
	SHARES = 4,    /* of k, one for each of as many blocks, which have as many tiles */
	N_PARTS = 2,   /* bf16 numbers of an f32 */
	FEW_HELD = 2,  /* eights of x that a thread has at once, */
	MANY_HELD = 4, /* where a slab has more */
	MAX_TEAMS = NORM_WARPS * CUDA_FEW_ROWS, /* warps of norm.cuh, of all rows */
	N_AHEAD = 2, /* fours of the norm's weights that a lane has early */
};

/* How a block keeps x: of eight k the first parts of all rows, 16 bytes each, then the second. */
struct few_layout {
	int depth;  /* of the ring */
	int shares; /* 1 or SHARES */
	int slab;   /* bytes of a row of w for which x, or a share of it, is kept at a time, whole
		       steps */
	int stride; /* from eight k to the next, in 16 bytes */
};

/* A kernel.  HAS_NORM: a slab is all of a row; N_SHARES, DEPTH: few_layout's. */
template <bool IS_PAIR_, bool HAS_NORM_, int N_SHARES_, int DEPTH_, int HELD_> struct few_kind {
	static constexpr bool IS_PAIR = IS_PAIR_, HAS_NORM = HAS_NORM_;
	static constexpr int N_SHARES = N_SHARES_, DEPTH = DEPTH_, HELD = HELD_;
	static constexpr int MMAS = IS_PAIR ? 1 : N_PARTS;  /* column_at() */
	static constexpr int WARPS = TILE_WARPS / N_SHARES; /* of a tile */
	static constexpr int OUTS = TILE_OUTS * N_SHARES;   /* of a block at a time */
};
using few_pair = few_kind<true, false, 1, SHALLOW, FEW_HELD>;
using few_pair_long = few_kind<true, false, 1, SHALLOW, MANY_HELD>;
using few_pair_norm = few_kind<true, true, 1, SHALLOW, FEW_HELD>;
using few_all = few_kind<false, false, 1, SHALLOW, MANY_HELD>;
using few_all_single = few_kind<false, false, 1, SINGLE, MANY_HELD>;
using few_all_shared = few_kind<false, false, SHARES, SHALLOW, MANY_HELD>;
using few_all_norm = few_kind<false, true, 1, SHALLOW, FEW_HELD>;

#if defined(WOODSHED_EMULATED) || __CUDA_ARCH__ >= 800

/* Two of x, as a word of the part that is next, which is taken off. */
static __device__ __forceinline__ unsigned take_part(float &even, float &odd)
{
	const unsigned word = f32_to_bf16_pair(even, odd);

	even -= __uint_as_float(word << 16);
	odd -= __uint_as_float(word & 0xffff0000u);
	return word;
}

/* Four of x, as the words of the next part, in the order of eight_weights(). */
template <typename T> static __device__ __forceinline__ uint2 take_parts(float *v)
{
	const int second = sizeof(T) == 1 ? 2 : 1;
	const unsigned low = take_part(v[0], v[second]);

	return make_uint2(low, take_part(v[3 - second], v[3]));
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

/* Every other byte, from the lowest on: each is (128 + its lower 7 bits) - (128, or 256 if it is
 * negative), which are bf16 numbers with its bits in their mantissa. */
static __device__ __forceinline__ unsigned two_weights(unsigned bytes)
{
	const unsigned is_128 = 0x43004300u;

	return subtract_bf16_pairs(
		and_or(bytes, 0x007f007fu, is_128), and_or(bytes, 0x00800080u, is_128));
}

static __device__ __forceinline__ void eight_weights(
	unsigned (&to)[4], const uint4 &from, int half, const int8_t *)
{
	const unsigned words[2] = {half ? from.z : from.x, half ? from.w : from.y};

#pragma unroll
	for (int i = 0; i < 4; i++)
		to[i] = two_weights(words[i / 2] >> i % 2 * 8);
}

/* What a lane fetches next: the bytes from `byte` on of rows of w, AT_ONCE apart, of a tile. */
struct few_source {
	const char *row; /* the first, or any row of w where that is beyond the last */
	int tile, out;   /* the first output of the tile; that of the first row */
	int byte;
	unsigned slot; /* of the ring: what is used, then fetched */
};

static __device__ __forceinline__ void aim(
	struct few_source *s, const struct cuda_few &f, int tile, int end)
{
	s->tile = tile;
	s->out = tile + (int)threadIdx.x % WARP / PIECES;
	s->row = (const char *)f.w + (s->out < f.n ? s->out : 0) * (int64_t)end;
}

/* Whether a warp whose lanes load there has something of a row, which it multiplies as a whole. */
static __device__ __forceinline__ bool has_chunk(int byte, int end)
{
	return (byte & ~(CHUNK - 1)) < end;
}

static __device__ __forceinline__ int whole_chunks(int bytes)
{
	return (bytes + CHUNK - 1) & ~(CHUNK - 1);
}

/* A warp has its bytes of a step as [TILE_OUTS][PIECES]; the halves of odd rows are exchanged, so
 * that two rows of four lanes are in all banks. */
static __device__ __forceinline__ int place_of(int row, int piece)
{
	return row * PIECES + (piece ^ row % 2 * (PIECES / 2));
}

/* Of each row of x, for so many bytes of w, a slab at most; of whole steps its share. */
template <typename T, class K>
static __device__ __forceinline__ int eights_of(int bytes, struct few_layout l)
{
	const int most = bytes < l.slab ? bytes : l.slab;
	const int all = K::N_SHARES == 1 ? whole_chunks(most) : (most + STEP - 1) / STEP * STEP;

	return all / (8 * (int)sizeof(T) * K::N_SHARES);
}

/* One step, into shared memory from `ring` on, zeros beyond the end of a row; after it come rows
 * of the block's next tile. */
template <class K>
static __device__ __forceinline__ void fetch(
	uint4 *ring, struct few_source *s, const struct cuda_few &f, int first, int end)
{
	const bool in_row = s->byte < end;
	const char *const at = s->row + (in_row ? s->byte : 0);

	if (s->tile < f.n && has_chunk(s->byte, end))
#pragma unroll
		for (int i = 0; i < TILE_OUTS / AT_ONCE; i++) {
			const bool is_there = s->out + i * AT_ONCE < f.n;
			copy_async_16(ring + s->slot + i * WARP,
				at + (is_there ? (int64_t)(i * AT_ONCE) * end : 0),
				in_row && is_there);
		}
	copy_async_commit();
	s->slot = (s->slot + SLOT) % (K::DEPTH * SLOT);
	s->byte += STEP;
	if (s->byte - first < end) /* for the whole block alike */
		return;
	s->byte = first;
	aim(s, f, s->tile + (int)gridDim.x * K::OUTS, end);
}

/* The steps of a ring after its first. */
template <class K>
static __device__ __forceinline__ void fetch_rest(
	uint4 *ring, struct few_source *s, const struct cuda_few &f, int first, int end)
{
	for (int i = 1; i < K::DEPTH; i++)
		fetch<K>(ring, s, f, first, end);
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

/* From a part of an eight to the next. */
template <class K> static __device__ __forceinline__ int parts_apart(int rows)
{
	return K::IS_PAIR ? 2 : rows;
}

/* An mma has 8 columns: all parts of one or two rows of x where IS_PAIR, else a part of each of up
 * to 8 rows.  Where a lane finds its column of what is kept, from an eight on; any where there is
 * none. */
template <class K> static __device__ __forceinline__ int column_at(int rows)
{
	const int column = (int)threadIdx.x % WARP / 4;
	const int part = K::IS_PAIR ? column / 2 : 0, row = K::IS_PAIR ? column % 2 : column;

	return (part < N_PARTS ? part * 2 : 0) + (row < rows ? row : 0);
}

/* sums += w x of 16 bytes of a lane of two rows of w, 8 apart. */
template <typename T, int MMAS>
static __device__ __forceinline__ void multiply_rows(float (&sums)[MMAS][4], const uint4 &first,
	const uint4 &second, const uint4 *kept, int stride, int apart)
{
#pragma unroll
	for (int half = 0; half < LOAD / (8 * (int)sizeof(T)); half++) {
		unsigned low[4], high[4];
		eight_weights(low, first, half, (const T *)NULL);
		eight_weights(high, second, half, (const T *)NULL);
#pragma unroll
		for (int part = 0; part < MMAS; part++) {
			const uint4 x = kept[half * stride + part * apart];
			const unsigned b[4] = {x.x, x.y, x.z, x.w};
#pragma unroll
			for (int i = 0; i < 4; i += 2) {
				const unsigned a[4] = {low[i], high[i], low[i + 1], high[i + 1]};
				mma_bf16_16x8x16(sums[part], a, &b[i]);
			}
		}
	}
}

/* sums += w x of a step of a warp, whose bytes are at `fetched`; x of the lane's at `kept`. */
template <typename T, int MMAS>
static __device__ __forceinline__ void multiply(
	float (&sums)[MMAS][4], const uint4 *fetched, const uint4 *kept, int stride, int apart)
{
	const int row = (int)threadIdx.x % WARP / 4, piece = (int)threadIdx.x % 4;

#pragma unroll
	for (int i = 0; i < PIECES; i += 4) {
		const uint4 *const at = fetched + place_of(row, piece ^ i),
				   *const x = kept + i * LOAD / (8 * (int)sizeof(T)) * stride;
		multiply_rows<T, MMAS>(sums, at[0], at[TILE_OUTS / 2 * PIECES], x, stride, apart);
	}
}

/* Those of the warp, smallest parts first: [TILE_OUTS][rows]. */
template <int MMAS>
static __device__ __forceinline__ void put_sums(float *to, const float (&sums)[MMAS][4], int rows)
{
	const int out = (int)threadIdx.x % WARP / 4, pair = (int)threadIdx.x % 4;

#pragma unroll
	for (int i = 0; i < 4; i++) {
		const int at = (out + i / 2 * 8) * rows;
		const int row = MMAS == N_PARTS ? pair * 2 + i % 2 : i % 2;
		float s = sums[0][i];

		if (MMAS == N_PARTS)
			s = sums[MMAS - 1][i] + s;
		else /* the other part is with the next lane */
			s = __shfl_down_sync(ALL_LANES, s, 1) + s;
		if (row < rows && (MMAS == N_PARTS || pair == 0))
			to[at + row] = s;
	}
}

/* What a thread has of x at a time: eights TILE_THREADS apart of all rows, rows first. */
template <int HELD> struct few_held {
	float v[HELD][8];
};

template <class K> static __device__ __forceinline__ int eight_of(int i, int rows)
{
	return K::IS_PAIR ? i >> (rows - 1) : i / rows;
}

/* Where in a row of x the eight of a block is, from its slab on. */
template <typename T, class K> static __device__ __forceinline__ int column_of(int eight)
{
	const int n = STEP / K::N_SHARES / (8 * (int)sizeof(T)); /* of a step */

	if (K::N_SHARES > 1)
		eight += (eight / n * (K::N_SHARES - 1) + (int)blockIdx.y) * n;
	return eight * 8;
}

/* n_eights of each row of x from column k on, those from i on. */
template <typename T, class K>
static __device__ __forceinline__ void load_held(struct few_held<K::HELD> *h,
	const struct cuda_few &f, int k, int n_eights, int i, bool is_aligned)
{
#pragma unroll
	for (int j = 0; j < K::HELD; j++) {
		const int at = i + j * TILE_THREADS, eight = eight_of<K>(at, f.rows);
		const int column = k + column_of<T, K>(eight),
			  n = at < n_eights * f.rows ? (int)f.k - column : 0;
		const float *x = f.x + (at - eight * f.rows) * f.ldx + column;
		if (is_aligned)
			load_some<true>(h->v[j], x, n);
		else
			load_some<false>(h->v[j], x, n);
	}
}

template <typename T, class K>
static __device__ __forceinline__ void put_held(
	uint4 *kept, struct few_held<K::HELD> *h, int n_eights, int i, int rows, int stride)
{
#pragma unroll
	for (int j = 0; j < K::HELD; j++) {
		const int at = i + j * TILE_THREADS, eight = eight_of<K>(at, rows);
		uint4 *const to = kept + eight * stride + (at - eight * rows);
		if (at >= n_eights * rows)
			break;
#pragma unroll
		for (int part = 0; part < N_PARTS; part++) {
			const uint2 low = take_parts<T>(h->v[j]), high = take_parts<T>(h->v[j] + 4);
			to[part * parts_apart<K>(rows)] = make_uint4(low.x, low.y, high.x, high.y);
		}
	}
}

/* The parts of n_eights of all rows of x from column k on, of which *h has the first. */
template <typename T, class K>
static __device__ __forceinline__ void keep_x(uint4 *kept, struct few_held<K::HELD> *h,
	const struct cuda_few &f, int k, int n_eights, int stride, bool is_aligned)
{
	const int step = K::HELD * TILE_THREADS;

#pragma unroll 1
	for (int i = (int)threadIdx.x;;) {
		put_held<T, K>(kept, h, n_eights, i, f.rows, stride);
		i += step;
		if (i >= n_eights * f.rows)
			break;
		load_held<T, K>(h, f, k, n_eights, i, is_aligned);
	}
	__syncthreads();
}

/* A team of norm.cuh's threads has a row of x, as many rows at a time as there are teams. */
struct few_team {
	int warps;           /* of a team */
	int row, n_at_once;  /* the warp's first row; its next is that many on */
	int part;            /* which of its team a warp is */
	int column, step;    /* of the lane's first four, and to the next */
	float w[N_AHEAD][4]; /* the norm's, of its first fours */
};

/* A four of a row of k; zeros beyond. */
static __device__ __forceinline__ void load_four(
	float (&v)[4], const float *row, int at, int k, bool is_there)
{
	v[0] = v[1] = v[2] = v[3] = 0;
	if (is_there && at < k)
		norm_four(v, row, at, k, true);
}

static __device__ __forceinline__ void join_team(
	struct few_team *t, const struct cuda_few &f, int n_threads)
{
	const int warp = (int)threadIdx.x / WARP;

	t->warps = n_threads / WARP;
	t->n_at_once = TILE_WARPS / t->warps;
	t->row = warp / t->warps;
	t->part = warp - t->row * t->warps;
	if (t->row >= t->n_at_once)
		t->row = CUDA_FEW_ROWS; /* none */
	t->column = (t->part * WARP + (int)threadIdx.x % WARP) * 4;
	t->step = n_threads * 4;
#pragma unroll
	for (int i = 0; i < N_AHEAD; i++)
		load_four(t->w[i], f.norm_w, t->column + i * t->step, (int)f.k, true);
}

/* Of each row that there is the warp's part; the lanes' are added for all rows at once. */
template <int ROUNDS>
static __device__ __forceinline__ void put_team_sums(
	float *sums, const struct few_team &t, int rows, float (&sum)[ROUNDS])
{
	for (int lane = WARP / 2; lane > 0; lane /= 2)
#pragma unroll
		for (int r = 0; r < ROUNDS; r++)
			sum[r] += __shfl_xor_sync(ALL_LANES, sum[r], lane);
#pragma unroll
	for (int r = 0; r < ROUNDS; r++) {
		const int row = t.row + r * t.n_at_once;
		if (row < rows && threadIdx.x % WARP == 0)
			sums[row * NORM_WARPS + t.part] = sum[r];
	}
}

static __device__ __forceinline__ float team_sum(
	const float *sums, const struct few_team &t, int row)
{
	const float *const of = sums + row * NORM_WARPS;
	float s = 0;

	if (t.warps == NORM_WARPS) {
#pragma unroll
		for (int i = 0; i < NORM_WARPS; i += 4) {
			const float4 v = *reinterpret_cast<const float4 *>(of + i);
			s = s + v.x + v.y + v.z + v.w;
		}
		return s;
	}
	for (int i = 0; i < t.warps; i++)
		s += of[i];
	return s;
}

/* of_lane, as it was found for the lane's row, for each of the warp's rows: those of a warp are
 * found beside each other. */
template <int ROUNDS>
static __device__ __forceinline__ void give_rounds(float (&of)[ROUNDS], float of_lane)
{
#pragma unroll
	for (int r = 0; r < ROUNDS; r++)
		of[r] = ROUNDS == 1 ? of_lane : __shfl_sync(ALL_LANES, of_lane, r);
}

/* The parts of (v - mean) * scale * w + b. */
template <typename T>
static __device__ __forceinline__ void put_normed(uint4 *row, int stride, int apart, int at,
	const float (&x)[4], float mean, float scale, const float (&w)[4], const float (&b)[4])
{
	float v[4];

#pragma unroll
	for (int j = 0; j < 4; j++)
		v[j] = fmaf((x[j] - mean) * scale, w[j], b[j]);
#pragma unroll
	for (int part = 0; part < N_PARTS; part++)
		reinterpret_cast<uint2 *>(row + at / 8 * stride + part * apart)[at / 4 % 2] =
			take_parts<T>(v);
}

/* A lane's first fours of its rows. */
template <int ROUNDS> struct few_fours {
	float x[ROUNDS][N_AHEAD][4];
};

template <int ROUNDS>
static __device__ __forceinline__ void load_fours(
	struct few_fours<ROUNDS> *of, const struct cuda_few &f, const struct few_team &t)
{
#pragma unroll
	for (int r = 0; r < ROUNDS; r++)
#pragma unroll
		for (int i = 0; i < N_AHEAD; i++) {
			const int row = t.row + r * t.n_at_once;
			load_four(of->x[r][i], f.x + row * f.ldx, t.column + i * t.step, (int)f.k,
				row < f.rows);
		}
}

/* The parts of the norm of all of x, with the sums of norm.cuh, zeros from k to n_columns.
 * What a lane has of a row beyond its first fours it reads three times. */
template <typename T, int ROUNDS>
static __device__ __forceinline__ void keep_normed(uint4 *kept, int stride, int apart,
	const struct few_fours<ROUNDS> &first, const struct cuda_few &f, const struct few_team &t,
	int n_columns, float *sums)
{
	float *const squares = sums + MAX_TEAMS;
	const int k = (int)f.k, rest = t.column + N_AHEAD * t.step;
	const int lane_row = t.row + (int)threadIdx.x % ROUNDS * t.n_at_once;
	float b[N_AHEAD][4], mean[ROUNDS], scale[ROUNDS], sum[ROUNDS], v[4];

#pragma unroll
	for (int r = 0; r < ROUNDS; r++) {
		const int row = t.row + r * t.n_at_once;
		sum[r] = 0;
#pragma unroll
		for (int i = 0; i < N_AHEAD; i++)
			sum[r] = norm_sum(sum[r], first.x[r][i]);
		for (int at = rest; at < k; at += t.step) {
			load_four(v, f.x + row * f.ldx, at, k, row < f.rows);
			sum[r] = norm_sum(sum[r], v);
		}
	}
	put_team_sums(sums, t, f.rows, sum);
	__syncthreads();
#pragma unroll
	for (int i = 0; i < N_AHEAD; i++)
		load_four(b[i], f.norm_b, t.column + i * t.step, k, true);
	give_rounds(mean, lane_row < f.rows ? team_sum(sums, t, lane_row) / (float)k : 0);
#pragma unroll
	for (int r = 0; r < ROUNDS; r++) {
		const int row = t.row + r * t.n_at_once;
		sum[r] = 0;
#pragma unroll
		for (int i = 0; i < N_AHEAD; i++)
			if (t.column + i * t.step < k)
				sum[r] = norm_squares(sum[r], first.x[r][i], mean[r], 4);
#pragma unroll 1
		for (int at = rest; at < k; at += t.step) {
			load_four(v, f.x + row * f.ldx, at, k, row < f.rows);
			sum[r] = norm_squares(sum[r], v, mean[r], 4);
		}
	}
	put_team_sums(squares, t, f.rows, sum);
	__syncthreads();
	give_rounds(scale,
		lane_row < f.rows ? norm_scale(team_sum(squares, t, lane_row), k, f.eps) : 0);
#pragma unroll
	for (int r = 0; r < ROUNDS; r++) {
		const int row = t.row + r * t.n_at_once;
		uint4 *const to = kept + row;
		if (row >= f.rows)
			continue;
#pragma unroll
		for (int i = 0; i < N_AHEAD; i++) {
			const int at = t.column + i * t.step;
			if (at < n_columns) /* w and b are 0 beyond k */
				put_normed<T>(to, stride, apart, at, first.x[r][i], mean[r],
					scale[r], t.w[i], b[i]);
		}
#pragma unroll 1
		for (int at = rest; at < n_columns; at += t.step) {
			float w[4], b[4];
			load_four(v, f.x + row * f.ldx, at, k, true);
			load_four(w, f.norm_w, at, k, true);
			load_four(b, f.norm_b, at, k, true);
			put_normed<T>(to, stride, apart, at, v, mean[r], scale[r], w, b);
		}
	}
	__syncthreads();
}

#endif

/* Blocks of a multiprocessor: two on 9.0, where memory holds them and they were measured to be
 * faster, and where the registers of one do not keep the next kernel's from starting early;
 * elsewhere, of more rows, and where more of x is wanted at once, registers are worth more. */
template <class K> static constexpr int most_blocks(int arch)
{
	return arch == 90 && K::IS_PAIR && K::HELD == FEW_HELD ? 2 : 1;
}

#if defined(__CUDA_ARCH__)
#define THIS_ARCH (__CUDA_ARCH__ / 10)
#else
#define THIS_ARCH 0
#endif

/* Where the blocks of a group, which have shares of k for the same outputs, meet. */
struct few_group {
	float *sums;       /* [SHARES][groups][TILE_THREADS], each thread's, or NULL */
	unsigned *arrived; /* [groups] blocks of each; 0 before and after */
	int n;             /* groups */
};

#if defined(WOODSHED_EMULATED) || __CUDA_ARCH__ >= 800

/* In the last block of a group to come: *s becomes the sum of all shares, in ascending order. */
template <class K>
static __device__ __forceinline__ bool is_last_share(
	float *s, const struct few_group &of, int group)
{
	SHARED(bool, is_last, [1]);
	float *const at = of.sums + group * TILE_THREADS + (int)threadIdx.x;
	const int apart = of.n * TILE_THREADS;

	__stcg(at + (int)blockIdx.y * apart, *s);
	__syncthreads();
	if (threadIdx.x == 0)
		*is_last = arrive(&of.arrived[group], K::N_SHARES) == K::N_SHARES - 1;
	__syncthreads();
	if (!*is_last)
		return false;
	*s = 0;
#pragma unroll
	for (int i = 0; i < K::N_SHARES; i++)
		*s += __ldcg(at + i * apart);
	return true;
}

/* Of an output, from one of TILE_WARPS sums on: those of a share, then all shares. */
template <class K> static __device__ __forceinline__ float sum_of_warps(const float *sum, int apart)
{
	float s = 0;

#pragma unroll
	for (int i = 0; i < K::WARPS; i += TILE_WARPS / SHARES) {
		float share = 0;
#pragma unroll
		for (int w = i; w < i + TILE_WARPS / SHARES; w++)
			share += sum[w * apart];
		s += share;
	}
	return s;
}

#endif

template <typename T, class K>
static __global__ void __launch_bounds__(TILE_THREADS, most_blocks<K>(THIS_ARCH))
	few_tiles(const struct cuda_few f, struct few_layout layout, const struct few_group group,
		int norm_team, bool is_aligned)
{
#if defined(WOODSHED_EMULATED) || __CUDA_ARCH__ >= 800
	const int SIZE = (int)sizeof(T), EIGHT = 8 * SIZE;
	const int ROUNDS = K::IS_PAIR ? 1 : CUDA_FEW_ROWS / 2;
	/* The next slab of x, while one is multiplied: where registers reach. */
	const bool PRELOADS = K::HELD == MANY_HELD && SIZE > 1;
	DYNAMIC_SHARED(uint4, ring);                /* [DEPTH][TILE_WARPS][TILE_OUTS][PIECES] */
	uint4 *const kept = ring + K::DEPTH * SLOT; /* [eights of a slab][stride] */
	const int n_sums = TILE_OUTS * f.rows, n = (int)f.n, end = (int)f.ldw * SIZE;
	const int warp = (int)threadIdx.x / WARP, lane = (int)threadIdx.x % WARP;
	/* What the warp has of a step, and where that is in what is kept; of which of the block's
	 * tiles. */
	const int chunk =
		(K::N_SHARES > 1 ? (int)blockIdx.y * K::WARPS + warp % K::WARPS : warp) * CHUNK;
	const int kept_chunk = warp % K::WARPS * CHUNK, tile_at = warp / K::WARPS * TILE_OUTS;
	const int first = chunk + lane % PIECES * LOAD, block_tile = (int)blockIdx.x * K::OUTS;
	uint4 *const own = ring + warp * (TILE_OUTS * PIECES);
	uint4 *const to = own + place_of(lane / PIECES, lane % PIECES);
	struct few_source from;
	struct few_held<K::HELD> held;
	bool odd = false, is_kept = true, is_held = false;
	/* All but one step, unless that is all that there is: x would queue behind them. */
	const bool waits = block_tile + (int)gridDim.x * K::OUTS < f.n || end > K::DEPTH * STEP;

	let_next_start();
	from.byte = first;
	from.slot = 0;
	aim(&from, f, block_tile + tile_at, end);
	fetch<K>(to, &from, f, first, end);
	if (!waits)
		fetch_rest<K>(to, &from, f, first, end);
	if (K::HAS_NORM) {
		SHARED(float4, row_sums, [2 * MAX_TEAMS / 4]);
		struct few_team team;
		struct few_fours<ROUNDS> fours;
		join_team(&team, f, norm_team);
		after_previous();
		load_fours(&fours, f, team);
		if (waits)
			fetch_rest<K>(to, &from, f, first, end);
		keep_normed<T, ROUNDS>(kept, layout.stride, parts_apart<K>(f.rows), fours, f, team,
			whole_chunks(end) / SIZE, reinterpret_cast<float *>(row_sums));
	} else {
		const int n_eights = eights_of<T, K>(end, layout);
		after_previous();
		load_held<T, K>(&held, f, 0, n_eights, (int)threadIdx.x, is_aligned);
		if (waits)
			fetch_rest<K>(to, &from, f, first, end);
		keep_x<T, K>(kept, &held, f, 0, n_eights, layout.stride, is_aligned);
	}
	/* [2][TILE_WARPS][TILE_OUTS][rows] */
	float *const sums_of =
		(float *)(kept + layout.slab / (EIGHT * K::N_SHARES) * layout.stride);
	/* The output that the thread finishes. */
	const int out = K::IS_PAIR ? (int)threadIdx.x >> (f.rows - 1) : (int)threadIdx.x / f.rows,
		  row = (int)threadIdx.x - out * f.rows;
	const uint4 *const column = kept + (kept_chunk + lane % 4 * LOAD) / EIGHT * layout.stride +
				    column_at<K>(f.rows);
	struct few_after after = {};
	for (int tile = block_tile; tile < n; tile += (int)gridDim.x * K::OUTS) {
		const bool finishes = out < K::OUTS && tile + out < n;
		float sums[K::MMAS][4] = {};

		if (finishes)
			load_after<T>(&after, f, tile + out, row);
		for (int at = 0; at < end; at += layout.slab) {
			const int left = end - at < layout.slab ? end - at : layout.slab;
			const int n_eights = eights_of<T, K>(left, layout);
			if (!is_kept) {
				__syncthreads(); /* what was kept has been used */
				if (!is_held)
					load_held<T, K>(&held, f, at / SIZE, n_eights,
						(int)threadIdx.x, is_aligned);
				keep_x<T, K>(kept, &held, f, at / SIZE, n_eights, layout.stride,
					is_aligned);
			}
			is_kept = end <= layout.slab;
			is_held = PRELOADS && !is_kept && left < end - at;
			if (is_held)
				load_held<T, K>(&held, f, (at + left) / SIZE, n_eights,
					(int)threadIdx.x, is_aligned);
			const uint4 *x = column;
#pragma unroll 1
			for (int i = 0; i < left;
				i += STEP, x += STEP / (EIGHT * K::N_SHARES) * layout.stride) {
				copy_async_wait<K::DEPTH - 1>();
				__syncwarp();
				if (tile + tile_at < n && has_chunk(i + chunk, left))
					multiply<T, K::MMAS>(sums, own + from.slot, x,
						layout.stride, parts_apart<K>(f.rows));
				__syncwarp();
				fetch<K>(to, &from, f, first, end);
			}
		}
		/* Two sets of sums: with the barrier of the next tile these have been used. */
		float *const all = sums_of + odd * TILE_WARPS * n_sums;
		put_sums<K::MMAS>(all + warp * n_sums, sums, f.rows);
		__syncthreads();
		float s = 0;
		if (finishes) {
			const int of = out / TILE_OUTS; /* the block's tiles */
			s = sum_of_warps<K>(
				all + of * (K::WARPS - 1) * n_sums + (int)threadIdx.x, n_sums);
		}
		if ((K::N_SHARES == 1 || is_last_share<K>(&s, group, tile / K::OUTS)) && finishes)
			finish<T>(f, tile + out, row, s, after);
		odd = !odd;
	}
#endif
}

/* Bytes that a block has besides, and the system takes. */
static const size_t OTHER_SHARED = sizeof(float) * 2 * MAX_TEAMS + (1 << 10);

/* Shared memory of a block. */
static size_t tiles_shared(const struct cuda_few *f, struct few_layout l)
{
	const size_t n_eights = (size_t)l.slab / (8 * gpu_dtype_size(f->dtype) * (size_t)l.shares);

	return sizeof(uint4) * ((size_t)l.depth * SLOT + n_eights * (size_t)l.stride) +
	       sizeof(float) * 2 * TILE_WARPS * TILE_OUTS * (size_t)f->rows;
}

static int64_t row_bytes(const struct cuda_few *f)
{
	return f->ldw * (int64_t)gpu_dtype_size(f->dtype);
}

static int whole_slab(const struct cuda_few *f)
{
	return (int)((row_bytes(f) + STEP - 1) / STEP * STEP);
}

/* From eight k to the next, without room between. */
static int tight_stride(const struct cuda_few *f)
{
	return (f->rows > 2 ? f->rows : 2) * N_PARTS;
}

/* A quarter of a warp reads, at once, 16 bytes of two columns in each of four lanes' eights: of
 * these strides none is in another's banks. */
static int spread_stride(const struct cuda_few *f)
{
	int stride = tight_stride(f);

	while (f->dtype == GPU_I8 ? stride % 2 != 1 : stride % 4 != 2)
		stride++;
	return stride;
}

static bool fits(const struct gpu *g, const struct cuda_few *f, struct few_layout l)
{
	return tiles_shared(f, l) <= cuda_of(g)->block_shared - OTHER_SHARED;
}

/* As much of a row of w as there is room for x of; slab 0: none.  All of it, as a norm needs,
 * comes before what spreads it over banks. */
static struct few_layout layout_of(
	const struct gpu *g, const struct cuda_few *f, int depth, int shares)
{
	struct few_layout l = {depth, shares, whole_slab(f), spread_stride(f)};
	const struct few_layout tight = {depth, shares, l.slab, tight_stride(f)};

	if (!fits(g, f, l) && fits(g, f, tight))
		return tight;
	while (l.slab > STEP && !fits(g, f, l))
		l.slab = (l.slab / 2 + STEP - 1) / STEP * STEP;
	if (!fits(g, f, l))
		l.stride = tight.stride;
	if (!fits(g, f, l))
		l.slab = 0;
	return l;
}

template <typename T, class K>
static void launch_tiles(struct gpu *g, const struct cuda_few *f, struct few_layout l)
{
	const struct cuda *c = cuda_of(g);
	const size_t shared = tiles_shared(f, l);
	const bool two = most_blocks<K>(c->arch) == 2 &&
			 2 * (shared + OTHER_SHARED) <= c->multiprocessor_shared;
	const unsigned tiles = blocks_for(f->n, K::OUTS),
		       most = (c->n_multiprocessors << two) / K::N_SHARES;
	struct few_group group = {};

	if (K::N_SHARES > 1) {
		group.n = (int)tiles;
		group.arrived = c->arrived;
		group.sums = (float *)cuda_scratch(
			g, 2, sizeof(float) * K::N_SHARES * tiles * TILE_THREADS);
		if (!group.sums)
			return;
	}
	if (cuda_ok(g,
		    cudaFuncSetAttribute(few_tiles<T, K>,
			    cudaFuncAttributeMaxDynamicSharedMemorySize, (int)shared),
		    "few_tiles"))
		LAUNCH_EARLY(g, (few_tiles<T, K>), dim3(tiles < most ? tiles : most, K::N_SHARES),
			TILE_THREADS, shared, *f, l, group, (int)norm_threads(f->k),
			stream_is_aligned(f->x, f->ldx, f->k));
}

template <typename T>
static void launch_tiles_of(struct gpu *g, const struct cuda_few *f, struct few_layout l)
{
	const int64_t n_eights = l.slab / (8 * (int64_t)sizeof(T)) * f->rows;

	if (f->norm_w && f->rows <= 2)
		launch_tiles<T, few_pair_norm>(g, f, l);
	else if (f->norm_w)
		launch_tiles<T, few_all_norm>(g, f, l);
	else if (f->rows <= 2 && n_eights <= FEW_HELD * TILE_THREADS)
		launch_tiles<T, few_pair>(g, f, l);
	else if (f->rows <= 2)
		launch_tiles<T, few_pair_long>(g, f, l);
	else if (l.shares > 1)
		launch_tiles<T, few_all_shared>(g, f, l);
	else if (l.depth == SINGLE)
		launch_tiles<T, few_all_single>(g, f, l);
	else
		launch_tiles<T, few_all>(g, f, l);
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
	return can_tile(g, f) && layout_of(g, f, SHALLOW, 1).slab == whole_slab(f) &&
	       stream_is_aligned(f->x, f->ldx, f->k);
}

/* More than two long rows are as many bytes as what a block has of w, or more: shared, each block
 * has a quarter of them. */
static bool can_share(const struct cuda_few *f)
{
	return f->rows > 2 && !f->norm_w && row_bytes(f) >= SHARES * STEP &&
	       f->n <= CUDA_N_ARRIVED * SHARES * TILE_OUTS;
}

/* The best that fits; norms, and up to two rows, have kernels of one kind alone. */
static struct few_layout best_layout(const struct gpu *g, const struct cuda_few *f)
{
	const struct few_layout l = layout_of(g, f, SHALLOW, can_share(f) ? SHARES : 1);

	return l.slab || f->norm_w || f->rows <= 2 ? l : layout_of(g, f, SINGLE, 1);
}

/* Where a block's memory has no room for x of a step (99 KB, from 5 rows on in int8): half of the
 * rows at a time, so that a row has the bits that it has alone. */
static void tiles_of_some(struct gpu *g, const struct cuda_few *f)
{
	const struct few_layout l = best_layout(g, f);
	struct cuda_few part = *f;

	if (!l.slab && f->rows > 1) {
		part.rows = f->rows / 2;
		tiles_of_some(g, &part);
		part.x += part.rows * f->ldx;
		part.y += part.rows * f->ldy;
		part.rows = f->rows - part.rows;
		tiles_of_some(g, &part);
	} else if (f->dtype == GPU_I8) {
		launch_tiles_of<int8_t>(g, f, l);
	} else {
		launch_tiles_of<uint16_t>(g, f, l);
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
