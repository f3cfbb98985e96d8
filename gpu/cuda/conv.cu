/* Convolutions, as products of packed matrices (matrix.h).
 *
 * Over time.  Frames are rows of channels, so what one output frame sees lies side by side:
 *	conv1d			row t at x + t * stride * Cin, K = kernel * Cin
 *	conv_transpose1d	row t at x + t * Cin, K = ceil(kernel / stride) * Cin, and its
 *				stride * Cout outputs are as many frames of y
 * Such rows overlap, which cuda_rows_product() sees to where they are multiplied in bf16.
 * conv1d wastes no FLOPs, conv_transpose1d those of the zero taps where stride does not divide
 * kernel.  Bytes: x once, in bf16 once more each way, y written once.
 *
 * Taps that lie apart (dilation), and all those of f32, are spread into scratch: a frame of x
 * is read once, rounded, and written where each of its taps is seen; then it is a plain
 * product.  Bytes: K of 2 or 4 each way for a frame, in bf16 by way of the L2 cache.  A product
 * for each tap, added up in y, takes kernel * Cout of 4 each way; that is how it goes where
 * strides or odd channels keep x from being spread.  In f32 overlapping rows take no bytes but
 * kernels of cuBLAS that are slow (measured, H200: 5120 frames, kernel 11, 512 -> 512 in
 * 1.21 ms, 24 TFLOP/s, and a product for each tap, dilated, in 0.84 ms).
 *
 * By arithmetic for an H200 (600 TFLOP/s, f32 40; 4.2 TB/s, 5 TB/s from the L2 cache), and
 * measured on one:
 *	Oobleck's last level, [2 097 152, 128], kernel 7 in bf16: 481 GFLOP, 0.8 ms; 2.1 GB,
 *	0.5 ms; x 7 times from the L2 cache, 0.8 ms.  Measured: 64 turns of rounding, 7.3 us,
 *	and a product, 13.4 us: 1.3 ms.  Dilated: 3.8 GB each way there, 1.5 ms.  Measured: 112
 *	turns of a spread, 12.1 us, and a product, 11.3 us: 2.6 ms.
 *	HiFi-GAN's first level, as above: 30 GFLOP, 0.74 ms; 115 MB each way, 0.06 ms.
 *	Measured: 0.79 ms and 0.04 ms.
 *	EnCodec's last, [960 000, 64] -> 1, kernel 7, f32, not measured: 0.9 GFLOP, but one output
 *	fills a small part of cuBLAS's tile: about 1 ms; 1.7 GB each way, 0.8 ms.
 *
 * Over an image.  The places that an output sees are gathered into scratch, as much as the L2
 * cache holds at a time, in the dtype of the product, with zeros where a tap lies outside or
 * K is filled up; then it is a plain product, without wasted FLOPs but those of the filling.
 * Bytes, in the L2 cache: kernel^2 Cin of 2 each way for an output.
 *	[1, 1024, 64, 128], 3 x 3, 128 -> 128 in bf16: 19 GFLOP, 25 us; 0.3 GB gathered, about
 *	60 us at 5 TB/s.  On an H200: six turns of gathering, 16 us, and a product, 10 us.
 *	512 -> 512 in [1, 128, 8]: 4.8 GFLOP, 6 us; 9 MB each way, 4 us: not measured. */
#include "gpu/cuda/kernel.cuh"
#include "gpu/cuda/matrix.h"

enum {
	LINE = 8, /* rows a block gathers, a warp each */
	COLUMNS = 1024,
	GATHERED = 12 << 20, /* elements gathered at a time */
	SPREAD_BF16 = 16 << 20,
	SPREAD_F32 = 32 << 20, /* such a product takes longer than bytes do, and likes rows */
};

/* ---- over time ---------------------------------------------------------- */

static int64_t batch_stride(const struct gpu_tensor *t)
{
	return t->n_dims == 3 ? t->nb[0] : 0;
}

static struct cuda_rows rows_of(const struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct gpu_tensor *w, const struct gpu_tensor *bias)
{
	struct cuda_rows r = {};

