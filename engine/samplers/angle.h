/* angle.h: v-diffusion's sampler, whose plan sigma.c hands out with those over sigma. */
#ifndef WOODSHED_ENGINE_SAMPLERS_ANGLE_H
#define WOODSHED_ENGINE_SAMPLERS_ANGLE_H

#include "engine/samplers/sampler.h"

#define ANGLE_DDIM       "v-ddim"
#define ANGLE_DDIM_CFGPP "v-ddim-cfgpp"

/* n_steps from the angle whose tangent is sigma_max, INFINITY too. */
void angle_plan(
	const char *name, int n_steps, double sigma_max, struct arena *a, struct sampler_plan *ret);

#endif
