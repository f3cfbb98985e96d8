/* Any bytes as a PyTorch file. */
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	fuzz_weight_file(data, n);
	return 0;
}
