/* The values that diffusers publishes for the released checkpoints
 * (tests/pipelines/audioldm2/test_audioldm2.py, AudioLDM2PipelineSlowTests): ten samples of
 * a short render from numpy's noise.
 *
 * The folder that WOODSHED_MODELS names holds audioldm2 and audioldm2-large in the layout of
 * diffusers; what is not there is skipped.  The tolerance is diffusers' own, 1e-3. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/engine.h"
#include "library/base/err.h"
#include "tests/parity/tap.h"
#include "tests/parity/values.h"

enum { N_NOISE = 8 * 128 * 16, N_SAMPLES = 81952, SLICE = 10 };

/* ---- numpy.random.RandomState(0).standard_normal() ---------------------- */

/* Matsumoto and Nishimura 1998, and the polar method of Marsaglia. */
struct twister {
	uint32_t state[624];
	int at;
	double kept;
	bool has_kept;
};

static void twister_seed(struct twister *t, uint32_t seed)
{
	*t = (struct twister){.at = 624};
	for (uint32_t i = 0; i < 624; i++) {
		t->state[i] = seed;
		seed = 1812433253u * (seed ^ seed >> 30) + i + 1;
	}
}

static uint32_t twister_next(struct twister *t)
{
	if (t->at == 624) {
		for (int i = 0; i < 624; i++) {
			const uint32_t y = (t->state[i] & 0x80000000u) |
					   (t->state[(i + 1) % 624] & 0x7fffffffu);
			t->state[i] =
				t->state[(i + 397) % 624] ^ y >> 1 ^ (y & 1 ? 0x9908b0dfu : 0);
		}
		t->at = 0;
	}
	uint32_t y = t->state[t->at++];
	y ^= y >> 11;
	y ^= y << 7 & 0x9d2c5680u;
	y ^= y << 15 & 0xefc60000u;
	return y ^ y >> 18;
}

static double twister_uniform(struct twister *t)
{
	const uint32_t a = twister_next(t) >> 5, b = twister_next(t) >> 6;

	return (a * 67108864.0 + b) / 9007199254740992.0;
}

static double twister_normal(struct twister *t)
{
	double x, y, square;

	if (t->has_kept) {
		t->has_kept = false;
		return t->kept;
	}
	do {
		x = 2 * twister_uniform(t) - 1;
		y = 2 * twister_uniform(t) - 1;
		square = x * x + y * y;
	} while (square >= 1 || square == 0);
	const double f = sqrt(-2 * log(square) / square);
	t->kept = f * x;
	t->has_kept = true;
	return f * y;
}

/* ---- renders ------------------------------------------------------------ */

struct run {
	const char *model;
	int steps;
	size_t first;
	float samples[SLICE];
};

static const struct run runs[] = {
	{"audioldm2", 25, 17275,
		{0.0791f, 0.0666f, 0.1158f, 0.1227f, 0.1171f, -0.2880f, -0.1940f, -0.0283f,
			-0.0126f, 0.1127f}},
	{"audioldm2-large", 3, 8825,
		{-0.1829f, -0.1461f, 0.0759f, -0.1493f, -0.1396f, 0.5783f, 0.3001f, -0.3038f,
			-0.0639f, -0.2244f}},
};

static int on_audio(void *ud, int take, const struct engine_audio *chunk, struct err *e)
{
	append(ud, chunk->samples, (size_t)chunk->frames);
	return 0;
}

static bool render(const struct run *r, const char *folder, const float *noise)
{
	const struct engine_options options = {.precision = ENGINE_F32};
	const struct engine_noise start = {.latents = noise, .n = N_NOISE};
	const struct engine_request request = {.prompt = "A hammer hitting a wooden surface",
		.n_takes = 1,
		.guidance = 2.5f,
		.steps = r->steps,
		.noise = &start,
		.n_frames = N_SAMPLES};
	struct values audio = {0};
	const struct engine_sink sink = {.audio = on_audio, .ud = &audio};
	struct engine *en = NULL;
	struct err e = {0};
	bool ok = !engine_open(folder, &options, NULL, &en, &e) &&
		  !engine_render(en, &request, NULL, &sink, &e);
	double worst = 0;

	if (!ok)
		tap_remark("%s", e.text);
	for (size_t i = 0; i < SLICE && ok; i++) {
		const double d = fabs((double)audio.v[r->first + i] - (double)r->samples[i]);
		worst = d > worst || isnan(d) ? d : worst;
	}
	tap_remark("%d steps: differs by %.2g, may by 1e-3", r->steps, worst);
	engine_close(en);
	free(audio.v);
	return ok && worst <= 1e-3;
}

int main(void)
{
	const char *models = getenv("WOODSHED_MODELS");
	static const double known[] = {1.76405235, 0.40015721, 0.97873798, 2.2408932, 1.86755799};
	static float noise[N_NOISE];
	struct twister t;
	char folder[4096];

	twister_seed(&t, 0);
	for (int i = 0; i < N_NOISE; i++)
		noise[i] = (float)twister_normal(&t);
	bool ok = true;
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		ok &= fabs((double)noise[i] - known[i]) < 1e-7;
	tap_ok(ok, "the noise is numpy's");
	for (size_t i = 0; i < sizeof(runs) / sizeof(*runs); i++) {
		snprintf(folder, sizeof(folder), "%s/%s", models ? models : "", runs[i].model);
		if (!models || access(folder, R_OK))
			tap_skip(runs[i].model,
				"it is not in the folder that WOODSHED_MODELS names");
		else
			tap_ok(render(&runs[i], folder, noise), "%s", runs[i].model);
	}
	return tap_done();
}
