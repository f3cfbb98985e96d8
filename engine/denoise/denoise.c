/* The stream around a method: queues, other rates, the mix. */
#include "engine/denoise/denoise.h"

#include <math.h>
#include <soxr.h>
#include <stdlib.h>
#include <string.h>

#include "engine/denoise/method.h"
#include "library/base/arena.h"
#include "library/base/err.h"

static const struct denoise_method *const methods[] = {&denoise_df, &denoise_ss, &denoise_wiener};

/* Interleaved frames, first in, first out. */
struct queue {
	float *at; /* owned */
	size_t begin, end, cap;
};

enum stage { LEARNING, RUNNING, FLUSHED };

struct denoise {
	struct denoise_desc d;
	const struct denoise_method *method;
	void *m;
	enum stage stage;
	bool failed;
	size_t channels, block;
	int rate_hz;          /* the method's */
	soxr_t up, down;      /* to it and back; NULL: the same rate */
	size_t skip;          /* frames of the method's output before the first */
	uint64_t n_in, n_out; /* frames pushed, pulled */
	struct queue dry;     /* pushed, not yet pulled */
	struct queue fed;     /* at the method's rate, not yet a block */
	struct queue removed; /* at the stream's rate */
	float *out;           /* a block */
	float *resampled;     /* RESAMPLED frames */
};

enum { RESAMPLED = 4096 };

/* ---- queues -------------------------------------------------------------- */

static int queue_reserve(struct queue *q, size_t n, size_t channels, struct err *e)
{
	size_t held = q->end - q->begin, cap;
	void *mem;
	int rc;

	if (q->end + n <= q->cap)
		return 0;
	if (q->begin > held + n) {
		memmove(q->at, q->at + q->begin * channels, held * channels * sizeof *q->at);
		q->begin = 0;
		q->end = held;
		return 0;
	}
	cap = 2 * (held + n);
	rc = mem_try_alloc(&mem, cap * channels, sizeof *q->at, "audio to denoise", e);
	if (rc)
		return rc;
	if (held)
		memcpy(mem, q->at + q->begin * channels, held * channels * sizeof *q->at);
	free(q->at);
	*q = (struct queue){.at = mem, .end = held, .cap = cap};
	return 0;
}

/* x NULL: silence. */
static int queue_add(struct queue *q, const float *x, size_t n, size_t channels, struct err *e)
{
	int rc = n ? queue_reserve(q, n, channels, e) : 0;

	if (rc || !n)
		return rc;
	if (x)
		memcpy(q->at + q->end * channels, x, n * channels * sizeof *x);
	else
		memset(q->at + q->end * channels, 0, n * channels * sizeof *x);
	q->end += n;
	return 0;
}

static size_t queue_held(const struct queue *q)
{
	return q->end - q->begin;
}

/* ---- open ---------------------------------------------------------------- */

static const struct denoise_method *find_method(const char *name)
{
	for (size_t i = 0; i < sizeof(methods) / sizeof(*methods); i++)
		if (!strcmp(methods[i]->name, name))
			return methods[i];
	return NULL;
}

bool denoise_has(const char *method)
{
	return find_method(method) != NULL;
}

static int check(const struct denoise_desc *d, struct err *e)
{
	if (d->rate_hz < DENOISE_RATE_MIN || d->rate_hz > DENOISE_RATE_MAX)
		return err_set(e, ERR_ARG, "cannot denoise at %d Hz; %d to %d work", d->rate_hz,
			DENOISE_RATE_MIN, DENOISE_RATE_MAX);
	if (d->channels < 1 || d->channels > DENOISE_CHANNELS_MAX)
		return err_set(e, ERR_ARG, "cannot denoise %d channels; 1 to %d work", d->channels,
			DENOISE_CHANNELS_MAX);
	if (!(d->mix >= 0 && d->mix <= 1))
		return err_set(e, ERR_ARG, "the mix lies between 0 (dry) and 1 (wet)");
	if (!(d->strength >= 0 && d->strength <= DENOISE_STRENGTH_MAX))
		return err_set(
			e, ERR_ARG, "the strength lies between 0 and %d", DENOISE_STRENGTH_MAX);
	return 0;
}

static int open_resampler(double from, double to, size_t channels, soxr_t *ret, struct err *e)
{
	soxr_io_spec_t io = soxr_io_spec(SOXR_FLOAT32_I, SOXR_FLOAT32_I);
	soxr_quality_spec_t quality = soxr_quality_spec(SOXR_VHQ, 0);
	soxr_runtime_spec_t runtime = soxr_runtime_spec(1);
	soxr_error_t failure;

	*ret = soxr_create(from, to, (unsigned)channels, &failure, &io, &quality, &runtime);
	if (!*ret)
		return err_set(e, ERR_NOMEM,
			"cannot resample from %g to %g Hz: %s; free some memory", from, to,
			soxr_strerror(failure));
	return 0;
}

