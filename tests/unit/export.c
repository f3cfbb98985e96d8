/* Export: each step by itself, whole files, and several programs at once. */
#include "library/export.h"

#include <math.h>
#include <pthread.h>
#include <sndfile.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "library/base/arena.h"
#include "library/base/err.h"
#include "library/base/str.h"
#include "library/loudness.h"
#include "library/recipe.h"
#include "tests/unit/scratch.h"

enum { RATE = 32000 };

static const char RECIPE[] = "{\"model\": \"musicgen-small\", \"prompt\": \"slow: piano\", "
			     "\"seed\": 7, \"seconds\": 1, \"later\": 1}";

static struct arena arena;

static int teardown(void **state)
{
	arena_done(&arena);
	return scratch_close(state);
}

/* Two channels of a sine and its negative; the samples are the audio's. */
static struct audio tone(size_t n_frames, double peak)
{
	struct audio a = {.n_frames = n_frames, .channels = 2, .rate_hz = RATE};

	a.samples = calloc(2 * n_frames, sizeof *a.samples);
	assert_non_null(a.samples);
	for (size_t i = 0; i < n_frames; i++) {
		a.samples[2 * i] = (float)(peak * sin(2 * M_PI * 997 * (double)i / RATE));
		a.samples[2 * i + 1] = -a.samples[2 * i];
	}
	return a;
}

static void save(const char *path, const struct audio *a, const char *recipe)
{
	struct audio_writer *w;

	assert_int_equal(audio_writer_open(&(struct audio_writer_desc){.path = path,
						   .channels = a->channels,
						   .rate_hz = a->rate_hz,
						   .recipe = recipe},
				 &w, NULL),
		0);
	assert_int_equal(audio_writer_add(w, a->samples, a->n_frames, NULL), 0);
	assert_int_equal(audio_writer_commit(w, NULL), 0);
	audio_writer_close(w);
}

/* A second of a tone with a recipe, as a take; its path. */
static const char *take(void **state, double peak)
{
	const char *path = scratch_path(state, "take.wav");
	struct audio a = tone(RATE, peak);

	save(path, &a, RECIPE);
	audio_done(&a);
	return path;
}

static struct export_result export_ok(const struct export_desc *d)
{
	struct export_result r;
	struct err e = {0};

	if (export_file(d, &arena, &r, &e))
		fail_msg("%s", e.text);
	return r;
}

static struct audio load(const char *path)
{
	struct audio a;
	struct err e = {0};

	if (audio_read(&(struct audio_read_desc){.path = path}, &a, &e))
		fail_msg("%s", e.text);
	return a;
}

static void same_bytes(const char *one, const char *two)
{
	size_t n_one, n_two;
	unsigned char *a = scratch_read(one, &n_one), *b = scratch_read(two, &n_two);

	assert_int_equal(n_one, n_two);
	assert_memory_equal(a, b, n_one);
	free(a);
	free(b);
}

/* ---- dither ------------------------------------------------------------- */

struct error_stats {
	double mean, variance, with_signal, with_next;
};

/* Of the rounding to 16 bits, in steps; correlations as coefficients. */
static struct error_stats errors(double peak, bool dither)
{
	struct audio a = tone(200000, peak), b = tone(200000, peak);
	double n = 400000, sum = 0, squares = 0, signal = 0, signal_squares = 0, next = 0, last = 0;
	struct error_stats s;

	assert_int_equal(export_round(&a, 16, dither), 0);
	for (size_t i = 0; i < 400000; i++) {
		double error = ((double)a.samples[i] - (double)b.samples[i]) * 0x1p15;
		double x = b.samples[i];

		assert_true((double)a.samples[i] * 0x1p15 == rint((double)a.samples[i] * 0x1p15));
		sum += error;
		squares += error * error;
		signal += error * x;
		signal_squares += x * x;
		next += error * last;
		last = error;
	}
	s.mean = sum / n;
	s.variance = squares / n - s.mean * s.mean;
	s.with_signal = signal / sqrt(squares * signal_squares);
	s.with_next = next / squares;
	audio_done(&a);
	audio_done(&b);
	return s;
}

