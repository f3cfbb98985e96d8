/* Trie of pieces: one hash table of edges. */
#include "engine/text/trie.h"

#include <stdlib.h>
#include <string.h>

#include "library/base/arena.h"

/* How far from its place an edge may lie.  Half of the slots are free: by chance
 * it is not 100 even in the largest table, and 4 in T5's.  Without a limit a
 * file of 16 MB could keep us busy for a day. */
enum { MAX_PROBES = 256 };

struct trie_edge {
	uint32_t key; /* node << 8 | byte; 0: free, for the byte is never NUL */
	uint32_t child;
};

int trie_init(struct trie *t, size_t n_bytes, struct err *e)
{
	size_t n_nodes = n_bytes + 1;
	int rc;

	*t = (struct trie){.bits = 1, .n_nodes = 1};
	while ((size_t)1 << t->bits < 2 * n_nodes)
		t->bits++;
	rc = mem_try_alloc((void **)&t->edges, (size_t)1 << t->bits, sizeof *t->edges,
		"the vocabulary's index", e);
	if (!rc)
		rc = mem_try_alloc((void **)&t->values, n_nodes, sizeof *t->values,
			"the vocabulary's index", e);
	if (!rc)
		t->values[0] = -1;
	return rc;
}

void trie_done(struct trie *t)
{
	free(t->edges);
	free(t->values);
	*t = (struct trie){0};
}

/* The slot that holds the key, or the free one where it belongs; NULL: neither
 * is near. */
static struct trie_edge *find(const struct trie *t, uint32_t key)
{
	uint32_t mask = (1u << t->bits) - 1;
	uint32_t at = key * 0x9e3779b1u >> (32 - t->bits); /* Fibonacci hashing */

	for (int i = 0; i < MAX_PROBES; i++) {
		struct trie_edge *edge = &t->edges[(at + (uint32_t)i) & mask];
		if (!edge->key || edge->key == key)
			return edge;
	}
	return NULL;
}

int32_t trie_add(struct trie *t, const char *key, size_t n, int32_t value)
{
	uint32_t node = 0;
	int32_t old;

	for (size_t i = 0; i < n; i++) {
		uint32_t edge_key = node << 8 | (unsigned char)key[i];
		struct trie_edge *edge = find(t, edge_key);
		if (!edge)
			return TRIE_CROWDED;
		if (!edge->key) {
			*edge = (struct trie_edge){edge_key, t->n_nodes++};
			t->values[edge->child] = -1;
		}
		node = edge->child;
	}
	old = t->values[node];
	if (old < 0)
		t->values[node] = value;
	return old;
}

uint32_t trie_step(const struct trie *t, uint32_t node, unsigned char byte)
{
	const struct trie_edge *edge = byte ? find(t, node << 8 | byte) : NULL;

	return edge ? edge->child : 0;
}
