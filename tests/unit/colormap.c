/* Colours rise in lightness, as printed pictures and some eyes need it. */
#include "library/colormap.h"

#include <math.h>
#include <string.h>

#include "tests/unit/scratch.h"

static double linear(uint8_t value)
{
	double c = value / 255.0;

	return c <= 0.04045 ? c / 12.92 : pow((c + 0.055) / 1.055, 2.4);
}

/* L of OKLab: Bjorn Ottosson, "A perceptual color space for image processing", 2020. */
static double lightness(struct rgb c)
{
	double r = linear(c.r), g = linear(c.g), b = linear(c.b);
	double l = cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b),
	       m = cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b),
	       s = cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b);

	return 0.2104542553 * l + 0.7936177850 * m - 0.0040720468 * s;
}

static void lightness_is_that_of_the_paper(void **state)
{
	assert_true(fabs(lightness((struct rgb){255, 255, 255}) - 1) < 1e-6);
	assert_true(lightness((struct rgb){0, 0, 0}) == 0);
	/* sRGB red: L 0.628 */
	assert_true(fabs(lightness((struct rgb){255, 0, 0}) - 0.628) < 1e-3);
}

/* A level up may be darker by what the rounding to 8 bits does to a channel, but
 * over four levels all maps rise. */
static void maps_rise(void **state)
{
	for (int map = 0; map < COLORMAP_COUNT; map++) {
		for (int i = 4; i < 256; i++) {
			double before =
				lightness(colormap_rgb((enum colormap)map, (uint8_t)(i - 4)));

			if (lightness(colormap_rgb((enum colormap)map, (uint8_t)i)) <= before)
				fail_msg("%s falls at %d", colormap_name((enum colormap)map), i);
		}
	}
}

/* No two steps look alike, and none is out of order. */
static void ramps_rise(void **state)
{
	for (int map = 0; map < COLORMAP_COUNT; map++) {
		double last = -1;
		int steps = 0;
		uint8_t index = 0;

		for (int i = 0; i < 256; i++) {
			uint8_t now = colormap_256((enum colormap)map, (uint8_t)i);
			double l = lightness(colormap_palette(now));

			if (i && now == index)
				continue;
			if (l - last < 0.01)
				fail_msg("%s: step %d of the ramp, color %d, is %g above the one "
					 "before",
					colormap_name((enum colormap)map), steps, now, l - last);
			assert_true(now >= 16); /* nobody's own */
			steps++;
			last = l;
			index = now;
		}
		assert_int_equal(steps, COLORMAP_STEPS);
	}
}

static void check(enum colormap map, uint8_t level, int r, int g, int b)
{
	struct rgb c = colormap_rgb(map, level);

	if (c.r != r || c.g != g || c.b != b)
		fail_msg("%s(%d) is %d %d %d", colormap_name(map), level, c.r, c.g, c.b);
}

/* Values that anybody can look up. */
static void tables_are_the_published_ones(void **state)
{
	check(COLORMAP_INFERNO, 0, 0, 0, 4);
	check(COLORMAP_INFERNO, 255, 252, 255, 164);
	check(COLORMAP_MAGMA, 255, 252, 253, 191);
	check(COLORMAP_PLASMA, 0, 13, 8, 135);
	check(COLORMAP_PLASMA, 255, 240, 249, 33);
	check(COLORMAP_VIRIDIS, 0, 68, 1, 84);
	check(COLORMAP_VIRIDIS, 128, 33, 145, 140);
	check(COLORMAP_VIRIDIS, 255, 253, 231, 37);
	check(COLORMAP_CIVIDIS, 0, 0, 34, 78);
	check(COLORMAP_GREY, 77, 77, 77, 77);
}

static void the_palette_is_xterms(void **state)
{
	struct rgb c = colormap_palette(208); /* 16 + 36 * 5 + 6 * 2 + 0 */

	assert_true(c.r == 255 && c.g == 135 && c.b == 0);
	c = colormap_palette(16);
	assert_true(c.r == 0 && c.g == 0 && c.b == 0);
	c = colormap_palette(255);
	assert_true(c.r == 238 && c.g == 238 && c.b == 238);
	c = colormap_palette(3);
	assert_true(c.r == 0 && c.g == 0 && c.b == 0);
}

static void names_go_both_ways(void **state)
{
	enum colormap map = COLORMAP_GREY;

	for (int i = 0; i < COLORMAP_COUNT; i++) {
		assert_true(colormap_find(colormap_name((enum colormap)i), &map));
		assert_int_equal(map, i);
	}
	assert_false(colormap_find("jet", &map));
	assert_false(colormap_find("", &map));
	assert_int_equal(map, COLORMAP_COUNT - 1);
	assert_null(colormap_name(COLORMAP_COUNT));
	check(COLORMAP_INFERNO, 200, colormap_rgb((enum colormap)99, 200).r,
		colormap_rgb((enum colormap)99, 200).g, colormap_rgb((enum colormap)99, 200).b);
}

static void glyphs_get_denser(void **state)
{
	static const char order[] = " .:-=+*#%@";
	int used = 0, last = -1;

	for (int i = 0; i < 256; i++) {
		const char *at = strchr(order, colormap_glyph((uint8_t)i));

		assert_non_null(at);
		assert_true(at - order == last || at - order == last + 1);
		used += at - order != last;
		last = (int)(at - order);
	}
	assert_int_equal(used, 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lightness_is_that_of_the_paper),
		cmocka_unit_test(maps_rise),
		cmocka_unit_test(ramps_rise),
		cmocka_unit_test(tables_are_the_published_ones),
		cmocka_unit_test(the_palette_is_xterms),
		cmocka_unit_test(names_go_both_ways),
		cmocka_unit_test(glyphs_get_denser),
	};
	return RUN_TAP(tests);
}
