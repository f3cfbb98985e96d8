/* One tiny checkpoint against what transformers made of it.
 *
 *	parity FOLDER EXPECTED
 *
 * FOLDER is the checkpoint, EXPECTED.json the runs, EXPECTED.safetensors the
 * tensors (make_fixtures.py says how both came about).  Every run is a test of
 * its own: token ids and codes must be equal, everything else within a
 * tolerance. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/engine.h"
#include "engine/pipeline.h"
#include "engine/text/unigram.h"
#include "engine/weights/ckpt.h"
#include "gpu/gpu.h"
#include "library/base/err.h"
#include "tests/parity/described.h"
#include "tests/parity/manifest.h"
#include "tests/parity/tap.h"
#include "tests/parity/values.h"

/* What a render showed on its way. */
struct seen {
	struct values t5, cond, encoded, codes, audio;
	struct values *logits; /* a step each; owned */
	size_t n_logits;
	struct values *latents; /* a chunk each, [channels, frames, width]; owned */
	size_t n_latents;
	struct engine_latents kept; /* of the first take; owned */
};

struct parity {
	const char *folder;
	json_t *manifest;
	struct ckpt *expected;
	struct engine *en;
	struct unigram *words;
	int channels, rate;
	int64_t hop;
};

/* ---- comparing ---------------------------------------------------------- */

static bool same_ids(const char *what, struct values got, struct values want)
{
	if (got.n != want.n) {
		tap_remark("%s: %zu values, not %zu", what, got.n, want.n);
		return false;
	}
	for (size_t i = 0; i < got.n; i++)
		if (got.v[i] != want.v[i]) {
			tap_remark("%s: value %zu is %g, not %g", what, i, (double)got.v[i],
				(double)want.v[i]);
			return false;
		}
	return true;
}

/* ---- rendering ---------------------------------------------------------- */

static void on_tap(void *ud, struct gpu *g, const char *name, const struct gpu_tensor *t)
{
	struct seen *s = ud;
	struct values *one = !strcmp(name, "t5.out")            ? &s->t5
			     : !strcmp(name, "cond")            ? &s->cond
			     : !strcmp(name, "encodec.encoded") ? &s->encoded
			     : !strcmp(name, "codes")           ? &s->codes
								: NULL;

	if (one) {
		free(one->v);
		*one = values_of(g, t);
	} else if (!strcmp(name, "lm.logits")) {
		s->logits = need(realloc(s->logits, (s->n_logits + 1) * sizeof(*s->logits)));
		s->logits[s->n_logits++] = values_of(g, t);
	} else if (!strcmp(name, "encodec.latent")) {
		const size_t n = s->n_latents + 1;
		s->latents = need(realloc(s->latents, n * sizeof(*s->latents)));
		s->latents[n - 1] = values_of(g, t);
		s->n_latents = n;
	}
}

static int on_audio(void *ud, int take, const struct engine_audio *chunk, struct err *e)
{
	struct seen *s = ud;

	if (take == 0)
		append(&s->audio, chunk->samples, (size_t)(chunk->frames * chunk->channels));
	return 0;
}

static int on_latents(void *ud, int take, const struct engine_latents *l, struct err *e)
{
	struct seen *s = ud;

	if (take == 0) {
		void *copy = need(malloc(l->bytes));

		memcpy(copy, l->data, l->bytes);
		s->kept = (struct engine_latents){copy, l->bytes};
	}
	return 0;
}

static void seen_done(struct seen *s)
{
	free((void *)(uintptr_t)s->kept.data);
	free(s->t5.v);
	free(s->cond.v);
	free(s->encoded.v);
	free(s->codes.v);
	free(s->audio.v);
	for (size_t i = 0; i < s->n_logits; i++)
		free(s->logits[i].v);
	for (size_t i = 0; i < s->n_latents; i++)
		free(s->latents[i].v);
	free(s->logits);
	free(s->latents);
}

static int render_from(const struct parity *p, const json_t *run, struct engine *en, int n_takes,
	const struct engine_latents *latents, struct seen *s, struct err *e)
{
	const char *clip = json_string_value(json_object_get(run, "clip"));
	struct values planar = clip ? values_part(p->expected, clip, NULL) : (struct values){0};
	struct values samples = transposed(planar, (size_t)p->channels);
	const struct engine_sink sink = {.audio = on_audio, .latents = on_latents, .ud = s};
	struct engine_request r = {
		.prompt = json_string_value(json_object_get(run, "prompt")),
		.n_takes = n_takes,
		.guidance = (float)number(run, "guidance", 3),
		.greedy = true,
		.latents = latents,
	};

	if (clip)
		r.continued = (struct engine_audio){.samples = samples.v,
			.frames = (int64_t)planar.n / p->channels,
			.channels = p->channels,
			.rate = p->rate};
	const char *seconds = json_string_value(json_object_get(run, "seconds"));
	int rc = engine_frames(engine_info(en), seconds, &r.n_frames, e);
	if (!rc && (double)r.n_frames != number(run, "frames", 0))
		rc = err_set(e, ERR_BUG, "%s s are %lld frames", seconds, (long long)r.n_frames);
	gpu_set_tap(engine_gpu(en), on_tap, s);
	if (!rc)
		rc = engine_render(en, &r, NULL, &sink, e);
	gpu_set_tap(engine_gpu(en), NULL, NULL);
	free(planar.v);
	free(samples.v);
	return rc;
}

