/* trie.h: the pieces of a vocabulary, found byte by byte.
 *
 * Nodes are numbers, 0 is the root; the edge (node, byte) is looked up in one
 * hash table with open addressing.  Built once, then read by any thread. */
#ifndef WOODSHED_ENGINE_TRIE_H
#define WOODSHED_ENGINE_TRIE_H

#include <stddef.h>
#include <stdint.h>

struct err;

enum { TRIE_MAX_BYTES = 1 << 24 }; /* of all keys together; a node fits in 24 bits */

struct trie {
	struct trie_edge *edges; /* owned; 2^bits slots, at most half of them taken */
	int32_t *values;         /* owned; by node, -1: no key ends here */
	unsigned bits;
	uint32_t n_nodes;
};

/* Makes room for keys of n_bytes together, at most TRIE_MAX_BYTES. */
int trie_init(struct trie *t, size_t n_bytes, struct err *e);
void trie_done(struct trie *t); /* zeroed is valid */

enum { TRIE_CROWDED = -2 };

/* Adds a key without NUL bytes.  Returns the value the key already had, or -1;
 * TRIE_CROWDED when too many edges want the same slots, which happens only to
 * keys that somebody chose for it. */
int32_t trie_add(struct trie *t, const char *key, size_t n, int32_t value);

/* The node below `node` along `byte`; 0 when there is none. */
uint32_t trie_step(const struct trie *t, uint32_t node, unsigned char byte);

#endif
