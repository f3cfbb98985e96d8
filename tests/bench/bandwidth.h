/* How fast this machine's memory can be read: the roof of what streams weights. */
#ifndef WOODSHED_TESTS_BENCH_BANDWIDTH_H
#define WOODSHED_TESTS_BENCH_BANDWIDTH_H

#include <stddef.h>

/* Bytes a second that so many threads (0: one per processor) can read, the best of
 * twelve passes over a buffer of so many bytes; 0 when there is no memory for it. */
double measure_bandwidth(int n_threads, size_t bytes);

#endif
