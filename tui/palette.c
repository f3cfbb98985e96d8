/* The palette of terminals, OKLab (Björn Ottosson, 2020), contrast. */
#include "tui/palette.h"

#include <math.h>
#include <pthread.h>

uint32_t palette_rgb(unsigned i)
{
	static const uint32_t ansi[16] = {0x000000, 0xcd0000, 0x00cd00, 0xcdcd00, 0x0000ee,
		0xcd00cd, 0x00cdcd, 0xe5e5e5, 0x7f7f7f, 0xff0000, 0x00ff00, 0xffff00, 0x5c5cff,
		0xff00ff, 0x00ffff, 0xffffff};
	static const uint32_t levels[6] = {0, 95, 135, 175, 215, 255};

	if (i < 16)
		return ansi[i];
	if (i >= 232)
		return (8 + 10 * (i - 232)) * 0x010101u;
	i -= 16;
	return levels[i / 36 % 6] << 16 | levels[i / 6 % 6] << 8 | levels[i % 6];
}

/* A byte of sRGB in linear light, 0..1. */
static double linear(uint32_t byte)
{
	double v = (byte & 255) / 255.0;

	return v <= 0.04045 ? v / 12.92 : pow((v + 0.055) / 1.055, 2.4);
}

struct oklab palette_oklab(uint32_t rgb)
{
	double r = linear(rgb >> 16), g = linear(rgb >> 8), b = linear(rgb);
	double l = cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b);
	double m = cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b);
	double s = cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b);

	return (struct oklab){
		.l = 0.2104542553 * l + 0.7936177850 * m - 0.0040720468 * s,
		.a = 1.9779984951 * l - 2.4285922050 * m + 0.4505937099 * s,
		.b = 0.0259040371 * l + 0.7827717662 * m - 0.8086757660 * s,
	};
}

static double distance(struct oklab x, struct oklab y)
{
	double l = x.l - y.l, a = x.a - y.a, b = x.b - y.b;

	return l * l + a * a + b * b;
}

/* The palette in OKLab: roots and powers, thousands of times for one picture. */
static struct oklab palette_labs[256];
static pthread_once_t palette_once = PTHREAD_ONCE_INIT;

static void fill_labs(void)
{
	for (unsigned i = 0; i < 256; i++)
		palette_labs[i] = palette_oklab(palette_rgb(i));
}

unsigned palette_nearest(uint32_t rgb, unsigned first, unsigned last)
{
	struct oklab want = palette_oklab(rgb);
	double least = INFINITY;
	unsigned best = first;

	pthread_once(&palette_once, fill_labs);
	for (unsigned i = first; i <= last; i++) {
		double d = distance(want, palette_labs[i]);
		if (d < least) {
			least = d;
			best = i;
		}
	}
	return best;
}

static double luminance(uint32_t rgb)
{
	return 0.2126 * linear(rgb >> 16) + 0.7152 * linear(rgb >> 8) + 0.0722 * linear(rgb);
}

double palette_contrast(uint32_t a, uint32_t b)
{
	double x = luminance(a), y = luminance(b);

	return (fmax(x, y) + 0.05) / (fmin(x, y) + 0.05);
}
