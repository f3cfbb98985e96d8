/* Bind tables: what arrives on the CPU device, or on that of WOODSHED_TEST_MODULE, and every
 * refusal. */
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/weights/bind.h"
#include "engine/weights/ckpt.h"
#include "gpu/gpu.h"
#include "library/base/arena.h"
#include "library/base/err.h"
#include "tests/unit/scratch.h"
#include "tests/unit/weights_files.h"

/* ---- a checkpoint and a device ------------------------------------------ */

/* A safetensors file in the making. */
struct writer {
	struct str header, payload;
};

/* Element i is f(i, salt); NULL: zeros. */
static void add_tensor(struct writer *w, const char *name, struct gpu_shape shape,
	float (*f)(int64_t i, int salt), int salt)
{
	int64_t n = 1;

	str_printf(&w->header, "%s\"%s\":{\"dtype\":\"F32\",\"shape\":[", w->header.n ? "," : "{",
		name);
	for (int i = 0; i < shape.n; i++) {
		str_printf(&w->header, "%s%lld", i ? "," : "", (long long)shape.ne[i]);
		n *= shape.ne[i];
	}
	str_printf(&w->header, "],\"data_offsets\":[%zu,%zu]}", w->payload.n,
		w->payload.n + (size_t)n * 4);
	for (int64_t i = 0; i < n; i++) {
		const float x = f ? f(i, salt) : 0;
		str_add_n(&w->payload, (const char *)&x, 4);
	}
}

/* Whole numbers that bf16 holds. */
static float small(int64_t i, int salt)
{
	return (float)((i * 37 + salt * 11) % 199 - 99);
}

/* Needs all 24 bits. */
static float fine(int64_t i, int salt)
{
	return (float)((i * 2654435761 + salt) % 16777213) / 16777216 - 0.5f;
}

struct fixture {
	struct ckpt *c;
	struct gpu *g;
	struct gpu_arena *a;
	struct bind *b;
};

static void begin(struct fixture *f, const char *path, int n_threads)
{
	const char *module = getenv("WOODSHED_TEST_MODULE");
	struct err e = {0};

	gpu_use_module(module);
	if (ckpt_open_file(path, &f->c, &e) || gpu_open(module ? "cuda" : "cpu", 2, &f->g, &e))
		fail_msg("%s", e.text);
	f->a = gpu_arena_new(f->g, "weights");
	f->b = bind_new(f->c, f->g, f->a, n_threads);
}

static void end(struct fixture *f)
{
	bind_free(f->b);
	gpu_close(f->g);
	ckpt_close(f->c);
}

static void begin_written(struct fixture *f, void **state, struct writer *w, int n_threads)
{
	const char *path = scratch_path(state, "w.safetensors");
	struct str file = {0};

	str_add(&w->header, "}");
	safetensors(&file, w->header.s, w->payload.s, w->payload.n);
	scratch_write(path, file.s, file.n);
	str_done(&file);
	str_done(&w->header);
	str_done(&w->payload);
	begin(f, path, n_threads);
}

static void load(struct fixture *f)
{
	struct err e = {0};

	if (bind_load(f->b, NULL, NULL, &e))
		fail_msg("%s", e.text);
	assert_true(gpu_bytes_live(f->g) == bind_bytes(f->b));
}

static float *rows_of(struct fixture *f, const struct gpu_tensor *t)
{
	int64_t n = 1;

	for (int i = 0; i < t->n_dims; i++)
		n *= t->ne[i];
	float *x = calloc((size_t)n, sizeof(*x));
	if (t->dtype == GPU_F32) {
		gpu_read(f->g, t, x, (size_t)n * 4);
	} else {
		uint16_t *half = calloc((size_t)n, 2);
		gpu_read(f->g, t, half, (size_t)n * 2);
		for (int64_t i = 0; i < n; i++) {
			uint32_t bits = (uint32_t)half[i] << 16;
			memcpy(&x[i], &bits, 4);
		}
		free(half);
	}
	assert_int_equal(gpu_sync(f->g, NULL), 0);
	return x;
}

