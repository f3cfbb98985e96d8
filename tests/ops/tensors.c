/* Devices, arenas, tensors, views, counters, and what happens when a call is
 * wrong: the message, the sticky error, and that nothing else runs. */
#include "tests/ops/support.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct dev open_cpu(void)
{
	struct dev d;

	assert_true(dev_open(&d, 2, CPU_GENERIC));
	return d;
}

/* ---- devices ------------------------------------------------------------ */

static void devices(void **state)
{
	struct err e = {0};
	struct gpu *g;

	assert_int_equal(gpu_open("abacus", 1, &g, &e), ERR_ARG);
	assert_null(g);
	assert_non_null(strstr(e.text, "'abacus'"));
	assert_int_equal(gpu_open("auto", 1, &g, NULL), 0);
	gpu_close(g);
	assert_int_equal(gpu_open("cpu", 3, &g, NULL), 0);
	assert_non_null(strstr(gpu_describe(g), "CPU, 3 threads, "));
	assert_int_equal(gpu_bytes_live(g), 0);
	assert_int_equal(gpu_dispatches(g), 0);
	assert_int_equal(gpu_sync(g, NULL), 0);
	gpu_close(g);
	gpu_close(NULL);
}

/* Beside this program lies no module: one sentence, with what to do. */
static void cuda_that_is_not_there(void **state)
{
	struct err e = {0};
	struct gpu *g;

	assert_int_equal(gpu_open("cuda", 0, &g, &e), ERR_UNSUPPORTED);
	assert_null(g);
	assert_memory_equal(e.text, "no CUDA: ", 9);
	assert_non_null(strstr(e.text, "use --device cpu"));
}

static void lower_instruction_sets(void **state)
{
	struct dev d;

	for (int isa = CPU_GENERIC; isa <= CPU_AMX && dev_open(&d, 1, isa); isa++) {
		assert_int_equal(cpu_of(d.g)->isa, isa);
		cpu_limit_isa(d.g, CPU_AMX); /* never upwards */
		assert_int_equal(cpu_of(d.g)->isa, isa);
		dev_close(&d);
	}
}

/* ---- arenas ------------------------------------------------------------- */

static void tensors_are_aligned_and_strided(void **state)
{
	struct dev d = open_cpu();
	struct gpu_tensor *t = gpu_new(d.g, d.a, GPU_F32, "t", SHAPE(2, 3, 5, 7));
	const int64_t strides[] = {105, 35, 7, 1};

	assert_memory_equal(t->nb, strides, sizeof(strides));
	assert_true(gpu_is_contiguous(t));
	assert_string_equal(t->name, "t");
	for (int64_t n = 1; n < 200; n++) {
		t = gpu_new(d.g, d.a, GPU_BF16, "t", SHAPE(n));
		assert_int_equal((uintptr_t)t->data % 64, 0);
		memset(t->data, 1, (size_t)n * 2);
	}
	assert_fine(d.g);
	dev_close(&d);
}

/* Bytes are counted in steps of 64. */
static void counters(void **state)
{
	struct dev d = open_cpu();
	struct gpu_arena *other = gpu_arena_new(d.g, "other");

	gpu_new(d.g, d.a, GPU_F32, "a", SHAPE(10, 10));
	assert_int_equal(gpu_bytes_live(d.g), 448);
	struct gpu_mark mark = gpu_arena_mark(d.a);
	gpu_new(d.g, d.a, GPU_BF16, "b", SHAPE(3));
	gpu_new(d.g, other, GPU_I32, "c", SHAPE(16));
	assert_int_equal(gpu_bytes_live(d.g), 448 + 64 + 64);
	gpu_arena_release(d.a, mark);
	assert_int_equal(gpu_bytes_live(d.g), 448 + 64);
	assert_int_equal(gpu_bytes_peak(d.g), 448 + 128);
	gpu_arena_free(other);
	assert_int_equal(gpu_bytes_live(d.g), 448);
	gpu_new(d.g, d.a, GPU_F32, "big", SHAPE(9 << 20));
	assert_int_equal(gpu_bytes_peak(d.g), 448 + (36 << 20));
	gpu_arena_free(d.a);
	assert_int_equal(gpu_bytes_live(d.g), 0);
	assert_int_equal(gpu_bytes_peak(d.g), 448 + (36 << 20));
	gpu_arena_free(NULL);
	assert_fine(d.g);
	dev_close(&d);
}

static void matrices_are_counted(void **state)
{
	static const enum gpu_dtype dtypes[] = {GPU_F32, GPU_BF16, GPU_I8};
	struct dev d = open_cpu();

	for (size_t i = 0; i < N_OF(dtypes); i++) {
		uint64_t before = gpu_bytes_live(d.g);
		uint64_t bytes = gpu_matrix_bytes(d.g, dtypes[i], 1000, 300);
		gpu_new_matrix(d.g, d.a, dtypes[i], "w", 1000, 300);
		assert_int_equal(gpu_bytes_live(d.g) - before, bytes);
		/* The elements, and at most a panel of rows and 8 bytes a row more. */
		uint64_t least = 300000 * gpu_dtype_size(dtypes[i]);
		assert_in_range(bytes, least, least * 33 / 32 + 1032 * 8 + 128);
	}
	assert_int_equal(gpu_matrix_bytes(d.g, GPU_F32, INT64_MAX, INT64_MAX), UINT64_MAX);
	assert_int_equal(gpu_matrix_bytes(d.g, GPU_F32, -1, 4), UINT64_MAX);
	assert_fine(d.g);
	dev_close(&d);
}

