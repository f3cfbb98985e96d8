/* Two windows at once. */
#include "engine/denoise/spectral.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/denoise/denoise.h"
#include "engine/denoise/noise.h"
#include "engine/denoise/resolution.h"
#include "library/base/arena.h"
#include "library/base/err.h"

enum {
	PER_CELL = 4, /* short frames */
	KEPT = 8,     /* cells whose spectra are kept */
	/* A cell's long frame ends two and a half cells after its start, so it is there
	 * with the second block after its own. */
	ANALYSIS_LAG = 2,
	/* Cells from a frame's spectrum to its gains: the long window's shares, and one
	 * more to smooth the weights. */
	GAIN_LAG = RESOLUTION_LAG + 1,
	SLIDE = 8, /* cells by which a window on samples moves on before they are moved back */
	BANDS = DENOISE_BANDS,
};

_Static_assert(GAIN_LAG < KEPT, "spectra live until they are used");

/* By how much more a cell may be lowered where the noise is known, not estimated: less
 * is left of it, and music is as safe. */
static const float MARKED_DB = 10;

/* Of the softmax between the windows, in units of noise. */
static const float TEMPERATURE = 0.05f;

/* What must be kept of a band, in units of noise, for the windows' risks to count (half).
 * Where neither keeps anything their risks differ by chance alone, and weights that hop
 * between them leave some of the noise: either window gives its frames back exactly only
 * where weights are even.  -36 dB of hiss were left so. */
static const float KEPT_HALF = 0.05f;

struct band_cell {
	float risk[2][BANDS]; /* of the short and the long window, in power */
	float kept[BANDS];    /* what both leave, in power */
};

/* Of a band, over all cells: energies, and sums of the levels (dB) of what is taken
 * out (x) and what is left (y). */
struct tally {
	double in, removed;
	double n, x, y, xx, yy, xy;
};

struct spectral {
	struct spectral_rule rule;
	int rate_hz, channels;
	double strength;
	size_t cell; /* frames */
	struct resolution small, large;
	struct noise *noise; /* while it is learned */
	bool marked;
	float *past; /* channels x past_stride: the latest past_n samples, from past_at */
	size_t past_n, past_at, past_stride;
	float *ahead; /* channels x ahead_stride: large.n sums of frames not yet complete */
	size_t ahead_at, ahead_stride;
	int64_t n_blocks;
	size_t edge[2][BANDS + 1]; /* first cell of each band, by window */
	struct band_cell bands[KEPT];
	float *gain; /* large.width */
	float least; /* gain */
	bool report;
	struct tally tally[BANDS];
	double unsteady;        /* noise_unsteadiness() */
	double noise_of[BANDS]; /* sum of the short window's lambda */
};

static size_t window_of(int rate_hz)
{
	size_t n = 64;

	while (n * 24 < (size_t)rate_hz)
		n *= 2;
	return n; /* 2048 at 32 to 48 kHz, 1024 at 16 and 24 */
}

/* Equal steps on a scale that is linear at first and then logarithmic. */
static void place_bands(struct spectral *s)
{
	for (size_t b = 0; b <= BANDS; b++) {
		double top = (double)s->small.width, x;

		x = 8 * (pow(top / 8 + 1, (double)b / BANDS) - 1);
		s->edge[0][b] = (size_t)(x + 0.5);
		s->edge[1][b] = b == BANDS ? s->large.width : s->edge[0][b] * PER_CELL;
	}
}

