/* The audio reader: formats, channels, rates, limits and damage. */
#include "library/audio.h"

#include <math.h>
#include <sndfile.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "library/base/arena.h"
#include "library/base/err.h"
#include "tests/unit/scratch.h"

static void save(const char *path, int format, int rate_hz, int channels, const float *x, size_t n)
{
	SF_INFO info = {.samplerate = rate_hz, .channels = channels, .format = format};
	SNDFILE *f = sf_open(path, SFM_WRITE, &info);

	if (!f)
		fail_msg("%s", sf_strerror(NULL));
	assert_int_equal(sf_writef_float(f, x, (sf_count_t)n), n);
	sf_close(f);
}

static void read_ok(const struct audio_read_desc *d, struct audio *a)
{
	struct err e = {0};

	if (audio_read(d, a, &e))
		fail_msg("%s", e.text);
}

static void expect_failure(const struct audio_read_desc *d, int code, const char *part)
{
	struct err e = {0};
	struct audio a;

	assert_int_equal(audio_read(d, &a, &e), code);
	assert_error(e, code, part);
	assert_null(a.samples);
	assert_int_equal(audio_read(d, &a, NULL), code);
}

static void matching_samples_pass_untouched(void **state)
{
	static const float x[] = {0, -0.0f, 1.5f, -3, 1e-40f, 0.1f};
	struct audio_read_desc d = {.path = scratch_path(state, "a.wav")};
	struct audio a;

	for (int channels = 1; channels <= 3; channels++) {
		save(d.path, SF_FORMAT_WAV | SF_FORMAT_FLOAT, 32000, channels, x,
			(size_t)(6 / channels));
		for (int given = 0; given < 2; given++) {
			d.rate_hz = given ? 32000 : 0;
			d.channels = given ? channels : 0;
			read_ok(&d, &a);
			assert_int_equal(a.channels, channels);
			assert_int_equal(a.rate_hz, 32000);
			assert_int_equal(a.n_frames, 6 / channels);
			assert_memory_equal(a.samples, x, sizeof x);
			audio_done(&a);
		}
	}
}

static void many_kinds_of_file_are_read(void **state)
{
	static const int formats[] = {SF_FORMAT_WAV | SF_FORMAT_PCM_16,
		SF_FORMAT_AIFF | SF_FORMAT_PCM_24, SF_FORMAT_FLAC | SF_FORMAT_PCM_24,
		SF_FORMAT_OGG | SF_FORMAT_VORBIS, SF_FORMAT_CAF | SF_FORMAT_FLOAT,
		SF_FORMAT_W64 | SF_FORMAT_DOUBLE};
	struct audio_read_desc d = {.path = scratch_path(state, "a")};
	static float x[32000];

	for (int i = 0; i < 32000; i++)
		x[i] = 0.5f * (float)sin(i * 0.05);
	for (size_t k = 0; k < sizeof formats / sizeof *formats; k++) {
		struct audio a;
		double worst = 0;
		save(d.path, formats[k], 32000, 1, x, 32000);
		read_ok(&d, &a);
		assert_int_equal(a.n_frames, 32000);
		for (int i = 0; i < 32000; i++) {
			const double off = fabs((double)a.samples[i] - (double)x[i]);
			worst = off > worst || isnan(off) ? off : worst;
		}
		/* half a step of 16 bits (libsndfile scales by 32767); Vorbis is lossy */
		if (!(worst <=
			    ((formats[k] & SF_FORMAT_SUBMASK) == SF_FORMAT_VORBIS ? 0.05 : 5e-5)))
			fail_msg("format %x: error %g", (unsigned)formats[k], worst);
		audio_done(&a);
	}
}

