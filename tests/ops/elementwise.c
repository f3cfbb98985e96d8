/* Norms, elementwise ops, copies and lookups against their references. */
#include "tests/ops/naive.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const int64_t rows_of_sizes[] = {1, 2, 3, 17};

/* ---- norms -------------------------------------------------------------- */

static void check_norm(int64_t n_rows, int64_t n, float offset, float range)
{
	float *x = random_floats(n_rows * n), *w = random_floats(n), *b = random_floats(n);
	const float eps = 1e-5f;

	for (int64_t i = 0; i < n_rows * n; i++)
		x[i] = x[i] * range + offset;
	struct want layer = naive_norm(x, w, b, eps, false, n_rows, n);
	struct want rms = naive_norm(x, w, NULL, eps, true, n_rows, n);
	FOR_EACH_ISA(d)
	{
		struct gpu_tensor *tx = put(&d, "x", SHAPE(n_rows, n), x),
				  *tw = put(&d, "w", SHAPE(n), w), *tb = put(&d, "b", SHAPE(n), b),
				  *y = empty(&d, "y", SHAPE(n_rows, n));
		gpu_layer_norm(d.g, y, tx, tw, tb, eps);
		assert_close(get(&d, y), layer, n_rows * n, "isa %d layer_norm [%d, %d] + %g",
			d.isa, (int)n_rows, (int)n, (double)offset);
		gpu_rms_norm(d.g, y, tx, tw, eps);
		float *apart = get(&d, y);
		assert_close(apart, rms, n_rows * n, "isa %d rms_norm [%d, %d] + %g", d.isa,
			(int)n_rows, (int)n, (double)offset);
		gpu_rms_norm(d.g, tx, tx, tw, eps);
		assert_same_bits(get(&d, tx), apart, n_rows * n, "in place");
	}
}

static void norms(void **state)
{
	for (int i = 0; i < N_ODD_SIZES; i++)
		for (size_t r = 0; r < N_OF(rows_of_sizes); r++) {
			seed((uint64_t)i);
			check_norm(rows_of_sizes[r], odd_sizes[i], 0, 1);
			test_done(NULL);
		}
	check_norm(70, 1024, 0, 3);
	/* rows that CUDA holds in registers, in each of its ways */
	check_norm(1030, 128, 0, 1);
	check_norm(515, 252, 0, 1);
	check_norm(2, 384, 5, 1);
	check_norm(3, 640, 0, 1);
	check_norm(2, 900, 0, 1);
	check_norm(5, 1536, 10, 1);
	check_norm(2, 4092, 0, 1);
	check_norm(3, 2049, 0, 100);
	check_norm(3, 64, 1000, 1); /* one pass over x^2 would lose the variance */
	check_norm(2, 100, 0, 1e-6f);
	check_norm(1, 33, 0, 0);
}

/* ---- unary -------------------------------------------------------------- */

typedef void unary_fn(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x);
static unary_fn *const unary_fns[] = {[GPU_UNARY_RELU] = gpu_relu,
	[GPU_UNARY_GELU] = gpu_gelu,
	[GPU_UNARY_ELU] = gpu_elu,
	[GPU_UNARY_SIGMOID] = gpu_sigmoid,
	[GPU_UNARY_TANH] = gpu_tanh,
	[GPU_UNARY_SILU] = gpu_silu};
static const char *const unary_names[] = {[GPU_UNARY_RELU] = "relu",
	[GPU_UNARY_GELU] = "gelu",
	[GPU_UNARY_ELU] = "elu",
	[GPU_UNARY_SIGMOID] = "sigmoid",
	[GPU_UNARY_TANH] = "tanh",
	[GPU_UNARY_SILU] = "silu"};

static void check_unary(const float *x, int64_t n)
{
	for (size_t op = 0; op < N_OF(unary_fns); op++) {
		struct want want = naive_unary(x, (enum gpu_unary)op, n);
		FOR_EACH_ISA(d)
		{
			struct gpu_tensor *tx = put(&d, "x", SHAPE(n), x),
					  *y = empty(&d, "y", SHAPE(n));
			unary_fns[op](d.g, y, tx);
			float *apart = get(&d, y);
			assert_close(
				apart, want, n, "isa %d %s of %d", d.isa, unary_names[op], (int)n);
			unary_fns[op](d.g, tx, tx);
			assert_same_bits(get(&d, tx), apart, n, "in place");
		}
	}
}

