/* DeepFilterNet 3's features. */
#include "engine/denoise/df_features.h"

#include <math.h>

static const float alpha = 0.99f; /* exp(-0.01), rounded as in training */

const int df_band_widths[DF_BANDS] = {2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 5, 5, 7, 7, 8, 10, 12,
	13, 15, 18, 20, 24, 28, 31, 37, 42, 50, 56, 67};

static float between(float first, float last, int i, int n)
{
	return first + (last - first) * (float)i / (float)(n - 1);
}

void df_features_init(struct df_features *f)
{
	for (int b = 0; b < DF_BANDS; b++)
		f->level[b] = between(-60, -90, b, DF_BANDS);
	for (int k = 0; k < DF_BINS; k++)
		f->magnitude[k] = between(1e-3f, 1e-4f, k, DF_BINS);
}

static float squared(const float z[2])
{
	return z[0] * z[0] + z[1] * z[1];
}

void df_features_add(struct df_features *f, const float *x, float *erb, float *spec)
{
	const float *at = x;

	for (int b = 0; b < DF_BANDS; at += 2 * df_band_widths[b++]) {
		float power = 0;
		for (int k = 0; k < df_band_widths[b]; k++)
			power += squared(at + 2 * k);
		const float d = 10 * log10f(power / (float)df_band_widths[b] + 1e-10f);
		f->level[b] = (1 - alpha) * d + alpha * f->level[b];
		erb[b] = (d - f->level[b]) / 40;
	}
	for (int k = 0; k < DF_BINS; k++) {
		f->magnitude[k] = (1 - alpha) * sqrtf(squared(x + 2 * k)) + alpha * f->magnitude[k];
		const float scale = 1 / sqrtf(f->magnitude[k]);
		spec[k] = x[2 * k] * scale;
		spec[DF_BINS + k] = x[2 * k + 1] * scale;
	}
}
