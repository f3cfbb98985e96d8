/* HiFi-GAN: a log-mel spectrogram to samples.
 *
 * Use: hifigan_configure(), config_check(), hifigan_bind(), bind_load(), then
 * hifigan_render() any number of times. */
#ifndef WOODSHED_ENGINE_NETS_HIFIGAN_H
#define WOODSHED_ENGINE_NETS_HIFIGAN_H

#include "engine/nets/layers.h"
#include "gpu/gpu.h"

struct bind;
struct config;

enum { HIFIGAN_MAX_UPS = 8, HIFIGAN_MAX_KERNELS = 6, HIFIGAN_MAX_DILATIONS = 8 };

struct hifigan_conv {
	struct gpu_tensor *w, *b;
	int64_t kernel, dilation;
};

struct hifigan_up {
	int64_t rate, kernel, width; /* of the output */
	struct gpu_tensor *w, *b;
	struct hifigan_conv first[HIFIGAN_MAX_KERNELS][HIFIGAN_MAX_DILATIONS];
	struct hifigan_conv second[HIFIGAN_MAX_KERNELS][HIFIGAN_MAX_DILATIONS];
};

struct hifigan {
	int64_t n_mels, rate, width; /* of conv_pre's output; Hz */
	int64_t hop;                 /* samples a frame: the product of the rates */
	int n_ups, n_kernels, n_dilations;
	float slope;
	int64_t kernels[HIFIGAN_MAX_KERNELS];
	int64_t dilations[HIFIGAN_MAX_KERNELS][HIFIGAN_MAX_DILATIONS];
	struct hifigan_conv pre, post;
	struct hifigan_up ups[HIFIGAN_MAX_UPS];
};

/* Reads a SpeechT5HifiGanConfig of its own. */
void hifigan_configure(struct hifigan *v, struct config *c);
void hifigan_bind(struct hifigan *v, struct bind *b, enum gpu_dtype dtype, const char *prefix);
/* Samples that n frames give. */
int64_t hifigan_samples(const struct hifigan *v, int64_t n_frames);
/* mel [T, n_mels] -> [hifigan_samples(T), 1] in a; temporaries go to `step`, which is
 * released.  watch: NULL, or told behind every two convolutions. */
struct gpu_tensor *hifigan_render(const struct hifigan *v, struct gpu *g, struct gpu_arena *a,
	struct gpu_arena *step, const struct gpu_tensor *mel, const struct layer_watch *watch);

#endif
