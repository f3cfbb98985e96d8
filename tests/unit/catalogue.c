/* Known models, names of repositories, and which files of one are needed. */
#include "tests/unit/scratch.h"

#include <string.h>

#include "library/base/arena.h"
#include "library/base/err.h"
#include "library/base/str.h"
#include "library/catalogue.h"
#include "library/http.h"
#include "library/pull.h"
#include "library/repo_files.h"

static void every_entry_is_whole(void **state)
{
	struct arena a = {0};
	size_t n = 0;

	for (const struct known_model *m = catalogue; m->name; m++, n++) {
		assert_true(is_repo(m->repo));
		assert_string_equal(repo_model_name(m->repo, &a), m->name);
		assert_ptr_equal(catalogue_by_name(m->name), m);
		assert_ptr_equal(catalogue_by_repo(m->repo), m);
		assert_non_null(m->engine);
		assert_true(has_suffix(m->page, m->repo));
		assert_true(strlen(m->licence) > 5);
		assert_true(m->about_bytes > 1000000000 && m->about_bytes < 20000000000);
		assert_true(m->rate_hz >= 16000 && m->channels >= 1 && m->longest_s >= 10);
	}
	assert_int_equal(n, 10);
	assert_null(catalogue_by_name("musicgen-tiny"));
	assert_null(catalogue_by_repo("us/musicgen-small"));
	assert_string_equal(repo_model_name("us/musicgen-small", &a), "us--musicgen-small");
	assert_string_equal(repo_model_name("us/else", &a), "else");
	arena_done(&a);
}

static void names_of_repositories(void **state)
{
	static const char *const good[] = {
		"a/b", "facebook/musicgen-small", "A_1.x/b-2.0_C", "us/stable-audio-open-1.0"};
	static const char *const bad[] = {"", "a", "a/", "/b", "a/b/c", "../b", "a/..", ".a/b",
		"a/.b", "-a/b", "a/b--c", "a/b..c", "a b/c", "a/b\n", "a/b?c", "a/b%2f",
		"\xc3\xa9/b"};
	char text[300];

	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
		assert_true(is_repo(good[i]));
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_false(is_repo(bad[i]));
	memset(text, 'x', sizeof(text));
	text[96] = '/';
	text[97 + 96] = 0;
	assert_true(is_repo(text));
	text[97 + 96] = 'x';
	text[97 + 97] = 0;
	assert_false(is_repo(text));
}

static void what_users_write(void **state)
{
	const struct known_model *known;
	const char *repo;
	struct err e = {0};

	assert_int_equal(catalogue_resolve("musicgen-large", &known, &repo, &e), 0);
	assert_string_equal(repo, "facebook/musicgen-large");
	assert_string_equal(known->name, "musicgen-large");
	assert_int_equal(catalogue_resolve("cvssp/audioldm2", &known, &repo, &e), 0);
	assert_string_equal(known->name, "audioldm2");
	assert_int_equal(catalogue_resolve("us/else", &known, &repo, &e), 0);
	assert_null(known);
	assert_string_equal(repo, "us/else");
	assert_int_equal(catalogue_resolve("musicgen-lrage", &known, &repo, &e), ERR_ARG);
	assert_error(e, ERR_ARG, "did you mean musicgen-large?");
	err_clear(&e);
	assert_int_equal(catalogue_resolve("", &known, &repo, &e), ERR_ARG);
	err_clear(&e);
	assert_int_equal(catalogue_resolve("../x", &known, &repo, &e), ERR_ARG);
	assert_error(e, ERR_ARG, "is no repository");
}

/* ---- files -------------------------------------------------------------- */

#define BLOB   "0123456789abcdef0123456789abcdef01234567"
#define SHA256 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

/* A list of these paths, each of as many bytes as its path has letters. */
static void make_list(struct str *out, const char *const *paths)
{
	str_add_char(out, '[');
	for (size_t i = 0; paths[i]; i++)
		str_printf(out,
			"%s{\"type\": \"file\", \"path\": \"%s\", \"oid\": \"" BLOB
			"\", \"size\": %zu}",
			i ? ", " : "", paths[i], strlen(paths[i]));
	str_add_char(out, ']');
}

/* The chosen paths, joined. */
static const char *chosen(const char *const *paths, struct arena *a, struct err *e)
{
	struct repo_files all, needed;
	struct str list = {0}, joined = {0};
	const char *text = NULL;

	make_list(&list, paths);
	assert_int_equal(repo_files_parse(list.s, list.n, a, &all, e), 0);
	if (!repo_files_choose(&all, a, &needed, e)) {
		for (size_t i = 0; i < needed.n; i++)
			str_printf(&joined, "%s%s", i ? " " : "", needed.at[i].path);
		text = arena_strdup(a, str_get(&joined));
	}
	str_done(&list);
	str_done(&joined);
	return text;
}

#define CHOSEN(...) chosen((const char *const[]){__VA_ARGS__, NULL}, &a, &e)