/* A packed matrix as [out, in]: the product with the identity. */
static float *matrix_of(struct fixture *f, const struct gpu_tensor *w)
{
	const int64_t n_out = w->ne[0], n_in = w->ne[1];
	struct gpu_tensor *x = gpu_new(f->g, f->a, GPU_F32, "x", SHAPE(n_in, n_in));
	struct gpu_tensor *y = gpu_new(f->g, f->a, GPU_F32, "y", SHAPE(n_in, n_out));
	float *one = calloc((size_t)(n_in * n_in), sizeof(*one));
	float *turned = calloc((size_t)(n_in * n_out), sizeof(*turned));
	float *ret = calloc((size_t)(n_in * n_out), sizeof(*ret));

	for (int64_t i = 0; i < n_in; i++)
		one[i * n_in + i] = 1;
	gpu_write(f->g, x, one, (size_t)(n_in * n_in) * 4);
	gpu_linear(f->g, y, x, w, NULL);
	gpu_read(f->g, y, turned, (size_t)(n_in * n_out) * 4);
	assert_int_equal(gpu_sync(f->g, NULL), 0);
	for (int64_t i = 0; i < n_in; i++)
		for (int64_t o = 0; o < n_out; o++)
			ret[o * n_in + i] = turned[i * n_out + o];
	free(one);
	free(turned);
	return ret;
}

/* ---- what arrives ------------------------------------------------------- */

static void rows_and_stacks(void **state)
{
	struct gpu_tensor *norm, *table, *half, *list, *range, *books, *either, *sum;
	struct writer w = {0};
	struct fixture f;
	float *x;

	add_tensor(&w, "layer.3.norm", SHAPE(5), small, 1);
	add_tensor(&w, "table", SHAPE(70, 9), fine, 2);
	for (int i = 0; i < 3; i++) {
		char name[32];
		snprintf(name, sizeof(name), "%c_proj", "qkv"[i]);
		add_tensor(&w, name, SHAPE(3, 4), small, 10 + i);
		snprintf(name, sizeof(name), "emb.%d.w", i + 1);
		add_tensor(&w, name, SHAPE(2, 3), small, 20 + i);
		snprintf(name, sizeof(name), "book.%d", i);
		add_tensor(&w, name, SHAPE(4, 2), small, 30 + i);
	}
	add_tensor(&w, "new", SHAPE(2), small, 40);
	add_tensor(&w, "bias_ih", SHAPE(2000), small, 50);
	add_tensor(&w, "bias_hh", SHAPE(2000), small, 51);
	begin_written(&f, state, &w, 3);
	bind_rows(f.b, &norm, GPU_F32, SHAPE(5), "layer.%d.norm", 3);
	bind_rows(f.b, &table, GPU_F32, SHAPE(70, 9), "table");
	bind_rows(f.b, &half, GPU_BF16, SHAPE(5), "layer.3.norm");
	bind_rows(f.b, &list, GPU_F32, SHAPE(9, 4), "{q,k,v}_proj");
	bind_rows(f.b, &range, GPU_F32, SHAPE(6, 3), "emb.{1..3}.%s", "w");
	bind_rows(f.b, &books, GPU_F32, SHAPE(3, 4, 2), "book.{0..2}");
	bind_rows(f.b, &either, GPU_F32, SHAPE(2), "old|new|newer");
	bind_sum(f.b, &sum, SHAPE(2000), "bias_{ih,hh}");
	load(&f);

	x = rows_of(&f, norm);
	for (int i = 0; i < 5; i++)
		assert_true(x[i] == small(i, 1));
	free(x);
	x = rows_of(&f, half);
	for (int i = 0; i < 5; i++)
		assert_true(x[i] == small(i, 1));
	free(x);
	x = rows_of(&f, table);
	for (int i = 0; i < 630; i++)
		assert_true(x[i] == fine(i, 2));
	free(x);
	x = rows_of(&f, list);
	for (int i = 0; i < 36; i++)
		assert_true(x[i] == small(i % 12, 10 + i / 12));
	free(x);
	x = rows_of(&f, range);
	for (int i = 0; i < 18; i++)
		assert_true(x[i] == small(i % 6, 20 + i / 6));
	free(x);
	x = rows_of(&f, books);
	assert_int_equal(books->n_dims, 3);
	for (int i = 0; i < 24; i++)
		assert_true(x[i] == small(i % 8, 30 + i / 8));
	free(x);
	x = rows_of(&f, either);
	assert_true(x[0] == small(0, 40) && x[1] == small(1, 40));
	free(x);
	x = rows_of(&f, sum);
	for (int i = 0; i < 2000; i++)
		assert_true(x[i] == small(i, 50) + small(i, 51));
	free(x);
	end(&f);
}

