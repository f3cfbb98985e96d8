/* fft.h: a Fourier transform: complex, powers of two, real and imaginary parts apart, so
 * that two channels are one transform.
 *
 * Stockham's form, a pass of radix 16 and then of radix 8 (C. Van Loan, "Computational
 * Frameworks for the Fast Fourier Transform", 1992, section 1.7): no bit reversal, and
 * inner loops over neighbours that a compiler turns into vectors. */
#ifndef WOODSHED_BASE_FFT_H
#define WOODSHED_BASE_FFT_H

#include <stddef.h>

struct err;
struct fft;

/* n: a power of two, 4 or more.  ERR_NOMEM. */
int fft_open(size_t n, struct fft **ret, struct err *e);
void fft_close(struct fft *f); /* NULL-safe */

/* X[k] = sum of x[i] exp(-2 pi j i k / n), in place.  The inverse, without the
 * factor 1/n, is fft_run(f, im, re). */
void fft_run(struct fft *f, float *re, float *im);

#endif
