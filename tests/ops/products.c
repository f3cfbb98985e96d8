/* gpu_linear, the convolutions and the LSTM against their references, at every
 * dtype, instruction set and awkward size. */
#include "tests/ops/naive.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const enum gpu_dtype dtypes[] = {GPU_F32, GPU_BF16, GPU_I8};
static const char *const dtype_names[] = {
	[GPU_F32] = "f32", [GPU_BF16] = "bf16", [GPU_I8] = "int8"};

/* One product in every form: with and without bias, overwriting and adding. */
static void check_linear(int64_t n_rows, int64_t n_out, int64_t n_in, enum gpu_dtype dtype)
{
	float *x = random_floats(n_rows * n_in), *w = random_floats(n_out * n_in);
	float *bias = random_floats(n_out), *y0 = random_floats(n_rows * n_out);
	float *wq = quantised(dtype, n_out, n_in, w);
	const int64_t n = n_rows * n_out;
	const float *xm = multiplied(dtype, n_rows, x, n_rows * n_in);
	struct want plain = naive_linear(xm, wq, NULL, NULL, n_rows, n_out, n_in, dtype);
	struct want biased = naive_linear(xm, wq, bias, NULL, n_rows, n_out, n_in, dtype);
	struct want added = naive_linear(xm, wq, bias, y0, n_rows, n_out, n_in, dtype);

	FOR_EACH_ISA(d)
	{
		char what[128];
		snprintf(what, sizeof(what), "isa %d %s [%d, %d] x [%d, %d]", d.isa,
			dtype_names[dtype], (int)n_rows, (int)n_in, (int)n_out, (int)n_in);
		struct gpu_tensor *tx = put(&d, "x", SHAPE(n_rows, n_in), x),
				  *tw = put_matrix(&d, dtype, "w", n_out, n_in, w),
				  *tb = put(&d, "bias", SHAPE(n_out), bias),
				  *y = empty(&d, "y", SHAPE(n_rows, n_out));
		gpu_linear(d.g, y, tx, tw, NULL);
		assert_close(get(&d, y), plain, n, "linear %s", what);
		gpu_linear(d.g, y, tx, tw, tb);
		assert_close(get(&d, y), biased, n, "linear with bias %s", what);
		gpu_write(d.g, y, y0, (size_t)n * sizeof(*y0));
		gpu_linear_add(d.g, y, tx, tw, tb);
		assert_close(get(&d, y), added, n, "linear_add %s", what);
	}
}

static void linear_of_odd_sizes(void **state)
{
	static const int64_t rows[] = {1, 2, 3, 5, 9, 17};

	for (size_t t = 0; t < N_OF(dtypes); t++)
		for (int o = 0; o < N_ODD_SIZES; o++)
			for (int i = 0; i < N_ODD_SIZES; i++) {
				seed((uint64_t)(t * 100 + (size_t)o * 10 + (size_t)i));
				/* Rows vary with the sizes: each meets each over the table. */
				check_linear(rows[(o + 2 * i) % (int)N_OF(rows)], odd_sizes[o],
					odd_sizes[i], dtypes[t]);
				test_done(NULL);
			}
}

static void linear_of_every_row_count(void **state)
{
	for (size_t t = 0; t < N_OF(dtypes); t++)
		for (int64_t rows = 1; rows <= 34; rows++) {
			seed((uint64_t)rows);
			check_linear(rows, 37, 45, dtypes[t]);
			test_done(NULL);
		}
}

static void linear_of_many_tasks(void **state)
{
	static const int64_t sizes[][3] = {{1, 2048, 515}, {200, 257, 300}, {97, 3, 1100},
		{2, 4100, 70}, {1100, 5, 33}, {2, 75, 4500}, {8, 300, 8300}};

	for (size_t t = 0; t < N_OF(dtypes); t++) {
		for (size_t i = 0; i < N_OF(sizes); i++) {
			seed(i);
			check_linear(sizes[i][0], sizes[i][1], sizes[i][2], dtypes[t]);
			test_done(NULL);
		}
		/* More than 65 535 blocks of a GPU, which are four outputs, or one where rows
		 * become int8, or eight rows.  They are counted alike on all GPUs, and emulated
		 * take long. */
		if (!rounds_tiles())
			continue;
		check_linear(1, dtypes[t] == GPU_I8 ? 70000 : 270000, 5, dtypes[t]);
		test_done(NULL);
		check_linear(530000, 1, 3, dtypes[t]);
		test_done(NULL);
	}
}

