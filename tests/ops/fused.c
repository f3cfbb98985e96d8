/* Ops that are several others at once, against those others. */
#include "tests/emulation/emulation.h"
#include "tests/ops/support.h"

#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EPS 1e-5f

static const enum gpu_dtype dtypes[] = {GPU_F32, GPU_BF16, GPU_I8, GPU_TILES, GPU_SPLIT};

struct layer {
	struct gpu_norm norm;
	struct gpu_tensor *in, *in_bias, *out, *out_bias;
};

static struct gpu_tensor *vector(const struct dev *d, int64_t n)
{
	return put(d, "v", SHAPE(n), random_floats(n));
}

static struct layer layer_new(
	const struct dev *d, enum gpu_dtype dtype, int64_t c, int64_t f, bool gated, bool biases)
{
	const int64_t wide = gated ? 2 * f : f;
	struct layer l = {.norm = {vector(d, c), vector(d, c), EPS}};

	l.in = put_matrix(d, dtype, "in", wide, c, random_floats(wide * c));
	l.out = put_matrix(d, dtype, "out", c, f, random_floats(f * c));
	l.in_bias = biases ? vector(d, wide) : NULL;
	l.out_bias = biases ? vector(d, c) : NULL;
	return l;
}

/* The CPU's parts are the same ops.  CUDA's parts and its fused ops sum in the same order
 * outside of cuBLAS, which may sum otherwise with y in it: an f32 rounding of the greatest
 * value and, where that comes before a rounding to bf16, one of those, in each of the n
 * products that follow. */
static void assert_alike(const float *got, const float *want, int64_t n, bool rounds, int64_t inner,
	double inner_top, const char *what)
{
	struct want w = want_new(n);
	double top = 0;

	for (int64_t i = 0; i < n; i++)
		top = fmax(top, fabs((double)want[i]));
	for (int64_t i = 0; i < n; i++) {
		w.y[i] = want[i];
		w.tol[i] = !on_cuda() ? 0
				      : top * 0x1p-22 +
						(rounds ? sqrt((double)inner) * inner_top * 0x1p-8
							: 0);
	}
	assert_close(got, w, n, "%s", what);
}

static void check_norm_linear(
	const struct dev *d, enum gpu_dtype dtype, int64_t rows, int64_t k, int64_t n)
{
	const struct layer l = layer_new(d, dtype, k, n, false, true);
	struct gpu_tensor *x = put(d, "x", SHAPE(rows, k), random_floats(rows * k));
	struct gpu_tensor *normed = empty(d, "normed", SHAPE(rows, k));
	struct gpu_tensor *y = empty(d, "y", SHAPE(rows, n)), *z = empty(d, "z", SHAPE(rows, n));
	struct gpu_mark mark = gpu_arena_mark(d->a);
	const uint64_t live = gpu_bytes_live(d->g);
	char what[80];

	gpu_norm_linear(d->g, d->a, y, x, &l.norm, l.in, l.in_bias);
	assert_true(gpu_arena_mark(d->a).used == mark.used && gpu_bytes_live(d->g) == live);
	gpu_layer_norm(d->g, normed, x, l.norm.w, l.norm.b, EPS);
	gpu_linear(d->g, z, normed, l.in, l.in_bias);
	snprintf(what, sizeof(what), "dtype %d, %lld rows, [%lld, %lld]", (int)dtype,
		(long long)rows, (long long)n, (long long)k);
	assert_alike(get(d, y), get(d, z), rows * n, false, 0, 0, what);
}

static void norm_linear(void **state)
{
	static const int64_t rows[] = {1, 2, 3, 4, 5, 8, 9, 40};

	FOR_EACH_ISA(d)
	{
		for (size_t t = 0; t < N_OF(dtypes); t++) {
			for (size_t r = 0; r < N_OF(rows); r++) {
				check_norm_linear(&d, dtypes[t], rows[r], 64, 96);
				check_norm_linear(&d, dtypes[t], rows[r], 33, 7);
			}
			check_norm_linear(&d, dtypes[t], 700, 96, 33);
			check_norm_linear(&d, dtypes[t], 2, 1028, 10);
			/* teams of 3 and 7 warps, which do not divide those of a block */
			check_norm_linear(&d, dtypes[t], 8, 300, 5);
			check_norm_linear(&d, dtypes[t], 7, 772, 20);
			/* more than the shared memory for it */
			check_norm_linear(&d, dtypes[t], 4, 2564, 5);
			check_norm_linear(&d, dtypes[t], 4, 4128, 5);
		}
	}
}

