/* What the emulator promises of kernels that keep the rules, and of the runtime. */
#include "gpu/cuda/kernel.cuh"
#include "tests/emulation/broken/device.cuh"
#include "tests/emulation/broken/cases.h"
#include "tests/emulation/emulation.h"

#include <cublasLt.h>

static struct cuda device;
struct gpu g = {.ops = NULL, .device = &device};

bool cuda_ok(struct gpu *gpu, cudaError_t error, const char *what)
{
	device_ok(error, what);
	return true;
}

/* What `name` of the device holds, once everything ran. */
template <class T> static T *fetch(const T *p, size_t n)
{
	T *host = (T *)malloc(n * sizeof(T));

	device_wait();
	device_ok(cudaMemcpy(host, p, n * sizeof(T), cudaMemcpyDeviceToHost), "fetch");
	return host;
}

#define CHECK(what)                                                                                \
	do {                                                                                       \
		if (!(what))                                                                       \
			return "not so: " #what;                                                   \
	} while (0)

/* ---- threads ------------------------------------------------------------ */

static __global__ void coordinates(unsigned *y)
{
	const unsigned block = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
	const unsigned thread = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);

	y[block * blockDim.x * blockDim.y * blockDim.z + thread] += block * 1000 + thread;
}

static const char *every_thread_once(void)
{
	const unsigned n = 5 * 3 * 2, threads = 7 * 5 * 3;
	unsigned *y = (unsigned *)device_alloc(n * threads * 4);

	device_ok(cudaMemsetAsync(y, 0, n * threads * 4, device.stream), "fill");
	LAUNCH(&g, coordinates, dim3(5, 3, 2), dim3(7, 5, 3), 0, y);
	const unsigned *h = fetch(y, n * threads);
	for (unsigned i = 0; i < n * threads; i++)
		CHECK(h[i] == i / threads * 1000 + i % threads);
	return NULL;
}

static __global__ void who_comes(unsigned *y, unsigned *count)
{
	y[atomicAdd(count, 1u)] = blockIdx.x * blockDim.x + threadIdx.x;
}

static const char *orders_vary(void)
{
	enum { N = 64 * 8 };
	unsigned *y = (unsigned *)device_alloc(2 * N * 4 + 8);

	device_ok(cudaMemsetAsync(y, 0, 2 * N * 4 + 8, device.stream), "fill");
	for (int i = 0; i < 2; i++)
		LAUNCH(&g, who_comes, 8, 64, 0, y + i * N, y + 2 * N + i);
	const unsigned *h = fetch(y, 2 * N);
	bool seen[N] = {}, differs = false;
	for (unsigned i = 0; i < N; i++) {
		CHECK(h[i] < N && !seen[h[i]]);
		seen[h[i]] = true;
		differs |= h[i] != h[N + i];
	}
	CHECK(differs);
	return NULL;
}

static __global__ void shuffles(int *y)
{
	const int lane = threadIdx.x;
	int *const mine = y + lane * 8;

	mine[0] = __shfl_sync(ALL_LANES, lane * 10, 3);
	mine[1] = __shfl_sync(ALL_LANES, lane * 10, 3, 8);
	mine[2] = __shfl_up_sync(ALL_LANES, lane * 10, 2, 16);
	mine[3] = __shfl_down_sync(ALL_LANES, lane * 10, 2, 16);
	mine[4] = __shfl_xor_sync(ALL_LANES, lane * 10, 5);
	mine[5] = (int)__ballot_sync(ALL_LANES, lane % 3 == 0);
	mine[6] = __any_sync(ALL_LANES, lane == 7) + 2 * __all_sync(ALL_LANES, lane != 7);
	mine[7] = __reduce_max_sync(ALL_LANES, lane == 9 ? -1 : -lane - 2);
}

static const char *shuffles_as_in_the_manual(void)
{
	int *y = (int *)device_alloc(32 * 8 * 4);
	unsigned thirds = 0;

	for (int l = 0; l < 32; l += 3)
		thirds |= 1u << l;
	LAUNCH(&g, shuffles, 1, 32, 0, y);
	const int *h = fetch(y, 32 * 8);
	for (int l = 0; l < 32; l++, h += 8) {
		CHECK(h[0] == 30);
		CHECK(h[1] == (l / 8 * 8 + 3) * 10);
		CHECK(h[2] == (l % 16 < 2 ? l : l - 2) * 10);
		CHECK(h[3] == (l % 16 >= 14 ? l : l + 2) * 10);
		CHECK(h[4] == (l ^ 5) * 10);
		CHECK(h[5] == (int)thirds);
		CHECK(h[6] == 1);
		CHECK(h[7] == -1);
	}
	return NULL;
}