int spectral_open(
	const struct denoise_desc *d, const struct spectral_rule *rule, void **ret, struct err *e)
{
	struct spectral *s = xcalloc(1, sizeof *s);
	size_t n = window_of(d->rate_hz), channels = (size_t)d->channels;
	void *mem;
	int rc = resolution_open(&s->small, n, d->channels, KEPT * PER_CELL, e);

	s->rule = *rule;
	s->rate_hz = d->rate_hz;
	s->channels = d->channels;
	s->strength = d->strength;
	s->marked = d->marked;
	s->report = d->report;
	if (!rc)
		rc = resolution_open(&s->large, PER_CELL * n, d->channels, KEPT, e);
	s->cell = s->large.hop;
	s->past_n = 4 * s->cell + s->cell / 2;
	s->past_stride = s->past_n + SLIDE * s->cell;
	s->ahead_stride = s->large.n + SLIDE * s->cell;
	s->least = powf(10, -(rule->limit_db + (d->marked ? MARKED_DB : 0)) / 20);
	if (d->strength > 1) /* who asks for more gets less of a floor */
		s->least /= (float)d->strength;
	if (!rc)
		rc = mem_try_alloc(&mem,
			channels * (s->past_stride + s->ahead_stride) + s->large.width,
			sizeof(float), "denoiser", e);
	if (!rc) {
		s->past = mem;
		s->ahead = s->past + channels * s->past_stride;
		s->gain = s->ahead + channels * s->ahead_stride;
		place_bands(s);
		rc = noise_open(&s->small, &s->large, d->rate_hz, d->marked, &s->noise, e);
	}
	if (rc) {
		spectral_close(s);
		return rc;
	}
	*ret = s;
	return 0;
}

void spectral_close(void *m)
{
	struct spectral *s = m;

	if (!s)
		return;
	resolution_close(&s->small);
	resolution_close(&s->large);
	noise_close(s->noise);
	free(s->past);
	free(s);
}

size_t spectral_block(const void *m)
{
	return ((const struct spectral *)m)->cell;
}

size_t spectral_latency(const void *m)
{
	const struct spectral *s = m;

	return (ANALYSIS_LAG + GAIN_LAG + 1) * s->cell + s->cell / 2;
}

/* ---- analysis ------------------------------------------------------------ */

/* A window of n of `stride` samples of each channel moves on by a cell; where it begins is
 * *at.  What comes into it holds whatever it held. */
static void slide(const struct spectral *s, float *x, size_t n, size_t stride, size_t *at)
{
	size_t keep = n - s->cell, from = *at + s->cell;

	*at = from + n <= stride ? from : 0;
	for (size_t c = 0; c < (size_t)s->channels && !*at; c++)
		memmove(x + c * stride, x + c * stride + from, keep * sizeof *x);
}

static void take_block(struct spectral *s, const float *in)
{
	size_t channels = (size_t)s->channels;

	slide(s, s->past, s->past_n, s->past_stride, &s->past_at);
	for (size_t c = 0; c < channels; c++) {
		float *newest = s->past + c * s->past_stride + s->past_at + s->past_n - s->cell;

		for (size_t i = 0; i < s->cell; i++)
			newest[i] = in[i * channels + c];
	}
}

/* Where short frame m of a cell begins, from the long frame's start. */
static size_t short_start(const struct spectral *s, size_t m)
{
	return s->cell + s->cell / 2 + m * s->small.hop - (s->small.hop + s->small.hop / 2);
}

/* The frames of the newest cell that is complete; returns its number. */
static int64_t analyse(struct spectral *s, const float *in, bool with_large)
{
	int64_t cell = s->n_blocks++ - ANALYSIS_LAG;
	const float *past;

	take_block(s, in);
	past = s->past + s->past_at;
	if (with_large)
		resolution_analyse(&s->large, cell, past, s->past_stride);
	for (size_t m = 0; m < PER_CELL; m++)
		resolution_analyse(&s->small, cell * PER_CELL + (int64_t)m,
			past + short_start(s, m), s->past_stride);
	return cell;
}

int spectral_learn(void *m, const float *in, size_t n_frames, struct err *e)
{
	struct spectral *s = m;
	/* Quantiles need not hear every frame. */
	bool with_large = s->marked || s->n_blocks % 2 == 0;
	int64_t cell;

	if (n_frames < spectral_block(s))
		return 0;
	cell = analyse(s, in, with_large);
	if (cell < ANALYSIS_LAG)
		return 0; /* its long frame begins before the first sample */
	if (with_large)
		noise_hear(s->noise, &s->large, cell);
	for (int64_t i = 0; i < PER_CELL; i++)
		noise_hear(s->noise, &s->small, cell * PER_CELL + i);
	return 0;
}

