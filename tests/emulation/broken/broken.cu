/* Kernels that break a rule where BROKEN, and keep it otherwise. */
#include "gpu/cuda/kernel.cuh"
#include "tests/emulation/broken/device.cuh"
#include "tests/emulation/broken/cases.h"
#include "tests/emulation/emulation.h"

#include <cublasLt.h>

enum { N = 64 };

/* ---- global memory ------------------------------------------------------ */

/* Two tensors of N floats with a gap of 64 bytes, as arenas have them. */
static float *tensors(void)
{
	const size_t bytes = 1 << 16;
	char *p = (char *)device_alloc(bytes);

	emulation_guard(p, bytes, false);
	emulation_guard(p + 256, N * 4, true);
	emulation_guard(p + 256 + N * 4 + 64, N * 4, true);
	return (float *)(p + 256);
}

template <int SHIFT> static __global__ void shifted(float *y)
{
	y[(int)threadIdx.x + SHIFT] = 1;
}

static void after_tensor(bool is_broken)
{
	if (is_broken)
		LAUNCH(&g, (shifted<1>), 1, N, 0, tensors());
	else
		LAUNCH(&g, (shifted<0>), 1, N, 0, tensors());
	device_wait();
}

static void before_tensor(bool is_broken)
{
	if (is_broken)
		LAUNCH(&g, (shifted<-1>), 1, N, 0, tensors());
	else
		LAUNCH(&g, (shifted<0>), 1, N, 0, tensors());
	device_wait();
}

static __global__ void halves(uint16_t *y, int n)
{
	if ((int)threadIdx.x < n)
		y[threadIdx.x] = 1;
}

/* An odd number of bf16: the two bytes after them are nobody's. */
static void after_odd_tensor(bool is_broken)
{
	char *p = (char *)device_alloc(4096);

	emulation_guard(p, 4096, false);
	emulation_guard(p, 7 * 2, true);
	LAUNCH(&g, halves, 1, 32, 0, (uint16_t *)p, is_broken ? 8 : 7);
	device_wait();
}

static __global__ void fill(float *y, int64_t n)
{
	const int64_t i = blockIdx.x * (int64_t)blockDim.x + threadIdx.x;

	if (i < n)
		y[i] = 2;
}

static void after_allocation(bool is_broken)
{
	float *p = (float *)device_alloc(100 * sizeof(float));

	LAUNCH(&g, fill, 4, 32, 0, p, is_broken ? 101 : 100);
	device_wait();
}

static void after_free(bool is_broken)
{
	float *p = (float *)device_alloc(100 * sizeof(float));

	if (is_broken)
		cudaFree(p);
	LAUNCH(&g, fill, 1, 32, 0, p, 32);
	device_wait();
	if (!is_broken)
		cudaFree(p);
}

static void freed_too_early(bool is_broken)
{
	float *p = (float *)device_alloc(100 * sizeof(float));

	LAUNCH(&g, fill, 1, 32, 0, p, 32);
	if (!is_broken)
		device_wait();
	cudaFree(p);
	device_wait();
}

static void host_memory(bool is_broken)
{
	static float here[32];
	float *p = is_broken ? here : (float *)device_alloc(sizeof(here));

	LAUNCH(&g, fill, 1, 32, 0, p, 32);
	device_wait();
}

static void pinned_memory(bool is_broken)
{
	float *p = (float *)device_alloc(128);

	if (is_broken)
		cudaMallocHost((void **)&p, 128);
	LAUNCH(&g, fill, 1, 32, 0, p, 32);
	device_wait();
}

static __global__ void wide(float4 *y, const float *x)
{
	y[threadIdx.x] = *(const float4 *)(x + 4 * threadIdx.x);
}

static void misaligned(bool is_broken)
{
	float *x = (float *)device_alloc(4096);

	LAUNCH(&g, wide, 1, 4, 0, (float4 *)(x + 512), is_broken ? x + 1 : x);
	device_wait();
}