static __global__ void votes(int *y)
{
	const int n = __syncthreads_count(threadIdx.x % 3 == 0);
	const int all = __syncthreads_and(threadIdx.x < 96),
		  any = __syncthreads_or(threadIdx.x == 95);

	y[threadIdx.x] = n + 1000 * all + 2000 * any;
}

static const char *votes_of_a_block(void)
{
	int *y = (int *)device_alloc(96 * 4);

	LAUNCH(&g, votes, 1, 96, 0, y);
	const int *h = fetch(y, 96);
	for (int i = 0; i < 96; i++)
		CHECK(h[i] == 32 + 3000);
	return NULL;
}

/* ---- tensor cores ------------------------------------------------------- */

/* d[16][8] = a[16][16] b[16][8], with a's rows and b's by ldmatrix. */
static __global__ void product(float *d, const uint16_t *a, const uint16_t *b)
{
	SHARED(uint16_t, a_tile, [16][16]);
	SHARED(uint16_t, b_tile, [16][8]);
	const int lane = threadIdx.x;
	float sums[4] = {1, 2, 3, 4};
	unsigned fa[4], fb[2];

	for (int i = lane; i < 256; i += 32)
		a_tile[i / 16][i % 16] = a[i];
	for (int i = lane; i < 128; i += 32)
		b_tile[i / 8][i % 8] = b[i];
	__syncwarp();
	ldmatrix_x4(fa, &a_tile[lane % 16][lane / 16 * 8]);
	ldmatrix_x2_trans(fb, &b_tile[lane % 16][0]);
	mma_bf16_16x8x16(sums, fa, fb);
	for (int i = 0; i < 4; i++)
		d[(lane / 4 + i / 2 * 8) * 8 + lane % 4 * 2 + i % 2] = sums[i];
}

static const char *a_product_of_matrices(void)
{
	uint16_t a[256], b[128], *p = (uint16_t *)device_alloc(sizeof(a) + sizeof(b));
	float *d = (float *)device_alloc(128 * 4);

	/* Small integers: sums are exact. */
	for (int i = 0; i < 256; i++)
		a[i] = f32_to_bf16((float)(i * 7 % 13 - 6));
	for (int i = 0; i < 128; i++)
		b[i] = f32_to_bf16((float)(i * 5 % 11 - 5));
	device_ok(cudaMemcpyAsync(p, a, sizeof(a), cudaMemcpyHostToDevice, device.stream), "a");
	device_ok(
		cudaMemcpyAsync(p + 256, b, sizeof(b), cudaMemcpyHostToDevice, device.stream), "b");
	LAUNCH(&g, product, 1, 32, 0, d, p, p + 256);
	const float *h = fetch(d, 128);
	for (int i = 0; i < 16; i++)
		for (int j = 0; j < 8; j++) {
			float sum = (float)(1 + i / 8 * 2 + j % 2);
			for (int k = 0; k < 16; k++)
				sum += bf16_to_f32(a[i * 16 + k]) * bf16_to_f32(b[k * 8 + j]);
			CHECK(h[i * 8 + j] == sum);
		}
	return NULL;
}

