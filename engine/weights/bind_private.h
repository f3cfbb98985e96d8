/* What bind.c and bind_load.c share: a network's slots, before and after they have tensors. */
#ifndef WOODSHED_ENGINE_BIND_PRIVATE_H
#define WOODSHED_ENGINE_BIND_PRIVATE_H

#include "engine/weights/bind.h"
#include "library/base/arena.h"

enum { BIND_TASK_FLOATS = (1 << 20) / sizeof(float) };

enum kind {
	KIND_ROWS, /* matrices, too */
	KIND_SUM,
	KIND_CONV,
	KIND_TRANSPOSED,
};

struct slot {
	enum kind kind;
	bool is_matrix;
	bool is_raw; /* the device takes it as it is in the file */
	enum gpu_dtype dtype;
	const char *name; /* as it was given: a literal that outlives us */
	struct gpu_tensor **dst;
	struct gpu_shape shape; /* of the source, all parts stacked */
	const struct ckpt_tensor **parts;
	size_t n_parts;
	const struct ckpt_tensor *gain; /* of a weight-normed convolution, or NULL */
	struct bind_conv conv;
};

struct names {
	const char **at;
	size_t n, cap;
};

struct bind {
	struct ckpt *ckpt;
	struct gpu *gpu;
	struct gpu_arena *arena;
	int n_threads;
	const char *cache; /* path, or NULL */
	struct arena mem;  /* names and parts */
	struct {
		struct slot *at;
		size_t n, cap;
	} slots;
	bool *is_used; /* [ckpt_count()] */
	size_t n_missing;
	struct names problems; /* in words: those about missing tensors, then the others, mixed */
};

/* Taps of the source that one output of a transposed convolution sees. */
int64_t bind_n_taps(struct bind_conv conv);

/* The tensor on the device, and the elements of a transposed convolution's source. */
int64_t slot_rows(const struct slot *s);
int64_t slot_columns(const struct slot *s);
int64_t slot_transposed_floats(const struct slot *s);

/* Floats of one thread's scratch: rows as they are read, and as they are put. */
size_t bind_scratch_floats(const struct bind *b);

#endif
