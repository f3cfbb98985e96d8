/* Rows of weights on their way from a file to a tensor of the device.
 *
 * They cross the bus as the file has them: read into a pinned stage, copied, converted.
 * Where the tensor holds just those bytes (same dtype, rows without filling) the copy goes
 * straight into it; else into the stage's twin on the device, and a kernel makes the rows:
 *	f32 and bf16	plain: to nearest even, the end of a row zero
 *	int8		a block a row: scale = max|row| / 127, q = round(w / scale); 0 for a row
 *			that vanishes
 * The bus takes 75 us for a stage of 4 MB (PCIe 5, 55 GB/s); a kernel moves at most 12 MB
 * in memory, 4 us at 3.3 TB/s: arithmetic.  On the machine of an H200 copies of 2 MB took 58 us,
 * 36 GB/s.  CUDA_N_STAGES of them are under way, so that as many threads read the file while
 * the bus works. */
#include "gpu/cuda/matrix.h"

#include <string.h>

#include "gpu/cuda/kernel.cuh"
#include "library/base/err.h"

enum { THREADS = 256, VEC = 4 };

/* Two bytes of a file: bf16 are plain. */
struct f16 {
	uint16_t bits;
};

static __device__ __forceinline__ float value(float f)
{
	return f;
}

static __device__ __forceinline__ float value(uint16_t bits)
{
	return bf16_to_f32(bits);
}

/* Exact; infinity and NaN are not among weights. */
static __device__ __forceinline__ float value(struct f16 h)
{
	const unsigned shifted = (h.bits & 0x7fffu) << 13, sign = (h.bits & 0x8000u) << 16;
	/* Below 2^-14: 2^-14 (1 + mantissa) - 2^-14 */
	const float small = __uint_as_float(shifted + (113u << 23)) - 0x1p-14f;
	const unsigned bits =
		shifted < 0x00800000 ? __float_as_uint(small) : shifted + (112u << 23);

	return __uint_as_float(sign | bits);
}

struct rows {
	void *to;
	const void *from;
	int64_t n, k, ld; /* rows, of k elements in the stage and ld in the tensor */
	float *scale;
};

/* VEC elements of a row a thread. */
template <typename TO, typename FROM> static __global__ void convert(struct rows r)
{
	const int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x;
	const int64_t of_row = (r.ld + VEC - 1) / VEC, row = i / of_row, first = i % of_row * VEC;
	const FROM *x = (const FROM *)r.from + row * r.k;
	TO *y = (TO *)r.to + row * r.ld;

	for (int64_t c = first; row < r.n && c < first + VEC && c < r.ld; c++)
		store(&y[c], c < r.k ? value(x[c]) : 0);
}

static __device__ float block_max(float x, float *shared)
{
	x = warp_max(x);
	if (threadIdx.x % WARP == 0)
		shared[threadIdx.x / WARP] = x;
	__syncthreads();
	for (int i = 0; i < THREADS / WARP; i++)
		x = fmaxf(x, shared[i]);
	return x;
}

/* Filled up to 16 bytes, a row is whole words. */
template <typename FROM> static __global__ void quantise(struct rows r)
{
	SHARED(float, tops, [THREADS / WARP]);
	const FROM *x = (const FROM *)r.from + (int64_t)blockIdx.x * r.k;
	unsigned *y = (unsigned *)((int8_t *)r.to + (int64_t)blockIdx.x * r.ld);
	float top = 0;

	for (int64_t c = threadIdx.x; c < r.k; c += THREADS)
		top = fmaxf(top, fabsf(value(x[c])));
	top = block_max(top, tops) / 127;
	const float scale = top > 1e-37f ? top : 0, inverse = scale > 0 ? 1 / scale : 0;
	for (int64_t i = threadIdx.x; i < r.ld / 4; i += THREADS) {
		unsigned word = 0;
		for (int j = 0; j < 4 && i * 4 + j < r.k; j++) {
			const float step = rintf(value(x[i * 4 + j]) * inverse);
			const float q = step > 127 ? 127 : step < -127 ? -127 : step;
			word |= ((unsigned)(int)q & 0xff) << 8 * j;
		}
		y[i] = word;
	}
	if (threadIdx.x == 0)
		r.scale[blockIdx.x] = scale;
}

