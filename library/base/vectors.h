/* vectors.h: loops in the widest vectors of the processor that runs them. */
#ifndef WOODSHED_BASE_VECTORS_H
#define WOODSHED_BASE_VECTORS_H

/* Of functions whose loops are worth a processor's widest vectors.  Nothing in them is
 * fused or reordered, so all variants give the same bits.  Only by gcc: clang 14 does
 * not find such functions from another file, and a sanitizer is not ready when the
 * variant is chosen. */
#if defined(__x86_64__) && defined(__GLIBC__) && !defined(__clang__) &&                            \
	!defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define VECTORS __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define VECTORS
#endif

/* Before a loop: no pass of it reads what another writes. */
#ifdef __clang__
#define INDEPENDENT
#else
#define INDEPENDENT _Pragma("GCC ivdep")
#endif

#endif