static void channels_are_copied_and_averaged(void **state)
{
	static const float x[] = {1, 3, 5, -1, 0.5f, 0.25f};
	struct audio_read_desc d = {.path = scratch_path(state, "a.wav"), .channels = 1};
	struct audio a;

	save(d.path, SF_FORMAT_WAV | SF_FORMAT_FLOAT, 32000, 2, x, 3);
	read_ok(&d, &a);
	assert_int_equal(a.n_frames, 3);
	assert_int_equal(a.channels, 1);
	assert_memory_equal(a.samples, ((float[]){2, 2, 0.375f}), 12);
	audio_done(&a);
	save(d.path, SF_FORMAT_WAV | SF_FORMAT_FLOAT, 32000, 3, x, 2);
	read_ok(&d, &a);
	assert_memory_equal(a.samples, ((float[]){3, -0.25f / 3}), 8);
	audio_done(&a);
	d.channels = 2;
	expect_failure(&d, ERR_UNSUPPORTED, "cannot turn the 3 channels");
	save(d.path, SF_FORMAT_WAV | SF_FORMAT_FLOAT, 32000, 1, x, 3);
	read_ok(&d, &a);
	assert_int_equal(a.n_frames, 3);
	assert_int_equal(a.channels, 2);
	assert_memory_equal(a.samples, ((float[]){1, 1, 3, 3, 5, 5}), 24);
	audio_done(&a);
}

/* A tone keeps its pitch, phase and level: against the sine computed at the
 * new rate, away from the ends, to -100 dB. */
static void other_rates_are_resampled(void **state)
{
	static const int rates[][2] = {
		{44100, 32000}, {48000, 32000}, {16000, 32000}, {32000, 44100}};
	struct audio_read_desc d = {.path = scratch_path(state, "a.wav"), .channels = 2};
	static float x[2 * 48000];

	for (size_t k = 0; k < sizeof rates / sizeof *rates; k++) {
		int from = rates[k][0], to = rates[k][1];
		struct audio a;
		for (int i = 0; i < from; i++) {
			x[2 * i] = (float)(0.5 * sin(2 * M_PI * 997 * i / from));
			x[2 * i + 1] = -x[2 * i];
		}
		save(d.path, SF_FORMAT_WAV | SF_FORMAT_FLOAT, from, 2, x, (size_t)from);
		d.rate_hz = to;
		read_ok(&d, &a);
		assert_int_equal(a.rate_hz, to);
		assert_int_equal(a.n_frames, to);
		for (int i = 1000; i < to - 1000; i++) {
			double want = 0.5 * sin(2 * M_PI * 997 * i / to);
			if (!(fabs((double)a.samples[2 * i] - want) <= 1e-5) ||
				a.samples[2 * i] != -a.samples[2 * i + 1])
				fail_msg("%d to %d Hz: frame %d is %g, expected %g", from, to, i,
					(double)a.samples[2 * i], want);
		}
		audio_done(&a);
	}
}

static void short_files_can_be_resampled(void **state)
{
	struct audio_read_desc d = {
		.path = scratch_path(state, "a.wav"), .rate_hz = 8000, .channels = 2};
	const float x[3] = {0.5f, 0.5f, 0.5f};
	struct audio a;

	for (size_t n = 1; n <= 3; n++) {
		save(d.path, SF_FORMAT_WAV | SF_FORMAT_FLOAT, 44100, 1, x, n);
		read_ok(&d, &a);
		assert_int_equal(a.n_frames, 1);
		audio_done(&a);
	}
}

static void too_long_files_are_refused(void **state)
{
	struct audio_read_desc d = {.path = scratch_path(state, "a.wav"), .max_s = 2};
	static float x[16001];
	struct audio a;

	save(d.path, SF_FORMAT_WAV | SF_FORMAT_FLOAT, 8000, 1, x, 16000);
	read_ok(&d, &a);
	audio_done(&a);
	save(d.path, SF_FORMAT_WAV | SF_FORMAT_FLOAT, 8000, 1, x, 16001);
	expect_failure(&d, ERR_UNSUPPORTED, "it is 2.0 seconds long, at most 2.0 work; cut it");
}

