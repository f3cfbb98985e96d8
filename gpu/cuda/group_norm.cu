/* Group norm: sums and squares in f64; y = x scale + shift of each channel, and silu of it.
 *
 * Up to 24 576 elements a group and batch row, 4 neighbours of it at 16 bytes: a block a group
 * holds them in registers; 8 bytes of memory an element.
 *
 * Else two kernels: sums over pieces of the rows; then blocks that fold the sums of their groups,
 * each anew in the same order, and apply them: 12 bytes an element.  A block of either sees a few
 * groups, so that what it folds is small (64 pieces of 8 groups: 8 KB) and neighbouring threads
 * read neighbours.
 *
 * AudioLDM 2's UNet has 93 a step.  Three kernels, of which the second folded sums of channels, a
 * block a group, took 9 us each on an H200: 3.8, 3.4 (for a few KB: 16 barriers, 64-bit divisions
 * of indices, divisions and a root in f64) and 1.7.  Now one takes 3.1 to 5.0 there, and two, for
 * large images, 13.  An element becomes f64 once, of which an H100 does 16 a clock and
 * multiprocessor, a consumer card 2. */
#include "gpu/cuda/norm.cuh"

enum {
	THREADS = 256,
	GROUP_THREADS = 1024,
	GROUP_FOURS = 6,       /* of group_held, a thread */
	GROUP_CHANNELS = 4096, /* in its shared memory */
	PIECE = 64,            /* rows, at least */
	MAX_PIECES = 256,
	ROWS = 4,           /* that a thread applies at once */
	PANEL_COLUMNS = 32, /* of a panel, unless one group is wider */
};

struct group_norm {
	float *y;
	const float *x, *w, *b;
	int64_t n_batch, n_rows, width, n_groups;
	double per_element; /* 1 / elements of a group */
	float eps;
	bool silu;
	/* sums over pieces: */
	int n_pieces, piece; /* rows of one */
	int panel, n_panels; /* groups that a block has, and how many times so many */
	double *partial;     /* [B, groups, pieces, sum and squares] */
};

static __device__ __forceinline__ double warp_sum_f64(double x)
{
	for (int lane = WARP / 2; lane > 0; lane /= 2)
		x += __shfl_xor_sync(ALL_LANES, x, lane);
	return x;
}

/* Of a group. */
struct group_scale {
	double mean, inverse;
};

static __device__ __forceinline__ struct group_scale scale_of(
	const struct group_norm &o, double sum, double squares)
{
	const double mean = sum * o.per_element, variance = squares * o.per_element - mean * mean;

	return {mean, rsqrt((variance > 0 ? variance : 0) + (double)o.eps)};
}

/* Of a channel y = x scale + shift, instead of its w and b. */
static __device__ __forceinline__ void fold_scale(
	const struct group_scale &s, float *scale, float *shift, float w, float b)
{
	const double k = s.inverse * (double)w;

	*scale = (float)k;
	*shift = (float)fma(-s.mean, k, (double)b);
}

static __device__ __forceinline__ float affine_of(float x, float scale, float shift, bool silu)
{
	const float v = fmaf(x, scale, shift);

	return silu ? v / (1 + expf(-v)) : v;
}

static __device__ __forceinline__ void add_moments(double &sum, double &squares, float x)
{
	const double v = x;

	sum += v;
	squares = fma(v, v, squares);
}

