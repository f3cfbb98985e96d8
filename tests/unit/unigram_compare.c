/* Prints the ids of texts, for unigram_compare.py.
 *
 * Usage: unigram_compare DIR.  stdin: texts, each after its length in bytes
 * (uint32, little endian).  stdout: a line of ids for each. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

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

static int print_ids(const struct unigram *u, const char *text, size_t n, struct err *e)
{
	int32_t *ids;
	size_t n_ids;
	int rc = unigram_encode(u, text, n, &ids, &n_ids, e);

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
	struct unigram *u = NULL;
	struct err e = {0};
	char *text;
	size_t n;
	int more;

	if (argc != 2) {
		fprintf(stderr, "usage: unigram_compare DIR\n");
		return 2;
	}
	if (unigram_open(argv[1], &u, &e)) {
		fprintf(stderr, "%s\n", e.text);
		return 1;
	}
	while ((more = read_text(&text, &n)) > 0 && !e.code) {
		print_ids(u, text, n, &e);
		free(text);
	}
	unigram_close(u);
	if (e.code || more < 0) {
		fprintf(stderr, "%s\n", e.code ? e.text : "the input is cut");
		return 1;
	}
	return 0;
}
