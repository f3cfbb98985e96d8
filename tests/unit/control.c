/* The socket of commands: both sides in one process, the near one on a thread. */
#include "tests/unit/scratch.h"

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "library/base/arena.h"
#include "library/base/err.h"
#include "library/base/str.h"
#include "tui/control.h"

struct sent {
	const char *path, *line;
	struct str answer;
	bool ok;
	int rc;
};

static void *ask(void *ud)
{
	struct sent *s = ud;

	s->rc = control_send(s->path, s->line, &s->ok, &s->answer, NULL);
	return NULL;
}

static bool echo(void *ud, const char *line, struct str *answer)
{
	str_printf(answer, "said %s", line);
	return !has_prefix(line, "bad");
}

/* Serves until one line was answered. */
static void serve(struct control *c, struct sent *s)
{
	struct pollfd fds[CONTROL_FDS];
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, ask, s), 0);
	for (int i = 0; i < 2; i++) { /* who comes; the line */
		control_fds(c, fds);
		assert_int_equal(poll(fds, CONTROL_FDS, 10000), 1);
		control_work(c, fds, echo, NULL);
	}
	pthread_join(thread, NULL);
}

static void answers(void **state)
{
	const char *path = scratch_path(state, "control");
	struct sent good = {.path = path, .line = "sort rating"},
		    bad = {.path = path, .line = "bad"};
	struct control *c;
	struct err e = {0};
	struct stat st;

	assert_int_equal(control_open(path, &c, &e), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	serve(c, &good);
	assert_int_equal(good.rc, 0);
	assert_true(good.ok);
	assert_string_equal(str_get(&good.answer), "said sort rating");
	serve(c, &bad);
	assert_false(bad.ok);
	assert_false(control_waits(c));
	control_close(c);
	assert_int_equal(stat(path, &st), -1);
	str_done(&good.answer);
	str_done(&bad.answer);
}

/* A second one waits, without a word, and is told when the first has ended. */
static void second(void **state)
{
	const char *path = scratch_path(state, "control");
	struct sent after = {.path = path, .line = "sort rating"};
	struct control *first, *c;
	struct pollfd fds[CONTROL_FDS];
	struct err e = {0};
	struct stat st;

	assert_int_equal(control_open(path, &first, &e), 0);
	assert_int_equal(control_open(path, &c, &e), 0);
	assert_true(control_waits(c));
	assert_int_equal(control_take_over(c, &e), 0);
	control_fds(c, fds);
	assert_int_equal(poll(fds, CONTROL_FDS, 0), 0);
	control_close(first);
	assert_int_equal(poll(fds, CONTROL_FDS, 10000), 1);
	assert_int_equal(control_take_over(c, &e), 1);
	assert_false(control_waits(c));
	serve(c, &after);
	assert_true(after.ok);
	control_close(c);
	assert_int_equal(stat(path, &st), -1);
	str_done(&after.answer);
}

/* One that waits leaves the socket to whom it is. */
static void leaves(void **state)
{
	const char *path = scratch_path(state, "control");
	struct control *first, *c;
	struct err e = {0};
	struct stat st;

	assert_int_equal(control_open(path, &first, &e), 0);
	assert_int_equal(control_open(path, &c, &e), 0);
	control_close(c);
	assert_int_equal(stat(path, &st), 0);
	control_close(first);
}

static void nobody(void **state)
{
	struct str answer = {0};
	struct err e = {0};
	bool ok;

	assert_int_equal(
		control_send(scratch_path(state, "control"), "x", &ok, &answer, &e), ERR_IO);
	assert_error(e, ERR_IO, "no workstation");
}

/* Longer than the address of a socket may be. */
static void deep(void **state)
{
	struct arena a = {0};
	char *folder = arena_strdup(&a, *state);
	struct control *c;
	struct err e = {0};

	for (int i = 0; i < 6; i++) {
		folder = arena_printf(&a, "%s/a-folder-with-a-long-name", folder);
		assert_int_equal(mkdir(folder, 0700), 0);
	}
	assert_string_equal(control_path(NULL, folder, &a), arena_printf(&a, "%s/control", folder));
	assert_int_equal(control_open(control_path(NULL, folder, &a), &c, &e), 0);
	assert_non_null(c);
	control_close(c);
	/* Two libraries have two sockets, one library one. */
	assert_string_equal(control_path(*state, folder, &a), control_path(*state, folder, &a));
	assert_string_not_equal(control_path(*state, folder, &a), control_path(*state, *state, &a));
	arena_done(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(answers, scratch_open, scratch_close),
		cmocka_unit_test_setup_teardown(second, scratch_open, scratch_close),
		cmocka_unit_test_setup_teardown(leaves, scratch_open, scratch_close),
		cmocka_unit_test_setup_teardown(nobody, scratch_open, scratch_close),
		cmocka_unit_test_setup_teardown(deep, scratch_open, scratch_close),
	};

	return RUN_TAP(tests);
}