/* A group of a batch row, FOURS fours a thread. */
static __global__ void __launch_bounds__(GROUP_THREADS) group_held(struct group_norm o)
{
	SHARED(double, sums, [2 * GROUP_THREADS / WARP]);
	DYNAMIC_SHARED(float, scale); /* of n channels, and shift of as many */
	const unsigned group = blockIdx.x % (unsigned)o.n_groups,
		       batch = blockIdx.x / (unsigned)o.n_groups,
		       n = (unsigned)(o.width / o.n_groups), per_row = n / 4,
		       n_fours = per_row * (unsigned)o.n_rows, width = (unsigned)o.width;
	const int64_t first = batch * o.n_rows * o.width + group * n;
	const float *const x = o.x + first;
	float v[GROUP_FOURS][4], *const shift = scale + n;
	double sum = 0, squares = 0;

	for (unsigned c = threadIdx.x; c < n; c += blockDim.x) {
		scale[c] = o.w[group * n + c];
		shift[c] = o.b[group * n + c];
	}

#pragma unroll
	for (int i = 0; i < GROUP_FOURS; i++) {
		const unsigned at = threadIdx.x + i * blockDim.x;
		if (at < n_fours)
			norm_four(v[i], x + at / per_row * width, at % per_row * 4, n, true);
	}
#pragma unroll
	for (int i = 0; i < GROUP_FOURS; i++)
		if (threadIdx.x + i * blockDim.x < n_fours)
#pragma unroll
			for (int j = 0; j < 4; j++)
				add_moments(sum, squares, v[i][j]);
	sum = warp_sum_f64(sum);
	squares = warp_sum_f64(squares);
	if (threadIdx.x % WARP == 0) {
		sums[threadIdx.x / WARP * 2] = sum;
		sums[threadIdx.x / WARP * 2 + 1] = squares;
	}
	__syncthreads();
	/* Each warp adds them up again, the same way. */
	const unsigned lane = threadIdx.x % WARP;
	const bool is_there = lane < blockDim.x / WARP;
	sum = warp_sum_f64(is_there ? sums[lane * 2] : 0);
	squares = warp_sum_f64(is_there ? sums[lane * 2 + 1] : 0);
	const struct group_scale s = scale_of(o, sum, squares);
	for (unsigned c = threadIdx.x; c < n; c += blockDim.x)
		fold_scale(s, &scale[c], &shift[c], scale[c], shift[c]);
	__syncthreads();
#pragma unroll
	for (int i = 0; i < GROUP_FOURS; i++) {
		const unsigned at = threadIdx.x + i * blockDim.x, c = at % per_row * 4;
		if (at >= n_fours)
			continue;
		float k[4], t[4];
		norm_four(k, scale, c, n, true);
		norm_four(t, shift, c, n, true);
#pragma unroll
		for (int j = 0; j < 4; j++)
			v[i][j] = affine_of(v[i][j], k[j], t[j], o.silu);
		store_four(o.y + first + at / per_row * width + c, v[i]);
	}
}

/* A block's place: rows first .. first + n of a batch row, groups group .. group + groups, whose
 * channels come V at a time, `columns` in a row.  Threads are lanes of rows, of as many
 * columns as there are, up to the block's. */
struct panel {
	int64_t at; /* of the first element */
	int batch, piece, group, groups, n, columns, lanes, lane, column;
};

template <int V> static __device__ __forceinline__ struct panel panel_of(const struct group_norm &o)
{
	const unsigned item = blockIdx.x / (unsigned)o.n_panels;
	struct panel p;

	p.batch = (int)(item / (unsigned)o.n_pieces);
	p.piece = (int)(item % (unsigned)o.n_pieces);
	p.group = (int)(blockIdx.x % (unsigned)o.n_panels) * o.panel;
	p.groups = min(o.panel, (int)o.n_groups - p.group);
	const int per_group = (int)(o.width / o.n_groups), first = p.piece * o.piece;
	p.n = min(o.piece, (int)o.n_rows - first);
	p.at = ((int64_t)p.batch * o.n_rows + first) * o.width + p.group * per_group;
	p.columns = p.groups * (per_group / V);
	const int wide = min(p.columns, THREADS);
	p.lanes = THREADS / wide;
	p.lane = (int)threadIdx.x / wide;
	p.column = (int)threadIdx.x % wide;
	return p;
}

template <int V> static __device__ __forceinline__ void load_some(float (&v)[V], const float *x)
{
	if (V == 4) {
		const float4 f = *reinterpret_cast<const float4 *>(x);
		v[0] = f.x, v[V - 3] = f.y, v[V - 2] = f.z, v[V - 1] = f.w;
	} else {
		v[0] = x[0];
	}
}

