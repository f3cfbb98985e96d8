/* The CPU's products of many rows, at the shapes of Stable Audio's transformer and of
 * AudioLDM 2's UNet, VAE and vocoder.
 *
 *	bench_rows [--threads N] [--passes N] [--only PART-OF-A-LINE] [--cold] [f32|split|tiles]
 *
 * GFLOP/s of the processor's time of all threads (of one thread, then), the best of some
 * passes, and by their mean.  --cold: linear and feed-forward layers and images take another
 * matrix each pass, from memory, as a step of a network does. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "gpu/gpu.h"
#include "library/base/err.h"
#include "library/base/str.h"

struct bench {
	struct gpu *g;
	struct gpu_arena *a;
	enum gpu_dtype dtype;
	uint64_t passes;
	const char *only; /* or NULL */
	bool is_cold;
};

enum { MATRICES = 24 };

static double cpu_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static struct gpu_tensor *filled(const struct bench *b, struct gpu_shape shape)
{
	struct gpu_tensor *t = gpu_new(b->g, b->a, GPU_F32, "t", shape);

	gpu_normal(b->g, t, 1, 2);
	return t;
}

static struct gpu_tensor *matrix(const struct bench *b, int64_t n_out, int64_t n_in)
{
	struct gpu_tensor *w = gpu_new_matrix(b->g, b->a, b->dtype, "w", n_out, n_in);
	float *rows = calloc((size_t)(n_out * n_in), sizeof(*rows));

	for (int64_t i = 0; rows && i < n_out * n_in; i++)
		rows[i] = (float)(i % 7 - 3) * 0.01f;
	if (rows)
		gpu_put_rows(b->g, w, 0, n_out, rows);
	free(rows);
	return w;
}

/* One, or MATRICES of them where they come from memory. */
static void matrices(
	const struct bench *b, struct gpu_tensor *w[MATRICES], int64_t n_out, int64_t n_in)
{
	for (int i = 0; i < MATRICES; i++)
		w[i] = i && !b->is_cold ? w[0] : matrix(b, n_out, n_in);
}

static bool is_wanted(const struct bench *b, const char *what)
{
	const bool has_way =
		b->dtype != GPU_WINOGRAD || (!strncmp(what, "conv2d", 6) && strstr(what, "/1"));

	return has_way && (!b->only || strstr(what, b->only));
}

struct passes {
	double best, sum;
};

static void report(const char *what, double flops, const struct bench *b, struct passes p)
{
	const double mean = p.sum / (double)b->passes;

	printf("%-44s %8.2f ms  %6.0f GFLOP/s, mean %6.0f\n", what, 1e3 * p.best,
		flops / p.best / 1e9, flops / mean / 1e9);
}

#define EACH_PASS(p, call)                                                                         \
	for (uint64_t pass = 0; pass < b->passes; pass++) {                                        \
		const double start = cpu_now();                                                    \
		call;                                                                              \
		const double took = cpu_now() - start;                                             \
		p.best = fmin(p.best, took);                                                       \
		p.sum += took;                                                                     \
	}

static void linear(const struct bench *b, int64_t rows, int64_t k, int64_t n)
{
	struct passes p = {INFINITY, 0};
	char what[80];

	snprintf(what, sizeof(what), "linear %lld x %lld -> %lld", (long long)rows, (long long)k,
		(long long)n);
	if (!is_wanted(b, what))
		return;
	struct gpu_tensor *x = filled(b, SHAPE(rows, k)), *y = filled(b, SHAPE(rows, n));
	struct gpu_tensor *w[MATRICES];
	matrices(b, w, n, k);
	EACH_PASS(p, gpu_linear(b->g, y, x, w[pass % MATRICES], NULL));
	report(what, 2.0 * (double)rows * (double)k * (double)n, b, p);
}

/* x += out(gate(in(norm(x)))) */
static void feed_forward(
	const struct bench *b, int64_t rows, int64_t c, int64_t f, enum gpu_unary act)
{
	struct passes p = {INFINITY, 0};
	char what[80];

	snprintf(what, sizeof(what), "feed-forward %lld x %lld, %lld hidden", (long long)rows,
		(long long)c, (long long)f);
	if (!is_wanted(b, what))
		return;
	struct gpu_tensor *x = filled(b, SHAPE(rows, c)), *w = filled(b, SHAPE(c));
	struct gpu_tensor *in[MATRICES], *out[MATRICES];
	matrices(b, in, 2 * f, c);
	matrices(b, out, c, f);
	EACH_PASS(p, gpu_feed_forward(b->g, b->a, x,
			     &(struct gpu_feed_forward){.norm = {w, w, 1e-5f},
				     .in = in[pass % MATRICES],
				     .out = out[pass % MATRICES],
				     .act = act,
				     .is_gated = true}));
	report(what, 6.0 * (double)rows * (double)c * (double)f, b, p);
}

