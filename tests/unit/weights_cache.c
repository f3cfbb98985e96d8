/* Converted weights that are kept: the same bytes again, and whatever is wrong
 * with the file, the weights are right. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/weights/bind.h"
#include "engine/weights/ckpt.h"
#include "gpu/gpu.h"
#include "library/base/err.h"
#include "tests/unit/scratch.h"
#include "tests/unit/weights_files.h"

enum { ROWS = 1000, COLUMNS = 611, N_TENSORS = 4 };

static void write_checkpoint(const char *path, float factor)
{
	const size_t n = (size_t)ROWS * COLUMNS;
	float *x = calloc(n + ROWS, sizeof(*x));
	struct str file = {0}, header = {0};

	for (size_t i = 0; i < n + ROWS; i++)
		x[i] = factor * (float)((int64_t)(i * 2654435761u % 2003) - 1001) / 1024;
	str_printf(&header,
		"{\"w\":{\"dtype\":\"F32\",\"shape\":[%d,%d],\"data_offsets\":[0,%zu]},"
		"\"v\":{\"dtype\":\"F32\",\"shape\":[%d],\"data_offsets\":[%zu,%zu]}}",
		ROWS, COLUMNS, 4 * n, ROWS, 4 * n, 4 * (n + ROWS));
	safetensors(&file, str_get(&header), x, 4 * (n + ROWS));
	scratch_write(path, file.s, file.n);
	str_done(&file);
	str_done(&header);
	free(x);
}

struct loaded {
	char *bytes; /* of all tensors; owned */
	size_t n;
	uint64_t total; /* that progress was told: of the checkpoint, or of the cache */
};

static int see_total(void *ud, uint64_t done, uint64_t total)
{
	*(uint64_t *)ud = total;
	return 0;
}

/* On the CPU device, or on that of WOODSHED_TEST_MODULE. */
static void begin(const char *checkpoint, int n_threads, struct ckpt **c, struct gpu **g)
{
	const char *module = getenv("WOODSHED_TEST_MODULE");
	struct err e = {0};

	gpu_use_module(module);
	if (ckpt_open_file(checkpoint, c, &e) ||
		gpu_open(module ? "cuda" : "cpu", n_threads, g, &e))
		fail_msg("%s", e.text);
}

static struct loaded load(const char *checkpoint, const char *cache, int n_threads)
{
	struct loaded r = {0};
	struct gpu_tensor *t[N_TENSORS];
	struct err e = {0};
	struct ckpt *c = NULL;
	struct gpu *g = NULL;

	begin(checkpoint, n_threads, &c, &g);
	struct bind *b = bind_new(c, g, gpu_arena_new(g, "weights"), n_threads);
	bind_rows(b, &t[0], GPU_F32, SHAPE(ROWS), "v");
	bind_matrix(b, &t[1], GPU_BF16, ROWS, COLUMNS, "w");
	bind_matrix(b, &t[2], GPU_I8, ROWS, COLUMNS, "w");
	bind_rows(b, &t[3], GPU_BF16, SHAPE(ROWS, COLUMNS), "w");
	bind_use_cache(b, cache);
	if (bind_load(b, see_total, &r.total, &e))
		fail_msg("%s", e.text);
	for (int i = 0; i < N_TENSORS; i++)
		r.n += (size_t)gpu_raw_bytes(g, t[i]);
	r.bytes = malloc(r.n);
	for (size_t i = 0, at = 0; i < N_TENSORS; i++) {
		const size_t n = (size_t)gpu_raw_bytes(g, t[i]);
		gpu_raw_read(g, t[i], 0, r.bytes + at, n);
		at += n;
	}
	assert_int_equal(gpu_sync(g, &e), 0);
	bind_free(b);
	gpu_close(g);
	ckpt_close(c);
	return r;
}

static bool is_from_cache(const struct loaded *r)
{
	return r->total == r->n;
}

static void assert_same(const struct loaded *a, const struct loaded *b)
{
	assert_int_equal(a->n, b->n);
	assert_memory_equal(a->bytes, b->bytes, a->n);
}

/* Loads what must be equal to `want`, from the cache or not. */
static void again(
	const char *checkpoint, const char *cache, const struct loaded *want, bool from_cache)
{
	struct loaded r = load(checkpoint, cache, 2);

	assert_same(&r, want);
	assert_int_equal(is_from_cache(&r), from_cache);
	free(r.bytes);
}