/* A row gives the same bits alone and among up to eight. */
static void rows_alone(void **state)
{
	enum { ROWS = 8, OUT = 33 };
	static const int64_t sizes[] = {1, 6, 64, 130, 1028, 2050, 9000};

	for (size_t t = 0; t < N_OF(dtypes); t++)
		for (size_t i = 0; i < N_OF(sizes); i++) {
			const int64_t k = sizes[i];
			float *x = random_floats(ROWS * k), *w = random_floats(OUT * k);
			FOR_EACH_ISA(d)
			{
				struct gpu_tensor *tx = put(&d, "x", SHAPE(ROWS, k), x),
						  *tw = put_matrix(&d, dtypes[t], "w", OUT, k, w),
						  *y = empty(&d, "y", SHAPE(ROWS, OUT));
				gpu_linear(d.g, y, tx, tw, NULL);
				const float *all = get(&d, y);
				for (int first = 0; first < ROWS; first++) {
					const int64_t n = first % 3 + 1 > ROWS - first
								  ? ROWS - first
								  : first % 3 + 1;
					y = empty(&d, "y", SHAPE(n, OUT));
					gpu_linear(d.g, y, gpu_view(d.g, d.a, tx, 0, first, n), tw,
						NULL);
					assert_same_bits(get(&d, y), all + first * OUT, n * OUT,
						"isa %d %s row %d of K %d", d.isa,
						dtype_names[dtypes[t]], first, (int)k);
				}
			}
			test_done(NULL);
		}
}

/* Leading dimensions are rows. */
static void linear_of_rank_three(void **state)
{
	float *x = random_floats(2 * 3 * 20), *w = random_floats(33 * 20);
	struct want want = naive_linear(x, w, NULL, NULL, 6, 33, 20, GPU_F32);

	FOR_EACH_ISA(d)
	{
		struct gpu_tensor *y = empty(&d, "y", SHAPE(2, 3, 33));
		gpu_linear(d.g, y, put(&d, "x", SHAPE(2, 3, 20), x),
			put_matrix(&d, GPU_F32, "w", 33, 20, w), NULL);
		assert_close(get(&d, y), want, 6 * 33, "isa %d", d.isa);
	}
}

/* Zero rows and huge, tiny and equal weights; bf16 must round to nearest even. */
static void weights_at_the_edges(void **state)
{
	static const float edge[] = {0, -0.0f, 1, -1, 1e-30f, -1e30f, 3e38f, 1.00390625f,
		1.01171875f, -1.00390625f, 0x1.01p0f, 0x1.03p0f, 0x1.010002p0f, 1e-40f, 0x1p-126f,
		127, 126.4f, -0.6f};
	enum { N = N_OF(edge) };
	float *w = keep(N * N, sizeof(*w)), *one = keep(N * N, sizeof(*one));

	for (int i = 0; i < N; i++)
		one[i * N + i] = 1;
	memcpy(w, edge, sizeof(edge)); /* row 0; row 1 is zeros; row 2 is one value */
	for (int i = 0; i < N; i++)
		w[2 * N + i] = 0.7f;
	for (int i = 3 * N; i < N * N; i++)
		w[i] = uniform() * 1e-3f;
	FOR_EACH_ISA(d)
	{
		for (size_t t = 0; t < 2; t++) { /* times the unit matrix: the weights themselves */
			float *wq = quantised(dtypes[t], N, N, w);
			struct gpu_tensor *y = empty(&d, "y", SHAPE(N, N));
			gpu_linear(d.g, y, put(&d, "x", SHAPE(N, N), one),
				put_matrix(&d, dtypes[t], "w", N, N, w), NULL);
			float *got = get(&d, y);
			for (int i = 0; i < N; i++)
				for (int o = 0; o < N; o++)
					if (got[i * N + o] != wq[o * N + i])
						fail_msg("isa %d %s: weight %a became %a, not %a",
							d.isa, dtype_names[dtypes[t]],
							(double)w[o * N + i],
							(double)got[i * N + o],
							(double)wq[o * N + i]);
		}
	}
}