template <int V> static __device__ __forceinline__ void store_some(float *y, const float (&v)[V])
{
	if (V == 4)
		*reinterpret_cast<float4 *>(y) = make_float4(v[0], v[V - 3], v[V - 2], v[V - 1]);
	else
		y[0] = v[0];
}

/* Sums of a piece, one of a group's. */
template <int V> static __global__ void moments(struct group_norm o)
{
	SHARED(double, sums, [2 * THREADS]);
	const struct panel p = panel_of<V>(o);
	const int per_group = (int)(o.width / o.n_groups) / V;
	double sum = 0, squares = 0;

	if (p.lane < p.lanes)
		for (int c = p.column; c < p.columns; c += THREADS) {
			const float *x = o.x + p.at + c * V;
			UNROLL(8)
			for (int r = p.lane; r < p.n; r += p.lanes) {
				float v[V];
				load_some<V>(v, x + r * o.width);
#pragma unroll
				for (int j = 0; j < V; j++)
					add_moments(sum, squares, v[j]);
			}
		}
	sums[threadIdx.x * 2] = sum;
	sums[threadIdx.x * 2 + 1] = squares;
	__syncthreads();
	/* A warp a group: its threads are per_group neighbours in each lane of rows; of a group
	 * that is wider than the block, all. */
	const int wide = min(p.columns, THREADS), mine = min(per_group, THREADS);
	for (int group = (int)threadIdx.x / WARP; group < p.groups; group += THREADS / WARP) {
		sum = squares = 0;
		for (int i = (int)threadIdx.x % WARP; i < mine * p.lanes; i += WARP) {
			const int from = i / mine * wide + group * mine + i % mine;
			sum += sums[from * 2];
			squares += sums[from * 2 + 1];
		}
		sum = warp_sum_f64(sum);
		squares = warp_sum_f64(squares);
		if (threadIdx.x % WARP == 0) {
			double *to =
				o.partial +
				(((int64_t)p.batch * o.n_groups + p.group + group) * o.n_pieces +
					p.piece) *
					2;
			to[0] = sum;
			to[1] = squares;
		}
	}
}

/* Of the groups of a panel. */
static __device__ __forceinline__ void fold_pieces(
	const struct group_norm &o, const struct panel &p, struct group_scale *scales)
{
	for (int group = (int)threadIdx.x / WARP; group < p.groups; group += THREADS / WARP) {
		const double *from = o.partial + ((int64_t)p.batch * o.n_groups + p.group + group) *
							 o.n_pieces * 2;
		double sum = 0, squares = 0;
		for (int i = (int)threadIdx.x % WARP; i < o.n_pieces; i += WARP) {
			sum += from[i * 2];
			squares += from[i * 2 + 1];
		}
		sum = warp_sum_f64(sum);
		squares = warp_sum_f64(squares);
		if (threadIdx.x % WARP == 0)
			scales[group] = scale_of(o, sum, squares);
	}
}

/* ROWS rows of the thread's, from r on: y may be x, so that loads before stores must be said. */
template <int V>
static __device__ __forceinline__ void apply_rows(const struct group_norm &o, const struct panel &p,
	int64_t at, int r, const float (&scale)[V], const float (&shift)[V])
{
	float v[ROWS][V];

#pragma unroll
	for (int i = 0; i < ROWS; i++)
		if (r + i * p.lanes < p.n)
			load_some<V>(v[i], o.x + at + (r + i * p.lanes) * o.width);
#pragma unroll
	for (int i = 0; i < ROWS; i++) {
		if (r + i * p.lanes >= p.n)
			continue;
#pragma unroll
		for (int j = 0; j < V; j++)
			v[i][j] = affine_of(v[i][j], scale[j], shift[j], o.silu);
		store_some<V>(o.y + at + (r + i * p.lanes) * o.width, v[i]);
	}
}