/* Several tasks, parts that end inside a group of rows, all precisions; the
 * same whatever the number of threads. */
static void matrices(void **state)
{
	enum { PART = 401, IN = 300, OUT = 3 * PART };
	static const enum gpu_dtype dtypes[] = {GPU_F32, GPU_BF16, GPU_I8};
	struct gpu_tensor *m[3];
	struct writer w = {0};
	struct fixture f;
	float *first[3] = {NULL};

	for (int i = 0; i < 3; i++)
		add_tensor(&w, (const char *[]){"x.q", "x.k", "x.v"}[i], SHAPE(PART, IN), small, i);
	begin_written(&f, state, &w, 1);
	for (int n_threads = 1; n_threads < 6; n_threads += 2) {
		bind_free(f.b);
		f.b = bind_new(f.c, f.g, f.a, n_threads);
		for (int i = 0; i < 3; i++)
			bind_matrix(f.b, &m[i], dtypes[i], OUT, IN, "x.{q,k,v}");
		if (n_threads == 1)
			load(&f);
		assert_int_equal(bind_load(f.b, NULL, NULL, NULL), 0);
		for (int i = 0; i < 3; i++) {
			float *x = matrix_of(&f, m[i]);
			for (int j = 0; j < OUT * IN && i < 2; j++)
				assert_true(x[j] == small(j % (PART * IN), j / (PART * IN)));
			/* a step of int8 is 99 / 127 */
			for (int j = 0; j < OUT * IN && i == 2; j++)
				assert_true(fabsf(x[j] - small(j % (PART * IN), j / (PART * IN))) <
					    0.4f);
			if (!first[i])
				first[i] = x;
			else
				assert_memory_equal(x, first[i], OUT * IN * sizeof(float));
			if (x != first[i])
				free(x);
		}
	}
	for (int i = 0; i < 3; i++)
		free(first[i]);
	end(&f);
}

static float *read_tensor(struct fixture *f, const char *name)
{
	return read_all(f->c, name);
}

/* torch's folded weight is in the file, too, as "plain". */
static void convolutions(void **state)
{
	static const struct bind_conv conv = {.n_out = 40, .n_in = 3, .kernel = 5};
	static const char *const names[] = {"plain", "old", "new"};
	struct gpu_tensor *w[3], *bias[3];
	struct fixture f;

	begin(&f, FIXTURES "/convolutions.safetensors", 2);
	for (int i = 0; i < 3; i++)
		bind_conv(f.b, &w[i], &bias[i], GPU_F32, conv, "conv.%s", names[i]);
	load(&f);
	float *plain = read_tensor(&f, "conv.plain.weight");
	float *plain_bias = read_tensor(&f, "conv.plain.bias");
	for (int i = 0; i < 3; i++) {
		float *x = matrix_of(&f, w[i]), *b = rows_of(&f, bias[i]);
		assert_int_equal(w[i]->ne[0], 40);
		assert_int_equal(w[i]->ne[1], 15);
		for (int o = 0; o < 40; o++)
			for (int c = 0; c < 3; c++)
				for (int k = 0; k < 5; k++) {
					const float expected = plain[(o * 3 + c) * 5 + k];
					/* norms summed in another order */
					const float slack = i ? 4e-7f * fabsf(expected) : 0;
					assert_true(
						fabsf(x[o * 15 + k * 3 + c] - expected) <= slack);
				}
		assert_memory_equal(b, plain_bias, 40 * sizeof(float));
		free(x);
		free(b);
	}
	free(plain);
	free(plain_bias);
	end(&f);
}

