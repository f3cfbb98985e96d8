/* The tables behind colormap.h, which scripts/colormaps makes. */
#ifndef WOODSHED_LIBRARY_COLORMAP_PRIVATE_H
#define WOODSHED_LIBRARY_COLORMAP_PRIVATE_H

#include <stdint.h>

#include "library/colormap.h"

extern const uint32_t colormap_rgb_table[COLORMAP_COUNT][256]; /* 0xRRGGBB, sRGB */
extern const uint8_t colormap_ramp_table[COLORMAP_COUNT][COLORMAP_STEPS];

#endif
