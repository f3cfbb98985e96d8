/* The tokenizer: texts to ids, on T5's own vocabulary and on small ones. */
#include "engine/text/unigram.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "library/base/err.h"
#include "library/base/str.h"
#include "tests/unit/scratch.h"

enum { MEGABYTE = 1 << 20 };

static const char *const folders[] = {FIXTURES "/t5", FIXTURES "/unigram/small",
	FIXTURES "/unigram/identity", FIXTURES "/unigram/bytes", FIXTURES "/unigram/suffix",
	FIXTURES "/unigram/bare"};

struct ids {
	int32_t *at;
	size_t n;
};

static struct unigram *open_vocabulary(const char *dir)
{
	struct unigram *u = NULL;
	struct err e = {0};

	if (unigram_open(dir, &u, &e))
		fail_msg("%s", e.text);
	return u;
}

static struct ids encode(const struct unigram *u, const char *text, size_t n)
{
	struct ids ids;
	struct err e = {0};

	if (unigram_encode(u, text, n, &ids.at, &ids.n, &e))
		fail_msg("%s", e.text);
	for (size_t i = 0; i < ids.n; i++)
		assert_in_range(ids.at[i], 0, unigram_vocab(u) - 1);
	return ids;
}

static void assert_ids(struct ids got, const int32_t *want, size_t n, const char *of)
{
	for (size_t i = 0; i < got.n && i < n; i++) {
		if (got.at[i] != want[i])
			fail_msg("%s: id %zu is %d, not %d", of, i, got.at[i], want[i]);
	}
	if (got.n != n)
		fail_msg("%s: %zu ids, not %zu", of, got.n, n);
}

/* The ids of a text are those given, which end with the id of </s>. */
#define assert_encoded(u, text, ...)                                                               \
	do {                                                                                       \
		const int32_t want[] = {__VA_ARGS__};                                              \
		struct ids got = encode(u, text, sizeof(text) - 1);                                \
		assert_ids(got, want, sizeof want / sizeof *want, text);                           \
		free(got.at);                                                                      \
	} while (0)

/* ---- what SentencePiece says ------------------------------------------------- */

/* "text", or, for bytes that JSON cannot hold, "hex". */
static void golden_text(const json_t *line, struct str *ret)
{
	const char *hex = json_string_value(json_object_get(line, "hex"));
	const json_t *text = json_object_get(line, "text");
	unsigned byte;

	if (text)
		str_add_n(ret, json_string_value(text), json_string_length(text));
	for (; hex && *hex; hex += 2) {
		assert_int_equal(sscanf(hex, "%2x", &byte), 1);
		str_add_char(ret, (char)byte);
	}
}

static void check_golden_line(const struct unigram *u, const json_t *line)
{
	const json_t *list = json_object_get(line, "ids"), *id;
	int32_t want[2048];
	struct str text = {0};
	struct ids got;
	size_t i;

	assert_in_range(json_array_size(list), 1, sizeof want / sizeof *want);
	json_array_foreach(list, i, id) want[i] = (int32_t)json_integer_value(id);
	golden_text(line, &text);
	got = encode(u, str_get(&text), text.n);
	assert_ids(got, want, json_array_size(list), str_get(&text));
	free(got.at);
	str_done(&text);
}

static int check_golden(const char *dir)
{
	struct unigram *u = open_vocabulary(dir);
	char path[4096];
	json_t *line;
	FILE *f;
	int n = 0;

	snprintf(path, sizeof path, "%s/golden.jsonl", dir);
	f = fopen(path, "r");
	assert_non_null(f);
	while ((line = json_loadf(f, JSON_DISABLE_EOF_CHECK, NULL))) {
		check_golden_line(u, line);
		json_decref(line);
		n++;
	}
	fclose(f);
	unigram_close(u);
	return n;
}

static void t5_as_sentencepiece(void **state)
{
	assert_int_equal(check_golden(folders[0]), 27);
}

static void every_kind_as_sentencepiece(void **state)
{
	for (size_t i = 1; i < sizeof folders / sizeof *folders; i++)
		assert_int_equal(check_golden(folders[i]), 60);
}

/* Several cuts are equally good: the first one found counts. */
static void ties(void **state)
{
	struct unigram *u = open_vocabulary(folders[0]);

	assert_encoded(u, "+###", 1768, 4663, 30345, 1);
	assert_encoded(u, "hhhh", 3, 107, 24303, 1);
	assert_encoded(u, "hlll", 3, 107, 40, 195, 1);
	assert_encoded(u, "#^AAA", 1713, 2, 188, 5498, 1);
	unigram_close(u);
}

/* ---- texts ------------------------------------------------------------------- */

