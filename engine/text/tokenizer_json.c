/* tokenizer.json: the file of Hugging Face's tokenizers library, as far as it
 * says the same as a SentencePiece unigram model.
 *
 * Three forms of it are in use for T5, and all come from a spiece.model:
 *	2020		normalizer Precompiled; WhitespaceSplit, then Metaspace
 *	transformers 4	normalizer Precompiled, Strip, Replace " {2,}"; Metaspace
 *	transformers 5	as in 2020
 * They are read back as that model: white space is squeezed and marked as
 * SentencePiece does it.  Special added tokens are never found in a text,
 * other added tokens are user-defined symbols.  Any other component is
 * refused by its name: it would change the ids. */
#include "engine/text/vocab.h"

#include <float.h>
#include <jansson.h>
#include <math.h>
#include <string.h>

#include "library/base/err.h"

static const char *text_of(const json_t *object, const char *key)
{
	const char *s = json_string_value(json_object_get(object, key));

	return s ? s : "";
}

static bool is_absent(const json_t *v)
{
	return !v || json_is_null(v);
}

static int refuse(struct err *e, const char *what, const json_t *component)
{
	return err_set(e, ERR_UNSUPPORTED,
		"tokenizer.json has the %s '%.60s', which is not known: use the model's "
		"spiece.model",
		what, text_of(component, "type"));
}

/* Calls read() for the component, or for each of those that a Sequence lists. */
static int each_component(const json_t *component, const char *list, struct vocab *v,
	int (*read)(const json_t *component, struct vocab *v, struct err *e), struct err *e)
{
	const json_t *part;
	size_t i;
	int rc = 0;

	if (is_absent(component))
		return 0;
	if (strcmp(text_of(component, "type"), "Sequence"))
		return read(component, v, e);
	json_array_foreach(json_object_get(component, list), i, part)
	{
		rc = read(part, v, e);
		if (rc)
			break;
	}
	return rc;
}

static int base64_digit(char c)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				     "0123456789+/";
	const char *at = c ? strchr(digits, c) : NULL;

	return at ? (int)(at - digits) : -1;
}

static int read_charsmap(const json_t *text, struct vocab *v, struct err *e)
{
	const char *s = json_string_value(text);
	size_t n = json_string_length(text);
	uint32_t bits = 0;
	uint8_t *to;

	if (!s)
		return refuse(e, "normalizer without a character map", text);
	while (n && s[n - 1] == '=')
		n--;
	to = arena_alloc(&v->arena, n / 4 * 3 + 3);
	v->charsmap = to;
	for (size_t i = 0; i < n; i++) {
		int digit = base64_digit(s[i]);
		if (digit < 0)
			return err_set(e, ERR_FORMAT,
				"tokenizer.json: the character map is not base64: copy it again");
		bits = bits << 6 | (uint32_t)digit;
		if (i % 4)
			*to++ = (uint8_t)(bits >> (6 - i % 4 * 2));
	}
	v->n_charsmap = (size_t)(to - v->charsmap);
	return 0;
}

static int read_normaliser(const json_t *part, struct vocab *v, struct err *e)
{
	const char *type = text_of(part, "type");

	if (!strcmp(type, "Precompiled") && !v->charsmap)
		return read_charsmap(json_object_get(part, "precompiled_charsmap"), v, e);
	if (!strcmp(type, "Replace") &&
		!strcmp(text_of(json_object_get(part, "pattern"), "Regex"), " {2,}")) {
		v->rules.squeeze_spaces = true;
		return 0;
	}
	if (!strcmp(type, "Strip")) /* goes with the Replace above */
		return 0;
	return refuse(e, "normalizer", part);
}

static int read_pre_tokenizer(const json_t *part, struct vocab *v, struct err *e)
{
	const char *type = text_of(part, "type");
	const char *scheme = text_of(part, "prepend_scheme");
	bool always = *scheme ? !strcmp(scheme, "always")
			      : !json_is_false(json_object_get(part, "add_prefix_space"));

	if (!strcmp(type, "WhitespaceSplit")) {
		v->rules.squeeze_spaces = true;
		v->rules.add_space = true;
		return 0;
	}
	/* After a WhitespaceSplit each word is marked, or no blank is left. */
	if (strcmp(type, "Metaspace") || strcmp(text_of(part, "replacement"), "\u2581") ||
		(v->rules.add_space && !always))
		return refuse(e, "pre_tokenizer", part);
	v->rules.escape_spaces = true;
	v->rules.add_space = always || !strcmp(scheme, "first");
	return 0;
}

/* The text, then one token: {"single": [{"Sequence": ...}, {"SpecialToken":
 * {"id": NAME}}], "special_tokens": {NAME: {"ids": [ID]}}}. */