/* Column-major c = beta c + op(a) op(b), all four ways, batches, f32. */
static const char *products_of_blas(void)
{
	enum { M = 19, N = 5, K = 7, B = 2 };
	float a[B * M * K], b[B * K * N], c[B * M * N];
	float *p = (float *)device_alloc(sizeof(a)), *q = (float *)device_alloc(sizeof(b)),
	      *r = (float *)device_alloc(sizeof(c));
	const float alpha = 2, beta = 3;
	cublasHandle_t blas;

	for (int i = 0; i < B * M * K; i++)
		a[i] = (float)(i % 5 - 2);
	for (int i = 0; i < B * K * N; i++)
		b[i] = (float)(i % 7 - 3);
	for (int i = 0; i < B * M * N; i++)
		c[i] = (float)(i % 3);
	CHECK(cublasCreate(&blas) == CUBLAS_STATUS_SUCCESS);
	cublasSetStream(blas, device.stream);
	for (int way = 0; way < 4; way++) {
		const bool ta = way & 1, tb = way & 2;
		cudaMemcpyAsync(p, a, sizeof(a), cudaMemcpyHostToDevice, device.stream);
		cudaMemcpyAsync(q, b, sizeof(b), cudaMemcpyHostToDevice, device.stream);
		cudaMemcpyAsync(r, c, sizeof(c), cudaMemcpyHostToDevice, device.stream);
		CHECK(cublasGemmStridedBatchedEx(blas, ta ? CUBLAS_OP_T : CUBLAS_OP_N,
			      tb ? CUBLAS_OP_T : CUBLAS_OP_N, M, N, K, &alpha, p, CUDA_R_32F,
			      ta ? K : M, M * K, q, CUDA_R_32F, tb ? N : K, K * N, &beta, r,
			      CUDA_R_32F, M, M * N, B, CUBLAS_COMPUTE_32F_PEDANTIC,
			      CUBLAS_GEMM_DEFAULT) == CUBLAS_STATUS_SUCCESS);
		const float *h = fetch(r, B * M * N);
		for (int i = 0; i < B * M * N; i++) {
			const int batch = i / (M * N), n = i % (M * N) / M, m = i % M;
			float sum = 0;
			for (int k = 0; k < K; k++)
				sum += a[batch * M * K + (ta ? m * K + k : k * M + m)] *
				       b[batch * K * N + (tb ? k * N + n : n * K + k)];
			CHECK(h[i] == 2 * sum + 3 * c[i]);
		}
	}
	/* Rows that overlap are no matrix. */
	CHECK(cublasGemmStridedBatchedEx(blas, CUBLAS_OP_N, CUBLAS_OP_N, M, N, K, &alpha, p,
		      CUDA_R_32F, M - 1, 0, q, CUDA_R_32F, K, 0, &beta, r, CUDA_R_32F, M, 0, 1,
		      CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT) == CUBLAS_STATUS_INVALID_VALUE);
	CHECK(cublasGemmStridedBatchedEx(blas, CUBLAS_OP_N, CUBLAS_OP_N, M, N, K, &alpha, p,
		      CUDA_R_16F, M, 0, q, CUDA_R_16F, K, 0, &beta, r, CUDA_R_32F, M, 0, 1,
		      CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT) == CUBLAS_STATUS_NOT_SUPPORTED);
	return NULL;
}

struct lt {
	cublasLtMatmulDescOpaque_t how;
	cublasLtMatrixLayoutOpaque_t a, b, c;
	cublasLtMatmulPreferenceOpaque_t limits;
};

static void lt_layout(cublasLtMatrixLayout_t l, cudaDataType type, uint64_t rows, uint64_t columns,
	int64_t ld, int32_t batches, int64_t stride)
{
	cublasLtMatrixLayoutInit(l, type, rows, columns, ld);
	cublasLtMatrixLayoutSetAttribute(
		l, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &batches, sizeof(batches));
	cublasLtMatrixLayoutSetAttribute(
		l, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &stride, sizeof(stride));
}

static cublasStatus_t lt_choose(
	cublasHandle_t blas, struct lt *lt, cublasLtMatmulHeuristicResult_t *found)
{
	int n = 0;

	return cublasLtMatmulAlgoGetHeuristic((cublasLtHandle_t)blas, &lt->how, &lt->a, &lt->b,
		&lt->c, &lt->c, &lt->limits, 1, found, &n);
}

