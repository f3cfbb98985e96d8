/* Where in a take the most goes on. */
#include "library/liveliest.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "library/base/arena.h"
#include "library/base/err.h"
#include "library/loudness.h"
#include "library/spectrum.h"

enum { COLUMNS_A_STEP = 2, BANDS = 48, SLICE = 256 };

static const double STEP_S = 0.5;
static const double SETTLE_S = 0.1;     /* before the 0.4 s that are measured */
static const double SILENCE_LUFS = -70; /* BS.1770's absolute gate: less is nothing */

/* Of each step, the mean power of what is heard and the mean rise of a band. */
struct step {
	double power, rise;
};

static int measure_loudness(const float *samples, int channels, int rate_hz, struct step *steps,
	size_t n, struct err *e)
{
	const size_t step = (size_t)(STEP_S * rate_hz), before = (size_t)(SETTLE_S * rate_hz);
	int rc = 0;

	for (size_t i = 0; i < n && !rc; i++) {
		const size_t begin = i ? i * step - before : 0;
		double lufs;

		rc = loudness_momentary(samples + begin * (size_t)channels, (i + 1) * step - begin,
			channels, rate_hz, &lufs, e);
		steps[i].power = rc || !(lufs > SILENCE_LUFS) ? 0 : pow(10, lufs / 10);
	}
	return rc;
}

static double rise_of(const struct spectrum *s, const uint8_t *before, const uint8_t *now)
{
	double sum = 0;

	for (int b = 0; b < BANDS; b++)
		sum += fmax(0, spectrum_db(s, now[b]) - spectrum_db(s, before[b]));
	return sum / BANDS;
}

static int measure_flux(const float *samples, int channels, int rate_hz, struct step *steps,
	size_t n, struct err *e)
{
	const struct spectrum_desc d = {.samples = samples,
		.n_frames = n * (size_t)(STEP_S * rate_hz),
		.channels = channels,
		.rate_hz = rate_hz,
		.columns = (int)n * COLUMNS_A_STEP,
		.rows = BANDS,
		.fft = 2048,
		.hop = 1024,
		.low_hz = 40,
		.scale = SPECTRUM_MEL};
	uint8_t column[2][BANDS] = {{0}};
	struct spectrum *s;
	int rc = spectrum_open(&d, &s, e);

	if (rc)
		return rc;
	while (spectrum_work(s, SLICE))
		;
	/* Every beginning rises from silence: the first column has nothing before it. */
	spectrum_read(s, 0, 1, column[0]);
	for (size_t i = 0; i < n * COLUMNS_A_STEP; i++) {
		spectrum_read(s, i, 1, column[i % 2 == 0]);
		steps[i / COLUMNS_A_STEP].rise +=
			rise_of(s, column[i % 2], column[i % 2 == 0]) / COLUMNS_A_STEP;
	}
	spectrum_close(s);
	return 0;
}

static size_t best_of(const struct step *steps, size_t n, size_t window)
{
	double best = -INFINITY;
	size_t ret = 0;

	for (size_t i = 0; i + window <= n; i++) {
		struct step sum = {0};
		double liveliness;

		for (size_t k = 0; k < window; k++) {
			sum.power += steps[i + k].power;
			sum.rise += steps[i + k].rise;
		}
		liveliness =
			10 * log10(fmax(sum.power / (double)window, pow(10, SILENCE_LUFS / 10))) +
			sum.rise / (double)window;
		if (liveliness > best) {
			best = liveliness;
			ret = i;
		}
	}
	return ret;
}

int liveliest(const float *samples, size_t n_frames, int channels, int rate_hz, double window_s,
	double *ret_s, struct err *e)
{
	const size_t window = (size_t)ceil(window_s / STEP_S);
	size_t n = n_frames / (size_t)(STEP_S * rate_hz);
	struct step *steps;
	int rc;

	*ret_s = 0;
	if (n > SPECTRUM_COLUMNS_MAX / COLUMNS_A_STEP) /* hours: their beginning */
		n = SPECTRUM_COLUMNS_MAX / COLUMNS_A_STEP;
	if (n <= window)
		return 0;
	steps = xcalloc(n, sizeof(*steps));
	rc = measure_loudness(samples, channels, rate_hz, steps, n, e);
	if (!rc)
		rc = measure_flux(samples, channels, rate_hz, steps, n, e);
	if (!rc)
		*ret_s = STEP_S * (double)best_of(steps, n, window);
	free(steps);
	return rc;
}
