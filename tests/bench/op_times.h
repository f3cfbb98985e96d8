/* Where the time of a network goes: the device's table of ops with a clock around each. */
#ifndef WOODSHED_TESTS_BENCH_OP_TIMES_H
#define WOODSHED_TESTS_BENCH_OP_TIMES_H

#include <stdio.h>

struct gpu;

/* From now on g's ops are counted; for one device at a time.  now: the clock. */
void op_times_start(struct gpu *g, double (*now)(void));
/* Forgets what was counted. */
void op_times_clear(void);
/* A line for each kind of op: its share of the time, calls, ms, and of products GFLOP/s. */
void op_times_print(FILE *f);
/* Arithmetic of the products and attentions counted. */
double op_times_flops(void);
/* Its roof: the rate of the largest product that was counted, by itself on random values, best
 * of some passes. */
double op_times_roof(struct gpu *g);
/* That arithmetic / the time of all ops / the roof. */
double op_times_share_of_roof(struct gpu *g);

#endif
