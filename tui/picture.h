/* picture.h: what is drawn of a take: its spectrogram and its waveform, made on a
 * thread, coarse first, and kept on the disk.
 *
 *	picture_open(cache, wake_fd, &p, &e);
 *	picture_ask(p, &desc);				at once
 *	...wake_fd is readable: draw what
 *	v = picture_look(p);  ...  picture_leave(p);	is there now
 *
 * A picture is a matrix of PICTURE_COLUMNS by PICTURE_ROWS levels, whatever the
 * size of the pane: another size, other colours and another range in dB need no
 * new one.  There is one of the whole take, and, where a part is shown, one of that
 * part and of the next as long: who turns the page finds it there, and the columns
 * of the page are the same before and after.  Several panes have several pictures.
 *
 * Threads.  All functions belong to one thread, the UI's, and none waits for
 * work: between picture_look() and picture_leave() the picture's own thread may
 * have to wait, so that is for drawing and nothing else. */
#ifndef WOODSHED_TUI_PICTURE_H
#define WOODSHED_TUI_PICTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "library/spectrum.h"
#include "tui/interval.h"

struct err;
struct picture;

enum { PICTURE_COLUMNS = 1024, PICTURE_ROWS = 256 };

/* dB of the levels 0 and 255. */
#define PICTURE_LOW_DB  (-140.0)
#define PICTURE_HIGH_DB 0.0

struct picture_desc {
	const char *path; /* NULL: none any more */
	enum spectrum_scale scale;
	int fft;
	struct interval span; /* the part that is shown; begin == end: all of it */
};

/* One matrix.  Columns from the first on are there coarsely, then finally. */
struct picture_matrix {
	struct interval span; /* begin == end: nothing is there */
	int columns;          /* at most PICTURE_COLUMNS */
	size_t n_coarse, n_done;
	uint8_t levels[PICTURE_COLUMNS * PICTURE_ROWS]; /* a column at a time, low ones first */
	uint8_t wave[PICTURE_COLUMNS];                  /* greatest magnitude, 255 is 1 */
};

struct picture_view {
	double length_s; /* 0: not known yet */
	int rate_hz;     /* of the file */
	const struct picture_matrix *whole, *part;
	const struct spectrum *axis; /* for spectrum_position(), axis_frequencies(); NULL: none
					yet */
	const char *failed;          /* why there is nothing, or NULL */
	bool is_working;
};

/* cache: a folder for pictures that were made, made where missing, or NULL; what was
 * not looked at for longest goes when it grows beyond 64 MB.  wake_fd: an eventfd
 * that is written to when there is something new; borrowed.  Both stay until
 * picture_close().  ERR_IO. */
int picture_open(const char *cache, int wake_fd, struct picture **ret, struct err *e);
void picture_close(struct picture *p); /* waits for some milliseconds; NULL-safe */

/* What is wanted from now on; what is being made for something else ends. */
void picture_ask(struct picture *p, const struct picture_desc *d);

/* What is there, until picture_leave(). */
const struct picture_view *picture_look(struct picture *p);
void picture_leave(struct picture *p);
/* Whether that part is there in its final form, or will not come. */
bool picture_covers(struct picture *p, const struct interval *s);

#endif
