/* worker_process.h: the worker that the workstation starts when there is work and
 * nobody does it, and starts again, later and later, when it dies. */
#ifndef WOODSHED_TUI_WORKER_PROCESS_H
#define WOODSHED_TUI_WORKER_PROCESS_H

#include <stdbool.h>
#include <sys/types.h>

struct err;

struct worker_process {
	const char *program; /* woodshed-engine */
	const char *library;
	int log_fd;       /* where its stderr goes; -1: nowhere */
	pid_t pid;        /* 0: none */
	double not_until; /* clock_now() before which it is not started again */
	int n_deaths;     /* one after the other */
};

/* Starts one unless one of ours runs or it is too soon; the caller has looked that
 * nobody else works.  The worker outlives the workstation until the queue is empty. */
int worker_process_start(struct worker_process *w, double now, struct err *e);

/* To be called when a child may have ended (SIGCHLD, or now and then): true when ours
 * has; *ret_died: not of its own will. */
bool worker_process_reap(struct worker_process *w, double now, bool *ret_died);

#endif
