/* What to write beside a spectrogram, and where. */
#include "library/spectrum_axis.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>

#include "library/spectrum.h"

/* The k-th of 1, 2, 5, 10, 20, 50, ...; k may be negative. */
static double step_of(int k)
{
	static const double of_ten[] = {1, 2, 5};
	const int third = (k % 3 + 3) % 3;

	return of_ten[third] * pow(10, (k - third) / 3);
}

/* Written as seldom as fits into `most`; NAN when that is never. */
static double choose_step(double low, double high, size_t most)
{
	for (int k = -18; k <= 36; k++) {
		double step = step_of(k);

		if (floor(high / step + 1e-9) - ceil(low / step - 1e-9) + 1 <= (double)most)
			return step;
	}
	return NAN;
}

static void write_number(struct axis_tick *t, double x, double step)
{
	int digits = step < 1 ? (int)ceil(-log10(step) - 1e-9) : 0;

	snprintf(t->text, sizeof(t->text), "%.*f", digits, x == 0 ? 0.0 : x); /* no "-0" */
}

size_t axis_numbers(double low, double high, size_t most, struct axis_tick ret[AXIS_TICKS_MAX])
{
	double step;
	size_t n = 0;

	most = most < AXIS_TICKS_MAX ? most : AXIS_TICKS_MAX;
	if (!(high > low) || !isfinite(high - low))
		return 0;
	step = choose_step(low, high, most);
	if (!(step > 0))
		return 0;
	for (double k = ceil(low / step - 1e-9); n < most && k * step <= high + step * 1e-9; k++) {
		ret[n].at = fmin(fmax((k * step - low) / (high - low), 0), 1);
		write_number(&ret[n++], k * step, step);
	}
	return n;
}

static void write_hz(struct axis_tick *t, double hz)
{
	if (hz >= 1000)
		snprintf(t->text, sizeof(t->text), "%.5gk", hz / 1000);
	else
		snprintf(t->text, sizeof(t->text), "%.5g", hz);
}

/* Frequencies on a scale that grows: the series itself, from the top down. */
static size_t series(const struct spectrum *s, double gap, struct axis_tick *ret)
{
	const struct spectrum_desc *d = spectrum_asked(s);
	double last = INFINITY;
	size_t n = 0;

	for (int k = 18; k >= 0 && n < AXIS_TICKS_MAX; k--) {
		const double hz = step_of(k), at = spectrum_position(s, hz);

		if (hz < d->low_hz || hz > d->high_hz || last - at < gap)
			continue;
		ret[n].at = last = at;
		write_hz(&ret[n++], hz);
	}
	return n;
}

size_t axis_frequencies(const struct spectrum *s, double gap, struct axis_tick ret[AXIS_TICKS_MAX])
{
	const struct spectrum_desc *d = spectrum_asked(s);
	const double most = 1 + floor(1 / fmax(gap, 1.0 / AXIS_TICKS_MAX));
	size_t n;

	if (d->scale != SPECTRUM_LINEAR)
		return series(s, gap, ret);
	n = axis_numbers(d->low_hz, d->high_hz, (size_t)most, ret);
	for (size_t i = 0; i < n; i++)
		write_hz(&ret[i], round(spectrum_hz(s, ret[i].at)));
	return n;
}

size_t axis_times(const struct spectrum *s, size_t most, struct axis_tick ret[AXIS_TICKS_MAX])
{
	const struct spectrum_desc *d = spectrum_asked(s);

	return axis_numbers((double)d->begin / d->rate_hz, (double)d->end / d->rate_hz, most, ret);
}

size_t axis_levels(const struct spectrum *s, size_t most, struct axis_tick ret[AXIS_TICKS_MAX])
{
	const struct spectrum_desc *d = spectrum_asked(s);

	return axis_numbers(d->low_db, d->high_db, most, ret);
}
