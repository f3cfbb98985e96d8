/* repair.h: a library set right after whatever happened to it. */
#ifndef WOODSHED_LIBRARY_REPAIR_H
#define WOODSHED_LIBRARY_REPAIR_H

#include <stddef.h>
#include <stdint.h>

#include "library/takes.h"

struct arena;
struct db;
struct err;
struct str;

struct repair {
	const char *moved; /* where a damaged database was moved to; NULL: it is sound */
	struct sweep swept;
	size_t dead_workers;
};

/* db_open().  Where no take was ever in it, as library.db was missing or what follows was cut
 * off, and the folder of takes is there, what the files tell of them is taken into it:
 * *ret_found, how many takes; else 0. */
int library_open(
	const char *library, int64_t now_ms, struct db **ret, size_t *ret_found, struct err *e);
/* The same in words: "library.db was missing: it was made anew from 3 files, ..." */
void library_tell_found(size_t n, struct str *out);

/* Checks the database; one that is damaged is moved aside (nothing is deleted) and
 * made anew from the takes' files.  Then files and rows are paired, and the jobs
 * of dead workers are given back. */
int library_repair(
	const char *library, int64_t now_ms, struct arena *a, struct repair *ret, struct err *e);

#endif
