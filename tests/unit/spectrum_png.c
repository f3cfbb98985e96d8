/* Pictures of spectrograms, read back by libpng; and what is written beside them. */
#include "library/spectrum_png.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <png.h>

#include "library/base/err.h"
#include "library/spectrum.h"
#include "library/spectrum_axis.h"
#include "tests/unit/scratch.h"

enum { RATE = 8000, N = 6000 };

static struct spectrum *spectrum_for(int width, int height, struct spectrum_png_plot *ret)
{
	static float x[N];
	struct err e = {0};
	struct spectrum *s = NULL;
	int rc = spectrum_png_plot(width, height, ret, &e);
	struct spectrum_desc d = {.samples = x,
		.n_frames = N,
		.channels = 1,
		.rate_hz = RATE,
		.columns = ret->columns,
		.rows = ret->rows};

	for (int i = 0; i < N; i++)
		x[i] = (float)(0.5 * sin(1e-5 * i * i));
	if (!rc)
		rc = spectrum_open(&d, &s, &e);
	if (rc)
		fail_msg("%s", e.text);
	while (spectrum_work(s, 100))
		;
	return s;
}

static void write_picture(
	const struct spectrum *s, const char *path, int width, int height, enum colormap map)
{
	struct spectrum_png_desc d = {path, width, height, map};
	struct err e = {0};

	if (spectrum_png_write(s, &d, &e))
		fail_msg("%s", e.text);
}

/* Its pixels, three bytes each, to be freed. */
static uint8_t *read_picture(const char *path, int *ret_width, int *ret_height)
{
	png_image image = {.version = PNG_IMAGE_VERSION};
	uint8_t *pixels;

	if (!png_image_begin_read_from_file(&image, path))
		fail_msg("%s", image.message);
	image.format = PNG_FORMAT_RGB;
	pixels = malloc(PNG_IMAGE_SIZE(image));
	assert_non_null(pixels);
	if (!png_image_finish_read(&image, NULL, pixels, 0, NULL) || image.warning_or_error)
		fail_msg("%s", image.message);
	*ret_width = (int)image.width;
	*ret_height = (int)image.height;
	return pixels;
}

static void compare_matrix(const struct spectrum *s, const struct spectrum_png_plot *p,
	const uint8_t *pixels, int width, enum colormap map)
{
	for (int x = 0; x < p->columns; x++) {
		uint8_t column[SPECTRUM_PNG_HEIGHT_MAX];

		spectrum_read(s, (size_t)x, 1, column);
		for (int y = 0; y < p->rows; y++) {
			struct rgb want = colormap_rgb(map, column[p->rows - 1 - y]);
			const uint8_t *is = pixels + 3 * ((p->y + y) * width + p->x + x);

			if (is[0] != want.r || is[1] != want.g || is[2] != want.b)
				fail_msg("pixel %d, %d", x, y);
		}
	}
}

/* Labels beside the matrix are the only bright pixels there. */
static int bright(const uint8_t *pixels, int width, int x, int y, int w, int h)
{
	int n = 0;

	for (int j = y; j < y + h; j++)
		for (int i = x; i < x + w; i++)
			n += pixels[3 * (j * width + i)] == 200 &&
			     pixels[3 * (j * width + i) + 2] == 200;
	return n;
}

static void pictures_hold_the_matrix(void **state)
{
	static const int sizes[][2] = {{200, 100}, {640, 333}, {0, 0}};

	for (size_t k = 0; k < 3; k++) {
		const enum colormap map = k ? COLORMAP_VIRIDIS : COLORMAP_INFERNO;
		const char *path = scratch_path(state, "x.png");
		struct spectrum_png_plot p;
		struct spectrum *s = spectrum_for(sizes[k][0], sizes[k][1], &p);
		int width, height;
		uint8_t *pixels;

		write_picture(s, path, sizes[k][0], sizes[k][1], map);
		pixels = read_picture(path, &width, &height);
		assert_int_equal(width, sizes[k][0] ? sizes[k][0] : 1600);
		assert_int_equal(height, sizes[k][1] ? sizes[k][1] : 600);
		compare_matrix(s, &p, pixels, width, map);
		assert_true(bright(pixels, width, 0, p.y, p.x, p.rows) > 50);
		assert_true(bright(pixels, width, p.x, p.y + p.rows, p.columns,
				    height - p.y - p.rows) > 20);
		assert_true(bright(pixels, width, p.x + p.columns, 0, width - p.x - p.columns,
				    height) > 50);
		free(pixels);
		spectrum_close(s);
		assert_int_equal(scratch_count(*state), 1);
	}
}

static void old_pictures_are_replaced(void **state)
{
	const char *path = scratch_path(state, "x.png"), *link = scratch_path(state, "l.png");
	struct spectrum_png_plot p;
	struct spectrum *s = spectrum_for(300, 200, &p);
	int width, height;
	struct stat st;

	scratch_write(path, "old", 3);
	assert_int_equal(chmod(path, 0640), 0);
	assert_int_equal(symlink("x.png", link), 0);
	write_picture(s, link, 300, 200, COLORMAP_GREY);
	free(read_picture(path, &width, &height));
	assert_true(!lstat(link, &st) && S_ISLNK(st.st_mode));
	assert_true(!stat(path, &st) && (st.st_mode & 0777) == 0640);
	assert_int_equal(scratch_count(*state), 2);
	spectrum_close(s);
}