template <typename FROM>
static void launch(struct gpu *g, enum gpu_dtype dtype, const struct rows *r)
{
	const unsigned blocks = blocks_for(r->n * ((r->ld + VEC - 1) / VEC), THREADS);

	if (dtype == GPU_I8)
		LAUNCH(g, quantise<FROM>, (unsigned)r->n, THREADS, 0, *r);
	else if (dtype == GPU_F32)
		LAUNCH(g, (convert<float, FROM>), blocks, THREADS, 0, *r);
	else
		LAUNCH(g, (convert<uint16_t, FROM>), blocks, THREADS, 0, *r);
}

/* What is in the stage, into the tensor. */
static void send(struct gpu *g, struct cuda_stage *s, const struct gpu_source *source,
	enum gpu_dtype dtype, struct rows r)
{
	const bool is_f32 = source->dtype == GPU_FROM_F32;
	const size_t bytes = (size_t)(r.n * r.k) * (is_f32 ? 4 : 2);
	const bool is_plain =
		r.k == r.ld &&
		(source->dtype == GPU_FROM_BF16 ? dtype == GPU_BF16 || dtype == GPU_TILES
						: is_f32 && dtype == GPU_F32);

	if (is_plain) {
		cuda_stage_send(g, s, r.to, bytes);
		return;
	}
	r.from = cuda_stage_twin(g, s);
	if (!r.from)
		return;
	cuda_stage_send(g, s, (void *)r.from, bytes);
	if (is_f32)
		launch<float>(g, dtype, &r);
	else if (source->dtype == GPU_FROM_F16)
		launch<struct f16>(g, dtype, &r);
	else
		launch<uint16_t>(g, dtype, &r);
}

/* Rows of ROWS tensors are one row of all their elements. */
int cuda_put_rows_from(struct gpu *g, struct gpu_tensor *t, int64_t first, int64_t n,
	const struct gpu_source *source, struct err *e)
{
	const int64_t room = CUDA_STAGE_BYTES / (source->dtype == GPU_FROM_F32 ? 4 : 2);
	const bool is_matrix = t->layout == GPU_MATRIX;
	const int64_t k = is_matrix ? t->ne[1] : 1,
		      ld = is_matrix ? cuda_matrix_ld(t->dtype, k) : 1;
	const int64_t width = is_matrix || !t->ne[0] ? 1 : gpu_count(t) / t->ne[0];
	const int64_t end = (first + n) * width, step = room / k;
	int rc = 0;

	if (!step) {
		gpu_fail(g, ERR_UNSUPPORTED, "put_rows: the rows of '%s' are too long", t->name);
		return 0;
	}
	first *= width;
	for (int64_t at = first, rows; at < end && !rc && !gpu_failed(g); at += rows) {
		struct cuda_stage *s = cuda_stage_take(g);
		struct rows r = {};
		rows = end - at < step ? end - at : step;
		r.to = (char *)t->data + (size_t)(at * ld) * gpu_dtype_size(t->dtype);
		r.n = is_matrix ? rows : 1;
		r.k = is_matrix ? k : rows;
		r.ld = is_matrix ? ld : rows;
		r.scale = t->scale ? t->scale + at : NULL;
		rc = source->read(source->ud, (at - first) * k, rows * k, s->at, e);
		if (!rc)
			send(g, s, source, t->dtype, r);
		cuda_stage_give(g, s);
	}
	return rc;
}

static int read_floats(void *ud, int64_t first, int64_t n, void *dst, struct err *e)
{
	memcpy(dst, (const float *)ud + first, (size_t)n * sizeof(float));
	return 0;
}

void cuda_put_rows(struct gpu *g, struct gpu_tensor *t, int64_t first, int64_t n, const float *src)
{
	const struct gpu_source source = {GPU_FROM_F32, read_floats, (void *)src};

	cuda_put_rows_from(g, t, first, n, &source, NULL);
}
