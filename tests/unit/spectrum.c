/* Spectrograms of signals whose spectrum is known, and against sums in double. */
#include "library/spectrum.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "library/base/err.h"
#include "library/base/pool.h"
#include "library/loudness.h"
#include "tests/unit/scratch.h"

enum { RATE = 48000, FFT = 2048 };

/* The Hann window between two bins: 20 log10(8 / 3 pi) = -1.424 dB. */
static const double scalloping = 1.4237;
/* What the float FFT adds, in dB near full scale. */
static const double noise = 0.005;
/* Half a step between levels where they are 18 dB / 255 apart. */
static const double fine_half_step = 0.036;

static const enum spectrum_scale scales[] = {SPECTRUM_LOG, SPECTRUM_MEL, SPECTRUM_LINEAR};

static double bin_hz(int k)
{
	return (double)k * RATE / FFT;
}

/* What the mirror image of a sine, d bins away, may do to it, in dB: the window's
 * side lobes are at most 1 / (pi d (d^2 - 1)), against a peak between bins. */
static double mirror(double hz)
{
	double d = 2 * hz / bin_hz(1) - 0.5;

	return -20 * log10(1 - 1 / (M_PI * d * (d * d - 1)) / 0.8488);
}

/* Adds a sine to one channel of several. */
static void add_sine(float *x, size_t n_frames, int channels, int c, double hz, double amplitude)
{
	for (size_t i = 0; i < n_frames; i++)
		x[i * (size_t)channels + (size_t)c] +=
			(float)(amplitude * sin(0.3 + 2 * M_PI * hz * (double)i / RATE));
}

static float *silence(size_t n_samples)
{
	float *x = calloc(n_samples + 1, sizeof(*x));

	assert_non_null(x);
	return x;
}

static struct spectrum *open_it(const struct spectrum_desc *d)
{
	struct err e = {0};
	struct spectrum *s;

	if (spectrum_open(d, &s, &e))
		fail_msg("%s", e.text);
	return s;
}

/* All levels, column by column, to be freed. */
static uint8_t *levels_of(const struct spectrum *s)
{
	const struct spectrum_desc *d = spectrum_asked(s);
	uint8_t *levels = malloc((size_t)d->columns * (size_t)d->rows);

	assert_non_null(levels);
	spectrum_read(s, 0, (size_t)d->columns, levels);
	return levels;
}

static uint8_t *draw(const struct spectrum_desc *d, struct spectrum **ret)
{
	*ret = open_it(d);
	while (spectrum_work(*ret, 100))
		;
	assert_int_equal(spectrum_done(*ret), d->columns);
	return levels_of(*ret);
}

static int loudest(const uint8_t *levels, int rows)
{
	int best = 0;

	for (int r = 1; r < rows; r++)
		best = levels[r] > levels[best] ? r : best;
	return best;
}

/* Half a step between levels. */
static double half_step(const struct spectrum *s)
{
	return (spectrum_db(s, 1) - spectrum_db(s, 0)) / 2;
}

/* The whole of a sound as one column: what its loudest row reads, and where. */
static double loudest_db(struct spectrum_desc d, double *ret_low_hz, double *ret_high_hz)
{
	struct spectrum *s;
	uint8_t *levels;
	double db;
	int r;

	d.columns = 1;
	d.low_db = -12;
	d.high_db = 6;
	levels = draw(&d, &s);
	r = loudest(levels, d.rows);
	db = spectrum_db(s, levels[r]);
	*ret_low_hz = spectrum_hz(s, (double)r / d.rows);
	*ret_high_hz = spectrum_hz(s, (r + 1.0) / d.rows);
	assert_true(half_step(s) < fine_half_step);
	free(levels);
	spectrum_close(s);
	return db;
}

/* The bin nearest to the sine reads it, within the scalloping loss; the row is
 * one that holds that bin, half a bin away at most (and a tenth where two levels
 * round to the same). */
