/* Steps that repeat: replayed as run anew, to the bit; what the host keeps of them; and
 * what may not be in one.  And the ops that let a step go on without the host. */
#include "tests/ops/naive.h"

#include <string.h>

enum { ROWS = 2, HEADS = 2, DIM = 8, WIDTH = HEADS * DIM, STEPS = 9, VOCAB = 33 };

/* A small decoder: what follows depends on all that went before. */
struct model {
	const struct dev *d;
	struct gpu_tensor *table, *qkv_w, *out_w;
	struct gpu_kv *kv;
	struct gpu_tensor *ids, *drawn, *at, *columns;
	uint64_t seed;
};

static struct model model_new(const struct dev *d)
{
	struct model m = {.d = d, .seed = 5};
	int32_t *free_columns = keep(STEPS * ROWS, sizeof(*free_columns));
	const int32_t zeros[ROWS] = {0};

	seed(3);
	m.table = put(d, "table", SHAPE(VOCAB, WIDTH), random_floats(VOCAB * WIDTH));
	m.qkv_w =
		put_matrix(d, GPU_BF16, "qkv", 3 * WIDTH, WIDTH, random_floats(3 * WIDTH * WIDTH));
	m.out_w = put_matrix(d, GPU_F32, "out", VOCAB, WIDTH, random_floats(VOCAB * WIDTH));
	m.kv = gpu_kv_new(d->g, d->a, GPU_F32, ROWS, HEADS, DIM, STEPS);
	m.ids = put_ids(d, "ids", SHAPE(ROWS, 1), zeros);
	m.drawn = put_ids(d, "drawn", SHAPE(ROWS), zeros);
	m.at = put_ids(d, "at", SHAPE(1), zeros);
	for (int i = 0; i < STEPS * ROWS; i++)
		free_columns[i] = i == 3 * ROWS ? 7 : -1; /* one is given */
	m.columns = put_ids(d, "columns", SHAPE(STEPS, ROWS), free_columns);
	return m;
}

static void forward(struct model *m)
{
	struct gpu *g = m->d->g;
	struct gpu_arena *a = m->d->a;
	struct gpu_mark mark = gpu_arena_mark(a);
	struct gpu_tensor *x = gpu_new(g, a, GPU_F32, "x", SHAPE(ROWS, WIDTH));
	struct gpu_tensor *qkv = gpu_new(g, a, GPU_F32, "qkv", SHAPE(ROWS, 3 * WIDTH));
	struct gpu_tensor *logits = gpu_new(g, a, GPU_F32, "logits", SHAPE(ROWS, VOCAB));
	const struct gpu_sampling s = {
		.temperature = 1, .seed = &m->seed, .n_streams = ROWS, .offset = 100, .at = m->at};
	struct gpu_tensor *next = gpu_reshape(g, a, m->ids, SHAPE(1, ROWS));

	gpu_embed_sum(g, x, m->table, m->ids);
	gpu_linear(g, qkv, x, m->qkv_w, NULL);
	gpu_attention_causal(g, x, qkv, m->kv, 1);
	gpu_linear(g, logits, x, m->out_w, NULL);
	gpu_sample(g, m->drawn, logits, &s);
	gpu_next_column(g, next, m->columns, m->drawn, m->at);
	gpu_arena_release(a, mark);
}

