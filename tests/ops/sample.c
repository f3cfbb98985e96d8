/* Sampling: the generator's published vectors, the very ids that a sorted
 * reference gives, and the statistics of many draws. */
#include "tests/ops/naive.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gpu/philox.h"

/* Random123's kat_vectors, philox4x32 with 10 rounds. */
static void philox_known_answers(void **state)
{
	static const struct {
		uint32_t counter[4], key[2], want[4];
	} known[] = {
		{{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
		{{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff},
			{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
		{{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0},
			{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
	};

	for (size_t i = 0; i < N_OF(known); i++) {
		struct philox counter;
		memcpy(counter.x, known[i].counter, sizeof(counter.x));
		struct philox out = philox(counter, known[i].key[0], known[i].key[1]);
		assert_memory_equal(out.x, known[i].want, sizeof(out.x));
	}
	assert_true(philox_uniform(0, 0, 0) == (0x6627e8d5 >> 8) * 0x1p-24);
	/* Every part of seed, stream and offset counts. */
	double u = philox_uniform(1, 2, 3);
	assert_true(u != philox_uniform(1 + (1ull << 32), 2, 3) && u != philox_uniform(2, 2, 3) &&
		    u != philox_uniform(1, 3, 3) && u != philox_uniform(1, 2, 4) &&
		    u != philox_uniform(1, 2, 3 + (1ull << 32)));
}

/* Ids of n_rows rows of n logits, n_rows / n_streams seeds from `first_seed` on. */
static int32_t *draw(const struct dev *d, const float *logits, int64_t n_rows, int64_t n,
	struct gpu_sampling s, uint64_t first_seed)
{
	uint64_t *seeds = keep((size_t)n_rows, sizeof(*seeds));
	struct gpu_tensor *ids = gpu_new(d->g, d->a, GPU_I32, "ids", SHAPE(n_rows));

	for (int64_t i = 0; i < n_rows; i++)
		seeds[i] = first_seed + (uint64_t)i;
	s.seed = seeds;
	gpu_sample(d->g, ids, put(d, "logits", SHAPE(n_rows, n), logits), &s);
	return get_ids(d, ids);
}

static float *random_logits(int64_t n, float range)
{
	float *x = random_floats(n);

	for (int64_t i = 0; i < n; i++)
		x[i] = range * (x[i] + uniform() + uniform());
	return x;
}

/* ---- against the reference ---------------------------------------------- */

/* The same with top-p a little lower and higher: a sum that is just at the threshold
 * may fall on either side. */
static double distance(
	const float *logits, int64_t n, struct gpu_sampling s, double u, int32_t id, double doubt)
{
	const double p = s.top_p;
	double least = naive_sample(logits, n, &s, u, id, NULL);

	for (int side = -1; side <= 1 && p > 0 && p < 1; side += 2) {
		s.top_p = (float)fmax(p + 2 * side * doubt, 1e-12);
		least = fmin(least, naive_sample(logits, n, &s, u, id, NULL));
	}
	return least;
}

static void check_ids(int64_t n_rows, int64_t n, struct gpu_sampling s, float range, int64_t equals)
{
	float *logits = random_logits(n_rows * n, range);
	/* Weights are f32: the logit's difference (up to 6 range) and quotient are rounded,
	 * exp is good to 2 ulp; that is the error of a weight, and of a sum of them. */
	const double doubt = 2 * U * (6 + 3 * 6 * range / s.temperature);

	/* Equal values, also at the thresholds. */
	for (int64_t i = 0; i < equals; i++)
		logits[below(n_rows * n)] = logits[below(n_rows * n)];
	FOR_EACH_ISA(d)
	{
		int32_t *ids = draw(&d, logits, n_rows, n, s, 77);
		for (int64_t r = 0; r < n_rows; r++) {
			double u = philox_uniform(77 + (uint64_t)(r / s.n_streams),
				(uint32_t)(r % s.n_streams), s.offset);
			assert_in_range(ids[r], 0, n - 1);
			double far = distance(logits + r * n, n, s, u, ids[r], doubt);
			if (far > doubt)
				fail_msg("isa %d row %d of %d: id %d, u = %.9f is off by %g, "
					 "allowed %g",
					d.isa, (int)r, (int)n, (int)ids[r], u, far, doubt);
		}
	}
	test_done(NULL);
}

static void ids_are_those_of_the_reference(void **state)
{
	static const struct gpu_sampling ways[] = {
		{.temperature = 1, .n_streams = 4},
		{.temperature = 0.3f, .n_streams = 1, .offset = 1ull << 40},
		{.temperature = 1, .top_k = 1, .n_streams = 2},
		{.temperature = 1, .top_k = 3, .n_streams = 4, .offset = 9},
		{.temperature = 1.7f, .top_k = 250, .n_streams = 4},
		{.temperature = 1, .top_k = 1 << 20, .n_streams = 4},
		{.temperature = 1, .top_p = 0.9f, .n_streams = 4},
		{.temperature = 0.8f, .top_p = 0.5f, .n_streams = 8},
		{.temperature = 1, .top_p = 1e-6f, .n_streams = 4},
		{.temperature = 1, .top_p = 1, .n_streams = 4},
		{.temperature = 1, .top_k = 50, .top_p = 0.7f, .n_streams = 4},
	};
	static const int64_t sizes[] = {1, 2, 7, 33, 100, 2048, 5003};

	for (size_t w = 0; w < N_OF(ways); w++)
		for (size_t i = 0; i < N_OF(sizes); i++) {
			seed(w * 10 + i);
			check_ids(16, sizes[i], ways[w], 3, 0);
			check_ids(16, sizes[i], ways[w], 3, sizes[i] * 16);
		}
}

/* Every entry that the reference keeps is drawn at its own u, and no other ever is. */
static void kept_sets_are_exact(void **state)
{
	enum { N = 24 };
	const int64_t n_draws = on_cuda() ? 1000 : 4000; /* emulated, a draw takes a while */
	static const struct gpu_sampling ways[] = {
		{.temperature = 1, .top_k = 5, .n_streams = 1},
		{.temperature = 2, .top_p = 0.6f, .n_streams = 1},
		{.temperature = 2, .top_k = 10, .top_p = 0.8f, .n_streams = 1},
	};

	for (size_t w = 0; w < N_OF(ways); w++) {
		seed(w);
		float *one = random_logits(N, 1),
		      *logits = keep((size_t)n_draws * N, sizeof(*logits));
		one[3] = one[17] = one[8]; /* ties */
		for (int64_t r = 0; r < n_draws; r++)
			memcpy(logits + r * N, one, N * sizeof(*one));
		bool kept[N];
		naive_sample(one, N, &ways[w], 0, 0, kept);
		FOR_EACH_ISA(d)
		{
			int count[N] = {0};
			int32_t *ids = draw(&d, logits, n_draws, N, ways[w], 5);
			for (int64_t r = 0; r < n_draws; r++)
				count[ids[r]]++;
			for (int i = 0; i < N; i++)
				if (kept[i] != (count[i] > 0))
					fail_msg("isa %d: entry %d drawn %d times, %s", d.isa, i,
						count[i], kept[i] ? "kept" : "not kept");
		}
	}
}

static void ties_with_the_kth_are_kept(void **state)
{
	static const float logits[] = {0, 2, 1, 2, 1, 1, -3};
	struct gpu_sampling s = {.temperature = 1, .top_k = 3, .n_streams = 1};
	enum { N = N_OF(logits), DRAWS = 500 };
	float *rows = keep(DRAWS * N, sizeof(*rows));

	for (int r = 0; r < DRAWS; r++)
		memcpy(rows + r * N, logits, sizeof(logits));
	FOR_EACH_ISA(d)
	{
		int count[N] = {0};
		int32_t *ids = draw(&d, rows, DRAWS, N, s, 1);
		for (int r = 0; r < DRAWS; r++)
			count[ids[r]]++;
		assert_true(count[1] && count[2] && count[3] && count[4] && count[5]);
		assert_true(!count[0] && !count[6]);
	}
}

static void greedy_takes_the_first_maximum(void **state)
{
	enum { N = 100 };
	struct gpu_sampling s = {.greedy = true};

	FOR_EACH_ISA(d)
	{
		for (int64_t at = 0; at < N; at++) {
			float *logits = random_floats(N);
			logits[at] = logits[(at + N) / 2] = 3;
			struct gpu_tensor *ids = gpu_new(d.g, d.a, GPU_I32, "ids", SHAPE(1));
			gpu_sample(d.g, ids, put(&d, "logits", SHAPE(1, N), logits), &s);
			assert_int_equal(get_ids(&d, ids)[0], at);
		}
		/* -0 is not below 0. */
		static const float zeros[] = {-1, -0.0f, 0, -2};
		struct gpu_tensor *ids = gpu_new(d.g, d.a, GPU_I32, "ids", SHAPE(1));
		gpu_sample(d.g, ids, put(&d, "logits", SHAPE(1, 4), zeros), &s);
		assert_int_equal(get_ids(&d, ids)[0], 1);
	}
}

static void extreme_logits(void **state)
{
	/* Only one can be drawn: the others are excluded, or weigh nothing. */
	static const float masked[] = {-INFINITY, -INFINITY, -5, -INFINITY},
			   wide[] = {-3e38f, 3e38f, 0, -1e30f}, cold[] = {0.1f, 0.2f, 0.3f, 0.25f};
	struct gpu_sampling s = {.temperature = 1, .n_streams = 1}, k = s, freezing = s;

	k.top_k = 3;
	k.top_p = 0.9f;
	freezing.temperature = 1e-30f;
	FOR_EACH_ISA(d)
	{
		for (uint64_t i = 0; i < 50; i++) {
			assert_int_equal(draw(&d, masked, 1, 4, s, i)[0], 2);
			assert_int_equal(draw(&d, masked, 1, 4, k, i)[0], 2);
			assert_int_equal(draw(&d, wide, 1, 4, s, i)[0], 1);
			assert_int_equal(draw(&d, wide, 1, 4, k, i)[0], 1);
			assert_int_equal(draw(&d, cold, 1, 4, freezing, i)[0], 2);
		}
	}
}

static void logits_that_are_not_finite(void **state)
{
	enum { N = 40 };
	static const float bad[] = {NAN, INFINITY, -INFINITY};

	FOR_EACH_ISA(d)
	{
		for (size_t i = 0; i < N_OF(bad); i++)
			for (int greedy = 0; greedy < 2; greedy++) {
				float *logits = random_floats(5 * N);
				uint64_t seeds[5] = {0};
				struct gpu_sampling s = {.greedy = greedy,
					.temperature = 1,
					.seed = seeds,
					.n_streams = 1};
				struct gpu_tensor *ids =
					gpu_new(d.g, d.a, GPU_I32, "ids", SHAPE(5));
				/* One -inf only excludes an entry; a row of them is empty. */
				for (int j = 0; j < (isinf(bad[i]) && bad[i] < 0 ? N : 1); j++)
					logits[2 * N + N - 1 - j] = logits[4 * N + j] = bad[i];
				gpu_sample(d.g, ids, put(&d, "logits", SHAPE(5, N), logits), &s);
				assert_gpu_error(
					d.g, ERR_GPU, "sample: logits of row 2 are not finite");
			}
	}
}

/* ---- guidance ----------------------------------------------------------- */

/* One op gives what two give. */
static void check_guided(int64_t n_rows, int64_t n, struct gpu_sampling s)
{
	const float *logits = random_logits(2 * n_rows * n, 3);
	const uint64_t seeds[] = {5, 6, 7, 8};

	s.seed = seeds;
	s.offset = 3;
	FOR_EACH_ISA(d)
	{
		struct gpu_tensor *both = put(&d, "logits", SHAPE(2 * n_rows, n), logits);
		struct gpu_tensor *guided = empty(&d, "guided", SHAPE(n_rows, n));
		struct gpu_tensor *ids = gpu_new(d.g, d.a, GPU_I32, "ids", SHAPE(n_rows));
		struct gpu_sampling plain = s;
		plain.guidance = 0;
		gpu_guidance(d.g, guided, both, s.guidance);
		gpu_sample(d.g, ids, guided, &plain);
		const int32_t *want = get_ids(&d, ids);
		gpu_sample(d.g, ids, both, &s);
		assert_memory_equal(get_ids(&d, ids), want, (size_t)n_rows * sizeof(*want));
		/* Without it others come out. */
		gpu_sample(d.g, ids, gpu_view(d.g, d.a, both, 0, 0, n_rows), &plain);
		if (n > 1000)
			assert_memory_not_equal(
				get_ids(&d, ids), want, (size_t)n_rows * sizeof(*want));
	}
	test_done(NULL);
}

static void guided_as_in_two_ops(void **state)
{
	static const struct gpu_sampling ways[] = {
		{.greedy = true, .guidance = 3},
		{.temperature = 1, .n_streams = 4, .guidance = 3},
		{.temperature = 0.7f, .top_k = 5, .n_streams = 4, .guidance = 1.5f},
		{.temperature = 1, .top_p = 0.9f, .n_streams = 4, .guidance = -1},
		{.temperature = 1.3f, .top_k = 250, .top_p = 0.8f, .n_streams = 4, .guidance = 7},
	};
	static const int64_t sizes[] = {1, 33, 2048};

	for (size_t w = 0; w < N_OF(ways); w++)
		for (size_t i = 0; i < N_OF(sizes); i++) {
			seed(w * 10 + i);
			check_guided(4, sizes[i], ways[w]);
			check_guided(16, sizes[i], ways[w]);
		}
}

static void guidance_that_cannot_be(void **state)
{
	enum { N = 40 };
	const uint64_t seeds[1] = {0};

	FOR_EACH_ISA(d)
	{
		struct gpu_sampling s = {
			.temperature = 1, .seed = seeds, .n_streams = 2, .guidance = 2};
		float *logits = random_floats(4 * N);
		struct gpu_tensor *ids = gpu_new(d.g, d.a, GPU_I32, "ids", SHAPE(2));
		struct gpu_tensor *half = put(&d, "half", SHAPE(2, N), logits);
		gpu_sample(d.g, ids, half, &s);
		assert_gpu_error(d.g, ERR_BUG, "one row per id, with guidance two");
		/* What comes out of two finite rows is not finite. */
		logits[N + 3] = 3e38f;
		logits[3 * N + 3] = -3e38f;
		gpu_sample(d.g, ids, put(&d, "logits", SHAPE(4, N), logits), &s);
		assert_gpu_error(d.g, ERR_GPU, "sample: logits of row 1 are not finite");
		s.guidance = NAN;
		gpu_sample(d.g, ids, put(&d, "logits", SHAPE(4, N), logits), &s);
		assert_gpu_error(d.g, ERR_BUG, "guidance must be finite");
	}
}

/* ---- statistics --------------------------------------------------------- */

/* Pearson's chi-square of draws against probabilities. */
static double chi_square(const int *count, const double *p, int n, int draws)
{
	double sum = 0;

	for (int i = 0; i < n; i++)
		sum += (count[i] - p[i] * draws) * (count[i] - p[i] * draws) / (p[i] * draws);
	return sum;
}

/* With fixed seeds a correct generator passes or fails for ever; 57.4 is exceeded by
 * one seed in a million (chi-square, 15 degrees of freedom). */
static void frequencies_follow_the_softmax(void **state)
{
	enum { N = 16, ROWS = 64 };
	const int n_steps = on_cuda() ? 50 : 500;
	const double bound = 57.4;
	const struct gpu_sampling ways[] = {
		{.temperature = 1, .n_streams = 4},
		{.temperature = 0.7f, .n_streams = 64},
		{.temperature = 1.5f, .top_k = N, .n_streams = 1},
	};
	float one[N], rows[ROWS * N];

	seed(3);
	for (int i = 0; i < N; i++)
		one[i] = uniform() * 1.5f;
	for (int i = 0; i < ROWS * N; i++)
		rows[i] = one[i % N];
	for (size_t w = 0; w < N_OF(ways); w++) {
		double p[N], total = 0;
		for (int i = 0; i < N; i++)
			total += p[i] = exp(one[i] / (double)ways[w].temperature);
		for (int i = 0; i < N; i++)
			p[i] /= total;
		FOR_EACH_ISA(d)
		{
			int count[N] = {0}, pairs[N * N] = {0}, last = -1;
			double both[N * N];
			for (uint64_t step = 0; step < (uint64_t)n_steps; step++) {
				struct gpu_sampling s = ways[w];
				s.offset = step;
				int32_t *ids = draw(&d, rows, ROWS, N, s, 11);
				for (int r = 0; r < ROWS; r++) {
					count[ids[r]]++;
					if (last >= 0)
						pairs[last * N + ids[r]]++;
					last = ids[r];
				}
				test_done(NULL);
			}
			for (int i = 0; i < N * N; i++)
				both[i] = p[i / N] * p[i % N];
			double single = chi_square(count, p, N, ROWS * n_steps);
			/* Neighbours are independent: 255 degrees of freedom, one in a million
			 * above 377.3 (both by Wilson-Hilferty). */
			double joint = chi_square(pairs, both, N * N, ROWS * n_steps - 1);
			if (single > bound || joint > 377.3)
				fail_msg("isa %d way %d: chi-square %.1f, of pairs %.1f", d.isa,
					(int)w, single, joint);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(philox_known_answers),
		TEST(ids_are_those_of_the_reference),
		TEST(kept_sets_are_exact),
		TEST(ties_with_the_kth_are_kept),
		TEST(greedy_takes_the_first_maximum),
		TEST(extreme_logits),
		TEST(logits_that_are_not_finite),
		TEST(guided_as_in_two_ops),
		TEST(guidance_that_cannot_be),
		TEST(frequencies_follow_the_softmax),
	};

	return RUN_TAP(tests);
}