static void empty_texts_and_blanks(void **state)
{
	struct unigram *u = open_vocabulary(folders[0]);

	assert_int_equal(unigram_vocab(u), 32000);
	assert_encoded(u, "", 1);
	assert_encoded(u, " ", 1);
	assert_encoded(u, " \t\r\n \u00a0\u3000\u200b\ufeff", 1);
	assert_encoded(u, "\u2581", 1);
	assert_encoded(u, "Hello world", 8774, 296, 1);
	assert_encoded(u, "  Hello \t\n world\u3000\u2581 ", 8774, 296, 1);
	unigram_close(u);

	u = open_vocabulary(FIXTURES "/unigram/identity"); /* keeps them */
	assert_encoded(u, "", 1);
	assert_encoded(u, " ", 3, 3, 1);
	assert_encoded(u, "   ", 3, 3, 3, 3, 1);
	unigram_close(u);

	u = open_vocabulary(FIXTURES "/unigram/suffix");
	assert_encoded(u, "", 1);
	assert_encoded(u, "  ", 1);
	unigram_close(u);
}

static void names_of_specials_are_text(void **state)
{
	struct unigram *u = open_vocabulary(folders[0]);
	struct ids ids;

	ids = encode(u, "</s><pad></s>", 13);
	for (size_t i = 0; i < ids.n; i++)
		assert_int_equal(ids.at[i] <= 1, i == ids.n - 1);
	free(ids.at);
	unigram_close(u);
}

/* One U+FFFD for each byte that is no UTF-8, behind the character map: so in T5,
 * whose map drops a U+FFFD of the text itself, it is an unknown character like
 * any other of three bytes. */
static struct ids encode_replaced(const struct unigram *u, const char *same_as, bool is_t5)
{
	char text[64];
	char *at = text;

	snprintf(text, sizeof text, "%s", same_as);
	while (is_t5 && (at = strstr(at, "\ufffd")))
		memcpy(at, "\u4f60", 3);
	return encode(u, text, strlen(text));
}

static void invalid_bytes(void **state)
{
	static const struct {
		const char *text, *same_as;
	} cases[] = {
		{"\xff", "\ufffd"},
		{"\x80", "\ufffd"},
		{"a\x80z", "a\ufffdz"},
		{"pian\xf6 solo", "pian\ufffd solo"},
		{"\xc3", "\ufffd"},
		{"\xe2\x82", "\ufffd\ufffd"},
		{"\xf0\x9f\x8e", "\ufffd\ufffd\ufffd"},
		{"\xe2\x82z", "\ufffd\ufffdz"},
		{"\xc0\xaf", "\ufffd\ufffd"},                     /* overlong */
		{"\xe0\x80\xaf", "\ufffd\ufffd\ufffd"},           /* overlong */
		{"\xed\xa0\x80", "\ufffd\ufffd\ufffd"},           /* a surrogate */
		{"\xf4\x90\x80\x80", "\ufffd\ufffd\ufffd\ufffd"}, /* above U+10FFFF */
		{"\xff\xc3\xa9\xff", "\ufffd\u00e9\ufffd"},
	};

	for (size_t k = 0; k < sizeof folders / sizeof *folders; k++) { /* T5 is the first */
		struct unigram *u = open_vocabulary(folders[k]);
		for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
			struct ids want = encode_replaced(u, cases[i].same_as, k == 0);
			struct ids got = encode(u, cases[i].text, strlen(cases[i].text));
			assert_ids(got, want.at, want.n, cases[i].same_as);
			free(got.at);
			free(want.at);
		}
		unigram_close(u);
	}
}

static void nul_is_a_byte_like_others(void **state)
{
	struct unigram *u = open_vocabulary(folders[0]);

	assert_encoded(u, "Hello\0 world", 8774, 2, 296, 1);
	assert_encoded(u, "a\0a", 3, 9, 2, 9, 1);
	unigram_close(u);
}

/* ---- a megabyte -------------------------------------------------------------- */

/* The part, over and over, until there is a megabyte of it. */
static char *fill(const char *part, size_t *ret_n)
{
	size_t n = strlen(part);
	char *text = malloc(MEGABYTE);

	assert_non_null(text);
	*ret_n = MEGABYTE / n * n;
	for (size_t i = 0; i < *ret_n; i += n)
		memcpy(text + i, part, n);
	return text;
}

/* The same words have the same ids wherever they stand.  (Were the time not
 * linear, this would not end.) */
static void a_megabyte_of_words(void **state)
{
	static const int32_t words[] = {6899, 18, 89, 23, 5436, 13652};
	const size_t period = sizeof words / sizeof *words;
	struct unigram *u = open_vocabulary(folders[0]);
	size_t n;
	char *text = fill("lo-fi hip hop ", &n);
	struct ids ids = encode(u, text, n);

	assert_int_equal(ids.n, n / strlen("lo-fi hip hop ") * period + 1);
	for (size_t i = 0; i + 1 < ids.n; i++) {
		if (ids.at[i] != words[i % period])
			fail_msg("id %zu is %d", i, ids.at[i]);
	}
	free(ids.at);
	free(text);
	unigram_close(u);
}

/* A word of 400000 letters.  Its score is so low that floats are coarse there,
 * and SentencePiece 0.2.3, whose ids these are, rebases as we do. */
