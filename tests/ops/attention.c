/* The three attentions and their caches against the reference, position by
 * position, at both cache dtypes and every instruction set. */
#include "tests/ops/naive.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const enum gpu_dtype dtypes[] = {GPU_F32, GPU_BF16, GPU_TILES, GPU_SPLIT};
enum { N_CAUSAL = 2 }; /* of these, for caches that grow */
static const char *const dtype_names[] = {
	[GPU_F32] = "f32", [GPU_BF16] = "bf16", [GPU_TILES] = "tiles", [GPU_SPLIT] = "split"};

/* Keys and values as the cache holds them: columns width .. 3 width of qkv. */
static float *rounded(const float *qkv, int64_t n_rows, int64_t width, enum gpu_dtype dtype)
{
	float *r = keep((size_t)(n_rows * 3 * width), sizeof(*r));

	for (int64_t i = 0; i < n_rows * 3 * width; i++)
		r[i] = dtype == GPU_BF16 && i % (3 * width) >= width ? cpu_f32(cpu_bf16(qkv[i]))
								     : qkv[i];
	return r;
}

/* Sequences of `total` positions, fed in pieces; all qkv as [R, total, 3H]. */
struct causal_case {
	int64_t n_rows, n_heads, head_dim;
	int64_t pieces[5]; /* 0 ends */
};

static struct want causal_want(
	const struct causal_case *k, const float *qkv, int64_t total, double scale)
{
	const int64_t width = k->n_heads * k->head_dim;
	struct want want = want_new(k->n_rows * total * width);

	for (int64_t r = 0; r < k->n_rows; r++)
		for (int64_t h = 0; h < k->n_heads; h++)
			for (int64_t t = 0; t < total; t++) {
				const float *seq = qkv + r * total * 3 * width + h * k->head_dim;
				int64_t at = (r * total + t) * width + h * k->head_dim;
				naive_attend((struct want){want.y + at, want.tol + at},
					seq + t * 3 * width, seq + width, seq + 2 * width,
					3 * width, NULL, t + 1, k->head_dim, scale);
			}
	return want;
}

/* Frames first .. first + n - 1 of each sequence, as the rows of one tensor. */
static float *frames(
	const float *x, int64_t n_rows, int64_t total, int64_t width, int64_t first, int64_t n)
{
	float *out = keep((size_t)(n_rows * n * width), sizeof(*out));

	for (int64_t r = 0; r < n_rows; r++)
		memcpy(out + r * n * width, x + (r * total + first) * width,
			(size_t)(n * width) * sizeof(*out));
	return out;
}

static void check_causal(const struct causal_case *k, enum gpu_dtype dtype)
{
	const int64_t width = k->n_heads * k->head_dim;
	int64_t total = 0;

	for (int i = 0; i < 5; i++)
		total += k->pieces[i];
	const float scale = 1 / sqrtf((float)k->head_dim);
	float *qkv = random_floats(k->n_rows * total * 3 * width);
	struct want want =
		causal_want(k, rounded(qkv, k->n_rows * total, width, dtype), total, scale);

	FOR_EACH_ISA(d)
	{
		/* The cache is filled to the last position. */
		struct gpu_kv *kv =
			gpu_kv_new(d.g, d.a, dtype, k->n_rows, k->n_heads, k->head_dim, total);
		int64_t at = 0;
		for (int i = 0; i < 5 && k->pieces[i]; at += k->pieces[i++]) {
			const int64_t n = k->pieces[i], rows = k->n_rows * n;
			struct gpu_tensor *y = empty(&d, "y", SHAPE(rows, width));
			float *part = frames(qkv, k->n_rows, total, 3 * width, at, n);
			gpu_attention_causal(
				d.g, y, put(&d, "qkv", SHAPE(rows, 3 * width), part), kv, scale);
			float *got = get(&d, y);
			for (int64_t r = 0; r < k->n_rows; r++) {
				int64_t from = (r * total + at) * width;
				assert_int_equal(kv->len[r], at + n);
				assert_close(got + r * n * width,
					(struct want){want.y + from, want.tol + from}, n * width,
					"isa %d %s row %d, %d heads of %d, positions %d + %d",
					d.isa, dtype_names[dtype], (int)r, (int)k->n_heads,
					(int)k->head_dim, (int)at, (int)n);
			}
		}
	}
}

