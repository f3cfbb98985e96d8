/* How fast SHA-256 is, by the processor's instructions where it has them, and
 * without: what the first start of a model costs a recipe. */
#include <stdio.h>
#include <stdlib.h>

#include "library/base/clock.h"
#include "library/base/sha256.h"

enum { BYTES = 256 << 20 };

static void measure(const char *name, void (*init)(struct sha256 *s), const void *data)
{
	double began = clock_now();
	struct sha256 s;
	char hex[65];

	init(&s);
	sha256_add(&s, data, BYTES);
	sha256_hex(&s, hex);
	printf("%-14s %6.0f MB/s  %.8s\n", name, BYTES / 1e6 / (clock_now() - began), hex);
}

int main(void)
{
	void *data = calloc(BYTES, 1);

	if (!data)
		return 1;
	measure("plain", sha256_init_plain, data);
	measure("instructions", sha256_init, data);
	free(data);
	return 0;
}
