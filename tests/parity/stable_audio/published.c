/* The values that diffusers publishes for the released checkpoint
 * (tests/pipelines/stable_audio/test_stable_audio.py, StableAudioPipelineIntegrationTests):
 * ten samples of 25 steps from numpy's noise, with the draws of a CUDA device between them.
 *
 * The folder that WOODSHED_MODELS names holds stable-audio-open-1.0 in the layout of diffusers;
 * what is not there is skipped.  The row of compute capability 7, whose arithmetic is f32
 * throughout; the tolerance is diffusers' own, 1.5e-3. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/engine.h"
#include "library/base/arena.h"
#include "library/base/err.h"
#include "tests/parity/numpy_random.h"
#include "tests/parity/stable_audio/brownian.h"
#include "tests/parity/tap.h"
#include "tests/parity/values.h"

enum { N_NOISE = 64 * 1024, STEPS = 25, N_SAMPLES = 30 * 44100, FIRST = 447590, SLICE = 10 };

static const float expected[SLICE] = {
	-0.0278f, 0.1096f, 0.1877f, 0.3178f, 0.5329f, 0.6990f, 0.6972f, 0.6186f, 0.5608f, 0.5060f};
static const struct brownian motion = {.entropy = 0, .low = 0.3f, .high = 500};

/* The scheduler's grid as torch rounds it, which decides about the fourth digit of a draw. */
static const float sigma[STEPS] = {500.000061f, 367.050842f, 269.452759f, 197.805817f, 145.209579f,
	106.598587f, 78.2542343f, 57.4465904f, 42.1716347f, 30.9582748f, 22.7265263f, 16.6835842f,
	12.2474489f, 8.99087429f, 6.60021734f, 4.84523153f, 3.55689335f, 2.61112189f, 1.91682935f,
	1.40714788f, 1.03298986f, 0.758319736f, 0.556683898f, 0.408662647f, 0.299999982f};

/* Printed by brownian.py, with five digits. */
static bool is_right(void)
{
	static const double normal[] = {-0.9247, -0.4253, -2.6438, 0.1452, -0.1209, -0.5797};
	static const uint32_t at[] = {0, 1, 1024, N_NOISE - 1};
	static const struct {
		int step;
		double values[4];
	} draws[] = {{0, {0.08547, -0.34542, 0.19295, 0.02327}},
		{1, {1.61287, -1.72994, 0.43898, 0.75484}},
		{12, {0.00716, -0.12783, -0.33156, 0.73964}},
		{23, {0.23927, 1.15899, 1.11549, -0.49736}}};
	bool ok = true;

	for (uint32_t i = 0; i < 6; i++)
		ok &= fabs(cuda_normal(0, i) - normal[i]) < 1e-4;
	for (int d = 0; d < 4; d++)
		for (int i = 0; i < 4; i++) {
			float z;

			brownian_step(&motion, sigma[draws[d].step], sigma[draws[d].step + 1],
				at[i], 1, &z);
			if (fabs((double)z - draws[d].values[i]) > 2e-5)
				tap_remark("step %d: %g instead of %g", draws[d].step + 1,
					(double)z, draws[d].values[i]);
			ok &= fabs((double)z - draws[d].values[i]) <= 2e-5;
		}
	return ok;
}

static int on_audio(void *ud, int take, const struct engine_audio *chunk, struct err *e)
{
	struct values *first = ud; /* channel */

	for (int64_t i = 0; i < chunk->frames; i++)
		append(first, chunk->samples + i * chunk->channels, 1);
	return 0;
}

static bool render(const char *folder)
{
	const struct engine_options options = {.device = tap_device(), .precision = ENGINE_F32};
	float *latents = xcalloc((size_t)N_NOISE * STEPS, sizeof(*latents));
	const struct engine_noise noise = {
		.latents = latents, .steps = latents + N_NOISE, .n = N_NOISE, .n_steps = STEPS - 1};
	const struct engine_request request = {.prompt = "A hammer hitting a wooden surface",
		.n_takes = 1,
		.guidance = 2.5f,
		.steps = STEPS,
		.noise = &noise,
		.n_frames = N_SAMPLES};
	struct values audio = {0};
	const struct engine_sink sink = {.audio = on_audio, .ud = &audio};
	struct engine *en = NULL;
	struct err e = {0};
	double worst = 0;

	numpy_normal(0, latents, N_NOISE);
	for (int i = 0; i + 1 < STEPS; i++)
		brownian_step(&motion, sigma[i], sigma[i + 1], 0, N_NOISE,
			latents + (size_t)N_NOISE * (size_t)(i + 1));
	bool ok = !engine_open(folder, &options, NULL, &en, &e) &&
		  !engine_render(en, &request, NULL, &sink, &e);
	if (!ok)
		tap_remark("%s", e.text);
	for (size_t i = 0; i < SLICE && ok; i++) {
		const double d = fabs((double)audio.v[FIRST + i] - (double)expected[i]);
		worst = d > worst || isnan(d) ? d : worst;
	}
	tap_remark("differs by %.2g, may by 1.5e-3", worst);
	engine_close(en);
	free(audio.v);
	free(latents);
	return ok && worst <= 1.5e-3;
}

int main(void)
{
	const char *name = "stable-audio-open-1.0", *models = getenv("WOODSHED_MODELS");
	char folder[4096];

	tap_ok(numpy_is_right(), "the noise is numpy's");
	tap_ok(is_right(), "the draws are torchsde's on a CUDA device");
	snprintf(folder, sizeof(folder), "%s/%s", models ? models : "", name);
	if (!models || access(folder, R_OK))
		tap_skip(name, "it is not in the folder that WOODSHED_MODELS names");
	else
		tap_ok(render(folder), "%s", name);
	return tap_done();
}
