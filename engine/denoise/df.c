/* DeepFilterNet 3 as a stream: spectra, what the network hears of them, and what
 * its gains and filters make of them.
 *
 * Frame t is the window over hops t - 1 and t.  When hop t has come in, its
 * features go to the network, whose answer is for frame n = t - 2: the features
 * of the first two frames go to the running means alone.  Frame n is made of
 * spectra n - 2 to n + 2, and its first half, added to the second half of frame
 * n - 1, is hop n - 1 = t - 3 of the output.
 *
 * Hops go through in blocks, so that the network's matrices are read once for
 * many frames. */
#include "engine/denoise/df.h"

#include <kiss_fftr.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/denoise/df_features.h"
#include "engine/denoise/df_net.h"
#include "engine/weights/bind.h"
#include "engine/weights/ckpt.h"
#include "library/base/arena.h"
#include "library/base/err.h"

enum {
	WINDOW = 2 * DF_HOP,
	LOOKAHEAD = 2,      /* frames */
	PAST = DF_TAPS - 1, /* spectra before those of a block */
	SNR_LEVELS = 51,    /* -15 to 35 dB */
	NO_LIMIT = 100,     /* dB */
};
static const float sample_limit = 1e6f;               /* beyond is no sound: 120 dBFS */
static const double level_heard = 0.0630957344480193; /* -24 dBFS */
static const double silence = 1e-9;                   /* mean square of a hop: -90 dBFS */

/* Sums of squares of the mean of the channels, and of half the difference of two. */
struct powers {
	double mean, difference;
};

struct measure {
	struct powers hop, all;
	int64_t n_hop; /* frames in the hop that is coming in */
	int64_t n_all; /* frames in the hops of `all`, which are those with sound */
};

struct channel {
	float last[DF_HOP];    /* hop before the block */
	float overlap[DF_HOP]; /* second half of the last frame that was made */
	/* Frames t - PAST to t - 1, then those of the block. */
	kiss_fft_cpx spectra[PAST + DF_BLOCK][DF_SPECTRUM];
};

struct df {
	struct gpu *gpu;
	struct gpu_arena *weights, *step;
	struct df_net net;
	struct df_state state;
	struct df_features features;
	kiss_fftr_cfg forward, inverse;
	float window[WINDOW];
	float share; /* of the input in the output */
	struct measure measure;
	int64_t n_hops;  /* so far */
	int64_t n_heard; /* so many have features, those behind them zeros */
	int64_t n_snr, snr_counts[SNR_LEVELS];
	/* What goes through the network at once. */
	float erb[DF_BLOCK][DF_BANDS], spec[DF_BLOCK][2 * DF_BINS];
	float gains[DF_BLOCK][DF_BANDS], coefs[DF_BLOCK][DF_BINS][DF_TAPS][2], snr[DF_BLOCK];
	int n_channels;
	struct channel channels[];
};

/* ---- open and close ----------------------------------------------------- */

static int load(struct df *d, const char *dir, int n_threads, struct err *e)
{
	struct ckpt *ckpt = NULL;
	struct bind *bind = NULL;
	int rc = ckpt_open(dir, &ckpt, e);

	if (!rc)
		rc = gpu_open("cpu", n_threads, &d->gpu, e);
	if (!rc) {
		d->weights = gpu_arena_new(d->gpu, "DeepFilterNet weights");
		d->step = gpu_arena_new(d->gpu, "DeepFilterNet activations");
		bind = bind_new(ckpt, d->gpu, d->weights, n_threads);
		df_net_bind(&d->net, bind);
		rc = bind_load(bind, NULL, NULL, e);
	}
	if (!rc) {
		df_state_init(&d->state, d->gpu, d->weights);
		rc = gpu_sync(d->gpu, e);
	}
	bind_free(bind);
	ckpt_close(ckpt);
	return rc;
}

/* sin(pi/2 sin^2(pi (i + 1/2) / 960)): its squares, a hop apart, add up to one. */
static void make_window(float *w)
{
	for (int i = 0; i < WINDOW; i++) {
		const double s = sin(M_PI * (i + 0.5) / WINDOW);
		w[i] = (float)sin(M_PI / 2 * s * s);
	}
}