	r.w = w;
	r.bias = bias ? (const float *)bias->data : NULL;
	r.bias_n = y->ne[y->n_dims - 1];
	r.batches = x->n_dims == 3 ? x->ne[0] : 1;
	r.x = (const float *)x->data;
	r.x_batch = batch_stride(x);
	r.y = (float *)y->data;
	r.y_batch = batch_stride(y);
	r.ldy = w->ne[0];
	return r;
}

/* What spread goes over: frames of some sequences, and the rows that see them. */
struct spread {
	const float *x;
	int64_t batch; /* elements from one sequence to the next */
	int channels;  /* a multiple of 4; x at 16 bytes */
	int taps, dilation;
	int64_t rows, ld; /* of y, for each sequence; row t sees x[t + tap * dilation] */
};

/* A warp for each frame of x, four channels a thread. */
template <typename T> static __global__ void spread(T *y, struct spread o)
{
	const int64_t frame = (int64_t)blockIdx.x * LINE + threadIdx.y;
	const float *x = o.x + blockIdx.y * o.batch + frame * o.channels;

	if (frame >= o.rows + (int64_t)(o.taps - 1) * o.dilation)
		return;
	y += blockIdx.y * o.rows * o.ld;
	for (int c = (int)threadIdx.x * 4; c < o.channels; c += WARP * 4) {
		const float4 f = *reinterpret_cast<const float4 *>(x + c);
		const float v[4] = {f.x, f.y, f.z, f.w};
		int64_t row = frame;
		for (int tap = 0; tap < o.taps && row >= 0; tap++, row -= o.dilation)
			if (row < o.rows)
				store_four(y + row * o.ld + tap * o.channels + c, v);
	}
}

static void launch_spread(
	struct gpu *g, void *y, enum gpu_dtype dtype, const struct spread *o, int64_t batches)
{
	const int64_t frames = o->rows + (int64_t)(o->taps - 1) * o->dilation;
	const dim3 blocks(blocks_for(frames, LINE), (unsigned)batches), threads(WARP, LINE);

	if (dtype == GPU_BF16)
		LAUNCH(g, (spread<uint16_t>), blocks, threads, 0, (uint16_t *)y, *o);
	else
		LAUNCH(g, (spread<float>), blocks, threads, 0, (float *)y, *o);
}

/* Of y: taps of x, dilation frames apart. */
struct taps {
	int64_t n, dilation, channels;
};

/* Whether taps are spread: where they lie apart, or the product is in f32. */
static bool is_spread(const struct gpu *g, const struct cuda_rows *r, struct taps taps)
{
	const bool wants = taps.dilation > 1 || cuda_product_dtype(g, r->w, false) == GPU_F32;

	return wants && taps.n > 1 && taps.channels % 4 == 0 && (uintptr_t)r->x % 16 == 0 &&
	       r->x_batch % 4 == 0 && r->w->ne[1] <= SPREAD_BF16 &&
	       taps.n * taps.dilation <= INT32_MAX;
}

/* How many go by at a time so that about as many do each time, `most` or fewer. */
static int64_t even(int64_t n, int64_t most)
{
	const int64_t turns = (n + most - 1) / most;

	return (n + turns - 1) / turns;
}

/* Sequences that lie one behind the other are one. */
static void merged_product(struct gpu *g, struct cuda_rows r)
{
	if (r.x_batch == r.rows * r.ldx && r.y_batch == r.rows * r.ldy) {
		r.rows *= r.batches;
		r.batches = 1;
	}
	cuda_rows_product(g, &r);
}

