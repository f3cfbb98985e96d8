/* The noise's power at each frequency. */
#include "engine/denoise/noise.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/denoise/resolution.h"
#include "library/base/arena.h"
#include "library/base/err.h"

enum {
	SHAPES = 3,
	ROWS_BOX = 4,    /* half the highest box */
	LEVELS = 512,    /* of a histogram */
	PER_DB = 2,      /* levels a decibel */
	LOWEST_DB = 200, /* below full scale: level 0 */
	HEARD_MIN = 24,  /* frames, below which a quantile says nothing */
	MARKED_MIN = 4,  /* large frames of a marked stretch */
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

struct noise {
	bool marked;
	size_t width; /* of the small resolution */
	double per_octave;
	struct rows p, p3, tmp;   /* power, sums over 3 rows */
	uint32_t *levels[SHAPES]; /* width x LEVELS; blind */
	float *across;            /* 4 x width: covariance of two channels, weighted */
	double *sum[2];           /* width of either: marked */
	uint64_t heard[2];
};

int noise_open(const struct resolution *small, const struct resolution *large, bool marked,
	struct noise **ret, struct err *e)
{
	struct noise *n = xcalloc(1, sizeof *n);
	const struct resolution *both[] = {small, large};
	void *mem;
	int rc = 0;

	n->marked = marked;
	n->width = small->width;
	if (!marked) {
		rc = rows_open(&n->p, small->width, 2 * ROWS_BOX + 1, e);
		if (!rc)
			rc = rows_open(&n->p3, small->width, 2 * ROWS_BOX + 1, e);
		if (!rc)
			rc = rows_open(&n->tmp, small->width, 4, e);
		if (!rc)
			rc = mem_try_alloc(&mem, small->width, 4 * sizeof(float), "noise", e);
		if (!rc)
			n->across = mem;
	}
	for (size_t s = 0; s < SHAPES && !rc && !marked; s++) {
		rc = mem_try_alloc(
			&mem, small->width, LEVELS * sizeof(uint32_t), "noise levels", e);
		if (!rc)
			n->levels[s] = mem;
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
		free(n->levels[s]);
	free(n->sum[0]);
	free(n->sum[1]);
	free(n);
}

/* ---- hearing ------------------------------------------------------------- */

/* 10 log10(x) for x > 0, within 0.001 dB. */
static inline float db_of(float x)
{
	union {
		float f;
		int32_t i;
	} u = {.f = x};
	float e = (float)((u.i >> 23) - 127), m;

	u.i = (u.i & 0x7fffff) | 0x3f800000;
	m = u.f;
	/* log2 of 1..2: the polynomial of degree 4 by least squares */
	return 3.0103f *
	       (e - 2.496846f +
		       m * (4.028548f + m * (-2.081214f + m * (0.628874f - 0.079158f * m))));
}

static void count_levels(uint32_t *levels, const float *sum, float factor, size_t width)
{
	for (size_t k = 0; k < width; k++) {
		int level;

		if (!(sum[k] * factor > 1e-18f))
			continue; /* digital silence is no noise */
		level = (int)((db_of(sum[k] * factor) + LOWEST_DB) * PER_DB);
		levels[k * LEVELS + (size_t)(level < 0        ? 0
					     : level < LEVELS ? level
							      : LEVELS - 1)]++;
	}
}

/* Z(k) and the conjugate of Z(n - k) are the two channels, rotated: their
 * covariance has the same eigenvalues.  Weighted by 1 / power^2, so that the
 * quietest frames, which are noise, count. */
static void count_across(
	struct noise *n, const struct resolution *r, int64_t row, const float *around, float factor)
{
	const float *re = rows_at(&r->re, row * (int64_t)r->n_pairs);
	const float *im = rows_at(&r->im, row * (int64_t)r->n_pairs);
	float *a = n->across, *b = a + n->width, *cr = b + n->width, *ci = cr + n->width;

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
	count_levels(n->levels[0], tmp[0], 1.0f / 9, w);
	count_levels(n->levels[1], tmp[1], 1.0f / 9, w);
	count_levels(n->levels[2], tmp[3], 1.0f / 9, w);
	if (r->channels == 2)
		count_across(n, r, at, tmp[0], 1.0f / 9);
}

void noise_hear(struct noise *n, const struct resolution *r, int64_t row)
{
	size_t which = r->width != n->width;
	const float *power = rows_at(&r->power, row);

	if (!n->marked) {
		if (!which)
			hear_blind(n, r, row);
		return;
	}
	n->heard[which]++;
	for (size_t k = 0; k < r->width; k++)
		n->sum[which][k] += power[k];
}

/* ---- blind --------------------------------------------------------------- */

/* Channels whose noises are independent count each, equal ones once: the squared
 * trace of the covariance over the trace of its square. */
static double independent_channels(const struct noise *n)
{
	const float *a = n->across, *b = a + n->width, *cr = b + n->width, *ci = cr + n->width;
	double sum = 0, count = 0;

	for (size_t k = 1; k + 1 < n->width; k++) {
		double t = (double)a[k] + b[k];
		double t2 = (double)a[k] * a[k] + (double)b[k] * b[k] +
			    2 * ((double)cr[k] * cr[k] + (double)ci[k] * ci[k]);

		if (!(t2 > 0) || !isfinite(t2))
			continue;
		sum += t * t / t2;
		count++;
	}
	return count > 0 ? sum / count : 1;
}

/* Quantile i of the mean of n exponential variables of mean 1, in dB: E. Wilson and
 * M. Hilferty, "The distribution of chi-square", PNAS 17 (1931). */
static double gamma_db(double n, int i)
{
	double x = 1 - 1 / (9 * n) + NORMAL[i] / (3 * sqrt(n));

	return 30 * log10(x);
}

/* In dB; false: too few were heard. */
static bool quantiles(const uint32_t *levels, double ret[3])
{
	uint64_t total = 0, below = 0;
	int q = 0;

	for (size_t i = 0; i < LEVELS; i++)
		total += levels[i];
	if (total < HEARD_MIN)
		return false;
	for (size_t i = 0; i < LEVELS && q < 3; i++) {
		while (q < 3 && (double)(below + levels[i]) >= QUANTILE[q] * (double)total) {
			double into = (QUANTILE[q] * (double)total - (double)below) / levels[i];

			ret[q++] = ((double)i + into) / PER_DB - LOWEST_DB;
		}
		below += levels[i];
	}
	return true;
}

struct guess {
	double db, trust; /* trust 0..1 */
};

/* Noise spreads as the law says, within half a dB; music, more than 1.2 dB wider. */
static struct guess guess_level(const struct noise *n, size_t k, double channels)
{
	struct guess g = {.db = -LOWEST_DB};
	double sum = 0, weight = 0, least = INFINITY;

