/* dpm.h: DPM-Solver's two samplers.  Private to engine/samplers/. */
#ifndef WOODSHED_ENGINE_SAMPLERS_DPM_H
#define WOODSHED_ENGINE_SAMPLERS_DPM_H

#include "engine/samplers/sampler.h"

#define DPM_FAST     "k-dpm-fast"
#define DPM_ADAPTIVE "k-dpm-adaptive"

/* The plan of either, between sigmas.max and sigmas.min; n_estimates, 2 or more, of the
 * fast one. */
void dpm_plan(const char *name, int n_estimates, struct sampler_sigmas sigmas, struct arena *a,
	struct sampler_plan *ret);

#endif
