/* The noise's power at each frequency. */
#include "engine/denoise/noise.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/denoise/levels.h"
#include "engine/denoise/resolution.h"
#include "library/base/arena.h"
#include "library/base/err.h"

enum {
	SHAPES = 3,
	ACROSS_MAX = 8, /* channels whose covariance is counted; of more, the first */
	ROWS_BOX = 4,   /* half the highest box */
	MARKED_MIN = 2, /* large frames of a marked stretch: half a second has them at any rate */
};

/* Boxes of rows by cells, every second row of a Hann window at hop n / 4. */
static const struct {
	int rows, cells;
	double n; /* independent values for each channel */
} shapes[SHAPES] = {
	{9, 1, 5.0},
	{3, 3, 3.5},
	{1, 9, 5.0},
};

static const double QUANTILE[3] = {0.02, 0.05, 0.15};
static const double NORMAL[3] = {-2.0537, -1.6449, -1.0364}; /* those of a normal distribution */

/* Hum is looked for below this, among the harmonics of the mains: at least so many
 * must stand out by so much, and keep their level within this. */
enum { HUM_HZ_MAX = 1500, HUM_HARMONICS = 5, HUM_DB = 8, HUM_SPREAD_DB = 8 };

/* Of the first HUM_LOWEST at least HUM_LOW: held notes may have overtones near harmonics
 * of the mains, but higher ones. */
enum { HUM_LOWEST = 4, HUM_LOW = 2 };

struct noise {
	bool marked;
	int rate_hz;
	size_t width; /* of the small resolution */
	double per_octave;
	struct rows p, p3, tmp;       /* power, sums over 3 rows */
	struct levels levels[SHAPES]; /* blind */
	struct levels lines;          /* of the long window's cells below HUM_HZ_MAX */
	size_t n_across;              /* channels of which the covariance is counted, even */
	float *across;                /* weighted; parts of across_at() */
	double *squares;              /* width: marked, of the short window's powers */
	double *sum[2];               /* width of either: marked */
	uint64_t heard[2];
};

/* Cells of the long window in which hum is looked for. */
static size_t hum_width(const struct resolution *large, int rate_hz)
{
	size_t n = (size_t)(HUM_HZ_MAX * (double)large->n / rate_hz);

	return n < large->width ? n : large->width;
}

int noise_open(const struct resolution *small, const struct resolution *large, int rate_hz,
	bool marked, struct noise **ret, struct err *e)
{
	struct noise *n = xcalloc(1, sizeof *n);
	const struct resolution *both[] = {small, large};
	void *mem;
	int rc = 0;

	n->marked = marked;
	n->rate_hz = rate_hz;
	n->width = small->width;
	n->n_across = 2 * small->n_pairs < ACROSS_MAX ? 2 * small->n_pairs : ACROSS_MAX;
	if (!marked) {
		rc = rows_open(&n->p, small->width, 2 * ROWS_BOX + 1, e);
		if (!rc)
			rc = rows_open(&n->p3, small->width, 2 * ROWS_BOX + 1, e);
		if (!rc)
			rc = rows_open(&n->tmp, small->width, 4, e);
		if (!rc)
			rc = mem_try_alloc(&mem, small->width,
				2 * n->n_across * n->n_across * sizeof(float), "noise", e);
		if (!rc)
			n->across = mem;
	}
	for (size_t s = 0; s < SHAPES && !rc && !marked; s++)
		rc = levels_open(&n->levels[s], small->width, e);
	if (!rc && !marked)
		rc = levels_open(&n->lines, hum_width(large, rate_hz), e);
	if (!rc && marked) {
		rc = mem_try_alloc(&mem, small->width, sizeof(double), "noise", e);
		if (!rc)
			n->squares = mem;
	}
	for (size_t i = 0; i < 2 && !rc && marked; i++) {
		rc = mem_try_alloc(&mem, both[i]->width, sizeof(double), "noise", e);
		if (!rc)
			n->sum[i] = mem;
	}
	if (rc) {
		noise_close(n);
		return rc;
	}
	*ret = n;
	return 0;
}