static void failures_leave_nothing(void **state)
{
	struct spectrum_png_plot p;
	struct spectrum *s = spectrum_for(300, 200, &p);
	struct spectrum_png_desc d = {.width = 300, .height = 200};
	struct err e = {0};

	d.path = scratch_path(state, "none/x.png");
	assert_int_equal(spectrum_png_write(s, &d, &e), ERR_IO);
	assert_error(e, ERR_IO, "No such file");
	err_clear(&e);
	d.path = scratch_path(state, ".");
	assert_int_equal(spectrum_png_write(s, &d, &e), ERR_IO);
	assert_error(e, ERR_IO, "it is no file");
	err_clear(&e);
	d.path = scratch_path(state, "l.png");
	assert_int_equal(symlink("nowhere", d.path), 0);
	assert_int_equal(spectrum_png_write(s, &d, &e), ERR_IO);
	assert_error(e, ERR_IO, "a link to a file that does not exist");
	err_clear(&e);
	d.path = scratch_path(state, "x.png");
	d.width = 301;
	assert_int_equal(spectrum_png_write(s, &d, &e), ERR_ARG);
	assert_error(e, ERR_ARG, "does not fit");
	assert_int_equal(scratch_count(*state), 1);
	spectrum_close(s);
}

static void sizes_are_bounded(void **state)
{
	static const int sizes[][2] = {
		{199, 100}, {200, 99}, {16385, 600}, {1600, 8193}, {-5, 600}, {1600, -1}};
	struct spectrum_png_plot p;

	for (size_t i = 0; i < 6; i++) {
		struct err e = {0};

		assert_int_equal(spectrum_png_plot(sizes[i][0], sizes[i][1], &p, &e), ERR_ARG);
		assert_error(e, ERR_ARG, "16384x8192");
	}
	for (int width = 200; width <= 16384; width += 97)
		for (int height = 100; height <= 8192; height += 501) {
			assert_int_equal(spectrum_png_plot(width, height, &p, NULL), 0);
			assert_true(p.columns > 50 && p.rows > 50);
		}
}

/* ---- axes --------------------------------------------------------------- */

static void check_numbers(double low, double high, size_t most, const char *want)
{
	struct axis_tick t[AXIS_TICKS_MAX];
	size_t n = axis_numbers(low, high, most, t);
	char text[1200] = "";

	for (size_t i = 0; i < n; i++) {
		strcat(text, t[i].text);
		strcat(text, " ");
		assert_true(fabs(t[i].at - (atof(t[i].text) - low) / (high - low)) < 1e-6);
	}
	assert_string_equal(text, want);
}

static void numbers_are_round(void **state)
{
	check_numbers(0, 47, 6, "0 10 20 30 40 ");
	check_numbers(0, 6, 13, "0.0 0.5 1.0 1.5 2.0 2.5 3.0 3.5 4.0 4.5 5.0 5.5 6.0 ");
	check_numbers(-90, 0, 4, "-50 0 ");
	check_numbers(-90, 0, 10, "-90 -80 -70 -60 -50 -40 -30 -20 -10 0 ");
	check_numbers(0.101, 0.102, 3, "0.1010 0.1015 0.1020 ");
	check_numbers(17, 18, 1, "18 ");
	check_numbers(1, 1, 5, "");
	check_numbers(2, 1, 5, "");
	check_numbers(NAN, 1, 5, "");
	check_numbers(0, INFINITY, 5, "");
	check_numbers(0, 1, 0, "");
}

static void check_frequencies(enum spectrum_scale scale, double gap, const char *want)
{
	struct spectrum_desc d = {
		.channels = 1, .rate_hz = 44100, .columns = 1, .rows = 10, .scale = scale};
	struct axis_tick t[AXIS_TICKS_MAX];
	char text[1200] = "";
	struct spectrum *s;
	size_t n;

	assert_int_equal(spectrum_open(&d, &s, NULL), 0);
	n = axis_frequencies(s, gap, t);
	for (size_t i = 0; i < n; i++) {
		double hz = atof(t[i].text) * (strchr(t[i].text, 'k') ? 1000 : 1);

		strcat(text, t[i].text);
		strcat(text, " ");
		assert_true(fabs(t[i].at - spectrum_position(s, hz)) < 1e-6);
	}
	assert_string_equal(text, want);
	spectrum_close(s);
}

static void frequencies_keep_apart(void **state)
{
	check_frequencies(SPECTRUM_LOG, 0.05, "20k 10k 5k 2k 1k 500 200 100 50 ");
	check_frequencies(SPECTRUM_LOG, 0.2, "20k 5k 1k 200 50 ");
	check_frequencies(SPECTRUM_LINEAR, 0.2, "0 5k 10k 15k 20k ");
	check_frequencies(SPECTRUM_LINEAR, 0.05,
		"0 1k 2k 3k 4k 5k 6k 7k 8k 9k 10k 11k 12k 13k 14k 15k "
		"16k 17k 18k 19k 20k ");
	check_frequencies(SPECTRUM_MEL, 0.1, "20k 10k 5k 2k 1k 500 100 ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			pictures_hold_the_matrix, scratch_open, scratch_close),
		cmocka_unit_test_setup_teardown(
			old_pictures_are_replaced, scratch_open, scratch_close),
		cmocka_unit_test_setup_teardown(
			failures_leave_nothing, scratch_open, scratch_close),
		cmocka_unit_test(sizes_are_bounded),
		cmocka_unit_test(numbers_are_round),
		cmocka_unit_test(frequencies_keep_apart),
	};
	return RUN_TAP(tests);
}
