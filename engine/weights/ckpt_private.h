/* What the readers of weight files share.  Private to engine/weights/. */
#ifndef WOODSHED_ENGINE_CKPT_PRIVATE_H
#define WOODSHED_ENGINE_CKPT_PRIVATE_H

#include "engine/weights/ckpt.h"
#include "library/base/arena.h"
#include "library/base/sha256.h"

#define CKPT_MAX_TENSORS 65536
/* So that extents, sizes in bits and sums of two offsets fit in 64 bits. */
#define CKPT_MAX_ELEMENTS ((int64_t)1 << 48)

struct ckpt_file {
	const char *name; /* for messages */
	int fd;
	uint64_t size; /* when it was opened */
};

struct ckpt {
	struct arena arena;
	struct {
		struct ckpt_file *at;
		size_t n, cap;
	} files;
	struct {
		struct ckpt_tensor *at; /* sorted by name once open */
		size_t n, cap;
	} tensors;
	struct sha256 hash, times;
	char identity[65], stamp[65];
};

/* Each adds what the file holds to c->tensors and its header to c->hash. */
int safetensors_read(struct ckpt *c, int file, struct err *e);
int torchzip_read(struct ckpt *c, int file, struct err *e);

/* Adds a copy; name need not be terminated. */
int ckpt_add(
	struct ckpt *c, struct ckpt_tensor t, const char *name, size_t name_len, struct err *e);
/* Exactly n bytes: ERR_FORMAT when the file has become shorter. */
int ckpt_pread(const struct ckpt_file *f, uint64_t offset, void *dst, size_t n, struct err *e);
/* The same into new memory, freed with free(); n is bounded by the caller. */
int ckpt_pread_new(
	const struct ckpt_file *f, uint64_t offset, uint64_t n, char **ret, struct err *e);
/* ERR_FORMAT "'file' is damaged (...): download it again". */
int ckpt_damaged(const struct ckpt_file *f, struct err *e, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

uint64_t ckpt_dtype_size(enum ckpt_dtype dtype); /* bytes; 0 for CKPT_OTHER */

#endif
