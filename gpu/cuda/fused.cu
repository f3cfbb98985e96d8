/* Norm and product, and whole feed-forward layers.
 *
 * Up to 8 rows of x (a step of a language model): few_tiles (few.cu) takes the norm on its way,
 * once a block, and has the function behind it: a launch instead of two, and instead of three.
 * On an H200 a product of two rows with their norm takes 5.1 us where one of the same size
 * without it takes 3.5 (2048 x 2048, bf16).
 *
 * More rows, multiplied in bf16, of T rows, C wide and F hidden, bytes of memory:
 *	norm		writes bf16: 6 T C in one launch, before 14 T C in two
 *	product of 2F	its scales (int8) wait: 16 T F less; its bias, too, which costs nothing
 *	gate		scales, adds the bias, writes bf16: 10 T F, before 18 T F with rounding
 * Of [1025, 1536] with F = 6144 (Stable Audio): 63 MB less, 0.02 ms at 3.3 TB/s, beside
 * products of 0.11 ms (all of a layer) at 790 TFLOP/s: arithmetic.  A gated layer is 4 launches
 * instead of 6.  On an H200 the gate takes 15.7 us, 4.0 TB/s; with a division of 64 bits and
 * exact exponentials for two elements a thread it took 23.6.
 *
 * Bits are those of the parts run one by one, as long as cuBLAS sums the same without a bias; a
 * gate that is rounded to bf16 is good to 2^-18 before. */
#include "gpu/cuda/matrix.h"
#include "gpu/cuda/kernel.cuh"
#include "gpu/cuda/unary.cuh"

enum { THREADS = 256, EIGHT = 8 };

/* Many rows, which a product would round to bf16. */
static bool takes_bf16(const struct gpu *g, const struct gpu_tensor *x, const struct gpu_tensor *w)
{
	return !cuda_is_few(x, w) && cuda_product_dtype(g, w, false) == GPU_BF16;
}

/* The same memory for bf16. */
static struct gpu_tensor as_bf16(const struct gpu_tensor *t)
{
	struct gpu_tensor half = *t;

	half.dtype = GPU_BF16;
	return half;
}

/* l of the norm of x. */
static void norm_linear(struct gpu *g, struct cuda_linear *l, const struct gpu_norm *norm,
	const struct gpu_tensor *normed)
{
	struct gpu_tensor t = takes_bf16(g, l->x, l->w) ? as_bf16(normed) : *normed;

	if (cuda_can_norm(g, l->x, l->w)) {
		l->norm = norm;
	} else {
		cuda_norm_rows(g, &t, l->x, norm);
		l->x = &t;
	}
	cuda_linear_with(g, l);
}

bool cuda_norm_linear(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct gpu_norm *norm, const struct gpu_tensor *w, const struct gpu_tensor *bias,
	struct gpu_tensor *normed)
{
	struct cuda_linear l = {};

	l.y = y;
	l.x = x;
	l.w = w;
	l.bias = bias;
	norm_linear(g, &l, norm, normed);
	return true;
}

/* ---- gates -------------------------------------------------------------- */

struct gate {
	uint16_t *y;               /* [T, F] */
	const float *x;            /* [T, 2F] */
	const float *scale, *bias; /* [2F], or NULL */
	int64_t n, f;              /* elements of y; F */
};

static __device__ __forceinline__ float finished(const struct gate &o, float x, int64_t c)
{
	const float bias = o.bias ? o.bias[c] : 0;

	return o.scale ? scaled(x, o.scale[c], bias) : x + bias;
}

static __device__ __forceinline__ void load_eight(float (&v)[EIGHT], const float *x)
{
	const float4 a = reinterpret_cast<const float4 *>(x)[0],
		     b = reinterpret_cast<const float4 *>(x)[1];

	v[0] = a.x, v[1] = a.y, v[2] = a.z, v[3] = a.w;
	v[4] = b.x, v[5] = b.y, v[6] = b.z, v[7] = b.w;
}

static __device__ __forceinline__ void finish_eight(
	const struct gate &o, float (&v)[EIGHT], unsigned c)
{
	float scale[EIGHT], bias[EIGHT] = {};

	if (o.bias)
		load_eight(bias, o.bias + c);
	if (o.scale)
		load_eight(scale, o.scale + c);
#pragma unroll
	for (int j = 0; j < EIGHT; j++)
		v[j] = o.scale ? scaled(v[j], scale[j], bias[j]) : v[j] + bias[j];
}