/* As r says, whose rows see taps of x. */
static void spread_product(struct gpu *g, const struct cuda_rows *r, struct taps taps)
{
	const enum gpu_dtype dtype = cuda_product_dtype(g, r->w, false);
	const int64_t ld = cuda_matrix_ld(dtype, r->w->ne[1]);
	const int64_t fit = (dtype == GPU_BF16 ? SPREAD_BF16 : SPREAD_F32) / ld + 1;
	const int64_t n_rows = even(r->rows, fit);
	const int64_t together = fit / n_rows < UINT16_MAX ? fit / n_rows : UINT16_MAX;
	const int64_t most = r->batches < together ? r->batches : together;
	/* Where the product would round x, had it not been done here. */
	void *rows = cuda_scratch(g, 2, (size_t)(most * n_rows * ld) * gpu_dtype_size(dtype));
	struct cuda_rows q = *r;
	struct spread o = {};

	o.batch = r->x_batch;
	o.channels = (int)taps.channels;
	o.taps = (int)taps.n;
	o.dilation = (int)taps.dilation;
	o.ld = ld;
	q.x = rows;
	q.is_bf16 = dtype == GPU_BF16;
	q.ldx = ld;
	for (int64_t b = 0; b < r->batches && rows; b += q.batches) {
		q.batches = r->batches - b < most ? r->batches - b : most;
		for (int64_t at = 0; at < r->rows && !gpu_failed(g); at += q.rows) {
			q.rows = o.rows = r->rows - at < n_rows ? r->rows - at : n_rows;
			q.x_batch = q.rows * ld;
			o.x = (const float *)r->x + b * r->x_batch + at * taps.channels;
			q.y = r->y + b * r->y_batch + at * r->ldy;
			launch_spread(g, rows, dtype, &o, q.batches);
			merged_product(g, q);
		}
	}
}

void cuda_conv1d(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct gpu_tensor *w, const struct gpu_tensor *bias, struct gpu_conv conv)
{
	const int64_t channels = x->ne[x->n_dims - 1];
	const struct taps taps = {conv.kernel, conv.dilation, channels};
	struct cuda_rows r = rows_of(y, x, w, bias);

	r.rows = y->ne[y->n_dims - 2];
	if (!r.batches || !r.rows)
		return;
	if (conv.stride == 1 && is_spread(g, &r, taps)) {
		spread_product(g, &r, taps);
		return;
	}
	r.ldx = conv.stride * channels;
	if (conv.dilation > 1) {
		r.taps = conv.kernel;
		r.tap = conv.dilation * channels;
	}
	cuda_rows_product(g, &r);
}

void cuda_conv_transpose1d(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct gpu_tensor *w, const struct gpu_tensor *bias, struct gpu_conv conv)
{
	const int64_t channels = x->ne[x->n_dims - 1];
	const struct taps taps = {w->ne[1] / channels, 1, channels};
	struct cuda_rows r = rows_of(y, x, w, bias);

	r.rows = y->ne[y->n_dims - 2] / conv.stride;
	r.ldx = channels;
	if (!r.batches || !r.rows)
		return;
	if (is_spread(g, &r, taps))
		spread_product(g, &r, taps);
	else
		cuda_rows_product(g, &r);
}

/* ---- over an image ------------------------------------------------------ */

struct image {
	const float *x;
	int64_t height, width, channels; /* of x */
	int64_t out_height, out_width;
	int kernel, stride, pad;
	bool up;
	int64_t first, rows; /* places of y, over all images */
	int64_t ld;          /* of gathered rows: kernel^2 channels and zeros */
};

/* One output: its image, and where its first tap lies in it. */
struct place {
	const float *image;
	int y, x;
};

static __device__ __forceinline__ struct place place_of(const struct image &o, int64_t row)
{
	const int64_t at = o.first + row, plane = o.out_height * o.out_width, i = at / plane;
	const int here = (int)(at - i * plane), y = here / (int)o.out_width;
	struct place p;

	p.image = o.x + i * o.height * o.width * o.channels;
	p.y = y * o.stride - o.pad;
	p.x = (here - y * (int)o.out_width) * o.stride - o.pad;
	return p;
}

/* Where x has column `at` of the row gathered for p, or NULL for a zero. */
static __device__ __forceinline__ const float *seen(
	const struct image &o, const struct place &p, int at)
{
	const int tap = at / (int)o.channels, r = tap / o.kernel;
	const int height = (int)(o.up ? o.out_height : o.height);
	const int width = (int)(o.up ? o.out_width : o.width);
	int y = p.y + r, x = p.x + tap - r * o.kernel;

	if (r >= o.kernel || y < 0 || y >= height || x < 0 || x >= width)
		return NULL;
	if (o.up) {
		y /= 2;
		x /= 2;
	}
	return p.image + (y * o.width + x) * o.channels + (at - tap * (int)o.channels);
}

/* A warp for each row and COLUMNS of it, four a thread.  WHOLE: channels come in fours, at 16
 * bytes. */
