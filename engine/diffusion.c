/* The loop of the diffusion engines: a sampler's table, row by row, or its trials; and the
 * latents that it makes, which may be kept. */
#include "engine/diffusion.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "library/base/arena.h"
#include "library/base/err.h"

static int64_t count(const struct gpu_tensor *t)
{
	int64_t n = 1;

	for (int i = 0; i < t->n_dims; i++)
		n *= t->ne[i];
	return n;
}

static struct gpu_shape shape_of(const struct gpu_tensor *t)
{
	struct gpu_shape s = {.n = t->n_dims};

	for (int i = 0; i < t->n_dims; i++)
		s.ne[i] = t->ne[i];
	return s;
}

void channels_last(float *dst, const float *src, int64_t n_channels, int64_t n_rest)
{
	for (int64_t c = 0; c < n_channels; c++)
		for (int64_t i = 0; i < n_rest; i++)
			dst[i * n_channels + c] = src[c * n_rest + i];
}

int diffusion_check_noise(
	const struct engine_noise *noise, int64_t n, const struct sampler_plan *plan, struct err *e)
{
	int n_draws = 0;

	for (int64_t i = 0; i < plan->n; i++)
		if (plan->steps[i].z != 0)
			n_draws = plan->steps[i].number;
	if (!noise)
		return 0;
	if (noise->n != n)
		return err_set(e, ERR_ARG,
			"the noise holds %lld values for the latents, the model has %lld; make "
			"it for this model",
			(long long)noise->n, (long long)n);
	if (noise->n_steps < n_draws)
		return err_set(e, ERR_ARG,
			"the noise holds the draws of %lld steps, the sampler takes those of %d",
			(long long)noise->n_steps, n_draws);
	return 0;
}

/* What one run needs. */
struct run {
	struct diffusion *d;
	struct gpu_arena *arena;
	struct gpu_tensor *x, *base, *start;            /* base: x when the step began */
	struct gpu_tensor *estimate[SAMPLER_ESTIMATES]; /* or slopes; the latest first */
	struct gpu_tensor *clean;                       /* the latest estimate itself */
	struct gpu_tensor *z;
	float *host;                    /* [count(x)], adaptive: [3, count(x)]; owned */
	struct gpu_reading *latents[2]; /* of the last rows of a table; owned */
};

/* number 0: what the latents begin as */
static void draw(struct run *r, struct gpu_tensor *z, int number)
{
	const struct engine_noise *noise = r->d->noise;
	const int64_t n = count(z), channels = z->ne[z->n_dims - 1];

	if (!noise) {
		gpu_normal(r->d->g, z, r->d->seed, (uint32_t)number);
		return;
	}
	channels_last(r->host, number ? noise->steps + (number - 1) * n : noise->latents, channels,
		n / channels);
	gpu_write(r->d->g, z, r->host, (size_t)n * sizeof(float));
}

/* x at noise level (alpha, sigma), where it is to stay what it was. */
static void keep(struct run *r, double alpha, double sigma)
{
	struct gpu *g = r->d->g;
	struct gpu_arena *a = r->d->step;

	for (int i = 0; i < r->d->n_kept; i++) {
		const int64_t first = r->d->kept[i].first, n = r->d->kept[i].n;
		if (n)
			gpu_combine(g, gpu_view(g, a, r->x, 0, first, n),
				(struct gpu_term[]){
					{gpu_view(g, a, r->d->init, 0, first, n), (float)alpha},
					{gpu_view(g, a, r->start, 0, first, n), (float)sigma}},
				2);
	}
}

static void begin(struct run *r)
{
	const struct diffusion *d = r->d;
	const struct sampler_step *s = d->plan->steps;

	draw(r, r->start, 0);
	gpu_combine(d->g, r->x,
		(struct gpu_term[]){{r->start, (float)d->plan->start},
			{d->init, d->init ? (float)s->alpha : 0}},
		d->init ? 2 : 1);
	keep(r, s->alpha, s->sigma);
}

/* What the model sees in x goes to the front of the estimates, or its slope does. */
static void ask(struct run *r, const struct sampler_step *s)
{
	struct diffusion *d = r->d;
	struct gpu_tensor *oldest = r->estimate[SAMPLER_ESTIMATES - 1];

	for (int i = SAMPLER_ESTIMATES - 1; i > 0; i--)
		r->estimate[i] = r->estimate[i - 1];
	r->estimate[0] = oldest;
	if (!d->plan->has_slopes)
		r->clean = oldest;
	d->denoise(d->ud, r->clean, r->x, s);
	gpu_tap(d->g, r->clean, "estimate%d", s->number);
	if (d->slope)
		gpu_copy(d->g, oldest, d->slope);
	else if (d->plan->has_slopes)
		gpu_combine(d->g, oldest,
			(struct gpu_term[]){
				{r->x, (float)(1 / s->sigma)}, {r->clean, (float)(-1 / s->sigma)}},
			2);
}