static void int8_weights_are_rounded_to_the_nearest_step(void **state)
{
	enum { N_OUT = 40, N_IN = 61 };
	float *w = random_floats(N_OUT * N_IN), *one = keep(N_IN * N_IN, sizeof(*one));

	for (int i = 0; i < N_IN; i++)
		one[i * N_IN + i] = 1;
	memset(w + 5 * N_IN, 0, N_IN * sizeof(*w));
	FOR_EACH_ISA(d)
	{
		struct gpu_tensor *y = empty(&d, "y", SHAPE(N_IN, N_OUT));
		gpu_linear(d.g, y, put(&d, "x", SHAPE(N_IN, N_IN), one),
			put_matrix(&d, GPU_I8, "w", N_OUT, N_IN, w), NULL);
		float *got = get(&d, y);
		for (int o = 0; o < N_OUT; o++) {
			float top = 0;
			for (int i = 0; i < N_IN; i++)
				top = fmaxf(top, fabsf(w[o * N_IN + i]));
			/* Half a step; the rest is the rounding of scales and products. */
			for (int i = 0; i < N_IN; i++)
				if (!(fabsf(got[i * N_OUT + o] - w[o * N_IN + i]) <=
					    top / 127 * 0.5001f))
					fail_msg("isa %d: weight %g became %g", d.isa,
						(double)w[o * N_IN + i],
						(double)got[i * N_OUT + o]);
		}
	}
}

/* Rows may be put in pieces, also into plain tensors. */
static void rows_come_in_pieces(void **state)
{
	float *w = random_floats(100 * 19), *x = random_floats(3 * 19);
	const int32_t ids[] = {99, 0, 57};

	FOR_EACH_ISA(d)
	{
		for (size_t t = 0; t < N_OF(dtypes); t++) {
			struct gpu_tensor *whole = put_matrix(&d, dtypes[t], "whole", 100, 19, w);
			struct gpu_tensor *pieces =
				gpu_new_matrix(d.g, d.a, dtypes[t], "pieces", 100, 19);
			struct gpu_tensor *tx = put(&d, "x", SHAPE(3, 19), x),
					  *y[2] = {empty(&d, "y0", SHAPE(3, 100)),
						  empty(&d, "y1", SHAPE(3, 100))};
			gpu_put_rows(d.g, pieces, 64, 36, w + 64 * 19);
			gpu_put_rows(d.g, pieces, 0, 32, w);
			gpu_put_rows(d.g, pieces, 32, 32, w + 32 * 19);
			gpu_linear(d.g, y[0], tx, whole, NULL);
			gpu_linear(d.g, y[1], tx, pieces, NULL);
			assert_same_bits(get(&d, y[0]), get(&d, y[1]), 300, "isa %d", d.isa);
		}
		for (size_t t = 0; t < 2; t++) {
			struct gpu_tensor *rows =
				gpu_new(d.g, d.a, dtypes[t], "rows", SHAPE(100, 19));
			struct gpu_tensor *y = empty(&d, "y", SHAPE(3, 19));
			float *wq = quantised(dtypes[t], 100, 19, w);
			gpu_put_rows(d.g, rows, 50, 50, w + 50 * 19);
			gpu_put_rows(d.g, rows, 0, 50, w);
			gpu_embed_sum(d.g, y, rows, put_ids(&d, "ids", SHAPE(3, 1), ids));
			float *got = get(&d, y);
			for (int i = 0; i < 3; i++)
				assert_same_bits(
					got + i * 19, wq + ids[i] * 19, 19, "row %d", ids[i]);
		}
	}
}

/* ---- rows as a file has them -------------------------------------------- */

/* Elements of a file, and what they are in f32. */
struct file {
	enum gpu_source_dtype dtype;
	const void *at;
	const float *value;
	int64_t n, next; /* what may be asked for next */
	int left;        /* calls until one fails; -1: none does */
};

static int read_file(void *ud, int64_t first, int64_t n, void *dst, struct err *e)
{
	struct file *f = ud;
	const size_t size = f->dtype == GPU_FROM_F32 ? 4 : 2;

	assert_true(first == f->next && n > 0 && n <= f->n - first);
	f->next = first + n;
	memcpy(dst, (const char *)f->at + (size_t)first * size, (size_t)n * size);
	return f->left >= 0 && !f->left-- ? err_set(e, ERR_FORMAT, "damaged") : 0;
}