static void causal(void **state)
{
	static const struct causal_case cases[] = {
		{1, 1, 1, {1}},
		{1, 1, 2, {1, 1, 1, 1}},
		{2, 3, 7, {3, 1, 1, 30, 1}},
		{2, 2, 32, {31, 1, 1, 2}},
		{1, 4, 33, {64, 1, 9}},
		{3, 1, 63, {7, 40, 1}},
		{2, 2, 64, {1, 1, 129, 1}},
		{1, 1, 100, {65, 2}},
		{2, 16, 64, {150, 1}},
		{1, 2, 80, {2, 1, 66, 1}},
		{1, 1, 128, {1, 130, 1}},
		{1, 1, 200, {65, 1, 1}},
		{2, 1, 300, {1, 2, 1}},
	};

	for (size_t t = 0; t < N_CAUSAL; t++)
		for (size_t i = 0; i < N_OF(cases); i++) {
			seed(i);
			check_causal(&cases[i], dtypes[t]);
			test_done(NULL);
		}
}

/* Keys and values of a sequence, then of its new positions; as [len + n][3 width] like qkv. */
static float *joined(const float *filled, int64_t len, const float *qkv, int64_t n, int64_t width)
{
	float *all = keep((size_t)((len + n) * 3 * width), sizeof(*all));

	for (int64_t t = 0; t < len; t++)
		memcpy(all + t * 3 * width + width, filled + t * 2 * width,
			(size_t)(2 * width) * sizeof(*all));
	memcpy(all + len * 3 * width, qkv, (size_t)(n * 3 * width) * sizeof(*all));
	return all;
}

/* Sequences of different lengths go on together, each with the bits that it has alone in
 * a cache of just its length. */
static void check_uneven(int64_t head_dim, int64_t n_time, enum gpu_dtype dtype)
{
	enum { N_ROWS = 5, N_HEADS = 2, MAX_LEN = 400 };
	static const int64_t lens[N_ROWS] = {129, 0, 127, 1, 128};
	const int64_t width = N_HEADS * head_dim, n = n_time * width;
	float *qkv = random_floats(N_ROWS * 3 * n), *filled[N_ROWS];
	struct want want = want_new(N_ROWS * n);

	for (int r = 0; r < N_ROWS; r++) {
		filled[r] = random_floats(lens[r] * 2 * width);
		const float *all =
			rounded(joined(filled[r], lens[r], qkv + r * 3 * n, n_time, width),
				lens[r] + n_time, width, dtype);
		for (int64_t i = 0; i < n_time * N_HEADS; i++) {
			const int64_t t = i / N_HEADS, column = i % N_HEADS * head_dim;
			const int64_t to = r * n + t * width + column;
			naive_attend((struct want){want.y + to, want.tol + to},
				qkv + r * 3 * n + t * 3 * width + column, all + width + column,
				all + 2 * width + column, 3 * width, NULL, lens[r] + t + 1,
				head_dim, 0.3f);
		}
	}
	FOR_EACH_ISA(d)
	{
		struct gpu_kv *kv = gpu_kv_new(d.g, d.a, dtype, N_ROWS, N_HEADS, head_dim, MAX_LEN);
		struct gpu_tensor *y = empty(&d, "y", SHAPE(N_ROWS * n_time, width));
		for (int r = 0; r < N_ROWS; r++)
			if (lens[r])
				gpu_kv_fill(d.g, kv, r,
					put(&d, "kv", SHAPE(lens[r], 2 * width), filled[r]));
		gpu_attention_causal(
			d.g, y, put(&d, "qkv", SHAPE(N_ROWS * n_time, 3 * width), qkv), kv, 0.3f);
		float *got = get(&d, y);
		assert_close(got, want, N_ROWS * n, "isa %d %s: uneven, %d of %d", d.isa,
			dtype_names[dtype], (int)n_time, (int)head_dim);
		for (int r = 0; r < N_ROWS; r++) {
			kv = gpu_kv_new(d.g, d.a, dtype, 1, N_HEADS, head_dim, lens[r] + n_time);
			y = empty(&d, "y", SHAPE(n_time, width));
			if (lens[r])
				gpu_kv_fill(d.g, kv, 0,
					put(&d, "kv", SHAPE(lens[r], 2 * width), filled[r]));
			gpu_attention_causal(d.g, y,
				put(&d, "qkv", SHAPE(n_time, 3 * width), qkv + r * 3 * n), kv,
				0.3f);
			assert_same_bits(get(&d, y), got + r * n, n, "isa %d %s: row %d alone",
				d.isa, dtype_names[dtype], r);
		}
	}
}

