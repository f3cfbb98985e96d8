/* The T5 tokenizer.
 *
 * A text goes through two steps.  normalise() replaces byte strings by the
 * character map and marks blanks; viterbi() finds, over all ways to cut the
 * result into pieces, the one with the highest sum of scores.
 *
 * Both follow SentencePiece to the bit (normalizer.cc, and EncodeOptimized in
 * unigram_model.cc, since 0.2.2).  Sums are floats, and exact ties are common
 * ("haha" holds ha + h + a in several orders), so the order of candidates,
 * the strict comparison and the rounding before it are part of the result.
 * SentencePiece up to 0.2.1 compared before rounding, and Hugging Face's
 * tokenizers sums in doubles: both break some of these ties otherwise, in long
 * words that are none.
 */
#include "engine/text/unigram.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/text/charsmap.h"
#include "engine/text/file.h"
#include "engine/text/trie.h"
#include "engine/text/vocab.h"
#include "library/base/err.h"
#include "library/base/str.h"
#include "library/base/vec.h"

#define SPACE "\u2581" /* what stands for a blank inside pieces */

enum { MAX_PIECE = 8000 }; /* bytes; bounds the time per byte of text */

static const float UNKNOWN_PENALTY = 10.0f, REBASE_AT = 100000.0f;

struct unigram {
	struct charsmap map;
	struct trie trie; /* pieces that a text can hold: normal and user-defined */
	float *scores;    /* owned, by id */
	bool *is_user;    /* owned, by id */
	size_t n_pieces;
	float unknown_score;
	int32_t unknown, end;
	int32_t byte_ids[256];
	bool has_user;
	struct vocab_rules rules;
};

/* ---- the text made canonical ---- */

struct out {
	char *s; /* borrowed; NULL: only counts */
	size_t n;
};

static void put(struct out *o, const char *s, size_t n)
{
	if (o->s && n)
		memcpy(o->s + o->n, s, n);
	o->n += n;
}

static void put_space(const struct unigram *u, struct out *o)
{
	if (u->rules.escape_spaces)
		put(o, SPACE, sizeof SPACE - 1);
	else
		put(o, " ", 1);
}

static void put_text(const struct unigram *u, struct out *o, const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (s[i] == ' ')
			put_space(u, o);
		else
			put(o, &s[i], 1);
	}
}

/* Length of the longest user-defined symbol that s starts with. */
static size_t match_user(const struct unigram *u, const char *s, size_t n)
{
	size_t longest = 0;
	uint32_t node = 0;

	for (size_t i = 0; i < n && (node = trie_step(&u->trie, node, (unsigned char)s[i])); i++) {
		int32_t id = u->trie.values[node];
		if (id >= 0 && u->is_user[id])
			longest = i + 1;
	}
	return longest;
}

/* The next unit of text: returns how many bytes it takes, *ret and *ret_n are
 * what it becomes.  n > 0. */
static size_t replace_next(
	const struct unigram *u, const char *s, size_t n, const char **ret, size_t *ret_n)
{
	size_t len = u->has_user ? match_user(u, s, n) : 0;
	uint32_t cp;

	*ret = s;
	*ret_n = len;
	if (len)
		return len;
	len = charsmap_match(&u->map, s, n, ret);
	if (len) {
		*ret_n = strlen(*ret);
		return len;
	}
	len = utf8_decode(s, n, &cp);
	if (cp == 0xfffd && len == 1)
		*ret = "\ufffd";
	*ret_n = cp == 0xfffd ? 3 : len;
	return len;
}

static void trim_spaces(const struct unigram *u, struct out *o)
{
	const char *space = u->rules.escape_spaces ? SPACE : " ";
	size_t n = strlen(space);

	while (o->n >= n && !memcmp(o->s + o->n - n, space, n))
		o->n -= n;
}

