/* Reading tensors: every type, every part of a view, every value of the
 * 16-bit formats, and what must not pass for a weight. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/weights/ckpt.h"
#include "library/base/err.h"
#include "tests/unit/scratch.h"
#include "tests/unit/weights_files.h"

static struct ckpt *open_fixture(const char *name)
{
	char path[4096];
	struct ckpt *c;
	struct err e = {0};

	snprintf(path, sizeof(path), "%s/%s", FIXTURES, name);
	if (ckpt_open_file(path, &c, &e))
		fail_msg("%s", e.text);
	return c;
}

static void check_types(const char *file)
{
	static const char *const names[] = {"t.f32", "t.f16", "t.bf16", "t.f64", "t.i64", "t.i32",
		"t.i16", "t.i8", "t.u8", "t.bool", "scalar", "empty"};
	struct ckpt *c = open_fixture(file);

	assert_int_equal(ckpt_count(c), sizeof(names) / sizeof(*names));
	for (size_t i = 0; i < ckpt_count(c); i++) {
		const struct ckpt_tensor *t = ckpt_find(c, names[i]);
		float *x = read_all(c, names[i]);
		for (uint64_t j = 0; j < t->n_elements; j++)
			assert_true(x[j] == fixture_value(names[i], t, j));
		free(x);
	}
	const struct ckpt_tensor *t = ckpt_find(c, "t.f16");
	assert_int_equal(t->n_dims, 3);
	assert_int_equal(t->ne[0], 3);
	assert_int_equal(t->ne[2], 7);
	assert_int_equal(t->n_elements, 105);
	assert_int_equal(ckpt_find(c, "scalar")->n_dims, 0);
	assert_int_equal(ckpt_find(c, "scalar")->n_elements, 1);
	assert_int_equal(ckpt_find(c, "empty")->n_elements, 0);
	assert_null(ckpt_find(c, "t.f"));
	ckpt_close(c);
}

static void all_types_safetensors(void **state)
{
	check_types("types.safetensors");
}

static void all_types_torch(void **state)
{
	check_types("types.bin");
}

/* Element i of the view, by its definition. */
static float view_value(const struct ckpt_tensor *whole, const struct ckpt_tensor *t, uint64_t i)
{
	uint64_t at = (t->offset - whole->offset) / sizeof(float);

	for (int d = t->n_dims - 1; d >= 0; d--) {
		at += i % (uint64_t)t->ne[d] * (uint64_t)t->stride[d];
		i /= (uint64_t)t->ne[d];
	}
	return fixture_value("whole", whole, at);
}

/* Any run of elements of any view equals the elements one by one. */
static void parts_of_views(void **state)
{
	struct ckpt *c = open_fixture("views.bin");
	const struct ckpt_tensor *whole = ckpt_find(c, "whole");
	float x[64];

	assert_int_equal(ckpt_count(c), 6);
	for (size_t i = 0; i < ckpt_count(c); i++) {
		const struct ckpt_tensor *t = ckpt_at(c, i);
		for (uint64_t first = 0; first <= t->n_elements; first++)
			for (uint64_t n = 0; n <= t->n_elements - first; n++) {
				assert_int_equal(ckpt_read_f32(c, t, first, n, x, NULL), 0);
				for (uint64_t j = 0; j < n; j++)
					assert_true(x[j] == view_value(whole, t, first + j));
			}
	}
	assert_int_equal(ckpt_find(c, "turned")->stride[0], 1);
	assert_int_equal(ckpt_find(c, "repeated")->ne[1], 8);
	assert_int_equal(ckpt_read_f32(c, whole, 40, 9, x, NULL), ERR_BUG);
	ckpt_close(c);
}

/* A turned matrix of many windows. */
static void large_view(void **state)
{
	enum { ROWS = 300, COLUMNS = 301 };
	float *data = calloc(ROWS * COLUMNS, sizeof(float));
	const char *path = scratch_path(state, "large.bin");
	struct str p = {0};
	struct ckpt *c;

	for (int i = 0; i < ROWS * COLUMNS; i++)
		data[i] = (float)i;
	pickle_begin(&p);
	pickle_view(&p, "t",
		(struct view){.storage_n = ROWS * COLUMNS,
			.n_dims = 2,
			.ne = {COLUMNS, ROWS},
			.stride = {1, COLUMNS}});
	pickle_end(&p);
	torch_file(path, &p, data, ROWS * COLUMNS * sizeof(float));
	assert_int_equal(ckpt_open_file(path, &c, NULL), 0);
	float *x = read_all(c, "t");
	for (int i = 0; i < COLUMNS; i++)
		for (int j = 0; j < ROWS; j++)
			assert_true(x[i * ROWS + j] == (float)(j * COLUMNS + i));
	ckpt_close(c);
	free(x);
	free(data);
	str_done(&p);
}

