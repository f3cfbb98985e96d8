/* Any bytes as a PyTorch file. */
#include "engine/weights/ckpt.h"
#include "library/base/err.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct ckpt *c;
	struct err e = {0};
	int rc = ckpt_open_file(fuzz_file(data, n), &c, &e);

	FUZZ_REQUIRE(rc == e.code && !c == (rc != 0));
	if (!rc)
		fuzz_check_tensors(c, n);
	ckpt_close(c);
	return 0;
}
