/* Any bytes as a tokenizer.json. */
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	fuzz_check_vocabulary(true, data, n);
	return 0;
}
