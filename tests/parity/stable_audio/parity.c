/* One tiny Stable Audio checkpoint against what diffusers made of it with the same
 * noise.
 *
 *	parity FOLDER EXPECTED
 *
 * FOLDER is the checkpoint, EXPECTED.json the runs, EXPECTED.safetensors the tensors
 * (make_fixtures.py says how both came about). */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/engine.h"
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
	struct values latents, steps, samples;
	struct engine_audio clip; /* of samples */
	struct engine_noise noise;
};

/* ---- rendering ---------------------------------------------------------- */

static void on_tap(void *ud, struct gpu *g, const char *name, const struct gpu_tensor *t)
{
	static const char *const names[][2] = {{"t5.out", "t5"}, {"condition", "condition"},
		{"dit.out", "velocity"}, {"init", "init"}};
	struct seen *s = ud;
	char last[32];
	const char *as = NULL;

	snprintf(last, sizeof(last), "latents%d", (int)number(s->run, "steps", 0));
	if (!strcmp(name, "latents1") || !strcmp(name, last))
		as = name;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (!strcmp(name, names[i][0]))
			as = names[i][1];
	if (!as || seen_tap(s, as).n) /* the first counts */
		return;
	struct values v = values_of(g, t);
	/* the reference has channels first, but for rows of text */
	const bool rows = !strcmp(as, "t5") || !strcmp(as, "condition");
	seen_add(s, as, rows ? v : transposed(v, (size_t)t->ne[0]));
	if (!rows)
		free(v.v);
}

/* How a run is rendered. */
static int prepare(const struct parity *p, const json_t *run, struct render *ret, struct err *e)
{
	const char *seconds = text(run, "seconds");

	*ret = (struct render){.folder = p->folder,
		.en = p->en,
		.run = run,
		.request = {.prompt = text(run, "prompt"),
			.negative = text(run, "negative"),
			.n_takes = 1,
			.guidance = (float)number(run, "cfg", 1),
			.steps = (int)number(run, "steps", 0),
			.sampler = text(run, "sampler"),
			.noise = &p->noise,
			.n_frames = engine_info(p->en)->default_frames},
		.tap = on_tap};
	if (json_object_get(run, "init")) {
		ret->request.init = p->clip;
		ret->request.strength = (float)number(run, "init", 0);
	}
	return seconds ? engine_frames(engine_info(p->en), seconds, &ret->request.n_frames, e) : 0;
}

/* ---- runs --------------------------------------------------------------- */

/* The tensors that the reference kept of a run: each must have been seen. */
static bool check_taps(const struct parity *p, const json_t *run, const struct seen *s)
{
	char last[SEEN_NAME];
	const char *const names[] = {"t5", "condition", "velocity", "init", "latents1", last};
	bool ok = true;

	snprintf(last, sizeof(last), "latents%d", (int)number(run, "steps", 0));
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		char key[48];
		snprintf(key, sizeof(key), "%s_noise", names[i]);
		if (!json_object_get(run, key))
			continue;
		struct values want = values_part(p->expected, text(run, "name"), names[i]);
		struct values got = seen_tap(s, names[i]);
		if (!strcmp(names[i], "t5") && got.n && got.n < want.n)
			want.n = got.n; /* only real tokens are computed here */
		ok &= close_to(names[i], got, want, number(run, key, 0));
		free(want.v);
	}
	return ok;
}

static bool check_run(const struct parity *p, const json_t *run)
{
	struct seen s = {0};
	struct render r;
	struct err e = {0};
	bool ok = !prepare(p, run, &r, &e) && !seen_render(&s, &r, &e);

	if (!ok) {
		tap_remark("%s", e.text);
	} else {
		struct values want = values_part(p->expected, text(run, "name"), "wave");
		struct values got = seen_samples(&s, &r);
		ok = close_to("samples", got, want, number(run, "wave_noise", 0));
		ok &= !json_is_true(json_object_get(run, "taps")) || s.n_taps >= 5;
		ok &= check_taps(p, run, &s);
		free(want.v);
		free(got.v);
	}
	seen_done(&s);
	return ok;
}

static bool check_run_fault(const struct parity *p, const json_t *run)
{
	struct render r;
	struct err e = {0};
	struct values want = values_part(p->expected, text(run, "name"), "wave");
	bool ok = !prepare(p, run, &r, &e) && check_fault(r, want, number(run, "wave_noise", 0));

	free(want.v);
	return ok;
}

