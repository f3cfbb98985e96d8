/* Installed models, told from their folders. */
#include "tests/unit/scratch.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "library/base/arena.h"
#include "library/base/err.h"
#include "library/catalogue.h"
#include "library/models.h"

static void put(void **state, const char *path, const char *text)
{
	char folder[4096];

	assert_true(strlen(path) < sizeof(folder));
	memcpy(folder, path, strlen(path) + 1);
	for (char *c = folder; *c; c++) {
		if (*c != '/')
			continue;
		*c = 0;
		mkdir(scratch_path(state, folder), 0700);
		*c = '/';
	}
	scratch_write(scratch_path(state, path), text, strlen(text));
}

static void every_kind(void **state)
{
	struct arena a = {0};
	struct models m;
	struct err e = {0};

	put(state, "models/c-stereo/config.json",
		"{\"model_type\": \"musicgen\", \"audio_encoder\": {\"sampling_rate\": 32000},"
		" \"decoder\": {\"audio_channels\": 2}}");
	put(state, "models/c-stereo/weights", "12345");
	put(state, "models/b-mono/config.json",
		"{\"model_type\": \"musicgen\", \"audio_encoder\": {\"sampling_rate\": 16000, "
		"\"upsampling_ratios\": [8, 5, 4, 2]}, "
		"\"decoder\": {\"max_position_embeddings\": 503}}");
	put(state, "models/a-stable/model_index.json",
		"{\"_class_name\": \"StableAudioPipeline\"}");
	put(state, "models/a-stable/vae/weights", "1234567");
	put(state, "models/a-stable/vae/config.json",
		"{\"sampling_rate\": 44100, \"downsampling_ratios\": [2, 4, 4, 8, 8]}");
	put(state, "models/a-stable/transformer/config.json", "{\"sample_size\": 1024.0}");
	put(state, "models/d-ldm/model_index.json", "{\"_class_name\": \"AudioLDM2Pipeline\"}");
	put(state, "models/d-ldm/vocoder/config.json",
		"{\"sampling_rate\": 16000, \"upsample_rates\": [5, 4, 2, 2, 2]}");
	put(state, "models/d-ldm/vae/config.json", "{\"block_out_channels\": [8, 8, 8]}");
	put(state, "models/d-ldm/unet/config.json", "{\"sample_size\": 256}");
	put(state, "models/e-other/config.json", "{\"model_type\": \"bert\"}");
	put(state, "models/f-broken/config.json", "{\"model_type\": \"musicgen\"");
	put(state, "models/g-empty/x", "");
	put(state, "models/.hidden/x", "");
	put(state, "models/a-file", "");

	assert_int_equal(models_list(*state, NULL, &a, &m, &e), 0);
	assert_int_equal(m.n, 7);
	assert_string_equal(m.list[0].name, "a-stable");
	assert_string_equal(m.list[0].engine, "stable-audio");
	assert_true(m.list[0].bytes > 7 + strlen("{\"_class_name\": \"StableAudioPipeline\"}"));
	assert_float_equal(m.list[0].longest_s, 1024 * 2048 / 44100.0, 0);
	assert_float_equal(m.list[0].window_s, m.list[0].longest_s, 0);
	assert_float_equal(m.list[1].longest_s, 0, 0);
	assert_float_equal(m.list[1].window_s, 500 / 50.0, 1e-12); /* four codebooks take three */
	assert_float_equal(m.list[2].window_s, 0, 0);
	assert_string_equal(m.list[1].name, "b-mono");
	assert_int_equal(m.list[1].rate_hz, 16000);
	assert_int_equal(m.list[1].channels, 1);
	assert_string_equal(m.list[2].engine, "musicgen");
	assert_int_equal(m.list[2].rate_hz, 32000);
	assert_int_equal(m.list[2].channels, 2);
	assert_string_equal(m.list[3].engine, "audioldm2");
	assert_float_equal(m.list[3].longest_s, 10.24, 1e-12);
	for (size_t i = 4; i < 7; i++)
		assert_null(m.list[i].engine);
	assert_null(m.picked);
	assert_null(m.chosen);
	arena_done(&a);
}

static const char *chosen(void **state, const char *own, struct arena *a)
{
	struct models m;
	struct err e = {0};

	assert_int_equal(models_list(*state, own, a, &m, &e), 0);
	return m.chosen ? m.chosen->name : NULL;
}

