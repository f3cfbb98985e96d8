/* Products of plain matrices by cuBLAS, which is column-major.  A row-major [m, n] is a
 * column-major [n, m], so y = x w^T is asked for as y^T = w x^T.
 *
 * bf16 runs on tensor cores with f32 sums; f32 without TF32.  A device of compute
 * capability 7.5 has no bf16 products: there ops convert to f32 before they come here.
 *
 * Two ways:
 *	cublasLtMatmul()		with a bias, and where y has a tile for each multiprocessor
 *	cublasGemmStridedBatchedEx()	the rest, and what the former has no algorithm for
 * The first adds the bias as it writes y (its epilogue takes one along the rows of y^T).  A
 * pass that puts it into y before is 4 M N bytes written and 4 M N read again, and a launch:
 * 287 of them, 4.3 us each, were 1.2 of 8.0 ms of a step of AudioLDM 2, measured on an H200.
 * And it can be asked for an algorithm without workspace.  For [1025, 1536] x [12288, 1536],
 * 58 us, cuBLAS chooses one that clears 4 bytes by a memset first, which costs 8 us of idle
 * time in a graph, measured there, too.  Where there are tiles for all multiprocessors nothing
 * is gained by splitting sums over k, which is what a workspace is for otherwise.
 * What is small and without a bias has nothing to gain: cublasGemmStridedBatchedEx() chooses
 * among the same algorithms, and keeps what it chose. */
#include "gpu/cuda/matrix.h"

#include <cublasLt.h>
#include <stdlib.h>
#include <string.h>

#include "library/base/arena.h"

enum {
	TILE = 128,     /* rows and columns of y: what algorithms for large products take */
	N_PLANS = 1024, /* a power of two; a network has below 100 */
	ALIGNED = 16,   /* bytes: no algorithm needs more of a matrix */
	ALIGNED_BIAS = 256,
};

/* ---- in cuBLAS's words --------------------------------------------------- */

static cudaDataType type_of(const struct cuda_product *p)
{
	return p->dtype == GPU_BF16 ? CUDA_R_16BF : CUDA_R_32F;
}

static cublasComputeType_t sums_of(const struct cuda_product *p)
{
	return p->dtype == GPU_BF16 ? CUBLAS_COMPUTE_32F : CUBLAS_COMPUTE_32F_PEDANTIC;
}

static cublasOperation_t w_op_of(const struct cuda_product *p)
{
	return p->is_nn ? CUBLAS_OP_N : CUBLAS_OP_T;
}

/* A handle of cuBLAS is one of cublasLt, say NVIDIA. */
static cublasLtHandle_t lt_of(const struct cuda *c)
{
	return (cublasLtHandle_t)c->blas;
}

/* ---- by cublasLt -------------------------------------------------------- */

/* What an algorithm is chosen by.  All of one size: no bytes between. */
struct shape {
	int64_t m, n, k, ldx, ldw, ldy;
	int64_t batches, x_batch, w_batch, y_batch;
	int64_t aligned_x, aligned_w, aligned_y, aligned_bias; /* bytes; no bias: 0 */
	int64_t is_bf16, is_nn, adds;
};

struct cuda_plan {
	struct shape shape;
	bool is_known, has_algo;
	size_t workspace;
	cublasLtMatmulAlgo_t algo;
};

struct operands {
	cublasLtMatmulDescOpaque_t how;
	cublasLtMatrixLayoutOpaque_t w, x, y;
};

static int64_t aligned(const void *p, int64_t batch_bytes, int64_t most)
{
	const uintptr_t at = (uintptr_t)p | (uintptr_t)batch_bytes | (uintptr_t)most;

	return (int64_t)(at & (~at + 1)); /* its lowest bit */
}

static struct shape shape_of(const struct cuda_product *p)
{
	const int64_t size = (int64_t)gpu_dtype_size(p->dtype);

	return (struct shape){
		.m = p->m,
		.n = p->n,
		.k = p->k,
		.ldx = p->ldx,
		.ldw = p->ldw,
		.ldy = p->ldy,
		.batches = p->batches,
		.x_batch = p->x_batch,
		.w_batch = p->w_batch,
		.y_batch = p->y_batch,
		.aligned_x = aligned(p->x, p->x_batch * size, ALIGNED),
		.aligned_w = aligned(p->w, p->w_batch * size, ALIGNED),
		.aligned_y = aligned(p->y, p->y_batch * (int64_t)sizeof(float), ALIGNED),
		.aligned_bias = p->bias ? aligned(p->bias, 0, ALIGNED_BIAS) : 0,
		.is_bf16 = p->dtype == GPU_BF16,
		.is_nn = p->is_nn,
		.adds = p->beta != 0,
	};
}