void noise_close(struct noise *n)
{
	if (!n)
		return;
	rows_close(&n->p);
	rows_close(&n->p3);
	rows_close(&n->tmp);
	free(n->across);
	for (size_t s = 0; s < SHAPES; s++)
		levels_close(&n->levels[s]);
	levels_close(&n->lines);
	free(n->squares);
	free(n->sum[0]);
	free(n->sum[1]);
	free(n);
}

/* ---- hearing ------------------------------------------------------------- */

/* Covariance of channels i <= j, width cells of its real part, then of its imaginary one. */
static float *across_at(const struct noise *n, size_t i, size_t j)
{
	return n->across + (i * n->n_across + j) * 2 * n->width;
}

/* Z(k) and the conjugate of Z(n - k) are the two channels of a pair, rotated: the covariance
 * of all has the same eigenvalues.  A channel that is alone makes two equal ones, which count
 * as one.  Weighted by 1 / power^2, so that the quietest frames, which are noise, count. */
VECTORS static void count_pair(
	struct noise *n, const struct resolution *r, int64_t row, const float *around, float factor)
{
	const float *re = rows_at(&r->re, row * (int64_t)r->n_pairs);
	const float *im = rows_at(&r->im, row * (int64_t)r->n_pairs);
	float *a = across_at(n, 0, 0), *b = across_at(n, 1, 1);
	float *cr = across_at(n, 0, 1), *ci = cr + n->width;

	for (size_t k = 1; k + 1 < n->width; k++) {
		float p = around[k] * factor, w = p > 1e-18f ? 1 / (p * p) : 0;
		float xr = re[k], xi = im[k], yr = re[r->n - k], yi = -im[r->n - k];

		w *= 1 / (float)(r->n * r->n);
		a[k] += w * (xr * xr + xi * xi);
		b[k] += w * (yr * yr + yi * yi);
		cr[k] += w * (xr * yr + xi * yi);
		ci[k] += w * (xi * yr - xr * yi);
	}
}

/* The same for more than two channels. */
static void count_pairs(
	struct noise *n, const struct resolution *r, int64_t row, const float *around, float factor)
{
	for (size_t k = 1; k + 1 < n->width; k++) {
		float p = around[k] * factor, w = p > 1e-18f ? 1 / (p * p) : 0;
		float xr[ACROSS_MAX], xi[ACROSS_MAX];

		w *= 1 / (float)(r->n * r->n);
		for (size_t i = 0; i < n->n_across; i++) {
			const int64_t at = row * (int64_t)r->n_pairs + (int64_t)(i / 2);

			xr[i] = rows_at(&r->re, at)[i % 2 ? r->n - k : k];
			xi[i] = rows_at(&r->im, at)[i % 2 ? r->n - k : k] * (i % 2 ? -1 : 1);
		}
		for (size_t i = 0; i < n->n_across; i++)
			for (size_t j = i; j < n->n_across; j++) {
				float *to = across_at(n, i, j) + k;

				to[0] += w * (xr[i] * xr[j] + xi[i] * xi[j]);
				to[n->width] += w * (xi[i] * xr[j] - xr[i] * xi[j]);
			}
	}
}

static void hear_blind(struct noise *n, const struct resolution *r, int64_t row)
{
	const size_t w = n->width;
	float *p = rows_at(&n->p, row), *tmp[4];
	int64_t at = row - ROWS_BOX;
	const float *p3 = rows_at(&n->p3, at);

	memcpy(p, rows_at(&r->power, row), w * sizeof *p);
	row_mirror(p, w);
	row_sum3(rows_at(&n->p3, row - 1), rows_at(&n->p, row - 2), rows_at(&n->p, row - 1), p, w);
	if (row % 2 || n->heard[0]++ < 2 * ROWS_BOX)
		return;
	for (int i = 0; i < 4; i++)
		tmp[i] = rows_at(&n->tmp, i);
	row_sum3(tmp[0], rows_at(&n->p3, at - 3), p3, rows_at(&n->p3, at + 3), w);
	row_spread(tmp[1], p3, w, 1, 0);
	row_spread(tmp[2], rows_at(&n->p, at), w, 1, ROWS_PAD - 1);
	row_spread(tmp[3], tmp[2], w, 3, 0);
	levels_add(&n->levels[0], tmp[0], 1.0f / 9);
	levels_add(&n->levels[1], tmp[1], 1.0f / 9);
	levels_add(&n->levels[2], tmp[3], 1.0f / 9);
	if (r->channels > 1)
		(r->n_pairs > 1 ? count_pairs : count_pair)(n, r, at, tmp[0], 1.0f / 9);
}

