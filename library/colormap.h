/* colormap.h: colours for pictures of levels, dark to light.
 *
 * Six maps whose lightness rises with the level, so that they read the same
 * printed in grey or to eyes that miss a colour.  Each comes as 256 colours, as
 * a ramp of 16 steps for terminals of 256 colours (the nearest colour of the
 * palette would break the order of lightness), and, for all maps alike, as ten
 * characters for terminals without.  The tables and where they are from:
 * scripts/colormaps.  No function here can fail. */
#ifndef WOODSHED_LIBRARY_COLORMAP_H
#define WOODSHED_LIBRARY_COLORMAP_H

#include <stdbool.h>
#include <stdint.h>

enum colormap {
	COLORMAP_INFERNO, /* the default */
	COLORMAP_MAGMA,
	COLORMAP_PLASMA,
	COLORMAP_VIRIDIS,
	COLORMAP_CIVIDIS,
	COLORMAP_GREY,
	COLORMAP_COUNT,
};

enum { COLORMAP_STEPS = 16 };

struct rgb {
	uint8_t r, g, b; /* sRGB */
};

/* "inferno", ...; a static string.  NULL for what is no map. */
const char *colormap_name(enum colormap map);

/* The map of that name; false, and *ret as it was, when there is none. */
bool colormap_find(const char *name, enum colormap *ret);

/* The colour of a level, 0 (lowest) to 255. */
struct rgb colormap_rgb(enum colormap map, uint8_t level);

/* Its index in the palette of 256 colours, 16 to 255: one of 16 steps. */
uint8_t colormap_256(enum colormap map, uint8_t level);

/* One of " .:-=+*#%@", in order of ink. */
char colormap_glyph(uint8_t level);

/* The colour of index 16..255 in xterm's palette: a cube of 6x6x6 with the values
 * 0, 95, 135, 175, 215, 255, then 24 greys from 8 on.  Users change the 16 before,
 * so there is no telling: black. */
struct rgb colormap_palette(uint8_t index);

#endif
