/* Time: two clocks and one format. */
#include "library/base/clock.h"

#include <stdio.h>
#include <time.h>

double clock_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

int64_t clock_unix_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

const char *clock_iso(int64_t unix_ms, char out[32])
{
	time_t s = unix_ms / 1000 - (unix_ms % 1000 < 0); /* floor, also before 1970 */
	struct tm tm;

	gmtime_r(&s, &tm);
	if (!strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &tm))
		out[0] = '\0';
	return out;
}