/* The same allocations after a release get the same addresses. */
static void steps_repeat(void **state)
{
	static const int64_t sizes[] = {3, 1 << 20, 100000, 5 << 20, 1, 70000, 2 << 20};
	struct dev d = open_cpu();
	void *data[N_OF(sizes)], *structs[N_OF(sizes)];

	gpu_new(d.g, d.a, GPU_F32, "kept", SHAPE(1000));
	struct gpu_mark mark = gpu_arena_mark(d.a);
	for (int step = 0; step < 5; step++) {
		for (size_t i = 0; i < N_OF(sizes); i++) {
			struct gpu_tensor *t = gpu_zeros(d.g, d.a, GPU_F32, "t", SHAPE(sizes[i]));
			float *x = t->data;
			if (step && (t->data != data[i] || t != structs[i]))
				fail_msg("tensor %d moved in step %d", (int)i, step);
			for (int64_t j = 0; j < sizes[i]; j += 997)
				assert_true(x[j] == 0);
			for (int64_t j = 0; j < sizes[i]; j++)
				x[j] = 7;
			data[i] = t->data;
			structs[i] = t;
		}
		gpu_arena_release(d.a, mark);
	}
	/* Something larger first: small chunks make room, nothing is lost. */
	gpu_new(d.g, d.a, GPU_F32, "large", SHAPE(12 << 20));
	gpu_arena_release(d.a, mark);
	assert_int_equal(gpu_bytes_live(d.g), 4032);
	assert_fine(d.g);
	dev_close(&d);
}

static void release_to_the_very_start(void **state)
{
	struct dev d = open_cpu();
	struct gpu_mark mark = gpu_arena_mark(d.a);
	struct gpu_tensor *t = gpu_new(d.g, d.a, GPU_F32, "t", SHAPE(10));
	void *data = t->data;

	gpu_arena_release(d.a, mark);
	assert_int_equal(gpu_bytes_live(d.g), 0);
	assert_ptr_equal(gpu_new(d.g, d.a, GPU_F32, "t", SHAPE(10))->data, data);
	dev_close(&d);
}

static void reserved_memory_is_one_piece(void **state)
{
	FOR_EACH_ISA(d)
	{
		struct gpu_arena *a = gpu_arena_new(d.g, "reserved");
		const struct gpu_mark start = gpu_arena_mark(a);
		void *first = NULL;
		gpu_new(d.g, a, GPU_F32, "small", SHAPE(1000));
		gpu_arena_release(a, start);
		for (int i = 0; i < 3; i++) { /* what is there is enough from then on */
			gpu_arena_reserve(a, (4 << 20) + 4096);
			struct gpu_tensor *t = gpu_new(d.g, a, GPU_F32, "t", SHAPE(1 << 19));
			struct gpu_tensor *u = gpu_new(d.g, a, GPU_F32, "u", SHAPE(1 << 19));
			first = first ? first : t->data;
			assert_ptr_equal(t->data, first);
			assert_in_range((uintptr_t)u->data, (uintptr_t)t->data + (2 << 20),
				(uintptr_t)t->data + (2 << 20) + 4096);
			gpu_arena_reserve(a, 2048); /* of what is left */
			gpu_arena_release(a, start);
		}
		gpu_arena_free(a);
		assert_fine(d.g);
	}
}

static void pieces_suit_the_device(void **state)
{
	FOR_EACH_ISA(d)
	{
		if (!strcmp(gpu_device(d.g), "cpu"))
			assert_int_equal(gpu_piece(d.g, 12345), 12345);
		else
			assert_in_range(gpu_piece(d.g, 12345), 1 << 20, 1 << 25);
	}
}

/* More than there is: needed and free, at once, before anything is touched. */
static void out_of_memory(void **state)
{
	struct dev d = open_cpu();
	struct gpu_tensor *t = gpu_new(d.g, d.a, GPU_F32, "ocean", SHAPE(1 << 20, 1 << 24));

	assert_null(t->data);
	assert_gpu_error(
		d.g, ERR_NOMEM, "tensor 'ocean' [1048576, 16777216] in test: needs 70.4 TB");
	t = gpu_new_matrix(d.g, d.a, GPU_BF16, "sea", 1 << 22, 1 << 24);
	assert_null(t->data);
	assert_gpu_error(d.g, ERR_NOMEM, "matrix 'sea' [4194304, 16777216] in test: needs 141 TB");
	gpu_kv_new(d.g, d.a, GPU_F32, 1 << 10, 1 << 10, 1 << 10, 1 << 14);
	assert_gpu_error(d.g, ERR_NOMEM, "free");
	assert_int_equal(gpu_bytes_live(d.g), 0);
	dev_close(&d);
}

