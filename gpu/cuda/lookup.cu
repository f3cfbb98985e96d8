/* Token embeddings and the residual vector quantiser.
 *
 * embed_sum    y[t] = sum_k table[k * rows + ids[t, k]] (+ positions[at]), added up in the
 *              order of k in f32, the position last; a thread a column.  Reads K rows and writes
 * one: 4 (K + 1) bytes an element (2 K + 4 with a bf16 table). rvq_encode   a block a frame, all
 * codebooks one after the other: what is left of z stays in shared memory, a warp compares it with
 * every eighth entry by |left|^2 - 2 left.entry + |entry|^2 with the first entry on ties.  2 K V D
 * fused multiply-adds a frame; the codebooks (K V D * 4 bytes) stay in the second-level cache. */
#include "gpu/cuda/kernel.cuh"

enum { THREADS = 256, N_WARPS = THREADS / WARP };

/* ---- embeddings --------------------------------------------------------- */

static __device__ __forceinline__ float value(const float *table, int64_t i)
{
	return table[i];
}

static __device__ __forceinline__ float value(const uint16_t *table, int64_t i)
{
	return bf16_to_f32(table[i]);
}

template <typename T> struct embedding {
	float *y;
	const T *table;
	const int32_t *ids;
	int64_t n_rows, n, n_ids, rows_per_table;
	const float *positions; /* [n_positions, n], or NULL */
	const int32_t *at;
	int64_t n_positions;
	unsigned long long *status;
};

template <typename T> static __global__ void embed_sum(const struct embedding<T> o)
{
	const int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;

	if (i >= o.n_rows * o.n)
		return;
	const int64_t row = i / o.n, col = i % o.n;
	float sum = 0;
	for (int64_t k = 0; k < o.n_ids; k++) {
		const int32_t id = o.ids[row * o.n_ids + k];
		if (id < 0 || id >= o.rows_per_table) {
			tell_fault(o.status, CUDA_FAULT_ID, id);
			return;
		}
		sum += value(o.table, (k * o.rows_per_table + id) * o.n + col);
	}
	if (o.positions) {
		const int32_t at = *o.at;
		if (at < 0 || at >= o.n_positions) {
			tell_fault(o.status, CUDA_FAULT_ID, at);
			return;
		}
		sum += o.positions[at * o.n + col];
	}
	o.y[i] = sum;
}

template <typename T>
static void launch_embed(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *table,
	const struct gpu_tensor *ids, const struct gpu_tensor *positions,
	const struct gpu_tensor *at)
{
	struct embedding<T> o = {
	};

	o.y = (float *)y->data;
	o.table = (const T *)table->data;
	o.ids = (const int32_t *)ids->data;
	o.n_rows = y->ne[0];
	o.n = y->ne[1];
	o.n_ids = ids->ne[1];
	o.rows_per_table = table->ne[0] / o.n_ids;
	if (positions) {
		o.positions = (const float *)positions->data;
		o.at = (const int32_t *)at->data;
		o.n_positions = positions->ne[0];
	}
	o.status = cuda_of(g)->status;
	LAUNCH(g, embed_sum<T>, blocks_for(o.n_rows * o.n, THREADS), THREADS, 0, o);
}

void cuda_embed_at(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *table,
	const struct gpu_tensor *ids, const struct gpu_tensor *positions,
	const struct gpu_tensor *at)
{
	if (table->dtype == GPU_BF16)
		launch_embed<uint16_t>(g, y, table, ids, positions, at);
	else
		launch_embed<float>(g, y, table, ids, positions, at);
}

void cuda_embed_sum(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *table,
	const struct gpu_tensor *ids)
{
	cuda_embed_at(g, y, table, ids, NULL, NULL);
}

/* ---- residual vector quantiser ------------------------------------------ */

/* A warp a row of the codebooks: the sum of its squares. */
static __global__ void squares_of(float *squares, const float *books, int64_t n_rows, int64_t n)
{
	const int64_t row = (int64_t)blockIdx.x * N_WARPS + threadIdx.x / WARP;
	float sum = 0;

	if (row >= n_rows)
		return;
	for (int64_t i = threadIdx.x % WARP; i < n; i += WARP)
		sum = fmaf(books[row * n + i], books[row * n + i], sum);
	sum = warp_sum(sum);
	if (threadIdx.x % WARP == 0)
		squares[row] = sum;
}

struct rvq {
	int32_t *codes;
	const float *z, *books, *squares;
	float *left; /* [T, D] */
	int64_t n_books, n_entries, n;
};

static __device__ __forceinline__ float dot(const float *a, const float *b, int64_t n)
{
	float sum = 0;

	for (int64_t i = threadIdx.x % WARP; i < n; i += WARP)
		sum = fmaf(a[i], b[i], sum);
	return warp_sum(sum);
}

static __global__ void rvq_encode(struct rvq o)
{
	SHARED(float, least, [N_WARPS]);
	SHARED(int, entry, [N_WARPS]);
	const int warp = threadIdx.x / WARP, lane = threadIdx.x % WARP;
	float *left = o.left + (int64_t)blockIdx.x * o.n;

	for (int64_t i = threadIdx.x; i < o.n; i += THREADS)
		left[i] = o.z[(int64_t)blockIdx.x * o.n + i];
	__syncthreads();
	for (int64_t k = 0; k < o.n_books; k++) {
		const float *book = o.books + k * o.n_entries * o.n;
		const float square = dot(left, left, o.n);
		float best = INFINITY;
		int found = 0x7fffffff;
		for (int64_t v = warp; v < o.n_entries; v += N_WARPS) {
			const float distance = square - 2 * dot(left, book + v * o.n, o.n) +
					       o.squares[k * o.n_entries + v];
			if (distance < best) {
				best = distance;
				found = (int)v;
			}
		}
		if (lane == 0) {
			least[warp] = best;
			entry[warp] = found;
		}
		__syncthreads();
		for (int w = 0; w < N_WARPS; w++)
			if (least[w] < best || (least[w] == best && entry[w] < found)) {
				best = least[w];
				found = entry[w];
			}
		found = found < o.n_entries ? found : 0; /* nothing is near what is not a number */
		for (int64_t i = threadIdx.x; i < o.n; i += THREADS)
			left[i] -= book[(int64_t)found * o.n + i];
		if (threadIdx.x == 0)
			o.codes[(int64_t)blockIdx.x * o.n_books + k] = found;
		__syncthreads();
	}
}

void cuda_rvq_encode(struct gpu *g, struct gpu_tensor *codes, const struct gpu_tensor *z,
	const struct gpu_tensor *codebooks)
{
	const int64_t n_squares = codebooks->ne[0] * codebooks->ne[1];
	struct rvq o = {};

	float *squares =
		(float *)cuda_scratch(g, 0, (size_t)(n_squares + gpu_count(z)) * sizeof(float));
	if (!squares)
		return;
	o.codes = (int32_t *)codes->data;
	o.z = (const float *)z->data;
	o.books = (const float *)codebooks->data;
	o.squares = squares;
	o.left = squares + n_squares;
	o.n_books = codebooks->ne[0];
	o.n_entries = codebooks->ne[1];
	o.n = z->ne[1];
	LAUNCH(g, squares_of, blocks_for(n_squares, N_WARPS), THREADS, 0, squares, o.books,
		n_squares, o.n);
	LAUNCH(g, rvq_encode, (unsigned)z->ne[0], THREADS, 0, o);
}
