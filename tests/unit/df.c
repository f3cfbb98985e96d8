/* DeepFilterNet 3 as a stream: what holds for any signal. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/denoise/df.h"
#include "engine/denoise/df_features.h"
#include "library/base/arena.h"
#include "library/base/err.h"
#include "tests/unit/scratch.h"

enum { N = 30 * DF_HOP + 123 };

static struct df *open_df(int n_channels, int n_threads)
{
	struct err e = {0};
	struct df *d;

	if (df_open(WEIGHTS, n_channels, n_threads, &d, &e))
		fail_msg("%s", e.text);
	return d;
}

static float *make_noise(int64_t n, uint64_t state)
{
	float *x = xcalloc((size_t)n + 1, sizeof(*x));

	for (int64_t i = 0; i < n; i++) {
		state = state * 6364136223846793005u + 1442695040888963407u;
		x[i] = (float)((double)(state >> 40) * 0x1p-24 - 0.5) * 0.3f;
	}
	return x;
}

/* x [n, channels] through d, `step` hops a call; aligned, owned by the caller. */
static float *through(struct df *d, int n_channels, const float *x, int64_t n, int64_t step)
{
	const int64_t hop = (int64_t)DF_HOP * n_channels;
	const int64_t n_hops = (n + DF_LATENCY + DF_HOP - 1) / DF_HOP;
	float *y = xcalloc((size_t)(2 * n_hops * hop), sizeof(*y)), *padded = y + n_hops * hop;
	struct err e = {0};

	memcpy(padded, x, (size_t)(n * n_channels) * sizeof(*x));
	for (int64_t i = 0; i < n_hops; i += step) {
		if (i * DF_HOP <= n && n < (i + step) * DF_HOP)
			df_end(d, n - i * DF_HOP);
		assert_int_equal(df_process(d, padded + i * hop, y + i * hop,
					 n_hops - i < step ? n_hops - i : step, &e),
			0);
	}
	memmove(y, y + DF_LATENCY * n_channels, (size_t)(n * n_channels) * sizeof(*y));
	return y;
}

static void assert_same(const float *a, const float *b, int64_t n)
{
	assert_memory_equal(a, b, (size_t)n * sizeof(*a));
}

static double power(const float *x, int64_t n)
{
	double sum = 0;

	for (int64_t i = 0; i < n; i++)
		sum += (double)x[i] * x[i];
	return sum;
}

/* ---- tests -------------------------------------------------------------- */

static void bands_cover_the_spectrum(void **state)
{
	int sum = 0;

	for (int b = 0; b < DF_BANDS; b++)
		sum += df_band_widths[b];
	assert_int_equal(sum, DF_SPECTRUM);
}

/* After minutes of silence the means are at the end of what floats can be. */
static void features_outlast_silence(void **state)
{
	float x[2 * DF_SPECTRUM] = {0}, erb[DF_BANDS], spec[2 * DF_BINS];
	struct df_features f;

	df_features_init(&f);
	for (int t = 0; t < 20000; t++) {
		df_features_add(&f, x, erb, spec);
		assert_true(spec[0] == 0 && spec[2 * DF_BINS - 1] == 0);
	}
	for (int k = 0; k < 2 * DF_SPECTRUM; k++)
		x[k] = 1e-3f;
	df_features_add(&f, x, erb, spec);
	/* s = 0.01 |x|, |x| = sqrt(2) 1e-3: x / sqrt(s) = 1e-3 / sqrt(1.414e-5) */
	for (int k = 0; k < 2 * DF_BINS; k++)
		assert_true(fabsf(spec[k] - 0.265915f) < 1e-5f);
	for (int b = 0; b < DF_BANDS; b++)
		assert_true(erb[b] > 1 && erb[b] < 1.1f); /* 43 dB up, of 40 */
}

static void cutting_does_not_matter(void **state)
{
	float *x = make_noise(2 * N, 1), *first = NULL;

	for (int threads = 1; threads <= 2; threads++)
		for (int64_t step = 1; step <= 64; step = step * 3 + 1) {
			struct df *d = open_df(2, threads);
			float *y = through(d, 2, x, N, step);
			if (first)
				assert_same(y, first, 2 * N);
			df_close(d);
			if (first)
				free(y);
			else
				first = y;
		}
	free(first);
	free(x);
}