static void shapes_that_do_not_exist(void **state)
{
	static const struct gpu_shape shapes[] = {{0, {0}}, {5, {1, 1, 1, 1}}, {-1, {1}}, {1, {-1}},
		{2, {INT64_MAX, INT64_MAX}}, {4, {1 << 30, 1 << 30, 1 << 30, 1 << 30}},
		{2, {INT64_MIN, 2}}, {1, {INT64_MAX / 4}}};
	struct dev d = open_cpu();

	for (size_t i = 0; i < N_OF(shapes); i++) {
		assert_null(gpu_new(d.g, d.a, GPU_F32, "odd", shapes[i])->data);
		assert_gpu_error(d.g, ERR_BUG, "tensor 'odd' in test: no such shape");
	}
	assert_null(gpu_new_matrix(d.g, d.a, GPU_F32, "w", 0, 5)->data);
	assert_gpu_error(d.g, ERR_BUG, "matrix 'w' [0, 5] in test: no such matrix");
	assert_null(gpu_new_matrix(d.g, d.a, GPU_I32, "w", 5, 5)->data);
	assert_gpu_error(d.g, ERR_BUG, "no such matrix");
	assert_null(gpu_new_matrix(d.g, d.a, GPU_F32, "w", INT64_MAX, 5)->data);
	assert_gpu_error(d.g, ERR_BUG, "no such matrix");
	gpu_kv_new(d.g, d.a, GPU_F32, 1, 0, 4, 4);
	assert_gpu_error(d.g, ERR_BUG, "cache [1, 0, 4, 4] in test: no such shape");
	gpu_kv_new(d.g, d.a, GPU_I8, 1, 1, 4, 4);
	assert_gpu_error(d.g, ERR_BUG, "no such shape");
	gpu_kv_new(d.g, d.a, GPU_F32, INT64_MAX, INT64_MAX, 4, 4);
	assert_gpu_error(d.g, ERR_BUG, "no such shape");
	dev_close(&d);
}

/* ---- views, transfers, taps --------------------------------------------- */

static void views(void **state)
{
	struct dev d = open_cpu();
	float *x = random_floats(4 * 5 * 6);
	struct gpu_tensor *t = put(&d, "t", SHAPE(4, 5, 6), x);
	struct gpu_tensor *rows = gpu_view(d.g, d.a, t, 0, 1, 2);
	struct gpu_tensor *time = gpu_view(d.g, d.a, rows, 1, 3, 2);

	assert_int_equal(gpu_bytes_live(d.g), 512); /* views cost no device memory */
	assert_ptr_equal(rows->data, (float *)t->data + 30);
	assert_ptr_equal(time->data, (float *)t->data + 30 + 18);
	assert_true(gpu_is_contiguous(rows) && !gpu_is_contiguous(time));
	assert_int_equal(time->ne[0] * 100 + time->ne[1] * 10 + time->ne[2], 226);
	float *got = get(&d, time);
	for (int64_t i = 0; i < 24; i++)
		assert_true(got[i] == x[(i / 12 + 1) * 30 + (i / 6 % 2 + 3) * 6 + i % 6]);
	struct gpu_tensor *flat = gpu_reshape(d.g, d.a, rows, SHAPE(10, 6));
	assert_ptr_equal(flat->data, rows->data);
	assert_int_equal(flat->nb[0], 6);
	assert_int_equal(gpu_count(gpu_view(d.g, d.a, t, 1, 5, 0)), 0); /* empty, at the end */
	assert_fine(d.g);

	static const int64_t wrong[][3] = {{0, 0, 5}, {0, 4, 1}, {0, -1, 2}, {0, 2, -1}, {1, 5, 1},
		{0, INT64_MAX, 2}, {0, 2, INT64_MAX}, {2, 0, 1}, {-1, 0, 1}, {3, 0, 1}};
	for (size_t i = 0; i < N_OF(wrong); i++) {
		struct gpu_tensor *v =
			gpu_view(d.g, d.a, t, (int)wrong[i][0], wrong[i][1], wrong[i][2]);
		assert_null(v->data);
		assert_gpu_error(d.g, ERR_BUG, "view of 't' [4, 5, 6]: no rows");
	}
	gpu_view(d.g, d.a, flat, 1, 0, 2);
	assert_gpu_error(d.g, ERR_BUG, "view of 't' [10, 6]: no rows 0 + 2 in dimension 1");
	gpu_view(d.g, d.a, gpu_new_matrix(d.g, d.a, GPU_F32, "w", 40, 4), 0, 0, 32);
	assert_gpu_error(d.g, ERR_BUG, "view of 'w'");
	gpu_reshape(d.g, d.a, time, SHAPE(24));
	assert_gpu_error(d.g, ERR_BUG, "reshape of 't' [2, 2, 6] to [24]: not the same elements");
	gpu_reshape(d.g, d.a, t, SHAPE(4, 31));
	assert_gpu_error(d.g, ERR_BUG, "to [4, 31]: not the same elements");
	gpu_reshape(d.g, d.a, t, SHAPE(-4, -30));
	assert_gpu_error(d.g, ERR_BUG, "not the same elements");
	dev_close(&d);
}

static void transfers(void **state)
{
	struct dev d = open_cpu();
	float x[12] = {1, 2, 3}, y[12];
	struct gpu_tensor *t = put(&d, "t", SHAPE(2, 3, 2), x);

	gpu_read(d.g, t, y, sizeof(y));
	assert_memory_equal(x, y, sizeof(x));
	gpu_read(d.g, gpu_view(d.g, d.a, t, 0, 0, 0), y, 0);
	assert_fine(d.g);
	memset(y, 1, sizeof(y));
	gpu_read(d.g, t, y, 44);
	assert_true(y[0] == 0 && y[10] == 0 && y[11] != 0); /* not what was there before */
	assert_gpu_error(d.g, ERR_BUG, "read: 't' [2, 3, 2] is not 44 contiguous bytes");
	gpu_write(d.g, t, x, 52);
	assert_gpu_error(d.g, ERR_BUG, "write: 't' [2, 3, 2] is not 52 contiguous bytes");
	gpu_write(d.g, gpu_view(d.g, d.a, t, 1, 0, 2), x, 32);
	assert_gpu_error(d.g, ERR_BUG, "contiguous");
	gpu_write(d.g, gpu_new_matrix(d.g, d.a, GPU_F32, "w", 3, 4), x, 48);
	assert_gpu_error(d.g, ERR_BUG, "write: 'w'");
	dev_close(&d);
}

