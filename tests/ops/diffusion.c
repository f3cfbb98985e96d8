/* Gates, snake, rotary positions, norms of heads, noise and combinations. */
#include "tests/ops/naive.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- activations -------------------------------------------------------- */

static void check_gated(int64_t n_rows, int64_t n, enum gpu_unary op)
{
	float *x = random_floats(n_rows * 2 * n), *gate = keep((size_t)(n_rows * n), sizeof(*gate));
	struct want want;

	for (int64_t i = 0; i < n_rows * 2 * n; i++)
		x[i] *= 6;
	for (int64_t i = 0; i < n_rows * n; i++)
		gate[i] = x[i / n * 2 * n + n + i % n];
	want = naive_unary(gate, op, n_rows * n);
	for (int64_t i = 0; i < n_rows * n; i++) {
		const double value = x[i / n * 2 * n + i % n];
		want.y[i] *= value;
		want.tol[i] = want.tol[i] * fabs(value) + U * fabs(want.y[i]) + 0x1p-148;
	}
	FOR_EACH_ISA(d)
	{
		struct gpu_tensor *y = empty(&d, "y", SHAPE(n_rows, n)),
				  *tx = put(&d, "x", SHAPE(n_rows, 2 * n), x);
		(op == GPU_UNARY_SILU ? gpu_gated_silu : gpu_gated_gelu)(d.g, y, tx);
		assert_close(get(&d, y), want, n_rows * n, "isa %d gated [%d, %d]", d.isa,
			(int)n_rows, (int)n);
	}
}

static void gates(void **state)
{
	for (int i = 0; i < N_ODD_SIZES; i++) {
		seed((uint64_t)i);
		check_gated(3, odd_sizes[i], GPU_UNARY_SILU);
		check_gated(2, odd_sizes[i], GPU_UNARY_GELU);
		test_done(NULL);
	}
	check_gated(40, 6144, GPU_UNARY_SILU);
}

/* sin^2 is off by 2e-7 and by what the rounded argument changes, 2 sin cos U |a x|;
 * then a product and a sum are rounded. */
static void check_snake(int64_t n_rows, int64_t n, float range)
{
	float *x = random_floats(n_rows * n), *alpha = random_floats(n), *beta = random_floats(n);
	struct want want = want_new(n_rows * n);

	for (int64_t c = 0; c < n; c++) {
		alpha[c] = expf(alpha[c]);
		beta[c] = expf(beta[c]);
	}
	for (int64_t i = 0; i < n_rows * n; i++) {
		x[i] *= range;
		const double ax = (double)alpha[i % n] * x[i], b = beta[i % n];
		const double s = sin(ax) * sin(ax) * b;
		want.y[i] = x[i] + s;
		want.tol[i] = b * (2e-7 + U * fabs(ax)) + U * s + U * fabs(want.y[i]);
	}
	FOR_EACH_ISA(d)
	{
		struct gpu_tensor *tx = put(&d, "x", SHAPE(n_rows, n), x),
				  *y = empty(&d, "y", SHAPE(n_rows, n)),
				  *ta = put(&d, "alpha", SHAPE(n), alpha),
				  *tb = put(&d, "inv_beta", SHAPE(n), beta);
		gpu_snake(d.g, y, tx, ta, tb);
		float *apart = get(&d, y);
		assert_close(apart, want, n_rows * n, "isa %d snake [%d, %d] to %g", d.isa,
			(int)n_rows, (int)n, (double)range);
		gpu_snake(d.g, tx, tx, ta, tb);
		assert_same_bits(get(&d, tx), apart, n_rows * n, "in place");
	}
}

static void snakes(void **state)
{
	for (int i = 0; i < N_ODD_SIZES; i++) {
		seed((uint64_t)i);
		check_snake(3, odd_sizes[i], 3);
		test_done(NULL);
	}
	check_snake(1000, 128, 1);
	check_snake(1000, 16, 3000); /* alpha is below e: 8192 is not reached */
	check_snake(2, 16, 0);
}

