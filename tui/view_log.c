/* What is known of a job: its facts, why it failed, and the end of the worker's log. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "library/base/clock.h"
#include "library/base/vec.h"
#include "library/db.h"
#include "tui/paint.h"
#include "tui/text.h"
#include "tui/ws.h"

enum { LOG_BYTES_MAX = 64 << 10 };

struct lines {
	const char **at;
	size_t n, cap;
};

static void add_wrapped(struct lines *lines, struct arena *a, const char *text, int width)
{
	struct str broken = {0};
	char *line, *rest;

	text_wrap(&broken, text, width > 0 ? (size_t)width : 1);
	rest = arena_strdup(a, str_get(&broken));
	str_done(&broken);
	while ((line = strsep(&rest, "\n")))
		*VEC_PUSH(lines) = line;
}

static const char *ago(int64_t ms, struct arena *a)
{
	char when[32];

	return ms ? arena_strdup(a, clock_iso(ms, when)) : "not yet";
}

static void add_facts(struct lines *lines, struct arena *a, const struct job *j, int width)
{
	add_wrapped(lines, a,
		arena_printf(a, "job %lld  %s  %s", (long long)j->id, j->state, j->model), width);
	add_wrapped(lines, a, arena_printf(a, "prompt   %s", j->prompt), width);
	if (j->negative)
		add_wrapped(lines, a, arena_printf(a, "negative %s", j->negative), width);
	add_wrapped(lines, a,
		arena_printf(a, "seed     %llu   length %s   options %s",
			(unsigned long long)j->seed, *j->seconds ? j->seconds : "the model's",
			j->options),
		width);
	add_wrapped(lines, a,
		arena_printf(a, "queued   %s   begun %s   ended %s   attempts %d",
			ago(j->created, a), ago(j->started, a), ago(j->ended, a), j->attempts),
		width);
	if (j->error) {
		*VEC_PUSH(lines) = "";
		add_wrapped(lines, a, arena_printf(a, "failed: %s", j->error), width);
		add_wrapped(lines, a, "R on the queue's screen queues it again.", width);
	}
}

/* The end of the log, from the first whole line on. */
static void add_log(struct lines *lines, struct arena *a, const char *library, int width)
{
	const char *path = arena_printf(a, "%s/log/worker", library);
	char *bytes = arena_alloc(a, LOG_BYTES_MAX + 1), *text = bytes;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
	off_t size = fd >= 0 ? lseek(fd, 0, SEEK_END) : 0;
	ssize_t n = 0;

	if (fd >= 0) {
		const off_t from = size > LOG_BYTES_MAX ? size - LOG_BYTES_MAX : 0;

		n = pread(fd, bytes, LOG_BYTES_MAX, from);
		close(fd);
		bytes[n > 0 ? n : 0] = 0;
		text = from && strchr(bytes, '\n') ? strchr(bytes, '\n') + 1 : bytes;
	}
	*VEC_PUSH(lines) = "";
	add_wrapped(lines, a,
		arena_printf(
			a, "%s %s", path, *text ? "ends:" : "is empty: no worker has complained."),
		width);
	if (*text)
		add_wrapped(lines, a, text, width);
}

static void read_lines(struct ws *ws, int width)
{
	struct log_view *v = &ws->log;
	struct lines lines = {0};
	struct err e = {0};
	struct job j;

	arena_done(&v->arena);
	v->arena = (struct arena){0};
	if (jobs_get(ws->db, v->job, &v->arena, &j, &e))
		add_wrapped(&lines, &v->arena, e.text, width);
	else
		add_facts(&lines, &v->arena, &j, width);
	add_log(&lines, &v->arena, ws->library, width);
	v->lines = ARENA_ARRAY(&v->arena, const char *, lines.n);
	memcpy(v->lines, lines.at, lines.n * sizeof(*lines.at));
	v->n = lines.n;
	v->width = width;
	VEC_DONE(&lines);
}

static void draw(struct ws *ws, int height, int width)
{
	struct log_view *v = &ws->log;
	char title[48];

	if (v->width != width - 2)
		read_lines(ws, width - 2);
	list_set_count(&v->list, (int64_t)v->n);
	list_resize(&v->list, height - 1);
	snprintf(title, sizeof(title), " Job %lld", (long long)v->job);
	paint(0, 0, width, ROLE_TITLE, title);
	for (int i = 0; i + 1 < height; i++) {
		const int64_t row = list_at(&v->list, i);

		paint(1 + i, 0, width,
			row >= 0 && row == v->list.cursor ? ROLE_ROW_SELECTED : ROLE_TEXT, "");
		if (row >= 0)
			paint(1 + i, 1, width - 2,
				row == v->list.cursor                 ? ROLE_ROW_SELECTED
				: has_prefix(v->lines[row], "failed") ? ROLE_ERROR
								      : ROLE_TEXT,
				v->lines[row]);
	}
}

static struct list *list_of(struct ws *ws)
{
	return &ws->log.list;
}

const struct view view_log = {.name = "log",
	.tab = "",
	.hints = "j k move  q back  ? keys",
	.draw = draw,
	.list = list_of,
	.heads = 1};
