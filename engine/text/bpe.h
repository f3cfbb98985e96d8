/* The tokenizer of RoBERTa: byte-level byte pair encoding.
 *
 * A text is cut into words (a blank belongs to the word behind it), a word
 * into its bytes, and neighbours are joined, the pair that was learnt first
 * before all others, until no pair is known.  <s> and </s> go around.  Literal
 * "<mask>" or "</s>" in a text is plain text, as in unigram.h.
 * Source: Radford et al., "Language Models are Unsupervised Multitask
 * Learners", 2019, section 2.2; Hugging Face's tokenizers for the order of
 * pairs that are equally good (the leftmost). */
#ifndef WOODSHED_ENGINE_BPE_H
#define WOODSHED_ENGINE_BPE_H

#include <stddef.h>
#include <stdint.h>

struct bpe;
struct err;

/* Reads dir/tokenizer.json or, where there is none, dir/vocab.json and
 * dir/merges.txt.  All are hostile input. */
int bpe_open(const char *dir, struct bpe **ret, struct err *e);
void bpe_close(struct bpe *b);      /* NULL-safe */
int bpe_vocab(const struct bpe *b); /* ids are below this */

/* UTF-8 text of n bytes (each byte of an invalid sequence becomes U+FFFD) to
 * ids, <s> and </s> included: at most `max` of them (at least 2), the last of
 * which is </s> also where the rest was cut off; *ret_n_cut of those were.
 * *ret_ids is malloc'd; owned by the caller.  Time is n log n. */
int bpe_encode(const struct bpe *b, const char *text, size_t n, size_t max, int32_t **ret_ids,
	size_t *ret_n, size_t *ret_n_cut, struct err *e);

/* The same from files in memory: those of a tokenizer.json (merges NULL), or
 * of a vocab.json and a merges.txt. */
int bpe_parse(const uint8_t *json, size_t n_json, const uint8_t *merges, size_t n_merges,
	struct bpe **ret, struct err *e);

#endif
