/* A picture in a rectangle. */
#include "tui/picture_pane.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "library/spectrum.h"
#include "library/spectrum_axis.h"
#include "tui/picture.h"

enum {
	LABEL = 4,           /* of a frequency */
	LABELS_FROM = 30,    /* no labels in a narrower pane */
	AXIS_FROM = 5,       /* no axis of time in a lower one */
	TIMES_FROM = 6,      /* not what is written below it */
	WAVE_FROM = 9,       /* no waveform */
	COLUMNS_A_TIME = 11, /* a label takes as much */
	LINES_A_LABEL = 2,
};

static const double TINY_S = 1e-6; /* less is a matter of rounding */

struct picture_layout picture_pane_layout(int height, int width)
{
	struct picture_layout l = {0};

	l.x = width >= LABELS_FROM ? LABEL + 1 : 0;
	l.columns = width - l.x;
	l.n_axis = height >= AXIS_FROM;
	l.n_times = height >= TIMES_FROM;
	l.n_wave = height < WAVE_FROM ? 0 : height < 24 ? 1 : height / 10;
	l.n_picture = height - l.n_axis - l.n_times - l.n_wave;
	l.axis = l.n_picture;
	l.times = l.axis + l.n_axis;
	l.wave = l.times + l.n_times;
	return l;
}

/* ---- what is in a cell -------------------------------------------------- */

/* What is drawn now: a pane, its place, and the picture that is looked at. */
struct drawing {
	const struct picture_pane *p;
	const struct picture_view *v;
	struct picture_layout l;
	int y, x; /* of the rectangle */
	int head; /* the playhead's column; outside of 0..columns-1: none */
};

static bool has(const struct picture_matrix *m, double at)
{
	return m->span.end > m->span.begin && at >= m->span.begin && at <= m->span.end &&
	       interval_column(m->span, at, m->columns) < (int)m->n_coarse;
}

/* The columns of a matrix that make column c of n in the pane; the part, where it has
 * them, is finer than the whole. */
static const struct picture_matrix *columns_of(
	const struct drawing *d, int c, int n, int *ret_from, int *ret_to)
{
	double begin = interval_time(d->p->span, c, n), end = interval_time(d->p->span, c + 1, n),
	       middle = (begin + end) / 2;
	const struct picture_matrix *m = has(d->v->part, middle)    ? d->v->part
					 : has(d->v->whole, middle) ? d->v->whole
								    : NULL;

	if (!m)
		return NULL;
	*ret_from = interval_column(m->span, fmax(begin, m->span.begin) + TINY_S, m->columns);
	*ret_to = interval_column(m->span, fmin(end, m->span.end) - TINY_S, m->columns) + 1;
	if (*ret_to > (int)m->n_coarse)
		*ret_to = (int)m->n_coarse;
	if (*ret_to <= *ret_from)
		*ret_to = *ret_from + 1;
	return m;
}

/* The greatest level of row r of n (from the lowest up) and columns from..to, in
 * the range of dB that is shown. */
static uint8_t level_at(
	const struct drawing *d, const struct picture_matrix *m, int from, int to, int r, int n)
{
	int low = r * PICTURE_ROWS / n, high = (r + 1) * PICTURE_ROWS / n;
	double db, share;
	uint8_t top = 0;

	high = high > low ? high : low + 1;
	for (int c = from; c < to; c++)
		for (int i = low; i < high; i++)
			if (m->levels[c * PICTURE_ROWS + i] > top)
				top = m->levels[c * PICTURE_ROWS + i];
	db = PICTURE_LOW_DB + (PICTURE_HIGH_DB - PICTURE_LOW_DB) * top / 255;
	share = (db - d->p->low_db) / (d->p->high_db - d->p->low_db);
	return (uint8_t)lrint(255 * fmax(0, fmin(share, 1)));
}

static const char *wave_glyph(int eighths)
{
	static const char *const blocks[] = {" ", "\u2581", "\u2582", "\u2583", "\u2584", "\u2585",
		"\u2586", "\u2587", "\u2588"};
	static const char *const ascii[] = {" ", "_", "_", ".", "-", "-", "=", "#", "#"};

	eighths = eighths < 0 ? 0 : eighths > 8 ? 8 : eighths;
	return paint_is_utf8() ? blocks[eighths] : ascii[eighths];
}

/* ---- columns ------------------------------------------------------------ */