struct taps {
	int n;
	char last[64];
	const struct gpu_tensor *t;
};

static void count_tap(void *ud, struct gpu *g, const char *name, const struct gpu_tensor *t)
{
	struct taps *taps = ud;

	taps->n++;
	taps->t = t;
	snprintf(taps->last, sizeof(taps->last), "%s", name);
}

static void taps(void **state)
{
	struct dev d = open_cpu();
	struct taps seen = {0};
	struct gpu_tensor *t = empty(&d, "t", SHAPE(3));

	gpu_tap(d.g, t, "before");
	gpu_set_tap(d.g, count_tap, &seen);
	gpu_tap(d.g, t, "block%d.%s", 3, "attn");
	assert_int_equal(seen.n, 1);
	assert_string_equal(seen.last, "block3.attn");
	assert_ptr_equal(seen.t, t);
	gpu_fail(d.g, ERR_GPU, "broken");
	gpu_tap(d.g, t, "after a failure");
	gpu_sync(d.g, NULL);
	gpu_set_tap(d.g, NULL, NULL);
	gpu_tap(d.g, t, "unset");
	assert_int_equal(seen.n, 1);
	dev_close(&d);
}

/* ---- errors ------------------------------------------------------------- */

static void the_first_error_stays(void **state)
{
	struct dev d = open_cpu();
	float x[4] = {1, 2, 3, 4}, y[4];
	struct gpu_tensor *t = put(&d, "t", SHAPE(4), x);
	uint64_t dispatches = gpu_dispatches(d.g), live = gpu_bytes_live(d.g);

	gpu_fail(d.g, ERR_IO, "the %s one", "first");
	gpu_fail(d.g, ERR_BUG, "the second one");
	assert_true(gpu_failed(d.g));
	/* Nothing runs, nothing is allocated. */
	gpu_fill(d.g, t, 0);
	struct gpu_tensor *none = gpu_new(d.g, d.a, GPU_F32, "u", SHAPE(100));
	assert_null(none->data);
	gpu_relu(d.g, none, t);
	assert_null(gpu_view(d.g, d.a, t, 0, 0, 1)->data);
	assert_null(gpu_reshape(d.g, d.a, t, SHAPE(2, 2))->data);
	assert_null(gpu_new_matrix(d.g, d.a, GPU_F32, "w", 9, 9)->data);
	struct gpu_kv *kv = gpu_kv_new(d.g, d.a, GPU_F32, 1, 1, 1, 1);
	assert_null(kv->k->data);
	gpu_kv_clear(d.g, kv);
	gpu_write(d.g, t, y, sizeof(y));
	gpu_put_rows(d.g, t, 0, 4, y);
	assert_int_equal(gpu_dispatches(d.g), dispatches);
	assert_int_equal(gpu_bytes_live(d.g), live);
	assert_gpu_error(d.g, ERR_IO, "the first one");
	/* Cleared: the tensor is as it was; what was made meanwhile stays unusable. */
	gpu_read(d.g, t, y, sizeof(y));
	assert_memory_equal(x, y, sizeof(x));
	gpu_relu(d.g, none, t);
	assert_gpu_error(d.g, ERR_BUG, "relu: y '(none)' [0], x 't' [4]: an operand is empty");
	gpu_attention_cross(d.g, t, t, kv, 1);
	assert_gpu_error(d.g, ERR_BUG, "the cache is empty");
	dev_close(&d);
}

static void a_lost_device_stays_lost(void **state)
{
	struct dev d = open_cpu();

	gpu_fail(d.g, ERR_GPU_LOST, "gone");
	assert_int_equal(gpu_sync(d.g, NULL), ERR_GPU_LOST);
	assert_true(gpu_failed(d.g));
	assert_int_equal(gpu_sync(d.g, NULL), ERR_GPU_LOST);
	dev_close(&d);
}

