/* The byte-level BPE tokenizer: texts to ids on RoBERTa's own vocabulary, and files
 * that are broken. */
#include "engine/text/bpe.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "library/base/err.h"
#include "library/base/str.h"
#include "tests/unit/scratch.h"

static struct bpe *open_vocabulary(const char *dir)
{
	struct bpe *b = NULL;
	struct err e = {0};

	if (bpe_open(dir, &b, &e))
		fail_msg("%s", e.text);
	return b;
}

static void assert_encoded(
	const struct bpe *b, const char *text, size_t n, const json_t *want, size_t max)
{
	struct err e = {0};
	size_t n_ids, n_cut;
	int32_t *ids;

	if (bpe_encode(b, text, n, max, &ids, &n_ids, &n_cut, &e))
		fail_msg("%s", e.text);
	assert_int_equal(n_ids, json_array_size(want));
	for (size_t i = 0; i < n_ids; i++)
		assert_int_equal(ids[i], json_integer_value(json_array_get(want, i)));
	free(ids);
}

static void check_golden(const struct bpe *b)
{
	FILE *f = fopen(FIXTURES "/roberta/golden.jsonl", "r");
	json_t *line;
	int n = 0;

	assert_non_null(f);
	while ((line = json_loadf(f, JSON_DISABLE_EOF_CHECK, NULL))) {
		const json_t *text = json_object_get(line, "text");
		assert_encoded(b, json_string_value(text), json_string_length(text),
			json_object_get(line, "ids"), SIZE_MAX);
		json_decref(line);
		n++;
	}
	fclose(f);
	assert_int_equal(n, 27);
}

static void roberta_as_the_reference(void **state)
{
	struct bpe *b = open_vocabulary(FIXTURES "/roberta");

	assert_int_equal(bpe_vocab(b), 50265);
	check_golden(b);
	bpe_close(b);
}

/* The same vocabulary in the other two files. */
static void vocab_and_merges(void **state)
{
	json_t *root = json_load_file(FIXTURES "/roberta/tokenizer.json", 0, NULL), *merge;
	const json_t *model = json_object_get(root, "model");
	const char *merges = scratch_path(state, "merges.txt");
	struct bpe *b;
	size_t i;

	assert_int_equal(json_dump_file(json_object_get(model, "vocab"),
				 scratch_path(state, "vocab.json"), 0),
		0);
	FILE *f = fopen(merges, "w");
	assert_non_null(f);
	fprintf(f, "#version: 0.2\n");
	json_array_foreach(json_object_get(model, "merges"), i, merge)
		fprintf(f, "%s\n", json_string_value(merge));
	assert_int_equal(fclose(f), 0);
	json_decref(root);
	b = open_vocabulary(*state);
	check_golden(b);
	bpe_close(b);
}

/* A text that is cut keeps its first ids and ends in </s>; the count of those that
 * went is told. */
static void long_texts_are_cut(void **state)
{
	struct bpe *b = open_vocabulary(FIXTURES "/roberta");
	struct err e = {0};
	size_t n_ids, n_cut;
	int32_t *ids;
	char text[4096];

	for (size_t i = 0; i < sizeof text; i += 2)
		memcpy(text + i, " a", 2);
	assert_int_equal(bpe_encode(b, text, sizeof text, 512, &ids, &n_ids, &n_cut, &e), 0);
	assert_int_equal(n_ids, 512);
	assert_int_equal(n_cut, 2048 + 2 - 512);
	assert_int_equal(ids[0], 0);
	assert_int_equal(ids[510], 10);
	assert_int_equal(ids[511], 2);
	free(ids);
	bpe_close(b);
}

/* One word of a megabyte: n log n. */
static void one_long_word(void **state)
{
	enum { N = 1 << 20 };
	struct bpe *b = open_vocabulary(FIXTURES "/roberta");
	struct err e = {0};
	size_t n_ids, n_cut;
	char *text = malloc(N);
	int32_t *ids;

	assert_non_null(text);
	memset(text, 'x', N);
	assert_int_equal(bpe_encode(b, text, N, SIZE_MAX, &ids, &n_ids, &n_cut, &e), 0);
	assert_true(n_ids > 2 && n_ids < N);
	free(ids);
	free(text);
	bpe_close(b);
}

/* ---- broken files ------------------------------------------------------- */

/* {"a": 0, ...}: all bytes, <s>, </s>, and what is given. */
static json_t *small_vocab(const char *const *more)
{
	json_t *vocab = json_object();
	uint32_t next = 256;
	int id = 0;

	for (int byte = 0; byte < 256; byte++) {
		const bool plain = (byte >= '!' && byte <= '~') || (byte >= 0xa1 && byte != 0xad);
		char token[5] = "";
		utf8_encode(plain ? (uint32_t)byte : next++, token);
		json_object_set_new(vocab, token, json_integer(id++));
	}
	json_object_set_new(vocab, "<s>", json_integer(id++));
	json_object_set_new(vocab, "</s>", json_integer(id++));
	for (; *more; more++)
		json_object_set_new(vocab, *more, json_integer(id++));
	return vocab;
}

static int parse(json_t *vocab, const char *merges, struct bpe **ret, struct err *e)
{
	char *text = json_dumps(vocab, 0);
	int rc = bpe_parse((const uint8_t *)text, strlen(text), (const uint8_t *)merges,
		strlen(merges), ret, e);

	free(text);
	json_decref(vocab);
	return rc;
}

static void refused(const char *without, const char *with_id, const char *merges, const char *says)
{
	json_t *vocab = small_vocab((const char *const[]){"ab", NULL});
	struct bpe *b = NULL;
	struct err e = {0};

	if (without)
		json_object_del(vocab, without);
	if (with_id)
		json_object_set_new(vocab, with_id, json_integer(-1));
	assert_int_equal(parse(vocab, merges, &b, &e), ERR_FORMAT);
	assert_null(b);
	if (!strstr(e.text, says))
		fail_msg("'%s' does not say '%s'", e.text, says);
}

static void broken_files_are_named(void **state)
{
	refused("a", NULL, "", "lacks 'a'");
	refused("</s>", NULL, "", "lacks <s> or </s>");
	refused(NULL, "zz", "", "no usable id");
	refused(NULL, NULL, "#version: 0.2\na c\n", "not of this vocabulary");
	refused(NULL, NULL, "a b\na b\n", "twice");
	refused(NULL, NULL, "ab\n", "not two tokens");
	refused(NULL, NULL, "a  b\n", "not two tokens");
}

/* The pair that was learnt first goes first, the leftmost of equals. */
static void order_of_merges(void **state)
{
	json_t *vocab = small_vocab((const char *const[]){"bc", "ab", "aa", NULL});
	struct bpe *b = NULL;
	struct err e = {0};
	json_t *want;

	assert_int_equal(parse(vocab, "b c\r\na b\r\na a", &b, &e), 0);
	want = json_pack("[i,i,i,i]", 256, 'a', 258, 257);
	assert_encoded(b, "abc", 3, want, SIZE_MAX);
	json_decref(want);
	want = json_pack("[i,i,i,i]", 256, 260, 'a', 257);
	assert_encoded(b, "aaa", 3, want, SIZE_MAX);
	json_decref(want);
	bpe_close(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(roberta_as_the_reference),
		cmocka_unit_test_setup_teardown(vocab_and_merges, scratch_open, scratch_close),
		cmocka_unit_test(long_texts_are_cut),
		cmocka_unit_test(one_long_word),
		cmocka_unit_test(broken_files_are_named),
		cmocka_unit_test(order_of_merges),
	};

	return RUN_TAP(tests);
}