/* Sign, exponent, mantissa, by the definition. */
static double value_of(uint32_t bits, int exponent_bits, int mantissa_bits)
{
	const int bias = (1 << (exponent_bits - 1)) - 1;
	const int exponent = (int)(bits >> mantissa_bits) & ((1 << exponent_bits) - 1);
	const int mantissa = (int)bits & ((1 << mantissa_bits) - 1);
	const double sign = bits >> (exponent_bits + mantissa_bits) ? -1 : 1;

	if (exponent == (1 << exponent_bits) - 1)
		return NAN;
	if (!exponent)
		return sign * ldexp(mantissa, 1 - bias - mantissa_bits);
	return sign * ldexp(mantissa + (1 << mantissa_bits), exponent - bias - mantissa_bits);
}

static void check_16bit(void **state, const char *dtype, int exponent_bits, int mantissa_bits)
{
	const char *path = scratch_path(state, "all.safetensors");
	uint16_t bits[65536];
	char header[200];
	struct str file = {0};
	struct ckpt *c;
	float x;

	for (int i = 0; i < 65536; i++)
		bits[i] = (uint16_t)i;
	snprintf(header, sizeof(header),
		"{\"t\":{\"dtype\":\"%s\",\"shape\":[65536],\"data_offsets\":[0,131072]}}", dtype);
	safetensors(&file, header, bits, sizeof(bits));
	scratch_write(path, file.s, file.n);
	assert_int_equal(ckpt_open_file(path, &c, NULL), 0);
	const struct ckpt_tensor *t = ckpt_find(c, "t");
	const uint64_t n_finite = 65536 / 2 - ((uint64_t)1 << mantissa_bits);
	float *run = calloc(n_finite, sizeof(*run));
	for (uint64_t sign = 0; sign < 65536; sign += 32768) {
		/* many at once, as the vectors do it */
		assert_int_equal(ckpt_read_f32(c, t, sign, n_finite, run, NULL), 0);
		for (uint64_t i = 0; i < 32768; i++) {
			const double expected =
				value_of((uint32_t)(sign + i), exponent_bits, mantissa_bits);
			const int rc = ckpt_read_f32(c, t, sign + i, 1, &x, NULL);
			uint16_t raw = 0;
			assert_int_equal(ckpt_read_raw(c, t, sign + i, 1, &raw, NULL), rc);
			assert_int_equal(raw, sign + i);
			if (isnan(expected)) {
				assert_int_equal(rc, ERR_FORMAT);
				continue;
			}
			assert_int_equal(rc, 0);
			assert_true(x == (float)expected && run[i] == x);
			assert_true(!signbit(x) == !sign);
		}
	}
	free(run);
	ckpt_close(c);
	str_done(&file);
}

static void all_of_f16(void **state)
{
	check_16bit(state, "F16", 5, 10);
}

static void all_of_bf16(void **state)
{
	check_16bit(state, "BF16", 8, 7);
}

static void put_non_finite(void **state, const char *dtype, const void *bad, size_t size)
{
	enum { N = 70000 };
	static const size_t places[] = {0, 63, 64, 8191, 16384, 65536, N - 1};
	const char *path = scratch_path(state, "bad.safetensors");
	char header[200], *payload = calloc(N, size);
	float *x = calloc(N, sizeof(*x));

	snprintf(header, sizeof(header),
		"{\"the.tensor\":{\"dtype\":\"%s\",\"shape\":[%d],\"data_offsets\":[0,%zu]}}",
		dtype, N, N * size);
	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
		struct str file = {0};
		struct ckpt *c;
		struct err e = {0};
		memset(payload, 0, N * size);
		memcpy(payload + places[i] * size, bad, size);
		safetensors(&file, header, payload, N * size);
		scratch_write(path, file.s, file.n);
		assert_int_equal(ckpt_open_file(path, &c, NULL), 0);
		const struct ckpt_tensor *t = ckpt_find(c, "the.tensor");
		assert_int_equal(ckpt_read_f32(c, t, 0, N, x, &e), ERR_FORMAT);
		assert_non_null(strstr(e.text, "'the.tensor'"));
		assert_int_equal(ckpt_read_f32(c, t, 0, places[i], x, NULL), 0);
		assert_int_equal(ckpt_is_raw(t), strcmp(dtype, "F64") != 0);
		if (ckpt_is_raw(t)) {
			err_clear(&e);
			assert_int_equal(ckpt_read_raw(c, t, 0, N, x, &e), ERR_FORMAT);
			assert_non_null(strstr(e.text, "'the.tensor'"));
			assert_int_equal(ckpt_read_raw(c, t, 0, places[i], x, NULL), 0);
		}
		ckpt_close(c);
		str_done(&file);
	}
	free(payload);
	free(x);
}

