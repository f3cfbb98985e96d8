/* Checkpoints: tensors by name out of the weight files of a folder.
 *
 * Reads, in the order of transformers, model.safetensors,
 * model.safetensors.index.json (shards), pytorch_model.bin,
 * pytorch_model.bin.index.json.  A safetensors file follows the rules of huggingface/safetensors
 * (safetensors/src/tensor.rs); a .bin file is a PyTorch zip archive whose
 * pickle is interpreted by a machine that knows tensors and nothing else:
 * any other global, opcode or type is refused, nothing is ever executed.
 *
 * Opening reads headers only.  Every number in a file is checked against the
 * file's real size before it is used; files are read with pread, never
 * mapped, so a file that shrinks gives an error and not a signal. */
#ifndef WOODSHED_ENGINE_CKPT_H
#define WOODSHED_ENGINE_CKPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct ckpt;

enum ckpt_dtype {
	CKPT_F32,
	CKPT_F16,
	CKPT_BF16,
	CKPT_F64,
	CKPT_I64,
	CKPT_I32,
	CKPT_I16,
	CKPT_I8,
	CKPT_U8,
	CKPT_BOOL,
	CKPT_OTHER, /* listed, but cannot be read */
};

#define CKPT_MAX_DIMS 8

struct ckpt_tensor {
	const char *name;
	enum ckpt_dtype dtype;
	int n_dims;
	int64_t ne[CKPT_MAX_DIMS];     /* outermost first; n_dims 0 is a scalar */
	int64_t stride[CKPT_MAX_DIMS]; /* in elements */
	int file;                      /* index into the checkpoint's files */
	uint64_t offset;               /* of the first element, in the file */
	uint64_t n_elements;
};

/* dir/... as above. */
int ckpt_open(const char *dir, struct ckpt **ret, struct err *e);
/* The folders `parts` (ends with NULL; "": dir itself) of a diffusers pipeline as one
 * checkpoint: tensor x of transformer/ is called "transformer/x".  The files of a part
 * are named as above, or diffusion_pytorch_model for model. */
int ckpt_open_parts(const char *dir, const char *const *parts, struct ckpt **ret, struct err *e);
/* One file by its path, .safetensors or PyTorch zip (told by its content). */
int ckpt_open_file(const char *path, struct ckpt **ret, struct err *e);
void ckpt_close(struct ckpt *c); /* NULL-safe */

size_t ckpt_count(const struct ckpt *c);
const struct ckpt_tensor *ckpt_at(const struct ckpt *c, size_t i);
const struct ckpt_tensor *ckpt_find(const struct ckpt *c, const char *name); /* or NULL */
uint64_t ckpt_bytes(const struct ckpt *c);                                   /* of all files */
/* hex sha256 over names, sizes, headers and samples of the payload of the files:
 * tells two checkpoints apart in milliseconds, those of one shape, too. */
const char *ckpt_identity(const struct ckpt *c);
/* The same with the times at which the files were changed last: tells also when
 * a single value of a file was changed in place. */
const char *ckpt_stamp(const struct ckpt *c);

/* hex sha256 of the weights: of the file, as sha256sum prints it; of several files, that of
 * the lines that sha256sum prints of them in the order of their names.  Reads all of them
 * (a gigabyte in one to five seconds), unless the file `memory` (NULL: none) holds what
 * an earlier call found for this stamp.  stop: NULL, or called every few megabytes; what
 * it returns other than 0 ends with ERR_CANCELLED. */
int ckpt_sha256(const struct ckpt *c, const char *memory, int (*stop)(void *ud), void *ud,
	char ret[65], struct err *e);

/* Elements first..first+n-1 of the tensor in row-major order (strided views
 * are gathered) as f32, from any numeric dtype.  ERR_FORMAT naming the tensor
 * when a value is NaN or infinite, or the file has become shorter.  May be
 * called from several threads; uses at most 1 MB of its own. */
int ckpt_read_f32(const struct ckpt *c, const struct ckpt_tensor *t, uint64_t first, uint64_t n,
	float *dst, struct err *e);
/* The same as they are in the file, where that is one run of f32, f16 or bf16. */
bool ckpt_is_raw(const struct ckpt_tensor *t);
int ckpt_read_raw(const struct ckpt *c, const struct ckpt_tensor *t, uint64_t first, uint64_t n,
	void *dst, struct err *e);

#endif