static void lengths_differ(void **state)
{
	for (size_t t = 0; t < N_CAUSAL; t++)
		for (int64_t n_time = 1; n_time <= 3; n_time += 2) {
			seed((uint64_t)n_time);
			check_uneven(64, n_time, dtypes[t]);
			check_uneven(33, n_time, dtypes[t]);
			test_done(NULL);
		}
}

/* One new position a step, across the end of a split; replayed as run anew, to the bit. */
static void steps_go_on(void **state)
{
	enum { FIRST = 125, STEPS = 6, WIDTH = 2 * 16 };
	float *filled = random_floats(FIRST * 2 * WIDTH), *qkv = random_floats(2 * 3 * WIDTH);

	FOR_EACH_ISA(d)
	{
		float *got[2][STEPS];
		for (int replay = 0; replay < 2; replay++) {
			struct gpu_kv *kv = gpu_kv_new(d.g, d.a, GPU_BF16, 2, 2, 16, 300);
			struct gpu_tensor *y = empty(&d, "y", SHAPE(2, WIDTH));
			struct gpu_tensor *x = put(&d, "qkv", SHAPE(2, 3 * WIDTH), qkv);
			struct gpu_step *step = gpu_step_new();
			gpu_kv_fill(d.g, kv, 1, put(&d, "kv", SHAPE(FIRST, 2 * WIDTH), filled));
			gpu_set_replay(d.g, replay);
			for (int i = 0; i < STEPS; i++) {
				if (gpu_step_begin(d.g, step, d.a)) {
					gpu_attention_causal(d.g, y, x, kv, 1);
					gpu_step_end(d.g, step);
				}
				got[replay][i] = get(&d, y);
			}
			assert_int_equal(kv->len[1], FIRST + STEPS);
			gpu_step_free(d.g, step);
		}
		for (int i = 0; i < STEPS; i++)
			assert_same_bits(
				got[1][i], got[0][i], 2 * WIDTH, "isa %d: step %d", d.isa, i);
	}
}

/* After gpu_kv_clear() a cache is as new. */
static void cleared(void **state)
{
	enum { T = 5, WIDTH = 2 * 7 };
	float *a = random_floats(T * 3 * WIDTH), *b = random_floats(T * 3 * WIDTH);

	FOR_EACH_ISA(d)
	{
		struct gpu_kv *kv = gpu_kv_new(d.g, d.a, GPU_F32, 1, 2, 7, T),
			      *fresh = gpu_kv_new(d.g, d.a, GPU_F32, 1, 2, 7, T);
		struct gpu_tensor *y[2] = {
			empty(&d, "y0", SHAPE(T, WIDTH)), empty(&d, "y1", SHAPE(T, WIDTH))};
		gpu_attention_causal(d.g, y[0], put(&d, "a", SHAPE(T, 3 * WIDTH), a), kv, 1);
		gpu_kv_clear(d.g, kv);
		assert_int_equal(kv->len[0], 0);
		gpu_attention_causal(d.g, y[0], put(&d, "b", SHAPE(T, 3 * WIDTH), b), kv, 1);
		gpu_attention_causal(d.g, y[1], put(&d, "b", SHAPE(T, 3 * WIDTH), b), fresh, 1);
		assert_same_bits(get(&d, y[0]), get(&d, y[1]), T * WIDTH, "isa %d", d.isa);
	}
}

