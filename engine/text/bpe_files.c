/* The files of a byte-level BPE tokenizer.
 *
 * tokenizer.json holds all: the vocabulary as an object, the merges as "a b"
 * or ["a", "b"].  vocab.json is that object alone; merges.txt has a merge a
 * line, after a line that begins with "#version".  In all of them a byte is
 * written as a character: the printable ones of Latin-1 as themselves, the
 * others as U+0100 and up in their order. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "engine/text/bpe.h"
#include "engine/text/bpe_private.h"
#include "engine/text/file.h"
#include "library/base/arena.h"
#include "library/base/err.h"
#include "library/base/str.h"
#include "library/base/vec.h"

enum { MAX_VOCAB = 1 << 20, MAX_MERGES = 1 << 20 };

struct reading {
	const json_t *vocab;
	struct {
		struct bpe_pair *at;
		size_t n, cap;
	} pairs;
	struct err *e;
};

static int32_t id_of(const struct reading *r, const char *token)
{
	const json_t *id = json_object_get(r->vocab, token);

	return json_is_integer(id) ? (int32_t)json_integer_value(id) : -1;
}

/* ---- vocabulary --------------------------------------------------------- */

static int check_ids(const struct reading *r, struct bpe *b)
{
	const size_t n = json_object_size(r->vocab);
	const char *token;
	json_t *id;

	if (!n || n > MAX_VOCAB)
		return err_set(
			r->e, ERR_FORMAT, "the vocabulary has %zu tokens: copy the file again", n);
	json_object_foreach((json_t *)(uintptr_t)r->vocab, token, id)
	{
		const json_int_t value = json_integer_value(id);
		if (!json_is_integer(id) || value < 0 || value >= MAX_VOCAB)
			return err_set(r->e, ERR_FORMAT,
				"the token '%.60s' has no usable id: copy the file again", token);
		if (value >= b->n_vocab)
			b->n_vocab = (int32_t)value + 1;
	}
	return 0;
}

static bool is_printable(int byte)
{
	return (byte >= '!' && byte <= '~') || (byte >= 0xa1 && byte <= 0xff && byte != 0xad);
}

static int find_bytes(const struct reading *r, struct bpe *b)
{
	uint32_t next = 256;

	for (int byte = 0; byte < 256; byte++) {
		char token[5] = "";
		utf8_encode(is_printable(byte) ? (uint32_t)byte : next++, token);
		b->byte_ids[byte] = id_of(r, token);
		if (b->byte_ids[byte] < 0)
			return err_set(r->e, ERR_FORMAT,
				"the vocabulary lacks '%s', the byte %d: it is not a byte-level "
				"one",
				token, byte);
	}
	b->begin = id_of(r, "<s>");
	b->end = id_of(r, "</s>");
	if (b->begin < 0 || b->end < 0)
		return err_set(r->e, ERR_FORMAT, "the vocabulary lacks <s> or </s>");
	return 0;
}

/* ---- merges ------------------------------------------------------------- */

static int add_merge(struct reading *r, const char *left, const char *right)
{
	struct str both = {0};
	const int32_t a = id_of(r, left), b = id_of(r, right);

	str_add(&both, left);
	str_add(&both, right);
	const int32_t id = id_of(r, str_get(&both));
	str_done(&both);
	if (a < 0 || b < 0 || id < 0)
		return err_set(r->e, ERR_FORMAT,
			"merge %zu, '%.40s %.40s', is not of this vocabulary: copy the files again",
			r->pairs.n + 1, left, right);
	if (r->pairs.n == MAX_MERGES)
		return err_set(r->e, ERR_FORMAT, "there are more than %d merges", MAX_MERGES);
	*VEC_PUSH(&r->pairs) = (struct bpe_pair){.key = (uint64_t)(uint32_t)a << 32 | (uint32_t)b,
		.rank = (uint32_t)r->pairs.n,
		.id = id};
	return 0;
}

/* "a b" in place. */
static int add_line(struct reading *r, char *line)
{
	char *blank = strchr(line, ' ');

	if (!blank || blank == line || !blank[1] || strchr(blank + 1, ' '))
		return err_set(r->e, ERR_FORMAT,
			"merge %zu, '%.60s', is not two tokens: copy the file again",
			r->pairs.n + 1, line);
	*blank = '\0';
	return add_merge(r, line, blank + 1);
}

static int read_merges_text(struct reading *r, const uint8_t *bytes, size_t n)
{
	const char *at = (const char *)bytes, *end = at + n;
	struct str line = {0};
	int rc = 0;

	for (size_t i = 0; at < end && !rc; i++) {
		const char *stop = memchr(at, '\n', (size_t)(end - at));
		size_t len = (size_t)((stop ? stop : end) - at);
		str_clear(&line);
		str_add_n(&line, at, len && at[len - 1] == '\r' ? len - 1 : len);
		at += len + 1;
		if (line.n && !(i == 0 && has_prefix(line.s, "#version")))
			rc = add_line(r, line.s);
	}
	str_done(&line);
	return rc;
}

