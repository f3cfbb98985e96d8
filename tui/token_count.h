/* token_count.h: how many tokens a prompt has, by woodshed-engine tokens, a process
 * that is asked while one types.
 *
 * Nobody waits for it: the answer comes when it comes, and is of the last text that
 * was asked about.  A process that cannot be started, or dies, is not missed. */
#ifndef WOODSHED_TUI_TOKEN_COUNT_H
#define WOODSHED_TUI_TOKEN_COUNT_H

#include <stdbool.h>
#include <stddef.h>

struct token_count;

/* Starts it: woodshed-engine at `program`, on the library.  log_fd: where its stderr
 * goes; -1: nowhere. */
struct token_count *token_count_open(const char *program, const char *library, int log_fd);
/* To be polled for reading; -1: nothing will come. */
int token_count_fd(const struct token_count *t);
void token_count_ask(struct token_count *t, const char *model, const char *text);
/* When the fd can be read; true when there is another answer. */
bool token_count_work(struct token_count *t);
/* The last answer: tokens, and how many the model reads; false: not known. */
bool token_count_get(const struct token_count *t, size_t *ret_n, size_t *ret_max);
/* What the model that was asked about does while it is not told, by the parameters'
 * names: "length_s=30 cfg=3"; "": not known. */
const char *token_count_own(const struct token_count *t);
void token_count_close(struct token_count *t); /* NULL-safe */

#endif