/* All columns; with or without replaying. */
static int32_t *run(const struct dev *d, bool replay, uint64_t *ret_dispatches)
{
	struct model m = model_new(d);
	struct gpu_step *step = gpu_step_new();
	const uint64_t before = gpu_dispatches(d->g);

	gpu_set_replay(d->g, replay);
	for (int i = 0; i < STEPS; i++) {
		if (gpu_step_begin(d->g, step, d->a)) {
			forward(&m);
			gpu_step_end(d->g, step);
		}
		if (i == STEPS - 3) /* from here on the ops allocate elsewhere */
			gpu_new(d->g, d->a, GPU_F32, "between", SHAPE(100));
		assert_int_equal(m.kv->len[0], i + 1);
		assert_int_equal(m.kv->len[ROWS - 1], i + 1);
	}
	*ret_dispatches = gpu_dispatches(d->g) - before;
	int32_t *columns = get_ids(d, m.columns);
	assert_int_equal(get_ids(d, m.at)[0], STEPS);
	assert_int_equal(columns[3 * ROWS], 7);
	assert_memory_equal(
		get_ids(d, m.ids), columns + (STEPS - 1) * ROWS, ROWS * sizeof(*columns));
	/* The cache is full, replayed or not. */
	if (gpu_step_begin(d->g, step, d->a)) {
		forward(&m);
		gpu_step_end(d->g, step);
	}
	assert_gpu_error(d->g, ERR_BUG, "cache is full");
	gpu_step_free(d->g, step);
	gpu_set_replay(d->g, true);
	return columns;
}

static void replays_are_as_runs(void **state)
{
	FOR_EACH_ISA(d)
	{
		uint64_t n_run, n_replayed;
		int32_t *run_anew = run(&d, false, &n_run), *replayed = run(&d, true, &n_replayed);
		assert_memory_equal(run_anew, replayed, STEPS * ROWS * sizeof(*replayed));
		assert_int_equal(n_run, n_replayed);
		for (int i = 0; i < STEPS * ROWS; i++)
			assert_in_range(run_anew[i], 0, VOCAB - 1);
	}
}

/* Recurrent layers, some frames a step: their state goes on from replay to replay. */
static float *run_lstm(const struct dev *d, bool replay)
{
	enum { B = 2, T = 5, D = 24, N = B * T * D };
	const float *x = random_floats(STEPS * N);
	float *got = keep(STEPS * N, sizeof(*got)), *zeros = keep(B * D, sizeof(*zeros));
	struct gpu_tensor *in = put(d, "in", SHAPE(B, T, D), x);
	struct gpu_tensor *mid = empty(d, "mid", SHAPE(B, T, D));
	struct gpu_tensor *out = empty(d, "out", SHAPE(B, T, D));
	struct gpu_lstm layers[2];
	struct gpu_step *step = gpu_step_new();

	for (int i = 0; i < 2; i++)
		layers[i] = (struct gpu_lstm){
			.w_ih = put_matrix(d, GPU_F32, "ih", 4 * D, D, random_floats(4 * D * D)),
			.w_hh = put_matrix(d, GPU_F32, "hh", 4 * D, D, random_floats(4 * D * D)),
			.bias = put(d, "bias", SHAPE(4 * D), random_floats(4 * D)),
			.h = put(d, "h", SHAPE(B, D), zeros),
			.c = put(d, "c", SHAPE(B, D), zeros)};
	gpu_set_replay(d->g, replay);
	for (int i = 0; i < STEPS; i++) {
		gpu_write(d->g, in, x + i * N, N * sizeof(*x));
		if (gpu_step_begin(d->g, step, d->a)) {
			gpu_lstm(d->g, mid, in, &layers[0]);
			gpu_lstm(d->g, out, mid, &layers[1]);
			gpu_add(d->g, out, out, in);
			gpu_step_end(d->g, step);
		}
		gpu_read(d->g, out, got + i * N, N * sizeof(*got));
	}
	gpu_step_free(d->g, step);
	gpu_set_replay(d->g, true);
	assert_fine(d->g);
	return got;
}

static void recurrence_goes_on(void **state)
{
	FOR_EACH_ISA(d)
	{
		seed(4);
		float *run_anew = run_lstm(&d, false);
		seed(4);
		float *replayed = run_lstm(&d, true);
		assert_same_bits(replayed, run_anew, STEPS * 2 * 5 * 24, "isa %d", d.isa);
	}
}

