/* The Fourier transform against its definition, and back. */
#include "library/base/fft.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "library/base/err.h"
#include "library/base/splitmix.h"
#include "tests/unit/scratch.h"

enum { N_MAX = 32768 };

static float re[N_MAX], im[N_MAX], x[N_MAX], y[N_MAX];

static void fill(size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint64_t bits = splitmix64((i + n) * SPLITMIX_STEP);

		x[i] = re[i] = (float)((double)(bits >> 32) * 0x1p-31 - 1);
		y[i] = im[i] = (float)((double)(bits & UINT32_MAX) * 0x1p-31 - 1);
	}
}

/* What the sum of n products of values around 0.6 may be off: each of log2(n) passes
 * rounds by 2^-24 of values that grow to sqrt(n); a margin of 8. */
static double tolerance(size_t n)
{
	return 8 * 0x1p-24 * sqrt((double)n) * log2((double)n);
}

static void test_definition(void **state)
{
	for (size_t n = 4; n <= N_MAX; n *= 2) {
		struct fft *f;

		assert_int_equal(fft_open(n, &f, NULL), 0);
		fill(n);
		fft_run(f, re, im);
		for (size_t k = 0; k < n; k += 1 + n / 16) {
			double r = 0, i = 0;

			for (size_t j = 0; j < n; j++) {
				double a = -2 * M_PI * (double)(j * k % n) / (double)n;

				r += x[j] * cos(a) - y[j] * sin(a);
				i += x[j] * sin(a) + y[j] * cos(a);
			}
			assert_true(hypot(r - re[k], i - im[k]) < tolerance(n));
		}
		fft_close(f);
	}
}

static void test_inverse(void **state)
{
	for (size_t n = 4; n <= N_MAX; n *= 2) {
		struct fft *f;

		assert_int_equal(fft_open(n, &f, NULL), 0);
		fill(n);
		fft_run(f, re, im);
		fft_run(f, im, re);
		for (size_t i = 0; i < n; i++) {
			assert_true(fabs(re[i] / (double)n - x[i]) < tolerance(n));
			assert_true(fabs(im[i] / (double)n - y[i]) < tolerance(n));
		}
		fft_close(f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_definition),
		cmocka_unit_test(test_inverse),
	};

	return RUN_TAP(tests);
}