/* y += out(act(in(norm(x)))), part by part; *inner: the greatest of what `out` sees. */
static void run_parts(const struct dev *d, const struct layer *l, enum gpu_unary act, bool gated,
	struct gpu_tensor *x, int64_t f, double *inner)
{
	const int64_t rows = x->ne[0], c = x->ne[1];
	struct gpu_tensor *normed = empty(d, "normed", SHAPE(rows, c));
	struct gpu_tensor *wide = empty(d, "wide", SHAPE(rows, l->in->ne[0]));
	struct gpu_tensor *h = gated ? empty(d, "gated", SHAPE(rows, f)) : wide;

	gpu_layer_norm(d->g, normed, x, l->norm.w, l->norm.b, EPS);
	gpu_linear(d->g, wide, normed, l->in, l->in_bias);
	if (!gated)
		(act == GPU_UNARY_RELU ? gpu_relu : gpu_gelu)(d->g, wide, wide);
	else if (act == GPU_UNARY_SILU)
		gpu_gated_silu(d->g, h, wide);
	else
		(act == GPU_UNARY_GELU ? gpu_gated_gelu : gpu_gated_gelu_tanh)(d->g, h, wide);
	const float *seen = get(d, h);
	for (int64_t i = 0; i < rows * f; i++)
		*inner = fmax(*inner, fabs((double)seen[i]));
	gpu_linear_add(d->g, x, h, l->out, l->out_bias);
}

static void check_feed_forward(const struct dev *d, enum gpu_dtype dtype, int64_t rows, int64_t c,
	int64_t f, enum gpu_unary act, bool gated, bool biases)
{
	const struct layer l = layer_new(d, dtype, c, f, gated, biases);
	const float *data = random_floats(rows * c);
	struct gpu_tensor *x = put(d, "x", SHAPE(rows, c), data);
	struct gpu_tensor *y = put(d, "y", SHAPE(rows, c), data);
	const struct gpu_feed_forward ff = {.norm = l.norm,
		.in = l.in,
		.in_bias = l.in_bias,
		.out = l.out,
		.out_bias = l.out_bias,
		.act = act,
		.is_gated = gated};
	double inner = 0;
	char what[100];

	gpu_feed_forward(d->g, d->a, x, &ff);
	run_parts(d, &l, act, gated, y, f, &inner);
	snprintf(what, sizeof(what), "dtype %d, %lld rows, %lld wide, %lld hidden, act %d%s",
		(int)dtype, (long long)rows, (long long)c, (long long)f, (int)act,
		gated ? ", gated" : "");
	assert_alike(get(d, x), get(d, y), rows * c, rows >= MANY_ROWS && dtype != GPU_F32, f,
		inner, what);
}

/* Channels and hidden values that are whole panels of tiles: fewer rows than the threads can
 * share and many, chunks of rows, slices of hidden values, and an end of each that is not
 * whole. */
static void check_panels(const struct dev *d, enum gpu_dtype dtype)
{
	static const int64_t rows[] = {1, 31, 33, 200, 300};

	for (size_t r = 0; r < N_OF(rows); r++)
		check_feed_forward(d, dtype, rows[r], 64, 96, GPU_UNARY_GELU, true, r % 2);
	check_feed_forward(d, dtype, 9, 32, 1056, GPU_UNARY_SILU, true, true);
	check_feed_forward(d, dtype, 290, 96, 576, GPU_UNARY_GELU_TANH, true, false);
	check_feed_forward(d, dtype, 1030, 32, 64, GPU_UNARY_SILU, true, true);
	check_feed_forward(d, dtype, 290, 1056, 64, GPU_UNARY_SILU, true, true);
}

