/* Candidates ranked as the original AudioLDM 2 does it: CLAP's vector of the prompt
 * against CLAP's vector of each take. */
#include <stdlib.h>

#include "engine/audioldm2.h"
#include "engine/pipeline.h"
#include "engine/weights/bind.h"
#include "engine/weights/config.h"
#include "library/base/err.h"

static int configure(struct aldm2_rank *r, const char *dir, struct err *e)
{
	const char *path = "text_encoder/config.json";
	struct config *c;
	int rc = clap_features_open(&r->features, dir, e);

	if (!rc)
		rc = pipeline_config(dir, path, NULL, &c, e);
	if (rc)
		return rc;
	clap_audio_configure(&r->tower, c);
	config_require(c,
		r->features.n_mels == r->tower.n_mels &&
			r->features.n_frames <= clap_audio_frames(&r->tower),
		"the audio tower does not fit the features");
	rc = config_check(c, e);
	config_close(c);
	return rc ? err_wrap(e, rc, "'%s/%s'", dir, path) : 0;
}

void aldm2_rank_done(struct aldm2_rank *r)
{
	gpu_arena_free(r->weights);
	arena_done(&r->host);
}

int aldm2_rank_load(struct aldm2_rank *r, struct gpu *g, const char *dir, struct ckpt *ckpt,
	enum gpu_dtype dtype, int n_threads, const struct engine_watch *watch, struct err *e)
{
	int rc = r->weights ? 0 : configure(r, dir, e);

	if (rc || r->weights)
		return rc;
	r->weights = gpu_arena_new(g, "audio tower");
	struct bind *b = bind_new(ckpt, g, r->weights, n_threads);
	clap_audio_bind(&r->tower, b, &r->host, dtype, "text_encoder/");
	rc = pipeline_load_weights(b, NULL, ENGINE_AUTO, &r->host, watch, e);
	bind_free(b);
	if (rc) {
		gpu_arena_free(r->weights);
		r->weights = NULL;
	}
	return rc;
}

int aldm2_rank_score(const struct aldm2_rank *r, struct gpu *g, struct gpu_arena *step,
	const struct gpu_tensor *text, const float *samples, int64_t n, int64_t rate, double *ret,
	struct err *e)
{
	const int64_t width = text->ne[1];
	float *features = NULL;
	int rc = clap_features_make(&r->features, samples, n, rate, &features, e);

	if (rc)
		return rc;
	struct gpu_arena *a = gpu_arena_new(g, "score");
	const struct gpu_tensor *audio =
		clap_audio_encode(&r->tower, g, a, step, features, r->features.n_frames);
	float *v = xcalloc((size_t)(2 * width), sizeof(*v));
	gpu_read(g, text, v, (size_t)width * sizeof(*v));
	gpu_read(g, audio, v + width, (size_t)width * sizeof(*v));
	*ret = 0;
	for (int64_t i = 0; i < width; i++)
		*ret += (double)v[i] * v[width + i];
	free(v);
	free(features);
	gpu_arena_free(a);
	rc = gpu_sync(g, e);
	return rc ? err_wrap(e, rc, "ranking") : 0;
}