/* Of n draws with variance 1/4 the mean is off by 0.5/sqrt(n) = 0.0008, the
 * variance by less than 0.25 sqrt(2/n) = 0.0006, a correlation by 1/sqrt(n) =
 * 0.0016 (one sigma each).  Six sigmas are allowed, at any level of the signal:
 * also below one step, where plain rounding hears nothing. */
static void dither_is_noise_whatever_the_signal(void **state)
{
	static const double peaks[] = {0.9, 0.1, 0x1p-15, 0x1p-17};

	for (size_t i = 0; i < sizeof peaks / sizeof *peaks; i++) {
		struct error_stats s = errors(peaks[i], true);

		if (!(fabs(s.mean) <= 0.005 && fabs(s.variance - 0.25) <= 0.0036 &&
			    fabs(s.with_signal) <= 0.01 && fabs(s.with_next) <= 0.01))
			fail_msg("peak %g: mean %g, variance %g, correlations %g and %g", peaks[i],
				s.mean, s.variance, s.with_signal, s.with_next);
	}
}

/* What the test above would find without dither. */
static void plain_rounding_follows_the_signal(void **state)
{
	struct error_stats s = errors(0x1p-17, false);

	assert_true(fabs(s.with_signal + 1) < 1e-6); /* all of it is gone */
	s = errors(0.9, false);
	assert_true(fabs(s.variance - 1.0 / 12) < 0.001);
}

static void rounding_clips(void **state)
{
	float x[6] = {1, -1, 1.5f, -1.5f, 0, 0.99999f};
	struct audio a = {.samples = x, .n_frames = 6, .channels = 1, .rate_hz = RATE};

	assert_int_equal(export_round(&a, 16, false), 4);
	assert_true(x[0] == 32767 / 32768.0f && x[1] == -1 && x[2] == x[0] && x[3] == -1);
	for (int bits = 16; bits <= 24; bits += 8) { /* and the writer changes nothing more */
		float y = 0.123456789f;
		struct audio b = {.samples = &y, .n_frames = 1, .channels = 1, .rate_hz = RATE};

		export_round(&b, bits, true);
		assert_true(y == (float)ldexp(audio_round(y, bits), 1 - bits));
	}
}

/* ---- trim, fades -------------------------------------------------------- */

static void silence_is_trimmed(void **state)
{
	float x[] = {0, 0, 0.0009f, 0, 0, -0.0011f, 0, 0, 0, 0, 0.5f, 0, 0.0009f, 0};
	struct audio a = {.samples = x, .n_frames = 7, .channels = 2, .rate_hz = RATE};
	struct err e = {0};

	assert_int_equal(export_trim(&a, -60, &e), 0);
	assert_int_equal(a.n_frames, 4);
	assert_true(x[1] == -0.0011f && x[6] == 0.5f);
	assert_int_equal(export_trim(&a, -60, &e), 0); /* nothing is left to cut */
	assert_int_equal(a.n_frames, 4);
	assert_int_equal(export_trim(&a, -1, &e), ERR_FORMAT);
	assert_error(e, ERR_FORMAT, "nothing in it reaches -1 dB");
}

static void fades_rise_and_fall(void **state)
{
	struct audio a = {.n_frames = RATE, .channels = 2, .rate_hz = RATE};
	struct err e = {0};

	a.samples = calloc(2 * RATE, sizeof *a.samples);
	for (size_t i = 0; i < 2 * RATE; i++)
		a.samples[i] = 1;
	assert_int_equal(export_fade(&a, 0.25, 0.5, &e), 0);
	assert_true(a.samples[0] > 0 && a.samples[0] < 1e-6f && a.samples[1] == a.samples[0]);
	for (size_t i = 1; i < RATE / 4; i++)
		assert_true(a.samples[2 * i] >= a.samples[2 * i - 2]);
	/* the middle of a fade is half as loud, and between the fades nothing changes */
	assert_true(fabs((double)a.samples[2 * (RATE / 8)] - 0.5) < 1e-3);
	assert_true(a.samples[2 * (RATE / 4)] == 1 && a.samples[2 * (RATE / 2) - 1] == 1);
	assert_true(fabs((double)a.samples[2 * (RATE * 3 / 4)] - 0.5) < 1e-3);
	assert_true(a.samples[2 * RATE - 1] < 1e-6f);
	assert_int_equal(export_fade(&a, 0.5, 0.501, &e), ERR_ARG);
	assert_error(e, ERR_ARG, "longer than the audio, which has 1.00; shorten");
	audio_done(&a);
}