/* Column-major c = c + op(a) b + bias, batches of overlapping b, f32; what is refused. */
static const char *products_of_lt(void)
{
	enum { M = 19, N = 5, K = 7, B = 2 };
	float a[M * K], b[K * N + K], c[B * M * N], bias[M];
	float *p = (float *)device_alloc(sizeof(a)), *q = (float *)device_alloc(sizeof(b)),
	      *r = (float *)device_alloc(sizeof(c)), *s = (float *)device_alloc(sizeof(bias));
	const int32_t t = CUBLAS_OP_T;
	const uint32_t epilogue = CUBLASLT_EPILOGUE_BIAS, four = 4;
	const uint64_t room = 1 << 16;
	const float one = 1;
	cublasLtMatmulHeuristicResult_t found;
	cublasHandle_t blas;
	struct lt lt;

	for (int i = 0; i < M * K; i++)
		a[i] = (float)(i % 5 - 2);
	for (int i = 0; i < K * N + K; i++)
		b[i] = (float)(i % 7 - 3);
	for (int i = 0; i < B * M * N; i++)
		c[i] = (float)(i % 3);
	for (int i = 0; i < M; i++)
		bias[i] = (float)i;
	cudaMemcpyAsync(p, a, sizeof(a), cudaMemcpyHostToDevice, device.stream);
	cudaMemcpyAsync(q, b, sizeof(b), cudaMemcpyHostToDevice, device.stream);
	cudaMemcpyAsync(r, c, sizeof(c), cudaMemcpyHostToDevice, device.stream);
	cudaMemcpyAsync(s, bias, sizeof(bias), cudaMemcpyHostToDevice, device.stream);
	CHECK(cublasCreate(&blas) == CUBLAS_STATUS_SUCCESS);
	cublasLtMatmulDescInit(&lt.how, CUBLAS_COMPUTE_32F_PEDANTIC, CUDA_R_32F);
	cublasLtMatmulDescSetAttribute(&lt.how, CUBLASLT_MATMUL_DESC_TRANSA, &t, sizeof(t));
	cublasLtMatmulDescSetAttribute(
		&lt.how, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue, sizeof(epilogue));
	cublasLtMatmulDescSetAttribute(&lt.how, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &s, sizeof(s));
	CHECK(cublasLtMatmulDescSetAttribute(&lt.how, CUBLASLT_MATMUL_DESC_TRANSA, &t, 8) ==
		CUBLAS_STATUS_INVALID_VALUE);
	lt_layout(&lt.a, CUDA_R_32F, K, M, K, B, 0);
	lt_layout(&lt.b, CUDA_R_32F, K, N, K, B, K);
	lt_layout(&lt.c, CUDA_R_32F, M, N, M, B, M * N);
	cublasLtMatmulPreferenceInit(&lt.limits);
	CHECK(lt_choose(blas, &lt, &found) == CUBLAS_STATUS_SUCCESS && found.workspaceSize == 0);
	cublasLtMatmulPreferenceSetAttribute(
		&lt.limits, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &room, sizeof(room));
	cublasLtMatmulPreferenceSetAttribute(
		&lt.limits, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, &four, sizeof(four));
	CHECK(lt_choose(blas, &lt, &found) == CUBLAS_STATUS_SUCCESS && found.workspaceSize > 0);
	void *workspace = device_alloc(found.workspaceSize);
	CHECK(cublasLtMatmul((cublasLtHandle_t)blas, &lt.how, &one, p, &lt.a, q, &lt.b, &one, r,
		      &lt.c, r, &lt.c, &found.algo, workspace, found.workspaceSize - 1,
		      device.stream) == CUBLAS_STATUS_INVALID_VALUE);
	CHECK(cublasLtMatmul((cublasLtHandle_t)blas, &lt.how, &one, p, &lt.a, q, &lt.b, &one, r,
		      &lt.c, r, &lt.c, &found.algo, workspace, found.workspaceSize,
		      device.stream) == CUBLAS_STATUS_SUCCESS);
	const float *h = fetch(r, B * M * N);
	for (int i = 0; i < B * M * N; i++) {
		const int batch = i / (M * N), n = i % (M * N) / M, m = i % M;
		float sum = 0;
		for (int k = 0; k < K; k++)
			sum += a[m * K + k] * b[(batch + n) * K + k];
		CHECK(h[i] == sum + c[i] + bias[m]);
	}
	/* Rows that overlap are no matrix; dtypes as above; a column too much. */
	lt_layout(&lt.b, CUDA_R_32F, K, N, K - 1, B, K);
	CHECK(lt_choose(blas, &lt, &found) == CUBLAS_STATUS_INVALID_VALUE);
	lt_layout(&lt.b, CUDA_R_16F, K, N, K, B, K);
	CHECK(lt_choose(blas, &lt, &found) == CUBLAS_STATUS_NOT_SUPPORTED);
	lt_layout(&lt.b, CUDA_R_32F, K, N + 1, K, B, K);
	CHECK(lt_choose(blas, &lt, &found) == CUBLAS_STATUS_INVALID_VALUE);
	return NULL;
}