/* Great scores: the softmax must not overflow, and finds the one key that counts. */
static void scores_are_large(void **state)
{
	enum { T = 40, DIM = 32 };
	float *qkv = random_floats(T * 3 * DIM);

	for (int i = 0; i < T * 3 * DIM; i++)
		if (i % (3 * DIM) < 2 * DIM)
			qkv[i] *= 40;
	FOR_EACH_ISA(d)
	{
		struct gpu_kv *kv = gpu_kv_new(d.g, d.a, GPU_F32, 1, 1, DIM, T);
		struct gpu_tensor *y = empty(&d, "y", SHAPE(T, DIM));
		gpu_attention_causal(d.g, y, put(&d, "qkv", SHAPE(T, 3 * DIM), qkv), kv, 1);
		const struct causal_case k = {1, 1, DIM, {T}};
		assert_close(get(&d, y), causal_want(&k, qkv, T, 1), T * DIM, "isa %d", d.isa);
	}
}

/* ---- cross -------------------------------------------------------------- */

struct cross_case {
	int64_t n_rows, per_row, n_heads, head_dim, group; /* heads of q for each of the cache */
	int64_t len[3];                                    /* of the sequences */
};

/* A cache of GPU_TILES: on CUDA q is rounded as keys and values are, so is a probability
 * (2^-8 of it, |v| < 1 and they add up to 1); the processor has f32 or GPU_SPLIT, the same bits
 * with any instruction set. */
static void check_cross(const struct cross_case *k, enum gpu_dtype dtype)
{
	const bool rounds = dtype == GPU_TILES && on_cuda();
	const int64_t width = k->n_heads * k->head_dim, n_q = k->n_rows * k->per_row;
	const int64_t n_heads = k->n_heads * k->group, q_width = width * k->group;
	const float scale = 0.3f;
	float *q = random_floats(n_q * q_width), *kv_x[3];
	float *seen = keep((size_t)(n_q * q_width), sizeof(*seen)), *first = NULL;
	struct want want = want_new(n_q * q_width);
	int64_t longest = 0;

	for (int64_t i = 0; i < n_q * q_width; i++)
		seen[i] = rounds ? cpu_f32(cpu_bf16(q[i])) : q[i];
	for (int64_t r = 0; r < k->n_rows; r++) {
		longest = k->len[r] > longest ? k->len[r] : longest;
		kv_x[r] = random_floats(k->len[r] * 2 * width);
		float *held = keep((size_t)(k->len[r] * 2 * width), sizeof(*held));
		for (int64_t i = 0; i < k->len[r] * 2 * width; i++)
			held[i] = dtype == GPU_BF16 || rounds ? cpu_f32(cpu_bf16(kv_x[r][i]))
							      : kv_x[r][i];
		for (int64_t i = 0; i < k->per_row * n_heads; i++) {
			const int64_t head = i % n_heads, column = head / k->group * k->head_dim;
			const int64_t at =
				(r * k->per_row + i / n_heads) * q_width + head * k->head_dim;
			naive_attend((struct want){want.y + at, want.tol + at}, seen + at,
				held + column, held + width + column, 2 * width, NULL, k->len[r],
				k->head_dim, scale);
		}
	}
	for (int64_t i = 0; i < n_q * q_width; i++)
		want.tol[i] += rounds ? 0x1p-8 : 0;
	FOR_EACH_ISA(d)
	{
		let_split(&d);
		struct gpu_kv *kv =
			gpu_kv_new(d.g, d.a, dtype, k->n_rows, k->n_heads, k->head_dim, longest);
		struct gpu_tensor *y = empty(&d, "y", SHAPE(n_q, q_width));
		for (int64_t r = k->n_rows - 1; r >= 0; r--) {
			gpu_kv_fill(
				d.g, kv, r, put(&d, "kv", SHAPE(k->len[r], 2 * width), kv_x[r]));
			assert_int_equal(kv->len[r], k->len[r]);
		}
		gpu_attention_cross(d.g, y, put(&d, "q", SHAPE(n_q, q_width), q), kv, scale);
		float *got = get(&d, y);
		assert_close(got, want, n_q * q_width,
			"isa %d %s: %d sequences, %d queries each, %d heads of %d", d.isa,
			dtype_names[dtype], (int)k->n_rows, (int)k->per_row, (int)k->n_heads,
			(int)k->head_dim);
		if (kv->dtype == GPU_SPLIT && !first)
			first = got;
		if (first)
			assert_same_bits(got, first, n_q * q_width, "isa %d", d.isa);
	}
}