void noise_hear(struct noise *n, const struct resolution *r, int64_t row)
{
	size_t which = r->width != n->width;
	const float *power = rows_at(&r->power, row);

	if (!n->marked) {
		if (which)
			levels_add(&n->lines, power, 1);
		else
			hear_blind(n, r, row);
		return;
	}
	n->heard[which]++;
	for (size_t k = 0; k < r->width; k++)
		n->sum[which][k] += power[k];
	for (size_t k = 0; k < r->width && !which; k++)
		n->squares[k] += (double)power[k] * power[k];
}

/* ---- blind --------------------------------------------------------------- */

/* At cell k: the squared trace of the covariance over the trace of its square; NAN where
 * nothing was heard. */
static double independent_at(const struct noise *n, size_t k)
{
	double t = 0, t2 = 0;

	for (size_t i = 0; i < n->n_across; i++) {
		const double own = across_at(n, i, i)[k];

		t += own;
		t2 += own * own;
		for (size_t j = i + 1; j < n->n_across; j++) {
			const float *c = across_at(n, i, j) + k;

			t2 += 2 * ((double)c[0] * c[0] + (double)c[n->width] * c[n->width]);
		}
	}
	return t2 > 0 && isfinite(t2) ? t * t / t2 : NAN;
}

/* Channels whose noises are independent count each, equal ones once; those whose covariance
 * was not counted as the others. */
static double independent_channels(const struct noise *n, int channels)
{
	double sum = 0, count = 0;

	for (size_t k = 1; k + 1 < n->width && channels > 1; k++) {
		const double at = independent_at(n, k);

		if (isnan(at))
			continue;
		sum += at;
		count++;
	}
	if (!(count > 0))
		return 1;
	return 1 + (sum / count - 1) * fmax((channels - 1) / (ACROSS_MAX - 1.0), 1);
}

/* Quantile i of the mean of n independent powers, in dB. */
static double gamma_db(double n, int i)
{
	return 10 * log10(levels_expected(n, NORMAL[i]));
}

struct guess {
	double db, trust; /* trust 0..1 */
};

static double between(double x)
{
	return fmin(fmax(x, 0), 1);
}

/* How far levels whose variance is this (dB^2) tell the same: noise is the same in
 * boxes of any shape and in neighbouring cells. */
static double agreement(double variance)
{
	return exp(-variance / (2 * 1.5 * 1.5));
}

/* Noise spreads as the law says, within half a dB; music that comes and goes spreads
 * more than 1.2 dB wider, a steady tone less. */
static struct guess guess_level(const struct noise *n, size_t k, double channels)
{
	struct guess g = {.db = LEVELS_LOWEST_DB};
	double sum = 0, square = 0, weight = 0, least = INFINITY;

	for (size_t s = 0; s < SHAPES; s++) {
		double q[3], cells = shapes[s].n * channels, excess, trust, db;

		if (!levels_quantiles(&n->levels[s], k, QUANTILE, q, 3))
			continue;
		excess = q[2] - q[0] - (gamma_db(cells, 2) - gamma_db(cells, 0));
		trust = between((1.2 - excess) / 0.7) * between((excess + 1.5) / 0.7);
		db = q[1] - gamma_db(cells, 1);
		sum += trust * db;
		square += trust * db * db;
		weight += trust;
		least = fmin(least, db);
		g.trust = fmax(g.trust, trust);
	}
	if (weight > 0) {
		g.db = sum / weight;
		g.trust *= agreement(square / weight - g.db * g.db);
	} else if (isfinite(least)) {
		g.db = least;
	}
	return g;
}

/* The curve at cell k, through the levels around it by their trust; *ret_share: of
 * the neighbourhood that is trusted. */
