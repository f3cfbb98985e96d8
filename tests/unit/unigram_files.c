/* The tokenizer's files: spiece.model and tokenizer.json of one vocabulary give
 * the same ids, and damaged ones give an error in words. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/text/trie.h"
#include "engine/text/unigram.h"
#include "engine/text/vocab.h"
#include "library/base/err.h"
#include "library/base/str.h"
#include "tests/unit/scratch.h"

static const char *const texts[] = {"", " ", "ab", "Hello, lo-fi  world ",
	"caf\u00e9 \ufb01lter \u00bd", "BPM <drop> <dropped> </s>",
	"haha \U0001f3b5 \xff\xfe\u3000x", "ABC abc \u2581\u2581 q"};

/* ---- encoding ----------------------------------------------------------------- */

static void assert_same_ids(
	const struct unigram *a, const struct unigram *b, const char *text, size_t n)
{
	int32_t *ids_a, *ids_b;
	size_t n_a, n_b;

	assert_int_equal(unigram_encode(a, text, n, &ids_a, &n_a, NULL), 0);
	assert_int_equal(unigram_encode(b, text, n, &ids_b, &n_b, NULL), 0);
	if (n_a != n_b || memcmp(ids_a, ids_b, n_a * sizeof *ids_a))
		fail_msg("'%s' has other ids", text);
	free(ids_a);
	free(ids_b);
}

/* Parses; what is refused says why, what is not can encode. */
static void parse_anything(bool is_json, const void *bytes, size_t n)
{
	struct unigram *u = NULL;
	struct err e = {0};
	int rc = unigram_parse(is_json, bytes, n, &u, &e);

	assert_int_equal(rc, e.code);
	if (rc) {
		assert_null(u);
		assert_true(e.text[0] && e.text[strlen(e.text) - 1] != '.');
		return;
	}
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		int32_t *ids;
		size_t n_ids;
		if (unigram_encode(u, texts[i], strlen(texts[i]), &ids, &n_ids, NULL))
			continue;
		for (size_t k = 0; k < n_ids; k++)
			assert_in_range(ids[k], 0, unigram_vocab(u) - 1);
		free(ids);
	}
	unigram_close(u);
}

static void expect_failure(bool is_json, const void *bytes, size_t n, int code, const char *part)
{
	struct unigram *u = NULL;
	struct err e = {0};

	if (!unigram_parse(is_json, bytes, n, &u, &e))
		fail_msg("opened, expected an error with '%s'", part);
	assert_null(u);
	assert_error(e, code, part);
}

/* ---- a spiece.model in miniature ------------------------------------------------ */

static void add_varint(struct str *b, uint64_t v)
{
	for (; v > 0x7f; v >>= 7)
		str_add_char(b, (char)(0x80 | (v & 0x7f)));
	str_add_char(b, (char)v);
}

static void add_message(struct str *b, unsigned number, const void *bytes, size_t n)
{
	add_varint(b, number << 3 | 2);
	add_varint(b, n);
	str_add_n(b, bytes, n);
}

struct piece {
	const char *s; /* NULL: no piece */
	float score;
	uint64_t type;
};

static void add_piece(struct str *b, const struct piece *p)
{
	struct str m = {0};

	add_message(&m, 1, p->s, strlen(p->s));
	add_varint(&m, 2 << 3 | 5);
	str_add_n(&m, (const char *)&p->score, 4); /* little endian, as all we run on */
	add_varint(&m, 3 << 3 | 0);
	add_varint(&m, p->type);
	add_message(b, 1, m.s, m.n);
	str_done(&m);
}

/* A model that is good but for what it is told. */
struct model {
	bool lacks_unknown, lacks_end, lacks_trainer, lacks_normaliser;
	struct piece more[2];
	const char *trainer;    /* fields; NULL: none */
	const char *normaliser; /* likewise */
	size_t n_normaliser;    /* 0: up to a NUL */
};

static struct str build(const struct model *m)
{
	static const struct piece unknown = {"<unk>", 0, PIECE_UNKNOWN},
				  end = {"</s>", 0, PIECE_CONTROL},
				  normal[] = {{"\u2581", -2, PIECE_NORMAL}, {"a", -3, PIECE_NORMAL},
					  {"b", -3.5f, PIECE_NORMAL}, {"ab", -4, PIECE_NORMAL}};
	struct str b = {0};

	if (!m->lacks_unknown)
		add_piece(&b, &unknown);
	if (!m->lacks_end)
		add_piece(&b, &end);
	for (size_t i = 0; i < sizeof normal / sizeof *normal; i++)
		add_piece(&b, &normal[i]);
	for (size_t i = 0; i < 2 && m->more[i].s; i++)
		add_piece(&b, &m->more[i]);
	if (!m->lacks_trainer)
		add_message(
			&b, 2, m->trainer ? m->trainer : "", m->trainer ? strlen(m->trainer) : 0);
	if (!m->lacks_normaliser)
		add_message(&b, 3, m->normaliser ? m->normaliser : "",
			m->n_normaliser || !m->normaliser ? m->n_normaliser
							  : strlen(m->normaliser));
	return b;
}

