/* Spectrograms.
 *
 * Powers are pooled as floats and become levels when they are published: the
 * maximum does not depend on the order, so the coarse pass leaves no trace. */
#include "library/spectrum.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "library/audio.h"
#include "library/base/arena.h"
#include "library/base/err.h"
#include "library/base/fft.h"
#include "library/base/pool.h"
#include "library/base/vectors.h"

enum { COARSE_MAX = 512 }; /* transforms of the coarse pass */

static const float sample_max = 1e6f;  /* its square times the window still fits a float */
static const double power_min = 1e-37; /* so that the logarithm of nothing is a number */

/* An edge between rows, in bins: power is interpolated from bin and bin + 1. */
struct edge {
	int bin;
	float share; /* of bin + 1 */
};

/* What a thread needs for a transform. */
struct lane {
	struct fft *fft;
	float *re, *im;  /* fft each */
	float *power;    /* fft / 2 + 1 */
	float *at_edges; /* rows + 1 */
};

struct spectrum {
	struct spectrum_desc d; /* defaults filled in */
	struct lane *lanes;     /* one for each thread */
	int n_lanes;
	float *window;      /* fft, scaled so that |X|^2 is a power */
	struct edge *edges; /* rows + 1 */
	float *cells;       /* columns x rows powers */
	_Atomic uint8_t *levels;
	size_t group;  /* columns to one coarse transform */
	size_t column; /* being finished, and its next transform */
	size_t transform;
	_Atomic size_t next; /* the column that a thread of the pool takes next, up to: */
	size_t stop;
	_Atomic size_t coarse, done;
	_Atomic bool is_cancelled;
};

/* ---- scales ------------------------------------------------------------- */

/* Equal steps are equally far apart. */
static double to_scale(enum spectrum_scale scale, double hz)
{
	switch (scale) {
	case SPECTRUM_LOG:
		return log(fmax(hz, 1e-3));
	case SPECTRUM_MEL:
		return 2595 * log10(1 + fmax(hz, 0) / 700);
	case SPECTRUM_LINEAR:
		break;
	}
	return hz;
}

static double from_scale(enum spectrum_scale scale, double x)
{
	switch (scale) {
	case SPECTRUM_LOG:
		return exp(x);
	case SPECTRUM_MEL:
		return 700 * (pow(10, x / 2595) - 1);
	case SPECTRUM_LINEAR:
		break;
	}
	return x;
}

static double clamp(double x, double lo, double hi)
{
	return x > lo ? (x < hi ? x : hi) : lo; /* lo for NaN */
}

double spectrum_position(const struct spectrum *s, double hz)
{
	double lo = to_scale(s->d.scale, s->d.low_hz), hi = to_scale(s->d.scale, s->d.high_hz);

	return clamp((to_scale(s->d.scale, hz) - lo) / (hi - lo), -1, 2);
}

double spectrum_hz(const struct spectrum *s, double position)
{
	double lo = to_scale(s->d.scale, s->d.low_hz), hi = to_scale(s->d.scale, s->d.high_hz);

	return from_scale(s->d.scale, lo + (hi - lo) * clamp(position, -1, 2));
}

double spectrum_db(const struct spectrum *s, uint8_t level)
{
	return s->d.low_db + (s->d.high_db - s->d.low_db) * level / 255;
}

uint8_t spectrum_level(const struct spectrum *s, double power)
{
	double db = 10 * log10(fmax(power, power_min));

	return (uint8_t)lrint(
		clamp(255 * (db - s->d.low_db) / (s->d.high_db - s->d.low_db), 0, 255));
}

/* ---- opening ------------------------------------------------------------ */

static int fill_defaults(struct spectrum_desc *d, struct err *e)
{
	if (!d->fft)
		d->fft = 2048;
	if (d->fft < SPECTRUM_FFT_MIN || d->fft > SPECTRUM_FFT_MAX || (d->fft & (d->fft - 1)))
		return err_set(e, ERR_ARG,
			"no FFT of %d: its size is a power of two from %d to %d, such as 2048",
			d->fft, SPECTRUM_FFT_MIN, SPECTRUM_FFT_MAX);
	if (!d->hop)
		d->hop = d->fft / 4;
	if (d->hop < 1 || d->hop > d->fft / 2)
		return err_set(e, ERR_ARG, "no hop of %d: with an FFT of %d it is from 1 to %d",
			d->hop, d->fft, d->fft / 2);
	if (!d->begin && !d->end)
		d->end = d->n_frames;
	if (d->low_db == 0 && d->high_db == 0)
		d->low_db = -90;
	if (d->low_hz == 0 && d->scale == SPECTRUM_LOG)
		d->low_hz = 40;
	if (d->high_hz == 0)
		d->high_hz = 20000;
	if (d->high_hz > d->rate_hz / 2.0)
		d->high_hz = d->rate_hz / 2.0;
	return 0;
}

