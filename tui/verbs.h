/* verbs.h: the verbs that need nothing but the library.  Each gets the words
 * after its name and returns the exit status. */
#ifndef WOODSHED_TUI_VERBS_H
#define WOODSHED_TUI_VERBS_H

struct environment;
struct globals;

int verb_models(struct globals *g, const struct environment *env, int argc, char **argv);
int verb_recipe(struct globals *g, const struct environment *env, int argc, char **argv);

/* "woodshed: text" on stderr, without controls. */
void complain(const char *text);
/* Flushes stdout; 1, with a complaint, when not all could be written. */
int finish_output(void);

#endif