static void feed_forward(void **state)
{
	static const int64_t rows[] = {1, 2, 5, 8, 9, 33};
	static const enum gpu_unary plain[] = {GPU_UNARY_RELU, GPU_UNARY_GELU};
	static const enum gpu_unary gates[] = {GPU_UNARY_SILU, GPU_UNARY_GELU, GPU_UNARY_GELU_TANH};

	FOR_EACH_ISA(d)
	{
		for (size_t t = 0; t < N_OF(dtypes); t++)
			for (size_t r = 0; r < N_OF(rows); r++) {
				for (size_t i = 0; i < N_OF(plain); i++)
					check_feed_forward(
						&d, dtypes[t], rows[r], 32, 72, plain[i], false, i);
				for (size_t i = 0; i < N_OF(gates); i++)
					check_feed_forward(&d, dtypes[t], rows[r], 32, i ? 72 : 31,
						gates[i], true, i != 1);
			}
		check_panels(&d, GPU_TILES);
		check_panels(&d, GPU_SPLIT);
	}
}

/* One thread, and more than there are chunks of rows. */
static void feed_forward_threads(void **state)
{
	for (int n = 1; n <= 7; n += 3) {
		struct dev d;
		assert_true(dev_open(&d, n, CPU_GENERIC));
		check_panels(&d, GPU_TILES);
		check_panels(&d, GPU_SPLIT);
		dev_close(&d);
	}
}

/* ---- convolutions ------------------------------------------------------- */

struct leaky_case {
	int64_t n, n_in, n_out, kernel, dilation;
};

/* Part by part; y is what there was before. */
static struct gpu_tensor *convolve_parts(const struct dev *d, const struct leaky_case *k,
	const struct gpu_leaky_conv *c, const float *x, const float *y)
{
	const int64_t dilation = k->dilation ? k->dilation : 1,
		      pad = (k->kernel - 1) * dilation / 2;
	float *padded = keep((size_t)((k->n + 2 * pad) * k->n_in), sizeof(*padded));
	struct gpu_tensor *out = empty(d, "out", SHAPE(k->n, k->n_out));

	for (int64_t i = 0; i < k->n * k->n_in; i++)
		padded[pad * k->n_in + i] = x[i] < 0 ? x[i] * c->slope : x[i];
	gpu_conv1d(d->g, out, put(d, "padded", SHAPE(k->n + 2 * pad, k->n_in), padded), c->w,
		c->bias, (struct gpu_conv){.kernel = k->kernel, .dilation = k->dilation});
	if (c->add)
		gpu_add(d->g, out, put(d, "y", SHAPE(k->n, k->n_out), y), out);
	return out;
}

static void check_leaky_conv(const struct dev *d, enum gpu_dtype dtype, const struct leaky_case *k)
{
	const int64_t columns = k->kernel * k->n_in, n = k->n * k->n_out;
	const float *x = random_floats(k->n * k->n_in), *before = random_floats(n);
	struct gpu_leaky_conv c = {.w = put_matrix(d, dtype, "w", k->n_out, columns,
					   random_floats(k->n_out * columns)),
		.bias = vector(d, k->n_out),
		.kernel = k->kernel,
		.dilation = k->dilation,
		.slope = 0.25f};

	for (int add = 0; add < 2; add++) {
		struct gpu_tensor *y = put(d, "y", SHAPE(k->n, k->n_out), before);
		char what[100];
		c.add = add;
		gpu_leaky_conv1d(d->g, d->a, y, put(d, "x", SHAPE(k->n, k->n_in), x), &c);
		snprintf(what, sizeof(what), "dtype %d, [%d, %d] -> %d, kernel %d, dilation %d%s",
			(int)dtype, (int)k->n, (int)k->n_in, (int)k->n_out, (int)k->kernel,
			(int)k->dilation, add ? ", added" : "");
		assert_alike(get(d, y), get(d, convolve_parts(d, k, &c, x, before)), n, false, 0, 0,
			what);
		c.bias = NULL;
	}
}

/* Frames fewer than a step of rows and many, padding longer than x, kernels of 1, channels
 * that are whole blocks of tiles and not. */
