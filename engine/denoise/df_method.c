/* DeepFilterNet 3 (df.h) as a method of denoise.h.
 *
 * The strength is how much of what the network takes away is taken: 1 and more is
 * all, 0.75 leaves a quarter of the input, a limit of 12 dB. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/denoise/denoise.h"
#include "engine/denoise/df.h"
#include "engine/denoise/method.h"
#include "library/base/arena.h"
#include "library/base/err.h"

enum { FRAMES = DF_BLOCK * DF_HOP };

struct df_method {
	struct df *df;
	size_t channels;
	double mix;
	bool marked;        /* what it hears ahead is noise: nothing to measure */
	float *late;        /* the input's last DF_LATENCY frames, then a block */
	double in, removed; /* energies so far */
};

static void df_method_close(void *p)
{
	struct df_method *m = p;

	if (!m)
		return;
	df_close(m->df);
	free(m->late);
	free(m);
}

static int df_method_open(const struct denoise_desc *d, void **ret, struct err *e)
{
	struct df_method *m;
	int rc;

	if (!d->df_weights)
		return err_set(e, ERR_UNSUPPORTED,
			"the weights of DeepFilterNet are not installed; use wiener or ss");
	m = xcalloc(1, sizeof *m);
	m->channels = (size_t)d->channels;
	m->mix = d->mix;
	m->marked = d->marked;
	rc = df_open(d->df_weights, d->channels, 1, &m->df, e);
	if (!rc)
		rc = mem_try_alloc((void **)&m->late, (DF_LATENCY + FRAMES) * m->channels,
			sizeof *m->late, "denoiser", e);
	if (rc) {
		df_method_close(m);
		return rc;
	}
	memset(m->late, 0, DF_LATENCY * m->channels * sizeof *m->late);
	df_set_limit(m->df, d->strength < 1 ? -20 * log10f(1 - (float)d->strength) : INFINITY);
	*ret = m;
	return 0;
}

static size_t df_method_block(const void *m)
{
	return FRAMES;
}

static size_t df_method_latency(const void *m)
{
	return DF_LATENCY;
}

static int df_method_learn(void *p, const float *in, size_t n_frames, struct err *e)
{
	struct df_method *m = p;

	if (!m->marked)
		df_measure(m->df, in, (int64_t)n_frames);
	return 0;
}

static void df_method_end(void *p, size_t n_frames)
{
	struct df_method *m = p;

	df_end(m->df, (int64_t)n_frames);
}

static int df_method_process(void *p, const float *in, float *removed, struct err *e)
{
	struct df_method *m = p;
	const size_t before = DF_LATENCY * m->channels, n = FRAMES * m->channels;
	int rc = df_process(m->df, in, removed, DF_BLOCK, e);

	memcpy(m->late + before, in, n * sizeof *in);
	for (size_t i = 0; i < n; i++) {
		removed[i] = m->late[i] - removed[i];
		m->in += (double)m->late[i] * m->late[i];
		m->removed += (double)removed[i] * removed[i];
	}
	memmove(m->late, m->late + n, before * sizeof *m->late);
	return rc;
}

/* Music is what it is not made for: where it hears no voice, and takes more away
 * than a strength of 0.75 would. */
static bool df_method_report(const void *p, struct denoise_report *ret)
{
	const struct df_method *m = p;
	const double NO_VOICE_DB = -10, MOST = 0.6;

	*ret = (struct denoise_report){.noise_db = NAN, .resembles = NAN};
	ret->removed = m->in > 0 ? m->removed / m->in : 0;
	ret->takes_music =
		m->mix * m->mix * ret->removed > MOST && df_median_snr(m->df) < NO_VOICE_DB;
	return true;
}

const struct denoise_method denoise_df = {
	.name = "df",
	.rate_hz = DF_RATE,
	.open = df_method_open,
	.close = df_method_close,
	.block = df_method_block,
	.latency = df_method_latency,
	.process = df_method_process,
	.learn = df_method_learn,
	.end = df_method_end,
	.report = df_method_report,
};
