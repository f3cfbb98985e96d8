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
#include "library/base/str.h"
#include "tests/parity/manifest.h"
#include "tests/parity/tap.h"
#include "tests/parity/values.h"

enum { MAX_TAPS = 8 };

/* What a render showed on its way. */
struct seen {
	struct values audio;
	struct {
		char name[32]; /* as the reference calls it */
		struct values v;
	} taps[MAX_TAPS];
	int n_taps;
	const json_t *run;
	struct engine_latents kept; /* owned */
	int n_previews;
	int cancel_at; /* steps after which to cancel; 0: never */
	int n_steps;
};

struct parity {
	const char *folder;
	json_t *manifest;
	struct ckpt *expected;
	struct engine *en;
	int channels, rate;
	struct values latents, steps, clip;
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
	for (int i = 0; i < s->n_taps; i++)
		if (as && !strcmp(as, s->taps[i].name))
			return; /* the first counts */
	if (!as || s->n_taps == MAX_TAPS)
		return;
	struct values v = values_of(g, t);
	/* the reference has channels first, but for rows of text */
	const bool rows = !strcmp(as, "t5") || !strcmp(as, "condition");
	snprintf(s->taps[s->n_taps].name, sizeof(s->taps->name), "%s", as);
	s->taps[s->n_taps++].v = rows ? v : transposed(v, (size_t)t->ne[0]);
	if (!rows)
		free(v.v);
}

static int on_audio(void *ud, int take, const struct engine_audio *chunk, struct err *e)
{
	append(&((struct seen *)ud)->audio, chunk->samples,
		(size_t)(chunk->frames * chunk->channels));
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

/* The request of a run, its clip in *samples. */
static int request(const struct parity *p, const json_t *run, const struct engine *en,
	struct values *samples, struct engine_request *ret, struct err *e)
{
	const char *seconds = text(run, "seconds");

	*samples = transposed(p->clip, (size_t)p->channels);
	*ret = (struct engine_request){.prompt = text(run, "prompt"),
		.negative = text(run, "negative"),
		.n_takes = 1,
		.guidance = (float)number(run, "cfg", 1),
		.steps = (int)number(run, "steps", 0),
		.sampler = text(run, "sampler"),
		.noise = &p->noise,
		.n_frames = engine_info(en)->default_frames};
	if (json_object_get(run, "init")) {
		ret->init = (struct engine_audio){.samples = samples->v,
			.frames = (int64_t)samples->n / p->channels,
			.channels = p->channels,
			.rate = p->rate};
		ret->strength = (float)number(run, "init", 0);
	}
	return seconds ? engine_frames(engine_info(en), seconds, &ret->n_frames, e) : 0;
}

static int render_with(const struct parity *p, const struct engine_request *r, struct engine *en,
	struct seen *s, struct err *e)
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
	struct values samples;
	int rc = request(p, run, en, &samples, &r, e);

	s->run = run;
	if (!rc)
		rc = render_with(p, &r, en, s, e);
	free(samples.v);
	return rc;
}

/* ---- runs --------------------------------------------------------------- */

/* The tensors that the reference kept of a run. */
static bool check_taps(const struct parity *p, const json_t *run, const struct seen *s)
{
	bool ok = true;

	for (int i = 0; i < s->n_taps; i++) {
		char key[48];
		struct values want = values_part(p->expected, text(run, "name"), s->taps[i].name);
		struct values got = s->taps[i].v;
		snprintf(key, sizeof(key), "%s_noise", s->taps[i].name);
		if (!strcmp(s->taps[i].name, "t5")) /* only real tokens are computed here */
			want.n = got.n < want.n ? got.n : want.n;
		if (want.n)
			ok &= close_to(s->taps[i].name, got, want, number(run, key, 0));
		free(want.v);
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
		struct values got = transposed(s.audio, s.audio.n / (size_t)p->channels);
		ok = close_to("samples", got, want, number(run, "wave_noise", 0));
		ok &= !json_is_true(json_object_get(run, "taps")) || s.n_taps >= 5;
		ok &= check_taps(p, run, &s);
		free(want.v);
		free(got.v);
	}
	seen_done(&s);
	return ok;
}

