/* A stream through DeepFilterNet 3, for compare.py and by hand.
 *
 *	test-df-run WEIGHTS CHANNELS HOPS MEASURE < raw > raw
 *
 * Interleaved f32 at 48 kHz; HOPS a call; MEASURE 1: at the level it works best.
 * The output has the input's length and is aligned to it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/denoise/df.h"
#include "library/base/arena.h"
#include "library/base/err.h"

enum { CHUNK = 1 << 16 };

static float *read_all(int n_channels, int64_t *ret_frames)
{
	const size_t frame = (size_t)n_channels * sizeof(float);
	size_t n = 0, cap = 0, got;
	float *x = NULL;

	do {
		if (n + CHUNK > cap)
			x = xrealloc(x, cap = 2 * cap + CHUNK, frame);
		got = fread((char *)x + n * frame, frame, CHUNK, stdin);
		n += got;
	} while (got == CHUNK);
	*ret_frames = (int64_t)n;
	return x;
}

int main(int argc, char **argv)
{
	struct err e = {0};
	struct df *d;
	int64_t n_frames;

	if (argc != 5)
		return 2;
	const int n = atoi(argv[2]), hops = atoi(argv[3]);
	if (df_open(argv[1], n, 1, &d, &e)) {
		fprintf(stderr, "%s\n", e.text);
		return 1;
	}
	float *x = read_all(n, &n_frames);
	const int64_t n_hops = (n_frames + DF_LATENCY + DF_HOP - 1) / DF_HOP;
	const size_t hop = (size_t)DF_HOP * (size_t)n, total = (size_t)n_hops * hop;
	const size_t given = (size_t)n_frames * (size_t)n;
	x = xrealloc(x, total, sizeof(*x));
	memset(x + given, 0, (total - given) * sizeof(*x));
	if (atoi(argv[4]))
		df_measure(d, x, n_frames);
	df_end(d, n_frames);
	int rc = 0;
	for (int64_t i = 0; i < n_hops && !rc; i += hops) {
		float *at = x + (size_t)i * hop;
		rc = df_process(d, at, at, n_hops - i < hops ? n_hops - i : hops, &e);
	}
	if (rc)
		fprintf(stderr, "%s\n", e.text);
	else
		fwrite(x + DF_LATENCY * n, sizeof(*x) * (size_t)n, (size_t)n_frames, stdout);
	df_close(d);
	free(x);
	return rc != 0;
}