static void in_place_and_again(void **state)
{
	float *x = make_noise(N, 2);
	struct df *d = open_df(1, 1);
	float *y = through(d, 1, x, N, 7), *place = xcalloc(N, sizeof(*place));
	struct err e = {0};

	df_reset(d);
	memcpy(place, x, N * sizeof(*x));
	assert_int_equal(df_process(d, place, place, 30, &e), 0);
	assert_same(place + DF_LATENCY, y, 30 * DF_HOP - DF_LATENCY);
	df_close(d);
	free(place);
	free(x);
	free(y);
}

static void silence_stays_silent(void **state)
{
	float *x = xcalloc(N, sizeof(*x));
	struct df *d = open_df(1, 1);

	df_measure(d, x, N);
	float *y = through(d, 1, x, N, 30);
	assert_same(y, x, N);
	df_close(d);
	free(x);
	free(y);
}

/* The window's squares add up to one within the rounding of 960 products. */
static void limit_of_nothing_gives_the_input(void **state)
{
	float *x = make_noise(2 * N, 3);
	struct df *d = open_df(2, 1);

	df_set_limit(d, 0);
	float *y = through(d, 2, x, N, 30);
	for (int i = 0; i < 2 * N; i++)
		assert_true(fabsf(y[i] - x[i]) < 1e-6f);
	df_close(d);
	free(x);
	free(y);
}

/* With L dB at most, noise is L dB lower at least nearly: what is left of it by
 * the network is far below. */
static void limit_holds(void **state)
{
	float *x = make_noise(N, 4);

	for (int limit = 6; limit <= 24; limit += 6) {
		struct df *d = open_df(1, 1);
		df_set_limit(d, (float)limit);
		float *y = through(d, 1, x, N, 30);
		const double db = 10 * log10(power(x, N) / power(y, N));
		assert_true(db > limit - 1.5 && db < limit + 1.5);
		df_close(d);
		free(y);
	}
	free(x);
}

static void no_input_makes_nonsense(void **state)
{
	static const float bad[] = {NAN, INFINITY, -INFINITY, 1e30f, -2e6f};
	float *x = make_noise(N, 5), *zeros = make_noise(N, 5);
	struct df *d = open_df(1, 1);

	for (int i = 0; i < N; i += 97) {
		x[i] = bad[i % 5];
		zeros[i] = 0;
	}
	df_measure(d, x, N);
	float *y = through(d, 1, x, N, 30);
	df_reset(d);
	df_measure(d, zeros, N);
	float *want = through(d, 1, zeros, N, 30);
	assert_same(y, want, N);
	for (int i = 0; i < N; i++)
		assert_true(isfinite(y[i]));
	df_close(d);
	free(x);
	free(zeros);
	free(y);
	free(want);
}

/* A constant, a square at full scale, the largest samples there are. */
static void extremes_stay_finite(void **state)
{
	float *x = xcalloc(N, sizeof(*x));

	for (int kind = 0; kind < 3; kind++) {
		struct df *d = open_df(1, 1);
		for (int i = 0; i < N; i++)
			x[i] = kind == 0 ? 0.7f
					 : (i / 50 % 2 ? 1.0f : -1.0f) * (kind == 2 ? 1e6f : 1);
		if (kind)
			df_measure(d, x, N);
		float *y = through(d, 1, x, N, 30);
		for (int i = 0; i < N; i++)
			assert_true(fabsf(y[i]) <= 2 * fabsf(x[i]));
		df_close(d);
		free(y);
	}
	free(x);
}

static void short_signals_keep_their_length(void **state)
{
	static const int64_t lengths[] = {0, 1, 479, 480, 481, 960, 1439, 1441};
	float *x = make_noise(2000, 6);

	for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
		const int64_t n = lengths[i];
		struct df *d = open_df(1, 1);
		df_measure(d, x, n);
		df_set_limit(d, 0);
		float *y = through(d, 1, x, n, 1);
		for (int64_t j = 0; j < n; j++)
			assert_true(fabsf(y[j] - x[j]) < 1e-6f);
		df_close(d);
		free(y);
	}
	free(x);
}

/* Eight channels alike are alike, and what one is (their mean is rounded); a pan
 * stays where it is, and a channel turned round stays turned round. */
