/* What must hold of every vocabulary that could be parsed. */
#include <stdlib.h>
#include <string.h>

#include "engine/text/unigram.h"
#include "engine/text/vocab.h"
#include "library/base/err.h"
#include "tests/fuzz/fuzz.h"

void fuzz_check_text(const struct unigram *u, const uint8_t *text, size_t n)
{
	struct err e = {0};
	int32_t *ids;
	size_t n_ids;
	int rc = unigram_encode(u, (const char *)text, n, &ids, &n_ids, &e);

	FUZZ_REQUIRE(rc == e.code);
	if (rc)
		return;
	FUZZ_REQUIRE(n_ids);
	for (size_t i = 0; i < n_ids; i++)
		FUZZ_REQUIRE(ids[i] >= 0 && ids[i] < unigram_vocab(u));
	free(ids);
}

void fuzz_check_vocabulary(bool is_json, const uint8_t *data, size_t n)
{
	static const char *const texts[] = {"", " ", "ab <drop>", "Hello, lo-fi  world ",
		"caf\u00e9 \ufb01lter\t\u00bd", "\xff\xfe\u3000\u2581 \U0001f3b5"};
	struct unigram *u = NULL;
	struct err e = {0};
	int rc = unigram_parse(is_json, data, n, &u, &e);

	FUZZ_REQUIRE(rc == e.code && !u == (rc != 0));
	if (rc)
		return;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		fuzz_check_text(u, (const uint8_t *)texts[i], strlen(texts[i]));
	fuzz_check_text(u, data, n < 256 ? n : 256);
	unigram_close(u);
}