/* Outside of what is made anew the audio stays bit for bit; inside it does not. */
static bool check_redo(const struct parity *p, struct render r)
{
	const float *before = p->samples.v;
	struct seen s = {0};
	struct err e = {0};
	size_t n_same = 0, n_inside = 0;

	r.request.init = p->clip;
	if (p->clip.frames < r.request.n_frames)
		r.request.n_frames = p->clip.frames;
	r.request.redo_from = 10.0 / p->clip.rate;
	r.request.redo_to = 30.0 / p->clip.rate;
	bool ok = !seen_render(&s, &r, &e);
	for (size_t i = 0; ok && i < s.audio.n; i++) {
		const size_t at = i / (size_t)p->clip.channels;
		const bool inside = at > 10 && at < 30, same = s.audio.v[i] == before[i];
		ok = inside || same;
		n_inside += inside;
		n_same += inside && same;
	}
	tap_remark("%zu of %zu samples inside are the same", n_same, n_inside);
	seen_done(&s);
	return ok && n_inside && n_same < n_inside / 4;
}

/* Rounding a weight to bf16 is off by 2^-9 / sqrt(3) of it, root mean square; to int8
 * by half a step of a row whose largest weight is some three standard deviations,
 * 3 / 127 / sqrt(12) of one.  The velocity of the first step comes through some 30 such
 * products of the text encoder and the transformer, whose errors add up like random
 * numbers; activations are rounded as weights are, twice as much is a margin. */
static bool check_precision(
	struct render r, const struct ckpt *expected, enum engine_precision precision)
{
	const double one = precision == ENGINE_BF16 ? 0x1p-9 / sqrt(3) : 3.0 / 127 / sqrt(12);
	const double bound = one * 2 * sqrt(2 * 30);
	const struct engine_options options = {
		.device = tap_device(), .precision = precision, .n_threads = 2};
	struct seen s = {0};
	struct err e = {0};
	struct values want = values_part(expected, "main", "velocity");

	r.en = NULL;
	if (engine_open(r.folder, &options, NULL, &r.en, &e) || seen_render(&s, &r, &e))
		tap_remark("%s", e.text);
	const double off = distance(seen_tap(&s, "velocity"), want);
	tap_remark("first velocity is off by %.3g of itself, may by %.3g", off, bound);
	engine_close(r.en);
	free(want.v);
	seen_done(&s);
	return off > 0 && off <= bound;
}

/* ---- the program -------------------------------------------------------- */

static int open_all(struct parity *p, const char *base, struct err *e)
{
	const struct engine_options options = {
		.device = tap_device(), .precision = ENGINE_F32, .n_threads = 2};
	int rc = manifest_open(base, &p->manifest, &p->expected, e);

	if (!rc)
		rc = engine_open(p->folder, &options, NULL, &p->en, e);
	if (rc)
		return rc;
	const struct engine_info *info = engine_info(p->en);
	struct values clip = values_part(p->expected, "clip", NULL);
	p->samples = transposed(clip, (size_t)info->channels);
	free(clip.v);
	p->clip = (struct engine_audio){.samples = p->samples.v,
		.frames = (int64_t)p->samples.n / info->channels,
		.channels = info->channels,
		.rate = info->rate};
	p->latents = values_part(p->expected, "noise_latents", NULL);
	p->steps = values_part(p->expected, "noise_steps", NULL);
	p->noise = (struct engine_noise){.latents = p->latents.v,
		.steps = p->steps.v,
		.n = (int64_t)p->latents.n,
		.n_steps = (int64_t)(p->steps.n / p->latents.n)};
	return 0;
}

int main(int argc, char **argv)
{
	struct parity p = {.folder = argc > 1 ? argv[1] : ""};
	struct render r;
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
	tap_ok(p.clip.channels == (int)number(p.manifest, "channels", 0) &&
			p.clip.rate == (int)number(p.manifest, "rate", 0),
		"channels and rate");
	tap_ok(is_described(p.folder, engine_info(p.en)), "its description alone says the same");
	tap_ok(is_weighed(p.folder, p.en), "and what it needs");
	json_array_foreach(json_object_get(p.manifest, "runs"), i, run)
		tap_ok(check_run(&p, run), "run %s", text(run, "name"));
	json_array_foreach(
		json_object_get(p.manifest, "runs"), i, run) if (number(run, "cfg", 1) > 1)
		tap_ok(check_run_fault(&p, run), "run %s: a fault shows", text(run, "name"));
	if (prepare(&p, manifest_run(p.manifest, "main"), &r, &e)) {
		fprintf(stderr, "%s\n", e.text);
		return 99;
	}
	tap_ok(check_precision(r, p.expected, ENGINE_BF16), "bf16");
	tap_ok(check_precision(r, p.expected, ENGINE_INT8), "int8");
	tap_ok(check_kept(r), "latents that were kept");
	tap_ok(check_seeds(r), "seeds, batches, threads");
	tap_ok(check_redo(&p, r), "a part made anew");
	tap_ok(check_previews(r), "previews");
	tap_ok(check_cancel(r), "cancelled within a step");
	engine_close(p.en);
	ckpt_close(p.expected);
	json_decref(p.manifest);
	free(p.latents.v);
	free(p.steps.v);
	free(p.samples.v);
	return tap_done();
}
