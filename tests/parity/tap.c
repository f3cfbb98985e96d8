#include "tests/parity/tap.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "gpu/gpu.h"

static int n_tests, n_failed;

void tap_ok(bool ok, const char *fmt, ...)
{
	va_list ap;

	n_tests++;
	n_failed += !ok;
	printf("%s %d - ", ok ? "ok" : "not ok", n_tests);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
	fflush(stdout);
}

void tap_remark(const char *fmt, ...)
{
	va_list ap;

	printf("# ");
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
}

void tap_skip(const char *name, const char *fmt, ...)
{
	va_list ap;

	printf("ok %d - %s # SKIP ", ++n_tests, name);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
}

void tap_skip_all(const char *why)
{
	printf("1..0 # SKIP %s\n", why);
}

const char *tap_device(void)
{
	const char *module = getenv("WOODSHED_TEST_MODULE");

	if (!module)
		return "cpu";
	gpu_use_module(module);
	return "cuda";
}

int tap_done(void)
{
	printf("1..%d\n", n_tests);
	return n_failed ? 1 : 0;
}
