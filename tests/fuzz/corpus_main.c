/* Runs a fuzz target over the files of a folder, without libFuzzer: so every
 * build keeps what the fuzzers found.  Output is TAP. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"

static uint8_t *read_file(const char *path, size_t *ret_n)
{
	enum { MAX = 1 << 20 };
	FILE *f = fopen(path, "rb");
	uint8_t *data = malloc(MAX);

	if (!f || !data) {
		perror(path);
		exit(1);
	}
	*ret_n = fread(data, 1, MAX, f);
	fclose(f);
	/* No byte behind the end that a target could read unseen. */
	uint8_t *exact = malloc(*ret_n ? *ret_n : 1);
	if (!exact)
		exit(1);
	memcpy(exact, data, *ret_n);
	free(data);
	return exact;
}

static int is_visible(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

int main(int argc, char **argv)
{
	struct dirent **list;
	int n = argc == 2 ? scandir(argv[1], &list, is_visible, alphasort) : -1;

	if (n <= 0) {
		fprintf(stderr, "usage: %s FOLDER-OF-INPUTS\n", argv[0]);
		return 1;
	}
	printf("1..%d\n", n);
	for (int i = 0; i < n; i++) {
		char path[4096];
		size_t size;
		snprintf(path, sizeof(path), "%s/%s", argv[1], list[i]->d_name);
		uint8_t *data = read_file(path, &size);
		int rc = LLVMFuzzerTestOneInput(data, size);
		printf("%sok %d - %s\n", rc ? "not " : "", i + 1, list[i]->d_name);
		free(data);
		free(list[i]);
	}
	free(list);
	return 0;
}
