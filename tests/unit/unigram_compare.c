/* Prints the ids of texts, for unigram_compare.py and bpe_compare.py.
 *
 * Usage: unigram_compare DIR, or unigram_compare --bpe DIR.  stdin: texts, each after its length in
 * bytes (uint32, little endian).  stdout: a line of ids for each. */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/text/bpe.h"
#include "engine/text/unigram.h"
#include "library/base/err.h"

/* 1: a text in *ret (to be freed); 0: the input has ended; -1: it is cut. */
static int read_text(char **ret, size_t *ret_n)
{
	unsigned char head[4];
	size_t got = fread(head, 1, sizeof head, stdin);

	if (got != sizeof head)
		return got ? -1 : 0;
	*ret_n = head[0] | (size_t)head[1] << 8 | (size_t)head[2] << 16 | (size_t)head[3] << 24;
	*ret = malloc(*ret_n + 1);
	if (!*ret)
		return -1;
	if (fread(*ret, 1, *ret_n, stdin) == *ret_n)
		return 1;
	free(*ret);
	return -1;
}

/* One of the two. */
struct tokenizer {
	struct unigram *unigram;
	struct bpe *bpe;
};

static int print_ids(const struct tokenizer *t, const char *text, size_t n, struct err *e)
{
	int32_t *ids;
	size_t n_ids, n_cut;
	int rc = t->bpe ? bpe_encode(t->bpe, text, n, SIZE_MAX, &ids, &n_ids, &n_cut, e)
			: unigram_encode(t->unigram, text, n, &ids, &n_ids, e);

	if (rc)
		return rc;
	for (size_t i = 0; i < n_ids; i++)
		printf("%s%" PRId32, i ? " " : "", ids[i]);
	printf("\n");
	free(ids);
	return 0;
}

int main(int argc, char **argv)
{
	const bool is_bpe = argc == 3 && !strcmp(argv[1], "--bpe");
	struct tokenizer t = {0};
	struct err e = {0};
	char *text;
	size_t n;
	int more;

	if (argc != 2 && !is_bpe) {
		fprintf(stderr, "usage: unigram_compare [--bpe] DIR\n");
		return 2;
	}
	if (is_bpe ? bpe_open(argv[2], &t.bpe, &e) : unigram_open(argv[1], &t.unigram, &e)) {
		fprintf(stderr, "%s\n", e.text);
		return 1;
	}
	while ((more = read_text(&text, &n)) > 0 && !e.code) {
		print_ids(&t, text, n, &e);
		free(text);
	}
	unigram_close(t.unigram);
	bpe_close(t.bpe);
	if (e.code || more < 0) {
		fprintf(stderr, "%s\n", e.code ? e.text : "the input is cut");
		return 1;
	}
	return 0;
}
