/* LSTM and GRU layers: the input half of many frames as one product, then frame by frame
 * the recurrent half.
 *
 *	in[b,t,:] = w_ih x[b,t] + bias			cuda_rows_product(), in f32
 *	s[b,:] = w_hh h[b,t-1]				lstm_frame, gru_frame
 *	i, f, o = sigmoid(in + s), g = tanh(in + s)	c = f c + i g, h = o tanh(c)
 *	r, z = sigmoid(in + s + b_hh),
 *	n = tanh(in + r (s + b_hh))			h = (1 - z) n + z h
 *
 * A frame is one launch: nothing in a kernel waits for other blocks.  A block computes the
 * gates of one cell for up to 8 sequences (stream.cuh) and then the cell.  h of the frame
 * before is read from y, where that frame's launch has put it, so that no block reads what
 * another one writes.  All in f32, whatever the weights are kept in; a sequence of a batch
 * gives the bits of the sequence alone, given its input half.
 *
 * Bytes: w_hh once a frame, from the L2 cache where it fits: EnCodec (D 1024, f32) 16.8 MB,
 * 3 us at 5.5 TB/s.  On an H200 a frame took 8.3 us and 1.0 to the next: 30 s, 1500 frames, 2
 * layers 28 ms.  The input half is 2 I 4D operations a frame: 12.6 GFLOP for 1500, 0.2 ms. */
#include "gpu/cuda/matrix.h"
#include "gpu/cuda/stream.cuh"

enum {
	INPUT_FLOATS = 16 << 20, /* of input halves at a time */
	KEEP_THREADS = 256,
};

struct frame {
	const void *w; /* w_hh [gates * dim, dim] */
	int64_t ldw, dim;
	const float *in; /* of the frame: [batch][gates * dim] */
	int64_t in_batch;
	const float *h; /* of the frame before */
	int64_t h_batch;
	float *y;
	int64_t y_batch;
	float *c;          /* LSTM: [batch][dim] */
	const float *b_hh; /* GRU: [3 * dim] */
	int64_t batch;
};

static __device__ __forceinline__ float sigmoid(float x)
{
	return 1 / (1 + expf(-x));
}

/* s[o*ROWS + m] at parts: gate o of this block's cell, summed over h of sequence m. */
template <typename T, int ROWS, int GATES, bool ALIGNED>
static __device__ __forceinline__ void gates(const struct frame &f, int n_rows, float *parts)
{
	const T *w[GATES];
	float sum[STREAM_OUTS * ROWS];

#pragma unroll
	for (int o = 0; o < GATES; o++)
		w[o] = (const T *)f.w + (o * f.dim + blockIdx.x) * f.ldw;
	stream_part<T, ROWS, GATES, ALIGNED>(sum, w,
		f.h + (int64_t)blockIdx.y * STREAM_ROWS * f.h_batch, f.h_batch, n_rows, f.dim);
	stream_lanes(sum, parts + threadIdx.x / WARP * (STREAM_OUTS * ROWS));
	__syncthreads();
}

/* Sequences of this block. */
static __device__ __forceinline__ int n_sequences(const struct frame &f)
{
	const int64_t left = f.batch - (int64_t)blockIdx.y * STREAM_ROWS;

	return left < STREAM_ROWS ? (int)left : STREAM_ROWS;
}

template <typename T, int ROWS, bool ALIGNED>
static __global__ void __launch_bounds__(STREAM_THREADS, ROWS == STREAM_ROWS ? 1 : 2)
	lstm_frame(struct frame f)
{
	SHARED(float, parts, [STREAM_WARPS * STREAM_SUMS]);
	const int n = n_sequences(f), m = (int)threadIdx.x;

	gates<T, ROWS, 4, ALIGNED>(f, n, parts);
	if (m >= n)
		return;
	const int64_t b = (int64_t)blockIdx.y * STREAM_ROWS + m, cell = blockIdx.x;
	const float *in = f.in + b * f.in_batch + cell;
	float s[4];
#pragma unroll
	for (int o = 0; o < 4; o++)
		s[o] = in[o * f.dim] + stream_total(parts, STREAM_OUTS * ROWS, o * ROWS + m);
	float *c = f.c + b * f.dim + cell;
	*c = scaled(sigmoid(s[1]), *c, __fmul_rn(sigmoid(s[0]), tanhf(s[2])));
	f.y[b * f.y_batch + cell] = sigmoid(s[3]) * tanhf(*c);
}

template <typename T, int ROWS, bool ALIGNED>
static __global__ void __launch_bounds__(STREAM_THREADS, ROWS == STREAM_ROWS ? 1 : 2)
	gru_frame(struct frame f)
{
	SHARED(float, parts, [STREAM_WARPS * STREAM_SUMS]);
	const int n = n_sequences(f), m = (int)threadIdx.x;

	gates<T, ROWS, 3, ALIGNED>(f, n, parts);
	if (m >= n)
		return;
	const int64_t b = (int64_t)blockIdx.y * STREAM_ROWS + m, cell = blockIdx.x;
	const float *in = f.in + b * f.in_batch + cell;
	float s[3];
#pragma unroll
	for (int o = 0; o < 3; o++)
		s[o] = stream_total(parts, STREAM_OUTS * ROWS, o * ROWS + m) +
		       f.b_hh[o * f.dim + cell];
	const float r = sigmoid(in[0] + s[0]), z = sigmoid(in[f.dim] + s[1]);
	const float next = tanhf(scaled(r, s[2], in[2 * f.dim]));
	const float h = f.h[b * f.h_batch + cell];
	f.y[b * f.y_batch + cell] = scaled(1 - z, next, __fmul_rn(z, h));
}

