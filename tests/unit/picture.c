/* Pictures of takes: the same as a spectrum made at once; kept, and not trusted. */
#include "tui/picture.h"

#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "library/audio.h"
#include "library/base/clock.h"
#include "library/base/err.h"
#include "tests/unit/scratch.h"

enum { RATE = 32000, FRAMES = 10 * RATE };

static float samples[FRAMES];
static struct err e;

static void write_take(const char *path)
{
	const struct audio_writer_desc d = {
		.path = path, .channels = 1, .rate_hz = RATE, .format = AUDIO_FLOAT};
	struct audio_writer *w;

	for (size_t i = 0; i < FRAMES; i++)
		samples[i] = (float)(0.5 * sin(1e-4 * (double)(i * i % 1000003)));
	assert_int_equal(audio_writer_open(&d, &w, &e), 0);
	assert_int_equal(audio_writer_add(w, samples, FRAMES, &e), 0);
	assert_int_equal(audio_writer_commit(w, &e), 0);
	audio_writer_close(w);
}

static struct picture *open_picture(const char *cache, int fd)
{
	struct picture *p;

	assert_int_equal(picture_open(cache, fd, &p, &e), 0);
	return p;
}

/* Asks, and waits until it is there; the view stays looked at. */
static const struct picture_view *see(struct picture *p, const struct picture_desc *d, int fd)
{
	double began = clock_now();

	picture_ask(p, d);
	for (;;) {
		const struct picture_view *v = picture_look(p);
		eventfd_t n;

		if (!v->is_working)
			return v;
		picture_leave(p);
		assert_true(clock_now() - began < 60);
		poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 1000);
		eventfd_read(fd, &n);
	}
}

static void assert_levels(const struct picture_matrix *m, size_t begin, size_t end)
{
	const struct spectrum_desc d = {.samples = samples,
		.n_frames = FRAMES,
		.channels = 1,
		.rate_hz = RATE,
		.begin = begin,
		.end = end,
		.columns = m->columns,
		.rows = PICTURE_ROWS,
		.low_db = PICTURE_LOW_DB,
		.high_db = PICTURE_HIGH_DB};
	static uint8_t want[PICTURE_COLUMNS * PICTURE_ROWS];
	struct spectrum *s;

	assert_int_equal(spectrum_open(&d, &s, &e), 0);
	while (spectrum_work(s, 1000))
		;
	spectrum_read(s, 0, PICTURE_COLUMNS, want);
	spectrum_close(s);
	assert_int_equal(m->n_done, m->columns);
	assert_memory_equal(want, m->levels, (size_t)m->columns * PICTURE_ROWS);
}

static void whole_and_part(void **state)
{
	int fd = eventfd(0, EFD_NONBLOCK);
	struct picture *p = open_picture(NULL, fd);
	struct picture_desc d = {.path = scratch_path(state, "take.wav")};
	const struct picture_view *v;

	write_take(d.path);
	v = see(p, &d, fd);
	assert_true(v->length_s == 10 && v->rate_hz == RATE && !v->failed && v->axis);
	assert_levels(v->whole, 0, FRAMES);
	assert_true(v->part->span.end == 0);
	assert_in_range(v->whole->wave[5], 126, 128); /* a half */
	picture_leave(p);

	d.span = (struct interval){2, 4}; /* and the next page */
	v = see(p, &d, fd);
	assert_int_equal(v->part->columns, PICTURE_COLUMNS);
	assert_true(v->part->span.begin == 2 && v->part->span.end == 6);
	assert_levels(v->part, 2 * RATE, 6 * RATE);
	picture_leave(p);
	assert_true(picture_covers(p, &(struct interval){4, 6}));

	d.span = (struct interval){7, 9}; /* columns as wide, and fewer */
	v = see(p, &d, fd);
	assert_int_equal(v->part->columns, PICTURE_COLUMNS * 3 / 4);
	assert_levels(v->part, 7 * RATE, FRAMES);
	picture_leave(p);
	picture_close(p);
	close(fd);
}