static void broken_samples_are_refused(void **state)
{
	const float bad[] = {NAN, INFINITY, -INFINITY};
	struct audio_read_desc d = {.path = scratch_path(state, "a.wav"), .channels = 1};

	for (int i = 0; i < 3; i++) {
		const float x[] = {0, 0, 0, bad[i]};
		save(d.path, SF_FORMAT_WAV | SF_FORMAT_FLOAT, 8000, 2, x, 2);
		expect_failure(&d, ERR_FORMAT, "a sample at 0.000 seconds is not a number");
	}
}

static void what_is_no_audio_is_refused(void **state)
{
	struct audio_read_desc d = {.path = scratch_path(state, "a")};
	const float x = 0;

	expect_failure(&d, ERR_IO, "No such file");
	scratch_write(d.path, "", 0);
	expect_failure(&d, ERR_FORMAT, "no audio file of a known kind");
	scratch_write(d.path, "hello, this is text and no audio at all\n", 40);
	expect_failure(&d, ERR_FORMAT, "no audio file of a known kind");
	save(d.path, SF_FORMAT_WAV | SF_FORMAT_FLOAT, 8000, 1, &x, 0);
	expect_failure(&d, ERR_FORMAT, "it holds no audio");
	d.path = *state;
	expect_failure(&d, ERR_IO, "no regular file");
	d.path = "/dev/zero";
	expect_failure(&d, ERR_IO, "no regular file");
	assert_int_equal(mkfifo(scratch_path(state, "fifo"), 0600), 0);
	d.path = scratch_path(state, "fifo");
	expect_failure(&d, ERR_IO, "no regular file");
}

static void senseless_wishes_are_refused(void **state)
{
	struct audio_read_desc d = {.path = scratch_path(state, "a.wav"), .rate_hz = 1};
	const float x = 0;

	expect_failure(&d, ERR_ARG, "cannot resample to 1 Hz");
	d.rate_hz = 0;
	d.channels = -1;
	expect_failure(&d, ERR_ARG, "cannot mix to -1 channels");
	d.channels = 0;
	save(d.path, SF_FORMAT_WAV | SF_FORMAT_FLOAT, 100, 1, &x, 1);
	expect_failure(&d, ERR_UNSUPPORTED, "its sample rate is 100 Hz");
}

/* The header may lie or the file may end anywhere: an answer, and never more
 * frames than there are bytes. */
static void cut_and_changed_files_do_no_harm(void **state)
{
	static const int formats[] = {SF_FORMAT_WAV | SF_FORMAT_FLOAT,
		SF_FORMAT_FLAC | SF_FORMAT_PCM_16, SF_FORMAT_AIFF | SF_FORMAT_PCM_16};
	struct audio_read_desc d = {.path = scratch_path(state, "b"), .max_s = 10};
	const char *good = scratch_path(state, "a");
	float x[200];
	unsigned seed = 1;
	int n_refused = 0;

	for (int i = 0; i < 200; i++)
		x[i] = (float)sin(i * 0.1);
	for (size_t k = 0; k < sizeof formats / sizeof *formats; k++) {
		unsigned char *file;
		size_t n;
		save(good, formats[k], 8000, 2, x, 100);
		file = scratch_read(good, &n);
		for (size_t cut = 0; cut < n; cut += 1 + cut / 100) {
			struct audio a;
			scratch_write(d.path, file, cut);
			n_refused += audio_read(&d, &a, NULL) != 0;
			assert_true(a.n_frames <= 100);
			audio_done(&a);
		}
		for (int round = 0; round < 300; round++) {
			struct err e = {0};
			struct audio a;
			size_t at = (seed = seed * 1664525 + 1013904223) % (n < 100 ? n : 100);
			unsigned char old = file[at];
			file[at] = (unsigned char)((seed = seed * 1664525 + 1013904223) >> 24);
			scratch_write(d.path, file, n);
			if (audio_read(&d, &a, &e))
				assert_int_not_equal(e.text[0], '\0');
			audio_done(&a);
			file[at] = old;
		}
		free(file);
	}
	assert_true(n_refused > 20);
}

