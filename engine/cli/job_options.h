/* job_options.h: what a job is rendered with, as the queue keeps it. */
#ifndef WOODSHED_ENGINE_CLI_JOB_OPTIONS_H
#define WOODSHED_ENGINE_CLI_JOB_OPTIONS_H

struct arena;
struct err;
struct job;
struct render_options;
struct str;

/* All that has no column of its own, as one JSON object; paths become absolute.
 * ERR_IO for a file that is not there. */
int job_options_json(
	const struct render_options *r, struct arena *a, struct str *out, struct err *e);

/* A job's command line; all strings live in the arena, which may outlast the job's.
 * ERR_FORMAT, one sentence, when the row is damaged. */
int job_options_read(
	const struct job *j, struct arena *a, struct render_options *ret, struct err *e);

#endif
