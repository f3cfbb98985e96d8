/* What the fuzz targets share.
 *
 * A target is one function over bytes, LLVMFuzzerTestOneInput(): libFuzzer
 * calls it with inputs that it invents (-Dfuzz=true), the test suite with the
 * committed ones (corpus_main.c).  It aborts when an invariant breaks. */
#ifndef WOODSHED_TESTS_FUZZ_H
#define WOODSHED_TESTS_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ckpt;
struct unigram;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* The path of a file in memory that holds the bytes, until the next call. */
const char *fuzz_file(const uint8_t *data, size_t n);
/* Every tensor lies in a file of n bytes and can be read or is refused. */
void fuzz_check_tensors(const struct ckpt *c, uint64_t n);
/* A text has ids of the vocabulary, or is refused. */
void fuzz_check_text(const struct unigram *u, const uint8_t *text, size_t n);
/* The bytes are a spiece.model or tokenizer.json that can encode, or are refused. */
void fuzz_check_vocabulary(bool is_json, const uint8_t *data, size_t n);

/* Any bytes as a weight file: opened and checked, or refused. */
void fuzz_weight_file(const uint8_t *data, size_t n);

#define FUZZ_REQUIRE(ok)                                                                           \
	do {                                                                                       \
		if (!(ok))                                                                         \
			__builtin_trap();                                                          \
	} while (0)

#endif
