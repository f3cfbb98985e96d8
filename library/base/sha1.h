/* SHA-1 (FIPS 180-4), for what git names by it.  It no longer withstands an
 * attacker: against accidents only, never where SHA-256 can be had. */
#ifndef WOODSHED_BASE_SHA1_H
#define WOODSHED_BASE_SHA1_H

#include <stddef.h>
#include <stdint.h>

struct sha1 {
	uint32_t h[5];
	uint64_t n; /* bytes so far */
	uint8_t block[64];
};

void sha1_init(struct sha1 *s);
void sha1_add(struct sha1 *s, const void *data, size_t n);
void sha1_hex(struct sha1 *s, char out[41]); /* ends, as lower-case hex */

#endif