static void cross(void **state)
{
	static const struct cross_case cases[] = {
		{1, 1, 1, 1, 1, {1}},
		{1, 3, 2, 7, 1, {5}},
		{2, 1, 3, 32, 1, {31, 33}},
		{3, 2, 1, 33, 1, {1, 64, 100}},
		{2, 9, 2, 64, 1, {65, 7}},
		{1, 17, 4, 63, 1, {32}},
		{2, 4, 16, 64, 1, {12, 140}},
		{1, 3, 1, 8, 3, {5}},
		{2, 9, 12, 64, 2, {130, 40}},
		{2, 65, 2, 33, 1, {129, 1}},
		{1, 20, 1, 128, 2, {70}},
		{1, 3, 1, 128, 1, {257}},
		{1, 70, 1, 200, 2, {66}},
		{1, 2, 1, 300, 1, {9}},
		{1, 65, 2, 64, 2, {130}},
		{2, 33, 3, 20, 1, {64, 63}},
		{3, 5, 1, 96, 4, {1, 65, 128}},
		{1, 129, 1, 50, 1, {66}},
		{1, 33, 2, 1, 3, {48}},
		{2, 131, 3, 40, 2, {97, 1}},
		{3, 160, 2, 64, 2, {47, 129, 256}},
		{1, 300, 6, 64, 4, {130}},
	};

	for (size_t t = 0; t < N_OF(dtypes); t++)
		for (size_t i = 0; i < N_OF(cases); i++) {
			seed(i);
			check_cross(&cases[i], dtypes[t]);
			test_done(NULL);
		}
}

/* Many queries at once have the bits that they have a few at a time: a language model that
 * is fed its prompt goes on as one that was fed it piece by piece. */
static void check_few_or_many(enum gpu_dtype dtype)
{
	enum { N = 75, FEW = 5 };
	static const int64_t cases[][3] = {{1, 1, 1}, {8, 32, 1}, {15, 80, 2}, {33, 50, 1},
		{130, 64, 2}, {41, 7, 1}, {61, 20, 3}};

	FOR_EACH_ISA(d)
	for (size_t i = 0; i < N_OF(cases); i++) {
		const int64_t len = cases[i][0], dim = cases[i][1], width = dim * cases[i][2];
		seed(i);
		float *q = random_floats(N * width), *want = keep(N * (size_t)width, sizeof(*want));
		struct gpu_kv *kv = gpu_kv_new(d.g, d.a, dtype, 1, 1, dim, len + 3);
		struct gpu_tensor *y = empty(&d, "y", SHAPE(N, width));
		gpu_kv_fill(d.g, kv, 0,
			put(&d, "kv", SHAPE(len, 2 * dim), random_floats(len * 2 * dim)));
		for (int64_t at = 0; at < N; at += FEW) {
			struct gpu_tensor *few = empty(&d, "few", SHAPE(FEW, width));
			gpu_attention_cross(
				d.g, few, put(&d, "q", SHAPE(FEW, width), q + at * width), kv, 9);
			memcpy(want + at * width, get(&d, few), FEW * (size_t)width * sizeof(*q));
		}
		gpu_attention_cross(d.g, y, put(&d, "q", SHAPE(N, width), q), kv, 9);
		assert_same_bits(get(&d, y), want, N * width, "isa %d %s: %d keys of %d", d.isa,
			dtype_names[dtype], (int)len, (int)dim);
	}
	test_done(NULL);
}

static void few_or_many(void **state)
{
	check_few_or_many(GPU_F32);
	check_few_or_many(GPU_SPLIT);
}

/* ---- full --------------------------------------------------------------- */

