/* expand.h: one line of words that stands for many prompts, and ranges of
 * values for sweeps.
 *
 *	a {slow|fast} {piano|guitar} piece
 *
 * stands for four prompts; alternatives may be empty and may hold further braces.
 * "\{", "\|", "\}" and "\\" are those characters themselves. */
#ifndef WOODSHED_LIBRARY_EXPAND_H
#define WOODSHED_LIBRARY_EXPAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct err;
struct str;

enum { EXPAND_MAX = 10000 };

/* How many prompts it stands for; ERR_ARG for braces that do not match. */
int expand_count(const char *text, uint64_t *ret, struct err *e);

/* All of them, the last alternative changing fastest, at most EXPAND_MAX. */
int expand_all(const char *text, struct arena *a, const char ***ret, size_t *ret_n, struct err *e);

/* The text that stands for nothing but this one. */
void expand_escape(const char *text, struct str *out);

/* One of them, drawn by `seed`: the same seed draws the same. */
int expand_pick(const char *text, uint64_t seed, struct arena *a, const char **ret, struct err *e);

/* "1,2.5,4", "1..10", "2..6:0.5": numbers in order, at most EXPAND_MAX. */
int expand_numbers(const char *text, struct arena *a, double **ret, size_t *ret_n, struct err *e);

#endif
