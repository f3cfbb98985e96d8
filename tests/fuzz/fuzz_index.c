/* Any bytes as the index of two shards. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/weights/ckpt.h"
#include "library/base/err.h"
#include "tests/fuzz/fuzz.h"

static char dir[] = "/tmp/woodshed-fuzz.XXXXXX";
static const char *const names[] = {"model.safetensors.index.json", "1", "2"};

static void write_file(const char *name, const void *data, size_t n)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	FILE *f = fopen(path, "wb");
	FUZZ_REQUIRE(f);
	FUZZ_REQUIRE(!n || fwrite(data, 1, n, f) == n);
	FUZZ_REQUIRE(!fclose(f));
}

static void write_shard(const char *name, char tensor)
{
	char text[128];
	const uint64_t n = (uint64_t)snprintf(text + 8, sizeof(text) - 8,
		"{\"%c\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]}}xx", tensor);
	const uint64_t header = n - 2;

	memcpy(text, &header, 8);
	write_file(name, text, 8 + n);
}

static void clean_up(void)
{
	char path[128];

	for (int i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		unlink(path);
	}
	rmdir(dir);
}

static void set_up(void)
{
	FUZZ_REQUIRE(mkdtemp(dir));
	atexit(clean_up);
	write_shard("1", 'a');
	write_shard("2", 'b');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static bool is_set_up;
	struct ckpt *c;
	struct err e = {0};

	if (!is_set_up)
		set_up();
	is_set_up = true;
	write_file(names[0], data, n);
	int rc = ckpt_open(dir, &c, &e);
	FUZZ_REQUIRE(rc == e.code && !c == (rc != 0));
	if (!rc)
		fuzz_check_tensors(c, ckpt_bytes(c));
	ckpt_close(c);
	return 0;
}