/* Kernel 5, stride 2: taps beyond the kernel, channels that fill no group. */
static void transposed(void **state)
{
	enum { IN = 3, OUT = 40, KERNEL = 5, STRIDE = 2, TIME = 7, TAPS = 3 };
	enum { PADDED = TIME + 2 * (TAPS - 1), STEPS = (PADDED - TAPS + 1) * STRIDE };
	static const struct bind_conv conv = {
		.n_out = OUT, .n_in = IN, .kernel = KERNEL, .stride = STRIDE, .transposed = true};
	static const char *const names[] = {"plain", "old", "new"};
	struct gpu_tensor *w[3], *bias[3];
	struct fixture f;
	float in[PADDED][IN] = {{0}};

	begin(&f, FIXTURES "/convolutions.safetensors", 2);
	for (int i = 0; i < 3; i++)
		bind_conv(f.b, &w[i], &bias[i], GPU_F32, conv, "convtr.%s", names[i]);
	load(&f);
	for (int t = 0; t < TIME; t++)
		for (int c = 0; c < IN; c++)
			in[t + TAPS - 1][c] = small(t * IN + c, 1) / 64;
	struct gpu_tensor *x = gpu_new(f.g, f.a, GPU_F32, "x", SHAPE(PADDED, IN));
	struct gpu_tensor *y = gpu_new(f.g, f.a, GPU_F32, "y", SHAPE(STEPS, OUT));
	float *plain = read_tensor(&f, "convtr.plain.weight");
	float *plain_bias = read_tensor(&f, "convtr.plain.bias");
	gpu_write(f.g, x, in, sizeof(in));
	for (int i = 0; i < 3; i++) {
		double expected[STEPS][OUT];
		for (int s = 0; s < STEPS; s++)
			for (int o = 0; o < OUT; o++)
				expected[s][o] = (double)plain_bias[o];
		for (int t = 0; t < TIME; t++)
			for (int c = 0; c < IN; c++)
				for (int o = 0; o < OUT; o++)
					for (int k = 0; k < KERNEL; k++)
						expected[t * STRIDE + k][o] +=
							(double)in[t + TAPS - 1][c] *
							(double)plain[(c * OUT + o) * KERNEL + k];
		gpu_conv_transpose1d(f.g, y, x, w[i], bias[i],
			(struct gpu_conv){.kernel = KERNEL, .stride = STRIDE});
		float *got = rows_of(&f, y);
		/* Ten terms of a few units each in f32. */
		for (int s = 0; s < STEPS; s++)
			for (int o = 0; o < OUT; o++)
				assert_true(fabs((double)got[s * OUT + o] - expected[s][o]) < 1e-5);
		free(got);
	}
	free(plain);
	free(plain_bias);
	end(&f);
}

/* ---- refusals ----------------------------------------------------------- */

static void assert_load_refused(struct fixture *f, int code, const char *part)
{
	struct err e = {0};

	assert_int_equal(bind_load(f->b, NULL, NULL, &e), code);
	assert_error(e, code, part);
}

static void everything_wrong_at_once(void **state)
{
	struct gpu_tensor *t;
	struct writer w = {0};
	struct fixture f;
	struct err e = {0};

	add_tensor(&w, "a", SHAPE(2, 3), small, 1);
	add_tensor(&w, "b.0", SHAPE(2, 3), small, 1);
	add_tensor(&w, "scalar", (struct gpu_shape){0}, small, 1);
	begin_written(&f, state, &w, 1);
	bind_matrix(f.b, &t, GPU_F32, 3, 2, "a");
	bind_matrix(f.b, &t, GPU_F32, 4, 3, "b.{0..1}");
	bind_rows(f.b, &t, GPU_F32, SHAPE(7), "either|or");
	bind_rows(f.b, &t, GPU_F32, SHAPE(1), "scalar");
	assert_int_equal(bind_check(f.b, NULL, 0, &e), ERR_FORMAT);
	assert_error(e, ERR_FORMAT, "missing tensors: 2, of another shape or type: 2");
	assert_error(e, ERR_FORMAT, "download the model again");
	assert_error(e, ERR_FORMAT, "a is [2, 3] instead of [3, 2]");
	assert_error(e, ERR_FORMAT, "b.1 is missing");
	assert_error(e, ERR_FORMAT, "either is missing");
	assert_error(e, ERR_FORMAT, "scalar is [] instead of [1]");
	assert_int_equal(gpu_bytes_live(f.g), 0);
	assert_load_refused(&f, ERR_FORMAT, "b.1 is missing");
	assert_int_equal(gpu_bytes_live(f.g), 0);
	end(&f);
}

