/* DeepFilterNet 3's network: features of a spectrum in, gains and filters out.
 *
 * It looks at no frame but those that it was given: frames may come in any
 * number of calls, and the result is the same bit for bit.  What is known of
 * the signal's past is in a struct df_state.
 *
 * Use: df_net_bind(), bind_load(), then any number of states. */
#ifndef WOODSHED_ENGINE_DENOISE_DF_NET_H
#define WOODSHED_ENGINE_DENOISE_DF_NET_H

#include "gpu/gpu.h"

struct bind;

enum {
	DF_BANDS = 32, /* gains */
	DF_BINS = 96,  /* that are filtered */
	DF_TAPS = 5,   /* of each filter */
	DF_CONTEXT = 2,
	DF_C0_CONTEXT = 4,
};

struct df_layer {
	struct gpu_tensor *w, *bias;
};

struct df_gru {
	struct gpu_tensor *w_ih, *w_hh, *b_ih, *b_hh;
};

struct df_net {
	struct {
		struct df_layer erb_conv[4], df_conv[2], lsnr;
		struct gpu_tensor *df_fc_emb, *linear_in, *linear_out;
		struct df_gru gru;
	} enc;
	struct {
		struct df_layer convp[4], convt[4], conv0_out; /* no convt[0] */
		struct gpu_tensor *linear_in, *linear_out;
		struct df_gru gru[2];
	} erb_dec;
	struct {
		struct df_layer convp;
		struct gpu_tensor *linear_in, *skip, *out;
		struct df_gru gru[2];
	} df_dec;
};

/* Names and shapes of engine/denoise/deepfilternet3/model.safetensors. */
void df_net_bind(struct df_net *n, struct bind *b);

/* The past that the next frames see. */
struct df_state {
	float erb[DF_CONTEXT][DF_BANDS], spec[DF_CONTEXT][2 * DF_BINS];
	struct gpu_tensor *c0; /* [4, 98, 64] */
	struct gpu_tensor *h_enc, *h_erb[2], *h_df[2];
};
void df_state_init(struct df_state *s, struct gpu *g, struct gpu_arena *a);
void df_state_clear(struct df_state *s, struct gpu *g);

/* Host arrays of n_frames rows each. */
struct df_frames {
	const float *erb;  /* [DF_BANDS]: levels of the bands */
	const float *spec; /* [2 * DF_BINS]: real parts, then imaginary parts */
	float *gains;      /* [DF_BANDS], 0 to 1 */
	float *coefs;      /* [DF_BINS][DF_TAPS][real, imaginary], the oldest tap first */
	float *snr;        /* dB, -15 to 35: the network's estimate */
};
/* `step` is released to where it was. */
void df_net_forward(const struct df_net *n, struct gpu *g, struct gpu_arena *step,
	struct df_state *s, const struct df_frames *f, int64_t n_frames);

#endif
