/* The CPU's products by themselves, at the shapes of the models.
 *
 *	bench_kernels [--threads N]
 *
 * Weights that stream from memory, in GB/s of weights beside plain reading;
 * EnCodec's convolutions, in GFLOP/s; its LSTM, in ms for a second of sound.
 * Each figure is the best of some passes. */
#include "gpu/gpu.h"
#include "library/base/clock.h"
#include "library/base/err.h"
#include "library/base/str.h"
#include "tests/bench/bandwidth.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PASSES = 8 };

static const char *const names[] = {[GPU_F32] = "f32", [GPU_BF16] = "bf16", [GPU_I8] = "int8"};

static struct gpu_tensor *matrix(
	struct gpu *g, struct gpu_arena *a, enum gpu_dtype dtype, int64_t n_out, int64_t n_in)
{
	struct gpu_tensor *w = gpu_new_matrix(g, a, dtype, "w", n_out, n_in);
	float *rows = calloc((size_t)(n_out * n_in), sizeof(*rows));

	for (int64_t i = 0; rows && i < n_out * n_in; i++)
		rows[i] = (float)(i % 7) * 0.1f;
	if (rows)
		gpu_put_rows(g, w, 0, n_out, rows);
	free(rows);
	return w;
}

static struct gpu_tensor *filled(struct gpu *g, struct gpu_arena *a, struct gpu_shape shape)
{
	struct gpu_tensor *t = gpu_new(g, a, GPU_F32, "t", shape);

	gpu_fill(g, t, 0.1f);
	return t;
}

/* Rows against 640 MB of matrices of 4096 x 1024. */
static void stream(struct gpu *g, enum gpu_dtype dtype)
{
	enum { OUT = 4096, IN = 1024, MOST = 160 };
	const int n = dtype == GPU_F32 ? MOST / 4 : dtype == GPU_BF16 ? MOST / 2 : MOST;
	struct gpu_arena *a = gpu_arena_new(g, "stream");
	struct gpu_tensor *w[MOST];
	uint64_t bytes = 0;

	for (int i = 0; i < n; i++) {
		w[i] = matrix(g, a, dtype, OUT, IN);
		bytes += gpu_raw_bytes(g, w[i]);
	}
	printf("%-5s", names[dtype]);
	for (int64_t rows = 1; rows <= 8; rows *= 2) {
		struct gpu_tensor *x = filled(g, a, SHAPE(rows, IN)),
				  *y = filled(g, a, SHAPE(rows, OUT));
		double best = INFINITY;
		for (int pass = 0; pass < PASSES; pass++) {
			const double start = clock_now();
			for (int i = 0; i < n; i++)
				gpu_linear(g, y, x, w[i], NULL);
			best = fmin(best, clock_now() - start);
		}
		printf("  %lld rows %5.1f", (long long)rows, (double)bytes / best / 1e9);
	}
	printf("  GB/s\n");
	gpu_arena_free(a);
}

struct shape {
	int64_t frames, c_in, c_out, kernel, stride; /* stride 0: not transposed */
};

static void convolve(struct gpu *g, struct shape s)
{
	struct gpu_arena *a = gpu_arena_new(g, "convolve");
	const int64_t n_out = s.stride ? s.stride * s.c_out : s.c_out;
	const int64_t n_in = s.stride ? 2 * s.c_in : s.kernel * s.c_in;
	const int64_t rows = s.stride ? s.frames - 1 : s.frames - s.kernel + 1;
	struct gpu_tensor *x = filled(g, a, SHAPE(s.frames, s.c_in));
	struct gpu_tensor *y = filled(g, a, SHAPE(s.stride ? rows * s.stride : rows, s.c_out));
	struct gpu_tensor *w = matrix(g, a, GPU_F32, n_out, n_in);
	double best = INFINITY;

	for (int pass = 0; pass < PASSES; pass++) {
		const double start = clock_now();
		if (s.stride)
			gpu_conv_transpose1d(g, y, x, w, NULL,
				(struct gpu_conv){.kernel = 2 * s.stride, .stride = s.stride});
		else
			gpu_conv1d(g, y, x, w, NULL, (struct gpu_conv){.kernel = s.kernel});
		best = fmin(best, clock_now() - start);
	}
	printf("%4lld -> %4lld, %s %2lld, %4lld frames: %4.0f GFLOP/s\n", (long long)s.c_in,
		(long long)s.c_out, s.stride ? "stride" : "kernel",
		(long long)(s.stride ? s.stride : s.kernel), (long long)s.frames,
		2.0 * (double)(rows * n_out * n_in) / best / 1e9);
	gpu_arena_free(a);
}

