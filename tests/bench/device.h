/* What the benchmarks of engines have in common: which device they run on, how fast its
 * memory is, and where a checkpoint is read from. */
#ifndef WOODSHED_TESTS_BENCH_DEVICE_H
#define WOODSHED_TESTS_BENCH_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

struct gpu;

struct bench_device {
	const char *name; /* "cpu" unless --device says otherwise */
	bool cold;        /* --cold: files come from the disk */
	bool eager;       /* --eager: steps are not replayed */
};
#define BENCH_DEVICE_USAGE "[--device D] [--module woodshed-cuda.so] [--cold] [--eager]"

/* Whether argv[*i] is one of these options; takes its value, too. */
bool bench_device_option(struct bench_device *d, int argc, char **argv, int *i);

/* Ops of another device than the processor are asked for before they are done. */
bool bench_device_is_ahead(const struct bench_device *d);

/* Bytes a second that a copy within the device's memory moves, read and written ones
 * counted: the best of some passes over as much as takes a moment. */
double bench_device_bandwidth(struct gpu *g);

/* Bytes of the weight files in a folder and its folders; with cold, they are not in the
 * page cache afterwards (they are written to the disk first, where they are not yet). */
uint64_t bench_weight_files(const char *dir, bool cold);

#endif
