/* One tiny AudioLDM 2 checkpoint against what diffusers made of it.
 *
 *	parity FOLDER EXPECTED
 *
 * FOLDER is the checkpoint, EXPECTED.json the runs, EXPECTED.safetensors their noise
 * and the tensors that came of it (make_fixtures.py says how).  Every run is a test of
 * its own; what each network gives on the way is compared too. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/engine.h"
#include "engine/pipeline.h"
#include "engine/weights/ckpt.h"
#include "gpu/gpu.h"
#include "library/base/err.h"
#include "library/base/str.h"
#include "tests/parity/manifest.h"
#include "tests/parity/tap.h"
#include "tests/parity/values.h"

enum { MAX_TAPS = 16 };

struct seen {
	const json_t *run;
	struct {
		char name[32]; /* as in EXPECTED */
		struct values v;
	} taps[MAX_TAPS];
	int n_taps;
	struct values audio;
	struct engine_latents kept;         /* owned */
	int n_previews, n_steps, cancel_at; /* 0: never */
};

struct parity {
	const char *folder;
	json_t *manifest;
	struct ckpt *expected;
	struct engine *en;
};

/* ---- rendering ---------------------------------------------------------- */

/* What EXPECTED calls the tensor of a tap; of texts, the prompt comes first. */
static bool name_tap(const struct seen *s, const char *tap, char out[32])
{
	static const char *const texts[][2] = {
		{"clap.text", "clap"}, {"t5.out", "t5"}, {"gpt2.generated", "generated"}};
	const int steps = (int)number(s->run, "steps", 0);
	char last[32];

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		if (strcmp(tap, texts[i][0]))
			continue;
		snprintf(out, 32, "%s.positive", texts[i][1]);
		for (int k = 0; k < s->n_taps; k++)
			if (!strcmp(s->taps[k].name, out))
				snprintf(out, 32, "%s.negative", texts[i][1]);
		return true;
	}
	snprintf(last, sizeof(last), "prediction%d", steps);
	if (!strcmp(tap, "prediction1") || !strcmp(tap, last))
		return snprintf(out, 32, "prediction.%s", tap + strlen("prediction")) > 0;
	snprintf(last, sizeof(last), "latents%d", steps);
	if (!strcmp(tap, last))
		return snprintf(out, 32, "latents") > 0;
	return !strcmp(tap, "vae.out") && snprintf(out, 32, "mel") > 0;
}

static void on_tap(void *ud, struct gpu *g, const char *name, const struct gpu_tensor *t)
{
	struct seen *s = ud;
	char as[32];

	if (s->n_taps == MAX_TAPS || !name_tap(s, name, as))
		return;
	struct values v = values_of(g, t);
	/* the reference has channels first */
	const bool is_image = t->n_dims == 3;
	snprintf(s->taps[s->n_taps].name, sizeof(s->taps->name), "%s", as);
	s->taps[s->n_taps++].v = is_image ? transposed(v, (size_t)(t->ne[0] * t->ne[1])) : v;
	if (is_image)
		free(v.v);
}

static int on_audio(void *ud, int take, const struct engine_audio *chunk, struct err *e)
{
	append(&((struct seen *)ud)->audio, chunk->samples, (size_t)chunk->frames);
	return 0;
}

static int on_latents(void *ud, int take, const struct engine_latents *l, struct err *e)
{
	struct seen *s = ud;
	void *copy = need(malloc(l->bytes));

	memcpy(copy, l->data, l->bytes);
	free((void *)(uintptr_t)s->kept.data);
	s->kept = (struct engine_latents){copy, l->bytes};
	return 0;
}

static int on_preview(void *ud, int take, int step, const struct engine_audio *whole, struct err *e)
{
	((struct seen *)ud)->n_previews++;
	return 0;
}

static int on_progress(void *ud, enum engine_stage stage, uint64_t done, uint64_t total)
{
	struct seen *s = ud;

	if (stage == ENGINE_STAGE_RENDER && done)
		s->n_steps++;
	return s->cancel_at && s->n_steps >= s->cancel_at;
}

static void seen_done(struct seen *s)
{
	for (int i = 0; i < s->n_taps; i++)
		free(s->taps[i].v.v);
	free(s->audio.v);
	free((void *)(uintptr_t)s->kept.data);
}

