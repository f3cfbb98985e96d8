/* charsmap.h: SentencePiece's compiled character map.
 *
 * A map of byte strings to byte strings ("ﬁ" to "fi"), of which the longest
 * that fits is applied.  On disk: the trie's size in bytes (uint32, little
 * endian), a Darts-clone double array of that size, then the replacements,
 * each ended by a NUL.
 *
 * A unit of the double array is 32 bits.  Inner: bits 0-7 label, bit 8 "a key
 * ends here", bit 9 the offset counts in 256, bits 10-30 offset.  Value (bit
 * 31 set): bits 0-30, here where the replacement starts.  From a unit at p
 * the child along c is at q = p ^ offset ^ c and has c as its label; the value
 * is at p ^ offset.  Source: Yata, Darts-clone, 2008-2011, BSD-2-Clause. */
#ifndef WOODSHED_ENGINE_CHARSMAP_H
#define WOODSHED_ENGINE_CHARSMAP_H

#include <stddef.h>
#include <stdint.h>

struct err;

struct charsmap {
	uint32_t *units; /* owned; NULL: an empty map */
	size_t n_units;
	char *replacements; /* owned; ends with a NUL */
	size_t n_replacements;
};

/* Copies and checks a map: every place a match can reach lies inside, no rule
 * is longer than 254 bytes or replaces by more than 1024. */
int charsmap_init(struct charsmap *m, const uint8_t *blob, size_t n, struct err *e);
void charsmap_done(struct charsmap *m); /* zeroed is valid */

/* Length of the longest rule that s[0..n) starts with, 0 when none;
 * *ret_replacement (NUL-terminated, borrowed from the map) goes with it. */
size_t charsmap_match(
	const struct charsmap *m, const char *s, size_t n, const char **ret_replacement);

#endif
