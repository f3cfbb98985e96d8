/* The CUDA table: what its files share.  Private to gpu/cuda.
 *
 * device.c	opens, allocates, moves bytes, records steps, names what went wrong
 * product.c	products of plain matrices by cuBLAS
 * table.c	the table of ops and the module's entry
 * *.cu		the ops, one file a family
 *
 * Files in C see the toolkit's C interface, the .cu files kernels as well.  The same
 * files are compiled by nvcc for a device, and by the host's compiler against
 * tests/emulation, which runs kernels on the processor and checks every access.
 *
 * Kernels are written in the C part of C++; templates only over element types and
 * small constants.  A kernel never trusts a grid to be exact: threads beyond the data
 * return or idle, but all threads of a block reach each barrier. */
#ifndef WOODSHED_GPU_CUDA_H
#define WOODSHED_GPU_CUDA_H

#include <cublas_v2.h>
#include <cuda_runtime.h>

#include "gpu/ops.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What a kernel can find wrong, told at the next gpu_sync(); see cuda_faults in device.c. */
enum cuda_fault {
	CUDA_FAULT_LOGITS, /* sample: logits are not finite */
	CUDA_FAULT_ID,     /* embed_sum: an id is not a row of the table */
	CUDA_N_FAULTS,
};

enum {
	CUDA_N_STAGES = 8,
	CUDA_N_SCRATCH = 3,
	CUDA_N_UNSETTLED = 64,
	CUDA_N_ARRIVED = 64,
	CUDA_STAGE_BYTES = 4 << 20,
	CUDA_WORKSPACE_BYTES = 32 << 20
};

struct cuda_scratch {
	void *at; /* owned */
	size_t bytes;
};
struct cuda_stage { /* pinned memory on its way to or from the device */
	void *at;   /* owned */
	void *twin; /* as many bytes on the device, or NULL; owned */
	cudaEvent_t done;
	bool is_taken;
};

struct cuda {
	cudaStream_t stream; /* everything runs on it, in order */
	cublasHandle_t blas;
	void *workspace;         /* of cuBLAS, on the device; owned */
	struct cuda_plan *plans; /* of products, or NULL so far: product.c; owned */
	int arch;                /* 75, 80, 90: compute capability */
	bool can_start_early;    /* launch_early(), recorded ones, too */
	unsigned n_multiprocessors;
	size_t block_shared, multiprocessor_shared; /* bytes of shared memory that one may have */
	/* On the device; owned: (row or id) << 8 | enum cuda_fault, the least of those told
	 * since the last gpu_sync(), or all ones. */
	unsigned long long *status;
	unsigned *arrived; /* [CUDA_N_ARRIVED] on the device, 0 between kernels: few.cu; owned */
	struct cuda_scratch scratch[CUDA_N_SCRATCH];
	struct cuda_stage stages[CUDA_N_STAGES];
	pthread_mutex_t stage_lock;
	pthread_cond_t stage_free;
	/* Of LAUNCH(); what early kernels have written since: attention.cu. */
	uint64_t launches, settled;
	const void *unsettled[CUDA_N_UNSETTLED];
	unsigned n_unsettled; /* or more than there is room for */
	bool is_recording;
	uint64_t generation; /* grows when scratch moves: recordings are stale */
};

static inline struct cuda *cuda_of(const struct gpu *g)
{
	return (struct cuda *)g->device;
}

/* gpu_fail() with what the error means for the user, unless it is cudaSuccess; true
 * when it is.  what: the call or kernel that told it. */
bool cuda_ok(struct gpu *g, cudaError_t error, const char *what);

/* At least `bytes` of device memory, 256-byte aligned, contents undefined, valid until
 * the next call with the same i; kept between ops.  NULL after gpu_fail().  An op takes
 * 0 and 1; what ops call (cuda_product, cuda_bf16) takes 2. */
void *cuda_scratch(struct gpu *g, int i, size_t bytes);