/* The request of a run; noise (owned by the caller) must outlive it. */
static int request(const struct parity *p, const json_t *run, struct engine_noise *noise,
	struct engine_request *ret, struct err *e)
{
	const struct values start = values_part(p->expected, text(run, "name"), "noise");

	*noise = (struct engine_noise){.latents = start.v, .n = (int64_t)start.n};
	*ret = (struct engine_request){.prompt = text(run, "prompt"),
		.negative = text(run, "negative"),
		.n_takes = 1,
		.guidance = (float)number(run, "guidance", 1),
		.steps = (int)number(run, "steps", 0),
		.sampler = text(run, "sampler"),
		.noise = noise};
	int rc = engine_frames(engine_info(p->en), text(run, "seconds"), &ret->n_frames, e);
	if (!rc && (double)ret->n_frames != number(run, "samples", 0))
		rc = err_set(e, ERR_BUG, "%s s are %lld samples", text(run, "seconds"),
			(long long)ret->n_frames);
	return rc;
}

static void noise_free(struct engine_noise *n)
{
	free((void *)(uintptr_t)n->latents);
}

static int render_with(
	const struct engine_request *r, struct engine *en, struct seen *s, struct err *e)
{
	const struct engine_sink sink = {
		.audio = on_audio, .latents = on_latents, .preview = on_preview, .ud = s};
	const struct engine_watch watch = {.progress = on_progress, .ud = s};

	gpu_set_tap(engine_gpu(en), on_tap, s);
	int rc = engine_render(en, r, &watch, &sink, e);
	gpu_set_tap(engine_gpu(en), NULL, NULL);
	return rc;
}

static int render(
	const struct parity *p, const json_t *run, struct engine *en, struct seen *s, struct err *e)
{
	struct engine_request r;
	struct engine_noise noise;
	int rc = request(p, run, &noise, &r, e);

	s->run = run;
	if (!rc)
		rc = render_with(&r, en, s, e);
	noise_free(&noise);
	return rc;
}

/* ---- runs --------------------------------------------------------------- */

static bool check_taps(const struct parity *p, const json_t *run, const struct seen *s)
{
	const json_t *noise = json_object_get(run, "noise");
	int n_compared = 0;
	bool ok = true;

	for (int i = 0; i < s->n_taps; i++) {
		const char *name = s->taps[i].name;
		struct values want = values_part(p->expected, text(run, "name"), name);
		if (want.n) {
			ok &= close_to(name, s->taps[i].v, want, number(noise, name, 0));
			n_compared++;
		}
		free(want.v);
	}
	/* all of them: wave is not a tap */
	if (json_is_true(json_object_get(run, "taps")) &&
		n_compared + 1 != (int)json_object_size(noise)) {
		tap_remark("%d of %zu tensors were seen", n_compared, json_object_size(noise) - 1);
		ok = false;
	}
	return ok;
}

static bool check_run(const struct parity *p, const json_t *run)
{
	struct seen s = {0};
	struct err e = {0};
	bool ok = !render(p, run, p->en, &s, &e);

	if (!ok) {
		tap_remark("%s", e.text);
	} else {
		struct values want = values_part(p->expected, text(run, "name"), "wave");
		ok = check_taps(p, run, &s);
		ok &= close_to(
			"samples", s.audio, want, number(json_object_get(run, "noise"), "wave", 0));
		free(want.v);
	}
	seen_done(&s);
	return ok;
}

static const json_t *main_run(const struct parity *p)
{
	return json_array_get(json_object_get(p->manifest, "runs"), 0);
}

static bool same_audio(const struct seen *a, const struct seen *b)
{
	return a->audio.n && a->audio.n == b->audio.n &&
	       !memcmp(a->audio.v, b->audio.v, a->audio.n * sizeof(float));
}