static struct unigram *parse(const struct str *b)
{
	struct unigram *u = NULL;
	struct err e = {0};

	if (unigram_parse(false, (const uint8_t *)b->s, b->n, &u, &e))
		fail_msg("%s", e.text);
	return u;
}

static struct unigram *parse_model(const struct model *m)
{
	struct str b = build(m);
	struct unigram *u = parse(&b);

	str_done(&b);
	return u;
}

static void assert_text(const struct unigram *u, const char *text, const char *want)
{
	struct str got = {0};
	int32_t *ids;
	size_t n;

	assert_int_equal(unigram_encode(u, text, strlen(text), &ids, &n, NULL), 0);
	for (size_t i = 0; i < n; i++)
		str_printf(&got, "%s%d", i ? " " : "", ids[i]);
	assert_string_equal(str_get(&got), want);
	str_done(&got);
	free(ids);
}

static void miniature(void **state)
{
	struct unigram *u = parse_model(&(struct model){0});

	assert_int_equal(unigram_vocab(u), 6);
	assert_text(u, "ab", "2 5 1");
	assert_text(u, "ba", "2 4 3 1");
	assert_text(u, " a  b ", "2 3 2 4 1");
	assert_text(u, "xyza", "2 0 3 1"); /* a run of unknown characters is one */
	unigram_close(u);
}

/* An unknown character scores 10 less than the worst piece, "ab" with -4. */
static void unknown_characters_cost_ten(void **state)
{
	struct unigram *u;

	u = parse_model(
		&(struct model){.more = {{"xc", -4, PIECE_NORMAL}, {"c", 9.5f, PIECE_NORMAL}}});
	assert_text(u, "xc", "2 6 1");
	unigram_close(u);
	u = parse_model(
		&(struct model){.more = {{"xc", -4, PIECE_NORMAL}, {"c", 10.5f, PIECE_NORMAL}}});
	assert_text(u, "xc", "2 0 7 1");
	unigram_close(u);
}

/* Fields that nobody knows, or that are known with another wire type. */
static void unknown_fields_are_skipped(void **state)
{
	static const char junk[] = "\xa0\x06\x05"
				   "\xa1\x06"
				   "12345678"
				   "\xa5\x06"
				   "1234"
				   "\xa2\x06\x01x"
				   "\x08\x01"
				   "\x1a\x01\x01"
				   "\x15"
				   "1234";
	struct unigram *plain = parse_model(&(struct model){0}), *other;
	struct str b;

	other = parse_model(&(struct model){.trainer = junk, .normaliser = junk});
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		assert_same_ids(plain, other, texts[i], strlen(texts[i]));
	unigram_close(other);
	b = build(&(struct model){0});
	str_add_n(&b, junk, sizeof junk - 1 - 5 - 3 - 2); /* up to those of known numbers */
	other = parse(&b);
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		assert_same_ids(plain, other, texts[i], strlen(texts[i]));
	unigram_close(other);
	unigram_close(plain);
	str_done(&b);
}

static void the_last_value_counts(void **state)
{
	struct unigram *u = parse_model(&(struct model){
		.trainer = "\x18\x02\x18\x01", .normaliser = "\x18\1\x18\0", .n_normaliser = 4});

	assert_text(u, " ab", "5 1"); /* no blank in front */
	unigram_close(u);
}

/* ---- what a spiece.model may not say --------------------------------------------- */

static char long_piece[8002];

