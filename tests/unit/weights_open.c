/* Which files make up a checkpoint: preference, shards, strangers, identity. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/weights/ckpt.h"
#include "library/base/err.h"
#include "library/base/sha256.h"
#include "tests/unit/scratch.h"
#include "tests/unit/weights_files.h"

/* A safetensors file with one tensor of two f32. */
static void write_one(const char *path, const char *tensor, float first, float second)
{
	const float payload[] = {first, second};
	struct str file = {0};
	char header[200];

	snprintf(header, sizeof(header),
		"{\"%s\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", tensor);
	safetensors(&file, header, payload, sizeof(payload));
	scratch_write(path, file.s, file.n);
	str_done(&file);
}

static void write_text(const char *path, const char *text)
{
	scratch_write(path, text, strlen(text));
}

static void copy_file(const char *from, const char *to)
{
	size_t n;
	unsigned char *data = scratch_read(from, &n);

	scratch_write(to, data, n);
	free(data);
}

static void assert_dir_refused(void **state, int code, const char *part)
{
	struct ckpt *c = NULL;
	struct err e = {0};

	assert_true(ckpt_open(*state, &c, &e) < 0);
	assert_null(c);
	assert_error(e, code, part);
}

static float first_value(const struct ckpt *c, const char *name)
{
	float *x = read_all(c, name), first = x[0];

	free(x);
	return first;
}

static void check_sharded(const char *dir)
{
	static const char *const names[] = {"a", "b", "c.weight"};
	struct ckpt *c;
	struct err e = {0};

	if (ckpt_open(dir, &c, &e))
		fail_msg("%s", e.text);
	assert_int_equal(ckpt_count(c), 3);
	for (int i = 0; i < 3; i++) {
		const struct ckpt_tensor *t = ckpt_find(c, names[i]);
		float *x = read_all(c, names[i]);
		for (uint64_t j = 0; j < t->n_elements; j++)
			assert_true(x[j] == fixture_value(names[i], t, j));
		free(x);
	}
	assert_int_not_equal(ckpt_find(c, "a")->file, ckpt_find(c, "c.weight")->file);
	assert_true(ckpt_bytes(c) > 68);
	ckpt_close(c);
}

static void sharded_safetensors(void **state)
{
	check_sharded(FIXTURES "/sharded-safetensors");
}

static void sharded_torch(void **state)
{
	check_sharded(FIXTURES "/sharded-bin");
}

/* As transformers: safetensors, its index, .bin, its index; what comes later is
 * not even looked at. */
static void preference(void **state)
{
	struct ckpt *c;

	assert_dir_refused(state, ERR_IO, "holds no weights");
	write_one(scratch_path(state, "part"), "in.bin.index", 1, 2);
	write_text(scratch_path(state, "pytorch_model.bin.index.json"),
		"{\"weight_map\":{\"in.bin.index\":\"part\"}}");
	assert_int_equal(ckpt_open(*state, &c, NULL), 0);
	assert_non_null(ckpt_find(c, "in.bin.index"));
	ckpt_close(c);

	copy_file(FIXTURES "/module.bin", scratch_path(state, "pytorch_model.bin"));
	assert_int_equal(ckpt_open(*state, &c, NULL), 0);
	assert_non_null(ckpt_find(c, "shared.weight"));
	ckpt_close(c);

	write_text(scratch_path(state, "model.safetensors.index.json"), "{");
	assert_dir_refused(state, ERR_FORMAT, "'model.safetensors.index.json' is not valid JSON");
	write_one(scratch_path(state, "model.safetensors"), "whole", 3, 4);
	assert_int_equal(ckpt_open(*state, &c, NULL), 0);
	assert_non_null(ckpt_find(c, "whole"));
	ckpt_close(c);
}