static int open_edges(struct denoise *d, struct err *e)
{
	void *mem;
	int rc = mem_try_alloc(
		&mem, (d->block + RESAMPLED) * d->channels, sizeof(float), "denoiser", e);

	if (rc)
		return rc;
	d->out = mem;
	d->resampled = d->out + d->block * d->channels;
	if (d->rate_hz == d->d.rate_hz)
		return 0;
	rc = open_resampler(d->d.rate_hz, d->rate_hz, d->channels, &d->up, e);
	if (!rc)
		rc = open_resampler(d->rate_hz, d->d.rate_hz, d->channels, &d->down, e);
	return rc;
}

int denoise_open_method(const struct denoise_desc *desc, const struct denoise_method *method,
	struct denoise **ret, struct err *e)
{
	struct denoise_desc inner = *desc;
	struct denoise *d;
	int rc = check(desc, e);

	if (rc)
		return rc;
	d = xcalloc(1, sizeof *d);
	d->d = *desc;
	d->method = method;
	d->channels = (size_t)desc->channels;
	d->rate_hz = method->rate_hz ? method->rate_hz : desc->rate_hz;
	d->stage = method->learn ? LEARNING : RUNNING;
	inner.rate_hz = d->rate_hz;
	rc = method->open(&inner, &d->m, e);
	if (!rc) {
		d->block = method->block(d->m);
		d->skip = method->latency(d->m);
		rc = open_edges(d, e);
	}
	if (rc) {
		denoise_close(d);
		return rc;
	}
	*ret = d;
	return 0;
}

int denoise_open(const struct denoise_desc *desc, struct denoise **ret, struct err *e)
{
	const struct denoise_method *method = find_method(desc->method);

	if (!method)
		return err_set(e, ERR_UNSUPPORTED,
			"this woodshed has no denoiser '%.40s' built in; use wiener or ss",
			desc->method);
	return denoise_open_method(desc, method, ret, e);
}

void denoise_close(struct denoise *d)
{
	if (!d)
		return;
	if (d->m)
		d->method->close(d->m);
	if (d->up)
		soxr_delete(d->up);
	if (d->down)
		soxr_delete(d->down);
	free(d->dry.at);
	free(d->fed.at);
	free(d->removed.at);
	free(d->out);
	free(d);
}

/* ---- through the method -------------------------------------------------- */

/* What comes of `n` frames (x NULL: of the end) through a resampler, onto a queue. */
static int resample(struct denoise *d, soxr_t through, const float *x, size_t n, struct queue *to,
	struct err *e)
{
	size_t used, made;
	int rc = 0;

	do {
		soxr_error_t failure =
			soxr_process(through, x, n, &used, d->resampled, RESAMPLED, &made);

		if (failure)
			return err_set(e, ERR_NOMEM, "cannot resample: %s; free some memory",
				soxr_strerror(failure));
		rc = queue_add(to, d->resampled, made, d->channels, e);
		n -= used;
		if (x)
			x += used * d->channels;
	} while (!rc && (n || made == RESAMPLED));
	return rc;
}

static int add_removed(struct denoise *d, struct err *e)
{
	size_t skip = d->skip < d->block ? d->skip : d->block, n = d->block - skip;
	const float *x = d->out + skip * d->channels;

	d->skip -= skip;
	if (!n)
		return 0;
	return d->down ? resample(d, d->down, x, n, &d->removed, e)
		       : queue_add(&d->removed, x, n, d->channels, e);
}

static int run_blocks(struct denoise *d, struct err *e)
{
	int rc = 0;

	while (!rc && queue_held(&d->fed) >= d->block) {
		const float *in = d->fed.at + d->fed.begin * d->channels;

		d->fed.begin += d->block;
		if (d->stage == LEARNING)
			rc = d->method->learn(d->m, in, d->block, e);
		else
			rc = d->method->process(d->m, in, d->out, e);
		if (!rc && d->stage != LEARNING)
			rc = add_removed(d, e);
	}
	return rc;
}

static int check_samples(struct denoise *d, const float *x, size_t n, struct err *e)
{
	for (size_t i = 0; i < n * d->channels; i++)
		if (!(fabsf(x[i]) <= DENOISE_LEVEL_MAX))
			return err_set(e, ERR_FORMAT,
				"a sample at %.3f seconds is no number, or far beyond full scale; "
				"repair the audio first",
				(double)(d->n_in + i / d->channels) / d->d.rate_hz);
	return 0;
}

