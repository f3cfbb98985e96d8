/* Any bytes as a server's list of files; what is chosen must be good as a path. */
#include <string.h>

#include "library/base/arena.h"
#include "library/base/err.h"
#include "library/repo_files.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct repo_files all, needed;
	struct arena a = {0};
	struct err e = {0};
	uint64_t bytes = 0;
	int rc = repo_files_parse((const char *)data, n, &a, &all, &e);

	FUZZ_REQUIRE(rc == e.code);
	if (!rc) {
		rc = repo_files_choose(&all, &a, &needed, &e);
		FUZZ_REQUIRE(rc == e.code && needed.n <= all.n && needed.bytes <= all.bytes);
		for (size_t i = 0; i < needed.n; i++) {
			const char *path = needed.at[i].path, *slash = strchr(path, '/');

			FUZZ_REQUIRE(path[0] && path[0] != '/' && path[0] != '.');
			FUZZ_REQUIRE(!strstr(path, "..") && (!slash || !strchr(slash + 1, '/')));
			for (const char *c = path; *c; c++)
				FUZZ_REQUIRE(*c > ' ' && *c < 0x7f && !strchr("%?#\\", *c));
			FUZZ_REQUIRE(strlen(needed.at[i].hash) == (needed.at[i].is_lfs ? 64 : 40));
			bytes += needed.at[i].bytes;
		}
		FUZZ_REQUIRE(bytes == needed.bytes);
	}
	arena_done(&a);
	return 0;
}
