/* What the emulator's files share.
 *
 * runtime.cpp	the runtime's calls: streams, events, recordings, what runs when
 * device.cpp	the device that there seems to be, its memory, faults that are wished for
 * threads.cpp	blocks of threads as fibres; barriers, shuffles, votes
 * matrix.cpp	tensor cores, copies past the registers
 * access.cpp	each access of a kernel, and whether it may
 * blas.cpp	products
 *
 * All of it runs under one lock, kernels too; kernels run on the thread that waits. */
#ifndef WOODSHED_EMULATOR_HPP
#define WOODSHED_EMULATOR_HPP

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/emulation/cuda_runtime.h"
#include "tests/emulation/emulation.h"
#include "tests/emulation/kernel.cuh"
#undef memcpy
#undef memset

/* ---- operations (runtime.cpp) ------------------------------------------- */

/* What a stream does: a copy of the caller's struct, which begins with this one. */
struct operation {
	struct operation *next;
	size_t bytes; /* of the whole */
	void (*run)(struct operation *op);
};

void emulator_lock(void);
/* Keeps the error for cudaGetLastError(), unlocks, returns it. */
cudaError_t emulator_unlock(cudaError_t error);
bool emulator_is_recording(cudaStream_t stream);
/* To the end of the stream, or of what it records.  Locked. */
cudaError_t emulator_submit(cudaStream_t stream, const struct operation *op);

/* ---- the device (device.cpp) -------------------------------------------- */

struct emulator_device {
	int driver; /* its version; 0: none */
	int n;      /* devices */
	int arch;
	cudaError_t opening; /* what making a context meets */
	size_t memory;
	bool is_eager;
	bool has_no_image; /* of the kernels */
	bool has_no_pinned;
	cudaError_t fault; /* of launch fault_at */
	uint64_t fault_at;
	cudaError_t broken; /* sticky */
	size_t max_shared;
	struct emulation_counts counts;
};
/* Read from the environment at the first call. */
struct emulator_device *emulator_device(void);

/* Device memory: one range of addresses, in which a bit for each byte says that it is
 * open.  Addresses are not used again. */
extern uintptr_t emulator_base;
extern size_t emulator_bytes;
extern uint8_t *emulator_open;

/* Who accessed a word last, as stamps; see access.cpp. */
struct emulator_trace {
	uint64_t wrote;
	uint64_t read, read_before; /* the last; the one before by another thread */
};
enum { EMULATOR_WORD = 4 };
extern struct emulator_trace *emulator_traces; /* of device memory; NULL: too much for the host */

static inline bool emulator_is_device(const void *p)
{
	return (uintptr_t)p - emulator_base < emulator_bytes;
}
/* The first byte of the range that is not open, or NULL.  The range is in device memory. */
const void *emulator_first_closed(const void *p, size_t bytes);
/* Whether one allocation holds the range. */
bool emulator_is_allocated(const void *p, size_t bytes);
/* Pinned memory of the host. */
bool emulator_is_pinned(const void *p);
cudaError_t emulator_alloc(void **ret, size_t bytes);
cudaError_t emulator_free(void *p);
void emulator_set_open(void *p, size_t bytes, bool open);
/* "allocation 3 (4096 bytes) + 4096" */
enum { EMULATOR_TEXT = 160 };
void emulator_describe_device(const void *p, char out[EMULATOR_TEXT]);

/* ---- threads (threads.cpp) ---------------------------------------------- */

enum { LANES = 32, MAX_THREADS = 1024, MAX_WARPS = MAX_THREADS / LANES, STACK = 64 << 10 };

struct emulator_fibre {
	void *sp;     /* while it does not run */
	void *frames; /* ASan's, while it does not run */
	char *stack;  /* lowest byte */
	unsigned index;
	uint3 at; /* threadIdx */
	bool is_at_barrier;
	int line;        /* of the barrier */
	bool has_waited; /* for the kernels before; see LAUNCH_EARLY */
	/* the op of a warp that it waits in */
	enum emulation_warp_op op;
	unsigned mask;
	uint64_t value;
	unsigned lane;
	int width;
	uint64_t result;
	const void *in[2]; /* mma: a, b; ldmatrix: the row */
	void *out;
};

struct emulator_warp {
	unsigned exist, ready, waiting, done; /* lanes */
	unsigned clock;                       /* counts __syncwarp */
	unsigned full;                        /* clock after the last of the whole warp */
	bool is_partial;                      /* seen says something */
	/* What lane a did before seen[b][a] comes before what lane b does. */
	unsigned seen[LANES][LANES];
};

/* The running kernel; NULL: none runs. */
struct emulator_run {
	const struct emulation_kernel *kernel;
	void *args;
	uint3 block;
	unsigned n_threads, n_warps;
	struct emulator_fibre *now;
	uint64_t epoch;        /* counts launches, blocks and barriers */
	uint64_t launch_epoch; /* at the beginning */
	uint64_t first_epoch;  /* of the block */
	bool has_atomic;       /* the block changed global memory atomically */
	bool has_waited;       /* a thread of the launch waited for the kernels before */
	uint64_t done_epoch;   /* what was written before is there when an early kernel begins */
	struct emulator_warp warps[MAX_WARPS];
};
extern struct emulator_run emulator_run;

/* Bytes of shared memory that a block may have without cudaFuncSetAttribute(). */
constexpr size_t SHARED_PLAIN = 48 << 10;
/* Those that a block of the kernel may have, its own arrays and what is asked for together. */
size_t emulator_shared_limit(const void *kernel);
void emulator_run_kernel(const struct emulation_kernel *kernel, void *args);
bool emulator_is_stack(const void *p);

/* The running thread waits for the lanes of its mask; the result of its op. */
uint64_t emulator_meet(struct emulator_fibre *me);
/* matrix.cpp: the op for a whole warp; a new block. */
void emulator_multiply(struct emulator_fibre *warp);
void emulator_load_matrices(struct emulator_fibre *warp);
void emulator_copies_begin(void);

/* Prints one line with kernel, block and thread, and ends the process. */
[[noreturn]] void emulator_report(const struct emulator_fibre *who, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* The same before there are threads. */
[[noreturn]] void emulator_report_launch(const char *kernel, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* ---- accesses (access.cpp) ---------------------------------------------- */

/* What each access needs; set when a thread comes to run. */
struct emulator_hot {
	uintptr_t stack;
	uint64_t stamp;
	bool is_ahead; /* of the kernels before */
};
extern struct emulator_hot emulator_hot;
/* True on the thread of the host that runs a kernel, while it does. */
extern __thread bool emulator_in_kernel __attribute__((tls_model("initial-exec")));

/* Who accessed, and when: epoch, clock of the warp, whether atomically, thread. */
enum { STAMP_ATOMIC = 1 << 10, STAMP_CLOCK = 11, STAMP_EPOCH = 31 };

void emulator_shared_begin(size_t dynamic);
void emulator_shared_end(void);
bool emulator_is_shared(const void *p);
/* Checks for the running thread, as an access of its own. */
void emulator_check(const void *p, size_t bytes, bool is_write, const void *pc);

#endif