static void a_lying_length_is_not_believed(void **state)
{
	struct audio_read_desc d = {.path = scratch_path(state, "a.wav")};
	const float x[4] = {1, 2, 3, 4};
	unsigned char *file;
	struct audio a;
	size_t n, at = 0;

	save(d.path, SF_FORMAT_WAV | SF_FORMAT_FLOAT, 8000, 1, x, 4);
	file = scratch_read(d.path, &n);
	while (memcmp(file + at, "data", 4))
		at++;
	memcpy(file + at + 4, "\xf0\xff\xff\x7f", 4);
	memcpy(file + 4, "\xf0\xff\xff\x7f", 4);
	scratch_write(d.path, file, n);
	free(file);
	if (!audio_read(&d, &a, NULL))
		assert_int_equal(a.n_frames, 4);
	assert_int_equal(a.n_missing, 0); /* as a pipe's: nobody knew the length */
	audio_done(&a);
}

/* What the header promises and the file does not hold is told, by whatever reads it. */
static void a_file_that_ends_early_is_told(void **state)
{
	static const struct {
		int format;
		bool by_header; /* or by reading */
	} kinds[] = {{SF_FORMAT_WAV | SF_FORMAT_FLOAT, true},
		{SF_FORMAT_WAV | SF_FORMAT_PCM_16, true}, {SF_FORMAT_AIFF | SF_FORMAT_PCM_16, true},
		{SF_FORMAT_AU | SF_FORMAT_PCM_16, true}, {SF_FORMAT_RF64 | SF_FORMAT_PCM_16, true},
		{SF_FORMAT_RF64 | SF_FORMAT_FLOAT, true}, {SF_FORMAT_W64 | SF_FORMAT_PCM_24, true},
		{SF_FORMAT_W64 | SF_FORMAT_FLOAT, true},
		{SF_FORMAT_FLAC | SF_FORMAT_PCM_16, false}};
	enum { RATE = 4000, N = 30 * RATE };
	struct audio_read_desc d = {.path = scratch_path(state, "cut")};
	float *x = xcalloc(2 * N, sizeof(*x));
	char text[AUDIO_SHORTFALL_MAX];

	for (int i = 0; i < 2 * N; i++)
		x[i] = 0.5f * (float)sin(i * 0.1);
	for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
		struct audio_reader *r;
		struct audio a, probed;
		unsigned char *file;
		size_t n, got = 1, sum = 0;

		save(d.path, kinds[k].format, RATE, 2, x, N);
		read_ok(&d, &a);
		assert_int_equal(a.n_missing, 0);
		assert_string_equal(audio_shortfall(&a, text), "");
		audio_done(&a);
		file = scratch_read(d.path, &n);
		scratch_write(d.path, file, n * 3 / 5);
		free(file);

		read_ok(&d, &a);
		/* Frames are 2 bytes or more, AIFF counts 8 bytes that are none, one is cut. */
		assert_in_range(a.n_frames + a.n_missing, N - 5, N);
		assert_in_range(a.n_missing, N / 3, N / 2);
		audio_shortfall(&a, text);
		assert_non_null(strstr(text, " of 0:30 are there"));
		assert_int_equal(audio_reader_open(d.path, &r, NULL), 0);
		while (!audio_reader_read(r, x, 1000, &got, NULL) && got)
			sum += got;
		assert_int_equal(sum, a.n_frames);
		assert_int_equal(audio_reader_info(r)->n_missing, a.n_missing);
		assert_non_null(strstr(audio_reader_shortfall(r, text), " of 0:30 are there"));
		audio_reader_close(r);
		assert_int_equal(audio_probe(d.path, &probed, NULL), 0);
		assert_int_equal(probed.n_missing, kinds[k].by_header ? a.n_missing : 0);
		sum = a.n_missing;
		assert_int_equal(audio_resample(&a, 2 * RATE, NULL), 0);
		assert_int_equal(a.n_missing, 2 * sum);
		audio_done(&a);
	}
	free(x);
}