/* The row's sum; terms whose weight is 0 may hold anything. */
static void advance(struct run *r, const struct sampler_step *s)
{
	struct gpu_term terms[GPU_MAX_TERMS];
	int n = 0;

	if (s->x != 0)
		terms[n++] = (struct gpu_term){r->base, (float)s->x};
	for (int i = 0; i < SAMPLER_ESTIMATES; i++)
		if (s->d[i] != 0)
			terms[n++] = (struct gpu_term){r->estimate[i], (float)s->d[i]};
	if (s->unguided != 0)
		terms[n++] = (struct gpu_term){r->d->unguided, (float)s->unguided};
	if (s->z != 0) {
		draw(r, r->z, s->number);
		terms[n++] = (struct gpu_term){r->z, (float)s->z};
	}
	gpu_combine(r->d->g, r->x, terms, n);
}

/* The end of a step: what stays is put back, and the next one begins here. */
static void settle(struct run *r, const struct sampler_step *s)
{
	keep(r, s->next_alpha, s->next_sigma);
	gpu_copy(r->d->g, r->base, r->x);
	gpu_tap(r->d->g, r->x, "latents%d", s->number);
}

/* What a row left on the host, [count(x)]. */
static int check(struct run *r, const float *latents, int number)
{
	const int64_t n = count(r->x);
	struct err *e = r->d->e;
	char step[48];

	if (r->d->plan->n_steps)
		snprintf(step, sizeof(step), "step %d of %d", number, r->d->plan->n_steps);
	else
		snprintf(step, sizeof(step), "step %d", number);
	if (gpu_failed(r->d->g))
		return err_wrap(e, gpu_sync(r->d->g, e), "%s", step);
	for (int64_t i = 0; i < n; i++)
		if (!isfinite(latents[i]))
			return err_set(e, ERR_FORMAT,
				"%s: a latent is not a number; the model is damaged, or its "
				"weights overflow",
				step);
	return 0;
}

static bool is_previewed(const struct run *r, int number)
{
	return r->d->preview && number % r->d->preview_every == 0;
}

static int preview(struct run *r, int number)
{
	return r->d->preview(r->d->ud, number, r->clean);
}

static void run_row(struct run *r, const struct sampler_step *s)
{
	struct diffusion *d = r->d;
	struct gpu_mark mark = gpu_arena_mark(d->step);

	ask(r, s);
	advance(r, s);
	if (!s->is_inner)
		settle(r, s);
	gpu_arena_release(d->step, mark);
}

static int end_row(struct run *r, int64_t i)
{
	struct diffusion *d = r->d;
	int rc = check(r, gpu_reading_end(d->g, r->latents[i % 2]), d->plan->steps[i].number);

	d->done++;
	return rc ? rc : watch_progress(d->watch, ENGINE_STAGE_RENDER, d->done, d->total, d->e);
}

/* A device that runs ahead has the next row before this one is looked at: or it would wait for
 * the host after each. */
static int run_table(struct run *r)
{
	struct diffusion *d = r->d;
	int64_t n_ended = 0;
	int rc = 0;

	for (int i = 0; i < 2; i++)
		r->latents[i] = gpu_reading_new(d->g, (size_t)count(r->x) * sizeof(float));
	for (int64_t i = 0; i < d->plan->n && !rc; i++) {
		const struct sampler_step *s = &d->plan->steps[i];
		const bool is_shown =
			!s->is_inner && s->number < d->plan->n_steps && is_previewed(r, s->number);
		const bool waits = is_shown || i == d->plan->n - 1 || !gpu_runs_ahead(d->g);

		run_row(r, s);
		gpu_reading_begin(d->g, r->latents[i % 2], r->x);
		while (n_ended < i + waits && !rc)
			rc = end_row(r, n_ended++);
		if (!rc && is_shown)
			rc = preview(r, s->number);
	}
	for (int i = 0; i < 2; i++)
		gpu_reading_free(d->g, r->latents[i]);
	return rc;
}

/* ---- steps by their error ----------------------------------------------- */

/* x of a row to ret [count(x)], at once. */
static int read_row(struct run *r, const struct gpu_tensor *x, float *ret, int number)
{
	gpu_read(r->d->g, x, ret, (size_t)count(x) * sizeof(*ret));
	return check(r, ret, number);
}

