/* config.json, read with bounds: a hostile or broken file cannot make a
 * number reach an allocation unchecked.
 *
 * Paths use dots: "decoder.hidden_size", "configs.0.id" of a list.  The first failure is kept
 * (missing, wrong type, out of range: in words, with file, path, value and range); the getter then
 * returns the fallback (lo where one is required), and config_check() tells. */
#ifndef WOODSHED_ENGINE_CONFIG_H
#define WOODSHED_ENGINE_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

struct config;
struct err;

/* At most 16 MB, strict JSON (duplicate keys refused); an integer beyond 64 bits is a real.
 * A missing file is ERR_IO. */
int config_open(const char *path, struct config **ret, struct err *e);
void config_close(struct config *c); /* NULL-safe */

#define CONFIG_REQUIRED INT64_MIN /* as fallback: absent (or null) is an error */
int64_t config_int(struct config *c, const char *path, int64_t fallback, int64_t lo, int64_t hi);
/* fallback NAN: required */
double config_num(struct config *c, const char *path, double fallback, double lo, double hi);
bool config_bool(struct config *c, const char *path, bool fallback);
/* Borrowed until config_close(); fallback NULL: required ("" when it fails). */
const char *config_str(struct config *c, const char *path, const char *fallback);
/* A list of integers; returns how many (0 when absent and not required). */
int config_ints(struct config *c, const char *path, bool required, int64_t *ret, int max,
	int64_t lo, int64_t hi);
/* Entries of a list; -1 where there is none. */
int config_length(struct config *c, const char *path);
bool config_has(struct config *c, const char *path); /* present and not null */
/* A condition between values, in words: config_require(c, h % n == 0, "..."). */
void config_require(struct config *c, bool ok, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

int config_check(struct config *c, struct err *e);

#endif