static void not_finite(void **state)
{
	const float nan_value = NAN, infinity = -INFINITY;
	const double huge = 1e39;

	put_non_finite(state, "F32", &nan_value, sizeof(nan_value));
	put_non_finite(state, "F32", &infinity, sizeof(infinity));
	put_non_finite(state, "F64", &huge, sizeof(huge));
	put_non_finite(state, "F16", "\x01\x7c", 2);
	put_non_finite(state, "BF16", "\x80\xff", 2);
}

/* The file is cut after it was opened. */
static void becomes_shorter(void **state)
{
	const char *path = scratch_path(state, "cut.safetensors");
	float zeros[1000] = {0}, x[1000];
	struct str file = {0};
	struct ckpt *c;
	struct err e = {0};

	safetensors(&file, "{\"t\":{\"dtype\":\"F32\",\"shape\":[1000],\"data_offsets\":[0,4000]}}",
		zeros, sizeof(zeros));
	scratch_write(path, file.s, file.n);
	assert_int_equal(ckpt_open_file(path, &c, NULL), 0);
	assert_int_equal(ckpt_read_f32(c, ckpt_find(c, "t"), 0, 1000, x, NULL), 0);
	assert_int_equal(truncate(path, (off_t)file.n - 1), 0);
	assert_int_equal(ckpt_read_f32(c, ckpt_find(c, "t"), 0, 1000, x, &e), ERR_FORMAT);
	assert_non_null(strstr(e.text, "shorter"));
	assert_int_equal(ckpt_read_f32(c, ckpt_find(c, "t"), 0, 999, x, NULL), 0);
	assert_int_equal(ckpt_read_raw(c, ckpt_find(c, "t"), 0, 1000, x, NULL), ERR_FORMAT);
	assert_int_equal(ckpt_read_raw(c, ckpt_find(c, "t"), 1, 998, x, NULL), 0);
	assert_int_equal(ckpt_read_raw(c, ckpt_find(c, "t"), 1, 1000, x, NULL), ERR_BUG);
	ckpt_close(c);
	str_done(&file);
}

static void unreadable_type(void **state)
{
	const char *path = scratch_path(state, "other.safetensors");
	struct str file = {0};
	struct ckpt *c;
	struct err e = {0};
	float x[4];

	safetensors(&file, "{\"t\":{\"dtype\":\"F8_E4M3\",\"shape\":[4],\"data_offsets\":[0,4]}}",
		"abcd", 4);
	scratch_write(path, file.s, file.n);
	assert_int_equal(ckpt_open_file(path, &c, NULL), 0);
	assert_int_equal(ckpt_find(c, "t")->dtype, CKPT_OTHER);
	assert_int_equal(ckpt_read_f32(c, ckpt_find(c, "t"), 0, 4, x, &e), ERR_UNSUPPORTED);
	assert_non_null(strstr(e.text, "'t'"));
	ckpt_close(c);
	str_done(&file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_types_safetensors),
		cmocka_unit_test(all_types_torch),
		cmocka_unit_test(parts_of_views),
		cmocka_unit_test_setup_teardown(large_view, scratch_open, scratch_close),
		cmocka_unit_test_setup_teardown(all_of_f16, scratch_open, scratch_close),
		cmocka_unit_test_setup_teardown(all_of_bf16, scratch_open, scratch_close),
		cmocka_unit_test_setup_teardown(not_finite, scratch_open, scratch_close),
		cmocka_unit_test_setup_teardown(becomes_shorter, scratch_open, scratch_close),
		cmocka_unit_test_setup_teardown(unreadable_type, scratch_open, scratch_close),
	};

	return RUN_TAP(tests);
}
