/* Any bytes as a text, for T5's own vocabulary. */
#include <stdlib.h>
#include <string.h>

#include "engine/text/unigram.h"
#include "library/base/err.h"
#include "tests/fuzz/fuzz.h"

/* Blanks in front and behind change nothing. */
static void check_blanks(const struct unigram *u, const uint8_t *data, size_t n)
{
	char *text = malloc(n + 3);
	int32_t *ids, *other;
	size_t n_ids, n_other;

	FUZZ_REQUIRE(text);
	memcpy(text + 2, data, n);
	text[0] = text[1] = text[n + 2] = ' ';
	FUZZ_REQUIRE(!unigram_encode(u, text + 2, n, &ids, &n_ids, NULL));
	FUZZ_REQUIRE(!unigram_encode(u, text, n + 3, &other, &n_other, NULL));
	FUZZ_REQUIRE(n_ids && ids[n_ids - 1] == 1);
	FUZZ_REQUIRE(n_ids == n_other && !memcmp(ids, other, n_ids * sizeof *ids));
	free(ids);
	free(other);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct unigram *u;
	struct err e = {0};

	if (!u)
		FUZZ_REQUIRE(!unigram_open(FIXTURES "/t5", &u, &e));
	fuzz_check_text(u, data, n);
	check_blanks(u, data, n);
	return 0;
}
