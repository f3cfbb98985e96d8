/* What engines share: precisions, weights, tokens, what every request must be, the watcher. */
#include "engine/pipeline.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "engine/text/unigram.h"
#include "engine/weights/bind.h"
#include "library/base/arena.h"
#include "library/base/err.h"

enum { MAX_TAKES = 1024 };
/* AUTO: a model whose weights take no more than this in f32 is run in f32. */
#define SMALL_MODEL_BYTES (256u << 20)
/* Smaller tables are converted faster than a cache is worth. */
#define CACHE_LEAST_BYTES (128u << 20)

/* ---- weights ------------------------------------------------------------ */

const char *engine_precision_name(enum engine_precision p)
{
	return p == ENGINE_F32 ? "f32" : p == ENGINE_INT8 ? "int8" : "bf16";
}

void pipeline_choose_precision(struct gpu *g, struct engine_needs *needs)
{
	const uint64_t *bytes = needs->weights;
	const uint64_t available = gpu_bytes_free(g); /* 0: not known */

	if (bytes[ENGINE_F32] <= SMALL_MODEL_BYTES)
		needs->automatic = ENGINE_F32;
	else if (!bytes[ENGINE_INT8] || !available ||
		 bytes[ENGINE_BF16] + needs->render <= available)
		needs->automatic = ENGINE_BF16;
	else
		needs->automatic = ENGINE_INT8;
}

int pipeline_check_weights(struct bind *b, const struct engine_watch *watch, struct err *e)
{
	char unused[512];
	int rc = bind_check(b, unused, sizeof(unused), e);

	if (!rc && *unused)
		watch_warn(watch, "%s", unused);
	return rc;
}

static int load_progress(void *ud, uint64_t done, uint64_t total)
{
	return watch_progress(ud, ENGINE_STAGE_LOAD, done, total, NULL);
}

int pipeline_load_weights(struct bind *b, const char *cache, enum engine_precision p,
	struct arena *a, const struct engine_watch *watch, struct err *e)
{
	/* In f32 there is nothing to convert. */
	if (cache && p != ENGINE_F32 && bind_bytes(b) >= CACHE_LEAST_BYTES)
		bind_use_cache(
			b, arena_printf(a, "%s-%s.weights", cache, engine_precision_name(p)));
	return bind_load(b, load_progress, (void *)(uintptr_t)watch, e);
}

void pipeline_needs(struct engine *en, pipeline_bind_fn *bind_all, enum engine_precision last,
	uint64_t render_bytes, struct engine_needs *ret)
{
	*ret = (struct engine_needs){.render = render_bytes};
	for (enum engine_precision p = ENGINE_F32; p <= last; p++) {
		struct bind *b = bind_all(en, p, false);
		ret->weights[p] = bind_bytes(b);
		bind_free(b);
	}
	pipeline_choose_precision(en->gpu, ret);
}

int pipeline_load(struct engine *en, pipeline_bind_fn *bind_all, const char *cache,
	enum engine_precision p, struct arena *a, const struct engine_watch *watch, struct err *e)
{
	struct bind *b = bind_all(en, p, true);
	int rc = pipeline_check_weights(b, watch, e);

	bind_free(b);
	if (rc)
		return rc;
	b = bind_all(en, p, false);
	rc = pipeline_load_weights(b, cache, p, a, watch, e);
	bind_free(b);
	return rc;
}

/* ---- text --------------------------------------------------------------- */

int pipeline_check_tokens(const int32_t *ids, size_t n, int64_t vocab, struct err *e)
{
	for (size_t i = 0; i < n; i++)
		if (ids[i] < 0 || ids[i] >= vocab)
			return err_set(e, ERR_FORMAT,
				"the tokenizer gives token %d, but the text encoder knows %lld: "
				"the files of the model do not belong together",
				(int)ids[i], (long long)vocab);
	return 0;
}

int pipeline_tokens(const struct unigram *words, const char *text, const char *what, size_t most,
	int64_t vocab, const struct engine_watch *watch, int32_t **ret, size_t *ret_n,
	struct err *e)
{
	int rc = unigram_encode(words, text, strlen(text), ret, ret_n, e);

	if (rc)
		return rc;
	if (*ret_n > most) {
		watch_warn(watch, "the %s is too long: its last %zu of %zu tokens were cut off",
			what, *ret_n - most, *ret_n - 1);
		(*ret)[most - 1] = (*ret)[*ret_n - 1];
		*ret_n = most;
	}
	return pipeline_check_tokens(*ret, *ret_n, vocab, e);
}

/* ---- requests ----------------------------------------------------------- */

int pipeline_check_request(const struct engine_request *r, struct err *e)
{
	if (r->n_takes < 1 || r->n_takes > MAX_TAKES)
		return err_set(e, ERR_ARG, "%d takes at once are not possible; 1 to %d are",
			r->n_takes, MAX_TAKES);
	if (isinf(r->guidance))
		return err_set(e, ERR_ARG, "guidance must be a finite number");
	if (r->noise && r->n_takes > 1)
		return err_set(e, ERR_ARG, "noise from a file makes one take, not %d", r->n_takes);
	return 0;
}

float pipeline_guidance(const struct engine_request *r, const struct engine_info *info,
	const struct engine_watch *watch)
{
	const float guidance = isnan(r->guidance) ? info->default_guidance : r->guidance;

	if (guidance > 1)
		return guidance;
	if (r->negative)
		watch_warn(watch,
			"the negative prompt has no effect: with a guidance of %g the model does "
			"not look at it; take more than 1",
			(double)guidance);
	return 0;
}

int pipeline_check_audio(const struct engine_info *info, const struct engine_audio *a,
	const char *what, struct err *e)
{
	if (a->rate != info->rate || a->channels != info->channels)
		return err_set(e, ERR_ARG,
			"the audio to %s has %d channels at %d Hz; the model takes %d at %d", what,
			a->channels, a->rate, info->channels, info->rate);
	if (a->frames < 1)
		return err_set(e, ERR_ARG, "the audio to %s is empty", what);
	for (int64_t i = 0; i < a->frames * a->channels; i++)
		if (!isfinite(a->samples[i]))
			return err_set(e, ERR_FORMAT,
				"the audio to %s holds a sample that is not a number", what);
	return 0;
}

/* ---- watching ----------------------------------------------------------- */

int watch_progress(const struct engine_watch *watch, enum engine_stage stage, uint64_t done,
	uint64_t total, struct err *e)
{
	if (watch && watch->progress && watch->progress(watch->ud, stage, done, total))
		return err_set(e, ERR_CANCELLED, "cancelled");
	return 0;
}

void watch_warn(const struct engine_watch *watch, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	if (!watch || !watch->warn)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	watch->warn(watch->ud, text);
}