/* Pinned memory of CUDA_STAGE_BYTES at ->at, to be filled with what goes to the device;
 * waits until one is free.  twin: as much on the device, for what a kernel of the caller's
 * makes something of; NULL after gpu_fail().  send: its first bytes are copied to dst, in
 * the order of the stream; give: the caller has asked for all that uses it or its twin.
 * Several threads may. */
struct cuda_stage *cuda_stage_take(struct gpu *g);
void *cuda_stage_twin(struct gpu *g, struct cuda_stage *s);
void cuda_stage_send(struct gpu *g, struct cuda_stage *s, void *dst, size_t bytes);
void cuda_stage_give(struct gpu *g, struct cuda_stage *s);

/* ---- products (product.c, convert.cu) ------------------------------------ */

/* For each batch b:  y[m,n] = sum_k x[m,k] w[n,k] + beta y[m,n] + bias[n], row-major:
 *	x at x + b*x_batch, rows ldx >= k apart (cuBLAS refuses less; cuda_rows_product() of
 *	matrix.h does not), w at w + b*w_batch, rows ldw apart; is_nn: w is [k, n] instead,
 *	rows ldw apart.
 * x and w have the same dtype, F32 (never TF32) or BF16; y is f32; sums are f32.
 * Strides in elements.  m, n, k >= 1.  beta: 0 or 1. */
struct cuda_product {
	enum gpu_dtype dtype;
	const void *x, *w;
	float *y;
	int64_t m, n, k;
	int64_t ldx, ldw, ldy;
	int64_t batches; /* 0 means 1 */
	int64_t x_batch, w_batch, y_batch;
	const float *bias; /* the same for all batches; or NULL */
	float beta;
	bool is_nn;
};
void cuda_product(struct gpu *g, const struct cuda_product *p);

/* norm.cu: layer norm of x [T, C] to y, f32 or bf16 (to nearest even). */
void cuda_norm_rows(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct gpu_norm *norm);

/* convert.cu: whether the module has code for the device of this thread. */
cudaError_t cuda_find_kernels(void);

/* attention_full.cu: cuda_attention_cross() of a cache of GPU_TILES on tensor cores, where that can
 * be. */
bool cuda_attends_filled(const struct gpu *g, const struct gpu_kv *kv, float scale);
void cuda_attention_filled(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *q,
	const struct gpu_kv *kv, float scale);

/* convert.cu: rows of f32, ldx apart, to bf16 rows (to nearest even), ldy apart. */
void cuda_bf16(struct gpu *g, void *y, int64_t ldy, const float *x, int64_t ldx, int64_t n_rows,
	int64_t n);

/* ---- entries of the table, as in gpu/ops.h -------------------------------- */
/* Each beside its family; the files say how. */

/* matrix.cu: packed weights and gpu_linear() */
size_t cuda_matrix_bytes(
	enum gpu_dtype dtype, int64_t n_out, int64_t n_in, size_t *ret_scale, size_t *ret_sums);
void cuda_linear(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct gpu_tensor *w, const struct gpu_tensor *bias, int beta);
enum gpu_dtype cuda_input_dtype(const struct gpu *g, const struct gpu_tensor *w);
void cuda_linear_grouped(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct gpu_tensor *w, const struct gpu_tensor *bias);

/* fused.cu */
bool cuda_norm_linear(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct gpu_norm *norm, const struct gpu_tensor *w, const struct gpu_tensor *bias,
	struct gpu_tensor *normed);
bool cuda_feed_forward(struct gpu *g, struct gpu_tensor *x, const struct gpu_feed_forward *ff,
	struct gpu_tensor *normed, struct gpu_tensor *wide, struct gpu_tensor *gated);

/* put.cu: weights on their way into them */
void cuda_put_rows(struct gpu *g, struct gpu_tensor *t, int64_t first, int64_t n, const float *src);
int cuda_put_rows_from(struct gpu *g, struct gpu_tensor *t, int64_t first, int64_t n,
	const struct gpu_source *source, struct err *e);