/* Every wrong call, with its message; y, x, ... are tensors that fit each other. */
static void wrong_shapes(void **state)
{
	struct dev d = open_cpu();
	struct gpu *g = d.g;
	struct gpu_tensor *f8 = empty(&d, "f8", SHAPE(8)), *f2x4 = empty(&d, "f2x4", SHAPE(2, 4)),
			  *f2x8 = empty(&d, "f2x8", SHAPE(2, 8)),
			  *f4x8 = empty(&d, "f4x8", SHAPE(4, 8)),
			  *f2x24 = empty(&d, "f2x24", SHAPE(2, 24)),
			  *f3x8 = empty(&d, "f3x8", SHAPE(3, 8)),
			  *f2x5x8 = empty(&d, "f2x5x8", SHAPE(2, 5, 8)),
			  *f2x6x8 = empty(&d, "f2x6x8", SHAPE(2, 6, 8)),
			  *f4x5x8 = empty(&d, "f4x5x8", SHAPE(4, 5, 8)),
			  *i2x4 = gpu_zeros(g, d.a, GPU_I32, "i2x4", SHAPE(2, 4)),
			  *i2 = gpu_zeros(g, d.a, GPU_I32, "i2", SHAPE(2)),
			  *h2x8 = gpu_zeros(g, d.a, GPU_BF16, "h2x8", SHAPE(2, 8)),
			  *w8x4 = gpu_new_matrix(g, d.a, GPU_F32, "w8x4", 8, 4),
			  *w8x24 = gpu_new_matrix(g, d.a, GPU_F32, "w8x24", 8, 24),
			  *w32x8 = gpu_new_matrix(g, d.a, GPU_F32, "w32x8", 32, 8),
			  *w40x8 = gpu_new_matrix(g, d.a, GPU_F32, "w40x8", 40, 8);
	struct gpu_tensor *strided = gpu_view(g, d.a, f2x6x8, 1, 0, 5);
	struct gpu_kv *kv = gpu_kv_new(g, d.a, GPU_F32, 2, 2, 4, 3),
		      *filled = gpu_kv_new(g, d.a, GPU_TILES, 2, 2, 4, 100);
	const struct gpu_conv three = {.kernel = 3};
	const struct gpu_lstm lstm = {w32x8, w32x8, f8, f2x8, f2x8};
	const uint64_t seeds[2] = {0};
	struct gpu_sampling s = {.temperature = 1, .seed = seeds, .n_streams = 1};
	const uint64_t before = gpu_dispatches(g);

#define WRONG(call, text)                                                                          \
	do {                                                                                       \
		call;                                                                              \
		assert_gpu_error(g, ERR_BUG, text);                                                \
	} while (0)

	WRONG(gpu_linear(g, f2x24, f2x8, w8x24, NULL), "linear: y 'f2x24' [2, 24], x 'f2x8' [2, "
						       "8], w 'w8x24' [8, 24]: inner sizes differ");
	WRONG(gpu_linear(g, f4x8, f2x4, w8x4, NULL), "y has another shape than x w^T");
	WRONG(gpu_linear(g, f2x4, f2x4, w8x4, NULL), "y has another shape than x w^T");
	WRONG(gpu_linear(g, f2x8, f2x4, f2x4, NULL), "w must be a packed matrix");
	WRONG(gpu_linear(g, f2x8, f2x4, w8x4, f2x8), "bias must be f32, one per output");
	WRONG(gpu_linear(g, f2x8, i2x4, w8x4, NULL), "x and y must be contiguous f32");
	WRONG(gpu_linear(g, strided, f2x5x8, w40x8, NULL), "x and y must be contiguous f32");
	WRONG(gpu_linear(g, f2x8, w8x4, w8x4, NULL), "x and y must be contiguous f32");
	WRONG(gpu_linear_add(g, f2x8, f2x8, w32x8, NULL), "linear_add: y 'f2x8' [2, 8]");
	WRONG(gpu_linear(g, f2x8, NULL, w8x4, NULL), "linear: x is missing");

	WRONG(gpu_put_rows(g, w40x8, 8, 32, f8->data), "rows of a matrix come in groups of 32");
	WRONG(gpu_put_rows(g, w40x8, 0, 16, f8->data), "rows of a matrix come in groups of 32");
	WRONG(gpu_put_rows(g, w40x8, 32, 9, f8->data), "no such rows");
	WRONG(gpu_put_rows(g, w40x8, -32, 32, f8->data), "no such rows");
	WRONG(gpu_put_rows(g, f2x8, 0, 3, f8->data), "put_rows: t 'f2x8' [2, 8]: no such rows");
	WRONG(gpu_put_rows(g, i2, 0, 1, f8->data), "not a matrix, nor contiguous f32 or bf16");

	WRONG(gpu_conv1d(g, f2x8, f4x8, w8x24, NULL, (struct gpu_conv){.kernel = 2}),
		"w must have kernel * channels columns");
	WRONG(gpu_conv1d(g, f3x8, f4x8, w8x24, NULL, three), "y has another number of frames");
	WRONG(gpu_conv1d(g, f2x4, f4x8, w8x24, NULL, three), "y has another number of channels");
	WRONG(gpu_conv1d(g, f2x8, f2x24, w8x24, NULL, three), "kernel * channels");
	WRONG(gpu_conv1d(g, f2x8, f3x8, w8x24, NULL, (struct gpu_conv){3, 0, 2}),
		"conv1d: y 'f2x8' [2, 8], x 'f3x8' [3, 8], w 'w8x24' [8, 24]: x is shorter");
	WRONG(gpu_conv1d(g, f2x8, f4x8, w8x24, NULL, (struct gpu_conv){3, -1, 1}),
		"no such kernel");
	WRONG(gpu_conv1d(g, f2x8, f4x8, w8x24, f2x8, three), "bias must be f32");
	WRONG(gpu_conv1d(g, f2x8, f2x5x8, w8x24, NULL, three), "must both be");
	WRONG(gpu_conv1d(g, f4x5x8, f2x5x8, w8x24, NULL, three), "batches differ");
	WRONG(gpu_conv1d(g, f4x8, f4x8, w8x24, NULL, three), "y may not be x");
	WRONG(gpu_conv1d(g, f2x8, f4x8, f2x24, NULL, three), "w must be a packed matrix");
	WRONG(gpu_conv1d(g, h2x8, f4x8, w8x24, NULL, three), "x and y must be f32");

	const struct gpu_conv up = {.kernel = 4, .stride = 4};
	WRONG(gpu_conv_transpose1d(g, f2x8, f3x8, w32x8, NULL, up), "another number of frames");
	WRONG(gpu_conv_transpose1d(g, f4x8, f2x4, w32x8, NULL, up), "ceil(kernel / stride)");
	WRONG(gpu_conv_transpose1d(g, f4x8, f3x8, w40x8, NULL, up), "stride * channels of y rows");
	WRONG(gpu_conv_transpose1d(g, f4x8, f3x8, w32x8, f2x8, up), "one per channel of y");
	WRONG(gpu_conv_transpose1d(g, f4x8, f3x8, w32x8, NULL, (struct gpu_conv){4, 4, 2}),
		"dilation is not supported");
	WRONG(gpu_conv_transpose1d(g, f4x8, f2x8, w8x24, NULL, (struct gpu_conv){3, 1, 0}),
		"x is shorter than the kernel");

	WRONG(gpu_lstm(g, f2x5x8, f2x6x8, &lstm), "x and y differ in batch or time");
	WRONG(gpu_lstm(g, f2x8, f2x5x8, &lstm), "x and y must be f32 [B, T, C]");
	struct gpu_tensor *lstm_y = empty(&d, "lstm_y", SHAPE(2, 5, 8));
	WRONG(gpu_lstm(g, lstm_y, f2x5x8, &lstm), "bias must be f32 [4D]");
	struct gpu_lstm l = lstm;
	l.bias = empty(&d, "bias", SHAPE(32));
	l.h = f3x8;
	WRONG(gpu_lstm(g, lstm_y, f2x5x8, &l), "h 'f3x8' [3, 8], c 'f2x8' [2, 8]: h must be f32");
	l.w_hh = w40x8;
	WRONG(gpu_lstm(g, lstm_y, f2x5x8, &l), "w_hh must be [4D, D]");
	l.w_ih = w8x4;
	WRONG(gpu_lstm(g, lstm_y, f2x5x8, &l), "w_ih must be [4D, I]");
	l.c = NULL;
	WRONG(gpu_lstm(g, lstm_y, f2x5x8, &l), "lstm: c is missing");

	WRONG(gpu_attention_causal(g, f2x4, f2x24, kv, 1), "widths differ from the cache's heads");
	WRONG(gpu_attention_causal(g, f3x8, empty(&d, "qkv", SHAPE(3, 24)), kv, 1),
		"rows must be a multiple of the cache's sequences");
	gpu_attention_causal(g, f4x8, gpu_zeros(g, d.a, GPU_F32, "qkv", SHAPE(4, 24)), kv, 1);
	WRONG(gpu_attention_causal(g, f4x8, empty(&d, "qkv", SHAPE(4, 24)), kv, 1),
		"attention_causal: y 'f4x8' [4, 8], qkv 'qkv' [4, 24]: the cache is full");
	if (filled->dtype >= GPU_TILES)
		WRONG(gpu_attention_causal(
			      g, f4x8, gpu_zeros(g, d.a, GPU_F32, "qkv", SHAPE(4, 24)), filled, 1),
			"the cache is for gpu_attention_cross() alone");
	WRONG(gpu_kv_fill(g, kv, 2, f2x24), "the cache has no such sequence");
	WRONG(gpu_kv_fill(g, kv, 0, f2x24), "kv_x must be contiguous f32 [S, 2H]");
	WRONG(gpu_kv_fill(g, kv, 0, empty(&d, "kv_x", SHAPE(4, 16))), "the cache is too short");
	WRONG(gpu_attention_cross(g, f2x8, f4x8, kv, 1), "one shape");
	WRONG(gpu_attention_cross(g, f3x8, f3x8, kv, 1), "multiple of the cache's sequences");
	WRONG(gpu_attention_cross(g, f2x4, f2x4, kv, 1), "widths differ");
	kv->len[1] = 0;
	WRONG(gpu_attention_cross(g, f4x8, f4x8, kv, 1), "a sequence of the cache is not filled");
	WRONG(gpu_attention_full(g, f2x8, f2x24, NULL, 3, 1), "heads do not divide the width");
	WRONG(gpu_attention_full(g, f3x8, f2x24, NULL, 2, 1), "y must be [T, H]");
	WRONG(gpu_attention_full(g, f2x8, f2x24, f2x4, 2, 1), "bias must be f32 [heads, 2T-1]");
	WRONG(gpu_attention_full(g, f2x8, empty(&d, "qkv", SHAPE(1, 2, 24)), NULL, 2, 1),
		"both of rank 2 or of rank 3");
	WRONG(gpu_attention_full(g, empty(&d, "y", SHAPE(2, 2, 8)),
		      empty(&d, "qkv", SHAPE(1, 2, 24)), NULL, 2, 1),
		"or [B, T, H] and [B, T, 3H]");

	WRONG(gpu_layer_norm(g, f2x8, f2x8, f8, f2x8, 0), "w and b must be f32, one per column");
	WRONG(gpu_layer_norm(g, f2x8, f2x8, f8, NULL, 0), "layer_norm: b is missing");
	WRONG(gpu_rms_norm(g, f2x4, f2x4, f8, 0), "rms_norm: y 'f2x4' [2, 4]");
	WRONG(gpu_rms_norm(g, f2x8, f3x8, f8, 0), "contiguous f32 of one shape");
	WRONG(gpu_rms_norm(g, strided, strided, f8, 0), "contiguous f32");

	WRONG(gpu_relu(g, f2x8, f3x8), "relu: y 'f2x8' [2, 8], x 'f3x8' [3, 8]: shapes differ");
	WRONG(gpu_gelu(g, h2x8, f2x8),
		"gelu: y 'h2x8' [2, 8], x 'f2x8' [2, 8]: x and y must be f32");
	WRONG(gpu_elu(g, w8x4, w8x4), "elu: ");
	WRONG(gpu_add(g, f4x8, f4x8, f3x8), "the rows of b do not repeat in a");
	WRONG(gpu_add(g, f2x8, f4x8, f2x8), "y and a differ in shape");
	WRONG(gpu_add(g, f2x8, f2x8, f8), "do not repeat");
	WRONG(gpu_add(g, f2x8, f2x8, h2x8), "must be f32");
	WRONG(gpu_copy(g, f2x8, h2x8), "copy: dst 'f2x8' [2, 8], src 'h2x8' [2, 8]: dtypes differ");
	WRONG(gpu_copy(g, f2x8, f4x8), "shapes differ");
	WRONG(gpu_copy(g, w8x4, w8x4), "contiguous or views along time");
	WRONG(gpu_flip(g, f8, f8), "flip is for");
	WRONG(gpu_flip(g, f2x8, f2x8), "dst may not be src");
	WRONG(gpu_fill(g, i2, 0), "fill: y 'i2' [2]");

	WRONG(gpu_embed_sum(g, f2x8, f2x8, i2), "ids must be contiguous i32 [T, K]");
	WRONG(gpu_embed_sum(g, f2x8, i2x4, i2x4), "table must be");
	WRONG(gpu_embed_sum(g, f2x8, f3x8, i2x4), "not a multiple of the ids per row");
	WRONG(gpu_embed_sum(g, f2x4, f4x8, i2x4), "y must be f32");
	WRONG(gpu_rvq_encode(g, f2x4, f2x8, f4x5x8), "codes must be contiguous i32");
	WRONG(gpu_rvq_encode(g, i2x4, f2x8, f2x5x8), "sizes differ");
	WRONG(gpu_rvq_encode(g, i2x4, f2x4, f4x5x8), "sizes differ");
	WRONG(gpu_rvq_encode(g, i2x4, f2x8, f4x8), "codebooks [K, V, D]");
	WRONG(gpu_guidance(g, f3x8, f4x8, 1), "logits must be [2B, V]");
	WRONG(gpu_guidance(g, f2x8, f8, 1), "rank 2");

	WRONG(gpu_sample(g, i2, f3x8, &s),
		"sample: ids 'i2' [2], logits 'f3x8' [3, 8]: logits must");
	WRONG(gpu_sample(g, i2x4, f2x8, &s), "ids must be contiguous i32 of rank 1");
	static const struct gpu_sampling ways[] = {{.temperature = 0}, {.temperature = -1},
		{.temperature = NAN}, {.temperature = INFINITY}, {.temperature = 1, .top_k = -1},
		{.temperature = 1, .top_p = -0.1f}, {.temperature = 1, .top_p = NAN}};
	for (size_t i = 0; i < N_OF(ways); i++) {
		struct gpu_sampling way = ways[i];
		way.seed = seeds;
		way.n_streams = 1;
		WRONG(gpu_sample(g, i2, f2x8, &way),
			i < 4 ? "the temperature must be above 0" : "may not be negative");
	}
	s.n_streams = 3;
	WRONG(gpu_sample(g, i2, f2x8, &s), "the streams do not divide the rows");
	s.n_streams = 1;
	s.seed = NULL;
	WRONG(gpu_sample(g, i2, f2x8, &s), "or there is no seed");
#undef WRONG
	/* Only the one call that was right, and the fills of the tensors made on
	 * the way: lstm_y, bias, four of qkv, kv_x, y. */
	assert_int_equal(gpu_dispatches(g) - before, 1 + 8);
	dev_close(&d);
}