static void sines_are_where_and_as_loud_as_they_should(void **state)
{
	static const double frequencies[] = {90, 440, 1000, 1234.5, 5000, 11719, 19000};
	static const int rows[] = {7, 40, 300, 2000};
	const size_t n = 20000;

	for (size_t k = 0; k < 3 * 7 * 4; k++) {
		double hz = frequencies[k / 3 % 7], low, high, db, near = 0.6 * bin_hz(1);
		float *x = silence(n);
		struct spectrum_desc d = {.samples = x,
			.n_frames = n,
			.channels = 1,
			.rate_hz = RATE,
			.rows = rows[k / 21],
			.scale = scales[k % 3]};

		add_sine(x, n, 1, 0, hz, 1);
		db = loudest_db(d, &low, &high);
		if (hz < low - near || hz > high + near)
			fail_msg("scale %d, %d rows: %g Hz is seen at %g to %g Hz", d.scale, d.rows,
				hz, low, high);
		if (db > fine_half_step + noise + mirror(hz) ||
			db < -scalloping - fine_half_step - noise - mirror(hz))
			fail_msg("scale %d, %d rows: %g Hz reads %g dB", d.scale, d.rows, hz, db);
		free(x);
	}
}

static void amplitudes_read_their_level(void **state)
{
	static const double amplitudes[] = {1, 0.5, 0.3, 1.5};
	const size_t n = 20000;

	for (size_t k = 0; k < 4; k++) {
		double low, high, db, want = loudness_db(amplitudes[k]);
		float *x = silence(n);
		struct spectrum_desc d = {
			.samples = x, .n_frames = n, .channels = 1, .rate_hz = RATE, .rows = 100};

		add_sine(x, n, 1, 0, bin_hz(100), amplitudes[k]);
		db = loudest_db(d, &low, &high);
		if (!(fabs(db - want) <= fine_half_step + noise))
			fail_msg("%g reads %g dB, not %g", amplitudes[k], db, want);
		free(x);
	}
}

/* The mean of the powers: nothing cancels, equal channels read like one. */
static void channels_are_averaged_in_power(void **state)
{
	static const struct {
		int channels;
		double amplitude[5];
		double want; /* dB */
	} cases[] = {
		{2, {1, 1}, 0},
		{2, {1, -1}, 0},
		{2, {1, 0}, -3.0103},
		{2, {0, 1}, -3.0103},
		{3, {1, 1, 1}, 0},
		{3, {0, 0, 1}, -4.7712},
		{5, {1, -1, 1, -1, 1}, 0},
	};
	const size_t n = 12000;

	for (size_t k = 0; k < sizeof(cases) / sizeof(*cases); k++) {
		const int channels = cases[k].channels;
		double low, high, db;
		float *x = silence(n * (size_t)channels);
		struct spectrum_desc d = {.samples = x,
			.n_frames = n,
			.channels = channels,
			.rate_hz = RATE,
			.rows = 50};

		for (int c = 0; c < channels; c++)
			add_sine(x, n, channels, c, bin_hz(64), cases[k].amplitude[c]);
		db = loudest_db(d, &low, &high);
		if (!(fabs(db - cases[k].want) <= fine_half_step + noise))
			fail_msg("case %zu reads %g dB", k, db);
		free(x);
	}
}

/* Each channel has a frequency of its own: the one transform for two channels
 * must not make up others.  Between the two, 21 bins from either, the window's
 * side lobes are at 1 / (pi d (d^2 - 1)) each: below -83 dB together. */