/* ---- files -------------------------------------------------------------- */

static void a_plain_export_changes_no_bit(void **state)
{
	const char *source = take(state, 0.5);
	struct export_result r = export_ok(&(struct export_desc){.source = source, .dir = *state});
	struct audio a = load(source), b = load(r.path);
	char *text;

	assert_string_equal(strrchr(r.path, '/'), "/slow_ piano musicgen-small 7 take.wav");
	assert_int_equal(b.n_frames, a.n_frames);
	assert_memory_equal(a.samples, b.samples, 8 * a.n_frames);
	assert_true(r.gain_db == 0 && !r.held_back && r.clipped == 0);
	assert_int_equal(r.n_frames, RATE);
	assert_int_equal(audio_read_recipe(r.path, &text, NULL), 0);
	assert_string_equal(text, RECIPE); /* with what we do not know */
	free(text);
	audio_done(&a);
	audio_done(&b);
}

static void the_same_export_is_the_same_file(void **state)
{
	static const enum audio_format formats[] = {
		AUDIO_FLOAT, AUDIO_PCM24, AUDIO_PCM16, AUDIO_FLAC24, AUDIO_FLAC16};
	const char *source = take(state, 0.5);

	for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
		struct export_desc d = {.source = source,
			.dir = *state,
			.pattern = "x{seed}",
			.format = formats[i],
			.lufs = -20,
			.trim_db = -50,
			.rate_hz = 44100,
			.fade_in_s = 0.1,
			.fade_out_s = 0.1};
		const char *one = export_ok(&d).path, *two = export_ok(&d).path;

		assert_string_not_equal(one, two);
		same_bytes(one, two);
	}
}

static void formats_hold_what_they_should(void **state)
{
	static const struct {
		enum audio_format format;
		int kind;
		double error; /* half a step; one and a half with dither */
	} cases[] = {
		{AUDIO_FLOAT, SF_FORMAT_WAV | SF_FORMAT_FLOAT, 0},
		{AUDIO_PCM24, SF_FORMAT_WAV | SF_FORMAT_PCM_24, 0.5 * 0x1p-23},
		{AUDIO_PCM16, SF_FORMAT_WAV | SF_FORMAT_PCM_16, 1.5 * 0x1p-15},
		{AUDIO_FLAC24, SF_FORMAT_FLAC | SF_FORMAT_PCM_24, 0.5 * 0x1p-23},
		{AUDIO_FLAC16, SF_FORMAT_FLAC | SF_FORMAT_PCM_16, 1.5 * 0x1p-15},
	};
	const char *source = take(state, 0.5);
	struct audio a = load(source);

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct export_result r = export_ok(&(struct export_desc){
			.source = source, .dir = *state, .format = cases[i].format});
		SF_INFO info = {0};
		SNDFILE *f = sf_open(r.path, SFM_READ, &info);
		struct recipe recipe;
		struct audio b = load(r.path);

		assert_non_null(f);
		assert_int_equal(info.format, cases[i].kind);
		assert_non_null(strstr(sf_get_string(f, SF_STR_COMMENT), "seed 7: slow: piano"));
		assert_non_null(strstr(sf_get_string(f, SF_STR_COPYRIGHT), "CC-BY-NC-4.0"));
		sf_close(f);
		assert_int_equal(b.n_frames, a.n_frames);
		for (size_t k = 0; k < 2 * a.n_frames; k++)
			assert_true(fabs((double)a.samples[k] - (double)b.samples[k]) <=
				    cases[i].error);
		assert_int_equal(recipe_read(r.path, &arena, &recipe, NULL, NULL), 0);
		assert_string_equal(recipe.prompt, "slow: piano");
		assert_true(r.no_commercial);
		audio_done(&b);
	}
	audio_done(&a);
}

