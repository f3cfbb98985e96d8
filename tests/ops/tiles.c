/* Products of bf16 by bf16: against the references on rounded factors, and bit for bit
 * against the stated order of summation, on every instruction set. */
#include "tests/ops/naive.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static float *rounded(const float *x, int64_t n)
{
	float *r = keep((size_t)(n + 1), sizeof(*r));

	for (int64_t i = 0; i < n; i++)
		r[i] = cpu_f32(cpu_bf16(x[i]));
	return r;
}

/* x as products of tiles take it. */
static const float *taken(const float *x, int64_t n)
{
	return rounds_tiles() ? rounded(x, n) : x;
}

/* ---- the order of summation --------------------------------------------- */

static float flushed(float x)
{
	return fabsf(x) < 0x1p-126f ? copysignf(0, x) : x;
}

/* As gpu.h states it. */
static float stated_sum(const float *x, const float *w, int64_t n)
{
	float sum = 0;

	for (int64_t block = 0; block < n; block += 32) {
		float even = 0, odd = 0;
		for (int64_t k = block; k < block + 32 && k < n; k++) {
			float *chain = k % 2 ? &odd : &even;
			*chain = flushed(fmaf(flushed(x[k]), flushed(w[k]), *chain));
		}
		sum = flushed(sum + flushed(even + odd));
	}
	return sum;
}

static void check_bits(int64_t n_rows, int64_t n_out, int64_t n_in, int exponents)
{
	float *x = random_floats(n_rows * n_in), *w = random_floats(n_out * n_in);

	for (int64_t i = 0; i < n_rows * n_in; i++)
		x[i] = ldexpf(x[i], exponents ? -(int)below(exponents) : 0);
	for (int64_t i = 0; i < n_out * n_in; i++)
		w[i] = ldexpf(w[i], exponents ? -(int)below(exponents) : 0);
	const float *xr = rounded(x, n_rows * n_in), *wr = rounded(w, n_out * n_in);
	float *want = keep((size_t)(n_rows * n_out), sizeof(*want));
	for (int64_t i = 0; i < n_rows * n_out; i++)
		want[i] = stated_sum(xr + i / n_out * n_in, wr + i % n_out * n_in, n_in) + 0.0f;
	FOR_EACH_ISA(d)
	{
		struct gpu_tensor *y = empty(&d, "y", SHAPE(n_rows, n_out));
		gpu_linear(d.g, y, put(&d, "x", SHAPE(n_rows, n_in), x),
			put_matrix(&d, GPU_TILES, "w", n_out, n_in, w), NULL);
		assert_same_bits(get(&d, y), want, n_rows * n_out, "isa %d [%d, %d] x [%d, %d]",
			d.isa, (int)n_rows, (int)n_in, (int)n_out, (int)n_in);
	}
}

static void sums_are_as_stated(void **state)
{
	for (int i = 0; i < N_ODD_SIZES; i++) {
		seed((uint64_t)i);
		check_bits(1 + i * 7, odd_sizes[(i * 3) % N_ODD_SIZES], odd_sizes[i], 0);
		test_done(NULL);
	}
	check_bits(33, 65, 1600, 0);
	check_bits(600, 40, 96, 20);
	check_bits(800, 70, 1700, 0); /* in pieces */
	check_bits(40, 40, 64, 75);   /* products down to 2^-150 */
}

/* ---- products ----------------------------------------------------------- */

static void check_linear(int64_t n_rows, int64_t n_out, int64_t n_in)
{
	float *x = random_floats(n_rows * n_in), *w = random_floats(n_out * n_in);
	float *bias = random_floats(n_out), *y0 = random_floats(n_rows * n_out);
	const float *xr = taken(x, n_rows * n_in), *wr = rounded(w, n_out * n_in);
	struct want biased = naive_linear(xr, wr, bias, NULL, n_rows, n_out, n_in, GPU_TILES);
	struct want added = naive_linear(xr, wr, bias, y0, n_rows, n_out, n_in, GPU_TILES);

	FOR_EACH_ISA(d)
	{
		struct gpu_tensor *tx = put(&d, "x", SHAPE(n_rows, n_in), x),
				  *tw = put_matrix(&d, GPU_TILES, "w", n_out, n_in, w),
				  *tb = put(&d, "bias", SHAPE(n_out), bias),
				  *y = empty(&d, "y", SHAPE(n_rows, n_out));
		gpu_linear(d.g, y, tx, tw, tb);
		assert_close(get(&d, y), biased, n_rows * n_out, "isa %d linear [%d, %d] x %d",
			d.isa, (int)n_rows, (int)n_in, (int)n_out);
		gpu_write(d.g, y, y0, (size_t)(n_rows * n_out) * sizeof(*y0));
		gpu_linear_add(d.g, y, tx, tw, tb);
		assert_close(get(&d, y), added, n_rows * n_out, "isa %d linear_add [%d, %d] x %d",
			d.isa, (int)n_rows, (int)n_in, (int)n_out);
	}
}

