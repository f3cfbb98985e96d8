/* Any bytes as a config.json, asked as the networks ask. */
#include <math.h>

#include "engine/weights/config.h"
#include "library/base/err.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct config *c;
	struct err e = {0};
	int64_t list[8];
	int rc = config_open(fuzz_file(data, n), &c, &e);

	FUZZ_REQUIRE(rc == e.code && !c == (rc != 0));
	if (rc)
		return 0;
	int64_t i = config_int(c, "decoder.hidden_size", CONFIG_REQUIRED, 1, 65536);
	FUZZ_REQUIRE(i >= 1 && i <= 65536);
	i = config_int(c, "decoder.vocab_size", 2048, 1, 65536);
	FUZZ_REQUIRE(i >= 1 && i <= 65536);
	double x = config_num(c, "audio_encoder.trim_right_ratio", NAN, 0, 1);
	FUZZ_REQUIRE(x >= 0 && x <= 1);
	int k = config_ints(c, "audio_encoder.upsampling_ratios", true, list, 8, 1, 64);
	FUZZ_REQUIRE(k >= 0 && k <= 8);
	while (k--)
		FUZZ_REQUIRE(list[k] >= 1 && list[k] <= 64);
	FUZZ_REQUIRE(config_str(c, "model_type", NULL));
	(void)config_bool(c, "audio_encoder.use_causal_conv", false);
	(void)config_has(c, "text_encoder.d_model");
	rc = config_check(c, &e);
	FUZZ_REQUIRE(rc == e.code);
	config_close(c);
	return 0;
}