static int check_numbers(const struct spectrum_desc *d, struct err *e)
{
	if (d->channels < 1 || d->channels > AUDIO_CHANNELS_MAX || d->rate_hz < AUDIO_RATE_MIN ||
		d->rate_hz > AUDIO_RATE_MAX)
		return err_set(e, ERR_ARG,
			"no spectrogram of %d channels at %d Hz: give 1 to %d channels at %d to %d "
			"Hz",
			d->channels, d->rate_hz, AUDIO_CHANNELS_MAX, AUDIO_RATE_MIN,
			AUDIO_RATE_MAX);
	if (d->columns < 1 || d->columns > SPECTRUM_COLUMNS_MAX || d->rows < 1 ||
		d->rows > SPECTRUM_ROWS_MAX)
		return err_set(e, ERR_ARG,
			"no spectrogram of %d by %d cells: give at most %d by %d", d->columns,
			d->rows, SPECTRUM_COLUMNS_MAX, SPECTRUM_ROWS_MAX);
	if ((unsigned)d->scale > SPECTRUM_LINEAR)
		return err_set(e, ERR_ARG, "no scale %d; give log, mel or linear", (int)d->scale);
	return 0;
}

static int check_ranges(const struct spectrum_desc *d, struct err *e)
{
	if (d->end > d->n_frames || d->begin > d->end || (d->begin == d->end && d->n_frames))
		return err_set(e, ERR_ARG,
			"no frames %zu to %zu in a sound of %zu; give a part of it", d->begin,
			d->end, d->n_frames);
	if (!(d->low_db >= -300 && d->high_db <= 300 && d->high_db - d->low_db >= 1))
		return err_set(e, ERR_ARG,
			"no range from %g to %g dB; give the lower end first, such as -90 and 0",
			d->low_db, d->high_db);
	if (!(d->low_hz >= (d->scale == SPECTRUM_LOG ? 1 : 0) && d->high_hz - d->low_hz >= 1))
		return err_set(e, ERR_ARG,
			"no frequencies from %g to %g Hz at a rate of %d Hz; give the lower end "
			"first, such as 40 and 20000",
			d->low_hz, d->high_hz, d->rate_hz);
	return 0;
}

struct part {
	void **ret;
	size_t n, size;
};

static int allocate_parts(const struct part *parts, size_t n, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; !rc && i < n; i++)
		rc = mem_try_alloc(parts[i].ret, parts[i].n, parts[i].size, "the spectrogram", e);
	return rc;
}

static int open_lane(struct spectrum *s, struct lane *l, struct err *e)
{
	const size_t n = (size_t)s->d.fft, rows = (size_t)s->d.rows;
	const struct part parts[] = {
		{(void **)&l->re, n, sizeof(*l->re)},
		{(void **)&l->im, n, sizeof(*l->im)},
		{(void **)&l->power, n / 2 + 1, sizeof(*l->power)},
		{(void **)&l->at_edges, rows + 1, sizeof(*l->at_edges)},
	};
	int rc = allocate_parts(parts, sizeof(parts) / sizeof(*parts), e);

	return rc ? rc : fft_open(n, &l->fft, e);
}

static int allocate(struct spectrum *s, struct err *e)
{
	const size_t n = (size_t)s->d.fft, rows = (size_t)s->d.rows,
		     n_cells = (size_t)s->d.columns * rows;
	const struct part parts[] = {
		{(void **)&s->lanes, (size_t)s->n_lanes, sizeof(*s->lanes)},
		{(void **)&s->window, n, sizeof(*s->window)},
		{(void **)&s->edges, rows + 1, sizeof(*s->edges)},
		{(void **)&s->cells, n_cells, sizeof(*s->cells)},
		{(void **)&s->levels, n_cells, sizeof(*s->levels)},
	};
	int rc = allocate_parts(parts, sizeof(parts) / sizeof(*parts), e);

	for (int i = 0; !rc && i < s->n_lanes; i++)
		rc = open_lane(s, &s->lanes[i], e);
	return rc;
}

