/* letters.h: what kind a character is, to the regular expressions that cut texts into
 * words: those of Hugging Face's tokenizers (scripts/letters). */
#ifndef WOODSHED_ENGINE_LETTERS_H
#define WOODSHED_ENGINE_LETTERS_H

#include <stddef.h>
#include <stdint.h>

enum letters_kind {
	LETTERS_OTHER,
	LETTERS_LETTER, /* \p{L} */
	LETTERS_NUMBER, /* \p{N} */
	LETTERS_BLANK,  /* \s */
};

struct letters_range {
	uint32_t first, last;
	enum letters_kind kind;
};

/* Ascending, without overlaps. */
extern const struct letters_range letters_ranges[];
extern const size_t letters_n_ranges;

#endif