static void what_a_model_needs(void **state)
{
	struct arena a = {0};
	struct err e = {0};

	assert_string_equal(CHOSEN("config.json", "model.safetensors", "pytorch_model.bin",
				    "flax_model.msgpack", "run.py", "x/config.json",
				    "model.fp16.safetensors", "state_dict.bin"),
		"config.json model.safetensors");
	assert_string_equal(CHOSEN("pytorch_model.bin", "spiece.model", "config.json"),
		"config.json spiece.model pytorch_model.bin");
	assert_string_equal(
		CHOSEN("config.json", "model.safetensors.index.json",
			"model.safetensors.index.fp32.json", "model-00001-of-00002.safetensors",
			"model-00002-of-00002.safetensors", "model.fp32-00001-of-00002.safetensors",
			"pytorch_model.bin"),
		"config.json model.safetensors.index.json model-00001-of-00002.safetensors "
		"model-00002-of-00002.safetensors");
	/* As musicgen-large had it: PyTorch's parts and no others. */
	assert_string_equal(CHOSEN("config.json", "pytorch_model.bin.index.json",
				    "pytorch_model-00001-of-00001.bin"),
		"config.json pytorch_model.bin.index.json pytorch_model-00001-of-00001.bin");
	assert_string_equal(CHOSEN("model_index.json", "model.safetensors", "vae/config.json",
				    "vae/diffusion_pytorch_model.safetensors",
				    "vae/diffusion_pytorch_model.fp16.safetensors",
				    "scheduler/scheduler_config.json", "tokenizer/merges.txt",
				    "a/b/config.json", "Unsafe Name/config.json", "LICENSE.md"),
		"model_index.json LICENSE.md vae/config.json tokenizer/merges.txt "
		"scheduler/scheduler_config.json vae/diffusion_pytorch_model.safetensors");
	arena_done(&a);
}

static void what_is_no_model(void **state)
{
	struct arena a = {0};
	struct err e = {0};

	assert_null(CHOSEN("model.safetensors"));
	assert_error(e, ERR_UNSUPPORTED, "neither config.json nor model_index.json");
	err_clear(&e);
	assert_null(CHOSEN("config.json"));
	assert_error(e, ERR_UNSUPPORTED, "no weights");
	err_clear(&e);
	assert_null(CHOSEN("config.json", "model.safetensors.index.json"));
	assert_error(e, ERR_UNSUPPORTED, "no part");
	err_clear(&e);
	assert_null(CHOSEN("config.json", "model.safetensors.index.json",
		"model-00001-of-00003.safetensors", "model-00003-of-00003.safetensors"));
	assert_error(e, ERR_UNSUPPORTED, "'model-00002-of-00003.safetensors' is missing");
	err_clear(&e);
	assert_null(CHOSEN("model_index.json", "unet/config.json"));
	assert_error(e, ERR_UNSUPPORTED, "'unet/'");
	arena_done(&a);
}

static void hashes_and_sizes(void **state)
{
	static const char list[] =
		"[{\"type\": \"directory\", \"path\": \"x\"},"
		" {\"type\": \"file\", \"path\": \"b\", \"size\": 7, \"oid\": \"" BLOB "\","
		"  \"lfs\": {\"oid\": \"" SHA256 "\", \"size\": 9, \"pointerSize\": 1}},"
		" {\"path\": \"a\", \"size\": 5, \"oid\": \"" BLOB "\", \"lfs\": null}]";
	struct repo_files files;
	struct arena a = {0};
	struct err e = {0};

	assert_int_equal(repo_files_parse(list, sizeof(list) - 1, &a, &files, &e), 0);
	assert_int_equal(files.n, 2);
	assert_int_equal(files.bytes, 14);
	assert_string_equal(files.at[0].path, "a");
	assert_false(files.at[0].is_lfs);
	assert_string_equal(files.at[0].hash, BLOB);
	assert_true(files.at[1].is_lfs);
	assert_int_equal(files.at[1].bytes, 9);
	assert_string_equal(files.at[1].hash, SHA256);
	arena_done(&a);
}

/* ---- endpoints and tokens ----------------------------------------------- */

static void endpoints(void **state)
{
	static const char *const good[] = {"https://huggingface.co", "http://127.0.0.1:8080",
		"https://example.org/mirror", "http://[::1]:80"};
	static const char *const bad[] = {"", "huggingface.co", "ftp://example.org", "https://",
		"https://u:p@example.org", "https://example.org/?x", "https://example.org/#x",
		"https://exa mple.org", "https://example.org/\n", "file:///etc"};

	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
		assert_true(is_endpoint(good[i]));
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_false(is_endpoint(bad[i]));
}

static void tokens(void **state)
{
	const char *file = scratch_path(state, "token"), *token;
	char text[3000];
	struct arena a = {0};
	struct err e = {0};

	assert_int_equal(pull_token(NULL, NULL, &a, &token, &e), 0);
	assert_null(token);
	assert_int_equal(pull_token("", file, &a, &token, &e), 0); /* no such file */
	assert_null(token);
	scratch_write(file, "\n", 1);
	assert_int_equal(pull_token(NULL, file, &a, &token, &e), 0);
	assert_null(token);
	scratch_write(file, " hf_file\r\n", 10);
	assert_int_equal(pull_token(NULL, file, &a, &token, &e), 0);
	assert_string_equal(token, "hf_file");
	assert_int_equal(pull_token("hf_given\n", file, &a, &token, &e), 0);
	assert_string_equal(token, "hf_given");

	assert_int_equal(pull_token("a b", NULL, &a, &token, &e), ERR_FORMAT);
	assert_error(e, ERR_FORMAT, "HF_TOKEN");
	err_clear(&e);
	assert_int_equal(pull_token("a\x01", NULL, &a, &token, &e), ERR_FORMAT);
	err_clear(&e);
	memset(text, 'x', sizeof(text));
	scratch_write(file, text, sizeof(text));
	assert_int_equal(pull_token(NULL, file, &a, &token, &e), ERR_FORMAT);
	assert_error(e, ERR_FORMAT, file);
	assert_null(strstr(e.text, "xxx")); /* a token is a secret */
	arena_done(&a);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, scratch_open, scratch_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_entry_is_whole),
		TEST(names_of_repositories),
		TEST(what_users_write),
		TEST(what_a_model_needs),
		TEST(what_is_no_model),
		TEST(hashes_and_sizes),
		TEST(endpoints),
		TEST(tokens),
	};
	return RUN_TAP(tests);
}