static void leaky_conv(void **state)
{
	static const enum gpu_dtype kinds[] = {GPU_F32, GPU_BF16, GPU_TILES, GPU_SPLIT};
	static const struct leaky_case cases[] = {{1, 32, 32, 3, 1}, {5, 64, 33, 11, 5},
		{70, 32, 40, 7, 3}, {70, 12, 5, 3, 0}, {40, 64, 64, 1, 1}, {700, 64, 32, 3, 5},
		{3000, 32, 32, 11, 1}};

	FOR_EACH_ISA(d)
	{
		for (size_t t = 0; t < N_OF(kinds); t++)
			for (size_t i = 0; i < N_OF(cases); i++)
				check_leaky_conv(&d, kinds[t], &cases[i]);
	}
}

static void wrong_leaky_conv(void **state)
{
	FOR_EACH_ISA(d)
	{
		struct gpu_tensor *x = put(&d, "x", SHAPE(9, 4), random_floats(36));
		struct gpu_tensor *y = empty(&d, "y", SHAPE(9, 8)),
				  *z = empty(&d, "z", SHAPE(8, 8));
		struct gpu_leaky_conv c = {
			.w = put_matrix(&d, GPU_F32, "w", 8, 12, random_floats(96)), .kernel = 2};
		gpu_leaky_conv1d(d.g, d.a, y, x, &c);
		assert_gpu_error(d.g, ERR_BUG, "no such kernel");
		c.kernel = 5;
		gpu_leaky_conv1d(d.g, d.a, y, x, &c);
		assert_gpu_error(d.g, ERR_BUG, "kernel * channels columns");
		c.kernel = 3;
		gpu_leaky_conv1d(d.g, d.a, z, x, &c);
		assert_gpu_error(d.g, ERR_BUG, "another shape");
		c.bias = vector(&d, 7);
		gpu_leaky_conv1d(d.g, d.a, y, x, &c);
		assert_gpu_error(d.g, ERR_BUG, "one per output");
	}
}

/* Lines that are normed in one piece and in several, narrow images, channels that are whole blocks
 * of tiles and not, strides. */
static void norm_conv2d(void **state)
{
	static const enum gpu_dtype kinds[] = {
		GPU_F32, GPU_BF16, GPU_TILES, GPU_SPLIT, GPU_WINOGRAD};
	static const struct {
		int64_t batch, height, width, n_in, n_out, groups, stride;
	} cases[] = {{2, 9, 5, 32, 40, 4, 1}, {1, 3, 67, 64, 33, 32, 1}, {2, 32, 2, 96, 32, 3, 1},
		{1, 4, 3, 4128, 5, 32, 1}, {2, 6, 5, 12, 7, 3, 1}, {1, 8, 6, 32, 32, 8, 2},
		{2, 7, 9, 64, 64, 8, 1}};

	FOR_EACH_ISA(d)
	{
		let_split(&d);
		for (size_t t = 0; t < N_OF(kinds); t++)
			for (size_t i = 0; i < N_OF(cases); i++) {
				const int64_t b = cases[i].batch, h = cases[i].height,
					      w = cases[i].width, c = cases[i].n_in,
					      s = cases[i].stride, n = cases[i].n_out;
				const struct gpu_conv2d conv = {
					.kernel = 3, .stride = s % 2 ? 0 : s, .pad = 1};
				if (kinds[t] == GPU_WINOGRAD && s > 1)
					continue; /* is for stride 1 */
				const struct gpu_group_norm norm = {
					vector(&d, c), vector(&d, c), cases[i].groups, EPS, i % 2};
				struct gpu_tensor *x = put(
					&d, "x", SHAPE(b, h, w, c), random_floats(b * h * w * c));
				struct gpu_tensor *m = put_matrix(
					&d, kinds[t], "w", n, 9 * c, random_floats(9 * c * n));
				struct gpu_tensor *bias = i ? vector(&d, n) : NULL;
				struct gpu_tensor *y = empty(&d, "y", SHAPE(b, h / s, w / s, n));
				struct gpu_tensor *z = empty(&d, "z", SHAPE(b, h / s, w / s, n));
				gpu_norm_conv2d(d.g, d.a, y, x, &norm, m, bias, conv);
				gpu_group_norm(d.g, x, x, &norm);
				gpu_conv2d(d.g, z, x, m, bias, conv);
				assert_same_bits(get(&d, y), get(&d, z), gpu_count(y),
					"isa %d dtype %d case %d", d.isa, (int)kinds[t], (int)i);
			}
	}
}