/* ---- heads -------------------------------------------------------------- */

static void check_rope(int64_t n_rows, int64_t width, int64_t n_heads, int64_t dim, int64_t rotary)
{
	float *x = random_floats(n_rows * width), *table = random_floats(n_rows * rotary);
	struct want want = want_new(n_rows * width);
	const int64_t half = rotary / 2;

	for (int64_t i = 0; i < n_rows * width; i++)
		want.y[i] = x[i];
	for (int64_t i = 0; i < n_rows * n_heads * half; i++) {
		const int64_t row = i / half / n_heads, c = i % half;
		const int64_t at = row * width + i / half % n_heads * dim + c;
		const double cosine = table[row * rotary + c],
			     sine = table[row * rotary + half + c];
		const double a = x[at], b = x[at + half];
		want.y[at] = a * cosine - b * sine;
		want.y[at + half] = b * cosine + a * sine;
		want.tol[at] = 2 * U * (fabs(a * cosine) + fabs(b * sine));
		want.tol[at + half] = 2 * U * (fabs(b * cosine) + fabs(a * sine));
	}
	FOR_EACH_ISA(d)
	{
		struct gpu_tensor *tx = put(&d, "x", SHAPE(n_rows, width), x);
		gpu_rope(d.g, tx, put(&d, "table", SHAPE(n_rows, rotary), table), n_heads, dim);
		assert_close(get(&d, tx), want, n_rows * width, "isa %d rope of %d heads of %d, %d",
			d.isa, (int)n_heads, (int)dim, (int)rotary);
	}
}

static void rotary(void **state)
{
	check_rope(1, 2, 1, 2, 2);
	check_rope(3, 100, 2, 32, 16);
	check_rope(5, 3 * 64, 2, 64, 32);
	check_rope(17, 3 * 24 * 64, 48, 64, 32);
	check_rope(2, 31, 3, 10, 10);
}

/* Each head is a row of its own. */
static void head_norms(void **state)
{
	enum { ROWS = 5, DIM = 24, HEADS = 7, FIRST = 2, NORMED = 4 };
	const float eps = 1e-6f;
	float *x = random_floats(ROWS * HEADS * DIM), *w = random_floats(DIM),
	      *b = random_floats(DIM);
	struct want want = naive_norm(x, w, b, (double)eps, false, ROWS * HEADS, DIM);

	for (int64_t i = 0; i < ROWS * HEADS * DIM; i++)
		if (i / DIM % HEADS < FIRST || i / DIM % HEADS >= FIRST + NORMED) {
			want.y[i] = x[i];
			want.tol[i] = 0;
		}
	FOR_EACH_ISA(d)
	{
		struct gpu_tensor *tx = put(&d, "x", SHAPE(ROWS, HEADS * DIM), x);
		gpu_head_norm(d.g, tx, put(&d, "w", SHAPE(DIM), w), put(&d, "b", SHAPE(DIM), b),
			FIRST, NORMED, eps);
		assert_close(get(&d, tx), want, ROWS * HEADS * DIM, "isa %d head_norm", d.isa);
		gpu_head_norm(d.g, tx, put(&d, "w", SHAPE(DIM), w), put(&d, "b", SHAPE(DIM), b),
			HEADS - 1, 2, eps);
		assert_gpu_error(d.g, ERR_BUG, "x has fewer heads");
	}
}

/* ---- noise -------------------------------------------------------------- */

static float *draw(const struct dev *d, int64_t n, uint64_t key, uint32_t stream)
{
	struct gpu_tensor *y = empty(d, "y", SHAPE(n));

	gpu_normal(d->g, y, key, stream);
	return get(d, y);
}

/* Of N independent normal values the mean has deviation 1 / sqrt(N), that of squares
 * sqrt(2 / N), of cubes sqrt(15 / N), of fourth powers sqrt(96 / N), and of products of
 * two draws 1 / sqrt(N): five of them are passed by chance once in two million. */