/* As many names as fit, and how many more. */
static void many_missing(void **state)
{
	struct gpu_tensor *t;
	struct writer w = {0};
	struct fixture f;
	struct err e = {0};

	add_tensor(&w, "a", SHAPE(2), small, 1);
	begin_written(&f, state, &w, 1);
	for (int i = 0; i < 1000; i++)
		bind_rows(f.b, &t, GPU_F32, SHAPE(7), "decoder.layers.%d.fc1.weight", i);
	assert_int_equal(bind_check(f.b, NULL, 0, &e), ERR_FORMAT);
	assert_error(e, ERR_FORMAT, "missing tensors: 1000, of");
	assert_error(e, ERR_FORMAT, "decoder.layers.0.fc1.weight is missing, decoder.layers.1.");
	int listed = 0;
	for (const char *p = e.text; (p = strstr(p, "is missing")); p++)
		listed++;
	char tail[64];
	snprintf(tail, sizeof(tail), " and %d more", 1000 - listed);
	assert_true(listed > 10);
	assert_string_equal(e.text + strlen(e.text) - strlen(tail), tail);
	end(&f);
}

static void conv_parts_missing(void **state)
{
	static const struct bind_conv conv = {.n_out = 4, .n_in = 3, .kernel = 2};
	struct gpu_tensor *w, *bias;
	struct writer file = {0};
	struct fixture f;

	add_tensor(&file, "a.weight_v", SHAPE(4, 3, 2), small, 1);
	add_tensor(&file, "a.bias", SHAPE(4), small, 1);
	add_tensor(&file, "b.parametrizations.weight.original1", SHAPE(4, 3, 2), small, 1);
	add_tensor(&file, "b.parametrizations.weight.original0", SHAPE(4), small, 1);
	begin_written(&f, state, &file, 1);
	bind_conv(f.b, &w, &bias, GPU_F32, conv, "a");
	bind_conv(f.b, &w, &bias, GPU_F32, conv, "b");
	bind_conv(f.b, &w, &bias, GPU_F32, conv, "c");
	assert_load_refused(&f, ERR_FORMAT, "a.weight_g is missing");
	assert_load_refused(&f, ERR_FORMAT, "original0 is [4] instead of [4, 1, 1]");
	assert_load_refused(&f, ERR_FORMAT, "b.bias is missing");
	assert_load_refused(&f, ERR_FORMAT, "c.weight is missing");
	end(&f);
}

static float bad_at_70000(int64_t i, int salt)
{
	return i == 70000 ? NAN : small(i, salt);
}

static void not_finite(void **state)
{
	struct gpu_tensor *t;
	struct writer w = {0};
	struct fixture f;

	add_tensor(&w, "good", SHAPE(1000, 300), small, 1);
	add_tensor(&w, "bad.weight", SHAPE(1000, 300), bad_at_70000, 1);
	add_tensor(&w, "worse.weight", SHAPE(1000, 300), bad_at_70000, 1);
	begin_written(&f, state, &w, 4);
	bind_matrix(f.b, &t, GPU_BF16, 1000, 300, "worse.weight");
	bind_matrix(f.b, &t, GPU_I8, 1000, 300, "bad.weight");
	bind_matrix(f.b, &t, GPU_F32, 1000, 300, "good");
	/* Always the first in the file. */
	for (int i = 0; i < 5; i++)
		assert_load_refused(&f, ERR_FORMAT, "tensor 'bad.weight'");
	end(&f);
}

static void zero_norm(void **state)
{
	static const struct bind_conv conv = {
		.n_out = 4, .n_in = 3, .kernel = 2, .stride = 2, .transposed = true};
	struct gpu_tensor *w, *bias;
	struct writer file = {0};
	struct fixture f;

	add_tensor(&file, "a.weight_v", SHAPE(3, 4, 2), NULL, 0);
	add_tensor(&file, "a.weight_g", SHAPE(3, 1, 1), small, 1);
	add_tensor(&file, "a.bias", SHAPE(4), small, 1);
	begin_written(&f, state, &file, 2);
	bind_conv(f.b, &w, &bias, GPU_F32, conv, "a");
	assert_load_refused(&f, ERR_FORMAT, "'a.weight_v' has a slice of zeros");
	end(&f);
}