static void one_long_word(void **state)
{
	const size_t n = 400000;
	struct unigram *u = open_vocabulary(folders[0]);
	char *text = malloc(n);
	struct ids ids;
	uint32_t x = 1, sum = 1;

	assert_non_null(text);
	for (size_t i = 0; i < n; i++) {
		x = x * 1664525 + 1013904223;
		text[i] = (char)('a' + (x >> 24) % 10);
	}
	ids = encode(u, text, n);
	for (size_t i = 0; i < ids.n; i++)
		sum = sum * 31 + (uint32_t)ids.at[i];
	assert_int_equal(ids.n, 312053);
	assert_int_equal(sum, 3749863459);
	free(ids.at);
	free(text);
	unigram_close(u);
}

static void a_megabyte_without_words(void **state)
{
	static const char *const parts[] = {"a", "x", " ", "\u2581", "\u00e9", "\xff", "haha!",
		"unbelievably", "\ufdfa", "0", "<drop", "\U0001f3b5"};

	for (size_t k = 0; k < sizeof folders / sizeof *folders; k++) {
		struct unigram *u = open_vocabulary(folders[k]);
		for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
			size_t n;
			char *text = fill(parts[i], &n);
			struct ids ids = encode(u, text, n);
			free(ids.at);
			free(text);
		}
		unigram_close(u);
	}
}

/* ---- the folder -------------------------------------------------------------- */

static void expect_failure(const char *dir, int code, const char *part)
{
	struct unigram *u = NULL;
	struct err e = {0};

	assert_int_equal(unigram_open(dir, &u, &e), code);
	assert_error(e, code, part);
	assert_null(u);
	assert_int_equal(unigram_open(dir, &u, NULL), code);
}

static void folders_without_a_tokenizer(void **state)
{
	static char long_name[5000];

	expect_failure(*state, ERR_FORMAT, "holds no spiece.model and no tokenizer.json");
	expect_failure(scratch_path(state, "none"), ERR_FORMAT, "holds no spiece.model");
	scratch_write(scratch_path(state, "file"), "x", 1);
	expect_failure(scratch_path(state, "file"), ERR_FORMAT, "holds no spiece.model");
	memset(long_name, 'x', sizeof long_name - 1);
	expect_failure(long_name, ERR_ARG, "name is longer");
	unigram_close(NULL);
}

static void files_that_are_none(void **state)
{
	const char *spiece = scratch_path(state, "spiece.model");

	assert_int_equal(mkdir(spiece, 0755), 0);
	expect_failure(*state, ERR_FORMAT, "is no file or larger");
	assert_int_equal(rmdir(spiece), 0);
	assert_int_equal(mkfifo(spiece, 0600), 0);
	expect_failure(*state, ERR_FORMAT, "is no file or larger");
	assert_int_equal(unlink(spiece), 0);
	scratch_write(spiece, "", 0);
	expect_failure(*state, ERR_FORMAT, "spiece.model': the file is cut");
	assert_int_equal(truncate(spiece, 40 << 20), 0); /* sparse */
	expect_failure(*state, ERR_FORMAT, "larger than any tokenizer");
	assert_int_equal(unlink(spiece), 0);
	scratch_write(scratch_path(state, "tokenizer.json"), "", 0);
	expect_failure(*state, ERR_FORMAT, "tokenizer.json': it is not JSON");
}

static void copy(void **state, const char *from, const char *to)
{
	size_t n;
	unsigned char *bytes = scratch_read(from, &n);

	scratch_write(scratch_path(state, to), bytes, n);
	free(bytes);
}

/* As transformers' own T5Tokenizer does: it is the original. */
static void spiece_goes_before_json(void **state)
{
	struct unigram *u;

	copy(state, FIXTURES "/musicgen/bin-shards/tokenizer.json", "tokenizer.json");
	u = open_vocabulary(*state);
	assert_int_equal(unigram_vocab(u), 207);
	unigram_close(u);
	copy(state, FIXTURES "/t5/spiece.model", "spiece.model");
	u = open_vocabulary(*state);
	assert_int_equal(unigram_vocab(u), 32000);
	unigram_close(u);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t5_as_sentencepiece),
		cmocka_unit_test(every_kind_as_sentencepiece),
		cmocka_unit_test(ties),
		cmocka_unit_test(empty_texts_and_blanks),
		cmocka_unit_test(names_of_specials_are_text),
		cmocka_unit_test(invalid_bytes),
		cmocka_unit_test(nul_is_a_byte_like_others),
		cmocka_unit_test(a_megabyte_of_words),
		cmocka_unit_test(one_long_word),
		cmocka_unit_test(a_megabyte_without_words),
		cmocka_unit_test_setup_teardown(
			folders_without_a_tokenizer, scratch_open, scratch_close),
		cmocka_unit_test_setup_teardown(files_that_are_none, scratch_open, scratch_close),
		cmocka_unit_test_setup_teardown(
			spiece_goes_before_json, scratch_open, scratch_close),
	};

	return RUN_TAP(tests);
}
