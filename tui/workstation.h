/* workstation.h: the screens. */
#ifndef WOODSHED_TUI_WORKSTATION_H
#define WOODSHED_TUI_WORKSTATION_H

struct environment;
struct globals;

/* Runs until the user leaves; the exit status. */
int workstation_run(const struct globals *g, const struct environment *env);

#endif