static void two_sines_stay_apart(void **state)
{
	const size_t n = 30000;

	for (int channels = 1; channels <= 2; channels++) {
		float *x = silence(n * 2);
		struct spectrum_desc d = {.samples = x,
			.n_frames = n,
			.channels = channels,
			.rate_hz = RATE,
			.begin = 5000,
			.end = 25000,
			.columns = 4,
			.rows = 512,
			.low_db = -120,
			.high_db = 6,
			.scale = SPECTRUM_LINEAR};
		struct spectrum *s;
		uint8_t *levels;

		add_sine(x, n, channels, 0, 1000, 1);
		add_sine(x, n, channels, channels - 1, 2000, 1);
		levels = draw(&d, &s);
		for (int c = 0; c < 4; c++) {
			const uint8_t *column = levels + c * 512;
			int a = (int)(512 * spectrum_position(s, 1000)),
			    b = (int)(512 * spectrum_position(s, 2000)), between = (a + b) / 2;
			double lost = scalloping + (channels - 1) * 3.02 + half_step(s) + noise;

			assert_true(spectrum_db(s, column[a]) > -lost);
			assert_true(spectrum_db(s, column[b]) > -lost);
			assert_true(spectrum_db(s, column[between]) < -80);
			/* ten times farther away, the fall of 18 dB an octave */
			assert_true(spectrum_db(s, column[500]) < -105);
		}
		free(levels);
		free(x);
		spectrum_close(s);
	}
}

static void silence_is_dark(void **state)
{
	float *x = silence(8000);
	struct spectrum_desc d = {.samples = x,
		.n_frames = 4000,
		.channels = 2,
		.rate_hz = RATE,
		.columns = 9,
		.rows = 30};
	struct spectrum *s;
	uint8_t *levels = draw(&d, &s);

	for (int i = 0; i < 9 * 30; i++)
		assert_int_equal(levels[i], 0);
	free(levels);
	free(x);
	spectrum_close(s);
}

static void what_is_no_number_is_silent(void **state)
{
	static const float odd[] = {NAN, INFINITY, -INFINITY, 1e30f, -3e38f, -NAN};
	const size_t n = 9000;
	float *x = silence(2 * n), *y = silence(2 * n);
	struct spectrum_desc d = {.samples = x,
		.n_frames = n,
		.channels = 2,
		.rate_hz = RATE,
		.columns = 20,
		.rows = 60};
	struct spectrum *s;
	uint8_t *with, *without;

	add_sine(x, n, 2, 0, 3000, 0.3);
	add_sine(x, n, 2, 1, 700, 0.3);
	memcpy(y, x, 2 * n * sizeof(*x));
	for (size_t i = 0; i < 2 * n; i += 97) {
		x[i] = odd[i / 97 % 6];
		y[i] = 0;
	}
	with = draw(&d, &s);
	spectrum_close(s);
	d.samples = y;
	without = draw(&d, &s);
	spectrum_close(s);
	assert_memory_equal(with, without, 20 * 60);
	assert_true(with[10 * 60 + loudest(with + 10 * 60, 60)] > 128);
	free(with);
	free(without);
	free(x);
	free(y);
}

/* Wherever it is, and however coarse the matrix. */
static void no_sine_falls_between_cells(void **state)
{
	static const int rows[] = {1, 2, 10, 57};
	const size_t n = 8192;

	for (double hz = 61; hz < 19500; hz *= 1.09) {
		float *x = silence(n);

		add_sine(x, n, 1, 0, hz, 1);
		for (size_t k = 0; k < 12; k++) {
			double low, high, db;
			struct spectrum_desc d = {.samples = x,
				.n_frames = n,
				.channels = 1,
				.rate_hz = RATE,
				.rows = rows[k % 4],
				.scale = scales[k / 4]};

			db = loudest_db(d, &low, &high);
			if (db < -scalloping - fine_half_step - noise - mirror(hz))
				fail_msg("%g Hz reads %g dB in %d rows", hz, db, d.rows);
		}
		free(x);
	}
}

/* A single sample of 1 gives 4 w / fft at all frequencies, w being the window
 * there: at least cos(pi / 8)^2 for a hop of a quarter. */