static void check_full(int64_t n_time, int64_t n_heads, int64_t head_dim, bool has_bias)
{
	const int64_t width = n_heads * head_dim;
	float *qkv = random_floats(n_time * 3 * width);
	float *bias = random_floats(n_heads * (2 * n_time - 1));
	struct want want = want_new(n_time * width);

	for (int64_t h = 0; h < n_heads; h++)
		for (int64_t t = 0; t < n_time; t++) {
			const int64_t at = t * width + h * head_dim;
			const float *row = bias + h * (2 * n_time - 1) + n_time - 1 - t;
			naive_attend((struct want){want.y + at, want.tol + at},
				qkv + t * 3 * width + h * head_dim, qkv + width + h * head_dim,
				qkv + 2 * width + h * head_dim, 3 * width, has_bias ? row : NULL,
				n_time, head_dim, 1);
		}
	FOR_EACH_ISA(d)
	{
		struct gpu_tensor *y = empty(&d, "y", SHAPE(n_time, width));
		struct gpu_tensor *b = put(&d, "bias", SHAPE(n_heads, 2 * n_time - 1), bias);
		gpu_attention_full(d.g, y, put(&d, "qkv", SHAPE(n_time, 3 * width), qkv),
			has_bias ? b : NULL, n_heads, 1);
		assert_close(get(&d, y), want, n_time * width, "isa %d: %d x %d heads of %d%s",
			d.isa, (int)n_time, (int)n_heads, (int)head_dim, has_bias ? ", bias" : "");
	}
}

/* Sequences in one call have the bits of each alone. */
static void check_sequences(int64_t batch, int64_t n, int64_t n_heads, int64_t dim, bool has_bias)
{
	const int64_t width = n_heads * dim, each = n * width;
	const float *qkv = random_floats(batch * 3 * each);
	const float *bias = random_floats(n_heads * (2 * n - 1));
	float *want = keep((size_t)(batch * each), sizeof(*want));

	FOR_EACH_ISA(d)
	{
		struct gpu_tensor *one = empty(&d, "one", SHAPE(n, width));
		struct gpu_tensor *all = empty(&d, "all", SHAPE(batch, n, width));
		struct gpu_tensor *b = put(&d, "bias", SHAPE(n_heads, 2 * n - 1), bias);
		for (int64_t i = 0; i < batch; i++) {
			gpu_attention_full(d.g, one,
				put(&d, "qkv", SHAPE(n, 3 * width), qkv + i * 3 * each),
				has_bias ? b : NULL, n_heads, 1);
			memcpy(want + i * each, get(&d, one), (size_t)each * sizeof(*want));
		}
		gpu_attention_full(d.g, all, put(&d, "qkv", SHAPE(batch, n, 3 * width), qkv),
			has_bias ? b : NULL, n_heads, 1);
		assert_same_bits(get(&d, all), want, batch * each,
			"isa %d: %d of %d positions, %d heads of %d", d.isa, (int)batch, (int)n,
			(int)n_heads, (int)dim);
	}
}

static void sequences(void **state)
{
	check_sequences(3, 33, 2, 16, true);
	check_sequences(2, 130, 1, 33, false);
	check_sequences(2, 260, 2, 64, false);
}

static void full(void **state)
{
	static const int64_t sizes[][3] = {{1, 1, 1}, {2, 3, 7}, {7, 2, 32}, {31, 1, 33},
		{33, 2, 64}, {65, 3, 16}, {100, 2, 63}, {130, 12, 64}, {65, 1, 128}, {40, 2, 80},
		{66, 1, 300}, {128, 2, 64}, {257, 1, 33}, {300, 2, 80}};

	for (size_t i = 0; i < N_OF(sizes); i++) {
		seed(i);
		check_full(sizes[i][0], sizes[i][1], sizes[i][2], false);
		check_full(sizes[i][0], sizes[i][1], sizes[i][2], true);
		test_done(NULL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(few_or_many),
		TEST(causal),
		TEST(lengths_differ),
		TEST(steps_go_on),
		TEST(cleared),
		TEST(scores_are_large),
		TEST(cross),
		TEST(full),
		TEST(sequences),
	};

	return RUN_TAP_WITH(tests, 1, 0);
}