static void wrong_norm_conv2d(void **state)
{
	FOR_EACH_ISA(d)
	{
		struct gpu_tensor *x = empty(&d, "x", SHAPE(1, 4, 4, 32));
		struct gpu_tensor *y = empty(&d, "y", SHAPE(1, 4, 4, 8));
		struct gpu_tensor *w =
			put_matrix(&d, GPU_TILES, "w", 8, 9 * 32, random_floats(8 * 9 * 32));
		const struct gpu_conv2d conv = {.kernel = 3, .pad = 1};
		struct gpu_group_norm norm = {vector(&d, 32), vector(&d, 32), 5, EPS, true};
		gpu_norm_conv2d(d.g, d.a, y, x, &norm, w, NULL, conv);
		assert_gpu_error(d.g, ERR_BUG, "the groups do not divide the channels");
		norm.n_groups = 4;
		norm.b = vector(&d, 31);
		gpu_norm_conv2d(d.g, d.a, y, x, &norm, w, NULL, conv);
		assert_gpu_error(d.g, ERR_BUG, "one per channel");
		norm.b = norm.w;
		gpu_norm_conv2d(d.g, d.a, x, x, &norm, w, NULL, conv);
		assert_gpu_error(d.g, ERR_BUG, "norm_conv2d");
	}
}

/* A row has the same bits whatever rows come with it, where few rows do not round x. */
static void rows_alone(void **state)
{
	enum { C = 132, F = 40 };

	FOR_EACH_ISA(d)
	{
		const struct layer l = layer_new(&d, GPU_BF16, C, F, false, false);
		const struct gpu_feed_forward ff = {
			.norm = l.norm, .in = l.in, .out = l.out, .act = GPU_UNARY_GELU};
		const float *data = random_floats(8 * C);
		float *all = NULL;
		for (int64_t n = 8; n >= 1; n--) {
			struct gpu_tensor *x = put(&d, "x", SHAPE(n, C), data);
			gpu_feed_forward(d.g, d.a, x, &ff);
			const float *got = get(&d, x);
			all = all ? all
				  : memcpy(keep(8 * C, sizeof(*all)), got, 8 * C * sizeof(*all));
			assert_same_bits(got, all, n * C, "%d of 8 rows", (int)n);
		}
	}
}

/* Embeddings and a position, part by part. */
static void check_embed_at(
	const struct dev *d, enum gpu_dtype dtype, int64_t rows, int64_t k, int64_t n, int32_t at)
{
	enum { VOCAB = 11, PLACES = 5 };
	struct gpu_tensor *table = gpu_new(d->g, d->a, dtype, "table", SHAPE(k * VOCAB, n));
	struct gpu_tensor *places = put(d, "places", SHAPE(PLACES, n), random_floats(PLACES * n));
	struct gpu_tensor *y = empty(d, "y", SHAPE(rows, n)), *z = empty(d, "z", SHAPE(rows, n));
	struct gpu_tensor *one = empty(d, "one", SHAPE(1, n));
	struct gpu_tensor *where = put_ids(d, "at", SHAPE(1), &at);
	int32_t *ids = keep((size_t)(rows * k), sizeof(*ids));

	gpu_put_rows(d->g, table, 0, k * VOCAB, random_floats(k * VOCAB * n));
	for (int64_t i = 0; i < rows * k; i++)
		ids[i] = (int32_t)below(VOCAB);
	struct gpu_tensor *t = put_ids(d, "ids", SHAPE(rows, k), ids);
	gpu_embed_at(d->g, d->a, y, table, t, places, where);
	gpu_embed_sum(d->g, z, table, t);
	gpu_embed_sum(d->g, one, places, gpu_reshape(d->g, d->a, where, SHAPE(1, 1)));
	gpu_add(d->g, z, z, one);
	assert_same_bits(
		get(d, y), get(d, z), rows * n, "%lld rows of %lld", (long long)rows, (long long)n);
}

