/* Lines that were typed.
 *
 * The file grows by a line at a time, so several workstations may share it; who
 * opens it when it has become long writes the newest anew. */
#include "tui/history.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "library/base/arena.h"
#include "library/base/line.h"
#include "library/base/str.h"
#include "library/base/vec.h"

enum { LINE_MAX_BYTES = 4096, FILE_LINES_MAX = 2 * HISTORY_MAX };

static void forget_oldest(struct history *h)
{
	free(h->at[0]);
	memmove(h->at, h->at + 1, --h->n * sizeof(*h->at));
}

static void push(struct history *h, const char *line)
{
	if (!*line || (h->n && !strcmp(h->at[h->n - 1], line)))
		return;
	if (h->n == HISTORY_MAX)
		forget_oldest(h);
	*VEC_PUSH(h) = xstrdup(line);
}

static void write_anew(const struct history *h)
{
	struct str all = {0};

	for (size_t i = 0; i < h->n; i++)
		str_printf(&all, "%s%s", h->at[i], i + 1 < h->n ? "\n" : "");
	line_write(h->path, str_get(&all), NULL);
	str_done(&all);
}

void history_open(struct history *h, const char *path)
{
	char line[LINE_MAX_BYTES + 2];
	size_t n_lines = 0;
	FILE *f = path ? fopen(path, "re") : NULL;

	*h = (struct history){.path = path};
	while (f && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = 0;
		str_sanitize(line);
		push(h, line);
		n_lines++;
	}
	if (f)
		fclose(f);
	if (n_lines > FILE_LINES_MAX)
		write_anew(h);
	h->place = h->n;
}

static void append(const struct history *h, const char *line)
{
	struct str text = {0};
	int fd = open(h->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

	str_printf(&text, "%s\n", line);
	if (fd >= 0) {
		if (write(fd, text.s, text.n) != (ssize_t)text.n)
			unlink(h->path); /* a disk that is full: a part of a line is no line */
		close(fd);
	}
	str_done(&text);
}

void history_add(struct history *h, const char *line)
{
	size_t before = h->n;
	bool is_new = *line && !(h->n && !strcmp(h->at[h->n - 1], line));

	push(h, line);
	if (is_new && h->path && before <= h->n)
		append(h, line);
	h->place = h->n;
}

const char *history_step(struct history *h, int by, const char *prefix)
{
	for (size_t i = h->place; by < 0 ? i > 0 : i < h->n; i = by < 0 ? i - 1 : i + 1) {
		size_t to = by < 0 ? i - 1 : i + 1;

		if (to < h->n && has_prefix(h->at[to], prefix)) {
			h->place = to;
			return h->at[to];
		}
	}
	if (by > 0)
		h->place = h->n;
	return NULL;
}

void history_close(struct history *h)
{
	for (size_t i = 0; i < h->n; i++)
		free(h->at[i]);
	VEC_DONE(h);
}
