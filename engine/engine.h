/* engine.h: from a prompt to samples.
 *
 * An engine is a model held in memory: engine_open() finds out from a folder
 * in Hugging Face layout which engine it is for and loads it, engine_render()
 * makes takes, any number of times, engine_close() frees all.  One thread at
 * a time per engine.  Nothing here touches the library or the terminal. */
#ifndef WOODSHED_ENGINE_H
#define WOODSHED_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct engine;
struct gpu;

enum engine_precision {
	ENGINE_AUTO, /* f32 for a model small enough to be quick in it, else bf16, else int8 */
	ENGINE_F32,
	ENGINE_BF16,
	ENGINE_INT8,
};

/* Stages of work, told to the caller as they advance.  `total` may be 0 when
 * it is not known.  A non-zero return cancels: the call in progress ends with
 * ERR_CANCELLED within one step. */
enum engine_stage {
	ENGINE_STAGE_LOAD,   /* bytes */
	ENGINE_STAGE_TEXT,   /* tokens */
	ENGINE_STAGE_RENDER, /* steps, over all windows */
	ENGINE_STAGE_DECODE, /* frames, or shares of the work */
};
const char *engine_stage_name(enum engine_stage s); /* "load", "text", "render", "decode" */

struct engine_watch {
	int (*progress)(void *ud, enum engine_stage stage, uint64_t done, uint64_t total);
	/* One sentence that the user should see but that stops nothing (text cut,
	 * unused tensors). */
	void (*warn)(void *ud, const char *text);
	void *ud;
};

struct engine_options {
	const char *device; /* "auto" (NULL), "cpu", "cuda" */
	enum engine_precision precision;
	int n_threads; /* 0: all processors */
	/* CUDA: every step is run op by op instead of replaying a recording of it: the same
	 * bits, more slowly, to look for a fault. */
	bool no_replay;
	/* Where to keep converted weights and their checkpoint's hash: the precision and
	 * ".weights", and ".sha256" are appended.  NULL: nowhere. */
	const char *cache;
};

struct engine_info {
	const char *engine;         /* "musicgen" */
	const char *precision;      /* "f32", "bf16", "int8": what is really used */
	const char *device;         /* "cpu", "cuda" */
	const char *gpu;            /* gpu_name() */
	const char *model_hash;     /* hex sha256 over config.json and what tells the weight files
				       apart in milliseconds: headers, sizes, samples */
	const char *weights_sha256; /* hex, of all of the weights: ckpt_sha256() */
	int rate;                   /* Hz */
	int channels;
	int64_t frame_samples;  /* samples per channel of one codec frame; 1: no frames */
	int64_t default_frames; /* codec frames of a take whose length nobody gave */
	int64_t longest_frames; /* of a take; 0: any */
	float default_guidance;
	/* Of a diffusion engine; else 0 and NULL. */
	int default_steps;
	const char *default_sampler;
};

/* What engine_info() will say of a model, from its descriptions alone: no weights are
 * read.  Device, precision and hashes are NULL. */
int engine_describe(const char *dir, struct engine_info *ret, struct err *e);

/* What a model needs of a device's memory, from descriptions and headers alone. */
struct engine_needs {
	/* Bytes of the weights in each precision; 0: the engine has no such. */
	uint64_t weights[ENGINE_INT8 + 1];
	/* Besides, for a take of the usual length, about; 0: not known. */
	uint64_t render;
	enum engine_precision automatic; /* what ENGINE_AUTO would take now */
};
int engine_needs(const char *dir, struct gpu *g, struct engine_needs *ret, struct err *e);
/* "f32", "bf16", "int8" */
const char *engine_precision_name(enum engine_precision p);

/* dir: a folder in Hugging Face layout.  ERR_FORMAT, one sentence, when it
 * holds no known model or a broken one; ERR_NOMEM before anything large is
 * allocated when it cannot fit. */
int engine_open(const char *dir, const struct engine_options *options,
	const struct engine_watch *watch, struct engine **ret, struct err *e);
void engine_close(struct engine *en); /* NULL-safe */
const struct engine_info *engine_info(const struct engine *en);
struct gpu *engine_gpu(struct engine *en); /* for counters and taps */

/* Audio, interleaved. */
struct engine_audio {
	const float *samples; /* borrowed, [frames * channels] */
	int64_t frames;
	int channels;
	int rate;
};

