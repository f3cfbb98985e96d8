/* A path down the tree for each of a step's ends, then the elements along it. */
#include "tests/parity/stable_audio/brownian.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/parity/numpy_random.h"

enum { DEEPEST = 64 };

/* Philox4x32-10 of Salmon et al. 2011, key `seed`, counter (0, 0, i, 0): its first two words
 * through Box and Muller's sine. */
double cuda_normal(uint32_t seed, uint32_t i)
{
	uint32_t c[4] = {0, 0, i, 0}, k[2] = {seed, 0};

	for (int round = 0; round < 10; round++) {
		const uint64_t a = (uint64_t)c[0] * 0xD2511F53, b = (uint64_t)c[2] * 0xCD9E8D57;
		const uint32_t next[4] = {(uint32_t)(b >> 32) ^ c[1] ^ k[0], (uint32_t)b,
			(uint32_t)(a >> 32) ^ c[3] ^ k[1], (uint32_t)a};
		for (int w = 0; w < 4; w++)
			c[w] = next[w];
		k[0] += 0x9E3779B9;
		k[1] += 0xBB67AE85;
	}
	const double u = ldexp(c[0], -32) + ldexp(1, -33), v = ldexp(c[1], -32) + ldexp(1, -33);
	return sqrt(-2 * log(u)) * sin(2 * M_PI * v);
}

/* A node that was split: its left part's share of the whole, the deviation that is drawn for
 * it, and where the path goes on. */
struct node {
	uint32_t seed;
	double share, deviation;
	int side; /* 0: left, 1: right, 2: it ends between the two */
};

struct path {
	struct node nodes[DEEPEST];
	int n;
	double start; /* deviation of the whole */
	uint32_t start_seed;
};

/* As Python's round(t, 6): many midpoints are ties but for the last bit of t. */
static double rounded(double t)
{
	char text[64];

	snprintf(text, sizeof(text), "%.6f", t);
	return strtod(text, NULL);
}

static double clamped(const struct brownian *b, float t)
{
	return t < b->low ? b->low : t > b->high ? b->high : t;
}

static void find_path(const struct brownian *b, float time, struct path *ret)
{
	const double t = rounded(clamped(b, time));
	double from = rounded(b->low), to = rounded(b->high);
	uint32_t key[2] = {0, 0};

	*ret = (struct path){.start = sqrt((double)b->high - (double)b->low)};
	numpy_seeds(b->entropy, NULL, 0, &ret->start_seed, 1);
	while (t > from && t < to && ret->n < DEEPEST) {
		struct node *node = &ret->nodes[ret->n++];
		const double middle = rounded((from + to) / 2), left = middle - from,
			     right = to - middle;

		numpy_seeds(b->entropy, key, 2, &node->seed, 1);
		node->share = left / (to - from);
		node->deviation = sqrt(left * right / (to - from));
		node->side = t == middle ? 2 : t > middle;
		if (node->side == 2)
			break;
		*(node->side ? &from : &to) = middle;
		key[0] = 2 * key[0] + (uint32_t)node->side;
		key[1]++;
	}
}

/* The motion at the path's end; `high`: it ends where the whole does. */
static double motion(const struct path *p, bool high, uint32_t i)
{
	double whole = p->start * cuda_normal(p->start_seed, i), sum = 0;

	if (!p->n)
		return high ? whole : 0;
	for (int k = 0; k < p->n; k++) {
		const struct node *node = &p->nodes[k];
		const double left =
			node->share * whole + node->deviation * cuda_normal(node->seed, i);

		if (node->side)
			sum += left;
		whole = node->side ? whole - left : left;
	}
	return sum;
}

void brownian_step(
	const struct brownian *b, float sigma, float next, uint32_t first, uint32_t n, float *ret)
{
	struct path from, to;

	find_path(b, sigma, &from);
	find_path(b, next, &to);
	for (uint32_t i = 0; i < n; i++)
		ret[i] = (float)((motion(&to, next >= b->high, first + i) -
					 motion(&from, sigma >= b->high, first + i)) /
				 sqrt((double)sigma - (double)next));
}