static const json_t *find_run(const struct parity *p, const char *name)
{
	const json_t *run;
	size_t i;

	json_array_foreach(json_object_get(p->manifest, "runs"), i,
		run) if (!strcmp(text(run, "name"), name)) return run;
	return NULL;
}

static bool same_audio(const struct seen *a, const struct seen *b)
{
	return a->audio.n && a->audio.n == b->audio.n &&
	       !memcmp(a->audio.v, b->audio.v, a->audio.n * sizeof(float));
}

/* What was kept of a render gives the same samples; damaged, it is refused. */
static bool check_kept(const struct parity *p)
{
	struct seen first = {0}, again = {.run = find_run(p, "main")}, none = {0};
	struct engine_request r;
	struct values samples;
	struct err e = {0};
	bool ok = !render(p, again.run, p->en, &first, &e) &&
		  !request(p, again.run, p->en, &samples, &r, &e);

	none.run = again.run;
	r.latents = &first.kept;
	ok = ok && !render_with(p, &r, p->en, &again, &e) && same_audio(&first, &again) &&
	     !again.n_steps;
	((float *)(uintptr_t)first.kept.data)[3] = NAN;
	ok &= render_with(p, &r, p->en, &none, &e) == ERR_FORMAT;
	first.kept.bytes--;
	err_clear(&e);
	ok &= render_with(p, &r, p->en, &none, &e) == ERR_FORMAT;
	free(samples.v);
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
	const json_t *run = find_run(p, "main");
	struct seen batch = {.run = run}, one = {.run = run}, two = {.run = run};
	struct engine *en = NULL;
	struct engine_request r;
	struct values samples;
	struct err e = {0};
	bool ok = !request(p, run, p->en, &samples, &r, &e);

	r.noise = NULL;
	r.seed = UINT64_C(1) << 40;
	r.n_takes = 2;
	ok = ok && !render_with(p, &r, p->en, &batch, &e);
	r.n_takes = 1;
	ok = ok && !engine_open(p->folder, &options, NULL, &en, &e) &&
	     !render_with(p, &r, en, &one, &e);
	r.seed++;
	ok = ok && !render_with(p, &r, en, &two, &e);
	if (!ok)
		tap_remark("%s", e.text);
	const size_t n = one.audio.n * sizeof(float);
	ok = ok && batch.audio.n == 2 * one.audio.n && !memcmp(batch.audio.v, one.audio.v, n) &&
	     !memcmp(batch.audio.v + one.audio.n, two.audio.v, n) &&
	     memcmp(one.audio.v, two.audio.v, n);
	engine_close(en);
	free(samples.v);
	seen_done(&batch);
	seen_done(&one);
	seen_done(&two);
	return ok;
}

/* Outside of what is made anew the audio stays bit for bit; inside it does not. */
static bool check_redo(const struct parity *p)
{
	const json_t *run = find_run(p, "main");
	struct seen s = {.run = run};
	struct engine_request r;
	struct values samples;
	struct err e = {0};
	bool ok = !request(p, run, p->en, &samples, &r, &e);
	size_t n_same = 0, n_inside = 0;

	r.init = (struct engine_audio){.samples = samples.v,
		.frames = (int64_t)samples.n / p->channels,
		.channels = p->channels,
		.rate = p->rate};
	r.n_frames = r.init.frames < r.n_frames ? r.init.frames : r.n_frames;
	r.redo_from = 10.0 / p->rate;
	r.redo_to = 30.0 / p->rate;
	ok = ok && !render_with(p, &r, p->en, &s, &e);
	for (size_t i = 0; ok && i < s.audio.n; i++) {
		const size_t at = i / (size_t)p->channels;
		const bool inside = at > 10 && at < 30, same = s.audio.v[i] == samples.v[i];
		ok = inside || same;
		n_inside += inside;
		n_same += inside && same;
	}
	tap_remark("%zu of %zu samples inside are the same", n_same, n_inside);
	free(samples.v);
	seen_done(&s);
	return ok && n_inside && n_same < n_inside / 4;
}

