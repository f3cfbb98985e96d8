/* Loudness and true peak. */
#include "library/loudness.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <ebur128.h>

#include "library/base/arena.h"
#include "library/base/err.h"

/* libebur128's interpolation reaches this far behind the last sample, in frames
 * of the audio: half of its 49 taps, rounded up. */
enum { TAIL_FRAMES = 25 };

double loudness_db(double x)
{
	return x > 0 ? 20 * log10(x) : -INFINITY;
}

double loudness_gain(double db)
{
	return pow(10, db / 20);
}

/* What the interpolation still holds when the samples end.  The loudness has
 * been asked for before: silence would only count there. */
static int flush_peak(ebur128_state *s, int channels)
{
	const float zeros[TAIL_FRAMES * 64] = {0};

	return channels <= 64 ? ebur128_add_frames_float(s, zeros, TAIL_FRAMES)
			      : EBUR128_ERROR_NOMEM;
}

/* libebur128 leaves out all channels behind the sixth; these are WAV's and FLAC's orders. */
static void place_channels(ebur128_state *s, int channels)
{
	static const int of_7[] = {EBUR128_Mp180, EBUR128_Mp090, EBUR128_Mm090};
	static const int of_8[] = {EBUR128_Mp135, EBUR128_Mm135, EBUR128_Mp090, EBUR128_Mm090};

	for (int c = 4; c < channels && (channels == 7 || channels == 8); c++)
		ebur128_set_channel(s, (unsigned)c, (channels == 7 ? of_7 : of_8)[c - 4]);
}

struct loudness_meter {
	ebur128_state *s;
	int channels;
};

int loudness_meter_open(int channels, int rate_hz, struct loudness_meter **ret, struct err *e)
{
	struct loudness_meter *m = xcalloc(1, sizeof(*m));

	*ret = m;
	m->channels = channels;
	m->s = ebur128_init((unsigned)channels, (unsigned long)rate_hz,
		EBUR128_MODE_I | EBUR128_MODE_TRUE_PEAK);
	if (m->s) {
		place_channels(m->s, channels);
		return 0;
	}
	loudness_meter_close(m);
	*ret = NULL;
	return err_set(e, ERR_UNSUPPORTED,
		"cannot measure the loudness of %d channels at %d Hz: not enough memory, or none "
		"that the standard knows; leave loudness alone",
		channels, rate_hz);
}

static int fail(struct err *e)
{
	return err_set(e, ERR_NOMEM, "not enough memory to measure the loudness; free some");
}

int loudness_meter_add(
	struct loudness_meter *m, const float *samples, size_t n_frames, struct err *e)
{
	return ebur128_add_frames_float(m->s, samples, n_frames) ? fail(e) : 0;
}

int loudness_meter_read(struct loudness_meter *m, struct loudness *ret, struct err *e)
{
	int rc;

	*ret = (struct loudness){.lufs = -INFINITY};
	rc = ebur128_loudness_global(m->s, &ret->lufs);
	if (!rc)
		rc = flush_peak(m->s, m->channels);
	for (int c = 0; !rc && c < m->channels; c++) {
		double peak;

		rc = ebur128_true_peak(m->s, (unsigned)c, &peak);
		ret->peak = fmax(ret->peak, peak);
	}
	return rc ? fail(e) : 0;
}

void loudness_meter_close(struct loudness_meter *m)
{
	if (m && m->s)
		ebur128_destroy(&m->s);
	free(m);
}

int loudness_momentary(const float *samples, size_t n_frames, int channels, int rate_hz,
	double *ret, struct err *e)
{
	ebur128_state *s = ebur128_init((unsigned)channels, (unsigned long)rate_hz, EBUR128_MODE_M);
	int rc;

	*ret = -INFINITY;
	if (!s)
		return fail(e);
	place_channels(s, channels);
	rc = ebur128_add_frames_float(s, samples, n_frames);
	if (!rc)
		rc = ebur128_loudness_momentary(s, ret);
	ebur128_destroy(&s);
	return rc ? fail(e) : 0;
}

int loudness_measure(const float *samples, size_t n_frames, int channels, int rate_hz,
	struct loudness *ret, struct err *e)
{
	struct loudness_meter *m;
	int rc = loudness_meter_open(channels, rate_hz, &m, e);

	*ret = (struct loudness){.lufs = -INFINITY};
	if (!rc)
		rc = loudness_meter_add(m, samples, n_frames, e);
	if (!rc)
		rc = loudness_meter_read(m, ret, e);
	loudness_meter_close(m);
	return rc;
}

void loudness_match(const double *lufs, const double *peak_db, size_t n, double *ret_gain)
{
	double softest = INFINITY, over = 0;

	for (size_t i = 0; i < n; i++)
		if (isfinite(lufs[i]))
			softest = fmin(softest, lufs[i]);
	for (size_t i = 0; i < n; i++) {
		ret_gain[i] = isfinite(lufs[i]) ? softest - lufs[i] : 0; /* dB */
		if (isfinite(peak_db[i]))
			over = fmax(over, peak_db[i] + ret_gain[i]);
	}
	for (size_t i = 0; i < n; i++)
		ret_gain[i] = loudness_gain(ret_gain[i] - over);
}
