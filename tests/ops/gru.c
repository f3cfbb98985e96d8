/* gpu_gru and gpu_linear_grouped against plain loops. */
#include "tests/ops/naive.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "library/base/err.h"

static const enum gpu_dtype dtypes[] = {GPU_F32, GPU_BF16};
static const char *const dtype_names[] = {"f32", "bf16"};

/* ---- linear_grouped ----------------------------------------------------- */

static void check_grouped(
	int64_t n_rows, int64_t n_groups, int64_t n_in, int64_t n_out, enum gpu_dtype dtype)
{
	const int64_t in = n_groups * n_in, out = n_groups * n_out, n = n_rows * out;
	float *x = random_floats(n_rows * in), *w = random_floats(out * n_in);
	float *bias = random_floats(out), *part = keep((size_t)(n_rows * n_in), sizeof(*part));
	float *wq = quantised(dtype, out, n_in, w);
	const float *xm = multiplied(dtype, n_rows, x, n_rows * in);
	struct want want = want_new(n);

	for (int64_t g = 0; g < n_groups; g++) {
		for (int64_t m = 0; m < n_rows; m++)
			memcpy(part + m * n_in, xm + m * in + g * n_in,
				(size_t)n_in * sizeof(*part));
		struct want y = naive_linear(part, wq + g * n_out * n_in, bias + g * n_out, NULL,
			n_rows, n_out, n_in, dtype);
		for (int64_t i = 0; i < n_rows * n_out; i++) {
			int64_t to = i / n_out * out + g * n_out + i % n_out;
			want.y[to] = y.y[i];
			want.tol[to] = y.tol[i];
		}
	}
	FOR_EACH_ISA(d)
	{
		struct gpu_tensor *y = empty(&d, "y", SHAPE(n_rows, out));
		gpu_linear_grouped(d.g, y, put(&d, "x", SHAPE(n_rows, in), x),
			put_matrix(&d, dtype, "w", out, n_in, w),
			put(&d, "bias", SHAPE(out), bias));
		assert_close(get(&d, y), want, n, "isa %d %s %d rows, %d groups, %d -> %d", d.isa,
			dtype_names[dtype], (int)n_rows, (int)n_groups, (int)n_in, (int)n_out);
	}
}

static void linear_grouped(void **state)
{
	static const int64_t sizes[][4] = {{1, 1, 1, 32}, {3, 2, 5, 32}, {7, 3, 33, 64},
		{100, 8, 64, 32}, {9, 2, 300, 480}, {130, 16, 192, 32}};

	for (size_t t = 0; t < N_OF(dtypes); t++)
		for (size_t i = 0; i < N_OF(sizes); i++) {
			seed(i);
			check_grouped(
				sizes[i][0], sizes[i][1], sizes[i][2], sizes[i][3], dtypes[t]);
			test_done(NULL);
		}
}

static void groups_must_fit(void **state)
{
	FOR_EACH_ISA(d)
	{
		float *data = random_floats(64 * 64);
		struct gpu_tensor *w = put_matrix(&d, GPU_F32, "w", 64, 3, data),
				  *y = empty(&d, "y", SHAPE(2, 64));
		gpu_linear_grouped(d.g, y, put(&d, "x", SHAPE(2, 7), data), w, NULL);
		assert_gpu_error(d.g, ERR_BUG, "do not divide");
		gpu_linear_grouped(d.g, y, put(&d, "x", SHAPE(2, 12), data), w, NULL);
		assert_gpu_error(d.g, ERR_BUG, "multiples of 32");
		gpu_linear_grouped(d.g, y, put(&d, "x", SHAPE(3, 6), data), w, NULL);
		assert_gpu_error(d.g, ERR_BUG, "another shape");
		static const enum gpu_dtype others[] = {GPU_I8, GPU_TILES, GPU_SPLIT};
		for (size_t i = 0; i < N_OF(others); i++) {
			w = put_matrix(&d, others[i], "w", 64, 3, data);
			if (w->dtype == GPU_F32)
				continue; /* a device that splits nothing */
			gpu_linear_grouped(d.g, y, put(&d, "x", SHAPE(2, 6), data), w, NULL);
			assert_gpu_error(d.g, ERR_BUG, "f32 or bf16");
		}
	}
}

