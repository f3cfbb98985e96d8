/* Products in the place of cuBLAS: c = beta c + op(a) op(b), column-major, f32 or bf16,
 * each sum one f32 chain over k in ascending order.  Arguments are refused as cuBLAS
 * refuses them; operands are checked as whole ranges. */
#include "tests/emulation/cublas_v2.h"

#include <stdlib.h>
#include <string.h>

#include "tests/emulation/emulator.hpp"

struct emulated_cublas {
	cudaStream_t stream;
	bool has_workspace; /* of the caller's */
};

cublasStatus_t cublasCreate(cublasHandle_t *ret)
{
	*ret = NULL;
	if (emulator_device()->broken != cudaSuccess)
		return CUBLAS_STATUS_NOT_INITIALIZED;
	*ret = (cublasHandle_t)calloc(1, sizeof(**ret));
	return *ret ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_ALLOC_FAILED;
}

cublasStatus_t cublasDestroy(cublasHandle_t handle)
{
	free(handle);
	return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetStream(cublasHandle_t handle, cudaStream_t stream)
{
	handle->stream = stream;
	handle->has_workspace = false;
	return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetWorkspace(cublasHandle_t handle, void *workspace, size_t bytes)
{
	if ((uintptr_t)workspace % 256)
		return CUBLAS_STATUS_INVALID_VALUE;
	handle->has_workspace = bytes > 0;
	return CUBLAS_STATUS_SUCCESS;
}

const char *cublasGetStatusString(cublasStatus_t status)
{
	switch (status) {
	case CUBLAS_STATUS_SUCCESS:
		return "the operation completed successfully";
	case CUBLAS_STATUS_NOT_INITIALIZED:
		return "the library was not initialized";
	case CUBLAS_STATUS_ALLOC_FAILED:
		return "the resource allocation failed";
	case CUBLAS_STATUS_INVALID_VALUE:
		return "an invalid numerical value was used as an argument";
	case CUBLAS_STATUS_ARCH_MISMATCH:
		return "an absent device architectural feature is required";
	case CUBLAS_STATUS_MAPPING_ERROR:
		return "an access to GPU memory space failed";
	case CUBLAS_STATUS_EXECUTION_FAILED:
		return "the GPU program failed to execute";
	case CUBLAS_STATUS_INTERNAL_ERROR:
		return "an internal operation failed";
	case CUBLAS_STATUS_NOT_SUPPORTED:
		return "the functionality is not supported";
	}
	return "unknown";
}

/* ---- the work ----------------------------------------------------------- */

struct operand {
	const void *at;
	bool is_transposed;
	int ld;
	long long stride;
};

struct product {
	struct operation op;
	int m, n, k, batches;
	bool is_bf16;
	float alpha, beta;
	struct operand a, b;
	float *c;
	int ldc;
	long long stride_c;
};

enum { TILE = 16 };
typedef float tile __attribute__((vector_size(TILE * sizeof(float))));

static float element(const struct product *p, const struct operand *o, long long i)
{
	float f;

	if (!p->is_bf16)
		return ((const float *)o->at)[i];
	const uint32_t bits = (uint32_t)((const uint16_t *)o->at)[i] << 16;
	memcpy(&f, &bits, sizeof(f));
	return f;
}

/* out[k][TILE]: rows first.. of op(a), rows beyond m zero. */
static void pack(const struct product *p, long long batch, int first, tile *out)
{
	const struct operand *a = &p->a;

	for (int k = 0; k < p->k; k++)
		for (int i = 0; i < TILE; i++) {
			const long long row = first + i;
			const long long at =
				batch * a->stride +
				(a->is_transposed ? row * a->ld + k : row + (long long)k * a->ld);
			out[k][i] = row < p->m ? element(p, a, at) : 0;
		}
}

static void multiply(const struct product *p, long long batch, int first, const tile *a)
{
	const int rows = p->m - first < TILE ? p->m - first : TILE;
	const struct operand *b = &p->b;

	for (int n = 0; n < p->n; n++) {
		const long long at =
			batch * b->stride + (b->is_transposed ? n : (long long)n * b->ld);
		const long long step = b->is_transposed ? b->ld : 1;
		tile sum = {};
		for (int k = 0; k < p->k; k++)
			sum += a[k] * element(p, b, at + k * step);
		float *c = p->c + batch * p->stride_c + (long long)n * p->ldc + first;
		for (int i = 0; i < rows; i++)
			c[i] = p->alpha * sum[i] + (p->beta == 0 ? 0 : p->beta * c[i]);
	}
}

/* All that one batch touches. */
static void check_range(const void *at, size_t size, long long stride, int batches, int n_columns,
	int ld, int n_rows, const char *which)
{
	char text[EMULATOR_TEXT];

	for (long long i = 0; i < batches; i++)
		for (int col = 0; col < n_columns; col++) {
			const char *p = (const char *)at +
					(i * stride + (long long)col * ld) * (long long)size;
			const size_t bytes = (size_t)n_rows * size;
			if (emulator_is_device(p) && emulator_is_device(p + bytes - 1)) {
				const void *closed = emulator_first_closed(p, bytes);
				if (!closed)
					continue;
				emulator_describe_device(closed, text);
				emulator_report_launch("cuBLAS product",
					"out of bounds: matrix %s, batch %lld, column %d, at %s",
					which, i, col, text);
			}
			emulator_report_launch("cuBLAS product",
				"matrix %s is not in device memory: %p", which, p);
		}
}

static void run_product(struct operation *op)
{
	const struct product *p = (const struct product *)op;
	const size_t size = p->is_bf16 ? 2 : 4;
	const struct operand *a = &p->a, *b = &p->b;

	emulator_device()->counts.products++;
	check_range(a->at, size, a->stride, p->batches, a->is_transposed ? p->m : p->k, a->ld,
		a->is_transposed ? p->k : p->m, "A");
	check_range(b->at, size, b->stride, p->batches, b->is_transposed ? p->k : p->n, b->ld,
		b->is_transposed ? p->n : p->k, "B");
	check_range(p->c, 4, p->stride_c, p->batches, p->n, p->ldc, p->m, "C");
	tile *packed = (tile *)aligned_alloc(sizeof(tile), (size_t)p->k * sizeof(tile));
	if (!packed)
		abort();
	for (long long i = 0; i < p->batches; i++)
		for (int first = 0; first < p->m; first += TILE) {
			pack(p, i, first, packed);
			multiply(p, i, first, packed);
		}
	free(packed);
}

/* ---- what may be asked -------------------------------------------------- */

static bool fits(int ld, int rows)
{
	return ld >= (rows > 1 ? rows : 1);
}

cublasStatus_t cublasGemmStridedBatchedEx(cublasHandle_t handle, cublasOperation_t op_a,
	cublasOperation_t op_b, int m, int n, int k, const void *alpha, const void *a,
	cudaDataType type_a, int lda, long long int stride_a, const void *b, cudaDataType type_b,
	int ldb, long long int stride_b, const void *beta, void *c, cudaDataType type_c, int ldc,
	long long int stride_c, int batches, cublasComputeType_t compute, cublasGemmAlgo_t algo)
{
	const bool is_bf16 = type_a == CUDA_R_16BF;
	cudaError_t error;

	if (!handle)
		return CUBLAS_STATUS_NOT_INITIALIZED;
	if (m < 0 || n < 0 || k < 0 || batches < 0 || !fits(lda, op_a == CUBLAS_OP_N ? m : k) ||
		!fits(ldb, op_b == CUBLAS_OP_N ? k : n) || !fits(ldc, m) || !alpha || !beta)
		return CUBLAS_STATUS_INVALID_VALUE;
	if (type_a != type_b || type_c != CUDA_R_32F || (type_a != CUDA_R_32F && !is_bf16) ||
		(compute != CUBLAS_COMPUTE_32F && compute != CUBLAS_COMPUTE_32F_PEDANTIC))
		return CUBLAS_STATUS_NOT_SUPPORTED;
	if (is_bf16 && emulator_device()->arch < 80)
		return CUBLAS_STATUS_ARCH_MISMATCH;
	if (!m || !n || !batches)
		return CUBLAS_STATUS_SUCCESS;
	const struct product p = {
		{NULL, sizeof(p), run_product},
		m,
		n,
		k,
		batches,
		is_bf16,
		*(const float *)alpha,
		*(const float *)beta,
		{a, op_a != CUBLAS_OP_N, lda, stride_a},
		{b, op_b != CUBLAS_OP_N, ldb, stride_b},
		(float *)c,
		ldc,
		stride_c,
	};
	emulator_lock();
	if (emulator_is_recording(handle->stream) && !handle->has_workspace)
		emulator_report_launch("cuBLAS product",
			"recorded without a workspace of the caller's, which cublasSetStream() "
			"takes away");
	error = emulator_submit(handle->stream, &p.op);
	emulator_unlock(error);
	return error == cudaSuccess ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_EXECUTION_FAILED;
}