static void an_op_that_the_device_lacks(void **state)
{
	struct dev d = open_cpu();
	struct gpu_ops ops = *d.g->ops;
	struct gpu_tensor *t = put(&d, "t", SHAPE(2), (float[]){-1, 2});
	uint64_t before = gpu_dispatches(d.g);

	ops.unary = NULL;
	ops.device = "toy";
	d.g->ops = &ops;
	gpu_gelu(d.g, t, t);
	assert_gpu_error(d.g, ERR_UNSUPPORTED, "gelu: the toy device has no such op");
	assert_int_equal(gpu_dispatches(d.g), before);
	assert_true(get(&d, t)[0] == -1);
	dev_close(&d);
}

/* One per op called, whatever its size; nothing for what is not an op. */
static void dispatches(void **state)
{
	struct dev d = open_cpu();
	struct gpu_tensor *a = gpu_zeros(d.g, d.a, GPU_F32, "a", SHAPE(4, 8)),
			  *b = gpu_zeros(d.g, d.a, GPU_F32, "b", SHAPE(300, 300)),
			  *w = gpu_new_matrix(d.g, d.a, GPU_F32, "w", 300, 300);
	float *x = random_floats(300 * 300);

	gpu_put_rows(d.g, w, 0, 300, x);
	gpu_write(d.g, b, x, 300 * 300 * 4);
	assert_int_equal(gpu_dispatches(d.g), 0);
	struct gpu_tensor *y = gpu_new(d.g, d.a, GPU_F32, "y", SHAPE(300, 300));
	gpu_linear(d.g, y, b, w, NULL);
	gpu_linear_add(d.g, y, b, w, NULL);
	gpu_relu(d.g, y, y);
	gpu_fill(d.g, gpu_view(d.g, d.a, a, 0, 0, 0), 1); /* no rows: still a dispatch */
	gpu_add(d.g, y, y, b);
	assert_int_equal(gpu_dispatches(d.g), 5);
	assert_fine(d.g);
	dev_close(&d);
}