static void sixteen_bits_stay_as_they_are(void **state)
{
	const char *source = scratch_path(state, "old.wav");
	struct audio a = tone(1000, 0.5), b;
	struct export_result r;

	export_round(&a, 16, true);
	save(source, &a, NULL);
	r = export_ok(
		&(struct export_desc){.source = source, .dir = *state, .format = AUDIO_FLAC16});
	assert_string_equal(strrchr(r.path, '/'), "/old.flac");
	b = load(r.path);
	for (size_t i = 0; i < 2000; i++)
		assert_true(a.samples[i] == b.samples[i]);
	audio_done(&a);
	audio_done(&b);
}

static void loudness_meets_its_target(void **state)
{
	struct export_desc d = {.source = take(state, 0.5), .dir = *state, .lufs = -23};
	struct export_result r = export_ok(&d);
	struct audio b = load(r.path);
	struct loudness l;

	assert_int_equal(loudness_measure(b.samples, b.n_frames, 2, RATE, &l, NULL), 0);
	assert_true(fabs(l.lufs + 23) < 0.01 && fabs(r.lufs_after + 23) < 0.01);
	assert_true(!r.held_back && fabs(r.lufs_before + r.gain_db + 23) < 0.01);
	audio_done(&b);

	/* a sine at -3 LUFS would have its peak at -3 dBTP or so */
	d.lufs = -2;
	d.ceiling_dbtp = -6;
	r = export_ok(&d);
	b = load(r.path);
	assert_int_equal(loudness_measure(b.samples, b.n_frames, 2, RATE, &l, NULL), 0);
	assert_true(r.held_back && fabs(loudness_db(l.peak) + 6) < 0.01);
	assert_true(fabs(r.peak_dbtp + 6) < 0.01);
	audio_done(&b);
}

static void changes_are_in_the_recipe(void **state)
{
	struct export_desc d = {.source = take(state, 0.5),
		.dir = *state,
		.rate_hz = 48000,
		.fade_out_s = 0.5,
		.lufs = -20,
		.format = AUDIO_PCM16};
	struct recipe recipe;
	struct export_result r = export_ok(&d);

	assert_int_equal(r.n_frames, 48000);
	assert_int_equal(recipe_read(r.path, &arena, &recipe, NULL, NULL), 0);
	assert_true(
		has_prefix(recipe.exported, "resampled to 48000 Hz, fades of 0 and 0.5 s, gain "));
	assert_true(has_suffix(recipe.exported, " dB, dithered"));
	d = (struct export_desc){.source = r.path, .dir = *state, .trim_db = -20};
	r = export_ok(&d);
	assert_int_equal(recipe_read(r.path, &arena, &recipe, NULL, NULL), 0);
	assert_true(has_suffix(recipe.exported, "dithered; trimmed at -20 dB"));
}

static void a_damaged_recipe_stays_behind(void **state)
{
	const char *source = scratch_path(state, "odd.wav");
	struct audio a = tone(100, 0.5);
	struct export_result r;
	char *text;

	save(source, &a, "{\"seed\": -1}");
	r = export_ok(&(struct export_desc){.source = source, .dir = *state});
	assert_non_null(strstr(r.warning, "the recipe is "));
	assert_null(r.licence);
	assert_int_equal(audio_read_recipe(r.path, &text, NULL), ERR_FORMAT);
	audio_done(&a);
}

static void resampling_keeps_the_length(void **state)
{
	const char *source = scratch_path(state, "a.wav");
	struct audio a = tone(12345, 0.5);

	save(source, &a, NULL);
	for (int rate = 8000; rate <= 96000; rate += 8000)
		assert_int_equal(
			export_ok(&(struct export_desc){
					  .source = source, .dir = *state, .rate_hz = rate})
				.n_frames,
			(size_t)(12345.0 * rate / RATE + 0.5));
	audio_done(&a);
}

