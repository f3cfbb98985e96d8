/* Samples, raised to 48 kHz, repeated to 10 s, in frames of 1024 with a Hann window; power,
 * through the mel bands of Slaney's Auditory Toolbox, in decibels.
 *
 * The bands above what the samples hold measure the resampler's stop band, so it matters: a
 * windowed sinc, Kaiser with beta 14 (beyond 130 dB), so long that it falls from 91 % to 100 %
 * of half the rate, as the reference's does (soxr, high quality). */
#include "engine/clap_features.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/pipeline.h"
#include "engine/weights/config.h"
#include "library/base/arena.h"
#include "library/base/err.h"

enum { SIDE = 103, MAX_MELS = 1024, MAX_WINDOW = 1 << 14 };
#define BETA  14.0
#define FLOOR 1e-10

int clap_features_open(struct clap_features *f, const char *dir, struct err *e)
{
	const char *path = "feature_extractor/preprocessor_config.json";
	struct config *c;
	int rc = pipeline_config(dir, path, NULL, &c, e);

	if (rc)
		return rc;
	f->n_mels = config_int(c, "feature_size", 64, 1, MAX_MELS);
	f->rate = config_int(c, "sampling_rate", 48000, 1000, 768000);
	f->hop = config_int(c, "hop_length", 480, 1, 1 << 16);
	f->window = config_int(c, "fft_window_size", 1024, 16, MAX_WINDOW);
	f->max_samples = config_int(c, "max_length_s", 10, 1, 60) * f->rate;
	f->low = config_num(c, "frequency_min", 0, 0, 1e6);
	f->high = config_num(c, "frequency_max", 14000, 0, 1e6);
	f->n_frames = f->max_samples / f->hop + 1;
	const char *padding = config_str(c, "padding", "repeatpad");
	const char *truncation = config_str(c, "truncation", "fusion");
	config_require(c, !strcmp(padding, "repeatpad") && !strcmp(truncation, "rand_trunc"),
		"padding '%s' and truncation '%s' are not supported (repeatpad, rand_trunc)",
		padding, truncation);
	config_require(c, (f->window & (f->window - 1)) == 0,
		"an fft_window_size that is no power of two is not supported");
	config_require(c, f->high > f->low && f->window / 2 < f->max_samples,
		"frequency_max is not above frequency_min");
	rc = config_check(c, e);
	config_close(c);
	return rc ? err_wrap(e, rc, "'%s/%s'", dir, path) : 0;
}

/* ---- resampling --------------------------------------------------------- */

static int64_t divisor(int64_t a, int64_t b)
{
	while (b) {
		const int64_t r = a % b;
		a = b;
		b = r;
	}
	return a;
}

/* The modified Bessel function of order 0. */
static double bessel(double x)
{
	double sum = 1, term = 1;

	for (int k = 1; term > 1e-17 * sum; k++) {
		term *= x / 2 / k * (x / 2 / k);
		sum += term;
	}
	return sum;
}

/* up samples for each `down`: a filter over the grid of both, symmetric, [0..half]. */
struct filter {
	int64_t up, down, half;
	double *h; /* owned */
};

static int make_filter(struct filter *f, int64_t from, int64_t to, struct err *e)
{
	const int64_t common = divisor(from, to);

	f->up = to / common;
	f->down = from / common;
	const int64_t wide = f->up > f->down ? f->up : f->down;
	if (wide > 100000)
		return err_set(e, ERR_UNSUPPORTED, "cannot resample %lld to %lld Hz for ranking",
			(long long)from, (long long)to);
	f->half = SIDE * wide;
	int rc = mem_try_alloc(
		(void **)&f->h, (size_t)f->half + 1, sizeof(*f->h), "a resampling filter", e);
	if (rc)
		return rc;
	/* The band ends so far below half the lower rate that the slope ends there. */
	const double attenuation = BETA / 0.1102 + 8.7;
	const double slope = (attenuation - 8) / (2.285 * 2 * (double)f->half) / (2 * M_PI);
	const double cut = 0.5 / (double)wide - slope / 2;
	for (int64_t i = 0; i <= f->half; i++) {
		const double t = (double)i / (double)f->half, x = 2 * cut * (double)i;
		f->h[i] = 2 * cut * (double)f->up * (i ? sin(M_PI * x) / (M_PI * x) : 1) *
			  bessel(BETA * sqrt(1 - t * t)) / bessel(BETA);
	}
	return 0;
}

/* Sample i of the output. */
static double filtered(const struct filter *f, const float *x, int64_t n, int64_t i)
{
	const int64_t at = i * f->down;
	int64_t first = (at - f->half + f->up - 1) / f->up, last = (at + f->half) / f->up;
	double sum = 0;

	first = first < 0 ? 0 : first;
	last = last >= n ? n - 1 : last;
	for (int64_t k = first; k <= last; k++)
		sum += x[k] * f->h[llabs(at - k * f->up)];
	return sum;
}

/* The middle of the samples at the new rate, at most `most`. */
static int resample(const float *x, int64_t n, int64_t from, int64_t to, int64_t most, float **ret,
	int64_t *ret_n, struct err *e)
{
	struct filter f = {0};
	int rc = make_filter(&f, from, to, e);

	if (rc)
		return rc;
	const int64_t all = (n * f.up + f.down - 1) / f.down, count = all < most ? all : most,
		      first = (all - count) / 2;
	rc = mem_try_alloc((void **)ret, (size_t)count, sizeof(**ret), "samples to rank", e);
	for (int64_t i = 0; i < count && !rc; i++)
		(*ret)[i] =
			(float)(from == to ? (double)x[first + i] : filtered(&f, x, n, first + i));
	*ret_n = count;
	free(f.h);
	return rc;
}