static void image(const struct bench *b, int64_t height, int64_t width, int64_t c_in, int64_t c_out,
	int64_t stride)
{
	const int64_t batch = height > 512 ? 1 : 2;
	struct passes p = {INFINITY, 0};
	char what[80];

	snprintf(what, sizeof(what), "conv2d %lld x %lld x %lld, %lld -> %lld, /%lld",
		(long long)batch, (long long)height, (long long)width, (long long)c_in,
		(long long)c_out, (long long)stride);
	if (!is_wanted(b, what))
		return;
	struct gpu_tensor *x = filled(b, SHAPE(batch, height, width, c_in)),
			  *y = filled(b, SHAPE(batch, height / stride, width / stride, c_out));
	struct gpu_tensor *w[MATRICES];
	matrices(b, w, c_out, 9 * c_in);
	EACH_PASS(p, gpu_conv2d(b->g, y, x, w[pass % MATRICES], NULL,
			     (struct gpu_conv2d){.kernel = 3, .stride = stride, .pad = 1}));
	report(what,
		18.0 * (double)(batch * height / stride * (width / stride) * c_in) * (double)c_out,
		b, p);
}

static void conv1d(
	const struct bench *b, int64_t frames, int64_t c, int64_t kernel, int64_t dilation)
{
	struct passes p = {INFINITY, 0};
	char what[80];

	snprintf(what, sizeof(what), "conv1d %lld x %lld, kernel %lld, dilation %lld",
		(long long)frames, (long long)c, (long long)kernel, (long long)dilation);
	if (!is_wanted(b, what))
		return;
	struct gpu_tensor *x = filled(b, SHAPE(frames + (kernel - 1) * dilation, c)),
			  *y = filled(b, SHAPE(frames, c));
	struct gpu_tensor *w = matrix(b, c, kernel * c);
	EACH_PASS(p, gpu_conv1d(b->g, y, x, w, NULL,
			     (struct gpu_conv){.kernel = kernel, .dilation = dilation}));
	report(what, 2.0 * (double)(frames * c * kernel) * (double)c, b, p);
}

static void attention(const struct bench *b, int64_t n, int64_t heads, int64_t dim)
{
	const float scale = 1 / sqrtf((float)dim);
	struct passes p = {INFINITY, 0};
	char what[80];

	snprintf(what, sizeof(what), "attention %lld, %lld heads of %lld", (long long)n,
		(long long)heads, (long long)dim);
	if (!is_wanted(b, what))
		return;
	struct gpu_tensor *x = filled(b, SHAPE(n, 3 * heads * dim)),
			  *y = filled(b, SHAPE(n, heads * dim));
	if (b->dtype == GPU_TILES)
		EACH_PASS(p, gpu_attention_tiles(b->g, y, x, heads, scale))
	else
		EACH_PASS(p, gpu_attention_full(b->g, y, x, NULL, heads, scale))
	report(what, 4.0 * (double)(n * n) * (double)(heads * dim), b, p);
}

/* Queries of `sequences`, each to its keys in a cache of kv_heads. */
static void cross(const struct bench *b, int64_t n, int64_t heads, int64_t kv_heads, int64_t dim,
	int64_t keys, int64_t sequences)
{
	struct passes p = {INFINITY, 0};
	char what[80];

	snprintf(what, sizeof(what), "cross %lld x %lld, %lld heads of %lld", (long long)n,
		(long long)keys, (long long)heads, (long long)dim);
	if (!is_wanted(b, what))
		return;
	struct gpu_tensor *q = filled(b, SHAPE(n, heads * dim)),
			  *y = filled(b, SHAPE(n, heads * dim)),
			  *x = filled(b, SHAPE(keys, 2 * kv_heads * dim));
	struct gpu_kv *kv = gpu_kv_new(b->g, b->a, b->dtype == GPU_WINOGRAD ? GPU_F32 : b->dtype,
		sequences, kv_heads, dim, keys);
	for (int64_t i = 0; i < sequences; i++)
		gpu_kv_fill(b->g, kv, i, x);
	EACH_PASS(p, gpu_attention_cross(b->g, y, q, kv, 1 / sqrtf((float)dim)));
	report(what, 4.0 * (double)(n * keys) * (double)(heads * dim), b, p);
}

