/* What CLAP's audio tower hears: samples to decibels of mel bands, as ClapFeatureExtractor
 * of huggingface/transformers makes them (truncation rand_trunc, padding repeatpad). */
#ifndef WOODSHED_ENGINE_CLAP_FEATURES_H
#define WOODSHED_ENGINE_CLAP_FEATURES_H

#include <stdint.h>

struct err;

struct clap_features {
	int64_t n_mels, rate, hop, window, max_samples;
	double low, high; /* Hz */
	int64_t n_frames; /* that max_samples give */
};

/* Reads dir/feature_extractor/preprocessor_config.json. */
int clap_features_open(struct clap_features *f, const char *dir, struct err *e);
/* n samples at rate -> [n_frames, n_mels], which is malloc'd.  Shorter audio is repeated, and
 * of longer audio the middle counts, where the reference draws a part. */
int clap_features_make(const struct clap_features *f, const float *samples, int64_t n, int64_t rate,
	float **ret, struct err *e);

#endif
