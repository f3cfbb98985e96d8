/* Sampling one id per row of logits.
 *
 * Top-k and top-p keep the entries above a threshold, which is found without
 * sorting: a float maps to an unsigned key of the same order, and four passes
 * over the row settle the key byte by byte, counting entries (top-k) or adding
 * up their weights (top-p) per value of the byte.  No pass moves anything.
 *
 * Weights are exp((logit - greatest) / temperature) in f32; sums are double,
 * in a fixed order, and never cross rows. */
#include "gpu/cpu/cpu.h"
#include "gpu/philox.h"
#include "gpu/cpu/vec_kernels.h"

#include <math.h>
#include <stdlib.h>

struct sample {
	const struct vec_kernels *vec;
	const struct gpu_sampling *s;
	uint64_t offset;
	int32_t *ids;               /* -1: the logits are not finite */
	const float *logits, *null; /* null: without text, or NULL where nothing is guided */
	float *guided;              /* [n_rows, n] */
	float *weights;             /* [n_rows, n] */
	int64_t n;
};

/* Unsigned integers in the order of floats; -0 equals 0. */
static uint32_t key_of(float f)
{
	uint32_t u;

	f += 0.0f;
	memcpy(&u, &f, sizeof(u));
	return u & 0x80000000 ? ~u : u | 0x80000000;
}

/* The least key such that the weights (1 each where w is NULL) of all entries
 * with this key or above reach `goal`; *ret_left is what of the goal those
 * above it leave. */
static uint32_t threshold(
	const float *logits, const float *w, int64_t n, double goal, double *ret_left)
{
	uint32_t key = 0;

	for (int shift = 24; shift >= 0; shift -= 8) {
		const uint32_t known = shift == 24 ? 0 : UINT32_MAX << (shift + 8);
		double total[256] = {0};
		int byte = 255;
		for (int64_t i = 0; i < n; i++) {
			uint32_t k = key_of(logits[i]);
			if ((k & known) == key)
				total[k >> shift & 255] += w ? w[i] : 1;
		}
		/* Rounding may leave the goal out of reach: then the least entry that counts. */
		int last = 255;
		for (; byte >= 0 && total[byte] < goal; byte--) {
			goal -= total[byte];
			last = total[byte] > 0 ? byte : last;
		}
		if (byte < 0) {
			byte = last;
			goal = total[byte];
		}
		key |= (uint32_t)byte << shift;
	}
	*ret_left = goal;
	return key;
}

/* Sets the weights of what top-k and top-p leave out to zero. */
static void keep_top(const struct sample *o, const float *logits, float *w)
{
	const struct gpu_sampling *s = o->s;
	double left, total = 0;
	uint32_t key;

	if (s->top_k && s->top_k < o->n) {
		key = threshold(logits, NULL, o->n, s->top_k, &left);
		for (int64_t i = 0; i < o->n; i++)
			w[i] = key_of(logits[i]) < key ? 0 : w[i];
	}
	if (!(s->top_p > 0 && s->top_p < 1))
		return;
	for (int64_t i = 0; i < o->n; i++)
		total += w[i];
	key = threshold(logits, w, o->n, total * s->top_p, &left);
	/* Among equals at the threshold, the first ones until the goal is reached. */
	for (int64_t i = 0; i < o->n; i++) {
		uint32_t k = key_of(logits[i]);
		if (k < key || (k == key && left <= 0))
			w[i] = 0;
		else if (k == key)
			left -= w[i];
	}
}

/* The first entry at which the running sum passes u of the total. */
static int32_t draw(const float *w, int64_t n, double u)
{
	double total = 0, sum = 0;

	for (int64_t i = 0; i < n; i++)
		total += w[i];
	for (int64_t i = 0; i < n; i++) {
		sum += w[i];
		if (sum > u * total)
			return (int32_t)i;
	}
	return -1; /* not reached: u < 1, and both sums are the same additions */
}

static int32_t first_of(const float *x, float value)
{
	int32_t i = 0;

	while (x[i] != value)
		i++;
	return i;
}

static void sample_task(void *ud, const struct cpu_tile *t)
{
	const struct sample *o = ud;
	const struct gpu_sampling *s = o->s;

	for (int64_t r = t->row; r < t->row + t->n_rows; r++) {
		const float *logits = o->logits + r * o->n;
		float *w = o->weights + r * o->n;
		if (o->null) {
			float *guided = o->guided + r * o->n;
			o->vec->guidance(guided, logits, o->null + r * o->n, s->guidance, o->n);
			logits = guided;
		}
		float max = o->vec->max(logits, o->n);
		if (!isfinite(max)) {
			o->ids[r] = -1;
			continue;
		}
		if (s->greedy) {
			o->ids[r] = first_of(logits, max);
			continue;
		}
		o->vec->exp(w, logits, max, s->temperature, o->n);
		keep_top(o, logits, w);
		o->ids[r] = draw(w, o->n,
			philox_uniform(s->seed[r / s->n_streams], (uint32_t)(r % s->n_streams),
				o->offset));
	}
}

void cpu_sample(struct gpu *g, struct gpu_tensor *ids, const struct gpu_tensor *logits,
	const struct gpu_sampling *s)
{
	struct sample o = {
		.vec = cpu_of(g)->vec,
		.s = s,
		.offset = s->offset + (s->at ? (uint64_t) * (const int32_t *)s->at->data : 0),
		.ids = ids->data,
		.logits = logits->data,
		.n = logits->ne[1],
	};

	/* As many floats as there are logits: with guidance twice what the weights take. */
	o.weights = cpu_scratch(g, (size_t)gpu_count(logits) * sizeof(*o.weights));
	if (!o.weights)
		return;
	if (s->guidance != 0) {
		o.null = o.logits + ids->ne[0] * o.n;
		o.guided = o.weights + ids->ne[0] * o.n;
	}
	cpu_rows(g, ids->ne[0], o.n * 8, sample_task, &o);
	for (int64_t r = 0; r < ids->ne[0]; r++) {
		if (o.ids[r] >= 0)
			continue;
		gpu_fail(g, ERR_GPU, "sample: logits of row %lld are not finite", (long long)r);
		return;
	}
}

void cpu_next_column(struct gpu *g, struct gpu_tensor *next, struct gpu_tensor *columns,
	const struct gpu_tensor *drawn, struct gpu_tensor *at)
{
	const int64_t n = columns->ne[1];
	const int32_t *from = drawn->data;
	int32_t *p = at->data, *to = next->data;

	if (*p >= 0 && *p < columns->ne[0]) {
		int32_t *column = (int32_t *)columns->data + *p * n;
		for (int64_t i = 0; i < n; i++)
			column[i] = column[i] < 0 ? from[i] : column[i];
		for (int64_t r = 0; r < next->ne[0]; r++)
			memcpy(to + r * n, column, (size_t)n * sizeof(*to));
	}
	++*p;
}