template <int V> static __global__ void apply_groups(struct group_norm o)
{
	SHARED(struct group_scale, scales, [PANEL_COLUMNS]);
	SHARED(float4, shared, [2 * THREADS * V / 4]);
	float *const scale = (float *)shared, *const shift = scale + THREADS * V;
	const struct panel p = panel_of<V>(o);
	const int n = (int)(o.width / o.n_groups), end = p.columns * V, at = p.column * V;
	const float *const w = o.w + p.group * n, *const b = o.b + p.group * n;

	fold_pieces(o, p, scales);
	for (int first = 0; first < end; first += THREADS * V) {
		__syncthreads();
		for (int i = (int)threadIdx.x; i < THREADS * V && first + i < end; i += THREADS)
			fold_scale(scales[(first + i) / n], &scale[i], &shift[i], w[first + i],
				b[first + i]);
		__syncthreads();
		if (p.lane >= p.lanes || first + at >= end)
			continue;
		float k[V], t[V];
		load_some<V>(k, scale + at);
		load_some<V>(t, shift + at);
		for (int r = p.lane; r < p.n; r += ROWS * p.lanes)
			apply_rows<V>(o, p, p.at + first + at, r, k, t);
	}
}

/* Fours of a group, where they are side by side at 16 bytes; else 0. */
static int64_t group_fours(const struct group_norm *o)
{
	const int64_t n = o->width / o->n_groups;
	const uintptr_t bits =
		(uintptr_t)o->x | (uintptr_t)o->y | (uintptr_t)o->w | (uintptr_t)o->b;

	return n % 4 == 0 && bits % 16 == 0 ? n / 4 * o->n_rows : 0;
}

static bool can_hold(const struct group_norm *o, int64_t fours)
{
	return fours && fours <= GROUP_THREADS * GROUP_FOURS &&
	       o->width / o->n_groups <= GROUP_CHANNELS;
}

static void launch_held_groups(struct gpu *g, const struct group_norm *o, int64_t fours)
{
	/* Two fours a thread, more where the block ends. */
	const unsigned warps = blocks_for(fours, 2 * WARP), most = GROUP_THREADS / WARP;

	LAUNCH(g, group_held, (unsigned)(o->n_batch * o->n_groups),
		(warps < most ? warps : most) * WARP,
		(size_t)(o->width / o->n_groups) * 2 * sizeof(float), *o);
}

template <int V> static void launch_pieces(struct gpu *g, struct group_norm *o)
{
	const int64_t per_group = o->width / o->n_groups / V;

	o->piece = (int)((o->n_rows + MAX_PIECES - 1) / MAX_PIECES);
	if (o->piece < PIECE)
		o->piece = PIECE;
	o->n_pieces = (int)blocks_for(o->n_rows, o->piece);
	o->n_panels = (int)blocks_for(
		o->n_groups, per_group < PANEL_COLUMNS ? PANEL_COLUMNS / per_group : 1);
	o->panel = (int)blocks_for(o->n_groups, o->n_panels);
	o->partial = (double *)cuda_scratch(
		g, 0, (size_t)(o->n_batch * o->n_groups * o->n_pieces) * 2 * sizeof(double));
	if (!o->partial)
		return;
	const unsigned blocks = (unsigned)(o->n_batch * o->n_pieces * o->n_panels);
	LAUNCH(g, moments<V>, blocks, THREADS, 0, *o);
	LAUNCH(g, apply_groups<V>, blocks, THREADS, 0, *o);
}

void cuda_group_norm(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct gpu_group_norm *how)
{
	struct group_norm o = {};

	o.y = (float *)y->data;
	o.x = (const float *)x->data;
	o.w = (const float *)how->w->data;
	o.b = (const float *)how->b->data;
	o.n_batch = x->ne[0];
	o.width = x->ne[x->n_dims - 1];
	o.n_rows = gpu_count(x) / o.n_batch / o.width;
	o.n_groups = how->n_groups;
	o.per_element = 1 / ((double)(o.width / o.n_groups) * (double)o.n_rows);
	o.eps = how->eps;
	o.silu = how->silu;
	const int64_t fours = group_fours(&o);
	if (can_hold(&o, fours))
		launch_held_groups(g, &o, fours);
	else if (fours)
		launch_pieces<4>(g, &o);
	else
		launch_pieces<1>(g, &o);
}