template <typename T, bool WHOLE> static __global__ void gather(T *y, struct image o)
{
	const int64_t row = (int64_t)blockIdx.x * LINE + threadIdx.y;

	if (row >= o.rows)
		return;
	const struct place p = place_of(o, row);
	const int first = (int)blockIdx.y * COLUMNS, end = first + COLUMNS;
	for (int at = first + (int)threadIdx.x * 4; at < (int)o.ld && at < end; at += WARP * 4) {
		float v[4];
		if (WHOLE) {
			const float *x = seen(o, p, at);
			const float4 f =
				x ? *reinterpret_cast<const float4 *>(x) : make_float4(0, 0, 0, 0);
			v[0] = f.x;
			v[1] = f.y;
			v[2] = f.z;
			v[3] = f.w;
		} else {
			for (int j = 0; j < 4; j++) {
				const float *x = seen(o, p, at + j);
				v[j] = x ? *x : 0;
			}
		}
		store_four(y + row * o.ld + at, v);
	}
}

template <typename T> static void launch_gather(struct gpu *g, void *y, const struct image *o)
{
	const dim3 blocks(blocks_for(o->rows, LINE), blocks_for(o->ld, COLUMNS));
	const dim3 threads(WARP, LINE);

	if (o->channels % 4 == 0 && (uintptr_t)o->x % 16 == 0)
		LAUNCH(g, (gather<T, true>), blocks, threads, 0, (T *)y, *o);
	else
		LAUNCH(g, (gather<T, false>), blocks, threads, 0, (T *)y, *o);
}

static void point_conv(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct gpu_tensor *w, const struct gpu_tensor *bias)
{
	struct cuda_rows r = {};

	r.w = w;
	r.bias = bias ? (const float *)bias->data : NULL;
	r.bias_n = r.ldy = w->ne[0];
	r.batches = 1;
	r.rows = gpu_count(y) / w->ne[0];
	r.x = (const float *)x->data;
	r.ldx = w->ne[1];
	r.y = (float *)y->data;
	cuda_rows_product(g, &r);
}

void cuda_conv2d(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct gpu_tensor *w, const struct gpu_tensor *bias, struct gpu_conv2d conv)
{
	const enum gpu_dtype dtype = cuda_product_dtype(g, w, false);
	const int64_t n = w->ne[0], all = gpu_count(y) / n;
	struct image o = {};

	if (conv.kernel == 1 && conv.stride == 1 && !conv.up) {
		point_conv(g, y, x, w, bias);
		return;
	}
	if (y->ne[1] * y->ne[2] > INT32_MAX || w->ne[1] > 65535 * COLUMNS) {
		gpu_fail(g, ERR_UNSUPPORTED, "conv2d: '%s' is too large", y->name);
		return;
	}
	o.x = (const float *)x->data;
	o.height = x->ne[1];
	o.width = x->ne[2];
	o.channels = x->ne[3];
	o.out_height = y->ne[1];
	o.out_width = y->ne[2];
	o.kernel = (int)conv.kernel;
	o.stride = (int)conv.stride;
	o.pad = (int)conv.pad;
	o.up = conv.up;
	o.ld = cuda_matrix_ld(w->dtype, w->ne[1]);
	const int64_t step = o.ld < GATHERED ? GATHERED / o.ld : 1;
	const void *weights = cuda_weights(g, w, 0, n, dtype, 1);
	void *rows = cuda_scratch(
		g, 0, (size_t)((all < step ? all : step) * o.ld) * gpu_dtype_size(dtype));
	if (!weights || !rows)
		return;
	for (; o.first < all && !gpu_failed(g); o.first += o.rows) {
		struct cuda_product p = {};
		o.rows = all - o.first < step ? all - o.first : step;
		p.dtype = dtype;
		p.x = rows;
		p.w = weights;
		p.y = (float *)y->data + o.first * n;
		p.m = o.rows;
		p.n = n;
		p.k = p.ldx = p.ldw = o.ld;
		p.ldy = n;
		p.bias = bias ? (const float *)bias->data : NULL;
		if (dtype == GPU_BF16)
			launch_gather<uint16_t>(g, rows, &o);
		else
			launch_gather<float>(g, rows, &o);
		cuda_product(g, &p);
	}
}
