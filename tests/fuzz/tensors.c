/* What must hold of every checkpoint that could be opened. */
#include "engine/weights/ckpt.h"
#include "library/base/err.h"
#include "tests/fuzz/fuzz.h"

static void check_tensor(const struct ckpt *c, const struct ckpt_tensor *t, uint64_t n)
{
	static const uint8_t sizes[] = {4, 2, 2, 8, 8, 4, 2, 1, 1, 1};
	uint64_t last = 0, elements = 1;
	float x[64];

	FUZZ_REQUIRE(ckpt_find(c, t->name) == t);
	FUZZ_REQUIRE(t->n_dims >= 0 && t->n_dims <= CKPT_MAX_DIMS);
	for (int i = 0; i < t->n_dims; i++) {
		FUZZ_REQUIRE(t->ne[i] >= 0 && t->stride[i] >= 0);
		elements *= (uint64_t)t->ne[i];
		last += (uint64_t)(t->ne[i] - 1) * (uint64_t)t->stride[i];
	}
	FUZZ_REQUIRE(elements == t->n_elements);
	FUZZ_REQUIRE(t->offset <= n);
	if (!elements || t->dtype == CKPT_OTHER)
		return;
	FUZZ_REQUIRE(t->offset + (last + 1) * sizes[t->dtype] <= n);
	const uint64_t k = elements < 64 ? elements : 64;
	(void)ckpt_read_f32(c, t, 0, k, x, NULL); /* may hold a NaN */
	(void)ckpt_read_f32(c, t, elements - k, k, x, NULL);
}

void fuzz_check_tensors(const struct ckpt *c, uint64_t n)
{
	for (size_t i = 0; i < ckpt_count(c); i++)
		check_tensor(c, ckpt_at(c, i), n);
}

void fuzz_weight_file(const uint8_t *data, size_t n)
{
	struct ckpt *c;
	struct err e = {0};
	int rc = ckpt_open_file(fuzz_file(data, n), &c, &e);

	FUZZ_REQUIRE(rc == e.code && !c == (rc != 0));
	if (!rc)
		fuzz_check_tensors(c, n);
	ckpt_close(c);
}