/* Returns how long the result is, or, when `to` is NULL, can be at most. */
static size_t normalise(const struct unigram *u, const char *s, size_t n, char *to)
{
	struct out o = {.s = to};
	bool after_space = u->rules.squeeze_spaces;
	const char *r;
	size_t len, n_r;

	while (u->rules.squeeze_spaces && n) {
		len = replace_next(u, s, n, &r, &n_r);
		if (n_r != 1 || *r != ' ')
			break;
		s += len;
		n -= len;
	}
	if (!n)
		return 0;
	if (u->rules.add_space && !u->rules.space_is_suffix)
		put_space(u, &o);
	for (; n; s += len, n -= len) {
		len = replace_next(u, s, n, &r, &n_r);
		for (; after_space && n_r && *r == ' '; r++)
			n_r--;
		if (!n_r)
			continue;
		put_text(u, &o, r, n_r);
		after_space = u->rules.squeeze_spaces && r[n_r - 1] == ' ';
	}
	if (u->rules.squeeze_spaces && to)
		trim_spaces(u, &o);
	if (u->rules.add_space && u->rules.space_is_suffix)
		put_space(u, &o);
	return o.n;
}

/* ---- cutting into pieces ---- */

/* The best way to cut the text up to some byte: its last piece. */
struct cut {
	float score; /* of all pieces so far */
	int32_t id;
	uint32_t len; /* bytes of the piece; 0: none ends here */
};

static void offer(struct cut *c, float score, int32_t id, size_t len)
{
	if (!c->len || score > c->score)
		*c = (struct cut){score, id, (uint32_t)len};
}

/* By the first byte alone: the normalised text of a hostile map may be anything. */
static size_t char_length(char c)
{
	static const uint8_t by_high_bits[] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 3, 4};

	return by_high_bits[(unsigned char)c >> 4];
}

/* A user-defined symbol outscores what else could stand in its place. */
static float piece_score(const struct unigram *u, int32_t id, size_t len)
{
	return u->is_user[id] ? (float)(0.1 * (double)(len - 1)) : u->scores[id];
}

/* Far from 0 floats get coarse: takes cuts[at]'s score from all that are
 * still compared, which changes no comparison but for rounding. */
static void rebase(struct cut *cuts, size_t at, size_t last)
{
	float base = cuts[at].score;

	for (size_t i = at; i <= last; i++) {
		if (i == at || cuts[i].len)
			cuts[i].score -= base;
	}
}

/* Offers all pieces that start at `at`; returns where the last one ends. */
static size_t offer_pieces(const struct unigram *u, const char *s, size_t n, struct cut *cuts,
	size_t at, size_t n_char)
{
	float before = cuts[at].score;
	bool has_char = false;
	uint32_t node = 0;
	size_t last = at;

	for (size_t i = at; i < n; i++) {
		size_t len = i + 1 - at;
		int32_t id;
		node = trie_step(&u->trie, node, (unsigned char)s[i]);
		if (!node)
			break;
		id = u->trie.values[node];
		if (id < 0)
			continue;
		offer(&cuts[i + 1], piece_score(u, id, len) + before, id, len);
		has_char |= len == n_char;
		last = i + 1;
	}
	if (has_char)
		return last;
	offer(&cuts[at + n_char], u->unknown_score + before, u->unknown, n_char);
	return last > at + n_char ? last : at + n_char;
}

/* cuts: n + 1, zeroed. */
static void viterbi(const struct unigram *u, const char *s, size_t n, struct cut *cuts)
{
	size_t n_char, last = 0, reached;

	for (size_t at = 0; at < n; at += n_char) {
		n_char = char_length(s[at]);
		n_char = n_char < n - at ? n_char : n - at;
		if (fabsf(cuts[at].score) > REBASE_AT)
			rebase(cuts, at, last);
		reached = offer_pieces(u, s, n, cuts, at, n_char);
		last = reached > last ? reached : last;
	}
}

/* Walks the best cut from its end; returns the number of ids, and writes them
 * so that the last one lies before ids_end, unless that is NULL. */
static size_t collect(
	const struct unigram *u, const struct cut *cuts, const char *s, size_t n, int32_t *ids_end)
{
	bool after_unknown = false; /* in the text: the piece to the right */
	size_t n_ids = 0;

	for (size_t at = n; at; at -= cuts[at].len) {
		const struct cut *c = &cuts[at];
		bool is_unknown = c->id == u->unknown;
		bool as_bytes = is_unknown && u->rules.byte_fallback;
		size_t n_new = as_bytes ? c->len : is_unknown && after_unknown ? 0 : 1;
		for (size_t i = 1; i <= n_new; i++) {
			n_ids++;
			if (ids_end)
				ids_end[-(ptrdiff_t)n_ids] =
					as_bytes ? u->byte_ids[(unsigned char)s[at - i]] : c->id;
		}
		after_unknown = is_unknown;
	}
	return n_ids;
}