static void unary_of_odd_sizes(void **state)
{
	for (int i = 0; i < N_ODD_SIZES; i++)
		check_unary(random_floats(odd_sizes[i]), odd_sizes[i]);
}

/* 200 000 values from -20 to 20 and over all magnitudes. */
static void unary_over_the_whole_range(void **state)
{
	enum { N = 200000 };
	float *x = random_floats(N);

	for (int i = 0; i < N; i++)
		x[i] = i % 2 ? x[i] * 20 : ldexpf(x[i], (int)below(150) - 140);
	check_unary(x, N);
}

static void unary_at_the_edges(void **state)
{
	static const float x[] = {0, -0.0f, 1, -1, FLT_MAX, -FLT_MAX, FLT_MIN, -FLT_MIN, 1e-45f,
		-1e-45f, -87, -88, -104, 88, 89, -17.3f, -17.4f, 1.4142135f, -1.4142136f, 5.6f,
		-5.7f, -0.34657f, -0.34658f, INFINITY};
	float not_a_number = NAN;

	check_unary(x, N_OF(x));
	FOR_EACH_ISA(d)
	{
		for (size_t op = 0; op < N_OF(unary_fns); op++) {
			struct gpu_tensor *y = empty(&d, "y", SHAPE(1));
			gpu_fill(d.g, y, 0);
			unary_fns[op](d.g, y, put(&d, "x", SHAPE(1), &not_a_number));
			assert_true(isnan(get(&d, y)[0]));
		}
		struct gpu_tensor *y = put(&d, "x", SHAPE(1), (float[]){-INFINITY});
		gpu_elu(d.g, y, y);
		assert_true(get(&d, y)[0] == -1);
		gpu_relu(d.g, y, y);
		assert_true(get(&d, y)[0] == 0);
	}
}

/* ---- views -------------------------------------------------------------- */

enum { B = 3, T = 11, C = 37, WHOLE = B * T * C, FIRST = 2, N = 6, PART = B * N * C };

/* Element (b, t, c) of frames FIRST .. FIRST + N - 1. */
static int64_t at_view(int64_t i)
{
	return (i / (N * C) * T + FIRST + i / C % N) * C + i % C;
}

static void unary_and_fill_of_views(void **state)
{
	float *x = random_floats(WHOLE);

	FOR_EACH_ISA(d)
	{
		struct gpu_tensor *whole = put(&d, "x", SHAPE(B, T, C), x);
		struct gpu_tensor *view = gpu_view(d.g, d.a, whole, 1, FIRST, N);
		gpu_relu(d.g, view, view);
		float *got = get(&d, whole), *want = keep(WHOLE, sizeof(*want));
		memcpy(want, x, WHOLE * sizeof(*x));
		for (int64_t i = 0; i < PART; i++)
			want[at_view(i)] = fmaxf(x[at_view(i)], 0);
		assert_same_bits(got, want, WHOLE, "relu of a view, isa %d", d.isa);
		gpu_fill(d.g, view, -2.5f);
		got = get(&d, whole);
		for (int64_t i = 0; i < PART; i++)
			want[at_view(i)] = -2.5f;
		assert_same_bits(got, want, WHOLE, "fill of a view, isa %d", d.isa);
	}
}

static void add_of_views(void **state)
{
	float *x = random_floats(WHOLE), *b = random_floats(PART),
	      *want = keep(WHOLE, sizeof(*want));

	memcpy(want, x, WHOLE * sizeof(*x));
	for (int64_t i = 0; i < PART; i++)
		want[at_view(i)] = x[at_view(i)] + b[i];
	FOR_EACH_ISA(d)
	{
		struct gpu_tensor *whole = put(&d, "x", SHAPE(B, T, C), x);
		struct gpu_tensor *view = gpu_view(d.g, d.a, whole, 1, FIRST, N);
		gpu_add(d.g, view, view, put(&d, "b", SHAPE(B, N, C), b));
		assert_same_bits(get(&d, whole), want, WHOLE, "isa %d", d.isa);
		/* A repeated row of a rank-3 tensor, into a contiguous one. */
		struct gpu_tensor *y = empty(&d, "y", SHAPE(B, N, C));
		gpu_add(d.g, y, view, put(&d, "b", SHAPE(1, N, C), b));
		float *got = get(&d, y);
		for (int64_t i = 0; i < PART; i++)
			assert_true(got[i] == want[at_view(i)] + b[i % (N * C)]);
	}
}

