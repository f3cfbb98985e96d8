/* Loudness against signals whose loudness is known (EBU Tech 3341). */
#include "library/loudness.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "library/base/err.h"
#include "tests/unit/scratch.h"

/* n_frames of a sine with `peak`, the same in all channels; to be freed. */
static float *sine(size_t n_frames, int channels, int rate_hz, double hz, double phase, double peak)
{
	float *x = calloc(n_frames * (size_t)channels, sizeof *x);

	assert_non_null(x);
	for (size_t i = 0; i < n_frames * (size_t)channels; i++)
		x[i] = (float)(peak * sin(phase + 2 * M_PI * hz * (double)(i / (size_t)channels) /
							  rate_hz));
	return x;
}

static struct loudness measure(const float *x, size_t n_frames, int channels, int rate_hz)
{
	struct err e = {0};
	struct loudness l;

	if (loudness_measure(x, n_frames, channels, rate_hz, &l, &e))
		fail_msg("%s", e.text);
	return l;
}

/* Tech 3341, minimum requirements 1 and 2, at several rates. */
static void stereo_sines_read_their_level(void **state)
{
	static const int rates[] = {32000, 44100, 48000, 96000};
	static const double levels[] = {-23, -33, -14};

	for (size_t k = 0; k < 4; k++) {
		for (size_t i = 0; i < 3; i++) {
			size_t n = (size_t)rates[k] * 5;
			float *x = sine(n, 2, rates[k], 1000, 0, loudness_gain(levels[i]));
			struct loudness l = measure(x, n, 2, rates[k]);

			if (!(fabs(l.lufs - levels[i]) <= 0.1))
				fail_msg("%g dBFS at %d Hz reads %g LUFS", levels[i], rates[k],
					l.lufs);
			free(x);
		}
	}
}

/* One loudspeaker instead of two. */
static void mono_reads_three_less(void **state)
{
	float *x = sine(48000 * 5, 1, 48000, 1000, 0, loudness_gain(-23));
	struct loudness l = measure(x, 48000 * 5, 1, 48000);

	assert_true(fabs(l.lufs - (-23 - 10 * log10(2))) < 0.1);
	free(x);
}

/* BS.1770-4: the sides count 1.5 dB more, what is behind like the front. */
static void seven_and_eight_channels_count(void **state)
{
	enum { S = 48000, N = S * 5 };
	static const double more[][8] = {
		{0, 0, 0, -INFINITY, 0, 1.5, 1.5}, {0, 0, 0, -INFINITY, 0, 0, 1.5, 1.5}};
	float *one = sine(N, 1, S, 1000, 0, loudness_gain(-20)), *x = calloc(8 * N, sizeof *x);

	assert_non_null(x);
	for (int channels = 7; channels <= 8; channels++)
		for (int c = 0; c < channels; c++) {
			const double wanted = -20 - 10 * log10(2) + more[channels - 7][c];
			struct loudness l;

			memset(x, 0, 8 * N * sizeof *x);
			for (size_t i = 0; i < N; i++)
				x[i * (size_t)channels + (size_t)c] = one[i];
			l = measure(x, N, channels, S);
			if (!(fabs(l.lufs - wanted) < 0.1) && l.lufs != wanted)
				fail_msg("channel %d of %d reads %g LUFS, not %g", c + 1, channels,
					l.lufs, wanted);
		}
	free(one);
	free(x);
}

/* Tech 3341, requirement 3: what is 10 LU quieter is gated. */
static void quiet_parts_do_not_count(void **state)
{
	enum { S = 48000 };
	float *x = sine(S * 80, 2, S, 1000, 0, loudness_gain(-36));
	float *loud = sine(S * 60, 2, S, 1000, 0, loudness_gain(-23));
	struct loudness l;

	memcpy(x + 2 * S * 10, loud, sizeof *x * 2 * S * 60);
	l = measure(x, S * 80, 2, S);
	assert_true(fabs(l.lufs - -23) < 0.1);
	free(x);
	free(loud);
}

static void what_is_too_short_or_quiet_has_none(void **state)
{
	float *x = sine(48000, 2, 48000, 1000, 0, 0.5);

	assert_true(isinf(measure(x, 19000, 2, 48000).lufs));
	assert_true(isfinite(measure(x, 19400, 2, 48000).lufs));
	free(x);
	x = sine(48000, 2, 48000, 1000, 0, loudness_gain(-75));
	assert_true(isinf(measure(x, 48000, 2, 48000).lufs));
	memset(x, 0, sizeof *x * 2 * 48000);
	assert_true(isinf(measure(x, 48000, 2, 48000).lufs));
	assert_true(measure(x, 48000, 2, 48000).peak == 0);
	free(x);
}