/* ---- streams and recordings --------------------------------------------- */

struct scale {
	float by[3];
};
static __global__ void scaled(float *y, struct scale s)
{
	y[threadIdx.x] = y[threadIdx.x] * s.by[1] + 1;
}

static const char *replays(void)
{
	float *y = (float *)device_alloc(32 * 4);
	cudaGraph_t graph;
	cudaGraphExec_t exec;
	struct emulation_counts n;

	device_ok(cudaStreamBeginCapture(device.stream, cudaStreamCaptureModeThreadLocal), "begin");
	{
		/* Arguments are copied: this is gone when the recording runs. */
		struct scale s = {{0, 3, 0}};
		device_ok(cudaMemsetAsync(y, 0, 32 * 4, device.stream), "fill");
		LAUNCH(&g, scaled, 1, 32, 0, y, s);
		LAUNCH(&g, scaled, 1, 32, 0, y, s);
		s.by[1] = 100;
	}
	device_ok(cudaStreamEndCapture(device.stream, &graph), "end");
	device_ok(cudaGraphInstantiate(&exec, graph, 0), "instantiate");
	cudaGraphDestroy(graph);
	emulation_count(&n);
	CHECK(n.launches == 0);
	for (int i = 0; i < 3; i++)
		device_ok(cudaGraphLaunch(exec, device.stream), "replay");
	const float *h = fetch(y, 32);
	for (int i = 0; i < 32; i++)
		CHECK(h[i] == 4);
	emulation_count(&n);
	CHECK(n.launches == 6 && n.graph_launches == 3);
	cudaGraphExecDestroy(exec);
	return NULL;
}

static const char *recordings_do_not_allocate(void)
{
	void *p = device_alloc(128);
	cudaGraph_t graph;

	device_ok(cudaStreamBeginCapture(device.stream, cudaStreamCaptureModeThreadLocal), "begin");
	CHECK(cudaMalloc(&p, 128) == cudaErrorStreamCaptureUnsupported);
	CHECK(cudaStreamEndCapture(device.stream, &graph) == cudaErrorStreamCaptureInvalidated);
	device_ok(cudaStreamBeginCapture(device.stream, cudaStreamCaptureModeThreadLocal), "begin");
	CHECK(cudaStreamSynchronize(device.stream) == cudaErrorStreamCaptureUnsupported);
	CHECK(cudaStreamEndCapture(device.stream, &graph) == cudaErrorStreamCaptureInvalidated);
	device_ok(cudaMalloc(&p, 128), "memory");
	return NULL;
}

/* Pinned memory is read when the stream comes to it, other memory at once. */
static const char *streams_run_late(void)
{
	float *y = (float *)device_alloc(8), *pinned, here = 1, got[2];
	cudaEvent_t done;

	device_ok(cudaMallocHost((void **)&pinned, 4), "pinned");
	device_ok(cudaEventCreateWithFlags(&done, cudaEventDisableTiming), "event");
	*pinned = 1;
	cudaMemcpyAsync(y, pinned, 4, cudaMemcpyHostToDevice, device.stream);
	cudaMemcpyAsync(y + 1, &here, 4, cudaMemcpyHostToDevice, device.stream);
	cudaEventRecord(done, device.stream);
	*pinned = here = 2;
	CHECK(cudaEventQuery(done) == cudaErrorNotReady);
	cudaEventSynchronize(done);
	device_ok(cudaMemcpy(got, y, 8, cudaMemcpyDeviceToHost), "fetch");
	CHECK(got[0] == 2 && got[1] == 1);
	return NULL;
}

/* What cudaMemset() does is in order with nothing but the null stream. */
static const char *the_null_stream_is_apart(void)
{
	unsigned char *p = (unsigned char *)device_alloc(4), got[2] = {};

	device_ok(cudaMemset(p, 1, 4), "fill");
	device_ok(cudaMemsetAsync(p, 2, 4, device.stream), "fill");
	device_ok(cudaMemcpyAsync(got, p, 1, cudaMemcpyDeviceToHost, device.stream), "fetch");
	device_wait();
	device_ok(cudaMemcpy(got + 1, p, 1, cudaMemcpyDeviceToHost), "fetch");
	CHECK(got[0] == 2 && got[1] == 1);
	return NULL;
}

