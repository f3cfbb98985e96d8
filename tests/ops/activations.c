/* Activations of the diffusion engines against double precision. */
#include "tests/ops/naive.h"

#include <math.h>

enum { N = 100000 };

/* Values from -20 to 20, and over all magnitudes. */
static float *values(void)
{
	float *x = random_floats(N);

	for (int i = 0; i < N; i++)
		x[i] = i % 2 ? x[i] * 20 : ldexpf(x[i], (int)below(150) - 140);
	return x;
}

/* vtanh is good to 2 ulp (4 U); what falls below the normal range is let off. */
static void tangents(void **state)
{
	float *x = values();
	struct want want = want_new(N);

	for (int i = 0; i < N; i++) {
		want.y[i] = tanh(x[i]);
		want.tol[i] = 4 * U * fabs(want.y[i]) + 0x1p-148;
	}
	FOR_EACH_ISA(d)
	{
		struct gpu_tensor *t = put(&d, "x", SHAPE(N), x);
		gpu_tanh(d.g, t, t);
		assert_close(get(&d, t), want, N, "isa %d tanh", d.isa);
	}
}

static double gelu_tanh(double x)
{
	return x / 2 * (1 + tanh(sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
}

/* tanh takes an argument u with five roundings (u tanh'(u) <= 0.45) and is good to 4 U, so
 * 1 + tanh is off by at most 8 U; two more roundings. */
static double gelu_tanh_error(double x)
{
	return 4 * U * fabs(x) + 2 * U * fabs(gelu_tanh(x)) + 0x1p-147;
}

static void gelus(void **state)
{
	float *x = values();
	struct want want = want_new(N), gated = want_new(N / 2);

	for (int i = 0; i < N; i++) {
		want.y[i] = gelu_tanh(x[i]);
		want.tol[i] = gelu_tanh_error(x[i]);
	}
	/* rows of 2 x 50 */
	for (int i = 0; i < N / 2; i++) {
		const double a = x[i / 50 * 100 + i % 50], b = x[i / 50 * 100 + 50 + i % 50];
		gated.y[i] = a * gelu_tanh(b);
		gated.tol[i] = fabs(a) * gelu_tanh_error(b) + U * fabs(gated.y[i]) + 0x1p-147;
	}
	FOR_EACH_ISA(d)
	{
		struct gpu_tensor *y = empty(&d, "y", SHAPE(N / 100, 50));
		gpu_gated_gelu_tanh(d.g, y, put(&d, "x", SHAPE(N / 100, 100), x));
		assert_close(get(&d, y), gated, N / 2, "isa %d gated gelu_tanh", d.isa);
		struct gpu_tensor *t = put(&d, "x", SHAPE(N), x);
		gpu_gelu_tanh(d.g, t, t);
		assert_close(get(&d, t), want, N, "isa %d gelu_tanh", d.isa);
	}
}

static void leaky_relus(void **state)
{
	enum { B = 2, T = 9, C = 11 };
	float *x = random_floats(B * T * C);
	struct want want = want_new(B * T * C);

	for (int i = 0; i < B * T * C; i++) {
		want.y[i] = x[i] < 0 ? (double)x[i] * 0.1f : x[i];
		want.tol[i] = x[i] < 0 ? U * fabs(want.y[i]) : 0;
	}
	FOR_EACH_ISA(d)
	{
		struct gpu_tensor *padded = empty(&d, "padded", SHAPE(B, T + 4, C));
		struct gpu_tensor *view = gpu_view(d.g, d.a, padded, 1, 2, T);
		gpu_leaky_relu(d.g, view, put(&d, "x", SHAPE(B, T, C), x), 0.1f);
		assert_close(get(&d, view), want, B * T * C, "isa %d leaky_relu", d.isa);
		float *all = get(&d, padded);
		assert_true(isnan(all[2 * C - 1]) && isnan(all[(T + 2) * C]));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {TEST(tangents), TEST(gelus), TEST(leaky_relus)};

	return RUN_TAP(tests);
}