/* With sum(w) = fft / 2 a sine of amplitude 1 gives |X| = fft / 4 at its bin: the
 * window is scaled by that, and by the mean over the channels. */
static void make_window(struct spectrum *s)
{
	const double n = s->d.fft, gain = 4 / n / sqrt(s->d.channels);

	for (int i = 0; i < s->d.fft; i++)
		s->window[i] = (float)(gain * (0.5 - 0.5 * cos(2 * M_PI * i / n)));
}

static void make_edges(struct spectrum *s)
{
	const double per_hz = (double)s->d.fft / s->d.rate_hz;
	const int last = s->d.fft / 2;

	for (int r = 0; r <= s->d.rows; r++) {
		double x = clamp(spectrum_hz(s, (double)r / s->d.rows) * per_hz, 0, last);
		int bin = (int)fmin(x, last - 1);

		s->edges[r] = (struct edge){bin, (float)(x - bin)};
	}
}

int spectrum_open(const struct spectrum_desc *d, struct spectrum **ret, struct err *e)
{
	struct spectrum *s = xcalloc(1, sizeof(*s));
	int rc;

	*ret = NULL;
	s->d = *d;
	s->n_lanes = d->pool ? pool_threads(d->pool) : 1;
	rc = check_numbers(&s->d, e);
	if (!rc)
		rc = fill_defaults(&s->d, e);
	if (!rc)
		rc = check_ranges(&s->d, e);
	if (!rc)
		rc = allocate(s, e);
	if (rc) {
		spectrum_close(s);
		return rc;
	}
	make_window(s);
	make_edges(s);
	s->group = ((size_t)s->d.columns + COARSE_MAX - 1) / COARSE_MAX;
	if (!s->d.n_frames) /* silence, and it is drawn already */
		s->coarse = s->done = (size_t)s->d.columns;
	*ret = s;
	return 0;
}

void spectrum_close(struct spectrum *s)
{
	if (!s)
		return;
	for (int i = 0; s->lanes && i < s->n_lanes; i++) {
		fft_close(s->lanes[i].fft);
		free(s->lanes[i].re);
		free(s->lanes[i].im);
		free(s->lanes[i].power);
		free(s->lanes[i].at_edges);
	}
	free(s->lanes);
	free(s->window);
	free(s->edges);
	free(s->cells);
	free((void *)s->levels);
	free(s);
}

/* ---- transforms --------------------------------------------------------- */

static float sound(float x)
{
	return fabsf(x) <= sample_max ? x : 0; /* NaN compares false */
}

/* n frames, windowed: a channel as the real part, the next one as the imaginary part. */
static inline __attribute__((always_inline)) void load_frames(const struct lane *l, size_t at,
	size_t n, const float *restrict window, const float *restrict x, size_t channels,
	bool is_pair)
{
	float *restrict re = l->re + at, *restrict im = l->im + at;

	window += at;
	INDEPENDENT
	for (size_t i = 0; i < n; i++) {
		re[i] = window[i] * sound(x[i * channels]);
		im[i] = is_pair ? window[i] * sound(x[i * channels + 1]) : 0;
	}
}

/* The usual numbers of channels are known to the compiler. */
VECTORS static void load_any(const struct lane *l, size_t at, size_t n, const float *window,
	const float *x, size_t channels, bool is_pair)
{
	if (channels == 2)
		load_frames(l, at, n, window, x, 2, true);
	else if (channels == 1)
		load_frames(l, at, n, window, x, 1, false);
	else
		load_frames(l, at, n, window, x, channels, is_pair);
}

/* Channel c and the next one, if any, centred on `centre`. */
static void load(const struct spectrum *s, const struct lane *l, size_t centre, int c)
{
	const size_t half = (size_t)s->d.fft / 2, channels = (size_t)s->d.channels;
	const size_t skip = centre < half ? half - centre : 0;
	const size_t after = s->d.n_frames - centre;
	const size_t stop = after < half ? half + after : 2 * half;

	for (size_t i = 0; i < skip; i++)
		l->re[i] = l->im[i] = 0;
	load_any(l, skip, stop - skip, s->window,
		s->d.samples + (centre + skip - half) * channels + c, channels,
		c + 1 < s->d.channels);
	for (size_t i = stop; i < 2 * half; i++)
		l->re[i] = l->im[i] = 0;
}