/* Whoever asks for the last error gets it, also of a call that nobody looked at. */
static const char *errors_wait_to_be_asked_for(void)
{
	void *p;

	CHECK(cudaMalloc(&p, (size_t)1 << 60) == cudaErrorMemoryAllocation);
	device_alloc(4);
	CHECK(cudaPeekAtLastError() == cudaErrorMemoryAllocation);
	CHECK(cudaGetLastError() == cudaErrorMemoryAllocation && cudaGetLastError() == cudaSuccess);
	return NULL;
}

static const char *memory_is_counted(void)
{
	size_t left, all;
	void *p = device_alloc(1 << 20), *q;
	struct emulation_counts n;

	device_ok(cudaMemGetInfo(&left, &all), "info");
	CHECK(all == 2 << 20 && left == 1 << 20);
	CHECK(cudaMalloc(&q, (1 << 20) + 1) == cudaErrorMemoryAllocation);
	CHECK(cudaGetLastError() == cudaErrorMemoryAllocation && cudaGetLastError() == cudaSuccess);
	cudaFree(p);
	CHECK(cudaFree(p) == cudaErrorInvalidValue);
	emulation_count(&n);
	CHECK(n.bytes == 0 && n.bytes_peak == 1 << 20);
	return NULL;
}

/* ---- faults ------------------------------------------------------------- */

static __global__ void nothing(int x)
{
}

static const char *faults_stay(void)
{
	void *p = device_alloc(128);

	LAUNCH(&g, nothing, 1, 1, 0, 1);
	CHECK(cudaStreamSynchronize(device.stream) == cudaSuccess);
	LAUNCH(&g, nothing, 1, 1, 0, 1);
	CHECK(cudaStreamSynchronize(device.stream) == cudaErrorECCUncorrectable);
	CHECK(cudaGetLastError() == cudaErrorECCUncorrectable);
	CHECK(cudaPeekAtLastError() == cudaErrorECCUncorrectable);
	CHECK(cudaMalloc(&p, 128) == cudaErrorECCUncorrectable);
	return NULL;
}

static const char *no_driver(void)
{
	int n = -1;

	CHECK(cudaDriverGetVersion(&n) == cudaSuccess && n == 0);
	CHECK(cudaGetDeviceCount(&n) == cudaErrorInsufficientDriver);
	return NULL;
}

static const char *no_device(void)
{
	int n = -1;

	CHECK(cudaDriverGetVersion(&n) == cudaSuccess && n >= 12000);
	CHECK(cudaGetDeviceCount(&n) == cudaErrorNoDevice && n == 0);
	return NULL;
}

static const char *old_device(void)
{
	struct cudaDeviceProp p;

	CHECK(cudaGetDeviceProperties(&p, 0) == cudaSuccess && p.major == 6);
	return NULL;
}

static const char *busy_device(void)
{
	cudaStream_t s;
	int n;

	CHECK(cudaGetDeviceCount(&n) == cudaSuccess && n == 1);
	CHECK(cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking) == cudaErrorDevicesUnavailable);
	return NULL;
}

const struct emulation_check emulation_checks[] = {
	{"every thread runs once", NULL, every_thread_once},
	{"orders vary from launch to launch", NULL, orders_vary},
	{"shuffles and votes of a warp", NULL, shuffles_as_in_the_manual},
	{"votes of a block", NULL, votes_of_a_block},
	{"mma of fragments is a product", NULL, a_product_of_matrices},
	{"products of cuBLAS", NULL, products_of_blas},
	{"products of cublasLt", NULL, products_of_lt},
	{"recordings are replayed", NULL, replays},
	{"recordings do not allocate or wait", NULL, recordings_do_not_allocate},
	{"streams run when waited for", NULL, streams_run_late},
	{"the null stream is apart", NULL, the_null_stream_is_apart},
	{"errors wait to be asked for", NULL, errors_wait_to_be_asked_for},
	{"memory is counted", "memory=2097152", memory_is_counted},
	{"faults stay", "ecc@2", faults_stay},
	{"no driver", "no-driver", no_driver},
	{"no device", "no-device", no_device},
	{"an old device", "old-device", old_device},
	{"a busy device", "busy", busy_device},
	{NULL, NULL, NULL},
};
