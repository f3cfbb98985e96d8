/* Errors: a code and one sentence, no heap.
 *
 * Every fallible function returns int: 0, or a negative ERR_* code, and takes
 * a struct err * last but for its outputs.  The message names the cause and
 * the remedy.  The first error wins; callers on the way up may add context in
 * front of it with err_wrap().  A NULL struct err * is allowed everywhere. */
#ifndef WOODSHED_BASE_ERR_H
#define WOODSHED_BASE_ERR_H

enum err_code {
	ERR_OK = 0,
	ERR_NOMEM = -1,       /* memory, host or device */
	ERR_IO = -2,          /* the operating system refused */
	ERR_FORMAT = -3,      /* a file does not hold what it should */
	ERR_BUSY = -4,        /* somebody else holds it */
	ERR_CANCELLED = -5,   /* the user stopped it */
	ERR_UNSUPPORTED = -6, /* valid, but not something we can do */
	ERR_GPU = -7,         /* an op failed */
	ERR_GPU_LOST = -8,    /* the device is gone: the process must end */
	ERR_BUG = -9,         /* our fault */
	ERR_ARG = -10,        /* the caller asked for something senseless */
};

struct err {
	int code;
	char text[8192]; /* one line, no control bytes, may be cut */
};

/* Sets code and text unless *e already holds an error; returns code.
 * Control bytes in the result are replaced by '?', so that a hostile name
 * from a file cannot reach the terminal. */
int err_set(struct err *e, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Puts "context: " in front of the text; returns e's code (or code when e is NULL). */
int err_wrap(struct err *e, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* ERR_IO (ERR_NOMEM for ENOMEM) with strerror(errno_value) at the end:
 * "cannot write 'x.wav': No space left on device". */
int err_errno(struct err *e, int errno_value, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

void err_clear(struct err *e);

/* A short fixed name of a code: "no memory", "input or output", ... */
const char *err_name(int code);

#endif
