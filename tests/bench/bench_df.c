/* DeepFilterNet 3: a minute's worth of its speed.
 *
 *	bench_df WEIGHTS [CHANNELS [SECONDS [THREADS]]]
 *
 * Whole signals (blocks of hops, as files are made), the second time measured
 * first, then hop by hop, as a live stream would come.  Wall-clock time and time
 * of the processor, the best of five; memory is the process's peak. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include "engine/denoise/df.h"
#include "library/base/arena.h"
#include "library/base/clock.h"
#include "library/base/err.h"

enum { RUNS = 5, BUFFER = 100 /* hops */ };

struct times {
	double wall, processor; /* s */
};

static struct times now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (struct times){clock_now(), (double)t.tv_sec + 1e-9 * (double)t.tv_nsec};
}

/* Noise with a chirp: nothing of it is silent, or denormal. */
static float *make_samples(int64_t n_frames, int n_channels)
{
	float *x = xcalloc((size_t)(n_frames * n_channels), sizeof(*x));
	uint64_t state = 1;

	for (int64_t i = 0; i < n_frames * n_channels; i++) {
		const double t = (double)(i / n_channels) / DF_RATE;
		state = state * 6364136223846793005u + 1442695040888963407u;
		x[i] = (float)(0.1 * sin(60 * t * t) + 0.1 * (double)(state >> 40) * 0x1p-24);
	}
	return x;
}

static void run(struct df *d, const float *x, int n_channels, int64_t n_hops, int64_t step,
	int measure, const char *what)
{
	float *y = xcalloc((size_t)(BUFFER * DF_HOP * n_channels), sizeof(*y));
	struct times best = {INFINITY, INFINITY};
	struct err e = {0};
	const int64_t hop = (int64_t)DF_HOP * n_channels;

	for (int i = 0; i < RUNS; i++) {
		const struct times began = now();
		df_reset(d);
		if (measure)
			df_measure(d, x, n_hops * DF_HOP);
		for (int64_t t = 0; t < n_hops; t += step)
			if (df_process(
				    d, x + t * hop, y, n_hops - t < step ? n_hops - t : step, &e))
				fprintf(stderr, "%s\n", e.text);
		const struct times end = now();
		best.wall = fmin(best.wall, end.wall - began.wall);
		best.processor = fmin(best.processor, end.processor - began.processor);
	}
	const double seconds = (double)n_hops * DF_HOP / DF_RATE;
	printf("%-28s wall %6.3f s, %5.1f x real time; processor %6.3f s, %5.1f x\n", what,
		best.wall, seconds / best.wall, best.processor, seconds / best.processor);
	free(y);
}

int main(int argc, char **argv)
{
	const int n_channels = argc > 2 ? atoi(argv[2]) : 2;
	const int64_t n_hops = (argc > 3 ? atoi(argv[3]) : 47) * (DF_RATE / DF_HOP);
	struct err e = {0};
	struct df *d;
	struct rusage r;

	if (argc < 2)
		return 2;
	const double began = clock_now();
	if (df_open(argv[1], n_channels, argc > 4 ? atoi(argv[4]) : 1, &d, &e)) {
		fprintf(stderr, "%s\n", e.text);
		return 1;
	}
	printf("%-28s wall %6.3f s\n", "open", clock_now() - began);
	float *x = make_samples(n_hops * DF_HOP, n_channels);
	run(d, x, n_channels, n_hops, BUFFER, 0, "whole signal");
	run(d, x, n_channels, n_hops, BUFFER, 1, "whole signal, measured first");
	run(d, x, n_channels, n_hops, 1, 0, "hop by hop");
	getrusage(RUSAGE_SELF, &r);
	printf("peak memory %.1f MB, of which the signal %.1f MB\n", (double)r.ru_maxrss / 1024,
		(double)(n_hops * DF_HOP * n_channels) * sizeof(*x) / 1048576);
	df_close(d);
	free(x);
	return 0;
}