/* 5 bits of exponent, bias 15. */
static float f16_value(uint16_t h)
{
	const int exponent = h >> 10 & 31, mantissa = h & 1023;
	const float x = exponent ? ldexpf((float)(1024 + mantissa), exponent - 25)
				 : ldexpf((float)mantissa, -24);

	return h & 0x8000 ? -x : x;
}

/* All finite values of 16 bits come by when n is large enough. */
static struct file file_new(enum gpu_source_dtype dtype, int64_t n)
{
	const uint16_t exponent = dtype == GPU_FROM_F16 ? 0x7c00 : 0x7f80;
	float *value = random_floats(n);
	uint16_t *half = keep((size_t)n, sizeof(*half));

	for (int64_t i = 0; i < n && dtype != GPU_FROM_F32; i++) {
		half[i] = (uint16_t)(i * 40503);
		half[i] ^= (half[i] & exponent) == exponent ? exponent : 0;
		value[i] = dtype == GPU_FROM_F16 ? f16_value(half[i]) : cpu_f32(half[i]);
	}
	return (struct file){dtype, dtype == GPU_FROM_F32 ? (void *)value : half, value, n, 0, -1};
}

static void *raw_of(const struct dev *d, const struct gpu_tensor *t)
{
	const size_t n = (size_t)gpu_raw_bytes(d->g, t);
	void *bytes = keep(n, 1);

	gpu_raw_read(d->g, t, 0, bytes, n);
	assert_fine(d->g);
	return bytes;
}

static struct gpu_tensor *rows_new(
	const struct dev *d, bool is_matrix, enum gpu_dtype dtype, int64_t n_out, int64_t n_in)
{
	return is_matrix ? gpu_new_matrix(d->g, d->a, dtype, "t", n_out, n_in)
			 : gpu_new(d->g, d->a, dtype, "t", SHAPE(n_out, n_in));
}

static void check_file(const struct dev *d, enum gpu_source_dtype from, int64_t n_out, int64_t n_in)
{
	static const struct {
		bool is_matrix;
		enum gpu_dtype dtype;
	} to[] = {{true, GPU_F32}, {true, GPU_BF16}, {true, GPU_I8}, {true, GPU_TILES},
		{true, GPU_SPLIT}, {false, GPU_F32}, {false, GPU_BF16}};
	const int64_t part = (n_out + 1) / 2 / GPU_ROW_GROUP * GPU_ROW_GROUP;

	for (size_t i = 0; i < N_OF(to); i++) {
		struct file f = file_new(from, n_out * n_in);
		struct file rest = f;
		const struct gpu_source source = {from, read_file, &f},
					more = {from, read_file, &rest};
		struct gpu_tensor *a = rows_new(d, to[i].is_matrix, to[i].dtype, n_out, n_in);
		struct gpu_tensor *b = rows_new(d, to[i].is_matrix, to[i].dtype, n_out, n_in);
		struct err e = {0};
		gpu_put_rows(d->g, a, 0, n_out, f.value);
		f.n = part * n_in;
		rest.n -= f.n;
		rest.at = (const char *)rest.at + (size_t)f.n * (from == GPU_FROM_F32 ? 4 : 2);
		assert_int_equal(gpu_put_rows_from(d->g, b, part, n_out - part, &more, &e), 0);
		assert_int_equal(gpu_put_rows_from(d->g, b, 0, part, &source, &e), 0);
		assert_true(f.next == f.n && rest.next == rest.n);
		if (memcmp(raw_of(d, a), raw_of(d, b), (size_t)gpu_raw_bytes(d->g, a)))
			fail_msg("source %d, target %zu, [%lld, %lld]: other bits", (int)from, i,
				(long long)n_out, (long long)n_in);
	}
}

/* The bits of gpu_put_rows(), whatever the file has. */
static void rows_of_a_file(void **state)
{
	static const enum gpu_source_dtype all[] = {GPU_FROM_F32, GPU_FROM_F16, GPU_FROM_BF16};

	FOR_EACH_ISA(d)
	{
		assert_int_equal(gpu_converts_rows(d.g), on_cuda());
		for (size_t i = 0; i < N_OF(all) && on_cuda(); i++) {
			for (size_t s = 0; s < N_ODD_SIZES; s++)
				check_file(
					&d, all[i], odd_sizes[N_ODD_SIZES - 1 - s], odd_sizes[s]);
			check_file(&d, all[i], 65, 1024); /* all of 16 bits; rows without filling */
		}
	}
}

