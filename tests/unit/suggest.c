/* What a prompt may go on with. */
#include "tests/unit/scratch.h"

#include <string.h>

#include "library/base/err.h"
#include "library/db.h"
#include "library/suggest.h"
#include "library/takes.h"

static struct db *library_of(void **state, const char *const *prompts)
{
	struct db *db = scratch_library(state);
	struct err e = {0};
	int64_t id;

	for (; *prompts; prompts++)
		assert_int_equal(prompts_add(db, *prompts, NULL, 0, NULL, 1, &id, &e), 0);
	return db;
}

/* What is suggested at the end of `prompt`, with bars between. */
static const char *found(const struct suggest *s, const char *prompt, char out[512])
{
	struct suggestion list[SUGGEST_MAX];
	size_t n = suggest_find(s, prompt, strlen(prompt), list);

	*out = 0;
	for (size_t i = 0; i < n; i++) {
		strcat(out, i ? "|" : "");
		strcat(out, list[i].text);
		assert_true(list[i].from < strlen(prompt));
	}
	return out;
}

static void by_frequency(void **state)
{
	static const char *const prompts[] = {"slow piano, vinyl crackle",
		"piano trio, Vinyl Crackle", "piano, rain", "pia no", "pluck, pad, rain",
		"{slow|fast} pluck", NULL};
	struct db *db = library_of(state, prompts);
	struct suggest *s;
	struct err e = {0};
	char out[512];

	assert_int_equal(suggest_open(db, &s, &e), 0);
	assert_string_equal(found(s, "pi", out), "piano|pia|pia no|piano trio");
	assert_string_equal(found(s, "PL", out), "pluck");
	assert_string_equal(found(s, "rain, vin", out), "vinyl|vinyl crackle");
	assert_string_equal(found(s, "very slow pi", out), "piano|pia|pia no|piano trio");
	assert_string_equal(found(s, "slow pi", out), "slow piano|piano|pia|pia no|piano trio");
	assert_string_equal(found(s, "p", out), ""); /* too little to tell */
	assert_string_equal(found(s, "", out), "");
	assert_string_equal(found(s, "rain, ", out), "");
	assert_string_equal(found(s, "pluck", out), ""); /* it is there */
	assert_string_equal(found(s, "{rain|pl", out), "pluck");
	assert_string_equal(found(s, "xyz", out), "");
	suggest_close(s);
	suggest_close(NULL);
	db_close(db);
}

static void no_more_than_fit(void **state)
{
	static const char *const prompts[] = {
		"aaa1, aaa2, aaa3, aaa4, aaa5, aaa6, aaa7", "aaa8, aaa9, aaa9, aaa9", NULL};
	struct db *db = library_of(state, prompts);
	struct suggestion list[SUGGEST_MAX];
	struct suggest *s;
	struct err e = {0};

	assert_int_equal(suggest_open(db, &s, &e), 0);
	assert_int_equal(suggest_find(s, "aa", 2, list), SUGGEST_MAX);
	assert_string_equal(list[0].text, "aaa9");
	suggest_close(s);
	db_close(db);
}

static void an_empty_library(void **state)
{
	static const char *const none[] = {NULL};
	struct db *db = library_of(state, none);
	struct suggestion list[SUGGEST_MAX];
	struct suggest *s;
	struct err e = {0};
	int64_t before, after;
	int64_t id;

	assert_int_equal(suggest_open(db, &s, &e), 0);
	assert_int_equal(suggest_find(s, "aa", 2, list), 0);
	suggest_close(s);
	assert_int_equal(suggest_version(db, &before, &e), 0);
	assert_int_equal(prompts_add(db, "a", NULL, 0, NULL, 1, &id, &e), 0);
	assert_int_equal(suggest_version(db, &after, &e), 0);
	assert_true(before != after);
	db_close(db);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, scratch_open, scratch_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(by_frequency),
		TEST(no_more_than_fit),
		TEST(an_empty_library),
	};
	return RUN_TAP(tests);
}
