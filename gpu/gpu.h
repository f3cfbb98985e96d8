/* gpu.h: tensors, and every op that a network may use.
 *
 * A network is a function of tensors written with the calls below; it never
 * sees which device runs them.  Each device is a table of ops (gpu/ops.h):
 * gpu/cpu is linked in, gpu/cuda is a module loaded at run time.  Ops run at
 * once and in order; there is no graph.  gpu/ops.c checks shapes and dtypes,
 * counts dispatches and calls through the table.  An op that a table lacks is
 * an error that names the op, never a detour over another device.
 *
 * Errors are sticky: the first op that fails records what failed, later ops
 * do nothing, and the caller asks once, with gpu_sync().  Tensor constructors
 * never return NULL; after a failure they return an empty tensor that later
 * ops ignore.
 *
 * Shapes are written outermost first, as in PyTorch: [T, C] has C contiguous.
 * A tensor belongs to an arena and lives until the arena is freed or released
 * to an earlier mark.  One struct gpu is used by one thread at a time; only
 * what puts rows may be called from several.
 *
 * The same inputs give the same bits, whatever the number of threads, in every run.
 * On the processor a row of a batch gives the bits of the row alone, too; on CUDA it
 * does among up to 8 rows, beyond which cuBLAS chooses an order by the sizes. */
#ifndef WOODSHED_GPU_H
#define WOODSHED_GPU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct err;
struct gpu;
struct gpu_arena;

/* ---- devices ------------------------------------------------------------ */

/* device: "cpu", "cuda", or "auto" (CUDA where it is there, else the CPU).
 * n_threads (CPU): 0 for one per processor.  ERR_UNSUPPORTED in one sentence
 * when the device is not there; ERR_BUSY or ERR_NOMEM, with "auto", too, when
 * others have it. */
int gpu_open(const char *device, int n_threads, struct gpu **ret, struct err *e);
void gpu_close(struct gpu *g); /* NULL-safe; frees all arenas */
/* Where woodshed-cuda.so is, instead of beside the program: for tests.  Only from there
 * "auto" opens an emulated device.  Borrowed. */
void gpu_use_module(const char *path);

/* "CPU, 2 threads, AVX-512 VNNI BF16";
 * "NAME, compute capability 9.0, driver for CUDA 12.4, 80 GB" */
const char *gpu_describe(const struct gpu *g);
const char *gpu_device(const struct gpu *g); /* "cpu", "cuda" */
/* "NVIDIA H200"; NULL: a processor, all of which give the same bits. */
const char *gpu_name(const struct gpu *g);

/* Waits for the device; 0, or the first error since the last call (and clears
 * it, unless the device is lost). */
