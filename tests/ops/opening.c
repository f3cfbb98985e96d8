/* Which device "auto" opens, and what every one that cannot be opened is called. */
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/ops/support.h"

static const struct {
	const char *fault; /* of the emulated device */
	int rc;            /* of "cuda" */
	const char *says;
	int of_auto; /* 0: it opens something, on the CPU exactly where "cuda" has no device */
} cases[] = {
	{"", 0, NULL, 0},
	{"arch=75", 0, NULL, 0},
	{"no-driver", ERR_UNSUPPORTED, "there is no NVIDIA driver", 0},
	{"old-driver", ERR_UNSUPPORTED, "driver is for CUDA 11.8", 0},
	{"no-device", ERR_UNSUPPORTED, "finds no GPU", 0},
	{"old-device", ERR_UNSUPPORTED, "compute capability 6.1", 0},
	{"no-image", ERR_UNSUPPORTED, "not built for emulated GPU, compute capability 9.0", 0},
	{"busy", ERR_BUSY, "is busy", ERR_BUSY},
	{"out-of-memory", ERR_NOMEM, "no memory left to start on", ERR_NOMEM},
	{"no-pinned", ERR_GPU, "gives no 33.6 MB", ERR_GPU},
	{"memory=1000", ERR_NOMEM, "no memory left to start on", ERR_NOMEM},
};

/* 0, or which check failed.  In a process of its own: a device is found once. */
static int check(size_t i)
{
	struct err e = {0};
	struct gpu *g;

	setenv("WOODSHED_EMULATED_FAULT", cases[i].fault, 1);
	gpu_use_module(getenv("WOODSHED_TEST_MODULE"));
	if (gpu_open("cuda", 0, &g, &e) != cases[i].rc || !g != !!cases[i].rc)
		return 1;
	if (cases[i].says &&
		(!strstr(e.text, cases[i].says) || !strstr(e.text, "use --device cpu")))
		return 2;
	gpu_close(g);
	err_clear(&e);
	if (gpu_open("auto", 1, &g, &e) != cases[i].of_auto || e.code != cases[i].of_auto)
		return 3;
	if (g && strcmp(gpu_device(g), cases[i].rc ? "cpu" : "cuda"))
		return 4;
	if (!g && !strstr(e.text, cases[i].says))
		return 5;
	gpu_close(g);
	return 0;
}

static void every_device(void **state)
{
	for (size_t i = 0; i < N_OF(cases); i++) {
		const pid_t pid = fork();
		int status;

		if (!pid)
			_exit(check(i));
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (status)
			fail_msg("with '%s': check %d", cases[i].fault, WEXITSTATUS(status));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_device),
	};

	return RUN_TAP(tests);
}