static void add_with_repeated_rows(void **state)
{
	static const int64_t cases[][3] = {{1, 1, 1}, {6, 2, 33}, {6, 3, 31}, {40, 1, 100},
		{9, 9, 7}, {300, 2, 129}, {2, 1, 40000}};

	for (size_t k = 0; k < N_OF(cases); k++) {
		const int64_t rows = cases[k][0], b_rows = cases[k][1], n = cases[k][2];
		float *a = random_floats(rows * n), *b = random_floats(b_rows * n);
		float *want = keep((size_t)(rows * n), sizeof(*want));
		for (int64_t i = 0; i < rows * n; i++)
			want[i] = a[i] + b[i % (b_rows * n)];
		FOR_EACH_ISA(d)
		{
			struct gpu_tensor *ta = put(&d, "a", SHAPE(rows, n), a),
					  *tb = put(&d, "b", SHAPE(b_rows, n), b),
					  *y = empty(&d, "y", SHAPE(rows, n));
			gpu_add(d.g, y, ta, tb);
			assert_same_bits(
				get(&d, y), want, rows * n, "isa %d case %d", d.isa, (int)k);
			gpu_add(d.g, ta, ta, tb);
			assert_same_bits(get(&d, ta), want, rows * n, "in place");
		}
	}
}

static void copy_and_flip(void **state)
{
	float *x = random_floats(WHOLE);

	FOR_EACH_ISA(d)
	{
		struct gpu_tensor *whole = put(&d, "x", SHAPE(B, T, C), x);
		struct gpu_tensor *from = gpu_view(d.g, d.a, whole, 1, FIRST, N);
		struct gpu_tensor *target = empty(&d, "y", SHAPE(B, T, C));
		struct gpu_tensor *to = gpu_view(d.g, d.a, target, 1, T - N, N);
		gpu_copy(d.g, to, from);
		float *got = get(&d, target);
		for (int64_t i = 0; i < WHOLE; i++) {
			int64_t t = i / C % T;
			if (t < T - N)
				assert_true(isnan(got[i]));
			else
				assert_true(got[i] == x[i + (FIRST - (T - N)) * C]);
		}
		gpu_flip(d.g, to, from);
		float *flat = get(&d, to);
		for (int64_t i = 0; i < PART; i++) {
			int64_t t = i / C % N, other = i + (N - 1 - 2 * t) * C;
			assert_true(flat[i] == x[at_view(other)]);
		}
		struct gpu_tensor *y = empty(&d, "y", SHAPE(B * T, C));
		gpu_flip(d.g, y, gpu_reshape(d.g, d.a, whole, SHAPE(B * T, C)));
		float *flipped = get(&d, y);
		for (int64_t i = 0; i < WHOLE; i++)
			assert_true(flipped[i] == x[(B * T - 1 - i / C) * C + i % C]);
	}
}

/* A streaming buffer moves its last frames to the front. */
static void copy_within_a_tensor(void **state)
{
	enum { LONG = 5000, KEEP = 4800, COLS = 3 };
	float *x = random_floats(2 * LONG * COLS);

	FOR_EACH_ISA(d)
	{
		for (int up = 0; up < 2; up++) {
			struct gpu_tensor *whole = put(&d, "x", SHAPE(2, LONG, COLS), x);
			int64_t from = up ? 0 : LONG - KEEP, to = up ? LONG - KEEP : 0;
			gpu_copy(d.g, gpu_view(d.g, d.a, whole, 1, to, KEEP),
				gpu_view(d.g, d.a, whole, 1, from, KEEP));
			float *got = get(&d, whole);
			for (int64_t b = 0; b < 2; b++)
				assert_same_bits(got + (b * LONG + to) * COLS,
					x + (b * LONG + from) * COLS, KEEP * COLS, "moved");
		}
	}
}