/* What a take is decoded from: the codes of MusicGen, the latents of a diffusion
 * model.  Opaque, and good for a request with the same model, prompt, seed and
 * parameters: whoever keeps it can decode again without rendering again. */
struct engine_latents {
	const void *data;
	size_t bytes;
};

/* Standard-normal draws to use instead of the generator's, as a file holds them:
 * channel by channel. */
struct engine_noise {
	const float *latents; /* [n]; what the latents begin as */
	const float *steps;   /* [n_steps, n], or NULL: what samplers add */
	int64_t n, n_steps;
};

struct engine_request {
	const char *prompt; /* UTF-8; "" is unconditional */
	/* Length in exact thousandths of a codec frame would lose nothing; the
	 * caller has already turned seconds into frames (engine_frames()). */
	int64_t n_frames; /* codec frames in the take, a continued prompt included */
	int n_takes;      /* seeds seed .. seed + n_takes - 1, rendered as one batch */
	uint64_t seed;
	float guidance; /* <= 1: none.  NAN: the model's default */
	bool greedy;
	float temperature; /* 0: 1.0 */
	int top_k;         /* -1: 250; 0: off */
	float top_p;       /* 0: off */
	struct engine_audio
		continued; /* samples NULL: none; must have the model's rate and channels */
	const struct engine_latents *latents; /* [n_takes], from an earlier sink; NULL: render */

	/* Of the diffusion engines. */
	const char *negative; /* negative prompt; NULL: none, which is not the same as "" */
	int steps;            /* 0: the model's */
	const char *sampler;  /* NULL: the model's */
	const struct engine_noise *noise; /* NULL: the generator */
	float sigma_min, sigma_max;       /* of the sampler's grid; 0: the model's */
	struct engine_audio init;  /* audio to begin with; samples NULL: none; the model's rate */
	float strength;            /* of the noise on it, 0 .. 1; 1 leaves nothing of it */
	double redo_from, redo_to; /* seconds of it to make anew, the rest stays; equal: all */
	int preview;               /* every so many steps; 0: never */
};

/* Receives the audio of each take in order as it is decoded; a non-zero
 * return (a negative ERR_* code, with *e set) ends the render. */
struct engine_sink {
	int (*audio)(void *ud, int take, const struct engine_audio *chunk, struct err *e);
	/* NULL, or told for each take before the first of its audio. */
	int (*latents)(void *ud, int take, const struct engine_latents *l, struct err *e);
	/* NULL, or told, before the first of a take's audio, how well it fits the prompt: the
	 * cosine of CLAP's vectors of both, -1 .. 1.  AudioLDM 2 only. */
	int (*score)(void *ud, int take, double score, struct err *e);
	/* NULL, or told what the take would be if it ended with this step (from 1). */
	int (*preview)(
		void *ud, int take, int step, const struct engine_audio *whole, struct err *e);
	void *ud;
};

int engine_render(struct engine *en, const struct engine_request *r,
	const struct engine_watch *watch, const struct engine_sink *sink, struct err *e);

/* ceil(seconds * rate / frame_samples), computed exactly on the decimal text
 * ("1.1" at 50 frames a second is 55); to the nearest where a frame is a sample.
 * ERR_ARG in words for anything that is not a positive decimal number of at most
 * 24 hours, or more than the model makes. */
int engine_frames(
	const struct engine_info *info, const char *seconds, int64_t *ret_frames, struct err *e);

/* Whether any model of the engine has the sampler, before one is loaded; which of them the
 * model has is known then.  ERR_ARG, with the names there are. */
int engine_check_sampler(const char *engine, const char *sampler, struct err *e);

/* "musicgen", ...: the engines that there are; NULL behind the last. */
const char *engine_name(size_t i);

/* The texts of a model without its weights: for whoever tells how much of a prompt
 * is read while it is typed. */
struct engine_text;

/* engine: its name; dir: the model's folder.  ERR_UNSUPPORTED when the engine does
 * not count. */
int engine_text_open(const char *engine, const char *dir, struct engine_text **ret, struct err *e);
/* Tokens of the text, those around it included, and how many of them are read. */
int engine_text_count(
	struct engine_text *t, const char *text, size_t *ret_n, size_t *ret_max, struct err *e);
void engine_text_close(struct engine_text *t); /* NULL-safe */

#endif