int df_open(const char *dir, int n_channels, int n_threads, struct df **ret, struct err *e)
{
	struct df *d;
	int rc;

	*ret = NULL;
	if (n_channels < 1 || n_channels > DF_MAX_CHANNELS)
		return err_set(e, ERR_ARG, "%d channels are not supported, only 1 to %d",
			n_channels, DF_MAX_CHANNELS);
	rc = mem_try_alloc((void **)&d, 1, sizeof(*d) + (size_t)n_channels * sizeof(*d->channels),
		"the denoiser", e);
	if (rc)
		return rc;
	memset(d, 0, sizeof(*d));
	d->n_channels = n_channels;
	make_window(d->window);
	d->forward = kiss_fftr_alloc(WINDOW, 0, NULL, NULL);
	d->inverse = kiss_fftr_alloc(WINDOW, 1, NULL, NULL);
	rc = d->forward && d->inverse ? load(d, dir, n_threads, e)
				      : err_set(e, ERR_NOMEM, "no memory for the denoiser");
	if (rc) {
		df_close(d);
		return rc;
	}
	df_reset(d);
	*ret = d;
	return 0;
}

void df_close(struct df *d)
{
	if (!d)
		return;
	kiss_fftr_free(d->forward);
	kiss_fftr_free(d->inverse);
	gpu_close(d->gpu);
	free(d);
}

void df_reset(struct df *d)
{
	df_state_clear(&d->state, d->gpu);
	df_features_init(&d->features);
	memset(&d->measure, 0, sizeof(d->measure));
	d->n_hops = d->n_snr = 0;
	d->n_heard = INT64_MAX;
	memset(d->snr_counts, 0, sizeof(d->snr_counts));
	memset(d->channels, 0, (size_t)d->n_channels * sizeof(*d->channels));
}

void df_set_limit(struct df *d, float limit_db)
{
	d->share = limit_db >= NO_LIMIT ? 0 : limit_db > 0 ? powf(10, -limit_db / 20) : 1;
}

/* ---- level -------------------------------------------------------------- */

static float sound(float x)
{
	return fabsf(x) <= sample_limit ? x : 0; /* NaN, too */
}

/* The hop that is coming in, however long, counts if there is sound in it. */
static void end_hop(struct measure *m)
{
	if (m->hop.mean + m->hop.difference > silence * (double)m->n_hop) {
		m->all.mean += m->hop.mean;
		m->all.difference += m->hop.difference;
		m->n_all += m->n_hop;
	}
	m->hop = (struct powers){0};
	m->n_hop = 0;
}

void df_measure(struct df *d, const float *in, int64_t n_frames)
{
	struct measure *m = &d->measure;
	const int n = d->n_channels;

	for (int64_t i = 0; i < n_frames; i++, in += n) {
		double mean = 0;
		for (int c = 0; c < n; c++)
			mean += (double)sound(in[c]) / n;
		const double half = n == 2 ? (double)sound(in[0]) - mean : 0;
		m->hop.mean += mean * mean;
		m->hop.difference += half * half;
		if (++m->n_hop == DF_HOP)
			end_hop(m);
	}
}

/* What the network hears is a sum of the channels: the weight of the first, and
 * that of each other. */
struct hearing {
	float first, others;
};

static struct hearing hearing(const struct df *d)
{
	struct measure m = d->measure;

	end_hop(&m);
	const bool differ = m.all.difference > 3 * m.all.mean;
	const double power = differ ? m.all.difference : m.all.mean;
	const double gain = power > 0 ? level_heard / sqrt(power / (double)m.n_all) : 1;
	const float w = (float)(gain / d->n_channels);

	return (struct hearing){w, differ ? -w : w};
}

/* ---- a block ------------------------------------------------------------ */

/* The spectrum of every channel for hop i of the block. */
static void analyse(struct df *d, const float *in, int64_t i)
{
	float x[WINDOW];

	for (int c = 0; c < d->n_channels; c++) {
		struct channel *ch = &d->channels[c];
		memcpy(x, ch->last, sizeof(ch->last));
		for (int j = 0; j < DF_HOP; j++)
			ch->last[j] = sound(in[j * d->n_channels + c]);
		memcpy(x + DF_HOP, ch->last, sizeof(ch->last));
		for (int j = 0; j < WINDOW; j++)
			x[j] *= d->window[j] / WINDOW;
		kiss_fftr(d->forward, x, ch->spectra[PAST + i]);
	}
}

static void hear(struct df *d, struct hearing h, int64_t i)
{
	float heard[DF_SPECTRUM][2] = {{0}};

	for (int c = 0; c < d->n_channels; c++) {
		const kiss_fft_cpx *x = d->channels[c].spectra[PAST + i];
		const float w = c ? h.others : h.first;
		for (int k = 0; k < DF_SPECTRUM; k++) {
			heard[k][0] += w * x[k].r;
			heard[k][1] += w * x[k].i;
		}
	}
	df_features_add(&d->features, heard[0], d->erb[i], d->spec[i]);
}

/* y = frame n of the output: gains by bands, below 4800 Hz filters over the noisy
 * spectra from n - 2 to n + 2, and the share of the input. */
