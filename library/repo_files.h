/* repo_files.h: what lies in a repository of Hugging Face, and which of it a model
 * needs.
 *
 * Files are chosen by their names alone, from a list of names that are known to
 * be of use, in the folder itself and one level down.  So no name that a server
 * thought of ever becomes a path here, and nothing that could run is taken:
 *
 *	config.json		transformers: this folder and no other
 *	model_index.json	diffusers: this folder's descriptions, and in every
 *				folder below it descriptions, tokenizers and weights
 *
 * Weights are safetensors where there are any, in one file or in numbered parts
 * with their index; else PyTorch's.  Other variants (fp16, fp32, flax, onnx, the
 * original's own format) are left. */
#ifndef WOODSHED_LIBRARY_REPO_FILES_H
#define WOODSHED_LIBRARY_REPO_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct err;

struct repo_file {
	const char *path; /* "vae/config.json" */
	uint64_t bytes;
	bool is_lfs;      /* hash is SHA-256; else git's SHA-1 of a blob */
	const char *hash; /* lower-case hex; NULL when told from a folder */
};

struct repo_files {
	struct repo_file *at; /* in the caller's arena */
	size_t n;
	uint64_t bytes; /* of all */
};

enum { REPO_LIST_BYTES_MAX = 1 << 20 };

/* The answer to GET /api/models/REPO/tree/main?recursive=true, at most
 * REPO_LIST_BYTES_MAX bytes.  Entries that are no files are skipped; sizes,
 * hashes and the number of entries are bounded. */
int repo_files_parse(
	const char *text, size_t n, struct arena *a, struct repo_files *ret, struct err *e);

/* The same of a folder on disk, links followed: names and sizes, no hashes.
 * What cannot be read is not there. */
void repo_files_read(const char *dir, struct arena *a, struct repo_files *ret);

/* Those of ALL that a model needs, the description of the whole first, then
 * small before large.  ERR_UNSUPPORTED, with what is missing, when they are no
 * model or not all of one. */
int repo_files_choose(
	const struct repo_files *all, struct arena *a, struct repo_files *ret, struct err *e);

#endif