static double curve_at(const struct guess *g, size_t width, size_t k, double *ret_share)
{
	const double OCTAVES = 0.3, LINEAR = 16; /* cells, below which the scale is linear */
	double centre = log2((double)k + LINEAR), reach = exp2(3 * OCTAVES);
	double lo = ((double)k + LINEAR) / reach - LINEAR;
	double sw = 0, swt = 0, s1 = 0, s2 = 0, sy = 0, sxy = 0, syy = 0, det, slope, level;
	size_t end = (size_t)(((double)k + LINEAR) * reach - LINEAR) + 1;

	for (size_t j = lo > 1 ? (size_t)lo : 1; j < end && j + 1 < width; j++) {
		double x = (log2((double)j + LINEAR) - centre) / OCTAVES;
		double w = exp(-0.5 * x * x) / ((double)j + LINEAR), t = w * g[j].trust;

		sw += w;
		swt += t;
		s1 += t * x;
		s2 += t * x * x;
		sy += t * g[j].db;
		sxy += t * x * g[j].db;
		syy += t * g[j].db * g[j].db;
	}
	*ret_share = 0;
	if (!(swt > 0))
		return LEVELS_LOWEST_DB;
	/* A line, drawn towards a constant where the levels lie close together. */
	s2 += 0.1 * swt;
	det = swt * s2 - s1 * s1;
	slope = (swt * sxy - s1 * sy) / det;
	level = (sy - slope * s1) / swt;
	*ret_share = swt / sw * agreement(fmax((syy - level * sy - slope * sxy) / swt, 0));
	return level;
}

/* What part of the spectrum (its upper four octaves count most) shows noise.  Real
 * noise is broad; a dense pad that passes for noise is not. */
static double breadth(const struct guess *curve, size_t width)
{
	double sum = 0, weight = 0;

	for (size_t k = 0; k < width; k++) {
		double w = 1 / ((double)k + (double)width / 16);

		sum += w * curve[k].trust;
		weight += w;
	}
	return sum / weight;
}

static int compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* The most that the noise can be at cell k, in dB: noise hardly falls by more than 4 dB an
 * octave, so the middle of what is allowed by the nearest three octaves above that show
 * noise, however far away they are. */
static double ceiling_at(const struct guess *curve, size_t width, size_t k)
{
	enum { STEPS = 36, PER_OCTAVE = 12, ENOUGH = 12 };
	const double SLOPE_DB = 4, MARGIN_DB = 1;
	double allowed[STEPS];
	size_t n = 0;

	for (int i = 1; n < STEPS; i++) {
		double octaves = (double)i / PER_OCTAVE;
		size_t j = (size_t)(((double)k + 1) * exp2(octaves));

		if (j >= width)
			break;
		if (curve[j].trust > 0.5)
			allowed[n++] = curve[j].db + SLOPE_DB * octaves + MARGIN_DB;
	}
	if (n < ENOUGH)
		return INFINITY;
	qsort(allowed, n, sizeof *allowed, compare_doubles);
	return allowed[n / 2];
}

static int set_blind(struct noise *n, struct resolution *small, struct err *e)
{
	double channels = independent_channels(n, small->channels), broad;
	struct guess *g, *curve;
	void *mem;
	int rc = mem_try_alloc(&mem, 2 * n->width, sizeof *g, "noise", e);

	if (rc)
		return rc;
	g = mem;
	curve = g + n->width;
	for (size_t k = 0; k < n->width; k++)
		g[k] = guess_level(n, k, channels);
	for (size_t k = 0; k < n->width; k++) {
		curve[k].db = curve_at(g, n->width, k, &curve[k].trust);
		curve[k].trust = between((curve[k].trust - 0.15) / 0.25);
	}
	/* Of music without noise 0.22 and less was measured, with noise 0.36 and more. */
	broad = between((breadth(curve, n->width) - 0.24) / 0.12);
	for (size_t k = 0; k < n->width; k++) {
		double db = g[k].trust > 0.5 ? curve[k].db : fmin(g[k].db, curve[k].db);
		double fade = broad * curve[k].trust;

		db = fmin(db, ceiling_at(curve, n->width, k));

		small->lambda[k] = (float)(pow(10, db / 10) * fade * fade);
	}
	free(g);
	return 0;
}