/* What was kept of a render gives the same samples; damaged, it is refused. */
static bool check_kept(const struct parity *p)
{
	const json_t *run = main_run(p);
	struct seen first = {0}, again = {.run = run}, none = {.run = run};
	struct engine_request r;
	struct engine_noise noise;
	struct err e = {0};
	bool ok = !request(p, run, &noise, &r, &e) && !render(p, run, p->en, &first, &e);

	if (!ok) {
		tap_remark("%s", e.text);
		goto out;
	}
	r.latents = &first.kept;
	ok = !render_with(&r, p->en, &again, &e) && same_audio(&first, &again) && !again.n_steps;
	((float *)(uintptr_t)first.kept.data)[3] = NAN;
	ok &= render_with(&r, p->en, &none, &e) == ERR_FORMAT;
	first.kept.bytes--;
	err_clear(&e);
	ok &= render_with(&r, p->en, &none, &e) == ERR_FORMAT;
out:
	noise_free(&noise);
	seen_done(&first);
	seen_done(&again);
	seen_done(&none);
	return ok;
}

/* Noise of the generator: a batch gives what its takes give alone, on any number of
 * threads; another seed gives something else. */
static bool check_seeds(const struct parity *p)
{
	const struct engine_options options = {.precision = ENGINE_F32, .n_threads = 1};
	const json_t *run = main_run(p);
	struct seen batch = {.run = run}, one = {.run = run}, two = {.run = run};
	struct engine *en = NULL;
	struct engine_request r;
	struct engine_noise noise;
	struct err e = {0};
	bool ok = !request(p, run, &noise, &r, &e);

	r.noise = NULL;
	r.seed = UINT64_C(1) << 40;
	r.n_takes = 2;
	ok = ok && !render_with(&r, p->en, &batch, &e);
	r.n_takes = 1;
	ok = ok && !engine_open(p->folder, &options, NULL, &en, &e) &&
	     !render_with(&r, en, &one, &e);
	r.seed++;
	ok = ok && !render_with(&r, en, &two, &e);
	if (!ok)
		tap_remark("%s", e.text);
	const size_t n = one.audio.n * sizeof(float);
	ok = ok && batch.audio.n == 2 * one.audio.n && !memcmp(batch.audio.v, one.audio.v, n) &&
	     !memcmp(batch.audio.v + one.audio.n, two.audio.v, n) &&
	     memcmp(one.audio.v, two.audio.v, n);
	engine_close(en);
	noise_free(&noise);
	seen_done(&batch);
	seen_done(&one);
	seen_done(&two);
	return ok;
}

/* Previews change nothing; a cancelled render ends within a step. */
static bool check_previews(const struct parity *p)
{
	const json_t *run = main_run(p);
	struct seen with = {.run = run}, without = {0}, cancelled = {.run = run, .cancel_at = 2};
	struct engine_request r;
	struct engine_noise noise;
	struct err e = {0};
	bool ok = !request(p, run, &noise, &r, &e) && !render(p, run, p->en, &without, &e);

	r.preview = 2;
	ok = ok && !render_with(&r, p->en, &with, &e) && same_audio(&with, &without) &&
	     with.n_previews == (r.steps - 1) / 2;
	ok &= render_with(&r, p->en, &cancelled, &e) == ERR_CANCELLED && cancelled.n_steps == 2;
	noise_free(&noise);
	seen_done(&with);
	seen_done(&without);
	seen_done(&cancelled);
	return ok;
}

/* ---- ranking ------------------------------------------------------------ */

struct heard {
	struct values v;
};

static void on_heard(void *ud, struct gpu *g, const char *name, const struct gpu_tensor *t)
{
	struct heard *h = ud;

	if (strcmp(name, "clap.audio"))
		return;
	free(h->v.v);
	h->v = values_of(g, t);
}

/* The features are compared too, at every stride-th frame: what they are off by in decibels
 * is what two resamplers with stop bands beyond 100 dB leave, below the floor of -100 dB. */