static uint64_t hash(const struct shape *s)
{
	uint64_t h = 0xcbf29ce484222325, word;

	for (size_t i = 0; i < sizeof(*s); i += sizeof(word)) {
		memcpy(&word, (const char *)s + i, sizeof(word));
		h = (h ^ word) * 0x9e3779b97f4a7c15;
		h ^= h >> 32;
	}
	return h;
}

static bool is_large(const struct cuda *c, const struct cuda_product *p)
{
	const int64_t tiles = ((p->m + TILE - 1) / TILE) * ((p->n + TILE - 1) / TILE);

	return tiles * p->batches >= c->n_multiprocessors;
}

static bool set_layout(cublasLtMatrixLayout_t l, cudaDataType type, int64_t rows, int64_t columns,
	int64_t ld, int32_t batches, int64_t stride)
{
	return cublasLtMatrixLayoutInit(l, type, (uint64_t)rows, (uint64_t)columns, ld) ==
		       CUBLAS_STATUS_SUCCESS &&
	       cublasLtMatrixLayoutSetAttribute(l, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &batches,
		       sizeof(batches)) == CUBLAS_STATUS_SUCCESS &&
	       cublasLtMatrixLayoutSetAttribute(l, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET,
		       &stride, sizeof(stride)) == CUBLAS_STATUS_SUCCESS;
}

static bool set(cublasLtMatmulDesc_t how, cublasLtMatmulDescAttributes_t which, const void *value,
	size_t bytes)
{
	return cublasLtMatmulDescSetAttribute(how, which, value, bytes) == CUBLAS_STATUS_SUCCESS;
}

static bool set_how(cublasLtMatmulDesc_t how, const struct cuda_product *p)
{
	const int32_t w_op = w_op_of(p);
	const uint32_t epilogue = p->bias ? CUBLASLT_EPILOGUE_BIAS : CUBLASLT_EPILOGUE_DEFAULT;

	return cublasLtMatmulDescInit(how, sums_of(p), CUDA_R_32F) == CUBLAS_STATUS_SUCCESS &&
	       set(how, CUBLASLT_MATMUL_DESC_TRANSA, &w_op, sizeof(w_op)) &&
	       set(how, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue, sizeof(epilogue)) &&
	       set(how, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &p->bias, sizeof(p->bias));
}

static bool set_operands(struct operands *o, const struct cuda_product *p)
{
	const int32_t batches = (int32_t)p->batches;

	return set_how(&o->how, p) &&
	       set_layout(&o->w, type_of(p), p->is_nn ? p->n : p->k, p->is_nn ? p->k : p->n, p->ldw,
		       batches, p->w_batch) &&
	       set_layout(&o->x, type_of(p), p->k, p->m, p->ldx, batches, p->x_batch) &&
	       set_layout(&o->y, CUDA_R_32F, p->n, p->m, p->ldy, batches, p->y_batch);
}

static bool limit(cublasLtMatmulPreference_t limits, cublasLtMatmulPreferenceAttributes_t which,
	int64_t alignment)
{
	const uint32_t bytes = (uint32_t)alignment;

	return cublasLtMatmulPreferenceSetAttribute(limits, which, &bytes, sizeof(bytes)) ==
	       CUBLAS_STATUS_SUCCESS;
}

static bool set_limits(cublasLtMatmulPreference_t limits, const struct shape *s, uint64_t workspace)
{
	return cublasLtMatmulPreferenceInit(limits) == CUBLAS_STATUS_SUCCESS &&
	       cublasLtMatmulPreferenceSetAttribute(limits,
		       CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &workspace,
		       sizeof(workspace)) == CUBLAS_STATUS_SUCCESS &&
	       limit(limits, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, s->aligned_w) &&
	       limit(limits, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, s->aligned_x) &&
	       limit(limits, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, s->aligned_y) &&
	       limit(limits, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, s->aligned_y);
}

/* Whether there is an algorithm that needs no more workspace. */
static bool choose(
	const struct cuda *c, struct cuda_plan *plan, struct operands *o, uint64_t workspace)
{
	cublasLtMatmulPreferenceOpaque_t limits;
	cublasLtMatmulHeuristicResult_t found;
	int n = 0;

	if (!set_limits(&limits, &plan->shape, workspace) ||
		cublasLtMatmulAlgoGetHeuristic(lt_of(c), &o->how, &o->w, &o->x, &o->y, &o->y,
			&limits, 1, &found, &n) != CUBLAS_STATUS_SUCCESS ||
		n < 1 || found.state != CUBLAS_STATUS_SUCCESS || found.workspaceSize > workspace)
		return false;
	plan->algo = found.algo;
	plan->workspace = found.workspaceSize;
	return true;
}

