#include "tests/bench/op_times.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "gpu/ops.h"

enum {
	LINEAR,
	FEED_FORWARD,
	CONV1D,
	CONV_TRANSPOSE1D,
	CONV2D,
	ATTENTION_FULL,
	ATTENTION_TILES,
	ATTENTION_CROSS,
	GROUP_NORM,
	NORM,
	GATED,
	UNARY,
	LEAKY_RELU,
	ADD,
	COPY,
	CONCAT,
	COMBINE,
	ROPE,
	HEAD_NORM,
	SNAKE,
	N_KINDS,
};

static const char *const names[] = {"linear", "feed_forward", "conv1d", "conv_transpose1d",
	"conv2d", "attention_full", "attention_tiles", "attention_cross", "group_norm", "norm",
	"gated", "unary", "leaky_relu", "add", "copy", "concat", "combine", "rope", "head_norm",
	"snake"};

struct product {
	enum gpu_dtype dtype;
	int64_t rows, n, k;
};

static struct {
	const struct gpu_ops *real;
	struct gpu_ops ops;
	double (*now)(void);
	double seconds[N_KINDS], flops[N_KINDS];
	uint64_t calls[N_KINDS];
	struct product largest;
	double best_rate; /* of one call with enough to do */
} times;

static void count(int kind, double start, double flops)
{
	const double seconds = times.now() - start;

	times.seconds[kind] += seconds;
	times.flops[kind] += flops;
	times.calls[kind]++;
	if (flops > 1e9)
		times.best_rate = fmax(times.best_rate, flops / seconds);
}

#define TIMED(kind, flops, call)                                                                   \
	do {                                                                                       \
		const double start = times.now();                                                  \
		times.real->call;                                                                  \
		count(kind, start, flops);                                                         \
	} while (0)

static double rows_flops(int64_t rows, const struct gpu_tensor *w)
{
	const struct product p = {w->dtype, rows, w->ne[0], w->ne[1]};
	const struct product *most = &times.largest;

	if ((double)p.rows * (double)p.n * (double)p.k >
		(double)most->rows * (double)most->n * (double)most->k)
		times.largest = p;
	return 2 * (double)p.rows * (double)p.n * (double)p.k;
}

/* A product of rows that w makes into y. */
static double product_flops(const struct gpu_tensor *y, const struct gpu_tensor *w)
{
	return rows_flops(gpu_count(y) / w->ne[0], w);
}

static bool norm_linear(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct gpu_norm *norm, const struct gpu_tensor *w, const struct gpu_tensor *bias,
	struct gpu_tensor *normed)
{
	const double start = times.now();
	const bool is_done = times.real->norm_linear(g, y, x, norm, w, bias, normed);

	if (is_done)
		count(LINEAR, start, product_flops(y, w));
	return is_done;
}

static bool feed_forward(struct gpu *g, struct gpu_tensor *x, const struct gpu_feed_forward *ff,
	struct gpu_tensor *normed, struct gpu_tensor *wide, struct gpu_tensor *gated)
{
	const double start = times.now();
	const bool is_done = times.real->feed_forward(g, x, ff, normed, wide, gated);

	if (is_done)
		count(FEED_FORWARD, start,
			rows_flops(x->ne[0], ff->in) + rows_flops(x->ne[0], ff->out));
	return is_done;
}

static void linear(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct gpu_tensor *w, const struct gpu_tensor *bias, int beta)
{
	TIMED(LINEAR, product_flops(y, w), linear(g, y, x, w, bias, beta));
}

static void conv1d(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct gpu_tensor *w, const struct gpu_tensor *bias, struct gpu_conv conv)
{
	TIMED(CONV1D, product_flops(y, w), conv1d(g, y, x, w, bias, conv));
}

static bool leaky_conv1d(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct gpu_leaky_conv *conv)
{
	const double start = times.now();
	const bool is_done = times.real->leaky_conv1d(g, y, x, conv);

	if (is_done)
		count(CONV1D, start, product_flops(y, conv->w));
	return is_done;
}