int spectral_learned(void *m, struct err *e)
{
	struct spectral *s = m;
	int rc;

	s->unsteady = noise_unsteadiness(s->noise);
	rc = noise_set(s->noise, &s->small, &s->large, s->strength, e);

	noise_close(s->noise);
	s->noise = NULL;
	for (size_t b = 0; b < BANDS; b++) {
		s->noise_of[b] = 0;
		for (size_t k = s->edge[0][b]; k < s->edge[0][b + 1]; k++)
			s->noise_of[b] += s->small.lambda[k];
	}
	resolution_clear(&s->small);
	resolution_clear(&s->large);
	memset(s->past, 0, (size_t)s->channels * s->past_stride * sizeof *s->past);
	s->n_blocks = 0;
	return rc;
}

/* ---- which window -------------------------------------------------------- */

/* Of a part of a frame, in power: adds the risk to risk, and what is kept to kept. */
VECTORS static void add_band(const struct resolution *r, int64_t row, size_t begin, size_t end,
	float *ret_risk, float *ret_kept)
{
	enum { SIDE = 16 }; /* sums side by side: one alone would wait for each addition */
	const float *restrict risk = rows_at(&r->risk, row);
	const float *restrict share = rows_at(&r->share, row);
	const float *restrict power = rows_at(&r->power, row);
	const float *restrict lambda = r->lambda;
	float risks[SIDE] = {0}, kept[SIDE] = {0};
	size_t k = begin;

	for (; k + SIDE <= end; k += SIDE)
		for (size_t i = 0; i < SIDE; i++) {
			float a = 1 - share[k + i];

			risks[i] += risk[k + i] * lambda[k + i];
			kept[i] += a * a * power[k + i];
		}
	for (; k < end; k++) {
		risks[0] += risk[k] * lambda[k];
		kept[0] += (1 - share[k]) * (1 - share[k]) * power[k];
	}
	for (size_t i = 0; i < SIDE; i++) {
		*ret_risk += risks[i];
		*ret_kept += kept[i];
	}
}

static struct band_cell *bands_at(struct spectral *s, int64_t cell)
{
	return &s->bands[(size_t)(cell & (KEPT - 1))];
}

/* Risks of one cell, by band, in units of its noise. */
static void measure_bands(struct spectral *s, int64_t cell)
{
	struct band_cell *c = bands_at(s, cell);

	for (size_t b = 0; b < BANDS; b++) {
		float by_noise = 1 / (PER_CELL * (1e-30f + (float)s->noise_of[b]));
		float risk[2] = {0}, kept = 0;

		for (int64_t m = 0; m < PER_CELL; m++)
			add_band(&s->small, cell * PER_CELL + m, s->edge[0][b], s->edge[0][b + 1],
				&risk[0], &kept);
		add_band(&s->large, cell, s->edge[1][b], s->edge[1][b + 1], &risk[1], &kept);
		c->risk[0][b] = risk[0] * by_noise;
		c->risk[1][b] = risk[1] * by_noise;
		c->kept[b] = kept * by_noise;
	}
}

/* The long window's weight in each band of a cell; the short one has the rest: half of it
 * where neither keeps anything. */
static void weigh_windows(struct spectral *s, int64_t cell, float weight[BANDS])
{
	for (size_t b = 0; b < BANDS; b++) {
		float d = 0, kept = 0;

		for (int64_t i = -1; i <= 1; i++) {
			const struct band_cell *c = bands_at(s, cell + i);

			d += (c->risk[1][b] - c->risk[0][b]) * (i ? 0.25f : 0.5f);
			kept += c->kept[b] * (i ? 0.25f : 0.5f);
		}
		d /= 1 + KEPT_HALF / (kept + 1e-30f); /* kept: infinite, perhaps, without noise */
		weight[b] = 1 / (1 + expf(d / TEMPERATURE));
	}
}

