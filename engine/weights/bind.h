/* Bind tables: which tensors of a checkpoint a network takes, in which shape,
 * and how they are laid out.
 *
 * A network states everything it wants with the calls below, then calls
 * bind_load() once.  That checks all names and shapes and reports every
 * missing and mis-shaped tensor in one error (the count, then the names, as many as fit),
 * allocates, and reads and converts tensor by tensor on all
 * threads with a few MB of scratch.  Nothing large is allocated before all
 * checks have passed.
 *
 * A name is a printf format with two additions, expanded in this order:
 *	"a.weight|b.weight"        the first that exists
 *	"x.{q,k,v}_proj.weight"    several tensors, stacked along dimension 0
 *	"emb.{0..3}.weight"        the same with a range
 * The stated shape is that of the stack; the parts must share it equally, and
 * a part of one row may lack dimension 0: "cb.{0..3}.embed" of [V, D] each make
 * up [4, V, D].  The format is also the tensor's name in messages, so it must
 * be a literal. */
#ifndef WOODSHED_ENGINE_BIND_H
#define WOODSHED_ENGINE_BIND_H

#include "gpu/gpu.h"

struct bind;
struct ckpt;
struct err;

/* The tensors are allocated from `a`; struct bind is freed by bind_free().
 * n_threads: how many threads read and convert (0: one per processor). */
struct bind *bind_new(struct ckpt *c, struct gpu *g, struct gpu_arena *a, int n_threads);
void bind_free(struct bind *b);

#define BIND_NAME(n) __attribute__((format(printf, n, (n) + 1)))

/* Row-major tensor (norms, biases, tables): F32 or BF16. */
void bind_rows(struct bind *b, struct gpu_tensor **dst, enum gpu_dtype dtype,
	struct gpu_shape shape, const char *name, ...) BIND_NAME(5);
/* The parts are added up instead of stacked: LSTM biases. */
void bind_sum(struct bind *b, struct gpu_tensor **dst, struct gpu_shape shape, const char *name,
	...) BIND_NAME(4);
/* Packed matrix [n_out, n_in]. */
void bind_matrix(struct bind *b, struct gpu_tensor **dst, enum gpu_dtype dtype, int64_t n_out,
	int64_t n_in, const char *name, ...) BIND_NAME(6);

/* A convolution in the layout of gpu_conv1d (transposed: gpu_conv_transpose1d)
 * and its bias [n_out], from `prefix`.weight, or weight-normed: .weight_g and
 * .weight_v, or .parametrizations.weight.original0 and .original1, folded in
 * f32 as w = v * g / ||v|| with the norm over all dimensions but the first
 * (for transposed convolutions that is the input channel).  dst_bias NULL: it has none. */
struct bind_conv {
	int64_t n_out, n_in, kernel;
	int64_t stride; /* transposed only */
	bool transposed;
	bool square; /* a kernel x kernel one, in the layout of gpu_conv2d */
};
void bind_conv(struct bind *b, struct gpu_tensor **dst, struct gpu_tensor **dst_bias,
	enum gpu_dtype dtype, struct bind_conv conv, const char *prefix, ...) BIND_NAME(6);

/* A product whose weight lies transposed in the file, [n_in, n_out] (GPT-2's Conv1D), and
 * its bias [n_out], from `prefix`.weight and `prefix`.bias. */
void bind_transposed(struct bind *b, struct gpu_tensor **dst, struct gpu_tensor **dst_bias,
	enum gpu_dtype dtype, int64_t n_out, int64_t n_in, const char *prefix, ...) BIND_NAME(7);

/* Names that may be there and are not used; '*' matches any run. */
void bind_ignore(struct bind *b, const char *pattern);

/* bind_load() reads the converted weights from this file when it holds what
 * this table and this checkpoint would give, and leaves it there otherwise
 * (engine/weights/cache.h).  A device that converts rows itself does without where
 * what it would hold is not clearly less than what the table reads: int8 of any file
 * and bf16 of one in f32 are cached, bf16 of one in 16 bits is not.  The path is
 * borrowed. */
void bind_use_cache(struct bind *b, const char *path);

/* Bytes on the device of everything bound so far. */
uint64_t bind_bytes(const struct bind *b);

/* Checks only: ERR_FORMAT with all missing and mis-shaped tensors, or ERR_NOMEM when
 * bind_bytes() and scratch exceed what is free (needed, free, and the next smaller precision
 * as remedy).  ret_unused (may be NULL): one line that lists tensors nobody asked for, or "". */
int bind_check(struct bind *b, char *ret_unused, size_t unused_size, struct err *e);
/* bind_check(), then allocates and reads.  progress may be NULL, counts bytes of the files and is
 * called on the calling thread; non-zero return cancels. */
int bind_load(struct bind *b, int (*progress)(void *ud, uint64_t done, uint64_t total), void *ud,
	struct err *e);

#endif
