/* The emulated CUDA device: the .cu files compiled by the host's compiler, kernels run
 * on the processor, every access to memory checked.
 *
 * A kernel's threads are fibres.  Reported, with kernel, block, thread and address, and
 * ending the process: accesses outside of what is allocated (global, shared) or open
 * (emulation_guard), host memory dereferenced by a kernel, reads of shared memory that
 * nobody wrote, two threads touching the same shared bytes between barriers when one of
 * them writes, a barrier or a shuffle that some threads of the block or warp do not
 * reach, too much shared memory, a grid or block beyond the device's limits. */
#ifndef WOODSHED_TESTS_EMULATION_H
#define WOODSHED_TESTS_EMULATION_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Opens or closes bytes of device memory; what is allocated is open. */
void emulation_guard(void *p, size_t bytes, bool open);

#ifdef __cplusplus
}
#endif
#endif