static void linears(void **state)
{
	for (int o = 0; o < N_ODD_SIZES; o++)
		for (int i = 0; i < N_ODD_SIZES; i += 3) {
			seed((uint64_t)(o * 10 + i));
			check_linear(1 + (o * 5 + i * 11) % 40, odd_sizes[o], odd_sizes[i]);
			test_done(NULL);
		}
	check_linear(700, 300, 100);
	check_linear(550, 40, 3200);
}

struct conv_case {
	int64_t n_batch, n_time, n_in, n_out;
	struct gpu_conv conv;
};

/* Stride, dilation, channels that are whole blocks (read where they are) and not. */
static void convolutions(void **state)
{
	static const struct conv_case cases[] = {
		{1, 9, 3, 5, {.kernel = 3}},
		{1, 70, 32, 40, {.kernel = 7}},
		{1, 100, 64, 33, {.kernel = 7, .dilation = 9}},
		{1, 99, 32, 64, {.kernel = 4, .stride = 2}},
		{1, 99, 24, 64, {.kernel = 8, .stride = 4, .dilation = 3}},
		{3, 40, 32, 17, {.kernel = 3, .dilation = 2}},
		{2, 33, 5, 2, {.kernel = 7}},
		{1, 600, 32, 32, {.kernel = 1}},
	};

	for (size_t i = 0; i < N_OF(cases); i++) {
		const struct conv_case *k = &cases[i];
		const struct gpu_conv c = k->conv;
		const int64_t dilation = c.dilation ? c.dilation : 1,
			      stride = c.stride ? c.stride : 1,
			      frames = (k->n_time - (c.kernel - 1) * dilation - 1) / stride + 1,
			      columns = c.kernel * k->n_in, n = k->n_batch * frames * k->n_out;
		float *x = random_floats(k->n_batch * k->n_time * k->n_in);
		float *w = random_floats(k->n_out * columns), *bias = random_floats(k->n_out);
		struct want want = naive_conv1d(taken(x, k->n_batch * k->n_time * k->n_in),
			rounded(w, k->n_out * columns), bias, k->n_batch, k->n_time, k->n_in,
			k->n_out, c, false);
		FOR_EACH_ISA(d)
		{
			struct gpu_tensor *y = empty(&d, "y", SHAPE(k->n_batch, frames, k->n_out));
			gpu_conv1d(d.g, y, put(&d, "x", SHAPE(k->n_batch, k->n_time, k->n_in), x),
				put_matrix(&d, GPU_TILES, "w", k->n_out, columns, w),
				put(&d, "bias", SHAPE(k->n_out), bias), c);
			assert_close(get(&d, y), want, n, "isa %d convolution %d", d.isa, (int)i);
		}
		test_done(NULL);
	}
}

/* A transposed convolution is a product over neighbouring frames. */
static void check_transposed(int64_t n_time, int64_t n_in, int64_t n_out, int64_t stride)
{
	enum { SEEN = 2 };
	const int64_t rows = n_time - SEEN + 1, columns = SEEN * n_in, outs = stride * n_out;
	float *x = random_floats(n_time * n_in), *w = random_floats(outs * columns);
	const float *xr = taken(x, n_time * n_in);
	float *wide = keep((size_t)(rows * columns), sizeof(*wide));

	for (int64_t t = 0; t < rows; t++)
		memcpy(wide + t * columns, xr + t * n_in, (size_t)columns * sizeof(*wide));
	struct want want = naive_linear(
		wide, rounded(w, outs * columns), NULL, NULL, rows, outs, columns, GPU_TILES);
	FOR_EACH_ISA(d)
	{
		struct gpu_tensor *y = empty(&d, "y", SHAPE(rows * stride, n_out));
		gpu_conv_transpose1d(d.g, y, put(&d, "x", SHAPE(n_time, n_in), x),
			put_matrix(&d, GPU_TILES, "w", outs, columns, w), NULL,
			(struct gpu_conv){.kernel = SEEN * stride, .stride = stride});
		assert_close(get(&d, y), want, rows * outs, "isa %d transposed %d -> %d", d.isa,
			(int)n_in, (int)n_out);
	}
}

