/* Any bytes as a spiece.model. */
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	fuzz_check_vocabulary(false, data, n);
	return 0;
}