static void wrong_indexes(void **state)
{
	static const struct {
		const char *text;
		int code;
		const char *error;
	} cases[] = {
		{"{\"weight_map\":{\"a\":\"one\",\"b\":\"two\"}}", 0, ""},
		{"", ERR_FORMAT, "not valid JSON"},
		{"[]", ERR_FORMAT, "not a JSON object"},
		{"{}", ERR_FORMAT, "has no weight_map"},
		{"{\"weight_map\":[]}", ERR_FORMAT, "has no weight_map"},
		{"{\"weight_map\":{}}", ERR_FORMAT, "has no weight_map"},
		{"{\"weight_map\":{\"a\":7}}", ERR_FORMAT, "no plain name"},
		{"{\"weight_map\":{\"a\":\"\"}}", ERR_FORMAT, "no plain name"},
		{"{\"weight_map\":{\"a\":\".\"}}", ERR_FORMAT, "no plain name"},
		{"{\"weight_map\":{\"a\":\"..\"}}", ERR_FORMAT, "no plain name"},
		{"{\"weight_map\":{\"a\":\"../one\"}}", ERR_FORMAT, "no plain name"},
		{"{\"weight_map\":{\"a\":\"/etc/passwd\"}}", ERR_FORMAT, "no plain name"},
		{"{\"weight_map\":{\"a\":\"x/one\"}}", ERR_FORMAT, "no plain name"},
		{"{\"weight_map\":{\"a\":\"one\",\"b\":\"three\"}}", ERR_IO,
			"'three' is missing, though 'model.safetensors.index.json' names it"},
		{"{\"weight_map\":{\"a\":\"two\"}}", ERR_FORMAT,
			"lists 1 tensors that its weight files lack, first 'a' in 'two'"},
		{"{\"weight_map\":{\"a\":\"one\",\"b\":\"one\",\"c\":\"two\"}}", ERR_FORMAT,
			"lists 2 tensors that its weight files lack, first 'b' in 'one'"},
		{"{\"weight_map\":{\"a\":\"one\",\"a\":\"two\"}}", ERR_FORMAT, "not valid JSON"},
	};
	struct ckpt *c;

	write_one(scratch_path(state, "one"), "a", 1, 2);
	write_one(scratch_path(state, "two"), "b", 3, 4);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		write_text(scratch_path(state, "model.safetensors.index.json"), cases[i].text);
		if (cases[i].code) {
			assert_dir_refused(state, cases[i].code, cases[i].error);
			continue;
		}
		assert_int_equal(ckpt_open(*state, &c, NULL), 0);
		assert_true(first_value(c, "b") == 3);
		ckpt_close(c);
	}
}

/* A tensor that is in two shards is read from the one that the index names;
 * one that the index does not name is not there. */
static void index_decides(void **state)
{
	static const char index[] = "{\"weight_map\":{\"a\":\"two\",\"b\":\"three\"}}";
	struct ckpt *c;
	struct str file = {0};

	write_one(scratch_path(state, "one"), "a", 1, 2);
	write_one(scratch_path(state, "two"), "a", 3, 4);
	safetensors(&file,
		"{\"b\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]},"
		"\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[4,8]},"
		"\"z\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[8,12]}}",
		"abcdefghijkl", 12);
	scratch_write(scratch_path(state, "three"), file.s, file.n);
	write_text(scratch_path(state, "model.safetensors.index.json"), index);
	assert_int_equal(ckpt_open(*state, &c, NULL), 0);
	assert_int_equal(ckpt_count(c), 2);
	assert_true(first_value(c, "a") == 3);
	assert_true(first_value(c, "b") == 'a');
	ckpt_close(c);
	str_done(&file);
}

static void too_many_shards(void **state)
{
	struct str index = {0};
	char name[32];

	for (int i = 0; i < 600; i++) {
		snprintf(name, sizeof(name), "s%d", i);
		write_one(scratch_path(state, name), name, 1, 2);
		str_printf(&index, "%s\"%s\":\"%s\"", i ? "," : "{\"weight_map\":{", name, name);
	}
	str_add(&index, "}}");
	scratch_write(scratch_path(state, "model.safetensors.index.json"), index.s, index.n);
	assert_dir_refused(state, ERR_FORMAT, "more than 512 weight files");
	str_done(&index);
}

static void strangers(void **state)
{
	static const char pointer[] = "version https://git-lfs.github.com/spec/v1\noid sha256:0\n";
	const char *path = scratch_path(state, "model.safetensors");
	char tar[1024] = "data.pkl";

	scratch_write(path, "", 0);
	assert_dir_refused(state, ERR_FORMAT, "it has only 0 bytes");
	write_text(path, pointer);
	assert_dir_refused(state, ERR_FORMAT, "git lfs pull");
	write_text(path, "<!DOCTYPE html><html></html>");
	assert_dir_refused(state, ERR_FORMAT, "no safetensors file");
	memcpy(tar + 257, "ustar", 5);
	scratch_write(path, tar, sizeof(tar));
	assert_dir_refused(state, ERR_UNSUPPORTED, "before version 1.6");
	copy_file(FIXTURES "/legacy.bin", path);
	assert_dir_refused(state, ERR_UNSUPPORTED, "before version 1.6");
	/* told by content, not by name */
	copy_file(FIXTURES "/module.bin", path);
	struct ckpt *c;
	assert_int_equal(ckpt_open_file(path, &c, NULL), 0);
	ckpt_close(c);

	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_dir_refused(state, ERR_FORMAT, "is not a file");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_dir_refused(state, ERR_FORMAT, "is not a file");
	assert_refused("/nonexistent/model.safetensors", ERR_IO, "No such file");
	ckpt_close(NULL);
}

static void identity_of(const char *dir, char out[65])
{
	struct ckpt *c;

	assert_int_equal(ckpt_open(dir, &c, NULL), 0);
	assert_int_equal(strlen(ckpt_identity(c)), 64);
	strcpy(out, ckpt_identity(c));
	ckpt_close(c);
}

