/* f32 to bf16, to nearest even, for the products on tensor cores.
 *
 * 6 bytes an element: of [2050, 6144], what Stable Audio's widest product sees, 76 MB,
 * 23 us at 3.3 TB/s.  A thread reads two times 16 bytes and writes 16; rows that do not
 * start at 16 bytes, and the ends of rows, go one by one.  Rows without gaps are one. */
#include "gpu/cuda/kernel.cuh"

enum { THREADS = 256, VEC = 8 };
constexpr int64_t MAX_GRID = 65535; /* of y */

struct rows {
	uint16_t *y;
	const float *x;
	int64_t ldy, ldx, n, n_rows; /* n: of a row */
};

/* Eight elements a thread of some rows: blocks on y share those. */
template <bool ALIGNED> static __global__ void to_bf16(struct rows r)
{
	const int64_t at = ((int64_t)blockIdx.x * THREADS + threadIdx.x) * VEC;

	for (int64_t row = blockIdx.y; row < r.n_rows && at < r.n; row += gridDim.y) {
		const float *x = r.x + row * r.ldx + at;
		uint16_t *y = r.y + row * r.ldy + at;
		if (ALIGNED && at + VEC <= r.n) {
			const float4 a = reinterpret_cast<const float4 *>(x)[0];
			const float4 b = reinterpret_cast<const float4 *>(x)[1];
			*reinterpret_cast<uint4 *>(y) =
				make_uint4(f32_to_bf16_pair(a.x, a.y), f32_to_bf16_pair(a.z, a.w),
					f32_to_bf16_pair(b.x, b.y), f32_to_bf16_pair(b.z, b.w));
			continue;
		}
		for (int64_t j = 0; j < VEC && at + j < r.n; j++)
			y[j] = f32_to_bf16(x[j]);
	}
}

void cuda_bf16(
	struct gpu *g, void *y, int64_t ldy, const float *x, int64_t ldx, int64_t n_rows, int64_t n)
{
	const bool is_one = n_rows == 1 || (ldx == n && ldy == n);
	const bool aligned = ((uintptr_t)x | (uintptr_t)y) % 16 == 0 &&
			     (is_one || (ldx % 4 == 0 && ldy % 8 == 0));
	const struct rows r = {
		(uint16_t *)y, x, ldy, ldx, is_one ? n * n_rows : n, is_one ? 1 : n_rows};
	const dim3 blocks(blocks_for(r.n, THREADS * VEC),
		(unsigned)(r.n_rows < MAX_GRID ? r.n_rows : MAX_GRID));

	if (!r.n || !r.n_rows)
		return;
	if (aligned)
		LAUNCH(g, (to_bf16<true>), blocks, THREADS, 0, r);
	else
		LAUNCH(g, (to_bf16<false>), blocks, THREADS, 0, r);
}

/* All files are compiled for the same architectures, so one kernel speaks for them. */
cudaError_t cuda_find_kernels(void)
{
	struct cudaFuncAttributes unused;

	return cudaFuncGetAttributes(&unused, to_bf16<true>);
}