int unigram_encode(const struct unigram *u, const char *text, size_t n, int32_t **ret_ids,
	size_t *ret_n, struct err *e)
{
	struct cut *cuts = NULL;
	int32_t *ids = NULL;
	char *s = NULL;
	size_t n_s = normalise(u, text, n, NULL), n_ids;
	int rc;

	rc = mem_try_alloc((void **)&s, n_s, 1, "the prompt", e);
	if (rc)
		goto out;
	n_s = normalise(u, text, n, s);
	rc = mem_try_alloc((void **)&cuts, n_s + 1, sizeof *cuts, "the prompt", e);
	if (rc)
		goto out;
	viterbi(u, s, n_s, cuts);
	n_ids = collect(u, cuts, s, n_s, NULL);
	rc = mem_try_alloc((void **)&ids, n_ids + 1, sizeof *ids, "the prompt's tokens", e);
	if (rc)
		goto out;
	collect(u, cuts, s, n_s, ids + n_ids);
	ids[n_ids] = u->end;
	*ret_ids = ids;
	*ret_n = n_ids + 1;
out:
	free(s);
	free(cuts);
	return rc;
}

/* ---- the vocabulary ---- */

int vocab_add(struct vocab *v, const struct vocab_piece *p, struct err *e)
{
	if (v->pieces.n == VOCAB_MAX_PIECES)
		return err_set(
			e, ERR_FORMAT, "the vocabulary has more than %d pieces", VOCAB_MAX_PIECES);
	*VEC_PUSH(&v->pieces) = *p;
	return 0;
}

void vocab_done(struct vocab *v)
{
	VEC_DONE(&v->pieces);
	arena_done(&v->arena);
}

static int hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

int vocab_byte(const struct vocab_piece *p)
{
	int high = p->n == 6 ? hex_digit(p->s[3]) : -1;
	int low = p->n == 6 ? hex_digit(p->s[4]) : -1;

	if (high < 0 || low < 0 || memcmp(p->s, "<0x", 3) || p->s[5] != '>')
		return -1;
	return high << 4 | low;
}

static bool is_in_text(const struct vocab_piece *p)
{
	return p->type == PIECE_NORMAL || p->type == PIECE_USER;
}

/* What has to hold of each piece alone; *ret_bytes: of those in the trie. */
static int check_pieces(const struct vocab *v, size_t *ret_bytes, struct err *e)
{
	size_t n_unknown = 0;

	*ret_bytes = 0;
	for (size_t id = 0; id < v->pieces.n; id++) {
		const struct vocab_piece *p = &v->pieces.at[id];
		bool is_bad = !p->n || p->n > MAX_PIECE || memchr(p->s, '\0', p->n);
		if (!isfinite(p->score) || (is_bad && is_in_text(p)))
			return err_set(e, ERR_FORMAT,
				"piece %zu is empty, too long or has no usable score: copy the "
				"file again",
				id);
		n_unknown += p->type == PIECE_UNKNOWN;
		*ret_bytes += is_in_text(p) ? p->n : 0;
	}
	if (n_unknown != 1)
		return err_set(e, ERR_FORMAT,
			"the vocabulary has %zu pieces for unknown text, it must have one",
			n_unknown);
	if (v->end < 0)
		return err_set(e, ERR_UNSUPPORTED,
			"the vocabulary has no end-of-text piece: T5 needs </s>");
	if (!*ret_bytes || *ret_bytes > TRIE_MAX_BYTES)
		return err_set(e, ERR_FORMAT,
			"the vocabulary's pieces have %zu bytes: copy it again", *ret_bytes);
	return 0;
}

static void set_scores(struct unigram *u, const struct vocab *v)
{
	float min = FLT_MAX;

	for (size_t id = 0; id < u->n_pieces; id++) {
		const struct vocab_piece *p = &v->pieces.at[id];
		u->scores[id] = p->score;
		if (p->type == PIECE_NORMAL && p->score < min)
			min = p->score;
	}
	u->unknown_score = min - UNKNOWN_PENALTY;
}