static void transposed(void **state)
{
	check_transposed(5, 3, 2, 2);
	check_transposed(70, 32, 16, 4);
	check_transposed(33, 64, 40, 8);
}

/* ---- attention ---------------------------------------------------------- */

/* With a reach, the scores of later keys are further from 0: the greatest so far is left behind
 * by more than floats have room for, again and again. */
static float *random_qkv(int64_t n, int64_t width, float reach)
{
	float *qkv = random_floats(n * 3 * width);

	for (int64_t i = 0; i < n * 3 * width && reach > 0; i++) {
		const int64_t t = i / (3 * width), column = i % (3 * width);
		if (column < 2 * width)
			qkv[i] *= column < width ? reach : reach * (float)t / (float)n;
	}
	return qkv;
}

static struct want attention_want(
	const float *r, int64_t n, int64_t n_heads, int64_t dim, double error)
{
	const int64_t width = n_heads * dim;
	const double scale = (double)(1 / sqrtf((float)dim));
	struct want want = want_new(n * width);

	for (int64_t i = 0; i < n * n_heads; i++) {
		const int64_t column = i % n_heads * dim, at = i / n_heads * width + column;
		struct want y = {want.y + at, want.tol + at};
		naive_attend(y, r + i / n_heads * 3 * width + column, r + width + column,
			r + 2 * width + column, 3 * width, NULL, n, dim, scale);
		for (int64_t c = 0; c < dim; c++)
			y.tol[c] += error; /* |v| < 1, probabilities add up to 1 */
	}
	return want;
}

/* One way of attention against what is wanted of it, the same bits on all instruction sets. */
static void check_way(void (*attend)(struct gpu *g, struct gpu_tensor *y,
			      const struct gpu_tensor *qkv, int64_t n_heads, float scale),
	const char *what, const float *qkv, struct want want, int64_t n, int64_t n_heads,
	int64_t dim)
{
	const int64_t width = n_heads * dim;
	float *first = NULL;

	FOR_EACH_ISA(d)
	{
		struct gpu_tensor *y = empty(&d, "y", SHAPE(n, width));
		attend(d.g, y, put(&d, "qkv", SHAPE(n, 3 * width), qkv), n_heads,
			1 / sqrtf((float)dim));
		float *got = get(&d, y);
		assert_close(got, want, n * width, "isa %d: %d positions, %d heads of %d%s", d.isa,
			(int)n, (int)n_heads, (int)dim, what);
		if (first)
			assert_same_bits(got, first, n * width, "isa %d%s", d.isa, what);
		first = got;
	}
}

/* Scores of rounded factors; a probability is rounded once more (2^-8 of it), exp and
 * its sum are good to some 2^-13; the bound of sums is that of f32. */
static void check_attention(int64_t n, int64_t n_heads, int64_t dim, float reach)
{
	const int64_t width = n_heads * dim;
	const float *qkv = random_qkv(n, width, reach), *r = rounded(qkv, n * 3 * width);

	check_way(gpu_attention_tiles, "", qkv, attention_want(r, n, n_heads, dim, 0x1p-8), n,
		n_heads, dim);
}

/* In three parts, which gpu_attention_full() takes on some instruction sets; the error of exp
 * is below 2^-22. */
static void check_split_attention(int64_t n, int64_t n_heads, int64_t dim, float reach)
{
	const float *qkv = random_qkv(n, n_heads * dim, reach);

	check_way(cpu_attention_split, ", split", qkv, attention_want(qkv, n, n_heads, dim, 0), n,
		n_heads, dim);
}

/* Sequences in one call have the bits of each alone. */
static void check_sequences(int64_t batch, int64_t n, int64_t n_heads, int64_t dim)
{
	const int64_t width = n_heads * dim, each = n * width;
	const float *qkv = random_floats(batch * 3 * each), scale = 1 / sqrtf((float)dim);
	float *want = keep((size_t)(batch * each), sizeof(*want));

	FOR_EACH_ISA(d)
	{
		struct gpu_tensor *one = empty(&d, "one", SHAPE(n, width));
		struct gpu_tensor *all = empty(&d, "all", SHAPE(batch, n, width));
		for (int64_t i = 0; i < batch; i++) {
			gpu_attention_tiles(d.g, one,
				put(&d, "qkv", SHAPE(n, 3 * width), qkv + i * 3 * each), n_heads,
				scale);
			memcpy(want + i * each, get(&d, one), (size_t)each * sizeof(*want));
		}
		gpu_attention_tiles(
			d.g, all, put(&d, "qkv", SHAPE(batch, n, 3 * width), qkv), n_heads, scale);
		assert_same_bits(get(&d, all), want, batch * each,
			"isa %d: %d of %d positions, %d heads of %d", d.isa, (int)batch, (int)n,
			(int)n_heads, (int)dim);
	}
}

