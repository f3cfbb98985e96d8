/* One size of window. */
#include "engine/denoise/resolution.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "engine/denoise/levels.h"
#include "library/base/arena.h"
#include "library/base/fft.h"

/* How far out a mean must lie to be kept, as a value of the normal distribution (one box
 * of noise in 20000); and the temperature at which boxes are weighed, in units of noise. */
static const float CAUTION = 3.9f, TEMPERATURE = 0.1f;

static const float POWER_MAX = 1e30f; /* of a cell, and of a cell in units of the noise */

/* Rows by cells of the boxes, and how many of their values count as independent:
 * neighbouring powers of a Hann window at hop n / 4 correlate by 0.43 and 0.03 in
 * time, by 0.44 and 0.03 in frequency. */
static const struct box {
	int rows, cells;
	float n;
} boxes[RESOLUTION_BOXES] = {
	{1, 1, 1},
	{3, 3, 3.5f},
	{9, 1, 5.0f},
	{1, 9, 5.0f},
	{9, 3, 9.4f},
	{3, 9, 9.4f},
	{1, 27, 14.2f},
};

enum {
	ROWS_BOX = 4,    /* half the highest box */
	ROWS_SMOOTH = 2, /* half the rows over which risks are smoothed */
	CELLS_SMOOTH = 9,
	N_TMP = RESOLUTION_BOXES + 2,
};

_Static_assert(ROWS_BOX + ROWS_SMOOTH == RESOLUTION_LAG, "lag of the shares");

static int open_rows(struct resolution *r, size_t n_kept, struct err *e)
{
	int rc = rows_open(&r->re, r->n, n_kept * r->n_pairs, e);

	if (!rc)
		rc = rows_open(&r->im, r->n, n_kept * r->n_pairs, e);
	if (!rc)
		rc = rows_open(&r->power, r->width, n_kept, e);
	if (!rc)
		rc = rows_open(&r->share, r->width, n_kept, e);
	if (!rc)
		rc = rows_open(&r->risk, r->width, n_kept, e);
	if (!rc)
		rc = rows_open(&r->g, r->width, 2 * ROWS_BOX + 1, e);
	if (!rc)
		rc = rows_open(&r->g3, r->width, 2 * ROWS_BOX + 1, e);
	if (!rc)
		rc = rows_open(&r->g9, r->width, 1, e);
	if (!rc)
		rc = rows_open(&r->tmp, r->width, N_TMP, e);
	for (size_t b = 0; b < RESOLUTION_BOXES && !rc; b++) {
		rc = rows_open(&r->u[b], r->width, ROWS_SMOOTH + 1, e);
		if (!rc)
			rc = rows_open(&r->r[b], r->width, 2 * ROWS_SMOOTH + 1, e);
	}
	return rc;
}

int resolution_open(struct resolution *r, size_t n, int channels, size_t n_kept, struct err *e)
{
	void *mem = NULL;
	int rc;

	*r = (struct resolution){
		.n = n,
		.hop = n / 4,
		.width = n / 2 + 1,
		.channels = channels,
		.n_pairs = ((size_t)channels + 1) / 2,
	};
	rc = fft_open(n, &r->fft, e);
	if (!rc)
		rc = mem_try_alloc(&mem, n + r->width, sizeof(float), "denoiser", e);
	r->window = mem;
	if (!rc)
		rc = open_rows(r, n_kept, e);
	if (rc) {
		resolution_close(r);
		return rc;
	}
	r->twins = xcalloc(n_kept * r->n_pairs, sizeof *r->twins);
	r->lambda = r->window + n;
	for (size_t i = 0; i < n; i++)
		r->window[i] = (float)(0.5 - 0.5 * cos(2 * M_PI * (double)i / (double)n));
	return 0;
}

void resolution_close(struct resolution *r)
{
	struct rows *all[] = {
		&r->re, &r->im, &r->power, &r->share, &r->risk, &r->g, &r->g3, &r->g9, &r->tmp};

	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
		rows_close(all[i]);
	for (size_t b = 0; b < RESOLUTION_BOXES; b++) {
		rows_close(&r->u[b]);
		rows_close(&r->r[b]);
	}
	free(r->window);
	free(r->twins);
	fft_close(r->fft);
	*r = (struct resolution){0};
}

void resolution_clear(struct resolution *r)
{
	struct rows *all[] = {&r->re, &r->im, &r->power, &r->share, &r->risk, &r->g, &r->g3};

	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
		rows_clear(all[i]);
	for (size_t b = 0; b < RESOLUTION_BOXES; b++) {
		rows_clear(&r->u[b]);
		rows_clear(&r->r[b]);
	}
}

static inline float limited(float power)
{
	return power < POWER_MAX ? power : POWER_MAX;
}

/* ---- spectra ------------------------------------------------------------- */

static int64_t pair_row(const struct resolution *r, int64_t row, size_t pair)
{
	return row * (int64_t)r->n_pairs + (int64_t)pair;
}

