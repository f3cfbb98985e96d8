/* CLAP's audio tower: a spectrum in, one unit vector out, to compare with that of a text.
 *
 * Use: clap_audio_configure(), config_check(), clap_audio_bind(), bind_load(), then
 * clap_audio_encode() any number of times. */
#ifndef WOODSHED_ENGINE_NETS_CLAP_AUDIO_H
#define WOODSHED_ENGINE_NETS_CLAP_AUDIO_H

#include "gpu/gpu.h"

struct arena;
struct bind;
struct config;

enum { CLAP_AUDIO_MAX_STAGES = 6 };

struct clap_audio_block {
	struct gpu_tensor *norm1_w, *norm1_b, *qkv, *qkv_b, *table, *out, *out_b;
	struct gpu_tensor *norm2_w, *norm2_b, *ff_in, *ff_in_b, *ff_out, *ff_out_b;
};

struct clap_audio_stage {
	int64_t side, width, n_heads, n_blocks; /* the grid is side x side */
	struct clap_audio_block *blocks;
	struct gpu_tensor *merge_norm_w, *merge_norm_b, *merge; /* NULL on the last */
};

struct clap_audio {
	int64_t n_mels, size, patch, width, window, projection, ff_ratio;
	int64_t n_stages;
	float eps;
	struct gpu_tensor *bn_w, *bn_b, *bn_mean, *bn_var; /* [n_mels] */
	struct gpu_tensor *patch_w, *patch_b, *patch_norm_w, *patch_norm_b;
	struct clap_audio_stage stages[CLAP_AUDIO_MAX_STAGES];
	struct gpu_tensor *norm_w, *norm_b, *project[2], *project_b[2];
};

/* Reads a ClapConfig of its own. */
void clap_audio_configure(struct clap_audio *t, struct config *c);
void clap_audio_bind(struct clap_audio *t, struct bind *b, struct arena *a, enum gpu_dtype dtype,
	const char *prefix);
/* features [n_frames, n_mels], n_frames at most clap_audio_frames() -> [1, projection] of
 * length 1, in a, which is not `step`. */
int64_t clap_audio_frames(const struct clap_audio *t);
struct gpu_tensor *clap_audio_encode(const struct clap_audio *t, struct gpu *g, struct gpu_arena *a,
	struct gpu_arena *step, const float *features, int64_t n_frames);

#endif
