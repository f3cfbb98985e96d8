/* safetensors files that break a rule, one at a time. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/weights/ckpt.h"
#include "library/base/err.h"
#include "tests/unit/scratch.h"
#include "tests/unit/weights_files.h"

static void broken_rules(void **state)
{
	static const struct {
		const char *header, *error;
	} cases[] = {
		/* JSON */
		{"", "not valid JSON"},
		{"[]", "not a JSON object"},
		{"{", "not valid JSON"},
		{"{}x", "not valid JSON"},
		{"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
		 "\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}",
			"not valid JSON"},
		{"{\"\xff\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}",
			"not valid JSON"},
		{"{\"__metadata__\":{\"format\":1},"
		 "\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}",
			"metadata"},
		{"{\"__metadata__\":[],"
		 "\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}",
			"metadata"},
		{"{\"a\":[]}", "type"},
		/* dtype */
		{"{\"a\":{\"shape\":[2],\"data_offsets\":[0,8]}}", "type"},
		{"{\"a\":{\"dtype\":\"F99\",\"shape\":[2],\"data_offsets\":[0,8]}}", "type"},
		{"{\"a\":{\"dtype\":7,\"shape\":[2],\"data_offsets\":[0,8]}}", "type"},
		/* shape */
		{"{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,8]}}", "shape"},
		{"{\"a\":{\"dtype\":\"F32\",\"shape\":2,\"data_offsets\":[0,8]}}", "shape"},
		{"{\"a\":{\"dtype\":\"F32\",\"shape\":[-2],\"data_offsets\":[0,8]}}", "shape"},
		{"{\"a\":{\"dtype\":\"F32\",\"shape\":[2.0],\"data_offsets\":[0,8]}}", "shape"},
		{"{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,2],\"data_offsets\":[0,8]}}",
			"shape"},
		{"{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,"
		 "8]}}",
			"shape"},
		{"{\"a\":{\"dtype\":\"F32\",\"shape\":[9223372036854775807,2],\"data_offsets\":[0,"
		 "8]}}",
			"shape"},
		{"{\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387906],\"data_offsets\":[0,8]}"
		 "}",
			"shape"},
		{"{\"a\":{\"dtype\":\"F32\",\"shape\":[99999999999999999999],"
		 "\"data_offsets\":[0,8]}}",
			"not valid JSON"},
		/* size */
		{"{\"a\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,8]}}",
			"another number"},
		{"{\"a\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[0,8]}}",
			"another number"},
		{"{\"a\":{\"dtype\":\"F4\",\"shape\":[3],\"data_offsets\":[0,1]}}",
			"another number"},
		/* offsets */
		{"{\"a\":{\"dtype\":\"F32\",\"shape\":[2]}}", "offsets"},
		{"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0]}}", "offsets"},
		{"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8,9]}}", "offsets"},
		{"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,0]}}", "offsets"},
		{"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[-8,0]}}", "offsets"},
		{"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0.0,8]}}", "offsets"},
		{"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],"
		 "\"data_offsets\":[9223372036854775799,9223372036854775807]}}",
			"gap"},
		{"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
		 "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}",
			"overlaps"},
		{"{\"a\":{\"dtype\":\"U8\",\"shape\":[5],\"data_offsets\":[0,5]},"
		 "\"b\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[4,8]}}",
			"overlaps"},
		{"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}", "gap"},
		{"{\"a\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[0,3]},"
		 "\"b\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[4,8]}}",
			"gap"},
		{"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", "longer"},
		{"{\"a\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,12]}}", "shorter"},
		{"{}", "longer"},
	};
	const char *path = scratch_path(state, "a.safetensors");

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct str file = {0};
		safetensors(&file, cases[i].header, "12345678", 8);
		scratch_write(path, file.s, file.n);
		assert_refused(path, ERR_FORMAT, cases[i].error);
		str_done(&file);
	}
}