static void the_default(void **state)
{
	struct arena a = {0};
	const char *own = arena_strdup(&a, scratch_path(state, "share/starter"));
	struct models m;
	struct err e = {0};

	assert_null(chosen(state, NULL, &a));
	put(state, "models/one/x", "");
	assert_string_equal(chosen(state, NULL, &a), "one"); /* the only one */
	put(state, "share/starter/config.json", "{\"model_type\": \"musicgen\"}");
	assert_string_equal(chosen(state, own, &a), "starter");
	put(state, "models/two/x", "");
	assert_null(chosen(state, NULL, &a));
	assert_string_equal(chosen(state, own, &a), "starter");

	assert_int_equal(models_pick(*state, "two", &e), 0);
	assert_string_equal(chosen(state, own, &a), "two");
	assert_int_equal(models_pick(*state, "one", &e), 0);
	assert_string_equal(chosen(state, own, &a), "one");
	assert_int_equal(models_pick(*state, "gone", &e), 0);
	assert_int_equal(models_list(*state, own, &a, &m, &e), 0);
	assert_string_equal(m.picked, "gone");
	assert_null(m.chosen);
	assert_int_equal(models_pick(*state, NULL, &e), 0);
	assert_int_equal(models_pick(*state, NULL, &e), 0);
	assert_string_equal(chosen(state, own, &a), "starter");

	/* One of the user's with that name stands before ours. */
	put(state, "models/starter/x", "");
	assert_int_equal(models_list(*state, own, &a, &m, &e), 0);
	assert_int_equal(m.n, 3);
	assert_null(m.chosen);
	assert_null(m.list[1].engine);
	arena_done(&a);
}

static void a_default_that_cannot_be_read_or_written(void **state)
{
	struct arena a = {0};
	struct models m;
	struct err e = {0};
	char text[1000];

	memset(text, 'x', sizeof(text));
	scratch_write(scratch_path(state, "default-model"), text, sizeof(text));
	assert_int_equal(models_list(*state, NULL, &a, &m, &e), 0);
	assert_true(strlen(m.picked) < 300);
	assert_null(m.chosen);
	scratch_write(scratch_path(state, "default-model"), "", 0);
	assert_int_equal(models_list(*state, NULL, &a, &m, &e), 0);
	assert_string_equal(m.picked, "");
	unlink(scratch_path(state, "default-model"));
	assert_int_equal(mkdir(scratch_path(state, "default-model"), 0700), 0);
	assert_int_equal(models_list(*state, NULL, &a, &m, &e), ERR_IO);
	err_clear(&e);
	assert_int_equal(models_pick(*state, "one", &e), ERR_IO);
	assert_error(e, ERR_IO, "default-model");
	err_clear(&e);
	assert_int_equal(models_pick(scratch_path(state, "none"), "one", &e), ERR_IO);
	assert_error(e, ERR_IO, "none");
	arena_done(&a);
}

static void senseless_numbers_count_as_none(void **state)
{
	struct arena a = {0};
	struct model m;

	put(state, "m/config.json",
		"{\"model_type\": \"musicgen\", \"audio_encoder\": {\"sampling_rate\": 1e300},"
		" \"decoder\": {\"audio_channels\": -3}}");
	model_describe(scratch_path(state, "m"), &a, &m);
	assert_string_equal(m.engine, "musicgen");
	assert_int_equal(m.rate_hz, 0);
	assert_int_equal(m.channels, 1);
	put(state, "m/config.json",
		"{\"model_type\": \"musicgen\", \"audio_encoder\": 5,"
		" \"decoder\": {\"audio_channels\": 99999999999}}");
	model_describe(scratch_path(state, "m"), &a, &m);
	assert_int_equal(m.rate_hz, 0);
	assert_int_equal(m.channels, 1);
	arena_done(&a);
}

static void folders_that_name_themselves_otherwise(void **state)
{
	struct arena a = {0};
	struct model m;

	put(state, "m/sub/x", "");
	model_describe(scratch_path(state, "m/sub/.."), &a, &m);
	assert_string_equal(m.name, "m");
	model_describe(scratch_path(state, "m/"), &a, &m);
	assert_string_equal(m.name, "m");
	model_describe("/", &a, &m);
	assert_string_equal(m.name, "/");
	model_describe(scratch_path(state, "none"), &a, &m);
	assert_null(m.engine);
	arena_done(&a);
}

static void a_fifo_is_not_read(void **state)
{
	struct arena a = {0};
	struct model m;

	put(state, "m/x", "");
	assert_int_equal(mkfifo(scratch_path(state, "m/config.json"), 0600), 0);
	model_describe(scratch_path(state, "m"), &a, &m);
	assert_null(m.engine);
	arena_done(&a);
}

/* What other programs leave in the cache of Hugging Face, as links to blobs. */
static void cache(void **state, const char *repo_folder, const char *revision, const char *main)
{
	static const char *const names[] = {"config.json", "model.safetensors"};
	char path[300], target[300];

	for (size_t i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "hub/%s/blobs/%s", repo_folder, names[i]);
		put(state, path, "{\"model_type\": \"musicgen\"}");
		snprintf(path, sizeof(path), "hub/%s/snapshots/%s/x", repo_folder, revision);
		put(state, path, "");
		snprintf(path, sizeof(path), "hub/%s/snapshots/%s/%s", repo_folder, revision,
			names[i]);
		snprintf(target, sizeof(target), "../../blobs/%s", names[i]);
		assert_int_equal(symlink(target, scratch_path(state, path)), 0);
	}
	snprintf(path, sizeof(path), "hub/%s/refs/main", repo_folder);
	put(state, path, main);
}

