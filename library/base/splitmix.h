/* SplitMix64 (Steele, Lea and Flood 2014): 64 bits that look unrelated for
 * neighbouring states.  Not for secrets. */
#ifndef WOODSHED_BASE_SPLITMIX_H
#define WOODSHED_BASE_SPLITMIX_H

#include <stdint.h>

/* What the generator gives when it is in that state.  Its states are the multiples
 * of SPLITMIX_STEP, so the n-th draw of a stream is splitmix64(n * SPLITMIX_STEP). */
#define SPLITMIX_STEP UINT64_C(0x9e3779b97f4a7c15)
uint64_t splitmix64(uint64_t state);

#endif