static void accepted(void **state)
{
	static const char with_metadata[] = "{\"__metadata__\":{\"format\":\"pt\"},"
					    "\"a\":{\"dtype\":\"F4\",\"shape\":[16],"
					    "\"data_offsets\":[0,8]}}";
	static const char *const headers[] = {
		"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}",
		"  \n{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}     ",
		"{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[4,8],\"new\":1},"
		"\"z\":{\"dtype\":\"F32\",\"shape\":[3,0],\"data_offsets\":[4,4]},"
		"\"b\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]}}",
		with_metadata,
	};
	const char *path = scratch_path(state, "a.safetensors");

	for (size_t i = 0; i < sizeof(headers) / sizeof(*headers); i++) {
		struct str file = {0};
		struct ckpt *c;
		struct err e = {0};
		safetensors(&file, headers[i], "12345678", 8);
		scratch_write(path, file.s, file.n);
		if (ckpt_open_file(path, &c, &e))
			fail_msg("%s: %s", headers[i], e.text);
		assert_non_null(ckpt_find(c, "a"));
		ckpt_close(c);
		str_done(&file);
	}
}

static void lying_length(void **state)
{
	static const struct {
		uint64_t n;
		const char *error;
	} cases[] = {
		{60, "ends inside its header"},
		{100000000, "ends inside its header"},
		{100000001, "header is broken"},
		{UINT64_MAX, "header is broken"},
		{UINT64_MAX - 7, "header is broken"},
		{0, "not valid JSON"},
		{1, "not valid JSON"},
	};
	const char *path = scratch_path(state, "a.safetensors");

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct str file = {0};
		safetensors(&file,
			"{\"a\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}}", "", 0);
		memcpy(file.s, &cases[i].n, 8);
		scratch_write(path, file.s, file.n);
		assert_refused(path, ERR_FORMAT, cases[i].error);
		str_done(&file);
	}
}

/* The sentence of the specification: needed, there, and the remedy. */
static void cut_payload(void **state)
{
	const char *path = scratch_path(state, "a.safetensors");
	struct str file = {0};

	safetensors(&file, "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}} ",
		"1234", 4);
	scratch_write(path, file.s, file.n);
	assert_refused(path, ERR_FORMAT,
		"shorter than its header says (needs 71 bytes, has 67): download it again");
	str_done(&file);
}

/* Every prefix of a good file is refused, and so is a byte more. */
static void truncated(void **state)
{
	const char *path = scratch_path(state, "a.safetensors");
	size_t n;
	unsigned char *file = scratch_read(FIXTURES "/types.safetensors", &n);

	scratch_write(path, file, n + 1);
	assert_refused(path, ERR_FORMAT, "longer");
	while (n--) {
		assert_int_equal(truncate(path, (off_t)n), 0);
		assert_refused(path, ERR_FORMAT, "download");
	}
	free(file);
}

static void too_many(void **state)
{
	const char *path = scratch_path(state, "a.safetensors");
	struct str header = {0}, file = {0};

	for (int i = 0; i <= 65536; i++)
		str_printf(&header,
			"%c\"%d\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}",
			i ? ',' : '{', i);
	str_add(&header, "}");
	safetensors(&file, str_get(&header), "", 0);
	scratch_write(path, file.s, file.n);
	assert_refused(path, ERR_FORMAT, "65536");
	/* A tree of more values than any header needs is not even built. */
	str_clear(&header);
	str_add(&header, "{\"a\":[");
	for (int i = 0; i < 400000; i++)
		str_add(&header, "{},");
	str_add(&header, "0]}");
	str_clear(&file);
	safetensors(&file, str_get(&header), "", 0);
	scratch_write(path, file.s, file.n);
	assert_refused(path, ERR_FORMAT, "more values");
	str_done(&header);
	str_done(&file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(broken_rules, scratch_open, scratch_close),
		cmocka_unit_test_setup_teardown(accepted, scratch_open, scratch_close),
		cmocka_unit_test_setup_teardown(lying_length, scratch_open, scratch_close),
		cmocka_unit_test_setup_teardown(cut_payload, scratch_open, scratch_close),
		cmocka_unit_test_setup_teardown(truncated, scratch_open, scratch_close),
		cmocka_unit_test_setup_teardown(too_many, scratch_open, scratch_close),
	};

	return RUN_TAP(tests);
}
