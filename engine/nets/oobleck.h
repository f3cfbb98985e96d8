/* Oobleck: the autoencoder of Stable Audio, between latent frames and samples.
 *
 * Both halves are streams, like EnCodec's (engine/nets/encodec.h): fed any number
 * of frames at a time, they emit every output that can be known by then; however
 * the input is cut, the output is the same bit for bit (on CUDA: but for what the order of
 * sums in a product of another size changes), and the memory taken does not depend on the
 * length.
 *
 * Use: oobleck_configure(), config_check(), oobleck_bind_decoder() and (only for
 * audio to begin with) oobleck_bind_encoder(), bind_load(), oobleck_prepare(), then
 * any number of streams. */
#ifndef WOODSHED_ENGINE_NETS_OOBLECK_H
#define WOODSHED_ENGINE_NETS_OOBLECK_H

#include "gpu/gpu.h"

struct bind;
struct config;

enum {
	OOBLECK_MAX_RATIOS = 8,
	OOBLECK_MAX_LAYERS = 2 + 4 * OOBLECK_MAX_RATIOS,
};

/* How the checkpoint names things: diffusers' folder vae/, or the single file of
 * stable-audio-tools. */
enum oobleck_names { OOBLECK_DIFFUSERS, OOBLECK_TOOLS };

struct oobleck_config {
	int64_t rate;                                 /* Hz */
	int64_t audio_channels, latent_channels;      /* of the decoder's input */
	int64_t encoder_width, decoder_width;         /* next to the samples */
	int64_t encoder_out;                          /* mean and scale */
	int64_t n_ratios, ratios[OOBLECK_MAX_RATIOS]; /* from the samples inwards */
	int64_t multiples[OOBLECK_MAX_RATIOS];        /* of the width, behind each ratio */
	int64_t hop;                                  /* samples a frame: their product */
};

enum oobleck_kind { OOBLECK_CONV, OOBLECK_UP, OOBLECK_RESIDUAL };

struct oobleck_snake {
	struct gpu_tensor *alpha, *inv_beta; /* [C]; in the file the logarithms of alpha, beta */
};

/* One layer, with the snake in front of it if there is one. */
struct oobleck_layer {
	enum oobleck_kind kind;
	int64_t c_in, c_out;
	struct gpu_conv conv; /* of the first convolution; UP: its stride */
	int64_t pad;          /* zeros in front and behind; UP: outputs dropped at both ends */
	struct oobleck_snake snake; /* alpha NULL: none */
	struct gpu_tensor *w, *bias;
	/* RESIDUAL: x + w_out snake_out(w snake(x)) */
	struct oobleck_snake snake_out;
	struct gpu_tensor *w_out, *b_out;
};

struct oobleck_chain {
	int n_layers;
	struct oobleck_layer layer[OOBLECK_MAX_LAYERS];
};

struct oobleck {
	struct oobleck_config cfg;
	enum oobleck_names names;
	struct oobleck_chain decoder, encoder;
};

/* Reads vae/config.json, or a model_config.json; errors show up in config_check(). */
void oobleck_configure(struct oobleck *o, struct config *c, enum oobleck_names names);
/* dtype: of the matrices. */
void oobleck_bind_decoder(struct oobleck *o, struct bind *b, enum gpu_dtype dtype);
void oobleck_bind_encoder(struct oobleck *o, struct bind *b, enum gpu_dtype dtype);
/* Once after bind_load(): snakes from logarithms. */
void oobleck_prepare(struct gpu *g, struct oobleck_chain *chain);

/* Samples that n latent frames give: n * hop, less where a ratio is odd. */
int64_t oobleck_samples(const struct oobleck *o, int64_t n);
/* Latent frames that n samples give. */
int64_t oobleck_frames(const struct oobleck *o, int64_t n);

/* Output of a stream: y [n, channels], valid during the call. */
typedef void oobleck_emit_fn(void *ud, struct gpu *g, const struct gpu_tensor *y);

struct oobleck_stream;
/* `state` keeps what lives from push to push, `step` what lives within one.  The
 * decoder takes [n, latent_channels] and emits samples [.., audio_channels]; the
 * encoder takes [n, audio_channels] and emits [.., encoder_out]. */
struct oobleck_stream *oobleck_stream_new(const struct oobleck_chain *chain, struct gpu *g,
	struct gpu_arena *state, struct gpu_arena *step, oobleck_emit_fn *emit, void *ud);
void oobleck_stream_free(struct oobleck_stream *s); /* NULL-safe */
void oobleck_push(struct oobleck_stream *s, const struct gpu_tensor *x);
void oobleck_flush(struct oobleck_stream *s);

#endif
