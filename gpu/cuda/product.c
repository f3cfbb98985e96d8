/* Products of plain matrices: cublasGemmEx, which is column-major.  A row-major [m, n]
 * is a column-major [n, m], so y = x w^T is asked for as y^T = w x^T.
 *
 * bf16 runs on tensor cores with f32 sums; f32 without TF32.  A device of compute
 * capability 7.5 has no bf16 products: there ops convert to f32 before they come here. */
#include "gpu/cuda/cuda.h"

void cuda_product(struct gpu *g, const struct cuda_product *p)
{
	const cudaDataType type = p->dtype == GPU_BF16 ? CUDA_R_16BF : CUDA_R_32F;
	const cublasComputeType_t sums =
		p->dtype == GPU_BF16 ? CUBLAS_COMPUTE_32F : CUBLAS_COMPUTE_32F_PEDANTIC;
	const cublasOperation_t w_op = p->is_nn ? CUBLAS_OP_N : CUBLAS_OP_T;
	const float one = 1;
	const int batches = p->batches ? (int)p->batches : 1;

	if (p->m > INT32_MAX || p->n > INT32_MAX || p->k > INT32_MAX || p->batches > INT32_MAX) {
		gpu_fail(g, ERR_UNSUPPORTED, "a product of %lld x %lld x %lld is too large",
			(long long)p->m, (long long)p->n, (long long)p->k);
		return;
	}
	const struct cuda *c = cuda_of(g);
	const cublasStatus_t status = cublasGemmStridedBatchedEx(c->blas, w_op, CUBLAS_OP_N,
		(int)p->n, (int)p->m, (int)p->k, &one, p->w, type, (int)p->ldw, p->w_batch, p->x,
		type, (int)p->ldx, p->x_batch, &p->beta, p->y, CUDA_R_32F, (int)p->ldy, p->y_batch,
		batches, sums, CUBLAS_GEMM_DEFAULT);
	if (status == CUBLAS_STATUS_SUCCESS)
		return;
	/* Perhaps it only met what went wrong before. */
	if (cuda_ok(g, cudaPeekAtLastError(), "a product") &&
		(c->is_recording || cuda_ok(g, cudaStreamSynchronize(c->stream), "a product")))
		gpu_fail(g, ERR_GPU,
			"a product of %lld x %lld x %lld, rows %lld, %lld and %lld apart, %d of "
			"them, in %s: %s",
			(long long)p->m, (long long)p->n, (long long)p->k, (long long)p->ldx,
			(long long)p->ldw, (long long)p->ldy, batches,
			p->dtype == GPU_BF16 ? "bf16" : "f32", cublasGetStatusString(status));
}
