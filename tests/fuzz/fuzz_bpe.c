/* Any bytes: a vocab.json and, behind the first NUL, a merges.txt; without a NUL a
 * tokenizer.json.  And as a text, for RoBERTa's own vocabulary. */
#include <stdlib.h>
#include <string.h>

#include "engine/text/bpe.h"
#include "library/base/err.h"
#include "tests/fuzz/fuzz.h"

static void check_text(const struct bpe *b, const uint8_t *text, size_t n)
{
	size_t n_ids, n_cut;
	int32_t *ids;

	FUZZ_REQUIRE(!bpe_encode(b, (const char *)text, n, 64, &ids, &n_ids, &n_cut, NULL));
	FUZZ_REQUIRE(n_ids >= 2 && n_ids <= 64);
	for (size_t i = 0; i < n_ids; i++)
		FUZZ_REQUIRE(ids[i] >= 0 && ids[i] < bpe_vocab(b));
	free(ids);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct bpe *roberta;
	const uint8_t *nul = n ? memchr(data, 0, n) : NULL;
	const size_t n_json = nul ? (size_t)(nul - data) : n;
	struct bpe *b = NULL;
	struct err e = {0};
	int rc;

	if (!roberta)
		FUZZ_REQUIRE(!bpe_open(FIXTURES "/roberta", &roberta, &e));
	check_text(roberta, data, n);
	rc = bpe_parse(data, n_json, nul ? nul + 1 : NULL, nul ? n - n_json - 1 : 0, &b, &e);
	FUZZ_REQUIRE(rc == e.code && !b == (rc != 0));
	if (!rc) {
		check_text(b, data, n);
		bpe_close(b);
	}
	return 0;
}