static void failures_leave_nothing(void **state)
{
	const char *source = take(state, 0.5);
	const struct {
		struct export_desc d;
		int code;
		const char *part;
	} cases[] = {
		{{.source = "none.wav", .dir = *state}, ERR_IO, "No such file"},
		{{.source = *state, .dir = *state}, ERR_IO, "no regular file"},
		{{.source = source, .dir = scratch_path(state, "none")}, ERR_IO,
			"make the folder first"},
		{{.source = source, .dir = source}, ERR_IO, "cannot write"},
		{{.source = source, .dir = *state, .pattern = "{x}"}, ERR_ARG, "none of {prompt}"},
		{{.source = source, .dir = *state, .lufs = 1}, ERR_ARG, "0 dB"},
		{{.source = source, .dir = *state, .lufs = NAN}, ERR_ARG, "0 dB"},
		{{.source = source, .dir = *state, .ceiling_dbtp = 1}, ERR_ARG, "0 dB"},
		{{.source = source, .dir = *state, .trim_db = 3}, ERR_ARG, "0 dB"},
		{{.source = source, .dir = *state, .trim_db = -1}, ERR_FORMAT,
			"take.wav': nothing"},
		{{.source = source, .dir = *state, .fade_in_s = -1}, ERR_ARG, "fades"},
		{{.source = source, .dir = *state, .fade_in_s = 2}, ERR_ARG, "shorten them"},
		{{.source = source, .dir = *state, .rate_hz = 1}, ERR_ARG, "resample"},
		{{.source = source, .dir = *state, .rate_hz = 768000, .format = AUDIO_FLAC16},
			ERR_UNSUPPORTED, "write WAV"},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct export_result r;
		struct err e = {0};

		assert_int_equal(export_file(&cases[i].d, &arena, &r, &e), cases[i].code);
		assert_error(e, cases[i].code, cases[i].part);
		assert_int_equal(scratch_count(*state), 1);
	}
}

static void too_short_for_a_loudness(void **state)
{
	const char *source = scratch_path(state, "a.wav");
	struct audio a = tone(1000, 0.5);
	struct export_result r;
	struct err e = {0};

	save(source, &a, NULL);
	assert_int_equal(
		export_file(&(struct export_desc){.source = source, .dir = *state, .lufs = -14},
			&arena, &r, &e),
		ERR_FORMAT);
	assert_error(e, ERR_FORMAT, "too short or too quiet to have a loudness");
	r = export_ok(&(struct export_desc){.source = source, .dir = *state});
	assert_true(isinf(r.lufs_before));
	audio_done(&a);
}

/* ---- several at once ---------------------------------------------------- */

enum { N_THREADS = 4, N_EACH = 10 };

static void *export_many(void *ud)
{
	const struct export_desc *d = ud;
	struct arena own = {0};
	struct export_result r;
	size_t n_failed = 0;

	for (int i = 0; i < N_EACH; i++)
		n_failed += export_file(d, &own, &r, NULL) != 0;
	arena_done(&own);
	return (void *)n_failed;
}

static void nobody_overwrites_anybody(void **state)
{
	const char *source = scratch_path(state, "kick.wav");
	struct export_desc d = {.source = source, .dir = *state, .format = AUDIO_FLAC16};
	struct audio a = tone(2000, 0.5);
	pthread_t threads[N_THREADS];
	void *n_failed;

	save(source, &a, NULL);
	audio_done(&a);
	for (int i = 0; i < N_THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, export_many, &d), 0);
	for (int i = 0; i < N_THREADS; i++) {
		assert_int_equal(pthread_join(threads[i], &n_failed), 0);
		assert_null(n_failed);
	}
	assert_int_equal(scratch_count(*state), 1 + N_THREADS * N_EACH);
	for (int k = 2; k <= N_THREADS * N_EACH; k++) {
		char name[32];

		snprintf(name, sizeof name, "kick (%d).flac", k);
		same_bytes(scratch_path(state, "kick.flac"), scratch_path(state, name));
	}
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, scratch_open, teardown)
	const struct CMUnitTest tests[] = {
		TEST(dither_is_noise_whatever_the_signal),
		TEST(plain_rounding_follows_the_signal),
		TEST(rounding_clips),
		TEST(silence_is_trimmed),
		TEST(fades_rise_and_fall),
		TEST(a_plain_export_changes_no_bit),
		TEST(the_same_export_is_the_same_file),
		TEST(formats_hold_what_they_should),
		TEST(sixteen_bits_stay_as_they_are),
		TEST(loudness_meets_its_target),
		TEST(changes_are_in_the_recipe),
		TEST(a_damaged_recipe_stays_behind),
		TEST(resampling_keeps_the_length),
		TEST(failures_leave_nothing),
		TEST(too_short_for_a_loudness),
		TEST(nobody_overwrites_anybody),
	};
	return RUN_TAP(tests);
}