static int render(const struct parity *p, const json_t *run, struct engine *en, int n_takes,
	struct seen *s, struct err *e)
{
	return render_from(p, run, en, n_takes, NULL, s, e);
}

/* ---- what must agree ---------------------------------------------------- */

static bool check_ids(const struct parity *p, const json_t *run, const char *name)
{
	const char *prompt = json_string_value(json_object_get(run, "prompt"));
	struct values want = values_part(p->expected, name, "ids"), got = {0};
	struct err e = {0};
	int32_t *ids = NULL;
	size_t n = 0;
	bool ok = !unigram_encode(p->words, prompt, strlen(prompt), &ids, &n, &e);

	for (size_t i = 0; i < n; i++)
		append(&got, (float[]){(float)ids[i]}, 1);
	ok = ok && same_ids("token ids", got, want);
	free(ids);
	free(got.v);
	free(want.v);
	return ok;
}

static bool check_near(
	const struct parity *p, const char *name, const char *part, struct values got, double noise)
{
	struct values want = values_part(p->expected, name, part);
	bool ok = close_to(part, got, want, noise);

	free(want.v);
	return ok;
}

/* The chunks side by side, channel by channel. */
static bool check_latent(const struct parity *p, const char *name, const struct seen *s)
{
	struct values got = {0};

	for (int c = 0; c < p->channels; c++)
		for (size_t i = 0; i < s->n_latents; i++) {
			const size_t n = s->latents[i].n / (size_t)p->channels;
			append(&got, s->latents[i].v + (size_t)c * n, n);
		}
	/* A sum of few values: no order of it is off by more than two roundings. */
	bool ok = check_near(p, name, "latent", got, 0);
	free(got.v);
	return ok;
}

static bool check_taps(
	const struct parity *p, const json_t *run, const char *name, const struct seen *s)
{
	const json_t *steps = json_object_get(run, "logit_steps"), *step;
	bool ok = true;
	size_t i;

	if (*json_string_value(json_object_get(run, "prompt"))) {
		ok &= check_ids(p, run, name);
		ok &= check_near(p, name, "t5", s->t5, number(run, "t5_noise", 0));
		ok &= check_near(p, name, "cond", s->cond, number(run, "cond_noise", 0));
	}
	json_array_foreach(steps, i, step)
	{
		const size_t at = (size_t)json_integer_value(step);
		char part[32];
		snprintf(part, sizeof(part), "logits.%zu", at);
		const struct values got = at < s->n_logits ? s->logits[at] : (struct values){0};
		ok &= check_near(p, name, part, got, number(run, "logits_noise", 0));
	}
	ok &= check_latent(p, name, s);
	return ok;
}

/* The latents and codes of the audio to continue. */
static bool check_clip(
	const struct parity *p, const json_t *run, const char *clip, const struct seen *s)
{
	const json_t *c = NULL, *clips = json_object_get(p->manifest, "clips");
	struct values want = values_part(p->expected, clip, "codes"), got = {0};
	const size_t frames = (size_t)number(run, "frames", 0);
	bool ok;
	size_t i;

	json_array_foreach(clips, i,
		c) if (!strcmp(json_string_value(json_object_get(c, "name")), clip)) break;
	ok = check_near(p, clip, "encoded", s->encoded, number(c, "noise", 0));
	const size_t given = (size_t)number(c, "frames", 0);
	for (size_t at = 0; at + frames <= s->codes.n; at += frames)
		append(&got, s->codes.v + at, given);
	ok &= same_ids("codes of the clip", got, want);
	free(got.v);
	free(want.v);
	return ok;
}

/* What was kept of a render gives the same samples; damaged, it is refused. */
static bool check_kept(const struct parity *p, const json_t *run, const struct seen *s)
{
	struct engine_latents damaged = {need(calloc(s->kept.bytes, 1)), s->kept.bytes};
	struct seen again = {0}, none = {0};
	struct err e = {0};
	bool ok = s->kept.bytes && !render_from(p, run, p->en, 1, &s->kept, &again, &e);

	ok = ok && again.audio.n == s->audio.n && !again.n_logits &&
	     !memcmp(again.audio.v, s->audio.v, s->audio.n * sizeof(float));
	memset((void *)(uintptr_t)damaged.data, 0x77, damaged.bytes);
	ok &= render_from(p, run, p->en, 1, &damaged, &none, &e) == ERR_FORMAT;
	damaged.bytes--;
	err_clear(&e);
	ok &= render_from(p, run, p->en, 1, &damaged, &none, &e) == ERR_FORMAT;
	if (!ok)
		tap_remark("decoding again from what was kept: %s", e.text);
	free((void *)(uintptr_t)damaged.data);
	seen_done(&again);
	seen_done(&none);
	return ok;
}

