#include "tests/parity/described.h"

#include <string.h>

#include "engine/engine.h"
#include "gpu/gpu.h"
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

bool is_weighed(const char *folder, struct engine *en)
{
	const struct engine_info *info = engine_info(en);
	struct engine_needs needs;
	struct err e = {0};
	uint64_t told = 0;

	if (engine_needs(folder, engine_gpu(en), &needs, &e)) {
		tap_remark("%s", e.text);
		return false;
	}
	for (enum engine_precision p = ENGINE_F32; p <= ENGINE_INT8; p++)
		if (!strcmp(info->precision, engine_precision_name(p)))
			told = needs.weights[p];
	tap_remark("weights: %llu bytes told, %llu there", (unsigned long long)told,
		(unsigned long long)gpu_bytes_live(engine_gpu(en)));
	return told == gpu_bytes_live(engine_gpu(en));
}