static size_t twin_row(const struct resolution *r, int64_t row, size_t pair)
{
	int64_t n = (int64_t)r->power.n;

	return (size_t)((row % n + n) % n) * r->n_pairs + pair;
}

VECTORS static void windowed(
	float *restrict out, const float *restrict x, const float *restrict window, size_t n)
{
	for (size_t i = 0; i < n; i++)
		out[i] = x[i] * window[i];
}

/* |Z(k)|^2 + |Z(n - k)|^2 is twice the sum of the two channels' powers. */
VECTORS static void add_power(const struct resolution *r, const float *restrict re,
	const float *restrict im, float *restrict power)
{
	size_t n = r->n;

	power[0] += 2 * (re[0] * re[0] + im[0] * im[0]);
	for (size_t k = 1; k < r->width; k++)
		power[k] += re[k] * re[k] + im[k] * im[k] + re[n - k] * re[n - k] +
			    im[n - k] * im[n - k];
}

void resolution_analyse(struct resolution *r, int64_t row, const float *samples, size_t stride)
{
	float *power = rows_at(&r->power, row);
	/* 0.375 n: sum of the squared window */
	float scale = 1 / (0.75f * (float)r->n * (float)r->channels);

	memset(power, 0, r->width * sizeof *power);
	for (size_t p = 0; p < r->n_pairs; p++) {
		float *re = rows_at(&r->re, pair_row(r, row, p));
		float *im = rows_at(&r->im, pair_row(r, row, p));

		windowed(re, samples + 2 * p * stride, r->window, r->n);
		if (2 * p + 1 < (size_t)r->channels)
			windowed(im, samples + (2 * p + 1) * stride, r->window, r->n);
		else
			memset(im, 0, r->n * sizeof *im);
		r->twins[twin_row(r, row, p)] =
			2 * p + 1 < (size_t)r->channels && !memcmp(re, im, r->n * sizeof *re);
		fft_run(r->fft, re, im);
		add_power(r, re, im, power);
	}
	for (size_t k = 0; k < r->width; k++)
		power[k] = limited(power[k] * scale);
}

VECTORS static void apply_gain(float *restrict x, const float *restrict gain, size_t n)
{
	for (size_t k = 0; k <= n / 2; k++)
		x[k] *= gain[k];
	for (size_t k = n / 2 + 1; k < n; k++)
		x[k] *= gain[n - k];
}

VECTORS static void add_windowed(float *restrict out, const float *restrict x,
	const float *restrict window, float scale, size_t n)
{
	for (size_t i = 0; i < n; i++)
		out[i] += x[i] * window[i] * scale;
}

void resolution_synthesise(
	struct resolution *r, int64_t row, const float *gain, float *samples, size_t stride)
{
	float scale = 1 / (1.5f * (float)r->n);
	size_t n = r->n;

	for (size_t p = 0; p < r->n_pairs; p++) {
		float *re = rows_at(&r->re, pair_row(r, row, p));
		float *im = rows_at(&r->im, pair_row(r, row, p));
		float *a = samples + 2 * p * stride;

		apply_gain(re, gain, n);
		apply_gain(im, gain, n);
		fft_run(r->fft, im, re);
		add_windowed(a, re, r->window, scale, n);
		if (2 * p + 1 < (size_t)r->channels)
			add_windowed(a + stride, r->twins[twin_row(r, row, p)] ? re : im, r->window,
				scale, n);
	}
}

/* ---- shares -------------------------------------------------------------- */

VECTORS static void in_units_of_noise(
	float *restrict g, const float *restrict power, const float *restrict lambda, size_t width)
{
	for (size_t k = 0; k < width; k++)
		g[k] = limited(power[k] / (lambda[k] + 1e-30f));
}

/* sum: of the box; factor: 1 / its cells. */
VECTORS static void box_shares(float *restrict u, float *restrict risk, const float *restrict sum,
	const float *restrict g, const struct box *b, size_t width)
{
	float c = (float)levels_expected(b->n, CAUTION), over = (c - 1) * c;
	float factor = 1 / (float)(b->rows * b->cells), by_n = 2 / b->n;

	for (size_t k = 0; k < width; k++) {
		float v = 1 / (sum[k] * factor + 1e-6f), w = v + over * v * v;
		float slope = (float)(w < 1) * by_n * v * (2 * w - v);

		w = w < 1 ? w : 1;
		u[k] = w;
		risk[k] = g[k] * (w * w + slope) + 2 * (1 - w) - 1;
	}
}