static void a_file_that_is_cut_while_it_is_read_is_told(void **state)
{
	static const int kinds[] = {SF_FORMAT_WAV | SF_FORMAT_FLOAT,
		SF_FORMAT_WAV | SF_FORMAT_PCM_16, SF_FORMAT_AIFF | SF_FORMAT_PCM_24,
		SF_FORMAT_FLAC | SF_FORMAT_PCM_16};
	enum { RATE = 4000, N = 30 * RATE };
	const char *path = scratch_path(state, "cut");
	float *x = xcalloc(N, sizeof(*x));

	for (int i = 0; i < N; i++)
		x[i] = 0.5f * (float)sin(i * 0.1);
	for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
		struct audio_reader *r;
		char text[AUDIO_SHORTFALL_MAX];
		struct stat st;
		size_t got = 1;

		save(path, kinds[k], RATE, 1, x, N);
		assert_int_equal(audio_reader_open(path, &r, NULL), 0);
		assert_int_equal(audio_reader_read(r, x, 1000, &got, NULL), 0);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(truncate(path, st.st_size / 2), 0);
		while (!audio_reader_read(r, x, 1000, &got, NULL) && got)
			;
		assert_non_null(strstr(audio_reader_shortfall(r, text), " of 0:30 are there"));
		audio_reader_close(r);
	}
	free(x);
}

/* Some formats cannot be sought, nor can a FLAC file once its damage was met. */
static void what_has_no_way_back_is_read_anew(void **state)
{
	static const int kinds[] = {SF_FORMAT_WAV | SF_FORMAT_GSM610,
		SF_FORMAT_WAV | SF_FORMAT_PCM_16, SF_FORMAT_FLAC | SF_FORMAT_PCM_16};
	enum { RATE = 8000, N = 4 * RATE, AT = 1000 };
	const char *path = scratch_path(state, "one-way");
	float *x = xcalloc(N, sizeof(*x)), *again = xcalloc(N, sizeof(*x));

	for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
		struct audio_reader *r;
		struct err e = {0};
		unsigned char *file;
		size_t n, got = 0;

		for (size_t i = 0; i < N; i++)
			x[i] = 0.5f * (float)sin((double)(i * i) * 1e-5);
		save(path, kinds[k], RATE, 1, x, N);
		file = scratch_read(path, &n);
		memset(file + n / 2, 0xff, n / 8);
		if ((kinds[k] & SF_FORMAT_TYPEMASK) == SF_FORMAT_FLAC)
			scratch_write(path, file, n);
		free(file);
		assert_int_equal(audio_reader_open(path, &r, NULL), 0);
		assert_int_equal(audio_reader_read(r, x, N, &n, NULL), 0);
		assert_true(n > AT);
		if (audio_reader_seek(r, AT, &e))
			fail_msg("%s", e.text);
		assert_int_equal(audio_reader_read(r, again, N, &got, NULL), 0);
		assert_int_equal(got, n - AT);
		assert_memory_equal(again, x + AT, got * sizeof *x);
		assert_int_equal(audio_reader_seek(r, 2 * N, NULL), ERR_FORMAT);
		audio_reader_close(r);
	}
	free(x);
	free(again);
}

/* An MP3 file tells only where its encoder counted; without that its length is a guess. */
static void an_mp3_file_that_ends_early_is_told(void **state)
{
	enum { RATE = 8000, N = 30 * RATE };
	struct audio_read_desc d = {.path = scratch_path(state, "cut.mp3")};
	SF_INFO can = {.samplerate = RATE,
		.channels = 1,
		.format = SF_FORMAT_MPEG | SF_FORMAT_MPEG_LAYER_III};
	float *x = xcalloc(N, sizeof(*x));
	unsigned char *file;
	struct audio_reader *r;
	struct audio a;
	size_t n, got = 1;
	char text[AUDIO_SHORTFALL_MAX];

	for (int i = 0; i < N; i++)
		x[i] = 0.5f * (float)sin(i * 0.1);
	if (!sf_format_check(&can)) {
		free(x);
		skip();
	}
	save(d.path, can.format, RATE, 1, x, N);
	read_ok(&d, &a);
	assert_int_equal(a.n_missing, 0);
	audio_done(&a);
	file = scratch_read(d.path, &n);
	scratch_write(d.path, file, n * 3 / 5);
	read_ok(&d, &a);
	assert_in_range(a.n_missing, N / 3, N / 2);
	assert_int_equal(a.n_frames + a.n_missing, N);
	assert_int_equal(audio_reader_open(d.path, &r, NULL), 0);
	while (!audio_reader_read(r, x, 1000, &got, NULL) && got)
		;
	assert_int_equal(audio_reader_info(r)->n_missing, a.n_missing);
	assert_non_null(strstr(audio_reader_shortfall(r, text), " of 0:30 are there"));
	audio_reader_close(r);
	audio_done(&a);

	for (size_t i = 0; i + 4 < 256; i++)
		if (!memcmp(file + i, "Xing", 4) || !memcmp(file + i, "Info", 4))
			memset(file + i, 0, 4);
	scratch_write(d.path, file, n * 3 / 5);
	read_ok(&d, &a);
	assert_int_equal(a.n_missing, 0);
	audio_done(&a);
	free(file);
	free(x);
}