static void embed_at(void **state)
{
	FOR_EACH_ISA(d)
	{
		for (int32_t at = 0; at < 5; at++) {
			check_embed_at(&d, GPU_F32, 2, 4, 64, at);
			check_embed_at(&d, GPU_BF16, 1 + at, 3, 33, at);
			check_embed_at(&d, GPU_F32, 1, 1, 1, at);
		}
		const int32_t five = 5;
		struct gpu_tensor *x = put(&d, "x", SHAPE(5, 8), random_floats(40));
		struct gpu_tensor *y = empty(&d, "y", SHAPE(1, 8));
		struct gpu_tensor *ids = put_ids(&d, "ids", SHAPE(1, 1), (const int32_t[]){2});
		struct gpu_tensor *at = put_ids(&d, "at", SHAPE(1, 1), &five);
		gpu_embed_at(d.g, d.a, y, x, ids, x, at);
		assert_gpu_error(d.g, ERR_BUG, "embed_sum: id 5");
		gpu_embed_at(d.g, d.a, y, x, ids, gpu_view(d.g, d.a, x, 0, 0, 0), at);
		assert_gpu_error(d.g, ERR_BUG, "positions must be");
		gpu_embed_at(d.g, d.a, y, x, at, x, put_ids(&d, "at", SHAPE(2), (int32_t[]){0, 0}));
		assert_gpu_error(d.g, ERR_BUG, "at must be [1]");
		gpu_embed_at(d.g, d.a, y, x, put_ids(&d, "at", SHAPE(1), &five), x, at);
		assert_gpu_error(d.g, ERR_BUG, "ids must be contiguous i32 [T, K]");
	}
}

/* What attention writes is rounded by it or by the product behind it: the same bits. */
static void check_narrow(const struct dev *d, int64_t n, int64_t heads, int64_t dim)
{
	const int64_t h = heads * dim;
	struct gpu_tensor *w = put_matrix(d, GPU_TILES, "w", h, h, random_floats(h * h));
	const enum gpu_dtype dtype = gpu_input_dtype(d->g, w);
	struct gpu_tensor *qkv = put(d, "qkv", SHAPE(n, 3 * h), random_floats(n * 3 * h));
	struct gpu_tensor *q = put(d, "q", SHAPE(n, h), random_floats(n * h));
	struct gpu_kv *kv = gpu_kv_new(d->g, d->a, GPU_TILES, 1, heads, dim, n + 1);
	float *x = random_floats(n * h);

	assert_int_equal(dtype, on_cuda() && rounds_tiles() ? GPU_BF16 : GPU_F32);
	gpu_kv_fill(d->g, kv, 0, put(d, "kv", SHAPE(n, 2 * h), random_floats(n * 2 * h)));
	for (int cross = 0; cross < 2; cross++) {
		float *got[2];
		for (int narrow = 0; narrow < 2; narrow++) {
			struct gpu_tensor *y = put(d, "y", SHAPE(n, h), x);
			struct gpu_tensor *a = gpu_new(
				d->g, d->a, narrow ? dtype : GPU_F32, "attended", SHAPE(n, h));
			if (cross)
				gpu_attention_cross(d->g, a, q, kv, 0.3f);
			else
				gpu_attention_tiles(d->g, a, qkv, heads, 0.3f);
			gpu_linear_add(d->g, y, a, w, NULL);
			got[narrow] = get(d, y);
		}
		assert_same_bits(got[1], got[0], n * h, "%s, %lld x %lld heads of %lld",
			cross ? "cross" : "full", (long long)n, (long long)heads, (long long)dim);
	}
}

static void attention_rounds(void **state)
{
	FOR_EACH_ISA(d)
	{
		check_narrow(&d, 70, 2, 64);
		check_narrow(&d, 9, 3, 33);
		check_narrow(&d, 65, 2, 20);
		check_narrow(&d, 40, 1, 200);
		struct gpu_tensor *half = gpu_new(d.g, d.a, GPU_BF16, "half", SHAPE(4, 8));
		struct gpu_tensor *y = empty(&d, "y", SHAPE(4, 8));
		gpu_linear(
			d.g, y, half, put_matrix(&d, GPU_BF16, "w", 8, 8, random_floats(64)), NULL);
		assert_gpu_error(d.g, ERR_BUG, "x and y must be contiguous f32");
		gpu_attention_full(d.g, half, empty(&d, "qkv", SHAPE(4, 24)), NULL, 1, 1);
		assert_gpu_error(d.g, ERR_BUG, "y and qkv must be contiguous f32");
	}
}