static void no_click_falls_between_columns(void **state)
{
	const size_t n = 100000;
	const double least = loudness_db(4.0 / FFT * pow(cos(M_PI / 8), 2)),
		     most = loudness_db(4.0 / FFT);
	float *x = silence(n);

	for (size_t at = 3; at < n; at += 7919) {
		struct spectrum_desc d = {.samples = x,
			.n_frames = n,
			.channels = 1,
			.rate_hz = RATE,
			.columns = 13,
			.rows = 11};
		struct spectrum *s;
		uint8_t *levels, top = 0;

		x[at] = 1;
		levels = draw(&d, &s);
		/* the nearest transform is up to half a hop away, in the next column then */
		for (int c = 0; c < 13; c++) {
			bool is_near = fabs((c + 0.5) * (double)n / 13 - (double)at) <
				       (double)n / 26 + FFT / 8 + 1;

			if (is_near && levels[c * 11 + 5] > top)
				top = levels[c * 11 + 5];
		}
		if (spectrum_db(s, top) < least - half_step(s) - noise ||
			spectrum_db(s, top) > most + half_step(s) + noise)
			fail_msg("a click at %zu reads %g dB", at, spectrum_db(s, top));
		free(levels);
		spectrum_close(s);
		x[at] = 0;
	}
	free(x);
}

/* ---- against sums in double --------------------------------------------- */

/* Power of a bin, of the transform centred on `centre`, as spectrum.h has it. */
static double bin_power(const struct spectrum_desc *d, size_t centre, int k)
{
	double sum = 0;

	for (int c = 0; c < d->channels; c++) {
		double re = 0, im = 0;

		for (int i = 0; i < d->fft; i++) {
			ptrdiff_t at = (ptrdiff_t)centre + i - d->fft / 2;
			double w = 0.5 - 0.5 * cos(2 * M_PI * i / d->fft), x;

			if (at < 0 || at >= (ptrdiff_t)d->n_frames)
				continue;
			x = w * d->samples[at * d->channels + c];
			re += x * cos(2 * M_PI * i * k / d->fft);
			im += x * sin(2 * M_PI * i * k / d->fft);
		}
		sum += re * re + im * im;
	}
	sum *= pow(4.0 / d->fft, 2) / d->channels;
	return k == 0 || k == d->fft / 2 ? sum / 4 : sum;
}

static double interpolated(const double *power, double x, int last)
{
	int k = (int)x < last ? (int)x : last - 1;

	return power[k] + (x - k) * (power[k + 1] - power[k]);
}

static double row_power(const struct spectrum *s, const double *power, int r)
{
	const struct spectrum_desc *d = spectrum_asked(s);
	const double per_hz = (double)d->fft / d->rate_hz;
	double lo = spectrum_hz(s, (double)r / d->rows) * per_hz,
	       hi = spectrum_hz(s, (r + 1.0) / d->rows) * per_hz;
	double top = fmax(interpolated(power, lo, d->fft / 2), interpolated(power, hi, d->fft / 2));

	for (int k = (int)ceil(lo); k <= hi; k++)
		top = fmax(top, power[k]);
	return top;
}

/* A column in double: transforms at the multiples of hop in its span. */
static void reference_column(const struct spectrum *s, int column, double *ret)
{
	const struct spectrum_desc *d = spectrum_asked(s);
	const size_t n = d->end - d->begin;
	size_t begin = d->begin + (size_t)column * n / (size_t)d->columns,
	       end = d->begin + ((size_t)column + 1) * n / (size_t)d->columns;
	int found = 0;

	for (int r = 0; r < d->rows; r++)
		ret[r] = 0;
	for (size_t at = 0; at < end || !found; at += (size_t)d->hop) {
		double power[SPECTRUM_FFT_MIN / 2 + 1];
		size_t centre = at >= end ? begin + (end - begin) / 2 : at;

		if (centre < begin)
			continue;
		found++;
		for (int k = 0; k <= d->fft / 2; k++)
			power[k] = bin_power(d, centre, k);
		for (int r = 0; r < d->rows; r++)
			ret[r] = fmax(ret[r], row_power(s, power, r));
	}
}