/* The length of an Ogg file stands on its last page. */
static void an_ogg_file_that_ends_early_is_refused(void **state)
{
	const SF_INFO can = {
		.samplerate = 8000, .channels = 1, .format = SF_FORMAT_OGG | SF_FORMAT_VORBIS};
	const char *path = scratch_path(state, "cut.ogg");
	static float x[80000];
	unsigned char *file;
	struct err e = {0};
	struct audio a;
	size_t n;

	if (!sf_format_check(&can))
		skip();
	save(path, can.format, 8000, 1, x, 80000);
	file = scratch_read(path, &n);
	scratch_write(path, file, n - 1);
	free(file);
	assert_int_equal(audio_probe(path, &a, &e), ERR_UNSUPPORTED);
	assert_error(e, ERR_UNSUPPORTED, "it ends early");
}

/* Pages that are damaged are passed over, and what follows is brought forward. */
static void what_an_ogg_file_lacks_is_told(void **state)
{
	static const int kinds[] = {
		SF_FORMAT_OGG | SF_FORMAT_VORBIS, SF_FORMAT_OGG | SF_FORMAT_OPUS};
	enum { RATE = 48000, N = 30 * RATE };
	struct audio_read_desc d = {.path = scratch_path(state, "middle.ogg")};
	float *x = xcalloc(N, sizeof(*x));

	for (int i = 0; i < N; i++)
		x[i] = 0.5f * (float)sin(i * 0.1);
	for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
		const SF_INFO can = {.samplerate = RATE, .channels = 1, .format = kinds[k]};
		struct audio_reader *r;
		struct audio a;
		char text[AUDIO_SHORTFALL_MAX];
		unsigned char *file;
		size_t n, got = 1, sum = 0;

		if (!sf_format_check(&can))
			skip();
		save(d.path, can.format, RATE, 1, x, N);
		read_ok(&d, &a);
		assert_int_equal(a.n_frames, N);
		assert_int_equal(a.n_missing, 0);
		audio_done(&a);
		file = scratch_read(d.path, &n);
		memset(file + n / 2, 0x55, n / 20);
		scratch_write(d.path, file, n);
		free(file);
		read_ok(&d, &a);
		assert_in_range(a.n_missing, 1, N / 3);
		assert_int_equal(a.n_frames + a.n_missing, N);
		assert_int_equal(audio_reader_open(d.path, &r, NULL), 0);
		while (!audio_reader_read(r, x, 1000, &got, NULL) && got)
			sum += got;
		assert_int_equal(sum, a.n_frames);
		assert_non_null(strstr(audio_reader_shortfall(r, text), "the file lacks "));
		audio_reader_close(r);
		audio_done(&a);
	}
	free(x);
}