static bool check_run(const struct parity *p, const json_t *run)
{
	const char *name = json_string_value(json_object_get(run, "name"));
	const char *clip = json_string_value(json_object_get(run, "clip"));
	struct seen s = {0};
	struct err e = {0};
	const int64_t window = (int64_t)number(run, "window", 0);
	bool ok = true;

	if (window)
		musicgen_set_window(p->en, window);
	if (render(p, run, p->en, 1, &s, &e)) {
		tap_remark("%s", e.text);
		ok = false;
	} else {
		struct values codes = values_part(p->expected, name, "codes"),
			      wave = values_part(p->expected, name, "wave");
		struct values audio = transposed(s.audio, s.audio.n / (size_t)p->channels);
		struct values got = {0};
		const size_t stride = (size_t)number(run, "stride", 1);
		const size_t n = audio.n / (size_t)p->channels;
		for (int c = 0; c < p->channels; c++)
			for (size_t i = 0; i < n; i += stride)
				append(&got, audio.v + (size_t)c * n + i, 1);
		ok &= same_ids("codes", s.codes, codes);
		ok &= close_to("samples", got, wave, number(run, "wave_noise", 0));
		if (json_is_true(json_object_get(run, "taps")))
			ok &= check_taps(p, run, name, &s);
		if (clip && !window)
			ok &= check_clip(p, run, clip, &s);
		ok &= check_kept(p, run, &s);
		free(codes.v);
		free(wave.v);
		free(audio.v);
		free(got.v);
	}
	seen_done(&s);
	return ok;
}

/* ---- the other precisions ----------------------------------------------- */

/* Rounding a weight to bf16 is off by 2^-9 / sqrt(3) of it, root mean square;
 * to int8 by half a step of a row whose largest weight is some three standard
 * deviations, 3 / 127 / sqrt(12) of one.  A product of such a matrix is off by
 * as much of itself, and products in a row add up like random numbers: this
 * factor for those of T5 and two layers, and as much again as a margin. */
static bool check_precision(const struct parity *p, enum engine_precision precision)
{
	const double one = precision == ENGINE_BF16 ? 0x1p-9 / sqrt(3) : 3.0 / 127 / sqrt(12);
	const double factor = 2 * sqrt(40);
	const struct engine_options options = {
		.device = tap_device(), .precision = precision, .n_threads = 2};
	const json_t *run = manifest_run(p->manifest, "main");
	struct seen alone = {0}, batch = {0};
	struct engine *en = NULL;
	struct err e = {0};
	bool ok = false;

	if (engine_open(p->folder, &options, NULL, &en, &e) || render(p, run, en, 1, &alone, &e) ||
		render(p, run, en, 3, &batch, &e)) {
		tap_remark("%s", e.text);
		goto out;
	}
	struct values want = values_part(p->expected, "main", "logits.0"), got = alone.logits[0];
	const double off = distance(got, want);
	free(want.v);
	tap_remark("first logits are off by %.3g of themselves, may by %.3g", off, one * factor);
	ok = off <= one * factor && off > 0;
	/* Three takes at once: the first is what it is alone. */
	ok &= alone.audio.n == batch.audio.n &&
	      same_rows(batch.audio.v, alone.audio.v, alone.audio.n);
out:
	seen_done(&alone);
	seen_done(&batch);
	engine_close(en);
	return ok;
}

/* ---- the program -------------------------------------------------------- */

static int open_all(struct parity *p, const char *base, struct err *e)
{
	const struct engine_options options = {
		.device = tap_device(), .precision = ENGINE_F32, .n_threads = 2};
	int rc = manifest_open(base, &p->manifest, &p->expected, e);

	if (!rc)
		rc = engine_open(p->folder, &options, NULL, &p->en, e);
	if (!rc)
		rc = unigram_open(p->folder, &p->words, e);
	if (rc)
		return rc;
	p->channels = engine_info(p->en)->channels;
	p->rate = engine_info(p->en)->rate;
	p->hop = engine_info(p->en)->frame_samples;
	return 0;
}

static bool check_info(const struct parity *p)
{
	return p->channels == (int)number(p->manifest, "channels", 0) &&
	       p->rate == (int)number(p->manifest, "rate", 0) &&
	       p->hop == (int64_t)number(p->manifest, "hop", 0);
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
	tap_ok(check_info(&p), "channels, rate and hop");
	tap_ok(is_described(p.folder, engine_info(p.en)), "its description alone says the same");
	tap_ok(is_weighed(p.folder, p.en), "and what it needs");
	tap_ok(check_precision(&p, ENGINE_BF16), "bf16");
	tap_ok(check_precision(&p, ENGINE_INT8), "int8");
	/* Windows last: they stay set. */
	for (int windows = 0; windows < 2; windows++)
		json_array_foreach(json_object_get(p.manifest, "runs"), i,
			run) if (json_object_get(run, "window") ? windows : !windows)
			tap_ok(check_run(&p, run), "run %s",
				json_string_value(json_object_get(run, "name")));
	engine_close(p.en);
	unigram_close(p.words);
	ckpt_close(p.expected);
	json_decref(p.manifest);
	return tap_done();
}
