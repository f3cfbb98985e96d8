/* The pickle of a PyTorch file, read by a machine that knows tensors and
 * nothing else.  Private to engine/weights/.
 *
 * Values are numbers, texts, tuples, dicts, storages and tensors.  The only
 * callables are collections.OrderedDict (empty), _rebuild_tensor_v2 and
 * _rebuild_parameter, and each is a case in a switch: nothing that the file
 * names is ever looked up or run.  What a state dict does not need (other
 * globals, opcodes, protocols) is refused. */
#ifndef WOODSHED_ENGINE_PICKLE_H
#define WOODSHED_ENGINE_PICKLE_H

#include <stddef.h>
#include <stdint.h>

#include "engine/weights/ckpt.h"

/* A tensor by name: a view that lies within its storage. */
struct pickle_tensor {
	const char *name, *key; /* UTF-8 without NUL, not terminated; in the pickle */
	size_t name_len, key_len;
	enum ckpt_dtype dtype;
	int64_t storage_n; /* elements of storage `key` */
	int64_t first;     /* elements before the view's first */
	uint64_t n_elements;
	int n_dims;
	int64_t ne[CKPT_MAX_DIMS];
	int64_t stride[CKPT_MAX_DIMS];
};

/* Calls fn for each tensor of the dict that the pickle holds; a non-zero
 * return ends it.  file: for messages. */
int pickle_read(const void *pickle, size_t n, const char *file,
	int (*fn)(void *ud, const struct pickle_tensor *t, struct err *e), void *ud, struct err *e);

#endif