static void copied_past_tensor(bool is_broken)
{
	float *p = tensors();
	char *from;

	cudaMallocHost((void **)&from, 4096);
	cudaMemcpyAsync(
		p, from, N * 4 + (is_broken ? 1 : 0), cudaMemcpyHostToDevice, cuda_of(&g)->stream);
	device_wait();
}

static void product_past_tensor(bool is_broken)
{
	float *p = tensors();
	const float one = 1, none = 0;
	cublasHandle_t blas;

	/* c[8, 8] = a[8, k] b[k, 8] */
	cublasCreate(&blas);
	cublasSetStream(blas, cuda_of(&g)->stream);
	cublasGemmStridedBatchedEx(blas, CUBLAS_OP_N, CUBLAS_OP_N, 8, 8, is_broken ? 9 : 8, &one, p,
		CUDA_R_32F, 8, 0, p, CUDA_R_32F, is_broken ? 9 : 8, 0, &none, p + N + 16,
		CUDA_R_32F, 8, 0, 1, CUBLAS_COMPUTE_32F_PEDANTIC, CUBLAS_GEMM_DEFAULT);
	device_wait();
}

static void product_without_workspace(bool is_broken)
{
	float *p = (float *)device_alloc(4096);
	void *workspace = device_alloc(1 << 16);
	const float one = 1, none = 0;
	cudaStream_t stream = cuda_of(&g)->stream;
	cublasHandle_t blas;
	cudaGraph_t graph;

	cublasCreate(&blas);
	if (is_broken)
		cublasSetWorkspace(blas, workspace, 1 << 16);
	cublasSetStream(blas, stream);
	if (!is_broken)
		cublasSetWorkspace(blas, workspace, 1 << 16);
	cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal);
	cublasGemmStridedBatchedEx(blas, CUBLAS_OP_N, CUBLAS_OP_N, 8, 8, 8, &one, p, CUDA_R_32F, 8,
		0, p, CUDA_R_32F, 8, 0, &none, p + 64, CUDA_R_32F, 8, 0, 1,
		CUBLAS_COMPUTE_32F_PEDANTIC, CUBLAS_GEMM_DEFAULT);
	device_ok(cudaStreamEndCapture(stream, &graph), "end");
}

/* c[8, 8] = a[8, 8] b[8, 8] + bias[8] by cublasLt, a and b at p, the algorithm chosen for
 * a lying at so many bytes. */
static void product_of_lt(
	const float *p, float *c, const float *bias, uint32_t bytes, void *workspace)
{
	const uint32_t epilogue = CUBLASLT_EPILOGUE_BIAS;
	const uint64_t room = 4096;
	const float one = 1, none = 0;
	cublasLtMatmulDescOpaque_t how;
	cublasLtMatrixLayoutOpaque_t square;
	cublasLtMatmulPreferenceOpaque_t limits;
	cublasLtMatmulHeuristicResult_t found;
	cublasHandle_t blas;
	int n;

	cublasCreate(&blas);
	cublasLtMatmulDescInit(&how, CUBLAS_COMPUTE_32F, CUDA_R_32F);
	cublasLtMatmulDescSetAttribute(
		&how, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue, sizeof(epilogue));
	cublasLtMatmulDescSetAttribute(
		&how, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias, sizeof(bias));
	cublasLtMatrixLayoutInit(&square, CUDA_R_32F, 8, 8, 8);
	cublasLtMatmulPreferenceInit(&limits);
	cublasLtMatmulPreferenceSetAttribute(
		&limits, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, &bytes, sizeof(bytes));
	cublasLtMatmulPreferenceSetAttribute(
		&limits, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &room, sizeof(room));
	cublasLtMatmulAlgoGetHeuristic((cublasLtHandle_t)blas, &how, &square, &square, &square,
		&square, &limits, 1, &found, &n);
	cublasLtMatmul((cublasLtHandle_t)blas, &how, &one, p, &square, p, &square, &none, c,
		&square, c, &square, &found.algo, workspace, room, cuda_of(&g)->stream);
	device_wait();
}

