/* picture_pane.h: a picture (picture.h) in a rectangle: spectrogram, axes, waveform,
 * playhead, loop.
 *
 *	20k│▀▀▀▀▀▀▀│▀▀▀▀▀     what a rectangle is too low or too narrow for is left
 *	 1k│▀▀▀▀▀▀▀│▀▀▀▀▀     out: the waveform first, then the axes
 *	    └──A════╪══B──
 *	      0:05    0:10
 *	    ▂▃▅▆▅▃▂│▂▃▅▆▅▃    the waveform
 */
#ifndef WOODSHED_TUI_PICTURE_PANE_H
#define WOODSHED_TUI_PICTURE_PANE_H

#include <stdbool.h>

#include "library/colormap.h"
#include "tui/paint.h"
#include "tui/interval.h"

struct picture;

/* What a cell is made of. */
enum picture_glyphs {
	GLYPHS_HALF,     /* half blocks: two frequencies, exact colours */
	GLYPHS_QUADRANT, /* two by two, of two colours: finer in time */
	GLYPHS_SHADE,    /* characters, as without colours */
	N_GLYPHS
};

struct picture_pane {
	struct picture *picture;
	struct interval span; /* that is shown */
	enum colormap map;
	enum picture_glyphs glyphs;
	double low_db, high_db; /* darkest and lightest */
	double playhead;        /* s; negative: none */
	struct interval loop;   /* begin == end: none; end INFINITY: has begun */
	bool is_looping;        /* it is on */
};

/* Where the parts are, within a rectangle of that size.  Of what has no room the
 * height is 0; columns begin at x. */
struct picture_layout {
	int x, columns;
	int picture, axis, times, wave; /* their first lines */
	int n_picture, n_axis, n_times, n_wave;
};
struct picture_layout picture_pane_layout(int height, int width);

/* Paints every cell of r, which lies within paint_in()'s rectangle. */
void picture_pane_draw(const struct picture_pane *p, const struct rect *r);
/* Moves the playhead from where it was, and nothing else. */
void picture_pane_move(const struct picture_pane *p, double was, const struct rect *r);

/* The moment under a cell of the rectangle (counted from its corner); false where
 * there is none. */
bool picture_pane_time(
	const struct picture_pane *p, const struct rect *r, int y, int x, double *ret_s);
/* The moment of a column of the rectangle, or of the nearest that has one. */
double picture_pane_nearest(const struct picture_pane *p, const struct rect *r, int x);

#endif
