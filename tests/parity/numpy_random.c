/* RandomState: the Mersenne twister.  SeedSequence: M. O'Neill's seed_seq, as
 * numpy/random/bit_generator.pyx has it. */
#include "tests/parity/numpy_random.h"

#include <math.h>
#include <string.h>

/* Matsumoto and Nishimura 1998, and the polar method of Marsaglia. */
struct twister {
	uint32_t state[624];
	int at;
	double kept;
	bool has_kept;
};

static void twister_seed(struct twister *t, uint32_t seed)
{
	*t = (struct twister){.at = 624};
	for (uint32_t i = 0; i < 624; i++) {
		t->state[i] = seed;
		seed = 1812433253u * (seed ^ seed >> 30) + i + 1;
	}
}

static uint32_t twister_next(struct twister *t)
{
	if (t->at == 624) {
		for (int i = 0; i < 624; i++) {
			const uint32_t y = (t->state[i] & 0x80000000u) |
					   (t->state[(i + 1) % 624] & 0x7fffffffu);
			t->state[i] =
				t->state[(i + 397) % 624] ^ y >> 1 ^ (y & 1 ? 0x9908b0dfu : 0);
		}
		t->at = 0;
	}
	uint32_t y = t->state[t->at++];
	y ^= y >> 11;
	y ^= y << 7 & 0x9d2c5680u;
	y ^= y << 15 & 0xefc60000u;
	return y ^ y >> 18;
}

static double twister_uniform(struct twister *t)
{
	const uint32_t a = twister_next(t) >> 5, b = twister_next(t) >> 6;

	return (a * 67108864.0 + b) / 9007199254740992.0;
}

static double twister_normal(struct twister *t)
{
	double x, y, square;

	if (t->has_kept) {
		t->has_kept = false;
		return t->kept;
	}
	do {
		x = 2 * twister_uniform(t) - 1;
		y = 2 * twister_uniform(t) - 1;
		square = x * x + y * y;
	} while (square >= 1 || square == 0);
	const double f = sqrt(-2 * log(square) / square);
	t->kept = f * x;
	t->has_kept = true;
	return f * y;
}

void numpy_normal(uint32_t seed, float *ret, size_t n)
{
	struct twister t;

	twister_seed(&t, seed);
	for (size_t i = 0; i < n; i++)
		ret[i] = (float)twister_normal(&t);
}

/* ---- SeedSequence ------------------------------------------------------- */

/* A multiplier that changes with each use. */
struct hash {
	uint32_t now, factor;
};

static uint32_t hash_mix(struct hash *h, uint32_t x)
{
	x ^= h->now;
	h->now *= h->factor;
	x *= h->now;
	return x ^ x >> 16;
}

static uint32_t mix(uint32_t x, uint32_t y)
{
	x = 0xca01f9dd * x - 0x4973f715 * y;
	return x ^ x >> 16;
}

void numpy_seeds(uint32_t entropy, const uint32_t *key, size_t n_key, uint32_t *ret, size_t n)
{
	struct hash in = {0x43b0d7e5, 0x931e8875}, out = {0x8b51f9dd, 0x58f38ded};
	uint32_t pool[NUMPY_POOL];

	for (size_t i = 0; i < NUMPY_POOL; i++)
		pool[i] = hash_mix(&in, i ? 0 : entropy);
	for (size_t from = 0; from < NUMPY_POOL; from++)
		for (size_t to = 0; to < NUMPY_POOL; to++)
			if (from != to)
				pool[to] = mix(pool[to], hash_mix(&in, pool[from]));
	for (size_t from = 0; from < n_key; from++)
		for (size_t to = 0; to < NUMPY_POOL; to++)
			pool[to] = mix(pool[to], hash_mix(&in, key[from]));
	for (size_t i = 0; i < n; i++)
		ret[i] = hash_mix(&out, pool[i % NUMPY_POOL]);
}

bool numpy_is_right(void)
{
	static const double normal[] = {1.76405235, 0.40015721, 0.97873798, 2.2408932, 1.86755799};
	static const uint32_t root[] = {4025752534, 2687548107, 2326983537},
			      child[] = {4133497416, 1235625892, 1859341434, 700061672};
	uint32_t seeds[4];
	float drawn[5];
	bool ok = true;

	numpy_normal(0, drawn, 5);
	for (size_t i = 0; i < 5; i++)
		ok &= fabs((double)drawn[i] - normal[i]) < 1e-7;
	numpy_seeds(0, NULL, 0, seeds, 3);
	ok &= !memcmp(seeds, root, sizeof(root));
	numpy_seeds(0, (const uint32_t[]){0, 1}, 2, seeds, 4);
	return ok && !memcmp(seeds, child, sizeof(child));
}
