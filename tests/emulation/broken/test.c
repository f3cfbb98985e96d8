/* The emulated device: kernels that break a rule are reported with kernel, thread and
 * kind, their twins pass; and what it promises otherwise.  Each runs in a process of its
 * own, for a report ends it. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/emulation/broken/cases.h"

enum { MAX_TESTS = 128 };

struct outcome {
	int status;
	char text[1024]; /* on stderr */
};

/* Runs one of the two in a child. */
static struct outcome run(
	const struct emulation_case *c, bool is_broken, const struct emulation_check *check)
{
	static const int caught[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL}; /* by cmocka */
	struct outcome o = {0};
	size_t used = 0;
	ssize_t n;
	int ends[2];

	assert_int_equal(pipe(ends), 0);
	fflush(NULL);
	const pid_t pid = fork();
	if (!pid) {
		const struct rlimit no_core = {0, 0};
		const char *wrong = NULL;
		setrlimit(RLIMIT_CORE, &no_core);
		dup2(ends[1], STDERR_FILENO);
		close(ends[0]);
		close(ends[1]);
		for (size_t i = 0; i < sizeof(caught) / sizeof(*caught); i++)
			signal(caught[i], SIG_DFL);
		unsetenv("WOODSHED_EMULATED_FAULT");
		if (check && check->fault)
			setenv("WOODSHED_EMULATED_FAULT", check->fault, 1);
		if (check)
			wrong = check->run();
		else
			c->run(is_broken);
		if (wrong)
			fputs(wrong, stderr);
		_exit(wrong != NULL);
	}
	close(ends[1]);
	while ((n = read(ends[0], o.text + used, sizeof(o.text) - 1 - used)) > 0)
		used += (size_t)n;
	close(ends[0]);
	assert_int_equal(waitpid(pid, &o.status, 0), pid);
	return o;
}

/* The parts between the stars occur in this order. */
static bool says(const char *text, const char *pattern)
{
	char part[256];

	while (*pattern) {
		const size_t n = strcspn(pattern, "*");
		snprintf(part, sizeof(part), "%.*s", (int)n, pattern);
		text = strstr(text, part);
		if (!text)
			return false;
		text += n;
		pattern += n + (pattern[n] == '*');
	}
	return true;
}

static void broken(void **state)
{
	const struct emulation_case *c = *state;
	const struct outcome o = run(c, true, NULL);

	if (!WIFSIGNALED(o.status) || WTERMSIG(o.status) != SIGABRT)
		fail_msg("was not reported; stderr: \"%s\"", o.text);
	if (!says(o.text, "emulated CUDA: ") || !says(o.text, c->report))
		fail_msg("\"%s\" does not say \"%s\"", o.text, c->report);
}

static void mended(void **state)
{
	const struct outcome o = run(*state, false, NULL);

	assert_string_equal(o.text, "");
	assert_true(WIFEXITED(o.status) && WEXITSTATUS(o.status) == 0);
}

static void works(void **state)
{
	const struct outcome o = run(NULL, false, *state);

	assert_string_equal(o.text, "");
	assert_true(WIFEXITED(o.status) && WEXITSTATUS(o.status) == 0);
}

int main(void)
{
	static struct CMUnitTest tests[MAX_TESTS];
	static char names[MAX_TESTS][96];
	size_t n = 0;

	for (const struct emulation_case *c = emulation_cases; c->name; c++)
		for (int is_broken = 1; is_broken >= 0; is_broken--, n++) {
			snprintf(names[n], sizeof(names[n]), "%s, %s", c->name,
				is_broken ? "reported" : "mended");
			tests[n] = (struct CMUnitTest){
				names[n], is_broken ? broken : mended, NULL, NULL, (void *)c};
		}
	for (const struct emulation_check *c = emulation_checks; c->name; c++, n++)
		tests[n] = (struct CMUnitTest){c->name, works, NULL, NULL, (void *)c};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return _cmocka_run_group_tests("emulation", tests, n, NULL, NULL);
}