/* What the next page shows is the same before the page is turned and after. */
static void pages_agree(void **state)
{
	static uint8_t before[PICTURE_COLUMNS / 2 * PICTURE_ROWS];
	int fd = eventfd(0, EFD_NONBLOCK);
	struct picture *p = open_picture(NULL, fd);
	struct picture_desc d = {.path = scratch_path(state, "take.wav"), .span = {1, 2.25}};
	const struct picture_view *v;

	write_take(d.path);
	v = see(p, &d, fd);
	memcpy(before, v->part->levels + sizeof(before), sizeof(before));
	picture_leave(p);
	d.span = (struct interval){2.25, 3.5};
	v = see(p, &d, fd);
	assert_memory_equal(before, v->part->levels, sizeof(before));
	picture_leave(p);
	picture_close(p);
	close(fd);
}

static const char *cached(const char *folder)
{
	static char path[512];
	FILE *f;
	char command[512];

	snprintf(command, sizeof(command), "ls -d %s/*.picture", folder);
	f = popen(command, "r");
	assert_non_null(f);
	assert_non_null(fgets(path, sizeof(path), f));
	pclose(f);
	path[strcspn(path, "\n")] = 0;
	return path;
}

static void a_kept_picture_is_used_and_checked(void **state)
{
	int fd = eventfd(0, EFD_NONBLOCK);
	const char *folder = scratch_path(state, "cache/pictures");
	struct picture_desc d = {.path = scratch_path(state, "take.wav")};
	struct picture *p = open_picture(folder, fd);
	const char *path;
	unsigned char *file;
	size_t n;

	write_take(d.path);
	see(p, &d, fd);
	picture_leave(p);
	picture_close(p);
	path = cached(folder);
	file = scratch_read(path, &n);
	file[n - 9] ^= 0x55; /* a level: may be anything, and shows that it was read */
	scratch_write(path, file, n);
	p = open_picture(folder, fd);
	assert_int_equal(see(p, &d, fd)->whole->n_done, PICTURE_COLUMNS);
	picture_leave(p);
	picture_close(p);

	/* Another version, or another size: made anew. */
	for (int i = 0; i < 3; i++) {
		file[8] ^= i == 0;
		scratch_write(path, file, i == 1 ? n - 1 : n);
		file[8] ^= i == 0;
		if (i == 2)
			scratch_write(path, "", 0);
		p = open_picture(folder, fd);
		assert_levels(see(p, &d, fd)->whole, 0, FRAMES);
		picture_leave(p);
		picture_close(p);
	}
	free(file);
	close(fd);
}

static void failures_are_told(void **state)
{
	int fd = eventfd(0, EFD_NONBLOCK);
	struct picture *p = open_picture(scratch_path(state, "cache"), fd);
	struct picture_desc d = {.path = scratch_path(state, "none.wav")};

	assert_non_null(see(p, &d, fd)->failed);
	picture_leave(p);
	d.path = scratch_path(state, "take.wav");
	write_take(d.path);
	assert_null(see(p, &d, fd)->failed);
	picture_leave(p);
	d.fft = 3;
	assert_non_null(see(p, &d, fd)->failed);
	picture_leave(p);
	picture_close(p);
	close(fd);
}

/* Whoever asks again and again gets the last, and nobody waits. */
static void changes_of_mind(void **state)
{
	static const int sizes[] = {512, 1024, 2048, 4096};
	int fd = eventfd(0, EFD_NONBLOCK);
	struct picture *p = open_picture(scratch_path(state, "cache"), fd);
	struct picture_desc d = {.path = scratch_path(state, "take.wav")};

	write_take(d.path);
	for (int i = 0; i < 200; i++) {
		d.fft = sizes[i % 4];
		d.span = (struct interval){i % 7, i % 7 + 1 + i % 3};
		picture_ask(p, &d);
		if (i % 20 == 0)
			usleep(3000);
	}
	d.fft = 2048;
	d.span = (struct interval){2, 4};
	assert_levels(see(p, &d, fd)->whole, 0, FRAMES);
	picture_leave(p);
	assert_true(picture_covers(p, &d.span));
	picture_ask(p, &d);
	picture_close(p); /* while it works */
	close(fd);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, scratch_open, scratch_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(whole_and_part),
		TEST(pages_agree),
		TEST(a_kept_picture_is_used_and_checked),
		TEST(failures_are_told),
		TEST(changes_of_mind),
	};
	return RUN_TAP(tests);
}
