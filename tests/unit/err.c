/* Errors, the log, time. */
#include "library/base/err.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "library/base/clock.h"
#include "library/base/log.h"
#include "library/base/str.h"
#include "tests/unit/scratch.h"

static void every_code_has_its_own_name(void **state)
{
	for (int code = ERR_OK; code >= ERR_ARG; code--) {
		assert_string_not_equal(err_name(code), "unknown error");
		for (int other = ERR_OK; other > code; other--)
			assert_string_not_equal(err_name(code), err_name(other));
	}
	assert_string_equal(err_name(ERR_ARG - 1), "unknown error");
	assert_string_equal(err_name(1), "unknown error");
	assert_string_equal(err_name(INT32_MIN), "unknown error");
}

static void the_first_error_wins(void **state)
{
	struct err e = {0};

	assert_int_equal(err_set(&e, ERR_FORMAT, "weight %s: %d", "x", 3), ERR_FORMAT);
	assert_int_equal(err_set(&e, ERR_IO, "later"), ERR_IO);
	assert_error(e, ERR_FORMAT, "weight x: 3");
	err_clear(&e);
	assert_int_equal(e.code, 0);
	assert_string_equal(e.text, "");
	assert_int_equal(err_set(NULL, ERR_IO, "%d", 1), ERR_IO);
	err_clear(NULL);
}

static void context_goes_in_front(void **state)
{
	struct err e = {0};

	err_set(&e, ERR_FORMAT, "no tensor 'x'");
	assert_int_equal(err_wrap(&e, ERR_IO, "model %d", 1), ERR_FORMAT);
	assert_string_equal(e.text, "model 1: no tensor 'x'");
	err_clear(&e);
	assert_int_equal(err_wrap(&e, ERR_IO, "alone"), ERR_IO);
	assert_error(e, ERR_IO, "alone");
	assert_int_equal(err_wrap(NULL, ERR_IO, "%d", 1), ERR_IO);
}

static void errno_becomes_words(void **state)
{
	struct err e = {0};

	assert_int_equal(err_errno(&e, ENOSPC, "cannot write '%s'", "x.wav"), ERR_IO);
	assert_string_equal(e.text, "cannot write 'x.wav': No space left on device");
	err_clear(&e);
	assert_int_equal(err_errno(&e, ENOMEM, "x"), ERR_NOMEM);
	assert_int_equal(err_errno(NULL, EIO, "x"), ERR_IO);
}

static void text_is_cut_and_clean(void **state)
{
	struct err e = {0};
	char text[20000];

	memset(text, 'a', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	err_set(&e, ERR_IO, "%s", text);
	assert_int_equal(strlen(e.text), sizeof e.text - 1);
	err_wrap(&e, ERR_IO, "%s", text);
	assert_int_equal(strlen(e.text), sizeof e.text - 1);
	/* a cut inside a character of several bytes leaves valid text */
	for (int i = 0; i < 6; i++) {
		err_clear(&e);
		for (size_t k = 0; k + 3 < sizeof text; k += 3)
			memcpy(text + k, "\xe2\x82\xac", 4);
		err_set(&e, ERR_IO, "%.*s%s", i, "aaaaaa", text);
		assert_true(is_utf8(e.text, strlen(e.text)));
		err_wrap(&e, ERR_IO, "%.*s", i + 1000, text);
		assert_true(is_utf8(e.text, strlen(e.text)));
	}
	err_clear(&e);
	err_set(&e, ERR_FORMAT, "a\x1b[2Jb\nc\x7f\xc2\x9b\xff\xc3\xa9");
	assert_string_equal(e.text, "a?[2Jb?c????\xc3\xa9");
	err_wrap(&e, ERR_FORMAT, "\tx");
	assert_int_equal(strncmp(e.text, "?x: a?[2J", 9), 0);
}

static void a_log_line_is_one_line(void **state)
{
	const char *path = scratch_path(state, "log");
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
	struct log log = {.fd = fd, .level = LOG_INFO, .component = "test/x"};
	unsigned char *text;
	char when[32];
	size_t n;

	assert_true(fd >= 0);
	clock_iso(clock_unix_ms(), when);
	log_line(&log, LOG_WARN, "two\nlines %d", 7);
	log_line(&log, LOG_DEBUG, "dropped");
	log_line(NULL, LOG_ERROR, "dropped");
	log_line(&(struct log){.fd = -1, .level = LOG_DEBUG}, LOG_ERROR, "dropped");
	close(fd);
	text = scratch_read(path, &n);
	assert_non_null(strstr((char *)text, "Z warning test/x: two?lines 7\n"));
	assert_int_equal(strncmp((char *)text, when, 10), 0);
	assert_ptr_equal(strchr((char *)text, '\n'), text + n - 1);
	free(text);
}

static void a_long_log_line_is_cut(void **state)
{
	const char *path = scratch_path(state, "log");
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
	struct log log = {.fd = fd, .level = LOG_INFO};
	unsigned char *text;
	char lots[5000] = {0};
	size_t n;

	memset(lots, 'x', sizeof lots - 1);
	log_line(&log, LOG_ERROR, "%s", lots);
	close(fd);
	text = scratch_read(path, &n);
	assert_true(n > 1000 && n < sizeof lots);
	assert_int_equal(text[n - 1], '\n');
	free(text);
}

static void time_reads_as_iso_8601(void **state)
{
	char out[32];
	double a = clock_now();

	assert_string_equal(clock_iso(0, out), "1970-01-01T00:00:00Z");
	assert_string_equal(clock_iso(1795494148999, out), "2026-11-24T04:22:28Z");
	assert_string_equal(clock_iso(-1, out), "1969-12-31T23:59:59Z");
	assert_string_equal(clock_iso(-62135596800000, out), "1-01-01T00:00:00Z");
	clock_iso(INT64_MAX, out);
	clock_iso(INT64_MIN, out);
	assert_true(clock_now() >= a);
	assert_true(clock_unix_ms() > 1700000000000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_code_has_its_own_name),
		cmocka_unit_test(the_first_error_wins),
		cmocka_unit_test(context_goes_in_front),
		cmocka_unit_test(errno_becomes_words),
		cmocka_unit_test(text_is_cut_and_clean),
		cmocka_unit_test_setup_teardown(
			a_log_line_is_one_line, scratch_open, scratch_close),
		cmocka_unit_test_setup_teardown(
			a_long_log_line_is_cut, scratch_open, scratch_close),
		cmocka_unit_test(time_reads_as_iso_8601),
	};
	return RUN_TAP(tests);
}