/* Kernels and products, counted by the emulated device. */
static uint64_t launched(const struct dev *d)
{
	void *module = dlopen(getenv("WOODSHED_TEST_MODULE"), RTLD_NOW | RTLD_NOLOAD);
	void (*count)(struct emulation_counts *) = NULL;
	struct emulation_counts n;

	assert_fine(d->g);
	assert_non_null(module);
	*(void **)&count = dlsym(module, "emulation_count");
	dlclose(module);
	if (!count) {
		print_message("# launches are counted by the emulated device alone\n");
		skip();
	}
	count(&n);
	return n.launches + n.products;
}

static uint64_t launches_of(
	const struct dev *d, enum gpu_dtype dtype, int64_t rows, bool gated, bool whole)
{
	const struct layer l = layer_new(d, dtype, 32, 64, gated, gated);
	struct gpu_tensor *x = put(d, "x", SHAPE(rows, 32), random_floats(rows * 32));
	struct gpu_tensor *y = empty(d, "y", SHAPE(rows, l.in->ne[0]));
	const struct gpu_feed_forward ff = {.norm = l.norm,
		.in = l.in,
		.in_bias = l.in_bias,
		.out = l.out,
		.out_bias = l.out_bias,
		.act = GPU_UNARY_GELU,
		.is_gated = gated};
	const uint64_t before = launched(d);

	if (whole)
		gpu_feed_forward(d->g, d->a, x, &ff);
	else
		gpu_norm_linear(d->g, d->a, y, x, &l.norm, l.in, NULL);
	return launched(d) - before;
}

/* A product of many rows with a bias. */
static uint64_t launches_of_bias(const struct dev *d, enum gpu_dtype dtype)
{
	struct gpu_tensor *w = put_matrix(d, dtype, "w", 24, 32, random_floats(24 * 32));
	struct gpu_tensor *bias = put(d, "bias", SHAPE(24), random_floats(24));
	struct gpu_tensor *x = put(d, "x", SHAPE(40, 32), random_floats(40 * 32));
	struct gpu_tensor *y = empty(d, "y", SHAPE(40, 24));
	const uint64_t before = launched(d);

	gpu_linear_add(d->g, y, x, w, bias);
	return launched(d) - before;
}

/* Of 40 queries to themselves, or to as many in a cache, and the product of it. */
static uint64_t launches_of_attention(const struct dev *d, bool cross)
{
	struct gpu_tensor *w = put_matrix(d, GPU_TILES, "w", 32, 32, random_floats(32 * 32));
	struct gpu_tensor *y = empty(d, "y", SHAPE(40, 32));
	struct gpu_tensor *a = gpu_new(d->g, d->a, gpu_input_dtype(d->g, w), "a", SHAPE(40, 32));
	struct gpu_tensor *qkv = put(d, "qkv", SHAPE(40, 96), random_floats(40 * 96));
	struct gpu_kv *kv = gpu_kv_new(d->g, d->a, GPU_TILES, 1, 2, 16, 40);

	gpu_kv_fill(d->g, kv, 0, put(d, "kv", SHAPE(40, 64), random_floats(40 * 64)));
	struct gpu_tensor *q = put(d, "q", SHAPE(40, 32), random_floats(40 * 32));
	const uint64_t before = launched(d);
	if (cross)
		gpu_attention_cross(d->g, a, q, kv, 1);
	else
		gpu_attention_tiles(d->g, a, qkv, 2, 1);
	gpu_linear_add(d->g, y, a, w, NULL);
	return launched(d) - before;
}

/* Between the layers of a step of a language model of two rows: embedding with position;
 * guidance and sampling. */