/* More than a stage holds, in whole rows. */
static void long_rows_of_a_file(void **state)
{
	FOR_EACH_ISA(d)
	{
		struct file f = file_new(GPU_FROM_F32, 96 * 12001);
		const struct gpu_source source = {f.dtype, read_file, &f};
		struct gpu_tensor *t = gpu_new_matrix(d.g, d.a, GPU_F32, "t", 96, 12001);
		struct err e = {0};
		assert_int_equal(gpu_put_rows_from(d.g, t, 0, 96, &source, &e), 0);
		const float *bits = raw_of(&d, t);
		for (int64_t r = 0; r < 96; r++)
			assert_same_bits(bits + r * 12004, f.value + r * 12001, 12001, "row");
	}
}

/* What reading says is handed on, and the device is as before. */
static void files_that_fail(void **state)
{
	FOR_EACH_ISA(d)
	{
		struct file f = file_new(GPU_FROM_F16, 40 * 8);
		const struct gpu_source source = {f.dtype, read_file, &f};
		struct gpu_tensor *t = gpu_new_matrix(d.g, d.a, GPU_I8, "t", 40, 8);
		struct err e = {0};
		if (!gpu_converts_rows(d.g)) {
			gpu_put_rows_from(d.g, t, 0, 40, &source, &e);
			assert_gpu_error(d.g, ERR_UNSUPPORTED, "put_rows_from");
			continue;
		}
		f.left = 0;
		assert_int_equal(gpu_put_rows_from(d.g, t, 0, 40, &source, &e), ERR_FORMAT);
		assert_string_equal(e.text, "damaged");
		assert_fine(d.g);
		f.next = 0;
		assert_int_equal(gpu_put_rows_from(d.g, t, 0, 40, &source, &e), 0);
		gpu_put_rows_from(d.g, t, 8, 32, &source, &e);
		assert_gpu_error(d.g, ERR_BUG, "rows of a matrix come in groups of 32");
	}
}

/* ---- convolutions ------------------------------------------------------- */

/* A view of frames 2 .. n + 1 of a longer tensor, with this content. */
static struct gpu_tensor *put_view(const struct dev *d, const char *name, int64_t n_batch,
	int64_t n_time, int64_t n, const float *data)
{
	struct gpu_tensor *whole = empty(d, name, SHAPE(n_batch, n_time + 5, n));
	struct gpu_tensor *view = gpu_view(d->g, d->a, whole, 1, 2, n_time);

	gpu_copy(d->g, view, put(d, name, SHAPE(n_batch, n_time, n), data));
	return view;
}

struct conv_case {
	int64_t n_batch, n_time, n_in, n_out;
	struct gpu_conv conv;
};

