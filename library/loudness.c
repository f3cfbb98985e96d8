/* Loudness and true peak. */
#include "library/loudness.h"

#include <math.h>
#include <string.h>

#include <ebur128.h>

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

static int measure(
	ebur128_state *s, const float *samples, size_t n_frames, int channels, struct loudness *ret)
{
	int rc = ebur128_add_frames_float(s, samples, n_frames);

	if (!rc)
		rc = ebur128_loudness_global(s, &ret->lufs);
	if (!rc)
		rc = flush_peak(s, channels);
	for (int c = 0; !rc && c < channels; c++) {
		double peak;

		rc = ebur128_true_peak(s, (unsigned)c, &peak);
		ret->peak = fmax(ret->peak, peak);
	}
	return rc;
}

int loudness_measure(const float *samples, size_t n_frames, int channels, int rate_hz,
	struct loudness *ret, struct err *e)
{
	ebur128_state *s = ebur128_init((unsigned)channels, (unsigned long)rate_hz,
		EBUR128_MODE_I | EBUR128_MODE_TRUE_PEAK);
	int rc;

	*ret = (struct loudness){.lufs = -INFINITY};
	if (!s)
		return err_set(e, ERR_UNSUPPORTED,
			"cannot measure the loudness of %d channels at %d Hz: not enough memory, "
			"or "
			"none that the standard knows; leave loudness alone",
			channels, rate_hz);
	rc = measure(s, samples, n_frames, channels, ret);
	ebur128_destroy(&s);
	return rc ? err_set(e, ERR_NOMEM, "not enough memory to measure the loudness; free some")
		  : 0;
}