static void bias_past_tensor(bool is_broken)
{
	float *p = (float *)device_alloc(4096), *bias = tensors();

	product_of_lt(p, p + 64, is_broken ? bias + N - 4 : bias, 256, device_alloc(4096));
}

static void product_of_lt_misaligned(bool is_broken)
{
	float *p = (float *)device_alloc(4096);

	product_of_lt(p, p + 64, p + 128, 256, device_alloc(4096));
	product_of_lt(p + 256, p + 320, p + 384, is_broken ? 4096 : 256, device_alloc(4096));
}

static void workspace_of_lt_too_small(bool is_broken)
{
	float *p = (float *)device_alloc(4096);
	char *workspace = (char *)device_alloc(1 << 16);

	emulation_guard(workspace + 4096, (1 << 16) - 4096, false);
	product_of_lt(p, p + 64, p + 128, 256, workspace + (is_broken ? 256 : 0));
}

/* ---- the program's and other threads' memory ---------------------------- */

static __constant__ const float table[4] = {1, 2, 3, 4};
static int host_variable;

static __global__ void of_program(float *y, int *place)
{
	y[threadIdx.x] = table[threadIdx.x % 4];
	if (place)
		*place = 1;
}

static void program_memory(bool is_broken)
{
	LAUNCH(&g, of_program, 1, 32, 0, (float *)device_alloc(128),
		is_broken ? &host_variable : NULL);
	device_wait();
}

template <bool BROKEN> static __global__ void lent(float *y)
{
	SHARED(const float *, where, [32]);
	SHARED(float, what, [32]);
	volatile float mine = (float)threadIdx.x;

	where[threadIdx.x] = (const float *)&mine;
	what[threadIdx.x] = mine;
	__syncthreads();
	const int other = (threadIdx.x + 1) % 32;
	y[threadIdx.x] = BROKEN ? *where[other] : what[other];
	__syncthreads();
}

static void other_stack(bool is_broken)
{
	float *y = (float *)device_alloc(128);

	if (is_broken)
		LAUNCH(&g, (lent<true>), 1, 32, 0, y);
	else
		LAUNCH(&g, (lent<false>), 1, 32, 0, y);
	device_wait();
}

struct numbers {
	int n[4];
};
static __global__ void of_arguments(int *y, struct numbers a, int which)
{
	y[threadIdx.x] = a.n[which];
}

static void past_arguments(bool is_broken)
{
	LAUNCH(&g, of_arguments, 1, 32, 0, (int *)device_alloc(128), (numbers{{1, 2, 3, 4}}),
		is_broken ? 4 : 3);
	device_wait();
}

static __global__ void many(int *y, int n, int step)
{
	for (int i = threadIdx.x; i < n; i += step)
		y[i % 32] = i;
}

/* 32-bit indices run over. */
static void overflow(bool is_broken)
{
	LAUNCH(&g, many, 1, 32, 0, (int *)device_alloc(128), is_broken ? INT32_MAX : 1 << 30,
		(1 << 30) - 64);
	device_wait();
}

/* ---- shared memory ------------------------------------------------------ */

static __global__ void shared_pointer(float *y, int shift)
{
	SHARED(float, a, [32]);
	SHARED(float, b, [32]);
	float *const p = a;

	b[threadIdx.x] = 0;
	p[(int)threadIdx.x + shift] = (float)threadIdx.x;
	__syncthreads();
	y[threadIdx.x] = b[threadIdx.x] + a[31 - threadIdx.x];
}

static void shared_bounds(bool is_broken)
{
	LAUNCH(&g, shared_pointer, 1, 32, 0, (float *)device_alloc(128), is_broken ? 1 : 0);
	device_wait();
}

static __global__ void shared_rows(float *y, int row)
{
	SHARED(float, a, [4][32]);

	a[row][threadIdx.x] = 1;
	y[threadIdx.x] = a[row][threadIdx.x];
}

