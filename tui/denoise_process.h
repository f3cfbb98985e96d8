/* denoise_process.h: woodshed-engine denoise as a child, for programs that carry no
 * engine. */
#ifndef WOODSHED_TUI_DENOISE_PROCESS_H
#define WOODSHED_TUI_DENOISE_PROCESS_H

#include <stdbool.h>

struct err;

struct denoise_process {
	const char *program; /* woodshed-engine */
	const char *method;  /* as `woodshed denoise --method` takes it */
	double mix;
	bool quiet;
};

/* Denoises `in` into a new hidden file in `out_dir`, in floats with the recipe, and gives
 * its path, which lives until denoise_process_remove().  One at a time.  ERR_CANCELLED
 * when the child failed: it has told why on stderr. */
int denoise_process_run(const struct denoise_process *d, const char *in, const char *out_dir,
	const char **ret_path, struct err *e);
void denoise_process_remove(void);

/* Ends the child and removes the file.  Async-signal-safe. */
void denoise_process_abandon(void);

#endif
