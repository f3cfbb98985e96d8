/* The Wiener filter S / (S + mu N), with what spectral subtraction leaves as the
 * estimate S of the music. */
#include "engine/denoise/method.h"
#include "engine/denoise/spectral.h"

static int wiener_open(const struct denoise_desc *d, void **ret, struct err *e)
{
	return spectral_open(d, &(struct spectral_rule){.wiener = 0.6f, .limit_db = 40}, ret, e);
}

const struct denoise_method denoise_wiener = {
	.name = "wiener",
	.open = wiener_open,
	.close = spectral_close,
	.block = spectral_block,
	.latency = spectral_latency,
	.process = spectral_process,
	.learn = spectral_learn,
	.learned = spectral_learned,
	.report = spectral_report,
};
