/* EnCodec: the codec between 50 frames a second of codes and samples.
 *
 * Both halves are streams.  A stream is fed any number of frames at a time
 * and emits every output that can be known by then; codec_flush() emits the
 * rest.  However the input is cut, the output is the same bit for bit, and
 * the memory taken does not depend on the length.
 *
 * Use: codec_configure(), config_check(), then codec_bind_decoder() and (only
 * for prompts of audio) codec_bind_encoder(), then any number of streams. */
#ifndef WOODSHED_ENGINE_NETS_ENCODEC_H
#define WOODSHED_ENGINE_NETS_ENCODEC_H

#include "gpu/gpu.h"

struct bind;
struct config;

enum {
	CODEC_MAX_RATIOS = 8,
	CODEC_MAX_RESIDUAL = 4,
	CODEC_MAX_LSTM = 4,
	CODEC_MAX_LAYERS = 3 + CODEC_MAX_RATIOS * (1 + CODEC_MAX_RESIDUAL),
};

enum codec_pad { CODEC_PAD_ZERO, CODEC_PAD_REFLECT, CODEC_PAD_REPLICATE };

struct codec_config {
	int64_t rate;    /* Hz */
	int64_t hop;     /* samples a frame: the product of the ratios */
	int64_t hidden;  /* width of a latent frame, and of the codebooks */
	int64_t filters; /* width next to the samples; doubles with every ratio */
	int64_t n_ratios, ratios[CODEC_MAX_RATIOS]; /* as the decoder takes them */
	int64_t n_residual, residual_kernel, dilation_growth, compress;
	int64_t kernel, last_kernel;
	int64_t n_lstm;
	int64_t codebook_size;
	int64_t n_codebooks; /* how many of the quantiser's are used */
	double trim_right_ratio;
	bool causal, shortcut;
	enum codec_pad pad;
};

enum codec_kind { CODEC_CONV, CODEC_UP, CODEC_RESIDUAL, CODEC_LSTM };

/* One layer, with the ELU in front of it if there is one. */
struct codec_layer {
	enum codec_kind kind;
	bool elu;
	int module; /* number among the checkpoint's layers */
	int64_t c_in, c_out;
	struct gpu_conv conv;               /* of the first convolution; UP: its stride */
	int64_t c_mid;                      /* RESIDUAL */
	struct gpu_tensor *w, *bias;        /* CONV, UP; RESIDUAL: block.1 */
	struct gpu_tensor *w_out, *b_out;   /* RESIDUAL: block.3 */
	struct gpu_tensor *w_skip, *b_skip; /* RESIDUAL: shortcut, or NULL */
	struct gpu_tensor *w_ih[CODEC_MAX_LSTM], *w_hh[CODEC_MAX_LSTM], *b_ih[CODEC_MAX_LSTM];
};

struct codec_chain {
	int n_layers;
	struct codec_layer layer[CODEC_MAX_LAYERS];
};

struct codec {
	struct codec_config cfg;
	struct codec_chain decoder, encoder;
	struct gpu_tensor *codebooks; /* [n_codebooks * codebook_size, hidden] */
};

/* Reads `audio_encoder` of a config.json.  n_codebooks: how many codes a frame
 * has.  Errors show up in config_check(). */
void codec_configure(struct codec *c, struct config *config, int64_t n_codebooks);
/* All weights are f32: this is where sound is made. */
void codec_bind_decoder(struct codec *c, struct bind *b);
void codec_bind_encoder(struct codec *c, struct bind *b);

/* codes I32 [B * n, n_codebooks], rows ordered (row, time) -> [B, n, hidden] */
struct gpu_tensor *codec_latents(const struct codec *c, struct gpu *g, struct gpu_arena *a,
	const struct gpu_tensor *codes, int64_t batch);
/* latents [n, hidden] -> codes I32 [n, n_codebooks] */
struct gpu_tensor *codec_quantize(const struct codec *c, struct gpu *g, struct gpu_arena *a,
	const struct gpu_tensor *latents);

/* Output of a stream: y [B, n, width], valid during the call. */
typedef void codec_emit_fn(void *ud, struct gpu *g, const struct gpu_tensor *y);

struct codec_stream;
/* `state` keeps what lives from push to push, `step` what lives within one;
 * both are the caller's.  The decoder takes [B, n, hidden] and emits
 * [B, n * hop, 1] in all; the encoder takes [B, n, 1] and emits
 * [B, ceil(n / hop), hidden].  Freed by codec_stream_free(). */
struct codec_stream *codec_stream_new(const struct codec *c, const struct codec_chain *chain,
	struct gpu *g, struct gpu_arena *state, struct gpu_arena *step, int64_t batch,
	codec_emit_fn *emit, void *ud);
void codec_stream_free(struct codec_stream *s); /* NULL-safe */
void codec_push(struct codec_stream *s, const struct gpu_tensor *x);
void codec_flush(struct codec_stream *s);

#endif
