/* Spectrograms as text: every cell, as a terminal would colour it. */
#include "tui/spectrum_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "library/base/err.h"
#include "library/base/str.h"
#include "library/spectrum.h"
#include "tests/unit/scratch.h"

enum { RATE = 8000, N = 40000, WIDTH = 45, HEIGHT = 12, LEFT = 5 };

/* One character of the screen; colours as the escape sequence numbers them. */
struct cell {
	uint32_t c;
	int ink, paper; /* -1: the terminal's own */
};

static struct cell screen[HEIGHT][WIDTH];

static struct spectrum *draw(const struct spectrum_text_desc *d, struct str *out)
{
	static float x[N];
	struct spectrum_desc s = {.samples = x, .n_frames = N, .channels = 1, .rate_hz = RATE};
	struct spectrum *spectrum;
	uint64_t seed = 3;

	/* Noise that swells, so that neighbours differ. */
	for (int i = 0; i < N; i++) {
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		x[i] = ((float)(seed >> 40) * 0x1p-24f - 0.5f) * (float)(i % 9000) / 9000;
	}
	spectrum_text_size(d, &s.columns, &s.rows);
	assert_int_equal(spectrum_open(&s, &spectrum, NULL), 0);
	while (spectrum_work(spectrum, 100))
		;
	spectrum_text_add(spectrum, d, out);
	return spectrum;
}

static const char *take_sequence(const char *p, int *ink, int *paper)
{
	int plane, kind, a, b, c, n = 0;

	if (sscanf(p, "\033[%d;2;%d;%d;%dm%n", &plane, &a, &b, &c, &n) == 4 && n) {
		*(plane == 38 ? ink : paper) = a << 16 | b << 8 | c;
	} else if (sscanf(p, "\033[%d;%d;%dm%n", &plane, &kind, &a, &n) == 3 && n && kind == 5) {
		*(plane == 38 ? ink : paper) = a;
	} else {
		n = 4;
		assert_memory_equal(p, "\033[0m", 4);
		*ink = *paper = -1;
	}
	return p + n;
}

/* Fills the screen; each line ends with the terminal's own colours. */
static void show(const char *p)
{
	int line = 0, at = 0, ink = -1, paper = -1;

	memset(screen, 0, sizeof(screen));
	while (*p) {
		if (*p == '\033') {
			p = take_sequence(p, &ink, &paper);
		} else if (*p == '\n') {
			assert_true(ink == -1 && paper == -1);
			line++;
			at = 0;
			p++;
		} else {
			uint32_t c;

			p += utf8_decode(p, strlen(p), &c);
			assert_true(line < HEIGHT && at < WIDTH);
			screen[line][at++] = (struct cell){c, ink, paper};
		}
	}
	assert_int_equal(line, HEIGHT);
}

static int number(const struct spectrum_text_desc *d, uint8_t level)
{
	struct rgb c = colormap_rgb(d->map, level);

	return d->colors == TEXT_RGB ? c.r << 16 | c.g << 8 | c.b : colormap_256(d->map, level);
}

/* The screen against the matrix: highest frequency first. */
static void compare(const struct spectrum *s, const struct spectrum_text_desc *d)
{
	const int rows = spectrum_asked(s)->rows, a_line = rows / (HEIGHT - 2);

	for (int x = 0; x < WIDTH - LEFT; x++) {
		uint8_t levels[2 * HEIGHT];

		spectrum_read(s, (size_t)x, 1, levels);
		for (int y = 0; y < HEIGHT - 2; y++) {
			const struct cell *cell = &screen[y][LEFT + x];
			uint8_t upper = levels[rows - 1 - y * a_line];
			uint8_t lower = levels[rows - 1 - y * a_line - (a_line - 1)];

			if (d->colors == TEXT_NO_COLORS) {
				assert_int_equal(cell->c, colormap_glyph(upper));
				assert_true(cell->ink == -1 && cell->paper == -1);
				continue;
			}
			assert_int_equal(cell->c, d->is_utf8 ? 0x2580 : ' ');
			assert_int_equal(cell->paper, number(d, lower));
			if (d->is_utf8)
				assert_int_equal(cell->ink, number(d, upper));
		}
	}
}

static void check(enum text_colors colors, bool is_utf8, enum colormap map)
{
	const struct spectrum_text_desc d = {WIDTH, HEIGHT, colors, is_utf8, map};
	struct str out = {0};
	struct spectrum *s = draw(&d, &out);

	show(out.s);
	compare(s, &d);
	assert_int_equal(screen[0][LEFT - 1].c, is_utf8 ? 0x2502 : '|');
	assert_int_equal(screen[HEIGHT - 2][WIDTH - 1].c, is_utf8 ? 0x2500 : '-');
	assert_int_equal(screen[HEIGHT - 1][LEFT].c, '0');
	str_done(&out);
	spectrum_close(s);
}

static void true_colour_is_exact(void **state)
{
	check(TEXT_RGB, true, COLORMAP_INFERNO);
	check(TEXT_RGB, true, COLORMAP_CIVIDIS);
}

static void palettes_have_their_ramps(void **state)
{
	check(TEXT_256_COLORS, true, COLORMAP_MAGMA);
	check(TEXT_256_COLORS, true, COLORMAP_GREY);
}

static void without_utf8_there_are_blanks(void **state)
{
	check(TEXT_RGB, false, COLORMAP_PLASMA);
	check(TEXT_256_COLORS, false, COLORMAP_VIRIDIS);
}

static void without_colours_there_is_ink(void **state)
{
	check(TEXT_NO_COLORS, true, COLORMAP_INFERNO);
	check(TEXT_NO_COLORS, false, COLORMAP_INFERNO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(true_colour_is_exact),
		cmocka_unit_test(palettes_have_their_ramps),
		cmocka_unit_test(without_utf8_there_are_blanks),
		cmocka_unit_test(without_colours_there_is_ink),
	};
	return RUN_TAP(tests);
}
