/* Any bytes as the pickle of a PyTorch file. */
#include <string.h>

#include "engine/weights/pickle.h"
#include "library/base/err.h"
#include "tests/fuzz/fuzz.h"

static int check(void *ud, const struct pickle_tensor *t, struct err *e)
{
	uint64_t elements = 1, last = (uint64_t)t->first;

	FUZZ_REQUIRE(t->n_dims >= 0 && t->n_dims <= CKPT_MAX_DIMS);
	FUZZ_REQUIRE(!memchr(t->name, 0, t->name_len) && !memchr(t->key, 0, t->key_len));
	FUZZ_REQUIRE(t->first >= 0 && t->first <= t->storage_n);
	for (int i = 0; i < t->n_dims; i++) {
		FUZZ_REQUIRE(t->ne[i] >= 0 && t->stride[i] >= 0);
		elements *= (uint64_t)t->ne[i];
		last += (uint64_t)(t->ne[i] - 1) * (uint64_t)t->stride[i];
	}
	FUZZ_REQUIRE(elements == t->n_elements);
	FUZZ_REQUIRE(!elements || last < (uint64_t)t->storage_n);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct err e = {0};
	int rc = pickle_read(data, n, "fuzz", check, NULL, &e);

	FUZZ_REQUIRE(rc == e.code);
	return 0;
}
