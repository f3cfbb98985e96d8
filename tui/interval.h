/* interval.h: the part of a take that is shown: zooming, following, and where on a
 * screen a moment is.  Seconds; nothing here can fail. */
#ifndef WOODSHED_TUI_INTERVAL_H
#define WOODSHED_TUI_INTERVAL_H

#include <stddef.h>

struct interval {
	double begin, end; /* begin <= end; equal: nothing */
};

/* Narrower than this a picture shows nothing new: some 20 transforms apart. */
#define INTERVAL_MIN_S 0.25

/* `factor` times as long (0.5: nearer), within a take of length_s; the moment `at`
 * stays where it is, as far as the ends of the take let it. */
struct interval interval_zoom(struct interval s, double factor, double at, double length_s);
/* The span that shows `at`: the same one while it is in there, else one page on or
 * back, or, farther away, the one that has it in its first quarter. */
struct interval interval_follow(struct interval s, double at, double length_s);

/* The column of `columns` in which a moment is; -1, or `columns`: left or right of
 * them. */
int interval_column(struct interval s, double at, int columns);
/* The moment that a column begins with. */
double interval_time(struct interval s, int column, int columns);

/* How long to wait before the playhead, so many lines high, is painted again, in ms:
 * `fps` times a second, or as seldom as keeps what it sends below some 6 KB a second. */
int interval_frame_ms(struct interval s, int columns, int lines, int fps);

/* What to write below: round moments, at most `most` (and INTERVAL_TICKS_MAX),
 * ascending. */
enum { INTERVAL_TICKS_MAX = 64 };
struct interval_tick {
	double at;
	char text[16]; /* "0:05", "1:02.5" */
};
size_t interval_ticks(struct interval s, size_t most, struct interval_tick ret[INTERVAL_TICKS_MAX]);

/* Beats a minute that a text names, as in "lofi, 72 bpm" or "72.5BPM"; 0: none
 * from 20 to 400. */
double interval_bpm(const char *text);

#endif
