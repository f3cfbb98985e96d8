/* Any bytes as a safetensors file (or whatever else its content says). */
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	fuzz_weight_file(data, n);
	return 0;
}