static void shared_index(bool is_broken)
{
	LAUNCH(&g, shared_rows, 1, 32, 0, (float *)device_alloc(128), is_broken ? 4 : 3);
	device_wait();
}

static __global__ void dynamic(float *y)
{
	DYNAMIC_SHARED(float, a);

	a[threadIdx.x] = (float)threadIdx.x;
	__syncthreads();
	y[threadIdx.x] = a[31 - threadIdx.x];
}

static void dynamic_bounds(bool is_broken)
{
	LAUNCH(&g, dynamic, 1, 32, is_broken ? 124 : 128, (float *)device_alloc(128));
	device_wait();
}

static __global__ void half_filled(float *y, int n)
{
	SHARED(float, a, [64]);

	if ((int)threadIdx.x < n)
		a[threadIdx.x] = 1;
	__syncthreads();
	y[blockIdx.x * 64 + threadIdx.x] = a[63 - threadIdx.x];
}

/* Two blocks: what the first wrote does not count for the second. */
static void uninitialised(bool is_broken)
{
	LAUNCH(&g, half_filled, 2, 64, 0, (float *)device_alloc(512), is_broken ? 63 : 64);
	device_wait();
}

static __global__ void big(float *y)
{
	SHARED(float, a, [48 * 256]);
	SHARED(float, b, [1]);

	if (y)
		b[0] = a[threadIdx.x] = 1;
}

static __global__ void not_big(float *y)
{
	SHARED(float, a, [48 * 256]);

	a[threadIdx.x] = 1;
}

static void much_shared(bool is_broken)
{
	float *y = (float *)device_alloc(128);

	if (is_broken)
		LAUNCH(&g, big, 1, 1, 0, y);
	else
		LAUNCH(&g, not_big, 1, 1, 0, y);
	device_wait();
}

static void much_asked_for(bool is_broken)
{
	if (!is_broken)
		cudaFuncSetAttribute(
			dynamic, cudaFuncAttributeMaxDynamicSharedMemorySize, 100 << 10);
	LAUNCH(&g, dynamic, 1, 32, 100 << 10, (float *)device_alloc(128));
	device_wait();
}

static __global__ void both_shared(float *y)
{
	SHARED(float, a, [40 * 256]);
	DYNAMIC_SHARED(float, b);

	b[threadIdx.x] = a[threadIdx.x] = 1;
	y[threadIdx.x] = b[threadIdx.x];
}

/* Arrays of a kernel and what it asks for share the 48 KB. */
static void both_too_much(bool is_broken)
{
	LAUNCH(&g, both_shared, 1, 32, (is_broken ? 9 : 8) << 10, (float *)device_alloc(128));
	device_wait();
}

/* ---- races -------------------------------------------------------------- */

template <bool BROKEN> static __global__ void neighbours(float *y)
{
	SHARED(float, a, [64]);

	a[threadIdx.x] = 0;
	__syncthreads();
	a[threadIdx.x] = (float)threadIdx.x;
	if (!BROKEN)
		__syncthreads();
	y[threadIdx.x] = a[threadIdx.x ^ 32];
}

static void race(bool is_broken)
{
	float *y = (float *)device_alloc(256);

	if (is_broken)
		LAUNCH(&g, (neighbours<true>), 1, 64, 0, y);
	else
		LAUNCH(&g, (neighbours<false>), 1, 64, 0, y);
	device_wait();
}

/* The second round overwrites what others still read. */
template <bool BROKEN> static __global__ void rounds(float *y)
{
	SHARED(float, a, [64]);

	for (int i = 0; i < 2; i++) {
		a[threadIdx.x] = (float)i;
		__syncthreads();
		y[threadIdx.x] = a[63 - threadIdx.x];
		if (!BROKEN)
			__syncthreads();
	}
}

