/* spectrum_png.h: spectrograms as PNG files, with axes in seconds and Hz and a
 * legend in dB. */
#ifndef WOODSHED_LIBRARY_SPECTRUM_PNG_H
#define WOODSHED_LIBRARY_SPECTRUM_PNG_H

#include "library/colormap.h"

struct err;
struct spectrum;

enum {
	SPECTRUM_PNG_WIDTH = 1600, /* the defaults */
	SPECTRUM_PNG_HEIGHT = 600,
	SPECTRUM_PNG_WIDTH_MIN = 200,
	SPECTRUM_PNG_HEIGHT_MIN = 100,
	SPECTRUM_PNG_WIDTH_MAX = 16384,
	SPECTRUM_PNG_HEIGHT_MAX = 8192,
};

struct spectrum_png_desc {
	const char *path;
	int width, height; /* of the whole picture, in pixels; 0: the defaults */
	enum colormap map;
};

/* Where the matrix goes in a picture of that size, a pixel a cell: what to open
 * the spectrum with (columns, rows), and its left upper corner. */
struct spectrum_png_plot {
	int x, y, columns, rows;
};

/* ERR_ARG when the picture is too small or too large. */
int spectrum_png_plot(int width, int height, struct spectrum_png_plot *ret, struct err *e);

/* Writes the picture, as far as the spectrum is, under its name at once or not at
 * all; a file of that name is replaced, through a link as well.  Signals that end
 * the process wait while the file is written, so that nothing half is left.
 * ERR_ARG when the spectrum does not have the size that spectrum_png_plot() says,
 * ERR_IO, ERR_NOMEM. */
int spectrum_png_write(const struct spectrum *s, const struct spectrum_png_desc *d, struct err *e);

#endif
