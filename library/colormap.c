/* Colours for pictures of levels. */
#include "library/colormap.h"

#include <stddef.h>
#include <string.h>

#include "library/colormap_private.h"

static const char *const names[COLORMAP_COUNT] = {
	[COLORMAP_INFERNO] = "inferno",
	[COLORMAP_MAGMA] = "magma",
	[COLORMAP_PLASMA] = "plasma",
	[COLORMAP_VIRIDIS] = "viridis",
	[COLORMAP_CIVIDIS] = "cividis",
	[COLORMAP_GREY] = "grey",
};

static bool is_map(enum colormap map)
{
	return (unsigned)map < COLORMAP_COUNT;
}

const char *colormap_name(enum colormap map)
{
	return is_map(map) ? names[map] : NULL;
}

bool colormap_find(const char *name, enum colormap *ret)
{
	for (int i = 0; i < COLORMAP_COUNT; i++) {
		if (!strcmp(name, names[i])) {
			*ret = (enum colormap)i;
			return true;
		}
	}
	return false;
}

struct rgb colormap_rgb(enum colormap map, uint8_t level)
{
	uint32_t c = colormap_rgb_table[is_map(map) ? map : COLORMAP_INFERNO][level];

	return (struct rgb){(uint8_t)(c >> 16), (uint8_t)(c >> 8), (uint8_t)c};
}

uint8_t colormap_256(enum colormap map, uint8_t level)
{
	return colormap_ramp_table[is_map(map) ? map : COLORMAP_INFERNO]
				  [level * COLORMAP_STEPS / 256];
}

char colormap_glyph(uint8_t level)
{
	static const char glyphs[] = " .:-=+*#%@";

	return glyphs[level * (sizeof(glyphs) - 1) / 256];
}

static uint8_t cube(int level)
{
	return (uint8_t)(level ? 55 + 40 * level : 0);
}

struct rgb colormap_palette(uint8_t index)
{
	uint8_t grey = (uint8_t)(8 + 10 * (index - 232));
	int i = index - 16;

	if (index >= 232)
		return (struct rgb){grey, grey, grey};
	if (i < 0)
		return (struct rgb){0, 0, 0};
	return (struct rgb){cube(i / 36), cube(i / 6 % 6), cube(i % 6)};
}
