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
#include "tests/parity/numpy_random.h"
#include "tests/parity/tap.h"
#include "tests/parity/values.h"

enum { N_NOISE = 8 * 128 * 16, N_SAMPLES = 81952, SLICE = 10 };

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
	const struct engine_options options = {.device = tap_device(), .precision = ENGINE_F32};
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
	static float noise[N_NOISE];
	char folder[4096];

	numpy_normal(0, noise, N_NOISE);
	tap_ok(numpy_is_right(), "the noise is numpy's");
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
