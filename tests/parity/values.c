#include "tests/parity/values.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/weights/ckpt.h"
#include "gpu/gpu.h"
#include "library/base/err.h"
#include "tests/parity/tap.h"

#define MARGIN 4.0
#define UNIT   0x1p-21 /* two roundings of f32 */

void *need(void *p)
{
	if (!p)
		abort();
	return p;
}

void append(struct values *to, const float *v, size_t n)
{
	to->v = need(realloc(to->v, (to->n + n + 1) * sizeof(*v)));
	memcpy(to->v + to->n, v, n * sizeof(*v));
	to->n += n;
}

struct values values_of(struct gpu *g, const struct gpu_tensor *t)
{
	struct values r = {.n = 1};

	for (int i = 0; i < t->n_dims; i++)
		r.n *= (size_t)t->ne[i];
	r.v = need(malloc((r.n + 1) * sizeof(float)));
	gpu_read(g, t, r.v, r.n * sizeof(float));
	for (size_t i = 0; i < r.n && t->dtype == GPU_I32; i++) {
		int32_t id;

		memcpy(&id, &r.v[i], sizeof(id));
		r.v[i] = (float)id;
	}
	return r;
}

struct values values_read(const struct ckpt *c, const char *name)
{
	const struct ckpt_tensor *t = ckpt_find(c, name);
	struct err e = {0};

	if (!t)
		return (struct values){0};
	struct values r = {.n = (size_t)t->n_elements};
	r.v = need(malloc((r.n + 1) * sizeof(float)));
	if (ckpt_read_f32(c, t, 0, r.n, r.v, &e)) {
		fprintf(stderr, "%s: %s\n", name, e.text);
		abort();
	}
	return r;
}

struct values values_part(const struct ckpt *c, const char *run, const char *part)
{
	char name[128];

	snprintf(name, sizeof(name), part ? "%s.%s" : "%s", run, part);
	return values_read(c, name);
}

struct values transposed(struct values x, size_t rows)
{
	struct values r = {need(malloc((x.n + 1) * sizeof(float))), x.n};
	const size_t columns = x.n / rows;

	for (size_t i = 0; i < rows; i++)
		for (size_t j = 0; j < columns; j++)
			r.v[j * rows + i] = x.v[i * columns + j];
	return r;
}

bool close_to(const char *what, struct values got, struct values want, double noise)
{
	double worst = 0, peak = 0;

	if (got.n != want.n) {
		tap_remark("%s: %zu values, not %zu", what, got.n, want.n);
		return false;
	}
	for (size_t i = 0; i < want.n; i++) {
		const double d = fabs((double)got.v[i] - (double)want.v[i]);
		worst = d > worst || isnan(d) ? d : worst;
		peak = fmax(peak, fabs((double)want.v[i]));
	}
	const double tolerance = MARGIN * noise + UNIT * peak;
	tap_remark("%s: differs by %.2g, may by %.2g (peak %.3g)", what, worst, tolerance, peak);
	return worst <= tolerance;
}

double distance(struct values got, struct values want)
{
	double difference = 0, power = 0;

	for (size_t i = 0; i < want.n; i++) {
		difference += pow((double)got.v[i] - (double)want.v[i], 2);
		power += pow((double)want.v[i], 2);
	}
	return got.n == want.n ? sqrt(difference / power) : INFINITY;
}

bool same_rows(const float *got, const float *want, size_t n)
{
	const double bound = 2 * sqrt(2 * 32 * 4096 / 6.0) * 0x1p-24;
	double sum = 0, size = 0;

	if (strcmp(tap_device(), "cuda") != 0)
		return !memcmp(got, want, n * sizeof(*got));
	for (size_t i = 0; i < n; i++) {
		sum += ((double)got[i] - want[i]) * ((double)got[i] - want[i]);
		size += (double)want[i] * want[i];
	}
	/* NaN is not close. */
	if (sum <= bound * bound * size)
		return true;
	tap_remark("off by %.3g of itself, may by %.3g", sqrt(sum / size), bound);
	return false;
}