static void broken_rules(void **state)
{
	static const struct {
		struct model model;
		int code;
		const char *part;
	} cases[] = {
		{{.lacks_unknown = true}, ERR_FORMAT, "0 pieces for unknown text"},
		{{.more = {{"<u>", 0, PIECE_UNKNOWN}}}, ERR_FORMAT, "2 pieces for unknown text"},
		{{.lacks_end = true}, ERR_UNSUPPORTED, "no end-of-text piece: T5 needs </s>"},
		{{.lacks_trainer = true}, ERR_FORMAT, "the file is cut"},
		{{.lacks_normaliser = true}, ERR_FORMAT, "the file is cut"},
		{{.more = {{"", -1, PIECE_NORMAL}}}, ERR_FORMAT, "piece 6 is empty"},
		{{.more = {{"", -1, PIECE_USER}}}, ERR_FORMAT, "piece 6 is empty"},
		{{.more = {{long_piece, -1, PIECE_NORMAL}}}, ERR_FORMAT,
			"piece 6 is empty, too long"},
		{{.more = {{"c", NAN, PIECE_NORMAL}}}, ERR_FORMAT, "no usable score"},
		{{.more = {{"c", INFINITY, PIECE_CONTROL}}}, ERR_FORMAT, "no usable score"},
		{{.more = {{"c", 0, 0}}}, ERR_FORMAT, "piece 6 is of an unknown type"},
		{{.more = {{"c", 0, 7}}}, ERR_FORMAT, "piece 6 is of an unknown type"},
		{{.more = {{"c", 0, UINT64_MAX}}}, ERR_FORMAT, "of an unknown type"},
		{{.more = {{"c", 0, PIECE_NORMAL + (UINT64_C(1) << 32)}}}, ERR_FORMAT,
			"of an unknown type"},
		{{.more = {{"ab", 0, PIECE_NORMAL}}}, ERR_FORMAT, "pieces 5 and 6 are both 'ab'"},
		{{.more = {{"c", 0, PIECE_USER}, {"c", 0, PIECE_NORMAL}}}, ERR_FORMAT,
			"are both 'c'"},
		{{.trainer = "\x18\x02"}, ERR_UNSUPPORTED, "type BPE, only unigram"},
		{{.trainer = "\x18\x03"}, ERR_UNSUPPORTED, "type word"},
		{{.trainer = "\x18\x7f"}, ERR_UNSUPPORTED, "type unknown"},
		{{.trainer = "\x98\x02\x01"}, ERR_FORMAT, "lacks <0x00>"},
		{{.trainer = "\x98\x02\x01", .more = {{"<0x00>", 0, PIECE_BYTE}}}, ERR_FORMAT,
			"lacks <0x01>"},
		{{.trainer = "\xfa\x02\x03"
			     "END"},
			ERR_UNSUPPORTED, "no end-of-text piece"},
		{{.trainer = "\x18"}, ERR_FORMAT, "the file is cut"},
		{{.trainer = "\xfa\x02\x7f"}, ERR_FORMAT, "the file is cut"},
		{{.normaliser = "\x1b"}, ERR_FORMAT, "no SentencePiece model"}, /* a group */
		{{.normaliser = "\x1f"}, ERR_FORMAT, "no SentencePiece model"}, /* no wire type */
	};

	memset(long_piece, 'x', sizeof long_piece - 1);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct str b = build(&cases[i].model);
		expect_failure(false, b.s, b.n, cases[i].code, cases[i].part);
		str_done(&b);
	}
}

static void pieces_at_the_limits(void **state)
{
	struct unigram *u;

	memset(long_piece, 'x', 8000);
	long_piece[8000] = '\0';
	u = parse_model(&(struct model){.more = {{long_piece, -1, PIECE_NORMAL}}});
	assert_text(u, long_piece, "2 6 1");
	unigram_close(u);
	/* Another name for the end; scores as bad as floats can be. */
	u = parse_model(&(struct model){.trainer = "\xfa\x02\x03"
						   "END",
		.lacks_end = true,
		.more = {{"END", 0, PIECE_CONTROL}, {"c", -3.4e38f, PIECE_NORMAL}}});
	assert_text(u, "ab", "1 4 5");
	assert_text(u, "ccccxcEND", "1 6 6 6 6 0 6 0 5");
	unigram_close(u);
}

