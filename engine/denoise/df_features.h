/* What DeepFilterNet 3 hears of a spectrum: levels of 32 bands and the lowest
 * 96 bins, both against their own running means. */
#ifndef WOODSHED_ENGINE_DENOISE_DF_FEATURES_H
#define WOODSHED_ENGINE_DENOISE_DF_FEATURES_H

#include "engine/denoise/df_net.h"

enum { DF_SPECTRUM = 481 }; /* bins of 50 Hz, 0 to 24 kHz */

/* Bins of each band, lowest first; they add up to DF_SPECTRUM.  32 equal steps
 * of erb(f) = 9.265 log(1 + f / 228.8), rounded to bins, at least two each. */
extern const int df_band_widths[DF_BANDS];

struct df_features {
	float level[DF_BANDS];    /* running mean, dB */
	float magnitude[DF_BINS]; /* running mean */
};
void df_features_init(struct df_features *f);

/* One frame x [DF_SPECTRUM][real, imaginary], scaled by 1 / 960, to erb [DF_BANDS]
 * and spec [2 * DF_BINS] of struct df_frames.  The means' time constant is 1 s:
 *	m = 0.01 d + 0.99 m,  d = 10 log10(mean |x|^2 + 1e-10),  erb = (d - m) / 40
 *	s = 0.01 |x| + 0.99 s,  spec = x / sqrt(s) */
void df_features_add(struct df_features *f, const float *x, float *erb, float *spec);

#endif
