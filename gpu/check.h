/* check.h: what the wrappers of the ops check with.  Private to gpu/ops*.c.
 *
 * A wrapper states its operands, checks shapes, dtypes and layouts, counts the dispatch
 * and calls the device's table.  The first failure is recorded with the op, all operands
 * and their shapes, and stops everything after it:
 *
 *	linear: y 'h' [2, 48], x 'x' [2, 64], w 'qkv' [144, 48]: inner sizes differ */
#ifndef WOODSHED_GPU_CHECK_H
#define WOODSHED_GPU_CHECK_H

#include "gpu/ops.h"

struct operand {
	const char *role;
	const struct gpu_tensor *t;
	bool optional;
};

enum { MAX_OPERANDS = 8 };

struct call {
	struct gpu *g;
	const char *op;
	bool is_ready; /* the device has the op, and no error is pending */
	struct operand operands[MAX_OPERANDS];
};

/* Operands by their names. */
#define IN(t)  ((struct operand){#t, t, false})
#define OPT(t) ((struct operand){#t, t, true})

/* Starts a wrapper: returns unless the device has the op, all operands are there and no
 * error is pending. */
#define CALL(g, name, entry, ...)                                                                  \
	struct call call = {                                                                       \
		g, name, op_is_ready(g, name, (g)->ops->entry != NULL), {__VA_ARGS__}};            \
	if (!op_has_operands(&call))                                                               \
	return

/* In a wrapper: fails with `why`, and returns, unless ok. */
#define NEED(ok, why)                                                                              \
	do {                                                                                       \
		if (!(ok)) {                                                                       \
			op_fail(&call, why);                                                       \
			return;                                                                    \
		}                                                                                  \
	} while (0)

/* Records why the op cannot be, with its operands. */
void op_fail(const struct call *c, const char *why);
/* No error is pending, and the device has the op; else that is the error. */
bool op_is_ready(struct gpu *g, const char *op, bool has_entry);
/* All there, none the empty tensor of an earlier failure. */
bool op_has_operands(const struct call *c);

/* What is wrong with the operands of an op, or NULL (gpu/ops_products.c, gpu/ops.c). */
const char *op_conv2d_fault(const struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct gpu_tensor *w, const struct gpu_tensor *bias, struct gpu_conv2d conv);
const char *op_group_norm_fault(
	const struct gpu_tensor *y, const struct gpu_tensor *x, const struct gpu_group_norm *how);
const char *op_embed_fault(
	const struct gpu_tensor *y, const struct gpu_tensor *table, const struct gpu_tensor *ids);

/* ---- what shapes may be ------------------------------------------------- */

/* Row-major and contiguous. */
bool gpu_is_plain(const struct gpu_tensor *t, enum gpu_dtype dtype);
bool gpu_is_f32(const struct gpu_tensor *t, int rank); /* plain f32 of that rank */
/* Plain f32 [n], or NULL: an operand that may be missing. */
bool gpu_is_vector(const struct gpu_tensor *t, int64_t n);
/* Row-major; contiguous, or a view of a rank-3 tensor along time. */
bool gpu_is_timed(const struct gpu_tensor *t);
bool gpu_is_timed_f32(const struct gpu_tensor *t);
bool gpu_is_matrix(const struct gpu_tensor *t); /* packed, not for convolutions alone */
/* Extents of dimensions first..end-1. */
bool gpu_is_same_extents(
	const struct gpu_tensor *a, const struct gpu_tensor *b, int first, int end);
bool gpu_is_same_shape(const struct gpu_tensor *a, const struct gpu_tensor *b);

#endif