/* ---- spectrum ----------------------------------------------------------- */

struct work {
	double *re, *im, *hann, *bands; /* owned together, by re */
	double *cosine, *sine;          /* [window / 2] of -2 pi k / window */
};

/* In place, n a power of two: Cooley and Tukey.  In double precision, as in the reference:
 * in the bands above what the samples hold a float's rounding would show. */
static void fft(const struct work *w, int64_t n)
{
	double *re = w->re, *im = w->im;

	for (int64_t i = 1, j = 0; i < n; i++) {
		int64_t bit = n >> 1;
		for (; j & bit; bit >>= 1)
			j ^= bit;
		j ^= bit;
		if (i < j) {
			double t = re[i];
			re[i] = re[j];
			re[j] = t;
			t = im[i];
			im[i] = im[j];
			im[j] = t;
		}
	}
	for (int64_t len = 2; len <= n; len *= 2)
		for (int64_t k = 0; k < len / 2; k++) {
			const double c = w->cosine[k * (n / len)], s = w->sine[k * (n / len)];
			for (int64_t i = k; i < n; i += len) {
				const int64_t j = i + len / 2;
				const double a = re[j] * c - im[j] * s, b = re[j] * s + im[j] * c;
				re[j] = re[i] - a;
				im[j] = im[i] - b;
				re[i] += a;
				im[i] += b;
			}
		}
}

static double mel_of(double hz)
{
	return hz < 1000 ? 3 * hz / 200 : 15 + log(hz / 1000) * 27 / log(6.4);
}

static double hz_of(double mel)
{
	return mel < 15 ? 200 * mel / 3 : 1000 * exp((mel - 15) * log(6.4) / 27);
}

/* Triangles of unit area between neighbouring bands: [n_mels][window / 2 + 1] */
static void make_bands(const struct clap_features *f, double *bands)
{
	const int64_t n_bins = f->window / 2 + 1;
	const double low = mel_of(f->low), step = (mel_of(f->high) - low) / (double)(f->n_mels + 1);

	for (int64_t m = 0; m < f->n_mels; m++) {
		const double left = hz_of(low + step * (double)m),
			     middle = hz_of(low + step * (double)(m + 1)),
			     right = hz_of(low + step * (double)(m + 2));
		for (int64_t k = 0; k < n_bins; k++) {
			const double hz = (double)f->rate / 2 * (double)k / (double)(n_bins - 1);
			const double up = (hz - left) / (middle - left),
				     down = (right - hz) / (right - middle);
			const double height = up < down ? up : down;
			bands[m * n_bins + k] = height > 0 ? height * 2 / (right - left) : 0;
		}
	}
}

static void make_tables(const struct clap_features *f, const struct work *w)
{
	for (int64_t i = 0; i < f->window; i++) {
		const double angle = 2 * M_PI * (double)i / (double)f->window;

		w->hann[i] = 0.5 - 0.5 * cos(angle);
		if (i < f->window / 2) {
			w->cosine[i] = cos(angle);
			w->sine[i] = -sin(angle);
		}
	}
	make_bands(f, w->bands);
}

/* The sample at i, mirrored at both ends of max_samples; beyond the repeats silence. */
static double sample_at(const struct clap_features *f, const float *x, int64_t n, int64_t i)
{
	if (i < 0)
		i = -i;
	if (i >= f->max_samples)
		i = 2 * (f->max_samples - 1) - i;
	return i < f->max_samples / n * n ? x[i % n] : 0;
}

static void frame(const struct clap_features *f, const struct work *w, const float *x, int64_t n,
	int64_t at, float *out)
{
	const int64_t n_bins = f->window / 2 + 1;

	for (int64_t i = 0; i < f->window; i++) {
		w->re[i] = w->hann[i] * sample_at(f, x, n, at * f->hop + i - f->window / 2);
		w->im[i] = 0;
	}
	fft(w, f->window);
	for (int64_t k = 0; k < n_bins; k++)
		w->re[k] = w->re[k] * w->re[k] + w->im[k] * w->im[k];
	for (int64_t m = 0; m < f->n_mels; m++) {
		double sum = 0;
		for (int64_t k = 0; k < n_bins; k++)
			sum += w->bands[m * n_bins + k] * w->re[k];
		out[m] = (float)(10 * log10(sum > FLOOR ? sum : FLOOR));
	}
}

int clap_features_make(const struct clap_features *f, const float *samples, int64_t n, int64_t rate,
	float **ret, struct err *e)
{
	const size_t n_work = (size_t)(4 * f->window + f->n_mels * (f->window / 2 + 1));
	struct work w = {0};
	float *x = NULL, *out = NULL;
	int64_t n_x = 0;
	int rc = resample(samples, n, rate, f->rate, f->max_samples, &x, &n_x, e);

	if (!rc)
		rc = mem_try_alloc(
			(void **)&w.re, n_work, sizeof(*w.re), "the spectrum of a take", e);
	if (!rc)
		rc = mem_try_alloc((void **)&out, (size_t)(f->n_frames * f->n_mels), sizeof(*out),
			"the spectrum of a take", e);
	if (!rc) {
		w.im = w.re + f->window;
		w.hann = w.im + f->window;
		w.cosine = w.hann + f->window;
		w.sine = w.cosine + f->window / 2;
		w.bands = w.sine + f->window / 2;
		make_tables(f, &w);
		for (int64_t i = 0; i < f->n_frames; i++)
			frame(f, &w, x, n_x, i, out + i * f->n_mels);
		*ret = out;
	}
	free(w.re);
	free(x);
	return rc;
}