/* ---- hum ----------------------------------------------------------------- */

/* Low levels of the cells where hum may be, in dB; a cell whose low levels are far
 * apart holds music, and gets NAN in `steady`. */
static void low_levels(const struct noise *n, double *low, double *steady)
{
	for (size_t k = 0; k < n->lines.width; k++) {
		double q[3] = {NAN, NAN, LEVELS_LOWEST_DB};

		levels_quantiles(&n->lines, k, QUANTILE, q, 3);
		low[k] = q[2];
		steady[k] = q[2] - q[0] < HUM_SPREAD_DB ? q[2] : NAN;
	}
}

struct hum {
	size_t width;
	double *low, *steady; /* width, in dB */
};

/* Whether cell k is the top of a line: a held note near a harmonic has its own elsewhere. */
static bool is_top(const double *low, size_t k)
{
	const double EVEN_DB = 3; /* a line between two cells */

	return low[k] > fmax(low[k - 1], low[k + 1]) - EVEN_DB &&
	       low[k] > fmax(low[k - 2], low[k + 2]);
}

/* Whether harmonic h of `base` (in cells) is steady and stands out on both sides; by
 * how much, in dB, or 0. */
static double stands_out(const struct hum *x, double base, int h)
{
	size_t k = (size_t)(base * h + 0.5), half = (size_t)(base / 2);
	double beside, out;

	if (k < half || k + half >= x->width || half < 2 || !is_top(x->low, k))
		return 0;
	beside = fmax(x->low[k - half], x->low[k + half]);
	if (half > 3)
		beside = fmin(beside, fmax(x->low[k - half + 1], x->low[k + half - 1]));
	out = x->steady[k] - beside;
	return out > HUM_DB ? out : 0; /* no NAN */
}

/* The base frequency in cells; 0: no hum.  Enough harmonics must stand out of what
 * lies between them at all times. */
static double find_hum(const struct hum *x, double cell_hz)
{
	static const double mains[] = {50, 60};
	double best = 0, found = 0;

	for (size_t m = 0; m < 2; m++)
		for (int step = -15; step <= 15; step++) {
			double sum = 0, base = (mains[m] + 0.02 * step) / cell_hz;
			int count = 0, low = 0;

			for (int h = 1; base * h < (double)x->width; h++) {
				double out = stands_out(x, base, h);

				count += out > 0;
				low += out > 0 && h <= HUM_LOWEST;
				sum += out;
			}
			if (count >= HUM_HARMONICS && low >= HUM_LOW && sum > best) {
				best = sum;
				found = base;
			}
		}
	return found;
}

/* The most that harmonic h can be, in dB: the middle one of those near it, and a margin,
 * as even and odd ones differ.  What is louder is a held note that has the same pitch. */
static double most_hum(const struct hum *x, double base, int h)
{
	enum { NEAR = 3 };
	const double MARGIN_DB = 12;
	double level[2 * NEAR + 1];
	size_t n = 0;

	for (int i = h > NEAR ? h - NEAR : 1; i <= h + NEAR; i++)
		if (stands_out(x, base, i) > 0)
			level[n++] = x->low[(size_t)(base * i + 0.5)];
	qsort(level, n, sizeof *level, compare_doubles);
	return level[n / 2] + MARGIN_DB;
}

/* Adds the lines to both: as they are to the long window, which tells them apart,
 * and as the mean over its wider cells to the short one. */
static void add_hum(
	const struct hum *x, double base, struct resolution *small, struct resolution *large)
{
	size_t times = large->n / small->n;

	for (int h = 1; base * h < (double)x->width; h++) {
		size_t centre = (size_t)(base * h + 0.5);
		double most;

		if (!(stands_out(x, base, h) > 0))
			continue;
		most = most_hum(x, base, h);
		for (size_t k = centre - 2; k <= centre + 2 && k < x->width; k++) {
			float more = (float)pow(10, fmin(x->low[k], most) / 10);

			large->lambda[k] += more;
			for (size_t j = 0; j < 2; j++) /* half of it on either side */
				small->lambda[k / times + j] += more / (float)(2 * times);
		}
	}
}