/* Looked up once for each shape, by the host alone, so that a recording may. */
static struct cuda_plan *plan_for(struct cuda *c, const struct cuda_product *p, struct operands *o)
{
	const struct shape shape = shape_of(p);

	if (!c->plans)
		c->plans = xcalloc(N_PLANS, sizeof(*c->plans));
	struct cuda_plan *plan = &c->plans[hash(&shape) % N_PLANS];
	if (plan->is_known && !memcmp(&plan->shape, &shape, sizeof(shape)))
		return plan;
	plan->shape = shape;
	plan->is_known = true;
	plan->has_algo = (is_large(c, p) && choose(c, plan, o, 0)) ||
			 choose(c, plan, o, CUDA_WORKSPACE_BYTES);
	return plan;
}

static cublasStatus_t by_lt(struct cuda *c, const struct cuda_product *p)
{
	const float one = 1;
	struct operands o;

	if (!set_operands(&o, p))
		return CUBLAS_STATUS_NOT_SUPPORTED;
	struct cuda_plan *plan = plan_for(c, p, &o);
	if (!plan->has_algo)
		return CUBLAS_STATUS_NOT_SUPPORTED;
	const cublasStatus_t status =
		cublasLtMatmul(lt_of(c), &o.how, &one, p->w, &o.w, p->x, &o.x, &p->beta, p->y, &o.y,
			p->y, &o.y, &plan->algo, c->workspace, plan->workspace, c->stream);
	if (status == CUBLAS_STATUS_NOT_SUPPORTED || status == CUBLAS_STATUS_INVALID_VALUE)
		plan->has_algo = false;
	return plan->has_algo ? status : CUBLAS_STATUS_NOT_SUPPORTED;
}

/* ---- by cuBLAS ---------------------------------------------------------- */

static cublasStatus_t by_blas(const struct cuda *c, const struct cuda_product *p)
{
	const float one = 1;

	return cublasGemmStridedBatchedEx(c->blas, w_op_of(p), CUBLAS_OP_N, (int)p->n, (int)p->m,
		(int)p->k, &one, p->w, type_of(p), (int)p->ldw, p->w_batch, p->x, type_of(p),
		(int)p->ldx, p->x_batch, &p->beta, p->y, CUDA_R_32F, (int)p->ldy, p->y_batch,
		(int)p->batches, sums_of(p), CUBLAS_GEMM_DEFAULT);
}

/* ---- either ------------------------------------------------------------- */

static void failed(struct gpu *g, const struct cuda_product *p, cublasStatus_t status)
{
	const struct cuda *c = cuda_of(g);

	/* Perhaps it only met what went wrong before. */
	if (cuda_ok(g, cudaPeekAtLastError(), "a product") &&
		(c->is_recording || cuda_ok(g, cudaStreamSynchronize(c->stream), "a product")))
		gpu_fail(g, ERR_GPU,
			"a product of %lld x %lld x %lld, rows %lld, %lld and %lld apart, %lld of "
			"them, in %s: %s",
			(long long)p->m, (long long)p->n, (long long)p->k, (long long)p->ldx,
			(long long)p->ldw, (long long)p->ldy, (long long)p->batches,
			p->dtype == GPU_BF16 ? "bf16" : "f32", cublasGetStatusString(status));
}

void cuda_product(struct gpu *g, const struct cuda_product *p)
{
	cublasStatus_t status = CUBLAS_STATUS_NOT_SUPPORTED;
	struct cuda *c = cuda_of(g);
	struct cuda_product q = *p;

	if (p->m > INT32_MAX || p->n > INT32_MAX || p->k > INT32_MAX || p->batches > INT32_MAX) {
		gpu_fail(g, ERR_UNSUPPORTED, "a product of %lld x %lld x %lld is too large",
			(long long)p->m, (long long)p->n, (long long)p->k);
		return;
	}
	q.batches = p->batches ? p->batches : 1;
	if (q.batches == 1) /* what does not matter should not make another shape */
		q.x_batch = q.w_batch = q.y_batch = 0;
	if (q.bias || is_large(c, &q))
		status = by_lt(c, &q);
	if (status == CUBLAS_STATUS_NOT_SUPPORTED) {
		if (q.bias) {
			cuda_bias(g, q.y, q.batches, q.y_batch, q.m, q.ldy, q.n, q.bias, q.n,
				q.beta != 0);
			q.beta = 1;
		}
		status = by_blas(c, &q);
	}
	if (status != CUBLAS_STATUS_SUCCESS)
		failed(g, &q, status);
}