/* Tech 3341, requirements 15 to 19: a quarter of the rate at 45 degrees has no
 * sample on its peak, and -6 dB of it read -6 dBTP, +0.2 / -0.4 dB. */
static void peaks_between_samples_are_found(void **state)
{
	static const int rates[] = {44100, 48000, 88200};

	for (size_t k = 0; k < 3; k++) {
		size_t n = (size_t)rates[k];
		float *x = sine(n, 2, rates[k], rates[k] / 4.0, M_PI / 4, loudness_gain(-6));
		double db = loudness_db(measure(x, n, 2, rates[k]).peak);

		if (db < -6.4 || db > -5.8)
			fail_msg("%d Hz: %g dBTP", rates[k], db);
		free(x);
	}
}

/* The interpolation lags behind: a peak at the very end is not lost. */
static void the_last_sample_counts(void **state)
{
	static float x[1000];

	x[999] = 0.9f;
	assert_true(fabs(measure(x, 1000, 1, 48000).peak - 0.9) < 0.01);
	x[999] = -0.9f;
	assert_true(fabs(measure(x, 1000, 1, 48000).peak - 0.9) < 0.01);
	assert_true(fabs(measure(x + 999, 1, 1, 48000).peak - 0.9) < 0.01);
}

/* Tech 3341, minimum requirement 3 for M: a stereo sine of 1 kHz reads its level once
 * 0.4 s of it are there, whatever was before. */
static void the_last_moment(void **state)
{
	static const int rates[] = {32000, 44100, 48000};
	struct err e = {0};
	double lufs;

	for (size_t k = 0; k < 3; k++) {
		size_t n = (size_t)rates[k];
		float *x = sine(n, 2, rates[k], 1000, 0, loudness_gain(-23));

		memset(x, 0, n * sizeof(*x)); /* the first half, silence */
		assert_int_equal(loudness_momentary(x, n, 2, rates[k], &lufs, &e), 0);
		assert_true(fabs(lufs + 23) < 0.1);
		assert_int_equal(loudness_momentary(x, n / 2, 2, rates[k], &lufs, &e), 0);
		assert_true(lufs < -100);
		free(x);
	}
}

static void decibels_go_both_ways(void **state)
{
	assert_true(loudness_db(1) == 0 && loudness_gain(0) == 1);
	assert_true(isinf(loudness_db(0)) && loudness_gain(-INFINITY) == 0);
	assert_true(fabs(loudness_db(loudness_gain(-17.5)) + 17.5) < 1e-12);
}

/* The softest stays; nothing is made louder, nothing that is not known is touched. */
static void loudnesses_are_matched_by_attenuation(void **state)
{
	const double lufs[] = {-14, -20, NAN, -INFINITY}, peak[] = {-1, -3, NAN, -60};
	const double hot[] = {-1, 3, NAN, -60}; /* 3 dB over, with the softest loudness */
	double gain[4];

	loudness_match(lufs, peak, 4, gain);
	assert_true(fabs(loudness_db(gain[0]) + 6) < 1e-9);
	assert_true(gain[1] == 1 && gain[2] == 1 && gain[3] == 1);
	loudness_match(lufs, hot, 2, gain);
	assert_true(fabs(loudness_db(gain[0]) + 9) < 1e-9);
	assert_true(fabs(loudness_db(gain[1]) + 3) < 1e-9);
	loudness_match(lufs, peak, 0, gain);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stereo_sines_read_their_level),
		cmocka_unit_test(mono_reads_three_less),
		cmocka_unit_test(seven_and_eight_channels_count),
		cmocka_unit_test(quiet_parts_do_not_count),
		cmocka_unit_test(what_is_too_short_or_quiet_has_none),
		cmocka_unit_test(peaks_between_samples_are_found),
		cmocka_unit_test(the_last_sample_counts),
		cmocka_unit_test(the_last_moment),
		cmocka_unit_test(loudnesses_are_matched_by_attenuation),
		cmocka_unit_test(decibels_go_both_ways),
	};
	return RUN_TAP(tests);
}