static void the_cache_of_other_programs(void **state)
{
	struct arena a = {0};
	const char *hub = arena_strdup(&a, scratch_path(state, "hub"));
	struct models m;
	struct err e = {0};

	assert_int_equal(models_list_shared(*state, NULL, hub, &a, &m, &e), 0);
	assert_int_equal(m.n, 0);
	cache(state, "models--facebook--musicgen-small", "0a1b", "0a1b");
	cache(state, "models--us--musicgen-small", "0a1b", "0a1b\n");
	cache(state, "models--one--same", "0a1b", "0a1b");
	cache(state, "models--two--same", "0a1b", "0a1b");
	cache(state, "models--us--mine", "0a1b", "0a1b");
	cache(state, "models--us--no-ref", "0a1b", "");
	cache(state, "models--us--hostile-ref", "0a1b", "../snapshots/0a1b");
	cache(state, "models--us--other-ref", "0a1b", "0a1c");
	cache(state, "models--us--cut", "0a1b", "0a1b");
	unlink(scratch_path(state, "hub/models--us--cut/blobs/model.safetensors"));
	cache(state, "models--us--a--b", "0a1b", "0a1b");
	cache(state, "datasets--us--set", "0a1b", "0a1b");
	put(state, "models/mine/config.json", "{\"model_type\": \"musicgen\"}");

	assert_int_equal(models_list_shared(*state, NULL, hub, &a, &m, &e), 0);
	assert_int_equal(m.n, 5);
	assert_string_equal(m.list[0].name, "mine");
	assert_false(m.list[0].is_shared);
	assert_null(m.list[0].repo);
	assert_string_equal(m.list[1].name, "musicgen-small");
	assert_string_equal(m.list[1].repo, "facebook/musicgen-small");
	assert_string_equal(m.list[1].known->licence, "CC-BY-NC-4.0");
	assert_true(m.list[1].is_shared);
	assert_int_equal(m.list[1].bytes, 2 * strlen("{\"model_type\": \"musicgen\"}"));
	assert_string_equal(m.list[2].name, "same");
	assert_string_equal(m.list[2].repo, "one/same");
	assert_string_equal(m.list[3].name, "two--same");
	assert_string_equal(m.list[4].name, "us--musicgen-small");
	assert_null(m.list[4].known);
	assert_int_equal(models_list(*state, NULL, &a, &m, &e), 0);
	assert_int_equal(m.n, 1);
	assert_int_equal(models_list_shared(NULL, NULL, hub, &a, &m, &e), 0);
	assert_int_equal(m.n, 5);
	assert_string_equal(m.list[0].repo, "us/mine"); /* hidden no more */
	arena_done(&a);
}

static void where_a_model_is_from(void **state)
{
	struct arena a = {0};
	struct model m;
	struct err e = {0};

	put(state, "musicgen-small/config.json", "{\"model_type\": \"musicgen\"}");
	model_describe(scratch_path(state, "musicgen-small"), &a, &m);
	assert_string_equal(m.repo, "facebook/musicgen-small");
	assert_int_equal(model_set_repo(m.dir, "us/else", &e), 0);
	model_describe(scratch_path(state, "musicgen-small"), &a, &m);
	assert_string_equal(m.repo, "us/else");
	assert_null(m.known);
	put(state, "musicgen-small/.woodshed-repo", "../../x\n");
	model_describe(scratch_path(state, "musicgen-small"), &a, &m);
	assert_string_equal(m.repo, "facebook/musicgen-small");
	/* A known name and another engine: something else. */
	put(state, "audioldm2/config.json", "{\"model_type\": \"musicgen\"}");
	model_describe(scratch_path(state, "audioldm2"), &a, &m);
	assert_null(m.repo);
	assert_int_equal(model_set_repo(scratch_path(state, "none"), "us/else", &e), ERR_IO);
	arena_done(&a);
}

static void nothing_installed(void **state)
{
	struct arena a = {0};
	struct models m;
	struct err e = {0};

	assert_int_equal(models_list(*state, NULL, &a, &m, &e), 0);
	assert_int_equal(m.n, 0);
	put(state, "models", "");
	assert_int_equal(models_list(*state, NULL, &a, &m, &e), ERR_IO);
	assert_error(e, ERR_IO, "cannot read");
	arena_done(&a);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, scratch_open, scratch_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_kind),
		TEST(the_default),
		TEST(a_default_that_cannot_be_read_or_written),
		TEST(senseless_numbers_count_as_none),
		TEST(folders_that_name_themselves_otherwise),
		TEST(a_fifo_is_not_read),
		TEST(the_cache_of_other_programs),
		TEST(where_a_model_is_from),
		TEST(nothing_installed),
	};
	return RUN_TAP(tests);
}
