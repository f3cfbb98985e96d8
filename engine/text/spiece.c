/* spiece.model: SentencePiece's ModelProto, read without a protobuf library.
 *
 * Messages and field numbers (sentencepiece_model.proto, Apache-2.0):
 *	ModelProto	pieces 1 (repeated), trainer_spec 2, normalizer_spec 3
 *	SentencePiece	piece 1, score 2 (float), type 3
 *	TrainerSpec	model_type 3, treat_whitespace_as_suffix 24,
 *			byte_fallback 35, eos_piece 47
 *	NormalizerSpec	precompiled_charsmap 2, add_dummy_prefix 3,
 *			remove_extra_whitespaces 4, escape_whitespaces 5
 * As protobuf has it, unknown fields (or known ones of another wire type) are
 * skipped and the last of several values counts. */
#include "engine/text/vocab.h"

#include <string.h>

#include "library/base/err.h"

enum wire_type { VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5 };

#define FIELD(number, type) ((number) << 3 | (type))

struct message {
	const uint8_t *at, *end;
};

struct field {
	uint64_t tag;   /* FIELD(number, wire type) */
	uint64_t value; /* VARINT, FIXED32 */
	struct message bytes;
};

static bool read_varint(struct message *m, uint64_t *ret)
{
	uint64_t v = 0;

	for (unsigned shift = 0; shift < 70 && m->at < m->end; shift += 7) {
		uint8_t b = *m->at++;
		v |= shift < 64 ? (uint64_t)(b & 0x7f) << shift : 0;
		if (!(b & 0x80)) {
			*ret = v;
			return true;
		}
	}
	return false;
}

static bool read_fixed(struct message *m, size_t n, uint64_t *ret)
{
	*ret = 0;
	if ((size_t)(m->end - m->at) < n)
		return false;
	for (size_t i = 0; i < n; i++)
		*ret |= (uint64_t)*m->at++ << 8 * i;
	return true;
}

static bool read_bytes(struct message *m, struct message *ret)
{
	uint64_t n;

	if (!read_varint(m, &n) || n > (uint64_t)(m->end - m->at))
		return false;
	*ret = (struct message){m->at, m->at + n};
	m->at += n;
	return true;
}

/* 1: *ret is the next field; 0: the message has ended; ERR_FORMAT. */
static int next_field(struct message *m, struct field *ret, struct err *e)
{
	bool ok;

	if (m->at == m->end)
		return 0;
	ok = read_varint(m, &ret->tag);
	if (ok) {
		switch (ret->tag & 7) {
		case VARINT:
			ok = read_varint(m, &ret->value);
			break;
		case FIXED64:
			ok = read_fixed(m, 8, &ret->value);
			break;
		case FIXED32:
			ok = read_fixed(m, 4, &ret->value);
			break;
		case BYTES:
			ok = read_bytes(m, &ret->bytes);
			break;
		default:
			ok = false;
		}
	}
	if (!ok)
		return err_set(e, ERR_FORMAT,
			"the file is cut or is no SentencePiece model: copy it again");
	return 1;
}

static int read_piece(struct message m, struct vocab *v, struct err *e)
{
	struct vocab_piece p = {.type = PIECE_NORMAL};
	struct field f = {0};
	uint64_t type = PIECE_NORMAL;
	uint32_t bits;
	int rc;

	while ((rc = next_field(&m, &f, e)) > 0) {
		switch (f.tag) {
		case FIELD(1, BYTES):
			p.s = (const char *)f.bytes.at;
			p.n = (size_t)(f.bytes.end - f.bytes.at);
			break;
		case FIELD(2, FIXED32):
			bits = (uint32_t)f.value;
			memcpy(&p.score, &bits, sizeof bits);
			break;
		case FIELD(3, VARINT):
			type = f.value;
			break;
		}
	}
	if (rc)
		return rc;
	if (type < PIECE_NORMAL || type > PIECE_BYTE)
		return err_set(e, ERR_FORMAT,
			"piece %zu is of an unknown type: copy the file again", v->pieces.n);
	p.type = (enum piece_type)type;
	return vocab_add(v, &p, e);
}

