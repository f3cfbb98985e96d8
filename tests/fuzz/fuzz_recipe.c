/* Any bytes as a WAV or FLAC file that is asked for its recipe, as the text of a
 * recipe, and as an audio file. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "library/audio.h"
#include "library/base/arena.h"
#include "library/base/err.h"
#include "library/base/str.h"
#include "library/recipe.h"
#include "tests/fuzz/fuzz.h"

/* What was read can be written, and then says the same. */
static void check_text(const char *text)
{
	struct arena a = {0};
	struct recipe r;
	struct str one = {0}, two = {0};
	struct err e = {0};
	int rc = recipe_parse(text, &a, &r, &e);

	FUZZ_REQUIRE(rc == e.code);
	if (!rc) {
		FUZZ_REQUIRE(r.prompt && r.model && !strchr(r.model, '/'));
		FUZZ_REQUIRE(r.seconds > 0 || r.frames > 0);
		recipe_json(&r, &one);
		recipe_comment(&r, &two);
		FUZZ_REQUIRE(two.n <= AUDIO_COMMENT_MAX && is_utf8(two.s, two.n));
		str_clear(&two);
		/* escapes may make it longer than any recipe */
		if (one.n <= AUDIO_RECIPE_MAX) {
			FUZZ_REQUIRE(!recipe_parse(one.s, &a, &r, NULL));
			recipe_json(&r, &two);
			FUZZ_REQUIRE(!strcmp(one.s, two.s));
		}
	}
	str_done(&one);
	str_done(&two);
	arena_done(&a);
}

static void check_bytes(const uint8_t *data, size_t n)
{
	char *text = xcalloc(n + 1, 1);

	if (n)
		memcpy(text, data, n);
	check_text(text);
	free(text);
}

static void check_recipe(const char *path)
{
	struct err e = {0};
	char *recipe;
	int rc = audio_read_recipe(path, &recipe, &e);

	FUZZ_REQUIRE(rc == e.code && !recipe == (rc != 0));
	if (rc)
		return;
	FUZZ_REQUIRE(strlen(recipe) <= AUDIO_RECIPE_MAX && is_utf8(recipe, strlen(recipe)));
	check_text(recipe);
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

	check_bytes(data, n);
	check_recipe(path);
	check_audio(&(struct audio_read_desc){.path = path, .max_s = 0.1});
	check_audio(&(struct audio_read_desc){
		.path = path, .max_s = 0.1, .rate_hz = 32000, .channels = 2});
	check_audio(&(struct audio_read_desc){
		.path = path, .max_s = 0.1, .rate_hz = 16000, .channels = 1});
	return 0;
}