static void agrees(const struct spectrum_desc *d)
{
	struct spectrum *s;
	uint8_t *levels = draw(d, &s);
	double *want = calloc((size_t)d->rows, sizeof(*want));

	for (int c = 0; c < d->columns; c++) {
		reference_column(s, c, want);
		for (int r = 0; r < d->rows; r++) {
			double exact = 255 * (10 * log10(fmax(want[r], 1e-30)) - d->low_db) /
				       (d->high_db - d->low_db);
			double level = fmin(fmax(exact, 0), 255);

			/* rounding, and float noise at -100 dB below a loud sound */
			if (!(fabs(levels[c * d->rows + r] - level) <= 0.55))
				fail_msg("column %d, row %d: %d, not %g", c, r,
					levels[c * d->rows + r], level);
		}
	}
	free(want);
	free(levels);
	spectrum_close(s);
}

static void levels_are_those_of_the_sums(void **state)
{
	const size_t n = 1500;
	uint64_t seed = 1;

	for (int channels = 1; channels <= 3; channels++) {
		float *x = silence(n * (size_t)channels);
		struct spectrum_desc d = {.samples = x,
			.n_frames = n,
			.channels = channels,
			.rate_hz = 8000,
			.fft = SPECTRUM_FFT_MIN,
			.low_db = -80,
			.high_db = 10};

		for (size_t i = 0; i < n * (size_t)channels; i++) {
			seed = seed * 6364136223846793005u + 1442695040888963407u;
			x[i] = (float)((double)(seed >> 40) * 0x1p-24 - 0.4);
		}
		for (int k = 0; k < 3; k++) {
			d.scale = scales[k];
			d.columns = 5;
			d.rows = 24;
			d.begin = d.end = 0;
			agrees(&d);
			d.hop = 50;
			d.low_hz = 300;
			d.high_hz = 3000;
			d.rows = 90; /* narrower than a bin */
			agrees(&d);
			d.begin = 700;
			d.end = 760;
			d.columns = 7; /* narrower than a hop */
			agrees(&d);
			d.hop = 0;
			d.low_hz = 3900; /* the last bins */
			d.high_hz = 0;
			agrees(&d);
			d.low_hz = 0;
		}
		free(x);
	}
}

/* ---- slices ------------------------------------------------------------- */

/* Few columns of many transforms, and many that share a coarse one. */
static void threads_make_no_difference(void **state)
{
	static const int columns[] = {3, 1300};
	const size_t n = 60000;
	float *x = silence(2 * n);
	struct pool *pool;
	struct err e = {0};

	assert_int_equal(pool_open(4, &pool, &e), 0);
	add_sine(x, n, 2, 0, 300, 0.3);
	add_sine(x + n, n / 2, 2, 1, 2500, 0.4);
	for (int i = 0; i < 2; i++) {
		struct spectrum_desc d = {.samples = x,
			.n_frames = n,
			.channels = 2,
			.rate_hz = RATE,
			.columns = columns[i],
			.rows = 33};
		struct spectrum *alone = NULL, *together;
		uint8_t *a, *b;

		a = draw(&d, &alone);
		d.pool = pool;
		together = open_it(&d);
		assert_true(spectrum_work(together, 1)); /* a column for each, or all groups */
		assert_int_equal(spectrum_coarse(together), i ? 12 : 3);
		while (spectrum_work(together, 64))
			assert_true(spectrum_done(together) <= (size_t)columns[i]);
		assert_int_equal(spectrum_done(together), columns[i]);
		b = levels_of(together);
		assert_memory_equal(a, b, (size_t)columns[i] * 33);
		free(a);
		free(b);
		spectrum_close(alone);
		spectrum_close(together);
		together = open_it(&d);
		spectrum_cancel(together);
		assert_false(spectrum_work(together, 64));
		assert_int_equal(spectrum_done(together), 0);
		spectrum_close(together);
	}
	pool_close(pool);
	free(x);
}

