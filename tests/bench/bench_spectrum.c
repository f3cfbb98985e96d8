/* A spectrogram of 47 s of stereo at 44.1 kHz: how long until there is a picture,
 * and until it is finished.
 *
 *	bench_spectrum [COLUMNS ROWS [FFT]]
 *
 * In slices of 64 transforms, as the workstation's helper thread works, and read
 * as a whole at both points.  Wall-clock time and time of the thread's processor;
 * they differ where others keep the machine busy.  The best of seven. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "library/base/arena.h"
#include "library/base/clock.h"
#include "library/base/err.h"
#include "library/spectrum.h"

enum { RATE = 44100, SECONDS = 47, RUNS = 7, SLICE = 64 };

struct times {
	double wall, processor; /* ms */
};

static struct times now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (struct times){1e3 * clock_now(), 1e3 * (double)t.tv_sec + 1e-6 * (double)t.tv_nsec};
}

static void keep_best(struct times *best, struct times began)
{
	struct times t = now();

	best->wall = fmin(best->wall, t.wall - began.wall);
	best->processor = fmin(best->processor, t.processor - began.processor);
}

/* Noise, with two chirps: nothing of it is silent, or denormal. */
static float *make_samples(size_t n_frames)
{
	float *x = xcalloc(n_frames * 2, sizeof(*x));
	uint64_t state = 1;

	for (size_t i = 0; i < n_frames; i++) {
		double t = (double)i / RATE;

		state = state * 6364136223846793005u + 1442695040888963407u;
		x[2 * i] = (float)(0.3 * sin(60 * t * t) + 1e-3 * (double)(state >> 40) * 0x1p-24);
		x[2 * i + 1] = (float)(0.3 * sin(900 * t * t));
	}
	return x;
}

static void run(
	const struct spectrum_desc *d, uint8_t *levels, struct times *first, struct times *finished)
{
	const struct times began = now();
	const size_t columns = (size_t)d->columns;
	struct spectrum *s;
	struct err e = {0};

	if (spectrum_open(d, &s, &e)) {
		fprintf(stderr, "bench_spectrum: %s\n", e.text);
		exit(1);
	}
	while (spectrum_coarse(s) < columns)
		spectrum_work(s, SLICE);
	spectrum_read(s, 0, columns, levels);
	keep_best(first, began);
	while (spectrum_work(s, SLICE))
		;
	spectrum_read(s, 0, columns, levels);
	keep_best(finished, began);
	spectrum_close(s);
}

int main(int argc, char **argv)
{
	const size_t n = (size_t)RATE * SECONDS;
	struct spectrum_desc d = {
		.samples = make_samples(n),
		.n_frames = n,
		.channels = 2,
		.rate_hz = RATE,
		.columns = argc > 2 ? (int)strtol(argv[1], NULL, 10) : 1600,
		.rows = argc > 2 ? (int)strtol(argv[2], NULL, 10) : 600,
		.fft = argc > 3 ? (int)strtol(argv[3], NULL, 10) : 0,
	};
	uint8_t *levels = xcalloc((size_t)d.columns * (size_t)d.rows, 1);
	struct times first = {INFINITY, INFINITY}, finished = {INFINITY, INFINITY};

	for (int i = 0; i < RUNS; i++)
		run(&d, levels, &first, &finished);
	printf("%d s of stereo at %d Hz, %dx%d cells\n", SECONDS, RATE, d.columns, d.rows);
	printf("first picture  %6.1f ms  (processor %.1f ms)\n", first.wall, first.processor);
	printf("finished       %6.1f ms  (processor %.1f ms)\n", finished.wall, finished.processor);
	free(levels);
	free((float *)d.samples);
	return 0;
}