static void draw_wave(
	const struct drawing *d, const struct picture_matrix *m, int c, int from, int to, int x)
{
	int peak = 0, eighths;

	for (int i = from; m && i < to; i++)
		peak = m->wave[i] > peak ? m->wave[i] : peak;
	eighths = (peak * d->l.n_wave * 8 + 127) / 255;
	if (m && !eighths)
		eighths = 1; /* silence is a line */
	for (int i = 0; i < d->l.n_wave; i++)
		paint(d->y + d->l.wave + i, x, 1, c < d->head ? ROLE_PROGRESS : ROLE_TEXT,
			wave_glyph(eighths - 8 * (d->l.n_wave - 1 - i)));
}

static void draw_playhead(const struct drawing *d, int x)
{
	const char *line = paint_is_utf8() ? "\u2502" : "|";

	for (int i = 0; i < d->l.n_picture; i++)
		paint(d->y + d->l.picture + i, x, 1, ROLE_PLAYHEAD, line);
	for (int i = 0; i < d->l.n_wave; i++)
		paint(d->y + d->l.wave + i, x, 1, ROLE_PLAYHEAD, line);
}

static void draw_halves(
	const struct drawing *d, const struct picture_matrix *m, int from, int to, int x)
{
	int n = d->l.n_picture * 2;

	for (int i = 0; i < d->l.n_picture; i++) {
		uint8_t upper = level_at(d, m, from, to, n - 1 - 2 * i, n),
			lower = level_at(d, m, from, to, n - 2 - 2 * i, n);

		if (d->p->glyphs == GLYPHS_SHADE)
			paint_shade(d->y + d->l.picture + i, x, upper > lower ? upper : lower);
		else
			paint_levels(d->y + d->l.picture + i, x, d->p->map, upper, lower);
	}
}

static void draw_quarters(const struct drawing *d, int c, int x)
{
	const struct picture_matrix *m[2];
	int n = d->l.n_picture * 2, from[2] = {0}, to[2] = {0};

	for (int k = 0; k < 2; k++)
		m[k] = columns_of(d, 2 * c + k, 2 * d->l.columns, &from[k], &to[k]);
	for (int i = 0; i < d->l.n_picture; i++) {
		uint8_t levels[4] = {0};

		for (int k = 0; k < 4; k++)
			if (m[k % 2])
				levels[k] = level_at(d, m[k % 2], from[k % 2], to[k % 2],
					n - 1 - 2 * i - k / 2, n);
		paint_quadrants(d->y + d->l.picture + i, x, d->p->map, levels);
	}
}

static void draw_picture(
	const struct drawing *d, const struct picture_matrix *m, int c, int from, int to, int x)
{
	if (!m)
		for (int i = 0; i < d->l.n_picture; i++)
			paint(d->y + d->l.picture + i, x, 1, ROLE_TEXT, "");
	else if (d->p->glyphs == GLYPHS_QUADRANT)
		draw_quarters(d, c, x);
	else
		draw_halves(d, m, from, to, x);
}

/* The axis of time: the loop's ends as letters, what is between them in its role. */
static void draw_axis_cell(const struct drawing *d, int c, int x)
{
	const struct interval loop = d->p->loop;
	int a = interval_column(d->p->span, loop.begin, d->l.columns),
	    b = interval_column(d->p->span, fmin(loop.end, 1e9), d->l.columns);
	bool has_begun = loop.end > loop.begin, is_closed = has_begun && isfinite(loop.end);
	bool is_within = is_closed && c >= a && c <= b, is_utf8 = paint_is_utf8();
	const char *text = c == d->head && is_within ? (is_utf8 ? "\u256a" : "+")
			   : c == d->head            ? (is_utf8 ? "\u253c" : "+")
			   : is_within               ? (is_utf8 ? "\u2550" : "=")
						     : (is_utf8 ? "\u2500" : "-");

	if (has_begun && c == a)
		text = "A";
	if (is_closed && c == b)
		text = "B";
	paint(d->y + d->l.axis, x, 1,
		c == d->head                                                      ? ROLE_PLAYHEAD
		: (is_within && d->p->is_looping) || *text == 'A' || *text == 'B' ? ROLE_LOOP
										  : ROLE_BORDER,
		text);
}

static void draw_column(const struct drawing *d, int c)
{
	int from = 0, to = 0, x = d->x + d->l.x + c;
	const struct picture_matrix *m = columns_of(d, c, d->l.columns, &from, &to);

	if (c < 0 || c >= d->l.columns)
		return;
	if (c == d->head) {
		draw_playhead(d, x);
	} else {
		draw_picture(d, m, c, from, to, x);
		draw_wave(d, m, c, from, to, x);
	}
	if (d->l.n_axis)
		draw_axis_cell(d, c, x);
}

/* ---- labels ------------------------------------------------------------- */

