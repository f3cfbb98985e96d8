/* vocab.h: what a vocabulary file says, before it becomes a struct unigram.
 *
 * Two readers fill a struct vocab: spiece.model (a protobuf) and
 * tokenizer.json.  Both take hostile bytes; what they have in common (scores
 * that are numbers, no piece twice, ...) is checked once, when the struct
 * unigram is built.  Private to engine/text; open to tests. */
#ifndef WOODSHED_ENGINE_VOCAB_H
#define WOODSHED_ENGINE_VOCAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "library/base/arena.h"

struct err;
struct unigram;

enum {
	VOCAB_MAX_PIECES = 1 << 20,
};

/* With the numbers of sentencepiece_model.proto. */
enum piece_type {
	PIECE_NORMAL = 1,
	PIECE_UNKNOWN = 2,
	PIECE_CONTROL = 3, /* never found in a text */
	PIECE_USER = 4,    /* always one piece, and never normalised */
	PIECE_UNUSED = 5,
	PIECE_BYTE = 6, /* "<0x0A>": one byte of an unknown character */
};

struct vocab_piece {
	const char *s; /* borrowed from the file's bytes or the vocab's arena */
	size_t n;
	float score;
	enum piece_type type;
};

struct vocab_rules {
	bool add_space;       /* a blank in front of the text ... */
	bool space_is_suffix; /* ... or behind it */
	bool squeeze_spaces;  /* runs become one, none at the ends */
	bool escape_spaces;   /* blanks are written U+2581 */
	bool byte_fallback;   /* unknown text is spelled in bytes */
};

struct vocab {
	struct {
		struct vocab_piece *at;
		size_t n, cap;
	} pieces; /* by id */
	struct arena arena;
	const uint8_t *charsmap; /* borrowed like the pieces; NULL: none */
	size_t n_charsmap;
	int32_t end; /* id of </s>; -1: none */
	struct vocab_rules rules;
};

/* Fill a zeroed *v; vocab_done() frees it, also after an error. */
int vocab_read_spiece(const uint8_t *bytes, size_t n, struct vocab *v, struct err *e);
int vocab_read_json(const uint8_t *bytes, size_t n, struct vocab *v, struct err *e);
void vocab_done(struct vocab *v);

/* Adds a piece; ERR_FORMAT when there are too many. */
int vocab_add(struct vocab *v, const struct vocab_piece *p, struct err *e);

/* The byte that a piece "<0x0A>" stands for; -1 when it is not of that form. */
int vocab_byte(const struct vocab_piece *p);

/* unigram_open() on bytes in memory: those of a tokenizer.json or of a
 * spiece.model. */
int unigram_parse(
	bool is_json, const uint8_t *bytes, size_t n, struct unigram **ret, struct err *e);

#endif