static int check_model_type(uint64_t type, struct err *e)
{
	static const char *const names[] = {"0", "unigram", "BPE", "word", "character"};

	if (type == 1)
		return 0;
	return err_set(e, ERR_UNSUPPORTED,
		"the vocabulary is a SentencePiece model of type %s, only unigram ones are known",
		type < sizeof names / sizeof *names ? names[type] : "unknown");
}

static int read_trainer(
	struct message m, struct vocab *v, struct message *ret_end_piece, struct err *e)
{
	uint64_t model_type = 1;
	struct field f = {0};
	int rc;

	while ((rc = next_field(&m, &f, e)) > 0) {
		switch (f.tag) {
		case FIELD(3, VARINT):
			model_type = f.value;
			break;
		case FIELD(24, VARINT):
			v->rules.space_is_suffix = f.value;
			break;
		case FIELD(35, VARINT):
			v->rules.byte_fallback = f.value;
			break;
		case FIELD(47, BYTES):
			if (f.bytes.at < f.bytes.end) /* "" is the default, too */
				*ret_end_piece = f.bytes;
			break;
		}
	}
	return rc ? rc : check_model_type(model_type, e);
}

static int read_normaliser(struct message m, struct vocab *v, struct err *e)
{
	struct field f = {0};
	int rc;

	while ((rc = next_field(&m, &f, e)) > 0) {
		switch (f.tag) {
		case FIELD(2, BYTES):
			v->charsmap = f.bytes.at;
			v->n_charsmap = (size_t)(f.bytes.end - f.bytes.at);
			break;
		case FIELD(3, VARINT):
			v->rules.add_space = f.value;
			break;
		case FIELD(4, VARINT):
			v->rules.squeeze_spaces = f.value;
			break;
		case FIELD(5, VARINT):
			v->rules.escape_spaces = f.value;
			break;
		}
	}
	return rc;
}

/* By name, as SentencePiece does; one that no text can hold goes first. */
static int32_t find_piece(const struct vocab *v, struct message name)
{
	size_t n = (size_t)(name.end - name.at);
	int32_t found = -1;

	for (size_t i = 0; i < v->pieces.n; i++) {
		const struct vocab_piece *p = &v->pieces.at[i];
		if (p->n != n || memcmp(p->s, name.at, n) || p->type == PIECE_UNKNOWN)
			continue;
		if (p->type == PIECE_CONTROL)
			return (int32_t)i;
		if (found < 0)
			found = (int32_t)i;
	}
	return found;
}

int vocab_read_spiece(const uint8_t *bytes, size_t n, struct vocab *v, struct err *e)
{
	static const uint8_t end_piece[] = {'<', '/', 's', '>'};
	struct message m = {bytes, bytes + n};
	struct message end = {end_piece, end_piece + sizeof end_piece};
	bool has_trainer = false, has_normaliser = false;
	struct field f = {0};
	int rc;

	v->rules = (struct vocab_rules){
		.add_space = true, .squeeze_spaces = true, .escape_spaces = true};
	while ((rc = next_field(&m, &f, e)) > 0) {
		switch (f.tag) {
		case FIELD(1, BYTES):
			rc = read_piece(f.bytes, v, e);
			break;
		case FIELD(2, BYTES):
			rc = read_trainer(f.bytes, v, &end, e);
			has_trainer = true;
			break;
		case FIELD(3, BYTES):
			rc = read_normaliser(f.bytes, v, e);
			has_normaliser = true;
			break;
		}
		if (rc < 0)
			break;
	}
	if (rc)
		return rc;
	/* Every writer puts them behind the pieces: without them the file is cut. */
	if (!has_trainer || !has_normaliser)
		return err_set(e, ERR_FORMAT,
			"the file is cut or is no SentencePiece model: copy it again");
	v->end = find_piece(v, end);
	return 0;
}
