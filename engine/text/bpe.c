#include "engine/text/bpe.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "engine/text/bpe_private.h"
#include "engine/text/letters.h"
#include "library/base/arena.h"
#include "library/base/err.h"
#include "library/base/str.h"

/* ---- words -------------------------------------------------------------- */

static enum letters_kind kind_of(uint32_t cp)
{
	size_t lo = 0, hi = letters_n_ranges;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		const struct letters_range *r = &letters_ranges[mid];
		if (cp < r->first)
			hi = mid;
		else if (cp > r->last)
			lo = mid + 1;
		else
			return r->kind;
	}
	return LETTERS_OTHER;
}

static enum letters_kind kind_at(const char *s, size_t n, size_t *ret_len)
{
	uint32_t cp;

	*ret_len = utf8_decode(s, n, &cp);
	return kind_of(cp);
}

/* 's 't 're 've 'm 'll 'd */
static size_t contraction(const char *s, size_t n)
{
	static const char *const endings[] = {"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"};

	for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
		size_t len = strlen(endings[i]);
		if (len <= n && !memcmp(s, endings[i], len))
			return len;
	}
	return 0;
}

/* The bytes of s that are all of one kind. */
static size_t run_of(const char *s, size_t n, enum letters_kind kind, size_t *ret_last)
{
	size_t at = 0, len;

	while (at < n && kind_at(s + at, n - at, &len) == kind) {
		*ret_last = len;
		at += len;
	}
	return at;
}

/* Bytes of the first word of s[0..n), n > 0: the first of these that fits,
 *	's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
 * so the last blank of a run belongs to what follows, if it can. */
static size_t word_length(const char *s, size_t n)
{
	size_t len = contraction(s, n), last = 0;

	if (len)
		return len;
	const size_t blank = s[0] == ' ' && n > 1;
	const enum letters_kind kind = kind_at(s + blank, n - blank, &len);
	if (kind != LETTERS_BLANK)
		return blank + run_of(s + blank, n - blank, kind, &last);
	len = run_of(s, n, LETTERS_BLANK, &last);
	return len < n && len > last ? len - last : len;
}

/* ---- one word ----------------------------------------------------------- */

struct symbol {
	int32_t id; /* -1: joined to the one before */
	int32_t prev, next;
};

struct join {
	uint32_t rank;
	int32_t at, id;
};

struct work {
	const struct bpe *b;
	struct symbol *symbols;
	struct join *heap; /* the least first: rank, then place */
	size_t n_heap;
};

static const struct bpe_pair *find_pair(const struct bpe *b, int32_t left, int32_t right)
{
	const uint64_t key = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
	size_t lo = 0, hi = b->n_pairs;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		if (b->pairs[mid].key < key)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < b->n_pairs && b->pairs[lo].key == key ? &b->pairs[lo] : NULL;
}

static bool is_before(const struct join *a, const struct join *b)
{
	return a->rank != b->rank ? a->rank < b->rank : a->at < b->at;
}

static void heap_push(struct work *w, struct join j)
{
	size_t i = w->n_heap++;

	for (; i && is_before(&j, &w->heap[(i - 1) / 2]); i = (i - 1) / 2)
		w->heap[i] = w->heap[(i - 1) / 2];
	w->heap[i] = j;
}

static struct join heap_pop(struct work *w)
{
	const struct join top = w->heap[0], moved = w->heap[--w->n_heap];
	size_t i = 0;

	for (size_t child; (child = 2 * i + 1) < w->n_heap; i = child) {
		child += child + 1 < w->n_heap && is_before(&w->heap[child + 1], &w->heap[child]);
		if (!is_before(&w->heap[child], &moved))
			break;
		w->heap[i] = w->heap[child];
	}
	w->heap[i] = moved;
	return top;
}

/* The pair of `at` and the symbol behind it, if it can be joined. */
static void offer(struct work *w, int32_t at)
{
	const struct symbol *s = &w->symbols[at];
	const struct bpe_pair *p =
		s->next < 0 ? NULL : find_pair(w->b, s->id, w->symbols[s->next].id);

	if (p)
		heap_push(w, (struct join){p->rank, at, p->id});
}

