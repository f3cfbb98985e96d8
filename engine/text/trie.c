/* Trie of pieces: one hash table of edges. */
#include "engine/text/trie.h"

#include <stdlib.h>
#include <string.h>

#include "library/base/arena.h"

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

/* The slot that holds the key, or the free one where it belongs. */
static struct trie_edge *find(const struct trie *t, uint32_t key)
{
	uint32_t mask = (1u << t->bits) - 1;
	uint32_t at = key * 0x9e3779b1u >> (32 - t->bits); /* Fibonacci hashing */

	while (t->edges[at].key && t->edges[at].key != key)
		at = (at + 1) & mask;
	return &t->edges[at];
}

int32_t trie_add(struct trie *t, const char *key, size_t n, int32_t value)
{
	uint32_t node = 0;
	int32_t old;

	for (size_t i = 0; i < n; i++) {
		uint32_t edge_key = node << 8 | (unsigned char)key[i];
		struct trie_edge *edge = find(t, edge_key);
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
	return byte ? find(t, node << 8 | byte)->child : 0;
}
