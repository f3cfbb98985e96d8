/* A folder for one test, and what is in it. */
#ifndef WOODSHED_TESTS_UNIT_SCRATCH_H
#define WOODSHED_TESTS_UNIT_SCRATCH_H

#include <stddef.h>

/* cmocka wants these before its own header. */
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

struct db;

/* cmocka setup and teardown: *state is the folder's path. */
int scratch_open(void **state);
int scratch_close(void **state);

/* The library in that folder, which is made; fails the test when it cannot be. */
struct db *scratch_library(void **state);

const char *scratch_path(void **state, const char *name); /* valid until the eighth call after */
int scratch_count(const char *dir);                       /* entries, without "." and ".." */
void scratch_write(const char *path, const void *data, size_t n);
/* The file's bytes, to be freed, and one 0 behind them. */
unsigned char *scratch_read(const char *path, size_t *ret_n);

/* Runs the tests with output in TAP. */
#define RUN_TAP(tests)                                                                             \
	(cmocka_set_message_output(CM_OUTPUT_TAP), cmocka_run_group_tests(tests, NULL, NULL))

/* Checks an error: the code, and a part of its text. */
#define assert_error(e, want_code, part)                                                           \
	do {                                                                                       \
		assert_int_equal((e).code, want_code);                                             \
		if (!strstr((e).text, part))                                                       \
			fail_msg("\"%s\" lacks \"%s\"", (e).text, part);                           \
	} while (0)

#endif
