/* palette.h: the 256 colours of terminals, and which of them is nearest.
 *
 * Distances are taken in OKLab, where equal steps look equal; a colour is
 * 0xrrggbb in sRGB. */
#ifndef WOODSHED_TUI_PALETTE_H
#define WOODSHED_TUI_PALETTE_H

#include <stdint.h>

/* Colour i, 0..255: 16 as xterm has them (users change these), a cube of
 * 6 x 6 x 6, 24 greys. */
uint32_t palette_rgb(unsigned i);

/* The nearest of the colours first..last, 0 <= first <= last <= 255; of two
 * alike the first. */
unsigned palette_nearest(uint32_t rgb, unsigned first, unsigned last);

/* Contrast of two colours as WCAG 2 defines it, 1 (none) to 21. */
double palette_contrast(uint32_t a, uint32_t b);

struct oklab {
	double l, a, b; /* lightness 0..1; green to red; blue to yellow */
};
struct oklab palette_oklab(uint32_t rgb);

#endif
