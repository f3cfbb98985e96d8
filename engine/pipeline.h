/* What one engine supplies to the front of engine.h.  Private to engine/.
 *
 * engine.c finds out which engine a folder is for, opens the device and calls
 * open(); open() fills info but for engine, device and the hashes. */
#ifndef WOODSHED_ENGINE_PIPELINE_H
#define WOODSHED_ENGINE_PIPELINE_H

#include "engine/engine.h"

struct arena;
struct bind;
struct ckpt;
struct config;
struct unigram;

/* What open() is given; config and ckpt are the engine's from then on, even
 * if it fails. */
struct engine_source {
	const char *dir;
	struct config *config; /* of the file that told the engine; owned */
	struct ckpt *ckpt;     /* owned; kept open until close() */
};

struct engine_ops {
	const char *name;
	/* What tells its models, one of: _class_name of model_index.json, model_type of
	 * config.json, model_type of model_config.json (stable-audio-tools). */
	const char *pipeline, *model_type, *tools_type;
	/* Ending with NULL: the folders that hold weights ("": the model's own), as
	 * ckpt_open_parts() takes them, and the files that say what the model is. */
	const char *const *parts;
	const char *const *configs;
	/* The names of its samplers, of all kinds of its models; NULL behind the last. */
	const char *(*samplers[2])(size_t i);
	const char *lacking; /* remedy when a folder lacks; NULL: download it again */
	int (*open)(struct engine *en, const struct engine_source *src,
		const struct engine_options *options, const struct engine_watch *watch,
		struct err *e);
	/* engine_describe(): *info as open() fills it but for precision.  config: of the file
	 * that told the engine; borrowed. */
	int (*describe)(
		const char *dir, struct config *config, struct engine_info *info, struct err *e);
	/* engine_needs(): as open(), for en->gpu, without loading anything. */
	int (*needs)(struct engine *en, const struct engine_source *src, struct engine_needs *ret,
		struct err *e);
	int (*render)(struct engine *en, const struct engine_request *r,
		const struct engine_watch *watch, const struct engine_sink *sink, struct err *e);
	void (*close)(struct engine *en); /* after a failed open(), too */
	/* engine_text_*(), on the engine's own; NULL: it does not count. */
	int (*text_open)(const char *dir, void **ret, struct err *e);
	int (*text_count)(void *text, const char *s, size_t *ret_n, size_t *ret_max, struct err *e);
	void (*text_close)(void *text); /* NULL-safe */
};

struct engine {
	const struct engine_ops *ops;
	struct gpu *gpu;
	struct engine_info info;
	char model_hash[65], weights_sha256[65];
	void *model; /* the engine's own */
};

extern const struct engine_ops musicgen_ops, stable_audio_ops, stable_audio_tools_ops,
	audioldm2_ops;

/* What an AudioLDM 2 model tells of a take's decoding: the VAE's share and all. */
enum { AUDIOLDM2_VAE_TICKS = 12, AUDIOLDM2_DECODE_TICKS = 48 };
/* For tests: how well samples at the model's rate fit a text. */
int audioldm2_score(struct engine *en, const char *prompt, const float *samples, int64_t n,
	double *ret, struct err *e);

/* dir/path, the description of a pipeline's part, whose _class_name must be `class` (NULL:
 * any).  Closed by config_close(). */
int pipeline_config(
	const char *dir, const char *path, const char *class, struct config **ret, struct err *e);

/* needs->automatic, by the rest of it: f32 for a small model; else bf16 if that fits what is
 * free on the device or there is no int8; else int8. */
void pipeline_choose_precision(struct gpu *g, struct engine_needs *needs);

/* bind_check(); tensors that nobody asked for are a warning. */
int pipeline_check_weights(struct bind *b, const struct engine_watch *watch, struct err *e);

/* bind_load(), told as ENGINE_STAGE_LOAD.  Where there is something to convert, and enough
 * of it, converted weights are kept in "CACHE-PRECISION.weights"; cache NULL: never.  The
 * name is in the arena, for as long as b needs it. */
int pipeline_load_weights(struct bind *b, const char *cache, enum engine_precision p,
	struct arena *a, const struct engine_watch *watch, struct err *e);

/* Binds all that the engine needs, and with_encoder that which audio to begin with needs
 * besides, which is read when it is asked for. */
typedef struct bind *pipeline_bind_fn(
	struct engine *en, enum engine_precision p, bool with_encoder);

/* Bytes of the weights, the encoder's left out, in all precisions up to `last`; then
 * pipeline_choose_precision(). */
void pipeline_needs(struct engine *en, pipeline_bind_fn *bind_all, enum engine_precision last,
	uint64_t render_bytes, struct engine_needs *ret);

/* pipeline_check_weights() of all, the encoder's too, then pipeline_load_weights() of all but
 * those. */
int pipeline_load(struct engine *en, pipeline_bind_fn *bind_all, const char *cache,
	enum engine_precision p, struct arena *a, const struct engine_watch *watch, struct err *e);

/* Token ids of a text, at most `most`, the end token last; `what` it is ("prompt") for the
 * warning that some were cut off.  *ret is the caller's to free, after an error, too.
 * ERR_FORMAT where the text encoder does not know one. */
int pipeline_tokens(const struct unigram *words, const char *text, const char *what, size_t most,
	int64_t vocab, const struct engine_watch *watch, int32_t **ret, size_t *ret_n,
	struct err *e);
/* ERR_FORMAT unless all are of 0 .. vocab - 1. */
int pipeline_check_tokens(const int32_t *ids, size_t n, int64_t vocab, struct err *e);

/* What all engines ask of a request: how many takes, guidance, and noise from a file for
 * one take alone.  ERR_ARG. */
int pipeline_check_request(const struct engine_request *r, struct err *e);

/* The scale of a diffusion engine's guidance: 0 where it is none, and a warning where a
 * negative prompt then means nothing. */
float pipeline_guidance(const struct engine_request *r, const struct engine_info *info,
	const struct engine_watch *watch);

/* Audio that a request brings, `what` it is for ("continue"): of the model's rate and
 * channels, not empty, all finite.  ERR_ARG, ERR_FORMAT. */
int pipeline_check_audio(const struct engine_info *info, const struct engine_audio *a,
	const char *what, struct err *e);

/* For tests: windows of this many frames instead of the model's.  At least 2. */
void musicgen_set_window(struct engine *en, int64_t n_frames);

/* Tells the watcher; ERR_CANCELLED when it wants no more.  watch, and what it
 * points to, may be NULL. */
int watch_progress(const struct engine_watch *watch, enum engine_stage stage, uint64_t done,
	uint64_t total, struct err *e);
void watch_warn(const struct engine_watch *watch, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#endif
