/* print.h: whole lines to stdout and stderr. */
#ifndef WOODSHED_ENGINE_CLI_PRINT_H
#define WOODSHED_ENGINE_CLI_PRINT_H

#include <stddef.h>

struct err;
struct option_spec;

/* One line to stdout with its newline, at once.  After a failure (a closed
 * pipe, a full disk) later lines are dropped; print_check() tells. */
void print_line(const char *text);
/* 0, or ERR_IO.  A reader that went away is no error: it had enough. */
int print_check(struct err *e);

void print_version(void);

/* Usage (with the empty line below it), the verb's options, the global ones. */
void print_help(const char *usage, const struct option_spec *own);

/* "woodshed: text\n" and "woodshed: warning: text\n" on stderr. */
void print_error(const char *text);
void print_warning(const char *text);

void print_stderr(const char *text, size_t n); /* as it is */

#endif
