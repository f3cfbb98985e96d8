#include "engine/cli/noise_file.h"

#include <stdlib.h>

#include "engine/weights/ckpt.h"
#include "library/base/arena.h"
#include "library/base/err.h"

enum { VALUES_MAX = 1 << 28 }; /* a gigabyte */

/* *ret stays NULL where there is no such tensor. */
static int read_tensor(const struct ckpt *c, const char *name, const float **ret,
	const struct ckpt_tensor **ret_tensor, struct err *e)
{
	const struct ckpt_tensor *t = ckpt_find(c, name);
	void *values;
	int rc;

	*ret_tensor = t;
	if (!t)
		return 0;
	if (t->n_elements < 1 || t->n_elements > VALUES_MAX)
		return err_set(e, ERR_FORMAT, "'%s' holds %llu values; 1 to %d are possible", name,
			(unsigned long long)t->n_elements, VALUES_MAX);
	rc = mem_try_alloc(&values, t->n_elements, sizeof(float), "noise", e);
	if (rc)
		return rc;
	*ret = values;
	return ckpt_read_f32(c, t, 0, t->n_elements, values, e);
}

int noise_file_read(const char *path, struct engine_noise *ret, struct err *e)
{
	const struct ckpt_tensor *latents = NULL, *steps = NULL;
	struct ckpt *c;
	int rc = ckpt_open_file(path, &c, e);

	*ret = (struct engine_noise){0};
	if (rc)
		return err_wrap(e, rc, "--noise");
	rc = read_tensor(c, "latents", &ret->latents, &latents, e);
	if (!rc)
		rc = read_tensor(c, "steps", &ret->steps, &steps, e);
	if (!rc && !latents)
		rc = err_set(e, ERR_FORMAT,
			"'%s' holds no tensor 'latents'; give the draws that name", path);
	if (!rc) {
		ret->n = (int64_t)latents->n_elements;
		ret->n_steps = steps ? steps->ne[0] : 0;
	}
	if (!rc && steps &&
		(steps->n_dims < 2 ||
			steps->n_elements != latents->n_elements * (uint64_t)steps->ne[0]))
		rc = err_set(e, ERR_FORMAT,
			"'steps' of '%s' is not [steps, ..] with the shape of 'latents' behind it",
			path);
	ckpt_close(c);
	if (rc)
		noise_file_done(ret);
	return rc ? err_wrap(e, rc, "--noise") : 0;
}

void noise_file_done(struct engine_noise *n)
{
	free((void *)(uintptr_t)n->latents);
	free((void *)(uintptr_t)n->steps);
	*n = (struct engine_noise){0};
}