static void enhance(const struct df *d, const struct channel *ch, int64_t i, kiss_fft_cpx *y)
{
	const kiss_fft_cpx(*x)[DF_SPECTRUM] = &ch->spectra[i];
	const float wet = 1 - d->share;
	int k = 0;

	for (int b = 0; b < DF_BANDS; b++)
		for (int end = k + df_band_widths[b]; k < end; k++) {
			const float g = wet * d->gains[i][b] + d->share;
			y[k].r = g * x[LOOKAHEAD][k].r;
			y[k].i = g * x[LOOKAHEAD][k].i;
		}
	for (k = 0; k < DF_BINS; k++) {
		float re = 0, im = 0;
		for (int o = 0; o < DF_TAPS; o++) {
			const float *c = d->coefs[i][k][o];
			re += c[0] * x[o][k].r - c[1] * x[o][k].i;
			im += c[0] * x[o][k].i + c[1] * x[o][k].r;
		}
		y[k].r = wet * re + d->share * x[LOOKAHEAD][k].r;
		y[k].i = wet * im + d->share * x[LOOKAHEAD][k].i;
	}
	/* The filters may turn what has no phase. */
	y[0].i = y[DF_SPECTRUM - 1].i = 0;
}

static void synthesise(struct df *d, int64_t i, float *out)
{
	float x[WINDOW];
	kiss_fft_cpx y[DF_SPECTRUM];

	for (int c = 0; c < d->n_channels; c++) {
		struct channel *ch = &d->channels[c];
		enhance(d, ch, i, y);
		kiss_fftri(d->inverse, y, x);
		for (int j = 0; j < DF_HOP; j++) {
			out[j * d->n_channels + c] = ch->overlap[j] + x[j] * d->window[j];
			ch->overlap[j] = x[DF_HOP + j] * d->window[DF_HOP + j];
		}
	}
}

static void count_snr(struct df *d, float snr)
{
	const long level = lroundf(snr) + 15;

	d->snr_counts[level < 0 ? 0 : level >= SNR_LEVELS ? SNR_LEVELS - 1 : level]++;
	d->n_snr++;
}

/* n <= DF_BLOCK hops */
static int process_block(struct df *d, const float *in, float *out, int64_t n, struct err *e)
{
	const struct hearing how = hearing(d);
	const int64_t step = (int64_t)DF_HOP * d->n_channels;
	/* Hops before the third have no frame to answer for. */
	const int64_t before = d->n_hops < LOOKAHEAD ? LOOKAHEAD - d->n_hops : 0;
	const int64_t first = before < n ? before : n;

	for (int64_t i = 0; i < n; i++) {
		analyse(d, in + i * step, i);
		hear(d, how, i);
		if (d->n_hops + i >= d->n_heard) {
			memset(d->erb[i], 0, sizeof(d->erb[i]));
			memset(d->spec[i], 0, sizeof(d->spec[i]));
		}
	}
	memset(d->gains, 0, (size_t)first * sizeof(*d->gains));
	memset(d->coefs, 0, (size_t)first * sizeof(*d->coefs));
	if (first < n) {
		struct df_frames f = {d->erb[first], d->spec[first], d->gains[first],
			d->coefs[first][0][0], &d->snr[first]};
		df_net_forward(&d->net, d->gpu, d->step, &d->state, &f, n - first);
		if (gpu_failed(d->gpu))
			return gpu_sync(d->gpu, e);
	}
	for (int64_t i = 0; i < n; i++)
		synthesise(d, i, out + i * step);
	for (int64_t i = first; i < n; i++)
		count_snr(d, d->snr[i]);
	for (int c = 0; c < d->n_channels; c++) {
		kiss_fft_cpx(*x)[DF_SPECTRUM] = d->channels[c].spectra;
		memmove(x, x + n, PAST * sizeof(*x));
	}
	d->n_hops += n;
	return 0;
}

/* ---- streams ------------------------------------------------------------ */

int df_process(struct df *d, const float *in, float *out, int64_t n_hops, struct err *e)
{
	const int64_t step = (int64_t)DF_HOP * d->n_channels;
	int rc = 0;

	for (int64_t i = 0; i < n_hops && !rc; i += DF_BLOCK) {
		const int64_t n = n_hops - i < DF_BLOCK ? n_hops - i : DF_BLOCK;
		rc = process_block(d, in + i * step, out + i * step, n, e);
	}
	return rc;
}

void df_end(struct df *d, int64_t n_frames)
{
	/* The frames that hold the last whole hop, the one behind it, and one more. */
	d->n_heard = d->n_hops + n_frames / DF_HOP + LOOKAHEAD;
}

float df_median_snr(const struct df *d)
{
	int64_t n = 0;
	int level = 0;

	while (level < SNR_LEVELS - 1 && 2 * (n += d->snr_counts[level]) < d->n_snr)
		level++;
	return (float)(level - 15);
}