	for (size_t s = 0; s < SHAPES; s++) {
		double q[3], cells = shapes[s].n * channels, excess, trust, db;

		if (!quantiles(n->levels[s] + k * LEVELS, q))
			continue;
		excess = q[2] - q[0] - (gamma_db(cells, 2) - gamma_db(cells, 0));
		trust = fmin(fmax((1.2 - excess) / 0.7, 0), 1);
		db = q[1] - gamma_db(cells, 1);
		sum += trust * db;
		weight += trust;
		least = fmin(least, db);
		g.trust = fmax(g.trust, trust);
	}
	if (weight > 0)
		g.db = sum / weight;
	else if (isfinite(least))
		g.db = least;
	return g;
}

/* The curve at cell k, through the levels around it by their trust; *ret_share: of
 * the neighbourhood that is trusted. */
static double curve_at(const struct guess *g, size_t width, size_t k, double *ret_share)
{
	const double OCTAVES = 0.3;
	double centre = log2((double)k + 4), sw = 0, swt = 0, s1 = 0, s2 = 0, sy = 0, sxy = 0;
	double reach = exp2(3 * OCTAVES), lo = ((double)k + 4) / reach - 4, det;
	size_t end = (size_t)(((double)k + 4) * reach - 4) + 1;

	for (size_t j = lo > 1 ? (size_t)lo : 1; j < end && j + 1 < width; j++) {
		double x = (log2((double)j + 4) - centre) / OCTAVES;
		double w = exp(-0.5 * x * x) / ((double)j + 4), t = w * g[j].trust;

		sw += w;
		swt += t;
		s1 += t * x;
		s2 += t * x * x;
		sy += t * g[j].db;
		sxy += t * x * g[j].db;
	}
	*ret_share = sw > 0 ? swt / sw : 0;
	if (!(swt > 0))
		return -LOWEST_DB;
	/* A line, drawn towards a constant where the levels lie close together. */
	det = swt * (s2 + 0.1 * swt) - s1 * s1;
	return ((s2 + 0.1 * swt) * sy - s1 * sxy) / det;
}

static int set_blind(struct noise *n, struct resolution *small, struct err *e)
{
	double channels = small->channels == 2 ? independent_channels(n) : 1;
	struct guess *g;
	void *mem;
	int rc = mem_try_alloc(&mem, n->width, sizeof *g, "noise", e);

	if (rc)
		return rc;
	g = mem;
	for (size_t k = 0; k < n->width; k++)
		g[k] = guess_level(n, k, channels);
	for (size_t k = 0; k < n->width; k++) {
		double share, curve = curve_at(g, n->width, k, &share);
		double db = g[k].trust > 0.5 ? curve : fmin(g[k].db, curve);
		double fade = fmin(share / 0.25, 1);

		small->lambda[k] = (float)(pow(10, db / 10) * fade * fade);
	}
	free(g);
	return 0;
}

/* ---- marked -------------------------------------------------------------- */

/* Smooth but for lines that stand out of their surroundings by 6 dB. */
static void smooth(const double *power, float *lambda, size_t width)
{
	for (size_t k = 0; k < width; k++) {
		size_t h = 4 + k / 32, lo = k > h ? k - h : 0,
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

int noise_set(struct noise *n, struct resolution *small, struct resolution *large, double strength,
	struct err *e)
{
	int rc = n->marked ? set_marked(n, small, large, e) : set_blind(n, small, e);
	size_t times = large->n / small->n;

	if (rc)
		return rc;
	for (size_t k = 0; k < small->width; k++)
		small->lambda[k] *= (float)strength;
	for (size_t k = 0; k < large->width; k++) {
		size_t i = k / times;
		float t = (float)(k % times) / (float)times;

		if (n->marked)
			large->lambda[k] *= (float)strength;
		else
			large->lambda[k] =
				small->lambda[i] * (1 - t) + (t > 0 ? small->lambda[i + 1] * t : 0);
	}
	return 0;
}