/* A header of 64 bits can claim anything. */
static void what_ds64_claims_is_bounded(void **state)
{
	enum { DATA_SIZE_AT = 28 }; /* RF64 size WAVE ds64 size, that of all in 8 bytes */
	const char *path = scratch_path(state, "claims.wav");
	static const uint64_t claims[] = {20, INT64_MAX / 1025, INT64_MAX, UINT64_MAX};
	float x[4] = {0.5f, 0.25f, 0.125f, 0};
	char text[AUDIO_SHORTFALL_MAX];

	for (size_t k = 0; k < sizeof claims / sizeof *claims; k++) {
		struct audio a = {0};
		unsigned char *file;
		size_t n;

		save(path, SF_FORMAT_RF64 | SF_FORMAT_FLOAT, 8000, 1, x, 4);
		file = scratch_read(path, &n);
		memcpy(file + DATA_SIZE_AT, &claims[k], 8);
		scratch_write(path, file, n);
		free(file);
		if (!audio_read(&(struct audio_read_desc){.path = path}, &a, NULL)) {
			assert_int_equal(a.n_frames, 4);
			assert_int_equal(a.n_missing, k < 2 ? claims[k] / 4 - 4 : 0);
			assert_in_range(strlen(audio_shortfall(&a, text)), 0, sizeof(text) - 1);
		}
		audio_done(&a);
	}
}

static void a_shortfall_is_a_sentence(void **state)
{
	char text[AUDIO_SHORTFALL_MAX];

	assert_string_equal(
		audio_shortfall(
			&(struct audio){.n_frames = 180, .n_missing = 120, .rate_hz = 10}, text),
		"the file lacks 12 s: 0:18 of 0:30 are there");
	assert_string_equal(
		audio_shortfall(
			&(struct audio){.n_frames = 50, .n_missing = 5, .rate_hz = 10}, text),
		"the file lacks 0.5 s: 0:05 of 0:06 are there");
}

static void a_probe_reads_the_header_alone(void **state)
{
	const char *path = scratch_path(state, "p.wav"), *text = scratch_path(state, "p.txt");
	float x[300] = {0};
	struct err e = {0};
	struct audio a;

	x[7] = NAN;
	save(path, SF_FORMAT_WAV | SF_FORMAT_FLOAT, 44100, 3, x, 100);
	assert_int_equal(audio_probe(path, &a, &e), 0);
	assert_null(a.samples);
	assert_int_equal(a.n_frames, 100);
	assert_int_equal(a.channels, 3);
	assert_int_equal(a.rate_hz, 44100);
	assert_int_equal(a.bits, 0);
	save(path, SF_FORMAT_WAV | SF_FORMAT_PCM_24, 44100, 1, x + 8, 0);
	assert_int_equal(audio_probe(path, &a, &e), ERR_FORMAT);
	assert_error(e, ERR_FORMAT, "it holds no audio");
	err_clear(&e);
	scratch_write(text, "words", 5);
	assert_int_equal(audio_probe(text, &a, &e), ERR_FORMAT);
	assert_error(e, ERR_FORMAT, "no audio file of a known kind");
	assert_int_equal(audio_probe(scratch_path(state, "none"), &a, NULL), ERR_IO);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, scratch_open, scratch_close)
	const struct CMUnitTest tests[] = {
		TEST(a_probe_reads_the_header_alone),
		TEST(matching_samples_pass_untouched),
		TEST(many_kinds_of_file_are_read),
		TEST(channels_are_copied_and_averaged),
		TEST(other_rates_are_resampled),
		TEST(short_files_can_be_resampled),
		TEST(a_file_that_ends_early_is_told),
		TEST(a_file_that_is_cut_while_it_is_read_is_told),
		TEST(what_has_no_way_back_is_read_anew),
		TEST(an_mp3_file_that_ends_early_is_told),
		TEST(an_ogg_file_that_ends_early_is_refused),
		TEST(what_an_ogg_file_lacks_is_told),
		TEST(what_ds64_claims_is_bounded),
		TEST(a_shortfall_is_a_sentence),
		TEST(too_long_files_are_refused),
		TEST(broken_samples_are_refused),
		TEST(what_is_no_audio_is_refused),
		TEST(senseless_wishes_are_refused),
		TEST(cut_and_changed_files_do_no_harm),
		TEST(a_lying_length_is_not_believed),
	};
	return RUN_TAP(tests);
}
