#include "tests/parity/diffusion.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "library/base/err.h"
#include "tests/parity/tap.h"

/* ---- what is seen ------------------------------------------------------- */

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
	if (stage == ENGINE_STAGE_DECODE)
		s->n_decoding++;
	return (s->cancel_at && s->n_steps >= s->cancel_at) ||
	       (s->cancel_decoding && s->n_decoding >= s->cancel_decoding);
}

int seen_render(struct seen *s, const struct render *r, struct err *e)
{
	const struct engine_sink sink = {
		.audio = on_audio, .latents = on_latents, .preview = on_preview, .ud = s};
	const struct engine_watch watch = {.progress = on_progress, .ud = s};

	s->run = r->run;
	gpu_set_tap(engine_gpu(r->en), r->tap, s);
	int rc = engine_render(r->en, &r->request, &watch, &sink, e);
	gpu_set_tap(engine_gpu(r->en), NULL, NULL);
	return rc;
}

struct values seen_tap(const struct seen *s, const char *name)
{
	for (int i = 0; i < s->n_taps; i++)
		if (!strcmp(s->taps[i].name, name))
			return s->taps[i].v;
	return (struct values){0};
}

void seen_add(struct seen *s, const char *name, struct values v)
{
	if (s->n_taps == SEEN_TAPS)
		abort();
	snprintf(s->taps[s->n_taps].name, SEEN_NAME, "%s", name);
	s->taps[s->n_taps++].v = v;
}

struct values seen_samples(const struct seen *s, const struct render *r)
{
	return transposed(s->audio, s->audio.n / (size_t)engine_info(r->en)->channels);
}

void seen_done(struct seen *s)
{
	for (int i = 0; i < s->n_taps; i++)
		free(s->taps[i].v.v);
	free(s->audio.v);
	free((void *)(uintptr_t)s->kept.data);
}

/* ---- what must hold ----------------------------------------------------- */

static bool same_audio(const struct seen *a, const struct seen *b)
{
	return a->audio.n && a->audio.n == b->audio.n &&
	       !memcmp(a->audio.v, b->audio.v, a->audio.n * sizeof(float));
}

bool check_fault(struct render r, struct values samples, double noise)
{
	struct seen s = {0};
	struct err e = {0};
	bool shows = false;

	r.request.guidance *= 1.0002f;
	if (seen_render(&s, &r, &e)) {
		tap_remark("%s", e.text);
	} else {
		struct values got = seen_samples(&s, &r);
		shows = got.n == samples.n && !close_to("samples", got, samples, noise);
		free(got.v);
	}
	seen_done(&s);
	return shows;
}

bool check_kept(struct render r)
{
	struct seen first = {0}, again = {0}, none = {0};
	struct err e = {0};
	bool ok = !seen_render(&first, &r, &e);

	if (!ok) {
		tap_remark("%s", e.text);
		goto out;
	}
	r.request.latents = &first.kept;
	ok = !seen_render(&again, &r, &e) && same_audio(&first, &again) && !again.n_steps;
	((float *)(uintptr_t)first.kept.data)[3] = NAN;
	ok &= seen_render(&none, &r, &e) == ERR_FORMAT;
	first.kept.bytes--;
	err_clear(&e);
	ok &= seen_render(&none, &r, &e) == ERR_FORMAT;
out:
	seen_done(&first);
	seen_done(&again);
	seen_done(&none);
	return ok;
}

bool check_seeds(struct render r)
{
	const struct engine_options options = {
		.device = tap_device(), .precision = ENGINE_F32, .n_threads = 1};
	struct seen batch = {0}, one = {0}, two = {0};
	struct engine *en = NULL;
	struct err e = {0};

	r.request.noise = NULL;
	r.request.seed = UINT64_C(1) << 40;
	r.request.n_takes = 2;
	bool ok = !seen_render(&batch, &r, &e) && !engine_open(r.folder, &options, NULL, &en, &e);
	r.en = en;
	r.request.n_takes = 1;
	ok = ok && !seen_render(&one, &r, &e);
	r.request.seed++;
	ok = ok && !seen_render(&two, &r, &e);
	if (!ok)
		tap_remark("%s", e.text);
	const size_t n = one.audio.n * sizeof(float);
	ok = ok && n && batch.audio.n == 2 * one.audio.n &&
	     !memcmp(batch.audio.v, one.audio.v, n) &&
	     !memcmp(batch.audio.v + one.audio.n, two.audio.v, n) &&
	     memcmp(one.audio.v, two.audio.v, n);
	engine_close(en);
	seen_done(&batch);
	seen_done(&one);
	seen_done(&two);
	return ok;
}

bool check_previews(struct render r)
{
	struct seen with = {0}, without = {0};
	struct err e = {0};
	bool ok = !seen_render(&without, &r, &e);

	r.request.preview = 2;
	ok = ok && !seen_render(&with, &r, &e) && same_audio(&with, &without) &&
	     with.n_previews == (r.request.steps - 1) / 2;
	if (!ok)
		tap_remark("%d previews; %s", with.n_previews, e.text);
	seen_done(&with);
	seen_done(&without);
	return ok;
}

bool check_cancel(struct render r)
{
	struct seen s = {.cancel_at = 2};
	struct err e = {0};
	bool ok = seen_render(&s, &r, &e) == ERR_CANCELLED && s.n_steps == 2;

	seen_done(&s);
	return ok;
}

bool check_cancel_decoding(struct render r, int least)
{
	struct seen all = {0};
	struct err e = {0};
	bool ok = !seen_render(&all, &r, &e) && all.n_decoding >= least;
	/* The first, the last, and evenly between them; what is decoded is made anew for the first
	 * alone.  The places are the host's, so few will do on a device. */
	const int most = strcmp(tap_device(), "cpu") ? 3 : 9,
		  tries = all.n_decoding < most ? all.n_decoding : most;

	tap_remark("decoding tells %d times; %s", all.n_decoding, e.text);
	for (int i = 0; i < tries && ok; i++) {
		const int at = tries > 1 ? 1 + i * (all.n_decoding - 1) / (tries - 1) : 1;
		struct seen s = {.cancel_decoding = at};
		ok = seen_render(&s, &r, &e) == ERR_CANCELLED && s.n_decoding == at;
		seen_done(&s);
		r.request.latents = &all.kept;
	}
	seen_done(&all);
	return ok;
}
