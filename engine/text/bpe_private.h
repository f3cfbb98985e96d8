/* What bpe_files.c reads and bpe.c uses. */
#ifndef WOODSHED_ENGINE_BPE_PRIVATE_H
#define WOODSHED_ENGINE_BPE_PRIVATE_H

#include <stddef.h>
#include <stdint.h>

/* Two neighbours that become one. */
struct bpe_pair {
	uint64_t key;  /* left id << 32 | right id */
	uint32_t rank; /* the lowest goes first */
	int32_t id;
};

struct bpe {
	int32_t byte_ids[256];
	int32_t begin, end; /* <s>, </s> */
	int32_t n_vocab;
	struct bpe_pair *pairs; /* owned; by key */
	size_t n_pairs;
};

#endif