int gpu_sync(struct gpu *g, struct err *e);
bool gpu_failed(const struct gpu *g);
/* Records an error from outside an op (a network's own check). */
void gpu_fail(struct gpu *g, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Bytes of all arenas; ops dispatched since open. */
uint64_t gpu_bytes_live(const struct gpu *g);
uint64_t gpu_bytes_peak(const struct gpu *g);
/* What could be allocated on the device now; 0 if that is not known. */
uint64_t gpu_bytes_free(struct gpu *g);
/* Elements of activations that layers in a row had best make at a time: in_cache, what a
 * processor's caches keep from one to the next; on a GPU what keeps it busy for longer than
 * asking it takes, 2^25, or the half, a quarter, .. of that where little memory is free. */
int64_t gpu_piece(struct gpu *g, int64_t in_cache);
uint64_t gpu_dispatches(const struct gpu *g);

/* ---- tensors ------------------------------------------------------------ */

enum gpu_dtype {
	GPU_F32,
	GPU_BF16,
	GPU_I8,  /* weights only: symmetric, one f32 scale per row */
	GPU_I32, /* ids only */
	/* Weights only: bf16, for products of many rows, which round x to bf16, too. */
	GPU_TILES,
	/* Weights only: f32, for products of many rows on a device that multiplies tiles:
	 * elsewhere gpu_new_matrix() makes GPU_F32 of it.  See gpu_linear(). */
	GPU_SPLIT,
	/* Weights only: GPU_SPLIT of a 3 x 3 convolution over images with stride 1, for
	 * gpu_conv2d() and gpu_norm_conv2d() alone: a device may keep and multiply them in
	 * Winograd's form, F(2 x 2, 3 x 3), with 4 products for 9; elsewhere, and where channels
	 * on either side are no multiple of 32, gpu_new_matrix() makes GPU_SPLIT of it. */
	GPU_WINOGRAD,
};

enum gpu_layout {
	GPU_ROWS,   /* row-major; what views, embeddings and activations are */
	GPU_MATRIX, /* [out, in], packed as the device likes: the w of gpu_linear & co. */
};

struct gpu_shape {
	int n;
	int64_t ne[4];
};
/* SHAPE(T, C) */
#define SHAPE(...)                                                                                 \
	((struct gpu_shape){                                                                       \
		(int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), {__VA_ARGS__}})

struct gpu_tensor {
	const char *name; /* borrowed; for messages */
	enum gpu_dtype dtype;
	enum gpu_layout layout;
	int n_dims;
	int64_t ne[4]; /* extents, outermost first */
	int64_t nb[4]; /* strides in elements; the innermost is 1 */
	void *data;    /* device memory */
	float *scale;  /* GPU_I8: one per row (padded by the device) */
	int32_t *sums; /* GPU_I8: device-private */
};

struct gpu_mark {
	void *chunk;
	size_t used;
	void *host_chunk; /* where the structs are */
	size_t host_used;
	uint64_t live;
	uint64_t freed; /* pieces of device memory given back so far: see gpu_step_begin() */
};

struct gpu_arena *gpu_arena_new(struct gpu *g, const char *name);
void gpu_arena_free(struct gpu_arena *a); /* NULL-safe */
/* The next `bytes` of data come from one piece, where that is possible; pieces that are too
 * small and empty are given back. */
void gpu_arena_reserve(struct gpu_arena *a, uint64_t bytes);
struct gpu_mark gpu_arena_mark(struct gpu_arena *a);
/* Forgets what was allocated after the mark; the memory is kept for reuse, so
 * the same sequence of allocations gets the same addresses. */
void gpu_arena_release(struct gpu_arena *a, struct gpu_mark m);

/* Row-major tensor, contents undefined.  Sizes are checked against free
 * memory before anything large is allocated (ERR_NOMEM, needed and free). */
struct gpu_tensor *gpu_new(struct gpu *g, struct gpu_arena *a, enum gpu_dtype dtype,
	const char *name, struct gpu_shape shape);
struct gpu_tensor *gpu_zeros(struct gpu *g, struct gpu_arena *a, enum gpu_dtype dtype,
	const char *name, struct gpu_shape shape);
/* Packed weight matrix [out, in]; filled by gpu_put_rows(). */
struct gpu_tensor *gpu_new_matrix(struct gpu *g, struct gpu_arena *a, enum gpu_dtype dtype,
	const char *name, int64_t n_out, int64_t n_in);
/* Bytes that gpu_new_matrix() will take. */
uint64_t gpu_matrix_bytes(const struct gpu *g, enum gpu_dtype dtype, int64_t n_out, int64_t n_in);

/* Rows first..first+n-1 along dimension `dim` (0, or 1 of a rank-3 tensor);
 * no copy.  The struct lives in arena a, the data where t's does. */
struct gpu_tensor *gpu_view(struct gpu *g, struct gpu_arena *a, const struct gpu_tensor *t, int dim,
	int64_t first, int64_t n);
/* The same elements with another shape; t must be contiguous. */
struct gpu_tensor *gpu_reshape(
	struct gpu *g, struct gpu_arena *a, const struct gpu_tensor *t, struct gpu_shape shape);

/* Converts f32 rows into t (MATRIX, or ROWS of F32 or BF16): src holds n rows
 * of ne[1] (all inner dimensions).  Rounds to nearest even; int8 takes
 * scale = max|row| / 127.  Several threads may fill different rows of a
 * MATRIX when `first` is a multiple of GPU_ROW_GROUP and n is, too, or ends
 * the matrix. */
#define GPU_ROW_GROUP 32
void gpu_put_rows(struct gpu *g, struct gpu_tensor *t, int64_t first, int64_t n, const float *src);

/* The same from rows as a file has them, where the device converts rows itself: they cross
 * the bus as they are, and no processor touches them but to read.  Same bits. */
enum gpu_source_dtype { GPU_FROM_F32, GPU_FROM_F16, GPU_FROM_BF16 };
struct gpu_source {
	enum gpu_source_dtype dtype;
	/* Elements first..first+n-1 of these rows, contiguous, into dst (pinned memory); 0,
	 * or an error, which is handed on.  Called in order, by the calling thread. */
	int (*read)(void *ud, int64_t first, int64_t n, void *dst, struct err *e);
	void *ud;
};
bool gpu_converts_rows(const struct gpu *g);
int gpu_put_rows_from(struct gpu *g, struct gpu_tensor *t, int64_t first, int64_t n,
	const struct gpu_source *source, struct err *e);

/* Whole contiguous tensors to and from the host.  read waits for the device. */
void gpu_write(struct gpu *g, struct gpu_tensor *t, const void *src, size_t bytes);
void gpu_read(struct gpu *g, const struct gpu_tensor *t, void *dst, size_t bytes);

/* Reading behind the device's back: a loop that looks at what each turn gave, and gives the
 * next turn meanwhile.  runs_ahead: ops return before they are over; where they do not, end
 * has nothing to wait for.  begin: the bytes of t, as the ops so far leave them, are on
 * their way; at most those of new, and not in a step.  end: waits for them and for no op given
 * since; borrowed until the next begin, NULL after an error, which gpu_sync() tells. */
struct gpu_reading *gpu_reading_new(struct gpu *g, size_t bytes);
void gpu_reading_free(struct gpu *g, struct gpu_reading *r); /* NULL-safe; waits */
void gpu_reading_begin(struct gpu *g, struct gpu_reading *r, const struct gpu_tensor *t);
const void *gpu_reading_end(struct gpu *g, struct gpu_reading *r);
bool gpu_runs_ahead(const struct gpu *g);

/* A tensor's bytes as the device keeps them, packed or not, for a cache of
 * converted weights: they mean something to a device with the same gpu_layout()
 * ("cpu 1") alone.  Several threads may transfer different bytes at once. */
const char *gpu_layout(const struct gpu *g);
uint64_t gpu_raw_bytes(const struct gpu *g, const struct gpu_tensor *t);
void gpu_raw_read(
	struct gpu *g, const struct gpu_tensor *t, uint64_t first, void *dst, size_t bytes);
void gpu_raw_write(
	struct gpu *g, struct gpu_tensor *t, uint64_t first, const void *src, size_t bytes);

/* A callback sees named tensors as a forward passes by them; a no-op unless
 * one is set.  For parity tests and previews. */
typedef void gpu_tap_fn(void *ud, struct gpu *g, const char *name, const struct gpu_tensor *t);
void gpu_set_tap(struct gpu *g, gpu_tap_fn *fn, void *ud);
void gpu_tap(struct gpu *g, const struct gpu_tensor *t, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* ---- steps that repeat -------------------------------------------------- */

/* A loop that runs the same ops on the same tensors again and again, with other
 * contents, states so:
 *
 *	if (gpu_step_begin(g, step, arena)) {
 *		forward(...);
 *		gpu_step_end(g, step);
 *	}
 *
 * A device may record the ops of one pass and replay them later, without a call for
 * each: begin is then false, and they have run with the same result, to the bit.
 * The ops may depend on nothing but tensors and on how full caches are; what they
 * allocate comes from `arena` (if that is not where it was, or gave memory back since, the
 * step is run and recorded anew).
 * In a step the host may neither read nor write tensors, fill caches or draw noise of
 * another stream.  With a tap set, nothing is replayed. */
struct gpu_step *gpu_step_new(void);
void gpu_step_free(struct gpu *g, struct gpu_step *s); /* NULL-safe */
bool gpu_step_begin(struct gpu *g, struct gpu_step *s, struct gpu_arena *arena);
void gpu_step_end(struct gpu *g, struct gpu_step *s);
/* Switches replaying off, to look for a fault. */
void gpu_set_replay(struct gpu *g, bool on);

/* ---- products ----------------------------------------------------------- */

/* y[M,N] = x[M,K] w[N,K]^T + bias[N]; leading dimensions of x and y count as
 * rows.  w: MATRIX f32, bf16, int8 or tiles; x, y, bias
 * f32; bias may be NULL.  Each output is one chain of fused multiply-adds
 * over k in ascending order (int8: exact integer sums of 16-bit activations,
 * scaled per row of x).  M rows cost one pass over w.
 *
 * Tiles: x is rounded to bf16 (nearest, ties to even; not by a GPU that has no products
 * of bf16).  For each 32 of k in ascending order, one chain over the even and one over
 * the odd k are added up and then added to the sum so far; values below the normal range
 * are zero.  That is what a tile unit (AMX) does, and what all others here do, too.
 * Convolutions over a multiple of 32 channels (of images, those of stride 1) take k in the
 * order (32 channels, tap, channel of those).
 *
 * Split: each factor is the sum of three bf16, high, middle and low, each the rounded rest
 * of those before, and a product is six of tiles' as above, in the order hl, hm, hh, mh,
 * mm, lh (x first): what is left out is below 3 * 2^-24 of |x w|, so that the error is
 * bounded as that of the f32 chain is; its deviation is less, as fewer sums are rounded.
 * Infinite factors give NaN. */
void gpu_linear(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct gpu_tensor *w, const struct gpu_tensor *bias);
/* What x of these two may be besides f32: BF16 where the device rounds it anyway, else F32.
 * What writes such a tensor saves the pass that rounds; the bits are the same. */
enum gpu_dtype gpu_input_dtype(const struct gpu *g, const struct gpu_tensor *w);
/* y += x w^T + bias */
void gpu_linear_add(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct gpu_tensor *w, const struct gpu_tensor *bias);
/* The same in groups that see different inputs: x [.., G*K], y [.., N], w MATRIX f32
 * or bf16 [N, K], N a multiple of G * GPU_ROW_GROUP:
 *	y[m,o] = bias[o] + sum_k x[m, g*K + k] w[o,k],  g = o / (N / G)
 * Smaller groups are merged, w filled up with zeros. */
void gpu_linear_grouped(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct gpu_tensor *w, const struct gpu_tensor *bias);

/* Convolution over time without padding ("valid"): the caller pads.
 *	x [T, Cin] or [B, T, Cin], y [To, Cout] or [B, To, Cout],
 *	w MATRIX [Cout, kernel * Cin] with columns ordered (tap, channel),
 *	To = (T - (kernel - 1) * dilation - 1) / stride + 1.
 *	y[t,o] = bias[o] + sum_{k,c} x[t*stride + k*dilation, c] w[o, k*Cin + c] */
struct gpu_conv {
	int64_t kernel;
	int64_t stride;   /* 0 means 1 */
	int64_t dilation; /* 0 means 1 */
};
void gpu_conv1d(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct gpu_tensor *w, const struct gpu_tensor *bias, struct gpu_conv conv);

/* Transposed convolution, the outputs that see all their inputs:
 *	m = ceil(kernel / stride); x [T, Cin] or [B, T, Cin],
 *	y [(T-m+1)*stride, Cout] or [B, ...],
 *	w MATRIX [stride * Cout, m * Cin]: row (j, o), column (i, c) holds the
 *	tap j + (m-1-i)*stride (zero where that is >= kernel).
 *	y[t*stride + j, o] = bias[o] + sum_{i<m,c} x[t+i, c] w[(j,o), (i,c)]
 * Padding x with m-1 zero rows on both sides gives the full output. */
void gpu_conv_transpose1d(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct gpu_tensor *w, const struct gpu_tensor *bias, struct gpu_conv conv);

/* One LSTM layer over T frames, gates in PyTorch's order i, f, g, o:
 *	x [B, T, I], y [B, T, D], w_ih MATRIX [4D, I], w_hh MATRIX [4D, D],
 *	bias [4D] (both biases summed), h [B, D] and c [B, D] in and out. */
struct gpu_lstm {
	const struct gpu_tensor *w_ih, *w_hh, *bias;
	struct gpu_tensor *h, *c;
};
void gpu_lstm(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct gpu_lstm *lstm);

/* One GRU layer over T frames, gates in PyTorch's order r, z, n:
 *	x [B, T, I], y [B, T, D], w_ih MATRIX [3D, I], w_hh MATRIX [3D, D],
 *	b_ih and b_hh [3D], h [B, D] in and out.
 *	r, z = sigmoid(w_ih x + b_ih + w_hh h + b_hh)
 *	n = tanh(w_ih x + b_ih + r (w_hh h + b_hh)),  h = (1 - z) n + z h */
struct gpu_gru {
	const struct gpu_tensor *w_ih, *w_hh, *b_ih, *b_hh;
	struct gpu_tensor *h;
};
void gpu_gru(
	struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x, const struct gpu_gru *gru);

/* ---- attention ---------------------------------------------------------- */

/* Keys and values of one layer.  n_rows sequences, each of up to max_len. */
struct gpu_kv {
	/* F32, BF16, or, for gpu_attention_cross() alone, which has many queries then: TILES,
	 * bf16, and q and the probabilities are rounded to it, too; or SPLIT, f32, with products
	 * as GPU_SPLIT has them.  The processor has SPLIT instead of TILES, and F32 instead of
	 * either without tile units or where max_len is short; CUDA has F32 instead of SPLIT. */
	enum gpu_dtype dtype;
	int64_t n_rows, n_heads, head_dim, max_len;
	struct gpu_tensor *k, *v; /* device layout */
	int64_t *len;             /* [n_rows] filled so far; host; in the arena */
	struct gpu_tensor *lens;  /* the same on the device, I32 [n_rows]; or NULL */
};
/* For what products of w make, where there are many queries: the form of w, or F32. */
enum gpu_dtype gpu_kv_dtype(const struct gpu_tensor *w);
struct gpu_kv *gpu_kv_new(struct gpu *g, struct gpu_arena *a, enum gpu_dtype dtype, int64_t n_rows,
	int64_t n_heads, int64_t head_dim, int64_t max_len);
void gpu_kv_clear(struct gpu *g, struct gpu_kv *kv); /* len = 0 */

/* Causal self-attention with a cache: qkv [R*T, 3H], rows ordered (sequence,
 * time), columns q, k, v, heads contiguous; R = kv->n_rows.  Appends the T new
 * keys and values to each sequence, then
 *	y[r,t] = softmax(scale * q k^T over positions 0..len+t) v,  y [R*T, H]. */
void gpu_attention_causal(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *qkv,
	struct gpu_kv *kv, float scale);

/* Fills row `row` of kv with S keys and values: kv_x [S, 2H], columns k, v. */
void gpu_kv_fill(struct gpu *g, struct gpu_kv *kv, int64_t row, const struct gpu_tensor *kv_x);
/* Attention to a filled cache: q [R, H], y [R, H]; kv->n_rows divides R and
 * row r reads sequence r / (R / n_rows).  q may have a multiple of the cache's
 * heads: each of those then serves as many neighbouring heads of q.  y of a cache of
 * GPU_TILES may be of gpu_input_dtype(). */
void gpu_attention_cross(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *q,
	const struct gpu_kv *kv, float scale);

/* Bidirectional self-attention: qkv [T, 3H] with H = heads * d, y [T, H]; or of B sequences,
 * each to itself, with the bits that it has alone: qkv [B, T, 3H], y [B, T, H].
 * bias [heads, 2T-1] f32 or NULL: added to the score of query q and key k at
 * column k - q + T - 1 (T5's relative position bias).  A device that multiplies tiles may
 * take its products as GPU_SPLIT does. */
void gpu_attention_full(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *qkv,
	const struct gpu_tensor *bias, int64_t n_heads, float scale);
/* The same without bias, with products as GPU_TILES has them: q, k, v and the
 * probabilities are rounded to bf16.  y may be of gpu_input_dtype(). */
void gpu_attention_tiles(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *qkv,
	int64_t n_heads, float scale);

/* Rotary positions, in place, on the first n_heads heads of the rows of x [T, W]:
 * table [T, R] holds R/2 cosines, then R/2 sines of a row; of each head of head_dim
 * channels, i and i + R/2 (i < R/2) turn by angle i, those from R on stay. */
void gpu_rope(struct gpu *g, struct gpu_tensor *x, const struct gpu_tensor *table, int64_t n_heads,
	int64_t head_dim);
/* Layer norm of each of n_heads heads of the rows of x [T, W], in place, from head
 * `first` on; w and b [head_dim]. */
void gpu_head_norm(struct gpu *g, struct gpu_tensor *x, const struct gpu_tensor *w,
	const struct gpu_tensor *b, int64_t first, int64_t n_heads, float eps);

/* Bidirectional self-attention inside windows: qkv [W, L, 3H], columns q, k, v,
 * y [W, L, H].  bias [heads, L, L] f32, query first; mask NULL or [M, L, L], of
 * which window w takes w % M: both are added to the scaled scores. */
void gpu_attention_windows(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *qkv,
	const struct gpu_tensor *bias, const struct gpu_tensor *mask, float scale);

/* ---- images ------------------------------------------------------------- */

/* Images are [B, H, W, C].  x [B, H, W, Cin], y [B, Ho, Wo, Cout],
 * w MATRIX f32 or bf16 [Cout, kernel * kernel * Cin], columns (row, column, channel):
 *	y[b,i,j,o] = bias[o] + sum x[b, i*stride + r - pad, j*stride + s - pad, c] w[o, (r,s,c)]
 * with zeros outside; Ho = (H + 2 pad - kernel) / stride + 1, Wo alike.
 * up (stride 1, Ho = H' and Wo = W'): x is enlarged first, every place twice in each
 * direction, and cut to H' x W', where H' is 2H or 2H - 1 and W' alike. */
struct gpu_conv2d {
	int64_t kernel;
	int64_t stride; /* 0 means 1 */
	int64_t pad;
	bool up;
};
void gpu_conv2d(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct gpu_tensor *w, const struct gpu_tensor *bias, struct gpu_conv2d conv);

/* x and y [B, .., C].  The C channels are cut into n_groups; over the channels of
 * a group at all places of a batch row
 *	y = (x - mean) / sqrt(var + eps) * w + b, and with silu y = y sigmoid(y).
 * Statistics in double precision.  y may be x. */
struct gpu_group_norm {
	const struct gpu_tensor *w, *b; /* [C] */
	int64_t n_groups;
	float eps;
	bool silu;
};
void gpu_group_norm(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct gpu_group_norm *how);

/* y [.., A + B] = a [.., A] and b [.., B] side by side. */
void gpu_concat(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *a,
	const struct gpu_tensor *b);

/* ---- norms, elementwise, lookups ---------------------------------------- */

/* Over the last dimension, statistics in f32.
 *	layer: (x - mean) / sqrt(var + eps) * w + b;  rms: x / sqrt(mean(x^2) + eps) * w */
void gpu_layer_norm(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct gpu_tensor *w, const struct gpu_tensor *b, float eps);
void gpu_rms_norm(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct gpu_tensor *w, float eps);

/* What the ops below compute, for ops that have one of them inside. */
enum gpu_unary {
	GPU_UNARY_RELU,
	GPU_UNARY_GELU,
	GPU_UNARY_ELU,
	GPU_UNARY_SIGMOID,
	GPU_UNARY_TANH,
	GPU_UNARY_SILU,
	GPU_UNARY_GELU_TANH,
	GPU_N_UNARY,
};

/* y may be x. */
void gpu_relu(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x);
void gpu_gelu(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x); /* exact, erf */
void gpu_elu(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x);  /* alpha 1 */
/* x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) */
void gpu_gelu_tanh(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x);
/* slope x below 0 */
void gpu_leaky_relu(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x, float slope);
void gpu_sigmoid(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x);
void gpu_tanh(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x);
void gpu_silu(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x); /* x sigmoid(x) */
/* x [T, 2F], y [T, F]: y = x[:, :F] * f(x[:, F:]), as SwiGLU and GEGLU have it. */
void gpu_gated_silu(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x);
void gpu_gated_gelu_tanh(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x);
void gpu_gated_gelu(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x);

/* ---- fused: each is the ops that it names, one after the other ----------- */

/* What they need in between comes from the arena and goes again. */

/* Layer norm, as gpu_layer_norm() has it: w and b [C]. */
struct gpu_norm {
	const struct gpu_tensor *w, *b;
	float eps;
};
/* gpu_linear() of the norm of x: x [T, K], y [T, N], w [N, K]. */
void gpu_norm_linear(struct gpu *g, struct gpu_arena *a, struct gpu_tensor *y,
	const struct gpu_tensor *x, const struct gpu_norm *norm, const struct gpu_tensor *w,
	const struct gpu_tensor *bias);

/* gpu_conv2d() of gpu_group_norm() of x. */
void gpu_norm_conv2d(struct gpu *g, struct gpu_arena *a, struct gpu_tensor *y,
	const struct gpu_tensor *x, const struct gpu_group_norm *norm, const struct gpu_tensor *w,
	const struct gpu_tensor *bias, struct gpu_conv2d conv);

/* gpu_embed_sum(), and row at[0] of positions f32 [P, D] added to each row: at I32 [1]. */
void gpu_embed_at(struct gpu *g, struct gpu_arena *a, struct gpu_tensor *y,
	const struct gpu_tensor *table, const struct gpu_tensor *ids,
	const struct gpu_tensor *positions, const struct gpu_tensor *at);

/* x [T, C] += out(act(in(norm(x)))), of gpu_norm_linear(), the function or, with is_gated,
 * gpu_gated_...(), and gpu_linear_add(). */
struct gpu_feed_forward {
	struct gpu_norm norm;
	const struct gpu_tensor *in, *in_bias;   /* MATRIX [F, C], is_gated: [2F, C] */
	const struct gpu_tensor *out, *out_bias; /* MATRIX [C, F]; biases may be NULL */
	enum gpu_unary act; /* RELU or GELU; is_gated: SILU, GELU or GELU_TANH */
	bool is_gated;
};
void gpu_feed_forward(struct gpu *g, struct gpu_arena *a, struct gpu_tensor *x,
	const struct gpu_feed_forward *ff);

/* y [T, Cout] = gpu_conv1d() of gpu_leaky_relu() of x [T, Cin] between zeros,
 * (kernel - 1) * dilation / 2 frames of them on both sides; or, with add, y += that. */
struct gpu_leaky_conv {
	const struct gpu_tensor *w, *bias; /* as gpu_conv1d() has them */
	int64_t kernel, dilation;          /* kernel is odd; dilation 0 means 1 */
	float slope;
	bool add;
};
void gpu_leaky_conv1d(struct gpu *g, struct gpu_arena *a, struct gpu_tensor *y,
	const struct gpu_tensor *x, const struct gpu_leaky_conv *conv);

/* y = a + b; b may have fewer rows (first dimension) than a, a multiple:
 * it then repeats.  y may be a. */
void gpu_add(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *a,
	const struct gpu_tensor *b);
/* dst = src, same shape and dtype; either may be a view, of the same tensor too. */
void gpu_copy(struct gpu *g, struct gpu_tensor *dst, const struct gpu_tensor *src);
/* dst[.., t, ..] = src[.., n-1-t, ..] along time (dimension n_dims - 2). */
void gpu_flip(struct gpu *g, struct gpu_tensor *dst, const struct gpu_tensor *src);
void gpu_fill(struct gpu *g, struct gpu_tensor *y, float value);

/* y[t] = sum_k table[k * rows_per_table + ids[t, k]]:  ids I32 [T, K], table
 * ROWS f32 or bf16 [K * rows_per_table, D], y f32 [T, D].  Token embeddings,
 * and the residual-VQ sum. */
void gpu_embed_sum(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *table,
	const struct gpu_tensor *ids);
/* Residual vector quantiser: z [T, D], codebooks [K, V, D] f32, codes I32
 * [T, K]; for each k the nearest entry of what is left (first on ties). */
void gpu_rvq_encode(struct gpu *g, struct gpu_tensor *codes, const struct gpu_tensor *z,
	const struct gpu_tensor *codebooks);

/* Snake: y = x + sin(alpha x)^2 * inv_beta; x, y [.., C], alpha and inv_beta [C].
 * y may be x.  Error below 3e-7 for |alpha x| < 8192. */
void gpu_snake(struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *x,
	const struct gpu_tensor *alpha, const struct gpu_tensor *inv_beta);

/* ---- diffusion ---------------------------------------------------------- */

/* y = standard-normal draws: element i, counted contiguously, is a function of
 * (seed, stream, i) alone.  Philox 4x32-10 and the method of Box and Muller. */
void gpu_normal(struct gpu *g, struct gpu_tensor *y, uint64_t seed, uint32_t stream);

/* y = sum of weight * x over the terms, in their order; y may be one of the x.
 * Same shape, contiguous f32. */
struct gpu_term {
	const struct gpu_tensor *x;
	float weight;
};
enum { GPU_MAX_TERMS = 7 };
void gpu_combine(struct gpu *g, struct gpu_tensor *y, const struct gpu_term *terms, int n_terms);

/* ---- sampling ----------------------------------------------------------- */

/* logits [2B, V] (with text first, then without), y [B, V]:
 * y = null + (text - null) * guidance */
void gpu_guidance(
	struct gpu *g, struct gpu_tensor *y, const struct gpu_tensor *logits, float guidance);

/* One id per row of logits [N, V], ids I32 [N]; with guidance logits are [2N, V], and what
 * is sampled is gpu_guidance() of them.
 * Order: temperature, top-k (ties with the k-th kept), top-p (the smallest
 * set whose probability reaches p, never empty), softmax, then the inverse of
 * the cumulative sum in index order at u = philox(seed, stream, offset).
 * Row n uses seed[n / n_streams], stream n % n_streams. */
struct gpu_sampling {
	bool greedy;          /* argmax, the first on ties */
	float temperature;    /* > 0 */
	int top_k;            /* 0: off */
	float top_p;          /* 0 or >= 1: off */
	const uint64_t *seed; /* host, [N / n_streams] */
	int64_t n_streams;
	uint64_t offset;
	const struct gpu_tensor *at; /* I32 [1], added to offset; or NULL */
	float guidance;              /* 0: none */
};
void gpu_sample(struct gpu *g, struct gpu_tensor *ids, const struct gpu_tensor *logits,
	const struct gpu_sampling *s);

/* What comes after the column at p = at[0], without asking the host: of columns I32 [P, J]
 *	columns[p, j] = drawn[j] where it is negative,
 *	next[r, j] = columns[p, j] for all r,  at[0] = p + 1.
 * drawn I32 [J], next I32 [R, J], at I32 [1].  From P on, only at changes. */
void gpu_next_column(struct gpu *g, struct gpu_tensor *next, struct gpu_tensor *columns,
	const struct gpu_tensor *drawn, struct gpu_tensor *at);

#ifdef __cplusplus
}
#endif
#endif