static void slices_make_no_difference(void **state)
{
	static const size_t slices[] = {1, 7, 64, SIZE_MAX};
	const size_t n = 60000;
	float *x = silence(2 * n);
	uint8_t *first = NULL;

	add_sine(x, n, 2, 0, 300, 0.3);
	add_sine(x + n, n / 2, 2, 1, 2500, 0.4);
	for (size_t k = 0; k < 4; k++) {
		struct spectrum_desc d = {.samples = x,
			.n_frames = n,
			.channels = 2,
			.rate_hz = RATE,
			.hop = 100,
			.columns = 20,
			.rows = 33};
		struct spectrum *s = open_it(&d);
		uint8_t *levels;

		while (spectrum_work(s, slices[k]))
			;
		levels = levels_of(s);
		if (!first)
			first = levels;
		assert_memory_equal(first, levels, 20 * 33);
		if (levels != first)
			free(levels);
		spectrum_close(s);
	}
	free(first);
	free(x);
}

/* 1300 columns are 434 groups of three, but for the last. */
static void a_coarse_picture_comes_first(void **state)
{
	const size_t n = 400000;
	float *x = silence(n);
	struct spectrum_desc d = {.samples = x,
		.n_frames = n,
		.channels = 1,
		.rate_hz = RATE,
		.columns = 1300,
		.rows = 8};
	struct spectrum *s = open_it(&d);
	uint8_t *levels;

	add_sine(x, n, 1, 0, 1000, 1);
	assert_int_equal(spectrum_coarse(s), 0);
	assert_true(spectrum_work(s, 433));
	assert_int_equal(spectrum_coarse(s), 1299);
	assert_true(spectrum_work(s, 1));
	assert_int_equal(spectrum_coarse(s), 1300);
	assert_int_equal(spectrum_done(s), 0);
	levels = levels_of(s);
	for (int c = 5; c < 1295; c++) {
		int r = loudest(levels + c * 8, 8);

		assert_int_equal(r, (int)(8 * spectrum_position(s, 1000)));
		assert_true(spectrum_db(s, levels[c * 8 + r]) > -scalloping - 0.2);
	}
	free(levels);
	while (spectrum_work(s, 1))
		assert_true(spectrum_done(s) <= 1300);
	assert_int_equal(spectrum_done(s), 1300);
	assert_false(spectrum_work(s, 1));
	spectrum_close(s);
	free(x);
}

static void *work(void *ud)
{
	while (spectrum_work(ud, 16))
		;
	return NULL;
}

/* What is said to be final does not change any more. */
static void another_thread_may_read(void **state)
{
	const size_t n = 300000;
	float *x = silence(n);
	struct spectrum_desc d = {.samples = x,
		.n_frames = n,
		.channels = 1,
		.rate_hz = RATE,
		.columns = 100,
		.rows = 50};
	struct spectrum *s = open_it(&d);
	uint8_t seen[100 * 50], last[100 * 50];
	size_t n_seen = 0;
	pthread_t thread;

	add_sine(x, n, 1, 0, 5000, 0.5);
	assert_int_equal(pthread_create(&thread, NULL, work, s), 0);
	while (n_seen < 100) {
		size_t done = spectrum_done(s);

		spectrum_read(s, n_seen, done - n_seen, seen + n_seen * 50);
		n_seen = done;
	}
	pthread_join(thread, NULL);
	spectrum_read(s, 0, 100, last);
	assert_memory_equal(seen, last, sizeof(last));
	assert_true(last[50 * 50 + loudest(last + 50 * 50, 50)] > 200);
	spectrum_close(s);
	free(x);
}

