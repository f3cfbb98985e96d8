/* SHA-256 (FIPS 180-4). */
#ifndef WOODSHED_BASE_SHA256_H
#define WOODSHED_BASE_SHA256_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sha256 {
	uint32_t h[8];
	uint64_t n; /* bytes so far */
	uint8_t block[64];
	bool is_quick; /* by the processor's SHA instructions */
};

void sha256_init(struct sha256 *s);
void sha256_init_plain(struct sha256 *s); /* without the processor's instructions */
void sha256_add(struct sha256 *s, const void *data, size_t n);
void sha256_end(struct sha256 *s, uint8_t out[32]);
void sha256_hex(struct sha256 *s, char out[65]); /* ends, as lower-case hex */

#endif
