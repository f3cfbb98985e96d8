/* The WAV writer: what it writes, read back by libsndfile; what it refuses;
 * and that no failure leaves anything behind. */
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

static const float ramp[] = {0, -0.0f, 1, -1, 0.5f, -0.25f, 1.5f, -2, 1e-40f, 3.4e38f, 0.1f, -0.7f};

enum { N_RAMP = sizeof ramp / sizeof *ramp };

/* Writes n_samples (of all channels) in pieces; returns the first failure. */
static int write_wav(
	const struct audio_writer_desc *d, const float *samples, size_t n_samples, struct err *e)
{
	size_t channels = (size_t)d->channels, n_frames = n_samples / channels;
	struct audio_writer *w;
	int rc = audio_writer_open(d, &w, e);

	for (size_t done = 0, k; !rc && done < n_frames; done += k) {
		k = n_frames - done < 1 + done ? n_frames - done : 1 + done;
		rc = audio_writer_add(w, samples + done * channels, k, e);
	}
	if (!rc)
		rc = audio_writer_commit(w, e);
	audio_writer_close(w);
	return rc;
}

static void write_ok(const struct audio_writer_desc *d, const float *samples, size_t n_samples)
{
	struct err e = {0};

	if (write_wav(d, samples, n_samples, &e))
		fail_msg("%s", e.text);
}

static SNDFILE *open_sound(const char *path, SF_INFO *info)
{
	SNDFILE *f;

	*info = (SF_INFO){0};
	f = sf_open(path, SFM_READ, info);
	if (!f)
		fail_msg("%s: %s", path, sf_strerror(NULL));
	return f;
}

static void float_samples_are_stored_untouched(void **state)
{
	struct audio_writer_desc d = {.path = scratch_path(state, "a.wav"), .rate_hz = 32000};
	float back[N_RAMP];
	SF_INFO info;

	for (d.channels = 1; d.channels <= 4; d.channels++) {
		SNDFILE *f;
		write_ok(&d, ramp, N_RAMP);
		f = open_sound(d.path, &info);
		assert_int_equal(info.format, SF_FORMAT_WAV | SF_FORMAT_FLOAT);
		assert_int_equal(info.channels, d.channels);
		assert_int_equal(info.samplerate, 32000);
		assert_int_equal(info.frames, N_RAMP / d.channels);
		assert_int_equal(sf_read_float(f, back, N_RAMP), N_RAMP);
		assert_memory_equal(back, ramp, sizeof ramp);
		sf_close(f);
	}
	assert_int_equal(scratch_count(*state), 1);
}

/* The nearest integer to x * 2^(bits-1), clipped. */
static void expect_pcm(void **state, enum audio_format format, int format_sf, double top)
{
	struct audio_writer_desc d = {.path = scratch_path(state, "p.wav"),
		.channels = 1,
		.rate_hz = 44100,
		.format = format};
	float x[2001];
	int back[2001];
	SF_INFO info;
	SNDFILE *f;

	for (int i = 0; i < 2001; i++)
		x[i] = (float)(i - 1000) / 990 + 1e-5f * (float)i;
	write_ok(&d, x, 2001);
	f = open_sound(d.path, &info);
	assert_int_equal(info.format, SF_FORMAT_WAV | format_sf);
	assert_int_equal(sf_read_int(f, back, 2001), 2001);
	sf_close(f);
	for (int i = 0; i < 2001; i++) {
		double v = back[i] / (0x1p31 / top), want = (double)x[i] * top;
		want = want > top - 1 ? top - 1 : want < -top ? -top : want;
		if (fabs(v - want) > 0.5)
			fail_msg("sample %d: %g is %g, expected %g", i, (double)x[i], v, want);
	}
}