/* ---- gains --------------------------------------------------------------- */

/* The bands' weights as a function of the cell: linear between the bands' middles. */
static void spread_weights(const size_t *edge, const float weight[BANDS], float *out, size_t width)
{
	size_t k = 0;

	for (size_t b = 0; b <= BANDS; b++) {
		size_t from = b ? (edge[b - 1] + edge[b]) / 2 : 0;
		size_t to = b < BANDS ? (edge[b] + edge[b + 1]) / 2 : width;
		float at = weight[b ? b - 1 : 0], step = weight[b < BANDS ? b : BANDS - 1] - at;

		if (to > from)
			step /= (float)(to - from);
		for (int i = 0, n = (int)(to - k), first = (int)k - (int)from; i < n; i++)
			out[k + (size_t)i] = at + step * (float)(first + i);
		k = to > k ? to : k;
	}
}

/* The part that is taken out of each cell of a frame: from the shares, the rule and
 * the weight in `gain`. */
VECTORS static void choose_gain(
	const struct spectral *s, const struct resolution *r, int64_t row, float *restrict gain)
{
	const float *restrict share = rows_at(&r->share, row);
	const float *restrict power = rows_at(&r->power, row);
	const float *restrict lambda = r->lambda;
	float most = 1 - s->least, mu = s->rule.wiener;

	for (size_t k = 0; k < r->width; k++) {
		float u = share[k], a = 1 - u;

		if (mu > 0) {
			float n = mu * lambda[k];

			u = n / (a * a * power[k] + n + 1e-30f);
		}
		gain[k] *= u < most ? u : most;
	}
}

/* Energies of a frame by band: all, taken out, left; `weight` is the part of the work
 * that its window does. */
static void add_energies(const struct spectral *s, const struct resolution *r, int64_t row,
	const float weight[BANDS], const float *gain, double energy[3][BANDS])
{
	const float *power = rows_at(&r->power, row);
	size_t which = r == &s->large;

	for (size_t b = 0; b < BANDS; b++)
		for (size_t k = s->edge[which][b]; k < s->edge[which][b + 1]; k++) {
			/* gain holds the weight, which may be next to nothing */
			float u = weight[b] > 1e-3f ? gain[k] / weight[b] : 0;
			double p = power[k] * weight[b];

			u = u < 1 ? u : 1;
			energy[0][b] += p;
			energy[1][b] += p * u * u;
			energy[2][b] += p * (1 - u) * (1 - u);
		}
}

static void add_tally(struct spectral *s, double energy[3][BANDS])
{
	for (size_t b = 0; b < BANDS; b++) {
		struct tally *t = &s->tally[b];
		double x = 10 * log10(energy[1][b] + 1e-18);
		double y = 10 * log10(energy[2][b] + 1e-18);

		t->in += energy[0][b];
		t->removed += energy[1][b];
		if (!(energy[0][b] > 0.5 * PER_CELL * s->noise_of[b] + 1e-15))
			continue; /* silence, or a cell cut by an end */
		t->n++;
		t->x += x;
		t->y += y;
		t->xx += x * x;
		t->yy += y * y;
		t->xy += x * y;
	}
}

static void synthesise(struct spectral *s, int64_t cell)
{
	double energy[3][BANDS] = {0};
	float weight[BANDS];

	weigh_windows(s, cell, weight);
	spread_weights(s->edge[1], weight, s->gain, s->large.width);
	choose_gain(s, &s->large, cell, s->gain);
	if (s->report)
		add_energies(s, &s->large, cell, weight, s->gain, energy);
	resolution_synthesise(&s->large, cell, s->gain, s->ahead + s->ahead_at, s->ahead_stride);
	for (size_t b = 0; b < BANDS; b++)
		weight[b] = 1 - weight[b];
	for (size_t m = 0; m < PER_CELL; m++) {
		int64_t row = cell * PER_CELL + (int64_t)m;

		spread_weights(s->edge[0], weight, s->gain, s->small.width);
		choose_gain(s, &s->small, row, s->gain);
		if (s->report)
			add_energies(s, &s->small, row, weight, s->gain, energy);
		resolution_synthesise(&s->small, row, s->gain,
			s->ahead + s->ahead_at + short_start(s, m), s->ahead_stride);
	}
	if (s->report)
		add_tally(s, energy);
}