static void check_conv1d(const struct conv_case *k, enum gpu_dtype dtype)
{
	const struct gpu_conv conv = k->conv;
	const int64_t dilation = conv.dilation ? conv.dilation : 1,
		      stride = conv.stride ? conv.stride : 1,
		      n_frames = (k->n_time - (conv.kernel - 1) * dilation - 1) / stride + 1,
		      n_cols = conv.kernel * k->n_in, n = k->n_batch * n_frames * k->n_out;
	float *x = random_floats(k->n_batch * k->n_time * k->n_in);
	float *w = random_floats(k->n_out * n_cols), *bias = random_floats(k->n_out);
	float *wq = quantised(dtype, k->n_out, n_cols, w);
	struct want want =
		naive_conv1d(multiplied(dtype, MANY_ROWS, x, k->n_batch * k->n_time * k->n_in), wq,
			bias, k->n_batch, k->n_time, k->n_in, k->n_out, conv, dtype == GPU_I8);

	FOR_EACH_ISA(d)
	{
		char what[128];
		snprintf(what, sizeof(what),
			"isa %d %s B %d T %d %d -> %d kernel %d /%d dilation %d", d.isa,
			dtype_names[dtype], (int)k->n_batch, (int)k->n_time, (int)k->n_in,
			(int)k->n_out, (int)conv.kernel, (int)stride, (int)dilation);
		struct gpu_tensor *tw = put_matrix(&d, dtype, "w", k->n_out, n_cols, w),
				  *tb = put(&d, "bias", SHAPE(k->n_out), bias),
				  *y = empty(&d, "y", SHAPE(k->n_batch, n_frames, k->n_out)),
				  *long_y =
					  empty(&d, "y", SHAPE(k->n_batch, n_frames + 3, k->n_out)),
				  *view = gpu_view(d.g, d.a, long_y, 1, 3, n_frames);
		gpu_conv1d(d.g, y, put(&d, "x", SHAPE(k->n_batch, k->n_time, k->n_in), x), tw, tb,
			conv);
		assert_close(get(&d, y), want, n, "conv1d %s", what);
		gpu_conv1d(d.g, view, put_view(&d, "x", k->n_batch, k->n_time, k->n_in, x), tw, tb,
			conv);
		assert_close(get(&d, view), want, n, "conv1d of views %s", what);
		assert_true(isnan(get(&d, long_y)[3 * k->n_out - 1])); /* nothing before the view */
		if (k->n_batch > 1)
			continue;
		struct gpu_tensor *flat = empty(&d, "y", SHAPE(n_frames, k->n_out));
		gpu_conv1d(d.g, flat, put(&d, "x", SHAPE(k->n_time, k->n_in), x), tw, tb, conv);
		assert_same_bits(get(&d, flat), get(&d, y), n, "conv1d of rank 2 %s", what);
	}
}

static const struct conv_case conv_cases[] = {
	{1, 1, 1, 1, {1, 0, 0}},
	{1, 7, 1, 3, {7, 0, 0}},
	{2, 33, 3, 2, {3, 1, 1}},
	{3, 40, 2, 33, {7, 1, 1}},
	{1, 65, 31, 32, {3, 1, 2}},
	{2, 50, 5, 7, {3, 1, 4}},
	{2, 41, 7, 65, {4, 2, 1}},
	{1, 100, 3, 63, {10, 5, 1}},
	{2, 64, 4, 31, {8, 4, 1}},
	{1, 63, 5, 100, {5, 3, 2}},
	{2, 130, 32, 1, {7, 1, 1}},
	{1, 300, 32, 64, {3, 1, 1}},
	{12, 9, 3, 5, {5, 1, 1}}, /* more sequences than taps */
	{2, 60, 5, 7, {5, 2, 3}},
	{2, 130, 12, 7, {7, 1, 9}}, /* dilated, channels in fours */
	{1, 75, 132, 40, {7, 1, 3}},
	{1, 25, 4, 3, {7, 1, 4}},
};

static void conv1d(void **state)
{
	for (size_t t = 0; t < N_OF(dtypes); t++)
		for (size_t i = 0; i < N_OF(conv_cases); i++) {
			seed(i);
			check_conv1d(&conv_cases[i], dtypes[t]);
			test_done(NULL);
		}
}

/* PyTorch's [Cin, Cout, kernel] in the layout of gpu.h. */
static float *transposed_matrix(const float *w, int64_t n_in, int64_t n_out, struct gpu_conv conv)
{
	const int64_t m = (conv.kernel + conv.stride - 1) / conv.stride;
	float *out = keep((size_t)(conv.stride * n_out * m * n_in), sizeof(*out));

	for (int64_t j = 0; j < conv.stride; j++)
		for (int64_t o = 0; o < n_out; o++)
			for (int64_t i = 0; i < m; i++)
				for (int64_t c = 0; c < n_in; c++) {
					int64_t tap = j + (m - 1 - i) * conv.stride;
					if (tap < conv.kernel)
						out[((j * n_out + o) * m + i) * n_in + c] =
							w[(c * n_out + o) * conv.kernel + tap];
				}
	return out;
}