static void channels_are_linked(void **state)
{
	static const float pan[] = {1, 0.5f};
	float *x = make_noise(N, 7), *many = xcalloc(8 * N, sizeof(*many));
	struct df *d = open_df(1, 1);
	float *mono = through(d, 1, x, N, 30);

	df_close(d);
	for (int i = 0; i < 8 * N; i++)
		many[i] = x[i / 8];
	d = open_df(8, 1);
	float *y = through(d, 8, many, N, 30);
	for (int i = 0; i < 8 * N; i++) {
		assert_true(y[i] == y[i / 8 * 8]);
		assert_true(fabsf(y[i] - mono[i / 8]) < 1e-5f);
	}
	df_close(d);
	free(y);
	for (int turned = 0; turned < 2; turned++) {
		for (int i = 0; i < 2 * N; i++)
			many[i] = x[i / 2] * pan[i % 2] * (turned && i % 2 ? -1 : 1);
		d = open_df(2, 1);
		df_measure(d, many, N);
		y = through(d, 2, many, N, 30);
		/* Halves are exact, and nothing adds to them. */
		for (int i = 0; i < N; i++)
			assert_true(y[2 * i + 1] == y[2 * i] * (turned ? -0.5f : 0.5f));
		df_close(d);
		free(y);
	}
	free(many);
	free(mono);
	free(x);
}

/* The difference of opposite channels is heard as the mean of equal ones is. */
static void opposite_channels_are_heard(void **state)
{
	float *x = make_noise(N, 8), *same = xcalloc(2 * N, sizeof(*same)),
	      *opposite = xcalloc(2 * N, sizeof(*opposite));

	for (int i = 0; i < 2 * N; i++) {
		same[i] = x[i / 2];
		opposite[i] = i % 2 ? -x[i / 2] : x[i / 2];
	}
	struct df *d = open_df(2, 1);
	df_measure(d, same, N);
	float *a = through(d, 2, same, N, 30);
	df_reset(d);
	df_measure(d, opposite, N);
	float *b = through(d, 2, opposite, N, 30);
	for (int i = 0; i < 2 * N; i++)
		assert_true(b[i] == (i % 2 ? -a[i] : a[i]));
	df_close(d);
	free(x);
	free(same);
	free(opposite);
	free(a);
	free(b);
}

/* A signal that was measured gives the same at any level: powers of two change
 * exponents alone, but for the gain, which is rounded. */
static void measured_signals_have_one_level(void **state)
{
	float *x = make_noise(N, 9), *quiet = xcalloc(N, sizeof(*quiet));
	struct df *d = open_df(1, 1);

	for (int i = 0; i < N; i++)
		quiet[i] = x[i] / 1024;
	df_measure(d, x, N);
	float *a = through(d, 1, x, N, 30);
	df_reset(d);
	df_measure(d, quiet, 1000); /* in pieces */
	df_measure(d, quiet + 1000, N - 1000);
	float *b = through(d, 1, quiet, N, 30);
	for (int i = 0; i < N; i++)
		b[i] = b[i] * 1024 - a[i];
	assert_true(power(b, N) < 1e-8 * power(a, N));
	assert_true(df_median_snr(d) < 0);
	df_close(d);
	free(x);
	free(quiet);
	free(a);
	free(b);
}

static void errors_are_told(void **state)
{
	const char *dir = scratch_path(state, ".");
	struct err e[4] = {0};
	struct df *d;

	df_open(WEIGHTS, 0, 1, &d, &e[0]);
	assert_error(e[0], ERR_ARG, "0 channels");
	df_open(WEIGHTS, DF_MAX_CHANNELS + 1, 1, &d, &e[1]);
	assert_error(e[1], ERR_ARG, "1 to 256");
	df_open(dir, 1, 1, &d, &e[2]);
	assert_error(e[2], ERR_IO, dir);
	scratch_write(scratch_path(state, "model.safetensors"), "\x02\0\0\0\0\0\0\0{}", 10);
	df_open(dir, 1, 1, &d, &e[3]);
	assert_error(e[3], ERR_FORMAT, "enc.erb_conv0");
	assert_null(d);
	df_close(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bands_cover_the_spectrum),
		cmocka_unit_test(features_outlast_silence),
		cmocka_unit_test(cutting_does_not_matter),
		cmocka_unit_test(in_place_and_again),
		cmocka_unit_test(silence_stays_silent),
		cmocka_unit_test(limit_of_nothing_gives_the_input),
		cmocka_unit_test(limit_holds),
		cmocka_unit_test(no_input_makes_nonsense),
		cmocka_unit_test(extremes_stay_finite),
		cmocka_unit_test(short_signals_keep_their_length),
		cmocka_unit_test(channels_are_linked),
		cmocka_unit_test(opposite_channels_are_heard),
		cmocka_unit_test(measured_signals_have_one_level),
		cmocka_unit_test_setup_teardown(errors_are_told, scratch_open, scratch_close),
	};

	return RUN_TAP(tests);
}