static void conv_transpose1d(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct gpu_tensor *w, const struct gpu_tensor *bias, struct gpu_conv conv)
{
	TIMED(CONV_TRANSPOSE1D, product_flops(y, w), conv_transpose1d(g, y, x, w, bias, conv));
}

static void conv2d(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct gpu_tensor *w, const struct gpu_tensor *bias, struct gpu_conv2d conv)
{
	TIMED(CONV2D, product_flops(y, w), conv2d(g, y, x, w, bias, conv));
}

static bool norm_conv2d(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct gpu_group_norm *norm, const struct gpu_tensor *w,
	const struct gpu_tensor *bias, struct gpu_conv2d conv)
{
	const double start = times.now();
	const bool is_done = times.real->norm_conv2d(g, y, x, norm, w, bias, conv);

	if (is_done)
		count(CONV2D, start, product_flops(y, w));
	return is_done;
}

static double attention_flops(const struct gpu_tensor *y, int64_t n_keys)
{
	return 4 * (double)gpu_count(y) * (double)n_keys;
}

static void attention_full(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *qkv,
	const struct gpu_tensor *bias, int64_t n_heads, float scale)
{
	TIMED(ATTENTION_FULL, attention_flops(y, y->ne[y->n_dims - 2]),
		attention_full(g, y, qkv, bias, n_heads, scale));
}

static void attention_tiles(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *qkv,
	int64_t n_heads, float scale)
{
	TIMED(ATTENTION_TILES, attention_flops(y, y->ne[y->n_dims - 2]),
		attention_tiles(g, y, qkv, n_heads, scale));
}

static void attention_cross(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *q,
	const struct gpu_kv *kv, float scale)
{
	TIMED(ATTENTION_CROSS, attention_flops(y, kv->len[0]), attention_cross(g, y, q, kv, scale));
}

static void group_norm(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct gpu_group_norm *how)
{
	TIMED(GROUP_NORM, 0, group_norm(g, y, x, how));
}

static void norm(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct gpu_tensor *w, const struct gpu_tensor *b, float eps, bool rms)
{
	TIMED(NORM, 0, norm(g, y, x, w, b, eps, rms));
}

static void gated(
	struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x, enum gpu_unary act)
{
	TIMED(GATED, 0, gated(g, y, x, act));
}

static void unary(
	struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x, enum gpu_unary op)
{
	TIMED(UNARY, 0, unary(g, y, x, op));
}

static void leaky_relu(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x, float slope)
{
	TIMED(LEAKY_RELU, 0, leaky_relu(g, y, x, slope));
}

static void add(
	struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *a, const struct gpu_tensor *b)
{
	TIMED(ADD, 0, add(g, y, a, b));
}

static void copy(struct gpu *g, struct gpu_tensor *dst, const struct gpu_tensor *src, bool flip)
{
	TIMED(COPY, 0, copy(g, dst, src, flip));
}

static void concat(
	struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *a, const struct gpu_tensor *b)
{
	TIMED(CONCAT, 0, concat(g, y, a, b));
}

static void combine(struct gpu *g, struct gpu_tensor *y, const struct gpu_term *terms, int n_terms)
{
	TIMED(COMBINE, 0, combine(g, y, terms, n_terms));
}

static void rope(struct gpu *g, struct gpu_tensor *x, const struct gpu_tensor *table,
	int64_t n_heads, int64_t head_dim)
{
	TIMED(ROPE, 0, rope(g, x, table, n_heads, head_dim));
}

static void head_norm(struct gpu *g, struct gpu_tensor *x, const struct gpu_tensor *w,
	const struct gpu_tensor *b, int64_t first, int64_t n_heads, float eps)
{
	TIMED(HEAD_NORM, 0, head_norm(g, x, w, b, first, n_heads, eps));
}

static void snake(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct gpu_tensor *alpha, const struct gpu_tensor *inv_beta)
{
	TIMED(SNAKE, 0, snake(g, y, x, alpha, inv_beta));
}

