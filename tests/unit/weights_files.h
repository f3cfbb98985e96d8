/* Weight files, right and wrong ones, written byte by byte for tests. */
#ifndef WOODSHED_TESTS_WEIGHTS_FILES_H
#define WOODSHED_TESTS_WEIGHTS_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "library/base/str.h"

struct ckpt;
struct ckpt_tensor;

void add_uint(struct str *b, uint64_t v, size_t n_bytes); /* little-endian */

/* Length, header, payload. */
void safetensors(struct str *out, const char *header, const void *payload, size_t n);

/* A zip of stored entries. */
struct zip_writer {
	struct str out, directory;
	unsigned n_entries;
	bool is_wide;     /* all sizes and offsets in zip64 fields */
	unsigned padding; /* bytes of extra field in the local headers only */
	unsigned method;
	unsigned flags;
};
void zip_add(struct zip_writer *z, const char *name, const void *data, size_t n);
void zip_end(struct zip_writer *z); /* z->out is the file */
void zip_done(struct zip_writer *z);

/* Pickle of a dict of tensors: begin, any number of views, end. */
struct view {
	const char *type; /* NULL: FloatStorage */
	const char *key;  /* NULL: "0" */
	int64_t storage_n, first;
	int n_dims;
	int64_t ne[9], stride[9];
};
void pickle_begin(struct str *b);
void pickle_text(struct str *b, const char *s);
void pickle_int(struct str *b, int64_t v);
void pickle_view(struct str *b, const char *name, struct view v);
void pickle_end(struct str *b);

/* A PyTorch file around a pickle, with storage "0" of n bytes. */
void torch_file(const char *path, const struct str *pickle, const void *storage, size_t n);

/* Opens; asserts that it fails with `code` in a printable sentence that has
 * `part` in it. */
void assert_refused(const char *path, int code, const char *part);

/* The element of a fixture's tensor `name` (tests/fixtures/weights/make.py). */
float fixture_value(const char *name, const struct ckpt_tensor *t, uint64_t i);
/* Reads the whole tensor; freed with free(). */
float *read_all(const struct ckpt *c, const char *name);

#endif