static int read_post_processor(const json_t *post, struct vocab *v, struct err *e)
{
	const json_t *single = json_object_get(post, "single");
	const json_t *token = json_object_get(json_array_get(single, 1), "SpecialToken");
	const json_t *special =
		json_object_get(json_object_get(post, "special_tokens"), text_of(token, "id"));
	const json_t *ids = json_object_get(special, "ids");
	const json_t *id = json_array_get(ids, 0);

	if (strcmp(text_of(post, "type"), "TemplateProcessing") || json_array_size(single) != 2 ||
		!json_object_get(json_array_get(single, 0), "Sequence") ||
		json_array_size(ids) != 1 || !json_is_integer(id))
		return refuse(e, "post_processor (it should add one end token)", post);
	if (json_integer_value(id) < 0 || json_integer_value(id) >= (json_int_t)v->pieces.n)
		return err_set(e, ERR_FORMAT,
			"tokenizer.json: the end token is not in the vocabulary: copy it again");
	v->end = (int32_t)json_integer_value(id);
	return 0;
}

static int read_piece(const json_t *pair, bool is_unknown, struct vocab *v, struct err *e)
{
	const json_t *text = json_array_get(pair, 0), *number = json_array_get(pair, 1);
	double score = json_number_value(number);
	struct vocab_piece p = {.n = json_string_length(text), .type = PIECE_NORMAL};

	if (!json_is_string(text) || !json_is_number(number) || fabs(score) > FLT_MAX)
		return err_set(e, ERR_FORMAT,
			"tokenizer.json: piece %zu is not a text and its score: copy it again",
			v->pieces.n);
	p.s = arena_strndup(&v->arena, json_string_value(text), p.n);
	p.score = (float)score;
	if (is_unknown)
		p.type = PIECE_UNKNOWN;
	else if (v->rules.byte_fallback && vocab_byte(&p) >= 0)
		p.type = PIECE_BYTE;
	return vocab_add(v, &p, e);
}

static int read_model(const json_t *model, struct vocab *v, struct err *e)
{
	const json_t *pieces = json_object_get(model, "vocab"), *pair;
	const json_t *unknown = json_object_get(model, "unk_id");
	const char *type = text_of(model, "type");
	size_t i;
	int rc = 0;

	/* Files of 2020 do not name the type; only a unigram model has an array. */
	if ((*type && strcmp(type, "Unigram")) || (!*type && !json_is_array(pieces)))
		return refuse(e, "model", model);
	v->rules.byte_fallback = json_is_true(json_object_get(model, "byte_fallback"));
	json_array_foreach(pieces, i, pair)
	{
		rc = read_piece(pair,
			json_is_integer(unknown) && (json_int_t)i == json_integer_value(unknown), v,
			e);
		if (rc)
			break;
	}
	return rc;
}

/* Added tokens name pieces, or follow the vocabulary with ids of their own. */
static int read_added(const json_t *token, struct vocab *v, struct err *e)
{
	const json_t *text = json_object_get(token, "content");
	json_int_t id = json_integer_value(json_object_get(token, "id"));
	struct vocab_piece p = {.n = json_string_length(text), .type = PIECE_USER};
	struct vocab_piece *old;

	if (!json_is_string(text) || !json_is_integer(json_object_get(token, "id")) || id < 0 ||
		id > (json_int_t)v->pieces.n)
		return err_set(e, ERR_FORMAT,
			"tokenizer.json: an added token has no text or an id out of order: copy "
			"it again");
	if (json_is_true(json_object_get(token, "special")))
		p.type = PIECE_CONTROL;
	p.s = arena_strndup(&v->arena, json_string_value(text), p.n);
	if (id == (json_int_t)v->pieces.n)
		return vocab_add(v, &p, e);
	old = &v->pieces.at[id];
	if (old->n != p.n || memcmp(old->s, p.s, p.n))
		return err_set(e, ERR_FORMAT,
			"tokenizer.json: id %lld is both '%.60s' and '%.60s': copy it again",
			(long long)id, old->s, p.s);
	if (old->type != PIECE_UNKNOWN)
		old->type = p.type;
	return 0;
}

static int read_root(const json_t *root, struct vocab *v, struct err *e)
{
	const json_t *token;
	size_t i;
	int rc = read_model(json_object_get(root, "model"), v, e);

	json_array_foreach(json_object_get(root, "added_tokens"), i, token)
	{
		if (rc)
			break;
		rc = read_added(token, v, e);
	}
	if (!rc)
		rc = each_component(
			json_object_get(root, "normalizer"), "normalizers", v, read_normaliser, e);
	if (!rc)
		rc = each_component(json_object_get(root, "pre_tokenizer"), "pretokenizers", v,
			read_pre_tokenizer, e);
	if (!rc)
		rc = read_post_processor(json_object_get(root, "post_processor"), v, e);
	return rc;
}

int vocab_read_json(const uint8_t *bytes, size_t n, struct vocab *v, struct err *e)
{
	json_error_t at;
	json_t *root = json_loadb((const char *)bytes, n, 0, &at);
	int rc;

	if (!root)
		return err_set(e, ERR_FORMAT, "it is not JSON (line %d: %s): copy it again",
			at.line, at.text);
	rc = read_root(root, v, e);
	json_decref(root);
	return rc;
}