static float squared(float re, float im)
{
	return re * re + im * im;
}

/* For the transform Z of x + iy, |X(k)|^2 + |Y(k)|^2 = (|Z(k)|^2 + |Z(n-k)|^2) / 2:
 * two channels cost one transform, and nothing needs to be taken apart. */
VECTORS static void add_power(
	size_t n, const float *restrict re, const float *restrict im, float *restrict power)
{
	power[0] += squared(re[0], im[0]);
	INDEPENDENT
	for (size_t k = 1; k <= n / 2; k++)
		power[k] += 0.5f * (squared(re[k], im[k]) + squared(re[n - k], im[n - k]));
}

static void transform(const struct spectrum *s, const struct lane *l, size_t centre)
{
	const int n = s->d.fft;

	for (int k = 0; k <= n / 2; k++)
		l->power[k] = 0;
	for (int c = 0; c < s->d.channels; c += 2) {
		load(s, l, centre, c);
		fft_run(l->fft, l->re, l->im);
		add_power((size_t)n, l->re, l->im, l->power);
	}
	/* These two have no mirror image that shares their power. */
	l->power[0] /= 4;
	l->power[n / 2] /= 4;
}

/* The greatest of a row: at its edges, or at a bin between them. */
static float row_power(const struct spectrum *s, const struct lane *l, size_t r)
{
	const float a = l->at_edges[r], b = l->at_edges[r + 1];
	float top = a > b ? a : b;

	for (int k = s->edges[r].bin + 1; k <= s->edges[r + 1].bin; k++)
		top = l->power[k] > top ? l->power[k] : top;
	return top;
}

static void pool_rows(struct spectrum *s, const struct lane *l, size_t column)
{
	const size_t rows = (size_t)s->d.rows;
	float *cells = s->cells + column * rows;

	for (size_t r = 0; r <= rows; r++) {
		const float *p = l->power + s->edges[r].bin;

		l->at_edges[r] = p[0] + s->edges[r].share * (p[1] - p[0]);
	}
	for (size_t r = 0; r < rows; r++) {
		float top = row_power(s, l, r);

		cells[r] = top > cells[r] ? top : cells[r];
	}
}

/* ---- columns ------------------------------------------------------------ */

static size_t column_begin(const struct spectrum *s, size_t column)
{
	uint64_t span = s->d.end - s->d.begin, n = (uint64_t)s->d.columns;

	/* column * span may not fit; this does */
	return s->d.begin + (size_t)(column * (span / n) + column * (span % n) / n);
}

static size_t multiples_below(size_t x, int hop)
{
	return x / (size_t)hop + (x % (size_t)hop != 0);
}

/* How many transforms a column takes: at least one. */
static size_t count(const struct spectrum *s, size_t column)
{
	size_t n = multiples_below(column_begin(s, column + 1), s->d.hop) -
		   multiples_below(column_begin(s, column), s->d.hop);

	return n ? n : 1;
}

static void pool_transform(struct spectrum *s, const struct lane *l, size_t column, size_t i)
{
	const size_t begin = column_begin(s, column), end = column_begin(s, column + 1);
	const size_t first = multiples_below(begin, s->d.hop);
	size_t centre = (first + i) * (size_t)s->d.hop;

	if (centre >= end)
		centre = begin + (end - begin) / 2;
	transform(s, l, centre < s->d.n_frames ? centre : s->d.n_frames - 1);
	pool_rows(s, l, column);
}

/* Which transform of a column the coarse pass takes; of a column that it leaves
 * out, none. */
static size_t coarse_transform(const struct spectrum *s, size_t column)
{
	return column % s->group ? SIZE_MAX : (count(s, column) - 1) / 2;
}

/* Levels of a column, in n columns from `to` on. */
static void publish(struct spectrum *s, size_t column, size_t n)
{
	const size_t rows = (size_t)s->d.rows;

	for (size_t r = 0; r < rows; r++) {
		uint8_t level = spectrum_level(s, s->cells[column * rows + r]);

		for (size_t i = column; i < column + n; i++)
			atomic_store_explicit(
				&s->levels[i * rows + r], level, memory_order_relaxed);
	}
}