/* x and, in low, what the lower order gives in its place. */
static int run_trial(struct run *r, struct sampler_trial *t, float *low)
{
	struct diffusion *d = r->d;
	int rc = 0;

	for (int i = 0; i < 3 && !rc; i++) {
		t->rows[i].is_inner = true; /* nothing has been settled */
		run_row(r, &t->rows[i]);
		rc = read_row(r, r->x, r->host, t->rows[i].number);
		if (i == 1 && !rc) {
			gpu_combine(d->g, r->z,
				(struct gpu_term[]){{r->base, 1},
					{r->estimate[0], (float)t->low[0]},
					{r->estimate[1], (float)t->low[1]}},
				3);
			rc = read_row(r, r->z, low, t->rows[i].number);
		}
		if (!rc)
			rc = watch_progress(d->watch, ENGINE_STAGE_RENDER, d->done, d->total, d->e);
	}
	return rc;
}

static int run_adaptive(struct run *r)
{
	struct diffusion *d = r->d;
	const int64_t n = count(r->x);
	const uint64_t done = d->done;
	float *low = r->host + n, *before = low + n;
	struct sampler_adaptive a = sampler_adaptive_begin(d->plan);
	int rc = read_row(r, r->x, before, 1);

	while (!rc && !sampler_adaptive_is_over(&a)) {
		struct sampler_trial t;

		sampler_adaptive_try(&a, &t);
		rc = run_trial(r, &t, low);
		if (rc)
			break;
		if (!sampler_adaptive_judge(&a, sampler_adaptive_error(r->host, low, before, n))) {
			gpu_copy(d->g, r->x, r->base);
			continue;
		}
		settle(r, &t.rows[2]);
		memcpy(before, low, (size_t)n * sizeof(*low));
		d->done = done + (uint64_t)((double)d->plan->n_ticks * (a.now - a.begin) /
					    (a.end - a.begin));
		if (!sampler_adaptive_is_over(&a) && is_previewed(r, t.rows[2].number))
			rc = preview(r, t.rows[2].number);
	}
	d->done = done + (uint64_t)d->plan->n_ticks;
	return rc ? rc : watch_progress(d->watch, ENGINE_STAGE_RENDER, d->done, d->total, d->e);
}

int diffusion_run(struct diffusion *d, struct gpu_tensor *x)
{
	struct run r = {.d = d, .arena = gpu_arena_new(d->g, "sampler"), .x = x};
	const struct gpu_shape shape = shape_of(x);
	const size_t n_host = (size_t)count(x) * (d->plan->is_adaptive ? 3 : 1);
	int rc = mem_try_alloc((void **)&r.host, n_host, sizeof(float), "the latents", d->e);

	r.base = gpu_new(d->g, r.arena, GPU_F32, "x", shape);
	r.start = gpu_new(d->g, r.arena, GPU_F32, "start noise", shape);
	r.z = gpu_new(d->g, r.arena, GPU_F32, "noise", shape);
	for (int i = 0; i < SAMPLER_ESTIMATES; i++)
		r.estimate[i] = gpu_new(d->g, r.arena, GPU_F32, "estimate", shape);
	if (d->plan->has_slopes)
		r.clean = gpu_new(d->g, r.arena, GPU_F32, "estimate", shape);
	if (!rc) {
		begin(&r);
		gpu_copy(d->g, r.base, x);
		rc = watch_progress(d->watch, ENGINE_STAGE_RENDER, d->done, d->total, d->e);
	}
	if (!rc)
		rc = d->plan->is_adaptive ? run_adaptive(&r) : run_table(&r);
	gpu_arena_free(r.arena);
	free(r.host);
	return rc;
}

/* ---- latents in and out ------------------------------------------------- */

static size_t latent_bytes(const struct gpu_tensor *x)
{
	return (size_t)count(x) * sizeof(float);
}

int diffusion_keep_latents(struct gpu *g, const struct gpu_tensor *x,
	const struct engine_sink *sink, int take, struct err *e)
{
	float *host;
	int rc;

	if (!sink->latents)
		return 0;
	rc = mem_try_alloc((void **)&host, latent_bytes(x), 1, "the latents", e);
	if (rc)
		return rc;
	gpu_read(g, x, host, latent_bytes(x));
	rc = gpu_sync(g, e);
	if (!rc)
		rc = sink->latents(
			sink->ud, take, &(struct engine_latents){host, latent_bytes(x)}, e);
	free(host);
	return rc;
}

int diffusion_put_latents(
	struct gpu *g, struct gpu_tensor *x, const struct engine_latents *l, struct err *e)
{
	const float *v = l->data;

	if (l->bytes != latent_bytes(x))
		return err_set(e, ERR_FORMAT,
			"the kept latents are of another take: %zu bytes instead of %zu", l->bytes,
			latent_bytes(x));
	for (int64_t i = 0; i < count(x); i++)
		if (!isfinite(v[i]))
			return err_set(e, ERR_FORMAT, "the kept latents are damaged");
	gpu_write(g, x, v, l->bytes);
	return 0;
}