static void another_thread_may_cancel(void **state)
{
	const size_t n = 3000000;
	float *x = silence(n);
	struct spectrum_desc d = {.samples = x,
		.n_frames = n,
		.channels = 1,
		.rate_hz = RATE,
		.hop = 1, /* three million transforms */
		.columns = 10,
		.rows = 50};
	struct spectrum *s = open_it(&d);
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, work, s), 0);
	spectrum_cancel(s);
	pthread_join(thread, NULL);
	assert_true(spectrum_done(s) < 10);
	assert_false(spectrum_work(s, SIZE_MAX));
	assert_true(spectrum_done(s) < 10);
	spectrum_close(s);
	free(x);
}

/* ---- the ends of what is allowed ---------------------------------------- */

static void short_sounds_have_pictures(void **state)
{
	static const size_t lengths[] = {0, 1, 2, 255, 511, 512, 513, 2047, 2048};
	float *x = silence(2 * 2048);

	for (size_t i = 0; i < 2 * 2048; i++)
		x[i] = i % 3 ? 0.5f : -0.5f;
	for (size_t k = 0; k < sizeof(lengths) / sizeof(*lengths); k++) {
		/* a copy of its own, for the sanitizer to see its end */
		float *copy = malloc((2 * lengths[k] + 1) * sizeof(*copy));
		struct spectrum_desc d = {.samples = copy,
			.n_frames = lengths[k],
			.channels = 2,
			.rate_hz = RATE,
			.columns = 300,
			.rows = 20};
		struct spectrum *s;
		uint8_t *levels, top = 0;

		assert_non_null(copy);
		memcpy(copy, x, 2 * lengths[k] * sizeof(*copy));
		levels = draw(&d, &s);
		for (int i = 0; i < 300 * 20; i++)
			top = levels[i] > top ? levels[i] : top;
		assert_true(lengths[k] ? top > 80 : top == 0);
		free(levels);
		spectrum_close(s);
		free(copy);
	}
	free(x);
}

/* Noise reaches all rows, however narrow, at any rate and size. */
static void no_row_is_a_hole(void **state)
{
	static const int rates[] = {1000, 8000, 44100, 768000}, sizes[] = {256, 16384};
	const size_t n = 40000;
	float *x = silence(n);
	uint64_t seed = 7;

	for (size_t i = 0; i < n; i++) {
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		x[i] = (float)((double)(seed >> 40) * 0x1p-23 - 1);
	}
	for (int k = 0; k < 4 * 2 * 3; k++) {
		struct spectrum_desc d = {.samples = x,
			.n_frames = n,
			.channels = 1,
			.rate_hz = rates[k % 4],
			.fft = sizes[k / 4 % 2],
			.scale = scales[k / 8],
			.columns = 3,
			.rows = 3000};
		struct spectrum *s;
		uint8_t *levels = draw(&d, &s);

		for (int i = 0; i < 3 * 3000; i++)
			if (!levels[i])
				fail_msg("%d Hz, FFT %d, scale %d: row %d is dark", d.rate_hz,
					d.fft, d.scale, i % 3000);
		assert_true(spectrum_asked(s)->high_hz <= d.rate_hz / 2.0);
		free(levels);
		spectrum_close(s);
	}
	free(x);
}

static void positions_go_both_ways(void **state)
{
	for (int k = 0; k < 3; k++) {
		struct spectrum_desc d = {.n_frames = 0,
			.channels = 1,
			.rate_hz = RATE,
			.columns = 1,
			.rows = 10,
			.scale = scales[k]};
		struct spectrum *s = open_it(&d);

		assert_true(fabs(spectrum_position(s, spectrum_asked(s)->low_hz)) < 1e-9);
		assert_true(fabs(spectrum_position(s, 20000) - 1) < 1e-9);
		for (double p = 0; p <= 1; p += 0.01)
			assert_true(fabs(spectrum_position(s, spectrum_hz(s, p)) - p) < 1e-9);
		for (int level = 0; level < 256; level++)
			assert_int_equal(
				spectrum_level(s, pow(10, spectrum_db(s, (uint8_t)level) / 10)),
				level);
		assert_int_equal(spectrum_level(s, 0), 0);
		assert_int_equal(spectrum_level(s, NAN), 0);
		assert_int_equal(spectrum_level(s, INFINITY), 255);
		spectrum_close(s);
	}
}

