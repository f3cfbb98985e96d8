/* Products in the place of cuBLAS and cublasLt: c = beta c + op(a) op(b) + bias,
 * column-major, f32 or bf16, each sum one f32 chain over k in ascending order.  Arguments
 * are refused as cuBLAS refuses them; operands are checked as whole ranges. */
#include "tests/emulation/cublasLt.h"

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
	const float *bias; /* or NULL */
	char *workspace;   /* that it spoils */
	size_t workspace_bytes;
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
			c[i] = p->alpha * sum[i] + (p->beta == 0 ? 0 : p->beta * c[i]) +
			       (p->bias ? p->bias[first + i] : 0);
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
					"out of bounds: %s, batch %lld, column %d, at %s", which, i,
					col, text);
			}
			emulator_report_launch(
				"cuBLAS product", "%s is not in device memory: %p", which, p);
		}
}

static void run_product(struct operation *op)
{
	const struct product *p = (const struct product *)op;
	const size_t size = p->is_bf16 ? 2 : 4;
	const struct operand *a = &p->a, *b = &p->b;

	emulator_device()->counts.products++;
	check_range(a->at, size, a->stride, p->batches, a->is_transposed ? p->m : p->k, a->ld,
		a->is_transposed ? p->k : p->m, "matrix A");
	check_range(b->at, size, b->stride, p->batches, b->is_transposed ? p->k : p->n, b->ld,
		b->is_transposed ? p->n : p->k, "matrix B");
	check_range(p->c, 4, p->stride_c, p->batches, p->n, p->ldc, p->m, "matrix C");
	if (p->bias)
		check_range(p->bias, 4, 0, 1, 1, 0, p->m, "the bias");
	if (p->workspace_bytes) {
		check_range(p->workspace, 1, 0, 1, 1, 0, (int)p->workspace_bytes, "the workspace");
		memset(p->workspace, 0xff, p->workspace_bytes);
	}
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
		NULL,
		NULL,
		0,
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

/* ---- cublasLt ----------------------------------------------------------- */

/* What lies in the descriptors. */
struct how {
	cublasComputeType_t compute;
	int32_t op_a, op_b;
	uint32_t epilogue;
	const float *bias;
};
struct layout {
	int64_t type, rows, columns, ld, stride;
	int32_t batches;
};
struct limits {
	uint64_t workspace;
	uint32_t alignment[4]; /* of a, b, c, d */
};
/* An algorithm is for what it was chosen for: so much of that has to be the same. */
struct algo {
	uint64_t problem; /* hashed */
	uint64_t workspace;
	uint32_t alignment[4];
	uint32_t alignment_bias;
};
static_assert(sizeof(struct how) <= sizeof(cublasLtMatmulDescOpaque_t), "too small");
static_assert(sizeof(struct layout) <= sizeof(cublasLtMatrixLayoutOpaque_t), "too small");
static_assert(sizeof(struct limits) <= sizeof(cublasLtMatmulPreferenceOpaque_t), "too small");
static_assert(sizeof(struct algo) <= sizeof(cublasLtMatmulAlgo_t), "too small");

enum { LT_WORKSPACE = 4096 };

template <typename T, typename O> static T read_as(const O *opaque)
{
	T t;

	memcpy(&t, opaque, sizeof(t));
	return t;
}

/* Sets what lies `at` bytes into a descriptor. */
static cublasStatus_t set(void *opaque, size_t at, size_t size, const void *value, size_t bytes)
{
	if (!value || bytes != size)
		return CUBLAS_STATUS_INVALID_VALUE;
	memcpy((char *)opaque + at, value, bytes);
	return CUBLAS_STATUS_SUCCESS;
}
#define SET(type, member)                                                                          \
	set(opaque, offsetof(type, member), sizeof(((type *)NULL)->member), value, bytes)

cublasStatus_t cublasLtMatmulDescInit(
	cublasLtMatmulDesc_t opaque, cublasComputeType_t compute, cudaDataType scale)
{
	const struct how how = {compute, CUBLAS_OP_N, CUBLAS_OP_N, CUBLASLT_EPILOGUE_DEFAULT, NULL};

	if (scale != CUDA_R_32F)
		return CUBLAS_STATUS_INVALID_VALUE;
	memcpy(opaque, &how, sizeof(how));
	return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t opaque,
	cublasLtMatmulDescAttributes_t which, const void *value, size_t bytes)
{
	switch (which) {
	case CUBLASLT_MATMUL_DESC_TRANSA:
		return SET(struct how, op_a);
	case CUBLASLT_MATMUL_DESC_TRANSB:
		return SET(struct how, op_b);
	case CUBLASLT_MATMUL_DESC_EPILOGUE:
		return SET(struct how, epilogue);
	case CUBLASLT_MATMUL_DESC_BIAS_POINTER:
		return SET(struct how, bias);
	}
	return CUBLAS_STATUS_INVALID_VALUE;
}

cublasStatus_t cublasLtMatrixLayoutInit(cublasLtMatrixLayout_t opaque, cudaDataType type,
	uint64_t rows, uint64_t columns, int64_t ld)
{
	const struct layout layout = {type, (int64_t)rows, (int64_t)columns, ld, 0, 1};

	memcpy(opaque, &layout, sizeof(layout));
	return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutSetAttribute(cublasLtMatrixLayout_t opaque,
	cublasLtMatrixLayoutAttribute_t which, const void *value, size_t bytes)
{
	switch (which) {
	case CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT:
		return SET(struct layout, batches);
	case CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET:
		return SET(struct layout, stride);
	}
	return CUBLAS_STATUS_INVALID_VALUE;
}

cublasStatus_t cublasLtMatmulPreferenceInit(cublasLtMatmulPreference_t opaque)
{
	const struct limits limits = {0, {256, 256, 256, 256}};

	memcpy(opaque, &limits, sizeof(limits));
	return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t opaque,
	cublasLtMatmulPreferenceAttributes_t which, const void *value, size_t bytes)
{
	switch (which) {
	case CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES:
		return SET(struct limits, workspace);
	case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES:
		return SET(struct limits, alignment[0]);
	case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES:
		return SET(struct limits, alignment[1]);
	case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES:
		return SET(struct limits, alignment[2]);
	case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES:
		return SET(struct limits, alignment[3]);
	}
	return CUBLAS_STATUS_INVALID_VALUE;
}

/* d = op(a) op(b), as it is asked for. */
struct problem {
	struct how how;
	struct layout a, b, c, d;
};

static struct problem problem_of(cublasLtMatmulDesc_t how, cublasLtMatrixLayout_t a,
	cublasLtMatrixLayout_t b, cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d)
{
	return {read_as<struct how>(how), read_as<struct layout>(a), read_as<struct layout>(b),
		read_as<struct layout>(c), read_as<struct layout>(d)};
}

static bool has_bias(const struct problem *p)
{
	return p->how.epilogue == CUBLASLT_EPILOGUE_BIAS;
}

static uint64_t hash_of(const struct problem *p)
{
	uint64_t h = (uint64_t)p->how.compute << 32 | (unsigned)p->how.op_a << 16 |
		     (unsigned)p->how.op_b << 8 | p->how.epilogue;

	for (const struct layout *l : {&p->a, &p->b, &p->c, &p->d})
		for (int64_t n :
			{l->type, l->rows, l->columns, l->ld, l->stride, (int64_t)l->batches})
			h = (h ^ (uint64_t)n) * 0x9e3779b97f4a7c15 + 1;
	return h;
}

static cublasStatus_t check_problem(const struct problem *p)
{
	const struct layout *a = &p->a, *b = &p->b, *d = &p->d;
	const bool ta = p->how.op_a != CUBLAS_OP_N, tb = p->how.op_b != CUBLAS_OP_N;

	if ((ta ? a->columns : a->rows) != d->rows || (tb ? b->rows : b->columns) != d->columns ||
		(ta ? a->rows : a->columns) != (tb ? b->columns : b->rows) ||
		a->batches != d->batches || b->batches != d->batches || d->batches < 1 ||
		memcmp(&p->c, d, sizeof(*d)) != 0)
		return CUBLAS_STATUS_INVALID_VALUE;
	for (const struct layout *l : {a, b, d})
		if (l->rows < 1 || l->columns < 1 || l->rows > INT32_MAX ||
			l->columns > INT32_MAX || l->ld > INT32_MAX || l->ld < l->rows)
			return CUBLAS_STATUS_INVALID_VALUE;
	if (a->type != b->type || d->type != CUDA_R_32F ||
		(a->type != CUDA_R_32F && a->type != CUDA_R_16BF) ||
		(p->how.compute != CUBLAS_COMPUTE_32F &&
			p->how.compute != CUBLAS_COMPUTE_32F_PEDANTIC) ||
		(p->how.epilogue != CUBLASLT_EPILOGUE_DEFAULT && !has_bias(p)) ||
		(has_bias(p) && !p->how.bias))
		return CUBLAS_STATUS_NOT_SUPPORTED;
	if (a->type == CUDA_R_16BF && emulator_device()->arch < 80)
		return CUBLAS_STATUS_ARCH_MISMATCH;
	return CUBLAS_STATUS_SUCCESS;
}

static uint32_t alignment_of(const void *p)
{
	const uintptr_t at = (uintptr_t)p | 256;

	return (uint32_t)(at & (~at + 1));
}

/* There is none with a bias for rows of bf16 that start at odd elements: a device may have
 * none for whatever it likes, and what is done then is to be seen here, too.  What may take a
 * workspace does. */
cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t handle, cublasLtMatmulDesc_t how,
	cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b, cublasLtMatrixLayout_t c,
	cublasLtMatrixLayout_t d, cublasLtMatmulPreference_t opaque, int most,
	cublasLtMatmulHeuristicResult_t *results, int *n)
{
	const struct problem p = problem_of(how, a, b, c, d);
	const struct limits limits = read_as<struct limits>(opaque);
	const cublasStatus_t status = check_problem(&p);
	struct algo algo = {};

	*n = 0;
	if (!handle)
		return CUBLAS_STATUS_NOT_INITIALIZED;
	if (most < 1)
		return CUBLAS_STATUS_INVALID_VALUE;
	if (status != CUBLAS_STATUS_SUCCESS)
		return status;
	if (has_bias(&p) && p.a.type == CUDA_R_16BF &&
		((p.a.ld | p.b.ld) % 2 || limits.alignment[0] < 4 || limits.alignment[1] < 4))
		return CUBLAS_STATUS_NOT_SUPPORTED;
	algo.problem = hash_of(&p);
	algo.workspace = limits.workspace < LT_WORKSPACE ? 0 : LT_WORKSPACE;
	memcpy(algo.alignment, limits.alignment, sizeof(algo.alignment));
	algo.alignment_bias = has_bias(&p) ? alignment_of(p.how.bias) : 0;
	results[0] = {};
	memcpy(&results[0].algo, &algo, sizeof(algo));
	results[0].workspaceSize = algo.workspace;
	results[0].wavesCount = 1;
	*n = 1;
	return CUBLAS_STATUS_SUCCESS;
}

static void check_algo(const struct algo *algo, const struct problem *p, const void *const at[4])
{
	static const char names[] = "ABCD";

	if (algo->problem != hash_of(p))
		emulator_report_launch("cuBLAS product", "its algorithm was chosen for another");
	for (int i = 0; i < 4; i++)
		if (alignment_of(at[i]) < algo->alignment[i])
			emulator_report_launch("cuBLAS product",
				"matrix %c lies at %u bytes, its algorithm was chosen for %u",
				names[i], alignment_of(at[i]), algo->alignment[i]);
	if (has_bias(p) && alignment_of(p->how.bias) < algo->alignment_bias)
		emulator_report_launch("cuBLAS product",
			"the bias lies at %u bytes, its algorithm was chosen for %u",
			alignment_of(p->how.bias), algo->alignment_bias);
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t how, const void *alpha,
	const void *a, cublasLtMatrixLayout_t layout_a, const void *b,
	cublasLtMatrixLayout_t layout_b, const void *beta, const void *c,
	cublasLtMatrixLayout_t layout_c, void *d, cublasLtMatrixLayout_t layout_d,
	const cublasLtMatmulAlgo_t *opaque, void *workspace, size_t workspace_bytes,
	cudaStream_t stream)
{
	const struct problem p = problem_of(how, layout_a, layout_b, layout_c, layout_d);
	const cublasStatus_t status = check_problem(&p);
	const void *const at[] = {a, b, c, d};
	cudaError_t error;

	if (!handle)
		return CUBLAS_STATUS_NOT_INITIALIZED;
	if (status != CUBLAS_STATUS_SUCCESS)
		return status;
	if (!alpha || !beta || !opaque)
		return CUBLAS_STATUS_INVALID_VALUE;
	if (c != d)
		return CUBLAS_STATUS_NOT_SUPPORTED;
	const struct algo algo = read_as<struct algo>(opaque);
	if (workspace_bytes < algo.workspace)
		return CUBLAS_STATUS_INVALID_VALUE;
	const struct product product = {
		{NULL, sizeof(product), run_product},
		(int)p.d.rows,
		(int)p.d.columns,
		(int)(p.how.op_a == CUBLAS_OP_N ? p.a.columns : p.a.rows),
		p.d.batches,
		p.a.type == CUDA_R_16BF,
		*(const float *)alpha,
		*(const float *)beta,
		{a, p.how.op_a != CUBLAS_OP_N, (int)p.a.ld, p.a.stride},
		{b, p.how.op_b != CUBLAS_OP_N, (int)p.b.ld, p.b.stride},
		(float *)d,
		(int)p.d.ld,
		p.d.stride,
		has_bias(&p) ? p.how.bias : NULL,
		(char *)workspace,
		algo.workspace,
	};
	emulator_lock();
	check_algo(&algo, &p, at);
	error = emulator_submit(stream, &product.op);
	emulator_unlock(error);
	return error == cudaSuccess ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_EXECUTION_FAILED;
}