/* An entry of the heap may be older than its symbols: it holds if they still give
 * the same. */
static void join(struct work *w, const struct join *j)
{
	struct symbol *s = &w->symbols[j->at];

	if (s->id < 0 || s->next < 0)
		return;
	struct symbol *right = &w->symbols[s->next];
	const struct bpe_pair *p = find_pair(w->b, s->id, right->id);
	if (!p || p->id != j->id)
		return;
	s->id = j->id;
	s->next = right->next;
	right->id = -1;
	if (s->next >= 0)
		w->symbols[s->next].prev = j->at;
	if (s->prev >= 0)
		offer(w, s->prev);
	offer(w, j->at);
}

/* Ids of a word of n bytes; returns how many. */
static size_t encode_word(struct work *w, const char *s, size_t n, int32_t *ids)
{
	size_t n_ids = 0;

	for (size_t i = 0; i < n; i++)
		w->symbols[i] = (struct symbol){.id = w->b->byte_ids[(unsigned char)s[i]],
			.prev = (int32_t)i - 1,
			.next = i + 1 < n ? (int32_t)i + 1 : -1};
	w->n_heap = 0;
	for (size_t i = 0; i + 1 < n; i++)
		offer(w, (int32_t)i);
	while (w->n_heap) {
		const struct join j = heap_pop(w);
		join(w, &j);
	}
	for (int32_t i = 0; i >= 0; i = w->symbols[i].next)
		ids[n_ids++] = w->symbols[i].id;
	return n_ids;
}

/* ---- a text ------------------------------------------------------------- */

/* Bytes of the text without invalid sequences, which are written to out unless it is NULL. */
static size_t clean(const char *text, size_t n, char *out)
{
	size_t n_out = 0, len;
	uint32_t cp;
	char s[4];

	for (size_t at = 0; at < n; at += len) {
		len = utf8_decode(text + at, n - at, &cp);
		const size_t n_new = utf8_encode(cp, s);
		if (out)
			memcpy(out + n_out, s, n_new);
		n_out += n_new;
	}
	return n_out;
}

static void encode(struct work *w, const char *s, size_t n, int32_t *ids, size_t *ret_n)
{
	size_t n_ids = 0, len;

	ids[n_ids++] = w->b->begin;
	for (size_t at = 0; at < n; at += len) {
		len = word_length(s + at, n - at);
		n_ids += encode_word(w, s + at, len, ids + n_ids);
	}
	ids[n_ids++] = w->b->end;
	*ret_n = n_ids;
}

int bpe_encode(const struct bpe *b, const char *text, size_t n, size_t max, int32_t **ret_ids,
	size_t *ret_n, size_t *ret_n_cut, struct err *e)
{
	struct work w = {.b = b};
	int32_t *ids = NULL;
	char *s = NULL;
	int rc;

	if (n > INT32_MAX / 4)
		return err_set(e, ERR_ARG, "the prompt is longer than any tokenizer takes");
	const size_t n_s = clean(text, n, NULL);
	rc = mem_try_alloc((void **)&s, n_s + 1, 1, "the prompt", e);
	if (!rc)
		rc = mem_try_alloc(
			(void **)&w.symbols, n_s + 1, sizeof *w.symbols, "the prompt", e);
	/* A pair per byte, and two more for each of the joins, of which a byte is part of one. */
	if (!rc)
		rc = mem_try_alloc((void **)&w.heap, n_s + 1, 3 * sizeof *w.heap, "the prompt", e);
	if (!rc)
		rc = mem_try_alloc((void **)&ids, n_s + 2, sizeof *ids, "the prompt's tokens", e);
	if (!rc) {
		clean(text, n, s);
		encode(&w, s, n_s, ids, ret_n);
		*ret_n_cut = *ret_n > max ? *ret_n - max : 0;
		*ret_n -= *ret_n_cut;
		ids[*ret_n - 1] = b->end;
		*ret_ids = ids;
	}
	free(s);
	free(w.symbols);
	free(w.heap);
	return rc;
}

void bpe_close(struct bpe *b)
{
	if (b)
		free(b->pairs);
	free(b);
}

int bpe_vocab(const struct bpe *b)
{
	return (int)b->n_vocab;
}