static void copy_of_every_dtype(void **state)
{
	const int32_t ids[] = {5, -6, 7};
	float *w = random_floats(40);

	FOR_EACH_ISA(d)
	{
		struct gpu_tensor *a = put_ids(&d, "a", SHAPE(3), ids),
				  *b = gpu_new(d.g, d.a, GPU_I32, "b", SHAPE(3)),
				  *h[2] = {gpu_new(d.g, d.a, GPU_BF16, "h0", SHAPE(4, 10)),
					  gpu_new(d.g, d.a, GPU_BF16, "h1", SHAPE(4, 10))};
		uint16_t bits[2][40];
		gpu_copy(d.g, b, a);
		assert_memory_equal(get_ids(&d, b), ids, sizeof(ids));
		gpu_put_rows(d.g, h[0], 0, 4, w);
		gpu_copy(d.g, h[1], h[0]);
		gpu_read(d.g, h[0], bits[0], sizeof(bits[0]));
		gpu_read(d.g, h[1], bits[1], sizeof(bits[1]));
		assert_fine(d.g);
		assert_memory_equal(bits[0], bits[1], sizeof(bits[0]));
		for (int i = 0; i < 40; i++)
			assert_int_equal(bits[0][i], cpu_bf16(w[i]));
	}
}

/* ---- lookups ------------------------------------------------------------ */

static void embed_sum(void **state)
{
	static const int64_t cases[][4] = {/* T, K, rows per table, D */
		{1, 1, 1, 1}, {3, 4, 5, 33}, {17, 2, 100, 65}, {2, 9, 3, 7}, {300, 4, 30, 128}};

	for (size_t k = 0; k < N_OF(cases); k++) {
		const int64_t n_time = cases[k][0], n_ids = cases[k][1], rows = cases[k][2],
			      n = cases[k][3];
		float *table = random_floats(n_ids * rows * n);
		int32_t *ids = keep((size_t)(n_time * n_ids), sizeof(*ids));
		for (int64_t i = 0; i < n_time * n_ids; i++)
			ids[i] = (int32_t)below(rows);
		for (int dtype = GPU_F32; dtype <= GPU_BF16; dtype++) {
			float *held = quantised((enum gpu_dtype)dtype, n_ids * rows, n, table);
			float *want = keep((size_t)(n_time * n), sizeof(*want));
			/* f32 additions in the order of k: the same bits */
			for (int64_t i = 0; i < n_time * n; i++)
				for (int64_t j = 0; j < n_ids; j++)
					want[i] += held[(j * rows + ids[i / n * n_ids + j]) * n +
							i % n];
			FOR_EACH_ISA(d)
			{
				struct gpu_tensor *t = gpu_new(d.g, d.a, (enum gpu_dtype)dtype,
							  "table", SHAPE(n_ids * rows, n)),
						  *y = empty(&d, "y", SHAPE(n_time, n));
				gpu_put_rows(d.g, t, 0, n_ids * rows, table);
				gpu_embed_sum(
					d.g, y, t, put_ids(&d, "ids", SHAPE(n_time, n_ids), ids));
				assert_same_bits(get(&d, y), want, n_time * n, "isa %d case %d",
					d.isa, (int)k);
			}
		}
	}
}

static void ids_out_of_range(void **state)
{
	float *table = random_floats(2 * 3 * 4);

	FOR_EACH_ISA(d)
	{
		static const int32_t wrong[] = {3, -1, INT32_MAX, INT32_MIN};
		for (size_t i = 0; i < N_OF(wrong); i++) {
			const int32_t ids[] = {0, 2, 1, wrong[i]};
			gpu_embed_sum(d.g, empty(&d, "y", SHAPE(2, 4)),
				put(&d, "words", SHAPE(6, 4), table),
				put_ids(&d, "tokens", SHAPE(2, 2), ids));
			/* A kernel knows no names. */
			assert_gpu_error(d.g, ERR_BUG,
				on_cuda() ? "is not a row of its table"
					  : "of 'tokens' is not below the 3 rows of 'words'");
			assert_fine(d.g); /* told once */
		}
	}
}

/* Distances are sums of D products in f32; an entry that is nearer than the one
 * chosen by more than their errors is a fault. */
