/* Latents are cos(phi) clean + sin(phi) noise, and phi falls evenly to 0 (Salimans and Ho
 * 2022, "Progressive Distillation", appendix D; stable-audio-tools, inference/sampling.py):
 *
 *	v-ddim		DDIM, eta 0: x' = alpha' d + sigma' (x - alpha d) / sigma
 *	v-ddim-cfgpp	Chung et al. 2024, "CFG++": the noise is what the model sees without
 *			guidance */
#include "engine/samplers/angle.h"

#include <math.h>
#include <string.h>

#include "library/base/arena.h"

void angle_plan(
	const char *name, int n_steps, double sigma_max, struct arena *a, struct sampler_plan *ret)
{
	const double begin = atan(sigma_max);
	const bool is_plus = !strcmp(name, ANGLE_DDIM_CFGPP);

	*ret = (struct sampler_plan){.n = n_steps,
		.n_ticks = n_steps,
		.n_steps = n_steps,
		.start = sin(begin),
		.has_unguided = is_plus};
	ret->steps = ARENA_ARRAY(a, struct sampler_step, (size_t)n_steps);
	for (int i = 0; i < n_steps; i++) {
		const double from = begin * (n_steps - i) / n_steps,
			     to = begin * (n_steps - i - 1) / n_steps;
		struct sampler_step *s = &ret->steps[i];

		*s = (struct sampler_step){.time = tan(from),
			.alpha = cos(from),
			.sigma = sin(from),
			.x = sin(to) / sin(from),
			.next_alpha = cos(to),
			.next_sigma = sin(to),
			.number = i + 1};
		s->d[0] = s->next_alpha;
		*(is_plus ? &s->unguided : &s->d[0]) -= s->alpha * s->x;
	}
}