static void run(struct bench *b)
{
	static const int64_t linears[][3] = {{2048, 1536, 4608}, {2050, 1536, 12288},
		{2050, 6144, 1536}, {2048, 256, 768}, {2048, 256, 256}, {2048, 256, 2048},
		{2048, 1024, 256}, {512, 384, 3072}, {512, 1536, 384}, {128, 640, 5120},
		{128, 640, 1920}, {128, 2560, 640}};
	static const int64_t layers[][4] = {{1025, 1536, 6144, GPU_UNARY_SILU},
		{2048, 256, 1024, GPU_UNARY_GELU}, {512, 384, 1536, GPU_UNARY_GELU},
		{128, 640, 2560, GPU_UNARY_GELU}};
	static const int64_t images[][5] = {{256, 16, 128, 128, 1}, {256, 16, 256, 128, 1},
		{128, 8, 256, 256, 1}, {128, 8, 640, 256, 1}, {128, 8, 256, 256, 2},
		{64, 4, 384, 384, 1}, {32, 2, 1280, 640, 1}, {1024, 64, 128, 128, 1},
		{512, 32, 256, 256, 1}};
	static const int64_t conv1ds[][4] = {{5120, 512, 3, 1}, {5120, 512, 11, 3},
		{20480, 256, 7, 1}, {40960, 128, 11, 5}, {81920, 64, 7, 3}, {163840, 32, 3, 1},
		{163840, 32, 11, 5}};
	static const int64_t attentions[][3] = {
		{1025, 24, 64}, {1024, 8, 32}, {256, 8, 48}, {64, 8, 80}, {4096, 1, 512}};
	static const int64_t crosses[][6] = {{2048, 8, 8, 32, 8, 2}, {2048, 8, 8, 32, 24, 2},
		{512, 8, 8, 48, 8, 2}, {512, 8, 8, 48, 24, 2}, {128, 8, 8, 80, 8, 2},
		{128, 8, 8, 80, 24, 2}, {1025, 24, 12, 64, 130, 1}, {2, 16, 16, 64, 24, 1},
		{8, 16, 16, 64, 24, 1}};
#define EACH(list) for (size_t i = 0; i < sizeof(list) / sizeof(*list); i++, gpu_arena_free(b->a))
	EACH(linears)
	{
		b->a = gpu_arena_new(b->g, "linear");
		linear(b, linears[i][0], linears[i][1], linears[i][2]);
	}
	EACH(layers)
	{
		b->a = gpu_arena_new(b->g, "layer");
		feed_forward(
			b, layers[i][0], layers[i][1], layers[i][2], (enum gpu_unary)layers[i][3]);
	}
	EACH(images)
	{
		b->a = gpu_arena_new(b->g, "image");
		image(b, images[i][0], images[i][1], images[i][2], images[i][3], images[i][4]);
	}
	EACH(conv1ds)
	{
		b->a = gpu_arena_new(b->g, "conv1d");
		conv1d(b, conv1ds[i][0], conv1ds[i][1], conv1ds[i][2], conv1ds[i][3]);
	}
	EACH(attentions)
	{
		b->a = gpu_arena_new(b->g, "attention");
		attention(b, attentions[i][0], attentions[i][1], attentions[i][2]);
	}
	EACH(crosses)
	{
		b->a = gpu_arena_new(b->g, "cross");
		cross(b, crosses[i][0], crosses[i][1], crosses[i][2], crosses[i][3], crosses[i][4],
			crosses[i][5]);
	}
#undef EACH
}

int main(int argc, char **argv)
{
	uint64_t n_threads = 1;
	const char *only = NULL;
	struct bench b = {.passes = 5};
	struct err e = {0};

	for (int i = 1; i < argc; i++)
		if (!strcmp(argv[i], "--threads") && i + 1 < argc)
			parse_u64(argv[++i], &n_threads);
		else if (!strcmp(argv[i], "--passes") && i + 1 < argc)
			parse_u64(argv[++i], &b.passes);
		else if (!strcmp(argv[i], "--only") && i + 1 < argc)
			b.only = argv[++i];
		else if (!strcmp(argv[i], "--cold"))
			b.is_cold = true;
		else
			only = argv[i];
	if (gpu_open("cpu", (int)n_threads, &b.g, &e)) {
		fprintf(stderr, "bench_rows: %s\n", e.text);
		return 1;
	}
	static const struct {
		const char *name;
		enum gpu_dtype dtype;
	} kinds[] = {{"tiles", GPU_TILES}, {"split", GPU_SPLIT}, {"winograd", GPU_WINOGRAD},
		{"f32", GPU_F32}};
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		if (only && strcmp(only, kinds[i].name))
			continue;
		printf("%s\n", kinds[i].name);
		b.dtype = kinds[i].dtype;
		run(&b);
	}
	if (gpu_sync(b.g, &e)) {
		fprintf(stderr, "bench_rows: %s\n", e.text);
		return 1;
	}
	gpu_close(b.g);
	return 0;
}