static void draw_frequencies(const struct drawing *d)
{
	struct axis_tick t[AXIS_TICKS_MAX];
	size_t n = 0;

	if (!d->l.x)
		return;
	if (d->v->axis && d->l.n_picture)
		n = axis_frequencies(d->v->axis, (double)LINES_A_LABEL / d->l.n_picture, t);
	for (int i = 0; i < d->l.n_picture; i++) {
		paint(d->y + i, d->x, LABEL, ROLE_DIM, "");
		paint(d->y + i, d->x + LABEL, 1, ROLE_BORDER, paint_is_utf8() ? "\u2502" : "|");
	}
	for (size_t i = 0; i < n; i++) {
		int line = (int)((1 - t[i].at) * d->l.n_picture);

		if (line >= d->l.n_picture)
			line = d->l.n_picture - 1;
		paint_right(d->y + line, d->x, LABEL, ROLE_DIM, t[i].text);
	}
}

static void draw_times(const struct drawing *d)
{
	struct interval_tick t[INTERVAL_TICKS_MAX];
	size_t n = interval_ticks(d->p->span, (size_t)(d->l.columns / COLUMNS_A_TIME) + 1, t);
	int end = 0; /* of what is written */

	paint(d->y + d->l.times, d->x, d->l.x + d->l.columns, ROLE_DIM, "");
	for (size_t i = 0; i < n; i++) {
		int width = (int)strlen(t[i].text),
		    at = interval_column(d->p->span, t[i].at, d->l.columns);

		if (at + width > d->l.columns || at < end + (i > 0))
			continue;
		paint(d->y + d->l.times, d->x + d->l.x + at, width, ROLE_DIM, t[i].text);
		end = at + width;
	}
}

static void draw_margins(const struct drawing *d)
{
	draw_frequencies(d);
	if (d->l.n_times)
		draw_times(d);
	if (d->l.x && d->l.n_axis) {
		paint(d->y + d->l.axis, d->x, LABEL, ROLE_DIM, "");
		paint(d->y + d->l.axis, d->x + LABEL, 1, ROLE_BORDER,
			paint_is_utf8() ? "\u2514" : "+");
	}
	for (int i = 0; d->l.x && i < d->l.n_wave; i++)
		paint(d->y + d->l.wave + i, d->x, d->l.x, ROLE_DIM,
			i == d->l.n_wave / 2 ? "wave" : "");
}

/* ---- panes -------------------------------------------------------------- */

static struct drawing begin(const struct picture_pane *p, const struct rect *r)
{
	struct picture_layout l = picture_pane_layout(r->height, r->width);
	double head = p->playhead;

	return (struct drawing){.p = p,
		.v = picture_look(p->picture),
		.l = l,
		.y = r->y,
		.x = r->x,
		.head = head < 0 ? -1 : interval_column(p->span, head, l.columns)};
}

static void draw_failure(const struct drawing *d)
{
	paint(d->y + d->l.n_picture / 2, d->x + d->l.x + 1, d->l.columns - 2, ROLE_ERROR,
		d->v->failed);
}

void picture_pane_draw(const struct picture_pane *p, const struct rect *r)
{
	struct drawing d = begin(p, r);

	draw_margins(&d);
	for (int c = 0; c < d.l.columns; c++)
		draw_column(&d, c);
	if (d.v->failed)
		draw_failure(&d);
	picture_leave(p->picture);
}

void picture_pane_move(const struct picture_pane *p, double was, const struct rect *r)
{
	struct drawing d = begin(p, r);
	int old = was < 0 ? -1 : interval_column(p->span, was, d.l.columns);

	/* Those in between change as well: what has been heard is in another role. */
	for (int c = old < d.head ? old : d.head; c <= (old > d.head ? old : d.head); c++)
		draw_column(&d, c);
	picture_leave(p->picture);
}

bool picture_pane_time(
	const struct picture_pane *p, const struct rect *r, int y, int x, double *ret_s)
{
	struct picture_layout l = picture_pane_layout(r->height, r->width);

	if (y < 0 || y >= r->height || x < l.x || x >= r->width || !(p->span.end > p->span.begin))
		return false;
	*ret_s = interval_time(p->span, x - l.x, l.columns);
	return true;
}

double picture_pane_nearest(const struct picture_pane *p, const struct rect *r, int x)
{
	struct picture_layout l = picture_pane_layout(r->height, r->width);
	int c = x - l.x;

	c = c < 0 ? 0 : c > l.columns ? l.columns : c;
	return interval_time(p->span, c, l.columns > 0 ? l.columns : 1);
}
