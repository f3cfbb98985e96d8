#include "tests/parity/described.h"

#include <string.h>

#include "engine/engine.h"
#include "library/base/err.h"
#include "tests/parity/tap.h"

static bool is_same(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

bool is_described(const char *folder, const struct engine_info *info)
{
	struct engine_info d;
	struct err e = {0};

	if (engine_describe(folder, &d, &e)) {
		tap_remark("%s", e.text);
		return false;
	}
	return is_same(d.engine, info->engine) && d.rate == info->rate &&
	       d.channels == info->channels && d.frame_samples == info->frame_samples &&
	       d.default_frames == info->default_frames &&
	       d.longest_frames == info->longest_frames &&
	       d.default_guidance == info->default_guidance &&
	       d.default_steps == info->default_steps &&
	       is_same(d.default_sampler, info->default_sampler) && !d.precision && !d.device &&
	       !d.model_hash && !d.weights_sha256;
}