/* Ops on no rows do nothing, and are no fault. */
static void no_rows(void **state)
{
	struct dev d = open_cpu();
	struct gpu_tensor *t = gpu_new(d.g, d.a, GPU_F32, "t", SHAPE(0, 8)),
			  *u = gpu_new(d.g, d.a, GPU_F32, "u", SHAPE(0, 8)),
			  *w = put_matrix(&d, GPU_F32, "w", 8, 8, random_floats(64)),
			  *v = put(&d, "v", SHAPE(8), random_floats(8)),
			  *ids = gpu_new(d.g, d.a, GPU_I32, "ids", SHAPE(0));
	const struct gpu_sampling s = {.greedy = true};

	gpu_linear(d.g, t, u, w, NULL);
	gpu_layer_norm(d.g, t, u, v, v, 1);
	gpu_elu(d.g, t, u);
	gpu_copy(d.g, t, u);
	gpu_flip(d.g, t, u);
	gpu_fill(d.g, t, 1);
	gpu_guidance(d.g, t, u, 2);
	gpu_sample(d.g, ids, t, &s);
	assert_int_equal(gpu_dispatches(d.g), 8);
	assert_fine(d.g);
	dev_close(&d);
}

/* ---- several threads ---------------------------------------------------- */

enum { PARTS = 4, N_OUT = 500, N_IN = 70 };