static uint64_t launches_around_layers(const struct dev *d)
{
	const int32_t ids[2] = {0};
	const uint64_t seeds[1] = {0};
	const struct gpu_sampling s = {
		.temperature = 1, .seed = seeds, .n_streams = 1, .guidance = 3};
	struct gpu_tensor *x = put(d, "x", SHAPE(2, 32), random_floats(64));
	struct gpu_tensor *y = empty(d, "y", SHAPE(2, 32));
	struct gpu_tensor *t = put_ids(d, "ids", SHAPE(2, 1), ids);
	struct gpu_tensor *drawn = put_ids(d, "drawn", SHAPE(1), ids);
	const uint64_t before = launched(d);

	gpu_embed_at(d->g, d->a, y, x, t, x, drawn);
	gpu_sample(d->g, drawn, y, &s);
	return launched(d) - before;
}

/* What docs/PERF.md counts with; where a block has little shared memory the norm of 8 rows is
 * alone, and they go by halves in int8. */
static void launches(void **state)
{
	FOR_EACH_ISA(d)
	{
		const bool has_little = strstr(gpu_describe(d.g), "capability 8.6");

		assert_int_equal(launches_of(&d, GPU_BF16, 2, false, false), 1);
		assert_int_equal(launches_of(&d, GPU_BF16, 2, false, true), 2);
		assert_int_equal(launches_of(&d, GPU_BF16, 8, false, false), has_little ? 2 : 1);
		assert_int_equal(launches_of(&d, GPU_BF16, 8, false, true), has_little ? 3 : 2);
		assert_int_equal(launches_of(&d, GPU_I8, 8, false, false), has_little ? 3 : 1);
		assert_int_equal(launches_of(&d, GPU_I8, 8, false, true), has_little ? 5 : 2);
		assert_int_equal(launches_of(&d, GPU_TILES, 40, true, false), 2);
		assert_int_equal(launches_of(&d, GPU_TILES, 40, true, true), 4);
		assert_int_equal(launches_of_bias(&d, GPU_F32), 1);
		assert_int_equal(launches_of_bias(&d, GPU_TILES), 2);
		assert_int_equal(launches_of_attention(&d, false), 3);
		assert_int_equal(launches_of_attention(&d, true), 2);
		assert_int_equal(launches_around_layers(&d), 2);
	}
}

static void wrong_shapes(void **state)
{
	FOR_EACH_ISA(d)
	{
		const struct layer l = layer_new(&d, GPU_F32, 8, 12, true, true);
		struct gpu_tensor *x = put(&d, "x", SHAPE(3, 8), random_floats(24));
		struct gpu_tensor *y = empty(&d, "y", SHAPE(3, 24));
		struct gpu_feed_forward ff = {.norm = l.norm,
			.in = l.in,
			.out = l.out,
			.act = GPU_UNARY_SILU,
			.is_gated = false};
		const struct gpu_norm norm = {l.norm.w, l.in_bias, EPS};
		gpu_feed_forward(d.g, d.a, x, &ff);
		assert_gpu_error(d.g, ERR_BUG, "in and out do not fit x and each other");
		ff.is_gated = true;
		ff.act = GPU_UNARY_TANH;
		gpu_feed_forward(d.g, d.a, x, &ff);
		assert_gpu_error(d.g, ERR_BUG, "no such function");
		ff.act = GPU_UNARY_SILU;
		ff.out_bias = l.in_bias;
		gpu_feed_forward(d.g, d.a, x, &ff);
		assert_gpu_error(d.g, ERR_BUG, "one per output");
		gpu_norm_linear(d.g, d.a, y, x, &norm, l.in, NULL);
		assert_gpu_error(d.g, ERR_BUG, "the norm must be f32, one per column");
		gpu_norm_linear(d.g, d.a, x, y, &l.norm, l.in, NULL);
		assert_gpu_error(d.g, ERR_BUG, "norm_linear");
		gpu_norm_linear(d.g, d.a, y, x, &l.norm, l.out, NULL);
		assert_gpu_error(d.g, ERR_BUG, "w must be a packed matrix of the columns of x");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(norm_linear),
		TEST(feed_forward),
		TEST(feed_forward_threads),
		TEST(leaky_conv),
		TEST(wrong_leaky_conv),
		TEST(norm_conv2d),
		TEST(wrong_norm_conv2d),
		TEST(rows_alone),
		TEST(embed_at),
		TEST(attention_rounds),
		TEST(wrong_shapes),
		TEST(launches),
	};

	return RUN_TAP_WITH(tests, 0, 1); /* the CPU launches nothing */
}