static void race_of_rounds(bool is_broken)
{
	float *y = (float *)device_alloc(256);

	if (is_broken)
		LAUNCH(&g, (rounds<true>), 1, 64, 0, y);
	else
		LAUNCH(&g, (rounds<false>), 1, 64, 0, y);
	device_wait();
}

/* A shuffle is no barrier for memory; __syncwarp() is, for its lanes. */
template <bool BROKEN> static __global__ void within_warp(float *y)
{
	SHARED(uint8_t, a, [32]);
	const unsigned half = threadIdx.x < 16 ? 0xffffu : 0xffff0000u;

	a[threadIdx.x] = (uint8_t)threadIdx.x;
	__shfl_xor_sync(ALL_LANES, threadIdx.x, 1);
	if (!BROKEN)
		__syncwarp(half);
	y[threadIdx.x] = a[threadIdx.x ^ 1];
}

static void race_of_warp(bool is_broken)
{
	float *y = (float *)device_alloc(128);

	if (is_broken)
		LAUNCH(&g, (within_warp<true>), 1, 32, 0, y);
	else
		LAUNCH(&g, (within_warp<false>), 1, 32, 0, y);
	device_wait();
}

template <bool BROKEN> static __global__ void counted(int *y)
{
	SHARED(int, n, [1]);

	if (threadIdx.x == 0)
		n[0] = 0;
	__syncthreads();
	if (BROKEN && threadIdx.x == 5)
		n[0] += 1;
	else
		atomicAdd(&n[0], 1);
	__syncthreads();
	y[threadIdx.x] = n[0];
}

static void race_with_atomic(bool is_broken)
{
	int *y = (int *)device_alloc(256);

	if (is_broken)
		LAUNCH(&g, (counted<true>), 1, 64, 0, y);
	else
		LAUNCH(&g, (counted<false>), 1, 64, 0, y);
	device_wait();
}

/* One thread counts on what all have read. */
template <bool BROKEN> static __global__ void next(int *at, int *y)
{
	const int p = *at;

	y[threadIdx.x] = p;
	if (!BROKEN)
		__syncthreads();
	if (threadIdx.x == 0)
		*at = p + 1;
}

static void race_in_global_memory(bool is_broken)
{
	int *p = (int *)device_alloc(1024);

	for (int i = 0; i < 2; i++)
		if (is_broken)
			LAUNCH(&g, (next<true>), 1, 64, 0, p, p + 1);
		else
			LAUNCH(&g, (next<false>), 1, 64, 0, p, p + 1);
	device_wait();
}

static __global__ void shifted_in_place(float *y, const float *x, int n)
{
	const int i = blockIdx.x * blockDim.x + threadIdx.x;

	y[i] = x[(i + 32) % n];
}

static void race_of_blocks(bool is_broken)
{
	float *x = (float *)device_alloc(64 * 4), *y = (float *)device_alloc(64 * 4);

	LAUNCH(&g, shifted_in_place, 2, 32, 0, is_broken ? x : y, x, 64);
	device_wait();
}

template <bool BROKEN> static __global__ void fetched(uint4 *y, const uint4 *x)
{
	SHARED(uint4, a, [32]);

	copy_async_16(&a[threadIdx.x], &x[threadIdx.x], true);
	copy_async_commit();
	if (!BROKEN)
		copy_async_wait<0>();
	__syncthreads();
	y[threadIdx.x] = a[31 - threadIdx.x];
	copy_async_wait<0>();
}

static void copy_not_waited_for(bool is_broken)
{
	uint4 *p = (uint4 *)device_alloc(1024);

	if (is_broken)
		LAUNCH(&g, (fetched<true>), 1, 32, 0, p, p + 32);
	else
		LAUNCH(&g, (fetched<false>), 1, 32, 0, p, p + 32);
	device_wait();
}

