/* spectrum_text.h: spectrograms as lines of text, with axes.
 *
 *	20k |      .   with colours and UTF-8: half blocks, two rows a line
 *	 1k |.:-==-:.  with colours alone: blanks on a background
 *	100 |@%%#%@@#  without: characters with more or less ink
 *	    +---------
 *	     0s     5s */
#ifndef WOODSHED_TUI_SPECTRUM_TEXT_H
#define WOODSHED_TUI_SPECTRUM_TEXT_H

#include <stdbool.h>

#include "library/colormap.h"

struct spectrum;
struct str;

enum text_colors { TEXT_NO_COLORS, TEXT_256_COLORS, TEXT_RGB };

enum {
	SPECTRUM_TEXT_WIDTH_MIN = 20,
	SPECTRUM_TEXT_HEIGHT_MIN = 5,
	SPECTRUM_TEXT_MAX = 2000, /* either way */
};

struct spectrum_text_desc {
	int width, height; /* of all of it, in characters, within the bounds above */
	enum text_colors colors;
	bool is_utf8;
	enum colormap map;
};

/* The cells that such a picture has: what to open the spectrum with. */
void spectrum_text_size(const struct spectrum_text_desc *d, int *ret_columns, int *ret_rows);

/* Adds `height` lines of at most `width` characters, each ended by a newline; those
 * with colours end with the terminal's own.  The spectrum has the size that
 * spectrum_text_size() tells. */
void spectrum_text_add(
	const struct spectrum *s, const struct spectrum_text_desc *d, struct str *out);

#endif