static void kept_and_read(void **state)
{
	const char *checkpoint = scratch_path(state, "w.safetensors");
	const char *cache = scratch_path(state, "cache/m.weights");
	struct stat st;

	write_checkpoint(checkpoint, 1);
	struct loaded plain = load(checkpoint, NULL, 2);
	assert_false(is_from_cache(&plain));
	again(checkpoint, cache, &plain, false);
	again(checkpoint, cache, &plain, true);
	struct loaded one = load(checkpoint, cache, 1);
	assert_same(&one, &plain);
	assert_true(is_from_cache(&one));
	assert_int_equal(stat(cache, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(stat(scratch_path(state, "cache"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_int_equal(scratch_count(scratch_path(state, "cache")), 1);
	free(one.bytes);
	free(plain.bytes);
}

static void another_checkpoint(void **state)
{
	const char *checkpoint = scratch_path(state, "w.safetensors");
	const char *cache = scratch_path(state, "cache/m.weights");

	write_checkpoint(checkpoint, 1);
	struct loaded first = load(checkpoint, cache, 2);
	/* The same names and sizes, other values. */
	write_checkpoint(checkpoint, 2);
	struct loaded second = load(checkpoint, cache, 2), plain = load(checkpoint, NULL, 2);
	assert_false(is_from_cache(&second));
	assert_same(&second, &plain);
	assert_memory_not_equal(first.bytes, second.bytes, first.n);
	again(checkpoint, cache, &plain, true);
	/* Changed in place, at a time that tells. */
	const struct timespec times[2] = {{1000000000, 0}, {1000000000, 5}};
	assert_int_equal(utimensat(AT_FDCWD, checkpoint, times, 0), 0);
	again(checkpoint, cache, &plain, false);
	free(first.bytes);
	free(second.bytes);
	free(plain.bytes);
}

static void damaged(void **state)
{
	const char *checkpoint = scratch_path(state, "w.safetensors");
	const char *cache = scratch_path(state, "cache/m.weights");
	size_t n;

	write_checkpoint(checkpoint, 1);
	struct loaded plain = load(checkpoint, cache, 2);
	unsigned char *file = scratch_read(cache, &n);
	const size_t flips[] = {0, 5, 30, 127, 128, 4000, n / 2, n - 1};
	for (size_t i = 0; i < sizeof(flips) / sizeof(*flips); i++) {
		file[flips[i]] ^= 1;
		scratch_write(cache, file, n);
		/* Beyond the magic and the hash, the head's zeros count, too. */
		again(checkpoint, cache, &plain, false);
		again(checkpoint, cache, &plain, true);
		file[flips[i]] ^= 1;
	}
	const size_t lengths[] = {0, 1, 127, 128, n / 2, n - 8, n - 1};
	for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
		scratch_write(cache, file, lengths[i]);
		again(checkpoint, cache, &plain, false);
	}
	free(file);
	free(plain.bytes);
}

static void no_place(void **state)
{
	const char *checkpoint = scratch_path(state, "w.safetensors");

	write_checkpoint(checkpoint, 1);
	struct loaded plain = load(checkpoint, NULL, 2);
	again(checkpoint, scratch_path(state, "none/cache/m.weights"), &plain, false);
	assert_int_equal(scratch_count(*state), 1);
	/* A folder, a pipe and a file where they do not belong. */
	mkdir(scratch_path(state, "folder.weights"), 0700);
	again(checkpoint, scratch_path(state, "folder.weights"), &plain, false);
	mkfifo(scratch_path(state, "pipe.weights"), 0600);
	again(checkpoint, scratch_path(state, "pipe.weights"), &plain, false);
	again(checkpoint, scratch_path(state, "w.safetensors/m.weights"), &plain, false);
	free(plain.bytes);
}

static int stop(void *ud, uint64_t done, uint64_t total)
{
	return 1;
}

static void cancelled(void **state)
{
	const char *checkpoint = scratch_path(state, "w.safetensors");
	const char *cache = scratch_path(state, "m.weights");
	struct gpu_tensor *t;
	struct err e = {0};
	struct ckpt *c;
	struct gpu *g;

	write_checkpoint(checkpoint, 1);
	begin(checkpoint, 1, &c, &g);
	for (int i = 0; i < 3; i++) {
		struct bind *b = bind_new(c, g, gpu_arena_new(g, "weights"), 1);
		bind_matrix(b, &t, GPU_BF16, ROWS, COLUMNS, "w");
		bind_use_cache(b, cache);
		e = (struct err){0};
		/* Converting, to the end, reading. */
		assert_int_equal(
			bind_load(b, i == 1 ? NULL : stop, NULL, &e), i == 1 ? 0 : ERR_CANCELLED);
		assert_int_equal(access(cache, F_OK), i ? 0 : -1);
		bind_free(b);
	}
	gpu_close(g);
	ckpt_close(c);
}

/* bf16 of a file in bf16: a device that takes it as it is has nothing to gain. */
static void nothing_to_gain(void **state)
{
	const char *checkpoint = scratch_path(state, "w.safetensors");
	const char *cache = scratch_path(state, "m.weights");
	const uint16_t w[128 * 64] = {0x3f80};
	struct str file = {0};
	struct gpu_tensor *t;
	struct ckpt *c;
	struct gpu *g;
	struct err e = {0};

	safetensors(&file,
		"{\"w\":{\"dtype\":\"BF16\",\"shape\":[128,64],\"data_offsets\":[0,16384]}}", w,
		sizeof(w));
	scratch_write(checkpoint, file.s, file.n);
	begin(checkpoint, 2, &c, &g);
	struct bind *b = bind_new(c, g, gpu_arena_new(g, "weights"), 2);
	bind_matrix(b, &t, GPU_BF16, 128, 64, "w");
	bind_use_cache(b, cache);
	assert_int_equal(bind_load(b, NULL, NULL, &e), 0);
	assert_int_equal(access(cache, F_OK) != 0, gpu_converts_rows(g));
	bind_free(b);
	gpu_close(g);
	ckpt_close(c);
	str_done(&file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(kept_and_read, scratch_open, scratch_close),
		cmocka_unit_test_setup_teardown(another_checkpoint, scratch_open, scratch_close),
		cmocka_unit_test_setup_teardown(damaged, scratch_open, scratch_close),
		cmocka_unit_test_setup_teardown(no_place, scratch_open, scratch_close),
		cmocka_unit_test_setup_teardown(cancelled, scratch_open, scratch_close),
		cmocka_unit_test_setup_teardown(nothing_to_gain, scratch_open, scratch_close),
	};

	return RUN_TAP(tests);
}