template <bool BROKEN> static __global__ void rows_of(unsigned *y)
{
	SHARED(uint4, a, [8]);
	unsigned r[2];

	if (threadIdx.x < 8)
		a[threadIdx.x] = make_uint4(1, 2, 3, 4);
	__syncwarp();
	ldmatrix_x2(r, BROKEN ? (const void *)(y + threadIdx.x % 8 * 4) : &a[threadIdx.x % 8]);
	y[threadIdx.x] = r[0] + r[1];
}

static void rows_not_shared(bool is_broken)
{
	unsigned *y = (unsigned *)device_alloc(128);

	if (is_broken)
		LAUNCH(&g, (rows_of<true>), 1, 32, 0, y);
	else
		LAUNCH(&g, (rows_of<false>), 1, 32, 0, y);
	device_wait();
}

/* ---- threads that do not come ------------------------------------------- */

static __global__ void some_return(float *y, int n)
{
	if ((int)threadIdx.x >= n)
		return;
	y[threadIdx.x] = 1;
	__syncthreads();
}

static void barrier_after_return(bool is_broken)
{
	LAUNCH(&g, some_return, 1, 64, 0, (float *)device_alloc(256), is_broken ? 63 : 64);
	device_wait();
}

static __global__ void two_barriers(float *y, int n)
{
	if ((int)threadIdx.x < n)
		__syncthreads();
	else
		__syncthreads();
	y[threadIdx.x] = 1;
}

static void different_barriers(bool is_broken)
{
	LAUNCH(&g, two_barriers, 1, 64, 0, (float *)device_alloc(256), is_broken ? 32 : 64);
	device_wait();
}

static __global__ void sum_of_some(float *y, int n)
{
	if ((int)threadIdx.x < n)
		y[threadIdx.x] = warp_sum(1);
}

static void lane_missing(bool is_broken)
{
	LAUNCH(&g, sum_of_some, 1, 32, 0, (float *)device_alloc(128), is_broken ? 31 : 32);
	device_wait();
}

static void warp_not_whole(bool is_broken)
{
	LAUNCH(&g, sum_of_some, 1, is_broken ? 48 : 64, 0, (float *)device_alloc(256), 64);
	device_wait();
}

static __global__ void lane_of_others(int *y, unsigned mask)
{
	if (mask >> threadIdx.x & 1)
		y[threadIdx.x] = __shfl_sync(mask, (int)threadIdx.x, 4);
}

static void lane_not_named(bool is_broken)
{
	LAUNCH(&g, lane_of_others, 1, 32, 0, (int *)device_alloc(128), is_broken ? 0xfu : 0x1fu);
	device_wait();
}

/* ---- launches ----------------------------------------------------------- */

static __global__ void nothing(int x)
{
}

static void grid(bool is_broken)
{
	LAUNCH(&g, nothing, dim3(1, is_broken ? 65536 : 65535), 1, 0, 1);
	device_wait();
}

/* y = x + 1 where each reads what another kernel that began early wrote. */
static __global__ void follow(float *y, const float *x, bool reads_early)
{
	float v = reads_early ? x[threadIdx.x] : 0;

	let_next_start();
	after_previous();
	if (!reads_early)
		v = x[threadIdx.x];
	y[threadIdx.x] = v + 1;
}

static void reads_ahead(bool is_broken)
{
	float *x = (float *)device_alloc(128), *y = (float *)device_alloc(128),
	      *z = (float *)device_alloc(128);

	LAUNCH(&g, fill, 1, 32, 0, x, (int64_t)32);
	/* Of a kernel that is over when this one begins. */
	LAUNCH_EARLY(&g, follow, 1, 32, 0, y, x, true);
	LAUNCH_EARLY(&g, follow, 1, 32, 0, z, y, is_broken);
	device_wait();
}

static __global__ void write_early(float *y, bool waits)
{
	if (waits)
		after_previous();
	y[threadIdx.x] = 1;
	if (!waits)
		after_previous();
}

static void writes_ahead(bool is_broken)
{
	LAUNCH_EARLY(&g, write_early, 1, 32, 0, (float *)device_alloc(128), !is_broken);
	device_wait();
}