static void check_rvq(int64_t n_time, int64_t n_books, int64_t n_entries, int64_t n)
{
	float *z = random_floats(n_time * n), *books = random_floats(n_books * n_entries * n);

	FOR_EACH_ISA(d)
	{
		struct gpu_tensor *codes =
			gpu_new(d.g, d.a, GPU_I32, "codes", SHAPE(n_time, n_books));
		gpu_rvq_encode(d.g, codes, put(&d, "z", SHAPE(n_time, n), z),
			put(&d, "books", SHAPE(n_books, n_entries, n), books));
		int32_t *got = get_ids(&d, codes);
		for (int64_t t = 0; t < n_time; t++) {
			float *left = keep((size_t)n, sizeof(*left));
			memcpy(left, z + t * n, (size_t)n * sizeof(*left));
			for (int64_t k = 0; k < n_books; k++) {
				const float *book = books + k * n_entries * n;
				const int32_t code = got[t * n_books + k];
				double best = INFINITY, chosen = 0, size = 0;
				assert_in_range(code, 0, n_entries - 1);
				for (int64_t e = 0; e < n_entries; e++) {
					double distance = 0, magnitude = 0;
					for (int64_t i = 0; i < n; i++) {
						double a = left[i], b = book[e * n + i];
						distance += (a - b) * (a - b);
						magnitude += a * a + 2 * fabs(a * b) + b * b;
					}
					best = fmin(best, distance);
					size = fmax(size, magnitude);
					if (e == code)
						chosen = distance;
				}
				if (chosen > best + 2 * MARGIN * (double)(n + 4) * U * size)
					fail_msg("isa %d frame %d book %d: code %d is %g away, "
						 "the nearest %g",
						d.isa, (int)t, (int)k, (int)code, chosen, best);
				for (int64_t i = 0; i < n; i++)
					left[i] -= book[code * n + i];
			}
		}
	}
}

static void rvq_encode(void **state)
{
	seed(1);
	check_rvq(1, 1, 1, 1);
	check_rvq(3, 2, 7, 5);
	check_rvq(9, 4, 33, 31);
	check_rvq(2, 3, 100, 65);
	check_rvq(40, 4, 256, 128);
}

static void rvq_takes_the_first_of_equals(void **state)
{
	/* Entries 1 and 3 are the same; small integers, so distances are exact. */
	static const float book[] = {9, 9, 1, 2, 5, 5, 1, 2}, z[] = {1, 1};

	FOR_EACH_ISA(d)
	{
		struct gpu_tensor *codes = gpu_new(d.g, d.a, GPU_I32, "codes", SHAPE(1, 1));
		gpu_rvq_encode(d.g, codes, put(&d, "z", SHAPE(1, 2), z),
			put(&d, "book", SHAPE(1, 4, 2), book));
		assert_int_equal(get_ids(&d, codes)[0], 1);
	}
}

static void guidance(void **state)
{
	static const int64_t cases[][2] = {{1, 1}, {2, 33}, {3, 100}, {4, 2048}, {9, 5000}};

	for (size_t k = 0; k < N_OF(cases); k++) {
		const int64_t rows = cases[k][0], n = cases[k][1];
		float *logits = random_floats(2 * rows * n);
		float *want = keep((size_t)(rows * n), sizeof(*want));
		for (int64_t i = 0; i < rows * n; i++) {
			float null = logits[rows * n + i];
			want[i] = null + (logits[i] - null) * 3.0f; /* the tests fuse nothing */
		}
		FOR_EACH_ISA(d)
		{
			struct gpu_tensor *t = put(&d, "logits", SHAPE(2 * rows, n), logits),
					  *y = empty(&d, "y", SHAPE(rows, n));
			gpu_guidance(d.g, y, t, 3);
			assert_same_bits(
				get(&d, y), want, rows * n, "isa %d case %d", d.isa, (int)k);
			struct gpu_tensor *half = gpu_view(d.g, d.a, t, 0, 0, rows);
			gpu_guidance(d.g, half, t, 3);
			assert_same_bits(get(&d, half), want, rows * n, "in place");
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(norms),
		TEST(unary_of_odd_sizes),
		TEST(unary_over_the_whole_range),
		TEST(unary_at_the_edges),
		TEST(unary_and_fill_of_views),
		TEST(add_of_views),
		TEST(add_with_repeated_rows),
		TEST(copy_and_flip),
		TEST(copy_within_a_tensor),
		TEST(copy_of_every_dtype),
		TEST(embed_sum),
		TEST(ids_out_of_range),
		TEST(rvq_encode),
		TEST(rvq_takes_the_first_of_equals),
		TEST(guidance),
	};

	return RUN_TAP(tests);
}
