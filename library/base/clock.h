/* Time. */
#ifndef WOODSHED_BASE_CLOCK_H
#define WOODSHED_BASE_CLOCK_H

#include <stdint.h>

double clock_now(void);      /* seconds, monotonic, arbitrary start */
int64_t clock_unix_ms(void); /* milliseconds since 1970, UTC */
/* "2026-11-24T04:22:28Z" */
const char *clock_iso(int64_t unix_ms, char out[32]);

#endif