/* The sums of all boxes around row - ROWS_BOX; and their shares and risks. */
static void work_boxes(struct resolution *r, int64_t row)
{
	const size_t w = r->width;
	int64_t at = row - ROWS_BOX;
	float *tmp[N_TMP];
	const float *g = rows_at(&r->g, at), *g3 = rows_at(&r->g3, at);
	const float *sums[RESOLUTION_BOXES];
	float *g9 = rows_at(&r->g9, 0);

	for (int i = 0; i < N_TMP; i++)
		tmp[i] = rows_at(&r->tmp, i);
	row_sum3(g9, rows_at(&r->g3, at - 3), g3, rows_at(&r->g3, at + 3), w);
	row_spread(tmp[0], g3, w, 1, ROWS_PAD - 1);     /* 3 x 3 */
	row_spread(tmp[1], tmp[0], w, 3, 0);            /* 3 x 9 */
	row_spread(tmp[2], g, w, 1, ROWS_PAD - 1);      /* 1 x 3 */
	row_spread(tmp[3], tmp[2], w, 3, ROWS_PAD - 4); /* 1 x 9 */
	row_spread(tmp[4], tmp[3], w, 9, 0);            /* 1 x 27 */
	row_spread(tmp[5], g9, w, 1, 0);                /* 9 x 3 */
	sums[0] = g;
	sums[1] = tmp[0];
	sums[2] = g9;
	sums[3] = tmp[3];
	sums[4] = tmp[5];
	sums[5] = tmp[1];
	sums[6] = tmp[4];
	for (size_t b = 0; b < RESOLUTION_BOXES; b++) {
		float *risk = rows_at(&r->r[b], at);

		box_shares(rows_at(&r->u[b], at), tmp[6], sums[b], g, &boxes[b], w);
		row_mirror(tmp[6], w);
		row_spread(tmp[7], tmp[6], w, 1, ROWS_PAD - 1);
		row_spread(risk, tmp[7], w, 3, 0);
	}
}

/* exp((least - risk) / TEMPERATURE) within 0.3 %; never below exp(-30): that is too little
 * to count, and a subnormal number would take a hundred times as long. */
static inline float weight_of(float least, float risk)
{
	const float to_log2 = 1.44269504f / TEMPERATURE, range = 30 * TEMPERATURE;
	float most = least + range; /* were the limit a constant, it would become a branch */
	float y = (least - (risk < most ? risk : most)) * to_log2, f, p, power;
	int32_t whole = (int32_t)y, bits = (whole + 127) * (1 << 23);

	f = y - (float)whole; /* -1..0: 2^f by its series */
	p = 1 + f * (0.693147f + f * (0.240227f + f * (0.0555041f + f * 0.00961813f)));
	memcpy(&power, &bits, sizeof power);
	return p * power;
}

/* Mean over the rows x of sums over cells; and the least of all boxes so far. */
VECTORS static void smooth_risk(float *restrict out, float *restrict least, const float *const x[5],
	bool is_first, size_t width)
{
	const float mean = 1.0f / (CELLS_SMOOTH * (2 * ROWS_SMOOTH + 1));
	const float *restrict a = x[0], *restrict b = x[1], *restrict c = x[2], *restrict d = x[3],
			      *restrict e = x[4];

	for (size_t k = 0; k < width; k++)
		out[k] = (a[k] + b[k] + c[k] + d[k] + e[k]) * mean;
	if (is_first)
		memcpy(least, out, width * sizeof *least);
	for (size_t k = 0; k < width; k++)
		least[k] = least[k] < out[k] ? least[k] : out[k];
}

/* Means over the boxes of shares u and risks r, weighed by the risks. */
VECTORS static void weigh(float *restrict share, float *restrict risk, const float *restrict least,
	const float *const u[RESOLUTION_BOXES], const float *const r[RESOLUTION_BOXES],
	size_t width)
{
	INDEPENDENT
	for (size_t k = 0; k < width; k++) {
		float sum = 0, sum_u = 0, sum_r = 0;

#pragma GCC unroll 7
		for (size_t b = 0; b < RESOLUTION_BOXES; b++) {
			float w = weight_of(least[k], r[b][k]);

			sum += w;
			sum_u += w * u[b][k];
			sum_r += w * r[b][k];
		}
		share[k] = sum_u / sum;
		risk[k] = sum_r / sum;
	}
}

/* The boxes together, at row `at`. */
static void combine(struct resolution *r, int64_t at)
{
	float *least = rows_at(&r->g9, 0);
	const float *u[RESOLUTION_BOXES], *rb[RESOLUTION_BOXES];

	for (size_t b = 0; b < RESOLUTION_BOXES; b++) {
		float *smoothed = rows_at(&r->tmp, (int64_t)b);
		const float *x[5];

		for (int i = 0; i < 5; i++)
			x[i] = rows_at(&r->r[b], at + i - ROWS_SMOOTH);
		smooth_risk(smoothed, least, x, b == 0, r->width);
		u[b] = rows_at(&r->u[b], at);
		rb[b] = smoothed;
	}
	weigh(rows_at(&r->share, at), rows_at(&r->risk, at), least, u, rb, r->width);
}

void resolution_shares(struct resolution *r, int64_t row)
{
	float *g = rows_at(&r->g, row);

	in_units_of_noise(g, rows_at(&r->power, row), r->lambda, r->width);
	row_mirror(g, r->width);
	row_sum3(rows_at(&r->g3, row - 1), rows_at(&r->g, row - 2), rows_at(&r->g, row - 1), g,
		r->width);
	work_boxes(r, row);
	combine(r, row - RESOLUTION_LAG);
}