static bool check_previews(const struct parity *p)
{
	const json_t *run = find_run(p, "main");
	struct seen s = {.run = run}, without = {.run = run};
	struct engine_request r;
	struct values samples;
	struct err e = {0};
	bool ok = !request(p, run, p->en, &samples, &r, &e) &&
		  !render_with(p, &r, p->en, &without, &e);

	r.preview = 2;
	ok = ok && !render_with(p, &r, p->en, &s, &e) && s.n_previews == 2 &&
	     same_audio(&s, &without);
	free(samples.v);
	seen_done(&s);
	seen_done(&without);
	return ok;
}

static bool check_cancel(const struct parity *p)
{
	struct seen s = {.cancel_at = 2};
	struct err e = {0};
	bool ok = render(p, find_run(p, "main"), p->en, &s, &e) == ERR_CANCELLED && s.n_steps == 2;

	seen_done(&s);
	return ok;
}

/* Rounding a weight to bf16 is off by 2^-9 / sqrt(3) of it, root mean square; to int8
 * by half a step of a row whose largest weight is some three standard deviations,
 * 3 / 127 / sqrt(12) of one.  The velocity of the first step comes through some 30 such
 * products of the text encoder and the transformer, whose errors add up like random
 * numbers; activations are rounded as weights are, twice as much is a margin. */
static bool check_precision(const struct parity *p, enum engine_precision precision)
{
	const double one = precision == ENGINE_BF16 ? 0x1p-9 / sqrt(3) : 3.0 / 127 / sqrt(12);
	const double bound = one * 2 * sqrt(2 * 30);
	const struct engine_options options = {.precision = precision, .n_threads = 2};
	struct seen s = {0};
	struct engine *en = NULL;
	struct err e = {0};
	double difference = 0, power = 0;
	struct values want = values_part(p->expected, "main", "velocity");

	if (engine_open(p->folder, &options, NULL, &en, &e) ||
		render(p, find_run(p, "main"), en, &s, &e))
		tap_remark("%s", e.text);
	for (int k = 0; k < s.n_taps; k++)
		for (size_t i = 0; i < want.n && !strcmp(s.taps[k].name, "velocity"); i++) {
			difference += pow((double)s.taps[k].v.v[i] - (double)want.v[i], 2);
			power += pow((double)want.v[i], 2);
		}
	const double off = sqrt(difference / power);
	tap_remark("first velocity is off by %.3g of itself, may by %.3g", off, bound);
	engine_close(en);
	free(want.v);
	seen_done(&s);
	return off > 0 && off <= bound;
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
	if (!rc)
		rc = engine_open(p->folder, &options, NULL, &p->en, e);
	if (rc)
		return rc;
	p->channels = engine_info(p->en)->channels;
	p->rate = engine_info(p->en)->rate;
	p->latents = values_part(p->expected, "noise_latents", NULL);
	p->steps = values_part(p->expected, "noise_steps", NULL);
	p->clip = values_part(p->expected, "clip", NULL);
	p->noise = (struct engine_noise){.latents = p->latents.v,
		.steps = p->steps.v,
		.n = (int64_t)p->latents.n,
		.n_steps = (int64_t)(p->steps.n / p->latents.n)};
	return 0;
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
	tap_ok(p.channels == (int)number(p.manifest, "channels", 0) &&
			p.rate == (int)number(p.manifest, "rate", 0),
		"channels and rate");
	json_array_foreach(json_object_get(p.manifest, "runs"), i, run)
		tap_ok(check_run(&p, run), "run %s", text(run, "name"));
	tap_ok(check_precision(&p, ENGINE_BF16), "bf16");
	tap_ok(check_precision(&p, ENGINE_INT8), "int8");
	tap_ok(check_kept(&p), "latents that were kept");
	tap_ok(check_seeds(&p), "seeds, batches, threads");
	tap_ok(check_redo(&p), "a part made anew");
	tap_ok(check_previews(&p), "previews");
	tap_ok(check_cancel(&p), "cancelled within a step");
	engine_close(p.en);
	ckpt_close(p.expected);
	json_decref(p.manifest);
	free(p.latents.v);
	free(p.steps.v);
	free(p.clip.v);
	return tap_done();
}