static int read_merges_json(struct reading *r, const json_t *merges)
{
	const json_t *merge;
	size_t i;
	int rc = 0;

	if (!json_is_array(merges))
		return err_set(r->e, ERR_FORMAT, "there are no merges: copy the file again");
	json_array_foreach(merges, i, merge)
	{
		const char *left = json_string_value(json_array_get(merge, 0));
		const char *right = json_string_value(json_array_get(merge, 1));
		struct str line = {0};
		if (json_is_string(merge)) {
			str_add(&line, json_string_value(merge));
			str_add(&line, "");
			rc = line.n ? add_line(r, line.s)
				    : err_set(r->e, ERR_FORMAT, "merge %zu is empty", i + 1);
			str_done(&line);
		} else {
			rc = left && right ? add_merge(r, left, right)
					   : err_set(r->e, ERR_FORMAT,
						     "merge %zu is not two tokens", i + 1);
		}
		if (rc)
			break;
	}
	return rc;
}

static int by_key(const void *a, const void *b)
{
	const struct bpe_pair *p = a, *q = b;

	return p->key < q->key ? -1 : p->key > q->key;
}

static int take_pairs(struct reading *r, struct bpe *b)
{
	if (r->pairs.n)
		qsort(r->pairs.at, r->pairs.n, sizeof *r->pairs.at, by_key);
	for (size_t i = 1; i < r->pairs.n; i++)
		if (r->pairs.at[i].key == r->pairs.at[i - 1].key)
			return err_set(
				r->e, ERR_FORMAT, "a merge is there twice: copy the file again");
	b->pairs = r->pairs.at;
	b->n_pairs = r->pairs.n;
	r->pairs.at = NULL;
	r->pairs.n = r->pairs.cap = 0;
	return 0;
}

/* ---- tokenizer.json ----------------------------------------------------- */

static const char *type_of(const json_t *component)
{
	const char *s = json_string_value(json_object_get(component, "type"));

	return s ? s : "";
}

/* Components that would change the ids are refused by name. */
static int check_components(const json_t *root, const json_t *model, struct err *e)
{
	const json_t *normalizer = json_object_get(root, "normalizer");
	const json_t *words = json_object_get(root, "pre_tokenizer");

	if (*type_of(model) && strcmp(type_of(model), "BPE"))
		return err_set(e, ERR_UNSUPPORTED,
			"tokenizer.json has the model '%.60s', not BPE: use vocab.json and "
			"merges.txt",
			type_of(model));
	if (normalizer && !json_is_null(normalizer))
		return err_set(e, ERR_UNSUPPORTED,
			"tokenizer.json has the normalizer '%.60s', which is not known",
			type_of(normalizer));
	if (strcmp(type_of(words), "ByteLevel") ||
		json_is_true(json_object_get(words, "add_prefix_space")) ||
		json_is_false(json_object_get(words, "use_regex")))
		return err_set(e, ERR_UNSUPPORTED,
			"tokenizer.json has a pre_tokenizer '%.60s' that is not RoBERTa's",
			type_of(words));
	return 0;
}

/* ---- opening ------------------------------------------------------------ */

int bpe_parse(const uint8_t *json, size_t n_json, const uint8_t *merges, size_t n_merges,
	struct bpe **ret, struct err *e)
{
	struct bpe *b = xcalloc(1, sizeof *b);
	struct reading r = {.e = e};
	json_error_t at;
	json_t *root = json_loadb((const char *)json, n_json, 0, &at);
	const json_t *model = merges ? NULL : json_object_get(root, "model");
	int rc = 0;

	*ret = NULL;
	r.vocab = merges ? root : json_object_get(model, "vocab");
	if (!root)
		rc = err_set(e, ERR_FORMAT, "it is not JSON (line %d: %s): copy it again", at.line,
			at.text);
	if (!rc && !merges)
		rc = check_components(root, model, e);
	if (!rc)
		rc = check_ids(&r, b);
	if (!rc)
		rc = find_bytes(&r, b);
	if (!rc)
		rc = merges ? read_merges_text(&r, merges, n_merges)
			    : read_merges_json(&r, json_object_get(model, "merges"));
	if (!rc)
		rc = take_pairs(&r, b);
	VEC_DONE(&r.pairs);
	json_decref(root);
	if (rc)
		bpe_close(b);
	else
		*ret = b;
	return rc;
}

int bpe_open(const char *dir, struct bpe **ret, struct err *e)
{
	uint8_t *json = NULL, *merges = NULL;
	size_t n_json = 0, n_merges = 0;
	const char *name = "tokenizer.json";
	int rc = text_file_read(dir, name, &json, &n_json, e);

	*ret = NULL;
	if (!rc && !json) {
		name = "vocab.json";
		rc = text_file_read(dir, name, &json, &n_json, e);
		if (!rc)
			rc = text_file_read(dir, "merges.txt", &merges, &n_merges, e);
		if (!rc && (!json || !merges))
			rc = err_set(e, ERR_FORMAT,
				"'%s' holds no tokenizer.json, nor vocab.json and merges.txt: copy "
				"the tokenizer there",
				dir);
	}
	if (!rc) {
		rc = bpe_parse(json, n_json, merges, n_merges, ret, e);
		if (rc)
			rc = err_wrap(e, rc, "'%s/%s'", dir, name);
	}
	free(json);
	free(merges);
	return rc;
}