static void sequences(void **state)
{
	check_sequences(3, 70, 2, 32);
	check_sequences(2, 64, 3, 48);
	check_sequences(2, 9, 1, 5);
	check_sequences(2, 66, 1, 130);
}

static const int64_t attentions[][3] = {{1, 1, 1}, {2, 3, 5}, {31, 2, 8}, {33, 2, 32}, {100, 3, 64},
	{65, 1, 33}, {257, 2, 64}, {40, 2, 128}, {64, 1, 16}, {129, 1, 48}, {128, 2, 80},
	{63, 1, 90}, {70, 1, 200}, {250, 4, 64}, {256, 4, 16}, {145, 1, 32}};

static void attention(void **state)
{
	for (size_t i = 0; i < N_OF(attentions); i++) {
		seed(i);
		check_attention(attentions[i][0], attentions[i][1], attentions[i][2], 0);
		test_done(NULL);
	}
}

static void split_attention(void **state)
{
	for (size_t i = 0; i < N_OF(attentions); i++) {
		seed(i);
		check_split_attention(attentions[i][0], attentions[i][1], attentions[i][2], 0);
		test_done(NULL);
	}
}

static void scores_grow(void **state)
{
	for (size_t i = 0; i < N_OF(attentions); i++) {
		seed(i);
		check_attention(attentions[i][0], attentions[i][1], attentions[i][2], 16);
		check_split_attention(attentions[i][0], attentions[i][1], attentions[i][2], 16);
		test_done(NULL);
	}
}

/* ---- split -------------------------------------------------------------- */

/* Against the f32 reference, whose bound it keeps (gpu.h): what is left out of a product
 * is below 3 U of it.  All instruction sets and a row alone give the same bits (CUDA sums
 * few rows by another kernel). */
static void check_split(int64_t n_rows, int64_t n_out, int64_t n_in)
{
	float *x = random_floats(n_rows * n_in), *w = random_floats(n_out * n_in);
	float *bias = random_floats(n_out), *first = NULL;
	struct want want = naive_linear(x, w, bias, NULL, n_rows, n_out, n_in, GPU_SPLIT);

	FOR_EACH_ISA(d)
	{
		let_split(&d);
		struct gpu_tensor *y = empty(&d, "y", SHAPE(n_rows, n_out)),
				  *one = empty(&d, "y", SHAPE(1, n_out));
		struct gpu_tensor *tw = put_matrix(&d, GPU_SPLIT, "w", n_out, n_in, w),
				  *tb = put(&d, "bias", SHAPE(n_out), bias);
		gpu_linear(d.g, y, put(&d, "x", SHAPE(n_rows, n_in), x), tw, tb);
		float *got = get(&d, y);
		assert_close(got, want, n_rows * n_out, "isa %d split [%d, %d] x %d", d.isa,
			(int)n_rows, (int)n_in, (int)n_out);
		gpu_linear(d.g, one, put(&d, "x", SHAPE(1, n_in), x + (n_rows - 1) * n_in), tw, tb);
		if (!on_cuda())
			assert_same_bits(
				get(&d, one), got + (n_rows - 1) * n_out, n_out, "isa %d", d.isa);
		if (first && tw->dtype == GPU_SPLIT)
			assert_same_bits(got, first, n_rows * n_out, "isa %d", d.isa);
		first = got;
	}
}

/* A convolution's rows give the bits of the product over gathered rows, summed as gpu.h says;
 * on CUDA, where cuBLAS may sum otherwise, they are close to its exact sum. */
