/* The writer's FLAC files: read back by libsndfile; what FLAC cannot hold; and
 * that no failure leaves anything behind. */
#include "library/audio.h"

#include <math.h>
#include <signal.h>
#include <sndfile.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "library/base/err.h"
#include "tests/unit/scratch.h"

enum { N = 50000 }; /* samples: more than the writer's buffer and than FLAC's blocks */

static float x[N];

static void fill(void)
{
	for (int i = 0; i < N; i++)
		x[i] = (float)(1.1 * sin(i * 0.01 + i * (double)i * 1e-6));
}

/* In pieces; returns the first failure. */
static int write_flac(const struct audio_writer_desc *d, size_t n_samples, struct err *e)
{
	size_t channels = (size_t)d->channels, n_frames = n_samples / channels;
	struct audio_writer *w;
	int rc = audio_writer_open(d, &w, e);

	for (size_t done = 0, k; !rc && done < n_frames; done += k) {
		k = n_frames - done < 1 + done ? n_frames - done : 1 + done;
		rc = audio_writer_add(w, x + done * channels, k, e);
	}
	if (!rc)
		rc = audio_writer_commit(w, e);
	audio_writer_close(w);
	return rc;
}

static void write_ok(const struct audio_writer_desc *d, size_t n_samples)
{
	struct err e = {0};

	if (write_flac(d, n_samples, &e))
		fail_msg("%s", e.text);
}

static void expect_samples(const struct audio_writer_desc *d, int kind)
{
	int bits = audio_bits(d->format);
	int *back = calloc(N, sizeof *back);
	SF_INFO info = {0};
	SNDFILE *f = sf_open(d->path, SFM_READ, &info);
	sf_count_t n = N / d->channels * d->channels;

	assert_non_null(f);
	assert_int_equal(info.format, SF_FORMAT_FLAC | kind);
	assert_int_equal(info.channels, d->channels);
	assert_int_equal(info.samplerate, d->rate_hz);
	assert_int_equal(info.frames, N / d->channels);
	assert_int_equal(sf_read_int(f, back, n), n);
	for (sf_count_t i = 0; i < n; i++)
		if (back[i] >> (32 - bits) != audio_round(x[i], bits))
			fail_msg("sample %d of %d bits in %d channels", (int)i, bits, d->channels);
	sf_close(f);
	free(back);
}

static void samples_come_back(void **state)
{
	struct audio_writer_desc d = {.path = scratch_path(state, "a.flac"), .rate_hz = 32000};

	fill();
	for (d.channels = 1; d.channels <= 8; d.channels++) {
		d.format = AUDIO_FLAC16;
		write_ok(&d, N);
		expect_samples(&d, SF_FORMAT_PCM_16);
		d.format = AUDIO_FLAC24;
		write_ok(&d, N);
		expect_samples(&d, SF_FORMAT_PCM_24);
	}
	assert_int_equal(scratch_count(*state), 1);
}

static void unusual_rates_come_back(void **state)
{
	static const int rates[] = {1000, 11025, 44056, 192000, 352800};
	struct audio_writer_desc d = {
		.path = scratch_path(state, "a.flac"), .channels = 2, .format = AUDIO_FLAC24};

	fill();
	for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
		d.rate_hz = rates[i];
		write_ok(&d, N);
		expect_samples(&d, SF_FORMAT_PCM_24);
	}
}

static void an_empty_file_is_valid(void **state)
{
	struct audio_writer_desc d = {.path = scratch_path(state, "a.flac"),
		.channels = 1,
		.rate_hz = 32000,
		.format = AUDIO_FLAC16,
		.recipe = "{}"};
	char *recipe;

	write_ok(&d, 0);
	assert_int_equal(audio_read_recipe(d.path, &recipe, NULL), 0);
	assert_string_equal(recipe, "{}");
	free(recipe);
}

static void what_flac_cannot_hold_is_refused(void **state)
{
	struct audio_writer_desc d = {.path = scratch_path(state, "a.flac"),
		.channels = 9,
		.rate_hz = 32000,
		.format = AUDIO_FLAC16};
	struct err e = {0};
	struct audio_writer *w;

	assert_int_equal(audio_writer_open(&d, &w, &e), ERR_UNSUPPORTED);
	assert_error(e, ERR_UNSUPPORTED, "FLAC takes 8 channels and 655350 Hz at most; write WAV");
	d.channels = 1;
	d.rate_hz = 700000;
	assert_int_equal(audio_writer_open(&d, &w, NULL), ERR_UNSUPPORTED);
	assert_int_equal(scratch_count(*state), 0);
}

static void broken_samples_leave_nothing(void **state)
{
	struct audio_writer_desc d = {.path = scratch_path(state, "a.flac"),
		.channels = 1,
		.rate_hz = 32000,
		.format = AUDIO_FLAC16};

	fill();
	x[N - 1] = NAN;
	assert_int_equal(write_flac(&d, N, NULL), ERR_FORMAT);
	assert_int_equal(scratch_count(*state), 0);
}

static void a_file_size_limit_leaves_nothing(void **state)
{
	struct audio_writer_desc d = {.path = scratch_path(state, "a.flac"),
		.channels = 1,
		.rate_hz = 32000,
		.format = AUDIO_FLAC16,
		.recipe = "{}"};
	struct rlimit old, limit;
	struct stat st;

	fill();
	write_ok(&d, N);
	assert_int_equal(stat(d.path, &st), 0);
	unlink(d.path);
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &old);
	limit = old;
	for (off_t n = 0; n < st.st_size; n += n < 200 ? 1 : st.st_size - n > 999 ? 997 : 100) {
		struct err e = {0};
		limit.rlim_cur = (rlim_t)n;
		setrlimit(RLIMIT_FSIZE, &limit);
		if (write_flac(&d, N, &e) != ERR_IO || scratch_count(*state))
			fail_msg("limit %lld: %s", (long long)n, e.text);
		assert_error(e, ERR_IO, "File too large; raise the limit");
	}
	setrlimit(RLIMIT_FSIZE, &old);
	write_ok(&d, N);
	assert_int_equal(scratch_count(*state), 1);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, scratch_open, scratch_close)
	const struct CMUnitTest tests[] = {
		TEST(samples_come_back),
		TEST(unusual_rates_come_back),
		TEST(an_empty_file_is_valid),
		TEST(what_flac_cannot_hold_is_refused),
		TEST(broken_samples_leave_nothing),
		TEST(a_file_size_limit_leaves_nothing),
	};
	return RUN_TAP(tests);
}