/* ---- gru ---------------------------------------------------------------- */

/* [B, T, C] as a view of a longer tensor whose other frames are NaN. */
static struct gpu_tensor *put_view(
	const struct dev *d, int64_t n_batch, int64_t n_time, int64_t n, const float *x)
{
	const int64_t longer = n_time + 2;
	float *whole = keep((size_t)(n_batch * longer * n), sizeof(*whole));

	for (int64_t i = 0; i < n_batch * longer * n; i++)
		whole[i] = NAN;
	for (int64_t b = 0; b < n_batch; b++)
		memcpy(whole + (b * longer + 1) * n, x + b * n_time * n,
			(size_t)(n_time * n) * sizeof(*x));
	return gpu_view(d->g, d->a, put(d, "x", SHAPE(n_batch, longer, n), whole), 1, 1, n_time);
}

static void check_gru(
	int64_t n_batch, int64_t n_time, int64_t n_in, int64_t n_out, enum gpu_dtype dtype)
{
	const int64_t n_state = n_batch * n_out, n = n_batch * n_time * n_out;
	float *x = random_floats(n_batch * n_time * n_in), *h0 = random_floats(n_state);
	float *w_ih = random_floats(3 * n_out * n_in), *w_hh = random_floats(3 * n_out * n_out);
	float *b_ih = random_floats(3 * n_out), *b_hh = random_floats(3 * n_out);
	struct want h = want_new(n_state);

	/* PyTorch's initial range: gates stay out of saturation, errors do not grow. */
	for (int64_t i = 0; i < 3 * n_out * n_out; i++)
		w_hh[i] /= sqrtf((float)n_out);
	for (int64_t i = 0; i < n_state; i++)
		h.y[i] = h0[i];
	float *w_ihq = quantised(dtype, 3 * n_out, n_in, w_ih);
	float *w_hhq = quantised(dtype, 3 * n_out, n_out, w_hh);
	struct want want = naive_gru(x, w_ihq, w_hhq, b_ih, b_hh, h, n_batch, n_time, n_in, n_out);

	FOR_EACH_ISA(d)
	{
		char what[128];
		snprintf(what, sizeof(what), "isa %d %s B %d T %d %d -> %d", d.isa,
			dtype_names[dtype], (int)n_batch, (int)n_time, (int)n_in, (int)n_out);
		for (int view = 0; view < 2; view++) {
			struct gpu_gru gru = {
				.w_ih = put_matrix(&d, dtype, "w_ih", 3 * n_out, n_in, w_ih),
				.w_hh = put_matrix(&d, dtype, "w_hh", 3 * n_out, n_out, w_hh),
				.b_ih = put(&d, "b_ih", SHAPE(3 * n_out), b_ih),
				.b_hh = put(&d, "b_hh", SHAPE(3 * n_out), b_hh),
				.h = put(&d, "h", SHAPE(n_batch, n_out), h0),
			};
			struct gpu_tensor *y = empty(&d, "y", SHAPE(n_batch, n_time + view, n_out));
			struct gpu_tensor *tx =
				view ? put_view(&d, n_batch, n_time, n_in, x)
				     : put(&d, "x", SHAPE(n_batch, n_time, n_in), x);
			y = view ? gpu_view(d.g, d.a, y, 1, 1, n_time) : y;
			gpu_gru(d.g, y, tx, &gru);
			assert_close(get(&d, y), want, n, "gru y %s", what);
			assert_close(get(&d, gru.h), h, n_state, "gru h %s", what);
		}
	}
}