/* Two layers of 1024 over 64 of the 50 frames a second. */
static void lstm(struct gpu *g)
{
	enum { D = 1024, FRAMES = 64 };
	struct gpu_arena *a = gpu_arena_new(g, "lstm");
	struct gpu_tensor *x = filled(g, a, SHAPE(1, FRAMES, D)),
			  *y = filled(g, a, SHAPE(1, FRAMES, D));
	struct gpu_lstm layer[2];
	double best = INFINITY;

	for (int i = 0; i < 2; i++)
		layer[i] = (struct gpu_lstm){.w_ih = matrix(g, a, GPU_F32, 4 * D, D),
			.w_hh = matrix(g, a, GPU_F32, 4 * D, D),
			.bias = filled(g, a, SHAPE(4 * D)),
			.h = filled(g, a, SHAPE(1, D)),
			.c = filled(g, a, SHAPE(1, D))};
	for (int pass = 0; pass < PASSES; pass++) {
		const double start = clock_now();
		for (int i = 0; i < 2; i++)
			gpu_lstm(g, y, x, &layer[i]);
		best = fmin(best, clock_now() - start);
	}
	printf("lstm, two layers of 1024: %.1f ms for a second of sound, %.1f GB/s of recurrent "
	       "weights\n",
		best / FRAMES * 50 * 1e3, 2.0 * 4 * D * D * 4 * FRAMES / best / 1e9);
	gpu_arena_free(a);
}

int main(int argc, char **argv)
{
	static const struct shape shapes[] = {{64, 128, 1024, 7, 0}, {33, 1024, 512, 0, 8},
		{256, 512, 256, 3, 0}, {256, 256, 512, 1, 0}, {102, 512, 256, 0, 5},
		{512, 256, 128, 3, 0}, {512, 128, 256, 1, 0}, {256, 256, 128, 0, 4},
		{1024, 128, 64, 3, 0}, {1024, 64, 128, 1, 0}, {512, 128, 64, 0, 4},
		{2048, 64, 32, 3, 0}, {2048, 32, 64, 1, 0}};
	uint64_t n_threads = 0;
	struct err e = {0};
	struct gpu *g;

	if (argc == 3 && !strcmp(argv[1], "--threads") && parse_u64(argv[2], &n_threads) &&
		n_threads <= 1024)
		argc = 1;
	if (argc != 1) {
		fprintf(stderr, "usage: bench_kernels [--threads N]\n");
		return 2;
	}
	if (gpu_open("cpu", (int)n_threads, &g, &e)) {
		fprintf(stderr, "bench_kernels: %s\n", e.text);
		return 1;
	}
	printf("%s; plain reading %.1f GB/s\n", gpu_describe(g),
		measure_bandwidth((int)n_threads, 640u << 20) / 1e9);
	stream(g, GPU_F32);
	stream(g, GPU_BF16);
	stream(g, GPU_I8);
	for (size_t i = 0; i < sizeof(shapes) / sizeof(*shapes); i++)
		convolve(g, shapes[i]);
	lstm(g);
	if (gpu_sync(g, &e)) {
		fprintf(stderr, "bench_kernels: %s\n", e.text);
		return 1;
	}
	gpu_close(g);
	return 0;
}
