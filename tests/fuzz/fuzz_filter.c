/* Any bytes as a filter of takes, as wildcards and as a sweep: a list, or a
 * sentence; never an error of SQL. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "library/base/arena.h"
#include "library/base/err.h"
#include "library/db.h"
#include "library/expand.h"
#include "library/takes.h"
#include "tests/fuzz/fuzz.h"

static const int64_t NOW = 1795694400000;

/* Three takes in a folder that the process leaves behind empty-handed: the
 * database is unlinked while it is open. */
static struct db *open_library(void)
{
	static const char *const prompts[] = {"slow piano", "caf\xc3\xa9 \"loop\"", "x"};
	char folder[] = "/tmp/woodshed-fuzz.XXXXXX", path[64];
	struct db *db;
	struct err e = {0};

	FUZZ_REQUIRE(mkdtemp(folder));
	FUZZ_REQUIRE(!db_open(folder, &db, &e));
	for (int i = 0; i < 3; i++) {
		struct take t = {.model = "m",
			.seed = (uint64_t)i,
			.frames = 1,
			.rate = 1,
			.channels = 1,
			.file = prompts[i],
			.created = NOW};
		int64_t id;

		FUZZ_REQUIRE(!prompts_add(db, prompts[i], NULL, 0, NULL, NOW, &t.prompt_id, &e));
		FUZZ_REQUIRE(!takes_add(db, &t, &id, &e));
	}
	for (int i = 0; i < 3; i++) {
		static const char *const parts[] = {"", "-wal", "-shm"};

		snprintf(path, sizeof(path), "%s/library.db%s", folder, parts[i]);
		remove(path);
	}
	remove(folder);
	return db;
}

static void check_filter(struct db *db, const char *text)
{
	struct arena a = {0};
	struct takes_prompts all = {0};
	struct takes_found found;
	struct take *takes;
	struct err e = {0}, other = {0};
	int64_t count;
	size_t n;
	const struct takes_query q = {.filter = text, .now_ms = NOW};
	const int rc = takes_list(db, &q, &a, &takes, &n, &e);

	if (rc && rc != ERR_ARG)
		fprintf(stderr, "%s\n", e.text);
	FUZZ_REQUIRE(!rc || rc == ERR_ARG);
	FUZZ_REQUIRE(takes_count(db, &q, &count, &other) == rc);
	FUZZ_REQUIRE(rc || count == (int64_t)n);
	err_clear(&other);
	FUZZ_REQUIRE(!takes_prompts_update(db, &all, &other));
	FUZZ_REQUIRE(takes_find(db, &q, &all, &found, &other) == rc);
	FUZZ_REQUIRE(rc || found.n == n);
	takes_found_done(&found);
	takes_prompts_done(&all);
	arena_done(&a);
}

static void check_expansion(const char *text)
{
	struct arena a = {0};
	struct err e = {0};
	const char **all, *one;
	double *numbers;
	uint64_t count;
	size_t n;
	int rc = expand_count(text, &count, &e);

	FUZZ_REQUIRE(!rc || rc == ERR_ARG);
	FUZZ_REQUIRE(expand_pick(text, 1, &a, &one, &e) == rc);
	if (!rc && count < 100) {
		FUZZ_REQUIRE(!expand_all(text, &a, &all, &n, &e));
		FUZZ_REQUIRE(n == count);
	}
	err_clear(&e);
	rc = expand_numbers(text, &a, &numbers, &n, &e);
	FUZZ_REQUIRE(rc ? rc == ERR_ARG : n >= 1 && n <= EXPAND_MAX);
	arena_done(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct db *db;
	char *text = xcalloc(n + 1, 1);

	if (!db)
		db = open_library();
	if (n)
		memcpy(text, data, n);
	check_filter(db, text);
	check_expansion(text);
	free(text);
	return 0;
}
