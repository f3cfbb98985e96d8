/* span.h: the part of a take that is shown: zooming, following, and where on a
 * screen a moment is.  Seconds; nothing here can fail. */
#ifndef WOODSHED_TUI_SPAN_H
#define WOODSHED_TUI_SPAN_H

#include <stddef.h>

struct span {
	double begin, end; /* begin <= end; equal: nothing */
};

/* Narrower than this a picture shows nothing new: some 20 transforms apart. */
#define SPAN_MIN_S 0.25

/* `factor` times as long (0.5: nearer), within a take of length_s; the moment `at`
 * stays where it is, as far as the ends of the take let it. */
struct span span_zoom(struct span s, double factor, double at, double length_s);
/* The span that shows `at`: the same one while it is in there, else one page on or
 * back, or, farther away, the one that has it in its first quarter. */
struct span span_follow(struct span s, double at, double length_s);

/* The column of `columns` in which a moment is; -1, or `columns`: left or right of
 * them. */
int span_column(struct span s, double at, int columns);
/* The moment that a column begins with. */
double span_time(struct span s, int column, int columns);

/* What to write below: round moments, at most `most` (and SPAN_TICKS_MAX),
 * ascending. */
enum { SPAN_TICKS_MAX = 64 };
struct span_tick {
	double at;
	char text[16]; /* "0:05", "1:02.5" */
};
size_t span_ticks(struct span s, size_t most, struct span_tick ret[SPAN_TICKS_MAX]);

/* Beats a minute that a text names, as in "lofi, 72 bpm" or "72.5BPM"; 0: none
 * from 20 to 400. */
double span_bpm(const char *text);

#endif
