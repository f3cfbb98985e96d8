/* A library for one test; in a file of its own for those that link none. */
#include "tests/unit/scratch.h"

#include "library/base/err.h"
#include "library/db.h"

struct db *scratch_library(void **state)
{
	struct err e = {0};
	struct db *db;

	if (db_open(*state, &db, &e))
		fail_msg("%s", e.text);
	return db;
}
