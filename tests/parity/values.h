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
 * arithmetic in f64; diffusion models stretch it, and orders.py says what theirs is of.
 * Another order of summation makes an error of the same size, so two of them differ by up
 * to twice that, and the largest of a thousand values in one draw may be twice that of
 * another: 4.  Two roundings of the largest value cover tensors whose noise happened to be
 * next to nothing. */
bool close_to(const char *what, struct values got, struct values want, double noise);
/* Root mean square of the difference, as a share of want's. */
double distance(struct values got, struct values want);

/* What one device made of the same rows, among other rows: the same bits; on CUDA, where
 * cuBLAS sums more than 8 rows in an order that it chooses by their number (gpu.h), close.
 * A sum of K terms is off by some sqrt(K / 6) U of itself, two orders of it by sqrt(2) as
 * much; 32 products of 4096 terms one after the other add up like random numbers, and as
 * much again is a margin. */
bool same_rows(const float *got, const float *want, size_t n);

#endif
