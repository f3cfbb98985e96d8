/* What the op tests share: devices at every instruction set, random data,
 * tensors from arrays, and comparison with a reference and its tolerance.
 *
 * With WOODSHED_TEST_MODULE=.../woodshed-cuda.so in the environment the tests run on the
 * device of that module instead of the processor. */
#ifndef WOODSHED_TESTS_OPS_SUPPORT_H
#define WOODSHED_TESTS_OPS_SUPPORT_H

/* cmocka wants these before its own header. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "gpu/cpu/cpu.h"
#include "gpu/gpu.h"

#define N_OF(array) (sizeof(array) / sizeof(*(array)))

/* Sizes at and around vectors, panels and powers of two. */
extern const int64_t odd_sizes[];
enum { N_ODD_SIZES = 10 };

/* A device and an arena. */
struct dev {
	struct gpu *g;
	struct gpu_arena *a;
	int isa; /* enum cpu_isa, or ON_CUDA */
};
enum { ON_CUDA = 100 };
bool on_cuda(void);
/* Whether products of bf16 round x: the processor does, and CUDA from 8.0 on. */
bool rounds_tiles(void);

/* False when the machine has no such instruction set. */
bool dev_open(struct dev *d, int n_threads, int isa);
void dev_close(struct dev *d);

/* Runs the block once per instruction set that the machine has, on 2 threads; or once on
 * the module's device. */
#define FOR_EACH_ISA(d) for (struct dev d = {0}; dev_next(&d);)
bool dev_next(struct dev *d);
/* Lets a processor have matrices of GPU_SPLIT and GPU_WINOGRAD without tile units, too: the
 * kernels are there for every instruction set. */
void let_split(const struct dev *d);

/* Fails the test with the device's error, if there is one. */
void assert_fine(struct gpu *g);
/* Fails unless the device has an error of this code with `part` in its text; clears it. */
void assert_gpu_error(struct gpu *g, int code, const char *part);

/* Memory until the end of the test (test_done as teardown). */
void *keep(size_t n, size_t size); /* zeroed */
int test_done(void **state);

/* Reproducible numbers: uniform in [-1, 1), or integers below n. */
void seed(uint64_t s);
float uniform(void);
int64_t below(int64_t n);
float *random_floats(int64_t n);

/* Tensors with the content of an array. */
struct gpu_tensor *put(
	const struct dev *d, const char *name, struct gpu_shape shape, const float *data);
struct gpu_tensor *put_ids(
	const struct dev *d, const char *name, struct gpu_shape shape, const int32_t *ids);
struct gpu_tensor *put_matrix(const struct dev *d, enum gpu_dtype dtype, const char *name,
	int64_t n_out, int64_t n_in, const float *w);
struct gpu_tensor *empty(const struct dev *d, const char *name, struct gpu_shape shape);
/* The tensor's elements; fails the test on a pending error.  A view is copied first. */
float *get(const struct dev *d, const struct gpu_tensor *t);
int32_t *get_ids(const struct dev *d, const struct gpu_tensor *t);

/* What is left of weights in this dtype, as f32.  int8: weights are first moved
 * off the middle between two steps, in place, where rounding could go either way. */
float *quantised(enum gpu_dtype dtype, int64_t n_out, int64_t n_in, float *w);
/* x[n], as a product with weights of this dtype takes it: CUDA rounds it to bf16 for more
 * than 8 rows, unless the weights are f32 or the device multiplies no bf16. */
const float *multiplied(enum gpu_dtype dtype, int64_t n_rows, const float *x, int64_t n);
enum { MANY_ROWS = 9 };
/* n rows of (tap, channel) as (32 channels, tap, channel of those), the order in which tiles
 * sum convolutions; as they are where the channels are no multiple of 32. */
float *by_blocks(const float *x, int64_t n, int64_t taps, int64_t channels);

/* A reference: value and greatest allowed difference, per element. */
struct want {
	double *y, *tol;
};
struct want want_new(int64_t n);
/* Compares; `fmt` says in a failure what was computed. */
void assert_close(const float *got, struct want want, int64_t n, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
void assert_same_bits(const float *a, const float *b, int64_t n, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

#define RUN_TAP(tests) RUN_TAP_WITH(tests, 0, 0)
/* The first n_cpu tests are about the processor, the last n_cuda about CUDA: elsewhere they are
 * not there. */
#define RUN_TAP_WITH(tests, n_cpu, n_cuda)                                                         \
	(cmocka_set_message_output(CM_OUTPUT_TAP),                                                 \
		_cmocka_run_group_tests(#tests, (tests) + (on_cuda() ? (n_cpu) : 0),               \
			N_OF(tests) - (on_cuda() ? (n_cpu) : (n_cuda)), NULL, NULL))
#define TEST(name) cmocka_unit_test_teardown(name, test_done)

#endif