static void gru(void **state)
{
	static const int64_t sizes[][4] = {{1, 1, 1, 2}, {1, 5, 3, 7}, {2, 9, 31, 32},
		{3, 20, 33, 33}, {1, 70, 16, 63}, {9, 3, 7, 65}, {2, 130, 4, 100}};

	for (size_t t = 0; t < N_OF(dtypes); t++)
		for (size_t i = 0; i < N_OF(sizes); i++) {
			seed(i);
			check_gru(sizes[i][0], sizes[i][1], sizes[i][2], sizes[i][3], dtypes[t]);
			test_done(NULL);
		}
}

/* Frames in one call or in several, on one thread or two: the same bits; on CUDA, where
 * cuBLAS sums the input halves in an order that it chooses by the number of frames, all are
 * close to the exact values. */
static void gru_does_not_depend_on_calls(void **state)
{
	enum { T = 70, D = 96 }; /* large enough for a team of threads */
	float *x = random_floats(T * D), *w = random_floats(3 * D * D), *b = random_floats(3 * D);
	float *zero = keep(D, sizeof(*zero)), *first = NULL;
	struct want h = want_new(D);

	for (int64_t i = 0; i < 3 * D * D; i++) /* as in check_gru() */
		w[i] /= sqrtf(D);
	struct want want = naive_gru(x, w, w, b, b, h, 1, T, D, D);

	for (int threads = 1; threads <= 2; threads++)
		for (int64_t step = T; step >= 1; step = step * 2 / 5) {
			struct dev d;
			if (!dev_open(&d, threads, CPU_GENERIC))
				return;
			struct gpu_tensor *m = put_matrix(&d, GPU_F32, "w", 3 * D, D, w);
			struct gpu_tensor *bias = put(&d, "b", SHAPE(3 * D), b);
			struct gpu_tensor *tx = put(&d, "x", SHAPE(1, T, D), x);
			struct gpu_tensor *y = empty(&d, "y", SHAPE(1, T, D));
			struct gpu_gru u = {m, m, bias, bias, put(&d, "h", SHAPE(1, D), zero)};
			for (int64_t t = 0; t < T; t += step) {
				int64_t n = T - t < step ? T - t : step;
				gpu_gru(d.g, gpu_view(d.g, d.a, y, 1, t, n),
					gpu_view(d.g, d.a, tx, 1, t, n), &u);
			}
			float *got = get(&d, y);
			first = first ? first : got;
			if (on_cuda())
				assert_close(got, want, T * D, "%d frames a call", (int)step);
			else
				assert_same_bits(got, first, T * D, "%d threads, %d frames a call",
					threads, (int)step);
			dev_close(&d);
		}
}

static void gru_must_fit(void **state)
{
	FOR_EACH_ISA(d)
	{
		float *data = random_floats(64 * 64);
		struct gpu_tensor *x = put(&d, "x", SHAPE(1, 2, 4), data),
				  *y = empty(&d, "y", SHAPE(1, 2, 8)),
				  *b = put(&d, "b", SHAPE(24), data),
				  *h = put(&d, "h", SHAPE(1, 8), data),
				  *w_ih = put_matrix(&d, GPU_F32, "w_ih", 24, 4, data),
				  *w_hh = put_matrix(&d, GPU_F32, "w_hh", 24, 8, data);
		gpu_gru(d.g, y, x, &(struct gpu_gru){w_hh, w_hh, b, b, h});
		assert_gpu_error(d.g, ERR_BUG, "[3D, I]");
		gpu_gru(d.g, y, x, &(struct gpu_gru){w_ih, w_ih, b, b, h});
		assert_gpu_error(d.g, ERR_BUG, "[3D, D]");
		gpu_gru(d.g, y, x, &(struct gpu_gru){w_ih, w_hh, h, b, h});
		assert_gpu_error(d.g, ERR_BUG, "biases");
		gpu_gru(d.g, y, x, &(struct gpu_gru){w_ih, w_hh, b, b, b});
		assert_gpu_error(d.g, ERR_BUG, "[B, D]");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(linear_grouped),
		TEST(groups_must_fit),
		TEST(gru),
		TEST(gru_does_not_depend_on_calls),
		TEST(gru_must_fit),
	};

	return RUN_TAP(tests);
}