static void noise_is_normal(void **state)
{
	enum { N = 400001 };
	struct dev d;

	assert_true(dev_open(&d, 2, CPU_GENERIC));
	float *z = draw(&d, N, 7, 1), *other = draw(&d, N, 7, 2), *third = draw(&d, N, 8, 1);
	double m[4] = {0}, with_other = 0, with_third = 0, with_next = 0;
	for (int64_t i = 0; i < N; i++) {
		for (int k = 0; k < 4; k++)
			m[k] += pow((double)z[i], k + 1) / N;
		with_other += (double)z[i] * other[i] / N;
		with_third += (double)z[i] * third[i] / N;
		with_next += i ? (double)z[i] * z[i - 1] / N : 0;
	}
	const double unit = 5 / sqrt(N);
	assert_true(fabs(m[0]) < unit && fabs(m[1] - 1) < sqrt(2) * unit);
	assert_true(fabs(m[2]) < sqrt(15) * unit && fabs(m[3] - 3) < sqrt(96) * unit);
	assert_true(fabs(with_other) < unit && fabs(with_third) < unit && fabs(with_next) < unit);
	dev_close(&d);
}

/* A draw does not depend on how many there are, nor on threads. */
static void noise_is_by_place(void **state)
{
	struct dev one, two;

	assert_true(dev_open(&one, 1, CPU_GENERIC) && dev_open(&two, 2, CPU_GENERIC));
	float *all = draw(&two, 100003, UINT64_C(0x123456789abcdef), 9);
	for (int64_t n = 1; n < 9; n++)
		assert_same_bits(draw(&one, n, UINT64_C(0x123456789abcdef), 9), all, n, "first");
	assert_same_bits(draw(&one, 100003, UINT64_C(0x123456789abcdef), 9), all, 100003, "all");
	dev_close(&one);
	dev_close(&two);
}

/* ---- combinations ------------------------------------------------------- */

static void combinations(void **state)
{
	enum { N = 40001 };
	const float w[GPU_MAX_TERMS] = {0.5f, -3, 1e-3f, 7, 0, 2, -0.1f};
	float *x[GPU_MAX_TERMS];
	struct want want = want_new(N);

	for (int k = 0; k < GPU_MAX_TERMS; k++)
		x[k] = random_floats(N);
	FOR_EACH_ISA(d)
	{
		struct gpu_term terms[GPU_MAX_TERMS];
		struct gpu_tensor *first = NULL;
		for (int k = 0; k < GPU_MAX_TERMS; k++) {
			struct gpu_tensor *t = put(&d, "x", SHAPE(N), x[k]);
			first = first ? first : t;
			terms[k] = (struct gpu_term){t, w[k]};
		}
		for (int64_t i = 0; i < N; i++) {
			double sum = 0, size = 0;
			for (int k = 0; k < GPU_MAX_TERMS; k++) {
				sum += (double)w[k] * x[k][i];
				size += fabs((double)w[k] * x[k][i]);
			}
			want.y[i] = sum;
			want.tol[i] = (GPU_MAX_TERMS + 1) * U * size;
		}
		gpu_combine(d.g, first, terms, GPU_MAX_TERMS); /* in place */
		assert_close(get(&d, first), want, N, "isa %d combine", d.isa);
		gpu_combine(d.g, first, terms, 0);
		assert_gpu_error(d.g, ERR_BUG, "terms");
		terms[1].x = put(&d, "short", SHAPE(N - 1), x[1]);
		gpu_combine(d.g, first, terms, 2);
		assert_gpu_error(d.g, ERR_BUG, "in the shape of y");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(gates),
		TEST(snakes),
		TEST(rotary),
		TEST(head_norms),
		TEST(noise_is_normal),
		TEST(noise_is_by_place),
		TEST(combinations),
	};

	return RUN_TAP(tests);
}
