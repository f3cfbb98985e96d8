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
 * 6.  Arithmetic, not measured.  The gate alone took 23.6 us there with a division of 64 bits
 * and 8 bytes a thread (H200); expected now, with 16 bytes and none: 15 us, 4.2 TB/s.
 *
 * Bits are those of the parts run one by one, as long as cuBLAS sums the same without a bias. */
#include "gpu/cuda/matrix.h"
#include "gpu/cuda/kernel.cuh"
#include "gpu/cuda/unary.cuh"

enum { THREADS = 128 };
constexpr int64_t MAX_GRID = 65535; /* of y */

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
	int64_t t, f;
};

template <int V> struct alignas(V * sizeof(float)) floats {
	float at[V];
};

template <int V> static __device__ __forceinline__ struct floats<V> some(const float *x) {
	return *reinterpret_cast<const struct floats<V> *>(x);
}

/* What the product makes of columns c.. of x. */
template <int V>
static __device__ __forceinline__ struct floats<V> finished(
	const struct gate &o, const float *x, int64_t c) {
	struct floats<V> s = some<V>(x + c), scale = {}, bias = {
	};

	if (o.bias)
		bias = some<V>(o.bias + c);
	if (o.scale)
		scale = some<V>(o.scale + c);
#pragma unroll
	for (int j = 0; j < V; j++)
		s.at[j] = o.scale ? scaled(s.at[j], scale.at[j], bias.at[j]) : s.at[j] + bias.at[j];
	return s;
}

static __device__ __forceinline__ void
put(uint16_t *y, const struct floats<1> &v)
{
	*y = f32_to_bf16(v.at[0]);
}

static __device__ __forceinline__ void put(uint16_t *y, const struct floats<4> &v)
{
	*reinterpret_cast<uint2 *>(y) =
		make_uint2(f32_to_bf16_pair(v.at[0], v.at[1]), f32_to_bf16_pair(v.at[2], v.at[3]));
}

/* V neighbours a thread: 4 where rows come in fours.  Blocks on y share the rows. */
template <enum gpu_unary OP, int V> static __global__ void gate(struct gate o)
{
	const int64_t c = ((int64_t)blockIdx.x * THREADS + threadIdx.x) * V;

	for (int64_t row = blockIdx.y; row < o.t && c < o.f; row += gridDim.y) {
		const float *x = o.x + row * 2 * o.f;
		struct floats<V> v = finished<V>(o, x, c);
		const struct floats<V> by = finished<V>(o, x, o.f + c);
#pragma unroll
		for (int j = 0; j < V; j++)
			v.at[j] *= apply<OP>(by.at[j]);
		put(o.y + row * o.f + c, v);
	}
}

template <enum gpu_unary OP> static void launch_gate(struct gpu *g, const struct gate *o)
{
	const bool in_fours =
		o->f % 4 == 0 && ((uintptr_t)o->scale | (uintptr_t)o->bias) % sizeof(float4) == 0;
	const unsigned rows = (unsigned)(o->t < MAX_GRID ? o->t : MAX_GRID);

	if (in_fours)
		LAUNCH(g, (gate<OP, 4>), dim3(blocks_for(o->f, 4 * THREADS), rows), THREADS, 0, *o);
	else
		LAUNCH(g, (gate<OP, 1>), dim3(blocks_for(o->f, THREADS), rows), THREADS, 0, *o);
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
	o.t = y->ne[0];
	o.f = y->ne[1];
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
