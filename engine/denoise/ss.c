/* Spectral subtraction: G = max(1 - a / m, floor) on the complex spectrum, m being
 * the power over the noise, averaged where that does no harm (resolution.h).  a falls
 * from c > 1 at m = c towards 1: over-subtraction that ends where the music is loud, as
 * that of M. Berouti, R. Schwartz, J. Makhoul, "Enhancement of speech corrupted by
 * acoustic noise", ICASSP 1979.
 *
 * Fixed, as none of it asks for an ear: the power domain, since c then follows from
 * the distribution of a mean of n powers, near 1 for wide ones; the floor, -40 dB, or -50 where
 * noise was marked.  --strength multiplies the noise, and so is over-subtraction by the user's
 * hand. */
#include "engine/denoise/method.h"
#include "engine/denoise/spectral.h"

static int ss_open(const struct denoise_desc *d, void **ret, struct err *e)
{
	return spectral_open(d, &(struct spectral_rule){.limit_db = 40}, ret, e);
}

const struct denoise_method denoise_ss = {
	.name = "ss",
	.open = ss_open,
	.close = spectral_close,
	.block = spectral_block,
	.latency = spectral_latency,
	.process = spectral_process,
	.learn = spectral_learn,
	.learned = spectral_learned,
	.report = spectral_report,
};