static void lying_lengths(void **state)
{
	static const struct {
		const char *bytes;
		size_t n;
	} cases[] = {
#define BYTES(s) {s, sizeof(s) - 1}
		BYTES(""),
		BYTES("\x0a"),
		BYTES("\x0a\x7f"),
		BYTES("\x0a\x80"),
		BYTES("\x0a\x05"
		      "abcd"),
		BYTES("\x0a\xff\xff\xff\xff\x0f"),
		BYTES("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
		BYTES("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
		BYTES("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80"),
		BYTES("\x0a\x02\x0a\x01"), /* a piece's text ends behind the piece */
		BYTES("\x0a\x03\x0a\x7f"
		      "a"),
		BYTES("\x0a\x03\x15"
		      "12"), /* half a score */
		BYTES("\x09"
		      "1234567"),
		BYTES("\x0d"
		      "123"),
		BYTES("{\"version\": \"1.0\"}"),
		BYTES("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 791656\n"),
#undef BYTES
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		expect_failure(false, cases[i].bytes, cases[i].n, ERR_FORMAT,
			"the file is cut or is no SentencePiece model: copy it again");
}

static void huge_counts(void **state)
{
	struct str b = {0};

	for (int i = 0; i <= VOCAB_MAX_PIECES; i++)
		str_add_n(&b, "\x0a", 2); /* a piece of no bytes */
	expect_failure(false, b.s, b.n, ERR_FORMAT, "more than 1048576 pieces");
	str_done(&b);
}

/* A piece each of whose edges wants the first slots of the index: 8000 would
 * take time by their square. */
static void crowded_index(void **state)
{
	enum { LEN = 8000 };
	char key[LEN];
	struct trie t;
	uint32_t node = 0;

	for (uint32_t i = 0; i < LEN; i++) {
		uint32_t least = UINT32_MAX;
		for (uint32_t c = 1; c < 256; c++) {
			uint32_t hash = (i << 8 | c) * 0x9e3779b1u; /* as in trie.c */
			if (hash < least) {
				least = hash;
				key[i] = (char)c;
			}
		}
	}
	assert_int_equal(trie_init(&t, LEN, NULL), 0);
	assert_int_equal(trie_add(&t, key, LEN, 7), TRIE_CROWDED);
	assert_int_equal(trie_add(&t, key, 100, 8), -1); /* what was there is still found */
	assert_int_equal(trie_add(&t, key, 100, 9), 8);
	for (int i = 0; i < 100; i++) {
		node = trie_step(&t, node, (unsigned char)key[i]);
		assert_int_equal(node, i + 1);
	}
	trie_done(&t);
}

/* ---- damage, everywhere ---------------------------------------------------------- */

static void cut_anywhere(const char *bytes, size_t n, size_t step)
{
	for (size_t k = 0; k < n; k += step) {
		char *exact = malloc(k ? k : 1); /* so that a sanitizer sees its end */
		assert_non_null(exact);
		memcpy(exact, bytes, k);
		expect_failure(false, exact, k, ERR_FORMAT, "copy");
		free(exact);
	}
}

static void change_each_byte(bool is_json, char *bytes, size_t n, const char *with, size_t n_with)
{
	for (size_t i = 0; i < n; i++) {
		const char old = bytes[i];
		for (size_t k = 0; k < n_with; k++) {
			bytes[i] = (char)(old ^ with[k]);
			parse_anything(is_json, bytes, n);
		}
		bytes[i] = old;
	}
}

static void damaged_miniatures(void **state)
{
	char all[255];
	struct str b =
		build(&(struct model){.trainer = "\x18\x01", .normaliser = "\x18\x01\x20\x01"});

	for (int i = 0; i < 255; i++)
		all[i] = (char)(i + 1);
	cut_anywhere(b.s, b.n, 1);
	change_each_byte(false, b.s, b.n, all, sizeof all);
	str_done(&b);
}

static void damaged_models(void **state)
{
	static const char *const paths[] = {
		FIXTURES "/unigram/small/spiece.model", FIXTURES "/unigram/bytes/spiece.model"};
	size_t n;
	char *bytes;

	for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
		bytes = (char *)scratch_read(paths[i], &n);
		cut_anywhere(bytes, n, 7);
		change_each_byte(false, bytes, n, i ? "\x01" : "\xff", 1);
		free(bytes);
	}
	bytes = (char *)scratch_read(FIXTURES "/t5/spiece.model", &n);
	cut_anywhere(bytes, n, 99991);
	free(bytes);
}

/* ---- the character map ------------------------------------------------------------ */

enum { UNITS = 512 };

#define OFFSET(n) ((uint32_t)(n) << 10)
#define VALUE(n)  (0x80000000u | (uint32_t)(n))
#define KEY_ENDS  0x100u

/* A map with one rule: "A" becomes the replacement at 0. */
static void one_rule(uint32_t units[UNITS])
{
	/* a label that no byte of the text could have there */
	for (uint32_t i = 0; i < UNITS; i++)
		units[i] = (i ^ (i < 256 ? 0 : 0x41) ^ 1) & 0xff;
	units[0] = 0xff; /* the root; its offset is 0 */
	units['A'] = 'A' | KEY_ENDS | OFFSET(256);
	units[256 ^ 'A'] = VALUE(0);
}

/* The NormalizerSpec with the map. */
static void add_map(struct str *b, const uint32_t *units, size_t n_units, uint32_t trie_bytes,
	const char *replacements, size_t n)
{
	struct str map = {0};

	str_add_n(&map, (const char *)&trie_bytes, 4);
	str_add_n(&map, (const char *)units, 4 * n_units);
	str_add_n(&map, replacements, n);
	add_message(b, 2, map.s, map.n);
	str_done(&map);
}

/* Parses the miniature with the map: 0, or the error's text in *e. */
static int parse_map(const struct str *normaliser, struct unigram **ret, struct err *e)
{
	struct str b =
		build(&(struct model){.normaliser = normaliser->s, .n_normaliser = normaliser->n});
	int rc = unigram_parse(false, (const uint8_t *)b.s, b.n, ret, e);

	str_done(&b);
	return rc;
}

static void map_works(const char *replacement, size_t n, const char *want)
{
	uint32_t units[UNITS];
	struct str normaliser = {0};
	struct unigram *u;
	struct err e = {0};

	one_rule(units);
	add_map(&normaliser, units, UNITS, sizeof units, replacement, n);
	if (parse_map(&normaliser, &u, &e))
		fail_msg("%s", e.text);
	assert_text(u, "bA", want);
	unigram_close(u);
	str_done(&normaliser);
}

static void map_fails(
	const uint32_t *units, uint32_t trie_bytes, const char *s, size_t n, const char *part)
{
	struct str normaliser = {0};
	struct unigram *u;
	struct err e = {0};

	add_map(&normaliser, units, UNITS, trie_bytes, s, n);
	assert_int_equal(parse_map(&normaliser, &u, &e), ERR_FORMAT);
	assert_error(e, ERR_FORMAT, part);
	str_done(&normaliser);
}

static void good_maps(void **state)
{
	static char most[1024];

	map_works("a", 2, "2 4 3 1");
	map_works("a", 1, "2 4 3 1"); /* the last NUL is missing */
	map_works("", 1, "2 4 1");
	memset(most, 'x', sizeof most);
	map_works(most, sizeof most, "2 4 0 1");
}

static void bad_maps(void **state)
{
	static const char damaged[] = "the character map is damaged";
	static char too_much[1025];
	uint32_t units[UNITS];

	one_rule(units);
	map_fails(units, 0, "a", 2, "says that its trie has 0");
	map_fails(units, 3, "a", 2, "says that its trie has 3");
	map_fails(units, sizeof units + 4, "a", 2, "says that its trie has 2052");
	map_fails(units, UINT32_MAX - 3, "a", 2, "says that its trie has 4294967292");
	map_fails(units, sizeof units, "", 0, "says that its trie has 2048"); /* no replacements */
	map_fails(units, 255 * 4, "a", 2, damaged);                           /* half a block */
	map_fails(units, 400 * 4, "a", 2, damaged); /* the child's block ends behind it */
	memset(too_much, 'x', sizeof too_much);
	map_fails(units, sizeof units, too_much, sizeof too_much, damaged);
	units[256 ^ 'A'] = VALUE(2); /* behind the last NUL that we add */
	map_fails(units, sizeof units, "a", 1, damaged);
	units[256 ^ 'A'] = VALUE(0x7fffffff);
	map_fails(units, sizeof units, "a", 2, damaged);
	one_rule(units);
	units['A'] = 'A' | OFFSET(UNITS);
	map_fails(units, sizeof units, "a", 2, damaged);
	units['A'] = 'A' | OFFSET(0x1fffff) | 1u << 9; /* as far as offsets go */
	map_fails(units, sizeof units, "a", 2, damaged);
	units['A'] = 'A' | OFFSET('A'); /* a circle */
	map_fails(units, sizeof units, "a", 2, damaged);
	units[0] = 0xff | OFFSET(UNITS);
	map_fails(units, sizeof units, "a", 2, damaged);
	memset(units, 0, sizeof units);
	map_fails(units, sizeof units, "a", 2, damaged);
}

/* ---- tokenizer.json and spiece.model ------------------------------------------------ */

static json_t *base64(const uint8_t *p, size_t n)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	struct str b = {0};
	json_t *text;

	for (size_t i = 0; i < n; i += 3) {
		uint32_t bits = (uint32_t)p[i] << 16 | (i + 1 < n ? (uint32_t)p[i + 1] << 8 : 0) |
				(i + 2 < n ? p[i + 2] : 0);
		str_add_char(&b, digits[bits >> 18]);
		str_add_char(&b, digits[bits >> 12 & 63]);
		str_add_char(&b, i + 1 < n ? digits[bits >> 6 & 63] : '=');
		str_add_char(&b, i + 2 < n ? digits[bits & 63] : '=');
	}
	text = json_string(str_get(&b));
	str_done(&b);
	return text;
}

static json_t *json_pieces(const struct vocab *v)
{
	json_t *list = json_array();

	for (size_t i = 0; i < v->pieces.n; i++) {
		const struct vocab_piece *p = &v->pieces.at[i];
		json_array_append_new(list, json_pack("[s%f]", p->s, (int)p->n, (double)p->score));
	}
	return list;
}

static json_t *json_added(const struct vocab *v)
{
	json_t *list = json_array();

	for (size_t i = 0; i < v->pieces.n; i++) {
		const struct vocab_piece *p = &v->pieces.at[i];
		if (p->type == PIECE_NORMAL || p->type == PIECE_BYTE)
			continue;
		json_array_append_new(list, json_pack("{si,ss%,sb}", "id", (int)i, "content", p->s,
						    (int)p->n, "special", p->type != PIECE_USER));
	}
	return list;
}

/* As transformers 4 writes it. */
static json_t *json_of(const struct vocab *v)
{
	json_t *normalisers = json_array();
	int unknown = 0;

	while (v->pieces.at[unknown].type != PIECE_UNKNOWN)
		unknown++;
	if (v->charsmap)
		json_array_append_new(normalisers,
			json_pack("{ss,so}", "type", "Precompiled", "precompiled_charsmap",
				base64(v->charsmap, v->n_charsmap)));
	if (v->rules.squeeze_spaces) {
		json_array_append_new(normalisers, json_pack("{ss,sb,sb}", "type", "Strip",
							   "strip_left", 0, "strip_right", 1));
		json_array_append_new(
			normalisers, json_pack("{ss,s{ss},ss}", "type", "Replace", "pattern",
					     "Regex", " {2,}", "content", "\u2581"));
	}
	return json_pack(
		"{s{ss,si,so,sb},so,s{ss,so},s{ss,ss,ss},s{ss,s[{s{ss}},{s{ss}}],s{s{s[i]}}}}",
		"model", "type", "Unigram", "unk_id", unknown, "vocab", json_pieces(v),
		"byte_fallback", (int)v->rules.byte_fallback, "added_tokens", json_added(v),
		"normalizer", "type", "Sequence", "normalizers", normalisers, "pre_tokenizer",
		"type", "Metaspace", "replacement", "\u2581", "prepend_scheme",
		v->rules.add_space ? "always" : "never", "post_processor", "type",
		"TemplateProcessing", "single", "Sequence", "id", "A", "SpecialToken", "id", "</s>",
		"special_tokens", "</s>", "ids", (int)v->end);
}

static struct unigram *parse_json(const json_t *root)
{
	char *text = json_dumps(root, JSON_COMPACT | JSON_REAL_PRECISION(17));
	struct unigram *u = NULL;
	struct err e = {0};

	assert_non_null(text);
	if (unigram_parse(true, (const uint8_t *)text, strlen(text), &u, &e))
		fail_msg("%s", e.text);
	free(text);
	return u;
}

static void compare_readers(const char *spiece)
{
	struct vocab v = {.end = -1};
	struct unigram *a, *b;
	size_t n, n_golden;
	unsigned char *bytes = scratch_read(spiece, &n);
	unsigned char *golden = scratch_read(FIXTURES "/t5/golden.jsonl", &n_golden);
	struct str model = {.s = (char *)bytes, .n = n};
	json_t *root;

	a = parse(&model);
	assert_int_equal(vocab_read_spiece(bytes, n, &v, NULL), 0);
	root = json_of(&v);
	b = parse_json(root);
	assert_int_equal(unigram_vocab(a), unigram_vocab(b));
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		assert_same_ids(a, b, texts[i], strlen(texts[i]));
	assert_same_ids(a, b, (char *)golden, n_golden); /* many words, as a text */
	json_decref(root);
	vocab_done(&v);
	unigram_close(a);
	unigram_close(b);
	free(bytes);
	free(golden);
}

static void json_says_the_same(void **state)
{
	compare_readers(FIXTURES "/t5/spiece.model");
	compare_readers(FIXTURES "/unigram/small/spiece.model");
	compare_readers(FIXTURES "/unigram/identity/spiece.model");
	compare_readers(FIXTURES "/unigram/bytes/spiece.model");
	compare_readers(FIXTURES "/unigram/bare/spiece.model");
	compare_readers(FIXTURES "/musicgen/mono/spiece.model");
}

/* The one that Hugging Face's library wrote, as a spiece.model. */
static void transformers_says_the_same(void **state)
{
	struct vocab v = {.end = -1};
	struct str b = {0}, map = {0};
	struct unigram *a, *u;
	size_t n;
	unsigned char *bytes = scratch_read(FIXTURES "/musicgen/bin-shards/tokenizer.json", &n);

	assert_int_equal(vocab_read_json(bytes, n, &v, NULL), 0);
	assert_int_equal(v.pieces.n, 207);
	for (size_t i = 0; i < v.pieces.n; i++) {
		const struct vocab_piece *p = &v.pieces.at[i];
		add_piece(&b, &(struct piece){p->s, p->score, p->type});
	}
	add_message(&b, 2, "\x18\x01", 2);
	add_message(&map, 2, v.charsmap, v.n_charsmap);
	add_message(&b, 3, map.s, map.n);
	a = parse(&b);
	assert_int_equal(unigram_parse(true, bytes, n, &u, NULL), 0);
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		assert_same_ids(a, u, texts[i], strlen(texts[i]));
	assert_same_ids(a, u, (char *)bytes, n);
	unigram_close(a);
	unigram_close(u);
	vocab_done(&v);
	str_done(&b);
	str_done(&map);
	free(bytes);
}

/* ---- what a tokenizer.json may not say ----------------------------------------------- */

/* The value at a path of keys and numbers, "a.0.b". */
static json_t *walk(json_t *at, const char *path)
{
	char *copy = strdup(path), *rest = copy, *key;

	assert_non_null(copy);
	while (*path && (key = strsep(&rest, ".")))
		at = json_is_array(at) ? json_array_get(at, (size_t)atoi(key))
				       : json_object_get(at, key);
	free(copy);
	assert_non_null(at);
	return at;
}

/* Sets (or, for "", removes) what is at the path. */
static void change(json_t *root, const char *path, const char *value)
{
	const char *dot = strrchr(path, '.'), *key = dot ? dot + 1 : path;
	char *parent = strndup(path, dot ? (size_t)(dot - path) : 0);
	json_t *at = walk(root, parent);
	json_t *v = *value ? json_loads(value, JSON_DECODE_ANY, NULL) : NULL;

	assert_true(v || !*value);
	if (json_is_array(at) && v)
		assert_int_equal(json_array_set_new(at, (size_t)atoi(key), v), 0);
	else if (json_is_array(at))
		assert_int_equal(json_array_remove(at, (size_t)atoi(key)), 0);
	else if (v)
		assert_int_equal(json_object_set_new(at, key, v), 0);
	else
		assert_int_equal(json_object_del(at, key), 0);
	free(parent);
}

static json_t *load_fixture(void)
{
	json_t *root = json_load_file(FIXTURES "/musicgen/bin-shards/tokenizer.json", 0, NULL);

	assert_non_null(root);
	return root;
}

static void broken_json_rules(void **state)
{
	static const struct {
		const char *path, *value;
		int code;
		const char *part;
	} cases[] = {
		{"model", "", ERR_UNSUPPORTED, "the model ''"},
		{"model", "[]", ERR_UNSUPPORTED, "the model ''"},
		{"model.type", "\"BPE\"", ERR_UNSUPPORTED, "the model 'BPE', which is not known"},
		{"model.unk_id", "", ERR_FORMAT, "0 pieces for unknown text"},
		{"model.unk_id", "null", ERR_FORMAT, "0 pieces for unknown text"},
		{"model.unk_id", "\"2\"", ERR_FORMAT, "0 pieces for unknown text"},
		{"model.unk_id", "2.0", ERR_FORMAT, "0 pieces for unknown text"},
		{"model.unk_id", "-1", ERR_FORMAT, "0 pieces for unknown text"},
		{"model.unk_id", "4294967298", ERR_FORMAT, "0 pieces for unknown text"},
		{"model.byte_fallback", "true", ERR_FORMAT, "lacks <0x00>"},
		{"model.vocab", "{}", ERR_FORMAT, "id out of order"},
		{"model.vocab.4", "[]", ERR_FORMAT, "piece 4 is not a text and its score"},
		{"model.vocab.4", "\"x\"", ERR_FORMAT, "piece 4 is not a text"},
		{"model.vocab.4.0", "7", ERR_FORMAT, "piece 4 is not a text"},
		{"model.vocab.4.0", "\"\"", ERR_FORMAT, "piece 4 is empty"},
		{"model.vocab.4.0", "\"on\"", ERR_FORMAT, "pieces 4 and 5 are both 'on'"},
		{"model.vocab.4.1", "\"-1\"", ERR_FORMAT, "piece 4 is not a text"},
		{"model.vocab.4.1", "1e300", ERR_FORMAT, "piece 4 is not a text"},
		{"added_tokens.0", "7", ERR_FORMAT, "an added token has no text"},
		{"added_tokens.0.content", "7", ERR_FORMAT, "an added token has no text"},
		{"added_tokens.0.content", "\"x\"", ERR_FORMAT, "id 0 is both '<pad>' and 'x'"},
		{"added_tokens.0.id", "", ERR_FORMAT, "id out of order"},
		{"added_tokens.0.id", "-1", ERR_FORMAT, "id out of order"},
		{"added_tokens.0.id", "208", ERR_FORMAT, "id out of order"},
		{"added_tokens.0.id", "9223372036854775807", ERR_FORMAT, "id out of order"},
		{"added_tokens.0", "{\"id\": 207, \"content\": \"\"}", ERR_FORMAT,
			"piece 207 is empty"},
		{"normalizer", "7", ERR_UNSUPPORTED, "the normalizer ''"},
		{"normalizer", "{\"type\": \"Lowercase\"}", ERR_UNSUPPORTED,
			"normalizer 'Lowercase'"},
		{"normalizer.normalizers.0.type", "\"NFKC\"", ERR_UNSUPPORTED, "normalizer 'NFKC'"},
		{"normalizer.normalizers.0.precompiled_charsmap", "", ERR_UNSUPPORTED,
			"normalizer without a character map"},
		{"normalizer.normalizers.0.precompiled_charsmap", "7", ERR_UNSUPPORTED,
			"normalizer without a character map"},
		{"normalizer.normalizers.0.precompiled_charsmap", "\"A!\"", ERR_FORMAT,
			"not base64"},
		{"normalizer.normalizers.0.precompiled_charsmap", "\"AA=A\"", ERR_FORMAT,
			"not base64"},
		{"normalizer.normalizers.0.precompiled_charsmap", "\"AAA\"", ERR_FORMAT,
			"map of 2 bytes says that its trie has 0"},
		{"normalizer.normalizers.0.precompiled_charsmap", "\"/////w==\"", ERR_FORMAT,
			"map of 4 bytes says that its trie has 4294967295"},
		{"pre_tokenizer", "{\"type\": \"ByteLevel\"}", ERR_UNSUPPORTED,
			"pre_tokenizer 'ByteLevel'"},
		{"pre_tokenizer.replacement", "\"_\"", ERR_UNSUPPORTED,
			"pre_tokenizer 'Metaspace'"},
		{"post_processor", "", ERR_UNSUPPORTED, "should add one end token"},
		{"post_processor", "null", ERR_UNSUPPORTED, "should add one end token"},
		{"post_processor.type", "\"ByteLevel\"", ERR_UNSUPPORTED, "'ByteLevel'"},
		{"post_processor.single", "[]", ERR_UNSUPPORTED, "should add one end token"},
		{"post_processor.single.1", "", ERR_UNSUPPORTED, "should add one end token"},
		{"post_processor.single.1.SpecialToken.id", "\"<s>\"", ERR_UNSUPPORTED,
			"one end token"},
		{"post_processor.special_tokens.</s>.ids", "1", ERR_UNSUPPORTED, "one end token"},
		{"post_processor.special_tokens.</s>.ids", "[]", ERR_UNSUPPORTED, "one end token"},
		{"post_processor.special_tokens.</s>.ids", "[1, 1]", ERR_UNSUPPORTED,
			"one end token"},
		{"post_processor.special_tokens.</s>.ids.0", "\"1\"", ERR_UNSUPPORTED,
			"one end token"},
		{"post_processor.special_tokens.</s>.ids.0", "207", ERR_FORMAT,
			"not in the vocabulary"},
		{"post_processor.special_tokens.</s>.ids.0", "-1", ERR_FORMAT,
			"not in the vocabulary"},
		{"post_processor.special_tokens", "7", ERR_UNSUPPORTED, "should add one end token"},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		json_t *root = load_fixture();
		char *text;
		change(root, cases[i].path, cases[i].value);
		text = json_dumps(root, 0);
		assert_non_null(text);
		expect_failure(true, text, strlen(text), cases[i].code, cases[i].part);
		free(text);
		json_decref(root);
	}
}

static void broken_json(void **state)
{
	static const char *const cases[] = {"", " ", "{", "{\"model\": ", "{}x", "\xff",
		"{\"\xff\": 1}", "{\"model\": \"\\u0000\"}", "{\"model\": 1e999}",
		"{\"model\": 99999999999999999999}"};
	struct str deep = {0};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		expect_failure(
			true, cases[i], strlen(cases[i]), ERR_FORMAT, "it is not JSON (line 1: ");
	expect_failure(true, "{}", 2, ERR_UNSUPPORTED, "the model ''");
	expect_failure(true, "[]", 2, ERR_UNSUPPORTED, "the model ''");
	for (int i = 0; i < 1 << 20; i++)
		str_add_char(&deep, '[');
	expect_failure(true, deep.s, deep.n, ERR_FORMAT, "it is not JSON");
	str_done(&deep);
}

static void damaged_json(void **state)
{
	size_t n;
	char *bytes = (char *)scratch_read(FIXTURES "/musicgen/bin-shards/tokenizer.json", &n);

	cut_anywhere(bytes, n - 2, 61); /* the last two: "}\n", or nothing that counts */
	change_each_byte(true, bytes, n, "\x01", 1);
	free(bytes);
}

/* Each value of the tree in turn as something else. */
static void replace_all(const json_t *root, json_t *at)
{
	static const char *const others[] = {"null", "true", "0", "-1", "1e300",
		"9223372036854775807", "\"x\"", "[]", "{}", "[[[]]]"};
	json_t *child, *other;
	const char *key = NULL;
	size_t n = json_is_array(at) ? json_array_size(at) : json_object_size(at);
	void *iter = json_object_iter(at);

	for (size_t i = 0; i < n && i < 10; i++) {
		key = iter ? json_object_iter_key(iter) : NULL;
		child = json_incref(iter ? json_object_iter_value(iter) : json_array_get(at, i));
		for (size_t k = 0; k < sizeof others / sizeof *others; k++) {
			char *text;
			other = json_loads(others[k], JSON_DECODE_ANY, NULL);
			assert_non_null(other);
			if (iter)
				json_object_iter_set_new(at, iter, other);
			else
				json_array_set_new(at, i, other);
			text = json_dumps(root, JSON_COMPACT);
			parse_anything(true, text, strlen(text));
			free(text);
		}
		if (iter)
			json_object_iter_set(at, iter, child);
		else
			json_array_set(at, i, child);
		replace_all(root, child);
		json_decref(child);
		iter = key ? json_object_iter_next(at, iter) : NULL;
	}
}

static void wrong_types_anywhere(void **state)
{
	json_t *root = load_fixture();

	replace_all(root, root);
	json_decref(root);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(miniature),
		cmocka_unit_test(unknown_characters_cost_ten),
		cmocka_unit_test(unknown_fields_are_skipped),
		cmocka_unit_test(the_last_value_counts),
		cmocka_unit_test(broken_rules),
		cmocka_unit_test(pieces_at_the_limits),
		cmocka_unit_test(lying_lengths),
		cmocka_unit_test(huge_counts),
		cmocka_unit_test(crowded_index),
		cmocka_unit_test(damaged_miniatures),
		cmocka_unit_test(damaged_models),
		cmocka_unit_test(good_maps),
		cmocka_unit_test(bad_maps),
		cmocka_unit_test(json_says_the_same),
		cmocka_unit_test(transformers_says_the_same),
		cmocka_unit_test(broken_json_rules),
		cmocka_unit_test(broken_json),
		cmocka_unit_test(damaged_json),
		cmocka_unit_test(wrong_types_anywhere),
	};

	return RUN_TAP(tests);
}
