/* The inner loops of the CPU's products, once per instruction set.
 *
 * Matrices are packed in panels of 32 outputs, so that a product with few rows
 * reads them as one linear stream:
 *	f32	[k][32]
 *	bf16	[k][32], element 2i + h of a line is output i + 16h: one 32-bit
 *		word holds outputs i (low half) and i + 16 (high half)
 *	int8	[k/4][32][4], k padded with zeros to a multiple of 4
 * One panel serves any number of rows: a kernel of R rows keeps R x 32 sums
 * in registers and walks k once.  Each sum is one chain over ascending k, so
 * it does not depend on R, on the row's place in a batch, or on threads.
 *
 * gpu/cpu/kernels.c and attend_kernels.c are compiled once per instruction set. */
#ifndef WOODSHED_GPU_CPU_KERNELS_H
#define WOODSHED_GPU_CPU_KERNELS_H

#include <stddef.h>
#include <stdint.h>

enum { PANEL = 32, MAX_ROWS = 8, MAX_QUERIES = 32, MAX_KEYS = 8 };

/* y[r][0..31] = sum_k x[r][k] w[k][0..31] + bias[0..31] (+ y when add).  With
 * `resume` the sum begins at y instead of 0, so that a long sum can be made in
 * parts: the chain is the same. */
struct gemm {
	const float *x;
	ptrdiff_t ldx;
	const void *w;
	int64_t k;
	float *y;
	ptrdiff_t ldy;
	const float *bias; /* 32 values, or NULL */
	int add, resume;
};
typedef void gemm_fn(const struct gemm *a);

/* 16-bit activations against 8-bit weights, exact integer sums:
 * y[r][o] = (sum_k q[r][k] w[o][k]) * x_scale[r] * w_scale[o] + bias (+ y). */
struct gemm_i8 {
	const int16_t *q;    /* [rows][k4], k4 = k rounded up to 4 */
	const uint8_t *high; /* (q + 32768) >> 8 */
	const uint8_t *low;  /* (q + 32768) & 255 */
	const float *x_scale;
	int64_t k4;
	const int8_t *w;
	const float *w_scale;  /* 32 values */
	const int32_t *w_sums; /* 32 values: sum_k w[o][k] */
	float *y;
	ptrdiff_t ldy;
	const float *bias;
	int add;
};
typedef void gemm_i8_fn(const struct gemm_i8 *a, int rows);

/* y[r] = softmax(scale q[r] K^T) V for as many queries r as attend_kernels says, of one head
 * of a cache of f32 (attention.c), of which `len` keys are seen.  The bits of a query are those
 * that the products and the softmax below give. */
struct attend {
	const float *k, *v;
	int64_t dim, max_len, len;
	const float *q;
	ptrdiff_t ldq;
	float *y;
	ptrdiff_t ldy;
	float scale;
	float *scratch; /* [dim + len, that padded to MAX_KEYS][queries] */
};
struct attend_kernels {
	int queries; /* of one call, <= MAX_QUERIES */
	void (*attend)(const struct attend *a);
};
extern const struct attend_kernels attend_kernels_generic, attend_kernels_avx2,
	attend_kernels_avx512, attend_kernels_vnni;

struct cpu_kernels {
	const char *name;
	int max_rows; /* of one call, <= MAX_ROWS */
	int max_rows_bf16;
	int max_rows_i8;
	gemm_fn *f32[MAX_ROWS + 1]; /* by rows */
	gemm_fn *bf16[MAX_ROWS + 1];
	gemm_i8_fn *i8;
	const struct attend_kernels *many; /* queries */
	/* sum_k x[k] w[k] in 16 interleaved chains; k a multiple of 16 in w (zero padded),
	 * x has k_valid values. */
	float (*dot)(const float *x, const float *w, int64_t k_valid);
	/* s[0..n) = softmax(s * scale + bias), s[n..padded) = 0; padded is a multiple
	 * of 32; bias may be NULL. */
	void (*softmax)(float *s, int64_t n, int64_t padded, float scale, const float *bias);
	/* n cells of an LSTM; gate q (i, f, g, o) of cell j is gates[q * stride + j]. */
	void (*lstm_cell)(const float *gates, int64_t stride, int64_t n, float *c, float *h);
	/* n cells of a GRU; gate q (r, z, n) of cell j is in[q * stride + j], the input's
	 * half with its bias, and the recurrent half hidden[..] + bias[..], likewise. */
	void (*gru_cell)(const float *in, const float *hidden, const float *bias, int64_t stride,
		int64_t n, float *h);
	/* One row of activations to 16 bits; returns the scale. */
	float (*quantise)(
		const float *x, int64_t k, int64_t k4, int16_t *q, uint8_t *high, uint8_t *low);
	/* 32 rows (n valid) of src, k columns, into one panel. */
	void (*pack_f32)(float *panel, const float *src, int64_t k, int n);
	void (*pack_bf16)(uint16_t *panel, const float *src, int64_t k, int n);
	void (*pack_i8)(
		int8_t *panel, float *scale, int32_t *sums, const float *src, int64_t k, int n);
};

extern const struct cpu_kernels cpu_kernels_generic, cpu_kernels_avx2, cpu_kernels_avx512,
	cpu_kernels_vnni;

#endif
