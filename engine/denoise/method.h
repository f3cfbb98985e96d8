/* method.h: what a method of denoising supplies to denoise.c.
 *
 * A method gets blocks of as many frames as it asks for and gives blocks of what
 * it takes away, `latency` frames late.  A new one is a file and a line in the
 * table in denoise.c. */
#ifndef WOODSHED_ENGINE_DENOISE_METHOD_H
#define WOODSHED_ENGINE_DENOISE_METHOD_H

#include <stdbool.h>
#include <stddef.h>

struct denoise;
struct denoise_desc;
struct denoise_report;
struct err;

struct denoise_method {
	const char *name;
	int rate_hz; /* the only one it works at; 0: any */
	/* rate_hz in d: that at which the method is fed.  *ret is the `m` of the rest. */
	int (*open)(const struct denoise_desc *d, void **ret, struct err *e);
	void (*close)(void *m); /* NULL-safe */
	size_t (*block)(const void *m);
	size_t (*latency)(const void *m); /* frames */
	/* in, removed: a block of interleaved frames each; distinct. */
	int (*process)(void *m, const float *in, float *removed, struct err *e);
	/* Hears a block ahead of all processing; NULL: needs no first pass.
	 * Only the last may be shorter than a block. */
	int (*learn)(void *m, const float *in, size_t n_frames, struct err *e);
	int (*learned)(void *m, struct err *e); /* before the first process */
	/* n_frames after what was processed so far only silence follows; NULL: may ignore it. */
	void (*end)(void *m, size_t n_frames);
	bool (*report)(const void *m, struct denoise_report *ret); /* NULL: cannot */
};

/* denoise_open() with a method that need not be in the table: for tests. */
int denoise_open_method(const struct denoise_desc *d, const struct denoise_method *method,
	struct denoise **ret, struct err *e);

extern const struct denoise_method denoise_df, denoise_ss, denoise_wiener;

#endif