static void reading_stops_at_the_end(void **state)
{
	struct spectrum_desc d = {.channels = 1, .rate_hz = RATE, .columns = 4, .rows = 2};
	struct spectrum *s = open_it(&d);
	uint8_t levels[9];

	memset(levels, 7, sizeof(levels));
	spectrum_read(s, 4, 1, levels);
	spectrum_read(s, SIZE_MAX, SIZE_MAX, levels);
	assert_int_equal(levels[0], 7);
	spectrum_read(s, 3, SIZE_MAX, levels);
	assert_int_equal(levels[1], 0);
	assert_int_equal(levels[2], 7);
	spectrum_close(s);
	spectrum_close(NULL);
}

static void nonsense_is_refused(void **state)
{
	static const float x[100];
	const struct spectrum_desc good = {.samples = x,
		.n_frames = 100,
		.channels = 1,
		.rate_hz = RATE,
		.columns = 4,
		.rows = 4};
	struct spectrum_desc bad[20];
	const char *words[20];
	size_t n = 0;

#define BAD(field, value, part) (bad[n] = good, bad[n].field = (value), words[n++] = part)
	BAD(channels, 0, "channels");
	BAD(channels, 65, "channels");
	BAD(rate_hz, 0, "Hz");
	BAD(rate_hz, INT32_MAX, "Hz");
	BAD(columns, 0, "cells");
	BAD(columns, SPECTRUM_COLUMNS_MAX + 1, "cells");
	BAD(rows, -1, "cells");
	BAD(rows, SPECTRUM_ROWS_MAX + 1, "cells");
	BAD(fft, 128, "power of two");
	BAD(fft, 3000, "power of two");
	BAD(fft, 32768, "power of two");
	BAD(hop, -1, "hop");
	BAD(hop, 1025, "hop");
	BAD(end, 101, "frames");
	BAD(begin, 7, "frames");
	BAD(low_db, 0.5, "range");
	BAD(high_db, NAN, "range");
	BAD(low_hz, 30000, "frequencies");
	BAD(high_hz, NAN, "frequencies");
	BAD(scale, (enum spectrum_scale)3, "scale");
#undef BAD
	for (size_t i = 0; i < n; i++) {
		struct spectrum *s = (void *)&n;
		struct err e = {0};

		if (spectrum_open(&bad[i], &s, &e) != ERR_ARG)
			fail_msg("case %zu (%s) is taken", i, words[i]);
		assert_error(e, ERR_ARG, words[i]);
		assert_null(s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sines_are_where_and_as_loud_as_they_should),
		cmocka_unit_test(amplitudes_read_their_level),
		cmocka_unit_test(channels_are_averaged_in_power),
		cmocka_unit_test(two_sines_stay_apart),
		cmocka_unit_test(silence_is_dark),
		cmocka_unit_test(what_is_no_number_is_silent),
		cmocka_unit_test(no_sine_falls_between_cells),
		cmocka_unit_test(no_click_falls_between_columns),
		cmocka_unit_test(levels_are_those_of_the_sums),
		cmocka_unit_test(slices_make_no_difference),
		cmocka_unit_test(threads_make_no_difference),
		cmocka_unit_test(a_coarse_picture_comes_first),
		cmocka_unit_test(another_thread_may_read),
		cmocka_unit_test(another_thread_may_cancel),
		cmocka_unit_test(short_sounds_have_pictures),
		cmocka_unit_test(no_row_is_a_hole),
		cmocka_unit_test(positions_go_both_ways),
		cmocka_unit_test(reading_stops_at_the_end),
		cmocka_unit_test(nonsense_is_refused),
	};
	return RUN_TAP(tests);
}