static __global__ void idle(int)
{
}

/* One block is enough. */
static __global__ void idle_after(int)
{
	if (blockIdx.x == 1)
		after_previous();
}

static void never_waits(bool is_broken)
{
	if (is_broken)
		LAUNCH_EARLY(&g, idle, 2, 32, 0, 1);
	else
		LAUNCH_EARLY(&g, idle_after, 2, 32, 0, 1);
	device_wait();
}

static void no_grid(bool is_broken)
{
	LAUNCH(&g, nothing, is_broken ? 0 : 1, 1, 0, 1);
	device_wait();
}

static void block(bool is_broken)
{
	LAUNCH(&g, nothing, 1, is_broken ? 1025 : 1024, 0, 1);
	device_wait();
}

const struct emulation_case emulation_cases[] = {
	{"past the end of a tensor", after_tensor,
		"shifted<1> block (0,0,0) thread (63,0,0): out of bounds: writes 4 bytes at "
		"allocation 1 (65536 bytes) + 512"},
	{"before a tensor", before_tensor,
		"shifted<-1> block (0,0,0) thread (0,0,0): out of bounds: writes 4 bytes at "
		"allocation 1 (65536 bytes) + 252"},
	{"past an odd tensor", after_odd_tensor,
		"halves block (0,0,0) thread (7,0,0): out of bounds: writes 2 bytes at "
		"allocation 1 (4096 bytes) + 14"},
	{"past an allocation", after_allocation,
		"fill block (3,0,0) thread (4,0,0): out of bounds: writes 4 bytes at "
		"allocation 1 (400 bytes) + 400"},
	{"freed memory", after_free,
		"fill block (0,0,0) thread (*: writes 4 bytes at freed allocation 1"},
	{"memory freed while in use", freed_too_early,
		"fill block (0,0,0) thread (*: writes 4 bytes at freed allocation 1"},
	{"memory of the host", host_memory,
		"fill block (0,0,0) thread (*: writes 4 bytes of the program"},
	{"pinned memory", pinned_memory,
		"fill block (0,0,0) thread (*: writes 4 bytes of the host (pinned)"},
	{"misaligned", misaligned, "wide block (0,0,0) thread (*: misaligned: *(broken.cu:"},
	{"a copy past a tensor", copied_past_tensor,
		"a copy: out of bounds: 257 bytes, at allocation 1 (65536 bytes) + 512"},
	{"a product past a tensor", product_past_tensor,
		"cuBLAS product: out of bounds: matrix A, batch 0, column 8, at allocation 1"},
	{"a product recorded without a workspace", product_without_workspace,
		"cuBLAS product: recorded without a workspace of the caller's"},
	{"a bias past a tensor", bias_past_tensor,
		"cuBLAS product: out of bounds: the bias, batch 0, column 0, at allocation"},
	{"a matrix less aligned than its algorithm", product_of_lt_misaligned,
		"cuBLAS product: matrix A lies at * bytes, its algorithm was chosen for"},
	{"a workspace that is too small", workspace_of_lt_too_small,
		"cuBLAS product: out of bounds: the workspace, batch 0, column 0, at allocation"},
	{"memory of the program", program_memory,
		"of_program block (0,0,0) thread (*: writes 4 bytes of the program"},
	{"another thread's variable", other_stack,
		"lent<true> block (0,0,0) thread (*: reads 4 bytes local to another thread"},
	{"past an array of the arguments", past_arguments,
		"of_arguments block (0,0,0) thread (*: out of bounds: index 4 of an array "
		"(broken.cu:"},
	{"an index that overflows", overflow,
		"many block (0,0,0) thread (*: overflow: *(broken.cu:"},
	{"past a shared array", shared_bounds,
		"shared_pointer block (0,0,0) thread (31,0,0): out of bounds: writes 4 bytes at "
		"shared a (128 bytes) + 128"},
	{"past a row of a shared array", shared_index,
		"shared_rows block (0,0,0) thread (*: out of bounds: index 4 of an array "
		"(broken.cu:"},
	{"past dynamic shared memory", dynamic_bounds,
		"dynamic block (0,0,0) thread (31,0,0): out of bounds: writes 4 bytes at "
		"shared dynamic shared memory (124 bytes) + 124"},
	{"shared memory that nobody wrote", uninitialised,
		"half_filled block (*,0,0) thread (0,0,0): uninitialised: reads 4 bytes that "
		"nobody "
		"wrote at shared a (256 bytes) + 252"},
	{"too much shared memory", much_shared,
		"big block (0,0,0) thread (0,0,0): 49156 bytes of shared arrays with b"},
	{"too much shared memory asked for", much_asked_for,
		"dynamic: 102400 bytes of shared memory asked for: 49152 are allowed"},
	{"too much shared memory together", both_too_much,
		"both_shared block (0,0,0) thread (*: 40960 bytes of shared arrays and 9216 asked "
		"for: a block may have 49152 without cudaFuncSetAttribute()"},
	{"a read of what a kernel may not have written yet", reads_ahead,
		"follow block (0,0,0) thread (*: ahead: reads 4 bytes at allocation 2 (128 bytes)"},
	{"a write while the kernel before may run", writes_ahead,
		"write_early block (0,0,0) thread (*: ahead: writes 4 bytes at allocation 1 (128 "
		"bytes)"},
	{"a kernel that does not wait for those before", never_waits,
		"idle: ahead: no block calls after_previous()"},
	{"a race", race,
		"neighbours<true> block (0,0,0) thread (*: race: *at shared a (256 bytes)"},
	{"a race of two rounds", race_of_rounds,
		"rounds<true> block (0,0,0) thread (*: race: *at shared a (256 bytes)"},
	{"a race within a warp", race_of_warp,
		"within_warp<true> block (0,0,0) thread (*: race: *at shared a (32 bytes)"},
	{"a race with an atomic", race_with_atomic,
		"counted<true> block (0,0,0) thread (*: race: *at shared n (4 bytes) + 0"},
	{"a race in global memory", race_in_global_memory,
		"next<true> block (0,0,0) thread (*: race: *at allocation 1 (1024 bytes) + 0"},
	{"a race of blocks", race_of_blocks,
		"shifted_in_place block (*,0,0) thread (*: race: *of another block*at allocation "
		"1"},
	{"a copy that nobody waited for", copy_not_waited_for,
		"fetched<true> block (0,0,0) thread (*: race: *at shared a (512 bytes)"},
	{"ldmatrix of global memory", rows_not_shared,
		"rows_of<true> block (0,0,0) thread (*: ldmatrix: *is not in shared memory"},
	{"a barrier after some returned", barrier_after_return,
		"some_return block (0,0,0) thread (*: divergent barrier: *thread (63,0,0) has "
		"returned"},
	{"two barriers at once", different_barriers,
		"two_barriers block (0,0,0) thread (*: divergent barrier: "},
	{"a shuffle without one lane", lane_missing,
		"sum_of_some block (0,0,0) thread (*: shuffle with mask 0xffffffff: lane 31 does "
		"not "
		"come, it has returned"},
	{"a shuffle in half a warp", warp_not_whole,
		"sum_of_some block (0,0,0) thread (*: shuffle with mask 0xffffffff: lane 16 does "
		"not "
		"come, it is not in the block"},
	{"a shuffle from a lane that is not named", lane_not_named,
		"lane_of_others block (0,0,0) thread (*: shuffle: reads lane 4, which the mask "
		"0x0000000f does not name"},
	{"too large a grid", grid, "nothing: a grid of (1,65536,1) blocks"},
	{"no grid", no_grid, "nothing: a grid of (0,1,1) blocks"},
	{"too large a block", block, "nothing: a block of (1025,1,1) threads"},
	{NULL, NULL, NULL},
};