struct part {
	struct dev *d;
	struct gpu_tensor *w;
	const float *rows;
	int64_t first, n;
};

static void *put_part(void *arg)
{
	struct part *p = arg;

	gpu_put_rows(p->d->g, p->w, p->first, p->n, p->rows + p->first * N_IN);
	gpu_put_rows(p->d->g, p->w, p->first + 1, 32, p->rows); /* wrong: each thread fails */
	return NULL;
}

static void put_rows_from_several_threads(void **state)
{
	static const int64_t firsts[PARTS + 1] = {0, 128, 160, 416, N_OUT};
	static const enum gpu_dtype dtypes[] = {GPU_F32, GPU_BF16, GPU_I8};
	float *rows = random_floats(N_OUT * N_IN), *x = random_floats(N_IN);

	for (size_t t = 0; t < N_OF(dtypes); t++) {
		struct dev d = open_cpu();
		struct gpu_tensor *w = gpu_new_matrix(d.g, d.a, dtypes[t], "w", N_OUT, N_IN);
		struct part parts[PARTS];
		pthread_t threads[PARTS];
		for (int i = 0; i < PARTS; i++) {
			parts[i] = (struct part){&d, w, rows, firsts[i], firsts[i + 1] - firsts[i]};
			/* The failing ones only after all have been put, or they would stop them.
			 */
			gpu_put_rows(d.g, w, parts[i].first, parts[i].n, rows + firsts[i] * N_IN);
		}
		struct gpu_tensor *y[2] = {
			empty(&d, "y0", SHAPE(1, N_OUT)), empty(&d, "y1", SHAPE(1, N_OUT))};
		struct gpu_tensor *tx = put(&d, "x", SHAPE(1, N_IN), x);
		gpu_linear(d.g, y[0], tx, w, NULL);
		struct gpu_tensor *again = gpu_new_matrix(d.g, d.a, dtypes[t], "w", N_OUT, N_IN);
		for (int i = 0; i < PARTS; i++) {
			parts[i].w = again;
			assert_int_equal(pthread_create(&threads[i], NULL, put_part, &parts[i]), 0);
		}
		for (int i = 0; i < PARTS; i++)
			pthread_join(threads[i], NULL);
		assert_gpu_error(d.g, ERR_BUG, "rows of a matrix come in groups of 32");
		gpu_linear(d.g, y[1], tx, again, NULL);
		dev_close(&d);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(devices),
		TEST(cuda_that_is_not_there),
		TEST(lower_instruction_sets),
		TEST(tensors_are_aligned_and_strided),
		TEST(counters),
		TEST(matrices_are_counted),
		TEST(steps_repeat),
		TEST(release_to_the_very_start),
		TEST(reserved_memory_is_one_piece),
		TEST(pieces_suit_the_device),
		TEST(out_of_memory),
		TEST(shapes_that_do_not_exist),
		TEST(views),
		TEST(transfers),
		TEST(taps),
		TEST(the_first_error_stays),
		TEST(a_lost_device_stays_lost),
		TEST(wrong_shapes),
		TEST(an_op_that_the_device_lacks),
		TEST(dispatches),
		TEST(no_rows),
		TEST(put_rows_from_several_threads),
	};

	return RUN_TAP(tests);
}
