/* numpy's generators, as far as the published values of other projects are made with them. */
#ifndef WOODSHED_TESTS_PARITY_NUMPY_RANDOM_H
#define WOODSHED_TESTS_PARITY_NUMPY_RANDOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* numpy.random.RandomState(seed).standard_normal(n) in float32. */
void numpy_normal(uint32_t seed, float *ret, size_t n);
/* Whether it gives what numpy gives. */
bool numpy_is_right(void);

enum { NUMPY_POOL = 24 };
/* numpy.random.SeedSequence(entropy, spawn_key=key, pool_size=NUMPY_POOL).generate_state(n);
 * n_key 0: no key. */
void numpy_seeds(uint32_t entropy, const uint32_t *key, size_t n_key, uint32_t *ret, size_t n);

#endif