static void pcm_is_rounded_and_clipped(void **state)
{
	struct stat st;

	expect_pcm(state, AUDIO_PCM16, SF_FORMAT_PCM_16, 0x1p15);
	expect_pcm(state, AUDIO_PCM24, SF_FORMAT_PCM_24, 0x1p23);
	/* 3 * 2001 bytes are odd: RIFF wants a byte of padding */
	assert_int_equal(stat(scratch_path(state, "p.wav"), &st), 0);
	assert_int_equal(st.st_size % 2, 0);
}

static uint32_t le32(const unsigned char *p)
{
	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* The chunk's content, NULL if it is missing; checks that sizes add up. */
static const unsigned char *find_chunk(const unsigned char *file, size_t n, const char *id)
{
	const unsigned char *found = NULL;
	size_t at = 12;

	assert_memory_equal(file, "RIFF", 4);
	assert_int_equal(le32(file + 4), n - 8);
	while (at + 8 <= n) {
		if (!memcmp(file + at, id, 4))
			found = file + at + 8;
		at += 8 + le32(file + at + 4);
		at += at % 2;
	}
	assert_int_equal(at, n);
	return found;
}

static void chunks_are_in_order(void **state)
{
	struct audio_writer_desc d = {.path = scratch_path(state, "a.wav"),
		.channels = 2,
		.rate_hz = 32000,
		.recipe = "{\"a\": \"\xc3\xa9\"}",
		.comment = "short",
		.copyright = "\xc2\xa9 nobody"};
	unsigned char *file;
	const unsigned char *p;
	SF_INFO info;
	SNDFILE *f;
	size_t n;

	write_ok(&d, ramp, N_RAMP);
	file = scratch_read(d.path, &n);
	p = find_chunk(file, n, "fact");
	assert_non_null(p);
	assert_int_equal(le32(p), N_RAMP / 2);
	p = find_chunk(file, n, "wshd");
	assert_non_null(p);
	assert_memory_equal(p, d.recipe, strlen(d.recipe));
	assert_int_equal(le32(p - 4), strlen(d.recipe) + 1); /* a newline makes it even */
	assert_true(p < find_chunk(file, n, "data"));
	p = find_chunk(file, n, "fmt ");
	assert_int_equal(le32(p + 8), 32000 * 8);
	free(file);
	f = open_sound(d.path, &info);
	assert_string_equal(sf_get_string(f, SF_STR_COMMENT), "short");
	assert_string_equal(sf_get_string(f, SF_STR_SOFTWARE), "woodshed");
	assert_string_equal(sf_get_string(f, SF_STR_COPYRIGHT), d.copyright);
	sf_close(f);
	d.format = AUDIO_PCM16;
	d.recipe = d.comment = NULL;
	write_ok(&d, ramp, N_RAMP);
	file = scratch_read(d.path, &n);
	assert_null(find_chunk(file, n, "fact"));
	assert_null(find_chunk(file, n, "wshd"));
	free(file);
}

/* With recipes and comments of even and odd size: libsndfile must find its way. */
static void large_files_become_rf64(void **state)
{
	static const char *const texts[] = {"{}", "{ }"};
	struct audio_writer_desc d = {.path = scratch_path(state, "a.wav"),
		.channels = 1,
		.rate_hz = 32000,
		.riff_max = 1000};
	static float x[5001];
	float back[5001];
	SF_INFO info;

	for (int i = 0; i < 5001; i++)
		x[i] = (float)sin(i);
	for (int i = 0; i < 4; i++) {
		SNDFILE *f;
		char *recipe;
		d.recipe = texts[i % 2];
		d.comment = texts[i / 2];
		write_ok(&d, x, 5001);
		f = open_sound(d.path, &info);
		assert_int_equal(info.format & SF_FORMAT_TYPEMASK, SF_FORMAT_RF64);
		assert_int_equal(info.frames, 5001);
		assert_int_equal(sf_read_float(f, back, 5001), 5001);
		assert_memory_equal(back, x, sizeof x);
		assert_string_equal(sf_get_string(f, SF_STR_COMMENT), d.comment);
		sf_close(f);
		assert_int_equal(audio_read_recipe(d.path, &recipe, NULL), 0);
		assert_string_equal(recipe, d.recipe);
		free(recipe);
	}
}

static void an_empty_file_is_valid(void **state)
{
	struct audio_writer_desc d = {
		.path = scratch_path(state, "a.wav"), .channels = 2, .rate_hz = 32000};
	SF_INFO info;

	write_ok(&d, NULL, 0);
	sf_close(open_sound(d.path, &info));
	assert_int_equal(info.frames, 0);
}

static void nothing_is_there_before_the_commit(void **state)
{
	struct audio_writer_desc d = {
		.path = scratch_path(state, "a.wav"), .channels = 2, .rate_hz = 32000};
	struct audio_writer *w;

	assert_int_equal(audio_writer_open(&d, &w, NULL), 0);
	assert_int_equal(audio_writer_add(w, ramp, N_RAMP / 2, NULL), 0);
	assert_int_not_equal(access(d.path, F_OK), 0);
	assert_int_equal(scratch_count(*state), 1);
	audio_writer_close(w);
	assert_int_equal(scratch_count(*state), 0);
	audio_writer_close(NULL);
}

static void a_replaced_file_stays_whole_until_the_commit(void **state)
{
	struct audio_writer_desc d = {
		.path = scratch_path(state, "a.wav"), .channels = 1, .rate_hz = 32000};
	struct audio_writer *w;
	struct stat st;
	unsigned char *old;
	size_t n;

	scratch_write(d.path, "old", 3);
	assert_int_equal(chmod(d.path, 0640), 0);
	assert_int_equal(audio_writer_open(&d, &w, NULL), 0);
	assert_int_equal(audio_writer_add(w, ramp, N_RAMP, NULL), 0);
	old = scratch_read(d.path, &n);
	assert_string_equal((char *)old, "old");
	free(old);
	assert_int_equal(audio_writer_commit(w, NULL), 0);
	audio_writer_close(w);
	assert_int_equal(stat(d.path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0640);
	assert_true(st.st_size > 3);
	assert_int_equal(scratch_count(*state), 1);
}

static void a_new_file_follows_the_umask(void **state)
{
	struct audio_writer_desc d = {
		.path = scratch_path(state, "a.wav"), .channels = 1, .rate_hz = 32000};
	struct stat st;
	mode_t old = umask(027);

	write_ok(&d, ramp, N_RAMP);
	umask(old);
	assert_int_equal(stat(d.path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0640);
}

static void a_link_stays_a_link(void **state)
{
	struct audio_writer_desc d = {
		.path = scratch_path(state, "link.wav"), .channels = 1, .rate_hz = 32000};
	struct stat st;
	struct err e = {0};

	assert_int_equal(mkdir(scratch_path(state, "there"), 0700), 0);
	assert_int_equal(symlink("there/a.wav", d.path), 0);
	assert_int_equal(write_wav(&d, ramp, N_RAMP, &e), ERR_IO);
	assert_error(e, ERR_IO, "is a link to a file that does not exist; remove it");
	scratch_write(scratch_path(state, "there/a.wav"), "old", 3);
	write_ok(&d, ramp, N_RAMP);
	assert_int_equal(lstat(d.path, &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	assert_int_equal(stat(d.path, &st), 0);
	assert_true(st.st_size > 3);
	assert_int_equal(scratch_count(scratch_path(state, "there")), 1);
	assert_int_equal(scratch_count(*state), 2);
}

static void an_existing_take_is_kept(void **state)
{
	struct audio_writer_desc d = {.path = scratch_path(state, "a.wav"),
		.channels = 1,
		.rate_hz = 32000,
		.keep_existing = true};
	struct err e = {0};
	struct audio_writer *w;
	unsigned char *old;
	size_t n;

	write_ok(&d, ramp, N_RAMP);
	assert_int_equal(write_wav(&d, ramp, N_RAMP, &e), ERR_IO);
	assert_error(e, ERR_IO, "it exists; choose another name");
	/* somebody else was faster, between open and commit */
	err_clear(&e);
	unlink(d.path);
	assert_int_equal(audio_writer_open(&d, &w, &e), 0);
	scratch_write(d.path, "old", 3);
	assert_int_equal(audio_writer_commit(w, &e), ERR_IO);
	assert_error(e, ERR_IO, "File exists");
	audio_writer_close(w);
	old = scratch_read(d.path, &n);
	assert_string_equal((char *)old, "old");
	free(old);
	assert_int_equal(scratch_count(*state), 1);
}

static void numbered_names_give_way(void **state)
{
	struct audio_writer_desc d = {.path = scratch_path(state, "a.wav"),
		.channels = 1,
		.rate_hz = 32000,
		.numbered = true};
	struct audio_writer *w;
	uint64_t n_bytes;
	struct stat st;

	/* whatever has the name: a file, a folder, a link to nothing */
	scratch_write(d.path, "old", 3);
	assert_int_equal(mkdir(scratch_path(state, "a (2).wav"), 0700), 0);
	assert_int_equal(symlink("nothing", scratch_path(state, "a (3).wav")), 0);
	assert_int_equal(audio_writer_open(&d, &w, NULL), 0);
	assert_int_equal(audio_writer_add(w, ramp, N_RAMP, NULL), 0);
	assert_int_equal(audio_writer_commit(w, NULL), 0);
	assert_string_equal(audio_writer_path(w, &n_bytes), scratch_path(state, "a (4).wav"));
	assert_int_equal(stat(audio_writer_path(w, &n_bytes), &st), 0);
	assert_int_equal(st.st_size, n_bytes);
	audio_writer_close(w);
	assert_int_equal(scratch_count(*state), 4);
	assert_int_equal(stat(d.path, &st), 0);
	assert_int_equal(st.st_size, 3);
}

static void expect_refusal(void **state, const char *path, const char *part)
{
	struct audio_writer_desc d = {.path = path, .channels = 1, .rate_hz = 32000};
	int before = scratch_count(*state);
	struct err e = {0};

	assert_int_equal(write_wav(&d, ramp, N_RAMP, &e), ERR_IO);
	assert_error(e, ERR_IO, part);
	assert_error(e, ERR_IO, path);
	assert_non_null(strchr(e.text, ';')); /* the remedy */
	assert_int_equal(scratch_count(*state), before);
}

static void bad_targets_are_refused(void **state)
{
	char name[600];

	assert_int_equal(mkdir(scratch_path(state, "folder"), 0700), 0);
	assert_int_equal(mkfifo(scratch_path(state, "fifo"), 0600), 0);
	scratch_write(scratch_path(state, "file"), "x", 1);
	expect_refusal(state, scratch_path(state, "folder"), "is a folder");
	expect_refusal(state, scratch_path(state, "folder/"), "is a folder");
	expect_refusal(state, scratch_path(state, "fifo"), "is a device or a pipe");
	expect_refusal(state, "/dev/full", "is a device or a pipe");
	expect_refusal(state, scratch_path(state, "none/a.wav"), "make the folder first");
	expect_refusal(state, scratch_path(state, "none/"), "make the folder first");
	expect_refusal(state, scratch_path(state, "file/a.wav"), "Not a directory");
	snprintf(name, sizeof name, "%s/%0256d.wav", (const char *)*state, 1);
	expect_refusal(state, name, "choose a shorter name");
	/* the longest name there is works */
	snprintf(name, sizeof name, "%s/%0251d.wav", (const char *)*state, 1);
	write_ok(
		&(struct audio_writer_desc){.path = name, .channels = 1, .rate_hz = 8000}, ramp, 1);
}

static void a_name_without_a_folder_works(void **state)
{
	char *cwd = getcwd(NULL, 0);
	struct audio_writer_desc d = {.path = "a.wav", .channels = 1, .rate_hz = 32000};

	assert_int_equal(chdir(*state), 0);
	write_ok(&d, ramp, N_RAMP);
	assert_int_equal(chdir(cwd), 0);
	assert_int_equal(access(scratch_path(state, "a.wav"), F_OK), 0);
	free(cwd);
}

/* As root everything may be written, so root becomes nobody for this. */
static void a_folder_of_others_is_refused(void **state)
{
	bool root = !geteuid();

	scratch_write(scratch_path(state, "theirs.wav"), "x", 1);
	assert_int_equal(chmod(scratch_path(state, "theirs.wav"), 0444), 0);
	if (root)
		assert_int_equal(seteuid(65534), 0);
	expect_refusal(
		state, scratch_path(state, "theirs.wav"), "Permission denied; choose a folder");
	chmod(*state, 0555);
	expect_refusal(state, scratch_path(state, "a.wav"), "Permission denied; choose a folder");
	if (root)
		assert_int_equal(seteuid(0), 0);
	chmod(*state, 0755);
}

static void senseless_descriptions_are_refused(void **state)
{
	static char big[AUDIO_RECIPE_MAX + 2];
	const struct audio_writer_desc good = {
		.path = scratch_path(state, "a.wav"), .channels = 1, .rate_hz = 32000};
	struct audio_writer_desc bad[10];
	struct audio_writer *w;

	memset(big, ' ', sizeof big - 1);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		bad[i] = good;
	bad[0].path = NULL;
	bad[1].path = "";
	bad[2].channels = 0;
	bad[3].channels = AUDIO_CHANNELS_MAX + 1;
	bad[4].rate_hz = 0;
	bad[5].rate_hz = AUDIO_RATE_MAX + 1;
	bad[6].recipe = big;
	bad[7].recipe = "\xff";
	bad[8].comment = big + AUDIO_RECIPE_MAX - AUDIO_COMMENT_MAX;
	bad[9].copyright = "\xff";
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct err e = {0};
		assert_int_equal(audio_writer_open(&bad[i], &w, &e), ERR_ARG);
		assert_null(w);
		assert_error(e, ERR_ARG, ";");
	}
	assert_int_equal(scratch_count(*state), 0);
}

static void broken_samples_are_refused(void **state)
{
	static const float bad[] = {NAN, INFINITY, -INFINITY};

	for (int format = AUDIO_FLOAT; format <= AUDIO_PCM16; format++) {
		for (size_t i = 0; i < 3; i++) {
			const float x[] = {0, 0, 0, bad[i]};
			struct audio_writer_desc d = {.path = scratch_path(state, "a.wav"),
				.channels = 2,
				.rate_hz = 32000,
				.format = (enum audio_format)format};
			struct err e = {0};
			assert_int_equal(write_wav(&d, x, 4, &e), ERR_FORMAT);
			assert_error(e, ERR_FORMAT, "sample 1 of frame 1 is not a number");
		}
	}
	assert_int_equal(scratch_count(*state), 0);
}

static void after_a_failure_only_close_is_left(void **state)
{
	struct audio_writer_desc d = {
		.path = scratch_path(state, "a.wav"), .channels = 1, .rate_hz = 32000};
	const float bad = NAN;
	struct audio_writer *w;

	assert_int_equal(audio_writer_open(&d, &w, NULL), 0);
	assert_int_equal(audio_writer_add(w, &bad, 1, NULL), ERR_FORMAT);
	assert_int_equal(audio_writer_add(w, ramp, 1, NULL), ERR_IO);
	assert_int_equal(audio_writer_commit(w, NULL), ERR_IO);
	audio_writer_close(w);
	assert_int_equal(scratch_count(*state), 0);
}

static void a_signal_handler_can_remove_all(void **state)
{
	struct audio_writer *w[3];
	struct err e = {0};

	for (int i = 0; i < 3; i++) {
		char name[] = "0.wav";
		name[0] = (char)('0' + i);
		assert_int_equal(audio_writer_open(&(struct audio_writer_desc){.path = scratch_path(
										       state, name),
							   .channels = 1,
							   .rate_hz = 32000},
					 &w[i], NULL),
			0);
	}
	assert_int_equal(scratch_count(*state), 3);
	audio_writer_unlink_all();
	assert_int_equal(scratch_count(*state), 0);
	assert_int_equal(audio_writer_commit(w[0], &e), ERR_IO);
	for (int i = 0; i < 3; i++)
		audio_writer_close(w[i]);
	assert_int_equal(scratch_count(*state), 0);
}

static void too_many_writers_are_refused(void **state)
{
	struct audio_writer_desc d = {
		.path = scratch_path(state, "a.wav"), .channels = 1, .rate_hz = 32000};
	struct audio_writer *w[65];
	struct err e = {0};

	for (int i = 0; i < 64; i++)
		assert_int_equal(audio_writer_open(&d, &w[i], NULL), 0);
	assert_int_equal(audio_writer_open(&d, &w[64], &e), ERR_BUSY);
	for (int i = 0; i < 64; i++)
		audio_writer_close(w[i]);
	assert_int_equal(audio_writer_open(&d, &w[64], NULL), 0);
	audio_writer_close(w[64]);
	assert_int_equal(scratch_count(*state), 0);
}

/* Every byte may be the one that does not fit: header, samples, padding. */
static void a_file_size_limit_leaves_nothing(void **state)
{
	struct audio_writer_desc d = {.path = scratch_path(state, "a.wav"),
		.channels = 1,
		.rate_hz = 32000,
		.format = AUDIO_PCM24,
		.recipe = "{}"};
	static float x[30001]; /* more than the writer's buffer */
	struct rlimit old, limit;
	struct stat st;
	off_t size;

	write_ok(&d, x, 30001);
	assert_int_equal(stat(d.path, &st), 0);
	size = st.st_size;
	unlink(d.path);
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &old);
	limit = old;
	for (off_t n = 0; n < size; n += n < 300           ? 1
					 : n < size - 3000 ? 2999
					 : size - n > 9    ? 500
							   : 1) {
		struct err e = {0};
		limit.rlim_cur = (rlim_t)n;
		setrlimit(RLIMIT_FSIZE, &limit);
		if (write_wav(&d, x, 30001, &e) != ERR_IO || scratch_count(*state))
			fail_msg("limit %lld: %s", (long long)n, e.text);
		assert_error(e, ERR_IO, "File too large; raise the limit");
	}
	limit.rlim_cur = (rlim_t)size;
	setrlimit(RLIMIT_FSIZE, &limit);
	write_ok(&d, x, 30001);
	setrlimit(RLIMIT_FSIZE, &old);
	assert_int_equal(scratch_count(*state), 1);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, scratch_open, scratch_close)
	const struct CMUnitTest tests[] = {
		TEST(float_samples_are_stored_untouched),
		TEST(pcm_is_rounded_and_clipped),
		TEST(chunks_are_in_order),
		TEST(large_files_become_rf64),
		TEST(an_empty_file_is_valid),
		TEST(nothing_is_there_before_the_commit),
		TEST(a_replaced_file_stays_whole_until_the_commit),
		TEST(a_new_file_follows_the_umask),
		TEST(a_link_stays_a_link),
		TEST(an_existing_take_is_kept),
		TEST(numbered_names_give_way),
		TEST(bad_targets_are_refused),
		TEST(a_name_without_a_folder_works),
		TEST(a_folder_of_others_is_refused),
		TEST(senseless_descriptions_are_refused),
		TEST(broken_samples_are_refused),
		TEST(after_a_failure_only_close_is_left),
		TEST(a_signal_handler_can_remove_all),
		TEST(too_many_writers_are_refused),
		TEST(a_file_size_limit_leaves_nothing),
	};
	return RUN_TAP(tests);
}