static void check_split_conv(int64_t n_in, int64_t dilation)
{
	enum { FRAMES = 70, KERNEL = 3, OUT = 40 };
	const int64_t rows = FRAMES - (KERNEL - 1) * dilation, columns = KERNEL * n_in;
	float *x = random_floats(FRAMES * n_in), *w = random_floats(OUT * columns);
	float *wide = keep((size_t)(rows * columns), sizeof(*wide));

	for (int64_t i = 0; i < rows * KERNEL; i++)
		memcpy(wide + i * n_in, x + (i / KERNEL + i % KERNEL * dilation) * n_in,
			(size_t)n_in * sizeof(*x));
	struct want want = naive_linear(wide, w, NULL, NULL, rows, OUT, columns, GPU_SPLIT);
	FOR_EACH_ISA(d)
	{
		let_split(&d);
		struct gpu_tensor *y = empty(&d, "y", SHAPE(rows, OUT)),
				  *z = empty(&d, "z", SHAPE(rows, OUT));
		struct gpu_tensor *tw = put_matrix(&d, GPU_SPLIT, "w", OUT, columns, w);
		gpu_conv1d(d.g, y, put(&d, "x", SHAPE(FRAMES, n_in), x), tw, NULL,
			(struct gpu_conv){.kernel = KERNEL, .dilation = dilation});
		gpu_linear(d.g, z,
			put(&d, "wide", SHAPE(rows, columns), by_blocks(wide, rows, KERNEL, n_in)),
			put_matrix(
				&d, GPU_SPLIT, "w", OUT, columns, by_blocks(w, OUT, KERNEL, n_in)),
			NULL);
		if (on_cuda())
			assert_close(get(&d, y), want, rows * OUT, "%d channels", (int)n_in);
		else
			assert_same_bits(get(&d, y), get(&d, z), rows * OUT, "isa %d, %d channels",
				d.isa, (int)n_in);
	}
}

static void splits(void **state)
{
	for (int i = 0; i < N_ODD_SIZES; i++) {
		seed((uint64_t)i);
		check_split(1 + i * 7, odd_sizes[(i * 3) % N_ODD_SIZES], odd_sizes[i]);
		test_done(NULL);
	}
	check_split(700, 70, 100);
	check_split(33, 65, 1600);
	check_split(550, 70, 1100);
	check_split_conv(5, 1);
	check_split_conv(32, 1);
	check_split_conv(64, 3);
	check_split_conv(40, 2);
}

static double error_of(const float *y, const double *exact, int64_t n)
{
	double sum = 0;

	for (int64_t i = 0; i < n; i++)
		sum += ((double)y[i] - exact[i]) * ((double)y[i] - exact[i]);
	return sqrt(sum / (double)n);
}

/* Six sums are rounded for each 32 of k, by the chain 32: the root mean square error is
 * sqrt(6 / 32) = 0.43 of the chain's, and some more for the sums within a block. */
static void split_is_closer(void **state)
{
	enum { ROWS = 64, OUT = 96, IN = 1536 };
	float *x = random_floats(ROWS * IN), *w = random_floats(OUT * IN);
	double exact[ROWS * OUT] = {0}, error[2];
	bool is_split = false;
	struct dev d;

	for (int i = 0; i < ROWS * OUT; i++)
		for (int k = 0; k < IN; k++)
			exact[i] += (double)x[i / OUT * IN + k] * (double)w[i % OUT * IN + k];
	assert_true(dev_open(&d, 2, CPU_GENERIC));
	for (int i = 0; i < 2; i++) {
		struct gpu_tensor *y = empty(&d, "y", SHAPE(ROWS, OUT));
		struct gpu_tensor *tw = put_matrix(&d, i ? GPU_SPLIT : GPU_F32, "w", OUT, IN, w);
		gpu_linear(d.g, y, put(&d, "x", SHAPE(ROWS, IN), x), tw, NULL);
		error[i] = error_of(get(&d, y), exact, ROWS * OUT);
		is_split = tw->dtype == GPU_SPLIT;
	}
	dev_close(&d);
	if (is_split)
		assert_true(error[1] < 0.5 * error[0]);
	else
		print_message("# without tile units a sum is the chain itself\n");
}

/* Threads do not change a bit. */
static void threads(void **state)
{
	enum { ROWS = 300, OUT = 700, IN = 200 };
	float *x = random_floats(ROWS * IN), *w = random_floats(OUT * IN), *first = NULL;

	for (int n = 1; n <= 4; n++) {
		struct dev d;
		assert_true(dev_open(&d, n, CPU_GENERIC));
		struct gpu_tensor *y = empty(&d, "y", SHAPE(ROWS, OUT));
		gpu_linear(d.g, y, put(&d, "x", SHAPE(ROWS, IN), x),
			put_matrix(&d, GPU_TILES, "w", OUT, IN, w), NULL);
		float *got = get(&d, y);
		if (first)
			assert_same_bits(got, first, ROWS * OUT, "%d threads", n);
		first = got;
		dev_close(&d);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(sums_are_as_stated),
		TEST(split_is_closer),
		TEST(split_attention),
		TEST(scores_grow),
		TEST(linears),
		TEST(convolutions),
		TEST(transposed),
		TEST(attention),
		TEST(sequences),
		TEST(splits),
		TEST(threads),
	};

	return RUN_TAP_WITH(tests, 4, 0); /* the order is the processor's */
}