/* The offset on the device counts as one on the host. */
static void offsets_add_up(void **state)
{
	enum { N = 64 };
	float *logits = random_floats(N * VOCAB);
	const uint64_t seeds[1] = {9};
	const int32_t seven[1] = {7};

	FOR_EACH_ISA(d)
	{
		struct gpu_sampling s = {
			.temperature = 1, .seed = seeds, .n_streams = N, .offset = 12};
		struct gpu_tensor *x = put(&d, "logits", SHAPE(N, VOCAB), logits);
		struct gpu_tensor *ids = gpu_new(d.g, d.a, GPU_I32, "ids", SHAPE(N));
		gpu_sample(d.g, ids, x, &s);
		int32_t *want = get_ids(&d, ids);
		s.offset = 5;
		s.at = put_ids(&d, "at", SHAPE(1), seven);
		gpu_sample(d.g, ids, x, &s);
		assert_memory_equal(get_ids(&d, ids), want, N * sizeof(*want));
	}
}

/* Beyond the columns nothing is written, and what is given stays. */
static void columns_end(void **state)
{
	const int32_t columns[] = {-1, 4, 6, -1}, drawn[] = {8, 9}, zero[1] = {0};
	const int32_t want[][6] = {{8, 4, 8, 4, 8, 4}, {6, 9, 6, 9, 6, 9}, {6, 9, 6, 9, 6, 9}};
	const int32_t filled[] = {8, 4, 6, 9};

	FOR_EACH_ISA(d)
	{
		struct gpu_tensor *c = put_ids(&d, "columns", SHAPE(2, 2), columns);
		struct gpu_tensor *next = put_ids(&d, "next", SHAPE(3, 2), want[2]);
		struct gpu_tensor *at = put_ids(&d, "at", SHAPE(1), zero);
		struct gpu_tensor *x = put_ids(&d, "drawn", SHAPE(2), drawn);
		for (int i = 0; i < 3; i++) {
			gpu_next_column(d.g, next, c, x, at);
			assert_memory_equal(get_ids(&d, next), want[i], sizeof(want[i]));
		}
		assert_int_equal(get_ids(&d, at)[0], 3);
		assert_memory_equal(get_ids(&d, c), filled, sizeof(filled));
		gpu_next_column(d.g, next, c, at, at);
		assert_gpu_error(d.g, ERR_BUG, "next must be [R, J]");
	}
}

/* x += 1 by way of tensors that fill two pieces of the arena. */
static void add_one(const struct dev *d, struct gpu_tensor *x, const struct gpu_tensor *one)
{
	const struct gpu_shape shape = SHAPE(x->ne[0], x->ne[1]);
	struct gpu_mark mark = gpu_arena_mark(d->a);
	struct gpu_tensor *a = gpu_new(d->g, d->a, GPU_F32, "a", shape);
	struct gpu_tensor *b = gpu_new(d->g, d->a, GPU_F32, "b", shape);

	gpu_add(d->g, a, x, one);
	gpu_copy(d->g, b, a);
	gpu_copy(d->g, x, b);
	gpu_arena_release(d->a, mark);
}

/* Between two passes somebody else takes more of the arena than it has behind the mark: the
 * pieces that the recording knows are given back. */
static void an_arena_changes_between_steps(void **state)
{
	enum { R = 50, C = 1000, MUCH = 1 << 20 }; /* 200 KB; pieces begin with 256 KB */

	FOR_EACH_ISA(d)
	{
		struct gpu_arena *own = gpu_arena_new(d.g, "own");
		const struct dev e = {d.g, own, d.isa};
		float *ones = keep(R * C, sizeof(*ones)), *zeros = keep(R * C, sizeof(*zeros));
		struct gpu_step *step = gpu_step_new();
		for (int i = 0; i < R * C; i++)
			ones[i] = 1;
		struct gpu_tensor *x = put(&d, "x", SHAPE(R, C), zeros);
		struct gpu_tensor *one = put(&d, "one", SHAPE(R, C), ones);
		gpu_zeros(d.g, own, GPU_F32, "before", SHAPE(1));
		for (int i = 0; i < 8; i++) {
			if (i == 4) {
				struct gpu_mark mark = gpu_arena_mark(own);
				gpu_zeros(d.g, own, GPU_F32, "much", SHAPE(MUCH));
				gpu_arena_release(own, mark);
			}
			if (gpu_step_begin(d.g, step, own)) {
				add_one(&e, x, one);
				gpu_step_end(d.g, step);
			}
		}
		const float *got = get(&d, x);
		for (int i = 0; i < R * C; i++)
			assert_true(got[i] == 8);
		gpu_step_free(d.g, step);
		gpu_arena_free(own);
	}
}

