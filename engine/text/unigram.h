/* The T5 tokenizer: SentencePiece unigram with its compiled normaliser.
 *
 * Text is normalised (character map, white space squeezed, "▁" for blanks and
 * in front), cut into the pieces with the highest total score (Viterbi), runs
 * of unknown characters become one <unk>, and </s> is appended.  Empty text
 * gives just </s>.  Literal "</s>" or "<pad>" in a text is plain text.
 * Source: Kudo, "Subword Regularization", 2018, section 3.2, and the
 * sentencepiece file format. */
#ifndef WOODSHED_ENGINE_UNIGRAM_H
#define WOODSHED_ENGINE_UNIGRAM_H

#include <stddef.h>
#include <stdint.h>

struct err;
struct unigram;

/* Reads dir/spiece.model, or dir/tokenizer.json when that is all there is.
 * Both are hostile input: every offset is checked. */
int unigram_open(const char *dir, struct unigram **ret, struct err *e);
void unigram_close(struct unigram *u);      /* NULL-safe */
int unigram_vocab(const struct unigram *u); /* pieces; ids are below this */

/* UTF-8 text of n bytes (invalid sequences become U+FFFD) to ids, </s>
 * included.  *ret_ids is malloc'd; owned by the caller.  Time and memory are
 * linear in n. */
int unigram_encode(const struct unigram *u, const char *text, size_t n, int32_t **ret_ids,
	size_t *ret_n, struct err *e);

#endif