static void check_conv_transpose1d(const struct conv_case *k, enum gpu_dtype dtype)
{
	const struct gpu_conv conv = k->conv;
	const int64_t m = (conv.kernel + conv.stride - 1) / conv.stride,
		      n_frames = (k->n_time - m + 1) * conv.stride,
		      n = k->n_batch * n_frames * k->n_out;
	float *x = random_floats(k->n_batch * k->n_time * k->n_in);
	float *w = random_floats(k->n_in * k->n_out * conv.kernel);
	float *bias = random_floats(k->n_out);
	/* Rounding to bf16 does not depend on the layout. */
	float *wq = quantised(dtype, k->n_in, k->n_out * conv.kernel, w);
	struct want want = naive_conv_transpose1d(
		multiplied(dtype, MANY_ROWS, x, k->n_batch * k->n_time * k->n_in), wq, bias,
		k->n_batch, k->n_time, k->n_in, k->n_out, conv);

	FOR_EACH_ISA(d)
	{
		char what[128];
		snprintf(what, sizeof(what), "isa %d %s B %d T %d %d -> %d kernel %d /%d", d.isa,
			dtype_names[dtype], (int)k->n_batch, (int)k->n_time, (int)k->n_in,
			(int)k->n_out, (int)conv.kernel, (int)conv.stride);
		struct gpu_tensor *tw = put_matrix(&d, dtype, "w", conv.stride * k->n_out,
					  m * k->n_in,
					  transposed_matrix(w, k->n_in, k->n_out, conv)),
				  *tb = put(&d, "bias", SHAPE(k->n_out), bias),
				  *y = empty(&d, "y", SHAPE(k->n_batch, n_frames, k->n_out)),
				  *long_y =
					  empty(&d, "y", SHAPE(k->n_batch, n_frames + 3, k->n_out)),
				  *view = gpu_view(d.g, d.a, long_y, 1, 3, n_frames);
		gpu_conv_transpose1d(d.g, y, put(&d, "x", SHAPE(k->n_batch, k->n_time, k->n_in), x),
			tw, tb, conv);
		assert_close(get(&d, y), want, n, "conv_transpose1d %s", what);
		gpu_conv_transpose1d(d.g, view,
			put_view(&d, "x", k->n_batch, k->n_time, k->n_in, x), tw, tb, conv);
		assert_close(get(&d, view), want, n, "conv_transpose1d of views %s", what);
	}
}

static const struct conv_case transposed_cases[] = {
	{1, 1, 1, 1, {1, 1, 0}}, {1, 5, 3, 2, {2, 1, 0}}, {2, 9, 7, 3, {4, 2, 0}},
	{1, 33, 31, 32, {8, 4, 0}}, {2, 20, 5, 33, {10, 5, 0}}, {1, 17, 4, 7, {16, 8, 0}},
	{1, 12, 3, 5, {7, 3, 0}},  /* the stride does not divide the kernel */
	{2, 12, 2, 65, {3, 4, 0}}, /* shorter than the stride: gaps */
};

static void conv_transpose1d(void **state)
{
	for (size_t t = 0; t < 2; t++)
		for (size_t i = 0; i < N_OF(transposed_cases); i++) {
			seed(i);
			check_conv_transpose1d(&transposed_cases[i], dtypes[t]);
			test_done(NULL);
		}
}

/* int8 has a scale per row of the packed layout: compared with the product it is. */
static void conv_transpose1d_int8(void **state)
{
	enum { T = 12, IN = 5, OUT = 7, STRIDE = 4, M = 2 };
	float *x = random_floats(T * IN), *w = random_floats(STRIDE * OUT * M * IN);
	float *wq = quantised(GPU_I8, STRIDE * OUT, M * IN, w),
	      *rows = keep(T * M * IN, sizeof(*x));

	for (int t = 0; t < T - M + 1; t++)
		memcpy(rows + t * M * IN, x + t * IN, M * IN * sizeof(*x));
	struct want want = naive_linear(multiplied(GPU_I8, MANY_ROWS, rows, T * M * IN), wq, NULL,
		NULL, T - M + 1, STRIDE * OUT, M * IN, GPU_I8);
	FOR_EACH_ISA(d)
	{
		struct gpu_tensor *y = empty(&d, "y", SHAPE((T - M + 1) * STRIDE, OUT));
		gpu_conv_transpose1d(d.g, y, put(&d, "x", SHAPE(T, IN), x),
			put_matrix(&d, GPU_I8, "w", STRIDE * OUT, M * IN, w), NULL,
			(struct gpu_conv){.kernel = 8, .stride = STRIDE});
		assert_close(get(&d, y), want, (T - M + 1) * STRIDE * OUT, "isa %d", d.isa);
	}
}

