/* Converted weights on disk, so that the next start reads them as the device
 * keeps them instead of converting the checkpoint again.
 *
 * One file holds the tensors of one table:
 *	head     CACHE_HEAD bytes: a magic line and a SHA-256 of everything that
 *	         makes the payload what it is (the caller's key, the device's
 *	         layout, name, dtype, shape and size of each tensor)
 *	payload  the tensors' bytes one after the other
 *	sums     XXH3-64 of every CACHE_CHUNK bytes of payload
 * The file is compared with what would be written today and no number is read
 * from it, so a file of another model, version or device, a cut one and a
 * damaged one are all the same: not there. */
#ifndef WOODSHED_ENGINE_CACHE_H
#define WOODSHED_ENGINE_CACHE_H

#include "gpu/gpu.h"

struct err;
struct pool;

struct cache_table {
	const char *path;
	const char *key; /* what the tensors were converted from, and how */
	struct gpu *gpu;
	struct gpu_tensor *const *tensors;
	size_t n;
	struct pool *pool;
	/* May be NULL; bytes of payload; called on the calling thread; non-zero
	 * cancels a read. */
	int (*progress)(void *ud, uint64_t done, uint64_t total);
	void *ud;
};

/* 1: the tensors are filled.  0: no such file, their contents are undefined.
 * ERR_CANCELLED, or what the device says. */
int cache_read(const struct cache_table *t, struct err *e);
/* Writes a file without a name and names it when it is complete; makes the
 * folder (0700).  Failing is harmless: *e says why, nothing is left. */
int cache_write(const struct cache_table *t, struct err *e);

#endif
