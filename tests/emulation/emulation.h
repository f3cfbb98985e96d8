/* The emulated CUDA device: the .cu files compiled by the host's compiler, kernels run
 * on the processor, every access to memory checked.
 *
 * A kernel's threads are fibres.  Reported, with kernel, block, thread and address, and
 * ending the process: accesses outside of what is allocated (global, shared) or open
 * (emulation_guard), host memory dereferenced by a kernel, reads of shared memory that
 * nobody wrote, two threads touching the same shared bytes, or words of global memory,
 * between barriers when one of them writes, a barrier or a shuffle that some threads of
 * the block or warp do not reach, too much shared memory, a grid or block beyond the
 * device's limits, and what a kernel that may begin early does before after_previous():
 * writing, and reading what other such kernels wrote.
 *
 * WOODSHED_EMULATED_FAULT in the environment, items separated by commas, makes a device
 * that is not as it should be:
 *	no-driver, old-driver, no-device, old-device, busy, out-of-memory
 *	no-image		the kernels were not built for it
 *	no-pinned		the host has no memory that the device may read
 *	memory=BYTES		of the device, 8 GiB otherwise
 *	arch=75			compute capability, 90 otherwise
 *	illegal-address@N, ecc@N, fallen-off-the-bus@N
 *				the Nth kernel of the process ends the context
 *	eager			operations run when they are asked for, to look for a
 *				fault in a debugger; otherwise when they are waited for */
#ifndef WOODSHED_TESTS_EMULATION_H
#define WOODSHED_TESTS_EMULATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Opens or closes bytes of device memory, in the order of the stream; what is allocated
 * is open.  What is opened holds NaNs until it is written.  Within a recording it is
 * part of it. */
void emulation_guard(void *p, size_t bytes, bool open);

/* What ran since the start, and device memory.  Exported: tests find it by dlsym(). */
struct emulation_counts {
	uint64_t launches;       /* kernels, replayed ones too */
	uint64_t graph_launches; /* recordings replayed */
	uint64_t products;       /* by cuBLAS */
	uint64_t bytes, bytes_peak;
};
void emulation_count(struct emulation_counts *ret);

#ifdef __cplusplus
}
#endif
#endif