static int index_piece(struct unigram *u, int32_t id, const struct vocab_piece *p, struct err *e)
{
	int32_t old;

	switch (p->type) {
	case PIECE_UNKNOWN:
		u->unknown = id;
		break;
	case PIECE_BYTE:
		if (vocab_byte(p) >= 0)
			u->byte_ids[vocab_byte(p)] = id;
		break;
	case PIECE_NORMAL:
	case PIECE_USER:
		u->is_user[id] = p->type == PIECE_USER;
		u->has_user |= u->is_user[id];
		old = trie_add(&u->trie, p->s, p->n, id);
		if (old >= 0)
			return err_set(e, ERR_FORMAT,
				"pieces %d and %d are both '%.*s': copy the file again", old, id,
				(int)(p->n < 60 ? p->n : 60), p->s);
		if (old == TRIE_CROWDED)
			return err_set(e, ERR_FORMAT,
				"piece %d is made to slow the tokenizer down: use the model's own "
				"file",
				id);
		break;
	case PIECE_CONTROL:
	case PIECE_UNUSED:
		break;
	}
	return 0;
}

static int check_bytes(const struct unigram *u, struct err *e)
{
	for (int b = 0; u->rules.byte_fallback && b < 256; b++) {
		if (u->byte_ids[b] < 0)
			return err_set(e, ERR_FORMAT,
				"the vocabulary spells unknown text in bytes but lacks <0x%02X>: "
				"copy it again",
				(unsigned)b);
	}
	return 0;
}

static int build(struct unigram *u, const struct vocab *v, struct err *e)
{
	size_t n_bytes;
	int rc = check_pieces(v, &n_bytes, e);

	u->n_pieces = v->pieces.n;
	u->end = v->end;
	u->rules = v->rules;
	memset(u->byte_ids, -1, sizeof u->byte_ids);
	if (!rc)
		rc = mem_try_alloc(
			(void **)&u->scores, u->n_pieces, sizeof *u->scores, "the vocabulary", e);
	if (!rc)
		rc = mem_try_alloc(
			(void **)&u->is_user, u->n_pieces, sizeof *u->is_user, "the vocabulary", e);
	if (!rc)
		rc = trie_init(&u->trie, n_bytes, e);
	for (size_t id = 0; !rc && id < u->n_pieces; id++)
		rc = index_piece(u, (int32_t)id, &v->pieces.at[id], e);
	if (rc)
		return rc;
	set_scores(u, v);
	rc = check_bytes(u, e);
	return rc ? rc : charsmap_init(&u->map, v->charsmap, v->n_charsmap, e);
}

int unigram_parse(bool is_json, const uint8_t *bytes, size_t n, struct unigram **ret, struct err *e)
{
	struct unigram *u = xcalloc(1, sizeof *u);
	struct vocab v = {.end = -1};
	int rc;

	rc = is_json ? vocab_read_json(bytes, n, &v, e) : vocab_read_spiece(bytes, n, &v, e);
	if (!rc)
		rc = build(u, &v, e);
	vocab_done(&v);
	if (rc) {
		unigram_close(u);
		return rc;
	}
	*ret = u;
	return 0;
}

void unigram_close(struct unigram *u)
{
	if (!u)
		return;
	charsmap_done(&u->map);
	trie_done(&u->trie);
	free(u->scores);
	free(u->is_user);
	free(u);
}

int unigram_vocab(const struct unigram *u)
{
	return (int)u->n_pieces;
}

/* ---- the file ---- */

int unigram_open(const char *dir, struct unigram **ret, struct err *e)
{
	static const char *const names[] = {"spiece.model", "tokenizer.json"};
	uint8_t *bytes = NULL;
	size_t n = 0, i = 0;
	int rc = text_file_read(dir, names[0], &bytes, &n, e);

	if (!rc && !bytes)
		rc = text_file_read(dir, names[++i], &bytes, &n, e);
	if (rc)
		return rc;
	if (!bytes)
		return err_set(e, ERR_FORMAT,
			"'%s' holds no spiece.model and no tokenizer.json: copy the tokenizer "
			"there",
			dir);
	rc = unigram_parse(i == 1, bytes, n, ret, e);
	if (rc)
		rc = err_wrap(e, rc, "'%s/%s'", dir, names[i]);
	free(bytes);
	return rc;
}
