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
#include "tests/parity/described.h"
#include "tests/parity/diffusion.h"
#include "tests/parity/manifest.h"
#include "tests/parity/tap.h"
#include "tests/parity/values.h"

struct parity {
	const char *folder;
	json_t *manifest;
	struct ckpt *expected;
	struct engine *en;
};

/* ---- rendering ---------------------------------------------------------- */

/* What EXPECTED calls the tensor of a tap; of texts, the prompt comes first. */
static bool name_tap(const struct seen *s, const char *tap, char out[SEEN_NAME])
{
	static const char *const texts[][2] = {
		{"clap.text", "clap"}, {"t5.out", "t5"}, {"gpt2.generated", "generated"}};
	const int steps = (int)number(s->run, "steps", 0);
	char last[32];

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		if (strcmp(tap, texts[i][0]))
			continue;
		snprintf(out, SEEN_NAME, "%s.positive", texts[i][1]);
		if (seen_tap(s, out).n)
			snprintf(out, SEEN_NAME, "%s.negative", texts[i][1]);
		return true;
	}
	snprintf(last, sizeof(last), "prediction%d", steps);
	if (!strcmp(tap, "prediction1") || !strcmp(tap, last))
		return snprintf(out, SEEN_NAME, "prediction.%s", tap + strlen("prediction")) > 0;
	snprintf(last, sizeof(last), "latents%d", steps);
	if (!strcmp(tap, last))
		return snprintf(out, SEEN_NAME, "latents") > 0;
	return !strcmp(tap, "vae.out") && snprintf(out, SEEN_NAME, "mel") > 0;
}

static void on_tap(void *ud, struct gpu *g, const char *name, const struct gpu_tensor *t)
{
	struct seen *s = ud;
	char as[SEEN_NAME];

	if (s->n_taps == SEEN_TAPS || !name_tap(s, name, as))
		return;
	struct values v = values_of(g, t);
	/* the reference has channels first */
	const bool is_image = t->n_dims == 3;
	seen_add(s, as, is_image ? transposed(v, (size_t)(t->ne[0] * t->ne[1])) : v);
	if (is_image)
		free(v.v);
}

/* How a run is rendered; noise (owned by the caller) must outlive it. */
static int prepare(const struct parity *p, const json_t *run, struct engine_noise *noise,
	struct render *ret, struct err *e)
{
	const struct values start = values_part(p->expected, text(run, "name"), "noise");

	*noise = (struct engine_noise){.latents = start.v, .n = (int64_t)start.n};
	*ret = (struct render){.folder = p->folder,
		.en = p->en,
		.run = run,
		.request = {.prompt = text(run, "prompt"),
			.negative = text(run, "negative"),
			.n_takes = 1,
			.guidance = (float)number(run, "guidance", 1),
			.steps = (int)number(run, "steps", 0),
			.sampler = text(run, "sampler"),
			.noise = noise},
		.tap = on_tap};
	int64_t *n_frames = &ret->request.n_frames;
	int rc = engine_frames(engine_info(p->en), text(run, "seconds"), n_frames, e);
	if (!rc && (double)*n_frames != number(run, "samples", 0))
		rc = err_set(e, ERR_BUG, "%s s are %lld samples", text(run, "seconds"),
			(long long)*n_frames);
	return rc;
}

static void noise_free(struct engine_noise *n)
{
	free((void *)(uintptr_t)n->latents);
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
	struct render r;
	struct engine_noise noise;
	struct err e = {0};
	bool ok = !prepare(p, run, &noise, &r, &e) && !seen_render(&s, &r, &e);

	if (!ok) {
		tap_remark("%s", e.text);
	} else {
		struct values want = values_part(p->expected, text(run, "name"), "wave");
		ok = check_taps(p, run, &s);
		ok &= close_to(
			"samples", s.audio, want, number(json_object_get(run, "noise"), "wave", 0));
		free(want.v);
	}
	noise_free(&noise);
	seen_done(&s);
	return ok;
}

/* Guidance away from the very same text goes nowhere, at any strength. */
static bool is_guided(const json_t *run)
{
	const char *negative = text(run, "negative");

	return number(run, "guidance", 1) > 1 &&
	       strcmp(text(run, "prompt"), negative ? negative : "") != 0;
}

static bool check_run_fault(const struct parity *p, const json_t *run)
{
	struct render r;
	struct engine_noise noise;
	struct err e = {0};
	struct values want = values_part(p->expected, text(run, "name"), "wave");
	bool ok = !prepare(p, run, &noise, &r, &e) &&
		  check_fault(r, want, number(json_object_get(run, "noise"), "wave", 0));

	noise_free(&noise);
	free(want.v);
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
static bool check_bf16(struct render r, const struct ckpt *expected)
{
	const double allowed = 2 * sqrt(300) * 0x1p-9 / sqrt(3);
	const struct engine_options options = {
		.device = tap_device(), .precision = ENGINE_BF16, .n_threads = 2};
	struct values want = values_part(expected, text(r.run, "name"), "prediction.1");
	struct seen s = {0};
	struct err e = {0};

	r.en = NULL;
	bool ok = !engine_open(r.folder, &options, NULL, &r.en, &e) && !seen_render(&s, &r, &e);
	if (!ok)
		tap_remark("%s", e.text);
	const double off = distance(seen_tap(&s, "prediction.1"), want);
	tap_remark("the first prediction is off by %.3g of itself, may by %.3g", off, allowed);
	engine_close(r.en);
	free(want.v);
	seen_done(&s);
	return ok && off <= allowed && off > 0;
}

/* ---- the program -------------------------------------------------------- */

int main(int argc, char **argv)
{
	struct parity p = {.folder = argc > 1 ? argv[1] : ""};
	const struct engine_options f32 = {
		.device = tap_device(), .precision = ENGINE_F32, .n_threads = 2};
	struct engine_noise noise;
	struct render r;
	struct err e = {0};
	const json_t *run;
	size_t i;

	if (argc != 3) {
		fprintf(stderr, "usage: parity FOLDER EXPECTED\n");
		return 2;
	}
	if (manifest_open(argv[2], &p.manifest, &p.expected, &e) ||
		engine_open(p.folder, &f32, NULL, &p.en, &e)) {
		fprintf(stderr, "%s\n", e.text);
		return 99;
	}
	tap_ok(is_described(p.folder, engine_info(p.en)), "its description alone says the same");
	tap_ok(is_weighed(p.folder, p.en), "and what it needs");
	json_array_foreach(json_object_get(p.manifest, "runs"), i, run)
		tap_ok(check_run(&p, run), "run %s", text(run, "name"));
	json_array_foreach(json_object_get(p.manifest, "runs"), i, run) if (is_guided(run))
		tap_ok(check_run_fault(&p, run), "run %s: a fault shows", text(run, "name"));
	if (prepare(&p, manifest_run(p.manifest, "main"), &noise, &r, &e)) {
		fprintf(stderr, "%s\n", e.text);
		return 99;
	}
	tap_ok(check_kept(r), "latents that were kept");
	tap_ok(check_seeds(r), "seeds, takes and threads");
	tap_ok(check_previews(r), "previews");
	tap_ok(check_cancel(r), "cancelled within a step");
	tap_ok(check_cancel_decoding(r, 9), "cancelled while it decodes");
	tap_ok(check_bf16(r, p.expected), "bf16");
	noise_free(&noise);
	if (json_object_get(p.manifest, "rank"))
		tap_ok(check_rank(&p), "scores of takes");
	engine_close(p.en);
	ckpt_close(p.expected);
	json_decref(p.manifest);
	return tap_done();
}