/* What is read is what was there when it was asked for, whatever ops have done since; two at
 * once, and one again. */
static void readings_are_of_then(void **state)
{
	enum { N = 1000 };

	FOR_EACH_ISA(d)
	{
		struct gpu_tensor *x = gpu_zeros(d.g, d.a, GPU_F32, "x", SHAPE(N));
		struct gpu_reading *r[2];

		for (int i = 0; i < 2; i++)
			r[i] = gpu_reading_new(d.g, N * sizeof(float));
		for (int i = 0; i < 5; i++) {
			gpu_fill(d.g, x, (float)i);
			gpu_reading_begin(d.g, r[i % 2], x);
			gpu_fill(d.g, x, -1);
			if (i == 0)
				continue;
			const float *got = gpu_reading_end(d.g, r[(i - 1) % 2]);
			for (int k = 0; k < N; k++)
				assert_true(got[k] == (float)(i - 1));
		}
		gpu_reading_begin(d.g, r[0], gpu_zeros(d.g, d.a, GPU_F32, "long", SHAPE(N + 1)));
		assert_null(gpu_reading_end(d.g, r[0]));
		assert_gpu_error(
			d.g, ERR_BUG, "read: 'long' has 4004 bytes, there is room for 4000");
		gpu_reading_free(d.g, r[0]); /* read, and not yet: its copy is waited for */
		gpu_reading_begin(d.g, r[1], x);
		gpu_reading_free(d.g, r[1]);
		gpu_reading_free(d.g, NULL);
		assert_fine(d.g);
	}
}

static void what_a_step_may_not_do(void **state)
{
	FOR_EACH_ISA(d)
	{
		struct gpu_step *step = gpu_step_new(), *other = gpu_step_new();
		float x[4] = {0};
		struct gpu_tensor *t = put(&d, "t", SHAPE(4), x);
		struct gpu_kv *kv = gpu_kv_new(d.g, d.a, GPU_F32, 1, 1, 1, 2);

		assert_true(gpu_step_begin(d.g, step, d.a));
		gpu_read(d.g, t, x, sizeof(x));
		assert_gpu_error(
			d.g, ERR_BUG, "read: 't' may not cross to or from the host in a step");
		gpu_write(d.g, t, x, sizeof(x));
		assert_gpu_error(d.g, ERR_BUG, "write: 't' may not cross");
		gpu_kv_fill(d.g, kv, 0, gpu_new(d.g, d.a, GPU_F32, "kv", SHAPE(1, 2)));
		assert_gpu_error(d.g, ERR_BUG, "a cache may not be filled in a step");
		assert_false(gpu_step_begin(d.g, other, d.a));
		assert_gpu_error(d.g, ERR_BUG, "a step begins inside another");
		gpu_step_end(d.g, step);
		gpu_step_free(d.g, step);
		gpu_step_free(d.g, other);
		gpu_step_free(d.g, NULL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(replays_are_as_runs),
		TEST(recurrence_goes_on),
		TEST(offsets_add_up),
		TEST(columns_end),
		TEST(an_arena_changes_between_steps),
		TEST(readings_are_of_then),
		TEST(what_a_step_may_not_do),
	};

	return RUN_TAP(tests);
}
