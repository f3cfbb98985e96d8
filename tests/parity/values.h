/* Arrays of floats that parity tests compare. */
#ifndef WOODSHED_TESTS_PARITY_VALUES_H
#define WOODSHED_TESTS_PARITY_VALUES_H

#include <stdbool.h>
#include <stddef.h>

struct ckpt;
struct gpu;
struct gpu_tensor;

struct values {
	float *v; /* owned */
	size_t n;
};

void *need(void *p); /* aborts on NULL */
void append(struct values *to, const float *v, size_t n);
/* Integers become floats. */
struct values values_of(struct gpu *g, const struct gpu_tensor *t);
/* The tensor of a file; empty when there is none. */
struct values values_read(const struct ckpt *c, const char *name);
/* values_read() of run.part; part NULL: of run alone. */
struct values values_part(const struct ckpt *c, const char *run, const char *part);
/* [rows][n] to [n][rows] */
struct values transposed(struct values x, size_t rows);

/* Tolerances.  noise: the largest difference between the reference in f32 and the same
 * arithmetic in f64.  Another order of summation makes an error of the same size, so two of
 * them differ by up to twice that, and the largest of a thousand values in one draw may
 * be twice that of another: 4.  Two roundings of the largest value cover tensors whose
 * noise happened to be next to nothing. */
bool close_to(const char *what, struct values got, struct values want, double noise);
/* Root mean square of the difference, as a share of want's. */
double distance(struct values got, struct values want);

#endif
