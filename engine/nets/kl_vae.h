/* The decoder of diffusers' AutoencoderKL: latents to a spectrogram.
 *
 * Use: kl_vae_configure(), config_check(), kl_vae_bind(), bind_load(), then
 * kl_vae_decode() any number of times. */
#ifndef WOODSHED_ENGINE_NETS_KL_VAE_H
#define WOODSHED_ENGINE_NETS_KL_VAE_H

#include "engine/nets/layers.h"
#include "engine/nets/resnet2d.h"
#include "gpu/gpu.h"

struct bind;
struct config;

enum { KL_VAE_MAX_LEVELS = 8, KL_VAE_MAX_RESNETS = 9 };

struct kl_vae_level {
	struct resnet2d resnets[KL_VAE_MAX_RESNETS];
	struct conv3x3 up; /* none on the last */
};

struct kl_vae {
	int64_t n_latents;  /* channels of a latent */
	int64_t n_channels; /* of the image */
	int64_t n_levels, widths[KL_VAE_MAX_LEVELS], n_resnets, n_groups;
	int64_t scale;                      /* image rows per latent row: 2^(n_levels - 1) */
	double scaling_factor;              /* latents are multiplied by this when encoded */
	struct gpu_tensor *post_w, *post_b; /* [n_latents, n_latents] */
	struct conv3x3 conv_in, conv_out;
	struct resnet2d mid[2];
	struct gpu_tensor *attn_norm_w, *attn_norm_b, *qkv, *qkv_b, *attn_out, *attn_out_b;
	struct kl_vae_level levels[KL_VAE_MAX_LEVELS];
	struct gpu_tensor *norm_w, *norm_b;
};

/* Reads a config.json of its own.  Errors show up in config_check(). */
void kl_vae_configure(struct kl_vae *v, struct config *c);
/* prefix: of the tensor names, "vae/". */
void kl_vae_bind(struct kl_vae *v, struct bind *b, enum gpu_dtype dtype, const char *prefix);
/* z [1, H, W, n_latents], as they were diffused -> [1, H * scale, W * scale, n_channels] in a;
 * temporaries go to `step`, which is released.  watch: NULL, or told behind every resnet and
 * enlargement. */
struct gpu_tensor *kl_vae_decode(const struct kl_vae *v, struct gpu *g, struct gpu_arena *a,
	struct gpu_arena *step, const struct gpu_tensor *z, const struct layer_watch *watch);

#endif
