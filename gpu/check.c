/* What the wrappers of the ops check with. */
#include "gpu/check.h"

#include <stdio.h>

void op_fail(const struct call *c, const char *why)
{
	char list[768], text[GPU_SHAPE_TEXT];
	size_t n = 0;

	list[0] = '\0';
	for (int i = 0; i < MAX_OPERANDS && c->operands[i].role && n < sizeof(list); i++) {
		const struct gpu_tensor *t = c->operands[i].t;
		if (!t)
			continue;
		n += (size_t)snprintf(list + n, sizeof(list) - n, "%s%s '%.60s' %s", n ? ", " : "",
			c->operands[i].role, t->name, gpu_shape_text(t->ne, t->n_dims, text));
	}
	gpu_fail(c->g, ERR_BUG, "%s: %s: %s", c->op, list, why);
}

bool op_is_ready(struct gpu *g, const char *op, bool has_entry)
{
	if (gpu_failed(g))
		return false;
	if (!has_entry)
		gpu_fail(
			g, ERR_UNSUPPORTED, "%s: the %s device has no such op", op, g->ops->device);
	return has_entry;
}

bool op_has_operands(const struct call *c)
{
	if (!c->is_ready)
		return false;
	for (int i = 0; i < MAX_OPERANDS && c->operands[i].role; i++) {
		const struct operand *o = &c->operands[i];
		if (!o->t && o->optional)
			continue;
		if (!o->t)
			gpu_fail(c->g, ERR_BUG, "%s: %s is missing", c->op, o->role);
		else if (!o->t->data)
			op_fail(c, "an operand is empty");
		if (gpu_failed(c->g))
			return false;
	}
	return true;
}

/* ---- what shapes may be ------------------------------------------------- */

bool gpu_is_plain(const struct gpu_tensor *t, enum gpu_dtype dtype)
{
	return t->layout == GPU_ROWS && t->dtype == dtype && gpu_is_contiguous(t);
}

bool gpu_is_f32(const struct gpu_tensor *t, int rank)
{
	return gpu_is_plain(t, GPU_F32) && t->n_dims == rank;
}

bool gpu_is_vector(const struct gpu_tensor *t, int64_t n)
{
	return !t || (gpu_is_f32(t, 1) && t->ne[0] == n);
}

bool gpu_is_timed(const struct gpu_tensor *t)
{
	return t->layout == GPU_ROWS &&
	       (gpu_is_contiguous(t) || (t->n_dims == 3 && t->nb[2] == 1 &&
						(t->nb[1] == t->ne[2] || t->ne[1] == 1)));
}

bool gpu_is_timed_f32(const struct gpu_tensor *t)
{
	return gpu_is_timed(t) && t->dtype == GPU_F32;
}

bool gpu_is_matrix(const struct gpu_tensor *t)
{
	return t->layout == GPU_MATRIX && t->dtype != GPU_WINOGRAD;
}

bool gpu_is_same_extents(const struct gpu_tensor *a, const struct gpu_tensor *b, int first, int end)
{
	for (int i = first; i < end; i++)
		if (a->ne[i] != b->ne[i])
			return false;
	return true;
}

bool gpu_is_same_shape(const struct gpu_tensor *a, const struct gpu_tensor *b)
{
	return a->n_dims == b->n_dims && gpu_is_same_extents(a, b, 0, a->n_dims);
}
