/* spectral.h: what `ss` and `wiener` share: a short and a long window, between which
 * time and frequency decide, and the noise learned beforehand.
 *
 * Time goes in cells of one hop of the long window (2048 frames at 48 kHz, 4 frames
 * of the short window).  In each cell and each of some 24 bands the window whose
 * estimated risk is less does the work; what is taken out is the sum of both
 * windows' parts.  Method: ss stops at the shares of resolution.h, which are those
 * of power spectral subtraction with over-subtraction; wiener takes what they
 * leave as the estimate of the music that the Wiener filter needs. */
#ifndef WOODSHED_ENGINE_DENOISE_SPECTRAL_H
#define WOODSHED_ENGINE_DENOISE_SPECTRAL_H

#include <stdbool.h>
#include <stddef.h>

struct denoise_desc;
struct denoise_report;
struct err;

/* Of a method. */
struct spectral_rule {
	float wiener;   /* noise over pilot in the Wiener filter; 0: no second stage */
	float limit_db; /* the most by which a cell is lowered; more where noise was marked */
};

int spectral_open(
	const struct denoise_desc *d, const struct spectral_rule *rule, void **ret, struct err *e);
void spectral_close(void *m);
size_t spectral_block(const void *m);
size_t spectral_latency(const void *m);
int spectral_process(void *m, const float *in, float *removed, struct err *e);
int spectral_learn(void *m, const float *in, size_t n_frames, struct err *e);
int spectral_learned(void *m, struct err *e);
bool spectral_report(const void *m, struct denoise_report *ret);

#endif