/* h[b] = the last frame. */
static __global__ void keep_last(float *h, const float *y, int64_t y_batch, int64_t dim, int64_t n)
{
	const int64_t i = (int64_t)blockIdx.x * KEEP_THREADS + threadIdx.x;

	if (i < n)
		h[i] = y[i / dim * y_batch + i % dim];
}

template <typename T, int ROWS, bool ALIGNED>
static void launch_frame(struct gpu *g, const struct frame *f)
{
	const dim3 blocks((unsigned)f->dim, blocks_for(f->batch, STREAM_ROWS));
	const unsigned threads = stream_threads(f->dim);

	if (f->c)
		LAUNCH(g, (lstm_frame<T, ROWS, ALIGNED>), blocks, threads, 0, *f);
	else
		LAUNCH(g, (gru_frame<T, ROWS, ALIGNED>), blocks, threads, 0, *f);
}

template <typename T> static void launch_frame_of(struct gpu *g, const struct frame *f)
{
	const bool aligned = stream_is_aligned(f->h, f->h_batch, f->dim);

	if (f->batch == 1 && aligned)
		launch_frame<T, 1, true>(g, f);
	else if (f->batch == 1)
		launch_frame<T, 1, false>(g, f);
	else if (f->batch == 2 && aligned)
		launch_frame<T, 2, true>(g, f);
	else if (f->batch == 2)
		launch_frame<T, 2, false>(g, f);
	else if (aligned)
		launch_frame<T, 8, true>(g, f);
	else
		launch_frame<T, 8, false>(g, f);
}

struct layer {
	const char *op;
	const struct gpu_tensor *w_ih, *w_hh, *b_ih, *b_hh;
	struct gpu_tensor *h, *c;
};

/* The input half of n frames from t on. */
static float *input_half(struct gpu *g, const struct gpu_tensor *x, const struct layer *l,
	int64_t t, int64_t n, int64_t most)
{
	const int64_t width = l->w_ih->ne[0], batch = x->ne[0];
	struct cuda_rows r = {};

	r.y = (float *)cuda_scratch(g, 1, (size_t)(batch * most * width) * sizeof(float));
	if (!r.y)
		return NULL;
	r.w = l->w_ih;
	r.bias = (const float *)l->b_ih->data;
	r.bias_n = r.ldy = width;
	r.batches = batch;
	r.rows = n;
	r.x = (const float *)x->data + t * x->ne[2];
	r.x_batch = x->nb[0];
	r.ldx = x->ne[2];
	r.y_batch = n * width;
	r.exact = true;
	cuda_rows_product(g, &r);
	return r.y;
}

static void run_layer(
	struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x, const struct layer *l)
{
	const int64_t batch = x->ne[0], n_time = x->ne[1], dim = y->ne[2];
	const int64_t width = l->w_hh->ne[0], fit = INPUT_FLOATS / (batch * width);
	const int64_t most = n_time < fit ? n_time : fit > 1 ? fit : 1;
	struct frame f = {};

	if (l->w_ih->dtype == GPU_I8 || l->w_hh->dtype == GPU_I8 || batch > 65535 * STREAM_ROWS) {
		gpu_fail(g, ERR_UNSUPPORTED, "%s: '%s' must be f32 or bf16, of a batch below 65536",
			l->op, l->w_hh->name);
		return;
	}
	f.w = l->w_hh->data;
	f.ldw = cuda_matrix_ld(l->w_hh->dtype, dim);
	f.dim = dim;
	f.h = (const float *)l->h->data;
	f.h_batch = dim;
	f.y_batch = y->nb[0];
	f.c = l->c ? (float *)l->c->data : NULL;
	f.b_hh = l->b_hh ? (const float *)l->b_hh->data : NULL;
	f.batch = batch;
	for (int64_t t = 0; t < n_time && !gpu_failed(g); t++) {
		const int64_t at = t % most, n = n_time - t < most ? n_time - t : most;
		if (!at) {
			f.in_batch = n * width;
			f.in = input_half(g, x, l, t, n, most);
			if (!f.in)
				return;
		}
		f.y = (float *)y->data + t * dim;
		if (l->w_hh->dtype == GPU_F32)
			launch_frame_of<float>(g, &f);
		else
			launch_frame_of<uint16_t>(g, &f);
		f.in += width;
		f.h = f.y;
		f.h_batch = y->nb[0];
	}
	LAUNCH(g, keep_last, blocks_for(batch * dim, KEEP_THREADS), KEEP_THREADS, 0,
		(float *)l->h->data, f.h, f.h_batch, dim, batch * dim);
}

void cuda_lstm(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct gpu_lstm *lstm)
{
	const struct layer l = {"lstm", lstm->w_ih, lstm->w_hh, lstm->bias, NULL, lstm->h, lstm->c};

	run_layer(g, y, x, &l);
}

void cuda_gru(
	struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x, const struct gpu_gru *gru)
{
	const struct layer l = {"gru", gru->w_ih, gru->w_hh, gru->b_ih, gru->b_hh, gru->h, NULL};

	run_layer(g, y, x, &l);
}