/* Eight neighbours a thread, all of whose loads are under way at once. */
template <enum gpu_unary OP> static __global__ void __launch_bounds__(THREADS) gate(struct gate o)
{
	const unsigned i = blockIdx.x * THREADS + threadIdx.x, per_row = (unsigned)o.f / EIGHT;

	if (i >= o.n / EIGHT)
		return;
	const unsigned row = i / per_row, c = (i - row * per_row) * EIGHT;
	const float *x = o.x + (int64_t)row * 2 * o.f + c;
	float v[EIGHT], by[EIGHT];
	unsigned word[EIGHT / 2];

	load_eight(v, x);
	load_eight(by, x + o.f);
	finish_eight(o, v, c);
	finish_eight(o, by, c + (unsigned)o.f);
#pragma unroll
	for (int j = 0; j < EIGHT; j += 2)
		word[j / 2] = f32_to_bf16_pair(
			v[j] * apply_near<OP>(by[j]), v[j + 1] * apply_near<OP>(by[j + 1]));
	*reinterpret_cast<uint4 *>(o.y + (int64_t)i * EIGHT) =
		make_uint4(word[0], word[1], word[2], word[3]);
}

/* One a thread, of any size at any address. */
template <enum gpu_unary OP> static __global__ void gate_one(struct gate o)
{
	const int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x;

	if (i >= o.n)
		return;
	const int64_t row = i / o.f, c = i % o.f;
	const float *x = o.x + row * 2 * o.f;
	const float v = finished(o, x[c], c), by = finished(o, x[o.f + c], o.f + c);
	o.y[i] = f32_to_bf16(v * apply_near<OP>(by));
}

template <enum gpu_unary OP> static void launch_gate(struct gpu *g, const struct gate *o)
{
	const uintptr_t bits =
		(uintptr_t)o->y | (uintptr_t)o->x | (uintptr_t)o->scale | (uintptr_t)o->bias;

	if (o->f % EIGHT == 0 && bits % 16 == 0 && o->n / EIGHT < UINT32_MAX)
		LAUNCH(g, gate<OP>, blocks_for(o->n, EIGHT * THREADS), THREADS, 0, *o);
	else
		LAUNCH(g, gate_one<OP>, blocks_for(o->n, THREADS), THREADS, 0, *o);
}

/* The gated product of ff->in, without bias and scales so far. */
static void run_gate(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct gpu_feed_forward *ff)
{
	struct gate o = {};

	o.y = (uint16_t *)y->data;
	o.x = (const float *)x->data;
	o.scale = ff->in->scale;
	o.bias = ff->in_bias ? (const float *)ff->in_bias->data : NULL;
	o.f = y->ne[1];
	o.n = gpu_count(y);
	if (ff->act == GPU_UNARY_SILU)
		launch_gate<GPU_UNARY_SILU>(g, &o);
	else if (ff->act == GPU_UNARY_GELU)
		launch_gate<GPU_UNARY_GELU>(g, &o);
	else
		launch_gate<GPU_UNARY_GELU_TANH>(g, &o);
}

/* ---- feed-forward layers ------------------------------------------------ */

bool cuda_feed_forward(struct gpu *g, struct gpu_tensor *x, const struct gpu_feed_forward *ff,
	struct gpu_tensor *normed, struct gpu_tensor *wide, struct gpu_tensor *gated)
{
	const bool fuses = ff->is_gated && takes_bf16(g, x, ff->in) && takes_bf16(g, x, ff->out);
	struct gpu_tensor h = fuses ? as_bf16(gated) : *gated;
	struct cuda_linear in = {}, out = {};

	in.y = wide;
	in.x = x;
	in.w = ff->in;
	in.bias = fuses ? NULL : ff->in_bias;
	in.is_alone = fuses;
	in.has_act = !ff->is_gated && cuda_is_few(x, ff->in);
	in.act = ff->act;
	norm_linear(g, &in, &ff->norm, normed);
	if (gpu_failed(g))
		return true;
	if (fuses)
		run_gate(g, &h, wide, ff);
	else if (ff->is_gated)
		cuda_gated(g, &h, wide, ff->act);
	else if (!in.has_act)
		cuda_unary(g, &h, wide, ff->act);
	out.y = x;
	out.x = &h;
	out.w = ff->out;
	out.bias = ff->out_bias;
	out.add = true;
	cuda_linear_with(g, &out);
	return true;
}