static int set_hum(
	const struct noise *n, struct resolution *small, struct resolution *large, struct err *e)
{
	struct hum x = {.width = n->lines.width};
	double base;
	void *mem;
	int rc = mem_try_alloc(&mem, 2 * x.width + 1, sizeof *x.low, "noise", e);

	if (rc)
		return rc;
	x.low = mem;
	x.steady = x.low + x.width;
	low_levels(n, x.low, x.steady);
	base = find_hum(&x, (double)n->rate_hz / (double)large->n);
	if (base > 0)
		add_hum(&x, base, small, large);
	free(mem);
	return 0;
}

/* ---- marked -------------------------------------------------------------- */

/* Smooth but for lines that stand out of their surroundings by 6 dB.  Over no more than a
 * third of the frequency to either side: noise like pink's rises steeply towards 0. */
static void smooth(const double *power, float *lambda, size_t width)
{
	for (size_t k = 0; k < width; k++) {
		size_t most = 4 + k / 32, h = k / 3 < most ? k / 3 : most, lo = k - h,
		       hi = k + h < width ? k + h : width - 1;
		double mean = 0, kept, count;

		for (size_t j = lo; j <= hi; j++)
			mean += power[j];
		mean /= (double)(hi - lo + 1);
		for (int i = 0; i < 3; i++) { /* without the lines */
			kept = count = 0;
			for (size_t j = lo; j <= hi; j++)
				if (power[j] < 4 * mean) {
					kept += power[j];
					count++;
				}
			mean = count > 0 ? kept / count : mean;
		}
		lambda[k] = (float)(power[k] > 4 * mean ? power[k] : mean);
	}
}

/* The mean squared power over the squared mean power, less 1, is 1 for noise and less
 * for hum; notes that come and go make it more. */
double noise_unsteadiness(const struct noise *n)
{
	double sum = 0, weight = 0, frames = (double)n->heard[0];

	for (size_t k = 0; k < n->width && n->marked; k++) {
		double mean = n->sum[0][k] / frames;

		if (!(mean > 0))
			continue;
		sum += n->squares[k] / frames / mean - mean;
		weight += mean;
	}
	return weight > 0 ? sum / weight : 1;
}

static int set_marked(
	struct noise *n, struct resolution *small, struct resolution *large, struct err *e)
{
	struct resolution *both[] = {small, large};

	if (n->heard[1] < MARKED_MIN)
		return err_set(e, ERR_ARG,
			"the marked stretch of noise is too short; mark half a second or more");
	for (size_t i = 0; i < 2; i++) {
		for (size_t k = 0; k < both[i]->width; k++)
			n->sum[i][k] /= (double)n->heard[i];
		smooth(n->sum[i], both[i]->lambda, both[i]->width);
	}
	return 0;
}

/* The long window's noise from the short one's. */
static void widen(const struct resolution *small, struct resolution *large)
{
	size_t times = large->n / small->n;

	for (size_t k = 0; k < large->width; k++) {
		size_t i = k / times;
		float t = (float)(k % times) / (float)times;

		large->lambda[k] = small->lambda[i];
		if (t > 0)
			large->lambda[k] += t * (small->lambda[i + 1] - small->lambda[i]);
	}
}

int noise_set(struct noise *n, struct resolution *small, struct resolution *large, double strength,
	struct err *e)
{
	int rc;

	for (size_t i = 0; i < SHAPES && !n->marked; i++)
		levels_settle(&n->levels[i]);
	levels_settle(&n->lines);
	rc = n->marked ? set_marked(n, small, large, e) : set_blind(n, small, e);

	if (!rc && !n->marked) {
		widen(small, large);
		rc = set_hum(n, small, large, e);
	}
	for (size_t k = 0; k < small->width && !rc; k++)
		small->lambda[k] *= (float)strength;
	for (size_t k = 0; k < large->width && !rc; k++)
		large->lambda[k] *= (float)strength;
	return rc;
}