/* conv.cu */
void cuda_conv1d(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct gpu_tensor *w, const struct gpu_tensor *bias, struct gpu_conv conv);
void cuda_conv_transpose1d(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct gpu_tensor *w, const struct gpu_tensor *bias, struct gpu_conv conv);
void cuda_conv2d(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct gpu_tensor *w, const struct gpu_tensor *bias, struct gpu_conv2d conv);

/* recurrent.cu */
void cuda_lstm(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct gpu_lstm *lstm);
void cuda_gru(
	struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x, const struct gpu_gru *gru);

/* attention.cu: caches; attention_full.cu: whole sequences and windows */
void cuda_kv_size(const struct gpu_kv *kv, int64_t *ret_k, int64_t *ret_v);
void cuda_attention_causal(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *qkv,
	struct gpu_kv *kv, int64_t n_time, float scale);
void cuda_kv_fill(struct gpu *g, struct gpu_kv *kv, int64_t row, const struct gpu_tensor *kv_x);
void cuda_attention_cross(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *q,
	const struct gpu_kv *kv, float scale);
void cuda_attention_full(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *qkv,
	const struct gpu_tensor *bias, int64_t n_heads, float scale);
void cuda_attention_tiles(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *qkv,
	int64_t n_heads, float scale);
void cuda_attention_windows(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *qkv,
	const struct gpu_tensor *bias, const struct gpu_tensor *mask, float scale);

/* norm.cu */
void cuda_norm(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct gpu_tensor *w, const struct gpu_tensor *b, float eps, bool rms);
void cuda_head_norm(struct gpu *g, struct gpu_tensor *x, const struct gpu_tensor *w,
	const struct gpu_tensor *b, int64_t first, int64_t n_heads, float eps);

/* group_norm.cu */
void cuda_group_norm(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct gpu_group_norm *how);

/* elementwise.cu */
void cuda_concat(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *a,
	const struct gpu_tensor *b);
void cuda_unary(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x, enum gpu_unary op);
void cuda_leaky_relu(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x, float slope);
void cuda_gated(
	struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x, enum gpu_unary act);
void cuda_add(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *a,
	const struct gpu_tensor *b);
void cuda_copy(struct gpu *g, struct gpu_tensor *dst, const struct gpu_tensor *src, bool flip);
void cuda_fill(struct gpu *g, struct gpu_tensor *y, float value);
void cuda_rope(struct gpu *g, struct gpu_tensor *x, const struct gpu_tensor *table, int64_t n_heads,
	int64_t head_dim);
void cuda_snake(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct gpu_tensor *alpha, const struct gpu_tensor *inv_beta);
void cuda_combine(struct gpu *g, struct gpu_tensor *y, const struct gpu_term *terms, int n_terms);

/* lookup.cu */
void cuda_embed_sum(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *table,
	const struct gpu_tensor *ids);
void cuda_embed_at(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *table,
	const struct gpu_tensor *ids, const struct gpu_tensor *positions,
	const struct gpu_tensor *at);
void cuda_rvq_encode(struct gpu *g, struct gpu_tensor *codes, const struct gpu_tensor *z,
	const struct gpu_tensor *codebooks);

/* sample.cu */
void cuda_normal(struct gpu *g, struct gpu_tensor *y, uint64_t seed, uint32_t stream);
void cuda_guidance(
	struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *logits, float guidance);
void cuda_sample(struct gpu *g, struct gpu_tensor *ids, const struct gpu_tensor *logits,
	const struct gpu_sampling *s);
void cuda_next_column(struct gpu *g, struct gpu_tensor *next, struct gpu_tensor *columns,
	const struct gpu_tensor *drawn, struct gpu_tensor *at);

#ifdef __cplusplus
}
#endif
#endif