/* In pieces that depend on nothing but the place in the stream, so that a resampler
 * always sees the same. */
static int feed(struct denoise *d, const float *x, size_t n, struct err *e)
{
	int rc = 0;

	for (size_t done = 0, part; !rc && done < n; done += part) {
		part = d->block - (size_t)(d->n_in % d->block);
		part = part < n - done ? part : n - done;
		if (d->up)
			rc = resample(d, d->up, x + done * d->channels, part, &d->fed, e);
		else
			rc = queue_add(&d->fed, x + done * d->channels, part, d->channels, e);
		d->n_in += part;
		if (!rc)
			rc = run_blocks(d, e);
	}
	return rc;
}

bool denoise_learns(const struct denoise *d)
{
	return d->method->learn != NULL;
}

int denoise_learn(struct denoise *d, const float *samples, size_t n_frames, struct err *e)
{
	int rc = check_samples(d, samples, n_frames, e);

	if (d->stage != LEARNING)
		return err_set(e, ERR_BUG, "a denoiser learned after it began to work");
	return rc ? rc : feed(d, samples, n_frames, e);
}

/* What was learned from ends; the stream begins, and nothing of before is in it. */
static int begin(struct denoise *d, struct err *e)
{
	int rc = 0;

	if (d->up) {
		rc = resample(d, d->up, NULL, 0, &d->fed, e);
		if (!rc)
			rc = run_blocks(d, e);
		if (!rc && soxr_clear(d->up))
			rc = err_set(e, ERR_NOMEM, "cannot resample; free some memory");
	}
	if (!rc && queue_held(&d->fed))
		rc = d->method->learn(
			d->m, d->fed.at + d->fed.begin * d->channels, queue_held(&d->fed), e);
	d->fed.begin = d->fed.end = 0;
	d->n_in = 0;
	d->stage = RUNNING;
	return !rc && d->method->learned ? d->method->learned(d->m, e) : rc;
}

int denoise_push(struct denoise *d, const float *samples, size_t n_frames, struct err *e)
{
	int rc = 0;

	if (d->failed || d->stage == FLUSHED)
		return err_set(e, ERR_BUG, "a denoiser that ended was given more");
	if (d->stage == LEARNING)
		rc = begin(d, e);
	if (!rc)
		rc = check_samples(d, samples, n_frames, e);
	if (!rc)
		rc = queue_add(&d->dry, samples, n_frames, d->channels, e);
	if (!rc)
		rc = feed(d, samples, n_frames, e);
	d->failed = rc != 0;
	return rc;
}

/* Silence goes in until all that was pushed can be pulled. */
int denoise_flush(struct denoise *d, struct err *e)
{
	int rc = 0;

	if (d->stage == LEARNING)
		rc = begin(d, e);
	if (!rc && d->up)
		rc = resample(d, d->up, NULL, 0, &d->fed, e);
	if (!rc && d->method->end)
		d->method->end(d->m, queue_held(&d->fed));
	while (!rc && queue_held(&d->removed) < queue_held(&d->dry)) {
		rc = queue_add(&d->fed, NULL, d->block, d->channels, e);
		if (!rc)
			rc = run_blocks(d, e);
	}
	d->stage = FLUSHED;
	d->failed = rc != 0;
	return rc;
}

size_t denoise_pull(struct denoise *d, float *out, float *removed, size_t n_frames)
{
	size_t n = queue_held(&d->removed), dry = queue_held(&d->dry);
	const float *x, *r;
	float mix = (float)d->d.mix;

	n = n < dry ? n : dry;
	n = n < n_frames ? n : n_frames;
	if (d->failed || !n)
		return 0;
	x = d->dry.at + d->dry.begin * d->channels;
	r = d->removed.at + d->removed.begin * d->channels;
	for (size_t i = 0; i < n * d->channels; i++) {
		float gone = mix * r[i];

		out[i] = x[i] - gone;
		if (removed)
			removed[i] = gone;
	}
	d->dry.begin += n;
	d->removed.begin += n;
	d->n_out += n;
	return n;
}

size_t denoise_latency(const struct denoise *d)
{
	double ratio = (double)d->d.rate_hz / d->rate_hz;
	size_t n = d->method->latency(d->m) + d->block;

	/* What the resamplers hold back was measured to be less than this. */
	return d->up ? (size_t)((double)n * ratio) + 3000 + (size_t)d->d.rate_hz / 32 : n;
}

bool denoise_report(const struct denoise *d, struct denoise_report *ret)
{
	return d->method->report && d->method->report(d->m, ret);
}