/* ---- LSTM --------------------------------------------------------------- */

static struct want exactly(const float *x, int64_t n)
{
	struct want want = want_new(n);

	for (int64_t i = 0; i < n; i++)
		want.y[i] = x[i];
	return want;
}

static void check_lstm(
	int64_t n_batch, int64_t n_time, int64_t n_in, int64_t n_out, enum gpu_dtype dtype)
{
	const int64_t n_state = n_batch * n_out, n = n_batch * n_time * n_out;
	float *x = random_floats(n_batch * n_time * n_in), *bias = random_floats(4 * n_out);
	float *w_ih = random_floats(4 * n_out * n_in), *w_hh = random_floats(4 * n_out * n_out);
	float *h0 = random_floats(n_state), *c0 = random_floats(n_state);

	/* PyTorch's initial range: gates stay out of saturation, errors do not grow. */
	for (int64_t i = 0; i < 4 * n_out * n_out; i++)
		w_hh[i] /= sqrtf((float)n_out);
	float *w_ihq = quantised(dtype, 4 * n_out, n_in, w_ih);
	float *w_hhq = quantised(dtype, 4 * n_out, n_out, w_hh);
	struct want h = exactly(h0, n_state), c = exactly(c0, n_state);
	struct want want = naive_lstm(x, w_ihq, w_hhq, bias, h, c, n_batch, n_time, n_in, n_out);

	FOR_EACH_ISA(d)
	{
		char what[128];
		snprintf(what, sizeof(what), "isa %d %s B %d T %d %d -> %d", d.isa,
			dtype_names[dtype], (int)n_batch, (int)n_time, (int)n_in, (int)n_out);
		for (int view = 0; view < 2; view++) {
			struct gpu_lstm lstm = {
				.w_ih = put_matrix(&d, dtype, "w_ih", 4 * n_out, n_in, w_ih),
				.w_hh = put_matrix(&d, dtype, "w_hh", 4 * n_out, n_out, w_hh),
				.bias = put(&d, "bias", SHAPE(4 * n_out), bias),
				.h = put(&d, "h", SHAPE(n_batch, n_out), h0),
				.c = put(&d, "c", SHAPE(n_batch, n_out), c0),
			};
			struct gpu_tensor *y = empty(&d, "y", SHAPE(n_batch, n_time + view, n_out));
			struct gpu_tensor *tx =
				view ? put_view(&d, "x", n_batch, n_time, n_in, x)
				     : put(&d, "x", SHAPE(n_batch, n_time, n_in), x);
			y = view ? gpu_view(d.g, d.a, y, 1, 1, n_time) : y;
			gpu_lstm(d.g, y, tx, &lstm);
			assert_close(get(&d, y), want, n, "lstm y %s", what);
			assert_close(get(&d, lstm.h), h, n_state, "lstm h %s", what);
			assert_close(get(&d, lstm.c), c, n_state, "lstm c %s", what);
		}
	}
}

static void lstm(void **state)
{
	static const int64_t sizes[][4] = {{1, 1, 1, 2}, {1, 5, 3, 7}, {2, 9, 31, 32},
		{3, 20, 33, 33}, {1, 70, 16, 63}, {9, 3, 7, 65}, {2, 130, 4, 100}};

	for (size_t t = 0; t < 2; t++)
		for (size_t i = 0; i < N_OF(sizes); i++) {
			seed(i);
			check_lstm(sizes[i][0], sizes[i][1], sizes[i][2], sizes[i][3], dtypes[t]);
			test_done(NULL);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(linear_of_odd_sizes),
		TEST(linear_of_every_row_count),
		TEST(linear_of_many_tasks),
		TEST(rows_alone),
		TEST(linear_of_rank_three),
		TEST(weights_at_the_edges),
		TEST(int8_weights_are_rounded_to_the_nearest_step),
		TEST(rows_come_in_pieces),
		TEST(rows_of_a_file),
		TEST(files_that_fail),
		TEST(conv1d),
		TEST(conv_transpose1d),
		TEST(conv_transpose1d_int8),
		TEST(lstm),
		TEST(long_rows_of_a_file),
	};

	return RUN_TAP_WITH(tests, 0, 1); /* the CPU takes no rows of a file */
}