static bool check_rank(const struct parity *p)
{
	const json_t *rank = json_object_get(p->manifest, "rank");
	const json_t *noise = json_object_get(rank, "noise");
	struct values audio = values_part(p->expected, "rank", "audio"),
		      cosines = values_part(p->expected, "rank", "cosines");
	const size_t n_takes = (size_t)number(rank, "takes", 0), width = audio.n / n_takes;
	bool ok = true;

	for (size_t i = 0; i < n_takes; i++) {
		char name[32];
		struct heard h = {0};
		struct err e = {0};
		double score = 0;
		snprintf(name, sizeof(name), "take.%zu", i);
		struct values take = values_part(p->expected, "rank", name);
		gpu_set_tap(engine_gpu(p->en), on_heard, &h);
		if (audioldm2_score(
			    p->en, text(rank, "prompt"), take.v, (int64_t)take.n, &score, &e)) {
			tap_remark("%s", e.text);
			ok = false;
		}
		gpu_set_tap(engine_gpu(p->en), NULL, NULL);
		/* the resampler's share: 1e-4 of a vector of length 1 */
		ok &= close_to("audio", h.v, (struct values){audio.v + i * width, width},
			number(noise, "audio", 0) + 1e-4 / 4);
		tap_remark("score %.6f, wanted %.6f", score, (double)cosines.v[i]);
		ok &= fabs(score - (double)cosines.v[i]) <= 1e-4;
		free(h.v.v);
		free(take.v);
	}
	free(audio.v);
	free(cosines.v);
	return ok;
}

/* ---- bf16 --------------------------------------------------------------- */

/* Rounding a weight to bf16 is off by 2^-9 / sqrt(3) of it, root mean square, and a product
 * by as much of itself.  Some 300 products in a row add up like random numbers; as much
 * again as a margin. */
static bool check_bf16(const struct parity *p)
{
	const double allowed = 2 * sqrt(300) * 0x1p-9 / sqrt(3);
	const struct engine_options options = {.precision = ENGINE_BF16, .n_threads = 2};
	const json_t *run = main_run(p);
	struct seen s = {0};
	struct engine *en = NULL;
	struct err e = {0};
	bool ok = !engine_open(p->folder, &options, NULL, &en, &e) && !render(p, run, en, &s, &e);

	if (!ok)
		tap_remark("%s", e.text);
	for (int i = 0; i < s.n_taps && ok; i++) {
		struct values want = values_part(p->expected, text(run, "name"), s.taps[i].name);
		if (!strcmp(s.taps[i].name, "prediction.1")) {
			const double off = distance(s.taps[i].v, want);
			tap_remark("the first prediction is off by %.3g of itself, may by %.3g",
				off, allowed);
			ok = off <= allowed && off > 0;
		}
		free(want.v);
	}
	engine_close(en);
	seen_done(&s);
	return ok;
}

/* ---- the program -------------------------------------------------------- */

static int open_all(struct parity *p, const char *base, struct err *e)
{
	const struct engine_options options = {.precision = ENGINE_F32, .n_threads = 2};
	struct str path = {0};
	json_error_t why;

	str_printf(&path, "%s.json", base);
	p->manifest = json_load_file(str_get(&path), JSON_REJECT_DUPLICATES, &why);
	str_clear(&path);
	str_printf(&path, "%s.safetensors", base);
	int rc = p->manifest ? ckpt_open_file(str_get(&path), &p->expected, e)
			     : err_set(e, ERR_FORMAT, "%s: %s", base, why.text);
	str_done(&path);
	return rc ? rc : engine_open(p->folder, &options, NULL, &p->en, e);
}

int main(int argc, char **argv)
{
	struct parity p = {.folder = argc > 1 ? argv[1] : ""};
	struct err e = {0};
	const json_t *run;
	size_t i;

	if (argc != 3) {
		fprintf(stderr, "usage: parity FOLDER EXPECTED\n");
		return 2;
	}
	if (open_all(&p, argv[2], &e)) {
		fprintf(stderr, "%s\n", e.text);
		return 99;
	}
	json_array_foreach(json_object_get(p.manifest, "runs"), i, run)
		tap_ok(check_run(&p, run), "run %s", text(run, "name"));
	tap_ok(check_kept(&p), "latents that were kept");
	tap_ok(check_seeds(&p), "seeds, takes and threads");
	tap_ok(check_previews(&p), "previews, and a render that is cancelled");
	tap_ok(check_bf16(&p), "bf16");
	if (json_object_get(p.manifest, "rank"))
		tap_ok(check_rank(&p), "scores of takes");
	engine_close(p.en);
	ckpt_close(p.expected);
	json_decref(p.manifest);
	return tap_done();
}