/* The same wherever the folder lies; another for other names or values. */
static void identity(void **state)
{
	const char *path = scratch_path(state, "model.safetensors");
	char first[65], again[65], other[65];

	write_one(path, "a", 1, 2);
	identity_of(*state, first);
	char *elsewhere = strdup(scratch_path(state, "elsewhere"));
	assert_int_equal(mkdir(elsewhere, 0700), 0);
	copy_file(path, scratch_path(state, "elsewhere/model.safetensors"));
	identity_of(elsewhere, again);
	assert_string_equal(first, again);
	free(elsewhere);
	write_one(path, "b", 1, 2);
	identity_of(*state, other);
	assert_string_not_equal(first, other);
	write_one(path, "a", 1, 3);
	identity_of(*state, again);
	assert_string_not_equal(first, again);
	assert_string_not_equal(other, again);
}

static void expect_sha256(const char *dir, const char *memory, const char *want)
{
	struct ckpt *c;
	char got[65];

	assert_int_equal(ckpt_open(dir, &c, NULL), 0);
	assert_int_equal(ckpt_sha256(c, memory, NULL, NULL, got, NULL), 0);
	assert_string_equal(got, want);
	ckpt_close(c);
}

static void hash_of(const char *path, char out[65])
{
	struct sha256 s;
	size_t n;
	unsigned char *data = scratch_read(path, &n);

	sha256_init(&s);
	sha256_add(&s, data, n);
	sha256_hex(&s, out);
	free(data);
}

/* What is kept is taken while the files are the same, and written anew when not. */
static void sha256_of_one(void **state)
{
	const char *path = scratch_path(state, "model.safetensors");
	const char *memory = scratch_path(state, "cache/m.sha256");
	char first[65], other[65], *kept;
	struct stat st;
	size_t n;

	write_one(path, "a", 1, 2);
	hash_of(path, first);
	expect_sha256(*state, NULL, first);
	expect_sha256(*state, memory, first);
	assert_int_equal(stat(memory, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	kept = (char *)scratch_read(memory, &n);
	assert_int_equal(n, 64 + 1 + 64 + 1);
	memset(kept + 65, 'e', 64);
	scratch_write(memory, kept, n);
	memset(other, 'e', 64);
	other[64] = 0;
	expect_sha256(*state, memory, other);
	kept[70] = 'X';
	scratch_write(memory, kept, n);
	expect_sha256(*state, memory, first);
	memset(kept + 65, 'e', 64);
	scratch_write(memory, kept, n);
	write_one(path, "a", 1, 3);
	hash_of(path, other);
	expect_sha256(*state, memory, other);
	expect_sha256(*state, memory, other);
	free(kept);
}

static int stop_at_once(void *ud)
{
	++*(int *)ud;
	return 1;
}

static void sha256_can_be_stopped(void **state)
{
	struct err e = {0};
	struct ckpt *c;
	char got[65];
	int calls = 0;

	write_one(scratch_path(state, "model.safetensors"), "a", 1, 2);
	assert_int_equal(ckpt_open(*state, &c, NULL), 0);
	assert_int_equal(
		ckpt_sha256(c, scratch_path(state, "m.sha256"), stop_at_once, &calls, got, &e),
		ERR_CANCELLED);
	assert_int_equal(calls, 1);
	assert_int_equal(access(scratch_path(state, "m.sha256"), F_OK), -1);
	ckpt_close(c);
}

/* sha256sum model-*.safetensors | sha256sum */
static void sha256_of_shards(void **state)
{
	static const char *const names[] = {"model-1.safetensors", "model-2.safetensors"};
	struct sha256 s;
	char hex[65], want[65];

	write_one(scratch_path(state, names[0]), "a", 1, 2);
	write_one(scratch_path(state, names[1]), "b", 3, 4);
	write_text(scratch_path(state, "model.safetensors.index.json"),
		"{\"weight_map\": {\"b\": \"model-2.safetensors\", \"a\": "
		"\"model-1.safetensors\"}}");
	sha256_init(&s);
	for (int i = 0; i < 2; i++) {
		hash_of(scratch_path(state, names[i]), hex);
		sha256_add(&s, hex, 64);
		sha256_add(&s, "  ", 2);
		sha256_add(&s, names[i], strlen(names[i]));
		sha256_add(&s, "\n", 1);
	}
	sha256_hex(&s, want);
	expect_sha256(*state, NULL, want);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sharded_safetensors),
		cmocka_unit_test(sharded_torch),
		cmocka_unit_test_setup_teardown(preference, scratch_open, scratch_close),
		cmocka_unit_test_setup_teardown(wrong_indexes, scratch_open, scratch_close),
		cmocka_unit_test_setup_teardown(index_decides, scratch_open, scratch_close),
		cmocka_unit_test_setup_teardown(too_many_shards, scratch_open, scratch_close),
		cmocka_unit_test_setup_teardown(strangers, scratch_open, scratch_close),
		cmocka_unit_test_setup_teardown(identity, scratch_open, scratch_close),
		cmocka_unit_test_setup_teardown(sha256_of_one, scratch_open, scratch_close),
		cmocka_unit_test_setup_teardown(sha256_of_shards, scratch_open, scratch_close),
		cmocka_unit_test_setup_teardown(sha256_can_be_stopped, scratch_open, scratch_close),
	};

	return RUN_TAP(tests);
}