static void unused(void **state)
{
	struct gpu_tensor *t;
	struct writer w = {0};
	struct fixture f;
	char text[300], tiny[48];

	add_tensor(&w, "a", SHAPE(2), small, 1);
	add_tensor(&w, "tied", SHAPE(2), small, 1);
	add_tensor(&w, "extra.one", SHAPE(2), small, 1);
	add_tensor(&w, "extra.\x7f", SHAPE(2), small, 1);
	add_tensor(&w, "known.1.skip", SHAPE(2), small, 1);
	begin_written(&f, state, &w, 1);
	bind_rows(f.b, &t, GPU_F32, SHAPE(2), "a|tied");
	bind_ignore(f.b, "known.*.skip");
	assert_int_equal(bind_check(f.b, text, sizeof(text), NULL), 0);
	assert_string_equal(text, "tensors that are not used: extra.one, extra.?");
	assert_int_equal(bind_check(f.b, tiny, sizeof(tiny), NULL), 0);
	assert_int_equal(strlen(tiny), strnlen(tiny, sizeof(tiny)));
	bind_ignore(f.b, "extra.*");
	assert_int_equal(bind_check(f.b, text, sizeof(text), NULL), 0);
	assert_string_equal(text, "");
	end(&f);
}

/* A file of holes, twice as large as what is free. */
static void too_large(void **state)
{
	const int64_t rows = (int64_t)(mem_available() / 4096 * 2);
	const char *path = scratch_path(state, "huge.safetensors");
	struct gpu_tensor *t;
	struct str file = {0};
	char header[200];
	struct fixture f;

	assert_true(rows > 0);
	snprintf(header, sizeof(header),
		"{\"t\":{\"dtype\":\"F32\",\"shape\":[%lld,1024],\"data_offsets\":[0,%lld]}}",
		(long long)rows, (long long)rows * 4096);
	safetensors(&file, header, "", 0);
	scratch_write(path, file.s, file.n);
	if (truncate(path, (off_t)file.n + rows * 4096)) {
		str_done(&file);
		print_message("no sparse files here\n");
		skip();
	}
	str_done(&file);
	begin(&f, path, 1);
	bind_matrix(f.b, &t, GPU_F32, rows, 1024, "t");
	assert_load_refused(&f, ERR_NOMEM, "is free: use --precision bf16 or int8");
	assert_int_equal(gpu_bytes_live(f.g), 0);
	end(&f);
}

struct watch {
	uint64_t last, total;
	int n_calls, stop_at;
};

static int watch_progress(void *ud, uint64_t done, uint64_t total)
{
	struct watch *w = ud;

	assert_true(done >= w->last && done <= total);
	w->last = done;
	w->total = total;
	return ++w->n_calls == w->stop_at;
}

static void progress(void **state)
{
	static const struct bind_conv conv = {
		.n_out = 40, .n_in = 3, .kernel = 5, .stride = 2, .transposed = true};
	struct gpu_tensor *t, *bias;
	struct fixture f;
	struct watch w = {0};
	struct err e = {0};

	begin(&f, FIXTURES "/convolutions.safetensors", 2);
	bind_conv(f.b, &t, &bias, GPU_F32, conv, "convtr.old");
	assert_int_equal(bind_load(f.b, watch_progress, &w, NULL), 0);
	assert_true(w.n_calls > 0 && w.last == w.total);
	assert_int_equal(w.total, (3 * 40 * 5 + 40) * 4);
	w = (struct watch){.stop_at = 1};
	assert_int_equal(bind_load(f.b, watch_progress, &w, &e), ERR_CANCELLED);
	assert_int_equal(e.code, ERR_CANCELLED);
	assert_int_equal(w.n_calls, 1);
	end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(rows_and_stacks, scratch_open, scratch_close),
		cmocka_unit_test_setup_teardown(matrices, scratch_open, scratch_close),
		cmocka_unit_test(convolutions),
		cmocka_unit_test(transposed),
		cmocka_unit_test_setup_teardown(
			everything_wrong_at_once, scratch_open, scratch_close),
		cmocka_unit_test_setup_teardown(many_missing, scratch_open, scratch_close),
		cmocka_unit_test_setup_teardown(conv_parts_missing, scratch_open, scratch_close),
		cmocka_unit_test_setup_teardown(not_finite, scratch_open, scratch_close),
		cmocka_unit_test_setup_teardown(zero_norm, scratch_open, scratch_close),
		cmocka_unit_test_setup_teardown(unused, scratch_open, scratch_close),
		cmocka_unit_test_setup_teardown(too_large, scratch_open, scratch_close),
		cmocka_unit_test(progress),
	};

	return RUN_TAP(tests);
}
