/* The worker that the workstation starts. */
#include "tui/worker_process.h"

#include <sys/wait.h>

#include "tui/child.h"

enum { DELAY_MAX_S = 60 };

int worker_process_start(struct worker_process *w, double now, struct err *e)
{
	const char *argv[] = {
		"woodshed-engine", "--quiet", "--library", w->library, "worker", NULL};
	const struct child_desc desc = {
		.program = w->program,
		.argv = argv,
		.in = CHILD_NULL,
		.out = CHILD_NULL,
		.err = w->log_fd,
		.has_own_group = true,
	};
	int rc;

	if (w->pid || now < w->not_until)
		return 0;
	rc = child_start_engine(&desc, &w->pid, e);
	if (rc) {
		w->pid = 0;
		w->not_until = now + DELAY_MAX_S;
	}
	return rc;
}

bool worker_process_reap(struct worker_process *w, double now, bool *ret_died)
{
	int status;

	*ret_died = false;
	if (!w->pid || waitpid(w->pid, &status, WNOHANG) != w->pid)
		return false;
	w->pid = 0;
	*ret_died = !child_succeeded(status);
	w->n_deaths = *ret_died ? w->n_deaths + 1 : 0;
	if (*ret_died) {
		int delay = w->n_deaths > 5 ? DELAY_MAX_S : 1 << w->n_deaths;

		w->not_until = now + (delay < DELAY_MAX_S ? delay : DELAY_MAX_S);
	}
	return true;
}