static void give_block(struct spectral *s, float *removed)
{
	size_t channels = (size_t)s->channels;

	for (size_t c = 0; c < channels; c++) {
		const float *oldest = s->ahead + c * s->ahead_stride + s->ahead_at;

		for (size_t i = 0; i < s->cell; i++)
			removed[i * channels + c] = oldest[i];
	}
	slide(s, s->ahead, s->large.n, s->ahead_stride, &s->ahead_at);
	for (size_t c = 0; c < channels; c++)
		memset(s->ahead + c * s->ahead_stride + s->ahead_at + s->large.n - s->cell, 0,
			s->cell * sizeof *s->ahead);
}

int spectral_process(void *m, const float *in, float *removed, struct err *e)
{
	struct spectral *s = m;
	int64_t cell = analyse(s, in, true);

	resolution_shares(&s->large, cell);
	for (int64_t i = 0; i < PER_CELL; i++)
		resolution_shares(&s->small, cell * PER_CELL + i);
	measure_bands(s, cell - RESOLUTION_LAG);
	synthesise(s, cell - GAIN_LAG);
	give_block(s, removed);
	return 0;
}

/* How far what is taken out moves with what is left: their correlation, less where
 * the former hardly moves, as noise does not. */
static double resemblance(const struct tally *t)
{
	const double MOVES_DB = 4;
	double vx = t->xx / t->n - t->x * t->x / (t->n * t->n);
	double vy = t->yy / t->n - t->y * t->y / (t->n * t->n);
	double cov = t->xy / t->n - t->x * t->y / (t->n * t->n);

	if (!(t->n >= 8) || !(vx > 1e-6) || !(vy > 1e-6))
		return 0;
	return cov / sqrt(vx * vy) * fmin(vx / (MOVES_DB * MOVES_DB), 1);
}

/* Shares and resemblance from which it is likely that music goes as well. */
static bool takes_music(const struct denoise_report *r)
{
	const double REMOVED = 0.003, RESEMBLES = 0.5, UNSTEADY = 2;

	return r->removed > REMOVED && (r->resembles > RESEMBLES || r->unsteady > UNSTEADY);
}

bool spectral_report(const void *m, struct denoise_report *ret)
{
	const struct spectral *s = m;
	double noise = 0, in = 1e-30, removed = 0, resembles = 0;

	*ret = (struct denoise_report){.n_bands = BANDS};
	for (size_t b = 0; b < BANDS; b++) {
		const struct tally *t = &s->tally[b];
		double hz = (double)s->rate_hz / (double)s->small.n, power = 0;
		struct denoise_band *band = &ret->band[b];

		/* lambda is the noise's density; a real signal has each cell twice */
		for (size_t k = s->edge[0][b]; k < s->edge[0][b + 1]; k++)
			power += 2 * s->small.lambda[k] / (double)s->small.n;
		band->low_hz = (double)s->edge[0][b] * hz;
		band->high_hz = fmin((double)s->edge[0][b + 1] * hz, s->rate_hz / 2.0);
		band->noise_db = 10 * log10(power);
		band->removed = t->in > 0 ? t->removed / t->in : 0;
		band->resembles = t->n > 0 ? resemblance(t) : 0;
		noise += power;
		in += t->in;
		removed += t->removed;
		resembles += t->removed * band->resembles;
	}
	ret->unsteady = s->unsteady;
	ret->noise_db = 10 * log10(noise);
	ret->removed = removed / in;
	ret->resembles = removed > 0 ? resembles / removed : 0;
	ret->takes_music = takes_music(ret);
	return true;
}
