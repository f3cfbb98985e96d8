/* Children: what they are given, and nothing else. */
#include "tui/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "library/base/err.h"
#include "tests/unit/scratch.h"

/* What the shell prints of a script, up to the first 255 bytes. */
static int run(struct child_desc d, const char *script, char out[256])
{
	const char *argv[] = {"sh", "-c", script, NULL};
	size_t n = 0;
	ssize_t got;
	int ends[2];
	pid_t pid;

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	d.program = "sh";
	d.argv = argv;
	d.out = ends[1];
	assert_int_equal(child_start(&d, &pid), 0);
	close(ends[1]);
	while ((got = read(ends[0], out + n, 255 - n)) > 0)
		n += (size_t)got;
	out[n] = 0;
	close(ends[0]);
	return child_wait(pid);
}

static void its_status_is_told(void **state)
{
	char out[256];
	int status;

	assert_true(child_succeeded(run((struct child_desc){0}, "echo heard", out)));
	assert_string_equal(out, "heard\n");
	status = run((struct child_desc){0}, "exit 3", out);
	assert_false(child_succeeded(status));
	assert_int_equal(WEXITSTATUS(status), 3);
	status = run((struct child_desc){0}, "kill -KILL $$", out);
	assert_false(child_succeeded(status));
	assert_int_equal(WTERMSIG(status), SIGKILL);
}

static void null_is_empty_and_takes_all(void **state)
{
	char out[256];

	assert_true(child_succeeded(run((struct child_desc){.in = CHILD_NULL, .err = CHILD_NULL},
		"cat && echo gone >&2 && readlink /proc/self/fd/0 /proc/self/fd/2", out)));
	assert_string_equal(out, "/dev/null\n/dev/null\n");
}

static void a_group_of_its_own(void **state)
{
	char out[256];
	int pid, group;

	/* The fifth field of stat is the group. */
	run((struct child_desc){.has_own_group = true},
		"read p n s f g r </proc/$$/stat; echo $$ $g", out);
	assert_int_equal(sscanf(out, "%d %d", &pid, &group), 2);
	assert_int_equal(group, pid);
	run((struct child_desc){0}, "read p n s f g r </proc/$$/stat; echo $$ $g", out);
	assert_int_equal(sscanf(out, "%d %d", &pid, &group), 2);
	assert_int_equal(group, getpgrp());
}

static void signals_are_as_was_asked(void **state)
{
	struct sigaction ignore = {.sa_handler = SIG_IGN}, before;
	sigset_t blocked, mask;
	char out[256];

	sigemptyset(&blocked);
	sigaddset(&blocked, SIGTERM);
	sigaction(SIGINT, &ignore, &before);
	sigprocmask(SIG_BLOCK, &blocked, &mask);
	run((struct child_desc){0}, "kill -INT $$; echo here; kill -TERM $$; echo still", out);
	assert_string_equal(out, "here\n"); /* ignored as with us, blocked no more */
	run((struct child_desc){.has_default_signals = true}, "kill -INT $$; echo here", out);
	assert_string_equal(out, "");
	sigprocmask(SIG_SETMASK, &mask, NULL);
	sigaction(SIGINT, &before, NULL);
}

static void one_that_does_not_exist(void **state)
{
	const char *argv[] = {"nothing", NULL};
	const struct child_desc d = {.program = "/nowhere/woodshed-engine", .argv = argv};
	struct err e = {0};
	pid_t pid;

	assert_int_equal(child_start(&d, &pid), ENOENT);
	assert_true(child_start_engine(&d, &pid, &e) < 0);
	assert_error(e, ERR_IO, "cannot start '/nowhere/woodshed-engine'");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(its_status_is_told),
		cmocka_unit_test(null_is_empty_and_takes_all),
		cmocka_unit_test(a_group_of_its_own),
		cmocka_unit_test(signals_are_as_was_asked),
		cmocka_unit_test(one_that_does_not_exist),
	};
	return RUN_TAP(tests);
}
