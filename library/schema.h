/* schema.h: the steps from one version of the database to the next. */
#ifndef WOODSHED_LIBRARY_SCHEMA_H
#define WOODSHED_LIBRARY_SCHEMA_H

/* SQL that makes version i + 1 of version i, in a transaction of its own;
 * DB_SCHEMA of them. */
extern const char *const schema_steps[];

#endif