void op_times_start(struct gpu *g, double (*now)(void))
{
	times.now = now;
	times.real = g->ops;
	times.ops = *g->ops;
	times.ops.linear = linear;
	times.ops.norm_linear = times.real->norm_linear ? norm_linear : NULL;
	times.ops.feed_forward = times.real->feed_forward ? feed_forward : NULL;
	times.ops.conv1d = conv1d;
	times.ops.leaky_conv1d = times.real->leaky_conv1d ? leaky_conv1d : NULL;
	times.ops.conv_transpose1d = conv_transpose1d;
	times.ops.conv2d = conv2d;
	times.ops.norm_conv2d = times.real->norm_conv2d ? norm_conv2d : NULL;
	times.ops.attention_full = attention_full;
	times.ops.attention_tiles = attention_tiles;
	times.ops.attention_cross = attention_cross;
	times.ops.group_norm = group_norm;
	times.ops.norm = norm;
	times.ops.gated = gated;
	times.ops.unary = unary;
	times.ops.leaky_relu = leaky_relu;
	times.ops.add = add;
	times.ops.copy = copy;
	times.ops.concat = concat;
	times.ops.combine = combine;
	times.ops.rope = rope;
	times.ops.head_norm = head_norm;
	times.ops.snake = snake;
	g->ops = &times.ops;
	op_times_clear();
}

void op_times_clear(void)
{
	memset(times.seconds, 0, sizeof(times.seconds));
	memset(times.flops, 0, sizeof(times.flops));
	memset(times.calls, 0, sizeof(times.calls));
	times.largest = (struct product){0};
	times.best_rate = 0;
}

static double total(const double *each)
{
	double sum = 0;

	for (int i = 0; i < N_KINDS; i++)
		sum += each[i];
	return sum;
}

void op_times_print(FILE *f)
{
	const double all = total(times.seconds);

	for (int i = 0; i < N_KINDS; i++)
		if (times.calls[i])
			fprintf(f, "%-17s %5.1f %%  %6llu calls  %9.1f ms  %7.0f GFLOP/s\n",
				names[i], 100 * times.seconds[i] / all,
				(unsigned long long)times.calls[i], 1e3 * times.seconds[i],
				times.flops[i] / times.seconds[i] / 1e9);
	fprintf(f, "all: %.0f GFLOP/s; the best call of more than one GFLOP: %.0f GFLOP/s\n",
		total(times.flops) / all / 1e9, times.best_rate / 1e9);
}

/* Rows of w like those of x: a product of zeros takes less power, and so less time. */
static void fill_matrix(struct gpu *g, struct gpu_arena *a, struct gpu_tensor *w)
{
	const int64_t n = w->ne[0] * w->ne[1];
	struct gpu_tensor *values = gpu_new(g, a, GPU_F32, "values", SHAPE(w->ne[0], w->ne[1]));
	float *host = malloc((size_t)n * sizeof(*host));

	gpu_normal(g, values, 1, 0);
	if (host && !gpu_failed(g)) {
		gpu_read(g, values, host, (size_t)n * sizeof(*host));
		gpu_put_rows(g, w, 0, w->ne[0], host);
	}
	free(host);
}

double op_times_flops(void)
{
	return total(times.flops);
}

double op_times_roof(struct gpu *g)
{
	enum { PASSES = 5 };
	const struct product p = times.largest;
	struct gpu_arena *a = gpu_arena_new(g, "roof");
	struct gpu_tensor *w = gpu_new_matrix(g, a, p.dtype, "w", p.n, p.k);
	struct gpu_tensor *x = gpu_new(g, a, GPU_F32, "x", SHAPE(p.rows, p.k));
	struct gpu_tensor *y = gpu_new(g, a, GPU_F32, "y", SHAPE(p.rows, p.n));
	double best = INFINITY;

	fill_matrix(g, a, w);
	gpu_normal(g, x, 1, 1);
	for (int i = 0; i < PASSES; i++) {
		const double start = times.now();
		times.real->linear(g, y, x, w, NULL, 0);
		best = fmin(best, times.now() - start);
	}
	gpu_arena_free(a);
	return 2 * (double)p.rows * (double)p.n * (double)p.k / best;
}

double op_times_share_of_roof(struct gpu *g)
{
	return op_times_flops() / total(times.seconds) / op_times_roof(g);
}
