/* Any bytes as a WAV file that is asked for its recipe, and as an audio file. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "library/audio.h"
#include "library/base/err.h"
#include "library/base/str.h"
#include "tests/fuzz/fuzz.h"

static void check_recipe(const char *path)
{
	struct err e = {0};
	char *recipe;
	int rc = audio_read_recipe(path, &recipe, &e);

	FUZZ_REQUIRE(rc == e.code && !recipe == (rc != 0));
	if (rc)
		return;
	FUZZ_REQUIRE(strlen(recipe) <= AUDIO_RECIPE_MAX && is_utf8(recipe, strlen(recipe)));
	free(recipe);
}

static void check_audio(const struct audio_read_desc *d)
{
	struct audio a;
	struct err e = {0};
	int rc = audio_read(d, &a, &e);

	FUZZ_REQUIRE(rc == e.code && !a.samples == (rc != 0));
	if (rc)
		return;
	FUZZ_REQUIRE(a.n_frames && a.channels >= 1 && a.channels <= AUDIO_CHANNELS_MAX);
	FUZZ_REQUIRE(a.rate_hz >= AUDIO_RATE_MIN && a.rate_hz <= AUDIO_RATE_MAX);
	FUZZ_REQUIRE(!d->rate_hz || a.rate_hz == d->rate_hz);
	FUZZ_REQUIRE(!d->channels || a.channels == d->channels);
	for (size_t i = 0; i < a.n_frames * (size_t)a.channels; i++)
		FUZZ_REQUIRE(isfinite(a.samples[i]));
	audio_done(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const char *path = fuzz_file(data, n);

	check_recipe(path);
	check_audio(&(struct audio_read_desc){.path = path, .max_s = 0.1});
	check_audio(&(struct audio_read_desc){
		.path = path, .max_s = 0.1, .rate_hz = 32000, .channels = 2});
	check_audio(&(struct audio_read_desc){
		.path = path, .max_s = 0.1, .rate_hz = 16000, .channels = 1});
	return 0;
}
