/* Norm and product, and whole feed-forward layers.
 *
 * Up to 4 rows of x (a step of a language model): few_rows takes the norm on its way, each of
 * its blocks anew from caches, and has the function behind it: a launch instead of two, and
 * instead of three.  The norm of 2 rows of 2048 is 16 KB of x for each 16 KB of weights that a
 * block reads; that it costs less than a launch is arithmetic and has to be measured.
 *
 * More rows, multiplied in bf16, of T rows, C wide and F hidden, bytes of memory:
 *	norm		writes bf16: 6 T C in one launch, before 14 T C in two
 *	product of 2F	its scales (int8) wait: 16 T F less; its bias, too, which costs nothing
 *	gate		scales, adds the bias, writes bf16: 10 T F, before 18 T F with rounding
 * Of [1025, 1536] with F = 6144 (Stable Audio): 63 MB less, 0.02 ms at 3.3 TB/s, beside
 * products of 0.11 ms (all of a layer) at 790 TFLOP/s; a gated layer is 4 launches instead of
 * 6.  Arithmetic, not measured.
 *
 * Bits are those of the parts run one by one, as long as cuBLAS sums the same without a bias. */
#include "gpu/cuda/matrix.h"
#include "gpu/cuda/unary.cuh"

enum { THREADS = 256 };

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

	if (cuda_can_norm(l->x, l->w)) {
		l->norm = norm;
	} else {
		cuda_norm_rows(g, &t, l->x, norm, NULL);
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

/* Two neighbours a thread, where F is even: whole words of y. */
template <enum gpu_unary OP, int V> static __global__ void gate(struct gate o)
{
	const int64_t i = ((int64_t)blockIdx.x * THREADS + threadIdx.x) * V;

	if (i >= o.n)
		return;
	const int64_t row = i / o.f, c = i % o.f;
	const float *x = o.x + row * 2 * o.f;
	unsigned word = 0;
#pragma unroll
	for (int j = 0; j < V; j++) {
		const float v = finished(o, x[c + j], c + j);
		const float by = apply<OP>(finished(o, x[o.f + c + j], o.f + c + j));
		word |= (unsigned)f32_to_bf16(v * by) << 16 * j;
	}
	if (V == 2)
		*reinterpret_cast<unsigned *>(o.y + i) = word;
	else
		o.y[i] = (uint16_t)word;
}

template <enum gpu_unary OP> static void launch_gate(struct gpu *g, const struct gate *o)
{
	if (o->f % 2 == 0)
		LAUNCH(g, (gate<OP, 2>), blocks_for(o->n, 2 * THREADS), THREADS, 0, *o);
	else
		LAUNCH(g, (gate<OP, 1>), blocks_for(o->n, THREADS), THREADS, 0, *o);
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