/* Of the columns of a coarse transform, how many there are from that one on. */
static size_t group_at(const struct spectrum *s, size_t column)
{
	const size_t left = (size_t)s->d.columns - column;

	return left < s->group ? left : s->group;
}

static void do_coarse(struct spectrum *s, const struct lane *l, size_t column)
{
	pool_transform(s, l, column, coarse_transform(s, column));
	publish(s, column, group_at(s, column));
}

static void coarse_step(struct spectrum *s, size_t column)
{
	do_coarse(s, s->lanes, column);
	atomic_store_explicit(&s->coarse, column + group_at(s, column), memory_order_release);
}

static void fine_step(struct spectrum *s)
{
	if (s->transform != coarse_transform(s, s->column))
		pool_transform(s, s->lanes, s->column, s->transform);
	if (++s->transform < count(s, s->column))
		return;
	publish(s, s->column, 1);
	s->transform = 0;
	s->column++;
	atomic_store_explicit(&s->done, s->column, memory_order_release);
}

/* ---- together ----------------------------------------------------------- */

static bool is_coarse(const struct spectrum *s)
{
	return s->coarse < (size_t)s->d.columns;
}

static void do_column(struct spectrum *s, const struct lane *l, size_t column)
{
	const size_t n = count(s, column);

	for (size_t i = 0; i < n && !s->is_cancelled; i++)
		if (i != coarse_transform(s, column))
			pool_transform(s, l, column, i);
	publish(s, column, 1);
}

/* Each column is one thread's. */
static void take_columns(void *ud, int thread, int n_threads)
{
	struct spectrum *s = ud;
	const size_t step = is_coarse(s) ? s->group : 1;

	while (!s->is_cancelled) {
		const size_t column = atomic_fetch_add(&s->next, step);

		if (column >= s->stop)
			return;
		if (is_coarse(s))
			do_coarse(s, &s->lanes[thread], column);
		else
			do_column(s, &s->lanes[thread], column);
	}
}

static void work_together(struct spectrum *s, size_t n_transforms)
{
	const size_t columns = (size_t)s->d.columns, step = is_coarse(s) ? s->group : 1;
	const size_t from = is_coarse(s) ? s->coarse : s->done;
	size_t n = 0;
	int taken = 0;

	for (s->stop = from; s->stop < columns && (n < n_transforms || taken < s->n_lanes);
		s->stop += step, taken++)
		n += is_coarse(s) ? 1 : count(s, s->stop);
	s->stop = s->stop < columns ? s->stop : columns;
	s->next = from;
	pool_team(s->d.pool, take_columns, s);
	if (!s->is_cancelled)
		atomic_store_explicit(
			is_coarse(s) ? &s->coarse : &s->done, s->stop, memory_order_release);
}

bool spectrum_work(struct spectrum *s, size_t n_transforms)
{
	const size_t columns = (size_t)s->d.columns;

	if (s->d.pool && s->done < columns && !s->is_cancelled)
		work_together(s, n_transforms);
	for (; !s->d.pool && n_transforms && s->done < columns; n_transforms--) {
		if (s->is_cancelled)
			return false;
		if (is_coarse(s))
			coarse_step(s, s->coarse);
		else
			fine_step(s);
	}
	return s->done < columns && !s->is_cancelled;
}

void spectrum_cancel(struct spectrum *s)
{
	s->is_cancelled = true;
}

/* ---- reading ------------------------------------------------------------ */

size_t spectrum_coarse(const struct spectrum *s)
{
	return atomic_load_explicit(&s->coarse, memory_order_acquire);
}

size_t spectrum_done(const struct spectrum *s)
{
	return atomic_load_explicit(&s->done, memory_order_acquire);
}

void spectrum_read(const struct spectrum *s, size_t column, size_t n, uint8_t *ret)
{
	const size_t rows = (size_t)s->d.rows, columns = (size_t)s->d.columns;
	const size_t begin = column < columns ? column : columns;
	const size_t end = n < columns - begin ? begin + n : columns;

	for (size_t i = begin * rows; i < end * rows; i++)
		*ret++ = atomic_load_explicit(&s->levels[i], memory_order_relaxed);
}

const struct spectrum_desc *spectrum_asked(const struct spectrum *s)
{
	return &s->d;
}
