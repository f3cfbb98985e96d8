/* Results of a test whose cases are known only at run time, as TAP. */
#ifndef WOODSHED_TESTS_PARITY_TAP_H
#define WOODSHED_TESTS_PARITY_TAP_H

#include <stdbool.h>

void tap_ok(bool ok, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A line of explanation, which belongs to the result that follows. */
void tap_remark(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* One case that cannot be run here, and why. */
void tap_skip(const char *name, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void tap_skip_all(const char *why);
/* Where the test runs: "cpu", or "cuda" on the device of the module that
 * WOODSHED_TEST_MODULE names. */
const char *tap_device(void);
/* The plan; returns the program's exit status. */
int tap_done(void);

#endif
